#!/usr/bin/python3
"""Attacks on a daemon of its own, beside 200 clients that do nothing wrong.

Each attack runs at least once, in an order that the seed decides, and on until the time is up.
Then no worker may have been killed or replaced, no innocent client may have lost anything, the
log may not have grown faster than its bound, and memory must have come back. The daemon counts its
turns: none may be longer than its bound, in time of the CPU and in work, and nobody may have waited
longer than on the slowest machine. How long the wait is on this one is told; tests/bench takes it.
"""

import argparse
import multiprocessing
import os
import random
import re
import resource
import shutil
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "integration")]

import attacks  # noqa: E402
import innocents  # noqa: E402
from certificates import Authority, client  # noqa: E402
from harness import SLOW, Daemon, memory, wait_until  # noqa: E402
from target import ADDRESSES, Turns, settings  # noqa: E402
from verdicts import Verdicts, some  # noqa: E402

# bytes of log that an attack may cause at most: at once, and for each second
LOG_BURST, LOG_RATE = 2 << 20, 512 << 10
# mebibytes that a worker may have in the end, beyond what it had before the first attack
MEMORY = 64
QUIET = 5
# milliseconds that a turn may take: 5 by design, and here for a machine that is slow or not its own;
# that it may charge without a look whether it is over: one piece of work, of which the largest is a
# message of 1 MiB that is kept (TURN_KEEP), with what is charged around it; when it is over, the same;
# and that one of the innocent may wait
BOUNDS = {"took": 60, "unlooked": 5, "behind": 5, "wait": 2000 * SLOW}
# 240 texts of 1 MiB that come together, of all who attack, take their time.
LONGER = {
    "json_at_once": {"wait": 8000 * SLOW},
    "takeover": {"took": 120},
}
# Of those that stand in line at least one has its turn in each turn of the loop, or in every other
# one where a delivery waits for more; so many turns one that waits with n others may wait.
def most_turns(n):
    return 2 * n + 4


def bound(attack, what):
    return LONGER.get(attack, {}).get(what, BOUNDS[what])


