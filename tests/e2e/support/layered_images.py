#!/usr/bin/env python3
"""Writes OCI layouts of images with several layers, for fidelity.bats.

    layered_images.py GROUP FOLDER

FOLDER/GROUP is a layout with the tag 1; of the groups refused and many each case is one below FOLDER/GROUP. Its first layer has a static busybox as entry point; each case of the group
has a folder cases/CASE of its own, for which @ stands in link targets; a name that begins with a slash is at the root.
Owners, modes and times tell which layer gave what is shown. The names of groups say what is judged, see fidelity.bats.
"""
import io
import os
import struct
import sys
import tarfile

from oci_layout import write_layout


class Entry:
    def __init__(self, name, kind=tarfile.REGTYPE, data=b"", link="", mode=None, ids=None, pax=None, device=(0, 0)):
        self.name, self.kind, self.data, self.link = name, kind, data, link
        self.mode, self.ids, self.pax, self.device = mode, ids, pax or {}, device


def folder(name, mode=None, **more):
    return Entry(name, tarfile.DIRTYPE, mode=mode, **more)


def file(name, data="", mode=None, **more):
    return Entry(name, data=data.encode() or os.fsencode(name), mode=mode, **more)


def symlink(name, target):
    return Entry(name, tarfile.SYMTYPE, link=target)


def hard_link(name, target):
    return Entry(name, tarfile.LNKTYPE, link=target)


def gone(name):
    head, _, last = name.rpartition("/")
    return Entry(f"{head}/.wh.{last}" if head else f".wh.{last}")


def opaque(name):
    return Entry(f"{name}/.wh..wh..opq" if name else "/.wh..wh..opq")


NAME = "a/"  # of folders in one another
CASES = folder("/cases/", 0o711)


def nested(count, *more):
    return [*(folder(NAME * (i + 1), 0o711) for i in range(count)), *more]


def busybox():
    with open("/bin/busybox", "rb") as program:
        return Entry("/bin/busybox", data=program.read(), mode=0o755)


def usrmerged(*more):
    """The lowest layer of a system whose lib is a symlink."""
    return [folder("usr/", 0o751), folder("usr/lib/", 0o2755, ids=(3, 4)), file("usr/lib/old"), file("usr/lib/y"),
            symlink("lib", "usr/lib"), *more]


CANARY = os.environ.get("CANARY", "/canary")  # a folder of the host
CAPABILITY = "SCHILY.xattr.security.capability"  # cap_net_raw+ep, in v3 of the root that is 100 outside
ACCESS_LIST = "SCHILY.xattr.system.posix_acl_access"


def access_list(*entries):
    """As an attribute has it: each is its tag, its rights, and of whom."""
    packed = b"".join(struct.pack("<HHI", *entry, *[2**32 - 1] * (3 - len(entry))) for entry in entries)
    return os.fsdecode(struct.pack("<I", 2) + packed)


ODD_NAMES = ["new\nline", "\x1b[2J", "back\\slash", "\udcff\udcfe", "u\u0308", "\u00fc", " ", "-rf", "n" * 251]

