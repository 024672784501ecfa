"""Each failure that a client can bring about: what it is told, what the log says and what `postern explain` says agree.

One situation a line of the tables, or a method where it takes a story. Those that need half a minute are in test_waits.py. The
last test counts: at least 60 situations, and every row but those that it names, with the reason.
"""
import os
import signal
import socket
import time
import unittest

import bodies
import situations
from client import Client, Closed
from postern import ROOT, Server, ServerCase, elsewhere
from processes import wait_until
from test_auth import plain
from test_pam import REASON as NO_PAM, PamServer
from tracing import Trace, keeper_in_session

A, B = b"Subject: a\n\none\n", b"Subject: b\n\ntwo\n"

# situation, row, what is sent first (each answered by +OK or by "+ "), the line
BEFORE_LOGIN = [
    ("a word of no protocol", "UNKNOWN_COMMAND", [], b"XYZZY"),
    ("APOP", "UNKNOWN_COMMAND", [], b"APOP anna c4c9334bac560ecc979e58001b3e22fb"),
    ("an empty line", "EMPTY_LINE", [], b""),
    ("a line of 300 octets", "LINE_TOO_LONG", [], b"NOOP " + b"x" * 300),
    ("a response of 3,000 octets", "RESPONSE_TOO_LONG", [b"AUTH PLAIN"], b"x" * 3000),
    ("NUL in a command", "NUL", [], b"US\0ER anna"),
    ("STAT before the login", "LOG_IN_FIRST", [], b"STAT"),
    ("DELE before the login", "LOG_IN_FIRST", [], b"DELE 1"),
    ("an argument to CAPA", "NO_ARGUMENT", [], b"CAPA 1"),
    ("USER without a name", "NEEDS_ARGUMENT", [], b"USER"),
    ("PASS before USER", "USER_FIRST", [], b"PASS secret"),
    ("a name of 200 octets", "NAME_TOO_LONG", [], b"USER " + b"n" * 200),
    ("another mechanism", "MECHANISM_UNKNOWN", [], b"AUTH CRAM-MD5"),
    ("AUTH given up", "AUTH_CANCELLED", [b"AUTH PLAIN"], b"*"),
    ("no base64", "BAD_BASE64", [], b"AUTH PLAIN !!"),
    ("a response without NUL", "BAD_PLAIN", [], b"AUTH PLAIN YWJj"),
    ("an empty response", "BAD_PLAIN", [], b"AUTH PLAIN ="),
    ("for somebody else", "OTHER_IDENTITY", [], b"AUTH PLAIN " + plain("bert", "anna", "secret").encode()),
    ("a password of 600 octets by AUTH", "PASSWORD_TOO_LONG", [b"AUTH PLAIN"], plain("", "anna", "p" * 600).encode()),
    ("USER of nobody", "MAILBOX_UNKNOWN", [], b"USER nosuch"),
    ("AUTH PLAIN of nobody", "MAILBOX_UNKNOWN", [], b"AUTH PLAIN " + plain("", "nosuch", "x").encode()),
    ("a wrong password", "INVALID_PASSWORD", [b"USER anna"], b"PASS wrong"),
    ("a wrong password by AUTH", "INVALID_PASSWORD", [], b"AUTH PLAIN " + plain("", "anna", "x").encode()),
    ("no password", "EMPTY_PASSWORD", [b"USER anna"], b"PASS "),
    ("root", "UID_REFUSED", [b"USER root"], b"PASS secret"),
    ("a record without a password", "ACCOUNT_LOCKED", [b"USER locked"], b"PASS secret"),
    ("a browser", "HTTP", [], b"GET / HTTP/1.1"),
    ("a program that sends mail", "SMTP", [], b"EHLO mail.example.org"),
    ("MAIL FROM", "SMTP", [], b"MAIL FROM:<anna@example.org>"),
    ("an IMAP client", "IMAP", [], b"a1 CAPABILITY"),
    ("an IMAP login", "IMAP", [], b"A001 LOGIN anna secret"),
    ("a load balancer", "PROXY", [], b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 110"),
]

AFTER_LOGIN = [
    ("USER in an open mailbox", "LOGGED_IN_ALREADY", [], b"USER anna"),
    ("an argument to STAT", "NO_ARGUMENT", [], b"STAT 1"),
    ("RETR without a number", "NEEDS_NUMBER", [], b"RETR"),
    ("TOP with one number", "NEEDS_TWO_NUMBERS", [], b"TOP 1"),
    ("message 0", "BAD_NUMBER", [], b"RETR 0"),
    ("message -1", "BAD_NUMBER", [], b"DELE -1"),
    ("TOP with a word for lines", "BAD_LINES", [], b"TOP 1 all"),
    ("RETR of too high a number", "NO_SUCH_MESSAGE", [], b"RETR 9"),
    ("DELE of too high a number", "NO_SUCH_MESSAGE", [], b"DELE 18446744073709551615"),
    ("LIST of a marked message", "MARKED_ALREADY", [b"DELE 1"], b"LIST 1"),
    ("DELE twice", "MARKED_ALREADY", [b"DELE 2"], b"DELE 2"),
    ("LAST", "OBSOLETE", [], b"LAST"),
    ("a language that is not there", "LANGUAGE_UNKNOWN", [], b"LANG MUL"),
]


class Typed(ServerCase):
    users = ("anna", "bert", "empty")
    # So many connections a second are not all logged, but for who wants each.
    settings = {"limits": {"login_tries": 20}, "log": {"level": "debug"}}

    @classmethod
    def prepare(cls, server):
        for octets in (A, B):
            server.users["anna"].deliver(octets)
        server.write_passwd("root:%s:0:0::/root:" % server.users["anna"].record().split(":")[1], "locked:!:%d:%d::/:" % (2 * (server.users["anna"].uid,)))

    def say(self, client, first, line):
        for command in first:
            client.send(command + b"\r\n")
            self.assertRegex(client.status(), r"^\+")
        client.send(line + b"\r\n")
        return client.status()

    def test_before_login(self):
        for situation, row, first, line in BEFORE_LOGIN:
            with self.subTest(situation), self.client() as client:
                situations.check(self.server, row, situation, self.say(client, first, line))

    def test_after_login(self):
        for situation, row, first, line in AFTER_LOGIN:
            with self.subTest(situation):
                with self.login() as client:
                    situations.check(self.server, row, situation, self.say(client, first, line))

    def test_empty_mailbox(self):
        situations.check(self.server, "NO_MESSAGES", "RETR 1 of an empty mailbox", self.login("empty").cmd("RETR 1"))

    def test_too_many(self):
        client = self.client()
        said = [client.cmd("XYZZY") for _ in range(3)]
        situations.check(self.server, "TOO_MANY_BAD", "three words of no protocol", said[-1])

    def test_endless_line(self):
        client = self.client()
        client.send(b"x" * 100000)
        situations.check(self.server, "TOO_MANY_BAD", "a line that never ends", client.status())

    def test_tls_on_plain(self):
        client = self.client()
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        situations.check(self.server, "TLS_ON_PLAIN", "a TLS hello on the plain port", client.status())
        client.end()

    def test_proxy_header(self):
        client = self.client()
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12))
        situations.check(self.server, "PROXY", "a PROXY header, version 2", client.status())

    def test_plain_on_tls(self):
        client = self.client(port=self.server.pop3s_port, greeting=False)
        client.send(b"CAPA\r\n")
        situations.check(self.server, "PLAIN_ON_TLS", "plain text on the TLS port", client.status())
        client.end()

    def test_tls_twice(self):
        client = self.client(tls=True)
        situations.check(self.server, "TLS_ALREADY", "STLS inside TLS", client.cmd("STLS"))

    def test_stls_pipelined(self):
        client = self.client()
        client.send(b"STLS\r\nUSER anna\r\n")
        situations.check(self.server, "TLS_PIPELINED", "a command behind STLS", client.status())


