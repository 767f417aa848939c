/*-------------------------------------------------------------------------
 *
 * cloudevent.c
 *	  How does an event look on the wire?
 *
 * CloudEvents 1.0 in its JSON format, always UTF-8.  The same bytes come from
 * both storages: a row becomes them when it is decoded, a WAL message holds
 * them since it was emitted.  No catalog is read here.
 *
 *	  {"specversion":"1.0","id":...,"type":...,"source":..., ...,"data":...     body
 *	  ,"replayid":"..."                                   end of the body, in a replay
 *	  ,"mac":"..."}                                       end of a WAL message
 *	  ,"sequence":"...","endoftransaction":true}       end of what a client gets
 *
 * member.c reads it again, where the read side has to know more of a message
 * than that it is one.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "cloudevent.h"
#include "json.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "siphash.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"

#define BODY_START		"{\"specversion\":\"1.0\",\"id\":\""
#define BODY_TYPE		"\",\"type\":"

/* More than the bound of any event that emit lets pass, and far from what a StringInfo can hold. */
#define MAX_BODY		((Size) DOMEV_MAX_EVENT_KB * 1024 + 64 * 1024)

#define MAC_START		",\"mac\":\""
#define MAC_END			"\"}"
#define MAC_SIZE		(sizeof(MAC_START) - 1 + 2 * DOMEV_SIPHASH_SIZE + sizeof(MAC_END) - 1)

static void put_hex(char *to, uint64 number, int digits);
static Size json_size_limit(const DomevEvent *event, const char *source);
static void append_json(StringInfo out, const DomevEvent *event, const char *source);
static void append_as_member(StringInfo body, StringInfo scratch, const char *name,
							 DomevText value, int limit);
static void append_start(StringInfo out, const pg_uuid_t *event_id);
static void append_member(StringInfo out, const char *name, DomevText value);
static void append_uuid(StringInfo out, const pg_uuid_t *uuid);
static void append_time(StringInfo out, TimestampTz time);
static void append_digits(StringInfo out, uint32 number, int digits, char end);
static void append_headers(StringInfo out, DomevText headers);
static void append_data(StringInfo out, const DomevEvent *event);
static void append_hex(StringInfo out, const uint8 *bytes, int size);
static bool append_as_utf8(StringInfo out, StringInfo json, bool noerror);
static bool convert_to_utf8(StringInfo out, StringInfo json, bool noerror);
static void compute_mac(const char *body, Size size, const uint8 *key,
						TransactionId xid, const char *prefix, uint8 *mac);

/* ----------------------------------------------------------------
 *		The body
 * ----------------------------------------------------------------
 */

/* An upper bound of the size of the finished event, in bytes, fast to know. */
Size
domev_cloudevent_size_limit(const DomevEvent *event, const char *source)
{
	Size		size = json_size_limit(event, source);

	return GetDatabaseEncoding() == PG_UTF8 ? size : size * MAX_CONVERSION_GROWTH;
}

/* The same for its JSON, in the database's encoding. */
static Size
json_size_limit(const DomevEvent *event, const char *source)
{
	Size		escaped = event->event_type.size + event->aggregate_id.size +
		event->topic.size + event->key.size + event->aggregate_type.size +
		event->content_type.size + event->data_schema.size + strlen(source);

	return 512 + 6 * escaped + event->headers.size +
		event->payload.size + ((Size) event->data.size + 2) / 3 * 4;
}

/*
 * Appends the event's body.  Returns false, with noerror, when its bytes are
 * no valid text of the database's encoding, or when it would be larger than
 * any that emit lets pass; then nothing is appended.
 */
bool
domev_cloudevent_append(StringInfo body, const DomevEvent *event,
						const char *source, bool noerror)
{
	StringInfoData json;
	bool		valid;

	if (noerror && json_size_limit(event, source) > MAX_BODY)
		return false;
	if (GetDatabaseEncoding() == PG_UTF8)
	{
		append_json(body, event, source);
		return true;
	}
	initStringInfo(&json);
	append_json(&json, event, source);
	valid = append_as_utf8(body, &json, noerror);
	pfree(json.data);
	return valid;
}

/*
 * What stands in the stream for an event that cannot be read: its id, and of
 * its type and topic what can be, and is no longer than one may be.
 */
