"""The `websockets` package, a client that this project did not write, in any version that Debian
12 and later have: from its version 14 on connect() is another one, with the same arguments."""

import inspect

import websockets

# by itself it would ask a proxy that the environment names
DIRECT = {"proxy": None} if "proxy" in inspect.signature(websockets.connect.__init__).parameters \
    else {}


def connect(url, **kw):
    return websockets.connect(url, **DIRECT, **kw)


def agreed(ws):
    """What the daemon answered to the offer of extensions; None: nothing."""
    answer = ws.response.headers if hasattr(ws, "response") else ws.response_headers
    return answer.get("Sec-WebSocket-Extensions")
