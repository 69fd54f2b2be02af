"""Runs lay on bad input and judges the answer: a refusal is one line, and leaves the store as it was."""
import dataclasses
import hashlib
import os
import subprocess
import tempfile

kLongest = 60  # seconds
kPeak = 256 << 20  # bytes of memory, whatever the input; Python's own count as well


@dataclasses.dataclass
class Answer:
    code: int
    out: str
    text: str  # on stderr
    peak: int  # bytes

    def lines(self):
        return [line for line in self.text.splitlines() if not line.startswith("hint: ")]


def call(*words, **environment):
    """One that hangs is killed, which its code tells."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(["timeout", "-s", "KILL", str(kLongest), os.environ["LAY"], *words],
                                   env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    return Answer(process.returncode, *texts, usage.ru_maxrss << 10)


def snapshot(folder):
    """Each entry's type, mode, owner, size, times and content; of large files the size must do."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            info = os.lstat(path)
            entry = [oct(info.st_mode), info.st_uid, info.st_gid, info.st_nlink]
            if os.path.islink(path):
                entry.append(os.readlink(path))
            elif os.path.isfile(path):
                entry.append(info.st_size)
                if info.st_size < 1 << 20:
                    with open(path, "rb") as file:
                        entry += [info.st_mtime_ns, hashlib.sha256(file.read()).hexdigest()]
            found[os.path.relpath(path, folder)] = entry
    return found


def store_of(root):
    """The store, without what a later command sweeps from ingest/."""
    return {path: entry for path, entry in snapshot(root).items() if not path.startswith("ingest/")}


def faults_of_refusal(answer, words):
    """What is wrong with a refusal that has to say `words`; empty when nothing is."""
    faults = []
    if answer.code != 1:
        faults.append(f"exit {answer.code}, expected 1")
    if words.lower() not in answer.text.lower():
        faults.append(f"does not say '{words}'")
    if len(answer.lines()) != 1 or not answer.text.startswith("lay: "):
        faults.append("is not one line")
    if any(not c.isprintable() for c in answer.text.replace("\n", "")) or len(answer.text) > 4000:
        faults.append("cannot be shown as it is")
    if answer.out:
        faults.append("prints on stdout")
    if answer.peak > kPeak:
        faults.append(f"takes {answer.peak >> 20} MiB")
    return [f"{fault}: {answer.text.strip()[:500]}" for fault in faults]


def make_canary(folder):
    """What nothing may touch: outside of every store and layer."""
    os.makedirs(os.path.join(folder, "folder"))
    with open(os.path.join(folder, "file"), "w") as file:
        file.write("CANARY-MARKER")
    with open(os.path.join(folder, "setuid"), "w") as file:
        file.write("x")
    os.chmod(os.path.join(folder, "setuid"), 0o4755)
    os.mkfifo(os.path.join(folder, "fifo"))
    os.symlink("file", os.path.join(folder, "link"))
    return snapshot(folder)
