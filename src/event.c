/*-------------------------------------------------------------------------
 *
 * event.c
 *	  What is an event, and what may it hold?
 *
 * Conversion between DomevEvent and a row of domev.outbox, ids, and the
 * rules for names and values.  The rules are those of CloudEvents and of the
 * brokers behind it, checked when an event is made: nothing that cannot be
 * published may get into the outbox, as the output plugin must never fail.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "event.h"
#include "mb/pg_wchar.h"
#include "siphash.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

/* Name and type of each column of domev.outbox, in their order. */
static const struct
{
	const char *name;
	Oid			type;
}			outbox_columns[] = {
	{"event_id", UUIDOID},
	{"recorded_at", TIMESTAMPTZOID},
	{"xact_id", XID8OID},
	{"topic", TEXTOID},
	{"event_type", TEXTOID},
	{"mapping", TEXTOID},
	{"causation_id", UUIDOID},
	{"aggregate_type", TEXTOID},
	{"aggregate_id", TEXTOID},
	{"aggregate_version", INT8OID},
	{"key", TEXTOID},
	{"payload", JSONOID},
	{"data", BYTEAOID},
	{"content_type", TEXTOID},
	{"data_schema", TEXTOID},
	{"headers", JSONOID},
	{"occurred_at", TIMESTAMPTZOID},
};

StaticAssertDecl(lengthof(outbox_columns) == DOMEV_OUTBOX_COLUMNS,
				 "outbox_columns must name every DomevOutboxColumn");

static void put_text(DomevText string, Datum *value, bool *null);
static DomevText get_text(Datum value, bool null);
static bool is_of_legal_size(const DomevEvent *event);
static bool are_members(DomevText headers);
static uint64 rising_time(void);
static void set_version_and_variant(pg_uuid_t *id, int version);
static bool has_plain_characters(DomevText name);
static bool is_media_type(const char *s);
static bool skip_token(const char **s);
static bool skip_quoted(const char **s);
static bool is_scheme(const char *s);
static bool are_uri_characters(const char *s);
static bool are_brackets_of_host(const char *s);

/* ----------------------------------------------------------------
 *		Rows
 * ----------------------------------------------------------------
 */

/*
 * Finds the outbox's columns in a table that may have them in another order,
 * as an attached partition may.  False when one is missing or of another
 * type; its number is InvalidAttrNumber then.
 */
bool
domev_event_find_columns(TupleDesc tupdesc, AttrNumber *attnums)
{
	bool		complete = true;

	for (int column = 0; column < DOMEV_OUTBOX_COLUMNS; column++)
	{
		attnums[column] = InvalidAttrNumber;
		for (int i = 0; i < tupdesc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(tupdesc, i);

			if (!att->attisdropped &&
				att->atttypid == outbox_columns[column].type &&
				strcmp(NameStr(att->attname), outbox_columns[column].name) == 0)
				attnums[column] = att->attnum;
		}
		if (attnums[column] == InvalidAttrNumber)
			complete = false;
	}
	return complete;
}

/*
 * Fills values and nulls, indexed by DomevOutboxColumn.  What is passed by
 * reference is allocated in the current memory context, or is the event's.
 */
