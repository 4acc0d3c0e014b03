"""The admin interface of a daemon, asked over its unix socket."""

import http.client
import json
import os
import re
import socket

SERIES = re.compile(r'^(ignyxd_\w+)(?:\{(.*)\})? (\S+)$', re.MULTILINE)


def own(d):
    return os.path.join(d.directory, "admin.sock")


class Admin(http.client.HTTPConnection):
    """One connection to the admin process of a daemon; it is made anew when it was closed."""

    def __init__(self, d, path=None):
        super().__init__("ignyxd", timeout=20)
        self.path = path or own(d)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, target, method="GET", body=None, **headers):
        """Returns the status, and what the JSON of the answer says."""
        self.request(method, target, body, headers)
        r = self.getresponse()
        text = r.read()
        assert r.getheader("Content-Type") == "application/json", text
        return r.status, json.loads(text)


def ask(d, target, *args, **kw):
    return Admin(d).ask(target, *args, **kw)


def scrape(d):
    admin = Admin(d)
    admin.request("GET", "/metrics")
    r = admin.getresponse()
    assert r.status == 200
    assert r.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    text = r.read().decode()
    return {(name, labels): float(value) for name, labels, value in SERIES.findall(text)}
