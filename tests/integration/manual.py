"""Code in the manual: what it says is what the tests run."""

import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "man")

# what mdoc has other ways to write for
ESCAPES = {r"\e": "\\", r"\&": "", r"\-": "-", r"\(dq": '"', r"\(aq": "'"}


def blocks(page, subsection):
    """The literal blocks of a subsection of a page, as people read them."""
    with open(os.path.join(FOLDER, page), encoding="utf-8") as f:
        text = f.read()
    part = re.search(rf"^\.Ss {re.escape(subsection)}\n(.*?)(?=^\.S[hs] )", text, re.M | re.S).group(1)
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", part, re.M | re.S)
    return [re.sub(r"\\(?:e|&|-|\(dq|\(aq)", lambda m: ESCAPES[m.group()], b) for b in found]


def block(page, subsection, word):
    """The one that has this in it."""
    [found] = [b for b in blocks(page, subsection) if word in b]
    return found


def commands(page, subsection):
    """The lines that are typed at a prompt, those that are continued as one."""
    text = "".join(blocks(page, subsection)).replace("\\\n", " ")
    return re.findall(r"^\$ (.*)$", text, re.M)
