"""Listening sockets that a service manager hands in (tests/systemd has a real one)."""

import re
import socket
import sys

import pytest

import handed
from apart import option_of_listening
from harness import LOCAL, open_files, wait_until
from raw import Raw, text

WEB = {"systemd": "web"}


def wrapped(names):
    return (sys.executable, handed.__file__, names)


def ports(d):
    with open(d.log_file + ".out", encoding="ascii") as f:
        return [int(port) for port in f.readline().split()]


def check_echo(port):
    with Raw(("127.0.0.1", port)) as c:
        c.upgrade("/ws").send(text("hi"))
        assert c.text() == "Echo: hi"


def test_one_for_all_workers(daemon):
    d = daemon({"listen": [WEB], "workers": 3}, wrap=wrapped("web"))
    for _ in range(10):
        check_echo(ports(d)[0])


def test_small_messages_do_not_wait(daemon):
    """Ours or handed in, TCP sends them at once."""
    for d in (daemon({"listen": [LOCAL]}),
              daemon({"listen": [WEB]}, wrap=wrapped("web"))):
        assert option_of_listening(d.workers()[0], socket.TCP_NODELAY) != 0


@pytest.mark.parametrize("name", ["datagram", "deaf"])
def test_what_takes_no_connections(daemon, name):
    d = daemon({"listen": [{"systemd": name}]}, start=False, wrap=wrapped(name))
    d.refuses(rf'{d.place("systemd")}: cannot listen on systemd:{name}: .*; the service manager '
              r"handed in something that takes no connections: see ListenStream=")


def test_one_for_each_worker_and_one_beside(daemon):
    d = daemon({"listen": [WEB, LOCAL]}, wrap=wrapped("web:web"))
    # the kernel gives these to nobody but who accepts on that very socket
    for port in ports(d):
        for _ in range(4):
            check_echo(port)
    check_echo(d.port)


def test_it_stays_over_reloads(daemon):
    d = daemon({"listen": [WEB]}, wrap=wrapped("web"))
    port, files = ports(d)[0], open_files(d.pid)
    with Raw(("127.0.0.1", port)) as c:
        c.upgrade("/ws")
        for rounds in range(3):
            d.change(listen=[WEB, LOCAL] if rounds % 2 == 0 else [WEB])
            d.reload()
            check_echo(port)
        c.send(text("still"))
        assert c.text() == "Echo: still"
    d.change(listen=[WEB])
    d.reload()
    wait_until("the files of the beginning", lambda: open_files(d.pid) == files)


def test_name_that_was_not_handed_in(daemon):
    d = daemon({"listen": [{"systemd": "wss"}]}, start=False, wrap=wrapped("web"))
    d.refuses(rf'{d.place("systemd")}: cannot listen on systemd:wss: .*; the service manager handed '
              r"in no socket of that name: see FileDescriptorName= in its socket unit")


def test_name_that_was_not_handed_in_at_a_reload(daemon):
    d = daemon({"listen": [WEB]}, wrap=wrapped("web"))
    d.expect_error("handed in no socket of that name")
    d.expect_error("reload refused")
    d.change(listen=[WEB, {"systemd": "wss"}])
    d.reload(expect=False)
    check_echo(ports(d)[0])


def test_socket_that_nobody_wants(daemon):
    d = daemon({"listen": [WEB]}, wrap=wrapped("web:old"))
    d.log_contains(r'warning: the service manager handed in a socket named "old", which no listener '
                   r'has as "systemd"')
    check_echo(ports(d)[0])


def test_nobody_wants_any(daemon):
    d = daemon({"listen": [LOCAL]}, wrap=wrapped("web"))
    d.log_contains('handed in a socket named "web"')
    check_echo(d.port)


def stored_as(d, since=-1):
    """The name that sockets are stored under next."""
    told = d.notify.wait(r"^FDSTORE=1$", since + 1)[1]
    return re.search(r"^FDNAME=(ignyxd,.*)$", told, re.M).group(1)


@pytest.mark.parametrize("workers", [1, 3])
def test_stored_ones_are_offered_to_the_service_manager(daemon, workers):
    # whose answer is not waited for; each goes in a message of its own with its descriptors
    d = daemon({"listen": [LOCAL], "workers": workers}, env={"FDSTORE": "64"})
    old = stored_as(d)
    assert old.startswith("ignyxd,127.0.0.1"), old
    check_echo(d.port)
    # more workers have more sockets; those under the name are stored anew, not once more
    at = len(d.notify.messages)
    d.change(workers=workers + 1)
    d.reload()
    at, _ = d.notify.wait(rf"^FDSTOREREMOVE=1\nFDNAME={re.escape(old)}$", at)
    at, _ = d.notify.wait(rf"^FDSTORE=1\nFDNAME={re.escape(old)}$", at)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        d.change(listen=[{"address": "127.0.0.1", "port": s.getsockname()[1]}])
    d.reload()
    d.notify.wait(rf"^FDSTOREREMOVE=1\nFDNAME={re.escape(old)}$", at)
    assert stored_as(d, at) != old


def test_stored_ones_come_back(daemon):
    """Port 0 is then the one of the run before."""
    name = stored_as(daemon({"listen": [LOCAL], "workers": 1}, env={"FDSTORE": "64"}))
    d = daemon({"listen": [LOCAL], "workers": 1}, wrap=wrapped(name), env={"FDSTORE": "64"})
    assert d.port == ports(d)[0]
    check_echo(d.port)


def test_stored_ones_of_more_workers(daemon):
    """Nobody is put into the queue of one that no worker has."""
    name = stored_as(daemon({"listen": [LOCAL], "workers": 1}, env={"FDSTORE": "64"}))
    d = daemon({"listen": [LOCAL], "workers": 1}, wrap=wrapped(f"{name}:{name}"),
               env={"FDSTORE": "64"})
    taken, left = ports(d)
    assert taken == d.port
    with pytest.raises(ConnectionRefusedError):
        Raw(("127.0.0.1", left))


def test_stored_ones_that_nobody_wants_any_more(daemon):
    """The service manager takes its time to close what it has of them."""
    name = stored_as(daemon({"listen": [LOCAL], "workers": 1}, env={"FDSTORE": "64"}))
    d = daemon({"listen": [WEB]}, wrap=wrapped(f"{name}:web"), env={"FDSTORE": "64"})
    stored, web = ports(d)
    assert f"FDNAME={name}" in d.notify.wait(r"^FDSTOREREMOVE=1$")[1]
    check_echo(web)
    with pytest.raises(ConnectionRefusedError):
        Raw(("127.0.0.1", stored))
