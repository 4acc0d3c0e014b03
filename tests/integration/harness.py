"""A private ignyxd for one test: its files, its process, its log, its service manager.

A Daemon runs the program that $IGNYXD names in a directory of its own. Its standard error is
a file, which is how a test reads the log; a real datagram socket stands in for systemd. What a
test waits for it waits for with a deadline, and $IGNYX_SLOW stretches every deadline, for
builds with sanitizers and for slow machines.
"""

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import way

SLOW = float(os.environ.get("IGNYX_SLOW", "1"))
DEADLINE = 10 * SLOW

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.abspath(os.environ.get("IGNYXD", os.path.join(ROOT, "build", "ignyxd")))

SANITIZER = re.compile(
    r"ERROR: \w+Sanitizer|runtime error: |WARNING: \w+Sanitizer|SUMMARY: \w+Sanitizer"
)

# what a line of the log begins with, where it does
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

WELCOME = {"type": "info", "message": "Welcome to the real-time era!"}

FIVE = [
    {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "},
    {"path": "/chat", "behaviour": "room", "prefix": "User: "},
    {"path": "/notifications", "behaviour": "notify", "message": WELCOME},
    {"path": "/once", "behaviour": "oneshot", "message": "Goodbye!"},
    {"path": "/safe", "behaviour": "sink"},
]

# for tests of long messages: what the daemon has by default
ROOMY = {"bus_size": "8M", "bus_lag": "1M", "max_message": "1M"}

# the exit statuses of a start that fails: it may succeed later, or not before the file is mended
FAILED, CONFIG = 1, 78

LOCAL = {"address": "127.0.0.1", "port": 0}

RESERVED = []


class Pace:
    """How long it took at the worst from one step, the first of which is the start, to the next."""

    def __init__(self):
        self.last, self.longest = None, 0

    def note(self, seconds):
        self.longest = max(self.longest, seconds)

    def step(self):
        now = time.monotonic()
        self.note(now - (self.last or now))
        self.last = now


def in_time(limit, attempt, tries=5):
    """attempt(pace), which fails if we are not in time; where steps took longer than limit, once more.

    That is the machine's fault and proves nothing. What fails in time fails at once, and what always fails fails.
    """
    for n in range(tries):
        pace = Pace()
        try:
            return attempt(pace)
        except (AssertionError, OSError):
            if pace.last:
                pace.step()
            if pace.longest < limit or n == tries - 1:
                raise


def wait_until(what, check, timeout=DEADLINE):
    """Returns the first true value of check(), or fails saying what did not come."""
    end = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"in {timeout:g} s this did not come: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.03)


def libconfig(value):
    """A Python value as libconfig writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {libconfig(v)};" for k, v in value.items()) + " }"
    return "( " + ", ".join(libconfig(v) for v in value) + " )"


def config_text(settings):
    """A whole file, one setting a line, and one endpoint or listener a line."""
    lines = []
    for key, value in settings.items():
        if key in ("listen", "endpoints"):
            lines.append(f"{key} = (")
            lines.append(",\n".join("\t" + libconfig(group) for group in value))
            lines.append(");")
        else:
            lines.append(f"{key} = {libconfig(value)};")
    return "\n".join(lines) + "\n"


def taken_port():
    """A listening socket of ours, and its port."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(1)
    return s, s.getsockname()[1]


def first_lent_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        return int(f.read().split()[0])


def reserve(port):
    """Whether no other run of tests beside this one has the port: who has holds that of UDP to its end."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.bind(("127.0.0.1", port))
    except OSError:
        s.close()
        return False
    RESERVED.append(s)
    return True


def free_port(address="127.0.0.1", family=socket.AF_INET):
    """None of those that who connects is lent: he would have it by the time that it is used."""
    most = max(first_lent_port(), 12000)
    while True:
        port = random.SystemRandom().randrange(10000, most)
        with socket.socket(family) as s, contextlib.suppress(OSError):
            s.bind((address, port))
            if reserve(port):
                return port


def proc_stat(pid):
    """State, parent and seconds of CPU of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    ticks = int(fields[11]) + int(fields[12])
    return {"state": fields[0], "parent": int(fields[1]),
            "cpu": ticks / os.sysconf("SC_CLK_TCK")}


def title_of(pid):
    """What ps shows of a process; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
            return f.read().rstrip("\0")
    except OSError:
        return ""


def alive(pid):
    stat = proc_stat(pid)
    return stat is not None and stat["state"] not in "ZX"


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return sorted(p for p in map(int, f.read().split()) if alive(p))
    except OSError:  # not every kernel has that file
        return children_by_parent(pid)


def title(pid):
    """What a process calls itself; "" if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
            return f.read().strip("\0")
    except OSError:
        return ""


def children_by_parent(pid):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        stat = proc_stat(name)
        if stat and stat["parent"] == pid and stat["state"] not in "ZX":
            found.append(int(name))
    return sorted(found)


def stand_still(pid):
    """Stops a process and waits until it is."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(f"that {pid} stands still", lambda: proc_stat(pid)["state"] == "T")


def wait_until_asleep(pid):
    """Waits until a worker has nothing to do: then it has dealt with all that it has read."""
    wait_until(f"that {pid} sleeps", lambda: proc_stat(pid)["state"] == "S")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors(pid):
    """What a process has open, by number; what it closes meanwhile is not among it."""
    found = {}
    for n in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[int(n)] = os.readlink(f"/proc/{pid}/fd/{n}")
    return found


def memory(pid):
    """Mebibytes of a process' own."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss_Anon: +(\d+) kB$", f.read(), re.M).group(1)) / 1024


class Notify:
    """The service manager's end of the notify socket: keeps (sender, text) of all that comes."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.messages = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(65536, 256)
            if data == b"end of the test":
                return
            pid = 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = struct.unpack("3i", value)[0]
            self.messages.append((pid, data.decode()))

    def find(self, regex, since=0):
        """The first message since then that the expression matches: its index, else None."""
        for i in range(since, len(self.messages)):
            if re.search(regex, self.messages[i][1], re.M):
                return i
        return None

    def wait(self, regex, since=0, timeout=DEADLINE):
        def found():
            i = self.find(regex, since)
            return None if i is None else (i,)

        i = wait_until(f"a notification {regex!r}; there are {self.messages[since:]}", found,
                       timeout)[0]
        return i, self.messages[i][1]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end of the test", self.path)
        self.thread.join()
        self.socket.close()


class Daemon:
    """One ignyxd. Settings are those of the file over defaults that suit tests."""

    def __init__(self, directory, settings=None, text=None, args=(), env=None, notify=True,
                 wrap=()):
        self.directory = directory
        self.wrap = list(wrap)  # a command that becomes the daemon, such as "setpriv ... --"
        self.file = os.path.join(directory, "ignyxd.conf")
        self.log_file = os.path.join(directory, "log")
        self.args = list(args)
        self.notify = Notify(os.path.join(directory, "notify")) if notify else None
        self.process = None
        self.expected_errors = []
        self.expected_status = 0
        self.seen = set()
        self.env = {k: v for k, v in os.environ.items()
                    if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID",
                                 "RUNTIME_DIRECTORY", "JOURNAL_STREAM", "LISTEN_FDS")}
        if self.notify:
            self.env["NOTIFY_SOCKET"] = self.notify.path
        self.env.update(env or {})
        self.settings = {
            "runtime_dir": directory,
            "workers": 2,
            # little memory, for it is touched at every start
            "bus_size": "1M",
            "bus_lag": "256K",
            "max_rooms": 1024,
            "max_message": "128K",
            "listen": [LOCAL],
            "endpoints": FIVE,
        }
        self.settings.update(settings or {})
        self.proxy = None
        self.write(text)

    # --- its file ---

    def write(self, text=None):
        """Puts a text, or the settings, in the file."""
        text = config_text(self.settings) if text is None else text
        if way.HAPROXY and way.ANY_PORT in text and not self.proxy:
            self.proxy = way.Proxy()
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(way.listeners(text, self.proxy))

    def change(self, **settings):
        self.settings.update(settings)
        self.write()

    def place(self, regex):
        """FILE:LINE, as an expression, of the first line that the other expression matches."""
        with open(self.file, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                if re.search(regex, line):
                    return f"{re.escape(self.file)}:{number}"
        raise AssertionError(f"no line of the file matches {regex!r}")

    # --- its life ---

    def launch(self, stderr=None):
        """Starts the process without waiting for anything; stderr instead of the log file."""
        with open(self.log_file + ".out", "ab") as out, open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrap, PROGRAM, "-c", self.file, *self.args], env=self.env,
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=stderr or log)
        return self

    def refuses(self, *errors):
        """Starts it, which must fail with these errors (expressions); returns the log."""
        for regex in errors:
            self.expect_error(regex)
        status = self.launch().wait()
        file_is_wrong = re.search(r": not started: ", self.log())
        assert status == (CONFIG if file_is_wrong else FAILED), self.log()
        for regex in errors:
            assert re.search(regex, self.log()), f"no {regex!r} in\n{self.log()}"
        return self.log()

    def start(self, **kw):
        """Starts it and waits until it serves."""
        self.launch(**kw)
        if self.notify:
            def ready():
                if self.process.poll() is not None:
                    raise AssertionError(f"ended at start with {self.process.returncode}:\n"
                                         + self.log())
                return self.notify.find(r"^READY=1$") is not None
            wait_until("READY=1", ready)
        else:
            self.log_contains(r"\bready: ")
        self.workers()
        return self

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        """The pids of the workers there are now."""
        return self.titled("ignyxd: worker ")

    def admin(self):
        """The pid of the admin process, once there is one."""
        def find():
            return self.titled("ignyxd: admin")
        return wait_until("the admin process", find)[0]

    def titled(self, begin):
        pids = children(self.pid)
        self.seen.update(pids)
        return [p for p in pids if title(p).startswith(begin)]

    def worker_at(self, slot):
        """The pid of the worker in a slot now; the daemon must log at level debug (-v)."""
        regex = rf"worker {slot} runs with pid (\d+)"
        self.log_contains(regex)
        return int(re.findall(regex, self.log())[-1])

    def wear_out(self, slot):
        """Kills the workers of a slot until one is not replaced at once, which is the sixth."""
        self.expect_error("was ended by signal 9")
        started = len(re.findall(rf"worker {slot} runs with pid", self.log()))
        mark = self.log_size()
        for n in range(6):
            self.log_count(rf"worker {slot} runs with pid", started + n)
            os.kill(self.worker_at(slot), signal.SIGKILL)
        self.log_contains(rf"worker {slot} .*; it keeps dying: ", mark)

    def wait_workers(self, count, but=()):
        """Waits until there are so many workers and none of those in but; returns their pids."""
        def check():
            pids = self.workers()
            return pids if len(pids) == count and not set(but) & set(pids) else None
        return wait_until(f"{count} workers without {list(but)}", check)

    def kill(self, sig):
        self.process.send_signal(sig)

    def wait(self, timeout=DEADLINE):
        """Waits for its end; returns the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end in {timeout:g} s") from None

    def stop(self, sig=signal.SIGTERM):
        self.workers()
        self.kill(sig)
        return self.wait()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def reload(self, expect=True):
        """SIGHUP, then waits for the outcome, which must be as expected."""
        at = len(self.notify.messages)
        mark = self.log_size()
        self.kill(signal.SIGHUP)
        at, _ = self.notify.wait(r"^RELOADING=1$", at)
        self.notify.wait(r"^READY=1$", at + 1)
        refused = re.search(r"reload refused", self.log(mark))
        assert (refused is None) == expect, self.log(mark)
        self.workers()

    # --- its log ---

    def _log_bytes(self, since=0):
        """Whole lines only: a write over the end of a page is seen in two steps."""
        if not os.path.exists(self.log_file):
            return b""
        with open(self.log_file, "rb") as f:
            f.seek(since)
            data = f.read()
        return data[:data.rfind(b"\n") + 1]

    def log_size(self):
        return len(self._log_bytes())

    def log(self, since=0):
        """Its lines without the time that each begins with in a file."""
        return re.sub(rf"(?m)^{TIME} ", "", self.log_with_time(since))

    def log_with_time(self, since=0):
        return self._log_bytes(since).decode("utf-8", "surrogateescape")

    def log_contains(self, regex, since=0, timeout=DEADLINE):
        """Waits for a line of the log that the expression matches; returns the match."""
        try:
            return wait_until(f"a log line {regex!r}",
                              lambda: re.search(regex, self.log(since), re.M), timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}; the log is\n{self.log(since)}") from None

    def log_count(self, regex, count, since=0, timeout=DEADLINE):
        """Waits for so many lines, not fewer, and fails if there are more."""
        def found():
            return len(re.findall(regex, self.log(since), re.M)) >= count
        if count:
            wait_until(f"{count} log lines {regex!r}", found, timeout)
        lines = [x for x in self.log(since).splitlines() if re.search(regex, x)]
        assert len(lines) == count, "\n".join(lines)
        return lines

    def suppressed(self, regex, since=0):
        """How many lines were left out, as the log tells behind "N more suppressed"."""
        return sum(map(int, re.findall(rf"(\d+) more suppressed[^:]*: {regex}", self.log(since))))

    def expect_error(self, regex):
        """An entry of level error that this test causes; any other one fails it."""
        self.expected_errors.append(regex)

    # --- where it listens ---

    def port_of(self, address="127.0.0.1"):
        """The port of the last listener that was opened on the address."""
        if self.proxy and address == "127.0.0.1":
            return self.proxy.port
        regex = rf"listening on {re.escape(address)}:(\d+)"
        self.log_contains(regex)
        return int(re.findall(regex, self.log())[-1])

    @property
    def port(self):
        return self.port_of()

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def url(self, path="/ws"):
        return f"{'wss' if way.TLS else 'ws'}://127.0.0.1:{self.port}{path}"

    def worker_of(self, peer):
        """Which worker serves the client at that port of 127.0.0.1, by the access log."""
        line = self.log_contains(rf"^.*\bopened\b.*127\.0\.0\.1:{peer}\b.*$").group()
        return int(re.search(r"worker (\d+)", line).group(1))

    # --- the end of the test ---

    def check_log(self):
        text = self.log()
        assert not SANITIZER.search(text), text
        for line in text.splitlines():
            if re.match(r"ignyxd(\[[^]]*\])?: (error|err): ", line):
                assert any(re.search(r, line) for r in self.expected_errors), \
                    f"an error that the test does not expect: {line}"

    def finish(self):
        """Ends it if the test has not, and looks for what it left behind."""
        clean = True
        try:
            if self.running():
                self.workers()
                self.kill(signal.SIGTERM)
                assert self.wait() == self.expected_status, self.log()
            clean = False
            wait_until("the end of the workers", lambda: not any(map(alive, self.seen)))
            self.check_log()
        finally:
            if clean or any(map(alive, self.seen)):
                self.destroy()
            if self.proxy:
                self.proxy.end()
            if self.notify:
                self.notify.close()

    def destroy(self):
        for pid in {self.pid, *self.seen} if self.process else ():
            if alive(pid) and (pid == self.pid or self.is_ours(pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.process:
            self.process.wait(DEADLINE)

    def is_ours(self, pid):
        """Whether a pid that was a worker's still is."""
        return title_of(pid).startswith("ignyxd: worker ")


def run_program(*args, env=None, cwd=None, timeout=DEADLINE):
    """Runs ignyxd to its end; returns the completed process, output as text."""
    return subprocess.run([PROGRAM, *args], env=env, cwd=cwd, timeout=timeout, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
