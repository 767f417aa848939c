/*-------------------------------------------------------------------------
 *
 * protobuf.c
 *	  How does an event look in the CloudEvents protobuf format?
 *
 * The message io.cloudevents.v1.CloudEvent.  It is made of the event's JSON
 * when it is sent, so that rows and WAL messages, which hold JSON, need not
 * be told apart, and both formats say the same.
 *
 *	  message CloudEvent {
 *		string id = 1; string source = 2; string spec_version = 3; string type = 4;
 *		map<string, CloudEventAttributeValue> attributes = 5;
 *		oneof data { bytes binary_data = 6; string text_data = 7; Any proto_data = 8; }
 *	  }
 *
 * JSON goes into binary_data: the specification does not say whether it is
 * text, and the SDK for Go takes JSON in text_data for a JSON string.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cloudevent.h"
#include "common/base64.h"
#include "datatype/timestamp.h"
#include "member.h"
#include "protobuf.h"
#include "utils/datetime.h"

#include "compat.h"

/* Fields of CloudEvent. */
#define FIELD_ATTRIBUTES	5
#define FIELD_BINARY_DATA	6

/* Fields of an entry of a map. */
#define FIELD_KEY			1
#define FIELD_VALUE			2

/* Fields of CloudEventAttributeValue. */
#define VALUE_BOOLEAN		1
#define VALUE_INTEGER		2
#define VALUE_STRING		3
#define VALUE_URI			5
#define VALUE_TIMESTAMP		7

/* Fields of google.protobuf.Timestamp. */
#define FIELD_SECONDS		1
#define FIELD_NANOS			2

#define WIRE_VARINT			0
#define WIRE_BYTES			2

/* The attributes that have a field of their own. */
static const struct
{
	const char *name;
	int			field;
}			own_fields[] = {
	{"id", 1},
	{"source", 2},
	{"specversion", 3},
	{"type", 4},
};

static void append_member(StringInfo out, const DomevMember *member);
static void append_binary_data(StringInfo out, const DomevMember *member);
static void append_attribute(StringInfo out, DomevText name, const char *value, int size);
static void append_value(StringInfo out, const DomevMember *member);
static void append_timestamp(StringInfo out, const char *time);
static int	own_field(const DomevMember *member);
static void append_bytes(StringInfo out, int field, const char *bytes, int size);
static void append_number(StringInfo out, int field, uint64 number);
static void append_varint(StringInfo out, uint64 value);
static char *text_of(const DomevMember *member, int *size);

/* Appends the event whose body, without its end, is size bytes of JSON. */
void
domev_protobuf_append(StringInfo out, const char *body, Size size,
					  XLogRecPtr commit_lsn, uint32 index, bool last)
{
	DomevMemberScan scan;
	DomevMember member;
	StringInfoData value;
	char		sequence[DOMEV_SEQUENCE_SIZE];

	domev_member_begin(&scan, body, size);
	while (domev_member_next(&scan, &member))
		append_member(out, &member);

	domev_cloudevent_sequence(sequence, commit_lsn, index);
	initStringInfo(&value);
	append_bytes(&value, VALUE_STRING, sequence, strlen(sequence));
	append_attribute(out, domev_text("sequence"), value.data, value.len);
	resetStringInfo(&value);
	append_number(&value, VALUE_BOOLEAN, last);
	append_attribute(out, domev_text("endoftransaction"), value.data, value.len);
	pfree(value.data);
}

static void
append_member(StringInfo out, const DomevMember *member)
{
	int			field = own_field(member);
	char	   *text;
	int			size;

	if (domev_member_is(member, "data"))
		append_bytes(out, FIELD_BINARY_DATA, member->value.data, member->value.size);
	else if (domev_member_is(member, "data_base64") && domev_member_is_string(member))
		append_binary_data(out, member);
	else if (field != 0)
	{
		text = text_of(member, &size);

		append_bytes(out, field, text, size);
		pfree(text);
	}
	else
	{
		StringInfoData value;

		initStringInfo(&value);
		append_value(&value, member);
		append_attribute(out, member->name, value.data, value.len);
		pfree(value.data);
	}
}

