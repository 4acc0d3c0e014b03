"""ignyxctl: what it asks for, and what it makes of the answer, where the daemon is told to do something."""

import hashlib
import json
import os
import stat
import subprocess
import threading
import time

import pytest

from harness import DEADLINE, wait_until
from pretend import CTL, Admin, Tcp, ctl, environment


@pytest.fixture
def admin(directory):
    a = Admin(os.path.join(directory, "s"))
    yield a
    a.end()


def run(admin, *args, **kw):
    return ctl("-s", admin.path, *args, **kw)


def done(admin, *args, **kw):
    d = run(admin, *args, **kw)
    assert d.returncode == 0 and not d.stderr, d
    return d.stdout


def refused(admin, *args, status=1, **kw):
    d = run(admin, *args, **kw)
    assert d.returncode == status and not d.stdout, d
    return d.stderr


PUBLISHED = {"room": "/chat", "position": "1f.42", "members": 17}


# --- publish ---

@pytest.mark.parametrize("options,content_type", [
    ((), "text/plain; charset=utf-8"), (("--json",), "application/json"),
    (("--binary",), "application/octet-stream")])
def test_publish(admin, options, content_type):
    admin.answers["POST /publish/chat"] = PUBLISHED
    assert done(admin, "publish", *options, "/chat", "hé") == "/chat: 17 members, position 1f.42\n"
    asked = admin.asked[0]
    assert (asked.method, asked.body.decode()) == ("POST", "hé")
    assert asked.headers["Content-Type"] == content_type


def test_publish_with_a_key(admin):
    admin.answers["POST /publish/chat"] = PUBLISHED
    done(admin, "publish", "/chat", "x", "--idempotency-key", "b2~")
    assert admin.asked[0].headers["Idempotency-Key"] == "b2~"
    done(admin, "publish", "/chat", "x")
    assert admin.asked[1].headers["Idempotency-Key"] is None
    for key in ("", "a b", "a\r\nX: y", "é"):
        assert "printable" in refused(admin, "publish", "/chat", "--idempotency-key", key, status=2)
    assert len(admin.asked) == 2


def test_json_is_of_the_answer_before_the_command_and_of_the_message_behind_it(admin):
    admin.answers["POST /publish/chat"] = PUBLISHED
    assert json.loads(done(admin, "--json", "publish", "/chat", "x")) == PUBLISHED
    assert admin.asked[-1].headers["Content-Type"].startswith("text/plain")
    assert json.loads(done(admin, "--json", "publish", "/chat", "7", "--json")) == PUBLISHED
    assert admin.asked[-1].headers["Content-Type"] == "application/json"


def test_messages_from_standard_input_and_files(admin, directory):
    admin.answers["POST /publish/chat"] = PUBLISHED
    message = bytes(range(256)) * 3000 + b"\n"
    path = os.path.join(directory, "message")
    with open(path, "wb") as f:
        f.write(message)
    for words in ("-",), (), ("@" + path,):
        with open(path, "rb") as f:
            done(admin, "publish", "--binary", "/chat", *words, stdin=f)
        assert admin.asked[-1].body == message
    done(admin, "publish", "/chat")
    assert admin.asked[-1].body == b""
    done(admin, "publish", "/chat", "--", "--binary")
    assert admin.asked[-1].body == b"--binary"


@pytest.mark.parametrize("path,target", [
    ("/a b", "/publish/a%20b"), ("/a?b#c", "/publish/a%3Fb%23c"), ("/a/../b", "/publish/a/../b"),
    ("/%41", "/publish/%2541"), ("/é\n", "/publish/%C3%A9%0A"), ("/", "/publish/"),
    ("//x", "/publish//x")])
def test_any_path_is_sent_as_it_is(admin, path, target):
    admin.answers[f"POST /publish{path}"] = PUBLISHED
    done(admin, "publish", path, "x")
    assert admin.asked[0].target.upper() == target.upper()


def test_what_cannot_be_published(admin):
    admin.answers["POST /publish/chat"] = 413, {"error": "message-too-big", "message": "64 KiB are the most"}
    assert refused(admin, "publish", "/chat", "x") == \
        "ignyxctl: 64 KiB are the most: message-too-big (413)\n"
    assert "begins with a slash: /chat" in refused(admin, "publish", "chat", "x", status=2)
    assert "either JSON or binary" in refused(admin, "publish", "/chat", "--json", "--binary", status=2)
    assert "No such file" in refused(admin, "publish", "/chat", "@/nowhere")
    assert "Is a directory" in refused(admin, "publish", "/chat", "@/")
    admin.answers["POST /publish/chat"] = {"room": "/chat", "position": 7}
    assert "position in /publish" in refused(admin, "publish", "/chat", "x")


