"""The log: one line for each session's end with what it did and how it ended, one at once for each failed login."""
import re
import unittest

import bodies
from client import Closed
from postern import ServerCase

LINE = re.compile(r'session: user=(?P<user>"(?:[^"\\]|\\.)*") peer=(?P<peer>\S+) tls=(?P<tls>\S+) fetched=(?P<fetched>\d+) '
                  r'octets=(?P<octets>\d+) deleted=(?P<deleted>\d+) left=(?P<left>\d+) .*seconds=(?P<seconds>[\d.]+) end="(?P<end>[^"]*)"')


class SessionLines(ServerCase):
    users = ("anna", "bert")
    settings = {"limits": {"login_seconds": 2}}

    def setUp(self):
        super().setUp()
        self.anna.empty()
        for n in range(5):
            self.anna.deliver(bodies.message("m%d" % n))
        self.since = self.server.mark()

    def line(self):
        """The fields of the next session's line."""
        self.server.wait_for_log(LINE.pattern, since=self.since)
        return LINE.search(self.server.log()[self.since:]).groupdict()

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
        self.check(user='"anna"', peer="127.0.0.1", tls="none", fetched="2", octets=str(size), deleted="3", left="2", end="quit")

    def test_tls(self):
        for tls in (True, False):
            self.since = self.server.mark()
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
                self.since = self.server.mark()
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
        with self.assertRaises((Closed, OSError)):
            while True:
                client.ok("CAPA")
                client.lines()
        self.check(end=re.compile("login"))

    def test_failed_login(self):
        client = self.client()
        client.ok("USER anna")
        client.err("PASS x")
        self.server.wait_for_log(r'login failed: user="anna" peer=127\.0\.0\.1 .*reason="wrong password"', since=self.since)
        client.err("USER nosuch")
        self.server.wait_for_log(r'login failed: user="nosuch" peer=127\.0\.0\.1 .*reason="unknown user"', since=self.since)
        client.close()

    def test_in_use_is_logged(self):
        first = self.login()
        client = self.client()
        client.ok("USER anna")
        client.err("PASS secret", "IN-USE")
        self.server.wait_for_log(r'login failed: user="anna" .*locked', since=self.since)
        client.close()
        first.quit()

    def test_one_line_a_session(self):
        for _ in range(10):
            client = self.login("bert")
            client.quit()
        self.server.wait_for_log(r'(?s)(session: user="bert".*){10}', since=self.since)
        self.assertEqual(len(LINE.findall(self.server.log()[self.since:])), 10)


if __name__ == "__main__":
    unittest.main()
