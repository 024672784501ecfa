/*
 * test_settings.c - daemon/settings.c, _types.c, _table.c: what a file means, and what is said about each thing that is wrong in one.
 * Runs in: the tests, from the top of the source tree.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/settings_table.h"
#include "tests/unit/suite.h"

enum { FOUND_MAX = 16 };

static struct found {
	size_t count;
	unsigned line[FOUND_MAX];
	char text[FOUND_MAX][FINDING_MAX];
} found;

static void keep(void *context, const char *file, unsigned line, const char *text)
{
	CU_ASSERT_STRING_EQUAL(context, "context");
	CU_ASSERT(file != NULL && *file == '/');
	if (found.count < FOUND_MAX) {
		found.line[found.count] = line;
		(void)snprintf(found.text[found.count], FINDING_MAX, "%s", text);
	}
	found.count++;
}

static char path[64];

static void file_write(const char *text, size_t len)
{
	(void)snprintf(path, sizeof path, "/tmp/postern-settings-XXXXXX");
	int fd = mkstemp(path);
	CU_ASSERT_FATAL(fd != -1);
	CU_ASSERT(write(fd, text, len) == (ssize_t)len);
	(void)close(fd);
}

static size_t read_octets(const char *text, size_t len, struct settings *settings_r)
{
	static char context[] = "context";
	file_write(text, len);
	found.count = 0;
	size_t n = settings_read(path, settings_r, keep, context);
	CU_ASSERT(n == found.count);
	(void)unlink(path);
	return n;
}

static size_t read_text(const char *text, struct settings *settings_r)
{
	return read_octets(text, strlen(text), settings_r);
}

/* "127.0.0.1:110 [::1]:110", as the list says it. */
static const char *listen_text(const struct listen_list *list)
{
	static char text[1024];
	struct buf b = BUF_OVER(text);
	for (size_t i = 0; i < list->count; i++) {
		char host[INET6_ADDRSTRLEN];
		const struct listen_address *a = &list->list[i];
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		memcpy(&in, &a->address, sizeof in);
		memcpy(&in6, &a->address, sizeof in6);
		bool v4 = a->address.ss_family == AF_INET && a->len == sizeof in;
		(void)inet_ntop(a->address.ss_family, v4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr, host, sizeof host);
		(void)buf_printf(&b, v4 ? "%s%s:%u" : "%s[%s]:%u", i == 0 ? "" : " ", host,
		                 ntohs(v4 ? in.sin_port : in6.sin6_port));
	}
	return buf_text(&b);
}

static void test_defaults(void)
{
	struct settings s;
	CU_ASSERT(read_text("", &s) == 0);
	ROW_TEXT("pop3", listen_text(&s.pop3), "0.0.0.0:110 [::]:110");
	ROW_TEXT("pop3s is off without a certificate", listen_text(&s.pop3s), "");
	CU_ASSERT(s.certificate[0] == '\0' && s.key[0] == '\0');
	CU_ASSERT(s.tls_minimum == TLS_1_2);
	CU_ASSERT(s.plaintext_login == POLICY_LOOPBACK && s.explain_failures == POLICY_LOOPBACK);
	ROW_TEXT("backends", s.backends[0], "passwd-file");
	ROW_TEXT("backends", s.backends[1], "pam");
	ROW_TEXT("backends", s.backends[2], "");
	ROW_TEXT("passwd_file", s.passwd_file, "/etc/postern/passwd");
	ROW_TEXT("pam_service", s.pam_service, "postern");
	ROW_TEXT("virtual_user", s.virtual_user, "");
	ROW_TEXT("location", s.location, "mbox:/var/mail/%u");
	CU_ASSERT(s.mbox_lock_count == 2 && s.mbox_locks[0] == HOST_LOCK_FCNTL && s.mbox_locks[1] == HOST_LOCK_DOTLOCK);
	ROW_TEXT("lock_directory", s.lock_directory, "/run/postern/lock");
	ROW_TEXT("journal_directory", s.journal_directory, "/var/lib/postern/journal");
	ROW_TEXT("index_directory", s.index_directory, "/var/lib/postern/index");
	ROW_ASSERT("network_mbox", s.network_mbox == 0);
	ROW_ASSERT("unique_ids", s.unique_ids.by == TOLD_BY_NOBODY);
	ROW_ASSERT("unique_id_changes", s.unique_id_changes == 0);
	CU_ASSERT(s.minimum_uid == 1000 && s.spare_min == 4 && s.spare_max == 16 && s.max == 1000);
	CU_ASSERT(s.login_seconds == 120 && s.idle_minutes == 10 && s.per_source == 20 && s.login_tries == 3);
	CU_ASSERT(s.free_failures == 10 && s.longest_wait == 15 && s.repeat_seconds == 600 && s.hash_memory == 512 && s.reread_seconds == 3600);
	CU_ASSERT(s.log_target == LOG_TARGET_AUTO && s.log_level == LOG_INFO);
	ROW_TEXT("gate_user", s.gate_user, "postern");
}

