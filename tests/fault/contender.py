#!/usr/bin/env python3
"""contender.py MBOX ORDER - locks a mailbox now and then, as its owner, until it is killed. test_locks.py starts some."""
import fcntl
import os
import random
import sys
import time


class Contender:
    """One program: the locks in its order, now and then, for a moment."""

    def __init__(self, path, order):
        self.mbox, self.lock, self.order = open(path, "rb+"), path + ".lock", order.split()
        self.rng = random.Random(order)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(os.stat(path).st_gid)
            os.setuid(os.stat(path).st_uid)

    def take(self, name, wait):
        """True when it is held. The kernel's locks are waited for; for a dotlock there is nothing to wait for."""
        if name == "dotlock":
            for _ in range(200 if wait else 1):
                try:
                    os.close(os.open(self.lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                    return True
                except FileExistsError:
                    time.sleep(0.005)
            return False
        (fcntl.lockf if name == "fcntl" else fcntl.flock)(self.mbox, fcntl.LOCK_EX)
        return True

    def release(self, name):
        if name == "dotlock":
            os.unlink(self.lock)
        else:
            (fcntl.lockf if name == "fcntl" else fcntl.flock)(self.mbox, fcntl.LOCK_UN)

    def run(self):
        while True:
            held = []
            for name in self.order:
                if not self.take(name, wait=not held):
                    break  # Debian's rule: let go of all when the dotlock is taken
                held.append(name)
            if len(held) == len(self.order):
                time.sleep(self.rng.random() * 0.02)
            for name in reversed(held):
                self.release(name)
            time.sleep(self.rng.random() * 0.05)


if __name__ == "__main__":
    Contender(*sys.argv[1:]).run()
