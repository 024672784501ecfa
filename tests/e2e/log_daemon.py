"""What listens where a server's log goes: /dev/log, or the journal's socket, in that server's own mount namespace.

Used by test_fail2ban.py and test_log_floods.py.
"""
import os
import re
import socket
import threading
import time

FILLER = b"x"


class LogDaemon:
    """What listens where the server's log goes, and writes it to a file in the form that fail2ban reads."""

    FORMS = {"syslog": "/dev/log", "journal": "/run/systemd/journal/socket"}

    def __init__(self, base, target):
        self.socket, self.file, self.target = base / "log-socket", base / "mail.log", target
        self.file.write_text("")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.socket))

    def start(self):
        """Read what comes; until then it is a log that nobody reads."""
        threading.Thread(target=self.run, daemon=True).start()

    def sender(self):
        """A socket as a program that logs has one."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.connect(str(self.socket))
        return sock

    def setup(self):
        """Shell lines that put the socket in its place, in the server's own mount namespace."""
        place = self.FORMS[self.target]
        return ("mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9\n" if self.target == "syslog" else
                "mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/journal\n") + ": >%s && mount --bind %s %s" % (place, self.socket, place)

    def run(self):
        with open(self.file, "a", encoding="ascii") as out:
            while True:
                datagram = self.sock.recv(1 << 16)
                if datagram != FILLER:
                    out.write(getattr(self, self.target)(datagram))
                    out.flush()

    @staticmethod
    def syslog(datagram):
        """As rsyslog has it in /var/log/mail.log."""
        text = re.sub(r"^<\d+>", "", datagram.decode("ascii"))
        return "%s mailhost %s\n" % (text[:15], text[16:])

    @staticmethod
    def journal(datagram):
        """As fail2ban's systemd backend puts an entry together, behind its time."""
        fields = dict(re.findall(rb"^([A-Z_]+)=(.*)$", datagram, re.MULTILINE))
        return "%s mailhost %s[4711]: %s\n" % (time.strftime("%b %d %H:%M:%S"), fields[b"SYSLOG_IDENTIFIER"].decode(), fields[b"MESSAGE"].decode())

    def failed(self):
        """The lines about failed logins, by how they begin, which no name can forge."""
        return [line for line in self.file.read_text("ascii").splitlines() if re.match(r".{15} mailhost postern\[\d+\]: keeper: login failed: ", line)]

    def lost(self):
        return sum(map(int, re.findall(r": (\d+) lines lost: ", self.file.read_text("ascii"))))
