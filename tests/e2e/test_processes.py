"""The processes: limits and what a client reads at them, the pool, supervision (a dead half ends the other, no orphan, no
zombie, no descriptor lost), stopping, whose rights each process has.
"""
import os
import pwd
import re
import signal
import unittest

import bodies
from client import Client, Closed
from postern import ROOT, Server, ServerCase
from processes import descriptors, session_processes, user_of, wait_until

ACCOUNT_SESSIONS = 8  # daemon/contract.h


class Limits(unittest.TestCase):
    def refused(self, server, words, **options):
        """A connection that is told no, and why."""
        client = Client(server, greeting=False, **options)
        self.assertRegex(client.rest(), rb"^-ERR " + words + rb"[^\r\n]*\r\n$")
        client.close()

    def greeted(self, server, **options):
        """A connection that is served (again), as soon as the last one has been cleared away."""
        def connect():
            client = Client(server, greeting=False, **options)
            if client.raw_line().startswith(b"+OK"):
                return client
            client.close()
            return None
        client = wait_until(connect, "a connection that is served")
        self.addCleanup(client.close)
        return client

    def test_max(self):
        server = Server(("anna", "bert", "carl"), {"workers": {"spare_min": 1, "spare_max": 2, "max": 3}})
        self.addCleanup(server.stop)
        held = []
        for user in server.users:  # who has not logged in would have to make room
            held.append(self.greeted(server))
            held[-1].login(user)
        for _ in range(3):
            self.refused(server, rb"\[SYS/TEMP\] [^\r\n]*all 3 sessions")
        with self.assertRaises((OSError, Closed)):
            Client(server, tls=True)
        held[0].quit()
        again = self.greeted(server)
        again.login("anna")
        again.quit()
        server.wait_for_log(r"refused: peer=127\.0\.0\.1")

    @unittest.skipUnless(ROOT, "the gates' user is looked up by root")
    def test_gate_user_is_looked_up_once(self):
        """Another nursery asks nobody who the gates' user is: a user database that does not answer would hold the master up."""
        server = Server(start=False)
        self.addCleanup(server.stop)
        server.expect_trouble = True
        accounts = server.base / "accounts"
        with open("/etc/passwd", encoding="utf-8") as f:
            there = f.read()
        accounts.write_text(there + "gatekeeper:x:20098:20098::/nonexistent:/usr/sbin/nologin\n")
        server.setup = "mount --bind %s /etc/passwd" % accounts
        server.write_config(system={"gate_user": "gatekeeper"})
        server.start()
        with open(accounts, "r+", encoding="utf-8") as f:  # in place: it is what the server sees
            f.truncate(len(there.encode()))
        nursery = server.nurseries()[0].pid
        os.kill(nursery, signal.SIGKILL)
        wait_until(lambda: {p.pid for p in server.nurseries() if p.state != "Z"} - {nursery}, "another nursery")
        with self.greeted(server) as client:
            client.quit()
        self.assertNotIn("gate_user", server.log())

    def test_per_source(self):
        server = Server(settings={"limits": {"per_source": 2}})
        self.addCleanup(server.stop)
        held = [self.greeted(server, source="127.0.0.1") for _ in range(2)]
        self.refused(server, rb"[^\r\n]*2 of 2", source="127.0.0.1")
        self.greeted(server, source="127.0.0.2").quit()
        held[0].abort()
        self.greeted(server, source="127.0.0.1").quit()
        held[1].quit()

    def test_counts_are_given_back(self):
        """Connections that end in any way count no more."""
        server = Server(settings={"limits": {"per_source": 3}})
        self.addCleanup(server.stop)
        for n in range(60):
            client = self.greeted(server)
            (client.close, client.abort, client.quit)[n % 3]()

    def test_nobody_is_kept_out_by_silence(self):
        """All workers taken by peers that say nothing: their time to log in ends, or they make room, and others are served."""
        server = Server(settings={"workers": {"max": 3, "spare_max": 2}, "limits": {"login_seconds": 2}})
        self.addCleanup(server.stop)
        for n in range(3):
            self.greeted(server, source="127.0.0.%d" % (2 + n))
        self.greeted(server).quit()


