/*-------------------------------------------------------------------------
 *
 * change.h
 *	  Which event is in a change?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_CHANGE_H
#define DOMEV_CHANGE_H

#include "access/htup.h"
#include "filter.h"
#include "lib/stringinfo.h"

/*
 * Each is false when there is no event in it.  Else body is the event's, or
 * empty when the client does not get it; it is allocated in the current
 * memory context, with much else: use one that is reset soon.
 */
extern bool domev_change_read_row(DomevFilter *filter, TransactionId xid,
								  Relation relation, HeapTuple tuple,
								  StringInfo body);
extern bool domev_change_read_message(DomevFilter *filter, TransactionId xid,
									  const char *prefix, Size size,
									  const char *message, StringInfo body);

#endif							/* DOMEV_CHANGE_H */
