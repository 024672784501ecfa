/*
 * test_journal_model.c - histories of an mbox's UPDATE on a model of a disk: the real code, with crashes, lost, torn and
 * reordered writes, and errors of the disk, and mail that arrives, synced by its agent or not, also between a crash and the recovery.
 * Runs in: the tests. Trusts: nothing.
 *
 * The files are real, on a memory file system, and are what processes see. Beside each is a model of its disk: what is
 * durable, and the pieces of writes and the changes of size since. A power failure keeps any of these.
 * POSTERN_MODEL_SEED=N runs one history again.
 */
#include "tests/unit/storage/scratch.h"

#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>

enum {
	HISTORIES = 50000,
	HISTORIES_SLOW = 1000, /* under valgrind */
	ROOM = 256 * 1024,
	PIECE = 512,           /* what a disk writes whole */
	BLOCK = 1024,          /* what a file system writes whole */
	OPS_MAX = 8192,
	MESSAGES_MAX = 8,
	RECOVERIES_MAX = 3,
};

struct op {
	bool cut;              /* the size becomes `at`; else `len` octets at `at` */
	uint64_t at;
	size_t len;
	char octets[PIECE];
};

struct disk {
	int fd;                /* the file, as processes see it */
	char durable[ROOM];
	uint64_t size;
	struct op ops[OPS_MAX];
	size_t op_count;
};

/* What goes wrong. */
enum trouble { NO_TROUBLE, DIES, FAILS };

static struct disk mbox_disk, journal_disk;
static dev_t mbox_dev, journal_dev;
static ino_t mbox_ino, journal_ino;
static bool modelled;                  /* calls are counted, logged and disturbed */
static enum trouble trouble;
static unsigned trouble_at, calls;     /* at which call that changes something; how many there were */
static unsigned seed;
static bool unsynced;                  /* mail came, and nobody has synced it yet: */
static bool lost;                      /* the power failed then, so nobody promised it */

