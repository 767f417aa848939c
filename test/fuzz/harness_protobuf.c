/*-------------------------------------------------------------------------
 *
 * harness_protobuf.c
 *	  Does an event in protobuf say what it says in JSON?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "harness.h"

#include "common/base64.h"
#include "datatype/timestamp.h"

#include "compat.h"

/* A field of a message: number, or bytes. */
typedef struct Field
{
	int			number;
	bool		is_bytes;
	uint64		value;
	DomevText	bytes;
} Field;

static uint64
read_varint(const char **at, const char *end)
{
	uint64		value = 0;

	for (int shift = 0;; shift += 7)
	{
		unsigned char c;

		MUST(*at < end && shift < 64);
		c = *(*at)++;
		value |= (uint64) (c & 0x7f) << shift;
		if (c < 0x80)
			return value;
	}
}

/* False: there are no more. */
static bool
next_field(const char **at, const char *end, Field *field)
{
	uint64		tag;

	if (*at == end)
		return false;
	tag = read_varint(at, end);
	field->number = (int) (tag >> 3);
	field->is_bytes = (tag & 7) == 2;
	MUST(field->is_bytes || (tag & 7) == 0);
	field->value = read_varint(at, end);
	if (field->is_bytes)
	{
		MUST(field->value <= (uint64) (end - *at));
		field->bytes.data = *at;
		field->bytes.size = (int) field->value;
		*at += field->value;
	}
	return true;
}

/* The one field of that number; false: there is none. */
static bool
find_field(DomevText message, int number, Field *found)
{
	const char *at = message.data;
	const char *end = at + message.size;
	Field		field;
	int			count = 0;

	while (next_field(&at, end, &field))
	{
		if (field.number != number)
			continue;
		*found = field;
		count++;
	}
	MUST(count <= 1);
	return count == 1;
}

/* The value of the map's entry of that name: a CloudEventAttributeValue. */
static bool
find_attribute(DomevText message, DomevText name, DomevText *value)
{
	const char *at = message.data;
	const char *end = at + message.size;
	Field		field;
	Field		part;
	bool		found = false;

	while (next_field(&at, end, &field))
	{
		if (field.number != 5)
			continue;
		MUST(find_field(field.bytes, 1, &part));
		if (!same_text(part.bytes, name))
			continue;
		MUST(!found && find_field(field.bytes, 2, &part));
		*value = part.bytes;
		found = true;
	}
	return found;
}

static void
compare_time(DomevText value, TimestampTz time)
{
	Field		field;
	Field		part;
	int64		second = time / USECS_PER_SEC - (time % USECS_PER_SEC < 0) + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
	int64		micro = time - (time / USECS_PER_SEC - (time % USECS_PER_SEC < 0)) * USECS_PER_SEC;

	MUST(find_field(value, 7, &field) && field.is_bytes);
	MUST((find_field(field.bytes, 1, &part) ? (int64) part.value : 0) == second);
	MUST((find_field(field.bytes, 2, &part) ? (int64) part.value : 0) == micro * 1000);
}

static void
compare_attribute(DomevText value, const JsonNode *member, TimestampTz time)
{
	DomevText	schema = {"dataschema", 10};
	DomevText	when = {"time", 4};
	Field		field;

	if (same_text(member->name, when))
		compare_time(value, time);
	else if (member->kind == JSON_WORD)
	{
		MUST(find_field(value, 1, &field) && !field.is_bytes);
		MUST(field.value == (member->raw.data[0] == 't'));
	}
	else if (member->kind == JSON_NUMBER)
	{
		MUST(find_field(value, 2, &field) && !field.is_bytes);
		MUST((int64) field.value == strtoll(pnstrdup(member->raw.data, member->raw.size), NULL, 10));
	}
	else
	{
		MUST(find_field(value, same_text(member->name, schema) ? 5 : 3, &field) && field.is_bytes);
		MUST(same_text(field.bytes, member->string));
	}
}

static void
compare_data(DomevText message, const JsonNode *member, bool base64)
{
	Field		field;

	MUST(find_field(message, 6, &field));
	if (!base64)
		MUST(same_text(field.bytes, member->raw));
	else
	{
		StringInfoData text;
		int			size = pg_b64_enc_len(field.bytes.size);

		initStringInfo(&text);
		enlargeStringInfo(&text, size);
		size = domev_b64_encode_compat(field.bytes.data, field.bytes.size, text.data, size);
		MUST(size == member->string.size && memcmp(text.data, member->string.data, size) == 0);
	}
}

void
protobuf_compare(const char *data, size_t size, const JsonNode *event, TimestampTz time)
{
	static const char *const own[] = {"id", "source", "specversion", "type"};
	DomevText	message = {data, (int) size};
	Field		field;
	const char *at = data;
	int			attributes = 0;

	for (const JsonNode *member = event->child; member != NULL; member = member->next)
	{
		bool		done = false;
		DomevText	value;

		for (int i = 0; i < lengthof(own); i++)
		{
			if (member->name.size != strlen(own[i]) || memcmp(member->name.data, own[i], member->name.size) != 0)
				continue;
			MUST(find_field(message, i + 1, &field) && same_text(field.bytes, member->string));
			done = true;
		}
		if (done)
			continue;
		if (member->name.size == 4 && memcmp(member->name.data, "data", 4) == 0)
			compare_data(message, member, false);
		else if (member->name.size == 11 && memcmp(member->name.data, "data_base64", 11) == 0)
			compare_data(message, member, true);
		else
		{
			MUST(find_attribute(message, member->name, &value));
			compare_attribute(value, member, time);
			attributes++;
		}
	}
	while (next_field(&at, data + size, &field))
		attributes -= field.number == 5;
	MUST(attributes == 0);
}
