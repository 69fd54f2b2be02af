#!/usr/bin/env python3
"""What `lay serve` answers, byte by byte, where the conformance suite asks for a status alone.

    wire.py URL CHECK [ARGUMENT...]

Each check is a function; it says nothing when all is as it should be."""
import email.parser
import http.client
import json
import os
import random
import re
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse

from conformance import (Registry, Wrong, digest_of, expect, image, kConfig, kEmpty, kIndex, kLayer, kManifest,
                         with_query)

kCodes = {"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
          "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED",
          "UNSUPPORTED", "TOOMANYREQUESTS"}  # distribution-spec "Error Codes"


def begin(r, name, query=""):
    return r("POST", f"/v2/{name}/blobs/uploads/{query}", status=202).headers["location"]


def refused(r, status, code, method, path, body=None, **headers):
    """An error document of the specification, and nothing else."""
    answer = r(method, path, body, **headers)
    what = f"{method} {path[:80]}"
    if answer.status not in (status if isinstance(status, tuple) else (status,)):
        raise Wrong(f"{what}: status {answer.status}, expected {status}: {answer.body[:200]}")
    expect(f"{what}: type", answer.headers.get("content-type", "").split(";")[0], "application/json")
    errors = answer.json()["errors"]
    expect(f"{what}: errors", len(errors), 1)
    expect(f"{what}: known code", errors[0]["code"] in kCodes, True)
    expect(f"{what}: code", errors[0]["code"] in (code if isinstance(code, tuple) else (code,)), True)
    expect(f"{what}: message", bool(errors[0]["message"]), True)
    return answer


def errors(r):
    """Each refusal has its code, whoever asks."""
    name, none = "errors/x", digest_of(b"none")
    document = image(r, name)
    pushed = r.push_manifest(name, "1", document)[0]
    refused(r, 404, "BLOB_UNKNOWN", "GET", f"/v2/{name}/blobs/{none}")
    refused(r, 404, "BLOB_UNKNOWN", "DELETE", f"/v2/{name}/blobs/{none}")
    refused(r, 404, ("MANIFEST_UNKNOWN", "NAME_UNKNOWN"), "GET", f"/v2/{name}/manifests/absent")
    refused(r, 404, ("MANIFEST_UNKNOWN", "NAME_UNKNOWN"), "GET", f"/v2/no/such/manifests/{none}")
    refused(r, 404, "MANIFEST_UNKNOWN", "DELETE", f"/v2/{name}/manifests/{none}")
    refused(r, 404, "MANIFEST_UNKNOWN", "DELETE", f"/v2/{name}/manifests/absent")
    refused(r, 404, "NAME_UNKNOWN", "GET", "/v2/no/such/tags/list")
    refused(r, 400, "NAME_INVALID", "GET", "/v2/UPPER/tags/list")
    refused(r, 400, "NAME_INVALID", "POST", "/v2/a..b/blobs/uploads/")
    refused(r, 400, "DIGEST_INVALID", "GET", f"/v2/{name}/blobs/sha256:short")
    refused(r, 400, "DIGEST_INVALID", "GET", f"/v2/{name}/referrers/sha256:short")
    refused(r, 400, "DIGEST_INVALID", "GET", f"/v2/{name}/manifests/md5:{'0' * 32}")
    refused(r, 400, "DIGEST_INVALID", "PUT", f"/v2/{name}/manifests/{none}", json.dumps(document).encode(),
            Content_Type=kManifest)
    refused(r, 400, "MANIFEST_INVALID", "PUT", f"/v2/{name}/manifests/2", b"{", Content_Type=kManifest)
    refused(r, 404, "MANIFEST_BLOB_UNKNOWN", "PUT", f"/v2/{name}/manifests/2",
            json.dumps(document | {"config": {"mediaType": kConfig, "digest": none, "size": 4}}).encode(),
            Content_Type=kManifest)
    wrong_size = json.loads(json.dumps(document))
    wrong_size["layers"][0]["size"] += 1
    refused(r, 400, ("MANIFEST_INVALID", "SIZE_INVALID"), "PUT", f"/v2/{name}/manifests/2",
            json.dumps(wrong_size).encode(), Content_Type=kManifest)
    refused(r, 413, ("MANIFEST_INVALID", "SIZE_INVALID"), "PUT", f"/v2/{name}/manifests/2", b" " * (4 * 1024 * 1024 + 1),
            Content_Type=kManifest)
    gone = f"/v2/{name}/blobs/uploads/{'0' * 32}"
    for method in ("GET", "PATCH", "DELETE"):
        refused(r, 404, "BLOB_UPLOAD_UNKNOWN", method, gone, b"x" if method == "PATCH" else None)
    refused(r, 404, "BLOB_UPLOAD_UNKNOWN", "PUT", f"{gone}?digest={none}")
    refused(r, 400, "DIGEST_INVALID", "PUT", begin(r, name))
    refused(r, 400, "DIGEST_INVALID", "PUT", f"{begin(r, name)}?digest={none}", b"other")
    place = begin(r, name)
    answer = refused(r, 416, "BLOB_UPLOAD_INVALID", "PATCH", place, b"x", Content_Range="5-5")
    expect("where it is", (answer.headers["location"], answer.headers["range"]), (place, "0-0"))
    refused(r, 405, "UNSUPPORTED", "POST", f"/v2/{name}/manifests/1")
    refused(r, 405, "UNSUPPORTED", "PUT", f"/v2/{name}/blobs/{none}")
    expect("nothing came of it", r("GET", f"/v2/{name}/tags/list", status=200).json()["tags"], ["1"])
    head = r("HEAD", f"/v2/{name}/manifests/absent", status=404)
    expect("body of HEAD", head.body, b"")
    expect("still there", r("GET", f"/v2/{name}/manifests/{pushed['digest']}", status=200).json(), document)


