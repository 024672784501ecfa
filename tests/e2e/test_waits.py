"""Situations that take half a minute: other programs that keep an mbox locked, and sessions that are silent. All of them wait at
the same time.
"""
import subprocess
import sys
import threading
import unittest

import bodies
import situations
from client import Client
from postern import Server
from processes import PATIENCE, wait_until

A, B = b"Subject: a\n\none\n", b"Subject: b\n\ntwo\n"
USERS = ("named", "deliver", "nobody", "quit", "silent", "busy")

# A program of that name that holds a lock until its standard input ends.
HOLDER = """
import fcntl, os, sys
open("/proc/self/comm", "w").write(sys.argv[1])
f = open(sys.argv[2], "r+b")
if sys.argv[3] == "fcntl":
    fcntl.lockf(f, fcntl.LOCK_EX)
else:
    open(sys.argv[2] + ".lock", "x").write("%d\\n" % os.getpid() if sys.argv[3] == "signed" else "0")
print("ready", flush=True)
sys.stdin.read()
"""


class Waits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(USERS, {"maildrop": {"on_locked": "take-over"}}, location="mbox:SPOOL/%u")
        cls.addClassCleanup(cls.server.stop)
        for user in cls.server.users.values():
            user.write_mbox(bodies.mbox([A, B]))
        cls.lines, cls.silent = {}, None
        cls.at_quit = cls.connect("quit")
        cls.at_quit.ok("DELE 1")
        cls.silent = cls.connect("silent", source="127.0.0.7")
        cls.silent.ok("DELE 1")
        cls.busy = cls.connect("busy")
        cls.held = [cls.hold("named", "mutt", "fcntl"), cls.hold("deliver", "procmail", "signed"), cls.hold("nobody", "x", "unsigned"),
                    cls.hold("quit", "x", "unsigned")]
        threads = [threading.Thread(target=cls.password, args=(user,)) for user in ("named", "deliver", "nobody")]
        threads.append(threading.Thread(target=lambda: cls.lines.update(quit=cls.at_quit.cmd("QUIT"))))
        threads.append(threading.Thread(target=cls.wait_for_silence))
        threads.append(threading.Thread(target=cls.drip))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for popen in cls.held:
            popen.communicate()

    @classmethod
    def connect(cls, user, **options):
        client = Client(cls.server, **options)
        client.sock.settimeout(90 * PATIENCE)
        cls.addClassCleanup(client.close)
        client.login(user)
        return client

    @classmethod
    def password(cls, user):
        with Client(cls.server) as client:
            client.sock.settimeout(90 * PATIENCE)
            client.ok("USER " + user)
            cls.lines[user] = client.cmd("PASS secret")

    @classmethod
    def drip(cls):
        """Part of a command, and never its end. Octets on the way do not help: the time is for a whole line."""
        with Client(cls.server, source="127.0.0.9") as client:
            client.sock.settimeout(1)
            client.send(b"USER ")
            while True:
                try:
                    cls.lines["drip"] = client.status()
                    break
                except TimeoutError:
                    client.send(b"a")

    @classmethod
    def hold(cls, user, name, kind):
        popen = subprocess.Popen([sys.executable, "-c", HOLDER, name, str(cls.server.users[user].mbox), kind],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert popen.stdout.readline() == b"ready\n"
        return popen

    @classmethod
    def wait_for_silence(cls):
        """Until a login takes over the silent session, and never the busy one."""
        def attempt(user):
            with Client(cls.server, source="127.0.0.8") as client:
                client.ok("USER " + user)
                line = client.cmd("PASS secret")
                if line.startswith("+OK"):
                    cls.lines["left"] = client.stat()[0]
                    client.quit()
                cls.lines.setdefault("first " + user, line)
                return line.startswith("+OK")

        def taken_over():
            cls.busy.ok("NOOP")
            assert not attempt("busy"), "a session that was in use was ended"
            return attempt("silent")
        wait_until(taken_over, "the silent session is ended", 60)
        cls.lines["silent"] = cls.silent.status()
        cls.lines["end"] = cls.silent.rest()

    def check(self, row, situation, user, says):
        situations.check(self.server, row, situation, self.lines[user], user=user, says=says)

    def test_program_is_named(self):
        self.check("BUSY_NAMED", "a mail reader holds the fcntl lock", "named", r"mutt \(process \d+\) held its fcntl lock")
        self.assertRegex(self.lines["named"], r"another program is using it: mutt \(process %d\);" % self.held[0].pid)

    def test_delivery_is_told_apart(self):
        self.check("BUSY_DELIVERY", "a delivery agent holds the dotlock", "deliver", r"procmail \(process \d+\) held its dotlock lock")

    def test_unknown_program(self):
        self.check("BUSY", "a dotlock that says nothing", "nobody", "another program held its dotlock lock")

    def test_quit(self):
        self.check("KEPT_BUSY", "another program holds the lock at QUIT", "quit", "held its dotlock lock")
        self.assertEqual(self.server.users["quit"].mbox.read_bytes(), bodies.mbox([A, B]))

    def test_half_a_command(self):
        situations.check(self.server, "COMMAND_TIMEOUT", "half a command for a minute", self.lines["drip"], peer="127.0.0.9")
        self.server.wait_for_log(r'session: user="" login=no peer=127\.0\.0\.9 .*seconds=6\d\.\d+ end="no command in time"')

    def test_take_over(self):
        """The silent session is told by whom, has deleted nothing, and is over; the busy one goes on."""
        situations.check(self.server, "LOCKED_SOON", "take-over before its time", self.lines["first silent"], user="silent", peer="127.0.0.8")
        situations.check(self.server, "TAKEN_OVER", "a newer login", self.lines["silent"], user="silent", peer="127.0.0.7")
        self.assertIn("newer login of yours from 127.0.0.8;", self.lines["silent"])
        self.assertEqual(self.lines["end"], b"")
        self.assertEqual(self.lines["left"], 2)
        self.assertEqual(self.server.users["silent"].mbox.read_bytes(), bodies.mbox([A, B]))
        self.server.wait_for_log(r'session: user="silent" .*dropped-marks=1 .*end="taken over by a newer login"')
        self.busy.ok("RETR 1")
        self.busy.body()
        self.busy.quit()


if __name__ == "__main__":
    unittest.main()