void
domev_event_to_row(const DomevEvent *event, Datum *values, bool *nulls)
{
	memset(nulls, 0, sizeof(bool) * DOMEV_OUTBOX_COLUMNS);
	values[DOMEV_OUTBOX_EVENT_ID] = UUIDPGetDatum(&event->event_id);
	values[DOMEV_OUTBOX_RECORDED_AT] = TimestampTzGetDatum(event->recorded_at);
	values[DOMEV_OUTBOX_XACT_ID] = FullTransactionIdGetDatum(FullTransactionIdFromU64(event->xact_id));
	values[DOMEV_OUTBOX_CAUSATION_ID] = UUIDPGetDatum(&event->causation_id);
	nulls[DOMEV_OUTBOX_CAUSATION_ID] = !event->has_causation_id;
	values[DOMEV_OUTBOX_AGGREGATE_VERSION] = Int64GetDatum(event->aggregate_version);
	nulls[DOMEV_OUTBOX_AGGREGATE_VERSION] = !event->has_aggregate_version;
	values[DOMEV_OUTBOX_OCCURRED_AT] = TimestampTzGetDatum(event->occurred_at);

#define PUT(column, field) \
	put_text(event->field, &values[DOMEV_OUTBOX_##column], &nulls[DOMEV_OUTBOX_##column])
	PUT(TOPIC, topic);
	PUT(EVENT_TYPE, event_type);
	PUT(MAPPING, mapping);
	PUT(AGGREGATE_TYPE, aggregate_type);
	PUT(AGGREGATE_ID, aggregate_id);
	PUT(KEY, key);
	PUT(PAYLOAD, payload);
	PUT(DATA, data);
	PUT(CONTENT_TYPE, content_type);
	PUT(DATA_SCHEMA, data_schema);
	PUT(HEADERS, headers);
#undef PUT
}

/*
 * The reverse, for a row whose values are all in line and not compressed;
 * the event's strings point into them.  False when the row is not as domev
 * writes rows: without what every event has, larger than any event may be, or
 * with headers that are no members of an object.
 */
bool
domev_event_from_row(DomevEvent *event, const Datum *values, const bool *nulls)
{
	memset(event, 0, sizeof(DomevEvent));
	if (!nulls[DOMEV_OUTBOX_EVENT_ID])
		event->event_id = *DatumGetUUIDP(values[DOMEV_OUTBOX_EVENT_ID]);
	event->has_causation_id = !nulls[DOMEV_OUTBOX_CAUSATION_ID];
	if (event->has_causation_id)
		event->causation_id = *DatumGetUUIDP(values[DOMEV_OUTBOX_CAUSATION_ID]);
	event->has_aggregate_version = !nulls[DOMEV_OUTBOX_AGGREGATE_VERSION];
	if (event->has_aggregate_version)
		event->aggregate_version = DatumGetInt64(values[DOMEV_OUTBOX_AGGREGATE_VERSION]);
	if (!nulls[DOMEV_OUTBOX_RECORDED_AT])
		event->recorded_at = DatumGetTimestampTz(values[DOMEV_OUTBOX_RECORDED_AT]);
	if (!nulls[DOMEV_OUTBOX_OCCURRED_AT])
		event->occurred_at = DatumGetTimestampTz(values[DOMEV_OUTBOX_OCCURRED_AT]);
	if (!nulls[DOMEV_OUTBOX_XACT_ID])
		event->xact_id = U64FromFullTransactionId(DatumGetFullTransactionId(values[DOMEV_OUTBOX_XACT_ID]));

#define GET(column, field) \
	event->field = get_text(values[DOMEV_OUTBOX_##column], nulls[DOMEV_OUTBOX_##column])
	GET(TOPIC, topic);
	GET(EVENT_TYPE, event_type);
	GET(MAPPING, mapping);
	GET(AGGREGATE_TYPE, aggregate_type);
	GET(AGGREGATE_ID, aggregate_id);
	GET(KEY, key);
	GET(PAYLOAD, payload);
	GET(DATA, data);
	GET(CONTENT_TYPE, content_type);
	GET(DATA_SCHEMA, data_schema);
	GET(HEADERS, headers);
#undef GET

	return !nulls[DOMEV_OUTBOX_EVENT_ID] && !nulls[DOMEV_OUTBOX_XACT_ID] &&
		!nulls[DOMEV_OUTBOX_OCCURRED_AT] && event->event_type.data != NULL &&
		event->aggregate_type.data != NULL && event->aggregate_id.data != NULL &&
		is_of_legal_size(event) && are_members(event->headers);
}

static bool
is_of_legal_size(const DomevEvent *event)
{
	Size		size = (Size) event->event_type.size + event->aggregate_type.size +
		event->aggregate_id.size + event->key.size + event->payload.size +
		event->data.size + event->content_type.size + event->data_schema.size +
		event->headers.size;

	return size <= (Size) DOMEV_MAX_EVENT_KB * 1024;
}

/* JSON that is an object with a member, as jsonb writes it. */
static bool
are_members(DomevText headers)
{
	return headers.data == NULL ||
		(headers.size > 4 && headers.data[0] == '{' && headers.data[1] == '"' &&
		 headers.data[headers.size - 1] == '}');
}

static void
put_text(DomevText string, Datum *value, bool *null)
{
	*null = string.data == NULL;
	*value = *null ? (Datum) 0 :
		PointerGetDatum(cstring_to_text_with_len(string.data, string.size));
}

static DomevText
get_text(Datum value, bool null)
{
	DomevText	result = {NULL, 0};

	if (!null)
	{
		result.data = VARDATA_ANY(DatumGetPointer(value));
		result.size = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	}
	return result;
}

/* A terminated string, or NULL, as DomevText. */
DomevText
domev_text(const char *string)
{
	DomevText	result = {string, string ? strlen(string) : 0};

	return result;
}

/* ----------------------------------------------------------------
 *		Ids
 * ----------------------------------------------------------------
 */

/*
 * A UUID of version 7: 48 bits of Unix time in milliseconds, 12 bits of the
 * rest of the millisecond, 62 random bits.  The time rises with every call
 * in a backend, even when the clock does not.  The random bits come from the
 * process's generator, which PostgreSQL seeds strongly: ids must not
 * collide, they need not be secret.
 */
void
domev_event_new_id(pg_uuid_t *id)
{
	uint64		time = rising_time();
	uint64		random = pg_prng_uint64(&pg_global_prng_state);

	for (int i = 0; i < 6; i++)
		id->data[i] = (uint8) (time >> (52 - 8 * i));
	id->data[6] = (uint8) ((time >> 8) & 0x0f);
	id->data[7] = (uint8) time;
	memcpy(&id->data[8], &random, sizeof(random));
	set_version_and_variant(id, 7);
}

/* Time since 1970 in 4096ths of a millisecond, more than it was before. */
static uint64
rising_time(void)
{
	static uint64 last = 0;
	struct timespec now;
	uint64		time;

	clock_gettime(CLOCK_REALTIME, &now);
	time = ((uint64) now.tv_sec * 1000 + now.tv_nsec / 1000000) << 12;
	time |= ((uint64) (now.tv_nsec % 1000000) << 12) / 1000000;
	last = Max(time, last + 1);
	return last;
}

/*
 * The id of the event that a mapping made of another one: a function of the
 * cause's id, the mapping's name and the position among its results, so that
 * a repetition has the same id.  A cause of version 7 lends its time.  Never
 * to be changed: consumers tell repeated events by their ids.
 */
void
domev_event_derive_id(pg_uuid_t *id, const pg_uuid_t *cause, DomevText mapping,
					  uint32 ordinal)
{
	char	   *utf8 = pg_server_to_any(mapping.data, mapping.size, PG_UTF8);
	int			size = utf8 == mapping.data ? mapping.size : strlen(utf8);
	uint8		input[DOMEV_MAX_NAME * MAX_CONVERSION_GROWTH + 4];

	Assert(size + 4 <= sizeof(input));
	for (int i = 0; i < 4; i++)
		input[i] = (uint8) (ordinal >> (24 - 8 * i));
	memcpy(input + 4, utf8, size);
	domev_siphash(cause->data, input, size + 4, id->data);

	if (cause->data[6] >> 4 == 7)
	{
		memcpy(id->data, cause->data, 6);
		set_version_and_variant(id, 7);
	}
	else
		set_version_and_variant(id, 8);
}

static void
set_version_and_variant(pg_uuid_t *id, int version)
{
	id->data[6] = (id->data[6] & 0x0f) | (version << 4);
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

/* ----------------------------------------------------------------
 *		Checks
 * ----------------------------------------------------------------
 */

/*
 * A name or identifier of any kind: not empty, within its limit, without the
 * control characters that CloudEvents forbids and that could inject lines
 * into the headers of a broker's protocol.
 */
void
domev_event_check_name(const char *what, DomevText name, int limit)
{
	if (name.size < 1 || name.size > limit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", what),
				 errdetail("It has %d bytes, it may have 1 to %d.", name.size, limit)));
	if (domev_event_has_control_character(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", what),
				 errdetail("It contains a control character.")));
}

/* Topics are named by what Kafka allows, which every broker can take. */
void
domev_event_check_topic(DomevText topic)
{
	domev_event_check_name("topic", topic, DOMEV_MAX_NAME);
	if (!has_plain_characters(topic))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic"),
				 errdetail("A topic has only the letters a to z and A to Z, digits, \".\", \"_\" and \"-\".")));
	if (topic.data[0] == '.' && (topic.size == 1 || (topic.size == 2 && topic.data[1] == '.')))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic"),
				 errdetail("A topic must not be \".\" or \"..\".")));
}

