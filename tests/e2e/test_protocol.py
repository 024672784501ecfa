"""POP3 itself (RFC 1939, 2449): every command in every state, its arguments and numbers, the limits of a line."""
import unittest

import bodies
from client import Closed
from postern import PREFIX, ServerCase
from processes import resident, wait_until

FIVE = [bodies.message("message %d" % n, b"line\n" * n) for n in range(1, 6)]

# What a number may look like and what becomes of it, for a mailbox of 5: label, argument, words of the answer or None for +OK.
NUMBERS = [
    ("first", "1", None),
    ("last", "5", None),
    ("one too many", "6", r"no such message: you asked for 6, the mailbox has 5"),
    ("nine of five", "9", r"no such message: you asked for 9, the mailbox has 5"),
    ("zero", "0", r"number"),
    ("negative", "-1", r"number"),
    ("plus sign", "+1", r"number"),
    ("letters behind", "1x", r"number"),
    ("exponent", "1e0", r"number"),
    ("hexadecimal", "0x1", r"number"),
    ("fraction", "1.0", r"number"),
    ("tab in front", "\t1", r"number"),
    ("2^31", "2147483648", r"number|no such"),
    ("2^32 + 1", "4294967297", r"number|no such"),
    ("2^63", "9223372036854775808", r"number|no such"),
    ("2^64 + 1", "18446744073709551617", r"number|no such"),
    ("two hundred digits", "1" * 200, r"number|no such"),
    ("a word", "all", r"number"),
    ("8-bit digit", "\u0661", r"number"),
]

# label, command, words of the answer. Before the login.
BEFORE_LOGIN = [
    ("STAT", "STAT", r"log in"),
    ("LIST", "LIST", r"log in"),
    ("LIST 1", "LIST 1", r"log in"),
    ("RETR", "RETR 1", r"log in"),
    ("DELE", "DELE 1", r"log in"),
    ("NOOP", "NOOP", r"log in"),
    ("RSET", "RSET", r"log in"),
    ("TOP", "TOP 1 0", r"log in"),
    ("UIDL", "UIDL", r"log in"),
    ("LAST", "LAST", r""),
    ("PASS without USER", "PASS secret", r"USER"),
    ("USER without a name", "USER", r"argument|name"),
    ("CAPA with an argument", "CAPA x", r"argument"),
    ("QUIT with an argument", "QUIT now", r"argument"),
    ("STLS with an argument", "STLS now", r"argument"),
]

# After it.
AFTER_LOGIN = [
    ("USER", "USER anna", r"already"),
    ("PASS", "PASS secret", r"already"),
    ("AUTH", "AUTH PLAIN", r"already"),
    ("bare AUTH", "AUTH", r"already"),
    ("STLS", "STLS", r"already"),
    ("STAT with an argument", "STAT 1", r"argument"),
    ("NOOP with an argument", "NOOP x", r"argument"),
    ("RSET with an argument", "RSET x", r"argument"),
    ("QUIT with an argument", "QUIT x", r"argument"),
    ("RETR without a number", "RETR", r"number"),
    ("DELE without a number", "DELE", r"number"),
    ("TOP without numbers", "TOP", r"number"),
    ("TOP with one number", "TOP 1", r"number"),
    ("TOP with three", "TOP 1 1 1", r"number"),
    ("TOP with negative lines", "TOP 1 -1", r"number"),
    ("TOP with a word", "TOP 1 all", r"number"),
    ("RETR with two numbers", "RETR 1 2", r"number"),
    ("DELE with two numbers", "DELE 1 2", r"number"),
    ("LIST with two numbers", "LIST 1 2", r"number"),
    ("LAST", "LAST", r"LAST|unknown|UIDL"),
    ("unknown", "XYZZY", r"unknown"),
    ("beginning of a command", "STA", r"unknown"),
    ("more than a command", "STATS", r"unknown"),
    ("IMAP", "a1 NOOP", r"unknown"),
    ("8-bit", b"\xc3\xa4\xff", r"unknown"),
    ("colon", ":", r"unknown"),
    ("format directives", "%n%s%n%s", r"unknown"),
]