# GROUP: CASE: layers, lowest first. A group's layers are those of its cases with the same number.
GROUPS = {
    "links": {
        "link-below-file-above": [[folder("real/", 0o700), file("real/old"), symlink("d", "real")],
                                  [file("d/x")], [file("d/y")]],
        "link-out-of-the-root": [[folder("real/"), symlink("d", "../../../../@/real")], [file("d/x")]],
        "three-links": [[folder("real/"), symlink("c", "real"), symlink("b", "c"), symlink("a", "/@/b")],
                        [file("a/x"), file("b/y")]],
        "within-one-layer": [[], [folder("real/", 0o710), symlink("d", "real"), file("d/x"), folder("d/sub/"),
                                  file("d/sub/y")]],
        "link-replaced-later": [[folder("real/"), symlink("d", "real")], [file("d/x")],
                                [folder("other/"), symlink("d", "other"), file("d/y")]],
        "link-made-later": [[folder("real/")], [symlink("d", "real")], [file("d/x")]],
        "link-to-a-link-above": [[folder("real/"), symlink("d", "l")], [symlink("l", "real")], [file("d/x")]],
    },
    "dead-links": {
        "file": [[symlink("d", "nowhere")], [file("d/x")]],
    },
    "hard-links": {
        "absolute": [[], [file("a"), hard_link("b", "/@/a")]],
        "through-a-symlink": [[], [folder("real/"), file("real/a"), symlink("d", "real"), hard_link("b", "@/d/a")]],
        "onto-a-symlink": [[], [file("a"), symlink("s", "a"), hard_link("b", "@/s")]],
        "onto-a-dangling-symlink": [[], [symlink("s", "/nowhere"), hard_link("b", "@/s")]],
        "replaced-name": [[file("a", "lower"), hard_link("b", "@/a"), hard_link("c", "@/a")], [file("b", "upper")]],
        "removed-name": [[file("a", "lower"), hard_link("b", "@/a")], [gone("a")]],
        "another-in-each-layer": [[file("a", "1"), hard_link("b", "@/a")], [file("a", "2"), hard_link("b", "@/a")]],
        "over-a-folder": [[folder("d/"), file("d/x")], [file("a"), hard_link("d", "@/a")]],
    },
    "hard-link-below": {"file": [[file("a")], [hard_link("b", "@/a")]]},
    "replaced": {
        "file-by-folder": [[file("p")], [folder("p/", 0o700), file("p/x")]],
        "folder-by-symlink": [[folder("p/"), file("p/x"), folder("q/"), file("q/z")], [symlink("p", "q")]],
        "symlink-by-folder": [[folder("q/"), file("q/z"), symlink("p", "q")], [folder("p/"), file("p/x")]],
        "full-folder-by-file": [[folder("p/"), folder("p/q/"), file("p/q/x")], [file("p", "file")]],
        "full-folder-by-fifo": [[folder("p/"), file("p/x")], [Entry("p", tarfile.FIFOTYPE)]],
        "folder-by-folder": [[folder("p/", 0o700), file("p/x")], [folder("p/", 0o711, ids=(5, 6)), file("p/y")]],
        "and-back": [[folder("p/"), file("p/old")], [file("p", "file")], [folder("p/", 0o755), file("p/new")]],
        "link-and-back": [[folder("p/"), file("p/old")], [symlink("p", "q")], [folder("p/", 0o755), file("p/new")]],
    },
    "replaced-by-implied": {
        "file": [[file("p")], [file("p/x")]],
        "fifo": [[Entry("p", tarfile.FIFOTYPE)], [file("p/x")]],
        "device": [[Entry("p", tarfile.CHRTYPE, device=(1, 3))], [file("p/x")]],
        "and-back": [[folder("p/", 0o700), file("p/old")], [file("p", "file")], [file("p/new")]],
    },
    "replaced-within": {
        "file-by-folder": [[], [file("p"), folder("p/"), file("p/x")]],
        "folder-by-symlink": [[], [folder("q/"), folder("p/"), file("p/x"), symlink("p", "q")]],
        "symlink-by-folder": [[], [folder("q/"), file("q/z"), symlink("p", "q"), folder("p/"), file("p/x")]],
        "full-folder-by-file": [[], [folder("p/"), folder("p/q/"), file("p/q/x"), file("p", "file")]],
        "folder-by-folder": [[], [folder("p/", 0o700), file("p/x"), folder("p/", 0o711), file("p/y")]],
        "file-and-below": [[folder("p/"), file("p/below")], [file("p"), folder("p/"), file("p/x")]],
        "link-and-below": [[folder("p/"), file("p/below")], [symlink("p", "q"), folder("p/"), file("p/x")]],
    },
    "usrmerge": {
        "implied": [usrmerged(), [file("lib/x")]],
        "entry": [usrmerged(), [folder("lib/", 0o700), file("lib/x")]],
        "chained": [usrmerged(symlink("a", "lib"), symlink("b", "a")), [file("b/x")]],
        "absolute": [[folder("usr/"), folder("usr/lib/", 0o711), file("usr/lib/y"), symlink("lib", "/@/usr/lib")],
                     [file("lib/x")]],
        "nested": [usrmerged(folder("usr/lib/a/", 0o700), file("usr/lib/a/old")), [file("lib/a/b/x")]],
        "nested-link": [usrmerged(folder("usr/lib/real/", 0o700), symlink("usr/lib/a", "real")), [file("lib/a/x")]],
        "folder": [usrmerged(), [folder("lib/d/", 0o711), file("lib/d/x")]],
        "symlink": [usrmerged(), [symlink("lib/s", "old")]],
        "third-replaces": [usrmerged(), [file("lib/x", "second")], [file("usr/lib/x", "third")]],
        "third-replaces-by-link": [usrmerged(), [file("usr/lib/x", "second")], [file("lib/x", "third")]],
        "third-replaces-both-by-link": [usrmerged(), [file("lib/x", "second")], [file("lib/x", "third")]],
        "third-moves-link": [usrmerged(folder("other/")), [file("lib/x")], [symlink("lib", "other")]],
        "third-makes-folder": [usrmerged(), [file("lib/x")], [folder("lib/"), file("lib/z")]],
        "link-in-the-middle": [[folder("usr/"), folder("usr/lib/"), folder("lib/"), file("lib/lost")],
                               [symlink("lib", "usr/lib")], [file("lib/x")]],
        "link-removed": [usrmerged(), [gone("lib")], [file("lib/x")]],
        "link-removed-together": [usrmerged(), [gone("lib"), file("lib/x")]],
        "replaces-below": [usrmerged(), [file("lib/old", "new", 0o600)]],
        "hard-link": [usrmerged(), [file("lib/x"), hard_link("lib/x2", "@/lib/x")]],
        "both-names": [usrmerged(), [file("lib/x", "by lib"), file("usr/lib/z", "by usr")]],
    },
    "usrmerge-named-again": {
        "folder": [usrmerged(), [file("lib/x"), folder("lib/", 0o711), file("lib/z")]],
        "the-same-symlink": [usrmerged(), [file("lib/x"), symlink("lib", "usr/lib"), file("lib/z")]],
        "another-symlink": [usrmerged(folder("other/")), [file("lib/x"), symlink("lib", "other"), file("lib/z")]],
        "file": [usrmerged(), [file("lib/x"), file("lib", "file")]],
        "hard-link": [usrmerged(), [file("f"), file("lib/x"), hard_link("lib", "@/f")]],
        "nested": [usrmerged(folder("usr/lib/a/", 0o700)), [file("lib/a/b/x"), file("lib/y"), symlink("lib", "usr/lib")]],
        "nested-folder": [usrmerged(folder("usr/lib/a/", 0o700)), [file("lib/a/x"), folder("lib/a/", 0o711)]],
        "before-and-after": [usrmerged(), [folder("d/"), symlink("e", "d"), file("lib/x"), symlink("lib", "e"), file("lib/y"),
                                           folder("lib/", 0o711), file("lib/z")]],
        "third": [usrmerged(), [file("lib/x"), symlink("lib", "usr/lib")], [file("lib/x", "third")]],
    },
    "usrmerge-removals": {
        "file": [usrmerged(), [gone("lib/y")]],
        "folder": [usrmerged(folder("usr/lib/d/"), file("usr/lib/d/f")), [gone("lib/d")]],
        "nested": [usrmerged(folder("usr/lib/d/", 0o700), file("usr/lib/d/f"), file("usr/lib/d/g")), [gone("lib/d/f")]],
        "and-file": [usrmerged(), [gone("lib/y"), file("lib/x")]],
        "same-file": [usrmerged(), [gone("lib/y"), file("lib/y", "upper")]],
        "third": [usrmerged(), [file("lib/x")], [gone("usr/lib/x")]],
        "third-by-link": [usrmerged(), [file("usr/lib/x")], [gone("lib/x")]],
        "third-adds": [usrmerged(), [gone("lib/y")], [file("usr/lib/y", "third")]],
    },
    "usrmerge-opaque": {
        "before": [usrmerged(), [opaque("lib"), file("lib/x")]],
        "after": [usrmerged(), [file("lib/x"), opaque("lib")]],
        "nested": [usrmerged(folder("usr/lib/d/"), file("usr/lib/d/f")), [opaque("lib/d"), file("lib/d/x")]],
    },
    "whiteouts": {
        "before-the-file": [[file("x", "lower")], [gone("x"), file("x", "upper")]],
        "before-the-folder": [[folder("d/", 0o700), file("d/old")], [gone("d"), folder("d/", 0o711), file("d/new")]],
        "before-the-implied": [[folder("d/", 0o700), file("d/old")], [gone("d"), file("d/new")]],
        "of-nothing": [[], [gone("absent")]],
        "of-a-symlink": [[file("t"), symlink("s", "t")], [gone("s")]],
        "and-again": [[file("x", "1")], [gone("x")], [file("x", "3")]],
        "folder-and-again": [[folder("d/", 0o700), file("d/old")], [gone("d")], [folder("d/", 0o711), file("d/new")]],
        "folder-and-implied": [[folder("d/", 0o700), file("d/old")], [gone("d")], [file("d/new")]],
        "in-a-folder": [[folder("d/", 0o700), file("d/x"), file("d/y")], [folder("d/", 0o711), gone("d/x")]],
        "two-layers-down": [[folder("d/"), file("d/x")], [folder("d/", 0o711), file("d/y")], [gone("d/x")]],
    },
    "whiteouts-after": {
        "file": [[file("x", "lower")], [file("x", "upper"), gone("x")]],
        "folder": [[folder("d/", 0o700), file("d/old")], [folder("d/", 0o711), file("d/new"), gone("d")]],
        "symlink": [[folder("d/", 0o700), file("d/old")], [symlink("d", "x"), gone("d")]],
    },
    "whiteouts-of-nothing": {
        "in-a-new-folder": [[], [folder("d/", 0o711), gone("d/x")]],
        "in-a-new-implied-folder": [[], [gone("d/x"), file("d/y")]],
        "in-a-folder-over-a-file": [[file("p")], [folder("p/"), gone("p/x")]],
        "in-a-folder-over-a-symlink": [[folder("q/"), file("q/x"), symlink("p", "q")], [folder("p/"), gone("p/x")]],
        "in-a-removed-folder": [[folder("d/"), file("d/x")], [gone("d")], [folder("d/"), gone("d/x")]],
        "in-an-opaque-folder": [[folder("d/"), file("d/x")], [folder("d/"), opaque("d"), gone("d/x"), file("d/y")]],
    },
    "whiteout-alone": {"implied-folder": [[], [gone("no/such/file")]]},
    "opaque": {
        "before": [[folder("d/", 0o700), file("d/old")], [folder("d/", 0o711), opaque("d"), file("d/new")]],
        "after": [[folder("d/", 0o700), file("d/old")], [folder("d/", 0o711), file("d/new"), opaque("d")]],
        "first": [[folder("d/", 0o700), file("d/old")], [opaque("d"), folder("d/", 0o711), file("d/new")]],
        "alone": [[folder("d/", 0o700), file("d/old"), folder("d/sub/")], [folder("d/", 0o711), opaque("d")]],
        "absent-below": [[], [folder("d/"), opaque("d"), file("d/new")]],
        "deep": [[folder("d/"), folder("d/e/"), file("d/e/old"), file("d/old")],
                 [folder("d/"), folder("d/e/"), opaque("d/e"), file("d/e/new")]],
        "folder-in-it": [[folder("d/"), folder("d/sub/", 0o700), file("d/sub/old")],
                         [folder("d/"), opaque("d"), folder("d/sub/", 0o711), file("d/sub/new")]],
        "two-layers-down": [[folder("d/"), file("d/1")], [folder("d/"), file("d/2")],
                            [folder("d/"), opaque("d"), file("d/3")]],
        "in-the-middle": [[folder("d/"), file("d/1")], [folder("d/"), opaque("d"), file("d/2")],
                          [folder("d/"), file("d/3")]],
        "symlink-below": [[folder("real/"), file("real/old"), symlink("d", "real")],
                          [folder("d/"), opaque("d"), file("d/new")]],
    },
    "opaque-implied": {
        "before": [[folder("d/", 0o700), file("d/old")], [opaque("d"), file("d/new")]],
        "after": [[folder("d/", 0o700), file("d/old")], [file("d/new"), opaque("d")]],
        "deep": [[folder("d/", 0o700), folder("d/e/", 0o711), file("d/e/old"), file("d/old")],
                 [opaque("d/e"), file("d/e/new")]],
        "third": [[folder("d/", 0o700), file("d/old")], [opaque("d"), file("d/new")], [file("d/newer")]],
    },
    "opaque-root": {
        "": [[file("/cases/old"), file("/old")], [opaque(""), folder("/cases/"), file("/cases/new"), file("/new"), busybox()]],
    },
    "implied": {
        "three-layers": [[folder("p/", 0o1711, ids=(7, 8)), folder("p/q/", 0o750, ids=(9, 10)), file("p/q/1")],
                         [file("p/q/2")], [file("p/q/r/3")]],
        "entry-in-the-second": [[file("p/1")], [folder("p/", 0o700, ids=(1, 2)), file("p/2")], [file("p/3")]],
        "entry-in-the-third": [[file("p/1")], [file("p/2")], [folder("p/", 0o700, ids=(1, 2))]],
        "only-a-whiteout": [[folder("p/", 0o1711, ids=(7, 8)), file("p/1"), file("p/2")], [gone("p/1")], [file("p/3")]],
        "attributes": [[folder("p/", 0o2711, pax={"SCHILY.xattr.user.note": "kept"}), file("p/1")], [file("p/2")],
                       [file("p/3")]],
        "deep": [nested(60, file(NAME * 60 + "old"), file(NAME * 60 + "kept")), [file(NAME * 60 + "x")],
                 [gone(NAME * 60 + "old")]],
    },
    "implied-deep": {"": [nested(1000), [file(NAME * 1000 + "x")], [file(NAME * 1000 + "y")]]},
    "attributes-of-folders": {
        "replaced": [[folder("p/", pax={"SCHILY.xattr.user.note": "1"}), file("p/1")],
                     [folder("p/", 0o711, pax={"SCHILY.xattr.user.other": "2"})], [file("p/3")]],
    },
    "links-of-links": {
        "three-layers": [[folder("real/", 0o710), file("real/y")], [symlink("c", "real"), symlink("b", "./x/../c")],
                         [symlink("a", "/@/b"), folder("x/")], [file("a/x")], [gone("a/y")]],
        "through-a-folder-above": [[folder("real/"), symlink("b", "x/d")], [folder("x/"), symlink("x/d", "../real")], [file("b/f")]],
        "beyond-the-root": [[folder("real/", 0o710), symlink("d", "../" * 1000 + "@/real")], [file("d/x"), file("d/sub/y")]],
        "there-and-back": [[folder("real/", 0o710), folder("p/"), symlink("d", "p/../" * 300 + "real")], [file("d/x")]],
        "replaced-on-the-way": [[folder("one/"), folder("two/"), symlink("b", "one"), symlink("a", "b")], [symlink("b", "two")],
                                [file("a/x")]],
        "circle-taken-away": [[symlink("a", "b"), symlink("b", "a")], [gone("a"), folder("a/", 0o711), file("a/x")], [file("b/y")]],
        "circle-replaced": [[symlink("a", "b"), symlink("b", "a")], [folder("a/", 0o711), file("a/x")], [file("b/y")]],
    },
    "forty-links": {
        "forty": [[folder("l40/"), *(symlink(f"l{i}", f"l{i + 1}") for i in range(40))], [file("l0/x")]],
    },
    "loops": {
        "circle": [[symlink("a", "b"), symlink("b", "a")], [file("a/x")]],
        "itself": [[symlink("self", "self/y")], [file("self/x")]],
        "chain": [[folder("l60/"), *(symlink(f"l{i}", f"l{i + 1}") for i in range(60))], [file("l0/x")]],
    },
    "times": {
        "file": [[file("f", pax={"mtime": "1000000000.123456789"})]],
        "after-2038": [[file("f", pax={"mtime": "4294967296.999999999"})]],
        "folder": [[folder("d/", pax={"mtime": "1000000000.000000001"}), file("d/f", pax={"mtime": "1.5"})]],
        "fifo": [[Entry("p", tarfile.FIFOTYPE, pax={"mtime": "1000000000.5"})]],
        "replaced": [[file("f", pax={"mtime": "1.1"})], [file("f", pax={"mtime": "1.2"})]],
    },
    "times-before-1970": {"file": [[file("f", pax={"mtime": "-1.5"})]], "folder": [[folder("d/", pax={"mtime": "-2.25"})]]},
    "outside": {
        "file": [[symlink("d", CANARY)], [file("d/file", "new"), file("d/x")]],
        "whiteout": [[symlink("d", CANARY)], [gone("d/file")]],
        "opaque": [[symlink("d", CANARY)], [opaque("d")]],
        "by-dots": [[symlink("d", "../" * 40 + CANARY[1:])], [file("d/file", "new"), gone("d/folder")]],
        "chained": [[symlink("e", CANARY), symlink("d", "e")], [file("d/file", "new"), gone("d/folder")]],
        "within-one-layer": [[symlink("d", CANARY), file("d/file", "new"), gone("d/folder")]],
    },
    "names": {
        "odd": [[file(name) for name in ODD_NAMES]],
        "odd-folders": [[entry for name in ODD_NAMES for entry in (folder(name + "/", 0o711), file(name + "/" + name))],
                        [file(ODD_NAMES[0] + "/x"), *(gone(name + "/" + name) for name in ODD_NAMES)]],
        "odd-removed": [[file(name) for name in ODD_NAMES], [gone(name) for name in ODD_NAMES if len(name) < 200]],
        "odd-links": [[file("f"), *(symlink(name, name) for name in ODD_NAMES)]],
        "case": [[file("a"), file("A")], [gone("A")]],
    },
    "capabilities": {
        "v2": [[file("f", mode=0o755, pax={CAPABILITY: "\1\0\0\2\0 \0\0" + "\0" * 12})]],
        "v3": [[file("f", mode=0o755, pax={CAPABILITY: "\1\0\0\3\0 \0\0" + "\0" * 12 + "d\0\0\0"})]],
        "owned": [[Entry("f", data=b"f", mode=0o4755, ids=(5, 6), pax={CAPABILITY: "\1\0\0\2\0 \0\0" + "\0" * 12})]],
        "replaced": [[file("f", pax={CAPABILITY: "\1\0\0\2\0 \0\0" + "\0" * 12})], [file("f")]],
    },
    "access-lists": {
        "beyond-the-mode": [[file("f", mode=0o640, pax={ACCESS_LIST: access_list((1, 7), (2, 6, 33), (4, 5), (16, 7), (32, 5))})]],
        "minimal": [[file("f", mode=0o4777, pax={ACCESS_LIST: access_list((1, 6), (4, 5), (32, 0))})]],
        "of-a-folder": [[folder("d/", 0o700, pax={ACCESS_LIST: access_list((1, 7), (4, 7), (32, 7))}), file("d/f")]],
    },
    "access-lists-of-two-entries": {
        "of-a-folder-with-two-entries": [[folder("d/", 0o755, pax={ACCESS_LIST: access_list((1, 7), (2, 7, 33), (4, 5), (16, 7), (32, 5))}),
                                          folder("d/", 0o750)]],
        "of-a-folder-that-says-less-again": [[folder("d/", 0o755, pax={ACCESS_LIST: access_list((1, 7), (2, 7, 33), (4, 5), (16, 7), (32, 5))}),
                                              folder("d/", 0o750, pax={ACCESS_LIST: access_list((1, 7), (4, 5), (32, 0))})]],
    },
    "headers": {
        "mode": [[file("f", mode=0o100644), file("g", mode=0o7777), folder("d/", 0o47755)]],
        "dots-and-slashes": [[file("./f"), file("d//g"), file("d/./h"), folder("./e/.//"), file("//cases/dots-and-slashes/i")]],
        "old-folder": [[Entry("d/", tarfile.AREGTYPE)]],
        "names-of-owners": [[file("f", pax={"uname": "nobody", "gname": "daemon"})]],
        "ids": [[file("f", ids=(4000000000, 3000000000))]],
        "keys-of-others": [[file("f", pax={"comment": "x", "VENDOR.key": "y", "atime": "1.5", "ctime": "2.5",
                                           "LIBARCHIVE.xattr.user.x": "dmFsdWU", "RHT.security.selinux": "a:b:c:s0",
                                           "SCHILY.acl.access": "user::rwx,user:33:r--,group::r--,mask::rwx,other::---"})]],
        "long": [[file("f", pax={"path": "cases/long/" + "long" * 60}), Entry("l", tarfile.SYMTYPE, pax={"linkpath": "x" * 300})]],
        "links-to-folders": [[symlink("l", "/"), symlink("m", "."), symlink("n", "..")]],
        "mode-of-a-symlink": [[Entry("l", tarfile.SYMTYPE, link="x", mode=0o600)]],
        "attributes": [[file("f", pax={"SCHILY.xattr.user.a": "1"})], [file("f", pax={"SCHILY.xattr.user.b": "2"})]],
    },
    "trusted-attributes": {"file": [[file("f", pax={"SCHILY.xattr.trusted.t": "v"})]]},
    "unknown-attributes": {
        "of-a-mac": [[file("f", pax={"SCHILY.xattr.com.apple.provenance": "1"})]],
        "of-nfs": [[file("f", pax={"SCHILY.xattr.system.nfs4_acl": "1"})]],
    },
    "labels": {"file": [[file("f", pax={"SCHILY.xattr.security.selinux": "system_u:object_r:bin_t:s0"})]]},
    "flags": {
        "immutable": [[file("f", pax={"SCHILY.fflags": "schg,immutable"})], [gone("f")]],
        "append-only": [[folder("d/", pax={"SCHILY.fflags": "sappnd,append"}), file("d/f")], [file("d/g")]],
        "no-dump": [[file("f", pax={"SCHILY.fflags": "nodump"})]],
    },
}


