#!/usr/bin/env python3
"""Images whose documents are wrong (threats, part A6), as archive, as layout and from a registry.

    hostile_documents.py GROUP
    hostile_documents.py FOLDER ALGORITHM TAR    writes a right layout
    hostile_documents.py streams-to FOLDER       writes archives with the streams of the group z_streams

Each case of GROUP goes into the store by every way that it can, and has to be refused in the same words with nothing
left behind, or to be taken by every way. Prints what is wrong. LAY, LAY_ROOT and LAY_RUN are those of the test.
"""
import copy
import dataclasses
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading

from hostile_archives import CONFIG, LAYER, Member, docker, layer, sha, write
from oracle import call, faults_of_refusal, store_of

kKind = "application/vnd.oci.image."
kManifest, kIndex = kKind + "manifest.v1+json", kKind + "index.v1+json"
kConfigKind, kLayerKind = kKind + "config.v1+json", kKind + "layer.v1.tar"
kTaken = None  # instead of words: has to be taken
kEither = object()  # taken or refused, but by all ways alike
kLimit = 4 << 20  # bytes of a document
kAll = ("load", "copy", "pull")
kLocal = ("load", "copy")


@dataclasses.dataclass
class Case:
    name: str
    words: object
    files: dict
    ways: tuple = kAll
    tricks: dict = dataclasses.field(default_factory=dict)  # of the registry: see Handler
    author: str = ""  # of the image that has to be taken


def text_of(document):
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def unchanged(document):
    return document


class Layout:
    """The files of a layout, each blob under its digest."""

    def __init__(self, algorithm="sha256"):
        self.algorithm = algorithm
        self.files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def add(self, kind, document):
        """The descriptor of a new blob."""
        text = text_of(document)
        name = hashlib.new(self.algorithm, text).hexdigest()
        self.files[f"blobs/{self.algorithm}/{name}"] = text
        return {"mediaType": kind, "digest": f"{self.algorithm}:{name}", "size": len(text)}

    def close(self, *entries, change=unchanged):
        """Writes index.json; a change may give bytes, or None when it changed the document it got."""
        for entry in entries:
            entry.setdefault("annotations", {"org.opencontainers.image.ref.name": "x:1"})
        self.files["index.json"] = text_of(changed({"schemaVersion": 2, "mediaType": kIndex, "manifests": list(entries)}, change))
        return self.files


def changed(document, change):
    new = change(document)
    return document if new is None else new


def image(config=unchanged, manifest=unchanged, index=unchanged, layers=((kLayerKind, LAYER),), algorithm="sha256"):
    """An image whose documents are changed, by functions as close() takes them."""
    layout = Layout(algorithm)
    layout.close(add_image(layout, config, manifest, layers), change=index)
    return layout.files


def add_image(layout, config=unchanged, manifest=unchanged, layers=((kLayerKind, LAYER),), **platform):
    document = copy.deepcopy(CONFIG) | platform
    document["rootfs"]["diff_ids"] = [f"{layout.algorithm}:{hashlib.new(layout.algorithm, data).hexdigest()}" for _, data in layers]
    described = {"schemaVersion": 2, "mediaType": kManifest, "config": layout.add(kConfigKind, changed(document, config)),
                 "layers": [layout.add(kind, data) for kind, data in layers]}
    return layout.add(kManifest, changed(described, manifest))


def at(path, value):
    """The change that sets `value` at a path such as "layers.0.size"; `...` takes it away."""

    def change(document):
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place = document
        for part in parents:
            place = place[part]
        if value is ...:
            del place[last]
        else:
            place[last] = value

    return change


def raw(path, text):
    """The change that puts `text`, which json.dumps() could not write, at a path."""

    def change(document):
        at(path, "@@")(document)
        return json.dumps(document).encode().replace(b'"@@"', text)

    return change


# -- J01: digests ---------------------------------------------------------------------------------------------------

HEX = sha(LAYER)
kBadDigests = {
    "upwards": "sha256:../../x", "upwards-long": "sha256:" + "../" * 20 + "etc/passwd", "absolute": "sha256:/etc/passwd",
    "short": "sha256:" + HEX[1:], "long": f"sha256:{HEX}0", "upper": "sha256:" + HEX.upper(), "upper-name": f"SHA256:{HEX}",
    "newline": f"sha256:{HEX}\n", "newline-in": f"sha256:abc\n{HEX[4:]}", "escaped": "sha256:%2e%2e%2fx", "md5": "md5:" + "0" * 32,
    "sha1": "sha1:" + "0" * 40, "colon": ":", "empty": "", "no-hex": "sha256:", "no-name": f":{HEX}", "multihash": f"sha256+b64:{HEX}", "wide-digits": "sha256:" + "\uff10" * 64, "nul": f"sha256:{HEX}\0", "space": f" sha256:{HEX}",
    "blank": f"sha256: {HEX[1:]}", "two": f"sha256:{HEX}:{HEX}", "at": f"x@sha256:{HEX}", "blake3": f"blake3:{HEX}", "sha384": "sha384:" + "0" * 96,
    "sha512-short": "sha512:" + HEX, "huge": "sha256:" + "0" * 3_000_000}

