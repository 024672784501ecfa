"""Guessing is slow, honest users are not: waits by address and by user, the shield for a device that repeats an old password,
memory for hashes. With POSTERN_FAULT=full for a minute each, and from 1,000 addresses.
"""
import os
import re
import signal
import subprocess
import time
import unittest

from client import plain_words
from crowd import Crowd, address, foreign_address, need_addresses, need_descriptors
from postern import Server, User
from processes import PATIENCE, user_of, wait_until
from test_pam import REASON as NO_PAM
from test_pam import PamServer, build_module, host_files

FULL = os.environ.get("POSTERN_FAULT") == "full"
FREE, LONGEST = 5, 4          # free_failures, longest_wait
RATE = 200                    # guesses a second
NEUTRAL = "user name or password not accepted"
SLOWED = "password not checked"


def guess_server(users, milliseconds=None, **limits):
    """milliseconds: that a PAM module takes for each login; None: there is a passwd file."""
    server = Server(users=users if milliseconds is None else (), start=False, settings={
        "auth": {"explain_failures": "never"}, "tls": {"plaintext_login": "always"},
        "limits": {"free_failures": FREE, "longest_wait": LONGEST, "repeat_seconds": 600, "per_source": 20, **limits},
        "workers": {"max": 200}})
    if milliseconds is not None:
        ask_module(server, users, milliseconds)
    return server.start()


def ask_module(server, names, milliseconds):
    """Its users are these, whom a PAM module knows that takes so long, and no passwd file."""
    module = build_module()
    server.settings["auth"].update(backends="pam", pam_service="postern-e2e")
    server.write_config()
    server.users = {name: User(server, name, 100 + n) for n, name in enumerate(names)}
    server.setup = host_files(server, names, "auth required %s %d\naccount required %s\n" % (module, milliseconds, module))


class Guesser(Crowd):
    """Tries passwords at a rate, each on a connection of its own, from so many addresses in turn."""

    def __init__(self, server, addresses, user):
        super().__init__(server)
        self.addresses, self.user, self.tries, self.done, self.begun = addresses, user, 0, [], time.monotonic()

    def go_on(self):
        while self.tries < (time.monotonic() - self.begun) * RATE:
            self.tries += 1
            source = foreign_address(self.tries % self.addresses)
            talk = self.talk(source, ["USER " + self.user, "PASS guess-%d" % self.tries])
            talk.source = source
            self.done.append(talk)
        self.turn(0.01)

    def verified(self, source):
        """How many passwords were looked at, by what the guesser was told."""
        return sum(talk.source == source and any(NEUTRAL in answer for answer in talk.answers) for talk in self.done)


class Guessing(unittest.TestCase):
    milliseconds = None

    def run_guesser(self, addresses, seconds):
        need_addresses()
        reason = need_descriptors(4096)
        if reason:
            self.skipTest(reason)
        server = guess_server(["anna", "berta", "clara"], self.milliseconds)
        self.addCleanup(server.stop)
        with server.client(source="198.19.255.7") as known:
            known.login("anna")
            known.quit()
        guesser = Guesser(server, addresses, "anna")
        self.addCleanup(guesser.close)
        honest, crowd = [], Crowd(server)
        self.addCleanup(crowd.close)
        begun = due = time.monotonic()
        users = [("anna", "198.19.255.7"), ("berta", "198.19.255.8"), ("clara", "198.19.255.9"), ("anna", "198.19.255.6")]
        # So long at least; on a busy machine until there is enough to judge.
        while time.monotonic() < begun + seconds or (min(len(honest), guesser.tries / (RATE / 2)) <= seconds and time.monotonic() < begun + seconds + 60 * PATIENCE):
            guesser.go_on()
            if time.monotonic() >= due and all(talk.over for talk in honest[-1:]):
                user, source = users[len(honest) % len(users)]
                honest.append(crowd.talk(source, ["USER " + user, "PASS secret", "STAT", "QUIT"]))
                due = time.monotonic() + 0.2
            crowd.turn(0)
        crowd.until(lambda: all(talk.over for talk in honest), "the honest users' end")
        failed = [talk.answers for talk in honest if sum(a.startswith("+OK") for a in talk.answers) != 5]
        self.assertEqual(failed, [], "of %d honest sessions" % len(honest))
        self.assertGreater(len(honest), seconds, "sessions of honest users, the one who is guessed at from two places")
        most = FREE + (time.monotonic() - begun) / LONGEST + 2
        counts = [guesser.verified(foreign_address(n)) for n in range(addresses)]
        self.assertLessEqual(max(counts), most, "passwords that were looked at for one address")
        self.assertGreater(guesser.tries, seconds * RATE / 2, "guesses in all")
        self.assertGreater(sum(counts), 0)
        return guesser

    def test_one_address(self):
        guesser = self.run_guesser(1, 60 if FULL else 8)
        self.assertGreaterEqual(guesser.verified(foreign_address(0)), FREE)
        self.assertTrue(any(SLOWED in answer for talk in guesser.done for answer in talk.answers))

    def test_many_addresses(self):
        """For a user who is guessed at by all of them, each address but the first few has one try before it waits."""
        self.run_guesser(1000 if FULL else 100, 60 if FULL else 8)


