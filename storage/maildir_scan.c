/*
 * maildir_scan.c - lists the files of a Maildir, whatever renames them meanwhile.
 * Runs in: keeper, as the mail's owner. Trusts: nothing in the maildrop.
 *
 * One reading of a directory can miss a file that another program renames at
 * that moment (a flag set, new/ to cur/), so the listing is the union of
 * readings until two in a row add nothing. A directory that provably did not
 * change while it was read needs one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "storage/maildir.h"

enum {
	SETTLED_PASSES = 2,     /* passes in a row without news */
	LISTING_SMALL = 32 * 1024,
	LISTING_LARGE = 256 * 1024, /* for directories that do not fit the small one; stays in the processor's cache */
	ENTRIES_FIRST = 64,
	LARGE = 4096,           /* messages from which the table does not stay in the cache */
	NAME_SLACK = 24,        /* room for flags that are added later */
	SLOTS_PER_ENTRY = 2,    /* at least: keeps the hash table half empty */
};

static int make_listing(struct maildir *m, size_t room, struct why *why_r)
{
	if (m->listing_room >= room)
		return 0;
	free(m->listing);
	m->listing_room = 0;
	m->listing = malloc(room);
	if (m->listing == NULL)
		return maildir_no_memory(why_r);
	m->listing_room = room;
	return 0;
}

void maildir_drop_entry(struct maildir *m, struct maildir_entry *e, const char *what)
{
	maildrop_notice_name(&m->drop, maildir_dir_names[e->dir], maildir_name(m, e), what);
	e->state = ENTRY_DROPPED;
	m->skipped = true;
}

/* ---- the table ---- */

/* Kept in the slots, so that a table that grows needs no names. */
static uint32_t hash_of(const char *base, size_t len)
{
	return (uint32_t)XXH3_64bits(base, len);
}

static size_t slot_of(const struct maildir *m, uint32_t hash)
{
	return hash & (m->slot_count - 1);
}

static struct maildir_entry *find_from(const struct maildir *m, size_t slot, uint32_t hash, const char *base, size_t base_len)
{
	for (; m->slots[slot].entry != 0; slot = (slot + 1) & (m->slot_count - 1)) {
		struct maildir_entry *e = &m->entries[m->slots[slot].entry - 1];
		if (m->slots[slot].hash == hash && e->base_len == base_len && memcmp(maildir_name(m, e), base, base_len) == 0)
			return e;
	}
	return NULL;
}

struct maildir_entry *maildir_find(const struct maildir *m, const char *base, size_t base_len,
                                   const struct maildir_entry *after)
{
	if (m->slot_count == 0)
		return NULL;
	const uint32_t hash = hash_of(base, base_len);
	size_t slot = slot_of(m, hash);
	if (after == NULL)
		return find_from(m, slot, hash, base, base_len);
	uint32_t mark = (uint32_t)(after - m->entries) + 1;
	while (m->slots[slot].entry != mark)
		slot = (slot + 1) & (m->slot_count - 1);
	return find_from(m, (slot + 1) & (m->slot_count - 1), hash, base, base_len);
}

static void put_slot(struct maildir *m, struct maildir_slot s)
{
	size_t slot = slot_of(m, s.hash);
	while (m->slots[slot].entry != 0)
		slot = (slot + 1) & (m->slot_count - 1);
	m->slots[slot] = s;
}

void maildir_put_entry(struct maildir *m, size_t i)
{
	const struct maildir_entry *e = &m->entries[i];
	put_slot(m, (struct maildir_slot){ .hash = hash_of(maildir_name(m, e), e->base_len), .entry = (uint32_t)i + 1 });
}

int maildir_reserve(struct maildir *m, size_t wanted, struct why *why_r)
{
	size_t room = ENTRIES_FIRST;
	while (room < wanted)
		room *= 2;
	if (room > UINT32_MAX / 2)
		return maildir_no_memory(why_r);
	struct maildir_entry *entries = reallocarray(m->entries, room, sizeof *entries);
	if (entries == NULL)
		return maildir_no_memory(why_r);
	m->entries = entries;
	m->entry_room = room;
	struct maildir_slot *const old = m->slots;
	const size_t old_count = m->slot_count;
	m->slots = calloc(room * SLOTS_PER_ENTRY, sizeof *m->slots);
	if (m->slots == NULL) {
		m->slots = old;
		return maildir_no_memory(why_r);
	}
	m->slot_count = room * SLOTS_PER_ENTRY;
	for (size_t i = 0; i < old_count; i++)
		if (old[i].entry != 0)
			put_slot(m, old[i]);
	free(old);
	return 0;
}

