"""The command line, exit statuses, what keeps a daemon from starting, and who it runs as."""

import grp
import os
import platform
import re
import signal
import socket
import stat
import sys

import pytest

import barren
import strange
from apart import (AS_NOBODY, NOBODY, OWN_NETWORK, give_to_nobody, in_network_of, needs_network,
                   needs_root, status_of)
from harness import (CONFIG, DEADLINE, FAILED, FIVE, LOCAL, Daemon, free_port,
                     run_program, taken_port, title_of, wait_until)
from raw import Raw, text

BAD = """\
workers = "many";
listen = ( { address = "127.0.0.1"; port = 70000; } );
endpoints = (
	{ path = "/a"; behaviour = "ecco"; },
	{ path = "/b"; behaviour = "echo"; max_mesage = "1K"; },
	{ path = "/b"; behaviour = "sink"; },
	{ path = "/c"; }
);
"""

BAD_ERRORS = [
    '{0}:1: "workers" must be a whole number, not the string "many"',
    '{0}:2: listen 1: "port" must be from 0 to 65535, not 70000',
    '{0}:4: endpoint "/a": unknown behaviour "ecco" (did you mean "echo"?)',
    '{0}:5: endpoint "/b": unknown setting "max_mesage" (did you mean "max_message"?)',
    '{0}:6: endpoint "/b": "path" is declared already at {0}:5',
    '{0}:7: endpoint "/c": missing setting "behaviour"',
]


def answers(address, path="/ws"):
    with Raw(address) as c:
        c.upgrade(path).send(text("hi"))
        return c.text() == "Echo: hi"


def listing(directory):
    return sorted(os.path.join(d, f) for d, _, files in os.walk(directory) for f in files)


# --- the command line ---


def test_version():
    r = run_program("-V")
    assert (r.returncode, r.stderr) == (0, "")
    assert re.fullmatch(r"ignyxd \d+\.\d+\.\d+\S*\n", r.stdout)


@pytest.mark.parametrize("short, long", [("-V", "--version"), ("-h", "--help")])
def test_long_options(short, long):
    """What anybody tries first."""
    a, b = run_program(short), run_program(long)
    assert (b.returncode, b.stderr) == (0, "") and a.stdout == b.stdout != ""


def test_help():
    r = run_program("-h")
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout.startswith("usage: ignyxd ")
    for option in "ctrvVh":
        assert f"\n  -{option} " in r.stdout


@pytest.mark.parametrize("args, said", [
    (["-x"], "'x'"),
    (["-c"], "'c'"),
    (["-t", "more"], '"more"'),
    (["ignyxd.conf"], '"ignyxd.conf"'),
    (["-t", "-r"], "-t only looks"),
])
def test_usage_errors(args, said):
    r = run_program(*args)
    assert (r.returncode, r.stdout) == (2, "")
    assert said in r.stderr.splitlines()[0]
    assert "usage: ignyxd " in r.stderr


# --- -t ---


def test_check_of_a_valid_file(daemon):
    d = daemon(start=False)
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 0
    assert r.stdout == f"{d.file}: configuration is valid\n"
    # at most that root is not who the daemon is
    assert r.stderr == "" or "checked as root" in r.stderr


def test_check_tells_all_errors_at_once(daemon):
    d = daemon(start=False, text=BAD)
    r = run_program("-t", "-c", d.file)
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr.splitlines() == [e.format(d.file) for e in BAD_ERRORS] + \
        [f"{d.file}: 6 errors"]


@pytest.mark.parametrize("code, valid", [(1000, True), (1005, False), (1015, False),
                                         (2999, False), (3000, True)])
def test_check_knows_close_codes(daemon, code, valid):
    once = {"path": "/once", "behaviour": "oneshot", "message": "Goodbye!", "code": code}
    d = daemon({"endpoints": [once]}, start=False)
    r = run_program("-t", "-c", d.file)
    assert (r.returncode == 0) == valid, r.stderr
    assert (f'"code" {code} is not a code that a close frame may carry' in r.stderr) != valid


@pytest.mark.parametrize("behaviour", ["echo", "room"])
def test_check_knows_how_long_a_prefix_may_be(daemon, behaviour):
    for size in (4096, 4097):
        endpoint = {"path": "/", "behaviour": behaviour, "prefix": "x" * size}
        d = daemon({"endpoints": [endpoint]}, start=False)
        r = run_program("-t", "-c", d.file)
        assert (r.returncode == 0) == (size == 4096), r.stderr
    assert '"prefix" must have at most 4096 bytes, not 4097' in r.stderr


