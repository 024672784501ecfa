#!/usr/bin/env python3
"""peers.py - the same kills and full disks for postern and for Dovecot, in the UPDATE of an mbox and of a Maildir.

usage: tests/fault/peers.py    (`make fault-peers`), as root; prints a table with a column for each

A session deletes; the process that does it is killed, or its disk is full from then on, at its n-th call of each kind that
changes a file. Then a new session reads what is left. Counted by message, of 40: those that were not marked and are not
there, or altered, or there twice; and mboxes in which some of the marked messages went and some stayed.
"""
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "e2e")]
from client import Client, Closed  # noqa: E402  (the path comes first)
from dovecot import Dovecot  # noqa: E402
from processes import all_processes, wait_until  # noqa: E402
from sweep import PATTERNS, Box, in_file  # noqa: E402
from tracing import Trace  # noqa: E402

# "sent" is the answer to the client: what is done behind it is seen, too.
CALLS = ("openat", "pwrite64", "write", "ftruncate", "fsync", "fdatasync", "rename", "renameat2", "unlink", "unlinkat", "link")
FULL = ("pwrite64", "write", "openat")
CHANGES = {"openat": "O_CREAT", "write": None}
USED = ("first", "middle", "alternate", "suffix", "all")


class DovecotBox(Dovecot):
    """Beside a Box's server: Dovecot with the same user and the same maildrop."""

    def __init__(self, box):
        self.box = box
        super().__init__(box.server.base / "dovecot", [box.user], "maildir:~/Maildir" if box.maildir else "mbox:~/mail:INBOX=%s" % box.user.mbox)

    def client(self):
        return Client(self)

    def worker(self):
        """The process of the one session."""
        def found():
            mine = {p.pid for p in all_processes() if p.ppid == self.popen.pid and p.name == "pop3"}
            return len(mine) == 1 and mine.pop()
        return wait_until(found, "one process pop3")

    def rested(self):
        return not any(p.ppid == self.popen.pid and p.name == "pop3" for p in all_processes())

    def forget(self):
        """Its indexes: each run begins with a maildrop that it has not seen."""
        shutil.rmtree(self.box.user.home / "mail", True)
        for path in self.box.user.maildir.glob("dovecot*") if self.box.maildir else ():
            path.unlink()


class Postern:
    def __init__(self, box):
        self.box, self.server = box, box.server

    def client(self):
        return self.server.client()

    def worker(self):
        from tracing import keeper_in_session
        return keeper_in_session(self.server)

    def rested(self):
        return len(self.server.keepers()) == 1

    def forget(self):
        pass

    def stop(self):
        pass


def log_in(peer):
    client = peer.client()
    client.send(b"USER anna\r\nPASS secret\r\n")
    for _ in range(2):
        assert client.status().startswith("+OK")
    return client


def session(peer, marked, how):
    """A whole session, under the Trace that how(pid) gives in its UPDATE; the answer to QUIT."""
    box = peer.box
    wait_until(peer.rested, "the session before has ended")
    peer.forget()
    box.fill()
    client = log_in(peer)
    client.send(b"".join(b"DELE %d\r\n" % (i + 1) for i in sorted(marked)))
    for _ in marked:
        assert client.status().startswith("+OK")
    with how(peer.worker()):
        client.send(b"QUIT\r\n")
        answer = client.rest()
        wait_until(peer.rested, "the session has ended")
    client.close()
    return answer


def calls_of(peer, marked):
    """(name, which) of the calls that change something, in an undisturbed UPDATE."""
    output = peer.box.server.base / "trace"
    session(peer, marked, lambda pid: Trace(pid, calls=",".join(CALLS), output=output))
    counts, calls = {}, []
    for line in output.read_text().splitlines():
        name = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if name and name[1] in CALLS:
            counts[name[1]] = counts.get(name[1], 0) + 1
            if CHANGES.get(name[1]) is None or CHANGES[name[1]] in line:
                calls.append((name[1], counts[name[1]]))
    return calls


