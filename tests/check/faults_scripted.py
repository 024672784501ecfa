"""Faults of servers that are not at hand, and of what stands in between: a scripted peer replays them."""
import socket
import subprocess
import threading
import unittest
from functools import partial

from certificates import EARLY, ENDING, EXPIRED, GOOD, MISNAMED, SCANNER, STRANGER, authority, certificate, context
from checking import CheckCase, Checked, at_once, command, run_check
from peer import BlackHole, dripping, late, silence
from postern import ROOT, elsewhere, free_port, make_certificate, need_mounts, run_directory
from processes import PATIENCE

# greeting, where it is said, the text behind -ERR, verdict, one of these situations
TEXTS = [
    ("Dovecot ready.", "PASS", "[AUTH] Authentication failed.", "account", "unknown-user"),
    ("Hello there.", "PASS", "Login failed.", "account", "unknown-user"),
    ("mx Cyrus POP3 v2.5 server ready", "USER", "[AUTH] Invalid user", "account", "unknown-user"),
    ("", "PASS", "Authentication failed (bad password?)", "account", "unknown-user"),
    ("solid POP3", "PASS", "unknown username", "account", "unknown-user"),
    ("Qpopper (version 4.1.0) at h starting.", "PASS", '[AUTH] Password supplied for "ann" is incorrect.', "account", "unknown-user"),
    ("POP3", "PASS", "Invalid user name or password. Please use full email address as user name.", "account", "unknown-user"),
    ("WildDuck POP3", "PASS", "[AUTH] Username and password not accepted", "account", "unknown-user"),
    ("<12.34@h>", "PASS", "authorization failed", "account", "unknown-user"),
    ("POP3", "PASS", "Lies! Try again!", "account", "unknown-user"),
    ("The Microsoft Exchange POP3 service is ready.", "PASS", "Logon failure: unknown user name or bad password.", "account", "unknown-user"),
    ("Gpop ready for requests from 192.0.2.9 x", "PASS", "[AUTH] Application-specific password required", "account", "app-password"),
    ("Hello there.", "PASS", "POP3 access disabled for this account.", "account", "account-disabled"),
    ("Qpopper (version 4.1.0) at h starting.", "PASS", "[AUTH] password expired.", "account", "account-disabled"),
    ("Dovecot ready.", "USER", "[AUTH] Cleartext authentication disallowed on non-secure (SSL/TLS) connections.", "settings", "tls-required"),
    ("Hello there.", "USER", "TLS required to log in.", "settings", "tls-required"),
    ("Apache James", "USER", "Authentication requires TLS.", "settings", "tls-required"),
    ("Dovecot ready.", "PASS", "[IN-USE] Mailbox is locked by another POP3 session.", "other-program", "mailbox-locked"),
    ("Qpopper (version 4.1.0) at h starting.", "PASS", "[IN-USE] /var/mail/.ann.pop lock busy! Is another session active? (11)", "other-program", "mailbox-locked"),
    ("POP3", "PASS", "Maildrop already locked", "other-program", "mailbox-locked"),
    ("Qpopper (version 4.1.0) at h starting.", "PASS", "[SYS/TEMP] maillock error 4 on /var/mail/ann", "other-program", "delivery-lock"),
    ("perdition", "PASS", "Re-Authentication Failure", "cannot-tell", "mailbox-locked"),
    ("", "PASS", "", "server", "storage"),
    ("POP3", "PASS", "", "cannot-tell", "bare-error"),
    ("POP3", "PASS", "xyzzy", "cannot-tell", "unknown-text"),
    ("Dovecot ready.", "PASS", "[SYS/TEMP] Internal error occurred. Refer to server log for more information. [1]", "server", "storage"),
    ("Hello there.", "PASS", "chdir Maildir failed", "server", "storage"),
    ("<12.34@h>", "PASS", "this user has no $HOME/Maildir", "server", "storage"),
    ("Dovecot ready.", "PASS", "[SYS/TEMP] Temporary authentication failure. [h:1]", "server", "temporary"),
    ("Hello there.", "PASS", "Temporary problem, please try again later", "server", "temporary"),
    ("Dovecot ready.", "STAT", "[SYS/TEMP] Not enough disk quota", "account", "limit"),
    ("POP3", "PASS", "Exceeded the login limit for a 15 minute period. Reduce the frequency", "account", "limit"),
    ("mx Cyrus POP3 v2.5 server ready", "PASS", "Too many open connections (11 of 10 for ann)", "other-program", "too-many-connections"),
    ("mx Cyrus POP3 v2.5 server ready", "PASS", "[LOGIN-DELAY] Logins must be at least 5 minutes apart", "settings", "login-delay"),
    ("POP3", "PASS", "Too many bad login attempts.", "account", "too-many-errors"),
    ("Dovecot ready.", "STAT", "Disconnected for inactivity.", "network", "idle"),
    ("nginx", "PASS", "Unknown command.", "server", "unknown-command"),
    ("mx Cyrus POP3 v2.5 server ready", "STAT", "Syntax error", "server", "bad-argument"),
    ("Dovecot ready.", "RETR", "Message 1 expunged.", "other-program", "vanished"),
    ("", "RETR", "", "other-program", "no-such-message"),
    ("Dovecot ready.", "LIST", "[SYS/TEMP] Mailbox is in inconsistent state, please relogin.", "other-program", "mailbox-changed"),
    ("POP3 Ready <1.2@h>", "QUIT", "Some deleted messages not removed", "server", "expunge-failed"),
    ("POP3", "QUIT", "Something went wrong.", "server", "expunge-failed"),
    ("Dovecot ready.", "STAT", "[SYS/TEMP] Server shutting down.", "server", "shutdown"),
]


