"""The five endpoints for clients that this project did not write, and what they must see."""

import os

from harness import FIVE, WELCOME, run_program
from raw import Raw, request
from way import PROXIED

NO_COMPRESSION = "the daemon has no permessage-deflate"
STRICT = os.environ.get("IGNYX_CONFORMANCE_STRICT") == "1"

COMPRESSING = {"endpoints": FIVE, "compression": {
    "enabled": True, "threshold": "0",
    "server_context_takeover": True, "client_context_takeover": True}}

SEEN = {
    "echo": ["Echo: hi", "Echo: ", "Echo: grüß \N{SNOWMAN} \N{GRINNING FACE}", [0, 128, 255]],
    "long": [True, True],
    "closed": {"close": 1000},
    "chat": ["User: one", "User: one", "User: two", "User: two"],
    "notifications": WELCOME,
    "once": ["Goodbye!", {"close": 1000}],
    "safe": {"close": 1000},
}


def compresses(make):
    """A started daemon that agrees on compression; None if this ignyxd cannot."""
    d = make(COMPRESSING, start=False)
    if run_program("-t", "-c", d.file).returncode != 0:
        return None
    d.start()
    with Raw(d.address) as c:
        c.send(request(headers={"Sec-WebSocket-Extensions": "permessage-deflate"}))
        return d if c.response().header("sec-websocket-extensions") else None


def check(d, seen, compressed):
    """The transcript of five.js or its like, and what the daemon's log says of it."""
    extension = (seen.pop("extensions") or "").split(";")[0]
    assert extension == ("permessage-deflate" if compressed else "")
    assert seen == SEEN
    d.log_contains(r"Received JSON: from a client")
    for path in ("/ws", "/notifications", "/once", "/safe"):
        d.log_contains(rf"closed /.*endpoint={path}{PROXIED} code=1000")
