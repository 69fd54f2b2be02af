"""Times commands, reads their peak memory, and names the machine."""
import os
import platform
import select
import statistics
import subprocess
import time
from dataclasses import dataclass, field

kLimit = 900  # seconds that one command may take


class CommandFailed(Exception):
    """A command ended with a status other than 0; the message is the last line it wrote."""


@dataclass
class Samples:
    """What was measured of one tool at one work: seconds for each round, and memory in KiB."""
    seconds: list = field(default_factory=list)
    peak_kib: int = 0

    def median(self):
        return statistics.median(self.seconds)


def wait_for(process):
    """Waits on a pidfd: Popen.wait() with a limit polls, up to 50 ms too late."""
    handle = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        if not poller.poll(kLimit * 1000):
            process.kill()
            raise CommandFailed(f"not done after {kLimit} s")
    finally:
        os.close(handle)
    return process.wait()


def last_line(path):
    with open(path, errors="replace") as lines:
        return ([line.strip() for line in lines if line.strip()] or ["no output"])[-1]


def run(command, log, env=None):
    """Runs a command with its output in the file `log` and returns the seconds it took."""
    with open(log, "wb") as out:
        start = time.perf_counter()
        status = wait_for(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                           env=env))
        seconds = time.perf_counter() - start
    if status != 0:
        raise CommandFailed(last_line(log))
    return seconds


def run_with_memory(command, log, env=None):
    """Like run(), below time(1): returns (seconds, KiB of the largest process that was waited for).

    time(1) rather than our own rusage: a child begins with the peak of the process that forked it.
    """
    report = f"{log}.memory"
    seconds = run(["time", "-o", report, "-f", "%M", *command], log, env)
    with open(report) as lines:
        return seconds, int(lines.read().split()[-1])


def processor():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def disk(folder):
    """The file system that holds `folder`, and the kind of device under it."""
    source, kind = subprocess.run(["findmnt", "-no", "SOURCE,FSTYPE", "--target", folder], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.split()[:2]
    return f"{kind} on {os.path.basename(source)}"


def machine(folder):
    return (f"{processor()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB, Linux {platform.release()}, "
            f"{disk(folder)}")
