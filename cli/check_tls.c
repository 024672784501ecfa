/*
 * check_tls.c - TLS on a connection, and whether a mail program would take the server's certificate.
 * Runs in: postern, as whoever called it. Trusts: the authorities of the host, or those of --ca-file.
 *
 * The handshake takes any certificate, so that all that is wrong with it can be told; whoever sends a password asks
 * tls_certificate() first.
 */
#include "cli/check_link.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { NAMES_SHOWN = 6, NAME_OCTETS = 256 };

/* ---- the handshake ---- */

const char *tls_problem(void)
{
	static char text[256];
	unsigned long code = ERR_peek_last_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	(void)snprintf(text, sizeof text, "%s", reason != NULL ? reason : "the connection was closed");
	return text;
}

static bool is_address(const char *host)
{
	unsigned char octets[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, host, octets) == 1 || inet_pton(AF_INET6, host, octets) == 1;
}

static bool prepare(struct link *l)
{
	const struct check_options *o = &l->check->o;
	char host[HOST_NAME_MAX_OCTETS + 1];  /* the library's macro takes no const */
	(void)snprintf(host, sizeof host, "%s", o->host);
	l->context = SSL_CTX_new(TLS_client_method());
	if (l->context == NULL)
		return false;
	/* A CA file was read once before, so it can be read. */
	(void)(o->ca_file != NULL ? SSL_CTX_load_verify_locations(l->context, o->ca_file, NULL)
	       : SSL_CTX_set_default_verify_paths(l->context));
	SSL_CTX_set_verify(l->context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(l->context, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_min_proto_version(l->context, TLS1_2_VERSION);
	l->ssl = SSL_new(l->context);
	if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1)
		return false;
	return is_address(host) || SSL_set_tlsext_host_name(l->ssl, host) == 1;
}

/* The server's first octets, as they came: a TLS record of a handshake or an alert begins with 20 to 23, then 3. */
static void peek(struct link *l)
{
	if (l->first_len > 0)
		return;
	ssize_t n = recv(l->fd, l->first, sizeof l->first, MSG_PEEK | MSG_DONTWAIT);
	l->first_len = n > 0 ? (size_t)n : 0;
}

static bool looks_like_tls(const struct link *l)
{
	const int first = (unsigned char)l->first[0];
	return first >= SSL3_RT_CHANGE_CIPHER_SPEC && first <= SSL3_RT_APPLICATION_DATA && (l->first_len < 2 || l->first[1] == SSL3_VERSION_MAJOR);
}

static enum handshake why_not(const struct link *l)
{
	int reason = ERR_GET_REASON(ERR_peek_last_error());
	if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
		return HANDSHAKE_OLD;
	if (l->first_len > 0 ? !looks_like_tls(l) : reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
		return HANDSHAKE_NO_TLS;
	/* The first octets may have been read before peek() could see them; then the library knows more. */
	return l->first_len == 0 && (reason == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) ? HANDSHAKE_CLOSED : HANDSHAKE_FAILED;
}

enum handshake tls_begin(struct link *l, long long deadline)
{
	ERR_clear_error();
	if (!prepare(l))
		return HANDSHAKE_FAILED;
	for (;;) {
		peek(l);
		int result = SSL_connect(l->ssl), error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(l->ssl, result);
		if (result == 1)
			break;
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return why_not(l);
		if (!link_poll(l, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline) || now_ms() > deadline)
			return HANDSHAKE_TIMEOUT;
	}
	size_t len = strlen(l->where);
	(void)snprintf(l->where + len, sizeof l->where - len, ", %s", SSL_get_version(l->ssl));
	if (l->check->transcript != NULL)
		(void)fprintf(l->check->transcript, "* %s, %s\n", SSL_get_version(l->ssl), SSL_get_cipher_name(l->ssl));
	return HANDSHAKE_DONE;
}

/* ---- the certificate ---- */

/* One part of a name, such as its organisation, made printable; nothing if it has none. */
static void add_part(const struct check *c, struct buf *out, const X509_NAME *name, int nid)
{
	char text[NAME_OCTETS];
	int len = X509_NAME_get_text_by_NID(name, nid, text, sizeof text);
	if (len <= 0)
		return;
	(void)buf_add_text(out, out->len > 0 ? ", " : "");
	show(c, out, text, strlen(text));
}

static void add_whole(const struct check *c, struct buf *out, const X509_NAME *name)
{
	add_part(c, out, name, NID_organizationName);
	add_part(c, out, name, NID_commonName);
	if (out->len == 0)
		(void)buf_add_text(out, "nobody");
}

/* The names that the certificate is for. */
static void add_names(const struct check *c, struct buf *out, X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int shown = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < NAMES_SHOWN; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		(void)buf_add_text(out, shown++ > 0 ? ", " : "");
		show(c, out, (const char *)ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName));
	}
	if (shown == 0)
		add_part(c, out, X509_get_subject_name(leaf), NID_commonName);
	GENERAL_NAMES_free(names);
}

static long days_until(const ASN1_TIME *when)
{
	int days = 0, seconds = 0;
	return ASN1_TIME_diff(&days, &seconds, NULL, when) == 1 ? days : 0;
}

static void date_of(const ASN1_TIME *when, char date[16])
{
	struct tm tm;
	date[0] = '\0';
	if (ASN1_TIME_to_tm(when, &tm) == 1)
		(void)strftime(date, 16, "%Y-%m-%d", &tm);
}

