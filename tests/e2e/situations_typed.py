"""Failures by what a client types: commands out of place, arguments, what is no POP3 at all. For test_situations.py."""
import situations
from postern import ServerCase
from situations import A, B
from test_auth import plain


# situation, row, what is sent first (each answered by +OK or by "+ "), the line
BEFORE_LOGIN = [
    ("a word of no protocol", "UNKNOWN_COMMAND", [], b"XYZZY"),
    ("APOP", "MECHANISM_UNKNOWN", [], b"APOP anna c4c9334bac560ecc979e58001b3e22fb"),
    ("an empty line", "EMPTY_LINE", [], b""),
    ("a line of 300 octets", "LINE_TOO_LONG", [], b"NOOP " + b"x" * 300),
    ("a response of 3,000 octets", "RESPONSE_TOO_LONG", [b"AUTH PLAIN"], b"x" * 3000),
    ("NUL in a command", "NUL", [], b"US\0ER anna"),
    ("STAT before the login", "LOG_IN_FIRST", [], b"STAT"),
    ("DELE before the login", "LOG_IN_FIRST", [], b"DELE 1"),
    ("an argument to CAPA", "NO_ARGUMENT", [], b"CAPA 1"),
    ("USER without a name", "NEEDS_ARGUMENT", [], b"USER"),
    ("PASS before USER", "USER_FIRST", [], b"PASS secret"),
    ("a name of 200 octets", "NAME_TOO_LONG", [], b"USER " + b"n" * 200),
    ("another mechanism", "MECHANISM_UNKNOWN", [], b"AUTH CRAM-MD5"),
    ("AUTH given up", "AUTH_CANCELLED", [b"AUTH PLAIN"], b"*"),
    ("no base64", "BAD_BASE64", [], b"AUTH PLAIN !!"),
    ("a response without NUL", "BAD_PLAIN", [], b"AUTH PLAIN YWJj"),
    ("an empty response", "BAD_PLAIN", [], b"AUTH PLAIN ="),
    ("for somebody else", "OTHER_IDENTITY", [], b"AUTH PLAIN " + plain("bert", "anna", "secret").encode()),
    ("a password of 600 octets by AUTH", "PASSWORD_TOO_LONG", [b"AUTH PLAIN"], plain("", "anna", "p" * 600).encode()),
    ("USER of nobody", "MAILBOX_UNKNOWN", [], b"USER nosuch"),
    ("AUTH PLAIN of nobody", "MAILBOX_UNKNOWN", [], b"AUTH PLAIN " + plain("", "nosuch", "x").encode()),
    ("a wrong password", "INVALID_PASSWORD", [b"USER anna"], b"PASS wrong"),
    ("a wrong password by AUTH", "INVALID_PASSWORD", [], b"AUTH PLAIN " + plain("", "anna", "x").encode()),
    ("no password", "EMPTY_PASSWORD", [b"USER anna"], b"PASS "),
    ("root", "UID_REFUSED", [b"USER root"], b"PASS secret"),
    ("a record without a password", "ACCOUNT_LOCKED", [b"USER locked"], b"PASS secret"),
    ("a browser", "HTTP", [], b"GET / HTTP/1.1"),
    ("a program that sends mail", "SMTP", [], b"EHLO mail.example.org"),
    ("MAIL FROM", "SMTP", [], b"MAIL FROM:<anna@example.org>"),
    ("an IMAP client", "IMAP", [], b"a1 CAPABILITY"),
    ("an IMAP login", "IMAP", [], b"A001 LOGIN anna secret"),
    ("a load balancer", "PROXY", [], b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 110"),
]

AFTER_LOGIN = [
    ("USER in an open mailbox", "LOGGED_IN_ALREADY", [], b"USER anna"),
    ("an argument to STAT", "NO_ARGUMENT", [], b"STAT 1"),
    ("RETR without a number", "NEEDS_NUMBER", [], b"RETR"),
    ("TOP with one number", "NEEDS_TWO_NUMBERS", [], b"TOP 1"),
    ("message 0", "BAD_NUMBER", [], b"RETR 0"),
    ("message -1", "BAD_NUMBER", [], b"DELE -1"),
    ("TOP with a word for lines", "BAD_LINES", [], b"TOP 1 all"),
    ("RETR of too high a number", "NO_SUCH_MESSAGE", [], b"RETR 9"),
    ("DELE of too high a number", "NO_SUCH_MESSAGE", [], b"DELE 18446744073709551615"),
    ("LIST of a marked message", "MARKED_ALREADY", [b"DELE 1"], b"LIST 1"),
    ("DELE twice", "MARKED_ALREADY", [b"DELE 2"], b"DELE 2"),
    ("LAST", "OBSOLETE", [], b"LAST"),
    ("a language that is not there", "LANGUAGE_UNKNOWN", [], b"LANG MUL"),
]


class Typed(ServerCase):
    users = ("anna", "bert", "empty")
    # So many connections a second are not all logged, but for who wants each.
    settings = {"limits": {"login_tries": 20}, "log": {"level": "debug"}}

    @classmethod
    def prepare(cls, server):
        for octets in (A, B):
            server.users["anna"].deliver(octets)
        server.write_passwd("root:%s:0:0::/root:" % server.users["anna"].record().split(":")[1], "locked:!:%d:%d::/:" % (2 * (server.users["anna"].uid,)))

    def say(self, client, first, line):
        for command in first:
            client.send(command + b"\r\n")
            self.assertRegex(client.status(), r"^\+")
        client.send(line + b"\r\n")
        return client.status()

    def test_before_login(self):
        for situation, row, first, line in BEFORE_LOGIN:
            with self.subTest(situation), self.client() as client:
                situations.check(self.server, row, situation, self.say(client, first, line))

    def test_after_login(self):
        for situation, row, first, line in AFTER_LOGIN:
            with self.subTest(situation):
                with self.login() as client:
                    situations.check(self.server, row, situation, self.say(client, first, line))

    def test_empty_mailbox(self):
        situations.check(self.server, "NO_MESSAGES", "RETR 1 of an empty mailbox", self.login("empty").cmd("RETR 1"))

    def test_too_many(self):
        client = self.client()
        said = [client.cmd("XYZZY") for _ in range(3)]
        situations.check(self.server, "TOO_MANY_BAD", "three words of no protocol", said[-1])

    def test_endless_line(self):
        client = self.client()
        client.send(b"x" * 100000)
        situations.check(self.server, "LINE_TOO_LONG", "a line that never ends", client.status())

    def test_tls_on_plain(self):
        client = self.client()
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        situations.check(self.server, "TLS_ON_PLAIN", "a TLS hello on the plain port", client.status())
        client.end()

    def test_proxy_header(self):
        client = self.client()
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12))
        situations.check(self.server, "PROXY", "a PROXY header, version 2", client.status())

    def test_plain_on_tls(self):
        client = self.client(port=self.server.pop3s_port, greeting=False)
        client.send(b"CAPA\r\n")
        situations.check(self.server, "PLAIN_ON_TLS", "plain text on the TLS port", client.status())
        client.end()

    def test_tls_twice(self):
        client = self.client(tls=True)
        situations.check(self.server, "TLS_ALREADY", "STLS inside TLS", client.cmd("STLS"))

    def test_stls_pipelined(self):
        client = self.client()
        client.send(b"STLS\r\nUSER anna\r\n")
        situations.check(self.server, "TLS_PIPELINED", "a command behind STLS", client.status())


class Doors(ServerCase):
    def test_doors_are_counted(self):
        """One line at once, and none for the next; the sessions themselves are not in the log."""
        mark = self.server.mark()
        client = self.client(source="127.0.0.9")
        client.send(b"HELO x\r\n")
        client.rest()
        self.server.wait_for_log(r"wrong door: peer=127\.0\.0\.9 door=smtp times=1: SMTP commands", since=mark)
        for _ in range(3):
            client = self.client(source="127.0.0.9")
            client.send(b"HELO x\r\n")
            client.rest()
        other = self.client(source="127.0.0.8")
        other.send(b"HELO x\r\n")
        other.rest()
        self.server.wait_for_log(r"wrong door: peer=127\.0\.0\.8", since=mark)
        self.assertEqual(self.server.log()[mark:].count("peer=127.0.0.9"), 1)
