"""ignyxctl: how it shows what it is told, and what it says when that is not what it should be."""

import json
import os
import pty
import re
import select
import subprocess
import termios
import time

import pytest

from harness import DEADLINE
from pretend import CTL, Admin, ctl, environment


@pytest.fixture
def admin(directory):
    a = Admin(os.path.join(directory, "s"))
    yield a
    a.end()


def ask(admin, *args, status=0, **kw):
    """What it prints; or, where it is to fail, what it says."""
    done = ctl("-s", admin.path, *args, **kw)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


def on_terminal(*args, columns=80, env=None):
    """What it prints on a terminal of so many columns."""
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    with subprocess.Popen([CTL, *args], stdin=terminal, stdout=terminal, stderr=terminal,
                          env=environment({"TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})})) as p:
        os.close(terminal)
        said = b""
        while select.select([master], [], [], DEADLINE)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # it has ended
                break
            said += data
        assert p.wait(DEADLINE) == 0, said
    os.close(master)
    return said.decode().replace("\r\n", "\n")


def connection(n, **more):
    return {"id": f"{n:x}", "peer": f"192.0.2.1:{n}", "endpoint": "/chat", "room": "/chat",
            "worker": 0, "since": time.time() - 3600 * 28, "received": 5, "received_bytes": 70000,
            "pending": 1536, "waits": 65, "round_trip": 0.0125, **more}


def pages(members, key, size):
    """A list that comes page by page."""
    def answer(request):
        begin = int(request.query.get("after", 0))
        end = begin + size
        return {key: members[begin:end], "next": str(end) if end < len(members) else None}
    return answer


ENDPOINT = {"endpoint": "/chat", "behaviour": "room", "connections": 12, "opened": 340,
            "messages_received": 5, "messages_sent": 700, "bytes_received": 99,
            "bytes_sent": 5 << 20, "dropped": 0, "refused": 2, "closed": 328}

STATUS = {"version": "0.1.0", "pid": 4711, "phase": "ready", "started": 1, "uptime": 273600.5,
          "generation": 3, "file": "/etc/ignyx/ignyxd.conf", "connections": 12, "handshakes": 1,
          "workers": [{"worker": 0, "pid": 4712, "state": "running", "generation": 3,
                       "connections": 12, "handshakes": 1, "doing": "waiting", "still": 0.25,
                       "deaths": 1}],
          "log": {"size": 32 << 20, "used": 12688000, "age": 65.5, "lag": 1 << 20, "rooms": 5, "max_rooms": 1024},
          "reload": {"time": time.time() - 53.5 * 3600, "applied": True, "summary": "1 endpoint added"}}


# --- tables ---

def test_numbers_have_units_and_stand_on_the_right(admin):
    admin.answers["GET /endpoints"] = {"endpoints": [ENDPOINT, {**ENDPOINT, "endpoint": "/ws",
                                                                "opened": 7}], "next": None}
    lines = ask(admin, "endpoints").splitlines()
    assert lines[0].split()[:3] == ["ENDPOINT", "BEHAVIOUR", "OPEN"]
    assert lines[1].split() == ["/chat", "room", "12", "340", "5", "700", "99", "B", "5.0", "MiB",
                                "0", "2", "328"]
    assert lines[1].index("340") + 3 == lines[2].index(" 7 ") + 2 == lines[0].index("OPENED") + 6


def test_ages_are_in_two_units(admin):
    admin.answers["GET /connections"] = {"connections": [connection(1)]}
    row = ask(admin, "connections").splitlines()[1]
    assert re.search(r"  1 d 4 h  .* 68\.4 KiB +1\.5 KiB +1 min 5 s +12 ms$", row), row


def test_what_is_missing_is_a_dash(admin):
    admin.answers["GET /connections"] = {"connections": [{"id": "1f", "room": None}]}
    assert ask(admin, "connections").splitlines()[1].split() == ["1f"] + ["-"] * 11


def test_all_pages_are_fetched_in_order(admin):
    rooms = [{"room": f"/r/{n:04}", "members": n, "position": f"1f.{n}"} for n in range(25)]
    admin.answers["GET /rooms"] = pages(rooms, "rooms", 10)
    lines = ask(admin, "rooms", "/r/").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [r["room"] for r in rooms]
    assert [r.query.get("after") for r in admin.asked] == [None, "10", "20"]
    assert {r.query["prefix"] for r in admin.asked} == {"/r/"}
    assert {r.query["limit"] for r in admin.asked} == {"1000"}
    whole = json.loads(ask(admin, "--json", "rooms"))
    assert whole == {"rooms": rooms, "next": None}


def test_workers_that_do_not_answer_are_named_once(admin):
    def answer(request):
        first = "after" not in request.query
        return {"connections": [connection(1 if first else 2)], "silent": [3] if first else [3, 5],
                **({"next": "1"} if first else {})}

    admin.answers["GET /connections"] = answer
    for how in (), ("--json",):
        done = ctl("-s", admin.path, "connections", *how)
        assert done.returncode == 1
        assert done.stderr == ("ignyxctl: worker 3 does not answer: what it has is missing\n"
                               "ignyxctl: worker 5 does not answer: what it has is missing\n")
    whole = json.loads(done.stdout)
    assert [c["id"] for c in whole["connections"]] == ["1", "2"] and whole["silent"] == [3, 5]


def test_an_empty_list_is_one_in_json_too(admin):
    admin.answers["GET /rooms"] = {"rooms": [], "next": None}
    assert ask(admin, "rooms").splitlines() == ["ROOM  MEMBERS  POSITION"]
    assert json.loads(ask(admin, "rooms", "--json")) == {"rooms": [], "next": None}


def test_a_filter_is_passed_on(admin):
    admin.answers["GET /connections"] = {"connections": []}
    ask(admin, "connections", "--endpoint", "/chat", "--peer", "10.0.0.0/8", "--room", "/chat/a&b =%",
        "--older", "299001ms", "--slow")
    query = dict(admin.asked[0].query)
    assert query.pop("limit") == "1000"
    assert query == {"endpoint": "/chat", "peer": "10.0.0.0/8", "room": "/chat/a&b =%",
                     "older": "300", "slow": "1"}


def test_a_pipe_gets_all_and_a_terminal_what_fits(admin):
    path = "/rooms/" + "x" * 200 + "/end"
    admin.answers["GET /rooms"] = {"rooms": [{"room": path, "members": 1234567, "position": "1f.1"}]}
    assert path in ask(admin, "rooms")
    lines = re.sub("\033\\[[01]m", "", on_terminal("-s", admin.path, "rooms", columns=60)).splitlines()
    assert [len(line.rstrip()) for line in lines] == [60, 56]
    assert re.fullmatch(r"/rooms/x+\.\.  1234567  1f\.1 *", lines[1])


def test_bold_type_and_no_color(admin):
    admin.answers["GET /rooms"] = {"rooms": []}
    assert "\033[1m" in on_terminal("-s", admin.path, "rooms")
    assert "\033" not in on_terminal("-s", admin.path, "rooms", env={"NO_COLOR": "1"})
    assert "\033" not in on_terminal("-s", admin.path, "rooms", env={"TERM": "dumb"})
    assert "\033" not in ask(admin, "rooms")


def test_wide_characters_keep_the_columns(admin):
    admin.answers["GET /rooms"] = {"rooms": [{"room": "/日本", "members": 1, "position": "1"},
                                             {"room": "/abcd", "members": 1, "position": "1"}]}
    a, b = ask(admin, "rooms").splitlines()[1:]
    assert len(a) == len(b) - 2


# --- what a stranger named ---

HOSTILE = "/a\033[2J\r\nb\x7f\u0085\u202e\u2028c"
ESCAPED = r"/a\x1b[2J\x0d\x0ab\x7f\xc2\x85\xe2\x80\xae\xe2\x80\xa8c"


def test_paths_cannot_act_on_a_terminal(admin):
    admin.answers["GET /rooms"] = {"rooms": [{"room": HOSTILE, "members": 1, "position": "2"}]}
    for said in ask(admin, "rooms"), on_terminal("-s", admin.path, "rooms", env={"NO_COLOR": "1"},
                                                 columns=120):
        assert said.splitlines()[1].split() == [ESCAPED, "1", "2"]


def test_a_terminal_without_utf8_gets_ascii(admin):
    admin.answers["GET /rooms"] = {"rooms": [{"room": "/é", "members": 1, "position": "2"}]}
    assert r"/\xc3\xa9  " in on_terminal("-s", admin.path, "rooms", env={"LC_ALL": "C"})
    assert "/é  " in ask(admin, "rooms", env={"LC_ALL": "C"})


@pytest.mark.parametrize("command,answer", [("rooms", {"rooms": [{"room": HOSTILE}], "next": None}),
                                            ("status", {"status": {"file": HOSTILE}})])
def test_json_on_a_terminal_is_ascii(admin, command, answer):
    admin.answers[f"GET /{command}"] = answer
    said = on_terminal("-s", admin.path, "--json", command)
    assert said.isascii() and "\033" not in said and json.loads(said) == answer


def test_errors_and_metrics_are_escaped_too(admin):
    admin.answers["GET /status"] = 500, {"error": HOSTILE, "message": HOSTILE}
    said = ask(admin, "status", status=1)
    assert said == f"ignyxctl: {ESCAPED}: {ESCAPED} (500)\n"
    admin.answers["GET /metrics"] = b'a{endpoint="\033[2J"} 1\nb 2\n'
    assert on_terminal("-s", admin.path, "metrics") == 'a{endpoint="\\x1b[2J"} 1\nb 2\n'
    assert ask(admin, "metrics") == 'a{endpoint="\033[2J"} 1\nb 2\n'


@pytest.mark.parametrize("answer", [
    b"", b"nonsense", b"[]", b"7", b"null", b'{"connections": 7}', b'{"connections": [7]}', b"{}",
    b'{"connections": [{"id": 7}]}', b'{"connections": [{"since": "x"}]}',
    b'{"connections": [], "next": 7}', b'{"connections": [{"worker": {}}]}',
    b'{"connections": [{"id": "\\u0000"}]}', b'{"connections": [' + b"[" * 100000,
], ids=range(14))
@pytest.mark.parametrize("how", [(), ("--json",)])
def test_an_answer_of_another_kind_is_an_error(admin, answer, how):
    admin.answers["GET /connections"] = answer
    if how and b'"id": 7' in answer or how and (b'"x"' in answer or b"worker" in answer):
        ask(admin, "connections", *how)  # as it came: nothing is read of it
        return
    said = ask(admin, "connections", *how, status=1)
    assert re.match("ignyxctl: what the daemon answers is of another kind than expected: ", said)
    assert len(said.splitlines()) == 1


def test_a_list_without_an_end_ends(admin):
    admin.answers["GET /rooms"] = {"rooms": [{"room": "/x"}], "next": "again"}
    assert "next in /rooms" in ask(admin, "rooms", status=1)
    assert len(admin.asked) == 2


def test_an_answer_is_bounded(admin):
    admin.answers["GET /metrics"] = b"x" * ((16 << 20) + 1)
    assert "longer than 16 MiB" in ask(admin, "metrics", status=3, timeout=6 * DEADLINE)


# --- one object ---

def test_status_at_a_glance(admin):
    admin.answers["GET /status"] = {"status": STATUS}
    lines = ask(admin, "status").splitlines()
    assert lines[:5] == [
        "ignyxd 0.1.0 is ready, up 3 d 4 h, pid 4711",
        "file         /etc/ignyx/ignyxd.conf, generation 3",
        "connections  12 open, 1 in handshake",
        "log          12.1 MiB of 32.0 MiB used, the oldest message 1 min 5 s old, 5 of 1024 rooms",
        "last reload  applied, 2 d 5 h ago: 1 endpoint added",
    ]
    assert lines[6].split()[:3] == ["WORKER", "PID", "STATE"]
    assert lines[7].split() == ["0", "4712", "running", "3", "12", "1", "1", "250", "ms", "waiting"]
    assert json.loads(ask(admin, "status", "--json")) == {"status": STATUS}


@pytest.mark.parametrize("change", [
    {"version": 7}, {"uptime": "x"}, {"workers": {}}, {"workers": [7, {"pid": "x"}]}, {"log": []},
    {"log": {"size": "x"}}, {"reload": {"applied": 7}}], ids=str)
def test_a_status_of_another_kind(admin, change):
    admin.answers["GET /status"] = {"status": {**STATUS, **change}}
    assert "of another kind" in ask(admin, "status", status=1)


def test_one_connection_has_all_that_is_told(admin):
    admin.answers["GET /connections/1f"] = {
        "id": "1f", "pending": 2048, "since": time.time() - 3700, "new": {"deep": [1, "x\033"]}}
    assert ask(admin, "connection", "1f").splitlines() == [
        "id       1f", "pending  2.0 KiB", "since    1 h 1 min ago", "new",
        "  deep", "    - 1", r"    - x\x1b"]
    assert "there is no /connections/2e: not-found (404)" in ask(admin, "connection", "2e", status=1)


def test_the_log_level_is_shown_and_set(admin):
    level = ["info"]

    def put(request):
        assert request.headers["Content-Type"] == "application/json"
        level[0] = json.loads(request.body)["level"]
        return {"level": level[0]}

    admin.answers.update({"GET /log-level": lambda _: {"level": level[0]}, "PUT /log-level": put})
    assert ask(admin, "log-level") == "info\n"
    assert ask(admin, "log-level", "debug") == "debug\n"
    assert level == ["debug"]


# --- who cannot be asked ---

def test_no_socket(directory):
    done = ctl("-s", f"{directory}/none", "status")
    assert done.returncode == 3
    assert f"there is no {directory}/none: does ignyxd run" in done.stderr


def test_nobody_answers(admin):
    admin.end()
    done = ctl("status", env={"IGNYX_ADMIN": admin.path})
    assert done.returncode == 3 and f"nobody answers at {admin.path}" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="becoming somebody else needs root")
@pytest.mark.parametrize("socket_mode,folder_mode,told", [
    (0o660, 0o755, r"it is for user root and members of group daemon;"),
    (0o600, 0o755, r"it is for user root alone;"),
    (0o666, 0o750, r"\S+/in is for user root and members of group daemon;"),
])
def test_who_has_the_right_is_told(directory, socket_mode, folder_mode, told):
    folder = os.path.join(directory, "in")
    os.mkdir(folder)
    a = Admin(f"{folder}/s")
    try:
        for path, mode in (a.path, socket_mode), (folder, folder_mode):
            os.chown(path, 0, 1)
            os.chmod(path, mode)
        # not as this test, whose files may be closed to others
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", CTL, "-s",
                               a.path, "status"], text=True, capture_output=True, check=False,
                              timeout=DEADLINE, env=environment())
        assert done.returncode == 3, done.stderr
        assert re.match(rf"ignyxctl: you may not use {a.path}: {told}", done.stderr), done.stderr
    finally:
        a.end()


