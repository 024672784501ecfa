"""A POP3 client that looks closely: every line must end in CRLF and fit in 512 octets, every status line must be
+OK or -ERR with words behind it, and no answer may name a place in the server's file system.

It sends exactly what it is told: whole, octet by octet, or cut at given places; over plain TCP, STLS or TLS.
"""
import re
import select
import socket
import ssl
import time

from processes import PATIENCE

RESPONSE_MAX = 512  # RFC 1939 section 3, RFC 2449 section 4


REFERENCE = re.compile(r" \(ref [0-9A-HJKMNP-TV-Z]{5,6}\)$")


def plain_words(line):
    """An answer without its reference."""
    return REFERENCE.sub("", line)


def reference(line):
    """The reference of an answer; None when it has none."""
    found = REFERENCE.search(line)
    return found and found.group()[len(" (ref "):-1]


class Closed(AssertionError):
    """The server closed the connection where an answer was due."""


def client_context(cafile, minimum=None, maximum=None):
    """A context that checks the server's certificate; old protocol versions only when asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile)
    if maximum is not None and maximum < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    context.minimum_version = minimum or ssl.TLSVersion.MINIMUM_SUPPORTED
    if maximum is not None:
        context.maximum_version = maximum
    return context


class Client:
    def __init__(self, server, tls=False, host="127.0.0.1", source=None, greeting=True, context=None, port=None, name="localhost"):
        """name: of the host, as asked for in TLS; None: not at all."""
        self.server = server
        self.context, self.name = context, name
        self.charset = "ascii"  # of status lines; "utf-8" after LANG (RFC 6856)
        self.buffer = b""
        self.transcript = []
        port = port or (server.pop3s_port if tls else server.pop3_port)
        self.sock = socket.create_connection((host, port), timeout=20 * PATIENCE,
                                             source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.handshake()
        self.greeting = self.status() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- octets ---------------------------------------------------------------

    def handshake(self):
        assert not self.buffer, "octets in clear before the handshake: %r" % self.buffer
        context = self.context or client_context(self.server.certificate)
        self.sock = context.wrap_socket(self.sock, server_hostname=self.name)

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def send_cut(self, data, places):
        """Send in pieces cut at the places given; the pause lets each piece travel alone."""
        for start, end in zip([0] + list(places), list(places) + [len(data)]):
            self.sock.sendall(data[start:end])
            time.sleep(0.001)

    def send_single(self, data):
        self.send_cut(data, range(1, len(data)))

    def receive(self):
        """More octets into the buffer; False at the end of the connection."""
        try:
            data = self.sock.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        self.buffer += data
        return bool(data)

    def rest(self):
        """Everything up to the end of the connection."""
        while self.receive():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def waiting(self):
        """What has come by now, in clear."""
        while select.select([self.sock], [], [], 0)[0] and self.receive():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def abort(self):
        """Reset the connection instead of closing it."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    # -- lines ----------------------------------------------------------------

    def raw_line(self, limit=None):
        """One line without its CRLF."""
        while b"\n" not in self.buffer:
            if not self.receive():
                raise Closed("closed; before it came %r, the talk so far: %r" % (self.buffer, self.transcript[-6:]))
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), "a line that ends in LF alone: %r" % line
        assert limit is None or len(line) + 1 <= limit, "an answer of %d octets: %r" % (len(line) + 1, line)
        return line[:-1]

    def status(self):
        """The status line of an answer (or a "+ " of AUTH), checked."""
        line = self.raw_line(RESPONSE_MAX).decode(self.charset)
        self.transcript.append("S: " + line)
        assert re.match(r"\+OK( .+)?$|-ERR( .+)?$|\+ .*$", line) and line.isprintable(), "no status line: %r" % line
        assert not line.startswith("-ERR") or len(line) > len("-ERR ") + 8, "an error without words: %r" % line
        assert str(self.server.base) not in line, "the answer names a path: %r" % line
        if re.match(r"-ERR \[(SYS|IN-USE)", line):
            assert reference(line), "a failure of the server's without a reference: %r" % line
        return line

    def cmd(self, command):
        """Send one command, return its status line."""
        self.transcript.append("C: " + repr(command))
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.status()

    def ok(self, command):
        line = self.cmd(command)
        assert line.startswith("+OK"), "%r: want +OK, got %r" % (command, line)
        return line

    def err(self, command, words=""):
        """The command must fail, with `words` (a regular expression) in the answer."""
        line = self.cmd(command)
        assert line.startswith("-ERR"), "%r: want -ERR, got %r" % (command, line)
        assert re.search(words, line, re.I), "%r: want -ERR with %r, got %r" % (command, words, line)
        return line

    def body(self):
        """The octets of a multi-line answer, with the doubled dots undone and the final dot taken off."""
        while not (self.buffer.startswith(b".\r\n") or b"\r\n.\r\n" in self.buffer):
            if not self.receive():
                raise Closed("closed in a multi-line answer, its end: %r" % self.buffer[-80:])
        if self.buffer.startswith(b".\r\n"):
            data, self.buffer = b"", self.buffer[3:]
        else:
            end = self.buffer.index(b"\r\n.\r\n") + 2
            data, self.buffer = self.buffer[:end], self.buffer[end + 3:]
        return re.sub(rb"(^|\n)\.", rb"\1", data)

    def lines(self):
        """The lines of a multi-line answer as text."""
        return self.body().decode(self.charset).split("\r\n")[:-1]

    def end(self):
        """Nothing more may come, and the server closes."""
        rest = self.rest()
        assert rest == b"", "octets after the last answer: %r" % rest

    # -- POP3 -----------------------------------------------------------------

    def login(self, user, password=None):
        self.ok("USER " + user)
        return self.ok("PASS " + (password if password is not None else self.server.users[user].password))

    def stls(self):
        self.ok("STLS")
        self.handshake()
        return self

    def quit(self):
        line = self.ok("QUIT")
        self.end()
        self.close()
        return line

    def stat(self):
        match = re.match(r"\+OK (\d+) (\d+)", self.ok("STAT"))
        return int(match.group(1)), int(match.group(2))

    def list(self):
        """{number: octets}, in the order sent."""
        self.ok("LIST")
        return {int(n): int(size) for n, size in (line.split(" ") for line in self.lines())}

    def uidl(self):
        self.ok("UIDL")
        return {int(n): uid for n, uid in (line.split(" ") for line in self.lines())}

    def retr(self, number):
        self.ok("RETR %d" % number)
        return self.body()

    def top(self, number, lines):
        self.ok("TOP %d %d" % (number, lines))
        return self.body()

    def capa(self):
        """{capability: argument}"""
        self.ok("CAPA")
        return dict((line.split(" ", 1) + [""])[:2] for line in self.lines())
