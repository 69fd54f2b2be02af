"""A proxy in front of a registry that does wrong what its rules say, and writes down who got which header, and what was done.

usage: fault_proxy.py PORT OTHER_PORT UPSTREAM_PORT LOG RULES

Listens on 127.0.0.1:PORT, and on OTHER_PORT as a second origin without faults. RULES is a JSON list; for each request
the first rule applies whose "method" and "path" (regular expressions) fit, with "range": true of those with a Range, and that was not used up ("times", 1 unless
said; "after": so many fitting requests pass first). What a rule does:
  {"do": "cut", "bytes": N}           ends the answer's connection after N bytes of the body
  {"do": "cut-request", "bytes": N}   passes N bytes of the request's body on, then drops both connections
  {"do": "swallow-request", "bytes": N}  passes N bytes on, and the connection's end when the client ends it
  {"do": "close"}                     no answer at all
  {"do": "lose-answer"}               the registry does what is asked, and nobody hears of it
  {"do": "stall", "bytes": N}         sends N bytes of the body and then nothing
  {"do": "slow", "bytes": N}          pauses between blocks of N bytes
  {"do": "status", "status": S, "headers": {...}, "body": "..."}
  {"do": "ignore-range"}              asks the registry for the whole
  {"do": "one-range"}                 of several ranges the registry is asked for the first
  {"do": "wrong-range"}               a 206 whose Content-Range begins elsewhere
  {"do": "length", "add": N}          Content-Length off by N
  {"do": "flip"}                      one bit of the body is another
  {"do": "redirect", "to": "http://…", "status": 307}   {path}, {other}, {other_port} are filled in
  {"do": "location", "to": "{other}"}  the answer's Location leads to another origin
  {"do": "range", "value": "0-99"}    the answer's Range says that
Any rule may have "pause": seconds that its request waits before anything is done. Rules whose "path" has "token" are
for the token server. {"tls": {"cert": FILE, "key": FILE, "version": "TLSv1"}} makes PORT speak TLS, of that version at
most; with "both" OTHER_PORT as well. It is a plain http proxy too: requests for "http://HOST/…" go to the registry.
A rule {"tokens": {"uses": N, "user": "ann:s3cret:pw"}} makes it ask for Bearer tokens, given at /token (of "realm", in which
{port} and {other_port} are filled in) and good for N requests each; a refresh token given to POST /token is "refresh-of-ann". Upstream sees an Authorization without it alone.
"""
import base64
import http.client
import http.server
import json
import re
import secrets
import ssl
import sys
import threading
import time
import urllib.parse

PORT, OTHER, UPSTREAM, LOG = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
RULES = json.loads(sys.argv[5])
TOKENS = next((rule["tokens"] for rule in RULES if "tokens" in rule), None)
REALM = (TOKENS or {}).get("realm", "http://127.0.0.1:{port}/token").format(port=PORT, other_port=OTHER)
TLS = next((rule["tls"] for rule in RULES if "tls" in rule), None)
RULES = [{"seen": 0, **rule} for rule in RULES if "do" in rule]
BLOCK = 65536
lock = threading.Lock()
tokens = {}  # token: [uses left, scopes]