static unsigned pick(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* ---- the disk ---- */

static struct disk *disk_of(int fd)
{
	struct stat st;
	if (!modelled || syscall(SYS_fstat, fd, &st) != 0)
		return NULL;
	if (st.st_ino == mbox_ino && st.st_dev == mbox_dev)
		return &mbox_disk;
	return st.st_ino == journal_ino && st.st_dev == journal_dev ? &journal_disk : NULL;
}

static void log_op(struct disk *d, bool cut, uint64_t at, const char *octets, size_t len)
{
	CU_ASSERT_FATAL(d->op_count < OPS_MAX);
	struct op *op = &d->ops[d->op_count++];
	*op = (struct op){ .cut = cut, .at = at, .len = len };
	if (len > 0)
		memcpy(op->octets, octets, len);
}

static void log_write(struct disk *d, uint64_t at, const char *octets, size_t len)
{
	while (len > 0) {
		size_t n = PIECE - at % PIECE < len ? (size_t)(PIECE - at % PIECE) : len;
		log_op(d, false, at, octets, n);
		at += n;
		octets += n;
		len -= n;
	}
}

static void apply(struct disk *d, const struct op *op)
{
	CU_ASSERT_FATAL(op->at + op->len <= ROOM);
	if (op->cut && op->at < d->size)
		memset(d->durable + op->at, 0, d->size - op->at);
	if (op->cut || op->at + op->len > d->size)
		d->size = op->at + op->len;
	memcpy(d->durable + op->at, op->octets, op->len);
}

/* All, or each with the chance of one half. */
static void settle(struct disk *d, bool all)
{
	for (size_t i = 0; i < d->op_count; i++)
		if (all || pick(2) == 0)
			apply(d, &d->ops[i]);
	d->op_count = 0;
}

/*
 * As Linux has it: data that could not be written counts as written. Not so the size: a file system that cannot write its
 * own data stops.
 */
static void lose(struct disk *d)
{
	size_t left = 0;
	for (size_t i = 0; i < d->op_count; i++) {
		if (d->ops[i].cut)
			d->ops[left++] = d->ops[i];
		else if (pick(2) == 0)
			apply(d, &d->ops[i]);
	}
	d->op_count = left;
}

/* Some of what was not synced is on the disk; that is what the next process sees. */
static void power_failure(struct disk *d)
{
	lost = lost || (unsynced && d == &mbox_disk);
	settle(d, false);
	CU_ASSERT_FATAL(syscall(SYS_ftruncate, d->fd, 0) == 0);
	CU_ASSERT_FATAL((uint64_t)syscall(SYS_pwrite64, d->fd, d->durable, d->size, 0) == d->size);
}

/* ---- the calls, in the place of libc's ---- */

/* 0: go on. Else the call fails with errno; from its death on, nothing that a process does has an effect. */
static int strike(void)
{
	calls++;
	errno = EIO;
	return (trouble == DIES && calls >= trouble_at) || (trouble == FAILS && calls == trouble_at);
}

int fsync(int fd)
{
	struct disk *d = disk_of(fd);
	if (d == NULL)
		return 0;
	if (!strike()) {
		settle(d, true);
		unsynced = unsynced && d != &mbox_disk;
		return 0;
	}
	if (trouble == FAILS)
		lose(d);
	return -1;
}

/*
 * Before a file system makes a file shorter it fills what remains of the last block with zeros, and writes these when it
 * likes: ext4 has been seen to leave them in a file that still had its old size after a power failure.
 */
static void log_rest_of_block(struct disk *d, int fd, uint64_t length)
{
	static const char zeros[BLOCK];
	struct stat st;
	CU_ASSERT_FATAL(syscall(SYS_fstat, fd, &st) == 0);
	const uint64_t size = (uint64_t)st.st_size, edge = (length + BLOCK - 1) / BLOCK * BLOCK;
	if (length < size)
		log_write(d, length, zeros, (size_t)((edge < size ? edge : size) - length));
}

int ftruncate(int fd, off_t length)
{
	struct disk *d = disk_of(fd);
	if (d != NULL) {
		if (strike())
			return -1;
		log_rest_of_block(d, fd, (uint64_t)length);
		log_op(d, true, (uint64_t)length, NULL, 0);
	}
	return (int)syscall(SYS_ftruncate, fd, length);
}

int fstatvfs(int fd, struct statvfs *fs)
{
	(void)fd;
	*fs = (struct statvfs){ .f_bsize = BLOCK };
	return 0;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t offset)
{
	struct disk *d = disk_of(fd);
	if (d != NULL) {
		bool torn = strike();
		/* The last write may be half done. */
		if (torn && (calls != trouble_at || len < 2 || pick(2) == 0))
			return -1;
		len = torn || pick(16) == 0 ? len / 2 + 1 : len;
		log_write(d, (uint64_t)offset, p, len);
	}
	return (ssize_t)syscall(SYS_pwrite64, fd, p, len, offset);
}

int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags)
{
	(void)fd, (void)offset, (void)len, (void)flags;
	return 0;
}

/* ---- one history ---- */

struct history {
	size_t count;
	bool marks[MESSAGES_MAX];
	char message[MESSAGES_MAX][10240];
	size_t len[MESSAGES_MAX];
	char arrived[ROOM];        /* all that came, in order */
	size_t arrived_len, arrivals;
	bool committed;
};

static size_t make_message(char *out, unsigned number)
{
	size_t n = (size_t)sprintf(out, "From a@b Mon Nov 23 03:%02u:%02u 2026\nSubject: %u %u\n\n", number / 60 % 60, number % 60, number, pick(1000));
	size_t size = pick(4) == 0 ? pick(9000) : pick(300);
	for (size_t i = 0; i < size; i++)
		out[n++] = i % 61 == 60 ? '\n' : (char)('a' + pick(26));
	out[n++] = '\n';
	out[n++] = '\n';
	return n;
}