int maildir_names_room(struct maildir *m, size_t room, struct why *why_r)
{
	if (m->names_room - m->names_len >= room)
		return 0;
	size_t want = 2 * (m->names_room + ENTRIES_FIRST * (size_t)UINT8_MAX / 4);
	char *names = want < UINT32_MAX ? realloc(m->names, want) : NULL;
	if (names == NULL)
		return maildir_no_memory(why_r);
	m->names = names;
	m->names_room = want;
	return 0;
}

/* Where an entry is now: the name is kept in place when it fits there. */
static int set_name(struct maildir *m, struct maildir_entry *e, enum maildir_dir dir, const char *name, size_t len,
                    struct why *why_r)
{
	if (len + 1 > e->room) {
		size_t room = len + 1 + NAME_SLACK;
		if (room > UINT8_MAX)
			room = len + 1;
		if (maildir_names_room(m, room, why_r) != 0)
			return -1;
		e->name = (uint32_t)m->names_len;
		e->room = (uint8_t)room;
		m->names_len += room;
	}
	memcpy(maildir_name(m, e), name, len + 1);
	e->len = (uint8_t)len;
	e->dir = (uint8_t)dir;
	return 0;
}

/* ---- one name ---- */

/* Flags stand behind ":2,"; a name that begins with it is all base name. */
size_t maildir_base_length(const char *name, size_t len)
{
	const char *flags = len > 1 ? memmem(name + 1, len - 1, ":2,", 3) : NULL;
	return flags != NULL ? (size_t)(flags - name) : len;
}

uint64_t maildir_delivered(const char *base, size_t len)
{
	uint64_t seconds = 0;
	size_t digits = 0;
	while (digits < len && base[digits] >= '0' && base[digits] <= '9')
		digits++;
	(void)parse_number(base, digits, 0, UINT64_MAX, &seconds);
	return seconds;
}

static int add_entry(struct maildir *m, enum maildir_dir dir, const struct dirent64 *d, size_t len, size_t base_len, bool has_namesake,
                     struct why *why_r)
{
	if (m->entry_count == m->entry_room && maildir_reserve(m, m->entry_count + 1, why_r) != 0)
		return -1;
	struct maildir_entry *e = &m->entries[m->entry_count];
	*e = (struct maildir_entry){ .listed_ino = d->d_ino, .base_len = (uint8_t)base_len, .seen = m->scan, .again = has_namesake, .fits_uidl = maildir_fits_uidl(d->d_name, base_len),
	                             .delivered = maildir_delivered(d->d_name, base_len), .state = ENTRY_LISTED };
	if (set_name(m, e, dir, d->d_name, len, why_r) != 0)
		return -1;
	maildir_put_entry(m, m->entry_count);
	m->entry_count++;
	m->news++;
	return 0;
}

static int saw_entry(struct maildir *m, struct maildir_entry *e, enum maildir_dir dir, const char *name, size_t len,
                     struct why *why_r)
{
	if (e->seen != m->scan) {
		e->seen = m->scan;
		m->news++;
		if (m->wanted > 0)
			m->wanted--;
	}
	return set_name(m, e, dir, name, len, why_r);
}

