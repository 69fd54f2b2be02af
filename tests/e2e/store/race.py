#!/usr/bin/env python3
"""Lets eight processes work on one store at once: each takes random commands, which may only fail because somebody else
removed or uses what they need.

    race.py SECONDS [SEED]

LAY is the program, REGISTRY has image/pulled:1, the store has keep:1, which stays; the current folder is scratch space
with a folder `upper`."""
import os
import random
import re
import subprocess
import sys
import threading
import time

kLay = os.environ["LAY"]
kPulled = os.environ["REGISTRY"] + "/pulled:1"
kWorkers = 8
# What docs and hints call "not there (any more)" and "in use".
kAllowed = re.compile("no image '|is not in the store|is used by|no container has the name|is running|somebody adds to the store"
                      "|is no name of the image|taken its last name|is the last name")


class Worker(threading.Thread):
    def __init__(self, number, seed, end):
        super().__init__()
        self.number, self.random, self.end = number, random.Random(f"{seed}-{number}"), end
        self.counts, self.wrongs = {}, []

    def lay(self, *words):
        done = subprocess.run([kLay, *words], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120)
        key = (words[0], "good" if done.returncode == 0 else "refused")
        self.counts[key] = self.counts.get(key, 0) + 1
        may_fail = words[0] != "prune" and kAllowed.search(done.stderr)
        if done.returncode != 0 and not may_fail:
            self.wrongs.append(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def some_name(self):
        return self.random.choice(["keep:1", kPulled] + [f"made{i}:1" for i in range(kWorkers)])

    def commit(self):
        folder = f"upper{self.number}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/file", "w") as file:
            file.write(str(self.random.randrange(4)) * 100000)
        self.lay("commit", "-q", f"./{folder}", f"made{self.number}:1", "--base", "keep:1")

    def pull(self):
        self.lay("pull", "-q", kPulled)

    def run_one(self):
        done = self.lay("run", "--pull", "never", "--rm", "--network", "none", self.some_name(), "echo", "hello")
        if done.returncode == 0 and done.stdout != "hello\n":
            self.wrongs.append(f"run said '{done.stdout}'")

    def run_detached(self):
        name = f"worker{self.number}"  # no hexadecimal digits: rm -f takes the beginning of another's id, too
        self.lay("run", "--pull", "never", "-d", "--name", name, "--network", "none", self.some_name(), "sleep", "1000")
        self.lay("commit", "-q", name, f"made{self.number}:1")
        self.lay("rm", "-f", name)

    def remove(self):
        self.lay("rmi", "-f", self.random.choice([kPulled] + [f"made{i}:1" for i in range(kWorkers)]))

    def prune(self):
        # The filter fits none of them: with -a nothing but the look at all names comes on top
        self.lay("prune", "-f", *self.random.choice([[], ["--images"], ["-a", "--images", "--filter", "label=none"]]))

    def untag(self):
        name = f"second{self.number}:1"
        self.lay("tag", self.some_name(), name)
        self.lay("untag", name, name)

    def save(self):
        form = self.random.choice(["docker-archive", "oci-archive"])
        archive = f"archive{self.number}"
        if self.lay("save", "-q", "--format", form, "-o", archive, self.some_name()).returncode == 0:
            self.lay("load", "-q", "-i", archive)

    def tag(self):
        self.lay("tag", self.some_name(), f"made{self.number}:1")

    def run(self):
        jobs = [self.commit, self.pull, self.run_one, self.run_detached, self.remove, self.remove, self.prune, self.untag,
                self.save, self.tag]
        while time.monotonic() < self.end:
            self.random.choice(jobs)()


def main(seconds, seed=None):
    seed = seed or time.time_ns()
    end = time.monotonic() + float(seconds)
    workers = [Worker(number, seed, end) for number in range(kWorkers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    total = {}
    for worker in workers:
        for key, count in worker.counts.items():
            total[key] = total.get(key, 0) + count
    wrongs = [wrong for worker in workers for wrong in worker.wrongs]
    print(f"seed {seed}: " + ", ".join(f"{verb} {what} {count}" for (verb, what), count in sorted(total.items())))
    print("\n".join(wrongs[:20]))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
