/*-------------------------------------------------------------------------
 *
 * json.c
 *	  How does jsonb become text, and a string JSON?
 *
 * The text is that of jsonb's own output function, byte for byte.  That
 * function copies each string, and makes room for each character by itself:
 * half of what an emit took went into it (src/README.md has the figures).
 * PostgreSQL's iterator, its numbers and its escapes serve here too; what is
 * done otherwise is that room is made once for a string, which is good for
 * all without anything to escape, and they are nearly all.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json.h"
#include "utils/fmgrprotos.h"

#include "compat.h"

static inline char *reserve(StringInfo out, int size);
static void append_short(StringInfo out, const char *string, int size);
static void append_scalar(StringInfo out, const JsonbValue *value);

/* Appends what jsonb_out() would return. */
void
domev_json_append(StringInfo out, Jsonb *jsonb)
{
	JsonbIterator *it = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		scalar = false;
	bool		comma = false;	/* before what comes next, if it is a member */

	enlargeStringInfo(out, VARSIZE(jsonb));
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		bool		ends = token == WJB_END_ARRAY || token == WJB_END_OBJECT;

		if (comma && !ends)
			append_short(out, ", ", 2);
		comma = ends || token == WJB_VALUE || token == WJB_ELEM;
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
				/* A value of its own is kept as an array that says so. */
				scalar = value.val.array.rawScalar;
				append_short(out, "[", !scalar);
				break;
			case WJB_END_ARRAY:
				append_short(out, "]", !scalar);
				break;
			case WJB_BEGIN_OBJECT:
				append_short(out, "{", 1);
				break;
			case WJB_END_OBJECT:
				append_short(out, "}", 1);
				break;
			case WJB_KEY:
				append_scalar(out, &value);
				append_short(out, ": ", 2);
				break;
			default:
				append_scalar(out, &value);
		}
	}
	out->data[out->len] = '\0';
}

static void
append_scalar(StringInfo out, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			append_short(out, "null", 4);
			break;
		case jbvBool:
			if (value->val.boolean)
				append_short(out, "true", 4);
			else
				append_short(out, "false", 5);
			break;
		case jbvString:
			domev_json_append_string(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(numeric_out,
																			NumericGetDatum(value->val.numeric))));
			break;
		default:
			elog(ERROR, "unexpected type %d of a jsonb scalar", (int) value->type);
	}
}

/* Appends a string, in quotes. */
void
domev_json_append_string(StringInfo out, const char *string, int size)
{
	char	   *to = reserve(out, size + 2);

	*to++ = '"';
	for (int i = 0; i < size; i++)
	{
		unsigned char c = string[i];

		if (c < ' ' || c == '"' || c == '\\')
		{
			escape_json_with_len(out, string, size);
			return;
		}
		*to++ = c;
	}
	*to++ = '"';
	*to = '\0';
	out->len += size + 2;
}

/* Does not terminate what it has appended. */
static void
append_short(StringInfo out, const char *string, int size)
{
	char	   *to = reserve(out, size);

	for (int i = 0; i < size; i++)
		to[i] = string[i];
	out->len += size;
}

/* Room for so many bytes, and for the zero behind. */
static inline char *
reserve(StringInfo out, int size)
{
	if (out->maxlen - out->len <= size)
		enlargeStringInfo(out, size);
	return out->data + out->len;
}