@unittest.skipIf(NO_PAM, NO_PAM)
class GuessingByPam(Guessing):
    """The same where each password is asked of another host, say, and few of them at a time."""
    milliseconds = 300


class Loopback(unittest.TestCase):
    def test_one_source(self):
        """A user of this host has sixteen million addresses, and by that not one guess more."""
        server = guess_server(["anna"])
        self.addCleanup(server.stop)
        crowd = Crowd(server)
        self.addCleanup(crowd.close)
        talks = [crowd.talk(address(n), ["USER anna", "PASS guess-%d" % n]) for n in range(60)]
        # What is due is told one by one; most are not looked at, and told so at once.
        crowd.until(lambda: sum(any(SLOWED in answer for answer in talk.answers) for talk in talks) > 30, "they are too many")
        looked_at = sum(any(NEUTRAL in answer for answer in talk.answers) for talk in talks)
        self.assertLessEqual(looked_at, FREE + 20 // LONGEST + 2)


class Waits(unittest.TestCase):
    def test_words(self):
        """The one who waits is told nothing until his time has come; who would wait too long is told at once."""
        server = guess_server(["anna"], free_failures=1, longest_wait=19, login_tries=100)
        self.addCleanup(server.stop)
        with server.client() as client:
            for n in range(6):
                client.ok("USER anna")
                answer = client.cmd("PASS wrong-%d" % n)
            self.assertIn(NEUTRAL, answer)
            crowd = Crowd(server)
            self.addCleanup(crowd.close)
            talks = [crowd.talk("127.0.0.1", ["USER anna", "PASS other-%d" % n]) for n in range(3)]
            crowd.until(lambda: sum(talk.over for talk in talks) >= 2, "a refusal")
            told = [talk.answers[-1] for talk in talks if talk.over]
        for answer in told:
            self.assertRegex(answer, r"^-ERR \[SYS/TEMP\] password not checked, try again in \d+ seconds: .*\(ref \w+\)")

    def test_shield(self):
        """The same wrong password: looked at once; other ones count; a new passwd file ends it at once."""
        server = guess_server(["anna"], free_failures=3, longest_wait=19, login_tries=100)
        self.addCleanup(server.stop)
        with server.client() as client:
            answers = set()
            for _ in range(8):
                client.ok("USER anna")
                answers.add(plain_words(client.cmd("PASS old-one")))
            self.assertEqual(len(answers), 1, answers)
            self.assertEqual(server.log().count('reason="wrong password"'), 8)
            self.assertEqual(server.log().count("not asked again"), 7)
            server.users["anna"].password = "old-one"
            server.write_passwd()
            client.ok("USER anna")
            client.ok("PASS old-one")

    def test_shield_tells_nobody_who_exists(self):
        """The same password again and again: whether it counts each time, and so slows down, does not depend on whose name it is."""
        server = guess_server(["anna"], free_failures=3, longest_wait=19, login_tries=100)
        self.addCleanup(server.stop)
        record = server.users["anna"].record
        server.write_passwd(record(name="locked", hash="*"), record(name="root", uid=0, gid=0), record(name="daemon", uid=1, gid=1))
        for name, password in (("anna", "old-one"), ("nobody-here", "old-one"), ("locked", "old-one"), ("root", "old-one"), ("root", "secret"), ("daemon", "secret")):
            with self.subTest(name, password=password), server.client(source="127.0.0.%d" % (10 + len(name))) as client:
                before = server.log().count("not asked again")
                for _ in range(5):
                    client.ok("USER " + name)
                    answer = client.cmd("PASS " + password)
                    self.assertIn(NEUTRAL, answer)
                self.assertEqual(server.log().count("not asked again") - before, 4)

    def test_log_names_the_owner(self):
        """Each of the shield's answers is in the user's own history, with the reason."""
        server = guess_server(["anna"], login_tries=100)
        self.addCleanup(server.stop)
        with server.client() as client:
            for _ in range(2):
                client.ok("USER anna")
                answer = client.cmd("PASS old-one")
        reference = re.search(r"\(ref (\w+)\)", answer).group(1)
        wait_until(lambda: "ref=" + reference in server.log(), "the line of " + reference)
        line = [line for line in server.log().splitlines() if "ref=" + reference in line]
        self.assertRegex(line[0], r'user="anna" peer=127\.0\.0\.1 .*reason="wrong password" .*not asked again')


@unittest.skipIf(NO_PAM, NO_PAM)
class Faillock(unittest.TestCase):
    def test_phone(self):
        """pam_faillock locks an account after three wrong passwords; a phone that repeats one of them locks nobody out."""
        server = PamServer(["pgood"])
        self.addCleanup(server.stop)
        counts = server.base / "faillock"
        counts.mkdir()
        (server.base / "pam.d" / "postern-e2e").write_text("""\
auth required pam_faillock.so preauth deny=3 unlock_time=3600 dir=%(dir)s
auth [success=1 default=bad] %(module)s
auth [default=die] pam_faillock.so authfail deny=3 unlock_time=3600 dir=%(dir)s
auth required pam_permit.so
account required %(module)s
""" % {"dir": counts, "module": build_module()})
        server.write_config(limits={"repeat_seconds": 600, "free_failures": 10})
        server.start()
        for _ in range(6):
            self.assertIn(NEUTRAL, server.answer("pgood", "old-one"))
        self.assertRegex(server.answer("pgood", "secret"), r"^\+OK", "the right one, after the phone")
        # And it is PAM that would have locked the account: other passwords do.
        for n in range(3):
            self.assertIn(NEUTRAL, server.answer("pgood", "other-%d" % n))
        self.assertIn(NEUTRAL, server.answer("pgood", "secret"), "locked now")


def set_dear_password(server, name, mebibytes):
    subprocess.run([str(server.programs / "postern"), "passwd", "-f", str(server.passwd_file), "set", "--mem", str(mebibytes), name],
                   input=b"secret\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


class LoginCache(unittest.TestCase):
    MIB = 64

    def hashed(self, server, password="secret"):
        """Log in; was a hash computed, by the most memory that the session's keeper ever had?"""
        with server.client() as client:
            client.ok("USER anna")
            if not client.cmd("PASS " + password).startswith("+OK"):
                return None
            keeper = [k.pid for k in server.keepers() if user_of(k.pid) not in (0, None)]
            with open("/proc/%d/status" % keeper[0], encoding="ascii") as status:
                most = re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)
            client.quit()
        return int(most) >= self.MIB * 1024

    def test_one_hash(self):
        server = Server(users=("anna",), settings={"auth": {"login_cache": 600}})
        self.addCleanup(server.stop)
        set_dear_password(server, "anna", self.MIB)
        steps = [
            ("first", None, "secret", True), ("again", None, "secret", False), ("and again", None, "secret", False),
            ("a wrong one", None, "wrong", None), ("after it", None, "secret", True), ("again", None, "secret", False),
            ("the file was touched", lambda: os.utime(server.passwd_file), "secret", True),
            ("off", lambda: (server.write_config(auth={"login_cache": 0}), server.reload()), "secret", True),
        ]
        for label, change, password, want in steps:
            with self.subTest(label):
                if change:
                    change()
                self.assertEqual(self.hashed(server, password), want)


class HashMemory(unittest.TestCase):
    MIB, BUDGET, AT_ONCE = 64, 128, 8
    PAM_MIB, PAM_MS = 8, 500  # auth/pam.c, and a module that takes its time

    def at_once(self, server, seen):
        """All users log in at the same time and succeed; the most that seen() said meanwhile."""
        crowd = Crowd(server)
        self.addCleanup(crowd.close)
        talks = [crowd.talk("127.0.0.1", ["USER " + name, "PASS secret", "QUIT"]) for name in server.users]
        most = 0

        def over():
            nonlocal most
            most = max(most, seen())
            return all(talk.over for talk in talks)
        crowd.until(over, "%d logins" % len(talks), 120)
        for talk in talks:
            self.assertEqual([answer[:3] for answer in talk.answers], ["+OK"] * 4, talk.answers)
        self.assertGreaterEqual(most, 1, "a password that is being looked at was seen")
        return most

    @unittest.skipIf(NO_PAM, NO_PAM)
    def test_pam_budget(self):
        """Eight logins by PAM at the same time, and memory for two: all succeed, and it takes the module's time four times."""
        names = ["user%d" % n for n in range(self.AT_ONCE)]
        server = Server(users=(), start=False, settings={"auth": {"hash_memory": 2 * self.PAM_MIB}})
        self.addCleanup(server.stop)
        ask_module(server, names, self.PAM_MS)
        server.start()
        begun = time.monotonic()
        # Helpers cannot be counted: one that has answered may still be on its way out.
        self.at_once(server, lambda: sum(1 for p in server.processes() if p.name == "posternd-pam"))
        self.assertGreaterEqual(time.monotonic() - begun, self.AT_ONCE / 2 * self.PAM_MS / 1000)

    def test_budget(self):
        """Eight logins of 64 MiB each at the same time, and 128 MiB for them: all succeed, never three at once."""
        names = ["user%d" % n for n in range(self.AT_ONCE)]
        server = Server(users=names, start=False, settings={"auth": {"hash_memory": self.BUDGET}})
        self.addCleanup(server.stop)
        for name, user in server.users.items():
            set_dear_password(server, name, self.MIB)
            user.empty()
        server.start()
        large = self.at_once(server, lambda: sum(1 for keeper in server.keepers() if self.resident_mib(keeper.pid) > self.MIB / 2))
        self.assertLessEqual(large, self.BUDGET // self.MIB)

    def test_who_waits_for_memory_makes_room(self):
        """All workers are taken by strangers, one of whom has the memory for a hash, and others wait for theirs: a newcomer gets in."""
        server = Server(start=False, settings={"auth": {"hash_memory": self.MIB, "login_cache": 0}, "limits": {"free_failures": 100},
                                               "workers": {"spare_min": 1, "spare_max": 1, "max": 3}})
        self.addCleanup(server.stop)
        set_dear_password(server, "anna", self.MIB)
        server.start()
        wait_until(lambda: len(server.gates()) == 1, "the start is over")
        strangers = []
        for n in range(3):
            strangers.append(server.client(source="127.0.0.%d" % (5 + n)))
            self.addCleanup(strangers[-1].close)
            strangers[-1].send("USER anna\r\nPASS wrong%d\r\n" % n)
            if n == 0:
                first = wait_until(lambda: [k.pid for k in server.keepers() if self.resident_mib(k.pid) > self.MIB / 2], "a hash is computed")[0]
                os.kill(first, signal.SIGSTOP)
                self.addCleanup(lambda: os.kill(first, signal.SIGCONT))
        time.sleep(PATIENCE)
        with server.client(source="127.0.0.9", greeting=False) as newcomer:
            self.assertTrue(newcomer.status().startswith("+OK"))
        strangers[1].status()
        self.assertIn("[SYS/TEMP]", strangers[1].status())
        self.assertIn("to make room", strangers[1].status())
        strangers[1].end()
        server.wait_for_log(r'session: .* peer=127\.0\.0\.6 .* end="made room for others"')

    @staticmethod
    def resident_mib(pid):
        try:
            with open("/proc/%d/statm" % pid, encoding="ascii") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20
        except (OSError, ValueError, IndexError):
            return 0
