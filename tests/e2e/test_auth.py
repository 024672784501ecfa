"""Who may log in, with the passwd file: right and wrong passwords, AUTH PLAIN in all its forms (RFC 5034, 4616), what a
failure says and what the log says, and the number of tries.
"""
import base64
import time
import unittest

from client import Closed, plain_words
from postern import ServerCase, User, elsewhere

NEUTRAL = "-ERR [AUTH] user name or password not accepted"
SLOT = 0.5  # seconds: failed logins are answered on a multiple of this


def plain(identity, user, password):
    """The response of PLAIN, in base64."""
    fields = [part if isinstance(part, bytes) else part.encode() for part in (identity, user, password)]
    return base64.b64encode(b"\0".join(fields)).decode()


def encoded(octets):
    return base64.b64encode(octets).decode()


ANNA = plain("", "anna", "secret")

# label, response, words of the answer (None: +OK).
RESPONSES = [
    ("right", ANNA, None),
    ("identity is the user", plain("anna", "anna", "secret"), None),
    ("identity is another", plain("bert", "anna", "secret"), r"\[AUTH\]"),
    ("wrong password", plain("", "anna", "wrong"), r"\[AUTH\]"),
    ("unknown user", plain("", "nobody-here", "secret"), r"\[AUTH\]"),
    ("empty password", plain("", "anna", ""), r"."),
    ("empty user", plain("", "", "secret"), r"."),
    ("all empty", plain("", "", ""), r"."),
    ("a field too many", encoded(b"\0anna\0secret\0"), r"."),
    ("NUL in the password", encoded(b"\0anna\0sec\0ret"), r"."),
    ("right password, NUL and more", encoded(b"\0anna\0secret\0more"), r"."),
    ("one NUL only", encoded(b"anna\0secret"), r"."),
    ("no NUL", encoded(b"annasecret"), r"."),
    ("only NULs", encoded(b"\0" * 40), r"."),
    ("no base64", "this is no base64!", r"base64"),
    ("no padding", plain("", "anna", "secret1").rstrip("=") if plain("", "anna", "secret1").endswith("=") else "AGFubmEAc2VjcmV0M", r"."),
    ("padding in the middle", ANNA[:4] + "====" + ANNA[4:], r"base64"),
    ("one octet of base64", "A", r"base64"),
    ("beginning of the password", plain("", "anna", "secre"), r"\[AUTH\]"),
    ("more than the password", plain("", "anna", "secret "), r"\[AUTH\]"),
    ("a line end in the password", plain("", "anna", "secret\n"), r"\[AUTH\]"),
    ("other case", plain("", "anna", "SECRET"), r"\[AUTH\]"),
    ("a user name of 129 octets", plain("", "n" * 129, "secret"), r"."),
    ("a tab in the user name", plain("", "anna\t", "secret"), r"\[AUTH\]"),
    ("a line end in the user name", plain("", "anna\r\n", "secret"), r"\[AUTH\]"),
    ("a colon in the user name", plain("", "anna:", "secret"), r"\[AUTH\]"),
    ("8-bit octets", encoded(b"\0\xff\xfe\0\xff"), r"\[AUTH\]"),
    ("format directives", plain("", "%n%s%n", "%n%s"), r"\[AUTH\]"),
]


class Plain(ServerCase):
    users = ("anna", "bert")
    settings = {"limits": {"login_tries": 100}}

    def test_continuation(self):
        for label, response, words in RESPONSES:
            with self.subTest(label):
                client = self.client()
                self.assertEqual(client.cmd("AUTH PLAIN"), "+ ")
                client.ok(response) if words is None else client.err(response, words)
                # Whatever it was, the next command is read as a command.
                client.ok("NOOP") if words is None else client.login("anna")
                client.quit()

    def test_initial_response(self):
        for label, response, words in RESPONSES:
            if " " in response or len(response) > 200:
                continue
            with self.subTest(label):
                client = self.client()
                client.ok("AUTH PLAIN " + response) if words is None else client.err("AUTH PLAIN " + response, words)
                client.ok("NOOP") if words is None else client.login("anna")
                client.quit()

    def test_forms(self):
        client = self.client()
        self.assertEqual(client.cmd("auth plain"), "+ ")
        client.err("*", "cancel")
        self.assertEqual(client.cmd("AUTH PLAIN"), "+ ")
        client.err("")
        client.err("AUTH PLAIN =")
        client.err("AUTH PLAIN *")
        client.ok("Auth Plain " + ANNA)
        client.err("AUTH PLAIN " + ANNA, "already")
        client.quit()

    def test_cancel_is_no_failure(self):
        """A client that cancels ten times was not wrong ten times."""
        client = self.client()
        for _ in range(10):
            client.cmd("AUTH PLAIN")
            client.err("*")
        client.login("anna")
        client.quit()

    def test_oversized_response(self):
        for size in (2000, 2046, 2047, 2048, 4096, 12288, 60000):
            with self.subTest(size):
                client = self.client()
                client.cmd("AUTH PLAIN")
                client.err("A" * size)
                client.login("anna")
                client.quit()
        client = self.client()
        client.cmd("AUTH PLAIN")
        try:
            client.send(b"A" * (1 << 20) + b"\r\n")
            self.assertRegex(client.status(), "^-ERR ")
        except (Closed, OSError):
            pass  # it has closed, which is right too
        with self.server.login() as good:
            good.quit()

    def test_commands_are_not_read_as_responses(self):
        """After AUTH PLAIN the next line is the response, whatever it looks like."""
        client = self.client()
        client.cmd("AUTH PLAIN")
        client.err("QUIT")
        client.quit()

    def test_many_bad_ones_harm_nobody_else(self):
        """Bad base64, cancelled and oversized responses in many connections; good logins go on."""
        bad = [self.client() for _ in range(20)]
        for n, client in enumerate(bad):
            client.cmd("AUTH PLAIN")
            client.send((b"!!!!", b"*", b"A" * 3000)[n % 3] + b"\r\n")
        for _ in range(10):
            with self.server.login() as good:
                good.quit()
        for client in bad:
            self.assertRegex(client.status(), "^-ERR ")


