#!/usr/bin/env python3
"""Compares what `lay run --explain FLAGS` prints with what a container that is started with the same FLAGS finds.

    in_force.py FLAG...

LAY is the program; the image `small` is in its store. Says each difference in a line."""
import json
import os
import subprocess
import sys

kLay = os.environ["LAY"]
kFiles = ["status", "mountinfo", "limits", "uid_map", "gid_map", "oom_score_adj"]
kSets = {"bounding": "CapBnd", "effective": "CapEff", "permitted": "CapPrm", "inheritable": "CapInh", "ambient": "CapAmb"}
kNamespaces = {"mount": "mnt", "network": "net"}
kLimits = {"RLIMIT_CORE": "Max core file size", "RLIMIT_NOFILE": "Max open files", "RLIMIT_STACK": "Max stack size"}
kCapabilities = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT
    SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
# Where a resource of the spec is read inside, for v1 and v2.
kResources = [
    (("memory", "limit"), ["memory/memory.limit_in_bytes", "memory.max"]),
    (("memory", "swap"), ["memory/memory.memsw.limit_in_bytes"]),
    (("memory", "reservation"), ["memory/memory.soft_limit_in_bytes", "memory.low"]),
    (("pids", "limit"), ["pids/pids.max", "pids.max"]),
    (("cpu", "shares"), ["cpu/cpu.shares"]),
    (("cpu", "quota"), ["cpu/cpu.cfs_quota_us"]),
    (("cpu", "cpus"), ["cpuset/cpuset.cpus", "cpuset.cpus"]),
]


