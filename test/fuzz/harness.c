/*-------------------------------------------------------------------------
 *
 * harness.c
 *	  Can bytes break what domev writes and reads while it decodes?
 *
 * The entry of libFuzzer; harness.sh builds it with the files of src/ that
 * know no catalog.  The first byte of an input says what the rest is: a row
 * of the outbox, a WAL message, JSON, names to be checked, or options of the
 * plugin.  Besides what the sanitizers see, this must hold:
 *
 *	  - reading a row or a message raises no error, whatever is in it;
 *	  - what is sent of a row is JSON in UTF-8 with the row's values, in ASCII
 *		and in protobuf it says the same;
 *	  - a message is taken with its own MAC, and not with a bit changed;
 *	  - what is JSON for another parser has the same members for member.c.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "harness.h"

#include "change.h"
#include "cloudevent.h"
#include "common/base64.h"
#include "json.h"
#include "mb/pg_wchar.h"
#include "member.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "protobuf.h"
#include "siphash.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"

#define XID			77
#define SEPARATOR	0xff		/* between the fields of an input */
#define COMMIT_LSN	UINT64CONST(0x0123456789abcdef)

/* Set by harness.sh to see that it can fail: a byte too far, and a property that does not hold. */
#define CONTROL(name)	(getenv("HARNESS_CONTROL") != NULL && strcmp(getenv("HARNESS_CONTROL"), name) == 0)

typedef struct Input
{
	const uint8 *at;
	const uint8 *end;
} Input;

static const uint8 message_key[DOMEV_SIPHASH_SIZE] = "0123456789abcde";

/* ----------------------------------------------------------------
 *		What domev_filter_... says in here
 * ----------------------------------------------------------------
 */

static bool filter_types;
static bool filter_shards;
static bool filter_replay;
static DomevText wanted_type;	/* what it was asked with */
static DomevText wanted_key;

const AttrNumber *
domev_filter_columns(DomevFilter *filter, Relation relation)
{
	static AttrNumber columns[DOMEV_OUTBOX_COLUMNS];

	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
		columns[i] = i + 1;
	return columns;
}

const uint8 *
domev_filter_message_key(DomevFilter *filter)
{
	return message_key;
}

const char *
domev_filter_source(DomevFilter *filter)
{
	return "/fuzz";
}

bool
domev_filter_wants_replay(DomevFilter *filter, DomevText publisher)
{
	return filter_replay;
}

bool
domev_filter_has_types(DomevFilter *filter)
{
	return filter_types;
}

bool
domev_filter_is_sharded(DomevFilter *filter)
{
	return filter_shards;
}

bool
domev_filter_wants(DomevFilter *filter, XLogRecPtr lsn, DomevText topic, DomevText event_type, DomevText key)
{
	wanted_type = event_type;
	wanted_key = key;
	return true;
}

/* ----------------------------------------------------------------
 *		Taking an input apart
 * ----------------------------------------------------------------
 */

