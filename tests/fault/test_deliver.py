"""Delivery agents and POP3 clients at the same maildrop: every message is fetched or still there, once, unchanged."""
import fcntl
import hashlib
import itertools
import os
import random
import re
import shutil
import smtplib
import subprocess
import threading
import time
import unittest

from client import Closed
from postern import PREFIX, ROOT, Server, free_port
from processes import wait_until
from sweep import FULL

COUNT = 10000 if FULL else 100
LEAD = 10  # messages that one agent may be before another
LDA, POSTFIX = "/usr/lib/dovecot/dovecot-lda", "/usr/lib/postfix/sbin"


def text_of(number):
    """A body that its number determines, with its own checksum; sizes on both sides of a page."""
    rng = random.Random(number)
    body = "".join("%s %d\n" % (hashlib.sha256(b"%d %d" % (number, i)).hexdigest(), i) for i in range(rng.randrange(1, 90)))
    return body + ".\n..\n" + hashlib.sha256(body.encode()).hexdigest() + "\n"


class Deliverer:
    """Brings one message at a time to the maildrop of a user, as that user. A subclass for each agent."""

    def __init__(self, user, maildir):
        self.user, self.maildir = user, maildir
        self.path = user.home / ("Maildir" if maildir else "mbox")
        self.folder = user.home / ("agent-" + type(self).__name__)
        self.folder.mkdir()
        self.said = b""
        self.prepare()
        shutil.chown(self.folder, user.uid, user.gid)

    def prepare(self):
        pass

    def finish(self):
        """All that was taken is delivered."""

    def stop(self):
        """No process of it is left."""

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        shutil.chown(path, self.user.uid, self.user.gid)
        return str(path)

    def run(self, *command, message):
        environment = {"HOME": str(self.user.home), "USER": self.user.name, "LOGNAME": self.user.name, "PATH": os.environ["PATH"]}
        done = subprocess.run(command, input=message, env=environment, user=self.user.uid, group=self.user.gid, extra_groups=[],
                              cwd=self.user.home, capture_output=True, timeout=120)
        self.said = done.stderr
        return done.returncode == 0


class Procmail(Deliverer):
    def prepare(self):
        self.rc = self.write("rc", "LOCKSLEEP=1\n:0%s\n%s%s\n" % ("" if self.maildir else ":", self.path, "/" if self.maildir else ""))

    def deliver(self, message):
        return self.run("procmail", self.rc, message=(b"" if self.maildir else from_line()) + message)


def from_line():
    return b"From a@example.org %s\n" % time.asctime().encode()


class Maildrop(Deliverer):
    """Wants its user in /etc/passwd."""

    def prepare(self):
        self.filter = self.write("filter", 'LOCKSLEEP=1\nto "%s"\n' % self.path)
        ids = self.user.uid, self.user.gid
        passwd = self.write("passwd", "%s:x:%d:%d::%s:/bin/sh\n" % (self.user.name, *ids, self.user.home))
        self.script = "mount --bind %s /etc/passwd; exec setpriv --reuid %d --regid %d --clear-groups maildrop %s" % (
            passwd, *ids, self.filter)

    def deliver(self, message):
        environment = {"HOME": str(self.user.home), "USER": self.user.name, "LOGNAME": self.user.name, "PATH": os.environ["PATH"]}
        return subprocess.run(["unshare", "-m", "sh", "-ec", self.script], input=message, env=environment, capture_output=True,
                              timeout=120).returncode == 0


class DovecotLda(Deliverer):
    def prepare(self):
        location = "maildir:%s" % self.path if self.maildir else "mbox:%s/mail:INBOX=%s" % (self.folder, self.path)
        self.config = self.write("conf", "protocols =\nmail_location = %s\nmbox_write_locks = dotlock fcntl\nlog_path = /dev/stderr\nssl = no\n"
                                 "postmaster_address = p@example.org\nmail_privileged_group =\n" % location)

    def deliver(self, message):
        return self.run(LDA, "-c", self.config, message=message)