class Run(Verdicts):
    def __init__(self, d, options):
        super().__init__()
        self.d, self.options = d, options
        self.workers = d.workers()
        self.places = {name: (a, d.port_of(a)) for name, a in ADDRESSES.items()}
        self.rounds = []  # name, begin, end, bytes of log, the most memory behind it, its turns

    def size_of_log(self):
        return os.path.getsize(self.d.log_file)

    def settle(self):
        """Until both workers, most likely, have got through what was sent."""
        f = attacks.Field(self.places, 0)
        for _ in range(6):
            try:
                attacks.until_closed(f.upgrade("/safe", wait=innocents.LOST), 0.01)
            except OSError:
                pass
        f.leave()

    def attack(self, function):
        f = attacks.Field(self.places, self.options.seed + len(self.rounds), self.d)
        began, log, mark = time.monotonic(), self.size_of_log(), self.d.log_size()
        try:
            function(f)
        except OSError:
            pass  # it was thrown out
        f.leave()
        self.settle()
        took = time.monotonic() - began
        # what it left behind is its own, and so are the turns that are told of once a second
        time.sleep(1.2)
        log = self.size_of_log() - log
        turns = Turns(self.d.log(mark))
        alive = [p for p in self.workers if os.path.exists(f"/proc/{p}")]
        self.rounds.append((function.__name__, began, time.monotonic(), log,
                            max([memory(p) for p in alive], default=0), turns))
        most = LOG_BURST + LOG_RATE * took
        wrong = ""
        if self.d.workers() != self.workers:
            wrong = f"workers were {self.workers} and are {self.d.workers()}"
            self.workers = self.d.workers()
        elif log > most:
            wrong = f"{log} bytes of log in {took:.1f} s, {most:.0f} are allowed"
        else:
            wrong = self.wrong_with(function.__name__, turns)
        self.judge(f"{function.__name__}, {len(self.rounds)}", wrong)

    @staticmethod
    def wrong_with(attack, turns):
        if not turns.count:
            return "nothing is told of turns: this is no build with counters"
        for what, us in (("took", turns.longest), ("unlooked", turns.unlooked),
                         ("behind", turns.behind)):
            if us > 1000 * bound(attack, what):
                return (f"a turn {'took' if what == 'took' else 'charged ' + what} {us} us "
                        f"({turns.parts}), {bound(attack, what)} ms are allowed")
        for name, (waited, of) in turns.lines.items():
            if waited > most_turns(of):
                return f"one of {of} that waited in line ({name}) did so for {waited} turns"
        return ""

    def attack_all(self):
        chance, end = random.Random(self.options.seed), time.monotonic() + self.options.seconds
        names = self.options.attack
        chosen = [a for a in attacks.ATTACKS if not names or a.__name__ in names]
        first = True
        while first or time.monotonic() < end:
            for function in chance.sample(chosen, len(chosen)):
                if not first and time.monotonic() >= end:
                    break
                self.attack(function)
            first = False

    def run(self, authority):
        pipe, theirs = multiprocessing.Pipe()
        crowd = multiprocessing.Process(
            target=innocents.main, args=(theirs, self.options.seed, self.places, client(authority)),
            daemon=True)
        crowd.start()
        theirs.close()
        try:
            print(f"{pipe.recv()} innocent clients; seed {self.options.seed}", flush=True)
            began = time.monotonic()
            time.sleep(QUIET)
            before = {p: memory(p) for p in self.workers}
            self.rounds.append(("(nothing)", began, time.monotonic(), 0, max(before.values()),
                                Turns(self.d.log())))
            self.attack_all()
            self.look_at_memory(before)
            pipe.send("stop")
            waits, problems = pipe.recv()
        except EOFError:
            waits, problems = [], ["the process of the innocent ended"]
        crowd.join()
        self.judge("innocent clients", some(problems))
        for name in dict.fromkeys(r[0] for r in self.rounds):
            longest = max(self.waits_in(name, waits), default=0)
            self.judge(f"{name}, waits", "" if longest <= bound(name, "wait") else
                       f"one of the innocent waited {longest:.0f} ms")
        self.judge("supervision", "; ".join(re.findall(
            r"^.*event=(?:worker-died|worker-stuck|bus-corrupt).*$", self.d.log(), re.M)))
        return waits

    def look_at_memory(self, before):
        def is_back():
            return all(memory(p) < before.get(p, 0) + MEMORY for p in self.d.workers())
        try:
            wait_until("memory", is_back, 60)
            self.judge("memory", "")
        except AssertionError:
            self.judge("memory", ", ".join(f"worker {p} has {memory(p):.0f} MiB, had "
                                           f"{before.get(p, 0):.0f}" for p in self.d.workers()))

    def waits_in(self, name, waits):
        """Milliseconds of all that began then, in order."""
        mine = [r for r in self.rounds if r[0] == name]
        return sorted(1000 * w for at, w in waits if any(b <= at < e for _, b, e, *_ in mine))

    def table(self, waits):
        print(f"\n{'attack':18} {'times':>5} {'seconds':>8} {'log, KiB':>9} {'MiB':>5} "
              f"{'wait, ms: p50':>14} {'p99':>7} {'max':>7} "
              f"{'longest turn, us':>17} {'(its parts)':24} {'work':>7} {'unlooked':>9} {'behind':>7}  "
              "turns in line, of how many")
        for name in dict.fromkeys(r[0] for r in self.rounds):
            mine = [r for r in self.rounds if r[0] == name]
            ms = self.waits_in(name, waits)
            figures = (statistics.median(ms), ms[len(ms) * 99 // 100], ms[-1]) if ms else (0, 0, 0)
            turns = [r[5] for r in mine]
            longest = max(turns, key=lambda t: t.longest)
            work, unlooked, behind = (max(getattr(t, what) for t in turns)
                                      for what in ("work", "unlooked", "behind"))
            print(f"{name:18} {len(mine):5} {sum(r[2] - r[1] for r in mine):8.1f} "
                  f"{max(r[3] for r in mine) / 1024:9.0f} {max(r[4] for r in mine):5.0f} "
                  f"{figures[0]:14.1f} {figures[1]:7.1f} {figures[2]:7.1f} "
                  f"{longest.longest:17} {'(' + longest.parts + ')':24} "
                  f"{work:7} {unlooked:9} {behind:7}  {in_line(turns)}")


def in_line(turns):
    """The most that one waited there in each round, if anybody did."""
    longest = {}
    for t in turns:
        for name, found in t.lines.items():
            longest[name] = max(longest.get(name, (0, 0)), found)
    return ", ".join(f"{name} {n} of {of}" for name, (n, of) in longest.items() if of) or "-"


def read_options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--seconds", type=float, default=120)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    p.add_argument("attack", nargs="*", help="which ones; all by default")
    options = p.parse_args()
    unknown = set(options.attack) - {a.__name__ for a in attacks.ATTACKS}
    if unknown:
        p.error(f"no such attack: {', '.join(sorted(unknown))}")
    return options


def main():
    options = read_options()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    directory = tempfile.mkdtemp(prefix="ignyxd-")
    try:
        authority = Authority(os.path.join(directory, "authority"))
        d = Daemon(directory, settings(authority.pair("DNS:localhost"))).start()
        try:
            run = Run(d, options)
            waits = run.run(authority)
        finally:
            status = d.stop()
        run.judge("the end", "" if status == 0 else f"the daemon exited with {status}")
        run.table(waits)
        if run.failed:
            print("--- the end of its log\n" + d.log()[-4000:])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return run.closing()


if __name__ == "__main__":
    sys.exit(main())
