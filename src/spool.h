/*-------------------------------------------------------------------------
 *
 * spool.h
 *	  How are events kept whose transaction has not committed yet?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_SPOOL_H
#define DOMEV_SPOOL_H

#include "access/xlogdefs.h"
#include "event.h"
#include "lib/stringinfo.h"

/* The spools of one decoding session share their memory. */
typedef struct DomevSpools DomevSpools;

/* The events of one transaction, in their order. */
typedef struct DomevSpool DomevSpool;

extern DomevSpools *domev_spools_create(void);

extern DomevSpool *domev_spool_open(DomevSpools *spools);
extern void domev_spool_put(DomevSpool *spool, TransactionId xid, XLogRecPtr lsn,
							DomevText body);
extern void domev_spool_rewind(DomevSpool *spool);
extern bool domev_spool_get(DomevSpool *spool, TransactionId *xid, XLogRecPtr *lsn,
							StringInfo buffer, DomevText *body);
extern void domev_spool_close(DomevSpool *spool);

#endif							/* DOMEV_SPOOL_H */
