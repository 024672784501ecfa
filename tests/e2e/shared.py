"""A server whose workers serve several connections one after the other ([workers] sessions above 1), for the tests of that mode.

All mail is of one user of the host, `games`, who owns nothing else there.
"""
import os
import pwd
import re
import shutil
import subprocess
import unittest

from client import Closed
from postern import ROOT, Server
from processes import wait_until

OWNER = pwd.getpwnam("games")


class Shared(Server):
    """A server with one worker, which is shared. MAIL and SPOOL in location are directories of the owner's."""

    def __init__(self, users=("anna", "bert"), sessions=100, location="maildir:MAIL/%u/Maildir", settings=None, start=True):
        super().__init__(users, start=False)
        for folder in ("home", "spool"):
            shutil.chown(self.base / folder, OWNER.pw_uid, OWNER.pw_gid)
        for user in self.users.values():
            user.uid, user.gid = OWNER.pw_uid, OWNER.pw_gid
            user.own(user.home)
        self.write_passwd()
        where = location.replace("MAIL", str(self.base / "home")).replace("SPOOL", str(self.base / "spool"))
        self.write_config(auth={"virtual_user": OWNER.pw_name, "minimum_uid": 1}, maildrop={"location": where},
                          workers={"sessions": sessions, "spare_min": 1, "spare_max": 1, "max": 1})
        self.write_config(**(settings or {}))
        if start:
            self.start()

    def write_passwd(self, *more, mode=0o640):
        super().write_passwd(*more, mode=mode)
        shutil.chown(self.passwd_file, 0, OWNER.pw_gid)

    def rest(self):
        """The one worker that waits, [keeper, gate]; when no connection is open any more."""
        def found():
            keepers, gates = self.keepers(), self.gates()
            idle = len(keepers) == len(gates) == 1 and not any(len(sockets(gate.pid)) > 1 for gate in gates)
            return idle and (keepers[0].pid, gates[0].pid)
        return wait_until(found, lambda: "one worker waits: %s\n%s" % (self.processes(), self.log()[-2000:]))

    def client(self, **options):
        """Where there is one worker, who comes before it is free is refused."""
        def served():
            try:
                client = super(Shared, self).client(**options)
            except (Closed, OSError):
                return None
            if client.greeting.startswith("+OK"):
                return client
            return client.close()
        if self.settings["workers"]["max"] > 1:
            return super().client(**options)
        self.rest()
        return wait_until(served, "the worker is free")

    def login(self, user="anna", **options):
        client = self.client(**options)
        client.login(user)
        return client

    def check(self, *arguments):
        done = subprocess.run(self.command(*arguments, "-c", str(self.config_file)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout.decode()


def sockets(pid):
    try:
        return [fd for fd in os.listdir("/proc/%d/fd" % pid) if os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:")]
    except (FileNotFoundError, ProcessLookupError):
        return []


def served(log):
    """[(pid, user)] of the sessions in the log."""
    return [(int(pid), user) for pid, user in re.findall(r"postern\[(\d+)\] keeper: session: user=\"(\w*)\"", log)]


def memory(pid):
    """All that the process may write, as one piece."""
    octets = b""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            area, rights = line.split()[:2]
            if rights.startswith("rw") and "[vvar" not in line:
                start, end = (int(word, 16) for word in area.split("-"))
                mem.seek(start)
                octets += mem.read(end - start)
    return octets


@unittest.skipUnless(ROOT, "needs root: the workers become another user")
class SharedCase(unittest.TestCase):
    def serve(self, *arguments, **options):
        server = Shared(*arguments, **options)
        self.addCleanup(server.stop, None if options.get("start", True) is False else 0)
        return server
