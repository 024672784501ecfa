"""kill -9 of each kind of process under load: 12 times each, 4 times those that are started again after a second only; 1,000 times
each with POSTERN_FAULT=full; POSTERN_KILLS says another number.

The bar: a kill ends the session of the worker that was hit, and no other. All other sessions of the run succeed, from greeting to
QUIT; a connection that finds no worker, because forking is throttled then, is refused in words. What a kind of process is needed
for fails as long as there is none: TLS handshakes without a signer, one login without its PAM helper, one mailbox without the
helper for its lock file, which is told in words; and a connection that was given to a worker whose gate the nursery had not made
yet is closed, one for each kill at most. Afterwards the pool is as before, a source may have as many connections as its limit says (so none was
counted for good), no zombie and no lock file is left (an empty one of a helper that died while it made it counts as stale after five minutes), and every message is there once, or was deleted by a QUIT that was told +OK.
"""
import os
import random
import re
import signal
import socket
import struct
import threading
import time
import unittest

import bodies
from client import Client, Closed
from memory import INSTRUMENTED
from postern import PREFIX, ROOT, Server, User
from processes import PATIENCE, read_process, session_processes, started_at, user_of, wait_until
from run import FULL
from test_kills import Peer, Refused
from test_pam import REASON, host_files, build_module
from tracing import Trace, keeper_in_session

KILLS = int(os.environ.get("POSTERN_KILLS", "1000" if FULL else "12"))
CLIENTS, SOURCE_MOST = 5, 12
SEED = int(os.environ.get("POSTERN_SEED", "0")) or random.randrange(1 << 30)
# The last: on a busy machine those whose handshake failed, for want of a signer, end later than new ones come.
IN_WORDS = re.compile(r"-ERR \[SYS/TEMP\] (the server has trouble starting sessions|the server has all \d+ sessions|your address has \d+ of \d+ connections open)")


class Watched(Peer):
    """A Peer that counts how its sessions ended by how far they had come."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ends = dict.fromkeys(("greeting", "handshake", "session", "refused", "words", "aged"), 0)
        self.stage = "greeting"

    def one(self, to_the_end=False):
        client = Client(self.server, greeting=False)
        self.stage = "greeting"
        try:
            self.begin(client)
            self.stage = "session"
            self.session(client, to_the_end)
            self.sessions += 1
        except Refused:
            time.sleep(0.05)
        except (Closed, OSError):
            self.ends[self.stage] += 1
        finally:
            client.close()

    def begin(self, client):
        line = client.status()
        if not line.startswith("+OK"):
            if not IN_WORDS.match(line):
                raise RuntimeError("refused, and not by name: " + line)
            self.ends["refused"] += 1
            raise Refused(line)
        if self.random.random() < 0.3:
            self.expect_ok(client, "STLS")
            self.stage = "handshake"
            client.handshake()

    def append(self, octets):
        while not self.user.try_append(octets):
            self.free_lock()

    def free_lock(self):
        """The lock file of a helper that was killed: it says whose it was, whenever that was, so the next login removes it."""
        lock = self.user.mbox.with_name(self.user.name + ".lock")
        try:
            if lock.stat().st_size == 0:
                self.wrong.append("an empty lock file: nobody can tell it from a living program's")
        except FileNotFoundError:
            pass
        self.one()

    def expect_ok(self, client, command):
        """A message that cannot be read now, is told in words, and is no end of anything either."""
        try:
            return super().expect_ok(client, command)
        except RuntimeError:
            return self.in_words(client)

    def in_words(self, client):
        line = client.transcript[-1]
        if not re.match(r"S: -ERR \[SYS/", line):
            raise  # pylint: disable=misplaced-bare-raise  (called where one is handled)
        self.ends["words"] += 1
        raise Refused(line) from None

    def log_in(self, client):
        """As a Peer; but the server may say that it cannot, which is no end of anything."""
        try:
            super().log_in(client)
        except RuntimeError:
            self.in_words(client)


def children(server, name):
    return [p.pid for p in server.processes() if p.ppid == server.pid and p.name == name and p.state != "Z"]


def whole(peers):
    """Sessions that came to their end."""
    return sum(peer.sessions for peer in peers)


def nurseries(server):
    """By what only a nursery may, to fork: when it dies, its gates, which are the same program, become the master's children."""
    def may_fork(pid):
        try:
            with open("/proc/%d/limits" % pid) as limits:
                return any(line.startswith("Max processes") and line.split()[2] != "0" for line in limits)
        except OSError:
            return False
    return [pid for pid in children(server, "posternd-gate") if may_fork(pid)]