class Commands(ServerCase):
    users = ("anna", "empty")

    @classmethod
    def prepare(cls, server):
        for octets in FIVE:
            server.users["anna"].deliver(octets)

    def test_greeting(self):
        """A banner with <...> would promise APOP."""
        client = self.client()
        self.assertRegex(client.greeting, r"^\+OK .")
        self.assertNotIn("<", client.greeting)
        client.err("APOP anna c4c9334bac560ecc979e58001b3e22fb")
        client.quit()

    def test_before_login(self):
        for label, command, words in BEFORE_LOGIN:
            with self.subTest(label):
                client = self.client()
                client.err(command, words)
                client.login("anna")
                client.quit()

    def test_after_login(self):
        client = self.login()
        for index, (label, command, words) in enumerate(AFTER_LOGIN):
            with self.subTest(label):
                client.err(command, words)
                client.ok("NOOP")
            if index % 10 == 9:
                client.quit()
                client = self.login()
        self.assertEqual(client.stat()[0], 5)
        client.quit()

    def test_numbers(self):
        """Digits only, in range; "4294967297" is not 1, and "no such message" says which and how many."""
        for command in ("LIST %s", "RETR %s", "DELE %s", "UIDL %s", "TOP %s 0"):
            client = self.login()
            for label, number, words in NUMBERS:
                with self.subTest(label, command=command):
                    if words is not None:
                        client.err(command % number, words)
                    else:
                        client.ok(command % number)
                        if command[:4] in ("RETR", "TOP "):
                            client.body()
            client.ok("RSET")
            self.assertEqual(client.stat()[0], 5)
            client.quit()

    def test_leading_zero(self):
        """"01" is message 1 or an error, never another message."""
        client = self.login()
        self.assertRegex(client.cmd("LIST 01"), r"^\+OK 1 |^-ERR ")
        client.err("LIST 010", "number|no such")
        client.err("LIST 00", "number")
        client.quit()

    def test_no_message_at_all(self):
        client = self.login("empty")
        self.assertEqual(client.stat(), (0, 0))
        self.assertEqual(client.list(), {})
        self.assertEqual(client.uidl(), {})
        for command in ("LIST 1", "RETR 1", "DELE 1", "TOP 1 0", "UIDL 1"):
            with self.subTest(command):
                client.err(command, "no such message")
        client.ok("RSET")
        client.quit()

    def test_names_in_any_case(self):
        client = self.client()
        client.ok("user anna")
        client.ok("pAsS secret")
        for command in ("stat", "Noop", "rSET", "uidl 1", "list 1", "dele 1", "rset"):
            with self.subTest(command):
                client.ok(command)
        client.ok("quit")
        client.end()

    def test_capabilities(self):
        client = self.client()
        before = client.capa()
        for name, argument in (("TOP", ""), ("UIDL", ""), ("USER", ""), ("SASL", "PLAIN"), ("STLS", ""), ("RESP-CODES", ""),
                               ("AUTH-RESP-CODE", ""), ("PIPELINING", ""), ("EXPIRE", "NEVER"), ("LANG", ""), ("UTF8", "")):
            with self.subTest(name):
                self.assertEqual(before.get(name), argument)
        self.assertIn("postern", before.get("IMPLEMENTATION", ""))
        client.login("anna")
        after = client.capa()
        for name in ("TOP", "UIDL", "USER", "SASL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE", "LANG", "UTF8"):
            with self.subTest(name, after=True):
                self.assertIn(name, after)
        self.assertNotIn("STLS", after)
        client.quit()

    def test_mark_and_reset(self):
        """Marked messages keep their place and leave the listings; RSET brings all back."""
        client = self.login()
        before, uids, (count, octets) = client.list(), client.uidl(), client.stat()
        self.assertEqual((count, octets), (5, sum(before.values())))
        client.ok("DELE 1")
        client.ok("DELE 3")
        self.assertEqual(client.list(), {n: before[n] for n in (2, 4, 5)})
        self.assertEqual(client.uidl(), {n: uids[n] for n in (2, 4, 5)})
        self.assertEqual(client.stat(), (3, before[2] + before[4] + before[5]))
        for command in ("LIST 3", "RETR 3", "DELE 3", "TOP 3 0", "UIDL 3"):
            with self.subTest(command):
                client.err(command, r"message 3 is already marked for deletion")
        self.assertEqual(client.retr(2), bodies.wire(FIVE[1]))
        client.ok("RSET")
        self.assertEqual((client.list(), client.uidl(), client.stat()), (before, uids, (count, octets)))
        client.ok("RSET")
        for _ in range(50):
            client.ok("DELE 2")
            client.ok("RSET")
        client.quit()
        self.assertEqual(len(self.anna.stored()), 5)

    def test_single_answers_agree_with_the_listings(self):
        client = self.login()
        for n, size in client.list().items():
            self.assertEqual(client.ok("LIST %d" % n), "+OK %d %d" % (n, size))
        for n, uid in client.uidl().items():
            self.assertEqual(client.ok("UIDL %d" % n), "+OK %d %s" % (n, uid))
            self.assertRegex(uid, r"^[\x21-\x7e]{1,70}$")
        client.quit()

    def test_a_failed_login_leaves_the_connection_usable(self):
        client = self.client()
        client.ok("USER anna")
        client.err("PASS wrong")
        client.err("PASS secret", "USER")
        client.login("anna")
        client.quit()

    def test_the_last_user_counts(self):
        client = self.client()
        client.ok("USER empty")
        client.login("anna")
        self.assertEqual(client.stat()[0], 5)
        client.quit()

    def test_quit_before_login(self):
        self.client().quit()


