"""Workers that serve several connections one after the other ([workers] sessions above 1): that it works, what kills come to, and
that it is refused where it makes no sense. (What one client leaves for the next: test_shared_memory.py.)
"""
import os
import shutil
import signal
import threading
import unittest
from collections import Counter

import bodies
from client import Client
from postern import ROOT
from processes import user_of, wait_until
from shared import OWNER, Shared, SharedCase, served, sockets
from test_explain import postern
from test_kills import Bar


class OneAfterTheOther(SharedCase):
    def test_same_worker(self):
        """Two users in turn, by the same two processes; after so many sessions others take their place."""
        server = self.serve(sessions=4)
        for name in server.users:
            server.users[name].deliver(bodies.message(name), "cur")
        server.rest()
        for n in range(11):
            name = ("anna", "bert")[n % 2]
            with server.login(name, tls=n % 3 == 0) as client:
                self.assertIn(name.encode(), client.retr(1))
                client.quit()
            server.rest()
        by_pid = {}
        for pid, user in served(server.log()):
            by_pid.setdefault(pid, []).append(user)
        self.assertEqual([len(users) for users in by_pid.values()], [4, 4, 4], by_pid)
        for users in by_pid.values():
            self.assertEqual(Counter(users) - Counter({"": 1}) - Counter({"anna": 2, "bert": 2}), Counter(), by_pid)

    def test_counts_are_given_back(self):
        """A worker that is free again counts neither for its client's address nor for max."""
        server = self.serve(settings={"limits": {"per_source": 1}})
        for _ in range(8):
            server.rest()
            with server.login() as client:
                client.quit()
        server.rest()
        self.assertEqual(len(set(pid for pid, _ in served(server.log()))), 1)

    @unittest.skipUnless(ROOT, "only root ends sessions")
    def test_ended_by_the_administrator(self):
        """The client reads why, and may come again."""
        server = self.serve()
        with server.login() as client:
            self.assertEqual(postern("sessions", "-c", server.config_file, "--end", "anna")[:2], (0, "ended the session of anna from 127.0.0.1\n"))
            self.assertIn("the administrator ended this session", client.status())
        with server.login() as client:
            client.quit()
        server.rest()

    def test_last_words(self):
        """A worker whose client may still be reading its last words is not free: nobody else comes to it."""
        server = self.serve()
        busy, gate = server.rest()
        slow = server.client()
        for _ in range(3):
            last = slow.cmd("NONSENSE")
        self.assertRegex(last, "-ERR")
        server.wait_for_log(r"postern\[%d\] keeper: session: user=\"\" login=no .* end=\"too many" % busy)
        os.kill(gate, signal.SIGSTOP)  # however slow this host is, it still waits for its client
        with Client(server) as other:
            self.assertRegex(other.greeting, "all 1 sessions in use|ready")  # the second by a worker that was made for it
        os.kill(gate, signal.SIGCONT)
        slow.close()
        with server.login() as client:
            client.quit()

    def test_reload_and_stop(self):
        """A reload lets the worker finish its session, and no other; a stop is told."""
        server = self.serve()
        old, _ = server.rest()
        client = server.login()
        server.reload()
        client.ok("STAT")
        client.quit()
        wait_until(lambda: server.rest()[0] != old, "the old worker is gone")
        client = server.login("bert")
        server.terminate()
        self.assertIn(b"-ERR", client.rest())

    def test_no_other_rights(self):
        """The keeper is the owner before its first connection."""
        server = self.serve()
        keeper, _ = server.rest()
        self.assertEqual(user_of(keeper), OWNER.pw_uid)


