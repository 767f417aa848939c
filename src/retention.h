/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  How long is what domev keeps kept?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_RETENTION_H
#define DOMEV_RETENTION_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "nodes/execnodes.h"
#include "statement.h"

/* A call of maintain: what it goes by, and its result. */
typedef struct DomevMaintenance
{
	Interval	period;			/* of a partition */
	int			ahead;			/* so many periods have their partitions */
	TimestampTz idempotency_from;	/* what was claimed, or failed, before is
									 * forgotten */
	TimestampTz failed_from;
	TimestampTz inbox_from;		/* the same of what was received */
	TimestampTz keep_from;		/* rows from then on are kept; DT_NOBEGIN: all */
	TimestampTz max_keep_from;	/* those before are not, whoever needs them;
								 * DT_NOBEGIN: none */
	int			max_rows;		/* are deleted from a table */
	bool		was_locked;		/* has something been postponed? */
	ReturnSetInfo *rsinfo;
} DomevMaintenance;

/* A part of it, which is done or undone as a whole. */
typedef void (*DomevMaintenanceStep) (DomevMaintenance *maintenance, void *arg);

extern bool domev_retention_try(DomevMaintenance *maintenance, const char *object,
								DomevMaintenanceStep step, void *arg);
extern void domev_retention_report(DomevMaintenance *maintenance, const char *action,
								   const char *object, const char *detail);
extern void domev_retention_select(const char *sql, DomevParams *params);
extern bool domev_retention_finds(const char *sql, DomevParams *params);

#endif							/* DOMEV_RETENTION_H */
