"""A process that is held at one instruction: with the lock of the bus, or at the first of its life.

The lock is the first word of the bus behind its header: the thread id of its owner, and flags.
"""

import ctypes
import os
import signal
import struct

PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_ATTACH, PTRACE_DETACH = 7, 9, 16, 17
PTRACE_GETEVENTMSG, PTRACE_SEIZE = 0x4201, 0x4206
PTRACE_O_TRACEFORK, PTRACE_EVENT_FORK = 2, 1
PTRACE_EVENT_STOP = 128
WALL = 0x40000000
HEADER = 128
TID_MASK = 0x3fffffff
MOST = 400_000


def ptrace(request, pid, data=0):
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if call(request, pid, None, data) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def stopped_child(pid):
    """Lets the process go on until it forks; returns the child, which is stopped."""
    ptrace(PTRACE_SEIZE, pid, PTRACE_O_TRACEFORK)
    while True:
        _, status = os.waitpid(pid, WALL)
        event = status >> 16
        if event == PTRACE_EVENT_FORK:
            break
        ptrace(PTRACE_CONT, pid, 0 if event == PTRACE_EVENT_STOP else os.WSTOPSIG(status))
    child = ctypes.c_ulong()
    ptrace(PTRACE_GETEVENTMSG, pid, ctypes.addressof(child))
    os.waitpid(child.value, WALL)
    os.kill(child.value, signal.SIGSTOP)
    ptrace(PTRACE_DETACH, child.value)
    ptrace(PTRACE_DETACH, pid)
    return child.value


class Traced:
    """In its with block the process stands still but for the steps that it is told to make."""

    def __init__(self, pid):
        self.pid = pid
        self.leave_stopped = False

    def __enter__(self):
        ptrace(PTRACE_ATTACH, self.pid)
        os.waitpid(self.pid, 0)
        return self

    def __exit__(self, *_):
        ptrace(PTRACE_DETACH, self.pid, signal.SIGSTOP if self.leave_stopped else 0)

    def step(self):
        ptrace(PTRACE_SINGLESTEP, self.pid)
        os.waitpid(self.pid, 0)

    def holds(self, bus):
        [word] = struct.unpack("=I", os.pread(bus.fileno(), 4, HEADER))
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