class Mail(SharedCase):
    def test_maildir(self):
        server = self.serve()
        anna = server.users["anna"]
        texts = [bodies.message("m%d" % n, b"line\n.\n" * (1 + 5000 * (n == 1))) for n in range(3)]
        for text in texts:
            anna.deliver(text)
        for stls in (False, True):
            client = server.client()
            client.stls() if stls else None
            client.login("anna")
            self.assertEqual([client.retr(n + 1) for n in range(3)], [text.replace(b"\n", b"\r\n") for text in texts])
            client.ok("DELE 2")
            client.close() if not stls else client.quit()
        self.assertEqual(sorted(anna.stored().values()), sorted([texts[0], texts[2]]))

    def test_mbox(self):
        """Messages go out of the middle, with the journal and the lock file, again and again in the same worker."""
        server = self.serve(location="mbox:SPOOL/%u")
        anna = server.users["anna"]
        texts = [bodies.message("m%d" % n) for n in range(6)]
        anna.write_mbox(bodies.mbox(texts))
        for _ in range(3):
            server.rest()
            with server.login() as client:
                client.ok("DELE 2")
                client.quit()
        left = [texts[0]] + texts[4:]
        with server.login() as client:
            self.assertEqual([client.retr(n) for n in (1, 2, 3)], [text.replace(b"\n", b"\r\n") for text in left])
            client.quit()
        self.assertEqual(len({pid for pid, user in served(server.log()) if user}), 1)
        self.assertEqual(sorted(p.name for p in (server.base / "spool").iterdir()), ["anna"])
        journals = list((server.base / "journals").iterdir())
        self.assertEqual([(p.stat().st_uid, p.stat().st_size) for p in journals], [(OWNER.pw_uid, 0)])
        index, = (server.base / "indexes").iterdir()
        self.assertEqual(index.stat().st_uid, OWNER.pw_uid)
        self.assertGreater(index.stat().st_size, 0)
        self.assertNotRegex(server.log(), "journal|no index")

    def test_lock_file(self):
        """Another program's lock file beside an mbox is respected."""
        server = self.serve(location="mbox:SPOOL/%u")
        anna = server.users["anna"]
        anna.write_mbox(bodies.mbox([bodies.message()]))
        lock = anna.mbox.with_name("anna.lock")
        lock.write_text("1\n")
        seen = []

        def log_in():
            with server.login() as client:
                seen.append(lock.exists())
                client.quit()
        thread = threading.Thread(target=log_in)
        thread.start()
        wait_until(lambda: any(len(sockets(gate.pid)) > 1 for gate in server.gates()), "a session waits")
        self.assertEqual(seen, [])
        lock.unlink()
        thread.join()
        self.assertEqual(len(seen), 1)

    def test_in_use(self):
        """The second login to a mailbox is told who has it: the bell works among shared workers."""
        server = self.serve(settings={"workers": {"max": 2}})
        server.rest()
        first = server.login()
        second = server.client()
        second.ok("USER anna")
        self.assertIn("127.0.0.1", second.err("PASS secret", r"IN-USE"))
        first.quit()
        second.ok("USER anna")
        second.ok("PASS secret")
        second.quit()

    def test_changed_passwd_file(self):
        """A worker that waits reads the file that is there at the login, also when it is another one by then."""
        server = self.serve()
        worker = server.rest()
        with server.login() as client:
            client.quit()
        server.users["anna"].password = "changed"
        server.write_passwd()
        self.assertEqual(server.rest(), worker)
        client = server.client()
        client.ok("USER anna")
        client.err("PASS secret", "AUTH")
        client.login("anna")
        client.quit()


