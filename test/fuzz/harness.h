/*-------------------------------------------------------------------------
 *
 * harness.h
 *	  What do the parts of the fuzzing harness know of each other?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "postgres.h"

#include <setjmp.h>

#include "event.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* harness_pg.c: PostgreSQL, as far as the fuzzed files need it. */
extern int	harness_encoding;		/* of the database */
extern jmp_buf *harness_raised;		/* where an error goes; NULL: there must be none */
extern int	harness_sqlstate;
extern const struct JsonNode *harness_jsonb;	/* what a jsonb's iterator goes through */
extern void harness_free_all(void);

/* What a tuple is here: the values of its columns. */
typedef struct HarnessTuple
{
	Datum		values[DOMEV_OUTBOX_COLUMNS];
	bool		nulls[DOMEV_OUTBOX_COLUMNS];
} HarnessTuple;

/* harness_json.c: a reader of JSON that shares nothing with domev. */
typedef enum JsonKind
{
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_WORD
} JsonKind;

typedef struct JsonNode
{
	JsonKind	kind;
	DomevText	raw;			/* as it is written */
	DomevText	string;			/* what a string stands for */
	DomevText	raw_name;		/* of a member, between the quotes */
	DomevText	name;
	const struct JsonNode *child;
	const struct JsonNode *next;
} JsonNode;

extern const JsonNode *json_read(const char *json, size_t size, bool utf8);
extern const JsonNode *json_member(const JsonNode *object, const char *name);
extern void json_escape(StringInfo out, DomevText string);
extern void json_write(StringInfo out, const JsonNode *node);

/* harness_protobuf.c: a reader of CloudEvents in protobuf that shares nothing with domev. */
extern void protobuf_compare(const char *data, size_t size, const JsonNode *event, TimestampTz time);

/* A property that does not hold ends the process, so that the fuzzer keeps the input. */
#define MUST(condition) \
	do { if (!(condition)) { fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

static inline bool
same_text(DomevText a, DomevText b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif							/* HARNESS_H */
