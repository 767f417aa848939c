/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  How often have mappings run, and for how long?
 *
 * Counted in shared memory at the end of each run, whatever becomes of the
 * transaction: a table of a fixed size for all databases of the server.  From
 * 17 on it is made when it is first needed; before, the library has to be
 * loaded with the server, or nothing is counted.
 *
 * A backend finds a mapping's entry once and remembers it with its
 * generation, which rises when the entry is given up; so all that a run takes
 * is the entry's spinlock.  Nothing here fails in the midst of an emit.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "stats.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "compat.h"

#define ENTRIES			4096
#define MEMORY_NAME		"domev"
#define STATS_COLUMNS	7

/* When there is no place, the mapping that has rested longest makes some, if it has for so long. */
#define REST_SECONDS	3600

typedef enum EntryState
{
	ENTRY_NEW,					/* never used: no search goes on behind it */
	ENTRY_FREE,
	ENTRY_USED
} EntryState;

typedef struct Counters
{
	int64		calls;
	int64		failures;
	double		total_time;		/* in milliseconds, as the next */
	double		max_time;
	TimestampTz last_call;
	TimestampTz since;
} Counters;

/* The table's lock protects all but the counters. */
typedef struct DomevStatsEntry
{
	slock_t		lock;			/* of counters; held to change generation, too */
	EntryState	state;
	uint32		generation;
	Oid			database;
	char		mapping[DOMEV_MAX_NAME + 1];
	Counters	counters;
} Entry;

typedef struct Table
{
	LWLock		lock;
	int			tranche;
	Entry		entries[ENTRIES];
} Table;

typedef enum Memory
{
	MEMORY_UNKNOWN, MEMORY_ATTACHED, MEMORY_MISSING
} Memory;

static bool track_mappings = true;
static Memory memory = MEMORY_UNKNOWN;
static Table *table = NULL;
static shmem_request_hook_type next_request_hook = NULL;

static void request_memory(void);
static void init_table(DOMEV_MEMORY_INIT_ARGS);
static void attach(void);
static void attach_in_subtransaction(void);
static bool is_attached(void);
static bool add(const DomevStatsMark *mark, double duration, bool succeeded);
static void find_mark(const char *mapping, DomevStatsMark *mark);
static Entry *find_entry(const char *mapping, Entry **place);
static Entry *longest_resting(void);
static void give_up(Entry *entry);
static void put_entry(ReturnSetInfo *rsinfo, Entry *entry);