static int
take_byte(Input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static int64
take_number(Input *in)
{
	uint64		number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | take_byte(in);
	return (int64) number;
}

/* Up to the separator; a copy with nothing behind it. */
static DomevText
take_field(Input *in)
{
	const uint8 *start = in->at;
	DomevText	field;
	char	   *copy;

	while (in->at < in->end && *in->at != SEPARATOR)
		in->at++;
	field.size = (int) (in->at - start);
	copy = palloc(field.size);
	memcpy(copy, start, field.size);
	field.data = copy;
	if (in->at < in->end)
		in->at++;
	return field;
}

static DomevText
take_rest(Input *in)
{
	DomevText	rest;
	char	   *copy = palloc(in->end - in->at);

	rest.size = (int) (in->end - in->at);
	memcpy(copy, in->at, rest.size);
	rest.data = copy;
	in->at = in->end;
	return rest;
}

/* As much of it as can be text of the database. */
static DomevText
as_text(DomevText bytes)
{
	const char *zero = memchr(bytes.data, 0, bytes.size);

	if (zero != NULL)
		bytes.size = (int) (zero - bytes.data);
	if (harness_encoding == PG_UTF8)
		bytes.size = pg_encoding_verifymbstr(PG_UTF8, bytes.data, bytes.size);
	return bytes;
}

/* JSON as it is; what is none becomes a string. */
static DomevText
as_json(DomevText bytes)
{
	StringInfoData out;

	bytes = as_text(bytes);
	if (json_read(bytes.data, bytes.size, harness_encoding == PG_UTF8) != NULL)
		return bytes;
	initStringInfo(&out);
	json_escape(&out, bytes);
	bytes.data = out.data;
	bytes.size = out.len;
	return bytes;
}

/* In UTF-8; without data: it cannot be. */
static DomevText
to_utf8(DomevText text)
{
	DomevText	none = {NULL, 0};
	StringInfoData out;

	initStringInfo(&out);
	enlargeStringInfo(&out, 2 * text.size);
	if (harness_encoding == PG_SQL_ASCII && pg_encoding_verifymbstr(PG_UTF8, text.data, text.size) != text.size)
		return none;
	for (int i = 0; i < text.size; i++)
	{
		unsigned char c = text.data[i];

		if (harness_encoding == PG_LATIN1 && c >= 0x80)
		{
			appendStringInfoChar(&out, (char) (0xc0 | c >> 6));
			c = 0x80 | (c & 0x3f);
		}
		appendStringInfoChar(&out, (char) c);
	}
	text.data = out.data;
	text.size = out.len;
	return text;
}

/* ----------------------------------------------------------------
 *		Rows
 * ----------------------------------------------------------------
 */

typedef struct Row
{
	HarnessTuple tuple;
	DomevText	texts[DOMEV_OUTBOX_COLUMNS];	/* of those that are text, JSON or bytes */
	bool		strange;		/* something that cannot be sent was made on purpose */
} Row;

static const DomevOutboxColumn text_columns[] = {
	DOMEV_OUTBOX_TOPIC, DOMEV_OUTBOX_EVENT_TYPE, DOMEV_OUTBOX_MAPPING, DOMEV_OUTBOX_AGGREGATE_TYPE, DOMEV_OUTBOX_AGGREGATE_ID,
	DOMEV_OUTBOX_KEY, DOMEV_OUTBOX_PAYLOAD, DOMEV_OUTBOX_DATA, DOMEV_OUTBOX_CONTENT_TYPE, DOMEV_OUTBOX_DATA_SCHEMA, DOMEV_OUTBOX_HEADERS,
};

static TupleDesc
outbox_descriptor(void)
{
	static TupleDesc tupdesc = NULL;

	if (tupdesc == NULL)
	{
		tupdesc = calloc(1, offsetof(struct TupleDescData, attrs) + DOMEV_OUTBOX_COLUMNS * (sizeof(FormData_pg_attribute) + 64));
		tupdesc->natts = DOMEV_OUTBOX_COLUMNS;
		for (int i = 0; i < lengthof(text_columns); i++)
			TupleDescAttr(tupdesc, text_columns[i])->attlen = -1;
	}
	return tupdesc;
}

/* In a short header or a long one, or only a pointer to it. */
static Datum
as_datum(DomevText text, int how, bool *strange)
{
	char	   *chunk;
	varatt_external pointer = {0};

	if ((how & 0x3f) == 0x3f)
	{
		*strange = true;
		chunk = palloc(VARHDRSZ_EXTERNAL + sizeof(pointer));
		SET_VARTAG_EXTERNAL(chunk, VARTAG_ONDISK);
		pointer.va_rawsize = how & 0x40 ? 0x3fffffff : text.size + VARHDRSZ;
		memcpy(VARDATA_EXTERNAL(chunk), &pointer, sizeof(pointer));
		return PointerGetDatum(chunk);
	}
	if ((how & 1) && text.size + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
	{
		chunk = palloc(text.size + VARHDRSZ_SHORT);
		SET_VARSIZE_SHORT(chunk, text.size + VARHDRSZ_SHORT);
		memcpy(chunk + VARHDRSZ_SHORT, text.data, text.size);
		return PointerGetDatum(chunk);
	}
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.size));
}

static pg_uuid_t *
take_uuid(Input *in)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	for (int i = 0; i < UUID_LEN; i++)
		uuid->data[i] = (unsigned char) take_byte(in);
	return uuid;
}

