"""Real mail programs fetch and delete over plain TCP, STLS and TLS: curl, mpop, fetchmail and Python's poplib. What they
got is compared with the store byte for byte, and the log must say that TLS was used where it was asked for.
"""
import os
import poplib
import pwd
import re
import shutil
import ssl
import subprocess
import sys
import unittest

import bodies
from postern import Server, ServerCase, run_directory
from processes import PATIENCE

# What no client breaks by itself: no NUL, no bare CR, no line over 2,048 octets, a line end at the end.
TAME = [octets for label, octets in bodies.MBOX_ODD.items()
        if b"\0" not in octets and b"\r" not in octets and octets.startswith((b"From:", b"Subject:", b"X-"))
        and max(map(len, octets.split(b"\n"))) < 990 and len(octets) < 70000]
# For those that take everything (poplib with its limit raised, curl).
WILD = list(bodies.ODD.values())
MODES = ["plain", "STLS", "TLS"]


def has_account():
    try:
        return bool(pwd.getpwuid(os.getuid()))
    except KeyError:
        return False


def norm(octets):
    return octets.replace(b"\r\n", b"\n")


class ClientCase(ServerCase):
    """fetch(mode, delete) is the program; it returns the messages that it got, in order, or writes them down."""

    def setUp(self):
        super().setUp()
        self.work = run_directory() / ("client-%s" % type(self).__name__)
        shutil.rmtree(self.work, True)
        self.work.mkdir()
        self.ports = {"plain": self.server.pop3_port, "STLS": self.server.pop3_port, "TLS": self.server.pop3s_port}

    def fill(self, messages):
        self.anna.empty()
        self.server.forget_indexes()
        for octets in messages:
            self.anna.deliver(octets)

    def run_program(self, *command, status=(0,), **options):
        """Run it; its exit status must be one of those."""
        environment = {**os.environ, "HOME": str(self.work), "LC_ALL": "C"}
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                              timeout=60 * PATIENCE, stdin=subprocess.DEVNULL, check=False, **options)
        self.assertIn(done.returncode, status, "%s: %s" % (command, (done.stdout[-2000:] + done.stderr)[-3000:]))
        return done.stdout

    def check(self, messages, same):
        """Fetch without and with deletion, in each mode."""
        for mode in MODES:
            with self.subTest(mode):
                self.fill(messages)
                mark = self.server.mark()
                same(self.fetch(mode, False), messages)
                self.assertEqual(len(self.anna.stored()), len(messages), "deleted without being asked to")
                same(self.fetch(mode, True), messages)
                self.assertEqual(self.anna.stored(), {}, "not deleted")
                # The line at the end of the session names the version of TLS, and only where there was TLS.
                self.server.wait_for_log(r'session: user="anna".* left=0 ', since=mark)
                versions = set(re.findall(r'session: user="anna".* tls=(\S+)', self.server.log()[mark:]))
                self.assertLessEqual(versions, {"none"} if mode == "plain" else {"TLSv1.2", "TLSv1.3"})

    def same_octets(self, got, messages):
        self.assertEqual(len(got), len(messages))
        for fetched, octets in zip(got, messages):
            self.assertEqual(fetched, bodies.wire(octets))


class Curl(ClientCase):
    """A session for each command."""

    def curl(self, mode, path, *options):
        url = "%s://localhost:%d/%s" % ("pop3s" if mode == "TLS" else "pop3", self.ports[mode], path)
        extra = ["--ssl-reqd"] if mode == "STLS" else []
        return self.run_program("curl", "-sS", "--noproxy", "*", "-4", "--cacert", self.server.certificate, "-u", "anna:secret",
                                *extra, *options, url)

    def fetch(self, mode, delete):
        got = []
        count = len(self.curl(mode, "").splitlines())
        for number in range(1, count + 1):
            got.append(self.curl(mode, str(number)))
        if delete:
            for _ in range(count):
                self.curl(mode, "1", "-X", "DELE", "-l")
        return got

    def same(self, got, messages):
        """curl writes what RETR sent, as it is."""
        self.same_octets(got, messages)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_fetch_and_delete(self):
        self.check(WILD[:12] + [bodies.ODD["NUL"], bodies.ODD["bare CR"], bodies.ODD["long line"]], self.same)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_mechanisms(self):
        self.fill([bodies.message()])
        for option in ("AUTH=PLAIN", "AUTH=*"):
            with self.subTest(option):
                self.assertEqual(len(self.curl("plain", "", "--login-options", option).splitlines()), 1)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_wrong_password(self):
        self.run_program("curl", "-sS", "-4", "-u", "anna:wrong", "pop3://localhost:%d/" % self.ports["plain"], status=(67,))