def parts_of(answer):
    """The parts of multipart/byteranges as another reader sees them: their ranges and bytes."""
    text = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.body
    message = email.parser.BytesParser().parsebytes(text)
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()]


def ranges(r):
    name, data = "ranges/x", os.urandom(100_000).replace(b"\r", b"-").replace(b"\n", b"-")
    path = f"/v2/{name}/blobs/{r.push_blob(name, data)['digest']}"

    def one(header, start, end):
        answer = r("GET", path, status=206, Range=header)
        expect(header, (answer.headers["content-range"], answer.headers["content-length"]),
               (f"bytes {start}-{end - 1}/100000", str(end - start)))
        expect(header, answer.body == data[start:end], True)

    one("bytes=0-0", 0, 1)
    one("bytes=99999-", 99_999, 100_000)
    one("bytes=-1", 99_999, 100_000)
    one("bytes=-100000", 0, 100_000)
    one("bytes=-999999", 0, 100_000)
    one("bytes=50000-999999", 50_000, 100_000)
    one("bytes=0-9,100000-", 0, 10)  # of what is not there, nothing
    for header in ("bytes=100000-", "bytes=100000-100001", "bytes=-0", "bytes=200000-,300000-"):
        answer = refused(r, 416, "SIZE_INVALID", "GET", path, Range=header)
        expect(header, answer.headers["content-range"], "bytes */100000")
    for header in ("bytes=9-1", "bytes=a-b", "lines=0-9", "bytes=", "bytes=--5", "bytes=5", "bytes=1-2-3"):
        answer = r("GET", path, status=200, Range=header)  # RFC 9110: ignored
        expect(header, answer.body == data, True)
    answer = r("GET", path, status=206, Range="bytes=0-9, 50000-50009 ,-10")
    expect("parts", parts_of(answer), [("bytes 0-9/100000", data[:10]), ("bytes 50000-50009/100000", data[50_000:50_010]),
                                       ("bytes 99990-99999/100000", data[99_990:])])
    head = r("HEAD", path, status=200, Range="bytes=0-9")
    expect("HEAD", head.headers["content-length"], "100000")
    etag = head.headers["etag"]
    r("GET", path, status=206, Range="bytes=0-9", If_Range=etag)
    expect("If-Range", len(r("GET", path, status=200, Range="bytes=0-9", If_Range='"other"').body), 100_000)
    expect("If-None-Match", r("GET", path, status=304, If_None_Match=etag).body, b"")
    empty = f"/v2/{name}/blobs/{r.push_blob(name, b'')['digest']}"
    r("GET", empty, status=416, Range="bytes=0-")
    expect("an empty one", r("GET", empty, status=200).body, b"")


def many_ranges(r):
    """A thousand parts of one byte, which may be refused or given, but not cost a thousand blobs."""
    name, data = "ranges/many", os.urandom(2_000_000)
    path = f"/v2/{name}/blobs/{r.push_blob(name, data)['digest']}"
    for header in ("bytes=" + ",".join(f"{i * 3}-{i * 3}" for i in range(1000)), "bytes=" + ",".join(["0-"] * 1000)):
        answer = r("GET", path, status=(200, 206, 400, 416, 431), Range=header)
        expect("bytes sent", len(answer.body) < 3_000_000, True)


