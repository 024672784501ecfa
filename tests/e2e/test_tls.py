"""TLS: STLS (RFC 2595), TLS from the start (RFC 8314), versions, commands injected before the handshake, and peers that
speak something else than the port expects.
"""
import os
import re
import socket
import ssl
import unittest

import bodies
from client import client_context
from postern import Server, ServerCase, elsewhere, make_certificate
from processes import PATIENCE

OLD = [("TLS 1.0", ssl.TLSVersion.TLSv1), ("TLS 1.1", ssl.TLSVersion.TLSv1_1)]
NEW = [("TLS 1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"), ("TLS 1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
MODES = [("STLS", False), ("TLS", True)]


def open_mode(case, tls, context=None, source=None):
    """A greeted connection inside TLS, by either way."""
    client = case.client(tls=tls, context=context, source=source)
    return client if tls else client.stls()


def client_hello():
    """The first flight of a client, as octets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Sessions(ServerCase):
    users = ("anna", "bert")

    @classmethod
    def prepare(cls, server):
        server.users["anna"].deliver(bodies.message())
        server.users["bert"].deliver(bodies.message("big", b"0123456789" * 7 + b"\n" + b"q" * 3000000 + b"\n.\n"))

    def test_session(self):
        for label, tls in MODES:
            for version, number, name in NEW:
                with self.subTest(label, version=version):
                    mark = self.server.mark()
                    client = open_mode(self, tls, client_context(self.server.certificate, number, number))
                    self.assertEqual(client.sock.version(), name)
                    client.login("anna")
                    self.assertEqual(client.retr(1), bodies.wire(bodies.message()))
                    client.ok("QUIT")
                    # An orderly end: close_notify, so that nobody can cut the answer short unnoticed.
                    client.end()
                    self.server.wait_for_log(r"anna.*%s" % re.escape(name), since=mark)

    def test_big_message(self):
        for label, tls in MODES:
            with self.subTest(label):
                client = open_mode(self, tls)
                client.login("bert")
                path = next(iter(self.server.users["bert"].stored().values()))
                self.assertEqual(client.retr(1), bodies.wire(path))
                client.quit()

    def test_capabilities(self):
        """STLS is offered only where it can be used."""
        client = self.client()
        self.assertIn("STLS", client.capa())
        client.stls()
        inside = client.capa()
        self.assertNotIn("STLS", inside)
        self.assertEqual(inside.get("SASL"), "PLAIN")
        client.err("STLS", "already|active")
        client.login("anna")
        client.err("STLS")
        client.quit()
        client = self.client(tls=True)
        self.assertNotIn("STLS", client.capa())
        client.err("STLS", "already|active")
        client.quit()

    def test_stls_after_login(self):
        client = self.login()
        client.err("STLS")
        client.ok("NOOP")
        client.quit()

    def test_stls_without_capa_and_twice(self):
        client = self.client().stls()
        client.err("STLS")
        client.login("anna")
        client.quit()

    def test_state_from_before_is_forgotten(self):
        """A user name said in clear does not count inside."""
        client = self.client()
        client.ok("USER anna")
        client.stls()
        client.err("PASS secret", "USER")
        client.login("anna")
        client.quit()

    def test_octet_by_octet_and_pipelined(self):
        octets = b"USER anna\r\nPASS secret\r\nSTAT\r\nLIST\r\nRETR 1\r\nQUIT\r\n"
        said = set()
        for label, tls in MODES:
            for way in ("send", "send_single"):
                client = open_mode(self, tls)
                getattr(client, way)(octets)
                said.add(client.rest())
        self.assertEqual(len(said), 1, said)
        answers = said.pop()
        self.assertEqual((answers.count(b"+OK"), answers.count(b"-ERR")), (6, 0), answers)

    def test_half_close(self):
        """A client that sends all and shuts its side is still answered."""
        octets = b"USER anna\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nQUIT\r\n"
        client = self.client()
        client.send(octets)
        client.half_close()
        self.assertEqual(client.rest().count(b"+OK"), 5)
        client = self.client(tls=True)
        client.send(octets)
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
        self.assertEqual(client.rest().count(b"+OK"), 5)

    def test_connection_cut_in_a_session(self):
        """Without close_notify and without QUIT: nothing is deleted, the lock is free."""
        client = open_mode(self, True)
        client.login("anna")
        client.ok("DELE 1")
        client.abort()
        client = self.login()
        self.assertEqual(client.stat()[0], 1)
        client.quit()


class Versions(ServerCase):
    def test_old_versions_are_refused(self):
        """Cleanly, and the log says why: the first at once, what follows within a minute together."""
        mark = self.server.mark()
        for version, number in OLD:
            context = client_context(self.server.certificate, ssl.TLSVersion.TLSv1, number)
            for label, tls in MODES:
                with self.subTest(version, mode=label):
                    with self.assertRaises(OSError):
                        open_mode(self, tls, context)
                    self.server.wait_for_log(r"wrong door: peer=127\.0\.0\.1 door=old-tls times=1: .*\[tls\] minimum", since=mark)
        self.assertEqual(self.server.log()[mark:].count("door=old-tls"), 1)
        with self.server.login() as client:
            client.quit()

    def test_certificate_is_not_trusted(self):
        """A client that knows nothing of our certificate ends the handshake; the log says what to look for, once a minute."""
        mark = self.server.mark()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for label, tls in MODES:
                with self.subTest(version.name, mode=label):
                    stranger = ssl.create_default_context()
                    stranger.minimum_version = stranger.maximum_version = version
                    with self.assertRaises(ssl.SSLError):
                        open_mode(self, tls, stranger)
        self.server.wait_for_log(r"wrong door: peer=127\.0\.0\.1 door=distrust times=1: .*certificate", since=mark)
        self.assertEqual(self.server.log()[mark:].count("door=distrust"), 1)

    def test_renegotiation(self):
        """TLS 1.2 lets a client ask for it; here it gets an end, or no answer, but no new keys."""
        client = self.client(tls=True, context=client_context(self.server.certificate, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2))
        client.ok("CAPA")
        client.lines()
        client.quit()

    def test_other_alpn(self):
        """A client that means another protocol (ALPACA) gets no session."""
        for protocols, works in ((["h2", "http/1.1"], False), (["pop3"], True)):
            with self.subTest(protocols):
                context = client_context(self.server.certificate)
                context.set_alpn_protocols(protocols)
                if works:
                    self.client(tls=True, context=context).quit()
                else:
                    with self.assertRaises(OSError):
                        self.client(tls=True, context=context)


class MinimumVersion(ServerCase):
    settings = {"tls": {"minimum": "1.3"}}

    def test_only_1_3(self):
        with self.assertRaises(OSError):
            self.client(tls=True, context=client_context(self.server.certificate, None, ssl.TLSVersion.TLSv1_2))
        self.client(tls=True).quit()


class RsaCertificate(unittest.TestCase):
    def test_both_versions(self):
        """RSA signs in other ways than ECDSA does, and differently in TLS 1.2 and 1.3."""
        certificate, key = make_certificate("rsa", "rsa")
        server = Server(settings={"tls": {"certificate": certificate, "key": key}}, start=False)
        server.certificate = certificate
        server.start()
        self.addCleanup(server.stop)
        for version, number, name in NEW:
            with self.subTest(version):
                client = server.client(tls=True, context=client_context(certificate, number, number))
                self.assertEqual(client.sock.version(), name)
                client.login("anna")
                client.quit()


class WithoutCertificate(unittest.TestCase):
    def test_no_tls_at_all(self):
        """Neither offered nor begun."""
        server = Server(settings={"tls": {"certificate": None, "key": None}, "listen": {"pop3s": None}})
        self.addCleanup(server.stop)
        client = server.client()
        self.assertNotIn("STLS", client.capa())
        client.err("STLS", "TLS")
        client.login("anna")
        client.quit()


# What an attacker adds behind STLS.
INJECTED = [
    ("a command", b"CAPA\r\n"),
    ("a login", b"USER anna\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"),
    ("half a command", b"USER an"),
    ("a line end", b"\r\n"),
    ("64 KiB", b"NOOP\r\n" * 10923),
    ("another STLS", b"STLS\r\n"),
]


class Injection(ServerCase):
    @classmethod
    def prepare(cls, server):
        server.users["anna"].deliver(bodies.message())

    def check(self, said, what):
        """The greeting, then one +OK or one -ERR, then nothing readable: what was injected is never carried out."""
        lines = said.split(b"\r\n")
        self.assertRegex(lines[0], rb"^\+OK", what)
        self.assertRegex(lines[1], rb"^(\+OK begin|-ERR)", what)
        rest = b"\r\n".join(lines[2:])
        self.assertNotIn(b"+OK", rest, what)
        self.assertNotIn(b"STLS", rest, what)

    def test_behind_stls(self):
        """Every way to cut STLS and what follows it."""
        for label, injected in INJECTED:
            octets = b"STLS\r\n" + injected
            for place in range(0, min(len(octets), 30)):
                with self.subTest(label, place=place):
                    client = self.client(greeting=False)
                    try:
                        client.send_cut(octets, [place] if place else [])
                        client.half_close()
                    except OSError:
                        pass
                    self.check(client.rest(), (label, place))
                    client.close()
        self.assertEqual(len(self.anna.stored()), 1)

    def test_octet_by_octet(self):
        for label, injected in INJECTED:
            with self.subTest(label):
                client = self.client(greeting=False)
                try:
                    client.send_single((b"STLS\r\n" + injected)[:300])
                    client.half_close()
                except OSError:
                    pass
                self.check(client.rest(), label)

    def test_in_the_same_packet(self):
        """One -ERR that says what is wrong, then the end."""
        client = self.client()
        client.send(b"STLS\r\nNOOP\r\n")
        self.assertRegex(client.rest(), rb"^-ERR [^\r\n]*STLS[^\r\n]*\r\n$")

    def test_injected_then_a_real_handshake(self):
        """Where the handshake still works, the first answer inside is to the first command inside."""
        for label, injected in INJECTED[:4]:
            with self.subTest(label):
                client = self.client()
                client.send(b"STLS\r\n")
                client.send(injected)
                if client.raw_line().startswith(b"-ERR"):
                    client.end()
                    continue
                try:
                    client.handshake()
                except (OSError, AssertionError):
                    continue
                client.err("PASS secret", "USER")
                self.assertNotIn("STLS", client.capa())
                client.quit()


class WrongProtocol(ServerCase):
    settings = {"limits": {"login_seconds": 10}}

    def test_garbage_on_the_tls_port(self):
        for label, octets in (("POP3", b"USER anna\r\nPASS secret\r\n"), ("zeros", b"\0" * 4096), ("HTTP", b"GET / HTTP/1.1\r\n\r\n"),
                              ("0xff", b"\xff" * 300), ("random", os.urandom(2000)), ("a record too long", b"\x16\x03\x01\xff\xff" + b"x" * 70000),
                              ("half a ClientHello", client_hello()[:40]), ("an alert", b"\x15\x03\x01\x00\x02\x02\x28")):
            with self.subTest(label):
                client = self.client(greeting=False, port=self.server.pop3s_port)
                try:
                    client.send(octets)
                    client.half_close()
                except OSError:
                    pass
                self.assertNotIn(b"+OK", client.rest())
                client.close()
        with self.server.login(tls=True) as client:
            client.quit()

    def test_client_hello_on_the_plain_port(self):
        client = self.client(greeting=False)
        client.send(client_hello())
        client.half_close()
        self.assertRegex(client.rest(), rb"^\+OK [^\r\n]*\r\n(-ERR [^\r\n]*\r\n){0,3}$")
        with self.server.login() as client:
            client.quit()

    def test_stalled_handshake_ends(self):
        """Whoever opens the TLS port and says nothing, or half a hello, is closed in bounded time."""
        for label, octets in (("silence", b""), ("half a hello", client_hello()[:60])):
            with self.subTest(label):
                client = self.client(greeting=False, port=self.server.pop3s_port)
                client.sock.settimeout(20 * PATIENCE)
                client.send(octets)
                client.rest()  # TimeoutError if it never ends

    def test_random_hellos(self):
        """Hellos with octets changed: no crash, no stuck worker."""
        hello = client_hello()
        for n in range(200):
            place = (n * 7919) % len(hello)
            changed = hello[:place] + bytes([hello[place] ^ (1 << n % 8)]) + hello[place + 1:]
            client = self.client(greeting=False, port=self.server.pop3s_port)
            try:
                client.send(changed)
                client.half_close()
            except OSError:
                pass
            client.rest()
            client.close()
        with self.server.login(tls=True) as client:
            client.quit()


class PlaintextLogin(ServerCase):
    """plaintext_login: who may send a password in clear."""
    address = elsewhere()

    @classmethod
    def prepare(cls, server):
        server.listen_too(cls.address)

    @unittest.skipUnless(address, "this host has no address but loopback")
    def test_elsewhere_needs_tls(self):
        client = self.client(host=self.address)
        capabilities = client.capa()
        self.assertNotIn("USER", capabilities)
        self.assertNotIn("SASL", capabilities)
        self.assertIn("STLS", capabilities)
        client.err("USER anna", "encryption.*(STLS|995)")
        client.err("AUTH PLAIN AGFubmEAc2VjcmV0", "encryption.*(STLS|995)")
        client.err("AUTH PLAIN", "encryption.*(STLS|995)")
        client.err("PASS secret", "encryption.*(STLS|995)")
        client.stls()
        self.assertIn("USER", client.capa())
        client.login("anna")
        client.quit()

    def test_loopback_may(self):
        with self.server.login() as client:
            client.quit()


class PlaintextNever(ServerCase):
    settings = {"tls": {"plaintext_login": "never"}}

    def test_loopback_may_not(self):
        client = self.client()
        self.assertNotIn("USER", client.capa())
        client.err("USER anna", "encryption")
        client.stls()
        client.login("anna")
        client.quit()


class PlaintextAlways(ServerCase):
    settings = {"tls": {"plaintext_login": "always"}}
    address = elsewhere()

    @classmethod
    def prepare(cls, server):
        server.listen_too(cls.address)

    @unittest.skipUnless(address, "this host has no address but loopback")
    def test_elsewhere_may(self):
        client = self.client(host=self.address)
        self.assertIn("USER", client.capa())
        client.login("anna")
        client.quit()


if __name__ == "__main__":
    unittest.main()
