#!/usr/bin/env python3
"""Stops lay at every step that changes the store, and makes every such step fail: whatever happens, what was there
before is intact to the byte, on this boot and on the next; the store is clean, the same command succeeds when it is
given again, and nothing is left behind.

    crash.py kill|cut|fail|short SCENARIO [EVERY]

kill, cut and fail try each EVERY-th step; cut loses what was not synced by then, and tries the moment after the end too.
short has every read and write move less than was asked for, by what the compiler makes of short_io.c. LAY is the program; the current folder is scratch space; pulls come from the registry at REGISTRY.
strace(1) injects: it counts calls for each thread, so step n is the n-th of whichever thread reaches it first."""
import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import json
import os
import re
import subprocess
import sys

from crash_disk import DiskStore, put_on_disk
from crash_scenarios import kScenarios, make_inputs, make_source, make_store
from crash_world import Wrong, file_hash, text_of

kCalls = ["write", "pwrite64", "fsync", "syncfs", "ftruncate", "renameat", "renameat2", "linkat", "unlinkat", "mkdirat",
          "symlinkat", "mknodat", "openat"]
kErrors = ["EIO", "ENOSPC", "EINTR"]
kRarerErrors = ["EDQUOT", "ENOMEM", "EMFILE", "EROFS", "EAGAIN", "EPERM"]
kHere = os.path.dirname(os.path.abspath(__file__))


@dataclasses.dataclass
class Expected:
    names: dict  # digests by the name of each image that was there
    trees: dict  # of each image and container that was there
    added: tuple = None  # digest and tree of what the command adds
    output: str = None  # hash of what it writes


def names_and_trees(store, scenario):
    names = store.names()
    stays = scenario.removes is None and not scenario.damaged
    shown = [name for name in scenario.earlier if not (stays and name == "base:1")]  # old:1 has all that it has
    return Expected({name: names[name] for name in scenario.earlier if name in names},
                    {name: store.tree(name) for name in shown})


def what_is_expected(template, scenario):
    """Also of the command that nobody disturbs; then the template is spoilt."""
    copy = template.copy_to("expected")
    expected = names_and_trees(copy, scenario)
    assert all(expected.trees.values()), expected
    copy.must(*scenario.command)
    if scenario.adds:
        expected.added = copy.names()[scenario.adds], copy.tree(scenario.adds)
    if scenario.writes:
        expected.output = file_hash(copy.beside(".out"))
    copy.remove()
    for spoil in scenario.spoil:
        spoil(template)
    return expected


