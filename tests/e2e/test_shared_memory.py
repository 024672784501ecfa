"""Shared workers ([workers] sessions above 1): nothing of one client is there for the next, neither in memory nor in what is said."""
import re
import unittest

import bodies
from client import plain_words
from memory import INSTRUMENTED
from processes import all_processes, wait_until
from shared import SharedCase, memory, sockets

SECRET = "Zk7q"  # stands in all that is the first user's, and nowhere else


@unittest.skipIf(INSTRUMENTED, "too much memory to look through, and not the program's alone")
class NothingStays(SharedCase):
    def check_forgotten(self, server, name, talk):
        """Of what the session held nothing is in the memory of keeper or gate when it is over."""
        before = server.rest()
        client = server.client()
        talk(client)
        held = {half: memory(pid).count(SECRET.encode()) for half, pid in zip(("keeper", "gate"), before)}
        self.assertGreater(min(held.values()), 0, "the search finds what is there: %s" % held)
        client.quit()
        self.check_memory(server, name, before)

    def check_memory(self, server, name, before):
        self.assertEqual(server.rest(), before)
        helpers = [p.pid for p in all_processes() if p.ppid == before[0]]
        wait_until(lambda: all(len(sockets(pid)) == 1 for pid in helpers), "the helper waits")
        for half, pid in zip(("keeper", "gate", "helper"), (*before, *helpers)):
            octets = memory(pid)
            at = octets.find(SECRET.encode())
            self.assertEqual(at, -1, "%s of %s: %r" % (half, name, octets[max(0, at - 80):at + 80]))

    def serve_secret(self, location, count):
        user = "user" + SECRET
        server = self.serve(users=(user,), location=location)
        server.users[user].password = "password" + SECRET
        server.write_passwd()
        text = [bodies.message("subject %s %d" % (SECRET, n), b"body %s\n" % SECRET.encode() * 300) for n in range(count)]
        for n, message in enumerate(text if location.startswith("maildir") else ()):
            server.users[user].deliver(message, "cur", "170000%04d.M1P1.%s:2,S" % (n, SECRET))
        if location.startswith("mbox"):
            server.users[user].write_mbox(bodies.mbox(text))
        return server, user

    def test_memory(self):
        for label, location, count, tls in (("Maildir", "maildir:MAIL/%u/Maildir", 3, False), ("Maildir, TLS", "maildir:MAIL/%u/Maildir", 3, True),
                                            ("long list", "maildir:MAIL/%u/Maildir", 200, True), ("mbox", "mbox:SPOOL/%u", 3, False),
                                            ("mbox, TLS", "mbox:SPOOL/%u", 100, True)):
            with self.subTest(label):
                server, user = self.serve_secret(location, count)

                def talk(client):
                    if tls:
                        client.stls()
                    client.ok("USER " + user)
                    client.err("PASS wrong" + SECRET, "AUTH")
                    client.login(user)
                    for n in range(1, 4):
                        client.retr(n)
                        client.top(n, 2)
                    client.uidl()
                    client.list()
                    client.ok("DELE 2")
                    client.err("NOOP " + 100 * "x" + SECRET)
                self.check_forgotten(server, label, talk)

    def test_little_is_held(self):
        """What a session did not use is not taken for being wiped: the buffer of answers is a hundred pages."""
        server = self.serve()
        _, gate = server.rest()
        with server.client() as client:
            client.login("anna")
            client.quit()
        self.assertEqual(server.rest()[1], gate)
        with open("/proc/%d/smaps" % gate) as smaps:
            mappings = re.findall(r"^[0-9a-f]+-[0-9a-f]+ rw-p 00000000 00:00 0 *\n(?:[A-Z].*\n)*?Private_Dirty: *(\d+) kB", smaps.read(), re.M)
        self.assertLess(sum(map(int, mappings)), 150, mappings)

    def test_memory_of_strangers(self):
        """Of clients who never log in: lines that are no commands, behind the last answer, too; half a line; half a message's request."""
        server = self.serve()
        for label, octets in (("thrown away", (b"NONSENSE " + SECRET.encode() + b"\r\n") * 400), ("half a line", b"USER " + SECRET.encode()),
                              ("one long line", SECRET.encode() * 2000 + b"\r\nUSER " + SECRET.encode()), ("AUTH", b"AUTH PLAIN\r\n" + SECRET.encode() * 20)):
            for tls in (False, True):
                with self.subTest(label, tls=tls):
                    before = server.rest()
                    client = server.client(tls=tls)
                    client.send(octets)
                    wait_until(lambda: memory(before[1]).count(SECRET.encode()) > 0 or len(sockets(before[1])) == 1, "the gate has read it")
                    client.close()
                    self.check_memory(server, label, before)

    def talk(self, server):
        """What a new client is told, all along."""
        client = server.client()
        said = [client.greeting, client.err("PASS secret"), client.err("STAT"), sorted(client.capa().items())]
        for _ in range(2):
            client.ok("USER bert")
            said.append(client.err("PASS wrong", "AUTH"))
        client.ok("USER bert")
        said += [client.ok("PASS secret"), client.ok("STAT"), client.uidl(), client.list(), client.retr(1)]
        client.quit()
        return [plain_words(word) if isinstance(word, str) else word for word in said]

    def test_state(self):
        """Language, UTF8, a name that was given, failures, marks, TLS, bad commands: whatever one client left, the next begins anew."""
        server = self.serve()
        for user in server.users.values():
            for n in range(3):
                user.deliver(bodies.message("m%d" % n), "cur")
        worker = server.rest()
        want = self.talk(server)

        def language(client):
            client.ok("LANG de")

        def name(client):
            client.ok("USER anna")

        def failures(client):
            for _ in range(2):
                client.ok("USER anna")
                client.err("PASS wrong", "AUTH")

        def too_many(client):
            for _ in range(3):
                client.ok("USER anna")
                client.err("PASS wrong")

        def marks(client):
            client.login("bert")
            client.ok("DELE 1")
            client.ok("DELE 3")

        def tls(client):
            client.stls()
            client.ok("USER anna")

        def tls_marks(client):
            client.stls()
            marks(client)

        def utf8(client):
            client.ok("UTF8")
            client.ok("LANG *")

        def bad(client):
            client.err("NONSENSE")
            client.err("NONSENSE")

        def half(client):
            client.send(b"USER an")

        def plain(client):
            client.send(b"AUTH PLAIN\r\n")
            client.status()

        def unread(client):
            client.login("bert")
            client.send(b"RETR 1\r\nRETR 2\r\nRETR 3\r\nUIDL\r\n" * 50)
        for leave in (language, name, failures, too_many, marks, tls, tls_marks, utf8, bad, half, plain, unread):
            with self.subTest(leave.__name__):
                self.assertEqual(server.rest(), worker)
                client = server.client()
                leave(client)
                client.close()
                self.assertEqual(server.rest(), worker)
                self.assertEqual(self.talk(server), want)
        self.assertEqual(server.rest(), worker)

    def test_tls_on_its_port(self):
        """A new handshake each time, with a signature; and in clear behind it."""
        server = self.serve()
        worker = server.rest()
        for tls in (True, True, False, True):
            with server.login(tls=tls) as client:
                client.ok("STAT")
                client.quit()
            self.assertEqual(server.rest(), worker)


if __name__ == "__main__":
    unittest.main()
