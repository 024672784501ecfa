"""What TLS lets a client do that no mail program does: key updates by the thousand, renegotiation, records of one octet, hellos of
chance octets, handshakes that stop half way. No process ends of it, each connection ends at its deadline, others are served.

Numbers in full with POSTERN_FAULT=full; the seed of what is drawn is printed, POSTERN_SEED repeats it.
"""
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import unittest

import bodies
from client import Client, client_context
from postern import TOP, Server, run_directory
from processes import PATIENCE, cpu_seconds, load_of, wait_until
from run import FULL
from test_tls import client_hello

SEED = int(os.environ.get("POSTERN_SEED", "0")) or random.randrange(1 << 30)
HELLOS = 10000 if FULL else 400
UPDATES = 10000
LOGIN_SECONDS = 3


def build_attacks():
    """The client that does it, or None when it cannot be compiled."""
    program = run_directory() / "attacks"
    if not program.exists():
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if not compiler or subprocess.run([compiler, "-O1", "-o", program, TOP / "tests/tls/attacks.c", "-lssl", "-lcrypto"], check=False).returncode != 0:
            return None
    return program


class Case(unittest.TestCase):
    def begin(self, **limits):
        server = Server(settings={"limits": {"login_seconds": LOGIN_SECONDS, **limits}})
        server.users["anna"].deliver(bodies.message())
        self.addCleanup(server.stop)
        return server

    def served(self, server):
        with Client(server, tls=True) as client:
            client.login("anna")
            self.assertEqual(client.retr(1), bodies.wire(bodies.message()))
            client.quit()

    def calm(self, server):
        """No process died, and none works any more."""
        self.assertNotRegex(server.log(), r"killed by signal|ended with status|panic")
        self.served(server)
        wait_until(lambda: all(cpu_seconds(p.pid) < 30 for p in server.gates()), "gates have not worked for long")
        for process in server.gates()[:3] + server.nurseries() + server.signers():
            try:
                self.assertLess(load_of(process.pid, 0.2), 0.5, process)
            except FileNotFoundError:
                pass  # it has ended by itself
        wait_until(lambda: not server.zombies(), "no zombie is left")


class KeyUpdates(Case):
    def setUp(self):
        self.program = build_attacks()
        if not self.program:
            self.skipTest("no compiler, or no headers of OpenSSL, for the client")

    def attack(self, server, kind, times, patience=60):
        run = subprocess.run([self.program, "127.0.0.1", str(server.pop3s_port), kind, str(times)], stdout=subprocess.PIPE,
                             timeout=patience * PATIENCE, check=True)
        return run.stdout.decode().strip()

    def test_flood(self):
        """So many are taken, and the session goes on."""
        server = self.begin(login_seconds=60)
        for kind in ("keyupdate", "keyupdate-asked"):
            with self.subTest(kind):
                said = self.attack(server, kind, UPDATES)
                self.assertRegex(said, r"TLSv1\.3\n%d of %d, then -ERR" % (UPDATES, UPDATES))
        self.calm(server)

    def test_without_end(self):
        """A flood is no word: who has not logged in by the deadline is out."""
        server = self.begin()
        for kind in ("keyupdate", "keyupdate-asked"):
            with self.subTest(kind):
                mark = server.mark()
                said = self.attack(server, kind, 1 << 40)
                print(kind, said)
                self.assertRegex(said, r"then closed")
                found = server.wait_for_log(r"seconds=(\d+\.\d+) end=\"no login in time\"", since=mark)
                self.assertLess(float(found.group(1)), (LOGIN_SECONDS + 20) * PATIENCE)
        self.calm(server)

    def test_renegotiation(self):
        """TLS 1.2 lets a client ask; it gets no new keys."""
        server = self.begin()
        self.assertRegex(self.attack(server, "renegotiate", 1000), r"TLSv1\.2\n0 of 1000, then closed")
        self.calm(server)


