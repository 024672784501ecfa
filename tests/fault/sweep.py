"""What the sweeps share: a server with one mbox or Maildir, sessions that delete, and the check of what is left.

The keeper of the session is disturbed by strace between the last DELE and the QUIT, at the n-th call of one kind.
"""
import os
import re

import disk
from postern import ROOT, Server
from processes import user_of, wait_until
from tracing import Trace, keeper_in_session

FULL = os.environ.get("POSTERN_FAULT") == "full"
COUNT = 40
PLACES = (None, "ext4", "xfs") if FULL else (None,)  # None: where the tests are
# What an UPDATE or a recovery does with files and locks; the rest of a keeper's calls have to do with its gate.
STORAGE = ("openat", "close", "fstat", "newfstatat", "fcntl", "flock", "pread64", "pwrite64", "sync_file_range", "fsync",
           "ftruncate", "utimensat", "mknodat", "linkat", "unlinkat", "renameat2", "getdents64", "read", "write", "sendmsg", "recvmsg",
           "sendto", "recvfrom", "poll")
PATTERNS = {
    "first": lambda n: {0}, "middle": lambda n: {n // 2}, "last": lambda n: {n - 1}, "alternate": lambda n: set(range(0, n, 2)),
    "all": lambda n: set(range(n)), "all and new mail": lambda n: set(range(n)), "suffix": lambda n: set(range(n - 5, n)),
    "none": lambda n: set(),
}


def on_each_place(test):
    """The test, which takes the kind of file system, in each of PLACES."""
    def run(self):
        for kind in PLACES:
            with self.subTest(kind=kind):
                test(self, kind)
    run.__doc__ = test.__doc__
    return run


def message(number, size=None):
    """One message: of many sizes, with lines that have to be stuffed, 8 bits and From in them; no two alike."""
    size = size or (number * 977) % 5000 + 20
    text = b"line %d of\n.dot\n\n>From x\n\xe9\xff\r\n" % number
    text = (text * (size // len(text) + 1))[:size].rstrip(b"\r\n") + b"\n"
    return (b"From a@example.org Mon Nov 23 03:%02d:%02d 2026\nSubject: %d\nMessage-ID: <%d@x>\n\n" %
            (number // 60 % 60, number % 60, number, number)) + text + b"\n"


def in_file(stored):
    """The message as a Maildir has it: without the From_ line and the blank line behind it."""
    return stored.split(b"\n", 1)[1][:-1]


def as_sent(stored):
    """What RETR sends of it."""
    lines = in_file(stored).split(b"\n")[:-1]
    return b"".join((line[:-1] if line.endswith(b"\r") else line) + b"\r\n" for line in lines)


class Box:
    """A server, one user, and what has to be in the maildrop; on a file system of its own where `kind` names one."""

    def __init__(self, maildir=False, count=COUNT, kind=None, start=True):
        workers = {"workers": {"spare_min": 1, "spare_max": 1, "max": 8}}
        self.server = Server(location="maildir:~/Maildir" if maildir else "mbox:SPOOL/%u", settings=workers, start=False)
        self.server.expect_trouble = True
        self.user = self.server.users["anna"]
        self.maildir = maildir
        self.messages = [message(i) for i in range(count)]
        self.arrived = message(count)
        self.disk = None
        if kind:
            base = self.server.base
            (base / "journals").mkdir(mode=0o700)
            self.disk = disk.Disk(kind, base, {"spool": base / "spool", "journals": base / "journals", "anna": self.user.home})
        if start:
            self.server.start()

    @classmethod
    def of(cls, test, kind=None, **options):
        """One that the test cleans up; without that file system the test is skipped."""
        reason = disk.missing(kind) if kind else None
        if reason:
            test.skipTest(reason)
        box = cls(kind=kind, **options)
        test.addCleanup(box.stop)
        return box

    def stop(self):
        try:
            if self.disk:
                self.disk.unmount()
        finally:
            self.server.stop()

    def fill(self):
        """The maildrop as it is before a session; no journal is left, and no index knows that these messages were removed before."""
        for journal in (self.server.base / "journals").glob("*"):
            journal.unlink()
        self.server.forget_indexes()
        if not self.maildir:
            self.user.write_mbox(b"".join(self.messages))
            return
        self.user.empty()
        for i, stored in enumerate(self.messages):
            self.user.deliver(in_file(stored), name="%d.M%dP1.host" % (1700000000 + i, i))

    def arrive(self):
        if self.maildir:
            self.user.deliver(in_file(self.arrived), name="1800000000.M1P1.host")
        else:
            self.user.append_mbox(self.arrived)

    def mark(self, marked):
        """A session with these messages marked, and its keeper; none of the sessions before is left."""
        self.rest()
        client = self.server.login()
        client.send(b"".join(b"DELE %d\r\n" % (i + 1) for i in sorted(marked)))
        for _ in marked:
            assert client.status().startswith("+OK")
        return client, keeper_in_session(self.server)

    def rest(self):
        """Wait until no session is left; the pid of the one keeper that waits for the next connection, still with root's rights."""
        def waiting():
            keepers = [k.pid for k in self.server.keepers()]
            return len(keepers) == 1 and (not ROOT or user_of(keepers[0]) == 0) and keepers[0]
        return wait_until(waiting, "one keeper waits, and no other is there")

    def quit(self, client):
        """The answer to QUIT, b"" when there was none."""
        client.send(b"QUIT\r\n")
        return client.rest()

    def contents(self):
        """(octets, unique-id) of each message, as a new session sees them."""
        with self.server.login() as client:
            uidl = client.uidl()
            client.send(b"".join(b"RETR %d\r\n" % n for n in uidl))
            found = []
            for n in uidl:
                assert client.status().startswith("+OK"), "RETR %d" % n
                found.append((client.body(), uidl[n]))
            client.quit()
            return found

    def calls(self, marked, arrives=False):
        """The storage calls of an undisturbed UPDATE: [(name, which of that name, counted from 1)]."""
        self.fill()
        client, keeper = self.mark(marked)
        if arrives:
            self.arrive()
        output = self.server.base / "trace"
        with Trace(keeper, calls=",".join(STORAGE), output=output):
            answer = self.quit(client)
        assert answer.startswith(b"+OK"), answer
        counts, calls = {}, []
        for line in output.read_text().splitlines():
            name = re.match(r"(?:\d+ +)?(\w+)\(", line)
            if name:
                counts[name[1]] = counts.get(name[1], 0) + 1
                calls.append((name[1], counts[name[1]]))
        return calls

    def check(self, marked, arrives, answer, before, partly=False, unsynced=False):
        """Every message that was not marked is there once, unchanged, in order; the marked ones are all there or all gone. What arrived and was
        not synced may be lost, as long as nothing was done."""
        want = [(as_sent(m), before[i][1]) for i, m in enumerate(self.messages)]
        kept = [w for i, w in enumerate(want) if i not in marked]
        new = [as_sent(self.arrived)] if arrives else []
        found = self.contents()
        if unsynced and (not found or found[-1][0] != new[0]):
            assert found[:len(want)] == want and not answer.startswith(b"+OK"), "the new mail is lost, and not that alone"
            return False
        if arrives:
            assert found and found[-1][0] == new[0], "the new mail is not the last: %d messages" % len(found)
            found = found[:-1]
        if partly:
            assert [f for f in found if f in kept] == kept and all(f in want for f in found), "lost, altered or doubled"
            gone = len(found) == len(kept)
        else:
            assert found in (kept, want), "neither all gone nor all there: %d messages of %d, %d marked" % (
                len(found), len(want), len(marked))
            gone = found == kept
        assert gone or not answer.startswith(b"+OK"), "+OK to QUIT, and marked messages are there: %r" % answer
        return gone
