#!/usr/bin/env python3
"""Do failed logins take the same time, whatever failed? Tries each kind of failure many times, interleaved at random, and prints
how far apart their medians are and how well one can be told from another by its time alone.

usage: bench/timing.py [-n TRIES] [-j CONNECTIONS]     as root; BUILD says where the programs are (build)

The bars: medians at most 1 ms apart, and no kind told from a wrong password better than 0.55 (0.5 is a coin).
"""
import argparse
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
os.environ.setdefault("POSTERN_BUILD", os.environ.get("BUILD", "build"))
sys.path.insert(0, str(TOP / "tests" / "e2e"))
from client import plain_words  # noqa: E402
from postern import Client, Server, password_hash  # noqa: E402

MEDIAN_MS, CLASSIFIER = 1.0, 0.55


def passwd_file_server():
    """One user whose password is guessed, one without a usable password, one with root's uid whose password is right."""
    server = Server(("anna",), SETTINGS, start=False)
    server.write_passwd("locked:!:20001:20001::/:", "toor:%s:0:0::/:" % password_hash("secret"))
    return server, {"wrong": ("anna", "x"), "unknown": ("nosuch", "x"), "locked": ("locked", "x"), "empty": ("anna", ""),
                    "uid refused": ("toor", "secret")}


def pam_server():
    """The host's own pam_unix, with accounts of a mount namespace."""
    settings = {**SETTINGS, "auth": {**SETTINGS["auth"], "backends": "pam", "pam_service": "postern-timing"}}
    server = Server(("anna",), settings, start=False)
    pam, passwd, shadow = server.base / "pam.d", server.base / "etc-passwd", server.base / "etc-shadow"
    pam.mkdir()
    (pam / "postern-timing").write_text("auth required pam_unix.so\naccount required pam_unix.so\n")
    (pam / "other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    records = {"anna": "", "locked": "!", "expired": "", "nologin": ""}
    crypted = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    lines = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]
    shadows = ["root:*:19000:0:99999:7:::"]
    for n, (name, before) in enumerate(records.items()):
        lines.append("%s:x:%d:%d::/:%s" % (name, 20001 + n, 20001 + n, "/usr/sbin/nologin" if name == "nologin" else "/bin/sh"))
        shadows.append("%s:%s%s:19000:0:99999:7::%s:" % (name, before, crypted, "1" if name == "expired" else ""))
    passwd.write_text("\n".join(lines) + "\n")
    shadow.write_text("\n".join(shadows) + "\n")
    shadow.chmod(0o600)
    server.setup = "mount --bind %s /etc/passwd\nmount --bind %s /etc/shadow\nmount --bind %s /etc/pam.d" % (passwd, shadow, pam)
    return server, {"wrong": ("anna", "x"), "unknown": ("nosuch", "x"), "locked": ("locked", "x"), "expired": ("expired", "x"),
                    "nologin": ("nologin", "x"), "empty": ("anna", "")}


SETTINGS = {"auth": {"explain_failures": "never"}, "limits": {"per_source": 100, "login_tries": 1}, "workers": {"spare_min": 4, "spare_max": 16, "max": 100}}


def one_try(server, user, password):
    with Client(server) as client:
        client.ok("USER " + user)
        start = time.perf_counter()
        answer = client.cmd("PASS " + password)
        return time.perf_counter() - start, plain_words(answer)


def measure(server, kinds, tries, connections):
    order = [kind for kind in kinds for _ in range(tries)]
    random.shuffle(order)
    times, answers, lock = {kind: [] for kind in kinds}, set(), threading.Lock()

    def work():
        while True:
            with lock:
                if not order:
                    return
                kind = order.pop()
            taken, answer = one_try(server, *kinds[kind])
            with lock:
                times[kind].append(taken * 1000)
                answers.add(answer)
    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, answers


def told_apart(a, b):
    """The chance that a try of the one kind takes longer than one of the other (the area under the ROC curve), at least 0.5."""
    ranked = sorted([(t, 0) for t in a] + [(t, 1) for t in b])
    ranks = sum(rank for rank, (_, kind) in enumerate(ranked, 1) if kind == 0)
    area = (ranks - len(a) * (len(a) + 1) / 2) / (len(a) * len(b))
    return max(area, 1 - area)


def report(name, times, answers):
    medians = {kind: statistics.median(t) for kind, t in times.items()}
    apart = max(medians.values()) - min(medians.values())
    worst = 0
    print("%s: %d answers that differ" % (name, len(answers)))
    for kind, taken in times.items():
        area = told_apart(taken, times["wrong"]) if kind != "wrong" else 0.5
        worst = max(worst, area)
        print("  %-12s %5d tries, median %8.3f ms, told from a wrong password: %.3f" % (kind, len(taken), medians[kind], area))
    good = len(answers) == 1 and apart <= MEDIAN_MS and worst <= CLASSIFIER
    print("  medians %.3f ms apart, best classifier %.3f: %s" % (apart, worst, "within the bars" if good else "NOT within the bars"), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=2000, help="tries of each kind")
    parser.add_argument("-j", type=int, default=40, help="connections at a time")
    options = parser.parse_args()
    good = True
    for name, make in (("passwd file", passwd_file_server), ("PAM (pam_unix)", pam_server)):
        server, kinds = make()
        server.start()
        try:
            good &= report(name, *measure(server, kinds, options.n, options.j))
        finally:
            server.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
