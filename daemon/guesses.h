/*
 * guesses.h - what is remembered of wrong passwords, and how long the next one has to wait for it.
 * Runs in: master; a fork does not get the memory. Trusts: nothing; it knows networks, accounts and passwords by keyed hashes only.
 *
 * The rule. A network, and an account, has `free_failures` wrong passwords for nothing; one is forgiven each minute. After
 * that the next password from that network is looked at only when a wait is over, which doubles from a second to
 * `longest_wait`. Attempts whose outcome is not known yet count like wrong ones, so many at once are worth no more
 * than one after the other. For an account with many failures each network has one attempt for nothing, so a user whom
 * others guess at is not locked out. Who logged in from a network before is not delayed there by the failures of others.
 */
#ifndef POSTERN_GUESSES_H
#define POSTERN_GUESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guess_kind { GUESS_SOURCES, GUESS_ACCOUNTS, GUESS_PAIRS, GUESS_REPEATS, GUESS_KINDS };

enum {
	GUESS_WAYS = 8,                 /* marks in a bucket; when it is full, the one that matters least goes */
	GUESS_MARK_OCTETS = 16,
	GUESS_FORGIVE_SECONDS = 60,     /* one failure is forgiven in such a time */
	GUESS_PAIR_DAYS = 30,           /* for so long a network counts as one where the account logged in */
	GUESS_PAIR_FAILURES = 3,        /* wrong passwords there after which that does not help any more */
	GUESS_QUEUE_MS = 20000,         /* who would wait longer for his turn is refused at once */
};

/* Marks of each kind: 14 MiB in all, whatever comes. Memory is taken as it is used. */
extern const size_t guess_marks[GUESS_KINDS];

/* The part of the configuration that counts here. */
struct guess_rule {
	unsigned free_failures;
	unsigned longest_wait;          /* seconds */
	unsigned repeat_seconds;        /* 0: the same wrong password is asked of the back ends each time */
};

/* One attempt to log in. */
struct guess {
	uint64_t source;                /* address_guesser() */
	uint64_t account;               /* keyed hash of the user name */
	uint64_t password;              /* keyed hash of name, password, and what the password files looked like */
};

enum guess_answer {
	GUESS_GO,        /* verify it, now or at .due */
	GUESS_HOLD,      /* ask again when the outcome of another attempt is known */
	GUESS_REPEATED,  /* it was wrong before: .reason, .owner */
	GUESS_REFUSED,   /* too many: not before .seconds are over */
};

struct guess_ruling {
	enum guess_answer answer;
	long long due;                  /* GUESS_GO: not before; in milliseconds of now_ms() */
	bool trusted;                   /* GUESS_GO: the account logged in from there before: for guesses_settle() */
	unsigned seconds;
	unsigned reason;                /* enum reason */
	uint32_t owner;                 /* uid */
};

enum guess_outcome {
	GUESS_RIGHT,     /* the password was right */
	GUESS_WRONG,
	GUESS_MOOT,      /* it was not found out: the back end was in trouble, or the client or the keeper went away */
};

struct guess_mark;

struct guesses {
	struct guess_mark *marks[GUESS_KINDS];
	unsigned char *key;             /* of the hash; where no fork gets it, either */
	long long begun;                /* now_ms(): marks count seconds from here */
};

/* Empty tables and a new key. 0, or -1 and errno. */
int guesses_open(struct guesses *g, long long now);

/* May it be verified? Charges the attempt when the answer is GUESS_GO; guesses_settle() has to follow. now: now_ms(). */
struct guess_ruling guesses_ask(struct guesses *g, const struct guess_rule *rule, const struct guess *guess, long long now);

/* What became of an attempt that was let go. reason, owner: of GUESS_WRONG, for its repetition; reason 0: do not remember it. */
void guesses_settle(struct guesses *g, const struct guess_rule *rule, const struct guess *guess, bool trusted, enum guess_outcome outcome,
                    unsigned reason, uint32_t owner, long long now);

#endif
