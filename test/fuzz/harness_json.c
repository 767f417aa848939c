/*-------------------------------------------------------------------------
 *
 * harness_json.c
 *	  Is this JSON, and what does it say?
 *
 * RFC 8259, strictly, and what is not in it but is of use here: half of a
 * surrogate pair stands for U+FFFD, as domev has it.  Written to be unlike
 * member.c and json.c: it recurses, and looks at every character.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "harness.h"

#include "mb/pg_wchar.h"

typedef struct Reader
{
	const char *at;
	const char *end;
	bool		utf8;			/* must strings be? */
} Reader;

static const JsonNode *read_value(Reader *r);

static int
peek(const Reader *r)
{
	return r->at < r->end ? (unsigned char) *r->at : -1;
}

static void
skip(Reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r')
		r->at++;
}

static bool
take(Reader *r, int c)
{
	if (peek(r) != c)
		return false;
	r->at++;
	return true;
}

static int
hex_digit(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind \u; -1: they are none. */
static int
read_unit(Reader *r)
{
	int			unit = 0;

	for (int i = 0; i < 4; i++)
	{
		int			digit = hex_digit(peek(r));

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
		r->at++;
	}
	return unit;
}

static void
put_code(StringInfo out, unsigned code)
{
	char		utf8[4];
	int			size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (int i = size - 1; i > 0; i--, code >>= 6)
		utf8[i] = (char) (0x80 | (code & 0x3f));
	utf8[0] = (char) (first[size == 1 ? 0 : size] | code);
	appendBinaryStringInfo(out, utf8, size);
}

static bool
read_escape(Reader *r, StringInfo out)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	int			c = peek(r);
	const char *found = c > 0 ? strchr(from, c) : NULL;
	int			unit;

	r->at++;
	if (found != NULL)
	{
		appendStringInfoChar(out, to[found - from]);
		return true;
	}
	if (c != 'u' || (unit = read_unit(r)) < 0)
		return false;
	if (unit >= 0xd800 && unit < 0xdc00 && r->end - r->at >= 2 && r->at[0] == '\\' && r->at[1] == 'u')
	{
		Reader		ahead = *r;
		int			low;

		ahead.at += 2;
		low = read_unit(&ahead);
		if (low >= 0xdc00 && low < 0xe000)
		{
			*r = ahead;
			put_code(out, 0x10000 + (unit - 0xd800) * 0x400 + low - 0xdc00);
			return true;
		}
	}
	put_code(out, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit);
	return true;
}

/* raw: what is between the quotes. */
static bool
read_string(Reader *r, DomevText *raw, DomevText *string)
{
	StringInfoData out;

	if (!take(r, '"'))
		return false;
	raw->data = r->at;
	while (r->at < r->end && *r->at != '"')
		r->at++;
	initStringInfo(&out);
	enlargeStringInfo(&out, r->at - raw->data); /* most strings end at the first quote */
	r->at = raw->data;
	while (peek(r) != '"')
	{
		int			c = peek(r);

		if (c < 0x20)			/* the end as well */
			return false;
		r->at++;
		if (c != '\\')
			appendStringInfoChar(&out, (char) c);
		else if (!read_escape(r, &out))
			return false;
	}
	raw->size = r->at - raw->data;
	r->at++;
	string->data = out.data;
	string->size = out.len;
	return !r->utf8 || pg_encoding_verifymbstr(PG_UTF8, raw->data, raw->size) == raw->size;
}

static bool
read_digits(Reader *r)
{
	const char *start = r->at;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->at++;
	return r->at > start;
}

static bool
read_number(Reader *r)
{
	take(r, '-');
	if (!take(r, '0') && !read_digits(r))
		return false;
	if (take(r, '.') && !read_digits(r))
		return false;
	if (peek(r) == 'e' || peek(r) == 'E')
	{
		r->at++;
		if (!take(r, '+'))
			take(r, '-');
		return read_digits(r);
	}
	return true;
}

