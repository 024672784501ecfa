/*
 * maildir_uidl.c - the unique-ids of a Maildir's messages: by the name, by a hash, and never that of a message that is gone.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "storage/changes.h"
#include "storage/maildir.h"

enum { DIGITS = 2 * LIST_UIDL_HASH };

bool maildir_can_be_uidl(const char *text, size_t len)
{
	bool good = len > 0 && len <= UIDL_MAX;
	for (size_t i = 0; good && i < len; i++)
		good = text[i] >= 0x21 && text[i] <= 0x7e;
	return good;
}

/* Not one that looks like the hash of another name, which it could be. */
bool maildir_fits_uidl(const char *base, size_t len)
{
	const bool good = maildir_can_be_uidl(base, len);
	size_t digits = 0;
	for (size_t i = 0; good && len == DIGITS && i < len; i++)
		digits += (base[i] >= '0' && base[i] <= '9') || (base[i] >= 'a' && base[i] <= 'f');
	return good && digits < DIGITS;
}

size_t maildir_uidl_behind(const struct maildir_entry *e)
{
	if (e->uidl_len > 0)
		return e->uidl_len;
	/* The index has it so, which was looked at when it was made. */
	if (e->owns_name && !e->twin)
		return 0;
	return !e->twin && e->fits_uidl ? 0 : DIGITS;
}

/* The hash of the name; a key sets it apart from all hashes of names alone. */
static void hash_name(const struct maildir *m, const struct maildir_entry *e, const uint64_t *key, size_t key_size, char uidl_r[DIGITS])
{
	unsigned char hash[LIST_UIDL_HASH];
	char digits[DIGITS + 1];
	(void)crypto_generichash(hash, sizeof hash, (const unsigned char *)maildir_name(m, e), e->base_len, (const unsigned char *)key, key_size);
	(void)sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
	memcpy(uidl_r, digits, DIGITS);
}

size_t maildir_uidl(const struct maildir *m, const struct maildir_entry *e, char out[UIDL_MAX])
{
	const uint64_t ino = e->ino;
	const size_t behind = maildir_uidl_behind(e);
	if (behind == 0)
		memcpy(out, maildir_name(m, e), e->base_len);
	else if (e->uidl_len > 0)
		memcpy(out, m->names + e->uidl, e->uidl_len);
	else
		hash_name(m, e, e->twin ? &ino : NULL, e->twin ? sizeof ino : 0, out);
	return behind > 0 ? behind : e->base_len;
}

uint64_t maildir_uidl_hash(const struct maildir *m, const struct maildir_entry *e)
{
	char uidl[UIDL_MAX];
	if (maildir_uidl_behind(e) == 0)
		return gone_hash(maildir_name(m, e), e->base_len);
	return gone_hash(uidl, maildir_uidl(m, e, uidl));
}

/* ---- those that are gone ---- */

void maildir_remember_gone(struct maildir *m, const struct maildir_entry *e, uint64_t content)
{
	if (m->gone == NULL)
		m->gone = gone_read(&m->index);
	gone_add(m->gone, maildir_uidl_hash(m, e), content);
}

uint64_t maildir_content(const struct maildir *m, const struct maildir_entry *e)
{
	return e->unopened ? maildir_named_content(m, e) : gone_content(e->digest);
}

void maildir_was_written(struct maildir *m, const struct maildir_entry *e)
{
	/* It may have been so at the login already, without the directory's knowing. The name stays that of what was listed. */
	struct maildir_left left;
	const void *state = index_state(&m->index);
	maildir_remember_gone(m, e, maildir_content(m, e));
	gone_write(m->gone, &m->index);
	if (state == NULL) {
		index_drop(&m->index);
		return;
	}
	memcpy(&left, state, sizeof left);
	left.quiet = 0;
	left.doubted = 1;
	index_restate(&m->index, &left, sizeof left);
}

void maildir_forget_uidl(struct maildir *m, struct maildir_entry *e)
{
	maildir_remember_gone(m, e, maildir_content(m, e));
	e->uidl_len = 0;
	e->owns_name = false;
}

/* The first that was no other's. */
int maildir_hash_anew(struct maildir *m, struct maildir_entry *e, struct why *why_r)
{
	uint64_t key[] = { e->twin ? e->ino : 0, e->digest, 0 };
	const uint64_t stand_in = maildir_named_content(m, e);
	char *uidl;
	if (maildir_names_room(m, DIGITS, why_r) != 0)
		return -1;
	uidl = m->names + m->names_len;
	do {
		hash_name(m, e, key, sizeof key, uidl);
		key[2]++;
	} while (gone_was_anothers(m->gone, gone_hash(uidl, DIGITS), e->digest, stand_in));
	e->uidl = (uint32_t)m->names_len;
	e->uidl_len = DIGITS;
	m->names_len += DIGITS;
	return 0;
}