class Limits(ServerCase):
    users = ("anna", "bert")

    @classmethod
    def prepare(cls, server):
        server.users["anna"].deliver(bodies.message())

    def test_line_of_255_octets(self):
        """RFC 2449: 255 octets with the CRLF are allowed; one more is not."""
        client = self.login()
        fits, over = "STAT " + "x" * 248, "STAT " + "x" * 249
        self.assertNotRegex(client.err(fits), "too long")
        client.err(over, "too long")
        client.ok("NOOP")
        client.quit()

    def test_overlong_lines(self):
        """One -ERR for the whole line, and the rest of it is no command; or the connection is closed with a reason."""
        for size in (256, 257, 511, 512, 513, 1024, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 60000, 65535, 65536, 65537, 1 << 20):
            with self.subTest(size):
                client = self.login()
                line = (b"DELE 1 " + b"QUIT\r" * (size // 5 + 1))[:size - 2]
                try:
                    client.send(line + b"\r\n")
                    client.send(b"NOOP\r\n")
                except (ConnectionResetError, BrokenPipeError):
                    self.assertGreater(size, 65000)
                answers = []
                try:
                    answers = [client.status()]
                    answers.append(client.status())
                except Closed:
                    self.assertGreaterEqual(size, 65535, "closed after a line of %d octets" % size)
                if answers:
                    self.assertRegex(answers[0], r"^-ERR .*(too long|closing)")
                if len(answers) > 1:
                    self.assertRegex(answers[1], r"^\+OK")
                    self.assertEqual(client.stat()[0], 1)
                client.close()

    @unittest.skipIf(PREFIX, "it is valgrind's own memory that grows")
    def test_a_line_without_end_takes_no_memory(self):
        client = self.client()
        wait_until(self.server.gates, "a gate")
        before = sum(resident(p.pid) for p in self.server.processes())
        for _ in range(64):
            try:
                client.send(b"A" * 65536)
            except OSError:
                break
        grown = sum(resident(p.pid) for p in self.server.processes()) - before
        self.assertLess(grown, 3 << 20, "memory grew by %d octets" % grown)

    def test_nul(self):
        for label, line in (("in a command", b"ST\0AT"), ("first", b"\0STAT"), ("last", b"STAT\0"), ("alone", b"\0"),
                            ("in a user name", b"USER an\0na"), ("behind a user name", b"USER anna\0bert")):
            with self.subTest(label):
                client = self.client()
                client.err(line)
                client.err("PASS secret")
                client.login("anna")
                client.quit()
        client = self.client()
        client.ok("USER anna")
        client.err(b"PASS secret\0")
        client.close()

    def test_user_names(self):
        """Long, odd and hostile names get an answer, one each, and nothing of them comes back."""
        for label, name in (("128 octets", "n" * 128), ("129 octets", "n" * 129), ("240 octets", "n" * 240), ("spaces", "a b c"),
                            ("format", "%n%n%s"), ("path", "../../etc/passwd"), ("slash", "/"), ("dots", ".."), ("colon", "a:b:c"),
                            ("8-bit", "m\u00fcller"), ("escape", "\x1b[31m"), ("quote", "a\"b\\c"), ("newline-like", "a\rb")):
            with self.subTest(label):
                client = self.client()
                answer = client.cmd("USER " + name)
                if answer.startswith("+OK"):
                    answer = client.err("PASS x", r"\[AUTH\]")
                self.assertNotIn(name[:20], answer) if len(name) > 3 else None
                client.quit()

    def test_three_bad_commands_before_login(self):
        client = self.client()
        client.err("FOO")
        client.err("BAR")
        client.err("BAZ")
        client.end()

    def test_twenty_bad_commands_after_login(self):
        client = self.login()
        client.ok("DELE 1")
        for n in range(20):
            with self.subTest(n):
                client.err("FOO%d" % n)
        client.end()
        self.assertEqual(len(self.anna.stored()), 1)

    def test_other_protocols(self):
        """At most one answer, which carries nothing of the request, then the end of the connection."""
        for label, octets in (("GET", b"GET / HTTP/1.1\r\nHost: <script>x</script>\r\n\r\n"),
                              ("POST", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER anna\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"),
                              ("HEAD", b"HEAD / HTTP/1.0\r\n\r\n"), ("PUT", b"PUT /x HTTP/1.1\r\n\r\nUSER anna\r\n"),
                              ("OPTIONS", b"OPTIONS * HTTP/1.1\r\n\r\n"), ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")):
            with self.subTest(label):
                client = self.client()
                client.send(octets)
                rest = client.rest()
                self.assertRegex(rest, rb"^-ERR [^\r\n]*\r\n$")
                self.assertNotIn(b"script", rest)

    def test_garbage(self):
        """What is no POP3 at all is closed after three answers, each an error."""
        for label, octets in (("SMTP", b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
                              ("random lines", b"".join(bytes([i, 255 - i]) + b"\r\n" for i in range(14, 200))),
                              ("empty lines", b"\r\n" * 50), ("SSH", b"SSH-2.0-x\r\n\r\n\r\n\r\n"), ("zeros", b"\0" * 999 + b"\r\n" * 9)):
            with self.subTest(label):
                client = self.client()
                client.send(octets)
                self.assertRegex(client.rest(), rb"^(-ERR [^\r\n]*\r\n){1,3}$")


if __name__ == "__main__":
    unittest.main()
