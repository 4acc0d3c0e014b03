"""The README's three examples of rooms, as they are written there."""

import json
import re
import subprocess

import pytest

import readme
from asking import own
from asking import ask as admin
from harness import config_text
from raw import Raw, request, text

HEADING = "Rooms, by three examples"


@pytest.fixture
def d(daemon):
    d = daemon({"workers": 2, "endpoints": []}, start=False)
    text, count = re.subn(r"^endpoints *= *\(\s*\);", lambda _: readme.block(HEADING, "endpoints ="),
                          config_text(d.settings), flags=re.M)
    assert count == 1, text
    d.write(text)
    d.start()
    return d


def follow(d, path):
    c = Raw(d.address)
    c.send(request(path))
    assert c.response().status == 101
    return c


def feed(d):
    """Runs the lines of curl."""
    for line in readme.block(HEADING, "curl").replace("\\\n", " ").splitlines():
        line = line.replace("/run/ignyxd/admin.sock", own(d))
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
        assert "position" in json.loads(done.stdout), done.stdout


def take(c):
    return json.loads(c.text())


def test_dashboard(d):
    early = follow(d, "/board/sales")
    assert take(early) == {"type": "hello"}
    feed(d)
    assert take(early) == {"sold": 17}
    late = follow(d, "/board/sales")
    assert [take(late), take(late)] == [{"type": "hello"}, {"sold": 17}]
    other = follow(d, "/board/costs")
    assert take(other) == {"type": "hello"}
    admin(d, "/publish/board/costs", "POST", b"3", **{"Content-Type": "application/json"})
    assert other.text() == "3"


def test_one_person(d):
    feed(d)
    feed(d)
    ann = [follow(d, "/users/ann/inbox") for _ in range(2)]
    for c in ann:
        assert take(c) == {"type": "hello"}
        assert [take(c)["text"] for _ in range(2)] == ["lunch?", "lunch?"]
    bob = follow(d, "/users/bob/inbox")
    assert take(bob) == {"type": "hello"}
    feed(d)
    assert take(ann[0])["from"] == "bob"
    admin(d, "/publish/users/bob/inbox", "POST", b"3", **{"Content-Type": "application/json"})
    assert bob.text() == "3"


def test_chat(d):
    ann, bob = follow(d, "/talk/lobby"), follow(d, "/talk/lobby")
    assert take(ann)["members"] == 1 and take(bob)["members"] == 2
    ann.send(text("one"))
    position = take(bob)["position"]
    bob.socket.close()
    ann.send(text("two"), text("three"))
    bob = follow(d, f"/talk/lobby?since={position}")
    assert take(bob)["recovered"] is True
    assert [take(bob)["data"] for _ in range(2)] == ["two", "three"]
    carol = follow(d, "/talk/lobby")
    assert take(carol)["type"] == "joined"
    assert [take(carol)["data"] for _ in range(3)] == ["one", "two", "three"]