def next_of(answer):
    link = answer.headers.get("link")
    return link and link[link.index("<") + 1:link.index(">")]


def referrers(r):
    """More than a page of them, of two types, each exactly once and complete when the pages are filtered too."""
    name = "referrers/many"
    subject = r.push_manifest(name, "subject", image(r, name))[0]
    empty = {"mediaType": kEmpty} | r.push_blob(name, b"{}")
    digests = {"a/x": set(), "b/y": set()}
    for i in range(24):
        kind = "a/x" if i % 3 else "b/y"
        document = {"schemaVersion": 2, "mediaType": kManifest, "artifactType": kind, "config": empty, "layers": [empty],
                    "subject": subject, "annotations": {"number": str(i)}}
        digests[kind].add(r.push_manifest(name, digest_of(json.dumps(document).encode()), document)[0]["digest"])
    for wanted, query in ((digests["a/x"] | digests["b/y"], "?n=5"), (digests["a/x"], "?n=5&artifactType=a%2Fx"),
                          (digests["b/y"], "?artifactType=b/y"), (set(), "?artifactType=none")):
        path, found = f"/v2/{name}/referrers/{subject['digest']}{query}", []
        while path:
            answer = r("GET", path, status=200)
            expect("index", (answer.headers["content-type"], answer.json()["mediaType"]), (kIndex, kIndex))
            if "artifactType" in query:
                expect("filtered", answer.headers["oci-filters-applied"], "artifactType")
            found += [entry["digest"] for entry in answer.json()["manifests"]]
            path = next_of(answer)
        expect(query, sorted(found), sorted(wanted))
    # An index may be a referrer too, and an image's artifact type is that of its config
    inner = r.push_manifest(name, "inner", image(r, name))[0]
    index = {"schemaVersion": 2, "mediaType": kIndex, "artifactType": "i/z", "manifests": [inner], "subject": subject}
    answer = r.push_manifest(name, digest_of(json.dumps(index).encode()), index, kIndex)[1]
    expect("OCI-Subject", answer.headers["oci-subject"], subject["digest"])
    plain = image(r, name, {"subject": subject})
    r.push_manifest(name, digest_of(json.dumps(plain).encode()), plain)
    listed = {entry["digest"]: entry for entry in r("GET", f"/v2/{name}/referrers/{subject['digest']}",
                                                    status=200).json()["manifests"]}
    expect("index", listed[digest_of(json.dumps(index).encode())]["artifactType"], "i/z")
    expect("image", listed[digest_of(json.dumps(plain).encode())]["artifactType"], kConfig)
    # Where there is nothing, not even a repository, the list is empty
    expect("none", r("GET", f"/v2/no/such/referrers/{digest_of(b'x')}", status=200).json()["manifests"], [])


def sha512(r):
    """All that is done by sha256 is done by sha512: sessions, chunks, mounts, manifests, tags, referrers, deletion."""
    name, data = "sha512/x", os.urandom(50_000)
    digest = digest_of(data, "sha512")
    place = begin(r, name)
    place = r("PATCH", place, data[:20_000], status=202, Content_Range="0-19999").headers["location"]
    place = r("PATCH", place, data[20_000:], status=202, Content_Range="20000-49999").headers["location"]
    answer = r("PUT", with_query(place, digest=digest), status=201)
    expect("digest", answer.headers["docker-content-digest"], digest)
    expect("bytes", r("GET", f"/v2/{name}/blobs/{digest}", status=200).body == data, True)
    expect("part", r("GET", f"/v2/{name}/blobs/{digest}", status=206, Range="bytes=-10").body == data[-10:], True)
    refused(r, 400, "DIGEST_INVALID", "PUT", f"{begin(r, name)}?digest={digest}", data[1:])
    r("POST", f"/v2/{name}/y/blobs/uploads/?mount={digest}&from={name}", status=201)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    document = {"schemaVersion": 2, "mediaType": kManifest, "config": {"mediaType": kConfig} | r.push_blob(name, config, "sha512"),
                "layers": [{"mediaType": kLayer, "digest": digest, "size": len(data)}]}
    text = json.dumps(document).encode()
    manifest = digest_of(text, "sha512")
    r("PUT", f"/v2/{name}/manifests/{manifest}", text, status=201, Content_Type=kManifest)
    head = r("HEAD", f"/v2/{name}/manifests/{manifest}", status=200)
    expect("digest", head.headers["docker-content-digest"], manifest)
    index = {"schemaVersion": 2, "mediaType": kIndex, "manifests": [{"mediaType": kManifest, "digest": manifest, "size": len(text)}]}
    r.push_manifest(name, "all", index, kIndex)
    referrer = document | {"subject": {"mediaType": kManifest, "digest": manifest, "size": len(text)}}
    answer = r.push_manifest(name, "referrer", referrer)[1]
    expect("OCI-Subject", answer.headers["oci-subject"], manifest)
    expect("referrers", len(r("GET", f"/v2/{name}/referrers/{manifest}", status=200).json()["manifests"]), 1)
    r("DELETE", f"/v2/{name}/manifests/all", status=202)
    r("DELETE", f"/v2/{name}/manifests/{manifest}", status=202)
    r("GET", f"/v2/{name}/manifests/{manifest}", status=404)


