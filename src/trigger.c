/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  How is a capture made, found, changed and dropped?
 *
 * A capture is an ordinary trigger, named domev_ and the capture's name, whose
 * arguments are that name and its definition.  There is no other record of
 * it: it is dropped, dumped and restored with its table, and PostgreSQL keeps
 * the columns that it needs from being dropped.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "argument.h"
#include "catalog.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "definition.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "trigger.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"

#define PREFIX	"domev_"

/* A capture's trigger; strings are palloc'd. */
typedef struct CaptureTrigger
{
	Oid			oid;
	Oid			relid;
	char	   *name;			/* the trigger's */
	int16		type;
	char		enabled;
	char	   *capture;
	char	   *definition;		/* as JSON */
} CaptureTrigger;

static List *find_triggers(void);
static CaptureTrigger *read_trigger(Oid oid);
static CaptureTrigger *find_trigger(const char *capture);
static CaptureTrigger *need_trigger(const char *capture, bool missing_ok);
static Oid	capture_function(void);
static DomevOperation get_operation(FunctionCallInfo fcinfo, int arg);
static DomevOperation operation_of(int16 type);
static Relation open_captured(Oid relid, LOCKMODE lockmode);
static void check_relation(Oid relid);
static bool is_star(Node *node);
static bool is_any_given(const DomevDefinition *given);
static CaptureTrigger *lock_trigger(const char *capture, bool missing_ok, LOCKMODE lockmode,
									Relation *relation);
static void enable_trigger(CaptureTrigger *trigger, bool enable);
static void condition_context(void *arg);
static void get_attributes(FunctionCallInfo fcinfo, int first, int description,
						   DomevDefinition *definition);
static void merge_attributes(FunctionCallInfo fcinfo, const DomevDefinition *given,
							 DomevDefinition *definition);
static void check_event_type(const DomevDefinition *definition);
static Node *parse_condition(const char *condition);
static void put_trigger(const CaptureTrigger *trigger, const DomevDefinition *definition,
						Relation relation, bool replace);
static CreateTrigStmt *make_statement(const CaptureTrigger *trigger, const DomevDefinition *definition,
									  Relation relation, bool replace);
static void depend_on_columns(ObjectAddress trigger, const DomevDefinition *definition,
							  Relation relation);

/* ----------------------------------------------------------------
 *		Doors
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_create_capture);
PG_FUNCTION_INFO_V1(domev_alter_capture);
PG_FUNCTION_INFO_V1(domev_drop_capture);

Datum
domev_create_capture(PG_FUNCTION_ARGS)
{
	CaptureTrigger trigger = {0};
	DomevDefinition definition = {0};
	Relation	relation;

	PreventCommandIfReadOnly("domev.create_capture()");
	trigger.capture = domev_argument_required(fcinfo, 0, "capture");
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", "relation")));
	definition.operation = get_operation(fcinfo, 2);
	get_attributes(fcinfo, 3, 14, &definition);
	domev_event_check_name("capture", domev_text(trigger.capture), DOMEV_MAX_NAME - strlen(PREFIX));

	relation = open_captured(PG_GETARG_OID(1), ShareRowExclusiveLock);
	domev_catalog_lock();
	if (find_trigger(trigger.capture) != NULL)
	{
		bool		if_not_exists = domev_argument_flag(fcinfo, 15);

		ereport(if_not_exists ? NOTICE : ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 if_not_exists ? errmsg("%s \"%s\" already exists, skipping", "capture", trigger.capture) :
				 errmsg("%s \"%s\" already exists", "capture", trigger.capture)));
		table_close(relation, NoLock);
		PG_RETURN_VOID();
	}
	trigger.name = psprintf(PREFIX "%s", trigger.capture);
	trigger.enabled = TRIGGER_FIRES_ON_ORIGIN;
	put_trigger(&trigger, &definition, relation, false);
	table_close(relation, NoLock);
	PG_RETURN_VOID();
}

Datum
domev_alter_capture(PG_FUNCTION_ARGS)
{
	static const char *const resettable[] = {
		"event_type", "condition", "columns", "ignore", "event_type_column",
		"payload_column", "headers_column", "version_column",
		"event_id_column", "occurred_at_column", "description", NULL
	};
	char	   *capture = domev_argument_required(fcinfo, 0, "capture");
	DomevDefinition given = {0};
	DomevDefinition definition = {0};
	CaptureTrigger *trigger;
	Relation	relation;

	PreventCommandIfReadOnly("domev.alter_capture()");
	domev_argument_check_reset(fcinfo, 14, resettable);
	get_attributes(fcinfo, 1, 13, &given);
	trigger = lock_trigger(capture, false, ShareRowExclusiveLock, &relation);
	definition.operation = operation_of(trigger->type);
	(void) domev_definition_from_json(trigger->definition, &definition);
	merge_attributes(fcinfo, &given, &definition);
	if (!PG_ARGISNULL(12) && PG_GETARG_BOOL(12) == (trigger->enabled == TRIGGER_DISABLED))
		enable_trigger(trigger, PG_GETARG_BOOL(12));

	/* What is only enabled or disabled need not fit its table any more. */
	if (PG_ARGISNULL(12) || is_any_given(&given) || !PG_ARGISNULL(14))
		put_trigger(trigger, &definition, relation, true);
	table_close(relation, NoLock);
	PG_RETURN_VOID();
}

