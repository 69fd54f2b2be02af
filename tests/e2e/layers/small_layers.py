#!/usr/bin/env python3
"""Writes OCI layouts of images whose layers have a few KB and ask for much, for small_layers.bats.

    small_layers.py CASE FOLDER

FOLDER/CASE is a layout with the tag 1, gzipped layers, and a static busybox in the lowest.
"""
import io
import sys
import tarfile

from oci_layout import write_layout


def entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, link, 1_000_000_000
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info


def file(name):
    return entry(name)


def symlink(name, target):
    return entry(name, tarfile.SYMTYPE, target)


def gone(name):
    head, _, last = name.rpartition("/")
    return entry(f"{head}/.wh.{last}")


def layer_of(entries, number):
    """A tar of these entries and of one file that no other layer has."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in [*entries, entry(f"layer-{number}")]:
            tar.addfile(info)
    return out.getvalue()


def base_layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar, open("/bin/busybox", "rb") as program:
        data = program.read()
        tar.addfile(entry("bin/", tarfile.DIRTYPE))
        info = entry("bin/busybox")
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def deep(branches, depth, last="x"):
    """Files at the ends of branches of so many folders that have no entries."""
    return [file(f"branch-{branch}/" + "a/" * depth + last) for branch in range(branches)]


def spread(folders, files):
    return [f"f{folder}/{number}" for folder in range(folders) for number in range(files)]


def chain(name):
    """Symlinks, each to the next by many steps, the last to d."""
    return [symlink(f"{name}{i}", "d/../" * 700 + (f"{name}{i + 1}" if i < 37 else "d")) for i in range(38)]


# CASE: the layers on top of the base, lowest first; each gives its entries.
CASES = {
    "deep": lambda: [deep(2, 1900, f"x{number}") for number in range(20)],
    "deeper": lambda: [deep(16, 1900, f"x{number}") for number in range(12)],
    "whiteouts": lambda: [[file(name) for name in spread(60, 10)],
                          *([gone(name) for name in spread(60, 10)[number::8]] for number in range(8))],
    "whiteouts-of-nothing": lambda: [[gone(f"d{number}/{i}/gone") for i in range(300)] for number in range(6)],
    "deep-whiteouts": lambda: [deep(2, 1900), *([gone(f"branch-{number % 2}/" + "a/" * (1900 - number) + "x")] for number in range(20))],
    "implied-over-links": lambda: [*([symlink(f"l{number}-{i}", f"l{number - 1}-{i}" if number else "real") for i in range(100)]
                                     for number in range(20)),
                                   [file(f"l19-{i}/x/y") for i in range(100)]],
    "many-links": lambda: [[symlink(f"l{i}", f"real/{i}") for i in range(1000)], [file(f"l{i}/x") for i in range(1000)]],
    "landed-deep": lambda: [[symlink("d", "branch-0"), symlink("e", "branch-0/a/a/a")],
                            *([file(f"d/{'a/' * 1900}x{number}"), file(f"e/y{number}")] for number in range(20))],
    "replaced": lambda: [[symlink("d", "branch-0"), symlink("branch-1", "d")],
                         *([*deep(2, 1900, f"x{number}"), file("branch-0"), symlink("branch-1", "d")] for number in range(2))],
    "doubling": lambda: [[symlink(f"l{i}", f"l{i + 1}/l{i + 1}") for i in range(38)], [file("l0/x")]],
    "doubling-to-itself": lambda: [[symlink("l", "./l/../l/l")], [file("l/x")], [gone("l/y")]],
    "up-and-down": lambda: [[symlink("d", "../" * 1300 + "real"), *(symlink(f"e{i}", "d/../" * 700 + "d") for i in range(100))],
                            [file(f"e{i}/x") for i in range(100)]],
    "links-to-a-deep-file": lambda: [[file("a/" * 2000 + "f"), *(symlink(f"l{i}", "a/" * 2000 + "f") for i in range(400))],
                                     *([file(f"l{i}/x{number}") for i in range(400)] for number in range(4))],
    "chains-in-turn": lambda: [[entry("d/", tarfile.DIRTYPE), *chain("e"), *chain("f"),
                                *(file(f"{'ef'[i % 2]}0/x{i}") for i in range(2000))]],
    "long-links": lambda: [[symlink(f"l{i}", "a/" * 2047 + "b") for i in range(10000)]],
    "circle-of-layers": lambda: [[symlink("a", "b")], [symlink("b", "c")], [symlink("c", "a")], [file("a/x")], [gone("b/y")]],
}


def main(case, place):
    layers = [layer_of(entries, number) for number, entries in enumerate(CASES[case]())]
    print(*write_layout(f"{place}/{case}", [base_layer(), *layers], is_packed=True)[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
