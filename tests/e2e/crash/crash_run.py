#!/usr/bin/env python3
"""Kills whoever comes first to a step of a container's life (lay, its supervisor, the container's first process):
afterwards lay tells the truth, the same command succeeds, and the next start and removal leave nothing behind.

    crash_run.py SCENARIO [EVERY]

LAY is the program; the current folder is scratch space, in which small/ is a root file system. EVERY n tries only each
n-th step. strace(1) injects: it counts calls for each thread, so step n is the n-th of whichever thread reaches it
first. Each worker has a network namespace of its own, so every link and rule in it is lay's."""
import collections
import ctypes
import glob
import multiprocessing
import os
import re
import subprocess
import sys
import time

kCalls = ["mount_setattr", "move_mount", "fsmount", "fsconfig", "open_tree", "umount2", "pivot_root", "clone3", "clone",
          "mkdirat", "renameat", "renameat2", "unlinkat", "symlinkat", "sendto", "sendmsg", "write", "ftruncate",
          "setsid", "execve", "setns", "flock", "bind", "openat"]
kLay = os.environ["LAY"]
kPort = "18080"
kRun = ["run", "--name", "c", "-e", "MARK=MARKER", "-p", f"127.0.0.1:{kPort}:80"]
kSleeper = [*kRun, "-d", "small", "sleep", "1000"]
kScenarios = {
    "run": {"command": [*kRun, "--rm", "small", "true"], "ends": True},
    "run-detached": {"command": [*kRun, "-d", "small", "true"], "ends": True},
    "start": {"before": [[*kRun, "small", "true"]], "command": ["start", "c"], "ends": True},
    "exec": {"before": [kSleeper], "command": ["exec", "c", "true"]},
    "stop": {"before": [kSleeper], "command": ["stop", "-t", "0", "c"]},
    "rm": {"before": [kSleeper], "command": ["rm", "-f", "c"]},
}


class Wrong(Exception):
    pass


class World:
    """One root and run folder of a worker."""

    def __init__(self, name):
        self.root = os.path.abspath(name)
        self.run_folder = self.root + ".run"
        self.trace = self.root + ".trace"
        self.marker = f"crash-run-{os.path.basename(os.getcwd())}-{name}"
        self.must("import", "small", "small")

    def lay(self, *words, inject=None, trace=None):
        command = [kLay, *(word.replace("MARKER", self.marker) for word in words)]
        if inject or trace:
            # -D: lay stays our child, and what it leaves running does not keep us waiting
            what = ["-e", f"trace={trace or inject.split(':')[0]}"] + (["-e", f"inject={inject}"] if inject else [])
            command = ["strace", "-D", "-f", "-qq", "-o", self.trace, *what, *command]
        with open(self.root + ".out", "w+") as out:  # no pipe: whoever lives on would hold it open
            try:
                code = subprocess.run(command, env={**os.environ, "LAY_ROOT": self.root, "LAY_RUN": self.run_folder},
                                      stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30).returncode
            except subprocess.TimeoutExpired:
                raise Wrong(f"'{' '.join(words)}' hangs") from None
            out.seek(0)
            return code, out.read().strip()

    def must(self, *words):
        code, text = self.lay(*words)
        if code != 0:
            raise Wrong(f"'{' '.join(words)}' exits with {code}: {text}")
        return text

    def ids(self):
        """All containers, those half made or half removed too."""
        names = os.listdir(self.root + "/containers") if os.path.isdir(self.root + "/containers") else []
        return {name.split("-")[-1] for name in names if len(name) >= 64}

    def status(self):
        code, text = self.lay("inspect", "-f", "{{.State.Status}}", "c")
        return text if code == 0 else None

    def processes(self):
        """Of containers: each has the marker in its environment."""
        found = []
        for path in glob.glob("/proc/[0-9]*/environ"):
            try:
                with open(path, "rb") as file:
                    if f"MARK={self.marker}".encode() in file.read().split(b"\0"):
                        found.append(path.split("/")[2])
            except OSError:
                pass
        return found

    def left(self, ids):
        """What is there though no container is."""
        left = [entry for entry in os.listdir(self.root + "/containers") if entry not in (".lock", ".names")]
        left += os.listdir(self.root + "/containers/.names") + os.listdir(self.run_folder + "/leases")
        left += [f"process {pid}" for pid in self.processes()]
        left += [path for id in ids for pattern in ("/sys/fs/cgroup/lay*/", "/sys/fs/cgroup/*/lay*/")
                 for path in glob.glob(f"{pattern}{id}*")]
        left += re.findall(r"veth\S+|\S+(?=@)", subprocess.run(["ip", "-o", "link", "show", "type", "veth"], text=True,
                                                               stdout=subprocess.PIPE, check=False).stdout)
        rules = subprocess.run(["nft", "list", "ruleset"], text=True, stdout=subprocess.PIPE, check=False).stdout
        return left + ([f"rules of port {kPort}"] if kPort in rules else [])


