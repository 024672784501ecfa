"""Dovecot, popa3d and GNU mailutils' pop3d, each with files and users of its own, on free ports of loopback.

popa3d and mailutils take their users from the host's files. So they run in a mount namespace in which /etc/passwd and the
like, /etc/pam.d and /var/mail are those of the test.
"""
import os
import shutil
import socket
import subprocess
import sys
import unittest
from pathlib import Path

from certificates import GOOD, certificate
from checking import PASSWORD
from postern import ROOT, TOP, FIRST_UID, free_port, need_mounts, password_hash, run_directory
from processes import wait_until

POPA3D = TOP / "build/peers/popa3d/usr/sbin/popa3d"
MAIL = ("From ann@example.org Mon Mar  2 09:00:00 2026\nFrom: ann@example.org\nMessage-ID: <%d@example.org>\nX-UID: %d\n\n"
        "a message\n.\n\n")
USERS = ("ann", "bob", "off", "late")  # off: no usable password; late: expired
_count = [0]


def why_not(*programs):
    """Why these servers cannot be tried here; "" if they can."""
    missing = [str(p) for p in programs if not (Path(p).exists() or shutil.which(str(p)))]
    if missing:
        return "not here: %s; see tools/packages.sh" % ", ".join(missing)
    return "" if ROOT else "needs root: servers that change to their users"


def needs(*programs):
    return unittest.skipIf(why_not(*programs), why_not(*programs))


class PeerServer:
    """What the three have in common."""
    name = ""

    def __init__(self, host="127.0.0.1"):
        _count[0] += 1
        self.base = run_directory() / ("%s-%d" % (self.name, _count[0]))
        self.base.mkdir()
        self.base.chmod(0o755)
        self.log_file = self.base / "log"
        self.host, self.pop3_port, self.pop3s_port = host, free_port(), free_port()
        self.popen = None

    def own(self, path, number=0, mode=0o700):
        os.chown(path, FIRST_UID + number, FIRST_UID + number)
        os.chmod(path, mode)
        return path

    def launch(self, command, mounts=""):
        need_mounts()
        script = mounts + '\nexec "$@"'
        with open(self.log_file, "ab") as log:
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh",
                                           *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.listens, lambda: "%s listens; its log: %s" % (self.name, self.log_file.read_text()))
        return self

    def listens(self):
        if self.popen.poll() is not None:
            raise AssertionError("%s ended: %s" % (self.name, self.log_file.read_text()))
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.pop3_port)) == 0

    def stop(self):
        if self.popen:
            self.popen.terminate()
            self.popen.wait(20)
        shutil.rmtree(self.base, True)


class Dovecot(PeerServer):
    name = "dovecot"

    def __init__(self, made=GOOD, settings="", users=None, ssl="yes", **options):
        super().__init__(**options)
        home = self.base / "ann"
        for path in (home, home / "Maildir", *(home / "Maildir" / part for part in ("cur", "new", "tmp"))):
            path.mkdir()
            self.own(path)
        self.home = home
        self.deliver(2)
        line = "ann:{PLAIN}%s:%d:%d::%s::\n" % (PASSWORD, FIRST_UID, FIRST_UID, home)
        (self.base / "users").write_text(users.format(line=line, home=home) if users else line)
        pair = certificate(**made)
        (self.base / "conf").write_text("""protocols = pop3
listen = {host}
base_dir = {base}/run
state_dir = {base}/state
log_path = {log}
mail_location = maildir:~/Maildir
ssl = {ssl}
ssl_cert = <{certificate}
ssl_key = <{key}
first_valid_uid = 1000
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {base}/users
}}
userdb {{
  driver = passwd-file
  args = {base}/users
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = {sport}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{settings}
""".format(base=self.base, host=self.host, port=self.pop3_port, sport=self.pop3s_port if ssl != "no" else 0, log=self.log_file, ssl=ssl,
           certificate=pair[0], key=pair[1], settings=settings))

    def deliver(self, count):
        for n in range(count):
            path = self.home / "Maildir/new" / ("%d.M%dP1.example" % (1700000000 + n, n))
            path.write_text("Subject: %d\n\nmessage %d\n" % (n, n))
            self.own(path, mode=0o600)

    def start(self):
        return self.launch(["dovecot", "-F", "-c", self.base / "conf"])


class SpoolServer(PeerServer):
    """One with the host's users and /var/mail, in a mount namespace."""

    def __init__(self, **options):
        super().__init__(**options)
        etc = self.base / "etc"
        (etc / "pam.d").mkdir(parents=True)
        self.spool = self.base / "mail"
        self.spool.mkdir()
        shutil.chown(self.spool, group="mail")
        self.spool.chmod(0o2775)
        passwd = ["root:x:0:0::/root:/bin/sh", "mail:x:8:8::/var/mail:/usr/sbin/nologin", "popa3d:x:64901:64901::/nonexistent:/usr/sbin/nologin",
                  "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin"]
        shadow = ["root:*:20000:0:99999:7:::"]
        for n, user in enumerate(USERS):
            home = self.base / user
            home.mkdir()
            self.own(home, n)
            passwd.append("%s:x:%d:%d::%s:/bin/sh" % (user, FIRST_UID + n, FIRST_UID + n, home))
            shadow.append("%s:%s:20000:0:99999:7::%s:" % (user, "!" if user == "off" else password_hash(PASSWORD), "1" if user == "late" else ""))
            (self.spool / user).write_text("".join(MAIL % (n, n + 1) for n in range(2)).replace("X-UID: 1", "X-IMAPbase: 1772442000 0000000003\nX-UID: 1"))
            self.own(self.spool / user, n, 0o600)
        groups = ["root:x:0:", "mail:x:8:", "popa3d:x:64901:", "nogroup:x:65534:"] + ["%s:x:%d:" % (u, FIRST_UID + n) for n, u in enumerate(USERS)]
        for name, lines in (("passwd", passwd), ("shadow", shadow), ("group", groups)):
            (etc / name).write_text("\n".join(lines) + "\n")
        (etc / "shadow").chmod(0o600)
        for service in ("popa3d", "gnu-pop3d", "pop3d", "pop3", "mailutils", "other"):
            (etc / "pam.d" / service).write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
        self.etc = etc

    def mounts(self):
        lines = ["mount --bind %s/%s /etc/%s" % (self.etc, name, name) for name in ("passwd", "shadow", "group", "pam.d")]
        return "\n".join([*lines, "mount --bind %s /var/mail" % self.spool, "mount -t tmpfs -o mode=755 none /var/lib", "mkdir -m 755 /var/lib/popa3d"])


class Popa3d(SpoolServer):
    name = "popa3d"

    def start(self):
        return self.launch([sys.executable, Path(__file__).with_name("inetd.py"), self.host, self.pop3_port, self.log_file, POPA3D], self.mounts())


class Mailutils(SpoolServer):
    name = "mailutils"

    def __init__(self, tls="ondemand", made=GOOD, settings="", **options):
        super().__init__(**options)
        certificate_file, key_file = certificate(**made)
        (self.base / "conf").write_text("""mode daemon;
foreground yes;
pidfile {base}/pid;
logging {{ syslog no; }};
tls {{
  ssl-certificate-file {certificate};
  ssl-key-file {key};
}};
tls-mode {tls};
{settings}
server {host}:{port} {{
  backlog 8;
}};
""".format(base=self.base, certificate=certificate_file, key=key_file, tls=tls, settings=settings, host=self.host, port=self.pop3_port))

    def start(self):
        return self.launch(["/usr/sbin/pop3d", "--config-file=%s" % (self.base / "conf")], self.mounts())
