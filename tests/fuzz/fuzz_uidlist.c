/*
 * fuzz_uidlist.c - a Maildir of three messages with any dovecot-uidlist, or courierpop3dsizelist, beside slow readers of such lists.
 * Runs in: the tests. Trusts: nothing.
 */
#include "base/number.h"
#include "storage/maildrop.h"
#include "tests/fuzz/fuzz.h"

enum { MESSAGES = 3, ID_MOST = 128 };

static const char *const names[MESSAGES] = { "M/cur/1.a:2,S", "M/cur/2.b,S=3:2,", "M/new/3.c" };
static const char *const bases[MESSAGES] = { "1.a", "2.b,S=3", "3.c" };

static struct fuzz_maildir maildir;

struct told {
	bool broken;
	char ids[MESSAGES][ID_MOST];
};

/* ---- the slow readers ---- */

/* One word from the front of a line, cut off with the blank behind it. */
static char *next(char **line)
{
	char *word = *line, *blank = strchr(word, ' ');
	if (blank != NULL)
		*blank = '\0';
	*line = blank != NULL ? blank + 1 : word + strlen(word);
	return word;
}

static bool number(const char *text, uint64_t least, uint64_t *n_r)
{
	return parse_number(text, strlen(text), least, UINT32_MAX, n_r) == 0;
}

/* The last line of a file counts. */
static void tell(struct told *t, const char *file, const char *id)
{
	const char *flags = *file != '\0' ? strstr(file + 1, ":2,") : NULL;
	const size_t len = flags != NULL ? (size_t)(flags - file) : strlen(file);
	for (size_t i = 0; i < MESSAGES; i++)
		if (strlen(bases[i]) == len && memcmp(bases[i], file, len) == 0)
			(void)snprintf(t->ids[i], ID_MOST, "%s", id);
}

static struct told nothing_told(void)
{
	struct told t = { .broken = false };
	for (size_t i = 0; i < MESSAGES; i++)
		(void)snprintf(t.ids[i], ID_MOST, "%s", bases[i]);
	return t;
}

/* What is behind the last of that octet in the text, which ends before it then; NULL: it has none. */
static char *last(char *text, char octet)
{
	char *at = strrchr(text, octet);
	if (at != NULL)
		*at++ = '\0';
	return at;
}

/* The list's text has no NUL; what stands behind its last line end does not count. */
static struct told read_courier_slowly(char *text)
{
	struct told t = nothing_told();
	uint64_t version = 0, validity = 0, uid = 0, n;
	char *lf = strchr(text, '\n');
	t.broken = lf == NULL || text[0] != '/' || parse_number(text + 1, strcspn(text + 1, " \n"), 2, 3, &version) != 0;
	for (text = t.broken ? text : lf + 1; !t.broken && (lf = strchr(text, '\n')) != NULL; text = lf + 1) {
		char id[ID_MOST], none[] = "";
		*lf = '\0';
		char *const found = last(text, ' '), *const numbers = found != NULL ? found : none;
		const char *size = found != NULL ? last(text, ' ') : NULL;
		const char *utf8 = version == 3 ? last(numbers, ':') : "0", *mailbox = last(numbers, ':');
		t.broken = size == NULL || *text == '\0' || utf8 == NULL || mailbox == NULL ||
		           parse_number(size, strlen(size), 0, UINT64_MAX, &n) != 0 || parse_number(utf8, strlen(utf8), 0, 1, &n) != 0 ||
		           !number(mailbox, 0, &validity) || !number(numbers, 0, &uid);
		if (t.broken || uid == 0)
			continue;
		int len = snprintf(id, sizeof id, "UID%u", (unsigned)uid);
		if (validity > 0)
			(void)snprintf(id + len, sizeof id - (size_t)len, "-%u", (unsigned)validity);
		tell(&t, text, id);
	}
	return t;
}

