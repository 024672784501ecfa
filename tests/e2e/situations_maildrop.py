"""Failures of the maildrop: held, broken, and at QUIT. For test_situations.py."""
import os
import select
import signal
import time
import unittest

import bodies
import situations
from client import Client
from postern import ROOT
from processes import wait_until
from situations import A, B
from situations_login import Login
from tracing import Trace, keeper_in_session


class Maildrop(unittest.TestCase):
    server, client = Login.server, Login.client
    password = Login.password

    def spool(self, **options):
        return self.server(location="mbox:SPOOL/%u", **options)

    def test_locked(self):
        server = self.server()
        holder = self.client(server, source="127.0.0.7")
        holder.login("anna")
        line = self.password(server)
        situations.check(server, "LOCKED_ACTIVE", "a second login", line, user="anna", says="another session holds")
        self.assertRegex(line, r"open since \d\d:\d\d from 127\.0\.0\.7, active \d+ seconds? ago; free by \d\d:\d\d at the latest \(ref")
        holder.quit()

    def test_holder_does_not_answer(self):
        server = self.server()
        holder = self.client(server)
        holder.login("anna")
        keeper = keeper_in_session(server)
        os.kill(keeper, signal.SIGSTOP)
        try:
            situations.check(server, "LOCKED_WORKING", "a session that is busy", self.password(server), user="anna")
        finally:
            os.kill(keeper, signal.SIGCONT)
        holder.quit()

    @unittest.skipUnless(ROOT, "needs root: a lock of somebody who is no session")
    def test_unnamed(self):
        import fcntl
        server = self.server()
        with Client(server) as client:
            client.login("anna")
            client.quit()
        (lock,) = (server.base / "locks").iterdir()
        lock.write_bytes(b"\0" * 64)
        with open(lock, "r+b") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            situations.check(server, "LOCKED_UNNAMED", "a lock that nobody has signed", self.password(server), user="anna")

    def test_take_over_too_early(self):
        server = self.server(settings={"maildrop": {"on_locked": "take-over"}})
        holder = self.client(server)
        holder.login("anna")
        line = self.password(server)
        situations.check(server, "LOCKED_SOON", "take-over of a session that is in use", line, user="anna")
        holder.ok("NOOP")
        holder.quit()

    def test_wait(self):
        """on_locked = wait: the login takes as long as the other session, and then it is in."""
        server = self.server(settings={"maildrop": {"on_locked": "wait 60"}})
        holder, waiter = self.client(server), self.client(server)
        holder.login("anna")
        waiter.ok("USER anna")
        waiter.send(b"PASS secret\r\n")
        time.sleep(1.5)  # longer than the wait without the setting; nothing is decided by it
        self.assertEqual(waiter.waiting(), b"")
        holder.quit()
        self.assertRegex(waiter.status(), r"^\+OK logged in")
        waiter.quit()

    def test_many_wait(self):
        """Eight sessions or logins that wait are what one user can have: who comes then is told so, and others find workers."""
        server = self.server(settings={"maildrop": {"on_locked": "wait 300"}, "workers": {"spare_min": 1, "spare_max": 1, "max": 12}})
        holder = self.client(server)
        holder.login("anna")
        waiters = [self.client(server, source="127.0.1.%d" % (1 + n)) for n in range(11)]
        for waiter in waiters:
            waiter.ok("USER anna")
            waiter.send(b"PASS secret\r\n")

        def told():
            """Those who have an answer."""
            some = select.select([w.sock for w in waiters], [], [], 0)[0]
            return len(some) >= 4 and [w for w in waiters if w.sock in some]
        told = wait_until(told, "four are told")
        self.assertEqual(len(told), 4)
        situations.check(server, "LOCKED_UNNAMED", "too many sessions of a user", told[0].status(), user="anna",
                         peer=told[0].sock.getsockname()[0], says="8 sessions of this user")

        def served():
            """They are strangers, who make room."""
            client = self.client(server, source="127.0.2.1", greeting=False)
            return client.status().startswith("+OK") and client
        bert = wait_until(served, "a newcomer is served")
        bert.login("bert")
        bert.quit()
        holder.quit()

    @unittest.skipUnless(ROOT, "needs root: a Maildir of another owner")
    def test_denied(self):
        server = self.server()
        os.chown(server.users["anna"].maildir, 0, 0)
        client = self.client(server)
        client.ok("USER anna")
        line = client.cmd("PASS secret")
        situations.check(server, "DROP_DENIED", "a Maildir of another owner", line, user="anna", says="belongs to uid 0")
        client.send(b"USER bert\r\n")
        situations.check(server, "RECONNECT", "a login after one that went too far", client.status())

    def test_broken(self):
        server = self.spool()
        server.users["anna"].write_mbox(b"this is no mbox\n")
        situations.check(server, "DROP_BROKEN", "a file that is no mbox", self.password(server), user="anna", says="spool/anna")

    def test_unique_ids(self):
        """A Maildir restored under other names: refused until it is put back, or until the file that the log names is removed."""
        server = self.server()
        anna = server.users["anna"]
        names = [anna.deliver(b"Subject: %d\n\ntext\n" % i, name="1700000000.%d.host" % i) for i in range(30)]
        client = self.client(server)
        client.login("anna")
        before = client.uidl()
        client.quit()

        def rename(end, to):
            for path in sorted((anna.maildir / "new").glob("*" + end)):
                path.rename(path.with_name(path.name.removesuffix(end) + to))
        rename(".host", ".other")
        line = self.password(server)
        situations.check(server, "IDS_CHANGED", "a Maildir under other names", line, user="anna", says="30 of 30 .*rm .*[.]index")
        rename(".other", ".host")
        client = self.client(server)
        client.login("anna")
        self.assertEqual(client.uidl(), before)
        client.quit()
        rename(".host", ".other")
        situations.check(server, "IDS_CHANGED", "once more", self.password(server), user="anna", says="30 of 30")
        server.forget_indexes()
        client = self.client(server)
        client.login("anna")
        self.assertEqual(len(client.uidl()), len(names))
        client.quit()

    def test_io(self):
        server = self.server()
        (server.base / "locks").rename(server.base / "elsewhere")
        line = self.password(server)
        situations.check(server, "DROP_IO", "no lock directory", line, user="anna", says="open the lock directory .*No such file")
        (server.base / "elsewhere").rename(server.base / "locks")

    def test_messages(self):
        server = self.server()
        anna = server.users["anna"]
        paths = [anna.deliver(b"Subject: %d\n\nx\n" % n) for n in range(3)]
        client = self.client(server)
        client.login("anna")
        paths[0].unlink()
        situations.check(server, "MESSAGE_GONE", "another program removed it", client.cmd("RETR 1"), user="anna")
        paths[1].write_bytes(b"Subject: other\n\nlonger than before\n")
        situations.check(server, "MESSAGE_CHANGED", "another program changed it", client.cmd("RETR 2"), user="anna")
        with Trace(keeper_in_session(server), "openat:error=EIO"):
            situations.check(server, "MESSAGE_IO", "the disk cannot read it", client.cmd("RETR 3"), user="anna", says="nput/output error")
        client.quit()

    def quit(self, server, inject=None, before=None, marks=(1,), user="anna"):
        client = self.client(server)
        client.login(user)
        for n in marks:
            client.ok("DELE %d" % n)
        if before:
            before()
        if inject:
            with Trace(keeper_in_session(server), inject):
                return client.cmd("QUIT")
        return client.cmd("QUIT")

    def test_kept(self):
        """Some deleted messages not removed, for each cause."""
        server = self.spool()
        anna = server.users["anna"]
        for row, situation, inject in (("KEPT_FULL", "the disk is full", "pwrite64:error=ENOSPC"),
                                       ("KEPT_FULL", "over the quota", "pwrite64:error=EDQUOT"),
                                       ("KEPT_IO", "the disk fails", "pwrite64:error=EIO"),
                                       ("KEPT_READ_ONLY", "the file system became read-only", "pwrite64:error=EROFS"),
                                       ("KEPT_UNFINISHED", "the disk fails in the middle", "ftruncate:error=EIO")):
            with self.subTest(situation):
                anna.write_mbox(bodies.mbox([A, B, A]))
                line = self.quit(server, inject)
                situations.check(server, row, situation, line, user="anna", says="/spool/anna")
                self.assertRegex(line, r"not removed: 1 of 1 \(")
                with Client(server) as client:  # finishes what is unfinished
                    client.login("anna")
                    client.quit()

    def test_kept_changed(self):
        server = self.spool()
        anna = server.users["anna"]
        anna.write_mbox(bodies.mbox([A, B]))
        line = self.quit(server, before=lambda: anna.write_mbox(bodies.mbox([B, A])))
        situations.check(server, "KEPT_CHANGED", "another program rewrote the mbox", line, user="anna")

    @unittest.skipUnless(ROOT, "needs root: a directory that the owner may not write")
    def test_kept_denied(self):
        server = self.server()
        anna = server.users["anna"]
        anna.deliver(A)

        def lock_up():
            for folder in ("new", "cur"):
                os.chown(anna.maildir / folder, 0, anna.gid)
                os.chmod(anna.maildir / folder, 0o750)
        line = self.quit(server, before=lock_up)
        situations.check(server, "KEPT_DENIED", "a directory that the owner may not write", line, user="anna", says="remove .*Permission denied")

    def test_keeper_dies(self):
        server = self.server()
        server.users["anna"].deliver(A)
        server.expect_trouble = True
        client = self.client(server)
        client.login("anna")
        os.kill(keeper_in_session(server), signal.SIGKILL)
        situations.check(server, "KEEPER_LOST", "the keeper is killed", client.status(), says="killed by signal 9")
        client = self.client(server)
        client.login("anna")
        client.ok("DELE 1")
        with Trace(keeper_in_session(server), "unlinkat:signal=KILL"):
            line = client.cmd("QUIT")
        # The master knows that the keeper died, and not at what.
        self.assertRegex(line, situations.pattern("UPDATE_LOST"))
        situations.seen.add(("UPDATE_LOST", "the keeper is killed in the update"))
        record = wait_until(lambda: situations.explained(server, situations.reference(line)), "the record of it")
        self.assertIn("killed by signal 9", record["tried"])
