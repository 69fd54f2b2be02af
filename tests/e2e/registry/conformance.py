#!/usr/bin/env python3
"""The checks of the OCI distribution conformance suite (distribution-spec 1.1), written anew, and some beyond it.

    conformance.py URL [--user NAME:PASSWORD] [--lenient CHECK,...]

Each check is a function; its name is a sentence. --lenient names checks whose failure is only told: for registries
that do not support them. The exit code is 1 when another one fails."""
import base64
import hashlib
import http.client
import json
import os
import sys
import urllib.parse

kManifest = "application/vnd.oci.image.manifest.v1+json"
kIndex = "application/vnd.oci.image.index.v1+json"
kConfig = "application/vnd.oci.image.config.v1+json"
kLayer = "application/vnd.oci.image.layer.v1.tar+gzip"
kEmpty = "application/vnd.oci.empty.v1+json"
kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"


class Wrong(Exception):
    pass


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json()["errors"][0]["code"]


class Registry:
    def __init__(self, url, user):
        self.host = urllib.parse.urlsplit(url).netloc
        self.headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
        self.connection = None

    def __call__(self, method, path, body=None, status=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | self.headers
        if path.startswith("http"):
            path = path[path.index("/", 8):]
        if isinstance(body, list):  # sent in chunks
            body, headers["Transfer-Encoding"] = iter(body), "chunked"
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.request(method, path, body=body, headers=headers, encode_chunked="Transfer-Encoding" in headers)
        answer = Answer(connection.getresponse())
        connection.close()
        if status is not None and answer.status not in (status if isinstance(status, tuple) else (status,)):
            raise Wrong(f"{method} {path}: status {answer.status}, expected {status}: {answer.body[:300]}")
        return answer

    def push_blob(self, name, data, algorithm="sha256"):
        digest = digest_of(data, algorithm)
        place = self("POST", f"/v2/{name}/blobs/uploads/", status=202).headers["location"]
        self("PUT", with_query(place, digest=digest), data, status=201, Content_Type="application/octet-stream")
        return {"digest": digest, "size": len(data)}

    def push_manifest(self, name, reference, document, media_type=kManifest, status=201):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        answer = self("PUT", f"/v2/{name}/manifests/{reference}", data, status=status, Content_Type=media_type)
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}, answer


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def with_query(place, **query):
    return place + ("&" if "?" in place else "?") + urllib.parse.urlencode(query)


def expect(what, got, wanted):
    if got != wanted:
        raise Wrong(f"{what}: {got!r}, expected {wanted!r}")


def image(registry, name, extra=None, annotations=None):
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
                         "author": os.urandom(8).hex()}).encode()
    document = {"schemaVersion": 2, "mediaType": kManifest,
                "config": {"mediaType": kConfig} | registry.push_blob(name, config),
                "layers": [{"mediaType": kLayer} | registry.push_blob(name, os.urandom(5000))]}
    return document | (extra or {}) | ({"annotations": annotations} if annotations else {})


kName = "conformance/" + os.urandom(4).hex()
kChecks = []


def check(function):
    kChecks.append(function)
    return function


@check
def the_base_says_that_this_is_a_registry(r):
    r("GET", "/v2/", status=200)


@check
def an_unknown_blob_is_404_with_its_code(r):
    answer = r("GET", f"/v2/{kName}/blobs/{digest_of(b'none')}", status=404)
    expect("code", answer.code() in ("BLOB_UNKNOWN", "NAME_UNKNOWN"), True)
    r("HEAD", f"/v2/{kName}/blobs/{digest_of(b'none')}", status=404)


@check
def a_blob_is_pushed_with_post_and_put_and_read_back(r):
    data = os.urandom(70000)
    blob = r.push_blob(kName, data)
    answer = r("GET", f"/v2/{kName}/blobs/{blob['digest']}", status=200)
    expect("bytes", answer.body == data, True)
    expect("digest", answer.headers["docker-content-digest"], blob["digest"])
    head = r("HEAD", f"/v2/{kName}/blobs/{blob['digest']}", status=200)
    expect("length", head.headers["content-length"], str(len(data)))


@check
def a_blob_is_pushed_with_one_post(r):
    data = os.urandom(3000)
    answer = r("POST", f"/v2/{kName}/blobs/uploads/?digest={digest_of(data)}", data, status=(201, 202),
               Content_Type="application/octet-stream")
    if answer.status == 202:
        r("PUT", with_query(answer.headers["location"], digest=digest_of(data)), data, status=201)
    expect("bytes", r("GET", f"/v2/{kName}/blobs/{digest_of(data)}", status=200).body == data, True)