Datum
domev_drop_capture(PG_FUNCTION_ARGS)
{
	char	   *capture = domev_argument_required(fcinfo, 0, "capture");
	CaptureTrigger *trigger;
	Relation	relation;
	ObjectAddress object;

	PreventCommandIfReadOnly("domev.drop_capture()");
	trigger = lock_trigger(capture, domev_argument_flag(fcinfo, 1), AccessExclusiveLock, &relation);
	if (trigger == NULL)
		PG_RETURN_VOID();
	ObjectAddressSet(object, TriggerRelationId, trigger->oid);
	performDeletion(&object, DROP_RESTRICT, 0);
	CommandCounterIncrement();
	table_close(relation, NoLock);
	PG_RETURN_VOID();
}

/* The name of a capture that emits the event type, palloc'd; NULL: there is none. */
char *
domev_trigger_emitting(const char *event_type)
{
	ListCell   *lc;

	foreach(lc, find_triggers())
	{
		CaptureTrigger *trigger = lfirst(lc);
		DomevDefinition definition = {0};

		(void) domev_definition_from_json(trigger->definition, &definition);
		if (definition.strings[DOMEV_CAPTURE_EVENT_TYPE] != NULL &&
			strcmp(definition.strings[DOMEV_CAPTURE_EVENT_TYPE], event_type) == 0)
			return trigger->capture;
	}
	return NULL;
}

/* ----------------------------------------------------------------
 *		Arguments
 * ----------------------------------------------------------------
 */

static DomevOperation
get_operation(FunctionCallInfo fcinfo, int arg)
{
	static const char *const names[] = {"insert", "update", "delete", "truncate"};
	char	   *operation = domev_argument_required(fcinfo, arg, "operation");

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(operation, names[i]) == 0)
			return (DomevOperation) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s \"%s\"", "operation", operation),
			 errhint("It is one of \"insert\", \"update\", \"delete\" and \"truncate\".")));
	return DOMEV_INSERT;		/* keep compiler quiet */
}

/*
 * create_capture and alter_capture have the attributes in one order:
 * aggregate_id, event_type, condition, columns, ignore, the ..._column ones.
 */
static void
get_attributes(FunctionCallInfo fcinfo, int first, int description, DomevDefinition *definition)
{
	for (int i = 0; i < DOMEV_CAPTURE_DESCRIPTION; i++)
	{
		int			arg = first + i + (i > DOMEV_CAPTURE_CONDITION ? 2 : 0);

		definition->strings[i] = domev_argument_optional(fcinfo, arg);
	}
	definition->columns = domev_argument_names(fcinfo, first + DOMEV_CAPTURE_CONDITION + 1, "columns");
	definition->ignore = domev_argument_names(fcinfo, first + DOMEV_CAPTURE_CONDITION + 2, "ignore");
	definition->strings[DOMEV_CAPTURE_DESCRIPTION] = domev_argument_optional(fcinfo, description);
}

