#!/usr/bin/env python3
"""Stops lay at every step that changes the store, and makes every such step fail: whatever happens, what was there
before is intact, the store is clean, the same command succeeds when it is given again, and nothing is left behind.

    crash.py kill|fail SCENARIO [EVERY]

LAY is the program; the current folder is scratch space; pulls come from the registry at REGISTRY. EVERY n tries only each n-th step. strace(1) injects: it
counts calls for each thread, so step n is the n-th of whichever thread reaches it first."""
import collections
import concurrent.futures
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

kCalls = ["write", "pwrite64", "fsync", "syncfs", "ftruncate", "renameat", "renameat2", "linkat", "unlinkat", "mkdirat",
          "symlinkat", "mknodat", "openat"]
kErrors = ["EIO", "ENOSPC", "EINTR"]
kLay = os.environ["LAY"]
kEarlier = ["base:1", "old:1"]
kPulled = f"{os.environ.get('REGISTRY')}/new:1"


class Wrong(Exception):
    pass


def environment(root, scenario):
    return {**os.environ, "LAY_ROOT": root, "LAY_RUN": root + ".run", **scenario.get("env", {})}


def lay(root, scenario, *words, injected=None):
    command = [kLay, *words]
    if injected:
        command = ["strace", "-f", "-qq", "-o", f"{root}.trace", "-e", f"trace={injected.split(':')[0]}", "-e",
                   f"inject={injected}", *command]
    return subprocess.run(command, env=environment(root, scenario), text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def was_injected(root):
    """Which thread does how much is for the scheduler: in this run none may have come to that step."""
    with open(f"{root}.trace") as file:
        return "(INJECTED)" in file.read()


def must(root, scenario, *words):
    done = lay(root, scenario, *words)
    if done.returncode != 0:
        raise Wrong(f"'{' '.join(words)}' exits with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def digest(root, scenario, name):
    done = lay(root, scenario, "inspect", "-f", "{{.Digest}}", name)
    return done.stdout.strip() if done.returncode == 0 else None


def make_inputs():
    os.makedirs("upper/folder", exist_ok=True)
    with open("upper/folder/large", "wb") as file:
        file.write(bytes(range(256)) * 2000)
    with open("upper/small", "w") as file:
        file.write("x\n")
    os.mknod("upper/gone", 0o600 | 0o020000, os.makedev(0, 0))
    for name in ("base", "other"):
        with tarfile.open(f"{name}.tar", "w") as tar:
            for path, text in {"etc/file": name, "data": name * 50000}.items():
                info = tarfile.TarInfo(path)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))


kTree = {"LAY_LAYER_FORM": "tree"}
kScenarios = {
    "commit": {"command": ["commit", "./upper", "new:1", "--base", "base:1"], "adds": "new:1"},
    "commit-none": {"command": ["commit", "./upper", "new:1", "--base", "base:1", "--compression", "none"], "adds": "new:1"},
    "import": {"command": ["import", "other.tar", "new:1"], "adds": "new:1"},
    "import-tree": {"command": ["import", "other.tar", "new:1"], "adds": "new:1", "env": kTree},
    "load": {"command": ["load", "-q", "-i", "docker-archive"], "adds": "new:1"},
    "load-oci": {"command": ["load", "-q", "-i", "oci-archive"], "adds": "new:1"},
    "pull": {"command": ["pull", kPulled], "adds": kPulled},
    "pull-tree": {"command": ["pull", kPulled], "adds": kPulled, "env": kTree},
    "tag": {"command": ["tag", "base:1", "new:1"], "adds": "new:1"},
    "rmi": {"command": ["rmi", "old:1"], "removes": "old:1"},
    "prune": {"command": ["prune", "-f", "--images"], "garbage": True},
}


def make_source(command):
    """Where a load or a pull comes from: an image of a layer that is new and one that old:1 has."""
    if command not in ("load", "pull"):
        return
    must("source", {}, "import", "other.tar", "other:1")
    must("source", {}, "commit", "./upper", "new:1", "--base", "other:1")
    if command == "pull":
        must("source", {}, "push", "new:1", kPulled)
        return
    for form in ("docker-archive", "oci-archive"):
        must("source", {}, "save", "-q", "--format", form, "-o", form, "new:1")


