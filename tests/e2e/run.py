#!/usr/bin/env python3
"""Run the end-to-end tests, the fault tests and the tests of postern check: all test_*.py of tests/e2e, tests/fault and
tests/check, or those named (test_tls, test_tls.Injection, test_tls.py ...). The fault tests take more than an
hour in full (POSTERN_FAULT=full), else a minute.

Each file runs in a process of its own, so many at a time as POSTERN_JOBS says (default: the number of cores, at most 4).
A test that hangs is a failure, not a stall. The last line is "N passed, N failed[, N skipped]"; the exit status is 0 only
when something passed and nothing failed. -v names each test as it ends.
"""
import argparse
import atexit
import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDERS = [HERE, HERE.parent / "fault", HERE.parent / "check"]
FULL = os.environ.get("POSTERN_FAULT") == "full"
sys.path[:0] = map(str, FOLDERS)
from processes import PATIENCE  # noqa: E402  (the path comes first)

TEST_SECONDS = 4 * 3600 if FULL else int(120 * PATIENCE)  # for one test
FILE_SECONDS = 8 * 3600 if FULL else int(900 * PATIENCE)  # for one file


class Result(unittest.TestResult):
    """Notes what happened to each test as one line of JSON, and ends a test that takes too long."""

    def __init__(self, out):
        super().__init__()
        self.out, self.bad, self.start = out, False, 0.0

    def note(self, kind, test, text=""):
        self.out.write(json.dumps({"kind": kind, "test": str(test), "text": text,
                                   "seconds": round(time.monotonic() - self.start, 1) if self.start else 0}) + "\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.bad, self.start = False, time.monotonic()
        seconds = getattr(test, "seconds", TEST_SECONDS)
        faulthandler.dump_traceback_later(seconds + 60, exit=True)
        signal.alarm(seconds)

    def stopTest(self, test):
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)

    def addSuccess(self, test):
        if not self.bad:
            self.note("passed", test)

    def addFailure(self, test, err):
        self.bad = True
        self.note("failed", test, self._exc_info_to_string(err, test))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)

    def addSkip(self, test, reason):
        self.bad = True
        self.note("skipped", test, reason)


def on_alarm(_signal, _frame):
    raise TimeoutError("the test takes longer than its time")


def run_child(name):
    """In a child: the tests of one file or name; findings go to stdout as JSON lines."""
    faulthandler.enable()
    signal.signal(signal.SIGALRM, on_alarm)
    # Not SystemExit: unittest would note that as the test's own and go on with the next.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What is tested starts with signals as a shell sets them, also where nohup or "&" ignores some for who runs the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with os.fdopen(os.dup(1), "w") as out:
            os.dup2(2, 1)
            result = Result(out)
            unittest.defaultTestLoader.loadTestsFromName(name).run(result)
            result.note("finished", name)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def own_network():
    """As root each file runs in a network namespace of its own, with an address (RFC 5737) that is not loopback, and two networks (RFC 2544)
    for those who come from many.
    """
    if os.geteuid() != 0:
        return []
    script = 'ip link set lo up && ip addr add "$POSTERN_ELSEWHERE/32" dev lo && ip route add local 198.18.0.0/15 dev lo && exec "$@"'
    os.environ["POSTERN_ELSEWHERE"] = "192.0.2.1"
    return ["unshare", "--net", "sh", "-c", script, "sh"]


class Child:
    """One file's process and what it found."""

    def __init__(self, name):
        self.name, self.deadline, self.late = name, time.monotonic() + FILE_SECONDS, False
        self.popen = subprocess.Popen([*own_network(), sys.executable, str(HERE / "run.py"), "--child", name], stdout=subprocess.PIPE)
        os.set_blocking(self.popen.stdout.fileno(), False)
        self.text, self.finished = b"", False

    def poll(self):
        """The new notes; [] for none, None when it has ended."""
        ended = self.popen.poll() is not None
        self.text += self.popen.stdout.read() or b""
        *lines, self.text = self.text.split(b"\n")
        notes = [json.loads(line) for line in lines]
        self.finished |= any(note["kind"] == "finished" for note in notes)
        if not ended and time.monotonic() > self.deadline:
            # First let it end its servers; then no more patience.
            (self.popen.kill if self.late else self.popen.terminate)()
            self.late, self.deadline = True, time.monotonic() + 20
        return notes if notes or not ended else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return run_child(options.child)

    names = [name[:-3] if name.endswith(".py") else name for name in (os.path.basename(n) for n in options.names)]
    # The files that take longest first.
    waiting = names or sorted((p.stem for folder in FOLDERS for p in folder.glob("test_*.py")),
                              key=lambda n: (n not in ("test_faults", "test_kill", "test_kills", "test_errors", "test_pam", "test_mbox"), n))
    jobs = int(os.environ.get("POSTERN_JOBS") or min(os.cpu_count() or 1, 4))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    running, skips = [], []

    def failed(name, text):
        counts["failed"] += 1
        print("FAILED  %s\n%s" % (name, "".join("    %s\n" % line for line in text.rstrip().split("\n"))), flush=True)

    def stop_children():
        for child in running:
            child.popen.terminate()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    atexit.register(stop_children)
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(Child(waiting.pop(0)))
        for child in list(running):
            notes = child.poll()
            for note in notes or []:
                if note["kind"] == "failed":
                    failed("%s (%.1f s)" % (note["test"], note["seconds"]), note["text"])
                elif note["kind"] in counts:
                    counts[note["kind"]] += 1
                    if note["kind"] == "skipped":
                        skips.append("skipped %s: %s" % (note["test"], note["text"]))
                    if options.verbose:
                        print("%-7s %s (%.1f s)" % (note["kind"], note["test"], note["seconds"]), flush=True)
            if notes is None:
                running.remove(child)
                child.popen.stdout.close()
                if not child.finished:
                    failed(child.name, "the file did not finish: " + ("it took longer than %d s" % FILE_SECONDS if child.late
                                                                       else "status %s" % child.popen.returncode))
        time.sleep(0.02)
    for line in skips:
        print(line)
    print("%(passed)d passed, %(failed)d failed" % counts + (", %(skipped)d skipped" % counts if counts["skipped"] else ""))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
