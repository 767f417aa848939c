/*-------------------------------------------------------------------------
 *
 * argument.c
 *	  What did the caller of an SQL function give?
 *
 * What create_..., alter_... and drop_... functions have in common.  An
 * attribute that alter_... is not given stays as it is; "reset" names those
 * that go back to their defaults.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "argument.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"

static List *get_strings(FunctionCallInfo fcinfo, int arg);

char *
domev_argument_required(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

char *
domev_argument_optional(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

bool
domev_argument_flag(FunctionCallInfo fcinfo, int arg)
{
	return !PG_ARGISNULL(arg) && PG_GETARG_BOOL(arg);
}

/* An array of names, a list of char *; NIL when it is NULL. */
List *
domev_argument_names(FunctionCallInfo fcinfo, int arg, const char *name)
{
	ArrayType  *array;

	if (PG_ARGISNULL(arg))
		return NIL;
	array = PG_GETARG_ARRAYTYPE_P(arg);
	if (ARR_NDIM(array) != 1 || ArrayGetNItems(1, ARR_DIMS(array)) == 0 ||
		array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", name),
				 errdetail("It must be an array of one dimension, neither empty nor with NULLs."),
				 errhint("Leave the argument out for the default, or to leave things as they are.")));
	return get_strings(fcinfo, arg);
}

/* Its elements, "NULL" for those that are. */
static List *
get_strings(FunctionCallInfo fcinfo, int arg)
{
	List	   *strings = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(arg))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		strings = lappend(strings, nulls[i] ? pstrdup("NULL") : TextDatumGetCString(elements[i]));
	return strings;
}

/* Does the array of attributes to reset name this one? */
bool
domev_argument_in_reset(FunctionCallInfo fcinfo, int arg, const char *attribute)
{
	ListCell   *lc;

	foreach(lc, get_strings(fcinfo, arg))
	{
		if (strcmp(lfirst(lc), attribute) == 0)
			return true;
	}
	return false;
}

/* allowed ends with NULL. */
void
domev_argument_check_reset(FunctionCallInfo fcinfo, int arg, const char *const *allowed)
{
	ListCell   *lc;

	foreach(lc, get_strings(fcinfo, arg))
	{
		bool		known = false;

		for (int i = 0; allowed[i] != NULL; i++)
			known = known || strcmp(lfirst(lc), allowed[i]) == 0;
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("attribute \"%s\" cannot be reset", (char *) lfirst(lc)),
					 errhint("It has no default, or there is no such attribute.")));
	}
}

void
domev_argument_check_choice(const char *what, const char *value, const char *one,
							const char *other)
{
	if (strcmp(value, one) != 0 && strcmp(value, other) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s \"%s\"", what, value),
				 errhint("It is one of \"%s\" and \"%s\".", one, other)));
}
