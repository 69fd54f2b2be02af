#!/usr/bin/env python3
"""Runs COMMAND where a system call fails, as on an old kernel, on another file system or beneath another tool's filter.

    without_call.py openat2|exchange|noreplace COMMAND...

openat2: with ENOSYS; exchange, noreplace: renameat2(2) with RENAME_EXCHANGE or RENAME_NOREPLACE, with EINVAL.
"""
import ctypes
import errno
import os
import sys

kSetSeccomp, kFilterMode = 22, 2  # prctl(2)
kLoad, kSkipUnlessEqual, kReturn = 0x20, 0x15, 0x06
kNumber, kFifthArgument = 0, 16 + 4 * 8  # in struct seccomp_data
kFail, kAllow = 0x00050000, 0x7FFF0000
kOpenat2, kRenameat2, kRenameNoreplace, kRenameExchange = 437, 316, 1, 2
FILTERS = {"openat2": ([(kNumber, kOpenat2)], errno.ENOSYS),
           "noreplace": ([(kNumber, kRenameat2), (kFifthArgument, kRenameNoreplace)], errno.EINVAL),
           "exchange": ([(kNumber, kRenameat2), (kFifthArgument, kRenameExchange)], errno.EINVAL)}


class Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("if_true", ctypes.c_ubyte), ("if_false", ctypes.c_ubyte), ("value", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.POINTER(Step))]


def forbid(conditions, error):
    """A call fails when all conditions hold, each of which is a place and the value found there."""
    steps = []
    for i, (place, value) in enumerate(conditions):
        to_allow = 2 * (len(conditions) - i) - 1
        steps += [Step(kLoad, 0, 0, place), Step(kSkipUnlessEqual, 0, to_allow, value)]
    steps += [Step(kReturn, 0, 0, kFail | error), Step(kReturn, 0, 0, kAllow)]
    program = Program(len(steps), (Step * len(steps))(*steps))
    if ctypes.CDLL(None).prctl(kSetSeccomp, kFilterMode, ctypes.byref(program), 0, 0) != 0:
        sys.exit("without_call: cannot set the filter")


forbid(*FILTERS[sys.argv[1]])
os.execvp(sys.argv[2], sys.argv[2:])
