/*
 * ahead.c - messages that the keeper opened before their turn came.
 * Runs in: gate. Trusts: the keeper.
 */
#include "daemon/ahead.h"

#include <string.h>
#include <unistd.h>

static struct rpc_text text;
static size_t text_used;  /* octets of it that anything was ever put in */

struct message_body ahead_body(const struct rpc_answer *rpc, int fd)
{
	return (struct message_body){ .fd = fd, .as_stored = rpc->as_stored != 0, .wire = rpc->wire, .offset = rpc->offset, .length = rpc->length,
	                              .file_size = rpc->file_size,
	                              .modified = { .tv_sec = (time_t)rpc->modified[0], .tv_nsec = (long)rpc->modified[1] } };
}

bool ahead_is_unchanged(const struct message_body *body, nlink_t *links_r)
{
	struct stat st = { .st_nlink = 0 };
	const int r = fstat(body->fd, &st);
	*links_r = st.st_nlink;
	return r == 0 && (uint64_t)st.st_size == body->file_size && st.st_mtim.tv_sec == body->modified.tv_sec &&
		st.st_mtim.tv_nsec == body->modified.tv_nsec;
}

void ahead_forget(struct ahead *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->bodies[i].fd >= 0)
			(void)close(a->bodies[i].fd);
	a->count = 0;
}

/* As it was found. One that was removed since is the keeper's to tell about. */
static bool first_is_there(const struct ahead *a)
{
	nlink_t links;
	if (a->count == 0)
		return false;
	/* What was read already is the message that was listed, whatever became of its file. */
	return a->bodies[0].octets != NULL || (a->bodies[0].fd >= 0 && ahead_is_unchanged(&a->bodies[0], &links) && links > 0);
}

bool ahead_take(struct ahead *a, size_t idx, size_t behind, size_t commands, struct message_body *body_r, uint32_t *more_r)
{
	const bool in_order = idx == a->next;
	a->run = in_order ? a->run + 1 : 1;
	const size_t likely = commands > a->run - 1 ? commands : a->run - 1;
	const size_t wanted = likely < behind ? likely : behind;
	a->next = idx + 1;
	if (in_order && first_is_there(a)) {
		*body_r = a->bodies[0];
		memmove(a->bodies, a->bodies + 1, --a->count * sizeof *a->bodies);
		return true;
	}
	ahead_forget(a);
	*more_r = !in_order ? 0 : wanted < RPC_MORE_MOST ? (uint32_t)wanted : RPC_MORE_MOST;
	return false;
}

struct rpc_text *ahead_text(void)
{
	return &text;
}

ssize_t ahead_receive(int keeper, int *fd_r)
{
	const ssize_t n = rpc_receive(keeper, &text, sizeof text, fd_r);
	/* One that was too long to be taken has filled it. */
	const size_t used = n >= 0 ? (size_t)n : sizeof text;
	text_used = used > text_used ? used : text_used;
	return n;
}

void ahead_wipe(void)
{
	explicit_bzero(&text, text_used);
	text_used = 0;
}

bool ahead_take_text(struct ahead *a, size_t size, uint32_t more, struct message_body *body_r)
{
	const size_t head = offsetof(struct rpc_text, octets);
	const char *at = text.octets;
	size_t left = size - head;
	if (size < head || text.count == 0 || text.count > RPC_MORE_MOST + 1 || text.count - 1 > more)
		return false;
	ahead_forget(a);
	for (size_t i = 0; i < text.count; i++) {
		const size_t len = text.lengths[i];
		const struct message_body body = { .fd = -1, .octets = at, .length = len, .wire = text.wire[i] };
		if (len > left)
			return false;
		if (i == 0)
			*body_r = body;
		else
			ahead_keep(a, &body);
		at += len;
		left -= len;
	}
	return left == 0;
}

void ahead_keep(struct ahead *a, const struct message_body *body)
{
	if (a->count < RPC_MORE_MOST)
		a->bodies[a->count++] = *body;
	else if (body->fd >= 0)
		(void)close(body->fd);
}