def test_check_tells_the_included_file(daemon):
    d = daemon(start=False, text='listen = ( { address = "127.0.0.1"; port = 0; } );\n'
                                 'endpoints = (\n@include "more/*.conf"\n);\nworkerz = 1;\n')
    os.mkdir(os.path.join(d.directory, "more"))
    more = os.path.join(d.directory, "more", "a.conf")
    with open(more, "w", encoding="utf-8") as f:
        f.write('# one\n{ path = "/a"; behaviour = "nothing"; }\n')
    r = run_program("-t", "-c", d.file)
    assert r.returncode == 1
    assert f"{more}:2: endpoint " in r.stderr
    assert f'{d.file}:5: unknown setting "workerz" (did you mean "workers"?)' in r.stderr


def test_check_opens_and_changes_nothing(daemon):
    taken, port = taken_port()
    with taken:
        d = daemon({"listen": [{"address": "127.0.0.1", "port": port}]}, start=False)
        path = os.path.join(d.directory, "ws.sock")
        d.change(listen=[*d.settings["listen"], {"unix": path}],
                 runtime_dir=os.path.join(d.directory, "run"))
        before = listing(d.directory)
        r = run_program("-t", "-c", d.file, env=d.env)
        assert r.returncode == 0, r.stderr
        assert listing(d.directory) == before
        assert not os.path.exists(os.path.join(d.directory, "run"))
        assert d.notify.messages == []


def test_check_beside_a_running_daemon(five):
    r = run_program("-t", "-c", five.file)
    assert r.returncode == 0, r.stderr
    assert answers(five.address)
    with open(os.path.join(five.directory, "ignyxd.pid"), encoding="ascii") as f:
        assert int(f.read()) == five.pid


@needs_root
def test_check_reads_as_the_user(daemon):
    """What root alone can read would be missing at the first reload."""
    d = daemon({"user": "nobody"}, start=False)
    give_to_nobody(d.directory)
    r = run_program("-t", "-c", d.file)
    assert (r.returncode, r.stderr) == (0, "")
    os.chmod(d.file, 0o600)
    r = run_program("-t", "-c", d.file)
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr.startswith(f"{d.file}: cannot read: Permission denied for the user \"nobody\"\n")
    d.refuses(r"cannot read: Permission denied", "not started: ")


def test_check_of_a_file_that_is_not_there(directory):
    path = os.path.join(directory, "none.conf")
    r = run_program("-t", "-c", path)
    assert r.returncode == 1
    assert r.stderr == f"{path}: cannot read: No such file or directory\n{path}: 1 error\n"
    r = run_program("-t", "-c", directory)
    assert r.returncode == 1
    assert r.stderr.startswith(f"{directory}: cannot read: it is a directory\n")


def test_check_does_not_wait_for_a_fifo(directory):
    path = os.path.join(directory, "fifo")
    os.mkfifo(path)
    r = run_program("-t", "-c", path)
    assert r.returncode == 1
    assert "it is not a regular file" in r.stderr


# --- errors at start ---


def test_errors_of_the_file_at_start(daemon):
    d = daemon(start=False, text=BAD)
    log = d.refuses(*(re.escape(e.format(d.file)) for e in BAD_ERRORS), r"not started: .* \(6\)")
    assert len(log.splitlines()) == 7
    assert d.notify.messages == []


def test_only_a_wrong_configuration_exits_with_78(daemon, directory):
    """What another start will find as it is, and a service manager need not try again.

    -t and -r keep 1, and so does what may be otherwise the next time."""
    d = daemon(start=False, text=BAD)
    d.refuses(*(re.escape(e.format(d.file)) for e in BAD_ERRORS), "not started")
    assert d.process.returncode == CONFIG
    for what in ("-t", "-r"):
        assert run_program(what, "-c", d.file).returncode == FAILED
    assert run_program("-c", os.path.join(directory, "none.conf")).returncode == CONFIG
    assert run_program("-x").returncode == 2
    taken, port = taken_port()
    with taken:
        d = daemon({"listen": [{"address": "127.0.0.1", "port": port}]}, start=False)
        d.refuses("Address already in use")
        assert d.process.returncode == FAILED
    # and it is there at the next try, without a change
    d.start()
    assert answers(d.address)


