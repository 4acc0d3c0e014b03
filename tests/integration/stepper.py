"""A process that is stepped through instruction by instruction, until it holds the lock of the bus.

The lock is the first word of the bus: the thread id of its owner, and flags.
"""

import ctypes
import os
import struct

PTRACE_SINGLESTEP, PTRACE_ATTACH, PTRACE_DETACH = 9, 16, 17
TID_MASK = 0x3fffffff
MOST = 400_000


class Traced:
    """In its with block the process stands still but for the steps that it is told to make."""

    def __init__(self, pid):
        self.pid = pid
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.leave_stopped = False

    def call(self, request, signal=0):
        if self.ptrace(request, self.pid, None, signal) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self.call(PTRACE_ATTACH)
        os.waitpid(self.pid, 0)
        return self

    def __exit__(self, *_):
        self.call(PTRACE_DETACH, 19 if self.leave_stopped else 0)

    def step(self):
        self.call(PTRACE_SINGLESTEP)
        os.waitpid(self.pid, 0)

    def holds(self, bus):
        [word] = struct.unpack("=I", os.pread(bus.fileno(), 4, 0))
        return word & TID_MASK == self.pid

    def step_while(self, condition):
        for n in range(MOST):
            if not condition():
                return n
            self.step()
        raise AssertionError(f"{MOST} steps were not enough")

    def count_while_held(self, bus):
        """Goes on until it had the lock and gave it back; returns for how many instructions."""
        self.step_while(lambda: not self.holds(bus))
        return self.step_while(lambda: self.holds(bus))

    def stop_when_held(self, bus, more):
        """Goes on until it has the lock, and so many instructions more: there it is left."""
        self.step_while(lambda: not self.holds(bus))
        for _ in range(more):
            self.step()
        assert self.holds(bus)
        self.leave_stopped = True
