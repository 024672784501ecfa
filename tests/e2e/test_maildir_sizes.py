"""Files whose names carry sizes, as Dovecot's agents write them (",S=" octets stored, ",W=" octets on the wire): what a login believes of
them, and that a name that lies never makes a message come short, long or other than it is.
"""
import os
import re
import unittest

import bodies
from postern import ServerCase

SMALL = b"Subject: small\n\n.\none\ntwo\n"
# Larger than what the keeper sends by itself, and once such that no octet has to change (sendfile), once such that it has to.
LARGE = b"Subject: large\n\n" + b"x" * 70 * 1000 + b"\n" + b".y\n" * 1000
AS_STORED = b"Subject: as stored\r\n\r\n" + (b"z" * 70 + b"\r\n") * 2000
NO_END = b"Subject: no line end\n\none"
TEXTS = (SMALL, LARGE, AS_STORED, NO_END)


def named(number, stored, wire, flags=":2,S"):
    return "%d.M%dP1.host,S=%s,W=%s%s" % (1700000000 + number, number, stored, wire, flags)


def true_sizes(octets):
    """What Dovecot would write: a missing last line end does not count."""
    return len(octets), len(octets) + octets.count(b"\n") - octets.count(b"\r\n")


class Sizes(ServerCase):
    users = ("anna", "bert")

    def setUp(self):
        super().setUp()
        self.anna.empty()

    def forget(self):
        """No index any more."""
        for path in (self.server.base / "indexes").iterdir():
            path.unlink()

    def session(self, texts, tls=False):
        """All by RETR and TOP, in one session: what LIST said."""
        client = self.login(tls=tls)
        sizes = client.list()
        self.assertEqual(client.stat(), (len(texts), sum(sizes.values())))
        for number, text in enumerate(texts, 1):
            self.assertEqual(client.ok("RETR %d" % number), "+OK %d octets" % len(bodies.wire(text)))
            self.assertEqual(client.body(), bodies.wire(text))
            self.assertEqual(client.top(number, 1), bodies.top(text, 1))
        # Sent at once, so that they come ahead; and what the client was told of the list stays.
        client.send(b"".join(b"RETR %d\r\n" % n for n in sizes))
        for text in texts:
            self.assertRegex(client.status(), r"^\+OK")
            self.assertEqual(client.body(), bodies.wire(text))
        self.assertEqual(client.list(), sizes)
        client.quit()
        return list(sizes.values())

    def test_true(self):
        """With true sizes nothing is different."""
        for tls in (False, True):
            self.anna.empty()
            self.forget()
            for n, text in enumerate((SMALL, LARGE, AS_STORED)):
                self.anna.deliver(text, "cur", named(n, *true_sizes(text)))
            want = [len(bodies.wire(text)) for text in (SMALL, LARGE, AS_STORED)]
            mark = self.server.mark()
            self.assertEqual(self.session((SMALL, LARGE, AS_STORED), tls), want)
            self.assertEqual(self.session((SMALL, LARGE, AS_STORED), tls), want)
            self.assertNotIn("wrong size", self.server.log()[mark:])

    def test_lies_from_the_beginning(self):
        """A first login finds out: LIST is right at once, and for what comes later."""
        self.forget()
        names = [named(n, len(SMALL), true_sizes(SMALL)[1] + 1) for n in range(30)]
        want = len(bodies.wire(SMALL))
        for name in names[:20]:
            self.anna.deliver(SMALL, "cur", name)
        mark = self.server.mark()
        self.assertEqual(self.session([SMALL] * 20), [want] * 20)
        self.assertEqual(len(re.findall("wrong size", self.server.log()[mark:])), 1)
        for name in names[20:]:
            self.anna.deliver(SMALL, "cur", name)
        self.assertEqual(self.session([SMALL] * 30), [want] * 30)

    def test_lies(self):
        """LIST says what the name says, once; RETR announces and sends the message; the next LIST is right."""
        lies = (lambda s, w: w - 1, lambda s, w: w + 1, lambda s, w: s, lambda s, w: 2 * s + 2)
        for lie in lies:
            self.anna.empty()
            self.forget()
            # The first names that are met tell the truth.
            first = [self.anna.deliver(SMALL, "cur", named(-n, *true_sizes(SMALL))) for n in range(8)]
            self.assertEqual(self.session([SMALL] * 8), [len(bodies.wire(SMALL))] * 8)
            for path in first:
                path.unlink()
            names = [named(n, len(text), lie(*true_sizes(text))) for n, text in enumerate(TEXTS, 1)]
            for text, name in zip(TEXTS, names):
                self.anna.deliver(text, "cur", name)
            said = [lie(*true_sizes(text)) if len(text) <= lie(*true_sizes(text)) else len(bodies.wire(text)) for text in TEXTS]
            true = [len(bodies.wire(text)) for text in TEXTS]
            mark = self.server.mark()
            self.assertEqual(self.session(TEXTS), said)
            self.server.wait_for_log(r"wrong size, W=\d+; RETR sends \d+ octets", since=mark)
            self.assertEqual(len(re.findall("wrong size", self.server.log()[mark:])), 1)
            mark = self.server.mark()
            self.assertEqual(self.session(TEXTS), true)
            self.assertNotIn("wrong size", self.server.log()[mark:])
            self.assertEqual(self.anna.stored_count(), len(TEXTS))

    def test_not_believed(self):
        """Names that say what cannot be, or not clearly: all is as if they said nothing."""
        stored, wire = true_sizes(SMALL)
        names = [named(1, stored, 0), named(2, stored, stored - 1), named(3, stored, 2 * stored + 3), named(4, stored + 1, wire + 1),
                 named(5, stored - 1, wire), named(6, stored, "9" * 30), named(7, "18446744073709551616", wire), named(8, "0%d" % stored, wire),
                 named(9, stored, "0%d" % wire), "1700000010.twice,S=%d,S=%d,W=%d:2," % (stored, stored, wire),
                 "1700000011.behind:2,S,S=%d,W=%d" % (stored, stored), "1700000012.half,S=%d:2," % stored, "1700000013.half,W=%d:2," % stored,
                 "1700000014.sign,S=%d,W=-%d:2," % (stored, wire)]
        for name in names:
            self.anna.deliver(SMALL, "cur", name)
        want = [len(bodies.wire(SMALL))] * len(names)
        mark = self.server.mark()
        self.assertEqual(self.session([SMALL] * len(names)), want)
        self.assertEqual(self.session([SMALL] * len(names)), want)
        self.assertNotIn("wrong size", self.server.log()[mark:])

    def test_deleted_unread(self):
        """What nobody has fetched is deleted all the same, and nothing else is."""
        for n, text in enumerate(TEXTS):
            self.anna.deliver(text, "cur", named(n, len(text), true_sizes(text)[1] - (n == 0)))
        client = self.login()
        client.ok("DELE 1")
        client.ok("DELE 3")
        os.rename(self.anna.maildir / "cur" / named(0, len(SMALL), true_sizes(SMALL)[1] - 1),
                  self.anna.maildir / "cur" / named(0, len(SMALL), true_sizes(SMALL)[1] - 1, ":2,FS"))
        client.quit()
        self.assertEqual(sorted(self.anna.stored().values()), sorted([LARGE, NO_END]))

    def test_same_with_and_without_index(self):
        """LIST and UIDL, small and large: the same in the first session, in the next, and when the index is lost."""
        for count in (5, 600):
            self.anna.empty()
            self.forget()
            texts = [b"Subject: %d\n\n%s\n" % (n, b"x" * n) for n in range(count)]
            for n, text in enumerate(texts):
                self.anna.deliver(text, "cur" if n % 2 else "new", named(n, *true_sizes(text), ":2," if n % 2 else ""))
            seen = []
            for fetch in (0, 3, 0):
                with self.login() as client:
                    seen.append((client.list(), client.uidl(), client.stat()))
                    for number in range(1, fetch + 1):
                        self.assertEqual(client.retr(number), bodies.wire(texts[number - 1]))
                    client.quit()
            self.forget()
            with self.login() as client:
                seen.append((client.list(), client.uidl(), client.stat()))
                client.quit()
            self.assertEqual(seen, [seen[0]] * 4)
            self.assertEqual(list(seen[0][0].values()), [len(bodies.wire(text)) for text in texts])

    def test_all_renamed(self):
        """Most unique-ids are new, of messages that nobody has read: noticed by their sizes and times; of some that were, by their content."""
        for fetched in (False, True):
            self.anna.empty()
            self.forget()
            for n in range(30):
                text = b"Subject: %d\n\ntext\n" % n
                path = self.anna.deliver(text, "cur", named(n, *true_sizes(text)))
                os.utime(path, (1700000000 + n, 1700000000 + n))
            with self.login() as client:
                for number in range(1, 31 if fetched else 1):
                    client.retr(number)
                client.quit()
            for n, path in enumerate(sorted((self.anna.maildir / "cur").iterdir())):
                os.rename(path, str(path).replace(".host", ".moved"))
                if fetched:
                    os.utime(str(path).replace(".host", ".moved"), (1600000000, 1600000000))
            client = self.client()
            client.ok("USER anna")
            client.err("PASS secret", "fetched again")
            client.close()
            for path in (self.anna.maildir / "cur").iterdir():
                os.rename(path, str(path).replace(".moved", ".host"))
            with self.login() as client:
                self.assertEqual(client.stat()[0], 30)
                client.quit()


if __name__ == "__main__":
    unittest.main()