def test_port_of_another_program(daemon):
    taken, port = taken_port()
    with taken:
        d = daemon({"listen": [LOCAL, {"address": "127.0.0.1", "port": port}]}, start=False)
        log = d.refuses(rf"{d.place(str(port))}: cannot listen on 127\.0\.0\.1:{port}: "
                        "Address already in use; another program listens there")
        assert "event=bind-failed" in log
        assert "or systemd for ignyxd.socket" in log, "who it may be besides"
        assert d.notify.find("READY=1") is None


def test_port_of_a_second_ignyxd(daemon):
    """It shares its port between its own processes, not with a second daemon."""
    port = free_port()
    first = daemon({"listen": [{"address": "127.0.0.1", "port": port}]})
    second = daemon({"listen": [{"address": "127.0.0.1", "port": port}]}, start=False)
    second.refuses(rf"{second.place(str(port))}: cannot listen on 127\.0\.0\.1:{port}: "
                   "Address already in use; .*perhaps a second ignyxd")
    assert answers(first.address)


def test_second_daemon_with_the_same_file(daemon, directory):
    first = daemon()
    second = Daemon(directory, notify=False)
    second.file = first.file
    second.refuses(f"runtime_dir {re.escape(first.directory)}: another ignyxd uses it")
    assert answers(first.address)
    # and its files are still there
    assert run_program("-r", "-c", first.file).returncode == 0


def test_runtime_dir_that_cannot_be(daemon):
    d = daemon({"runtime_dir": "/proc/ignyxd"}, start=False)
    d.refuses("runtime_dir /proc/ignyxd: cannot make it: No such file or directory")


def test_link_in_the_place_of_the_pid_file(daemon):
    """Who may write to runtime_dir does not get to write elsewhere by it."""
    d = daemon(start=False)
    other = os.path.join(d.directory, "other")
    with open(other, "w", encoding="ascii") as f:
        f.write("precious")
    os.symlink(other, os.path.join(d.directory, "ignyxd.pid"))
    d.refuses(f"runtime_dir {re.escape(d.directory)}: cannot write ignyxd.pid: "
              "Too many levels of symbolic links")
    with open(other, encoding="ascii") as f:
        assert f.read() == "precious"


def test_address_of_another_machine(daemon):
    d = daemon({"listen": [{"address": "192.0.2.77", "port": 0}]}, start=False)
    d.refuses(rf"{d.place('192')}: cannot listen on 192\.0\.2\.77:0: Cannot assign requested "
              "address; no interface of this machine has that address")


def test_a_daemon_that_does_not_start_leaves_nothing_behind(daemon):
    taken, port = taken_port()
    with taken:
        d = daemon(start=False)
        path = os.path.join(d.directory, "ws.sock")
        d.change(listen=[{"unix": path}, {"address": "127.0.0.1", "port": port}])
        d.refuses("cannot listen on")
        assert {"ws.sock", "ignyxd.pid", "reload"} & set(os.listdir(d.directory)) == set()


def test_port_is_free_again_at_once(daemon):
    """Connections of a daemon that is gone do not keep the next from listening."""
    port = free_port()
    settings = {"listen": [{"address": "127.0.0.1", "port": port}]}
    first = daemon(settings)
    with Raw(first.address) as c:
        c.upgrade()
        first.kill(signal.SIGTERM)
        c.closed(1001)
    assert first.wait() == 0
    assert answers(daemon(settings).address)


# --- unix sockets ---


def unix_daemon(daemon, start=True, **listener):
    d = daemon(start=False)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[{"unix": path, **listener}])
    return (d.start() if start else d), path


def test_unix_socket(daemon):
    d, path = unix_daemon(daemon, mode="0604")
    mode = os.stat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o604
    assert answers(path)
    d.log_contains(rf"opened /ws \S+ event=conn-open .*peer=unix:uid={os.getuid()},pid={os.getpid()}\b")
    assert d.stop() == 0
    assert not os.path.exists(path)


def test_unix_socket_group(daemon):
    others = [g for g in os.getgroups() if g != os.getgid()] or [grp.getgrnam("nogroup").gr_gid]
    if os.getuid() != 0 and others[0] not in os.getgroups():
        pytest.skip("this user is in one group only")
    _, path = unix_daemon(daemon, group=grp.getgrgid(others[0]).gr_name)
    assert os.stat(path).st_gid == others[0]
    assert answers(path)


def test_unix_socket_group_that_is_none(daemon):
    d, _ = unix_daemon(daemon, start=False, group="no-such-group")
    d.expect_error("not started")
    d.refuses(r'listen 1: "group" is "no-such-group", which does not exist')


