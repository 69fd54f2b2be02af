#!/usr/bin/env python3
"""Gives lay less room than a command needs, in steps, so that each of its writes once is the one that fails: it says
what and where, nothing partial remains, the store is as it was and clean, and with room the same command succeeds.

    small_disks.py KIND[:SIZE[:FLAGS]] [COMMAND...]

KIND is ext4, xfs or tmpfs with SIZE and flags of its maker or mount; "inodes-ext4", "inodes-tmpfs": short of inodes;
"fsize": RLIMIT_FSIZE. LAY is the program; the current folder is scratch space; pulls come
from the registry at REGISTRY. COMMAND names those that are tried; all, if none."""
import errno
import hashlib
import io
import json
import os
import random
import stat
import subprocess
import sys
import tarfile
import time

kLay = os.environ["LAY"]
kFiles = 300
kLarge = 5_000_000
kDisk = os.path.abspath("disk")
kPulled = f"{os.environ.get('REGISTRY')}/new:1"
kLong = bool(os.environ.get("LAY_TESTS_LONG"))


class Wrong(Exception):
    pass


def need(truth, words):
    if not truth:
        raise Wrong(words)


# -- what is brought in, and how ------------------------------------------------------------------------------


def make_inputs():
    noise = random.Random(1)
    os.makedirs("upper/many")
    with open("upper/large", "wb") as file:
        file.write(noise.randbytes(kLarge))
    for number in range(kFiles):
        with open(f"upper/many/{number}", "wb") as file:
            file.write(noise.randbytes(200))
    with tarfile.open("base.tar", "w") as tar:
        info = tarfile.TarInfo("etc/file")
        info.size = 100000
        tar.addfile(info, io.BytesIO(noise.randbytes(info.size)))
    with tarfile.open("new.tar", "w") as tar:
        tar.add("upper", ".")


def lay(root, *words, env=None, prefix=()):
    """Runs beside the disk, so that a core or a half-made output lies where it is looked for."""
    return subprocess.run([*prefix, kLay, *words], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120,
                          env={**os.environ, "LAY_ROOT": root, "LAY_RUN": os.path.abspath("run"), **(env or {})})


