"""The frame of the end-to-end tests: a real posternd with its users, passwd file, certificates and maildrops.

class Server starts one on free loopback ports and, at stop(), checks what every test must leave behind: a clean
exit status, no process, no sanitizer's report. class ServerCase shares one server among the tests of a class.

Environment: POSTERN_BUILD (directory of the programs, default build), POSTERN_RUN_PREFIX (put before the command, such as
"valgrind -q --error-exitcode=99 --trace-children=yes"), POSTERN_PATIENCE (factor for all deadlines), POSTERN_KEEP (leave
the files of each server where they are).
"""
import atexit
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from client import Client, Closed
from processes import PATIENCE, session_processes, wait_until

TOP = Path(__file__).resolve().parents[2]
BUILD = (TOP / os.environ.get("POSTERN_BUILD", "build")).resolve()
PREFIX = shlex.split(os.environ.get("POSTERN_RUN_PREFIX", ""))
ROOT = os.geteuid() == 0
FIRST_UID = 20001
TROUBLE = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|MemorySanitizer|ERROR SUMMARY: [1-9]"
                     r"|^==\d+== (?:Invalid|Conditional|Use of)|was killed by signal|(?:keeper|gate) .*ended with status|panic:", re.M)

_run = {}
_hashes = {}
_next_port = [20000 + os.getpid() % 240 * 50]


def run_directory():
    """One temporary directory for the whole run, open to all uids. As root not in /tmp: there anybody could put a link on
    the way to the spool, and then no dotlock is made with the spool's group.
    """
    if "dir" not in _run:
        place = "/run" if ROOT and "TMPDIR" not in os.environ and os.access("/run", os.W_OK) else None
        _run["dir"] = Path(tempfile.mkdtemp(prefix="postern-e2e-", dir=place))
        _run["dir"].chmod(0o755)
        atexit.register(shutil.rmtree, _run["dir"], True)
    return _run["dir"]


def make_certificate(name="server", algorithm="ec", host="localhost", days=30):
    """(certificate, key) files, made once for each name."""
    certificate, key = run_directory() / (name + ".crt"), run_directory() / (name + ".key")
    if not certificate.exists():
        kind = ["rsa:2048"] if algorithm == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", *kind, "-keyout", key, "-out", certificate,
                        "-days", str(days), "-subj", "/CN=" + host, "-addext",
                        "subjectAltName=DNS:%s,DNS:mail.example.org,IP:127.0.0.1" % host],
                       check=True, stderr=subprocess.DEVNULL)
        key.chmod(0o600)
    return str(certificate), str(key)


def password_hash(password):
    """A fast crypt(3) hash."""
    if password not in _hashes:
        out = subprocess.run(["openssl", "passwd", "-6", "-salt", "rounds=1000$e2e", "-stdin"], check=True,
                             input=password.encode() + b"\n", stdout=subprocess.PIPE)
        _hashes[password] = out.stdout.decode().strip()
    return _hashes[password]


def free_port():
    """A port that nobody listens on, outside the range that outgoing connections use."""
    while True:
        _next_port[0] = _next_port[0] + 1 if _next_port[0] < 32000 else 20000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", _next_port[0]))
                return _next_port[0]
            except OSError:
                continue


def no_mounts():
    """Why no mount namespace can be had: without root, or in a plain chroot, whose root is no mount. None when it can."""
    if "mounts" not in _run:
        done = subprocess.run(["unshare", "-m", "true"], stderr=subprocess.PIPE, check=False)
        _run["mounts"] = "no mount namespace here: " + done.stderr.decode().strip() if done.returncode != 0 else None
    return _run["mounts"]


def need_mounts():
    """Skip the test where there is none."""
    if no_mounts():
        raise unittest.SkipTest(no_mounts())


