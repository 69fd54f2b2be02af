#!/usr/bin/env python3
"""Runs COMMAND on what looks to lay like a machine of its own: it sees no others' mounts, control groups and links, and
others do not see its. So stories run beside each other, and each can demand that it leaves nothing behind.

    machine.py [--host-network] COMMAND...

--host-network: with the machine's own network, for what reaches apt or looks at the uplink.
Where cgroup v2 is alone its groups are the machine's: one that has processes can give no controllers to those beneath.
"""
import os
import shlex
import subprocess
import sys
import time

LONGEST = 20  # seconds until what lay does in the background has ended


def hierarchies():
    """Mount point and options of each hierarchy of v1, and of v2 beside them."""
    found = []
    for line in open("/proc/self/mountinfo", encoding="utf-8"):
        fields = line.split()
        kind, _, options = fields[fields.index("-") + 1:][:3]
        if kind in ("cgroup", "cgroup2"):
            found.append((kind, fields[4], ",".join(o for o in options.split(",") if o not in ("rw", "ro"))))
    return found if any(kind == "cgroup" for kind, _, _ in found) else []


def own_path(options):
    """Where this process is in the hierarchy that /proc/self/cgroup calls by its options; v2's have none."""
    for line in open("/proc/self/cgroup", encoding="utf-8"):
        _, name, path = line.rstrip("\n").split(":", 2)
        if sorted(name.split(",")) == sorted(options.split(",")):
            return path
    return "/"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make(folder):
    os.mkdir(folder)
    for name in ("cpuset.cpus", "cpuset.mems"):  # without which no process may enter
        if os.path.exists(f"{folder}/{name}"):
            with open(f"{os.path.dirname(folder)}/{name}", encoding="utf-8") as above:
                write(f"{folder}/{name}", above.read())
    offer(os.path.dirname(folder))


def offer(folder):
    """What v2 has to offer is offered to the groups beneath."""
    if not os.path.exists(f"{folder}/cgroup.controllers"):
        return
    with open(f"{folder}/cgroup.controllers", encoding="utf-8") as controllers:
        for controller in controllers.read().split():
            try:
                write(f"{folder}/cgroup.subtree_control", f"+{controller}")
            except OSError:
                pass  # as on a machine that has it not


def remove(folder):
    """The group and those beneath it; False while something runs in one."""
    for place, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(place)
        except OSError:
            return False
    return True


def script(found, flags, command):
    lines = ["set -e"]
    for kind, point, options in found:
        lines.append(f"umount {shlex.quote(point)}")
        option = f"-o {shlex.quote(options)} " if options else ""
        lines.append(f"mount -t {kind} {option}{kind} {shlex.quote(point)}")
        if kind == "cgroup2":  # its root can give controllers to others when it has no processes itself
            session = shlex.quote(f"{point}/session")
            lines.append(f"mkdir {session}; echo 0 >{session}/cgroup.procs")
    if "--net" in flags:
        lines.append("ip link set lo up")
    return "\n".join([*lines, shlex.join(["exec", *command])])


def main():
    command = sys.argv[1:]
    flags = ["--mount", "--propagation", "private", "--net"]
    if command[0] == "--host-network":
        command.pop(0)
        flags.remove("--net")
    found = hierarchies()
    folders = [f"{point}{own_path(options).rstrip('/')}/e2e-{os.getpid()}" for _, point, options in found]
    for folder in folders:
        make(folder)
    if found:
        flags.append("--cgroup")
    try:
        code = subprocess.run(["unshare", *flags, "bash", "-c", script(found, flags, command)], check=False,
                              preexec_fn=lambda: [write(f"{folder}/cgroup.procs", "0") for folder in folders]).returncode
    finally:
        end = time.monotonic() + LONGEST
        left = folders
        while (left := [folder for folder in left if not remove(folder)]) and time.monotonic() < end:
            time.sleep(0.1)
    for folder in left:
        print(f"machine: {folder} is still in use", file=sys.stderr)
    sys.exit(code or bool(left))


main()
