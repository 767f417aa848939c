/*-------------------------------------------------------------------------
 *
 * filter.h
 *	  Which changes are events, and which of them does this client get?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_FILTER_H
#define DOMEV_FILTER_H

#include "catalog.h"
#include "options.h"
#include "reader.h"

typedef struct DomevFilter DomevFilter;

/*
 * options and reader must outlive the filter.  What the other functions return lives
 * until the next of them is called.
 */
extern DomevFilter *domev_filter_create(const DomevOptions *options, const DomevReader *reader);
extern void domev_filter_begin(DomevFilter *filter);
extern const AttrNumber *domev_filter_columns(DomevFilter *filter, Relation relation);
extern const uint8 *domev_filter_message_key(DomevFilter *filter);
extern const char *domev_filter_source(DomevFilter *filter);
extern bool domev_filter_wants_replay(DomevFilter *filter, DomevText publisher);
extern bool domev_filter_has_types(DomevFilter *filter);
extern bool domev_filter_is_sharded(DomevFilter *filter);
extern bool domev_filter_wants(DomevFilter *filter, XLogRecPtr lsn, DomevText topic,
							   DomevText event_type, DomevText key);

#endif							/* DOMEV_FILTER_H */
