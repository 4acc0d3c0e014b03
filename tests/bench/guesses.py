#!/usr/bin/python3
"""Whether time tells who there is: wrong passwords for users of a file, and for names that it does not have.

Both are drawn alike and take turns at random, each name once in a repetition. Of each kind of hash there is an
endpoint, and one with all of them. What is measured is the time from the request to its answer, 401. The test is that
of Mann and Whitney: it compares ranks, so that a few answers that came late for the machine's sake count for little.
It fails where known and unknown names are told apart with p < 0.001 in each repetition. That it would notice is
shown by a row of its own, of two groups of users of which one has hashes that take a tenth more.
"""

import argparse
import base64
import contextlib
import ctypes
import gc
import math
import os
import random
import socket
import statistics
import sys
import tempfile
import time

import servers

SALT = "012345678901234567890e"
# of the cheapest, so that what is around a check is as much of the whole as it can be
SETTINGS = {"yescrypt": "$y$j75$salt", "SHA-512": "$6$rounds=1000$salt",
            "SHA-256": "$5$rounds=1000$salt", "bcrypt": f"$2b$04${SALT}"}
MORE = "$6$rounds=1100$salt"
# of as many costs as a file has with names for all that are to be drawn from
COSTS = [f"$5$rounds={1000 + i}$salt" for i in range(32)]
ALL, MANY, CONTROL = "all of these", "32 costs", "a tenth more"
REQUEST = ("GET /{} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
           "Authorization: Basic {}\r\n\r\n")
TOLD = 0.001

library = ctypes.CDLL("libcrypt.so.1")
library.crypt.restype = ctypes.c_char_p


def crypted(setting):
    return library.crypt(b"nobody guesses this", setting.encode()).decode()


def names(count):
    """Of one length, whoever has them."""
    return [f"u{n:07x}" for n in random.sample(range(16 ** 7), count)]


class Kind:
    """An endpoint, those in its file, and two groups of whom answers are compared."""

    def __init__(self, what, path, settings, each, control=False):
        self.what, self.path, self.control = what, path, control
        drawn = names(2 * each)
        known, others = drawn[:each], drawn[each:]
        hashes = [crypted(s) for s in settings]
        if control:
            self.lines = [f"{n}:{hashes[0]}" for n in known] + [f"{n}:{hashes[1]}" for n in others]
        else:
            self.lines = [f"{n}:{hashes[i % len(hashes)]}" for i, n in enumerate(known)]
        random.shuffle(self.lines)
        self.groups = known, others


def kinds(each):
    made = [Kind(what, f"k{i}", [s], each) for i, (what, s) in enumerate(SETTINGS.items())]
    made.append(Kind(ALL, "all", list(SETTINGS.values()), each))
    made.append(Kind(MANY, "many", COSTS, each))
    return [*made, Kind(CONTROL, "control", [SETTINGS["SHA-512"], MORE], each, True)]


def configure(directory, port, made):
    for kind in made:
        path = os.path.join(directory, kind.path)
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(kind.lines) + "\n")
        os.chmod(path, 0o600)
    endpoints = [servers.endpoint(f"/{k.path}", "echo", f' access = {{ users = "{k.path}"; }};') for k in made]
    return servers.write_config(directory, port, endpoints)


def guess(port, path, name):
    """Microseconds from a request to its answer."""
    given = base64.b64encode(f"{name}:{random.randrange(10 ** 9):09}".encode()).decode()
    request = REQUEST.format(path, given).encode()
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # the daemon has it by then
        time.sleep(0.0003)
        began = time.perf_counter_ns()
        s.sendall(request)
        got = s.recv(4096)
        took = time.perf_counter_ns() - began
        if not got.startswith(b"HTTP/1.1 401 "):
            raise servers.Failed(got.decode(errors="replace"))
        s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while s.recv(4096):
                pass
    return took / 1000


def measure(port, kind):
    """The times of both groups, in an order that nobody knows."""
    order = [(g, name) for g in (0, 1) for name in kind.groups[g]]
    random.shuffle(order)
    times = [], []
    gc.disable()
    for g, name in order:
        times[g].append(guess(port, kind.path, name))
    gc.enable()
    return times


def ranks(values):
    """Of each value, from 1 on, those that are the same sharing theirs; and what these ties take from the variance."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, ties, i = [0.0] * len(values), 0, 0
    while i < len(order):
        j = i
        while j < len(order) and values[order[j]] == values[order[i]]:
            j += 1
        for k in order[i:j]:
            found[k] = (i + 1 + j) / 2
        ties += (j - i) ** 3 - (j - i)
        i = j
    return found, ties


def told_apart(a, b):
    """How probable it is that two groups of one kind differ as much (Mann and Whitney, two-sided)."""
    n, m = len(a), len(b)
    found, ties = ranks(a + b)
    u = sum(found[:n]) - n * (n + 1) / 2
    variance = n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)))
    z = max(abs(u - n * m / 2) - 0.5, 0) / math.sqrt(variance) if variance else 0
    return math.erfc(z / math.sqrt(2))


def check_itself():
    """By a table of critical values: for 10 and 10 at 0.05, two-sided, U is to be 23 or less."""
    a = list(range(10))
    by_u = {28: [x * 1.01 + 2.5 for x in a], 21: [x * 1.01 + 3.5 for x in a]}
    for u, b in by_u.items():
        assert sum(x > y for x in a for y in b) == u
        assert (told_apart(a, b) < 0.05) == (u <= 23) and math.isclose(told_apart(a, b), told_apart(b, a))
    assert told_apart(a, a) == 1 and told_apart([1] * 9, [1] * 9) == 1


def quarters(times):
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:,.0f} ({low:,.0f}-{high:,.0f})"


def run(port, made, repetitions):
    """True: somebody can be told from nobody, or nothing can be told at all."""
    failed = False
    print("| wrong passwords, us up to the answer: median (half of them) | known | unknown | p, of each repetition | told apart |")
    print("| --- | --: | --: | --: | --- |")
    for kind in made:
        rounds = [measure(port, kind) for _ in range(repetitions)]
        p = [told_apart(*r) for r in rounds]
        told = all(x < TOLD for x in p)
        failed |= told != kind.control
        columns = (quarters([t for r in rounds for t in r[g]]) for g in (0, 1))
        print(f"| {kind.what} | {' | '.join(columns)} | {', '.join(f'{x:.2g}' for x in p)} | {'yes' if told else 'no'} |",
              flush=True)
    return failed


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--guesses", type=int, default=800, help="of each kind, for known names and for others, in a repetition")
    p.add_argument("--repetitions", type=int, default=3)
    p.add_argument("--seed", type=int, default=random.randrange(10 ** 9))
    options = p.parse_args()
    check_itself()
    random.seed(options.seed)
    made = kinds(options.guesses)
    print(f"{options.guesses} guesses for known names and as many for others, {options.repetitions} repetitions, "
          f"--seed {options.seed}, load average {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="ignyx-bench-") as directory:
        port = servers.free_port()
        server = servers.Server("ignyxd", [servers.PROGRAM, "-c", configure(directory, port, made)],
                                env={"NOTIFY_SOCKET": ""}, port=port)
        try:
            failed = run(port, made, options.repetitions)
        finally:
            server.stop()
    if failed:
        print("\nfailed: time tells who there is, or it is not measured finely enough")
    return failed


if __name__ == "__main__":
    sys.exit(main())
