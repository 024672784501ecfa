"""What a client is told when passwords are guessed and when too many come: the answer, the log and `postern explain` agree.

See situations.py. The rules themselves are tested elsewhere; here each of their answers is brought about once.
"""
import re
import unittest

import situations
import situations_login
from client import Client, reference
from crowd import foreign_address, need_addresses
from postern import ServerCase
from processes import PATIENCE, wait_until


class Guessing(ServerCase):
    settings = {"limits": {"free_failures": 1, "longest_wait": 15, "repeat_seconds": 600, "login_tries": 20}, "tls": {"plaintext_login": "always"}}
    GUESSES = 12

    def guess(self, password, source):
        client = self.client(source=source)
        client.ok("USER anna")
        client.send(b"PASS %s\r\n" % password)
        return client

    def test_slowed(self):
        """Those whose turn would come in more than 20 seconds are told at once; nobody looked at their passwords."""
        need_addresses()
        clients = [self.guess(b"wrong%d" % n, "127.0.0.5") for n in range(self.GUESSES)]
        line = wait_until(lambda: next((line for line in (client.waiting() for client in clients) if b"not checked" in line), None),
                          "one is not looked at").decode().removesuffix("\r\n")
        situations.check(self.server, "SLOWED", "many wrong passwords at once", line, user="anna", peer="127.0.0.5", says="not verified: too many")
        self.assertRegex(line, r"try again in [1-9]\d? seconds?: ")
        log = self.server.wait_for_log(r"login failed: .*ref=%s.*" % reference(line)).group()
        self.assertIn('reason="slowed down"', log)
        # From elsewhere the right password is as good as ever.
        with Client(self.server, source=foreign_address(6)) as client:
            client.sock.settimeout(60 * PATIENCE)
            client.login("anna")
            client.quit()

    def test_repeated(self):
        """The same wrong password again: the same answer, and the record says that nobody was asked."""
        lines = []
        for _ in range(2):
            with Client(self.server, source="127.0.0.7") as client:
                client.ok("USER anna")
                lines.append(client.cmd("PASS old"))
        situations.check(self.server, "INVALID_PASSWORD", "the same wrong password again", lines[1], user="anna", peer="127.0.0.7",
                         says="the same password was refused a while ago; not asked again")
        self.assertNotIn("not asked", situations.explained(self.server, reference(lines[0]))["tried"])


class Floods(unittest.TestCase):
    server, client = situations_login.Login.server, situations_login.Login.client

    def hold(self, server, sources):
        """A connection from each that is served; the frame's own, by which it saw the server start, may still be going."""
        def served(source):
            client = self.client(server, source=source)
            if client.greeting.startswith("+OK"):
                return client
            client.close()
            return None
        return [wait_until(lambda source=source: served(source), "a connection is served") for source in sources]

    def test_full(self):
        """All workers serve a user: nobody has to make room."""
        server = self.server(settings={"workers": {"spare_min": 1, "spare_max": 1, "max": 2}})
        held = []
        for user in ("anna", "bert"):
            held += self.hold(server, ["127.0.0.1"])
            held[-1].login(user)
        line = self.client(server, greeting=False).status()
        situations.check(server, "SERVER_FULL", "more connections than max", line)
        for client in held:
            client.quit()

    def test_crowded(self):
        """More than half of all workers have strangers, and all but one of them come from one address."""
        server = self.server(settings={"workers": {"spare_min": 1, "spare_max": 1, "max": 4}})
        held = self.hold(server, ["127.0.0.2", "127.0.0.2", "127.0.0.3"])

        def refused():
            """At random: every second one."""
            client = Client(server, source="127.0.0.2", greeting=False)
            line = client.status()
            if "without a login" in line:
                self.addCleanup(client.close)
                return line
            client.close()
            return None
        line = wait_until(refused, "one is refused")
        situations.check(server, "CROWDED", "a crowd from one address", line, peer="127.0.0.2")
        # Who has none there is let in, at the crowd's expense if need be.
        self.hold(server, ["127.0.0.4"])
        del held

    def test_made_room(self):
        """All workers have strangers: who came first makes room for the newcomer, once he has had time to log in."""
        server = self.server(settings={"workers": {"spare_min": 1, "spare_max": 1, "max": 2}})
        first, _ = self.hold(server, ["127.0.0.2", "127.0.0.3"])
        self.hold(server, ["127.0.0.4"])
        line = first.status()
        situations.check(server, "MADE_ROOM", "a full server, and a newcomer", line, peer="127.0.0.2")
        first.end()
        server.wait_for_log(r'session: user="" login=no peer=127\.0\.0\.2 .* end="made room for others"')
        self.assertFalse(re.search("peer=127.0.0.2 .*killed|violation", server.log()))


if __name__ == "__main__":
    unittest.main()
