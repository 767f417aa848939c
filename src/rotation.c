/*-------------------------------------------------------------------------
 *
 * rotation.c
 *	  How do partitions of the outbox come and go?
 *
 * They come before their time does, so that there is nothing to move: made as
 * tables, which locks nothing, and attached, for which PostgreSQL locks the
 * default partition against writers, and reads all of it to see that no row
 * of it belongs to the new one.  That we know from its BRIN index at once, and
 * say so in a CHECK constraint, which is gone when the partition is there.  It
 * never exists for anybody else: one that outlives its transaction would refuse
 * events when its time has come.
 *
 * They go when their time is past what is kept, and all that read the outbox
 * have confirmed their rows.  PostgreSQL locks the whole outbox for it.  Only
 * what belongs to the extension goes; what somebody attached is his.
 *
 * Locks are taken in the order in which an emit takes them, the outbox before its
 * partitions, over the whole call: so what drops comes before what needs the
 * default partition only.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/tablespace.h"
#include "holder.h"
#include "parser/parser.h"
#include "partition.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "rotation.h"
#include "storage/lmgr.h"
#include "summary.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

/* Alignment of periods that are not months: midnight of a Monday. */
#define ORIGIN	(2 * USECS_PER_DAY)

/* The soonest that a new partition begins: later than its transaction's end. */
#define MARGIN	(2 * USECS_PER_MINUTE)

/* So many are made, or dropped, in a call: each takes locks, and time while writers wait. */
#define MAX_AT_ONCE	50

/* A partition, or one that is to be. */
typedef struct Range
{
	Oid			relid;
	char	   *name;			/* qualified and quoted */
	TimestampTz from;
	TimestampTz to;				/* exclusive */
} Range;

static List *list_partitions(void);
static Oid	find_default(void);
static char *name_of(Oid relid);
static void make(DomevMaintenance *maintenance, void *arg);
static List *leave_out(List *missing, Oid default_partition, List **reasons);
static List *list_missing(DomevMaintenance *maintenance);
static Range *find_range(List *partitions, TimestampTz time, TimestampTz *next);
static TimestampTz boundary_after(const Interval *period, TimestampTz time);
static void take_apart(TimestampTz time, struct pg_tm *tm, fsec_t *fsec);
static void raise_out_of_range(void);
static char *make_name(TimestampTz from);
static const char *format_time(TimestampTz time);
static void create(const Range *range);
static void revoke_all(const char *table);
static void attach(const Range *range, Oid default_partition);
static bool has_rows(const char *partition, TimestampTz from, TimestampTz to);
static void vouch(const Range *range, Oid default_partition);
static void summarize(Oid relid);
static void prune_default(DomevMaintenance *maintenance, void *arg);
static void truncate_default(DomevMaintenance *maintenance, void *arg);
static bool may_all_go(DomevMaintenance *maintenance, const char *name, List *holders, char **names);
static void delete_from_default(DomevMaintenance *maintenance, const char *name, List *holders);
static void list_old(DomevMaintenance *maintenance, void *arg);
static void look_at(DomevMaintenance *maintenance, void *arg);
static void drop(DomevMaintenance *maintenance, void *arg);
static void lock_at_once(Oid relid);
static bool may_go(const char *name, bool is_late, List *holders, char **names);
static void execute(const char *sql);
static void warn(const char *partition, const char *holders);

/* Whole hours, or whole months: so that partitions can be aligned. */
bool
domev_rotation_is_period(const Interval *period)
{
	if (period->month != 0)
		return period->month > 0 && period->month <= MONTHS_PER_YEAR && period->day == 0 && period->time == 0;
	return period->day >= 0 && period->day <= 366 &&
		period->time >= 0 && period->time <= 366 * USECS_PER_DAY && period->time % USECS_PER_HOUR == 0 &&
		period->day * USECS_PER_DAY + period->time > 0 && period->day * USECS_PER_DAY + period->time <= 366 * USECS_PER_DAY;
}

