"""What other POP3 servers have got wrong: one row each, with the server that did and what it did.

Each row is a function of a logged-in client on a maildrop of five messages, unless it says otherwise.
"""
import os
import re
import unittest

import bodies
from postern import PREFIX, ROOT, Server, ServerCase
from processes import wait_until

FIVE = [bodies.message("message %d" % n, b"line\n" * n) for n in range(1, 6)]


def list_renumbers(client):
    client.ok("DELE 1")
    assert list(client.list()) == [2, 3, 4, 5], client.list()


def uidl_renumbers(client):
    before = client.uidl()
    client.ok("DELE 1")
    client.ok("DELE 4")
    assert client.uidl() == {n: before[n] for n in (2, 3, 5)}


def list_of_deleted(client):
    client.ok("DELE 2")
    client.err("LIST 2", "already marked")
    client.err("UIDL 2", "already marked")


def second_number_is_the_same_message(client):
    before = client.retr(3)
    client.ok("DELE 1")
    client.ok("DELE 2")
    assert client.retr(3) == before


def dele_zero(client):
    client.err("DELE 0")
    client.err("DELE -0")
    client.err("DELE 00")
    assert client.stat()[0] == 5


def counts_deleted(client):
    sizes = client.list()
    client.ok("DELE 5")
    assert client.stat() == (4, sum(sizes[n] for n in range(1, 5)))
    first = client.ok("LIST")
    client.lines()
    assert re.search(r"\b4\b", first), first


def all_deleted(client):
    for n in range(1, 6):
        client.ok("DELE %d" % n)
    assert client.stat() == (0, 0)
    assert client.list() == {} and client.uidl() == {}
    client.err("RETR 1", "already marked")
    client.err("RETR 6", "no such message: you asked for 6, the mailbox has 5")
    client.ok("RSET")


def two_replies_to_quit(client):
    client.ok("DELE 1")
    client.ok("RSET")
    client.send(b"QUIT\r\n")
    assert re.match(rb"\+OK [^\r\n]*\r\n$", client.rest())


def extra_blank_line(client):
    assert client.retr(1) == bodies.wire(FIVE[0])
    assert client.top(1, 99) == bodies.wire(FIVE[0])


def status_indicators(client):
    for command in ("RETR 99", "RETR x", "FOO", "DELE", "TOP 1", "AUTH X", "STAT 1", "LIST 0"):
        assert client.cmd(command).startswith("-ERR ")


def words_in_every_error(client):
    """Client.status() wants words behind each -ERR; these say which message is meant."""
    client.ok("DELE 3")
    assert "3" in client.err("RETR 3")
    assert "77" in client.err("RETR 77")
    assert client.err("RETR 3") != client.err("RETR 77")


def line_ends(client):
    """Client.raw_line() wants CRLF at the end of each line; no line may hold another CR or LF either."""
    client.send(b"CAPA\r\nLIST\r\nUIDL\r\nFOO\r\nRETR 9\r\nTOP 1 0\r\nSTLS\r\nQUIT\r\n")
    said = client.rest()
    assert said.count(b"\r\n") == said.count(b"\n") == said.count(b"\r"), said


def empty_line(client):
    client.err("")
    client.err(" ")
    client.ok("NOOP")


def colon_in_command(client):
    client.err("RETR: 1")
    client.err("USER:anna")
    client.ok("NOOP")


def dele_rset_dele(client):
    for _ in range(3):
        client.ok("DELE 2")
        client.ok("RSET")
        client.ok("DELE 2")
        client.err("DELE 2", "already marked")
        client.ok("RSET")


def rset_before_quit(client):
    client.ok("DELE 1")
    client.ok("RSET")
    client.quit()


def last(client):
    client.err("LAST")
    client.ok("RETR 1")
    client.body()


def noop_often(client):
    for _ in range(300):
        client.ok("NOOP")


def top_of_nothing(client):
    assert client.top(1, 0) == bodies.top(FIVE[0], 0)
    assert client.top(2, 1) == bodies.top(FIVE[1], 1)
    assert client.top(3, 4294967296) == bodies.wire(FIVE[2])
    assert client.top(3, 18446744073709551615) == bodies.wire(FIVE[2])


LOGGED_IN = [
    ("Courier: LIST renumbers after DELE", list_renumbers),
    ("Courier: UIDL renumbers after DELE", uidl_renumbers),
    ("Courier: a reply that ends in LF alone", line_ends),
    ("Courier: RETR and LIST mean different messages", second_number_is_the_same_message),
    ("WildDuck: LIST n answers for a deleted n", list_of_deleted),
    ("Stalwart: DELE 0 deletes message 1", dele_zero),
    ("Stalwart: LIST, UIDL, STAT count deleted messages", counts_deleted),
    ("qmail: STAT counts deleted messages", all_deleted),
    ("qmail: two replies to QUIT", two_replies_to_quit),
    ("qmail: a blank line too many", extra_blank_line),
    ("hMailServer: +ERR", status_indicators),
    ("popa3d: a bare -ERR", words_in_every_error),
    ("Dovecot: an empty line", empty_line),
    ("Dovecot: a colon in a command", colon_in_command),
    ("Dovecot: DELE, RSET, DELE", dele_rset_dele),
    ("vmime's RSET before QUIT", rset_before_quit),
    ("tcllib's LAST before RETR", last),
    ("many a NOOP", noop_often),
    ("TOP off by one", top_of_nothing),
]


