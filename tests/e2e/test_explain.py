"""postern explain: a failure by its reference, for root and for the user it is about; an answer by its words; the pages."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import unittest
from pathlib import Path

import bodies
from postern import BUILD, PREFIX, ROOT, TOP, Server, ServerCase
from processes import PATIENCE, wait_until
from tracing import keeper_in_session

REF = re.compile(r" \(ref ([0-9A-HJKMNP-TV-Z]{5,6})\)$")
OK, NO, USAGE, DATA, TEMPORARY, CONFIG = 0, 1, 64, 65, 75, 78
RECORD = 1024                       # octets of a record in the file, and of the head


def postern(*arguments, uid=None):
    """(status, stdout, stderr) of the command, as that user."""
    options = {"user": uid, "group": uid, "extra_groups": []} if uid is not None and ROOT else {}
    done = subprocess.run([*PREFIX, str(BUILD / "postern"), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60 * PATIENCE, cwd="/", env={**os.environ, "TZ": "UTC"}, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def reference(line):
    match = REF.search(line)
    assert match, "no reference in %r" % line
    return match.group(1)


class CommandCase(ServerCase):
    """A command of postern's about the server; what it prints, of which a command that fails says all on standard error."""
    users = ("anna", "bert")

    def command(self, name, *arguments, uid=None, status=OK):
        got, out, err = postern(name, "-c", self.server.config_file, *arguments, uid=uid)
        self.assertEqual(got, status, out + err)
        return out if status == OK else out + err


class ExplainCase(CommandCase):
    def explain(self, *arguments, **options):
        return self.command("explain", *arguments, **options)

    def on_record(self, ref):
        """The one record of that reference, when it has arrived."""
        def find():
            status, out, _ = postern("explain", "-c", self.server.config_file, "--json", ref)
            return status == OK and json.loads(out)
        found = wait_until(find, "the history has " + ref)
        self.assertEqual((found["reference"], len(found["records"])), (ref, 1))
        return found["records"][0]

    def refused(self, user="anna", password="wrong", **options):
        """The answer to a login that fails."""
        with self.client(**options) as client:
            client.ok("USER " + user)
            return client.err("PASS " + password)