void
domev_cloudevent_append_unpublishable(StringInfo body, const DomevEvent *event,
									  const char *source)
{
	StringInfoData members;

	append_start(body, &event->event_id);
	appendStringInfoString(body, "\"domev.unpublishable\"");

	initStringInfo(&members);
	append_as_member(body, &members, "source", domev_text(source), DOMEV_MAX_URI);
	append_as_member(body, &members, "originaltype", event->event_type, DOMEV_MAX_INTEGRATION_TYPE);
	append_as_member(body, &members, "topic", event->topic, DOMEV_MAX_NAME);
	pfree(members.data);
}

static void
append_as_member(StringInfo body, StringInfo scratch, const char *name, DomevText value, int limit)
{
	if (value.size > limit)
		return;
	resetStringInfo(scratch);
	append_member(scratch, name, value);
	append_as_utf8(body, scratch, true);
}

/* Appends to a body which replay it is of. */
void
domev_cloudevent_append_replay(StringInfo body, const pg_uuid_t *replay_id)
{
	appendStringInfoString(body, ",\"replayid\":\"");
	append_uuid(body, replay_id);
	appendStringInfoChar(body, '"');
}

/* Appends what is known when the event is sent. */
void
domev_cloudevent_finish(StringInfo body, XLogRecPtr commit_lsn, uint32 index, bool last)
{
	char		sequence[DOMEV_SEQUENCE_SIZE];

	domev_cloudevent_sequence(sequence, commit_lsn, index);
	appendStringInfoString(body, ",\"sequence\":\"");
	appendBinaryStringInfo(body, sequence, DOMEV_SEQUENCE_SIZE - 1);
	appendStringInfoString(body, last ? "\",\"endoftransaction\":true}" : "\",\"endoftransaction\":false}");
}

/* The attribute "sequence": rises as text, as the events are sent. */
void
domev_cloudevent_sequence(char *sequence, XLogRecPtr commit_lsn, uint32 index)
{
	put_hex(sequence, commit_lsn, 16);
	sequence[16] = '.';
	put_hex(sequence + 17, index, 8);
	sequence[DOMEV_SEQUENCE_SIZE - 1] = '\0';
}

/* In capitals, unlike hex_encode(). */
static void
put_hex(char *to, uint64 number, int digits)
{
	for (int i = digits - 1; i >= 0; i--)
	{
		to[i] = "0123456789ABCDEF"[number & 0xf];
		number >>= 4;
	}
}

static void
append_json(StringInfo out, const DomevEvent *event, const char *source)
{
	append_start(out, &event->event_id);
	domev_json_append_string(out, event->event_type.data, event->event_type.size);
	append_member(out, "source", domev_text(source));
	append_member(out, "subject", event->aggregate_id);
	append_time(out, event->occurred_at);
	if (event->content_type.data != NULL)
		append_member(out, "datacontenttype", event->content_type);
	else if (event->payload.data != NULL)
		appendStringInfoString(out, ",\"datacontenttype\":\"application/json\"");
	else if (event->data.data != NULL)
		appendStringInfoString(out, ",\"datacontenttype\":\"application/octet-stream\"");
	append_member(out, "dataschema", event->data_schema);
	append_member(out, "topic", event->topic);
	append_member(out, "partitionkey", event->key.data ? event->key : event->aggregate_id);
	if (event->has_causation_id)
	{
		appendStringInfoString(out, ",\"causationid\":\"");
		append_uuid(out, &event->causation_id);
		appendStringInfoChar(out, '"');
	}
	append_member(out, "aggregatetype", event->aggregate_type);
	if (event->has_aggregate_version)
		appendStringInfo(out, ",\"aggregateversion\":\"" INT64_FORMAT "\"", event->aggregate_version);
	append_headers(out, event->headers);
	append_data(out, event);
}

static void
append_start(StringInfo out, const pg_uuid_t *event_id)
{
	appendBinaryStringInfo(out, BODY_START, sizeof(BODY_START) - 1);
	append_uuid(out, event_id);
	appendBinaryStringInfo(out, BODY_TYPE, sizeof(BODY_TYPE) - 1);
}

static void
append_member(StringInfo out, const char *name, DomevText value)
{
	if (value.data == NULL)
		return;
	appendBinaryStringInfo(out, ",\"", 2);
	appendStringInfoString(out, name);
	appendBinaryStringInfo(out, "\":", 2);
	domev_json_append_string(out, value.data, value.size);
}

static void
append_uuid(StringInfo out, const pg_uuid_t *uuid)
{
	static const int group_ends[] = {4, 6, 8, 10, 16};
	int			start = 0;

	for (int i = 0; i < lengthof(group_ends); i++)
	{
		if (start > 0)
			appendStringInfoChar(out, '-');
		append_hex(out, uuid->data + start, group_ends[i] - start);
		start = group_ends[i];
	}
}

