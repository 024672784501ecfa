#!/usr/bin/env python3
"""Mixed sessions for SOAK_MINUTES (30): in clear, by STLS, over TLS, wrong passwords, connections that break off, deletions beside
deliveries; half of the users have Maildirs, half mboxes. `make soak` runs it.

Each minute the load pauses until the pool is at rest, and a line tells what master, nursery, signer and recorder have: PSS in KiB,
the part of it that is their own memory and no file's, and descriptors. The slope is that of their own memory: files are shared
with all programs of the host, so what others do shows in the rest, and a leak does not. At rest, because a page that is shared counts less for each the more processes share it; spare_min is spare_max, so
at rest there are as many each time. The first WARM_UP_MINUTES are left out of the slope: pools, caches and rings fill.

Passed: the line fitted through the sum rises by less than 1% an hour, descriptors are as many at the end as at the beginning,
every message that was delivered was deleted by a QUIT that was answered +OK or is still there, whole. The exit status says so.
"""
import itertools
import os
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "e2e")]
from client import Client, Closed  # noqa: E402  (the path comes first)
from postern import Server  # noqa: E402
from processes import descriptors, wait_until  # noqa: E402
from test_kills import Peer, Refused  # noqa: E402

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
ELSEWHERE = 25  # addresses, for each user: so often that each has a wrong password forgiven before its next
WARM_UP_MINUTES = min(5, MINUTES / 4)
USERS, SPARE, MOST_SLOPE = 8, 6, 1.0
THINK_SECONDS = 0.5  # at most, before each session: people's mail programs do not come back at once, and the host has other work
KINDS = {"master": None, "nursery": "posternd-gate", "signer": "posternd-sign", "recorder": "posternd-record"}


class User(Peer):
    """One mail user of the soak: what a Peer does, over TLS too, and in between what people and networks do wrong."""

    places = itertools.count(1)

    def __init__(self, server, user, is_mbox, stop, running):
        super().__init__(server, user, is_mbox, stop)
        self.running, self.resting = running, threading.Event()
        self.nuisances = self.guesses = 0
        self.place = next(User.places)

    def one(self, to_the_end=False):
        if not to_the_end and not self.running.is_set():
            self.resting.set()
            self.running.wait()
            self.resting.clear()
        if not to_the_end:
            self.stop.wait(self.random.random() * THINK_SECONDS)
        if not to_the_end and self.random.random() < 0.4:
            self.nuisance()
        super().one(to_the_end)

    def nuisance(self):
        self.nuisances += 1
        kind = self.random.randrange(4)
        try:
            # From elsewhere: whoever guesses is held back by address, and that is not what this is about. In turn from the same few, since
            # what is remembered of each takes memory, up to 14 MiB (test_guesses.c): all of them come while the run warms up.
            self.guesses += kind == 0
            client = Client(self.server, tls=kind == 3, source="127.9.%d.%d" % (self.place, 1 + self.guesses % ELSEWHERE))
            try:
                if kind == 0:
                    client.cmd("USER " + self.user.name)
                    client.cmd("PASS wrong")
                    client.cmd("QUIT")
                elif kind == 1:
                    client.send(b"AUTH PLAIN\r\n")
                    client.abort()
                elif kind == 2:
                    client.send(b"STLS\r\n\x16\x03\x01\x02")
                    client.abort()
                else:
                    client.send(b"USER " + b"x" * self.random.randrange(400))
            finally:
                client.close()
        except (Closed, OSError):
            pass

    def begin(self, client):
        if self.random.random() < 0.3:
            client.close()
            client.sock = Client(self.server, greeting=False, port=self.server.pop3s_port).sock
            client.handshake()
            line = client.status()
            if not line.startswith("+OK"):
                raise Refused(line)
            return
        super().begin(client)