static void
append_binary_data(StringInfo out, const DomevMember *member)
{
	int			size = member->value.size - 2;
	char	   *bytes = palloc(pg_b64_dec_len(size) + 1);
	int			decoded = domev_b64_decode_compat(member->value.data + 1, size,
												  bytes, pg_b64_dec_len(size));

	if (decoded >= 0)
		append_bytes(out, FIELD_BINARY_DATA, bytes, decoded);
	pfree(bytes);
}

/* An entry of the map; value is an encoded CloudEventAttributeValue. */
static void
append_attribute(StringInfo out, DomevText name, const char *value, int size)
{
	StringInfoData entry;

	initStringInfo(&entry);
	append_bytes(&entry, FIELD_KEY, name.data, name.size);
	append_bytes(&entry, FIELD_VALUE, value, size);
	append_bytes(out, FIELD_ATTRIBUTES, entry.data, entry.len);
	pfree(entry.data);
}

/* CloudEventAttributeValue: of the type that the attribute has in CloudEvents. */
static void
append_value(StringInfo out, const DomevMember *member)
{
	bool		boolean;
	int32		number;
	int			size;
	char	   *text;

	if (domev_member_is_boolean(member, &boolean))
	{
		append_number(out, VALUE_BOOLEAN, boolean);
		return;
	}
	if (domev_member_is_int32(member, &number))
	{
		append_number(out, VALUE_INTEGER, (uint64) (int64) number);
		return;
	}
	text = text_of(member, &size);

	if (domev_member_is(member, "time"))
		append_timestamp(out, text);
	else
		append_bytes(out, domev_member_is(member, "dataschema") ? VALUE_URI : VALUE_STRING,
					 text, size);
	pfree(text);
}

/* A time as cloudevent.c writes it. */
static void
append_timestamp(StringInfo out, const char *time)
{
	StringInfoData timestamp;
	int			year,
				month,
				day,
				hour,
				minute,
				second,
				microsecond;
	int64		days;

	if (sscanf(time, "%d-%d-%dT%d:%d:%d.%dZ", &year, &month, &day,
			   &hour, &minute, &second, &microsecond) != 7)
		return;
	days = date2j(year, month, day) - UNIX_EPOCH_JDATE;
	initStringInfo(&timestamp);
	append_number(&timestamp, FIELD_SECONDS,
				  (uint64) (((days * HOURS_PER_DAY + hour) * MINS_PER_HOUR + minute) * SECS_PER_MINUTE + second));
	append_number(&timestamp, FIELD_NANOS, (uint64) microsecond * 1000);
	append_bytes(out, VALUE_TIMESTAMP, timestamp.data, timestamp.len);
	pfree(timestamp.data);
}

static int
own_field(const DomevMember *member)
{
	for (int i = 0; i < lengthof(own_fields); i++)
	{
		if (domev_member_is(member, own_fields[i].name))
			return own_fields[i].field;
	}
	return 0;
}

/* The text of a value, terminated and palloc'd; of what is no string, its JSON. */
static char *
text_of(const DomevMember *member, int *size)
{
	StringInfoData text;

	initStringInfo(&text);
	if (domev_member_is_string(member))
		domev_member_append_string(&text, member);
	else
		appendBinaryStringInfo(&text, member->value.data, member->value.size);
	*size = text.len;
	return text.data;
}

/* ----------------------------------------------------------------
 *		The wire format
 * ----------------------------------------------------------------
 */

static void
append_bytes(StringInfo out, int field, const char *bytes, int size)
{
	append_varint(out, field << 3 | WIRE_BYTES);
	append_varint(out, size);
	appendBinaryStringInfo(out, bytes, size);
}

static void
append_number(StringInfo out, int field, uint64 number)
{
	append_varint(out, field << 3 | WIRE_VARINT);
	append_varint(out, number);
}

static void
append_varint(StringInfo out, uint64 value)
{
	while (value >= 0x80)
	{
		appendStringInfoChar(out, (char) (value | 0x80));
		value >>= 7;
	}
	appendStringInfoChar(out, (char) value);
}
