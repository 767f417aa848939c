/*-------------------------------------------------------------------------
 *
 * headers.c
 *	  What may a header be, and which headers does an event inherit?
 *
 * Headers become CloudEvents attributes, so their names and values are those
 * of CloudEvents.  An integration event inherits its domain event's headers,
 * which inherits those of the setting domev.context; what is nearer wins,
 * and a JSON null removes.  Checked once, where they come in: at SET, in
 * emit, in what a mapping returns.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "event.h"
#include "fmgr.h"
#include "headers.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "compat.h"

#define CAUSATION_ID	"causationid"

/* domev.context, and what it was parsed to; NULL: not parsed since it was set. */
static char *domev_context = NULL;
static Jsonb *parsed_context = NULL;

/* While the setting is being defined, a placeholder's value is taken as it is. */
static bool defining = false;

static bool check_context(char **newval, void **extra, GucSource source);
static void assign_context(const char *newval, void *extra);
static Jsonb *parse_context(char *context, char **problem);
static char *find_problem(Jsonb *headers, bool may_set_causation);
static char *find_name_problem(const JsonbValue *name, bool may_set_causation);
static char *find_value_problem(const char *name, const JsonbValue *value);
static bool is_uuid(const JsonbValue *value);
static bool is_int32(Numeric number);

/* Defines domev.context. */
void
domev_headers_init(void)
{
	defining = true;
	DefineCustomStringVariable("domev.context",
							   "Headers of every event of the session or transaction, as a JSON object.",
							   "Meant for SET LOCAL: user, tenant, trace, cause.",
							   &domev_context,
							   "",
							   PGC_USERSET,
							   0,
							   check_context, assign_context, NULL);
	defining = false;
}

/*
 * A value set before the library was loaded is accepted here whatever it is:
 * to drop it with a mere warning would lose headers.  domev_headers_context()
 * raises the error at the first emit.  Nor may it fail in a parallel worker of
 * the session, which takes over its settings.
 */
static bool
check_context(char **newval, void **extra, GucSource source)
{
	char	   *problem = NULL;

	if (defining || InitializingParallelWorker || (*newval)[0] == '\0' || parse_context(*newval, &problem) != NULL)
		return true;
	GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
	GUC_check_errdetail("%s", problem);
	return false;
}

static void
assign_context(const char *newval, void *extra)
{
	if (parsed_context != NULL)
		pfree(parsed_context);
	parsed_context = NULL;
}

/*
 * The headers of domev.context, NULL when there are none.  Lives until the
 * setting changes.
 */
Jsonb *
domev_headers_context(void)
{
	if (domev_context == NULL || domev_context[0] == '\0')
		return NULL;
	if (parsed_context == NULL)
	{
		char	   *problem = NULL;
		Jsonb	   *headers = parse_context(domev_context, &problem);

		if (headers == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for parameter \"%s\": \"%s\"",
							"domev.context", domev_context),
					 errdetail_internal("%s", problem)));
		parsed_context = MemoryContextAlloc(TopMemoryContext, VARSIZE(headers));
		memcpy(parsed_context, headers, VARSIZE(headers));
	}
	return parsed_context;
}

static Jsonb *
parse_context(char *context, char **problem)
{
	Jsonb	   *headers = domev_jsonb_in_compat(context, problem);

	if (headers != NULL)
		*problem = find_problem(headers, true);
	return *problem == NULL ? headers : NULL;
}

/* Raises an error that says what is wrong with the headers, if anything is. */
void
domev_headers_check(Jsonb *headers, bool may_set_causation)
{
	char	   *problem = find_problem(headers, may_set_causation);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid headers"),
				 errdetail_internal("%s", problem),
				 errhint("Headers are a JSON object; their names have lower-case letters and digits, their values are strings, booleans, 32-bit integers, or null to remove an inherited one.")));
}

/* A sentence about the first thing that is wrong, or NULL. */
static char *
find_problem(Jsonb *headers, bool may_set_causation)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;
	char	   *problem = NULL;

	if (!JB_ROOT_IS_OBJECT(headers))
		return pstrdup("Headers must be a JSON object.");
	it = JsonbIteratorInit(&headers->root);
	while (problem == NULL && (token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			name = pnstrdup(value.val.string.val, value.val.string.len);
			problem = find_name_problem(&value, may_set_causation);
		}
		else if (token == WJB_VALUE)
			problem = find_value_problem(name, &value);
	}
	return problem;
}

