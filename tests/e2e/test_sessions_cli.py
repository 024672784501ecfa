"""postern sessions: who has a mailbox open at this moment."""
import json
import os
import signal
import time
import unittest
from pathlib import Path

import bodies
import situations
from postern import ROOT
from processes import wait_until
from test_explain import USAGE, CommandCase, postern

DATA = 65
IO = 74
TEMPORARY = 75
CONFIG = 78


class Sessions(CommandCase):
    def sessions(self, *arguments, **options):
        return self.command("sessions", *arguments, **options)

    def found(self, *arguments):
        return json.loads(self.sessions("--json", *arguments))["sessions"]

    def test_who_from_where_since_when(self):
        self.assertEqual(self.sessions(), "no session is open\n")
        before = int(time.time())
        anna = self.login("anna", source="127.0.6.1")
        bert = self.login("bert", source="127.0.6.2", tls=True)
        self.assertEqual([(s["user"], s["peer"]) for s in sorted(self.found(), key=lambda s: s["user"])], [("anna", "127.0.6.1"), ("bert", "127.0.6.2")])
        session, = self.found("--user", "bert")
        self.assertLessEqual(before * 1000, session["since_ms"])
        self.assertLess(session["duration_ms"], 60000)
        self.assertEqual(Path("/proc/%d/exe" % session["process"]).resolve().name, "posternd")
        self.assertEqual(self.found("--user", "nobody-here"), [])
        self.assertRegex(self.sessions("--user", "anna"), r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S.*  127\.0\.6\.1 +process \d+ +anna\n$")
        anna.quit()
        self.assertEqual([s["user"] for s in self.found()], ["bert"])
        bert.close()
        wait_until(lambda: not self.found(), "the end of a session whose client went away")

    def test_a_name_that_is_not_shown_as_it_is(self):
        self.server.write_passwd(self.anna.record(name="b\u00f6rte"))
        with self.client() as client:
            client.ok("USER b\u00f6rte")
            client.ok("PASS secret")
            self.assertEqual([s["user"] for s in self.found("--user", "b\u00f6rte")], ["b\\xc3\\xb6rte"])
            self.assertEqual(self.found("--user", "b\u00f6rt"), [])
            client.quit()

    def test_a_name_as_it_is_typed(self):
        """As a login has it: who is known as anna may be asked about as Anna@example.org."""
        other = self.server.base / "other.conf"
        other.write_text(Path(self.server.config_file).read_text().replace("[auth]\n", "[auth]\nuser_names = lowercase\nlocal_domains = example.org\n"))
        holder = self.login("anna")
        got, out, err = postern("sessions", "-c", other, "--user", "Anna@Example.org")
        self.assertRegex(out, r"process \d+ +anna\n$", err)
        if ROOT:
            got, out, err = postern("sessions", "-c", other, "--end", "Anna@Example.org")
            self.assertRegex(out, r"^ended the session of anna from ", err)
        self.sessions("--user", "x" * 200, status=DATA)
        holder.close()

    def test_no_login_is_hindered(self):
        """Looking takes each lock that is free for a moment, which logins wait for."""
        for _ in range(20):
            self.found()
            self.login("anna").quit()
        holder = self.login("anna")
        self.found()
        with self.client() as client:
            client.ok("USER anna")
            client.err("PASS secret", "unable to lock")
        holder.quit()

    @unittest.skipUnless(ROOT, "only root ends sessions")
    def test_end(self):
        """Its client is told, nothing is deleted, and another user's session goes on."""
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.anna.empty()
                for _ in range(2):
                    self.anna.deliver(bodies.message())
                anna, bert = self.login("anna", source="127.0.6.1", tls=tls), self.login("bert")
                anna.ok("DELE 1")
                self.assertEqual(self.sessions("--end", "anna"), "ended the session of anna from 127.0.6.1\n")
                self.assertEqual([s["user"] for s in self.found()], ["bert"])
                situations.check(self.server, "ENDED", "postern sessions --end", anna.status(), user="anna", peer="127.0.6.1")
                self.assertEqual(anna.rest(), b"")
                bert.ok("NOOP")
                bert.quit()
                with self.login("anna") as again:
                    self.assertEqual(again.stat()[0], 2)
                    again.quit()
                self.server.wait_for_log(r'session: user="anna" .*dropped-marks=1 .*end="ended by the administrator"')
        self.assertEqual(self.sessions("--end", "anna"), "no session of anna is open\n")

    @unittest.skipUnless(ROOT, "only root ends sessions")
    def test_end_of_one_that_hangs(self):
        anna = self.login("anna")
        session, = self.found("--user", "anna")
        os.kill(session["process"], signal.SIGSTOP)
        try:
            # A session that was broken into may write another number there, for root to kill.
            lock = next(f for f in (self.server.base / "locks").iterdir() if b"\tanna\0" in f.read_bytes())
            lock.write_bytes(lock.read_bytes().replace(b" %d " % session["process"], b" 1 "))
            complaint = self.sessions("--end", "anna", status=TEMPORARY)
        finally:
            os.kill(session["process"], signal.SIGCONT)
        self.assertRegex(complaint, r"^postern: the session of anna from \S+ has not ended in 10 s: .*"
                         r"kill -KILL ends it, posternd \(process %d\), and loses no mail\n" % session["process"])
        # What was asked for is done when it goes on.
        self.assertIn("the administrator ended this session", anna.status())

    @unittest.skipUnless(ROOT, "only root ends sessions")
    def test_end_of_a_name_that_is_cut(self):
        """Of a long name the lock has the beginning, which may be another's, too."""
        one, other = "\u00f6" * 40 + "a", "\u00f6" * 40 + "b"
        self.server.write_passwd(self.anna.record(name=one), self.server.users["bert"].record(name=other))
        clients = [self.client() for _ in range(2)]
        for client, name in zip(clients, (one, other)):
            client.ok("USER " + name)
            client.ok("PASS secret")
        self.assertIn("cannot be told from another's", self.sessions("--end", one, status=DATA))
        for client in clients:
            client.ok("NOOP")
            client.quit()

    def test_usage(self):
        for arguments in (["anna"], ["--nonsense"], ["--user"], ["--end"], ["--end", "anna", "--json"], ["--end", "anna", "--user", "anna"], ["--end", "anna", "bert"]):
            self.sessions(*arguments, status=USAGE)
        self.assertIn("usage: postern sessions", self.sessions("--help"))
        got, _, err = postern("sessions", "-c", "/nonexistent/postern.conf")
        self.assertEqual((got, "No such file" in err), (CONFIG, True), err)

    @unittest.skipUnless(ROOT, "without root one uid does everything, and all locks are its own")
    def test_not_for_everybody(self):
        holder = self.login("anna")
        self.assertIn("Permission denied; run it as root", self.sessions(uid=self.anna.uid, status=IO))
        self.assertIn("only root ends a session; run it as root", self.sessions("--end", "anna", uid=self.anna.uid, status=IO))
        holder.quit()


if __name__ == "__main__":
    unittest.main()
