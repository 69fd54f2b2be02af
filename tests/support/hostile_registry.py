"""A registry with one image that misbehaves in one chosen way.

usage: hostile_registry.py MODE PORT OTHER_PORT LOG

Serves 'team/app:1' on 127.0.0.1:PORT; OTHER_PORT is a second origin. Every request becomes a JSON line in LOG with its
port, method, path and Authorization. What each MODE does stands at its place below.
"""
import base64
import gzip
import hashlib
import http.server
import io
import json
import sys
import tarfile
import threading
import urllib.parse

MODE, PORT, OTHER, LOG = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
CREDENTIALS = "Basic " + base64.b64encode(b"ann:s3cret:pw").decode()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
COUNT = 16  # layers of "waits-for-all"
log_lock = threading.Lock()
everybody = threading.Barrier(COUNT, timeout=10)


def digest(data):
    if MODE == "sha512":
        return "sha512:" + hashlib.sha512(data).hexdigest()
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_layer(name, size):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = size
        entry.mode = 0o644
        archive.addfile(entry, io.BytesIO(b"0123456789abcdef" * (size // 16)))
    return tar.getvalue(), gzip.compress(tar.getvalue(), 1, mtime=0)


def descriptor(media_type, data):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def make_image():
    layers = [make_layer("first", 1 << 20), make_layer("second", 1 << 16)]
    if MODE == "waits-for-all":
        layers += [make_layer(f"layer{i}", 4096) for i in range(COUNT - 2)]
    architecture = "s390x" if MODE == "other-platform" else "amd64"
    labels = {"\x1b[2Jkey": "\x1b]52;c;aGk=\x07", "manifest": "../../x"} if MODE == "tags-escape" else None
    config = json.dumps({"architecture": architecture, "os": "linux", "config": {"Labels": labels}, "rootfs": {
        "type": "layers", "diff_ids": [digest(tar) for tar, _ in layers][: 1 if MODE == "diff-id-count" else None]}})
    if MODE == "swapped-layers":
        first, second = digest(layers[0][0]), digest(layers[1][0])
        config = config.replace(first, "@").replace(second, first).replace("@", second)
    if MODE == "wrong-diff-id":
        config = config.replace(digest(layers[1][0]), "sha256:" + "0" * 64)
    if MODE == "config-junk":
        config = '{"architecture": "amd64", "os": 1, "rootfs": {"type": "layers", "diff_ids": ["x"]}}'
    config = config.encode()
    config_type = "application/vnd.oci.image.config.v1+json"
    if MODE == "artifact":
        config_type = "application/vnd.example.chart+json"
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config_type, config), "layers": [
        descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed) for _, packed in layers]}
    manifest = json.dumps(manifest).encode()
    blobs = {digest(data): data for data in [config] + [packed for _, packed in layers]}
    return manifest, blobs, digest(layers[0][1])


