/*
 * explain_html.c - the page about failures for a browser, made of the reply table and its advice.
 * Runs in: postern, when the page is made. Trusts: nothing; this is our own text.
 *
 * One file, nothing loaded from elsewhere; each failure can be linked to by its row's name.
 */
#include <string.h>

#include "cli/explain.h"

static void put_escaped(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '<': (void)fputs("&lt;", out); break;
		case '>': (void)fputs("&gt;", out); break;
		case '&': (void)fputs("&amp;", out); break;
		case '"': (void)fputs("&quot;", out); break;
		default: (void)fputc(text[i], out);
		}
	}
}

/* What stands between `such marks` is to be typed. */
static void put_text(FILE *out, const char *text)
{
	bool literal = false;
	for (size_t len; *text != '\0'; text += len) {
		len = strcspn(text, "`");
		put_escaped(out, text, len);
		if (text[len] == '`') {
			(void)fputs(literal ? "</code>" : "<code>", out);
			literal = !literal;
			len++;
		}
	}
}

static void put_part(void *context, const char *text, size_t len, enum shape_part kind)
{
	FILE *out = context;
	(void)fputs(kind == PART_PLACE ? "<var>" : "", out);
	put_escaped(out, text, len);
	(void)fputs(kind == PART_PLACE ? "</var>" : "", out);
}

static void put_line(FILE *out, enum reply id)
{
	const struct reply_row *row = reply_row(id);
	(void)fprintf(out, "-ERR %s%s%s", row->code != NULL ? "[" : "", row->code != NULL ? row->code : "", row->code != NULL ? "] " : "");
	reply_shape_parts(id, NULL, put_part, out);
	if (row->referenced)
		(void)fputs(" (ref <var>7KQ2M</var>)", out);
}

static void put_paragraph(FILE *out, const char *label, const char *text)
{
	(void)fprintf(out, "<dt>%s</dt><dd>", label);
	put_text(out, text);
	(void)fputs("</dd>\n", out);
}

static void put_row(FILE *out, enum reply id)
{
	const struct reply_advice *advice = reply_advice(id);
	static const char *const classes[SIDE_COUNT] = {
		[SIDE_SETTINGS] = "settings", [SIDE_NETWORK] = "network", [SIDE_ACCOUNT] = "account", [SIDE_SERVER] = "server",
		[SIDE_OTHER_PROGRAM] = "other",
	};
	(void)fprintf(out, "<article id=\"%s\">\n<h3><samp>", reply_row(id)->name);
	put_line(out, id);
	(void)fprintf(out, "</samp></h3>\n<p class=\"side %s\"><span>The cause is with <strong>%s</strong>.</span> <a href=\"#%s\">%s</a></p>\n<dl>\n",
	              classes[advice->side], side_text(advice->side), reply_row(id)->name, reply_row(id)->name);
	put_paragraph(out, "What it means", advice->meaning);
	put_paragraph(out, "What you do", advice->user);
	put_paragraph(out, "What the administrator does", advice->admin);
	(void)fputs("</dl>\n</article>\n", out);
}

static const char HEAD[] =
	"<!DOCTYPE html>\n"
	"<!-- Made by `postern explain --html` from the reply table: change daemon/replies_*.c, then run `make errors`. -->\n"
	"<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<title>Your mail program says that something failed</title>\n"
	"<style>\n"
	":root { --ink: #1c1c1a; --paper: #fdfdfb; --faint: #5c5c57; --line: #d9d8d2; --box: #f2f1ec; --link: #0b57a4;\n"
	"  --settings: #8a5a00; --network: #5d4a99; --account: #97315a; --server: #a0330f; --other: #1d6a55; }\n"
	"@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --paper: #161615; --faint: #a5a39c; --line: #3a3935; --box: #22211f;\n"
	"  --link: #8ab8f0; --settings: #e3b661; --network: #b9a8f0; --account: #f09abf; --server: #f29b7c; --other: #7fd0b6; } }\n"
	"body { margin: 0 auto; padding: 1rem; max-width: 46rem; color: var(--ink); background: var(--paper);\n"
	"  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }\n"
	"a { color: var(--link); }\n"
	"h1 { font-size: 1.6rem; line-height: 1.25; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.3rem; border-bottom: 1px solid var(--line); }\n"
	"h3 { margin: 0; font-size: 1rem; font-weight: normal; }\n"
	"samp, code, var { font-family: ui-monospace, monospace; font-size: .92em; } var { color: var(--faint); }\n"
	"samp { font-weight: 600; } .word { white-space: nowrap; } code { background: var(--box); padding: .05em .25em; border-radius: 3px; }\n"
	"article { margin: 1rem 0; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 6px; }\n"
	"article:target { outline: 3px solid var(--link); }\n"
	".side { display: flex; flex-wrap: wrap; justify-content: space-between; margin: .3rem 0 .6rem; color: var(--faint); font-size: .9rem; }\n"
	".side a { font-size: .8rem; }\n"
	".settings strong { color: var(--settings); } .network strong { color: var(--network); } .account strong { color: var(--account); }\n"
	".server strong { color: var(--server); } .other strong { color: var(--other); }\n"
	"dl { margin: 0; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; }\n"
	"ol { padding-left: 1.4rem; } li { margin: .4rem 0; } li ul { padding-left: 0; list-style: none; } li a samp { font-weight: normal; }\n"
	"a:has(samp) { text-decoration: none; } a:has(samp):hover { text-decoration: underline; }\n"
	"nav ul { padding-left: 1.2rem; } pre { padding: .8rem 1rem; background: var(--box); border-radius: 6px; overflow-x: auto; }\n"
	"</style>\n</head>\n<body>\n<header>\n"
	"<h1>Your mail program says that something failed</h1>\n"
	"<p>A POP3 server knows two answers: <samp>+OK</samp> and <samp class=\"word\">-ERR</samp>. What stands behind <samp class=\"word\">-ERR</samp> is plain English, for "
	"people. Mail programs like to hide it behind a box that says little. Here is every such answer of this server: what it means, whose side the "
	"cause is on, and what to do.</p>\n"
	"</header>\n<main>\n";

