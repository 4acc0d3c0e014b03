"""ignyxctl top: what is on the screen, and that the terminal is as it was behind it."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading
import time

import pytest

from harness import DEADLINE, proc_stat, wait_until
from pretend import CTL, Admin, ctl, environment

STATUS = {"status": {"version": "0.1.0", "pid": 4711, "phase": "ready", "uptime": 5,
                     "generation": 1, "file": "/x", "connections": 12, "handshakes": 0,
                     "workers": [{"worker": 0, "pid": 4712, "state": "running"}]}}


class Counting:
    """Endpoints and rooms whose counters grow by so many in a second."""

    def __init__(self, endpoints, rooms):
        self.endpoints, self.rooms, self.began = endpoints, rooms, time.monotonic()

    def grown(self, speed):
        return int(speed * 1000 * (time.monotonic() - self.began))

    def answers(self):
        return {
            "GET /status": STATUS,
            "GET /endpoints": lambda _: {"endpoints": [
                {"endpoint": name, "behaviour": "room", "connections": n,
                 "messages_received": 7, "messages_sent": self.grown(speed)}
                for n, (name, speed) in enumerate(self.endpoints.items())]},
            "GET /rooms": lambda _: {"rooms": [
                {"room": name, "members": n, "position": f"1f.{self.grown(speed)}"}
                for n, (name, speed) in enumerate(self.rooms.items())]},
        }


class Top:
    """One that runs on a terminal of its own."""

    def __init__(self, path, *args, rows=24, columns=80):
        self.master, self.terminal = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.terminal)
        self.said = b""
        self.process = subprocess.Popen(
            [CTL, "-s", path, "top", "--interval", "200ms", *args], stdin=self.terminal,
            stdout=self.terminal, stderr=self.terminal, start_new_session=True,
            preexec_fn=self.take_terminal, env=environment({"TERM": "xterm", "LC_ALL": "C.UTF-8"}))

    def take_terminal(self):
        """Its keys are signals then."""
        os.close(os.open(os.ttyname(self.terminal), os.O_RDWR))

    def resize(self, rows, columns):
        termios.tcsetwinsize(self.terminal, (rows, columns))

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.said += os.read(self.master, 65536)

    def screen(self):
        """The lines of the last whole picture, without sequences."""
        pictures = re.findall(rb"\033\[H(.*?)\033\[J", self.said, re.S)
        text = pictures[-1].decode() if pictures else ""
        return re.sub("\033\\[[0-9]*[a-zA-Z]", "", text).replace("\r", "").split("\n")

    def wait(self, regex):
        """The screen, when a line of it is matched."""
        def found():
            self.read(0.05)
            screen = self.screen()
            return screen if any(re.search(regex, line) for line in screen) else None
        return wait_until(f"{regex!r} on the screen", found)

    def wait_rows(self, count):
        """The screen, when it has no more lines than that."""
        def found():
            self.read(0.05)
            screen = self.screen()
            return screen if len(screen) <= count else None
        return wait_until(f"a screen of {count} lines", found)

    def type(self, keys):
        os.write(self.master, keys)

    def end(self):
        """Its status; what it wrote is read, and the terminal must be as it was."""
        def gone():
            self.read(0)
            return self.process.poll() is not None
        wait_until("the end", gone)
        self.read(0.1)
        assert termios.tcgetattr(self.terminal) == self.before
        assert self.said.startswith(b"\033[?1049h") and self.said.endswith(b"\033[?1049l")
        assert self.said.rindex(b"\033[?25h") > self.said.rindex(b"\033[?25l")
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.terminal)


@pytest.fixture
def admin(directory):
    counting = Counting({"/slow": 0, "/fast": 4, "/mid\033[2J": 1}, {"/quiet": 0, "/busy": 2})
    a = Admin(os.path.join(directory, "s"), counting.answers())
    yield a
    a.end()


@pytest.fixture
def top(admin):
    t = Top(admin.path)
    yield t
    t.close()


def rows_of(screen, title):
    """The first words behind the titles."""
    at = next(i for i, line in enumerate(screen) if line.startswith(title))
    rows = []
    for line in screen[at + 1:]:
        if not line.strip():
            break
        rows.append(line.split())
    return rows


def test_endpoints_by_rate(top):
    # 4000, or a bit more or less; one that is far from that is of a moment at which somebody was late
    screen = top.wait(r"^/fast +room +1 +0/s +[2-7][0-9]{3}/s")
    assert screen[0] == "ignyxd 0.1.0 is ready, up 5.0 s, pid 4711"
    rows = rows_of(screen, "ENDPOINT")
    assert [r[0] for r in rows] == ["/fast", r"/mid\x1b[2J", "/slow"]
    assert rows[2][4] == "0/s"
    top.type(b"q")
    assert top.end() == 0


def test_keys_choose_what_is_seen(top):
    top.wait(r"^by OUT ")
    top.type(b"<<")
    assert [r[2] for r in rows_of(top.wait("^by OPEN "), "ENDPOINT")] == ["2", "1", "0"]
    top.type(b"<<")
    screen = top.wait("^by ENDPOINT ")
    assert [r[0] for r in rows_of(screen, "ENDPOINT")] == ["/fast", r"/mid\x1b[2J", "/slow"]
    top.type(b"<")
    top.wait("^by DROPPED ")
    top.type(b">>")
    top.wait("^by BEHAVIOUR ")
    top.type(b"\t")
    screen = top.wait(r"^/busy +1 +[0-9]{3,}/s")
    assert [r[0] for r in rows_of(screen, "ROOM")] == ["/busy", "/quiet"]
    top.type(b"\tx")
    top.wait("^ENDPOINT ")
    top.wait("^by BEHAVIOUR ")


def test_another_size(top):
    top.wait("^/slow")
    top.resize(12, 40)
    top.process.send_signal(signal.SIGWINCH)
    assert top.wait_rows(12)[-1].startswith("by OUT ")
    for rows in 1, 3, 5:
        top.resize(rows, 10)
        top.process.send_signal(signal.SIGWINCH)
        top.wait_rows(rows)
    assert top.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_it_and_leaves_the_terminal_well(top, number):
    top.wait("^/slow")
    top.process.send_signal(number)
    assert top.end() == -number


def test_control_c(top):
    top.wait("^/slow")
    top.type(b"\x03")
    assert top.end() == 0


def test_it_stops_and_goes_on(top):
    top.wait("^/slow")
    top.process.send_signal(signal.SIGTSTP)
    wait_until("that it stands still", lambda: (top.read(0), proc_stat(top.process.pid)["state"])[1] == "T")
    assert termios.tcgetattr(top.terminal) == top.before
    top.read(0.1)
    assert top.said.endswith(b"\033[?1049l")
    top.said = b""
    top.process.send_signal(signal.SIGCONT)
    top.wait("^/slow")
    top.type(b"q")
    assert top.end() == 0


def test_a_daemon_that_goes_and_comes(admin, top):
    top.wait("^/slow")
    admin.answers["GET /status"] = 503, {"error": "shutdown", "message": "it \033 stops"}
    assert top.wait(r"^it \\x1b stops: shutdown \(503\)$")
    admin.answers["GET /status"] = STATUS
    top.wait("^ignyxd 0.1.0 is ready")
    admin.answers["GET /endpoints"] = {"endpoints": [{"endpoint": 7}]}
    top.wait("of another kind than expected: endpoint$")
    admin.answers["GET /endpoints"] = {"endpoints": 7}
    top.wait("of another kind than expected: endpoints in /endpoints$")
    assert top.process.poll() is None


def test_an_answer_that_does_not_come_is_no_reason_to_stay(admin, top):
    top.wait("^/slow")
    asked = len(admin.asked)
    ended = threading.Event()
    in_vain = []
    admin.answers["GET /status"] = lambda _: in_vain.append(not ended.wait(2 * DEADLINE))
    wait_until("a question", lambda: (top.read(0), len(admin.asked) > asked + 1)[1])
    top.process.terminate()
    assert top.end() == -signal.SIGTERM
    assert not in_vain
    ended.set()


def test_it_is_for_a_terminal(admin):
    done = ctl("-s", admin.path, "top")
    assert done.returncode == 2 and "top is for a terminal" in done.stderr and not done.stdout
    assert ctl("top", "--interval", "1ms").returncode == 2