kSubtle = ("upwards", "newline", "nul", "empty")  # for the places that lay does not read


def j01():
    for name, digest in kBadDigests.items():
        if digest.isprintable() and digest.isascii() and digest.strip() == digest and 0 < len(digest) < 1000:
            yield Case(f"header-{name}", "digest", image(), ("pull",), {"header": digest})
        yield Case(f"index-{name}", "digest", image(index=at("manifests.0.digest", digest)), kLocal)
        yield Case(f"config-{name}", "digest", image(manifest=at("config.digest", digest)))
        yield Case(f"layer-{name}", "digest", image(manifest=at("layers.0.digest", digest)))
        yield Case(f"diff-id-{name}", "digest", image(config=at("rootfs.diff_ids.0", digest)))
        nested = Layout()
        entry = add_image(nested) | {"digest": digest, "platform": {"os": "linux", "architecture": "amd64"}}
        nested.close(nested.add(kIndex, {"schemaVersion": 2, "mediaType": kIndex, "manifests": [entry]}))
        yield Case(f"nested-{name}", "digest", nested.files)
        if name not in kSubtle:
            continue
        subject = {"mediaType": kManifest, "digest": digest, "size": 1}
        yield Case(f"subject-{name}", kEither, image(manifest=at("subject", subject)))
        chunked = {"io.github.containers.zstd-chunked.manifest-checksum": digest,
                   "io.github.containers.zstd-chunked.manifest-position": "1:2:3:4"}
        yield Case(f"annotation-{name}", kEither, image(manifest=at("layers.0.annotations", chunked)))
    yield Case("wrong-type", "digest", image(manifest=at("layers.0.digest", {"sha256": HEX})))
    yield Case("list", "digest", image(manifest=at("layers.0.digest", [f"sha256:{HEX}"])))


# -- J03: bytes that are not those of the digest ----------------------------------------------------------------------

def blob_path(files, part):
    """The path of the manifest, config or layer of an image."""
    digest = json.loads(files["index.json"])["manifests"][0]["digest"]
    if part != "manifest":
        manifest = json.loads(files["blobs/" + digest.replace(":", "/")])
        digest = (manifest["config"] if part == "config" else manifest["layers"][0])["digest"]
    return "blobs/" + digest.replace(":", "/")


def j03():
    for part in ("manifest", "config", "layer"):
        for name, damage in {"flipped": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "longer": lambda data: data + b" ",
                             "shorter": lambda data: data[:-1], "empty": lambda data: b"", "twice": lambda data: data * 2}.items():
            files = image(layers=((kLayerKind, layer(data=b"not stored")),))
            path = blob_path(files, part)
            files[path] = damage(files[path])
            yield Case(f"{part}-{name}", "", files, kLocal if part == "manifest" else kAll)
        # The registry's manifest is asked for by its tag: only through an index it has a digest to keep.
        files, descriptor = indexed_image()
        yield Case(f"{part}-endless", "", files, ("pull",), {"endless": blob_path_of(files, descriptor, part)})
        yield Case(f"{part}-other", "", files, ("pull",), {"other": blob_path_of(files, descriptor, part)})
        yield Case(f"{part}-lying-length", "", files, ("pull",), {"lying-length": blob_path_of(files, descriptor, part)})
    for delta in (-1, 1, 1 << 40):
        for key in ("config", "layers.0"):
            yield Case(f"{key}-size{delta:+}", "", image(manifest=lambda m, k=key, d=delta: shift_size(m, k, d)))
        yield Case(f"manifest-size{delta:+}", "", image(index=lambda i, d=delta: shift_size(i, "manifests.0", d)), kLocal)


def shift_size(document, path, delta):
    place = document
    for part in path.split("."):
        place = place[int(part) if part.isdigit() else part]
    place["size"] += delta


def indexed_image():
    """One behind an index, and its descriptor."""
    layout = Layout()
    entry = add_image(layout, layers=((kLayerKind, layer(data=b"not stored")),)) | {"platform": {"os": "linux", "architecture": "amd64"}}
    layout.close(layout.add(kIndex, {"schemaVersion": 2, "mediaType": kIndex, "manifests": [entry]}))
    return layout.files, entry


def blob_path_of(files, entry, part):
    return blob_path({**files, "index.json": json.dumps({"manifests": [entry]}).encode()}, part)


def j04():
    fresh = ((kLayerKind, layer(data=b"of a registry that lies")),)
    other = "sha256:" + "1" * 64
    yield Case("header-differs", f"expected {other}", image(layers=fresh), ("pull",), {"header": other})
    yield Case("header-of-sha512-differs", "", image(layers=fresh), ("pull",), {"header": "sha512:" + "1" * 128})
    yield Case("head-and-get-disagree", kTaken, image(config=at("author", "got"), layers=fresh), ("pull",), {"head": other}, author="got")


# -- J05: what could be read in two ways ------------------------------------------------------------------------------

