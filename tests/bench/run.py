#!/usr/bin/python3
"""The benchmark: what a message costs ignyxd, the floor and peers, side by side.

The server runs on one CPU, the load on another. The servers of a scenario take turns over
many short rounds; a server's figure is the median over the rounds, and its ratio to the floor
is the median of the ratios within each round, so that what slows the whole machine for a
while counts little. A round is a load of its own, with new connections, so that one that falls
into a rhythm of its own (rooms in which all publish do) is one of many. What is measured is
CPU time of all of the server's processes.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import statistics
import sys
import tempfile

import beside
from shield import shield
import servers
from servers import Failed, Load, Missing

ECHO_PEERS = ("uwebsockets", "libwebsockets", "python-websockets", "node-ws")
ROOM_PEERS = ("uwebsockets", "nchan", "python-websockets", "node-ws")
MANY_ROOMS_PEERS = COMPRESSING_PEERS = ("python-websockets", "node-ws")
PEER_ROUNDS = 6  # every sixth round is enough for them
IDLE_FIRST, IDLE_MORE, IDLE_TLS = 4000, 10000, 2000


class Scenario:
    """One row of the table. per: what the time is divided by. target: the most that is wanted,
    as a ratio to the floor, for rows of kind "idle" in KiB."""

    def __init__(self, name, title, load, per="messages", floor="echo", target=None, peers=(),
                 tls=False, workers=(1,), rooms=0, greetings=0):
        self.name, self.title, self.load, self.per = name, title, load.split(), per
        self.floor, self.target, self.peers = floor, target, peers
        self.tls, self.workers, self.rooms, self.greetings = tls, workers, rooms, greetings

    def load_of(self, name):
        """The arguments of the load on a server: ignyxd alone greets who comes."""
        greets = self.greetings and name.startswith("ignyxd")
        return [*self.load, "--greetings", str(self.greetings)] if greets else self.load


def echo(name, title, load, **kw):
    return Scenario(name, title, f"echo {load}", **kw)


def room(name, title, load, **kw):
    kw.setdefault("floor", "room")
    return Scenario(name, title, f"room --path /room {load}", per="deliveries", **kw)


# to reach: a plain room here takes 0.94, and what is kept or in an envelope at most 15 % more
KEEPING = 1.08


def kept(name, title, path, **kw):
    return Scenario(name, title, f"room --path {path} --connections 500", per="deliveries",
                    floor="room", target=KEEPING, **kw)


SCENARIOS = [
    echo("echo", "echo, 64 connections, 32 B, 1 in flight", "--connections 64",
         target=1.05, peers=ECHO_PEERS),
    echo("echo-16", "the same, 16 in flight", "--connections 64 --inflight 16",
         target=1.10, peers=ECHO_PEERS),
    echo("echo-16k", "echo, 16 connections, 16 KiB text", "--connections 16 --size 16384",
         target=1.10, peers=ECHO_PEERS),
    echo("echo-1m", "echo, 8 connections, 1 MiB text", "--connections 8 --size 1048576",
         target=1.10, peers=ECHO_PEERS),
    echo("echo-rate", "echo, 64 connections, 32 B, 10,000 a second in all",
         "--connections 64 --inflight 64 --rate 10000", peers=ECHO_PEERS),
    room("room", "room, 500 members, one publisher, per delivery", "--connections 500",
         target=1.03, peers=ROOM_PEERS),
    kept("room-history", "the same, the last 100 messages kept", "/room-kept"),
    kept("room-json", "the same, and all get the format json", "/room-json", greetings=1),
    room("room-all", "room, 100 members all publishing, per delivery",
         "--connections 100 --publishers 0", target=1.25, peers=ROOM_PEERS),
    room("room-all-4", "the same, 4 in flight", "--connections 100 --publishers 0 --inflight 4",
         target=1.25),
    Scenario("rooms", "2,000 endpoints that are rooms of 2, per delivery",
             "room --path /room/%d --connections 4000 --rooms 2000", per="deliveries",
             floor="room", rooms=2000, peers=MANY_ROOMS_PEERS),
    Scenario("churn", "connect, upgrade, close", "churn --connections 64 --path /echo",
             target=1.20, peers=ECHO_PEERS),
    room("workers", "room of 500 over 1 and 2 workers, per delivery", "--connections 500",
         workers=(1, 2)),
    room("workers-all", "room of 100 all publishing over 1 and 2 workers, per delivery",
         "--connections 100 --publishers 0", workers=(1, 2)),
    echo("tls-echo", "TLS echo, 64 connections, 32 B, 1 in flight", "--connections 64 --tls",
         target=1.10, tls=True, peers=ECHO_PEERS),
    echo("tls-echo-16", "the same, 16 in flight", "--connections 64 --inflight 16 --tls",
         target=1.10, tls=True, peers=ECHO_PEERS),
    echo("tls-echo-16k", "TLS echo, 16 connections, 16 KiB text",
         "--connections 16 --size 16384 --tls", target=1.10, tls=True, peers=ECHO_PEERS),
    room("tls-room", "TLS room, 500 members, one publisher, per delivery",
         "--connections 500 --tls", target=1.10, tls=True, peers=ROOM_PEERS),
    echo("deflate-256", "compressed echo, 256 B of JSON",
         "--path /echo-compressed --compress --json --size 256", floor=None,
         peers=COMPRESSING_PEERS),
    echo("deflate-4k", "compressed echo, 4 KiB of JSON",
         "--path /echo-compressed --compress --json --size 4096", floor=None,
         peers=COMPRESSING_PEERS),
    Scenario("deflate-room-256", "compressed room of 500, 256 B of JSON, per delivery",
             "room --path /room-compressed --compress --json --size 256 --connections 500",
             per="deliveries", floor=None, peers=COMPRESSING_PEERS),
    Scenario("deflate-room-4k", "compressed room of 500, 4 KiB of JSON, per delivery",
             "room --path /room-compressed --compress --json --size 4096 --connections 500",
             per="deliveries", floor=None, peers=COMPRESSING_PEERS),
    echo("scale-10", "echo, 32 B, 10 connections", "--connections 10"),
    echo("scale-100", "echo, 32 B, 100 connections", "--connections 100"),
    echo("scale-1000", "echo, 32 B, 1,000 connections", "--connections 1000"),
    echo("scale-10000", "echo, 32 B, 10,000 connections", "--connections 10000", target=1.10),
    Scenario("idle", f"idle plain connection of {IDLE_MORE}, KiB of PSS", "idle", per="idle",
             target=0.375),
    Scenario("tls-idle", f"idle TLS connection of {IDLE_TLS}, KiB of PSS", "idle --tls",
             per="idle", target=16.5, tls=True),
]


def stop_all(running):
    for server in running.values():
        server.stop()


class Bench:
    """What one run of the benchmark shares."""

    def __init__(self, options, directory):
        self.options = options
        cpus = sorted(os.sched_getaffinity(0))
        self.server_cpu, self.client_cpu = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
        if self.server_cpu is None:
            print("there is one CPU: the load runs on that of the server", file=sys.stderr)
        self.missing = {}
        self.failures = {}  # of servers, by the name of a scenario
        self.pair = servers.certificate(directory)

    def starters(self, s):
        """The servers of a scenario, by name, as functions that start them."""
        cpu, pair = self.server_cpu, self.pair if s.tls else None
        found = {}
        if s.floor:
            found["floor"] = lambda: servers.floor(s.floor, cpu, pair)
        for n in s.workers:
            name = "ignyxd" if len(s.workers) == 1 else f"ignyxd, {n} worker{'s' * (n > 1)}"
            found[name] = lambda n=n: servers.ignyxd(cpu, n, pair, s.rooms)
        for name in s.peers:
            if self.options.peers and name not in self.missing:
                found[name] = lambda name=name: servers.peer(name, cpu, pair)
        return found

    def failed(self, s, name, why):
        """What fails is told and left out of its row; all else is measured."""
        print(f"FAILED: {s.name}, {name}: {why}", file=sys.stderr)
        self.failures.setdefault(s.name, {})[name] = str(why)

    def start(self, s, name, start):
        """A server, or None if it cannot be had."""
        try:
            return start()
        except Missing as e:
            self.missing[name] = str(e)
            print(f"left out: {e}", file=sys.stderr)
        except Failed as e:
            self.failed(s, name, e)
        return None

    def start_all(self, s, running):
        for name, start in self.starters(s).items():
            server = self.start(s, name, start)
            if server is not None:
                running[name] = server

    def measure(self, s, name, server):
        """Microseconds of CPU for each of what is counted, and the figures of the load."""
        load = Load(server, [*s.load_of(name), "--seconds", str(self.options.seconds)], self.client_cpu)
        try:
            pids = server.pids()
            before = servers.cpu_of_all(pids)
            figures = load.start()
            used = servers.cpu_of_all(pids) - before
        except OSError as e:
            raise Failed(f"it ended while it was measured: {e}\n{server.text()}") from e
        finally:
            load.stop()
        if figures[s.per] == 0:
            raise Failed("nothing was answered")
        return {"us": used * 1e6 / figures[s.per], **figures}

    def measure_round(self, s, i, running, rounds):
        """Each server once, in an order that turns; one that fails is out of the rest."""
        names = list(running)
        for j in range(len(names)):
            name = names[(i + j) % len(names)]
            if name in s.peers and i % PEER_ROUNDS > 0:
                continue
            try:
                figures = self.measure(s, name, running[name])
                rounds.setdefault(name, []).append({"round": i, **figures})
            except Failed as e:
                self.failed(s, name, e)
                running.pop(name).stop()
                rounds.pop(name, None)

    def measure_rounds(self, s):
        """A list of rounds for each server."""
        running, rounds = {}, {}
        try:
            self.start_all(s, running)
            for i in range(self.options.rounds):
                self.measure_round(s, i, running, rounds)
        finally:
            stop_all(running)
        return rounds

    def weigh(self, s, server, more):
        """KiB for each connection: what more of them add to those that are there."""
        loads, pss = [], []
        try:
            for n in (IDLE_FIRST, more):
                loads.append(Load(server, [*s.load, "--connections", str(n)], self.client_cpu))
                pss.append(server.pss())
        except OSError as e:
            raise Failed(f"it ended while it was measured: {e}\n{server.text()}") from e
        finally:
            for load in loads:
                load.stop()
        return (pss[1] - pss[0]) / more

    def measure_idle(self, s):
        more = min(IDLE_TLS if s.tls else IDLE_MORE, self.options.idle)
        rounds = {}
        for name, start in self.starters(s).items():
            server = self.start(s, name, start)
            if server is None:
                continue
            try:
                rounds[name] = [{"kib": self.weigh(s, server, more), "connections": more}]
            except Failed as e:
                self.failed(s, name, e)
            finally:
                server.stop()
        return rounds


def ratios(measured, floor, unit):
    """How often the floor of the same round, in order."""
    by_round = {f["round"]: f[unit] for f in floor}
    return sorted(r[unit] / by_round[r["round"]] for r in measured)


def summarise(s, rounds, failures):
    """A row: for each server its median, and its ratio to the floor."""
    unit = "kib" if s.per == "idle" else "us"
    row = {"name": s.name, "title": s.title, "unit": unit, "target": s.target, "servers": {},
           "failures": failures}
    for name, measured in rounds.items():
        values = [r[unit] for r in measured]
        entry = {"median": statistics.median(values), "rounds": measured}
        if "floor" in rounds and unit == "us":
            all_ratios = ratios(measured, rounds["floor"], unit)
            quarter = len(all_ratios) // 4
            entry["ratio"] = statistics.median(all_ratios)
            entry["half"] = [all_ratios[quarter], all_ratios[-1 - quarter]]
        if "latency_us" in measured[0]:
            entry["p99_us"] = statistics.median(r["latency_us"]["p99"] for r in measured)
        row["servers"][name] = entry
    return row


def short(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def figure(row, name):
    if name in row["failures"]:
        return "failed"
    return short(row["servers"][name]["median"]) if name in row["servers"] else "-"


def times(row, name):
    ratio = row["servers"].get(name, {}).get("ratio")
    return "-" if ratio is None else f"{ratio:.2f} x"


def spread(row, name):
    """Between which ratios the middle half of the rounds lies."""
    half = row["servers"].get(name, {}).get("half")
    return "-" if half is None else f"{half[0]:.2f}-{half[1]:.2f}"


def slowest(row, name):
    """The latency that one message in a hundred exceeds: the floor's and ours."""
    values = [row["servers"].get(n, {}).get("p99_us") for n in ("floor", name)]
    if values == [None, None]:
        return "-"
    return " / ".join("-" if v is None else f"{v:,.0f}" for v in values)


