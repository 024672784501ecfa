/*
 * attempt.c - the keeper's side of a login attempt.
 * Runs in: keeper, as root until the login; attempt_prepare() in the master. Trusts: the master.
 */
#include "daemon/attempt.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/privilege.h"
#include "daemon/rpc.h"

enum { KEY = crypto_generichash_KEYBYTES };

/* On a page of its own: one that is locked in the midst of other memory would make three mappings of it, and each fork copies them. */
static unsigned char *key;

int attempt_prepare(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	key = p;
	/* Who finds it on a swap device, with the rest of the master's memory, could try passwords at the speed of BLAKE2b. */
	(void)mlock(key, PAGE);
	crypto_generichash_keygen(key);
	return 0;
}

void attempt_forget(void)
{
	if (key != NULL)
		sodium_memzero(key, KEY);
}

/* Is there anything that the master would have to decide? */
static bool is_asked(const struct session *s)
{
	const struct settings *settings = s->settings;
	return settings->free_failures > 0 || settings->repeat_seconds > 0 || settings->login_cache > 0 || settings->hash_memory > 0;
}

/* A changed password file: what was wrong may be right now. */
static void add_stamp(crypto_generichash_state *state, const char *path)
{
	struct stat st;
	struct { uint64_t device, inode, size; struct timespec written, changed; } stamp = { 0 };
	if (stat(path, &st) == 0) {
		stamp.device = st.st_dev;
		stamp.inode = st.st_ino;
		stamp.size = (uint64_t)st.st_size;
		stamp.written = st.st_mtim;
		stamp.changed = st.st_ctim;
	}
	(void)crypto_generichash_update(state, (const unsigned char *)&stamp, sizeof stamp);
}

static bool asks_pam(const struct settings *settings)
{
	bool asks = false;
	for (size_t i = 0; i < AUTH_BACKENDS_MAX; i++)
		asks = asks || strcmp(settings->backends[i], "pam") == 0;
	return asks;
}

/* What the host asks, a directory say, may know a user under each spelling of his name: for limits and penalties that is one account. */
static void account_name(const struct session *s, const char *user, char name_r[USER_NAME_MAX + 1])
{
	const struct auth_settings spelling = { .lowercase = asks_pam(s->settings) };
	(void)snprintf(name_r, USER_NAME_MAX + 1, "%s", user);
	auth_user_name(&spelling, name_r);
}

static void hash_request(const struct session *s, const struct rpc_auth *request, struct keeper_word *word)
{
	crypto_generichash_state state;
	unsigned char digest[sizeof word->hash.password];
	char name[USER_NAME_MAX + 1];
	account_name(s, request->user, name);
	(void)crypto_generichash(digest, sizeof digest, (const unsigned char *)name, strlen(name), key, KEY);
	memcpy(&word->hash.account, digest, sizeof word->hash.account);
	(void)crypto_generichash_init(&state, key, KEY, sizeof digest);
	/* With its NUL, so that no other division of the same octets has the same hash. */
	(void)crypto_generichash_update(&state, (const unsigned char *)request->user, strlen(request->user) + 1);
	(void)crypto_generichash_update(&state, (const unsigned char *)request->password.text, request->password.len);
	add_stamp(&state, s->settings->passwd_file);
	add_stamp(&state, "/etc/shadow");
	/* So may who was under it. */
	(void)crypto_generichash_update(&state, (const unsigned char *)&s->settings->minimum_uid, sizeof s->settings->minimum_uid);
	(void)crypto_generichash_final(&state, digest, sizeof digest);
	memcpy(word->hash.password, digest, sizeof word->hash.password);
	sodium_memzero(&state, sizeof state);
}

/*
 * The master's answer; or JOB_STOP, after the gate was told to stop, or was found to be gone. The connection is looked at
 * only in that its gate may end.
 */
static struct job await_answer(struct session *s)
{
	struct job job = { .verb = JOB_STOP };
	struct pollfd fds[] = { { .fd = s->master, .events = POLLIN }, { .fd = s->gate, .events = 0 } };
	if (s->stopping)
		return job;
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			fatal("poll");
	if (fds[0].revents == 0)
		return job;
	return keeper_hear(s);
}

struct job attempt_ask(struct session *s, const struct rpc_auth *request)
{
	struct keeper_word word = { .verb = KEEPER_ATTEMPT };
	if (!is_asked(s))
		return (struct job){ .verb = JOB_VERIFY };
	hash_request(s, request, &word);
	if (rpc_send(s->master, &word, sizeof word, -1) != 0)
		return (struct job){ .verb = JOB_STOP };
	return await_answer(s);
}

void attempt_tell(const struct session *s, enum keeper_verb verb, enum reason reason, uid_t owner)
{
	const struct keeper_word word = { .verb = verb, .reason = reason, .owner = (uint32_t)owner };
	if (is_asked(s))
		(void)rpc_send(s->master, &word, sizeof word, -1);
}

void attempt_tell_right(const struct session *s, uint64_t record)
{
	const struct keeper_word word = { .verb = KEEPER_PROVEN, .record = record };
	(void)rpc_send(s->master, &word, sizeof word, -1);
}

int attempt_room(void *context, size_t mebibytes)
{
	struct session *s = context;
	const struct keeper_word word = { .verb = KEEPER_ROOM, .mebibytes = (uint32_t)mebibytes };
	if (s->settings->hash_memory == 0)
		return 0;
	if (rpc_send(s->master, &word, sizeof word, -1) != 0)
		return -1;
	return await_answer(s).verb == JOB_ROOM ? 0 : -1;
}
