"""What of a store would outlive a power cut, followed through the trace of strace(1): bytes until they are synced,
names until their folder is. The rules are those of docs/architecture.md, "Write order"."""
import dataclasses
import json
import os
import re

kTraced = ("openat,write,pwrite64,ftruncate,copy_file_range,fallocate,fchmod,fsync,fdatasync,syncfs,rename,renameat,"
           "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,exit_group")
kMakesBytes = ("write", "pwrite64", "ftruncate", "copy_file_range", "fallocate")
kString = r'"((?:[^"\\]|\\.)*)"'


@dataclasses.dataclass
class Call:
    name: str
    arguments: str
    result: str

    def succeeded(self):
        return not self.result.startswith(("-1", "?"))

    def injected(self):
        return "(INJECTED)" in self.result

    def fd_paths(self):
        """What strace -y says the descriptors are."""
        return re.findall(r"(?:\d+|AT_FDCWD)<([^>]*)>", self.arguments)

    def paths(self):
        """Absolute ones of all pairs of folder and name."""
        pairs = re.findall(r"(?:\d+|AT_FDCWD)<([^>]*)>, " + kString, self.arguments)
        return [os.path.normpath(os.path.join(folder, name)) for folder, name in pairs]


def read_trace(path):
    """Calls as (begin, end, call) in the order in which they ended; what has no end is left out."""
    begun = {}
    calls = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            match = re.match(r"(\d+) +(.*)", line)
            thread, text = match.groups()
            if text.startswith("<... "):
                begin, head = begun.pop(thread, (number, ""))
                text = head + re.sub(r"<\.\.\. \w+ resumed>", "", text)
            elif text.endswith("<unfinished ...>"):
                begun[thread] = number, text.removesuffix("<unfinished ...>")
                continue
            else:
                begin = number
            if match := re.match(r"(\w+)\((.*)\) += (.*)", text):
                calls.append((begin, number, Call(*match.groups())))
    return calls


def reachable(root):
    """Paths of the blobs that names need, as the store is now, and the diff_ids."""
    blobs, layers = set(), set()

    def read(digest):
        path = f"{root}/blobs/{digest.replace(':', '/')}"
        blobs.add(path)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    if os.path.exists(f"{root}/index.json"):
        with open(f"{root}/index.json", encoding="utf-8") as file:
            index = json.load(file)
        for entry in index["manifests"]:
            manifest = read(entry["digest"])
            blobs.update(f"{root}/blobs/{layer['digest'].replace(':', '/')}" for layer in manifest["layers"])
            layers.update(read(manifest["config"]["digest"])["rootfs"]["diff_ids"])
    return blobs, {f"{root}/layers/{diff_id.split(':')[1]}" for diff_id in layers}


class Disk:
    """`root` as it is before the traced command: of its blobs those are durable that a name needs."""

    def __init__(self, root):
        self.root = root
        self.unsynced = set()  # files, by their present path
        self.unsynced_names = set()
        self.descriptors = {}  # paths by number
        kept, _ = reachable(root)
        folder = f"{root}/blobs/sha256"
        if os.path.isdir(folder):
            self.unsynced_names |= {f"{folder}/{name}" for name in os.listdir(folder)} - kept
        self.known = {os.path.join(at, name) for at, folders, files in os.walk(root) for name in folders + files}
        if os.path.isdir(root):
            self.known.add(root)

    def take(self, call):
        """A call that has ended."""
        self.descriptors.update(re.findall(r"(\d+)<([^>]*)>", call.arguments + call.result))
        if not call.succeeded():
            return
        if call.name in kMakesBytes:
            self.unsynced |= {path for path in call.fd_paths()[:1] if self.is_inside(path)}
        elif call.name in ("fsync", "fdatasync", "syncfs"):
            self.sync(call.name, call.fd_paths()[0])
        elif call.name.startswith("rename"):
            self.rename(call)
        elif call.name.startswith("link"):
            self.link(call)
        elif call.name.startswith("unlink"):
            self.forget(call.paths()[-1])
        elif call.name.startswith("mkdir") or call.name == "openat" and "O_CREAT" in call.arguments:
            self.add(call.paths()[0])

    def is_inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def add(self, path):
        if self.is_inside(path) and path not in self.known:
            self.known.add(path)
            self.unsynced_names.add(path)

    def forget(self, path):
        for paths in (self.unsynced, self.unsynced_names, self.known):
            paths.discard(path)

    def sync(self, name, path):
        if name == "syncfs":
            self.unsynced.clear()
            self.unsynced_names.clear()
        else:
            self.unsynced.discard(path)
            self.unsynced_names = {entry for entry in self.unsynced_names if os.path.dirname(entry) != path}

    def rename(self, call):
        old, new = call.paths()[:2]
        if "RENAME_EXCHANGE" not in call.arguments:
            self.forget(new)
        for paths in (self.unsynced, self.unsynced_names, self.known):
            moved = {path for path in paths if path == old or path.startswith(old + "/")}
            paths -= moved
            paths |= {new + path.removeprefix(old) for path in moved}
        self.known.add(new)
        self.unsynced_names.add(new)

    def link(self, call):
        source, new = self.resolve(call.paths()[0]), call.paths()[-1]
        self.known.add(new)
        self.unsynced_names.add(new)
        if source in self.unsynced:
            self.unsynced.add(new)

    def resolve(self, path):
        """Links are made of what a descriptor holds."""
        match = re.fullmatch(r"/proc/self/fd/(\d+)", path)
        return self.descriptors[match[1]] if match else path

    def not_durable(self, path):
        """Why the file would not be there, or not whole."""
        if path in self.unsynced:
            return "its bytes are not synced"
        while self.is_inside(path):
            if path in self.unsynced_names:
                return f"the name '{os.path.relpath(path, os.path.dirname(self.root))}' is not synced"
            path = os.path.dirname(path)
        return None