def keepers(server, in_session):
    return [p.pid for p in server.keepers() if (user_of(p.pid) not in (0, None)) == in_session]


def of_parents(server, parents, name):
    return [p.pid for p in server.processes() if p.ppid in parents and p.name == name and p.state != "Z"]


def dotlock_helpers(server):
    return of_parents(server, {p.pid for p in server.keepers()}, "posternd")


# kind: how it is found, seconds between two starts (0: none), what its loss may end, for each kill: (stage of a client, how many).
# 10 for a second: a TLS handshake fails at once without a signer, and clients come back at once.
KINDS = {
    "nursery": (nurseries, 1, {"greeting": 1, "handshake": CLIENTS}),
    "signer": (lambda s: children(s, "posternd-sign"), 1, {"handshake": 10 * CLIENTS}),
    "gate": (lambda s: [p.pid for p in s.gates()], 0, {"any": 1}),
    "keeper before login": (lambda s: keepers(s, False), 0, {"any": 1}),
    "keeper in session": (lambda s: keepers(s, True), 0, {"any": 1}),
    "recorder": (lambda s: children(s, "posternd-record"), 1, {}),
    "recorder's answer": (lambda s: of_parents(s, set(children(s, "posternd-record")), "posternd-record"), 0, {}),
    "PAM helper": (lambda s: [p.pid for p in s.processes() if p.name == "posternd-pam"], 0, {"words": 1}),
    "dotlock helper": (dotlock_helpers, 0, {"words": 1, "session": 1}),
}


