/*
 * maildir_known.c - the messages of a Maildir that the index knows: found by name and inode, and entries only where something differs.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop; an image's records as far as list_open() looked.
 *
 * A login with one message more meets a hundred thousand that are as they were. For such a record an octet is kept (enum
 * maildir_met); what has another name, another file or a namesake becomes an entry, and is dealt with as any.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/maildir.h"

/* The unit test puts fewer in its place. */
#ifndef MAILDIR_KEY_BITS
#define MAILDIR_KEY_BITS 32
#endif

enum { SLOTS_FIRST = 64, SLOTS_PER_RECORD = 2 };

/* ---- a record and its name ---- */

bool maildir_listed_name(const struct maildir *m, size_t idx, char name_r[LIST_NAME_MAX + 1])
{
	const struct list *list = &m->drop.image.list;
	const struct list_name *r = &maildir_records(m)[idx];
	const size_t len = list_name_text(list, idx, name_r);
	name_r[len] = '\0';
	return len > 0 && r->base <= len && r->uidl <= UIDL_MAX && ((r->flags & LIST_UIDL_BEHIND) == 0 || list_uidl_behind(list, r) != NULL) &&
		memchr(name_r, '\0', len) == NULL && memchr(name_r, '/', len) == NULL;
}

/* Octets that a record takes in the names of entries. */
static size_t taken_by(const struct list_name *r)
{
	return r->len + 1u + (r->flags & LIST_UIDL_BEHIND ? r->uidl : 0u);
}

/* One entry more, for which there is room in entries and names. False: the record is none. */
static bool take_record(struct maildir *m, size_t i, enum maildir_state state)
{
	const struct list_name *r = &maildir_records(m)[i];
	const bool behind = (r->flags & LIST_UIDL_BEHIND) != 0;
	struct maildir_entry *e = &m->entries[m->entry_count];
	char *name = m->names + m->names_len;
	char text[LIST_NAME_MAX + 1];
	if (!maildir_listed_name(m, i, text))
		return false;
	memcpy(name, text, r->len + 1u);
	if (behind)
		memcpy(name + r->len + 1, list_uidl_behind(&m->drop.image.list, r), r->uidl);
	*e = (struct maildir_entry){ .octets = r->octets, .digest = r->digest, .inode = r->inode, .identity = r->identity,
		.delivered = maildir_delivered(name, r->base), .record = (uint32_t)i + 1,
		.name = (uint32_t)m->names_len, .len = r->len, .room = (uint8_t)(r->len + 1u), .base_len = r->base,
		.dir = (uint8_t)maildir_dir_of(r), .state = (uint8_t)state, .owns_name = !behind && r->base > 0 && r->uidl == r->base, .needs_change = (r->flags & LIST_AS_STORED) == 0,
		.fits_uidl = maildir_fits_uidl(name, r->base), .unopened = (r->flags & LIST_UNOPENED) != 0,
		.uidl = behind ? (uint32_t)m->names_len + r->len + 1 : 0, .uidl_len = behind ? r->uidl : 0 };
	m->names_len += taken_by(r);
	maildir_put_entry(m, m->entry_count);
	m->entry_count++;
	return true;
}

int maildir_take_entries(struct maildir *m, enum maildir_state state, struct why *why_r)
{
	const struct list *list = &m->drop.image.list;
	size_t room = 1;
	for (size_t i = 0; i < list->count; i++)
		room += taken_by(&maildir_records(m)[i]);
	m->names = room <= UINT32_MAX ? malloc(room) : NULL;
	m->order = calloc(list->count + 1, sizeof *m->order);
	if (m->names == NULL || m->order == NULL || maildir_reserve(m, list->count + 1, why_r) != 0) {
		maildir_free_entries(m);
		return maildir_no_memory(why_r);
	}
	m->names_len = 0;
	m->names_room = room;
	for (size_t i = 0; i < list->count; i++) {
		m->order[i] = (uint32_t)i;
		if (!take_record(m, i, state)) {
			maildir_free_entries(m);
			return why_set(why_r, REASON_MAILDROP_IO, 0, "the index of %s was damaged", m->path);
		}
	}
	return 0;
}

void maildir_free_entries(struct maildir *m)
{
	free(m->order);
	free(m->slots);
	free(m->names);
	free(m->entries);
	free(m->files);
	free(m->met);
	m->order = NULL;
	m->slots = NULL;
	m->files = NULL;
	m->names = NULL;
	m->entries = NULL;
	m->met = NULL;
	m->entry_count = m->entry_room = m->names_len = m->names_room = m->slot_count = m->known = m->file_slots = 0;
	m->tabled = 0;
}

/* ---- the known ones of a scan ---- */