/* Is this name the file that the index has as e? The listed inode is a hint: where it differs, only the file can tell. */
static bool is_known(const struct maildir *m, enum maildir_dir dir, const struct dirent64 *d, const struct maildir_entry *e)
{
	struct stat st;
	return maildir_inode(d->d_ino) == e->inode ||
		(fstatat(m->dir_fd[dir], d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && maildir_is_entry(e, &st));
}

/* The first sight of an entry that the index has: is it to be opened? */
static void saw_known(const struct maildir *m, enum maildir_dir dir, const struct dirent64 *d, struct maildir_entry *e)
{
	e->listed_ino = d->d_ino;
	e->state = ENTRY_READY;
	if (e->again || (maildir_is_looked_at(m, d->d_name, e->base_len) && !maildir_has_identity(m, dir, d->d_name, e->identity)))
		e->state = ENTRY_LISTED;
}

/* Is it the file that the scan saw as e, as far as the listing tells? */
static bool is_listed_as(const struct maildir_entry *e, const struct dirent64 *d)
{
	return e->listed_ino != 0 ? e->listed_ino == d->d_ino : e->seen != 0 && maildir_inode(d->d_ino) == e->inode;
}

/* Two files have one base name: what follows from that, only the files can tell. */
static void open_again(struct maildir_entry *e)
{
	e->again = true;
	if (e->state == ENTRY_READY && (e->ino == 0 || e->unopened))
		e->state = ENTRY_LISTED;
}

/* Before numbering: the same base name with another inode is another message. */
static int list_name(struct maildir *m, enum maildir_dir dir, const struct dirent64 *d, size_t len, struct why *why_r)
{
	struct maildir_entry *e = NULL;
	bool has_namesake = false;
	const int met = maildir_met_known(m, dir, d->d_ino, d->d_name, len, why_r);
	if (met != 0)
		return met < 0 ? -1 : 0;
	size_t base_len = maildir_base_length(d->d_name, len);
	if (maildir_take_alike(m, d->d_name, base_len, why_r) != 0)
		return -1;
	while ((e = maildir_find(m, d->d_name, base_len, e)) != NULL) {
		has_namesake = true;
		if (e->state == ENTRY_KNOWN && is_known(m, dir, d, e))
			saw_known(m, dir, d, e);
		else if (e->state == ENTRY_KNOWN || !is_listed_as(e, d))
			open_again(e);
		if (e->state == ENTRY_KNOWN || !is_listed_as(e, d))
			continue;
		if (saw_entry(m, e, dir, d->d_name, len, why_r) != 0)
			return -1;
		/* Renamed before it could be opened: this time be quick. */
		return e->state == ENTRY_LOST ? maildir_size_entry(m, e, why_r) : 0;
	}
	return add_entry(m, dir, d, len, base_len, has_namesake, why_r);
}

/*
 * After numbering: only lost messages matter, and the inode is known for certain. Where no file has it, an equal one of the name is the message,
 * unless there is another message of that name, of which it may be the file.
 */
static int refind_name(struct maildir *m, enum maildir_dir dir, const struct dirent64 *d, size_t len, struct why *why_r)
{
	size_t base_len = maildir_base_length(d->d_name, len);
	struct maildir_entry *e = NULL, *lost = NULL;
	size_t namesakes = 0;
	while ((e = maildir_find(m, d->d_name, base_len, e)) != NULL) {
		namesakes++;
		if (e->state != ENTRY_LOST)
			continue;
		if (is_known(m, dir, d, e))
			return saw_entry(m, e, dir, d->d_name, len, why_r);
		lost = e;
	}
	return lost != NULL && namesakes == 1 && maildir_take_equal(m, lost, dir, d->d_name) ? saw_entry(m, lost, dir, d->d_name, len, why_r) : 0;
}

static const char *type_name(unsigned char type)
{
	static const char *const names[] = {
		[DT_LNK] = "skipped, it is a symbolic link", [DT_DIR] = "skipped, it is a directory",
		[DT_FIFO] = "skipped, it is a FIFO", [DT_SOCK] = "skipped, it is a socket",
		[DT_CHR] = "skipped, it is a device", [DT_BLK] = "skipped, it is a device",
	};
	const char *name = type < sizeof names / sizeof names[0] ? names[type] : NULL;
	return name != NULL ? name : "skipped, it is no file";
}

/* A name that no list has room for, which a message got during the session: it cannot be had, but it is not gone. */
static void saw_too_long(struct maildir *m, const char *name, size_t len)
{
	struct maildir_entry *e = NULL;
	while ((e = maildir_find(m, name, maildir_base_length(name, len), e)) != NULL)
		e->seen = m->scan;
}

static int take_name(struct maildir *m, enum maildir_dir dir, const struct dirent64 *d, bool numbered,
                     struct why *why_r)
{
	size_t len = strlen(d->d_name);
	const char *skip = NULL;
	if (d->d_name[0] == '.')
		return 0;
	if (d->d_type != DT_REG && d->d_type != DT_UNKNOWN)
		skip = type_name(d->d_type);
	else if (len > LIST_NAME_MAX)
		skip = "skipped, the name is too long";
	if (skip == NULL)
		return numbered ? refind_name(m, dir, d, len, why_r) : list_name(m, dir, d, len, why_r);
	if (numbered && len > LIST_NAME_MAX)
		saw_too_long(m, d->d_name, len);
	if (!m->noticed)
		maildrop_notice_name(&m->drop, maildir_dir_names[dir], d->d_name, skip);
	return 0;
}

/* ---- passes ---- */

/* What the next names will be held against is looked for at once. Octets of the listing that were looked at. */
static size_t look_ahead(const struct maildir *m, enum maildir_dir dir, size_t at, size_t end)
{
	uint64_t hashes[MAILDIR_AHEAD];
	size_t n = 0;
	for (; n < MAILDIR_AHEAD && at < end; n++) {
		const struct dirent64 *d = (const void *)(m->listing + at);
		hashes[n] = maildir_expect(m, dir, d->d_ino, d->d_name, strlen(d->d_name));
		at += d->d_reclen;
	}
	for (size_t i = 0; i < n; i++)
		maildir_expect_met(m, hashes[i]);
	return at;
}

static int read_directory(struct maildir *m, enum maildir_dir dir, bool numbered, struct why *why_r)
{
	int fd = m->dir_fd[dir];
	if (fd < 0 || (m->held & 1u << dir) != 0)
		return 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return why_errno(why_r, errno, "rewind %s/%s", m->path, maildir_dir_names[dir]);
	maildir_begin_reading(m, dir);
	for (;;) {
		ssize_t n = getdents64(fd, m->listing, m->listing_room);
		if (n < 0)
			return why_errno(why_r, errno, "list %s/%s", m->path, maildir_dir_names[dir]);
		if (n == 0)
			return 0;
		for (size_t at = 0, seen = 0; at < (size_t)n;) {
			if (at == seen && m->known > LARGE)
				seen = look_ahead(m, dir, at, (size_t)n);
			const struct dirent64 *d = (const void *)(m->listing + at);
			if (take_name(m, dir, d, numbered, why_r) != 0)
				return -1;
			if (numbered && m->wanted == 0)
				return 0;
			at += d->d_reclen;
		}
	}
}

/* In which directories did nothing change between the two? A change in the last moments could hide in the clock's grain. */
static unsigned stayed_quiet(const struct maildir_listed *before, const struct maildir_listed *after)
{
	struct timespec now;
	unsigned quiet = 0;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return 0;
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		if (memcmp(&before[i], &after[i], sizeof before[i]) == 0 && now.tv_sec - after[i].changed.tv_sec > INDEX_QUIET_SECONDS)
			quiet |= 1u << i;
	return quiet;
}

/* A directory that was held and is not as it was is read after all: as if something new had been seen. */
static void let_go(struct maildir *m)
{
	for (size_t i = 0; i < MAILDIR_DIRS; i++)
		if ((m->held & 1u << i) != 0 && memcmp(&m->held_as[i], &m->listed[i], sizeof m->listed[i]) != 0) {
			m->held &= ~(1u << i);
			m->steady &= ~(1u << i);
			m->news++;
		}
}

/* new/ comes before cur/, because that is the way that messages move; then again, for what came back or came in. */
static int make_pass(struct maildir *m, bool numbered, struct why *why_r)
{
	struct maildir_listed after[MAILDIR_DIRS];
	if (maildir_look(m, m->listed, why_r) != 0 || maildir_open_made(m, why_r) != 0)
		return -1;
	let_go(m);
	m->doubtful = false;
	bool large = m->listed[MAILDIR_NEW].size > LISTING_SMALL || m->listed[MAILDIR_CUR].size > LISTING_SMALL;
	if (make_listing(m, large ? LISTING_LARGE : LISTING_SMALL, why_r) != 0 ||
	    read_directory(m, MAILDIR_NEW, numbered, why_r) != 0 ||
	    read_directory(m, MAILDIR_CUR, numbered, why_r) != 0 ||
	    maildir_look(m, after, why_r) != 0)
		return -1;
	m->noticed = true;
	/* What was quiet while it was read, or while it was left alone, need not be read again; what was not, as if it had had news. */
	m->quiet = m->doubtful ? 0 : stayed_quiet(m->listed, after);
	m->steady &= m->quiet;
	m->news += (m->held & ~m->quiet) != 0;
	m->held = m->quiet;
	memcpy(m->held_as, m->listed, sizeof m->held_as);
	return m->quiet == MAILDIR_ALL_DIRS ? 0 : read_directory(m, MAILDIR_NEW, numbered, why_r);
}

int maildir_scan(struct maildir *m, bool numbered, struct why *why_r)
{
	size_t unchanged = 0;
	/* Only the first scan can count on the index; who looks again does so because something was not where it was listed. */
	if (m->scan++ > 0)
		m->held = 0;
	m->wanted = 0;
	for (size_t i = 0; numbered && i < m->entry_count; i++)
		m->wanted += m->entries[i].state == ENTRY_LOST;
	for (size_t pass = 0; pass < MAILDIR_ROUNDS_MAX && unchanged < SETTLED_PASSES; pass++) {
		m->news = 0;
		if (make_pass(m, numbered, why_r) != 0)
			return -1;
		if (m->quiet == MAILDIR_ALL_DIRS || (numbered && m->wanted == 0))
			break;
		unchanged = m->news == 0 ? unchanged + 1 : 0;
	}
	return 0;
}
