"""Courier's POP3 server beside one of ours, for the tests of a move: its program for what follows a login, unpacked from
Debian's package (tools/packages.sh). The login, which takes a daemon with a configuration of the host's, is done here.
"""
import os
import socket
import subprocess
import threading

from postern import TOP
from processes import PATIENCE

PEERS = TOP / "build/peers"
PROGRAM = PEERS / "courier-pop/usr/lib/courier/courier/courierpop3d"


class Courier:
    """Serves the Maildirs in the homes of `users`, which are User, below `base`."""
    certificate = None

    def __init__(self, base, users):
        self.base, self.users = base, {u.name: u for u in users}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.pop3_port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20 * PATIENCE)
                self.log_in(connection)

    def log_in(self, connection):
        lines, name = connection.makefile("rb", buffering=0), ""
        connection.sendall(b"+OK\r\n")
        for line in iter(lines.readline, b""):
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "PASS" and name in self.users and rest == self.users[name].password:
                self.run(connection, self.users[name])
                return
            name = rest if verb.upper() == "USER" else name
            connection.sendall(b"+OK\r\n" if verb.upper() == "USER" else b"-ERR\r\n")

    @staticmethod
    def run(connection, user):
        connection.settimeout(None)
        libraries = [place for package in PEERS.iterdir() for place in package.glob("usr/lib/**/") if any(place.glob("*.so.*"))]
        subprocess.run([PROGRAM, "Maildir"], stdin=connection, stdout=connection, stderr=subprocess.DEVNULL, user=user.uid, group=user.gid, extra_groups=[],
                       cwd=user.home, check=False, timeout=60 * PATIENCE,
                       env={"AUTHENTICATED": user.name, "TCPREMOTEIP": "127.0.0.1", "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))})

    def stop(self):
        """Also when it was stopped before."""
        if self.thread.is_alive():
            self.listener.shutdown(socket.SHUT_RDWR)
            self.thread.join()
            self.listener.close()