/* ----------------------------------------------------------------
 *		What there is
 * ----------------------------------------------------------------
 */

/* The partitions but the default one, in the order of their times. */
static List *
list_partitions(void)
{
	Relation	outbox = domev_catalog_open("outbox", AccessShareLock);
	PartitionKey key = RelationGetPartitionKey(outbox);
	List	   *ranges = NIL;
	PartitionDesc partitions;

	if (key == NULL || key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 || key->parttypid[0] != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" is not as domev made it", DOMEV_SCHEMA, "outbox"),
				 errdetail("It is not partitioned by ranges of recorded_at.")));
	partitions = RelationGetPartitionDesc(outbox, false);
	for (int i = 0; partitions->nparts > 0 && i <= partitions->boundinfo->ndatums; i++)
	{
		int			index = partitions->boundinfo->indexes[i];
		Range	   *range;

		if (index < 0)
			continue;
		range = palloc(sizeof(Range));
		range->relid = partitions->oids[index];
		range->name = name_of(range->relid);
		range->from = domev_partition_bound(partitions->boundinfo, i - 1);
		range->to = domev_partition_bound(partitions->boundinfo, i);
		ranges = lappend(ranges, range);
	}
	table_close(outbox, AccessShareLock);
	return ranges;
}

/* InvalidOid: there is none; or it is partitioned itself, and not ours to care for. */
static Oid
find_default(void)
{
	Oid			relid = get_default_partition_oid(domev_catalog_table("outbox"));

	return OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION ? relid : InvalidOid;
}

static char *
name_of(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/* ----------------------------------------------------------------
 *		Coming
 * ----------------------------------------------------------------
 */

void
domev_rotation_make(DomevMaintenance *maintenance)
{
	maintenance->was_locked = false;
	domev_retention_try(maintenance, "domev.outbox", make, NULL);
}

static void
make(DomevMaintenance *maintenance, void *arg)
{
	Oid			default_partition = find_default();
	List	   *missing;
	List	   *reasons = NIL;	/* names and reasons of what is left out, in
								 * turn */
	ListCell   *lc;

	if (list_missing(maintenance) == NIL)
		return;

	/* No one else makes partitions now, nor takes any away; writers go on. */
	LockRelationOid(domev_catalog_table("outbox"), ShareUpdateExclusiveLock);
	missing = leave_out(list_missing(maintenance), default_partition, &reasons);
	foreach(lc, missing)
		create(lfirst(lc));
	if (OidIsValid(default_partition))
		LockRelationOid(default_partition, AccessExclusiveLock);
	foreach(lc, missing)
		attach(lfirst(lc), default_partition);
	foreach(lc, missing)
	{
		Range	   *range = lfirst(lc);

		domev_retention_report(maintenance, "made", range->name,
							   psprintf("from %s to %s", format_time(range->from), format_time(range->to)));
	}
	for (int i = 0; i < list_length(reasons); i += 2)
		domev_retention_report(maintenance, "kept", list_nth(reasons, i), list_nth(reasons, i + 1));
}

/* One that cannot be made must not keep the others from being made. */
static List *
leave_out(List *missing, Oid default_partition, List **reasons)
{
	ListCell   *lc;

	foreach(lc, missing)
	{
		Range	   *range = lfirst(lc);
		char	   *reason;

		if (OidIsValid(domev_catalog_table(strchr(range->name, '.') + 1)))
			reason = psprintf("relation \"%s\" already exists", range->name);
		else if (OidIsValid(default_partition) && has_rows(name_of(default_partition), range->from, range->to))
			reason = psprintf("cannot make a partition from %s to %s, as %s has rows of that time",
							  format_time(range->from), format_time(range->to), name_of(default_partition));
		else
			continue;
		*reasons = lappend(lappend(*reasons, range->name), reason);
		missing = foreach_delete_current(missing, lc);
	}
	return missing;
}

/*
 * What the time ahead has no partition for, which begins with the next period:
 * rows of the present one, if it has none, are in the default partition
 * already.  A period is cut where a partition of another kind begins.
 */
static List *
list_missing(DomevMaintenance *maintenance)
{
	List	   *partitions = list_partitions();
	List	   *missing = NIL;
	TimestampTz time = boundary_after(&maintenance->period, GetCurrentTimestamp() + MARGIN);
	TimestampTz end = time;

	for (int i = 0; i < maintenance->ahead; i++)
		end = boundary_after(&maintenance->period, end);
	while (time < end && list_length(missing) < MAX_AT_ONCE)
	{
		TimestampTz to = boundary_after(&maintenance->period, time);
		Range	   *range = find_range(partitions, time, &to);

		if (range == NULL)
		{
			range = palloc0(sizeof(Range));
			range->name = make_name(time);
			range->from = time;
			range->to = to;
			missing = lappend(missing, range);
		}
		time = range->to;
	}
	return missing;
}

/* The partition that a time is in; without one, no later than next the next one begins. */
static Range *
find_range(List *partitions, TimestampTz time, TimestampTz *next)
{
	ListCell   *lc;

	foreach(lc, partitions)
	{
		Range	   *range = lfirst(lc);

		if (range->from <= time && time < range->to)
			return range;
		if (range->from > time)
			*next = Min(*next, range->from);
	}
	return NULL;
}

static TimestampTz
boundary_after(const Interval *period, TimestampTz time)
{
	TimestampTz step = period->day * USECS_PER_DAY + period->time;
	struct pg_tm tm = {.tm_mday = 1};
	struct pg_tm given;
	fsec_t		fsec;
	int			month;
	TimestampTz result;

	if (period->month == 0)
		return time - (time - ORIGIN) % step + step;
	take_apart(time, &given, &fsec);
	month = given.tm_year * MONTHS_PER_YEAR + given.tm_mon - 1;
	month += period->month - month % period->month;
	tm.tm_year = month / MONTHS_PER_YEAR;
	tm.tm_mon = month % MONTHS_PER_YEAR + 1;
	if (tm2timestamp(&tm, 0, NULL, &result) != 0)
		raise_out_of_range();
	return result;
}

/* In UTC. */
static void
take_apart(TimestampTz time, struct pg_tm *tm, fsec_t *fsec)
{
	if (timestamp2tm(time, NULL, tm, fsec, NULL, NULL) != 0)
		raise_out_of_range();
}

static void
raise_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("timestamp out of range")));
}

