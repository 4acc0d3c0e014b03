"""How long the innocent wait: rows "beside".

Beside each attack of tests/hostile, and beside what is large, slow or stopped, one client sends
100 messages a second to an echo on the same worker and another one as many to a room of two that
has nothing else to do. Each wait counts from when the message was due. The daemon is one that was
built with counters (src/session/turn_counters.h): it tells the longest turn of its loop, in time
of the CPU.
"""

import contextlib
import functools
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import servers
from servers import Failed, Load

sys.dont_write_bytecode = True
for folder in ("integration", "hostile"):
    sys.path.insert(0, os.path.join(servers.ROOT, "tests", folder))

import attacks  # noqa: E402
import harness  # noqa: E402
from certificates import Authority  # noqa: E402
from raw import BINARY, frame, request, split_frame  # noqa: E402
from target import ADDRESSES, Turns, settings  # noqa: E402

COUNTED = os.environ.get("IGNYXD_COUNTED", os.path.join(servers.BUILD, "counters", "ignyxd"))
INNOCENTS = {
    "echo": "echo --path /innocent --opcode 2 --connections 1",
    "quiet room": "room --path /quiet --connections 2",
}
OPEN_LOOP = "--rate 100 --inflight 100000 --until-line --arrivals"
CROWD = 10000
BEFORE, BEHIND = 0.3, 0.7  # seconds of innocence before and behind
MIB = 1 << 20
ROWS = []


class Row:
    """make: a generator that prepares, yields, attacks, and may return what is to be noted and
    the waits of clients of its own, or their percentiles with those "without" it. crowd: how many
    clients there are, where that can be less. innocents: other ones than usual; own: it has some
    of its own, and takes their time."""

    def __init__(self, name, title, make, crowd=None, own=False, innocents=None, **settings):
        self.name, self.title, self.make, self.crowd = name, title, make, crowd
        self.innocents = {} if own else innocents or INNOCENTS
        self.settings = settings


def row(name, title, crowd=None, own=False, **settings):
    def add(make):
        ROWS.append(Row(name, title, make, crowd, own, **settings))
        return make
    return add


class Scene:
    """A daemon, and what a row needs to have it attacked."""

    def __init__(self, bench, r, directory, quick):
        self.name, self.cpu, self.crowd = "ignyxd", bench.client_cpu, r.crowd
        if quick and r.crowd:
            self.crowd = r.crowd // 10
        self.quick = quick
        authority = Authority(os.path.join(directory, "authority"))
        wanted = settings(authority.pair("DNS:localhost"))
        wanted.update(workers=1, access_log=False)
        room = {"behaviour": "room"}
        wanted["endpoints"] += [
            {"path": "/innocent", "behaviour": "echo"}, {"path": "/quiet", **room},
            {"path": "/crowd", **room},
            # its members lag by what is in flight, and by as much again: that is not what is looked at
            {"path": "/busy", **room, "max_pending": "16M"},
            {"path": "/greedy", "behaviour": "echo"},
            {"path": "/kept", **room, "history": 1000, "history_ttl": "0"}]
        wanted.update(r.settings)
        harness.PROGRAM = COUNTED
        wrap = []
        if bench.server_cpu is not None:
            wrap = ["taskset", "-c", str(bench.server_cpu)]
        self.d = harness.Daemon(directory, wanted, wrap=wrap).start()
        self.workers = self.d.workers()
        for pid in self.workers:
            servers.go_first(pid)
        self.places = {n: (a, self.d.port_of(a)) for n, a in ADDRESSES.items()}
        self.port = self.places["plain"][1]
        self.loads = []
        self.field = attacks.Field(self.places, 1, self.d)

    def text(self):
        return self.d.log()[-2000:]

    def load(self, arguments, urgent=False):
        self.loads.append(Load(self, arguments.split(), self.cpu, urgent))
        return self.loads[-1]

    @contextlib.contextmanager
    def aside(self):
        """This process, which attacks by itself, does not run where the daemon does."""
        usual = os.sched_getaffinity(0)
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})
        try:
            yield
        finally:
            os.sched_setaffinity(0, usual)

    def end(self, load):
        self.loads.remove(load)
        load.stop()

    def memory(self):
        """MiB of the workers, and of the kernel for all sockets of the machine. What tells more of
        a process keeps it from having more memory so long."""
        own = 0
        for pid in self.d.workers():
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                own += int(re.search(r"^RssAnon:\s+(\d+) kB$", f.read(), re.M).group(1)) / 1024
        with open("/proc/net/sockstat", encoding="ascii") as f:
            pages = int(re.search(r"^TCP:.* mem (\d+)$", f.read(), re.M).group(1))
        return own, pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def stop(self):
        self.field.leave()
        for load in self.loads:
            load.process.kill()
            load.stop()
        if self.d.running():
            self.d.kill(signal.SIGTERM)
            try:
                self.d.process.wait(30)
            except subprocess.TimeoutExpired:
                self.d.process.kill()
        self.d.notify.close()


    def left(self, start):
        """MiB of the workers beyond what they had, up to 15 s later."""
        end = time.monotonic() + 15
        while (more := self.memory()[0] - start) > 10 and time.monotonic() < end:
            time.sleep(0.2)
        return more


