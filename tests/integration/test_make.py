"""make, as somebody uses it who tries, builds and installs.

In a copy of the tree. Nothing is compiled: what is installed is an empty program.
"""

import os
import pty
import re
import shutil
import signal
import subprocess

import pytest

from harness import DEADLINE, PROGRAM, ROOT, SLOW, free_port, taken_port
from raw import Raw, text

FILES = ("Makefile", "configure.ac", "configure", "src", "systemd", "conf", "man", ".ci", "tests/run-sample.sh")
OWN = {"/usr/sbin/ignyxd", "/usr/lib/systemd/system/ignyxd.service", "/etc/ignyx/ignyxd.conf"}


class Tree:
    """A copy of what make needs, with a program that is taken for built."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "tree")
        self.stage = os.path.join(directory, "stage")
        for name in FILES:
            source, target = os.path.join(ROOT, name), os.path.join(self.path, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.isdir(source):
                shutil.copytree(source, target)
            else:
                shutil.copy2(source, target)
        os.mkdir(os.path.join(self.path, "build"))
        for name in "ignyxd", "ignyxctl":
            self.put(f"build/{name}", "#!/bin/sh\n")

    def put(self, name, content):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        os.chmod(path, 0o755)

    def edit(self, name, old, new):
        with open(os.path.join(self.path, name), encoding="utf-8") as f:
            content = f.read()
        assert old in content
        self.put(name, content.replace(old, new))

    def run(self, *command, check=True, env=None):
        """Returns the completed process, its output and errors as one text."""
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("MAKE", "MFLAGS")) and k != "DESTDIR"}
        done = subprocess.run(command, cwd=self.path, env={**clean, **(env or {})}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120 * SLOW, check=False)
        assert not check or done.returncode == 0, done.stdout
        return done

    def make(self, *args, **kw):
        return self.run("make", "--no-print-directory", *args, **kw)

    def install(self, *args):
        """make install into the stage; returns what it said."""
        return self.make("-o", "all", "install", f"DESTDIR={self.stage}", *args).stdout

    def installed(self):
        return {os.path.join(d, f).removeprefix(self.stage)
                for d, _, files in os.walk(self.stage) for f in files}


@pytest.fixture
def tree(directory):
    return Tree(directory)


def test_an_upgrade_keeps_the_arguments_of_configure(tree):
    """A newer configure.ac configures again: as it was told the first time."""
    tree.run("./configure", "--quiet", "--prefix=/usr", "--sysconfdir=/etc")
    tree.install()
    before = tree.installed()
    assert OWN <= before
    tree.edit("configure.ac", "[0.1.0]", "[0.1.1]")
    said = tree.install()
    assert "CONFIGURE" in said and "WARNING" not in said
    assert tree.installed() == before
    assert "ignyxd 0.1.1 is /usr/sbin/ignyxd now, and reads /etc/ignyx/ignyxd.conf" in said


def test_another_one_elsewhere_is_warned_of(tree):
    """A fresh tree knows nothing of the arguments that an older one was installed with."""
    assert "WARNING" not in tree.install("prefix=/usr")
    os.unlink(os.path.join(tree.path, "src/config.mk"))
    said = tree.install()
    assert "ignyxd 0.1.0 is /usr/local/sbin/ignyxd now" in said
    assert said.split("WARNING: ")[1] == f"""there is another ignyxd:
    {tree.stage}/usr/lib/systemd/system/ignyxd.service   (to which systemd prefers that in \
/usr/local/lib/systemd/system)
    {tree.stage}/usr/sbin/ignyxd
To have this version in the place of that one:
    make uninstall && ./configure --prefix=/usr --sysconfdir=/etc && make install
To do without that one, which keeps its configuration:
    make uninstall prefix=/usr