@check
def an_empty_blob_can_be_pushed(r):
    r.push_blob(kName, b"")
    expect("bytes", r("GET", f"/v2/{kName}/blobs/{digest_of(b'')}", status=200).body, b"")


@check
def a_blob_is_pushed_in_chunks_and_gaps_are_refused(r):
    data = os.urandom(30000)
    place = r("POST", f"/v2/{kName}/blobs/uploads/", status=202).headers["location"]
    answer = r("PATCH", place, data[:10000], status=202, Content_Range="0-9999",
               Content_Type="application/octet-stream")
    expect("range", answer.headers["range"], "0-9999")
    place = answer.headers["location"]
    r("PATCH", place, data[20000:], status=416, Content_Range="20000-29999",
      Content_Type="application/octet-stream")
    status = r("GET", place, status=204)
    expect("range", status.headers["range"], "0-9999")
    place = r("PATCH", status.headers["location"], data[10000:20000], status=202, Content_Range="10000-19999",
              Content_Type="application/octet-stream").headers["location"]
    r("PUT", with_query(place, digest=digest_of(data)), data[20000:], status=201, Content_Range="20000-29999",
      Content_Type="application/octet-stream")
    expect("bytes", r("GET", f"/v2/{kName}/blobs/{digest_of(data)}", status=200).body == data, True)


@check
def a_blob_is_pushed_as_a_stream(r):
    data = os.urandom(200000)
    place = r("POST", f"/v2/{kName}/blobs/uploads/", status=202).headers["location"]
    place = r("PATCH", place, [data[:150000], data[150000:]], status=202).headers["location"]
    r("PUT", with_query(place, digest=digest_of(data)), status=201)
    expect("bytes", r("GET", f"/v2/{kName}/blobs/{digest_of(data)}", status=200).body == data, True)


@check
def a_wrong_digest_publishes_nothing(r):
    place = r("POST", f"/v2/{kName}/blobs/uploads/", status=202).headers["location"]
    wrong = digest_of(b"another")
    expect("code", r("PUT", with_query(place, digest=wrong), b"one", status=400).code(), "DIGEST_INVALID")
    r("HEAD", f"/v2/{kName}/blobs/{wrong}", status=404)
    r("HEAD", f"/v2/{kName}/blobs/{digest_of(b'one')}", status=404)


@check
def an_upload_can_be_cancelled(r):
    place = r("POST", f"/v2/{kName}/blobs/uploads/", status=202).headers["location"]
    r("DELETE", place, status=204)
    r("GET", place, status=404)


@check
def an_upload_belongs_to_its_repository(r):
    place = r("POST", f"/v2/{kName}/blobs/uploads/", status=202).headers["location"]
    r("GET", place.replace(kName, kName + "x"), status=404)


@check
def ranges_of_a_blob(r):
    data = os.urandom(1000)
    path = f"/v2/{kName}/blobs/{r.push_blob(kName, data)['digest']}"
    for header, start, end in (("bytes=10-19", 10, 20), ("bytes=990-", 990, 1000), ("bytes=-5", 995, 1000),
                               ("bytes=0-5000", 0, 1000)):
        answer = r("GET", path, status=206, Range=header)
        expect(header, answer.body == data[start:end], True)
        expect(header, answer.headers["content-range"], f"bytes {start}-{end - 1}/1000")
    r("GET", path, status=416, Range="bytes=1000-")


@check
def several_ranges_come_as_parts(r):
    data = os.urandom(1000)
    answer = r("GET", f"/v2/{kName}/blobs/{r.push_blob(kName, data)['digest']}", status=206,
               Range="bytes=0-9,500-509")
    expect("type", answer.headers["content-type"].startswith("multipart/byteranges"), True)
    expect("parts", data[:10] in answer.body and data[500:510] in answer.body, True)
    expect("length", len(answer.body), int(answer.headers["content-length"]))


@check
def a_blob_is_mounted_from_another_repository(r):
    blob = r.push_blob(kName, os.urandom(2000))
    other = kName + "/mounted"
    r("HEAD", f"/v2/{other}/blobs/{blob['digest']}", status=404)
    r("POST", f"/v2/{other}/blobs/uploads/?mount={blob['digest']}&from={kName}", status=201)
    r("HEAD", f"/v2/{other}/blobs/{blob['digest']}", status=200)


@check
def a_mount_without_from_looks_everywhere(r):
    blob = r.push_blob(kName, os.urandom(2000))
    r("POST", f"/v2/{kName}/anywhere/blobs/uploads/?mount={blob['digest']}", status=201)


