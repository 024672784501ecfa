"""Calls of an UPDATE fail, once or from then on: QUIT tells the truth, and nothing is lost, altered or doubled."""
import re
import unittest
from contextlib import nullcontext

import disk
from postern import PREFIX, ROOT
from sweep import FULL, PATTERNS, Box, on_each_place
from tracing import Trace

UNFINISHED = "interrupted; the next login finishes it"
# The calls that matter, and how they fail on real disks.
FAULTS = [("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fsync", "EIO"), ("ftruncate", "EIO"), ("pread64", "EIO"),
          ("fcntl", "ENOLCK"), ("unlinkat", "EIO"), ("unlinkat", "EACCES"), ("utimensat", "EIO"), ("sync_file_range", "EIO"),
          ("pwrite64", "EINTR"), ("pread64", "EINTR")]
if FULL:
    FAULTS += [(call, error) for call in ("pread64", "pwrite64", "fsync", "ftruncate", "newfstatat", "unlinkat", "fcntl", "utimensat", "sync_file_range")
               for error in ("ENOSPC", "EDQUOT", "EIO", "EINTR") if (call, error) not in FAULTS]


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Errors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if ROOT:
            disk.own_mounts()

    def disturbed(self, box, marked, disturb):
        """An UPDATE under the Trace that disturb(keeper) gives; the answer, and whether the mbox is as it was."""
        box.fill()
        client, keeper = box.mark(marked)
        self.log_mark = box.server.mark()
        with disturb(keeper):
            answer = box.quit(client).decode()
        client.close()
        kind = re.sub(r"\d+", "N", answer.strip())
        self.answers[kind] = self.answers.get(kind, 0) + 1
        return answer, not box.maildir and box.user.mbox.read_bytes() == b"".join(box.messages)

    def expect(self, box, marked, before, answer, untouched):
        self.assertRegex(answer, r"^(\+OK|-ERR \[SYS/(TEMP|PERM)\] some deleted messages not removed: \d+ of %d \()" % len(marked))
        gone = box.check(marked, False, answer.encode(), before, box.maildir)
        log = box.server.log()[self.log_mark:]
        named = len(re.findall(r"message \d+ \(uidl \S+\) not removed: ", log)) + sum(map(int, re.findall(r" (\d+) more messages not removed", log)))
        left = re.search(r"(\d+) of \d+ \(", answer)
        self.assertEqual(named, int(left[1]) if left else 0, "the log names or counts each message that was not removed")
        if answer.startswith("-ERR") and not box.maildir:
            if UNFINISHED in answer:
                self.assertTrue(gone, "the next login did not finish it")
            elif not gone:
                self.assertTrue(untouched, "the mailbox was changed")

    def sweep(self, box):
        self.answers = {}
        box.fill()
        before = box.contents()
        for pattern in ("first", "alternate", "all", "suffix") if FULL else ("alternate", "suffix"):
            marked = PATTERNS[pattern](len(box.messages))
            counts = dict(box.calls(marked))
            for call, error in FAULTS:
                at = range(1, counts.get(call, 0) + 1)
                if not FULL and call == "pread64":
                    at = at[::7]
                for number in at:
                    for lasting in ("", "+"):
                        if lasting and error == "EINTR":
                            continue  # for ever interrupted: that never ends
                        with self.subTest(pattern=pattern, call=call, error=error, when="%d%s" % (number, lasting)):
                            fault = "%s:error=%s:when=%d%s" % (call, error, number, lasting)
                            answer, untouched = self.disturbed(box, marked, lambda keeper: Trace(keeper, fault, calls=call))
                            self.expect(box, marked, before, answer, untouched)
        print("%s: %d calls that fail" % ("Maildir" if box.maildir else "mbox", sum(self.answers.values())))
        for answer in sorted(self.answers):
            print("%5d  %s" % (self.answers[answer], answer))

    @on_each_place
    def test_mbox(self, kind):
        self.sweep(Box.of(self, kind, count=12))

    @on_each_place
    def test_maildir(self, kind):
        self.sweep(Box.of(self, kind, maildir=True, count=6))

    @unittest.skipUnless(ROOT, "only root mounts a small file system")
    def test_full_disk(self):
        """The journal's file system has room for so much: a write that is short, then none, on a real file system."""
        for octets, for_a_suffix in ((4096, "-ERR"), (8192, "-ERR"), (16384, "+OK")):
            self.answers = {}
            box = Box.of(self, count=12, start=False)
            journals = box.server.base / "journals"
            box.server.setup = "mkdir -m 700 %s; mount -t tmpfs -o mode=700,size=%d none %s" % (journals, octets, journals)
            box.server.start()
            box.fill()
            before = box.contents()
            for pattern, expected in (("first", "-ERR"), ("alternate", "-ERR"), ("suffix", for_a_suffix), ("all", "+OK")):
                marked = PATTERNS[pattern](12)
                with self.subTest(octets=octets, pattern=pattern):
                    answer, untouched = self.disturbed(box, marked, lambda _: nullcontext())
                    self.expect(box, marked, before, answer, untouched)
                    self.assertTrue(answer.startswith(expected), answer)
                    self.assertTrue("disk full" in answer or expected == "+OK", answer)

    @unittest.skipUnless(ROOT, "only root mounts a small file system")
    def test_no_room_for_a_lock(self):
        """The lock directory's file system is full: no fault of the mailbox's, and told as what it is."""
        box = Box.of(self, count=1, start=False)
        locks = box.server.base / "locks"
        box.server.setup = "mount -t tmpfs -o mode=700,nr_inodes=1 none %s" % locks
        box.server.expect_trouble = True
        box.server.start()
        with box.server.client() as client:
            client.ok("USER anna")
            client.err("PASS secret", "the server's disk is full")
        self.assertIn("reason=\"disk full\"", box.server.log())


if __name__ == "__main__":
    unittest.main()