class Texts(CheckCase):
    def test_texts(self):
        peers = [self.peer({"greeting": ("+OK " + row[0]).rstrip(), row[1]: ("-ERR " + row[2]).rstrip()}) for row in TEXTS]
        results = at_once(("ann@127.0.0.1:%d" % peer.port,) for peer in peers)
        for (_, command, text, verdict, situation), peer, got in zip(TEXTS, peers, results):
            with self.subTest(text=text, command=command):
                self.expect(got, verdict)
                self.assertIn(situation, got.situations, got.out)
                if command == "USER":
                    self.assertNotIn("PASS", peer.commands(), "the password was sent to a server that had said no")

    def test_greetings(self):
        rows = [
            ("-ERR Sorry, I'm too busy right now", "other-program", "too-many-connections"),
            ("-ERR [SYS/TEMP] the server has all 5 sessions in use; try again in a minute", "server", "temporary"),
            ("-ERR", "cannot-tell", "bare-error"),
            ("+ERR broken", "server", "plus-err"),
            ("220 mx.example.org ESMTP Postfix", "settings", "smtp"),
            ("* OK [CAPABILITY IMAP4rev1] ready", "settings", "imap"),
            ("SSH-2.0-OpenSSH_9.2p1", "settings", "other-protocol"),
            (b"\x15\x03\x01\x00\x02\x02\x0a\r\n", "settings", "tls-on-clear"),
            (None, "server", "closed-ungreeted"),
        ]
        for greeting, verdict, situation in rows:
            with self.subTest(greeting):
                peer = self.peer({"greeting": greeting})
                got = self.expect(run_check("ann@127.0.0.1:%d" % peer.port), verdict, situation)
                self.assertNotIn("PASS", peer.commands())
                self.assertIsNone(got.settings)