/* Is the unique-id that it would have one of another message? That of one which nobody has read may be its own by what the name says. */
static bool is_anothers(const struct maildir *m, const struct maildir_entry *e)
{
	const uint64_t hash = maildir_uidl_hash(m, e);
	return gone_has(m->gone, hash) && gone_was_anothers(m->gone, hash, e->digest, maildir_named_content(m, e));
}

/* Those that were not looked at are the index's, and have its unique-ids. */
static int settle(struct maildir *m, struct maildir_entry *e, struct why *why_r)
{
	if (e->ino == 0 || !is_anothers(m, e))
		return 0;
	e->uidl_len = 0;
	return is_anothers(m, e) ? maildir_hash_anew(m, e, why_r) : 0;
}

/* ---- is it all new at once? ---- */

static bool is_lost(const struct maildir_entry *e)
{
	return e->record != 0 && e->state == ENTRY_DROPPED && maildir_is_known(e);
}

/* Has the index this unique-id, as that of a file that is gone? A copy of it has the same. */
static bool is_told(const struct maildir *m, const struct maildir_entry *e)
{
	char uidl[UIDL_MAX], other[UIDL_MAX];
	const size_t len = maildir_uidl(m, e, uidl);
	const struct maildir_entry *o = NULL;
	while ((o = maildir_find(m, maildir_name(m, e), e->base_len, o)) != NULL)
		if (is_lost(o) && maildir_uidl(m, o, other) == len && memcmp(uidl, other, len) == 0)
			return true;
	return false;
}

static bool is_fresh(const struct maildir *m, const struct maildir_entry *e)
{
	return e->record == 0 && e->state == ENTRY_READY && !is_told(m, e);
}

/* Those that are new are read, so that they can be held against what was read. */
static void add_fresh(struct maildir *m, struct changes *c)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		struct maildir_entry *e = &m->entries[i];
		if (!is_fresh(m, e))
			continue;
		const uint64_t stand_in = maildir_stand_in(e->stored, e->octets, &e->modified);
		if (e->unopened)
			maildir_open_unopened(m, e);
		changes_add(c, CHANGES_FRESH, maildir_lasting(e->digest, e->unopened));
		changes_add(c, CHANGES_FRESH, maildir_lasting(stand_in, true));
	}
}

static int check_changes(struct maildir *m, struct why *why_r)
{
	size_t lost = 0, fresh = 0;
	for (size_t i = 0; i < m->entry_count; i++) {
		lost += is_lost(&m->entries[i]);
		fresh += m->entries[i].record == 0 && m->entries[i].state == ENTRY_READY;
	}
	if (!changes_are_many(lost, fresh))
		return 0;
	struct changes c;
	if (changes_begin(&c, m->known, lost, 2 * fresh, why_r) != 0)
		return -1;
	for (size_t i = 0; i < m->known; i++)
		if (m->met[i] >= KNOWN_SEEN)
			changes_add(&c, CHANGES_KNOWN, maildir_lasting(maildir_records(m)[i].digest, (maildir_records(m)[i].flags & LIST_UNOPENED) != 0));
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct maildir_entry *e = &m->entries[i];
		if (e->record != 0)
			changes_add(&c, is_lost(e) ? CHANGES_LOST : CHANGES_KNOWN, maildir_lasting(e->digest, e->unopened));
	}
	if (!changes_may_be(&c))
		return 0;
	add_fresh(m, &c);
	return changes_end(&c, &m->drop, m->path, why_r);
}

int maildir_settle_uidls(struct maildir *m, struct why *why_r)
{
	if (maildir_take_lost(m, why_r) != 0)
		return -1;
	for (size_t i = 0; i < m->entry_count; i++)
		if (is_lost(&m->entries[i]))
			maildir_remember_gone(m, &m->entries[i], maildir_content(m, &m->entries[i]));
	for (size_t i = 0; m->gone != NULL && i < m->drop.count; i++)
		if (m->order[i] < MAILDIR_OF_INDEX && settle(m, &m->entries[m->order[i]], why_r) != 0)
			return -1;
	return check_changes(m, why_r);
}
