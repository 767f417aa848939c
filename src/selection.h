/*-------------------------------------------------------------------------
 *
 * selection.h
 *	  Which recorded events are meant, and may the caller publish them?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_SELECTION_H
#define DOMEV_SELECTION_H

#include "event.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/portal.h"

/* What is NULL, or not there, does not restrict; start from {0}. */
typedef struct DomevSelection
{
	ArrayType  *topics;			/* globs; of the topics that events go to */
	ArrayType  *event_types;	/* globs */
	char	   *aggregate_type;
	char	   *aggregate_id;
	char	   *journal_topic;	/* where domain events go that have no topic;
								 * NULL: nowhere */
	bool		has_since;
	TimestampTz since;			/* recorded then or later */
	bool		has_until;
	TimestampTz until;			/* recorded before */
	bool		has_xact_id;
	uint64		xact_id;		/* of this transaction or later ones */

	/* by domev_selection_prepare */
	ArrayType  *topic_patterns; /* of LIKE */
	ArrayType  *type_patterns;
} DomevSelection;

/* The selected events of one type that go to one topic. */
typedef struct DomevSelectionGroup
{
	char	   *topic;
	char	   *event_type;
	bool		any_journaled;	/* some have no topic of their own */
	bool		any_domain;		/* some are domain events */
	int64		events;
	TimestampTz first;			/* recorded */
	TimestampTz last;
	int64		bytes;			/* stored, of their data and headers */
} DomevSelectionGroup;

extern void domev_selection_get_arguments(DomevSelection *selection, FunctionCallInfo fcinfo,
										  int first);
extern void domev_selection_prepare(DomevSelection *selection);
extern List *domev_selection_count(const DomevSelection *selection);
extern void domev_selection_check(const DomevSelectionGroup *group, Oid role);
extern Portal domev_selection_open(const DomevSelection *selection, TimestampTz since,
								   TimestampTz until);
extern bool domev_selection_get(const DomevSelection *selection, HeapTuple tuple,
								TupleDesc tupdesc, DomevEvent *event, bool *journaled);

#endif							/* DOMEV_SELECTION_H */