def must(root, *words, **how):
    done = lay(root, *words, **how)
    need(done.returncode == 0, f"'{' '.join(words)}' exits with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def make_sources():
    make_inputs()
    must("source", "import", "base.tar", "base:1")
    must("source", "commit", "./upper", "new:1", "--base", "base:1")
    must("source", "push", "new:1", kPulled)
    for form in ("docker-archive", "oci-archive"):
        must("source", "save", "-q", "--format", form, "-o", form, "new:1")


kTree = {"LAY_LAYER_FORM": "tree"}
kAdding = {
    "commit": (["commit", "-q", "./upper", "new:1", "--base", "base:1"], {}),
    "commit-none": (["commit", "-q", "./upper", "new:1", "--base", "base:1", "--compression", "none"], {}),
    "commit-gzip": (["commit", "-q", "./upper", "new:1", "--base", "base:1", "--compression", "gzip"], {}),
    "import": (["import", "-q", "new.tar", "new:1"], {}),
    "import-tree": (["import", "-q", "new.tar", "new:1"], kTree),
    "load": (["load", "-q", "-i", "docker-archive"], {}),
    "load-oci": (["load", "-q", "-i", "oci-archive"], {}),
    "load-oci-tree": (["load", "-q", "-i", "oci-archive"], kTree),
    "pull": (["pull", "-q", kPulled], {}),
    "pull-tree": (["pull", "-q", kPulled], kTree),
}
kWriting = {
    "save": ["save", "-q", "-o", f"{kDisk}/out", "new:1"],
    "save-oci": ["save", "-q", "--format", "oci-archive", "-o", f"{kDisk}/out", "new:1"],
    "export": ["export", "-o", f"{kDisk}/out", "new:1"],
    "copy-archive": ["copy", "-q", "new:1", f"oci-archive:{kDisk}/out"],
    "copy-layout": ["copy", "-q", "new:1", f"oci:{kDisk}/out:x"],
    "bundle": ["bundle", "new:1", f"{kDisk}/out", "true"],
}

# -- where there is little room -------------------------------------------------------------------------------


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Disk:
    """A file system of its own at kDisk, and ways to make it scarce."""

    def __init__(self, kind, size, flags):
        os.mkdir(kDisk)
        self.kind, self.words, self.asked = kind, "No space left on device", 0
        base = kind.split("-")[-1]
        if base == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", ",".join(filter(None, [f"size={size}", *flags])), "lay-test", kDisk)
        elif base in ("ext4", "xfs"):
            run("truncate", "-s", size, "disk.img")
            run(f"mkfs.{base}", "-q", *flags, "disk.img")
            run("mount", "-o", "loop", "disk.img", kDisk)
        else:
            self.words = "File too large"

    def close(self):
        """What works in the background for lay ends soon."""
        end = time.monotonic() + 10
        while os.path.ismount(kDisk) and subprocess.run(["umount", kDisk], check=False).returncode != 0:
            need(time.monotonic() < end, "the disk stays in use")
            time.sleep(0.1)

    def steps(self):
        """Some of them, and others for each command; all in the long form."""
        self.asked += 1
        return self.all_steps() if kLong else self.all_steps()[self.asked % 4::4]

    def all_steps(self):
        """Bytes, inodes or bytes of a file, from nothing to nearly what the least of the commands takes."""
        if self.kind.startswith("inodes"):
            return [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 17, 20, 40, 100, 250, 300]
        if self.kind == "fsize":
            return [1, 100, 511, 4096, 40000, 100000, 1000000, 4999999]
        return [kib * 1024 for kib in (0, 4, 8, 16, 32, 64, 128, 300, 700, 1500, 3000, 4500, 5000, 5200, 6000, 8000,
                                       9500, 10000, 10200)]

    def free(self):
        found = os.statvfs(kDisk)
        return found.f_favail if self.kind.startswith("inodes") else found.f_bfree * found.f_frsize  # root has those kept back, too

    def settled(self):
        """What was removed is free a little later; xfs frees in the background."""
        before, now = None, self.free()
        while now != before:
            subprocess.run(["sync", "-f", kDisk], check=True)
            time.sleep(0.02)
            before, now = now, self.free()
        return now

    def leave(self, much):
        """Words to put before a command for which so much is left."""
        self.give_back()
        if self.kind == "fsize":
            return ["prlimit", f"--fsize={much}"]
        if self.kind.startswith("inodes"):
            os.mkdir(f"{kDisk}/ballast")
            for number in range(self.settled() - much):
                os.mknod(f"{kDisk}/ballast/{number}")
        else:
            self.take(max(self.settled() - much, 1))
        return []

    @staticmethod
    def take(much):
        """The file system needs some of it to note where the ballast is."""
        with open(f"{kDisk}/ballast", "w", encoding="utf-8") as file:
            while much > 0:
                try:
                    return os.posix_fallocate(file.fileno(), 0, much)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                much -= 16384

    def give_back(self):
        subprocess.run(["rm", "-rf", f"{kDisk}/ballast"], check=True)


# -- what has to hold -----------------------------------------------------------------------------------------


def state(folder):
    """Names, types, sizes and the hashes of all below it; what is half-made and the ballast are left out."""
    lines = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("ingest", "ballast", "lost+found")]
        for name in folders + files:
            path = f"{place}/{name}"
            info = os.lstat(path)
            line = [path, oct(info.st_mode), info.st_size if not stat.S_ISDIR(info.st_mode) else 0]
            if stat.S_ISREG(info.st_mode) and name != "ballast":
                with open(path, "rb") as file:
                    line.append(hashlib.file_digest(file, "sha256").hexdigest())
            if name != "ballast":
                lines.append(line)
    return sorted(lines)


def need_told(done, disk):
    error = done.stderr
    need(done.returncode == 1, f"exits with {done.returncode}: {error.strip()}")
    need(disk.words in error, f"does not say '{disk.words}': {error.strip()}")
    need(f"{kDisk}/" in error, f"does not say where: {error.strip()}")
    said = [line for line in error.splitlines() if not line.startswith("hint: ")]
    need(len(said) == 1 and said[0].startswith("lay: "), f"not one line: {error}")