static void
take_row(Input *in, Row *row)
{
	HarnessTuple *tuple = &row->tuple;
	uint32		nulls = take_byte(in) | take_byte(in) << 8 | take_byte(in) << 16;
	uint64		xid = XID + ((uint64) take_byte(in) << 32);

	memset(row, 0, sizeof(Row));
	tuple->values[DOMEV_OUTBOX_EVENT_ID] = UUIDPGetDatum(take_uuid(in));
	tuple->values[DOMEV_OUTBOX_CAUSATION_ID] = UUIDPGetDatum(take_uuid(in));
	tuple->values[DOMEV_OUTBOX_AGGREGATE_VERSION] = Int64GetDatum(take_number(in));
	tuple->values[DOMEV_OUTBOX_OCCURRED_AT] = TimestampTzGetDatum(take_number(in) % (INT64CONST(400000) * USECS_PER_DAY * 10));
	tuple->values[DOMEV_OUTBOX_XACT_ID] = UInt64GetDatum(xid);
	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
		tuple->nulls[i] = nulls >> i & 1;
	for (int i = 0; i < lengthof(text_columns); i++)
	{
		DomevOutboxColumn column = text_columns[i];
		int			how = take_byte(in);
		DomevText	text = take_field(in);

		if (column == DOMEV_OUTBOX_PAYLOAD || column == DOMEV_OUTBOX_HEADERS)
			text = as_json(text);
		else if (column != DOMEV_OUTBOX_DATA)
			text = as_text(text);
		row->texts[column] = text;
		tuple->values[column] = as_datum(text, how, tuple->nulls[column] ? &(bool) {false} : &row->strange);
	}
}

static bool
row_has(const Row *row, DomevOutboxColumn column)
{
	return !row->tuple.nulls[column];
}

static void
must_say(const JsonNode *event, const char *name, DomevText text)
{
	const JsonNode *member = json_member(event, name);

	MUST(member != NULL && member->kind == JSON_STRING && same_text(member->string, to_utf8(text)));
}

/* Are the texts, the headers apart, what every event has, and text of an encoding? */
static bool
is_plain(const Row *row)
{
	if (row->strange || row_has(row, DOMEV_OUTBOX_HEADERS) || !row_has(row, DOMEV_OUTBOX_EVENT_ID) || !row_has(row, DOMEV_OUTBOX_EVENT_TYPE) ||
		!row_has(row, DOMEV_OUTBOX_AGGREGATE_TYPE) || !row_has(row, DOMEV_OUTBOX_AGGREGATE_ID) || !row_has(row, DOMEV_OUTBOX_OCCURRED_AT))
		return false;
	for (int i = 0; i < lengthof(text_columns); i++)
	{
		if (text_columns[i] != DOMEV_OUTBOX_DATA && text_columns[i] != DOMEV_OUTBOX_MAPPING && to_utf8(row->texts[text_columns[i]]).data == NULL)
			return false;
	}
	return true;
}

/* All that an event says of its row. */
static void
compare_row(const Row *row, const JsonNode *event)
{
	static const struct
	{
		DomevOutboxColumn column;
		const char *name;
	}			members[] = {
		{DOMEV_OUTBOX_EVENT_TYPE, "type"}, {DOMEV_OUTBOX_AGGREGATE_ID, "subject"}, {DOMEV_OUTBOX_TOPIC, "topic"},
		{DOMEV_OUTBOX_AGGREGATE_TYPE, "aggregatetype"}, {DOMEV_OUTBOX_DATA_SCHEMA, "dataschema"}, {DOMEV_OUTBOX_CONTENT_TYPE, "datacontenttype"},
		{DOMEV_OUTBOX_KEY, "partitionkey"},
	};
	const JsonNode *data = json_member(event, "data");

	for (int i = 0; i < lengthof(members); i++)
	{
		if (row_has(row, members[i].column))
			must_say(event, members[i].name, row->texts[members[i].column]);
	}
	MUST(row_has(row, DOMEV_OUTBOX_PAYLOAD) == (data != NULL));
	if (data != NULL)
	{
		const JsonNode *payload = json_read(row->texts[DOMEV_OUTBOX_PAYLOAD].data, row->texts[DOMEV_OUTBOX_PAYLOAD].size, false);

		MUST(same_text(data->raw, to_utf8(payload->raw)));
	}
	else
		MUST(row_has(row, DOMEV_OUTBOX_DATA) == (json_member(event, "data_base64") != NULL));
	MUST(row_has(row, DOMEV_OUTBOX_CAUSATION_ID) == (json_member(event, "causationid") != NULL));
	MUST(row_has(row, DOMEV_OUTBOX_AGGREGATE_VERSION) == (json_member(event, "aggregateversion") != NULL));
}

