"""A CPU for what is measured alone: all else goes elsewhere for as long as the benchmark runs.

What the machine does for itself takes a CPU for some milliseconds at a time, kernel threads among
it, and a server that is ready waits so long. It may be kept away by root alone; what is bound to
one CPU stays.
"""

import contextlib
import glob
import os


def threads():
    """The ids of all threads of the machine."""
    return [int(path.rsplit("/", 1)[1]) for path in glob.glob("/proc/[0-9]*/task/[0-9]*")]


def cpus_of(thread):
    try:
        return os.sched_getaffinity(thread)
    except ProcessLookupError:
        return set()


def move(thread, cpus):
    """Whether it may run there alone from now on; it may be gone, or of those that are bound."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(thread, cpus)
        return True
    return False


@contextlib.contextmanager
def shield(cpu):
    """Keeps others from that CPU. What they begin meanwhile stays where they are; all of it may run
    where it might before when this ends, and who was bound to other CPUs stays so."""
    before = {thread: cpus_of(thread) for thread in threads()}
    moved = {thread: cpus for thread, cpus in before.items()
             if {cpu} < cpus and move(thread, cpus - {cpu})}
    everywhere = set().union(*moved.values())
    try:
        yield len(moved)
    finally:
        for thread in threads():
            usual = moved.get(thread) if thread in before else everywhere
            if usual and cpus_of(thread) == usual - {cpu}:
                move(thread, usual)
