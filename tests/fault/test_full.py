"""A disk without room, and one that is read-only: mail can be read, and where it can be written to it can be deleted."""
import os
import subprocess
import unittest

import disk
from postern import PREFIX, ROOT
from sweep import Box, as_sent

KINDS = {"ext4": True, "xfs": False, "btrfs": True}  # is there room for a lock file when nothing else fits?


def fill(folder, user):
    """Write until nothing fits any more, down to single octets in files of their own, with the user's rights."""
    script = 'n=0; for size in 1M 64k 4k 1; do while dd if=/dev/zero of="$0/fill.$n" bs=$size count=1 2>/dev/null; do n=$((n+1)); done; done'
    (folder / "fill").mkdir()
    user.own(folder / "fill")
    subprocess.run(["setpriv", "--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups", "sh", "-c", script, str(folder / "fill")],
                   check=True)


@unittest.skipUnless(ROOT, "only root mounts file systems")
@unittest.skipIf(PREFIX, "nothing in it that valgrind does not see in other tests")
class Full(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        disk.own_mounts()

    def box(self, kind, maildir):
        box = Box.of(self, kind, maildir=maildir, count=10)
        box.fill()
        return box

    def found(self, box):
        return [octets for octets, _ in box.contents()]

    def test_full_maildir(self):
        for kind in KINDS:
            with self.subTest(kind=kind):
                box = self.box(kind, True)
                fill(box.disk.top, box.user)
                client, _ = box.mark({0, 4, 9})
                self.assertRegex(box.quit(client), rb"^\+OK 3 messages deleted, 7 left")
                self.assertEqual(self.found(box), [as_sent(m) for i, m in enumerate(box.messages) if i not in (0, 4, 9)])

    def test_full_mbox(self):
        """The journal finds no room: nothing is done, and all is said; to delete all needs no room."""
        for kind, has_room_for_lock in KINDS.items():
            with self.subTest(kind=kind):
                box = self.box(kind, False)
                before = box.user.mbox.read_bytes()
                fill(box.disk.top, box.user)
                client, _ = box.mark({0, 4})
                answer = box.quit(client)
                if not answer.startswith(b"+OK"):  # some file systems keep small files where there is room
                    self.assertRegex(answer, rb"^-ERR \[SYS/TEMP\] some deleted messages not removed: 2 of 2 \(disk full\)")
                    self.assertEqual(box.user.mbox.read_bytes(), before)
                client, _ = box.mark(range(len(self.found(box))))
                answer = box.quit(client)
                if has_room_for_lock or answer.startswith(b"+OK"):
                    self.assertRegex(answer, rb"^\+OK \d+ messages deleted, 0 left")
                    self.assertEqual(self.found(box), [])
                else:
                    self.assertIn(b"(disk full)", answer)
                    self.assertEqual(box.user.mbox.read_bytes(), before)

    def test_read_only(self):
        for maildir in (True, False):
            with self.subTest(maildir=maildir):
                box = self.box("ext4", maildir)
                want = self.found(box)
                for path in (box.user.home, box.server.base / "spool", box.disk.top):
                    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
                self.assertEqual(self.found(box), want)
                client, _ = box.mark({0, 4})
                self.assertRegex(box.quit(client), rb"^-ERR \[SYS/PERM\] some deleted messages not removed: 2 of 2 \(read-only file system\)")
                self.assertEqual(self.found(box), want)


if __name__ == "__main__":
    unittest.main()
