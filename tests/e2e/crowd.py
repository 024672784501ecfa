"""Many connections at a time, from many addresses of 127.0.0.0/8, none of which waits for another: what a flood is made of."""
import errno
import resource
import select
import socket
import time
import unittest

from postern import elsewhere
from processes import PATIENCE


def need_descriptors(count):
    """Room for so many sockets, or the reason why not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
        except (ValueError, OSError):
            return "no more than %d descriptors" % hard
    return None


def need_addresses():
    """Skip the test where there are none but 127.0.0.0/8, which is one to the rule about guesses."""
    if not elsewhere():
        raise unittest.SkipTest("no addresses of other hosts here: run by run.py, as root")


def foreign_address(number):
    """The same, but another host's: run.py has a network of them."""
    return "198.%d.%d.%d" % (18 + number // 62500, number // 250 % 250, number % 250 + 1)


def address(number):
    """A source address; each number another one, none of them below 127.10."""
    return "127.%d.%d.%d" % (10 + number // 62500, number // 250 % 250, number % 250 + 1)


class Talk:
    """One connection: lines to say, each when the one before has been answered; .answers is what came."""

    def __init__(self, crowd, source, lines, hold):
        self.crowd, self.lines, self.hold = crowd, list(lines), hold
        self.answers, self.buffer, self.over, self.born = [], b"", False, time.monotonic()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((source, 0))
        if self.sock.connect_ex(("127.0.0.1", crowd.port)) not in (0, errno.EINPROGRESS):
            self.end()
            return
        crowd.talks[self.sock.fileno()] = self
        crowd.poll.register(self.sock, select.EPOLLIN)

    def hear(self):
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\r\n")
        for line in lines:
            self.answers.append(line.decode())
            if self.lines:
                self.say(self.lines.pop(0))
            elif not self.hold:
                self.end()
                return
        if not data:
            self.end()

    def say(self, line):
        try:
            self.sock.send(line if isinstance(line, bytes) else line.encode() + b"\r\n")
        except OSError:
            self.end()

    def end(self):
        if not self.over:
            self.over, self.died = True, time.monotonic()
            self.crowd.talks.pop(self.sock.fileno(), None)
            self.sock.close()


class Crowd:
    """talk() begins one more connection; turn() gives all of them what has come in."""

    def __init__(self, server):
        self.port, self.talks, self.poll = server.pop3_port, {}, select.epoll()

    def talk(self, source, lines=(), hold=False):
        return Talk(self, source, lines, hold)

    def turn(self, seconds=0.05):
        for fd, _ in self.poll.poll(seconds, 1024):
            if fd in self.talks:
                self.talks[fd].hear()

    def until(self, condition, what, seconds=60):
        end = time.monotonic() + seconds * PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("not within %d s: %s" % (seconds * PATIENCE, what))
            self.turn()

    def close(self):
        for talk in list(self.talks.values()):
            talk.end()
        self.poll.close()
