"""postern stats: sums over a time."""
import json
import os
import subprocess
import time
import unittest

import situations
from client import Client
from postern import BUILD, PREFIX, ROOT, Server
from processes import wait_until

LETTER = b"Subject: a\n\n" + b"x" * 70 + b"\n"


class Stats(unittest.TestCase):
    def setUp(self):
        self.begin()

    def begin(self, **settings):
        self.server = Server(("anna", "bert"), settings)
        self.addCleanup(self.server.stop)

    def stats(self, *arguments):
        return situations.postern("stats", *arguments, config=self.server.config_file)

    def counted(self, *arguments):
        return json.loads(self.stats("--json", *arguments))

    def client(self, source):
        client = Client(self.server, source=source)
        self.addCleanup(client.close)
        return client

    def test_sums(self):
        self.assertIn("0 sessions of 0 users from 0 addresses", self.stats())
        self.assertIn("no failure", self.stats())
        for _ in range(3):
            self.server.users["anna"].deliver(LETTER)
        sent = 0
        for user, source in (("anna", "127.0.0.2"), ("anna", "127.0.0.3"), ("bert", "127.0.0.2")):
            client = self.client(source)
            client.login(user)
            if user == "anna":
                sent += len(client.retr(1))
                client.ok("DELE 1")
            client.quit()
        broken = self.client("127.0.0.2")
        broken.login("anna")
        broken.ok("DELE 1")
        broken.close()
        for source, lines in (("127.0.0.2", ("USER anna", "PASS wrong")), ("127.0.0.3", ("USER anna", "PASS wrong")), ("127.0.0.2", ("USER bert", "PASS wrong")),
                              ("127.0.0.2", ("USER nobody",))):
            client = self.client(source)
            for line in lines:
                answer = client.cmd(line)
            self.assertTrue(answer.startswith("-ERR"), answer)
            client.quit()
        got = wait_until(lambda: (lambda c: c if c["sessions"] == 4 and len(c["failures"]) == 2 else None)(self.counted()), lambda: self.stats())
        self.assertEqual({k: got[k] for k in ("fetched", "deleted", "deletions_dropped", "users", "peers", "own_only")},
                         {"fetched": 2, "deleted": 2, "deletions_dropped": 1, "users": 2, "peers": 2, "own_only": False})
        self.assertEqual(got["octets_sent"], sent)
        self.assertEqual([(e["end"], e["count"]) for e in got["ends"]], [("quit", 3), ("closed by the client without QUIT", 1)])
        self.assertEqual([(f["reply"], f["count"], f["users"], f["peers"]) for f in got["failures"]],
                         [("INVALID_PASSWORD", 3, 2, 2), ("MAILBOX_UNKNOWN", 1, 1, 1)])
        text = self.stats()
        for words in ("4 sessions of 2 users from 2 addresses", "2 messages fetched (", "2 deleted; 1 deletion dropped for want of QUIT", "      3  quit\n",
                      "      3  INVALID_PASSWORD  2 users, 2 addresses; the last: postern explain %s\n" % got["failures"][0]["reference"]):
            self.assertIn(words, text)
        self.assertIn("INVALID_PASSWORD", situations.postern("explain", "--json", got["failures"][0]["reference"], config=self.server.config_file))
        none = self.counted("--since", "0m")
        self.assertEqual((none["sessions"], none["failures"]), (0, []))

    def test_record_is_bounded(self):
        """More happened than is kept: it says from when on the sums hold."""
        self.begin(log={"history": 16})
        for number in range(17):
            client = self.client("127.0.0.2")
            client.cmd("USER nobody%d" % number)
            client.quit()
        wait_until(lambda: self.counted()["failures"][0]["count"] == 16, lambda: self.stats())
        self.assertIn("(not all of it is on record any more: from ", self.stats())
        self.assertGreater(self.counted()["since_ms"], (time.time() - 3600) * 1000)
        self.assertNotIn("not all", self.stats("--since", "0m"))

    @unittest.skipUnless(ROOT, "as root, to become somebody else")
    def test_own(self):
        """A user with a shell sees sums of his own sessions."""
        for user in ("anna", "bert"):
            client = self.client("127.0.0.2")
            client.login(user)
            client.quit()
        wait_until(lambda: self.counted()["sessions"] == 2, lambda: self.stats())
        anna = self.server.users["anna"]
        done = subprocess.run([*PREFIX, str(BUILD / "postern"), "stats", "-c", str(self.server.config_file), "--json"], stdout=subprocess.PIPE, check=True,
                              user=anna.uid, group=anna.gid, extra_groups=[], env=dict(os.environ))
        got = json.loads(done.stdout)
        self.assertEqual((got["sessions"], got["users"], got["own_only"]), (1, 1, True))

    def test_arguments(self):
        self.assertIn("usage: postern stats", self.stats("--help"))
        for arguments, words in ((["--since", "yesterday"], "is no time"), (["anna"], "usage:"), (["--sinc"], "usage:")):
            done = subprocess.run([*PREFIX, str(BUILD / "postern"), "stats", "-c", str(self.server.config_file), *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=False)
            self.assertIn(words, done.stderr.decode())
            self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