/*
 * RFC 3339 in UTC, whatever the session's time zone and date style.  A time
 * outside the years that emit admits is left out: CloudEvents does not
 * require one.
 */
static void
append_time(StringInfo out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		return;
	appendStringInfoString(out, ",\"time\":\"");
	append_digits(out, tm.tm_year, 4, '-');
	append_digits(out, tm.tm_mon, 2, '-');
	append_digits(out, tm.tm_mday, 2, 'T');
	append_digits(out, tm.tm_hour, 2, ':');
	append_digits(out, tm.tm_min, 2, ':');
	append_digits(out, tm.tm_sec, 2, '.');
	append_digits(out, fsec, 6, 'Z');
	appendStringInfoChar(out, '"');
}

/* A number with leading zeros, and what comes behind it. */
static void
append_digits(StringInfo out, uint32 number, int digits, char end)
{
	enlargeStringInfo(out, digits + 1);
	pg_ultostr_zeropad(out->data + out->len, number, digits);
	out->len += digits;
	appendStringInfoChar(out, end);
}

/* A JSON object's members become members of the event. */
static void
append_headers(StringInfo out, DomevText headers)
{
	if (headers.data == NULL)
		return;
	appendStringInfoChar(out, ',');
	appendBinaryStringInfo(out, headers.data + 1, headers.size - 2);
}

static void
append_data(StringInfo out, const DomevEvent *event)
{
	if (event->payload.data != NULL)
	{
		appendStringInfoString(out, ",\"data\":");
		appendBinaryStringInfo(out, event->payload.data, event->payload.size);
	}
	else if (event->data.data != NULL)
	{
		int			size = pg_b64_enc_len(event->data.size);

		appendStringInfoString(out, ",\"data_base64\":\"");
		enlargeStringInfo(out, size);
		size = domev_b64_encode_compat(event->data.data, event->data.size,
									   out->data + out->len, size);
		Assert(size >= 0);
		out->len += size;
		out->data[out->len] = '\0';
		appendStringInfoChar(out, '"');
	}
}

static void
append_hex(StringInfo out, const uint8 *bytes, int size)
{
	enlargeStringInfo(out, 2 * size);
	out->len += hex_encode((const char *) bytes, size, out->data + out->len);
	out->data[out->len] = '\0';
}

/* ----------------------------------------------------------------
 *		Encodings
 * ----------------------------------------------------------------
 */

/* Appends text of the database's encoding as UTF-8. */
static bool
append_as_utf8(StringInfo out, StringInfo json, bool noerror)
{
	int			encoding = GetDatabaseEncoding();

	if (encoding != PG_SQL_ASCII && encoding != PG_UTF8)
		return convert_to_utf8(out, json, noerror);

	/* Bytes of unknown encoding may be sent if they are UTF-8. */
	if (!pg_verify_mbstr(PG_UTF8, json->data, json->len, noerror))
		return false;
	appendBinaryStringInfo(out, json->data, json->len);
	return true;
}

static bool
convert_to_utf8(StringInfo out, StringInfo json, bool noerror)
{
	int			encoding = GetDatabaseEncoding();
	Oid			proc = FindDefaultConversionProc(encoding, PG_UTF8);
	Size		room = (Size) json->len * MAX_CONVERSION_GROWTH + 1;
	char	   *utf8;
	int			done;
	bool		valid;

	if (!OidIsValid(proc))
	{
		if (noerror)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("default conversion function for encoding \"%s\" to \"%s\" does not exist",
						pg_encoding_to_char(encoding), pg_encoding_to_char(PG_UTF8))));
	}
	utf8 = MemoryContextAllocHuge(CurrentMemoryContext, room);
	done = pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8,
										 (unsigned char *) json->data, json->len,
										 (unsigned char *) utf8, (int) Min(room, PG_INT32_MAX),
										 noerror);
	valid = done == json->len && !(noerror && strlen(utf8) > MAX_BODY);
	if (valid)
		appendStringInfoString(out, utf8);
	pfree(utf8);
	return valid;
}

/* Appends a string of the database's encoding as UTF-8; false: it is none. */
bool
domev_cloudevent_to_utf8(StringInfo out, DomevText string)
{
	StringInfoData copy;
	bool		valid;

	initStringInfo(&copy);
	appendBinaryStringInfo(&copy, string.data, string.size);
	valid = append_as_utf8(out, &copy, true);
	pfree(copy.data);
	return valid;
}

