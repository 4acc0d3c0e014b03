"""A headless Chromium at the five endpoints, with and without compression."""

import html
import json
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import readme
from asking import Admin
from five import NO_COMPRESSION, STRICT, check, compresses
from harness import DEADLINE, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = {"/page.html": (os.path.join(HERE, "page.html"), "text/html"),
         "/recover.html": (os.path.join(HERE, "recover.html"), "text/html"),
         "/five.js": (os.path.join(HERE, "..", "integration", "five.js"), "text/javascript")}
START = 6 * DEADLINE  # a browser is slow to start

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--dump-dom"]


def follow():
    """The README's function, without its example of a call."""
    code = readme.block("Rooms, by three examples", "function follow")
    return code[:code.index("\n}") + 2]


class Pages(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.done = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, base, page="page"):
        return f"http://127.0.0.1:{self.server_port}/{page}.html?base={base}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/done":
            self.server.done.set()
        if path == "/when-done":
            self.server.done.wait(START)
        file, kind = FILES.get(path, (None, "text/plain"))
        body = open(file, "rb").read() if file else b""
        if path == "/follow.js":
            body, kind = follow().encode(), "text/javascript"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def browse(url, profile):
    """The page as it was when its load event came."""
    env = {**os.environ, "HOME": profile}
    done = subprocess.run([shutil.which("chromium"), *OPTIONS, f"--user-data-dir={profile}", url],
                          capture_output=True, text=True, timeout=2 * START, check=False, env=env)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert done.returncode == 0 and found, (done.returncode, done.stdout, done.stderr[-3000:])
    return html.unescape(found.group(1))


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_five_endpoints(daemon, tmp_path, compressed):
    d = compresses(daemon) if compressed else daemon()
    if not d:
        (pytest.fail if STRICT else pytest.skip)(NO_COMPRESSION)
    pages = Pages()
    try:
        text = browse(pages.url(f"ws://127.0.0.1:{d.port}"), str(tmp_path))
    finally:
        pages.shutdown()
        pages.server_close()
    assert text.startswith("{"), text
    check(d, json.loads(text), compressed)


LOSSES = 20


def lose_connections(d, stop):
    """Publishes all the time, and closes the page's connection again and again; then says "end"."""
    asker, said, lost = Admin(d), 0, 0

    def say(text):
        status, _ = asker.ask("/publish/talk/lobby", "POST", text.encode(),
                              **{"Content-Type": "text/plain"})
        assert status == 200

    def is_there():
        return asker.ask("/rooms/talk/lobby")[1].get("members", 0) > 0

    while lost < LOSSES and not stop.is_set():
        wait_until("the page", is_there, START)
        for _ in range(5):
            say(str(said))
            said += 1
        lost += asker.ask("/connections?room=/talk/lobby", "DELETE")[1]["closed"]
    say("end")
    return said, lost


def test_page_that_loses_its_connection(daemon, tmp_path):
    """The README's page shows each message once, in order, however often it is cut off."""
    d = daemon({"workers": 2, "access_log": False, "endpoints": [
        {"path": "/talk/{room}", "behaviour": "room", "format": "json", "history": 5000}]})
    pages, stop, counts = Pages(), threading.Event(), []
    writer = threading.Thread(target=lambda: counts.append(lose_connections(d, stop)))
    writer.start()
    try:
        seen = json.loads(browse(pages.url(f"ws://127.0.0.1:{d.port}", "recover"), str(tmp_path)))
    finally:
        stop.set()
        writer.join()
        pages.shutdown()
        pages.server_close()
    [(said, lost)] = counts
    assert lost >= LOSSES
    assert seen == [str(n) for n in range(said)] + ["end"]
