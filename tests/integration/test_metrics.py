"""What is counted, as Prometheus reads it, beside what clients have sent and received."""

import os
import signal

import way
from asking import Admin, scrape
from harness import wait_until
from raw import BINARY, TEXT, Raw, frame


def until(d, wanted):
    """Waits until all of that is so at the same time."""
    seen = {}

    def check():
        seen.update(scrape(d))
        return all(seen.get(key) == value for key, value in wanted.items())

    try:
        wait_until("what was counted", check)
    except AssertionError as e:
        raise AssertionError({k: (seen.get(k), v) for k, v in wanted.items()
                              if seen.get(k) != v}) from e


def at(path, **counts):
    return {(f"ignyxd_{name}", f'endpoint="{path}"'): n for name, n in counts.items()}


def test_as_the_clients_have_it(five):
    """Over several workers: what was sent, what came back, and nothing else."""
    sizes = [0, 5, 125, 126, 1000, 65535, 70000]
    clients = [Raw(five.address).upgrade("/ws") for _ in range(4)]
    for c in clients:
        for n in sizes:
            c.send(frame(BINARY, b"x" * n))
            assert c.message() == (BINARY, b"x" * n)
    payload = 4 * sum(sizes)
    heads = 4 * sum(2 if n < 126 else 4 if n < 65536 else 10 for n in sizes)
    n = 4 * len(sizes)
    until(five, at("/ws", connections=4, connections_opened_total=4, messages_received_total=n,
                   messages_sent_total=n, received_payload_bytes_total=payload,
                   sent_payload_bytes_total=payload, sent_bytes_total=payload + heads,
                   received_bytes_total=payload + heads + 4 * n))
    for c in clients:
        c.socket.close()
    until(five, at("/ws", connections=0, connections_opened_total=4))


def test_a_dead_worker(five):
    """What it has counted stays, and what it had open is gone."""
    members = [Raw(five.address).upgrade("/chat") for _ in range(6)]
    members[0].send(frame(TEXT, b"hi"))
    for m in members:
        assert m.message() == (TEXT, b"User: hi")
    until(five, at("/chat", connections=6, deliveries_total=6, messages_sent_total=6,
                   sent_payload_bytes_total=48))
    five.expect_error("was ended by signal")
    victims = five.workers()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    until(five, {**at("/chat", connections=0, connections_opened_total=6, messages_sent_total=6),
                 ("ignyxd_worker_restarts_total", 'cause="signal"'): len(victims)})


def histogram(d, name):
    """The buckets, each with those below it, the sum and the count."""
    found = scrape(d)
    buckets = [n for (key, _), n in found.items() if key == f"ignyxd_{name}_bucket"]
    count = found[f"ignyxd_{name}_count", ""]
    assert len(buckets) == 18 and buckets == sorted(buckets) and buckets[-1] == count
    return buckets, found[f"ignyxd_{name}_sum", ""], count


def test_how_long_it_takes(five):
    """Openings, deliveries and turns of the loop: each is there once."""
    assert histogram(five, "handshake_seconds")[1:] == (0, 0)
    members = [Raw(five.address).upgrade("/chat") for _ in range(3)]
    wait_until("they are open", lambda: histogram(five, "handshake_seconds")[2] == 3)
    assert 0 < histogram(five, "handshake_seconds")[1] < 60
    turns = histogram(five, "loop_turn_seconds")[2]
    for _ in range(5):
        members[0].send(frame(TEXT, b"hi"))
        for m in members:
            assert m.message() == (TEXT, b"User: hi")
    wait_until("all are delivered", lambda: histogram(five, "publish_to_write_seconds")[2] == 15)
    assert histogram(five, "publish_to_write_seconds")[1] < 15 * 60
    wait_until("there were turns", lambda: histogram(five, "loop_turn_seconds")[2] > turns)
    assert histogram(five, "loop_turn_seconds")[1] > 0
    for m in members:
        m.socket.close()


@way.directly("the proxy reads ahead of who is slow")
def test_who_is_slow(daemon):
    """As the list of connections has it, which asks the workers."""
    d = daemon({"max_message": "1M", "bus_size": "8M", "bus_lag": "1M", "max_pending": "64M"})
    slow, fast = Raw(d.address).upgrade("/ws"), Raw(d.address).upgrade("/ws")
    assert scrape(d)["ignyxd_slow_consumers", ""] == scrape(d)["ignyxd_send_queue_bytes", ""] == 0

    def listed():
        return Admin(d).ask("/connections?slow=1")[1]["connections"]

    while not listed():
        slow.send(frame(BINARY, b"x" * 500000))
    def same():
        pending = [c["pending"] for c in listed()]
        seen = scrape(d)
        return len(pending) == seen["ignyxd_slow_consumers", ""] == 1 and \
            pending[0] == seen["ignyxd_send_queue_bytes", ""] > 0

    wait_until("the gauges have it", same)
    slow.socket.close()
    wait_until("nobody is slow", lambda: scrape(d)["ignyxd_slow_consumers", ""] ==
               scrape(d)["ignyxd_send_queue_bytes", ""] == 0)
    fast.socket.close()