def j05():
    both = {"manifests": [], "config": {}, "layers": []}
    for name, extra in {"manifests": {"manifests": []}, "manifests-full": {"manifests": [{}]}, "index-type": {"mediaType": kIndex},
                        "docker-index-type": {"mediaType": "application/vnd.docker.distribution.manifest.list.v2+json"},
                        "unknown-type": {"mediaType": "text/html"}, "type-number": {"mediaType": 1}, "fsLayers": {"fsLayers": []},
                        "version-1": {"schemaVersion": 1}, "version-3": {"schemaVersion": 3}, "version-text": {"schemaVersion": "2"},
                        "version-float": {"schemaVersion": 2.0}, "version-null": {"schemaVersion": None}, "config-null": {"config": None},
                        "layers-null": {"layers": None}, "layers-object": {"layers": {}}, "config-list": {"config": []}}.items():
        yield Case(f"manifest-{name}", "", image(manifest=lambda m, e=extra: m | e))
    for key in ("schemaVersion", "config", "layers"):
        yield Case(f"manifest-no-{key}", "", image(manifest=at(key, ...)))
    yield Case("manifest-no-type", kTaken, image(manifest=at("mediaType", ...)))
    yield Case("manifest-no-type-both", "ambiguous", image(manifest=lambda m: {k: v for k, v in m.items() if k != "mediaType"} | {"manifests": []}))
    yield Case("index-both", "ambiguous", image(index=lambda i: i | both | {"manifests": i["manifests"]}), kLocal)
    yield Case("index-of-manifest-type", "", image(index=at("mediaType", kManifest)), kLocal)
    yield Case("index-no-version", "schemaVersion", image(index=at("schemaVersion", ...)), kLocal)
    yield Case("announced-as-index", "", image(index=at("manifests.0.mediaType", kIndex)))
    yield Case("announced-as-docker", "announced", image(index=at("manifests.0.mediaType", "application/vnd.docker.distribution.manifest.v2+json")))
    yield Case("announced-as-config", "", image(index=at("manifests.0.mediaType", kConfigKind)))
    yield Case("announced-as-layer", "", image(index=at("manifests.0.mediaType", kLayerKind)))
    schema1 = {"schemaVersion": 1, "name": "x", "tag": "1", "architecture": "amd64", "fsLayers": [{"blobSum": f"sha256:{HEX}"}], "history": []}
    yield Case("schema-1", "schema 1", image(manifest=lambda m: schema1))
    two_types = [{"mediaType": kLayerKind, "digest": f"sha256:{HEX}", "size": len(LAYER)},
                 {"mediaType": kLayerKind + "+gzip", "digest": f"sha256:{HEX}", "size": len(LAYER)}]
    yield Case("one-layer-two-types", "two", image(config=at("rootfs.diff_ids", [f"sha256:{HEX}"] * 2), manifest=at("layers", two_types)))
    yield Case("layer-is-config", "", image(manifest=lambda m: m | {"layers": [m["config"] | {"mediaType": kLayerKind}]}))
    yield Case("config-is-layer", "", image(manifest=lambda m: m | {"config": m["layers"][0] | {"mediaType": kConfigKind}}))
    yield Case("config-type", "", image(manifest=at("config.mediaType", "application/vnd.example.chart+json")))


# -- J07: layers that are not those of the config ---------------------------------------------------------------------

def j07():
    second = layer(b"second", b"other")
    two = ((kLayerKind, LAYER), (kLayerKind, second))
    ids = [f"sha256:{sha(LAYER)}", f"sha256:{sha(second)}"]
    for name, wrong in {"swapped": ids[::-1], "first-twice": ids[:1] * 2, "one": ids[:1], "none": [], "three": ids + ids[:1],
                        "of-nothing": [ids[0], "sha256:" + "0" * 64]}.items():
        yield Case(name, "diff_id" if len(wrong) == 2 else "layers", image(config=at("rootfs.diff_ids", wrong), layers=two))
    yield Case("right", kTaken, image(config=at("rootfs.diff_ids", ids), layers=two))
    # The same layers are here now: nothing that is stored may stand for something else.
    for name, wrong in {"stored-swapped": ids[::-1], "stored-first-twice": ids[:1] * 2}.items():
        yield Case(name, "diff_id", image(config=at("rootfs.diff_ids", wrong), layers=two))
    import gzip
    packed = gzip.compress(LAYER, mtime=0)
    yield Case("of-compressed-bytes", "diff_id", image(config=at("rootfs.diff_ids", [f"sha256:{sha(packed)}"]), layers=((kLayerKind + "+gzip", packed),)))
    for value in (..., None, [], {}, "layers", {"type": "layers"}, {"diff_ids": ids}, {"type": "other", "diff_ids": ids},
                  {"type": "layers", "diff_ids": {"0": ids[0]}}, {"type": "layers", "diff_ids": ids[0]}, {"type": "layers", "diff_ids": [1, 2]}):
        yield Case(f"rootfs-{json.dumps(value, default=str)[:30]}", "", image(config=at("rootfs", value), layers=two))


# -- J08: shapes of JSON ----------------------------------------------------------------------------------------------

