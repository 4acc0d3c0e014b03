#!/usr/bin/python3
"""Attacks on a daemon of its own, beside 200 clients that do nothing wrong.

Each attack runs at least once, in an order that the seed decides, and on until the time is up.
Then no worker may have been killed or replaced, no innocent client may have lost anything, the
log may not have grown faster than its bound, and memory must have come back. How long the
innocent waited is measured and told, and not judged.
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
from harness import WELCOME, Daemon, wait_until  # noqa: E402

# bytes of log that an attack may cause at most: at once, and for each second
LOG_BURST, LOG_RATE = 2 << 20, 512 << 10
# mebibytes that a worker may have in the end, beyond what it had before the first attack
MEMORY = 64
QUIET = 5

ADDRESSES = {"plain": "127.0.0.1", "tls": "127.0.0.2", "proxy": "127.0.0.3"}

COMPRESSION = {"enabled": True}


def settings(pair):
    room = {"behaviour": "room", "prefix": "User: "}
    return {
        "workers": 2, "bus_size": "64M", "bus_lag": "1M", "max_message": "1M", "max_pending": "4M",
        "listen": [{"address": ADDRESSES["plain"], "port": 0},
                   {"address": ADDRESSES["tls"], "port": 0, "tls": {"certificates": [{"certificate": pair.certificate,
                                                       "key": pair.key}]}},
                   {"address": ADDRESSES["proxy"], "port": 0, "proxy_protocol": True,
                    "trusted": ["127.0.0.0/8"]}],
        "endpoints": [
            {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "},
            {"path": "/dribble", "behaviour": "echo", "message_timeout": "1s"},
            {"path": "/notifications", "behaviour": "notify", "message": WELCOME,
             "compression": COMPRESSION},
            {"path": "/safe", "behaviour": "sink"},
            {"path": "/chat", **room},
            {"path": "/takeover", **room, "compression": {
                **COMPRESSION, "level": 6, "server_context_takeover": True}},
            *({"path": f"/chat{i}", **room} for i in range(innocents.ROOMS)),
        ],
    }


def memory(pid):
    """Mebibytes of a worker's own."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss_Anon: +(\d+) kB$", f.read(), re.M).group(1)) / 1024


class Run:
    def __init__(self, d, options):
        self.d, self.options = d, options
        self.workers = d.workers()
        self.places = {name: (a, d.port_of(a)) for name, a in ADDRESSES.items()}
        self.rounds = []  # name, begin, end, bytes of log, the most memory behind it
        self.results = {}  # what was looked at: what is wrong, "" if nothing is

    def judge(self, what, problem):
        self.results[what] = problem
        if problem:
            print(f"FAILED {what}: {problem}", flush=True)

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
        f = attacks.Field(self.places, self.options.seed + len(self.rounds))
        began, log = time.monotonic(), self.size_of_log()
        try:
            function(f)
        except OSError:
            pass  # it was thrown out
        f.leave()
        self.settle()
        took = time.monotonic() - began
        # what it left behind is its own
        time.sleep(0.5)
        log = self.size_of_log() - log
        alive = [p for p in self.workers if os.path.exists(f"/proc/{p}")]
        self.rounds.append((function.__name__, began, time.monotonic(), log,
                            max([memory(p) for p in alive], default=0)))
        most = LOG_BURST + LOG_RATE * took
        wrong = ""
        if self.d.workers() != self.workers:
            wrong = f"workers were {self.workers} and are {self.d.workers()}"
            self.workers = self.d.workers()
        elif log > most:
            wrong = f"{log} bytes of log in {took:.1f} s, {most:.0f} are allowed"
        self.judge(f"{function.__name__}, {len(self.rounds)}", wrong)

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
            self.rounds.append(("(nothing)", began, time.monotonic(), 0, max(before.values())))
            self.attack_all()
            self.look_at_memory(before)
            pipe.send("stop")
            waits, problems = pipe.recv()
        except EOFError:
            waits, problems = [], ["the process of the innocent ended"]
        crowd.join()
        self.judge("innocent clients", "; ".join(problems[:5]) +
                   (f" and {len(problems) - 5} more" if len(problems) > 5 else ""))
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

    def table(self, waits):
        print(f"\n{'attack':20} {'times':>5} {'seconds':>8} {'log, KiB':>9} {'MiB':>6}   "
              f"innocents' wait, ms: {'p50':>7} {'p99':>8} {'max':>8}")
        for name in dict.fromkeys(r[0] for r in self.rounds):
            mine = [r for r in self.rounds if r[0] == name]
            ms = sorted(1000 * w for at, w in waits if any(b <= at < e for _, b, e, *_ in mine))
            figures = (statistics.median(ms), ms[len(ms) * 99 // 100], ms[-1]) if ms else (0, 0, 0)
            print(f"{name:20} {len(mine):5} {sum(r[2] - r[1] for r in mine):8.1f} "
                  f"{max(r[3] for r in mine) / 1024:9.0f} {max(r[4] for r in mine):6.0f}   "
                  f"{'':20} {figures[0]:7.1f} {figures[1]:8.1f} {figures[2]:8.1f}")


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
        failed = sum(map(bool, run.results.values()))
        if failed:
            print("--- the end of its log\n" + d.log()[-4000:])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    passed = len(run.results) - failed
    if os.environ.get("IGNYX_COUNTS"):
        with open(os.environ["IGNYX_COUNTS"], "a", encoding="ascii") as f:
            f.write(f"{passed} {failed} 0\n")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
