#!/usr/bin/python3
"""Instructions that a message costs the daemon, counted by callgrind: repeatable where time
is not.

The daemon runs under valgrind with one worker, twice for each scenario, with so many messages
and with more; the difference of what the worker did is the price of the messages alone. Each
scenario is such that every message has a loop turn of its own (or a batch has), whatever the
machine does meanwhile. Fails when one costs more than the committed figure and the limit.
"""

import argparse
import collections
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import servers
from servers import Failed, Load

BASELINE = os.path.join(servers.HERE, "instructions.json")
LIMIT = 0.03

COST = re.compile(r"[+*\d-]")

# name, load, few messages, many, and how many deliveries one message is
SCENARIOS = [
    ("echo, 32 B", "echo --connections 1", 1000, 6000, 1),
    ("echo, 32 B, 16 in flight", "echo --connections 1 --inflight 16", 3200, 32000, 1),
    ("echo, 16 KiB", "echo --connections 1 --size 16384", 500, 3000, 1),
    ("room of 50, one publisher, per delivery", "room --path /room --connections 50", 50, 300, 50),
    ("the same, the last 100 messages kept", "room --path /room-kept --connections 50", 50, 300, 50),
    ("the same, in the format json", "room --path /room-json --connections 50 --greetings 1", 50, 300,
     50),
    ("connect, upgrade, close", "churn --connections 1 --path /echo", 100, 600, 1),
    ("ping and pong", "echo --connections 1 --opcode 9", 1000, 6000, 1),
    ("TLS echo, 32 B", "echo --connections 1 --tls", 500, 3000, 1),
    ("TLS room of 50, one publisher, per delivery", "room --path /room --connections 50 --tls",
     50, 300, 50),
]


def functions(file):
    """What callgrind wrote about a process: instructions of each function itself."""
    names, costs, name, called = {}, collections.Counter(), None, False
    with open(file, encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("fn="):
                number, _, text = line[3:].strip().partition(" ")
                name = names.setdefault(number, text)
            elif line.startswith("cfn="):
                number, _, text = line[4:].strip().partition(" ")
                names.setdefault(number, text)
            elif line.startswith("calls="):
                called = True
            elif name and COST.match(line):
                # the line behind "calls=" is what the callee took
                if not called:
                    costs[name] += int(line.split()[1])
                called = False
    if not costs:
        raise Failed(f"callgrind left nothing in {file}")
    return costs


def worker_of(server):
    pids = [p for p in server.pids() if p != server.process.pid]
    if len(pids) != 1:
        raise Failed(f"one worker was expected, not {len(pids)}:\n{server.text()}")
    return pids[0]


def count(load, messages):
    """Instructions of the worker from its start to its end, by function."""
    with tempfile.TemporaryDirectory(prefix="ignyx-bench-") as directory:
        wrap = ["valgrind", "--quiet", "--tool=callgrind", "--trace-children=yes",
                f"--callgrind-out-file={directory}/out.%p"]
        pair = servers.certificate(directory) if "--tls" in load else None
        server = servers.ignyxd(wrap=wrap, tls=pair)
        try:
            running = Load(server, [*load.split(), "--messages", str(messages)])
            worker = worker_of(server)
            if running.start()["messages"] != messages:
                raise Failed("the load sent another number of messages")
            running.stop()
        finally:
            server.stop()
        return functions(os.path.join(directory, f"out.{worker}"))


def measure(load, few, many, deliveries):
    """Instructions for each message or delivery, by function."""
    costs = count(load, many)
    costs.subtract(count(load, few))
    return {name: n / ((many - few) * deliveries) for name, n in costs.items()}


def measure_fairly(scenario, base):
    """The same; once more if it is over the limit, for how the steps of a handshake fall into
    turns of the loop is up to the machine and moves it by 2 or 3 %."""
    costs = measure(*scenario)
    if base is not None and sum(costs.values()) > base * (1 + LIMIT):
        costs = min(costs, measure(*scenario), key=lambda c: sum(c.values()))
    return costs


def print_functions(costs):
    for name, n in sorted(costs.items(), key=lambda item: -item[1]):
        if n >= 0.5:
            print(f"  {n:10.1f}  {name}")


def kind_of_machine():
    """Which of the daemon's vector code runs under valgrind, which knows no AVX-512."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        avx2 = re.search(r"\bavx2\b", f.read())
    return platform.machine() + (" avx2" if avx2 else "")


def compare(name, now, base):
    """True if it is not worse than the limit allows."""
    if base is None:
        print(f"{name}: {now:.1f}, and there is no figure to compare it with")
        return False
    change = now / base - 1
    word = "ok"
    if change > LIMIT:
        word = f"FAILED: more than {LIMIT:.0%} worse"
    elif change < -LIMIT:
        word = "better: keep it with --update"
    print(f"{name}: {now:.1f} instructions, was {base:.1f} ({change:+.1%}) {word}", flush=True)
    return change <= LIMIT


def read_options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--update", action="store_true", help="write the figures that are compared to")
    p.add_argument("--only", metavar="TEXT", default="", help="scenarios with that in their name")
    p.add_argument("--functions", action="store_true", help="also by function")
    return p.parse_args()


def main():
    options = read_options()
    if not shutil.which("valgrind"):
        print("there is no valgrind", file=sys.stderr)
        return 1
    with open(BASELINE, encoding="utf-8") as f:
        baseline = json.load(f)
    kind = kind_of_machine()
    figures = baseline.get(kind, {})
    if not figures and not options.update:
        print(f"no figures of {kind} to compare with; --update makes them")
        return 0
    good = True
    wanted = [s for s in SCENARIOS if options.only in s[0]]
    if not wanted:
        print("no such scenario", file=sys.stderr)
        return 2
    for name, *scenario in wanted:
        costs = measure_fairly(scenario, None if options.update else figures.get(name))
        now = sum(costs.values())
        if options.update:
            figures[name] = round(now, 1)
            print(f"{name}: {now:.1f} instructions", flush=True)
        else:
            good &= compare(name, now, figures.get(name))
        if options.functions:
            print_functions(costs)
    if options.update:
        with open(BASELINE, "w", encoding="utf-8") as f:
            json.dump({**baseline, kind: figures}, f, indent=1)
            f.write("\n")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, subprocess.SubprocessError) as e:
        print(e, file=sys.stderr)
        sys.exit(1)
