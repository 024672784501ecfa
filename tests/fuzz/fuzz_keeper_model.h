/*
 * fuzz_keeper_model.h - the table of verbs again, slow and obvious: what a keeper has to make of each message of a gate's.
 * Runs in: the tests. Trusts: nothing. Include it once in a program.
 */
#ifndef POSTERN_FUZZ_KEEPER_MODEL_H
#define POSTERN_FUZZ_KEEPER_MODEL_H

#include "daemon/rpc.h"
#include "daemon/sign.h"
#include "tests/fuzz/fuzz.h"

enum { MESSAGES = 3, SAID_MOST = 48, KNOWN_MOST = 64, REFER_MOST = 64, MARKS_MOST = 2048, TRIES = 3 };

static struct model {
	bool explain, mbox, shared;
	bool stop;                     /* the master says so at once */
	enum { LOGIN = 1, SESSION = 2, OVER = 4 } phase;
	unsigned failed, known, referred, byes, signs;
	bool marks[MESSAGES];
	bool violated, over;
	bool removed[MESSAGES];
	unsigned answers;
	unsigned fetches;              /* their number, and for how many more each asked */
	uint32_t more[SAID_MOST];
} model;

static bool is_ann(const char *user, const char *password)
{
	return strcmp(user, "ann") == 0 && strcmp(password, "secret") == 0;
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool judge_auth(const struct rpc_auth *m)
{
	if (!ends(m->user, sizeof m->user) || m->password.len > PASSWORD_MAX || m->password.text[m->password.len] != '\0' || model.failed >= TRIES)
		return false;
	model.answers++;
	if (is_ann(m->user, m->password.text))
		model.phase = SESSION;
	else
		model.failed++;
	return true;
}

static bool judge_marks(const struct rpc_mark *m)
{
	if (m->count > MARKS_MOST || (uint64_t)m->first + m->count > MESSAGES)
		return false;
	for (uint32_t i = 0; i < m->count; i++)
		if (m->bits[i / 8] & 1u << i % 8)
			model.marks[m->first + i] = true;
	return true;
}

static bool judge_commit(const struct rpc_commit *m)
{
	uint32_t set = 0;
	for (size_t i = 0; i < MESSAGES; i++)
		set += model.marks[i];
	model.over = m->marked == set && m->bye.end < END_COUNT && m->bye.door < DOOR_COUNT;
	if (!model.over)
		return false;
	memcpy(model.removed, model.marks, sizeof model.removed);
	model.phase = OVER;
	model.answers++;
	return true;
}

/* False: the keeper has to end at this. */
static bool judge(const union rpc_message *m, size_t size, bool descriptor)
{
	static const size_t sizes[RPC_VERBS] = { [RPC_KNOWN] = sizeof m->known, [RPC_AUTH] = sizeof m->auth, [RPC_FETCH] = sizeof m->fetch,
		[RPC_MARK] = sizeof m->mark, [RPC_COMMIT] = sizeof m->commit, [RPC_REFER] = sizeof m->refer, [RPC_ACTIVE] = sizeof m->active,
		[RPC_SIGN] = sizeof m->sign, [RPC_BYE] = sizeof m->bye };
	if (size < sizeof m->verb || m->verb >= RPC_VERBS || sizes[m->verb] != size || descriptor)
		return false;
	switch (m->verb) {
	case RPC_KNOWN:
		model.answers++;
		return model.phase == LOGIN && ++model.known <= KNOWN_MOST && ends(m->known.user, sizeof m->known.user) && model.explain;
	case RPC_AUTH:
		return model.phase == LOGIN && judge_auth(&m->auth);
	case RPC_FETCH:
		if (model.phase != SESSION || m->fetch.idx >= MESSAGES || m->fetch.more >= MESSAGES - m->fetch.idx)
			return false;
		model.more[model.fetches++] = m->fetch.more;
		return true;
	case RPC_MARK:
		return model.phase == SESSION && judge_marks(&m->mark);
	case RPC_COMMIT:
		return model.phase == SESSION && judge_commit(&m->commit);
	case RPC_REFER:
		model.answers++;
		return ends(m->refer.user, USER_NAME_MAX + 1) && ++model.referred <= REFER_MOST && m->refer.reply < REPLY_COUNT && reply_row((enum reply)m->refer.reply)->referenced;
	case RPC_ACTIVE:
		return model.phase != LOGIN;
	case RPC_SIGN:
		model.answers++;
		return model.phase == LOGIN && ++model.signs <= 1 && sign_row(&m->sign.request) != NULL;
	case RPC_BYE:
		model.over = m->bye.end < END_COUNT && m->bye.door < DOOR_COUNT;
		return model.over;
	default:
		return false;
	}
}

#endif
