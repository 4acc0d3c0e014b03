"""The servers that the benchmark measures: how they start, what they used, how they end."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
PROGRAM = os.path.abspath(os.environ.get("IGNYXD", os.path.join(BUILD, "ignyxd")))
LOAD = os.path.join(BUILD, "tests", "bench", "load")
FLOOR = os.path.join(BUILD, "tests", "bench", "floor")

DEADLINE = 60
NOT_INSTALLED = 3  # exit status of a script in peers/


class Missing(Exception):
    """A server that this machine does not have."""


class Failed(Exception):
    """A server or a load that did not do what it is for."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def go_first(pid=0):
    """Lets it run ahead of what else the machine does, where that is allowed. Not as a real-time
    process: one that has much to do would be held up for 50 ms of each second, so that others run."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)


def go_at_once():
    """The same for this thread, which has little to do, and so may be of real time: it does not wait
    for a load that is on its CPU, and what it waits for is the server."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        go_first()


def pinned(cpu, urgent=False):
    """What a child does first, to run on that CPU alone; None: on any. urgent: ahead of all else
    there, where that is allowed; for who has little to do."""
    def run():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        if urgent:
            go_at_once()
    return run


# --- what a process used ---

def stat_of(pid):
    """The fields of /proc/PID/stat behind the name."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        text = f.read()
    return text[text.rindex(")") + 2:].split()


def parent_of(pid):
    try:
        return int(stat_of(pid)[1])
    except OSError:
        return None


def tree(pid):
    """A process and all below it."""
    parents = {int(p): parent_of(p) for p in os.listdir("/proc") if p.isdigit()}
    found = [pid]
    for p in found:
        found.extend(child for child, parent in parents.items() if parent == p)
    return found


def cpu_of(pid):
    """Seconds of CPU of all threads of one process, user and system, to the nanosecond where
    the kernel tells, else to its tick."""
    try:
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total / 1e9
    except FileNotFoundError:
        fields = stat_of(pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_all(pids):
    return sum(map(cpu_of, pids))


def pss_of(pid):
    """KiB of memory, shared pages by their share; without those of files, for how much a
    library weighs depends on who else runs."""
    kib = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                kib += int(line.split()[1])
    return kib


# --- servers ---

class Server:
    """A process that serves on a port of 127.0.0.1. A Ctrl-C is for the benchmark alone, which
    stops it."""

    def __init__(self, name, command, cpu=None, env=None, port=None):
        self.name = name
        self.directory = tempfile.mkdtemp(prefix="ignyx-bench-")
        self.port = port or free_port()
        self.log = os.path.join(self.directory, "log")
        self.process = None
        try:
            self._begin([word.replace("{port}", str(self.port)) for word in command], cpu, env)
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _begin(self, command, cpu, env):
        try:
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                    env={**os.environ, **(env or {})}, preexec_fn=pinned(cpu),
                    start_new_session=True)
        except OSError as e:
            raise Failed(f"{self.name} does not start: {e}") from e

    def _wait(self):
        """Until it accepts connections."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            if self.process.poll() == NOT_INSTALLED:
                raise Missing(self.text().strip())
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended:\n{self.text()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"{self.name} does not listen:\n{self.text()}")

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def pids(self):
        return tree(self.process.pid)

    def pss(self):
        return sum(map(pss_of, self.pids()))

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def floor(mode, cpu=None, tls=None):
    return Server("floor", [FLOOR, mode, "{port}", *(tls or ())], cpu)


def peer(name, cpu=None, tls=None):
    return Server(name, [os.path.join(HERE, "peers", name), "{port}", *(tls or ())], cpu)


CONFIG = """\
workers = {workers};
runtime_dir = "{directory}";
admin = {{ enabled = false; }};
access_log = false;
ping_interval = "0";
listen = ( {{ address = "127.0.0.1"; port = {port};{tls} }} );
endpoints = (
{endpoints}
);
"""


KEPT = ' history = 100; history_ttl = "0"; replay = 0;'


def endpoint(path, behaviour, more=""):
    return f'\t{{ path = "{path}"; behaviour = "{behaviour}";{more} }}'


def write_config(directory, port, endpoints, workers=1, tls=""):
    """Returns the path of the file, in that directory. tls: more of the listener."""
    path = os.path.join(directory, "ignyxd.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(CONFIG.format(workers=workers, directory=directory, port=port, tls=tls,
                              endpoints=",\n".join(endpoints)))
    return path


def measured(directory, port, workers=1, tls=None, rooms=0):
    """The file with all endpoints that loads go to."""
    compressed = " compression = { enabled = true; };"
    endpoints = [
        endpoint("/echo", "echo"),
        endpoint("/room", "room"),
        endpoint("/room-kept", "room", KEPT),
        endpoint("/room-json", "room", KEPT + ' format = "json";'),
        endpoint("/echo-compressed", "echo", compressed),
        endpoint("/room-compressed", "room", compressed),
        *(endpoint(f"/room/{i}", "room") for i in range(rooms)),
    ]
    pair = tls and 'certificate = "{}"; key = "{}";'.format(*tls)
    group = f" tls = {{ certificates = ( {{ {pair} }} ); }};" if tls else ""
    return write_config(directory, port, endpoints, workers, group)


def ignyxd(cpu=None, workers=1, tls=None, rooms=0, wrap=()):
    """The daemon; rooms: how many there are at /room/0 and so on; wrap: a command that runs it."""
    port = free_port()
    directory = tempfile.mkdtemp(prefix="ignyx-bench-")
    file = measured(directory, port, workers, tls, rooms)
    server = None
    try:
        server = Server("ignyxd", [*wrap, PROGRAM, "-c", file], cpu, {"NOTIFY_SOCKET": ""}, port)
        return server
    finally:
        if server is None:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            server.stop_first = server.stop
            server.stop = lambda: (server.stop_first(), shutil.rmtree(directory, True))


def certificate(directory):
    """Makes a self-signed certificate; returns the names of it and of its key, or None."""
    pair = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days", "30",
               "-out", pair[0], "-keyout", pair[1]]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return pair


# --- the load ---

class Load:
    """The load generator, connected and waiting for start(), or for begin() and end()."""

    def __init__(self, server, arguments, cpu=None, urgent=False):
        self.server = server
        self.process = subprocess.Popen(
            [LOAD, *arguments, "--port", str(server.port), "--wait"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=pinned(cpu, urgent),
            start_new_session=True)
        try:
            self._line()
        except BaseException:
            self.process.kill()
            self.stop()
            raise

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise Failed(f"the load on {self.server.name} ended\n{self.server.text()}")
        return json.loads(line)

    def begin(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended, which the next line tells

    def start(self):
        """Runs it; returns its figures."""
        self.begin()
        return self._line()

    def end(self):
        """Of what runs until a line comes: returns its figures."""
        return self.start()

    def figures(self):
        """Of what ends by itself and has begun."""
        return self._line()

    def stop(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.read()
        self.process.wait()
        self.process.stdout.close()
