"""Who may be in a room, who may speak there, and how much."""

import threading

from asking import ask as admin, scrape
from harness import wait_until
from raw import Raw, close, request, text


def room(**settings):
    return {"path": "/chat", "behaviour": "room", **settings}


def ask(d, kept, path="/chat"):
    """Asks for an upgrade; what is open is kept. Returns status and body."""
    c = Raw(d.address)
    c.send(request(path))
    r = c.response()
    if r.status == 101:
        kept.append(c)
    else:
        c.socket.close()
    return r.status, r.body


def members(d):
    status, room = admin(d, "/rooms/chat")
    return room["members"] if status == 200 else 0


# --- max_members ---

def test_no_more_members_over_workers(daemon):
    d = daemon({"workers": 4, "endpoints": [room(max_members=10), {"path": "/ws", "behaviour": "echo"}]})
    kept = []
    for _ in range(10):
        assert ask(d, kept)[0] == 101
    for _ in range(10):
        status, body = ask(d, kept)
        assert status == 503 and b"room-full" in body
    d.log_contains(r"refused .* /chat with 503: the room has max_members members already.*"
                   r" reason=room-full")
    assert ask(d, [], "/ws")[0] == 101
    kept[0].send(text("hi"))
    assert [c.text() for c in kept] == 10 * ["hi"]
    kept.pop().socket.close()
    wait_until("a place", lambda: ask(d, kept)[0] == 101)
    assert ask(d, kept)[0] == 503
    # who is there stays, and one that died has left
    d.change(endpoints=[room(max_members=4)])
    d.reload()
    kept[0].send(text("all"))
    assert [c.text() for c in kept] == 10 * ["all"]
    for c in kept:
        c.socket.close()


def test_many_come_together(daemon):
    """Never more are let in than may be; and who comes alone then gets what places are left."""
    limit, many = 10, 40
    d = daemon({"workers": 4, "access_log": False, "endpoints": [room(max_members=limit)]})
    for _ in range(5):
        kept = []
        threads = [threading.Thread(target=ask, args=(d, kept)) for _ in range(many)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert 1 <= len(kept) <= limit
        while len(kept) < limit:
            assert ask(d, kept)[0] == 101
        assert ask(d, kept)[0] == 503
        for c in kept:
            c.socket.close()
        wait_until("an empty room", lambda: members(d) == 0)


def test_not_where_there_is_no_room(daemon):
    d = daemon({"endpoints": [{"path": "/ws", "behaviour": "echo", "max_members": 3}]}, start=False)
    d.refuses(r'endpoint "/ws": "max_members" is of rooms, and behaviour "echo" has none',
              r"not started: .* has errors \(1\)")


# --- publish ---

NOTIFY = {"path": "/notes", "behaviour": "notify", "message": "hello"}


def publish(d, path, payload):
    return admin(d, f"/publish{path}", "POST", payload, **{"Content-Type": "text/plain"})


def test_a_backend_alone_publishes(daemon):
    d = daemon({"workers": 2, "endpoints": [room(publish="backend"), {**NOTIFY, "publish": "backend"}]})
    with Raw(d.address) as a, Raw(d.address) as b, Raw(d.address) as n:
        for c in (a, b):
            c.upgrade("/chat", behind=text("mine") + text("and mine"))
        n.upgrade("/notes").text()
        n.send(text('{"content": "logged as ever"}'))
        d.log_contains("Received JSON: logged as ever")
        d.log_count(r"not taking messages of /chat .*: a client may not publish there "
                    r"event=conn-unheard .* reason=not-allowed", 2)
        for path, members in (("/chat", (a, b)), ("/notes", (n,))):
            assert publish(d, path, "news")[0] == 200
            assert [c.text() for c in members] == len(members) * ["news"]
        assert scrape(d)["ignyxd_messages_not_allowed_total", 'endpoint="/chat"'] == 4
        assert scrape(d)["ignyxd_messages_not_allowed_total", 'endpoint="/notes"'] == 0
        a.send(close(1000))
        a.closing()
    d.log_contains("closed /chat .*; 2 messages not taken")


def test_nobody_publishes(daemon):
    d = daemon({"endpoints": [room(publish="none"), {**NOTIFY, "publish": "none"}, {**NOTIFY, "path": "/x"}]})
    with Raw(d.address) as a:
        a.upgrade("/chat", behind=text("mine"))
        for path in ("/chat", "/notes"):
            status, body = publish(d, path, "news")
            assert (status, body["error"]) == (403, "not-allowed")
        # none of a batch where one is refused
        batch = '[{"path": "/x", "data": "a"}, {"path": "/chat", "data": "b"}]'
        status, body = admin(d, "/publish", "POST", batch, **{"Content-Type": "application/json"})
        assert (status, body["error"]) == (403, "not-allowed")
        assert admin(d, "/rooms/x")[0] == 404
        d.change(endpoints=[room()])
        d.reload()
        a.send(text("now"))
        assert a.text() == "now"
