"""postern log: a user's sessions and failures in order, for root and for the user, and verdicts with their evidence."""
import json
import re
import time
import unittest

import bodies
from postern import ROOT
from processes import wait_until
from test_explain import DATA, USAGE, CommandCase, reference

EVENT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", re.M)


class LogCase(CommandCase):
    def log(self, *arguments, **options):
        return self.command("log", *arguments, **options)

    def found(self, *arguments, uid=None):
        return json.loads(self.log("--json", *arguments, uid=uid))

    def events(self, peer, count, *arguments):
        """The events from that address, when there are so many."""
        def look():
            events = [e for e in self.found(*arguments)["events"] if e["peer"] == peer]
            return len(events) >= count and events
        events = wait_until(look, "%d events of %s" % (count, peer))
        self.assertEqual(len(events), count)
        return events

    def verdicts(self, peer):
        return {v["verdict"]: v["text"] for v in self.found()["verdicts"] if peer in v["text"]}


class Events(LogCase):
    def setUp(self):
        super().setUp()
        self.anna.empty()
        for n in range(6):
            self.anna.deliver(bodies.message("m%d" % n))

    def test_a_session(self):
        client = self.login(source="127.0.4.1", tls=True)
        size = len(client.retr(1)) + len(client.retr(2))
        client.ok("DELE 1")
        client.quit()
        event, = self.events("127.0.4.1", 1)
        want = {"kind": "session", "user": "anna", "end": "quit", "messages": 6, "fetched": 2, "octets_sent": size, "deleted": 1, "left": 5,
                "deletions_dropped": 0, "mailbox": "maildir:%s" % self.anna.maildir}
        self.assertEqual({name: event[name] for name in want}, want)
        self.assertRegex(event["tls"], r"^TLSv1\.[23]$")
        self.assertLess(abs(event["begin_ms"] / 1000 - time.time()), 60)
        line, = (line for line in self.log("--user", "anna").split("\n") if "127.0.4.1 " in line)
        self.assertRegex(line, r"^\S+ \S+  127\.0\.4\.1 +TLSv1\.[23]  2 of 6 fetched \(%d octets\), 1 deleted, 5 left; [\d.]+ s; quit$" % size)

    def test_failures_stand_between(self):
        """In the order in which they began; a session that was there first stands first, though it ends last."""
        holder = self.login(source="127.0.4.2")
        with self.client(source="127.0.4.2") as client:
            client.ok("USER anna")
            locked = reference(client.err("PASS secret"))
            told = int(time.time() * 1000)
            # Records have milliseconds: within one they have no order.
            wait_until(lambda: int(time.time() * 1000) > told, "the next millisecond")
            client.ok("USER anna")
            wrong = reference(client.err("PASS wrong"))
        holder.quit()
        events = self.events("127.0.4.2", 3)
        self.assertEqual([e.get("reference") for e in events], [None, locked, wrong])
        self.assertEqual([e["kind"] for e in events], ["session", "failure", "failure"])
        text = self.log("--user", "anna")
        self.assertIn("-ERR [AUTH] invalid password (ref %s)\n" % wrong, text)

    def test_whose(self):
        for user in ("anna", "bert"):
            self.login(user, source="127.0.4.3").quit()
        self.assertEqual([e["user"] for e in self.events("127.0.4.3", 2)], ["anna", "bert"])
        self.assertEqual([e["user"] for e in self.events("127.0.4.3", 1, "--user", "bert")], ["bert"])
        self.assertEqual(self.found("--user", "nobody-here")["events"], [])
        self.assertIn("nothing is on record", self.log("--user", "nobody-here"))

    @unittest.skipUnless(ROOT, "without root one uid does everything, and all records are its own")
    def test_names_that_are_nobodys(self):
        """Scanners try many; they are counted, and shown when asked for."""
        with self.client(source="127.0.4.4") as client:
            ref = reference(client.err("USER root-of-all"))
        self.events("127.0.4.4", 1, "--all")
        self.assertNotIn("127.0.4.4", self.log())
        self.assertRegex(self.log(), r"\(and \d+ failures? before a login with names that are no user's; --all shows them\)")
        self.assertIn(ref, self.log("--all"))
        self.assertIn(ref, self.log("--user", "root-of-all"))

    def test_since(self):
        self.login(source="127.0.4.5").quit()
        self.events("127.0.4.5", 1)
        now = time.gmtime()
        for since in ("5m", "1h", "2d", "1w", time.strftime("%Y-%m-%d", now)):
            self.assertIn("127.0.4.5", self.log("--since", since), since)
        tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
        for since in ("0m", tomorrow, tomorrow + " 10:30"):
            self.assertNotIn("127.0.4.5", self.log("--since", since), since)
        for since in ("yesterday", "2x", "d", "", "-1d", "2026-13-45", "2026-02-31", "2026-11-20x"):
            self.assertIn("is no time", self.log("--since", since, status=DATA), since)

    def test_usage(self):
        for arguments in (["anna"], ["--nonsense"], ["--user"]):
            self.log(*arguments, status=USAGE)
        self.log("--user", "x" * 200, status=DATA)
        self.assertIn("usage: postern log", self.log("--help"))

    def test_nothing_that_a_terminal_obeys(self):
        with self.client(source="127.0.4.6") as client:
            client.err(b"USER \x1b[2J\x07\x9b1m")
        self.events("127.0.4.6", 1, "--all")
        for arguments in (["--all"], ["--all", "--json"]):
            self.assertNotRegex(self.log(*arguments), r"[^\x20-\x7e\n]")

    @unittest.skipUnless(ROOT, "needs several users")
    def test_ordinary_users(self):
        bert = self.server.users["bert"]
        for user in ("anna", "bert"):
            self.login(user, source="127.0.4.7").quit()
        with self.client(source="127.0.4.7") as client:
            client.ok("USER anna")
            client.err("PASS wrong")
        self.events("127.0.4.7", 3)
        for user, kinds in ((self.anna, {"session", "failure"}), (bert, {"session"})):
            found = self.found(uid=user.uid)
            self.assertTrue(found["own_only"])
            self.assertEqual({e["user"] for e in found["events"]}, {user.name})
            self.assertEqual({e["kind"] for e in found["events"] if e["peer"] == "127.0.4.7"}, kinds)
        self.assertEqual(self.found("--user", "anna", uid=bert.uid)["events"], [])
        text = self.log(uid=bert.uid)
        self.assertIn("only what concerns uid %d" % bert.uid, text)
        self.assertNotIn("anna", text)

    @unittest.skipUnless(ROOT, "needs several users")
    def test_nothing_about_others(self):
        self.assertIn("nothing is on record", self.log(uid=29999))


