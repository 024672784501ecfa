"""Processes as /proc shows them, and the one way to wait for a condition.

Used by the frame (postern.py): a server is started in a session of its own, so everything that it
forks is found by that session's id, also after the master was killed.
"""
import os
import time
from collections import namedtuple

Process = namedtuple("Process", "pid ppid session name state")

# A run under valgrind and the like is slower; deadlines grow with it.
PATIENCE = float(os.environ.get("POSTERN_PATIENCE") or (10 if os.environ.get("POSTERN_RUN_PREFIX") else 1))


def wait_until(condition, what, seconds=10.0):
    """Poll until condition() is true and return its value; an AssertionError that says `what` after the deadline."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            text = text if len(text) < 4000 else text[:1000] + " [...] " + text[-3000:]
            raise AssertionError("waited %g s in vain: %s" % (seconds * PATIENCE, text))
        time.sleep(0.005)


def under_valgrind(pid):
    """The name of the program that valgrind runs there."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            words = [os.path.basename(word.decode("utf-8", "replace")) for word in f.read().split(b"\0")]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((word for word in words if word.startswith("postern")), None)


def read_process(pid):
    """The process, or None when there is none (any more)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            text = f.read().decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    if name.startswith("memcheck"):
        name = under_valgrind(pid) or name
    fields = text[text.rindex(")") + 2:].split()
    return Process(pid, int(fields[1]), int(fields[3]), name, fields[0])


def all_processes():
    found = (read_process(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return [p for p in found if p]


def session_processes(session):
    """All processes of that session and their descendants, zombies too; not those that are init's to reap."""
    processes = all_processes()
    known = {p.pid for p in processes if p.session == session}
    while True:
        more = {p.pid for p in processes if p.ppid in known and p.pid not in known}
        if not more:
            return [p for p in processes if p.pid in known and not (p.state == "Z" and p.ppid == 1)]
        known |= more


def descriptors(pid):
    """How many descriptors the process has open; None when it is gone."""
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except (FileNotFoundError, ProcessLookupError):
        return None


def resident(pid):
    """Resident memory that is the process's own, in octets (0 when it is gone)."""
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Private_"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def started_at(pid):
    """When the process began, in ticks: with its pid, which another will have one day, this is it and no other. None when it is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return int(f.read().rsplit(b")", 1)[1].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def user_of(pid):
    """The effective uid of the process, None when it is gone."""
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("Uid:"):
                    return int(line.split()[2])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def cpu_seconds(pid):
    """Processor time that the process has used so far, its own and the kernel's for it."""
    with open("/proc/%d/stat" % pid, "rb") as f:
        fields = f.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_of(pid, seconds):
    """The share of one processor that the process takes over so many seconds from now on: to tell a loop that spins, not to time anything."""
    begun, before = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - begun)
