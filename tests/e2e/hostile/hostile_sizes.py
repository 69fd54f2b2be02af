#!/usr/bin/env python3
"""Images that are small to send and large to take: bombs, and lists of a million things.

    hostile_sizes.py make FOLDER        writes an archive for each, beside NAME.words, a part of what has to be said
    hostile_sizes.py packed FOLDER      writes archives that are compressed as a whole
    hostile_sizes.py serve PORT FOLDER  serves those that are OCI archives as images of a registry: NAME:1
    hostile_sizes.py files COUNT        writes a tar of so many empty files and folders to stdout

Names are those of the threats in facts/threats.md, part A5 and A6."""
import gzip
import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import zlib

from hostile_archives import CONFIG, LAYER, Member, docker, oci, sha, write

kKind = "application/vnd.oci.image."
kPiece = 64 << 20
kBomb = 10 << 30
kPacked = 3 << 30


def tar_header(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def gzip_bomb(size, header):
    """One member whose deflate blocks repeat; its trailer is missing, for nobody should come to it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(kPiece)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + first + piece * (size // kPiece)


def gzip_members_bomb(size, header):
    return gzip.compress(header, mtime=0) + gzip.compress(bytes(kPiece), mtime=0) * (size // kPiece)


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c", "-10"], input=data, check=True, stdout=subprocess.PIPE).stdout


def zstd_bomb(size, header):
    return zstd(header) + zstd(bytes(kPiece)) * (size // kPiece)


def image(compression, layer):
    return oci(layer_data=layer, change=lambda manifest: manifest["layers"][0].update(
        mediaType=f"{kKind}layer.v1.tar+{compression}"))


def with_layers(count):
    entry = {"mediaType": kKind + "layer.v1.tar", "digest": "sha256:" + sha(LAYER), "size": len(LAYER)}
    config = dict(CONFIG, rootfs={"type": "layers", "diff_ids": ["sha256:" + sha(LAYER)] * count})
    return oci(config=config, change=lambda manifest: manifest.update(layers=[entry] * count))


def with_index(text):
    """An image whose index.json holds that list of manifests."""
    index = b'{"schemaVersion":2,"mediaType":"%bindex.v1+json","manifests":%b}' % (kKind.encode(), text)
    return [member for member in oci() if member.name != "index.json"] + [Member("index.json", index)]


def many_manifests(count):
    entry = {"mediaType": kKind + "manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 1}
    return with_index(json.dumps([entry] * count).encode())


def with_config(**run):
    return oci(config=dict(CONFIG, config=run))


def hostile():
    header = tar_header("zeros", kBomb)
    yield "z01-gzip", "decompression bomb", image("gzip", gzip_bomb(kBomb, header))
    yield "z01-gzip-members", "decompression bomb", image("gzip", gzip_members_bomb(kBomb, header))
    yield "z01-zstd", "decompression bomb", image("zstd", zstd_bomb(kBomb, header))
    yield "z01-nested", "", image("gzip", gzip.compress(gzip.compress(LAYER)))
    yield "z06-headers", "decompression bomb", image("zstd", zstd(tar_header("x", 0) * (kPiece // 512)) * 32)
    yield "z06-layers-100000", "4194304", with_layers(100_000)
    yield "z06-layers-1001", "1000", with_layers(1001)
    yield "z06-index-10001", "10000", many_manifests(10_001)
    yield "z06-index-1000000", "", with_index(b"[" + b"{}," * 999_999 + b"{}]")
    yield "z06-index-numbers", "", with_index(b"[" + b"1," * 1_900_000 + b"1]")
    yield "j08-million-keys", "", with_index(b"{" + b",".join(b'"%x":1' % i for i in range(350_000)) + b"}")
    yield "j12-env-100000", "10000", with_config(Env=["A=b"] * 100_000)
    yield "j12-labels-100000", "10000", with_config(Labels={f"a{i}": "b" for i in range(100_000)})


def make(folder):
    os.makedirs(folder)
    for name, words, members in hostile():
        write(f"{folder}/{name}", members)
        with open(f"{folder}/{name}.words", "w", encoding="ascii") as file:
            file.write(words)

def make_packed(folder):
    """Docker archives that are compressed as a whole, with a layer that is large because of that."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member in docker(listed={"Layers": ["large"]}):
            info = tarfile.TarInfo(member.name)
            info.size = len(member.data)
            tar.addfile(info, io.BytesIO(member.data))
    members = out.getvalue().rstrip(b"\0")
    start = members + bytes(-len(members) % 512) + tar_header("large", kPacked + 512) + tar_header("file", kPacked)
    os.makedirs(folder)
    piece = b"x" * kPiece
    for name, pack in {"gzip": lambda data: gzip.compress(data, mtime=0), "zstd": zstd}.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(pack(start) + pack(piece) * (kPacked // kPiece))


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""

    def log_message(self, *args):
        pass

    def do_GET(self):
        parts = self.path.strip("/").split("/")
        if parts == ["v2"]:
            return self.answer(b"{}", "application/json")
        with tarfile.open(f"{self.folder}/{os.path.basename(parts[1])}") as tar:
            if parts[2] == "blobs" or parts[3].startswith("sha256:"):
                return self.answer(tar.extractfile("blobs/" + parts[3].replace(":", "/")).read(), kKind + "manifest.v1+json")
            index = tar.extractfile("index.json").read()
            if not parts[1].startswith(("z06-index", "j08")):
                named = json.loads(index)["manifests"][0]
                return self.answer(tar.extractfile("blobs/" + named["digest"].replace(":", "/")).read(), named["mediaType"])
            return self.answer(index, kKind + "index.v1+json")

    do_HEAD = do_GET

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
        self.end_headers()
        if self.command == "GET":
            try:
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True


def serve(port, folder):
    Registry.folder = folder
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Registry).serve_forever()


def files(count):
    """A hundred to a folder."""
    for number in range(int(count)):
        if number % 100 == 0:
            info = tarfile.TarInfo(f"{number // 100:06}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            sys.stdout.buffer.write(info.tobuf(tarfile.USTAR_FORMAT))
        sys.stdout.buffer.write(tar_header(f"{number // 100:06}/{number:09}", 0))
    sys.stdout.buffer.write(bytes(1024))


if __name__ == "__main__":
    {"make": make, "packed": make_packed, "serve": serve, "files": files}[sys.argv[1]](*sys.argv[2:])