/* The same. */
static struct told read_dovecot_slowly(char *text)
{
	struct told t = nothing_told();
	uint64_t version = 0, validity = 0, uid = 0;
	char *lf;
	for (bool first = true; !t.broken && (lf = strchr(text, '\n')) != NULL; first = false, text = lf + 1) {
		char *line = text, id[ID_MOST];
		*lf = '\0';
		if (first) {
			t.broken = !number(next(&line), 1, &version) || version > 3 || version == 2;
			while (!t.broken && validity == 0 && *line != '\0') {
				const char *word = next(&line);
				if (version == 1 || *word == 'V')
					(void)number(word + (version > 1), 1, &validity);
			}
			t.broken = t.broken || validity == 0;
			continue;
		}
		if (!number(next(&line), uid + 1, &uid)) {
			t.broken = true;
			break;
		}
		(void)snprintf(id, sizeof id, "%08x%08x", (unsigned)uid, (unsigned)validity);
		while (version > 1 && *line != '\0' && *line != ':') {
			const char *word = next(&line);
			if (*word == 'P' && fuzz_may_be_uidl(word + 1, strlen(word + 1)))
				(void)snprintf(id, sizeof id, "%s", word + 1);
		}
		if (version > 1 && *line == ':')
			line++;
		t.broken = *line == '\0';
		if (!t.broken)
			tell(&t, line, id);
	}
	t.broken = t.broken || validity == 0;
	return t;
}

/* ---- what is read ---- */

static size_t list(bool courier, char ids_r[MESSAGES][ID_MOST], struct why *why_r)
{
	struct maildrop_place place = { .format = MAILDROP_MAILDIR };
	const struct maildrop_options options = { .owner = geteuid(), .journal = -1, .dotlock_helper = -1, .told = { courier ? TOLD_BY_COURIER : TOLD_BY_DOVECOT, TOLD_UID_FIRST } };
	struct maildrop *drop;
	(void)snprintf(place.path, sizeof place.path, "%s", fuzz_path("M"));
	if (maildrop_open(&place, &options, &drop, why_r) != 0)
		return 0;
	const size_t count = maildrop_count(drop);
	CHECK(count == MESSAGES, "%zu messages", count);
	for (size_t i = 0; i < count; i++) {
		struct message_record record;
		maildrop_record(drop, i, &record);
		CHECK(fuzz_may_be_uidl(record.uidl, strlen(record.uidl)), "message %zu is \"%s\"", i + 1, record.uidl);
		(void)snprintf(ids_r[i], ID_MOST, "%s", record.uidl);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(ids_r[i], ids_r[j]) != 0, "two messages are %s", ids_r[i]);
	}
	maildrop_close(&drop);
	return count;
}

/* A name that looks like the hash of one, and one that two have, become others; so does what another file is called, whatever that one was told. */
static bool is_plain(const struct told *t, size_t i)
{
	for (size_t j = 0; j < MESSAGES; j++)
		if (j != i && (strcmp(t->ids[i], t->ids[j]) == 0 || strcmp(t->ids[i], bases[j]) == 0))
			return false;
	return strlen(t->ids[i]) != 32 || strspn(t->ids[i], "0123456789abcdef") != 32;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char ids[MESSAGES][ID_MOST];
	struct why why;
	fuzz_make_maildir(&maildir, "M");
	for (size_t i = 0; i < MESSAGES; i++) {
		int fd = open(fuzz_path(names[i]), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		CHECK(fd >= 0 && write(fd, "a:\n", 3) == 3, "writing %s", names[i]);
		(void)close(fd);
	}
	/* A list of Dovecot's never begins so. */
	const bool courier = size > 0 && data[0] == '/';
	int fd = open(fuzz_path(courier ? "M/courierpop3dsizelist" : "M/dovecot-uidlist"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "writing the list");
	(void)close(fd);
	const bool read = list(courier, ids, &why) == MESSAGES;
	CHECK(read || why.reason == REASON_MAILDROP_BROKEN, "%s", why.text);
	if (memchr(data, '\0', size) == NULL) {
		char *text = malloc(size + 1);
		CHECK(text != NULL, "no memory");
		memcpy(text, data, size);
		text[size] = '\0';
		const struct told told = courier ? read_courier_slowly(text) : read_dovecot_slowly(text);
		free(text);
		CHECK(read == !told.broken, "%s", read ? "it is read" : why.text);
		for (size_t i = 0; read && i < MESSAGES; i++)
			CHECK(!is_plain(&told, i) || strcmp(ids[i], told.ids[i]) == 0, "message %zu is %s, want %s", i + 1, ids[i], told.ids[i]);
	}
	fuzz_empty_maildir(&maildir);
	return 0;
}