# Layers that lay refuses.
REFUSED = {
    **{f"whiteout-{i}": [Entry(name)] for i, name in enumerate((
        ".wh.", ".wh..", ".wh...", "d/.wh..", "d/.wh...", "dne/../.wh.etc", ".wh.d/x", "d/.wh..wh.plnk"))},
    "whiteout-folder": [folder(".wh.d/")],
    "name-of-256-bytes": [file("n" * 256)],
    "name-with-nul": [file("n", pax={"path": "n\0hidden"})],
    "link-with-nul": [Entry("n", tarfile.SYMTYPE, link="x", pax={"linkpath": "x\0hidden"})],
    "100,000-folders": [file("a/" * 100_000 + "f")],
    "hard-link-to-nothing": [hard_link("a", "@/nothing")],
    "hard-link-outside": [hard_link("a", CANARY + "/file")],
    "hard-link-behind-a-symlink": [symlink("d", CANARY), hard_link("a", "@/d/file")],
    "hard-link-by-dots": [hard_link("a", "../" * 40 + CANARY[1:] + "/file")],
}


class Layer:
    """The n-th layer of a group."""

    def __init__(self, number):
        self.number, self.out = number, io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, entry, case=""):
        place = "cases/" + case
        info = tarfile.TarInfo(entry.name[1:] if entry.name[:1] == "/" else f"{place}/{entry.name}")
        info.type, info.linkname = entry.kind, entry.link.replace("@", place)
        info.mode = entry.mode if entry.mode is not None else 0o755 if entry.kind == tarfile.DIRTYPE else 0o644
        info.uid, info.gid = entry.ids or (1000 * self.number, 1000 * self.number + 1)
        info.mtime = 1_000_000_000 + self.number
        info.size, info.pax_headers = len(entry.data), entry.pax
        info.devmajor, info.devminor = entry.device
        self.tar.addfile(info, io.BytesIO(entry.data) if info.size else None)

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def base_layer(cases):
    layer = Layer(0)
    for entry in (folder("/./"), folder("/bin/"), busybox(), CASES):
        layer.add(entry)
    for case in filter(None, cases):
        layer.add(folder("", 0o750), case)
    return layer.bytes()


def layers_of(cases):
    layers = [base_layer(cases)]
    for number in range(max(len(case) for case in cases.values())):
        layer = Layer(number + 1)
        for name, case in cases.items():
            for entry in case[number] if number < len(case) else []:
                layer.add(entry, name)
        layers.append(layer.bytes())
    return layers


def one_file(layer, before=()):
    for entry in before:
        layer.add(entry)
    layer.add(file(f"/cases/{layer.number}"))
    return layer.bytes()


def main(group, place):
    if group == "refused":
        for name, layer in REFUSED.items():
            write_layout(f"{place}/refused/{name}", layers_of({"case": [layer]})[1:])
    elif group == "many":
        for count in (127, 499, 500, 501):
            layers = [Layer(number) for number in range(1, count)]
            write_layout(f"{place}/many/{count}", [base_layer({}), *(one_file(layer, [folder("/./"), CASES]) for layer in layers)])
            layers = [Layer(number) for number in range(1, count)]
            write_layout(f"{place}/many/implied-{count}", [base_layer({}), *map(one_file, layers)])
    else:
        write_layout(f"{place}/{group}", layers_of(GROUPS[group]))


if __name__ == "__main__":
    main(*sys.argv[1:])