def test_unix_socket_mode_by_default(daemon):
    before = os.umask(0o077)
    try:
        _, path = unix_daemon(daemon)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_unix_socket_in_use(daemon):
    d, path = unix_daemon(daemon, start=False)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(1)
        d.refuses(rf"{d.place('unix')}: cannot listen on unix:{re.escape(path)}: "
                  "Address already in use")
        assert os.path.exists(path), "it is the other's"
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(path)


def test_stale_unix_socket_is_replaced(daemon):
    d, path = unix_daemon(daemon, start=False)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    d.start()
    assert answers(path)


def test_file_in_the_way_of_a_unix_socket(daemon):
    d, path = unix_daemon(daemon, start=False)
    with open(path, "w", encoding="ascii") as f:
        f.write("precious")
    d.refuses(rf"{d.place('unix')}: cannot listen on .*; there is a file in the way")
    with open(path, encoding="ascii") as f:
        assert f.read() == "precious"


def test_unix_socket_in_a_folder_that_is_not_there(daemon):
    d = daemon(start=False)
    d.change(listen=[{"unix": os.path.join(d.directory, "none", "ws.sock")}])
    d.refuses(rf"{d.place('unix')}: cannot listen on .*; the folder of the socket does not exist")


# --- who it runs as ---


def capabilities(pid, which="CapEff"):
    return int(status_of(pid)[which], 16)


BIND_SERVICE = 1 << 10


@needs_root
def test_becomes_the_user(daemon):
    d = daemon({"user": "nobody"}, start=False)
    give_to_nobody(d.directory)
    path = os.path.join(d.directory, "ws.sock")
    d.change(listen=[LOCAL, {"unix": path}])
    d.start()
    assert answers(d.address) and answers(path)
    assert os.stat(path).st_uid == NOBODY.pw_uid
    groups = sorted(set(os.getgrouplist("nobody", NOBODY.pw_gid)))
    for pid in (d.pid, *d.workers()):
        s = status_of(pid)
        assert s["Uid"].split() == [str(NOBODY.pw_uid)] * 4
        assert s["Gid"].split() == [str(NOBODY.pw_gid)] * 4
        assert sorted(map(int, s["Groups"].split())) == groups
        assert capabilities(pid, "CapInh") == capabilities(pid, "CapAmb") == 0
    for which in ("CapEff", "CapPrm"):
        assert capabilities(d.pid, which) == BIND_SERVICE
        assert [capabilities(w, which) for w in d.workers()] == [0, 0]
    for pid in (d.pid, *d.workers()):
        assert status_of(pid)["NoNewPrivs"] == "1"
        assert capabilities(pid, "CapBnd") == BIND_SERVICE, "the bounding set is dropped, too"
    d.reload()
    assert answers(d.address)
    assert "running as root" not in d.log()


@needs_root
def test_check_as_root_without_a_user(daemon):
    """The daemon may be somebody else, by the will of its service manager."""
    r = run_program("-t", "-c", daemon(start=False).file)
    assert (r.returncode, r.stderr) == (0, "warning: checked as root, who may read all files: "
                                        "check as the user that the daemon runs as\n")


@needs_root
def test_root_without_a_user_is_warned(daemon):
    d = daemon()
    d.log_contains(r"warning: running as root: set \"user\" to an unprivileged user")
    assert status_of(d.pid)["Uid"].split() == ["0"] * 4
    for which in ("CapEff", "CapBnd"):
        assert [capabilities(w, which) for w in d.workers()] == [0, 0]


def test_user_that_does_not_exist(daemon):
    d = daemon({"user": "no-such-user-here"}, start=False)
    d.refuses(rf'{d.place("user")}: "user" is "no-such-user-here", who does not exist',
              "not started")


@needs_root
def test_as_an_unprivileged_user_from_the_beginning(daemon):
    d = daemon(start=False, wrap=AS_NOBODY)
    give_to_nobody(d.directory)
    d.start()
    assert answers(d.address)
    assert capabilities(d.pid) == 0
    assert "running as root" not in d.log()


@needs_network
def test_privileged_port_without_the_privilege(daemon):
    d = daemon({"listen": [{"address": "127.0.0.1", "port": 80}]}, start=False,
               wrap=OWN_NETWORK + AS_NOBODY)
    give_to_nobody(d.directory)
    d.refuses(rf"{d.place('port = 80')}: cannot listen on 127\.0\.0\.1:80: Permission denied; "
              "a port below 1024 needs CAP_NET_BIND_SERVICE")


