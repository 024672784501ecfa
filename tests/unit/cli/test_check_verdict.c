/*
 * test_check_verdict.c - what follows from the steps: whose turn it is, how sure, which settings work; and what is shown of
 * text from elsewhere.
 * Runs in: the tests. Trusts: nothing.
 */
#include "cli/check.h"

#include "tests/unit/suite.h"

enum { WAYS_MAX = 3, STEPS_OF_ROW = 4 };

struct way {
	unsigned port;
	enum tls_mode tls;
	bool asked;
	enum reach reach;
};

struct done {
	int attempt;
	enum outcome outcome;
	enum situation situation, other;
};

static const struct row {
	const char *label;
	unsigned port;  /* asked for; 0: none */
	struct way ways[WAYS_MAX];
	struct done steps[STEPS_OF_ROW];
	enum verdict verdict;
	enum certainty certainty;
	enum situation situation;
	unsigned works;  /* the port of the settings that work; 0: none */
} rows[] = {
	{ "nothing is wrong", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } }, { { 0, OUTCOME_OK, SITUATION_NONE, 0 } },
	  VERDICT_FINE, CERTAINTY_SURE, SITUATION_NONE, 995 },
	{ "no name", 0, { { 0 } }, { { -1, OUTCOME_FAULT, SITUATION_NAME_UNKNOWN, 0 } },
	  VERDICT_SETTINGS, CERTAINTY_LIKELY, SITUATION_NAME_UNKNOWN, 0 },
	{ "a warning is no fault", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } }, { { 0, OUTCOME_WARNING, SITUATION_CERTIFICATE_ENDS, 0 } },
	  VERDICT_FINE, CERTAINTY_SURE, SITUATION_NONE, 995 },
	{ "one way is closed, the other works, none was asked for", 0,
	  { { 995, TLS_IMPLICIT, false, REACH_READY }, { 110, TLS_STLS, false, REACH_NOTHING } },
	  { { 0, OUTCOME_OK, SITUATION_NONE, 0 }, { 1, OUTCOME_FAULT, SITUATION_REFUSED, 0 } },
	  VERDICT_FINE, CERTAINTY_SURE, SITUATION_NONE, 995 },
	{ "the way that was asked for is closed, the other works", 110,
	  { { 110, TLS_STLS, true, REACH_NOTHING }, { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_REFUSED, 0 }, { 1, OUTCOME_OK, SITUATION_NONE, 0 } },
	  VERDICT_SETTINGS, CERTAINTY_LIKELY, SITUATION_WRONG_WAY, 995 },
	{ "the kind of TLS is wrong", 995,
	  { { 995, TLS_STLS, true, REACH_TCP }, { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_TLS_ON_CLEAR, 0 }, { 1, OUTCOME_OK, SITUATION_NONE, 0 } },
	  VERDICT_SETTINGS, CERTAINTY_SURE, SITUATION_TLS_ON_CLEAR, 995 },
	{ "what was asked for has a bad certificate, whatever else works", 995,
	  { { 995, TLS_IMPLICIT, true, REACH_TLS }, { 110, TLS_STLS, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_CERTIFICATE_EXPIRED, 0 }, { 1, OUTCOME_OK, SITUATION_NONE, 0 } },
	  VERDICT_SERVER, CERTAINTY_SURE, SITUATION_CERTIFICATE_EXPIRED, 110 },
	{ "all is refused", 0,
	  { { 995, TLS_IMPLICIT, false, REACH_NOTHING }, { 110, TLS_AUTO, false, REACH_NOTHING } },
	  { { 0, OUTCOME_FAULT, SITUATION_REFUSED, 0 }, { 1, OUTCOME_FAULT, SITUATION_REFUSED, 0 } },
	  VERDICT_SERVER, CERTAINTY_LIKELY, SITUATION_REFUSED, 0 },
	{ "the way that got furthest tells most", 0,
	  { { 995, TLS_IMPLICIT, false, REACH_NOTHING }, { 110, TLS_AUTO, false, REACH_TLS } },
	  { { 0, OUTCOME_FAULT, SITUATION_REFUSED, 0 }, { 1, OUTCOME_FAULT, SITUATION_CERTIFICATE_NAME, 0 } },
	  VERDICT_SETTINGS, CERTAINTY_LIKELY, SITUATION_CERTIFICATE_NAME, 0 },
	{ "of the port that was asked for, if none works", 2525,
	  { { 2525, TLS_AUTO, true, REACH_GREETING }, { 995, TLS_IMPLICIT, false, REACH_TLS } },
	  { { 0, OUTCOME_FAULT, SITUATION_SMTP, 0 }, { 1, OUTCOME_FAULT, SITUATION_CERTIFICATE_EXPIRED, 0 } },
	  VERDICT_SETTINGS, CERTAINTY_SURE, SITUATION_SMTP, 0 },
	{ "a fault comes before a defect, whatever the order", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_DEFECT, SITUATION_GREETING_LATE, 0 }, { 0, OUTCOME_FAULT, SITUATION_BAD_PASSWORD, SITUATION_UNKNOWN_USER } },
	  VERDICT_ACCOUNT, CERTAINTY_LIKELY, SITUATION_BAD_PASSWORD, 995 },
	{ "the first of two faults", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_STORAGE, 0 }, { 0, OUTCOME_FAULT, SITUATION_CLOSED, 0 } },
	  VERDICT_SERVER, CERTAINTY_LIKELY, SITUATION_STORAGE, 995 },
	{ "a defect alone", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } }, { { 0, OUTCOME_DEFECT, SITUATION_SIZE, 0 } },
	  VERDICT_SERVER, CERTAINTY_SURE, SITUATION_SIZE, 995 },
	{ "a text that may be two sides' cannot tell", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_MAILBOX_LOCKED, SITUATION_BAD_PASSWORD } },
	  VERDICT_CANNOT_TELL, CERTAINTY_GUESS, SITUATION_MAILBOX_LOCKED, 995 },
	{ "a text that may be two situations of one side can", 0, { { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_UNKNOWN_USER, SITUATION_BAD_PASSWORD } },
	  VERDICT_ACCOUNT, CERTAINTY_LIKELY, SITUATION_UNKNOWN_USER, 995 },
	{ "a black hole, and another port works", 110,
	  { { 110, TLS_AUTO, true, REACH_NOTHING }, { 995, TLS_IMPLICIT, false, REACH_READY } },
	  { { 0, OUTCOME_FAULT, SITUATION_BLACK_HOLE, 0 } },
	  VERDICT_SETTINGS, CERTAINTY_LIKELY, SITUATION_WRONG_WAY, 995 },
};

