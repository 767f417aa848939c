/*-------------------------------------------------------------------------
 *
 * partition.h
 *	  How does a row get into its partition of the outbox?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_PARTITION_H
#define DOMEV_PARTITION_H

#include "event.h"
#include "partitioning/partdefs.h"

extern void domev_partition_insert(const DomevEvent *event);
extern TimestampTz domev_partition_bound(PartitionBoundInfo bounds, int i);

#endif							/* DOMEV_PARTITION_H */
