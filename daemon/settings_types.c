/*
 * settings_types.c - the kinds of values that settings have: from text to field, or what to write instead.
 * Runs in: master. Trusts: nothing in the text beyond that the file's owner may choose the values.
 */
#include <arpa/inet.h>
#include <string.h>

#include "base/number.h"
#include "daemon/settings_table.h"

enum {
	ADDRESS_WORD_MAX = 64,  /* "[v6]:port" is at most 54 */
	PORT_MAX = 65535,
};

#define BLANKS " \t"

static void *field(const struct setting *row, struct settings *settings)
{
	return (char *)settings + row->offset;
}

int setting_number(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	uint64_t value;
	if (parse_number(text, strlen(text), row->min, row->max, &value) != 0) {
		(void)buf_printf(fix, "write a number from %ju to %ju", (uintmax_t)row->min, (uintmax_t)row->max);
		return -1;
	}
	memcpy(field(row, settings), &value, sizeof value);
	return 0;
}

static const struct choice *choice_find(const struct choice *choices, const char *word, size_t len)
{
	for (; choices->name != NULL; choices++)
		if (strlen(choices->name) == len && memcmp(choices->name, word, len) == 0)
			return choices;
	return NULL;
}

int setting_choice(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	const struct choice *choice = choice_find(row->choices, text, strlen(text));
	if (choice == NULL) {
		(void)buf_add_text(fix, "write ");
		choices_add(fix, row->choices);
		return -1;
	}
	memcpy(field(row, settings), &choice->value, sizeof choice->value);
	return 0;
}

/* Text of any kind into a char array, if it fits. */
static int text_store(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	size_t len = strlen(text);
	if (len >= row->size) {
		(void)buf_printf(fix, "write at most %zu characters", row->size - 1);
		return -1;
	}
	memcpy(field(row, settings), text, len + 1);
	return 0;
}

int setting_path(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	if (text[0] != '/' && !(text[0] == '\0' && row->may_be_empty)) {
		(void)buf_printf(fix, "write the whole path, from the / on%s", row->may_be_empty ? ", or nothing" : "");
		return -1;
	}
	return text_store(row, settings, text, fix);
}

/* Several with blanks between them; kept each with its NUL, and an empty one behind the last. */
int setting_paths(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	char kept[PATH_MAX];
	size_t count = 0, used = 0, len;
	for (const char *word = text + strspn(text, BLANKS); *word != '\0'; word += len + strspn(word + len, BLANKS)) {
		len = strcspn(word, BLANKS);
		if (*word != '/') {
			(void)buf_add_text(fix, "write whole paths, from the / on, with spaces between them, or nothing");
			return -1;
		}
		if (++count > CERTIFICATES_MAX || used + len + 2 > sizeof kept) {
			(void)buf_printf(fix, "write at most %d paths, of at most %zu characters together", (int)CERTIFICATES_MAX, sizeof kept - 2);
			return -1;
		}
		memcpy(kept + used, word, len);
		used += len;
		kept[used++] = '\0';
	}
	kept[used++] = '\0';
	memcpy(field(row, settings), kept, used);
	return 0;
}

/* A user's or a file's name: no path, no option, nothing that a log or a command line could misread. */
int setting_word(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(text);
	bool good = strspn(text, allowed) == len && text[0] != '-' && text[0] != '.';
	if (!good || (len == 0 && !row->may_be_empty)) {
		(void)buf_printf(fix, "write a name of letters, digits, '_', '-' and '.'%s",
		                 row->may_be_empty ? ", or nothing" : "");
		return -1;
	}
	return text_store(row, settings, text, fix);
}

int setting_domains(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.- ";
	if (text[strspn(text, allowed)] != '\0') {
		(void)buf_add_text(fix, "write domains without an @, with spaces between them, or nothing");
		return -1;
	}
	return text_store(row, settings, text, fix);
}

/* Goes into answers, which are one line of ASCII. */
int setting_sentence(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e) {
			(void)buf_add_text(fix, "write plain ASCII");
			return -1;
		}
	return text_store(row, settings, text, fix);
}

