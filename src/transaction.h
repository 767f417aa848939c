/*-------------------------------------------------------------------------
 *
 * transaction.h
 *	  What has this transaction emitted so far?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_TRANSACTION_H
#define DOMEV_TRANSACTION_H

#include "event.h"

extern void domev_transaction_init(void);
extern void domev_transaction_check_aggregate(const char *aggregate_type,
											  const char *aggregate_id);
extern void domev_transaction_note(const DomevEvent *event);

#endif							/* DOMEV_TRANSACTION_H */
