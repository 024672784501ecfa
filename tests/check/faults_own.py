"""Our own server, set up wrongly in one way each, or in trouble."""
import contextlib
import os
import re
import shutil
import signal
import unittest

from certificates import EARLY, EXPIRED, GOOD, MISNAMED, STRANGER, authority, certificate
from checking import PASSWORD, CheckCase, run_check
from peer import Proxy
from postern import ROOT, Server, elsewhere, make_certificate
from processes import wait_until

MAIL = b"From: a@example.org\nSubject: hello\n\nhello\n.dot\n"


class OwnCase(CheckCase):
    def server(self, made=GOOD, users=("ann",), **options):
        pair = certificate(**made) if isinstance(made, dict) else made
        settings = {"tls": dict(zip(("certificate", "key"), pair)), **options.pop("settings", {})}
        server = Server(users, settings, start=False, **options)
        self.addCleanup(lambda: server.stop() if server.popen else shutil.rmtree(server.base, True))
        for user in server.users.values():
            user.password = PASSWORD
        server.write_passwd()
        server.certificate = make_certificate()[0]
        return server

    def started(self, *arguments, **options):
        server = self.server(*arguments, **options)
        server.start()
        return server

    @staticmethod
    def run_on(server, *options, user="ann", port=None, host="127.0.0.1", **more):
        trust = () if "--ca-file" in options else ("--ca-file", authority())
        return run_check("%s@%s:%d" % (user, host, port or server.pop3_port), *trust, *options, **more)


class Well(OwnCase):
    def test_all_is_well(self):
        server = self.started()
        for n in range(7):
            server.users["ann"].deliver(MAIL * (n + 1))
        for options, security in (({}, "STARTTLS"), ({"port": server.pop3s_port}, "SSL/TLS")):
            got = self.expect(self.run_on(server, **options), "fine", count=False)
            self.assertEqual((got.settings["security"], got.json["server"]), (security, "postern"))
            for name in ("connection", "greeting", "capabilities", "TLS", "certificate", "user name", "password", "STAT", "LIST", "UIDL",
                         "RETR", "TOP", "NOOP", "RSET", "QUIT"):
                self.assertEqual(got.step(name)["outcome"], "ok", got.out)
        self.assertEqual(server.users["ann"].stored_count(), 7)
        wait_until(lambda: len(re.findall(r'deleted=0 left=7 dropped-marks=0 .*end="quit"', server.log())) == 2, "two lines in the log")

    def test_without_user(self):
        server = self.started()
        got = self.expect(run_check("localhost:%d" % server.pop3_port, "--ca-file", authority(), password=None), "fine", count=False)
        self.assertFalse(got.settings["logged_in"])


class Credentials(OwnCase):
    def test_name_and_password(self):
        server = self.started()
        self.expect(self.run_on(server, password="not this"), "account", "bad-password")
        self.expect(self.run_on(server, user="anne"), "account", "unknown-user")
        # The server notes the name that it refused at USER, too: no password came behind it.
        self.assertEqual(len(re.findall("login failed", server.log())), 2)

    def test_elsewhere_it_is_vague(self):
        if not elsewhere():
            self.skipTest("needs an address that is not loopback: root")
        server = self.server()
        server.listen_too(elsewhere())
        server.start()
        got = self.run_on(server, host=elsewhere(), password="not this")
        self.expect(got, "account", "unknown-user")
        self.assertEqual(got.situations, ["unknown-user", "bad-password"])
        self.expect(self.run_on(server, "--tls", "none", "--plaintext", host=elsewhere()), "settings", "tls-required")

    def test_locked_account(self):
        server = self.server()
        server.write_passwd(server.users["ann"].record(name="off", hash="!"))
        server.start()
        self.expect(self.run_on(server, user="off"), "account", "account-disabled")

    @unittest.skipUnless(ROOT, "needs root")
    def test_system_account(self):
        server = self.server()
        server.write_passwd(server.users["ann"].record(name="low", uid=5))
        server.start()
        self.expect(self.run_on(server, user="low"), "account", "system-account")


