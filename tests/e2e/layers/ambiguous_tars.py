#!/usr/bin/env python3
"""Writes tars into a folder whose sizes are said twice, or where there should be none: readers that believe different
ones see different entries (threats F01). What may be hidden is t/hidden.
"""
import sys
import tarfile

END = bytes(1024)


def header(name, size=0, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mtime = kind, size, link, 1_000_000_000
    return info.tobuf(tarfile.USTAR_FORMAT)


def padded(data):
    return data + bytes(-len(data) % 512)


def pax(kind=tarfile.XHDTYPE, **records):
    text = b""
    for key, value in records.items():
        for one in value if isinstance(value, tuple) else (value,):
            rest = f" {key}={one}\n".encode()
            size = len(rest) + 1
            while len(str(size)) + len(rest) != size:
                size += 1
            text += str(size).encode() + rest
    return header("pax", len(text), kind) + padded(text)


HIDDEN = header("t/hidden", 512) + b"h" * 512
AFTER = header("t/after", 5) + padded(b"after")

TARS = {
    "agreeing": pax(size="1024") + header("t/file", 1024) + bytes(1024),
    "pax-larger": pax(size="1024") + header("t/file", 0) + HIDDEN,
    "pax-smaller": pax(size="0") + header("t/file", 1024) + HIDDEN,
    "pax-within-a-block": pax(size="5") + header("t/file", 9) + padded(b"123456789"),
    "pax-beyond-a-block": pax(size="9") + header("t/file", 5) + padded(b"123456789"),
    "pax-twice": pax(size=("1024", "0")) + header("t/file", 1024) + HIDDEN,
    "pax-empty": pax(size="") + header("t/file", 1024) + HIDDEN,
    "global-larger": pax(tarfile.XGLTYPE, size="1024") + header("t/file", 0) + HIDDEN,
    "global-smaller": pax(tarfile.XGLTYPE, size="0") + header("t/file", 1024) + HIDDEN,
    "of-a-folder": header("t/d", 1024, tarfile.DIRTYPE) + HIDDEN,
    "of-a-hard-link": header("t/file", 0) + header("t/l", 1024, tarfile.LNKTYPE, "t/file") + HIDDEN,
    "pax-of-a-folder": pax(size="1024") + header("t/d", 0, tarfile.DIRTYPE) + HIDDEN,
    "pax-of-a-hard-link": header("t/file", 0) + pax(size="1024") + header("t/l", 0, tarfile.LNKTYPE, "t/file") + HIDDEN,
}

for name, body in TARS.items():
    with open(f"{sys.argv[1]}/{name}.tar", "wb") as out:
        out.write(header("t", 0, tarfile.DIRTYPE) + body + AFTER + END)
