"""data = "json": what a room passes on is one whole JSON value, byte for byte."""

import json

import pytest

from asking import ask
from raw import BINARY, TEXT, Raw, frame, text

JSON = {"Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain"}
BYTES = {"Content-Type": "application/octet-stream"}
VALUES = ['{"a":[1,{"b":null}]}', "1", '"x"', "null", ' \r\n\t[ 1 ,\n2 ] \n', "1e999",
          "12345678901234567890123", '{"a":1,"a":2}', '"\\ud800"', '"é\\n"']


def room(**settings):
    return {"path": "/chat", "behaviour": "room", "data": "json", "format": "both", **settings}


def notify(**settings):
    return {"path": "/n", "behaviour": "notify", "message": {"type": "hello"}, "format": "both",
            **settings}


def member(d, path="/chat", enveloped=False, query=""):
    c = Raw(d.address)
    c.upgrade(path + query, headers={"Sec-WebSocket-Protocol": "ignyx.room.v1"} if enveloped else None)
    if path == "/n":
        assert c.text() == '{"type": "hello"}'
    if enveloped:
        assert json.loads(c.text())["type"] == "joined"
    return c


def value_in(c):
    """Of the next envelope: the bytes of its data."""
    envelope = c.text()
    assert json.loads(envelope)["type"] == "message"
    return envelope[envelope.index(',"data":') + 8:-1]


def test_byte_for_byte(daemon):
    d = daemon({"workers": 2, "endpoints": [room()]})
    a, b, c = member(d), member(d, enveloped=True), member(d, enveloped=True)
    for value in VALUES:
        a.send(text(value))
        assert a.text() == value
        assert value_in(b) == value_in(c) == value
    b.send(text("[1]"))
    assert (a.text(), value_in(b), value_in(c)) == ("[1]", "[1]", "[1]")


@pytest.mark.parametrize("said, where", [
    ("hi", (1, 1)), ("", (1, 1)), ('{"a":1', (1, 7)), ("1 2", (1, 3)), ("[1,\n 2,]", (2, 4)),
    ("{'a':1}", (1, 2)), ("01", (1, 2)), ('{"a":1},{"b":2}', (1, 8)), ('1}', (1, 2)),
    ('"a","type":"joined"', (1, 4))])
def test_what_is_none_is_refused(daemon, said, where):
    d = daemon({"workers": 1, "endpoints": [room()]})
    a, b = member(d), member(d, enveloped=True)
    a.send(text(said), text("1"))
    a.closed(1007, f"invalid-json: line {where[0]} column {where[1]}")
    c = member(d)
    c.send(text("2"))
    assert value_in(b) == "2"
    d.log_contains(r"closed /chat .*: invalid-json \(1007\)")


def test_binary_is_refused(daemon):
    d = daemon({"endpoints": [room()]})
    with member(d) as a:
        a.send(frame(BINARY, b"1"))
        a.closed(1003, "unsupported-data")


def test_long_ones_are_checked_in_slices(daemon):
    """And what is said behind them stays behind them."""
    d = daemon({"workers": 1, "endpoints": [room()]})
    a, b = member(d), member(d, enveloped=True)
    long = json.dumps(["x" * 1000] * 110)
    a.send(text(long), text("1"))
    assert [value_in(b), value_in(b)] == [long, "1"]
    assert [a.text(), a.text()] == [long, "1"]
    a.send(text(long + "x"), text("2"))
    a.closed(1007, f"invalid-json: line 1 column {len(long) + 1}")
    b.send(text("3"))
    assert value_in(b) == "3"


def test_who_may_not_publish_is_not_looked_at(daemon):
    d = daemon({"endpoints": [room(publish="backend")]})
    with member(d) as a:
        a.send(text("no json"), frame(BINARY, b"x"))
        assert ask(d, "/publish/chat", "POST", b"[1]", **PLAIN)[0] == 200
        assert a.text() == "[1]"


