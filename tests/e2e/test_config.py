"""The command line and the configuration: -V, -t with all its findings in one run, starts that fail."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from log_daemon import LogDaemon
from postern import PREFIX, ROOT, TOP, Server, make_certificate, need_mounts
from processes import all_processes, wait_until


def run(server, *arguments, launcher=(), seconds=20):
    """Run posternd until it has ended and nobody has its output open any more; (status, what it printed)."""
    done = subprocess.run([*launcher, *server.command(*arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=seconds * (10 if PREFIX else 1), check=False, text=True)
    return done.returncode, done.stdout


class Check(unittest.TestCase):
    def setUp(self):
        self.server = Server(start=False)
        self.file = str(self.server.config_file)

    def test_version(self):
        status, text = run(self.server, "-V")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^postern \d+\.\d+")
        self.assertIn(re.search(r"\((\S+)\)", (TOP / "debian/changelog").read_text()).group(1), text)

    def test_good(self):
        before = sorted(p.name for p in self.server.base.rglob("*"))
        self.assertEqual(run(self.server, "-t", "-c", self.file)[0], 0)
        self.assertEqual(sorted(p.name for p in self.server.base.rglob("*")), before, "-t has changed something")

    def test_defaults_are_a_configuration(self):
        """What -D prints is read without a finding about the text."""
        status, text = run(self.server, "-D")
        self.assertEqual(status, 0)
        uncommented = re.sub(r"(?m)^# (\w+ =)", r"\1", text)
        self.assertIn("explain_failures = loopback", uncommented)
        self.server.config_file.write_text(uncommented)
        for line in run(self.server, "-t", "-c", self.file)[1].split("\n"):
            self.assertNotRegex(line, r"(?i)unknown|no such setting|not a setting")

    # line of the file, what the finding must say.
    BAD_TEXT = [
        ("[listen]", None),
        ("pop3 = 127.0.0.1:99999", r"99999|port"),
        ("pop3s = nowhere.example:995", r"address|nowhere"),
        ("pop4 = 1", r"pop4"),
        ("[tls]", None),
        ("plaintext_login = sometimes", r"never.*loopback.*always"),
        ("minimum = 1.0", r"1\.2.*1\.3"),
        ("[auth]", None),
        ("backends = passwd-file ldap", r"ldap"),
        ("minimum_uid = 0", r"1"),
        ("explain_failures = maybe", r"never.*loopback.*always"),
        ("[maildrop]", None),
        ("location = /var/mail/%u", r"maildir:|mbox:"),
        ("mbox_locks = fcntl lockf", r"lockf"),
        ("[workers]", None),
        ("max = many", r"max|number|digits"),
        ("spare_min = -1", r"spare_min|number|digits"),
        ("spare_max = 99999999999999999999", r"10000|number|digits"),
        ("[limits]", None),
        ("idle_minutes = 1", r"10"),
        ("per_source =", r"per_source|number|digits|empty"),
        ("gateways = 127.0.0.1:110", r"without a port"),
        ("longest_wait = 20", r"19"),
        ("this is no setting", r"="),
        ("[nosuch]", r"nosuch|section"),
        ("x = 1", None),
        ("[log]", None),
        ("level = loud", r"info|debug"),
    ]

    def test_all_findings_in_one_run(self):
        """Each with file and line, and what to write instead."""
        self.server.config_file.write_text("".join(line + "\n" for line, _ in self.BAD_TEXT))
        status, text = run(self.server, "-t", "-c", self.file)
        self.assertEqual(status, 1, text)
        for number, (line, words) in enumerate(self.BAD_TEXT, 1):
            if words:
                with self.subTest(line):
                    findings = re.findall(r"(?m)^%s:%d: (.*)$" % (re.escape(self.file), number), text)
                    # A section that does not exist may be told at its first setting.
                    findings += re.findall(r"(?m)^%s:%d: (.*)$" % (re.escape(self.file), number + 1), text) if "section" in words else []
                    self.assertTrue(findings, text)
                    self.assertRegex(" ".join(findings), words)

    def test_no_such_file(self):
        """A path that was mistyped says nothing about a configuration that nobody wrote."""
        for options in (("-t",), ("-t", "-q"), ("-F",)):
            status, text = run(self.server, *options, "-c", "/nonexistent/postern.conf")
            self.assertEqual(status, 1, text)
            self.assertRegex(text, r"\A/nonexistent/postern\.conf: cannot be opened: No such file or directory; name another with -c.*\n(?:.*: to be corrected before postern can use it\n)?\Z")

    def test_findings_about_the_host(self):
        """What is wrong outside the file, each as a row: label, sections changed, words."""
        other = make_certificate("other")
        readable = self.server.base / "readable.key"
        readable.write_bytes(open(self.server.key, "rb").read())
        readable.chmod(0o644)
        rows = [
            ("certificate missing", {"tls": {"certificate": "/nonexistent/x.pem"}}, r"certificate.*(No such|cannot)"),
            ("key of another certificate", {"tls": {"key": other[1]}}, r"(?i)key.*(match|pair|belong|fit|another)|certificate.*key"),
            ("key open to all", {"tls": {"key": readable}}, r"chmod"),
            ("key that is no key", {"tls": {"key": self.server.certificate}}, r"key"),
            ("certificate that is none", {"tls": {"certificate": self.server.key}}, r"certificate"),
            ("no passwd file", {"auth": {"passwd_file": "/nonexistent/passwd"}}, r"passwd"),
            ("virtual_user unknown", {"auth": {"virtual_user": "no-such-user"}}, r"no-such-user"),
            ("a spool that is not there", {"maildrop": {"location": "mbox:/nonexistent/mail/%u"}}, r"/nonexistent"),
        ]
        if ROOT:
            rows.append(("gate_user unknown", {"system": {"gate_user": "no-such-user"}}, r"no-such-user"))
            rows.append(("gate_user root", {"system": {"gate_user": "root"}}, r"root"))
            rows.append(("gate_user with mail", {"auth": {"virtual_user": "nobody"}}, r"\[system\] gate_user: nobody owns all mail, as virtual_user"))
        for label, changes, words in rows:
            with self.subTest(label):
                server = Server(start=False, settings=changes)
                status, text = run(server, "-t", "-c", str(server.config_file))
                self.assertEqual(status, 1, text)
                self.assertRegex(text, words)
                self.assertIn(str(server.config_file), text)

    def test_certificate_that_ends(self):
        """In good time -t and the log say so, at the start and at a reload; of one that holds for long they say nothing."""
        certificate, key = make_certificate("ends", days=5)
        server = Server(settings={"tls": {"certificate": certificate, "key": key}})
        self.addCleanup(server.stop)
        words = r"certificate %s ends on \d{4}-\d\d-\d\d, in [45] days; renew it" % re.escape(certificate)
        status, text = run(server, "-t", "-c", str(server.config_file))
        self.assertEqual(status, 1, text)
        self.assertRegex(text, words + r"\n.*: postern can use it; see to what is said above")
        server.wait_for_log(words)
        mark = server.mark()
        server.reload()
        server.wait_for_log(words, since=mark)
        mark = server.mark()
        certificate, key = make_certificate()
        server.write_config(tls={"certificate": certificate, "key": key})
        server.reload()
        self.assertNotIn(" ends on ", server.log()[mark:])

    def test_certificate_without_its_chain(self):
        """As certbot's cert.pem is: -t and the log name the authority that is missing, until the file has it."""
        server = Server(start=False)
        self.addCleanup(lambda: server.popen and server.popen.poll() is None and server.stop())
        base = server.base
        for name, signer, more in (("top", None, []), ("own", "top", ["-addext", "subjectAltName=DNS:localhost"])):
            signed = [] if signer is None else ["-CA", base / (signer + ".pem"), "-CAkey", base / (signer + ".key")]
            subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", base / (name + ".key"),
                            "-out", base / (name + ".pem"), "-days", "90", "-subj", "/CN=Authority " + name, *signed, *more], check=True, stderr=subprocess.DEVNULL)
        server.write_config(tls={"certificate": base / "own.pem", "key": base / "own.key"})
        words = r'certificate %s leads to "Authority top", which is neither in that file nor known to this host' % re.escape(str(base / "own.pem"))
        status, text = run(server, "-t", "-c", str(server.config_file))
        self.assertEqual(status, 1, text)
        self.assertRegex(text, words)
        server.start()
        server.wait_for_log(words)
        mark = server.mark()
        (base / "own.pem").write_bytes((base / "own.pem").read_bytes() + (base / "top.pem").read_bytes())
        server.reload()
        self.assertNotIn("leads to", server.log()[mark:])
        self.assertEqual(run(server, "-t", "-c", str(server.config_file)), (0, "%s: no findings\n" % server.config_file))

    def test_before_a_reload(self):
        """-t -q: says nothing where the server can use it, whatever else -t finds; otherwise what is wrong, and that it is. Each as a row:
        label, sections changed, words.
        """
        self.server.write_passwd("broken line", "weak:$1$abcdefgh$%s:20001:20001::/home/weak:" % ("x" * 22))
        certificate, key = make_certificate("ends", days=5)
        self.server.write_config(tls={"certificate": certificate, "key": key})
        self.assertEqual(run(self.server, "-t", "-c", self.file)[0], 1)
        self.assertEqual(run(self.server, "-t", "-q", "-c", self.file), (0, ""))
        rows = [
            ("a bad setting", {"limits": {"per_source": "x"}}, r"per_source"),
            ("certificate missing", {"tls": {"certificate": "/nonexistent/x.pem"}}, r"/nonexistent/x.pem"),
            ("key of another certificate", {"tls": {"certificate": certificate, "key": make_certificate("other")[1]}}, r"does not belong to certificate"),
        ]
        if ROOT:
            rows.append(("gate_user unknown", {"system": {"gate_user": "no-such-user"}}, r"no-such-user"))
        for label, changes, words in rows:
            with self.subTest(label):
                server = Server(start=False, settings=changes)
                status, text = run(server, "-t", "-q", "-c", str(server.config_file))
                self.assertEqual(status, 1, text)
                self.assertRegex(text, words + r".*\n.*: to be corrected before postern can use it\n$")
        self.assertEqual(run(self.server, "-q")[0], 2)

    def test_finding_about_the_passwd_file(self):
        self.server.write_passwd("broken line", "root:*:0:0::/root:", mode=0o600)
        status, text = run(self.server, "-t", "-c", self.file)
        self.assertEqual(status, 1)
        self.assertRegex(text, r"line 2")
        self.assertRegex(text, r"line 3")
        os.chmod(self.server.passwd_file, 0o644)
        status, text = run(self.server, "-t", "-c", self.file)
        self.assertEqual(status, 1)
        self.assertRegex(text, r"chmod")

    def test_starts_that_fail(self):
        """Nothing serves, nothing is left, and what is printed says why."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rows = [
            ("no such file", None, r"(?i)no such file"),
            ("a bad setting", {"limits": {"per_source": "x"}}, r"per_source"),
            ("port taken", {"listen": {"pop3": "127.0.0.1:%d" % taken.getsockname()[1]}}, r"cannot listen.*another"),
            ("no certificate", {"tls": {"certificate": "/nonexistent/x.pem"}}, r"/nonexistent/x.pem"),
        ]
        for label, changes, words in rows:
            with self.subTest(label):
                server = Server(start=False, settings=changes or {})
                if changes is None:
                    server.config_file.unlink()
                status, text = run(server, "-F", "-c", str(server.config_file))
                self.assertNotEqual(status, 0)
                self.assertRegex(text, words)
                self.assertEqual(self.of_config(server), [])

    def test_too_few_descriptors(self):
        """It serves as long as they are enough, and the log says what to raise."""
        server = Server(start=False, settings={"workers": {"max": 900}})
        server.start(launcher=("prlimit", "--nofile=930:930"))
        self.addCleanup(server.stop)
        self.assertRegex(server.log(), r"the limit of 930 open files is too small for max = 900 sessions; raise it \(LimitNOFILE= of the unit, ulimit -n\)")

    def of_config(self, server):
        """The processes whose command line names that configuration."""
        found = []
        for process in all_processes():
            try:
                with open("/proc/%d/cmdline" % process.pid, "rb") as f:
                    if str(server.config_file).encode() in f.read():
                        found.append(process)
            except OSError:
                pass
        return found

    @unittest.skipIf(PREFIX, "the command line is not posternd's under " + " ".join(PREFIX))
    @unittest.skipUnless(ROOT, "needs root: another /dev/log")
    def test_background(self):
        """Without -F the command ends when the server serves, not before, and lets go of its output; also where it was given none."""
        need_mounts()
        self.server.write_config(log={"target": "auto"})
        for closing in ("", " <&- >&- 2>&-"):
            daemon = LogDaemon(Path(tempfile.mkdtemp(dir=self.server.base)), "syslog")
            daemon.start()
            launcher = ["unshare", "-m", "--propagation", "private", "sh", "-ec", daemon.setup() + '\nexec "$@"' + closing, "sh"]
            with self.subTest(launcher), self.in_background(launcher) as text:
                self.assertEqual(text, "")
                for process in self.of_config(self.server):
                    self.assertEqual({os.readlink("/proc/%d/fd/%d" % (process.pid, fd)) for fd in range(3)}, {"/dev/null"}, process)
                wait_until(lambda: 'end="quit"' in daemon.file.read_text(), daemon.file.read_text)

    @unittest.skipIf(PREFIX, "the command line is not posternd's under " + " ".join(PREFIX))
    def test_background_log_on_stderr(self):
        """Who asks for the log on stderr has it there, in the background as well."""
        log = self.server.base / "own-log"
        with self.in_background(["sh", "-c", 'exec "$@" 2>%s' % log, "sh"]) as text:
            self.assertEqual(text, "")
            wait_until(lambda: 'end="quit"' in log.read_text(), log.read_text)

    @contextlib.contextmanager
    def in_background(self, launcher):
        """The server in the background, after one has logged in: what the command printed."""
        try:
            status, text = run(self.server, "-c", self.file, launcher=launcher)
            self.assertEqual(status, 0, text)
            with self.server.login() as client:
                client.quit()
            masters = self.masters()
            self.assertEqual(len(masters), 1)
            self.assertNotEqual(masters[0].session, os.getsid(0))
            yield text
        finally:
            for master in self.masters():
                os.kill(master.pid, signal.SIGTERM)
            wait_until(lambda: not self.of_config(self.server), "it ends")

    def masters(self):
        found = self.of_config(self.server)
        return [p for p in found if p.ppid not in {q.pid for q in found}]

    def test_what_is_this(self):
        for arguments in (["-x"], ["-F", "extra"], ["-c"]):
            with self.subTest(arguments):
                status, text = run(self.server, *arguments)
                self.assertNotEqual(status, 0)
                self.assertIn("usage", text)


if __name__ == "__main__":
    unittest.main()
