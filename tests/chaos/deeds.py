"""What is done to a daemon, and what has to come of it.

A deed is a method of Deeds whose name is in ROUND. Each process that is ended is noted with how:
the log and the metrics have to tell of these, all of them and no others.
"""

import os
import random
import re
import signal
import time

from harness import LOCAL, children, proc_stat, title, wait_until

WORKERS = 4
SIZES = (2, 4, 1, 3)
PATIENCE = 180
NOBODY = "nobody"
# Seconds for which one worker is left alone; then it is the turn of the next. In the first round
# it is the one that stays whatever the number of workers, so that somebody lives through all.
SPARED = 5
# one of a round in a random order; the number of workers takes all of SIZES
ROUND = ("kill", "crash", "stop", "kill_several", "kill_admin", "crash_admin", "stop_admin",
         "reload", "reload_and_kill", "reload_bad", "reload_bad",
         *("resize" for _ in SIZES))
# a listener that cannot be: the address is for documentation (RFC 5737)
ELSEWHERE = {"address": "192.0.2.1", "port": 9}
SECOND = {"address": "127.0.0.2", "port": 0}


def slot_of(pid):
    """Of a worker; None if it is no worker, or has no title yet."""
    found = re.fullmatch(r"ignyxd: worker (\d+)", title(pid))
    return int(found[1]) if found else None


def is_gone(pid):
    stat = proc_stat(pid)
    return stat is None or stat["state"] in "ZX"