# --- tail ---

LINES = b"".join(json.dumps(x).encode() + b"\n" for x in (
    {"position": "1f.1", "time": 1.25, "data": "h\u00e9\033[1m\0\n"}, {"lost": 3}, {"lost": None},
    {"position": "1f.9", "time": 86399.5, "sender": "7", "base64": "AP8="}))


def follow(admin, *args):
    return run(admin, "tail", *args, env={"TZ": "UTC"})


def test_tail(admin):
    admin.answers["GET /tail/chat"] = LINES
    r = follow(admin, "/chat")
    # nobody has asked for its end
    assert r.returncode == 1
    assert r.stdout == "00:00:01.250 hé\\x1b[1m\\x00\\x0a\n23:59:59.500 binary, 2 bytes: AP8=\n"
    assert r.stderr == ("ignyxctl: 3 messages are missing here\n"
                        "ignyxctl: messages are missing here; how many is not known\n"
                        "ignyxctl: the daemon has ended the stream\n")
    assert admin.asked[0].query == {}
    r = follow(admin, "--json", "/chat", "--since", "1f.0")
    assert [json.loads(x) for x in r.stdout.splitlines()] == \
        [json.loads(x) for x in LINES.splitlines()]
    assert r.stderr == "ignyxctl: the daemon has ended the stream\n"
    assert admin.asked[1].query == {"since": "1f.0"}


def test_tail_raw(admin):
    admin.answers["GET /tail/chat"] = LINES
    r = subprocess.run([CTL, "-s", admin.path, "tail", "/chat", "--raw"], stdin=subprocess.DEVNULL,
                       capture_output=True, check=False, timeout=DEADLINE)
    assert r.stdout == "hé\033[1m\0\n\n".encode() + b"\0\xff\n"


@pytest.mark.parametrize("line,what", [
    ("x", "/tail"), ('{"data": 7}', "data in /tail"),
    ('{"base64": "AP8"}', "base64 in /tail"), ("{}", "base64 in /tail"),
    ('{"data": "x", "time": "y"}', "time in /tail"), ("[1]", "/tail")])
def test_tail_of_strange_lines(admin, line, what):
    admin.answers["GET /tail/chat"] = line.encode() + b"\n" + LINES
    r = follow(admin, "/chat")
    assert r.returncode == 1 and "00:00:01" not in r.stdout
    assert "of another kind than expected" in r.stderr and what in r.stderr


def test_tail_that_is_refused(admin):
    admin.answers["GET /tail/chat"] = 404, {"error": "no-such-room", "message": "none has it"}
    assert refused(admin, "tail", "/chat") == "ignyxctl: none has it: no-such-room (404)\n"
    assert "begins with a slash" in refused(admin, "tail", "chat", status=2)


# --- kick ---

def test_kick_one_or_many(admin):
    admin.answers["DELETE /connections/1f"] = {"closed": 1}
    admin.answers["DELETE /connections"] = {"closed": 12}
    assert done(admin, "kick", "1f", "--code", "4000", "--reason", "go away") == "1 closed\n"
    assert admin.asked[0].query == {"code": "4000", "reason": "go away"}
    assert done(admin, "kick", "--room", "/chat", "--older", "1h") == "12 closed\n"
    assert admin.asked[1].query == {"room": "/chat", "older": "3600"}
    assert admin.asked[1].body == b""


def test_kick_where_a_worker_does_not_answer(admin):
    admin.answers["DELETE /connections"] = {"closed": 3, "silent": [1]}
    r = run(admin, "kick", "--slow")
    assert (r.returncode, r.stdout) == (1, "3 closed\n") and "worker 1 does not answer" in r.stderr


@pytest.mark.parametrize("args", [(), ("",), ("1f", "--slow"), ("--code", "4000")])
def test_kick_never_means_all(admin, args):
    assert "kick takes the ID" in refused(admin, "kick", *args, status=2)
    assert not admin.asked


def test_kick_of_who_is_not_there(admin):
    assert "not-found (404)" in refused(admin, "kick", "1f")


# --- reload ---

