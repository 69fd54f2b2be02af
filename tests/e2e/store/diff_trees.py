#!/usr/bin/env python3
"""Compares `lay diff` with a comparison of its own, on random trees that the kernel's overlay made of one another.

    diff_trees.py ROUNDS [SEED]

LAY is the program; the current folder is scratch space; the image small has a shell. Prints the seed."""
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time

kLay = os.environ["LAY"]
kNames = ["a", "b", "a.b", "a-b", "A", "deep", "x y", "ü", "new\nline", "-", "bin", ".wh"]


def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout


def lay(*words):
    return run(kLay, *words).decode()


# -- random trees ---------------------------------------------------------------------------------------------


class Changer:
    """Makes and changes things below a folder."""

    def __init__(self, root, chance):
        self.root, self.chance = root, chance

    def folders(self):
        return [place for place, _, _ in os.walk(self.root)]

    def entries(self):
        return [f"{place}/{name}" for place, folders, files in os.walk(self.root) for name in folders + files]

    def some_path(self):
        return f"{self.chance.choice(self.folders())}/{self.chance.choice(kNames)}"

    def clear(self, path):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def file(self, path):
        self.clear(path)
        with open(path, "wb") as file:
            file.write(self.chance.randbytes(self.chance.choice([0, 1, 10, 5000])))

    def folder(self, path):
        self.clear(path)
        os.mkdir(path)
        for name in self.chance.sample(kNames, self.chance.randrange(3)):
            self.file(f"{path}/{name}")

    def symlink(self, path):
        self.clear(path)
        os.symlink(self.chance.choice(kNames + ["/bin", "nowhere"]), path)

    def special(self, path):
        self.clear(path)
        if self.chance.random() < 0.5:
            os.mkfifo(path)
        else:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, self.chance.choice([3, 5])))

    def link(self, path):
        files = [entry for entry in self.entries() if os.path.isfile(entry) and not os.path.islink(entry)]
        if files and not os.path.lexists(path):
            os.link(self.chance.choice(files), path)

    def existing(self, do):
        entries = self.entries()
        if entries:
            do(self.chance.choice(entries))

    def move(self, path):
        target = self.some_path()
        if not os.path.lexists(target) and not target.startswith(path + "/"):
            run("mv", path, target)  # which copies what overlay does not rename

    def again(self, path):
        """The same kind at the same place, made anew."""
        if os.path.isdir(path) and not os.path.islink(path):
            self.clear(path)
            os.mkdir(path)
        elif os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as file:
                content = file.read()
            os.unlink(path)
            with open(path, "wb") as file:
                file.write(content)

    def write_into(self, path):
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "ab") as file:
                file.write(b"more")

    def same_length(self, path):
        """Another content of the same length and time."""
        if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path):
            times = os.stat(path)
            with open(path, "r+b") as file:
                byte = file.read(1)[0]
                file.seek(0)
                file.write(bytes([byte ^ 1]))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def step(self):
        chance = self.chance
        make = [self.file, self.file, self.folder, self.folder, self.symlink, self.special, self.link]
        change = [
            self.clear, self.clear, self.move, self.again, self.write_into, self.same_length,
            lambda path: os.chown(path, chance.choice([0, 7, 70000]), 5, follow_symlinks=False),
            lambda path: os.path.islink(path) or os.chmod(path, chance.choice([0o600, 0o4755, 0o1777, 0])),
            lambda path: os.utime(path, (chance.randrange(2**31),) * 2, follow_symlinks=False),
            lambda path: os.setxattr(path, "trusted.some", chance.randbytes(3), follow_symlinks=False),
        ]
        if chance.random() < 0.5:
            chance.choice(make)(self.some_path())
        else:
            self.existing(chance.choice(change))


# -- the judge ------------------------------------------------------------------------------------------------


def describe(path):
    info = os.lstat(path)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False)
                  for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("trusted.overlay.")}
    content = None
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            content = file.read()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    elif not stat.S_ISDIR(info.st_mode):
        content = info.st_rdev
    return info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns // 10**9, attributes, content


def read_tree(root):
    return {path[len(root):]: describe(path)
            for place, folders, files in os.walk(root) for path in [f"{place}/{name}" for name in folders + files]}


def size_of(described):
    return len(described[5]) if described and stat.S_ISREG(described[0]) else 0


def size_with(tree, path):
    return size_of(tree[path]) + sum(size_of(inner) for name, inner in tree.items() if name.startswith(path + "/"))