def shapes(document):
    """Bytes that are no sane JSON, made of a right document."""
    text = json.dumps(document).encode()
    body = text[1:-1]
    yield "deep-list", b"[" * 100_000
    yield "deep-list-closed", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"," + body + b"}"
    yield "deep-object", b'{"x":' * 100_000 + b"1" + b"}" * 100_000
    yield "deep-65", b'{"x":' + b"[" * 65 + b"]" * 65 + b"," + body + b"}"
    yield "too-large", text[:-1] + b" " * (kLimit + 1 - len(text)) + b"}"
    yield "number-1e400", text[:-1] + b',"x":1e400}'
    yield "lone-surrogate", text[:-1] + b',"x":"\\ud800"}'
    yield "surrogates-swapped", text[:-1] + b',"x":"\\udc00\\ud800"}'
    yield "invalid-utf8", text[:-1] + b',"x":"\xff"}'
    yield "overlong-utf8", text[:-1] + b',"x":"\xc0\xaf"}'
    yield "surrogate-in-utf8", text[:-1] + b',"x":"\xed\xa0\x80"}'
    yield "byte-order-mark", b"\xef\xbb\xbf" + text
    yield "utf-16", text.decode().encode("utf-16")
    yield "trailing-bytes", text + b"x"
    yield "trailing-document", text + text
    yield "comment", b"/* x */" + text
    yield "comment-in", text[:-1] + b"// x\n}"
    yield "nul", text[:-1] + b"\0}"
    yield "nul-behind", text + b"\0"
    yield "control-character", text[:-1] + b',"x":"a\tb"}'
    yield "trailing-comma", text[:-1] + b",}"
    yield "single-quotes", text.replace(b'"', b"'")
    yield "unquoted", text[:-1] + b",x:1}"
    yield "nan", text[:-1] + b',"x":NaN}'
    yield "hexadecimal", text[:-1] + b',"x":0x10}'
    yield "leading-zero", text[:-1] + b',"x":012}'
    yield "cut", text[:-1]
    yield "empty", b""
    yield "blank", b"  \n"
    yield "null", b"null"
    yield "string", b'"' + b"x" * 100 + b'"'
    yield "number", b"12"
    yield "list", b"[" + text + b"]"
    yield "html", b"<html>sign in</html>"


def j08():
    for kind in ("index", "manifest", "config"):
        seen = {}
        image(**{kind: lambda document, s=seen: s.update(document)})
        for name, text in shapes(seen):
            # Python's json cannot tell the registry where to begin when index.json is no JSON
            yield Case(f"{kind}-{name}", "", image(**{kind: lambda document, t=text: t}), kLocal if kind == "index" else kAll)
    for text in (b"1e400", b"-0", b"-1", b"1.5", b"1e3", b"18446744073709551616", b"9223372036854775808", b'"123"', b"null", b"true",
                 b"[1]", b"0x10", b"+1", b"1.0", b"NaN", b"-9223372036854775808"):
        yield Case(f"size-layer-{text.decode()}", "", image(manifest=raw("layers.0.size", text)))
        yield Case(f"size-config-{text.decode()}", "", image(manifest=raw("config.size", text)))
        yield Case(f"size-manifest-{text.decode()}", "", image(index=raw("manifests.0.size", text)), kLocal)
    yield Case("million-layers", "", image(manifest=at("layers", [{}] * 1_000_000)), ("pull",))
    yield Case("a-1001st-layer", "at most", image(config=at("rootfs.diff_ids", [f"sha256:{HEX}"] * 1001),
                                                  manifest=lambda m: m | {"layers": m["layers"] * 1001}))
    keys = b'{"x":{' + b",".join(b'"%x":0' % i for i in range(100_000)) + b"},"
    for kind in ("index", "manifest", "config"):
        yield Case(f"{kind}-many-keys", kEither, image(**{kind: lambda document, k=keys: k + json.dumps(document).encode()[1:]}),
                   kLocal if kind == "index" else kAll)


def layout_files():
    for version in ("2.0.0", "1.0.1", "", 1, None, ...):
        document = {} if version is ... else {"imageLayoutVersion": version}
        yield Case(f"version-{version}", "", image() | {"oci-layout": text_of(document)}, kLocal)
    for name, text in shapes({"imageLayoutVersion": "1.0.0"}):
        yield Case(name, "", image() | {"oci-layout": text}, kLocal)
    yield Case("missing", "", {path: data for path, data in image().items() if path != "oci-layout"}, kLocal)


# -- J10: indexes -----------------------------------------------------------------------------------------------------

def index_over(*entries, depth=1):
    """A layout whose root is an index of these images, each (platform, CONFIG's changes), in so many indexes."""
    layout = Layout()
    described = [add_image(layout, **extra) | ({"platform": platform} if platform is not None else {}) for platform, extra in entries]
    for _ in range(depth):
        entry = layout.add(kIndex, {"schemaVersion": 2, "mediaType": kIndex, "manifests": described})
        described = [entry | {"platform": {"os": "linux", "architecture": "amd64"}}]
    return layout.close(entry)


