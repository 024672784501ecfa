"""Kills at random moments under load: POSTERN_KILLS times (default 60) a keeper or a gate is killed with signal 9 while
clients fetch and delete, half of the times from Maildirs, half from mboxes.

Then: no session but the killed one's has noticed; nothing is gone that no QUIT committed, nothing is left that a QUIT
reported as gone, no message is damaged, and no UIDL has changed; no lock is left; the pool is back to its size; no zombie.
"""
import os
import random
import re
import signal
import threading
import time
import unittest

import bodies
from client import Client, Closed
from postern import ROOT, Server
from processes import PATIENCE, user_of, wait_until

KILLS = int(os.environ.get("POSTERN_KILLS", "60"))
SEED = int(os.environ.get("POSTERN_SEED", "0")) or random.randrange(1 << 30)
CLIENTS = 5
MESSAGES = 12


class Refused(Exception):
    """The server has no worker now and said so; not a session yet."""


class Peer(threading.Thread):
    """One mail user: fetches, deletes, gets new mail, and knows what must be in the maildrop."""

    def __init__(self, server, user, is_mbox, stop):
        super().__init__()
        self.server, self.user, self.is_mbox, self.stop = server, user, is_mbox, stop
        self.random = random.Random("%d %s" % (SEED, user.name))
        self.sure = {}       # subject -> octets: must be there
        self.maybe = {}      # marked in a session that was cut in its QUIT: each may be there or not
        self.uids = {}       # subject -> UIDL
        self.number = self.sessions = self.cut = self.refused = 0
        self.locked_since = self.promised = None
        self.wrong = []

    def deliver(self):
        self.number += 1
        subject = b"%s %d" % (self.user.name.encode(), self.number)
        octets = bodies.message(subject.decode(), b"line %d\n.\n" % self.number * self.random.choice((1, 30, 3000)))
        if self.is_mbox:
            self.append(bodies.mbox([octets]))
        else:
            self.user.deliver(octets, self.random.choice(("new", "cur")))
        self.sure[subject] = octets

    def append(self, octets):
        self.user.append_mbox(octets)

    def run(self):
        try:
            while not self.stop.is_set() and not self.wrong:
                while len(self.sure) < MESSAGES:
                    self.deliver()
                self.one()
        except Exception as error:  # pylint: disable=broad-except  (a thread's errors are shown by the test)
            self.wrong.append("%s: %s: %s" % (self.user.name, type(error).__name__, error))

    def one(self, to_the_end=False):
        """One session, or what a kill leaves of it."""
        client = Client(self.server, greeting=False)
        try:
            self.begin(client)
            self.sessions += 1
            self.session(client, to_the_end)
        except Refused:
            self.refused += 1
            time.sleep(0.05)
        except (Closed, OSError):
            self.cut += 1
        finally:
            client.close()

    def begin(self, client):
        line = client.status()
        if not line.startswith("+OK"):
            raise Refused(line)
        if self.random.random() < 0.3:
            self.expect_ok(client, "STLS")
            client.handshake()

    def expect_ok(self, client, command):
        """+OK, or the end of this session when its other half was killed."""
        line = client.cmd(command)
        if line.startswith("-ERR [SYS/TEMP] this session broke"):
            raise Closed(line)
        if not line.startswith("+OK"):
            raise RuntimeError("%s: %r got %r" % (self.user.name, command, line))
        return line

    def session(self, client, to_the_end):
        self.expect_ok(client, "USER " + self.user.name)
        self.log_in(client)
        uids = self.listing(client, "UIDL")
        subjects = {}
        for number in uids:
            self.expect_ok(client, "TOP %d 0" % number)
            subjects[number] = bodies.subjects(client.body())[0]
        self.compare(subjects, uids)
        for number in self.random.sample(sorted(uids), min(3, len(uids))) if not to_the_end else uids:
            self.expect_ok(client, "RETR %d" % number)
            if client.body() != bodies.wire(self.sure[subjects[number]]):
                raise RuntimeError("%s: message %r is damaged" % (self.user.name, subjects[number]))
        marked = [number for number in uids if self.random.random() < 0.4]
        for number in marked:
            self.expect_ok(client, "DELE %d" % number)
        if self.random.random() < 0.2:
            return  # the client leaves without QUIT: nothing may go
        committed = {subjects[number]: self.sure.pop(subjects[number]) for number in marked}
        self.maybe.update(committed)
        line = client.cmd("QUIT")
        if line.startswith("-ERR") and "nothing was deleted" in line:
            self.promised = line
            self.sure.update(committed)
            self.maybe.clear()
        if line.startswith("-ERR [SYS/TEMP]"):
            raise Closed(line)
        if not line.startswith("+OK"):
            raise RuntimeError("%s: QUIT got %r" % (self.user.name, line))
        for subject in committed:
            del self.maybe[subject]

    def log_in(self, client):
        """A session that was cut in its UPDATE may hold the lock until that is done, and not for long."""
        line = client.cmd("PASS secret")
        if not line.startswith("-ERR [IN-USE]"):
            self.locked_since = None
            if line.startswith("-ERR [SYS/TEMP] this session broke"):
                raise Closed(line)
            if not line.startswith("+OK"):
                raise RuntimeError("%s: PASS got %r" % (self.user.name, line))
            return
        self.locked_since = self.locked_since or time.monotonic()
        if time.monotonic() - self.locked_since > 10 * PATIENCE:
            raise RuntimeError("%s: a lock is left: %s" % (self.user.name, line))
        raise Refused(line)

    def listing(self, client, command):
        self.expect_ok(client, command)
        return {int(n): value for n, value in (line.split(" ") for line in client.lines())}

    def compare(self, subjects, uids):
        """What the mailbox holds against what it must hold. Afterwards nothing is in doubt."""
        there = list(subjects.values())
        if len(set(there)) != len(there):
            raise RuntimeError("%s: a message is there twice: %r" % (self.user.name, there))
        missing = set(self.sure) - set(there)
        if missing:
            raise RuntimeError("%s: lost: %r; the last failed QUIT said: %s" % (self.user.name, missing, self.promised))
        back = set(there) - set(self.sure) - set(self.maybe)
        if back:
            raise RuntimeError("%s: there again after a QUIT that was answered +OK: %r" % (self.user.name, back))
        survived = set(there) & set(self.maybe)
        if self.is_mbox and survived and survived != set(self.maybe):
            raise RuntimeError("%s: an mbox update was done in part: %r of %r" % (self.user.name, survived, set(self.maybe)))
        self.sure.update({subject: self.maybe[subject] for subject in survived})
        self.maybe.clear()
        for number, subject in subjects.items():
            if self.uids.setdefault(subject, uids[number]) != uids[number]:
                raise RuntimeError("%s: the UIDL of %r has changed" % (self.user.name, subject))