def need_as_before(before):
    after = state(kDisk)
    need(after == before, "not as it was: " + "; ".join(str(line) for line in after + before
                                                        if (line in after) != (line in before))[:400])


def need_whole_store(before, disk, root, *, may_resume):
    """Blobs and layers that are whole may wait for the next try, and what a transfer has got; prune takes them."""
    left = [line[0] for line in state(kDisk) if line not in before]
    left = [path for path in left if not path.startswith((f"{root}/blobs/", f"{root}/layers/", f"{root}/transfers/"))]
    need(not left, f"left behind: {left}")
    parts = [name for name in half_made(root) if not (may_resume and name.startswith("part."))]
    need(not parts, f"left in ingest: {parts}")
    disk.give_back()
    must(root, "fsck", "-q")
    must(root, "prune", "-f", "--images")
    need_as_before(before)


def half_made(root):
    return [name for name in os.listdir(f"{root}/ingest") if not name.startswith(".")]


def image_of(words):
    return kPulled if words[0] == "pull" else "new:1"


def try_adding(disk, name):
    """How often it failed for want of room."""
    words, env = kAdding[name]
    root, failures = f"{kDisk}/root", 0
    steps = disk.steps()
    last = steps[-1]
    for much in steps:
        before = state(kDisk)
        done = lay(root, *words, env=env, prefix=disk.leave(much))
        try:
            if done.returncode != 0:
                failures += 1
                need_told(done, disk)
                need_whole_store(before, disk, root, may_resume=words[0] == "pull")
                if much != last and not kLong:
                    continue
                must(root, *words, env=env)
            disk.give_back()
            must(root, "fsck", "-q")
            must(root, "rmi", image_of(words))
            wait_for_space(root)
        except Wrong as wrong:
            raise Wrong(f"{name}, {much} left: {wrong}")
    return failures


def wait_for_space(root):
    """rmi frees in the background."""
    end = time.monotonic() + 10
    while half_made(root):
        need(time.monotonic() < end, "rmi has not freed anything yet")
        time.sleep(0.02)


def try_writing(disk, name):
    words, failures = kWriting[name], 0
    for much in disk.steps():
        if name not in ("copy-layout", "bundle"):
            with open(f"{kDisk}/out", "w", encoding="ascii") as file:
                file.write("what was there before")
        before = state(kDisk)
        done = lay(os.path.abspath("source"), *words, prefix=disk.leave(much))
        try:
            if done.returncode != 0:
                failures += 1
                need_told(done, disk)
                if name == "copy-layout":
                    need_whole_layout()
                    before = state(kDisk)
                need_as_before(before)
            disk.give_back()
            remove_output()
            must(os.path.abspath("source"), *words)
            remove_output()
        except Wrong as wrong:
            raise Wrong(f"{name}, {much} left: {wrong}")
    return failures


def need_whole_layout():
    """A layout is shared with others: what is whole may stay, the name of what is not may not."""
    if os.path.exists(f"{kDisk}/out/index.json"):
        with open(f"{kDisk}/out/index.json", encoding="utf-8") as file:
            need(not json.load(file)["manifests"], "the layout names an image")
    for path, _, _, *content in state(f"{kDisk}/out/blobs"):
        need(not content or path.endswith(f"/sha256/{content[0]}"), f"{path} is not whole")


def remove_output():
    subprocess.run(["rm", "-rf", f"{kDisk}/out"], check=True)


def flip(path):
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def files_of_image(root):
    image = json.loads(must(root, "inspect", kPulled))[0]
    layer = f"{root}/layers/{image['RootFS']['Layers'][-1].split(':')[1]}"
    return {"blob": f"{root}/blobs/{image['Layers'][-1]['digest'].replace(':', '/')}", "tar": f"{layer}/layer.tar",
            "image": f"{layer}/layer.erofs", "file": f"{layer}/tree/large"}


