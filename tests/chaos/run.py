#!/usr/bin/python3
"""Workers and the admin process die, stand still, come and go, beside 400 clients that count.

What is done is in deeds.py, in an order that the seed decides, each at least once and on until the
time is up. Then all that the manuals promise of it is looked at: that members of rooms have lost
nothing but with their own worker, that whoever lost a connection can be told why, that each death
and each reload is in the log, in the metrics and in /status, once, and that nothing is left over:
no memory, no descriptor, no process.
"""

import argparse
import collections
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "integration")]

import crowd  # noqa: E402
import hammer  # noqa: E402
from asking import Admin, own, scrape  # noqa: E402
from deeds import PATIENCE, WORKERS, Deeds  # noqa: E402
from harness import (SANITIZER, Daemon, memory, open_files, proc_stat,  # noqa: E402
                     title, wait_until)
from verdicts import Verdicts, some  # noqa: E402

QUIET = 2
# mebibytes that a process may have in the end, beyond what the most of its kind had
MEMORY = {"master": 2, "worker": 8, "admin": 8}
# files that may be in the runtime_dir when the daemon has ended
LEFT = {"ignyxd.conf", "log", "log.out", "notify", "ignyxd.pid", "reload"}
# errors that are caused: a death, who is ended for standing still, a file that is bad
CAUSED = ("worker-died", "worker-stuck", "admin-died", "config-error", "reload-refused",
          "bind-failed")
OPENED = re.compile(r"opened \S+ (127\.1\.\d+\.\d+:\d+).* conn=([0-9a-f]+)")
WORKER_DIED = re.compile(r"worker \d+ \(pid (\d+)\) was ended by signal (\d+) .* event=worker-died")
WORKER_STUCK = re.compile(r"worker \d+ \(pid (\d+)\) .*ending it() event=worker-stuck")
ADMIN_DIED = re.compile(r"the admin process \(pid (\d+)\) was ended by signal (\d+) .*event=admin-died")
ADMIN_STUCK = re.compile(r"the admin process \(pid (\d+)\) .*ending it() event=admin-died")



def endpoints(kept):
    """kept: bytes of each room that keeps what is said, a quarter of bus_lag at most."""
    keeps = {"history": 400, "history_bytes": kept, "format": "json"}
    rooms = [crowd.path_of(i) for i in range(crowd.ROOMS)]
    return [{"path": "/ws", "behaviour": "echo", "prefix": crowd.ECHO.decode()},
            *({"path": path, "behaviour": "room", "prefix": crowd.PREFIX,
               **(keeps if "kept" in path else {})} for path in rooms)]


SETTINGS = {
    "workers": WORKERS, "worker_timeout": "5s", "drain_time": "1s", "shutdown_grace": "2s",
    "bus_size": "8M", "bus_lag": "1M",
    "endpoints": endpoints("64K"),
}


# a log of rooms that is full soon when somebody stands still
TIGHT = {"bus_size": "64K", "bus_lag": "8K", "max_message": "4K", "max_rooms": 64,
         "endpoints": endpoints("2K")}


def process(target, *args):
    """A process of ours, and the end of a pipe to it."""
    pipe, theirs = multiprocessing.Pipe()
    p = multiprocessing.Process(target=target, args=(theirs, *args), daemon=True)
    p.start()
    theirs.close()
    return p, pipe


def hear(pipe, what):
    """What it says; it has a deadline."""
    if not pipe.poll(3 * PATIENCE):
        raise AssertionError(f"nothing was heard of {what}")
    try:
        return pipe.recv()
    except EOFError:
        raise AssertionError(f"the process of {what} has ended") from None


def differ(name, got, wanted):
    """What is wrong where two sets, or two dictionaries, should be the same."""
    got, wanted = (set(x.items()) if isinstance(x, dict) else set(x) for x in (got, wanted))
    return "" if got == wanted else f"{name}: without cause {sorted(got - wanted)}, missing {sorted(wanted - got)}"


def zombies(pid):
    return [p for p in map(int, filter(str.isdigit, os.listdir("/proc")))
            if (stat := proc_stat(p)) and stat["parent"] == pid and stat["state"] == "Z"]


