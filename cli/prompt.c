/*
 * prompt.c - reads a password: from the terminal without echo, or a line of standard input.
 * Runs in: postern, as whoever called it. Trusts: its caller.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"

/* What would leave the terminal without echo if it ended or stopped the program. The last two come from what we do ourselves. */
static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU };
enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0], OWN_SIGNALS = 2 };

/* How signals were before they were held. */
struct signals {
	struct sigaction before[SIGNAL_COUNT];
	sigset_t mask;
};

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

/* They are noted, and let in only while read_line() waits: one that came between its look and its wait would be lost. */
static void signals_hold(struct signals *held_r)
{
	struct sigaction hold = { .sa_handler = on_signal };  /* no SA_RESTART: read(2) has to return */
	sigset_t others;
	(void)sigemptyset(&hold.sa_mask);
	(void)sigemptyset(&others);
	caught = 0;
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		(void)sigaction(signals[i], &hold, &held_r->before[i]);
		if (i < SIGNAL_COUNT - OWN_SIGNALS)
			(void)sigaddset(&others, signals[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &others, &held_r->mask);
}

static void signals_release(const struct signals *held)
{
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		(void)sigaction(signals[i], &held->before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &held->mask, NULL);
}

enum line_end { LINE_READ, LINE_NONE, LINE_TOO_LONG, LINE_INTERRUPTED, LINE_FAILED };

/*
 * One line, octet by octet: what follows it on standard input is not ours. A line that is
 * too long is read to its end, so that the rest of it is not typed at the shell. held is NULL when no signals are.
 */
static enum line_end read_line(struct secret *line_r, const struct signals *held)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t len = 0;
	char octet = '\0';
	secret_wipe(line_r);
	for (;;) {
		if (held != NULL)
			(void)ppoll(&in, 1, NULL, &held->mask);
		ssize_t n = caught != 0 ? -1 : read(STDIN_FILENO, &octet, 1);
		if (n < 0)
			return caught != 0 ? LINE_INTERRUPTED : errno == EINTR ? LINE_INTERRUPTED : LINE_FAILED;
		if (n == 0 && len == 0)
			return LINE_NONE;
		if (n == 0 || octet == '\n')
			break;
		if (len < PASSWORD_MAX)
			line_r->text[len] = octet;
		len++;
	}
	if (len > PASSWORD_MAX)
		return LINE_TOO_LONG;
	line_r->len = len;
	return LINE_READ;
}

/* Ask once. A stop and continue asks again; any other signal is delivered with the echo back on. */
static enum line_end ask(const char *prompt, const char *user, struct secret *line_r)
{
	enum line_end end;
	int again;
	do {
		struct signals held;
		struct termios shown, hidden;
		if (tcgetattr(STDIN_FILENO, &shown) < 0)
			return LINE_FAILED;
		signals_hold(&held);
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
		(void)fprintf(stderr, "%s for %s: ", prompt, user);
		end = read_line(line_r, &held);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		(void)fputc('\n', stderr);
		signals_release(&held);
		again = end == LINE_INTERRUPTED;
		if (caught != 0)
			(void)raise(caught);
	} while (again);
	return end;
}

static int complain(enum line_end end, const struct secret *password)
{
	const bool has_nul = end == LINE_READ && memchr(password->text, '\0', password->len) != NULL;
	const bool has_cr = end == LINE_READ && memchr(password->text, '\r', password->len) != NULL;
	if (end == LINE_READ && password->len > 0 && !has_nul && !has_cr)
		return CLI_OK;
	if (end == LINE_FAILED) {
		cli_complain("cannot read the password: %s", strerror(errno));
		return CLI_IO;
	}
	if (end == LINE_TOO_LONG)
		cli_complain("the password is longer than %d octets", PASSWORD_MAX);
	else if (has_nul)
		cli_complain("a password cannot contain a NUL");
	else if (has_cr)
		cli_complain("the password has a carriage return in it (a DOS line end?), and no mail program can send that");
	else
		cli_complain("the password is empty; nobody can log in with an empty password");
	return CLI_DATA;
}

int cli_read_password(const char *user, int confirm, struct secret *password_r)
{
	bool is_terminal = isatty(STDIN_FILENO) == 1;
	struct secret second = { .len = 0 };
	enum line_end end = is_terminal ? ask("Password", user, password_r) : read_line(password_r, NULL);
	int result = complain(end, password_r);
	if (result == CLI_OK && is_terminal && confirm) {
		end = ask("Once more", user, &second);
		if (end != LINE_READ || second.len != password_r->len || memcmp(second.text, password_r->text, second.len) != 0) {
			cli_complain("the two do not match; nothing was changed");
			result = CLI_DATA;
		}
	}
	secret_wipe(&second);
	if (result != CLI_OK)
		secret_wipe(password_r);
	return result;
}
