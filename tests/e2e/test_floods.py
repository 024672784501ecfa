"""Floods of connections that do not log in: whoever has a password gets in beside them.

Small in make check (hundreds of connections, a server for 300); with POSTERN_FAULT=full 10,000 connections beside a server
with its defaults. Times are printed, and not judged.
"""
import os
import signal
import socket
import statistics
import time
import unittest

from client import Client
from crowd import Crowd, address, need_descriptors
from postern import Server
from processes import PATIENCE, wait_until
from test_tls import client_hello

FULL = os.environ.get("POSTERN_FAULT") == "full"
FLOOD, MAX, PER_SOURCE = (10000, 1000, 20) if FULL else (900, 300, 20)
RETRY_SECONDS = 1
HONEST, SECONDS, AGAIN = 20, (60 if FULL else 6), 300
TLS_HELLO_HALF = bytes.fromhex("16030100c8010000c40303") + b"\0" * 40
SLOW = [  # what a connection says in its long life
    ("silent", []), ("half a line", [b"US"]), ("a name and no password", [b"USER honest0\r\n"]), ("half a TLS hello", [TLS_HELLO_HALF]),
]


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


class Floods(unittest.TestCase):
    def setUp(self):
        reason = need_descriptors(FLOOD + 4096)
        if reason:
            self.skipTest(reason)
        self.users = ["honest%d" % n for n in range(HONEST)]
        self.server = Server(users=self.users, settings={
            "workers": {"spare_min": 4, "spare_max": 16, "max": MAX}, "limits": {"per_source": PER_SOURCE, "free_failures": 10}})
        self.addCleanup(self.server.stop)

    def honest_session(self, crowd, n, tries):
        """One user's session, tried again after a second when it was refused: sooner, no stranger may have been let go yet (EVICT_AFTER_MS).
        Yields what is to be over, and when at the earliest it goes on.
        """
        for attempt in range(1, tries + 1):
            begun = time.monotonic()
            talk = crowd.talk("127.0.1.%d" % (n + 1), ["USER " + self.users[n], "PASS secret", "STAT", "QUIT"])
            yield talk, begun + 0.1
            if sum(answer.startswith("+OK") for answer in talk.answers) == 5:
                return begun, talk.died - begun, attempt, talk.answers
            yield talk, begun + RETRY_SECONDS
        return begun, None, tries, talk.answers

    def honest_users(self, flood, seconds, tries):
        """HONEST users, each with one session after the other, beside the flood. [(latency or None, attempts, answers)]"""
        crowd, results = Crowd(self.server), []
        self.addCleanup(crowd.close)
        end = time.monotonic() + seconds
        running = {}
        while time.monotonic() < end or running:
            for n in range(HONEST):
                if n not in running and time.monotonic() < end:
                    session = self.honest_session(crowd, n, tries)
                    running[n] = (session, *next(session))
                elif n in running and running[n][1].over and time.monotonic() >= running[n][2]:
                    try:
                        running[n] = (running[n][0], *next(running[n][0]))
                    except StopIteration as stop:
                        results.append(stop.value[1:])
                        del running[n]
            crowd.turn(0.01)
            if flood is not None:
                flood()
        return results

    def flood(self, addresses):
        """Keeps FLOOD connections that do not log in, from so many addresses; those that were closed come again, AGAIN of them a second."""
        crowd = Crowd(self.server)
        self.addCleanup(crowd.close)
        begun, opened = time.monotonic(), 0

        def go_on():
            nonlocal opened
            more = FLOOD - len(crowd.talks)
            if opened >= FLOOD:
                more = min(more, int(FLOOD + (time.monotonic() - begun) * AGAIN) - opened)
            for _ in range(min(more, 200)):
                opened += 1
                crowd.talk(address(opened % addresses), SLOW[opened % len(SLOW)][1], hold=True)
            crowd.turn(0)
        return crowd, go_on

    def check(self, addresses, tries, least):
        quiet = self.honest_users(None, SECONDS / 3, 1)
        crowd, go_on = self.flood(addresses)
        busy = self.honest_users(go_on, SECONDS, tries)
        good = [took for took, _, _ in busy if took is not None]
        first = sum(attempts == 1 and took is not None for took, attempts, _ in busy)
        failed = [answers for took, _, answers in busy if took is None]
        p99 = [percentile([took for took, *_ in some if took is not None], 0.99) for some in (quiet, busy)]
        print("flood of %d from %d addresses: %d honest sessions, %.2f%% good at the first try, %.2f%% in all; p99 %.0f ms quiet, %.0f ms in it, median %.0f ms"
              % (FLOOD, addresses, len(busy), 100 * first / len(busy), 100 * len(good) / len(busy), 1000 * p99[0], 1000 * p99[1],
                 1000 * statistics.median(good)), flush=True)
        self.assertTrue(all(took is not None for took, *_ in quiet), "without a flood")
        self.assertGreaterEqual(len(good), least * len(busy), failed[:5])
        return crowd

    def test_one_address(self):
        crowd = self.check(1, 1, 1.0)
        mine = [p for p in self.server.log().splitlines() if "peer=127.10.0.1" in p and "SOURCE_FULL" in p]
        self.assertTrue(mine, "the log names the source")
        greeted = sum(talk.answers[:1] == ["+OK postern POP3 server ready"] for talk in crowd.talks.values())
        self.assertLessEqual(greeted, PER_SOURCE, "admitted from one address at a time")

    def test_many_addresses(self):
        self.check(1000 if FULL else 100, 2, 0.999)

    def test_room(self):
        """The stranger who came first makes room, with words; who is logged in does not."""
        crowd = Crowd(self.server)
        self.addCleanup(crowd.close)
        with Client(self.server, source="127.0.1.1") as session:
            session.login("honest0")
            strangers = [crowd.talk(address(n), hold=True) for n in range(MAX)]
            crowd.until(lambda: sum(bool(talk.answers) for talk in strangers) >= MAX - 1, "greetings for all that fit")
            time_up = time.monotonic() + PATIENCE
            crowd.until(lambda: time.monotonic() > time_up, "EVICT_AFTER_MS")
            with Client(self.server, source="127.0.1.2") as other:
                other.login("honest1")
                other.quit()
            crowd.until(lambda: any("to make room" in answer for talk in strangers for answer in talk.answers), "words for one who goes")
            gone = [n for n, talk in enumerate(strangers) if any("to make room" in answer for answer in talk.answers)]
            self.assertEqual(len(gone), 1)
            self.assertLess(gone[0], PER_SOURCE, "one of those who came first")
            session.stat()
            session.quit()

    def test_counts_return(self):
        """When all have gone, each address may have as many as before, and the pool is as it was."""
        def all_are_greeted():
            crowd = Crowd(self.server)
            talks = [crowd.talk(address(0), hold=True) for _ in range(PER_SOURCE)]
            crowd.until(lambda: all(talk.answers for talk in talks), "greetings")
            crowd.close()
            return all(talk.answers[0].startswith("+OK") for talk in talks)
        for _ in range(2):
            # Those that were there before count until their gates are gone.
            wait_until(all_are_greeted, "as many as before", 10)
            wait_until(lambda: len([k for k in self.server.keepers()]) <= 16, "the workers' end", 10)


