/*-------------------------------------------------------------------------
 *
 * capture.c
 *	  How does a change of a table become a domain event?
 *
 * The trigger function of captures.  What its arguments say (definition.c) is
 * worked out once for each trigger: which columns count, how their row looks,
 * which columns hold what.  A change then becomes JSON by PostgreSQL's own
 * to_jsonb, so that every type looks as it does there, and goes the way of
 * domev.emit.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "definition.h"
#include "emit.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "payload.h"
#include "trigger.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"

/* A column that is read by itself; number 0: there is none. */
typedef struct Column
{
	AttrNumber	number;
	Oid			type;			/* below domains */
	bool		as_set;			/* its text may depend on settings */
	bool		as_is;			/* JSON shows what the output function returns */
	FmgrInfo	convert;		/* that function then, else to_jsonb() for its
								 * type */
} Column;

/* A trigger, worked out; in a memory context of its own, with all it points to. */
typedef struct Capture
{
	MemoryContext context;
	char	   *definition;		/* as the trigger's argument has it */
	DomevOperation operation;
	char	   *event_type;		/* NULL: in the column */
	Oid			table;			/* that the capture was made on; it may be
								 * that of a partitioned table */
	int			id_count;
	Column	   *ids;
	Column		event_type_column;
	Column		payload_column;
	Column		headers_column;
	Column		version_column;
	Column		event_id_column;
	Column		occurred_at_column;
	int			counted;		/* columns that count, and their numbers */
	AttrNumber *counted_numbers;
	DomevPayload *payload;
	ExprState **virtual;		/* by column number - 1; NULL: there are none */
} Capture;

/* What is known of a trigger. */
typedef struct Entry
{
	Oid			trigger;		/* key */
	Oid			relid;
	bool		valid;			/* cleared when the table changes */
	Capture    *capture;		/* NULL: not worked out */
} Entry;

static HTAB *captures = NULL;	/* of Entry */

/* Beyond this, entries that are not valid make room: their triggers may be gone. */
#define MANY_ENTRIES	1000

static void check_call(FunctionCallInfo fcinfo);
static bool is_of_one_operation(int16 type);
static Oid	get_owner(const Capture *capture, Relation relation);
static Capture *get_capture(TriggerData *trigger);
static void start_cache(void);
static void forget_relation(Datum arg, Oid relid);
static void let_go(Entry *entry);
static void make_room(void);
static Capture *work_out(TriggerData *trigger);
static void work_out_columns(Capture *capture, const DomevDefinition *definition, Relation relation);
static void work_out_virtual(Capture *capture, Relation relation);
static void set_column(Column *column, Relation relation, const char *name);
static bool is_same_in_all_sessions(Oid type);
static bool is_shown_as_it_is(Oid type);
static void get_row(Capture *capture, TupleTableSlot *slot, DomevRow *row);
static void compute_virtual(Capture *capture, TupleTableSlot *slot, DomevRow *row);
static List *find_changes(Capture *capture, TupleDesc tupdesc, const DomevRow *before, const DomevRow *after);
static bool is_same(Form_pg_attribute att, const DomevRow *before, const DomevRow *after);
static List *changed_keys(List *changes, const char *column, Jsonb *before, Jsonb *after);
static List *missing_keys(List *changes, const char *column, Jsonb *object, Jsonb *other, bool compare);
static void raise_event(Capture *capture, Oid owner, const DomevRow *before, const DomevRow *after, List *changes);
static char *make_aggregate_id(Capture *capture, const DomevRow *row);
static char *column_text(Column *column, const DomevRow *row);
static int	fix_settings(void);
static Jsonb *make_payload(Capture *capture, const DomevRow *before, const DomevRow *after, List *changes);
static Jsonb *column_json(Column *column, const DomevRow *row);
static TimestampTz column_time(Column *column, const DomevRow *row);
static int64 column_integer(Column *column, const DomevRow *row);
static bool is_given(const Column *column, const DomevRow *row);
static void raise_null(const char *what);

PG_FUNCTION_INFO_V1(domev_capture_change);

