"""Dovecot, popa3d and mailutils' pop3d, set up wrongly in one way each, or in trouble."""
import os
import subprocess

from certificates import EXPIRED, MISNAMED, SCANNER, STRANGER, authority
from checking import PASSWORD, CheckCase, run_check
from client import Client
from peer import Proxy
from postern import elsewhere
from servers import POPA3D, USERS, Dovecot, Mailutils, Popa3d, needs


class PeerCase(CheckCase):
    def started(self, server):
        self.addCleanup(server.stop)
        return server.start()

    @staticmethod
    def run_on(server, *options, user="ann", port=None, host=None, **more):
        return run_check("%s@%s:%d" % (user, host or server.host, port or server.pop3_port), "--ca-file", authority(), *options, **more)

    def session(self, server, user="ann"):
        """Another mail program at the mailbox."""
        client = Client(server)
        self.addCleanup(client.close)
        client.send(b"USER %s\r\n" % user.encode())
        client.raw_line()
        client.send(b"PASS %s\r\n" % PASSWORD.encode())
        self.assertTrue(client.raw_line().startswith(b"+OK"))
        return client


@needs("dovecot", "/usr/lib/dovecot/pop3-login")
class OfDovecot(PeerCase):
    def test_all_is_well(self):
        server = self.started(Dovecot())
        got = self.expect(self.run_on(server), "fine", count=False)
        self.assertEqual((got.json["server"], got.settings["security"]), ("Dovecot", "STARTTLS"))
        got = self.expect(self.run_on(server, "--tls", "implicit", port=server.pop3s_port), "fine", count=False)
        self.assertEqual(got.settings["security"], "SSL/TLS")

    def test_credentials_and_kind_of_tls(self):
        users = "{line}off:{{PLAIN}}" + PASSWORD + ":20001:20001::{home}::nologin\n"
        server = self.started(Dovecot(users=users))
        self.expect(self.run_on(server, password="not this"), "account", "unknown-user")
        self.expect(self.run_on(server, user="nobodyhere"), "account", "unknown-user")
        self.expect(self.run_on(server, user="off"), "account")
        self.expect(self.run_on(server, "--tls", "implicit"), "settings", "clear-on-tls")
        self.expect(self.run_on(server, "--tls", "stls", port=server.pop3s_port), "settings", "tls-on-clear")

    def test_certificates(self):
        for made, verdict, situation in ((EXPIRED, "server", "certificate-expired"), (MISNAMED, "settings", "certificate-name"),
                                         (SCANNER, "network", "intercepted")):
            with self.subTest(situation):
                server = self.started(Dovecot(made))
                self.expect(self.run_on(server), verdict, situation)

    def test_locked(self):
        server = self.started(Dovecot(settings="protocol pop3 {\n pop3_lock_session = yes\n}"))
        self.session(server)
        # It waits ten seconds for the lock.
        self.expect(self.run_on(server, "--timeout", "30"), "other-program", "mailbox-locked", "delivery-lock")

    def test_too_many_connections(self):
        server = self.started(Dovecot(settings="protocol pop3 {\n mail_max_userip_connections = 1\n}"))
        self.session(server)
        self.expect(self.run_on(server), "other-program", "too-many-connections")

    def test_wrong_rights(self):
        """Dovecot accepts the login and finds out then."""
        server = Dovecot()
        os.chown(server.home / "Maildir", 0, 0)
        os.chmod(server.home / "Maildir", 0o700)
        self.started(server)
        self.expect(self.run_on(server), "server", "error-unasked", "storage")

    def test_back_end_is_broken(self):
        server = Dovecot()
        (server.base / "users").chmod(0)  # the server's process that asks it is not root
        self.started(server)
        self.expect(self.run_on(server), "server", "temporary")

    def test_without_tls(self):
        if not elsewhere():
            self.skipTest("needs an address that is not loopback: root")
        server = self.started(Dovecot(ssl="no", host=elsewhere()))
        self.expect(self.run_on(server), "server", "no-tls")

    def test_tls_is_demanded(self):
        if not elsewhere():
            self.skipTest("needs an address that is not loopback: root")
        # The server takes its own address for safe, so the client must have another one.
        subprocess.run("ip addr add 192.0.2.2/32 dev lo && ip route replace local %s dev lo src 192.0.2.2 table local" % elsewhere(), shell=True, check=True)
        server = self.started(Dovecot(host=elsewhere()))
        self.expect(self.run_on(server, "--tls", "none", "--plaintext"), "settings", "tls-required")
        got = self.expect(self.run_on(server), "fine", count=False)
        self.assertEqual(got.settings["security"], "STARTTLS")

    def test_firewall_takes_stls_out(self):
        server = self.started(Dovecot())
        proxy = Proxy(server.pop3_port, down=lambda octets: octets.replace(b"STLS\r\n", b"XXXX\r\n"))
        self.addCleanup(proxy.close)
        self.expect(run_check("ann@127.0.0.1:%d" % proxy.port, "--ca-file", authority()), "network", "stls-hidden")


