/*-------------------------------------------------------------------------
 *
 * definition.h
 *	  What does a capture say, and does it fit its table?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_DEFINITION_H
#define DOMEV_DEFINITION_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* The attributes that are strings; NULL: not given. */
typedef enum DomevCaptureAttribute
{
	DOMEV_CAPTURE_AGGREGATE_ID, /* columns, separated by commas */
	DOMEV_CAPTURE_EVENT_TYPE,
	DOMEV_CAPTURE_CONDITION,
	DOMEV_CAPTURE_EVENT_TYPE_COLUMN,
	DOMEV_CAPTURE_PAYLOAD_COLUMN,
	DOMEV_CAPTURE_HEADERS_COLUMN,
	DOMEV_CAPTURE_VERSION_COLUMN,
	DOMEV_CAPTURE_EVENT_ID_COLUMN,
	DOMEV_CAPTURE_OCCURRED_AT_COLUMN,
	DOMEV_CAPTURE_DESCRIPTION,
	DOMEV_CAPTURE_STRINGS		/* how many there are */
} DomevCaptureAttribute;

typedef enum DomevOperation
{
	DOMEV_INSERT,
	DOMEV_UPDATE,
	DOMEV_DELETE,
	DOMEV_TRUNCATE
} DomevOperation;

/* Strings and lists are palloc'd. */
typedef struct DomevDefinition
{
	DomevOperation operation;
	char	   *strings[DOMEV_CAPTURE_STRINGS];
	List	   *columns;		/* of char *; NIL: all, but those to ignore */
	List	   *ignore;			/* of char *; NIL: none */
} DomevDefinition;

extern const char *domev_definition_attribute(DomevCaptureAttribute attribute);
extern char *domev_definition_to_json(const DomevDefinition *definition);
extern bool domev_definition_from_json(char *json, DomevDefinition *definition);
extern void domev_definition_check(const DomevDefinition *definition, Relation relation);

/* Columns of the relation; each raises 42703 when one is not there. */
extern AttrNumber domev_definition_column(Relation relation, const char *name);
extern List *domev_definition_id_columns(const DomevDefinition *definition, Relation relation);
extern Bitmapset *domev_definition_counted(const DomevDefinition *definition, Relation relation);

#endif							/* DOMEV_DEFINITION_H */
