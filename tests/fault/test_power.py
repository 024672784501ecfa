"""The power fails at any call of an UPDATE: what had reached the disk by then is mounted again, and the mail is counted.

The keeper stops at the n-th call; the image of its file system is copied without a sync, and mounted again in place of the
file system. What a disk may have written early is written early: stretches of the mailbox and of the journal, at random.
"""
import ctypes
import os
import random
import signal
import unittest

import disk
from postern import PREFIX
from sweep import FULL, PATTERNS, Box
from tracing import stopped_at

POINTS = 300 if FULL else 8  # of each file system and format
SYNC_FILE_RANGE = 1 | 2 | 4
_libc = ctypes.CDLL(None, use_errno=True)


def write_early(path, rng):
    """Some of the file's pages reach the disk before any sync."""
    size = path.stat().st_size
    if size == 0:
        return
    fd = os.open(path, os.O_RDWR)
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(0, size)
        _libc.sync_file_range(fd, ctypes.c_int64(start), ctypes.c_int64(rng.randrange(1, size + 1)), SYNC_FILE_RANGE)
    os.close(fd)


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Power(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            disk.own_mounts()

    def cut_power(self, box, call, marked, arrives, before, rng):
        """Stop at that call, look at the copy of the disk, then let the session go on and look at the disk itself."""
        box.fill()
        os.sync()
        client, keeper = box.mark(marked)
        unsynced = arrives and not box.maildir and rng.random() < 0.5
        if arrives:
            box.arrive()
        if not unsynced:
            os.sync()
        copy = box.server.base / "copy"
        try:
            with stopped_at(keeper, call, box.server.base / "trace") as stopped:
                client.send(b"QUIT\r\n")
                stopped()
                for path in [box.user.mbox, *(box.server.base / "journals").iterdir()]:
                    if path.exists() and rng.random() < 0.5:
                        write_early(path, rng)
                box.disk.snapshot(copy)
                # Stopped behind the call, so an answer may be on its way already, and then it has to be true.
                answer = client.waiting()
        finally:
            os.kill(keeper, signal.SIGCONT)
        rest = client.rest()
        client.close()
        self.assertTrue((answer + rest).startswith(b"+OK"), answer + rest)
        box.check(marked, arrives, answer + rest, before)
        self.look_at(box, copy, marked, arrives, answer, before, unsynced)

    def look_at(self, box, copy, marked, arrives, answer, before, unsynced=False):
        box.rest()
        box.disk.unmount()
        box.disk.mount(copy)
        for lock in (box.server.base / "spool").glob("*.lock"):
            os.utime(lock, (1, 1))  # from before the host started, as after a real power failure
        box.server.forget_indexes()  # they are not on that disk, and know of what happened after the failure
        try:
            box.check(marked, arrives, answer, before, partly=box.maildir, unsynced=unsynced)
        finally:
            box.rest()
            box.disk.unmount()
            box.disk.mount(box.disk.image)
            copy.unlink()

    def after_ok(self, box, marked, before):
        """The power fails right after the answer to QUIT."""
        box.fill()
        os.sync()
        client, _ = box.mark(marked)
        answer = box.quit(client)
        copy = box.server.base / "copy"
        box.disk.snapshot(copy)
        client.close()
        self.assertTrue(answer.startswith(b"+OK"), answer)
        self.look_at(box, copy, marked, False, answer, before)

    def run_on(self, kind, maildir):
        box = Box.of(self, kind, maildir=maildir, count=24)
        box.fill()
        before = box.contents()
        seed = random.randrange(1 << 30)
        rng = random.Random(seed)
        calls = {}
        for name in ("first", "alternate", "suffix", "all", "all and new mail"):
            marked = PATTERNS[name](24)
            calls[name] = [c for c in box.calls(marked, "new" in name) if c[0] in ("pwrite64", "fsync", "ftruncate", "unlinkat", "sendmsg")]
        for _ in range(POINTS):
            name = rng.choice(list(calls))
            call = rng.choice(calls[name])
            with self.subTest(seed=seed, pattern=name, call=call):
                self.cut_power(box, call, PATTERNS[name](24), "new" in name, before, rng)
        for name in ("first", "alternate", "all"):
            with self.subTest(pattern=name, call="after +OK"):
                self.after_ok(box, PATTERNS[name](24), before)

    def test_mbox_ext4(self):
        self.run_on("ext4", False)

    def test_mbox_xfs(self):
        self.run_on("xfs", False)

    def test_maildir_ext4(self):
        self.run_on("ext4", True)

    def test_maildir_xfs(self):
        self.run_on("xfs", True)


if __name__ == "__main__":
    unittest.main()
