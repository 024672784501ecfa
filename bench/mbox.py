#!/usr/bin/env python3
"""mbox.py - the cost of large mboxes: UPDATE beside `cp` and `sync` of the same file, and memory for each message.

usage: bench/mbox.py [update] [memory]    both without an argument
Environment: POSTERN_BUILD (build), BENCH_DIR (/var/tmp/postern-bench), ROUNDS (5), MBOX_MB (1000), MEMORY_MB (5000), MESSAGES (1000000)

Runs in: the shell, as root. Prints ratios; absolute times mean nothing on a shared machine.
"""
import os
import re
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
from tracing import keeper_in_session  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", 5))


def make_mbox(path, messages, size):
    """So many messages of that size each."""
    body = b"x" * 75 + b"\n"
    with open(path, "wb") as f:
        for i in range(messages):
            head = b"From a@example.org Mon Nov 23 03:00:00 2026\nFrom: a@example.org\nMessage-ID: <%d@x>\nSubject: m %d\n\n" % (i, i)
            f.write(head + body * max(0, (size - len(head)) // len(body)) + b"\n")


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def update(server):
    """One deletion at the front."""
    user, mbox = server.users["anna"], server.users["anna"].home / "mbox"
    original, copy = server.base / "original", server.base / "copy"
    make_mbox(original, int(os.environ.get("MBOX_MB", 1000)) * 100, 10000)
    user.own(original, 0o600)
    ratios = []
    for _ in range(ROUNDS):
        shutil.copyfile(original, mbox)
        user.own(mbox, 0o660)
        sync(mbox)
        with server.login() as client:
            client.ok("DELE 1")
            client.sock.settimeout(600)
            start = time.monotonic()
            client.quit()
            ours = time.monotonic() - start
        start = time.monotonic()
        subprocess.run(["cp", original, copy], check=True)
        sync(copy)
        theirs = time.monotonic() - start
        copy.unlink()
        ratios.append(ours / theirs)
        print("  QUIT %.2f s, cp and sync %.2f s: %.2f" % (ours, theirs, ratios[-1]), flush=True)
    print("UPDATE of %d octets, one deletion at the front: %.2f times cp and sync (median of %d)" %
          (original.stat().st_size, statistics.median(ratios), ROUNDS))
    original.unlink()


def peak(pid):
    """The most memory that was ever resident, in octets."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/%d/status" % pid).read_text())[1]) * 1024


def memory(server):
    """A keeper's peak, of which a program's text and libraries are a part."""
    user, mbox = server.users["anna"], server.users["anna"].home / "mbox"
    count = int(os.environ.get("MESSAGES", 1000000))
    make_mbox(mbox, count, int(os.environ.get("MEMORY_MB", 5000)) * 1000000 // count)
    user.own(mbox, 0o660)
    client = server.client()
    client.sock.settimeout(600)
    client.login("anna")
    held = peak(keeper_in_session(server))
    print("mbox of %d octets, %d messages: the keeper took %d octets after login, %.1f a message beside 8 MB" %
          (mbox.stat().st_size, client.stat()[0], held, (held - (8 << 20)) / count))
    pid = keeper_in_session(server)
    client.ok("DELE 1")
    client.send(b"QUIT\r\n")
    while b"\n" not in client.buffer:
        try:
            held = max(held, peak(pid))
        except FileNotFoundError:
            pass
        client.buffer += client.waiting()
        time.sleep(0.01)
    print("after UPDATE (%s): %d octets, %.1f a message beside 8 MB" %
          (client.buffer.decode().strip(), held, (held - (8 << 20)) / count))


def main():
    for name in sys.argv[1:] or ["update", "memory"]:
        server = Server(location="mbox:~/mbox")
        server.client().close()
        try:
            {"update": update, "memory": memory}[name](server)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
