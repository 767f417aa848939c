/*-------------------------------------------------------------------------
 *
 * registration.c
 *	  How does something get into the registry, and what is refused?
 *
 * The functions create_..., alter_... and drop_... of topics, event types and
 * mappings, and set_source.  They check as the caller and write as the owner
 * of domev's tables.
 *
 * Writers of the registry wait for each other (one lock) and for nobody
 * else, but that to drop a topic or an event type waits for transactions that
 * have used its view, before it takes that lock: so transactions of one drop
 * do not deadlock.  What they check they read as it is, not as an old snapshot
 * has it.  ON CONFLICT is not to be had on a user_catalog_table, and not
 * needed under the lock.
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
#include "fmgr.h"
#include "mapping.h"
#include "miscadmin.h"
#include "statement.h"
#include "trigger.h"
#include "utils/acl.h"
#include "view.h"

#include "compat.h"

static void add_arg(DomevParams *params, FunctionCallInfo fcinfo, int arg, Oid type);
static void check_produces(FunctionCallInfo fcinfo, int arg);
static void check_topic_exists(const char *topic, DomevTopic *row);
static void check_topic_internal(const char *topic);
static void check_event_type_exists(const char *event_type);
static void check_visible(const char *what, const char *name, const char *sql);
static DomevMappingRow *check_mapping_owner(const char *mapping);
static bool exists_now(const char *what, const char *name);
static void report_exists(const char *what, const char *name, bool if_not_exists);
static void report_missing(const char *what, const char *name, bool if_exists);
static void raise_unserializable(const char *what, const char *name);
static void report_used(const char *what, const char *name, const char *user_kind, const char *user);

/* ----------------------------------------------------------------
 *		Topics
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_create_topic);
PG_FUNCTION_INFO_V1(domev_alter_topic);
PG_FUNCTION_INFO_V1(domev_drop_topic);

Datum
domev_create_topic(PG_FUNCTION_ARGS)
{
	char	   *topic = domev_argument_required(fcinfo, 0, "topic");
	char	   *scope = domev_argument_required(fcinfo, 1, "scope");
	char	   *storage = domev_argument_required(fcinfo, 2, "storage");
	DomevTopic	existing;
	DomevParams params = {0};

	domev_event_check_topic(domev_text(topic));
	domev_argument_check_choice("scope", scope, "internal", "external");
	domev_argument_check_choice("storage", storage, "table", "wal");

	domev_catalog_lock();
	if (domev_catalog_topic(topic, NULL, &existing))
	{
		report_exists("topic", topic, domev_argument_flag(fcinfo, 4));
		PG_RETURN_VOID();
	}

	domev_params_add_string(&params, topic);
	domev_params_add_string(&params, scope);
	domev_params_add_string(&params, storage);
	add_arg(&params, fcinfo, 3, TEXTOID);	/* description */
	domev_statement_execute("INSERT INTO domev.topics (topic, scope, storage, description)"
							" VALUES ($1, $2, $3, $4)", &params);
	domev_view_create_topic(topic);
	PG_RETURN_VOID();
}

Datum
domev_alter_topic(PG_FUNCTION_ARGS)
{
	static const char *const resettable[] = {"description", NULL};
	char	   *topic = domev_argument_required(fcinfo, 0, "topic");
	char	   *scope = domev_argument_optional(fcinfo, 1);
	char	   *storage = domev_argument_optional(fcinfo, 2);
	char	   *user;
	DomevParams params = {0};

	domev_argument_check_reset(fcinfo, 4, resettable);
	if (scope != NULL)
		domev_argument_check_choice("scope", scope, "internal", "external");
	if (storage != NULL)
		domev_argument_check_choice("storage", storage, "table", "wal");

	domev_catalog_lock();
	user = domev_catalog_event_type_using(topic, NULL);
	if (scope != NULL && strcmp(scope, "external") == 0 && user != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" carries domain events and cannot become external", topic),
				 errdetail("Event type \"%s\" is published to it as it is.", user),
				 errhint("Use a mapping to another topic.")));

	domev_params_add_string(&params, topic);
	domev_params_add_string(&params, scope);
	domev_params_add_string(&params, storage);
	add_arg(&params, fcinfo, 3, TEXTOID);	/* description */
	domev_params_add_bool(&params, domev_argument_in_reset(fcinfo, 4, "description"));
	if (domev_statement_execute("UPDATE domev.topics SET scope = coalesce($2, scope), storage = coalesce($3, storage),"
								" description = CASE WHEN $5 THEN NULL ELSE coalesce($4, description) END"
								" WHERE topic OPERATOR(pg_catalog.=) $1", &params) == 0)
		report_missing("topic", topic, false);
	domev_view_mend_topic(topic);
	PG_RETURN_VOID();
}

