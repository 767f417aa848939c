/*-------------------------------------------------------------------------
 *
 * doctor.c
 *	  What is wrong with this database, as far as events go?
 *
 * Views of the extension have a row for each thing that is wrong, and are
 * read as whoever asks, who sees in them what he may; here is said which
 * checks there are, and what is fine when nothing is wrong.  What a view
 * cannot tell is looked at here: functions of mappings, the library.
 *
 * Checks come in groups, each in a subtransaction: what fails makes its
 * checks unknown, and nothing else.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mapping.h"
#include "miscadmin.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "compat.h"

/* The attributes of domev.finding. */
#define FINDING_COLUMNS		4

typedef struct Finding
{
	char	   *check_name;
	char	   *status;
	char	   *what;
	char	   *hint;			/* NULL: none */
} Finding;

/* All is palloc'd in this context, which is not a subtransaction's. */
typedef struct Examination
{
	MemoryContext context;
	List	   *findings;		/* of Finding * */
	Datum		max_lag;
	bool		any_lag;
} Examination;

typedef enum CheckGroup
{
	SERVER, PUBLISHERS, LAG, REGISTRY, CAPTURES, MAPPINGS, OUTBOX, RETENTION, DEFERRED, LIBRARY, GROUP_COUNT
} CheckGroup;

typedef struct Check
{
	const char *name;
	CheckGroup	group;
	const char *fine;
} Check;

static const Check checks[] = {
	{"version", LIBRARY, "extension and library are of the same version"},
	{"mapping_stats", LIBRARY, "runs of mappings are counted"},
	{"wal_level", SERVER, "the WAL has what logical decoding needs"},
	{"output_plugin_libraries", SERVER, "slots may have the plugin domev"},
	{"free_slots", SERVER, "another slot can be made"},
	{"free_walsenders", SERVER, "another publisher can connect"},
	{"slot_limit", SERVER, "what slots keep is limited, or there are none"},
	{"idle_timeout", SERVER, "no slot is given up because its publisher is away for a day"},
	{"replication_roles", SERVER, "roles with REPLICATION are bound to plugins, or the server knows no such setting"},
	{"temp_file_limit", SERVER, "publishers may have temporary files of any size"},
	{"emit_message", SERVER, "PUBLIC may not write WAL messages"},
	{"autovacuum", SERVER, "autovacuum is on"},
	{"slot_missing", PUBLISHERS, "there are slots, or no topics"},
	{"wal_topics", PUBLISHERS, "topics with WAL storage have a slot, or there are none"},
	{"slot_lost", PUBLISHERS, "no slot is lost"},
	{"slot_inactive", PUBLISHERS, "all slots are being read"},
	{"slot_lagging", LAG, "no publisher is far behind"},
	{"slot_failover", PUBLISHERS, "slots follow a failover, or there is no standby with a slot, or the server has no failover slots"},
	{"dead_end", REGISTRY, "all event types lead somewhere"},
	{"view_missing", REGISTRY, "all event types and topics have their views"},
	{"mapping_disabled", REGISTRY, "all mappings are enabled"},
	{"mapping_function", MAPPINGS, "functions of mappings are as they were registered"},
	{"failed_mappings", REGISTRY, "nothing waits to be mapped again"},
	{"source", REGISTRY, "the source of events is this database's"},
	{"capture_disabled", CAPTURES, "all captures are enabled"},
	{"capture_bypassed", CAPTURES, "session_replication_role lets captures fire"},
	{"capture_table", CAPTURES, "tables with captures are logged, and here"},
	{"capture_broken", CAPTURES, "captures are as they were made"},
	{"partitions", OUTBOX, "there is a partition for what is emitted now, or no retention"},
	{"partitions", RETENTION, NULL},
	{"outbox_partition", OUTBOX, "what is in the outbox is in the WAL"},
	{"deferred", DEFERRED, "no deferred mapping was left behind"},
};

#define PROBLEMS(view) \
	"SELECT check_name, status, what, hint FROM " view " ORDER BY what COLLATE pg_catalog.\"C\""