class LastWords(unittest.TestCase):
    """A connection whose client is given time to read why it was ended is one that counts, as long as it is there."""

    def test_wrong_door(self):
        per_source, spare = 5, 4
        server = Server(settings={"workers": {"spare_min": 2, "spare_max": spare, "max": 40}, "limits": {"per_source": per_source}})
        self.addCleanup(server.stop)
        connections, most = [], 0
        for n in range(120):
            connections.append(socket.create_connection(("127.0.0.1", server.pop3_port)))
            connections[-1].sendall(b"GET / HTTP/1.0\r\n")
            if n % 10 == 9:
                most = max(most, len(server.gates()))
        # One that is being forked for a connection, and one that is on its way out.
        self.assertLessEqual(most, per_source + spare + 2)
        for connection in connections:
            connection.close()
        wait_until(lambda: len(server.gates()) <= spare, "the gates end")
        with Client(server) as client:
            client.login("anna")
            client.quit()


class Room(unittest.TestCase):
    """A stranger who is to make room does so at once, whatever it is at: only so many may be on their way out."""

    def takes_nothing(self, sock):
        sock.settimeout(1)
        with self.assertRaises(socket.timeout):
            while True:
                sock.sendall(b"CAPA\r\n" * 1000)

    def is_given_time(self, sock):
        sock.sendall(b"X\r\n" * 3)
        time.sleep(0.2)

    def waits_for_its_turn(self, sock):
        """Its password is not to be looked at for four seconds. A failure is answered at half a second, a whole one, and so on."""
        answers = sock.makefile()
        for n in range(3):
            sock.sendall(b"USER bert\r\nPASS wrong%d\r\n" % n)
            self.assertTrue(answers.readline().startswith("+OK") and answers.readline().startswith("-ERR"))
        sock.sendall(b"USER bert\r\nPASS wrong\r\n")
        time.sleep(1.05)

    def server(self):
        server = Server(("anna", "bert"), settings={"workers": {"spare_min": 1, "spare_max": 1, "max": 2}, "limits": {"free_failures": 1, "login_tries": 10}})
        self.addCleanup(server.stop)
        wait_until(lambda: len(server.gates()) == 1, "the start is over")
        return server

    def newcomer(self, server, at):
        """The one other connection is a stranger's."""
        begun = time.monotonic()
        with Client(server, source="127.0.0.7"):
            wait_until(lambda: len(server.gates()) == 2, lambda: "the one that makes room is gone: %s" % server.gates(), 20)
            took = time.monotonic() - begun
        print("%s: gone after %.2f s" % (at, took), flush=True)
        self.assertLess(took, 0.4 * PATIENCE)

    def test_at_once(self):
        for at in (self.takes_nothing, self.is_given_time, self.waits_for_its_turn):
            with self.subTest(at=at.__name__):
                server = self.server()
                with socket.socket() as sock, Client(server, source="127.0.0.6") as other:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    sock.bind(("127.0.0.5", 0))
                    sock.connect(("127.0.0.1", server.pop3_port))
                    while not sock.recv(1) == b"\n":
                        pass
                    time.sleep(0.4)
                    other.login("anna")
                    at(sock)
                    self.newcomer(server, at.__name__)

    def test_without_a_signature(self):
        """The signer has too much to do."""
        server = self.server()
        signer = server.signers()[0].pid
        os.kill(signer, signal.SIGSTOP)
        self.addCleanup(lambda: os.kill(signer, signal.SIGCONT))
        with socket.socket() as sock, Client(server, source="127.0.0.6") as other:
            other.login("anna")
            sock.bind(("127.0.0.5", 0))
            sock.connect(("127.0.0.1", server.pop3s_port))
            sock.sendall(client_hello())
            time.sleep(0.8)
            self.newcomer(server, "waits for a signature")
        server.wait_for_log(r'session: .* peer=127\.0\.0\.5 .* end="made room for others"')
        self.assertNotIn("no signature", server.log())


if __name__ == "__main__":
    unittest.main()
