/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  How long is what domev keeps kept?
 *
 * As domev.retention says, which set_retention writes; maintain sees to it.
 * Both act as the owner of domev's tables.
 *
 * maintain is one transaction, as a function is.  So what may take long and
 * disturbs nobody, deleting rows, comes first; then what makes writers wait,
 * for at most one lock_timeout and a moment each: the partitions that are
 * dropped, and those of the future (rotation.c).  Each part is a subtransaction: if
 * it cannot have a lock it is left for the next time.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "argument.h"
#include "catalog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "retention.h"
#include "rotation.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"

/* The arguments of set_retention. */
enum
{
	PERIOD, KEEP, MAX_KEEP, AHEAD, IDEMPOTENCY_KEEP, FAILED_KEEP, INBOX_KEEP, RESET
};
static const char *const attributes[] = {
	"period", "keep", "max_keep", "ahead", "idempotency_keep", "failed_keep", "inbox_keep", NULL
};

#define MAX_AHEAD			1000
#define MAX_LOCK_TIMEOUT	60000	/* milliseconds */

/* What is forgotten at an age. */
typedef struct Forgotten
{
	const char *object;
	size_t		from;			/* the member of DomevMaintenance that says
								 * what is kept */
	const char *sql;			/* $1: that time; $2: the most rows */
} Forgotten;

/* By the place of the row: without an index for it, all is read once. */
#define OLDEST_OF(table, condition) \
	"DELETE FROM " table " WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT o.ctid FROM " table " AS o" \
	" WHERE " condition " LIMIT $2))"

/*
 * What remap has published it does not publish again as long as the event is
 * in the journal, which it was then: nothing later needs to be looked at.
 */
static const Forgotten forgotten[] = {
	{"domev.idempotency", offsetof(DomevMaintenance, idempotency_from),
	OLDEST_OF("domev.idempotency", "o.claimed_at OPERATOR(pg_catalog.<) $1")},
	{"domev.failed_mapping", offsetof(DomevMaintenance, failed_from),
	OLDEST_OF("domev.failed_mapping", "o.failed_at OPERATOR(pg_catalog.<) $1")},
	{"domev.remapped", offsetof(DomevMaintenance, keep_from),
		OLDEST_OF("domev.remapped", "o.remapped_at OPERATOR(pg_catalog.<) $1 AND NOT EXISTS (SELECT FROM domev.outbox AS e"
				  " WHERE e.event_id OPERATOR(pg_catalog.=) o.event_id AND e.recorded_at OPERATOR(pg_catalog.<) $1)")},
	{"domev.inbox", offsetof(DomevMaintenance, inbox_from),
	OLDEST_OF("domev.inbox", "o.received_at OPERATOR(pg_catalog.<) $1 ORDER BY o.received_at")},
};

static void check_attribute(FunctionCallInfo fcinfo, int arg);
static bool is_age(const Interval *age);
static void check_together(void);
static void raise_invalid(const char *what, const char *detail);
static void start(FunctionCallInfo fcinfo, DomevMaintenance *maintenance);
static int	get_lock_timeout(FunctionCallInfo fcinfo);
static void set_for_now(const char *name, const char *value);
static bool lock_out_others(DomevMaintenance *maintenance);
static void read_retention(DomevMaintenance *maintenance, void *arg);
static TimestampTz get_time(HeapTuple tuple, TupleDesc tupdesc, int column);
static void forget(DomevMaintenance *maintenance, void *arg);

/* ----------------------------------------------------------------
 *		Doors
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_set_retention);
PG_FUNCTION_INFO_V1(domev_maintain);

Datum
domev_set_retention(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {
		INTERVALOID, INTERVALOID, INTERVALOID, INT4OID, INTERVALOID, INTERVALOID, INTERVALOID
	};
	DomevParams none = {0};
	DomevParams params = {0};

	domev_argument_check_reset(fcinfo, RESET, attributes);
	for (int i = PERIOD; i < RESET; i++)
	{
		check_attribute(fcinfo, i);
		domev_params_add(&params, types[i], PG_GETARG_DATUM(i), PG_ARGISNULL(i));
	}
	domev_statement_execute("INSERT INTO domev.retention DEFAULT VALUES ON CONFLICT DO NOTHING", &none);
	domev_statement_execute("UPDATE domev.retention SET period = coalesce($1, period), keep = coalesce($2, keep),"
							" max_keep = coalesce($3, max_keep), ahead = coalesce($4, ahead),"
							" idempotency_keep = coalesce($5, idempotency_keep), failed_keep = coalesce($6, failed_keep),"
							" inbox_keep = coalesce($7, inbox_keep)", &params);
	for (int i = PERIOD; i < RESET; i++)
	{
		if (domev_argument_in_reset(fcinfo, RESET, attributes[i]))
			domev_statement_execute(psprintf("UPDATE domev.retention SET %s = DEFAULT", attributes[i]), &none);
	}
	check_together();
	PG_RETURN_VOID();
}

Datum
domev_maintain(PG_FUNCTION_ARGS)
{
	DomevMaintenance maintenance = {0};
	DomevCaller caller;
	int			level = NewGUCNestLevel();

	start(fcinfo, &maintenance);
	domev_statement_enter(&caller);
	if (lock_out_others(&maintenance) &&
		domev_retention_try(&maintenance, "domev.retention", read_retention, NULL))
	{
		for (int i = 0; i < lengthof(forgotten); i++)
			domev_retention_try(&maintenance, forgotten[i].object, forget, (void *) &forgotten[i]);
		domev_rotation_prune_default(&maintenance);
		domev_rotation_drop(&maintenance);
		domev_rotation_make(&maintenance);
		domev_rotation_truncate_default(&maintenance);
	}
	domev_statement_leave(&caller);
	AtEOXact_GUC(true, level);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 *		Settings
 * ----------------------------------------------------------------
 */

