"""A password is nowhere once it was used: in no process's memory, in no log, history, journal or core file; nor are the base64
forms of AUTH PLAIN. Each case has a user and a password of its own, so one search finds all, and tells which case it was.
"""
import base64
import random
import re
import ssl
import string
import subprocess
import unittest

import bodies
from client import client_context
from memory import INSTRUMENTED, secrets_in
from postern import BUILD, ROOT, Server
from processes import user_of, wait_until
from test_auth import plain
from test_pam import REASON, PamServer
from test_proxies import version_2

LETTERS = string.ascii_letters + string.digits
DICE = random.Random(20261124)
MODES = ("clear", "STLS", "TLS 1.2", "TLS 1.3")
# Each half of a password begins with it, so that a search is quick; in base64, too, since user names have 7 letters.
MARK = b"Qz7xK9"
MARKS = (MARK, base64.b64encode(MARK))


def half():
    return MARK.decode() + "".join(DICE.choice(LETTERS) for _ in range(9))


def password():
    return half() + half()


def needles(name, secret):
    """The two halves of a password, which are halves in base64, too: {what: octets}."""
    halves = {"first half": secret[:15].encode(), "second half": secret[15:].encode()}
    return {"%s: %s%s" % (name, what, form): code(octets) for what, octets in halves.items()
            for form, code in (("", bytes), (" in base64", base64.b64encode))}


def hashed(secret, kind):
    """By crypt(3): the salt tells the kind."""
    run = subprocess.run(["perl", "-e", "print crypt(<STDIN>, $ARGV[0])", kind], input=secret.encode(), check=True, stdout=subprocess.PIPE)
    return run.stdout.decode()


KINDS = ("$6$rounds=1000$saltsalt", "$5$rounds=1000$saltsalt", "$y$j9T$saltsaltsaltsalt", "$2b$04$abcdefghijklmnopqrstuu", None)


# How a password may come in: label, whether it logs in, and what the client does.
def user_pass(client, user, secret):
    client.ok("USER " + user)
    return client.cmd("PASS " + secret)


def pipelined(client, user, secret):
    client.send("USER %s\r\nPASS %s\r\n" % (user, secret))
    client.status()
    return client.status()


def cut_in_the_password(client, user, secret):
    """The half that came first waits in the middle of the buffer and is moved to its front."""
    client.send("USER %s\r\nPASS %s" % (user, secret[:20]))
    client.status()
    client.send(secret[20:] + "\r\n")
    return client.status()


def auth_initial(client, user, secret):
    return client.cmd("AUTH PLAIN " + plain("", user, secret))


def auth_continued(client, user, secret):
    assert client.cmd("AUTH PLAIN").startswith("+")
    return client.cmd(plain("", user, secret))


def without_user(client, _user, secret):
    return client.cmd("PASS " + secret)


def behind_a_blank(client, user, secret):
    client.ok("USER " + user)
    return client.cmd("PASS  " + secret)


def too_long(client, user, secret):
    client.ok("USER " + user)
    return client.cmd("PASS " + secret + "x" * 400)


def far_behind(client, _user, secret):
    """So far behind in a record of TLS that the answer, for which OpenSSL may take the same memory, does not overwrite it."""
    return client.cmd("PASS " + "x" * 200 + secret)


def no_such_mechanism(client, user, secret):
    return client.cmd("AUTH LOGIN " + plain("", user, secret))


def bad_base64(client, user, secret):
    return client.cmd("AUTH PLAIN " + plain("", user, secret) + "*")


def mistyped(client, user, secret):
    client.ok("USER " + user)
    return client.cmd("PASSWORD " + secret)


def cancelled(client, user, secret):
    assert client.cmd("AUTH PLAIN").startswith("+")
    client.cmd(plain("", user, secret)[:-4] + "=*")
    return client.cmd("NOOP") and "-ERR"


GOOD = [("USER and PASS", user_pass), ("pipelined", pipelined), ("cut in the password", cut_in_the_password), ("AUTH with initial response", auth_initial),
        ("AUTH with continuation", auth_continued)]
