/*
 * tls_heap.c - where OpenSSL's memory lies: what a handshake writes to is side by side, so that a gate copies few of its nursery's pages.
 * Runs in: gate nursery, gate. Trusts: nothing.
 */
#include "daemon/tls_heap.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/privilege.h"

/* The unit test puts a shorter one in its place. */
#ifndef REHEARSAL_SECONDS
#define REHEARSAL_SECONDS 10
#endif

enum {
	NUMBERS = 1 << 17,            /* of allocations: those behind are not noted */
	STEP = 16,                    /* octets: sizes are multiples of it, and so is a block's head */
	SMALL_MAX = 1024,             /* octets of a block that is used again for one of the same size */
	AREA_SIZE = 64 * PAGE,        /* several times what OpenSSL 3.0 needs; the rest is never touched */
	SLOTS = 12,                   /* for larger blocks: what a connection is, records, messages */
	SLOT_SIZE = 6 * PAGE,         /* what OpenSSL takes for a message of the handshake; a record is smaller */
	STAGE_PAGES = 1 << 15,        /* of the rehearsal: it needs 9000 at a time */
	OPENED_MAX = 1024,            /* pages: the client's end writes to a few dozen */
	IN_USE = 0x7573ed, FREE = 0xf4ee,
};

/* Before each block of the area. */
struct head {
	uint32_t size;                /* as asked for */
	uint32_t mark;                /* IN_USE or FREE */
	uint32_t next;                /* FREE: the place of the next one of this size, 0: none */
	uint32_t spare;
};
_Static_assert(sizeof(struct head) == STEP, "blocks are aligned");

/* All that is written to at each call lies on the area's first page. */
static struct {
	enum { LIKE_MALLOC, ON_STAGE, LOADING, OWN } mode;
	bool wipe;
	uint32_t number;              /* of the last allocation */
	uint8_t *written;             /* by number: a handshake writes to it. Shared with the rehearsal */
	uint32_t used;                /* octets of the area */
	uint32_t free[SMALL_MAX / STEP + 1]; /* by steps: a block's place, 0: none */
	uint32_t slot_sizes[SLOTS];   /* 0: free */
	char area[AREA_SIZE] __attribute__((aligned(STEP)));
} heap __attribute__((aligned(PAGE))) = { .used = 0 };

static char slots[SLOTS][SLOT_SIZE] __attribute__((aligned(PAGE)));

static void *shared_memory(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
	return p != MAP_FAILED ? p : NULL;
}

/* ---- the rehearsal's memory: an object a page, or several pages for one ---- */

static struct {
	char *start;
	struct stage_page { uint32_t number, next_free; size_t size; } *pages;
	uint32_t used, first_free;    /* a page's place and one more, 0: none */
	uint32_t old;                 /* pages that are watched: what was loaded. 0: not yet */
	bool watching;
	uint32_t opened[OPENED_MAX], opened_count; /* old pages that were written to while nobody watched */
} stage;

static void *stage_take(size_t size)
{
	const size_t count = size / PAGE + 1;
	uint32_t at = stage.used;
	if (count == 1 && stage.first_free != 0) {
		at = stage.first_free - 1;
		stage.first_free = stage.pages[at].next_free;
	} else if (count > STAGE_PAGES - stage.used) {
		return NULL;
	} else {
		stage.used += (uint32_t)count;
	}
	for (size_t i = 0; i < count; i++)
		stage.pages[at + i] = (struct stage_page){ .number = count == 1 ? heap.number : 0, .size = size };
	return stage.start + (size_t)at * PAGE;
}

static void stage_free(const char *p)
{
	const uint32_t at = (uint32_t)((size_t)(p - stage.start) / PAGE);
	if (at < stage.old || stage.pages[at].size >= PAGE)
		return;
	stage.pages[at].next_free = stage.first_free;
	stage.first_free = at + 1;
}

static bool on_stage(const void *p)
{
	return stage.start != NULL && (uintptr_t)p - (uintptr_t)stage.start < (size_t)STAGE_PAGES * PAGE;
}

