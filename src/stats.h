/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  How often have mappings run, and for how long?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_STATS_H
#define DOMEV_STATS_H

#include "portability/instr_time.h"

/* Where a mapping is counted, as far as is known; zeroed: not known. */
typedef struct DomevStatsMark
{
	struct DomevStatsEntry *entry;
	uint32		generation;
	bool		is_full;		/* there was no place for it */
} DomevStatsMark;

extern void domev_stats_init(void);
extern bool domev_stats_begin(instr_time *start);
extern void domev_stats_count(const char *mapping, DomevStatsMark *mark, instr_time start,
							  bool succeeded);
extern bool domev_stats_counted(void);

#endif							/* DOMEV_STATS_H */