class Poplib(ClientCase):
    """Python's own, with its limit on the length of a line raised."""

    def connect(self, mode):
        context = ssl.create_default_context(cafile=self.server.certificate)
        if mode == "TLS":
            return poplib.POP3_SSL("localhost", self.ports[mode], context=context, timeout=30 * PATIENCE)
        client = poplib.POP3("localhost", self.ports[mode], timeout=30 * PATIENCE)
        if mode == "STLS":
            client.stls(context)
        return client

    def fetch(self, mode, delete):
        client = self.connect(mode)
        client.user("anna")
        client.pass_("secret")
        count, octets = client.stat()
        got = []
        for number in range(1, count + 1):
            _, lines, _ = client.retr(number)
            got.append(b"".join(line + b"\r\n" for line in lines))
            if delete:
                client.dele(number)
        client.uidl()
        client.quit()
        self.assertEqual(octets, sum(map(len, got)))
        return got

    def test_fetch_and_delete(self):
        limit, poplib._MAXLINE = poplib._MAXLINE, 1 << 20
        try:
            # readline() takes a CR before CRLF for a part of the line end.
            self.check([octets for octets in WILD if b"\r\r\n" not in octets and not octets.endswith(b"\r")], self.same_octets)
        finally:
            poplib._MAXLINE = limit

    def test_capa_and_errors(self):
        client = self.connect("plain")
        self.assertIn("UIDL", client.capa())
        self.assertRaises(poplib.error_proto, client.apop, "anna", "secret")
        client.close()
        client = self.connect("plain")
        client.user("anna")
        self.assertRaisesRegex(poplib.error_proto, "AUTH", client.pass_, "wrong")
        client.close()


class Mpop(ClientCase):
    """Pipelines RETR and DELE; AUTH PLAIN with an initial response."""

    def fetch(self, mode, delete):
        target = self.work / ("mail-%s-%s" % (mode, delete))
        for folder in ("", "cur", "new", "tmp"):
            (target / folder).mkdir()
        config = self.work / "mpoprc"
        config.write_text("account test\nhost localhost\nport %d\nuser anna\npassword secret\nauth %s\n%s\ndelivery maildir %s\n"
                          "keep %s\nreceived_header off\nuidls_file %s\n" % (
                              self.ports[mode], "plain" if mode != "plain" else "user",
                              "tls off" if mode == "plain" else "tls on\ntls_starttls %s\ntls_trust_file %s" % (
                                  "on" if mode == "STLS" else "off", self.server.certificate),
                              target, "off" if delete else "on", self.work / ("uidls-%s-%s" % (mode, delete))))
        config.chmod(0o600)
        self.run_program("mpop", "-C", config, "-q", "test")
        got = [path.read_bytes() for path in (target / "new").iterdir()]
        return sorted(got)

    def same(self, got, messages):
        """A Maildir holds LF; the order is lost."""
        self.assertEqual(got, sorted(norm(octets) for octets in messages))

    @unittest.skipUnless(shutil.which("mpop"), "mpop is not installed")
    def test_fetch_and_delete(self):
        self.check(TAME, self.same)


class Fetchmail(ClientCase):
    """Asks CAPA, STAT, LIST or UIDL, RETR, DELE; writes to a delivery program."""

    def fetch(self, mode, delete):
        target = self.work / ("mail-%s-%s" % (mode, delete))
        target.mkdir()
        script = self.work / "deliver"
        script.write_text("#!%s\nimport os, sys\nn = len(os.listdir(%r))\nopen(os.path.join(%r, '%%04d' %% n), 'wb')"
                          ".write(sys.stdin.buffer.read())\n" % (sys.executable, str(target), str(target)))
        script.chmod(0o755)
        config = self.work / "fetchmailrc"
        tls = {"plain": "sslproto ''", "STLS": "sslproto 'tls1.2+' sslcertck sslcertfile '%s'",
               "TLS": "ssl sslcertck sslcertfile '%s'"}[mode]
        config.write_text("set invisible\nset no bouncemail\npoll localhost protocol POP3 service %d auth password uidl\n"
                          "  user 'anna' password 'secret' %s\n  %s fetchall no rewrite no mimedecode pass8bits stripcr\n  mda '%s'\n" % (
                              self.ports[mode], tls % self.server.certificate if "%s" in tls else tls,
                              "no keep" if delete else "keep", script))
        config.chmod(0o600)
        self.run_program("fetchmail", "-f", config, "-i", self.work / ("ids-%s-%s" % (mode, delete)), "--nodetach", "--nosyslog",
                         "--pidfile", self.work / "pid", "-v")
        return [path.read_bytes() for path in sorted(target.iterdir())]

    def same(self, got, messages):
        self.assertEqual(len(got), len(messages))
        for fetched, octets in zip(got, messages):
            self.assertEqual(norm(fetched).rstrip(b"\n"), octets.rstrip(b"\n"))

    @unittest.skipUnless(shutil.which("fetchmail"), "fetchmail is not installed")
    @unittest.skipUnless(has_account(), "fetchmail wants its user to have an account")
    def test_fetch_and_delete(self):
        self.check([octets for octets in TAME if octets.startswith(b"From:") and b"\n\n" in octets], self.same)


class FromMbox(unittest.TestCase):
    """The same octets out of an mbox, by way of TLS."""

    def test_poplib(self):
        server = Server(location="mbox:SPOOL/%u")
        self.addCleanup(server.stop)
        server.users["anna"].write_mbox(bodies.mbox(TAME))
        client = poplib.POP3_SSL("localhost", server.pop3s_port, context=ssl.create_default_context(cafile=server.certificate))
        client.user("anna")
        client.pass_("secret")
        for number, octets in enumerate(TAME, 1):
            self.assertEqual(b"".join(line + b"\r\n" for line in client.retr(number)[1]), bodies.wire(octets))
            client.dele(number)
        client.quit()
        self.assertEqual(server.users["anna"].mbox.read_bytes(), b"")


if __name__ == "__main__":
    unittest.main()
