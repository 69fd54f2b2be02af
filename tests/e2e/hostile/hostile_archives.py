#!/usr/bin/env python3
"""Writes archives of images that must be refused into a folder, each beside a file NAME.words with a part of what has
to be said; and some that must load, below good/. Names are those of the threats in facts/threats.md, part A6 and A7.
"""
import copy
import hashlib
import io
import json
import os
import sys
import tarfile


def sha(data):
    return hashlib.sha256(data).hexdigest()


def layer(name=b"file", data=b"data"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(name.decode())
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


LAYER = layer()
CONFIG = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(LAYER)]}}


class Member:
    def __init__(self, name, data=b"", kind=tarfile.REGTYPE, link=""):
        self.name, self.data, self.kind, self.link = name, data, kind, link


def write(path, members):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname = member.kind, member.link
            info.size = len(member.data) if member.kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(member.data) if info.size else None)


def docker(config=CONFIG, layers=None, tags=("x:1",), config_name=None, listed=None):
    """Members of a docker archive; `listed` goes over its entry of manifest.json."""
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    layers = [LAYER] if layers is None else layers
    config_name = config_name or sha(text) + ".json"
    entry = {"Config": config_name, "RepoTags": list(tags), "Layers": [sha(data) + ".tar" for data in layers]}
    entry.update(listed or {})
    files = [Member(config_name, text)] + [Member(sha(data) + ".tar", data) for data in layers]
    return files + [Member("manifest.json", json.dumps([entry]).encode())]


