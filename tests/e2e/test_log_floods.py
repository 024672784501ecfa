"""Floods and the log: at most ten lines a second of a kind, what has no line is counted, and a log that nobody reads stalls nobody."""
import os
import re
import threading
import time
import unittest

from client import Client
from log_daemon import FILLER, LogDaemon
from postern import ROOT, Server, need_mounts
from processes import wait_until
from test_auth import plain

LINES_A_SECOND = 10
ROUNDS = 10


class Counted(unittest.TestCase):
    def server(self, **settings):
        server = Server(("anna",), settings)
        self.addCleanup(server.stop)
        return server

    def expect_sum(self, server, line, more, total):
        """Lines and sums make `total`."""
        def counts():
            log = server.log()
            return len(re.findall(line, log)), sum(map(int, re.findall(more, log)))
        wait_until(lambda: sum(counts()) >= total, lambda: "%d of %r in all: %s" % (total, line, counts()), 30)
        self.assertEqual(sum(counts()), total, counts())
        return counts()[0]

    def test_failed_logins(self):
        """More a second than the log takes, from many addresses."""
        self.flood(self.server(limits={"free_failures": 0, "login_tries": 100}))

    def test_back_end_in_trouble(self):
        """The server's own trouble is a line, or counted, too."""
        server = self.server(limits={"free_failures": 0, "login_tries": 100})
        os.chmod(server.passwd_file, 0o644)
        self.flood(server)

    def flood(self, server):
        begun = time.monotonic()

        def guess(n):
            with Client(server, source="127.0.0.%d" % (10 + n)) as client:
                for k in range(10):
                    assert client.cmd("AUTH PLAIN " + plain("", "nobody%d" % n, "p%d" % k)).startswith("-ERR")
        threads = [threading.Thread(target=guess, args=(n,)) for n in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        lines = self.expect_sum(server, "keeper: login failed: ", r"master: (\d+) more failed logins in \d+ seconds", 300)
        self.assertLessEqual(lines, LINES_A_SECOND * (int(seconds) + 2))
        self.assertLess(lines, 300)

    def test_odd_maildrop(self):
        """What a user puts into his Maildir does not fill the log, however often he logs in."""
        server = self.server()
        cur = server.users["anna"].maildir / "cur"
        for n in range(100):
            (cur / ("%d.no-message" % n)).mkdir()
        for _ in range(2):
            mark = server.mark()
            with server.login() as client:
                self.assertEqual(client.stat()[0], 0)
                client.quit()
            server.wait_for_log('session: user="anna" login=yes', since=mark)
            lines = re.findall("maildrop of .*", server.log()[mark:])
            self.assertEqual(len(lines), 21, lines[:3])
            self.assertIn("skipped, it is a directory", lines[0])
            self.assertIn("what else is odd there is not logged", lines[20])

    def test_no_login(self):
        server = self.server()
        begun = time.monotonic()
        for _ in range(150):
            Client(server, source="127.0.0.9").close()
        seconds = time.monotonic() - begun
        lines = self.expect_sum(server, 'login=no peer=127.0.0.9 ', r"master: (\d+) more connections without a login in \d+ seconds", 150)
        self.assertLessEqual(lines, LINES_A_SECOND * (int(seconds) + 2))

    def test_refused(self):
        server = self.server(limits={"per_source": 1})
        holder = Client(server, source="127.0.0.9")
        for _ in range(100):
            with Client(server, source="127.0.0.9", greeting=False) as client:
                self.assertIn("connections open", client.status())
        self.expect_sum(server, "refused: peer=127.0.0.9 ", r"(?:refused: |ref=\w+ \()(\d+) more ", 100)
        holder.close()

    def test_told(self):
        """One client that asks for the same answer again and again."""
        server = self.server(tls={"plaintext_login": "never"})
        with Client(server) as client:
            client.send(b"USER anna\r\n" * 50)
            for _ in range(50):
                self.assertIn("encryption required", client.status())
        self.expect_sum(server, "told: .* reply=TLS_FIRST ", r"keeper: peer=127.0.0.1: (\d+) more answers with a reference", 50)
        self.assertEqual(server.log().count(" reply=TLS_FIRST "), 1)


class Blocked(unittest.TestCase):
    """The log's other end reads nothing, and then it does."""

    def use(self, server):
        """Sessions, failures and refusals, each with a line."""
        for n in range(ROUNDS):
            with Client(server) as client:
                self.assertTrue(client.cmd("AUTH PLAIN " + plain("", "nobody", "p%d" % n)).startswith("-ERR"))
            with Client(server) as client:
                client.login("anna")
                client.quit()

    def expect_lost(self, server, log):
        """Somebody reads again: the log says how many lines it has not."""
        def said():
            with Client(server) as client:
                client.login("anna")
                client.quit()
            return re.search(r": (\d+) lines lost: the log did not take them", log())
        lost = wait_until(said, "the lost lines are counted")
        self.assertGreater(int(lost.group(1)), ROUNDS)
        wait_until(lambda: 'session: user="anna"' in log()[log().index("lines lost"):], "the log goes on")

    def test_stderr(self):
        server = Server(("anna",), {"limits": {"free_failures": 0}}, start=False)
        self.addCleanup(server.stop)
        fifo = server.base / "fifo"
        os.mkfifo(fifo)
        end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, end)
        server.start(launcher=["sh", "-c", 'exec "$0" "$@" 2>%s' % fifo])
        try:
            while True:
                os.write(end, b"x" * 4096)
        except BlockingIOError:
            pass
        self.use(server)
        seen = [b""]

        def log():
            try:
                seen[0] += os.read(end, 1 << 20)
            except BlockingIOError:
                pass
            return seen[0].decode()
        self.expect_lost(server, log)

    @unittest.skipUnless(ROOT, "needs root: another /dev/log")
    def test_sockets(self):
        need_mounts()
        for target in LogDaemon.FORMS:
            with self.subTest(target):
                server = Server(("anna",), {"log": {"target": target}, "limits": {"free_failures": 0}}, start=False)
                self.addCleanup(server.stop)
                daemon = LogDaemon(server.base, target)
                server.setup = daemon.setup()
                server.start()
                self.fill(daemon)
                self.use(server)
                daemon.start()
                self.expect_lost(server, daemon.file.read_text)

    def fill(self, daemon):
        with daemon.sender() as sender:
            try:
                while True:
                    sender.send(FILLER)
            except BlockingIOError:
                pass


if __name__ == "__main__":
    unittest.main()
