"""mbox: bodies byte for byte, From_ lines and Content-Length, UIDLs that stay, deletion, mail that arrives in mid-session,
and the locks of the host's other mail programs, in a spool of root:mail with mode 2775.
"""
import fcntl
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import unittest

import bodies
from client import Closed
from postern import ROOT, ServerCase
from processes import PATIENCE, wait_until
from test_maildir import fetch_all

SPOOL = "mbox:SPOOL/%u"
FROM = b"From anna@example.org Mon Jan  5 10:00:00 2026\n"

# What Dovecot and others have got wrong: label, the mbox, the messages in it as stored.
A, B, C = (bodies.message(name, b"body of %s\n" % name.encode()) for name in "abc")
FIXTURES = [
    ("empty file", b"", []),
    ("one", bodies.mbox([A]), [A]),
    ("three", bodies.mbox([A, B, C]), [A, B, C]),
    ("no blank line at the end", FROM + A, [A]),
    ("no line end at the end", FROM + A[:-1], [A[:-1]]),
    ("From in a body, no blank line before", bodies.mbox([A + b"From here it goes on\n", B]), [A + b"From here it goes on\n", B]),
    ("From in a body that is no From_ line", bodies.mbox([A + b"\nFrom here it goes on\n", B]), [A + b"\nFrom here it goes on\n", B]),
    ("escaped From stays as it is", bodies.mbox([A + b"\n>From me\n>>From you\n", B]), [A + b"\n>From me\n>>From you\n", B]),
    ("8192 octets that begin with From", bodies.mbox([A + b"From " + b"x" * 8192 + b"\n", B]), [A + b"From " + b"x" * 8192 + b"\n", B]),
    ("no body", FROM + b"Subject: a\n\n\n" + FROM + B, [b"Subject: a\n\n", B]),
    ("page sized", bodies.mbox([bodies.sized(4096 - len(FROM) - 1), bodies.sized(8192 - len(FROM) - 1)]),
     [bodies.sized(4096 - len(FROM) - 1), bodies.sized(8192 - len(FROM) - 1)]),
    ("a Content-Length that is wrong", bodies.mbox([b"Content-Length: 5\n" + A, B]), [b"Content-Length: 5\n" + A, B]),
    ("a Content-Length that is huge", bodies.mbox([b"Content-Length: 99999999999999999999\n" + A, B]),
     [b"Content-Length: 99999999999999999999\n" + A, B]),
    ("CRLF throughout", bodies.mbox([A, B]).replace(b"\n", b"\r\n"), [A.replace(b"\n", b"\r\n"), B.replace(b"\n", b"\r\n")]),
    ("time with a zone", FROM.replace(b"2026", b"+0100 2026") + A + b"\n" + FROM.replace(b"2026", b"CET 2026") + B, [A, B]),
    ("From_ of a bounce", FROM.replace(b"anna@example.org", b"MAILER-DAEMON") + A + b"\n" + FROM + B, [A, B]),
]