def until(seconds, condition):
    """Polls; the last answer."""
    end = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return answer


def check_truth(world):
    """A container that runs has processes, one that does not has none (its end may take a moment)."""
    world.must("ps", "-a")
    if not until(5, lambda: (world.status() == "running") == bool(world.processes())):
        raise Wrong(f"its state is {world.status()} and its processes are {world.processes()}")


def repeat(world, scenario):
    command = scenario["command"]
    status = world.status()
    if command[0] == "run" and status:
        world.must("rm", "-f", "c")
    if command[0] == "exec" and status != "running":
        world.must("start", "c")
    if command[0] == "stop" and status is None:
        raise Wrong("the container is gone")
    world.must(*command)
    if command[0] == "stop" and world.status() != "exited":
        raise Wrong(f"after stop its state is {world.status()}")
    if command[0] == "rm" and world.status():
        raise Wrong("after rm it is still there")


def try_step(world, scenario, call, step):
    """Whether somebody was killed, and what is wrong afterwards."""
    hit = False
    try:
        for command in scenario.get("before", []):
            world.must(*command)
        world.lay(*scenario["command"], inject=f"{call}:signal=KILL:when={step}")
        ids = world.ids()
        if scenario.get("ends") and world.status():
            world.lay("wait", "c")
        with open(world.trace) as file:
            hit = "(INJECTED)" in (text := file.read()) or "killed by SIGKILL" in text
        check_truth(world)
        ids |= world.ids()
        repeat(world, scenario)
        ids |= world.ids()
        world.must("rm", "-f", "c")
        world.must("run", "--rm", "small", "true")
        if not until(5, lambda: not world.left(ids)):
            raise Wrong(f"left behind: {world.left(ids)}")
    except Wrong as wrong:
        for pid in world.processes():
            os.kill(int(pid), 9)
        return hit, f"{call} at step {step}: {wrong}"
    return hit, None


def leave_network():
    """The mount namespace is the caller's to make."""
    clone_newnet = 0x40000000
    if ctypes.CDLL(None).unshare(clone_newnet) != 0:
        raise OSError("unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def work(name, scenario, steps, results):
    leave_network()
    number = 0
    world = World(f"{name}-{number}")
    for call, step in steps:
        hit, wrong = try_step(world, scenario, call, step)
        if wrong:  # what is left would be found again after every step
            number += 1
            world = World(f"{name}-{number}")
        results.put((hit, wrong))
    results.put(None)


def count_calls(world, scenario):
    """How often the busiest thread makes each call."""
    for command in scenario.get("before", []):
        world.must(*command)
    world.lay(*scenario["command"], trace=",".join(kCalls))
    if scenario.get("ends"):
        world.lay("wait", "c")
    counts = collections.Counter()
    with open(world.trace) as file:
        for line in file:
            if match := re.match(r"(\d+) +(\w+)\(", line):
                counts[match.groups()] += 1
    world.must("rm", "-f", "c")
    most = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def main(name, every=1):
    scenario = kScenarios[name]
    leave_network()
    counts = count_calls(World("counted"), scenario)
    steps = [(call, step) for call, count in counts.items() for step in range(1, count + 1)]
    chosen = steps[::int(every)]
    results = multiprocessing.Queue()
    workers = os.cpu_count()
    processes = [multiprocessing.Process(target=work, args=(f"w{i}", scenario, chosen[i::workers], results))
                 for i in range(workers)]
    for process in processes:
        process.start()
    done = []
    while workers:
        result = results.get()
        workers -= result is None
        done += [result] if result else []
    wrongs = [wrong for _, wrong in done if wrong]
    hits = sum(hit for hit, _ in done)
    print(f"{name}: {len(done)} of {len(steps)} steps tried, {hits} killed somebody, {len(wrongs)} went wrong")
    print("\n".join(wrongs[:20]))
    return 1 if wrongs or not hits or len(done) != len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
