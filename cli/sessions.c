/*
 * sessions.c - postern sessions: who has a mailbox open at this moment, and the end of a session, in words.
 * Runs in: postern, as root, or as the one user that the server runs as. Trusts: its caller; nothing in a lock file.
 *
 * What it shows is what the locks say, so it needs no server that answers, and shows sessions that are left of one that is gone.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/show.h"
#include "daemon/bell.h"
#include "daemon/settings.h"
#include "storage/lock.h"
#include "storage/lock_owner.h"

enum {
	SPAN_COLUMN = 10,
	PEER_COLUMN = 15,
	END_WAIT_SECONDS = 10,  /* for a session that is at an update, which is let finish */
};

struct found {
	const char *user;     /* NULL: any */
	struct session_holder *list;
	size_t count, room;
	bool no_memory;
};

static void keep(void *context, const struct session_lock *lock)
{
	struct found *f = context;
	if (f->user != NULL && strcmp(f->user, lock->holder.user) != 0)
		return;
	struct session_holder *list = cli_grow(f->list, f->count, &f->room, sizeof *list);
	if (list == NULL) {
		f->no_memory = true;
		return;
	}
	f->list = list;
	f->list[f->count++] = lock->holder;
}

static int by_since(const void *a, const void *b)
{
	const struct session_holder *x = a, *y = b;
	return (x->since > y->since) - (x->since < y->since);
}

/* Its age; a clock that was set back makes it 0. */
static uint64_t age_ms(const struct session_holder *s)
{
	const int64_t age = wall_ms() - s->since * 1000;
	return age > 0 ? (uint64_t)age : 0;
}

static void print_text(const struct found *f)
{
	char since[SHOW_TIME], span[SHOW_SIZE];
	for (size_t i = 0; i < f->count; i++) {
		const struct session_holder *s = &f->list[i];
		if (s->since == 0)
			(void)puts("a session of which its lock does not say whose it is");
		else
			(void)printf("%s  %-*s  %-*s  process %-7ld  %s\n", show_time(s->since * 1000, since), SPAN_COLUMN, show_span(age_ms(s), span), PEER_COLUMN, s->peer,
			             (long)s->pid, s->user[0] != '\0' ? s->user : "(no user: the server itself)");
	}
	if (f->count == 0)
		(void)puts("no session is open");
}

static void print_json(const struct found *f)
{
	struct json j = { .out = stdout };
	json_open(&j, NULL, '{');
	json_open(&j, "sessions", '[');
	for (size_t i = 0; i < f->count; i++) {
		const struct session_holder *s = &f->list[i];
		json_open(&j, NULL, '{');
		json_number(&j, "since_ms", (uint64_t)s->since * 1000);
		json_number(&j, "duration_ms", age_ms(s));
		json_text(&j, "user", s->user);
		json_text(&j, "peer", s->peer);
		json_number(&j, "process", (uint64_t)s->pid);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
}

/* As a lock's name is read: printable, and cut. */
static const char *as_shown(const char *user, char name_r[WHY_TOLD_MAX])
{
	struct buf name = { .p = name_r, .cap = WHY_TOLD_MAX - 1 };
	buf_add_escaped(&name, user, strlen(user));
	name_r[name.len] = '\0';
	return name_r;
}

static int each_held(const struct settings *settings, void (*found)(void *context, const struct session_lock *lock), void *context)
{
	struct why why;
	if (session_locks_held(settings->lock_directory, found, context, &why) == 0)
		return CLI_OK;
	cli_complain("%s%s", why.text, cli_needs_root(why.err));
	return CLI_IO;
}

/* ---- the end of a session ---- */

struct ending {
	const char *user;
	size_t ended, left;
};

static void end_one(void *context, const struct session_lock *lock)
{
	struct ending *e = context;
	struct bell_state state;
	char holder[LOCK_OWNER_MAX];
	if (strcmp(e->user, lock->holder.user) != 0)
		return;
	/* Its lock says all that an answer could. */
	(void)bell_ring(lock->fd, lock->owner, BELL_END, "", &state);
	if (flock_patiently(lock->fd, 1000LL * END_WAIT_SECONDS, -1) == 0) {
		(void)printf("ended the session of %s from %s\n", lock->holder.user, lock->holder.peer);
		e->ended++;
		return;
	}
	/* By the kernel's word: what the lock says is the session's own, and may have root kill another process. */
	const bool known = lock_owner_of_file(lock->fd, holder);
	cli_complain("the session of %s from %s has not ended in %d s: it is at an update, which is let finish, or it hangs%s%s%s", lock->holder.user, lock->holder.peer,
	             (int)END_WAIT_SECONDS, known ? "; kill -KILL ends it, " : "", known ? holder : "", known ? ", and loses no mail" : "");
	e->left++;
}

static int end(const struct settings *settings, const char *user)
{
	struct ending e = { .user = user };
	if (geteuid() != 0) {
		cli_complain("only root ends a session%s", cli_needs_root(EPERM));
		return CLI_IO;
	}
	/* Cut, as it is in the lock (buf_add_escaped()). */
	if (strlen(user) + sizeof "\\xNN..." > WHY_TOLD_MAX && strcmp(user + strlen(user) - 3, "...") == 0) {
		cli_complain("the session of a name that long cannot be told from another's: its lock has the beginning alone");
		return CLI_DATA;
	}
	const int result = each_held(settings, end_one, &e);
	if (result == CLI_OK && e.ended + e.left == 0)
		(void)printf("no session of %s is open\n", user);
	return e.left > 0 ? CLI_TEMPORARY : result;
}

/* ---- what is open ---- */

static int show(const struct settings *settings, const char *user, bool json)
{
	struct found f = { .user = user };
	int result = each_held(settings, keep, &f);
	if (result == CLI_OK && f.no_memory) {
		cli_complain("no memory for %zu sessions", f.count);
		result = CLI_TEMPORARY;
	} else if (result == CLI_OK) {
		if (f.count > 0)
			qsort(f.list, f.count, sizeof *f.list, by_since);
		(json ? print_json : print_text)(&f);
	}
	free(f.list);
	return result;
}

int cli_sessions(int argc, char **argv)
{
	enum { USER = 256, JSON, END };
	static struct settings settings;
	static const struct option options[] = {
		{ "user", required_argument, NULL, USER }, { "json", no_argument, NULL, JSON }, { "end", required_argument, NULL, END }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	const char *config = DEFAULT_CONFIG, *user = NULL, *ended = NULL;
	char known[USER_NAME_MAX + 1], name[WHY_TOLD_MAX];
	bool json = false;
	int option;
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': config = optarg; break;
		case USER: user = optarg; break;
		case JSON: json = true; break;
		case END: ended = optarg; break;
		case 'h': return cli_help("sessions");
		default: return cli_usage("sessions");
		}
	}
	if (optind != argc || (ended != NULL && (user != NULL || json))) {
		return cli_usage("sessions");
	}
	if (cli_settings(config, &settings) != CLI_OK)
		return CLI_CONFIG;
	user = ended != NULL ? ended : user;
	if (user != NULL && cli_user_name(&settings, user, known) != CLI_OK)
		return CLI_DATA;
	user = user != NULL ? as_shown(known, name) : NULL;
	return ended != NULL ? end(&settings, user) : show(&settings, user, json);
}
