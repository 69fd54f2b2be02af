#!/usr/bin/env python3
"""Prints one line for each entry below a folder, in byte order; two trees are the same when these are the same.

A line holds type, mode, owner, size or device, time in whole seconds, the first name of a hard-linked file, link
target, extended attributes and the SHA-256 of the content. Left out, because unpackers and overlay differ in them:
overlay's own attributes, and the size and time of folders.
"""
import hashlib
import os
import stat
import sys


def attributes(path):
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False)
                   if not name.startswith(("trusted.overlay.", "user.overlay.")))
    return [f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in names]


def content_hash(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path, first_names):
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return ["listed, but not there"]  # as overlay shows a whiteout in a folder that it does not merge
    kind = stat.filemode(info.st_mode)[0]
    fields = [kind, f"{stat.S_IMODE(info.st_mode):04o}", f"{info.st_uid}:{info.st_gid}"]
    if kind == "l":
        fields += [str(int(info.st_mtime)), "->", os.fsencode(os.readlink(path)).decode("latin-1")]
    elif kind != "d":
        size = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}" if kind in "cb" else str(info.st_size)
        first = first_names.setdefault((info.st_dev, info.st_ino), path)
        fields += [size, str(info.st_mtime_ns // 10**9), first.decode("latin-1")]
    if kind == "-":
        fields.append(content_hash(path))
    return fields + attributes(path)


def main():
    sys.setrecursionlimit(10000)  # of os.walk, for deep trees
    os.chdir(sys.argv[1])
    paths = []
    for folder, folders, files in os.walk(b"."):
        paths += [os.path.join(folder, name) for name in folders + files]
    first_names = {}
    for path in sorted(paths):
        line = [path.decode("latin-1")] + describe(path, first_names)
        print("\t".join(field.replace("\n", "\\n") for field in line))


if __name__ == "__main__":
    main()