class User:
    """A mail user of one server: no account of the system, only a record in the passwd file."""

    def __init__(self, server, name, number, password="secret"):
        self.server, self.name, self.password = server, name, password
        self.uid, self.gid = (FIRST_UID + number, FIRST_UID + number) if ROOT else (os.getuid(), os.getgid())
        self.home = server.base / "home" / name
        self.home.mkdir(parents=True)
        self.own(self.home)
        self.count = 0

    def own(self, path, mode=None):
        if ROOT:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if mode is not None:
            os.chmod(path, mode)
        return Path(path)

    def record(self, **changes):
        fields = dict(name=self.name, hash=password_hash(self.password), uid=self.uid, gid=self.gid, comment="",
                      home=self.home, shell="")
        fields.update(changes)
        return ":".join(str(fields[key]) for key in "name hash uid gid comment home shell".split())

    # -- Maildir --------------------------------------------------------------

    @property
    def maildir(self):
        path = self.home / "Maildir"
        if not path.exists():
            for part in (path, path / "cur", path / "new", path / "tmp"):
                part.mkdir()
                self.own(part, 0o700)
        return path

    def deliver(self, data, folder="new", name=None):
        """Put a message into the Maildir as a delivery agent does; names sort in the order of delivery."""
        self.count += 1
        name = name or "%d.M%06dP1.example" % (1700000000 + self.count, self.count) + (":2," if folder == "cur" else "")
        temporary = self.maildir / "tmp" / ("t%d" % self.count)
        temporary.write_bytes(data)
        self.own(temporary, 0o600)
        path = self.maildir / folder / name
        os.rename(temporary, path)
        return path

    def stored(self):
        """The messages that the Maildir holds now: file name without flags -> octets."""
        return {path.name.split(":2,")[0]: path.read_bytes()
                for folder in ("new", "cur") for path in (self.maildir / folder).iterdir()}

    def stored_count(self):
        return sum(len(os.listdir(self.maildir / folder)) for folder in ("new", "cur"))

    def empty(self):
        for folder in ("new", "cur"):
            for path in (self.maildir / folder).iterdir():
                path.unlink()

    # -- mbox -----------------------------------------------------------------

    @property
    def mbox(self):
        return self.server.base / "spool" / self.name

    def write_mbox(self, octets):
        self.mbox.write_bytes(octets)
        return self.own(self.mbox, 0o660)

    def try_append(self, octets):
        """Deliver as Debian's programs do: the fcntl lock, then the dotlock. False, and nothing is changed, when one is taken."""
        lock = self.mbox.with_name(self.name + ".lock")
        with open(self.mbox, "ab") as f:
            try:
                fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except (BlockingIOError, FileExistsError):
                return False
            f.write(octets)
            f.flush()
            lock.unlink()
            return True

    def append_mbox(self, octets):
        """The same, as often as it takes."""
        wait_until(lambda: self.try_append(octets), "the locks of %s" % self.mbox, 30)