/* Mail comes, and its agent syncs it or does not: procmail, for one. */
static void arrive(struct history *h, bool synced)
{
	struct stat st;
	char *at = h->arrived + h->arrived_len;
	size_t n = make_message(at, 100 + (unsigned)h->arrivals++);
	CU_ASSERT_FATAL(syscall(SYS_fstat, mbox_disk.fd, &st) == 0);
	CU_ASSERT_FATAL(syscall(SYS_pwrite64, mbox_disk.fd, at, n, st.st_size) == (long)n);
	log_write(&mbox_disk, (uint64_t)st.st_size, at, n);
	if (synced)
		settle(&mbox_disk, true);
	unsynced = !synced;
	h->arrived_len += n;
}

static void set_trouble(enum trouble what, unsigned at)
{
	trouble = what;
	trouble_at = at;
	calls = 0;
}

static bool died(void)
{
	return trouble == DIES && calls >= trouble_at;
}

/* After a death: perhaps the power went, too; perhaps mail came. */
static void after_death(struct history *h)
{
	set_trouble(NO_TROUBLE, 0);
	if (pick(2) == 0) {
		power_failure(&mbox_disk);
		power_failure(&journal_disk);
	}
	if (pick(3) == 0 && h->arrivals < 4)
		arrive(h, true);
}

static bool content_is(const struct history *h, bool marked_gone)
{
	static char want[2 * ROOM], got[2 * ROOM];
	size_t n = 0;
	for (size_t i = 0; i < h->count; i++)
		if (!marked_gone || !h->marks[i]) {
			memcpy(want + n, h->message[i], h->len[i]);
			n += h->len[i];
		}
	memcpy(want + n, h->arrived, h->arrived_len);
	n += h->arrived_len;
	return syscall(SYS_pread64, mbox_disk.fd, got, sizeof got, 0) == (long)n && memcmp(got, want, n) == 0;
}

/* All that was there is as it was, whatever is behind it. */
static bool begins_as_it_was(const struct history *h)
{
	static char got[ROOM];
	size_t at = 0;
	const ssize_t n = (ssize_t)syscall(SYS_pread64, mbox_disk.fd, got, sizeof got, 0);
	for (size_t i = 0; i < h->count; at += h->len[i++])
		if (n < (ssize_t)(at + h->len[i]) || memcmp(got + at, h->message[i], h->len[i]) != 0)
			return false;
	return true;
}

static void begin_disk(struct disk *d, int fd, const char *octets, size_t len)
{
	d->fd = fd;
	d->op_count = 0;
	d->size = len;
	memset(d->durable, 0, sizeof d->durable);
	memcpy(d->durable, octets, len);
	CU_ASSERT_FATAL(syscall(SYS_ftruncate, fd, 0) == 0 && syscall(SYS_pwrite64, fd, octets, len, 0) == (long)len);
}

static void begin(struct history *h, int mbox_fd)
{
	static char all[ROOM];
	size_t n = 0;
	memset(h, 0, sizeof *h);
	unsynced = lost = false;
	h->count = 1 + pick(MESSAGES_MAX);
	for (size_t i = 0; i < h->count; i++) {
		h->len[i] = make_message(h->message[i], (unsigned)i);
		memcpy(all + n, h->message[i], h->len[i]);
		n += h->len[i];
		h->marks[i] = pick(2) == 0;
	}
	h->marks[pick((unsigned)h->count)] = true;
	begin_disk(&mbox_disk, mbox_fd, all, n);
	begin_disk(&journal_disk, scratch_journal, "", 0);
}

