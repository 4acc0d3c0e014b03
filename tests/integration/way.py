"""How clients of the tests reach the daemon.

In the clear, unless $IGNYX_TLS is 1: then each TCP listener of a Daemon has a certificate, made
once a run, and raw.Raw, raw.Member and Daemon.url() speak TLS. And directly, unless
$IGNYX_HAPROXY is 1: then a Daemon whose port is any listens on a unix socket instead, and an
HAProxy of its own in front of that, which tells it of the clients by PROXY v2. A test that cannot
be made in one of the ways is marked with in_the_clear or directly.
"""

import atexit
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

from certificates import Authority, client

TLS = os.environ.get("IGNYX_TLS") == "1"
HAPROXY = os.environ.get("IGNYX_HAPROXY") == "1"
HAPROXY_PROGRAM = shutil.which("haproxy") or "/usr/sbin/haproxy"

# nothing in these depends on how clients come, or all of it is about one way
LEFT_OUT = ("test_access_certificates.py", "test_access_manual.py", "test_counting.py", "test_ctl.py", "test_ctl_actions.py", "test_ctl_lists.py", "test_ctl_password.py",
            "test_ctl_top.py", "test_ctl_why.py", "test_handed_in.py", "test_log.py", "test_make.py", "test_notify.py",
            "test_proxy.py", "test_resources.py", "test_start.py", "test_supervision.py",
            "test_tls.py", "test_trust.py")


def skip_if(condition, reason):
    # here, for tests/systemd uses the harness where there is no pytest
    import pytest
    return pytest.mark.skipif(condition, reason=reason)


def in_the_clear(reason):
    """Marks a test that cannot be made over TLS."""
    return skip_if(TLS, f"not over TLS: {reason}")


def directly(reason):
    """Marks a test that cannot be made through HAProxy."""
    return skip_if(HAPROXY, f"not through HAProxy: {reason}")


class Secure(ssl.SSLSocket):
    """Ends its direction of the stream as TCP does, and goes on reading."""

    def shutdown(self, how):
        socket.socket.shutdown(self, how)


def set_up():
    """The listeners' setting, and what the clients trust."""
    directory = tempfile.mkdtemp(prefix="ignyxd-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    authority = Authority(os.path.join(directory, "authority"))
    pair = authority.pair("DNS:localhost", "IP:127.0.0.1", "IP:::1")
    # for daemons of nobody, too, but not for all, which would be a warning
    os.chmod(directory, 0o755)
    if os.geteuid() == 0:
        os.chown(pair.key, -1, pwd.getpwnam("nobody").pw_gid)
        os.chmod(pair.key, 0o640)
    context = client(authority)
    context.sslsocket_class = Secure
    # for clients that are not ours
    os.environ["SSL_CERT_FILE"] = os.environ["NODE_EXTRA_CA_CERTS"] = authority.certificate
    return (f'tls = {{ certificates = ( {{ certificate = "{pair.certificate}"; '
            f'key = "{pair.key}"; }} ); }};'), context


# of the log: behind the peer and the endpoint
PROXIED = r" proxy=unix:\S+" if HAPROXY else ""

# and what it says when a connection is open
OPENED = r"opened /\S* \S+" + (r" with TLSv1\.[23] \S+" if TLS else "")

SETTING, CONTEXT = set_up() if TLS else ("", None)


ANY_PORT = 'address = "127.0.0.1"; port = 0;'


class Proxy:
    """An HAProxy between a port of 127.0.0.1 and the unix socket of a daemon."""

    CONFIG = """
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen ignyxd
    bind fd@{fd}
    server ignyxd unix@{path} send-proxy-v2
"""

    def __init__(self):
        # not among the daemon's files, which some tests count
        self.directory = tempfile.mkdtemp(prefix="ignyxd-")
        os.chmod(self.directory, 0o777)
        self.path = os.path.join(self.directory, "ws.sock")
        config = os.path.join(self.directory, "haproxy.cfg")
        with socket.socket() as s:
            # who comes before HAProxy is ready waits in the queue
            s.bind(("127.0.0.1", 0))
            s.listen(1024)
            self.port = s.getsockname()[1]
            with open(config, "w", encoding="ascii") as f:
                f.write(self.CONFIG.format(fd=s.fileno(), path=self.path))
            # what it says of itself tells why when it has ended
            with open(os.path.join(self.directory, "log"), "wb") as log:
                self.process = subprocess.Popen(
                    [HAPROXY_PROGRAM, "-db", "-f", config], pass_fds=[s.fileno()], stdout=log,
                    stderr=log, stdin=subprocess.DEVNULL)

    def setting(self):
        return f'unix = "{self.path}"; mode = "0666"; proxy_protocol = true;'

    def end(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as log:
            said = log.read()
        ended = self.process.poll() is not None
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)
        assert not ended, f"HAProxy has ended: {said}"


def listeners(text, proxy):
    """A configuration whose TCP listeners are reached in this way."""
    if proxy:
        return text.replace(ANY_PORT, proxy.setting())
    if not TLS:
        return text
    return re.sub(r'address = "[^"]*"; port = \d+;(?! tls)', rf"\g<0> {SETTING}", text)
