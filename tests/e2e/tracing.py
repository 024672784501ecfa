"""Kills or disturbs one process of a server at a chosen system call: strace(1) attached to it."""
import os
import signal
import subprocess
from contextlib import contextmanager

from processes import read_process, wait_until


def keeper_in_session(server):
    """The pid of the keeper of the one session that is open: it holds a session lock."""
    locks = str(server.base / "locks") + "/"

    def holds_lock(process):
        try:
            fds = "/proc/%d/fd" % process.pid
            # In a chroot the path of a process in another mount namespace begins further up.
            return any(locks in os.readlink("%s/%s" % (fds, fd)) for fd in os.listdir(fds))
        except OSError:
            return False
    return wait_until(lambda: [p.pid for p in server.keepers() if holds_lock(p)], "a keeper holds a session lock")[0]


class Trace:
    """strace on a process, not on its children: inject is its own syntax ("ftruncate:signal=KILL:when=1"); calls says which
    to write down."""

    def __init__(self, pid, *inject, calls="all", output="/dev/null"):
        command = ["strace", "-p", str(pid), "-o", str(output), "-e", "trace=" + calls]
        for one in inject:
            command += ["-e", "inject=" + one]
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.set_blocking(self.popen.stderr.fileno(), False)
        self.said = b""

        def attached():
            """By its own words: before that the process may have a tracer, but run on until it is interrupted."""
            self.said += self.popen.stderr.read() or b""
            assert self.popen.poll() is None or b" attached" in self.said, "strace ended: %s" % self.said
            return b"Process %d attached" % pid in self.said
        try:
            wait_until(attached, "strace attaches to %d" % pid)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Detach; ends by itself when the process does."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        self.popen.wait()
        self.popen.stderr.close()


@contextmanager
def stopped_at(pid, call, output):
    """The process stops behind its n-th call of that name, call being (name, n), and stays so; output is a file for the trace."""
    with Trace(pid, "%s:signal=STOP:when=%d" % call, calls=call[0], output=output):
        # Its state would not tell: under a tracer a process looks stopped at every call. It gets there when it is told to.
        yield lambda: wait_until(lambda: "stopped by SIGSTOP" in output.read_text(), "the process stops at %s %d" % call)
    wait_until(lambda: read_process(pid) is None or read_process(pid).state in "TZ", "without its tracer it stays where it is")
