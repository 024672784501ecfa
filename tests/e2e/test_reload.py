"""SIGHUP with good and bad configurations and certificates: what takes effect, and what goes on."""
import os
import signal
import socket
import unittest

import bodies
from client import Client, client_context
from postern import ROOT, Server, free_port, make_certificate
from processes import wait_until
from test_explain import OK, postern, reference


class Reload(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.server.users["anna"].deliver(bodies.message())

    def presented(self, port=None):
        """The certificate that a new connection sees."""
        client = Client(self.server, tls=True, port=port, context=self.context)
        octets = client.sock.getpeercert(True)
        client.quit()
        return octets

    @property
    def context(self):
        context = client_context(self.server.certificate)
        context.load_verify_locations(make_certificate("renewed")[0])
        return context

    def test_good_configuration(self):
        """New connections get the new; an open session goes on and still deletes."""
        session = self.server.login()
        session.ok("DELE 1")
        self.server.write_config(auth={"explain_failures": "never"}, limits={"login_tries": 1})
        self.assertIn("read again", self.server.reload())
        session.ok("NOOP")
        client = self.server.client()
        client.ok("USER nosuch")
        client.err("PASS x", r"user name or password not accepted")
        client.close()
        session.quit()
        self.assertEqual(self.server.users["anna"].stored(), {})

    def test_certificate(self):
        old = self.presented()
        session = self.server.client(tls=True)
        session.login("anna")
        certificate, key = make_certificate("renewed")
        self.server.write_config(tls={"certificate": certificate, "key": key})
        self.server.reload()
        self.assertNotEqual(self.presented(), old)
        client = self.server.client(context=self.context).stls()
        self.assertNotEqual(client.sock.getpeercert(True), old)
        client.quit()
        self.assertEqual(session.retr(1), bodies.wire(bodies.message()))
        session.quit()

    def test_certificate_in_place(self):
        """The same file names with new content, as certbot leaves them."""
        places = self.server.base / "x.crt", self.server.base / "x.key"
        for place, octets in zip(places, make_certificate()):
            place.write_bytes(open(octets, "rb").read())
            place.chmod(0o600)
        self.server.write_config(tls={"certificate": places[0], "key": places[1]})
        self.server.reload()
        old = self.presented()
        for place, octets in zip(places, make_certificate("renewed")):
            place.write_bytes(open(octets, "rb").read())
        self.server.reload()
        self.assertNotEqual(self.presented(), old)

    def test_renewed_without_a_reload(self):
        """Looked at by itself: as it was, nothing is replaced; renewed, it is served; half renewed, the one before stays, and says so."""
        places = self.server.base / "y.crt", self.server.base / "y.key"

        def put(pair):
            for place, octets in zip(places, pair):
                new = place.with_suffix(".new")
                new.write_bytes(open(octets, "rb").read())
                new.chmod(0o600)
                new.rename(place)
        put(make_certificate())
        self.server.write_config(tls={"certificate": places[0], "key": places[1], "reread_seconds": 1}, log={"level": "debug"})
        self.server.reload()
        old = self.presented()
        nursery = self.server.nurseries()[0].pid
        mark = self.server.mark()
        self.server.wait_for_log("the certificate is as it was read before", since=mark)
        self.assertIn(nursery, [p.pid for p in self.server.nurseries() if p.state != "Z"])
        session = self.server.login(tls=True, context=self.context)
        put(make_certificate("renewed"))
        self.server.wait_for_log("the certificate was renewed, and read again", since=mark)
        new = self.presented()
        self.assertNotEqual(new, old)
        mark = self.server.mark()
        places[1].unlink()
        self.server.wait_for_log("; the certificate that was read before stays", since=mark)
        self.assertEqual(self.presented(), new)
        self.assertNotIn("configuration", self.server.log()[mark:])
        put(make_certificate())
        self.server.wait_for_log("the certificate was renewed, and read again", since=mark)
        self.assertEqual(self.presented(), old)
        session.quit()

    def test_bad_ones_are_not_taken(self):
        """label, sections changed, what the log says. The old goes on, for open sessions and new."""
        old = self.presented()
        port = self.server.pop3_port
        session = self.server.login()
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        good = {section: dict(values) for section, values in self.server.settings.items()}
        rows = [
            ("a bad setting", {"limits": {"per_source": "many"}}, r"postern\.conf:\d+: .*per_source"),
            ("no such certificate", {"tls": {"certificate": "/nonexistent/x.pem"}}, r"/nonexistent/x\.pem"),
            ("key of another", {"tls": {"key": make_certificate("renewed")[1]}}, r"(?i)key"),
            ("port taken", {"listen": {"pop3": "127.0.0.1:%d" % taken.getsockname()[1]}}, r"cannot listen"),
            ("another lock directory", {"maildrop": {"lock_directory": self.server.base / "other"}}, r"another lock_directory or .* take a restart"),
            ("another journal directory", {"maildrop": {"journal_directory": self.server.base / "other"}}, r"another .*journal_directory, .* take a restart"),
            ("gate_user unknown", {"system": {"gate_user": "no-such-user"}}, r"no-such-user" if ROOT else r""),
        ]
        for label, changes, words in rows:
            if label.startswith("gate_user") and not ROOT:
                continue
            with self.subTest(label):
                self.server.settings = {section: dict(values) for section, values in good.items()}
                self.server.write_config(**changes)
                said = self.server.reload()
                self.assertRegex(said, words)
                self.assertRegex(said, r"old configuration.*stay")
                session.ok("NOOP")
                self.assertEqual(self.presented(), old)
                Client(self.server, port=port).quit()
        self.server.config_file.unlink()
        self.assertRegex(self.server.reload(), r"old configuration.*stay")
        session.quit()
        self.server.settings = good
        self.server.write_config()
        self.assertIn("read again", self.server.reload())

    def test_another_port(self):
        session = self.server.login()
        old, new = self.server.pop3_port, free_port()
        self.server.write_config(listen={"pop3": "127.0.0.1:%d" % new})
        self.server.reload()
        self.server.pop3_port = new
        with self.server.client() as client:
            client.quit()
        with self.assertRaises(OSError):
            Client(self.server, port=old)
        session.ok("NOOP")
        session.quit()

    def refused(self):
        """The reference of a wrong password."""
        with self.server.client() as client:
            client.ok("USER anna")
            return reference(client.err("PASS wrong"))

    def known(self, ref, **options):
        return postern("explain", "-c", self.server.config_file, ref, **options)[0] == OK

    def recorders(self):
        return [p.pid for p in self.server.processes() if p.name == "posternd-record" and p.ppid == self.server.pid]

    def test_other_records(self):
        """Where records go is as the new configuration says, and `postern explain` looks there; a reload that changes none of it leaves them alone."""
        other = self.server.base / "other"
        anna = {"uid": self.server.users["anna"].uid} if ROOT else {}
        ref = self.refused()
        wait_until(lambda: self.known(ref), "the first record")
        recorder = self.recorders()
        self.server.write_config(auth={"login_help": "https://example.org/"})
        self.server.reload()
        self.assertEqual(self.recorders(), recorder)
        self.server.write_config(maildrop={"index_directory": other / "index"},
                                 log={"history_directory": other / "history", "history_socket": other / "ask", "history": 500, "level": "debug"})
        self.server.reload()
        ref = self.refused()
        wait_until(lambda: self.known(ref), "the history has it")
        wait_until(lambda: self.known(ref, **anna), "its user is told")
        self.assertEqual(sorted(path.name for path in other.iterdir()), ["ask", "history", "index"])
        now = self.recorders()
        self.assertEqual((len(now), now == recorder), (1, False))
        self.server.login().quit()
        self.assertNotEqual(list((other / "index").iterdir()), [])
        # And back, in the same files.
        self.server.write_config(log={"history": 600})
        self.server.reload()
        ref = self.refused()
        wait_until(lambda: self.known(ref), "the history has it, again")

    def test_many_in_a_row(self):
        """Signals that come faster than a reload takes leave one server that works, and nothing else."""
        session = self.server.login()
        for _ in range(20):
            os.kill(self.server.pid, signal.SIGHUP)
        self.server.reload()
        session.ok("NOOP")
        with self.server.client(tls=True) as client:
            client.quit()
        session.quit()
        wait_until(lambda: len(self.server.nurseries()) <= 1 and not self.server.zombies(), lambda: "one nursery: %s" % self.server.processes())


if __name__ == "__main__":
    unittest.main()