class Chaos(Verdicts):
    def __init__(self, d, options):
        super().__init__()
        self.d, self.options = d, options
        self.deeds = Deeds(d, options.seed)
        self.seen = set()

    # --- what there is ---

    def processes(self):
        """Pids by kind: master, worker, admin."""
        found = {"master": [self.d.pid], "worker": self.d.workers(), "admin": [self.d.admin()]}
        self.seen.update(p for pids in found.values() for p in pids)
        return found

    def figures(self):
        """Of each kind the most memory that one has, and how many descriptors all have."""
        found = self.processes()
        return ({kind: max(map(memory, pids)) for kind, pids in found.items()},
                {kind: sum(map(open_files, pids)) for kind, pids in found.items()})

    def come_back(self, what, check):
        """Judges what has to become so; check says what is wrong."""
        problem = ["it was not looked at"]

        def fine():
            try:
                problem[0] = check()
            except (OSError, AttributeError, ValueError) as e:
                problem[0] = f"{e!r}"  # who has just ended
            return not problem[0]
        try:
            wait_until(what, fine, PATIENCE)
        except AssertionError:
            pass
        self.judge(what, problem[0])

    def ask(self, target, method="GET", body=None, **headers):
        """An answer, which the admin process may have to come back for."""
        def answer():
            try:
                return Admin(self.d).ask(target, method, body, **headers)
            except OSError:
                return None
        return wait_until(f"an answer to {target}", answer, PATIENCE)

    # --- the run ---

    def run(self):
        members, self.pipe = process(crowd.main, self.options.seed, self.d.address,
                                     not self.options.tight)
        self.judge("all come in", self.are_there())
        time.sleep(QUIET)
        # what is needed for the first answer, or the first reload, is kept
        for target in ("/status", "/why?peer=127.1.0.1", "/connections"):
            self.ask(target)
        scrape(self.d)
        self.deeds.take("the same")
        self.before = self.figures()
        askers, theirs = process(hammer.main, self.options.seed, own(self.d),
                                 [crowd.path_of(i) for i in range(crowd.ROOMS)])
        self.deeds.run(self.options.seconds)
        theirs.send("stop")
        self.asked = hear(theirs, "who asks")
        askers.join()
        self.pipe.send("stop")
        self.judge("all come back", self.are_there())
        self.come_back("the workers", self.wrong_with_workers)
        self.look()
        self.publish_the_end()
        self.pipe.send("finish")
        self.clients = hear(self.pipe, "the clients")
        self.judge_clients()
        members.join()
        self.deeds.last()

    def are_there(self):
        count = hear(self.pipe, "the clients")
        return "" if count == crowd.COUNT else f"{count} of {crowd.COUNT} are connected"

    def publish_the_end(self):
        """With the last number in each room, which all members have to hear."""
        answers = [self.ask(f"/publish{path}", "POST", f"p 0 {n} end",
                            **{"Content-Type": "text/plain"})
                   for path, n in self.asked["published"].items()]
        self.judge("the last publications", some([f"{a}" for a in answers if a[0] != 200]))

    # --- what is looked at while all are connected ---

    def look(self):
        self.come_back("memory", self.wrong_with_memory)
        self.come_back("descriptors", self.wrong_with_descriptors)
        self.come_back("zombies", lambda: str(zombies(self.d.pid) or ""))
        self.come_back("metrics of deaths", self.wrong_with_death_metrics)
        self.come_back("metrics of reloads", self.wrong_with_reload_metrics)
        self.come_back("deaths in /status", self.wrong_with_status)
        self.come_back("openings and ends", self.wrong_with_connections)
        self.judge("who asks", some(self.asked["problems"]))
        # one that ends cuts those who ask at the time, each of whom has one connection
        ends = len(self.deeds.admin_killed) + len(self.deeds.admin_stopped)
        most = ends * (hammer.ASKERS + hammer.FOLLOWERS + 1)
        self.judge("answers cut", "" if self.asked["cut"] <= most else
                   f"{self.asked['cut']}, with {ends} ends of the admin process")

    def wrong_with_workers(self):
        """All places are taken, by workers that have the last configuration."""
        s = self.ask("/status")[1]["status"]
        found = [(w["worker"], w["state"], w["generation"]) for w in s["workers"]]
        return differ("workers", found, [(i, "running", s["generation"]) for i in range(WORKERS)])

    def wrong_with_memory(self):
        before = self.before[0]
        self.memory = now = self.figures()[0]
        return "; ".join(f"{kind} has {now[kind]:.1f} MiB, had {before[kind]:.1f}"
                         for kind in before if now[kind] > before[kind] + MEMORY[kind])

    def wrong_with_descriptors(self):
        before, now = self.before[1], self.figures()[1]
        return differ("descriptors", now, before)

    def wrong_with_death_metrics(self):
        found, deeds = scrape(self.d), self.deeds

        def differs(who, killed, stopped):
            name = f"ignyxd_{who}_restarts_total"
            return differ(name, {labels: n for (x, labels), n in found.items() if x == name}, {
                'cause="exit"': 0, 'cause="signal"': len(killed),
                'cause="stuck"': len(stopped), 'cause="bus-corrupt"': 0})
        return differs("worker", deeds.killed, deeds.stopped) or \
            differs("admin", deeds.admin_killed, deeds.admin_stopped)

    def wrong_with_connections(self):
        """As many in the log as in the metrics, but for who died having done one of the two."""
        found, log = scrape(self.d), self.d.log()
        most = len(self.deeds.killed) + len(self.deeds.stopped)

        def differs(word, name):
            lines = len(re.findall(rf" event={word}\b", log))
            counted = sum(n for (x, _), n in found.items() if x == name)
            return "" if abs(lines - counted) <= most else f"{lines} entries {word}, {name} is {counted:.0f}"
        return differs("conn-open", "ignyxd_connections_opened_total") or \
            differs("conn-close", "ignyxd_connections_closed_total")

    def wrong_with_reload_metrics(self):
        found = {labels: n for (name, labels), n in scrape(self.d).items()
                 if name == "ignyxd_reloads_total"}
        return differ("ignyxd_reloads_total", found, {
            'result="applied"': self.deeds.applied, 'result="refused"': self.deeds.refused})

    def wrong_with_status(self):
        s = self.ask("/status")[1]["status"]
        got = {"deaths": sum(w["deaths"] for w in s["workers"]), "generation": s["generation"]}
        return differ("/status", got, {
            "deaths": len(self.deeds.killed) + len(self.deeds.stopped),
            "generation": 1 + self.deeds.applied})

    # --- what clients have seen ---

    def judge_clients(self):
        self.judge("what clients heard", some(self.clients["problems"]))
        self.judge("who came back to rooms that keep what is said",
                   "" if self.clients["recovered"] else "nobody")
        longest, first = self.clients["longest"], self.deeds.first
        self.judge("who stays", "" if longest >= first else
                   f"the longest connection lasted {longest:.1f} s of a first round of {first:.1f}")
        # a client may have had the same port again
        ids = collections.defaultdict(list)
        for peer, conn in OPENED.findall(self.d.log()):
            ids[peer].append(conn)
        admin, problems = Admin(self.d), []
        for peer, times in collections.Counter(self.clients["gone"]).items():
            told = [self.why(admin, conn) for conn in ids[peer]]
            if sum(map(self.explains, told)) < times:
                problems.append(f"{peer}, {times}: {told}")
        admin.close()
        self.judge("why clients lost their connection", some(problems))

    @staticmethod
    def why(admin, conn):
        """The last that is known of a connection."""
        status, answer = admin.ask(f"/why?conn={conn}")
        return answer["why"][0] if status == 200 and answer["why"] else answer

    def explains(self, told):
        """Its worker was ended, and perhaps it was told to go shortly before."""
        deeds = self.deeds
        return told.get("event") == "worker-died" and \
            (told["pid"] in deeds.killed or told["pid"] in deeds.stopped) or \
            told.get("reason") == "drained"

    # --- when the daemon has ended ---

    def look_behind(self, status):
        log, deeds = self.d.log(), self.deeds
        self.judge("exit status", "" if status == 0 else f"{status}")
        self.judge_deaths("worker-died", WORKER_DIED, deeds.killed, deeds.stopped)
        self.judge_deaths("worker-stuck", WORKER_STUCK, {}, deeds.stopped)
        self.judge_deaths("admin-died", ADMIN_DIED, deeds.admin_killed, deeds.admin_stopped)
        self.judge_deaths("admin-died of who stood still", ADMIN_STUCK, {}, deeds.admin_stopped)
        for word, count in (("reloaded", deeds.applied), ("reload-refused", deeds.refused)):
            found = len(re.findall(rf" event={word}$", log, re.M))
            self.judge(word, "" if found == count else f"{found} in the log, {count} were made")
        self.judge("deeds", some(deeds.problems))
        self.judge("errors in the log", some([
            x for x in log.splitlines() if re.match(r"ignyxd(\[[^]]*\])?: (error|err): ", x)
            and not re.search(rf" event=({'|'.join(CAUSED)})\b", x) or SANITIZER.search(x)]))
        self.judge("processes left", str([p for p in self.seen | deeds.all_pids()
                                          if title(p).startswith("ignyxd: ")] or ""))
        left = set(os.listdir(self.d.directory)) - LEFT
        left |= {x for x in os.listdir("/dev/shm") if "ignyx" in x}
        self.judge("files left", str(sorted(left) or ""))

    def judge_deaths(self, what, regex, killed, stopped):
        """Each is told of once: by which signal it ended, if the expression has that."""
        told = [(int(pid), int(sig or 9)) for pid, sig in regex.findall(self.d.log())
                if int(pid) not in self.deeds.at_the_end]
        twice = f"told twice: {sorted(told)}" if len(set(told)) < len(told) else ""
        self.judge(what, twice or differ(what, dict(told), {**killed, **dict.fromkeys(stopped, 9)}))

    def tell(self):
        """Figures, for who reads them."""
        c, a, deeds = self.clients, self.asked, self.deeds
        print(f"\nworkers killed {len(deeds.killed)}, stopped {len(deeds.stopped)}; "
              f"admin killed {len(deeds.admin_killed)}, stopped {len(deeds.admin_stopped)}; "
              f"reloads applied {deeds.applied}, refused {deeds.refused}")
        print("MiB of the largest process of each kind: " + ", ".join(
            f"{kind} {before:.1f}, in the end {self.memory[kind]:.1f}"
            for kind, before in self.before[0].items()))
        print(f"clients: {c['epochs']} connections of {crowd.COUNT}, the longest lasted "
              f"{c['longest']:.1f} s; ended: {c['ends']}; said {c['said']}, heard {c['heard']}, "
              f"echoes {c['echoes']}, unconfirmed at an end {c['unheard']}, "
              f"{c['recovered']} came back and missed nothing")
        print(f"admin: answers {a['answers']}, cut {a['cut']}, stalled {a['stalled']}, published "
              f"{sum(a['published'].values())}, events {a['events']}")


def read_options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--seconds", type=float, default=120)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    p.add_argument("--tight", action="store_true",
                   help="a small log of rooms, so that publishers wait for who stands still")
    return p.parse_args()


def main():
    options = read_options()
    print(f"seed {options.seed}", flush=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    directory = tempfile.mkdtemp(prefix="ignyxd-")
    d = Daemon(directory, {**SETTINGS, **(TIGHT if options.tight else {})}).start()
    chaos = Chaos(d, options)
    try:
        chaos.run()
    except Exception as e:  # whatever it is, the daemon must not be left
        chaos.judge("the run", f"{e!r}")
        d.kill(signal.SIGTERM)
    try:
        chaos.look_behind(d.wait(PATIENCE))
    except AssertionError as e:
        chaos.judge("the end", f"{e}")
        d.destroy()
    if chaos.failed:
        print(f"--- with --seed {options.seed}; the end of its log, all of which is in {d.log_file}\n"
              + d.log()[-4000:])
    else:
        chaos.tell()
        shutil.rmtree(directory, ignore_errors=True)
    return chaos.closing()


if __name__ == "__main__":
    sys.exit(main())
