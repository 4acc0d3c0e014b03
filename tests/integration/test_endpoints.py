"""The five endpoints as a client sees them, by the `websockets` package and by exact bytes."""

import asyncio
import json
import re

import pytest
import websockets

import stock
from harness import DEADLINE, ROOMY, WELCOME
from raw import BINARY, KEY, TEXT, Raw, accept_of, close, frame, request, run, text
from way import PROXIED, directly


def connect(url, **kw):
    return stock.connect(url, open_timeout=DEADLINE, close_timeout=DEADLINE,
                         ping_timeout=DEADLINE, **kw)


# --- a stock client ---


def test_echo(shared):
    async def client():
        async with connect(shared.url("/ws")) as ws:
            await ws.send("hi")
            assert await ws.recv() == "Echo: hi"
            await ws.send("")
            assert await ws.recv() == "Echo: "
            await ws.send("grüß \N{SNOWMAN} \N{GRINNING FACE}")
            assert await ws.recv() == "Echo: grüß \N{SNOWMAN} \N{GRINNING FACE}"
            await ws.send(bytes(range(256)))
            assert await ws.recv() == bytes(range(256))
            await ws.send(b"")
            assert await ws.recv() == b""
        assert ws.close_code == 1000

    run(client())


def test_echo_answers_in_order(shared):
    async def client():
        async with connect(shared.url("/ws")) as ws:
            for i in range(200):
                await ws.send(f"{i}" * (i % 7))
            for i in range(200):
                assert await ws.recv() == "Echo: " + f"{i}" * (i % 7)

    run(client())


def test_chat_reaches_all_and_the_sender(shared):
    async def client():
        async with connect(shared.url("/chat")) as a, connect(shared.url("/chat")) as b, \
                connect(shared.url("/chat")) as c:
            for who, said in ((a, "hi"), (b, "you"), (c, "")):
                await who.send(said)
                for member in (a, b, c):
                    assert await member.recv() == "User: " + said

    run(client())


def test_chat_passes_binary_on_unchanged(shared):
    async def client():
        async with connect(shared.url("/chat")) as a, connect(shared.url("/chat")) as b:
            await a.send(b"\x00\xff\x80")
            assert await a.recv() == b"\x00\xff\x80"
            assert await b.recv() == b"\x00\xff\x80"

    run(client())


def test_who_has_left_the_chat_gets_nothing_and_disturbs_nobody(shared):
    async def client():
        async with connect(shared.url("/chat")) as a:
            async with connect(shared.url("/chat")) as b:
                await b.send("one")
                assert await a.recv() == await b.recv() == "User: one"
            await a.send("two")
            assert await a.recv() == "User: two"
            async with connect(shared.url("/chat")) as c:
                await a.send("three")
                assert await c.recv() == "User: three", "a new member begins with what is new"
                assert await a.recv() == "User: three"

    run(client())


def test_endpoints_are_rooms_of_their_own(daemon):
    d = daemon({"endpoints": [{"path": p, "behaviour": "room"} for p in ("/a", "/b")]})

    async def client():
        async with connect(d.url("/a")) as a, connect(d.url("/b")) as b:
            await a.send("for a")
            assert await a.recv() == "for a"
            await b.send("for b")
            assert await b.recv() == "for b"

    run(client())


def test_room_can_leave_the_sender_out(daemon):
    d = daemon({"endpoints": [{"path": "/chat", "behaviour": "room", "include_sender": False}]})

    async def client():
        async with connect(d.url("/chat")) as a, connect(d.url("/chat")) as b:
            await a.send("from a")
            assert await b.recv() == "from a"
            await b.send("from b")
            assert await a.recv() == "from b", "its own message would have come first"

    run(client())


def test_notifications_welcome(shared):
    async def client():
        async with connect(shared.url("/notifications")) as ws:
            assert json.loads(await ws.recv()) == WELCOME

    run(client())


