"""Fixtures of the integration tests: see harness.py for what a Daemon can do."""

import os
import resource
import shutil
import sys
import tempfile

import pytest

sys.dont_write_bytecode = True

import way  # noqa: E402  (no byte code is to be left by it)
from harness import PROGRAM, Daemon  # noqa: E402


def pytest_configure(config):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_ignore_collect(collection_path):
    return ((way.TLS or way.HAPROXY) and collection_path.name in way.LEFT_OUT) or None


def pytest_collection_modifyitems(config, items):
    if items and not config.option.collectonly and not os.access(PROGRAM, os.X_OK):
        pytest.exit(f"{PROGRAM} is not there: build it, or name another in $IGNYXD", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the log of the daemons of a test that failed."""
    report = (yield).get_result()
    if report.failed:
        for i, d in enumerate(getattr(item, "ignyx_daemons", ())):
            report.sections.append((f"log of daemon {i}", d.log()[-8000:]))
            if d.notify:
                text = "\n".join(repr(m) for m in d.notify.messages[-40:])
                report.sections.append((f"notifications of daemon {i}", text))


@pytest.fixture
def directory():
    """A short path, for sockets, that goes away with the test."""
    path = tempfile.mkdtemp(prefix="ignyxd-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Maker:
    """Makes daemons: maker({"workers": 4}) is started, maker(..., start=False) is not."""

    def __init__(self, directory):
        self.directory = directory
        self.made = []

    def __call__(self, settings=None, start=True, **kw):
        own = os.path.join(self.directory, str(len(self.made)))
        os.mkdir(own)
        d = Daemon(own, settings, **kw)
        self.made.append(d)
        return d.start() if start else d

    def finish(self):
        problems = []
        for d in self.made:
            try:
                d.finish()
            except AssertionError as e:
                problems.append(str(e))
        assert not problems, "\n".join(problems)


@pytest.fixture
def daemon(directory, request):
    """Makes daemons of the test's own, and looks at how they ended."""
    maker = Maker(directory)
    request.node.ignyx_daemons = maker.made
    yield maker
    maker.finish()


@pytest.fixture(scope="module")
def module_daemon():
    path = tempfile.mkdtemp(prefix="ignyxd-")
    maker = Maker(path)
    yield maker()
    try:
        maker.finish()
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def shared(module_daemon, request):
    """One daemon with the five endpoints for all tests of a file that ask for it."""
    request.node.ignyx_daemons = [module_daemon]
    assert module_daemon.running(), "an earlier test ended it"
    return module_daemon


@pytest.fixture
def five(daemon):
    """A daemon with the five endpoints and two workers."""
    return daemon()
