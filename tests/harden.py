#!/usr/bin/env python3
"""harden.py - how the programs are built, read from their files: a table of property x program, then what their sources may
not call, then what systemd says of the unit.

Runs in: the build; `make check` calls it. Trusts: readelf, nm, and the flags that gcc writes into debug information.

usage: tests/harden.py [PROGRAM ...]     the table of these programs only
Environment: BUILD (build), CC (cc), LINK (static). Ends with "N passed, N failed[, N skipped]"; 0 only when all got is want.
"""
import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", "build"))
CC = os.environ.get("CC", "cc").split()
PROGRAMS = tuple(sys.argv[1:]) or ("posternd", "posternd-gate", "posternd-sign", "posternd-pam", "postern")
STATIC = ("posternd",) if os.environ.get("LINK", "static") != "shared" else ()
FOLDERS = ("base", "auth", "storage", "daemon", "cli")
THRESHOLD = 40  # of systemd-analyze security, in tenths

# Each is found in the notes of every object of ours, where this compiler takes it for this machine.
FLAGS = ("-fPIE", "-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection=full",
         "-mbranch-protection=standard", "-ftrivial-auto-var-init=zero", "-fzero-call-used-regs=used-gpr",
         "-fno-strict-aliasing", "-fno-strict-overflow", "-fno-delete-null-pointer-checks", "-fno-common")
# What -D_FORTIFY_SOURCE replaces wherever it is called with a format (not snprintf: what is proven to fit stays as it is).
FORTIFIED = {"fprintf", "vfprintf", "printf", "vprintf", "vsnprintf"}
# What writes past its end, or hands a string to a shell, or makes a name that somebody else can guess.
FORBIDDEN = {"strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "strtok", "system", "popen", "gets", "alloca",
             "tmpnam", "tempnam", "mktemp"}
# On the processor's marks of an object: x86's and ARM's.
MARKS = {"x86_64": "IBT, SHSTK", "aarch64": "BTI, PAC"}


@functools.lru_cache(maxsize=None)
def output(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=TOP, check=True).stdout


def elf(program, what):
    return output("readelf", what, str(BUILD / program))


def yes(condition):
    return "yes" if condition else "no"


@functools.lru_cache(maxsize=None)
def units(program):
    """The program's own objects and the flags they were compiled with, by its debug information."""
    found, flags = {}, ""
    for line in output("readelf", "-wi", "--dwarf-depth=1", str(BUILD / program)).splitlines():
        key, _, value = line.partition(" : ")
        value = re.sub(r"^\((indirect|indexed)[^)]*\): ", "", value.strip())
        if "DW_AT_producer" in key:
            flags = value
        elif "DW_AT_name" in key:
            path = BUILD / re.sub(r"^build/", "", value).replace(".c", ".o")
            if (TOP / path).exists():
                found[str(path)] = flags
    return found


@functools.lru_cache(maxsize=None)
def asked(objects):
    """What these objects take from elsewhere."""
    return set(re.findall(r" U (\S+)", output("nm", "--undefined-only", *objects))) if objects else set()


def symbols(program):
    return asked(tuple(units(program)))


@functools.lru_cache(maxsize=None)
def takes(flag):
    return subprocess.run([*CC, "-Werror", "-O2", flag, "-x", "c", "-c", "-o", "/dev/null", "/dev/null"],
                          capture_output=True).returncode == 0


def segments(program):
    """(type, flags) of each."""
    return re.findall(r"^  ([A-Z_]+)\s+(?:0x\S+\s+){5}([RWE ]{3})", elf(program, "-lW"), re.MULTILINE)


def without_flag(flag):
    return lambda program: sum(flag not in flags.split() for flags in units(program).values())


def unmarked(program):
    return sum(MARKS[platform.machine()] not in output("readelf", "-n", name) for name in units(program))


def exported(program):
    """Names that the program defines for the libraries, but for the C library's own variables that live in it."""
    found = re.findall(r"^\S+ [A-Z] (\S+)$", output("nm", "-D", "--defined-only", str(BUILD / program)), re.MULTILINE)
    return len([name for name in found if "@" not in name])


def bind_now(program):
    return "BIND_NOW" in elf(program, "-dW") and re.search(r"Flags:.*\bNOW\b", elf(program, "-dW"))


def names(found):
    return " ".join(sorted(found)) or "none"