Datum
domev_drop_topic(PG_FUNCTION_ARGS)
{
	char	   *topic = domev_argument_required(fcinfo, 0, "topic");
	char	   *user;
	DomevParams params = {0};

	domev_view_lock(DOMEV_READ_TOPIC, topic);
	domev_catalog_lock();
	if ((user = domev_catalog_event_type_using(topic, NULL)) != NULL)
		report_used("topic", topic, "Event type", user);
	if ((user = domev_catalog_mapping_using(topic, NULL)) != NULL)
		report_used("topic", topic, "Mapping", user);

	domev_params_add_string(&params, topic);
	if (domev_statement_execute("DELETE FROM domev.topics WHERE topic OPERATOR(pg_catalog.=) $1", &params) == 0)
		report_missing("topic", topic, domev_argument_flag(fcinfo, 1));
	else
		domev_view_drop_topic(topic);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		Event types
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_create_event_type);
PG_FUNCTION_INFO_V1(domev_alter_event_type);
PG_FUNCTION_INFO_V1(domev_drop_event_type);

Datum
domev_create_event_type(PG_FUNCTION_ARGS)
{
	char	   *event_type = domev_argument_required(fcinfo, 0, "event_type");
	char	   *aggregate_type = domev_argument_required(fcinfo, 1, "aggregate_type");
	char	   *topic = domev_argument_optional(fcinfo, 2);
	DomevEventTypeRow existing;
	DomevParams params = {0};

	domev_event_check_name("event type", domev_text(event_type), DOMEV_MAX_NAME);
	domev_event_check_name("aggregate type", domev_text(aggregate_type), DOMEV_MAX_NAME);
	domev_catalog_lock();
	if (topic != NULL)
		check_topic_internal(topic);
	if (domev_catalog_event_type(event_type, NULL, &existing))
	{
		report_exists("event type", event_type, domev_argument_flag(fcinfo, 5));
		PG_RETURN_VOID();
	}

	domev_params_add_string(&params, event_type);
	domev_params_add_string(&params, aggregate_type);
	domev_params_add_string(&params, topic);
	add_arg(&params, fcinfo, 3, BOOLOID);	/* journal */
	add_arg(&params, fcinfo, 4, TEXTOID);	/* description */
	domev_statement_execute("INSERT INTO domev.event_types (event_type, aggregate_type, topic, journal, description)"
							" VALUES ($1, $2, $3, $4, $5)", &params);
	domev_view_create_event_type(event_type);
	PG_RETURN_VOID();
}

Datum
domev_alter_event_type(PG_FUNCTION_ARGS)
{
	static const char *const resettable[] = {"topic", "journal", "description", NULL};
	char	   *event_type = domev_argument_required(fcinfo, 0, "event_type");
	char	   *aggregate_type = domev_argument_optional(fcinfo, 1);
	char	   *topic = domev_argument_optional(fcinfo, 2);
	DomevParams params = {0};

	domev_argument_check_reset(fcinfo, 5, resettable);
	if (aggregate_type != NULL)
		domev_event_check_name("aggregate type", domev_text(aggregate_type), DOMEV_MAX_NAME);
	domev_catalog_lock();
	if (topic != NULL)
		check_topic_internal(topic);

	domev_params_add_string(&params, event_type);
	domev_params_add_string(&params, aggregate_type);
	domev_params_add_string(&params, topic);
	add_arg(&params, fcinfo, 3, BOOLOID);	/* journal */
	add_arg(&params, fcinfo, 4, TEXTOID);	/* description */
	for (int i = 0; resettable[i] != NULL; i++)
		domev_params_add_bool(&params, domev_argument_in_reset(fcinfo, 5, resettable[i]));
	if (domev_statement_execute("UPDATE domev.event_types SET aggregate_type = coalesce($2, aggregate_type),"
								" topic = CASE WHEN $6 THEN NULL ELSE coalesce($3, topic) END,"
								" journal = CASE WHEN $7 THEN NULL ELSE coalesce($4, journal) END,"
								" description = CASE WHEN $8 THEN NULL ELSE coalesce($5, description) END"
								" WHERE event_type OPERATOR(pg_catalog.=) $1", &params) == 0)
		report_missing("event type", event_type, false);
	domev_view_mend_event_type(event_type);
	PG_RETURN_VOID();
}