class Deeds:
    def __init__(self, d, seed):
        self.d, self.random = d, random.Random(seed)
        self.settings = dict(d.settings)  # those that are good
        self.size, self.sizes = WORKERS, list(SIZES)
        self.killed, self.stopped = {}, set()  # workers: pid and signal; pids
        self.admin_killed, self.admin_stopped = {}, set()
        self.at_the_end = set()  # pids; whether anybody still tells of them is open
        self.leaving = set()  # who was not wanted once, and may end by itself at any moment
        self.applied = self.refused = 0
        self.begun = time.monotonic()
        self.first = None  # seconds that the first round took
        self.problems = []

    # --- who there is ---

    def known(self, pid):
        return pid in self.killed or pid in self.stopped

    def all_pids(self):
        return {*self.killed, *self.stopped, *self.admin_killed, *self.admin_stopped,
                *self.at_the_end}

    def candidates(self):
        """Workers that do not end by themselves, but for the one that is spared at the time."""
        spared = 0 if self.first is None else \
            int(time.monotonic() - self.begun) // SPARED % WORKERS
        found = {slot_of(p): p for p in children(self.d.pid)
                 if slot_of(p) is not None and not self.known(p) and p not in self.leaving}
        return [p for slot, p in sorted(found.items()) if slot != spared and slot < self.size]

    def end(self, pid, sig):
        told = f"worker {slot_of(pid)} (pid {pid})"
        os.kill(pid, sig)
        self.killed[pid] = sig
        return told

    def one(self, sig):
        found = self.candidates()
        return self.end(self.random.choice(found), sig) if found else NOBODY

    # --- what is done ---

    def kill(self):
        return self.one(signal.SIGKILL)

    def crash(self):
        return self.one(signal.SIGSEGV)

    def stop(self):
        found = self.candidates()
        if not found:
            return NOBODY
        pid = self.random.choice(found)
        self.stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)
        return f"worker {slot_of(pid)} (pid {pid})"

    def kill_several(self):
        found = self.candidates()
        self.random.shuffle(found)
        return ", ".join(self.end(p, signal.SIGKILL) for p in found) or NOBODY

    def admin(self):
        found = [p for p in children(self.d.pid) if title(p).startswith("ignyxd: admin")]
        return next((p for p in found if p not in self.admin_killed
                     and p not in self.admin_stopped), None)

    def end_admin(self, sig):
        pid = self.admin()
        if not pid:
            return NOBODY
        os.kill(pid, sig)
        self.admin_killed[pid] = sig
        return f"pid {pid}"

    def kill_admin(self):
        return self.end_admin(signal.SIGKILL)

    def crash_admin(self):
        return self.end_admin(signal.SIGSEGV)

    def stop_admin(self):
        pid = self.admin()
        if not pid:
            return NOBODY
        self.admin_stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)
        return f"pid {pid}"

    # --- reloads ---

    def hang_up(self, meanwhile=lambda: None):
        """SIGHUP, and waits for what comes of it; whether it was applied."""
        at, mark = len(self.d.notify.messages), self.d.log_size()
        self.d.kill(signal.SIGHUP)
        at, _ = self.d.notify.wait(r"^RELOADING=1$", at, PATIENCE)
        meanwhile()
        self.d.notify.wait(r"^READY=1$", at + 1, PATIENCE)
        return " event=reload-refused" not in self.d.log(mark)

    def take(self, what, meanwhile=lambda: None, **settings):
        """A good file."""
        self.settings.update(settings)
        self.d.change(**self.settings)
        self.applied += 1
        if not self.hang_up(meanwhile):
            self.problems.append(f"a reload was refused that should not be: {what}")
        return what

    def change(self):
        """One thing that is another one now; what it is, and the settings."""
        what = self.random.choice(("endpoint", "listener", "limit"))
        if what == "endpoint":
            kept = [e for e in self.settings["endpoints"] if e["path"] != "/extra"]
            if len(kept) == len(self.settings["endpoints"]):
                kept.append({"path": "/extra", "behaviour": "sink"})
            return what, {"endpoints": kept}
        if what == "listener":
            listen = [LOCAL] if SECOND in self.settings["listen"] else [LOCAL, SECOND]
            return what, {"listen": listen}
        return what, {"max_pending": "2M" if self.settings.get("max_pending") != "2M" else "3M"}

    def reload(self):
        what, settings = self.change()
        return self.take(what, **settings)

    def reload_and_kill(self):
        """A worker dies while all are asked, or have begun to change."""
        what, settings = self.change()
        done = []

        def meanwhile():
            time.sleep(self.random.uniform(0, 0.02))
            done.append(self.kill())
        self.take(what, meanwhile, **settings)
        return f"{what}; {done[0]}"

    def reload_bad(self):
        kind, text = self.random.choice((
            ("no configuration", "nonsense"),
            ("out of range", {"workers": 61}),
            ("no such key", {"wrokers": 2}),
            ("cannot be listened on", {"listen": [LOCAL, ELSEWHERE]})))
        if isinstance(text, str):
            self.d.write(text)
        else:
            self.d.settings.update(text)
            self.d.write()
        self.refused += 1
        if self.hang_up():
            self.problems.append(f"a reload was applied that should be refused: {kind}")
        self.d.settings = dict(self.settings)
        self.d.write()
        return kind

    def resize(self):
        """Another number of workers; where it shrinks, one that is to go may be killed."""
        size = self.sizes.pop(0)
        self.sizes.append(size)
        before, self.size = self.size, min(size, self.size)
        unwanted = [p for p in children(self.d.pid) if (slot_of(p) or 0) >= size]
        self.leaving.update(unwanted)
        self.take(f"{size} workers", workers=size)
        self.size = size
        told = f"{before} to {size}"
        if unwanted and self.random.random() < 0.5:
            told += self.kill_leaving(self.random.choice(unwanted))
        return told

    def kill_leaving(self, pid):
        """It may end by itself: when it stands still it has not."""
        if self.known(pid) or is_gone(pid):
            return ""
        slot = slot_of(pid)
        os.kill(pid, signal.SIGSTOP)
        wait_until("that it stands still", lambda: is_gone(pid) or proc_stat(pid)["state"] == "T",
                   PATIENCE)
        if is_gone(pid):
            return ""
        os.kill(pid, signal.SIGKILL)
        self.killed[pid] = signal.SIGKILL
        return f"; worker {slot} (pid {pid}), which retires, is killed"

    # --- the end ---

    def last(self):
        """A stop in the midst of it: one has just died, and others stand still."""
        workers = [p for p in children(self.d.pid) if slot_of(p) is not None]
        for pid, sig in zip(self.random.sample(workers, 2), (signal.SIGKILL, signal.SIGSTOP)):
            self.at_the_end.add(pid)
            os.kill(pid, sig)
        admin = self.admin()
        self.at_the_end.add(admin)
        os.kill(admin, signal.SIGSTOP)
        self.d.kill(signal.SIGTERM)

    # --- all of them ---

    def do(self, name):
        began = time.monotonic()
        told = getattr(self, name)()
        print(f"{began - self.begun:6.1f} s: {name}: {told}", flush=True)
        return NOBODY not in told

    def first_round(self):
        """Each at least once: again, in the end, where there was nobody for it."""
        missed = []
        for name in self.random.sample(ROUND, len(ROUND)):
            if not self.do(name):
                missed.append(name)
            time.sleep(self.random.uniform(0.2, 1))
        for name in missed:
            if not self.candidates():
                self.size = WORKERS
                self.take("all places", workers=WORKERS)
            wait_until("somebody to do it to", lambda: self.candidates() and self.admin(), PATIENCE)
            self.do(name)

    def run(self, seconds):
        """Each at least once, and on until the time is over."""
        end = time.monotonic() + seconds
        self.first_round()
        self.first = time.monotonic() - self.begun
        while time.monotonic() < end:
            for name in self.random.sample(ROUND, len(ROUND)):
                # a place whose workers die more often than that stays empty longer and longer
                time.sleep(self.random.uniform(0.5, 3.5))
                if time.monotonic() >= end:
                    break
                self.do(name)
        self.take("as in the beginning", **self.beginning())

    def beginning(self):
        self.size = WORKERS
        self.settings.pop("max_pending", None)
        self.d.settings.pop("max_pending", None)
        return {"workers": WORKERS, "listen": [LOCAL],
                "endpoints": [e for e in self.settings["endpoints"] if e["path"] != "/extra"]}