class PostfixLocal(Deliverer):
    """local(8), in an instance of Postfix of its own: queued over SMTP, delivered as it sees fit; finish() waits for the last."""
    queues = ("incoming", "active", "deferred")
    settings = """compatibility_level = 3.6
config_directory = {folder}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = host.example.org
mydestination = example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
home_mailbox = {mailbox}
mailbox_delivery_lock = fcntl, dotlock
deliver_lock_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""
    # service, type, private, unprivileged, chroot, wakeup, processes, command
    services = """{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
""" + "".join("%s unix - - n - 0 bounce\n" % name for name in ("bounce", "defer", "trace")) + "".join(
        "%s unix - - n - - %s\n" % (name, program) for name, program in (("error", "error"), ("retry", "error"), ("anvil", "anvil"))) + """
local unix - n n - - local
"""

    def prepare(self):
        port, folder = free_port(), self.folder
        self.write("main.cf", self.settings.format(folder=folder, mailbox="Maildir/" if self.maildir else "mbox"))
        self.write("master.cf", self.services.format(port=port))
        for name in ("main.cf", "master.cf"):
            shutil.chown(folder / name, 0, 0)
        for name in ("", "pid", "private", "public", "maildrop", "bounce", "defer", "trace", "flush", "hold", "saved", "corrupt", *self.queues):
            (folder / "queue" / name).mkdir()
            if name not in ("", "pid"):
                shutil.chown(folder / "queue" / name, "postfix")
        (folder / "data").mkdir()
        shutil.chown(folder / "data", "postfix")
        with open("/etc/passwd") as known:
            passwd = self.write("passwd", known.read() + "%s:x:%d:%d::%s:/bin/sh\n" % (
                self.user.name, self.user.uid, self.user.gid, self.user.home))
        os.chmod(passwd, 0o644)
        self.master = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "sh", "-ec", 'mount --bind "$1" /etc/passwd; exec "$2"/master -d -c "$3"',
             "sh", passwd, POSTFIX, str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.smtp = wait_until(lambda: self.connect(port), lambda: "Postfix listens; its log: " + self.log(), 30)

    def connect(self, port):
        assert self.master.poll() is None, self.log()
        try:
            return smtplib.SMTP("127.0.0.1", port, timeout=120)
        except OSError:
            return None

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def deliver(self, message):
        self.smtp.sendmail("a@example.org", self.user.name + "@example.org", message)
        return True

    def queued(self):
        return sum(len(files) for name in self.queues for _, _, files in os.walk(self.folder / "queue" / name))

    def finish(self):
        wait_until(lambda: not self.queued(), lambda: "Postfix delivers the last %d; its log: %s" % (self.queued(), self.log()[-2000:]), 600)

    def stop(self):
        self.master.terminate()
        self.master.wait()


class WaitAndAppend(Deliverer):
    """Opens the mailbox, and only then waits for the locks: what a rename would lose. In a Maildir it renames, as all do."""
    numbers = itertools.count()

    def deliver(self, message):
        if self.maildir:
            self.user.deliver(message, name="%d.P%d.host" % (time.time(), next(self.numbers)))
            return True
        lock = self.path.with_name("mbox.lock")
        with open(self.path, "ab") as mbox:
            fcntl.lockf(mbox, fcntl.LOCK_EX)
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return False  # lets go of the first lock; the caller tries again
            mbox.write(from_line() + message + b"\n")
            mbox.flush()
            lock.unlink()
            return True


AGENTS = [(Procmail, "procmail"), (Maildrop, "maildrop"), (DovecotLda, LDA), (PostfixLocal, POSTFIX + "/local"), (WaitAndAppend, "sh")]


class Reader(threading.Thread):
    """A POP3 client: fetches all, deletes some, until told to stop. What it deleted for good is in `done`."""

    def __init__(self, server, seed):
        super().__init__()
        self.server, self.rng = server, random.Random(seed)
        self.done, self.sessions, self.stop, self.trouble = [], 0, False, None

    def run(self):
        try:
            while not self.stop:
                self.session()
                time.sleep(self.rng.random() * 0.1)  # four that never rest leave the agents no moment for their locks
        except BaseException as error:  # noqa: B902  (told to the test)
            self.trouble = error

    def session(self):
        client = self.server.client()
        client.ok("USER anna")
        answer = client.cmd("PASS secret")
        if not answer.startswith("+OK"):
            assert "[IN-USE]" in answer, answer
            client.close()
            return
        self.sessions += 1
        try:
            found = [fetch(client, n) for n in client.uidl()]
        except (AssertionError, Closed) as error:
            # dovecot-lda writes its own fields into the header of what is there; what is being sent then ends without its dot.
            if not re.search("was changed by another program|closed in a multi-line answer", str(error)):
                raise
            client.abort()
            return
        chosen = self.rng.choice((range(len(found)), range(0, len(found), 2), range(min(1, len(found))), range(len(found) // 2)))
        for n in chosen:
            client.ok("DELE %d" % (n + 1))
        if self.rng.random() < 0.2:
            client.abort()
            return
        answer = client.cmd("QUIT")
        client.close()
        if answer.startswith("+OK"):
            self.done += [found[n] for n in chosen]
        else:
            assert "another program" in answer, answer


def fetch(client, number):
    """(the message's number, what is wrong with it)"""
    text = client.retr(number).decode("latin-1").replace("\r\n", "\n")
    head, body = text.split("\n\n", 1)
    found = re.search(r"^Subject: number (\d+)$", head, re.M)
    assert found, text
    right = body.rstrip("\n") + "\n" == text_of(int(found[1]))
    return int(found[1]), None if right else text


@unittest.skipIf(PREFIX, "too slow under valgrind")
@unittest.skipUnless(ROOT, "the agents are run as other users, which only root can do")
class Deliver(unittest.TestCase):
    def run_with(self, maildir):
        server = Server(location="maildir:~/Maildir" if maildir else "mbox:~/mbox")
        server.expect_trouble = True
        self.addCleanup(server.stop)
        user = server.users["anna"]
        # Before anybody looks: for a moment it is root's, who makes it here.
        if maildir:
            assert user.maildir.is_dir()
        else:
            (user.home / "mbox").touch()
            user.own(user.home / "mbox", 0o600)
        agents = []
        for kind, program in AGENTS:
            if shutil.which(program):
                agents.append(kind(user, maildir))
                self.addCleanup(agents[-1].stop)
        missing = [program for _, program in AGENTS if not shutil.which(program)]
        seed = random.randrange(1 << 30)
        readers = [Reader(server, seed + i) for i in range(4)]
        for reader in readers:
            reader.start()
        try:
            self.deliver_all(agents)
        finally:
            for reader in readers:
                reader.stop = True
            for reader in readers:
                reader.join()
        for reader in readers:
            if reader.trouble:
                raise reader.trouble
        with server.login() as client:
            left = [fetch(client, n) for n in client.uidl()]
            client.quit()
        found = left + [message for reader in readers for message in reader.done]
        self.assertFalse([(wrong, text_of(n)) for n, wrong in found if wrong], "altered")
        numbers = sorted(n for n, _ in found)
        self.assertEqual(numbers, list(range(COUNT)), "lost or doubled, seed %d" % seed)
        print("%s: %d delivered (%s), %d sessions%s" % (
            "Maildir" if maildir else "mbox", COUNT, ", ".join(type(a).__name__ for a in agents),
            sum(r.sessions for r in readers), "; not installed: %s" % missing if missing else ""))
        self.assertGreater(sum(len(r.done) for r in readers), 0)

    def deliver_all(self, agents):
        """Each has its share, and the quick ones wait for the slow, so that all are there to the end."""
        delivered, turn, trouble = [0] * len(agents), threading.Condition(), []

        def deliver(which, agent):
            try:
                for number in range(which, COUNT, len(agents)):
                    with turn:
                        turn.wait_for(lambda: trouble or delivered[which] < min(delivered) + LEAD)
                    if trouble:
                        return
                    self.deliver_one(agent, ("Subject: number %d\n\n%s" % (number, text_of(number))).encode())
                    with turn:
                        delivered[which] += 1
                        turn.notify_all()
                with turn:
                    delivered[which] = COUNT  # nobody waits for this one
                    turn.notify_all()
                agent.finish()
            except BaseException as error:  # noqa: B902  (told to the test)
                with turn:
                    trouble.append(error)
                    turn.notify_all()
        threads = [threading.Thread(target=deliver, args=item) for item in enumerate(agents)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if trouble:
            raise trouble[0]

    def deliver_one(self, agent, message):
        for _ in range(200):
            if agent.deliver(message):
                return
            time.sleep(random.uniform(0.01, 0.1))
        raise AssertionError("%s cannot deliver: %r; the maildrop: %r" % (
            type(agent).__name__, agent.said, b"" if agent.maildir else agent.path.read_bytes()[:300]))

    def test_mbox(self):
        self.run_with(maildir=False)

    def test_maildir(self):
        self.run_with(maildir=True)


if __name__ == "__main__":
    unittest.main()