static void
check_attribute(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg))
		return;
	if (arg == PERIOD && !domev_rotation_is_period(PG_GETARG_INTERVAL_P(arg)))
		raise_invalid(attributes[arg], "It must be whole hours, days or weeks, or whole months, from one hour to one year.");
	if (arg == AHEAD && (PG_GETARG_INT32(arg) < 1 || PG_GETARG_INT32(arg) > MAX_AHEAD))
		raise_invalid(attributes[arg], psprintf("It must be between 1 and %d.", MAX_AHEAD));
	if (arg != PERIOD && arg != AHEAD && !is_age(PG_GETARG_INTERVAL_P(arg)))
		raise_invalid(attributes[arg], "It must be longer than nothing, and not longer than 1000 years.");
}

static bool
is_age(const Interval *age)
{
	Interval	none = {0};
	Interval	most = {.month = 12000};

	return DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(age), IntervalPGetDatum(&none))) &&
		DatumGetBool(DirectFunctionCall2(interval_le, IntervalPGetDatum(age), IntervalPGetDatum(&most)));
}

/* What is kept for ever is not kept less long than that. */
static void
check_together(void)
{
	DomevParams none = {0};

	if (domev_statement_execute("SELECT FROM domev.retention WHERE max_keep IS NOT NULL"
								" AND (keep IS NULL OR max_keep OPERATOR(pg_catalog.<) keep)", &none) > 0)
		raise_invalid("max_keep", "It must not be less than keep, which is for ever when it is not set.");
}

static void
raise_invalid(const char *what, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s", what),
			 errdetail_internal("%s", detail)));
}

/* ----------------------------------------------------------------
 *		Maintaining
 * ----------------------------------------------------------------
 */

/* The settings hold until the end of the function: CREATE TABLE must not go by the caller's. */
static void
start(FunctionCallInfo fcinfo, DomevMaintenance *maintenance)
{
	int			lock_timeout = get_lock_timeout(fcinfo);

	maintenance->max_rows = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", "max_rows")));
	if (maintenance->max_rows < 0)
		raise_invalid("max_rows", "It must not be negative.");
	PreventCommandDuringRecovery("domev.maintain()");
	PreventCommandIfReadOnly("domev.maintain()");
	InitMaterializedSRF(fcinfo, 0);
	maintenance->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	set_for_now("lock_timeout", psprintf("%d", lock_timeout));
	set_for_now("search_path", "pg_catalog, pg_temp");
	set_for_now("default_table_access_method", "heap");
	set_for_now("default_tablespace", "");
}

