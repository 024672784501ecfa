"""Floods and the log: at most ten lines a second of a kind, what has no line is counted, and a log that nobody reads stalls nobody."""
import os
import re
import signal
import socket
import threading
import time
import unittest

from client import Client
from log_daemon import FILLER, LogDaemon
from postern import ROOT, Server, need_mounts
from processes import wait_until
from test_auth import plain
from test_tls import client_hello

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

    @unittest.skipUnless(ROOT, "who starts the server owns the mailbox, and root may remove what he likes")
    def test_messages_that_stay(self):
        """A mailbox of which nothing can be removed, as its owner may make it, is ten lines at each QUIT, and a number."""
        server = self.server()
        anna = server.users["anna"]
        for _ in range(60):
            anna.deliver(b"x\n")
        with server.login() as client:
            for n in range(1, 61):
                client.ok("DELE %d" % n)
            (anna.maildir / "new").chmod(0o500)
            self.assertIn("60 of 60", client.err("QUIT"))
        named = r"message \d+ \(uidl \S+\) not removed: Permission denied"
        self.assertEqual(self.expect_sum(server, named, r"user=\"anna\" (\d+) more messages not removed", 60), 10)

    def test_odd_files(self):
        """So are files in a Maildir that are no messages."""
        server = self.server()
        anna = server.users["anna"]
        for n in range(60):
            os.symlink("/etc/passwd", anna.maildir / "new" / str(n))
        with server.login() as client:
            client.quit()
        self.assertEqual(self.expect_sum(server, r"new/\d+: skipped, it is a symbolic link", r"maildrop of \"anna\": (\d+) more of such lines", 60), 10)

    def test_no_signature(self):
        """More handshakes than the signer can sign: what is said of each is said of ten a second, and the others are in the sum of connections without a login."""
        server = self.server(limits={"per_source": 100})
        server.expect_trouble = True
        os.kill(server.signers()[0].pid, signal.SIGSTOP)
        self.addCleanup(lambda: [os.kill(s.pid, signal.SIGCONT) for s in server.signers()])
        connections, begun = [], time.monotonic()
        for _ in range(60):
            connections.append(socket.create_connection(("127.0.0.1", server.pop3s_port)))
            self.addCleanup(connections[-1].close)
            connections[-1].sendall(client_hello())
        took = time.monotonic() - begun
        wait_until(lambda: len(server.gates()) < 10, "all handshakes have failed", 30)
        said = server.log().count("no signature for a TLS handshake")
        self.assertGreaterEqual(said, 1)
        # Ten of those that came in one second, where such a second may begin and end within the time.
        self.assertLessEqual(said, 10 * (int(took) + 2))
        if said < 30:
            server.wait_for_log(r"master: \d+ more connections without a login")

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
