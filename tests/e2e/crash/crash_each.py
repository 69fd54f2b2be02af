#!/usr/bin/env python3
"""Kills one process of a container's life at one of its system calls, each process at each call in turn: lay, its
supervisor, the container's first process, and who else comes along. Afterwards what crash_run.py demands has to hold.

    crash_each.py SCENARIO [EVERY]

LAY is the program; the current folder is scratch space, in which small/ is a root file system. EVERY n tries only each
n-th call. kill_at.py counts and kills."""
import json
import multiprocessing
import os
import subprocess
import sys

from crash_run import World, Wrong, kLay, kRun, leave_network, repeat, until

kKillAt = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "kill_at.py")
kSleeper = [*kRun, "-d", "small", "sleep", "1000"]
kMapped = ["--userns", "auto", "--network", "net", "--tmpfs", "/mnt", "--cap-drop", "ALL"]
kScenarios = {
    "run": {"command": [*kRun, "--rm", "small", "true"], "ends": True},
    "run-detached": {"command": [*kRun, "-d", "small", "true"], "ends": True},
    "run-mapped": {"command": [*kRun, *kMapped, "-d", "small", "true"], "ends": True},
    "start": {"before": [[*kRun, "small", "true"]], "command": ["start", "c"], "ends": True},
    "stop": {"before": [kSleeper], "command": ["stop", "-t", "0", "c"], "attach": True},
    "rm": {"before": [kSleeper], "command": ["rm", "-f", "c"], "attach": True},
    "connect": {"before": [kSleeper], "command": ["network", "connect", "net", "c"], "attach": True},
    "disconnect": {"before": [kSleeper, ["network", "connect", "net", "c"]],
                   "command": ["network", "disconnect", "net", "c"], "attach": True},
    "pause": {"before": [kSleeper], "command": ["pause", "c"], "attach": True},
    "update": {"before": [kSleeper], "command": ["update", "-m", "64m", "--pids-limit", "77", "c"], "attach": True},
}


def processes_beside(world):
    """The container's supervisor and first process."""
    first = world.must("inspect", "-f", "{{.State.Pid}}", "c")
    with open(f"/proc/{first}/status", encoding="ascii") as file:
        return [next(line.split()[1] for line in file if line.startswith("PPid")), first]


def play(world, scenario, seconds, process, step):
    """Does what the scenario has, with that process killed at that call; what kill_at.py says of it."""
    attach = []
    if scenario.get("attach"):
        attach = [word for pid in processes_beside(world) for word in ("--attach", pid)]
    words = [kLay, *(word.replace("MARKER", world.marker) for word in scenario["command"])]
    try:
        subprocess.run([kKillAt, world.trace, str(seconds), str(process), str(step), *attach, *words], timeout=40,
                       env={**os.environ, "LAY_ROOT": world.root, "LAY_RUN": world.run_folder}, check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Wrong("hangs") from None
    with open(world.trace, encoding="ascii") as file:
        return json.load(file)


def begin(world, scenario):
    for command in scenario.get("before", []):
        world.must(*command)


def check_truth(world):
    """One that has processes is said to run or to be paused, any other not; its end may take a moment."""
    world.must("ps", "-a")
    if not until(5, lambda: (world.status() in ("running", "paused")) == bool(world.processes())):
        raise Wrong(f"its state is {world.status()} and its processes are {world.processes()}")


def go_on(world, scenario):
    """The same once more, whatever the killed one had done of it already."""
    verb = scenario["command"][0]
    if verb not in ("network", "pause", "update"):
        return repeat(world, scenario)
    if world.status() not in ("running", "paused"):
        world.must("start", "c")
    code, text = world.lay(*scenario["command"])
    if code != 0 and not any(words in text for words in ("already", "is not on network")):
        raise Wrong(f"given again it exits with {code}: {text}")
    return None


def end(world, ids):
    ids |= world.ids()
    world.must("rm", "-f", "c")
    world.must("run", "--rm", "--network", "net", "small", "true")
    world.must("run", "--rm", "small", "true")
    if not until(5, lambda: not left(world, ids)):
        raise Wrong(f"left behind: {left(world, ids)}")


def left(world, ids):
    """As World.left, and what is held for ids of the host and for named networks."""
    for folder in ("ids", "networks"):
        for place, _, names in os.walk(os.path.join(world.run_folder, folder)):
            held = [name for name in names if place.endswith("/leases") or folder == "ids" and name != "lock"]
            if held:
                return [f"{place}: {held}"]
    return world.left(ids)


def try_step(world, scenario, seconds, process, step):
    """Whether somebody was killed, and what is wrong afterwards."""
    killed = None
    try:
        begin(world, scenario)
        killed = play(world, scenario, seconds, process, step)["killed"]
        ids = world.ids()
        if scenario.get("ends") and world.status():
            world.lay("wait", "c")
        check_truth(world)
        go_on(world, scenario)
        end(world, ids)
    except Wrong as wrong:
        for pid in world.processes():
            os.kill(int(pid), 9)
        return killed, f"process {process} at call {step}: {wrong}"
    return killed, None


def new_world(name):
    world = World(name)
    world.must("network", "create", "--subnet", "10.77.0.0/24", "net")
    return world


def work(name, scenario, seconds, steps, results):
    leave_network()
    world, number = new_world(f"{name}-0"), 0
    for process, step in steps:
        killed, wrong = try_step(world, scenario, seconds, process, step)
        if wrong:  # what is left would be found again after every step
            number += 1
            world = new_world(f"{name}-{number}")
        results.put((killed, wrong))
    results.put(None)


def all_steps(name, seconds):
    world, scenario = new_world(f"{name}-counted"), kScenarios[name]
    begin(world, scenario)
    counts = play(world, scenario, seconds, -1, 0)["counts"]
    world.lay("rm", "-f", "c")
    return [(process, step) for process, count in enumerate(counts) for step in range(1, count + 1)]


def main(name, every=1):
    scenario, seconds = kScenarios[name], 3 if int(every) == 1 else 0.5
    leave_network()
    steps = all_steps(name, seconds)
    chosen = steps[int(every) // 2::int(every)]
    results = multiprocessing.Queue()
    working = os.cpu_count()
    workers = [multiprocessing.Process(target=work, args=(f"{name}-{i}", scenario, seconds, chosen[i::working], results))
               for i in range(working)]
    for worker in workers:
        worker.start()
    done = []
    while working:
        result = results.get()
        working -= result is None
        done += [result] if result else []
    wrongs = [wrong for _, wrong in done if wrong]
    hits = sum(killed is not None for killed, _ in done)
    print(f"{name}: {len(done)} of {len(steps)} calls tried, {hits} killed somebody, {len(wrongs)} went wrong")
    print("\n".join(wrongs[:20]))
    # Who lingers after the last container comes to fewer calls when another does its work.
    return 1 if wrongs or 4 * hits < len(done) or len(done) != len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