def look(peer, marked):
    """What is wrong with the maildrop after that: {what: how much}."""
    box = peer.box
    for lock in (*box.user.mbox.parent.glob("*.lock"), *(box.user.home / "Maildir").glob("*.lock")):
        lock.unlink()  # which would keep the user out for some minutes; here it is the mail that counts
    wait_until(peer.rested, "the session before has ended")
    found = read_all(peer)
    if found is None:
        return Counter(count(box, marked, look_at_file(box)), shut=1)
    return count(box, marked, [found.count((i, re.sub(rb"\r?\n", b"\r\n", body_of(m)))) for i, m in enumerate(box.messages)])


def read_all(peer):
    """[(number, body)] of all messages; None when nobody can log in."""
    found = []
    try:
        client = log_in(peer)
    except (AssertionError, Closed):
        return None
    try:
        for n in range(int(client.cmd("STAT").split()[1])):
            if client.cmd("RETR %d" % (n + 1)).startswith("-ERR"):
                continue
            head, _, body = client.body().partition(b"\r\n\r\n")
            number = re.search(rb"^Subject: (\d+)\r?$", head, re.M)
            found.append((int(number[1]) if number else None, body))
        client.send(b"QUIT\r\n")
        client.rest()
    except Closed:
        pass  # a server that gives up at a damaged mailbox: what did not come is lost to this client
    client.close()
    return found


def body_of(message):
    return in_file(message).partition(b"\n\n")[2]


def count(box, marked, times):
    """times: how often each message is there."""
    lost = sum(n == 0 for i, n in enumerate(times) if i not in marked)
    doubled = sum(n - 1 for n in times if n > 1)
    there = sum(times[i] > 0 for i in marked)
    return Counter(damaged=lost + doubled > 0, lost=lost, doubled=doubled, there=there, half=not box.maildir and 0 < there < len(marked))


def look_at_file(box):
    """How often each message is in the file, for when no server opens it."""
    files = [box.user.mbox] if not box.maildir else [p for folder in ("new", "cur") for p in (box.user.maildir / folder).iterdir()]
    text = b"\n\n".join(p.read_bytes() for p in files) + b"\n\n"
    return [text.count(b"\n\n" + body_of(m) + b"\n") for m in box.messages]


def sweep(peer, inject, names):
    found = Counter()
    for name in USED:
        marked = PATTERNS[name](len(peer.box.messages))
        calls = calls_of(peer, marked)
        undisturbed = look(peer, marked)
        assert not any(undisturbed.values()), (type(peer).__name__, name, undisturbed)
        for call in calls:
            if call[0] in names:
                answer = session(peer, marked, lambda pid, c=call: Trace(pid, inject % c, calls=c[0]))
                found += look(peer, marked)
                found += Counter(calls=1, untrue=answer.startswith(b"+OK") and found["there"] > 0)
            found["there"] = 0
    return found


def disturb(kind, maildir, inject, names):
    """What was found of one server, in words."""
    box = Box(maildir=maildir)
    peer = kind(box)
    try:
        found = sweep(peer, inject, names)
    finally:
        peer.stop()
        box.server.stop()
    return ("mail damaged at %(damaged)d of %(calls)d calls: %(lost)d messages lost or altered, %(doubled)d doubled; the marked half gone at %(half)d; "
            "+OK untrue at %(untrue)d; no login at %(shut)d") % found


def main():
    if os.geteuid() != 0 or not shutil.which("dovecot"):
        sys.exit("peers.py: needs root and Dovecot")
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
    print("| UPDATE of | at each call | postern | Dovecot %s |\n|---|---|---|---|" % version)
    for maildir in (False, True):
        for what, inject, names in (("killed", "%s:signal=KILL:when=%d", CALLS), ("disk full from then on", "%s:error=ENOSPC:when=%d+", FULL)):
            columns = [disturb(kind, maildir, inject, names) for kind in (Postern, DovecotBox)]
            print("| %s | %s | %s |" % ("a Maildir" if maildir else "an mbox", what, " | ".join(columns)), flush=True)


if __name__ == "__main__":
    main()
