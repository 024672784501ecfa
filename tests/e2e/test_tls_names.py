"""Several certificates, for the host that a client names in TLS."""
import ssl
import unittest

from postern import Server, make_certificate
from test_tls import MODES, NEW


class Names(unittest.TestCase):
    """Several certificates: which one a client gets who asks for a host by name (SNI, RFC 6066)."""

    ROWS = [("localhost", "server"), ("second.example", "second"), ("SECOND.example", "second"), ("a.third.example", "third"), ("a.b.third.example", "server"),
            ("third.example", "server"), ("mail.example.org", "server"), ("unknown.example", "server"), (None, "server")]

    @classmethod
    def setUpClass(cls):
        made = {"server": make_certificate(), "second": make_certificate("second", "rsa", "second.example"), "third": make_certificate("third", "ec", "*.third.example")}
        cls.certificates = {name: pair[0] for name, pair in made.items()}
        cls.settings = {"tls": {"certificate": " ".join(pair[0] for pair in made.values()), "key": " ".join(pair[1] for pair in made.values())}}

    def presented(self, server, name, tls=False, version=ssl.TLSVersion.TLSv1_3):
        """Of which certificate it shows that it has the key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = context.maximum_version = version
        for path in self.certificates.values():
            context.load_verify_locations(path)
        with server.client(tls=tls, context=context, name=name) as client:
            if not tls:
                client.stls()
            client.login("anna")
            octets = client.sock.getpeercert(True)
            client.quit()
        return next(label for label, path in self.certificates.items() if ssl.PEM_cert_to_DER_cert(open(path, encoding="ascii").read()) == octets)

    def test_by_name(self):
        server = Server(settings=self.settings)
        self.addCleanup(server.stop)
        for label, tls in MODES:
            for version, number, _ in NEW:
                for name, want in self.ROWS:
                    with self.subTest(label, version=version, name=name):
                        self.assertEqual(self.presented(server, name, tls, number), want)

    def test_one_alone_is_for_all(self):
        server = Server()
        self.addCleanup(server.stop)
        for name in ("second.example", None):
            self.assertEqual(self.presented(server, name), "server")

    def test_reload(self):
        """One more, then one of them renewed, in the middle of sessions."""
        server = Server(("anna", "bert"))
        self.addCleanup(server.stop)
        with server.login("bert", tls=True) as session:
            server.write_config(**self.settings)
            self.assertIn("read again", server.reload())
            self.assertEqual(self.presented(server, "second.example"), "second")
            server.write_config(tls={key: value.replace("third.", "third-renewed.") for key, value in self.settings["tls"].items()})
            self.certificates = {**self.certificates, "third": make_certificate("third-renewed", "ec", "*.third.example")[0]}
            server.reload()
            self.assertEqual(self.presented(server, "a.third.example"), "third")
            session.quit()

    def test_keys_in_another_order(self):
        server = Server(settings=self.settings)
        self.addCleanup(server.stop)
        keys = self.settings["tls"]["key"].split()
        server.write_config(tls={"key": " ".join([keys[0], keys[2], keys[1]])})
        said = server.reload()
        self.assertRegex(said, r"key \S*third\.key does not belong to certificate \S*second\.crt")
        self.assertIn("the old configuration", said)
        self.assertEqual(self.presented(server, "second.example"), "second")


if __name__ == "__main__":
    unittest.main()