class Height(threading.Thread):
    """The most memory while it runs."""

    def __init__(self, scene):
        super().__init__(daemon=True)
        self.scene, self.over, self.most = scene, threading.Event(), (0, 0)

    def run(self):
        while not self.over.wait(0.05):
            with contextlib.suppress(OSError, AttributeError):
                self.most = tuple(map(max, self.most, self.scene.memory()))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


# --- the rows ---

@row("quiet", "nothing")
def quiet(s):
    yield
    time.sleep(1 if s.quick else 4)


def add_attacks():
    for function in attacks.ATTACKS:
        def make(s, function=function):
            yield
            with s.aside(), contextlib.suppress(OSError):
                function(s.field)
            s.field.leave()
        ROWS.append(Row(f"hostile-{function.__name__}", f"hostile: {function.__name__}", make))


add_attacks()


def crowd_told(s, more, seconds):
    load = s.load(f"room --path /crowd --connections {s.crowd} {more} --inflight 100 --until-line")
    yield
    load.begin()
    time.sleep(seconds)
    load.end()
    return None, None


@row("crowd-32", "a room of 10,000, 32 B five times a second", CROWD)
def crowd_32(s):
    return crowd_told(s, "--rate 5", 1 if s.quick else 4)


@row("crowd-16k", "a room of 10,000, 16 KiB once a second", CROWD)
def crowd_16k(s):
    return crowd_told(s, "--rate 1 --size 16384", 1 if s.quick else 4)


@row("takeover", "one text of 1 MB to 600 that have a compressor each, level 6", 600)
def takeover(s):
    load = s.load(f"room --path /takeover --connections {s.crowd} --takeover --json --size 1000000 "
                  "--rate 0.01 --until-line")
    yield
    began = time.monotonic()
    load.begin()
    time.sleep(0.5)
    load.end()
    return f"all have it after {time.monotonic() - began:.1f} s", None


@row("parked", "8 publishers with 100 messages of 3 KB each in flight")
def parked(s):
    load = s.load("room --path /busy --connections 16 --publishers 8 --inflight 100 --size 3000 "
                  f"--seconds {1 if s.quick else 4}")
    yield
    figures = load.start()
    return f"{figures['messages'] * 3000 / 1e6 / figures['seconds']:.0f} MB a second", None


@row("slow", "300 slow members, 11.7 MB published once", 300)
def slow(s):
    f = s.field
    start = s.memory()[0]
    for _ in range(s.crowd):
        f.upgrade("/slow", rcvbuf=4096)
    publisher = f.upgrade("/slow")
    yield
    with s.aside(), Height(s) as height:
        attacks.exchange(publisher, frame(BINARY, bytes(13000)) * 900, 900 * 13000)
        time.sleep(1)
    f.leave()
    return (f"{height.most[0] - start:.0f} MB at the height, kernel {height.most[1]:.0f} MB; "
            f"{s.left(start):.0f} MB after they left"), None