int setting_on_locked(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	static const char wait[] = "wait ";
	uint64_t seconds = 0;
	enum on_locked what = ON_LOCKED_REFUSE;
	(void)row;
	if (strcmp(text, "take-over") == 0) {
		what = ON_LOCKED_TAKE_OVER;
	} else if (strncmp(text, wait, sizeof wait - 1) == 0 &&
	           parse_number(text + sizeof wait - 1, strlen(text) - (sizeof wait - 1), 1, ON_LOCKED_WAIT_MAX, &seconds) == 0) {
		what = ON_LOCKED_WAIT;
	} else if (strcmp(text, "refuse") != 0) {
		(void)buf_printf(fix, "write refuse, wait SECONDS (1 to %d) or take-over", ON_LOCKED_WAIT_MAX);
		return -1;
	}
	settings->on_locked.what = what;
	settings->on_locked.wait_seconds = (unsigned)seconds;
	return 0;
}

int setting_unique_ids(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	static const char dovecot[] = "dovecot";
	struct told_ids told = { .by = TOLD_BY_NOBODY };
	const size_t word = strcspn(text, BLANKS);
	const char *format = text + word + strspn(text + word, BLANKS);
	(void)row;
	if (word == sizeof dovecot - 1 && memcmp(text, dovecot, word) == 0) {
		told.by = TOLD_BY_DOVECOT;
		format = *format != '\0' ? format : TOLD_UID_FIRST;
		if (told_format_check(format) != 0) {
			(void)buf_add_text(fix, "write dovecot and its pop3_uidl_format behind it, made of %u, %v, %08Xu and the like; where that is %f or %g, write own: it is the file's name, as here");
			return -1;
		}
		(void)snprintf(told.format, sizeof told.format, "%s", format);
	} else if (strcmp(text, "ipop3d") == 0) {
		told = (struct told_ids){ TOLD_BY_DOVECOT, TOLD_VALIDITY_FIRST };
	} else if (strcmp(text, "courier") == 0) {
		told.by = TOLD_BY_COURIER;
	} else if (strcmp(text, "own") != 0) {
		(void)buf_add_text(fix, "write own, dovecot, dovecot FORMAT, ipop3d or courier");
		return -1;
	}
	settings->unique_ids = told;
	return 0;
}

/* Signs that another location was meant to begin within this one: "maildir:~/Maildir, mbox:/var/mail/%u", or a second one without its format. */
static bool holds_another(const char *location, bool is_last)
{
	const size_t len = strlen(location);
	if (!is_last && len > 0 && location[len - 1] == ',')
		return true;
	for (const char *p = location; (p = strpbrk(p, BLANKS ",")) != NULL; p++)
		if (p[1] == '/' || p[1] == '~' || strncasecmp(p + 1, "maildir:", 8) == 0 || strncasecmp(p + 1, "mbox:", 5) == 0)
			return true;
	return false;
}

