"""What a connection holds of memory before anybody has logged in, so that many that never do cost little.

Pages, not time: the figures are the same on a busy machine. What is measured beside other servers is bench/run.sh's matter.
"""
import os
import unittest

from memory import INSTRUMENTED
from postern import ROOT, Server
from processes import resident, wait_until

HELD = 12

# KiB that are a connection's own, both halves. What design.md says of a thousand is lower: there some more is shared.
CLEAR_KIB, TLS_KIB = 80, 150


def own_kib(pid):
    """Memory that is this process's alone."""
    return resident(pid) // 1024


def sockets(pid):
    return sum(os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:") for fd in os.listdir("/proc/%d/fd" % pid))


@unittest.skipUnless(ROOT and not INSTRUMENTED, "needs root, and a build without instruments")
class BeforeLogin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("anna",), settings={"workers": {"spare_min": 1, "spare_max": 2}, "limits": {"per_source": 2 * HELD}})
        cls.addClassCleanup(cls.server.stop)

    def gates_with_clients(self):
        """All of them have a socket to their keeper; those that have a client one more."""
        gates = [p.pid for p in self.server.gates() if sockets(p.pid) == 2]
        return gates if len(gates) == HELD else None

    def check_held(self, most, **options):
        """The median of what the halves of a held connection have, keeper and gate added; once the gates know that nobody says anything."""
        clients = [self.server.client(**options) for _ in range(HELD)]
        seen = []

        def is_small():
            seen.append(sorted(map(own_kib, gates))[HELD // 2] + sorted(map(own_kib, keepers))[HELD // 2])
            return seen[-1] <= most
        try:
            gates = wait_until(self.gates_with_clients, "as many gates as clients")
            keepers = sorted((p.pid for p in self.server.keepers()), key=own_kib)[:HELD]
            wait_until(is_small, lambda: "at most %d KiB; seen %r" % (most, seen[-1:]))
        finally:
            for client in clients:
                client.close()

    def test_in_clear(self):
        self.check_held(CLEAR_KIB)

    def test_tls(self):
        self.check_held(TLS_KIB, tls=True)


if __name__ == "__main__":
    unittest.main()
