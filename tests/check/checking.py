"""Runs `postern check`, and counts which cause got which verdict."""
import atexit
import json
import os
import subprocess
import sys
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from peer import Peer
from postern import BUILD, PREFIX
from processes import PATIENCE

STATUS = {"fine": 0, "cannot-tell": 2, "settings": 3, "network": 4, "account": 5, "other-program": 6, "server": 7}
PASSWORD = "Tr0ub4dor&3"
# What a test waits for at most; the peers answer at once unless they are the fault.
QUICK = ["--timeout", str(int(5 * PATIENCE)), "--connect-timeout", str(int(3 * PATIENCE))]
confusion = Counter()


class Checked:
    """One run, its JSON read."""

    def __init__(self, done):
        self.status, self.err, self.out = done.returncode, done.stderr.decode(), done.stdout.decode("ascii")
        try:
            self.json = json.loads(self.out)
        except json.JSONDecodeError:
            raise AssertionError("no JSON: status %s, %r, %r" % (self.status, self.out[-2000:], self.err[-3000:])) from None
        self.verdict, self.situation, self.certainty = (self.json[key] for key in ("verdict", "situation", "certainty"))
        self.situations = self.json.get("situations", [])
        self.settings = self.json["settings"]

    def step(self, name):
        """The last step of that name."""
        found = [step for step in self.json["steps"] if step["step"] == name]
        assert found, "no step %s: %s" % (name, self.out)
        return found[-1]

    def outcomes(self, name):
        return [step["outcome"] for step in self.json["steps"] if step["step"] == name]


def command(*arguments):
    # When valgrind lets glibc free what it has, at the end, glibc looks at what the resolver's thread never set.
    quiet = ["--run-libc-freeres=no"] if "valgrind" in PREFIX[:1] else []
    return [*PREFIX, *quiet, str(BUILD / "postern"), "check", *arguments]


def run_raw(*arguments, password=PASSWORD, environment=None):
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", **(environment or {})}
    return subprocess.run(command(*arguments), input=(password + "\n").encode() if password is not None else b"", stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100 * PATIENCE, check=False, env=environment)


def run_check(target, *options, password=PASSWORD, environment=None):
    done = run_raw("--json", *QUICK, *options, target, password=password, environment=environment)
    checked = Checked(done)
    assert password is None or len(password) < 8 or password not in checked.out + checked.err, "the password is in the output: " + checked.out
    return checked


def at_once(runs):
    """The results of run_check() with those arguments, in their order. Most of a check is waiting."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda arguments: run_check(*arguments), runs))


class CheckCase(unittest.TestCase):
    def peer(self, *arguments, **options):
        """A peer that may never be asked to delete, and never for two logins."""
        peer = Peer(*arguments, **options)

        def look():
            peer.close()
            heard = peer.commands()
            self.assertNotIn("DELE", heard)
            self.assertLessEqual(sum(verb in ("PASS", "AUTH", "APOP") for verb in heard), peer.__dict__.get("logins", 1), heard)
        self.addCleanup(look)
        return peer

    def expect(self, got, cause, *situations, certainty=None, count=True, vague=False):
        """The verdict has to be the known cause, and the first situation one of those. vague: the server says the same of
        another cause, too; then the verdict is that it cannot be told, and the cause's situation is among those named.
        """
        if count:
            confusion[cause, got.verdict] += 1
        want = "cannot-tell" if vague else cause
        self.assertEqual((got.verdict, got.status), (want, STATUS[want]), got.out)
        if vague:
            return self.assertTrue(set(situations) <= set(got.situations) and len(got.situations) > 1, got.out)
        if situations:
            self.assertIn(got.situation, situations, got.out)
        if certainty:
            self.assertEqual(got.certainty, certainty, got.out)
        if cause != "fine":
            self.assertTrue(got.json["says"] and got.json["next"], got.out)
        return got


def confusion_table():
    rows = sorted({cause for cause, _ in confusion}, key=list(STATUS).index)
    lines = ["", "known cause (down) and verdict (across), %d faults:" % sum(confusion.values()),
             "%-14s" % "" + "".join("%14s" % verdict for verdict in STATUS)]
    for cause in rows:
        lines.append("%-14s" % cause + "".join("%14s" % (confusion[cause, verdict] or ".") for verdict in STATUS))
    return "\n".join(lines)


atexit.register(lambda: confusion and print(confusion_table(), file=sys.stderr, flush=True))