/* What alter_capture was given, over what there is; what is to be reset goes last. */
static void
merge_attributes(FunctionCallInfo fcinfo, const DomevDefinition *given, DomevDefinition *definition)
{
	for (int i = 0; i < DOMEV_CAPTURE_STRINGS; i++)
	{
		if (given->strings[i] != NULL)
			definition->strings[i] = given->strings[i];
		if (domev_argument_in_reset(fcinfo, 14, domev_definition_attribute(i)))
			definition->strings[i] = NULL;
	}
	if (given->columns != NIL)
		definition->columns = given->columns;
	if (given->ignore != NIL)
		definition->ignore = given->ignore;
	if (domev_argument_in_reset(fcinfo, 14, "columns"))
		definition->columns = NIL;
	if (domev_argument_in_reset(fcinfo, 14, "ignore"))
		definition->ignore = NIL;
}

static bool
is_any_given(const DomevDefinition *given)
{
	bool		any = given->columns != NIL || given->ignore != NIL;

	for (int i = 0; i < DOMEV_CAPTURE_STRINGS; i++)
		any = any || given->strings[i] != NULL;
	return any;
}

/* ----------------------------------------------------------------
 *		Checks
 * ----------------------------------------------------------------
 */

/*
 * Opens a table that can be captured and that the caller owns, and keeps
 * others from writing to it.  Checked before it is locked: nobody may hold up
 * the writers of somebody else's table.  And again after that, as it may have
 * changed while we waited.  lockmode is what PostgreSQL will take: a weaker one
 * first is how deadlocks come about.
 */
static Relation
open_captured(Oid relid, LOCKMODE lockmode)
{
	Relation	relation;

	check_relation(relid);
	relation = try_relation_open(relid, lockmode);
	check_relation(relid);
	return relation;
}

static void
check_relation(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	if (name == NULL || schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot capture changes of \"%s\"", name),
				 errdetail("Only ordinary and partitioned tables can be captured.")));
	if (strcmp(schema, DOMEV_SCHEMA) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot capture changes of \"%s\"", name),
				 errdetail("It is one of domev's own tables.")));
	if (IsCatalogRelationOid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", name)));
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), name);
}

/* One that a column names is looked for when the event is raised. */
static void
check_event_type(const DomevDefinition *definition)
{
	const char *name = definition->strings[DOMEV_CAPTURE_EVENT_TYPE];
	DomevEventTypeRow row;

	if (name != NULL && !domev_catalog_event_type(name, NULL, &row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event type \"%s\" does not exist", name),
				 errhint("Register it with domev.create_event_type.")));
}

/*
 * The condition as PostgreSQL's parser understands it, when it is a single
 * expression and nothing else.  It is never put together with other text, so
 * there is nothing that it could break out of.
 */
static Node *
parse_condition(const char *condition)
{
	List	   *parsed;
	SelectStmt *select;
	ResTarget  *target;
	SelectStmt	plain;

	if (condition == NULL)
		return NULL;
	parsed = raw_parser(condition, RAW_PARSE_PLPGSQL_EXPR);
	select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
	target = list_length(select->targetList) == 1 ? linitial_node(ResTarget, select->targetList) : NULL;

	/* All that a SELECT may have besides, and an expression has not. */
	memset(&plain, 0, sizeof(plain));
	plain.type = T_SelectStmt;
	plain.targetList = select->targetList;
	if (target == NULL || target->name != NULL || target->indirection != NIL ||
		is_star(target->val) || !equal(&plain, select))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("condition of the capture is not an expression"),
				 errhint("Give what could stand in WHEN (...) of CREATE TRIGGER, such as OLD.status <> NEW.status.")));
	return target->val;
}

/* "*" can stand for columns, but is no expression; PostgreSQL would crash on it. */
static bool
is_star(Node *node)
{
	return IsA(node, ColumnRef) && IsA(linitial(((ColumnRef *) node)->fields), A_Star);
}

/* ----------------------------------------------------------------
 *		Triggers
 * ----------------------------------------------------------------
 */

