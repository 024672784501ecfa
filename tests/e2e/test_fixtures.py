"""Odd mailboxes and Maildirs, more than 200: built from parts, so that what is in them is known without reading them.

For each: LIST says what RETR sends, RETR sends the part with its line ends, unique-ids differ and stay; then some messages
are deleted, and what is left of the file are the other parts, to the octet.
"""
import itertools
import random
import unittest

from postern import PREFIX, ServerCase

FROM = b"From ann@example.org Thu Jan  1 00:00:00 1970"
HEADER = b"Subject: x\nFrom: ann\n\n"
BUFFERS = (4096, 8192, 65536, 131072)


def wire(content):
    """What RETR sends of it: every LF or CRLF is CRLF, and the last line has one, too."""
    lines = content.split(b"\n")
    whole, rest = lines[:-1], lines[-1]
    out = b"".join((line[:-1] if line.endswith(b"\r") else line) + b"\r\n" for line in whole)
    return out + (rest + b"\r\n" if rest else b"")


class Part:
    """A message as the mbox has it: its From_ line, what the client gets, and what separates it from the next."""

    def __init__(self, content, eol=b"\n", separator=None, start=FROM):
        self.start, self.content = start + eol, content
        self.separator = eol if separator is None else separator

    def octets(self):
        return self.start + self.content + self.separator


def text(size, seed=0, eol=b"\n"):
    """A message of that many octets, with lines of many lengths."""
    rng = random.Random(seed * 1000003 + size)
    out = HEADER.replace(b"\n", eol)
    while len(out) < size:
        out += bytes(rng.choice(b"abc .") for _ in range(rng.randrange(0, 120))) + eol
    return out[:size - len(eol)].rstrip(b"\r") + eol


