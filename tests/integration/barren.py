"""barren.py PROGRAM ARG...: becomes the program; no worker of it can come up.

A worker asks the kernel to be ended with its master, which nobody else does. That call fails
here, by a filter of system calls that all its processes inherit.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

PRCTL = {"x86_64": 157, "aarch64": 167, "riscv64": 167, "ppc64le": 171, "s390x": 172}
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, SKIP_UNLESS, RETURN = 0x20, 0x15, 0x06  # of classic BPF: ld abs, jeq, ret
NUMBER, ARGUMENT = 0, 16 + (4 if sys.byteorder == "big" else 0)  # in struct seccomp_data
FAIL, ALLOW = 0x00050000 | errno.EPERM, 0x7fff0000


def forbid(number):
    program = (
        (LOAD, 0, 0, NUMBER),
        (SKIP_UNLESS, 0, 3, number),
        (LOAD, 0, 0, ARGUMENT),
        (SKIP_UNLESS, 0, 1, PR_SET_PDEATHSIG),
        (RETURN, 0, 0, FAIL),
        (RETURN, 0, 0, ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    steps = ctypes.create_string_buffer(code)
    head = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(steps)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                 (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(head), 0, 0)):
        if prctl(*call) != 0:
            sys.exit(f"prctl{call}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    forbid(PRCTL[platform.machine()])
    os.execv(sys.argv[1], sys.argv[1:])