PLAN = {
    "summary": "1 endpoint added",
    "endpoints": [
        {"endpoint": "/new", "change": "added"},
        {"endpoint": "/chat\033", "change": "changed", "then": "stay", "settings": [
            {"key": "prefix", "old": None, "new": "x\033"}, {"key": "max", "old": 1, "new": 2}]},
        {"endpoint": "/old", "change": "removed", "then": "close", "code": 1012, "reason": "x"},
        {"endpoint": "/one", "change": "removed", "connections": 1, "then": "close", "code": 1012, "reason": "x"},
        {"endpoint": "/many", "change": "changed", "connections": 5, "then": "stay", "settings": []}],
    "listeners": [{"listener": "127.0.0.1:80", "change": "changed", "then": "stay", "settings": [],
                   "files": True}],
    "certificates": [{"subject": "CN=a", "file": "a.pem", "listener": "[::]:443", "change": "added",
                      "expires": 1798761600}],
    "settings": [{"key": "workers", "old": 2, "new": 4, "restart": False},
                 {"key": "bus_size", "old": "1M", "new": "2M", "restart": True}],
}
PLAN_SHOWN = [
    "endpoint /new added",
    r'endpoint /chat\x1b changed: prefix none -> "x\u001B"; max 1 -> 2',
    "endpoint /old removed; its connections are closed with 1012",
    "endpoint /one removed; 1 connection is closed with 1012",
    "endpoint /many changed; 5 connections stay",
    "listener 127.0.0.1:80 changed; a file that it names has another content",
    "certificate CN=a of [::]:443 added, expires 2027-01-01",
    "setting workers 2 -> 4",
    'setting bus_size "1M" -> "2M", after a restart',
]


def test_reload(admin):
    admin.answers["POST /reload"] = {"applied": True, "plan": PLAN, "warnings": [], "kept": 5, "closed": 1}
    assert done(admin, "reload").splitlines() == [
        "applied: 1 endpoint added", "5 connections go on, 1 are closed", *PLAN_SHOWN]
    assert admin.asked[0].query == {} and admin.asked[0].body == b""
    assert "Content-Type" not in admin.asked[0].headers
    assert json.loads(done(admin, "reload", "--json"))["plan"] == PLAN


def test_what_a_reload_would_do(admin):
    warnings = [{"file": "a.conf", "line": 3, "text": "old\033"}]
    admin.answers["POST /reload"] = {"applied": False, "plan": PLAN, "warnings": warnings}
    r = run(admin, "reload", "--dry-run")
    assert r.stdout.splitlines() == ["would be applied: 1 endpoint added", *PLAN_SHOWN]
    assert r.stderr == "warning: a.conf:3: old\\x1b\n"
    assert r.returncode == 0 and admin.asked[0].query == {"dry-run": ""}


@pytest.mark.parametrize("plan", [
    7, {"endpoints": 7}, {"endpoints": [{"endpoint": 7}]}, {"endpoints": [7]},
    {"listeners": [{"settings": 7}]}, {"listeners": [{"settings": [{"key": 7}]}]},
    {"certificates": [{"subject": "x", "listener": 7}]}, {"settings": [{"restart": 7}]}], ids=str)
def test_a_plan_of_another_kind(admin, plan):
    admin.answers["POST /reload"] = {"applied": True, "plan": plan}
    r = run(admin, "reload")
    assert r.returncode == 1 and "of another kind" in r.stderr


def test_a_reload_that_is_refused_has_all_errors(admin):
    errors = [{"file": "a.conf", "line": 3, "text": "unknown setting \"x\""},
              {"file": None, "line": None, "text": "no \033[31mendpoints"}, {}]
    admin.answers["POST /reload"] = 422, {"error": "config-error", "message": "2 errors",
                                          "errors": errors}
    assert refused(admin, "reload").splitlines() == [
        "ignyxctl: 2 errors: config-error (422)", 'a.conf:3: unknown setting "x"',
        r"no \x1b[31mendpoints", "an error without a text"]
    d = run(admin, "--json", "reload")
    assert d.returncode == 1 and json.loads(d.stdout)["errors"] == errors


def test_a_reload_that_was_not_applied_is_no_success(admin):
    admin.answers["POST /reload"] = {"applied": False, "plan": {}}
    refused(admin, "reload")
    admin.answers["POST /reload"] = {"applied": True, "plan": {}}
    refused(admin, "reload", "--dry-run")


# --- wait ---

class Waiting:
    """A "wait" that has begun."""

    def __init__(self, path, *args):
        self.process = subprocess.Popen([CTL, "-s", path, "wait", *args], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment())

    def end(self):
        said = self.process.communicate(timeout=DEADLINE)[1]
        return self.process.returncode, said