/* The session: opens, perhaps mail comes, UPDATE. False when what it said is not true. */
static bool update_once(struct history *h)
{
	struct why why;
	int errors[MESSAGES_MAX];
	set_trouble(NO_TROUBLE, 0);
	struct maildrop *drop = try_open(MAILDROP_MBOX, "mbox", &why);
	CU_ASSERT_FATAL(drop != NULL && maildrop_count(drop) == h->count);
	const enum trouble what = (enum trouble)pick(3);
	if (pick(3) == 0)
		arrive(h, what == FAILS || pick(2) == 0);
	set_trouble(what, 1 + pick(14));
	int r = maildrop_update(drop, h->marks, errors, &why);
	bool dead = died();
	h->committed = r == 0 && !dead;
	set_trouble(NO_TROUBLE, 0);
	maildrop_close(&drop);
	if (dead) {
		trouble = DIES;
		return true;
	}
	bool all_go = h->arrived_len == 0;
	for (size_t i = 0; i < h->count; i++)
		all_go = all_go && h->marks[i];
	if (r == 0)
		return content_is(h, true);
	/* Nothing was done, unless it says so; a cut that could not be synced may stay in memory. */
	return why.reason == REASON_UPDATE_UNFINISHED || all_go || content_is(h, false);
}

static bool run_history(struct history *h)
{
	struct why why;
	struct maildrop *drop = NULL;
	struct stat st;
	if (!update_once(h))
		return false;
	if (trouble == DIES || pick(3) == 0)
		after_death(h);
	for (size_t i = 0; i < RECOVERIES_MAX; i++) {
		set_trouble(pick(3) == 0 ? FAILS : DIES, 1 + pick(14));
		drop = try_open(MAILDROP_MBOX, "mbox", &why);
		const bool opened = drop != NULL, dead = died();
		maildrop_close(&drop);
		if (!dead && opened)
			break;
		/* Of what failed the next may know nothing, or find what is left of it on the disk. */
		if (dead || pick(4) == 0)
			after_death(h);
	}
	set_trouble(NO_TROUBLE, 0);
	/* Once more without power: what is whole now has to be durable. A journal whose end could not be synced may be back. */
	for (size_t i = 0; i < 2; i++) {
		drop = try_open(MAILDROP_MBOX, "mbox", &why);
		if (drop == NULL)
			return false;
		maildrop_close(&drop);
		if (i == 0) {
			power_failure(&mbox_disk);
			power_failure(&journal_disk);
		}
	}
	bool gone = content_is(h, true), there = content_is(h, false);
	/* The power took mail that nobody had synced: then nothing was begun. */
	there = there || (lost && begins_as_it_was(h));
	return (gone || (there && !h->committed)) && fstat(scratch_journal, &st) == 0 && st.st_size == 0;
}

static void note_files(int mbox_fd)
{
	struct stat st;
	CU_ASSERT_FATAL(fstat(mbox_fd, &st) == 0);
	mbox_ino = st.st_ino;
	mbox_dev = st.st_dev;
	CU_ASSERT_FATAL(fstat(scratch_journal, &st) == 0);
	journal_ino = st.st_ino;
	journal_dev = st.st_dev;
}

static void test_histories(void)
{
	static struct history h;
	const char *again = getenv("POSTERN_MODEL_SEED");
	size_t histories = getenv("POSTERN_RUN_PREFIX") != NULL ? HISTORIES_SLOW : HISTORIES, updates = 0, ran = 0;
	unsigned first = again != NULL ? (unsigned)strtoul(again, NULL, 10) : (unsigned)time(NULL);
	(void)setenv("TMPDIR", "/dev/shm", 0);
	scratch_open();
	put("mbox", "");
	(void)default_options(); /* makes the journal */
	int mbox_fd = open(in_scratch("mbox"), O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(mbox_fd >= 0);
	note_files(mbox_fd);
	modelled = true;
	for (size_t i = 0; i < (again != NULL ? 1 : histories); i++, ran++) {
		unsigned this_one = first + (unsigned)i * 7919;
		seed = this_one;
		notices[0] = '\0';
		begin(&h, mbox_fd);
		bool good = run_history(&h);
		if (!good)
			fprintf(stderr, "history with POSTERN_MODEL_SEED=%u: %s\n", this_one, notices);
		CU_ASSERT(good);
		updates += h.committed;
		if (!good)
			break;
	}
	modelled = false;
	(void)close(mbox_fd);
	scratch_close();
	printf("%zu histories, %zu of them with a committed update\n", ran, updates);
}

#define TESTS(X) X(test_histories)
SUITE("journal_model")
