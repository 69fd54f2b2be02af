#!/usr/bin/env python3
"""A client of a registry that costs little itself, so that the server is what is measured.

    serve_client.py get URL CLIENTS TIMES    CLIENTS connections at once, each of which reads the blob TIMES times
    serve_client.py put URL FILE...          a connection for each FILE, named sha256:HEX, to the repository URL
    serve_client.py hold URL IDLE ACTIVE     IDLE connections stay after one answer, ACTIVE in the midst of a blob

The kernel drops the bytes that arrive and sends those that leave by sendfile(2). Another status or length than the
expected one is a failure."""
import os
import resource
import socket
import sys
import threading
import urllib.parse

kRoom = bytearray(4 << 20)  # for what nobody reads


class Connection:
    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((self.url.hostname, self.url.port))

    def send(self, method, target, length=0):
        self.socket.sendall(f"{method} {target} HTTP/1.1\r\nHost: {self.url.netloc}\r\n"
                            f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n".encode())

    def answer(self, status):
        """The header's fields, and how many bytes of the body came with it."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.socket.recv(4096)
            if not part:
                raise ConnectionError("closed before an answer")
            data += part
        head, body = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        if first.split(" ")[1] != str(status):
            raise ValueError(f"{first}, expected {status}")
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, len(body)

    def drop(self, count):
        while count > 0:
            got = self.socket.recv_into(kRoom, min(count, len(kRoom)), socket.MSG_TRUNC)
            if got == 0:
                raise ConnectionError(f"closed {count} bytes before the end")
            count -= got


def get(url, times):
    connection = Connection(url)
    for _ in range(times):
        connection.send("GET", connection.url.path)
        fields, begun = connection.answer(200)
        connection.drop(int(fields["content-length"]) - begun)


def put(url, path):
    connection = Connection(url)
    connection.send("POST", f"{connection.url.path}/blobs/uploads/")
    place = urllib.parse.urlsplit(connection.answer(202)[0]["location"])
    query = f"{place.query}&" if place.query else ""
    with open(path, "rb") as file:
        left = os.fstat(file.fileno()).st_size
        connection.send("PUT", f"{place.path}?{query}digest={os.path.basename(path)}", left)
        while left > 0:
            left -= os.sendfile(connection.socket.fileno(), file.fileno(), None, left)
    connection.answer(201)


def hold(url, idle, active):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = [(Connection(url), "/v2/") for _ in range(idle)]
    held += [(connection, connection.url.path) for connection in (Connection(url) for _ in range(active))]
    for connection, path in held:
        connection.send("GET", path)
    for connection, _ in held:
        connection.answer(200)


def all_at_once(function, argument_lists):
    failures = []

    def work(arguments):
        try:
            function(*arguments)
        except (OSError, ValueError, KeyError) as failure:
            failures.append(failure)
    threads = [threading.Thread(target=work, args=(arguments,)) for arguments in argument_lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"{len(failures)} of {len(threads)} connections failed: {failures[0]}")


def main(work, url, *rest):
    if work == "get":
        all_at_once(get, [(url, int(rest[1]))] * int(rest[0]))
    elif work == "put":
        all_at_once(put, [(url, path) for path in rest])
    else:
        hold(url, *map(int, rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
