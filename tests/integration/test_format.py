"""The format "json": each message of a room in an envelope, for who asks for it."""

import base64
import json
import time

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import stock
from asking import ask as admin
from harness import DEADLINE
from raw import BINARY, Raw, frame, request, run, text

PROTOCOL = "ignyx.room.v1"


def room(**settings):
    return {"path": "/chat", "behaviour": "room", "prefix": "User: ", **settings}


def upgrade(d, protocol=None, path="/chat"):
    """A client, and the subprotocol that was agreed on."""
    c = Raw(d.address)
    c.send(request(path, headers={"Sec-WebSocket-Protocol": protocol} if protocol else None))
    r = c.response()
    assert r.status == 101, r.body
    return c, r.header("sec-websocket-protocol")


def take(c):
    return json.loads(c.text())


def number(position):
    return int(position.split(".")[1])


def test_envelopes(daemon):
    d = daemon({"workers": 2, "endpoints": [room(format="json")]})
    a, agreed = upgrade(d)
    assert agreed is None
    joined = take(a)
    assert list(joined) == ["type", "room", "position", "members"]
    assert (joined["type"], joined["room"], joined["members"]) == ("joined", "/chat", 1)
    b, _ = upgrade(d)
    assert take(b)["members"] == 2
    before = time.time()
    a.send(text('é "quoted" \\ \n\t\x00'), frame(BINARY, b"\x00\xff"))
    for c in (a, b):
        m = take(c)
        assert list(m) == ["type", "room", "position", "time", "sender", "data"]
        assert (m["type"], m["room"], m["data"]) == \
            ("message", "/chat", 'User: é "quoted" \\ \n\t\x00')
        assert before - 1 < m["time"] < time.time() + 1
        assert number(m["position"]) == number(joined["position"]) + 1
        assert admin(d, f"/connections/{m['sender']}")[1]["received"] == 2
        binary = take(c)
        assert list(binary) == ["type", "room", "position", "time", "sender", "base64"]
        assert base64.b64decode(binary["base64"]) == b"\x00\xff"
    # what a backend publishes has no sender
    assert admin(d, "/publish/chat", "POST", b"news", **{"Content-Type": "text/plain"})[0] == 200
    m = take(b)
    assert (m["sender"], m["data"]) == (None, "news")


def test_both(daemon):
    d = daemon({"workers": 2, "endpoints": [room(format="both", subprotocols=["other"])]})
    enveloped, agreed = upgrade(d, f"other, {PROTOCOL}")
    assert agreed == PROTOCOL
    plain, agreed = upgrade(d, "other")
    assert agreed == "other"
    assert take(enveloped)["type"] == "joined"
    for speaker in (plain, enveloped):
        speaker.send(text("hi"))
        assert plain.text() == "User: hi"
        assert take(enveloped)["data"] == "User: hi"


def test_text_knows_no_such_subprotocol(daemon):
    d = daemon({"endpoints": [room()]})
    c, agreed = upgrade(d, PROTOCOL)
    assert agreed is None
    c.send(text("hi"))
    assert c.text() == "User: hi"


def test_a_reload_leaves_it(daemon):
    """An open connection keeps what it agreed on; who comes then gets the new one."""
    d = daemon({"workers": 1, "endpoints": [room()]})
    old, _ = upgrade(d)
    d.change(endpoints=[room(format="json")])
    d.reload()
    new, _ = upgrade(d)
    assert take(new)["members"] == 2
    old.send(text("hi"))
    assert old.text() == "User: hi"
    assert take(new)["data"] == "User: hi"


def test_notify(daemon):
    d = daemon({"endpoints": [{"path": "/n", "behaviour": "notify", "format": "json",
                               "message": {"type": "info"}}]})
    c, _ = upgrade(d, path="/n")
    assert take(c) == {"type": "info"}
    assert take(c)["type"] == "joined"
    assert admin(d, "/publish/n", "POST", b'{"a":1}', **{"Content-Type": "application/json"})[0] == 200
    assert take(c)["data"] == {"a": 1}


@pytest.mark.parametrize("takeover", [False, True])
def test_compressed(daemon, takeover):
    compression = {"enabled": True, "threshold": "0", "server_context_takeover": takeover}
    d = daemon({"workers": 1, "endpoints": [room(format="both", compression=compression)]})
    many = "x" * 5000

    async def client():
        factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
        kinds = [dict(subprotocols=p, extensions=[factory] if z else None, compression=None)
                 for p in (None, [PROTOCOL]) for z in (False, True)]
        members = [await stock.connect(d.url("/chat"), open_timeout=DEADLINE, **k) for k in kinds]
        for m in members[2:]:
            assert json.loads(await m.recv())["type"] == "joined"
        for n in range(30):
            await members[0].send(f"{n} {many}")
        for n in range(30):
            for m in members[:2]:
                assert await m.recv() == f"User: {n} {many}"
            for m in members[2:]:
                assert json.loads(await m.recv())["data"] == f"User: {n} {many}"
        for m in members:
            await m.close()

    run(client())


