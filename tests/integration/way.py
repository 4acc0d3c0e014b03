"""How clients of the tests reach the daemon.

In the clear, unless $IGNYX_TLS is 1: then each TCP listener of a Daemon has a certificate, made
once a run, and raw.Raw, raw.Member and Daemon.url() speak TLS. What a test cannot do that way it
is skipped for, by in_the_clear.
"""

import atexit
import os
import re
import shutil
import socket
import ssl
import tempfile

import pytest

from certificates import Authority, client

TLS = os.environ.get("IGNYX_TLS") == "1"

# nothing in these depends on how clients come, or all of it is about one way
LEFT_OUT = ("test_log.py", "test_notify.py", "test_proxy.py", "test_start.py", "test_tls.py")


def in_the_clear(reason):
    """Marks a test that cannot be made over TLS."""
    return pytest.mark.skipif(TLS, reason=f"not over TLS: {reason}")


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
    # for daemons of other users, too
    for path in (directory, pair.key):
        os.chmod(path, 0o755)
    context = client(authority)
    context.sslsocket_class = Secure
    # for clients that are not ours
    os.environ["SSL_CERT_FILE"] = os.environ["NODE_EXTRA_CA_CERTS"] = authority.certificate
    return (f'tls = {{ certificates = ( {{ certificate = "{pair.certificate}"; '
            f'key = "{pair.key}"; }} ); }};'), context


# what the log says when a connection is open
OPENED = r"opened with TLSv1\.[23] \S+" if TLS else "opened"

SETTING, CONTEXT = set_up() if TLS else ("", None)


def listeners(text):
    """A configuration whose TCP listeners are reached in this way."""
    if not TLS:
        return text
    return re.sub(r'address = "[^"]*"; port = \d+;(?! tls)', rf"\g<0> {SETTING}", text)
