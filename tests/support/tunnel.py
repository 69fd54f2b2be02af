"""A proxy that only makes tunnels.

usage: tunnel.py PORT TARGET_PORT LOG [USER:PASSWORD]

Listens on 127.0.0.1:PORT for CONNECT and leads every host to 127.0.0.1:TARGET_PORT. LOG gets a JSON line for each request,
with all that it said in clear. With USER:PASSWORD it wants them as Basic (407 else).
"""
import base64
import http.server
import json
import socket
import sys
import threading

PORT, TARGET, LOG = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
WANTED = "Basic " + base64.b64encode(sys.argv[4].encode()).decode() if len(sys.argv) > 4 else None


def pour(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def note(self):
        with open(LOG, "a") as log:
            log.write(json.dumps({"method": self.command, "target": self.path, "headers": dict(self.headers)}) + "\n")

    def do_CONNECT(self):
        self.note()
        if WANTED and self.headers.get("Proxy-Authorization") != WANTED:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self.send_header("Content-Length", "0")
            return self.end_headers()
        with socket.create_connection(("127.0.0.1", TARGET)) as target:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pour, args=(target, self.connection), daemon=True)
            back.start()
            pour(self.connection, target)
            back.join()

    def do_GET(self):
        self.note()
        self.send_error(405)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
