#!/usr/bin/env python3
"""A client that holds a connection by a few bytes now and then.

    trickle.py PORT FIRST PIECE COUNT    sends FIRST (with \\r and \\n), then COUNT times PIECE bytes, every 0.2 s

Prints the status of an answer, or "cut" when the server ended the connection without one."""
import select
import socket
import sys
import time


def main(port, first, piece, count):
    connection = socket.create_connection(("127.0.0.1", int(port)))
    connection.sendall(first.replace("\\r", "\r").replace("\\n", "\n").encode())
    try:
        for _ in range(int(count)):
            if select.select([connection], [], [], 0)[0]:
                break
            connection.sendall(b"x" * int(piece))
            time.sleep(0.2)
        connection.settimeout(1.5)  # less than the idle timeout of the test
        answer = connection.recv(100)
    except (ConnectionError, socket.timeout) as error:
        return "cut" if isinstance(error, ConnectionError) else "open"
    return answer.split(b" ")[1].decode() if answer else "cut"


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
