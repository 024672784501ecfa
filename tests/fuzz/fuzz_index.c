/*
 * fuzz_index.c - an index that a crash, a disk or an attacker has changed, through a login, fetches, a gate's reader and UPDATE.
 * Runs in: the tests. Trusts: nothing.
 *
 * The input changes the index of a maildrop that is always the same, and may then make its digests right again. Without that
 * the list is the one of a login without an index. With it the index says what an attacker likes who has become the owner
 * of the mail: then nothing may be read out of range, and nothing handed out that is not in the maildrop.
 */
#include <time.h>

#include "base/wire.h"
#include "storage/index.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/base/slow_list.h"

enum { MESSAGES = 4, ROOM = 2 * 65536 };

static const char *const mails[MESSAGES] = {
	"From a@b Thu Jan  1 00:00:00 1970\nSubject: 1\n\none\n\n", "From a@b Thu Jan  1 00:00:00 1970\nSubject: 2\nStatus: O \n\ntwo\r\n.\n\n",
	"From a@b Thu Jan  1 00:00:00 1970\nSubject: 1\n\none\n\n", "From a@b Thu Jan  1 00:00:00 1970\nSubject: 4\n\n\n\n",
};
static const char *const names[MESSAGES] = { "new/1.a.host", "cur/2.b.host,S=65,W=71:2,S", "cur/1.a.host:2,", "new/x y" };

/* Ahead of the files' stamps, so that these look old. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = __real_clock_gettime(clock, t);
	t->tv_sec += 60;
	return r;
}

time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
	struct timespec now;
	(void)__wrap_clock_gettime(CLOCK_REALTIME, &now);
	if (t != NULL)
		*t = now.tv_sec;
	return now.tv_sec;
}

static struct fuzz_maildir maildir;
static int journal = -1;
static struct index_files files;

static void write_text(const char *name, const char *text, int flags)
{
	int fd = open(fuzz_path(name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", name);
	(void)close(fd);
}

static void make_maildrop(bool mbox)
{
	fuzz_make_maildir(&maildir, "M");
	for (size_t i = 0; i < MESSAGES; i++) {
		char name[64];
		(void)snprintf(name, sizeof name, "M/%s", names[i]);
		write_text(mbox ? "mbox" : name, mails[i], !mbox ? O_EXCL : i == 0 ? O_TRUNC : O_APPEND);
	}
}

/* Mail that came since the index was written. */
static void add_mail(bool mbox)
{
	write_text(mbox ? "mbox" : "M/new/9.z.host", "From a@b Thu Jan  1 00:00:00 1970\nMessage-ID: <5@b>\nSubject: 5\n\nfive\n\n", mbox ? O_APPEND : O_EXCL);
}

static struct maildrop *log_in(bool mbox, bool with)
{
	struct maildrop_place place = { .format = mbox ? MAILDROP_MBOX : MAILDROP_MAILDIR };
	const struct maildrop_options options = { .owner = geteuid(), .journal = journal, .dotlock_helper = -1, .index = with ? &files : NULL };
	struct maildrop *drop;
	struct why why;
	(void)snprintf(place.path, sizeof place.path, "%s", fuzz_path(mbox ? "mbox" : "M"));
	CHECK(maildrop_open(&place, &options, &drop, &why) == 0, "%s", why.text);
	return drop;
}

/* ---- changes ---- */

static void seal(char *index, size_t size)
{
	struct index_head *h = (void *)index;
	struct digest_state d;
	if (h->offset <= size && h->size <= size - h->offset && h->size >= sizeof(struct list_header)) {
		digest_begin(&d, 0);
		digest_add(&d, index + h->offset + sizeof(struct list_header), h->size - sizeof(struct list_header));
		digest_add(&d, index + h->offset, sizeof(struct list_header));
		h->image = digest_so_far(&d);
	}
	digest_begin(&d, 0);
	digest_add(&d, h, offsetof(struct index_head, head));
	h->head = digest_so_far(&d);
}

/* True when it is what it was. */
static bool change_index(struct input *in, bool sealed)
{
	static char index[ROOM] __attribute__((aligned(64))), was[ROOM];
	ssize_t size = pread(files.write_fd, index, sizeof index, 0);
	CHECK(size > INDEX_IMAGES, "an index of %zd octets", size);
	memcpy(was, index, (size_t)size);
	while (in->left > 0) {
		const unsigned place = take_octet(in), octets = 1u << (place & 3);
		const size_t head = sizeof(struct index_head), image = (size_t)size - INDEX_IMAGES;
		size_t at = (size_t)take_number(in, 2);
		at = place & 4 ? at % head : INDEX_IMAGES + at % image;
		const uint64_t with = take_number(in, octets);
		memcpy(index + at, &with, octets < (size_t)size - at ? octets : (size_t)size - at);
	}
	if (sealed)
		seal(index, (size_t)size);
	CHECK(pwrite(files.write_fd, index, (size_t)size, 0) == size, "an index");
	return memcmp(index, was, (size_t)size) == 0;
}