/* Every setting, written in all the ways that the format allows. */
static const char full[] =
	"\xef\xbb\xbf[listen]\n"
	"pop3=127.0.0.1:1110\t[::1]:65535  10.1.2.3:1\n"
	"pop3s: [2001:db8::9]:995\r\n"
	"proxies = 192.0.2.7 2001:db8::8\n"
	"; a comment\n"
	"# another\n"
	"\n"
	"[tls] # the keys\n"
	"certificate = /c/cert.pem\t /d/cert.pem\n"
	"    key = /c/key.pem  /d/key.pem ; to the right\n"
	"minimum = 1.3\n"
	"reread_seconds = 604800\n"
	"plaintext_login = never\n"
	"[auth]\n"
	"backends = pam\n"
	"passwd_file = /p\n"
	"pam_service = pop-3.x\n"
	"explain_failures = always\n"
	"minimum_uid = 1\n"
	"user_names = lowercase\n"
	"local_domains = example.org b.example\n"
	"virtual_user = vmail\n"
	"hash_memory = 1048576\n"
	"[maildrop]\n"
	"location = maildir:~/Maildir\n"
	"mbox_locks = flock dotlock fcntl\n"
	"lock_directory = /l\n"
	"journal_directory = /j\n"
	"index_directory = /i\n"
	"network_mbox = yes\n"
	"unique_ids = dovecot  UID%u-%v\n"
	"unique_id_changes = allow\n"
	"[workers]\n"
	"spare_min = 1\n"
	"spare_max = 1\n"
	"max = 1\n"
	"[limits]\n"
	"login_seconds = 3600\n"
	"idle_minutes = 1440\n"
	"per_source = 10000\n"
	"login_tries = 1\n"
	"free_failures = 0\n"
	"longest_wait = 19\n"
	"repeat_seconds = 86400\n"
	"[log]\n"
	"target = journal\n"
	"level = debug\n"
	"[system]\n"
	"gate_user = gate";