Datum
domev_drop_event_type(PG_FUNCTION_ARGS)
{
	char	   *event_type = domev_argument_required(fcinfo, 0, "event_type");
	char	   *user;
	DomevParams params = {0};

	domev_view_lock(DOMEV_READ_EVENT_TYPE, event_type);
	domev_catalog_lock();
	if ((user = domev_catalog_mapping_of(event_type, NULL)) != NULL)
		report_used("event type", event_type, "Mapping", user);
	if ((user = domev_trigger_emitting(event_type)) != NULL)
		report_used("event type", event_type, "Capture", user);

	domev_params_add_string(&params, event_type);
	if (domev_statement_execute("DELETE FROM domev.event_types WHERE event_type OPERATOR(pg_catalog.=) $1", &params) == 0)
		report_missing("event type", event_type, domev_argument_flag(fcinfo, 1));
	else
		domev_view_drop_event_type(event_type);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		Mappings
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_create_mapping);
PG_FUNCTION_INFO_V1(domev_alter_mapping);
PG_FUNCTION_INFO_V1(domev_drop_mapping);

Datum
domev_create_mapping(PG_FUNCTION_ARGS)
{
	char	   *mapping = domev_argument_required(fcinfo, 0, "mapping");
	char	   *event_type = domev_argument_required(fcinfo, 1, "event_type");
	char	   *function = domev_argument_required(fcinfo, 2, "function");
	char	   *topic = domev_argument_optional(fcinfo, 3);
	char	   *timing = domev_argument_required(fcinfo, 4, "timing");
	char	   *on_error = domev_argument_required(fcinfo, 5, "on_error");
	Oid			owner;
	DomevParams params = {0};

	domev_event_check_name("mapping", domev_text(mapping), DOMEV_MAX_NAME);
	domev_argument_check_choice("timing", timing, "immediate", "deferred");
	domev_argument_check_choice("on_error", on_error, "abort", "record");
	check_produces(fcinfo, 6);
	domev_catalog_lock();
	check_event_type_exists(event_type);
	if (topic != NULL)
		check_topic_exists(topic, NULL);
	function = domev_mapping_check_function(function, GetUserId(), &owner);
	domev_mapping_check_rights(event_type, topic, owner);
	if (domev_catalog_mapping(mapping, NULL) != NULL)
	{
		report_exists("mapping", mapping, domev_argument_flag(fcinfo, 8));
		PG_RETURN_VOID();
	}

	domev_params_add_string(&params, mapping);
	domev_params_add_string(&params, event_type);
	domev_params_add_string(&params, function);
	domev_params_add(&params, REGROLEOID, ObjectIdGetDatum(owner), false);
	domev_params_add_string(&params, topic);
	domev_params_add_string(&params, timing);
	domev_params_add_string(&params, on_error);
	add_arg(&params, fcinfo, 6, TEXTARRAYOID);	/* produces */
	add_arg(&params, fcinfo, 7, TEXTOID);	/* description */
	domev_statement_execute("INSERT INTO domev.mappings (mapping, event_type, function, owner, topic, timing,"
							" on_error, produces, description)"
							" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", &params);
	domev_mapping_advise(function);
	PG_RETURN_VOID();
}