class Signals(CheckCase):
    def test_refused(self):
        self.expect(run_check("127.0.0.1:%d" % free_port()), "server", "refused", certainty="likely")

    def test_black_hole(self):
        hole = BlackHole()
        self.addCleanup(hole.close)
        self.expect(run_check("127.0.0.1:%d" % hole.port, "--connect-timeout", "1"), "network", "black-hole")

    def test_greeting_late(self):
        peer = self.peer({"greeting": late(1.3, "+OK at last")})
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--late", "1"), "server", "greeting-late")

    def test_no_greeting(self):
        peer = self.peer({"greeting": silence})
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--timeout", "2", "--connect-timeout", "1"), "server", "no-greeting")

    def test_greeting_drips(self):
        peer = self.peer({"greeting": dripping()})
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--timeout", "1"), "settings", "other-protocol")

    def test_answer_drips(self):
        commands = ("CAPA", "STAT", "LIST", "RETR")
        peers = [self.peer({command: dripping()}) for command in commands]
        for command, got in zip(commands, at_once(("ann@127.0.0.1:%d" % peer.port, "--timeout", "1") for peer in peers)):
            with self.subTest(command):
                self.expect(got, "server", "silent", count=command == "STAT")

    def test_total(self):
        peer = self.peer({"PASS": silence})
        got = self.expect(run_check("ann@127.0.0.1:%d" % peer.port, "--timeout", "60", "--total", "2"), "server", "silent")
        self.assertLess(got.json["steps"][-1]["ms"], 4000 * PATIENCE)

    def test_http(self):
        def request(session):
            session.line()
            session.send("HTTP/1.1 400 Bad Request\r\n\r\n")
        peer = self.peer({"greeting": request})
        self.expect(run_check("127.0.0.1:%d" % peer.port), "settings", "http")

    def test_tls_port_in_clear(self):
        peer = self.peer(context=context(certificate(**GOOD)), implicit=True)
        target, trust = "ann@127.0.0.1:%d" % peer.port, ("--ca-file", authority())
        got = self.expect(run_check(target, *trust, "--tls", "stls"), "settings", "tls-on-clear", certainty="sure")
        self.assertEqual((got.settings["port"], got.settings["security"]), (peer.port, "SSL/TLS"))
        peer.logins = 2  # two checks
        self.expect(run_check(target, *trust), "fine", count=False)

    def test_clear_port_with_tls(self):
        peer = self.peer(context=context(certificate(**GOOD)))
        got = run_check("ann@127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--tls", "implicit")
        self.expect(got, "settings", "clear-on-tls", certainty="sure")
        self.assertEqual(got.settings["security"], "STARTTLS")
        self.assertTrue(got.json["settings"]["logged_in"])

    def test_error_unasked(self):
        for text, closes in (("[SYS/PERM] Permission denied", True), ("", False)):
            with self.subTest(text):
                def error(session, text=text, closes=closes):
                    session.send("+OK Logged in.\r\n")
                    session.send("-ERR %s\r\n" % text)
                    return None if closes else ""
                peer = self.peer({"greeting": "+OK Dovecot ready.", "PASS": error})
                self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "error-unasked")

    def test_closed_after_login(self):
        def close(session):
            session.send("+OK Logged in.\r\n")
        peer = self.peer({"PASS": close})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "closed")

    def test_two_answers_to_quit(self):
        peer = self.peer({"greeting": "+OK <1.2@h>", "QUIT": "-ERR unable to unlink all deleted messages\r\n+OK"})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "expunge-failed")
        peer = self.peer({"QUIT": "+OK bye\r\n+OK bye again"})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "two-answers")

    def test_plus_err(self):
        peer = self.peer({"PASS": "+ERR wrong"})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "plus-err")

    def test_line_without_end(self):
        def flood(session):
            for _ in range(200):
                session.send(b"x" * 4096)
            session.peer.done.wait(60)
        peer = self.peer({"STAT": flood})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "long-line")

    def test_list_without_end(self):
        def flood(session):
            session.send("+OK\r\n")
            piece = b"".join(b"%d 10\r\n" % n for n in range(1, 1001))
            for _ in range(1000):
                session.send(piece)
        peer = self.peer({"LIST": flood, "STAT": "+OK 2 20"})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "server", "too-much")


