/*-------------------------------------------------------------------------
 *
 * rotation.h
 *	  How do partitions of the outbox come and go?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_ROTATION_H
#define DOMEV_ROTATION_H

#include "retention.h"

extern bool domev_rotation_is_period(const Interval *period);
extern void domev_rotation_prune_default(DomevMaintenance *maintenance);
extern void domev_rotation_drop(DomevMaintenance *maintenance);
extern void domev_rotation_make(DomevMaintenance *maintenance);
extern void domev_rotation_truncate_default(DomevMaintenance *maintenance);

#endif							/* DOMEV_ROTATION_H */
