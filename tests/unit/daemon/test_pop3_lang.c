/*
 * test_pop3_lang.c - LANG and UTF8 (RFC 6856) in the protocol engine, and which messages need UTF8.
 * Runs in: the tests.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/languages.h"
#include "daemon/message.h"
#include "daemon/pop3.h"
#include "tests/unit/list_image.h"
#include "tests/unit/suite.h"

enum { OUT = 4096 };

static uint32_t no_reference(void *context, enum reply reply, const struct reply_args *args)
{
	(void)context, (void)reply, (void)args;
	return REF_NONE;
}

static const struct pop3_host host = { .refer = no_reference };
static bool pending;
static bool marks[2];
static void *image;

static struct pop3 engine(enum pop3_state state)
{
	static const struct message_record records[2];
	struct list list = { .count = 0 };
	size_t size;
	image = image != NULL ? image : list_image(records, 2, &size);
	CU_ASSERT_FATAL(image != NULL && list_open(&list, image, list_size(image)) == 0);
	return (struct pop3){ .host = &host, .tls_offered = true, .plaintext_admitted = true, .input_pending = &pending, .login_tries = 3,
	                      .state = state, .drop = { .list = list, .marks = marks, .count = state == POP3_TRANSACTION ? 2 : 0 } };
}

/* The answer to one line, until the next call. */
static const char *answer(struct pop3 *p, const char *text)
{
	static char storage[OUT];
	char line[COMMAND_LINE_MAX];
	struct buf out = BUF_OVER(storage);
	(void)snprintf(line, sizeof line, "%s", text);
	enum pop3_next next = pop3_line(p, line, strlen(line), &out);
	ROW_ASSERT(text, next == POP3_NEXT_LINE || strcmp(text, "STLS") == 0);
	return buf_text(&out);
}

struct exchange { const char *line, *want; };

/* A session from a state on, to a row without a line. */
static struct pop3 talk(enum pop3_state state, const struct exchange *rows)
{
	struct pop3 p = engine(state);
	for (; rows->line != NULL; rows++)
		ROW_TEXT(rows->line, answer(&p, rows->line), rows->want);
	return p;
}

/* LANG's effect begins with its own answer, and a refusal changes nothing. */
static void test_session(void)
{
	static const struct exchange rows[] = {
		{ "NOPE", "-ERR unknown command: not one of POP3's\r\n" },
		{ "LANG de-AT", "+OK de Antworten kommen jetzt auf Deutsch\r\n" },
		{ "NOPE", "-ERR Unbekannter Befehl: POP3 hat ihn nicht\r\n" },
		{ "LANG MUL", "-ERR In dieser Sprache gibt es keine Antworten: LANG ohne Argument nennt die Sprachen\r\n" },
		{ "PASS x", "-ERR Senden Sie zuerst USER und den Benutzernamen\r\n" },
		{ "lang FR", "+OK fr Les réponses sont maintenant en français\r\n" },
		{ "PASS x", "-ERR Envoyez d'abord USER et le nom d'utilisateur\r\n" },
		{ "LANG ja", "+OK ja これからは日本語で応答します\r\n" },
		{ "PASS x", "-ERR 先に USER とユーザー名を送ってください\r\n" },
		{ "LANG *", "+OK en answers are in English now\r\n" },
		{ "PASS x", "-ERR send USER and the user name first\r\n" },
		{ "LANG i-default", "+OK i-default answers are in English now\r\n" },
		{ NULL, NULL },
	};
	(void)talk(POP3_AUTHORIZATION, rows);
}

static void test_list(void)
{
	static const char want[] = "+OK languages for the answers follow\r\nen English\r\nde Deutsch\r\nes Español\r\nfr Français\r\nja 日本語\r\n"
	                           "zh-Hans 简体中文\r\ni-default Default language: English\r\n.\r\n";
	for (int state = 0; state < 2; state++) {
		struct pop3 p = engine(state == 0 ? POP3_AUTHORIZATION : POP3_TRANSACTION);
		ROW_TEXT("alone", answer(&p, "LANG"), want);
		ROW_TEXT("with a space", answer(&p, "LANG "), want);
		ROW_TEXT("after a choice", strchr(answer(&p, "LANG es"), ' '), " es Las respuestas son ahora en español\r\n");
		ROW_TEXT("in Spanish", strchr(answer(&p, "LANG"), '\n'), strchr(want, '\n'));
	}
}

static void test_transaction(void)
{
	static const struct exchange rows[] = {
		{ "LANG zh", "+OK zh-Hans 现在起以简体中文应答\r\n" },
		{ "RETR 9", "-ERR 没有这封邮件：您要第 9 封，邮箱共有 2 封\r\n" },
		{ "STAT", "+OK 2 0\r\n" },
		{ "LIST 1", "+OK 1 0\r\n" },
		{ "DELE 2", "+OK 第 2 封邮件已标记为待删除\r\n" },
		{ "UTF8", "-ERR 您已登录：此命令应在登录之前使用\r\n" },
		{ NULL, NULL },
	};
	CU_ASSERT(!talk(POP3_TRANSACTION, rows).utf8);
	memset(marks, 0, sizeof marks);
}

