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

/*
 * Each is false when there is no event in it.  Else body is the event's, or
 * absent when the client does not get it.  It is in the message, or allocated
 * in the current memory context, with much else: use one that is reset soon.
 */
extern bool domev_change_read_row(DomevFilter *filter, TransactionId xid, XLogRecPtr lsn,
								  Relation relation, HeapTuple tuple,
								  DomevText *body);
extern bool domev_change_is_message(const char *prefix);
extern bool domev_change_read_message(DomevFilter *filter, TransactionId xid, XLogRecPtr lsn,
									  const char *prefix, Size size,
									  const char *message, DomevText *body);

#endif							/* DOMEV_CHANGE_H */
