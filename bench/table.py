#!/usr/bin/env python3
"""table.py - bench/run.sh, and from what it prints one table of ratios beside the peers, and a picture of it.

usage: bench/table.py [what run.sh takes]
Environment: that of run.sh, and OUT (build/bench)

What run.sh prints goes through as it comes. Behind it stands the table, with the machine; OUT/peers.tsv has it too, and OUT/peers.svg
shows it where gnuplot is there: how many times as good as each peer. Runs in: the shell, as root.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OUT = Path(os.environ.get("OUT", "build/bench"))
RATIO = re.compile(r"^(?P<what>.+?)\s+ours\s.*ours is\s+(?P<ratio>[0-9.]+) times as good$")
HELD = re.compile(r"per connection (?P<kib>-?\d+) KiB$")
LONGER = re.compile(r": (?P<times>[0-9.]+) times as long$")


def run(arguments):
    """(machine's lines, [(section, line)]) of what was printed."""
    machine, found, section = [], [], None
    command = [str(Path(__file__).with_name("run.sh")), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bench:
        for line in bench.stdout:
            print(line, end="", flush=True)
            line = line.rstrip()
            if line.startswith("== "):
                section = line[3:]
            elif section is None:
                machine.append(line)
            else:
                found.append((section, line))
    if bench.returncode != 0:
        sys.exit("table.py: %s ended with %d" % (command[0], bench.returncode))
    return machine, found


def ratios(found):
    """[(what was compared, which figure, how many times as good)]: octets a second where messages are fetched, else sessions."""
    names = {"CPU us a session": "processor time"}
    rows = []
    for section, line in found:
        match = RATIO.match(line)
        if match and match["what"] in (*names, "MB/s" if "RETR" in section else "sessions/s"):
            rows.append((section, names.get(match["what"], match["what"]), float(match["ratio"])))
    return rows


def others(found):
    """[(section, words)] of what is no ratio to a peer: memory, and time among many sessions."""
    rows = []
    for section, line in found:
        held, longer = HELD.search(line), LONGER.search(line)
        if held:
            rows.append((section, held["kib"] + " KiB each"))
        elif longer:
            rows.append((section, longer["times"] + " times as long"))
    return rows


def draw(rows):
    """Bars from 1: to the right it is better than the peer, to the left not as good."""
    if not shutil.which("gnuplot"):
        print("(no gnuplot: %s is not drawn)" % (OUT / "peers.svg"))
        return
    data = OUT / "peers.bars"
    data.write_text("".join("%d\t%g\t%s\n" % (len(rows) - n, ratio, "%s [%s]" % (what, figure)) for n, (what, figure, ratio) in enumerate(rows)))
    script = ("set terminal svg size 1100,%d dynamic background 'white'; set output '%s'; set datafile separator '\\t'; unset key;"
              "set logscale x; set xrange [0.1:*]; set yrange [0.3:%g]; set grid x; set style fill solid 0.6; set bmargin 3; set lmargin 4;"
              "set title 'times as good as the peer'; unset ytics; set arrow from 1, graph 0 to 1, graph 1 nohead;"
              "plot '%s' using (1):1:(1):2:($1-0.3):($1+0.1) with boxxyerror, '' using (0.105):($1+0.28):(sprintf('%%s: %%.1f', strcol(3), $2)) with labels left font ',10'"
              % (90 + 44 * len(rows), OUT / "peers.svg", len(rows) + 0.7, data))
    subprocess.run(["gnuplot", "-e", script], check=True)


def main():
    machine, found = run(sys.argv[1:])
    rows = ratios(found)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "peers.tsv").write_text("what\tfigure\ttimes as good\n" + "".join("%s\t%s\t%g\n" % row for row in rows))
    print("\n%s" % "; ".join(line for line in machine if line))
    print("%6s  %-14s  %s" % ("times", "figure", "what; beside whom"))
    for what, figure, ratio in rows:
        print("%6.2f  %-14s  %s" % (ratio, figure, what))
    for what, words in others(found):
        print("%s: %s" % (what, words))
    if rows:
        draw(rows)


if __name__ == "__main__":
    main()