def j10():
    here = {"os": "linux", "architecture": "amd64"}
    yield Case("depth-1", kTaken, index_over((here, {})))
    yield Case("depth-9", "index", index_over((here, {}), depth=9))
    yield Case("depth-100", "index", index_over((here, {}), depth=100))
    yield Case("other-machine", "no image for", index_over(({"os": "linux", "architecture": "s390x"}, {})))
    yield Case("upper-case", "no image for", index_over(({"os": "Linux", "architecture": "AMD64"}, {})))
    yield Case("with-blank", "no image for", index_over(({"os": "linux", "architecture": "amd64 "}, {})))
    yield Case("no-platform", kTaken, index_over((None, {})))  # its image's configuration fits, as skopeo takes it
    yield Case("no-platform-but-of-another", "s390x", index_over((None, {"architecture": "s390x"})))
    yield Case("unknown", "no image for", index_over(({"os": "unknown", "architecture": "unknown"}, {})))
    yield Case("empty", "no image for", index_over(({"os": "", "architecture": ""}, {})))
    yield Case("windows", "no image for", index_over(({"os": "windows", "architecture": "amd64", "os.version": "10.0"}, {})))
    yield Case("escape", "no image for", index_over(({"os": "\x1b[2J", "architecture": "\n"}, {})))
    for value in ("linux/amd64", [], 1, {"os": "linux"}, {"architecture": "amd64"}, {"os": 1, "architecture": "amd64"},
                  {"os": "linux", "architecture": ["amd64"]}, {"os": "linux", "architecture": "amd64", "variant": 3}):
        yield Case(f"platform-{json.dumps(value)}", "platform", index_over((value, {})))
    two = index_over((here, {"author": "first"}), (here, {"author": "second"}))
    yield Case("first-of-two", kTaken, two, author="first")
    yield Case("none", "", (lambda layout: layout.close(layout.add(kIndex, {"schemaVersion": 2, "mediaType": kIndex, "manifests": []})))(Layout()))
    many = [{"mediaType": kManifest, "digest": f"sha256:{i:064x}", "size": 1, "platform": {"os": "x", "architecture": "y"}} for i in range(10_001)]
    yield Case("entries-10001", "at most", (lambda layout: layout.close(
        layout.add(kIndex, {"schemaVersion": 2, "mediaType": kIndex, "manifests": many})))(Layout()))
    for name, cycle in {"itself": ["a"], "two": ["a", "b"]}.items():
        yield Case(f"cycle-{name}", "", forged_cycle(cycle))


def nested():
    here = {"os": "linux", "architecture": "amd64"}
    for depth in (2, 3, 7):
        yield Case(f"depth-{depth}", kTaken, index_over((here, {"author": f"{depth}"}), depth=depth))


def forged_cycle(names):
    """Indexes that name one another: their digests cannot be right."""
    layout = Layout()
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    entries = []
    for i, digest in enumerate(digests):
        following = {"mediaType": kIndex, "digest": f"sha256:{digests[(i + 1) % len(digests)]}", "size": 0,
                     "platform": {"os": "linux", "architecture": "amd64"}}
        following["size"] = len(text_of({"schemaVersion": 2, "mediaType": kIndex, "manifests": [following]})) + 2
        text = text_of({"schemaVersion": 2, "mediaType": kIndex, "manifests": [following]})
        layout.files[f"blobs/sha256/{digest}"] = text
        entries.append({"mediaType": kIndex, "digest": f"sha256:{digest}", "size": len(text)})
    return layout.close(entries[0])


# -- J12: members of the wrong type -----------------------------------------------------------------------------------

