/*-------------------------------------------------------------------------
 *
 * failure.h
 *	  How is it kept that a mapping has failed?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_FAILURE_H
#define DOMEV_FAILURE_H

#include "utils/uuid.h"

extern void domev_failure_record(const char *mapping, Datum domain_event,
								 const pg_uuid_t *event_id, const ErrorData *error);
extern void domev_failure_forget(const char *mapping, const pg_uuid_t *event_id);

#endif							/* DOMEV_FAILURE_H */
