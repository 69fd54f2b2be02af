#!/usr/bin/env python3
"""Layers whose tars are hostile (threats, parts A2 and A1), in both forms: mounted and unpacked.

    hostile_tars.py named             the cases below, each with its verdict
    hostile_tars.py random SEED N     N tars of random entries, good and bad ones
    hostile_tars.py layout FOLDER TAR...    writes an image of these layers
    hostile_tars.py removals FOLDER   writes two tars, 1 and 2
    hostile_tars.py rivals FOLDER N   N rounds of loads and pulls at once, with layers that get in each other's way

Both forms have to give the same verdict in the same words, and the same tree when they take it; what lies outside is
not touched. Prints what is wrong. LAY is that of the test; stores and a canary are made in the working folder.
"""
import concurrent.futures
import contextlib
import ctypes
import os
import random
import shutil
import stat
import sys

from hostile_archives import Member, sha, write
from hostile_documents import Case, Registry, at, image, kLayerKind, write_layout
from oracle import call, faults_of_refusal, make_canary, snapshot
from tree_of import content_hash

kForms = ("erofs", "tree")
kCanary = os.path.abspath("canary")
kTaken = None
kPeak = 96 << 20
libc = ctypes.CDLL(None, use_errno=True)


# -- writing tars, right ones and wrong ones --------------------------------------------------------------------------

def octal(value, width):
    return b"%0*o" % (width - 1, value) + b"\0"


def base256(value, width):
    """Two's complement, with the first bit set: for negative numbers and those too large for octal digits."""
    data = bytearray(value.to_bytes(width, "big", signed=True))
    data[0] |= 0x80
    return bytes(data)


kFields = {"name": (0, 100), "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12), "mtime": (136, 12), "checksum": (148, 8),
           "kind": (156, 1), "link": (157, 100), "magic": (257, 8), "major": (329, 8), "minor": (337, 8), "prefix": (345, 155)}


def header(name, kind=b"0", **fields):
    """A block; `fields` are numbers or the raw bytes of kFields' places."""
    given = {"mode": 0o755 if kind == b"5" else 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 1, "magic": b"ustar\x0000", "major": 0,
             "minor": 0} | fields | {"name": name, "kind": kind}
    block = bytearray(512)
    for key, value in given.items():
        place, width = kFields[key]
        if key == "checksum":
            continue
        data = octal(value, width) if isinstance(value, int) else value
        block[place:place + len(data[:width])] = data[:width]
    block[148:156] = b" " * 8
    block[148:156] = fields.get("checksum", octal(sum(block), 7) + b" ")
    return bytes(block)


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def member(name, data=b"", kind=b"0", **fields):
    return header(name, kind, **({"size": len(data)} | fields)) + padded(data)


def folder(name, **fields):
    return member(name, kind=b"5", **fields)


def symlink(name, target, **fields):
    return member(name, kind=b"2", link=target, **fields)


def hardlink(name, target, **fields):
    return member(name, kind=b"1", link=target, **fields)


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(b"%d" % length) + len(body):
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def pax(*records, kind=b"x"):
    return member(b"pax", b"".join(records), kind)


def gnu(kind, text):
    return member(b"././@LongLink", text, kind)


END = b"\0" * 1024


# -- the cases --------------------------------------------------------------------------------------------------------

