"""Somebody who answers in the place of the admin process: what that never says is said here.

An Admin listens on a unix socket. Its answers are a table from "METHOD PATH" to what is sent: JSON,
(status, JSON), bytes of a body, or a function of the request that returns one of these. What was
asked is kept.
"""

import http.server
import json
import os
import socketserver
import subprocess
import threading
import urllib.parse

from harness import DEADLINE, PROGRAM

CTL = os.path.join(os.path.dirname(PROGRAM), "ignyxctl")


class Request:
    def __init__(self, handler):
        parts = urllib.parse.urlsplit(handler.path)
        self.method, self.target = handler.command, handler.path
        self.path = urllib.parse.unquote(parts.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.headers = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    @property
    def name(self):
        return f"{self.method} {self.path}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        request = Request(self)
        self.server.asked.append(request)
        answer = self.server.answers.get(request.name)
        if callable(answer):
            answer = answer(request)
        if answer is None:
            answer = 404, {"error": "not-found", "message": f"there is no {request.path}"}
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def address_string(self):
        return "a client"

    def log_message(self, *_args):
        pass


class Answering(socketserver.ThreadingMixIn):
    daemon_threads = True

    def begin(self, answers):
        self.answers, self.asked = answers or {}, []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def handle_error(self, _request, _address):
        """Who asked does not wait for the answer."""

    def end(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Admin(Answering, socketserver.UnixStreamServer):
    def __init__(self, path, answers=None):
        super().__init__(path, Handler)
        self.path = path
        self.begin(answers)


class Tcp(Answering, socketserver.TCPServer):
    """The same on a port of this machine, for a with statement."""

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.begin(answers)

    def __exit__(self, *_exception):
        self.end()


def environment(env=None):
    """Of the test's, without what changes how things are shown."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IGNYX_")
             and k != "NO_COLOR"}
    return {**clean, **(env or {})}


def ctl(*args, env=None, timeout=DEADLINE, **kw):
    """Runs ignyxctl to its end; returns the completed process, output as text."""
    kw.setdefault("stdin", subprocess.DEVNULL)
    if "input" in kw:
        del kw["stdin"]
    return subprocess.run([CTL, *args], env=environment(env), timeout=timeout, text=True,
                          capture_output=True, check=False, **kw)
