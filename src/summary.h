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

extern void domev_summary_refresh(TimestampTz since);

#endif							/* DOMEV_SUMMARY_H */