/* The trigger. */
Datum
domev_capture_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Capture    *capture;
	DomevRow	before = {NULL, NULL};
	DomevRow	after = {NULL, NULL};
	List	   *changes = NIL;

	check_call(fcinfo);
	domev_emit_check_circumstances(true);
	capture = get_capture(trigger);
	switch (capture->operation)
	{
		case DOMEV_INSERT:
			get_row(capture, trigger->tg_trigslot, &after);
			break;
		case DOMEV_DELETE:
			get_row(capture, trigger->tg_trigslot, &before);
			break;
		case DOMEV_UPDATE:
			get_row(capture, trigger->tg_trigslot, &before);
			get_row(capture, trigger->tg_newslot, &after);
			changes = find_changes(capture, RelationGetDescr(trigger->tg_relation), &before, &after);
			if (changes == NIL)
				return PointerGetDatum(NULL);
			break;
		case DOMEV_TRUNCATE:
			break;
	}
	raise_event(capture, get_owner(capture, trigger->tg_relation), &before, &after, changes);
	return PointerGetDatum(NULL);
}

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_AFTER(trigger->tg_event) &&
		trigger->tg_trigger->tgnargs == 2 && is_of_one_operation(trigger->tg_trigger->tgtype) &&
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" was not called by the trigger of a capture", "capture_change"),
			 errhint("Make captures with domev.create_capture.")));
}

static bool
is_of_one_operation(int16 type)
{
	int16		operations = type & (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
									 TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE);

	return operations != 0 && (operations & (operations - 1)) == 0;
}

/* Whose right to emit counts: of a partition, the owner of the table that the capture was made on. */
static Oid
get_owner(const Capture *capture, Relation relation)
{
	HeapTuple	tuple;
	Oid			owner;

	if (capture->table == RelationGetRelid(relation))
		return relation->rd_rel->relowner;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(capture->table));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", capture->table);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* ----------------------------------------------------------------
 *		Working out
 * ----------------------------------------------------------------
 */

static Capture *
get_capture(TriggerData *trigger)
{
	Oid			oid = trigger->tg_trigger->tgoid;
	Entry	   *entry;
	bool		found;

	if (captures == NULL)
		start_cache();
	entry = hash_search(captures, &oid, HASH_FIND, NULL);

	/*
	 * A statement that changes its own capture goes on with the old trigger,
	 * the next one must not.
	 */
	if (entry != NULL && entry->valid &&
		strcmp(entry->capture->definition, trigger->tg_trigger->tgargs[1]) == 0)
		return entry->capture;

	if (hash_get_num_entries(captures) >= MANY_ENTRIES)
		make_room();
	entry = hash_search(captures, &oid, HASH_ENTER, &found);
	if (found)
		let_go(entry);
	entry->capture = NULL;
	entry->relid = RelationGetRelid(trigger->tg_relation);
	entry->valid = true;		/* before anything is read: what changes from
								 * now on must be noticed */
	PG_TRY();
	{
		entry->capture = work_out(trigger);
	}
	PG_CATCH();
	{
		entry->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return entry->capture;
}

/*
 * A capture that is not valid may be in use (a cast of a column's type may
 * write to the table), so it lives to the end of the transaction.
 */
static void
let_go(Entry *entry)
{
	if (entry->capture != NULL)
		MemoryContextSetParent(entry->capture->context, TopTransactionContext);
	entry->capture = NULL;
}

static void
make_room(void)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, captures);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid)
			continue;
		let_go(entry);
		hash_search(captures, &entry->trigger, HASH_REMOVE, NULL);
	}
}

static void
start_cache(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Entry);
	ctl.hcxt = CacheMemoryContext;
	captures = hash_create("domev captures", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
}

/* Also when the table's triggers change.  Nothing but flags: what is marked may be in use. */
static void
forget_relation(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, captures);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || entry->relid == relid)
			entry->valid = false;
	}
}

static Capture *
work_out(TriggerData *trigger)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev capture",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Capture    *capture = palloc0(sizeof(Capture));
	DomevDefinition definition = {0};

	capture->context = context;
	capture->definition = pstrdup(trigger->tg_trigger->tgargs[1]);
	capture->table = trigger->tg_trigger->tgisclone ?
		domev_trigger_table(trigger->tg_trigger->tgoid) : RelationGetRelid(trigger->tg_relation);
	capture->operation = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? DOMEV_INSERT :
		TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? DOMEV_UPDATE :
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? DOMEV_DELETE : DOMEV_TRUNCATE;
	definition.operation = capture->operation;
	if (!domev_definition_from_json(trigger->tg_trigger->tgargs[1], &definition))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument of the trigger is not the definition of a capture"),
				 errhint("Make captures with domev.create_capture.")));
	domev_definition_check(&definition, trigger->tg_relation);
	work_out_columns(capture, &definition, trigger->tg_relation);
	capture->payload = domev_payload_prepare(RelationGetDescr(trigger->tg_relation),
											 capture->counted_numbers, capture->counted);
	work_out_virtual(capture, trigger->tg_relation);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	return capture;
}