class Bar(unittest.TestCase):
    """Clients, deliveries and kills at random; test_shared.py has it for shared workers, too."""
    seconds = int((120 + KILLS) * PATIENCE)

    def make_server(self, names, location):
        return Server(users=names, location=location, settings={"workers": {"spare_min": 3, "spare_max": 6}}, start=False)

    def bar(self, location):
        names = ["user%d" % n for n in range(CLIENTS)]
        is_mbox = location.startswith("mbox")
        server = self.make_server(names, location)
        self.addCleanup(server.stop)
        server.start()
        server.expect_trouble = True
        dice, stop = random.Random(SEED), threading.Event()
        peers = [Peer(server, server.users[name], is_mbox, stop) for name in names]
        for peer in peers:
            peer.user.write_mbox(b"") if is_mbox else None
            peer.start()
        kills = dict.fromkeys(("keeper", "gate"), 0)
        try:
            while sum(kills.values()) < KILLS // 2 and not any(peer.wrong for peer in peers):
                kind = dice.choice(("keeper", "gate"))
                candidates = server.keepers() if kind == "keeper" else server.gates()
                if candidates:
                    try:
                        os.kill(dice.choice(candidates).pid, signal.SIGKILL)
                        kills[kind] += 1
                    except ProcessLookupError:
                        pass  # it has ended by itself
                stop.wait(dice.random() * 0.1 * PATIENCE)
        finally:
            stop.set()
            for peer in peers:
                peer.join()
        what = "seed %d, %s, %d sessions, %d cut, %d refused" % (SEED, kills, sum(p.sessions for p in peers),
                                                                 sum(p.cut for p in peers), sum(p.refused for p in peers))
        self.assertEqual([text for peer in peers for text in peer.wrong], [], what + "\n" + server.log()[-3000:])
        # A kill ends one worker, and with it one session at most.
        self.assertLessEqual(sum(peer.cut for peer in peers), sum(kills.values()), what)
        self.assertGreater(sum(peer.sessions for peer in peers), CLIENTS, what)

        def at_rest():
            keepers, gates = server.keepers(), server.gates()
            return 3 <= len(keepers) <= 6 and len(gates) == len(keepers) and len(server.nurseries()) == 1 and not server.zombies()
        wait_until(at_rest, lambda: "the pool is back: %s; %s" % (server.processes(), what), 30)

        # No lock is left: every maildrop opens at once, and holds what it must, whole.
        for peer in peers:
            before = peer.sessions
            wait_until(lambda p=peer, b=before: p.one(True) or p.sessions > b, "a last session of " + peer.user.name, 20)
            self.assertEqual((peer.wrong, peer.maybe), ([], {}), what)
        self.assertEqual([p.name for p in (server.base / "spool").iterdir() if p.name.endswith(".lock")], [])
        self.assertRegex(server.log(), r"killed by signal 9")
        self.assertNotRegex(server.log(), re.compile(r"AddressSanitizer|runtime error:|signal (?!9\b)\d+ "))


class Kills(Bar):
    def test_maildir(self):
        self.bar("maildir:~/Maildir")

    def test_mbox(self):
        self.bar("mbox:SPOOL/%u")

    @unittest.skipUnless(ROOT, "needs root: the keeper is found by its owner")
    def test_answer_of_a_keeper_killed_in_its_update(self):
        """Half of the messages are gone: the client is not told that nothing was deleted."""
        server = Server()
        self.addCleanup(server.stop)
        server.expect_trouble = True
        anna = server.users["anna"]
        for n in range(3000):
            anna.deliver(bodies.message("m%d" % n), "cur")
        client = server.login()
        client.send(b"".join(b"DELE %d\r\n" % n for n in range(1, 3001)))
        for _ in range(3000):
            client.status()
        keeper = next(p.pid for p in server.keepers() if user_of(p.pid) == anna.uid)
        client.send(b"QUIT\r\n")
        wait_until(lambda: anna.stored_count() < 3000, "the update begins")
        os.kill(keeper, signal.SIGKILL)
        said = client.rest()
        self.assertNotIn(b"nothing was deleted", said) if anna.stored_count() < 3000 else None
        self.assertNotIn(b"+OK", said) if anna.stored_count() else None


if __name__ == "__main__":
    unittest.main()
