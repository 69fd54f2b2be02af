#!/usr/bin/env python3
"""Turns over single bits in every kind of file of a store, one at a time (threats, S05).

    damage.py IMAGE REGISTRY pull|fsck SAMPLES

The store at LAY_ROOT holds IMAGE, which prints /said, and the stopped container c of it. After each bit fsck finds the
damage, or the file is of no consequence: what is run, pushed and saved is what it was. Whatever is damaged is refused by
what reads it or not used; and a pull (but for a layer's data), or fsck --repair, mends what an image needs. Of a container's own files ps and
start judge. Prints what is wrong.
"""
import collections
import hashlib
import os
import random
import shutil
import sys

from oracle import call


def kind_of(path):
    """What the file is to the store."""
    parts = path.split("/")
    if parts[0] == "containers":
        return "container " + parts[-1]
    if parts[0] == "layers":
        return "tree" if "tree" in parts else "layer " + parts[-1].split(".sha256")[0]
    return "blob" if parts[0] == "blobs" else path


def stored_files(root):
    """Those with content; what a container's own upper holds is not lay's."""
    for place, _, files in os.walk(root):
        for name in sorted(files):
            path = os.path.relpath(os.path.join(place, name), root)
            if "/upper/" not in path and os.path.isfile(os.path.join(root, path)) and os.path.getsize(os.path.join(root, path)) > 0:
                yield path


def flip(path, place, bit):
    mode = os.stat(path).st_mode
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
    os.chmod(path, mode)


class World:
    def __init__(self, image, registry, mend):
        self.image, self.registry = image, registry
        self.mend = [mend, "-q", image] if mend == "pull" else [mend, "-q", "--repair"]
        self.root = os.environ["LAY_ROOT"]
        self.expected = self.uses()
        self.started = self.starts()

    def uses(self):
        """What the store is good for: each answer's code and words. A new registry's repository takes all of a push."""
        shutil.rmtree("saved", ignore_errors=True)
        ran = call("run", "--rm", "--network", "none", self.image, "/bin/cat", "/said")
        pushed = call("push", "-q", "--retry", "0", self.image, f"{self.registry}/copy{random.getrandbits(60):x}:1")
        saved = call("save", "-q", "-o", "saved.tar", self.image)
        digest = hashlib.sha256(open("saved.tar", "rb").read()).hexdigest() if saved.code == 0 else ""
        mapped = call("run", "--rm", "--network", "none", "--userns", "auto:size=512", self.image, "/bin/cat", "/said")
        return {"run": (ran.code, ran.out), "mapped": (mapped.code, mapped.out), "push": (pushed.code, pushed.out), "save": (saved.code, digest)}

    def starts(self):
        """What the container is good for."""
        return {name: (answer.code, answer.out) for name, answer in {"ps": call("ps", "-aq"), "start": call("start", "-a", "c")}.items()}

    def faults_of_container(self):
        listed, started = self.starts().values()
        if listed != self.started["ps"]:
            yield f"ps gives {listed}"
        if started != self.started["start"] and not (started[0] in (1, 125) and not started[1]):
            yield f"start gives {started}"

    def faults_of_use(self, found):
        for use, answer in self.uses().items():
            refused = answer[0] in (1, 125) and not (use == "push" and answer[1])
            if answer != self.expected[use] and not (found and refused):
                yield f"{use} gives {answer}, fsck {'finds it' if found else 'finds nothing'}"

    def faults_of_mending(self):
        mended = call(*self.mend)
        after = call("fsck", "-q")
        if after.code != 0 or self.uses() != self.expected:
            yield f"{self.mend} ({mended.code}: {mended.text.strip()}) does not mend it: {after.out.strip()}"

    def faults_of(self, path):
        found = call("fsck", "-q")
        if found.code not in (0, 1) or (found.code == 1 and not found.out + found.text):
            yield f"fsck exits with {found.code}: {found.out}{found.text}"
        yield from self.faults_of_container() if path.startswith("containers/") else self.faults_of_use(found.code == 1)
        if found.code == 1 and path.split("/")[0] in ("blobs", "layers"):
            yield from self.faults_of_mending()


def main(image, registry, mend, samples):
    world = World(image, registry, mend)
    dice = random.Random(1)
    wrong, counts = [], collections.Counter()
    for path in list(stored_files(world.root)):
        if mend == "pull" and (path.split("/")[0] not in ("blobs", "layers") or path.endswith("/layer.tar")):
            continue  # a pull that finds a layer looks at its blob and its image; all its data are fsck's to read
        whole = os.path.join(world.root, path)
        shutil.copytree(world.root, "backup", symlinks=True)
        for place in {0, os.path.getsize(whole) - 1, *(dice.randrange(os.path.getsize(whole)) for _ in range(int(samples)))}:
            flip(whole, place, dice.randrange(8))
            counts[kind_of(path)] += 1
            wrong += [f"{kind_of(path)}, byte {place} of {path}: {fault}" for fault in world.faults_of(path)]
            restore(world.root)
        shutil.rmtree("backup")
    for line in wrong:
        print(line[:400])
    print(f"{sum(counts.values())} bits, {len(wrong)} wrong; {dict(counts)}")
    return 1 if wrong else 0


def restore(root):
    """Contents as they were, in the files that there are: a layer's are mounted."""
    for place, _, files in os.walk("backup"):
        for name in files:
            path = os.path.join(place, name)
            target = os.path.join(root, os.path.relpath(path, "backup"))
            if os.path.islink(path) or (os.path.isfile(target) and open(target, "rb").read() == open(path, "rb").read()):
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.exists(target):
                os.chmod(target, 0o600)
            with open(path, "rb") as source, open(target, "wb") as out:
                out.write(source.read())
            shutil.copystat(path, target)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