/* Is there a member twice?  A row by hand may have such headers. */
static bool
has_repeated_name(const JsonNode *object)
{
	for (const JsonNode *a = object->child; a != NULL; a = a->next)
	{
		for (const JsonNode *b = a->next; b != NULL; b = b->next)
		{
			if (same_text(a->name, b->name))
				return true;
		}
	}
	return false;
}

/* In ASCII it must be the same JSON. */
static void
compare_ascii(DomevText body, const JsonNode *event)
{
	StringInfoData ascii;
	const JsonNode *same;
	const JsonNode *a;
	const JsonNode *b;

	initStringInfo(&ascii);
	enlargeStringInfo(&ascii, 6 * body.size);
	domev_cloudevent_to_ascii(&ascii, body.data, body.size);
	appendStringInfoChar(&ascii, '}');
	for (int i = 0; i < ascii.len; i++)
		MUST((unsigned char) ascii.data[i] < 0x80);
	same = json_read(ascii.data, ascii.len, true);
	MUST(same != NULL);
	for (a = event->child, b = same->child; a != NULL && b != NULL; a = a->next, b = b->next)
		MUST(same_text(a->name, b->name) && a->kind == b->kind && same_text(a->string, b->string));
	MUST(a == NULL && b == NULL);
}

/* Finished, it must be JSON, and say the same in protobuf; returns its size. */
static Size
compare_formats(DomevText body, TimestampTz time)
{
	StringInfoData json;
	StringInfoData protobuf;
	const JsonNode *event;

	initStringInfo(&json);
	appendBinaryStringInfo(&json, body.data, body.size);
	domev_cloudevent_finish(&json, COMMIT_LSN, 0xfedcba98, true);
	event = json_read(json.data, json.len, true);
	MUST(event != NULL && event->kind == JSON_OBJECT);
	MUST(same_text(json_member(event, "sequence")->string, domev_text("0123456789ABCDEF.FEDCBA98")));
	if (!has_repeated_name(event))
	{
		initStringInfo(&protobuf);
		domev_protobuf_append(&protobuf, body.data, body.size, COMMIT_LSN, 0xfedcba98, true);
		protobuf_compare(protobuf.data, protobuf.len, event, time);
	}
	return json.len;
}

/* What emit takes for an upper bound of the size, so that it need not make the event, must be one. */
static void
compare_bound(const Row *row, Size size)
{
	DomevEvent	event;

	domev_event_from_row(&event, row->tuple.values, row->tuple.nulls);
	MUST(size <= domev_cloudevent_size_limit(&event, domev_filter_source(NULL)));
}

static void
fuzz_row(Input *in)
{
	Row			row;
	RelationData relation = {0};
	DomevText	body;
	const JsonNode *event;
	StringInfoData json;
	Size		size;
	bool		unpublishable;

	take_row(in, &row);
	if (CONTROL("property"))
		row.tuple.values[DOMEV_OUTBOX_EVENT_TYPE] = as_datum(domev_text("another"), 0, &unpublishable);
	relation.rd_att = outbox_descriptor();
	if (!domev_change_read_row(NULL, XID, COMMIT_LSN, &relation, (HeapTuple) &row.tuple, &body))
	{
		MUST(!row_has(&row, DOMEV_OUTBOX_TOPIC) || !row_has(&row, DOMEV_OUTBOX_XACT_ID));
		return;
	}
	initStringInfo(&json);
	appendBinaryStringInfo(&json, body.data, body.size);
	appendStringInfoChar(&json, '}');
	event = json_read(json.data, json.len, true);
	MUST(event != NULL && event->kind == JSON_OBJECT);
	MUST(json_member(event, "id")->string.size == 36);
	unpublishable = !is_plain(&row) && same_text(json_member(event, "type")->string, domev_text("domev.unpublishable"));
	compare_ascii(body, event);
	size = compare_formats(body, DatumGetTimestampTz(row.tuple.values[DOMEV_OUTBOX_OCCURRED_AT]));
	if (!unpublishable)
	{
		compare_row(&row, event);
		if (!row.strange)
			compare_bound(&row, size);
	}
}

/* ----------------------------------------------------------------
 *		Messages
 * ----------------------------------------------------------------
 */