@row("greedy", "1,000 clients that have 8 MB echoed and never read", 1000)
def greedy(s):
    f = s.field
    start = s.memory()[0]
    crowd = [f.upgrade("/greedy", rcvbuf=4096) for _ in range(s.crowd)]
    # what they have not sent is theirs, and is not to be taken for the server's
    for c in crowd:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    body = frame(BINARY, bytes(MIB))
    yield
    with s.aside(), Height(s) as height:
        for c in crowd:
            c.setblocking(False)
        left = {c: len(body) * 8 for c in crowd}
        end = time.monotonic() + (5 if s.quick else 15)
        while left and time.monotonic() < end:
            for c in list(left):
                try:
                    at = -left[c] % len(body)
                    left[c] -= c.send(body[at:])
                    if left[c] == 0:
                        del left[c]
                except BlockingIOError:
                    pass
                except OSError:
                    del left[c]
        time.sleep(0.5)
    f.leave()
    return (f"{height.most[0] - start:.0f} MB at the height, kernel {height.most[1]:.0f} MB; "
            f"{s.left(start):.0f} MB after they left"), None


@row("storm", "10,000 that connect, upgrade and close at once", CROWD)
def storm(s):
    load = s.load(f"churn --path /innocent --connections {s.crowd} --messages {s.crowd}")
    yield
    figures = load.start()
    us = figures["latency_us"]
    return (f"all served after {figures['seconds']:.2f} s, client p99 {us['p99'] / 1e3:.0f} ms"), None


def messages_during(s, prepare):
    """The figures of the innocents while what was prepared lasts, and what it returns."""
    what = prepare()
    loads = {who: s.load(f"{load} {OPEN_LOOP} --buckets", urgent=True)
             for who, load in INNOCENTS.items()}
    for load in loads.values():
        load.begin()
    returned = what()
    figures = {who: load.end() for who, load in loads.items()}
    for load in loads.values():
        s.end(load)
    return figures, returned


def visits_during(s, prepare):
    """How long new clients waited while what was prepared lasted, and what it returned."""
    what = prepare()
    over = threading.Event()
    visitor = UrgentVisitor(s, over)
    visitor.start()
    returned = what()
    over.set()
    visitor.join()
    return visitor.waits, returned


def of_spells(messages, visits):
    """The waits of each of those who wait, over all spells."""
    found = {}
    for who in INNOCENTS:
        waits, there = ([pair for spell in messages for pair in spell[who][name]["buckets"]]
                        for name in ("latency_us", "served_us"))
        found[who] = {**of_buckets(waits), "at the socket": of_buckets(there)["p99"]}
    found["new clients"] = percentiles([w for spell in visits for w in spell])
    return found


def in_spells(spells, *kinds):
    """Calls all of them by turns; returns what each gave, in columns."""
    return zip(*([kind() for kind in kinds] for _ in range(spells)))


@row("flood", "10,000 attempts a second from one address", own=True,
     connection_rate_per_address="50/s")
def flood(s):
    """In spells without it and with it by turns: what the machine does besides comes to both. New
    clients, which are of another address, have spells of their own, for they share a CPU with the
    innocents."""
    spells, seconds = (2, 1) if s.quick else (8, 2)

    def rest():
        return functools.partial(time.sleep, seconds)

    def attack():
        return s.load("flood --path /innocent --connections 1000 --rate 10000 "
                      f"--seconds {seconds}").start

    yield
    kinds = [functools.partial(during, s, prepare) for during in (messages_during, visits_during)
             for prepare in (rest, attack)]
    columns = [list(column) for column in in_spells(spells, *kinds)]
    quiet, beside, calm, visits = ([waits for waits, _ in column] for column in columns)
    answered, refused, took = (sum(figures[name] for column in (columns[1], columns[3])
                                   for _, figures in column)
                               for name in ("deliveries", "refused", "seconds"))
    without = of_spells(quiet, calm)
    note = "; ".join(f"{who} without it: {ms(w['p50'])}, p99 {ms(w['p99'])}"
                     for who, w in without.items())
    return (f"{answered / took:,.0f} a second were answered, {refused / max(1, answered):.1%} of them "
            f"with 429; {note}"), {who: {**w, "without": without[who]}
                                   for who, w in of_spells(beside, visits).items()}


