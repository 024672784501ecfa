"""The command line and the configuration: -V, -t with all its findings in one run, starts that fail, SIGHUP with good and
bad configurations and certificates.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

import bodies
from client import Client, client_context
from log_daemon import LogDaemon
from postern import PREFIX, ROOT, TOP, Server, free_port, make_certificate, need_mounts
from test_explain import OK, postern, reference
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
        words = r"certificate %s ends on \d{4}-\d\d-\d\d, in [45] days; renew it, then reload" % re.escape(certificate)
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


class Reload(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.server.users["anna"].deliver(bodies.message())

    def presented(self, port=None):
        """The certificate that a new connection sees."""
        client = Client(self.server, tls=True, port=port, context=self.context)
        octets = client.sock.getpeercert(True)
        client.quit()
        return octets

    @property
    def context(self):
        context = client_context(self.server.certificate)
        context.load_verify_locations(make_certificate("renewed")[0])
        return context

    def test_good_configuration(self):
        """New connections get the new; an open session goes on and still deletes."""
        session = self.server.login()
        session.ok("DELE 1")
        self.server.write_config(auth={"explain_failures": "never"}, limits={"login_tries": 1})
        self.assertIn("read again", self.server.reload())
        session.ok("NOOP")
        client = self.server.client()
        client.ok("USER nosuch")
        client.err("PASS x", r"user name or password not accepted")
        client.close()
        session.quit()
        self.assertEqual(self.server.users["anna"].stored(), {})

    def test_certificate(self):
        old = self.presented()
        session = self.server.client(tls=True)
        session.login("anna")
        certificate, key = make_certificate("renewed")
        self.server.write_config(tls={"certificate": certificate, "key": key})
        self.server.reload()
        self.assertNotEqual(self.presented(), old)
        client = self.server.client(context=self.context).stls()
        self.assertNotEqual(client.sock.getpeercert(True), old)
        client.quit()
        self.assertEqual(session.retr(1), bodies.wire(bodies.message()))
        session.quit()

    def test_certificate_in_place(self):
        """The same file names with new content, as certbot leaves them."""
        places = self.server.base / "x.crt", self.server.base / "x.key"
        for place, octets in zip(places, make_certificate()):
            place.write_bytes(open(octets, "rb").read())
            place.chmod(0o600)
        self.server.write_config(tls={"certificate": places[0], "key": places[1]})
        self.server.reload()
        old = self.presented()
        for place, octets in zip(places, make_certificate("renewed")):
            place.write_bytes(open(octets, "rb").read())
        self.server.reload()
        self.assertNotEqual(self.presented(), old)

    def test_bad_ones_are_not_taken(self):
        """label, sections changed, what the log says. The old goes on, for open sessions and new."""
        old = self.presented()
        port = self.server.pop3_port
        session = self.server.login()
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        good = {section: dict(values) for section, values in self.server.settings.items()}
        rows = [
            ("a bad setting", {"limits": {"per_source": "many"}}, r"postern\.conf:\d+: .*per_source"),
            ("no such certificate", {"tls": {"certificate": "/nonexistent/x.pem"}}, r"/nonexistent/x\.pem"),
            ("key of another", {"tls": {"key": make_certificate("renewed")[1]}}, r"(?i)key"),
            ("port taken", {"listen": {"pop3": "127.0.0.1:%d" % taken.getsockname()[1]}}, r"cannot listen"),
            ("another lock directory", {"maildrop": {"lock_directory": self.server.base / "other"}}, r"another lock_directory or .* take a restart"),
            ("another journal directory", {"maildrop": {"journal_directory": self.server.base / "other"}}, r"another .*journal_directory, .* take a restart"),
            ("gate_user unknown", {"system": {"gate_user": "no-such-user"}}, r"no-such-user" if ROOT else r""),
        ]
        for label, changes, words in rows:
            if label.startswith("gate_user") and not ROOT:
                continue
            with self.subTest(label):
                self.server.settings = {section: dict(values) for section, values in good.items()}
                self.server.write_config(**changes)
                said = self.server.reload()
                self.assertRegex(said, words)
                self.assertRegex(said, r"old configuration.*stay")
                session.ok("NOOP")
                self.assertEqual(self.presented(), old)
                Client(self.server, port=port).quit()
        self.server.config_file.unlink()
        self.assertRegex(self.server.reload(), r"old configuration.*stay")
        session.quit()
        self.server.settings = good
        self.server.write_config()
        self.assertIn("read again", self.server.reload())

    def test_another_port(self):
        session = self.server.login()
        old, new = self.server.pop3_port, free_port()
        self.server.write_config(listen={"pop3": "127.0.0.1:%d" % new})
        self.server.reload()
        self.server.pop3_port = new
        with self.server.client() as client:
            client.quit()
        with self.assertRaises(OSError):
            Client(self.server, port=old)
        session.ok("NOOP")
        session.quit()

    def refused(self):
        """The reference of a wrong password."""
        with self.server.client() as client:
            client.ok("USER anna")
            return reference(client.err("PASS wrong"))

    def known(self, ref, **options):
        return postern("explain", "-c", self.server.config_file, ref, **options)[0] == OK

    def recorders(self):
        return [p.pid for p in self.server.processes() if p.name == "posternd-record" and p.ppid == self.server.pid]

    def test_other_records(self):
        """Where records go is as the new configuration says, and `postern explain` looks there; a reload that changes none of it leaves them alone."""
        other, recorder = self.server.base / "other", self.recorders()
        anna = {"uid": self.server.users["anna"].uid} if ROOT else {}
        ref = self.refused()
        wait_until(lambda: self.known(ref), "the first record")
        self.server.write_config(auth={"login_help": "https://example.org/"})
        self.server.reload()
        self.assertEqual(self.recorders(), recorder)
        self.server.write_config(maildrop={"index_directory": other / "index"},
                                 log={"history_directory": other / "history", "history_socket": other / "ask", "history": 500, "level": "debug"})
        self.server.reload()
        ref = self.refused()
        wait_until(lambda: self.known(ref), "the history has it")
        wait_until(lambda: self.known(ref, **anna), "its user is told")
        self.assertEqual(sorted(path.name for path in other.iterdir()), ["ask", "history", "index"])
        now = self.recorders()
        self.assertEqual((len(now), now == recorder), (1, False))
        self.server.login().quit()
        self.assertNotEqual(list((other / "index").iterdir()), [])
        # And back, in the same files.
        self.server.write_config(log={"history": 600})
        self.server.reload()
        ref = self.refused()
        wait_until(lambda: self.known(ref), "the history has it, again")

    def test_many_in_a_row(self):
        """Signals that come faster than a reload takes leave one server that works, and nothing else."""
        session = self.server.login()
        for _ in range(20):
            os.kill(self.server.pid, signal.SIGHUP)
        self.server.reload()
        session.ok("NOOP")
        with self.server.client(tls=True) as client:
            client.quit()
        session.quit()
        wait_until(lambda: len(self.server.nurseries()) <= 1 and not self.server.zombies(), lambda: "one nursery: %s" % self.server.processes())


if __name__ == "__main__":
    unittest.main()