@check
def a_mount_of_nothing_begins_an_upload(r):
    answer = r("POST", f"/v2/{kName}/blobs/uploads/?mount={digest_of(b'absent')}&from={kName}/other", status=202)
    expect("location", "location" in answer.headers, True)


@check
def a_mount_from_what_is_no_repository_begins_an_upload(r):
    query = {"mount": digest_of(b"x"), "from": "../" + kName}
    r("POST", with_query(f"/v2/{kName}/mounted/blobs/uploads/", **query), b"", status=202)


@check
def what_is_known_already_has_the_length_of_what_is_not(r):
    blob = r.push_blob(kName, os.urandom(300_000))
    r.push_manifest(kName, "known", image(r, kName))
    for path in (f"/v2/{kName}/blobs/{blob['digest']}", f"/v2/{kName}/manifests/known"):
        whole = r("GET", path, status=200, Accept=kManifest)
        known = r("GET", path, status=304, Accept=kManifest, If_None_Match=whole.headers["etag"])
        expect("length", known.headers.get("content-length", whole.headers["content-length"]), whole.headers["content-length"])
        kept = http.client.HTTPConnection(r.host, timeout=30)  # a body would be taken for the next answer
        for _ in range(2):
            kept.request("GET", path, headers=r.headers | {"Accept": kManifest, "If-None-Match": whole.headers["etag"]})
            expect("status", Answer(kept.getresponse()).status, 304)
        kept.close()


@check
def the_case_of_the_host_does_not_count(r):
    port = r.host.rsplit(":", 1)[1]
    r("GET", "/v2/", status=200, Host=f"LOCALHOST:{port}")


@check
def sha512_blobs(r):
    data = os.urandom(2000)
    blob = r.push_blob(kName, data, "sha512")
    expect("bytes", r("GET", f"/v2/{kName}/blobs/{blob['digest']}", status=200).body == data, True)


@check
def sha512_manifests(r):
    data = json.dumps(image(r, kName)).encode()
    digest = digest_of(data, "sha512")
    answer = r("PUT", f"/v2/{kName}/manifests/{digest}", data, status=201, Content_Type=kManifest)
    expect("digest", answer.headers["docker-content-digest"], digest)
    expect("bytes", r("GET", f"/v2/{kName}/manifests/{digest}", status=200, Accept=kManifest).body == data, True)


@check
def a_manifest_by_tag_and_by_digest(r):
    document, answer = r.push_manifest(kName, "one", image(r, kName))
    expect("digest", answer.headers["docker-content-digest"], document["digest"])
    for reference in ("one", document["digest"]):
        got = r("GET", f"/v2/{kName}/manifests/{reference}", status=200, Accept=kManifest)
        expect("digest", digest_of(got.body), document["digest"])
        expect("type", got.headers["content-type"], kManifest)
        head = r("HEAD", f"/v2/{kName}/manifests/{reference}", status=200, Accept=kManifest)
        expect("length", head.headers["content-length"], str(len(got.body)))
    r("GET", f"/v2/{kName}/manifests/absent", status=404, Accept=kManifest)


@check
def a_manifest_under_a_wrong_digest_is_refused(r):
    r.push_manifest(kName, digest_of(b"x"), image(r, kName), status=400)


@check
def a_manifest_of_absent_blobs_is_refused(r):
    document = image(r, kName)
    document["layers"][0]["digest"] = digest_of(os.urandom(8))
    answer = r.push_manifest(kName, "broken", document, status=(400, 404))[1]
    expect("code", answer.code(), "MANIFEST_BLOB_UNKNOWN")
    r("HEAD", f"/v2/{kName}/manifests/broken", status=404, Accept=kManifest)


@check
def a_blob_of_another_repository_cannot_be_referred_to(r):
    r.push_manifest(kName + "/thief", "stolen", image(r, kName), status=(400, 404))


@check
def broken_manifests_are_refused(r):
    r.push_manifest(kName, "broken", b"{", status=400)
    r.push_manifest(kName, "broken", image(r, kName, {"manifests": []}), status=400)
    r.push_manifest(kName, "broken", image(r, kName), media_type=kIndex, status=400)
    r.push_manifest(kName, "broken", b" " * (4 * 1024 * 1024 + 1), status=(400, 413))


