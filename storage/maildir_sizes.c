/*
 * maildir_sizes.c - the sizes that file names carry, ",S=" octets stored and ",W=" octets on the wire: what is believed of them.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop; a name is a hint, whose truth the first FETCH finds out.
 *
 * Maildir++ and Dovecot's agents write both. Where the file is as long as S says, W is taken for its size, and the file is not opened at a
 * login. Before it is sent it is read, so that nothing that goes to a client rests on a name. The first of a maildrop are opened: where one
 * name lies none is believed any more.
 */
#include <errno.h>
#include <stdio.h>

#include "base/number.h"
#include "storage/maildir.h"

/* Files that are looked at for each that is opened to prove its name. The unit tests of what follows from believing names put none in its place. */
#ifndef MAILDIR_PROVEN_TRIES
#define MAILDIR_PROVEN_TRIES 8
#endif

enum {
	WIRE_MOST = 2, WIRE_ENDING = 2,  /* a line feed becomes two octets at most, and a missing last line end is two more */
	NAMES_PROVEN = 8,                /* names to be proven before the others are believed without; */
	PROVEN_OCTETS = 256 * 1024,      /* by files that are no larger */
};

/* What a name says. */
struct sizes {
	uint64_t stored, octets;
};

/* Digits as every agent writes them: no zero in front. */
static bool take_size(const char *digits, size_t len, uint64_t *size)
{
	return *size == 0 && len > 0 && digits[0] != '0' && parse_number(digits, len, 1, LIST_OCTETS_MAX, size) == 0;
}

/* The fields of a base name are behind commas, in any order. Each of the two once, or nothing is believed. */
static bool named_sizes(const char *base, size_t len, struct sizes *sizes_r)
{
	const char *const end = base + len;
	struct sizes s = { .stored = 0 };
	for (const char *at = memchr(base, ',', len), *next; at != NULL; at = next) {
		next = memchr(at + 1, ',', (size_t)(end - at) - 1);
		const char *const over = next != NULL ? next : end;
		if (over - at < 3 || at[2] != '=' || (at[1] != 'S' && at[1] != 'W'))
			continue;
		if (!take_size(at + 3, (size_t)(over - at) - 3, at[1] == 'S' ? &s.stored : &s.octets))
			return false;
	}
	*sizes_r = s;
	return s.stored > 0 && s.octets >= s.stored && s.octets <= WIRE_MOST * s.stored + WIRE_ENDING;
}

uint64_t maildir_stand_in(uint64_t stored, uint64_t octets, const struct timespec *modified)
{
	const uint64_t what[] = { stored, octets, (uint64_t)modified->tv_sec }, nanoseconds = (uint64_t)modified->tv_nsec;
	const uint64_t lasting = maildir_lasting(XXH3_64bits_withSeed(what, sizeof what, sizeof what), true);
	return lasting | (uint32_t)XXH3_64bits_withSeed(&nanoseconds, sizeof nanoseconds, lasting);
}

uint64_t maildir_named_content(const struct maildir *m, const struct maildir_entry *e)
{
	struct sizes sizes;
	if (!named_sizes(maildir_name(m, e), e->base_len, &sizes) || (e->ino != 0 && e->stored != sizes.stored))
		return 0;
	return XXH3_64bits_withSeed(&sizes, sizeof sizes, sizeof sizes);
}

