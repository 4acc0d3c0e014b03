"""The worked cases of ignyxd.conf(5), "Who may come in", as they are written there."""

import base64
import base64
import json
import os
import re
import subprocess
import time

import jwt
import pytest

import manual
from certificates import Pair, client, openssl
from harness import PROGRAM, config_text
from raw import Raw, request, text

PAGE = "ignyxd.conf.5"


class Case:
    """A daemon with the settings of a case, in whose directory its commands were typed."""

    def __init__(self, daemon, title, prepare=lambda d: None):
        self.d = d = daemon({"endpoints": []}, start=False)
        prepare(d)
        tools = os.path.dirname(PROGRAM)
        for line in manual.commands(PAGE, title):
            done = subprocess.run(["sh", "-c", line], cwd=d.directory, capture_output=True, text=True, check=False,
                                  env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
            assert done.returncode == 0, (line, done)
        self.write(manual.block(PAGE, title, "endpoints ="))
        d.start()

    def write(self, settings):
        """In place of those of the same names; a listener of the case is at a free port here."""
        whole = config_text(self.d.settings)
        settings = re.sub(r'address = "::"; port = \d+;', 'address = "127.0.0.1"; port = 0;', settings)
        for name in re.findall(r"^(\w+) = ", settings, re.M):
            whole = re.sub(rf"^{name} = \(.*?\);\n", "", whole, flags=re.M | re.S)
        self.d.write(whole + settings)

    def status(self, path, tls=None, **headers):
        with Raw(self.d.address, tls=tls) as c:
            return c.send(request(path, headers=headers)).response().status

    def enter(self, path, tls=None, **headers):
        return Raw(self.d.address, tls=tls).upgrade(path, headers=headers)


def test_a_public_page(daemon):
    case = Case(daemon, "A public page")
    assert case.status("/live", Origin="https://www.example.org") == 101
    assert case.status("/live", Origin="https://evil.test") == 403
    # programs are no pages
    assert case.status("/live") == 101


def with_a_password(d):
    with open(f"{d.directory}/anna.password", "w", encoding="utf-8") as f:
        f.write("secret\n")


def test_people_with_passwords(daemon):
    case = Case(daemon, "People with passwords", with_a_password)

    def basic(pair):
        return "Basic " + base64.b64encode(pair).decode()

    with case.enter("/duty", Authorization=basic(b"anna:secret")) as c:
        assert c.send(text("all is well")).text() == "anna: all is well"
    assert case.status("/duty", Authorization=basic(b"anna:secrets")) == 401
    assert case.status("/duty") == 401


def with_a_server(d):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", f"{d.directory}/server.key", "-out", f"{d.directory}/server.pem")


def test_devices(daemon):
    case = Case(daemon, "Devices by client certificate", with_a_server)

    trusts = Pair(os.path.join(case.d.directory, "server.pem"), None)
    pump = client(trusts, Pair(*(os.path.join(case.d.directory, f"pump-7.{x}") for x in ("pem", "key"))))
    with case.enter("/devices/pump-7", pump) as c:
        assert c.send(text("7.2")).text() == "pump-7: 7.2"
    assert case.status("/devices/pump-8", pump) == 403
    with pytest.raises((OSError, AssertionError)):
        case.status("/devices/pump-7", client(trusts))
    case.d.log_contains("peer did not return a certificate")


def a_password(d):
    with open(f"{d.directory}/anna.password", "w", encoding="ascii") as f:
        f.write("correct horse\n")


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_people_with_passwords(daemon):
    case = Case(daemon, "People with passwords", a_password)
    with case.enter("/duty", Authorization=basic("anna", "correct horse")) as c:
        assert c.send(text("here")).text() == "anna: here"
    assert case.status("/duty") == 401
    assert case.status("/duty", Authorization=basic("anna", "battery staple")) == 401
    assert case.status("/duty", Authorization=basic("ben", "correct horse")) == 401


def test_users_of_an_app(daemon):
    title = "Users of an app, a room each"
    case = Case(daemon, title)
    with open(f"{case.d.directory}/app.secret", encoding="ascii") as f:
        secret = f.read().rstrip("\n")
    says = {**json.loads(manual.block(PAGE, title, '"sub"')), "exp": int(time.time()) + 600}
    page = {"Origin": "https://app.example.org", "Cookie": "theme=dark; session=" + jwt.encode(says, secret, "HS256")}
    with case.enter("/rooms/lobby", **page) as c:
        assert c.send(text("hi")).text() == "anna: hi"
    assert case.status("/rooms/cellar", **page) == 403
    assert case.status("/rooms/lobby", **{**page, "Origin": "https://evil.test"}) == 403
    assert case.status("/rooms/lobby", Origin=page["Origin"]) == 401
    stolen = jwt.encode(says, "0" * 64, "HS256")
    assert case.status("/rooms/lobby", Origin=page["Origin"], Cookie="session=" + stolen) == 401
