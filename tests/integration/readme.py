"""The README's code: what it says is what the tests run."""

import os
import re
import textwrap

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


def blocks(heading):
    """The indented blocks of a section."""
    with open(FILE, encoding="utf-8") as f:
        text = f.read()
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)
    found = re.findall(r"(?:^(?:    .*)?\n)+", section, re.M)
    return [textwrap.dedent(b).strip("\n") for b in found if b.strip()]


def block(heading, word):
    """The one that has this in it."""
    [found] = [b for b in blocks(heading) if word in b]
    return found
