"""Dovecot as packaged, beside a server of ours: for the tests of a move, of faults, and for bench/."""
import signal
import subprocess

from client import Client, Closed
from postern import free_port
from processes import PATIENCE, wait_until

CONF = """base_dir = %(base)s/run
state_dir = %(base)s/state
protocols = pop3
listen = 127.0.0.1
log_path = %(base)s/log
mail_location = %(location)s
pop3_uidl_format = %(uidl_format)s
mail_privileged_group = mail
mail_max_userip_connections = 100
disable_plaintext_auth = no
ssl = no
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = %(base)s/users
}
userdb {
  driver = passwd-file
  args = %(base)s/users
}
service pop3-login {
  inet_listener pop3 {
    port = %(port)d
  }
  inet_listener pop3s {
    port = 0
  }
}
"""


class Dovecot:
    """In the directory `base`, which it makes; `users` are User; their mail where `location` says."""
    certificate = None

    def __init__(self, base, users, location, uidl_format="%08Xu%08Xv"):
        self.base, self.pop3_port = base, free_port()
        base.mkdir()
        base.chmod(0o755)
        (base / "users").write_text("".join("%s:{PLAIN}%s:%d:%d::%s::\n" % (u.name, u.password, u.uid, u.gid, u.home) for u in users))
        (base / "conf").write_text(CONF % {"base": base, "location": location, "uidl_format": uidl_format, "port": self.pop3_port})
        self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "dovecot", "-F", "-c", str(base / "conf")], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.greets, lambda: "no greeting; " + (base / "log").read_text(), 20)

    def greets(self):
        try:
            Client(self).close()
            return True
        except (OSError, Closed):
            return False

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            self.popen.wait(30 * PATIENCE)
