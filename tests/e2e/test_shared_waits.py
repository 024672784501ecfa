"""A newer login takes the maildrop over from a silent session, where both are served by shared workers. Takes half a minute."""
import unittest

import bodies
from client import Client
from processes import wait_until
from shared import OWNER, SharedCase
from tracing import keeper_in_session

A, B = b"Subject: a\n\none\n", b"Subject: b\n\ntwo\n"


class TakeOver(SharedCase):
    def take_over(self, server):
        """The newer login, when the older session has been silent for long enough; before that it is told when."""
        told = []

        def attempt():
            client = self.next_client(server, source="127.0.0.8")
            self.addCleanup(client.close)
            client.ok("USER anna")
            line = client.cmd("PASS secret")
            if line.startswith("+OK"):
                return client
            told.append(line)
            return client.close()
        client = wait_until(attempt, lambda: "the silent session is ended: %s" % told, 60)
        self.assertEqual([line for line in told if "[IN-USE]" not in line], [])
        self.assertNotEqual(told, [], "it was ended though it had just been heard of")
        return client

    def test_take_over(self):
        """The silent session is told and has deleted nothing; the newer one works, and there is room for the next user again."""
        server = self.serve(location="mbox:SPOOL/%u", settings={"maildrop": {"on_locked": "take-over"}, "workers": {"max": 2, "spare_max": 2}})
        anna, bert = server.users["anna"], server.users["bert"]
        anna.write_mbox(bodies.mbox([A, B]))
        bert.write_mbox(bodies.mbox([B]))
        silent = server.client(source="127.0.0.7")
        silent.login("anna")
        silent.ok("DELE 1")
        first = keeper_in_session(server)
        newer = self.take_over(server)
        self.assertIn("newer login of yours from 127.0.0.8;", silent.status())
        self.assertEqual(silent.rest(), b"")
        self.assertEqual(newer.stat()[0], 2)
        self.assertNotEqual(keeper_in_session(server), first)
        server.wait_for_log(r'\[%d\] keeper: session: user="anna" .*dropped-marks=1 .*end="taken over by a newer login"' % first)
        # Two workers are all there are, and the newer session has one.
        with self.next_client(server) as other:
            other.login("bert")
            self.assertEqual(other.retr(1), B.replace(b"\n", b"\r\n"))
            other.quit()
        newer.ok("DELE 2")
        newer.quit()
        self.assertEqual(bodies.subjects(anna.mbox.read_bytes()), [b"a"])
        self.assertEqual(anna.mbox.stat().st_uid, OWNER.pw_uid)

    def next_client(self, server, **options):
        """Who comes before the first worker is gone or free again is refused in words."""
        def admitted():
            client = Client(server, **options)
            return client if client.greeting.startswith("+OK") else client.close()
        return wait_until(admitted, "there is room for another session")


if __name__ == "__main__":
    unittest.main()
