"""fail2ban's filter and jail, as shipped, over what the real server logs: the address that is banned is the one that guessed.

The server writes to /dev/log, where this test listens as a syslog daemon does and makes a file of it in rsyslog's form; the journal's
form is made of the same datagrams as fail2ban's systemd backend makes it. POSTERN_FUZZ=full tries 10,000 names instead of some hundred.
"""
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

from client import Client
from postern import ROOT, Server, need_mounts, run_directory
from processes import wait_until
from test_auth import plain

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent.parent / "systemd" / "fail2ban"
NAMES = 10000 if os.environ.get("POSTERN_FUZZ") == "full" else 300
CLIENTS = 8
VICTIM = "192.0.2.1"
# What a name would have to hold to be taken for the rest of the line, whole or in pieces.
PIECES = ['"', "'", " ", "peer=" + VICTIM, 'user="x"', "x\" peer=%s tls=none reason=\"wrong password\" reply=NOT_ACCEPTED ref=AAAAA" % VICTIM,
          "\x1b[2J", "\\", "\\x22", "\\\"", "=", "%s%n", "<HOST>", "\t", "ä", "日本", "\xff", "keeper: login failed: ", "rip=" + VICTIM,
          "postern[1]: keeper: login failed: user=\"y\" peer=" + VICTIM, "not asked again", "(", ")", "[", "]", "$", "^", "::1", VICTIM, "\x7f", "\x01",
          "\n", "\r\n", "\nNov 24 12:00:00 host postern[1]: keeper: login failed: user=\"z\" peer=%s tls=none reason=\"wrong password\"" % VICTIM]

SKIP = None if shutil.which("fail2ban-regex") else "no fail2ban here"
if not ROOT:
    SKIP = "needs root: another /dev/log"


class Syslog:
    """A syslog daemon for one server: it listens at `path` and writes what comes to `file`."""

    def __init__(self, base):
        self.path, self.file = base / "devlog", base / "mail.log"
        self.file.write_text("")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind(str(self.path))
        self.path.chmod(0o666)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with open(self.file, "a", encoding="ascii") as out:
            while True:
                text = re.sub(r"^<\d+>", "", self.sock.recv(1 << 16).decode("ascii"))
                out.write("%s mailhost %s\n" % (text[:15], text[16:]))
                out.flush()

    def lines(self):
        return self.file.read_text("ascii").splitlines()


def fuzzed_name(dice):
    name = "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 4))) or "x"
    # A NUL is refused before the login, so is what is longer.
    return name.encode("utf-8", "surrogateescape")[:120].decode("utf-8", "ignore") or "x"


def regex(log, *options):
    """What fail2ban's own tool finds in that file: addresses, one for each line that counts."""
    done = subprocess.run(["fail2ban-regex", "-o", "ip", *options, str(log), str(SHIPPED / "filter.d" / "postern.conf")],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0 and b"ERROR" not in done.stderr, done.stderr.decode()
    return done.stdout.decode().split()


@unittest.skipIf(SKIP, SKIP)
class Case(unittest.TestCase):
    settings = {"limits": {"free_failures": 0, "repeat_seconds": 600, "per_source": 40, "login_tries": 100}, "log": {"target": "syslog"}}

    def setUp(self):
        need_mounts()
        self.server = Server(("anna",), self.settings, start=False)
        self.addCleanup(self.server.stop)
        self.syslog = Syslog(self.server.base)
        self.server.setup = "mount -t tmpfs tmpfs /dev && : >/dev/log && mount --bind %s /dev/log && mknod /dev/null c 1 3 && " \
            "mknod /dev/urandom c 1 9 && chmod 666 /dev/null /dev/urandom" % self.syslog.path
        self.server.start()

    def fail(self_, *_):  # noqa: N805
        raise AssertionError(_)

    def guess(self, name, password, source):
        """A failed login, in UTF-8 if the name needs it: by AUTH PLAIN, which takes any octet but NUL."""
        with Client(self.server, source=source) as client:
            return self.guess_on(client, name, password)

    def guess_on(self, client, name, password):
        line = client.cmd("AUTH PLAIN " + plain("", name, password))
        self.assertTrue(line.startswith("-ERR"), line)
        return line

    def failed(self):
        """The log's lines about failed logins, by what no name can forge: how the line begins, and what follows the quote."""
        return [line for line in self.syslog.lines() if re.match(r"\S+ +\d+ \S+ mailhost postern\[\d+\]: keeper: login failed: ", line)]


if __name__ == "__main__":
    unittest.main()