BAD = [("wrong " + label, way) for label, way in GOOD] + [
    ("PASS without USER", without_user), ("a blank too many", behind_a_blank), ("too long", too_long), ("far behind", far_behind), ("another mechanism", no_such_mechanism),
    ("no base64", bad_base64), ("mistyped command", mistyped), ("a response that is none", cancelled)]


def open_connection(server, mode, n):
    """Each from an address of its own: whoever fails often from one may be made to wait."""
    source = "127.3.%d.%d" % (n // 200, 1 + n % 200)
    if mode == "clear":
        return server.client(source=source)
    if mode == "STLS":
        return server.client(source=source).stls()
    number = ssl.TLSVersion.TLSv1_2 if mode == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    return server.client(tls=True, source=source, context=client_context(server.certificate, number, number))


def locked_octets(pid):
    """What the process keeps from being written to a swap device."""
    with open("/proc/%d/smaps" % pid) as smaps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in smaps:
            if re.match(r"[0-9a-f]+-", line):
                start, end = (int(number, 16) for number in line.split(" ", 1)[0].split("-"))
            elif line.startswith("VmFlags:") and " lo" in line:
                mem.seek(start)
                return mem.read(end - start)
    raise AssertionError("no memory of %d is locked" % pid)


class Case(unittest.TestCase):
    maxDiff = None

    def leaks(self, server, wanted):
        """What is found: {(process or file, what)}. The PAM helper may know a password as long as it lives, and it does not live now."""
        wait_until(lambda: not [p for p in server.processes() if p.name == "posternd-pam"], "no PAM helper is left")
        found, seen = set(), set()
        for process in server.processes():
            secrets = secrets_in(process.pid, wanted, MARKS)
            if secrets is not None:
                seen.add(process.name)
                found |= {(process.name, name) for name in secrets}
        self.assertLessEqual({"posternd", "posternd-gate", "posternd-sign", "posternd-record"}, seen)
        for path in server.base.rglob("*"):
            if path.is_file() and path != server.passwd_file:
                octets = path.read_bytes()
                found |= {(path.name, name) for name, needle in wanted.items() if needle in octets}
        return sorted(found)

    def talk(self, server, cases):
        """All of them at once, each on a connection that stays open: cases are (label, mode, way, user, secret, right)."""
        held, wanted = [], {}
        for n, (label, mode, way, user, secret, right) in enumerate(cases):
            client = open_connection(server, mode, n)
            self.addCleanup(client.close)
            answer = way(client, user, secret)
            self.assertEqual(answer.startswith("+OK"), right, (label, mode, answer))
            wanted.update(needles("%s, %s" % (label, mode), secret))
            held.append(client)
        return held, wanted


@unittest.skipUnless(ROOT, "needs root: other processes' memory is shown to nobody else")
@unittest.skipIf(INSTRUMENTED, "too much memory to look through")
class PasswdFile(Case):
    def test_nowhere(self):
        names = ["user%03d" % n for n in range(len(GOOD) * len(MODES))]
        server = Server(users=names, start=False, settings={"workers": {"max": 200}, "limits": {"per_source": 200}})
        cases = []
        for n, (label, way) in enumerate(GOOD):
            for m, mode in enumerate(MODES):
                user = server.users[names[n * len(MODES) + m]]
                user.password = password()
                user.deliver(bodies.message())
                cases.append((label, mode, way, user.name, user.password, True))
        for label, way in BAD:
            cases += [(label, mode, way, "user001", password(), False) for mode in MODES]
        self.write_passwd(server)
        server.start()
        self.addCleanup(server.stop)
        held, wanted = self.talk(server, cases)
        self.assertEqual(self.leaks(server, wanted), [], "while the connections are open")
        for client, case in zip(held, cases):
            client.quit() if case[-1] else client.close()
        self.assertEqual(self.leaks(server, wanted), [], "afterwards")

    def write_passwd(self, server):
        """Of each kind some: those of crypt(3), and Argon2 by the command that makes it."""
        kinds = dict(zip(server.users, KINDS * len(server.users)))
        server.passwd_file.write_text("".join(user.record(hash=hashed(user.password, kinds[name]) if kinds[name] else "x") + "\n"
                                              for name, user in server.users.items()))
        server.passwd_file.chmod(0o600)
        for name, user in server.users.items():
            if kinds[name] is None:
                subprocess.run([BUILD / "postern", "passwd", "-f", server.passwd_file, "set", name], input=user.password.encode() + b"\n", check=True,
                               stderr=subprocess.DEVNULL)

    def test_refused_in_clear(self):
        """A password that came in clear where it may not is refused, and forgotten all the same."""
        server = Server(settings={"tls": {"plaintext_login": "never"}})
        self.addCleanup(server.stop)
        cases = [("refused " + label, "clear", way, "someone", password(), False) for label, way in (("PASS", without_user), ("AUTH", auth_initial))]
        _, wanted = self.talk(server, cases)
        self.assertEqual(self.leaks(server, wanted), [])

    def test_behind_a_proxy_header(self):
        """What a client says at once comes with the header, and both into the master, which forks the keepers of others."""
        proxy = "127.0.0.9"
        server = Server(("anna", "bert"), settings={"listen": {"proxies": proxy}, "workers": {"spare_min": 1, "spare_max": 1}})
        self.addCleanup(server.stop)
        wanted = {}
        for n, header in enumerate((b"PROXY TCP4 127.0.0.5 127.0.0.9 40000 110\r\n", version_2("127.0.0.6"))):
            secret = password()
            client = server.client(source=proxy, greeting=False)
            client.send(header + b"USER anna\r\nPASS " + secret.encode() + b"\r\n")
            for _ in range(2):
                client.status()
            self.assertTrue(client.status().startswith("-ERR"))
            wanted.update(needles("with header %d" % n, secret))
            self.assertEqual(self.leaks(server, wanted), [])
            client.close()
        # The header of one that is whole only in a second packet, which is looked at twice.
        secret = password()
        client = server.client(source=proxy, greeting=False)
        client.send(b"PROXY UNKNOWN")
        client.send(b"\r\nUSER anna\r\nPASS " + secret.encode() + b"\r\n")
        for _ in range(2):
            client.status()
        self.assertTrue(client.status().startswith("-ERR"))
        self.assertEqual(self.leaks(server, needles("behind half a header", secret)), [])

    def test_key_of_the_guesses(self):
        """Master and keepers have it until a login; nobody who has a user's rights, or the gates', whatever he was forked from."""
        server = Server(("anna",), location="mbox:SPOOL/%u")
        self.addCleanup(server.stop)
        server.users["anna"].write_mbox(bodies.mbox([bodies.message()]))
        with server.login() as client:
            wanted = {"key": locked_octets(server.pid)[:32]}
            holders = {(p.name, user_of(p.pid)) for p in server.processes() if secrets_in(p.pid, wanted)}
            client.quit()
        self.assertEqual(holders, {("posternd", 0)})

    def test_the_search_finds_one(self):
        """What a gate has to have, because the line is not whole yet, is found there and nowhere else."""
        server = Server()
        self.addCleanup(server.stop)
        secret = password()
        client = server.client()
        client.send("PASS " + secret)
        wanted = needles("half a line", secret)
        wait_until(lambda: ("posternd-gate", "half a line: first half") in self.leaks(server, wanted), "it is found")
        self.assertEqual({place for place, _ in self.leaks(server, wanted)}, {"posternd-gate"})
        client.close()


@unittest.skipIf(REASON, REASON)
@unittest.skipIf(INSTRUMENTED, "too much memory to look through")
class Pam(Case):
    def test_nowhere(self):
        server = PamServer(["panyone"])
        server.start()
        self.addCleanup(server.stop)
        cases = [("PAM, " + label, mode, way, user, password(), user == "panyone") for label, way in GOOD for mode in ("clear", "TLS 1.3")
                 for user in (("panyone", "unknown") if (label, mode) == ("pipelined", "clear") else ("unknown",))]
        _, wanted = self.talk(server, cases)
        self.assertEqual(self.leaks(server, wanted), [])


if __name__ == "__main__":
    unittest.main()