class Doors(ServerCase):
    def test_doors_are_counted(self):
        """One line at once, and none for the next; the sessions themselves are not in the log."""
        mark = self.server.mark()
        client = self.client(source="127.0.0.9")
        client.send(b"HELO x\r\n")
        client.rest()
        self.server.wait_for_log(r"wrong door: peer=127\.0\.0\.9 door=smtp times=1: SMTP commands", since=mark)
        for _ in range(3):
            client = self.client(source="127.0.0.9")
            client.send(b"HELO x\r\n")
            client.rest()
        other = self.client(source="127.0.0.8")
        other.send(b"HELO x\r\n")
        other.rest()
        self.server.wait_for_log(r"wrong door: peer=127\.0\.0\.8", since=mark)
        self.assertEqual(self.server.log()[mark:].count("peer=127.0.0.9"), 1)


class Login(unittest.TestCase):
    """Failures that take a server of their own."""

    def server(self, **options):
        server = Server(**{"users": ("anna", "bert"), **options})
        self.addCleanup(server.stop)
        return server

    def client(self, server, **options):
        client = Client(server, **options)
        self.addCleanup(client.close)
        return client

    def password(self, server, password="secret", user="anna", **options):
        client = self.client(server, **options)
        client.ok("USER " + user)
        return client.cmd("PASS " + password)

    def test_too_many_logins(self):
        server = self.server(settings={"limits": {"login_tries": 2}})
        client = self.client(server)
        for _ in range(2):
            client.ok("USER anna")
            client.err("PASS wrong")
        situations.check(server, "TOO_MANY_LOGINS", "a third login of two", client.cmd("USER anna"))

    @unittest.skipUnless(elsewhere(), "no address that is not loopback")
    def test_elsewhere(self):
        """What the network must not learn, and what it must do first."""
        server = Server(("anna",), {"tls": {"plaintext_login": "loopback"}, "auth": {"login_help": "see https://example.org/mail"}}, start=False)
        self.addCleanup(server.stop)
        server.listen_too(elsewhere())
        server.start()
        client = self.client(server, host=elsewhere())
        situations.check(server, "TLS_FIRST", "USER in clear", client.cmd("USER anna"), peer=elsewhere())
        situations.check(server, "TLS_FIRST_PASS", "PASS in clear", client.cmd("PASS secret"), peer=elsewhere())
        client.stls()
        for situation, user, password, tried in (("a wrong password from the network", "anna", "x", "wrong password"),
                                                 ("an unknown user from the network", "nosuch", "x", "no back end knows")):
            client.ok("USER " + user)
            line = client.cmd("PASS " + password)
            self.assertIn("(see https://example.org/mail) (ref ", line)
            situations.check(server, "NOT_ACCEPTED", situation, line, user=user, peer=elsewhere(), says=tried)

    def test_no_tls(self):
        server = self.server(settings={"tls": {"certificate": None, "key": None}, "listen": {"pop3s": ""}})
        situations.check(server, "TLS_NOT_OFFERED", "STLS without a certificate", self.client(server).cmd("STLS"))

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam(self):
        rows = (("pexpired", "ACCOUNT_EXPIRED", "ACCT_EXPIRED"), ("pnewtok", "PASSWORD_EXPIRED", "NEW_AUTHTOK_REQD"),
                ("pdenied", "ACCESS_DENIED", "PERM_DENIED"), ("ptries", "TRIES_EXCEEDED", "MAXTRIES"),
                ("pdown", "AUTH_TEMPORARY", "AUTHINFO_UNAVAIL"), ("pabort", "AUTH_TEMPORARY", "signal 6"),
                ("pexit", "AUTH_TEMPORARY", "exit status 0"), ("prename", "AUTH_TEMPORARY", "changed the user name"))
        server = PamServer([name for name, _, _ in rows], explain="always")
        self.addCleanup(server.stop)
        server.start()
        server.expect_trouble = True
        for user, row, says in rows:
            with self.subTest(user):
                situations.check(server, row, "PAM: " + says, server.answer(user), user=user, says=says)

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam_says(self):
        """A module's words reach the user once the password is proven, and not before; the log has them always."""
        said = "The key is under the mat."
        service = "auth optional pam_echo.so %s\nauth required %%s\naccount required %%s\n" % said
        from test_pam import build_module
        for explain in ("never", "always"):
            server = PamServer(["pexpired", "pgood"], service % (build_module(), build_module()), explain=explain)
            self.addCleanup(server.stop)
            server.start()
            line = server.answer("pexpired")
            self.assertIn(" (%s) (ref " % said, line)
            situations.check(server, "ACCOUNT_EXPIRED", "PAM's own words", line, says=said)
            line = server.answer("pgood", "wrong")
            self.assertNotIn("mat", line)
            situations.check(server, "NOT_ACCEPTED" if explain == "never" else "INVALID_PASSWORD", "PAM's own words, before the proof: " + explain,
                             line, says=said)

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam_setup(self):
        server = PamServer(["pgood"], "auth required pam_of_nobody.so\naccount required pam_of_nobody.so\n")
        self.addCleanup(server.stop)
        server.start()
        line = server.answer("pgood")
        row = "AUTH_SETUP" if "set up wrongly" in line else "AUTH_TEMPORARY"
        situations.check(server, row, "PAM: a module that is not there", line, says="PAM service postern-e2e")

    def test_passwd_file(self):
        server = self.server()
        os.chmod(server.passwd_file, 0o644)
        client = self.client(server)
        client.ok("USER anna")
        situations.check(server, "AUTH_SETUP", "a passwd file that everybody reads", client.cmd("PASS secret"), says="chmod o=")

    def hold(self, server, count):
        """So many connections that are served; the frame's own, by which it saw the server start, may still be going."""
        def served():
            client = self.client(server)
            if client.greeting.startswith("+OK"):
                return client
            client.close()
            return None
        return [wait_until(served, "a connection is served") for _ in range(count)]

    def test_source_full(self):
        server = self.server(settings={"limits": {"per_source": 2}})
        held = self.hold(server, 2)
        first = self.client(server, greeting=False).status()
        situations.check(server, "SOURCE_FULL", "more connections than per_source", first)
        del held

    def test_timeout(self):
        server = self.server(settings={"limits": {"login_seconds": 1}})
        situations.check(server, "LOGIN_TIMEOUT", "no login in time", self.client(server).status())

    def test_stopping(self):
        server = self.server()
        client = self.client(server)
        client.login("anna")
        server.terminate()
        line = client.status()
        situations.check(server, "STOPPING", "the server stops", line, user="anna")


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