static void set_up(struct check *c, const struct row *row)
{
	memset(c, 0, sizeof *c);
	c->o.port = row->port;
	for (size_t i = 0; i < WAYS_MAX && row->ways[i].port != 0; i++)
		c->attempts[c->attempt_count++] = (struct attempt){ .port = row->ways[i].port, .tls = row->ways[i].tls,
		                                                    .asked = row->ways[i].asked, .reach = row->ways[i].reach };
	for (size_t i = 0; i < STEPS_OF_ROW; i++) {
		const struct done *d = &row->steps[i];
		if (d->situation == SITUATION_NONE)
			continue;
		c->steps[c->step_count++] = (struct step){
			.name = "step", .attempt = d->attempt, .outcome = d->outcome,
			.meaning = { .situations = { d->situation, d->other }, .count = d->other != SITUATION_NONE ? 2 : 1 },
		};
	}
}

static void test_conclusions(void)
{
	static struct check c;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		struct conclusion r;
		set_up(&c, row);
		conclude(&c, &r);
		ROW_TEXT(row->label, verdict_name(r.verdict), verdict_name(row->verdict));
		ROW_TEXT(row->label, certainty_text(r.certainty), certainty_text(row->certainty));
		ROW_TEXT(row->label, situation_row(r.situation)->name, situation_row(row->situation)->name);
		ROW_ASSERT(row->label, (r.works != NULL ? r.works->port : 0) == row->works);
		ROW_ASSERT(row->label, (r.verdict == VERDICT_FINE) == (r.step == NULL));
	}
}

/* Each pair of situations: the side is that of both, or cannot be told. */
static void test_pairs(void)
{
	for (int a = 1; a < SITUATION_COUNT; a++)
		for (int b = 1; b < SITUATION_COUNT; b++) {
			struct step s = { .meaning = { .situations = { (enum situation)a, (enum situation)b }, .count = 2 } };
			enum certainty certainty;
			enum verdict first = situation_row((enum situation)a)->verdict, second = situation_row((enum situation)b)->verdict;
			enum verdict got = step_verdict(&s, &certainty);
			ROW_ASSERT(situation_row((enum situation)a)->name, got == (first == second ? first : VERDICT_CANNOT_TELL));
		}
}