/* Behind a path Dovecot's mail_location may have ":INBOX=PATH" and the like; taken for a part of the path, that is a mailbox which nobody has. */
static bool has_dovecot_option(const char *location)
{
	for (const char *p = strchr(location, ':') + 1; (p = strchr(p, ':')) != NULL; p++) {
		const size_t letters = strspn(p + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (letters > 0 && p[1 + letters] == '=')
			return true;
	}
	return false;
}

int setting_location(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	struct maildrop_place place;
	struct why why;
	char one[SETTING_TEXT_MAX];
	if (text_store(row, settings, text, fix) != 0)
		return -1;
	for (const char *rest = text; rest != NULL;) {
		rest = maildrop_location_cut(rest, one);
		if (maildrop_place_expand(one, NULL, NULL, &place, &why) != 0) {
			(void)buf_printf(fix, "%s; write maildir:PATH or mbox:PATH, such as maildir:~/Maildir or mbox:/var/mail/%%u", why.text);
			return -1;
		}
		if (has_dovecot_option(one)) {
			(void)buf_printf(fix, "what Dovecot has behind the path, from the colon on, is not known here; write the path alone, and where there is INBOX=, the path behind that, "
			                 "such as mbox:/var/mail/%%u");
			return -1;
		}
		if (holds_another(one, rest == NULL)) {
			(void)buf_printf(fix, "of several locations each begins with maildir: or mbox:, with a space before it; write maildir:~/Maildir mbox:/var/mail/%%u, for example");
			return -1;
		}
	}
	return 0;
}

/*
 * The words of a list into found[], in their order. Their number, or -1 with the fix when one is
 * unknown or stands twice, or there is none.
 */
static int words_parse(const struct setting *row, const char *text, const struct choice *found[], size_t max,
                       struct buf *fix)
{
	size_t count = 0;
	for (text += strspn(text, BLANKS); *text != '\0'; text += strspn(text, BLANKS)) {
		size_t len = strcspn(text, BLANKS);
		const struct choice *choice = choice_find(row->choices, text, len);
		if (choice == NULL)
			goto bad;
		for (size_t i = 0; i < count; i++) {
			if (found[i] == choice) {
				(void)buf_printf(fix, "write %s once", choice->name);
				return -1;
			}
		}
		if (count == max)
			goto bad;
		found[count++] = choice;
		text += len;
	}
	if (count > 0)
		return (int)count;
bad:
	(void)buf_add_text(fix, "write one or more, with spaces between them, of ");
	choices_add(fix, row->choices);
	return -1;
}

int setting_backends(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	const struct choice *found[AUTH_BACKENDS_MAX];
	int n = words_parse(row, text, found, AUTH_BACKENDS_MAX, fix);
	if (n < 0)
		return -1;
	memset(settings->backends, 0, sizeof settings->backends);
	for (int i = 0; i < n; i++)
		(void)snprintf(settings->backends[i], sizeof settings->backends[i], "%s", found[i]->name);
	return 0;
}

int setting_locks(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	const struct choice *found[HOST_LOCKS_MAX];
	int n = words_parse(row, text, found, HOST_LOCKS_MAX, fix);
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++)
		settings->mbox_locks[i] = (enum host_lock)found[i]->value;
	settings->mbox_lock_count = (size_t)n;
	return 0;
}

static void address_fill_ipv4(struct listen_address *address_r, struct in_addr host, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host };
	memset(address_r, 0, sizeof *address_r);
	memcpy(&address_r->address, &in, sizeof in);
	address_r->len = sizeof in;
}

static void address_fill_ipv6(struct listen_address *address_r, struct in6_addr host, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = host };
	memset(address_r, 0, sizeof *address_r);
	memcpy(&address_r->address, &in6, sizeof in6);
	address_r->len = sizeof in6;
}

/* What to write instead of a word that is no address with a port; the usual slips get the very text. */
static void address_fix(const char *word, unsigned port, struct buf *fix)
{
	struct in_addr host;
	struct in6_addr host6;
	char bare[ADDRESS_WORD_MAX];
	size_t bracket = word[0] == '[';
	(void)snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word + bracket, "]"), word + bracket);
	if (word[0] == '*' || word[0] == ':')
		(void)buf_printf(fix, "for every address write 0.0.0.0:%u [::]:%u", port, port);
	else if (inet_pton(AF_INET, word, &host) == 1)
		(void)buf_printf(fix, "add the port: %s:%u", word, port);
	else if (inet_pton(AF_INET6, bare, &host6) == 1)
		(void)buf_printf(fix, "write the address in brackets and the port behind them: [%s]:%u", bare, port);
	else if (strchr(word, ',') != NULL)
		(void)buf_add_text(fix, "put spaces, not commas, between addresses");
	else
		(void)buf_printf(fix, "write an address and a port, such as 127.0.0.1:%u or [::1]:%u", port, port);
}