/* What a group reads; NULL: it has a function. */
static const char *const queries[GROUP_COUNT] = {
	[SERVER] = PROBLEMS("domev.server_problems"),
	[PUBLISHERS] = PROBLEMS("domev.publisher_problems"),
	[LAG] = "SELECT 'slot_lagging', 'warning', "
	"pg_catalog.format('the publisher of slot \"%s\" is %s behind', slot_name, pg_catalog.pg_size_pretty(lag_bytes)), "
	"'It is down, slow or stuck: see active, confirmed_age and retained_bytes in domev.publishers.' "
	"FROM domev.publishers WHERE lag_bytes OPERATOR(pg_catalog.>) $1 AND invalidation_reason IS NULL",
	[REGISTRY] = PROBLEMS("domev.registry_problems"),
	[CAPTURES] = PROBLEMS("domev.capture_problems"),
	[OUTBOX] = PROBLEMS("domev.outbox_problems"),
	[RETENTION] = "SELECT 'partitions', 'warning', "
	"pg_catalog.format('there is no partition of domev.outbox for the events of %s', s.soon), "
	"'Run domev.maintain() regularly, by cron, more often than there are new partitions.' "
	"FROM (SELECT pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) r.period FROM domev.retention AS r) AS s (soon) "
	"WHERE s.soon IS NOT NULL AND NOT EXISTS (SELECT FROM domev.outbox_partitions AS p "
	"WHERE s.soon OPERATOR(pg_catalog.>=) p.since AND s.soon OPERATOR(pg_catalog.<) p.until)",
	[DEFERRED] = PROBLEMS("domev.deferred_problems"),
};

static void examine(Examination *examination, CheckGroup group);
static void examine_group(Examination *examination, CheckGroup group);
static void read_findings(Examination *examination, const char *query);
static void examine_mappings(Examination *examination);
static void examine_mapping(Examination *examination, DomevMapping *mapping);
static void examine_library(Examination *examination);
static ErrorData *attempt(Examination *examination, void (*function) (Examination *, void *), void *arg);
static void add_finding(Examination *examination, const char *check_name, const char *status,
						const char *what, const char *hint);
static void put_findings(ReturnSetInfo *rsinfo, Examination *examination, const Check *check);
static void put(ReturnSetInfo *rsinfo, const Finding *finding);

PG_FUNCTION_INFO_V1(domev_doctor);