static void test_full(void)
{
	struct settings s;
	ROW_ASSERT(found.text[0], read_text(full, &s) == 0);
	ROW_TEXT("pop3", listen_text(&s.pop3), "127.0.0.1:1110 [::1]:65535 10.1.2.3:1");
	ROW_TEXT("pop3s", listen_text(&s.pop3s), "[2001:db8::9]:995");
	ROW_ASSERT("proxies", s.proxies.count == 2 && s.proxies.list[0][12] == 192 && s.proxies.list[0][15] == 7 && s.proxies.list[1][0] == 0x20 && s.proxies.list[1][15] == 8);
	ROW_TEXT("certificate", s.certificate, "/c/cert.pem");
	ROW_TEXT("another key", settings_path_at(s.key, 1), "/d/key.pem");
	CU_ASSERT(settings_path_at(s.certificate, 1) != NULL && settings_path_at(s.certificate, 2) == NULL && settings_path_at(s.key, 9) == NULL);
	ROW_TEXT("key", s.key, "/c/key.pem");
	CU_ASSERT(s.tls_minimum == TLS_1_3 && s.plaintext_login == POLICY_NEVER && s.explain_failures == POLICY_ALWAYS);
	ROW_TEXT("backends", s.backends[0], "pam");
	ROW_TEXT("backends", s.backends[1], "");
	ROW_TEXT("passwd_file", s.passwd_file, "/p");
	ROW_TEXT("pam_service", s.pam_service, "pop-3.x");
	ROW_TEXT("virtual_user", s.virtual_user, "vmail");
	ROW_ASSERT("user_names", s.user_names == 1);
	ROW_TEXT("local_domains", s.local_domains, "example.org b.example");
	ROW_TEXT("location", s.location, "maildir:~/Maildir");
	CU_ASSERT(s.mbox_lock_count == 3 && s.mbox_locks[0] == HOST_LOCK_FLOCK && s.mbox_locks[2] == HOST_LOCK_FCNTL);
	ROW_TEXT("lock_directory", s.lock_directory, "/l");
	ROW_TEXT("journal_directory", s.journal_directory, "/j");
	ROW_TEXT("index_directory", s.index_directory, "/i");
	ROW_ASSERT("network_mbox", s.network_mbox == 1);
	ROW_ASSERT("unique_ids", s.unique_ids.by == TOLD_BY_DOVECOT);
	ROW_TEXT("unique_ids", s.unique_ids.format, "UID%u-%v");
	ROW_ASSERT("unique_id_changes", s.unique_id_changes == 1);
	CU_ASSERT(s.minimum_uid == 1 && s.spare_min == 1 && s.spare_max == 1 && s.max == 1);
	CU_ASSERT(s.login_seconds == 3600 && s.idle_minutes == 1440 && s.per_source == 10000 && s.login_tries == 1);
	CU_ASSERT(s.free_failures == 0 && s.longest_wait == 19 && s.repeat_seconds == 86400 && s.hash_memory == 1048576 && s.reread_seconds == 604800);
	CU_ASSERT(s.log_target == LOG_TARGET_JOURNAL && s.log_level == LOG_DEBUG);
	ROW_TEXT("gate_user", s.gate_user, "gate");
}