@needs_network
def test_privileged_port_as_the_user(daemon):
    """At start, and at a reload just the same."""
    d = daemon({"user": "nobody", "listen": [{"address": "127.0.0.1", "port": 80}]}, start=False,
               wrap=OWN_NETWORK)
    give_to_nobody(d.directory)
    d.start()
    assert in_network_of(d.pid, lambda: answers(("127.0.0.1", 80)))
    d.change(listen=[{"address": "127.0.0.1", "port": 81}])
    d.reload()
    assert in_network_of(d.pid, lambda: answers(("127.0.0.1", 81)))
    with pytest.raises(ConnectionRefusedError):
        in_network_of(d.pid, lambda: Raw(("127.0.0.1", 80)))


@needs_network
def test_all_addresses_of_both_families_on_one_port(daemon):
    d = daemon({"listen": [{"address": "0.0.0.0", "port": 8080},
                           {"address": "::", "port": 8080}]}, wrap=OWN_NETWORK)
    d.log_contains(r"listening on 0\.0\.0\.0:8080")
    d.log_contains(r"listening on \[::\]:8080")
    assert in_network_of(d.pid, lambda: answers(("127.0.0.1", 8080)))
    assert in_network_of(d.pid, lambda: answers(("::1", 8080)))
    d.log_contains(r"conn-open .*peer=127\.0\.0\.1:")
    d.log_contains(r"conn-open .*peer=\[::1\]:")


@needs_network
def test_ipv6_address_takes_no_ipv4(daemon):
    d = daemon({"listen": [{"address": "::", "port": 8080}]}, wrap=OWN_NETWORK)
    assert in_network_of(d.pid, lambda: answers(("::1", 8080)))
    with pytest.raises(ConnectionRefusedError):
        in_network_of(d.pid, lambda: Raw(("127.0.0.1", 8080)))


# --- the processes ---


def test_a_worker_for_each_cpu(daemon):
    d = daemon({"workers": 0})
    count = min(len(os.sched_getaffinity(0)), 64)
    assert len(d.workers()) == count
    d.log_contains(rf"ready: {count} workers, {len(FIVE)} endpoints")


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "fe80::1"])
def test_address_that_cannot_be_listened_on(daemon, address):
    d = daemon({"listen": [{"address": address, "port": 0}]}, start=False)
    d.refuses(rf"{d.place('address')}: cannot listen on \[{address}\]:0: Invalid argument; "
              "an IPv4 address is to be written as one")


