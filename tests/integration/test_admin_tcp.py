"""The interface for those who run the daemon, over TCP: who has a token, and TLS."""

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import time

import pytest

import way
from asking import Admin
from certificates import Authority
from harness import LOCAL, free_port, open_files, wait_until
from pretend import CTL, ctl
from raw import Raw

pytestmark = way.in_the_clear("it has certificates of its own")


def make(name, scope):
    """A token, and the line for the daemon's file, by ignyxctl."""
    r = subprocess.run([CTL, "--json", "token", "make", name, scope], stdin=subprocess.DEVNULL,
                       capture_output=True, check=True)
    made = json.loads(r.stdout)
    return made["token"], made["line"]


TOKENS = {scope: make(f"the-{scope}er", scope) for scope in ("read", "publish", "manage")}


class Asker:
    """Asks a daemon over TCP, one connection for each question."""

    def __init__(self, port, tls=None, address="127.0.0.1"):
        self.port, self.tls, self.address = port, tls, address

    def connection(self):
        if self.tls:
            return http.client.HTTPSConnection(self.address, self.port, timeout=20,
                                               context=self.tls)
        return http.client.HTTPConnection(self.address, self.port, timeout=20)

    def ask(self, target, method="GET", token=None, body=None, connection=None, **headers):
        c = connection or self.connection()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        c.request(method, target, body, headers)
        r = c.getresponse()
        text = r.read()
        if not connection:
            c.close()
        answer = text
        if text and r.getheader("Content-Type") == "application/json":
            answer = json.loads(text)
        return r.status, answer, r.headers

    def status(self, *args, **kw):
        return self.ask(*args, **kw)[0]


def refuses(d, *errors):
    return d.refuses(*errors, "has errors")


def write_tokens(d, *lines, name="tokens", mode=0o600):
    path = os.path.join(d.directory, name)
    with open(path, "w", encoding="ascii") as f:
        f.write("".join(f"{line}\n" for line in lines))
    os.chmod(path, mode)
    return path


def group(*listen, **more):
    return {"listen": list(listen), "tokens": "tokens"} | more


def at(port, **more):
    return {"address": "127.0.0.1", "port": port} | more


@pytest.fixture
def make_one(daemon):
    """A daemon with those listeners of "admin", and tokens of each scope."""
    def new(*listen, settings=None, start=True, **more):
        d = daemon({"admin": group(*listen, **more)} | (settings or {}), start=False)
        write_tokens(d, *(line for _, line in TOKENS.values()))
        return d.start() if start else d
    return new


@pytest.fixture
def plain(make_one):
    port = free_port()
    d = make_one(at(port))
    return d, Asker(port)


READ, PUBLISH, MANAGE = "read", "publish", "manage"

# every route, and which scopes get to it: the others have 403
ROUTES = [
    ("GET", "/metrics", {READ, MANAGE}),
    ("GET", "/status", {READ, MANAGE}),
    ("GET", "/endpoints", {READ, MANAGE}),
    ("GET", "/rooms", {READ, MANAGE}),
    ("GET", "/connections", {READ, MANAGE}),
    ("GET", "/connections/1", {READ, MANAGE}),
    ("GET", "/log-level", {READ, MANAGE}),
    ("GET", "/config", {READ, MANAGE}),
    ("GET", "/why?conn=1", {READ, MANAGE}),
    ("HEAD", "/tail/chat", {PUBLISH, MANAGE}),
    ("GET", "/history/chat", {PUBLISH, MANAGE}),
    ("DELETE", "/history/chat", {MANAGE}),
    ("GET", "/presence/chat", {READ, MANAGE}),
    ("HEAD", "/events", {READ, MANAGE}),
    ("POST", "/publish/chat", {PUBLISH, MANAGE}),
    ("POST", "/publish", {PUBLISH, MANAGE}),
    ("DELETE", "/connections/1", {MANAGE}),
    ("DELETE", "/connections?endpoint=/ws", {MANAGE}),
    ("PUT", "/log-level", {MANAGE}),
    ("POST", "/reload?dry-run", {MANAGE}),
    ("POST", "/undrain", {MANAGE}),
    ("POST", "/drain?share=0.0", {MANAGE}),
]


