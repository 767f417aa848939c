/*-------------------------------------------------------------------------
 *
 * options.c
 *	  What did the client ask the output plugin for?
 *
 * All options are optional.  One that is unknown, repeated or malformed is an
 * error that names it: a client that believes to be filtering must not be
 * sent everything.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "options.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"

/* Longest glob, in bytes: no name is longer. */
#define MAX_GLOB	DOMEV_MAX_INTEGRATION_TYPE

/* Each shard decodes the whole WAL: more are of no use. */
#define MAX_SHARDS	1024

static void set_format(DomevOptions *options, const char *value);
static void set_topics(DomevOptions *options, const char *value);
static void set_scope(DomevOptions *options, const char *value);
static void set_event_types(DomevOptions *options, const char *value);
static void set_shard(DomevOptions *options, const char *value);
static void set_origin(DomevOptions *options, const char *value);
static void set_replay(DomevOptions *options, const char *value);

static const struct
{
	const char *name;
	void		(*set) (DomevOptions *options, const char *value);
}			known_options[] = {
	{"format", set_format},
	{"topics", set_topics},
	{"scope", set_scope},
	{"event_types", set_event_types},
	{"shard", set_shard},
	{"origin", set_origin},
	{"replay", set_replay},
};

static int	find_option(const char *name);
static bool parse_count(const char *s, const char *end, int *count);
static void check_one_of(const char *name, const char *value, const char *one, const char *other);
static text *parse_glob(const char *name, const char **position, char **plain);
static char *without_escapes(const char *like, int size);
static void raise_malformed(const char *name, const char *value, const char *hint);

/* Fills options, in the current memory context, from a list of DefElem. */
void
domev_options_parse(DomevOptions *options, List *elements)
{
	bool		given[lengthof(known_options)] = {false};
	ListCell   *lc;

	memset(options, 0, sizeof(DomevOptions));
	foreach(lc, elements)
	{
		DefElem    *element = lfirst_node(DefElem, lc);
		int			i = find_option(element->defname);

		if (given[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" is given twice", element->defname)));
		if (element->arg == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" needs a value", element->defname)));
		given[i] = true;
		known_options[i].set(options, strVal(element->arg));
	}
}

static int
find_option(const char *name)
{
	StringInfoData names;

	for (int i = 0; i < lengthof(known_options); i++)
	{
		if (strcmp(known_options[i].name, name) == 0)
			return i;
	}
	initStringInfo(&names);
	for (int i = 0; i < lengthof(known_options); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", known_options[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown option \"%s\"", name),
			 errhint("The options of domev are: %s.", names.data)));
}

static void
set_format(DomevOptions *options, const char *value)
{
	check_one_of("format", value, "cloudevents", "protobuf");
	options->protobuf = strcmp(value, "protobuf") == 0;
}

static void
set_topics(DomevOptions *options, const char *value)
{
	options->topics = domev_options_parse_globs("topics", value, &options->named_topics);
}

static void
set_scope(DomevOptions *options, const char *value)
{
	check_one_of("scope", value, "internal", "external");
	options->has_scope = true;
	options->external = strcmp(value, "external") == 0;
}

static void
set_event_types(DomevOptions *options, const char *value)
{
	List	   *names = NIL;

	options->event_types = domev_options_parse_globs("event_types", value, &names);
}

/* "0/4": the first of four. */
static void
set_shard(DomevOptions *options, const char *value)
{
	const char *slash = strchr(value, '/');
	int			shard = 0;
	int			shards = 0;

	if (slash == NULL || !parse_count(value, slash, &shard) ||
		!parse_count(slash + 1, slash + strlen(slash), &shards) || shard >= shards)
		raise_malformed("shard", value,
						psprintf("It is a shard's number, from 0, and how many there are, at most %d: \"0/4\".",
								 MAX_SHARDS));
	options->shard = shard;
	options->shards = shards;
}

/* A number of up to MAX_SHARDS in decimal digits. */
static bool
parse_count(const char *s, const char *end, int *count)
{
	if (s == end || end - s > 4)
		return false;
	for (; s < end; s++)
	{
		if (*s < '0' || *s > '9')
			return false;
		*count = *count * 10 + (*s - '0');
	}
	return *count <= MAX_SHARDS;
}