@row("reload", "a reload with 10,000 connections", CROWD)
def reload(s):
    s.load(f"idle --path /innocent --connections {s.crowd}")
    yield
    for i in range(3):
        s.d.change(ping_timeout=f"{20 + i}s")
        s.d.reload()
        time.sleep(0.3)
    return None, None


@row("pings", "pings of 10,000 connections every 2 s", CROWD, ping_interval="2s", ping_timeout="1m")
def pings(s):
    s.load(f"idle --path /innocent --connections {s.crowd}")
    yield
    time.sleep(3 if s.quick else 7)
    return None, None


# --- one of four workers stands still ---

def holder_of(s, sock, pids):
    """Which of the processes holds the other end of a connection."""
    a, b = (f"{socket.htonl(int.from_bytes(socket.inet_aton(x[0]), 'big')):08X}:{x[1]:04X}"
            for x in (sock.getpeername(), sock.getsockname()))
    with open("/proc/net/tcp", encoding="ascii") as f:
        inode = re.search(rf"^ *\d+: {a} {b} (?:\S+ +){{6}}(\d+) ", f.read(), re.M).group(1)
    for pid in pids:
        if f"socket:[{inode}]" in harness.descriptors(pid).values():
            return pid
    raise Failed("nobody holds a connection")


def holders(pids):
    """Of each connection to this machine that one of the processes holds, by the peer's port."""
    inodes = {}
    for pid in pids:
        inodes.update(dict.fromkeys(harness.descriptors(pid).values(), pid))
    with open("/proc/net/tcp", encoding="ascii") as f:
        found = re.findall(r"^ *\d+: \S+ \S+:(\w{4}) (?:\S+ +){6}(\d+) ", f.read(), re.M)
    return {int(port, 16): inodes[f"socket:[{inode}]"] for port, inode in found
            if f"socket:[{inode}]" in inodes}


class Sender(threading.Thread):
    """Says something 100 times a second, and takes the time until it hears it, from when it was
    due."""

    def __init__(self, sock, size, over):
        super().__init__(daemon=True)
        self.sock, self.body, self.over, self.waits = sock, frame(BINARY, bytes(size)), over, []
        sock.settimeout(30)

    def run(self):
        data, start, n = bytearray(), time.monotonic(), 0
        with contextlib.suppress(OSError):
            while not self.over.is_set():
                due = start + n * 0.01
                time.sleep(max(0, due - time.monotonic()))
                self.sock.sendall(self.body)
                while not (found := split_frame(data)):
                    more = self.sock.recv(1 << 20)
                    if not more:
                        return
                    data += more
                del data[:found[2]]
                self.waits.append(time.monotonic() - due)
                n += 1


class Visitor(threading.Thread):
    """Comes anew 20 times a second, whatever became of the visits before."""

    def __init__(self, s, over):
        super().__init__(daemon=True)
        self.s, self.over, self.waits, self.visits = s, over, [], []

    def visit(self, began=None):
        began = began or time.monotonic()
        with contextlib.suppress(OSError):
            c = socket.create_connection(self.s.places["plain"], 30)
            c.sendall(request("/innocent"))
            if c.recv(100).startswith(b"HTTP/1.1 101"):
                self.waits.append(time.monotonic() - began)
            c.close()

    def run(self):
        while not self.over.wait(0.05):
            self.visits.append(threading.Thread(target=self.visit, daemon=True))
            self.visits[-1].start()
        for visit in self.visits:
            visit.join()


class UrgentVisitor(Visitor):
    """One that does not wait for the load that is on its own CPU. It asks 50 times a second, one time
    behind the other, and has waited from when it was due."""

    def run(self):
        if self.s.cpu is not None:
            os.sched_setaffinity(0, {self.s.cpu})
        servers.go_at_once()
        due = time.monotonic()
        while not self.over.is_set():
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))
            self.visit(due)