class Dns(CheckCase):
    @unittest.skipUnless(ROOT, "needs port 53 and a mount namespace: root")
    def test_names(self):
        need_mounts()
        for code, verdict, situation in ((3, "settings", "name-unknown"), (None, "network", "dns-silent")):
            with self.subTest(situation):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
                    dns.bind(("127.0.0.1", 53))
                    thread = threading.Thread(target=self.answer, args=(dns, code))
                    thread.start()
                    got = run_with_own("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "--timeout", "2", "ann@pop.nowhere.example")
                    dns.sendto(b"", ("127.0.0.1", 53))
                    thread.join()
                self.expect(got, verdict, situation)

    @staticmethod
    def answer(dns, code):
        """To each question "no such name", or nothing at all, until an empty packet comes."""
        while True:
            question, sender = dns.recvfrom(2048)
            if not question:
                return
            if code is not None:
                dns.sendto(question[:2] + bytes([0x81, 0x80 | code]) + question[4:6] + bytes(6) + question[12:], sender)

    def test_no_such_family(self):
        self.expect(run_check("127.0.0.1", "-6"), "settings", "name-unknown")

    def test_families(self):
        peer = self.peer(host="::1")
        self.expect(run_check("[::1]:%d" % peer.port, "-6"), "fine", count=False)

    @unittest.skipUnless(ROOT, "needs a mount namespace")
    def test_one_family_refuses(self):
        """Whoever refuses is there: that is the server's side, and not the network's."""
        need_mounts()
        peer = self.peer()
        got = run_with_own("hosts", "127.0.0.1 both.example\n::1 both.example\n", "both.example:%d" % peer.port)
        self.expect(got, "fine", count=False)
        step, = [step for step in got.json["steps"] if step["outcome"] == "warning"]
        self.assertEqual((step["step"], step["verdict"], step["situations"]), ("connection", "server", ["family-refused"]))


def run_with_own(name, text, *arguments):
    """With that text as /etc/NAME."""
    own = run_directory() / name
    own.write_text(text)
    script = 'mount --bind "%s" /etc/%s && exec "$@"' % (own, name)
    return Checked(subprocess.run(["unshare", "-m", "sh", "-ec", script, "sh", *command("--json", *arguments)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=100, check=False))


class Tls(CheckCase):
    def tls(self, made, **options):
        return self.peer(context=context(certificate(**made)), **options)

    def test_certificates(self):
        rows = [
            (EXPIRED, "server", "certificate-expired"), (EARLY, "settings", "certificate-early"),
            (MISNAMED, "settings", "certificate-name"), (STRANGER, "server", "certificate-unknown"),
            (SCANNER, "network", "intercepted"),
        ]
        rows = [(*row, implicit) for row in rows for implicit in (True, False)]
        peers = [self.tls(made, implicit=implicit) for made, _, _, implicit in rows]
        results = at_once(("ann@127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--tls", "implicit" if peer.implicit else "stls") for peer in peers)
        for (made, verdict, situation, implicit), got in zip(rows, results):
            with self.subTest(made["label"], implicit=implicit):
                self.expect(got, verdict, situation)

    def test_self_signed(self):
        peer = self.peer(context=context(make_certificate("self")), implicit=True)
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--tls", "implicit"), "server", "certificate-self-signed")
        peer = self.peer(context=context(make_certificate("self")), implicit=True)
        got = run_check("ann@127.0.0.1:%d" % peer.port, "--ca-file", make_certificate("self")[0], "--tls", "implicit")
        self.expect(got, "fine", count=False)

    def test_good_and_ending(self):
        got = run_check("ann@127.0.0.1:%d" % self.tls(GOOD).port, "--ca-file", authority())
        self.expect(got, "fine", count=False)
        self.assertEqual(got.settings["security"], "STARTTLS")
        got = run_check("ann@127.0.0.1:%d" % self.tls(ENDING, implicit=True).port, "--ca-file", authority(), "--tls", "implicit")
        self.expect(got, "fine", count=False)
        self.assertEqual(got.outcomes("certificate's dates")[-1:], ["warning"])

    def test_old(self):
        peer = self.peer(context=context(certificate(**GOOD), old=True), implicit=True)
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--tls", "implicit"), "server", "tls-old")

    def test_handshake_fails(self):
        def garbage(session):
            session.send("+OK begin\r\n")
            session.sock.recv(5)
            session.send(b"\x16\x03\x03\x00\x05hello" + bytes(50))
        peer = self.peer({"STLS": garbage}, context=context(certificate(**GOOD)))
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--tls", "stls"), "server", "handshake")

    def test_stls_refused(self):
        peer = self.peer({"CAPA": ["+OK", "USER", "STLS"], "STLS": "-ERR TLS support isn't enabled."})
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--tls", "stls"), "server", "tls-broken")

    def test_stls_hidden(self):
        for line in ("TOP", "XXXX"):
            with self.subTest(line):
                peer = self.peer({"CAPA": ["+OK", "USER", line]}, context=context(certificate(**GOOD)))
                self.expect(run_check("ann@127.0.0.1:%d" % peer.port, "--ca-file", authority()), "network", "stls-hidden")

    def test_injected(self):
        peer = self.peer({"STLS": "+OK\r\n+OK injected"}, context=context(certificate(**GOOD)))
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--ca-file", authority(), "--tls", "stls"), "network", "injected")

    def test_no_tls(self):
        peer = self.peer()
        self.expect(run_check("127.0.0.1:%d" % peer.port, "--tls", "stls"), "server", "no-tls")

    @unittest.skipUnless(elsewhere(), "needs an address that is not loopback: root")
    def test_nothing_in_clear(self):
        """From another host the password waits for TLS with a good certificate, or for --plaintext."""
        address = elsewhere()
        peer = self.peer(host=address)
        self.expect(run_check("ann@%s:%d" % (address, peer.port)), "server", "no-tls")
        self.expect(run_check("ann@%s:%d" % (address, peer.port), "--tls", "none"), "server", "clear-only")
        self.assertFalse({"USER", "PASS"} & set(peer.commands()), peer.heard)
        self.expect(run_check("ann@%s:%d" % (address, peer.port), "--plaintext"), "fine", count=False)
        self.assertIn("PASS", peer.commands())
        # It has TLS, which the options forbade.
        peer = self.tls(GOOD, host=address)
        self.expect(run_check("ann@%s:%d" % (address, peer.port), "--tls", "none"), "settings", "clear-asked")
        self.assertFalse({"USER", "PASS"} & set(peer.commands()), peer.heard)
        for made in (EXPIRED, MISNAMED, STRANGER, SCANNER):
            with self.subTest(made["label"]):
                peer = self.tls(made, host=address)
                got = run_check("ann@%s:%d" % (address, peer.port), "--ca-file", authority())
                self.assertNotEqual(got.verdict, "fine")
                self.assertFalse({"USER", "PASS"} & set(peer.commands()), peer.heard)

    @unittest.skipUnless(ROOT, "needs ports 110 and 995: root")
    def test_ports(self):
        """The wrong port or kind of TLS, and the right one is at hand."""
        clear = partial(self.peer, context=context(certificate(**GOOD)))
        rows = [
            (110, False, ["ann@127.0.0.1:995"], "settings", "wrong-way", (110, "STARTTLS")),
            (110, False, ["ann@127.0.0.1", "--tls", "implicit"], "settings", "wrong-way", (110, "STARTTLS")),
            (110, False, ["ann@127.0.0.1:1995"], "settings", "wrong-way", (110, "STARTTLS")),
            (110, False, ["ann@127.0.0.1"], "fine", "none", (110, "STARTTLS")),
            (995, True, ["ann@127.0.0.1:110"], "settings", "wrong-way", (995, "SSL/TLS")),
            (995, True, ["ann@127.0.0.1", "--tls", "stls"], "settings", "wrong-way", (995, "SSL/TLS")),
            (995, True, ["ann@127.0.0.1", "--port", "995", "--tls", "stls"], "settings", "tls-on-clear", (995, "SSL/TLS")),
            (995, True, ["ann@127.0.0.1"], "fine", "none", (995, "SSL/TLS")),
        ]
        for port, implicit, arguments, verdict, situation, settings in rows:
            with self.subTest(arguments):
                peer = clear(implicit=implicit, port=port)
                got = run_check(*arguments, "--ca-file", authority())
                self.expect(got, verdict, situation, count=verdict != "fine")
                self.assertEqual((got.settings["port"], got.settings["security"]), settings)
                self.assertTrue(got.settings["logged_in"])
                peer.close()


class Between(CheckCase):
    def test_proxy(self):
        rows = [
            ({"greeting": "+OK POP3 POPFile (v1.1.3) server ready", "PASS": "-ERR [AUTH] Authentication failed."}, "popfile"),
            ({"USER": "+OK Password required for ann/pop.else.example", "PASS": "-ERR invalid password"}, "rewritten"),
            ({"USER": "+OK ann#pop.else.example", "PASS": "-ERR Login failed."}, "rewritten"),
        ]
        for replies, name in rows:
            with self.subTest(name):
                peer = self.peer(replies)
                self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "network", "between")

    def test_own_domain_is_no_proxy(self):
        peer = self.peer({"USER": "+OK name is ann@localhost", "PASS": "-ERR invalid password"})
        self.expect(run_check("ann@localhost:%d" % peer.port), "account", "bad-password")


class Listings(CheckCase):
    def test_listings(self):
        long = "u" * 71
        rows = [
            ({"STAT": "+OK 3 60"}, "counts"), ({"STAT": "+OK two messages"}, "counts"), ({"STAT": "+OK"}, "counts"),
            ({"LIST": ["+OK", "1 23"]}, "counts"), ({"LIST": ["+OK", "1 23", "1 34"]}, "counts"),
            ({"LIST": ["+OK", "1 23", "2 x"]}, "counts"), ({"UIDL": ["+OK", "1 a"]}, "counts"),
            ({"UIDL": ["+OK", "1 a", "2 a"]}, "unique-ids"), ({"UIDL": ["+OK", "1 a", "2 " + long]}, "unique-ids"),
            ({"UIDL": ["+OK", "1 a", "2 b c"]}, "unique-ids"), ({"UIDL": ["+OK", "1 a", "2 b\xe9"]}, "unique-ids"),
            ({"UIDL": ["+OK", "1 a", "2 "]}, "unique-ids"), ({"UIDL": ["+OK", "one a", "2 b"]}, "unique-ids"),
            ({"RETR": b"+OK\r\nSubject: one\r\n\r\nfirst\r\nmore\r\n.\r\n"}, "size"),
            ({"RETR": b"+OK\r\nSubject: one\n\nfirst\n.\r\n"}, "size"),
            ({"NOOP": "-ERR no"}, "unknown-text"), ({"RSET": "-ERR Unknown command."}, "unknown-command"),
        ]
        peers = [self.peer(replies) for replies, _ in rows]
        for (replies, situation), got in zip(rows, at_once(("ann@127.0.0.1:%d" % peer.port,) for peer in peers)):
            with self.subTest(replies=replies):
                self.expect(got, "cannot-tell" if situation == "unknown-text" else "server", situation)

    def test_what_is_no_fault(self):
        for replies, messages, step, outcome in (({}, [], "QUIT", "ok"), ({"UIDL": "-ERR what"}, None, "UIDL", "warning"), ({"TOP": "-ERR what"}, None, "TOP", "warning"),
                                                 ({"CAPA": "-ERR what"}, None, "capabilities", "ok"), ({}, [b"x" * 300000 + b"\r\n"], "RETR", "ok")):
            with self.subTest(step):
                peer = self.peer(replies, messages=messages)
                got = self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "fine", count=False)
                self.assertEqual(got.step(step)["outcome"], outcome)

    def test_smallest_is_fetched(self):
        peer = self.peer(messages=[b"x" * 5000 + b"\r\n", b"s\r\n", b"y" * 500 + b"\r\n"])
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "fine", count=False)
        self.assertIn((False, "RETR 2"), peer.heard)
        self.assertEqual(peer.commands().count("RETR"), 1)