Datum
domev_doctor(PG_FUNCTION_ARGS)
{
	Examination examination = {0};

	InitMaterializedSRF(fcinfo, 0);
	examination.context = CurrentMemoryContext;
	examination.any_lag = PG_ARGISNULL(0);
	examination.max_lag = PG_GETARG_DATUM(0);
	for (CheckGroup group = 0; group < GROUP_COUNT; group++)
		examine(&examination, group);
	for (int i = 0; i < lengthof(checks); i++)
	{
		if (checks[i].fine != NULL)
			put_findings((ReturnSetInfo *) fcinfo->resultinfo, &examination, &checks[i]);
	}
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 *		Groups
 * ----------------------------------------------------------------
 */

static void
examine_in_attempt(Examination *examination, void *group)
{
	examine_group(examination, *(CheckGroup *) group);
}

static void
examine(Examination *examination, CheckGroup group)
{
	int			before = list_length(examination->findings);
	ErrorData  *error = attempt(examination, examine_in_attempt, &group);

	if (error == NULL)
		return;
	examination->findings = list_truncate(examination->findings, before);
	for (int i = 0; i < lengthof(checks); i++)
	{
		if (checks[i].group == group)
			add_finding(examination, checks[i].name, "unknown",
						psprintf("could not be looked at: %s", error->message), error->hint);
	}
}

static void
examine_group(Examination *examination, CheckGroup group)
{
	DomevCaller caller;

	switch (group)
	{
		case MAPPINGS:
			examine_mappings(examination);
			return;
		case LIBRARY:
			examine_library(examination);
			return;
		case LAG:
			if (!examination->any_lag)
				read_findings(examination, queries[group]);
			return;
		case DEFERRED:
			if (!RecoveryInProgress())	/* no unlogged table can be read then */
				read_findings(examination, queries[group]);
			return;
		case RETENTION:
			domev_statement_enter(&caller);
			read_findings(examination, queries[group]);
			domev_statement_leave(&caller);
			return;
		default:
			read_findings(examination, queries[group]);
	}
}

static void
read_findings(Examination *examination, const char *query)
{
	DomevParams params = {0};

	if (strstr(query, "$1") != NULL)
		domev_params_add(&params, INT8OID, examination->max_lag, false);
	SPI_connect();
	if (SPI_execute_with_args(query, params.count, params.types, params.values, params.nulls,
							  true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;

		add_finding(examination, SPI_getvalue(tuple, tupdesc, 1), SPI_getvalue(tuple, tupdesc, 2),
					SPI_getvalue(tuple, tupdesc, 3), SPI_getvalue(tuple, tupdesc, 4));
	}
	SPI_finish();
}

/* Is each mapping that is enabled one that an emit would run? */
static void
examine_mappings(Examination *examination)
{
	SPI_connect();
	if (SPI_execute("SELECT mapping, event_type, function, owner::pg_catalog.oid, topic FROM domev.mappings WHERE enabled ORDER BY mapping",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		DomevMapping mapping = {0};

		CHECK_FOR_INTERRUPTS();
		mapping.name = SPI_getvalue(tuple, tupdesc, 1);
		mapping.event_type = SPI_getvalue(tuple, tupdesc, 2);
		mapping.function = SPI_getvalue(tuple, tupdesc, 3);
		mapping.owner = atooid(SPI_getvalue(tuple, tupdesc, 4));
		mapping.topic = SPI_getvalue(tuple, tupdesc, 5);
		examine_mapping(examination, &mapping);
	}
	SPI_finish();
}

static void
examine_function(Examination *examination, void *mapping)
{
	domev_mapping_examine(mapping);
}

static void
examine_mapping(Examination *examination, DomevMapping *mapping)
{
	ErrorData  *error = attempt(examination, examine_function, mapping);

	if (error == NULL)
		return;
	add_finding(examination, "mapping_function", "error",
				error->detail == NULL ?
				psprintf("mapping \"%s\": %s", mapping->name, error->message) :
				psprintf("mapping \"%s\": %s (%s)", mapping->name, error->message, error->detail),
				error->hint);
}

static void
examine_library(Examination *examination)
{
	char	   *version = "";

	SPI_connect();
	if (SPI_execute("SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'domev'",
					true, 1) == SPI_OK_SELECT && SPI_processed == 1)
		version = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (strcmp(version, DOMEV_VERSION) != 0)
		add_finding(examination, "version", "warning",
					psprintf("the extension is of version %s, the library of version %s", version, DOMEV_VERSION),
					"ALTER EXTENSION domev UPDATE; sessions that began before the files were replaced have the old library.");
	SPI_finish();
	if (!domev_stats_counted())
		add_finding(examination, "mapping_stats", "ok", "runs of mappings are not counted",
					DOMEV_MEMORY_ON_DEMAND ?
					"See domev.track_mappings; there may be no shared memory." :
					"See domev.track_mappings. Before PostgreSQL 17 domev must be in shared_preload_libraries.");
}

/* ----------------------------------------------------------------
 *		Trying, and what came of it
 * ----------------------------------------------------------------
 */

/* NULL, or the error, palloc'd.  Whoever cancels, or ends the session, is obeyed. */
static ErrorData *
attempt(Examination *examination, void (*function) (Examination *, void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		function(examination, arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	return error;
}

static void
add_finding(Examination *examination, const char *check_name, const char *status,
			const char *what, const char *hint)
{
	MemoryContext old = MemoryContextSwitchTo(examination->context);
	Finding    *finding = palloc(sizeof(Finding));

	finding->check_name = pstrdup(check_name);
	finding->status = pstrdup(status);
	finding->what = pstrdup(what);
	finding->hint = hint ? pstrdup(hint) : NULL;
	examination->findings = lappend(examination->findings, finding);
	MemoryContextSwitchTo(old);
}

/* Those of the check; if there is none, it is fine. */
static void
put_findings(ReturnSetInfo *rsinfo, Examination *examination, const Check *check)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, examination->findings)
	{
		Finding    *finding = lfirst(lc);

		if (strcmp(finding->check_name, check->name) != 0)
			continue;
		put(rsinfo, finding);
		any = true;
	}
	if (!any)
	{
		Finding		fine = {(char *) check->name, "ok", (char *) check->fine, NULL};

		put(rsinfo, &fine);
	}
}

static void
put(ReturnSetInfo *rsinfo, const Finding *finding)
{
	Datum		values[FINDING_COLUMNS];
	bool		nulls[FINDING_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(finding->check_name);
	values[1] = CStringGetTextDatum(finding->status);
	values[2] = CStringGetTextDatum(finding->what);
	values[3] = finding->hint ? CStringGetTextDatum(finding->hint) : (Datum) 0;
	nulls[3] = finding->hint == NULL;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