class Whole(unittest.TestCase):
    """After the others (classes run in the order of their names)."""

    ELSEWHERE = {
        "BUSY": "test_waits.py", "BUSY_NAMED": "test_waits.py", "BUSY_DELIVERY": "test_waits.py", "KEPT_BUSY": "test_waits.py",
        "TAKEN_OVER": "test_waits.py", "LOCKED": "tests/unit/daemon/test_bell.c", "IDLE": "ten minutes at least: RFC 1939", "THROTTLED": "test_processes.py",
        "DROP_CHANGED": "tests/unit/storage: a file that is replaced again and again", "KEPT_MEMORY": "tests/unit/storage: no memory",
        "NO_MEMORY": "tests/unit/storage: no memory", "DISK_FULL": "tests/fault/test_full.py", "READ_ONLY": "tests/unit/storage",
        "UNFINISHED": "tests/fault/test_errors.py", "UTF8_NEEDED": "test_lang.py", "COMMAND_TIMEOUT": "test_waits.py",
        "SLOWED": "test_situations_floods.py", "CROWDED": "test_situations_floods.py", "MADE_ROOM": "test_situations_floods.py",
        "SERVER_FULL": "test_situations_floods.py",
    }

    def test_whole(self):
        rows = {row for row, _ in situations.seen}
        print("%d situations, %d of %d rows" % (len(situations.seen), len(rows), len(situations.table())), flush=True)
        self.assertGreaterEqual(len(situations.seen), 60)
        if not NO_PAM and elsewhere() and ROOT:
            self.assertEqual(set(situations.table()) - rows - set(self.ELSEWHERE), set())


if __name__ == "__main__":
    unittest.main()
