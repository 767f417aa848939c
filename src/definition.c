/*-------------------------------------------------------------------------
 *
 * definition.c
 *	  What does a capture say, and does it fit its table?
 *
 * A definition is written into its trigger's arguments as JSON, and read back
 * from there: by alter_capture, and by the trigger when it fires.  It is
 * checked at both times, as the table may have changed in between, and
 * whoever owns it may have written the arguments by hand.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "definition.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "compat.h"

/* By DomevCaptureAttribute; the same as the columns of domev.captures. */
static const char *const attribute_names[] = {
	"aggregate_id", "event_type", "condition", "event_type_column",
	"payload_column", "headers_column", "version_column", "event_id_column",
	"occurred_at_column", "description",
};

StaticAssertDecl(lengthof(attribute_names) == DOMEV_CAPTURE_STRINGS,
				 "attribute_names must name every DomevCaptureAttribute");

static void append_list(StringInfo json, const char *name, List *strings);
static bool is_flat(const char *json);
static bool get_string(Jsonb *object, const char *name, char **string);
static bool get_list(Jsonb *object, const char *name, List **strings);
static void refuse(const char *detail);
static void check_attributes(const DomevDefinition *definition);
static void check_type(const DomevDefinition *definition, DomevCaptureAttribute attribute,
					   Relation relation, bool (*fits) (Oid type), const char *wanted);
static bool is_string(Oid type);
static bool is_json(Oid type);
static bool is_version(Oid type);
static bool is_id(Oid type);
static bool is_time(Oid type);

const char *
domev_definition_attribute(DomevCaptureAttribute attribute)
{
	return attribute_names[attribute];
}

/* ----------------------------------------------------------------
 *		As JSON
 * ----------------------------------------------------------------
 */

/* All but the operation, which the trigger itself says. */
char *
domev_definition_to_json(const DomevDefinition *definition)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < DOMEV_CAPTURE_STRINGS; i++)
	{
		if (definition->strings[i] == NULL)
			continue;
		appendStringInfo(&json, "%s\"%s\": ", json.len > 1 ? ", " : "", attribute_names[i]);
		escape_json(&json, definition->strings[i]);
	}
	append_list(&json, "columns", definition->columns);
	append_list(&json, "ignore", definition->ignore);
	appendStringInfoChar(&json, '}');
	return json.data;
}

static void
append_list(StringInfo json, const char *name, List *strings)
{
	ListCell   *lc;

	if (strings == NIL)
		return;
	appendStringInfo(json, "%s\"%s\": [", json->len > 1 ? ", " : "", name);
	foreach(lc, strings)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(json, ", ");
		escape_json(json, lfirst(lc));
	}
	appendStringInfoChar(json, ']');
}

/* Leaves the operation as it is.  False: that is no definition. */
bool
domev_definition_from_json(char *json, DomevDefinition *definition)
{
	char	   *problem = NULL;
	Jsonb	   *object = is_flat(json) ? domev_jsonb_in_compat(json, &problem) : NULL;

	if (object == NULL || !JB_ROOT_IS_OBJECT(object))
		return false;
	for (int i = 0; i < DOMEV_CAPTURE_STRINGS; i++)
	{
		if (!get_string(object, attribute_names[i], &definition->strings[i]))
			return false;
	}
	return get_list(object, "columns", &definition->columns) &&
		get_list(object, "ignore", &definition->ignore);
}

/*
 * Arrays in an object, and nothing below them?  Of what is nested deeper,
 * PostgreSQL's parser may raise an error (of the stack), for whoever looks at
 * the captures.
 */
static bool
is_flat(const char *json)
{
	bool		in_string = false;
	int			depth = 0;

	for (; *json != '\0'; json++)
	{
		if (in_string && *json == '\\' && json[1] != '\0')
			json++;
		else if (*json == '"')
			in_string = !in_string;
		else if (!in_string && (*json == '{' || *json == '['))
			depth++;
		else if (!in_string && (*json == '}' || *json == ']'))
			depth--;
		if (depth > 2)
			return false;
	}
	return true;
}

