"""Connections before their upgrade: how many there may be, and who makes way."""

import asyncio
import socket
import time

import way
from harness import DEADLINE, LOCAL, proc_stat, wait_until
from raw import Member, Raw, run, text

HALF = b"GET /ws HTTP/1.1\r\nHost: x\r\n"

# HAProxy has openings of its own, and tells of the client before the first byte of a request
pytestmark = way.directly("it is the proxy that has half-open clients")


class Crowd:
    """Many clients that say something, and then no more."""

    def __init__(self, address):
        self.address = address
        self.clients = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.clients:
            s.close()

    def grow(self, count, said=HALF, source="127.0.0.1"):
        for _ in range(count):
            s = socket.socket()
            s.settimeout(DEADLINE)
            s.bind((source, 0))
            s.connect(self.address)
            if said:
                s.sendall(said)
            self.clients.append(s)

    def gone(self):
        """Those that have ended, with what they were sent."""
        out = {}
        for i, s in enumerate(self.clients):
            s.setblocking(False)
            data = b""
            try:
                while True:
                    more = s.recv(65536)
                    if not more:
                        out[i] = data
                        break
                    data += more
            except BlockingIOError:
                pass
            except ConnectionError:
                out[i] = data
        return out


def echo(c, said="hi"):
    c.send(text(said))
    assert c.text() == f"Echo: {said}"


@way.in_the_clear("a half request would have to be one of TLS")
def test_half_requests_keep_nobody_out(daemon):
    """With more of them than there are places, who comes behind them is served, if a bit later."""
    d = daemon({"workers": 1, "max_handshakes": 200, "max_connections": 100})
    with Raw(d.address) as before, Crowd(d.address) as crowd:
        before.upgrade("/ws")
        crowd.grow(600)
        for _ in range(20):
            with Raw(d.address) as c:
                echo(c.upgrade("/ws"))
        echo(before)
        wait_until("the end of 400", lambda: len(crowd.gone()) >= 400)
    line = d.log_contains(r"^.*refused .*too-many-handshakes.*$").group()
    assert "code=503" in line, line


@way.in_the_clear("a half request would have to be one of TLS")
def test_answer(daemon):
    d = daemon({"workers": 1, "max_handshakes": 1})
    with Raw(d.address) as slow:
        slow.send(HALF)
        with Raw(d.address) as c:
            echo(c.upgrade("/ws"))
        r = slow.response()
        assert (r.status, r.header("retry-after")) == (503, "5")
        assert b"too-many-handshakes" in r.body
        slow.ends()
    d.log_count(r"refused .* /ws with 503: the server has max_handshakes clients", 1)


@way.in_the_clear("a half request would have to be one of TLS")
def test_an_address_that_has_few_stays(daemon):
    """Who makes way is of the address that has most, however old the others are."""
    d = daemon({"workers": 1, "max_handshakes": 20, "handshake_timeout": "10m"})
    with Crowd(d.address) as few, Crowd(d.address) as many:
        few.grow(3, source="127.0.0.2")
        many.grow(60)
        with Raw(d.address) as c:
            echo(c.upgrade("/ws"))
        wait_until("all 60 to be accepted", lambda: len(many.gone()) >= 43)
        assert not few.gone()


def test_who_comes_back_together(daemon):
    """A storm from one address, all at once, with few places: each of them is served."""
    d = daemon({"workers": 1, "max_handshakes": 8, "access_log": False})

    async def one():
        m = await Member.open(d.address, "/ws")
        m.send(b"hi")
        await m.count(1)
        return m

    async def storm():
        members = await asyncio.gather(*(one() for _ in range(300)))
        assert all(m.messages == [b"Echo: hi"] for m in members)
        for m in members:
            m.transport.abort()

    run(storm())
    assert "too-many-handshakes" not in d.log()


def test_sleeps_while_it_is_full(daemon):
    """Young openings at the limit and a queue behind them cost no CPU, and no place is wasted."""
    d = daemon({"workers": 1, "max_handshakes": 5, "handshake_timeout": "10m"})
    worker, = d.workers()
    with Crowd(d.address) as crowd:
        crowd.grow(5, said=b"")
        before = proc_stat(worker)["cpu"]
        time.sleep(0.5)
        assert proc_stat(worker)["cpu"] - before < 0.25
        # a place that is free is used at once
        crowd.clients.pop().close()
        with Raw(d.address) as c:
            echo(c.upgrade("/ws"))
        assert len(crowd.gone()) <= 1


def test_reload_of_max_handshakes(daemon):
    d = daemon({"workers": 1, "max_handshakes": 3, "handshake_timeout": "10m"})
    with Crowd(d.address) as crowd:
        crowd.grow(3, said=b"")
        d.change(max_handshakes=30)
        d.reload()
        with Raw(d.address) as c:
            echo(c.upgrade("/ws"))
        crowd.grow(20, said=b"")
        with Raw(d.address) as c:
            echo(c.upgrade("/ws"))
        assert not crowd.gone()


def test_too_many_for_the_limit_of_files(daemon):
    def limited(settings):
        return daemon(settings, start=False, wrap=("sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"))

    d = limited({"max_handshakes": 832})
    d.refuses(rf'{d.place("max_handshakes")}: "max_handshakes" must be at most 831, not 832: the '
              r"limit of open files \(RLIMIT_NOFILE\) is 1024, of which 193 are needed otherwise",
              "not started")
    # an eighth of them is for openings
    d = limited({"max_connections": 705})
    d.refuses(rf'{d.place("max_connections")}: "max_connections" must be at most 704, not 705: '
              r"the limit of open files \(RLIMIT_NOFILE\) is 1024, of which 320", "not started")
    limited({"max_connections": 732, "max_handshakes": 100}).start()


@way.in_the_clear("it sends PROXY headers itself")
def test_clients_of_a_proxy(daemon):
    """A proxy that is trusted may have many openings; a client that it has named may not."""
    d = daemon({"workers": 1, "max_handshakes": 10, "handshake_timeout": "10m",
                "listen": [{**LOCAL, "proxy_protocol": True, "trusted": ["127.0.0.1"]}]})
    named = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    with Crowd(d.address) as silent, Crowd(d.address) as bad:
        silent.grow(6, said=b"")
        bad.grow(4, said=named + HALF)
        for _ in range(3):
            with Raw(d.address) as c:
                c.send(b"PROXY TCP4 192.0.2.7 192.0.2.2 1 2\r\n")
                echo(c.upgrade("/ws"))
        wait_until("that three had to go", lambda: len(bad.gone()) >= 1)
        assert not silent.gone()
    d.log_contains(r"refused 192\.0\.2\.1:1 .*proxy=127\.0\.0\.1:\d+.* reason=too-many-handshakes")
