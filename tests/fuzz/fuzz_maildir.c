/*
 * fuzz_maildir.c - a Maildir of files with any names, in a scratch directory, beside a list that is made from the names.
 * Runs in: the tests. Trusts: nothing.
 */
#include "base/wire.h"
#include "storage/maildrop.h"
#include "tests/fuzz/fuzz.h"

enum { FILES_MOST = 24, CONTENT_MOST = 64, PROVEN = 8 /* names that a login holds against the files before it believes one */ };

struct file {
	char name[NAME_MAX + 1];
	size_t base;              /* octets of the name that are not flags */
	bool cur;
	bool message;             /* one that is to be shown */
	unsigned long long delivered;
	uint64_t octets, listed;  /* on the wire; as a login may say by the name */
};

static struct fuzz_maildir maildir;
static struct file files[FILES_MOST];
static size_t files_count;

static const char *path_of(bool cur, const char *name)
{
	char path[NAME_MAX + 16];
	(void)snprintf(path, sizeof path, "M/%s/%.255s", cur ? "cur" : "new", name);
	return fuzz_path(path);
}

/* The number in front, 0 when it is too large for one. */
static unsigned long long number_of(const char *name, size_t len)
{
	unsigned long long n = 0;
	for (size_t i = 0; i < len && name[i] >= '0' && name[i] <= '9'; i++)
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (unsigned)(name[i] - '0'), &n))
			return 0;
	return n;
}

/* A field of a base name, such as ",S=12": what it says if there is exactly one, written as numbers are; else 0. */
static unsigned long long field_of(const struct file *f, const char *field)
{
	unsigned long long n = 0;
	char base[NAME_MAX + 1], again[64], *saved = NULL;
	size_t found = 0;
	(void)snprintf(base, sizeof base, "%.*s", (int)f->base, f->name);
	char *first = strchr(base, ',');
	for (char *p = first != NULL ? strtok_r(first, ",", &saved) : NULL; p != NULL; p = strtok_r(NULL, ",", &saved)) {
		if (strncmp(p, field, 2) != 0)
			continue;
		found++;
		n = strtoull(p + 2, NULL, 10);
		(void)snprintf(again, sizeof again, "%s%llu", field, n);
		if (strcmp(again, p) != 0)
			n = 0;
	}
	return found == 1 ? n : 0;
}

/* Who sees that both are true of some file of that length believes them. */
static uint64_t listed_as(const struct file *f, size_t stored)
{
	const unsigned long long s = field_of(f, "S="), w = field_of(f, "W=");
	return s > 0 && s == stored && w >= s && w <= 2 * s + 2 ? w : f->octets;
}

static void make_file(struct input *in)
{
	struct file *f = &files[files_count];
	struct piece name = take_line(in), content = take_piece(in, take_below(in, CONTENT_MOST));
	*f = (struct file){ .cur = name.len > 0 && (name.p[0] & 1) };
	(void)piece_text(name, f->name, sizeof f->name);
	for (char *p = f->name; *p != '\0'; p++)
		if (*p == '/')
			*p = '\\';
	int fd = open(path_of(f->cur, f->name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return; /* "", ".", "..", one that is there already */
	CHECK(write(fd, content.p, content.len) == (ssize_t)content.len, "writing %s", f->name);
	(void)close(fd);
	const char *flags = f->name[0] != '\0' ? strstr(f->name + 1, ":2,") : NULL;
	struct wire w = WIRE_START;
	wire_count(&w, content.p, content.len);
	f->octets = wire_count_end(&w);
	f->base = flags != NULL ? (size_t)(flags - f->name) : strlen(f->name);
	f->message = f->name[0] != '.' && strlen(f->name) < 255;
	f->delivered = number_of(f->name, f->base);
	f->listed = listed_as(f, content.len);
	files_count++;
}

/* ---- what it has to look like ---- */

/* A name that looks like the hash of one is hashed. */
static bool may_be_hash(const char *base, size_t len)
{
	return len == 32 && strspn(base, "0123456789abcdef") >= len;
}

static bool same_base(const struct file *a, const struct file *b)
{
	return a->base == b->base && memcmp(a->name, b->name, a->base) == 0;
}

/* Is there exactly one message called by its base name, for each base name that can be a unique-id? */
static void check_uidls(const struct message_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strnlen(records[i].uidl, sizeof records[i].uidl);
		CHECK(fuzz_may_be_uidl(records[i].uidl, len), "unique-id \"%s\"", records[i].uidl);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(records[i].uidl, records[j].uidl) != 0, "two messages are %s", records[i].uidl);
	}
	for (size_t i = 0; i < files_count; i++) {
		size_t found = 0;
		if (!files[i].message || !fuzz_may_be_uidl(files[i].name, files[i].base) || may_be_hash(files[i].name, files[i].base))
			continue;
		for (size_t j = 0; j < count; j++)
			found += strlen(records[j].uidl) == files[i].base && memcmp(records[j].uidl, files[i].name, files[i].base) == 0;
		CHECK(found == 1, "%zu messages are %.*s", found, (int)files[i].base, files[i].name);
	}
}