/* By the time at which it begins: as short as that can be said. */
static char *
make_name(TimestampTz from)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char	   *name;

	take_apart(from, &tm, &fsec);
	name = psprintf("outbox_p%04d%02d%02d", tm.tm_year, tm.tm_mon, tm.tm_mday);
	if (fsec != 0)
		name = psprintf("%s_%02d%02d%02d_%06d", name, tm.tm_hour, tm.tm_min, tm.tm_sec, fsec);
	else if (tm.tm_min != 0 || tm.tm_sec != 0)
		name = psprintf("%s_%02d%02d%02d", name, tm.tm_hour, tm.tm_min, tm.tm_sec);
	else if (tm.tm_hour != 0)
		name = psprintf("%s_%02d", name, tm.tm_hour);
	return quote_qualified_identifier(DOMEV_SCHEMA, name);
}

/* Whatever DateStyle and TimeZone are. */
static const char *
format_time(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(time))
		return TIMESTAMP_IS_NOBEGIN(time) ? "-infinity" : "infinity";
	take_apart(time, &tm, &fsec);
	return psprintf(fsec != 0 ? "%04d-%02d-%02d %02d:%02d:%02d.%06d+00" : "%04d-%02d-%02d %02d:%02d:%02d+00",
					tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fsec);
}

/*
 * A table like the outbox, without its indexes, which ATTACH makes.  It is in
 * the outbox's tablespace, as CREATE TABLE ... PARTITION OF would have it.
 */
