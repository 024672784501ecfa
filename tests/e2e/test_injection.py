"""What an attacker puts behind STLS in clear (CVE-2011-0411 and its heirs) is never carried out inside TLS: many ways to cut STLS
and what follows it, drawn at random from a seed that is printed; POSTERN_SEED repeats it. POSTERN_FAULT=full takes more of them.

Nobody sleeps: a piece is sent when the server has answered what came before, or at once.
"""
import os
import random
import unittest

import bodies
from client import Client, Closed, client_context
from postern import ServerCase
from run import FULL
from test_auth import plain
from test_tls import client_hello

SEED = int(os.environ.get("POSTERN_SEED", "0")) or random.randrange(1 << 30)
ROUNDS = 10000 if FULL else 1000

# label, octets behind STLS. A run of them would delete mail, log in, leave a name, a language or a mode, or end the session.
INJECTED = [
    ("a login and a deletion", b"USER anna\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"),
    ("a user's name", b"USER anna\r\n"),
    ("a name and half a password", b"USER anna\r\nPASS sec"),
    ("AUTH PLAIN", b"AUTH PLAIN " + plain("", "anna", "secret").encode() + b"\r\nDELE 1\r\nQUIT\r\n"),
    ("AUTH in two lines", b"AUTH PLAIN\r\n" + plain("", "anna", "secret").encode() + b"\r\n"),
    ("AUTH that waits", b"AUTH PLAIN\r\n"),
    ("QUIT", b"QUIT\r\n"),
    ("half a line", b"USER an"),
    ("one octet", b"C"),
    ("a line end", b"\r\n"),
    ("LF only", b"CAPA\nUSER anna\nPASS secret\nDELE 1\nQUIT\n"),
    ("a language and a mode", b"LANG de\r\nUTF8\r\n"),
    ("another STLS", b"STLS\r\nSTLS\r\n"),
    ("64 KiB", b"NOOP\r\n" * 10923),
    ("64 KiB in a line", b"X" * 65536),
    ("unknown commands", b"FOO\r\nBAR\r\nBAZ\r\n"),
    ("a TLS hello", None),
    ("a TLS hello and commands", None),
    ("commands and a TLS hello", None),
    ("NUL", b"\0" * 40 + b"\r\nQUIT\r\n"),
]
# Said before STLS, and answered: none of it may be known inside.
BEFORE = [b"", b"USER anna\r\n", b"UTF8\r\n", b"LANG de\r\n", b"CAPA\r\n", b"AUTH PLAIN\r\n*\r\n", b"FOO\r\n", b"USER anna\r\nLANG fr\r\nUTF8\r\n"]
STLS = [b"STLS\r\n", b"STLS\n", b"stls\r\n"]
ENDS = ("handshake", "handshake", "half close", "abort")


class Injection(ServerCase):
    settings = {"workers": {"spare_min": 3, "spare_max": 8}}

    @classmethod
    def prepare(cls, server):
        server.users["anna"].deliver(bodies.message())

    def setUp(self):
        super().setUp()
        self.context = client_context(self.server.certificate)
        hello, behind = client_hello(), INJECTED[0][1]
        self.injected = [(label, octets or {"a TLS hello": hello, "a TLS hello and commands": hello + behind}.get(label, behind + hello))
                         for label, octets in INJECTED]
        print("seed", SEED)

    def say_before(self, client, before):
        """One line after the other, each when the last was answered."""
        for line in before.splitlines(True):
            client.send(line)
            answer = client.raw_line()
            if line.startswith(b"CAPA") and answer.startswith(b"+OK"):
                client.body()

    def inside(self, client, what):
        """A session that knows nothing of what was said in clear: the first answer inside is to the first command inside."""
        client.charset = "utf-8"
        client.send(b"NOOP\r\n")
        answer = client.status()
        self.assertTrue(answer.isascii(), (what, answer))
        self.assertRegex(answer, r"^-ERR ", what)
        self.assertRegex(client.err("PASS secret"), "USER", what)
        capabilities = client.capa()
        self.assertNotIn("STLS", capabilities, what)
        self.assertIn("USER", capabilities, what)
        client.login("anna")
        self.assertEqual(client.stat()[0], 1, what)
        client.quit()

    def one(self, dice):
        """One way; what became of it."""
        label, injected = dice.choice(self.injected)
        before, stls, end = dice.choice(BEFORE), dice.choice(STLS), dice.choice(ENDS)
        octets = stls + injected
        # Cut near STLS and anywhere; where a cut is, the answer to STLS may be awaited, so that what follows arrives behind it.
        waits = dice.random() < 0.6
        places = sorted(set(dice.choices(range(1, min(len(octets), 12)), k=dice.randrange(3)) + dice.choices(range(1, len(octets)), k=dice.randrange(4)) +
                            waits * [len(stls)]))
        what = "seed %d: %s, before %r, %r, cut at %s, %s, %s" % (SEED, label, before, stls, places, "waits" if waits else "at once", end)
        client = Client(self.server, context=self.context)
        try:
            return self.talk(client, octets, places, (before, stls, end, waits), what)
        finally:
            client.close()

    def talk(self, client, octets, places, how, what):
        before, stls, end, waits = how
        self.say_before(client, before)
        answered = b""
        try:
            for start, stop in zip([0] + places, places + [len(octets)]):
                client.sock.sendall(octets[start:stop])
                if waits and stop >= len(stls) and not answered:
                    answered = client.raw_line()
            if not answered:
                answered = client.raw_line()
        except (Closed, OSError):
            pass
        if answered:
            self.assertRegex(answered, rb"^(\+OK|-ERR) ", what)
        if answered.startswith(b"-ERR") or not answered:
            self.assertEqual(client.rest() if answered else b"", b"", what + ": more than one answer")
            return "refused"
        return self.ended(client, end, what)

    def ended(self, client, end, what):
        """+OK: from here on the server hears TLS only, and what was injected is no TLS, or a hello of somebody else's."""
        try:
            if end == "handshake":
                client.handshake()
            elif end == "half close":
                client.half_close()
            else:
                client.abort()
                return "aborted"
        except (OSError, AssertionError):
            return "broken"
        if end == "handshake" and client.sock.version() is None:
            return "broken"  # the server had closed: Python then begins no handshake, and does not say so
        if end == "handshake":
            self.inside(client, what)
            return "served"
        said = client.rest()
        self.assertNotRegex(said, rb"\+OK|-ERR", what)
        return "closed"

    def test_without_an_injection(self):
        """The same talk is served when nothing is injected, so that what the others show is not for want of a server."""
        for before in BEFORE:
            for stls in STLS:
                with self.subTest(before, stls=stls), Client(self.server, context=self.context) as client:
                    self.assertEqual(self.talk(client, stls, [], (before, stls, "handshake", True), (before, stls)), "served")

    def test_segmentations(self):
        dice, counts, mark = random.Random(SEED), {}, self.server.mark()
        for _ in range(ROUNDS):
            result = self.one(dice)
            counts[result] = counts.get(result, 0) + 1
        print("%d segmentations: %s" % (ROUNDS, counts))
        self.assertEqual(len(self.anna.stored()), 1)
        self.assertGreater(counts.get("refused", 0), 0)
        self.assertGreater(counts.get("broken", 0) and counts.get("closed", 0), 0)
        # No login but those that were said inside TLS.
        self.assertEqual(self.server.log()[mark:].count('session: user="anna" login=yes'), counts.get("served", 0))


if __name__ == "__main__":
    unittest.main()