def test_wait_ready_begins_before_there_is_a_daemon(directory):
    path, asked = os.path.join(directory, "s"), threading.Event()
    waiting = Waiting(path, "ready")
    ready = [False]

    def answer(_request):
        asked.set()
        return (200, {"ready": True}) if ready[0] else (503, {"ready": False, "reasons": ["x"]})

    with pytest.raises(subprocess.TimeoutExpired):
        waiting.process.wait(0.5)
    a = Admin(path, {"GET /ready": answer})
    assert asked.wait(DEADLINE)
    assert waiting.process.poll() is None
    ready[0] = True
    assert waiting.end() == (0, "")
    a.end()


def test_wait_for_connections(admin):
    left = [12]
    admin.answers["GET /status"] = lambda _: {"status": {"phase": "ready", "connections": left[0]}}
    waiting = Waiting(admin.path, "connections-below", "10")
    for left[0] in 12, 10:
        # who asks once more has seen that answer
        enough = len(admin.asked) + 3
        wait_until("more questions", lambda: len(admin.asked) >= enough)
        assert waiting.process.poll() is None
    left[0] = 9
    assert waiting.end() == (0, "")


def test_wait_ends_in_time(admin):
    admin.answers["GET /ready"] = 503, {"ready": False, "reasons": ["no worker\033 runs", "x"]}
    said = "no answer"
    # where we answer too late that is told instead
    for _ in range(5):
        if "no answer" in said:
            began = time.monotonic()
            said = refused(admin, "wait", "ready", "--timeout", "500ms")
            assert time.monotonic() - began >= 0.5
    assert "it did not come in time: ready; at last: no worker\\x1b runs (503)" in said
    d = ctl("-s", "/nowhere", "wait", "ready", "--timeout", "0")
    assert d.returncode == 1 and "there is no /nowhere" in d.stderr


def test_wait_ends_with_what_waiting_does_not_change(admin):
    admin.answers["GET /ready"] = 403, {"error": "forbidden", "message": "no"}
    assert "forbidden" in refused(admin, "wait", "ready")
    admin.answers["GET /status"] = {"status": {"phase": "ready", "connections": "x"}}
    assert "connections in /status" in refused(admin, "wait", "connections-below", "1")
    admin.answers["GET /status"] = {"status": {"phase": "ready"}}
    refused(admin, "wait", "connections-below", "1")


@pytest.mark.parametrize("args", [("x",), ("ready", "1"), ("connections-below",),
                                  ("connections-below", "x"), ("connections-below", "--", "-1"),
                                  ("connections-below", ""), ("ready", "--timeout", "x")])
def test_wait_for_what_there_is_not(admin, args):
    refused(admin, "wait", *args, status=2)
    assert not admin.asked


# --- token ---

def test_token_make():
    token, line = (t.split(None, 1) for t in ctl("token", "make", "ops", "read").stdout.splitlines())
    assert (token[0], line[0]) == ("token", "line")
    assert line[1] == f"ops read {hashlib.sha256(token[1].encode()).hexdigest()}"
    assert len(bytes.fromhex(token[1])) == 32
    other = json.loads(ctl("--json", "token", "make", "ops", "read").stdout)
    assert other["token"] != token[1]
    assert other["line"].split()[2] == hashlib.sha256(other["token"].encode()).hexdigest()


def test_a_token_in_a_file_is_for_its_owner_and_for_a_new_one(directory):
    path = os.path.join(directory, "token")
    args = "token", "make", "ops", "manage", "--token-file", path
    d = ctl(*args)
    with open(path, encoding="ascii") as f:
        token = f.read()
    assert d.stdout == f"line   ops manage {hashlib.sha256(token.strip().encode()).hexdigest()}\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert ctl(*args).returncode == 1
    with open(path, encoding="ascii") as f:
        assert f.read() == token


@pytest.mark.parametrize("args", [("make", "ops", "all"), ("make", "#x", "read"), ("make", "a b", "read"),
                                  ("make", "", "read"), ("show", "ops", "read"), ("make", "é", "read")])
def test_tokens_that_are_not_made(args):
    d = ctl("token", *args)
    assert d.returncode == 2 and not d.stdout


def test_a_token_is_shown_over_tcp(directory):
    token = os.path.join(directory, "token")
    ctl("token", "make", "ops", "read", "--token-file", token)
    with Tcp({"GET /log-level": {"level": "info"}}) as a:
        d = ctl("-H", a.url, "--token-file", token, "log-level")
        assert d.stdout == "info\n", d
        with open(token, encoding="ascii") as f:
            assert a.asked[0].headers["Authorization"] == "Bearer " + f.read().strip()
        for content in "", "a b\n", "é\n", "\nx\n":
            with open(token, "w", encoding="utf-8") as f:
                f.write(content)
            d = ctl("-H", a.url, "--token-file", token, "log-level")
            assert d.returncode == 2 and "its first line is no token" in d.stderr