# becomes the daemon with what it makes as the one descriptor that a service manager hands in
HANDS_IN = """
import os, socket, sys
made = eval(sys.argv[1])
os.dup2(made.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="ws")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("what", [
    "socket.socket(type=socket.SOCK_DGRAM)",
    "socket.socket()",
    "socket.socketpair()[0]",
    "open('/dev/null')",
])
def test_what_is_handed_in_takes_no_connections(daemon, what):
    d = daemon({"listen": [{"systemd": "ws"}]}, start=False,
               wrap=(sys.executable, "-c", HANDS_IN, what))
    d.refuses(rf"{d.place('systemd')}: cannot listen on systemd:ws: .*; the service manager handed "
              "in something that takes no connections: see ListenStream=")


def test_socket_that_is_handed_in(daemon):
    port = free_port()
    daemon({"listen": [{"systemd": "ws"}]}, wrap=(
        sys.executable, "-c", HANDS_IN, f"socket.create_server(('127.0.0.1', {port}))"))
    assert answers(("127.0.0.1", port))


@pytest.mark.parametrize("size, lag", [("64K", "16K"), ("4G", "1G")])
def test_bus_as_small_and_as_large_as_it_can_be(daemon, size, lag):
    d = daemon({"bus_size": size, "bus_lag": lag, "max_message": "4K",
                "endpoints": FIVE[:1]})
    assert answers(d.address)


def test_sixty_workers(daemon):
    # on a slow machine they wait for each other
    d = daemon({"workers": 60, "worker_timeout": "5m"})
    assert len(d.workers()) == 60
    assert answers(d.address)


@pytest.mark.parametrize("env", [{}, {"LONG": "x" * 3000}])
def test_titles_of_the_processes(daemon, env):
    """In ps and top each process says what it is, a reload and a new worker included."""
    d = daemon({"workers": 3}, env=env)

    def titles():
        return sorted(title_of(pid) for pid in d.workers())

    assert title_of(d.pid) == "ignyxd: master"
    assert titles() == [f"ignyxd: worker {i}" for i in range(3)]
    d.reload()
    d.expect_error("was ended by signal 9")
    first = d.workers()
    os.kill(first[1], signal.SIGKILL)
    d.wait_workers(3, but=[first[1]])
    wait_until("their titles", lambda: titles() == [f"ignyxd: worker {i}" for i in range(3)])
    assert title_of(d.pid) == "ignyxd: master"
    # for pgrep -x and killall
    for pid in (d.pid, *d.workers()):
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            assert f.read() == "ignyxd\n"


def test_pid_file_of_a_successor(daemon):
    """Who ends removes its own, not what has its name by now."""
    d = daemon()
    path, other = (os.path.join(d.directory, name) for name in ("ignyxd.pid", "other"))
    with open(other, "w", encoding="ascii") as f:
        f.write("1\n")
    os.replace(other, path)
    assert d.stop() == 0
    with open(path, encoding="ascii") as f:
        assert f.read() == "1\n"


def test_pid_file(daemon):
    d = daemon()
    path = os.path.join(d.directory, "ignyxd.pid")
    with open(path, encoding="ascii") as f:
        assert f.read() == f"{d.pid}\n"
    assert d.stop() == 0
    assert not os.path.exists(path)


def test_pid_file_that_was_left_over(daemon):
    d = daemon(start=False)
    with open(os.path.join(d.directory, "ignyxd.pid"), "w", encoding="ascii") as f:
        f.write("1234567890\n")
    d.start()
    with open(os.path.join(d.directory, "ignyxd.pid"), encoding="ascii") as f:
        assert f.read() == f"{d.pid}\n"


@pytest.mark.parametrize("blocks, settings, what", [
    (2048, {}, "for the table that counts connections: File too large; lower max_connections or "),
    (2048, {"max_connections": 100}, "to share with the workers: File too large; "),
    (40960, {"bus_size": "32M", "max_connections": 100},
     "for the bus of 33554432 bytes: File too large; lower bus_size or ")],
    ids=["connections", "counters", "bus"])
def test_limit_of_file_sizes_is_an_error_and_not_the_end(daemon, blocks, settings, what):
    d = daemon(settings, start=False, wrap=("sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"))
    d.refuses(rf"there is no memory {what}raise the limit of file sizes \(ulimit -f\)")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_standard_descriptors_that_are_closed(daemon, closed):
    """No file of the daemon's may take their place, and have the log written to it."""
    port = free_port()
    d = daemon({"listen": [{"address": "127.0.0.1", "port": port}], "log_level": "debug"},
               start=False, wrap=(sys.executable, strange.__file__,
                                  *(f"closed={fd}" for fd in closed), "--"))
    d.start()
    for pid in (d.pid, *d.workers()):
        for fd in closed:
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
    assert answers(("127.0.0.1", port))
    d.kill(signal.SIGHUP)
    d.notify.wait("^RELOADING=1$")
    d.notify.wait("^READY=1$", d.notify.find("^RELOADING=1$"))
    with open(os.path.join(d.directory, "ignyxd.pid"), encoding="ascii") as f:
        assert f.read() == f"{d.pid}\n"
    with open(os.path.join(d.directory, "reload"), encoding="ascii") as f:
        assert re.fullmatch(r"1 applied\nconfiguration reloaded: .*\n", f.read())


@pytest.mark.skipif(platform.machine() not in barren.PRCTL, reason="no filter for this machine")
def test_gives_up_when_no_worker_comes_up(daemon):
    """They fail by themselves: a worker that is to be killed may be ready before."""
    # each is started three times, for which a busy machine takes its time
    d = daemon({"workers": 2}, start=False, wrap=(sys.executable, barren.__file__))
    d.expect_error("cannot start: Operation not permitted")
    d.expect_error("exited with status 1 while starting|the admin process .* exited with status 1")
    d.expect_error("giving up: the workers do not come up; see above")
    d.launch()
    assert d.wait(4 * DEADLINE) == 3, d.log()
    assert d.notify.find(r"^READY=1$") is None


def test_too_many_connections_for_the_limit_of_files(daemon):
    d = daemon({"max_connections": 900}, start=False,
               wrap=("sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"))
    d.refuses(rf'{d.place("max_connections")}: "max_connections" must be at most \d+, not 900: '
              r"the limit of open files \(RLIMIT_NOFILE\) is 1024", "not started")
