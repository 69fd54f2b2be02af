#!/usr/bin/env python3
"""What a client of `lay serve` who may write to his own repository tries against everybody else's.

    intruder.py URL ATTACK

The server has the users alice and bob (password s3cret:pw), who may each write below their own name."""
import base64
import hashlib
import http.client
import json
import sys
import threading
import time
import urllib.parse

kConfig = "application/vnd.oci.image.config.v1+json"
kManifest = "application/vnd.oci.image.manifest.v1+json"
kIndex = "application/vnd.oci.image.index.v1+json"
kForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
host = urllib.parse.urlsplit(sys.argv[1]).netloc


def ask(user, method, path, body=None, **headers):
    login = base64.b64encode(f"{user}:s3cret:pw".encode()).decode()
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request(method, path, body=body, headers={
        "Authorization": f"Basic {login}", **{name.replace("_", "-"): value for name, value in headers.items()}})
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def must(expected, answer):
    assert answer[0] == expected, f"status {answer[0]}, expected {expected}: {answer[1][:200]}"
    return answer


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def push_blob(user, repository, data):
    must(201, ask(user, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data))
    return digest_of(data)


def push_manifest(user, repository, reference, document, expected=201):
    data = json.dumps(document).encode()
    must(expected, ask(user, "PUT", f"/v2/{repository}/manifests/{reference or digest_of(data)}", data,
                       Content_Type=document["mediaType"]))
    return {"mediaType": document["mediaType"], "digest": digest_of(data), "size": len(data)}


def image(layers, config=None):
    data = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    push_blob("alice", "alice/x", data)
    return {"schemaVersion": 2, "mediaType": kManifest, "layers": layers,
            "config": config or {"mediaType": kConfig, "digest": digest_of(data), "size": len(data)}}


def mount():
    """A name that ends early for the file system, or means another repository there."""
    secret = push_blob("bob", "bob/x", b"bob's own")
    push_blob("alice", "alice/x", b"alice's own")
    for name in ("alice/x%00", "alice/x%00/../../bob/x", "bob+x", "../bob/x", "a" * 400, "bob/x/blobs"):
        status, _, _ = ask("alice", "POST", f"/v2/alice/x/blobs/uploads/?mount={secret}&from={name}")
        assert status in (202, 400), f"from={name}: {status}"
    must(202, ask("alice", "POST", f"/v2/alice/x/blobs/uploads/?mount={secret}&from=bob/x"))
    must(404, ask("alice", "GET", f"/v2/alice/x/blobs/{secret}"))


def foreign():
    """A layer or a config that is said to be elsewhere, named by an image or by an index."""
    secret = push_blob("bob", "bob/x", b"bob's own")
    named = {"digest": secret, "size": 9}
    good = push_manifest("alice", "alice/x", None, image([]))
    good["platform"] = {"architecture": "amd64", "os": "linux"}
    bad = push_manifest("alice", "alice/x", None, image([{"mediaType": kForeign, **named}]))
    bad["platform"] = {"architecture": "arm64", "os": "linux"}
    push_manifest("alice", "alice/x", "1", {"schemaVersion": 2, "mediaType": kIndex, "manifests": [good, bad]})
    must(404, ask("alice", "GET", f"/v2/alice/x/blobs/{secret}"))
    push_manifest("alice", "alice/x", "2", image([], {"mediaType": "application/foreign", **named}), 404)
    push_manifest("alice", "alice/x", "3", image([{"mediaType": "application/x-foreign", **named}]), 404)
    must(404, ask("alice", "GET", f"/v2/alice/x/blobs/{secret}"))


def append():
    """More bytes for an upload that ends at this moment, whose file is then a blob that others have too."""
    for turn in range(20):
        data = bytes([turn]) * 20000
        digest = push_blob("bob", "bob/x", data)
        _, _, headers = must(202, ask("alice", "POST", "/v2/alice/x/blobs/uploads/"))
        place = headers["Location"]
        must(202, ask("alice", "PATCH", place, data[:-1]))
        ended = threading.Event()

        def go_on():
            while not ended.is_set():
                ask("alice", "PATCH", place, b"more")

        threads = [threading.Thread(target=go_on) for _ in range(3)]
        must(202, ask("alice", "PATCH", place, data[-1:]))
        for thread in threads:
            thread.start()
        ask("alice", "PUT", f"{place}?digest={digest}")
        ended.set()
        for thread in threads:
            thread.join()
        _, got, _ = must(200, ask("bob", "GET", f"/v2/bob/x/blobs/{digest}"))
        assert got == data, f"{len(got)} bytes, expected {len(data)}"


def maze():
    """Indexes of indexes that name the same again and again; others push meanwhile."""
    entry = push_manifest("alice", "alice/x", None, image([]))
    for _ in range(4):
        entry = push_manifest("alice", "alice/x", None,
                              {"schemaVersion": 2, "mediaType": kIndex, "manifests": [entry] * 200})
    begun = time.monotonic()
    push_manifest("alice", "alice/x", "deep", {"schemaVersion": 2, "mediaType": kIndex, "manifests": [entry] * 200})
    assert time.monotonic() - begun < 5, "the index kept the server busy"


def starve():
    """As many uploads as there may be, only begun; the server has a limit of 8."""
    for _ in range(8):
        must(202, ask("alice", "POST", "/v2/alice/x/blobs/uploads/"))
    must(429, ask("bob", "POST", "/v2/bob/x/blobs/uploads/"))


{function.__name__: function for function in (mount, foreign, append, maze, starve)}[sys.argv[2]]()
