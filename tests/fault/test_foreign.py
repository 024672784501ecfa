"""Another program rewrites the maildrop in mid-session: no message that is not marked is removed or altered by us."""
import os
import random
import unittest

from postern import ServerCase
from sweep import FULL, Box, as_sent, in_file, message

SCHEDULES = 1000 if FULL else 40


def status_lines(stored):
    """The message with a Status field, as mail readers write it."""
    return stored.replace(b"\nSubject:", b"\nStatus: RO\nSubject:", 1)


class Reading(ServerCase):
    """Another program rewrites the mbox while a slow client reads a message that is larger than what waits in sockets."""
    location = "mbox:SPOOL/%u"
    FROM = b"From ann@example.org Thu Jan  1 00:00:00 1970\n"
    LINES = 300000  # of 77 octets; with CRLF 23 MB

    def setUp(self):
        super().setUp()
        self.large = self.FROM + b"Subject: large\n\n" + b"".join(b"%076d\n" % i for i in range(self.LINES)) + b"\n"
        self.sent = self.large.split(b"\n", 1)[1][:-1].replace(b"\n", b"\r\n")

    def read_while(self, content, change):
        """RETR 2, with the change when its first octets are there; what comes behind the status line."""
        mbox = self.server.users["anna"].mbox
        self.server.users["anna"].write_mbox(b"".join(content))
        got = bytearray()
        with self.login("anna") as client:
            client.send(b"RETR 2\r\n")
            while not got:
                got += client.sock.recv(1 << 16)
            with open(mbox, "r+b") as f:
                change(f)
            while not got.endswith(b"\r\n.\r\n"):
                more = client.sock.recv(1 << 20)
                if not more:
                    break
                got += more
        return bytes(got).split(b"\r\n", 1)[1]

    def test_other_mail_in_its_place(self):
        """The first message is removed: what moves up has as many line ends, so that only its octets are wrong. No final dot."""
        first = self.FROM + b"Subject: first\n\n"
        first += b"x" * (770 - len(first) - 2) + b"\n\n"
        last = self.FROM + b"Subject: last\n\n" + 5 * (99 * b"y" + b"\n")
        last += b"z" * (768 - len(last)) + b"\nend\n\n"

        def remove_first(f):
            f.write(self.large + last)
            f.truncate()
        self.server.expect_trouble = True
        got = self.read_while([first, self.large, last], remove_first)
        self.assertFalse(got.endswith(b"\r\n.\r\n"), "a message of %d octets, %s" % (len(got), "the right one" if got[:-3] == self.sent else "garbled"))
        self.server.wait_for_log("message 2 not sent: .*another program changed")

    def test_new_mail_behind_it(self):
        """What is appended does not disturb it."""
        first = self.FROM + b"Subject: first\n\nx\n\n"

        def append(f):
            f.seek(0, os.SEEK_END)
            f.write(first)
        got = self.read_while([first, self.large], append)
        self.assertTrue(got.endswith(b"\r\n.\r\n") and got[:-3] == self.sent, len(got))


class Foreign(unittest.TestCase):
    def schedules(self, box, one):
        """Run each schedule under its own seed, which a failure names."""
        self.addCleanup(box.server.stop)
        first = random.randrange(1 << 30)
        for seed in range(first, first + SCHEDULES):
            with self.subTest(seed=seed):
                one(box, random.Random(seed))

    def test_mbox(self):
        self.schedules(Box(count=6), self.rewrite_mbox)

    def rewrite_mbox(self, box, rng):
        """In the session: reorder, delete, change flags, append, replace by a rename or in place; then QUIT."""
        box.fill()
        marked = set(rng.sample(range(6), rng.randrange(1, 6)))
        client, _ = box.mark(marked)
        content = list(box.messages)
        how = rng.choice(("reorder", "delete", "flags", "append", "cut", "nothing"))
        if how == "reorder":
            rng.shuffle(content)
        elif how == "delete":
            del content[rng.randrange(6)]
        elif how == "flags":
            content[rng.randrange(6)] = status_lines(content[rng.randrange(6)])
        elif how == "append":
            content.append(message(50 + rng.randrange(9)))
        text = b"".join(content)
        if how == "cut":
            text = text[:rng.randrange(len(text))]
        if rng.random() < 0.5:
            new = box.user.mbox.with_name("new")
            new.write_bytes(text)
            box.user.own(new, 0o660)
            os.rename(new, box.user.mbox)
            replaced = True
        else:
            box.user.write_mbox(text)
            replaced = False
        answer = box.quit(client)
        client.close()
        left = box.user.mbox.read_bytes()
        unchanged_so_far = text.startswith(b"".join(box.messages))
        if answer.startswith(b"+OK"):
            self.assertTrue(unchanged_so_far and not replaced, how)
            kept = [m for i, m in enumerate(box.messages) if i not in marked] + content[6:]
            self.assertEqual(left, b"".join(kept))
        else:
            self.assertRegex(answer, rb"^-ERR \[SYS/TEMP\] some deleted messages not removed")
            self.assertTrue(replaced or not unchanged_so_far, (how, answer))
            self.assertEqual(left, text, how)

    def test_maildir(self):
        self.schedules(Box(maildir=True, count=6), self.rename_in_maildir)

    def rename_in_maildir(self, box, rng):
        """In the session: other flags, from new/ to cur/, removed, or another file under the old name; then QUIT."""
        box.fill()
        marked = set(rng.sample(range(6), rng.randrange(1, 6)))
        client, _ = box.mark(marked)
        folder = box.user.maildir
        taken, gone = {}, set()
        for i in range(6):
            name = "%d.M%dP1.host" % (1700000000 + i, i)
            how = rng.choice(("nothing", "flags", "new name", "removed", "taken"))
            old = folder / "new" / name
            if how in ("flags", "taken"):
                os.rename(old, folder / "cur" / (name + ":2," + rng.choice(("", "S", "RS", "FS"))))
            elif how == "new name":
                os.rename(old, folder / "cur" / (name + ":2,T"))
                os.rename(folder / "cur" / (name + ":2,T"), folder / "cur" / (name + ":2,ST"))
            elif how == "removed":
                old.unlink()
                gone.add(i)
            if how == "taken":  # its old name leads to another file now
                taken[i] = in_file(message(60 + i))
                box.user.deliver(taken[i], name=name)
        answer = box.quit(client)
        client.close()
        self.assertTrue(answer.startswith(b"+OK"), answer)
        found = sorted(octets for octets, _ in box.contents())
        want = [as_sent(m) for i, m in enumerate(box.messages) if i not in marked and i not in gone]
        want += [as_sent(message(60 + i)) for i in taken]
        self.assertEqual(found, sorted(want))


if __name__ == "__main__":
    unittest.main()
