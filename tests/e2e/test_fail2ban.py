"""fail2ban's filter and jail, as shipped, over what the real server logs: the address that is banned is the one that guessed.

The server writes to /dev/log or to the journal's socket, where log_daemon.py listens and makes a file of it, in rsyslog's form and in
that of fail2ban's systemd backend. POSTERN_FUZZ=full tries 10,000 names instead of some hundred; POSTERN_SEED=N those of another run.
"""
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from client import Client, reference
from log_daemon import LogDaemon
from postern import ROOT, Server, need_mounts
from processes import PATIENCE, wait_until
from test_auth import plain

FILTER = Path(__file__).resolve().parent.parent.parent / "systemd" / "fail2ban" / "filter.d" / "postern.conf"
SEED = int(os.environ.get("POSTERN_SEED") or time.time())
NAMES = 10000 if os.environ.get("POSTERN_FUZZ") == "full" else 300
CLIENTS, TRIES = 25, 100
VICTIM = "192.0.2.1"
# What a name would have to hold to be taken for the rest of the line, whole or in pieces.
PIECES = ['"', "'", " ", "peer=" + VICTIM, 'user="x"', "x\" peer=%s tls=none reason=\"wrong password\" reply=NOT_ACCEPTED ref=AAAAA" % VICTIM,
          "\x1b[2J", "\\", "\\x22", "\\\"", "=", "%s%n", "<HOST>", "\t", "ä", "日本", "keeper: login failed: ", "rip=" + VICTIM,
          "postern[1]: keeper: login failed: user=\"y\" peer=" + VICTIM, "not asked again", "(", ")", "[", "]", "$", "^", "::1", VICTIM, "\x7f", "\x01",
          "\n", "\r\n", "\nNov 24 12:00:00 host postern[1]: keeper: login failed: user=\"z\" peer=%s tls=none reason=\"wrong password\"" % VICTIM]

SKIP = None if shutil.which("fail2ban-regex") else "no fail2ban here"
if not ROOT:
    SKIP = "needs root: another /dev/log"


def fuzzed_name(dice):
    # What is longer is refused before a login, and so is a NUL.
    return "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 4))).encode()[:120].decode("utf-8", "ignore")