class Records(ExplainCase):
    def test_a_failed_login(self):
        line = self.refused(source="127.0.3.1")
        ref = reference(line)
        record = self.on_record(ref)
        self.assertEqual(record["told"], line)
        want = {"reply": "INVALID_PASSWORD", "about": "INVALID_PASSWORD", "peer": "127.0.3.1", "tls": "none", "user": "anna", "uid": self.anna.uid,
                "reason": "wrong password", "side": "the account", "errno": None, "pam": None, "role": "keeper"}
        self.assertEqual({name: record[name] for name in want}, want)
        self.assertIn("passwd file %s line 1" % self.server.passwd_file, record["tried"])
        text = self.explain(ref)
        for part in ("Reference " + ref, "  " + line, "127.0.3.1, without TLS", '"anna", uid %d' % self.anna.uid, "wrong password",
                     "keeper, process %d" % record["pid"], "Whose side:     the account", "postern passwd set anna",
                     "In the log:     look for ref=%s where standard error of posternd goes to" % ref):
            self.assertIn(part, text)
        self.assertNotIn("NAME", text)

    def test_typed_as_people_type(self):
        line = self.refused()
        ref = reference(line)
        self.on_record(ref)
        want = self.explain(ref)
        for typed in ([ref.lower()], [ref.replace("0", "O").replace("1", "l")], [line], ["The server said:", line], line.split(" ")):
            self.assertEqual(self.explain(*typed), want, typed)
        # Options behind it, as every other command of postern's takes them.
        for typed in ((ref, "-c", self.server.config_file), (*line.split(" "), "-c", self.server.config_file), ("-c", self.server.config_file, "--", ref)):
            self.assertEqual(postern("explain", *typed), (OK, want, ""), typed)
        self.assertEqual(json.loads(self.explain(ref, "--json"))["reference"], ref)

    def test_over_tls(self):
        for tls in (True, False):
            with self.client(tls=tls) as client:
                client = client if tls else client.stls()
                client.ok("USER anna")
                wrong = reference(client.err("PASS wrong"))
                unknown = reference(client.err("USER nobody-here"))
            for ref in (wrong, unknown):
                self.assertRegex(self.on_record(ref)["tls"], r"^TLSv1\.[23]$")
        self.assertIn("over TLSv1.", self.explain(ref))

    def test_a_locked_mailbox(self):
        self.anna.deliver(bodies.message("m"))
        with self.login(source="127.0.3.2") as holder:
            line = self.refused(password="secret", source="127.0.3.3")
            record = self.on_record(reference(line))
            self.assertEqual((record["told"], record["reply"], record["side"]), (line, "LOCKED_ACTIVE", "another program"))
            self.assertIn("127.0.3.2", line)
            holder.quit()

    def test_a_message_that_is_gone(self):
        self.anna.empty()
        path = self.anna.deliver(bodies.message("m"))
        with self.login() as client:
            path.unlink()
            line = client.err("RETR 1", "removed by another program")
            record = self.on_record(reference(line))
            self.assertEqual((record["told"], record["reply"], record["reason"]), (line, "MESSAGE_GONE", "message gone"))
            self.assertEqual(record["mailbox"], "maildir:%s" % self.anna.maildir)
            self.assertIn(str(path.name), record["tried"])
            client.quit()

    @unittest.skipUnless(ROOT, "needs chattr")
    def test_messages_that_stay(self):
        """The system's own error, by name and in words, and how many stayed."""
        self.anna.empty()
        for n in range(3):
            self.anna.deliver(bodies.message("m%d" % n))
        if subprocess.run(["chattr", "+i", self.anna.maildir / "new"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("this file system has no immutable directories")
        try:
            with self.login() as client:
                client.ok("DELE 1")
                client.ok("DELE 2")
                line = client.err("QUIT", r"some deleted messages not removed: 2 of 2 \(permissions\)")
        finally:
            subprocess.run(["chattr", "-i", self.anna.maildir / "new"], check=True)
        record = self.on_record(reference(line))
        self.assertEqual((record["errno"], record["error"], record["about"]), ("EPERM", "Operation not permitted", "KEPT_DENIED"))
        self.assertIn("System error:   EPERM: Operation not permitted", self.explain(reference(line)))

    def test_nothing_that_a_terminal_obeys(self):
        """A user name can hold anything."""
        with self.client() as client:
            line = client.err(b"USER \x1b]0;x\x07\xc3\xbc\xff")
        ref = reference(line)
        self.assertEqual(self.on_record(ref)["user"], "\x1b]0;x\x07\xfc\ufffd")
        text = self.explain(ref)
        self.assertNotRegex(text, r"[^\x20-\x7e\n]")
        self.assertIn(r'"\x1b]0;x\x07\xc3\xbc\xff"', text)

    @unittest.skipUnless(ROOT, "only root reads the files")
    def test_not_on_record(self):
        text = self.explain("00001", status=NO)
        self.assertIn("the log may have it: look for ref=00001 where", text)
        self.assertIn("no record of 00001", text)
        self.assertNotIn("you are not root", text)

    @unittest.skipUnless(ROOT, "only root reads the files")
    def test_where_the_log_is(self):
        """The command for the log is the one that finds it where `target` sends it."""
        booted = os.path.isdir("/run/systemd/system")
        text = Path(self.server.config_file).read_text()
        other = self.server.base / "other.conf"
        for target, command in (("journal", "journalctl POSTERN_REF=00001"),
                                ("auto", "journalctl POSTERN_REF=00001" if booted else "grep ref=00001 /var/log/mail.log"),
                                ("syslog", "journalctl -t postern -g ref=00001" if booted else "grep ref=00001 /var/log/mail.log")):
            other.write_text(text.replace("target = stderr", "target = " + target))
            got, _, err = postern("explain", "-c", other, "00001")
            self.assertEqual((got, "the log may have it: %s\n" % command in err), (NO, True), err)

    def test_a_line_that_is_not_on_record(self):
        """What it means in general can be said all the same."""
        got, out, err = postern("explain", "-c", self.server.config_file, "-ERR [AUTH] invalid password (ref 00001)")
        self.assertEqual(got, OK)
        self.assertTrue(out.startswith("INVALID_PASSWORD\n"), out)
        self.assertIn("no record of 00001", err)

    @unittest.skipUnless(ROOT, "only root reads the files")
    def test_a_reference_that_came_twice(self):
        """A worker's, after a restart: both are shown. Written by hand, as no server repeats one at will."""
        server = Server(("anna",))
        with server.client() as client:
            ref = reference(client.err("USER nobody-here"))
        wait_until(lambda: postern("explain", "-c", server.config_file, ref)[0] == OK, "it is on record")
        ring = server.base / "history" / "guesses"
        octets = bytearray(ring.read_bytes())
        octets[2 * RECORD:3 * RECORD] = octets[RECORD:2 * RECORD]
        struct.pack_into("<Q", octets, 16, 2)
        config, copy = server.config_file, self.server.base / "copy"
        copy.mkdir()
        for name in ("guesses", "failures", "sessions"):
            (copy / name).write_bytes(octets if name == "guesses" else (ring.parent / name).read_bytes())
        twice = self.server.base / "twice.conf"
        twice.write_text(config.read_text().replace("history_directory = %s" % ring.parent, "history_directory = %s" % copy))
        server.stop()
        got, out, err = postern("explain", "-c", twice, ref)
        self.assertEqual((got, out.count("Reference " + ref)), (OK, 2), err)
        self.assertEqual(len(json.loads(postern("explain", "-c", twice, "--json", ref)[1])["records"]), 2)


class Guarded(ExplainCase):
    """Strangers read the same words for everything; the record has the truth."""
    settings = {"auth": {"explain_failures": "never", "login_help": "help: https://example.org/mail"}}

    def test_the_true_reason(self):
        line = self.refused()
        self.assertTrue(line.startswith("-ERR [AUTH] user name or password not accepted (help: https://example.org/mail) (ref "), line)
        record = self.on_record(reference(line))
        self.assertEqual((record["told"], record["reply"], record["about"], record["reason"]), (line, "NOT_ACCEPTED", "INVALID_PASSWORD", "wrong password"))
        self.assertIn("Before the password is proven everybody is told the same words", self.explain(reference(line)))
        record = self.on_record(reference(self.refused(user="nobody-here")))
        # Without root one uid does everything, and all records are its own.
        self.assertEqual((record["about"], record["uid"]), ("MAILBOX_UNKNOWN", None if ROOT else os.getuid()))

    def test_an_outage_is_no_wrong_password(self):
        self.server.write_passwd(mode=0o644)
        self.addCleanup(self.server.write_passwd)
        line = self.refused()
        self.assertTrue(line.startswith("-ERR [SYS/PERM]"), line)
        record = self.on_record(reference(line))
        self.assertEqual((record["about"], record["side"]), ("AUTH_SETUP", "this server"))
        self.assertIn("others can read or write it", record["tried"])


@unittest.skipUnless(ROOT, "needs several users")
class OrdinaryUsers(ExplainCase):
    def setUp(self):
        super().setUp()
        self.bert = self.server.users["bert"]

    def test_own_and_others(self):
        mine, others = reference(self.refused("anna")), reference(self.refused("bert"))
        nobodys = reference(self.refused_name())
        for ref in (mine, others, nobodys):
            self.on_record(ref)
        text = self.explain(mine, uid=self.anna.uid)
        self.assertIn("Reference " + mine, text)
        self.assertIn("only what concerns uid %d" % self.anna.uid, text)
        for ref in (others, nobodys):
            text = self.explain(ref, uid=self.anna.uid, status=NO)
            self.assertIn("only what concerns uid %d" % self.anna.uid, text)
            self.assertNotIn("bert", text)
        self.assertIn(others, self.explain(others, uid=self.bert.uid))
        found = json.loads(self.explain("--json", mine, uid=self.anna.uid))
        self.assertEqual((found["own_only"], found["records"][0]["user"]), (True, "anna"))

    def refused_name(self):
        with self.client() as client:
            return client.err("USER nobody-here")

    def test_what_is_asked_for_does_not_matter(self):
        """The kernel says who asks. A question for another's uid, or for all, gets one's own."""
        self.on_record(reference(self.refused("bert")))
        self.on_record(reference(self.refused("anna")))
        script = "import socket, struct, sys\n" \
                 "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.connect(sys.argv[1])\n" \
                 "s.send(struct.pack('=IIqII132s4x', 0x50480001, 0, 0, 7, int(sys.argv[2]), b''))\n" \
                 "while True:\n    data = s.recv(4096)\n    sys.stdout.buffer.write(data)\n    if len(data) < 900: break\n"
        for uid in (self.bert.uid, 0xffffffff, 0):
            done = subprocess.run(["python3", "-c", script, self.server.base / "ask", str(uid)], stdout=subprocess.PIPE, check=True,
                                  timeout=60, user=self.anna.uid, group=self.anna.gid, extra_groups=[])
            self.assertIn(b"anna", done.stdout)
            self.assertNotIn(b"bert", done.stdout)

    def test_the_files_are_roots(self):
        for name in ("guesses", "failures", "sessions"):
            self.assertEqual(os.stat(self.server.base / "history" / name).st_mode & 0o777, 0o600)

    def test_command_for_root_alone(self):
        self.assertIn("Permission denied; run it as root", self.command("recover", uid=self.anna.uid, status=74))

    def test_configuration_for_root_alone(self):
        self.server.config_file.chmod(0o600)
        self.addCleanup(self.server.config_file.chmod, 0o644)
        for command in ("explain", "log", "stats"):
            text = self.command(command, *(["00001"] if command == "explain" else []), uid=self.anna.uid, status=CONFIG)
            self.assertIn("cannot be opened: Permission denied; run it as root, or let others read it, as there is no secret in it", text)

    def test_server_that_does_not_run(self):
        server = Server(("anna",))
        server.terminate()
        server.popen.wait()
        text = postern("explain", "-c", server.config_file, "00001", uid=self.anna.uid)
        self.assertEqual(text[0], TEMPORARY, text)
        self.assertIn("posternd answers there while it runs", text[2])
        server.stop()


@unittest.skipUnless(ROOT, "only root reads the files")
class Unreadable(unittest.TestCase):
    def test_no_history(self):
        """A file that has nothing in it, as a full disk leaves it, or is of another version."""
        server = Server(("anna",))
        self.addCleanup(server.stop)
        # Its recorder might write what it knows of them.
        server.terminate()
        server.popen.wait()
        for octets in (b"", b"x" * RECORD):
            (server.base / "history" / "guesses").write_bytes(octets)
            for arguments in (["log"], ["stats"], ["explain", "00001"]):
                status, _, err = postern(arguments[0], "-c", server.config_file, *arguments[1:])
                self.assertEqual(status, 74, err)
                self.assertIn("history/guesses: it is empty, or of another version of postern; posternd begins it anew when it starts and there is room", err)


class Restarts(ExplainCase):
    @unittest.skipUnless(ROOT, "only root sees which keeper it is")
    def test_keeper(self):
        """Killed: the master finds it, and cannot know whether the client was in the middle of QUIT."""
        self.server.expect_trouble = True
        with self.login() as client:
            os.kill(keeper_in_session(self.server), signal.SIGKILL)
            line = client.status()
        ref = reference(line)
        self.assertEqual(len(ref), 6)
        record = self.on_record(ref)
        self.assertEqual((record["told"], record["role"], record["reason"]), (line, "master", "keeper died"))
        self.assertIn("some of the marked messages may be gone", record["or_told"])
        text = self.explain(ref)
        self.assertIn("or, if that came while QUIT deleted:\n  " + record["or_told"], text)
        self.assertIn("was killed by signal 9", text)

    def test_server(self):
        before = reference(self.refused())
        told = self.on_record(before)["told"]
        self.server.terminate()
        self.server.popen.wait()
        self.server.start()
        self.assertEqual(self.on_record(before)["told"], told)
        after = reference(self.refused())
        self.assertNotEqual(after, before)
        self.on_record(after)

    def test_recorder(self):
        """Killed: another one takes over, what was on record stays, and nobody notices in between."""
        self.server.expect_trouble = True
        before = reference(self.refused())
        self.on_record(before)
        refs = {before}
        for _ in range(2):
            recorder, = self.recorders()
            os.kill(recorder, signal.SIGKILL)
            refs.add(reference(self.refused()))          # while it is away
            wait_until(lambda: [pid for pid in self.recorders() if pid != recorder], "another recorder")
            last = reference(self.refused())
            self.on_record(last)
            refs.add(last)
        self.on_record(before)
        self.assertEqual(len(refs), 5)
        if ROOT:
            self.assertIn(before, self.explain(before, uid=self.anna.uid))

    def recorders(self):
        return [p.pid for p in self.server.processes() if p.ppid == self.server.pid and p.name == "posternd-record" and p.state != "Z"]


class Words(unittest.TestCase):
    """What needs no server."""

    def explain(self, *arguments, status=OK):
        got, out, err = postern("explain", *arguments)
        self.assertEqual(got, status, out + err)
        return out if status == OK else err

    def test_names_and_words(self):
        for words in (["NO_SUCH_MESSAGE"], ["no_such_message"], ["-ERR no such message: you asked for 9, the mailbox has 5"],
                      ["no", "such", "message:", "you", "asked", "for", "9,", "the", "mailbox", "has", "5"]):
            text = self.explain(*words)
            self.assertTrue(text.startswith("NO_SUCH_MESSAGE\n  -ERR no such message: you asked for N, the mailbox has N\n"), text)
            self.assertEqual(len(re.findall(r"^(?:Whose side|What it means|The user|The admin):", text, re.M)), 4)

    def test_several(self):
        text = self.explain("some deleted messages not removed")
        self.assertEqual(text.count("Whose side:"), 3)
        self.assertIn("KEPT_MEMORY", text)
        found = json.loads(self.explain("--json", "some deleted messages not removed"))
        self.assertEqual(len(found["answers"]), 8)

    def test_list(self):
        lines = self.explain("--list").rstrip("\n").split("\n")
        self.assertGreater(len(lines), 80)
        for line in lines:
            self.assertRegex(line, r"^[A-Z0-9_]+ +(?:your|the|this|another) [a-z ]*? +-ERR ")

    def test_usage(self):
        for arguments in ([], ["--list", "x"], ["x", "--list"], ["--nonsense"], ["7KQ2M", "--nonsense"], ["-c"], ["--json"], ["--"]):
            self.explain(*arguments, status=USAGE)
        self.assertIn("usage: postern explain", self.explain("--help"))
        self.assertIn("no answer of postern has these words", self.explain("bananas", "galore", status=NO))
        self.explain("x" * 2000, status=DATA)
        self.assertIn("name a good copy with -c", self.explain("-c", "/nonexistent", "7KQ2M", status=CONFIG))

    def test_pages_are_fresh(self):
        """The committed pages are what the table says; `make errors` writes them."""
        for option, name in (("--man", "postern-errors.7"), ("--html", "errors.html")):
            self.assertEqual(self.explain(option), (TOP / "docs" / name).read_text(), "docs/%s is stale: run `make errors`" % name)

    def test_page_is_whole(self):
        page = self.explain("--html")
        names = {line.split(" ")[0] for line in self.explain("--list").rstrip("\n").split("\n")}
        anchors = re.findall(r'id="([^"]+)"', page)
        self.assertEqual(len(anchors), len(set(anchors)))
        self.assertLessEqual(names, set(anchors))
        self.assertLessEqual(set(re.findall(r'href="#([^"]+)"', page)), set(anchors))
        self.assertEqual(re.findall(r'(?:src|href)="[^#]', page), [], "nothing is loaded from elsewhere")
        for tag in re.findall(r"<([a-z0-9]+)[ >]", page):
            if tag not in ("meta", "html"):
                self.assertEqual(len(re.findall("<%s[ >]" % tag, page)), page.count("</%s>" % tag), tag)


@unittest.skipUnless(ROOT, "needs a mount namespace")
class Journal(unittest.TestCase):
    def test_field(self):
        """`journalctl POSTERN_REF=...` finds the line: the journal's datagram has the field."""
        server = Server(("anna",), settings={"log": {"target": "journal"}}, start=False)
        self.addCleanup(server.stop)
        folder = server.base / "journal"
        folder.mkdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(str(folder / "socket"))
            journal.settimeout(20 * PATIENCE)
            server.setup = "mkdir -p /run/systemd/journal\nmount --bind %s /run/systemd/journal" % folder
            server.start()
            with server.client() as client:
                ref = reference(client.err("USER nobody-here"))
            while True:
                fields = journal.recv(65536)
                if b"POSTERN_EVENT=login-failed" in fields or b"POSTERN_REF=" + ref.encode() in fields:
                    break
            self.assertIn(b"\nPOSTERN_REF=" + ref.encode() + b"\n", b"\n" + fields)
            self.assertIn(b"POSTERN_REPLY=MAILBOX_UNKNOWN", fields)


if __name__ == "__main__":
    unittest.main()
