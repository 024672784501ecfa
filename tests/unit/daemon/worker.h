/*
 * worker.h - what the tests of gate, keeper and master need besides a host: settings, users, mail, a certificate, RPC.
 * Runs in: the tests, as root or as any user.
 */
#ifndef POSTERN_TEST_WORKER_H
#define POSTERN_TEST_WORKER_H

#include <arpa/inet.h>
#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "daemon/rpc.h"
#include "daemon/settings.h"
#include "tests/unit/daemon/host.h"

enum { MAIL_UID = 12345 };

/* The owner of the mail: nobody in particular when we are root, else ourselves. */
static inline uid_t mail_uid(void)
{
	return geteuid() == 0 ? MAIL_UID : geteuid();
}

static inline void give_to_owner(const char *name)
{
	if (geteuid() == 0)
		CU_ASSERT_FATAL(chown(in_host(name), MAIL_UID, MAIL_UID) == 0);
}

static inline void make_directory(const char *name, mode_t mode)
{
	CU_ASSERT_FATAL(mkdir(in_host(name), 0700) == 0 && chmod(in_host(name), mode) == 0);
}

/* ann, whose password is "secret", and her Maildir of three messages; bob, whose Maildir is a file. */
static inline void make_users(void)
{
	static const char *const directories[] = { "mail", "mail/ann", "mail/ann/cur", "mail/ann/new", "mail/ann/tmp" };
	static const struct { const char *name, *text; } mails[] = {
		{ "mail/ann/cur/1.a.host:2,S", "A: 1\n\none\n.dot\n" },
		{ "mail/ann/cur/2.b.host:2,S", "A: 2\n\ntwo" },
		{ "mail/ann/new/3.c.host", "A: 3\n\nthree\n" },
	};
	char text[512];
	const char *hash = crypt("secret", "$6$rounds=1000$postern");
	CU_ASSERT_FATAL(hash != NULL && hash[0] == '$');
	unsigned uid = (unsigned)mail_uid();
	(void)snprintf(text, sizeof text, "ann:%s:%u:%u::\nbob:%s:%u:%u::\nroot:%s:0:0::\n", hash, uid, uid, hash, uid, uid, hash);
	host_put("passwd", text, 0600);
	make_directory("lock", 0700);
	make_directory("journal", 0700);
	make_directory("index", 0700);
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
		make_directory(directories[i], 0700);
		give_to_owner(directories[i]);
	}
	CU_ASSERT_FATAL(chmod(in_host("mail"), 0755) == 0);
	for (size_t i = 0; i < sizeof mails / sizeof *mails; i++) {
		host_put(mails[i].name, mails[i].text, 0600);
		give_to_owner(mails[i].name);
	}
	host_put("mail/bob", "no directory\n", 0600);
	give_to_owner("mail/bob");
}

/* The text of a configuration; extra stands at its end ("[limits]\n..."). pop3: 0 is no listener. */
static inline const char *config_text(unsigned pop3, const char *extra)
{
	static char text[8192];
	struct buf b = BUF_OVER(text);
	(void)buf_printf(&b, "[auth]\nbackends = passwd-file\npasswd_file = %s\nminimum_uid = 1\nexplain_failures = never\n", in_host("passwd"));
	(void)buf_printf(&b, "[maildrop]\nlocation = maildir:%s/%%u\nlock_directory = %s\njournal_directory = %s\nindex_directory = %s\n", in_host("mail"),
	                 in_host("lock"), in_host("journal"), in_host("index"));
	(void)buf_printf(&b, "[system]\ngate_user = nobody\n[log]\ntarget = stderr\nlevel = info\n");
	(void)buf_printf(&b, "history_directory = %s\nhistory_socket = %s\nhistory = 100\n", in_host("history"), in_host("ask"));
	(void)buf_printf(&b, "[workers]\nspare_min = 1\nspare_max = 1\nmax = 8\n[auth]\nhash_memory = 0\nlogin_cache = 0\n[limits]\nfree_failures = 0\nrepeat_seconds = 0\n");
	if (pop3 != 0)
		(void)buf_printf(&b, "[listen]\npop3 = 127.0.0.1:%u\npop3s =\n", pop3);
	else
		(void)buf_printf(&b, "[listen]\npop3 =\npop3s =\n");
	(void)buf_add_text(&b, extra);
	return buf_text(&b);
}