Datum
domev_alter_mapping(PG_FUNCTION_ARGS)
{
	static const char *const resettable[] = {"topic", "produces", "description", NULL};
	char	   *mapping = domev_argument_required(fcinfo, 0, "mapping");
	char	   *function = domev_argument_optional(fcinfo, 1);
	char	   *topic = domev_argument_optional(fcinfo, 2);
	char	   *timing = domev_argument_optional(fcinfo, 3);
	char	   *on_error = domev_argument_optional(fcinfo, 4);
	DomevMappingRow *row;
	DomevParams params = {0};

	domev_argument_check_reset(fcinfo, 8, resettable);
	if (timing != NULL)
		domev_argument_check_choice("timing", timing, "immediate", "deferred");
	if (on_error != NULL)
		domev_argument_check_choice("on_error", on_error, "abort", "record");
	check_produces(fcinfo, 5);
	domev_catalog_lock();
	row = check_mapping_owner(mapping);
	if (row == NULL)
		report_missing("mapping", mapping, false);
	if (topic != NULL)
		check_topic_exists(topic, NULL);
	if (function != NULL)
		function = domev_mapping_check_function(function, GetUserId(), &row->owner);
	if (topic != NULL || function != NULL)
		domev_mapping_check_rights(row->event_type, topic ? topic : row->topic, row->owner);

	domev_params_add_string(&params, mapping);
	domev_params_add_string(&params, function);
	domev_params_add(&params, REGROLEOID, ObjectIdGetDatum(row->owner), false);
	domev_params_add_string(&params, topic);
	domev_params_add_string(&params, timing);
	domev_params_add_string(&params, on_error);
	add_arg(&params, fcinfo, 5, TEXTARRAYOID);	/* produces */
	add_arg(&params, fcinfo, 6, BOOLOID);	/* enabled */
	add_arg(&params, fcinfo, 7, TEXTOID);	/* description */
	for (int i = 0; resettable[i] != NULL; i++)
		domev_params_add_bool(&params, domev_argument_in_reset(fcinfo, 8, resettable[i]));
	if (domev_statement_execute("UPDATE domev.mappings SET function = coalesce($2, function), owner = $3,"
								" topic = CASE WHEN $10 THEN NULL ELSE coalesce($4, topic) END,"
								" timing = coalesce($5, timing), on_error = coalesce($6, on_error),"
								" produces = CASE WHEN $11 THEN NULL ELSE coalesce($7, produces) END,"
								" enabled = coalesce($8, enabled),"
								" description = CASE WHEN $12 THEN NULL ELSE coalesce($9, description) END"
								" WHERE mapping OPERATOR(pg_catalog.=) $1", &params) == 0)
		report_missing("mapping", mapping, false);
	if (function != NULL)
		domev_mapping_advise(function);
	PG_RETURN_VOID();
}

Datum
domev_drop_mapping(PG_FUNCTION_ARGS)
{
	char	   *mapping = domev_argument_required(fcinfo, 0, "mapping");
	DomevParams params = {0};

	domev_catalog_lock();
	check_mapping_owner(mapping);
	domev_params_add_string(&params, mapping);
	if (domev_statement_execute("DELETE FROM domev.mappings WHERE mapping OPERATOR(pg_catalog.=) $1", &params) == 0)
		report_missing("mapping", mapping, domev_argument_flag(fcinfo, 1));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		Source
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_set_source);

