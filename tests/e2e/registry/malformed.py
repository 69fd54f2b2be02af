#!/usr/bin/env python3
"""Bytes that are no good HTTP (threats G06), to a registry on a port of 127.0.0.1.

    malformed.py PORT

Each has to be answered with a refusal and the end of the connection, or be one request for every reader, and the
server has to go on."""
import socket
import sys

kPost = b"POST /v2/a/blobs/uploads/?digest=sha256:" + b"0" * 64 + b" HTTP/1.1\r\nHost: localhost\r\n"
kGet = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n"
kSecond = b"GET /v2/_catalog HTTP/1.1\r\nHost: localhost\r\n\r\n"  # must never be taken for a request
kChunked = kPost + b"Transfer-Encoding: chunked\r\n\r\n"

kRefused = {
    "a length beside a transfer coding": kPost + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": kPost + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length twice": kPost + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a negative length": kPost + b"Content-Length: -3\r\n\r\nabc",
    "another coding": kPost + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": kPost + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a chunk longer than any number": kChunked + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk of a negative length": kChunked + b"-1\r\nabc\r\n0\r\n\r\n",
    "a chunk with an extension of 1 MB": kChunked + b"3;" + b"x" * 1_000_000 + b"\r\nabc\r\n0\r\n\r\n",
    "a folded first line": b"GET /v2/ HTTP/1.1\r\n X: y\r\nHost: localhost\r\n\r\n",
    "a header folded to hide another": kPost + b"X: a\r\n Content-Length: 3\r\n\r\nabc",
    "a carriage return within a line": kGet + b"X: a\rContent-Length: 3\r\n\r\n",
    "a space before the colon": kPost + b"Content-Length : 3\r\n\r\nabc",
    "two hosts": kGet + b"Host: localhost\r\n\r\n",
    "no host": b"GET /v2/ HTTP/1.1\r\n\r\n",
    "10,000 headers": kGet + b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
    "a header of 1 MB": kGet + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "a request line of 1 MB": b"GET /v2/" + b"y" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /v2/\r\n",
}
# RFC 9112 lets a server take these (sections 2.2 and 5.2), and libmicrohttpd, which reads them, does before 1.0.
kOneRequest = {
    "a folded header": kGet + b"X: a\r\n  folded\r\nConnection: close\r\n\r\n",
    "lines that end with a line feed alone": b"GET /v2/ HTTP/1.1\nHost: localhost\nConnection: close\n\n",
    "an upgrade": kGet + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
}


def exchange(port, data):
    """What came back, and whether the server ended the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(3)  # less than any timeout of the server
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                answer += part
        except ConnectionError:
            pass  # closed before it was sent whole, which is right too
        except socket.timeout:
            return answer, False
    return answer, True


def main(port):
    failures = []

    def expect(name, answer, is_closed, statuses):
        status = answer[9:12].decode()
        # A reset may overtake the answer
        if not is_closed or b"repositories" in answer or (answer and status not in statuses):
            failures.append(f"{name}: status {status or 'none'}, {'closed' if is_closed else 'open'}: {answer[:200]}")
        if exchange(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[0][9:12] != b"200":
            failures.append(f"{name}: the server is gone")

    for name, data in kRefused.items():
        # 500: libmicrohttpd's word for a chunk's line that its memory does not hold
        expect(name, *exchange(port, data + kSecond), ("400", "413", "414", "431", "500", "501", "505"))
    for name, data in kOneRequest.items():
        expect(name, *exchange(port, data), ("200", "400"))
    return "\n".join(failures)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])) or 0)
