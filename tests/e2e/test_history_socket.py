"""history_socket, over which users ask: whoever connects can send what he likes, or nothing, and costs nobody else anything."""
import os
import socket
import struct
import unittest

from postern import ROOT
from processes import PATIENCE, wait_until
from test_explain import OK, TEMPORARY, ExplainCase, postern, reference
from tracing import Trace


@unittest.skipUnless(ROOT, "root reads the files; others ask")
class Abuse(ExplainCase):
    def ask(self, *messages):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(s.close)
        s.connect(str(self.server.base / "ask"))
        s.settimeout(30 * PATIENCE)
        try:
            for message in messages:
                s.send(message)
        except BrokenPipeError:
            pass  # all places are taken: it was closed already
        return s

    def question(self, **changes):
        fields = dict(format=0x50480001, ref=0, since=0, kinds=7, uid=0xffffffff, user=b"")
        fields.update(changes)
        return struct.pack("=IIqII132s4x", *fields.values())

    def rest(self, s):
        answers = []
        while True:
            try:
                data = s.recv(4096)
            except ConnectionResetError:
                return answers
            if not data:
                return answers
            answers.append(data)

    def test_garbage(self):
        self.on_record(reference(self.refused()))
        good = self.question()
        rows = {"too short": good[:-1], "too long": good + b"x", "another format": self.question(format=1), "one octet": b"x", "large": os.urandom(60000)}
        for label, message in rows.items():
            with self.subTest(label):
                self.assertEqual(self.rest(self.ask(message)), [])
        # A user name without an end is cut, and finds nobody.
        self.assertEqual([len(a) for a in self.rest(self.ask(self.question(user=b"a" * 132)))], [4])
        answers = self.rest(self.ask(good))
        self.assertGreater(len(answers), 1)
        self.assertEqual(answers[-1], struct.pack("=I", 0x50480001))
        self.on_record(reference(self.refused()))

    def test_those_who_never_ask_and_never_read(self):
        """They take all places for a while, and others are told to come again, not that nothing is there. Mail goes on."""
        ref = reference(self.refused())
        self.on_record(ref)
        silent = [self.ask() for _ in range(6)] + [self.ask(self.question()) for _ in range(6)]
        seen = set()

        def answered():
            status, out, err = postern("explain", "-c", self.server.config_file, ref, uid=self.anna.uid)
            seen.add(status)
            self.assertIn(status, (OK, TEMPORARY), out + err)
            return status == OK
        with self.login("bert") as client:
            client.quit()
        wait_until(answered, "the silent ones are let go of", 30)
        for s in silent:
            s.close()

    def ask_as(self, uid, count):
        """So many connections of that user's process, which lives until the test is over."""
        ready, over = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(over[1])
                os.setgroups([])
                os.setresuid(uid, uid, uid)
                asking = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
                for s in asking:
                    s.connect(str(self.server.base / "ask"))
                os.write(ready[1], b"x")
                os.read(over[0], 1)
            finally:
                os._exit(0)
        os.close(ready[1])
        os.close(over[0])

        def end():
            os.close(over[1])
            os.close(ready[0])
            os.waitpid(pid, 0)
        self.addCleanup(end)
        self.assertEqual(os.read(ready[0], 1), b"x")

    def test_one_user_has_two_places(self):
        """However many ask in his name: another is answered at once."""
        ref = reference(self.refused())
        self.on_record(ref)
        self.ask_as(self.server.users["bert"].uid, 20)
        status, out, err = postern("explain", "-c", self.server.config_file, ref, uid=self.anna.uid)
        self.assertEqual(status, OK, out + err)

    def test_no_process_for_it(self):
        """Where none can be made now for a question it waits, and is answered when one can."""
        recorder = next(p.pid for p in self.server.processes() if p.name == "posternd-record")
        trace = self.server.base / "trace"
        with Trace(recorder, "clone,clone3:error=EAGAIN", calls="clone,clone3", output=trace):
            s = self.ask(self.question())
            wait_until(lambda: trace.read_text().count("EAGAIN") > 1, "it is tried again")
        self.assertEqual(self.rest(s)[-1:], [struct.pack("=I", 0x50480001)])

    def test_root_is_not_held_up(self):
        ref = reference(self.refused())
        silent = [self.ask() for _ in range(12)]
        self.on_record(ref)
        for s in silent:
            s.close()


if __name__ == "__main__":
    unittest.main()
