"""How the server was started: socket activation, sd_notify, a start without root, descriptors that were there or were not."""
import copy
import fcntl
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import unittest

import bodies
from postern import BUILD, ROOT, Server
from processes import descriptors


PASS_ON = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 50) for fd in sys.argv[1].split(",")]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, True)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="pop3:pop3s")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ServiceManager(unittest.TestCase):
    def test_socket_activation(self):
        """Sockets that a service manager opened, by their names; nothing else is listened to."""
        server = Server(start=False)
        self.addCleanup(server.stop)
        sockets = [socket.create_server(("127.0.0.1", port)) for port in (server.pop3_port, server.pop3s_port)]
        server.write_config(listen={"pop3": "127.0.0.1:1", "pop3s": "127.0.0.1:2"})
        numbers = [s.fileno() for s in sockets]
        server.start([sys.executable, "-c", PASS_ON, ",".join(map(str, numbers))], pass_fds=numbers)
        for s in sockets:
            s.close()
        with server.login() as client:
            client.quit()
        with server.login(tls=True) as client:
            client.quit()
        server.reload()
        with server.login() as client:
            client.quit()

    def test_notify(self):
        """READY when it serves, RELOADING and READY again, STOPPING; and in words since when which configuration is in force, and
        why a later one is not.
        """
        serving = r"^STATUS=Serving with the configuration of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        broken = [
            ("a setting", {"limits": {"per_source": "x"}}, r"%s:\d+: \[limits\] per_source = \"x\": write a number"),
            ("a certificate", {"tls": {"certificate": "/nonexistent/\xe9.pem"}}, r"certificate /nonexistent/\?\?.pem cannot be used"),
            ("a port", {"listen": {"pop3": "127.0.0.1:%d" % taken.getsockname()[1]}}, r"another program has that port, see: ss -ltnp"),
        ]
        if ROOT:
            broken.append(("what takes a restart", {"workers": {"sessions": "2"}, "auth": {"virtual_user": "nobody", "passwd_file": "/dev/null"},
                           "maildrop": {"location": "maildir:/var/%u/M"}}, r"sessions from 1 to more or back.* take a restart"))
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(folder + "/notify")
            os.chmod(folder, 0o755)
            manager.settimeout(20)
            server = Server(environment={"NOTIFY_SOCKET": folder + "/notify"})

            def next_state(wanted):
                while True:
                    state = manager.recv(4096).decode().split("\n")
                    if wanted in state:
                        return state

            def next_status(words):
                state = next_state("READY=1")
                self.assertEqual(len(state), 2, state)
                self.assertRegex(state[1], words)
            try:
                next_status(serving)
                server.reload()
                self.assertTrue(any(re.match(r"MONOTONIC_USEC=\d+$", s) for s in next_state("RELOADING=1")))
                next_status(serving)
                good = copy.deepcopy(server.settings)
                for label, changes, words in broken:
                    with self.subTest(label):
                        server.settings = copy.deepcopy(good)
                        server.write_config(**changes)
                        server.reload()
                        next_state("RELOADING=1")
                        words = words.replace("%s", re.escape(str(server.config_file)))
                        next_status(r"^STATUS=Reload FAILED at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: .*%s.*\. Serving with the configuration of " % words)
                server.settings = good
                server.write_config()
                server.reload()
                next_state("RELOADING=1")
                next_status(serving)
                server.terminate()
                next_state("STOPPING=1")
            finally:
                server.stop()


    def test_no_helpers(self):
        """Helper programs that are gone, and a nursery that has died: nobody new can log in, and the status says so until there is one."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(folder + "/notify")
            manager.settimeout(20)
            server = Server(environment={"NOTIFY_SOCKET": folder + "/notify"}, start=False)
            self.addCleanup(server.stop)
            server.programs = programs = server.base / "programs"
            programs.mkdir(mode=0o755)
            for name in ("posternd", "posternd-gate", "posternd-sign", "posternd-pam"):
                shutil.copy(BUILD / name, programs / name)
            server.start()
            gate = programs / "posternd-gate"
            os.rename(gate, gate.with_suffix(".away"))
            os.kill(server.nurseries()[0].pid, signal.SIGKILL)

            def next_status(words):
                while not re.search(words, manager.recv(4096).decode(), re.M):
                    pass
            next_status(r"^STATUS=NOBODY NEW can log in: .*gate.*\. Serving with the configuration of ")
            os.rename(gate.with_suffix(".away"), gate)
            next_status(r"^STATUS=Serving with the configuration of ")
            with server.login() as client:
                client.quit()


class WithoutRoot(unittest.TestCase):
    @unittest.skipUnless(ROOT, "runs without root anyway: the other tests show that")
    def test_as_another_user(self):
        """It says once what cannot be dropped, serves that uid's mail, and nobody else's."""
        server = Server(users=("anna", "bert"), start=False)
        self.addCleanup(server.stop)
        anna, bert = server.users["anna"], server.users["bert"]
        anna.deliver(bodies.message("mine"))
        bert.deliver(bodies.message("not mine"))
        key = server.base / "own.key"
        key.write_bytes(open(server.key, "rb").read())
        for path in (server.passwd_file, server.base / "locks", key):
            os.chown(path, anna.uid, anna.gid)
        key.chmod(0o600)
        server.write_config(tls={"key": key})
        # The checkout may lie where nobody else can go.
        server.programs = programs = server.base / "programs"
        programs.mkdir(mode=0o755)
        for name in ("posternd", "posternd-gate", "posternd-sign", "posternd-pam"):
            shutil.copy(BUILD / name, programs / name)
        server.start(["setpriv", "--reuid", str(anna.uid), "--regid", str(anna.gid), "--clear-groups"])
        for tls in (False, True):
            with server.login(tls=tls) as client:
                self.assertEqual(client.retr(1), bodies.wire(bodies.message("mine")))
                client.quit()
        client = server.client()
        client.ok("USER bert")
        self.assertRegex(client.err("PASS secret"), r"\[SYS/(PERM|TEMP)\]")
        client.close()
        self.assertEqual(len(re.findall(r"master: not started as root", server.log())), 1)


class Descriptors(unittest.TestCase):
    @unittest.skipUnless(ROOT, "needs root: what the processes have open is shown to nobody else")
    def test_none_inherited(self):
        """Descriptors that the server was started with do not come through to the workers."""
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETFD, 0)
        server = Server(start=False)
        self.addCleanup(server.stop)
        server.start(pass_fds=(write,))
        os.close(write)
        with server.login() as client:
            client.quit()
        wanted = "pipe:[%d]" % os.fstat(read).st_ino
        for process in server.processes():
            links = set()
            try:
                for fd in os.listdir("/proc/%d/fd" % process.pid):
                    links.add(os.readlink("/proc/%d/fd/%s" % (process.pid, fd)))
            except OSError:
                pass  # that descriptor or that process is gone meanwhile
            self.assertTrue(process.pid == server.pid or wanted not in links, process)
        os.close(read)

    def test_none_given(self):
        """Started without standard descriptors it serves, and nothing of it becomes the standard error."""
        server = Server(start=False)
        self.addCleanup(server.stop)
        server.start(launcher=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
        with server.login() as client:
            client.quit()
        for process in server.processes():
            try:
                links = {os.readlink("/proc/%d/fd/%d" % (process.pid, fd)) for fd in range(3)}
            except OSError:
                continue  # it has ended
            self.assertEqual(links, {"/dev/null"}, process)


if __name__ == "__main__":
    unittest.main()
