"""The passwd file as administrators leave it: its mode, owner and kind, its changes while the server runs, odd records, and
uids that never log in.
"""
import base64
import itertools
import os
import pwd
import threading
import time
import unittest

import situations
from postern import ROOT, ServerCase, password_hash
from processes import user_of, wait_until


class PasswdFile(ServerCase):
    """The file as the administrator leaves it."""
    users = ("anna", "bert")

    def setUp(self):
        super().setUp()
        self.server.write_passwd()

    def answer(self, user="anna", password="secret"):
        client = self.client()
        answer = client.cmd("USER " + user)
        answer = client.cmd("PASS " + password) if answer.startswith("+OK") else answer
        client.close()
        return answer

    def test_changes_count_at_once(self):
        self.assertRegex(self.answer(), r"^\+OK")
        self.anna.password = "changed"
        self.addCleanup(setattr, self.anna, "password", "secret")
        self.server.write_passwd()
        self.assertRegex(self.answer(), r"^-ERR \[AUTH\]")
        self.assertRegex(self.answer(password="changed"), r"^\+OK")

    def test_user_added_and_removed(self):
        self.assertRegex(self.answer("carl"), r"^-ERR \[AUTH\]")
        self.server.write_passwd(self.server.users["bert"].record(name="carl"))
        self.assertRegex(self.answer("carl"), r"^\+OK")
        self.server.write_passwd()
        self.assertRegex(self.answer("carl"), r"^-ERR \[AUTH\]")

    def test_written_in_place(self):
        """Somebody rewrites the file in place, piece by piece: a right password works, or is told to come again; it is never "wrong"."""
        whole = self.server.passwd_file.read_bytes()
        stop = threading.Event()

        # A writer that is kept waiting in the middle leaves a file that looks finished; answers from then do not count.
        began, stalls = [None], [0]

        def rewrite():
            for pause in itertools.cycle((0.01, 0.02, 0.2)):
                if stop.is_set():
                    return
                began[0] = time.monotonic()
                with open(self.server.passwd_file, "r+b", 0) as f:
                    f.truncate(0)
                    for start in range(0, len(whole), 40):
                        f.write(whole[start:start + 40])
                stalls[0] += time.monotonic() - began[0] > 0.05
                began[0] = None
                stop.wait(pause)
        writer = threading.Thread(target=rewrite)
        writer.start()
        try:
            for _ in range(12):
                before = stalls[0]
                answer = self.answer("bert")
                current = began[0]  # first: a stall that ends just now is counted before this is None
                if stalls[0] == before and (current or time.monotonic()) > time.monotonic() - 0.05:
                    self.assertRegex(answer, r"^\+OK|^-ERR \[SYS/TEMP\]")
        finally:
            stop.set()
            writer.join()
        wait_until(lambda: self.answer("bert").startswith("+OK"), "the file is used again")

    def test_refused_modes(self):
        """A file that others can read or change is not believed; the answer is the server's trouble, not the user's."""
        rows = [("read by others", 0o604), ("written by others", 0o602), ("written by its group", 0o660), ("open to all", 0o666)]
        for label, mode in rows:
            with self.subTest(label):
                mark = self.server.mark()
                os.chmod(self.server.passwd_file, mode)
                self.assertRegex(self.answer(), r"^-ERR \[SYS/PERM\]")
                self.server.wait_for_log(r"passwd", since=mark)
        os.chmod(self.server.passwd_file, 0o640)
        self.assertRegex(self.answer(), r"^\+OK")

    def test_refused_kinds(self):
        path = self.server.passwd_file
        real = path.with_name("passwd.real")
        os.rename(path, real)
        for label, make in (("link", lambda: os.symlink(real, path)), ("directory", lambda: os.mkdir(path)), ("FIFO", lambda: os.mkfifo(path, 0o600))):
            with self.subTest(label):
                make()
                try:
                    self.assertRegex(self.answer(), r"^-ERR \[SYS/")
                finally:
                    (os.rmdir if path.is_dir() and not path.is_symlink() else os.unlink)(path)
        os.rename(real, path)

    @unittest.skipUnless(ROOT, "needs root: the file must be another's")
    def test_foreign_owner(self):
        os.chown(self.server.passwd_file, self.anna.uid, self.anna.gid)
        self.assertRegex(self.answer(), r"^-ERR \[SYS/PERM\]")

    def test_records(self):
        """label, changes to anna's record, what the answer begins with."""
        rows = [
            ("uid 0", dict(uid=0), r"-ERR \[AUTH\]"),
            ("uid 999", dict(uid=999), r"-ERR \[AUTH\]"),
            ("no hash", dict(hash=""), r"-ERR"),
            ("locked", dict(hash="!" + password_hash("secret")), r"-ERR \[AUTH\]"),
            ("star", dict(hash="*"), r"-ERR \[AUTH\]"),
            ("the password itself", dict(hash="secret"), r"-ERR"),
            ("unknown scheme", dict(hash="$99$x$y"), r"-ERR \[SYS/"),
            ("uid is no number", dict(uid="abc"), r"-ERR \[SYS/"),
            ("uid 2^32", dict(uid=4294967296), r"-ERR \[SYS/"),
            ("uid -1", dict(uid=4294967295), r"-ERR"),
            ("negative uid", dict(uid=-1), r"-ERR \[SYS/"),
            ("home is no path", dict(home="home/anna"), r"-ERR \[SYS/"),
            ("a comment with spaces", dict(comment="Anna A., room 5"), r"\+OK"),
        ]
        for label, changes, begins in rows:
            if not ROOT and label.startswith("uid 9"):
                continue
            with self.subTest(label):
                self.server.write_passwd()
                text = self.server.passwd_file.read_text().replace(self.anna.record(), self.anna.record(**changes))
                temporary = self.server.base / "passwd.new"
                temporary.write_text(text)
                temporary.chmod(0o600)
                os.rename(temporary, self.server.passwd_file)
                self.assertRegex(self.answer(), "^" + begins)
                self.assertRegex(self.answer("bert"), r"^\+OK", "another's record")

    def test_comments_and_no_last_line_end(self):
        text = "# a comment\n\n" + self.server.users["bert"].record() + "\n\n" + self.anna.record()
        temporary = self.server.base / "passwd.new"
        temporary.write_text(text)
        temporary.chmod(0o600)
        os.rename(temporary, self.server.passwd_file)
        self.assertRegex(self.answer(), r"^\+OK")

    def test_missing_file(self):
        """No file is no user; it is read when it comes."""
        os.unlink(self.server.passwd_file)
        self.assertRegex(self.answer(), r"^-ERR")
        self.server.write_passwd()
        self.assertRegex(self.answer(), r"^\+OK")