static int
get_lock_timeout(FunctionCallInfo fcinfo)
{
	const Interval *given = PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0);

	if (given == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", "lock_timeout")));
	if (given->month != 0 || given->day != 0 || given->time < 1000 ||
		given->time > MAX_LOCK_TIMEOUT * INT64CONST(1000))
		raise_invalid("lock_timeout", "It must be between 1 millisecond and 1 minute.");
	return (int) (given->time / 1000);
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Nobody but the owner may lock this table, so nobody else can keep maintain from running. */
static bool
lock_out_others(DomevMaintenance *maintenance)
{
	if (ConditionalLockRelationOid(domev_catalog_table("retention"), ShareUpdateExclusiveLock))
		return true;
	domev_retention_report(maintenance, "postponed", "domev.maintain", "another session is running it");
	return false;
}

static void
read_retention(DomevMaintenance *maintenance, void *arg)
{
	DomevParams none = {0};
	HeapTuple	tuple;
	TupleDesc	tupdesc;
	bool		isnull;

	domev_statement_execute("INSERT INTO domev.retention DEFAULT VALUES ON CONFLICT DO NOTHING", &none);
	SPI_connect();
	domev_retention_select("SELECT period, ahead, n.now OPERATOR(pg_catalog.-) keep, n.now OPERATOR(pg_catalog.-) max_keep,"
						   " n.now OPERATOR(pg_catalog.-) idempotency_keep, n.now OPERATOR(pg_catalog.-) failed_keep,"
						   " n.now OPERATOR(pg_catalog.-) inbox_keep"
						   " FROM domev.retention, (SELECT pg_catalog.clock_timestamp()) AS n (now)", &none);
	if (SPI_processed != 1)
		elog(ERROR, "could not read the tables of domev");
	tuple = SPI_tuptable->vals[0];
	tupdesc = SPI_tuptable->tupdesc;
	maintenance->period = *DatumGetIntervalP(SPI_getbinval(tuple, tupdesc, 1, &isnull));
	maintenance->ahead = Min(DatumGetInt32(SPI_getbinval(tuple, tupdesc, 2, &isnull)), MAX_AHEAD);
	maintenance->keep_from = get_time(tuple, tupdesc, 3);
	maintenance->max_keep_from = get_time(tuple, tupdesc, 4);
	maintenance->idempotency_from = get_time(tuple, tupdesc, 5);
	maintenance->failed_from = get_time(tuple, tupdesc, 6);
	maintenance->inbox_from = get_time(tuple, tupdesc, 7);
	SPI_finish();

	/* A member of pg_write_all_data may have written it. */
	if (!domev_rotation_is_period(&maintenance->period))
		raise_invalid("period", "domev.retention was not written by domev.set_retention.");
}

/* NULL: for ever. */
static TimestampTz
get_time(HeapTuple tuple, TupleDesc tupdesc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, tupdesc, column, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

static void
forget(DomevMaintenance *maintenance, void *arg)
{
	const Forgotten *what = arg;
	DomevParams params = {0};
	uint64		count;

	domev_params_add(&params, TIMESTAMPTZOID,
					 TimestampTzGetDatum(*(TimestampTz *) ((char *) maintenance + what->from)), false);
	domev_params_add(&params, INT4OID, Int32GetDatum(maintenance->max_rows), false);
	count = domev_statement_execute(what->sql, &params);
	if (count > 0)
		domev_retention_report(maintenance, "pruned", what->object,
							   psprintf(UINT64_FORMAT " rows", count));
}

/* ----------------------------------------------------------------
 *		What its parts share
 * ----------------------------------------------------------------
 */

/*
 * Does a part of it.  What others have locked, use, or depend on is left as
 * it is, said so, and tried the next time; it must not keep the other parts from
 * being done.
 */
bool
domev_retention_try(DomevMaintenance *maintenance, const char *object,
					DomevMaintenanceStep step, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step(maintenance, arg);
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
	if (error == NULL)
		return true;
	switch (error->sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_OBJECT_IN_USE:
			maintenance->was_locked = true;
			domev_retention_report(maintenance, "postponed", object, error->message);
			return false;
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
			if (IsolationIsSerializable())
				break;			/* the whole transaction is lost */
			domev_retention_report(maintenance, "postponed", object, error->message);
			return false;
		case ERRCODE_RAISE_EXCEPTION:	/* of an event trigger */
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_UNDEFINED_TABLE:
			domev_retention_report(maintenance, "kept", object, error->message);
			return false;
	}
	ReThrowError(error);
	return false;
}

/* Adds a row to the result, which knows of no subtransactions: the last thing in a part. */
void
domev_retention_report(DomevMaintenance *maintenance, const char *action,
					   const char *object, const char *detail)
{
	Datum		values[] = {
		CStringGetTextDatum(action), CStringGetTextDatum(object),
		detail ? CStringGetTextDatum(detail) : (Datum) 0
	};
	bool		nulls[] = {false, false, detail == NULL};

	tuplestore_putvalues(maintenance->rsinfo->setResult, maintenance->rsinfo->setDesc, values, nulls);
}

/*
 * Reads what is there now, whatever the transaction's snapshot shows, into
 * SPI_tuptable.
 */
void
domev_retention_select(const char *sql, DomevParams *params)
{
	SPIPlanPtr	plan = SPI_prepare(sql, params->count, params->types);

	if (plan == NULL ||
		SPI_execute_snapshot(plan, params->values, params->nulls, GetLatestSnapshot(), InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
}

/* Are there such rows?  Never by reading all of a partition, as long as its index is there. */
bool
domev_retention_finds(const char *sql, DomevParams *params)
{
	int			level = NewGUCNestLevel();
	bool		found;

	set_for_now("enable_seqscan", "off");
	set_for_now("enable_bitmapscan", "on");
	SPI_connect();
	domev_retention_select(sql, params);
	found = SPI_processed > 0;
	SPI_finish();
	AtEOXact_GUC(true, level);
	return found;
}