def pick(method, path, has_range):
    with lock:
        for rule in RULES:
            if not re.fullmatch(rule.get("method", ".*"), method) or not re.search(rule.get("path", ""), path):
                continue
            if rule.get("range") and not has_range:
                continue
            rule["seen"] += 1
            after = rule.get("after", 0)
            if after < rule["seen"] <= after + rule.get("times", 1):
                return rule
    return {"do": "pass"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def strip_proxied(self):
        self.proxied = ""
        if self.path.startswith("http://"):
            self.proxied, _, rest = self.path[len("http://"):].partition("/")
            self.path = "/" + rest

    def note(self, fault="pass"):
        with lock, open(LOG, "a") as log:
            log.write(json.dumps({
                "port": self.server.server_port, "proxied": self.proxied, "method": self.command, "path": self.path, "fault": fault,
                "authorization": self.headers.get("Authorization", ""), "cookie": self.headers.get("Cookie", ""),
                "range": self.headers.get("Range", ""), "content_range": self.headers.get("Content-Range", ""),
                "length": self.headers.get("Content-Length", "")}) + "\n")

    def answer(self, status, body=b"", headers=()):
        self.drain()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drain(self):
        while self.left > 0:
            got = self.rfile.read(min(self.left, BLOCK))
            if not got:
                break
            self.left -= len(got)

    # -- tokens -----------------------------------------------------------------------------------------------

    def token(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user, uses = TOKENS["user"], TOKENS["uses"]
        if self.command == "POST":
            form = urllib.parse.parse_qs(self.rfile.read(self.left).decode())
            self.left = 0
            good, query = form.get("refresh_token") == ["refresh-of-ann"], form
        else:
            good = self.headers.get("Authorization", "") == "Basic " + base64.b64encode(user.encode()).decode()
        if not good:
            return self.answer(401, b'{"details":"wrong password"}')
        name = secrets.token_hex(8)
        with lock:
            tokens[name] = [uses, " ".join(query.get("scope", []))]
        self.answer(200, json.dumps({"token": name, "access_token": name, "expires_in": 60}).encode())

    def allowed(self):
        if TOKENS is None:
            return True
        sent = self.headers.get("Authorization", "")
        with lock:
            token = tokens.get(sent[7:]) if sent.startswith("Bearer ") else None
            if token is not None and token[0] > 0:
                token[0] -= 1
                return True
        match = re.match(r"/v2/(.+?)/(?:manifests|blobs|tags|referrers)/", self.path)
        action = "pull" if self.command in ("GET", "HEAD") else "pull,push"
        scope = f',scope="repository:{match[1]}:{action}"' if match else ""
        self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"token needed"}]}', {
            "WWW-Authenticate": f'Bearer realm="{REALM}",service="proxy"{scope}'})
        return False

    # -- requests ---------------------------------------------------------------------------------------------

    def do_CONNECT(self):
        self.left = 0
        self.strip_proxied()
        self.note()
        self.answer(502)

    def handle_any(self):
        self.left = int(self.headers.get("Content-Length", 0) or 0)
        self.strip_proxied()
        try:
            self.route()
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def route(self):
        if self.server.server_port == OTHER:
            self.note()
            return self.token() if self.path.startswith("/token") else self.forward({"do": "pass"})
        is_token = self.path.startswith("/token")
        has_rule = not is_token or any("token" in rule.get("path", "") for rule in RULES)
        rule = pick(self.command, self.path, "Range" in self.headers) if has_rule else {"do": "pass"}
        self.note(rule["do"])
        time.sleep(rule.get("pause", 0))
        if is_token and rule["do"] == "pass":
            return self.token()
        if rule["do"] == "status" and rule.get("before-auth"):
            return self.answer(rule["status"], rule.get("body", "").encode(), rule.get("headers", {}))
        if not is_token and not self.allowed():
            return None
        if rule["do"] == "close":
            self.close_connection = True
            return self.connection.shutdown(2)
        if rule["do"] == "status":
            body = rule.get("body", "").encode() + b" " * rule.get("fill", 0)
            return self.answer(rule["status"], body, rule.get("headers", {}))
        if rule["do"] == "redirect":
            target = rule["to"].format(path=self.path, other=f"http://127.0.0.1:{OTHER}", other_port=OTHER)
            return self.answer(rule.get("status", 307), b"", {"Location": target})
        return self.forward(rule)

    def forward(self, rule):
        upstream = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        dropped = ({"authorization"} if TOKENS else set()) | {"connection", "proxy-connection"} | ({"range"} if rule["do"] == "ignore-range" else set())
        for name, value in self.headers.items():
            if name.lower() == "range" and rule["do"] == "one-range":
                value = value.partition(",")[0]
            if name.lower() not in dropped:
                upstream.putheader(name, value)
        upstream.endheaders()
        limit = rule["bytes"] if rule["do"] in ("cut-request", "swallow-request") else None
        while self.left > 0:
            data = self.rfile.read(min(self.left, BLOCK))
            if not data:
                raise OSError("client went away")
            self.left -= len(data)
            data = data[:limit]
            upstream.send(data)
            if limit is not None:
                limit -= len(data)
                if limit <= 0:
                    if rule["do"] == "swallow-request":
                        self.drain()
                        self.connection.recv(1)
                    upstream.sock.close()
                    self.close_connection = True
                    return self.connection.shutdown(2)
        response = upstream.getresponse()
        if rule["do"] == "lose-answer":
            response.read()
            self.close_connection = True
            return self.connection.shutdown(2)
        self.pass_answer(rule, response)
        upstream.close()

    def pass_answer(self, rule, response):
        status, flip = response.status, rule["do"] == "flip"
        if rule["do"] == "ignore-range" and status == 206:
            status = 200
        self.send_response(status)
        for name, value in response.getheaders():
            if name.lower() in ("connection", "transfer-encoding", "date", "server"):
                continue
            if name.lower() == "content-length" and rule["do"] == "length":
                value = str(int(value) + rule["add"])
            if name.lower() == "content-range" and rule["do"] == "wrong-range":
                value = "bytes 0-9/10"
            if name.lower() == "range" and rule["do"] == "range":
                value = rule["value"]
            if name.lower() == "location" and rule["do"] == "location":
                place = urllib.parse.urlsplit(value)
                value = rule["to"].format(other=f"http://127.0.0.1:{OTHER}") + f"{place.path}?{place.query}"
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        left = rule["bytes"] if rule["do"] in ("cut", "stall") else None
        while True:
            size = BLOCK if rule["do"] != "slow" else rule["bytes"]
            data = response.read(size if left is None else min(size, left))
            if not data:
                break
            if flip:
                data, flip = data[:-1] + bytes([data[-1] ^ 1]), False
            self.wfile.write(data)
            if rule["do"] == "slow":
                time.sleep(0.05)
            if left is not None:
                left -= len(data)
        is_broken = left is None and response.length  # the registry went away
        if is_broken or rule["do"] in ("cut", "length"):
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(2)
        if rule["do"] == "stall":
            self.wfile.flush()
            time.sleep(30)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS["cert"], TLS["key"])
    if "version" in TLS:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, TLS["version"])
    return context


servers = [Server(("127.0.0.1", port), Handler) for port in (OTHER, PORT)]
for server in (servers if TLS and TLS.get("both") else servers[1:] if TLS else []):
    server.socket = tls_context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=servers[0].serve_forever, daemon=True).start()
servers[1].serve_forever()