def test_who_is_refused_is_told_whom_the_socket_is_for(admin):
    admin.answers["GET /status"] = 403, {"error": "forbidden", "message": "this takes more rights"}
    said = ask(admin, "status", status=1)
    assert f"this takes more rights: forbidden (403); {admin.path} is for user " in said


# --- the command line ---

@pytest.mark.parametrize("args,told", [
    ((), "no command is given"),
    (("nonsense",), 'there is no command "nonsense"'),
    (("--nonsense", "status"), "unrecognized option '--nonsense'"),
    (("status", "--slow"), "unrecognized option '--slow'"),
    (("status", "x"), 'status: unexpected argument "x"'),
    (("connection",), "connection lacks an argument: ID"),
    (("-s",), "requires an argument"),
    (("connections", "--older", "x"), "--older takes a duration"),
    (("-s", "x", "-H", "http://localhost", "status"), "choose one"),
    (("--token-file", "x", "status"), "--token-file is for -H"),
    (("-H", "ftp://localhost", "status"), "-H takes http://"),
    (("-H", "http://192.0.2.1", "--token-file", "x", "status"), "a token is sent to https://"),
])
def test_wrong_usage(args, told):
    done = ctl(*args)
    assert done.returncode == 2 and told in done.stderr and not done.stdout, done