def named():
    """Name, words of the refusal or kTaken, and the tar without its end."""
    good = member(b"f", b"data")
    for name, records in {"length-short": b"9 path=xyz\n", "length-long": b"99 path=x\n", "length-0": b"0 path=x\n", "length-negative": b"-9 path=x\n",
                          "length-huge": b"99999999999999999999 path=x\n", "no-equals": b"9 path x\n", "no-newline": b"8 path=x", "no-key": b"5 =x\n",
                          "no-space": b"path=x\n", "two-spaces": b"10  path=x\n", "only-nul": b"\0" * 512, "trailing-nul": record(b"path", b"x") + b"\0",
                          "key-with-nul": record(b"pa\0th", b"x")}.items():
        yield f"F03-{name}", "pax", member(b"pax", records, b"x") + good
    yield "F03-key-twice", "twice", pax(record(b"path", b"a"), record(b"path", b"b")) + good
    yield "F03-xattr-twice", "twice", pax(*[record(b"SCHILY.xattr.user.a", b"a")] * 2) + good
    yield "F03-1-GiB", "", header(b"pax", b"x", size=1 << 30) + good
    yield "F03-over-1-MiB", "", pax(record(b"comment", b"x" * (1 << 20))) + good
    yield "F03-under-1-MiB", kTaken, pax(record(b"comment", b"x" * ((1 << 20) - 32))) + good
    yield "F03-empty-path", "", pax(record(b"path", b"")) + good
    yield "F03-global-path", "global", pax(record(b"path", b"evil"), kind=b"g") + good
    yield "F03-global-comment", kTaken, pax(record(b"comment", b"x"), kind=b"g") + good
    yield "F03-two-headers", "several", pax(record(b"path", b"a")) + pax(record(b"path", b"b")) + good
    for kind in (b"L", b"K"):
        entry = symlink(b"s", b"t") if kind == b"K" else good
        yield f"F04-{kind}-1-GiB", "", header(b"x", kind, size=1 << 30) + entry
        yield f"F04-{kind}-empty", "", gnu(kind, b"") + entry
        yield f"F04-{kind}-only-nul", "", gnu(kind, b"\0") + entry
        yield f"F04-{kind}-nul-in", "NUL", gnu(kind, b"a\0b\0") + entry
        yield f"F04-{kind}-nul-padded", kTaken, gnu(kind, b"a" * 150 + b"\0" * 300) + entry
        yield f"F04-{kind}-twice", "several", gnu(kind, b"a\0") + gnu(kind, b"b\0") + entry
        yield f"F04-{kind}-and-pax", "several", gnu(kind, b"a\0") + pax(record(b"path", b"b")) + entry
        yield f"F04-pax-and-{kind}", "several", pax(record(b"path", b"b")) + gnu(kind, b"a\0") + entry
        yield f"F04-{kind}-at-the-end", "", good + gnu(kind, b"a\0")
        yield f"F04-{kind}-negative", "", header(b"x", kind, size=base256(-1, 12)) + entry
    yield "F04-L-and-K", kTaken, gnu(b"L", b"a" * 200 + b"\0") + gnu(b"K", b"b" * 200 + b"\0") + symlink(b"s", b"t")
    yield "F04-upwards", "'..'", gnu(b"L", b"../" * 40 + b"x\0") + good
    numbers = {"size": (base256(-1, 12), base256(1 << 63, 12), base256(-(1 << 62), 12), b"0000000009\0", b"777777777777"),
               "uid": (base256(-1, 8), base256(0xffffffff, 8), base256(1 << 32, 8), b"12 3   \0", b"0000008\0"),
               "gid": (base256(-1, 8), base256(0xffffffff, 8), base256(1 << 40, 8)),
               "mtime": (base256(1 << 62, 12), base256(-(1 << 62), 12), base256(253402300800, 12)), "mode": (b"0000999\0",)}
    for field, values in numbers.items():
        for value in values:
            yield f"F06-{field}-{value.hex()}", "", header(b"f", **{field: value})
    for key, values in {b"uid": (b"-1", b"4294967295", b"4294967296", b"0x1", b"", b"1.5", b" 1"), b"gid": (b"-1", b"18446744073709551616"),
                        b"mtime": (b"nan", b"inf", b"1e9", b"1.-5", b"--1", b"99999999999999999999", b"1,5", b"4611686018427387904"),
                        b"size": (b"-1", b"9223372036854775808", b"3", b"5")}.items():
        for value in values:
            yield f"F06-pax-{key.decode()}-{value.decode()}", "", pax(record(key, value)) + good
    for field in ("major", "minor"):
        for value in (base256(-1, 8), base256(1 << 20, 8), base256(1 << 31, 8)):
            yield f"F06-{field}-{value.hex()}", "", header(b"null", b"3", **{"major": 1, "minor": 3, field: value})
    yield "F06-mode-of-types", kTaken, member(b"f", b"x", mode=0o104755) + folder(b"d", mode=0o120777) + member(b"g", b"x", mode=0o7777)
    yield "F06-large-ids", kTaken, pax(record(b"uid", b"4294967294"), record(b"gid", b"2147483648")) + good
    yield "F06-times", kTaken, b"".join(pax(record(b"mtime", t)) + member(b"t%d" % i, b"") for i, t in enumerate(
        (b"-1.5", b"0", b"1.999999999", b"4294967296.25", b"-2147483648", b"1.0000000001", b"-0.5")))
    broken = bytearray(good)
    broken[0] ^= 1
    yield "F07-checksum", "checksum", member(b"a") + bytes(broken)
    yield "F07-checksum-of-text", "", member(b"a") + header(b"f", checksum=b"abcdefg ")
    name = b"\xff\xfe"
    block = bytearray(header(name))
    block[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)
    yield "F07-signed-checksum", kTaken, header(name, checksum=octal(signed, 7) + b" ")
    yield "F08-type-7", kTaken, member(b"f", b"x", b"7")
    yield "F08-nul-with-slash", kTaken, member(b"d/", kind=b"\0", magic=b"\0" * 8) + member(b"d/f", b"x")
    for kind in b"8AVMDXNz\x1b\xff":
        yield f"F08-type-{kind}", "not known", member(b"f", b"x", bytes([kind])) + good
    yield "F08-x-at-the-end", "", good + pax(record(b"path", b"x"))
    yield "F08-file-with-slash", "", member(b"f/", b"x")
    yield "F08-size-2-40", "", header(b"f", size=base256(1 << 40, 12)) + b"ten bytes."
    yield "F08-size-2-40-padded", "", header(b"f", size=base256(1 << 40, 12)) + padded(b"ten bytes.")
    yield "F08-data-of-folder", "", header(b"d", b"5", size=512) + member(b"hidden", b"")
    yield "F08-data-of-link", "", header(b"l", b"2", size=512, link=b"x") + member(b"hidden", b"")
    yield "F08-old-sparse-without-map", "", header(b"f", b"S", size=5, magic=b"ustar  \0") + padded(b"12345")
    for kind, major, minor in ((b"3", 1, 1), (b"3", 1, 2), (b"3", 10, 229), (b"4", 8, 0), (b"3", 5, 2), (b"3", 0, 1), (b"4", 0, 0), (b"3", 4095, 1048575)):
        yield f"F10-{kind}-{major}-{minor}", kTaken, member(b"node", kind=kind, major=major, minor=base256(minor, 8) if minor > 0o7777777 else minor, mode=0o666)
    yield "F11-whiteout", "0:0", member(b"etc", kind=b"3")
    yield "F11-whiteout-in-folder", "0:0", folder(b"d") + member(b"d/x", kind=b"3")
    yield "F11-whiteout-of-1-MiB", "", header(b"etc", b"3", size=1)
    yield "F11-link-to-whiteout", "", member(b".wh.x") + hardlink(b"y", b".wh.x")
    yield from paths()