/* The chain's first error; without the dates, which are looked at by themselves, if is_timeless. */
static int verify_chain(const struct link *l, X509 *leaf, bool is_timeless)
{
	int error = X509_V_ERR_OUT_OF_MEM;
	X509_STORE_CTX *v = X509_STORE_CTX_new();
	if (v != NULL && X509_STORE_CTX_init(v, SSL_CTX_get_cert_store(l->context), leaf, SSL_get_peer_cert_chain(l->ssl)) == 1) {
		(void)X509_STORE_CTX_set_default(v, "ssl_server");
		X509_STORE_CTX_set_flags(v, is_timeless ? X509_V_FLAG_NO_CHECK_TIME : 0);
		(void)X509_verify_cert(v);
		error = X509_STORE_CTX_get_error(v);
	}
	X509_STORE_CTX_free(v);
	return error;
}

static enum situation chain_situation(int error)
{
	switch (error) {
	case X509_V_OK: return SITUATION_NONE;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return SITUATION_CERTIFICATE_SELF_SIGNED;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return SITUATION_CERTIFICATE_UNKNOWN;
	case X509_V_ERR_CERT_HAS_EXPIRED: return SITUATION_CERTIFICATE_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID: return SITUATION_CERTIFICATE_EARLY;
	default: return SITUATION_CERTIFICATE_BAD;
	}
}

static bool judge_chain(struct link *l, X509 *leaf)
{
	struct check *c = l->check;
	char text[2 * NAME_OCTETS + 8], tool[SERVER_NAME_MAX];
	struct buf issuer = BUF_OVER(text);
	add_whole(c, &issuer, X509_get_issuer_name(leaf));
	int error = verify_chain(l, leaf, true);
	bool is_intercepted = server_recognize("issuer", buf_text(&issuer), issuer.len, tool);
	if (error == X509_V_OK && !is_intercepted)
		return true;
	struct step *s = step_begin(c, "certificate's signer", l->where);
	step_seen(c, s, issuer.p, issuer.len);
	if (is_intercepted)
		step_detail(s, "signed by \"%s\", as %s does it", buf_text(&issuer), tool);
	else
		step_detail(s, "signed by \"%s\": %s", buf_text(&issuer), X509_verify_cert_error_string(error));
	step_end(s, error == X509_V_OK ? OUTCOME_WARNING : OUTCOME_FAULT, is_intercepted ? SITUATION_INTERCEPTED : chain_situation(error));
	return error == X509_V_OK;
}

static bool judge_name(struct link *l, X509 *leaf)
{
	const char *host = l->check->o.host;
	char text[DETAIL_MAX / 2];
	struct buf names = BUF_OVER(text);
	if ((is_address(host) ? X509_check_ip_asc(leaf, host, 0) : X509_check_host(leaf, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL)) == 1)
		return true;
	add_names(l->check, &names, leaf);
	struct step *s = step_begin(l->check, "certificate's name", l->where);
	step_seen(l->check, s, names.p, names.len);
	step_detail(s, "you use %s, the certificate is for: %s", host, names.len > 0 ? buf_text(&names) : "no name at all");
	step_end(s, OUTCOME_FAULT, SITUATION_CERTIFICATE_NAME);
	return false;
}

static bool judge_dates(struct link *l, X509 *leaf)
{
	char from[16], until[16];
	enum situation situation = SITUATION_NONE;
	long days = days_until(X509_get0_notAfter(leaf));
	if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		situation = SITUATION_CERTIFICATE_EARLY;
	else if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		situation = SITUATION_CERTIFICATE_EXPIRED;
	else if (days < CERTIFICATE_DAYS)
		situation = SITUATION_CERTIFICATE_ENDS;
	else if (verify_chain(l, leaf, true) == X509_V_OK)
		situation = chain_situation(verify_chain(l, leaf, false));  /* one that signed it may have expired */
	if (situation == SITUATION_NONE)
		return true;
	date_of(X509_get0_notBefore(leaf), from);
	date_of(X509_get0_notAfter(leaf), until);
	struct step *s = step_begin(l->check, "certificate's dates", l->where);
	step_detail(s, "valid from %s until %s (%ld day%s %s)", from, until, labs(days), labs(days) == 1 ? "" : "s", days < 0 ? "ago" : "left");
	step_end(s, situation == SITUATION_CERTIFICATE_ENDS ? OUTCOME_WARNING : OUTCOME_FAULT, situation);
	return situation == SITUATION_CERTIFICATE_ENDS;
}

bool tls_certificate(struct link *l)
{
	char names_text[DETAIL_MAX / 3], issuer_text[DETAIL_MAX / 3], until[16];
	struct buf names = BUF_OVER(names_text), issuer = BUF_OVER(issuer_text);
	X509 *leaf = SSL_get1_peer_certificate(l->ssl);
	if (leaf == NULL) {
		struct step *s = step_begin(l->check, "certificate", l->where);
		step_detail(s, "the server sent none");
		step_end(s, OUTCOME_FAULT, SITUATION_CERTIFICATE_BAD);
		return false;
	}
	const bool chain = judge_chain(l, leaf), name = judge_name(l, leaf), dates = judge_dates(l, leaf);
	if (chain && name && dates) {
		struct step *s = step_begin(l->check, "certificate", l->where);
		add_names(l->check, &names, leaf);
		add_whole(l->check, &issuer, X509_get_issuer_name(leaf));
		date_of(X509_get0_notAfter(leaf), until);
		step_detail(s, "for %s, signed by \"%s\", until %s", buf_text(&names), buf_text(&issuer), until);
		step_end(s, OUTCOME_OK, SITUATION_NONE);
	}
	X509_free(leaf);
	return chain && name && dates;
}
