"""Where a maildrop is: patterns in `location`, maildrops that are missing, and what must never be followed or read: links,
special files, files of others.
"""
import os
import socket
import time
import unittest

import bodies
from postern import ROOT, Server
from processes import PATIENCE


class Places(unittest.TestCase):
    """Where the maildrop is, and what is in the way."""

    def test_missing_is_empty_and_not_made(self):
        for location, path in (("maildir:~/Maildir", "Maildir"), ("maildir:~/deep/er/Maildir", "deep"), ("mbox:~/mbox", "mbox")):
            with self.subTest(location):
                server = Server(location=location)
                try:
                    with server.login() as client:
                        self.assertEqual((client.stat(), client.list(), client.uidl()), ((0, 0), {}, {}))
                        client.quit()
                    self.assertFalse((server.users["anna"].home / path).exists())
                finally:
                    server.stop()

    def test_patterns(self):
        for pattern, path in (("%u", "anna@example.org"), ("%d/%n", "example.org/anna"), ("%n.%d", "anna.example.org"), ("100%%/%n", "100%/anna")):
            with self.subTest(pattern):
                server = Server(users=("anna@example.org",), start=False)
                try:
                    user = server.users["anna@example.org"]
                    user.deliver(bodies.message("here"))
                    target = server.base / "mail" / path
                    target.parent.mkdir(parents=True)
                    os.rename(user.maildir, target)
                    server.write_config(maildrop={"location": "maildir:%s/mail/%s" % (server.base, pattern)})
                    server.start()
                    with server.login("anna@example.org") as client:
                        self.assertIn(b"Subject: here", client.retr(1))
                        client.quit()
                finally:
                    server.stop()

    @unittest.skipUnless(ROOT, "needs root: two owners")
    def test_nothing_of_others(self):
        """Links, special files and files of others in a Maildir: never followed, never read, never in the way."""
        server = Server(users=("anna", "bert"))
        self.addCleanup(server.stop)
        anna, bert = server.users["anna"], server.users["bert"]
        anna.deliver(bodies.message("mine"))
        secret = bert.deliver(bodies.message("berts secret"))
        cur = anna.maildir / "cur"
        os.symlink(secret, cur / "1700000100.link:2,")
        os.symlink("/etc/shadow", cur / "1700000101.shadow:2,")
        os.symlink("../new", cur / "1700000102.dirlink:2,")
        os.mkfifo(cur / "1700000103.fifo:2,")
        (cur / "1700000104.dir:2,").mkdir()
        (cur / ".hidden").write_bytes(bodies.message("hidden"))
        with socket.socket(socket.AF_UNIX) as s:
            here = os.getcwd()
            os.chdir(cur)
            s.bind("1700000105.socket:2,")
            os.chdir(here)
        (anna.maildir / "tmp" / "1700000106.unfinished").write_bytes(bodies.message("unfinished"))
        client = server.client()
        start = time.monotonic()
        client.login("anna")
        self.assertLess(time.monotonic() - start, 30 * PATIENCE)  # a FIFO would be waited for without end
        said = b"".join(client.retr(n) for n in client.list())
        self.assertEqual(bodies.subjects(said), [b"mine"])
        self.assertNotIn(b"root:", said)
        for number in client.list():
            client.ok("DELE %d" % number)
        client.quit()
        self.assertTrue(secret.exists())

    @unittest.skipUnless(ROOT, "needs root: two owners")
    def test_a_maildir_that_leads_elsewhere(self):
        """The Maildir, or its cur, is a link to another user's, who has left it open to all: not followed."""
        for link in ("Maildir", "Maildir/cur", "Maildir/new"):
            with self.subTest(link):
                server = Server(users=("anna", "bert"))
                try:
                    anna, bert = server.users["anna"], server.users["bert"]
                    bert.deliver(bodies.message("berts secret"), link[-3:] if "/" in link else "new")
                    for folder in (bert.maildir, bert.maildir / "cur", bert.maildir / "new"):
                        folder.chmod(0o777)
                    if "/" in link:
                        os.rmdir(anna.maildir / link[-3:])
                    os.symlink(bert.home / link, anna.home / link)
                    client = server.client()
                    client.ok("USER anna")
                    if client.cmd("PASS secret").startswith("+OK"):
                        self.assertNotIn(b"berts secret", b"".join(client.retr(n) for n in client.list()))
                    client.close()
                    self.assertEqual(len(bert.stored()), 1)
                finally:
                    server.stop()

    @unittest.skipUnless(ROOT, "needs root: two owners")
    def test_a_lock_of_others(self):
        """Who makes his way to his mail a link to another's gets a lock of his own by it, and never that one's."""
        server = Server(users=("anna", "bert"), location="maildir:~/mail/box")
        self.addCleanup(server.stop)
        anna, bert = server.users["anna"], server.users["bert"]
        for folder in ("mail", "mail/box", "mail/box/new", "mail/box/cur"):
            (anna.home / folder).mkdir()
            anna.own(anna.home / folder, 0o755)
        os.symlink(anna.home / "mail", bert.home / "mail")
        with server.login("anna") as holder:
            with server.client() as client:
                client.ok("USER bert")
                self.assertNotIn("[IN-USE]", client.err("PASS secret"))
            holder.quit()


if __name__ == "__main__":
    unittest.main()