def mboxes():
    """(name, parts)"""
    small = [Part(text(120 + i, i)) for i in range(3)]
    # Sizes around every buffer and page: of a message, of the file, and of what is before a From_ line.
    for buffer in BUFFERS:
        for off in (-2, -1, 0, 1, 2):
            yield "message of %d%+d" % (buffer, off), [Part(text(buffer + off)), *small]
            yield "file of %d%+d" % (buffer, off), [*small, Part(text(buffer + off - sum(len(p.octets()) for p in small) - len(FROM) - 2))]
        for off in range(-len(FROM) - 3, 5, 3):
            yield "From_ line at %d%+d" % (buffer, off), [Part(text(buffer + off - len(FROM) - 2)), *small]
    # Line ends.
    for name, eol in (("LF", b"\n"), ("CRLF", b"\r\n")):
        for n in (1, 2, 5):
            yield "%s, %d messages" % (name, n), [Part(text(200 + i, i, eol), eol) for i in range(n)]
        yield "%s, no separator at the end" % name, [small[0], Part(text(300, 1, eol), eol, b"")]
        yield "%s, no last line end" % name, [small[0], Part(HEADER.replace(b"\n", eol) + b"end", eol, b"")]
    yield "LF and CRLF by turns", [Part(text(200 + i, i, (b"\n", b"\r\n")[i % 2]), (b"\n", b"\r\n")[i % 2]) for i in range(6)]
    yield "LF, then CRLF, in one message", [Part(HEADER + b"a\r\nb\nc\r\n\nd\n"), *small]
    # Octets.
    for name, octets in (("NUL", b"\0"), ("8 bits", bytes(range(128, 256))), ("bare CR", b"a\rb\r\rc"), ("CR before CRLF", b"a\r\r"),
                         ("controls", bytes(set(range(1, 32)) - {10})), ("dot", b"."), ("dots", b"..."), ("dot and text", b".x"),
                         ("backspace and DEL", b"\x08\x7f"), ("UTF-8", "äöü€".encode()), ("spaces", b"  \t  ")):
        for where, content in (("alone", octets + b"\n"), ("last", b"x\n" + octets), ("first", octets + b"\nx\n"),
                               ("after a blank line", b"\n" + octets + b"\n")):
            end = b"" if where == "last" else None
            yield "%s, %s" % (name, where), [small[0], Part(HEADER + content, separator=end)]
    for length in (998, 999, 4095, 4096, 8192, 65535, 65536, 131071, 131072, 131073, 300000):
        yield "a line of %d" % length, [Part(HEADER + b"y" * length + b"\n"), *small]
        yield "a field of %d" % length, [Part(b"X: " + b"y" * length + b"\n" + HEADER + b"z\n"), *small]
    yield "a line of 8192 that begins with From", [Part(HEADER + b"\nFrom " + b"y" * 8187 + b"\n"), *small]
    # What is no From_ line.
    for name, line in (("prose", b"From here on it is prose"), ("no date", b"From ann@example.org"), ("no year", b"From a Thu Jan  1 00:00:00"),
                       ("quoted", b">" + FROM), ("a blank before", b" " + FROM), ("small letters", FROM.lower()),
                       ("no time", b"From a Thu Jan  1 1970"), ("with a colon", b"From: ann Thu Jan  1 00:00:00 1970")):
        yield "no From_ line: " + name, [Part(HEADER + b"one\n\n" + line + b"\ntwo\n"), *small]
    yield "From_ line without a blank line before", [Part(HEADER + b"one\n" + FROM + b"\ntwo\n"), *small]
    yield "From_ line behind CR LF CR", [Part(HEADER + b"one\r\n\r" + FROM + b"\ntwo\n"), *small]
    # What is one.
    for start in (b"From a Thu Jan  1 00:00 1970", b"From a@b Thu, 1 Jan 1970 00:00:00 +0000", b"From - Thu Jan  1 00:00:00 1970",
                  b"From a@b Thu Jan  1 00:00:00 1970 -0800", b"From a@b Thu Jan  1 00:00:00 PST 1970", b"From \"a b\"@c Thu Jan  1 00:00:00 1970",
                  b"From a@b  Thu Jan 01 00:00:00 1970 remote from c", b"From a@b thu jan  1 00:00:00 1970",
                  b'From "%s"@b Thu Jan  1 00:00:00 1970' % b" ".join([b"a"] * 32), b"From %s@b Thu Jan  1 00:00:00 1970" % (b"a" * 2000)):
        yield "From_ line: %r" % start.decode()[:64], [small[0], Part(HEADER + b"x\n", start=start), small[1]]
    # Forms of a message.
    for name, content in (("no body", b"Subject: x\n"), ("no body, blank line", b"Subject: x\n\n"), ("no header", b"\nbody\n"),
                          ("blank lines only", b"\n\n\n\n"), ("nothing", b""), ("many blank lines at the end", HEADER + b"x\n\n\n\n\n\n")):
        yield name + ", first", [Part(content), *small]
        yield name + ", between", [small[0], Part(content), *small[1:]]
        yield name + ", last", [*small, Part(content)]
    # Content-Length.
    body = b"one\n\n" + FROM + b"\nX: y\n\ntwo\n"
    yield "Content-Length is right", [Part(b"Content-Length: %d\n\n" % len(body) + body), *small]
    for length in (b"0", b"1", b"3", b"5", b"99999999", b"-1", b"4294967300", b"18446744073709551620", b"x", b"", b"1 2"):
        yield "Content-Length: %s" % length.decode(), [Part(b"Content-Length: " + length + b"\n\nfive\nsix\n"), *small]
    # Equal messages, and many.
    yield "equal messages", [Part(text(150))] * 7
    yield "equal but for Status", [Part(b"Status: %s\n" % flags + text(150)) for flags in (b"R", b"O", b"RO")]
    yield "a thousand", [Part(text(60 + i % 300, i)) for i in range(1000)]


def maildirs():
    """(name, {file name: content})"""
    base = {"1700000001.a": text(100), "1700000002.b": text(200)}
    for buffer in BUFFERS:
        for off in (-1, 0, 1):
            yield "file of %d%+d" % (buffer, off), {**base, "1700000003.c": text(buffer + off)}
    for name, content in (("empty", b""), ("no last line end", HEADER + b"end"), ("CRLF", text(300, 1, b"\r\n")), ("CR at the end", HEADER + b"x\r"),
                          ("NUL", HEADER + b"a\0b\n"), ("no header", b"\nbody\n"), ("From_ line inside", FROM + b"\n" + HEADER),
                          ("dots", HEADER + b".\n..\n.x\n"), ("one octet", b"x"), ("one line end", b"\n")):
        yield name, {**base, "1700000003.c": content}
    for name in ("1700000003.c:2,S", "1700000003.c:2,", "1700000003.c:2,DFPRST", "1700000003.c:1,x", "1700000003.c,S=5,W=7", "1700000003.c,S=99999:2,S",
                 "x" * 70, "x" * 71, "x" * 250, "a b", "c\xe4", "line\nend", "tab\t", "1700000003.c:2,abc", "-", "=+~", "%s%n"):
        yield "called %r" % name, {**base, name: text(150, 3)}