static void
work_out_columns(Capture *capture, const DomevDefinition *definition, Relation relation)
{
	List	   *ids = domev_definition_id_columns(definition, relation);
	Bitmapset  *counted = domev_definition_counted(definition, relation);
	char	   *const *names = definition->strings;
	int			number = -1;
	ListCell   *lc;

	capture->event_type = names[DOMEV_CAPTURE_EVENT_TYPE];
	set_column(&capture->event_type_column, relation, names[DOMEV_CAPTURE_EVENT_TYPE_COLUMN]);
	set_column(&capture->payload_column, relation, names[DOMEV_CAPTURE_PAYLOAD_COLUMN]);
	set_column(&capture->headers_column, relation, names[DOMEV_CAPTURE_HEADERS_COLUMN]);
	set_column(&capture->version_column, relation, names[DOMEV_CAPTURE_VERSION_COLUMN]);
	set_column(&capture->event_id_column, relation, names[DOMEV_CAPTURE_EVENT_ID_COLUMN]);
	set_column(&capture->occurred_at_column, relation, names[DOMEV_CAPTURE_OCCURRED_AT_COLUMN]);

	capture->id_count = list_length(ids);
	capture->ids = palloc0((capture->id_count + 1) * sizeof(Column));
	foreach(lc, ids)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(relation), lfirst_int(lc) - 1);

		set_column(&capture->ids[foreach_current_index(lc)], relation, NameStr(att->attname));
	}

	capture->counted = 0;
	capture->counted_numbers = palloc((bms_num_members(counted) + 1) * sizeof(AttrNumber));
	while ((number = bms_next_member(counted, number)) >= 0)
		capture->counted_numbers[capture->counted++] = number;
}

/* Virtual generated columns are not in the rows that triggers get. */
static void
work_out_virtual(Capture *capture, Relation relation)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);

	capture->virtual = NULL;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		Node	   *expression;

		if (att->attisdropped || !domev_is_virtual_compat(att))
			continue;
		if (capture->virtual == NULL)
			capture->virtual = palloc0(tupdesc->natts * sizeof(ExprState *));
		expression = domev_generation_expression_compat(relation, att->attnum);
		capture->virtual[i] = ExecInitExpr(expression_planner((Expr *) expression), NULL);
	}
}

/* name NULL: there is no such column. */
static void
set_column(Column *column, Relation relation, const char *name)
{
	Oid			type;
	Oid			output;
	bool		is_varlena;

	column->number = InvalidAttrNumber;
	if (name == NULL)
		return;
	column->number = domev_definition_column(relation, name);
	type = TupleDescAttr(RelationGetDescr(relation), column->number - 1)->atttypid;
	column->type = getBaseType(type);
	column->as_set = !is_same_in_all_sessions(column->type);
	column->as_is = is_shown_as_it_is(column->type);
	if (column->as_is)
	{
		getTypeOutputInfo(column->type, &output, &is_varlena);
		fmgr_info(output, &column->convert);
	}
	else
		domev_payload_to_jsonb(&column->convert, type);
}

/* The usual types of ids: three times as fast. */
static bool
is_shown_as_it_is(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
			return true;
		default:
			return false;
	}
}

/* Those of which ids are made.  For others it does not matter to say no. */
static bool
is_same_in_all_sessions(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case BOOLOID:
		case DATEOID:
			return true;
		default:
			return false;
	}
}

/* ----------------------------------------------------------------
 *		Rows
 * ----------------------------------------------------------------
 */

/* Belongs to the slot, but for virtual columns, which are palloc'd. */
static void
get_row(Capture *capture, TupleTableSlot *slot, DomevRow *row)
{
	slot_getallattrs(slot);
	row->values = slot->tts_values;
	row->nulls = slot->tts_isnull;
	if (capture->virtual != NULL)
		compute_virtual(capture, slot, row);
}

static void
compute_virtual(Capture *capture, TupleTableSlot *slot, DomevRow *row)
{
	int			natts = slot->tts_tupleDescriptor->natts;
	ExprContext *econtext = CreateStandaloneExprContext();

	row->values = palloc(natts * sizeof(Datum));
	row->nulls = palloc(natts * sizeof(bool));
	memcpy(row->values, slot->tts_values, natts * sizeof(Datum));
	memcpy(row->nulls, slot->tts_isnull, natts * sizeof(bool));
	econtext->ecxt_scantuple = slot;
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);

		if (capture->virtual[i] == NULL)
			continue;
		row->values[i] = ExecEvalExprSwitchContext(capture->virtual[i], econtext, &row->nulls[i]);
		if (!row->nulls[i])
			row->values[i] = datumCopy(row->values[i], att->attbyval, att->attlen);
	}
	FreeExprContext(econtext, true);
}