Datum
domev_set_source(PG_FUNCTION_ARGS)
{
	char	   *source = domev_argument_required(fcinfo, 0, "source");
	DomevParams params = {0};

	domev_event_check_uri("source", domev_text(source), false);
	domev_catalog_lock();
	domev_params_add_string(&params, source);
	if (domev_statement_execute("UPDATE domev.source SET source = $1 WHERE NOT initial", &params) > 0)
		PG_RETURN_VOID();
	if (domev_catalog_source_is_set())
		raise_unserializable("table", "source");
	domev_statement_execute("INSERT INTO domev.source (initial, source) VALUES (false, $1)", &params);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		Arguments
 * ----------------------------------------------------------------
 */

static void
add_arg(DomevParams *params, FunctionCallInfo fcinfo, int arg, Oid type)
{
	domev_params_add(params, type, PG_GETARG_DATUM(arg), PG_ARGISNULL(arg));
}

static void
check_produces(FunctionCallInfo fcinfo, int arg)
{
	ListCell   *lc;

	foreach(lc, domev_argument_names(fcinfo, arg, "produces"))
		domev_event_check_name("event type", domev_text(lfirst(lc)), DOMEV_MAX_INTEGRATION_TYPE);
}

/* ----------------------------------------------------------------
 *		The registry's state
 * ----------------------------------------------------------------
 */

static void
check_topic_exists(const char *topic, DomevTopic *row)
{
	DomevTopic	ignored;

	if (!domev_catalog_topic(topic, NULL, row ? row : &ignored))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist", topic),
				 errhint("Register it with domev.create_topic.")));
	check_visible("topic", topic, "SELECT FROM domev.topics WHERE topic OPERATOR(pg_catalog.=) $1");
}

/*
 * A transaction with an old snapshot does not see what was registered since.
 */
static void
check_visible(const char *what, const char *name, const char *sql)
{
	DomevParams params = {0};

	if (!IsolationUsesXactSnapshot())
		return;
	domev_params_add_string(&params, name);
	if (domev_statement_execute(sql, &params) == 0)
		raise_unserializable(what, name);
}

/* Domain events are this system's own; other systems get a translation. */
static void
check_topic_internal(const char *topic)
{
	DomevTopic	row;

	check_topic_exists(topic, &row);
	if (row.external)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" is external and cannot carry domain events", topic),
				 errhint("Use a mapping, which makes integration events of them, or an internal topic.")));
}

static void
check_event_type_exists(const char *event_type)
{
	DomevEventTypeRow row;

	if (!domev_catalog_event_type(event_type, NULL, &row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event type \"%s\" does not exist", event_type),
				 errhint("Register it with domev.create_event_type.")));
	check_visible("event type", event_type, "SELECT FROM domev.event_types WHERE event_type OPERATOR(pg_catalog.=) $1");
}

/* May the caller change this mapping?  Returns its row; NULL: there is no such mapping. */
static DomevMappingRow *
check_mapping_owner(const char *mapping)
{
	DomevMappingRow *row = domev_catalog_mapping(mapping, NULL);

	if (row == NULL)
		return NULL;
	if (!has_privs_of_role(GetUserId(), row->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of mapping \"%s\"", mapping),
				 errdetail("A mapping belongs to the owner of the function that was registered.")));
	return row;
}

/* ----------------------------------------------------------------
 *		Reports
 * ----------------------------------------------------------------
 */

static bool
exists_now(const char *what, const char *name)
{
	DomevTopic	topic;
	DomevEventTypeRow event_type;

	if (strcmp(what, "topic") == 0)
		return domev_catalog_topic(name, NULL, &topic);
	if (strcmp(what, "event type") == 0)
		return domev_catalog_event_type(name, NULL, &event_type);
	return domev_catalog_mapping(name, NULL) != NULL;
}

static void
report_exists(const char *what, const char *name, bool if_not_exists)
{
	ereport(if_not_exists ? NOTICE : ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 if_not_exists ? errmsg("%s \"%s\" already exists, skipping", what, name) :
			 errmsg("%s \"%s\" already exists", what, name)));
}

/* Nothing was written: either there is nothing, or this transaction's snapshot is too old to see it. */
static void
report_missing(const char *what, const char *name, bool if_exists)
{
	if (exists_now(what, name))
		raise_unserializable(what, name);
	ereport(if_exists ? NOTICE : ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 if_exists ? errmsg("%s \"%s\" does not exist, skipping", what, name) :
			 errmsg("%s \"%s\" does not exist", what, name)));
}

static void
raise_unserializable(const char *what, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access to %s \"%s\"", what, name),
			 errdetail("It was registered after this transaction took its snapshot."),
			 errhint("Retry the transaction.")));
}

static void
report_used(const char *what, const char *name, const char *user_kind, const char *user)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop %s \"%s\" because others use it", what, name),
			 errdetail("%s \"%s\" uses it.", user_kind, user)));
}
