/*-------------------------------------------------------------------------
 *
 * sender.h
 *	  How does an event leave?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_SENDER_H
#define DOMEV_SENDER_H

#include "options.h"
#include "replication/logical.h"

typedef struct DomevSender DomevSender;

/* For each transaction: begin, add its events, end. */
extern DomevSender *domev_sender_create(LogicalDecodingContext *ctx,
										const DomevOptions *options);
extern void domev_sender_begin(DomevSender *sender);
extern void domev_sender_add(DomevSender *sender, ReorderBufferTXN *txn,
							 DomevText body, XLogRecPtr lsn);
extern void domev_sender_end(DomevSender *sender, ReorderBufferTXN *txn);

#endif							/* DOMEV_SENDER_H */