static char *
find_name_problem(const JsonbValue *name, bool may_set_causation)
{
	char	   *string = pnstrdup(name->val.string.val, name->val.string.len);

	if (name->val.string.len < 1 || name->val.string.len > NAMEDATALEN - 1 ||
		strspn(string, "abcdefghijklmnopqrstuvwxyz0123456789") != name->val.string.len)
		return psprintf("Header name \"%.*s\" is not 1 to %d lower-case letters and digits.",
						pg_mbcliplen(string, name->val.string.len, 100), string,
						NAMEDATALEN - 1);
	if (may_set_causation && strcmp(string, CAUSATION_ID) == 0)
		return NULL;
	if (domev_event_is_reserved(domev_text(string)))
		return psprintf("Header name \"%s\" is reserved.", string);
	return NULL;
}

static char *
find_value_problem(const char *name, const JsonbValue *value)
{
	DomevText	string;

	if (strcmp(name, CAUSATION_ID) == 0 && value->type != jbvNull && !is_uuid(value))
		return psprintf("Header \"%s\" must be a UUID.", name);
	switch (value->type)
	{
		case jbvNull:
		case jbvBool:
			return NULL;
		case jbvNumeric:
			if (is_int32(value->val.numeric))
				return NULL;
			return psprintf("Header \"%s\" is a number, but not a 32-bit integer.", name);
		case jbvString:
			string.data = value->val.string.val;
			string.size = value->val.string.len;
			if (domev_event_has_control_character(string))
				return psprintf("Header \"%s\" contains a control character.", name);
			return NULL;
		default:
			return psprintf("Header \"%s\" is an array or an object.", name);
	}
}

static bool
is_uuid(const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len != 36)
		return false;
	for (int i = 0; i < 36; i++)
	{
		unsigned char c = value->val.string.val[i];

		if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !isxdigit(c))
			return false;
	}
	return true;
}

/* As it will be written: 7, not 7.0. */
static bool
is_int32(Numeric number)
{
	char	   *string = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	char	   *end;
	long long	value;

	errno = 0;
	value = strtoll(string, &end, 10);
	return *end == '\0' && errno == 0 && value >= PG_INT32_MIN && value <= PG_INT32_MAX;
}

/*
 * An event's headers: what it inherits, overridden by its own, without those
 * that are null.  Either may be NULL; so may the result.
 */
Jsonb *
domev_headers_merge(Jsonb *inherited, Jsonb *own)
{
	Datum		merged;

	if (own == NULL && inherited == NULL)
		return NULL;
	if (own == NULL)
		merged = JsonbPGetDatum(inherited);
	else if (inherited == NULL)
		merged = JsonbPGetDatum(own);
	else
		merged = DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(inherited),
									 JsonbPGetDatum(own));
	merged = DirectFunctionCall1(jsonb_strip_nulls, merged);
	return JB_ROOT_COUNT(DatumGetJsonbP(merged)) == 0 ? NULL : DatumGetJsonbP(merged);
}

/*
 * Takes "causationid" out of a domain event's headers; it has a column of its
 * own.  Returns the rest, NULL when there is none.
 */
Jsonb *
domev_headers_take_causation(Jsonb *headers, pg_uuid_t *causation_id, bool *found)
{
	JsonbValue *value = NULL;
	Datum		rest;

	if (headers != NULL)
		value = getKeyJsonValueFromContainer(&headers->root, CAUSATION_ID,
											 strlen(CAUSATION_ID), NULL);
	*found = value != NULL;
	if (!*found)
		return headers;

	*causation_id = *DatumGetUUIDP(DirectFunctionCall1(uuid_in,
													   CStringGetDatum(pnstrdup(value->val.string.val,
																				value->val.string.len))));
	rest = DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(headers),
							   PointerGetDatum(cstring_to_text(CAUSATION_ID)));
	return JB_ROOT_COUNT(DatumGetJsonbP(rest)) == 0 ? NULL : DatumGetJsonbP(rest);
}
