/*-------------------------------------------------------------------------
 *
 * member.c
 *	  What are the members of an event's JSON?
 *
 * Reads what cloudevent.c wrote: the object of one event, in UTF-8, with or
 * without its closing brace.  PostgreSQL's own parser is not used because it
 * can raise errors (of too deep nesting, say), and would take the payload
 * apart, which is only to be passed on.  Here a value is skipped by looking
 * for its end, without recursion.
 *
 * What is read is JSON: domev wrote it, and the parts that come from a row
 * have passed the input function of their type.  Whatever the bytes are,
 * nothing is read beyond the end, and nothing is raised.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "member.h"

#include "compat.h"

/* What stands for half of a surrogate pair. */
#define REPLACEMENT_CHARACTER	0xFFFD

static void skip_space(DomevMemberScan *scan);
static bool skip_string(DomevMemberScan *scan);
static void skip_value(DomevMemberScan *scan);
static const char *append_escape(StringInfo out, const char *s, const char *end);
static bool read_hex(const char *s, const char *end, pg_wchar *value);
static void append_character(StringInfo out, pg_wchar c);

void
domev_member_begin(DomevMemberScan *scan, const char *json, Size size)
{
	scan->position = json;
	scan->end = json + size;
	skip_space(scan);
	if (scan->position < scan->end && *scan->position == '{')
		scan->position++;
}

/* False: there are no more. */
bool
domev_member_next(DomevMemberScan *scan, DomevMember *member)
{
	skip_space(scan);
	if (scan->position < scan->end && *scan->position == ',')
		scan->position++;
	skip_space(scan);

	member->name.data = scan->position + 1;
	if (!skip_string(scan))
		return false;
	member->name.size = scan->position - 1 - member->name.data;

	skip_space(scan);
	if (scan->position >= scan->end || *scan->position != ':')
		return false;
	scan->position++;
	skip_space(scan);

	member->value.data = scan->position;
	skip_value(scan);
	member->value.size = scan->position - member->value.data;
	return member->value.size > 0;
}

/* The first member of that name. */
bool
domev_member_find(const char *json, Size size, const char *name, DomevMember *member)
{
	DomevMemberScan scan;

	domev_member_begin(&scan, json, size);
	while (domev_member_next(&scan, member))
	{
		if (domev_member_is(member, name))
			return true;
	}
	return false;
}

/* Has it this name, which needs no escapes? */
bool
domev_member_is(const DomevMember *member, const char *name)
{
	return member->name.size == strlen(name) &&
		memcmp(member->name.data, name, member->name.size) == 0;
}

bool
domev_member_is_string(const DomevMember *member)
{
	return member->value.size >= 2 && member->value.data[0] == '"';
}

bool
domev_member_is_boolean(const DomevMember *member, bool *value)
{
	*value = member->value.size == 4 && memcmp(member->value.data, "true", 4) == 0;
	return *value || (member->value.size == 5 && memcmp(member->value.data, "false", 5) == 0);
}

bool
domev_member_is_int32(const DomevMember *member, int32 *value)
{
	char		copy[sizeof("-2147483648")];
	char	   *end;
	long long	number;

	if (member->value.size >= sizeof(copy))
		return false;
	memcpy(copy, member->value.data, member->value.size);
	copy[member->value.size] = '\0';
	number = strtoll(copy, &end, 10);
	*value = (int32) number;
	return end == copy + member->value.size && number == *value;
}

/* Could emit have let these headers pass? */
bool
domev_member_are_attributes(DomevText headers)
{
	DomevMemberScan scan;
	DomevMember member;
	bool		boolean;
	int32		number;

	if (headers.data == NULL)
		return true;
	domev_member_begin(&scan, headers.data, headers.size);
	while (domev_member_next(&scan, &member))
	{
		for (int i = 0; i < member.name.size; i++)
		{
			if (strchr("abcdefghijklmnopqrstuvwxyz0123456789", member.name.data[i]) == NULL)
				return false;
		}
		if (member.name.size == 0 || domev_event_is_reserved(member.name) ||
			!(domev_member_is_string(&member) || domev_member_is_boolean(&member, &boolean) ||
			  domev_member_is_int32(&member, &number)))
			return false;
	}
	return true;
}