IMAGE, BLOBS, BIG = make_image()
tokens = {}
deleted = set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        with log_lock, open(LOG, "a") as log:
            log.write(json.dumps({"port": self.server.server_port, "method": self.command, "path": self.path,
                                  "authorization": self.headers.get("Authorization", "")}) + "\n")

    def send(self, status, body=b"", headers=()):
        headers = dict(headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def close_after(self):
        self.close_connection = True

    # -- who may ----------------------------------------------------------------------------------------------

    def challenge(self):
        scope = "repository:team/app:pull"
        realms = {"bearer": f"http://localhost:{PORT}/token", "token-expires": f"http://127.0.0.1:{OTHER}/token",
                  "near-realm": "https://169.254.169.254/token", "realm-redirects": f"http://localhost:{PORT}/token-away",
                  "bad-token": f"http://localhost:{PORT}/token", "token-endless": f"http://localhost:{PORT}/token"}
        if MODE in realms:
            return f'Bearer realm="{realms[MODE]}",service="test",scope="{scope}"'
        if MODE in ("basic", "redirect-port", "redirect-back", "upload-elsewhere"):
            return 'Negotiate, Basic realm="test"'
        return None

    def allowed(self):
        challenge, sent = self.challenge(), self.headers.get("Authorization", "")
        if challenge is None:
            return True
        if challenge.startswith("Negotiate") and sent == CREDENTIALS:
            return True
        if sent.startswith("Bearer ") and tokens.get(sent[7:], 0) > 0:
            tokens[sent[7:]] -= 1
            return True
        self.send(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}', {"WWW-Authenticate": challenge})
        return False

    def token(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if MODE == "bad-token":
            return self.send(200, json.dumps({"token": "a\r\nX-Injected: 1"}).encode())
        if MODE == "token-endless":
            self.send_response(200)
            self.end_headers()
            self.close_after()
            return self.pour(b" " * 65536)
        if self.headers.get("Authorization", "") != CREDENTIALS or query.get("service") != ["test"]:
            return self.send(401, b"{}")
        name = f"token{len(tokens)}." + query.get("scope", ["none"])[0].replace(":", ".").replace("/", ".")
        tokens[name] = 2 if MODE == "token-expires" else 1000
        self.send(200, json.dumps({"token": name, "expires_in": 60}).encode())

    # -- what there is ----------------------------------------------------------------------------------------

    def do_GET(self):
        self.note()
        if MODE == "garbage":
            self.wfile.write(b"\x00\x01\x02 this is not http \xff" * 10)
            return self.close_after()
        if MODE == "closes":
            return self.close_after()
        if MODE == "html":
            return self.send(200, b"<html><body>Welcome to the router</body></html>", {"Content-Type": "text/html"})
        if MODE == "html-404":
            return self.send(404, b"<html><body>Not here</body></html>", {"Content-Type": "text/html"})
        if MODE == "interim-flood":
            for _ in range(1000):
                self.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            return self.send(200, b"{}")
        if MODE == "header-flood":
            self.send_response(200)
            for i in range(1000):
                self.send_header(f"X-Flood-{i}", "x" * 100)
            return self.end_headers()
        if self.path.startswith("/token-away"):
            return self.send(307, b"", {"Location": f"http://127.0.0.1:{OTHER}/token?service=test"})
        if self.path.startswith("/token"):
            return self.token()
        if self.path.startswith("/elsewhere/"):
            return self.elsewhere(self.path.rsplit("/", 1)[1])
        if not self.allowed():
            return None
        if self.path == "/v2/":
            return self.send(200, b"{}")
        if "/tags/list" in self.path:
            return self.tags()
        if "/manifests/" in self.path:
            return self.manifest()
        return self.blob(self.path.rsplit("/", 1)[1])

    do_HEAD = do_GET

    def manifest(self):
        body, kind, extra = IMAGE, MANIFEST, {}
        if MODE == "manifest-html":
            body, kind = b"<html>sign in</html>", "text/html; charset=utf-8"
        if MODE == "manifest-junk":
            body = b'{"schemaVersion": 2, '
        if MODE == "manifest-header":
            extra = {"Docker-Content-Digest": "sha256:" + "1" * 64}
        if MODE == "manifest-bad-header":
            extra = {"Docker-Content-Digest": "sha256:../../etc/passwd"}
        if MODE == "manifest-endless":
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.close_after()
            return self.pour(b" " * 65536)
        if MODE == "sha512":
            extra = {"Docker-Content-Digest": digest(body)}
        if MODE == "manifest-type":
            kind = INDEX
        if MODE == "schema1":
            body, kind = b'{"schemaVersion":1,"fsLayers":[]}', "application/vnd.docker.distribution.manifest.v1+json"
        if MODE == "error-endless":
            self.send_response(500)
            self.end_headers()
            self.close_after()
            return self.pour(b"e" * 65536)
        if MODE == "error-escape":
            return self.send(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"\\u001b]52;c;aGk=\\u0007gone"}]}')
        if self.path.endswith("/absent"):
            return self.send(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        if MODE == "index-cycle":
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
                {**descriptor(INDEX, b"x"), "platform": {"os": "linux", "architecture": "amd64"}}]}
            body, kind = json.dumps(index).encode(), INDEX
        return self.send(200, body, {"Content-Type": kind, **extra})

    def tags(self):
        names, link = ["1"], None
        page = int(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("page", ["0"])[0])
        if MODE == "tags-escape":
            names = ["1", "\x1b]52;c;aGk=\x07", "\u202e1"]
        if MODE == "tags-circle":
            link = f"/v2/team/app/tags/list?page={(page + 1) % 2}"
        if MODE == "tags-endless":
            names, link = [f"{page}-{'x' * 100}-{i}" for i in range(30000)], f"/v2/team/app/tags/list?page={page + 1}"
        extra = {"Link": f'<{link}>; rel="next"'} if link else {}
        return self.send(200, json.dumps({"name": "team/app", "tags": names}).encode(), extra)

    def pour(self, block):
        try:
            while True:
                self.wfile.write(block)
        except OSError:
            return None

    def blob(self, name):
        data = BLOBS.get(name)
        if data is None:
            return self.send(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        if MODE == "waits-for-all" and not data.startswith(b"{"):  # a layer
            try:
                everybody.wait()
            except threading.BrokenBarrierError:
                return self.send(400, b"one at a time")
        if name != BIG:
            return self.send(200, data)
        if MODE in ("redirect-port", "redirect-back"):
            return self.send(307, b"", {"Location": f"http://127.0.0.1:{OTHER}/elsewhere/{name}"})
        if MODE == "redirect-loop":
            return self.send(302, b"", {"Location": self.path})
        if MODE == "redirect-file":
            return self.send(302, b"", {"Location": "file:///etc/passwd"})
        if MODE == "redirect-nowhere":
            return self.send(302, b"")
        if MODE == "flipped":
            return self.send(200, data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
        if MODE == "short":  # whole to HTTP, shorter than its descriptor
            return self.send(200, data[:1000])
        if MODE == "long":
            return self.send(200, data + b"x")
        if MODE == "cut":  # the connection ends before Content-Length
            self.close_after()
            return self.send(200, data[:1000], {"Content-Length": str(len(data))})
        if MODE == "endless":
            self.send_response(200)
            self.end_headers()
            self.close_after()
            return self.pour(data)
        if MODE == "encoded":
            return self.send(200, data, {"Content-Encoding": "gzip"})
        if MODE == "blob-error":
            return self.send(503, b"no", {"Content-Type": "text/plain"})
        if MODE == "stall":
            self.send(200, data[:10], {"Content-Length": str(len(data))})
            return threading.Event().wait(30)
        return self.send(200, data)

    def elsewhere(self, name):
        if MODE == "redirect-back" and self.server.server_port == OTHER:
            return self.send(302, b"", {"Location": f"http://localhost:{PORT}/elsewhere/{name}"})
        return self.send(200, BLOBS[name])

    def do_DELETE(self):
        self.note()
        name = self.path.rsplit("/", 1)[1]
        is_there = name == digest(IMAGE) and name not in deleted
        deleted.add(name)
        if MODE == "delete-answer-lost" and is_there:
            return self.close_after()
        if not is_there:
            return self.send(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        return self.send(202, b"")

    # -- what is sent -----------------------------------------------------------------------------------------

    def do_POST(self):
        self.note()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.allowed():
            return None
        if MODE == "upload-elsewhere":
            return self.send(202, b"", {"Location": f"http://127.0.0.1:{OTHER}/upload?state=1"})
        if MODE == "upload-nowhere":
            return self.send(202, b"")
        return self.send(202, b"", {"Location": "/v2/team/app/blobs/uploads/1?state=1"})

    def do_PUT(self):
        self.note()
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        except OSError:
            return self.close_after()
        if self.server.server_port == PORT and not self.allowed():
            return None
        stored = "sha256:" + "2" * 64 if MODE == "stores-other" else digest(body)
        return self.send(201, b"", {"Docker-Content-Digest": stored})


servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in (OTHER, PORT)]
threading.Thread(target=servers[0].serve_forever, daemon=True).start()
servers[1].serve_forever()
