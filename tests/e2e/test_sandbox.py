"""What each process still may and has, as /proc shows it, against the tables of docs/trust.md; kernels that lack a piece.

That the sandboxes hold is tests/unit/daemon/test_sandbox.c's matter; that POP3 works in them, all other tests'.
"""
import grp
import os
import platform
import pwd
import re
import subprocess
import sys
import unittest
from collections import Counter

import bodies
from memory import INSTRUMENTED
from postern import ROOT, TOP, TROUBLE, Server
from processes import all_processes, wait_until
from shared import OWNER, Shared

CAPABILITIES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN "
                "NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
                "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON "
                "BPF CHECKPOINT_RESTORE").split()
TRUST = (TOP / "docs" / "trust.md").read_text()


def table(header):
    """The rows of the table of docs/trust.md whose first line begins so: {first cell: {column: cell}}."""
    lines = TRUST[TRUST.index(header):].split("\n")
    columns = [cell.strip() for cell in lines[0].strip("|").split("|")]
    rows = {}
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        rows[cells[0]] = dict(zip(columns, cells))
    return rows


def capability_sets():
    sets, ours = {"none": set()}, capabilities(status_of("self")["CapBnd"])
    for name, words in re.findall(r"^    ([A-Z]+) = ([A-Z_ ]+)$", TRUST, re.M):
        sets[name] = set(words.split()) & ours
    return sets


def status_of(pid):
    with open("/proc/%s/status" % pid) as f:
        return dict(line.rstrip("\n").split(":", 1) for line in f)


def capabilities(mask):
    return {name for bit, name in enumerate(CAPABILITIES) if int(mask, 16) >> bit & 1}


def open_files(pid):
    """[link] of the descriptors from 3 up."""
    links = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        if int(fd) > 2:
            links.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
    return links