static void
create(const Range *range)
{
	char	   *tablespace = get_tablespace_name(get_rel_tablespace(domev_catalog_table("outbox")));

	execute(psprintf("CREATE TABLE %s (LIKE domev.outbox INCLUDING ALL EXCLUDING INDEXES EXCLUDING COMMENTS EXCLUDING IDENTITY)%s",
					 range->name, tablespace ? psprintf(" TABLESPACE %s", quote_identifier(tablespace)) : ""));
	execute(psprintf("COMMENT ON TABLE %s IS 'the events recorded from %s to %s; made by domev.maintain'",
					 range->name, format_time(range->from), format_time(range->to)));
	revoke_all(range->name);
	execute(psprintf("ALTER EXTENSION domev ADD TABLE %s", range->name));
}

/* What somebody's ALTER DEFAULT PRIVILEGES has granted to others: nobody but domev has any right on the outbox. */
static void
revoke_all(const char *table)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *grantees = NIL;
	DomevParams params = {0};
	ListCell   *lc;

	domev_params_add_string(&params, table);
	SPI_connect();
	domev_retention_select("SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END"
						   " FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS a"
						   " WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass AND a.grantee OPERATOR(pg_catalog.<>) c.relowner", &params);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		grantees = lappend(grantees, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	foreach(lc, grantees)
		execute(psprintf("REVOKE ALL ON TABLE %s FROM %s", table, (char *) lfirst(lc)));
}

/* Nobody writes to the default partition now. */
static void
attach(const Range *range, Oid default_partition)
{
	if (OidIsValid(default_partition))
		vouch(range, default_partition);
	execute(psprintf("ALTER TABLE domev.outbox ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
					 range->name, format_time(range->from), format_time(range->to)));
	if (OidIsValid(default_partition))
		execute(psprintf("ALTER TABLE ONLY %s DROP CONSTRAINT domev_has_no_such_rows", name_of(default_partition)));
}

/*
 * Has PostgreSQL believe that the default partition has no row of the range.
 * SQL has only constraints that PostgreSQL looks at all rows for; what CREATE
 * TABLE uses makes one that is taken to hold.
 */
static void
vouch(const Range *range, Oid default_partition)
{
	char	   *name = name_of(default_partition);
	char	   *sql = psprintf("ALTER TABLE ONLY %s ADD CONSTRAINT domev_has_no_such_rows"
							   " CHECK (recorded_at OPERATOR(pg_catalog.<) '%s'::pg_catalog.timestamptz"
							   " OR recorded_at OPERATOR(pg_catalog.>=) '%s'::pg_catalog.timestamptz)",
							   name, format_time(range->from), format_time(range->to));
	RawStmt    *statement = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	AlterTableCmd *command = linitial_node(AlterTableCmd, castNode(AlterTableStmt, statement->stmt)->cmds);
	Relation	relation;

	if (has_rows(name, range->from, range->to))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot make a partition from %s to %s, as %s has rows of that time",
						format_time(range->from), format_time(range->to), name)));
	relation = table_open(default_partition, NoLock);
	(void) AddRelationNewConstraints(relation, NIL, list_make1(command->def), false, true, false, sql);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}

static bool
has_rows(const char *partition, TimestampTz from, TimestampTz to)
{
	DomevParams params = {0};

	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(from), false);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(to), false);
	return domev_retention_finds(psprintf("SELECT FROM ONLY %s WHERE recorded_at OPERATOR(pg_catalog.>=) $1"
										  " AND recorded_at OPERATOR(pg_catalog.<) $2 LIMIT 1", partition), &params);
}

/*
 * What was written since the last vacuum the BRIN index does not know yet, and
 * would be read under the lock.  This locks out vacuum, but no writer, and ends
 * here.
 */
static void
summarize(Oid relid)
{
	Relation	partition = table_open(relid, ShareUpdateExclusiveLock);

	domev_summary_make(partition);
	table_close(partition, ShareUpdateExclusiveLock);
}

/* ----------------------------------------------------------------
 *		What has none
 * ----------------------------------------------------------------
 */

/*
 * What was recorded when there was no partition for it: each row for itself,
 * as long as others are to be kept.
 */