def cancel(r):
    """What is cancelled is gone with its bytes, whether it is new, half or claimed, and can be begun again."""
    name, data = "cancel/x", os.urandom(300_000)
    for sent in (0, 1, 200_000):
        place = begin(r, name)
        if sent:
            place = r("PATCH", place, data[:sent], status=202).headers["location"]
        r("DELETE", place, status=204)
        for method in ("GET", "DELETE"):
            refused(r, 404, "BLOB_UPLOAD_UNKNOWN", method, place)
        refused(r, 404, "BLOB_UPLOAD_UNKNOWN", "PUT", with_query(place, digest=digest_of(data)), data)
    r("HEAD", f"/v2/{name}/blobs/{digest_of(data)}", status=404)
    r.push_blob(name, data)


def metric(r, name):
    text = r("GET", "/metrics", status=200).body.decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(re.escape(name) + r"[ {]", line))


def metrics(r):
    """Text of Prometheus' form 0.0.4, whose counters grow by what was done."""
    answer = r("GET", "/metrics", status=200)
    expect("type", answer.headers["content-type"].startswith("text/plain; version=0.0.4"), True)
    types, line_form = {}, re.compile(r'^([a-z_]+)(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? ([0-9.e+]+|\+Inf)$')
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            expect(f"{name}: twice", name in types, False)
            types[name] = kind
        elif not line.startswith("# HELP "):
            found = line_form.match(line)
            expect(f"line '{line}'", bool(found), True)
            base = re.sub("_(bucket|sum|count)$", "", found[1])
            expect(f"{line}: has a type", found[1] in types or types.get(base) == "histogram", True)
    expect("ends", answer.body.endswith(b"\n"), True)
    names = ("lay_received_bytes_total", "lay_sent_bytes_total", "lay_request_seconds_count",
             'lay_requests_total{method="PUT",status="2xx"}', 'lay_requests_total{method="GET",status="4xx"}')
    before = [metric(r, name) if "{" not in name else counted(r, name) for name in names]
    data = os.urandom(500_000)
    blob = r.push_blob("metrics/x", data)
    r("GET", f"/v2/metrics/x/blobs/{blob['digest']}", status=200)
    r("GET", f"/v2/metrics/x/blobs/{digest_of(b'none')}", status=404)
    after = [metric(r, name) if "{" not in name else counted(r, name) for name in names]
    grown = [now - then for now, then in zip(after, before)]
    expect("received", 500_000 <= grown[0] < 501_000, True)
    expect("sent", 500_000 <= grown[1] < 600_000, True)
    expect("requests", grown[2] >= 4, True)
    expect("PUT", grown[3], 1)
    expect("404", grown[4], 1)
    place = begin(r, "metrics/x")
    expect("an open upload", metric(r, "lay_uploads"), 1)
    r("DELETE", place, status=204)
    expect("no open upload", metric(r, "lay_uploads"), 0)
    buckets = [float(line.rsplit(" ", 1)[1]) for line in r("GET", "/metrics", status=200).body.decode().splitlines()
               if line.startswith("lay_request_seconds_bucket")]
    expect("buckets grow", buckets, sorted(buckets))
    expect("the last holds all", buckets[-1] <= metric(r, "lay_request_seconds_count"), True)


def counted(r, series):
    text = r("GET", "/metrics", status=200).body.decode()
    return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series + " ")), 0)


def connect(r):
    host, port = r.host.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=20)


