"""Makes an OCI layout with one layer of many small files in zstd:chunked without a tar-split, as older podmans write it.

usage: many_chunked_files.py COUNT LAYOUT TAG VERSION [SIZE]

One file of a hundred has other data in each VERSION.
"""
import ctypes
import hashlib
import json
import os
import random
import struct
import sys

COUNT, LAYOUT, TAG, VERSION = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
SIZE = int(sys.argv[5]) if sys.argv[5:] else 40  # of each file, less than 64 KiB
zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_compress.restype = ctypes.c_size_t


def compress(data, level=1):
    room = ctypes.create_string_buffer(len(data) + 1024)
    size = zstd.ZSTD_compress(room, ctypes.c_size_t(len(room)), data, ctypes.c_size_t(len(data)), level)
    return room.raw[:size]


def stored(data):
    """A frame of one block that is not compressed."""
    size = struct.pack("<BB", 0x20, len(data)) if len(data) < 256 else struct.pack("<BH", 0x60, len(data) - 256)
    return struct.pack("<I", 0xFD2FB528) + size + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def header(name):
    fields = f"{'0000644':\0<8}{'0000000':\0<8}{'0000000':\0<8}{SIZE:011o}\0{0:011o}\0".encode()
    block = bytearray(name.encode().ljust(100, b"\0") + fields + b" " * 8 + b"0" + bytes(100) + b"ustar\x0000").ljust(512, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def put(media_type, data, **more):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{LAYOUT}/blobs/sha256/{digest}", "wb") as out:
        out.write(data)
    return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": "sha256:" + digest, "size": len(data), **more}


os.makedirs(f"{LAYOUT}/blobs/sha256")
blob, entries, tar, between = bytearray(), [], hashlib.sha256(), b""
for number in range(COUNT):
    name = f"f{number:07}"
    data = random.Random(number + (COUNT * VERSION if number % 100 == 0 else 0)).randbytes(SIZE)
    framing = between + header(name)
    between = bytes(-SIZE % 512)
    tar.update(framing + data)
    blob += compress(framing)
    frame = stored(data)
    entries.append({"type": "reg", "name": name, "size": SIZE, "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
                    "offset": len(blob), "endOffset": len(blob) + len(frame)})
    blob += frame
between += bytes(1024)
tar.update(between)
blob += compress(between)

table = json.dumps({"version": 1, "entries": entries}, separators=(",", ":")).encode()
packed = compress(table, 3)
place = len(blob) + 8
blob += struct.pack("<II", 0x184D2A50, len(packed)) + packed
footer = struct.pack("<4Q", place, len(packed), len(table), 1) + b"GnUlInUx"
blob += struct.pack("<II", 0x184D2A50, len(footer)) + footer
key = "io.containers.zstd-chunked.manifest-"
annotations = {key + "checksum": "sha256:" + hashlib.sha256(packed).hexdigest(), key + "position": f"{place}:{len(packed)}:{len(table)}:1"}
config = put("config.v1+json", json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
    "type": "layers", "diff_ids": ["sha256:" + tar.hexdigest()]}}).encode())
layer = put("layer.v1.tar+zstd", bytes(blob), annotations=annotations)
manifest = put("manifest.v1+json", json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode(),
               annotations={"org.opencontainers.image.ref.name": TAG})
for name, document in (("index.json", {"schemaVersion": 2, "manifests": [manifest]}), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
    with open(f"{LAYOUT}/{name}", "w") as out:
        json.dump(document, out)