static void
set_origin(DomevOptions *options, const char *value)
{
	check_one_of("origin", value, "none", "any");
	options->any_origin = strcmp(value, "any") == 0;
}

static void
set_replay(DomevOptions *options, const char *value)
{
	if (!domev_event_is_publisher(domev_text(value)))
		raise_malformed("replay", value,
						"It is the name of a publisher, as domev.replay takes it: 1 to 63 letters a to z and A to Z, digits, \".\", \"_\" and \"-\".");
	options->replay = pstrdup(value);
}

static void
check_one_of(const char *name, const char *value, const char *one, const char *other)
{
	if (strcmp(value, one) != 0 && strcmp(value, other) != 0)
		raise_malformed(name, value, psprintf("It is one of \"%s\" and \"%s\".", one, other));
}

static void
raise_malformed(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%.255s\"", name, value),
			 errhint("%s", hint)));
}

/* ----------------------------------------------------------------
 *		Globs
 *
 * Kept as the patterns of LIKE, whose implementation knows the database's
 * encoding.
 * ----------------------------------------------------------------
 */

/* Does the name match one of the globs?  No globs match everything. */
bool
domev_options_match(List *globs, DomevText name)
{
	Datum		subject;
	ListCell   *lc;

	if (globs == NIL)
		return true;
	subject = PointerGetDatum(cstring_to_text_with_len(name.data, name.size));
	foreach(lc, globs)
	{
		if (DatumGetBool(DirectFunctionCall2Coll(textlike, C_COLLATION_OID, subject,
												 PointerGetDatum(lfirst(lc)))))
			return true;
	}
	return false;
}

/* A list, separated by commas, each with or without spaces around it; appends those that are plain to names. */
List *
domev_options_parse_globs(const char *name, const char *value, List **names)
{
	List	   *globs = NIL;
	const char *position = value;

	for (;;)
	{
		char	   *plain;

		globs = lappend(globs, parse_glob(name, &position, &plain));
		if (plain != NULL)
			*names = lappend(*names, plain);
		if (*position == '\0')
			return globs;
		position++;				/* the comma */
	}
}

/*
 * One glob, up to the next comma or the end: "*", "?" and the escape "\".
 * plain is the name that it stands for, NULL when it may be several.
 */
static text *
parse_glob(const char *name, const char **position, char **plain)
{
	static const char hint[] = "It is a list of names, separated by commas; \"*\" stands for any characters, \"?\" for one, \"\\\" takes the next one as it is.";
	const char *s = *position;
	const char *start;
	StringInfoData like;
	bool		is_plain = true;
	int			needed = 0;		/* up to the last character that is no space */

	while (*s == ' ')
		s++;
	start = s;
	initStringInfo(&like);
	for (; *s != '\0' && *s != ','; s++)
	{
		bool		space = *s == ' ';

		if (*s == '*' || *s == '?')
		{
			appendStringInfoChar(&like, *s == '*' ? '%' : '_');
			is_plain = false;
		}
		else
		{
			if (*s == '\\' && *++s == '\0')
				raise_malformed(name, start, hint);
			if (*s == '%' || *s == '_' || *s == '\\')
				appendStringInfoChar(&like, '\\');
			appendStringInfoChar(&like, *s);
		}
		if (!space)
			needed = like.len;
	}
	if (needed == 0 || s - start > MAX_GLOB)
		raise_malformed(name, start, hint);
	*position = s;
	*plain = is_plain ? without_escapes(like.data, needed) : NULL;
	return cstring_to_text_with_len(like.data, needed);
}

/* What a pattern of LIKE without wildcards stands for, palloc'd. */
static char *
without_escapes(const char *like, int size)
{
	StringInfoData name;

	initStringInfo(&name);
	for (int i = 0; i < size; i++)
	{
		if (like[i] == '\\')
			i++;
		appendStringInfoChar(&name, like[i]);
	}
	return name.data;
}
