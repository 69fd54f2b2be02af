"""A token server for docker-registry ("auth: token"), whose tokens are worth nothing after two seconds.

usage: token_server.py PORT FOLDER

Listens on 127.0.0.1:PORT for GET /token with the Basic credentials of ann (s3cret:pw) and gives what is asked for.
FOLDER/cert and FOLDER/key are an RSA certificate, the registry's rootcertbundle. FOLDER/tokens gets a line with the
scopes for each token that was given out.
"""
import base64
import hashlib
import http.server
import json
import secrets
import ssl
import subprocess
import sys
import time
import urllib.parse

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
ANN = "Basic " + base64.b64encode(b"ann:s3cret:pw").decode()
kLeeway, kLife = 60, 2  # seconds: docker-registry takes tokens for the first after their end


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header, claims):
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{FOLDER}/key"], input=text.encode(),
                            stdout=subprocess.PIPE, check=True)
    return text + "." + encoded(signed.stdout)


def access_of(scopes):
    parts = [scope.split(":") for scope in scopes]
    return [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in parts]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if self.headers.get("Authorization") != ANN:
            return self.answer(401, {"details": "who are you"})
        scopes = [scope for field in query.get("scope", []) for scope in field.split()]
        with open(f"{FOLDER}/cert") as file:
            certificate = ssl.PEM_cert_to_DER_cert(file.read())
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(certificate).decode()]}
        token = sign(header, {"iss": "lay-tests", "aud": "registry", "sub": "ann", "jti": secrets.token_hex(8),
                              "nbf": now - 90, "iat": now - 90, "exp": now - kLeeway + kLife,
                              "access": access_of(scopes)})
        with open(f"{FOLDER}/tokens", "a") as log:
            log.write(f"{hashlib.sha256(token.encode()).hexdigest()} {' '.join(scopes)}\n")
        return self.answer(200, {"token": token, "expires_in": 60})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
