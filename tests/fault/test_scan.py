"""Another program renames the files of a Maildir as fast as it can: every login sees all messages, once, with their unique-ids.

One reading of a directory misses files that are renamed at that moment; how often depends on the file system.
"""
import os
import random
import signal
import unittest

import disk
from postern import PREFIX, ROOT, Server
from sweep import FULL

ROUNDS = [(2000, 300), (20000, 30)] if FULL else [(1000, 8)]  # messages, logins
FLAGS = ("", ":2,", ":2,S", ":2,RS", ":2,FRS", ":2,ST")


def rename_for_ever(maildir, count, seed):
    """In a process of its own: other flags, and between new/ and cur/."""
    rng = random.Random(seed)
    place = [("new", "")] * count
    names = ["%d.M%dP1.host" % (1700000000 + i, i) for i in range(count)]
    folder = {name: os.open(maildir / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("new", "cur")}
    while True:
        i = rng.randrange(count)
        (old, was), new = place[i], rng.choice((("cur", rng.choice(FLAGS)), ("new", "")))
        os.rename(names[i] + was, names[i] + new[1], src_dir_fd=folder[old], dst_dir_fd=folder[new[0]])
        place[i] = new


@unittest.skipIf(PREFIX, "too slow under valgrind")
class Scan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if ROOT:
            disk.own_mounts()

    def on(self, kind):
        reason = disk.missing(kind)
        if reason:
            self.skipTest(reason)
        server = Server(start=False)
        self.addCleanup(server.stop)
        files = disk.Disk(kind, server.base, {"anna": server.users["anna"].home}, room=8)
        self.addCleanup(files.unmount)
        server.start()
        for count, logins in ROUNDS:
            with self.subTest(messages=count):
                self.log_in_while_renamed(server, count, logins)

    def log_in_while_renamed(self, server, count, logins):
        user = server.users["anna"]
        user.empty()
        for i in range(count):
            user.deliver(b"Subject: %d\n\n%s\n" % (i, b"x" * (i % 50)), name="%d.M%dP1.host" % (1700000000 + i, i))
        with server.login() as client:
            want = client.uidl()
            octets = client.stat()[1]
            client.quit()
        self.assertEqual(len(set(want.values())), count)
        seed = random.randrange(1 << 30)
        renamer = os.fork()
        if renamer == 0:
            try:
                rename_for_ever(user.maildir, count, seed)
            finally:
                os._exit(1)
        try:
            for _ in range(logins):
                with server.login() as client:
                    self.assertEqual(client.stat(), (count, octets))
                    self.assertEqual(sorted(client.uidl().values()), sorted(want.values()))
                    client.quit()
        finally:
            os.kill(renamer, signal.SIGKILL)
            status = os.waitpid(renamer, 0)[1]
        self.assertEqual(os.waitstatus_to_exitcode(status), -signal.SIGKILL, "the renamer failed, seed %d" % seed)

    def test_ext4(self):
        self.on("ext4")

    def test_xfs(self):
        self.on("xfs")

    def test_btrfs(self):
        self.on("btrfs")

    def test_tmpfs(self):
        self.on("tmpfs")


if __name__ == "__main__":
    unittest.main()