def until_replaced(s, pid, most):
    end = time.monotonic() + most
    while pid in s.d.workers() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1.5)


@row("stopped", "one of 4 workers stopped", own=True, workers=4)
def stopped(s):
    f, rooms = s.field, {}
    pids = s.workers
    victim = holder_of(s, f.upgrade("/chat1"), pids)
    while len(rooms) < 3:
        path = ("/chat0", "/chat1", "/innocent")[len(rooms)]
        c = f.upgrade(path)
        if holder_of(s, c, pids) == victim:
            f.open.remove(c)
            c.close()
        else:
            rooms[path] = c
    over = threading.Event()
    threads = {"publisher of a room without members there": Sender(rooms["/chat0"], 20000, over),
               "publisher of one of its rooms": Sender(rooms["/chat1"], 20000, over),
               "echo of another worker": Sender(rooms["/innocent"], 32, over),
               "new clients": Visitor(s, over)}
    yield
    for t in threads.values():
        t.start()
    time.sleep(0.5)
    os.kill(victim, signal.SIGSTOP)
    until_replaced(s, victim, 15)
    over.set()
    for t in threads.values():
        t.join(30)
    return None, {who: t.waits for who, t in threads.items()}


@row("killed", "10,000 that come after a worker with 8,000 was killed", CROWD, own=True, workers=2)
def killed(s):
    """Half of those that are there are at it; they do not notice that it is gone, and others come
    in their place, all at once. The innocent is at the other worker."""
    s.load(f"idle --path /innocent --connections {s.crowd * 8 // 5}")
    back = s.load(f"churn --path /innocent --connections {s.crowd} --messages {s.crowd}")
    innocent = s.field.upgrade("/innocent")
    holder = holder_of(s, innocent, s.workers)
    [victim] = [pid for pid in s.workers if pid != holder]
    over = threading.Event()
    sender = Sender(innocent, 32, over)
    yield
    sender.start()
    time.sleep(0.5)
    os.kill(victim, signal.SIGKILL)
    figures = back.start()
    over.set()
    sender.join(30)
    return (f"all are back after {figures['seconds']:.2f} s, client p99 "
            f"{figures['latency_us']['p99'] / 1e3:.0f} ms, {figures['refused']} asked twice"), {"echo of another worker": sender.waits}


@row("recover", "1,000 that come back together and get 1,000 messages each", 1000, innocents={
    "echo": INNOCENTS["echo"], "publisher in that room": "room --path /kept --connections 1"})
def recover(s):
    """They ask for what is behind the position that the first of them had."""
    publisher = s.field.upgrade("/kept")
    first = s.field.connect(wait=5)
    first.sendall(request("/kept"))
    since = re.search(rb"Ignyx-Position: (\S+)", first.recv(4096)).group(1).decode()
    attacks.exchange(publisher, frame(BINARY, bytes(100)) * 1000, 1000 * 102)
    s.field.leave()
    back = s.load(f"churn --path /kept?since={since} --connections {s.crowd} --messages {s.crowd}")
    yield
    return f"all have it after {back.start()['seconds']:.2f} s", None


@row("stop", "a stop with 10,000 connections", CROWD)
def stop(s):
    s.load(f"idle --path /innocent --connections {s.crowd}")
    yield
    began = time.monotonic()
    s.d.kill(signal.SIGTERM)
    s.d.process.wait(60)
    return f"it took {time.monotonic() - began:.2f} s", {}


# --- measuring ---