class Pool(ServerCase):
    users = ("anna", "bert")
    settings = {"workers": {"spare_min": 3, "spare_max": 6, "max": 60}}

    @classmethod
    def prepare(cls, server):
        server.users["anna"].deliver(bodies.message())

    def settled(self):
        """The pool at rest: as many gates as keepers, all idle, no zombie."""
        def at_rest():
            keepers, gates = self.server.keepers(), self.server.gates()
            return (3 <= len(keepers) <= 6 and len(gates) == len(keepers) and not self.server.zombies() and
                    len(self.server.nurseries()) == len(self.server.signers()) == 1)
        wait_until(at_rest, lambda: "the pool is at rest: %s" % self.server.processes(), 20)

    def test_size(self):
        self.settled()
        clients = [self.client() for _ in range(25)]
        wait_until(lambda: len(self.server.keepers()) >= 25, "a worker for each connection")
        for n, client in enumerate(clients):
            (client.quit if n % 2 else client.abort)()
        self.settled()

    @unittest.skipUnless(ROOT, "needs root: what the processes have open is shown to nobody else")
    def test_descriptors_and_zombies(self):
        """After 300 sessions of all kinds the master has as many descriptors as before, and no child that is dead."""
        self.settled()

        def counts():
            return [descriptors(pid) for pid in (self.server.pid, self.server.nurseries()[0].pid, self.server.signers()[0].pid)]

        def some(n):
            client = self.client(tls=n % 3 == 0) if n % 7 else self.client(greeting=False)
            if n % 2:
                client.login("anna") if n % 7 else client.status()
                client.quit()
            elif n % 5 == 0:
                client.abort()
            client.close()
        for n in range(20):
            some(n)
        self.settled()
        before, workers = counts(), len(self.server.keepers())
        for n in range(300):
            some(n)
        self.settled()
        after, now = counts(), len(self.server.keepers())
        self.assertLessEqual(after[0] - before[0], max(0, 2 * (now - workers)), "the master's: two for each that waits")
        self.assertLessEqual(after[1], before[1] + 1, "the nursery's")
        self.assertEqual(after[2], before[2], "the signer's")

    @unittest.skipUnless(ROOT, "needs root: what the processes have open is shown to nobody else")
    def test_dead_keeper(self):
        """Its gate says so and ends; the lock is free; another session does not notice."""
        self.server.expect_trouble = True
        self.settled()
        other = self.login("bert")
        victim = self.new_worker(lambda: self.login())
        keeper, gate, client = victim
        client.ok("DELE 1")
        os.kill(keeper, signal.SIGKILL)
        self.assertRegex(client.rest(), rb"^(-ERR \[SYS/TEMP\] [^\r\n]*nothing was deleted[^\r\n]*\r\n)?$")
        wait_until(lambda: gate not in [p.pid for p in self.server.gates()], "its gate ends")
        with self.server.login() as again:
            self.assertEqual(again.stat()[0], 1)
            again.quit()
        other.ok("NOOP")
        other.quit()
        self.server.wait_for_log(r"keeper %d .*killed by signal 9" % keeper)
        self.settled()

    @unittest.skipUnless(ROOT, "needs root: what the processes have open is shown to nobody else")
    def test_dead_gate(self):
        self.server.expect_trouble = True
        self.settled()
        other = self.login("bert")
        keeper, gate, client = self.new_worker(lambda: self.login())
        client.ok("DELE 1")
        os.kill(gate, signal.SIGKILL)
        client.rest()
        wait_until(lambda: keeper not in [p.pid for p in self.server.keepers()], "its keeper ends")
        with self.server.login() as again:
            self.assertEqual(again.stat()[0], 1)
            again.quit()
        other.ok("NOOP")
        other.quit()
        self.server.wait_for_log(r"gate .*killed by signal 9")
        self.settled()

    @unittest.skipUnless(ROOT, "needs root: what the processes have open is shown to nobody else")
    def test_left_gates(self):
        """Gates that do not end, of a user who kills his keepers: each is one of the sessions that he may have, until it has ended."""
        self.server.expect_trouble = True
        self.settled()
        gates = []
        for _ in range(ACCOUNT_SESSIONS):
            keeper, gate, _client = self.new_worker(lambda: self.login())
            # As in the kernel, with an octet that does not come.
            os.kill(gate, signal.SIGSTOP)
            gates.append(gate)
            os.kill(keeper, signal.SIGKILL)
            wait_until(lambda gone=keeper: gone not in [p.pid for p in self.server.keepers()], "the keeper is gone")
        with self.client() as client:
            client.ok("USER anna")
            client.err("PASS secret", r"\[IN-USE\]")
        self.login("bert").quit()
        for gate in gates:
            os.kill(gate, signal.SIGCONT)
        wait_until(lambda: not set(gates) & {p.pid for p in self.server.gates()}, "the gates end")
        self.login().quit()
        self.settled()

    def new_worker(self, connect):
        """(keeper, gate, client): the worker that serves it, found by what its processes have open."""
        client = connect()
        port = client.sock.getsockname()[1]
        inode = self.inode_of(port)
        gate = next(p.pid for p in self.server.gates() if inode in self.sockets(p.pid))
        # The keeper of a session is the one that has become the mail's owner.
        keeper = next(p.pid for p in self.server.keepers()
                      if user_of(p.pid) == self.anna.uid)
        return keeper, gate, client

    def link(self, pid, fd):
        try:
            return os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            return ""

    def sockets(self, pid):
        try:
            return {self.link(pid, fd) for fd in os.listdir("/proc/%d/fd" % pid)}
        except OSError:
            return set()

    def inode_of(self, client_port):
        """The server's end of the connection from that port, as it looks in /proc/PID/fd."""
        ends = "%08X:%04X" % (0x0100007F, self.server.pop3_port), "%08X:%04X" % (0x0100007F, client_port)
        with open("/proc/net/tcp") as f:
            for line in f:
                fields = line.split()
                if (fields[1], fields[2]) == ends:
                    return "socket:[%s]" % fields[9]
        return None

    def test_dead_idle_worker_is_replaced(self):
        self.server.expect_trouble = True
        self.settled()
        for find in (self.server.keepers, self.server.gates):
            for process in find():
                os.kill(process.pid, signal.SIGKILL)
            self.logged_in_when_unthrottled().quit()
            self.settled()

    def logged_in_when_unthrottled(self):
        """A session: connections that are refused meanwhile, or given to a worker of which half was dead already, do not count."""
        def log_in():
            client = Client(self.server, greeting=False)
            said = ("USER anna", "PASS " + self.server.users["anna"].password)
            try:
                if client.raw_line().startswith(b"+OK") and all(client.cmd(command).startswith("+OK") for command in said):
                    return client
            except (Closed, OSError):
                pass
            client.close()
            return None
        return wait_until(log_in, "served again", 20)

    def test_dead_nursery(self):
        """Open sessions go on; another nursery comes."""
        self.server.expect_trouble = True
        self.settled()
        session = self.login()
        old = self.server.nurseries()[0].pid
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: [p.pid for p in self.server.nurseries()] not in ([], [old]), "another nursery", 20)
        session.ok("NOOP")
        session.quit()
        self.logged_in_when_unthrottled().quit()
        self.settled()

    @unittest.skipUnless(ROOT, "needs root: without it all run as one uid")
    def test_whose_rights(self):
        """The gate is never root; the keeper of a session is the mail's owner and has no other group."""
        self.settled()
        nobody = pwd.getpwnam("nobody").pw_uid
        keeper, gate, client = self.new_worker(lambda: self.login())
        self.assertEqual({user_of(p.pid) for p in self.server.gates()}, {nobody})
        with open("/proc/%d/status" % keeper) as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        self.assertEqual(set(status["Uid"].split()), {str(self.anna.uid)})
        self.assertEqual(set(status["Gid"].split()), {str(self.anna.gid)})
        self.assertLessEqual(set(status["Groups"].split()), {str(self.anna.gid)})
        self.assertEqual(int(status["CapEff"], 16), 0)
        with open("/proc/%d/status" % gate) as f:
            self.assertEqual(int(re.search(r"CapEff:\s+(\w+)", f.read()).group(1), 16), 0)
        client.quit()


