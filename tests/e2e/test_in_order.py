"""Messages that are fetched one after the other are asked of the keeper ahead of their turn, small ones several at a time: each
arrives as it is stored, in whatever order and however many at once; what another program changed meanwhile is never sent
as the message that was listed.
"""
import os

import bodies
from postern import ServerCase

TEXT_MOST = 65536  # RPC_TEXT_MOST
SIZES = [0, 1, 4000, 4000, 4000, 30000, TEXT_MOST - 1, TEXT_MOST, TEXT_MOST + 1, 200, 200, 300000, 9, 20000, 20000, 20000, 20000] + [3000] * 40


def stored(number, size):
    """Every third as it goes over the wire; lines that begin with a dot in some."""
    line = (b"." if number % 5 == 0 and number % 3 else b"") + b"%03d " % number + b"x" * 60 + b"\n"
    octets = bodies.message("number %d" % number, (line * (size // len(line) + 1))[:size])
    return octets.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n" if number % 3 == 0 else octets


class Orders(ServerCase):
    @classmethod
    def prepare(cls, server):
        cls.messages = [stored(n, size) for n, size in enumerate(SIZES, 1)]
        for octets in cls.messages:
            server.users["anna"].deliver(octets)

    def fetch(self, client, numbers, at_once, top):
        for first in range(0, len(numbers), at_once):
            some = numbers[first:first + at_once]
            client.send(b"".join((b"TOP %d 2\r\n" if top else b"RETR %d\r\n") % n for n in some))
            for n in some:
                octets = self.messages[n - 1]
                self.assertRegex(client.status(), r"^\+OK", "message %d" % n)
                self.assertTrue(client.body() == (bodies.top(octets, 2) if top else bodies.wire(octets)), "message %d" % n)

    def test_orders(self):
        count = len(SIZES)
        forward = list(range(1, count + 1))
        for label, numbers in (("forward", forward), ("backward", forward[::-1]), ("every other", forward[::2] + forward[1::2]), ("twice", [n for n in forward for _ in "12"]),
                               ("from the middle", forward[count // 2:] + forward[:count // 2])):
            for at_once, tls, top in ((1, False, False), (1, True, False), (100, False, False), (7, True, True)):
                with self.subTest(label, at_once=at_once, tls=tls, top=top):
                    client = self.login(tls=tls)
                    self.fetch(client, numbers, at_once, top)
                    client.quit()
                    client.close()


class Changed(ServerCase):
    def test_another_program(self):
        """As it was listed, or an error; at every distance from the message that was fetched last."""
        self.anna.empty()
        messages = [bodies.message("number %d" % n, b"listed %04d\n" % n * 20) for n in range(1, 41)]
        paths = [self.anna.deliver(octets) for octets in messages]
        client = self.login()
        for n in range(1, 5):
            self.assertEqual(client.retr(n), bodies.wire(messages[n - 1]))
        for path, octets in zip(paths[4:], messages[4:]):
            if paths.index(path) % 2:
                with open(path, "r+b") as f:
                    f.write(octets.replace(b"listed", b"UNLIKE"))
                os.utime(path, (1, 1))
            else:
                os.remove(path)
        sent = 0
        for n in range(5, 41):
            line = client.cmd("RETR %d" % n)
            if line.startswith("+OK"):
                self.assertEqual(client.body(), bodies.wire(messages[n - 1]), "message %d" % n)
                sent += 1
            else:
                self.assertRegex(line, "^-ERR .*message %d was (removed|changed)" % n)
        self.assertLess(sent, 20, "no change was seen")
        client.close()
