"""make, as somebody uses it who builds and installs.

In a copy of the tree. Nothing is compiled: what is installed is an empty program.
"""

import os
import shutil
import subprocess

import pytest

from harness import ROOT, SLOW

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
        self.put("build/ignyxd", "#!/bin/sh\n")

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