class Ending(unittest.TestCase):
    def test_kill_9_leaves_no_orphan(self):
        """Keepers, gates and nursery end with the master, also those in a session; nothing is deleted."""
        server = Server()
        self.addCleanup(server.stop)
        server.users["anna"].deliver(bodies.message())
        client = server.login(tls=True)
        client.ok("DELE 1")
        waiting = server.client()
        server.kill9()
        wait_until(lambda: not session_processes(server.pid), lambda: "all end: %s" % session_processes(server.pid), 5)
        for connection in (client, waiting):
            try:
                connection.rest()
            except OSError:
                pass
        self.assertEqual(len(server.users["anna"].stored()), 1)
        server.start()  # the ports and the lock are free
        with server.login() as again:
            again.quit()

    def test_stop_before_and_after_quit(self):
        """SIGTERM beside QUIT: whoever was told +OK has it done, whoever was told -ERR has lost nothing."""
        for delay in (0, 1):
            with self.subTest(delay=delay):
                server = Server()
                try:
                    anna = server.users["anna"]
                    for n in range(3000):
                        anna.deliver(bodies.message("m%d" % n), "cur")
                    client = server.login()
                    client.send(b"".join(b"DELE %d\r\n" % n for n in range(1, 3001)))
                    for _ in range(3000):
                        self.assertRegex(client.status(), r"^\+OK")
                    client.send(b"QUIT\r\n")
                    if delay:
                        wait_until(lambda: anna.stored_count() < 3000, "the update begins")
                    server.terminate()
                    answer = client.status()
                    client.end()
                    left = anna.stored_count()
                    self.assertEqual(left, 0 if answer.startswith("+OK") else 3000, answer)
                    self.assertTrue(answer.startswith("+OK") or not delay, "a session in UPDATE was not let finish: " + answer)
                finally:
                    server.stop()

    def test_stop_is_told_over_tls_too(self):
        server = Server()
        client = server.login(tls=True)
        server.terminate()
        self.assertRegex(client.rest(), rb"^-ERR \[SYS/TEMP\] [^\r\n]*nothing was deleted")
        server.stop()

    def test_stop_while_a_message_is_sent(self):
        """Never a final dot behind half a message; and the server does not wait for a client that reads nothing."""
        server = Server()
        server.users["anna"].deliver(bodies.message("big", b"x" * 70 + b"\n" + b"y" * 30000000 + b"\n"))
        client = server.login()
        client.send(b"RETR 1\r\n")
        wait_until(client.receive, "the beginning of the message")
        server.terminate()
        server.stop()
        rest = client.rest()
        self.assertFalse(rest.endswith(b"\r\n.\r\n") and len(rest) < 30000000)

    def test_interrupt(self):
        server = Server()
        os.kill(server.pid, signal.SIGINT)
        server.stop()


if __name__ == "__main__":
    unittest.main()