static bool
has_plain_characters(DomevText name)
{
	for (int i = 0; i < name.size; i++)
	{
		unsigned char c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* May a publisher ask for replays by this name?  It stands in the prefix of messages, before a topic. */
bool
domev_event_is_publisher(DomevText name)
{
	return name.size >= 1 && name.size <= DOMEV_MAX_NAME && has_plain_characters(name);
}

/* A media type, as RFC 9110 has it; json: it must say that the data is JSON. */
void
domev_event_check_content_type(DomevText content_type, bool json)
{
	char	   *copy = pnstrdup(content_type.data, content_type.size);
	char	   *end = copy + strcspn(copy, "; \t");

	if (content_type.size > DOMEV_MAX_CONTENT_TYPE || !is_media_type(copy))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid content type"),
				 errdetail("A content type is \"type/subtype\", and maybe parameters (\"; name=value\"), in at most %d printable ASCII characters.",
						   DOMEV_MAX_CONTENT_TYPE)));
	if (json && !(end - copy >= 5 && (pg_strncasecmp(end - 5, "/json", 5) == 0 ||
									  pg_strncasecmp(end - 5, "+json", 5) == 0)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("content type \"%s\" is not one of JSON", copy),
				 errdetail("The event has a payload, which is JSON."),
				 errhint("Give the bytes of another format as data, without a payload.")));
	pfree(copy);
}

