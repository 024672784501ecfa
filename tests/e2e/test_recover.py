"""An mbox UPDATE that was interrupted: finished by the next login, by the server's start, or set aside for `postern recover`.

strace kills the keeper before it cuts the file off, so that kept messages are in the file twice.
"""
import os
import subprocess
import unittest

from client import Client
from postern import BUILD, PREFIX, ServerCase
from processes import wait_until
from tracing import Trace, keeper_in_session


def message(number):
    return b"From a@example.org Mon Nov 23 03:00:0%d 2026\nSubject: %d\n\n%s\n\n" % (number, number, b"text %d " % number * 99)


MESSAGES = [message(i) for i in range(5)]
CSI = "\u009b2J"
FINISHED = "an interrupted update was finished"


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Recovery(ServerCase):
    location = "mbox:SPOOL/%u"
    users = ("anna", CSI)

    def setUp(self):
        super().setUp()
        self.server.expect_trouble = True
        self.user = self.server.users["anna"]
        for journal in self.journals():
            journal.unlink()

    def interrupt(self, where="ftruncate:signal=KILL:when=1", content=None):
        """Kill the keeper in the UPDATE that removes the messages 1 and 3; the mailbox that is left."""
        self.user.write_mbox(content or b"".join(MESSAGES))
        client = self.login(self.user.name)
        client.ok("DELE 1")
        client.ok("DELE 3")
        with Trace(keeper_in_session(self.server), where):
            client.send(b"QUIT\r\n")
            self.assertRegex(client.rest(), rb"^-ERR \[SYS/TEMP\] this session broke on the server")
        self.assertGreater(sum(p.stat().st_size for p in self.journals()), 0)
        return self.user.mbox.read_bytes()

    def journals(self):
        return list((self.server.base / "journals").iterdir())

    def recover(self, *arguments, status=0):
        """What it says on standard output; whatever it says is fit for a terminal."""
        done = subprocess.run([BUILD / "postern", "recover", "-c", self.server.config_file, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, status, done)
        self.assertRegex(done.stderr, rb"\A[ -~\n]*\Z")
        return done.stdout

    def expect_mailbox(self, *numbers):
        with self.login() as client:
            self.assertEqual(client.stat()[0], len(numbers))
            for at, number in enumerate(numbers):
                self.assertEqual(client.retr(at + 1), MESSAGES[number].split(b"\n", 1)[1][:-1].replace(b"\n", b"\r\n"))
            client.quit()  # which lets go of the journal before it answers
        self.assertEqual(self.user.mbox.read_bytes(), b"".join(MESSAGES[n] for n in numbers))

    def test_next_login_finishes_it(self):
        left = self.interrupt()
        self.assertNotEqual(left, b"".join(MESSAGES))
        mark = self.server.mark()
        self.expect_mailbox(1, 3, 4)
        self.server.wait_for_log(FINISHED, since=mark)

    def test_mail_that_came_meanwhile_stays(self):
        self.interrupt(content=b"".join(MESSAGES[:4]))
        self.user.append_mbox(MESSAGES[4])
        self.expect_mailbox(1, 3, 4)

    def test_not_begun_is_not_done(self):
        """Killed while the journal is written: no message is gone, and the mailbox as it was."""
        self.interrupt("fsync:signal=KILL:when=2")
        with open(self.journals()[0], "r+b") as journal:  # as after a power failure: the journal's end never reached the disk
            journal.truncate(journal.seek(0, os.SEEK_END) - 1)
        self.expect_mailbox(0, 1, 2, 3, 4)

    def test_start_finishes_it(self):
        self.interrupt()
        mark = self.server.mark()
        self.server.kill9()
        self.server.wait_gone()
        self.server.start()
        self.server.wait_for_log(FINISHED, since=mark)
        wait_until(lambda: self.user.mbox.read_bytes() == b"".join(MESSAGES[n] for n in (1, 3, 4)), "the mailbox is whole")
        self.expect_mailbox(1, 3, 4)

    def test_nobody_sees_it_half_done(self):
        """The journal cannot be opened (a backup gave it a second name): the login is refused, and the next one has what it should."""
        left = self.interrupt()
        copy = self.server.base / "copy-of-the-journal"
        os.link(self.journals()[0], copy)
        client = Client(self.server)
        client.ok("USER anna")
        line = client.err("PASS " + self.user.password, r"\[SYS/TEMP\] an interrupted update of the mailbox cannot be finished now")
        client.close()
        self.server.wait_for_log("is not a file of posternd's own")
        self.assertEqual(self.user.mbox.read_bytes(), left, line)
        copy.unlink()
        self.expect_mailbox(1, 3, 4)

    def test_what_cannot_be_proven_is_set_aside(self):
        """Another program rewrote the mailbox before it was recovered: it is not touched, and what was kept can be had."""
        self.interrupt()
        foreign = MESSAGES[4] + MESSAGES[0]
        self.user.write_mbox(foreign)
        mark = self.server.mark()
        self.expect_mailbox(4, 0)
        self.server.wait_for_log("cannot be finished, because another program changed the mailbox", since=mark)
        listing = self.recover().decode()
        self.assertRegex(listing, r"^[0-9a-f]{32}-\d+-\d+\.aside-\d+\n  set aside since \S+ \S+: \d+ octets of mail for %s\n$" %
                         self.user.mbox)
        name = listing.split("\n")[0]
        self.assertEqual(self.recover("show", name), b"".join(MESSAGES[n] for n in (1, 3, 4)))
        self.assertIn(b"2 messages put back", self.recover("put-back", name))
        self.expect_mailbox(4, 0, 1, 3)
        self.assertEqual(self.recover(), b"no update was interrupted\n")

    def test_put_back_is_killed(self):
        """At each of its calls that change a file, without and with mail that comes then: once more, and all is there once."""
        self.interrupt()
        foreign = MESSAGES[4] + MESSAGES[0]
        self.user.write_mbox(foreign)
        self.expect_mailbox(4, 0)
        name = self.recover().decode().split("\n")[0]
        kept = self.journals()[0].with_name(name).read_bytes()
        command = [BUILD / "postern", "recover", "-c", self.server.config_file, "put-back", name]
        killed = 0
        for call in "pwrite64", "fsync", "ftruncate", "unlinkat":
            for number in range(1, 30):
                self.user.write_mbox(foreign)
                self.journals()[0].with_name(name).write_bytes(kept)
                with self.subTest(call=call, number=number):
                    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                                           "inject=%s:signal=KILL:when=%d" % (call, number)] + command,
                                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
                    if done.returncode == 0:
                        break
                    killed += 1
                    # Who made a lock file itself leaves that: no mail comes until the next login.
                    came = MESSAGES[2] if number % 2 and not self.user.mbox.with_name("anna.lock").exists() else b""
                    if came:
                        self.user.append_mbox(came)
                    before = self.expect_whole(foreign, came)
                    if (self.journals()[0].with_name(name)).exists():
                        self.recover("put-back", name)
                    self.assertEqual(len(self.user.mbox.read_bytes()), len(foreign) + len(came) + len(MESSAGES[1]) + len(MESSAGES[3]), before)
                    self.expect_whole(foreign, came)
        self.assertGreater(killed, 8)

    def expect_whole(self, foreign, came):
        """After a login: what was there, then what was put back, or nothing of it."""
        with self.login() as client:
            client.stat()
            client.quit()
        text = self.user.mbox.read_bytes()
        back = MESSAGES[1] + MESSAGES[3]
        self.assertIn(text, (foreign + came, foreign + back + came, foreign + came + back))
        return text

    def test_the_session_goes_on_after_setting_aside(self):
        """In the session that sets it aside all can be removed, and no part; in the next whatever is marked."""
        self.interrupt()
        self.user.write_mbox(MESSAGES[4] + MESSAGES[0])
        with self.login() as client:
            client.ok("DELE 1")
            client.err("QUIT", "some deleted messages not removed: 1 of 1")
        with self.login() as client:
            client.ok("DELE 1")
            client.quit()
        self.expect_mailbox(0)
        name = self.recover().decode().split("\n")[0]
        self.recover("discard", name)
        self.assertEqual(self.recover(), b"no update was interrupted\n")

    def test_emptied_meanwhile(self):
        self.interrupt()
        self.user.write_mbox(b"")
        self.expect_mailbox()
        name = self.recover().decode().split("\n")[0]
        self.recover("put-back", name)
        self.expect_mailbox(1, 3, 4)

    def test_a_name_that_a_terminal_would_obey(self):
        """C1's CSI in a user's name, and so in the journal; and what is not a name of the list."""
        self.user = self.server.users[CSI]
        self.interrupt()
        self.assertRegex(self.recover(), rb"\A[ -~\n]+/\\xc2\\x9b2J\n\Z")
        self.recover("show", "\x1b[2J", status=74)

    def test_command_refuses(self):
        self.interrupt()
        name = self.recover().decode().split("\n")[0]
        self.recover("put-back", name, status=1)  # pending: the next login does it,
        self.recover("discard", name, status=1)   # for which it is needed
        self.recover("show", "../" + name, status=64)
        self.recover("erase", name, status=64)
        self.recover("show", "none", status=74)
        forged = self.journals()[0].with_name("0" * 32 + "-0-0")
        forged.write_bytes(self.journals()[0].read_bytes())
        self.recover("show", forged.name, status=65)
        forged.unlink()
        with self.login() as client:
            client.stat()
            self.recover("show", name, status=75)
        self.expect_mailbox(1, 3, 4)


if __name__ == "__main__":
    unittest.main()