PG_FUNCTION_INFO_V1(domev_read_definition);

/* SQL, for domev.captures: the definition in a trigger's arguments; NULL: there is none. */
Datum
domev_read_definition(PG_FUNCTION_ARGS)
{
	bytea	   *arguments = PG_GETARG_BYTEA_PP(0);
	int			size = VARSIZE_ANY_EXHDR(arguments);
	char	   *name = pnstrdup(VARDATA_ANY(arguments), size);
	int			offset = strlen(name) + 1;
	DomevDefinition definition = {0};

	/* The bytes may be anybody's. */
	if (offset >= size || !pg_verifymbstr(name, offset - 1, true) ||
		!pg_verifymbstr(VARDATA_ANY(arguments) + offset, strnlen(VARDATA_ANY(arguments) + offset, size - offset), true) ||
		!domev_definition_from_json(pnstrdup(VARDATA_ANY(arguments) + offset, size - offset), &definition))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in,
										CStringGetDatum(domev_definition_to_json(&definition))));
}

/* NULL when it is not there.  False: it is something else. */
static bool
get_string(Jsonb *object, const char *name, char **string)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL);

	*string = NULL;
	if (value == NULL)
		return true;
	if (value->type != jbvString)
		return false;
	*string = pnstrdup(value->val.string.val, value->val.string.len);
	return true;
}

/* NIL when it is not there.  False: it is not an array of strings. */
static bool
get_list(Jsonb *object, const char *name, List **strings)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL);

	*strings = NIL;
	if (value == NULL)
		return true;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return false;
	for (uint32 i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);

		if (element == NULL || element->type != jbvString)
			return false;
		*strings = lappend(*strings, pnstrdup(element->val.string.val, element->val.string.len));
	}
	return *strings != NIL;
}

/* ----------------------------------------------------------------
 *		Checks
 * ----------------------------------------------------------------
 */

/* Raises what is wrong with the definition, or with it and the table. */
void
domev_definition_check(const DomevDefinition *definition, Relation relation)
{
	check_attributes(definition);
	(void) domev_definition_id_columns(definition, relation);
	(void) domev_definition_counted(definition, relation);
	check_type(definition, DOMEV_CAPTURE_EVENT_TYPE_COLUMN, relation, is_string,
			   "a string or an enum");
	check_type(definition, DOMEV_CAPTURE_PAYLOAD_COLUMN, relation, is_json,
			   "jsonb, json, or a string of JSON");
	check_type(definition, DOMEV_CAPTURE_HEADERS_COLUMN, relation, is_json,
			   "jsonb, json, or a string of JSON");
	check_type(definition, DOMEV_CAPTURE_VERSION_COLUMN, relation, is_version,
			   "smallint, integer or bigint");
	check_type(definition, DOMEV_CAPTURE_EVENT_ID_COLUMN, relation, is_id, "uuid");
	check_type(definition, DOMEV_CAPTURE_OCCURRED_AT_COLUMN, relation, is_time, "a timestamp");
}

static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid capture"),
			 errdetail_internal("%s", detail)));
}

