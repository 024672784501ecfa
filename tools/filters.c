/*
 * filters.c - compiles sandbox_table.c into the programs that the kernel takes, as C, by libseccomp.
 * Runs in: the build. Trusts: the table.
 *
 * During the build and not at the start: so no program has the library, and a process that confines itself hands the
 * kernel octets that are ready.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/sandbox_table.h"

/*
 * below: whose filter a kind has, or lays its own on top of; SANDBOX_KINDS: nobody's.
 * brief: it is installed for each session. When a process takes a filter, the kernel works out for every system call there
 * is whether the answer is always yes, so that it need not run the filter then: dearer than to run it, for the hundred
 * calls of a session. It gives that up at an instruction that it does not follow, such as one that loads the index register.
 */
static const struct { const char *name; enum sandbox_kind below; int brief; } kinds[SANDBOX_KINDS] = {
	[SANDBOX_NURSERY] = { "nursery", SANDBOX_KINDS, 0 },
	[SANDBOX_GATE] = { "gate", SANDBOX_NURSERY, 0 },
	[SANDBOX_SIGNER] = { "signer", SANDBOX_KINDS, 0 },
	[SANDBOX_KEEPER] = { "keeper", SANDBOX_KINDS, 1 },
	[SANDBOX_SHARED] = { "shared", SANDBOX_KINDS, 0 },
	[SANDBOX_DOTLOCK] = { "dotlock", SANDBOX_KINDS, 1 },
	[SANDBOX_RECORDER] = { "recorder", SANDBOX_KINDS, 0 },
	[SANDBOX_ANSWER] = { "answer", SANDBOX_RECORDER, 1 },
};

_Noreturn static void fail(const char *what, const char *call, int err)
{
	(void)fprintf(stderr, "filters: %s %s: %s\n", what, call, strerror(err));
	exit(1);
}

static int number_of(const char *call)
{
	int number = strcmp(call, "-1") == 0 ? -1 : seccomp_syscall_resolve_name(call);
	if (number == __NR_SCMP_ERROR && strcmp(call, "-1") != 0)
		fail("libseccomp does not know the system call", call, ENOSYS);
	return number;
}

static void add(scmp_filter_ctx ctx, uint32_t action, const struct sandbox_row *row)
{
	const struct scmp_arg_cmp conditions[] = {
		[WHEN_ANY] = { 0 },
		[WHEN_EQUAL] = { .arg = row->only.argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = row->only.mask, .datum_b = row->only.value },
		[WHEN_OTHER] = { .arg = row->only.argument, .op = SCMP_CMP_NE, .datum_a = row->only.value },
	};
	int r = seccomp_rule_add_array(ctx, action, number_of(row->call), row->only.when == WHEN_ANY ? 0 : 1, &conditions[row->only.when]);
	if (r != 0)
		fail("rule for", row->call, -r);
}

/* Is there a row for that call and kind? */
static int has(const char *call, enum sandbox_kind kind)
{
	for (size_t i = 0; i < sandbox_table_count; i++)
		if (strcmp(sandbox_table[i].call, call) == 0 && sandbox_table[i].kinds >> kind & 1)
			return 1;
	return 0;
}

static scmp_filter_ctx begin(uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	int r = ctx == NULL ? -ENOMEM : seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	r = r != 0 ? r : seccomp_attr_set(ctx, SCMP_FLTATR_API_TSKIP, 1);
	/* A tree rather than a list. */
	r = r != 0 ? r : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 1);
	if (r != 0)
		fail("seccomp_init", "", -r);
	return ctx;
}

/* Has the one below anything to itself? */
static int differs(enum sandbox_kind kind)
{
	for (size_t i = 0; i < sandbox_table_count; i++)
		if (kinds[kind].below == SANDBOX_KINDS || (sandbox_table[i].kinds >> kinds[kind].below & 1 && !has(sandbox_table[i].call, kind)))
			return 1;
	return 0;
}

/* All that the kind may, and death for the rest; or, on top of another's, death for what that one has to itself. */
static scmp_filter_ctx compile(enum sandbox_kind kind)
{
	const enum sandbox_kind below = kinds[kind].below;
	scmp_filter_ctx ctx = begin(below == SANDBOX_KINDS ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW);
	for (size_t i = 0; i < sandbox_table_count; i++) {
		const struct sandbox_row *row = &sandbox_table[i];
		const struct sandbox_row whole = { .call = row->call };
		if (below == SANDBOX_KINDS && row->kinds >> kind & 1)
			add(ctx, row->verdict == SANDBOX_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES), row);
		if (below != SANDBOX_KINDS && (row->kinds >> kind & 1) && !(row->kinds >> below & 1))
			fail("a row that the process below does not have:", row->call, EINVAL);
		if (below != SANDBOX_KINDS && (row->kinds >> below & 1) && !has(row->call, kind))
			add(ctx, SCMP_ACT_KILL_PROCESS, &whole);
	}
	return ctx;
}

static void print(enum sandbox_kind kind, scmp_filter_ctx ctx)
{
	struct stat st;
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
	if (r != 0 || fstat(fd, &st) != 0)
		fail("cannot compile the filter of the", kinds[kind].name, -r);
	const struct sock_filter *code = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (code == MAP_FAILED)
		fail("mmap", "", errno);
	(void)printf("static const struct sock_filter %s[] = {\n", kinds[kind].name);
	if (kinds[kind].brief)
		(void)printf("\t{ BPF_LDX | BPF_W | BPF_IMM, 0, 0, 0 },\n");
	for (size_t i = 0; i < (size_t)st.st_size / sizeof *code; i++)
		(void)printf("\t{ %#x, %u, %u, %#x },\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
	(void)printf("};\n");
	(void)close(fd);
}

int main(void)
{
	(void)printf("/* Made by tools/filters.c from daemon/sandbox_table.c. */\n#include \"daemon/sandbox.h\"\n\n");
	for (int kind = 0; kind < SANDBOX_KINDS; kind++) {
		if (!differs((enum sandbox_kind)kind))
			continue;
		scmp_filter_ctx ctx = compile((enum sandbox_kind)kind);
		print((enum sandbox_kind)kind, ctx);
		seccomp_release(ctx);
	}
	(void)printf("\nconst struct sandbox_program sandbox_programs[SANDBOX_KINDS] = {\n");
	for (int kind = 0; kind < SANDBOX_KINDS; kind++)
		if (differs((enum sandbox_kind)kind))
			(void)printf("\t[%d] = { sizeof %s / sizeof *%s, %s },\n", kind, kinds[kind].name, kinds[kind].name, kinds[kind].name);
	(void)printf("};\n");
	return fflush(stdout) == 0 ? 0 : 1;
}