@unittest.skipUnless(ROOT and not INSTRUMENTED, "needs root, and a build that is confined")
class Table(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.maxDiff = None
        cls.maildir = cls.serve(users=("anna", "bert"))
        cls.mbox = cls.serve(users=("anna",), location="mbox:SPOOL/%u")
        cls.shared = Shared(location="mbox:SPOOL/%u", settings={"workers": {"max": 3}})
        cls.addClassCleanup(cls.shared.stop)
        cls.shared.users["anna"].write_mbox(b"From a@example.org Thu Jan  1 00:00:00 2026\nA: 1\n\none\n")
        anna = cls.maildir.users["anna"]
        anna.deliver(bodies.message(), "cur")
        cls.mbox.users["anna"].write_mbox(b"From a@example.org Thu Jan  1 00:00:00 2026\nA: 1\n\none\n")
        for server in (cls.maildir, cls.mbox, cls.shared):
            for n in range(50):
                with server.login(tls=n % 5 == 0) as client:
                    client.retr(1)
                    client.quit()
        cls.sessions = [server.login() for server in (cls.maildir, cls.mbox, cls.shared)]
        for session in cls.sessions:
            session.ok("STAT")

    @classmethod
    def serve(cls, **options):
        server = Server(settings={"workers": {"spare_min": 2, "spare_max": 3}}, **options)
        cls.addClassCleanup(server.stop)
        return server

    @classmethod
    def tearDownClass(cls):
        for session in cls.sessions:
            session.quit()

    def find(self):
        """{name in the tables: [pid]}"""
        def rest(server):
            return len(server.gates()) == len(server.keepers()) >= 3
        found = {}
        for server, keeper in ((self.maildir, "keeper"), (self.mbox, "mbox keeper")):
            wait_until(lambda: rest(server), "spare workers")
            owner = server.users["anna"].uid
            mine = {p.pid: p for p in server.processes()}
            keepers = [p.pid for p in server.keepers()]
            busy = [pid for pid in keepers if os.stat("/proc/%d/fd" % pid) and int(status_of(pid)["Uid"].split()[0]) == owner]
            self.assertEqual(len(busy), 1)
            gates = {p.pid: Counter(link.split(":")[0] for link in open_files(p.pid))["socket"] for p in server.gates()}
            for name, pids in (("master", [server.pid]), ("nursery", [p.pid for p in server.nurseries()]),
                               ("signer", [p.pid for p in server.signers()]), (keeper, busy),
                               ("idle keeper", [pid for pid in keepers if pid not in busy]),
                               ("gate", [pid for pid, n in gates.items() if n > 1]), ("idle gate", [pid for pid, n in gates.items() if n == 1]),
                               ("recorder", [p.pid for p in mine.values() if p.name == "posternd-record"]),
                               ("dotlock helper", [p.pid for p in all_processes() if p.ppid in busy])):
                found.setdefault(name, []).extend(pids)
        wait_until(lambda: len(self.shared.gates()) == len(self.shared.keepers()) == 2, "a spare worker")
        for p in self.shared.keepers():
            busy = any("/locks/" in link for link in open_files(p.pid))
            found.setdefault("shared keeper" if busy else "idle shared keeper", []).append(p.pid)
            found.setdefault("shared dotlock helper" if busy else "idle shared dotlock helper", []).extend(h.pid for h in all_processes() if h.ppid == p.pid)
        return found

    def test_status(self):
        sets, rows, found = capability_sets(), table("| process | uid |"), self.find()
        nobody, owner = pwd.getpwnam("nobody"), self.maildir.users["anna"]
        ids = {"0": 0, "gate": nobody.pw_uid, "owner": owner.uid, "virtual": OWNER.pw_uid}
        groups = {"0": 0, "gate": nobody.pw_gid, "owner": owner.gid, "virtual": OWNER.pw_gid, "mail": grp.getgrnam("mail").gr_gid}
        for name, row in rows.items():
            self.assertTrue(found[name], name)
            for pid in found[name]:
                status = status_of(pid)
                with self.subTest(process=name):
                    self.assertEqual(set(status["Uid"].split()), {str(ids[row["uid"]])})
                    self.assertEqual(set(status["Gid"].split()), {str(groups[row["gid"]])})
                    if row["groups"] == "none":
                        self.assertEqual(status["Groups"].split(), [])
                    for key in ("CapPrm", "CapEff"):
                        self.assertEqual(capabilities(status[key]), sets[row["CapPrm, CapEff"]], key)
                    self.assertEqual(capabilities(status["CapInh"]), sets[row["CapInh"]], "CapInh")
                    for key in ("CapBnd", "CapAmb"):
                        self.assertEqual(capabilities(status[key]), set(), key)
                    for key in ("NoNewPrivs", "Seccomp"):
                        self.assertEqual(status[key].strip(), row[key], key)
                    self.assertEqual(os.stat("/proc/%d/status" % pid).st_uid, 0, "dumpable")
        self.assertEqual(set(found), set(rows))

    def test_open_files(self):
        rows, found = table("| process | sockets |"), self.find()
        for name, row in rows.items():
            for pid in found[name]:
                with self.subTest(process=name):
                    links = open_files(pid)
                    kinds = Counter(link.split(":")[0] for link in links if link.startswith(("socket:", "pipe:")))
                    self.assertEqual(kinds["socket"], int(row["sockets"]), links)
                    self.assertEqual(kinds["pipe"], int(row["pipes"]), links)
                    other = [self.word_for(link) for link in links if not link.startswith(("socket:", "pipe:"))]
                    self.assertEqual(sorted(other), sorted(row["other"].split()), links)

    def word_for(self, link):
        for folder, word in (("/locks/", "lock"), ("/journals/", "journal"), ("/indexes/", "index"), ("/spool/", "mbox")):
            if folder in link:
                return word
        return link.split("[")[-1].rstrip("]").rsplit("/", 1)[-1]

    def test_limits(self):
        """No core, few descriptors, no further process."""
        for name in ("gate", "keeper", "dotlock helper", "idle shared keeper"):
            pid = self.find()[name][0]
            with open("/proc/%d/limits" % pid) as f:
                limits = {line[:26].strip(): line[26:].split()[:2] for line in f}
            self.assertEqual(limits["Max core file size"], ["0", "0"], name)
            self.assertEqual(limits["Max processes"], ["0", "0"], name)
            self.assertEqual(limits["Max open files"], ["64", "64"], name)


@unittest.skipUnless(ROOT, "needs root: without it all mail is one uid's anyway")
class OneUid(unittest.TestCase):
    def test_virtual_users(self):
        """Two users whose mail lies side by side and is one uid's are served. (That neither keeper can open the other's mail is
        shown from inside one: test_sandbox.c, "mail of another with this uid".)"""
        for location, make in (("maildir:MAIL/%u", self.make_maildir), ("mbox:MAIL/%u", self.make_mbox)):
            with self.subTest(location=location):
                server = Server(users=("anna", "bert"), start=False)
                self.addCleanup(server.stop)
                mail = server.base / "mail"
                mail.mkdir()
                anna = server.users["anna"]
                anna.own(mail, 0o755)
                server.users["bert"].uid, server.users["bert"].gid = anna.uid, anna.gid
                server.write_passwd()
                server.write_config(maildrop={"location": location.replace("MAIL", str(mail))})
                for name in ("anna", "bert"):
                    make(anna, mail / name, b"A: 1\n\nmail of %s\n" % name.encode())
                server.start()
                for name in ("anna", "bert"):
                    with server.login(name) as client:
                        self.assertIn(b"mail of %s" % name.encode(), client.retr(1))
                        client.ok("DELE 1")
                        client.quit()
                self.assertEqual([p.name for p in mail.iterdir() if p.name.endswith(".lock")], [])

    def make_maildir(self, owner, path, octets):
        for folder in (path, path / "cur", path / "new", path / "tmp"):
            folder.mkdir()
            owner.own(folder, 0o700)
        (path / "cur" / "1.host:2,S").write_bytes(octets)
        owner.own(path / "cur" / "1.host:2,S", 0o600)

    def make_mbox(self, owner, path, octets):
        path.write_bytes(b"From a@example.org Thu Jan  1 00:00:00 2026\n" + octets)
        owner.own(path, 0o600)


# A kernel without a piece: a filter that answers ENOSYS to system calls by number, set before posternd is executed.
LACKING = r"""
import ctypes, errno, os, struct, sys
calls = [int(word) for word in sys.argv[1].split(",")]
code = [(0x20, 0, 0, 0)]
for n, call in enumerate(calls):
    code.append((0x15, len(calls) - n, 0, call))
code += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x00050000 | errno.ENOSYS)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(Program(len(code), ctypes.addressof(filters)))) != 0:
    sys.exit("prctl: %d" % ctypes.get_errno())
os.execvp(sys.argv[2], sys.argv[2:])
"""
LANDLOCK, SECCOMP = 444, {"x86_64": 317, "aarch64": 277}.get(platform.machine())


@unittest.skipIf(INSTRUMENTED or SECCOMP is None, "a build that is not confined, or a machine whose numbers are not known here")
class Lacking(unittest.TestCase):
    rows = (
        ("Landlock", [LANDLOCK], "Landlock"),
        ("seccomp", [SECCOMP], "seccomp filters"),
        ("both", [LANDLOCK, SECCOMP], "Landlock and seccomp filters"),
    )

    def launcher(self, calls):
        return [sys.executable, "-c", LACKING, ",".join(map(str, calls))]

    def test_required(self):
        """It does not start, and says what to write; -t says the same."""
        for label, calls, missing in self.rows:
            for arguments in (["-F"], ["-t"], ["-t", "-q"]):
                with self.subTest(label, arguments=arguments):
                    server = Server(start=False)
                    done = subprocess.run([*self.launcher(calls), *server.command(*arguments, "-c", str(server.config_file))],
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertRegex(done.stdout.decode(), r"this kernel has no %s, .*write sandbox = as-available into \[system\]" % missing)
                    self.assertNotIn("postern can use it;", done.stdout.decode())

    def test_as_available(self):
        """It serves, and says at each start what is missing; the other pieces are there."""
        for label, calls, missing in self.rows:
            with self.subTest(label):
                server = Server(settings={"system": {"sandbox": "as-available"}}, start=False)
                self.addCleanup(server.stop)
                server.users["anna"].deliver(bodies.message(), "cur")
                server.start(self.launcher(calls))
                for tls in (False, True):
                    with server.login(tls=tls) as client:
                        client.retr(1)
                        client.quit()
                self.assertEqual(len(re.findall(r"sandbox = as-available: this kernel has no %s, or" % missing, server.log())), 1)
                self.assertIsNone(TROUBLE.search(server.log()))

    def test_reload(self):
        """What cannot be had is not switched on by a reload."""
        server = Server(settings={"system": {"sandbox": "as-available"}}, start=False)
        self.addCleanup(server.stop)
        server.start(self.launcher([LANDLOCK]))
        server.write_config(system={"sandbox": "required"})
        self.assertRegex(server.reload(), r"this kernel has no Landlock.*\n.*the old configuration stays")
        with server.login() as client:
            client.quit()


if __name__ == "__main__":
    unittest.main()