/* Which attributes go together. */
static void
check_attributes(const DomevDefinition *definition)
{
	char	   *const *strings = definition->strings;

	if ((strings[DOMEV_CAPTURE_EVENT_TYPE] == NULL) == (strings[DOMEV_CAPTURE_EVENT_TYPE_COLUMN] == NULL))
		refuse("It needs either an event_type or an event_type_column.");
	if (definition->operation == DOMEV_TRUNCATE)
	{
		if (strings[DOMEV_CAPTURE_AGGREGATE_ID] != NULL)
			refuse("TRUNCATE has no rows: aggregate_id must be NULL, the event's is \"*\".");
		for (int i = DOMEV_CAPTURE_EVENT_TYPE_COLUMN; i <= DOMEV_CAPTURE_OCCURRED_AT_COLUMN; i++)
		{
			if (strings[i] != NULL)
				refuse("TRUNCATE has no rows, and so no columns.");
		}
		if (definition->columns != NIL || definition->ignore != NIL)
			refuse("TRUNCATE has no rows, and so no columns.");
		return;
	}
	if (strings[DOMEV_CAPTURE_AGGREGATE_ID] == NULL)
		refuse("It needs an aggregate_id: the columns that identify the aggregate.");
	if (definition->columns != NIL && definition->ignore != NIL)
		refuse("It can have columns that count or columns to ignore, not both.");
	if (strings[DOMEV_CAPTURE_EVENT_ID_COLUMN] != NULL && definition->operation != DOMEV_INSERT)
		refuse("A row's event_id_column can be the id of one event only, that of its INSERT.");
	if (strings[DOMEV_CAPTURE_PAYLOAD_COLUMN] != NULL && definition->operation != DOMEV_UPDATE &&
		(definition->columns != NIL || definition->ignore != NIL))
		refuse("With a payload_column, columns and ignore say which changes count, so they are for UPDATE only.");
}

static void
check_type(const DomevDefinition *definition, DomevCaptureAttribute attribute,
		   Relation relation, bool (*fits) (Oid type), const char *wanted)
{
	const char *name = definition->strings[attribute];
	Oid			type;

	if (name == NULL)
		return;
	type = TupleDescAttr(RelationGetDescr(relation), domev_definition_column(relation, name) - 1)->atttypid;
	if (!fits(getBaseType(type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" cannot be the %s", name, attribute_names[attribute]),
				 errdetail("It is of type %s, but must be %s.", format_type_be(type), wanted)));
}

static bool
is_string(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING || category == TYPCATEGORY_ENUM;
}

static bool
is_json(Oid type)
{
	return type == JSONBOID || type == JSONOID || type == TEXTOID || type == VARCHAROID;
}

static bool
is_version(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_id(Oid type)
{
	return type == UUIDOID;
}

static bool
is_time(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
}

/* ----------------------------------------------------------------
 *		Columns
 * ----------------------------------------------------------------
 */

AttrNumber
domev_definition_column(Relation relation, const char *name)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
					RelationGetRelationName(relation)),
			 errhint("If it was renamed, change the capture with domev.alter_capture.")));
	return InvalidAttrNumber;	/* keep compiler quiet */
}

/* The numbers of the columns of the aggregate's id, in their order. */
List *
domev_definition_id_columns(const DomevDefinition *definition, Relation relation)
{
	List	   *columns = NIL;
	List	   *names;
	ListCell   *lc;

	if (definition->strings[DOMEV_CAPTURE_AGGREGATE_ID] == NULL)
		return NIL;
	if (!SplitIdentifierString(pstrdup(definition->strings[DOMEV_CAPTURE_AGGREGATE_ID]), ',', &names) ||
		names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid aggregate_id"),
				 errdetail("It must be the names of columns, separated by commas, in double quotes if they have other than lower-case letters, digits and underscores.")));
	foreach(lc, names)
		columns = lappend_int(columns, domev_definition_column(relation, lfirst(lc)));
	return columns;
}

/* The numbers of the columns that count. */
Bitmapset *
domev_definition_counted(const DomevDefinition *definition, Relation relation)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);
	Bitmapset  *counted = NULL;
	ListCell   *lc;

	foreach(lc, definition->columns)
		counted = bms_add_member(counted, domev_definition_column(relation, lfirst(lc)));
	if (definition->columns != NIL)
		return counted;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			counted = bms_add_member(counted, i + 1);
	}
	foreach(lc, definition->ignore)
		counted = bms_del_member(counted, domev_definition_column(relation, lfirst(lc)));
	return counted;
}