@pytest.mark.parametrize("sent, logged", [
    ('{"content": "hello"}', "hello"),
    ('{"content": 42}', "42"),
    ('{"content": true}', "true"),
    ('{"content": null}', "null"),
    ('{"content": {"a": [1, 2.5, "x"]}}', '{"a":[1,2.5,"x"]}'),
    ('{"other": "hello"}', "null"),
    ('[1]', "null"),
    ('"content"', "null"),
    ('{"content": "gr\\u00fc\\u00df"}', "grüß"),
    # what RFC 8259 allows, and as it was written
    ('{"content": "x", "n": 10000000000000000000}', "x"),
    ('{"content": "x", "n": [1e999, -1e999, 18446744073709551615]}', "x"),
    ('{"content": 123456789012345678901234567890}', "123456789012345678901234567890"),
    ('{"content": 1e999}', "1e999"),
    ('{"content": -0.0}', "-0.0"),
    ('{"content": 7.6}', "7.6"),
    ('{"content": [ 7.6 , 0.30000000000000004 ]}', "[7.6,0.30000000000000004]"),
    ('{"content": "a\\ud800b"}', '"a\\uD800b"'),
    ('{"content": "a\\u0000b"}', '"a\\u0000b"'),
    ('{"\\u0000": 1, "content": 2, "content": 3}', "3"),
])
def test_notifications_log_the_content(shared, sent, logged):
    mark = shared.log_size()
    with Raw(shared.address) as c:
        c.upgrade("/notifications").text()
        c.send(text(sent))
        line = shared.log_contains(r"^.*Received JSON: .*$", mark).group()
        assert f"Received JSON: {logged}" in line
        assert "/notifications" in line
        c.send(close(1000)).closed(1000)
    shared.log_contains(r"closed /.*/notifications", mark)
    shared.log_count("Received JSON: ", 1, mark)


def test_what_a_client_sends_cuts_no_fields_off(shared):
    mark = shared.log_size()
    with Raw(shared.address) as c:
        c.upgrade("/notifications").text()
        c.send(text(json.dumps({"content": "\x01" * 4000})))
        line = shared.log_contains(r"^.*Received JSON: \\x01.*$", mark).group()
    assert re.search(rf"\\x01 event=behaviour conn=\S+ peer=\S+ endpoint=/notifications{PROXIED}$", line)
    assert len(line) < 4096


def test_notifications_log_another_member(daemon):
    d = daemon({"endpoints": [{"path": "/n", "behaviour": "notify", "message": [1, "two"],
                               "log": "detail"}]})
    with Raw(d.address) as c:
        c.upgrade("/n")
        assert json.loads(c.text()) == [1, "two"]
        c.send(text('{"content": "no", "detail": "yes"}'))
        d.log_contains("Received JSON: yes")


@pytest.mark.parametrize("sent", ["", "{", "not json", '{"content": }', '{"a":1} trailing', "{'a': 1}"])
def test_notifications_close_on_what_is_not_json(shared, sent):
    mark = shared.log_size()
    with Raw(shared.address) as c:
        c.upgrade("/notifications").text()
        c.send(text(sent))
        code, reason = c.closing()
        assert code == 1007
        assert reason.startswith("invalid-json")
        assert any(ch.isdigit() for ch in reason), f"no position in {reason!r}"
    assert "Received JSON" not in shared.log(mark)


def test_notifications_tell_where_it_is_wrong(shared):
    with Raw(shared.address) as c:
        c.upgrade("/notifications").text()
        c.send(text('{"content":\n  oops}'))
        assert c.closing() == (1007, "invalid-json: line 2 column 3")


def test_notifications_can_answer_with_an_error(daemon):
    d = daemon({"endpoints": [{"path": "/n", "behaviour": "notify", "message": "hello",
                               "on_invalid": "error"}]})
    with Raw(d.address) as c:
        c.upgrade("/n")
        assert json.loads(c.text()) == "hello"
        c.send(text('{"content": oops}'))
        answer = json.loads(c.text())
        assert answer["type"] == "error"
        assert "invalid-json" in answer.values()
        c.send(text('{"content":\n  oops}'))
        answer = json.loads(c.text())
        assert (answer["line"], answer["column"]) == (2, 3) and answer["message"]
        c.send(text("[" * 2049))
        assert json.loads(c.text())["column"] == 2049
        c.send(text('{"content": "still here"}'))
        d.log_contains("Received JSON: still here")
        c.send(close(1000)).closed(1000)