/* The members or elements up to the closing character. */
static bool
read_children(Reader *r, JsonNode *node, int close)
{
	const JsonNode **last = &node->child;

	r->at++;
	skip(r);
	if (take(r, close))
		return true;
	for (;;)
	{
		DomevText	raw_name = {NULL, 0};
		DomevText	name = {NULL, 0};
		JsonNode   *child;

		skip(r);
		if (node->kind == JSON_OBJECT)
		{
			if (!read_string(r, &raw_name, &name))
				return false;
			skip(r);
			if (!take(r, ':'))
				return false;
			skip(r);
		}
		child = unconstify(JsonNode *, read_value(r));
		if (child == NULL)
			return false;
		child->raw_name = raw_name;
		child->name = name;
		*last = child;
		last = &child->next;
		skip(r);
		if (take(r, close))
			return true;
		if (!take(r, ','))
			return false;
	}
}

static bool
read_word(Reader *r, const char *word)
{
	size_t		size = strlen(word);

	if ((size_t) (r->end - r->at) < size || memcmp(r->at, word, size) != 0)
		return false;
	r->at += size;
	return true;
}

static const JsonNode *
read_value(Reader *r)
{
	JsonNode   *node = palloc0(sizeof(JsonNode));
	DomevText	between;
	bool		valid;

	node->raw.data = r->at;
	switch (peek(r))
	{
		case '{':
			node->kind = JSON_OBJECT;
			valid = read_children(r, node, '}');
			break;
		case '[':
			node->kind = JSON_ARRAY;
			valid = read_children(r, node, ']');
			break;
		case '"':
			node->kind = JSON_STRING;
			valid = read_string(r, &between, &node->string);
			break;
		case 't':
		case 'f':
		case 'n':
			node->kind = JSON_WORD;
			valid = read_word(r, "true") || read_word(r, "false") || read_word(r, "null");
			break;
		default:
			node->kind = JSON_NUMBER;
			valid = read_number(r);
	}
	node->raw.size = r->at - node->raw.data;
	return valid ? node : NULL;
}

/* NULL: it is none. */
const JsonNode *
json_read(const char *json, size_t size, bool utf8)
{
	Reader		r = {json, json + size, utf8};
	const JsonNode *node;

	skip(&r);
	node = read_value(&r);
	skip(&r);
	return r.at == r.end ? node : NULL;
}

/* The only member of that name. */
const JsonNode *
json_member(const JsonNode *object, const char *name)
{
	const JsonNode *found = NULL;
	DomevText	wanted = {name, strlen(name)};

	for (const JsonNode *child = object->child; child != NULL; child = child->next)
	{
		if (same_text(child->name, wanted))
		{
			MUST(found == NULL);
			found = child;
		}
	}
	return found;
}

/* As PostgreSQL's escape_json() does it. */
void
json_escape(StringInfo out, DomevText string)
{
	static const char from[] = "\b\f\n\r\t\"\\";
	static const char to[] = "bfnrt\"\\";

	enlargeStringInfo(out, 6 * string.size + 2);
	appendStringInfoChar(out, '"');
	for (int i = 0; i < string.size; i++)
	{
		unsigned char c = string.data[i];
		const char *found = c != 0 ? strchr(from, c) : NULL;

		if (found != NULL)
			appendStringInfo(out, "\\%c", to[found - from]);
		else if (c < 0x20)
			appendStringInfo(out, "\\u%04x", c);
		else
			appendStringInfoChar(out, (char) c);
	}
	appendStringInfoChar(out, '"');
}

/* With the spaces that jsonb has. */
void
json_write(StringInfo out, const JsonNode *node)
{
	bool		object = node->kind == JSON_OBJECT;

	if (node->kind == JSON_STRING)
		json_escape(out, node->string);
	else if (!object && node->kind != JSON_ARRAY)
		appendBinaryStringInfo(out, node->raw.data, node->raw.size);
	else
	{
		appendStringInfoChar(out, object ? '{' : '[');
		for (const JsonNode *child = node->child; child != NULL; child = child->next)
		{
			if (object)
			{
				json_escape(out, child->name);
				appendStringInfoString(out, ": ");
			}
			json_write(out, child);
			if (child->next != NULL)
				appendStringInfoString(out, ", ");
		}
		appendStringInfoChar(out, object ? '}' : ']');
	}
}