/*
 * What an UPDATE has changed of the columns that count, a list of char *:
 * their names, and after that of a jsonb column the keys at its top, with the
 * column's name and a dot before.
 */
static List *
find_changes(Capture *capture, TupleDesc tupdesc, const DomevRow *before, const DomevRow *after)
{
	List	   *changes = NIL;

	for (int i = 0; i < capture->counted; i++)
	{
		int			n = capture->counted_numbers[i] - 1;
		Form_pg_attribute att = TupleDescAttr(tupdesc, n);

		if (is_same(att, before, after))
			continue;
		changes = lappend(changes, pstrdup(NameStr(att->attname)));
		if (getBaseType(att->atttypid) == JSONBOID && !before->nulls[n] && !after->nulls[n])
			changes = changed_keys(changes, NameStr(att->attname),
								   DatumGetJsonbP(before->values[n]), DatumGetJsonbP(after->values[n]));
	}
	return changes;
}

/* By its bytes: not every type has an equality, and 1.0 is not 1.00 in JSON. */
static bool
is_same(Form_pg_attribute att, const DomevRow *before, const DomevRow *after)
{
	int			n = att->attnum - 1;
	struct varlena *old_value;
	struct varlena *new_value;

	if (before->nulls[n] || after->nulls[n])
		return before->nulls[n] && after->nulls[n];
	if (att->attlen == -1)
	{
		/*
		 * An UPDATE that leaves a value out of line as it was keeps the
		 * pointer to it.
		 */
		old_value = (struct varlena *) DatumGetPointer(before->values[n]);
		new_value = (struct varlena *) DatumGetPointer(after->values[n]);
		if (VARATT_IS_EXTERNAL_ONDISK(old_value) && VARATT_IS_EXTERNAL_ONDISK(new_value) &&
			memcmp(old_value, new_value, VARSIZE_EXTERNAL(old_value)) == 0)
			return true;
	}
	return datum_image_eq(before->values[n], after->values[n], att->attbyval, att->attlen);
}

/* Appends the keys that one of two objects has and the other has not, or has with another value. */
static List *
changed_keys(List *changes, const char *column, Jsonb *before, Jsonb *after)
{
	if (!JB_ROOT_IS_OBJECT(before) || !JB_ROOT_IS_OBJECT(after))
		return changes;
	changes = missing_keys(changes, column, before, after, true);
	return missing_keys(changes, column, after, before, false);
}

static List *
missing_keys(List *changes, const char *column, Jsonb *object, Jsonb *other, bool compare)
{
	JsonbIterator *it = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbValue	key = {0};

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		JsonbValue *found;

		if (token == WJB_KEY)
			key = value;
		if (token != WJB_VALUE)
			continue;
		found = getKeyJsonValueFromContainer(&other->root, key.val.string.val, key.val.string.len, NULL);
		if (found != NULL && compare)
		{
			Jsonb	   *a = JsonbValueToJsonb(&value);
			Jsonb	   *b = JsonbValueToJsonb(found);

			if (VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0)
				continue;
		}
		if (found == NULL || compare)
			changes = lappend(changes, psprintf("%s.%.*s", column, key.val.string.len, key.val.string.val));
	}
	return changes;
}

/* ----------------------------------------------------------------
 *		Events
 * ----------------------------------------------------------------
 */

/* Raises the event.  Its columns are read from the row as it is now, or as it was if it is gone. */
static void
raise_event(Capture *capture, Oid owner, const DomevRow *before, const DomevRow *after, List *changes)
{
	const DomevRow *row = after->values ? after : before;
	DomevRaised raised = {0};

	/*
	 * Whoever may write to the table makes the event; whether it may be made
	 * is a matter of the table's owner, each time.
	 */
	raised.role = owner;
	raised.event_type = capture->event_type ? pstrdup(capture->event_type) : NULL;
	if (raised.event_type == NULL)
		raised.event_type = column_text(&capture->event_type_column, row);
	if (raised.event_type == NULL)
		raise_null("event_type");
	raised.aggregate_id = make_aggregate_id(capture, row);
	raised.occurred_at = column_time(&capture->occurred_at_column, row);
	raised.payload = capture->payload_column.number != InvalidAttrNumber ?
		column_json(&capture->payload_column, row) : make_payload(capture, before, after, changes);
	if (raised.payload == NULL)
		raise_null("payload");
	raised.headers = column_json(&capture->headers_column, row);
	raised.has_aggregate_version = is_given(&capture->version_column, row);
	if (raised.has_aggregate_version)
		raised.aggregate_version = column_integer(&capture->version_column, row);
	if (is_given(&capture->event_id_column, row))
		raised.event_id = DatumGetUUIDP(row->values[capture->event_id_column.number - 1]);

	/*
	 * Nothing of the capture is used from here on: what a mapping does may
	 * make it be worked out again.
	 */
	domev_emit_event(&raised);
}