class Records(Case):
    def test_one_octet_each(self):
        """Records of one octet; all at once, so that many lie in the server's buffers."""
        server = self.begin(login_seconds=60)
        octets = b"USER anna\r\nPASS secret\r\n" + b"NOOP\r\n" * 200 + b"RETR 1\r\nQUIT\r\n"
        for number in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(number.name), Client(server, tls=True, context=client_context(server.certificate, number, number)) as client:
                for n in range(len(octets)):
                    client.sock.sendall(octets[n:n + 1])
                said = client.rest()
                self.assertEqual((said.count(b"\r\n+OK") + said.startswith(b"+OK"), said.count(b"-ERR")), (204, 0))
                self.assertIn(bodies.wire(bodies.message()), said)
        self.calm(server)

    def test_half_close(self):
        """The client ends its half, by TLS or without, at each point; what it asked for before is answered."""
        server = self.begin(login_seconds=60)
        for label, octets, answers in (("at once", b"", 0), ("half a line", b"USER an", 0), ("before the login", b"USER anna\r\n", 1),
                                       ("a session", b"USER anna\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n", 4)):
            for way in ("FIN", "close_notify"):
                with self.subTest(label, way=way), Client(server, tls=True) as client:
                    client.send(octets)
                    if way == "FIN":
                        socket.socket.shutdown(client.sock, socket.SHUT_WR)
                        self.assertEqual(client.rest().count(b"+OK"), answers)
                    else:
                        client.sock.setblocking(False)
                        try:
                            client.sock.unwrap()
                        except (ssl.SSLWantReadError, ssl.SSLError, OSError):
                            pass
        self.calm(server)


class Handshakes(Case):
    def test_random_hellos(self):
        """Of real hellos: octets changed, left out, put in, doubled, cut off, and what is no hello at all behind the right first octets."""
        server = self.begin()
        dice = random.Random(SEED)
        print("seed", SEED)
        hello, ends = client_hello(), {}
        for n in range(HELLOS):
            client = Client(server, greeting=False, port=server.pop3s_port, source="127.0.1.%d" % (1 + n % 200))
            try:
                client.send(self.changed(dice, hello))
                client.half_close()
            except OSError:
                pass
            said = client.rest()
            client.close()
            ends[said[:1]] = ends.get(said[:1], 0) + 1
            # What is enciphered may have the first three octets of it by chance.
            self.assertNotIn(b"+OK postern", said, "seed %d, hello %d" % (SEED, n))
        print("%d hellos; the first octet of the answer: %s" % (HELLOS, ends))
        self.calm(server)

    def changed(self, dice, hello):
        octets = bytearray(hello)
        for _ in range(dice.randrange(1, 9)):
            place = dice.randrange(len(octets) or 1)
            kind = dice.randrange(6)
            if kind <= 1:
                octets[place:place + 1] = bytes([dice.randrange(256)])
            elif kind == 2:
                del octets[place:place + dice.randrange(1, 40)]
            elif kind == 3:
                octets[place:place] = dice.randbytes(dice.randrange(1, 40))
            elif kind == 4:
                octets[place:place] = octets[place:place + dice.randrange(1, 300)]
            else:
                del octets[place:]
            if not octets:
                break
        if dice.random() < 0.1:
            octets = bytearray(b"\x16\x03\x01" + dice.randrange(1 << 16).to_bytes(2, "big") + dice.randbytes(dice.randrange(600)))
        return bytes(octets)

    def test_stalled(self):
        """Whoever stops in a handshake, wherever, or drips, is out at the deadline."""
        server = self.begin()
        hello = client_hello()
        rows = {"half a hello": (False, hello[:60]), "a hello": (False, hello), "STLS and silence": (True, b""), "STLS and half a hello": (True, hello[:60]),
                "STLS and a hello": (True, hello), "an octet of a record": (False, hello[:1])}
        held = {}
        for label, (stls, octets) in rows.items():
            client = Client(server, greeting=False, port=server.pop3_port if stls else server.pop3s_port)
            self.addCleanup(client.close)
            if stls:
                client.status()
                client.ok("STLS")
            client.send(octets)
            held[label] = client
        drip = Client(server, greeting=False, port=server.pop3s_port)
        self.addCleanup(drip.close)
        drip.sock.settimeout(0.2)
        sent = 0
        while sent < len(hello) - 1:
            try:
                drip.send(hello[sent:sent + 1])
                sent += 1
                if not drip.sock.recv(4096):
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        print("a hello of %d octets in drips: out after %d" % (len(hello), sent))
        self.assertLess(sent, len(hello) - 1, "who drips is never out")
        for label, client in held.items():
            with self.subTest(label):
                client.rest()  # TimeoutError if it never ends
        ends = re.findall(r'seconds=(\d+\.\d+) end="([^"]*)"', server.log())
        late = [e for e in ends if float(e[0]) > (LOGIN_SECONDS + 20) * PATIENCE]
        self.assertEqual(late, [])
        self.calm(server)


if __name__ == "__main__":
    unittest.main()
