"""The log: one line for each session's end with what it did and how it ended, one at once for each failed login."""
import re
import unittest

import bodies
from postern import ServerCase

NUMBERS = ("fetched", "octets", "deleted", "left")


def session_lines(log):
    """The fields of each line about a session's end; every line must have them all."""
    lines = []
    for text in re.findall(r"session: (user=.*)", log):
        fields = {name: quoted or plain for name, quoted, plain in re.findall(r'([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))', text)}
        assert {"peer", "tls", "seconds", "end", *NUMBERS} <= set(fields), text
        assert all(fields[name].isdigit() for name in NUMBERS) and float(fields["seconds"]) >= 0, text
        lines.append({"user": "", **fields})
    return lines


class SessionLines(ServerCase):
    users = ("anna", "bert")
    settings = {"limits": {"login_seconds": 2}}
    peers = 0

    def setUp(self):
        super().setUp()
        self.anna.empty()
        for n in range(5):
            self.anna.deliver(bodies.message("m%d" % n))
        self.next_peer()

    def next_peer(self):
        """From now on connections come from an address of their own, so that their lines can be told from earlier ones."""
        SessionLines.peers += 1
        self.peer = "127.0.1.%d" % SessionLines.peers

    def client(self, **options):
        return super().client(source=self.peer, **options)

    def line(self):
        """The fields of the line of that peer's session."""
        self.server.wait_for_log(r"session: .*peer=%s " % re.escape(self.peer))
        return next(fields for fields in session_lines(self.server.log()) if fields["peer"] == self.peer)

    def check(self, **want):
        fields = self.line()
        for name, value in want.items():
            if hasattr(value, "search"):
                self.assertRegex(fields[name], value, fields)
            else:
                self.assertEqual(fields[name], value, fields)

    def test_quit(self):
        client = self.login()
        size = len(client.retr(1)) + len(client.retr(2))
        client.ok("DELE 1")
        client.ok("DELE 2")
        client.ok("DELE 3")
        client.quit()
        self.check(user="anna", peer=self.peer, tls="none", fetched="2", octets=str(size), deleted="3", left="2", end="quit")

    def test_tls(self):
        for tls in (True, False):
            self.next_peer()
            client = self.client(tls=tls)
            client = client if tls else client.stls()
            client.login("anna")
            client.quit()
            self.check(tls=re.compile(r"^TLSv1\.[23]$"), deleted="0", left="5")

    def test_ends(self):
        """How it ended: each way has its own words."""
        def bad(client):
            client.send(b"FOO\r\n" * 20)
            client.rest()

        seen = set()
        for label, end in (("QUIT", lambda c: c.quit()), ("close", lambda c: c.close()), ("bad commands", bad)):
            with self.subTest(label):
                self.next_peer()
                client = self.login()
                client.ok("DELE 1")
                client.ok("DELE 2") if label != "QUIT" else client.ok("RSET")
                end(client)
                fields = self.line()
                self.assertEqual((fields["deleted"], fields["left"]), ("0", "5"))
                seen.add(fields["end"])
        self.assertEqual(len(seen), 3, seen)

    def test_no_login_in_time(self):
        client = self.client()
        client.ok("USER anna")
        self.assertRegex(client.rest(), rb"^-ERR [^\r\n]*2 seconds[^\r\n]*\r\n$")
        self.check(end=re.compile("login"))

    def test_slow_typing_does_not_stretch_it(self):
        """The time to log in counts from the connection, whatever comes in meanwhile."""
        client = self.client()
        while client.cmd("CAPA").startswith("+OK"):
            client.lines()
        client.end()
        self.check(end=re.compile("login"))

    def test_failed_login(self):
        client = self.client()
        client.ok("USER anna")
        client.err("PASS x")
        self.server.wait_for_log(r'login failed: user="anna" peer=%s .*reason="wrong password"' % self.peer)
        client.err("USER nosuch")
        self.server.wait_for_log(r'login failed: user="nosuch" peer=%s .*reason="unknown user"' % self.peer)
        client.close()

    def test_in_use_is_logged(self):
        first = self.login()
        client = self.client()
        client.ok("USER anna")
        client.err("PASS secret", "IN-USE")
        self.server.wait_for_log(r'login failed: user="anna" peer=%s .*locked' % self.peer)
        client.close()
        first.quit()

    def test_one_line_a_session(self):
        for _ in range(10):
            client = self.login("bert")
            client.quit()
        self.server.wait_for_log(r'(?s)(session: user="bert" [^\n]*peer=%s .*){10}' % self.peer)
        self.assertEqual([f["user"] for f in session_lines(self.server.log()) if f["peer"] == self.peer], ["bert"] * 10)


if __name__ == "__main__":
    unittest.main()