def steps_of(template, scenario):
    """How often the busiest thread makes each call."""
    copy = template.copy_to("counted")
    copy.lay(*scenario.command, tracer=["strace", "-D", "-f", "-qq", "-o", "calls", "-e", f"trace={','.join(kCalls)}"])
    copy.remove()
    counts = collections.Counter()
    with open("calls", encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := re.match(r"(\d+) +(\w+)\(", line):
                counts[match.groups()] += 1
    most = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return [(call, step) for call, count in most.items() for step in range(1, count + 1)]


def effects_on(steps, mode):
    if mode == "cut":
        steps = [("write", 65_535), *steps]
    if mode in ("kill", "cut"):
        return [(call, step, "signal=KILL") for call, step in steps]
    rarer = itertools.cycle(kRarerErrors)
    return [(call, step, f"error={error}") for call, step in steps for error in [*kErrors, next(rarer)]]


def is_gone(store, scenario, name):
    if name == "c":
        return scenario.removes_container and store.tree(name) is None
    return name == scenario.removes and name not in store.names()


def check_earlier(store, scenario, expected):
    """Damage that was there before is told until it is mended; nothing else is damaged, and what is called good is."""
    fsck = store.lay("fsck", "-q")
    if fsck.returncode != 0 and not scenario.damaged:
        raise Wrong(f"fsck: {text_of(fsck.stdout)} {text_of(fsck.stderr)}")
    names = store.names()
    for name, digest in expected.names.items():
        if names.get(name) != digest and not is_gone(store, scenario, name):
            raise Wrong(f"{name} was {digest} and is {names.get(name)}")
    for name, tree in expected.trees.items():
        if is_gone(store, scenario, name) or fsck.returncode != 0 and name in scenario.damaged:
            continue
        if store.tree(name) != tree:
            raise Wrong(f"{name} has other files, or none: {text_of(store.lay('export', name).stderr)}")


def check_output(store, expected):
    """It is whole or not there."""
    path = store.beside(".out")
    if os.path.exists(path) and file_hash(path) != expected.output:
        raise Wrong("what it has written is not whole")


def check_end(store, scenario, expected):
    check_earlier(store, dataclasses.replace(scenario, damaged=[]), expected)
    if scenario.removes in store.names():
        raise Wrong(f"{scenario.removes} is still there")
    if scenario.removes_container and store.tree("c"):
        raise Wrong("the container is still there")
    if scenario.adds and (added := (store.names().get(scenario.adds), store.tree(scenario.adds))) != expected.added:
        raise Wrong(f"{scenario.adds} is not there, or is another: {added} and not {expected.added}")
    if scenario.writes and not os.path.exists(store.beside(".out")):
        raise Wrong("nothing was written")
    check_output(store, expected)
    store.must("prune", "-f", "--images")
    usage = json.loads(store.must("df", "--format", "json"))
    reclaimable = [row["Bytes"] for row in usage if row["Name"] == "reclaimable"]
    if store.debris() or reclaimable != [0]:
        raise Wrong(f"left behind: {store.debris()}, {reclaimable} bytes")


def check_stop(store, stopped, call, effect):
    """How lay ended, and what it said."""
    said = text_of(stopped.stderr)
    if stopped.returncode in (134, 135, 139):
        raise Wrong(f"it crashed: {said}")
    if not effect.startswith("error"):
        return
    if stopped.returncode != 0 and call != "write" and "lay: " not in said:
        raise Wrong(f"it exits with {stopped.returncode} and does not say why: '{said}'")
    with open(store.beside(".trace"), encoding="utf-8", errors="replace") as file:
        was_injected = "(INJECTED)" in file.read()
    if call in ("fsync", "syncfs") and effect != "error=EINTR" and stopped.returncode == 0 and was_injected:
        raise Wrong("it says nothing, though it cannot know what is on disk")


def repeat(store, scenario):
    again = store.lay(*scenario.command)
    gone = scenario.removes and scenario.removes not in store.names()
    gone = gone or scenario.removes_container and not store.tree("c")
    if again.returncode != 0 and not gone:
        raise Wrong(f"given again it exits with {again.returncode}: {text_of(again.stderr)}")


def try_step(make_copy, scenario, expected, call, step, effect):
    """Whether lay was stopped by it, and what is wrong afterwards."""
    store = make_copy(f"{call}-{step}-{effect.replace('=', '-')}")
    is_on_disk = isinstance(store, DiskStore)
    hit = False
    try:
        stopped = store.lay(*scenario.command, tracer=[
            "strace", "-D", "-f", "-qq", "-o", store.beside(".trace"), "-e", f"trace={call}", "-e",
            f"inject={call}:{effect}:when={step}"])
        hit = stopped.returncode != 0
        check_stop(store, stopped, call, effect)
        check_output(store, expected)
        if is_on_disk:
            store.cut_power()
        else:
            check_earlier(store, scenario, expected)
        store.next_boot = True
        check_earlier(store, scenario, expected)
        store.next_boot = is_on_disk or step % 2 == 0
        if is_on_disk and not hit and not scenario.removes_container:  # whose removal is promised to nobody
            check_end(store, scenario, expected)
        repeat(store, scenario)
        check_end(store, scenario, expected)
    except Wrong as wrong:
        return hit, f"{' '.join(scenario.command)}: {call} {effect} at step {step}: {wrong}"
    finally:
        store.remove()
    return hit, None


def try_steps(template, scenario, expected, mode, every):
    make_copy = template.copy_to
    if mode == "cut":
        image = put_on_disk(template)
        make_copy = functools.partial(DiskStore, image, env=template.env)
    steps = effects_on(steps_of(template, scenario), mode)
    chosen = steps[::every]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda step: try_step(make_copy, scenario, expected, *step), chosen))
    wrongs = [wrong for _, wrong in results if wrong]
    hits = sum(hit for hit, _ in results)
    print(f"{len(chosen)} of {len(steps)} steps tried, {hits} stopped it, {len(wrongs)} went wrong")
    return wrongs or ([] if hits or mode == "fail" else ["no step stopped it"])


def try_short(template, scenario, expected):
    """With calls that move less than was asked for it succeeds all the same."""
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", "short_io.so", f"{kHere}/short_io.c", "-ldl"], check=True)
    moved = os.path.abspath("moved")
    try:
        template.must(*scenario.command, env={"LD_PRELOAD": os.path.abspath("short_io.so"), "SHORT_IO": moved})
        check_end(template, scenario, expected)
    except Wrong as wrong:
        return [str(wrong)]
    return [] if os.path.exists(moved) else ["no call was short"]


def main(mode, name, every=1):
    scenario = kScenarios[name]
    make_inputs()
    make_source()
    template = make_store(scenario)
    expected = what_is_expected(template, scenario)
    if mode == "short":
        wrongs = try_short(template, scenario, expected)
    else:
        wrongs = try_steps(template, scenario, expected, mode, int(every))
    print("\n".join([f"{name}:", *wrongs[:20]]))
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