static void test_exit_statuses(void)
{
	CU_ASSERT(VERDICT_FINE == 0 && VERDICT_CANNOT_TELL == 2 && VERDICT_SETTINGS == 3 && VERDICT_NETWORK == 4);
	CU_ASSERT(VERDICT_ACCOUNT == 5 && VERDICT_OTHER_PROGRAM == 6 && VERDICT_SERVER == 7 && VERDICT_COUNT == 8);
}

/* ---- what is shown ---- */

static const char *shown(const struct check *c, const char *octets, size_t len, size_t room)
{
	static char text[256];
	struct buf out = { .p = text, .cap = room < sizeof text ? room : sizeof text };
	show(c, &out, octets, len);
	return buf_text(&out);
}

static void test_show(void)
{
	static const struct {
		const char *password, *octets, *want;
		size_t mask_from;
	} texts[] = {
		{ "secret", "plain words", "plain words", MASK_ALL },
		{ "secret", "\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m", MASK_ALL },
		{ "secret", "\302\233 c1 \r\n\t", "\\xc2\\x9b c1 \\x0d\\x0a\\x09", MASK_ALL },
		{ "secret", "a \"quoted\" b\\c", "a \"quoted\" b\\x5cc", MASK_ALL },
		{ "secret", "your password secret is wrong", "your password ******** is wrong", MASK_ALL },
		{ "secret", "\"secret\"", "\"********\"", MASK_ALL },
		{ "secret", "secret", "********", MASK_ALL },
		{ "secret", "secretary of mysecret", "secretary of mysecret", MASK_ALL },
		{ "secret", "secret", "secret", MASK_NONE },
		{ "secret", "secret", "secret", MASK_LONG },
		{ "long-secret", "it is long-secret", "it is ********", MASK_LONG },
		{ "$&", "a$&b", "a********b", MASK_ALL },
		{ "", "nothing to mask", "nothing to mask", MASK_ALL },
	};
	static struct check c;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		memset(&c, 0, sizeof c);
		CU_ASSERT(secret_set(&c.password, texts[i].password, strlen(texts[i].password)) == 0);
		c.mask_from = texts[i].mask_from;
		ROW_TEXT(texts[i].octets, shown(&c, texts[i].octets, strlen(texts[i].octets), SIZE_MAX), texts[i].want);
	}
	memset(&c, 0, sizeof c);
	CU_ASSERT(secret_set(&c.password, "x", 1) == 0);
	memcpy(c.response, "AGFubgBwdw==", sizeof "AGFubgBwdw==");
	c.mask_from = MASK_ALL;
	ROW_TEXT("response", shown(&c, "+ AGFubgBwdw==", strlen("+ AGFubgBwdw=="), SIZE_MAX), "+ ********");
}

/* Whatever the room: no octet behind it, never half an escape, and nothing that a terminal obeys. */
static void test_show_bounds(void)
{
	static struct check c;
	static const char octets[] = "ab\033\"cd\377\001efghijklmnop";
	memset(&c, 0, sizeof c);
	c.mask_from = MASK_NONE;
	for (size_t room = 9; room < 64; room++) {
		const char *text = shown(&c, octets, sizeof octets - 1, room);
		ROW_ASSERT("bounds", strlen(text) < room);
		for (const char *p = text; *p != '\0'; p++)
			ROW_ASSERT("bounds", *p >= 0x20 && *p <= 0x7e);
	}
}

/* More steps than there is room for: the last one is written over, nothing else. */
static void test_too_many_steps(void)
{
	static struct check c;
	memset(&c, 0, sizeof c);
	c.mask_from = MASK_NONE;
	for (int i = 0; i < 3 * STEPS_MAX; i++) {
		struct step *s = step_begin(&c, "step", "where");
		step_seen(&c, s, "seen", 4);
		step_detail(s, "%d", i);
		step_end(s, OUTCOME_OK, SITUATION_NONE);
	}
	CU_ASSERT_EQUAL(c.step_count, STEPS_MAX);
	CU_ASSERT_STRING_EQUAL(c.steps[0].detail, "0");
	CU_ASSERT_STRING_EQUAL(c.steps[STEPS_MAX - 1].detail, "287");
}

#define TESTS(X) X(test_conclusions) X(test_pairs) X(test_exit_statuses) X(test_show) X(test_show_bounds) X(test_too_many_steps)
SUITE("check verdict")