bool maildir_size_by_name(const struct maildir *m, struct maildir_entry *e)
{
	const bool was_read = e->record != 0 && !e->unopened;
	struct sizes sizes;
	struct stat st;
	/* What was read once is read again, and what another file's unique-id hangs on. */
	if (m->proven == MAILDIR_NAMES_LIE || e->again || was_read || !named_sizes(maildir_name(m, e), e->base_len, &sizes) || (m->gone != NULL && gone_has(m->gone, maildir_uidl_hash(m, e))))
		return false;
	/* Whatever is odd about it is found, and told, by opening it. */
	if (fstatat(m->dir_fd[e->dir], maildir_name(m, e), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != m->drop.options.owner || (st.st_mode & S_IRUSR) == 0 || (uint64_t)st.st_size != sizes.stored)
		return false;
	maildir_take_file(e, &st, sizes.stored);
	e->octets = sizes.octets;
	e->digest = maildir_stand_in(sizes.stored, sizes.octets, &st.st_mtim);
	e->unopened = true;
	e->needs_change = true;
	return true;
}

/* ---- what reading one tells ---- */

/* True when it was read, since its name would be believed. */
static bool prove_name(struct maildir *m, struct maildir_entry *e)
{
	if (e->state != ENTRY_LISTED || !maildir_size_by_name(m, e) || e->stored > PROVEN_OCTETS)
		return false;
	const uint64_t said = e->octets;
	maildir_open_unopened(m, e);
	if (e->unopened)
		return false;
	e->state = ENTRY_READY;
	m->proven = e->octets == said ? m->proven + 1 : MAILDIR_NAMES_LIE;
	return true;
}

void maildir_prove_names(struct maildir *m)
{
	const size_t tries = MAILDIR_PROVEN_TRIES;
	for (size_t n = m->proven; n < NAMES_PROVEN && m->proven != MAILDIR_NAMES_LIE; n++) {
		const size_t from = m->entry_count * n / NAMES_PROVEN, behind = m->entry_count * (n + 1) / NAMES_PROVEN;
		for (size_t i = from; i < behind && i - from < tries && !prove_name(m, &m->entries[i]); i++)
			;
	}
}

/* Said once a session, of the first: a program that writes wrong sizes has written many. */
static void notice_lie(struct maildir *m, enum maildir_dir dir, const char *name, uint64_t said, uint64_t octets)
{
	char what[128];
	if (m->lie_noticed)
		return;
	m->lie_noticed = true;
	(void)snprintf(what, sizeof what, "its name has a wrong size, W=%ju; RETR sends %ju octets (said once a session)", (uintmax_t)said, (uintmax_t)octets);
	maildrop_notice_name(&m->drop, maildir_dir_names[dir], name, what);
}

void maildir_learn_entry(struct maildir *m, struct maildir_entry *e, const struct maildir_reading *r)
{
	if (e->unopened && r->octets != e->octets)
		notice_lie(m, e->dir, maildir_name(m, e), e->octets, r->octets);
	e->octets = r->octets;
	e->digest = r->digest;
	e->needs_change = r->needs_change;
	e->unopened = false;
}

/* Of a message of the list. The image is ours alone, also where it is mapped; the gate has what the login said. */
static void learn_record(struct maildir *m, size_t idx, const struct maildir_reading *r)
{
	struct list_header *h = m->drop.image.octets;
	struct list_name *record = &((struct list_name *)(h + 1))[idx];
	char name[LIST_NAME_MAX + 1];
	if (r->octets != record->octets && maildir_listed_name(m, idx, name))
		notice_lie(m, maildir_dir_of(record), name, record->octets, r->octets);
	h->octets += r->octets - record->octets;
	m->drop.image.list.octets = h->octets;
	record->octets = r->octets & LIST_OCTETS_MAX;
	record->digest = r->digest;
	record->flags = (uint8_t)((record->flags & ~(LIST_UNOPENED | LIST_AS_STORED)) | (r->needs_change ? 0 : LIST_AS_STORED));
	if (m->entries != NULL)
		maildir_learn_entry(m, &m->entries[m->order[idx]], r);
	m->learned_from = m->learned_to > 0 && m->learned_from < idx ? m->learned_from : idx;
	m->learned_to = m->learned_to > idx ? m->learned_to : idx + 1;
}

void maildir_learn_octets(struct maildir *m, size_t idx, const char *octets, size_t len)
{
	struct maildir_reading r;
	maildir_count(octets, len, &r);
	learn_record(m, idx, &r);
}

int maildir_learn(struct maildir *m, size_t idx, int fd, const struct stat *st)
{
	struct maildir_reading r;
	struct stat after;
	const uint64_t size = (uint64_t)st->st_size;
	if (maildir_read_file(m, fd, size, &r) != 0 || fstat(fd, &after) != 0)
		return -1;
	if (r.stored != size || maildir_identity(&after, (uint64_t)after.st_size) != maildir_identity(st, size)) {
		errno = ESTALE;
		return -1;
	}
	learn_record(m, idx, &r);
	return 0;
}

void maildir_keep_learned(struct maildir *m)
{
	const size_t at = sizeof(struct list_header) + m->learned_from * sizeof(struct list_name);
	/* Another session's gate, or ours that goes on without a maildrop, may still read the index. */
	if (m->learned_to > 0 && m->drop.image_at > 0 && !m->drop.options.index->frozen)
		(void)index_amend(&m->index, &m->drop.image, at, (m->learned_to - m->learned_from) * sizeof(struct list_name));
}