def oci(config=CONFIG, annotations=None, change=lambda manifest: None, index_change=lambda index: None, layer_data=LAYER):
    text = json.dumps(config).encode()
    kind = "application/vnd.oci.image."
    manifest = {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                "config": {"mediaType": kind + "config.v1+json", "digest": "sha256:" + sha(text), "size": len(text)},
                "layers": [{"mediaType": kind + "layer.v1.tar", "digest": "sha256:" + sha(layer_data), "size": len(layer_data)}]}
    change(manifest)
    body = json.dumps(manifest).encode()
    index = {"schemaVersion": 2, "manifests": [{"mediaType": kind + "manifest.v1+json", "digest": "sha256:" + sha(body),
                                                "size": len(body), "annotations": annotations or {"org.opencontainers.image.ref.name": "x:1"}}]}
    index_change(index)
    blobs = [Member("blobs/sha256/" + sha(data), data) for data in (text, layer_data, body)]
    return blobs + [Member("index.json", json.dumps(index).encode()), Member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')]


def without(members, name):
    return [member for member in members if member.name != name]


def config_with(**rootfs):
    config = copy.deepcopy(CONFIG)
    config["rootfs"].update(rootfs)
    return config


LAYER_NAME = sha(LAYER) + ".tar"
BLOB = "blobs/sha256/" + sha(LAYER)


def refused():
    yield "empty", "no archive of images", []
    yield "rootfs-tar", "no archive of images", [Member("etc/passwd", b"root")]
    yield "s02-layer-upwards", "no file", docker(listed={"Layers": ["../../../../etc/shadow"]})
    yield "s02-layer-absolute", "no file", docker(listed={"Layers": ["/etc/shadow"]})
    yield "s02-config-absolute", "no file", docker(listed={"Config": "/etc/passwd"})
    for target in ("/etc/shadow", "../../etc/shadow", "nothing", LAYER_NAME):
        yield f"s02-layer-link-{target.count('/')}-{len(target)}", "no file", \
            without(docker(), LAYER_NAME) + [Member(LAYER_NAME, kind=tarfile.SYMTYPE, link=target)]
    yield "s02-member-upwards", "'..'", docker() + [Member("../evil", b"x")]
    yield "s02-member-device", "files, folders and links", docker() + [Member("disk", kind=tarfile.BLKTYPE)]
    yield "s02-member-fifo", "files, folders and links", docker() + [Member("pipe", kind=tarfile.FIFOTYPE)]
    yield "s02-member-twice", "twice", docker() + [Member(LAYER_NAME, LAYER)]
    yield "s02-manifest-twice", "twice", docker() + [Member("./manifest.json", b"[]")]
    yield "s02-tag-upwards", "no host", docker(tags=("../../x:1",))
    yield "j11-tag-option", "", docker(tags=("-o",))
    yield "j11-tag-newline", "", docker(tags=("x\ny:1",))
    yield "s02-missing-layer", "no file", without(docker(), LAYER_NAME)
    yield "s02-missing-config", "no file", docker()[1:]
    yield "s02-no-image", "lists no image", [Member("manifest.json", b"[]")]
    yield "j07-fewer-layers", "layers, but", docker(listed={"Layers": []})
    yield "j07-other-diff-id", "got diff_id", docker(config=config_with(diff_ids=["sha256:" + "0" * 64]))
    yield "j07-no-rootfs", "rootfs", docker(config={"architecture": "amd64", "os": "linux"})
    yield "j01-diff-id-path", "digest", docker(config=config_with(diff_ids=["sha256:../../x"]))
    yield "j01-config-name", "got sha256:", docker(config_name="0" * 64 + ".json")
    yield "j08-manifest-deep", "nested", [Member("manifest.json", b"[" * 100000)]
    yield "j08-manifest-large", "at most", [Member("manifest.json", b" " * (4 * 1024 * 1024 + 1))]
    yield "j08-manifest-trailing", "JSON", [Member("manifest.json", b"[]x")]
    yield "j08-manifest-object", "no list", [Member("manifest.json", b"{}")]
    yield "j08-manifest-types", "Layers", docker(listed={"Layers": "x"})
    yield "j08-config-large", "no document", docker(config=b" " * (4 * 1024 * 1024 + 1))
    yield "j08-config-utf8", "JSON", docker(config=b'{"a":"\xff"}')
    bad = "sha256:" + "0" * 64
    yield "s01-blob-link", "no file", without(oci(), BLOB) + [Member(BLOB, kind=tarfile.SYMTYPE, link="/etc/shadow")]
    yield "s01-blob-link-inside", "no file", \
        without(oci(), BLOB) + [Member("elsewhere", LAYER), Member(BLOB, kind=tarfile.SYMTYPE, link="../../elsewhere")]
    yield "s01-blob-fifo", "files, folders and links", without(oci(), BLOB) + [Member(BLOB, kind=tarfile.FIFOTYPE)]
    yield "s01-index-link", "no archive of images", without(oci(), "index.json") + \
        [Member("index.json", kind=tarfile.SYMTYPE, link="/etc/passwd")]
    yield "s01-layout-version", "version", without(oci(), "oci-layout") + [Member("oci-layout", b'{"imageLayoutVersion":"2.0.0"}')]
    yield "j01-blob-name", "name", oci() + [Member("blobs/sha256/x", b"x")]
    yield "j01-blob-name-upper", "name", oci() + [Member("blobs/sha256/" + "A" * 64, b"x")]
    yield "j01-blob-name-algorithm", "name", oci() + [Member("blobs/md5/" + "0" * 32, b"x")]
    yield "j03-blob-bytes", "got sha256:", without(oci(), BLOB) + [Member(BLOB, layer(data=b"evil"))]
    yield "j01-index-digest", "digest", oci(index_change=lambda index: index["manifests"][0].update(digest="sha256:../../x"))
    yield "j01-manifest-digest", "digest", oci(change=lambda manifest: manifest["layers"][0].update(digest="sha256:abc\n"))
    yield "missing-manifest", "not in the store", oci(index_change=lambda index: index["manifests"][0].update(digest=bad))
    yield "missing-layer", "neither the archive nor the store", without(oci(), BLOB)
    yield "j05-both", "ambiguous", oci(change=lambda manifest: manifest.update(manifests=[]))
    yield "j05-media-type", "announced", oci(index_change=lambda index: index["manifests"][0].update(
        mediaType="application/vnd.docker.distribution.manifest.v2+json"))
    yield "j05-index-is-manifest", "ambiguous", oci(index_change=lambda index: index.update(config={}, layers=[]))
    yield "j05-schema", "schemaVersion", oci(index_change=lambda index: index.update(schemaVersion=3))
    yield "j07-oci-diff-id", "got diff_id", oci(config=config_with(diff_ids=[bad]))
    yield "j07-oci-fewer", "diff_ids", oci(config=config_with(diff_ids=[]))
    yield "j07-size", "bytes", oci(change=lambda manifest: manifest["layers"][0].update(size=1))
    yield "j08-index-number", "size", oci(index_change=lambda index: index["manifests"][0].update(size=1.5))
    yield "j11-name", "", oci(annotations={"org.opencontainers.image.ref.name": "../../x"})
    yield "z04-compression", "media type", oci(change=lambda manifest: manifest["layers"][0].update(
        mediaType="application/vnd.oci.image.layer.v1.tar+gzip"))
    yield "two-images-one-name", "to two images", [Member("manifest.json", json.dumps(
        [json.loads(docker(config=c)[-1].data)[0] for c in (CONFIG, dict(CONFIG, author="me"))]).encode())] + \
        docker()[:-1] + docker(config=dict(CONFIG, author="me"))[:1]
    evil = layer(b"../evil")
    yield "t01-layer", "'..'", docker(layers=[evil], config=config_with(diff_ids=["sha256:" + sha(evil)]))


def good():
    yield "plain", docker()
    yield "reversed", list(reversed(docker()))
    yield "oci", oci()
    yield "oci-reversed", list(reversed(oci()))
    # docker before its version 25: a layer that two images share is a link to its first place
    entry = {"Config": sha(json.dumps(CONFIG).encode()) + ".json", "RepoTags": ["x:1"], "Layers": ["b/layer.tar"]}
    yield "docker-20", [Member("b", kind=tarfile.DIRTYPE), Member("b/VERSION", b"1.0"), Member("b/json", b"{}"),
                        Member("b/layer.tar", kind=tarfile.SYMTYPE, link="../a/layer.tar"), Member("a/layer.tar", LAYER),
                        Member(entry["Config"], json.dumps(CONFIG).encode()), Member("manifest.json", json.dumps([entry]).encode()),
                        Member("repositories", b'{"evil":{"1":"../../x"}}')]
    # docker from 25 on: a layout whose names are whole in containerd's annotation only, and the older manifest.json
    named = {"io.containerd.image.name": "docker.io/library/x:1", "org.opencontainers.image.ref.name": "1"}
    entry = {"Config": "blobs/sha256/" + sha(json.dumps(CONFIG).encode()), "RepoTags": ["x:1"], "Layers": [BLOB]}
    yield "docker-25", oci(annotations=named) + [Member("manifest.json", json.dumps([entry]).encode())]
    yield "docker-25-manifest-only", without(oci(), "index.json") + [Member("manifest.json", json.dumps([entry]).encode())]


def main():
    folder = sys.argv[1]
    os.makedirs(os.path.join(folder, "good"))
    for name, words, members in refused():
        write(os.path.join(folder, name), members)
        with open(os.path.join(folder, name + ".words"), "w") as out:
            out.write(words)
    for name, members in good():
        write(os.path.join(folder, "good", name), members)


if __name__ == "__main__":
    main()
