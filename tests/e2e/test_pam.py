"""Who may log in, with PAM: what each of PAM's verdicts becomes, and that a module that hangs, crashes, exits or changes
the user's name ends that login alone.

The server runs in a mount namespace of its own, with its own /etc/passwd and /etc/pam.d, so that nothing on the host
changes. A small PAM module, compiled here, does what the user's name says.
"""
import os
import shutil
import signal
import subprocess
import time
import unittest

from client import plain_words
from postern import FIRST_UID, ROOT, Server, no_mounts, run_directory
from processes import PATIENCE, Process, read_process, wait_until
from test_auth import plain

MODULE = r"""
#include <security/pam_modules.h>
#include <security/pam_ext.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is(const char *user, const char *word) { return strcmp(user, word) == 0; }

static const char *name_of(pam_handle_t *pamh)
{
	const char *user = "";
	return pam_get_user(pamh, &user, NULL) == PAM_SUCCESS ? user : "";
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const char *user = name_of(pamh), *password = NULL, *host = NULL;
	(void)flags;
	if (argc > 0) /* milliseconds, as one that asks another host */
		usleep(1000u * (unsigned)atoi(argv[0]));
	if (pam_get_authtok(pamh, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS || password == NULL)
		return PAM_AUTH_ERR;
	if (is(user, "phang"))
		for (;;)
			pause();
	if (is(user, "pspin"))
		for (;;)
			;
	if (is(user, "pabort"))
		abort();
	if (is(user, "psegv"))
		raise(SIGSEGV);
	if (is(user, "pexit"))
		_exit(0);
	if (is(user, "pexit1"))
		exit(1);
	if (is(user, "pclose"))
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
	if (is(user, "pdown"))
		return PAM_AUTHINFO_UNAVAIL;
	if (is(user, "psystem"))
		return PAM_SYSTEM_ERR;
	if (is(user, "pabortcode"))
		return PAM_ABORT;
	if (is(user, "ptries"))
		return PAM_MAXTRIES;
	if (is(user, "pdelay"))
		pam_fail_delay(pamh, 10000000);
	if (is(user, "ptalk"))
		for (int i = 0; i < 1025; i++)
			pam_info(pamh, "message %d %%n%%s", i);
	if (strcmp(password, "secret") != 0 && !is(user, "panyone"))
		return PAM_AUTH_ERR;
	if (is(user, "prename") || is(user, "proot")) /* the name lies where the item did, and is gone with it */
		return pam_set_item(pamh, PAM_USER, is(user, "proot") ? "root" : "pgood");
	if (is(user, "phost") && (pam_get_item(pamh, PAM_RHOST, (const void **)&host) != PAM_SUCCESS || host == NULL
	    || strcmp(host, "127.0.0.1") != 0))
		return PAM_AUTH_ERR;
	if (is(user, "pfork") && fork() == 0)
		return PAM_SUCCESS;
	return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const char *user = name_of(pamh);
	(void)flags, (void)argc, (void)argv;
	if (is(user, "pexpired"))
		return PAM_ACCT_EXPIRED;
	if (is(user, "pnewtok"))
		return PAM_NEW_AUTHTOK_REQD;
	if (is(user, "pdenied"))
		return PAM_PERM_DENIED;
	if (is(user, "pacctabort"))
		abort();
	return PAM_SUCCESS;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
"""

# user, what the right password gets. The password is always "secret".
VERDICTS = [
    ("pgood", r"\+OK"),
    ("phost", r"\+OK"),
    ("pabort", r"-ERR \[SYS/TEMP\]"),
    ("psegv", r"-ERR \[SYS/TEMP\]"),
    ("pexit", r"-ERR \[SYS/TEMP\]"),
    ("pexit1", r"-ERR \[SYS/TEMP\]"),
    ("pclose", r"-ERR \[SYS/TEMP\]"),
    ("pdown", r"-ERR \[SYS/TEMP\]"),
    ("psystem", r"-ERR \[SYS/(TEMP|PERM)\]"),
    ("pabortcode", r"-ERR \[SYS/(TEMP|PERM)\]"),
    ("pacctabort", r"-ERR \[SYS/TEMP\]"),
    ("prename", r"-ERR \[SYS/TEMP\]"),
    ("proot", r"-ERR \[SYS/TEMP\]"),
    ("ptalk", r"\+OK|-ERR \[SYS/TEMP\]"),
    ("ptries", r"-ERR \[AUTH\]"),
    ("pexpired", r"-ERR \[AUTH\] .*expired"),
    ("pnewtok", r"-ERR \[AUTH\] .*expired"),
    ("pdenied", r"-ERR \[AUTH\] .*password correct"),
    ("plowuid", r"-ERR \[AUTH\]"),
    ("root", r"-ERR \[AUTH\]"),
]
# Names that crash with the right password fail as ordinary ones do with a wrong one.
WRONG = ["pgood", "prename", "proot", "pexpired", "pnewtok", "pdenied", "plowuid", "root", "nosuchuser"]


