"""A registry whose list of tags comes in pages.

usage: paged_registry.py PORT OTHER_PORT COUNT STYLE

Serves the tags t00000… of any repository on 127.0.0.1:PORT, 500 to a page, whatever "n" says. STYLE is how a page leads to
the next: path, absolute, folded (a header of two lines), bare (rel=next), more (other parameters before rel), second (behind
another link), elsewhere (at OTHER_PORT), basic (each page asks for ann's login).
"""
import base64
import http.server
import json
import sys
import threading
import urllib.parse

PORT, OTHER, COUNT, STYLE = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
ANN = "Basic " + base64.b64encode(b"ann:s3cret:pw").decode()
kPage = 500
TAGS = [f"t{i:05d}" for i in range(COUNT)]


def link(path):
    address = f"http://localhost:{PORT}{path}"
    return {"path": f'<{path}>; rel="next"', "absolute": f'<{address}>; rel="next"', "folded": f'<{path}>;\r\n rel="next"',
            "bare": f"<{path}>; rel=next", "more": f'<{path}>; title="tags"; rel="next"', "basic": f'<{path}>; rel="next"',
            "second": f'</v2/x/tags/list?n=1>; rel="prev", <{path}>; rel="next"',
            "elsewhere": f'<http://127.0.0.1:{OTHER}{path}>; rel="next"'}[STYLE]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if STYLE == "basic" and self.headers.get("Authorization") != ANN:
            return self.answer(401, {}, ("WWW-Authenticate", 'Basic realm="x"'))
        if not url.path.endswith("/tags/list"):
            return self.answer(200, {})
        last = urllib.parse.parse_qs(url.query).get("last", [""])[0]
        rest = [tag for tag in TAGS if tag > last]
        following = f"{url.path}?n={kPage}&last={rest[kPage - 1]}" if len(rest) > kPage else None
        return self.answer(200, {"name": "x", "tags": rest[:kPage]}, following and ("Link", link(following)))

    def answer(self, status, document, header=None):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if header:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)


servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in (OTHER, PORT)]
threading.Thread(target=servers[0].serve_forever, daemon=True).start()
servers[1].serve_forever()
