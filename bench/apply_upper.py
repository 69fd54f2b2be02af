#!/usr/bin/env python3
"""Makes the changes that an overlay upper holds in a plain folder: apply_upper.py UPPER FOLDER.

For the peers, which cannot read an upper: their own working folder gets the same difference.
"""
import os
import shutil
import stat
import subprocess
import sys


def is_whiteout(entry):
    info = entry.stat(follow_symlinks=False)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def is_opaque(folder):
    try:
        return os.getxattr(folder, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def find_removed(upper, name="."):
    """Yields the names below `upper` that hide something of the layers below it: whiteouts and opaque folders."""
    with os.scandir(os.path.join(upper, name)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            inner = f"{name}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if is_opaque(entry.path):
                    yield inner, "opaque"
                yield from find_removed(upper, inner)
            elif is_whiteout(entry):
                yield inner, "whiteout"


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def copy_without(upper, folder, left_out):
    """Copies with tar, which keeps owners, hard links and attributes; overlay's own attributes stay behind."""
    attributes = ["--numeric-owner", "--xattrs", "--xattrs-include=*"]
    packer = subprocess.Popen(
        ["tar", "-C", upper, *attributes, "--xattrs-exclude=trusted.overlay.*", "--no-wildcards", "--anchored",
         *[f"--exclude={name}" for name in left_out], "-cf", "-", "."], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", folder, *attributes, "--overwrite", "-xpf", "-"], stdin=packer.stdout, check=True)
    if packer.wait() != 0:
        sys.exit("apply_upper: tar failed")


def main():
    upper, folder = sys.argv[1:]
    removed = list(find_removed(upper))
    for name, _ in removed:
        remove(os.path.join(folder, name))
    copy_without(upper, folder, [name for name, why in removed if why == "whiteout"])


if __name__ == "__main__":
    main()
