"""max_connections_per_address: what one client may have, over all workers."""

import os
import signal
import socket
import threading

import way
from harness import LOCAL, open_files, wait_until
from raw import Raw, request, text

ECHO = {"path": "/ws", "behaviour": "echo", "prefix": "Echo: "}
SINK = {"path": "/safe", "behaviour": "sink"}


def status(d, path="/ws", kept=None, address=None, **kw):
    """Asks for an upgrade; a connection that is open is kept, one that is not is closed."""
    c = Raw(address or d.address)
    c.send(request(path, **kw))
    r = c.response()
    if r.status == 101 and kept is not None:
        kept.append(c)
    else:
        c.socket.close()
    if r.status == 429:
        assert b"too-many-from-address" in r.body
        assert r.header("retry-after") is None
    return r.status


def end(kept):
    for c in kept:
        c.socket.close()
    kept.clear()


def files_of(d):
    return sum(open_files(pid) for pid in d.workers())


def room_again(d, path="/ws", kept=None, **kw):
    """Waits until one more may come."""
    wait_until("a place", lambda: status(d, path, kept, **kw) == 101)


def test_over_workers(daemon):
    d = daemon({"workers": 4, "max_connections_per_address": 10, "endpoints": [ECHO, SINK]})
    kept = []
    for n in range(10):
        assert status(d, ("/ws", "/safe")[n % 2], kept) == 101
    for _ in range(10):
        assert status(d) == 429
    assert d.log_contains(r"refused 127\.0\.0\.1:\d+ /ws with 429: the address has "
                          r"max_connections_per_address open already.* reason=too-many-from-address")
    # whoever is there is not touched
    for c in kept[::2]:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    kept.pop().socket.close()
    room_again(d, kept=kept)
    assert status(d) == 429
    end(kept)


