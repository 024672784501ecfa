"""A keeper is killed at every call of its UPDATE, and of the recovery after that: nothing is lost, altered or doubled."""
import random
import unittest

import disk
from postern import PREFIX, ROOT
from sweep import FULL, PATTERNS, STORAGE, Box, on_each_place
from tracing import Trace

READS = {"pread64", "fstat", "newfstatat", "poll", "recvmsg", "recvfrom", "sync_file_range"}  # change nothing: in full only


def inject(call):
    return "%s:signal=KILL:when=%d" % call


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Kill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if ROOT:
            disk.own_mounts()

    def kill_at(self, box, call, marked, arrives, before, partly=False):
        """Kill at that call of an UPDATE, look at what is left: was it killed, are the marked messages gone?"""
        box.fill()
        client, keeper = box.mark(marked)
        if arrives:
            box.arrive()
        with Trace(keeper, inject(call), calls=call[0]):
            answer = box.quit(client)
        client.close()
        return not answer.startswith(b"+OK"), box.check(marked, arrives, answer, before, partly)

    def sweep(self, box, partly=False):
        points = 0
        box.fill()
        before = box.contents()
        for name, pattern in PATTERNS.items():
            marked, arrives = pattern(len(box.messages)), "new mail" in name
            calls = [c for c in box.calls(marked, arrives) if FULL or c[0] not in READS]
            gone = []
            for call in calls:
                with self.subTest(pattern=name, call=call):
                    gone.append(self.kill_at(box, call, marked, arrives, before, partly)[1])
            points += len(calls)
            if marked and not partly:
                self.assertIn(False, gone, "the sweep began too late")
                self.assertIn(True, gone, "the sweep ended too early")
        print("killed at %d calls" % points)

    @on_each_place
    def test_mbox(self, kind):
        self.sweep(Box.of(self, kind))

    @on_each_place
    def test_maildir(self, kind):
        self.sweep(Box.of(self, kind, maildir=True, count=10), partly=True)

    def test_random_points(self):
        """Many messages, so that the rewrite takes many calls."""
        box = Box.of(self, count=500)
        box.fill()
        before = box.contents()
        seed = random.randrange(1 << 30)
        rng = random.Random(seed)
        killed, wanted = 0, 1000 if FULL else 10
        while killed < wanted:
            marked = set(rng.sample(range(500), rng.randrange(1, 500)))
            call = (rng.choice(("pread64", "pwrite64", "pwrite64", "fsync", "ftruncate", "sendmsg")), rng.choice((1, 2, 3, 4, rng.randrange(1, 500))))
            with self.subTest(seed=seed, call=call):
                killed += self.kill_at(box, call, marked, False, before)[0]
        print("killed at %d random points" % killed)

    @on_each_place
    def test_recovery(self, kind):
        """Killed before the file is cut off; then killed again at every call of the next login, with and without new mail."""
        box = Box.of(self, kind, count=12)
        box.fill()
        before = box.contents()
        marked = PATTERNS["alternate"](12)
        wanted, points = [c for c in STORAGE if FULL or c not in READS], 0
        # Behind what call the session was killed, and whether mail came then.
        killed = [(first, arrives) for first in (("pwrite64", 2), ("fsync", 3), ("ftruncate", 1), ("ftruncate", 2)) for arrives in (False, True)]
        for first, arrives in killed if FULL else killed[::3]:
            for call in wanted:
                for number in range(1, 200):
                    with self.subTest(first=first, arrives=arrives, call=(call, number)):
                        if not self.kill_twice(box, first, arrives, (call, number), marked, before):
                            break
                    points += 1
                else:
                    self.fail("too many calls of %s" % call)
        print("killed at %d calls of the recovery" % points)

    def kill_twice(self, box, first, arrives, call, marked, before):
        """False when the login makes no such call."""
        box.fill()
        client, keeper = box.mark(marked)
        with Trace(keeper, inject(first), calls=first[0]):
            box.quit(client)
        client.close()
        if arrives:
            box.arrive()
        waiting = box.rest()
        client = box.server.client()
        client.send(b"USER anna\r\n")
        client.status()
        with Trace(waiting, inject(call), calls=call[0]):
            client.send(b"PASS secret\r\nQUIT\r\n")
            came = client.rest()
        client.close()
        box.check(marked, arrives, b"", before)
        return not came.startswith(b"+OK")


if __name__ == "__main__":
    unittest.main()