@needs(POPA3D)
class OfPopa3d(PeerCase):
    def test_all_is_well(self):
        server = self.started(Popa3d())
        got = self.expect(self.run_on(server), "fine", count=False)
        self.assertEqual((got.json["server"], got.json["recognized_by"]), ("popa3d", "its greeting"))

    def test_credentials(self):
        server = self.started(Popa3d())
        for user, password in (("ann", "not this"), ("nobodyhere", PASSWORD), ("off", PASSWORD), ("late", PASSWORD), ("root", PASSWORD)):
            with self.subTest(user):
                self.expect(self.run_on(server, user=user, password=password), "account", "unknown-user")

    def test_without_tls(self):
        if not elsewhere():
            self.skipTest("needs an address that is not loopback: root")
        server = self.started(Popa3d(host=elsewhere()))
        self.expect(self.run_on(server), "server", "no-tls")

    def test_wrong_rights(self):
        """A file in the spool that its user may not read: popa3d says nothing but -ERR."""
        server = Popa3d()
        os.chmod(server.spool / "ann", 0)
        os.chown(server.spool / "ann", 0, 0)
        self.started(server)
        got = self.expect(self.run_on(server), "server", "storage")
        self.assertEqual(got.step("password")["seen"], "-ERR")

    def test_twins(self):
        """Two messages with equal headers have one unique-id there."""
        server = Popa3d()
        path = server.spool / "ann"
        path.write_text(path.read_text() * 2)
        self.started(server)
        self.expect(self.run_on(server), "server", "unique-ids")


@needs("/usr/sbin/pop3d")
class OfMailutils(PeerCase):
    def test_all_is_well_but_for_sizes(self):
        """In RETR this server adds header lines, which it makes for UIDL and LIST did not count. The second time they are there."""
        server = self.started(Mailutils())
        client = self.session(server, "bob")
        client.send(b"LIST 2\r\nUIDL 2\r\nRETR 2\r\n")
        listed = int(client.raw_line().split()[2])
        client.raw_line()
        client.raw_line()
        self.assertNotEqual(len(client.body()), listed, "the server is better than this test believes")
        got = self.expect(self.run_on(server), "server", "size")
        self.assertEqual((got.json["server"], got.settings["security"], got.settings["logged_in"]), ("mailutils", "STARTTLS", True))
        self.expect(self.run_on(server), "fine", count=False)

    def test_credentials(self):
        server = self.started(Mailutils())
        for user, password in (("ann", "not this"), ("nobodyhere", PASSWORD), ("off", PASSWORD)):
            with self.subTest(user):
                self.expect(self.run_on(server, user=user, password=password), "account", "unknown-user")

    def test_certificates(self):
        for made, verdict, situation in ((EXPIRED, "server", "certificate-expired"), (MISNAMED, "settings", "certificate-name"),
                                         (STRANGER, "server", "certificate-unknown")):
            with self.subTest(situation):
                server = self.started(Mailutils(made=made))
                self.expect(self.run_on(server), verdict, situation)

    def test_kind_of_tls(self):
        server = self.started(Mailutils(tls="connection"))
        self.expect(self.run_on(server, "--tls", "stls"), "settings", "tls-on-clear")
        server = self.started(Mailutils(tls="required"))
        self.expect(self.run_on(server, "--tls", "none"), "settings", "tls-required")
        server = self.started(Mailutils())
        self.expect(self.run_on(server, "--tls", "implicit"), "settings", "clear-on-tls")

    def test_without_tls(self):
        server = self.started(Mailutils(tls="false"))
        self.expect(self.run_on(server, "--tls", "stls"), "server", "no-tls", "tls-broken")

    def test_locked(self):
        server = self.started(Mailutils())
        self.session(server)
        self.expect(self.run_on(server), "other-program", "mailbox-locked", vague=True)

    def test_denied(self):
        """The server's own list of addresses, as a TCP wrapper has it."""
        server = self.started(Mailutils(settings="acl {\n  deny 127.0.0.1;\n};"))
        self.expect(self.run_on(server), "server", "closed-ungreeted")

    def test_wrong_rights(self):
        server = Mailutils()
        os.chown(server.spool / USERS[0], 0, 0)
        os.chmod(server.spool / USERS[0], 0)
        self.started(server)
        self.expect(self.run_on(server), "server", "storage", vague=True)
