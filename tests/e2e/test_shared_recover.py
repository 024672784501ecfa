"""test_recover.py on a host whose workers are shared: an interrupted UPDATE of an mbox, and `postern recover`."""
import unittest

import test_recover
from postern import ROOT
from shared import Shared


@unittest.skipUnless(ROOT, "needs root: the workers become another user")
class SharedRecovery(test_recover.Recovery):
    @classmethod
    def setUpClass(cls):
        cls.server = Shared(cls.users, location=cls.location, settings={"workers": {"max": 4}})
        cls.addClassCleanup(cls.server.stop)


if __name__ == "__main__":
    unittest.main()