class Trouble(OwnCase):
    def test_another_session(self):
        server = self.started()
        server.certificate = authority()
        other = server.login("ann")
        self.addCleanup(other.close)
        self.expect(self.run_on(server), "other-program", "mailbox-locked")

    @unittest.skipUnless(ROOT, "needs root")
    def test_wrong_rights(self):
        server = self.server()
        os.chown(server.users["ann"].maildir, 0, 0)
        server.start()
        self.expect(self.run_on(server), "server", "storage")

    def test_not_a_mailbox(self):
        server = self.server(location="mbox:SPOOL/%u")
        server.users["ann"].write_mbox(b"\0\1\2 no mbox\n")
        server.start()
        self.expect(self.run_on(server), "server", "storage")

    @unittest.skipUnless(ROOT, "needs root")
    def test_passwd_file_for_all(self):
        server = self.server()
        server.write_passwd(mode=0o666)
        server.start()
        self.expect(self.run_on(server), "server", "temporary")

    def test_full(self):
        server = self.started(settings={"limits": {"per_source": 1}})

        def held():
            """The first connection, that of the frame, may not have ended yet."""
            client = server.client()
            return client if client.greeting.startswith("+OK") else client.close()
        with wait_until(held, "a connection that is served"):
            self.expect(self.run_on(server), "other-program", "too-many-connections")
            self.expect(self.run_on(server, port=server.pop3s_port), "server", "closed-ungreeted")

    def test_down(self):
        server = self.started()
        server.stop()
        server.popen = None
        self.expect(self.run_on(server), "server", "refused")

    def test_stopped_in_the_session(self):
        """The server is frozen, as under a debugger or on a dead disk: it accepts, and says nothing."""
        server = self.started()
        server.certificate = authority()
        processes = [p.pid for p in server.processes()]
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            self.expect(self.run_on(server, "--timeout", "1", "--connect-timeout", "1"), "server", "no-greeting")
        finally:
            for pid in processes:
                with contextlib.suppress(ProcessLookupError):  # one was at its end when it was stopped
                    os.kill(pid, signal.SIGCONT)


class Certificates(OwnCase):
    def test_bad_certificates(self):
        rows = [(EXPIRED, "server", "certificate-expired"), (EARLY, "settings", "certificate-early"),
                (MISNAMED, "settings", "certificate-name"), (STRANGER, "server", "certificate-unknown"),
                (make_certificate("own"), "server", "certificate-self-signed")]
        for made, verdict, situation in rows:
            with self.subTest(situation):
                server = self.server(made)
                server.start()
                self.expect(self.run_on(server, "--tls", "implicit", port=server.pop3s_port), verdict, situation)

    def test_no_tls(self):
        if not elsewhere():
            self.skipTest("needs an address that is not loopback: root")
        server = self.server((None, None))
        server.settings["listen"]["pop3s"] = None
        server.write_config()
        server.listen_too(elsewhere())
        server.start()
        self.expect(self.run_on(server, host=elsewhere()), "server", "no-tls")
        self.assertNotIn("login failed", server.log())

    def test_kind_of_tls(self):
        server = self.started()
        got = self.run_on(server, "--tls", "implicit")
        self.expect(got, "settings", "clear-on-tls")
        self.assertEqual(got.settings["security"], "STARTTLS")
        got = self.run_on(server, "--tls", "stls", port=server.pop3s_port)
        self.expect(got, "settings", "tls-on-clear")
        self.assertEqual(got.settings["security"], "SSL/TLS")


class InBetween(OwnCase):
    def proxy(self, server, **options):
        proxy = Proxy(server.pop3_port, **options)
        self.addCleanup(proxy.close)
        return proxy

    def test_stls_is_taken_out(self):
        proxy = self.proxy(self.started(), down=lambda octets: octets.replace(b"STLS\r\n", b""))
        self.expect(run_check("ann@127.0.0.1:%d" % proxy.port, "--ca-file", authority()), "network", "stls-hidden")

    def test_names_are_changed(self):
        """The reply names the user as it was changed on the way."""
        server = self.started((None, None), settings={"listen": {"pop3s": None}})
        proxy = self.proxy(server, up=lambda octets: octets.replace(b"USER ann", b"USER ann/mx"),
                           down=lambda octets: octets.replace(b"mailbox unknown:", b"ann/mx.else.example: mailbox unknown:"))
        self.expect(run_check("ann@127.0.0.1:%d" % proxy.port), "network", "between")

    def test_nobody_behind_it(self):
        server = self.started()
        proxy = self.proxy(server)
        server.stop()
        server.popen = None
        self.expect(run_check("ann@127.0.0.1:%d" % proxy.port), "server", "closed-ungreeted")
