"""What another user of this host can do to somebody's session, and to the recorder, with what he may reach: sockets that take messages
from everybody. The worst that can be sent is a socket that lingers: its last close(2) waits until its peer takes what was written,
or for as long as its owner said, and it is done by whoever takes the message it lies in, or throws it away.
"""
import array
import os
import signal
import socket
import struct
import unittest

import bodies
from client import Client
from postern import ROOT, Server
from processes import PATIENCE, user_of, wait_until
from test_explain import OK, ExplainCase, postern, reference
from tracing import keeper_in_session

STRANGER = 20099
LINGER_SECONDS = 3600


class Trap:
    """Where a stranger gets a socket that whoever closes it last is held by, until this test is over."""

    def __init__(self, test):
        self.listener = socket.create_server(("127.0.0.1", 0))
        test.addCleanup(self.listener.close)
        self.test = test

    def send(self, to, octets):
        """A process of another user's puts one into a message, and ends: then nobody but who gets that has it. At the end of a process
        nobody is held.
        """
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresgid(STRANGER, STRANGER, STRANGER)
                os.setresuid(STRANGER, STRANGER, STRANGER)
                self.send_here(to, octets)
                status = 0
            finally:
                os._exit(status)
        peer = self.listener.accept()[0]
        # Its end, which resets the connection, lets go of who is held.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.test.addCleanup(peer.close)
        self.test.assertEqual(os.waitpid(pid, 0)[1], 0)

    def send_here(self, to, octets):
        # For longer than this call, so that it is not us who close it.
        lingering = self.lingering = socket.create_connection(self.listener.getsockname())
        lingering.setblocking(False)
        try:
            while lingering.send(bytes(65536)):
                pass
        except BlockingIOError:
            pass
        lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_SECONDS))
        to.sendmsg([octets], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [lingering.fileno()]))])


def bells():
    """As everybody sees them."""
    with open("/proc/net/unix", encoding="ascii") as f:
        return {line.split()[-1] for line in f if " @postern/" in line}


@unittest.skipUnless(ROOT, "it takes several users")
class Strangers(ExplainCase):
    def setUp(self):
        super().setUp()
        self.anna.empty()
        self.anna.deliver(bodies.message())

    def test_a_bell(self):
        """A session answers its client, whatever a stranger sends to its bell."""
        others = bells()
        with self.login() as client:
            name = "\0" + wait_until(lambda: bells() - others, "a bell is hung").pop()[1:]
            trap, keeper = Trap(self), keeper_in_session(self.server)
            # A stranger has to be gone before his message is taken, and may try as often as he likes; here he need not.
            os.kill(keeper, signal.SIGSTOP)
            for size in (1, 56, 64, 72, 4096):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ring:
                    ring.connect(name)
                    trap.send(ring, bytes(size))
            os.kill(keeper, signal.SIGCONT)
            client.sock.settimeout(10 * PATIENCE)
            client.retr(1)
            client.quit()

    def test_a_question(self):
        """Who asks when all places are taken waits, and holds up nobody."""
        path = str(self.server.base / "ask")
        recorder = next(p.pid for p in self.server.processes() if p.name == "posternd-record")
        asking = []
        for _ in range(8 + 4):
            asking.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            self.addCleanup(asking[-1].close)
        for s in asking[:8]:
            s.connect(path)
        wait_until(lambda: len([p for p in self.server.processes() if p.ppid == recorder]) == 8, "all places are taken")
        trap = Trap(self)
        os.kill(recorder, signal.SIGSTOP)
        for s in asking[8:]:
            s.connect(path)
            trap.send(s, b"no question")
            s.close()
        os.kill(recorder, signal.SIGCONT)
        self.on_record(reference(self.refused()))

    def test_own_keepers(self):
        """Who kills the keepers of his own sessions, which he may, ends them, and keeps nobody from being served."""
        self.server.expect_trouble = True
        for _ in range(12):
            with self.login() as client:
                keeper = keeper_in_session(self.server)
                pid = os.fork()
                if pid == 0:
                    os.setresuid(self.anna.uid, self.anna.uid, self.anna.uid)
                    os.kill(keeper, signal.SIGKILL)
                    os._exit(0)
                self.assertEqual(os.waitpid(pid, 0)[1], 0)
                client.rest()
        with self.login("bert") as client:
            client.quit()

    def test_stopped_keepers(self):
        """Who stops keepers that are his by now, though there is no session, does not keep their places when newcomers want them."""
        server = Server(("anna",), {"workers": {"spare_min": 1, "spare_max": 1, "max": 2}})
        self.addCleanup(server.stop)
        server.expect_trouble = True
        anna = server.users["anna"]
        (anna.maildir / "cur").chmod(0)
        wait_until(lambda: len(server.keepers()) == 1, "who looked whether it serves is gone")
        clients, keepers = [], set()
        for n in range(2):
            clients.append(server.client(source="127.0.0.%d" % (10 + n)))
            self.addCleanup(clients[-1].close)
            clients[-1].ok("USER anna")
            clients[-1].err("PASS secret")
            keepers |= {p.pid for p in server.keepers() if user_of(p.pid) == anna.uid}
            self.assertEqual(len(keepers), n + 1)
        for pid in keepers:
            os.kill(pid, signal.SIGSTOP)

        def served(source):
            client = Client(server, source=source, greeting=False)
            self.addCleanup(client.close)
            return client.status().startswith("+OK")
        for n in range(len(keepers)):
            wait_until(lambda n=n: served("127.0.0.%d" % (20 + n)), "a newcomer is served")
        wait_until(lambda: not keepers & {p.pid for p in server.keepers()}, "their places are given to others")


@unittest.skipUnless(ROOT, "it takes several users")
class Directories(unittest.TestCase):
    def test_made_by_the_server(self):
        """Where nobody has made them before, users can ask all the same, and look into nothing."""
        server = Server(("anna",), start=False)
        self.addCleanup(server.stop)
        made = server.base / "run"
        server.write_config(maildrop={"lock_directory": made / "lock", "journal_directory": made / "journal", "index_directory": made / "index"},
                            log={"history_directory": made / "history", "history_socket": made / "ask"})
        server.start()
        with server.client() as client:
            client.ok("USER anna")
            ref = reference(client.err("PASS wrong"))
        anna = server.users["anna"]
        wait_until(lambda: postern("explain", "-c", server.config_file, ref, uid=anna.uid)[0] == OK, "anna is answered")
        self.assertEqual({path.name: path.stat().st_mode & 0o7777 for path in [made, *made.iterdir()] if path.is_dir()},
                         {"run": 0o755, "lock": 0o700, "journal": 0o700, "index": 0o700, "history": 0o700})


if __name__ == "__main__":
    unittest.main()
