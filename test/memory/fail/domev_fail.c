/*-------------------------------------------------------------------------
 *
 * domev_fail.c
 *	  What if there is no memory?
 *
 * A library for tests, in shared_preload_libraries.  Settings of a session let
 * its allocations fail: the so-manieth one, or each with a chance.  Two layers
 * can fail.  That of palloc fails more often than any real server would, as
 * most of what is palloc'd needs nothing of the system: so every place where
 * an error can come up is reached.  That of malloc is the real thing; for it
 * the library must be in LD_PRELOAD as well, of the server alone.
 *
 * What fails is below a function of domev, found by walking up the frames,
 * for which domev and PostgreSQL must be built with frame pointers.  Nothing
 * fails in a critical section, where PostgreSQL has to stop the server, nor
 * in the memory that is kept for the error itself, nor in the functions of
 * PostgreSQL in the list below, which do not stand it.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/memnodes.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

typedef enum Layer
{
	LAYER_PALLOC,
	LAYER_MALLOC
} Layer;

static const struct config_enum_entry layers[] = {
	{"palloc", LAYER_PALLOC, false},
	{"malloc", LAYER_MALLOC, false},
	{NULL, 0, false}
};

static int	layer = LAYER_PALLOC;
static int	nth = 0;			/* 0: none */
static int	one_in = 0;			/* 0: none */
static int	seed = 1;
static bool anywhere = false;	/* not only below domev */
static char *failed_text = NULL;	/* of the setting that only shows a count */

static bool ready = false;
static bool deciding = false;
static int	countdown = 0;		/* to the one that fails */
static int64 failed = 0;		/* in this process */
static uint64 chance_state = 1;

typedef struct Code
{
	uintptr_t	start;
	uintptr_t	end;
} Code;

/* The pages of domev.so, when it is there, and the end of the stack. */
static Code domev = {0, 0};
static Code utility = {0, 0};	/* PostgreSQL's standard_ProcessUtility */
static uintptr_t stack_end = 0;

/*
 * PostgreSQL's own functions that leave something behind that crashes later.
 * failures.py --control shows it without domev.
 *
 * LockAcquireExtended: a local lock without room for its owners stays in the
 * table until the end of the transaction, and is used when a subtransaction
 * was rolled back and the same lock is taken again.
 *
 * pgstat_get_entry_ref: an entry without its reference stays in the session's
 * table of statistics, and is met when the session ends.
 *
 * BeginInternalSubTransaction: whoever catches the error in a subtransaction
 * of his own ends the half-made one, for which PostgreSQL ends the session.
 *
 * CopyErrorData, unless domev calls it: PL/pgSQL copies an error before it
 * ends the subtransaction of the block, which stays open then.
 */
typedef struct Spared
{
	const char *name;
	bool		if_domev_calls; /* it, too */
	Code		code;
} Spared;

static Spared spared[] = {
	{"LockAcquireExtended", true},
	{"pgstat_get_entry_ref", true},
	{"BeginInternalSubTransaction", true},
	{"CopyErrorData", false},
};
static char *not_spared = NULL; /* the name of one all the same */

/* PostgreSQL's own, of the three kinds of memory context. */
#define KINDS 3
static const MemoryContextMethods *methods[KINDS];
static MemoryContextMethods original[KINDS];

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static void replace_methods(int kind, MemoryContext example);
static void *failing_alloc(MemoryContext context, Size size);
static void *failing_realloc(MemoryContext context, void *pointer, Size size);
static const MemoryContextMethods *original_of(MemoryContext context);
static bool must_fail(Layer where);
static void find_spared(void);
static Code find_function(const char *name);
static bool is_to_fail(void);
static bool is_in(uintptr_t address, const Code *code);
static int	find_domev(struct dl_phdr_info *info, size_t size, void *arg);
static void start_count(int value, void *extra);
static void start_chance(int value, void *extra);
static const char *show_failed(void);

void
_PG_init(void)
{
	pthread_attr_t attributes;
	void	   *stack;
	size_t		size;

	DefineCustomEnumVariable("domev_fail.layer", "What fails.", NULL, &layer, LAYER_PALLOC, layers,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("domev_fail.nth", "The so-manieth allocation from now on fails.", NULL,
							&nth, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, start_count, NULL);
	DefineCustomIntVariable("domev_fail.one_in", "Each allocation fails with a chance of one in so many.", NULL,
							&one_in, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("domev_fail.seed", "Decides on which.", NULL,
							&seed, 1, 1, INT_MAX, PGC_USERSET, 0, NULL, start_chance, NULL);
	DefineCustomBoolVariable("domev_fail.anywhere", "Also what domev has not called.", NULL,
							 &anywhere, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("domev_fail.not_spared", "A function that is known not to stand it, but may fail.", NULL,
							   &not_spared, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("domev_fail.failed", "Shows how many have failed.", NULL,
							   &failed_text, "", PGC_INTERNAL, 0, NULL, NULL, show_failed);

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &size);
	pthread_attr_destroy(&attributes);
	stack_end = (uintptr_t) stack + size;

	find_spared();
	replace_methods(0, TopMemoryContext);
	replace_methods(1, GenerationContextCreate(TopMemoryContext, "domev_fail", ALLOCSET_SMALL_SIZES));
	replace_methods(2, SlabContextCreate(TopMemoryContext, "domev_fail", SLAB_DEFAULT_BLOCK_SIZE, 64));
	ready = true;
}

/* ----------------------------------------------------------------
 *		The two layers
 * ----------------------------------------------------------------
 */

/* In place, as every context of the kind has a pointer to them: they are constants, but memory. */
static void
replace_methods(int kind, MemoryContext example)
{
	MemoryContextMethods *place = unconstify(MemoryContextMethods *, example->methods);
	uintptr_t	page = (uintptr_t) place & ~((uintptr_t) sysconf(_SC_PAGESIZE) - 1);

	methods[kind] = place;
	original[kind] = *place;
	if (mprotect((void *) page, (uintptr_t) (place + 1) - page, PROT_READ | PROT_WRITE) != 0)
		elog(FATAL, "could not make the methods of memory contexts writable: %m");
	place->alloc = failing_alloc;
	place->realloc = failing_realloc;
}

/* With the error that PostgreSQL raises, but without its account of all memory in the log. */
static void *
failing_alloc(MemoryContext context, Size size)
{
	if (context != ErrorContext && must_fail(LAYER_PALLOC))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed on request of size %zu in memory context \"%s\", by domev_fail.", size, context->name)));
	return original_of(context)->alloc(context, size);
}

