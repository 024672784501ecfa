"""Each failure that a client can bring about: what it is told, what the log says and what `postern explain` says agree.

One situation a line of the tables, or a method where it takes a story: situations_typed.py, situations_login.py,
situations_maildrop.py. Those that need half a minute are in test_waits.py. The last test counts: at least 60 situations, and
every row but those that it names, with the reason.
"""
import unittest

import situations
from postern import ROOT, elsewhere
from situations_login import *  # noqa: F401,F403  (the loader takes the classes)
from situations_maildrop import *  # noqa: F401,F403
from situations_typed import *  # noqa: F401,F403
from test_pam import REASON as NO_PAM


class Whole(unittest.TestCase):
    """After the others (classes run in the order of their names)."""

    ELSEWHERE = {
        "BUSY": "test_waits.py", "BUSY_NAMED": "test_waits.py", "BUSY_DELIVERY": "test_waits.py", "KEPT_BUSY": "test_waits.py",
        "TAKEN_OVER": "test_waits.py", "ENDED": "test_sessions_cli.py", "LOCKED": "tests/unit/daemon/test_bell.c", "IDLE": "ten minutes at least: RFC 1939", "THROTTLED": "test_processes.py",
        "DROP_CHANGED": "tests/unit/storage: a file that is replaced again and again", "KEPT_MEMORY": "tests/unit/storage: no memory",
        "NO_MEMORY": "tests/unit/storage: no memory", "DISK_FULL": "tests/fault/test_full.py", "READ_ONLY": "tests/unit/storage",
        "UNFINISHED": "tests/fault/test_errors.py", "UTF8_NEEDED": "test_lang.py", "COMMAND_TIMEOUT": "test_waits.py",
        "SLOWED": "test_situations_floods.py", "CROWDED": "test_situations_floods.py", "MADE_ROOM": "test_situations_floods.py",
        "SERVER_FULL": "test_situations_floods.py", "NO_PROXY_HEADER": "test_proxies.py",
    }

    def test_whole(self):
        rows = {row for row, _ in situations.seen}
        print("%d situations, %d of %d rows" % (len(situations.seen), len(rows), len(situations.table())), flush=True)
        self.assertGreaterEqual(len(situations.seen), 60)
        if not NO_PAM and elsewhere() and ROOT:
            self.assertEqual(set(situations.table()) - rows - set(self.ELSEWHERE), set())


if __name__ == "__main__":
    unittest.main()
