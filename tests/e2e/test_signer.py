"""The private key: nobody has it but the signer, which is looked for in the memory of every process; what happens when the
signer dies, hangs, or is replaced by one with another key.
"""
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import unittest

import bodies
from client import client_context
from memory import INSTRUMENTED, secrets_in
from postern import ROOT, Server, make_certificate
from processes import descriptors, session_processes, user_of, wait_until
from test_tls import client_hello

VERSIONS = [("TLS 1.2", ssl.TLSVersion.TLSv1_2), ("TLS 1.3", ssl.TLSVersion.TLSv1_3)]
SECRET = re.compile(r"^(priv|privateExponent|prime1|prime2|exponent1|exponent2|coefficient):[^\n]*\n((?:    [0-9a-f:]+\n)+)", re.M)


def needles(key):
    """What is secret of the key, in the forms that memory may hold: {name: octets}."""
    found = {}
    text = subprocess.run(["openssl", "pkey", "-in", key, "-noout", "-text"], check=True, stdout=subprocess.PIPE).stdout.decode()
    for name, digits in SECRET.findall(text):
        octets = bytes.fromhex(re.sub(r"[\s:]", "", digits)).lstrip(b"\0")
        # OpenSSL's numbers begin with the lowest word; an EC key may be used as four words of 64 bits turned about.
        found[name], found[name + " turned"] = octets, octets[::-1]
    with open(key, "rb") as f:
        for n, line in enumerate(f.read().splitlines()[1:-1]):
            if len(line) >= 40 and n > 0:  # the first says what kind of key it is, as in every key
                found["PEM line %d" % n] = line
    return found


def begun_handshake(server):
    """A connection on the TLS port whose gate has signed and waits for the client's last word."""
    connection = socket.create_connection(("127.0.0.1", server.pop3s_port), timeout=20)
    connection.sendall(client_hello())
    connection.recv(1)
    return connection


@unittest.skipUnless(ROOT, "needs root: other processes' memory is shown to nobody else")
@unittest.skipIf(INSTRUMENTED, "too much memory to look through")
class KeyInMemory(unittest.TestCase):
    def found(self, server, wanted):
        """{process name: names of secrets}, and every process was looked at."""
        result = {}
        for process in session_processes(server.pid):
            secrets = secrets_in(process.pid, wanted)
            if secrets is not None:
                result.setdefault(process.name, set()).update(secrets)
        return result

    def check(self, server, wanted, when):
        found = self.found(server, wanted)
        with self.subTest(when=when):
            self.assertLessEqual({"posternd", "posternd-gate", "posternd-sign"}, set(found))
            for name, secrets in found.items():
                if name == "posternd-sign":
                    self.assertTrue(secrets, "the search does not find what is there")
                    self.assertFalse([s for s in secrets if s.startswith("PEM")], "the file's text was not wiped")
                else:
                    self.assertFalse(secrets, name)

    def test_nobody_but_the_signer(self):
        for algorithm in ("ec", "rsa"):
            certificate, key = make_certificate("memory-" + algorithm, algorithm)
            server = Server(settings={"tls": {"certificate": certificate, "key": key}}, start=False)
            server.certificate = certificate
            server.users["anna"].deliver(bodies.message())
            wanted = needles(key)
            self.assertTrue({"priv", "prime1"} & set(wanted), wanted)
            server.start()
            self.addCleanup(server.stop)
            # The search finds it in the process that reads the file, if it is there at all: ourselves.
            with open(key, "rb") as f:
                text = f.read()
                self.assertTrue([n for n in secrets_in(os.getpid(), wanted) if n.startswith("PEM")], len(text))
            self.check(server, wanted, algorithm + ": idle")
            held = [begun_handshake(server)]
            self.check(server, wanted, algorithm + ": in a handshake")
            for version, number in VERSIONS:
                context = client_context(certificate, number, number)
                implicit, upgraded = server.client(tls=True, context=context), server.client(context=context).stls()
                held += [implicit, upgraded]
                self.check(server, wanted, "%s: %s before the login" % (algorithm, version))
                upgraded.login("anna")
                upgraded.retr(1)
                self.check(server, wanted, "%s: %s after the login" % (algorithm, version))
                upgraded.quit()
            for connection in held:
                connection.close()
            self.check(server, wanted, algorithm + ": afterwards")


