/*
 * conn_bio.c - how OpenSSL reaches the connection: as its own socket BIO does, but what more follows at once is sent so.
 * Runs in: gate. Trusts: nothing that comes in.
 *
 * OpenSSL hands over one record at a time. By MSG_MORE the kernel puts those of one answer together, so that only the last
 * segment of an answer may be short (BIO_s_socket(3) has no flags).
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/conn.h"

static bool is_to_be_tried_again(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int write_record(BIO *bio, const char *octets, int len)
{
	const struct conn *c = BIO_get_data(bio);
	const ssize_t n = send(c->fd, octets, (size_t)len, MSG_NOSIGNAL | c->send_flags);
	BIO_clear_retry_flags(bio);
	if (is_to_be_tried_again(n))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int read_octets(BIO *bio, char *to, int room)
{
	const struct conn *c = BIO_get_data(bio);
	const ssize_t n = read(c->fd, to, (size_t)room);
	BIO_clear_retry_flags(bio);
	if (is_to_be_tried_again(n))
		BIO_set_retry_read(bio);
	if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)n;
}

static long control(BIO *bio, int what, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	switch (what) {
	case BIO_CTRL_FLUSH: return 1; /* nothing is kept here */
	case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default: return 0;
	}
}

const BIO_METHOD *conn_bio_method(void)
{
	static BIO_METHOD *method;
	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "connection");
	if (method != NULL && BIO_meth_set_write(method, write_record) == 1 && BIO_meth_set_read(method, read_octets) == 1 &&
	    BIO_meth_set_ctrl(method, control) == 1)
		return method;
	BIO_meth_free(method);
	method = NULL;
	return NULL;
}

bool conn_use_bio(struct conn *c)
{
	BIO *bio = conn_bio_method() != NULL ? BIO_new(conn_bio_method()) : NULL;
	if (bio == NULL)
		return false;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	return true;
}