/* Defines domev.track_mappings, and sees to the memory where it is to be had only at the server's start. */
void
domev_stats_init(void)
{
	DefineCustomBoolVariable("domev.track_mappings",
							 "Counts and times the runs of mappings for domev.mapping_stats.",
							 NULL,
							 &track_mappings,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
	if (!DOMEV_MEMORY_ON_DEMAND && process_shared_preload_libraries_in_progress)
	{
		next_request_hook = shmem_request_hook;
		shmem_request_hook = request_memory;
	}
}

static void
request_memory(void)
{
	if (next_request_hook)
		next_request_hook();
	domev_request_memory_compat(sizeof(Table));
}

static void
init_table(DOMEV_MEMORY_INIT_ARGS)
{
	Table	   *new = memory_ptr;

	memset(new, 0, sizeof(Table));
	new->tranche = domev_new_tranche_compat(MEMORY_NAME);
	LWLockInitialize(&new->lock, new->tranche);
	for (int i = 0; i < ENTRIES; i++)
		SpinLockInit(&new->entries[i].lock);
}

/* Raises an error when there is no memory; then there is none for this session. */
static void
attach(void)
{
	memory = MEMORY_MISSING;
	table = domev_named_memory_compat(MEMORY_NAME, sizeof(Table), init_table);
	if (table != NULL)
	{
		domev_register_tranche_compat(table->tranche, MEMORY_NAME);
		memory = MEMORY_ATTACHED;
	}
}

/*
 * To count nothing is better than to fail somebody's emit, so in a
 * subtransaction; in two, for the reason that translation.c has.
 */
static void
attach_in_subtransaction(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			level = GetCurrentTransactionNestLevel();

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
		HOLD_INTERRUPTS();		/* an error ends that by itself */
		attach();
		RESUME_INTERRUPTS();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		if (GetCurrentTransactionNestLevel() > level + 1)
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* Is there a table? */
static bool
is_attached(void)
{
	if (memory == MEMORY_UNKNOWN)
		attach_in_subtransaction();
	return table != NULL;
}

/* Are runs counted? */
bool
domev_stats_counted(void)
{
	return track_mappings && is_attached();
}

/* ----------------------------------------------------------------
 *		Counting
 * ----------------------------------------------------------------
 */

/* True and the time if the run that begins is to be counted. */
bool
domev_stats_begin(instr_time *start)
{
	if (!domev_stats_counted())
		return false;
	INSTR_TIME_SET_CURRENT(*start);
	return true;
}

/* Counts the run that has ended.  The mark is the caller's to keep with the mapping. */
void
domev_stats_count(const char *mapping, DomevStatsMark *mark, instr_time start, bool succeeded)
{
	instr_time	duration;

	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	if (mark->is_full || add(mark, INSTR_TIME_GET_MILLISEC(duration), succeeded))
		return;
	find_mark(mapping, mark);
	(void) add(mark, INSTR_TIME_GET_MILLISEC(duration), succeeded);
}

/* False if the mark is not or no longer that of an entry. */
static bool
add(const DomevStatsMark *mark, double duration, bool succeeded)
{
	Entry	   *entry = mark->entry;
	Counters   *counters;
	bool		valid;

	if (entry == NULL)
		return false;
	counters = &entry->counters;
	SpinLockAcquire(&entry->lock);
	valid = entry->generation == mark->generation;
	if (valid)
	{
		counters->calls++;
		counters->failures += succeeded ? 0 : 1;
		counters->total_time += duration;
		counters->max_time = Max(counters->max_time, duration);
		counters->last_call = GetCurrentStatementStartTimestamp();
	}
	SpinLockRelease(&entry->lock);
	return valid;
}

/* Finds the mapping's entry, or makes one. */
static void
find_mark(const char *mapping, DomevStatsMark *mark)
{
	Entry	   *place;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	mark->entry = find_entry(mapping, &place);
	if (mark->entry == NULL && place == NULL)
	{
		place = longest_resting();
		if (place != NULL)
			give_up(place);
	}
	if (mark->entry == NULL && place != NULL)
	{
		mark->entry = place;
		place->state = ENTRY_USED;
		place->database = MyDatabaseId;
		strlcpy(place->mapping, mapping, sizeof(place->mapping));
		memset(&place->counters, 0, sizeof(Counters));
		place->counters.since = GetCurrentTimestamp();
		place->counters.last_call = place->counters.since;
	}
	mark->is_full = mark->entry == NULL;
	if (mark->entry != NULL)
		mark->generation = mark->entry->generation;
	LWLockRelease(&table->lock);
}

/* NULL, and where it could be (NULL: nowhere), if there is none. */
static Entry *
find_entry(const char *mapping, Entry **place)
{
	uint32		hash = hash_combine(hash_bytes((const unsigned char *) mapping, strlen(mapping)),
									MyDatabaseId);

	*place = NULL;
	for (uint32 i = 0; i < ENTRIES; i++)
	{
		Entry	   *entry = &table->entries[(hash + i) % ENTRIES];

		if (entry->state == ENTRY_USED)
		{
			if (entry->database == MyDatabaseId && strcmp(entry->mapping, mapping) == 0)
				return entry;
			continue;
		}
		if (*place == NULL)
			*place = entry;
		if (entry->state == ENTRY_NEW)
			break;
	}
	return NULL;
}

/* Of any database; NULL if none has rested for long enough.  All are in use. */
static Entry *
longest_resting(void)
{
	Entry	   *longest = NULL;
	TimestampTz oldest = GetCurrentTimestamp() - REST_SECONDS * USECS_PER_SEC;

	for (int i = 0; i < ENTRIES; i++)
	{
		Entry	   *entry = &table->entries[i];
		TimestampTz last_call;

		SpinLockAcquire(&entry->lock);
		last_call = entry->counters.last_call;
		SpinLockRelease(&entry->lock);
		if (last_call < oldest)
		{
			oldest = last_call;
			longest = entry;
		}
	}
	return longest;
}

static void
give_up(Entry *entry)
{
	SpinLockAcquire(&entry->lock);
	entry->generation++;
	SpinLockRelease(&entry->lock);
	entry->state = ENTRY_FREE;
}

/* ----------------------------------------------------------------
 *		Showing
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_read_mapping_stats);

/* What has been counted in this database. */
Datum
domev_read_mapping_stats(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	if (!is_attached())
		return (Datum) 0;
	for (int i = 0; i < ENTRIES; i++)
		put_entry((ReturnSetInfo *) fcinfo->resultinfo, &table->entries[i]);
	return (Datum) 0;
}

static void
put_entry(ReturnSetInfo *rsinfo, Entry *entry)
{
	char		mapping[DOMEV_MAX_NAME + 1];
	Counters	counters;
	bool		shown;
	Datum		values[STATS_COLUMNS];
	bool		nulls[STATS_COLUMNS] = {false};

	LWLockAcquire(&table->lock, LW_SHARED);
	shown = entry->state == ENTRY_USED && entry->database == MyDatabaseId;
	if (shown)
	{
		strlcpy(mapping, entry->mapping, sizeof(mapping));
		SpinLockAcquire(&entry->lock);
		counters = entry->counters;
		SpinLockRelease(&entry->lock);
	}
	LWLockRelease(&table->lock);
	if (!shown || counters.calls == 0)
		return;
	values[0] = CStringGetTextDatum(mapping);
	values[1] = Int64GetDatum(counters.calls);
	values[2] = Int64GetDatum(counters.failures);
	values[3] = Float8GetDatum(counters.total_time);
	values[4] = Float8GetDatum(counters.max_time);
	values[5] = TimestampTzGetDatum(counters.last_call);
	values[6] = TimestampTzGetDatum(counters.since);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(domev_reset_mapping_stats);

/* Forgets what has been counted in this database. */
Datum
domev_reset_mapping_stats(PG_FUNCTION_ARGS)
{
	if (!is_attached())
		PG_RETURN_VOID();
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ENTRIES; i++)
	{
		Entry	   *entry = &table->entries[i];

		if (entry->state == ENTRY_USED && entry->database == MyDatabaseId)
			give_up(entry);
	}
	LWLockRelease(&table->lock);
	PG_RETURN_VOID();
}