class Verdicts(LogCase):
    """Real sessions; what is judged by which rule is in tests/unit/cli/test_log_verdicts.c."""

    def setUp(self):
        super().setUp()
        self.anna.empty()
        for n in range(6):
            self.anna.deliver(bodies.message("m%d" % n))

    def fetch_all(self, source):
        client = self.login(source=source)
        for n in range(6):
            client.retr(n + 1)
        client.quit()

    def test_marks_are_dropped(self):
        client = self.login(source="127.0.5.1")
        for n in range(4):
            client.ok("DELE %d" % (n + 1))
        client.close()
        self.events("127.0.5.1", 1)
        self.assertRegex(self.verdicts("127.0.5.1")["closed-without-quit"], r"closed without QUIT: 4 deletions dropped in 1 session")
        text = re.sub(r"\s+", " ", self.log("--user", "anna"))
        self.assertIn("What this says: ", text)
        self.assertIn("closed without QUIT: 4 deletions dropped", text)

    def test_client_that_lost_its_state(self):
        self.fetch_all("127.0.5.2")
        self.fetch_all("127.0.5.2")
        self.events("127.0.5.2", 2)
        self.assertIn("fetched all 6 again", self.verdicts("127.0.5.2")["lost-state"])

    def test_new_mail_is_fetched_and_nothing_is_said(self):
        self.fetch_all("127.0.5.3")
        self.anna.empty()
        for n in range(6):
            self.anna.deliver(bodies.message("n%d" % n))
        self.fetch_all("127.0.5.3")
        self.events("127.0.5.3", 2)
        self.assertNotIn("lost-state", self.verdicts("127.0.5.3"))

    def test_polls(self):
        for _ in range(7):
            self.login("bert", source="127.0.5.4").quit()
        self.events("127.0.5.4", 7)
        self.assertRegex(self.verdicts("127.0.5.4")["polls-often"], r"polls every .*: 7 sessions from ")

    def test_two_devices(self):
        holder = self.login("bert", source="127.0.5.5")
        for _ in range(2):
            with self.client(source="127.0.5.6") as client:
                client.ok("USER bert")
                client.err("PASS secret", "unable to lock")
        holder.quit()
        self.events("127.0.5.6", 2)
        self.assertIn("127.0.5.6 had to wait for 127.0.5.5", self.verdicts("127.0.5.6")["two-devices"])


if __name__ == "__main__":
    unittest.main()