/* ---- what has to hold ---- */

/* As a gate lists it: lines that are those of a reader of single octets. */
static void list_as_gate(const struct list *list, bool uidl)
{
	struct listing l = { .list = list, .uidl = uidl };
	char line[LISTING_ROOM], want[LISTING_ROOM];
	for (size_t i = 0; i < list->count; i++) {
		const size_t len = listing_lines(&l, line, sizeof line);
		slow_line(list, i, uidl, want);
		CHECK(l.next == i + 1 && len == strlen(want) && memcmp(line, want, len) == 0, "\"%.*s\", want \"%s\"", (int)len, line, want);
	}
}

static void read_as_gate(const struct maildrop *drop)
{
	const struct maildrop_list list = maildrop_list(drop);
	struct list copy;
	char uidl[UIDL_MAX];
	/* On the heap and no octet too long, so that a step beyond it is seen. */
	void *image = malloc(list.size);
	CHECK(image != NULL, "no memory");
	memcpy(image, list.image, list.size);
	if (list_open(&copy, image, list.size) == 0) {
		list_as_gate(&copy, false);
		list_as_gate(&copy, true);
		for (size_t i = 0; i < copy.count; i++) {
			size_t len = list_uidl(&copy, i, uidl);
			(void)list_octets(&copy, i);
			CHECK(len > 0 && len <= UIDL_MAX && is_printable(uidl, len), "unique-id of %zu octets", len);
		}
	}
	free(image);
}

static void check_same(const struct maildrop *a, const struct maildrop *b)
{
	CHECK(maildrop_count(a) == maildrop_count(b), "%zu messages, want %zu", maildrop_count(a), maildrop_count(b));
	for (size_t i = 0; i < maildrop_count(a); i++) {
		struct message_record x, y;
		maildrop_record(a, i, &x);
		maildrop_record(b, i, &y);
		CHECK(x.octets == y.octets && strcmp(x.uidl, y.uidl) == 0, "message %zu is %ju %s, want %ju %s", i + 1, (uintmax_t)x.octets, x.uidl,
		      (uintmax_t)y.octets, y.uidl);
	}
}

/* Of what nobody has read nothing that the index says is told of what is sent. */
static void check_wire(const struct message_body *body)
{
	char stored[256];
	struct wire w = WIRE_START;
	CHECK(body->length <= sizeof stored && pread(body->fd, stored, (size_t)body->length, (off_t)body->offset) == (ssize_t)body->length, "a message");
	wire_count(&w, stored, (size_t)body->length);
	const uint64_t octets = wire_count_end(&w);
	CHECK(body->wire == octets && body->as_stored == !wire_needs_change(&w, body->length), "%ju octets are announced, want %ju", (uintmax_t)body->wire,
	      (uintmax_t)octets);
}

static void use(struct maildrop *drop, unsigned marked)
{
	struct why why;
	const size_t count = maildrop_count(drop);
	bool *marks = calloc(count + 1, sizeof *marks);
	int *errors = calloc(count + 1, sizeof *errors);
	CHECK(marks != NULL && errors != NULL, "no memory");
	for (size_t i = 0; i < count; i++) {
		struct message_body body;
		struct stat st;
		marks[i] = (marked >> (i % 8)) & 1;
		const bool unopened = maildrop_is_unopened(drop, i);
		if (maildrop_fetch(drop, i, &body, &why) != 0)
			continue;
		CHECK(fstat(body.fd, &st) == 0 && body.offset <= (uint64_t)st.st_size && body.length <= (uint64_t)st.st_size - body.offset,
		      "octets %ju+%ju of %jd", (uintmax_t)body.offset, (uintmax_t)body.length, (intmax_t)st.st_size);
		if (unopened)
			check_wire(&body);
		(void)close(body.fd);
	}
	(void)maildrop_update(drop, marks, errors, &why);
	free(marks);
	free(errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	const unsigned flags = take_octet(&in), marked = take_octet(&in);
	const bool mbox = flags & 1, sealed = flags & 2;
	journal = fuzz_memory_file("", 0);
	make_maildrop(mbox);
	write_text("index", "", O_TRUNC);
	files = (struct index_files){ .write_fd = open(fuzz_path("index"), O_RDWR | O_CLOEXEC), .read_fd = open(fuzz_path("index"), O_RDONLY | O_CLOEXEC) };
	struct maildrop *drop = log_in(mbox, true);
	maildrop_close(&drop);
	const bool same = change_index(&in, sealed);
	if (flags & 8)
		add_mail(mbox);
	struct maildrop *without = log_in(mbox, false);
	drop = log_in(mbox, true);
	if (!sealed || same)
		check_same(drop, without);
	maildrop_close(&without);
	if (maildrop_count(drop) > 0)
		read_as_gate(drop);
	use(drop, flags & 4 ? marked : 0);
	maildrop_close(&drop);
	(void)close(files.write_fd);
	(void)close(files.read_fd);
	(void)close(journal);
	fuzz_empty_maildir(&maildir);
	return 0;
}
