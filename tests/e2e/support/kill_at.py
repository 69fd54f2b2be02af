#!/usr/bin/env python3
"""Runs COMMAND and kills one of its processes where that enters its n-th system call. strace(1) counts for each thread
and kills whichever comes to a step first, which is never the one that makes fewer calls.

    kill_at.py OUT SECONDS PROCESS STEP [--attach PID]... COMMAND...

PROCESS counts those attached to and then COMMAND and its descendants as they come; with -1 nobody is killed. OUT
becomes a JSON document: "counts", how many calls each process made, and "killed", the pid of who was. Ends with the
code of COMMAND, once it has ended and somebody was killed, or nobody is left to; what lives on is followed for SECONDS."""
import ctypes
import json
import os
import signal
import sys
import time

kSeize, kSyscall, kCallInfo = 0x4206, 24, 0x420E
kOptions = 1 | 2 | 4 | 8 | 16  # PTRACE_O_TRACESYSGOOD, FORK, VFORK, CLONE, EXEC
kAtEntry = 1
kWall = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def process_of(thread):
    try:
        with open(f"/proc/{thread}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Tgid:"))
    except (OSError, StopIteration):
        return thread


def at_entry(thread):
    info = (ctypes.c_uint8 * 88)()
    return libc.ptrace(kCallInfo, thread, 88, ctypes.addressof(info)) > 0 and info[0] == kAtEntry


class Tracer:
    def __init__(self, seconds, process, step):
        self.seconds, self.process, self.step = seconds, process, step
        self.order, self.counts = [], {}
        self.process_by_thread = {}
        self.killed = None

    def seize(self, thread):
        if libc.ptrace(kSeize, thread, None, kOptions) != 0:
            raise OSError(ctypes.get_errno(), f"seize {thread}")
        self.known(thread)

    def attach(self, pid):
        for thread in os.listdir(f"/proc/{pid}/task"):
            self.seize(int(thread))
            libc.ptrace(0x4207, int(thread), None, None)  # PTRACE_INTERRUPT

    def known(self, thread):
        """The process of a thread, which is numbered when it is first seen."""
        pid = self.process_by_thread.setdefault(thread, process_of(thread))
        if pid not in self.counts:
            self.order.append(pid)
            self.counts[pid] = 0
        return pid

    def entered(self, thread):
        pid = self.known(thread)
        self.counts[pid] += 1
        if self.killed is None and self.order.index(pid) == self.process and self.counts[pid] == self.step:
            os.kill(pid, signal.SIGKILL)
            self.killed = pid

    def stopped(self, thread, status):
        """What to hand to the thread when it goes on."""
        self.known(thread)
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP | 0x80:
            if at_entry(thread):
                self.entered(thread)
            return 0
        return 0 if status >> 16 else number

    def follow(self, main):
        """The wait status of `main`, or None when that was not ours to wait for."""
        result, end = None, None
        while True:
            if result is not None and (self.killed is not None or time.monotonic() > end):
                return result
            try:
                thread, status = os.waitpid(-1, kWall | (os.WNOHANG if result is not None else 0))
            except ChildProcessError:
                return result
            if thread == 0:
                time.sleep(0.002)
            elif os.WIFSTOPPED(status):
                signum = self.stopped(thread, status)
                libc.ptrace(kSyscall, thread, None, signum)
            elif thread == main:
                result, end = status, time.monotonic() + self.seconds
            else:
                self.process_by_thread.pop(thread, None)


def start(command):
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(pid, os.WUNTRACED)
    return pid


def main(out, seconds, process, step, *command):
    tracer = Tracer(float(seconds), int(process), int(step))
    while command[0] == "--attach":
        tracer.attach(int(command[1]))
        command = command[2:]
    pid = start(command)
    tracer.seize(pid)
    os.kill(pid, signal.SIGCONT)
    status = tracer.follow(pid)
    with open(out, "w", encoding="ascii") as file:
        json.dump({"counts": [tracer.counts[pid] for pid in tracer.order], "killed": tracer.killed}, file)
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