/* One finding: the file, the line it stands at, and the words that say what to write instead. */
static const struct {
	const char *text;
	unsigned line;
	const char *fix;
} wrongs[] = {
	/* sections and names */
	{ "[limits]\n\n[tsl]\nminimum = 9\n", 3, "no section \"tsl\"; write [tls]" },
	{ "[Listen]\n", 1, "write [listen]" },
	{ "[lgo]\n", 1, "write [log]" },
	{ "[pop]\n", 1, "no section \"pop\"; the sections are [listen], [tls]" },
	{ "[certificate]\n", 1, "certificate is a setting of [tls]" },
	{ "[no such thing]\n", 1, "the sections are [listen], [tls], [auth], [maildrop], [workers]" },
	{ "[\x1b[2J]\n", 1, "\"\\x1b[2J\"" },
	{ "[log\nlevel = x\n", 1, "write [log]" },
	{ "[log] level = info\n", 1, "move it to a line of its own" },
	{ "max = 5\n", 1, "write [workers] before it" },
	{ "x = 5\n", 1, "write [listen] before it" },
	{ "[limits]\nlogin_secconds = 5\n", 2, "no setting \"login_secconds\"; write login_seconds" },
	{ "[limits]\nLOGIN_SECONDS = 5\n", 2, "write login_seconds" },
	{ "[limits]\nmax = 5\n", 2, "move it to [workers]" },
	{ "[limits]\nspare_mn = 5\n", 2, "write spare_min, in [workers]" },
	{ "[workers]\nmin = 5\n", 2, "no setting \"min\"; its settings are spare_min, spare_max, max, sessions" },
	{ "[tls]\nkeys = /k\n", 2, "no setting \"keys\"; write key" },
	{ "[tls]\nkye = /k\n", 2, "no setting \"kye\"; write key" },
	{ "[limits]\nquota = 5\n", 2, "its settings are login_seconds, idle_minutes, per_source, login_tries" },
	{ "[limits]\n= 5\n", 2, "no setting \"\"" },
	{ "[limits]\nlogin_tries three: 3\n", 2, "write name = value" },
	{ "[limits]\nlogin_tries 3\n", 2, "this is no setting; write name = value" },
	{ "[limits]\nlogin_tries = 3\n\nlogin_tries = 4\n", 4, "set on line 2 already; remove one" },
	{ "[limits]\nlogin_tries = 3\n[log]\n[limits]\nlogin_tries = 3", 5, "set on line 2 already" },
	/* values */
	{ "[limits]\nidle_minutes = 9\n", 2, "[limits] idle_minutes = \"9\": write a number from 10 to 1440" },
	{ "[limits]\nidle_minutes = 1441\n", 2, "from 10 to 1440" },
	{ "[limits]\nfree_failures = 1001\n", 2, "from 0 to 1000" },
	{ "[limits]\nlongest_wait = 0\n", 2, "from 1 to 19" },
	{ "[limits]\nlongest_wait = 20\n", 2, "from 1 to 19" },
	{ "[limits]\nrepeat_seconds = 86401\n", 2, "from 0 to 86400" },
	{ "[auth]\nhash_memory = 1048577\n", 2, "from 0 to 1048576" },
	{ "[tls]\nreread_seconds = 604801\n", 2, "from 0 to 604800" },
	{ "[auth]\nfree_failures = 5\n", 2, "move it to [limits]" },
	{ "[limits]\nidle_minutes = 10m\n", 2, "from 10 to 1440" },
	{ "[limits]\nidle_minutes =\n", 2, "from 10 to 1440" },
	{ "[limits]\nidle_minutes = -10\n", 2, "from 10 to 1440" },
	{ "[limits]\nidle_minutes = 10 # ten\n", 2, "a comment stands on a line of its own" },
	{ "[maildrop]\nlocation = mbox:/var/mail/%u # spool\n", 2, "a comment stands on a line of its own" },
	{ "[maildrop]\nlocation = \"mbox:/var/mail/%u\"\n", 2, "without quotes" },
	{ "[maildrop]\nlocation = /var/mail/%u\n", 2, "write maildir:PATH or mbox:PATH" },
	{ "[maildrop]\nlocation =\n", 2, "write maildir:PATH or mbox:PATH" },
	{ "[maildrop]\nlocation = maildir:~/Maildir mbox:var/mail/%u\n", 2, "location mbox:var/mail/%u: the path must begin with / or ~" },
	{ "[maildrop]\nlocation = mbox:~/mail:INBOX=/var/mail/%u\n", 2, "where there is INBOX=, the path behind that" },
	{ "[maildrop]\nlocation = maildir:~/Maildir:CONTROL=/var/control/%u mbox:/var/mail/%u\n", 2, "write the path alone" },
	{ "[maildrop]\nlocation = maildir:%h/Maildir\n", 2, "the home is ~" },
	{ "[maildrop]\nlocation = mbox:/var/mail/ maildir:~/Maildir\n", 2, "the path ends in /" },
	{ "[maildrop]\nlocation = maildir:~/Maildir, mbox:/var/mail/%u\n", 2, "with a space before it" },
	{ "[maildrop]\nlocation = maildir:~/Maildir,mbox:/var/mail/%u\n", 2, "with a space before it" },
	{ "[maildrop]\nlocation = maildir:~/Maildir /var/mail/%u\n", 2, "each begins with maildir: or mbox:" },
	{ "[maildrop]\nlocation = maildir:~/Maildir Mbox:/var/mail/%u\n", 2, "each begins with maildir: or mbox:" },
	{ "[maildrop]\nunique_ids = dovecot %f\n", 2, "write own: it is the file's name" },
	{ "[maildrop]\nunique_ids = dovecot %08Xv\n", 2, "its pop3_uidl_format behind it" },
	{ "[maildrop]\nunique_ids = courier UID%u\n", 2, "write own, dovecot, dovecot FORMAT, ipop3d or courier" },
	{ "[maildrop]\nlocation = maildir:~/Maildir\nunique_ids = ipop3d %u\n", 3, "write own, dovecot" },
	{ "[maildrop]\nunique_ids = Dovecot\n", 2, "write own, dovecot, dovecot FORMAT, ipop3d or courier" },
	{ "[maildrop]\nunique_ids = dovecot %v.%u\n", 2, "messages of an mbox keep" },
	{ "[maildrop]\nunique_ids = dovecot %v.%u\nlocation = maildir:~/Maildir mbox:/var/mail/%u\n", 2, "messages of an mbox keep" },
	{ "[maildrop]\nlocation = mbox:/var/mail/%u\nunique_ids = courier\n", 3, "unique_ids = courier is for Maildirs" },
	{ "[workers]\nsessions = 2\n[auth]\nbackends = passwd-file\nvirtual_user = vmail\n[maildrop]\nlocation = maildir:/srv/mail/%u/M mbox:/srv/mail/%u/m\n", 2, "serves one location" },
	{ "[maildrop]\nlock_directory = run/lock\n", 2, "write the whole path, from the / on" },
	{ "[maildrop]\nlock_directory =\n", 2, "write the whole path, from the / on" },
	{ "[maildrop]\nlock_directory = /a\x01z\n", 2, "remove the control character" },
	{ "[auth]\nuser_names = upper\n", 2, "write as-typed or lowercase" },
	{ "[auth]\nlocal_domains = @example.org\n", 2, "without an @" },
	{ "[auth]\nlocal_domains = a.example,b.example\n", 2, "with spaces between them" },
	{ "[maildrop]\nmbox_locks = fcntl lockf\n", 2, "of fcntl, dotlock or flock" },
	{ "[maildrop]\nmbox_locks = fcntl,dotlock\n", 2, "with spaces between them" },
	{ "[maildrop]\nmbox_locks = fcntl fcntl\n", 2, "write fcntl once" },
	{ "[maildrop]\nmbox_locks =\n", 2, "write one or more" },
	{ "[auth]\nbackends = shadow\n", 2, "of passwd-file or pam" },
	{ "[auth]\nbackends = pam passwd-file pam\n", 2, "write pam once" },
	{ "[auth]\nbackends =\n", 2, "write one or more" },
	{ "[auth]\npam_service = ../shadow\n", 2, "write a name of letters" },
	{ "[auth]\npam_service =\n", 2, "write a name of letters" },
	{ "[auth]\nvirtual_user = -x\n", 2, "'.', or nothing" },
	{ "[auth]\nvirtual_user = v234567890123456789012345678901234567890123456789012345678901234\n", 2, "at most 63" },
	{ "[auth]\nminimum_uid = 0\n", 2, "from 1 to 4294967294" },
	{ "[auth]\nexplain_failures = yes\n", 2, "write never, loopback or always" },
	{ "[tls]\nminimum = 1.1\n", 2, "write 1.2 or 1.3" },
	{ "[log]\ntarget = file\n", 2, "write auto, stderr, syslog or journal" },
	{ "[log]\nlevel = \n", 2, "write error, warning, notice, info or debug" },
	/* addresses */
	{ "[listen]\nproxies = 192.0.2.1:110\n", 2, "addresses without a port" },
	{ "[listen]\nproxies = 192.0.2.0/24\n", 2, "addresses without a port" },
	{ "[listen]\nproxies = 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9 1.1.1.10 1.1.1.11 1.1.1.12 1.1.1.13 1.1.1.14 1.1.1.15 1.1.1.16 1.1.1.17\n", 2, "at most 16" },
	{ "[listen]\npop3 = *:110\n", 2, "for every address write 0.0.0.0:110 [::]:110" },
	{ "[listen]\npop3 = :110\n", 2, "for every address write 0.0.0.0:110 [::]:110" },
	{ "[listen]\npop3s = *:995\n", 2, "for every address write 0.0.0.0:995 [::]:995" },
	{ "[listen]\npop3 = 127.0.0.1\n", 2, "add the port: 127.0.0.1:110" },
	{ "[listen]\npop3 = ::1\n", 2, "for every address" },
	{ "[listen]\npop3 = 2001:db8::1\n", 2, "[2001:db8::1]:110" },
	{ "[listen]\npop3 = [2001:db8::1]\n", 2, "[2001:db8::1]:110" },
	{ "[listen]\npop3 = localhost:110\n", 2, "such as 127.0.0.1:110 or [::1]:110" },
	{ "[listen]\npop3 = 110\n", 2, "such as 127.0.0.1:110" },
	{ "[listen]\npop3 = 127.0.0.256:110\n", 2, "such as 127.0.0.1:110" },
	{ "[listen]\npop3 = [127.0.0.1]:110\n", 2, "such as 127.0.0.1:110" },
	{ "[listen]\npop3 = 127.0.0.1:0\n", 2, "from 1 to 65535, such as 127.0.0.1:110" },
	{ "[listen]\npop3 = 127.0.0.1:65536\n", 2, "from 1 to 65535" },
	{ "[listen]\npop3 = 127.0.0.1:\n", 2, "from 1 to 65535" },
	{ "[listen]\npop3 = [::1]:x\n", 2, "from 1 to 65535, such as [::1]:110" },
	{ "[listen]\npop3 = 127.0.0.1:110,[::1]:110\n", 2, "put spaces" },
	{ "[listen]\npop3 = 127.0.0.1:000000000000000000000000000000000000000000000000000000000000000110\n", 2, "such as" },
	{ "[listen]\npop3 = 127.0.0.1:110 127.0.0.1:110\n", 2, "write 127.0.0.1:110 once" },
	{ "[listen]\npop3 = 0.0.0.0:1 0.0.0.0:2 0.0.0.0:3 0.0.0.0:4 0.0.0.0:5 0.0.0.0:6 0.0.0.0:7 0.0.0.0:8 0.0.0.0:9 "
	  "1.0.0.0:1 1.0.0.0:2 1.0.0.0:3 1.0.0.0:4 1.0.0.0:5 1.0.0.0:6 1.0.0.0:7 1.0.0.0:8\n", 2, "at most 16" },
	/* settings that must fit each other */
	{ "[tls]\nkey = /k\n", 2, "set certificate, too, or remove key" },
	{ "[tls]\ncertificate = /c\n", 2, "set key, too, or remove certificate" },
	{ "[tls]\nkey = /k\ncertificate = /c /d\n", 2, "write a key for each certificate" },
	{ "[tls]\nkey = /k /l\ncertificate = /c\n", 2, "write a key for each certificate" },
	{ "[tls]\nkey = /k\ncertificate = /c, d\n", 3, "write whole paths" },
	{ "[tls]\n[listen]\npop3s = 0.0.0.0:995\n", 3, "or write pop3s =" },
	{ "[tls]\nplaintext_login = never\n", 2, "plaintext_login = loopback" },
	{ "\n[listen]\npop3 =\n", 3, "nothing to listen on" },
	{ "[tls]\nkey = /k\ncertificate = /c\n[listen]\npop3 = [::1]:995\npop3s = [::1]:995\n", 6, "another port" },
	{ "[workers]\nspare_min = 17\n", 2, "lower spare_min or raise spare_max" },
	{ "[workers]\nmax = 15\n", 2, "lower spare_max or raise max" },
};