def test_notifications_take_no_binary(shared):
    with Raw(shared.address) as c:
        c.upgrade("/notifications").text()
        c.send(frame(BINARY, b'{"content": 1}')).closed(1003, "unsupported-data")


def test_once(shared):
    async def client():
        async with connect(shared.url("/once")) as ws:
            assert await ws.recv() == "Goodbye!"
            with pytest.raises(websockets.ConnectionClosedOK):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (1000, "")

    run(client())


def test_once_with_the_longest_reason(daemon):
    reason = "r" * 123
    d = daemon({"endpoints": [
        {"path": "/o", "behaviour": "oneshot", "message": "x", "reason": reason}]})
    with Raw(d.address) as c:
        c.upgrade("/o").text()
        assert c.closing() == (1000, reason)


def test_once_with_a_group_a_code_and_a_reason(daemon):
    d = daemon({"endpoints": [{"path": "/once", "behaviour": "oneshot",
                               "message": {"go": ["away", 1, True]}, "code": 4001,
                               "reason": "Feierabend \N{SNOWMAN}"}]})
    with Raw(d.address) as c:
        c.upgrade("/once")
        assert json.loads(c.text()) == {"go": ["away", 1, True]}
        c.closed(4001, "Feierabend \N{SNOWMAN}")


def test_safe_takes_everything_and_logs_the_end(shared):
    mark = shared.log_size()
    with Raw(shared.address) as c:
        c.upgrade("/safe")
        c.send(text("a"), frame(BINARY, b"b" * 70000), text("c"))
        c.send(close(1000, b"bye")).closed(1000)
    line = shared.log_contains(r"^.*Client disconnected.*$", mark).group()
    assert "peer-closed" in line and "1000" in line and "/safe" in line


def test_safe_logs_an_end_that_is_not_clean(shared):
    mark = shared.log_size()
    with Raw(shared.address) as c:
        c.upgrade("/safe")
    line = shared.log_contains(r"^.*Client disconnected.*$", mark).group()
    assert "peer-gone" in line and "1006" in line


@directly("it makes an end of a reset")
def test_safe_logs_a_reset(shared):
    mark = shared.log_size()
    c = Raw(shared.address).upgrade("/safe")
    c.reset()
    line = shared.log_contains(r"^.*Client disconnected.*$", mark).group()
    assert "reset" in line and "1006" in line


def test_safe_can_be_silent(daemon):
    d = daemon({"endpoints": [{"path": "/safe", "behaviour": "sink", "log": False}]})
    with Raw(d.address) as c:
        c.upgrade("/safe").send(close(1000)).closed(1000)
    d.log_contains(r"closed /.*peer-closed")
    assert "Client disconnected" not in d.log()


# --- exact bytes ---