class Fixtures(ServerCase):
    location = SPOOL

    def test_bodies(self):
        """Each odd message between two neighbours, byte for byte."""
        for label, octets in bodies.MBOX_ODD.items():
            with self.subTest(label):
                messages = [bodies.message("before"), octets, bodies.message("after")]
                self.anna.write_mbox(bodies.mbox(messages))
                with self.server.login() as client:
                    self.assertEqual(fetch_all(client), [bodies.wire(m) for m in messages])
                    client.quit()
                self.assertEqual(self.anna.mbox.read_bytes(), bodies.mbox(messages), "changed by reading")

    def test_fixtures(self):
        for label, octets, messages in FIXTURES:
            with self.subTest(label):
                self.anna.write_mbox(octets)
                with self.server.login() as client:
                    self.assertEqual(fetch_all(client), [bodies.wire(m) for m in messages])
                    uids = client.uidl()
                    self.assertEqual(len(set(uids.values())), len(uids))
                    client.quit()
                self.assertEqual(self.anna.mbox.read_bytes(), octets, "changed by reading")
                with self.server.login() as client:
                    self.assertEqual(client.uidl(), uids)
                    client.quit()

    def test_delete_each_pattern(self):
        """Every subset of four messages, also of mboxes without a proper end; what is left is what was there."""
        messages = [bodies.message("p%d" % n, b"x" * 1000 * n + b"\n") for n in range(1, 5)]
        for ending in (b"", b"\n"):
            for pattern in range(16):
                with self.subTest(pattern=bin(pattern), ending=ending):
                    octets = bodies.mbox(messages)[:-1] + ending
                    self.anna.write_mbox(octets)
                    before = self.anna.mbox.stat()
                    marked = [n for n in range(4) if pattern >> n & 1]
                    with self.server.login() as client:
                        uids = client.uidl()
                        for n in marked:
                            client.ok("DELE %d" % (n + 1))
                        self.assertEqual(self.anna.mbox.read_bytes(), octets, "changed before QUIT")
                        client.quit()
                    left = [m for n, m in enumerate(messages) if n not in marked]
                    with self.server.login() as client:
                        self.assertEqual(fetch_all(client), [bodies.wire(m) for m in left])
                        self.assertEqual(list(client.uidl().values()), [uids[n + 1] for n in range(4) if n not in marked])
                        client.quit()
                    after = self.anna.mbox.stat()
                    self.assertEqual((after.st_uid, after.st_gid, after.st_mode), (before.st_uid, before.st_gid, before.st_mode))
                    self.assertEqual(after.st_ino, before.st_ino, "another file: a waiting delivery would write to the old one")

    def test_not_an_mbox(self):
        """Something else is refused as the server's trouble, and left alone."""
        for label, octets in (("text", b"this is no mbox\n"), ("two octets", b"\n\n"), ("binary", os.urandom(5000)), ("From alone", b"From")):
            with self.subTest(label):
                self.anna.write_mbox(octets)
                client = self.client()
                client.ok("USER anna")
                answer = client.cmd("PASS secret")
                self.assertRegex(answer, r"^-ERR \[SYS/PERM\]|^\+OK.* 0 messages")
                client.close()
                self.assertEqual(self.anna.mbox.read_bytes(), octets)

    def test_links(self):
        """The mbox is a link, or has a second name, or is a FIFO: not read, and no harm done."""
        other = self.server.base / "spool" / "other"
        for label, make in (("symbolic link", lambda: os.symlink(other, self.anna.mbox)), ("FIFO", lambda: os.mkfifo(self.anna.mbox)),
                            ("hard link", lambda: os.link(other, self.anna.mbox)), ("directory", lambda: os.mkdir(self.anna.mbox))):
            with self.subTest(label):
                self.remove()
                other.write_bytes(bodies.mbox([bodies.message("others")]))
                self.anna.own(other, 0o600)
                make()
                client = self.client()
                client.ok("USER anna")
                client.err("PASS secret", r"\[SYS/PERM\]")
                client.close()
                self.assertEqual(other.read_bytes(), bodies.mbox([bodies.message("others")]))
        self.remove()
        other.unlink()

    def remove(self):
        path = self.anna.mbox
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        elif path.exists() or path.is_symlink():
            path.unlink()


class UniqueIds(ServerCase):
    location = SPOOL

    def uidls(self):
        with self.server.login() as client:
            uids = client.uidl()
            client.quit()
        return uids

    def test_new_mail_changes_none(self):
        self.anna.write_mbox(bodies.mbox([A, B]))
        before = self.uidls()
        with open(self.anna.mbox, "ab") as f:
            f.write(FROM + C + b"\n")
        after = self.uidls()
        self.assertEqual({n: after[n] for n in before}, before)
        self.assertEqual(len(set(after.values())), 3)

    def test_equal_messages_differ(self):
        self.anna.write_mbox(bodies.mbox([A, A, A]) + bodies.mbox([A]) * 2)
        uids = self.uidls()
        self.assertEqual(len(set(uids.values())), 5)
        self.assertEqual(self.uidls(), uids)

    def test_equal_messages_keep_theirs_when_one_goes(self):
        """The client that deleted the first must not see the second as one that it has had."""
        self.anna.write_mbox(bodies.mbox([A]) * 3)
        uids = self.uidls()
        with self.server.login() as client:
            client.ok("DELE 1")
            client.quit()
        self.assertEqual(len(set(self.uidls().values())), 2)
        self.assertLessEqual(set(self.uidls().values()), set(uids.values()))