static void test_wrong(void)
{
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct settings s;
		size_t n = read_text(wrongs[i].text, &s);
		ROW_ASSERT(wrongs[i].text, n == 1);
		if (n == 0)
			continue;
		ROW_ASSERT(wrongs[i].text, found.line[0] == wrongs[i].line);
		if (strstr(found.text[0], wrongs[i].fix) == NULL)
			ROW_TEXT(wrongs[i].text, found.text[0], wrongs[i].fix);
	}
}

/* Lines that inih would cut, or end at a NUL, without a word. */
static void test_odd_lines(void)
{
	static char text[2000];
	struct settings s;
	int n = snprintf(text, sizeof text, "[maildrop]\nlock_directory = /%0*d\n[limits]\nx = 1\n", 1000, 0);
	CU_ASSERT(n > 1000 && read_text(text, &s) == 2);
	CU_ASSERT(found.line[0] == 2 && strstr(found.text[0], "characters long") != NULL);
	CU_ASSERT(found.line[1] == 4);
	ROW_TEXT("its value is not used", s.lock_directory, "/run/postern/lock");

	(void)snprintf(text, sizeof text, "# %0*d\n[limits]\nlogin_tries = 4\n", 1000, 0);
	CU_ASSERT(read_text(text, &s) == 0 && s.login_tries == 4);

	static const char nul[] = "[limits]\nlogin_tries = 1\0 2\n";
	CU_ASSERT(read_octets(nul, sizeof nul - 1, &s) == 1);
	CU_ASSERT(found.line[0] == 2 && strstr(found.text[0], "NUL") != NULL);
}

