/*-------------------------------------------------------------------------
 *
 * consumer.c
 *	  Who consumes events, and who may in that name?
 *
 * A consumer is a name that belongs to a role: only who has that role's
 * rights receives and polls under it, or one role could mark as received what
 * another has not seen.
 *
 * Whoever uses a consumer holds a lock on its name until the transaction ends,
 * so that it is not dropped with what is being received.  It is no lock on a
 * row: that would write, and give an xid to transactions that only poll.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "argument.h"
#include "catalog.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "consumer.h"
#include "miscadmin.h"
#include "retention.h"
#include "storage/lmgr.h"
#include "statement.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "compat.h"

/* What of a consumer is locked. */
enum
{
	LOCK_NAME, LOCK_READER
};

static void lock(const char *consumer, uint16 part, LOCKMODE mode);
static bool check_owned(const char *consumer, bool missing_ok);
static bool has_received(DomevParams *params);
static Oid	get_owner(FunctionCallInfo fcinfo, int arg);
static void check_since(FunctionCallInfo fcinfo, int arg);
static void set_position(const char *consumer, Datum since);
static void raise_unserializable(const char *consumer);

/* ----------------------------------------------------------------
 *		Using
 * ----------------------------------------------------------------
 */

/* Raises an error unless the current user may act as the consumer; it is there until the transaction ends. */
void
domev_consumer_use(const char *consumer)
{
	lock(consumer, LOCK_NAME, AccessShareLock);
	check_owned(consumer, false);
}

/* One reader at a time, until its transaction ends. */
void
domev_consumer_lock_reader(const char *consumer)
{
	lock(consumer, LOCK_READER, ExclusiveLock);
}

/* Two names with one hash wait for each other without need, and seldom. */
static void
lock(const char *consumer, uint16 part, LOCKMODE mode)
{
	Oid			hash = DatumGetUInt32(hash_any((const unsigned char *) consumer, strlen(consumer)));

	LockDatabaseObject(domev_catalog_table("consumers"), hash, part, mode);
}

/* False: there is no such consumer. */
static bool
check_owned(const char *consumer, bool missing_ok)
{
	Oid			owner = domev_catalog_consumer(consumer);

	if (!OidIsValid(owner))
	{
		ereport(missing_ok ? NOTICE : ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 missing_ok ? errmsg("%s \"%s\" does not exist, skipping", "consumer", consumer) :
				 errmsg("%s \"%s\" does not exist", "consumer", consumer),
				 errhint("Register it with domev.create_consumer; domev.consumers lists those that exist.")));
		return false;
	}
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s \"%s\"", "consumer", consumer),
				 errdetail("Role \"%s\" does not have the rights of its owner.", GetUserNameFromId(GetUserId(), false)),
				 errhint("domev.consumers has the owner; domev.alter_consumer gives it another one.")));
	return true;
}

