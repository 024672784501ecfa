"""What a client can bring about, and one way to check it: the answer, the log and `postern explain` must say the same.

Used by situations_*.py, test_situations.py and test_waits.py. A situation is named; `seen` gathers (row, situation) for the whole file.
"""
import json
import re
import subprocess

from client import plain_words, reference
from postern import BUILD, PREFIX
from processes import wait_until

seen = set()
A, B = b"Subject: a\n\none\n", b"Subject: b\n\ntwo\n"  # two messages
_table = {}


def postern(*arguments, config=None, check=True):
    """The standard output of the postern command."""
    command = [*PREFIX, str(BUILD / "postern"), arguments[0], *(["-c", str(config)] if config else []), *arguments[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert not check or done.returncode == 0, "%s: status %d, %s" % (command, done.returncode, done.stderr)
    return done.stdout.decode()


def table():
    """{row: the beginning of its line} as `postern explain --list` tells it."""
    if not _table:
        for line in postern("explain", "--list").splitlines():
            name, rest = line.split(" ", 1)
            _table[name] = rest[rest.index("-ERR"):]
    return _table


def pattern(row):
    """A regular expression for the lines of that row, without a reference."""
    text = re.escape(table()[row].removesuffix(" (ref ...)")).replace(re.escape(" (WORDS)"), r"( \(.*\))?")
    return re.sub(r"(minute|second|message)s", r"\1s?", re.sub(r"\b(N|HH:MM|ADDRESS|PROGRAM|\\.\\.\\.)(?!\w)", r".*", text))


def check(server, row, situation, line, user=None, peer="127.0.0.1", says=""):
    """The answer is of that row; with a reference, the log has it and postern explain tells the same of it. says: a regular
    expression for what was tried, in the record."""
    assert row in table(), "there is no row %s" % row
    assert re.match(pattern(row), plain_words(line)), "%s: %r is not %r" % (situation, line, table()[row])
    seen.add((row, situation))
    ref = reference(line)
    if ref is None:
        assert not says, "no reference: %r" % line
        return
    log = server.wait_for_log(r".*(reply|reason)=%s ref=%s.*" % (row, ref)).group()
    assert "peer=" + peer in log, "another peer: " + log
    record = wait_until(lambda: explained(server, ref), "the record of %r" % line)
    assert record["reply"] == row and record["told"] == line and record["peer"] == peer, record
    assert user is None or record["user"] == user, record
    assert re.search(says, record["tried"] or ""), record
    assert record["side"] and record["meaning"] and record["user_does"] and record["admin_does"], record


def explained(server, ref):
    text = postern("explain", "--json", ref, config=server.config_file, check=False)
    records = json.loads(text)["records"] if text.strip() else []
    assert len(records) <= 1, "a reference that is not unique: %s" % records
    return records[0] if records else None
