/*
 * proven.c - passwords that were right a short while ago.
 * Runs in: master. Trusts: nothing.
 */
#include "daemon/proven.h"

#include <stdbool.h>
#include <stddef.h>

#include "daemon/privilege.h"

struct proven_mark {
	struct proven_hash hash;
	uint64_t record;      /* that it was right for */
	long long when;       /* now_ms(); 0: nothing here */
};

int proven_open(struct proven *p)
{
	p->marks = private_memory(PROVEN_MARKS * sizeof *p->marks);
	return p->marks != NULL ? 0 : -1;
}

/* The account's mark, or the one that has to go for it. The account is a keyed hash already. */
static struct proven_mark *mark_of(const struct proven *p, uint64_t account)
{
	struct proven_mark *bucket = p->marks + account % (PROVEN_MARKS / PROVEN_WAYS) * PROVEN_WAYS, *oldest = bucket;
	for (struct proven_mark *m = bucket; m < bucket + PROVEN_WAYS; m++) {
		if (m->when != 0 && m->hash.account == account)
			return m;
		if (m->when < oldest->when)
			oldest = m;
	}
	return oldest;
}

static bool is_of(const struct proven_mark *m, uint64_t account)
{
	return m->when != 0 && m->hash.account == account;
}

uint64_t proven_check(const struct proven *p, const struct proven_hash *hash, long long now, long long max_age)
{
	const struct proven_mark *m = mark_of(p, hash->account);
	const uint64_t differs = (m->hash.password[0] ^ hash->password[0]) | (m->hash.password[1] ^ hash->password[1]);
	return is_of(m, hash->account) && differs == 0 && now - m->when < max_age ? m->record : 0;
}

void proven_put(struct proven *p, const struct proven_hash *hash, uint64_t record, long long now)
{
	*mark_of(p, hash->account) = (struct proven_mark){ .hash = *hash, .record = record, .when = now };
}

void proven_drop(struct proven *p, uint64_t account)
{
	struct proven_mark *m = mark_of(p, account);
	if (is_of(m, account))
		*m = (struct proven_mark){ .when = 0 };
}