/* A record that met nothing yet, or was as it should be: from now on it is an entry. One that is none is left out. */
static int take_known(struct maildir *m, size_t i, struct why *why_r)
{
	const bool seen = m->met[i] >= KNOWN_SEEN;
	if (m->entry_count == m->entry_room && maildir_reserve(m, m->entry_count + 1, why_r) != 0)
		return -1;
	if (maildir_names_room(m, taken_by(&maildir_records(m)[i]), why_r) != 0)
		return -1;
	m->met[i] = KNOWN_ENTRY;
	if (!take_record(m, i, seen ? ENTRY_READY : ENTRY_KNOWN))
		return 0;
	struct maildir_entry *e = &m->entries[m->entry_count - 1];
	e->seen = seen ? m->scan : 0;
	/* One that a session of ours removed, and yet there it is: another file may have its name and its inode. */
	e->again = !seen && m->gone != NULL && gone_has(m->gone, maildir_uidl_hash(m, e));
	return 0;
}

static bool has_base(const struct maildir *m, size_t i, const char *base, size_t len)
{
	char name[LIST_NAME_MAX + 1];
	return maildir_records(m)[i].base == len && maildir_listed_name(m, i, name) && memcmp(name, base, len) == 0;
}

/* Of two messages with one base name the later has its unique-id behind the name: both are to be opened. */
static int take_twins(struct maildir *m, struct why *why_r)
{
	char name[LIST_NAME_MAX + 1];
	for (size_t i = 1; i < m->known; i++)
		if ((maildir_records(m)[i].flags & LIST_UIDL_BEHIND) != 0 && maildir_listed_name(m, i, name) &&
		    has_base(m, i - 1, name, maildir_records(m)[i].base) &&
		    ((m->met[i - 1] != KNOWN_ENTRY && take_known(m, i - 1, why_r) != 0) || take_known(m, i, why_r) != 0))
			return -1;
	return 0;
}

int maildir_know(struct maildir *m, struct why *why_r)
{
	const size_t count = m->drop.image.list.count;
	size_t slots = SLOTS_FIRST;
	while (slots < SLOTS_PER_RECORD * count)
		slots *= 2;
	m->files = count < MAILDIR_OF_INDEX ? calloc(slots, sizeof *m->files) : NULL;
	m->met = calloc(count + 1, sizeof *m->met);
	if (m->files == NULL || m->met == NULL) {
		maildir_free_entries(m);
		return maildir_no_memory(why_r);
	}
	m->known = count;
	m->file_slots = slots;
	return take_twins(m, why_r);
}

/* A file as a directory lists it. Nobody else's names are in it, so no key is needed. */
static uint64_t file_hash(enum maildir_dir dir, uint32_t inode, const char *name, size_t len)
{
	return XXH3_64bits_withSeed(name, len, (uint64_t)inode << 1 | (uint64_t)dir);
}

static size_t slot_of(const struct maildir *m, uint64_t hash)
{
	return (size_t)hash & (m->file_slots - 1);
}