static void test_utf8(void)
{
	struct pop3 p = engine(POP3_AUTHORIZATION);
	ROW_TEXT("argument", answer(&p, "UTF8 USER"), "-ERR this command takes no argument\r\n");
	CU_ASSERT(!p.utf8);
	ROW_TEXT("UTF8", answer(&p, "utf8"), "+OK UTF-8 mode: messages with UTF-8 in their header are sent, too\r\n");
	CU_ASSERT(p.utf8);
	ROW_TEXT("twice", answer(&p, "UTF8"), "+OK UTF-8 mode: messages with UTF-8 in their header are sent, too\r\n");
	/* It does not choose a language. */
	ROW_TEXT("ASCII", answer(&p, "PASS x"), "-ERR send USER and the user name first\r\n");
}

/* RFC 2595 section 4, RFC 6856 section 7: what was said in clear, perhaps by another, does not count within TLS. */
static void test_tls_forgets(void)
{
	struct pop3 p = engine(POP3_AUTHORIZATION);
	(void)answer(&p, "UTF8");
	(void)answer(&p, "LANG ja");
	(void)answer(&p, "STLS");
	pop3_tls_started(&p);
	CU_ASSERT(!p.utf8 && p.language == NULL);
}

/* RFC 6856 sections 2 and 3: announced in both states, and UTF8 without USER. */
static void test_capabilities(void)
{
	for (int state = 0; state < 2; state++) {
		struct pop3 p = engine(state == 0 ? POP3_AUTHORIZATION : POP3_TRANSACTION);
		const char *capa = answer(&p, "CAPA");
		CU_ASSERT(strstr(capa, "\r\nUTF8\r\n") != NULL && strstr(capa, "\r\nLANG\r\n") != NULL);
	}
}

#define TRACE "Received: from a (b [192.0.2.1])\r\n\tby c (Postfix) with UTF8SMTPS id 1\r\n"
#define SUBJECT "Subject: Gr\xc3\xbc\xc3\x9f" "e\r\n"

static void test_headers(void)
{
	static const struct { const char *label, *message; enum header_octets want; } rows[] = {
		{ "empty", "", HEADER_ASCII },
		{ "plain", "Subject: x\r\n\r\nbody", HEADER_ASCII },
		{ "8 bits in the body", "Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9f" "e", HEADER_ASCII },
		{ "8 bits in the body, LF", "Subject: x\n\n\xc3\xbc", HEADER_ASCII },
		{ "no header", "\r\n\xc3\xbc", HEADER_ASCII },
		{ "no header, LF", "\n\xc3\xbc", HEADER_ASCII },
		{ "8 bits in the header", SUBJECT "\r\nbody", HEADER_8BIT },
		{ "Latin 1", "Subject: Gr\xfc\xdf" "e\n\nbody", HEADER_8BIT },
		{ "header only", SUBJECT, HEADER_8BIT },
		{ "header without its end", "Subject: \xc3\xbc", HEADER_8BIT },
		{ "SMTPUTF8 and ASCII", TRACE "Subject: x\r\n\r\nbody", HEADER_ASCII },
		{ "SMTPUTF8", TRACE SUBJECT "\r\nbody", HEADER_UTF8 },
		{ "SMTPUTF8 below", SUBJECT TRACE "\r\nbody", HEADER_UTF8 },
		{ "Exim", "received: by x with utf8esmtpsa id 2\n" SUBJECT "\nbody", HEADER_UTF8 },
		{ "LMTP", "Received: by x with UTF8LMTP\n" SUBJECT "\nbody", HEADER_UTF8 },
		{ "another word", "Received: by utf8.example with utf8 ESMTP id UTF8\n" SUBJECT "\nbody", HEADER_8BIT },
		{ "another protocol", "Received: by x with ESMTP id utf8\n" SUBJECT "\nbody", HEADER_8BIT },
		{ "another field", "X-Received: with UTF8SMTP id 1\r\n" SUBJECT "\r\nbody", HEADER_8BIT },
		{ "another field's second line", "Received: by x\nSubject: \xc3\xbc\n with UTF8SMTP\n\nbody", HEADER_8BIT },
		{ "in the body", SUBJECT "\r\n" TRACE, HEADER_8BIT },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int fd = memfd_create("message", MFD_CLOEXEC);
		size_t len = strlen(rows[i].message);
		CU_ASSERT_FATAL(fd >= 0 && write(fd, "front", 5) == 5 && write(fd, rows[i].message, len) == (ssize_t)len && write(fd, "\xc3\xbc", 2) == 2);
		struct message_body body = { .fd = fd, .offset = 5, .length = len };
		ROW_ASSERT(rows[i].label, message_header(&body) == rows[i].want);
		(void)close(fd);
	}
}

/* A header may be longer than what is read of it at first. */
static void test_long_header(void)
{
	static const char field[] = "X-Long: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n", end[] = SUBJECT TRACE "\r\n";
	for (size_t fields = 0; fields < 400; fields += 50) {
		char label[32];
		int fd = memfd_create("message", MFD_CLOEXEC);
		CU_ASSERT_FATAL(fd >= 0);
		for (size_t i = 0; i < fields; i++)
			CU_ASSERT_FATAL(write(fd, field, sizeof field - 1) == (ssize_t)sizeof field - 1);
		CU_ASSERT_FATAL(write(fd, end, sizeof end - 1) == (ssize_t)sizeof end - 1);
		struct message_body body = { .fd = fd, .length = fields * (sizeof field - 1) + sizeof end - 1 };
		(void)snprintf(label, sizeof label, "%zu fields", fields);
		ROW_ASSERT(label, message_header(&body) == HEADER_UTF8);
		(void)close(fd);
	}
}

#define TESTS(X) X(test_session) X(test_list) X(test_transaction) X(test_utf8) X(test_tls_forgets) X(test_capabilities) X(test_headers) \
	X(test_long_header)
SUITE("pop3_lang")