/* ----------------------------------------------------------------
 *		Registering
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_create_consumer);
PG_FUNCTION_INFO_V1(domev_alter_consumer);
PG_FUNCTION_INFO_V1(domev_drop_consumer);

Datum
domev_create_consumer(PG_FUNCTION_ARGS)
{
	char	   *consumer = domev_argument_required(fcinfo, 0, "consumer");
	bool		if_not_exists = domev_argument_flag(fcinfo, 4);
	Oid			owner = get_owner(fcinfo, 2);
	DomevParams params = {0};

	domev_event_check_name("consumer", domev_text(consumer), DOMEV_MAX_NAME);
	check_since(fcinfo, 1);
	lock(consumer, LOCK_NAME, AccessExclusiveLock);
	domev_params_add_string(&params, consumer);
	domev_params_add(&params, REGROLEOID, ObjectIdGetDatum(OidIsValid(owner) ? owner : GetUserId()), false);
	domev_params_add_string(&params, domev_argument_optional(fcinfo, 3));
	if (domev_statement_execute("INSERT INTO domev.consumers (consumer, owner, description)"
								" VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", &params) == 0)
	{
		ereport(if_not_exists ? NOTICE : ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 if_not_exists ? errmsg("%s \"%s\" already exists, skipping", "consumer", consumer) :
				 errmsg("%s \"%s\" already exists", "consumer", consumer)));
		PG_RETURN_VOID();
	}
	if (!PG_ARGISNULL(1))
		set_position(consumer, PG_GETARG_DATUM(1));
	PG_RETURN_VOID();
}

Datum
domev_alter_consumer(PG_FUNCTION_ARGS)
{
	static const char *const resettable[] = {"poll_since", "description", NULL};
	char	   *consumer = domev_argument_required(fcinfo, 0, "consumer");
	Oid			owner = get_owner(fcinfo, 2);
	DomevParams params = {0};

	domev_argument_check_reset(fcinfo, 4, resettable);
	check_since(fcinfo, 1);
	lock(consumer, LOCK_NAME, AccessExclusiveLock);
	check_owned(consumer, false);

	domev_params_add_string(&params, consumer);
	domev_params_add(&params, REGROLEOID, ObjectIdGetDatum(owner), !OidIsValid(owner));
	domev_params_add_string(&params, domev_argument_optional(fcinfo, 3));
	domev_params_add_bool(&params, domev_argument_in_reset(fcinfo, 4, "description"));
	if (domev_statement_execute("UPDATE domev.consumers SET owner = coalesce($2, owner),"
								" description = CASE WHEN $4 THEN NULL ELSE coalesce($3, description) END"
								" WHERE consumer OPERATOR(pg_catalog.=) $1", &params) == 0)
		raise_unserializable(consumer);
	if (domev_argument_in_reset(fcinfo, 4, "poll_since"))
		domev_statement_execute("DELETE FROM domev.poll_consumers WHERE consumer OPERATOR(pg_catalog.=) $1", &params);
	if (!PG_ARGISNULL(1))
		set_position(consumer, PG_GETARG_DATUM(1));
	PG_RETURN_VOID();
}

Datum
domev_drop_consumer(PG_FUNCTION_ARGS)
{
	char	   *consumer = domev_argument_required(fcinfo, 0, "consumer");
	DomevParams params = {0};

	lock(consumer, LOCK_NAME, AccessExclusiveLock);
	if (!check_owned(consumer, domev_argument_flag(fcinfo, 1)))
		PG_RETURN_VOID();
	domev_params_add_string(&params, consumer);
	if (domev_statement_execute("DELETE FROM domev.consumers WHERE consumer OPERATOR(pg_catalog.=) $1", &params) == 0)
		raise_unserializable(consumer);
	domev_statement_execute("DELETE FROM domev.poll_consumers WHERE consumer OPERATOR(pg_catalog.=) $1", &params);
	domev_statement_execute("DELETE FROM domev.inbox WHERE consumer OPERATOR(pg_catalog.=) $1", &params);
	if (IsolationUsesXactSnapshot() && has_received(&params))
		raise_unserializable(consumer);
	PG_RETURN_VOID();
}

/* Is there still something, which the transaction's snapshot does not show? */
static bool
has_received(DomevParams *params)
{
	DomevCaller caller;
	bool		found;

	domev_statement_enter(&caller);
	found = domev_retention_finds("SELECT FROM domev.inbox WHERE consumer OPERATOR(pg_catalog.=) $1 LIMIT 1", params);
	domev_statement_leave(&caller);
	return found;
}

/* Nobody gets a consumer from somebody who could not act as he. */
static Oid
get_owner(FunctionCallInfo fcinfo, int arg)
{
	Oid			owner = PG_ARGISNULL(arg) ? InvalidOid : PG_GETARG_OID(arg);

	if (!PG_ARGISNULL(arg))
	{
		char	   *name = GetUserNameFromId(owner, false);

		if (!has_privs_of_role(GetUserId(), owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to make role \"%s\" the owner of a consumer", name),
					 errdetail("Role \"%s\" does not have its rights.", GetUserNameFromId(GetUserId(), false))));
	}
	return owner;
}

static void
check_since(FunctionCallInfo fcinfo, int arg)
{
	if (!PG_ARGISNULL(arg) && TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(arg)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", "poll_since"),
				 errhint("To start with what is to come, give now().")));
}

/*
 * The consumer polls from where it misses nothing that was recorded since
 * then: no transaction that has not ended, and none that has written such an
 * event.  One snapshot says both.
 */
static void
set_position(const char *consumer, Datum since)
{
	DomevParams params = {0};

	lock(consumer, LOCK_READER, ExclusiveLock);
	domev_params_add_string(&params, consumer);
	domev_params_add(&params, TIMESTAMPTZOID, since, false);
	domev_statement_execute("INSERT INTO domev.poll_consumers AS p (consumer, position, mark)"
							" SELECT $1, least(pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()),"
							" CASE WHEN $2 OPERATOR(pg_catalog.=) '-infinity' THEN '0' ELSE"
							" (SELECT pg_catalog.min(o.xact_id) FROM domev.outbox AS o WHERE o.recorded_at OPERATOR(pg_catalog.>=) $2) END),"
							" pg_catalog.pg_current_xact_id()"
							" ON CONFLICT (consumer) DO UPDATE SET position = excluded.position, recorded_at = excluded.recorded_at,"
							" since = excluded.since, mark = excluded.mark, marked_at = excluded.marked_at, acked_at = excluded.acked_at",
							&params);
}

/* It is there, but this transaction's snapshot is too old to see it. */
static void
raise_unserializable(const char *consumer)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access to %s \"%s\"", "consumer", consumer),
			 errdetail("It was registered, or has received, after this transaction took its snapshot."),
			 errhint("Retry the transaction.")));
}