/* By the number in front, then by base name. */
static bool is_before(const struct file *a, const struct file *b)
{
	if (a->delivered != b->delivered)
		return a->delivered < b->delivered;
	size_t shorter = a->base < b->base ? a->base : b->base;
	int order = memcmp(a->name, b->name, shorter);
	return order != 0 ? order < 0 : a->base < b->base;
}

/* The order of the sizes is that of the sorted files, where base names differ. */
static void check_order(const struct message_record *records, size_t count)
{
	const struct file *sorted[FILES_MOST];
	size_t n = 0;
	for (size_t i = 0; i < files_count; i++) {
		size_t at = n;
		if (!files[i].message)
			continue;
		for (; at > 0 && is_before(&files[i], sorted[at - 1]); at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &files[i];
		n++;
	}
	CHECK(n == count, "%zu messages, want %zu", count, n);
	for (size_t i = 0; i < n; i++) {
		const bool twin = (i > 0 && same_base(sorted[i], sorted[i - 1])) || (i + 1 < n && same_base(sorted[i], sorted[i + 1]));
		CHECK(twin || records[i].octets == sorted[i]->octets || (n > PROVEN && records[i].octets == sorted[i]->listed),
		      "message %zu has %ju octets, want %ju", i + 1, (uintmax_t)records[i].octets, (uintmax_t)sorted[i]->octets);
	}
}

/* What is announced is what is sent, whatever a name says. */
static void check_wire(const struct maildrop *drop, size_t idx, const struct message_body *body)
{
	char stored[CONTENT_MOST];
	struct message_record record;
	struct wire w = WIRE_START;
	CHECK(body->length <= sizeof stored && pread(body->fd, stored, (size_t)body->length, (off_t)body->offset) == (ssize_t)body->length, "message %zu", idx + 1);
	wire_count(&w, stored, (size_t)body->length);
	const uint64_t octets = wire_count_end(&w);
	CHECK(body->wire == octets && body->as_stored == !wire_needs_change(&w, body->length), "message %zu is announced with %ju octets, and has %ju", idx + 1,
	      (uintmax_t)body->wire, (uintmax_t)octets);
	maildrop_record(drop, idx, &record);
	CHECK(record.octets == octets, "message %zu is listed with %ju octets", idx + 1, (uintmax_t)record.octets);
}

/* Nobody is at it: what is small enough is read, and is what the file has. */
static void check_read(struct maildrop *drop, size_t idx, const struct message_body *body)
{
	static char read_text[1 << 16], stored[1 << 16];
	struct message_record record;
	size_t len;
	uint64_t wire;
	maildrop_record(drop, idx, &record);
	if (record.octets > sizeof read_text)
		return;
	CHECK(maildrop_read(drop, idx, read_text, sizeof read_text, &len, &wire) == 0 && len == body->length && wire == body->wire, "message %zu is not read", idx + 1);
	CHECK(pread(body->fd, stored, len, (off_t)body->offset) == (ssize_t)len && memcmp(stored, read_text, len) == 0, "message %zu is read as another", idx + 1);
}

static struct maildrop *log_in(void)
{
	struct maildrop_place place = { .format = MAILDROP_MAILDIR };
	const struct maildrop_options options = { .owner = geteuid(), .journal = -1, .dotlock_helper = -1 };
	struct maildrop *drop;
	struct why why;
	(void)snprintf(place.path, sizeof place.path, "%s", fuzz_path("M"));
	CHECK(maildrop_open(&place, &options, &drop, &why) == 0, "%s", why.text);
	CHECK(maildrop_count(drop) <= FILES_MOST, "%zu messages", maildrop_count(drop));
	return drop;
}

/* in_place: nobody is at it. */
static void check_fetch(struct maildrop *drop, size_t idx, bool in_place)
{
	struct message_body body;
	struct why why;
	CHECK(maildrop_fetch(drop, idx, &body, &why) == 0, "%s", why.text);
	check_wire(drop, idx, &body);
	if (in_place)
		check_read(drop, idx, &body);
	(void)close(body.fd);
}

static void take_records(const struct maildrop *drop, struct message_record records_r[FILES_MOST])
{
	for (size_t i = 0; i < maildrop_count(drop); i++) {
		records_r[i] = (struct message_record){ .octets = 0 };
		maildrop_record(drop, i, &records_r[i]);
	}
}

static size_t list(struct message_record records_r[FILES_MOST])
{
	struct maildrop *drop = log_in();
	const size_t count = maildrop_count(drop);
	take_records(drop, records_r);
	for (size_t i = 0; i < count; i++)
		check_fetch(drop, i, true);
	maildrop_close(&drop);
	return count;
}

/* A mail program reads the mail: new/ to cur/, and other flags. */
static void set_flags(struct input *in)
{
	char to[2 * NAME_MAX];
	for (size_t i = 0; i < files_count; i++) {
		struct file *f = &files[i];
		if (!f->message || !take_flag(in))
			continue;
		(void)snprintf(to, sizeof to, "%.*s%s", (int)f->base, f->name, take_flag(in) ? ":2,S" : ":2,");
		if (strlen(to) < 255 && renameat2(AT_FDCWD, path_of(f->cur, f->name), AT_FDCWD, path_of(true, to), RENAME_NOREPLACE) == 0) {
			(void)strcpy(f->name, to);
			f->cur = true;
		}
	}
}

/* ---- a session, while a mail program is at it ---- */

static bool has_twins(void)
{
	for (size_t i = 0; i < files_count; i++)
		for (size_t j = 0; j < i; j++)
			if (files[i].message && files[j].message && same_base(&files[i], &files[j]))
				return true;
	return false;
}

static bool is_cur_empty(void)
{
	for (size_t i = 0; i < files_count; i++)
		if (files[i].cur)
			return false;
	return true;
}

static size_t files_there(void)
{
	size_t n = 0;
	for (size_t i = 0; i < files_count; i++)
		n += access(path_of(files[i].cur, files[i].name), F_OK) == 0;
	return n;
}

/* The next session has what is left, under its names. */
static void check_rest(const struct message_record *records, size_t count, const bool *marks, size_t removed)
{
	static struct message_record left[FILES_MOST];
	size_t at = 0;
	struct maildrop *drop = log_in();
	CHECK(maildrop_count(drop) == count - removed, "%zu messages, want %zu of %zu", maildrop_count(drop), count - removed, count);
	take_records(drop, left);
	maildrop_close(&drop);
	for (size_t i = 0; i < count && !has_twins(); i++)
		if (!marks[i]) {
			CHECK(strcmp(left[at].uidl, records[i].uidl) == 0, "%s is there for %s", left[at].uidl, records[i].uidl);
			at++;
		}
}

/*
 * New messages are read while a session is open, maybe into a cur/ that was not there; then some messages are removed: these, and no
 * others. bits: what is left of the input's octets for flags.
 */
static void session(struct piece bits)
{
	static struct message_record records[FILES_MOST];
	static const uint8_t none[8];
	const uint8_t *octets = bits.len == 8 ? (const uint8_t *)bits.p : none;
	uint8_t changes[2 * FILES_MOST];
	bool marks[FILES_MOST];
	int errors[FILES_MOST];
	struct why why;
	size_t removed = 0;
	const bool made = (octets[0] & 0x80) && is_cur_empty();
	CHECK(!made || rmdir(fuzz_path("M/cur")) == 0, "no cur/");
	struct maildrop *drop = log_in();
	const size_t count = maildrop_count(drop);
	take_records(drop, records);
	for (size_t i = 0; i < FILES_MOST; i++) {
		marks[i] = octets[i % 8] >> (1 + i / 8) & 1;
		changes[2 * i] = changes[2 * i + 1] = octets[i % 8] >> (4 + i / 8) & 1;
		removed += i < count && marks[i];
	}
	if (made)
		fuzz_make_cur(&maildir);
	set_flags(&INPUT_OF(changes, sizeof changes));
	for (size_t i = 0; i < count; i++)
		if (!marks[i])
			check_fetch(drop, i, false);
	CHECK(maildrop_update(drop, marks, errors, &why) == 0, "%s", why.text);
	maildrop_close(&drop);
	CHECK(files_there() == files_count - removed, "%zu files of %zu are there, %zu were removed", files_there(), files_count, removed);
	check_rest(records, count, marks, removed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	struct message_record records[FILES_MOST], again[FILES_MOST];
	files_count = 0;
	fuzz_make_maildir(&maildir, "M");
	struct piece flags = take_piece(&in, 8);
	for (size_t i = 0; i < FILES_MOST && in.left > 0 && files_count < FILES_MOST; i++)
		make_file(&in);
	size_t count = list(records);
	check_uidls(records, count);
	check_order(records, count);
	struct input changes = INPUT_OF((const uint8_t *)flags.p, flags.len);
	set_flags(&changes);
	CHECK(list(again) == count, "flags make other messages");
	/* Which names are held against their files is the directory's order: another one, perhaps, where one lies. */
	check_order(again, count);
	for (size_t i = 0; i < count; i++)
		CHECK(strcmp(records[i].uidl, again[i].uidl) == 0 && (records[i].octets == again[i].octets || count > PROVEN), "flags make %s of %s", again[i].uidl, records[i].uidl);
	session(flags);
	fuzz_empty_maildir(&maildir);
	return 0;
}
