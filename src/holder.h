/*-------------------------------------------------------------------------
 *
 * holder.h
 *	  Who has yet to confirm that he has read an event?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_HOLDER_H
#define DOMEV_HOLDER_H

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

extern List *domev_holder_list(void);
extern FullTransactionId domev_holder_first(List *holders);
extern char *domev_holder_names(List *holders, const char *partition, TimestampTz before);

#endif							/* DOMEV_HOLDER_H */
