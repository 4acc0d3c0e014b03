"""RFC 6455 4.2: what an opening handshake must have, may have, and must not have."""

import base64

from cases import PROTOCOL_ERROR, Case, Frame, Http, pieces
from raw import KEY, TEXT, UPGRADE, accept_of, frame, plain, request

ACCEPTED = Http(101, have={"sec-websocket-accept": accept_of(KEY)},
                lack=("sec-websocket-protocol", "sec-websocket-extensions"))
HI = [frame(TEXT, b"hi"), Frame(TEXT, b"hi")]


def head(*lines, first="GET /ws HTTP/1.1"):
    """A request of the lines given."""
    return "".join(f"{x}\r\n" for x in (first, *lines, "")).encode("latin-1")


def lines(drop=(), **put):
    """The header lines of an upgrade, some left out, some with another value."""
    put = {k.replace("_", "-"): v for k, v in put.items()}
    return [f"{k}: {put.get(k, v)}" for k, v in UPGRADE.items() if k not in drop]


def with_lines(*more, drop=(), **put):
    return head(*lines(drop, **put), *more)


def accepted(section, what, data, answer=ACCEPTED):
    return Case(f"{section} {what}", [data, answer, *HI], raw=True)


def refused(section, what, data, status, word, **headers):
    have = {k.replace("_", "-"): v for k, v in headers.items()}
    return Case(f"{section} {what}", [data, Http(status, word, have)], raw=True)