class Signer(unittest.TestCase):
    def server(self, **options):
        server = Server(("anna", "bert"), **options)
        self.addCleanup(server.stop)
        server.users["bert"].deliver(bodies.message())
        return server

    def session(self, client):
        """All of one; anna may hold another one meanwhile."""
        client.login("bert")
        self.assertEqual(client.retr(1), bodies.wire(bodies.message()))
        client.quit()

    def presented(self, client):
        try:
            return client.sock.getpeercert(True)
        finally:
            client.close()

    def test_killed(self):
        """Sessions go on, and those in clear begin; another one comes, and with it TLS."""
        server = self.server()
        server.expect_trouble = True
        inside, plain, waiting = server.login(tls=True), server.client(), server.client()
        old = server.signers()[0].pid
        os.kill(old, signal.SIGKILL)
        inside.ok("NOOP")
        self.session(plain)
        waiting.ok("STLS")
        with self.assertRaises(OSError):
            waiting.handshake()
        server.wait_for_log(r"no signature for a TLS handshake: peer=127\.0\.0\.1: the signer is gone")
        server.wait_for_log(r"end=\"?TLS.*no signature")
        server.wait_for_log(r"master: the signer, which holds the TLS key, is gone; starting another")
        wait_until(lambda: [p.pid for p in server.signers()] not in ([], [old]), "another signer", 20)

        def served():
            try:
                return server.client(tls=True)
            except (OSError, AssertionError):
                return None
        self.session(wait_until(served, "TLS again", 20))
        self.session(server.client().stls())
        inside.quit()
        wait_until(lambda: len(server.signers()) == 1 and len(server.nurseries()) == 1 and not server.zombies(),
                   lambda: "one of each: %s" % server.processes(), 20)

    def test_killed_again_and_again(self):
        server = self.server()
        server.expect_trouble = True
        for _ in range(3):
            old = server.signers()[0].pid
            before = descriptors(server.pid)
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: len(server.nurseries()) == 1 and [p.pid for p in server.signers()] not in ([], [old]), "another signer", 20)
            with server.client() as client:
                client.ok("CAPA")
            if ROOT:
                wait_until(lambda: descriptors(server.pid) <= before + 8, "no descriptor is lost")

    def test_hangs(self):
        """It is not waited for longer than a few seconds, and not at all in clear."""
        server = self.server()
        pid = server.signers()[0].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            waiting = server.client()
            waiting.ok("STLS")
            self.session(server.client())
            with self.assertRaises(OSError):
                waiting.handshake()
            server.wait_for_log(r"no signature for a TLS handshake: peer=127\.0\.0\.1: the signer does not answer")
        finally:
            os.kill(pid, signal.SIGCONT)
        self.session(server.client(tls=True))

    def test_another_key(self):
        """A reload: who has connected before is served with the old pair, who connects now with the new one; then the old signer ends."""
        server = self.server()
        certificate, key = make_certificate("another", "rsa")
        context = client_context(server.certificate)
        context.load_verify_locations(certificate)
        inside, before = server.login(tls=True), server.client(context=context)
        with open(server.certificate) as f:
            old = ssl.PEM_cert_to_DER_cert(f.read())
        signer = server.signers()[0].pid
        server.write_config(tls={"certificate": certificate, "key": key})
        self.assertIn("read again", server.reload())
        now = server.client(tls=True, context=context)
        self.assertNotEqual(self.presented(now), old)
        self.assertEqual(len(server.signers()), 2)
        self.assertEqual(before.stls().sock.getpeercert(True), old)
        wait_until(lambda: signer not in [p.pid for p in server.signers()], lambda: "the old signer ends: %s" % server.processes())
        inside.ok("NOOP")
        self.session(server.client(context=context).stls())
        inside.quit()
        self.session(before)

    def test_key_that_will_not_do(self):
        """label, what the key's file holds, the log. The old pair stays, and works."""
        server = self.server()
        place = server.base / "own.key"
        server.write_config(tls={"key": place})
        ed = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, stdout=subprocess.PIPE).stdout
        with open(make_certificate("another", "rsa")[1], "rb") as f:
            other = f.read()
        for label, octets, words in (("gone", None, r"own\.key cannot be used with certificate .*No such file"), ("garbage", b"x" * 500, r"PEM key"),
                                     ("empty", b"", r"it is empty"), ("another's", other, r"own\.key does not belong to certificate"),
                                     ("of another kind", ed, r"own\.key does not belong to certificate")):
            with self.subTest(label):
                if octets is None:
                    place.unlink(missing_ok=True)
                else:
                    place.write_bytes(octets)
                    place.chmod(0o600)
                said = server.reload()
                self.assertRegex(said, words)
                self.assertRegex(said, r"old configuration and certificate stay")
                check = subprocess.run(server.command("-t", "-c", str(server.config_file)), stderr=subprocess.PIPE)
                self.assertEqual(check.returncode, 1)
                self.assertRegex(check.stderr.decode(), words)
                self.session(server.client(tls=True))
        wait_until(lambda: len(server.signers()) == 1 and not server.zombies(), "one signer")

    def test_without_a_certificate(self):
        server = self.server(settings={"tls": {"certificate": None, "key": None}, "listen": {"pop3s": None}})
        self.assertEqual(server.signers(), [])
        self.session(server.client())

    def test_killed_master(self):
        server = self.server()
        clients = [server.client(), server.client(tls=True), server.login(tls=True)]
        server.kill9()
        wait_until(lambda: not session_processes(server.pid), lambda: "all end: %s" % session_processes(server.pid), 5)
        for client in clients:
            client.close()
        server.start()

    @unittest.skipUnless(ROOT, "needs root: without it all run as one uid")
    def test_whose_rights(self):
        """Nobody's, nowhere, with nothing open but the way to it."""
        server = self.server()
        pid = server.signers()[0].pid
        self.assertEqual(user_of(pid), pwd.getpwnam("nobody").pw_uid)
        with open("/proc/%d/status" % pid) as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        self.assertEqual((int(status["CapEff"], 16), int(status["CapPrm"], 16), status["NoNewPrivs"]), (0, 0, "1"))
        self.assertEqual(status["Groups"].strip(), "")
        links = {int(fd): os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
        self.assertEqual(set(links), {0, 1, 2, 3}, links)
        if not INSTRUMENTED:
            self.assertRegex(os.readlink("/proc/%d/root" % pid), r"^/tmp/postern-sign-.* \(deleted\)$")
            # Not dumpable: /proc shows it to root only, and its uid's other processes cannot trace it.
            self.assertEqual(os.stat("/proc/%d/mem" % pid).st_uid, 0)
            self.assertGreater(int(status["VmLck"].split()[0]), 0)
            self.check_not_traced(pid)

    def check_not_traced(self, pid):
        """A gate's user cannot read its memory."""
        code = "import os; os.setgroups([]); os.setresgid(*[%d] * 3); os.setresuid(*[%d] * 3); open('/proc/%d/mem', 'rb')" % (
            pwd.getpwnam("nobody").pw_gid, pwd.getpwnam("nobody").pw_uid, pid)
        run = subprocess.run(["python3", "-c", code], stderr=subprocess.PIPE)
        self.assertIn(b"PermissionError", run.stderr)


class NoTickets(unittest.TestCase):
    def test_no_resumption(self):
        """No ticket, no session to come back to: what opens one session opens no other."""
        server = Server()
        self.addCleanup(server.stop)
        for version, number in VERSIONS:
            with self.subTest(version):
                context = client_context(server.certificate, number, number)
                client = server.client(tls=True, context=context)
                client.ok("CAPA")
                client.lines()
                session = client.sock.session
                self.assertFalse(session is not None and session.has_ticket)
                client.quit()
                sock = socket.create_connection(("127.0.0.1", server.pop3s_port), timeout=20)
                with context.wrap_socket(sock, server_hostname="localhost", session=session) as again:
                    self.assertFalse(again.session_reused)


if __name__ == "__main__":
    unittest.main()
