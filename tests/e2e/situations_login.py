"""Failures of the login and of the connection that take a server of their own. For test_situations.py."""
import os
import unittest

import situations
from client import Client
from postern import Server, elsewhere
from processes import wait_until
from test_pam import REASON as NO_PAM, PamServer


class Login(unittest.TestCase):
    """Failures that take a server of their own."""

    def server(self, **options):
        server = Server(**{"users": ("anna", "bert"), **options})
        self.addCleanup(server.stop)
        return server

    def client(self, server, **options):
        client = Client(server, **options)
        self.addCleanup(client.close)
        return client

    def password(self, server, password="secret", user="anna", **options):
        client = self.client(server, **options)
        client.ok("USER " + user)
        return client.cmd("PASS " + password)

    def test_too_many_logins(self):
        server = self.server(settings={"limits": {"login_tries": 2}})
        client = self.client(server)
        for _ in range(2):
            client.ok("USER anna")
            client.err("PASS wrong")
        situations.check(server, "TOO_MANY_LOGINS", "a third login of two", client.cmd("USER anna"))

    @unittest.skipUnless(elsewhere(), "no address that is not loopback")
    def test_elsewhere(self):
        """What the network must not learn, and what it must do first."""
        server = Server(("anna",), {"tls": {"plaintext_login": "loopback"}, "auth": {"login_help": "see https://example.org/mail"}}, start=False)
        self.addCleanup(server.stop)
        server.listen_too(elsewhere())
        server.start()
        client = self.client(server, host=elsewhere())
        situations.check(server, "TLS_FIRST", "USER in clear", client.cmd("USER anna"), user="anna", peer=elsewhere())
        situations.check(server, "TLS_FIRST_PASS", "PASS in clear", client.cmd("PASS secret"), user="anna", peer=elsewhere())
        client.stls()
        for situation, user, password, tried in (("a wrong password from the network", "anna", "x", "wrong password"),
                                                 ("an unknown user from the network", "nosuch", "x", "no back end knows")):
            client.ok("USER " + user)
            line = client.cmd("PASS " + password)
            self.assertIn("(see https://example.org/mail) (ref ", line)
            situations.check(server, "NOT_ACCEPTED", situation, line, user=user, peer=elsewhere(), says=tried)

    def test_no_tls(self):
        server = self.server(settings={"tls": {"certificate": None, "key": None}, "listen": {"pop3s": ""}})
        situations.check(server, "TLS_NOT_OFFERED", "STLS without a certificate", self.client(server).cmd("STLS"))

    def test_no_login_offered(self):
        """Mail programs that ask first (curl, mutt, mpop) give up by themselves, and blame the password or the server: the log says why."""
        server = self.server(settings={"tls": {"plaintext_login": "never"}})
        client = self.client(server, source="127.0.0.9")
        client.ok("CAPA")
        self.assertNotIn(b"USER", client.body())
        client.ok("QUIT")
        server.wait_for_log(r"wrong door: peer=127\.0\.0\.9 door=no-tls times=1: a client that was offered no login")
        self.assertNotIn("peer=127.0.0.9 tls=none", server.log())
        secure = self.client(server, source="127.0.0.8")
        secure.ok("CAPA")
        secure.body()
        secure.stls()
        secure.ok("USER anna")
        secure.ok("PASS secret")
        secure.ok("QUIT")
        server.wait_for_log(r"session: user=\"anna\" login=yes peer=127\.0\.0\.8 ")
        self.assertNotIn("wrong door: peer=127.0.0.8", server.log())

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam(self):
        rows = (("pexpired", "ACCOUNT_EXPIRED", "ACCT_EXPIRED"), ("pnewtok", "PASSWORD_EXPIRED", "NEW_AUTHTOK_REQD"),
                ("pdenied", "ACCESS_DENIED", "PERM_DENIED"), ("ptries", "TRIES_EXCEEDED", "MAXTRIES"),
                ("pdown", "AUTH_TEMPORARY", "AUTHINFO_UNAVAIL"), ("pabort", "AUTH_TEMPORARY", "signal 6"),
                ("pexit", "AUTH_TEMPORARY", "exit status 0"), ("prename", "AUTH_TEMPORARY", "changed the user name"))
        server = PamServer([name for name, _, _ in rows], explain="always")
        self.addCleanup(server.stop)
        server.start()
        server.expect_trouble = True
        for user, row, says in rows:
            with self.subTest(user):
                situations.check(server, row, "PAM: " + says, server.answer(user), user=user, says=says)

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam_says(self):
        """A module's words reach the user once the password is proven, and not before; the log has them always."""
        said = "The key is under the mat."
        service = "auth optional pam_echo.so %s\nauth required %%s\naccount required %%s\n" % said
        from test_pam import build_module
        for explain in ("never", "always"):
            server = PamServer(["pexpired", "pgood"], service % (build_module(), build_module()), explain=explain)
            self.addCleanup(server.stop)
            server.start()
            line = server.answer("pexpired")
            self.assertIn(" (%s) (ref " % said, line)
            situations.check(server, "ACCOUNT_EXPIRED", "PAM's own words", line, says=said)
            line = server.answer("pgood", "wrong")
            self.assertNotIn("mat", line)
            situations.check(server, "NOT_ACCEPTED" if explain == "never" else "INVALID_PASSWORD", "PAM's own words, before the proof: " + explain,
                             line, says=said)

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam_setup(self):
        server = PamServer(["pgood"], "auth required pam_of_nobody.so\naccount required pam_of_nobody.so\n")
        self.addCleanup(server.stop)
        server.start()
        line = server.answer("pgood")
        row = "AUTH_SETUP" if "set up wrongly" in line else "AUTH_TEMPORARY"
        situations.check(server, row, "PAM: a module that is not there", line, says="PAM service postern-e2e")

    def test_passwd_file(self):
        server = self.server()
        os.chmod(server.passwd_file, 0o644)
        client = self.client(server)
        client.ok("USER anna")
        situations.check(server, "AUTH_SETUP", "a passwd file that everybody reads", client.cmd("PASS secret"), says="chmod o=")
        os.unlink(server.passwd_file)
        client = self.client(server)
        client.ok("USER nobodyhere")
        situations.check(server, "AUTH_SETUP", "a passwd file that is not there, and nobody else to ask", client.cmd("PASS secret"), says="is not there")

    def hold(self, server, count):
        """So many connections that are served; the frame's own, by which it saw the server start, may still be going."""
        def served():
            client = self.client(server)
            if client.greeting.startswith("+OK"):
                return client
            client.close()
            return None
        return [wait_until(served, "a connection is served") for _ in range(count)]

    def test_source_full(self):
        server = self.server(settings={"limits": {"per_source": 2}})
        held = self.hold(server, 2)
        first = self.client(server, greeting=False).status()
        situations.check(server, "SOURCE_FULL", "more connections than per_source", first)
        del held

    def test_timeout(self):
        server = self.server(settings={"limits": {"login_seconds": 1}})
        situations.check(server, "LOGIN_TIMEOUT", "no login in time", self.client(server).status())

    def test_stopping(self):
        server = self.server()
        client = self.client(server)
        client.login("anna")
        server.terminate()
        line = client.status()
        situations.check(server, "STOPPING", "the server stops", line, user="anna")