/*
 * Appends JSON with its characters outside ASCII, which are all in strings,
 * as escapes: for the text functions of a database that is not UTF-8.
 */
void
domev_cloudevent_to_ascii(StringInfo out, const char *utf8, int size)
{
	const unsigned char *s = (const unsigned char *) utf8;
	const unsigned char *end = s + size;

	while (s < end)
	{
		pg_wchar	c;

		if (*s < 0x80)
		{
			appendStringInfoCharMacro(out, *s++);
			continue;
		}
		c = utf8_to_unicode(s);
		s += pg_encoding_mblen(PG_UTF8, (const char *) s);
		if (c >= 0x10000)
		{
			appendStringInfo(out, "\\u%04x", 0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		appendStringInfo(out, "\\u%04x", c);
	}
}

/* ----------------------------------------------------------------
 *		WAL messages
 * ----------------------------------------------------------------
 */

/*
 * Makes a body a WAL message: a valid CloudEvent whose last member proves
 * that domev wrote it, in this transaction of this database.  Anybody may
 * call pg_logical_emit_message().
 */
void
domev_cloudevent_seal(StringInfo body, const uint8 *key, TransactionId xid,
					  const char *prefix)
{
	uint8		mac[DOMEV_SIPHASH_SIZE];

	compute_mac(body->data, body->len, key, xid, prefix, mac);
	appendBinaryStringInfo(body, MAC_START, sizeof(MAC_START) - 1);
	append_hex(body, mac, sizeof(mac));
	appendBinaryStringInfo(body, MAC_END, sizeof(MAC_END) - 1);
}

/*
 * Is this message genuine?  Then its first *body_size bytes are the body.
 * Whatever the bytes are, this reads none beyond size and raises nothing.
 */
bool
domev_cloudevent_unseal(const char *message, Size size, const uint8 *key,
						TransactionId xid, const char *prefix, Size *body_size)
{
	uint8		mac[DOMEV_SIPHASH_SIZE];
	char		expected[2 * DOMEV_SIPHASH_SIZE];
	const char *found;
	int			difference = 0;

	if (size < MAC_SIZE)
		return false;
	*body_size = size - MAC_SIZE;
	if (memcmp(message + *body_size, MAC_START, sizeof(MAC_START) - 1) != 0 ||
		memcmp(message + size - (sizeof(MAC_END) - 1), MAC_END, sizeof(MAC_END) - 1) != 0)
		return false;

	compute_mac(message, *body_size, key, xid, prefix, mac);
	hex_encode((const char *) mac, sizeof(mac), expected);
	found = message + *body_size + sizeof(MAC_START) - 1;
	for (int i = 0; i < sizeof(expected); i++)
		difference |= expected[i] ^ found[i];	/* in constant time */
	return difference == 0;
}

/*
 * The database, the transaction and the prefix choose a key of their own, so
 * that a genuine message proves nothing elsewhere.  It is kept for the next
 * message, which is likely to be of the same place: 3 % of what it takes to
 * decode one.
 */
static void
compute_mac(const char *body, Size size, const uint8 *key, TransactionId xid,
			const char *prefix, uint8 *mac)
{
	/* One more than the longest prefix has: one that is cut is none of ours. */
	static uint8 place[DOMEV_SIPHASH_SIZE + 8 + DOMEV_MAX_PREFIX + 1];
	static int	place_size = 0;
	static uint8 own_key[DOMEV_SIPHASH_SIZE];
	uint8		now[sizeof(place)];
	int			prefix_size = Min(strlen(prefix), sizeof(place) - DOMEV_SIPHASH_SIZE - 8);
	int			now_size = DOMEV_SIPHASH_SIZE + 8 + prefix_size;

	memcpy(now, key, DOMEV_SIPHASH_SIZE);
	for (int i = 0; i < 4; i++)
	{
		now[DOMEV_SIPHASH_SIZE + i] = (uint8) (MyDatabaseId >> (24 - 8 * i));
		now[DOMEV_SIPHASH_SIZE + 4 + i] = (uint8) (xid >> (24 - 8 * i));
	}
	memcpy(now + DOMEV_SIPHASH_SIZE + 8, prefix, prefix_size);
	if (now_size != place_size || memcmp(now, place, now_size) != 0)
	{
		domev_siphash(key, now + DOMEV_SIPHASH_SIZE, 8 + prefix_size, own_key);
		memcpy(place, now, now_size);
		place_size = now_size;
	}
	domev_siphash(own_key, body, size, mac);
}
