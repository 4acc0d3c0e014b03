"""ignyxctl password: the line of a user, of what is in a pipe or typed on a terminal."""

import json
import os
import pty
import re
import signal
import subprocess
import termios
import time

import pytest

from harness import DEADLINE
from pretend import CTL, ctl, environment
from test_access_users import GUARDED, basic, crypted, enter, heard, refused, write_users


def line_of(*args, password):
    r = ctl("password", *args, input=password)
    assert r.returncode == 0 and r.stderr == "", r
    assert r.stdout.count("\n") == 1 and r.stdout.endswith("\n")
    return r.stdout[:-1]


@pytest.mark.parametrize("method, begins", [
    (None, "$y$j9T$"), ("yescrypt", "$y$j9T$"), ("sha512", "$6$rounds=200000$"), ("bcrypt", "$2b$10$")])
def test_its_line_lets_in(daemon, method, begins):
    args = ["--method", method] if method else []
    line = line_of("josé b", *args, password="p:ä ss\nnot this\n")
    name, hashed = line.split(":", 1)
    assert name == "josé b" and hashed.startswith(begins)
    # of chance
    assert line_of("josé b", *args, password="p:ä ss") != line
    shown = json.loads(ctl("--json", "password", "josé b", *args, input="x").stdout)
    assert set(shown) == {"line"} and shown["line"].startswith("josé b:" + begins)
    d = daemon({"endpoints": [GUARDED]}, start=False)
    write_users(d, line)
    d.start()
    with enter(d, "josé b", "p:ä ss") as c:
        assert heard(c) == "hi"
    refused(d, 401, "bad-password", basic("josé b", "p:ä s"))


@pytest.mark.parametrize("password", ["", "\n", "x" * 257 + "\n", "a\0b\n", "\r\n"])
def test_what_is_none(password):
    r = ctl("password", "anna", input=password)
    assert r.returncode == 1 and r.stdout == "", r
    assert "a password is a line of 1 to 256 bytes" in r.stderr


def test_what_bcrypt_does_not_take():
    for n, status in ((72, 0), (73, 1)):
        r = ctl("password", "anna", "--method", "bcrypt", input="x" * n)
        assert r.returncode == status, r
    assert "of bcrypt 72 bytes of a password count" in r.stderr
    assert line_of("anna", password="x" * 256)


@pytest.mark.parametrize("args, said", [
    (["a:b"], "a NAME is of up to 128 bytes"), (["#a"], "a NAME is"), ([""], "a NAME is"), ([" a"], "a NAME is"),
    (["a "], "a NAME is"), (["x" * 129], "a NAME is"), (["a\x07"], "a NAME is"),
    (["a", "--method", "md5"], 'a METHOD is yescrypt, sha512 or bcrypt, not "md5"')])
def test_wrong_arguments(args, said):
    r = ctl("password", *args, input="x\n")
    assert r.returncode == 2 and r.stdout == "" and said in r.stderr, r


class Typed:
    """One that runs on a terminal of its own, and is typed to."""

    def __init__(self, *args):
        self.master, self.terminal = pty.openpty()
        self.before = termios.tcgetattr(self.terminal)
        self.shown = b""
        self.process = subprocess.Popen(
            [CTL, "password", *args], stdin=self.terminal, stdout=subprocess.PIPE, stderr=self.terminal,
            start_new_session=True, preexec_fn=self.take_terminal, env=environment())

    def take_terminal(self):
        """Its keys are signals then, also where who runs the tests ignores them."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        os.close(os.open(os.ttyname(self.terminal), os.O_RDWR))

    def wait_for(self, text):
        until = time.monotonic() + DEADLINE
        while text not in self.shown:
            assert time.monotonic() < until, self.shown
            self.shown += os.read(self.master, 4096)

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """Its status and output; the terminal is as it was."""
        out, _ = self.process.communicate(timeout=DEADLINE)
        assert termios.tcgetattr(self.terminal) == self.before
        os.close(self.terminal)
        os.set_blocking(self.master, False)
        try:
            self.shown += os.read(self.master, 4096)
        except OSError:
            pass
        os.close(self.master)
        return self.process.returncode, out.decode()


def test_typed_twice_and_unseen():
    t = Typed("anna")
    t.wait_for(b"Password: ")
    t.type("secret\n")
    t.wait_for(b"The same again: ")
    t.type("secret\n")
    status, out = t.end()
    assert status == 0 and re.fullmatch(r"anna:\$y\$\S+\n", out)
    assert b"secret" not in t.shown
    assert crypted("secret", out.strip().split(":")[1]) == out.strip().split(":")[1]


def test_typed_differently():
    t = Typed("anna")
    t.wait_for(b"Password: ")
    t.type("secret\n")
    t.wait_for(b"The same again: ")
    t.type("secrets\n")
    assert t.end() == (1, "")
    assert b"these are two passwords" in t.shown


def test_interrupted():
    t = Typed("anna")
    t.wait_for(b"Password: ")
    t.type("sec\x03")
    assert t.end() == (-signal.SIGINT, "")
    assert b"sec" not in t.shown