def try_repair(disk, _):
    """Nothing that is good gets lost by a repair for which there is no room, and one with room mends it."""
    root, failures = f"{kDisk}/root", 0
    must(root, "pull", "-q", kPulled)
    files = {what: path for what, path in files_of_image(root).items() if os.path.exists(path)}
    hashes = {what: state_of_file(path) for what, path in files.items()}
    for damaged in files:
        for much in disk.steps():
            flip(files[damaged])
            done = lay(root, "fsck", "-q", "--repair", prefix=disk.leave(much))
            try:
                if done.returncode != 0:
                    failures += 1
                    need(done.returncode == 1, f"exits with {done.returncode}: {done.stderr}")
                    need(disk.words in done.stdout + done.stderr, f"does not say why: {done.stdout}{done.stderr}")
                    good = [what for what in files if what != damaged and state_of_file(files[what]) != hashes[what]]
                    need(not good, f"a repair of {damaged} spoilt {good}")
                    need(not half_made(root), f"left in ingest: {half_made(root)}")
                disk.give_back()
                must(root, "fsck", "-q", "--repair")
                must(root, "fsck", "-q")
                need({what: state_of_file(path) for what, path in files.items()} == hashes, "not mended byte for byte")
            except Wrong as wrong:
                raise Wrong(f"repair of {damaged}, {much} left: {wrong}")
    must(root, "rmi", kPulled)
    wait_for_space(root)
    return failures


def state_of_file(path):
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Server:
    def __init__(self, root, prefix):
        self.process = subprocess.Popen([*prefix, kLay, "serve", "--listen", "127.0.0.1:0", "--access-log", "none"], text=True,
                                        stdout=subprocess.PIPE, stderr=open("serve.log", "w"),
                                        env={**os.environ, "LAY_ROOT": root, "LAY_RUN": os.path.abspath("run")})
        self.name = "localhost:" + self.process.stdout.readline().strip().rsplit(":", 1)[1]

    def stop(self):
        self.process.terminate()
        need(self.process.wait(timeout=20) == 0, "the server does not end well")


def try_serving(disk, _):
    """A push for which the server has no room fails and is told why; the same server takes it afterwards."""
    root, failures, source = f"{kDisk}/root", 0, os.path.abspath("source")
    for number, much in enumerate(disk.steps()):
        server = Server(root, [])
        try:
            image = f"{server.name}/pushed/{number}:1"
            disk.leave(much)
            done = lay(source, "push", "-q", "--retry", "0", "new:1", image)
            if done.returncode != 0:
                failures += 1
                need("disk is full" in done.stderr, f"does not say why: {done.stderr}")
                need(server.process.poll() is None, "the server ended")
                names = must(root, "images", "--format", "{{.Repository}}").split()
                need(not any("pushed/" in name for name in names), f"half pushed: {names}")
            disk.give_back()
            must(root, "fsck", "-q")
            # What else the first one was sending may still be on the server's hands: then it says when to come again
            must(source, "push", "-q", "new:1", image)
            must(root, "rmi", image)
        except Wrong as wrong:
            raise Wrong(f"serve, {much} left: {wrong}")
        finally:
            server.stop()
        must(root, "prune", "-f")
        must(root, "fsck", "-q")
    return failures


def commands():
    found = {name: try_adding for name in kAdding}
    found |= {name: try_writing for name in kWriting}
    return found | {"repair": try_repair, "serve": try_serving}


def main(kind, *chosen):
    kind, _, rest = kind.partition(":")
    size, _, flags = rest.partition(":")
    make_sources()
    disk = Disk(kind, size, flags.split())
    wrongs, told = [], []
    try:
        must(f"{kDisk}/root", "import", "base.tar", "base:1")
        for name in chosen or commands():
            try:
                failures = commands()[name](disk, name)
                told.append(f"{name} {failures}")
                need(failures, f"{name}: there was always room")
            except Wrong as wrong:
                wrongs.append(str(wrong))
                disk.give_back()
                remove_output()
                lay(f"{kDisk}/root", "rmi", "new:1", kPulled)
    finally:
        disk.close()
    print(f"{kind} {size}: failed for want of room: {', '.join(told)}")
    print("\n".join(wrongs))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
