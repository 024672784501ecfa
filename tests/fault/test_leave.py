"""A client, or the server, leaves at any point of a session: nothing is deleted without a whole QUIT line."""
import itertools
import unittest

from sweep import FULL, Box, as_sent

SESSION = b"USER anna\r\nPASS secret\r\nSTAT\r\nDELE 1\r\nRETR 2\r\nDELE 3\r\nNOOP\r\nQUIT\r\n"


class Leave(unittest.TestCase):
    maildir = False

    @classmethod
    def setUpClass(cls):
        cls.box = Box(maildir=cls.maildir, count=4)
        cls.addClassCleanup(cls.box.server.stop)
        cls.all = [as_sent(m) for m in cls.box.messages]

    def found(self):
        return [octets for octets, _ in self.box.contents()]

    def leave_after(self, octets, how):
        self.box.fill()
        client = self.box.server.client()
        client.send(SESSION[:octets])
        how(client)

    def test_every_octet(self):
        """Cut off after each octet, by closing and by a reset."""
        ways = [lambda c: (c.half_close(), c.rest(), c.close()), lambda c: c.abort()]
        lines = [i + 1 for i, octet in enumerate(SESSION) if octet == 10]
        points = range(len(SESSION)) if FULL else sorted({p for end in lines for p in (end - 2, end - 1, end)} - {len(SESSION)})
        for octets, how in itertools.product(points, ways):
            with self.subTest(octets=octets, way=ways.index(how)):
                # A bare LF ends a line, too, but a lone CR does not.
                self.leave_after(octets, how)
                self.assertEqual(self.found(), self.all)
        self.leave_after(len(SESSION), ways[0])
        self.assertEqual(self.found(), [self.all[1], self.all[3]])

    def test_server_stops(self):
        """The server ends between DELE and QUIT: it says so, and deletes nothing."""
        self.box.fill()
        client = self.box.server.login()
        client.ok("DELE 1")
        self.box.server.terminate()
        self.assertRegex(client.rest(), rb"^-ERR ")
        self.box.server.popen.wait(30)
        self.box.server.start()
        self.box.server.wait_for_log(r"dropped-marks=1")
        self.assertEqual(self.found(), self.all)

    def test_reload(self):
        """A reload in mid-session changes nothing for it."""
        self.box.fill()
        client = self.box.server.login()
        client.ok("DELE 1")
        self.box.server.reload()
        client.ok("DELE 3")
        client.quit()
        self.assertEqual(self.found(), [self.all[1], self.all[3]])

    def test_reset_takes_marks_back(self):
        self.box.fill()
        client = self.box.server.login()
        client.ok("DELE 1")
        client.ok("RSET")
        client.quit()
        self.assertEqual(self.found(), self.all)


class LeaveMaildir(Leave):
    maildir = True


if __name__ == "__main__":
    unittest.main()