class Logins(CheckCase):
    def test_no_password_login(self):
        peer = self.peer({"CAPA": ["+OK", "SASL XOAUTH2 OAUTHBEARER", "TOP"]})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "settings", "no-password-login")
        self.assertFalse({"USER", "PASS", "AUTH"} & set(peer.commands()))

    def test_auth_plain(self):
        peer = self.peer({"CAPA": ["+OK", "SASL LOGIN PLAIN", "TOP"], "AUTH": lambda session: (session.send("+ \r\n"), session.line(), "+OK")[2]})
        self.expect(run_check("ann@127.0.0.1:%d" % peer.port), "fine", count=False)
        self.assertIn((False, "AGFubgBUcjB1YjRkb3ImMw=="), peer.heard)

    def test_other_name(self):
        def password(session):
            named = [line for _, line in session.peer.heard if line.startswith("USER ")][-1]
            return "+OK" if named == "USER " + want else "-ERR Login failed."
        for user, want in (("ann", "ann@localhost"), ("ann@example.org", "ann")):
            with self.subTest(user):
                peer = self.peer({"PASS": password})
                got = self.expect(run_check("%s@localhost:%d" % (user, peer.port)), "account", "unknown-user")
                self.assertIn("worth a try: the user name %s" % want, got.step("password")["detail"])
                peer.logins = 3
                got = self.expect(run_check("%s@localhost:%d" % (user, peer.port), "--try-other-name"), "fine", count=False)
                self.assertEqual(got.settings["user"], want)