def test_bytes_of_the_upgrade(shared):
    with Raw(shared.address) as c:
        c.upgrade("/ws", headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    with Raw(shared.address) as c:
        c.send(b"GET /ws HTTP/1.1\r\nhost: x\r\nUPGRADE: WebSocket\r\n"
               b"connection: keep-alive, upgrade\r\nsec-websocket-key: " + KEY.encode() +
               b"\r\nsec-websocket-version: 13\r\n\r\n")
        r = c.response()
        assert (r.status, r.phrase) == (101, "Switching Protocols")
        assert r.header("upgrade").lower() == "websocket"
        assert r.header("connection").lower() == "upgrade"
        assert r.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert r.header("sec-websocket-accept") == accept_of(KEY)
        assert r.header("sec-websocket-extensions") is None
        assert r.header("sec-websocket-protocol") is None
        c.send(text("hi"))
        assert c.take(10) == b"\x81\x08Echo: hi"


def test_bytes_of_once(shared):
    with Raw(shared.address) as c:
        c.upgrade("/once")
        assert c.take(10) == b"\x81\x08Goodbye!"
        assert c.take(4) == b"\x88\x02\x03\xe8"
        c.send(close(1000)).ends()


def test_once_ignores_what_comes(shared):
    with Raw(shared.address) as c:
        c.upgrade("/once", behind=text("hello?") + frame(BINARY, b"x" * 1000))
        assert c.text() == "Goodbye!"
        c.closed(1000, "")


def test_echo_of_every_length_encoding(daemon):
    d = daemon(ROOMY)
    payload = bytes(i & 0xff for i in range(251)) * 4200
    with Raw(d.address) as c:
        c.upgrade("/ws")
        for n in (0, 1, 117, 119, 120, 125, 126, 65529, 65530, 65535, 65536, 1 << 20):
            c.send(frame(BINARY, payload[:n]))
            assert c.message() == (BINARY, payload[:n])
            c.send(text(b"x" * n))
            assert c.message() == (TEXT, b"Echo: " + b"x" * n)


def test_head_and_messages_in_one_segment(shared):
    with Raw(shared.address) as c:
        c.upgrade("/ws", behind=text("one") + frame(BINARY, b"two") + text("three") + close(1000))
        assert c.text() == "Echo: one"
        assert c.message() == (BINARY, b"two")
        assert c.text() == "Echo: three"
        assert c.closing() == (1000, "")
        c.ends()


def test_paths_are_decoded_and_queries_ignored(daemon):
    d = daemon({"endpoints": [{"path": "/a b/\N{SNOWMAN}", "behaviour": "echo"},
                              {"path": "/ws", "behaviour": "echo"},
                              {"path": "/ws/", "behaviour": "echo", "prefix": "slash "}]})
    for path, answer in (("/a%20b/%E2%98%83", "x"), ("/%77s", "x"), ("/ws?token=/ws/", "x"),
                         ("/ws?", "x"), ("/ws/", "slash x"), ("/ws%2f", "slash x")):
        with Raw(d.address) as c:
            c.upgrade(path, behind=text("x"))
            assert c.text() == answer, path
    for path in ("/WS", "/ws//", "/w", "/wss", "/", "/./ws", "/a+b/%E2%98%83"):
        with Raw(d.address) as c:
            c.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert c.response().status == 404, path


def test_required_subprotocol(daemon):
    d = daemon({"subprotocols": ["chat.v1"], "endpoints": [
        {"path": "/ws", "behaviour": "echo", "require_subprotocol": True},
        {"path": "/any", "behaviour": "echo"}]})
    for headers in ({}, {"Sec-WebSocket-Protocol": "chat.v2, CHAT.V1"}):
        with Raw(d.address) as c:
            c.send(request("/ws", headers=headers))
            r = c.response()
            assert r.status == 400 and r.body.startswith(b"subprotocol-required: ")
            c.ends()
        with Raw(d.address) as c:
            c.upgrade("/any", headers=headers)
    with Raw(d.address) as c:
        c.upgrade("/ws", headers={"Sec-WebSocket-Protocol": "chat.v2, chat.v1"})


def test_subprotocols(daemon):
    d = daemon({"subprotocols": ["chat.v2", "chat.v1"]})

    async def client():
        async with connect(d.url("/ws"), subprotocols=["x", "chat.v1", "chat.v2"]) as ws:
            assert ws.subprotocol == "chat.v1", "the first of the client's list"
        async with connect(d.url("/ws"), subprotocols=["x"]) as ws:
            assert ws.subprotocol is None
        async with connect(d.url("/ws")) as ws:
            assert ws.subprotocol is None

    run(client())


def test_a_hundred_clients_of_all_kinds(shared):
    async def talk(i):
        async with connect(shared.url("/ws")) as ws:
            for k in range(5):
                await ws.send(f"{i}/{k}")
                assert await ws.recv() == f"Echo: {i}/{k}"
        async with connect(shared.url("/once")) as ws:
            assert await ws.recv() == "Goodbye!"

    async def client():
        await asyncio.gather(*(talk(i) for i in range(100)))

    run(client())
