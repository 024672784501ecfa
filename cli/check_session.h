/*
 * check_session.h - a POP3 session: commands and their answers.
 * Runs in: postern, as whoever called it. Trusts: nothing that a server said.
 */
#ifndef POSTERN_CLI_CHECK_SESSION_H
#define POSTERN_CLI_CHECK_SESSION_H

#include "cli/check_link.h"

enum status { STATUS_OK, STATUS_ERR, STATUS_GO_ON /* "+ " of AUTH */, STATUS_ODD, STATUS_NONE /* no line came */ };

struct answer {
	enum status status;
	enum got got;
	struct line line;
};

struct session {
	struct check *check;
	struct link link;
	struct attempt *attempt;
	bool has_capabilities;
	char capabilities[CAPABILITIES_MAX];  /* the lines of CAPA's answer, a line feed behind each */
	struct answer answer;                 /* the last one */
};

/*
 * Connect, and do all that comes before the login; notes the steps. What is done a second time (for the login) is noted
 * only if it goes wrong. The reach is in the attempt. session_end() has to follow.
 */
void session_begin(struct session *s, struct check *c, size_t attempt, bool is_again);

/* QUIT, without a look at the answer. */
void session_end(struct session *s);

/* Send a line and take the status line of its answer. What came unasked before is noted as a step. */
void session_command(struct session *s, const char *line, const char *shown);

/* The same with a step for it, which session_judge() or another end has to follow. */
struct step *session_ask(struct session *s, const char *name, const char *line);

/* One line of a multi-line answer, without the doubled dot; false at its end, or when none comes: see answer.got. */
bool session_line(struct session *s, long long deadline, struct line *line_r);

/* Does CAPA list it? The capability's name, or the name and one of its arguments. */
bool session_can(const struct session *s, const char *name, const char *argument);

/* End the step with what the answer was: fine if +OK, else what its words mean. true if +OK. */
bool session_judge(struct session *s, struct step *step, enum moment moment, enum outcome outcome);

#endif