/* The first time that a watched page is written to. */
static void note_writing(int signal, siginfo_t *info, void *unused)
{
	(void)signal, (void)unused;
	if (!on_stage(info->si_addr))
		_exit(1);
	const size_t at = ((uintptr_t)info->si_addr - (uintptr_t)stage.start) / PAGE;
	const uint32_t number = stage.pages[at].number;
	if (stage.watching && number < NUMBERS)
		heap.written[number] = 1;
	else if (!stage.watching && stage.opened_count < OPENED_MAX)
		stage.opened[stage.opened_count++] = (uint32_t)at;
	if (mprotect(stage.start + at * PAGE, PAGE, PROT_READ | PROT_WRITE) != 0)
		_exit(1);
}

void tls_heap_watch(bool on)
{
	if (heap.mode != ON_STAGE)
		return;
	stage.watching = on;
	if (on && stage.old == 0) {
		/* What is free among the old pages stays so: the kernel writes to new ones, and cannot be caught at it. */
		stage.old = stage.used;
		stage.first_free = 0;
		(void)mprotect(stage.start, (size_t)stage.old * PAGE, PROT_READ);
	}
	for (; on && stage.opened_count > 0; stage.opened_count--)
		(void)mprotect(stage.start + (size_t)stage.opened[stage.opened_count - 1] * PAGE, PAGE, PROT_READ);
}

static void await(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* This process, should it hang over the certificate's file or in a handshake, or should the nursery be killed meanwhile. */
static void be_bounded(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	end_in(REHEARSAL_SECONDS);
}

/* The load, and the handshakes as in a gate: in a child of the process that has loaded, which OpenSSL takes notice of. */
static void rehearse(void (*load)(void *data), void (*play)(void *data), void *data)
{
	const struct sigaction noting = { .sa_sigaction = note_writing, .sa_flags = SA_SIGINFO };
	be_bounded();
	stage.start = shared_memory((size_t)STAGE_PAGES * PAGE, MAP_PRIVATE);
	stage.pages = shared_memory(STAGE_PAGES * sizeof *stage.pages, MAP_PRIVATE);
	if (stage.start == NULL || stage.pages == NULL || sigaction(SIGSEGV, &noting, NULL) != 0)
		_exit(1);
	heap.mode = ON_STAGE;
	load(data);
	const pid_t pid = fork();
	if (pid == 0) {
		be_bounded();
		play(data);
	} else {
		await(pid);
	}
	_exit(0);
}

void tls_heap_rehearse(void (*load)(void *data), void (*play)(void *data), void *data)
{
	heap.written = INSTRUMENTED ? NULL : shared_memory(NUMBERS, MAP_SHARED);
	if (heap.written == NULL)
		return;
	const pid_t pid = fork();
	if (pid == 0)
		rehearse(load, play, data);
	await(pid);
	heap.written[0] = 0;
	heap.mode = LOADING;
}

void tls_heap_settle(void)
{
	heap.mode = INSTRUMENTED ? LIKE_MALLOC : OWN;
	if (heap.written != NULL)
		(void)munmap(heap.written, NUMBERS);
	heap.written = NULL;
}

/* ---- the area: small blocks, each of which serves one size for ever ---- */

bool tls_heap_packed(const void *p)
{
	return (uintptr_t)p - (uintptr_t)heap.area < sizeof heap.area;
}

static struct head *head_at(uint32_t place)
{
	return (struct head *)(void *)(heap.area + place);
}

static uint32_t steps_of(size_t size)
{
	return (uint32_t)((size + STEP - 1) / STEP);
}

/* Not good: a block is not what it was left as, so somebody wrote where it had no business. */
static void check(bool good)
{
	if (!good)
		panic("OpenSSL's memory is damaged, or was freed twice");
}

static void *area_take(size_t size)
{
	const uint32_t steps = steps_of(size);
	uint32_t place = size <= SMALL_MAX ? heap.free[steps] : 0;
	struct head *head;
	if (place != 0) {
		check(place <= heap.used);
		head = head_at(place - 1);
		check(head->mark == FREE);
		heap.free[steps] = head->next;
	} else if ((steps + 1) * STEP > AREA_SIZE - heap.used) {
		return NULL;
	} else {
		head = head_at(heap.used);
		heap.used += (steps + 1) * STEP;
	}
	*head = (struct head){ .size = (uint32_t)size, .mark = IN_USE };
	return head + 1;
}

static void area_free(struct head *head)
{
	check(head->mark == IN_USE);
	head->mark = FREE;
	if (head->size > SMALL_MAX)
		return; /* few, and only of what was loaded */
	uint32_t *first = &heap.free[steps_of(head->size)];
	head->next = *first;
	*first = (uint32_t)((char *)head - heap.area) + 1;
}

/* ---- slots: a large block each ---- */

static bool in_slots(const void *p)
{
	return (uintptr_t)p - (uintptr_t)slots < sizeof slots;
}

static size_t slot_of(const void *p)
{
	return ((uintptr_t)p - (uintptr_t)slots) / SLOT_SIZE;
}

static void slot_free(const char *p)
{
	uint32_t *size = &heap.slot_sizes[slot_of(p)];
	check(*size != 0);
	*size = 0;
}

static void *slot_take(size_t size)
{
	for (size_t i = 0; size <= SLOT_SIZE && i < SLOTS; i++)
		if (heap.slot_sizes[i] == 0) {
			heap.slot_sizes[i] = (uint32_t)size;
			return slots[i];
		}
	return NULL;
}

/* ---- what OpenSSL calls ---- */

static bool is_ours(const void *p)
{
	return p != NULL && (tls_heap_packed(p) || in_slots(p) || on_stage(p));
}

static size_t size_of(const void *p)
{
	if (on_stage(p))
		return stage.pages[(size_t)((const char *)p - stage.start) / PAGE].size;
	return in_slots(p) ? heap.slot_sizes[slot_of(p)] : ((const struct head *)p - 1)->size;
}

/* NULL: malloc(3) has to do. */
static void *take(size_t size)
{
	switch (heap.mode) {
	case ON_STAGE: return stage_take(size);
	case LOADING: return size < PAGE && heap.number < NUMBERS && heap.written[heap.number] ? area_take(size) : NULL;
	case OWN: return size <= SMALL_MAX ? area_take(size) : slot_take(size);
	case LIKE_MALLOC: break;
	}
	return NULL;
}

static void *tls_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	heap.number++;
	void *p = take(size);
	return p != NULL ? p : malloc(size);
}