def test_requests_are_none(daemon):
    d = daemon({"endpoints": [room()]})
    with member(d, enveloped=True) as a:
        a.send(text('{"ignyx":"position"}'), text("1"))
        assert json.loads(a.text())["type"] == "position"
        assert value_in(a) == "1"


@pytest.mark.parametrize("path", ["/chat", "/n"])
def test_publish(daemon, path):
    d = daemon({"workers": 2, "endpoints": [room(), notify()]})
    a, b = member(d, path), member(d, path, enveloped=True)
    for value in VALUES:
        for kind in (JSON, PLAIN):
            assert ask(d, "/publish" + path, "POST", value.encode(), **kind)[0] == 200
            assert a.text() == value_in(b) == value
    for bad, where in (("hi", "line 1 column 1: "), ("[1,\n 2,]", "line 2 column 4: "), ("", "line 1 column 1: ")):
        for kind in (JSON, PLAIN):
            status, answer = ask(d, "/publish" + path, "POST", bad.encode(), **kind)
            assert (status, answer["error"]) == (400, "invalid-json")
            assert answer["message"].startswith(where)
    status, answer = ask(d, "/publish" + path, "POST", b"1", **BYTES)
    assert (status, answer["error"]) == (400, "unsupported-data")
    # several: all or none
    for bad, word in (({"data": "x"}, "invalid-json"), ({"base64": "MQ=="}, "unsupported-data")):
        body = json.dumps([{"path": path, "data": "1"}, {"path": path, **bad}])
        status, answer = ask(d, "/publish", "POST", body.encode(), **JSON)
        assert (status, answer["error"]) == (400, word)
        assert answer["message"].startswith("message 2: ")
    body = json.dumps([{"path": path, "data": v} for v in VALUES])
    assert ask(d, "/publish", "POST", body.encode(), **JSON)[0] == 200
    assert [a.text() for _ in VALUES] == [value_in(b) for _ in VALUES] == VALUES


def test_notify_as_text(daemon):
    """Whoever has other things to tell says so."""
    d = daemon({"endpoints": [notify(data="text")]})
    a, b = member(d, "/n"), member(d, "/n", enveloped=True)
    assert ask(d, "/publish/n", "POST", b"hi", **PLAIN)[0] == 200
    assert a.text() == "hi"
    assert value_in(b) == '"hi"'
    assert ask(d, "/publish/n", "POST", b"hi", **BYTES)[0] == 200
    assert a.message() == (BINARY, b"hi")


def test_what_is_kept_stays_what_it_was(daemon):
    """In history and replay, before and behind a reload that changes data."""
    def endpoints(data):
        return [room(data=data, history=10, replay=10)]

    d = daemon({"workers": 2, "endpoints": endpoints("text")})
    a = member(d)
    a.send(text("[1]"))
    assert a.text() == "[1]"
    for data, said in (("json", "[2]"), ("text", "[3]"), ("json", "[4]")):
        d.change(endpoints=endpoints(data))
        d.reload()
        a.send(text(said))
        assert a.text() == said
    late = member(d, enveloped=True)
    assert [value_in(late) for _ in range(4)] == ['"[1]"', "[2]", '"[3]"', "[4]"]
    plain = member(d)
    assert [plain.message() for _ in range(4)] == [(TEXT, b"[%d]" % i) for i in range(1, 5)]
    # administrators see the text
    kept = ask(d, "/history/chat")[1]["messages"]
    assert [m["data"] for m in kept] == ["[1]", "[2]", "[3]", "[4]"]
    # who is connected is held to the settings of now
    a.send(text("x"))
    a.closed(1007)


def test_prefix_and_json(daemon):
    d = daemon({"endpoints": [room(prefix="a")]}, start=False)
    d.expect_error("not started: ")
    d.refuses(r'endpoint "/chat": "data" is "json", and there is a "prefix"')
