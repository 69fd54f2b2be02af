#!/usr/bin/env python3
"""Where the time of a `lay run` goes: medians of the time between the system calls that begin its steps.

usage: bench/phases.py [--rounds N] LAY run ... (anything that ends)

The times between are strace's, which stretches each traced call; so what is printed is each step's share of the time
that the same command takes without strace.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

kCalls = "execve,clone3,pivot_root,seccomp,exit_group,flock,renameat,mkdirat"
# Each step ends with the first line after the one before that matches.
kSteps = [
    ("load lay, read the command line", r"flock\("),
    ("find the image, hold or mount its layers", r'mkdirat\(\d+, "\.new-'),
    ("make the container's folder", r'mkdirat\(\d+, "points"|/points"'),
    ("files for /etc, address and ports", r'mkdirat\(\d+, "[0-9a-f]{64}"'),
    ("make cgroups, set limits", r"clone3\("),
    ("new namespaces, overlay, mounts (and beside them the network)", r"pivot_root\("),
    ("pivot, detach the host's tree, mask paths", r"seccomp\("),
    ("drop rights, execute the command", r"execve\(.* = 0|execve resumed>\) = 0"),
    ("the command itself", r"exit_group\("),
    ("end: network, cgroups", r"renameat\(.*\.gone-"),
    ("leave the rest to a process in the background, end", r"exit_group\("),
]


def lines_of(command, folder):
    """(seconds, text) of each traced call, in order of time."""
    path = os.path.join(folder, "trace")
    subprocess.run(["strace", "-f", "--seccomp-bpf", "-ttt", "-o", path, "-e", f"trace={kCalls}", *command], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(path, errors="replace") as trace:
        for line in trace:
            _, seconds, text = line.split(maxsplit=2)
            yield float(seconds), text


def steps_of(command, folder):
    """Seconds that each step took."""
    lines = list(lines_of(command, folder))
    begin, position, taken = lines[0][0], 1, []
    for name, pattern in kSteps:
        while position < len(lines) and not re.search(pattern, lines[position][1]):
            position += 1
        if position == len(lines):
            sys.exit(f"phases: the end of '{name}' was not found")
        taken.append(lines[position][0] - begin)
        begin = lines[position][0]
        position += 1
    return taken


def seconds_of(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [steps_of(options.command, folder) for _ in range(options.rounds + 1)][1:]
    whole = statistics.median(seconds_of(options.command) for _ in range(options.rounds))
    medians = [statistics.median(step) for step in zip(*rounds)]
    for (name, _), median in zip(kSteps, medians):
        print(f"{whole * 1000 * median / sum(medians):5.1f} ms  {name}")
    print(f"{whole * 1000:5.1f} ms  all")


if __name__ == "__main__":
    main()
