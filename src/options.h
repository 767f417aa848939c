/*-------------------------------------------------------------------------
 *
 * options.h
 *	  What did the client ask the output plugin for?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_OPTIONS_H
#define DOMEV_OPTIONS_H

#include "event.h"
#include "nodes/pg_list.h"

typedef struct DomevOptions
{
	List	   *topics;			/* of globs, see domev_options_match; NIL: all */
	List	   *named_topics;	/* those of them that are plain names, of char * */
	List	   *event_types;	/* of globs; NIL: all */
	bool		has_scope;
	bool		external;		/* the scope asked for */
	bool		any_origin;		/* also what was replicated from elsewhere */
	bool		protobuf;		/* the format; else JSON */
	int			shards;			/* into how many the events are divided; 0:
								 * not at all */
	int			shard;			/* the one asked for, from 0 */
	char	   *replay;			/* whose replays are asked for; NULL: nobody's */
} DomevOptions;

extern void domev_options_parse(DomevOptions *options, List *elements);
extern List *domev_options_parse_globs(const char *name, const char *value, List **names);
extern bool domev_options_match(List *globs, DomevText name);

#endif							/* DOMEV_OPTIONS_H */