class MidSession(ServerCase):
    location = SPOOL

    def test_new_mail_in_session(self):
        """It shows in the next session and survives the rewrite."""
        self.anna.write_mbox(bodies.mbox([A, B]))
        client = self.login()
        with open(self.anna.mbox, "ab") as f:
            f.write(FROM + C + b"\n")
        self.assertEqual(client.stat()[0], 2)
        self.assertEqual(client.retr(2), bodies.wire(B))
        client.ok("DELE 1")
        client.quit()
        with self.server.login() as client:
            self.assertEqual(fetch_all(client), [bodies.wire(B), bodies.wire(C)])
            client.quit()

    def test_new_mail_and_all_deleted(self):
        self.anna.write_mbox(bodies.mbox([A, B]))
        client = self.login()
        client.ok("DELE 1")
        client.ok("DELE 2")
        with open(self.anna.mbox, "ab") as f:
            f.write(FROM + C + b"\n")
        client.quit()
        with self.server.login() as client:
            self.assertEqual(fetch_all(client), [bodies.wire(C)])
            client.quit()

    def test_rewritten_by_another(self):
        """Another program rewrites it: nothing wrong is sent, nothing that was not marked goes, and QUIT tells."""
        for label, octets in (("one is gone", bodies.mbox([B, C])), ("order", bodies.mbox([C, B, A])), ("truncated", b""),
                              ("other text", bodies.mbox([A.replace(b"body", b"BODY"), B, C])), ("cut", bodies.mbox([A, B, C])[:-40])):
            with self.subTest(label):
                self.anna.write_mbox(bodies.mbox([A, B, C]))
                client = self.login()
                self.anna.write_mbox(octets)
                for number, message in enumerate((A, B, C), 1):
                    try:
                        if client.cmd("RETR %d" % number).startswith("+OK"):
                            self.assertEqual(client.body(), bodies.wire(message))
                    except Closed:
                        break
                try:
                    answer = client.cmd("DELE 1")
                    answer = client.cmd("QUIT")
                except (Closed, OSError):
                    answer = "-ERR closed"
                left = self.anna.mbox.read_bytes()
                if answer.startswith("-ERR"):
                    self.assertEqual(left, octets)
                for message in (B, C):
                    self.assertEqual(message in left, message in octets)

    def test_removed_by_another(self):
        self.anna.write_mbox(bodies.mbox([A, B]))
        client = self.login()
        self.anna.mbox.unlink()
        client.err("RETR 1")
        client.ok("NOOP")
        client.ok("DELE 1")
        client.cmd("QUIT")
        self.assertFalse(self.anna.mbox.exists())

    def test_late_reader(self):
        """A client that takes its octets only after its QUIT has moved others to their place in the file gets those that it asked for."""
        first, large, last = (bodies.message(name, name.encode() * 63 + b"\n" + line * 9600) for name, line in
                              (("x", b""), ("y", b"y" * 62 + b"\n"), ("z", b"z" * 62 + b"\n")))
        octets, start, end = (bodies.mbox([first, large, last][:n]).replace(b"\n", b"\r\n") for n in (3, 1, 2))
        self.anna.write_mbox(octets)
        client = self.login()
        client.send(b"RETR 2\r\nDELE 2\r\nQUIT\r\n")
        wait_until(lambda: self.anna.mbox.stat().st_size < len(octets), "UPDATE, though the client reads nothing")
        self.assertTrue(client.status().startswith("+OK"))
        self.assertTrue(client.body() == bodies.wire(large), "octets of another message")
        for _ in ("DELE", "QUIT"):
            self.assertTrue(client.status().startswith("+OK"))
        client.end()
        self.assertTrue(self.anna.mbox.read_bytes() == start + octets[len(end):], "what is left in the mailbox")

    def test_second_session(self):
        self.anna.write_mbox(bodies.mbox([A]))
        first = self.login()
        client = self.client()
        client.ok("USER anna")
        start = time.monotonic()
        client.err("PASS secret", r"\[IN-USE\] unable to lock mailbox")
        self.assertLess(time.monotonic() - start, 10 * PATIENCE)
        first.quit()
        client.login("anna")
        client.quit()

    def test_the_file_is_not_held_for_the_session(self):
        """Delivery goes on while a session is open: no lock of the host's is held between commands."""
        self.anna.write_mbox(bodies.mbox([A]))
        client = self.login()
        client.retr(1)
        with open(self.anna.mbox, "r+b") as f:
            fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(f, fcntl.LOCK_UN)
        self.assertFalse((self.server.base / "spool" / "anna.lock").exists())
        client.quit()
        self.assertEqual(sorted(p.name for p in (self.server.base / "spool").iterdir()), ["anna"])


