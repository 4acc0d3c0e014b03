"""ignyxctl and the daemon together. What the daemon never answers is in test_ctl_*.py."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import DEADLINE, wait_until
from pretend import CTL, ctl, environment
from raw import BINARY, Raw
from test_admin import publish_all


def run(d, *args, **kw):
    return ctl("-s", os.path.join(d.directory, "admin.sock"), *args, **kw)


def done(d, *args, **kw):
    r = run(d, *args, **kw)
    assert r.returncode == 0 and not r.stderr, r
    return r.stdout


def refused(d, *args, status=1, **kw):
    r = run(d, *args, **kw)
    assert r.returncode == status and not r.stdout, r
    return r.stderr


def test_status(five):
    with Raw(five.address).upgrade():
        wait_until("it is counted", lambda: "connections  1 open" in done(five, "status"))
    lines = done(five, "status").splitlines()
    assert re.fullmatch(rf"ignyxd \d+\.\d+\.\d+ is ready, up .*, pid {five.pid}", lines[0])
    rows = [line.split() for line in lines]
    assert [r[1] for r in rows[-2:]] == [str(p) for p in five.workers()]
    assert {r[2] for r in rows[-2:]} == {"running"}
    status = json.loads(done(five, "--json", "status"))["status"]
    assert status["pid"] == five.pid


def test_status_of_a_reload(five):
    assert "last reload" not in done(five, "status")
    five.reload()
    wait_until("it is told", lambda: "last reload  applied, " in done(five, "status"))
    five.write("nonsense")
    five.expect_error("")
    five.reload(expect=False)
    wait_until("it is told", lambda: "last reload  refused, " in done(five, "status"))


def test_wait_for_a_daemon_that_starts(daemon):
    d = daemon(start=False)
    path = os.path.join(d.directory, "admin.sock")
    with subprocess.Popen([CTL, "-s", path, "wait", "ready"], stdin=subprocess.DEVNULL,
                          env=environment()) as p:
        d.start()
        assert p.wait(DEADLINE) == 0


def test_wait_for_connections(five):
    assert done(five, "wait", "connections-below", "1") == ""
    with Raw(five.address).upgrade():
        wait_until("it is counted", lambda: "connections  1 open" in done(five, "status"))
        assert "did not come in time" in refused(five, "wait", "connections-below", "1", "--timeout", "1s")
    assert done(five, "wait", "connections-below", "1", "--timeout", "30s") == ""


def test_the_admin_process_may_die_while_one_looks(five):
    five.expect_error("admin")
    os.kill(five.admin(), signal.SIGKILL)
    assert done(five, "wait", "ready", "--timeout", "30s") == ""
    assert " is ready, up " in done(five, "status")


def test_a_daemon_without_an_admin_process(daemon):
    d = daemon({"admin": {"enabled": False}})
    assert "turn admin off" in refused(d, "status", status=3)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs other users")
def test_who_has_no_right_is_told_whose_it_is(daemon):
    d = daemon({"admin": {"mode": "0660", "group": "daemon"}})
    path = os.path.join(d.directory, "admin.sock")
    os.chmod(d.directory, 0o755)
    # where nobody else may go, it is not to be run by him either
    program = shutil.copy(CTL, d.directory)

    def status(**user):
        return subprocess.run([program, "-s", path, "status"], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False, timeout=DEADLINE, env=environment(),
                              **{"user": 65534, "group": 65534, "extra_groups": [], **user})

    r = status()
    assert r.returncode == 3 and "members of group daemon;" in r.stderr, r
    assert status(extra_groups=["daemon"]).returncode == 0
    d.change(admin={"mode": "0666", "group": "daemon"})
    d.reload()
    r = status()
    assert r.returncode == 1 and re.search(r"forbidden \(403\); \S+ is for user \w+ and members of", r.stderr), r


def test_publish(five):
    with Raw(five.address).upgrade("/chat") as c:
        wait_until("it is in the room", lambda: re.search(r"^/chat +1 ", done(five, "rooms"), re.M))
        assert re.fullmatch(r"/chat: 1 member, position \S+\n", done(five, "publish", "/chat", "h\u00e9"))
        assert c.text() == "h\u00e9"
        done(five, "publish", "--json", "/chat", '{"a": [1]}')
        assert c.text() == '{"a": [1]}'
        message = bytes(range(256)) * 4
        r = subprocess.run([CTL, "-s", os.path.join(five.directory, "admin.sock"), "publish", "--binary",
                            "/chat"], input=message, capture_output=True, check=True, env=environment(),
                           timeout=DEADLINE)
        assert c.message() == (BINARY, message), r


@pytest.mark.parametrize("args,word", [
    (("/nothing", "x"), "no-such-room (404)"),
    (("--json", "/chat", "{"), "invalid-json (400)"),
    (("/chat", "x" * 129 * 1024), "message-too-big (413)"),
])
def test_what_is_not_published(five, args, word):
    path = os.path.join(five.directory, "message")
    with open(path, "w", encoding="ascii") as f:
        f.write(args[-1])
    assert word in refused(five, "publish", *args[:-1], f"@{path}")


def test_rooms_of_many_pages(daemon):
    d = daemon({"max_rooms": 4096, "endpoints": [{"path": f"/r/{n}", "behaviour": "room"}
                                                for n in range(1100)]})
    names = {f"/r/{n}" for n in range(1100)}
    assert publish_all(d, *({"path": name, "data": "x"} for name in names))[0] == 200
    listed = [r["room"] for r in json.loads(done(d, "--json", "rooms"))["rooms"]]
    assert len(listed) == 1100 and set(listed) == names
    assert {line.split()[0] for line in done(d, "rooms", "/r/10").splitlines()[1:]} == \
        {n for n in names if n.startswith("/r/10")}


def test_completion_of_rooms(five):
    done(five, "publish", "/chat", "x")
    path = os.path.join(five.directory, "admin.sock")
    assert ctl("--complete", "-s", path, "publish", "/c").stdout == "/chat\n"