def pss(pid, part="Pss:"):
    """In KiB; part is a line of smaps_rollup."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith(part))


def slope(samples):
    """Of the line fitted by least squares through (hours, value): in percent of its mean, an hour."""
    assert len(samples) >= 3, "too few samples for a slope; let it run for longer"
    hours, values = [h for h, _ in samples], [v for _, v in samples]
    h_mean, v_mean = sum(hours) / len(hours), sum(values) / len(values)
    return 100 * sum((h - h_mean) * (v - v_mean) for h, v in samples) / sum((h - h_mean) ** 2 for h in hours) / v_mean


class Soak:
    def __init__(self):
        self.stop, self.running = threading.Event(), threading.Event()
        self.running.set()
        names = ["user%d" % n for n in range(USERS)]
        self.servers = [Server(users=names[n::2], location=location, settings={
            "workers": {"spare_min": SPARE, "spare_max": SPARE}, "log": {"level": "warning"}})
            for n, location in enumerate(("maildir:~/Maildir", "mbox:SPOOL/%u"))]
        self.users = []
        for server in self.servers:
            for user in server.users.values():
                is_mbox = server is self.servers[1]
                user.write_mbox(b"") if is_mbox else None
                self.users.append(User(server, user, is_mbox, self.stop, self.running))
        self.samples = []

    def at_rest(self, server):
        return len(server.keepers()) == len(server.gates()) == SPARE and not server.zombies()

    def sample(self, hours):
        self.running.clear()
        for user in self.users:
            user.resting.wait(120)
        row = {"hours": hours, "pss": {}, "own": {}, "fds": {}}
        for label, server in zip(("maildir", "mbox"), self.servers):
            wait_until(lambda s=server: self.at_rest(s), lambda s=server: "the pool is at rest: %s" % s.processes(), 60)
            for kind, name in KINDS.items():
                pid = server.pid if name is None else next(p.pid for p in server.processes() if p.ppid == server.pid and p.name == name)
                key = (label, kind)
                row["pss"][key], row["own"][key], row["fds"][key] = pss(pid), pss(pid, "Pss_Anon:"), descriptors(pid)
        self.running.set()
        self.samples.append(row)
        print("%5.1f min  %7d sessions  %s" % (60 * hours, sum(u.sessions for u in self.users),
                                               "  ".join("%s %d/%d KiB, %d fds" % (" ".join(key), row["pss"][key], row["own"][key], row["fds"][key]) for key in row["own"])), flush=True)

    def run(self):
        begun = time.monotonic()
        for user in self.users:
            user.start()
        minute = 0
        while minute < MINUTES and not any(u.wrong for u in self.users):
            minute = min(MINUTES, minute + 1)
            self.stop.wait(max(0, begun + 60 * minute - time.monotonic()))
            self.sample((time.monotonic() - begun) / 3600)
        self.stop.set()
        for user in self.users:
            user.join()

    def verdicts(self):
        """What is wrong: sentences."""
        wrong = [text for user in self.users for text in user.wrong]
        for user in self.users:
            before = user.sessions
            wait_until(lambda u=user, b=before: u.one(True) or u.sessions > b or u.wrong, "a last session of " + user.user.name, 60)
            wrong += ["%s: in doubt: %r" % (user.user.name, user.maybe)] if user.maybe else []
            wrong += ["%s: %d sessions were cut" % (user.user.name, user.cut)] if user.cut else []
        warm = [row for row in self.samples if 60 * row["hours"] > WARM_UP_MINUTES]
        for key in warm[0]["own"]:
            values = [(r["hours"], r["own"][key]) for r in warm]
            print("%-18s %+.2f%% an hour, from %d to %d KiB" % (" ".join(key), slope(values), values[0][1], values[-1][1]))
            if warm[-1]["fds"][key] != warm[0]["fds"][key]:
                wrong.append("%s: %d descriptors, at the end %d" % (" ".join(key), warm[0]["fds"][key], warm[-1]["fds"][key]))
        whole = slope([(r["hours"], sum(r["own"].values())) for r in warm])
        print("all of them        %+.2f%% an hour, over %d samples from minute %.1f on" % (whole, len(warm), 60 * warm[0]["hours"]))
        return wrong + (["memory grows by %.2f%% an hour" % whole] if whole >= MOST_SLOPE else [])


def main():
    soak = Soak()
    try:
        soak.run()
        wrong = soak.verdicts()
        print("%d sessions, %d refused by name, %d nuisances, %d messages delivered, %d left" % (
            sum(u.sessions for u in soak.users), sum(u.refused for u in soak.users), sum(u.nuisances for u in soak.users),
            sum(u.number for u in soak.users), sum(len(u.sure) for u in soak.users)))
    finally:
        soak.stop.set()
        soak.running.set()
        for server in soak.servers:
            server.stop()
    print("\n".join(wrong) or "passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