/* What member.c makes of the bytes; with what another parser does, if that takes them. */
static void
read_members(DomevText bytes, const JsonNode *object)
{
	const JsonNode *expected = object && object->kind == JSON_OBJECT ? object->child : NULL;
	DomevMemberScan scan;
	DomevMember member;
	bool		boolean;
	int32		number;

	domev_member_begin(&scan, bytes.data, bytes.size);
	while (domev_member_next(&scan, &member))
	{
		StringInfoData string;

		initStringInfo(&string);
		MUST(member.value.data >= bytes.data && member.value.data + member.value.size <= bytes.data + bytes.size);
		domev_member_is_boolean(&member, &boolean);
		domev_member_is_int32(&member, &number);
		if (domev_member_is_string(&member))
			domev_member_append_string(&string, &member);
		if (object == NULL || object->kind != JSON_OBJECT)
			continue;
		MUST(expected != NULL && same_text(member.name, expected->raw_name) && same_text(member.value, expected->raw));
		MUST(expected->kind != JSON_STRING || (string.len == expected->string.size && memcmp(string.data, expected->string.data, string.len) == 0));
		expected = expected->next;
	}
	MUST(expected == NULL);
}

static bool
read_message(DomevText message, DomevText *body)
{
	return domev_change_read_message(NULL, XID, COMMIT_LSN, "domev/fuzz", message.size, message.data, body);
}

/* As it is replayed: for whoever asks for it, and by this prefix only. */
static void
replay_message(DomevText bytes)
{
	StringInfoData message;
	DomevText	body;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, bytes.data, bytes.size);
	domev_cloudevent_seal(&message, message_key, XID, "domev.replay/p/fuzz");
	filter_replay = false;
	MUST(domev_change_read_message(NULL, XID, COMMIT_LSN, "domev.replay/p/fuzz", message.len, message.data, &body) && body.data == NULL);
	filter_replay = true;
	MUST(domev_change_read_message(NULL, XID, COMMIT_LSN, "domev.replay/p/fuzz", message.len, message.data, &body) && body.size == bytes.size);
	MUST(!domev_change_read_message(NULL, XID, COMMIT_LSN, "domev.replay/q/fuzz", message.len, message.data, &body));
	MUST(!domev_change_read_message(NULL, XID, COMMIT_LSN, "domev.replay/p", message.len, message.data, &body));
	MUST(!domev_change_read_message(NULL, XID, COMMIT_LSN, "domev/fuzz", message.len, message.data, &body));
}

static void
fuzz_message(Input *in)
{
	int			change = take_byte(in) << 8 | take_byte(in);
	DomevText	bytes = take_rest(in);
	DomevText	body;
	DomevText	found;
	StringInfoData message;

	if (CONTROL("byte"))
		bytes.size++;
	MUST(!read_message(bytes, &body));
	read_members(bytes, json_read(bytes.data, bytes.size, false));

	/* the same with a MAC, as domev would have written it */
	initStringInfo(&message);
	appendBinaryStringInfo(&message, bytes.data, bytes.size);
	domev_cloudevent_seal(&message, message_key, XID, "domev/fuzz");
	found.data = message.data;
	found.size = message.len;
	/* genuine ones are JSON; what is none has no members to ask for */
	if (json_read(message.data, message.len, true) == NULL)
		filter_types = filter_shards = false;
	MUST(read_message(found, &body) && body.size == bytes.size);
	replay_message(bytes);
	MUST(!domev_change_read_message(NULL, XID + 1, COMMIT_LSN, "domev/fuzz", message.len, message.data, &body));
	MUST(!domev_change_read_message(NULL, XID, COMMIT_LSN, "domev/fuzy", message.len, message.data, &body));
	message.data[change % message.len] ^= 1 << (change >> 13);
	MUST(!read_message(found, &body));
}

/* ----------------------------------------------------------------
 *		JSON, names, options
 * ----------------------------------------------------------------
 */

static void
fuzz_json(Input *in)
{
	DomevText	bytes = take_rest(in);
	const JsonNode *node = json_read(bytes.data, bytes.size, false);
	Jsonb	   *jsonb = palloc0(sizeof(Jsonb));
	StringInfoData out;
	StringInfoData expected;

	SET_VARSIZE(jsonb, sizeof(Jsonb));
	initStringInfo(&out);
	initStringInfo(&expected);
	if (node != NULL)
		json_write(&expected, node);
	if (strstr(expected.data, "\\u0000") != NULL)	/* no jsonb has it */
		resetStringInfo(&expected);
	else if (node != NULL)
	{
		harness_jsonb = node;
		domev_json_append(&out, jsonb);
	}
	bytes.size = strnlen(bytes.data, bytes.size);
	domev_json_append_string(&out, bytes.data, bytes.size);
	json_escape(&expected, bytes);
	MUST(out.len == expected.len && memcmp(out.data, expected.data, out.len) == 0 && out.data[out.len] == '\0');
	node = json_read(expected.data, expected.len, false);
	MUST(node == NULL || same_text(node->string, bytes));
}