/* Several columns are joined by commas; commas and backslashes in them get a backslash. */
static char *
make_aggregate_id(Capture *capture, const DomevRow *row)
{
	StringInfoData id;

	if (capture->operation == DOMEV_TRUNCATE)
		return pstrdup("*");
	initStringInfo(&id);
	for (int i = 0; i < capture->id_count; i++)
	{
		char	   *text = column_text(&capture->ids[i], row);

		if (text == NULL)
			raise_null("aggregate_id");
		if (capture->id_count == 1)
			return text;

		if (i > 0)
			appendStringInfoChar(&id, ',');
		for (; *text !='\0'; text ++)
		{
			if (*text == ',' || *text == '\\')
				appendStringInfoChar(&id, '\\');
			appendStringInfoChar(&id, *text);
		}
	}
	return id.data;
}

/* As JSON shows it, without quotes, whatever the session's settings.  NULL for NULL. */
static char *
column_text(Column *column, const DomevRow *row)
{
	JsonbValue	value;
	Jsonb	   *json;
	int			nestlevel = 0;

	if (!is_given(column, row))
		return NULL;
	if (column->as_is)
		return OutputFunctionCall(&column->convert, row->values[column->number - 1]);
	if (column->as_set)
		nestlevel = fix_settings();
	json = DatumGetJsonbP(FunctionCall1(&column->convert, row->values[column->number - 1]));
	if (column->as_set)
		AtEOXact_GUC(true, nestlevel);
	if (!JB_ROOT_IS_SCALAR(json))
		return JsonbToCString(NULL, &json->root, VARSIZE(json));
	value = *getIthJsonbValueFromContainer(&json->root, 0);
	if (value.type != jbvString)
		return JsonbToCString(NULL, &json->root, VARSIZE(json));

	/* The padding of char(n) means nothing. */
	while (column->type == BPCHAROID && value.val.string.len > 0 &&
		   value.val.string.val[value.val.string.len - 1] == ' ')
		value.val.string.len--;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* An aggregate must have one id in all sessions.  Returns the level of settings to leave. */
static int
fix_settings(void)
{
	static const char *const settings[][2] = {
		{"datestyle", "ISO"}, {"intervalstyle", "postgres"}, {"timezone", "UTC"},
		{"bytea_output", "hex"}, {"extra_float_digits", "1"}, {"xmlbinary", "base64"},
	};
	int			nestlevel = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}

static Jsonb *
make_payload(Capture *capture, const DomevRow *before, const DomevRow *after, List *changes)
{
	if (capture->operation == DOMEV_TRUNCATE)
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	return domev_payload_make(capture->payload, before, after, changes);
}

/* A column of JSON, or of its text; NULL for NULL. */
static Jsonb *
column_json(Column *column, const DomevRow *row)
{
	Datum		value;

	if (!is_given(column, row))
		return NULL;
	value = row->values[column->number - 1];
	if (column->type == JSONBOID)
		return DatumGetJsonbP(value);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(value))));
}

static TimestampTz
column_time(Column *column, const DomevRow *row)
{
	if (column->number == InvalidAttrNumber)
		return GetCurrentTimestamp();
	if (!is_given(column, row))
		raise_null("occurred_at");
	if (column->type == TIMESTAMPTZOID)
		return DatumGetTimestampTz(row->values[column->number - 1]);
	return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, row->values[column->number - 1]));
}

static int64
column_integer(Column *column, const DomevRow *row)
{
	Datum		value = row->values[column->number - 1];

	switch (column->type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

static bool
is_given(const Column *column, const DomevRow *row)
{
	return column->number != InvalidAttrNumber && !row->nulls[column->number - 1];
}

static void
raise_null(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s of an event must not be NULL", what),
			 errdetail("The captured row has NULL in the column that holds it."),
			 errhint("Leave such rows out with the capture's condition.")));
}
