#!/usr/bin/env python3
"""scale.py - how cost grows: with the messages of a maildrop, with the sessions that are open, with a message's size.

usage: bench/scale.py [messages] [sessions] [sizes]    all without an argument
Environment: POSTERN_BUILD (build), BENCH_DIR (/var/tmp/postern-bench), OUT (build/bench), ROUNDS (9),
MOST_MESSAGES (10000), MOST_SESSIONS (1000), MOST_OCTETS (100000000)

For each series: a table, the exponent that fits best (time grows like n^e; 0 is flat, 1 is in proportion), OUT/NAME.tsv, and
OUT/NAME.svg where gnuplot is there. Runs in: the shell, as root. Absolute times mean nothing on a shared machine; how they
grow does.
"""
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TMPDIR", os.environ.get("BENCH_DIR", "/var/tmp/postern-bench"))
Path(os.environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / "e2e")]
from postern import Server  # noqa: E402  (the path comes first)

ROUNDS = int(os.environ.get("ROUNDS", 9))
OUT = Path(os.environ.get("OUT", "build/bench"))


def steps(most, first=1, factor=10):
    while first <= most:
        yield first
        first *= factor


def timed(action):
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def median_of(action, rounds=ROUNDS):
    return statistics.median(timed(action) for _ in range(rounds))


def exponent(points):
    """The slope of a straight line through the points, both axes as logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(max(y, 1e-6)) for _, y in points]
    mx, my = statistics.mean(xs), statistics.mean(ys)
    spread = sum((x - mx) ** 2 for x in xs)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / spread if spread else 0.0


def report(name, title, axis, columns, rows):
    """rows: (x, y for each column), y in milliseconds."""
    OUT.mkdir(parents=True, exist_ok=True)
    print("\n== %s\n%12s %s" % (title, axis, " ".join("%14s" % c for c in columns)))
    for x, *ys in rows:
        print("%12d %s" % (x, " ".join("%11.2f ms" % y for y in ys)))
    fits = [exponent([(row[0], row[1 + i]) for row in rows]) for i in range(len(columns))]
    print("%12s %s" % ("grows like", " ".join("%14s" % ("n^%.2f" % f) for f in fits)), flush=True)
    table = OUT / (name + ".tsv")
    table.write_text("\t".join([axis, *columns]) + "\n" + "".join("\t".join("%g" % v for v in row) + "\n" for row in rows))
    if not shutil.which("gnuplot"):
        print("(no gnuplot: %s is not drawn)" % (OUT / (name + ".svg")))
        return
    plots = ", ".join("'%s' using 1:%d with linespoints title '%s (n^{%.2f})'" % (table, i + 2, c, fits[i]) for i, c in enumerate(columns))
    script = ("set terminal svg size 720,420 dynamic background 'white'; set output '%s'; set logscale xy; set key left top; set grid;"
              "set title '%s'; set xlabel '%s'; set ylabel 'milliseconds'; set datafile separator '\\t'; set key autotitle columnhead; plot %s"
              % (OUT / (name + ".svg"), title, axis, plots))
    subprocess.run(["gnuplot", "-e", script], check=True)


def session(server, *commands):
    with server.login(source="127.0.0.2") as client:
        for command, multiline in commands:
            client.ok(command)
            if multiline:
                client.body()
        client.quit()


def messages():
    rows = []
    for count in steps(int(os.environ.get("MOST_MESSAGES", 10000)), 1, 100):
        server = Server()
        try:
            new = server.users["anna"].maildir / "cur"
            for i in range(count):
                path = new / ("%d.M%dP1.bench:2,S" % (1700000000 + i, i))
                path.write_bytes(b"From: a@example.org\nSubject: %d\n\nbody\n" % i)
            for path in [new, *new.iterdir()]:
                server.users["anna"].own(path)
            first = timed(lambda: session(server, ("STAT", False)))
            time.sleep(3)  # a directory that was just written to is not believed to be settled
            session(server, ("STAT", False))
            rows.append((count, first, *(median_of(lambda c=c: session(server, c)) for c in (("STAT", False), ("LIST", True), ("UIDL", True)))))
        finally:
            server.stop()
    report("messages", "Maildir: a whole session, by the number of messages", "messages", ["first login", "STAT", "LIST", "UIDL"], rows)


def sessions():
    most = int(os.environ.get("MOST_SESSIONS", 1000))
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * most + 1000, max(4 * most + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    names = ["anna"] + ["user%d" % n for n in range(most)]
    server = Server(users=names, settings={"workers": {"max": most + 100}, "limits": {"per_source": most + 100}})
    rows, held = [], []
    try:
        for count in steps(most):
            while len(held) < count:
                held.append(server.login("user%d" % len(held)))
            rows.append((count, median_of(lambda: session(server, ("STAT", False)), 5 * ROUNDS)))
    finally:
        for client in held:
            client.close()
        server.stop()
    report("sessions", "One more session, by the number of idle ones", "idle sessions", ["login, STAT, QUIT"], rows)


def fetch(client, buffer):
    """RETR 1, its octets looked at for their end only."""
    client.send(b"RETR 1\r\n")
    tail = b""
    while not tail.endswith(b"\r\n.\r\n"):
        got = client.sock.recv_into(buffer)
        if got == 0:
            raise AssertionError("the connection ended")
        tail = tail[-5:] + bytes(buffer[max(0, got - 5):got])


def sizes():
    buffer = bytearray(1 << 20)
    rows = []
    server = Server()
    try:
        for size in steps(int(os.environ.get("MOST_OCTETS", 100000000)), 1000):
            server.users["anna"].empty()
            server.users["anna"].deliver(b"From: a@example.org\n\n" + (b"x" * 75 + b"\n") * (size // 76))
            with server.login(source="127.0.0.2") as client:
                rows.append((size, median_of(lambda: fetch(client, buffer))))
    finally:
        server.stop()
    report("sizes", "RETR of one message, by its size", "octets", ["RETR"], rows)


def main():
    if os.geteuid() != 0:
        sys.exit("scale.py: needs root, for users' mailboxes")
    series = {"messages": messages, "sessions": sessions, "sizes": sizes}
    for name in sys.argv[1:] or series:
        series[name]()


if __name__ == "__main__":
    main()
