"""strange.py WHAT... -- PROGRAM ARG...: becomes the program, begun as few would begin it.

WHAT: closed=FD, blocked=SIGNAL, ignored=SIGNAL (names as in the module signal, or all).
"""

import os
import signal
import sys

ALL = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def signals(name):
    return ALL if name == "all" else {getattr(signal, name)}


def begin(what):
    how, _, name = what.partition("=")
    if how == "closed":
        os.close(int(name))
    elif how == "blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, signals(name))
    else:
        assert how == "ignored", what
        for sig in signals(name):
            signal.signal(sig, signal.SIG_IGN)


if __name__ == "__main__":
    end = sys.argv.index("--")
    # what Python itself ignores, a program that it starts would ignore too
    for changed in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(changed, signal.SIG_DFL)
    for word in sys.argv[1:end]:
        begin(word)
    os.execv(sys.argv[end + 1], sys.argv[end + 1:])