def musts():
    """Without each of the required headers, and with each of them wrong."""
    yield accepted("4.2.2", "the example of the RFC", with_lines("Origin: http://example.com"),
                   Http(101, have={"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}))
    yield refused("4.2.1-2", "no Host", with_lines(drop=["Host"]), 400, "missing-host")
    yield refused("4.2.1-4", "no Connection", with_lines(drop=["Connection"]), 400, "bad-upgrade")
    yield refused("4.2.1-5", "no Sec-WebSocket-Key", with_lines(drop=["Sec-WebSocket-Key"]), 400,
                  "bad-key")
    yield refused("4.2.1-6", "no Sec-WebSocket-Version",
                  with_lines(drop=["Sec-WebSocket-Version"]), 400, "missing-version")
    yield refused("4.2.1-3", "no Upgrade", with_lines(drop=["Upgrade"]), 426, "upgrade-required")
    yield refused("4.2.1-3", "Upgrade to something else", with_lines(Upgrade="h2c"), 426,
                  "upgrade-required")
    for value in ("keep-alive", "close", "", "upgraded", "Upgrade-Insecure", '"Upgrade"'):
        yield refused("4.2.1-4", f"Connection: {value}", with_lines(Connection=value), 400,
                      "bad-upgrade")
    for version in ("12", "14", "8", "0", "7", "-13", "013", "13.0", "13, 8", "8, 13", "x", ""):
        yield refused("4.4", f"version {version!r}", with_lines(Sec_WebSocket_Version=version), 426,
                      "upgrade-required", sec_websocket_version="13", upgrade="websocket")
    yield refused("4.2.1-1", "no header at all", head(), 400, "missing-host")
    yield refused("4.2.1-1", "a plain GET", plain(), 426, "upgrade-required",
                  sec_websocket_version="13")


def keys():
    for i in (0, 1, 0x7f, 0x80, 0xff):
        key = base64.b64encode(bytes([i]) * 16).decode()
        yield accepted("4.2.2", f"key of 16 bytes {i:02x}", with_lines(Sec_WebSocket_Key=key),
                       Http(101, have={"sec-websocket-accept": accept_of(key)}))
    for what, key in (("empty", ""), ("short", "c2hvcnQ="), ("15 bytes", "A" * 20),
                      ("17 bytes", base64.b64encode(b"k" * 17).decode()),
                      ("24 bytes", base64.b64encode(b"k" * 24).decode()),
                      ("32 bytes", base64.b64encode(b"k" * 32).decode()),
                      ("no padding", KEY[:-2]), ("half of the padding", KEY[:-1]),
                      ("padding too early", KEY[:-3] + "==="), ("too much padding", KEY + "="),
                      ("not base64", "!" * 22 + "=="), ("the alphabet of URLs", "-_" * 11 + "=="),
                      ("a space within", "dGhl IHNhbXBsZSBub25jZQ="),
                      ("bits that must be zero", KEY[:-3] + "R=="),
                      ("two of them", f"{KEY}, {KEY}")):
        yield refused("4.2.1-5", f"key, {what}", with_lines(Sec_WebSocket_Key=key), 400, "bad-key")


def doubled():
    yield refused("4.2.1-2", "Host twice", with_lines("host: other"), 400, "missing-host")
    yield refused("4.2.1-2", "the same Host twice", with_lines("Host: localhost"), 400,
                  "missing-host")
    yield refused("11.3.1", "key twice", with_lines(f"sec-websocket-key: {KEY}"), 400, "bad-key")
    yield refused("11.3.5", "version twice", with_lines("Sec-WebSocket-Version: 13"), 400,
                  "version-doubled")
    yield refused("4.2.1-7", "Origin twice", with_lines("Origin: http://a", "Origin: http://a"),
                  400, "bad-request")
    yield accepted("4.2.1-3", "Upgrade twice", with_lines("Upgrade: websocket"))
    yield accepted("4.2.1-3", "Upgrade twice, once to something else", with_lines("Upgrade: h2c"))
    yield accepted("4.2.1-4", "Connection twice",
                   with_lines("Connection: upgrade", Connection="keep-alive"))


def tolerance():
    """What the world sends."""
    for value in ("upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade, keep-alive",
                  "keep-alive,Upgrade", ",Upgrade", "Upgrade,", "a ,\tUPGRADE , b"):
        yield accepted("4.2.1-4", f"Connection: {value!r}", with_lines(Connection=value))
    for value in ("WebSocket", "WEBSOCKET", "h2c, websocket", "websocket,h2c", " websocket\t"):
        yield accepted("4.2.1-3", f"Upgrade: {value!r}", with_lines(Upgrade=value))
    for what, form in (("lower case", str.lower), ("upper case", str.upper)):
        yield accepted("4.2.1", f"names in {what}",
                       head(*(f"{form(k)}: {v}" for k, v in UPGRADE.items())))
    for what, colon in (("no space", ":"), ("spaces", ":   "), ("a tab", ":\t")):
        yield accepted("4.2.1", f"{what} behind the colon",
                       head(*(f"{k}{colon}{v}" for k, v in UPGRADE.items())))
    yield accepted("4.2.1", "spaces and tabs at the end of the lines",
                   head(*(f"{k}: {v} \t " for k, v in UPGRADE.items())))
    yield accepted("4.2.1", "the lines in another order", head(*reversed(lines())))
    any_lines = ("X-Any: \"~[]{}\xe9\xff", "X-Empty:", "!#$%&'*+: t")
    yield accepted("4.2.1", "lines of all kinds between",
                   head(*(x for line in lines() for x in (line, *any_lines))))
    yield accepted("4.2.1", "an empty line ahead", b"\r\n" + request())
    yield accepted("4.2.1", "a Content-Length of 0", with_lines("Content-Length: 0"))
    yield accepted("4.2.1", "99 lines", with_lines(*(f"X{i}: y" for i in range(94))))
    for host in ("localhost:8080", "[::1]:80", "127.0.0.1", "example.org.", ""):
        yield accepted("4.2.1-2", f"Host: {host!r}", with_lines(Host=host))
    for path in ("/ws?", "/ws?a=b&c=%zz", "/ws?/%00?", "/%77s", "/%77%73", "/w%73?x",
                 "http://localhost/ws", "ws://localhost:8080/ws?x", "https://a/ws", "WSS://a/ws"):
        yield accepted("4.2.1-1", f"target {path}", request(path))
    for origin in ("http://localhost", "https://evil.test", "null", ""):
        yield accepted("4.2.1-7", f"Origin: {origin!r}", with_lines(f"Origin: {origin}"))
    for offer in ("permessage-deflate", "x-webkit-deflate-frame", "foo, a; b=c; d=\"e\"", "", ",",
                  "permessage-deflate; server_max_window_bits=99"):
        yield accepted("9.1", f"an extension that is off or unknown, {offer!r}",
                       with_lines(f"Sec-WebSocket-Extensions: {offer}"))
    yield Case("9.1 an extension that was offered and not agreed on is not used",
               [frame(TEXT, b"x", rsv=4)[:1], *PROTOCOL_ERROR], offer="permessage-deflate",
               agreed=None)


def strictness():
    """What two programs could read in two ways."""
    for what, line in (("white space ahead of the colon", "X : y"), ("a tab ahead", "X\t: y"),
                       ("no colon", "no colon"), ("no name", ": y"),
                       ("a space in the name", "a b: c"),
                       ("a name that is no token", "a(b): c"), ("a name beyond ASCII", "\xe9: c"),
                       ("a folded line", " folded"), ("a folded line, by a tab", "\tfolded"),
                       ("NUL in a value", "X: a\0b"), ("BEL in a value", "X: a\ab"),
                       ("ESC in a value", "X: a\x1bb"), ("DEL in a value", "X: a\x7fb"),
                       ("NUL in a name", "X\0: y"), ("CR in a value", "X: a\rb"),
                       ("CR at the end of a value", "X: a\r")):
        yield refused("4.2.1", what, with_lines(line), 400, "bad-request")
        yield refused("4.2.1", f"{what}, in the first line of them",
                      head(line, *lines()), 400, "bad-request")
    yield refused("4.2.1", "lines that end with LF", request().replace(b"\r\n", b"\n"), 400,
                  "bad-request")
    yield refused("4.2.1", "one line that ends with LF",
                  request().replace(b"localhost\r", b"localhost"), 400, "bad-request")
    yield refused("4.2.1", "100 headers and one more", with_lines(*(f"X{i}: y" for i in range(96))),
                  400, "too-many-headers")
    yield refused("4.2.1", "a body by length", with_lines("Content-Length: 5"), 400, "request-body")
    yield refused("4.2.1", "a body in chunks", with_lines("Transfer-Encoding: chunked"), 400,
                  "request-body")
    for first in ("GET /ws", "GET /ws HTTP/1.1 ", "GET  /ws HTTP/1.1", "GET /ws  HTTP/1.1",
                  " GET /ws HTTP/1.1", "GET /ws http/1.1", "GET /ws HTTP/1.10", "GET /ws FTP/1.1",
                  "GET /w s HTTP/1.1", "GET\t/ws\tHTTP/1.1", "G(T /ws HTTP/1.1",
                  "PROXY TCP4 192.0.2.1 192.0.2.2 1 2"):
        yield refused("4.2.1-1", f"request line {first!r}", head(*lines(), first=first), 400,
                      "bad-request")
    for first in ("GET /ws HTTP/2.0", "GET /ws HTTP/1.2", "GET /ws HTTP/0.9", "PRI * HTTP/2.0",
                  "GET /ws HTTP/1.0"):
        yield refused("4.2.1-1", f"request line {first!r}", head(*lines(), first=first), 400,
                      "http-version")
    for first in ("GET ws HTTP/1.1", "GET * HTTP/1.1", "GET http://localhost HTTP/1.1",
                  "GET /ws\x7f HTTP/1.1", "GET /w\xe9 HTTP/1.1", "GET /ws#x HTTP/1.1",
                  "GET /ws%zz HTTP/1.1", "GET /ws%0 HTTP/1.1", "GET /ws% HTTP/1.1",
                  "GET /ws%00 HTTP/1.1", "GET gopher://localhost/ws HTTP/1.1"):
        yield refused("4.2.1-1", f"request line {first!r}", head(*lines(), first=first), 400,
                      "bad-target")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "get", "CONNECT", "BREW"):
        yield refused("4.2.1-1", f"method {method}", request(method=method), 405,
                      "method-not-allowed", allow="GET")
    for path in ("/", "/ws/", "/WS", "/ws/x", "/w", "//ws", "/./ws", "/ws%2f", "/ws%20", "/ws;a",
                 "/" + "x" * 2000):
        yield refused("4.2.2-3", f"target {path[:20]}", request(path), 404, "not-found")
    yield refused("4.2.1", "a head of more than 8 KiB", with_lines("X: " + "x" * 8192), 431,
                  "head-too-large")


def early():
    """Refused with the first byte or line that shows it, before the head has ended."""
    for what, data, word in (
            ("a TLS record", b"\x16\x03\x01", "tls-on-plain-port"),
            ("a byte that no method has", b"\0", "bad-request"), ("LF first", b"\n", "bad-request"),
            ("another version", b"GET /ws HTTP/3.0\r\n", "http-version"),
            ("a wrong line", b"GET /ws HTTP/1.1\r\nX : y\r\n", "bad-request"),
            ("a folded line", b"GET /ws HTTP/1.1\r\nX: y\r\n z\r\n", "bad-request"),
            ("a line that ends with LF", b"GET /ws HTTP/1.1\n", "bad-request")):
        yield refused("4.2.1", f"{what}, nothing behind it", data, 400, word)
    yield refused("4.2.1", "8 KiB of a line that does not end",
                  b"GET /ws HTTP/1.1\r\nX: " + b"x" * 8192, 431, "head-too-large")
    yield refused("4.2.1", "8 KiB of a target that does not end", b"GET /" + b"x" * 8192, 431,
                  "head-too-large")


def order():
    """Where several things are wrong the first of the manual's list is told."""
    version = "Sec-WebSocket-Version"
    for what, data, status in (
            ("a malformed head before the path", head("X : y", first="GET /no HTTP/1.1"), 400),
            ("Host before the path", request("/no", drop=["Host"]), 400),
            ("the key before the path", request("/no", drop=["Sec-WebSocket-Key"]), 400),
            ("Connection before the path", request("/no", drop=["Connection"]), 400),
            ("Host before the method", request(method="POST", drop=["Host"]), 400),
            ("the key before the version",
             request(headers={"Sec-WebSocket-Key": "x", version: "8"}), 400),
            ("the path before the method", request("/no", method="POST"), 404),
            ("the path before the upgrade", plain("/no"), 404),
            ("the path before the version", request("/no", headers={version: "8"}), 404),
            ("the method before the upgrade", plain(method="POST"), 405),
            ("the method before the version", request(method="POST", headers={version: "8"}), 405),
            ("the method before the origin",
             request("/own", method="POST", headers={"Origin": "http://evil.test"}), 405),
            ("the version before the origin",
             request("/own", headers={version: "8", "Origin": "http://evil.test"}), 426),
            ("the upgrade before the subprotocol", plain("/must"), 426),
            ("the origin before the subprotocol",
             request("/own", headers={"Origin": "http://evil.test"}), 403)):
        yield Case(f"4.2.2 order: {what}", [data, Http(status)], raw=True)


def shown(values):
    return " and ".join(map(repr, values)) or "not asked for"


def subprotocols():
    def ask(path, *values):
        return head(*lines(), *(f"Sec-WebSocket-Protocol: {v}" for v in values),
                    first=f"GET {path} HTTP/1.1")
    for values, chosen in ((["chat"], "chat"), (["superchat"], "superchat"),
                           (["chat, superchat"], "chat"), (["superchat, chat"], "superchat"),
                           (["other, chat"], "chat"), (["other", "superchat", "chat"], "superchat"),
                           ([" ,\tchat , "], "chat"), (["chat,chat"], "chat")):
        yield accepted("4.2.2-5", f"subprotocols {shown(values)}", ask("/sub", *values),
                       Http(101, have={"sec-websocket-protocol": chosen}))
        yield accepted("4.2.2-5", f"subprotocols {shown(values)}, required",
                       ask("/must", *values), Http(101, have={"sec-websocket-protocol": chosen}))
    for values in ([], ["other"], ["Chat"], ["chatter"], [""], ["chat superchat"]):
        yield accepted("4.2.2-5", f"subprotocols {shown(values)}, none in common",
                       ask("/sub", *values))
        yield refused("4.2.2-5", f"subprotocols {shown(values)}, none in common, required",
                      ask("/must", *values), 400, "subprotocol-required")
    yield accepted("4.2.2-5", "subprotocols where there are none", ask("/ws", "chat"))


def origins():
    def ask(origin):
        return request("/own", headers={"Origin": origin})
    for origin in ("https://own.test", "HTTPS://OWN.test", "http://a.example.net",
                   "https://a.b.example.net:8443"):
        yield accepted("10.2", f"Origin {origin}", ask(origin))
    yield accepted("10.2", "no Origin", request("/own"))
    for origin in ("http://own.test", "https://own.test:8443", "https://own.test.evil.test",
                   "https://example.net", "https://xexample.net", "null", "", "own.test",
                   "https://own.test/"):
        yield refused("10.2", f"Origin {origin!r}", ask(origin), 403, "bad-origin")


def reads():
    """The head in pieces, and what comes with it."""
    data = request() + frame(TEXT, b"hi")
    for what, chunks in (("byte by byte", pieces(data)), ("in reads of 7", pieces(data, 7)),
                         ("in one read with a message", [data]),
                         ("cut in the empty line", [data[:len(request()) - 2],
                                                    data[len(request()) - 2:]]),
                         ("cut in the last CR LF", [data[:len(request()) - 1],
                                                    data[len(request()) - 1:]])):
        yield Case(f"4.2.2 head {what}", [*chunks, ACCEPTED, Frame(TEXT, b"hi")], raw=True)
    yield Case("4.2.2 a failure in the same read as the head",
               [request() + frame(TEXT, b"hi") + frame(3), ACCEPTED, Frame(TEXT, b"hi"),
                *PROTOCOL_ERROR], raw=True)
    size = 8192 - len(with_lines("X: "))
    yield accepted("4.2.1", "a head of exactly 8 KiB", with_lines("X: " + "x" * size))


def cases():
    for table in (musts, keys, doubled, tolerance, strictness, early, order, subprotocols, origins,
                  reads):
        yield from table()
