/*-------------------------------------------------------------------------
 *
 * replay.h
 *	  How are recorded events published again?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_REPLAY_H
#define DOMEV_REPLAY_H

#include "selection.h"

/* A replay that is asked for; strings are the caller's. */
typedef struct DomevReplayRequest
{
	const char *publisher;		/* checked */
	const char *lost_slot;		/* whose events are caught up with; NULL: none */
	DomevSelection selection;
	bool		dry_run;
	bool		has_id;
	pg_uuid_t	id;				/* one that the caller wants it to have */
} DomevReplayRequest;

extern char *domev_replay_publisher(FunctionCallInfo fcinfo, int arg);
extern void domev_replay_get_id(FunctionCallInfo fcinfo, int arg, DomevReplayRequest *request);
extern Datum domev_replay_start(FunctionCallInfo fcinfo, DomevReplayRequest *request);

#endif							/* DOMEV_REPLAY_H */