def probe(spec):
    """A script that prints what the checks need, each beneath a title."""
    linux = spec["linux"]
    lines = [f"echo '== {name}'; cat /proc/self/{name}" for name in kFiles]
    lines += [f"echo '== ns {kind}'; readlink /proc/self/ns/{kind}"
              for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")]
    lines += [f"echo '== sysctl {key}'; cat /proc/sys/{key.replace('.', '/')}" for key in linux.get("sysctl", {})]
    lines += [f"echo '== masked {path}'; if [ -d {path} ]; then ls -A {path}; else cat {path} 2>/dev/null; fi"
              for path in linux.get("maskedPaths", [])]
    lines += [f"echo '== file {path}'; cat /sys/fs/cgroup/{path} 2>/dev/null" for _, paths in kResources for path in paths]
    return "\n".join([*lines, "echo '== pwd'; pwd", "echo '== env'; env"])


def sections(text):
    found = {}
    for part in text.split("== ")[1:]:
        title, _, body = part.partition("\n")
        found[title] = body.rstrip("\n")
    return found


class Checker:
    def __init__(self, spec, notes, seen):
        self.spec, self.notes, self.seen = spec, notes, seen
        self.status = dict(line.split(":", 1) for line in seen["status"].splitlines() if ":" in line)
        self.mounts = {fields[4]: fields for line in seen["mountinfo"].splitlines() if (fields := line.split())}
        self.own = {kNamespaces.get(entry["type"], entry["type"]) for entry in spec["linux"]["namespaces"]}
        self.wrong = []

    def equal(self, what, expected, found):
        if expected != found:
            self.wrong.append(f"{what}: --explain says {expected!r}, the container finds {found!r}")

    def rights(self):
        process = self.spec["process"]
        by_user = self.status["Uid"].split()[0] != "0"
        for kind, line in kSets.items():
            if by_user and kind in ("effective", "permitted"):
                continue  # execve takes them from whoever is not root
            bits = sum(1 << kCapabilities.index(name[4:]) for name in process["capabilities"][kind])
            self.equal(kind, f"{bits:016x}", self.status[line].strip())
        self.equal("noNewPrivileges", str(int(process["noNewPrivileges"])), self.status["NoNewPrivs"].strip())
        self.equal("oomScoreAdj", str(process.get("oomScoreAdj") or 0), self.seen["oom_score_adj"])
        limits = {line[:25].strip(): line[25:].split()[:2] for line in self.seen["limits"].splitlines()}
        for limit in process.get("rlimits", []):
            self.equal(limit["type"], [str(limit["soft"]), str(limit["hard"])], limits[kLimits[limit["type"]]])

    def filter(self):
        filtered = self.spec["linux"].get("seccomp") or any("seccomp" in key for key in self.spec.get("annotations", {}))
        unfiltered = "no filter of system calls" in self.notes or not filtered
        self.equal("no filter of system calls", unfiltered, self.status["Seccomp"].strip() == "0")

    def namespaces(self):
        for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
            is_hosts = self.seen[f"ns {kind}"] == os.readlink(f"/proc/self/ns/{kind}")
            self.equal(f"its own {kind} namespace", kind in self.own, not is_hosts)
        for kind in ("uid", "gid"):
            mapped = [(entry["containerID"], entry["size"]) for entry in self.spec["linux"].get(f"{kind}Mappings") or []]
            if (chosen := self.spec.get("annotations", {}).get("dev.lay.userns", "")).startswith("auto:"):
                mapped = [(0, int(chosen.removeprefix("auto:")))]  # where on the host, a start decides
            found = [(int(line.split()[0]), int(line.split()[2])) for line in self.seen[f"{kind}_map"].splitlines()]
            self.equal(f"{kind} map", mapped or [(0, 4294967295)], found)
        self.equal("root of the host", "root inside is root of the host" in self.notes,
                   self.seen["ns user"] == os.readlink("/proc/self/ns/user"))

    def files(self):
        linux = self.spec["linux"]
        for mount in self.spec["mounts"]:
            fields = self.mounts.get(mount["destination"])
            self.equal(f"mount {mount['destination']}", True, fields is not None)
            options = fields[5].split(",") if fields else []
            for flag in ("nosuid", "nodev", "noexec", "ro"):
                if flag in mount.get("options", []):
                    self.equal(f"{flag} of {mount['destination']}", True, flag in options)
        self.equal("read-only root", bool(self.spec["root"].get("readonly")), "ro" in self.mounts["/"][5].split(","))
        for path in linux.get("maskedPaths", []):
            self.equal(f"what is in {path}", "", self.seen[f"masked {path}"])
        for path in linux.get("readonlyPaths", []):
            if os.path.exists(path):
                self.equal(f"ro {path}", True, path in self.mounts and "ro" in self.mounts[path][5].split(","))

    def settings(self):
        for key, value in self.spec["linux"].get("sysctl", {}).items():
            if not key.startswith("net.") or "user" not in self.own and "net" in self.own:
                self.equal(key, value, self.seen[f"sysctl {key}"].replace("\t", " "))
        for (group, name), paths in kResources:
            if "cgroup" not in self.own:
                continue  # the files are the host's
            value = self.spec["linux"].get("resources", {}).get(group, {}).get(name)
            found = next((self.seen[f"file {path}"] for path in paths if self.seen[f"file {path}"]), None)
            if value is not None and found is not None:
                self.equal(f"{group} {name}", str(value), found)
        self.equal("cwd", self.spec["process"]["cwd"], self.seen["pwd"])
        for pair in self.spec["process"]["env"]:
            if not pair.startswith("HOSTNAME="):  # begins the id, which is another each time
                self.equal(f"environment {pair}", True, pair in self.seen["env"].splitlines())


def main(*flags):
    explained = subprocess.run([kLay, "run", "--explain", *flags, "small", "true"], check=True, capture_output=True, text=True)
    spec = json.loads(explained.stdout)
    found = subprocess.run([kLay, "run", "--rm", *flags, "small", "sh", "-c", probe(spec)], check=True, capture_output=True, text=True)
    checker = Checker(spec, explained.stderr, sections(found.stdout))
    for check in (checker.rights, checker.filter, checker.namespaces, checker.files, checker.settings):
        check()
    print("\n".join(checker.wrong))
    return 1 if checker.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