static void
put_trigger(const CaptureTrigger *trigger, const DomevDefinition *definition, Relation relation, bool replace)
{
	CreateTrigStmt *stmt;
	ObjectAddress object;
	char	   *condition = definition->strings[DOMEV_CAPTURE_CONDITION];
	ErrorContextCallback context;

	domev_definition_check(definition, relation);
	check_event_type(definition);
	context.callback = condition_context;
	context.arg = condition;
	context.previous = error_context_stack;
	error_context_stack = &context;
	stmt = make_statement(trigger, definition, relation, replace);
	object = CreateTriggerFiringOn(stmt, condition, RelationGetRelid(relation), InvalidOid, InvalidOid,
								   InvalidOid, capture_function(), InvalidOid, NULL, false, false,
								   trigger->enabled);
	error_context_stack = context.previous;
	depend_on_columns(object, definition, relation);
	CommandCounterIncrement();
}

/* Errors point into the condition, not into the statement that called us. */
static void
condition_context(void *arg)
{
	int			position = geterrposition();

	if (arg == NULL || position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(arg);
}

static CreateTrigStmt *
make_statement(const CaptureTrigger *trigger, const DomevDefinition *definition, Relation relation, bool replace)
{
	static const int16 events[] = {
		TRIGGER_TYPE_INSERT, TRIGGER_TYPE_UPDATE, TRIGGER_TYPE_DELETE, TRIGGER_TYPE_TRUNCATE
	};
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);

	stmt->replace = replace;
	stmt->trigname = trigger->name;
	stmt->relation = makeRangeVar(get_namespace_name(RelationGetNamespace(relation)),
								  RelationGetRelationName(relation), -1);
	stmt->funcname = list_make2(makeString(DOMEV_SCHEMA), makeString("capture_change"));
	stmt->args = list_make2(makeString(trigger->capture),
							makeString(domev_definition_to_json(definition)));
	stmt->row = definition->operation != DOMEV_TRUNCATE;
	stmt->timing = TRIGGER_TYPE_AFTER;
	stmt->events = events[definition->operation];
	stmt->whenClause = parse_condition(definition->strings[DOMEV_CAPTURE_CONDITION]);
	return stmt;
}

/* As UPDATE OF does: a column that the capture names cannot be dropped without it. */
static void
depend_on_columns(ObjectAddress trigger, const DomevDefinition *definition, Relation relation)
{
	List	   *columns = domev_definition_id_columns(definition, relation);
	ListCell   *lc;

	for (int i = DOMEV_CAPTURE_EVENT_TYPE_COLUMN; i <= DOMEV_CAPTURE_OCCURRED_AT_COLUMN; i++)
	{
		if (definition->strings[i] != NULL)
			columns = lappend_int(columns, domev_definition_column(relation, definition->strings[i]));
	}
	foreach(lc, definition->columns)
		columns = lappend_int(columns, domev_definition_column(relation, lfirst(lc)));
	foreach(lc, definition->ignore)
		columns = lappend_int(columns, domev_definition_column(relation, lfirst(lc)));
	foreach(lc, columns)
	{
		ObjectAddress column;

		ObjectAddressSubSet(column, RelationRelationId, RelationGetRelid(relation), lfirst_int(lc));
		recordDependencyOn(&trigger, &column, DEPENDENCY_NORMAL);
	}
}

static Oid
capture_function(void)
{
	return LookupFuncName(list_make2(makeString(DOMEV_SCHEMA), makeString("capture_change")),
						  0, NULL, false);
}

static DomevOperation
operation_of(int16 type)
{
	if (TRIGGER_FOR_INSERT(type))
		return DOMEV_INSERT;
	if (TRIGGER_FOR_UPDATE(type))
		return DOMEV_UPDATE;
	return TRIGGER_FOR_DELETE(type) ? DOMEV_DELETE : DOMEV_TRUNCATE;
}

/*
 * Locks the table of a capture and then the registry; NULL, and neither is
 * locked: there is no such capture, and that is a notice.  The capture may
 * have gone while we waited.
 */
static CaptureTrigger *
lock_trigger(const char *capture, bool missing_ok, LOCKMODE lockmode, Relation *relation)
{
	CaptureTrigger *trigger = need_trigger(capture, missing_ok);
	Oid			oid;

	if (trigger == NULL)
		return NULL;
	oid = trigger->oid;
	*relation = open_captured(trigger->relid, lockmode);
	domev_catalog_lock();
	trigger = need_trigger(capture, false);
	if (trigger->oid != oid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("capture \"%s\" was changed by a concurrent transaction", capture),
				 errhint("Retry.")));
	return trigger;
}

