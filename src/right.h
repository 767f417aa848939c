/*-------------------------------------------------------------------------
 *
 * right.h
 *	  What may a role do with an event type, or a topic?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_RIGHT_H
#define DOMEV_RIGHT_H

#include "event.h"

/* The schemas of the views that bear the rights, one for each event type and topic. */
#define DOMEV_EVENT_SCHEMA	"domev_event"
#define DOMEV_TOPIC_SCHEMA	"domev_topic"

/* The rights: of an event type to emit and to read, of a topic to publish to and to read. */
typedef enum DomevRight
{
	DOMEV_EMIT,
	DOMEV_READ_EVENT_TYPE,
	DOMEV_PUBLISH,
	DOMEV_READ_TOPIC,
} DomevRight;

/*
 * Who was found to have a right, so that it need not be asked again as long as
 * nothing has changed that it could depend on; start from {0}.
 */
typedef struct DomevRightMark
{
	Oid			role;
	uint64		as_of;
} DomevRightMark;

extern void domev_right_watch(void);
extern uint64 domev_right_changes(void);
extern bool domev_right_is_had(DomevRight right, const char *name, Oid role);
extern bool domev_right_is_known(DomevRightMark *mark, DomevRight right, const char *name, Oid role);
extern Oid	domev_right_view(DomevRight right, const char *name);
extern bool domev_right_reads_all(Oid role);
extern bool domev_right_reads_event(const DomevEvent *event, Oid role);
extern void domev_right_raise_denied(DomevRight right, const char *name, Oid role);

#endif							/* DOMEV_RIGHT_H */
