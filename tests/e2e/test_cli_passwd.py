"""postern passwd: the file it writes, the prompt, the lock, and what it says when it refuses.

Environment: POSTERN_BUILD (directory of the programs, default build).
"""
import fcntl
import os
import pty
import re
import select
import signal
import stat
import subprocess
import tempfile
import termios
import threading
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
POSTERN = (TOP / os.environ.get("POSTERN_BUILD", "build")).resolve() / "postern"
USAGE, DATA, NO_USER, CANNOT_CREATE, IO, CONFIG = 64, 65, 67, 73, 74, 78
CHEAP = ["--ops", "1", "--mem", "1"]
SECONDS = 120  # for anything that is to happen


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="postern-cli-")
        self.addCleanup(self.directory.cleanup)
        self.file = Path(self.directory.name) / "passwd"

    def run_cli(self, *arguments, stdin=b""):
        return subprocess.run([POSTERN, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SECONDS, check=False)

    def passwd(self, *arguments, password="", status=0, says=""):
        done = self.run_cli("passwd", "-f", str(self.file), *arguments, stdin=password.encode())
        err = done.stderr.decode()
        self.assertEqual(done.returncode, status, err)
        self.assertIn(says, err)
        if len(password) > 5:
            self.assertNotIn(password.strip(), err + done.stdout.decode())
        return done.stdout.decode()

    def add(self, name, password="correct horse\n", *options):
        return self.passwd("add", *CHEAP, *options, name, password=password)

    def lines(self):
        return self.file.read_text().splitlines()

    def only_the_file(self):
        self.assertLessEqual({p.name for p in Path(self.directory.name).iterdir()}, {"passwd", "passwd.lock"})


class Change(Case):
    def test_password_is_no_argument(self):
        self.passwd("add", "anna", "correct horse", status=USAGE, says="never an argument")
        self.assertFalse(self.file.exists())

    def test_new_file(self):
        mask = os.umask(0)
        self.addCleanup(os.umask, mask)
        err = self.run_cli("passwd", "-f", str(self.file), "add", "--uid", "1001", "--gid", "1002", "--home", "/home/a",
                           "--comment", "Anna A.", "anna", stdin=b"correct horse\n").stderr.decode()
        self.assertRegex(err, r"takes \d+ ms and 19 MiB")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(Path(str(self.file) + ".lock").stat().st_mode), 0o600)
        self.assertRegex(self.file.read_text(), r"\Aanna:\{ARGON2ID\}\$argon2id\$v=19\$m=19456,t=2,p=1\$[^:]+:1001:1002:Anna A\.:/home/a:\n\Z")
        self.passwd("verify", "anna", password="correct horse\n")

    def test_everything_else_stays(self):
        before = b"# first\n\nanna:*:1:2:c:/h:/bin/sh:extra\nnot a record\n  \nberta:x\nclara:!:::\nodd\r\nlast:*:1:1"
        self.file.write_bytes(before)
        self.file.chmod(0o440)
        if os.geteuid() == 0:
            os.chown(self.file, 0, 12345)
        was = self.file.stat()
        held = self.file.open("rb")  # so that its inode's number is not given away again
        self.addCleanup(held.close)
        self.passwd("set", *CHEAP, "anna", password="one\n")
        self.passwd("set", *CHEAP, "berta", password="two\n")
        self.add("new", "three\n", "--uid", "7", "--gid", "8")
        got = self.file.read_bytes()
        pattern = (re.escape(before + b"\n").replace(rb"anna:\*", rb"anna:\{ARGON2ID\}[^:\n]+").replace(
            rb"berta:x", rb"berta:\{ARGON2ID\}[^:\n]+") + rb"new:\{ARGON2ID\}[^:\n]+:7:8:::\n")
        self.assertRegex(got, rb"\A" + pattern + rb"\Z")
        now = self.file.stat()
        self.assertEqual((now.st_mode, now.st_uid, now.st_gid), (was.st_mode, was.st_uid, was.st_gid))
        self.assertNotEqual(now.st_ino, was.st_ino)
        for name, password in (("anna", "one\n"), ("berta", "two\n"), ("new", "three\n")):
            self.passwd("verify", name, password=password)
        self.only_the_file()

    def test_delete_takes_all_of_them(self):
        self.file.write_text("a:*\nb:1\n#b:\nb:2:3\nbb:*\n")
        self.file.chmod(0o600)
        self.passwd("delete", "b")
        self.assertEqual(self.file.read_text(), "a:*\n#b:\nbb:*\n")

    def test_set_changes_the_first(self):
        self.file.write_text("a:*:1:1\na:*:2:2\n")
        self.file.chmod(0o600)
        self.passwd("set", *CHEAP, "a", password="pw\n")
        self.assertRegex(self.file.read_text(), r"\Aa:\{ARGON2ID\}[^:]+:1:1\na:\*:2:2\n\Z")

    def test_refusals_change_nothing(self):
        self.add("anna")
        before = self.file.read_bytes()
        # with a bad record no password is asked for
        rows = ((["add", "anna"], "x\n", DATA, "already"), (["set", "otto"], "x\n", NO_USER, "no user otto"),
                (["delete", "otto"], "", NO_USER, "no user otto"), (["add", "b"], "", DATA, "empty"),
                (["add", "b"], "\n", DATA, "empty"), (["add", "b"], "p" * 513 + "\n", DATA, "longer than 512"),
                (["add", "b"], "p\0q\n", DATA, "NUL"),
                (["add", "b"], "pq\r\n", DATA, "DOS line end"), (["set", "anna"], "pq\r\n", DATA, "DOS line end"), (["add", "--uid", "x", "b"], "p\n", DATA, "the uid is not a number"),
                (["add", "--uid", "4294967295", "b"], "p\n", DATA, "the uid is not a number"),
                (["add", "--uid", "0", "b"], "p\n", DATA, "uid 0"), (["add", "--gid", "5", "b"], "p\n", DATA, "a gid but no uid"),
                (["add", "--home", "h", "b"], "p\n", DATA, "the home"), (["add", "--home", "/h:x", "b"], "p\n", DATA, "without colons"),
                (["add", "--comment", "a:b", "b"], "p\n", DATA, "without colons"),
                (["add", "--comment", "a\nb", "b"], "p\n", DATA, "control character"),
                (["add", "--comment", "c" * 9000, "b"], "p\n", DATA, "have to be shorter"))
        for arguments, password, status, says in rows:
            with self.subTest(arguments):
                self.passwd(*arguments, password=password, status=status, says=says)
                self.assertEqual(self.file.read_bytes(), before)
        self.only_the_file()

    def test_longest_password(self):
        self.add("anna", "p" * 512 + "\n")
        self.passwd("verify", "anna", password="p" * 512)
        self.passwd("verify", "anna", password="p" * 511 + "\n", status=1)
        self.passwd("verify", "anna", password="p" * 511 + "\r\n", status=2, says="DOS line end")

    def test_distrusted_files(self):
        for mode, says in ((0o644, "chmod o="), (0o660, "chmod g-w")):
            self.file.write_text("anna:*\n")
            self.file.chmod(mode)
            for arguments in (["add", "b"], ["set", "anna"], ["delete", "anna"], ["list"]):
                self.passwd(*arguments, password="x\n", status=CONFIG, says=says)
            self.passwd("verify", "anna", password="x\n", status=2, says=says)
            self.assertEqual(self.file.read_text(), "anna:*\n")
        self.file.unlink()
        self.file.symlink_to("elsewhere")
        self.passwd("add", "b", password="x\n", status=CONFIG, says="symbolic link")
        self.assertTrue(self.file.is_symlink())

    @unittest.skipUnless(os.geteuid() == 0, "root reads every file, and nobody else this one")
    def test_without_root(self):
        self.add("anna")
        Path(self.directory.name).chmod(0o755)
        for arguments in (["list"], ["verify", "anna"], ["add", "b"], ["set", "anna"], ["delete", "anna"]):
            done = subprocess.run([POSTERN, "passwd", "-f", self.file, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False, user=65534)
            self.assertIn(b"Permission denied; run it as root", done.stderr, arguments)

    def test_no_file(self):
        for action in ("set", "delete"):
            self.passwd(action, "anna", password="x\n", status=CONFIG, says="there is no passwd file")
        self.passwd("list", status=CONFIG, says="there is no passwd file")
        self.passwd("verify", "anna", password="x\n", status=2, says="there is no passwd file")
        self.assertFalse(self.file.exists())
        done = self.run_cli("passwd", "-f", self.directory.name + "/none/passwd", "add", *CHEAP, "a", stdin=b"x\n")
        self.assertEqual(done.returncode, CANNOT_CREATE)

    def test_by_configuration(self):
        """Without -f, the file is the one that the server's configuration names."""
        config = Path(self.directory.name) / "postern.conf"

        def write(text):
            config.write_text("[auth]\n" + text)

        def run(*arguments, status=0, says="", first=("-c", config)):
            done = self.run_cli("passwd", *first, *arguments, stdin=b"correct horse\n")
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(says, done.stderr.decode())
            return done.stderr.decode()

        write("passwd_file = %s\nbackends = passwd-file\nvirtual_user = vmail\n" % self.file)
        self.assertNotIn("note:", run("add", *CHEAP, "anna"))
        self.passwd("verify", "anna", password="correct horse\n")
        write("passwd_file = %s\nbackends = pam\n" % self.file)
        run("verify", "anna", says="note: the server does not look into %s: backends in %s" % (self.file, config))
        write("passwd_file = %s\nuser_names = lowercase\nlocal_domains = example.org\n" % self.file)
        self.assertNotIn("note:", run("verify", "anna"))
        for name, known in (("Otto", "otto"), ("otto@Example.org", "otto")):
            run("verify", name, status=2, says="note: nobody can log in as %s: user_names and local_domains in %s make %s of it" % (name, config, known))
        write("passwd_file = /nonexistent/passwd\n")
        run("delete", "anna", status=CONFIG, says="/nonexistent/passwd")
        run("verify", "anna", first=("-c", config, "-f", self.file))
        write("passwd_file = passwd\n")
        before = self.file.read_bytes()
        run("add", *CHEAP, "berta", status=CONFIG, says="name the file with -f")
        run("verify", "anna", status=2, says="name the file with -f")
        config.unlink()
        run("list", status=CONFIG, says="cannot be opened")
        self.assertEqual(self.file.read_bytes(), before)

    def test_nobodys_mail(self):
        """Who is added and could not log in all the same is told so then, and not by his users."""
        config = Path(self.directory.name) / "postern.conf"
        config.write_text("[auth]\npasswd_file = %s\nbackends = passwd-file\n" % self.file)
        for arguments, says in ((["no-such-account"], "note: nobody can log in as no-such-account yet: no account has that name, and virtual_user in %s is not set; give --uid and --gid" % config),
                                (["--uid", "64123", "b"], "note: nobody can log in as b yet: no account has the uid 64123; give --gid, too"),
                                (["--uid", "64123", "--gid", "64123", "c"], None), (["--uid", "65534", "d"], None), (["nobody"], None)):
            done = self.run_cli("passwd", "-c", config, "add", *CHEAP, *arguments, stdin=b"correct horse\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            (self.assertIn if says else self.assertNotIn)(says or "note:", done.stderr.decode())
        done = self.run_cli("passwd", "-c", config, "verify", "b", stdin=b"correct horse\n")
        self.assertNotIn(b"note:", done.stderr)

    def test_many_at_once(self):
        """Each of 40 concurrent changes is in the file afterwards, and every reader sees whole lines."""
        self.add("first")
        torn, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                text = self.file.read_text()
                if not re.fullmatch(r"(?:\w+:\{ARGON2ID\}[^:\n]+:::::\n)+", text):
                    torn.append(text)

        reader = threading.Thread(target=read)
        reader.start()
        children = []
        for i in range(40):
            child = subprocess.Popen([POSTERN, "passwd", "-f", self.file, "add", *CHEAP, "user%d" % i], stdin=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)
            child.stdin.write(b"pw%d\n" % i)
            child.stdin.close()
            children.append(child)
        self.assertEqual({child.wait(SECONDS) for child in children}, {0})
        stop.set()
        reader.join()
        self.assertEqual(torn, [])
        self.assertEqual({line.split(":")[0] for line in self.lines()}, {"first"} | {"user%d" % i for i in range(40)})
        self.passwd("verify", "user17", password="pw17\n")
        self.only_the_file()

    def test_waits_for_the_lock(self):
        self.add("anna")
        with open(str(self.file) + ".lock", "r", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            child = subprocess.Popen([POSTERN, "passwd", "-f", self.file, "delete", "anna"], stderr=subprocess.PIPE)
            self.assertIn(b"waiting", child.stderr.readline())
            self.assertEqual(len(self.lines()), 1)
            # somebody else's change, under the lock, while the child waits
            self.file.write_text(self.file.read_text() + "berta:*\n")
            fcntl.flock(lock, fcntl.LOCK_UN)
        self.assertEqual(child.wait(SECONDS), 0)
        child.stderr.close()
        self.assertEqual(self.file.read_text(), "berta:*\n")

    def test_changed_while_it_waited(self):
        self.add("anna")
        for arguments, content, status, says in ((["delete", "anna"], "berta:*\n", NO_USER, b"was removed"),
                                                 (["add", "carl", *CHEAP], "carl:*\n", DATA, b"was added")):
            with open(str(self.file) + ".lock", "r", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                child = subprocess.Popen([POSTERN, "passwd", "-f", self.file, *arguments], stderr=subprocess.PIPE,
                                         stdin=subprocess.PIPE)
                child.stdin.write(b"pw\n")
                child.stdin.close()
                err = b""
                while b"waiting" not in err:
                    err = child.stderr.readline()
                self.file.write_text(content)
            self.assertEqual(child.wait(SECONDS), status)
            self.assertIn(says, child.stderr.read())
            child.stderr.close()
            self.assertEqual(self.file.read_text(), content)


class Look(Case):
    def test_verify(self):
        self.add("anna")
        with self.file.open("a") as f:
            f.write("lock:!\nplain:{PLAIN}x\nbad:*:y\n")
        self.passwd("verify", "anna", password="correct horse\n")
        self.passwd("verify", "anna", password="correct horse")
        self.passwd("verify", "anna", password="wr0ng\n", status=1, says="line 1: wrong password")
        self.passwd("verify", "lock", password="wr0ng\n", status=1, says="no password opens")
        self.passwd("verify", "plain", password="wr0ng\n", status=2, says="PLAIN")
        self.passwd("verify", "bad", password="wr0ng\n", status=2, says="line 4: the uid is not a number")
        self.passwd("verify", "otto", password="wr0ng\n", status=2, says="no user otto")
        self.passwd("verify", "anna", password="\n", status=2, says="empty")
        self.passwd("verify", "anna", "x", status=2, says="argument too many")

    def test_list(self):
        self.add("anna", "correct horse\n", "--uid", "1001", "--gid", "1002")
        with self.file.open("a") as f:
            f.write("# comment\nb:{SHA512-CRYPT}$6$salt$%s:1003\nlock:!\nplain:{PLAIN}hunter2\ndes:abNANd1rDfiNc\nm\u00fcller:*\n" % ("a" * 86))
        out = self.passwd("list")
        rows = [line.split(None, 1) for line in out.splitlines()]
        self.assertEqual([row[0] for row in rows], ["USER", "anna", "b", "lock", "plain", "des", "m\\xc3\\xbcller"])
        self.assertRegex(rows[1][1], r"^ARGON2ID +1 MiB, 1 passes +1001:1002$")
        self.assertRegex(rows[2][1], r"^SHA512-CRYPT +5000 rounds +1003$")
        self.assertRegex(rows[3][1], r"^locked +- +-$")
        self.assertRegex(rows[4][1], r"^PLAIN .*cannot be used")
        self.assertRegex(rows[5][1], r"^DES-CRYPT .*weak")
        for secret in ("hunter2", "$6$", "$argon2id$", "abNANd1rDfiNc"):
            self.assertNotIn(secret, out)
        with self.file.open("a") as f:
            f.write("bad\n")
        self.assertIn("anna", self.passwd("list", status=DATA, says="line 8: there is no colon"))


def to_foreground():
    """As a shell does for a job, which says its pid before it runs; a group without a parent in its session could not be stopped."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # not as whoever runs the tests has it: nohup and "&" ignore some
    os.write(1, b"pid %d.\n" % os.getpid())


class Terminal(Case):
    """The prompt, on a terminal of its own."""

    def start(self, *arguments):
        """postern as a job of a shell, which says afterwards how it ended and whether the terminal echoes then; its pid."""
        self.screen = b""
        shell, self.master = pty.fork()
        if shell == 0:
            try:
                child = subprocess.Popen([POSTERN, "passwd", "-f", self.file, *arguments], preexec_fn=to_foreground)
                status = child.wait()
                os.write(1, b"ended %d echo %d\n" % (status, bool(termios.tcgetattr(0)[3] & termios.ECHO)))
                # Until the other side closes: when the leader of a terminal's session ends, what is not read yet may be lost.
                signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                os.tcsetpgrp(0, os.getpgrp())
                while os.read(0, 100):
                    pass
            finally:
                os._exit(1)
        self.addCleanup(os.waitpid, shell, 0)
        self.addCleanup(os.close, self.master)
        self.read_until(b"pid ")
        return int(self.read_until(b".\r\n"))

    def read_until(self, text):
        while text not in self.screen:
            ready, _, _ = select.select([self.master], [], [], SECONDS)
            self.assertTrue(ready, "no %r in %r" % (text, self.screen))
            try:
                got = os.read(self.master, 4096)
            except OSError:
                got = b""
            self.assertTrue(got, "it ended without %r: %r" % (text, self.screen))
            self.screen += got
        before, self.screen = self.screen.split(text, 1)
        return before

    def ends(self, status):
        """It ends like that, with the echo on; what it said before that."""
        before = self.read_until(b"ended ")
        self.assertEqual(self.read_until(b"\r\n"), b"%d echo 1" % status, before)
        return before

    def echo(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def test_asks_twice_without_echo(self):
        self.start("add", *CHEAP, "anna")
        self.read_until(b"Password for anna: ")
        self.assertFalse(self.echo())
        os.write(self.master, b"correct horse\n")
        shown = self.read_until(b"Once more for anna: ")
        self.assertFalse(self.echo())
        os.write(self.master, b"correct horse\n")
        shown += self.ends(0)
        self.assertNotIn(b"correct", shown)
        self.passwd("verify", "anna", password="correct horse\n")

    def test_the_two_differ(self):
        self.start("add", *CHEAP, "anna")
        self.read_until(b"Password for anna: ")
        os.write(self.master, b"one\n")
        self.read_until(b"Once more for anna: ")
        os.write(self.master, b"two\n")
        self.assertIn(b"do not match", self.ends(DATA))
        self.assertFalse(self.file.exists())

    def test_verify_asks_once(self):
        self.add("anna")
        self.start("verify", "anna")
        self.read_until(b"Password for anna: ")
        os.write(self.master, b"correct horse\n")
        self.assertIn(b"the password is right", self.ends(0))

    def test_interrupted(self):
        """A signal ends it as that signal does, with the echo back on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                pid = self.start("add", "anna")
                self.read_until(b"Password for anna: ")
                self.assertFalse(self.echo())
                os.kill(pid, number)
                self.ends(-number)
                self.assertFalse(self.file.exists())

    def test_stopped_and_continued(self):
        """A stop gives the echo back; when continued it asks again, without echo."""
        pid = self.start("add", "anna")
        self.read_until(b"Password for anna: ")
        os.kill(pid, signal.SIGTSTP)
        state = ""
        while "T (stopped)" not in state:
            state = Path("/proc/%d/status" % pid).read_text()
            self.assertNotIn(b"Password for", self.screen)
        self.assertTrue(self.echo())
        os.kill(pid, signal.SIGCONT)
        self.read_until(b"Password for anna: ")
        self.assertFalse(self.echo())
        os.kill(pid, signal.SIGTERM)
        self.ends(-signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