def make_template(scenario):
    must("template", scenario, "import", "base.tar", "base:1")
    must("template", scenario, "commit", "./upper", "old:1", "--base", "base:1", "--message", "old")
    if scenario.get("garbage"):
        must("template", scenario, "import", "other.tar", "garbage:1")
        index = "template/index.json"
        with open(index) as file:
            document = json.load(file)
        document["manifests"] = [entry for entry in document["manifests"]
                                 if entry["annotations"]["org.opencontainers.image.ref.name"] != "garbage:1"]
        with open(index, "w") as file:
            json.dump(document, file)


def count_calls(scenario):
    """How often the busiest thread makes each call."""
    shutil.copytree("template", "counted", symlinks=True)
    command = ["strace", "-f", "-qq", "-o", "calls", "-e", f"trace={','.join(kCalls)}", kLay, *scenario["command"]]
    subprocess.run(command, env=environment("counted", scenario), check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    counts = collections.Counter()
    with open("calls") as file:
        for line in file:
            if match := re.match(r"(\d+) +(\w+)\(", line):
                counts[match.groups()] += 1
    shutil.rmtree("counted")
    most = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def check_state(root, scenario, digests):
    must(root, scenario, "fsck", "-q")
    for name, expected in digests.items():
        got = digest(root, scenario, name)
        if got != expected and not (got is None and name == scenario.get("removes")):
            raise Wrong(f"{name} was {expected} and is {got}")


def check_end(root, scenario, digests):
    check_state(root, scenario, digests)
    name = scenario.get("removes")
    if name and digest(root, scenario, name):
        raise Wrong(f"{name} is still there")
    name = scenario.get("adds")
    if name and not digest(root, scenario, name):
        raise Wrong(f"{name} is not there")
    must(root, scenario, "prune", "-f", "--images")
    left = [entry for entry in os.listdir(f"{root}/ingest") if not entry.startswith(".")]
    usage = json.loads(must(root, scenario, "df", "--format", "json"))
    reclaimable = [row["Bytes"] for row in usage if row["Name"] == "reclaimable"]
    if left or reclaimable != [0]:
        raise Wrong(f"left behind: {left}, {reclaimable} bytes")


def try_step(scenario, digests, call, step, effect):
    """Whether lay was stopped by it, and what is wrong afterwards."""
    root = f"{call}-{step}-{effect.replace('=', '-')}"
    shutil.copytree("template", root, symlinks=True)
    try:
        injected = lay(root, scenario, *scenario["command"], injected=f"{call}:{effect}:when={step}")
        hit = injected.returncode != 0
        if injected.returncode in (-11, -6, 139, 134):
            raise Wrong(f"it crashed: {injected.stderr.strip()}")
        if effect.startswith("error") and call != "write" and hit and "lay: " not in injected.stderr:
            raise Wrong(f"it exits with {injected.returncode} and does not say why: '{injected.stderr.strip()}'")
        if call in ("fsync", "syncfs") and effect in ("error=EIO", "error=ENOSPC") and not hit and was_injected(root):
            raise Wrong("it says nothing, though it cannot know what is on disk")
        check_state(root, scenario, digests)
        again = lay(root, scenario, *scenario["command"])
        gone = scenario.get("removes") and digest(root, scenario, scenario["removes"]) is None
        if again.returncode != 0 and not gone:
            raise Wrong(f"given again it exits with {again.returncode}: {again.stderr.strip()}")
        check_end(root, scenario, digests)
    except Wrong as wrong:
        return True, f"{' '.join(scenario['command'])}: {call} {effect} at step {step}: {wrong}"
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root + ".run", ignore_errors=True)
        os.unlink(f"{root}.trace")
    return hit, None


def main(mode, name, every=1):
    scenario = kScenarios[name]
    make_inputs()
    make_source(scenario["command"][0])
    make_template(scenario)
    digests = {earlier: digest("template", scenario, earlier) for earlier in kEarlier}
    assert all(digests.values()), digests
    effects = ["signal=KILL"] if mode == "kill" else [f"error={error}" for error in kErrors]
    steps = [(call, step, effect) for call, count in count_calls(scenario).items() for step in range(1, count + 1)
             for effect in effects]
    chosen = steps[::int(every)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda step: try_step(scenario, digests, *step), chosen))
    wrongs = [wrong for _, wrong in results if wrong]
    hits = sum(hit for hit, _ in results)
    print(f"{name}: {len(chosen)} of {len(steps)} steps tried, {hits} stopped it, {len(wrongs)} went wrong")
    print("\n".join(wrongs[:20]))
    return 1 if wrongs or not hits else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
