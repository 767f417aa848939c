/*-------------------------------------------------------------------------
 *
 * payload.c
 *	  How do the rows of a change become the payload of its event?
 *
 *	  {"before": {column: value, ...}, "after": {...}, "changed": ["column", ...]}
 *
 * A value is what to_jsonb() makes of it.  That function finds out at each
 * call what type it was given and how that becomes JSON, which took most of
 * its time; for the types below we know.  What they become is the same
 * (test/sql/capture_types.sql).
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "payload.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "compat.h"

/* A column of the table that is in the payload. */
typedef struct Column
{
	AttrNumber	number;
	char	   *name;
	Oid			type;			/* below domains */
	FmgrInfo	to_jsonb;		/* for its type */
} Column;

/* Lives in the memory context that was current when it was prepared. */
struct DomevPayload
{
	int			count;
	Column	   *columns;
};

static void push_string(DomevJsonbState *state, JsonbIteratorToken token, const char *string, int size);
static void push_row(DomevJsonbState *state, const char *name, DomevPayload *payload, const DomevRow *row);
static void push_changed(DomevJsonbState *state, List *changed);
static void push_value(DomevJsonbState *state, Column *column, Datum datum, bool isnull);
static bool is_known(const Column *column, Datum datum, JsonbValue *value);
static bool is_number(Numeric numeric, JsonbValue *value);

/* numbers: of the columns that are in the payload. */
DomevPayload *
domev_payload_prepare(TupleDesc tupdesc, const AttrNumber *numbers, int count)
{
	DomevPayload *payload = palloc(sizeof(DomevPayload));

	payload->count = count;
	payload->columns = palloc0((count + 1) * sizeof(Column));
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, numbers[i] - 1);
		Column	   *column = &payload->columns[i];

		column->number = numbers[i];
		column->name = pstrdup(NameStr(att->attname));
		column->type = getBaseType(att->atttypid);
		domev_payload_to_jsonb(&column->to_jsonb, att->atttypid);
	}
	return payload;
}

/* Prepares a call of to_jsonb(anyelement), which learns the type from the expression that calls it. */
void
domev_payload_to_jsonb(FmgrInfo *flinfo, Oid type)
{
	Const	   *argument = makeConst(type, -1, InvalidOid, -1, (Datum) 0, true, false);

	fmgr_info(F_TO_JSONB, flinfo);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL), flinfo);
}

/* Palloc'd.  changed: names, of char *; NIL: not an UPDATE. */
Jsonb *
domev_payload_make(DomevPayload *payload, const DomevRow *before, const DomevRow *after, List *changed)
{
	DomevJsonbState state = {0};

	domev_push_jsonb_compat(&state, WJB_BEGIN_OBJECT, NULL);
	if (before->values != NULL)
		push_row(&state, "before", payload, before);
	if (after->values != NULL)
		push_row(&state, "after", payload, after);
	if (changed != NIL)
		push_changed(&state, changed);
	domev_push_jsonb_compat(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

static void
push_row(DomevJsonbState *state, const char *name, DomevPayload *payload, const DomevRow *row)
{
	push_string(state, WJB_KEY, name, strlen(name));
	domev_push_jsonb_compat(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < payload->count; i++)
	{
		Column	   *column = &payload->columns[i];
		int			n = column->number - 1;

		push_string(state, WJB_KEY, column->name, strlen(column->name));
		push_value(state, column, row->values[n], row->nulls[n]);
	}
	domev_push_jsonb_compat(state, WJB_END_OBJECT, NULL);
}

static void
push_changed(DomevJsonbState *state, List *changed)
{
	ListCell   *lc;

	push_string(state, WJB_KEY, "changed", strlen("changed"));
	domev_push_jsonb_compat(state, WJB_BEGIN_ARRAY, NULL);
	foreach(lc, changed)
		push_string(state, WJB_ELEM, lfirst(lc), strlen(lfirst(lc)));
	domev_push_jsonb_compat(state, WJB_END_ARRAY, NULL);
}

static void
push_string(DomevJsonbState *state, JsonbIteratorToken token, const char *string, int size)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = size;
	domev_push_jsonb_compat(state, token, &value);
}

static void
push_value(DomevJsonbState *state, Column *column, Datum datum, bool isnull)
{
	JsonbValue	value;

	if (isnull)
		value.type = jbvNull;
	else if (!is_known(column, datum, &value))
	{
		Jsonb	   *json = DatumGetJsonbP(FunctionCall1(&column->to_jsonb, datum));

		if (!JsonbExtractScalar(&json->root, &value))
		{
			value.type = jbvBinary;
			value.val.binary.data = &json->root;
			value.val.binary.len = VARSIZE(json) - VARHDRSZ;
		}
	}
	domev_push_jsonb_compat(state, WJB_VALUE, &value);
}

/* False: leave it to to_jsonb(). */
static bool
is_known(const Column *column, Datum datum, JsonbValue *value)
{
	struct varlena *text;

	switch (column->type)
	{
		case BOOLOID:
			value->type = jbvBool;
			value->val.boolean = DatumGetBool(datum);
			return true;
		case INT2OID:
			return is_number(int64_to_numeric(DatumGetInt16(datum)), value);
		case INT4OID:
			return is_number(int64_to_numeric(DatumGetInt32(datum)), value);
		case INT8OID:
			return is_number(int64_to_numeric(DatumGetInt64(datum)), value);
		case NUMERICOID:
			return is_number(DatumGetNumeric(datum), value);
		case TEXTOID:
		case VARCHAROID:
			text = PG_DETOAST_DATUM_PACKED(datum);

			value->type = jbvString;
			value->val.string.val = VARDATA_ANY(text);
			value->val.string.len = VARSIZE_ANY_EXHDR(text);
			return value->val.string.len <= JENTRY_OFFLENMASK;	/* that is an error */
		default:
			return false;
	}
}

/* What is no number in JSON becomes a string. */
static bool
is_number(Numeric numeric, JsonbValue *value)
{
	value->type = jbvNumeric;
	value->val.numeric = numeric;

	return !numeric_is_nan(numeric) && !numeric_is_inf(numeric);
}