static uint32_t key_of(uint64_t hash)
{
	return (uint32_t)(hash >> (64 - MAILDIR_KEY_BITS));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Agents that know Maildir begin a name with the seconds, and go on; numbers alone, and names of inodes (procmail's msg.XXXX), come again. */
bool maildir_is_looked_at(const struct maildir *m, const char *name, size_t base_len)
{
	size_t digits = 0;
	if (m->each)
		return true;
	if (base_len > 0 && is_digit(name[0]) && !is_digit(name[base_len - 1]))
		return false;
	while (digits < base_len && is_digit(name[digits]))
		digits++;
	return digits == 0 || digits == base_len;
}

/* What goes into the table together, so that one place after the other need not be waited for. */
struct batch {
	size_t count;
	uint64_t hashes[MAILDIR_AHEAD];
	uint32_t records[MAILDIR_AHEAD];
};

static void put_batch(struct maildir *m, struct batch *b)
{
	for (size_t n = 0; n < b->count; n++) {
		size_t slot = slot_of(m, b->hashes[n]);
		while (m->files[slot].record != 0)
			slot = (slot + 1) & (m->file_slots - 1);
		m->files[slot] = (struct maildir_file){ .key = key_of(b->hashes[n]), .record = b->records[n] };
	}
	b->count = 0;
}

/*
 * Is the record to become an entry as soon as its file is seen? That of a message which a session of ours removed, and which may be there yet, is
 * to be opened, and in a large Maildir some are looked at.
 */
static bool is_doubted(const struct maildir *m, size_t i, const char *name)
{
	char uidl[UIDL_MAX];
	return (!m->each && maildir_is_looked_at(m, name, maildir_records(m)[i].base)) ||
		(m->gone != NULL && gone_has(m->gone, gone_hash(uidl, list_uidl(&m->drop.image.list, i, uidl))));
}

void maildir_begin_reading(struct maildir *m, enum maildir_dir dir)
{
	struct batch batch = { .count = 0 };
	char name[LIST_NAME_MAX + 1];
	m->reading = m->reading >= KNOWN_SEEN && m->reading < UINT8_MAX ? (uint8_t)(m->reading + 1) : (uint8_t)(KNOWN_SEEN + 1);
	if (m->known == 0 || (m->tabled & 1u << dir) != 0)
		return;
	m->tabled |= 1u << dir;
	for (size_t i = 0; i < m->known; i++) {
		const struct list_name *r = &maildir_records(m)[i];
		if (maildir_dir_of(r) != dir || m->met[i] == KNOWN_ENTRY || !maildir_listed_name(m, i, name) || is_doubted(m, i, name))
			continue;
		const uint64_t hash = file_hash(dir, r->inode, name, r->len);
		__builtin_prefetch(&m->files[slot_of(m, hash)], 1);
		batch.hashes[batch.count] = hash;
		batch.records[batch.count++] = (uint32_t)i + 1;
		if (batch.count == MAILDIR_AHEAD)
			put_batch(m, &batch);
	}
	put_batch(m, &batch);
}

uint64_t maildir_expect(const struct maildir *m, enum maildir_dir dir, uint64_t ino, const char *name, size_t len)
{
	const uint64_t hash = file_hash(dir, maildir_inode(ino), name, len);
	__builtin_prefetch(&m->files[slot_of(m, hash)]);
	return hash;
}

void maildir_expect_met(const struct maildir *m, uint64_t hash)
{
	const uint32_t record = m->files[slot_of(m, hash)].record;
	if (record != 0)
		__builtin_prefetch(&m->met[record - 1], 1);
}

/* May a file of that name and inode be taken for the record's without being opened? */
static bool is_as_known(const struct maildir *m, size_t i, const char *name)
{
	const struct list_name *r = &maildir_records(m)[i];
	return !m->each || maildir_has_identity(m, maildir_dir_of(r), name, r->identity);
}

int maildir_met_known(struct maildir *m, enum maildir_dir dir, uint64_t ino, const char *name, size_t len, struct why *why_r)
{
	if (m->known == 0)
		return 0;
	const uint64_t hash = file_hash(dir, maildir_inode(ino), name, len);
	for (size_t slot = slot_of(m, hash); m->files[slot].record != 0; slot = (slot + 1) & (m->file_slots - 1)) {
		const size_t i = m->files[slot].record - 1;
		if (m->files[slot].key != key_of(hash) || m->met[i] == KNOWN_ENTRY)
			continue;
		/* Two names have one hash: from now on the record is known by its own, and the next pass sees whose the other was. */
		if (m->met[i] == m->reading) {
			m->doubtful = true;
			if (take_known(m, i, why_r) != 0)
				return -1;
			continue;
		}
		if (m->met[i] == KNOWN_UNSEEN && !is_as_known(m, i, name))
			return 0;
		m->news += m->met[i] == KNOWN_UNSEEN;
		m->met[i] = m->reading;
		return 1;
	}
	return 0;
}

/* ---- by name: the list is in order ---- */

/* Is record i before a message of that name? */
static bool is_before(const struct maildir *m, size_t i, uint64_t delivered, const char *base, size_t len)
{
	const struct list_name *r = &maildir_records(m)[i];
	char name[LIST_NAME_MAX + 1];
	if (!maildir_listed_name(m, i, name))
		return false;
	const uint64_t at = maildir_delivered(name, r->base);
	if (at != delivered)
		return at < delivered;
	const int order = memcmp(name, base, r->base < len ? r->base : len);
	return order != 0 ? order < 0 : r->base < len;
}

size_t maildir_place_of(const struct maildir *m, size_t from, uint64_t delivered, const char *base, size_t len)
{
	size_t step = 1, low = from, high;
	/* Near: those that are looked for follow each other, too. */
	while (low + step < m->known && is_before(m, low + step - 1, delivered, base, len)) {
		low += step;
		step *= 2;
	}
	high = low + step < m->known ? low + step : m->known;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (is_before(m, middle, delivered, base, len))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int maildir_take_alike(struct maildir *m, const char *base, size_t len, struct why *why_r)
{
	/* Those that have a namesake are entries already, so there is one at most. */
	const size_t i = m->known > 0 ? maildir_place_of(m, 0, maildir_delivered(base, len), base, len) : 0;
	return i < m->known && m->met[i] != KNOWN_ENTRY && has_base(m, i, base, len) ? take_known(m, i, why_r) : 0;
}

/* ---- all of them ---- */

bool maildir_keep_directory(struct maildir *m, enum maildir_dir dir)
{
	char name[LIST_NAME_MAX + 1];
	for (size_t i = 0; i < m->known; i++) {
		if (maildir_dir_of(&maildir_records(m)[i]) != dir)
			continue;
		if (m->met[i] == KNOWN_ENTRY || !maildir_listed_name(m, i, name) || !is_as_known(m, i, name))
			return false;
	}
	for (size_t i = 0; i < m->known; i++)
		if (maildir_dir_of(&maildir_records(m)[i]) == dir)
			m->met[i] = KNOWN_SEEN;
	return true;
}

int maildir_take_lost(struct maildir *m, struct why *why_r)
{
	for (size_t i = 0; i < m->known; i++) {
		const size_t before = m->entry_count;
		if (m->met[i] == KNOWN_UNSEEN && take_known(m, i, why_r) != 0)
			return -1;
		if (m->entry_count > before)
			m->entries[before].state = ENTRY_DROPPED;
	}
	return 0;
}