def matched(log, mode="normal"):
    """The addresses that fail2ban's own tool finds in that file, one for each line that counts, in order."""
    done = subprocess.run(["fail2ban-regex", "-o", "ip", str(log), "%s[mode=%s]" % (FILTER, mode)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert b"ERROR" not in done.stderr and b"Traceback" not in done.stderr, done.stderr.decode()
    return done.stdout.decode().split()


@unittest.skipIf(SKIP, SKIP)
class Fail2ban(unittest.TestCase):
    seconds = int((1200 if NAMES > 1000 else 120) * PATIENCE)

    def serve(self, target, **limits):
        need_mounts()
        # With "debug" each failure is a line, beyond ten a second, too.
        server = Server(("anna",), {"log": {"target": target, "level": "debug"}, "workers": {"max": 100},
                                    "limits": {"login_tries": TRIES, "per_source": 100, **limits}}, start=False)
        self.addCleanup(server.stop)
        daemon = LogDaemon(server.base, target)
        server.setup = daemon.setup()
        daemon.start()
        server.start()
        return server, daemon

    def guess(self, server, source, pairs, told):
        """Log in with each (name, password), which fails; `told` gets reference: source."""
        for first in range(0, len(pairs), TRIES - 1):  # the last of all tries has another answer
            with Client(server, source=source) as client:
                for name, password in pairs[first:first + TRIES - 1]:
                    line = client.cmd("AUTH PLAIN " + plain("", name, password))
                    self.assertTrue(line.startswith("-ERR"), line)
                    if reference(line):
                        told[reference(line)] = source

    def fuzz(self, target, names):
        server, daemon = self.serve(target, free_failures=0, repeat_seconds=600)
        dice, told = random.Random(SEED), {}
        print("%s: %d names, seed %d" % (target, names, SEED), flush=True)
        # Names may be equal, and all clients are one source to the master: no password comes twice.
        shares = [[(fuzzed_name(dice), "p%d-%d" % (i, n)) for n in range(names // CLIENTS)] for i in range(CLIENTS)]
        threads = [threading.Thread(target=self.guess, args=(server, "127.0.0.%d" % (10 + i), share, told)) for i, share in enumerate(shares)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(len(told), names * 9 // 10)

        def complete():
            """All lines, or the log says how many it did not take: a socket's queue is short. A session is no attack, and one more line."""
            with server.login() as client:
                client.quit()
            return len(daemon.failed()) + daemon.lost() >= len(told)
        wait_until(complete, lambda: "%d lines, %d here, %d lost" % (len(told), len(daemon.failed()), daemon.lost()))
        # Which address a line is about is known from its reference, which the client was told; it stands behind the name.
        want = [told[re.search(r'.*" reply=\w+ ref=(\w+) ', line).group(1)] for line in daemon.failed()]
        self.assertGreater(len(want), names // 2)
        self.assertEqual(matched(daemon.file), want)
        self.assertIn(VICTIM, daemon.file.read_text())

    def test_fuzzed_names_in_syslog(self):
        self.fuzz("syslog", NAMES)

    def test_fuzzed_names_in_the_journal(self):
        self.fuzz("journal", 100)

    def test_what_counts(self):
        """Lines by hand: what is an attack, and what is a user's phone or the server's trouble."""
        line = 'Nov 24 12:00:00 mailhost postern[1]: keeper: login failed: user="ann" peer=%s tls=none reason="%s" reply=X ref=7KQ2M%s\n'
        again = " (the same password was refused a while ago; not asked again (repeat_seconds))"
        rows = [("wrong password", "", True), ("wrong password", " (PAM service postern: AUTH_ERR (wrong password))", True), ("unknown user", "", True),
                ("empty password", "", True), ("slowed down", " (not verified: too many)", True), ("uid not allowed", "", True), ("account locked", "", True),
                ("wrong password", again, False), ("unknown user", again, False), ("account expired", "", False), ("too many tries", "", False),
                ("back end in trouble", "", False), ("maildrop locked by another session", "", False), ("maildrop not accessible", "", False)]
        peers = {"%s.%d" % (net, n): row for net in ("198.51.100", "2001:db8:") for n, row in enumerate(rows, 1)}
        peers = {peer.replace(":.", "::"): row for peer, row in peers.items()}
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            log.write_text("".join(line % (peer, reason, tail) for peer, (reason, tail, _) in peers.items()))
            self.assertEqual(matched(log), [peer for peer, (_, _, counts) in peers.items() if counts])
            log.write_text("".join("Nov 24 12:00:00 mailhost postern[1]: %s\n" % line for line in (
                "master: refused: peer=198.51.100.1 reason=SOURCE_FULL ref=7KQ2M (0 more since the last such line)",
                "master: refused: peer=198.51.100.2 reason=CROWDED ref=7KQ2M (0 more since the last such line)",
                "master: refused: peer=198.51.100.3 reason=SERVER_FULL ref=7KQ2M (0 more since the last such line)",
                "recorder: wrong door: peer=2001:db8::4 door=http times=1: a web request; a browser, a scanner, or an attack through a browser")))
            self.assertEqual(matched(log), [])
            self.assertEqual(matched(log, "aggressive"), ["198.51.100.1", "198.51.100.2", "2001:db8::4"])

    def test_ban(self):
        """A real fail2ban with the shipped jail: who guesses is banned; a phone that repeats an old password is not, nor who errs thrice."""
        server, daemon = self.serve("syslog", free_failures=100, repeat_seconds=600)
        folder = server.base / "fail2ban"
        shutil.copytree(FILTER.parent.parent, folder)
        shutil.copy("/etc/fail2ban/fail2ban.conf", folder)
        (folder / "jail.conf").write_text("[DEFAULT]\n")
        (folder / "fail2ban.local").write_text("[Definition]\nlogtarget = %s/f2b.log\ndbfile = %s/f2b.db\n" % (folder, folder))
        (folder / "action.d").mkdir()
        (folder / "action.d" / "note.conf").write_text("[Definition]\nactionban = echo <ip> >>%s/banned\n" % folder)
        (folder / "jail.local").write_text("[postern]\nenabled = true\nbackend = polling\nlogpath = %s\naction = note\nignoreself = false\n" % daemon.file)
        at = ["-c", str(folder), "-s", str(folder / "socket"), "-p", str(folder / "pid")]

        def ask(*words):
            return subprocess.run(["fail2ban-client", *at, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode()
        fail2ban = subprocess.Popen(["fail2ban-server", *at, "-f", "start"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.addCleanup(fail2ban.wait)
        self.addCleanup(fail2ban.terminate)
        wait_until(lambda: "Number of jail:\t1" in ask("status"), lambda: "fail2ban has the jail: " + ask("status"), 60)
        forged = 'x" peer=127.0.0.66 tls=none reason="wrong password" reply=NOT_ACCEPTED ref=AAAAA'
        guesses = {"127.0.0.20": [("anna", "old")] * 12, "127.0.0.21": [(forged, "p%d" % n) for n in range(10)],
                   "127.0.0.22": [("anna", "typo%d" % n) for n in range(3)]}
        threads = [threading.Thread(target=self.guess, args=(server, source, pairs, {})) for source, pairs in guesses.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: re.search(r"Total failed:\t14\n", ask("status", "postern")), lambda: "one, ten and three failures: " + ask("status", "postern"), 60)
        self.assertEqual(len(daemon.failed()), 25)
        wait_until((folder / "banned").exists, "somebody is banned", 30)
        self.assertEqual((folder / "banned").read_text().split(), ["127.0.0.21"])
        self.assertRegex(ask("status", "postern"), r"Banned IP list:\t127\.0\.0\.21\n")


if __name__ == "__main__":
    unittest.main()
