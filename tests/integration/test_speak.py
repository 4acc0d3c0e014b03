"""Who may be in a room, who may speak there, and how much."""

import threading

from asking import ask as admin
from harness import wait_until
from raw import Raw, request, text


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
