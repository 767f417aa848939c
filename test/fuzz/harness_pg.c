/*-------------------------------------------------------------------------
 *
 * harness_pg.c
 *	  What of PostgreSQL do the fuzzed files need?
 *
 * Not the server's own functions: these have room to the byte, so that the
 * sanitizer sees a byte too far, and raise an error by leaving, so that one
 * where there must be none is seen as well.  The rest comes from PostgreSQL's
 * libraries for clients, libpgcommon and libpgport.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "harness.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "change.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "compat.h"

#undef palloc
#undef pfree

int			harness_encoding = PG_UTF8;
jmp_buf    *harness_raised = NULL;
int			harness_sqlstate = 0;
const JsonNode *harness_jsonb = NULL;

MemoryContext CurrentMemoryContext = NULL;
Oid			MyDatabaseId = 5;

/* ----------------------------------------------------------------
 *		Memory: all of an input's is freed at its end
 * ----------------------------------------------------------------
 */

static void **chunks = NULL;
static size_t chunk_count = 0;
static size_t chunk_room = 0;

static void *
remember(void *chunk)
{
	if (chunk_count == chunk_room)
	{
		chunk_room = chunk_room * 2 + 64;
		chunks = realloc(chunks, chunk_room * sizeof(void *));
	}
	return chunks[chunk_count++] = chunk;
}

static size_t
find_chunk(const void *chunk)
{
	for (size_t i = chunk_count; i > 0; i--)
	{
		if (chunks[i - 1] == chunk)
			return i - 1;
	}
	abort();					/* not of palloc, or freed before */
}

void *
palloc(Size size)
{
	MUST(size < 0x3fffffff);
	return remember(malloc(size));
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *chunk)
{
	chunks[find_chunk(chunk)] = chunks[chunk_count - 1];
	chunk_count--;
	free(chunk);
}

void *
repalloc(void *chunk, Size size)
{
	size_t		i = find_chunk(chunk);

	return chunks[i] = realloc(chunk, size);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return remember(malloc(size));
}

void
harness_free_all(void)
{
	while (chunk_count > 0)
		free(chunks[--chunk_count]);
}

char *
pnstrdup(const char *string, Size size)
{
	Size		length = strnlen(string, size);
	char	   *copy = palloc(length + 1);

	memcpy(copy, string, length);
	copy[length] = '\0';
	return copy;
}

char *
pstrdup(const char *string)
{
	return pnstrdup(string, strlen(string));
}

char *
psprintf(const char *format,...)
{
	char		text[2000];
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return pstrdup(text);
}

/* ----------------------------------------------------------------
 *		Strings: with room for what is in them, and no more
 * ----------------------------------------------------------------
 */

void
initStringInfo(StringInfo string)
{
	string->data = palloc(1);
	string->data[0] = '\0';
	string->len = string->cursor = 0;
	string->maxlen = 1;
}

void
resetStringInfo(StringInfo string)
{
	string->data[0] = '\0';
	string->len = string->cursor = 0;
}

void
enlargeStringInfo(StringInfo string, int needed)
{
	MUST(needed >= 0);
	if (string->len + needed + 1 <= string->maxlen)
		return;
	string->maxlen = string->len + needed + 1;
	string->data = repalloc(string->data, string->maxlen);
}

void
appendBinaryStringInfo(StringInfo string, const
#if PG_VERSION_NUM >= 160000
					   void
#else
					   char
#endif
					   *data, int size)
{
	enlargeStringInfo(string, size);
	memcpy(string->data + string->len, data, size);
	string->len += size;
	string->data[string->len] = '\0';
}

void
appendStringInfoString(StringInfo string, const char *text)
{
	appendBinaryStringInfo(string, text, strlen(text));
}

void
appendStringInfoChar(StringInfo string, char c)
{
	appendBinaryStringInfo(string, &c, 1);
}

void
appendStringInfo(StringInfo string, const char *format,...)
{
	char		text[2000];
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	appendStringInfoString(string, text);
}

/* ----------------------------------------------------------------
 *		Errors
 * ----------------------------------------------------------------
 */

bool
errstart(int elevel, const char *domain)
{
	return elevel >= ERROR;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return elevel >= ERROR;
}

int
errcode(int sqlstate)
{
	harness_sqlstate = sqlstate;
	return 0;
}

#define IGNORED(name) int name(const char *format,...) { return 0; }
IGNORED(errmsg)
IGNORED(errmsg_internal)
IGNORED(errdetail)
IGNORED(errhint)

void
errfinish(const char *file, int line, const char *function)
{
	if (harness_raised == NULL)
	{
		fprintf(stderr, "an error where there must be none, at %s:%d\n", file, line);
		abort();
	}
	longjmp(*harness_raised, 1);
}

