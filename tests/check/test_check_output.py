"""What postern check prints, writes and takes: arguments, the password, colours, escapes, JSON, the transcript, the exit status."""
import json
import os
import pty
import random
import re
import select
import signal
import stat
import subprocess
import termios
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from certificates import GOOD, authority, certificate, context
from checking import PASSWORD, CheckCase, command, run_check, run_raw
from peer import Peer, late, silence
from postern import run_directory
from processes import PATIENCE

USAGE, DATA, CANNOT_CREATE, IO = 64, 65, 73, 74
HOSTILE = "-ERR \x1b]0;owned\x07\x1b[2J\x9b31m\x00\x08\x7f\xe9 \"quoted\" back\\slash"


class Arguments(CheckCase):
    def test_help(self):
        done = run_raw("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("deletes nothing", done.stdout.decode())

    def test_wrong_usage(self):
        for arguments, says in (([], "wants a host"), (["a", "b"], "never an argument"), (["--port", "0", "h"], "a port is"), (["h:0"], "a port is"),
                                (["h:65536"], "a port is"), (["h:x"], "a port is"), (["--tls", "ssl", "h"], "--tls is auto"),
                                (["--timeout", "0", "h"], "a time is"), (["--total", "3601", "h"], "a time is"), (["--late", "-1", "h"], "a time is"),
                                (["@h"], "a user name has"), (["u" * 129 + "@h"], "a user name has"), (["a\nb@h"], "a user name has"),
                                (["a@"], "is no name of a host"), ([""], "is no name of a host"), (["a b"], "is no name of a host"), (["h\x1b[2J"], "no control"),
                                (["[::1"], "in brackets"), (["[::1]x"], "in brackets"), (["x" * 254], "is no name of a host"),
                                (["--bogus", "h"], "usage: postern check")):
            with self.subTest(arguments):
                done = run_raw(*arguments)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(says, done.stderr.decode())
                self.assertNotIn(b"\x1b", done.stderr)

    def test_files(self):
        bad = run_directory() / "no.pem"
        bad.write_text("no certificate\n")
        for arguments, status, says in ((["--ca-file", str(bad)], DATA, "has to hold certificates"), (["--ca-file", "/nonexistent"], DATA, "No such file"),
                                        (["--transcript", "/nonexistent/x"], CANNOT_CREATE, "No such file")):
            with self.subTest(arguments):
                done = run_raw(*arguments, "127.0.0.1:1")
                self.assertEqual(done.returncode, status)
                self.assertIn(says, done.stderr.decode())

    def test_passwords(self):
        """One that cannot be sent is refused before anything is."""
        for password, says in (("", "empty"), ("p" * 513, "longer"), ("a\rUSER root", "line end"), ("a\0b", "NUL"), (None, "empty")):
            with self.subTest(password):
                peer = self.peer()
                done = run_raw("ann@127.0.0.1:%d" % peer.port, password=password)
                self.assertEqual(done.returncode, DATA)
                self.assertIn(says, done.stderr.decode())
                self.assertFalse({"USER", "PASS"} & set(peer.commands()))

    def test_full_disk(self):
        peer = self.peer()
        with open("/dev/full", "w") as full:
            done = subprocess.run(command("127.0.0.1:%d" % peer.port), stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, IO)


class Shown(CheckCase):
    def test_text(self):
        peer = self.peer({"greeting": "+OK Dovecot ready.", "PASS": "-ERR [AUTH] Authentication failed."})
        done = run_raw("ann@127.0.0.1:%d" % peer.port)
        text = done.stdout.decode("ascii")
        self.assertEqual(done.returncode, 5)
        for words in ("Verdict: the account (likely)", "Next: ", "PASS ******** -> -ERR [AUTH] Authentication failed.", "The server seems to be Dovecot",
                      "Or: The server does not accept the password."):
            self.assertIn(words, text)
        self.assertEqual(done.stderr, b"")
        self.assertNotIn(PASSWORD, text)

    def test_settings(self):
        peer = self.peer(context=context(certificate(**GOOD)))
        text = run_raw("--ca-file", authority(), "ann@127.0.0.1:%d" % peer.port).stdout.decode("ascii")
        self.assertRegex(text, r"Settings that work\n  Type +POP3\n  Server +127\.0\.0\.1\n  Port +%d\n  Security +STARTTLS\n"
                               r"  User name +ann\n  Login +normal password\n\Z" % peer.port)
        self.assertIn("Verdict: nothing is wrong", text)

    def test_hostile_octets(self):
        """At every place where the server may speak: nothing of it reaches the terminal, the JSON or the transcript as it is."""
        places = ("greeting", "CAPA", "STLS", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "TOP", "NOOP", "RSET", "QUIT")
        replies = (HOSTILE, "+OK" + HOSTILE[4:], HOSTILE[5:], ["+OK", HOSTILE[5:], "1 " + HOSTILE[5:]])
        rows = [(place, reply, option) for place in places for reply, option in zip(replies, ("--json", "-4", "--json", "-4"))]
        peers = [self.peer({place: reply}) for place, reply, _ in rows]

        def run(number):
            transcript = run_directory() / ("hostile-%d" % number)
            done = run_raw("--timeout", "1", "--transcript", str(transcript), rows[number][2], "ann@127.0.0.1:%d" % peers[number].port)
            return done.returncode, done.stdout, done.stderr, transcript.read_bytes()
        # Most of them only wait.
        with ThreadPoolExecutor(8) as pool:
            for row, (status, *texts) in zip(rows, pool.map(run, range(len(rows)))):
                with self.subTest(row):
                    self.assertIn(status, range(8))
                    for octets in texts:
                        self.assertRegex(octets, rb"\A[\n\x20-\x7e]*\Z")

    def test_random_octets(self):
        """Noise, and answers cut anywhere: an end in time, no crash, nothing raw. The seed names the run."""
        verbs = ("greeting", "CAPA", "STLS", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "TOP", "NOOP", "RSET", "QUIT")
        seeds = range(32)

        def noise(dice):
            pieces = [b"+OK", b"-ERR", b"+ ", b" ", b"\r\n", b"\n", b".", b"1 ", b"2 34", b"[AUTH]", b"[", b"\0", b"STLS", b"USER",
                      dice.randbytes(dice.randrange(40)), b"9" * dice.randrange(30), b"x" * dice.randrange(9000)]
            return b"".join(dice.choices(pieces, k=dice.randrange(1, 30))) + dice.choice([b"", b"\r\n", b"\r\n.\r\n"])

        def run(seed):
            dice = random.Random(seed)
            broken = dice.sample(verbs, dice.randrange(1, 4))
            peer = Peer({verb: noise(dice) for verb in broken})
            with peer:
                done = run_raw("--timeout", "1", "--total", "10", "--json", "ann@127.0.0.1:%d" % peer.port)
            return done, peer.commands()
        with ThreadPoolExecutor(8) as pool:
            for seed, (done, heard) in zip(seeds, pool.map(run, seeds)):
                with self.subTest(seed=seed):
                    self.assertIn(done.returncode, range(8), done.stderr)
                    self.assertRegex(done.stdout + done.stderr, rb"\A[\n\x20-\x7e]*\Z")
                    self.assertIsInstance(json.loads(done.stdout), dict)
                    self.assertNotIn("DELE", heard)
                    self.assertLessEqual(heard.count("PASS"), 1)

    def test_hostile_certificate(self):
        pair = certificate("hostile", hosts=("evil\x1b[2J.example",), addresses=())
        peer = self.peer(context=context(pair), implicit=True)
        for options in ((), ("--json",)):
            done = run_raw(*options, "--tls", "implicit", "--ca-file", authority(), "127.0.0.1:%d" % peer.port, password=None)
            self.assertIn(b"\\x1b[2J", done.stdout.replace(b"\\\\", b"\\"))
            self.assertNotIn(b"\x1b", done.stdout)

    def test_password_is_masked(self):
        """A server that says the password back."""
        transcript = run_directory() / "masked"
        for options in ((), ("--json",)):
            peer = self.peer({"PASS": "-ERR no, %s is not it" % PASSWORD})
            done = run_raw("--transcript", str(transcript), *options, "ann@127.0.0.1:%d" % peer.port)
            for text in (done.stdout.decode(), done.stderr.decode(), transcript.read_text()):
                self.assertNotIn(PASSWORD, text)
            self.assertIn("******** is not it", done.stdout.decode())
        response = "AGFubgBUcjB1YjRkb3ImMw=="
        peer = self.peer({"CAPA": ["+OK", "SASL PLAIN"], "AUTH": lambda session: (session.send("+ \r\n"), session.line(), "-ERR %s" % response)[2]})
        done = run_raw("--transcript", str(transcript), "ann@127.0.0.1:%d" % peer.port)
        self.assertNotIn(response, done.stdout.decode() + transcript.read_text())
        self.assertIn((False, response), peer.heard)


class Transcript(CheckCase):
    def test_transcript(self):
        path = run_directory() / "transcript"
        path.unlink(missing_ok=True)
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        peer = self.peer(context=context(certificate(**GOOD)))
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--transcript", str(path)), "fine", count=False)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        text = path.read_text()
        for line in ("* connecting to 127.0.0.1 port %d" % peer.port, "S: +OK welcome", "C: STLS", "C: USER ann", "C: PASS ********", "C: RETR 1",
                     "* 23 octets of mail, which are not shown", "C: QUIT"):
            self.assertIn(line + "\n", text)
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn("Subject", text)
        # What was sent is what is written down, but for the password.
        sent = [line[3:] for line in text.split("\n") if line.startswith("C: ")]
        heard = ["PASS ********" if line.startswith("PASS ") else line for _, line in peer.heard]
        self.assertEqual(sent, heard)


class Terminal(CheckCase):
    """postern check on a terminal of its own."""

    def on_terminal(self, *arguments, typed=None, environment=None, stop=None):
        master, slave = pty.openpty()
        child = subprocess.Popen(command(*arguments), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                 env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **(environment or {})})
        seen, deadline, echo = b"", time.monotonic() + 30 * PATIENCE, None
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.05)[0]:
                seen += os.read(master, 65536)
            elif child.poll() is not None:
                break
            if typed is not None and b"Password for" in seen:
                echo = termios.tcgetattr(slave)[3] & termios.ECHO
                os.write(master, typed.encode() + b"\n")
                typed = None
            if stop is not None and stop in seen:
                child.send_signal(signal.SIGINT)
                stop = None
        os.close(slave)
        os.close(master)
        self.assertIsNotNone(child.poll(), seen)
        return child.returncode, seen.decode("latin-1"), echo

    def test_colour(self):
        peer = self.peer()
        for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            with self.subTest(environment):
                status, seen, _ = self.on_terminal("127.0.0.1:%d" % peer.port, environment=environment)
                self.assertEqual(status, 0)
                self.assertEqual("\x1b[32mok" in seen, coloured, seen)
                self.assertEqual("\x1b[0m" in seen, coloured, seen)

    def test_password_without_echo(self):
        peer = self.peer()
        status, seen, echo = self.on_terminal("ann@127.0.0.1:%d" % peer.port, typed=PASSWORD)
        self.assertEqual((status, echo), (0, 0), seen)
        self.assertIn("Password for ann: ", seen)
        self.assertNotIn(PASSWORD, seen)
        self.assertIn((False, "PASS " + PASSWORD), peer.heard)

    def test_progress(self):
        peer = self.peer({"greeting": late(1.5, "+OK")})
        status, seen, _ = self.on_terminal("127.0.0.1:%d" % peer.port)
        self.assertEqual(status, 0, seen)
        self.assertRegex(seen, r"127\.0\.0\.1: 127\.0\.0\.1 port \d+, waiting \d s")
        self.assertTrue(re.search(r"waiting \d s\r\x1b\[K(?!.*waiting)", seen, re.S), "the line is cleared: %r" % seen)
        done = run_raw("127.0.0.1:%d" % peer.port, password=None)
        self.assertEqual(done.stderr, b"", "no progress where it would be kept")

    def test_interrupt(self):
        peer = self.peer({"greeting": silence})
        status, seen, _ = self.on_terminal("127.0.0.1:%d" % peer.port, stop=b"waiting")
        self.assertEqual(status, -signal.SIGINT, seen)


if __name__ == "__main__":
    unittest.main()
