#!/usr/bin/env python3
"""For servers that want to be started by inetd: one process a connection, with the connection as its standard input and output.

usage: inetd.py ADDRESS PORT LOG COMMAND [ARGUMENTS]
"""
import signal
import socket
import subprocess
import sys


def main():
    address, port, log = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "ab")  # noqa: SIM115  (to the end of the program)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server((address, port)) as listener:
        while True:
            connection, _ = listener.accept()
            subprocess.Popen(sys.argv[4:], stdin=connection, stdout=connection, stderr=log)
            connection.close()


if __name__ == "__main__":
    main()