class Kill(unittest.TestCase):
    seconds = int(PATIENCE * (3 * 3600 if FULL else 120))

    def begin(self, location, pam=False):
        names = ["user%d" % n for n in range(CLIENTS)]
        settings = {"workers": {"spare_min": 3, "spare_max": 6}, "limits": {"per_source": SOURCE_MOST}}
        if pam:
            settings["auth"] = {"backends": "pam", "pam_service": "postern-e2e"}
        server = Server(users=() if pam else names, location=location, settings=settings, start=False)
        if pam:
            module = build_module()
            server.users = {name: User(server, name, 100 + n) for n, name in enumerate(names)}
            server.setup = host_files(server, names, "auth required %s 20\naccount required %s\n" % (module, module))
        server.start()
        self.addCleanup(server.stop)
        server.expect_trouble = True
        return server

    def bar(self, kind, location="maildir:~/Maildir", pam=False):
        find, pause, allowed = KINDS[kind]
        server = self.begin(location, pam)
        stop, dice = threading.Event(), random.Random(SEED)
        peers = [Watched(server, user, location.startswith("mbox"), stop) for user in server.users.values()]
        for peer in peers:
            peer.user.write_mbox(b"") if peer.is_mbox else None
            peer.start()
        asking = Asking(server, stop)
        if kind == "recorder's answer":
            asking.start()
        killed, kills, served, begun = set(), 0, 0, time.monotonic()
        try:
            while kills < (KILLS if FULL or not pause else 4) and not any(peer.wrong for peer in peers):
                # One that was started anew has served somebody before it is killed: under load, that is.
                if not pause or whole(peers) > served:
                    served = whole(peers)
                    kills += self.kill_one(find(server), dice, killed)
                stop.wait(dice.random() * 0.02 * PATIENCE)
            # Few kills are soon done, and on a busy machine before all the others' sessions are.
            wait_until(lambda: whole(peers) > CLIENTS or any(peer.wrong for peer in peers), "other sessions than those that were killed", 60)
        finally:
            took = time.monotonic() - begun
            stop.set()
            for peer in peers:
                peer.join()
        ends = {stage: sum(peer.ends[stage] for peer in peers) for stage in peers[0].ends}
        what = "seed %d, %s, %s: %d killed in %.0f s, %d sessions were whole, ended early: %s" % (
            SEED, kind, location, kills, took, whole(peers), ends)
        print(what)
        self.assertEqual([text for peer in peers for text in peer.wrong], [], what + "\n" + server.log()[-3000:])
        self.judge(kills, allowed, ends, what)
        if pause:
            self.assertGreater(took, 0.9 * pause * (kills - 2), "they were started again without a pause: " + what)
        self.afterwards(server, peers, what)

    def kill_one(self, pids, dice, killed):
        """One that was not killed before, and has not been reaped yet."""
        found = [one for one in ((pid, started_at(pid)) for pid in pids) if one[1] is not None and one not in killed]
        if not found:
            return 0
        one = dice.choice(found)
        try:
            os.kill(one[0], signal.SIGKILL)
            killed.add(one)
            return 1
        except ProcessLookupError:
            return 0  # it has ended by itself

    def judge(self, kills, allowed, ends, what):
        if "any" in allowed:
            self.assertLessEqual(ends["greeting"] + ends["handshake"] + ends["session"], kills * allowed["any"], what)
            self.assertEqual(ends["words"], 0, what)
            return
        for stage in ("greeting", "handshake", "session", "words"):
            self.assertLessEqual(ends[stage], kills * allowed.get(stage, 0), "%s; %s" % (stage, what))

    def afterwards(self, server, peers, what):
        def at_rest():
            found = server.keepers(), server.gates()
            return (3 <= len(found[0]) <= 6 and len(found[1]) == len(found[0]) and not server.zombies() and
                    all(len(children(server, name)) == 1 for name in ("posternd-gate", "posternd-sign", "posternd-record")))
        wait_until(at_rest, lambda: "the pool is back: %s; %s" % (server.processes(), what), 30)
        for peer in peers:
            before = peer.sessions
            wait_until(lambda p=peer, b=before: p.one(True) or p.sessions > b or p.wrong or (p.is_mbox and p.free_lock()), "a last session of " + peer.user.name, 90)
            self.assertEqual((peer.wrong, peer.maybe), ([], {}), what)
        self.assertEqual([p.name for p in (server.base / "spool").iterdir() if p.name.endswith(".lock")], [])
        self.assertNotRegex(server.log(), re.compile(r"AddressSanitizer|runtime error:|signal (?!9\b)\d+ "))
        self.counts_are_back(server)

    def counts_are_back(self, server):
        """As many connections as the source may have, and not one more."""
        held = []

        def all_of_them():
            while len(held) < SOURCE_MOST:
                client = Client(server, greeting=False)
                self.addCleanup(client.close)
                if not client.raw_line().startswith(b"+OK"):
                    return False
                held.append(client)
            return True
        wait_until(all_of_them, lambda: "%d connections of a source: %d" % (SOURCE_MOST, len(held)), 20)
        with Client(server, greeting=False) as more:
            self.assertRegex(more.rest(), rb"^-ERR \[SYS/TEMP\] your address has %d of %d connections open" % (SOURCE_MOST, SOURCE_MOST))
        for client in held:
            client.close()

    @unittest.skipIf(INSTRUMENTED, "what instruments a program keeps it from being confined, and a gate is not told from a nursery")
    def test_nursery(self):
        self.bar("nursery")

    def test_signer(self):
        self.bar("signer")

    def test_gate(self):
        self.bar("gate")

    def test_gate_of_an_mbox(self):
        self.bar("gate", "mbox:SPOOL/%u")

    @unittest.skipUnless(ROOT, "needs root: the keeper is found by its owner")
    def test_keeper_before_login(self):
        self.bar("keeper before login")

    @unittest.skipUnless(ROOT, "needs root: the keeper is found by its owner")
    def test_keeper_in_session(self):
        self.bar("keeper in session")

    @unittest.skipUnless(ROOT, "needs root: the keeper is found by its owner")
    def test_keeper_in_session_of_an_mbox(self):
        self.bar("keeper in session", "mbox:SPOOL/%u")

    def test_recorder(self):
        self.bar("recorder")

    def test_answer(self):
        self.bar("recorder's answer")

    @unittest.skipIf(REASON, REASON)
    def test_pam_helper(self):
        self.bar("PAM helper", pam=True)

    @unittest.skipUnless(ROOT, "needs root: without it no lock file's helper is lent a group")
    def test_dotlock_helper(self):
        self.bar("dotlock helper", "mbox:SPOOL/%u")


class Asking(threading.Thread):
    """Somebody who asks the recorder for all that there is, reads slowly, and asks again."""

    def __init__(self, server, stop):
        super().__init__(daemon=True)
        self.server, self.stop = server, stop

    def run(self):
        question = struct.pack("=IIqII132s4x", 0x50480001, 0, 0, 7, 0xffffffff, b"")
        while not self.stop.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                try:
                    s.connect(str(self.server.base / "ask"))
                    s.send(question)
                    s.recv(4096)
                    self.stop.wait(0.05)
                except OSError:
                    pass