/* Runs what may raise the error for bad values, and no other; was there none? */
static bool
passes(void (*check) (DomevText), DomevText text)
{
	jmp_buf		raised;
	bool		passed = false;

	harness_raised = &raised;
	if (setjmp(raised) == 0)
	{
		check(text);
		passed = true;
	}
	else
		MUST(harness_sqlstate == ERRCODE_INVALID_PARAMETER_VALUE);
	harness_raised = NULL;
	return passed;
}

static void
check_name(DomevText text)
{
	domev_event_check_name("name", text, DOMEV_MAX_NAME);
}

static void
check_content_type(DomevText text)
{
	domev_event_check_content_type(text, false);
}

static void
check_uri(DomevText text)
{
	domev_event_check_uri("source", text, false);
}

static void
check_absolute_uri(DomevText text)
{
	domev_event_check_uri("schema", text, true);
}

static bool
is_printable_ascii(DomevText text)
{
	for (int i = 0; i < text.size; i++)
	{
		if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] > '~')
			return false;
	}
	return text.size > 0;
}

static void
fuzz_names(Input *in)
{
	DomevText	text = as_text(take_rest(in));
	pg_uuid_t	id;
	pg_uuid_t	cause = {{0}};

	if (passes(domev_event_check_topic, text))
		MUST(is_printable_ascii(text) && text.size <= DOMEV_MAX_NAME && memchr(text.data, '/', text.size) == NULL);
	if (passes(check_name, text))
	{
		MUST(!domev_event_has_control_character(text) && text.size >= 1 && text.size <= DOMEV_MAX_NAME);
		domev_event_derive_id(&id, &cause, text, 1);
		MUST(id.data[6] >> 4 == 8 && id.data[8] >> 6 == 2);
	}
	if (passes(check_content_type, text))
		MUST(is_printable_ascii(text) && memchr(text.data, '/', text.size) != NULL);
	if (passes(check_uri, text))
		MUST(is_printable_ascii(text) && memchr(text.data, ' ', text.size) == NULL);
	if (passes(check_absolute_uri, text))
		MUST(passes(check_uri, text) && memchr(text.data, ':', text.size) != NULL);
	domev_event_is_reserved(text);
}

static List *given_options;

static void
parse_options(DomevText unused)
{
	DomevOptions options;

	domev_options_parse(&options, given_options);
	MUST(options.shards >= 0 && options.shards <= 1024 && options.shard >= 0 && (options.shards == 0 || options.shard < options.shards));
}

/* Names and values in turns; a value that is empty is none. */
static void
fuzz_options(Input *in)
{
	DomevText	none = {NULL, 0};

	given_options = NIL;
	while (in->at < in->end)
	{
		DefElem    *element = palloc0(sizeof(DefElem));
		String	   *value = palloc0(sizeof(String));
		DomevText	text;

		text = as_text(take_field(in));
		element->type = T_DefElem;
		element->defname = pnstrdup(text.data, text.size);
		text = as_text(take_field(in));
		value->type = T_String;
		value->sval = pnstrdup(text.data, text.size);
		element->arg = text.size > 0 ? (Node *) value : NULL;
		given_options = lappend(given_options, element);
	}
	passes(parse_options, none);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	static const int encodings[] = {PG_UTF8, PG_UTF8, PG_LATIN1, PG_SQL_ASCII};
	Input		in = {data, data + size};
	int			what = take_byte(&in);

	harness_encoding = encodings[what >> 6];
	filter_types = what >> 5 & 1;
	filter_shards = what >> 4 & 1;
	switch (what & 0xf)
	{
		case 'r' & 0xf:
			fuzz_row(&in);
			break;
		case 'm' & 0xf:
			fuzz_message(&in);
			break;
		case 'j' & 0xf:
			fuzz_json(&in);
			break;
		case 'n' & 0xf:
			fuzz_names(&in);
			break;
		case 'o' & 0xf:
			fuzz_options(&in);
			break;
	}
	harness_free_all();
	return 0;
}
