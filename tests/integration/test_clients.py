"""Clients that this project did not write at the five endpoints, with and without compression."""

import asyncio
import json
import os
import subprocess

import pytest

import stock
from five import NO_COMPRESSION, STRICT, check, compresses
from harness import DEADLINE
from raw import run

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(params=["plain", "compressed"])
def serving(request, daemon):
    """A daemon, and whether compression is to be used."""
    if request.param == "plain":
        return daemon(), False
    d = compresses(daemon)
    if not d:
        (pytest.fail if STRICT else pytest.skip)(NO_COMPRESSION)
    return d, True


def test_node_ws(serving):
    d, compressed = serving
    done = subprocess.run(
        ["node", os.path.join(HERE, "node_client.js"), d.url(""),
         "yes" if compressed else "no"], timeout=2 * DEADLINE, capture_output=True, text=True,
        check=False, env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})
    assert done.returncode == 0, done.stderr
    check(d, json.loads(done.stdout), compressed)


async def transcript(d, compression):
    """What five.js does, by the websockets package."""
    def connect(path):
        return stock.connect(d.url(path), compression=compression, open_timeout=DEADLINE,
                             close_timeout=DEADLINE)

    async def say(ws, *messages):
        answers = []
        for message in messages:
            await ws.send(message)
            answers.append(await ws.recv())
        return answers

    seen = {}
    async with connect("/ws") as ws:
        seen["extensions"] = stock.agreed(ws)
        answers = await say(ws, "hi", "", "grüß \N{SNOWMAN} \N{GRINNING FACE}", b"\0\x80\xff")
        seen["echo"] = [list(x) if isinstance(x, bytes) else x for x in answers]
        long = "like the one before, " * 5000
        seen["long"] = [x == "Echo: " + long for x in await say(ws, long, long)]
    seen["closed"] = {"close": ws.close_code}
    async with connect("/chat") as first, connect("/chat") as second:
        await first.send("one")
        seen["chat"] = [await first.recv(), await second.recv()]
        await second.send("two")
        seen["chat"] += [await first.recv(), await second.recv()]
    async with connect("/notifications") as ws:
        seen["notifications"] = json.loads(await ws.recv())
        await ws.send(json.dumps({"content": "from a client"}))
    async with connect("/once") as ws:
        seen["once"] = [await ws.recv()]
        async with asyncio.timeout(DEADLINE):
            await ws.wait_closed()
        seen["once"].append({"close": ws.close_code})
    async with connect("/safe") as ws:
        await ws.send("dropped")
        await ws.send(bytes(100))
    seen["safe"] = {"close": ws.close_code}
    return seen


def test_python_websockets(serving):
    d, compressed = serving
    check(d, run(transcript(d, "deflate" if compressed else None)), compressed)