static void *
failing_realloc(MemoryContext context, void *pointer, Size size)
{
	if (context != ErrorContext && must_fail(LAYER_PALLOC))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed on request of size %zu in memory context \"%s\", by domev_fail.", size, context->name)));
	return original_of(context)->realloc(context, pointer, size);
}

static const MemoryContextMethods *
original_of(MemoryContext context)
{
	for (int kind = 0; kind < KINDS; kind++)
	{
		if (context->methods == methods[kind])
			return &original[kind];
	}
	abort();
}

/* These three take the place of the C library's where this is in LD_PRELOAD. */

void *
malloc(size_t size)
{
	if (ready && must_fail(LAYER_MALLOC))
	{
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	if (ready && must_fail(LAYER_MALLOC))
	{
		errno = ENOMEM;
		return NULL;
	}
	return __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	if (ready && must_fail(LAYER_MALLOC))
	{
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(old, size);
}

/* ----------------------------------------------------------------
 *		Which one?
 * ----------------------------------------------------------------
 */

static bool
must_fail(Layer where)
{
	bool		result = false;

	if (deciding || where != (Layer) layer || (countdown == 0 && one_in == 0) ||
		CritSectionCount > 0 || proc_exit_inprogress || PG_exception_stack == NULL)
		return false;
	deciding = true;
	if (is_to_fail())
	{
		if (countdown > 0 && --countdown == 0)
			result = true;
		chance_state = chance_state * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
		if (one_in > 0 && (chance_state >> 33) % one_in == 0)
			result = true;
	}
	deciding = false;
	if (result)
		failed++;
	return result;
}

/*
 * Is there a function of domev among the callers, and none in between that is
 * to be spared?  Its hook for utility statements, which is above all of them,
 * does not count.
 */
static bool
is_to_fail(void)
{
	uintptr_t  *frame = __builtin_frame_address(0);
	bool		hooked = false;

	if (domev.end == 0)
		dl_iterate_phdr(find_domev, NULL);
	for (;;)
	{
		uintptr_t  *caller = (uintptr_t *) frame[0];

		if (caller <= frame || (uintptr_t) (caller + 2) > stack_end || (uintptr_t) caller % sizeof(void *) != 0)
			break;
		for (int i = 0; i < lengthof(spared); i++)
		{
			if (is_in(frame[1], &spared[i].code) && strcmp(spared[i].name, not_spared) != 0 &&
				(spared[i].if_domev_calls || !is_in(caller[1], &domev)))
				return false;
		}
		if (!anywhere && !hooked && is_in(frame[1], &domev))
			return true;
		hooked = is_in(frame[1], &utility);
		frame = caller;
	}
	return anywhere;
}

static bool
is_in(uintptr_t address, const Code *code)
{
	return address >= code->start && address < code->end;
}

static void
find_spared(void)
{
	for (int i = 0; i < lengthof(spared); i++)
		spared[i].code = find_function(spared[i].name);
	utility = find_function("standard_ProcessUtility");
}

/* One of PostgreSQL's. */
static Code
find_function(const char *name)
{
	void	   *function = dlsym(RTLD_DEFAULT, name);
	Dl_info		info;
	ElfW(Sym) * symbol;

	if (function == NULL || dladdr1(function, &info, (void **) &symbol, RTLD_DL_SYMENT) == 0)
		elog(FATAL, "there is no function %s", name);
	return (Code) {(uintptr_t) function, (uintptr_t) function + symbol->st_size};
}

static int
find_domev(struct dl_phdr_info *info, size_t size, void *arg)
{
	static const char name[] = "/domev.so";
	size_t		length = strlen(info->dlpi_name);

	if (length < strlen(name) || strcmp(info->dlpi_name + length - strlen(name), name) != 0)
		return 0;
	domev.start = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++)
	{
		const ElfW(Phdr) * header = &info->dlpi_phdr[i];

		if (header->p_type == PT_LOAD)
			domev.end = Max(domev.end, info->dlpi_addr + header->p_vaddr + header->p_memsz);
	}
	return 1;
}

/* ----------------------------------------------------------------
 *		Settings
 * ----------------------------------------------------------------
 */

static void
start_count(int value, void *extra)
{
	countdown = value;
}

static void
start_chance(int value, void *extra)
{
	chance_state = value;
}

static const char *
show_failed(void)
{
	static char text[32];

	snprintf(text, sizeof(text), INT64_FORMAT, failed);
	return text;
}