def routes_of_the_daemon():
    """Method and path of each line of the table, and what right it takes."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "src/admin/routes.def"), encoding="ascii") as f:
        return re.findall(r'^ROUTE\((\w+), "([^"]+)", \w+, MAY_(\w+),', f.read(), re.M)


def test_who_may_do_what(plain):
    d, asker = plain
    for method, target, allowed in ROUTES:
        for scope, (token, _) in TOKENS.items():
            status, answer, _ = asker.ask(target, method, token)
            if scope in allowed:
                assert status not in (401, 403), (method, target, scope, answer)
            else:
                assert status == 403, (method, target, scope)
                assert method == "HEAD" or answer["error"] == "forbidden"
                assert method == "HEAD" or f"the-{scope}er" in answer["message"]
        for token in (None, "0" * 64):
            status, answer, headers = asker.ask(target, method, token)
            assert status == 401 and (method == "HEAD" or answer["error"] == "unauthorized"), \
                (method, target)
            assert headers["WWW-Authenticate"].startswith("Bearer ")
    # none is left out but those that everybody may ask
    told = {(m.replace("HEAD", "GET"), re.match("/[a-z-]+", t)[0]) for m, t, _ in ROUTES}
    for method, path, right in routes_of_the_daemon():
        assert right == "LOOK" or (method, path) in told, (method, path)


def test_a_stranger_is_told_nothing(plain):
    d, asker = plain
    assert asker.ask("/live")[:2] == (200, {"live": True})
    assert asker.ask("/ready")[:2] == (200, {"ready": True})
    assert asker.ask("/live", token="wrong")[:2] == (200, {"live": True})
    for target in ("/nothing", "/", "/status"):
        assert asker.status(target) == 401
    assert asker.status("/live", "DELETE") == 401
    assert asker.status("/live", "DELETE", TOKENS[READ][0]) == 405
    assert asker.status("/nothing", token=TOKENS[READ][0]) == 404
    assert Admin(d).ask("/nothing")[0] == 404  # on the unix socket the user counts


def test_not_ready_is_all_that_a_stranger_gets(plain):
    d, asker = plain
    with Raw(d.address).upgrade():  # who does not answer a close
        d.kill(signal.SIGTERM)
        wait_until("it is not ready", lambda: asker.status("/ready") == 503)
        assert asker.ask("/ready")[1] == {"ready": False}
        known = asker.ask("/ready", token=TOKENS[PUBLISH][0])[1]
        assert known == {"ready": False, "reasons": ["the daemon is stopping"]}
    assert d.wait() == 0


@pytest.mark.parametrize("header, status", [
    ("Bearer {}", 200), ("bearer {}", 200), ("BEARER   {}", 200),
    ("Bearer {}x", 401), ("Bearer x{}", 401), ("Bearer {} {}", 401), ("Basic {}", 401),
    ("{}", 401), ("Bearer", 401), ("Bearer ", 401), ("Bearer\t{}", 401),
])
def test_the_header(plain, header, status):
    token = TOKENS[READ][0]
    assert plain[1].status("/status", Authorization=header.replace("{}", token)) == status


def test_a_hash_is_no_token(plain):
    line = TOKENS[MANAGE][1]
    assert plain[1].status("/status", token=line.split()[2]) == 401


def test_the_log(plain):
    d, asker = plain
    secret, token = "c0ffee" * 10, TOKENS[MANAGE][0]
    mark = d.log_size()
    assert asker.status("/status?x=secret-query", token=secret) == 401
    assert asker.status("/status") == 401
    assert asker.status("/connections/1?code=4001", "DELETE", token) == 404
    assert asker.status("/publish/chat", "POST", token, body=b"words", **TEXT) == 200
    d.log_contains(r"GET /status refused: its token is none .*event=admin-refused "
                   r"peer=127\.0\.0\.1:\d+", mark)
    d.log_contains("GET /status refused: it has no token", mark)
    d.log_contains("DELETE /connections/1 by token the-manageer", mark)
    log = d.log()
    assert secret not in log and token not in log and "secret-query" not in log
    assert "words" not in log and "/publish/chat" not in log
    # on the unix socket it is the user
    Admin(d).ask("/connections/1", "DELETE")
    d.log_contains(rf"DELETE /connections/1 by uid {os.geteuid()} .*unix:uid={os.geteuid()},", mark)


TEXT = {"Content-Type": "text/plain"}


def counted(asker, name):
    text = asker.ask("/metrics", token=TOKENS[READ][0])[1].decode()
    return int(re.search(rf"^{name} (\d+)$", text, re.M)[1])


def test_a_flood_of_strangers_is_counted_and_not_logged(plain):
    d, asker = plain
    mark, began = d.log_size(), time.monotonic()
    c = asker.connection()
    for _ in range(300):
        assert asker.ask("/status", token="0" * 64, connection=c)[0] == 401
    assert counted(asker, "ignyxd_admin_refused_total") == 300
    # ten, and one each second, if not fewer
    written = len(re.findall("event=admin-refused", d.log(mark)))
    assert written <= 12 + (time.monotonic() - began)
    d.log_contains(r"\d+ more suppressed, from about 1 addresses: requests to the admin", mark, timeout=40)
    wait_until("all of them are told", lambda: written + d.suppressed("requests to the admin", mark) == 300, 40)


def test_tokens_are_exchanged_by_a_reload(plain):
    d, asker = plain
    old, new = TOKENS[READ][0], make("the-reader", "read")
    kept = asker.connection()
    assert asker.ask("/status", token=old, connection=kept)[0] == 200
    # both for a while
    write_tokens(d, "# the next one", TOKENS[READ][1], "", new[1], TOKENS[MANAGE][1])
    d.reload()
    wait_until("it has the new one", lambda: asker.status("/status", token=new[0]) == 200)
    assert asker.status("/status", token=old) == 200
    d.log_contains("setting admin.tokens .*the-reader read.*the-reader read")
    # a file that is wrong changes nothing
    path = write_tokens(d, new[1], "the-reader read")
    d.expect_error("the line has to be NAME SCOPE HASH|reload refused")
    d.reload(expect=False)
    assert re.search(rf"{re.escape(path)}:2: the line has to be", d.log())
    assert asker.status("/status", token=old) == 200
    # one in place of another of the same name and scope is not said to be the same
    write_tokens(d, TOKENS[READ][1], make("the-reader", "read")[1], TOKENS[MANAGE][1])
    text, plan = Admin(d).ask("/reload?dry-run", "POST")[1], '"the-reader read'
    assert (f'{plan} (goes)"' in json.dumps(text)) and (f'{plan} (new)"' in json.dumps(text)), text
    # and then the old one is gone, on a connection that it was used on, too
    write_tokens(d, new[1])
    d.reload()
    wait_until("it is gone", lambda: asker.status("/status", token=old) == 401)
    assert asker.ask("/status", token=old, connection=kept)[0] == 401
    assert asker.status("/status", token=new[0]) == 200


def stream(asker, target, token):
    """An answer that goes on: whose port, and what comes."""
    c = asker.connection()
    c.request("GET", target, headers={"Authorization": f"Bearer {token}"})
    port = c.sock.getsockname()[1]
    answer = c.getresponse()
    assert answer.status == 200
    return port, answer


def test_a_stream_ends_with_its_token(plain):
    d, asker = plain
    events, other, tail = (stream(asker, target, TOKENS[scope][0])[1] for target, scope in (
        ("/events", READ), ("/events", MANAGE), ("/tail/chat", PUBLISH)))
    write_tokens(d, TOKENS[READ][1].replace(" read ", " publish "), TOKENS[MANAGE][1],
                 TOKENS[PUBLISH][1])
    d.reload()
    assert b"" in (events.readline(), events.readline())
    assert json.loads(other.readline())["event"] == "reloaded"
    assert asker.status("/publish/chat", "POST", TOKENS[PUBLISH][0], "hi",
                        **{"Content-Type": "text/plain"}) == 200
    assert json.loads(tail.readline())["data"] == "hi"
    write_tokens(d, TOKENS[MANAGE][1])
    d.reload()
    assert tail.readline() == b""
    for answer in (events, other, tail):
        answer.close()


def test_whose_line_it_is(plain):
    d, asker = plain
    assert asker.status("/undrain", "POST", TOKENS[MANAGE][0]) == 200
    d.log_contains(r"^ignyxd\[admin\]: info: POST /undrain by token the-manageer")


def test_who_vanishes_is_found_out(plain):
    d, asker = plain
    port, answer = stream(asker, "/events", TOKENS[READ][0])
    sockets = subprocess.run(["ss", "-Htno", f"sport = :{asker.port} and dport = :{port}"],
                             capture_output=True, text=True, check=True).stdout
    assert "timer:(keepalive," in sockets, sockets
    answer.close()


def test_listeners_in_another_order(make_one, authority):
    """Who is connected goes on as he came, over TLS or without."""
    pair, token = authority.pair("DNS:a.test"), TOKENS[MANAGE][0]
    one, two = at(free_port()), at(free_port(), tls=tls_of(pair))
    d = make_one(one, two)
    askers = [Asker(one["port"]), Asker(two["port"], trusting(authority))]
    kept = [a.connection() for a in askers]
    for listen in ([two, one], [one, two], [two], [one, two]):
        for asker, c in zip(askers, kept):
            assert asker.ask("/status", token=token, connection=c)[0] == 200
        d.change(admin=group(*listen))
        d.reload()
        wait_until("they are taken", lambda: askers[1].status("/status", token=token) == 200)
    for asker, c in zip(askers, kept):
        assert asker.ask("/status", token=token, connection=c)[0] == 200
        c.close()


def test_listeners_come_and_go_with_a_reload(make_one):
    first, second = free_port(), free_port()
    token = TOKENS[MANAGE][0]
    d = make_one(at(first))
    d.log_contains(f"the admin interface listens on 127.0.0.1:{first}")
    d.change(admin=group(at(second), at(first)))
    kept = Asker(first).connection()
    status, answer, _ = Asker(first).ask("/reload", "POST", token, connection=kept)
    assert status == 200 and answer["applied"] is True
    assert [s["key"] for s in answer["plan"]["settings"]] == ["admin.listen"]
    assert Asker(first).status("/status", token=token) == 200
    assert Asker(second).status("/status", token=token) == 200
    # by the one that goes
    d.change(admin=group(at(second)))
    assert Asker(first).ask("/reload", "POST", token, connection=kept)[0] == 200
    d.log_contains(f"the admin interface no longer listens on 127.0.0.1:{first}")
    def closed():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", first)) != 0
    wait_until("nobody listens there", closed)
    assert Asker(second).status("/status", token=token) == 200
    assert Admin(d).ask("/status")[0] == 200
    # to all addresses of the machine, where the port is our own already
    d.change(admin=group(at(second) | {"address": "127.0.0.2"}))
    d.reload()
    other = Asker(second, address="127.0.0.2")
    wait_until("it listens there", lambda: other.status("/status", token=token) == 200)


def test_a_listener_that_cannot_be(make_one):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = s.getsockname()[1]
        d = make_one(at(taken), start=False)
        d.refuses(rf'{d.place("admin")}: cannot listen on 127.0.0.1:{taken}, for "admin": Address')
        port, more = free_port(), free_port()
        d = make_one(at(port))
        files = open_files(d.pid)
        d.change(admin=group(at(port), at(more), at(taken)), workers=3)
        d.expect_error('for "admin": Address already in use|reload refused')
        d.reload(expect=False)
        assert Asker(port).status("/status", token=TOKENS[READ][0]) == 200
        # what was opened for it is closed again
        with socket.socket() as c:
            assert c.connect_ex(("127.0.0.1", more)) != 0
        wait_until("no more files are open", lambda: open_files(d.pid) <= files)
    # a second daemon on it is an error, and no half of the requests
    d = make_one(at(port), start=False)
    d.refuses("Address already in use")


def refused_reload(d, *errors):
    for error in (*errors, "reload refused: "):
        d.expect_error(error)
    mark = d.log_size()
    d.reload(expect=False)
    for error in errors:
        assert re.search(error, d.log(mark)), d.log(mark)


def test_a_port_that_goes_to_others(make_one):
    """From clients to administrators, and back: who connects meanwhile would come to the wrong ones."""
    kept, moved = free_port(), free_port()
    token = TOKENS[READ][0]
    d = make_one(at(kept), settings={"listen": [LOCAL, at(moved)]})
    d.change(listen=[LOCAL], admin=group(at(kept), at(moved)))
    refused_reload(d, rf'{d.place("admin")}: cannot listen on 127.0.0.1:{moved}: ignyxd itself does, '
                   'for "listen"; .* two reloads')
    d.change(admin=group(at(kept)))
    d.reload()
    d.change(admin=group(at(kept), at(moved)))
    d.reload()
    asker = Asker(moved)
    wait_until("it listens there", lambda: asker.status("/status", token=token) == 200)
    d.change(listen=[LOCAL, at(moved)], admin=group(at(kept)))
    refused_reload(d, f'cannot listen on 127.0.0.1:{moved}: ignyxd itself does, for "admin"; ')
    assert asker.status("/status", token=token) == 200


@pytest.mark.parametrize("whose", ["listen", "admin"])
def test_the_same_port_of_another_address(make_one, whose):
    """That we listen on one says nothing of who does on the other."""
    port = free_port()
    d = make_one(at(port if whose == "admin" else free_port()),
                 settings={"listen": [at(port)]} if whose == "listen" else None)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("127.0.0.2", port))
        s.listen()
        both = [at(port), at(port) | {"address": "127.0.0.2"}]
        d.change(**({"listen": both} if whose == "listen" else {"admin": group(*both)}))
        refused_reload(d, f"cannot listen on 127.0.0.2:{port}.*: Address already in use")


def test_alone_without_a_unix_socket(make_one):
    port = free_port()
    d = make_one(at(port), start=False)
    del d.settings["runtime_dir"]
    d.write()
    d.start()
    assert Asker(port).status("/status", token=TOKENS[READ][0]) == 200
    assert d.titled("ignyxd: admin")


@pytest.mark.parametrize("settings, error", [
    (dict(listen=[at(1)]), r'admin: listen 1: needs "tokens" in "admin", .*ignyxctl token make'),
    (group({"address": "0.0.0.0", "port": 1}), r'admin: listen 1: needs "tls", for whoever sees'),
    (group(at(2), {"address": "::", "port": 1}), r'admin: listen 2: needs "tls"'),
    (group({"address": "192.0.2.1", "port": 1}), r'.*needs "tls"'),
    (group({"address": "::1", "port": 1}, at(1), at(1)), r"admin: listen 3: the same as the list"),
    (group({"address": "127.0.0.1"}), r'admin: listen 1: missing setting "port"'),
    (group({"address": "localhost", "port": 1}), r'admin: listen 1: "address" must be an IPv4 or IPv6 address'),
    (group(at(1, unix="/run/x")), r'admin: listen 1: .*"unix"'),
    (group(at(1), tokens="none-such"), r'admin: "tokens" ".*none-such" cannot be read: No such'),
])
def test_what_is_refused(daemon, settings, error):
    d = daemon({"admin": settings}, start=False)
    write_tokens(d, TOKENS[READ][1])
    refuses(d, rf"{d.place('admin')}: {error}")


def test_a_client_listener_may_not_be_the_same(daemon):
    port = free_port()
    d = daemon({"admin": group(at(port)), "listen": [at(port)]}, start=False)
    write_tokens(d, TOKENS[READ][1])
    refuses(d, "listen 1: the same as the listener at ")


@pytest.mark.parametrize("line, error", [
    ("a read", "has to be NAME SCOPE HASH"),
    ("a read {} more", "has to be NAME SCOPE HASH"),
    ("a write {}", "has a SCOPE that is none of read, publish and manage"),
    ("a read {}0", "has a HASH that is not of 64 digits"),
    ("\u0001 read {}", "has a NAME that is not"),
])
def test_a_token_file_that_is_wrong(daemon, line, error):
    d = daemon({"admin": group(at(free_port()))}, start=False)
    path = write_tokens(d, "# tokens", "", line.format("0" * 64))
    log = refuses(d, rf"{re.escape(path)}:3: the line {error}")
    assert "0" * 64 not in log


def test_a_token_file_that_others_may_read(daemon):
    d = daemon({"admin": group(at(free_port()))}, start=False)
    write_tokens(d, TOKENS[READ][1], mode=0o644)
    d.start()
    d.log_contains('"tokens" has mode 0644, by which every user of this machine may read the tok')


def test_a_key_is_that_of_its_token(plain):
    """Two tokens of other names may use the same key; two of one name are one who asks."""
    d, asker = plain
    second = make("the-publisher", "publish")
    write_tokens(d, TOKENS[PUBLISH][1], TOKENS[MANAGE][1], second[1])
    d.reload()
    wait_until("it is known", lambda: asker.status("/tail/chat", "HEAD", second[0]) == 200)
    def publish(token, body):
        headers = TEXT | {"Idempotency-Key": "one"}
        return asker.ask("/publish/chat", "POST", token, body, **headers)[:2]
    first = publish(TOKENS[PUBLISH][0], "a")
    assert first[0] == 200
    assert publish(second[0], "a") == first
    assert publish(second[0], "b")[0] == 422
    other = publish(TOKENS[MANAGE][0], "b")
    assert other[0] == 200 and other[1]["position"] != first[1]["position"]


# --- TLS ---

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("tls") / "ca"))


def trusting(authority, **more):
    context = ssl.create_default_context(cafile=authority.certificate)
    context.check_hostname = False
    for key, value in more.items():
        setattr(context, key, value)
    return context


def tls_of(*pairs, **more):
    return {"certificates": [p.group() for p in pairs]} | more


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(make_one, authority, kind, version):
    pair = authority.pair("DNS:admin.test", kind=kind)
    port = free_port()
    d = make_one({"address": "0.0.0.0", "port": port, "tls": tls_of(pair)})
    asker = Asker(port, trusting(authority, maximum_version=version))
    token = TOKENS[MANAGE][0]
    assert asker.status("/status") == 401
    assert asker.ask("/status", token=token)[1]["status"]["pid"] == d.pid
    # bodies of many records, both ways
    many = json.dumps([{"path": "/chat", "data": "x" * 1000}] * 200)
    status, answer, _ = asker.ask("/publish", "POST", token, many,
                                  **{"Content-Type": "application/json"})
    assert status == 200 and len(answer["results"]) == 200
    # whoever speaks HTTP without it gets nothing
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(f"GET /status HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = s.recv(1000)
        assert b"HTTP/1.1 200" not in answer


def presented(port):
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        with context.wrap_socket(s) as t:
            return t.getpeercert(True)


def test_a_new_certificate_by_a_reload(make_one, authority):
    old, new = authority.pair("DNS:a.test"), authority.pair("DNS:a.test")
    port, token = free_port(), TOKENS[MANAGE][0]
    d = make_one(at(port, tls=tls_of(old)))
    assert presented(port) == old.der()
    asker = Asker(port, trusting(authority))
    kept = asker.connection()
    assert asker.ask("/status", token=token, connection=kept)[0] == 200
    with socket.create_connection(("127.0.0.1", port)) as half:  # a handshake that has not begun
        wait_until("it is accepted", lambda: asker.status("/live") == 200)
        for name in ("certificate", "key"):
            os.replace(getattr(new, name), getattr(old, name))
        status, answer, _ = asker.ask("/reload", "POST", token, connection=kept)
        assert status == 200
        assert [c["change"] for c in answer["plan"]["certificates"]] == ["added", "removed"]
        assert presented(port) == old.der()  # the files are the new one's now
        # the connections that there were go on
        assert asker.ask("/status", token=token, connection=kept)[0] == 200
        with ssl._create_unverified_context().wrap_socket(half) as t:
            t.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            assert t.recv(100).startswith(b"HTTP/1.0 200")
    d.log_contains("certificate .* of 127.0.0.1:.* added")
    assert counted_expiry(asker) > time.time()


def counted_expiry(asker):
    text = asker.ask("/metrics", token=TOKENS[READ][0])[1].decode()
    return float(re.search(r"^ignyxd_certificate_expiry_timestamp_seconds (\S+)$", text, re.M)[1])


def test_certificates_of_clients(make_one, authority):
    """As a listener for clients has them; a token is needed all the same."""
    port = free_port()
    make_one(at(port, tls=tls_of(authority.pair("DNS:a.test"), client_ca=authority.certificate,
                                 verify="required")))
    context = trusting(authority)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        Asker(port, context).status("/live")
    own = authority.pair(subject="/CN=ops")
    context.load_cert_chain(own.certificate, own.key)
    assert Asker(port, context).status("/live") == 200
    assert Asker(port, context).status("/status") == 401


# --- bounds ---

def test_many_over_tcp_leave_space_for_others(plain):
    """Who comes over TCP and takes all places there keeps nobody from the unix socket."""
    d, asker = plain
    d.admin()
    idle = []
    try:
        for _ in range(400):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", asker.port))
            idle.append(s)
        admin = d.admin()
        wait_until("it has taken many", lambda: open_files(admin) >= 250)
        for _ in range(30):
            a = Admin(d)
            assert a.ask("/status")[0] == 200
            idle.append(a.sock)
        assert open_files(admin) < 300
    finally:
        for s in idle:
            s.close()
    # who waited is served then
    assert asker.status("/live") == 200
    wait_until("all is given back", lambda: open_files(admin) < 180)


def test_bad_requests_over_tls(make_one, authority):
    port = free_port()
    d = make_one(at(port, tls=tls_of(authority.pair("DNS:a.test"))))
    context = trusting(authority)
    files = open_files(d.admin())
    for text in (b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"GET /live HTTP/1.1\r\nX: " + b"a" * 102400,
                 b"POST /status HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                 b"POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"GET /live HTTP/1.1"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            with context.wrap_socket(s) as t:
                answer = b""
                with contextlib.suppress(OSError):
                    t.sendall(text)
                    if text.endswith(b"\n") or len(text) > 1000:
                        answer = t.recv(1000)
                assert answer == b"" or answer.split()[1].startswith(b"4"), (text[:40], answer)
    for text in (b"", b"\x16\x03\x01", os.urandom(1000)):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(text)
    assert Asker(port, context).status("/live") == 200
    wait_until("all is given back", lambda: open_files(d.admin()) <= files)


HALF = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_a_stranger_sends_little(make_one, authority, kind):
    """Of who has no token a long body is not read, whatever else he has in his head."""
    port, tls = free_port(), tls_of(authority.pair("DNS:a.test")) if kind == "tls" else None
    d = make_one(at(port, **({"tls": tls} if tls else {})))
    asker = Asker(port, trusting(authority) if tls else None)
    body = b"x" * 500_000
    for headers in ({}, {"Authorization": "Bearer " + "0" * 64}, {"X-Authorization": f"Bearer {TOKENS[PUBLISH][0]}"}):
        assert asker.ask("/publish/chat", "POST", body=body[:30000], **headers)[0] == 401
        mark = d.log_size()
        with pytest.raises((OSError, http.client.HTTPException)):
            asker.ask("/publish/chat", "POST", body=body, **headers)
        d.log_contains("a request of more than 64 KiB cut off: .* event=admin-refused", mark)
    # what stands in a body is no header
    with pytest.raises((OSError, http.client.HTTPException)):
        line = f"\r\nAuthorization: Bearer {TOKENS[PUBLISH][0]}\r\n".encode()
        asker.ask("/publish/chat", "POST", body=line + body)
    # who has one sends what he likes, in one piece or in several, twice on a connection
    kept = asker.connection()
    for _ in range(2):
        status, answer, _ = asker.ask("/publish/chat", "POST", TOKENS[PUBLISH][0], body, kept)
        assert (status, answer["error"]) == (413, "message-too-big")
    kept.close()
    kept = asker.connection()
    kept.connect()
    text = (f"POST /publish/chat HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            f"authorization:Bearer {TOKENS[PUBLISH][0]}\r\nX: y\r\n\r\n").encode()
    for i in range(0, len(text), 7):
        kept.sock.sendall(text[i:i + 7])
    kept.sock.sendall(body)
    assert kept.sock.recv(100).startswith(b"HTTP/1.1 413 ")
    kept.close()


def test_who_is_slow_is_ended(make_one, authority):
    """Silent ones, half a head, half a body, half a handshake, and some that send on and on: 30 s."""
    port, tls = free_port(), free_port()
    pair = authority.pair("DNS:a.test")
    d = make_one(at(port), at(tls, tls=tls_of(pair)))
    begun = time.monotonic()
    waiting = {}
    for where, text in ((port, b"GET /live HTTP/1.1\r\nX-"), (tls, HALF), (None, HALF)):
        if where is None:
            s = socket.socket(socket.AF_UNIX)
            s.connect(Admin(d).path)
        else:
            s = socket.create_connection(("127.0.0.1", where))
        if where == tls:
            s = trusting(authority).wrap_socket(s, server_hostname="a.test")
        s.sendall(text)
        waiting[s] = (where, text, "goes on")
    going_on = list(waiting)
    for where, text in ((port, b""), (port, b"GET /live HTTP/1.1\r\nX-"),
                        (port, HALF),
                        (tls, b""), (tls, b"\x16\x03\x01\x02\x00\x01\x00\x01")):
        s = socket.create_connection(("127.0.0.1", where))
        s.sendall(text)
        waiting[s] = (where == tls, text)
    while waiting and time.monotonic() < begun + 90:
        for s in going_on:
            if s in waiting:
                with contextlib.suppress(OSError):
                    s.sendall(b"x")
        for s in select.select(list(waiting), [], [], 1)[0]:
            with contextlib.suppress(OSError):
                while s.recv(1000):
                    pass
            assert time.monotonic() - begun > 25, waiting[s]
            del waiting[s]
            s.close()
    assert not waiting, waiting.values()


# --- ignyxctl ---

def token_file(d, scope, mode=0o600):
    path = os.path.join(d.directory, f"{scope}.token")
    with open(path, "w", encoding="ascii") as f:
        f.write(TOKENS[scope][0] + "\n")
    os.chmod(path, mode)
    return path


def test_ctl(plain):
    d, asker = plain
    url = f"http://127.0.0.1:{asker.port}"
    manage, read = token_file(d, MANAGE), token_file(d, READ)
    r = ctl("-H", url, "--token-file", manage, "status")
    assert r.returncode == 0 and f"pid {d.pid}" in r.stdout, r
    env = {"IGNYX_ADMIN": url, "IGNYX_TOKEN_FILE": manage}
    assert ctl("publish", "/chat", "hi", env=env).returncode == 0
    r = ctl("--token-file", read, "kick", "1", env=env)
    assert r.returncode == 1 and "the scope of the token the-reader does not" in r.stderr, r
    assert "(403); ignyxctl token make NAME SCOPE" in r.stderr
    r = ctl("-H", url, "status")
    assert r.returncode == 1 and "unauthorized (401): --token-file FILE" in r.stderr, r
    with open(read, "w", encoding="ascii") as f:
        f.write("0" * 64)
    r = ctl("-H", url, "--token-file", read, "status")
    assert r.returncode == 1 and "(401); is its line in that file, and was that rel" in r.stderr, r
    os.chmod(read, 0o604)
    r = ctl("-H", url, "--token-file", read, "status")
    assert r.returncode != 0 and f"may use the token in it: chmod o= {read}" in r.stderr, r
    # on the socket the token of the environment does not matter
    r = ctl("-s", os.path.join(d.directory, "admin.sock"), "status", env=env)
    assert r.returncode == 0, r
    r = ctl("-H", f"http://127.0.0.1:{free_port()}", "status")
    assert r.returncode == 3 and '"listen" of its "admin" this address' in r.stderr, r


def test_ctl_over_tls(make_one, authority):
    port, clear = free_port(), free_port()
    d = make_one(at(port, tls=tls_of(authority.pair("IP:127.0.0.1"))), at(clear))
    token = token_file(d, MANAGE)
    url = f"https://127.0.0.1:{port}"
    ours = ("-H", url, "--token-file", token, "--cacert", authority.certificate)
    assert f"pid {d.pid}" in ctl(*ours, "status").stdout
    assert ctl(*ours, "reload").returncode == 0
    r = ctl("status", env={"IGNYX_ADMIN": url, "IGNYX_TOKEN_FILE": token,
                           "IGNYX_CACERT": authority.certificate})
    assert r.returncode == 0, r
    r = ctl("-H", url, "--token-file", token, "status")
    assert r.returncode == 3 and "has signed its certificate: --cacert FILE" in r.stderr, r
    r = ctl("-H", f"https://localhost:{port}", *ours[2:], "status")
    assert r.returncode == 3 and "no answer from https://localhost" in r.stderr, r
    r = ctl("-H", url, "--cacert", token, "status")
    assert r.returncode == 3 and "--cacert takes a file of certificates" in r.stderr, r
    r = ctl("-H", f"http://127.0.0.1:{port}", "status")
    assert r.returncode == 3 and "if TLS is spoken there: https://" in r.stderr, r
    r = ctl("-H", f"https://127.0.0.1:{clear}", "--cacert", authority.certificate, "status")
    assert r.returncode == 3 and "if nobody speaks TLS there: http://" in r.stderr, r
    r = ctl("-H", f"http://127.0.0.1:{clear}", "--cacert", authority.certificate, "status")
    assert r.returncode == 2 and "--cacert is for -H https://" in r.stderr, r
    # a daemon whose certificate is not good is none to wait for
    r = ctl("-H", url, "wait", "ready")
    assert r.returncode == 3, r


def test_a_name_that_the_daemon_takes():
    assert ctl("token", "make", "x" * 64, "read").returncode == 0
    assert ctl("token", "make", "x" * 65, "read").returncode == 2