class Fixtures(ServerCase):
    users = ("anna", "bert")
    location = "mbox:SPOOL/%u"

    def read(self, want, subject):
        """A session that looks at everything; the unique-ids."""
        with self.login() as client:
            self.assertEqual(client.stat(), (len(want), sum(map(len, want))), subject)
            uidl = client.uidl()
            self.assertEqual(len(set(uidl.values())), len(want), subject)
            self.assertEqual(list(client.list().values()), [len(octets) for octets in want], subject)
            client.send(b"".join(b"RETR %d\r\n" % (i + 1) for i in range(len(want))))
            for octets in want:
                self.assertTrue(client.status().startswith("+OK"))
                self.assertEqual(client.body(), octets, subject)
            client.quit()
        return uidl

    def delete(self, gone):
        with self.login() as client:
            client.send(b"".join(b"DELE %d\r\n" % (i + 1) for i in sorted(gone)))
            for _ in gone:
                self.assertTrue(client.status().startswith("+OK"))
            self.assertRegex(client.quit(), r"^\+OK %d message" % len(gone))

    def test_mbox(self):
        anna, count = self.server.users["anna"], 0
        for name, parts in itertools.islice(mboxes(), None, None, 5 if PREFIX else 1):  # valgrind takes its time
            count += 1
            with self.subTest(name=name):
                whole = b"".join(p.octets() for p in parts)
                anna.write_mbox(whole)
                want = [wire(p.content) for p in parts]
                uidl = self.read(want, name)
                self.assertEqual(self.read(want, name), uidl, name)
                self.assertEqual(anna.mbox.read_bytes(), whole, name)
                rng = random.Random(name)
                n = len(parts)
                for gone in (rng.choice(({0}, {n - 1}, set(range(n)))), set(rng.sample(range(n), (n + 1) // 2))):
                    with self.subTest(name=name, gone=len(gone)):
                        anna.write_mbox(whole)
                        self.delete(gone)
                        left = [p for i, p in enumerate(parts) if i not in gone]
                        self.assertEqual(anna.mbox.read_bytes(), b"".join(p.octets() for p in left), name)
        self.assertGreaterEqual(count, 40 if PREFIX else 200)
        print("%d mailboxes" % count)


class MaildirFixtures(Fixtures):
    location = "maildir:~/Maildir"
    test_mbox = None

    def test_maildir(self):
        anna, count = self.server.users["anna"], 0
        for name, files in maildirs():
            count += 1
            with self.subTest(name=name):
                anna.empty()
                for file_name, content in files.items():
                    anna.deliver(content, "cur", file_name)
                self.check_maildir(name, files)
        print("%d Maildirs" % count)

    def check_maildir(self, name, files):
        with self.login() as client:
            uidl = client.uidl()
            found = {uid: client.retr(n) for n, uid in uidl.items()}
            sizes = client.list()
            self.assertEqual([sizes[n] for n in uidl], [len(found[uid]) for uid in uidl.values()], name)
            client.quit()
        self.assertEqual(sorted(found.values()), sorted(wire(content) for content in files.values()), name)
        with self.login() as client:
            self.assertEqual(client.uidl(), uidl, name)
            for n in uidl:
                if found[uidl[n]] == wire(files.get("1700000001.a", b"")):
                    client.ok("DELE %d" % n)
            client.quit()
        anna = self.server.users["anna"]
        left = {path.name: path.read_bytes() for path in (anna.maildir / "cur").iterdir()}
        self.assertEqual(left, {k: v for k, v in files.items() if k != "1700000001.a"}, name)


if __name__ == "__main__":
    unittest.main()