def build_module():
    """The module's path, or None with the reason in `missing`."""
    source = run_directory() / "module.c"
    module = run_directory() / "pam_postern_test.so"
    if not module.exists():
        source.write_text(MODULE)
        compiled = subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", module, source, "-lpam"],
                                  stderr=subprocess.PIPE, check=False)
        if compiled.returncode != 0:
            return None
    return module


def missing():
    """Why these tests cannot run here, or None."""
    if not ROOT:
        return "needs root, for PAM and a mount namespace"
    for program in (os.environ.get("CC", "cc"), "unshare", "mount"):
        if not shutil.which(program):
            return "there is no " + program
    if no_mounts():
        return no_mounts()
    if build_module() is None:
        return "no headers of PAM to compile the module with"
    return None


REASON = missing()


def host_files(server, names, service):
    """/etc/passwd and /etc/pam.d as the server shall see them; returns the shell lines that put them there."""
    passwd, pam = server.base / "etc-passwd", server.base / "pam.d"
    lines = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]
    for n, name in enumerate(names):
        uid = 500 if name == "plowuid" else FIRST_UID + 100 + n
        home = server.base / "home" / name
        home.mkdir(exist_ok=True)
        os.chown(home, uid, uid)
        lines.append("%s:x:%d:%d::%s:/bin/sh" % (name, uid, uid, home))
    passwd.write_text("\n".join(lines) + "\n")
    pam.mkdir()
    (pam / "postern-e2e").write_text(service)
    (pam / "other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    return "mount --bind %s /etc/passwd\nmount --bind %s /etc/pam.d" % (passwd, pam)


class PamServer(Server):
    """A server with PAM, and no line in its passwd file but anna's."""

    def __init__(self, names, service=None, **options):
        super().__init__(users=("anna",), start=False, settings={
            "auth": {"backends": options.get("backends", "pam"), "pam_service": "postern-e2e",
                     "explain_failures": options.get("explain", "never")},
            "limits": {"login_tries": 50}})
        module = build_module()
        service = service or "auth required %s\naccount required %s\n" % (module, module)
        self.setup = host_files(self, names, service)

    def answer(self, user, password="secret"):
        """What PASS gets (or USER, when that fails already)."""
        client = self.client()
        answer = client.cmd("USER " + user)
        answer = client.cmd("PASS " + password) if answer.startswith("+OK") else answer
        client.close()
        return answer


@unittest.skipIf(REASON, REASON)
class Verdicts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        names = [name for name, _ in VERDICTS if name != "root"]
        cls.server = PamServer(names + ["phang", "pspin", "pfork", "pdelay"])
        cls.addClassCleanup(cls.server.stop)
        cls.server.start()
        cls.server.expect_trouble = True  # the helpers die of signals

    def test_verdicts(self):
        for name, begins in VERDICTS:
            with self.subTest(name):
                self.assertRegex(self.server.answer(name), "^" + begins)
                self.assertRegex(self.server.answer("pgood"), r"^\+OK", "another login after it")

    def test_wrong_password(self):
        """The same answer for all, and as late as its slot, not as PAM would like it."""
        answers = {name: self.server.answer(name, "wrong") for name in WRONG}
        self.assertEqual({plain_words(answer) for answer in answers.values()}, {"-ERR [AUTH] user name or password not accepted"}, answers)

    def test_empty_password(self):
        self.assertRegex(self.server.answer("pgood", ""), r"^-ERR \[AUTH\]")

    def test_no_delay_of_pam(self):
        """A module that asks for ten seconds of delay after a failure does not get them."""
        start = time.monotonic()
        self.assertRegex(self.server.answer("pdelay", "wrong"), r"^-ERR \[AUTH\]")
        self.assertLess(time.monotonic() - start, 9 * PATIENCE)

    def test_fork_in_a_module(self):
        """A process that a module left behind says nothing to anybody and holds nothing up."""
        for _ in range(3):
            self.assertRegex(self.server.answer("pfork"), r"^\+OK|^-ERR \[SYS/TEMP\]")
        self.assertRegex(self.server.answer("pgood"), r"^\+OK")

    def test_hang(self):
        """Others log in meanwhile; whoever waits is answered [SYS/TEMP] within the helper's minute."""
        waiting = []
        for name in ("phang", "pspin"):
            client = self.server.client()
            self.addCleanup(client.close)
            client.ok("USER " + name)
            client.send(b"PASS secret\r\n")
            waiting.append(client)
        wait_until(lambda: len(self.helpers()) == 2, lambda: "two helpers: %s" % self.helpers())
        for _ in range(5):
            start = time.monotonic()
            self.assertRegex(self.server.answer("pgood"), r"^\+OK")
            self.assertLess(time.monotonic() - start, 20 * PATIENCE)  # they wait for a minute
        for client in waiting:
            client.sock.settimeout(90 * PATIENCE)
            self.assertRegex(client.status(), r"^-ERR \[SYS/TEMP\]")
        wait_until(lambda: not self.helpers(), lambda: "no helper: %s" % self.helpers())

    def test_no_helper_without_a_master(self):
        """A helper that hangs ends with the server, killed or stopped."""
        for end in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(end):
                server = PamServer(["phang"])
                try:
                    server.start()
                    client = server.client()
                    client.ok("USER phang")
                    client.send(b"PASS secret\r\n")
                    helper = wait_until(lambda: [p.pid for p in server.processes() if p.name == "posternd-pam"], "the helper")[0]
                    os.kill(server.pid, end)
                    wait_until(lambda: server.popen.poll() is not None, "the master ends")
                    wait_until(lambda: (read_process(helper) or Process(0, 0, 0, "", "Z")).state == "Z", "the helper ends")
                    server.wait_gone()
                finally:
                    server.kill_all()

    def helpers(self):
        return [p for p in self.server.processes() if p.name == "posternd-pam"]

    def test_the_log_has_the_reason(self):
        mark = self.server.mark()
        self.server.answer("pexpired")
        self.server.answer("pdown")
        self.server.wait_for_log(r"pexpired.*(?i:expired)|(?i:expired).*pexpired", since=mark)
        self.server.wait_for_log(r"pdown", since=mark)
        self.assertNotRegex(self.server.log()[mark:], r"secret(?!\.gcda)")  # a source file's name, where coverage is measured

    def test_plain(self):
        client = self.server.client()
        client.ok("AUTH PLAIN " + plain("", "pgood", "secret"))
        client.quit()


@unittest.skipIf(REASON, REASON)
class BothBackends(unittest.TestCase):
    """passwd-file first, then PAM: a user of the file is never asked of PAM."""

    @classmethod
    def setUpClass(cls):
        cls.server = PamServer(["pgood", "anna", "pdown"], backends="passwd-file pam", explain="loopback")
        cls.addClassCleanup(cls.server.stop)
        cls.server.users["anna"].password = "filepassword"
        cls.server.write_passwd()
        cls.server.start()

    def test_order(self):
        self.assertRegex(self.server.answer("anna", "filepassword"), r"^\+OK")
        self.assertRegex(self.server.answer("anna", "secret"), r"^-ERR \[AUTH\] invalid password")
        self.assertRegex(self.server.answer("pgood"), r"^\+OK")
        self.assertRegex(self.server.answer("pgood", "wrong"), r"^-ERR \[AUTH\] invalid password")
        self.assertRegex(self.server.answer("nosuch"), r"^-ERR \[AUTH\] mailbox unknown")
        self.assertRegex(self.server.answer("pdown"), r"^-ERR \[SYS/TEMP\]")

    def test_file_refused(self):
        """With the file out of order nobody falls through to PAM unasked: the answer is the server's trouble."""
        os.chmod(self.server.passwd_file, 0o666)
        try:
            self.assertRegex(self.server.answer("anna", "filepassword"), r"^-ERR \[SYS/")
        finally:
            os.chmod(self.server.passwd_file, 0o600)


# label, the service's text, what the right password gets.
SERVICES = [
    ("pam_permit", "auth required pam_permit.so\naccount required pam_permit.so\n", r"^\+OK"),
    ("pam_deny", "auth required pam_deny.so\naccount required pam_permit.so\n", r"^-ERR \[AUTH\]"),
    ("account denied", "auth required pam_permit.so\naccount required pam_deny.so\n", r"^-ERR \[(AUTH|SYS/TEMP)\]"),
    ("no account stage", "auth required pam_permit.so\n", r"^-ERR"),
    ("a module that is not there", "auth required pam_nosuch_module.so\naccount required pam_permit.so\n", r"^-ERR"),
    ("pam_exec that fails", "auth required pam_exec.so quiet expose_authtok /bin/false\naccount required pam_permit.so\n", r"^-ERR \[(AUTH|SYS/TEMP)\]"),
    ("pam_exec that agrees", "auth required pam_exec.so quiet expose_authtok /bin/true\naccount required pam_permit.so\n", r"^\+OK"),
]


@unittest.skipIf(REASON, REASON)
class Services(unittest.TestCase):
    def test_services(self):
        server = PamServer(["pgood"])
        self.addCleanup(server.stop)
        server.start()
        for label, text, begins in SERVICES:
            with self.subTest(label):
                (server.base / "pam.d" / "postern-e2e").write_text(text)
                self.assertRegex(server.answer("pgood"), begins)
                # pam_permit agrees with everything; an empty password is refused all the same.
                self.assertRegex(server.answer("pgood", ""), r"^-ERR")


if __name__ == "__main__":
    unittest.main()