def paths():
    for name in (b"../x", b"a/../../x", b"/..", b"/./../x", b"..", b"a/..", b"../", b"./..", b"x/./../y"):
        yield f"T01-{name.decode()}", "" if name.endswith(b"/") else "'..'", member(name, b"x")
        yield f"T01-link-{name.decode()}", "'..'", symlink(name, b"x")
        yield f"T01-folder-{name.decode()}", "'..'", folder(name)
    yield "T01-4-KiB-upwards", "", pax(record(b"path", b"../" * 1365)) + member(b"x")
    yield "T01-absolute", kTaken, member(b"/etc/x", b"x") + member(b"./y", b"y") + member(b".//z", b"z") + member(b"//a//b", b"")
    for target in (os.fsencode(kCanary), b"../" * 20 + os.fsencode(kCanary)[1:], b"/", b".."):
        yield f"T02-{target[:9].decode()}", kTaken, symlink(b"d", target) + member(b"d/x", b"evil") + folder(b"d/folder/y") + member(b"d/file", b"evil")
        yield f"T02-chain-{target[:9].decode()}", kTaken, symlink(b"c", target) + symlink(b"b", b"c") + symlink(b"d", b"b") + member(b"d/x", b"evil")
        yield f"T02-whiteout-{target[:9].decode()}", kTaken, symlink(b"d", target) + member(b"d/.wh.file") + member(b"d/.wh..wh..opq")
        yield f"T04-{target[:9].decode()}", "", symlink(b"d", target) + hardlink(b"h", b"d/nothing-there")
    yield "T02-proc", kTaken, symlink(b"d", b"/proc/self/root") + member(b"d/x", b"evil")
    yield "T02-devfd", kTaken, symlink(b"d", b"/dev/fd/0") + member(b"d/x", b"evil")
    for name in (b".", b"./", b"/.", b"/", b"././"):
        for kind, entry in {"link": symlink(name, os.fsencode(kCanary)), "file": member(name, b"x"), "fifo": member(name, kind=b"6"),
                            "hardlink": hardlink(name, b"f")}.items():
            yield f"T03-{name.decode()}-{kind}", "", member(b"f") + entry
        yield f"T03-{name.decode()}-folder", kTaken, folder(name, mode=0o700, uid=7) + member(b"f", b"x")
    yield "T03-empty", "", member(b"", b"x")
    for target in (os.fsencode(kCanary) + b"/file", b"../../../canary/file", b"/etc/passwd", b"canary/file", b"nothing", b"f/", b".", b"..", b""):
        yield f"T04-hard-{target[-12:].decode()}", "", hardlink(b"h", target)
    yield "T04-to-itself", "", hardlink(b"h", b"h")
    yield "T04-to-folder", "", folder(b"d") + hardlink(b"h", b"d")
    yield "T04-to-symlink", kTaken, symlink(b"s", os.fsencode(kCanary) + b"/file") + hardlink(b"h", b"s")
    yield "T04-through-symlink", kTaken, folder(b"e") + member(b"e/f", b"x") + symlink(b"d", b"e") + hardlink(b"h", b"d/f")
    yield "T04-changed-behind", kTaken, member(b"f", b"one") + hardlink(b"h", b"f") + member(b"f", b"two")
    yield "T07-all", kTaken, folder(b"a") + member(b"a/x", b"x") + member(b"a", b"file") + folder(b"a") + symlink(b"a", b"b") + folder(b"a") + \
        member(b"a/y", b"y") + folder(b"b") + member(b"b/z", b"z") + folder(b"b") + symlink(b"b", b"a")
    yield "T07-links-part", kTaken, member(b"f", b"x") + hardlink(b"h", b"f") + folder(b"f") + member(b"f/y", b"y") + hardlink(b"f", b"h")
    for name, target in {"itself": b"d", "root": b"/d", "loop": b"a", "file": b"f", "nothing": b"g", "folder": b"e"}.items():
        rest = symlink(b"a", b"b") + symlink(b"b", b"a") + member(b"f") + folder(b"e") + symlink(b"d", target)
        yield f"T07-folder-becomes-link-to-{name}", kTaken, folder(b"d", mode=0o700, mtime=7) + member(b"d/x", b"x") + rest
        yield f"T07-implied-folder-becomes-link-to-{name}", kTaken, member(b"d/x", b"x") + rest
        yield f"W05-opaque-folder-becomes-link-to-{name}", kTaken, member(b"d/.wh.x") + member(b"d/.wh..wh..opq") + rest
    inside = folder(b"d") + member(b"d/f") + symlink(b"l", b"d")
    yield "W05-opaque-by-another-name", kTaken, inside + member(b"d/.wh.x") + member(b"l/.wh..wh..opq")
    yield "W05-removed-by-another-name", kTaken, inside + member(b"l/.wh.x") + member(b"d/.wh..wh..opq")
    yield "W05-opaque-name-leads-elsewhere", kTaken, folder(b"d") + member(b"d/.wh..wh..opq") + symlink(b"d", b"e") + folder(b"e") + member(b"d/.wh.x")
    yield "W05-replaced-name-leads-elsewhere", kTaken, folder(b"e") + member(b"d") + folder(b"d") + symlink(b"d", b"e") + member(b"d/.wh.x")
    through = symlink(b"b", b".") + symlink(b"a", b"/")
    yield "T09-replaces-its-way", kTaken, through + member(b"a/b/b", b"x")
    yield "T09-folder-replaces-its-way", kTaken, symlink(b"b", b".") + folder(b"b/b") + member(b"b/f", b"x")
    yield "T09-link-replaces-its-way", kTaken, through + symlink(b"a/b/b", b"f") + member(b"f", b"x")
    yield "T04-target-replaced", "", member(b"b/b/b", b"x") + hardlink(b"a/b", b"b/b/b") + hardlink(b"b", b"b/b/b")
    yield "T09-loop", "", symlink(b"a", b"b") + symlink(b"b", b"a") + member(b"a/x", b"x")
    yield "T09-itself", "", symlink(b"a", b"a") + member(b"a/x", b"x")
    yield "T09-41-links", "", b"".join(symlink(b"l%d" % i, b"l%d" % (i + 1)) for i in range(41)) + folder(b"l41") + member(b"l0/x", b"x")
    yield "T09-39-links", kTaken, b"".join(symlink(b"l%d" % i, b"l%d" % (i + 1)) for i in range(39)) + folder(b"l39") + member(b"l0/x", b"x")
    yield "T09-deeper", "", symlink(b"a", b"a/b") + member(b"a/x", b"x")
    for kind, entry in {"file": member(b"p", b"x"), "fifo": member(b"p", kind=b"6"), "device": member(b"p", kind=b"3", major=1, minor=3),
                        "hardlink": member(b"q", b"x") + hardlink(b"p", b"q"), "link-to-file": member(b"q") + symlink(b"p", b"q")}.items():
        yield f"T10-below-{kind}", "", entry + member(b"p/x", b"x")
        yield f"T10-in-place-of-{kind}", kTaken, entry + member(b"p", b"new")
    for name in (b"a\nb", b"a\x1b[2Jb", b"\xff\xfe", b"a\\b", "é".encode(), "e\u0301".encode(), b"A", b"a", b"a" * 255, b" ", b"-rf", b"a:b,c"):
        yield f"T12-{name[:9]!r}", kTaken, pax(record(b"path", name)) + member(b"x", b"x")
    yield "T12-pairs", kTaken, b"".join(pax(record(b"path", name)) + member(b"x", name) for name in ("é".encode(), "e\u0301".encode(), b"A", b"a"))
    yield "T12-256", "255", pax(record(b"path", b"a" * 256)) + member(b"x")
    yield "T12-nul", "", member(b"a\0b", b"x")
    yield "T12-nul-in-pax", "", pax(record(b"path", b"a\0b")) + member(b"x")
    for name in (b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh...", b".wh..wh.x/y", b".wh.a/b", b".wh..wh..wh.x"):
        yield f"W01-{name.decode()}", kTaken if name.startswith(b".wh..wh.") else "", folder(b"d") + member(name)
    yield "W02-upwards", "'..'", member(b"dne/../.wh.etc")
    yield "W02-dead-parent", kTaken, symlink(b"d", b"nothing") + member(b"d/.wh.x")


def ends():
    """As named(), of whole tars: what stands at and behind the end."""
    tar = member(b"a", b"x" * 700) + folder(b"d") + pax(record(b"mtime", b"5.5")) + member(b"d/f", b"y" * 512) + gnu(b"L", b"n" * 150 + b"\0") + \
        symlink(b"n", b"a")
    for length in range(0, len(tar) + 1, 512):
        yield f"F09-cut-at-{length}", "", tar[:length]
        yield f"F09-cut-behind-{length}", "", tar[:length + 100] if length < len(tar) else tar + b"\0" * 100
    yield "F07-one-zero-block", kTaken, tar + b"\0" * 512
    yield "F07-no-end", "end mark", tar
    yield "F07-zeros-behind", kTaken, tar + END + b"\0" * 9000
    yield "F07-text-behind", kTaken, tar + END + b"text, no block"
    yield "F07-two-tars", kTaken, tar + END + member(b"../hidden", b"x") + END
    yield "F07-after-one-zero-block", "", tar + b"\0" * 512 + member(b"hidden") + END
    yield "F07-no-block", "", b"text"
    yield "F07-empty", "", b""
    yield "F07-only-end", kTaken, END


# -- random ones ------------------------------------------------------------------------------------------------------

kNames = (b"a", b"b", b"c", b"d", b"d/a", b"d/b", b"d/e", b"d/e/f", b"./a", b"/b", b"d//a", b"link", b"link/x", b"link/y/z", b"loop", b"loop/x", b"up/file",
          b"canary/file", b"\xff\x01", b"new\nline", b"x" * 99, b"d/" + b"y" * 90, b".wh.a", b"d/.wh.a", b"d/.wh..wh..opq", b".wh..wh..opq", b"link/.wh.x",
          b".wh..wh.aufs", b"d/.wh.e", b"e/.wh.b", b"./", b".")
kBadNames = (b"..", b"../x", b"d/../a", b"", b".wh.", b".wh...", b"a\0b", b"z" * 300, b"d/.wh.x/y", b"/" * 99)
kTargets = (b"a", b"b", b"d", b"d/e", b"..", b"../..", b"/", b"/d", b"link", b"loop", b"nowhere", os.fsencode(kCanary), os.fsencode(kCanary) + b"/file",
            b"../" * 12 + os.fsencode(kCanary)[1:], b"/proc/self/cwd", b"d/../a", b"./a", b"/a")
kCapability = b"\x01\0\0\x02" + b"\0\x04\0\0" + b"\0" * 12
kXattrs = ((b"user.a", b"x"), (b"user.empty", b""), (b"trusted.t", b"\0\xff"), (b"security.capability", kCapability), (b"trusted.overlay.opaque", b"y"),
           (b"trusted.overlay.redirect", b"/a"), (b"user.overlay.opaque", b"y"), (b"trusted.overlay.metacopy", b""), (b"trusted.overlay.overlay.opaque", b"y"),
           (b"user.large", b"v" * 3000))
kBadXattrs = ((b"security.capability", b"junk"), (b"system.posix_acl_access", b"junk"), (b"bad.name", b"x"), (b"user.", b"x"), (b"user.big", b"v" * 65537))


class Generator:
    """A tar of random entries. `wildness` is the chance of each thing that has to be refused."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.wildness = self.dice.choice((0, 0, 0, 0.01, 0.1))

    def wild(self):
        return self.dice.random() < self.wildness

    def name(self):
        return self.dice.choice(kBadNames if self.wild() else kNames)

    def fields(self):
        dice = self.dice
        fields = {"mode": dice.choice((0o644, 0o755, 0, 0o7777, 0o4711, 0o104600)), "uid": dice.choice((0, 1000, 0o7777777, base256(0xfffffffe, 8))),
                  "gid": dice.choice((0, 5, 65534)), "mtime": dice.choice((0, 1, 1 << 32, base256(-5, 12), base256(15032385535, 12)))}
        if self.wild():
            fields |= dice.choice(({"uid": base256(-1, 8)}, {"mtime": base256(1 << 62, 12)}, {"mode": b"9999999\0"}, {"size": base256(-1, 12)},
                                   {"size": 1 << 32}, {"checksum": b"0000000 "}))
        return fields

    def extension(self):
        """What may stand before an entry; most often nothing."""
        dice = self.dice
        records = []
        if dice.random() < 0.3:
            records += [record(b"SCHILY.xattr." + key, value) for key, value in dice.sample(kXattrs, dice.randint(1, 3))]
        if dice.random() < 0.2:
            records.append(record(b"mtime", dice.choice((b"1.5", b"-1.25", b"7.123456789"))))
        if dice.random() < 0.1:
            records.append(record(b"path", self.name() or b"a"))
        if self.wild():
            records.append(dice.choice((b"junk", record(b"uid", b"-1"), record(b"size", b"77"), record(b"SCHILY.xattr." + dice.choice(kBadXattrs)[0], b"junk"),
                                        record(b"linkpath", b"a\0"), record(b"GNU.sparse.major", b"1"))))
        text = pax(*records) if records else b""
        if dice.random() < 0.05 and (not records or self.wild()):
            text += gnu(b"L", dice.choice((b"d/" + b"l" * 120, b"g", b"d/e/" + b"m" * 200)) + b"\0")
        return text

    def sparse(self):
        size = self.dice.choice((5000, 1 << 20))
        parts = b"2\n0\n3\n%d\n4\n" % (size - 4)
        return pax(record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0"), record(b"GNU.sparse.name", self.name() or b"a"),
                   record(b"GNU.sparse.realsize", b"%d" % size)) + member(b"GNUSparseFile.0/x", padded(parts) + b"abcdefg")

    def entry(self):
        dice = self.dice
        kind = dice.choices((b"0", b"5", b"2", b"1", b"6", b"3", b"4", b"7", b"\0", b"s"), (30, 20, 15, 10, 3, 3, 2, 2, 3, 3))[0]
        if kind == b"s":
            return self.sparse()
        fields = self.fields()
        if self.wild():
            kind = bytes([dice.choice(b"AVMz8")])
        name = self.name()
        if kind in b"12":
            fields["link"] = dice.choice(kTargets) if kind == b"2" or dice.random() < 0.3 else dice.choice((b"a", b"b", b"c", b"d/a", b"d/b", b"./a", b"/b"))
        if kind in b"34":
            fields |= {"major": 1, "minor": dice.choice((1, 3, 300))} if not self.wild() else {"major": 0, "minor": 0}
        data = bytes(dice.choice(b"xyz") for _ in range(dice.choice((0, 1, 511, 512, 513, 5000)))) if kind in b"07\0" and name[-1:] != b"/" else b""
        return self.extension() + member(name, data, kind, **fields)

    def tar(self):
        tar = b"".join([self.entry() for _ in range(self.dice.randint(1, 12))])
        if self.wild():
            return tar[:self.dice.randint(0, len(tar))]
        return tar + self.dice.choice((END, END, END, END + b"\0" * 8192, b"\0" * 512, END + member(b"../x") + END))


# -- both forms -------------------------------------------------------------------------------------------------------

def describe(root):
    """Everything that a tree shows, of the root as well."""
    lines, first = {}, {}
    paths = [b"."] + [os.path.join(place, name) for place, folders, files in walk(root) for name in folders + files]
    for path in sorted(paths):
        whole = os.path.join(os.fsencode(root), path)
        info = os.lstat(whole)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            lines[path] = "removed"
            continue
        line = [oct(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns, sorted(raw_attributes(whole))]
        if stat.S_ISLNK(info.st_mode):
            line.append(os.readlink(whole))
        elif not stat.S_ISDIR(info.st_mode):
            line += [info.st_size, info.st_rdev, first.setdefault(info.st_ino, path), info.st_nlink]
        if stat.S_ISREG(info.st_mode):
            line.append(content_hash(whole))
        lines[path] = line
    if any(name.startswith("trusted.overlay.opaque") for name in raw_attributes(root)):  # nothing is below to be removed
        lines = {path: line for path, line in lines.items() if line != "removed" or os.path.dirname(path) != b"."}
    return lines


def walk(root):
    for place, folders, files in os.walk(os.fsencode(root)):
        yield os.path.relpath(place, os.fsencode(root)), folders, files


def raw_attributes(path):
    """Overlay's own ones as well: both forms are lowers of an overlay. Its origin says which file system it was."""
    return [f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in os.listxattr(path, follow_symlinks=False)]


@contextlib.contextmanager
def mounted(layer):
    """The kernel's own view of a layer in the mounted form."""
    os.makedirs("mounted", exist_ok=True)
    if libc.mount(os.fsencode(f"{layer}/layer.erofs"), b"mounted", b"erofs", 1, os.fsencode(f"device={layer}/layer.tar")) != 0:
        raise OSError(ctypes.get_errno(), f"mount {layer}")
    try:
        yield "mounted"
    finally:
        if libc.umount2(b"mounted", 0) != 0:
            raise OSError(ctypes.get_errno(), "umount")


def lists_of(layer):
    """Of folders that mean something to a stack of layers."""
    found = {}
    for name in ("implied", "entered", "whiteouts"):
        if os.path.exists(f"{layer}/{name}"):
            with open(f"{layer}/{name}", "rb") as file:
                found[name] = file.read()
    return found


def view(form, name):
    layer = f"root-{form}/layers/{name}"
    if os.path.isdir(f"{layer}/tree"):
        return describe(f"{layer}/tree"), lists_of(layer)
    with mounted(layer) as place:
        return describe(place), lists_of(layer)


def bring(tar):
    """What both forms say."""
    shutil.rmtree("layout", ignore_errors=True)
    write_layout("layout", image(layers=(("application/vnd.oci.image.layer.v1.tar", tar),)))
    return {form: call("--root", f"root-{form}", "copy", "-q", "oci:layout:x:1", "x:1", LAY_LAYER_FORM=form) for form in kForms}


def where(answer):
    """Which entry is refused, if that is said: each form has its own words for the reason."""
    line = answer.text.split("\n")[0]
    return line[:line.rfind("': ")] if "entry '" in line else ""


def differences(one, other):
    keys = [key for key in sorted(set(one) | set(other)) if one.get(key) != other.get(key)]
    return "; ".join(f"{key!r}: {one.get(key)} and {other.get(key)}" for key in keys[:5])


def faults_of(tar, words=""):
    answers = bring(tar)
    codes = {answer.code for answer in answers.values()}
    if codes == {0}:
        (tree, lists), (other, other_lists) = (view(form, sha(tar)) for form in kForms)
        if tree != other:
            yield f"trees differ: {differences(tree, other)}"
        if lists != other_lists:
            yield f"lists of folders differ: {lists} and {other_lists}"
        if words is not kTaken and words != "?":
            yield "is taken"
        yield from (f"{form} takes {answer.peak >> 20} MiB" for form, answer in answers.items() if answer.peak > kPeak)
        return
    if words is kTaken:
        yield f"is refused: {answers['erofs'].text}{answers['tree'].text}"
    for form, answer in answers.items():
        if answer.code != 0:
            yield from (f"{form}: {fault}" for fault in faults_of_refusal(answer, words if words not in (kTaken, "?") else ""))
    if len(codes) > 1 or len({where(answer) for answer in answers.values()} - {""}) > 1:
        yield "forms differ: " + " and ".join(f"{form} {answer.text.strip() or 'takes it'}" for form, answer in answers.items())


def tidy():
    for form in kForms:
        shutil.rmtree(f"root-{form}", ignore_errors=True)


def all_of(cases):
    """Counts the cases, those that were taken, and those that went wrong."""
    canary = make_canary(kCanary)
    count = wrong = taken = 0
    for name, words, tar in cases:
        count += 1
        if count % 200 == 0:
            tidy()
        faults = list(faults_of(tar, words))
        taken += os.path.exists(f"root-tree/layers/{sha(tar)}")
        if snapshot(kCanary) != canary:
            faults.append("touches the canary")
        for fault in faults:
            wrong += 1
            print(f"{name}: {fault[:1500]}")
    for form in kForms:
        fsck = call("--root", f"root-{form}", "fsck", "-q", LAY_LAYER_FORM=form)
        if fsck.code != 0:
            wrong += 1
            print(f"fsck of {form}: {fsck.out}{fsck.text}")
    print(f"{count} tars, {taken} taken, {wrong} wrong")
    return 1 if wrong else 0


def named_cases():
    for name, words, tar in named():
        yield name, words, tar + END
    yield from ends()


def random_cases(seed, count):
    for i in range(int(seed), int(seed) + int(count)):
        yield f"seed {i}", "?", Generator(i).tar()


def write_layers(target, *tars):
    """A layout of an image with these layers, each a file."""
    layers = [(kLayerKind, open(tar, "rb").read()) for tar in tars]
    write_layout(target, image(layers=layers))


def write_removals(target):
    """Two layers, of which the second removes e/x and d/file by names that lead there through symlinks."""
    os.mkdir(target)
    for name, tar in {"1": folder(b"d") + member(b"d/file", b"x") + folder(b"e") + member(b"e/x", b"x") + member(b"e/y", b"y"),
                      "2": folder(b"o") + member(b"o/.wh..wh..opq") + symlink(b"o", b"e") + folder(b"e") + member(b"o/.wh.x") + folder(b"d") +
                      member(b"d/f") + symlink(b"l", b"d") + member(b"d/.wh.file") + member(b"l/.wh..wh..opq")}.items():
        with open(os.path.join(target, name), "wb") as file:
            file.write(tar + END)


def main(group, *arguments):
    if group in kOthers:
        return kOthers[group](*arguments)
    return all_of({"named": named_cases, "random": random_cases}[group](*arguments))


def rivals():
    """Layers that fill one folder, and layers that make it a symlink to what lies outside and write through that."""
    canary = os.fsencode(kCanary)
    files = b"".join(member(b"d/file%d" % i, b"x" * 3000) for i in range(60))
    for link in (canary, b"../" * 12 + canary[1:], b"/", b"d2"):
        yield folder(b"d") + files + folder(b"d/folder") + member(b"d/file", b"evil")
        yield symlink(b"d", link) + files + member(b"d/folder/y", b"evil") + member(b"d/.wh.file")
        yield files + symlink(b"d", link) + member(b"d/file", b"evil") + member(b"d/setuid", b"evil")


def play(registry, dice, layers, base):
    """One round: loads and pulls of images that have these layers in some order, all at once, in a new store."""
    shutil.rmtree("rivals", ignore_errors=True)
    os.mkdir("rivals")
    commands = []
    for i in range(4):
        mixed = [base] + dice.sample(layers, 3)
        files = image(config=at("author", str(i)), layers=[(kLayerKind, tar) for tar in mixed])
        if i % 2 == 0:
            write(f"rivals/{i}", [Member(path, data) for path, data in files.items()])
            commands.append(["load", "-q", "-i", f"rivals/{i}"])
        else:
            registry.cases[f"app{i}"] = Case(f"app{i}", None, files)
            commands.append(["pull", "-q", f"127.0.0.1:{registry.server_port}/app{i}:1"])
    with concurrent.futures.ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(lambda command: call("--root", "rivals/root", *command, LAY_LAYER_FORM="tree"), commands))


def race(folder_of_world, rounds):
    os.chdir(folder_of_world)
    canary, registry, dice = make_canary(kCanary), Registry(), random.Random(1)
    layers = [tar + END for tar in rivals()]
    with open("base", "rb") as file:
        base = file.read()
    wrong = 0
    for _ in range(int(rounds)):
        faults = [f"is refused: {answer.text}" for answer in play(registry, dice, layers, base) if answer.code != 0]
        ran = call("--root", "rivals/root", "run", "--rm", "--network", "none", f"127.0.0.1:{registry.server_port}/app1:1", "/bin/sh", "-c",
                   "touch /d/file /d/touched 2>/dev/null; true", LAY_LAYER_FORM="tree")
        fsck = call("--root", "rivals/root", "fsck", "-q", LAY_LAYER_FORM="tree")
        faults += [answer.text + answer.out for answer in (ran, fsck) if answer.code != 0]
        if snapshot(kCanary) != canary:
            faults.append("touches the canary")
        wrong += len(faults)
        for fault in faults:
            print(fault)
    print(f"{rounds} rounds, {wrong} wrong")
    return 1 if wrong else 0


kOthers = {"rivals": race, "layout": write_layers, "removals": write_removals}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
