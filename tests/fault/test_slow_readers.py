"""Clients that ask for a large message and read nothing of it (a window of zero): the server's memory stays as it is however large the
message, no process works, others are served; after WRITE_STALL_SECONDS of nothing taken the connection is closed.

40 clients, looked at for a few seconds; with POSTERN_FAULT=full 200 of them, held until they are closed, which takes two minutes.
"""
import re
import socket
import time
import unittest

import bodies
from client import Client, client_context
from memory import INSTRUMENTED
from postern import ROOT, TOP, Server
from processes import PATIENCE, cpu_seconds, load_of, wait_until
from run import FULL

READERS = 200 if FULL else 40
LARGE = 8 << 20       # far more than the sockets between server and client hold
MOST_OWN = 600        # KiB that a worker's two halves may have of their own; with TLS twice that
MOST_GROWTH = 4       # KiB each, while all are held
HELD_SECONDS = 40 if FULL else 3


def stall_seconds():
    return int(re.search(r"WRITE_STALL_SECONDS = (\d+)", (TOP / "daemon/conn.h").read_text()).group(1))


def own_memory(pid):
    """Of its own, in KiB; 0 when it is gone."""
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss_Anon:"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


@unittest.skipUnless(ROOT, "needs root: other processes' memory is shown to nobody else")
@unittest.skipIf(INSTRUMENTED, "what instruments a program has memory of its own")
class SlowReaders(unittest.TestCase):
    seconds = int(PATIENCE * 600)

    def begin(self):
        names = ["user%d" % n for n in range(READERS)] + ["anna"]
        server = Server(users=names, settings={"workers": {"max": 2 * READERS, "spare_min": 2, "spare_max": 4}, "limits": {"per_source": 2 * READERS}})
        self.addCleanup(server.stop)
        server.users["anna"].deliver(bodies.message())
        for name in names[:READERS]:
            # Sparse: one line of zeros, which costs no disk.
            path = server.users[name].deliver(b"Subject: large\n\n")
            with open(path, "r+b") as f:
                f.truncate(LARGE)
        return server

    def reader(self, server, name, tls):
        """Asks, and reads nothing: what its socket takes is as little as the kernel allows."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(60 * PATIENCE)
        sock.connect(("127.0.0.1", server.pop3s_port if tls else server.pop3_port))
        if tls:
            sock = client_context(server.certificate).wrap_socket(sock, server_hostname="localhost")
        client = Client.__new__(Client)
        client.server, client.sock, client.buffer, client.transcript, client.charset = server, sock, b"", [], "ascii"
        self.addCleanup(client.close)
        client.status()
        client.login(name)
        client.send(b"RETR 1\r\n")
        return client

    def stalled(self, server):
        """All gates of readers wait for their clients: what all of them have worked does not grow."""
        def at_rest():
            before = {p.pid: cpu_seconds(p.pid) for p in server.gates()}
            time.sleep(0.1)
            return len(before) >= READERS and all(cpu_seconds(pid) == worked for pid, worked in before.items())
        wait_until(at_rest, "all of them are stalled", 60)

    def test_zero_window(self):
        server = self.begin()
        begun = time.monotonic()
        readers = [self.reader(server, "user%d" % n, tls=n % 4 == 3) for n in range(READERS)]
        self.stalled(server)
        pids = [p.pid for p in server.processes()]
        before = {pid: own_memory(pid) for pid in pids}
        load = load_of(server.pid, HELD_SECONDS / 2)
        with server.login() as client:
            self.assertEqual(client.retr(1), bodies.wire(bodies.message()))
            client.quit()
        worked = {p.pid: cpu_seconds(p.pid) for p in server.gates()}
        time.sleep(HELD_SECONDS / 2)
        still = sum(cpu_seconds(pid) - then for pid, then in worked.items() if own_memory(pid))
        after = {pid: own_memory(pid) for pid in pids}
        print("%d readers: %d KiB of their own for each, %+d KiB in %d s; the master at %.1f%%, all gates %.2f s" % (
            READERS, sum(before.values()) // READERS, sum(after.values()) - sum(before.values()), HELD_SECONDS, 100 * load, still))
        self.assertLess(sum(before.values()), (MOST_OWN + MOST_OWN / 4) * READERS)
        self.assertLess(sum(after.values()) - sum(before.values()), MOST_GROWTH * READERS)
        self.assertLess(load, 0.05)
        self.assertLess(still, 0.05 * HELD_SECONDS)
        if FULL:
            self.closed(server, begun)
        for reader in readers:
            reader.close()
        wait_until(lambda: len(server.keepers()) <= 4 and not server.zombies(), "all workers have gone", 60)

    def closed(self, server, begun):
        """In time, each, and the log says why; none was sent to its end."""
        ended = re.compile(r'user="user\d+" .*fetched=(\d+) .*seconds=(\d+\.\d+) end="([^"]*)"')
        wait_until(lambda: len(ended.findall(server.log())) == READERS, "all are closed", stall_seconds())
        ends = ended.findall(server.log())
        print("%d closed within %.0f s of the first: %s" % (len(ends), time.monotonic() - begun, sorted({e[2] for e in ends})))
        self.assertEqual(len(ends), READERS)
        self.assertEqual({e[0] for e in ends}, {"0"})
        self.assertEqual({e[2] for e in ends}, {"client took nothing"})
        self.assertGreaterEqual(min(float(e[1]) for e in ends), stall_seconds())


if __name__ == "__main__":
    unittest.main()
