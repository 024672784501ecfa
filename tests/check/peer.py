"""A scripted POP3 server: well-behaved but for what a test tells it, and it writes down all that it hears.

Peer(replies) answers each command from a table: a text is a status line, a list a multi-line answer, a callable gets the
session and does what it wants, None closes the connection. Names that are not in the table behave.
"""
import socket
import ssl
import threading
import time

MESSAGES = [b"Subject: one\r\n\r\nfirst\r\n", b"Subject: two\r\n\r\n.a dot\r\nand more\r\n"]


class Session:
    """One connection, in a thread of its own."""

    def __init__(self, peer, sock):
        self.peer, self.sock, self.buffer = peer, sock, b""
        self.is_tls = False

    def send(self, octets):
        self.sock.sendall(octets if isinstance(octets, bytes) else octets.encode("latin-1"))

    def line(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        line = line.rstrip(b"\r").decode("latin-1")
        self.peer.heard.append((self.is_tls, line))
        return line

    def start_tls(self):
        self.sock = self.peer.context.wrap_socket(self.sock, server_side=True)
        self.is_tls = True

    def answer(self, reply):
        """False when the connection is over."""
        if callable(reply):
            reply = reply(self)
        if reply is None:
            return False
        if isinstance(reply, list):
            self.send("".join(line + "\r\n" for line in [*reply, "."]))
        elif reply:
            self.send(reply + "\r\n" if isinstance(reply, str) else reply)
        return True

    def run(self):
        if self.peer.implicit:
            self.start_tls()
        if not self.answer(self.peer.replies.get("greeting", "+OK welcome")):
            return
        while (line := self.line()) is not None:
            verb, argument = (line.split(" ", 1) + [""])[:2]
            verb = verb.upper()
            if not self.answer(self.peer.replies[verb] if verb in self.peer.replies else self.behave(verb, argument)):
                return
            if verb == "QUIT":
                return

    def behave(self, verb, argument):
        mails, number = self.peer.messages, int(argument.split(" ")[0]) if argument.split(" ")[0].isdigit() else 0
        if verb == "CAPA":
            return ["+OK", "USER", "UIDL", "TOP", *(["STLS"] if self.peer.context and not self.is_tls else [])]
        if verb == "STLS" and self.peer.context and not self.is_tls:
            self.send("+OK\r\n")
            self.start_tls()
            return ""
        if verb in ("USER", "PASS", "NOOP", "RSET", "QUIT"):
            return "+OK"
        if verb == "STAT":
            return "+OK %d %d" % (len(mails), sum(map(len, mails)))
        if verb == "LIST":
            return ["+OK", *("%d %d" % (n + 1, len(mail)) for n, mail in enumerate(mails))]
        if verb == "UIDL":
            return ["+OK", *("%d uid-%d" % (n + 1, n + 1) for n in range(len(mails)))]
        if verb == "RETR":
            return b"+OK\r\n" + mails[number - 1].replace(b"\r\n.", b"\r\n..") + b".\r\n"
        if verb == "TOP":
            return b"+OK\r\n" + mails[number - 1].split(b"\r\n\r\n")[0] + b"\r\n\r\n.\r\n"
        return "-ERR unknown command"


class Peer:
    def __init__(self, replies=None, context=None, implicit=False, messages=None, host="127.0.0.1", port=0):
        self.replies, self.context, self.implicit = replies or {}, context, implicit
        self.messages = MESSAGES if messages is None else messages
        self.heard, self.connections = [], 0
        self.done = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(16)
        self.host, self.port = host, self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        session = Session(self, sock)
        try:
            session.run()
        except (OSError, ssl.SSLError):
            pass
        finally:
            try:
                session.sock.close()
            except OSError:
                pass

    def close(self):
        if self.done.is_set():
            return
        self.done.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- what was heard -------------------------------------------------------

    def commands(self):
        return [line.split(" ")[0].upper() for _, line in self.heard]


class Proxy(Peer):
    """Between the client and a server: what goes to the client passes through down(), what goes to the server through up()."""

    def __init__(self, port, up=bytes, down=bytes, **options):
        self.target, self.up, self.down = port, up, down
        super().__init__(**options)

    def serve(self, sock):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            return sock.close()
        back = threading.Thread(target=self.pump, args=(server, sock, self.down), daemon=True)
        back.start()
        self.pump(sock, server, self.up)
        back.join()
        sock.close()
        server.close()

    @staticmethod
    def pump(source, sink, change):
        try:
            while data := source.recv(65536):
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class BlackHole:
    """A port whose queue is full: the kernel drops what comes, as a firewall does."""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.bind((host, 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fill = []
        while True:
            sock = socket.socket(self.listener.family)
            sock.settimeout(0.2)
            self.fill.append(sock)
            try:
                sock.connect((host, self.port))
            except socket.timeout:
                return

    def close(self):
        for sock in [*self.fill, self.listener]:
            sock.close()


def silence(session):
    """Say nothing until the client or the test ends."""
    session.peer.done.wait(60)


def late(seconds, text):
    """The fault itself is time here: the answer is that late."""
    def answer(session):
        session.peer.done.wait(seconds)
        return text
    return answer


def dripping(octet=b"x", pause=0.05):
    """Octet by octet, without end."""
    def answer(session):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not session.peer.done.wait(pause):
            session.send(octet)
    return answer