def properties():
    """Rows: property, want, what gets it of a program."""
    rows = [
        ("position independent", "yes", lambda p: yes("DYN" in elf(p, "-hW") and re.search(r"Flags:.*\bPIE\b", elf(p, "-dW")))),
        ("static", lambda p: yes(p in STATIC), lambda p: yes("INTERP" not in dict(segments(p)) and "(NEEDED)" not in elf(p, "-dW"))),
        ("RELRO", "yes", lambda p: yes("GNU_RELRO" in dict(segments(p)))),
        ("bound at the start", "yes", lambda p: yes(bind_now(p))),
        ("GOT for late binding", "no", lambda p: yes(" .got.plt " in elf(p, "-SW"))),
        ("stack's rights", "RW", lambda p: dict(segments(p)).get("GNU_STACK", "absent").strip()),
        ("segments to write and run", "0", lambda p: sum("W" in rights and "E" in rights for _, rights in segments(p))),
        ("relocated code", "no", lambda p: yes("TEXTREL" in elf(p, "-dW"))),
        ("search path in it", "no", lambda p: yes(re.search("RPATH|RUNPATH", elf(p, "-dW")))),
        ("exports", "0", exported),
        ("objects of ours, some", "yes", lambda p: yes(len(units(p)) > 1)),
        ("stack protector", "yes", lambda p: yes("__stack_chk_fail" in symbols(p))),
        ("fortified calls, some", "yes", lambda p: yes([s for s in symbols(p) if re.fullmatch(r"__\w+_chk", s)])),
        ("not fortified", "none", lambda p: names(symbols(p) & FORTIFIED)),
    ]
    if platform.machine() in MARKS:
        rows.append(("objects without " + MARKS[platform.machine()], "0", unmarked))
    if any("GNU C" in flags for p in PROGRAMS for flags in units(p).values()):
        rows += [("objects without " + flag, "0", without_flag(flag)) for flag in FLAGS if takes(flag)]
    else:
        print("harden: skipped: the flags in each object, which only gcc writes down, with -g")
    return rows


def table():
    passed = failed = 0
    rows = properties()
    width = max(len(row[0]) for row in rows) + 2
    print(f"{'':{width}}{'want':6}" + "".join(f"{p:15}" for p in PROGRAMS))
    for label, want, get in rows:
        wants = [want(p) if callable(want) else want for p in PROGRAMS]
        gots = [str(get(p)) for p in PROGRAMS]
        bad = sum(got != wanted for got, wanted in zip(gots, wants))
        cells = (got if got == wanted else f"{got} (want {wanted})" for got, wanted in zip(gots, wants))
        print(f"{label:{width}}{want if isinstance(want, str) else '':6}" + "".join(f"{cell:15}" for cell in cells))
        passed, failed = passed + len(gots) - bad, failed + bad
    return passed, failed


def calls():
    """Forbidden calls by source: with built-in functions off, so that each call is a symbol."""
    def of(source):
        with tempfile.NamedTemporaryFile(suffix=".o") as out:
            subprocess.run([*CC, "-std=c11", "-O0", "-fno-builtin", "-w", "-U_FORTIFY_SOURCE", "-D_GNU_SOURCE", '-DPOSTERN_VERSION="0"',
                            '-DDEFAULT_CONFIG="/etc/postern.conf"', "-I.", "-c", "-o", out.name, str(source)], cwd=TOP, check=True)
            undefined = subprocess.run(["nm", "--undefined-only", out.name], capture_output=True, text=True, check=True).stdout
            return source, set(re.findall(r" U (\S+)", undefined)) & FORBIDDEN
    sources = sorted(s.relative_to(TOP) for folder in FOLDERS for s in (TOP / folder).glob("*.c"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [(source, found) for source, found in pool.map(of, sources) if found]
    for source, found in bad:
        print(f"{source}: got {names(found)}, want none of these")
    print(f"{len(sources)} sources, calls that are not to be made: got {len(bad)}, want 0")
    return len(sources) - len(bad), len(bad)


def unit(path):
    """The unit's score, and for each point that is left the reason in the unit."""
    text = path.read_text()
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    run = subprocess.run([*command, f"--threshold={THRESHOLD}", str(path)], capture_output=True, text=True)
    score = re.search(r"exposure level for \S+: (\S+)", run.stdout)
    rows = json.loads(subprocess.run([*command, "--json=short", str(path)], capture_output=True, text=True).stdout)
    left = [row["name"] for row in rows if not row["set"] and float(row["exposure"] or 0) > 0]
    silent = [name for name in left if f"\n#   {name} " not in text]
    stale = [name for name in re.findall(r"\n#   (\S+=\S*) \s", text) if name not in left]
    print(f"{path.name}: exposure got {score.group(1) if score else '?'}, want at most {THRESHOLD / 10}")
    print(f"{path.name}: {len(left)} points left, without a reason in the unit: got {names(silent)}, want none")
    print(f"{path.name}: reasons for points that are not left: got {names(stale)}, want none")
    bad = (run.returncode != 0) + bool(silent) + bool(stale)
    return 3 - bad, bad


def sources():
    """What does not depend on the programs. Also: how many parts were skipped."""
    results = [calls()]
    if not shutil.which("systemd-analyze"):
        print("harden: skipped: the unit; there is no systemd-analyze here")
        return results, 1
    return results + [unit(path) for path in sorted((TOP / "systemd").glob("*.service"))], 0


def main():
    results, skipped = ([], 0) if sys.argv[1:] else sources()
    passed, failed = (sum(column) for column in zip(table(), *results))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