/* Appends the string that a member's value, which is one, stands for. */
void
domev_member_append_string(StringInfo out, const DomevMember *member)
{
	const char *s = member->value.data + 1;
	const char *end = member->value.data + member->value.size - 1;

	while (s < end)
	{
		const char *escape = memchr(s, '\\', end - s);

		if (escape == NULL)
			escape = end;
		appendBinaryStringInfo(out, s, escape - s);
		s = escape;
		if (s < end)
			s = append_escape(out, s + 1, end);
	}
}

/* ----------------------------------------------------------------
 *		Skipping
 * ----------------------------------------------------------------
 */

static void
skip_space(DomevMemberScan *scan)
{
	while (scan->position < scan->end &&
		   (*scan->position == ' ' || *scan->position == '\t' ||
			*scan->position == '\n' || *scan->position == '\r'))
		scan->position++;
}

/* False: there is no string, or it does not end. */
static bool
skip_string(DomevMemberScan *scan)
{
	if (scan->position >= scan->end || *scan->position != '"')
		return false;
	for (scan->position++; scan->position < scan->end; scan->position++)
	{
		if (*scan->position == '"')
		{
			scan->position++;
			return true;
		}
		if (*scan->position == '\\' && scan->position + 1 < scan->end)
			scan->position++;
	}
	return false;
}

/* Up to the comma or brace behind it, or the end; white space before those is left. */
static void
skip_value(DomevMemberScan *scan)
{
	int			depth = 0;

	while (scan->position < scan->end)
	{
		switch (*scan->position)
		{
			case '"':
				if (!skip_string(scan))
					return;
				continue;
			case '{':
			case '[':
				depth++;
				break;
			case '}':
			case ']':
				if (depth == 0)
					return;
				depth--;
				break;
			case ',':
			case ' ':
			case '\t':
			case '\n':
			case '\r':
				if (depth == 0)
					return;
				break;
			default:
				break;
		}
		scan->position++;
	}
}

/* ----------------------------------------------------------------
 *		Escapes
 * ----------------------------------------------------------------
 */

/* s is behind the backslash; returns what is behind the escape. */
static const char *
append_escape(StringInfo out, const char *s, const char *end)
{
	static const char letters[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	const char *letter;
	pg_wchar	c;
	pg_wchar	low;

	if (s >= end)
		return end;
	if (*s != 'u')
	{
		letter = memchr(letters, *s, sizeof(letters) - 1);
		appendStringInfoChar(out, letter ? meanings[letter - letters] : *s);
		return s + 1;
	}
	if (!read_hex(s + 1, end, &c))
		return end;
	s += 5;
	if (c >= 0xD800 && c < 0xE000)
	{
		/* two of them are one character */
		if (c < 0xDC00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u' &&
			read_hex(s + 2, end, &low) && low >= 0xDC00 && low < 0xE000)
		{
			c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
			s += 6;
		}
		else
			c = REPLACEMENT_CHARACTER;
	}
	append_character(out, c);
	return s;
}

static bool
read_hex(const char *s, const char *end, pg_wchar *value)
{
	*value = 0;
	if (end - s < 4)
		return false;
	for (int i = 0; i < 4; i++)
	{
		if (!isxdigit((unsigned char) s[i]))
			return false;
		*value = *value << 4 |
			(s[i] <= '9' ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
	}
	return true;
}

static void
append_character(StringInfo out, pg_wchar c)
{
	unsigned char utf8[MAX_MULTIBYTE_CHAR_LEN];

	unicode_to_utf8(c, utf8);
	appendBinaryStringInfo(out, (char *) utf8, pg_utf_mblen(utf8));
}
