"""A move from Dovecot: the same mail, served by Dovecot and then by postern with `unique_ids = dovecot`, has the same unique-ids,
so that a mail program which keeps mail on the server fetches only what is new.
"""
import os
import shutil
import subprocess
import unittest

from client import Client
from dovecot import Dovecot
from postern import ROOT, Server
from processes import PATIENCE


def unique_ids(server, delete=()):
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


@unittest.skipUnless(shutil.which("dovecot"), "dovecot is not installed")
@unittest.skipUnless(ROOT, "Dovecot needs root")
class Moving(unittest.TestCase):
    """location: where the mail is, for both."""

    FORMS = {"Maildir": ("maildir:~/Maildir", "maildir:~/Maildir"), "mbox": ("mbox:SPOOL/%u", "mbox:~/mail:INBOX=SPOOL/%u")}

    def begin(self, form, unique="dovecot"):
        ours, theirs = self.FORMS[form]
        server = Server(location=ours, settings={"maildrop": {"unique_ids": unique}}, start=False)
        self.addCleanup(lambda: server.popen and server.popen.poll() is None and server.stop())
        self.form, self.anna = form, server.users["anna"]
        self.put(1, 2, 3, 4, 5)
        dovecot = Dovecot(server.base / "dovecot", server.users.values(), theirs.replace("SPOOL", str(server.base / "spool")))
        self.addCleanup(lambda: dovecot.popen.poll() is None and dovecot.stop())
        return server, dovecot

    def put(self, *numbers):
        for number in numbers:
            if self.form == "Maildir":
                self.anna.deliver(letter(number), "new" if number % 2 else "cur")
            else:
                if not self.anna.mbox.exists():
                    self.anna.write_mbox(b"")
                self.anna.append_mbox(b"From bob@example.org Mon Nov  2 10:00:%02d 2026\n" % number + letter(number) + b"\n")

    def move(self, form):
        server, dovecot = self.begin(form)
        told = unique_ids(dovecot, delete=[1, 3])
        told = [told[i] for i in (1, 3, 4)]
        self.assertEqual(unique_ids(dovecot), told)
        dovecot.stop()
        server.start()
        self.assertEqual(unique_ids(server), told)
        self.put(6)
        after = unique_ids(server, delete=[1])
        self.assertEqual(after[:3], told)
        self.assertNotIn(after[3][-8:], told[0], "what came later is not Dovecot's")
        self.assertEqual(unique_ids(server), after[1:])

    def test_maildir(self):
        self.move("Maildir")

    def test_mbox(self):
        self.move("mbox")

    @unittest.skipUnless(shutil.which("mpop"), "mpop is not installed")
    def test_client(self):
        """mpop, which keeps mail on the server: what it fetched from Dovecot it does not fetch again; with postern's own it would."""
        for unique, fetched in (("dovecot", 1), ("own", 6)):
            for form in self.FORMS:
                with self.subTest(form=form, unique_ids=unique):
                    server, dovecot = self.begin(form, unique)
                    self.assertEqual(self.fetch(server, dovecot.pop3_port), 5)
                    self.assertEqual(self.fetch(server, dovecot.pop3_port), 0)
                    dovecot.stop()
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
