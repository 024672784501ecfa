"""A move from Dovecot or Courier: the same mail, served by it and then by postern with `unique_ids`, has the same unique-ids, so that a
mail program which keeps mail on the server fetches only what is new.
"""
import os
import shutil
import subprocess
import unittest

from client import Client
from courier import PROGRAM, Courier
from dovecot import Dovecot
from postern import ROOT, Server
from processes import PATIENCE


def unique_ids_of(server, delete=()):
    client = Client(server)
    client.login("anna", "secret")
    client.ok("UIDL")
    ids = [line.split()[1].decode() for line in client.body().splitlines()]
    for number in delete:
        client.ok("DELE %d" % number)
    client.ok("QUIT")
    client.close()
    return ids


def letter(number):
    return b"From: bob@example.org\nSubject: %d\nMessage-ID: <%d@example.org>\n\ntext %d\n" % (number, number, number)


FORMS = {"Maildir": ("maildir:~/Maildir", "maildir:~/Maildir"), "mbox": ("mbox:SPOOL/%u", "mbox:~/mail:INBOX=SPOOL/%u")}


@unittest.skipUnless(ROOT, "other servers need root")
class Moving(unittest.TestCase):
    def begin(self, other, form, unique_ids):
        ours, theirs = FORMS[form]
        server = Server(location=ours, settings={"maildrop": {"unique_ids": unique_ids}}, start=False)
        self.addCleanup(lambda: server.popen and server.popen.poll() is None and server.stop())
        self.form, self.anna = form, server.users["anna"]
        self.put(1, 2, 3, 4, 5)
        if other == "courier":
            if not PROGRAM.exists():
                self.skipTest("Courier is not unpacked: tools/packages.sh check")
            old = Courier(server.base, server.users.values())
        else:
            if not shutil.which("dovecot"):
                self.skipTest("dovecot is not installed")
            old = Dovecot(server.base / "dovecot", server.users.values(), theirs.replace("SPOOL", str(server.base / "spool")), other)
        self.addCleanup(old.stop)
        return server, old

    def put(self, *numbers):
        for number in numbers:
            if self.form == "Maildir":
                self.anna.deliver(letter(number), "new" if number % 2 else "cur")
            else:
                if not self.anna.mbox.exists():
                    self.anna.write_mbox(b"")
                self.anna.append_mbox(b"From bob@example.org Mon Nov  2 10:00:%02d 2026\n" % number + letter(number) + b"\n")

    def move(self, other, form, unique_ids, looks):
        """other: Dovecot's pop3_uidl_format, or courier; looks: what its unique-ids look like."""
        server, old = self.begin(other, form, unique_ids)
        told = unique_ids_of(old, delete=[1, 3])
        told = [told[i] for i in (1, 3, 4)]
        for uidl in told:
            self.assertRegex(uidl, "^" + looks + "$")
        self.assertEqual(unique_ids_of(old), told)
        old.stop()
        server.start()
        self.assertEqual(unique_ids_of(server), told)
        self.put(6)
        after = unique_ids_of(server, delete=[1])
        self.assertEqual(after[:3], told)
        self.assertNotRegex(after[3], "^" + looks + "$", "what came later is postern's own")
        self.assertEqual(unique_ids_of(server), after[1:])

    def test_dovecot_maildir(self):
        self.move("%08Xu%08Xv", "Maildir", "dovecot", "0000000[2-5][0-9a-f]{8}")

    def test_dovecot_mbox(self):
        self.move("%08Xu%08Xv", "mbox", "dovecot", "0000000[2-5][0-9a-f]{8}")

    def test_dovecot_format(self):
        """As those have it who came to Dovecot from Courier, or from Cyrus."""
        self.move("UID%u-%v", "Maildir", "dovecot UID%u-%v", "UID[2-5]-[0-9]{10}")
        self.move("%v.%u", "Maildir", "dovecot %v.%u", "[0-9]{10}[.][2-5]")

    def test_validity_first(self):
        """As those have it who came to Dovecot from UW's ipop3d."""
        self.move("%08Xv%08Xu", "mbox", "ipop3d", "[0-9a-f]{8}0000000[2-5]")

    def test_courier(self):
        self.move("courier", "Maildir", "courier", "UID[2-5]-[0-9]{10}")

    @unittest.skipUnless(shutil.which("mpop"), "mpop is not installed")
    def test_client(self):
        """mpop, which keeps mail on the server: what it fetched from the old server it does not fetch again; with postern's own it would."""
        for other, form, unique_ids, fetched in (("%08Xu%08Xv", "Maildir", "dovecot", 1), ("%08Xu%08Xv", "mbox", "dovecot", 1), ("courier", "Maildir", "courier", 1),
                                                 ("%08Xu%08Xv", "Maildir", "own", 6), ("courier", "Maildir", "own", 6)):
            with self.subTest(other=other, form=form, unique_ids=unique_ids):
                server, old = self.begin(other, form, unique_ids)
                self.assertEqual(self.fetch(server, old.pop3_port), 5)
                self.assertEqual(self.fetch(server, old.pop3_port), 0)
                old.stop()
                server.start()
                self.put(6)
                self.assertEqual(self.fetch(server, server.pop3_port), fetched)
                server.stop()

    @staticmethod
    def fetch(server, port):
        """How many messages a run of mpop brings."""
        work, box = server.base, server.base / "fetched"
        box.write_bytes(b"")
        config = work / "mpoprc"
        config.write_text("account test\nhost 127.0.0.1\nport %d\nuser anna\npassword secret\nauth user\ntls off\nkeep on\n"
                          "uidls_file %s\ndelivery mbox %s\n" % (port, work / "uidls", box))
        config.chmod(0o600)
        subprocess.run(["mpop", "-C", str(config), "-q", "test"], check=True, timeout=60 * PATIENCE, stdin=subprocess.DEVNULL,
                       env={**os.environ, "HOME": str(work)})
        return box.read_bytes().count(b"\nSubject: ")