/* Nothing is kept back for the next run, and a refused value brings no second finding with it. */
static void test_all_at_once(void)
{
	static const char text[] = "port = 110\n[listen]\npop3 = *:1\n[tls]\nkey = k\ncertificate = /c\n[limit]\nx = 1\n"
	                           "[workers]\nspare_min 3\nspare_max = 0\nmax = 2\nmax = 3\n[log\n";
	static const struct {
		unsigned line;
		const char *fix;
	} want[] = {
		{ 1, "no section" }, { 3, "for every address" }, { 5, "whole path" }, { 7, "write [limits]" },
		{ 10, "write name = value" }, { 11, "from 1 to 10000" }, { 13, "line 12 already" }, { 14, "[log]" },
	};
	struct settings s;
	size_t n = read_text(text, &s), count = sizeof want / sizeof *want;
	CU_ASSERT(n == count);
	for (size_t i = 0; i < count && i < n; i++) {
		ROW_ASSERT(found.text[i], found.line[i] == want[i].line);
		ROW_ASSERT(found.text[i], strstr(found.text[i], want[i].fix) != NULL);
	}
}

static void test_no_file(void)
{
	static char context[] = "context";
	struct settings s;
	found.count = 0;
	CU_ASSERT(settings_read("/nonexistent/postern.conf", &s, keep, context) == 1);
	CU_ASSERT(found.line[0] == 0);
	ROW_TEXT("missing", found.text[0], "cannot be opened: No such file or directory; name another with -c, or make it: posternd -D prints one, with all defaults");
	found.count = 0;
	CU_ASSERT(settings_read("/tmp", &s, keep, context) == 1);
	ROW_TEXT("directory", found.text[0], "cannot be read: Is a directory");
}

