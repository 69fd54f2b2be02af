#!/usr/bin/env python3
"""Several lays run, stop, enter and remove one container by its name, all at once: none hangs, each exits with a code
that fits what it says, and nothing is left behind.

    race_run.py ROUNDS

LAY is the program; the current folder is scratch space, in which small/ is a root file system."""
import collections
import concurrent.futures
import os
import random
import subprocess
import sys

from crash_run import World, Wrong, kRun, leave_network, until

kWorkers = 4
kSleep = [*kRun, "-d", "small", "sleep", "1000"]
# What each may answer beside 0, and the words one of which it has to say then; "" is a command that was killed.
kGone = ["no container", "is removed"]
kEnded = ["is not running", "has just ended", "ended"]
kTaken = ["is already in use", "is running already"]
kCommands = [
    (kSleep, {125: kTaken}),
    ([*kRun, "--rm", "small", "true"], {125: kTaken, 137: [""]}),
    ([*kRun, "-d", "--rm", "small", "true"], {125: kTaken}),
    (["stop", "-t", "0", "c"], {1: kGone}),
    (["kill", "c"], {1: kGone + kEnded}),
    (["exec", "c", "true"], {125: kGone + kEnded, 137: [""]}),
    (["start", "c"], {1: kGone + kTaken}),
    (["rm", "c"], {1: kGone + ["is running"]}),
    (["rm", "-f", "c"], {}),
]


def call(world, command):
    """Its code and what it said."""
    command = [os.environ["LAY"], *(word.replace("MARKER", world.marker) for word in command)]
    with open(f"{world.root}.out-{random.getrandbits(64):x}", "w+") as out:
        os.unlink(out.name)
        try:
            code = subprocess.run(command, env={**os.environ, "LAY_ROOT": world.root, "LAY_RUN": world.run_folder},
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30).returncode
        except subprocess.TimeoutExpired:
            return None, ""
        out.seek(0)
        return code, out.read().strip()


def play(world, rounds, seed):
    """One player's rounds; what went wrong."""
    dice = random.Random(seed)
    answers = collections.Counter()
    wrongs = []
    for _ in range(rounds):
        command, allowed = dice.choice(kCommands)
        code, text = call(world, command)
        answers[(command[0], code)] += 1
        if code != 0 and not any(words in text for words in allowed.get(code, [])):
            wrongs.append(f"'{' '.join(command)}' {'hangs' if code is None else f'exits with {code}: {text}'}")
    return answers, wrongs


def main(rounds):
    leave_network()
    world = World("race")
    with concurrent.futures.ThreadPoolExecutor(kWorkers) as pool:
        played = list(pool.map(lambda seed: play(world, int(rounds) // kWorkers, seed), range(kWorkers)))
    wrongs = [wrong for _, found in played for wrong in found]
    answers = sum((counts for counts, _ in played), collections.Counter())
    try:
        world.must("rm", "-f", "c")
        world.must("run", "--rm", "small", "true")
        if not until(10, lambda: not world.left([])):
            wrongs.append(f"left behind: {world.left([])}")
    except Wrong as wrong:
        wrongs.append(str(wrong))
    print(f"{rounds} rounds, {len(wrongs)} went wrong; {dict(answers)}")
    print("\n".join(wrongs[:20]))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
