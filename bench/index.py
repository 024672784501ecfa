#!/usr/bin/env python3
"""index.py - what logins to large maildrops cost: beside an empty maildrop, beside Dovecot, beside the machine's limit.

usage: bench/index.py [small] [maildir] [mbox] [million-maildir] [million-mbox]    all of them without an argument
Environment: POSTERN_BUILD (build), BASE_BUILD (another build to compare logins with, A/B), BENCH_DIR (/var/tmp/postern-bench),
ROUNDS (15), MESSAGES (100000), MILLION (1000000), MBOX_MILLION_MB (5000)

Runs in: the shell, as root; Dovecot is started on loopback. Every figure is a median of rounds that alternate with what they
are compared with; absolute times mean nothing on a shared machine.
"""
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
os.environ.setdefault("POSTERN_BUILD", os.environ.get("BUILD", "build"))
os.environ["TMPDIR"] = os.environ.get("BENCH_DIR", "/var/tmp/postern-bench")
Path(os.environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
sys.path.insert(0, str(TOP / "tests" / "e2e"))
import postern  # noqa: E402
from dovecot import Dovecot  # noqa: E402
from postern import Server, free_port  # noqa: E402
from tracing import keeper_in_session  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", 15))
MESSAGES = int(os.environ.get("MESSAGES", 100000))
MILLION = int(os.environ.get("MILLION", 1000000))
TEXT = b"From: a@example.org\nSubject: m\nMessage-ID: <%d@x>\n\n" + b"x" * 75 + b"\n"


class Session:
    """A client that costs little."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=3600)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.line()

    def line(self):
        while b"\n" not in self.rest:
            got = self.sock.recv(65536)
            if not got:
                raise EOFError("closed")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def ask(self, command):
        self.sock.sendall(command.encode() + b"\r\n")
        line = self.line()
        if not line.startswith(b"+OK"):
            raise ValueError("%s: %r" % (command, line))
        return line

    def login(self, user):
        self.ask("USER " + user)
        self.ask("PASS secret")
        return self.ask("STAT")

    def listing(self, command):
        """Octets of a multi-line answer."""
        self.sock.sendall(command + b"\r\n")
        room, total, tail = memoryview(bytearray(1 << 20)), 0, b""
        while not tail.endswith(b"\r\n.\r\n"):
            n = self.sock.recv_into(room)
            if n == 0:
                raise EOFError("closed")
            total += n
            tail = (tail + bytes(room[max(0, n - 8):n]))[-8:]
        return total

    def quit(self):
        self.ask("QUIT")
        self.sock.close()


def login_stat(port, user):
    """Milliseconds from USER to the answer of STAT."""
    session = Session(port)
    start = time.perf_counter()
    session.login(user)
    taken = time.perf_counter() - start
    session.quit()
    return taken * 1000


def list_time(port, user, command):
    """(seconds, octets) of a listing."""
    session = Session(port)
    session.login(user)
    start = time.perf_counter()
    octets = session.listing(command)
    taken = time.perf_counter() - start
    session.quit()
    return taken, octets


def alternate(rounds, **what):
    """Each in turn, so often: {name: median}."""
    got = {name: [] for name in what}
    for _ in range(rounds):
        for name, measure in what.items():
            got[name].append(measure())
    return {name: statistics.median(times) for name, times in got.items()}


def say(text, *values):
    print(text % values, flush=True)


# -- mail ----------------------------------------------------------------------

def make_maildir(user, count, long_names=True):
    cur = user.maildir / "cur"
    for i in range(count):
        text = TEXT % i
        name = "%d.M%06dP%05d.host" % (1700000000 + i, i * 7919 % 1000000, i % 65536)
        if long_names:
            name += ",S=%d,W=%d" % (len(text), len(text) + text.count(b"\n"))
        path = str(cur / (name + ":2,S"))
        with open(path, "wb") as f:
            f.write(text)
        os.chown(path, user.uid, user.gid)
    os.sync()
    time.sleep(3)  # the directory's stamps are to be old


def mbox_text(i, size):
    head = b"From a@example.org Mon Nov 23 03:00:00 2026\nFrom: a@example.org\nMessage-ID: <%d@x>\nSubject: m %d\n\n" % (i, i)
    return head + (b"x" * 75 + b"\n") * max(1, (size - len(head)) // 76) + b"\n"


def make_mbox(path, user, count, size):
    with open(path, "wb") as f:
        for i in range(count):
            f.write(mbox_text(i, size))
    user.own(path, 0o660)
    os.sync()
    time.sleep(3)


# -- peers ---------------------------------------------------------------------

def start_limit(messages):
    """poplimit with such a list: (process, port)."""
    program = Path(os.environ["TMPDIR"]) / "poplimit"
    subprocess.run(["cc", "-O2", "-w", "-o", program, TOP / "bench" / "poplimit.c"], check=True)
    wire = Path(os.environ["TMPDIR"]) / "wire"
    wire.write_bytes(b"x\r\n")
    port = free_port()
    process = subprocess.Popen([program, str(port), str(messages), wire])
    time.sleep(1)
    return process, port


def pss(pid):
    """(octets of private memory, octets of the share in all) of a process."""
    text = Path("/proc/%d/smaps_rollup" % pid).read_text()
    of = {m[1]: int(m[2]) * 1024 for m in re.finditer(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return of["Private_Dirty"] + of["Private_Clean"], of["Pss"]


def gate_in_session(server):
    """The gate that has the client's connection, which is one socket more than the others have."""
    def sockets(pid):
        return sum(os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:") for fd in os.listdir("/proc/%d/fd" % pid))
    return max((gate.pid for gate in server.gates()), key=sockets)


def other_build():
    """A server of BASE_BUILD, which may know no index."""
    postern.BUILD = Path(os.environ["BASE_BUILD"]).resolve()
    known = "index_directory" in subprocess.run([postern.BUILD / "posternd", "-D"], stdout=subprocess.PIPE, check=True).stdout.decode()
    server = Server(("anna", "empty"), settings=None if known else {"maildrop": {"index_directory": None}})
    postern.BUILD = (TOP / os.environ["POSTERN_BUILD"]).resolve()
    return server


# -- what is measured ----------------------------------------------------------

def listings(server, user, count):
    limit, port = start_limit(count)
    try:
        for command in (b"UIDL", b"LIST"):
            rates = {"ours": [], "limit": []}
            for _ in range(ROUNDS):
                for name, where in (("ours", server.pop3_port), ("limit", port)):
                    taken, octets = list_time(where, user, command)
                    rates[name].append(octets / taken / 1e6)
            ours, most = statistics.median(rates["ours"]), statistics.median(rates["limit"])
            say("  %s of %d: %.0f MB/s, the limit %.0f MB/s: %.0f%%", command.decode(), count, ours, most, 100 * ours / most)
    finally:
        limit.terminate()
        limit.wait()


def beside_empty(server, user, rounds=ROUNDS):
    got = alternate(rounds, empty=lambda: login_stat(server.pop3_port, "empty"), full=lambda: login_stat(server.pop3_port, user))
    say("  unchanged: login and STAT %.2f ms, an empty maildrop %.2f ms: %.2f times, %.1f ms more", got["full"], got["empty"],
        got["full"] / got["empty"], got["full"] - got["empty"])
    return got


def unchanged(server, dovecot):
    login_stat(server.pop3_port, "anna")
    beside_empty(server, "anna")
    got = alternate(ROUNDS, ours=lambda: login_stat(server.pop3_port, "anna"), dovecot=lambda: login_stat(dovecot.pop3_port, "anna"))
    say("  unchanged: %.2f ms, Dovecot's %.2f ms: %.1f times as fast", got["ours"], got["dovecot"], got["dovecot"] / got["ours"])
    listings(server, "anna", MESSAGES)


def maildir():
    say("Maildir of %d messages", MESSAGES)
    server = Server(("anna", "empty"))
    anna = server.users["anna"]
    make_maildir(anna, MESSAGES)
    dovecot = Dovecot(server.base / "dovecot", server.users.values(), "maildir:~/Maildir")
    first = login_stat(server.pop3_port, "anna")
    theirs = login_stat(dovecot.pop3_port, "anna")
    say("  first login: %.0f ms, Dovecot's %.0f ms: %.1f times as fast", first, theirs, theirs / first)
    again = []
    for _ in range(3):
        for f in (server.base / "indexes").iterdir():
            f.unlink()
        again.append(login_stat(server.pop3_port, "anna"))
    say("  without an index: %.0f ms", statistics.median(again))
    if "BASE_BUILD" in os.environ:
        base = other_build()
        shutil.rmtree(base.users["anna"].home)
        os.rename(anna.home, base.users["anna"].home)
        os.symlink(base.users["anna"].home, anna.home)
        base.write_passwd()
        got = alternate(5, base=lambda: login_stat(base.pop3_port, "anna"), ours=lambda: ([f.unlink() for f in (server.base / "indexes").iterdir()],
                                                                                         login_stat(server.pop3_port, "anna"))[1])
        say("  first login beside the other build: %.0f ms, %.0f ms: %.2f", got["ours"], got["base"], got["ours"] / got["base"])
        base.stop()
    unchanged(server, dovecot)
    fresh = []
    for i in range(5):
        anna.deliver(TEXT % (1000000 + i))
        time.sleep(3)
        start = time.perf_counter()
        names = len(os.listdir(anna.maildir / "cur"))
        scan = (time.perf_counter() - start) * 1000
        one = login_stat(server.pop3_port, "anna")
        same = login_stat(server.pop3_port, "anna")
        fresh.append((one, same, scan))
    one, same, scan = (statistics.median(column) for column in zip(*fresh))
    say("  one new message: %.1f ms, unchanged again %.1f ms; a plain listing of %d names by Python %.1f ms", one, same, names, scan)
    dovecot.stop()
    server.stop()


def mbox():
    say("mbox of %d messages", MESSAGES)
    server = Server(("anna", "empty"), location="mbox:~/mbox")
    anna = server.users["anna"]
    path = anna.home / "mbox"
    make_mbox(path, anna, MESSAGES, 1000)
    shutil.copyfile(path, anna.home / "theirs")
    anna.own(anna.home / "theirs", 0o660)
    dovecot = Dovecot(server.base / "dovecot", server.users.values(), "mbox:~/mail:INBOX=~/theirs")
    first = login_stat(server.pop3_port, "anna")
    theirs = login_stat(dovecot.pop3_port, "anna")
    say("  first login (%d octets): %.0f ms, Dovecot's %.0f ms: %.1f times as fast", path.stat().st_size, first, theirs, theirs / first)
    unchanged(server, dovecot)
    more = []
    for i in range(ROUNDS):
        with open(path, "ab") as f:
            f.write(mbox_text(1000000 + i, 1000))
        one = login_stat(server.pop3_port, "anna")
        same = login_stat(server.pop3_port, "anna")
        more.append(one - same)
    say("  one appended message: %.2f ms more than unchanged", statistics.median(more))
    dovecot.stop()
    server.stop()


def memory(server, user, count):
    """Of both halves, more than with an empty maildrop, beside what the page cache has anyway."""
    held = {}
    for name in ("empty", user):
        session = Session(server.pop3_port)
        session.login(name)
        halves = keeper_in_session(server), gate_in_session(server)
        held[name, "login and STAT"] = [pss(pid) for pid in halves]
        for command in (b"UIDL", b"LIST"):
            session.listing(command)
        held[name, "LIST and UIDL of all"] = [pss(pid) for pid in halves]
        session.quit()
        time.sleep(1)
    for after in ("login and STAT", "LIST and UIDL of all"):
        more = [(held[user, after][i][j] - held["empty", after][i][j]) / count for i in (0, 1) for j in (0, 1)]
        say("  memory after %s, octets a message: keeper private %.1f, PSS %.1f; gate private %.1f, PSS %.1f", after, *more)
    index = max((server.base / "indexes").iterdir(), key=lambda f: f.stat().st_size).stat().st_size
    say("  the index: %.1f octets a message", index / count)


def million_of(location, make):
    say("%s of %d messages", location.split(":")[0], MILLION)
    server = Server(("anna", "empty"), location=location)
    make(server.users["anna"])
    say("  first login: %.0f ms", login_stat(server.pop3_port, "anna"))
    login_stat(server.pop3_port, "anna")
    beside_empty(server, "anna")
    memory(server, "anna", MILLION)
    server.stop()
    shutil.rmtree(server.base, True)


def million_maildir():
    million_of("maildir:~/Maildir", lambda anna: make_maildir(anna, MILLION, long_names=False))


def million_mbox():
    million_of("mbox:~/mbox", lambda anna: make_mbox(anna.home / "mbox", anna, MILLION,
                                                     int(os.environ.get("MBOX_MILLION_MB", 5000)) * 1000000 // MILLION))


def small():
    """Ten messages, unchanged: this build beside another."""
    ours = Server(("anna", "empty"))
    servers = {"ours": ours}
    if "BASE_BUILD" in os.environ:
        servers["base"] = other_build()
    for server in servers.values():
        make_maildir(server.users["anna"], 10)
        login_stat(server.pop3_port, "anna")
    for user in ("anna", "empty"):
        got = alternate(100 * ROUNDS, **{name: lambda s=s: login_stat(s.pop3_port, user) for name, s in servers.items()})
        say("  %s: %s", {"anna": "ten messages", "empty": "none"}[user], ", ".join("%s %.3f ms" % item for item in got.items()))
    for server in servers.values():
        server.stop()


def main():
    parts = {"small": small, "maildir": maildir, "mbox": mbox, "million-maildir": million_maildir, "million-mbox": million_mbox}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