class Server:
    """One posternd. settings: {section: {name: value}} over the defaults below; a value of None leaves the line out."""

    def __init__(self, users=("anna",), settings=None, location="maildir:~/Maildir", start=True, setup="", **options):
        self.programs = BUILD
        self.number = _run["count"] = _run.get("count", 0) + 1
        self.base = run_directory() / str(self.number)
        self.log_file = self.base / "log"
        self.passwd_file = self.base / "passwd"
        self.config_file = self.base / "postern.conf"
        self.certificate, self.key = make_certificate()
        self.setup = setup                  # shell lines to run, in a mount namespace of its own, before the server
        # The leak detector has to trace the process that ends, which one that may not be traced waits for, for ever.
        self.environment = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0"), **options.get("environment", {})}
        self.expect_trouble = False         # set by tests that kill processes
        self.popen = None
        for folder in (self.base, self.base / "home", self.base / "spool", self.base / "locks"):
            folder.mkdir()
            folder.chmod(0o755)
        if ROOT:
            shutil.chown(self.base / "spool", group="mail")
            (self.base / "spool").chmod(0o2775)
        self.users = {name: User(self, name, i) for i, name in enumerate(users)}
        self.write_passwd()
        self.pop3_port, self.pop3s_port = free_port(), free_port()
        self.settings = {
            "listen": {"pop3": "127.0.0.1:%d" % self.pop3_port, "pop3s": "127.0.0.1:%d" % self.pop3s_port},
            "tls": {"certificate": self.certificate, "key": self.key},
            "auth": {"backends": "passwd-file", "passwd_file": self.passwd_file},
            "maildrop": {"location": location.replace("SPOOL", str(self.base / "spool")),
                         "lock_directory": self.base / "locks", "journal_directory": self.base / "journals",
                         "index_directory": self.base / "indexes"},
            "workers": {"spare_min": 2, "spare_max": 6, "max": 80},
            "limits": {"per_source": 40, "free_failures": 1000, "repeat_seconds": 0},  # tests fail on purpose
            "log": {"target": "stderr", "history_directory": self.base / "history", "history_socket": self.base / "ask", "history": 1000},
            "system": {"gate_user": "nobody"},
        }
        for section, values in (settings or {}).items():
            self.settings.setdefault(section, {}).update(values)
        self.write_config()
        if start:
            self.start()

    # -- files ----------------------------------------------------------------

    def write_config(self, **changes):
        """Write the configuration again, with sections changed: write_config(limits={"per_source": 2})."""
        for section, values in changes.items():
            self.settings.setdefault(section, {}).update(values)
        text = "".join("[%s]\n%s\n" % (section, "".join("%s = %s\n" % item for item in values.items() if item[1] is not None))
                       for section, values in self.settings.items())
        self.config_file.write_text(text)
        self.config_file.chmod(0o644)

    def listen_too(self, host):
        """POP3 on another address, too; None is for a host that has no other."""
        if host:
            self.write_config(listen={"pop3": "%s %s:%d" % (self.settings["listen"]["pop3"], host, self.pop3_port)})

    def write_passwd(self, *more, mode=0o600):
        """The records of all users, and the lines `more`; in place of the old file by a rename."""
        temporary = self.base / "passwd.new"
        temporary.write_text("".join(line + "\n" for line in [u.record() for u in self.users.values()] + list(more)))
        temporary.chmod(mode)
        os.rename(temporary, self.passwd_file)

    def forget_indexes(self):
        """What is put into a maildrop from now on is new to it, also where it was there before."""
        for file in (self.base / "indexes").glob("*"):
            file.unlink()

    # -- life -----------------------------------------------------------------

    def command(self, *arguments):
        return [*PREFIX, str(self.programs / "posternd"), *arguments]

    def start(self, launcher=(), **popen):
        command = [*launcher, *self.command("-F", "-c", str(self.config_file))]
        if shutil.which("setpriv"):  # when this program dies, so does the server
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        if self.setup:
            need_mounts()
            command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", self.setup + '\nexec "$@"', "sh", *command]
        atexit.register(self.kill_all)
        for _ in range(3):
            with open(self.log_file, "ab") as log:
                self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                              start_new_session=True, env={**os.environ, **self.environment}, **popen)
            try:
                self.wait_ready()
                return self
            except BaseException:
                self.kill_all()
                if "cannot listen" not in self.log():
                    raise
                self.take_other_ports()
        raise AssertionError("no port is free: " + self.log())

    def take_other_ports(self):
        """Somebody was faster."""
        for name in ("pop3", "pop3s"):
            old, new = getattr(self, name + "_port"), free_port()
            setattr(self, name + "_port", new)
            self.settings["listen"][name] = (self.settings["listen"][name] or "").replace(":%d" % old, ":%d" % new) or None
        self.write_config()

    def wait_ready(self):
        def greets():
            if self.popen.poll() is not None:
                raise AssertionError("posternd ended with status %s:\n%s" % (self.popen.returncode, self.log()))
            try:
                Client(self).close()
                return True
            except (OSError, Closed):
                return False
        wait_until(greets, lambda: "no greeting on port %d; the log:\n%s" % (self.pop3_port, self.log()), 10)

    @property
    def pid(self):
        return self.popen.pid

    def reload(self):
        """SIGHUP, and wait until the log says what came of it."""
        mark = self.mark()
        os.kill(self.pid, signal.SIGHUP)
        self.wait_for_log(r"read again|old configuration", since=mark)
        return self.log()[mark:]

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def kill9(self):
        os.kill(self.pid, signal.SIGKILL)
        self.popen.wait()

    def kill_all(self):
        """Whatever is left of it."""
        for process in session_processes(self.popen.pid) if self.popen else ():
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.popen:
            self.popen.wait()

    def stop(self, status=0):
        """End it, and check what it leaves behind."""
        try:
            if self.popen.poll() is None:
                self.terminate()
            try:
                self.popen.wait(20 * PATIENCE)
            except subprocess.TimeoutExpired:
                raise AssertionError("posternd does not end on SIGTERM; the log ends:\n" + self.log()[-2000:]) from None
            assert status is None or self.popen.returncode == status, \
                "exit status %s, want %s; the log:\n%s" % (self.popen.returncode, status, self.log()[-4000:])
            self.wait_gone()
            self.check_log()
        finally:
            self.kill_all()
            atexit.unregister(self.kill_all)
            if not os.environ.get("POSTERN_KEEP"):
                shutil.rmtree(self.base, True)

    def wait_gone(self, seconds=10):
        wait_until(lambda: not session_processes(self.popen.pid),
                   lambda: "the processes end: %s" % (session_processes(self.popen.pid),), seconds)

    # -- observation ----------------------------------------------------------

    def processes(self):
        return session_processes(self.popen.pid)

    def keepers(self):
        """The keepers: what the master forked without exec."""
        return [p for p in self.processes() if p.ppid == self.pid and p.name == "posternd" and p.state != "Z"]

    def gates(self):
        """The gates: children of the nursery."""
        nurseries = {p.pid for p in self.nurseries()}
        return [p for p in self.processes() if p.ppid in nurseries and p.state != "Z"]

    def nurseries(self):
        return [p for p in self.processes() if p.ppid == self.pid and p.name == "posternd-gate"]

    def signers(self):
        return [p for p in self.processes() if p.ppid == self.pid and p.name == "posternd-sign" and p.state != "Z"]

    def zombies(self):
        return [p for p in self.processes() if p.state == "Z"]

    def log(self):
        return self.log_file.read_text("utf-8", "backslashreplace") if self.log_file.exists() else ""

    def mark(self):
        """Where the log ends now, for wait_for_log(since=)."""
        return len(self.log())

    def wait_for_log(self, pattern, seconds=10, since=0):
        return wait_until(lambda: re.search(pattern, self.log()[since:]),
                          lambda: "%r in the log:\n%s" % (pattern, self.log()[since:]), seconds)

    def check_log(self):
        found = TROUBLE.search(self.log())
        assert not found or self.expect_trouble, "trouble in the log: %s" % self.log()[max(0, found.start() - 300):][:3000]

    def client(self, **options):
        return Client(self, **options)

    def login(self, user="anna", **options):
        client = Client(self, **options)
        client.login(user)
        return client


class ServerCase(unittest.TestCase):
    """The tests of a class share one server; `prepare` fills its maildrops before it starts."""
    users, settings, location, setup, options = ("anna",), None, "maildir:~/Maildir", "", {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.users, cls.settings, cls.location, start=False, setup=cls.setup, **cls.options)
        cls.addClassCleanup(cls.server.stop)
        cls.prepare(cls.server)
        cls.server.start()

    @classmethod
    def prepare(cls, server):
        pass

    def setUp(self):
        self.anna = self.server.users.get("anna")

    def client(self, **options):
        client = Client(self.server, **options)
        self.addCleanup(client.close)
        return client

    def login(self, user="anna", **options):
        client = self.client(**options)
        client.login(user)
        return client


def elsewhere():
    """An address that is not loopback, in the network namespace that run.py made for these tests; None without one."""
    return os.environ.get("POSTERN_ELSEWHERE")


if not (BUILD / "posternd").exists():
    sys.exit("no %s: build it first, or name the directory in POSTERN_BUILD" % (BUILD / "posternd"))
