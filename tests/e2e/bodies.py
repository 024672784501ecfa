"""Messages: the ordinary one, the odd ones that servers have got wrong, and what RFC 1939 makes of each on the wire."""
import re

HEADER = b"From: Anna <anna@example.org>\nTo: bert@example.org\nSubject: %s\nMessage-ID: <%s@example.org>\n"


def message(subject="hello", body=b"one\ntwo\nthree\n"):
    """An ordinary message."""
    name = subject.encode()
    return HEADER % (name, re.sub(rb"[^a-z0-9]", b".", name)) + b"\n" + body


def wire(stored):
    """What RETR sends for these stored octets, without the doubling of dots."""
    sent = re.sub(rb"(?<!\r)\n", b"\r\n", stored)
    return sent if sent.endswith(b"\n") or not sent else sent + b"\r\n"


def top(stored, lines):
    """What TOP sends: the header, the blank line, and so many lines of the body."""
    sent = wire(stored)
    head, blank, body = sent.partition(b"\r\n\r\n") if not sent.startswith(b"\r\n") else (b"", b"\r\n", sent[2:])
    if not blank:
        return sent
    head += b"\r\n" if head else b""
    return head + b"\r\n" + b"".join(crlf_lines(body)[:lines])


def crlf_lines(octets):
    """The lines with their CRLF; a bare CR ends none."""
    return re.findall(rb"[^\n]*\n", octets)


def around(size, edge):
    """A message in which the octets `edge` lie across the octet number `size`."""
    start = message("across %d" % size, b"")
    fill = size - len(start) - len(edge) // 2
    lines = b"x" * 70 + b"\n"
    return start + (lines * (fill // 71 + 1))[:fill - 1] + b"y" + edge + b"after\n"


def sized(size):
    """A message of exactly so many octets."""
    start = message("sized %d" % size, b"")
    return (start + (b"z" * 63 + b"\n") * (size // 64 + 1))[:size - 1] + b"\n"


# label -> stored octets. What is marked with * cannot be stored in an mbox as it is.
ODD = {
    "ordinary": message(),
    "no body": HEADER % (b"none", b"none") + b"\n",
    "no blank line": HEADER % (b"noblank", b"noblank"),
    "one line, no line end *": b"Subject: only this",
    "empty header *": b"\nbody only\n",
    "only a line end *": b"\n",
    "last line without end *": message("noend", b"first\nlast"),
    "last line is a dot without end *": message("dotend", b"first\n."),
    "dot lines": message("dots", b".\n..\n...\n.x\n. \nx.\n\n.\n\n"),
    "dot first in the message": b".dot: header\n\nbody\n",
    "dot, CRLF stored": message("dotcrlf", b"a\r\n.\r\nb\r\n..\r\n"),
    "a stored end of answer": message("end", b"a\r\n.\r\n+OK you have been had\r\n"),
    "CRLF stored": message("crlf").replace(b"\n", b"\r\n"),
    "CRLF and LF mixed": message("mixed", b"one\r\ntwo\nthree\r\nfour\n"),
    "bare CR": message("cr", b"one\rtwo\r\rthree\r.\rfour\n"),
    "CR CR LF": message("crcrlf", b"one\r\r\ntwo\r\r\r\n.\r\r\n"),
    "CR before a dot": message("crdot", b"\r.\n\r\n.\n"),
    "last octet is a CR *": message("crlast", b"one\r"),
    "NUL": message("nul", b"a\0b\n\0\n.\0\n\0.\n"),
    "all octets": message("octets", bytes(range(256)).replace(b"\n", b"") + b"\n"),
    "8-bit header and body": "Subject: Grüße aus Köln\n\nsäße\n".encode() + b"\xff\xfe\x80\n",
    "long line": message("long", b"w" * 300000 + b"\n"),
    "long line without end *": message("longnoend", b"w" * 70000),
    "many short lines": message("short", b"\n" * 5000),
    "many dot lines": message("manydots", b".\n" * 5000),
    "format directives": b"From: %n%s%x@example.org\nSubject: %n%n%n%s\n\n%s%n\n",
    "a From in the body": message("fromline", b"one\nFrom here on\n>From there\n"),
    "NUL in a header name": b"Sub\0ject: x\n\nbody\n",
    "thousands of header lines": b"".join(b"X-Number-%d: %d\n" % (n, n) for n in range(5000)) + b"\nbody\n",
    **{"dot across octet %d" % n: around(n, b"\n.\n") for n in (4096, 8192, 16384, 32768, 65536, 131072)},
    **{"CRLF across octet %d" % n: around(n, b"\r\n") for n in (4096, 8192, 16384, 65536)},
    **{"CR, dot across octet %d" % n: around(n, b"\n\r.\n") for n in (4096, 65536)},
    **{"size %d" % n: sized(n) for k in (4096, 65536) for n in (k - 1, k, k + 1)},
}

# Those an mbox can hold byte for byte: begins with a header line, ends in a line end.
MBOX_ODD = {label: octets for label, octets in ODD.items() if not label.endswith("*")}


def mbox(messages):
    """An mbox of these messages: a From_ line before each, a blank line behind it."""
    return b"".join(b"From anna@example.org Mon Jan  5 10:%02d:%02d 2026\n" % (n // 60 % 60, n % 60) + octets + b"\n"
                    for n, octets in enumerate(messages))


def subjects(octets):
    """The subjects in these octets, to tell messages apart."""
    return re.findall(rb"^Subject: (.*?)\r?$", octets, re.M)