class Killed(SharedCase):
    def test_between_sessions(self):
        """A half that is killed while it waits takes the other with it, and nobody notices."""
        server = self.serve()
        server.expect_trouble = True
        for half in (0, 1):
            with server.login() as client:
                client.quit()
            before = server.rest()
            os.kill(before[half], signal.SIGKILL)
            wait_until(lambda: not set(before) & {p.pid for p in server.processes()}, "both halves end")
            server.rest()
            with server.login() as client:
                client.quit()


    def test_recovery(self):
        """An mbox whose keeper is killed in the rewrite: the next start finishes it as the owner, before anybody logs in."""
        server = self.serve(location="mbox:SPOOL/%u")
        server.expect_trouble = True
        anna = server.users["anna"]
        texts = [bodies.message("m%d" % n, b"x" * 70 + b"\n") for n in range(60000)]
        anna.write_mbox(bodies.mbox(texts))
        before = anna.mbox.read_bytes()[:300]
        keeper, _ = server.rest()
        client = server.login()
        client.ok("DELE 1")
        client.send(b"QUIT\r\n")

        def begun():
            with open(anna.mbox, "rb") as mbox:
                return mbox.read(300) != before
        wait_until(begun, "the rewrite begins")
        os.kill(keeper, signal.SIGKILL)
        client.rest()
        journal, = (server.base / "journals").iterdir()
        self.assertGreater(journal.stat().st_size, 0, "it was killed too late")
        server.terminate()
        server.popen.wait()
        server.wait_gone()
        server.start()
        wait_until(lambda: journal.stat().st_size == 0, lambda: "the journal is empty: " + server.log()[-2000:], 30)
        self.assertEqual(bodies.subjects(anna.mbox.read_bytes()), [b"m%d" % n for n in range(1, len(texts))])
        self.assertNotIn("not finished", server.log())


@unittest.skipUnless(ROOT, "needs root: the workers become another user")
class Kills(Bar):

    def make_server(self, names, location):
        shared = location.replace("~", "MAIL/%u")
        return Shared(names, 10, shared, settings={"workers": {"spare_min": 3, "spare_max": 6, "max": 40}}, start=False)

    def test_maildir(self):
        self.bar("maildir:~/Maildir")

    def test_mbox(self):
        self.bar("mbox:SPOOL/%u")


class Refused(SharedCase):
    rows = (
        ("PAM", {"auth": {"backends": "passwd-file pam"}}, r"cannot ask PAM; write backends = passwd-file, or sessions = 1"),
        ("PAM alone", {"auth": {"backends": "pam"}}, r"cannot ask PAM; write backends = passwd-file"),
        ("no virtual_user", {"auth": {"virtual_user": ""}}, r"set virtual_user to that user, or write sessions = 1"),
        ("homes", {"maildrop": {"location": "maildir:~/Maildir"}}, r"needs a directory above all mail.*write it like maildir:/srv/mail/%u"),
        ("no directory", {"maildrop": {"location": "maildir:/%u/Maildir"}}, r"needs a directory above all mail"),
        ("a small uid", {"auth": {"minimum_uid": 1000}}, r"virtual_user games has uid \d+, under minimum_uid 1000; choose another user"),
        ("no such user", {"auth": {"virtual_user": "nosuchuser"}}, r"virtual_user nosuchuser: "),
    )

    def test_configuration(self):
        """-t and the start refuse, and say what to write."""
        for label, settings, words in self.rows:
            with self.subTest(label):
                server = Shared(settings=settings, start=False)
                for arguments in (["-t"], ["-F"]):
                    status, said = server.check(*arguments)
                    self.assertNotEqual(status, 0, said)
                    self.assertRegex(said, words)

    def test_other_uid(self):
        """A record with another uid: refused at the start; and at its login, in words, when it came later. The others go on."""
        server = self.serve()
        other = server.users["bert"].record(name="carl", uid=OWNER.pw_uid + 1, gid=OWNER.pw_gid)
        group = server.users["bert"].record(name="dora", gid=OWNER.pw_gid + 1)
        none = server.users["bert"].record(name="emma", uid="", gid="")
        server.write_passwd(other, group, none)
        for name in ("carl", "dora"):
            server.rest()
            client = server.client()
            client.ok("USER " + name)
            client.err("PASS secret", r"\[SYS/PERM\] passwords cannot be checked: the server is set up wrongly")
            client.close()
            server.wait_for_log(r"user=\"%s\".*line \d: its uid and gid are not virtual_user's.*write sessions = 1" % name)
        (server.base / "home" / "emma").mkdir()
        for name in ("anna", "emma"):
            server.users["bert"].own(server.base / "home" / name)
            server.rest()
            with server.client() as client:
                client.login(name, "secret")
                client.quit()
        self.assertRegex(server.reload(), "not virtual_user's")
        server.terminate()
        server.popen.wait()
        for arguments in (["-t"], ["-F"]):
            status, said = server.check(*arguments)
            self.assertNotEqual(status, 0, said)
            self.assertRegex(said, r"passwd line \d: its uid and gid are not virtual_user's .*take them out of the line")

    def test_passwd_file_that_he_cannot_read(self):
        server = Shared(start=False)
        server.write_passwd(mode=0o600)
        for arguments in (["-t"], ["-F"]):
            status, said = server.check(*arguments)
            self.assertNotEqual(status, 0, said)
            self.assertRegex(said, r"virtual_user games .* has to be able to use passwd_file = .*, and cannot; give the file that group and mode 0640")

    def test_reload(self):
        """From one mode into the other takes a restart."""
        server = self.serve()
        server.write_config(workers={"sessions": 1})
        self.assertRegex(server.reload(), r"sessions from 1 to more or back.*\n.*the old configuration stays")
        server.write_config(workers={"sessions": 7})
        self.assertRegex(server.reload(), r"read again")
        with server.login() as client:
            client.quit()

    def test_check_is_content(self):
        server = Shared(start=False)
        self.assertEqual(server.check("-t"), (0, "%s: no findings\n" % server.config_file))