def test_not_to_the_sender(daemon):
    d = daemon({"workers": 1, "endpoints": [room(format="json", include_sender=False)]})
    a, b = upgrade(d)[0], upgrade(d)[0]
    take(a), take(b)
    a.send(text("1"), text("2"))
    b.send(text("3"))
    assert [take(b)["data"] for _ in range(2)] == ["User: 1", "User: 2"]
    assert take(a)["data"] == "User: 3"


def test_many_members(daemon):
    """More than one turn delivers to: of both formats, in order, from the log and out of it."""
    d = daemon({"workers": 1, "access_log": False, "endpoints": [room(format="both")]})
    members = [upgrade(d, PROTOCOL if n % 2 else None)[0] for n in range(300)]
    for m in members[1::2]:
        take(m)
    for n in range(20):
        members[0].send(text(f"{n} " + "y" * 10000))
    for n in range(20):
        for i, m in enumerate(members):
            data = take(m)["data"] if i % 2 else m.text()
            assert data.startswith(f"User: {n} ")
    for m in members:
        m.socket.close()


# --- requests ---

def test_requests_are_no_messages(daemon):
    """Not of who gets plain text either, and notify neither checks nor logs them."""
    d = daemon({"endpoints": [room(format="both"), {"path": "/n", "behaviour": "notify",
                                                    "message": {"a": 1}}]})
    a, b, n = upgrade(d, PROTOCOL)[0], upgrade(d)[0], upgrade(d, path="/n")[0]
    take(a)
    n.text()
    for c, word in ((a, "unknown-request"), (b, "no-json"), (n, "no-json")):
        c.send(text('{"ignyx":"dance"}'))
        answer = take(c)
        assert (answer["type"], answer["error"]) == ("error", word)
    for bad in ('{"ignyx":', '{"ignyx":"position"} x', '{"ignyx":"position","ignyx":"x"}'):
        a.send(text(bad))
        assert take(a)["error"] == "invalid-json"
    a.send(text('{"ignyx":1}'))
    assert take(a)["error"] == "unknown-request"
    a.send(text('{"ignyx":"' + "x" * 5000 + '"}'))
    assert take(a)["error"] == "request-too-long"
    # what does not begin so is a message as it is
    for data in ('{ "ignyx":1}', '{"ignyx" :1}', '{"ignyx'):
        a.send(text(data))
        assert b.text() == "User: " + data
        assert take(a)["data"] == "User: " + data
    assert "dance" not in d.log()


def test_position(daemon):
    d = daemon({"endpoints": [room(format="json")]})
    a = upgrade(d)[0]
    joined = take(a)
    a.send(text('{"ignyx":"position"}'))
    assert take(a) == {**joined, "type": "position"}
    a.send(text("hi"))
    position = take(a)["position"]
    a.send(text('{"ignyx":"position"}'))
    assert take(a)["position"] == position


def test_only_where_there_are_rooms(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "format": "json"}]}, start=False)
    d.refuses('endpoint "/ws": "format" is of rooms, and behaviour "echo" has none',
              "not started")


def test_an_echo_takes_no_requests(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo"}]})
    with Raw(d.address) as c:
        c.upgrade("/ws").send(text('{"ignyx":"dance"}'))
        assert c.text() == '{"ignyx":"dance"}'


# --- what is not taken ---

def test_told_of_what_is_not_taken(daemon):
    """Only who can tell it from a message."""
    d = daemon({"workers": 1, "endpoints": [
        room(format="both", publish="backend"),
        room(path="/few", format="both", rate="1/h", burst=1, over_rate="drop")]})
    for path, word, first in (("/chat", "not-allowed", []), ("/few", "rate-limited", ["User: 0"])):
        a, b = upgrade(d, PROTOCOL, path)[0], upgrade(d, path=path)[0]
        take(a)
        for c in (b, a):
            c.send(text("0"), text("1"))
        for _ in first:
            assert b.text() == "User: 0" and b.text() == "User: 0"
        told = [take(a) for _ in range(2 * len(first) + (1 if first else 2))]
        assert [t["data"] for t in told if t["type"] == "message"] == 2 * first
        assert {t["error"] for t in told if t["type"] == "error"} == {word}
        a.socket.close(), b.socket.close()