def crowd(r, pid):
    """2,000 connections that wait and 500 that work: none fails, and the server stays below 100 MB."""
    data = os.urandom(200_000)
    path = f"/v2/crowd/x/blobs/{r.push_blob('crowd/x', data)['digest']}"
    request = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    idle = [connect(r) for _ in range(2000)]
    for connection in idle:
        connection.sendall(request)
        expect("idle", connection.recv(4096).startswith(b"HTTP/1.1 200"), True)
    active = []
    for _ in range(500):
        connection = connect(r)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        active.append(connection)
    for connection in active:
        response = http.client.HTTPResponse(connection)
        response.begin()
        expect("active", (response.status, response.read() == data), (200, True))
        connection.close()
    expect("counted", metric(r, "lay_connections") >= 2000, True)
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    expect(f"peak of {peak} KiB", peak < 100_000_000 // 1024, True)
    for connection in idle:  # all of them are still good
        connection.sendall(request)
        expect("idle again", connection.recv(4096).startswith(b"HTTP/1.1 200"), True)
        connection.close()


def trickling(r, seconds):
    """300 connections that send a header by a byte now and then: the others are served, and all of them are cut."""
    slow = [connect(r) for _ in range(300)]
    for connection in slow:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nX: ")
    end, begun = time.monotonic() + float(seconds), time.monotonic()
    alive = set(slow)
    while alive and time.monotonic() < end:
        for connection in list(alive):
            try:
                connection.sendall(b"x")
            except OSError:
                alive.discard(connection)
        asked = time.monotonic()
        r("GET", "/v2/", status=200)
        expect("answered at once", time.monotonic() - asked < 1, True)
        time.sleep(0.3)
    expect("still open", len(alive), 0)
    expect("not at once", time.monotonic() - begun > 0.9, True)


def readers(r):
    """Who asks for a blob and reads nothing is cut. The idle timeout is one second."""
    data = os.urandom(20_000_000)
    path = f"/v2/readers/x/blobs/{r.push_blob('readers/x', data)['digest']}"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()

    deaf, cut = [deaf_reader(r, request) for _ in range(20)], 0
    time.sleep(3)
    for connection in deaf:
        size = 0
        try:
            while part := connection.recv(1 << 20):
                size += len(part)
        except ConnectionError:
            pass
        cut += size < len(data)
    expect("cut", cut, len(deaf))


def deaf_reader(r, request):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that little of it can be under way
    connection.settimeout(20)
    host, port = r.host.rsplit(":", 1)
    connection.connect((host, int(port)))
    connection.sendall(request)
    return connection


def slow_reader(r):
    """Who takes 100 KB in each second gets all of a blob, however long that takes. The idle timeout is one second."""
    data = os.urandom(20_000_000)
    path = f"/v2/readers/x/blobs/{r.push_blob('readers/x', data)['digest']}"
    slow = deaf_reader(r, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    got = b""
    for _ in range(15):
        time.sleep(0.2)
        got += slow.recv(20_000)
    while part := slow.recv(1 << 20):
        got += part
    expect("bytes", len(got.partition(b"\r\n\r\n")[2]), len(data))


def steady_readers(r, seconds, *rates):
    """Readers at such bytes per second are never cut, however long the send buffer stays full."""
    data = os.urandom(20_000_000)
    path = f"/v2/readers/x/blobs/{r.push_blob('readers/x', data)['digest']}"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    got = {deaf_reader(r, request): (rate, b"") for rate in map(int, rates)}
    for _ in range(int(seconds) * 10):
        time.sleep(0.1)
        for reader, (rate, before) in got.items():
            got[reader] = rate, before + reader.recv(rate // 10)
    for reader, (rate, part) in got.items():
        while more := reader.recv(1 << 20):
            part += more
        expect(f"bytes at {rate}", len(part.partition(b"\r\n\r\n")[2]), len(data))


def restless(r, pid):
    """Eight clients that push over connections which stay open, and go on while the server is told to stop. Those whose
    request had begun are answered; what was confirmed is on disk, so the caller looks at how the server ends."""
    document = image(r, "restless/x")
    data, seen = json.dumps(document).encode(), []

    def client(number):
        connection = http.client.HTTPConnection(r.host, timeout=20)
        try:
            while True:
                connection.request("PUT", f"/v2/restless/x/manifests/t{number}", body=data, headers={"Content-Type": kManifest})
                answer = connection.getresponse()
                answer.read()
                seen.append(answer.status)
                if answer.will_close:
                    return
                time.sleep(random.uniform(0, 0.04))
        except (OSError, http.client.HTTPException):
            return  # between two requests

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while len(seen) < 20:
        time.sleep(0.005)
    os.kill(int(pid), signal.SIGTERM)
    told = time.monotonic()
    for thread in threads:
        thread.join()
    expect("answers", set(seen) <= {201, 503}, True)
    expect("ends in time", time.monotonic() - told < 5, True)


def tokens(r):
    """A token is as good as the login that it was given for, and no better; that for nobody as none."""
    ci = Registry("http://" + r.host, "ci:s3cret:pw")

    def bearer(token):
        registry = Registry("http://" + r.host, None)
        registry.headers = {"Authorization": "Bearer " + token}
        return registry

    given = ci("GET", f"/token?service={r.host}&scope=repository:team/app:pull,push", status=200).json()
    expect("the same twice", given["token"], given["access_token"])
    expect("for a while", given["expires_in"] >= 60, True)
    logged_in, nobody = bearer(given["token"]), bearer(r("GET", "/token", status=200).json()["token"])
    begin(logged_in, "team/app")
    refused(logged_in, 403, "DENIED", "POST", "/v2/other/blobs/uploads/", b"")
    logged_in("GET", "/v2/_catalog", status=200)
    nobody("GET", "/v2/", status=200)
    nobody("GET", "/v2/public/x/tags/list", status=404)
    for method, path, body in (("GET", "/metrics", None), ("GET", "/v2/_catalog", None), ("GET", "/v2/team/app/tags/list", None),
                               ("POST", "/v2/public/x/blobs/uploads/", b"")):
        refused(nobody, 401, "UNAUTHORIZED", method, path, body)
    challenge = nobody("POST", "/v2/team/app/blobs/uploads/", b"", status=401).headers["www-authenticate"]
    expect("scope", challenge.endswith(',scope="repository:team/app:pull,push"'), True)
    refused(bearer("0" * 64), 401, "UNAUTHORIZED", "GET", "/v2/")
    refused(bearer(""), 401, "UNAUTHORIZED", "GET", "/v2/")
    wrong = Registry("http://" + r.host, "ci:wrong")("GET", "/token", status=401)
    expect("at the endpoint", wrong.headers["www-authenticate"].startswith("Basic "), True)
    refused(r, 405, "UNSUPPORTED", "POST", "/token", b"grant_type=password&username=ci&password=s3cret:pw")
    refused(logged_in, 401, "UNAUTHORIZED", "GET", "/token")  # no token from a token
    # Where the address of the endpoint is not certain, nobody is sent to it
    for host, proto, kind in (("evil.example", "", "Basic"), ('a",x="', "", "Basic"), ("registry.example", "https", "Basic"),
                              ("127.0.0.1:5000", "https", "Basic")):
        answer = r("GET", "/v2/", status=401, Host=host, **({"X_Forwarded_Proto": proto} if proto else {}))
        expect(f"for {host}", answer.headers["www-authenticate"].split()[0], kind)


def revoked(r, token):
    refused(r, 401, "UNAUTHORIZED", "GET", "/v2/", Authorization="Bearer " + token)


def refused_in_time(r):
    """Whoever sends a body with a wrong password can send all of it, and is told then."""
    wrong = Registry("http://" + r.host, "ann:wrong")
    for size in (4 * 1024 * 1024, 1):
        answer = wrong("PUT", f"/v2/x/blobs/uploads/{'0' * 32}?digest={digest_of(b'')}", os.urandom(size), status=401)
        expect("code", answer.code(), "UNAUTHORIZED")


def slow_sync(r, trace):
    """While a sync of the disk takes seconds at the end of a chunk (the caller's strace sees to that), none of the
    connections that were open before waits for it."""
    connections = [http.client.HTTPConnection(r.host, timeout=20) for _ in range(24)]

    def ask(connection):
        begun = time.monotonic()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        return time.monotonic() - begun

    for connection in connections:
        ask(connection)
    place, answers = begin(r, "slow/x"), []
    patch = threading.Thread(target=lambda: answers.append(r("PATCH", place, os.urandom(20 * 1024 * 1024)).status))
    patch.start()
    # The answer does not wait for the sync, whose line is there when it has ended.
    end, times = time.monotonic() + 20, []
    while not (answers and "= 0" in open(trace).read()) and time.monotonic() < end:
        times += [ask(connection) for connection in connections]
        time.sleep(0.1)
    expect("a sync was held up", "DELAYED" in open(trace).read(), True)
    expect(f"{max(times):.2f} s at most", max(times) < 1, True)
    patch.join()
    expect("the chunk", answers, [202])


def cut_short(r):
    """What a client took before it went away is counted as sent, and no more than that."""
    blob = r.push_blob("cut/x", os.urandom(48 * 1024 * 1024))
    before = metric(r, "lay_sent_bytes_total")
    with connect(r) as connection:
        connection.sendall(f"GET /v2/cut/x/blobs/{blob['digest']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        had = 0
        while had < 24 * 1024 * 1024:
            had += len(connection.recv(1024 * 1024))
    end = time.monotonic() + 10
    while (sent := metric(r, "lay_sent_bytes_total") - before) < had and time.monotonic() < end:
        time.sleep(0.05)
    expect(f"{sent} sent, {had} taken", had <= sent < blob["size"], True)


def read_only(r):
    """Nothing changes what is there; all of it can be read."""
    name, none = "small", digest_of(b"none")
    manifest = r("GET", f"/v2/{name}/manifests/latest", status=200)
    layer = manifest.json()["layers"][0]["digest"]
    r("GET", f"/v2/{name}/blobs/{layer}", status=200)
    r("GET", f"/v2/{name}/tags/list", status=200)
    for method, path, body in (("POST", "blobs/uploads/", b""), ("POST", f"blobs/uploads/?mount={layer}&from={name}", b""),
                               ("POST", f"blobs/uploads/?digest={none}", b"none"), ("PATCH", f"blobs/uploads/{'0' * 32}", b"x"),
                               ("PUT", f"blobs/uploads/{'0' * 32}?digest={none}", b""), ("PUT", "manifests/2", manifest.body),
                               ("DELETE", "manifests/latest", None), ("DELETE", f"blobs/{layer}", None),
                               ("DELETE", f"manifests/{manifest.headers['docker-content-digest']}", None)):
        refused(r, 405, "UNSUPPORTED", method, f"/v2/{name}/{path}", body, Content_Type=kManifest)
    expect("tags", r("GET", f"/v2/{name}/tags/list", status=200).json()["tags"], ["latest"])


def rights(r):
    """Who may do what, for each kind of request: `ci` writes below team/, `ann` reads there, `root` may delete, and
    everybody reads below public/."""
    users = {user: Registry("http://" + r.host, user and f"{user}:s3cret:pw") for user in ("root", "ci", "ann", "bob", "")}
    name = "team/app"
    document = image(users["root"], name)
    pushed = users["root"].push_manifest(name, "1", document)[0]
    text, layer = json.dumps(document).encode(), document["layers"][0]["digest"]
    upload = begin(users["root"], name)
    wanted = {  # method, path, body: statuses for root, ci, ann, bob (no rule) and nobody
        ("GET", f"/v2/{name}/manifests/1", None): (200, 200, 200, 403, 401),
        ("HEAD", f"/v2/{name}/blobs/{layer}", None): (200, 200, 200, 403, 401),
        ("GET", f"/v2/{name}/tags/list", None): (200, 200, 200, 403, 401),
        ("GET", f"/v2/{name}/referrers/{layer}", None): (200, 200, 200, 403, 401),
        ("PUT", f"/v2/{name}/manifests/2", text): (201, 201, 403, 403, 401),
        ("POST", f"/v2/{name}/blobs/uploads/", b""): (202, 202, 403, 403, 401),
        ("GET", upload, None): (204, 204, 403, 403, 401),
        ("PATCH", upload, b""): (202, 202, 403, 403, 401),
        ("DELETE", f"/v2/{name}/manifests/none", None): (404, 403, 403, 403, 401),
        ("DELETE", f"/v2/{name}/blobs/{digest_of(b'none')}", None): (404, 403, 403, 403, 401),
        ("GET", "/v2/public/x/tags/list", None): (404, 404, 404, 404, 404),
        ("POST", "/v2/public/x/blobs/uploads/", b""): (202, 403, 403, 403, 401),
        ("GET", "/v2/teams/app/tags/list", None): (404, 403, 403, 403, 401),
        ("GET", "/v2/team/tags/list", None): (404, 403, 403, 403, 401),
        ("GET", "/v2/", None): (200, 200, 200, 200, 401),
        ("GET", "/metrics", None): (200, 200, 200, 200, 401),
        ("GET", "/healthz", None): (200, 200, 200, 200, 200),
    }
    for (method, path, body), statuses in wanted.items():
        got = tuple(users[user](method, path, body, **({"Content_Type": kManifest} if method == "PUT" else {})).status
                    for user in users)
        expect(f"{method} {path}", got, statuses)
    challenge = users[""]("GET", "/v2/").headers["www-authenticate"]
    expect("challenge", challenge, f'Bearer realm="http://{r.host}/token",service="{r.host}"')
    refused(users[""], 401, "UNAUTHORIZED", "GET", "/v2/_catalog")
    for user, seen in (("ci", ["team/app"]), ("bob", [])):
        expect(f"catalog of {user}", users[user]("GET", "/v2/_catalog", status=200).json()["repositories"], seen)
    # Nobody gets at a blob by mounting it from where he may not read
    users["root"].push_blob("secret/x", b"secret")
    answer = users["ci"]("POST", f"/v2/{name}/blobs/uploads/?mount={digest_of(b'secret')}&from=secret/x", status=202)
    users["ci"]("HEAD", f"/v2/{name}/blobs/{digest_of(b'secret')}", status=404)
    expect("an upload instead", "location" in answer.headers, True)
    expect("manifest", users["ann"]("GET", f"/v2/{name}/manifests/{pushed['digest']}", status=200).body, text)


def pushed_in_pieces(r, prune):
    """Blobs, a collection by another process, and only then the manifest that needs them."""
    name = "pieces/x"
    document = image(r, name)
    place = r("PATCH", begin(r, name), b"half", status=202).headers["location"]
    os.system(prune)
    r("PUT", with_query(place, digest=digest_of(b"half of it")), b" of it", status=201)
    pushed = r.push_manifest(name, "1", document)[0]
    os.system(prune)
    expect("manifest", r("GET", f"/v2/{name}/manifests/1", status=200).json(), document)
    for blob in (document["config"], document["layers"][0]):
        expect("blob", digest_of(r("GET", f"/v2/{name}/blobs/{blob['digest']}", status=200).body), blob["digest"])
    r("HEAD", f"/v2/{name}/manifests/{pushed['digest']}", status=200)


def together(r, seconds):
    """Four clients push, read, retag and delete for some seconds: whatever was answered with 201 is there until it is
    deleted, and no request fails by the server's fault."""
    failures, end = [], time.monotonic() + float(seconds)

    def client(number):
        mine = Registry("http://" + r.host, None)
        name, turn = f"together/{number % 2}", 0
        try:
            while time.monotonic() < end:
                turn += 1
                document = image(mine, name, annotations={"who": f"{number}-{turn}"})
                pushed = mine.push_manifest(name, f"t{number}", document)[0]
                expect("by tag", mine("GET", f"/v2/{name}/manifests/t{number}", status=200).json(), document)
                layer = document["layers"][0]["digest"]
                expect("layer", digest_of(mine("GET", f"/v2/{name}/blobs/{layer}", status=200).body), layer)
                other = f"together/{(number + 1) % 2}"
                mine("POST", f"/v2/{other}/blobs/uploads/?mount={layer}&from={name}", status=201)
                mine("DELETE", f"/v2/{name}/manifests/{pushed['digest']}", status=202)
                mine("GET", f"/v2/{name}/manifests/t{number}", status=404)
                mine("HEAD", f"/v2/{other}/blobs/{layer}", status=200)
        except (Wrong, OSError, ValueError, http.client.HTTPException) as wrong:
            failures.append(f"client {number}, turn {turn}: {type(wrong).__name__}: {wrong}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect("failures", failures, [])


def large_header(r, certificate):
    """Over TLS too, a header of 1 MB and 10,000 headers end the connection and not the server."""
    context = ssl.create_default_context(cafile=certificate)
    for header in (b"X: " + b"y" * 1_000_000 + b"\r\n", b"".join(b"X-%d: y\r\n" % i for i in range(10_000)),
                   b"Cookie: " + b"a=b; " * 100_000 + b"\r\n"):
        answer = b""
        with context.wrap_socket(connect(r), server_hostname="localhost") as connection:
            try:
                connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n")
                while part := connection.recv(65536):
                    answer += part
            except (ConnectionError, ssl.SSLError):
                pass  # ended before all of it was sent
        expect("status", answer[9:12] in (b"", b"400", b"413", b"431"), True)
    with context.wrap_socket(connect(r), server_hostname="localhost") as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        expect("alive", connection.recv(4096)[:12], b"HTTP/1.1 200")


def main(url, name, *arguments):
    try:
        globals()[name](Registry(url, None), *arguments)
    except (Wrong, KeyError, ValueError, OSError, http.client.HTTPException, TypeError) as wrong:
        return f"{name}: {type(wrong).__name__}: {wrong}"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