def percentiles(waits):
    ms = sorted(1000 * w for w in waits)
    if not ms:
        return None
    return {"p50": statistics.median(ms), "p99": ms[len(ms) * 99 // 100], "max": ms[-1]}


def of_buckets(pairs):
    """Milliseconds, of pairs of a latency in us and how many had it."""
    each = sorted(pairs)
    number, shares, seen = sum(n for _, n in each), {"p50": 0.5, "p99": 0.99}, 0
    found = {"max": each[-1][0] / 1000}
    for us, n in each:
        seen += n
        for name, share in shares.items():
            if seen >= share * number:
                found.setdefault(name, us / 1000)
    return found


def of_load(load):
    """Milliseconds; at the socket: without what the process that measures waits for its CPU."""
    figures = load.end()
    waits = {name: figures["latency_us"][name] / 1000 for name in ("p50", "p99", "max")}
    return {**waits, "at the socket": figures["served_us"]["p99"] / 1000}


def longest_turn(log):
    """Milliseconds, what its parts took, and how many were over 5 ms; None: nothing is told."""
    t = Turns(log)
    return {"ms": t.longest / 1000, "parts_us": t.parts, "over": t.long} if t.count else None


def measure(bench, r, quick):
    with tempfile.TemporaryDirectory(prefix="ignyxd-") as directory:
        s = Scene(bench, r, directory, quick)
        try:
            return attack(s, r)
        finally:
            s.stop()


def waits_of(innocents):
    found = {}
    for who, load in innocents.items():
        try:
            found[who] = of_load(load)
        except Failed:
            found[who] = None
    return found


def attack(s, r):
    result = {"name": r.name, "title": r.title, "note": None}
    if s.crowd != r.crowd:
        result["title"] += f" (here {s.crowd} clients)"
    going = r.make(s)
    next(going)
    innocents = {who: s.load(f"{what} {OPEN_LOOP}", urgent=True)
                 for who, what in r.innocents.items()}
    # what the preparation did is not to be seen
    time.sleep(1.2)
    mark = s.d.log_size()
    for load in innocents.values():
        load.begin()
    time.sleep(BEFORE)
    own = None
    try:
        next(going)
    except StopIteration as e:
        result["note"], own = e.value or (None, None)
    except Failed:
        result["note"] = "the load was cut off"
    time.sleep(BEHIND)
    result["waits"] = {}
    if own is None or own:
        result["waits"].update(waits_of(innocents))
    for who, w in (own or {}).items():
        result["waits"][who] = w if isinstance(w, dict) else percentiles(w)
    # the next line tells of the last turns
    time.sleep(1.2)
    log = s.d.log(mark)
    result["turn"] = longest_turn(log)
    if died := re.findall(r"worker-(?:died|stuck)", log):
        result["died"] = len(died)
    return result


def run(bench, quick, names, results):
    harness.DEADLINE = 60
    for r in ROWS:
        if names and r.name not in names:
            continue
        print(f"beside {r.name} ...", file=sys.stderr)
        try:
            results.append(measure(bench, r, quick))
        except (Failed, OSError, AssertionError, RuntimeError) as e:
            bench.failures[r.name] = {"ignyxd": str(e)}
            results.append({"name": r.name, "title": r.title, "failed": str(e)})


# --- telling ---

def ms(value):
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def ratio(waits, base, who, what):
    """By those without the attack: the row's own, or those of the row without any."""
    here, quiet = (waits or {}).get(what), (waits or {}).get("without", base.get(who, {})).get(what)
    return f"{here / quiet:.1f} x" if here and quiet else "-"


def lines_of(r, base):
    turn = r.get("turn")
    longest = ms(turn["ms"]) if turn else "-"
    died = "a worker was killed" if r.get("died") else None
    note = "; ".join(x for x in (died, r.get("note")) if x) or "-"
    for who, w in (r.get("waits") or {"-": None}).items():
        figures = [ms(w[x]) for x in ("p50", "p99", "max")] if w else ["-"] * 3
        there = ms(w["at the socket"]) if w and "at the socket" in w else "-"
        yield [r["title"], who, *figures, ratio(w, base, who, "p99"), there,
               ratio(w, base, who, "at the socket"), longest, note]


def table(results):
    base = {}
    for r in results:
        if r["name"] == "quiet" and "waits" in r:
            base = {who: w for who, w in r["waits"].items() if w}
    lines = [["beside", "who waits, ms", "p50", "p99", "max", "by the quiet one's",
              "p99 at the socket", "by the quiet one's", "longest turn, ms of CPU", "what else"],
             ["---", "---", *["--:"] * 7, "---"]]
    for r in results:
        lines += [[r["title"], "failed", *["-"] * 8]] if "failed" in r else lines_of(r, base)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
