"""What the host has runs out: descriptors, processes, memory. The master neither ends nor spins, clients are told in words
where a word can be sent, and when the cause is over the service is back by itself within 5 s.

"Does not spin": less than 5% of one processor over 2 s, counted by the kernel.
"""
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

import bodies
from client import Client, Closed
from memory import INSTRUMENTED
from postern import BUILD, PREFIX, ROOT, TOP, Server, run_directory
from processes import PATIENCE, load_of, read_process, wait_until
from run import FULL
from test_pam import REASON, PamServer
from tracing import Trace, keeper_in_session

MOST_LOAD, OVER_SECONDS, BACK_SECONDS = 0.05, 2, 5
HELPERS = ("posternd-record", "posternd-gate", "posternd-sign")
CGROUP = "/sys/fs/cgroup/pids"


def no_pids_cgroup():
    """Why a limit on processes cannot be had here; None when it can."""
    try:
        os.mkdir(CGROUP + "/postern-probe-%d" % os.getpid())
        os.rmdir(CGROUP + "/postern-probe-%d" % os.getpid())
    except OSError as error:
        return "no cgroup for a limit on processes can be made: %s" % error
    return None


class Case(unittest.TestCase):
    def begin(self, own_programs=False, **options):
        settings = {"workers": {"spare_min": 2, "spare_max": 4, "max": 60}, "limits": {"per_source": 60, "login_seconds": 300}}
        for section, values in options.pop("settings", {}).items():
            settings.setdefault(section, {}).update(values)
        server = Server(("anna", "bert"), settings=settings, start=False)
        server.users["anna"].deliver(bodies.message())
        if own_programs:
            server.programs = server.base / "programs"
            server.programs.mkdir()
            for name in ("posternd", "posternd-gate", "posternd-sign", "posternd-pam"):
                shutil.copy2(BUILD / name, server.programs)
        server.start(**options)
        self.addCleanup(server.stop)
        server.expect_trouble = True
        return server

    def kill(self, server, find):
        """One of those that there are, and wait until the master has noticed."""
        def killed():
            for process in find():
                try:
                    os.kill(process.pid, signal.SIGKILL)
                    return process.pid
                except ProcessLookupError:
                    pass  # it has ended by itself
            return None
        pid = wait_until(killed, "there is one to kill")
        wait_until(lambda: read_process(pid) is None, "it is reaped")
        return pid

    def kill_helpers(self, server):
        """Those that there are: a nursery and its signer go together, so one may be gone before its turn."""
        for name in HELPERS:
            for process in self.children(server, name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                wait_until(lambda p=process.pid: read_process(p) is None, "it is reaped")

    def children(self, server, name):
        return [p for p in server.processes() if p.ppid == server.pid and p.name == name and p.state != "Z"]

    def calm(self, server, when):
        load = load_of(server.pid, OVER_SECONDS)
        print("%s: %.1f%% of a processor" % (when, 100 * load))
        self.assertLess(load, MOST_LOAD, when)
        self.assertEqual(server.popen.poll(), None, server.log()[-2000:])

    def served(self, server, tls=False):
        """A whole session, or False: the bar is that one is had in time."""
        try:
            with Client(server, tls=tls, greeting=False) as client:
                if not client.status().startswith("+OK"):
                    return False
                client.login("anna")
                client.retr(1)
                client.quit()
                return True
        except (Closed, OSError, AssertionError):
            return False

    def back(self, server, when):
        wait_until(lambda: self.served(server), lambda: "served again after %s; the log:\n%s" % (when, server.log()[-3000:]), BACK_SECONDS)
        wait_until(lambda: self.served(server, tls=True), lambda: "TLS again after %s; the log:\n%s" % (when, server.log()[-3000:]), BACK_SECONDS)
        wait_until(lambda: not server.zombies(), "no zombie is left", BACK_SECONDS)

    def hold(self, server, most):
        """Connections that say nothing, until one is not greeted; those held, and what the last one was told."""
        held = []
        for _ in range(most):
            client = Client(server, greeting=False)
            client.sock.settimeout(1)
            try:
                line = client.raw_line().decode()
            except (OSError, Closed):
                client.close()
                return held, None
            if not line.startswith("+OK"):
                client.close()
                return held, line
            held.append(client)
        return held, ""

    def let_go(self, held):
        for client in held:
            client.close()


class Full(Case):
    def test_no_spin_when_full_after_trouble(self):
        """A worker that broke throttles forking for a moment; later all sessions are taken, and the master still sleeps."""
        server = self.begin(settings={"workers": {"spare_min": 1, "spare_max": 2, "max": 3}})
        self.kill(server, server.keepers)
        held = []
        def taken():
            more, _ = self.hold(server, 1)
            held.extend(more)
            return len(held) == 3
        wait_until(taken, "all sessions are taken")
        self.calm(server, "all sessions are taken")
        self.let_go(held)
        self.back(server, "all sessions were taken")

    def test_no_spin_without_a_nursery(self):
        """The nursery will not come up again; sessions that are there go on."""
        server = self.begin(own_programs=True)
        self.kill(server, server.keepers)
        session = server.login()
        gate = server.programs / "posternd-gate"
        gate.rename(server.programs / "away")
        self.kill(server, server.nurseries)
        self.calm(server, "no nursery")
        session.ok("NOOP")
        session.quit()
        (server.programs / "away").rename(gate)
        self.back(server, "the programs were gone")


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind, and valgrind has limits of its own")
class Descriptors(Case):
    def limited(self, count):
        # A crowd of strangers would be told so before the descriptors are gone.
        return self.begin(launcher=["prlimit", "--nofile=%d:%d" % (count, count)], settings={"limits": {"gateways": "127.0.0.1"}})

    def test_limit(self):
        """More connections than there are descriptors for: refused in words, or left waiting; then all is as before."""
        for count in (72, 80, 96) if FULL else (80,):
            with self.subTest(count=count):
                server = self.limited(count)
                held, told = self.hold(server, 60)
                print("%d descriptors: %d connections, then %r" % (count, len(held), told))
                self.assertGreater(len(held), 5)
                self.assertRegex(told or "-ERR [SYS/TEMP] nothing", r"^-ERR \[SYS/TEMP\] ")
                self.assertNotEqual(told, "", "the limit was not reached")
                self.calm(server, "no descriptor is left")
                self.kill_helpers(server)
                self.calm(server, "helpers have to be started and there are no descriptors")
                held[0].err("NOOP")
                self.let_go(held)
                self.back(server, "descriptors ran out")

    def test_too_few_to_begin(self):
        """Fewer than its own numbers need: it does not start, and says what to raise."""
        with self.assertRaisesRegex(AssertionError, r"the limit of open files \(ulimit -n, LimitNOFILE=\) has to be larger"):
            self.limited(48)

    def test_accept_fails(self):
        """accept(2) says no for as long as it likes; who waits meanwhile is served afterwards."""
        for error in ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM", "EPROTO"):
            with self.subTest(error):
                server = self.begin()
                with Trace(server.pid, "accept4:error=" + error, calls="accept4"):
                    waiting = Client(server, greeting=False)
                    self.calm(server, "accept: " + error)
                waiting.sock.settimeout(BACK_SECONDS)
                self.assertRegex(waiting.status(), r"^\+OK")
                waiting.close()
                self.back(server, error)
                lines = server.log().count("accept: ")
                self.assertTrue(0 < lines <= 12 * OVER_SECONDS, "%d lines" % lines)


@unittest.skipIf(PREFIX, "strace cannot trace what runs under valgrind")
class Processes(Case):
    def test_calls_of_the_master_fail(self):
        """All that starts a process, or takes memory or a descriptor, fails for a while: helpers die, a reload comes, clients come."""
        for calls, error in (("clone,clone3,fork,vfork", "EAGAIN"), ("pipe2", "EMFILE"), ("socketpair", "EMFILE"), ("memfd_create", "ENFILE"),
                             ("openat", "EMFILE"), ("mmap,brk,mremap", "ENOMEM")):
            if INSTRUMENTED and error == "ENOMEM":
                print("left out: %s; a sanitizer ends the program when its own fail" % calls)
                continue
            with self.subTest(calls, error=error):
                server = self.begin()
                with Trace(server.pid, "%s:error=%s" % (calls, error), calls=calls):
                    self.kill_helpers(server)
                    os.kill(server.pid, signal.SIGHUP)
                    held, told = self.hold(server, 20)
                    self.assertTrue(not told or told.startswith("-ERR [SYS/TEMP]"), told)
                    self.calm(server, "%s: %s" % (calls, error))
                    self.let_go(held)
                self.back(server, calls)
                wait_until(lambda s=server: all(self.children(s, name) for name in HELPERS), "all helpers are there", BACK_SECONDS)

    def test_nursery_cannot_fork(self):
        server = self.begin()
        with Trace(server.nurseries()[0].pid, "clone,clone3,fork,vfork:error=EAGAIN", calls="clone,clone3,fork,vfork"):
            held, told = self.hold(server, 60)
            self.assertTrue(told is None or told.startswith("-ERR [SYS/TEMP]"), told)
            self.calm(server, "no fork in the nursery")
            self.let_go(held)
        self.back(server, "the nursery could not fork")

    def test_keeper_cannot_fork(self):
        """A login that needs a helper, for PAM or for a lock file, is told so in words, and the next one works."""
        rows = [("the helper of a lock file", lambda: Server(location="mbox:SPOOL/%u", start=False), "anna")]
        if REASON is None:
            rows.append(("the helper of PAM", lambda: PamServer(["pgood"]), "pgood"))
        for label, make, user in rows if ROOT else ():
            with self.subTest(label):
                server = make()
                server.write_config(workers={"spare_min": 1, "spare_max": 1})
                server.start()
                self.addCleanup(server.stop)
                server.wait_for_log(r"session: user=\"\" ")  # who looked whether it serves
                wait_until(lambda s=server: len(s.keepers()) == 1, "one keeper waits")
                with Trace(server.keepers()[0].pid, "clone,clone3,fork,vfork:error=EAGAIN", calls="clone,clone3,fork,vfork"), Client(server) as client:
                    client.ok("USER " + user)
                    client.err("PASS secret", r"\[SYS/TEMP\]")
                with Client(server) as client:
                    client.login(user, "secret")
                    client.quit()

    def test_nursery_loses_an_order(self):
        """One whose descriptor it cannot take, or that it cannot read: that worker ends, the next ones are made."""
        for error in ("ENOMEM", "ENOBUFS"):
            with self.subTest(error):
                server = self.begin(settings={"workers": {"spare_min": 1, "spare_max": 1}})
                held = server.login("bert")
                with Trace(server.nurseries()[0].pid, "recvmsg:error=%s:when=1" % error, calls="recvmsg"):
                    for _ in range(4):
                        self.served(server)
                    self.back(server, "an order was lost")
                held.ok("NOOP")
                held.quit()

    def test_recorder_cannot_accept(self):
        """Somebody asks for the history, and the kernel has no descriptor for it: the recorder waits, and then answers."""
        server = self.begin()
        recorder = self.children(server, "posternd-record")[0].pid
        calls = server.base / "calls"
        asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(asking.close)
        with Trace(recorder, "accept4:error=ENFILE", calls="accept4", output=calls):
            asking.connect(str(server.base / "ask"))
            load = load_of(recorder, OVER_SECONDS)
            print("the recorder cannot accept: %.1f%% of a processor" % (100 * load))
            self.assertLess(load, MOST_LOAD)
            self.assertLess(calls.read_text().count("accept4"), 20 * OVER_SECONDS, "it asks again and again")
            self.back(server, "the recorder could not accept")
        asking.settimeout(BACK_SECONDS)
        asking.send(struct.pack("=IIqII132s4x", 0x50480001, 0, 0, 7, 0xffffffff, b""))
        self.assertIn(b"anna", asking.recv(4096))

    def test_table_of_processes_is_full(self):
        """A limit on processes, as containers and service managers have it."""
        reason = no_pids_cgroup()
        if reason:
            self.skipTest(reason)
        group = CGROUP + "/postern-e2e-%d" % os.getpid()
        os.mkdir(group)
        self.addCleanup(lambda: wait_until(lambda: self.removed(group), "the cgroup goes", 20))
        with open(group + "/pids.max", "w") as f:
            f.write("100\n")
        server = self.begin(launcher=["sh", "-c", 'echo $$ >%s/cgroup.procs; exec "$@"' % group, "sh"])
        self.assertIn("max = 60 workers may be 196 processes, and no more than 100 are allowed; write TasksMax=196", server.log())
        with open(group + "/pids.max", "w") as f:
            f.write("18\n")
        held, told = self.hold(server, 60)
        print("18 processes: %d connections, then %r" % (len(held), told))
        self.assertTrue(told is None or told.startswith("-ERR [SYS/TEMP]"), told)
        self.calm(server, "no process is left")
        self.kill_helpers(server)
        self.calm(server, "helpers are gone and no process is left")
        with open(group + "/pids.max", "w") as f:
            f.write("max\n")
        self.let_go(held)
        self.back(server, "processes ran out")
        server.stop()
        self.removed(group)

    def removed(self, group):
        try:
            os.rmdir(group)
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True


@unittest.skipIf(PREFIX or INSTRUMENTED, "valgrind and the sanitizers have an allocator of their own")
class Answers(Case):
    def test_keeper_cannot_answer(self):
        """The kernel has no room for what a keeper says to its gate: it says it another way, or ends; nobody waits for it for ever."""
        for label, call, command, want in (("a small message", "sendto", "RETR 1", r"^\+OK"), ("a large one", "sendmsg", "RETR 2", r"^-ERR \[SYS/TEMP\] message 2"),
                                           ("the last word", "sendto", "QUIT", r"^-ERR \[SYS/TEMP\] this session broke")):
            for error in ("ENOBUFS", "ENOMEM"):
                with self.subTest(label, error=error):
                    server = self.begin()
                    server.users["anna"].deliver(b"Subject: large\n\n" + b"some text of seventy octets or so\n" * 4000, name="1900000000.large")
                    with server.login("anna") as client, Trace(keeper_in_session(server), "%s:error=%s:when=1" % (call, error), calls=call):
                        client.send(command.encode() + b"\r\n")
                        self.assertRegex(client.status(), want)

    def test_keeper_cannot_pass_a_signature(self):
        """Nor is a handshake waited for that cannot come about."""
        server = self.begin(settings={"workers": {"spare_min": 1, "spare_max": 1}})
        server.wait_for_log(r"session: user=\"\" ")  # who looked whether it serves
        wait_until(lambda: len(server.keepers()) == 1, "one keeper waits")
        begun = time.monotonic()
        with Trace(server.keepers()[0].pid, "sendto:error=ENOBUFS:when=1", calls="sendto"), self.assertRaises((OSError, Closed)):
            Client(server, tls=True).close()
        self.assertLess(time.monotonic() - begun, BACK_SECONDS * PATIENCE)
        self.back(server, "a signature was not passed")


class Memory(Case):
    """An allocation fails: of the programs that have a library's allocator, each for itself; of the static one, what it asks the kernel for."""
    seconds = int(PATIENCE * (3600 if FULL else 120))
    ALLOCATIONS = range(1, 2001) if FULL else (1, 2, 3, 6, 13, 47, 322)

    def library(self):
        library = run_directory() / "malloc_fails.so"
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if not library.exists() and (not compiler or subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, TOP / "tests/preload/malloc_fails.c"],
                                                                    check=False).returncode != 0):
            self.skipTest("no compiler for the library that makes allocations fail")
        return library

    def try_one(self, what, **options):
        """Started, and then it serves within the time; or ended with words and a status. Never by a signal. Which of them."""
        server = Server(start=False, **options)
        server.users["anna"].deliver(bodies.message())
        server.expect_trouble = True
        try:
            try:
                server.start(**self.launch)
            except AssertionError:
                self.assertNotIn(server.popen.returncode, (None, 0), what)
                self.assertGreater(server.popen.returncode, 0, "%s: ended by a signal: %s" % (what, server.log()[-1500:]))
                self.assertRegex(server.log(), r"postern\[\d+\] [a-z ]+: \S+ \S+ \S+", what)
                return "ended in words"
            for _ in range(3):
                self.served(server)
                self.served(server, tls=True)
            self.back(server, what)
            self.assertNotRegex(server.log(), r"killed by signal|panic", what)
            server.stop()
            return "served"
        finally:
            server.kill_all()

    launch = {}

    def test_malloc(self):
        library, seen = str(self.library()), {}
        for label, program, forked in (("nursery", "posternd-gate", {}), ("gate", "posternd-gate", {"POSTERN_MALLOC_FORKED": "yes"}), ("signer", "posternd-sign", {})):
            for number in self.ALLOCATIONS:
                result = self.try_one("%s, allocation %d" % (label, number), environment={
                    "LD_PRELOAD": library, "POSTERN_MALLOC_PROGRAM": program, "POSTERN_MALLOC_AT": str(number), **forked})
                seen[label, result] = seen.get((label, result), 0) + 1
        print("allocations that failed: %s" % seen)
        for label in ("nursery", "signer"):
            self.assertIn((label, "ended in words"), seen, "none of them mattered")

    def test_mmap(self):
        """In all processes at once, the n-th of each: master, nursery, signer, recorder, keepers, gates."""
        seen = {}
        for number in range(1, 61) if FULL else range(1, 30, 4):
            self.launch = {"launcher": ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=mmap,mremap", "-e",
                                        "inject=mmap,mremap:error=ENOMEM:when=%d" % number]}
            result = self.try_one("mmap %d" % number)
            seen[result] = seen.get(result, 0) + 1
        print("calls of mmap that failed: %s" % seen)
        self.assertEqual(set(seen), {"served", "ended in words"})

    def test_mmap_of_a_session(self):
        """From some moment on none works in a keeper, or in a gate, that waits for a client: that client sees an end or words, others are served."""
        for find in ("keepers", "gates"):
            server = self.begin(settings={"workers": {"spare_min": 1, "spare_max": 1}})
            wait_until(lambda s=server: len(s.keepers()) == len(s.gates()) == 1, "one worker waits")
            victim = getattr(server, find)()[0].pid
            with Trace(victim, "mmap,mremap,brk:error=ENOMEM" if find == "gates" else "mmap,mremap:error=ENOMEM", calls="mmap,mremap,brk"):
                self.served(server, tls=True)
                self.calm(server, "no memory in one of the %s" % find)
            self.back(server, "memory ran out in one of the %s" % find)
            self.assertNotRegex(server.log(), "killed by signal|panic")


if __name__ == "__main__":
    unittest.main()