/* ----------------------------------------------------------------
 *		Encodings: UTF-8, LATIN1, or bytes that say nothing
 * ----------------------------------------------------------------
 */

int
GetDatabaseEncoding(void)
{
	return harness_encoding;
}

bool
pg_verify_mbstr(int encoding, const char *string, int size, bool noerror)
{
	bool		valid = memchr(string, 0, size) == NULL && pg_encoding_verifymbstr(encoding, string, size) == size;

	if (!valid && !noerror)
		errfinish(__FILE__, __LINE__, "pg_verify_mbstr");
	return valid;
}

Oid
FindDefaultConversionProc(int32 from, int32 to)
{
	return from == PG_LATIN1 ? 1 : InvalidOid;
}

int
pg_do_encoding_conversion_buf(Oid proc, int from, int to, unsigned char *source, int size, unsigned char *target,
							  int room, bool noerror)
{
	int			done = 0;

	MUST(from == PG_LATIN1 && to == PG_UTF8);
	for (; done < size && source[done] != 0; done++)
	{
		if (source[done] < 0x80)
			*target++ = source[done];
		else
		{
			*target++ = 0xc0 | source[done] >> 6;
			*target++ = 0x80 | (source[done] & 0x3f);
		}
	}
	*target = 0;
	return done;
}

char *
pg_any_to_server(const char *string, int size, int encoding)
{
	return unconstify(char *, string);
}

char *
pg_server_to_any(const char *string, int size, int encoding)
{
	return unconstify(char *, string);
}

/* ----------------------------------------------------------------
 *		Values
 * ----------------------------------------------------------------
 */

text *
cstring_to_text_with_len(const char *string, int size)
{
	text	   *result = palloc(size + VARHDRSZ);

	SET_VARSIZE(result, size + VARHDRSZ);
	memcpy(VARDATA(result), string, size);
	return result;
}

uint64
hex_encode(const char *source, size_t size, char *target)
{
	for (size_t i = 0; i < size; i++)
	{
		*target++ = "0123456789abcdef"[(unsigned char) source[i] >> 4];
		*target++ = "0123456789abcdef"[source[i] & 0xf];
	}
	return size * 2;
}

char *
pg_ultostr_zeropad(char *string, uint32 value, int32 width)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		string[i] = '0' + value % 10;
	MUST(value == 0);
	return string + width;
}

/* The days since 4714-11-24 BC, and back: by counting from March, when leap days come last. */
int
date2j(int year, int month, int day)
{
	int64		y = (int64) year - (month <= 2);
	int64		era = (y >= 0 ? y : y - 399) / 400;
	int64		of_era = y - era * 400;
	int64		of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return (int) (era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468 + 2440588);
}

int
timestamp2tm(Timestamp time, int *zone, struct pg_tm *tm, fsec_t *fsec, const char **name, pg_tz *tz)
{
	int64		days = time / USECS_PER_DAY - (time % USECS_PER_DAY < 0);
	int64		rest = time - days * USECS_PER_DAY;
	int64		z = days + 10957 + 719468;
	int64		era = (z >= 0 ? z : z - 146096) / 146097;
	int64		of_era = z - era * 146097;
	int64		year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64		of_year = of_era - (365 * year + year / 4 - year / 100);
	int64		month = (5 * of_year + 2) / 153;

	tm->tm_mday = of_year - (153 * month + 2) / 5 + 1;
	tm->tm_mon = month < 10 ? month + 3 : month - 9;
	tm->tm_year = year + era * 400 + (tm->tm_mon <= 2);
	tm->tm_hour = rest / USECS_PER_HOUR;
	tm->tm_min = rest / USECS_PER_MINUTE % 60;
	tm->tm_sec = rest / USECS_PER_SEC % 60;
	*fsec = rest % USECS_PER_SEC;
	return 0;
}

/* Numbers of a jsonb are their text here. */
Datum
numeric_out(PG_FUNCTION_ARGS)
{
	abort();
}

Datum
textlike(PG_FUNCTION_ARGS)
{
	abort();
}

Datum
DirectFunctionCall1Coll(PGFunction function, Oid collation, Datum argument)
{
	MUST(function == numeric_out);
	return argument;
}

Datum
DirectFunctionCall2Coll(PGFunction function, Oid collation, Datum argument1, Datum argument2)
{
	MUST(function == textlike);
	return BoolGetDatum(false);
}

List *
lappend(List *list, void *datum)
{
	int			length = list ? list->length : 0;
	List	   *result = palloc(sizeof(List));

	result->type = T_List;
	result->length = result->max_length = length + 1;
	result->elements = palloc(result->length * sizeof(ListCell));
	if (length > 0)
		memcpy(result->elements, list->elements, length * sizeof(ListCell));
	result->elements[length].ptr_value = datum;
	return result;
}

