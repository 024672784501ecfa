"""Signals by the thousand to each kind of process, those that are not meant to end it; clients are served meanwhile and after.
3,000 for each kind, 60,000 with POSTERN_FAULT=full, at a thousand a second where the host lets us.
"""
import os
import signal
import threading
import time
import unittest

import bodies
from client import Client, Closed
from postern import ROOT, Server
from processes import PATIENCE, cpu_seconds, read_process, user_of, wait_until
from run import FULL

COUNT = 60000 if FULL else 3000
RATE = 1000
HARMLESS = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT)
# Of the rest a worker takes no notice: TERM and INT are for the master, which tells the workers in its own way.
DEAF = HARMLESS + (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class Storm(threading.Thread):
    """Sends so many of the signals, in turn, to the processes that find() returns, at the rate; sooner over when it is told to stop."""

    def __init__(self, find, signals, count=COUNT):
        super().__init__()
        self.find, self.signals, self.count, self.over = find, signals, count, threading.Event()
        self.sent, self.seconds = 0, 0.0

    def run(self):
        begun = time.monotonic()
        pids, looked = self.find(), begun
        while self.sent < self.count and not self.over.is_set():
            if time.monotonic() - looked > 1:
                pids, looked = self.find(), time.monotonic()
            for pid in pids[self.sent % max(1, len(pids)):][:1]:
                try:
                    os.kill(pid, self.signals[self.sent % len(self.signals)])
                except ProcessLookupError:
                    pids, looked = self.find(), time.monotonic()
            self.sent += 1
            # As many as the time that has passed asks for: what was missed is made up for.
            self.over.wait(max(0, begun + self.sent / RATE - time.monotonic()))
        self.seconds = time.monotonic() - begun

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Signals(unittest.TestCase):
    def begin(self, **options):
        server = Server(("anna", "bert", "carl"), settings={"limits": {"login_seconds": 600}}, **options)
        for name in ("anna", "bert"):
            server.users[name].deliver(bodies.message())
        self.addCleanup(server.stop)
        return server

    def session(self, server, tls):
        with Client(server, tls=tls) as client:
            client.login("bert")
            self.assertEqual(client.retr(1), bodies.wire(bodies.message()))
            client.quit()

    def serve(self, server, goes_on):
        """One session after the other, in clear, over TLS, as long as goes_on(): how many."""
        count = 0
        while goes_on():
            self.session(server, tls=count % 3 == 2)
            count += 1
        return count

    def storm(self, server, kind, find, signals, same=True):
        """same: none of the processes ends of it."""
        before = find()
        self.assertTrue(before, kind)
        with Storm(find, signals) as storm:
            served = self.serve(server, storm.is_alive)
        print("%s: %d signals in %.1f s, %d sessions" % (kind, storm.sent, storm.seconds, served))
        self.assertEqual(storm.sent, COUNT)
        self.assertGreater(served, 0)
        if same:
            self.assertEqual([pid for pid in before if read_process(pid) is None], [], kind)
        for tls in (False, True):
            self.session(server, tls)

    def test_master(self):
        server = self.begin()
        self.storm(server, "master", lambda: [server.pid], HARMLESS)

    def test_master_is_told_to_reload(self):
        """HUP among them. Each reload costs a nursery and a signer, so those that come meanwhile are done as one."""
        server = self.begin()
        before = cpu_seconds(server.pid)
        begun = time.monotonic()
        self.storm(server, "master with HUP", lambda: [server.pid], HARMLESS + (signal.SIGHUP,))
        took = time.monotonic() - begun
        reloads = server.log().count("read again")
        print("%d reloads, %.2f s of the master's time" % (reloads, cpu_seconds(server.pid) - before))
        self.assertGreater(reloads, 0)
        # One at once and one behind it, each second.
        self.assertLessEqual(reloads, 2 * (took + 2))
        wait_until(lambda: len(server.nurseries()) == len(server.signers()) == 1 and not server.zombies(), lambda: "one of each: %s" % server.processes(), 20)

    def test_reload_during_a_reload(self):
        """The last word counts, whenever it comes."""
        server = self.begin()
        for n in range(2, 12):
            server.write_config(limits={"per_source": n})
            os.kill(server.pid, signal.SIGHUP)

        def most():
            held = []
            try:
                for _ in range(20):
                    client = Client(server, greeting=False)
                    held.append(client)
                    if not client.raw_line().startswith(b"+OK"):
                        return len(held) - 1
                return len(held)
            except (Closed, OSError):
                return -1
            finally:
                for client in held:
                    client.close()
        wait_until(lambda: most() == 11, lambda: "11 connections of a source: %s" % server.log()[-1500:], 20)

    @unittest.skipUnless(ROOT, "needs root: the processes belong to several users")
    def test_others(self):
        server = self.begin()
        anna = server.login()
        carl = server.login("carl", tls=True)
        rows = [("nursery", lambda: [p.pid for p in server.nurseries()]), ("signer", lambda: [p.pid for p in server.signers()]),
                ("gates", lambda: [p.pid for p in server.gates()]),
                ("keeper in a session", lambda: [p.pid for p in server.keepers() if user_of(p.pid) == server.users["anna"].uid]),
                ("keepers before a login", lambda: [p.pid for p in server.keepers() if user_of(p.pid) == 0]),
                ("recorder", lambda: [p.pid for p in server.processes() if p.name == "posternd-record"])]
        for kind, find in rows:
            with self.subTest(kind):
                self.storm(server, kind, find, DEAF, same=kind not in ("gates", "keepers before a login"))
                anna.ok("NOOP")
                carl.ok("NOOP")
        for client in (anna, carl):
            client.quit()
        self.assertNotIn("killed by signal", server.log())

    @unittest.skipUnless(ROOT, "needs root: the helper belongs to the mail's owner, the server to another")
    def test_stopped_helper(self):
        """The mail's owner stops the lock file's helper of each of his sessions, which does not see its keeper's end then: none of them
        stays, and other sessions go on."""
        server = Server(("anna", "bert"), location="mbox:SPOOL/%u")
        self.addCleanup(server.stop)
        for name in ("anna", "bert"):
            server.users[name].write_mbox(bodies.mbox([bodies.message()]))
        bert = server.login("bert")

        def helpers():
            return [p for p in server.processes() if user_of(p.pid) == server.users["anna"].uid and p.ppid in [k.pid for k in server.keepers()]]
        for _ in range(5):
            anna = server.login()
            (helper,) = helpers()
            os.kill(helper.pid, signal.SIGSTOP)
            wait_until(lambda: read_process(helper.pid).state == "T", "the helper is stopped")
            anna.close()
            wait_until(lambda: read_process(helper.pid) is None, lambda: "the helper ends: %s" % (read_process(helper.pid),))
        bert.ok("DELE 1")
        bert.quit()
        with server.login() as anna:
            anna.ok("DELE 1")
            anna.quit()

    def test_stop_among_them(self):
        """TERM again and again: one stop, in order, and the exit status says so."""
        server = self.begin()
        anna = server.login()
        with Storm(lambda: [server.pid] if server.popen.poll() is None else [], HARMLESS + (signal.SIGTERM,), 60000):
            self.assertRegex(anna.rest(), rb"^-ERR \[SYS/TEMP\] ")
            server.popen.wait(20 * PATIENCE)
        server.stop()


if __name__ == "__main__":
    unittest.main()