void
domev_rotation_prune_default(DomevMaintenance *maintenance)
{
	domev_retention_try(maintenance, "domev.outbox", prune_default, NULL);
}

static void
prune_default(DomevMaintenance *maintenance, void *arg)
{
	Oid			relid = find_default();
	char	   *name = OidIsValid(relid) ? name_of(relid) : NULL;
	List	   *holders;
	char	   *unused;

	if (name == NULL)
		return;
	summarize(relid);			/* for all that comes */
	if (!has_rows(name, DT_NOBEGIN, maintenance->keep_from))
		return;

	/*
	 * One look at them for both: what is confirmed after it is not deleted,
	 * which would leave nothing by which truncate_default gives the disk
	 * back.
	 */
	holders = domev_holder_list();
	if (has_rows(name, maintenance->keep_from, DT_NOEND) || !may_all_go(maintenance, name, holders, &unused))
		delete_from_default(maintenance, name, holders);
}

/* What its readers have confirmed, or is older than they may hold. */
static void
delete_from_default(DomevMaintenance *maintenance, const char *name, List *holders)
{
	char	   *late = domev_holder_names(holders, name, maintenance->max_keep_from);
	int			level = NewGUCNestLevel();
	DomevParams params = {0};
	uint64		count;

	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(maintenance->keep_from), false);
	domev_params_add(&params, XID8OID, FullTransactionIdGetDatum(domev_holder_first(holders)), false);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(maintenance->max_keep_from), false);
	domev_params_add(&params, INT4OID, Int32GetDatum(maintenance->max_rows), false);
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	count = domev_statement_execute(psprintf("DELETE FROM ONLY %s WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
											 "SELECT ctid FROM ONLY %s WHERE recorded_at OPERATOR(pg_catalog.<) $1"
											 " AND (xact_id OPERATOR(pg_catalog.<) $2 OR recorded_at OPERATOR(pg_catalog.<) $3)"
											 " LIMIT $4))", name, name), &params);
	AtEOXact_GUC(true, level);
	if (count > 0)
		warn(name, late);
	if (count > 0)
		domev_retention_report(maintenance, "pruned", name, psprintf(UINT64_FORMAT " rows", count));
	late = domev_holder_names(holders, name, maintenance->keep_from);
	if (late != NULL)
		domev_retention_report(maintenance, "kept", name, psprintf("not confirmed by %s", late));
}

/* When all of it is old, at once, which gives the disk back. */
void
domev_rotation_truncate_default(DomevMaintenance *maintenance)
{
	if (!maintenance->was_locked)
		domev_retention_try(maintenance, "domev.outbox", truncate_default, NULL);
}

static void
truncate_default(DomevMaintenance *maintenance, void *arg)
{
	Oid			relid = find_default();
	char	   *name = OidIsValid(relid) ? name_of(relid) : NULL;
	char	   *holders;

	if (name == NULL || !has_rows(name, DT_NOBEGIN, maintenance->keep_from) ||
		has_rows(name, maintenance->keep_from, DT_NOEND) || !may_all_go(maintenance, name, domev_holder_list(), &holders))
		return;					/* prune_default has said why */

	/* What has been written meanwhile is of the present. */
	LockRelationOid(relid, AccessExclusiveLock);
	if (has_rows(name, maintenance->keep_from, DT_NOEND) || !may_all_go(maintenance, name, domev_holder_list(), &holders))
		return;
	execute(psprintf("TRUNCATE TABLE ONLY %s", name));
	warn(name, holders);
	domev_retention_report(maintenance, "pruned", name, "all rows");
}

/* All rows are old: have all confirmed them, or are they too old for that to matter? */
static bool
may_all_go(DomevMaintenance *maintenance, const char *name, List *holders, char **names)
{
	return may_go(name, !has_rows(name, maintenance->max_keep_from, DT_NOEND), holders, names);
}

/* ----------------------------------------------------------------
 *		Going
 * ----------------------------------------------------------------
 */