def compare(before, after):
    changes = {}
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        above = os.path.dirname(path)
        if new is None:  # of a folder that went or became something else its top is told
            if above == "/" or (above in after and stat.S_ISDIR(after[above][0])):
                changes[path] = ("D", 0, size_with(before, path))
        elif old is None:
            changes[path] = ("A", size_of(new), 0)
        else:
            replaced = stat.S_IFMT(old[0]) != stat.S_IFMT(new[0])
            changes[path] = ("C", size_of(new), size_with(before, path) if replaced else size_of(old))
    for path in list(changes):
        while (path := os.path.dirname(path)) != "/":
            changes.setdefault(path, ("C", 0, 0))
    return sorted((os.fsencode(path), *change) for path, change in changes.items())


def told(*words):
    rows = [json.loads(line) for line in lay("diff", *words, "--format", "jsonl").splitlines()]
    return [(os.fsencode(row["Path"]), row["Kind"], row["Size"], row["OldSize"]) for row in rows]


def demand(what, got, expected):
    if got == expected:
        return
    print(f"{what}: ")
    for line in expected:
        if line not in got:
            print(f"  not told {line}")
    for line in got:
        if line not in expected:
            print(f"  wrong    {line}")
    if sorted(got) == sorted(expected):
        print("  wrong order")
    sys.exit(1)


# -- one round ------------------------------------------------------------------------------------------------


def make_trees(chance):
    """Folders before, upper, and after: their merged view."""
    shutil.copytree("small", "before", symlinks=True)
    first = Changer("before", chance)
    for _ in range(25):
        first.step()
    keep_shell("before")
    for name in ("upper", "work", "merged"):
        os.mkdir(name)
    run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=before,upperdir=upper,workdir=work,redirect_dir=off,"
        "metacopy=off,index=off", "merged")
    try:
        second = Changer("merged", chance)
        for _ in range(chance.randrange(1, 25)):
            second.step()
        keep_shell("merged")
        run("cp", "-a", "merged", "after")
    finally:
        run("umount", "merged")


def keep_shell(root):
    """What the container's own command needs."""
    if not os.path.isdir(f"{root}/bin") or os.path.islink(f"{root}/bin"):
        Changer(root, None).clear(f"{root}/bin")
        os.mkdir(f"{root}/bin")
    for name in ("busybox", "true"):
        Changer(root, None).clear(f"{root}/bin/{name}")
        shutil.copyfile("/bin/busybox", f"{root}/bin/{name}")
        os.chmod(f"{root}/bin/{name}", 0o755)
        os.utime(f"{root}/bin/{name}", (1, 1))


def fill_container(name):
    """The upper becomes that of a container of its base."""
    lay("run", "--name", name, "--network", "none", "before:1", "true")
    folder = f"{os.environ['LAY_ROOT']}/containers/{lay('inspect', '-f', '{{.Id}}', name).strip()}/upper"
    run("find", folder, "-mindepth", "1", "-delete")
    run("cp", "-a", "upper/.", folder)


def one_round(chance):
    make_trees(chance)
    before, after = read_tree("before"), read_tree("after")
    there, back = compare(before, after), compare(after, before)
    lay("import", "-q", "./before", "before:1")
    lay("import", "-q", "./after", "after:1")
    lay("commit", "-q", "./upper", "top:1", "--base", "before:1")
    fill_container("changed")
    for left, right in [("./upper", "before:1"), ("top:1", "before:1"), ("after:1", "before:1"), ("changed", "before:1")]:
        demand(f"diff {left} {right}", told(left, right), there)
        if left != "./upper":
            demand(f"diff {right} {left}", told(right, left), back)
    demand("diff --base before:1 ./upper", told("--base", "before:1", "./upper"), there)
    demand("diff top:1", told("top:1"), there)
    demand("diff changed", told("changed"), there)
    for left, right in [("top:1", "after:1"), ("changed", "top:1"), ("after:1", "changed"), ("before:1", "before:1")]:
        demand(f"diff {left} {right}", told(left, right), [])
    sizes = [line.rsplit("\t", 1)[1] for line in lay("diff", "-s", "top:1").splitlines()]
    demand("diff -s top:1", sizes, [f"{new - old:+}" for _, _, new, old in there])
    return len(there)


def main(rounds, seed=None):
    seed = int(seed or time.time_ns())
    total = 0
    for number in range(int(rounds)):
        print(f"seed {seed + number}")
        total += one_round(random.Random(seed + number))
        lay("rm", "changed")
        lay("rmi", "before:1", "after:1", "top:1")
        for name in ("before", "upper", "work", "merged", "after"):
            run("rm", "-rf", "--one-file-system", name)
    print(f"{total} differences in {rounds} rounds")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