static const char REFERENCE[] =
	"<section id=\"reference\">\n<h2>The word in brackets, and the reference</h2>\n"
	"<p><samp>[AUTH]</samp> speaks of your user name, password or account. <samp>[IN-USE]</samp>: somebody has the mailbox open, perhaps another "
	"device of yours. <samp>[SYS/TEMP]</samp> and <samp>[SYS/PERM]</samp>: the server has trouble of its own, and no setting of yours is wrong.</p>\n"
	"<p>An answer that ends in <samp>(ref <var>7KQ2M</var>)</samp> is on record. Tell the administrator that word: <code>postern explain 7KQ2M</code> "
	"shows the whole cause. If you have a shell on the server, the same command shows you what concerns your own mailbox, and <code>postern log</code> "
	"what your mail programs did.</p>\n</section>\n";

static const char BY_HAND[] =
	"<section id=\"by-hand\">\n<h2>See it yourself</h2>\n"
	"<p>When the mail program hides the answer, ask the server by hand. Over TLS:</p>\n"
	"<pre>openssl s_client -quiet -crlf -connect <var>mail.example.org</var>:995</pre>\n"
	"<p>or, where a connection without TLS is admitted (on the server itself, for example):</p>\n"
	"<pre>telnet <var>mail.example.org</var> 110</pre>\n"
	"<p>Then type, a line at a time, and read each answer:</p>\n"
	"<pre>USER <var>your name</var>\nPASS <var>your password</var>\nSTAT\nQUIT</pre>\n"
	"<p>If all of these are answered with <samp>+OK</samp>, the mail program or its settings are at fault, and not the server. "
	"<code>postern check</code> does the same and says what it sees.</p>\n</section>\n";

static void put_classics(FILE *out)
{
	(void)fputs("<section id=\"five\">\n<h2>The five that everybody meets</h2>\n<ol>\n", out);
	for (size_t i = 0; i < explain_classics_count; i++) {
		const struct explain_classic *c = &explain_classics[i];
		(void)fprintf(out, "<li><p><strong>%s.</strong> ", c->title);
		put_text(out, c->about);
		(void)fputs("</p>\n<ul>\n", out);
		for (size_t k = 0; k < sizeof c->rows / sizeof c->rows[0] && c->rows[k] != REPLY_NONE; k++) {
			(void)fprintf(out, "<li><a href=\"#%s\"><samp>", reply_row(c->rows[k])->name);
			put_line(out, c->rows[k]);
			(void)fputs("</samp></a></li>\n", out);
		}
		(void)fputs("</ul></li>\n", out);
	}
	(void)fputs("</ol>\n</section>\n", out);
}

static void put_contents(FILE *out)
{
	(void)fputs("<nav aria-labelledby=\"contents\">\n<h2 id=\"contents\">All of them, by situation</h2>\n<ul>\n"
	            "<li><a href=\"#reference\">The word in brackets, and the reference</a></li>\n", out);
	for (size_t i = 0; i < explain_groups_count; i++)
		(void)fprintf(out, "<li><a href=\"#%s\">%s</a></li>\n", explain_groups[i].anchor, explain_groups[i].title);
	(void)fputs("<li><a href=\"#by-hand\">See it yourself</a></li>\n</ul>\n</nav>\n", out);
}

void explain_html(FILE *out)
{
	(void)fputs(HEAD, out);
	put_classics(out);
	put_contents(out);
	(void)fputs(REFERENCE, out);
	for (size_t i = 0; i < explain_groups_count; i++) {
		const struct explain_group *group = &explain_groups[i];
		(void)fprintf(out, "<section id=\"%s\">\n<h2>%s</h2>\n<p>", group->anchor, group->title);
		put_text(out, group->about);
		(void)fputs("</p>\n", out);
		for (int id = (int)group->first; id <= (int)group->last; id++)
			put_row(out, (enum reply)id);
		(void)fputs("</section>\n", out);
	}
	(void)fputs(BY_HAND, out);
	(void)fputs("</main>\n</body>\n</html>\n", out);
}