/* One "a.b.c.d:port" or "[v6]:port". */
static int address_parse(const char *word, const struct setting *row, struct listen_address *address_r,
                         struct buf *fix)
{
	char host[ADDRESS_WORD_MAX];
	struct in_addr ipv4 = { 0 };
	struct in6_addr ipv6 = { 0 };
	uint64_t port;
	const char *colon = strrchr(word, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - word);
	bool bracketed = len >= 2 && word[0] == '[' && word[len - 1] == ']';
	if (bracketed)
		(void)snprintf(host, sizeof host, "%.*s", (int)len - 2, word + 1);
	else
		(void)snprintf(host, sizeof host, "%.*s", (int)len, word);
	bool is_ipv4 = !bracketed && inet_pton(AF_INET, host, &ipv4) == 1;
	bool is_ipv6 = bracketed && inet_pton(AF_INET6, host, &ipv6) == 1;
	if (!is_ipv4 && !is_ipv6) {
		address_fix(word, (unsigned)row->min, fix);
		return -1;
	}
	if (parse_number(colon + 1, strlen(colon + 1), 1, PORT_MAX, &port) != 0) {
		(void)buf_printf(fix, "a port is a number from 1 to %d, such as %.*s:%u", PORT_MAX, (int)len, word,
		                 (unsigned)row->min);
		return -1;
	}
	if (is_ipv4)
		address_fill_ipv4(address_r, ipv4, (uint16_t)port);
	else
		address_fill_ipv6(address_r, ipv6, (uint16_t)port);
	return 0;
}

/* The next word; what is too long for any address is "", and not cut to one. False when there is none. */
static bool take_word(const char **text, char word_r[ADDRESS_WORD_MAX])
{
	*text += strspn(*text, BLANKS);
	const size_t len = strcspn(*text, BLANKS);
	(void)snprintf(word_r, ADDRESS_WORD_MAX, "%.*s", len < ADDRESS_WORD_MAX ? (int)len : 0, *text);
	*text += len;
	return len > 0;
}

int setting_listen(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	struct listen_list list = { .count = 0 };
	char word[ADDRESS_WORD_MAX];
	while (take_word(&text, word)) {
		struct listen_address *next = &list.list[list.count];
		if (list.count == LISTEN_MAX) {
			(void)buf_printf(fix, "write at most %d addresses", LISTEN_MAX);
			return -1;
		}
		if (address_parse(word, row, next, fix) != 0)
			return -1;
		for (size_t i = 0; i < list.count; i++) {
			if (memcmp(&list.list[i], next, sizeof *next) == 0) {
				(void)buf_printf(fix, "write %s once", word);
				return -1;
			}
		}
		list.count++;
	}
	memcpy(field(row, settings), &list, sizeof list);
	return 0;
}

/* The next of at most `most` addresses without a port, of which there were `count`. 1, 0: there is none, or -1 with the fix. */
static int take_host(const char **text, size_t count, size_t most, struct sockaddr_storage *host_r, struct buf *fix)
{
	char word[ADDRESS_WORD_MAX];
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	memset(host_r, 0, sizeof *host_r);
	if (!take_word(text, word))
		return 0;
	if (count == most) {
		(void)buf_printf(fix, "write at most %zu addresses", most);
		return -1;
	}
	if (inet_pton(AF_INET, word, &v4.sin_addr) == 1) {
		memcpy(host_r, &v4, sizeof v4);
	} else if (inet_pton(AF_INET6, word, &v6.sin6_addr) == 1) {
		memcpy(host_r, &v6, sizeof v6);
	} else {
		(void)buf_add_text(fix, "write addresses without a port, such as 127.0.0.1 or 2001:db8::1");
		return -1;
	}
	return 1;
}

int setting_sources(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	struct source_list list = { .count = 0 };
	struct sockaddr_storage host;
	int r;
	while ((r = take_host(&text, list.count, GATEWAYS_MAX, &host, fix)) > 0)
		list.list[list.count++] = address_source(&host);
	if (r == 0)
		memcpy(field(row, settings), &list, sizeof list);
	return r;
}

int setting_hosts(const struct setting *row, struct settings *settings, const char *text, struct buf *fix)
{
	struct host_list list = { .count = 0 };
	struct sockaddr_storage host;
	int r;
	while ((r = take_host(&text, list.count, PROXIES_MAX, &host, fix)) > 0)
		address_host(&host, list.list[list.count++]);
	if (r == 0)
		memcpy(field(row, settings), &list, sizeof list);
	return r;
}