class Directories(SharedCase):
    def state(self, server):
        found = {}
        for name in ("locks", "journals", "indexes"):
            for path in (server.base / name, *(server.base / name).iterdir()):
                st = path.stat()
                found.setdefault(name, set()).add((oct(st.st_mode & 0o7777), st.st_uid, st.st_gid))
        return found

    def test_there_and_back(self):
        """Locks, journals and indexes change hands at the start, in both directions, and an mbox is rewritten in either mode."""
        server = self.serve(location="mbox:SPOOL/%u", start=False)
        anna = server.users["anna"]
        anna.write_mbox(bodies.mbox([bodies.message("m%d" % n) for n in range(8)]))
        (server.base / "locks").chmod(0o700)
        uid, gid = OWNER.pw_uid, OWNER.pw_gid
        ours, his = {("0o700", 0, 0), ("0o600", 0, 0)}, {("0o1770", 0, gid), ("0o600", uid, gid)}
        for sessions, want in ((1, ours), (9, his), (1, ours), (9, his)):
            server.write_config(workers={"sessions": sessions})
            server.start()
            with server.login() as client:
                client.ok("DELE 2")
                client.quit()
            self.assertEqual(self.state(server), dict.fromkeys(("locks", "journals", "indexes"), want), sessions)
            server.terminate()
            server.popen.wait()
            server.wait_gone()
        self.assertNotRegex(server.log(), "journal|no index|cannot")
        self.assertEqual(len(bodies.subjects(anna.mbox.read_bytes())), 4)

    def test_forged_journal(self):
        """What the owner made in the name of another user's mail does not become root's."""
        server = self.serve(location="mbox:SPOOL/%u")
        server.rest()
        forged = server.base / "journals" / ("0" * 32 + "-%d-%d" % (OWNER.pw_uid + 7, OWNER.pw_gid))
        forged.write_bytes(b"x" * 500)
        shutil.chown(forged, OWNER.pw_uid, OWNER.pw_gid)
        server.write_config(workers={"sessions": 1})
        server.terminate()
        server.popen.wait()
        server.wait_gone()
        server.start()
        self.assertEqual(forged.stat().st_uid, OWNER.pw_uid)


if __name__ == "__main__":
    unittest.main()
