/*-------------------------------------------------------------------------
 *
 * summary.h
 *	  How is the outbox's BRIN kept up to date for those who poll?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_SUMMARY_H
#define DOMEV_SUMMARY_H

#include "datatype/timestamp.h"
#include "utils/relcache.h"

extern void domev_summary_refresh(TimestampTz since);
extern void domev_summary_make(Relation partition);

#endif							/* DOMEV_SUMMARY_H */