"""
    # as it says
    tree.make("uninstall", f"DESTDIR={tree.stage}")
    assert "WARNING" not in tree.install("prefix=/usr")


def test_a_unit_of_the_administrator_is_warned_of(tree):
    folder = os.path.join(tree.stage, "etc/systemd/system")
    os.makedirs(folder)
    with open(os.path.join(folder, "ignyxd.service"), "w", encoding="ascii") as f:
        f.write("[Service]\n")
    said = tree.install("prefix=/usr/local")
    assert f"{folder}/ignyxd.service   (which systemd prefers to that in /usr/local/lib/" in said
    assert "The unit in /etc/systemd/system is the administrator's." in said


def test_one_folder_by_two_names_is_no_other(tree):
    os.makedirs(os.path.join(tree.stage, "usr/sbin"))
    os.symlink("sbin", os.path.join(tree.stage, "usr/bin"))
    assert "WARNING" not in tree.install("prefix=/usr")


CTL = {"/usr/bin/ignyxctl", "/usr/share/man/man8/ignyxctl.8",
       "/usr/share/bash-completion/completions/ignyxctl"}


def test_without_libcurl_all_but_ignyxctl_is_there(tree):
    tree.run("./configure", "--quiet", "--prefix=/usr", "--sysconfdir=/etc")
    tree.install()
    assert OWN | CTL <= tree.installed()
    shutil.rmtree(tree.stage)
    os.mkdir(os.path.join(tree.path, "bin"))
    tree.put("bin/pkg-config", f'''#!/bin/sh
case $* in *libcurl*) exit 1;; esac
exec {shutil.which("pkg-config")} "$@"
''')
    env = {"PATH": f"{tree.path}/bin:{os.environ['PATH']}"}
    said = tree.run("./configure", "--quiet", "--prefix=/usr", "--sysconfdir=/etc", env=env).stdout
    assert "libcurl >= 7.85 is missing (Debian: libcurl4-openssl-dev): ignyxctl is left out" in said
    assert "ignyxctl" not in tree.make("-n", "all", env=env).stdout
    tree.install()
    assert OWN <= tree.installed() and not CTL & tree.installed()


def without_tools(tree, *kept):
    """A PATH with what make itself and a shell need, and with nothing that builds."""
    folder = os.path.join(tree.path, "bin")
    os.mkdir(folder)
    for name in ("sh", "bash", "make", "env", "id", "touch", "test", "sed", "mktemp", "cmp", "mkdir",
                 "rm", "grep", "cat", *kept):
        os.symlink(shutil.which(name), os.path.join(folder, name))
    return folder


@pytest.mark.parametrize("goal", ["all", "install", "configure"])
def test_what_is_missing_is_said_with_the_command_that_installs_it(tree, goal):
    """On a bare system, where a compiler and autoconf are not there."""
    for name in ("configure", "src/config.mk"):
        if os.path.exists(os.path.join(tree.path, name)):
            os.unlink(os.path.join(tree.path, name))
    done = tree.make(goal, check=False, env={"PATH": without_tools(tree)})
    assert done.returncode != 0
    assert re.search(r"^    apt-get install gcc .*\bautoconf\b.*$", done.stdout, re.M), done.stdout
    assert "and so does: make deps" in done.stdout


class Apt:
    """A PATH on which apt-get only notes what it was asked for, and nothing else is there."""

    def __init__(self, tree):
        self.tree = tree
        self.path = without_tools(tree)
        tree.put("bin/apt-get", '#!/bin/sh\necho "$@" >>apt-log\n')
        tree.put("bin/sudo", '#!/bin/sh\nexec "$@"\n')

    def asked(self):
        path = os.path.join(self.tree.path, "apt-log")
        return os.path.exists(path)

    def answer(self, text):
        """Runs deps.sh on a terminal on which somebody types; returns its status and what it said."""
        master, terminal = pty.openpty()
        with subprocess.Popen([".ci/deps.sh", "build"], cwd=self.tree.path, stdin=terminal,
                              stdout=terminal, stderr=terminal, start_new_session=True,
                              env={**os.environ, "PATH": self.path}) as p:
            os.close(terminal)
            os.write(master, text)
            said = b""
            while True:
                try:
                    data = os.read(master, 4096)
                except OSError:  # it has ended
                    break
                if not data:
                    break
                said += data
        os.close(master)
        return p.returncode, said.decode()


def test_it_is_asked_before_installing_on_a_terminal(tree):
    apt = Apt(tree)
    status, said = apt.answer(b"n\n")
    assert status != 0 and "Go on? [Y/n]" in said and "Nothing was installed." in said
    assert not apt.asked()
    status, said = apt.answer(b"\n")
    assert status == 0 and apt.asked(), said


def test_nobody_is_asked_without_a_terminal(tree):
    apt = Apt(tree)
    done = tree.run(".ci/deps.sh", "build", env={"PATH": apt.path})
    assert "Go on?" not in done.stdout and apt.asked()


class Sample:
    """tests/run-sample.sh with the program that is tested."""

    def __init__(self, port):
        self.process = subprocess.Popen(
            [os.path.join(ROOT, "tests/run-sample.sh"), PROGRAM,
             os.path.join(ROOT, "conf/ignyxd.conf"), str(port)], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)

    def until(self, what):
        """The output up to a line that has what in it, or its end."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if what in line:
                break
        return "".join(lines)

    def end(self, sig=signal.SIGINT):
        """As Ctrl-C does, to all of them; returns the rest of the output."""
        os.killpg(self.process.pid, sig)
        rest = self.process.stdout.read()
        return self.process.wait(DEADLINE), rest


def test_run_says_that_it_serves_when_it_does():
    """On the port that was asked for, with a client that is there."""
    port = free_port()
    sample = Sample(port)
    try:
        before = sample.until("ignyxd serves")
        assert " ready: " in before and before.endswith("ignyxd serves, until Ctrl-C:\n"), before
        hint = sample.until("Try it in another terminal: ")
        assert f"  ws://127.0.0.1:{port}/ws\n" in hint
        client = hint.splitlines()[-1].removeprefix("Try it in another terminal: ").split()
        assert client[-1] == f"ws://127.0.0.1:{port}/ws"
        with Raw(("127.0.0.1", port)) as c:
            c.upgrade("/ws").send(text("hi"))
            assert c.text() == "Echo: hi"
        # as a person would: what it says is there, and talks to it
        done = subprocess.run(client, input="hi\n", text=True, capture_output=True,
                              timeout=DEADLINE, check=False)
        assert "Connected to" in done.stdout, (done.stdout, done.stderr)
    finally:
        status, rest = sample.end()
    assert status == 0 and "stopped" in rest


def test_run_on_a_port_that_is_taken():
    taken, port = taken_port()
    with taken:
        sample = Sample(port)
        said = sample.until("nothing of the kind")
        assert "serves" not in said and "For another port: make run PORT=9090" in said
        assert sample.process.wait(DEADLINE) == 1
