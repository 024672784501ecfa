/*
 * fuzz_passwd.c - a passwd file with anything in it: its image, its lines, its records, and what their hashes would cost.
 * Runs in: the tests. Trusts: nothing.
 *
 * A hash whose cost is said to be small is verified, and has to be as cheap as it says.
 */
#include <math.h>
#include <time.h>

#include "auth/hash.h"
#include "auth/passwd_records.h"
#include "tests/fuzz/fuzz.h"

enum { CHEAP_ROUNDS = 2000, CHEAP_BCRYPT = 5, CHEAP_SECONDS = 2 };

static bool is_within(struct text part, struct text line)
{
	return part.len == 0 || (part.p >= line.p && part.p + part.len <= line.p + line.len);
}

static void check_record(struct text line, const struct passwd_record *r)
{
	char name[USER_NAME_MAX + 1];
	CHECK(is_within(r->name, line) && is_within(r->hash, line) && is_within(r->comment, line) && is_within(r->home, line), "a field that is not in the line");
	CHECK(r->name.len > 0 && r->name.len <= USER_NAME_MAX && memchr(r->name.p, '/', r->name.len) == NULL, "a name of %zu octets", r->name.len);
	for (size_t i = 0; i < line.len; i++)
		CHECK((unsigned char)line.p[i] >= ' ' && line.p[i] != 0x7f, "a control character");
	CHECK(!r->has_gid || r->has_uid, "a gid without a uid");
	CHECK(r->uid != (uid_t)-1 && r->gid != (gid_t)-1, "an id that means no change");
	CHECK(r->home.len == 0 || (r->home.p[0] == '/' && r->home.len < PATH_MAX), "a home of %zu octets", r->home.len);
	(void)piece_text((struct piece){ .p = r->name.p, .len = r->name.len }, name, sizeof name);
	CHECK(passwd_line_is_for(line, name), "not the line of %s", name);
}

/* ---- hashes ---- */

/* Does the text say so itself that it is cheap? "904 rounds", "cost 4", "0.01 MiB, 2 passes". */
static bool is_cheap(const struct hash_info *info)
{
	unsigned long long n;
	double mib;
	char unit[8] = "";
	if (sscanf(info->cost.words, "%llu rounds", &n) == 1 && strstr(info->cost.words, "rounds") != NULL)
		return n <= CHEAP_ROUNDS;
	if (sscanf(info->cost.words, "cost %llu", &n) == 1)
		return n <= CHEAP_BCRYPT;
	if (sscanf(info->cost.words, "%lf %7s", &mib, unit) == 2)
		return mib < 0.5;
	return strcmp(info->scheme, "MD5-CRYPT") == 0 || strcmp(info->scheme, "DES-CRYPT") == 0 || strcmp(info->scheme, "NT") == 0;
}

static double cpu_seconds(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What crypt(5) says that scrypt and yescrypt need; the bound has to be about the same number. */
static double scrypt_mib(const char *hash)
{
	static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	double r = 0;
	for (int i = 4; i >= 0; i--) {
		const char *at = strchr(alphabet, hash[4 + i]);
		r = r * 64 + (at != NULL ? (double)(at - alphabet) : 0);
	}
	return 128 * r * exp2((double)(strchr(alphabet, hash[3]) - alphabet)) / 1048576;
}

static void check_hash(struct text hash)
{
	struct hash_info info;
	struct why why = { .reason = REASON_NONE };
	struct secret password;
	char text[HASH_TEXT_MAX + 1];
	char *exact = piece_copy((struct piece){ .p = hash.p, .len = hash.len });
	hash_inspect(exact, hash.len, &info, &why);
	CHECK(info.state == HASH_RIGHT || info.state == HASH_LOCKED || info.state == HASH_UNUSABLE, "state %d", (int)info.state);
	CHECK(strlen(info.scheme) < sizeof info.scheme && strlen(info.cost.words) < sizeof info.cost.words, "words without their end");
	CHECK(info.state != HASH_UNUSABLE || why.reason == REASON_AUTH_SETUP, "unusable, and no reason");
	(void)piece_text((struct piece){ .p = hash.p, .len = hash.len }, text, sizeof text);
	const char *begin = text[0] == '{' && strchr(text, '}') != NULL ? strchr(text, '}') + 1 : text;
	if (info.state == HASH_RIGHT && strncmp(begin, "$7$", 3) == 0)
		CHECK(scrypt_mib(begin) <= HASH_MEMORY_MIB_MAX + 1.0 / 1024, "%s needs %g MiB", begin, scrypt_mib(begin));
	if (info.state == HASH_RIGHT && is_cheap(&info)) {
		const double before = cpu_seconds();
		CHECK(secret_set(&password, "secret", 6) == 0, "a password");
		(void)hash_verify(exact, hash.len, &password, NULL, &why);
		CHECK(cpu_seconds() - before < CHEAP_SECONDS, "%s (%s) took %g s", text, info.cost.words, cpu_seconds() - before);
	}
	free(exact);
}

/* ---- the file ---- */

static void read_file(struct piece content, struct passwd_image *image)
{
	static int fd = -1;
	struct why why = { .reason = REASON_NONE };
	const char *path = fuzz_path("passwd");
	if (fd < 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0, "%s", path);
	fuzz_set_file(fd, content.p, content.len);
	CHECK(passwd_image_read(path, false, image, &why) == 0, "%s", why.text);
	CHECK(image->len == content.len && memcmp(image->data, content.p, content.len) == 0, "the image is another file");
}

static bool is_there(struct text line, const void *context)
{
	const struct text *want = context;
	return line.len >= want->len && memcmp(line.p, want->p, want->len) == 0;
}

/* A line looked for is the first one of the image that begins as it. */
static void check_found(const struct passwd_image *image, struct text want)
{
	struct passwd_lines lines = { .rest = { image->data, image->len } };
	struct passwd_line found;
	struct text line;
	struct why why;
	while (passwd_line_next(&lines, &line) && !is_there(line, &want))
		;
	CHECK(passwd_line_find(fuzz_path("passwd"), false, is_there, &want, &found, &why) == 1, "%s", why.text);
	CHECK(found.number == lines.line && found.len == line.len && memcmp(found.data, line.p, line.len) == 0, "line %u for line %u", found.number, lines.line);
	passwd_line_free(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = INPUT_OF(data, size);
	struct passwd_image image;
	struct piece content = take_rest(&in);
	read_file(content, &image);
	struct passwd_lines lines = { .rest = { image.data, image.len } };
	struct text line;
	unsigned count = 0;
	size_t octets = 0, hashes = 0;
	while (passwd_line_next(&lines, &line)) {
		struct passwd_record record;
		const char *problem;
		octets += line.len + 1;
		CHECK(lines.line == ++count && memchr(line.p, '\n', line.len) == NULL, "line %u", lines.line);
		enum record_kind kind = passwd_record_parse(line, &record, &problem);
		CHECK((kind == RECORD_BAD) == (problem != NULL), "kind %d, problem %s", (int)kind, problem != NULL ? problem : "none");
		if (kind == RECORD_GOOD)
			check_record(line, &record);
		if (kind == RECORD_GOOD && hashes++ < 2)
			check_hash(record.hash);
		if (kind == RECORD_GOOD && hashes <= 2)
			check_found(&image, record.name);
	}
	CHECK(octets == image.len || octets == image.len + 1, "lines of %zu octets in a file of %zu", octets, image.len);
	passwd_image_free(&image);
	return 0;
}