class Master(unittest.TestCase):
    def test_no_orphan(self):
        """It dies under load, with sessions in all states: all other processes end by themselves, and nothing was deleted."""
        names = ["user%d" % n for n in range(CLIENTS)]
        server = Server(users=names, location="mbox:SPOOL/%u")
        self.addCleanup(server.stop)
        for user in server.users.values():
            user.write_mbox(bodies.mbox([bodies.message("one"), bodies.message("two", b"x" * 900 + b"\n")]))
        open_ones = [server.login(name, tls=n % 2 == 0) for n, name in enumerate(names)] + [server.client() for _ in range(3)]
        for client in open_ones[:CLIENTS]:
            client.ok("DELE 1")
        half = socket.create_connection(("127.0.0.1", server.pop3s_port), timeout=20)
        half.sendall(b"\x16\x03\x01")
        server.kill9()
        wait_until(lambda: not session_processes(server.pid), lambda: "all end: %s" % session_processes(server.pid), 5)
        for client in open_ones:
            client.close()
        half.close()
        server.start()
        for name in names:
            with server.login(name) as client:
                self.assertEqual(client.stat()[0], 2)
                client.quit()


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
@unittest.skipUnless(ROOT, "needs root: the keeper is found by its session lock")
class Recovery(unittest.TestCase):
    """The process that finishes interrupted updates at the start, and its children, are killed: the next start or login finishes them."""
    seconds = int(PATIENCE * (3 * 3600 if FULL else 120))
    USERS = 6

    def interrupted(self, server):
        """Of each user: the mbox in the middle of an UPDATE, and its journal: {path: octets}."""
        found = {}
        for n, (name, user) in enumerate(server.users.items()):
            user.write_mbox(bodies.mbox([bodies.message("%s %d" % (name, i), b"y" * (700 * i + n) + b"\n") for i in range(6)]))
            client = server.login(name)
            for number in (1, 3):
                client.ok("DELE %d" % number)
            with Trace(keeper_in_session(server), "ftruncate:signal=KILL:when=1"):
                client.send(b"QUIT\r\n")
                client.rest()
            client.close()
            wait_until(lambda: not keepers(server, True), "that keeper is gone")
            found[user.mbox] = user.mbox.read_bytes()
        found.update({path: path.read_bytes() for path in (server.base / "journals").iterdir()})
        return found

    def put_back(self, octets):
        """In the same file: a journal knows it by its inode."""
        for path, content in octets.items():
            with open(path, "r+b") as f:
                f.truncate(0)
                f.write(content)

    def recovery(self, server):
        """The recovery process, and its child."""
        roles = [p for p in server.processes() if p.name == "posternd" and p.pid != server.pid and p.state != "Z"]
        first = [p.pid for p in roles if p.ppid == server.pid]
        return first[:1] + [p.pid for p in roles if p.ppid in first]

    def test_recovery(self):
        names = ["user%d" % n for n in range(self.USERS)]
        server = Server(users=names, location="mbox:SPOOL/%u", settings={"limits": {"per_source": 30}})
        self.addCleanup(lambda: server.stop(None))
        server.expect_trouble = True
        octets = self.interrupted(server)
        dice, kills, rounds = random.Random(SEED), 0, 0
        while kills < KILLS:
            rounds += 1
            server.kill9()
            server.wait_gone()
            self.put_back(octets)
            killer = Killer(self, server, dice)
            self.start(server, killer)
            kills += killer.kills
            for name in names:
                with server.login(name) as client:
                    self.assertEqual(client.stat()[0], 4, "seed %d, round %d, %s" % (SEED, rounds, name))
                    client.top(1, 0)
                    client.quit()
                left = bodies.subjects(server.users[name].mbox.read_bytes())
                self.assertEqual(left, [b"%s %d" % (name.encode(), i) for i in (1, 3, 4, 5)])
            wait_until(lambda: not server.zombies(), "no zombie is left")
        print("seed %d, recovery: %d killed in %d starts" % (SEED, kills, rounds))

    def start(self, server, killer):
        killer.start()
        try:
            server.start()
        finally:
            killer.over.set()
            killer.join()


class Killer(threading.Thread):
    """Kills the recovery or its child as soon as there is one, some time after the start."""

    def __init__(self, test, server, dice):
        super().__init__()
        self.test, self.server, self.over, self.kills = test, server, threading.Event(), 0
        self.old, self.pick, self.skip = server.popen.pid, dice.randrange(2), dice.randrange(4)

    def run(self):
        while not self.over.is_set() and self.kills == 0:
            pid = self.server.popen.pid
            if pid == self.old:
                continue
            found = self.test.recovery(self.server)
            if len(found) < 2:
                continue
            if self.skip:
                self.skip -= 1
                continue
            try:
                os.kill(found[self.pick], signal.SIGKILL)
                self.kills += 1
            except ProcessLookupError:
                pass


if __name__ == "__main__":
    unittest.main()