/* As ALTER TABLE ... ENABLE | DISABLE TRIGGER, partitions included. */
static void
enable_trigger(CaptureTrigger *trigger, bool enable)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);

	command->subtype = enable ? AT_EnableTrig : AT_DisableTrig;
	command->name = trigger->name;
	AlterTableInternal(trigger->relid, list_make1(command), true);
	CommandCounterIncrement();
	trigger->enabled = enable ? TRIGGER_FIRES_ON_ORIGIN : TRIGGER_DISABLED;
}

/* NULL: there is none, and that is a notice. */
static CaptureTrigger *
need_trigger(const char *capture, bool missing_ok)
{
	CaptureTrigger *trigger = find_trigger(capture);

	if (trigger == NULL)
		ereport(missing_ok ? NOTICE : ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 missing_ok ? errmsg("%s \"%s\" does not exist, skipping", "capture", capture) :
				 errmsg("%s \"%s\" does not exist", "capture", capture)));
	return trigger;
}

static CaptureTrigger *
find_trigger(const char *capture)
{
	CaptureTrigger *found = NULL;
	ListCell   *lc;

	foreach(lc, find_triggers())
	{
		CaptureTrigger *trigger = lfirst(lc);

		if (strcmp(trigger->capture, capture) != 0)
			continue;
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("there are several captures \"%s\"", capture),
					 errdetail("One is a trigger of \"%s\", another one of \"%s\".",
							   get_rel_name(found->relid), get_rel_name(trigger->relid)),
					 errhint("One was made by hand; drop it with DROP TRIGGER.")));
		found = trigger;
	}
	return found;
}

/* All captures, a list of CaptureTrigger *: what depends on the trigger function. */
static List *
find_triggers(void)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	List	   *triggers = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(capture_function()));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		CaptureTrigger *trigger = form->classid == TriggerRelationId ? read_trigger(form->objid) : NULL;

		if (trigger != NULL)
			triggers = lappend(triggers, trigger);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return triggers;
}

/* NULL for a partition's copy, and for what somebody made with other arguments. */
static CaptureTrigger *
read_trigger(Oid oid)
{
	Relation	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	CaptureTrigger *trigger = NULL;
	DomevDefinition ignored = {0};
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(pg_trigger, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		bool		isnull;
		Datum		args = heap_getattr(tuple, Anum_pg_trigger_tgargs, RelationGetDescr(pg_trigger), &isnull);

		if (!OidIsValid(form->tgparentid) && form->tgnargs == 2)
		{
			trigger = palloc0(sizeof(CaptureTrigger));
			trigger->oid = oid;
			trigger->relid = form->tgrelid;
			trigger->name = pstrdup(NameStr(form->tgname));
			trigger->type = form->tgtype;
			trigger->enabled = form->tgenabled;
			trigger->capture = pstrdup(VARDATA_ANY(DatumGetByteaPP(args)));
			trigger->definition = pstrdup(VARDATA_ANY(DatumGetByteaPP(args)) + strlen(trigger->capture) + 1);
			if (!domev_definition_from_json(trigger->definition, &ignored))
				trigger = NULL;
		}
	}
	systable_endscan(scan);
	table_close(pg_trigger, AccessShareLock);
	return trigger;
}

/* The table that the capture was made on, of whose triggers those of partitions are copies. */
Oid
domev_trigger_table(Oid trigger)
{
	Relation	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	Oid			table = InvalidOid;

	while (OidIsValid(trigger))
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
		scan = systable_beginscan(pg_trigger, TriggerOidIndexId, true, NULL, 1, &key);
		tuple = systable_getnext(scan);
		if (!HeapTupleIsValid(tuple))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("capture does not exist any more"),
					 errdetail("It was dropped by the statement that fires it.")));
		table = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
		trigger = ((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid;
		systable_endscan(scan);
	}
	table_close(pg_trigger, AccessShareLock);
	return table;
}
