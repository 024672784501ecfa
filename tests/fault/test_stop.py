"""The server is stopped, reloaded or killed in the middle of an UPDATE: it is finished by the session, or by the next start."""
import os
import signal
import unittest

from postern import PREFIX
from processes import session_processes, wait_until
from sweep import FULL, PATTERNS, Box
from tracing import stopped_at

POINTS = ("fsync", "ftruncate", "pwrite64", "utimensat", "sendmsg") if FULL else ("fsync", "ftruncate")


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Stop(unittest.TestCase):
    def each_point(self, test):
        box = Box.of(self, count=12)
        box.fill()
        before, marked = box.contents(), PATTERNS["alternate"](12)
        for call in box.calls(marked):
            if call[0] in POINTS:
                with self.subTest(call=call):
                    box.fill()
                    test(box, call, before, marked)

    def quit_while(self, box, call, marked, act):
        """The keeper is held at that call of its UPDATE while act() is done; the answer to QUIT."""
        client, keeper = box.mark(marked)
        try:
            with stopped_at(keeper, call, box.server.base / "trace") as stopped:
                client.send(b"QUIT\r\n")
                stopped()
                act()
        finally:
            if keeper in [p.pid for p in session_processes(box.server.pid)]:
                os.kill(keeper, signal.SIGCONT)
        answer = client.rest()
        client.close()
        return answer

    def test_stop(self):
        """SIGTERM: the session finishes its UPDATE and says so, and only then the server is gone."""
        def stopped(box, call, before, marked):
            answer = self.quit_while(box, call, marked, box.server.terminate)
            self.assertRegex(answer, rb"^\+OK 6 messages deleted")
            self.assertEqual(box.server.popen.wait(30), 0)
            box.server.start()
            self.assertTrue(box.check(marked, False, answer, before))
        self.each_point(stopped)

    def test_reload(self):
        def reloaded(box, call, before, marked):
            answer = self.quit_while(box, call, marked, box.server.reload)
            self.assertRegex(answer, rb"^\+OK 6 messages deleted")
            self.assertTrue(box.check(marked, False, answer, before))
        self.each_point(reloaded)

    def test_killed(self):
        """All processes at once, as by a service manager whose patience is at its end: the next start finishes it, before any login."""
        def killed(box, call, before, marked):
            def act():
                box.server.terminate()
                box.server.kill_all()
            answer = self.quit_while(box, call, marked, act)
            # Without its record a journal says that nothing was done; the next login empties that one.
            journals = [j for j in (box.server.base / "journals").iterdir() if j.read_bytes().startswith(b"postern1")]
            box.server.start()
            wait_until(lambda: not sum(j.stat().st_size for j in journals), "the recovery at the start empties the journal")
            box.check(marked, False, answer, before)
        self.each_point(killed)


if __name__ == "__main__":
    unittest.main()
