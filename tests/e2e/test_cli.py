"""The postern command: its list of commands and their arguments, wrong usage, and what cannot be written."""
import re
import subprocess
import unittest

from test_cli_passwd import IO, POSTERN, SECONDS, TOP, USAGE, Case


class Dispatch(Case):
    def test_version(self):
        version = re.search(r"\((\S+)\)", (TOP / "debian/changelog").read_text()).group(1)
        self.assertEqual(self.run_cli("-V").stdout.decode(), "postern %s\n" % version)

    def test_help(self):
        for arguments in (["help"], ["--help"], ["-h"]):
            done = self.run_cli(*arguments)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout.decode(), r"(?m)^  passwd ")
        done = self.run_cli("passwd", "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("never an argument", done.stdout.decode())
        commands = re.findall(r"(?m)^  (\w+) +\w", self.run_cli("help").stdout.decode())
        self.assertGreater(len(commands), 6)
        for command in commands:
            for option in ("--help", "-h"):
                done = self.run_cli(command, option)
                self.assertEqual((done.returncode, done.stderr), (0, b""), (command, option))
                self.assertIn("usage: postern %s" % command, done.stdout.decode())
                self.assertEqual(self.run_cli("help", command).stdout, done.stdout)
        self.assertEqual(self.run_cli("recover", "-c", "/nonexistent", "--help").returncode, 0)

    def test_wrong_usage(self):
        for arguments, says in (([], "usage: postern"), (["pop"], 'no command "pop"'), (["passwd"], "wants an action"),
                                (["help", "pop"], 'no command "pop"'), (["help", "passwd", "add"], "usage: postern help"),
                                (["passwd", "ad"], 'no action "ad"'), (["passwd", "add"], "wants a user name"),
                                (["passwd", "--bogus"], "usage: postern passwd"), (["passwd", "list", "x"], "argument too many"),
                                (["passwd", "add", "--ops", "0", "a"], "from 1 to 10"),
                                (["passwd", "add", "--ops", "x", "a"], "from 1 to 10"),
                                (["passwd", "add", "--mem", "257", "a"], "from 1 to 256"),
                                (["passwd", "set", "--uid", "1", "a"], "does not take --uid"),
                                (["passwd", "delete", "--mem", "1", "a"], "does not take --ops"),
                                (["passwd", "add", "a:b"], "a user name has"), (["passwd", "add", "a/b"], "a user name has"),
                                (["passwd", "add", ""], "a user name has"), (["passwd", "add", "#a"], "a user name has"),
                                (["passwd", "add", "a\nb"], "a user name has"), (["passwd", "add", "u" * 129], "a user name has")):
            with self.subTest(arguments):
                done = self.run_cli(*arguments)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(says, done.stderr.decode())

    def test_what_cannot_be_written(self):
        self.add("anna")
        for arguments in (["help"], ["help", "log"], ["-V"], ["explain", "--list"], ["passwd", "-f", self.file, "list"], ["passwd", "-f", self.file, "verify", "anna"]):
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                done = subprocess.run([POSTERN, *arguments], input=b"correct horse\n", stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
                self.assertEqual((done.returncode, done.stderr), (IO, b""))


if __name__ == "__main__":
    unittest.main()