def j12():
    for key, values in {"architecture": (..., 1, None, ["amd64"]), "os": (..., 123, None, {}), "variant": (1,), "created": (
            1, "yesterday", "2020-13-01T00:00:00Z", "0000-00-00T00:00:00Z", "2020-01-01", "2020-01-01T00:00:00+99:00", "\x1b[2J", ["x"]),
            "author": (1, {}), "config": (1, "x", []), "history": ({}, "x", 1, [1], ["x"], [{"created": 1}], [{"created": "x"}],
                                                                 [{"empty_layer": "true"}], [{"created_by": []}], [{"comment": 1}])}.items():
        for value in values:
            yield Case(f"{key}-{json.dumps(value, default=str)[:30]}", "", image(config=at(key, value)))
    for key, values in {"Env": ({"A": "B"}, "A=B", [1], [["A=B"]], [None], ["A=\0"]), "Cmd": ("true", {}, [1], [None], ["a\0b"]),
                        "Entrypoint": ("true", {}, [{}], 1), "Volumes": (["/x"], "/x", 1, {"/x": 1}, {"/x\0": {}}), "ExposedPorts": (
                            ["80"], 80, {"80/tcp": "x"}), "Labels": (["a=b"], "a=b", {"a": 1}, {"a": None}), "User": (0, ["root"], {}, "a\0"),
                        "WorkingDir": (1, ["/"], "/\0"), "StopSignal": (15, [])}.items():
        for value in values:
            yield Case(f"config.{key}-{json.dumps(value)[:30]}", "", image(config=at(f"config.{key}", value)))
    yield Case("env-100000", "at most", image(config=at("config.Env", [f"A{i}=B" for i in range(100_000)])))
    yield Case("labels-10001", "at most", image(config=at("config.Labels", {f"a{i}": "b" for i in range(10_001)})))
    yield Case("volumes-10001", "at most", image(config=at("config.Volumes", {f"/a{i}": {} for i in range(10_001)})))
    yield Case("history-10001", "at most", image(config=at("history", [{"empty_layer": True}] * 10_001)))
    for created in ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59.999999999-11:59"):
        yield Case(f"created-{created}", kEither, image(config=at("created", created)))
    for name, bad in bad_descriptors():
        yield Case(f"layer-{name}", "", image(manifest=lambda m, b=bad: replace_in(m, "layers", b)))
        yield Case(f"config-{name}", "", image(manifest=lambda m, b=bad: m | {"config": b(dict(m["config"]))}))
        yield Case(f"manifest-{name}", "", image(index=lambda i, b=bad: replace_in(i, "manifests", b)), kLocal)
    for kind in ("index", "manifest"):
        for value in ([], "x", 1, {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": {}}):
            yield Case(f"{kind}-annotations-{json.dumps(value)}", "annotations", image(**{kind: at("annotations", value)}),
                       kLocal if kind == "index" else kAll)


def bad_descriptors():
    for key, values in {"mediaType": (..., None, 1, "", "x", "/", "a/", "/b", "a/b/c", "a b/c", "application/\n", "-a/b", "a/" + "b" * 128),
                        "digest": (..., None, 1, []), "size": (..., None, "1", -1, 1.5, [], 1 << 63), "annotations": ([], "x", 1, {"a": 1})}.items():
        for value in values:
            yield f"{key}-{json.dumps(value, default=str)[:30]}", lambda entry, k=key, v=value: (
                {n: m for n, m in entry.items() if n != k} if v is ... else entry | {k: v})
    for value in (None, 1, "x", []):
        yield f"is-{json.dumps(value)}", lambda entry, v=value: v


def replace_in(document, key, change):
    return document | {key: [change(dict(entry)) for entry in document[key]]}


# -- J11: texts that could be taken for paths, options or control characters -----------------------------------------

def j11():
    for name in ("../../x", "/etc/passwd", "-o", "x\ny:1", "\x1b[2Jx", "x\0", "..", " ", "a" * 5000, "host/../x", "\u202ex", "x:-t", "a//b",
                 "docker://x", "x@sha256:../../y", "x\r"):
        for key in ("org.opencontainers.image.ref.name", "io.containerd.image.name"):
            yield Case(f"{key}-{name[:20]!r}", kEither, image(index=at("manifests.0.annotations", {key: name})), ("load",))
        for key in ("org.opencontainers.image.title", "io.containerd.image.name"):
            files = image(manifest=lambda m, k=key, n=name: replace_in(m | {"annotations": {k: n}}, "layers", lambda e: e | {"annotations": {k: n}}))
            yield Case(f"{key}-{name[:20]!r}", kTaken, files)
        yield Case(f"label-{name[:20]!r}", kTaken, image(config=at("config.Labels", {name: name, "dev.lay." + name: name})))


# -- Z04: media types and bytes ---------------------------------------------------------------------------------------

def packed(tool, data=LAYER, *flags):
    return subprocess.run([tool, "-c", *flags], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


def of_layer(kind, data, diff_id=LAYER):
    return image(config=at("rootfs.diff_ids", [f"sha256:{sha(diff_id)}"]), layers=((kind, data),))


def z04():
    forms = {"tar": LAYER, "gzip": packed("gzip"), "zstd": packed("zstd"), "bzip2": packed("bzip2"), "xz": packed("xz"),
             "gzip of gzip": packed("gzip", packed("gzip")), "zstd of gzip": packed("zstd", packed("gzip"))}
    docker = "application/vnd.docker.image.rootfs.diff.tar"
    for kind, form in {kLayerKind: "tar", kLayerKind + "+gzip": "gzip", kLayerKind + "+zstd": "zstd", docker + ".gzip": "gzip",
                       kLayerKind + "+xz": "", kLayerKind + "+bzip2": "", docker + ".bzip2": "", "application/octet-stream": "",
                       kLayerKind + "+gzip+encrypted": ""}.items():
        for name, data in forms.items():
            if name == form:
                continue
            words = name if name in ("bzip2", "xz") and form else "media type" if form and " " not in name else ""
            yield Case(f"{kind}-of-{name}", words, of_layer(kind, data))
            if form:
                yield Case(f"{kind}-of-{name}-by-its-bytes", "", of_layer(kind, data, data))
        if form:
            yield Case(f"{kind}-right", kTaken, of_layer(kind, forms[form]))


def streams():
    """Names and bytes of streams that tools could read differently."""
    gz, zst = packed("gzip", LAYER, "-n"), packed("zstd", LAYER, "--check")
    yield "whole.gz", gz
    yield "members.gz", packed("gzip", LAYER[:1000]) + packed("gzip", LAYER[1000:])
    yield "empty-member-first.gz", packed("gzip", b"") + gz
    yield "empty-member-last.gz", gz + packed("gzip", b"")
    yield "garbage.gz", gz + b"garbage"
    yield "zeros.gz", gz + b"\0" * 512
    yield "half-a-member.gz", gz + gz[:9]
    yield "zstd-behind.gz", gz + zst
    yield "wrong-crc.gz", gz[:-8] + bytes([gz[-8] ^ 1]) + gz[-7:]
    yield "wrong-length.gz", gz[:-4] + bytes([gz[-4] ^ 1]) + gz[-3:]
    yield "name-and-comment.gz", gz[:3] + b"\x18" + gz[4:10] + b"../../x\0comment\0" + gz[10:]
    yield "extra.gz", gz[:3] + b"\x04" + gz[4:10] + b"\x04\0AB\0\0" + gz[10:]
    yield "reserved-flag.gz", gz[:3] + b"\x80" + gz[4:]
    yield "method-7.gz", gz[:2] + b"\x07" + gz[3:]
    for part in (1, 9, 10, 11, len(gz) // 2, len(gz) - 9, len(gz) - 8, len(gz) - 1):
        yield f"cut-at-{part}.gz", gz[:part]
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    yield "whole.zst", zst
    yield "frames.zst", packed("zstd", LAYER[:1000]) + packed("zstd", LAYER[1000:])
    yield "skippable-first.zst", skippable + zst
    yield "skippable-15-first.zst", b"\x5f" + skippable[1:] + zst
    yield "skippable-between.zst", packed("zstd", LAYER[:1000]) + skippable + packed("zstd", LAYER[1000:]) + skippable
    yield "skippable-empty.zst", b"\x50\x2a\x4d\x18\0\0\0\0" * 1000 + zst
    yield "skippable-beyond-end.zst", zst + b"\x50\x2a\x4d\x18\xff\xff\xff\xff"
    yield "empty-frames.zst", packed("zstd", b"") * 100 + zst + packed("zstd", b"")
    yield "garbage.zst", zst + b"garbage"
    yield "zeros.zst", zst + b"\0" * 512
    yield "gzip-behind.zst", zst + gz
    yield "wrong-checksum.zst", zst[:-1] + bytes([zst[-1] ^ 1])
    yield "window-27.zst", packed("zstd", LAYER, "--long=27")
    yield "window-28.zst", packed("zstd", LAYER, "--ultra", "--long=28")
    yield "window-31.zst", packed("zstd", LAYER, "--ultra", "--long=31")
    yield "reserved-bit.zst", zst[:4] + bytes([zst[4] | 8]) + zst[5:]
    yield "dictionary.zst", zst[:4] + bytes([zst[4] | 1]) + zst[5:6] + b"\x07" + zst[6:]
    for part in (1, 3, 4, 5, len(zst) // 2, len(zst) - 4, len(zst) - 1):
        yield f"cut-at-{part}.zst", zst[:part]


def z_streams():
    """lay takes what gzip and zstd take; but for what Go's readers refuse: zeros behind a gzip stream, another format."""
    for name, data in streams():
        tool = "gzip" if name.endswith(".gz") else "zstd"
        taken = subprocess.run([tool, "-t"], input=data, capture_output=True, check=False).returncode == 0
        yield Case(name, kTaken if taken and name not in ("zeros.gz", "gzip-behind.zst") else "", of_layer(f"{kLayerKind}+{tool}", data))


# -- archives of docker ----------------------------------------------------------------------------------------------

def docker_case(name, words, change=lambda files: None, **given):
    files = {member.name: member.data for member in docker(**given)}
    change(files)
    return Case(name, words, files, ("load",))


def docker_archives():
    entry = json.loads({member.name: member.data for member in docker()}["manifest.json"])
    for name, text in shapes(CONFIG):
        yield docker_case(f"config-{name}", "", config=text)
    for name, text in shapes(entry[0]):
        yield docker_case(f"manifest-{name}", "", lambda files, t=text: files.update({"manifest.json": b"[" + t + b"]"}))
        if name != "list":
            yield docker_case(f"manifest-alone-{name}", "", lambda files, t=text: files.update({"manifest.json": t}))
    for key, values in {"Config": (..., 1, None, [], "", "..", "/etc/passwd", "manifest.json", "a\0b", "x/../" + "y" * 70),
                        "Layers": (1, "x", {}, [1], [None], [""], ["."], ["manifest.json"], ["../x"], ["a\0b"]),
                        "RepoTags": (1, "x", {}, [1], [None], [""], ["../x"], ["-x"], ["x\n"], ["/x"], ["x:"], ["X:1"])}.items():
        for value in values:
            changed = [{k: v for k, v in entry[0].items() if k != key} | ({} if value is ... else {key: value})]
            yield docker_case(f"{key}-{json.dumps(value, default=str)[:30]}", "", lambda files, c=changed: files.update({"manifest.json": text_of(c)}))
    for rootfs in ({"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}, {"type": "layers", "diff_ids": []}, {"type": "layers"}, None,
                   {"type": "layers", "diff_ids": [f"sha256:{HEX}"] * 2}):
        yield docker_case(f"rootfs-{json.dumps(rootfs)[:40]}", "", config=CONFIG | {"rootfs": rootfs})


# -- the ways into the store ------------------------------------------------------------------------------------------

class Registry(http.server.ThreadingHTTPServer):
    """Serves cases by their names in `cases`, as NAME:1."""

    daemon_threads = True

    def __init__(self):
        self.cases = {}
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # lay has closed the connection, as it should


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/v2/":
            return self.answer(b"{}", {})
        name, kind, reference = self.path.split("/", 4)[2:]
        case = self.server.cases[name]
        headers = {"Content-Type": "application/octet-stream"}
        entry = json.loads(case.files["index.json"])["manifests"][0]
        path = "blobs/" + (entry["digest"] if reference == "1" else reference).replace(":", "/")
        body = case.files.get(path)
        if body is None:
            return self.answer(b'{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown"}]}', {}, 404)
        if kind == "manifests":
            headers["Content-Type"] = entry["mediaType"] if reference == "1" else own_type(body)
            said = case.tricks.get("head") if self.command == "HEAD" else case.tricks.get("header")
            if said is not None:
                headers["Docker-Content-Digest"] = said
        return self.trick(case, path, body, headers)

    do_HEAD = do_GET

    def trick(self, case, path, body, headers):
        if case.tricks.get("other") == path:
            return self.answer(b"\0" * len(body), headers)
        if case.tricks.get("lying-length") == path:
            self.close_connection = True
            return self.answer(body, headers | {"Content-Length": str(len(body) + 10)})
        if case.tricks.get("endless") == path:
            return self.pour(body, headers)
        return self.answer(body, headers)

    def answer(self, body, headers, status=200):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def pour(self, body, headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(body)
        except OSError:
            return None


def own_type(body):
    try:
        kind = json.loads(body).get("mediaType", kManifest)
    except (ValueError, AttributeError, RecursionError):
        return kManifest
    return kind if isinstance(kind, str) and kind.isprintable() and kind.isascii() else kManifest


def write_layout(folder, files):
    for path, data in files.items():
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(data)


def bring(case, way, registry):
    """The answer, and the name that the image got when it was taken."""
    if way == "load":
        write("archive", [Member(path, data) for path, data in case.files.items()])
        return call("load", "-q", "-i", "archive"), "x:1"
    if way == "copy":
        shutil.rmtree("layout", ignore_errors=True)
        write_layout("layout", case.files)
        return call("copy", "-q", "oci:layout:x:1", "copied:1"), "copied:1"
    registry.cases["app"] = case
    name = f"127.0.0.1:{registry.server_port}/app:1"
    return call("pull", "-q", "--retry", "0", name), name


def faults_of_taking(case, answer, name):
    if case.words is kTaken and answer.code != 0:
        yield f"is refused: {answer.text.strip()}"
    if isinstance(case.words, str):
        yield f"is taken as {answer.out.strip()[:100]}"
    if case.author and json.loads(call("inspect", name).out)[0].get("Author") != case.author:
        yield f"is not the image of author '{case.author}'"


def faults_of_way(case, way, answer, name):
    root = os.environ["LAY_ROOT"]
    if answer.code != 0:
        yield from faults_of_refusal(answer, case.words if isinstance(case.words, str) else "")
    if answer.code == 0 or case.words is kTaken:
        yield from faults_of_taking(case, answer, name)
    if not answer.out.replace("\n", "").isprintable():
        yield f"prints {answer.out!r}"
    left = set(os.listdir(os.path.join(root, "ingest"))) - {".gate", ".spare-index"}
    if left:
        yield f"leaves {left} in ingest"


def faults_of(case, registry):
    answers = {}
    for way in case.ways:
        before = store_of(os.environ["LAY_ROOT"])
        answers[way], name = bring(case, way, registry)
        yield from (f"{case.name} by {way}: {fault}" for fault in faults_of_way(case, way, answers[way], name))
        if answers[way].code != 0 and (after := store_of(os.environ["LAY_ROOT"])) != before:
            yield f"{case.name} by {way}: leaves {sorted(set(after) ^ set(before)) or 'something changed'}"
    if len({answer.code for answer in answers.values()}) > 1:
        yield f"{case.name}: {', '.join(f'{way} {a.code} {a.lines()[:1]}' for way, a in answers.items())}"


def write_image(folder, algorithm, tar):
    """A layout of one image with the layer `tar`."""
    with open(tar, "rb") as file:
        write_layout(folder, image(layers=((kLayerKind, file.read()),), algorithm=algorithm))


def write_streams(folder):
    os.mkdir(folder)
    for name, data in streams():
        files = of_layer(f"{kLayerKind}+{'gzip' if name.endswith('.gz') else 'zstd'}", data)
        write(os.path.join(folder, name), [Member(path, text) for path, text in files.items()])


def main(group):
    registry = Registry()
    call("load", "-q", "-i", "nothing")  # the store is made by the first that writes
    write("archive", [Member(path, data) for path, data in image().items()])
    call("load", "-q", "-i", "archive")
    wrong = count = 0
    for case in globals()[group]():
        count += 1
        for fault in faults_of(case, registry):
            wrong += 1
            print(fault)
    fsck = call("fsck", "-q")
    if fsck.code != 0:
        print(f"fsck: {fsck.out}{fsck.text}")
    print(f"{count} cases, {wrong} wrong")
    return 1 if wrong or fsck.code != 0 else 0


if __name__ == "__main__":
    run = {2: main, 3: lambda _, folder: write_streams(folder), 4: write_image}
    sys.exit(run[len(sys.argv)](*sys.argv[1:]))