static inline void say_finding(void *context, const char *file, unsigned line, const char *text)
{
	(void)context;
	(void)fprintf(stderr, "%s:%u: %s\n", file, line, text);
}

/* Settings as posternd would have them. */
static inline struct settings *settings_of(const char *extra)
{
	static struct settings settings;
	host_put("config", config_text(1110, extra), 0600);
	CU_ASSERT_FATAL(settings_read(in_host("config"), &settings, say_finding, NULL) == 0);
	return &settings;
}

static inline struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = { .ss_family = AF_INET };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(40000) };
	CU_ASSERT_FATAL(inet_pton(AF_INET, text, &v4.sin_addr) == 1);
	memcpy(&address, &v4, sizeof v4);
	return address;
}

/* One path in place of all that were there. */
static inline void put_path(char paths[PATH_MAX], const char *path)
{
	memset(paths, 0, PATH_MAX);
	(void)snprintf(paths, PATH_MAX, "%s", path);
}

/* A self-signed certificate and its key (taken), as two files in the host. */
static inline void make_certificate_for(EVP_PKEY *pair, const char *certificate, const char *key)
{
	X509 *x = X509_new();
	CU_ASSERT_FATAL(pair != NULL && x != NULL);
	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 36000);
	(void)X509_set_pubkey(x, pair);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	(void)X509_set_issuer_name(x, X509_get_subject_name(x));
	CU_ASSERT_FATAL(X509_sign(x, pair, EVP_PKEY_is_a(pair, "ED25519") ? NULL : EVP_sha256()) > 0);
	FILE *f = fopen(in_host(certificate), "we");
	CU_ASSERT_FATAL(f != NULL && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
	f = fopen(in_host(key), "we");
	CU_ASSERT_FATAL(f != NULL && PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
	CU_ASSERT_FATAL(chmod(in_host(key), 0600) == 0);
	X509_free(x);
	EVP_PKEY_free(pair);
}

static inline void make_certificate(const char *certificate, const char *key)
{
	make_certificate_for(EVP_EC_gen("P-256"), certificate, key);
}

/* "[tls]..." for a certificate and a key of the host. */
static inline const char *tls_text(const char *certificate, const char *key)
{
	static char text[2 * PATH_MAX];
	(void)snprintf(text, sizeof text, "[tls]\ncertificate = %s\nkey = %s\n", in_host(certificate), in_host(key));
	return text;
}

/* The client's side of a handshake, while the gate asks aside for its signature. True when it worked. */
static inline bool peer_start_tls(struct peer *p, SSL_CTX *context)
{
	int r;
	p->at = p->len = 0;
	p->ssl = SSL_new(context);
	if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1 || fcntl(p->fd, F_SETFL, O_NONBLOCK) != 0)
		return false;
	while ((r = SSL_connect(p->ssl)) != 1 && SSL_get_error(p->ssl, r) == SSL_ERROR_WANT_READ) {
		serve_aside(p);
		if (!ready(p->fd, POLLIN))
			break;
	}
	CU_ASSERT(fcntl(p->fd, F_SETFL, 0) == 0);
	return r == 1;
}

/* ---- RPC ---- */

/* The next message; its octets, 0 at the end of file, -1 when none comes. */
static inline ssize_t rpc_await(int socket, void *message, size_t size, int *fd_r)
{
	*fd_r = -1;
	return ready(socket, POLLIN) ? rpc_receive(socket, message, size, fd_r) : -1;
}

static inline struct secret secret_of(const char *text)
{
	struct secret s;
	CU_ASSERT_FATAL(secret_set(&s, text, strlen(text)) == 0);
	return s;
}

static inline struct rpc_auth auth_of(const char *user, const char *password)
{
	struct rpc_auth auth = { .verb = RPC_AUTH, .password = secret_of(password) };
	(void)snprintf(auth.user, sizeof auth.user, "%s", user);
	return auth;
}

static inline void socket_pair(int type, int ends[2])
{
	CU_ASSERT_FATAL(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
}

#endif
