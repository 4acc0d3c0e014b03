"""GET /config and ignyxctl config: what is in force, setting by setting, and where it was set."""

import json
import os
import re
import signal

import pytest

import way
from asking import Admin, ask, own
from harness import FIVE, wait_until
from certificates import Authority
from pretend import ctl
from test_admin import as_user
from test_ctl import done


def settings(d, query=""):
    """By their keys, all pages of them."""
    found, after = {}, ""
    while after is not None:
        status, page = ask(d, f"/config?limit=1000{query}{after}")
        assert status == 200, page
        for s in page["config"]:
            assert s["key"] not in found
            found[s["key"]] = s
        after = f"&after={page['next']}" if "next" in page else None
    return found


def place(d, regex):
    """As "from" has it."""
    return re.sub(r"\\(.)", r"\1", d.place(regex))


def test_what_is_in_force(daemon):
    d = daemon({"ping_interval": "1m", "workers": 0, "endpoints": [
        {"path": "/z", "behaviour": "echo", "prefix": "redis://:hush@host/"},
        {"path": "/a", "behaviour": "room", "max_message": "64K"}]})
    s = settings(d)
    assert s["ping_interval"] == {"key": "ping_interval", "value": "1m", "reload": True,
                                  "from": place(d, "^ping_interval")}
    assert s["ping_timeout"] == {"key": "ping_timeout", "value": "20s", "from": "default", "reload": True}
    assert s["workers"]["value"] > 0 and s["workers"]["written"] == 0
    assert s["admin.unix"]["value"] == own(d) and s["admin.unix"]["written"] is None
    assert s["bus_size"]["reload"] is False
    assert s["endpoints[1].max_message"] == {"key": "endpoints[1].max_message", "value": "64K",
                                             "reload": True, "from": place(d, '"/a"')}
    assert s["endpoints[1].ping_interval"]["from"] == place(d, "^ping_interval")
    assert s["endpoints[1].include_sender"] == {"key": "endpoints[1].include_sender", "value": True,
                                                "from": "default", "reload": True}
    assert s["endpoints[0].prefix"]["value"] == "redis://:***@host/"
    assert way.TLS or s["listen[0].tls"]["value"] is None
    assert settings(d, "&prefix=endpoints[1].") == {k: v for k, v in s.items() if k.startswith("endpoints[1].")}
    # no page goes over its limit, and pages go on where the one before ended
    a, keys, after = Admin(d), [], ""
    while after is not None:
        page = a.ask(f"/config?limit=7{after}")[1]
        assert len(page["config"]) <= 7
        keys += [x["key"] for x in page["config"]]
        after = f"&after={page['next']}" if "next" in page else None
    assert keys == list(s)


def test_the_file_is_not_what_runs(five):
    before = settings(five)
    five.change(max_head="16K", max_rooms=77, endpoints=FIVE[:2])
    assert settings(five) == before
    five.expect_error('a change of "max_rooms" needs a restart')
    five.reload()
    after = settings(five)
    assert after["max_head"]["value"] == "16K" and after["max_head"]["from"] == place(five, "^max_head")
    assert after["max_rooms"] == before["max_rooms"]
    assert "endpoints[2].path" not in after and "endpoints[2].path" in before
    # the next process has it from the master, as the one before
    five.expect_error("admin")
    os.kill(five.admin(), signal.SIGKILL)
    done(five, "wait", "ready", "--timeout", "30s")
    assert settings(five) == after
    os.unlink(five.file)
    assert settings(five) == after
    five.write()


def test_no_list_of_two_configurations(five):
    page = ask(five, "/config?limit=5")[1]
    assert ask(five, f"/config?after={page['next']}")[0] == 200
    five.change(max_head="16K")
    five.reload()
    status, error = ask(five, f"/config?after={page['next']}")
    assert (status, error["error"]) == (409, "config-changed")
    assert ask(five, "/config?after=x")[0] == 400


def test_another_log_level(five):
    was = settings(five)["log_level"]
    done(five, "log-level", "error")
    assert settings(five)["log_level"] == was | {"value": "error", "written": was["value"]}
    five.reload()
    wait_until("it is as configured", lambda: settings(five)["log_level"] == was)


def test_the_command(five):
    lines = done(five, "config").splitlines()
    assert lines[0].split() == ["KEY", "VALUE", "FROM", "RELOAD"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows["max_head"] == ["max_head", "8K", "default", "yes"]
    assert rows["bus_lag"][3:] == []
    assert rows["endpoints[0].path"][1:3] == ["/ws", place(five, '"/ws"')]
    assert [k for k in rows if k.startswith("admin.")] == \
        [line.split()[0] for line in done(five, "config", "admin.").splitlines()[1:]]
    assert json.loads(done(five, "--json", "config"))["config"] == list(settings(five).values())
    offered = ctl("--complete", "-s", own(five), "config", "compression.l").stdout
    assert offered == "compression.level\n"


def test_keys_of_tls(daemon, directory):
    pair = Authority(os.path.join(directory, "ca")).pair("DNS:a.test")
    d = daemon({"listen": [{"address": "127.0.0.1", "port": 0, "tls": {"certificates": [pair.group()]}}]})
    s = settings(d)
    assert s["listen[0].tls.certificates[0].key"]["value"] == pair.key
    with open(pair.key, encoding="ascii") as f:
        secret = f.read().splitlines()[1]
    assert secret not in json.dumps(s)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs other users")
def test_it_takes_a_right(daemon):
    d = daemon({"admin": {"mode": "0666", "read_group": "games"}})
    os.chmod(d.directory, 0o755)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert as_user(d, nobody, "/config") == 403
    assert as_user(d, nobody | {"extra_groups": ["games"]}, "/config") == 200