/* systemd/postern.conf is settings_print_defaults(), and each of its settings is the default. */
static void test_printed(void)
{
	static char shipped[16384];
	static struct settings plain, s;
	char *printed = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&printed, &len);
	CU_ASSERT_FATAL(out != NULL);
	settings_print_defaults(out);
	(void)fclose(out);
	FILE *in = fopen("systemd/postern.conf", "re");
	CU_ASSERT_FATAL(in != NULL);
	shipped[fread(shipped, 1, sizeof shipped - 1, in)] = '\0';
	(void)fclose(in);
	ROW_TEXT("systemd/postern.conf", shipped, printed);

	CU_ASSERT(read_text("", &plain) == 0);
	CU_ASSERT(read_text(printed, &s) == 0 && memcmp(&s, &plain, sizeof s) == 0);
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		char line[SETTING_TEXT_MAX];
		(void)snprintf(line, sizeof line, "\n# %s =%s%s\n", row->name, *row->value == '\0' ? "" : " ", row->value);
		char *at = strstr(printed, line);
		ROW_ASSERT(row->name, at != NULL);
		if (at != NULL)
			memset(at + 1, ' ', 2); /* take the comment off */
	}
	/* Only pop3s cannot be had by its default alone. */
	CU_ASSERT(read_text(printed, &s) == 1 && strstr(found.text[0], "or write pop3s =") != NULL);
	s.pop3s = plain.pop3s;
	CU_ASSERT(memcmp(&s, &plain, sizeof s) == 0);
	free(printed);
}

static void test_table(void)
{
	const struct setting *backends = setting_find("auth", "backends");
	CU_ASSERT_FATAL(backends != NULL);
	for (const struct choice *c = backends->choices; c->name != NULL; c++)
		ROW_ASSERT(c->name, auth_backend_find(c->name) != NULL);
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *row = &settings_table[i];
		ROW_ASSERT(row->name, setting_find(row->section, row->name) == row);
		ROW_ASSERT(row->name, setting_find(NULL, row->name) == row); /* cross checks look names up without a section */
	}
}

static void test_for_auth(void)
{
	struct settings s;
	struct auth_settings auth;
	CU_ASSERT(read_text("[auth]\nvirtual_user = vmail\nminimum_uid = 500\n", &s) == 0);
	settings_for_auth(&s, "/helper", &auth);
	ROW_TEXT("first", auth.backends[0], "passwd-file");
	ROW_TEXT("second", auth.backends[1], "pam");
	CU_ASSERT(auth.backends[2] == NULL && auth.minimum_uid == 500);
	ROW_TEXT("helper", auth.pam_helper, "/helper");
	ROW_TEXT("virtual_user", auth.virtual_user, "vmail");
	ROW_TEXT("passwd_file", auth.passwd_file, "/etc/postern/passwd");
	ROW_TEXT("pam_service", auth.pam_service, "postern");
}

#define TESTS(X) X(test_defaults) X(test_full) X(test_wrong) X(test_odd_lines) X(test_all_at_once) X(test_no_file) \
	X(test_printed) X(test_table) X(test_for_auth)
SUITE("settings")
