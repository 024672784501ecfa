"""What is in the memory of other processes: the one search for keys and passwords."""
import os
import re

from postern import BUILD

# What instruments a program keeps gigabytes beside it, and has to trace it.
INSTRUMENTED = bool(re.search(r"asan|coverage|valgrind", str(BUILD) + os.environ.get("POSTERN_RUN_PREFIX", "")))


def memory(pid, overlap):
    """All that can be read of its mappings, in pieces that overlap."""
    piece = 4 << 20
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            start, end = (int(number, 16) for number in line.split(" ", 1)[0].split("-"))
            # The kernel's (vvar, vdso, vsyscall), and the terabytes in which a sanitizer keeps its notes.
            if "[v" in line or end - start > 1 << 32:
                continue
            place = start
            while place < end:
                try:
                    mem.seek(place)
                    octets = mem.read(min(piece, end - place))
                except (OSError, ValueError, OverflowError):
                    octets = b""
                yield octets
                # On by what was read, but for the overlap; or over a page that nobody can read.
                at_end = place + len(octets) >= end
                place += len(octets) if at_end else len(octets) - overlap if len(octets) > overlap else len(octets) + 4096


def secrets_in(pid, wanted, marks=(b"",)):
    """The names of those that are in the process's memory; None when it is gone. marks: each of those wanted begins with one."""
    found, longest = set(), max(map(len, wanted.values()))
    try:
        for octets in memory(pid, longest):
            if any(mark in octets for mark in marks):
                found |= {name for name, needle in wanted.items() if needle in octets}
    except (FileNotFoundError, ProcessLookupError):
        return None
    return found