/*
 * First all are looked at, then those that may go are dropped: while the
 * outbox is locked, nothing is done that takes time.  Once one could not be
 * locked, writers are not made to wait for the next.
 */
void
domev_rotation_drop(DomevMaintenance *maintenance)
{
	List	   *old = NIL;
	int			tried = 0;
	ListCell   *lc;

	if (!domev_retention_try(maintenance, "domev.outbox", list_old, &old))
		return;
	foreach(lc, old)
	{
		Range	   *range = lfirst(lc);

		if (!domev_retention_try(maintenance, range->name, look_at, range))
			range->relid = InvalidOid;
	}
	maintenance->was_locked = false;
	foreach(lc, old)
	{
		Range	   *range = lfirst(lc);

		if (!OidIsValid(range->relid))
			continue;
		if (maintenance->was_locked || tried++ >= MAX_AT_ONCE)
			domev_retention_report(maintenance, "postponed", range->name, "after those before it");
		else
			domev_retention_try(maintenance, range->name, drop, range);
	}
}

/* The partitions whose time is over. */
static void
list_old(DomevMaintenance *maintenance, void *arg)
{
	List	  **old = arg;
	ListCell   *lc;

	foreach(lc, list_partitions())
	{
		Range	   *range = lfirst(lc);

		if (range->to <= maintenance->keep_from)
			*old = lappend(*old, range);
	}
}

/* May it go?  If not, it has no OID any more. */
static void
look_at(DomevMaintenance *maintenance, void *arg)
{
	Range	   *range = arg;
	char	   *holders;

	if (getExtensionOfObject(RelationRelationId, range->relid) != get_extension_oid(DOMEV_SCHEMA, false))
	{
		range->relid = InvalidOid;
		domev_retention_report(maintenance, "kept", range->name, "not a member of the extension");
		return;
	}
	summarize(range->relid);
	if (may_go(range->name, range->to <= maintenance->max_keep_from, domev_holder_list(), &holders))
		return;
	range->relid = InvalidOid;
	domev_retention_report(maintenance, "kept", range->name, psprintf("not confirmed by %s", holders));
}

/* It is asked again under the locks. */
static void
drop(DomevMaintenance *maintenance, void *arg)
{
	Range	   *range = arg;
	TimestampTz next = DT_NOEND;
	char	   *holders;
	Range	   *now;

	LockRelationOid(domev_catalog_table("outbox"), AccessExclusiveLock);
	lock_at_once(find_default());
	lock_at_once(range->relid);

	/* Somebody may have detached it meanwhile, and attached another. */
	now = find_range(list_partitions(), range->from, &next);
	if (now == NULL || now->relid != range->relid || now->from != range->from || now->to != range->to ||
		!may_go(range->name, range->to <= maintenance->max_keep_from, domev_holder_list(), &holders))
		return;
	execute(psprintf("ALTER EXTENSION domev DROP TABLE %s", range->name));
	execute(psprintf("DROP TABLE %s", range->name));
	warn(range->name, holders);
	domev_retention_report(maintenance, "dropped", range->name,
						   psprintf("from %s to %s", format_time(range->from), format_time(range->to)));
}

/* All writers wait for us by now. */
static void
lock_at_once(Oid relid)
{
	if (OidIsValid(relid) && !ConditionalLockRelationOid(relid, AccessExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on relation \"%s\"", get_rel_name(relid))));
}

/* Have all confirmed what is in the partition, or is it too late for them?  Tells who has not. */
static bool
may_go(const char *name, bool is_late, List *holders, char **names)
{
	*names = domev_holder_names(holders, name, DT_NOEND);
	return is_late || *names == NULL;
}

static void
execute(const char *sql)
{
	DomevParams none = {0};

	domev_statement_execute(sql, &none);
}

static void
warn(const char *partition, const char *holders)
{
	if (holders != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("events in %s were older than max_keep and are gone", partition),
				 errdetail("Not confirmed by %s.", holders),
				 errhint("A slot that is not lost still gets them, from the WAL that is kept for it. Drop slots that nobody reads any more.")));
}