class Names(ServerCase):
    """Who types his address, or begins with a capital, is who he is (user_names, local_domains)."""
    settings = {"auth": {"user_names": "lowercase", "local_domains": "b.example example.org"}}

    def test_login(self):
        rows = [("anna", True), ("Anna", True), ("ANNA@Example.org", True), ("anna@other.example", False), ("anna@example.org@example.org", False)]
        for user, known in rows:
            with self.subTest(user):
                client = self.client()
                self.assertRegex(client.cmd("USER " + user), r"^\+OK" if known else r"^-ERR \[AUTH\] mailbox unknown")
                if known:
                    client.ok("PASS secret")
                client.close()
                client = self.client()
                response = base64.b64encode(b"\0%s\0secret" % user.encode()).decode()
                self.assertRegex(client.cmd("AUTH PLAIN " + response), r"^\+OK" if known else r"^-ERR \[AUTH\]")
                client.close()

    def test_one_user(self):
        """All of them are one name: to the log, and so to whoever counts guesses."""
        mark = self.server.mark()
        client = self.client()
        client.ok("USER ANNA@example.org")
        self.assertRegex(client.cmd("PASS wrong"), r"^-ERR \[AUTH\] invalid password")
        self.server.wait_for_log(r'login failed: user="anna" ', since=mark)
        wait_until(lambda: "invalid password" in situations.postern("log", "--user", "Anna@example.org", config=self.server.config_file), "postern log knows the name, too")



@unittest.skipUnless(ROOT, "needs root: sessions under another uid")
class VirtualUsers(ServerCase):
    """Records without uid and gid belong to virtual_user."""
    users = ("anna",)
    settings = {"auth": {"virtual_user": "nobody"}}

    def test_owner(self):
        self.server.write_passwd(self.anna.record(name="virt@example.org", uid="", gid="", home=self.server.base / "virt"))
        with self.server.login() as client:
            client.quit()
        client = self.client()
        client.ok("USER virt@example.org")
        client.ok("PASS secret")
        owners = {user_of(p.pid) for p in self.server.keepers()}
        self.assertIn(pwd.getpwnam("nobody").pw_uid, owners)
        client.quit()


if __name__ == "__main__":
    unittest.main()
