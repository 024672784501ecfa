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


class Several(unittest.TestCase):
    """`location` with two: some users have a Maildir, others an mbox."""
    LIST = "maildir:~/Maildir mbox:SPOOL/%u"

    def make(self, users=("anna",), location=LIST, **settings):
        server = Server(users, location=location, **settings)
        self.addCleanup(server.stop)
        return server

    def seen(self, server, user="anna"):
        """The subjects that a login shows."""
        with server.login(user) as client:
            subjects = [bodies.subjects(client.retr(n))[0].decode() for n in client.list()]
            client.quit()
        return subjects

    def refused(self, server, words, user="anna"):
        """What a login is told, and what the log says of it."""
        mark = server.mark()
        with server.client() as client:
            client.ok("USER %s" % user)
            told = client.err("PASS secret")
        server.wait_for_log(words, since=mark)
        return told

    def put_mbox(self, user, *subjects):
        user.write_mbox(b"".join(b"From x Thu Jan  1 00:00:00 2026\n" + bodies.message(s).replace(b"\r\n", b"\n") + b"\n" for s in subjects))

    def test_the_first_that_exists(self):
        """Each his own; who has both, by the order; who has none, as the last says; who gets one, from the next login on."""
        server = self.make(("anna", "bert", "both", "none"))
        anna, bert, both, none = (server.users[name] for name in ("anna", "bert", "both", "none"))
        anna.deliver(bodies.message("maildir of anna"))
        self.put_mbox(bert, "mbox of bert")
        both.deliver(bodies.message("maildir of both"))
        self.put_mbox(both, "mbox of both")
        self.assertEqual([self.seen(server, name) for name in ("anna", "bert", "both", "none")],
                         [["maildir of anna"], ["mbox of bert"], ["maildir of both"], []])
        self.assertFalse((none.home / "Maildir").exists() or none.mbox.exists() or (bert.home / "Maildir").exists())
        self.put_mbox(none, "mbox of none")
        self.assertEqual(self.seen(server, "none"), ["mbox of none"])
        bert.maildir.is_dir()  # which makes it
        self.assertEqual(self.seen(server, "bert"), [])
        server.write_config(maildrop={"location": " ".join(reversed(server.settings["maildrop"]["location"].split(" ")))})
        server.reload()
        self.assertEqual([self.seen(server, name) for name in ("both", "anna")], [["mbox of both"], ["maildir of anna"]])

    def test_deletes_and_locks_where_it_reads(self):
        """Session lock, index and UPDATE are of the place that was chosen."""
        server = self.make(("both", "bert"))
        both, bert = server.users["both"], server.users["bert"]
        both.deliver(bodies.message("maildir 1"))
        both.deliver(bodies.message("maildir 2"))
        self.put_mbox(both, "mbox")
        self.put_mbox(bert, "one", "two", "three")
        before = both.mbox.read_bytes()
        for name, left in (("both", ["maildir 2"]), ("bert", ["two", "three"])):
            with server.login(name) as client:
                with server.client() as other:
                    other.ok("USER %s" % name)
                    self.assertIn("[IN-USE]", other.err("PASS secret"))
                client.ok("DELE 1")
                client.quit()
            self.assertEqual(self.seen(server, name), left)
        self.assertEqual(both.mbox.read_bytes(), before)

    def test_only_absence_goes_on(self):
        """Anything else about the first is told, and the second is not taken for it."""
        server = self.make()
        anna, maildir = server.users["anna"], server.users["anna"].home / "Maildir"
        self.put_mbox(anna, "mbox")
        self.assertEqual(self.seen(server), ["mbox"])
        os.symlink("nowhere", maildir)
        self.assertIn("[SYS/PERM]", self.refused(server, r"\(%s is a symbolic link, which is not followed" % maildir))
        maildir.unlink()
        maildir.write_bytes(b"")
        self.assertIn("[SYS/", self.refused(server, r"\(open the directory %s: Not a directory" % maildir))
        maildir.unlink()
        if ROOT:
            maildir.mkdir()
            self.assertIn("[SYS/PERM]", self.refused(server, r"\(%s belongs to uid 0, not to uid" % maildir))
            maildir.rmdir()
        self.assertEqual(self.seen(server), ["mbox"])

    @unittest.skipUnless(ROOT, "needs root: a directory that the owner may not enter")
    def test_looked_for_by_its_owner(self):
        """A way that is closed to the owner is not absent, whatever root sees there, and root tells nobody what is where a user's link leads."""
        server = self.make(location="maildir:~/mail/box mbox:SPOOL/%u")
        anna, closed = server.users["anna"], server.base / "closed"
        self.put_mbox(anna, "mbox")
        closed.mkdir(mode=0o700)
        os.symlink(closed, anna.home / "mail")
        for there in (False, True):
            if there:
                (closed / "box").mkdir()
            with self.subTest(there=there):
                self.assertIn("[SYS/PERM]", self.refused(server, "Permission denied"))

    def test_not_mounted(self):
        """A home that is gone with its Maildir is not mounted, also where the way to it is a link; a Maildir alone that is gone, is."""
        server = self.make(setup="")
        anna = server.users["anna"]
        away, homes = server.base / "away", server.base / "homes"
        os.symlink(anna.home.parent, homes)
        server.users["anna"].home = homes / "anna"
        server.write_passwd()
        self.put_mbox(anna, "mbox")
        anna.deliver(bodies.message("maildir"))
        self.assertEqual(self.seen(server), ["maildir"])
        os.rename(anna.home, away)
        self.assertIn("[SYS/TEMP]", self.refused(server, r"homes/anna, where mail was at the last login, 1 messages \(mount its file system"))
        os.rename(away, anna.home)
        self.assertEqual(self.seen(server), ["maildir"])
        os.rename(anna.maildir, away)
        mark = server.mark()
        self.assertEqual(self.seen(server), ["mbox"])
        server.wait_for_log(r"maildir:.*/Maildir is gone, where 1 messages were at the last login; the next location is used", since=mark)


if __name__ == "__main__":
    unittest.main()
