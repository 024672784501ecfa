"""Programs that take the host's locks in other orders than ours, and wait for the second with the first in hand: nobody
waits for ever. Prints how long sessions waited.
"""
import subprocess
import sys
import time
import unittest
from pathlib import Path

from postern import PREFIX, Server
from sweep import FULL, message

SECONDS = 300 if FULL else 4
ORDERS = ("dotlock fcntl", "fcntl dotlock", "flock dotlock", "flock fcntl dotlock", "dotlock flock fcntl")
WAIT_P99 = 2.0  # seconds
CONTENDER = str(Path(__file__).with_name("contender.py"))


@unittest.skipIf(PREFIX, "it is valgrind that is waited for")
class Locks(unittest.TestCase):
    def test_orders(self):
        for order in ("fcntl dotlock", "dotlock flock fcntl"):
            with self.subTest(order=order):
                self.run_against(order)

    def run_against(self, order):
        server = Server(location="mbox:~/mbox", settings={"maildrop": {"mbox_locks": order}})
        self.addCleanup(server.stop)
        user = server.users["anna"]
        mbox = user.home / "mbox"
        mbox.write_bytes(b"".join(message(i, 300) for i in range(20)))
        user.own(mbox, 0o600)
        others = [subprocess.Popen(["setpriv", "--pdeathsig", "KILL", sys.executable, CONTENDER, str(mbox), other]) for other in ORDERS]
        waits = []
        try:
            end = time.monotonic() + SECONDS / 2
            while time.monotonic() < end:
                self.session(server, mbox, waits)
        finally:
            for other in others:
                other.kill()
                other.wait()
        self.assertFalse([o.returncode for o in others if o.returncode != -9], "another program gave up")
        waits.sort()
        p99 = waits[len(waits) * 99 // 100]
        print("mbox_locks = %s: %d waits, median %.3f s, p99 %.3f s, longest %.3f s" %
              (order, len(waits), waits[len(waits) // 2], p99, waits[-1]))
        self.assertTrue(not FULL or p99 < WAIT_P99, "p99 %.3f s" % p99)

    def session(self, server, mbox, waits):
        """A login and a QUIT that deletes, each of which has to wait for the locks."""
        with server.client() as client:
            client.ok("USER anna")
            for command in ("PASS secret", "DELE 1", "QUIT"):
                start = time.monotonic()
                client.ok(command)
                if command != "DELE 1":
                    waits.append(time.monotonic() - start)
        with open(mbox, "ab") as f:  # the session is over; who holds the locks now only holds them
            f.write(message(len(waits), 300))


if __name__ == "__main__":
    unittest.main()