@check
def a_docker_manifest_and_its_list(r):
    document = image(r, kName)
    document["mediaType"] = kDockerManifest
    document["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    pushed = r.push_manifest(kName, "docker", document, kDockerManifest)[0]
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    r.push_manifest(kName, "list", {"schemaVersion": 2, "mediaType": kind, "manifests": [
        pushed | {"platform": {"os": "linux", "architecture": "amd64"}}]}, kind)
    expect("type", r("GET", f"/v2/{kName}/manifests/list", status=200, Accept=kind).headers["content-type"], kind)


@check
def indexes_in_indexes(r):
    inner = r.push_manifest(kName, "inner", image(r, kName))[0]
    for level in range(3):
        inner = r.push_manifest(kName, f"level{level}", {"schemaVersion": 2, "mediaType": kIndex,
                                                         "manifests": [inner]}, kIndex)[0]
    r("GET", f"/v2/{kName}/manifests/level2", status=200, Accept=kIndex)
    absent = {"mediaType": kManifest, "digest": digest_of(b"absent"), "size": 6}
    r.push_manifest(kName, "sparse", {"schemaVersion": 2, "mediaType": kIndex, "manifests": [absent]}, kIndex,
                    status=(400, 404))


@check
def an_index_may_list_blobs(r):
    name = kName + "/cache"
    layer = {"mediaType": kLayer} | r.push_blob(name, os.urandom(100))
    config = {"mediaType": "application/vnd.buildkit.cacheconfig.v0"} | r.push_blob(name, os.urandom(100))
    index = {"schemaVersion": 2, "mediaType": kIndex, "manifests": [layer, config]}
    r.push_manifest(name, "cache", index, kIndex)
    expect("blobs", r("GET", f"/v2/{name}/manifests/cache", status=200, Accept=kIndex).json(), index)
    index["manifests"][0]["digest"] = digest_of(b"none")
    r.push_manifest(name, "lacking", index, kIndex, status=(400, 404))


@check
def tags_are_in_lexical_order_whatever_their_case(r):
    name = kName + "/cases"
    document = image(r, name)
    for tag in ("b", "A", "a", "C", "_x", "1", "B"):
        r.push_manifest(name, tag, document)
    wanted = ["1", "_x", "A", "a", "B", "b", "C"]
    expect("tags", r("GET", f"/v2/{name}/tags/list", status=200).json()["tags"], wanted)
    found, path = [], f"/v2/{name}/tags/list?n=2"
    while path:
        answer = r("GET", path, status=200)
        found += answer.json()["tags"]
        link = answer.headers.get("link")
        path = link and link[link.index("<") + 1:link.index(">")]
    expect("pages", found, wanted)


@check
def tags_are_listed_in_pages(r):
    name = kName + "/tags"
    document = image(r, name)
    for tag in ("c", "a", "b", "d"):
        r.push_manifest(name, tag, document)
    expect("all", r("GET", f"/v2/{name}/tags/list", status=200).json()["tags"], ["a", "b", "c", "d"])
    page = r("GET", f"/v2/{name}/tags/list?n=2", status=200)
    expect("first", page.json()["tags"], ["a", "b"])
    link = page.headers["link"]
    following = r("GET", link[link.index("<") + 1:link.index(">")], status=200)
    expect("second", following.json()["tags"], ["c", "d"])
    expect("behind", r("GET", f"/v2/{name}/tags/list?last=c", status=200).json()["tags"], ["d"])
    r("GET", f"/v2/{kName}/nothing/here/tags/list", status=404)


@check
def an_empty_page_of_tags(r):
    expect("none", r("GET", f"/v2/{kName}/tags/tags/list?n=0", status=200).json()["tags"], [])


@check
def the_catalog_is_listed_in_pages(r):
    found, path = [], "/v2/_catalog?n=2"
    while path:
        answer = r("GET", path, status=200)
        found += answer.json()["repositories"]
        link = answer.headers.get("link")
        path = link and link[link.index("<") + 1:link.index(">")]
    expect("sorted", found, sorted(found))
    expect("there", kName in found, True)


@check
def tags_manifests_and_blobs_are_deleted(r):
    name = kName + "/deleted"
    document = image(r, name)
    pushed = r.push_manifest(name, "tag", document)[0]
    r.push_manifest(name, "other", document)
    r("DELETE", f"/v2/{name}/manifests/{pushed['digest']}", status=202)
    for reference in ("tag", "other", pushed["digest"]):
        r("GET", f"/v2/{name}/manifests/{reference}", status=404, Accept=kManifest)
    r("DELETE", f"/v2/{name}/blobs/{document['layers'][0]['digest']}", status=202)
    r("HEAD", f"/v2/{name}/blobs/{document['layers'][0]['digest']}", status=404)
    expect("tags", r("GET", f"/v2/{name}/tags/list", status=200).json()["tags"] or [], [])


@check
def a_tag_is_deleted_and_its_manifest_stays(r):
    name = kName + "/untagged"
    pushed = r.push_manifest(name, "tag", image(r, name))[0]
    r("DELETE", f"/v2/{name}/manifests/tag", status=202)
    r("GET", f"/v2/{name}/manifests/tag", status=404, Accept=kManifest)
    r("GET", f"/v2/{name}/manifests/{pushed['digest']}", status=200, Accept=kManifest)


@check
def referrers_are_listed_and_filtered(r):
    name = kName + "/referrers"
    subject = r.push_manifest(name, "subject", image(r, name))[0]
    expect("none", r("GET", f"/v2/{name}/referrers/{digest_of(b'x')}", status=200).json()["manifests"], [])
    empty = {"mediaType": kEmpty} | r.push_blob(name, b"{}")
    pushed = {}
    for kind in ("a/x", "b/y"):
        document = {"schemaVersion": 2, "mediaType": kManifest, "artifactType": kind, "config": empty,
                    "layers": [empty], "subject": subject, "annotations": {"kind": kind}}
        digest = digest_of(json.dumps(document).encode())
        pushed[kind], answer = r.push_manifest(name, digest, document)
        expect("OCI-Subject", answer.headers.get("oci-subject"), subject["digest"])
    answer = r("GET", f"/v2/{name}/referrers/{subject['digest']}", status=200)
    expect("type", answer.headers["content-type"], kIndex)
    expect("all", sorted(entry["artifactType"] for entry in answer.json()["manifests"]), ["a/x", "b/y"])
    answer = r("GET", f"/v2/{name}/referrers/{subject['digest']}?artifactType=a/x", status=200)
    expect("filter", answer.headers["oci-filters-applied"], "artifactType")
    expect("one", [(entry["digest"], entry["annotations"]) for entry in answer.json()["manifests"]],
           [(pushed["a/x"]["digest"], {"kind": "a/x"})])
    r("DELETE", f"/v2/{name}/manifests/{pushed['a/x']['digest']}", status=202)
    expect("left", len(r("GET", f"/v2/{name}/referrers/{subject['digest']}", status=200).json()["manifests"]), 1)


@check
def a_subject_need_not_be_there(r):
    absent = {"mediaType": kManifest, "digest": digest_of(os.urandom(8)), "size": 100}
    answer = r.push_manifest(kName, "early", image(r, kName, {"subject": absent}))[1]
    expect("OCI-Subject", answer.headers["oci-subject"], absent["digest"])


@check
def hostile_paths_are_refused(r):
    for path in ("/v2/../../etc/passwd", "/v2/%2e%2e/%2e%2e/etc/manifests/x", "/v2/a%2f..%2fb/manifests/x",
                 f"/v2/a//b/manifests/x", "/v2/A/manifests/x", "/v2/a\\b/manifests/x", "/v2/a/manifests/%00",
                 f"/v2/{'a' * 300}/manifests/x", "/v2/a/blobs/sha256:../../x", "/v2/a/blobs/md5:00",
                 f"/v2/a/blobs/{digest_of(b'').upper()}", "/v2/a/blobs/uploads/../x",
                 f"/v2/a/manifests/{'t' * 129}", "/v2/a/manifests/.x"):
        answer = r("GET", path, status=(301, 400, 404, 405))
        if answer.status != 301 and answer.body.startswith(b"{"):
            answer.code()


@check
def hostile_chunks_are_refused(r):
    place = r("POST", f"/v2/{kName}/blobs/uploads/", status=202).headers["location"]
    for header in ("5-1", "-5", "0-99999999999999999999", "a-b", "1-5", "0-1"):
        r("PATCH", place, b"12345", status=(400, 416), Content_Range=header)
    expect("range", r("GET", place, status=204).headers["range"], "0-0")


def main(url, *options):
    user = options[options.index("--user") + 1] if "--user" in options else None
    lenient = options[options.index("--lenient") + 1].split(",") if "--lenient" in options else []
    registry = Registry(url, user)
    failed = 0
    for function in kChecks:
        title = function.__name__.replace("_", " ")
        try:
            function(registry)
            print(f"good: {title}")
        except (Wrong, KeyError, ValueError, OSError, http.client.HTTPException, TypeError) as wrong:
            failed += function.__name__ not in lenient
            print(f"{'lacking' if function.__name__ in lenient else 'WRONG'}: {title}: {type(wrong).__name__}: {wrong}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