HOLDER = """
import fcntl, sys
f = open(sys.argv[1], "r+b")
(fcntl.lockf if sys.argv[2] == "fcntl" else fcntl.flock)(f, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class HostLocks(ServerCase):
    """Locks that a delivery agent or a mail reader holds."""
    users = ("anna", "bert", "carl", "dora")
    location = SPOOL

    @classmethod
    def prepare(cls, server):
        for user in server.users.values():
            user.write_mbox(bodies.mbox([A, B]))

    def hold(self, user, kind):
        """Have another process hold the lock; returns the function that lets go."""
        if kind == "dotlock":
            lock = self.server.base / "spool" / (user + ".lock")
            lock.write_text("1\n")
            return lock.unlink
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, self.server.users[user].mbox, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(holder.stdout.readline(), b"held\n")

        def let_go():
            holder.communicate()
        return let_go

    def test_short_hold_is_waited_for(self):
        for kind in ("fcntl", "dotlock"):
            with self.subTest(kind):
                let_go = self.hold("anna", kind)
                timer = threading.Timer(1.0, let_go)
                timer.start()
                start = time.monotonic()
                with self.server.login() as client:
                    self.assertGreater(time.monotonic() - start, 0.8)
                    client.ok("DELE 1")
                    client.ok("RSET")
                    client.quit()
                timer.join()

    def test_long_hold_is_told(self):
        """At login: [IN-USE] and which program's business it is; at QUIT: nothing is deleted, and that is said. Nobody hangs."""
        at_quit = self.login("dora")
        at_quit.ok("DELE 1")
        clients = []
        for user, kind in (("anna", "fcntl"), ("bert", "dotlock"), ("dora", "fcntl")):
            self.addCleanup(self.hold(user, kind))
            client = at_quit
            if user != "dora":
                client = self.client()
                client.ok("USER " + user)
            client.send(b"QUIT\r\n" if user == "dora" else b"PASS secret\r\n")
            clients.append((user, client))
        # Another's mailbox is not held up meanwhile.
        start = time.monotonic()
        with self.server.login("carl") as client:
            client.quit()
        self.assertLess(time.monotonic() - start, 20 * PATIENCE)  # they wait for 30
        for user, client in clients:
            client.sock.settimeout(60 * PATIENCE)
            with self.subTest(user):
                want = r"^-ERR \[IN-USE\]" if user != "dora" else r"^-ERR \[(IN-USE|SYS/TEMP)\] .*not (removed|deleted)"
                self.assertRegex(client.status(), want)
        self.assertEqual(self.server.users["dora"].mbox.read_bytes(), bodies.mbox([A, B]))

    def test_stale_dotlock(self):
        """A dotlock that its program left behind long ago does not lock the user out."""
        lock = self.server.base / "spool" / "carl.lock"
        lock.write_text("1\n")
        os.utime(lock, (1, 1))
        with self.server.login("carl") as client:
            client.quit()
        self.assertFalse(lock.exists())

    @unittest.skipUnless(ROOT, "needs root: a spool that only root and the group mail may write")
    def test_dotlock_in_a_closed_spool(self):
        """The mail's owner may not write the spool; the dotlock is made all the same, and removed."""
        spool = self.server.base / "spool"
        self.assertEqual(spool.stat().st_mode & 0o7777, 0o2775)
        seen = set()
        stop = threading.Event()

        def watch():
            while not stop.is_set():
                seen.update(p.name for p in spool.iterdir())
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for _ in range(10):
                with self.server.login("carl") as client:
                    client.ok("DELE 1")
                    client.quit()
                self.server.users["carl"].write_mbox(bodies.mbox([A, B]))
        finally:
            stop.set()
            watcher.join()
        self.assertIn("carl.lock", seen)
        self.assertFalse((spool / "carl.lock").exists())


class Delivery(ServerCase):
    """Deliveries by programs that lock in other orders, during sessions that fetch and delete."""
    location = SPOOL

    def deliver(self, count, name, order):
        for n in range(count):
            octets = FROM + bodies.message("%s %d" % (name, n), b"x" * (n % 7) * 500 + b"\n") + b"\n"
            lock = self.server.base / "spool" / "anna.lock"
            while True:
                try:
                    with open(self.anna.mbox, "ab") as f:
                        if order == "fcntl":
                            fcntl.lockf(f, fcntl.LOCK_EX)  # open, wait, append: as Postfix does
                        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                        try:
                            if order != "fcntl":
                                fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                            f.write(octets)
                            f.flush()
                        finally:
                            lock.unlink()
                    break
                except (FileExistsError, BlockingIOError):
                    time.sleep(0.01 + 0.01 * (n % 3))  # back off, as every program has to

    def test_exactly_once(self):
        self.anna.write_mbox(b"")
        names = [("postfix", "fcntl"), ("procmail", "dotlock")]
        # Processes, not threads: a process that closes a file loses its fcntl locks on it.
        agents = [multiprocessing.get_context("fork").Process(target=self.deliver, args=(60, *name)) for name in names]
        for agent in agents:
            agent.start()
        fetched = []
        while any(agent.is_alive() for agent in agents) or self.anna.mbox.stat().st_size:
            with self.server.login() as client:
                numbers = list(client.list())
                got = [bodies.subjects(client.retr(n))[0] for n in numbers]
                for n in numbers:
                    client.ok("DELE %d" % n)
                client.quit()
                fetched += got
        for agent in agents:
            agent.join()
            self.assertEqual(agent.exitcode, 0)
        self.assertEqual(sorted(fetched), sorted(b"%s %d" % (name.encode(), n) for name, _ in names for n in range(60)))


if __name__ == "__main__":
    unittest.main()