static void tls_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	if (!is_ours(p)) {
		free(p);
		return;
	}
	if (heap.wipe)
		explicit_bzero(p, size_of(p));
	if (in_slots(p))
		slot_free(p);
	else if (on_stage(p))
		stage_free(p);
	else
		area_free((struct head *)p - 1);
}

static void *tls_realloc(void *p, size_t size, const char *file, int line)
{
	heap.number++;
	if (size == 0) {
		tls_free(p, file, line);
		return NULL;
	}
	void *moved = take(size);
	if (moved == NULL && !is_ours(p))
		return realloc(p, size);
	if (moved == NULL && (moved = malloc(size)) == NULL)
		return NULL;
	const size_t had = p == NULL ? 0 : is_ours(p) ? size_of(p) : malloc_usable_size(p);
	if (had > 0)
		memcpy(moved, p, had < size ? had : size);
	tls_free(p, file, line);
	return moved;
}

int tls_heap_begin(bool wipe)
{
	heap.wipe = wipe;
	return CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free) == 1 ? 0 : -1;
}

void tls_heap_give_back(void)
{
	for (size_t i = 0, free = 0; i <= SLOTS; i++) {
		if (i < SLOTS && heap.slot_sizes[i] == 0) {
			free++;
			continue;
		}
		if (free > 0 && !INSTRUMENTED)
			(void)madvise(slots[i - free], free * SLOT_SIZE, MADV_DONTNEED);
		free = 0;
	}
}