static bool
is_media_type(const char *s)
{
	if (!skip_token(&s) || *s++ != '/' || !skip_token(&s))
		return false;
	for (;;)
	{
		s += strspn(s, " \t");
		if (*s == '\0')
			return true;
		if (*s++ != ';')
			return false;
		s += strspn(s, " \t");
		if (!skip_token(&s) || *s++ != '=' || !(skip_token(&s) || skip_quoted(&s)))
			return false;
	}
}

static bool
skip_token(const char **s)
{
	const char *start = *s;

	while (isascii((unsigned char) **s) &&
		   (isalnum((unsigned char) **s) || (**s != '\0' && strchr("!#$%&'*+-.^_`|~", **s) != NULL)))
		(*s)++;
	return *s > start;
}

static bool
skip_quoted(const char **s)
{
	if (**s != '"')
		return false;
	for ((*s)++; **s != '"'; (*s)++)
	{
		if (**s == '\\')
			(*s)++;
		if (**s < ' ' || **s > '~')
			return false;
	}
	(*s)++;
	return true;
}

/* A URI reference, or, absolute, a URI, as RFC 3986 has them. */
void
domev_event_check_uri(const char *what, DomevText uri, bool absolute)
{
	char	   *copy = pnstrdup(uri.data, uri.size);
	char	   *colon = copy + strcspn(copy, ":/?#");
	bool		has_scheme = *colon == ':';

	if (uri.size < 1 || uri.size > DOMEV_MAX_URI || strlen(copy) != uri.size ||
		(has_scheme && !is_scheme(copy)) || (absolute && !has_scheme) ||
		!are_uri_characters(copy) || !are_brackets_of_host(has_scheme ? colon + 1 : copy))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", what),
				 absolute ?
				 errdetail("It must be a URI with its scheme, of 1 to %d ASCII characters, others percent-encoded.",
						   DOMEV_MAX_URI) :
				 errdetail("It must be a URI reference of 1 to %d ASCII characters, others percent-encoded.",
						   DOMEV_MAX_URI)));
	pfree(copy);
}

