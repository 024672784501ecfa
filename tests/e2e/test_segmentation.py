"""The answers do not depend on how the octets were cut on their way: transcripts sent whole, octet by octet and at every
split; what is pipelined is done exactly once; what was not finished is not done at all.
"""
import re
import unittest

import bodies
from postern import ServerCase

THREE = [bodies.message("message %d" % n, b"line\n" * n) for n in range(1, 4)]

# label, octets, how many of its splits to try (1: every one).
TRANSCRIPTS = [
    ("a whole session", b"USER anna\r\nPASS secret\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nLIST\r\nRSET\r\nNOOP\r\nQUIT\r\n", 1),
    ("before the login", b"CAPA\r\nNOOP\r\nSTAT\r\nUSER anna\r\nCAPA\r\nQUIT\r\n", 1),
    ("AUTH with initial response", b"AUTH PLAIN AGFubmEAc2VjcmV0\r\nSTAT\r\nQUIT\r\n", 1),
    ("AUTH with continuation", b"AUTH PLAIN\r\nAGFubmEAc2VjcmV0\r\nSTAT\r\nQUIT\r\n", 1),
    ("AUTH cancelled", b"AUTH PLAIN\r\n*\r\nUSER anna\r\nPASS secret\r\nSTAT\r\nQUIT\r\n", 1),
    ("errors", b"USER anna\r\nPASS secret\r\nRETR 9\r\nDELE 0\r\nFOO\r\n\r\nTOP 1\r\nLIST x\r\nRETR 1\r\nQUIT\r\n", 1),
    ("line ends of all kinds", b"USER anna\nPASS secret\r\nSTAT\nNOOP\r\r\nLIST\n\r\nSTAT \r\nQUIT\n", 1),
    ("NUL", b"USER anna\r\nPASS secret\r\nNO\0OP\r\n\0\r\nNOOP\0\r\nSTAT\r\nQUIT\r\n", 1),
    ("an overlong line", b"USER anna\r\nPASS secret\r\n" + b"X" * 600 + b"\r\nSTAT\r\n" + b"Y" * 260 + b"\r\nQUIT\r\n", 7),
    ("too many bad ones", b"FOO\r\nBAR\r\nBAZ\r\nUSER anna\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n", 3),
    ("a wrong password", b"USER anna\r\nPASS wrong\r\nUSER anna\r\nPASS secret\r\nSTAT\r\nQUIT\r\n", 20),
    ("no final line end", b"USER anna\r\nPASS secret\r\nDELE 1\r\nQUIT", 5),
]


class Segmentation(ServerCase):
    @classmethod
    def prepare(cls, server):
        for octets in THREE:
            server.users["anna"].deliver(octets)

    def talk(self, send):
        """Everything the server says; the part that differs from session to session is made the same."""
        client = self.client(greeting=False)
        try:
            send(client)
            client.half_close()
        except OSError:
            pass  # it has closed already
        said = client.rest()
        client.close()
        return re.sub(rb"\(ref [^)]*\)", b"(ref)", said)

    def test_same_answers_however_it_is_cut(self):
        for label, octets, step in TRANSCRIPTS:
            with self.subTest(label):
                whole = self.talk(lambda client: client.send(octets))
                self.assertRegex(whole, rb"^\+OK .*\r\n")
                self.assertEqual(self.talk(lambda client: client.send_single(octets)), whole, "octet by octet")
                for place in range(1, len(octets), step):
                    said = self.talk(lambda client: client.send_cut(octets, [place]))
                    self.assertEqual(said, whole, "cut at %d: %r | %r" % (place, octets[:place][-20:], octets[place:][:20]))
        self.assertEqual(len(self.anna.stored()), 3)


class OnceOnly(ServerCase):
    def test_pipelined_behind_the_login(self):
        """What is sent with PASS or AUTH in one go is done once: not lost, not twice."""
        for login in (b"USER anna\r\nPASS secret\r\n", b"AUTH PLAIN AGFubmEAc2VjcmV0\r\n", b"AUTH PLAIN\r\nAGFubmEAc2VjcmV0\r\n"):
            octets = login + b"DELE 1\r\nQUIT\r\n"
            for place in [0] + list(range(len(login) - 6, len(octets))):
                with self.subTest(login, place=place):
                    self.anna.empty()
                    self.anna.deliver(bodies.message("goes"))
                    self.anna.deliver(bodies.message("stays"))
                    client = self.client()
                    client.send_cut(octets, [place] if place else [])
                    said = client.rest()
                    self.assertEqual(said.count(b"\r\n"), octets.count(b"\r\n"), said)
                    self.assertNotIn(b"-ERR", said)
                    self.assertEqual([bodies.subjects(octets) for octets in self.anna.stored().values()], [[b"stays"]])

    def test_pipelined_retrieval(self):
        """As mpop, camel and emacs do: many RETR and DELE without waiting."""
        self.anna.empty()
        stored = [bodies.message("pipelined %d" % n, b"x" * 50 * n + b"\n") for n in range(40)]
        for octets in stored:
            self.anna.deliver(octets)
        client = self.login()
        client.send(b"".join(b"RETR %d\r\nDELE %d\r\n" % (n, n) for n in range(1, 41)) + b"QUIT\r\n")
        for octets in stored:
            self.assertRegex(client.status(), r"^\+OK")
            self.assertEqual(client.body(), bodies.wire(octets))
            self.assertRegex(client.status(), r"^\+OK")
        self.assertRegex(client.status(), r"^\+OK")
        client.end()
        self.assertEqual(self.anna.stored(), {})


class Unfinished(ServerCase):
    """Only a complete QUIT deletes; a client may go away at any point without harm."""

    @classmethod
    def prepare(cls, server):
        for octets in THREE[:2]:
            server.users["anna"].deliver(octets)
        server.users["anna"].deliver(bodies.message("big", b"x" * 99 + b"\n" + b"y" * 600000 + b"\n"))

    def test_no_deletion_without_a_whole_quit(self):
        for label, octets in (("nothing", b""), ("Q", b"Q"), ("QUI", b"QUI"), ("QUIT without line end", b"QUIT"), ("QUIT CR", b"QUIT\r"),
                              ("QUIT of another", b"XQUIT\r\n"), ("QUIT in an overlong line", b"X" * 300 + b"QUIT")):
            for goodbye in ("close", "abort", "half_close"):
                with self.subTest(label, goodbye=goodbye):
                    client = self.login()
                    client.ok("DELE 1")
                    client.ok("DELE 2")
                    client.send(octets)
                    getattr(client, goodbye)()
                    if goodbye == "half_close":
                        client.rest()
                        client.close()
                    # The lock is free again: that session is over.
                    with self.server.login() as again:
                        self.assertEqual(again.stat()[0], 3)
                        again.quit()

    def test_disconnect_in_every_answer(self):
        """The client reads so many octets of an answer and is gone; the next session finds all as it was."""
        for command, most in ((b"LIST\r\n", 30), (b"UIDL\r\n", 30), (b"RETR 1\r\n", 30), (b"CAPA\r\n", 30), (b"RETR 3\r\n", 300000)):
            for octets in (1, 2, 10, most):
                for goodbye in ("close", "abort"):
                    with self.subTest(command, octets=octets, goodbye=goodbye):
                        client = self.login()
                        client.ok("DELE 2")
                        client.send(command)
                        while len(client.buffer) < octets and client.receive():
                            pass
                        getattr(client, goodbye)()
        client = self.login()
        self.assertEqual(client.stat()[0], 3)
        client.quit()


if __name__ == "__main__":
    unittest.main()