class Passwords(ServerCase):
    users = ()
    settings = {"limits": {"login_tries": 100}}
    ODD = [("spaces inside", "a b  c"), ("spaces around", " secret "), ("8-bit", "p\u00e4ssw\u00f6rt \u20ac"), ("colon", "a:b:c"),
           ("dollar", "$6$x$y"), ("hundred octets", "p" * 100), ("percent", "%n%s"), ("quotes", "\"'\\")]

    @classmethod
    def prepare(cls, server):
        for n, (_, password) in enumerate(cls.ODD):
            server.users["u%d" % n] = User(server, "u%d" % n, n, password)
        server.users["long"] = User(server, "long", 50, "L" * 500)
        server.write_passwd()

    def test_odd_passwords(self):
        for n, (label, password) in enumerate(self.ODD):
            with self.subTest(label):
                client = self.login("u%d" % n)
                client.quit()
                client = self.client()
                client.ok("AUTH PLAIN " + plain("", "u%d" % n, password))
                client.quit()
                client = self.client()
                client.ok("USER u%d" % n)
                client.err("PASS " + password + "x", r"\[AUTH\]")
                client.close()

    def test_lengths(self):
        """Up to 512 octets; more is refused, at once and for good."""
        for size in (0, 511, 512, 513, 1000, 65536):
            with self.subTest(size):
                client = self.client()
                client.cmd("AUTH PLAIN")
                try:
                    client.send(plain("", "u0", "x" * size) + "\r\n")
                    self.assertRegex(client.status(), r"^-ERR")
                except (Closed, OSError):
                    self.assertGreaterEqual(size, 65536 * 3 // 4)
                client.close()


class Unexplained(ServerCase):
    """explain_failures = never: an unknown user and a wrong password look the same, also by time."""
    settings = {"auth": {"explain_failures": "never"}, "limits": {"login_tries": 100}}

    def failure(self, user, password):
        """The answer and how long it took."""
        client = self.client()
        client.ok("USER " + user)
        start = time.monotonic()
        answer = client.err("PASS " + password)
        taken = time.monotonic() - start
        client.close()
        return answer, taken

    def test_same_words_and_time(self):
        answers, times = set(), {}
        for _ in range(5):
            for label, user, password in (("wrong", "anna", "x"), ("unknown", "nosuch", "x"), ("empty", "anna", "")):
                answer, taken = self.failure(user, password)
                answers.add(plain_words(answer))
                times.setdefault(label, []).append(taken)
        self.assertEqual(answers, {NEUTRAL})
        for label, taken in times.items():
            with self.subTest(label):
                self.assertGreater(min(taken), SLOT * 0.7, "answered before its slot")
        # The quickest of each: a busy host makes an answer later, never earlier.
        quickest = [min(taken) for taken in times.values()]
        self.assertLess(max(quickest) - min(quickest), 0.1, times)

    def test_user_says_nothing(self):
        client = self.client()
        self.assertEqual(client.ok("USER anna"), client.ok("USER nosuch"))
        client.quit()

    def test_auth_plain_too(self):
        client = self.client()
        self.assertEqual(plain_words(client.err("AUTH PLAIN " + plain("", "anna", "x"))), NEUTRAL)
        self.assertEqual(plain_words(client.err("AUTH PLAIN " + plain("", "nosuch", "x"))), NEUTRAL)
        client.quit()

    def test_the_log_says_it_at_once(self):
        """With the true reason, who and from where, while the connection is still open; hostile names are escaped."""
        client = self.client()
        for label, user, words in (("wrong", "anna", r"(?i)(wrong|password)"), ("unknown", "nosuch", r"(?i)(unknown|not in|no such)"),
                                   ("hostile", "a\x1b[31m\"x", r"x1b|\\033|\\e|\?")):
            with self.subTest(label):
                mark = self.server.mark()
                client.ok("USER " + user)
                client.err("PASS wr0ng-pass")
                self.server.wait_for_log(words, since=mark)
                line = next(line for line in self.server.log()[mark:].split("\n") if "127.0.0.1" in line)
                self.assertIn(user[:1], line)
        self.assertNotIn("\x1b", self.server.log())
        self.assertNotIn("wr0ng-pass", self.server.log())
        client.quit()

    def test_no_line_can_be_forged(self):
        mark = self.server.mark()
        client = self.client()
        client.err("AUTH PLAIN " + plain("", "x\n2026-01-01 postern: forged 203.0.113.9", "y"))
        client.quit()
        self.server.wait_for_log("forged", since=mark)
        self.assertNotRegex(self.server.log()[mark:], r"(?m)^2026-01-01 postern: forged")


class Explained(ServerCase):
    """The default: on loopback the two are said apart, and an unknown user already at USER."""
    settings = {"tls": {"plaintext_login": "always"}}
    address = elsewhere()

    @classmethod
    def prepare(cls, server):
        server.listen_too(cls.address)

    def test_loopback(self):
        client = self.client()
        client.err("USER nosuch", "mailbox unknown")
        client.ok("USER anna")
        client.err("PASS wrong", "invalid password")
        client.login("anna")
        client.quit()
        client = self.client()
        client.err("AUTH PLAIN " + plain("", "nosuch", "x"), "mailbox unknown")
        client.err("AUTH PLAIN " + plain("", "anna", "x"), "invalid password")
        client.quit()

    @unittest.skipUnless(address, "this host has no address but loopback")
    def test_elsewhere(self):
        client = self.client(host=self.address)
        client.ok("USER nosuch")
        self.assertEqual(plain_words(client.err("PASS x")), NEUTRAL)
        client.ok("USER anna")
        self.assertEqual(plain_words(client.err("PASS x")), NEUTRAL)
        client.quit()


class Gateway(ServerCase):
    """A webmail on this host shows its users, who may be strangers, what it is told."""
    settings = {"limits": {"gateways": "127.0.0.9"}}

    def test_not_explained(self):
        for source, user, password in (("127.0.0.9", "nosuch", NEUTRAL), ("127.0.0.9", "anna", NEUTRAL), ("127.0.0.1", "anna", "-ERR [AUTH] invalid password")):
            with self.subTest(source=source, user=user):
                client = self.client(source=source)
                client.ok("USER " + user)
                self.assertEqual(plain_words(client.cmd("PASS wrong")), password)
        client = self.client(source="127.0.0.1")
        client.err("USER nosuch", "mailbox unknown")


class ExplainedAlways(ServerCase):
    settings = {"tls": {"plaintext_login": "always"}, "auth": {"explain_failures": "always"}}
    address = elsewhere()

    @classmethod
    def prepare(cls, server):
        server.listen_too(cls.address)

    @unittest.skipUnless(address, "this host has no address but loopback")
    def test_elsewhere(self):
        client = self.client(host=self.address)
        client.err("USER nosuch", "mailbox unknown")
        client.ok("USER anna")
        client.err("PASS x", "invalid password")
        client.quit()


class Tries(ServerCase):
    settings = {"auth": {"explain_failures": "never"}}

    def test_three(self):
        """Three are checked; then a last line, and the end, however the client goes on."""
        for label, commands in (("PASS", ["USER anna", "PASS x"]), ("AUTH", ["AUTH PLAIN " + plain("", "anna", "x")])):
            with self.subTest(label):
                client = self.client()
                said = []
                try:
                    for _ in range(12):
                        said += [client.cmd(command) for command in commands]
                except (Closed, OSError):
                    pass
                self.assertEqual([plain_words(line) for line in said].count(NEUTRAL), 3, said)
                self.assertRegex(said[-1], r"^-ERR \[AUTH\]")
                client.end()

    def test_right_password_after_three_wrong(self):
        client = self.client()
        for _ in range(3):
            client.ok("USER anna")
            client.err("PASS x")
        try:
            answer = client.cmd("USER anna")
            answer = client.cmd("PASS secret") if answer.startswith("+OK") else answer
        except (Closed, OSError):
            answer = "-ERR"
        self.assertRegex(answer, "^-ERR")

    def test_other_connections_go_on(self):
        for _ in range(3):
            client = self.client()
            client.ok("USER anna")
            client.err("PASS x")
            client.close()
        with self.server.login() as good:
            good.quit()


if __name__ == "__main__":
    unittest.main()