/* Does it start with a scheme, up to the first colon? */
static bool
is_scheme(const char *s)
{
	size_t		size = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return s[size] == ':' && size > 0 && strspn(s, "0123456789+-.") == 0;
}

/* The characters of URIs; one fragment at the most. */
static bool
are_uri_characters(const char *s)
{
	int			fragments = 0;

	for (; *s != '\0'; s++)
	{
		if (*s <= ' ' || *s > '~' || strchr("\"<>\\^`{|}", *s) != NULL)
			return false;
		if (*s == '%' && !(isxdigit((unsigned char) s[1]) && isxdigit((unsigned char) s[2])))
			return false;
		if (*s == '#' && ++fragments > 1)
			return false;
	}
	return true;
}

/* Brackets stand around the address in an authority, "//user@[::1]:80", and nowhere else.  s is behind the scheme. */
static bool
are_brackets_of_host(const char *s)
{
	const char *open = strchr(s, '[');
	const char *close;
	const char *authority_end;

	if (open == NULL)
		return strchr(s, ']') == NULL;
	if (strncmp(s, "//", 2) != 0)
		return false;
	authority_end = s + 2 + strcspn(s + 2, "/?#");
	close = open + 1 + strspn(open + 1, "0123456789abcdefABCDEF:.");
	if (open >= authority_end || (open != s + 2 && open[-1] != '@') ||
		close == open + 1 || *close != ']')
		return false;
	close++;
	if (*close == ':')
		close += 1 + strspn(close + 1, "0123456789");
	return close == authority_end && strpbrk(close, "[]") == NULL;
}

/*
 * A header becomes an attribute of the event: may it not have this name,
 * because CloudEvents or domev has an attribute of that name?
 */
bool
domev_event_is_reserved(DomevText name)
{
	static const char *const reserved[] = {
		"aggregatetype", "aggregateversion", "causationid", "data",
		"datacontenttype", "dataschema", "endoftransaction", "id", "mac",
		"originaltype", "partitionkey", "replayid", "sequence", "source",
		"specversion", "subject", "time", "topic", "type",
	};

	for (int i = 0; i < lengthof(reserved); i++)
	{
		if (strlen(reserved[i]) == name.size && memcmp(reserved[i], name.data, name.size) == 0)
			return true;
	}
	return false;
}

/* RFC 3339 has years of four digits. */
void
domev_event_check_time(TimestampTz occurred_at)
{
	static const TimestampTz year_10000 = INT64CONST(252455616000000000);
	static const TimestampTz year_1 = -INT64CONST(63082281600000000);

	if (occurred_at < year_1 || occurred_at >= year_10000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time of the event is out of range"),
				 errdetail("An event occurs in one of the years 1 to 9999.")));
}

/*
 * C0, DEL and, in UTF-8, C1.  In other encodings the bytes of C1 may be
 * printable, or parts of a character; JSON can carry them in any case.
 */
bool
domev_event_has_control_character(DomevText string)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;

	for (int i = 0; i < string.size; i++)
	{
		unsigned char c = string.data[i];

		if (c < 0x20 || c == 0x7f)
			return true;
		if (utf8 && c == 0xc2 && i + 1 < string.size && (unsigned char) string.data[i + 1] < 0xa0)
			return true;
	}
	return false;
}