def test_help_and_version():
    assert re.fullmatch(r"ignyxctl \d+\.\d+\.\d+\n", ctl("-V").stdout)
    assert ctl("-h").returncode == 0 and "  endpoints " in ctl("-h").stdout
    assert ctl("connections", "--help").stdout.startswith("usage: ignyxctl [OPTION...] connections\n")


def test_options_stand_before_and_behind_the_command(admin):
    admin.answers["GET /log-level"] = {"level": "info"}
    assert json.loads(ask(admin, "log-level", "--json")) == {"level": "info"}
    assert ctl("log-level", "--json", "-s", admin.path).returncode == 0


def test_an_output_that_cannot_be_written_is_an_error(admin):
    admin.answers["GET /log-level"] = {"level": "info"}
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([CTL, "-s", admin.path, "log-level"], stdin=subprocess.DEVNULL,
                              stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                              env=environment(), timeout=DEADLINE)
    assert done.returncode == 1 and "could not be written" in done.stderr


# --- completion ---

def offered(*words, env=None):
    return ctl("--complete", *words, env=env).stdout.split("\n")[:-1]


def test_completion_of_commands_and_options():
    assert offered("con") == ["connections", "connection", "config"]
    assert offered("connections", "--sl") == ["--slow"]
    assert offered("status", "--sl") == []
    assert offered("log-level", "w") == ["warning"]
    assert offered("-s", "x", "pub") == ["publish"]
    assert offered("-s", "") == []


def test_completion_of_rooms_leaves_out_what_a_shell_would_read(admin):
    rooms = ["/a", "/ab$(reboot)", "/a b", "/a\n/c", "/b"]
    admin.answers["GET /rooms"] = {"rooms": [{"room": r} for r in rooms]}
    assert offered("-s", admin.path, "rooms", "/a") == ["/a"]
    assert offered("connections", "--room", "/b", env={"IGNYX_ADMIN": admin.path}) == ["/b"]


def test_completion_in_bash(admin):
    admin.answers["GET /endpoints"] = {"endpoints": [ENDPOINT]}
    script = f'''. conf/ignyxctl.bash
COMP_WORDS=({CTL} -s {admin.path} connections --endpoint /c) COMP_CWORD=5
_ignyxctl {CTL} /c --endpoint
printf '%s\\n' "${{COMPREPLY[@]}}"'''
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True,
                          stdin=subprocess.DEVNULL, timeout=DEADLINE, env=environment(),
                          cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    assert done.stdout == "/chat\n"
