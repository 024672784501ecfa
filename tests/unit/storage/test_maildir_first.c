/*
 * test_maildir_first.c - the first files of a maildrop whose names carry sizes are opened: where one lies all are read, now and at each later login.
 * Runs in: the tests. Trusts: nothing.
 */
#include "tests/unit/storage/faults.h"
#include "tests/unit/storage/sized_scratch.h"

enum { PROVEN = 8, NAME = 64, LONG = 256 * 1024 };

/* Of a file with these octets: a name that adds so much to its size on the wire. */
static void put_sized(unsigned number, const char *text, int more)
{
	char name[NAME];
	size_t lines = 0;
	for (const char *p = text; *p != '\0'; p++)
		lines += *p == '\n';
	(void)snprintf(name, sizeof name, "M/cur/%u.a,S=%zu,W=%zu:2,S", number, strlen(text), strlen(text) + lines + (size_t)more);
	put(name, text);
}

static void put_liars(unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		put_sized(first + i, TEXT, 1);
}

static size_t wrong(const struct maildrop *drop)
{
	size_t n = 0;
	for (size_t i = 0; i < maildrop_count(drop); i++)
		n += record_of(drop, i)->octets != 8;
	return n;
}

/* One more message, whose name lies: is it believed? */
static bool is_believed(unsigned number)
{
	put_liars(number, 1);
	struct maildrop *drop = log_in("one more");
	const bool believed = wrong(drop) == 1;
	maildrop_close(&drop);
	return believed;
}

static void test_lies(void)
{
	static const unsigned counts[] = { 1, 3, SOME, MANY };
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		begin();
		make_maildir(0);
		put_liars(1000, counts[i]);
		struct maildrop *drop = log_in("lies");
		CU_ASSERT(count_of(drop) == counts[i] && wrong(drop) == 0 && unopened(drop) == 0 && maildrop_list(drop).list->octets == 8 * counts[i]);
		CU_ASSERT(strchr(notices, '\n') != NULL && strchr(notices, '\n') == strrchr(notices, '\n'));
		maildrop_close(&drop);
		CU_ASSERT(lists_agree("lies", MAILDROP_MAILDIR, "M"));
		/* It is remembered, also over a login that changes nothing, and one that has something to keep. */
		CU_ASSERT(!is_believed(2000));
		drop = log_in("unchanged");
		update_well("unchanged", drop, "x");
		maildrop_close(&drop);
		CU_ASSERT(!is_believed(2001));
		end();
	}
}

static void test_truth(void)
{
	static const unsigned counts[] = { PROVEN, SOME, MANY };
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		begin();
		make_maildir(0);
		put_some("a", counts[i]);
		faults_clear();
		struct maildrop *drop = log_in("truth");
		CU_ASSERT(faults[FAULT_READ].calls == PROVEN && unopened(drop) == counts[i] - PROVEN && notices[0] == '\0');
		maildrop_close(&drop);
		CU_ASSERT(lists_agree("truth", MAILDROP_MAILDIR, "M"));
		/* What comes later is believed, and not opened. */
		put_sized(5000, TEXT, 0);
		faults_clear();
		drop = log_in("one more");
		CU_ASSERT(faults[FAULT_READ].calls == 0 && unopened(drop) == counts[i] - PROVEN + 1);
		maildrop_close(&drop);
		end();
	}
}

/* Few at a time, by logins that delete them: it takes some until names are believed unread, and one that lies among these is found. */
static void test_few_at_a_time(void)
{
	for (unsigned liar = 0; liar <= PROVEN; liar++) {
		begin();
		make_maildir(0);
		for (unsigned i = 0; i < PROVEN; i++) {
			put_sized(1000 + i, TEXT, i + 1 == liar);
			faults_clear();
			struct maildrop *drop = log_in("one");
			CU_ASSERT(faults[FAULT_READ].calls == 1 && wrong(drop) == 0 && unopened(drop) == 0);
			update_well("one", drop, "x");
			maildrop_close(&drop);
		}
		CU_ASSERT(is_believed(2000) == (liar == 0));
		end();
	}
}

/* What is large is not read for it; what cannot be read, or is none of those, tells nothing of the others. */
static void test_not_opened(void)
{
	static char text[LONG + 2];
	begin();
	make_maildir(0);
	memset(text, 'x', sizeof text - 1);
	text[LONG] = '\n';
	for (unsigned i = 0; i < 2; i++)
		put_sized(1000 + i, text, 1);
	faults_clear();
	struct maildrop *drop = log_in("large");
	CU_ASSERT(faults[FAULT_READ].calls == 0 && unopened(drop) == 2 && notices[0] == '\0');
	maildrop_close(&drop);
	end();
	begin();
	make_maildir(0);
	put_liars(1000, 1);
	faults_set(FAULT_READ, 1, EIO, 1);
	drop = log_in("cannot be read");
	faults_clear();
	CU_ASSERT(count_of(drop) == 1 && unopened(drop) == 1);
	maildrop_close(&drop);
	end();
}

#define TESTS(X) X(test_lies) X(test_truth) X(test_few_at_a_time) X(test_not_opened)
SUITE("maildir_first")