class LoggedIn(ServerCase):
    @classmethod
    def prepare(cls, server):
        for octets in FIVE:
            server.users["anna"].deliver(octets)

    def test_rows(self):
        for label, row in LOGGED_IN:
            with self.subTest(label):
                with self.server.login() as client:
                    row(client)
                self.assertEqual(sorted(self.anna.stored().values()), sorted(FIVE))

    def test_mutt_reconnects_at_once(self):
        """The maildrop is free the moment QUIT is answered."""
        for _ in range(25):
            client = self.login()
            client.ok("QUIT")  # and no look at whether the server has closed yet

    def test_bare_auth_with_a_space(self):
        """hMailServer: "AUTH " without a mechanism is answered, and the session goes on."""
        for command in ("AUTH", "AUTH "):
            with self.subTest(command):
                client = self.client()
                client.ok(command)
                self.assertEqual(client.lines(), ["PLAIN"])
                client.login("anna")
                client.quit()

    def test_unknown_mechanism_is_not_begun(self):
        """MailKit met a server that says +OK to AUTH NTLM."""
        for mechanism in ("NTLM", "LOGIN", "CRAM-MD5", "PLAINX", "PLAI", "XOAUTH2 abcd"):
            with self.subTest(mechanism):
                client = self.client()
                client.err("AUTH " + mechanism)
                client.close()

    def test_always_a_last_line(self):
        """Dovecot closed without a word when its auth process restarted; nobody is left without a reason here."""
        for label, octets in (("bad commands", b"A\r\nB\r\nC\r\n"), ("HTTP", b"GET / HTTP/1.0\r\n\r\n"), ("STLS and more", b"STLS\r\nNOOP\r\n")):
            with self.subTest(label):
                client = self.client()
                client.send(octets)
                self.assertRegex(client.rest(), rb"(^|\n)-ERR [^\r\n]{9,}\r\n$")

    def test_user_is_neutral(self):
        """Stalwart and Cyrus call any name "a valid mailbox"."""
        client = self.client()
        self.assertNotRegex(client.ok("USER anna"), r"valid|anna|exists")
        client.quit()


class LockedNotTemporary(ServerCase):
    """Dovecot answers a lock with [SYS/TEMP], or not at all before its second timeout; its own lock grows stale with age."""

    def test_in_use(self):
        first = self.login()
        second = self.client()
        second.ok("USER anna")
        second.err("PASS secret", r"^-ERR \[IN-USE\] unable to lock mailbox")
        # Lock files as old as one likes: what counts is the session that lives.
        for path in (self.server.base / "locks").rglob("*"):
            os.utime(path, (1, 1), follow_symlinks=False)
        third = self.client()
        third.ok("USER anna")
        third.err("PASS secret", r"^-ERR \[IN-USE\]")
        first.ok("NOOP")
        first.quit()
        third.login("anna")
        third.quit()


class OpenedBeforeOk(ServerCase):
    """Dovecot says +OK to the password before it looks at the mailbox, so a failure comes as the answer to another command."""

    @unittest.skipUnless(ROOT, "needs root: the maildrop must be another's")
    def test_broken_maildrop(self):
        maildir = self.anna.maildir
        os.chown(maildir, 0, 0)
        os.chmod(maildir, 0o700)
        client = self.client()
        client.ok("USER anna")
        client.err("PASS secret", r"^-ERR \[SYS/(PERM|TEMP)\] .*mailbox")
        self.anna.own(maildir)
        client.close()
        with self.server.login() as again:
            again.quit()

    def test_quit_tells_the_truth(self):
        """Courier, Cyrus and WildDuck say +OK although nothing was removed; others do not say how many."""
        for octets in FIVE:
            self.anna.deliver(octets, folder="cur")
        client = self.login()
        client.ok("DELE 1")
        client.ok("DELE 2")
        os.chmod(self.anna.maildir / "cur", 0o500)
        try:
            client.err("QUIT", r"^-ERR \[SYS/(TEMP|PERM)\] some deleted messages not removed.*2 of 2")
            client.end()
        finally:
            os.chmod(self.anna.maildir / "cur", 0o700)
        self.assertEqual(len(self.anna.stored()), 5)
        self.server.wait_for_log(r"(?i)permission denied")


class Huge(ServerCase):
    """Stalwart counts octets in 32 bits."""

    @classmethod
    def prepare(cls, server):
        anna = server.users["anna"]
        with open(anna.deliver(bodies.message("huge")), "r+b") as f:
            f.truncate(4300000000)
        anna.deliver(bodies.message("small"))

    @unittest.skipIf(PREFIX, "too slow under " + " ".join(PREFIX))
    def test_more_than_4_gib(self):
        client = self.client()
        client.sock.settimeout(90)  # four gigabytes are read to be counted
        client.login("anna")
        head = bodies.message("huge")
        size = len(bodies.wire(head)) + 4300000000 - len(head) + 2
        small = len(bodies.wire(bodies.message("small")))
        self.assertEqual(client.stat(), (2, size + small))
        self.assertEqual(client.list(), {1: size, 2: small})
        self.assertEqual(client.top(1, 3), bodies.top(head, 3))
        client.ok("DELE 1")
        self.assertEqual(client.stat(), (1, small))
        client.quit()


class Shutdown(unittest.TestCase):
    def test_last_line(self):
        """Stalwart says IMAP's "* BYE" when it is stopped, others nothing."""
        server = Server()
        try:
            client = server.login()
            waiting = server.client()
            server.terminate()
            for which in (client, waiting):
                self.assertRegex(which.rest(), rb"^-ERR \[SYS/TEMP\] [^\r\n]*(stop|restart)[^\r\n]*nothing was deleted[^\r\n]*\r\n$")
            wait_until(lambda: server.popen.poll() is not None, "the master ends")
        finally:
            server.stop()


if __name__ == "__main__":
    unittest.main()
