"""The index of a maildrop: killed at each call of a login that writes it, each of these calls failing, a full disk, and what comes
back after a power failure. Whatever is left of it, the next login sees the mail as one without an index does.
"""
import fcntl
import shutil
import unittest

import disk
from postern import PREFIX, ROOT
from sweep import COUNT, FULL, Box, message, in_file
from tracing import Trace

# What a login does with files behind its password.
CALLS = ("openat", "fstat", "newfstatat", "pread64", "pwrite64", "getdents64", "mmap", "flock", "memfd_create")
ERRORS = [("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("pwrite64", "EINTR")]


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Index(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if ROOT:
            disk.own_mounts()

    def indexes(self, box):
        return list((box.server.base / "indexes").iterdir())

    def change(self, box, number):
        """One message more, so that the next login has something to write."""
        stored = message(COUNT + number)
        if box.maildir:
            box.user.deliver(in_file(stored), name="%d.M%dP1.host" % (1800000000 + number, number))
        else:
            box.user.append_mbox(stored)

    def disturbed_login(self, box, fault, call):
        """What came of a login with that fault, the password included."""
        waiting = box.rest()
        client = box.server.client()
        client.send(b"USER anna\r\n")
        client.status()
        with Trace(waiting, fault, calls=call):
            client.send(b"PASS secret\r\nUIDL\r\nQUIT\r\n")
            came = client.rest()
        client.close()
        return came

    def same_without(self, box):
        """The mail as sessions with what is left of the index see it, and then without one."""
        found = [box.contents(), box.contents()]
        for index in self.indexes(box):
            index.unlink()
        found.append(box.contents())
        self.assertEqual(found[0], found[2])
        self.assertEqual(found[1], found[2])
        return found[2]

    def sweep(self, box, faults):
        points = 0
        box.fill()
        box.contents()
        for call, how in faults:
            for number in range(1, 200):
                self.change(box, number % 20)
                with self.subTest(call=call, how=how, number=number):
                    came = self.disturbed_login(box, "%s:%s:when=%d" % (call, how, number), call)
                    struck = how.startswith("signal") and not came.startswith(b"+OK")
                    if how.startswith("error"):
                        self.assertTrue(came.startswith(b"+OK"), came)
                        struck = number < 4
                    if not FULL or number % 5 == 0 or not struck:
                        self.same_without(box)
                    if not struck:
                        break
                points += 1
                if box.maildir or number % 10 == 0:
                    box.fill()
        return points

    def test_killed(self):
        for maildir in (False, True):
            box = Box.of(self, maildir=maildir, count=COUNT if FULL else 12)
            points = self.sweep(box, [(call, "signal=KILL") for call in (CALLS if FULL else ("pwrite64", "pread64"))])
            print("killed at %d calls of a login" % points)

    def test_errors(self):
        """Without an index the login goes on."""
        for maildir in (False, True):
            box = Box.of(self, maildir=maildir, count=12)
            self.sweep(box, [(call, "error=" + error) for call, error in ERRORS])

    def test_another_host(self):
        """Two servers with one maildrop and an index each, in turn."""
        for maildir in (False, True):
            box = Box.of(self, maildir=maildir, count=6)
            box.fill()
            one, other = box.server.base / "indexes", box.server.base / "indexes-of-another"
            shutil.copytree(one, other)
            for turn in range(6):
                before = box.contents()
                self.change(box, turn)
                shutil.move(one, box.server.base / "swap")
                shutil.move(other, one)
                shutil.move(box.server.base / "swap", other)
                after = box.contents()
                self.assertEqual(after[:len(before)], before)
                self.assertEqual(len(after), len(before) + 1)

    def test_gone_in_mid_session(self):
        for maildir in (False, True):
            box = Box.of(self, maildir=maildir, count=12)
            box.fill()
            before = box.contents()
            client, _ = box.mark({0, 5})
            for index in self.indexes(box):
                index.unlink()
            answer = box.quit(client)
            self.assertTrue(answer.startswith(b"+OK 2 messages deleted"), answer)
            self.assertEqual(box.contents(), [m for i, m in enumerate(before) if i not in (0, 5)])

    def test_locked_elsewhere(self):
        """Another host has it, where hosts share the directory: it is neither read nor written."""
        box = Box.of(self, count=12)
        box.fill()
        before = box.contents()
        index = self.indexes(box)[0]
        self.change(box, 0)
        octets = index.read_bytes()
        with open(index, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            found = box.contents()
        self.assertEqual(found[:12], before)
        self.assertEqual(len(found), 13)
        self.assertEqual(index.read_bytes(), octets)

    @unittest.skipUnless(ROOT, "mounts need root")
    def test_full(self):
        """A disk that has no room for it: logins read all, and say nothing of it."""
        box = Box.of(self, count=12, start=False)
        indexes = box.server.base / "indexes"
        box.server.setup = "mkdir -m 700 %s; mount -t tmpfs -o mode=700,size=4096 none %s" % (indexes, indexes)
        box.server.start()
        box.fill()
        before = box.contents()
        self.assertEqual(len(before), 12)
        self.assertEqual(box.contents(), before)
        client, _ = box.mark({0})
        self.assertTrue(box.quit(client).startswith(b"+OK"))
        self.assertEqual(box.contents(), before[1:])

    def test_old_index(self):
        """What a power failure or a restored backup may bring back: an index of days ago, and every other block of a new one."""
        for maildir in (False, True):
            box = Box.of(self, maildir=maildir, count=12)
            box.fill()
            box.contents()
            index = self.indexes(box)[0]
            olds = [index.read_bytes()]
            for number in range(3):
                self.change(box, number)
                box.contents()
                olds.append(index.read_bytes())
            for old in olds:
                for new in olds:
                    torn = bytearray(new.ljust(len(old), b"\0"))
                    for at in range(0, len(old), 8192):
                        torn[at:at + 4096] = old[at:at + 4096]
                    index.write_bytes(torn)
                    self.same_without(box)
                    index.touch(mode=0o600)


if __name__ == "__main__":
    unittest.main()