def goal(row):
    if row["target"] is None:
        return "-"
    return f"{row['target']} KiB" if row["unit"] == "kib" else f"{row['target']:.2f} x"


def lines_of(row):
    """Its lines in the table: more than one if the daemon ran in more than one way."""
    names = [*row["servers"], *row["failures"]]
    ours = [name for name in names if name.startswith("ignyxd")]
    others = [name for name in names if name != "floor" and name not in ours]
    peers = [f"{name} {(times if 'ratio' in row['servers'].get(name, {}) else figure)(row, name)}"
             for name in others]
    for name in ours or ["ignyxd"]:
        title = row["title"] if name == "ignyxd" else f"{row['title']}: {name}"
        yield [title, figure(row, "floor"), figure(row, name), times(row, name), spread(row, name),
               goal(row), slowest(row, name), ", ".join(peers) or "-"]


def table(rows):
    head = ["CPU of the server, us, for each message", "floor", "ignyxd", "x floor",
            "half of the rounds", "to reach", "p99 of latency, us, floor / ignyxd", "others"]
    lines = [head, ["---", "--:", "--:", "--:", "--:", "--:", "--:", "---"]]
    for row in rows:
        lines.extend(lines_of(row))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    return {"date": datetime.date.today().isoformat(), "kernel": platform.release(),
            "cpu": cpu_model(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}


def describe(m):
    return (f"{m['date']}, {m['cpus']} CPUs ({m['cpu']}), Linux {m['kernel']}, "
            f"load average {m['load']:.1f}")


def read_options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("scenario", nargs="*", help="which ones; all by default")
    p.add_argument("--rounds", type=int, default=30)
    p.add_argument("--seconds", type=float, default=0.15, help="of each server in each round")
    p.add_argument("--idle", type=int, default=IDLE_MORE, help="how many idle connections")
    p.add_argument("--quick", action="store_true", help="a glance: few short rounds, no peers")
    p.add_argument("--no-peers", dest="peers", action="store_false")
    p.add_argument("--beside", action="store_true", help="how long the innocent wait, alone")
    p.add_argument("--shield", action="store_true",
                   help="keeps all else from the CPU of the server; for root")
    p.add_argument("--list", action="store_true", help="the scenarios")
    p.add_argument("--json", default=os.path.join(servers.BUILD, "bench.json"))
    options = p.parse_args()
    unknown = set(options.scenario) - {s.name for s in [*SCENARIOS, *beside.ROWS]}
    if unknown:
        p.error(f"no such scenario: {', '.join(sorted(unknown))}")
    if options.quick:
        options.rounds, options.peers = 5, False
    return options


def run(bench, rows):
    """Measures and appends a row for each scenario, so that those of an end midway are there."""
    for s in SCENARIOS:
        if bench.options.beside:
            continue
        if bench.options.scenario and s.name not in bench.options.scenario:
            continue
        if s.tls and bench.pair is None:
            print(f"left out: {s.name}: there is no openssl to make a certificate with",
                  file=sys.stderr)
            continue
        print(f"{s.name} ...", file=sys.stderr)
        rounds = bench.measure_idle(s) if s.per == "idle" else bench.measure_rounds(s)
        rows.append(summarise(s, rounds, bench.failures.get(s.name, {})))


def report(options, rows, waits, bench):
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as f:
        json.dump({"machine": machine(), "rows": rows, "beside": waits}, f, indent=1)
    if rows:
        print(table(rows))
    if waits:
        print(f"\n{beside.table(waits)}")
    print(f"\n{describe(machine())}")
    if bench.missing:
        print("\n.ci/deps.sh peers installs the servers that were left out", file=sys.stderr)
    for name, failed in bench.failures.items():
        print(f"FAILED: {name}: {', '.join(failed)}", file=sys.stderr)


def main():
    options = read_options()
    if options.list:
        for s in [*SCENARIOS, *beside.ROWS]:
            print(f"{s.name:18} {s.title}")
        return 0
    # Whoever asks for the end gets it the same way: the servers have to be stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    rows, waits, status = [], [], 0
    with contextlib.ExitStack() as stack:
        bench = Bench(options,
                      stack.enter_context(tempfile.TemporaryDirectory(prefix="ignyx-bench-")))
        try:
            if options.shield and bench.server_cpu is not None:
                moved = stack.enter_context(shield(bench.server_cpu))
                print(f"{moved} threads keep from CPU {bench.server_cpu}", file=sys.stderr)
            run(bench, rows)
            beside.run(bench, options.quick, options.scenario, waits)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            status = 130
    report(options, rows, waits, bench)
    return status or (1 if bench.failures else 0)


if __name__ == "__main__":
    sys.exit(main())