void
escape_json(StringInfo out, const char *string)
{
	DomevText	text = {string, strlen(string)};

	json_escape(out, text);
}

#if PG_VERSION_NUM >= 180000
void
escape_json_with_len(StringInfo out, const char *string, int size)
{
	DomevText	text = {string, size};

	json_escape(out, text);
}
#endif

/* ----------------------------------------------------------------
 *		A jsonb is what harness_jsonb has
 * ----------------------------------------------------------------
 */

struct JsonFrame
{
	const JsonNode *node;		/* an object or array */
	const JsonNode *at;			/* its next child */
};

static struct JsonFrame frames[10000];
static int	depth = 0;
static int	state;				/* 0: at the start, 1: inside, 2: a scalar begun, 3: its value given, 4: done */
static bool named;				/* the name of the next member is given */

JsonbIterator *
JsonbIteratorInit(JsonbContainer *container)
{
	depth = 0;
	state = 0;
	named = false;
	return (JsonbIterator *) frames;
}

static void
put_value(JsonbValue *value, const JsonNode *node)
{
	if (node->kind == JSON_STRING)
	{
		value->type = jbvString;
		value->val.string.val = unconstify(char *, node->string.data);
		value->val.string.len = node->string.size;
	}
	else if (node->kind == JSON_NUMBER)
	{
		value->type = jbvNumeric;
		value->val.numeric = (Numeric) pnstrdup(node->raw.data, node->raw.size);
	}
	else
	{
		value->type = node->raw.data[0] == 'n' ? jbvNull : jbvBool;
		value->val.boolean = node->raw.data[0] == 't';
	}
}

static JsonbIteratorToken
enter(JsonbValue *value, const JsonNode *node)
{
	MUST(depth < lengthof(frames));
	frames[depth].node = node;
	frames[depth].at = node->child;
	depth++;
	value->type = node->kind == JSON_OBJECT ? jbvObject : jbvArray;
	value->val.array.rawScalar = false;
	return node->kind == JSON_OBJECT ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY;
}

static JsonbIteratorToken
next_in_frame(JsonbValue *value)
{
	struct JsonFrame *frame = &frames[depth - 1];
	const JsonNode *child = frame->at;
	bool		object = frame->node->kind == JSON_OBJECT;

	if (child == NULL)
	{
		depth--;
		return object ? WJB_END_OBJECT : WJB_END_ARRAY;
	}
	if (object && !named)
	{
		named = true;
		value->type = jbvString;
		value->val.string.val = unconstify(char *, child->name.data);
		value->val.string.len = child->name.size;
		return WJB_KEY;
	}
	named = false;
	frame->at = child->next;
	if (child->kind == JSON_OBJECT || child->kind == JSON_ARRAY)
		return enter(value, child);
	put_value(value, child);
	return object ? WJB_VALUE : WJB_ELEM;
}

JsonbIteratorToken
JsonbIteratorNext(JsonbIterator **it, JsonbValue *value, bool skip_nested)
{
	bool		scalar = harness_jsonb->kind != JSON_OBJECT && harness_jsonb->kind != JSON_ARRAY;

	if (state == 0 && !scalar)
	{
		state = 1;
		return enter(value, harness_jsonb);
	}
	if (state == 0)
	{
		state = 2;
		value->type = jbvArray;
		value->val.array.rawScalar = true;
		return WJB_BEGIN_ARRAY;
	}
	if (state == 2)
	{
		state = 3;
		put_value(value, harness_jsonb);
		return WJB_ELEM;
	}
	if (state == 3)
	{
		state = 4;
		return WJB_END_ARRAY;
	}
	return state == 1 && depth > 0 ? next_in_frame(value) : WJB_DONE;
}

/* ----------------------------------------------------------------
 *		Tuples
 * ----------------------------------------------------------------
 */

void
heap_deform_tuple(HeapTuple tuple, TupleDesc tupdesc, Datum *values, bool *nulls)
{
	HarnessTuple *given = (HarnessTuple *) tuple;

	memcpy(values, given->values, sizeof(given->values));
	memcpy(nulls, given->nulls, sizeof(given->nulls));
}

/* What is in line has its size; what is elsewhere says it. */
Size
toast_raw_datum_size(Datum value)
{
	struct varlena *attr = (struct varlena *) DatumGetPointer(value);
	varatt_external pointer;

	if (!VARATT_IS_EXTERNAL_ONDISK(attr))
		return VARSIZE_ANY_EXHDR(attr) + VARHDRSZ;
	memcpy(&pointer, VARDATA_EXTERNAL(attr), sizeof(pointer));
	return pointer.va_rawsize;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	MUST(!VARATT_IS_EXTERNAL(datum));
	return datum;
}
