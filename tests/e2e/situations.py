"""What a client can bring about, and one way to check it: the answer, the log and `postern explain` must say the same.

Used by test_situations.py and test_waits.py. A situation is named; `seen` gathers (row, situation) for the whole file.
"""
import json
import re
import subprocess

from client import plain_words, reference
from postern import BUILD, PREFIX

seen = set()
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
    """A regular expression for all lines of that row, without a reference."""
    text = re.escape(table()[row])
    return "^" + re.sub(r"(?<![A-Z])(N|HH:MM|TEXT)(?![A-Z])", r".*", text)


def referenced(line):
    return reference(line) is not None


def check(server, row, situation, line, user=None, peer="127.0.0.1"):
    """The answer is of that row; with a reference, the log has it and postern explain tells the same of it."""
    assert row in table(), "there is no row %s" % row
    words = plain_words(line)
    assert re.match(pattern(row), words), "%s: %r is not %r" % (situation, words, table()[row])
    seen.add((row, situation))
    ref = reference(line)
    if ref is None:
        return
    log = server.wait_for_log(r".*reply=%s ref=%s.*|.*reason=%s ref=%s.*" % (row, ref, row, ref)).group()
    assert "peer=" + peer in log, "another peer: " + log

    def told():
        text = postern("explain", "--json", ref, config=server.config_file, check=False)
        return json.loads(text) if text.strip() else None
    record = wait_for_record(told)
    assert record["reply"] == row, record
    assert record["ref"] == ref and record["peer"] == peer, record
    assert record["answer"] == line, (record["answer"], line)
    if user is not None:
        assert record["user"] == user, record
    assert record["admin"] and record["meaning"] and record["side"], record


def wait_for_record(told):
    from processes import wait_until
    return wait_until(told, "the record of a failure")