def test_all_at_once(daemon):
    """Many that come together: as many as may be are let in, over all workers, each time."""
    limit, many = 20, 60
    d = daemon({"workers": 4, "max_connections_per_address": limit, "access_log": False})
    before = files_of(d)
    for _ in range(5):
        clients = [Raw(d.address) for _ in range(many)]
        barrier, answers = threading.Barrier(6), []

        def run(some):
            barrier.wait()
            for c in some:
                c.send(request("/ws"))
            answers.extend(c.response().status for c in some)

        threads = [threading.Thread(target=run, args=(clients[n::6],)) for n in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(answers) == [101] * limit + [429] * (many - limit)
        for c in clients:
            c.reset()
        wait_until("their end", lambda: files_of(d) == before)


def test_of_an_endpoint(daemon):
    """Both limits hold, and neither is taken from the other."""
    d = daemon({"workers": 2, "max_connections_per_address": 5, "endpoints": [
        {**ECHO, "max_connections_per_address": 2}, SINK]})
    kept = []
    assert [status(d, "/ws", kept) for _ in range(3)] == [101, 101, 429]
    assert [status(d, "/safe", kept) for _ in range(4)] == [101, 101, 101, 429]
    assert status(d, "/ws") == 429
    kept.pop(0).socket.close()
    room_again(d, "/safe", kept)
    # of all there are five, and of those to /ws one
    assert (status(d, "/ws"), status(d, "/safe")) == (429, 429)
    end(kept)


def test_worker_is_killed(daemon):
    """What a dead worker had counts no more, and what the others have still does."""
    d = daemon({"workers": 2, "max_connections_per_address": 12}, args=["-v"])
    kept = []
    for _ in range(12):
        assert status(d, kept=kept) == 101
    assert status(d) == 429
    d.expect_error("was ended by signal 9")
    victim = d.worker_at(d.worker_of(kept[0].socket.getsockname()[1]))
    os.kill(victim, signal.SIGKILL)
    d.wait_workers(2, but=[victim])
    lost = int(d.log_contains(r"; (\d+) connections? (?:was|were) lost").group(1))
    assert 0 < lost <= 12
    for _ in range(lost):
        assert status(d, kept=kept) == 101
    assert status(d) == 429
    end(kept)


def test_reloads(daemon):
    """A limit that is set counts who is there; another one, and none, hold from then on."""
    d = daemon({"workers": 4, "endpoints": [ECHO, SINK]})
    kept = []
    assert [status(d, kept=kept) for _ in range(6)] == [101] * 6
    d.change(max_connections_per_address=7)
    d.reload()
    assert [status(d, kept=kept) for _ in range(2)] == [101, 429]
    d.change(max_connections_per_address=3)
    d.reload()
    assert status(d) == 429
    while len(kept) > 2:
        kept.pop().socket.close()
    room_again(d, kept=kept)
    assert status(d) == 429
    d.change(max_connections_per_address=0, endpoints=[
        {**ECHO, "max_connections_per_address": 4}, SINK])
    d.reload()
    assert [status(d, kept=kept) for _ in range(2)] == [101, 429]
    assert status(d, "/safe", kept) == 101
    d.change(endpoints=[ECHO, SINK])
    d.reload()
    assert [status(d, kept=kept) for _ in range(8)] == [101] * 8
    for c in kept[:4]:
        c.send(text("hi"))
        assert c.text() == "Echo: hi"
    end(kept)


PROXY = "PROXY TCP{0} {1} {2} 4711 80\r\n"


def proxied(d, kept, client, there="192.0.2.200", family=4):
    c = Raw(d.address)
    c.send(PROXY.format(family, client, there).encode(), request("/ws"))
    r = c.response()
    if r.status == 101:
        kept.append(c)
    else:
        c.socket.close()
    return r.status


@way.directly("it sends PROXY headers itself")
@way.in_the_clear("it sends PROXY headers itself")
def test_behind_proxy(daemon):
    """Whom a PROXY header names: IPv4 by the address, IPv6 by its first 64 bits."""
    d = daemon({"workers": 4, "max_connections_per_address": 2,
                "listen": [{**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}]})
    kept = []
    assert [proxied(d, kept, "192.0.2.1") for _ in range(3)] == [101, 101, 429]
    assert proxied(d, kept, "192.0.2.2") == 101
    six = [proxied(d, kept, f"2001:db8:0:1::{n}", "2001:db8::2", 6) for n in range(1, 4)]
    assert six == [101, 101, 429]
    assert proxied(d, kept, "2001:db8:0:2::1", "2001:db8::2", 6) == 101
    # an IPv4 address written as one of IPv6 is the same
    assert proxied(d, kept, "::ffff:192.0.2.1", "::ffff:192.0.2.200", 6) == 429
    end(kept)


@way.directly("it sends PROXY headers itself")
@way.in_the_clear("it sends PROXY headers itself")
def test_prefixes(daemon):
    """What is one address is said by the settings, for all limits; a reload counts anew who is there."""
    d = daemon({"workers": 2, "max_connections_per_address": 2, "address_prefix_ipv4": 24,
                "address_prefix_ipv6": 48,
                "listen": [{**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}]})
    kept = []

    def of(client):
        return proxied(d, kept, client, *(("2001:db8::2", 6) if ":" in client else ()))

    assert [of(f"192.0.2.{n}") for n in range(1, 4)] == [101, 101, 429]
    assert of("192.0.3.1") == 101
    assert [of(f"2001:db8:0:{n}::1") for n in range(3)] == [101, 101, 429]
    d.change(address_prefix_ipv4=32, address_prefix_ipv6=128)
    d.reload()
    d.log_contains("setting address_prefix_ipv6 48 -> 128")
    assert [of("192.0.2.1") for _ in range(2)] == [101, 429]
    assert [of("2001:db8:0:1::1") for _ in range(2)] == [101, 429]
    assert [of("2001:db8:0:1::2") for _ in range(3)] == [101, 101, 429]
    d.change(address_prefix_ipv4=8)
    d.reload()
    assert of("192.200.0.1") == 429
    end(kept)


@way.directly("HAProxy names no client by a header")
def test_forwarded(daemon):
    d = daemon({"workers": 2, "max_connections_per_address": 2, "listen": [
        {**LOCAL, "forwarded": "x-forwarded-for", "trusted": ["127.0.0.1"]}]})
    kept = []

    def ask(client):
        return status(d, kept=kept, headers={"X-Forwarded-For": client})

    assert [ask("192.0.2.1") for _ in range(3)] == [101, 101, 429]
    assert ask("192.0.2.2") == 101
    end(kept)


@way.directly("it is about addresses of sockets")
def test_addresses_apart(daemon):
    d = daemon({"workers": 2, "max_connections_per_address": 1})
    kept = []
    for n in range(1, 5):
        c = Raw.__new__(Raw)
        c.socket = socket.create_connection(d.address, source_address=(f"127.0.0.{n}", 0))
        c.data = bytearray()
        if way.CONTEXT:
            c.socket = way.CONTEXT.wrap_socket(c.socket, server_hostname="localhost")
        c.send(request("/ws"))
        assert c.response().status == 101
        kept.append(c)
    assert status(d) == 429
    end(kept)


@way.directly("it is about a unix socket")
def test_unix_sockets_are_not_counted(daemon, directory):
    path = os.path.join(directory, "s")
    d = daemon({"workers": 2, "max_connections_per_address": 1, "listen": [LOCAL, {"unix": path}]})
    kept = []
    assert [status(d, kept=kept, address=path) for _ in range(5)] == [101] * 5
    assert [status(d, kept=kept) for _ in range(2)] == [101, 429]
    end(kept)
