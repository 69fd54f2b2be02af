"""Makes an OCI layout with one layer in zstd:chunked, in the form of containers/storage with a tar-split.

usage: chunked_image.py TAR LAYOUT TAG [LIE]

LIE makes it hostile at the file data/f00001: "digest" gives it the digests of the file before it, "size" another size,
"split" leaves it out of the tar-split, "frames" gives it frames that unpack to more than it says.

Shares no code with lay: tarfile reads the tar, libzstd (through ctypes) makes the frames. Per the format: each file's
data in frames of their own, split into chunks, long runs of zeros as chunks of their own; then skippable frames with
the table of contents, the tar-split and a footer, and annotations that say where these are.
"""
import base64
import ctypes
import hashlib
import json
import os
import struct
import sys
import tarfile
import time

kChunk = 65536  # where real writers split by a rolling sum
kKinds = {tarfile.REGTYPE: "reg", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}
zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_compressBound.restype = zstd.ZSTD_compress.restype = ctypes.c_size_t


def compress(data):
    room = ctypes.create_string_buffer(zstd.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = zstd.ZSTD_compress(room, ctypes.c_size_t(len(room)), data, ctypes.c_size_t(len(data)), 5)
    return room.raw[:size]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def chunks_of(data):
    """(offset, bytes, type) of each chunk."""
    for offset in range(0, len(data), kChunk):
        piece = data[offset:offset + kChunk]
        yield offset, piece, "" if piece.strip(b"\0") else "zeros"


class Layer:
    def __init__(self, tar, lie):
        self.lie = lie
        self.blob = bytearray()
        self.entries = []
        self.split = []
        self.between = b""  # what the tar has since the last file's data
        end = 0
        for member in tarfile.open(fileobj=open(tar, "rb")):
            with open(tar, "rb") as raw:
                raw.seek(end)
                self.add_framing(raw.read(member.offset_data - end))
                data = raw.read(member.size if member.isreg() else 0)
            self.add_member(member, data)
            end = member.offset_data + len(data)
        with open(tar, "rb") as raw:
            raw.seek(end)
            self.add_framing(raw.read())
        self.flush_framing()
        self.add_documents()

    def add_framing(self, data):
        self.between += data
        self.split.append({"type": 2, "payload": base64.b64encode(data).decode()})

    def flush_framing(self):
        if self.between:
            self.blob += compress(self.between)
        self.between = b""

    def add_member(self, member, data):
        entry = {"type": kKinds[member.type], "name": member.name, "mode": member.mode, "uid": member.uid,
                 "gid": member.gid, "modtime": stamp(member.mtime)}
        if member.linkname:
            entry["linkName"] = member.linkname
        line = {"type": 1, "name": member.name}
        extra = []
        if data:
            self.flush_framing()
            line.update(size=len(data), payload="AAAAAAAAAAA=")
            entry.update(size=len(data), digest=digest(data), offset=len(self.blob))
            for number, (offset, piece, kind) in enumerate(chunks_of(data)):
                chunk = entry if number == 0 else {"type": "chunk", "name": member.name}
                place = len(self.blob)
                is_bomb = self.lie == "frames" and member.name.endswith("data/f00001")
                self.blob += compress(piece + bytes(50000000) if is_bomb else piece)
                chunk.update(offset=place, chunkSize=len(piece), chunkDigest=digest(piece))
                if offset:
                    chunk["chunkOffset"] = offset
                if kind:
                    chunk["chunkType"] = kind
                if number:
                    extra.append(chunk)
            entry["endOffset"] = len(self.blob)
        if data:
            self.tell_lie(line, [entry] + extra)
        self.entries += [entry] + extra
        self.split.append(line)

    def tell_lie(self, line, chunks):
        if not line["name"].endswith("data/f00001"):
            self.before = [chunk["chunkDigest"] for chunk in chunks]
        elif self.lie == "digest":
            for chunk, other in zip(chunks, self.before):
                chunk["chunkDigest"] = other
        elif self.lie == "size":
            chunks[0]["size"] += 1
            chunks[-1]["chunkSize"] += 1
        elif self.lie == "split":
            del line["size"]

    def add_frame(self, data):
        self.blob += struct.pack("<II", 0x184D2A50, len(data))
        place = len(self.blob)
        self.blob += data
        return place

    def add_documents(self):
        lines = [json.dumps({**line, "position": number}) for number, line in enumerate(self.split)]
        split = "\n".join(lines).encode() + b"\n"
        packed_split = compress(split)
        table = json.dumps({"version": 1, "entries": self.entries, "tarSplitDigest": digest(packed_split)}).encode()
        packed = compress(table)
        at = self.add_frame(packed)
        split_at = self.add_frame(packed_split)
        self.add_frame(struct.pack("<7Q", at, len(packed), len(table), 1, split_at, len(packed_split), len(split)) +
                       b"GNUlInUx")
        key = "io.github.containers.zstd-chunked."
        self.annotations = {key + "manifest-checksum": digest(packed),
                            key + "manifest-position": f"{at}:{len(packed)}:{len(table)}:1",
                            key + "tarsplit-position": f"{split_at}:{len(packed_split)}:{len(split)}"}


def main():
    tar, layout, tag = sys.argv[1:4]
    os.makedirs(f"{layout}/blobs/sha256")

    def put(media_type, data, **more):
        with open(f"{layout}/blobs/sha256/{digest(data)[7:]}", "wb") as out:
            out.write(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": digest(data), "size": len(data), **more}

    layer = Layer(tar, sys.argv[4] if len(sys.argv) > 4 else "")
    with open(tar, "rb") as raw:
        diff_id = digest(raw.read())
    config = put("config.v1+json", json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
        "type": "layers", "diff_ids": [diff_id]}}).encode())
    manifest = put("manifest.v1+json", json.dumps({"schemaVersion": 2, "config": config, "layers": [
        put("layer.v1.tar+zstd", bytes(layer.blob), annotations=layer.annotations)]}).encode(),
        annotations={"org.opencontainers.image.ref.name": tag})
    for name, document in (("index.json", {"schemaVersion": 2, "manifests": [manifest]}),
                           ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        with open(f"{layout}/{name}", "w") as out:
            json.dump(document, out)


main()
