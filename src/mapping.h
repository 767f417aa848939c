/*-------------------------------------------------------------------------
 *
 * mapping.h
 *	  How is a mapping function found fit, and run?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_MAPPING_H
#define DOMEV_MAPPING_H

#include "domev.h"
#include "registry.h"

extern bool domev_mapping_running(void);
extern void domev_mapping_lock(DomevMapping *mapping);
extern List *domev_mapping_run(DomevMapping *mapping, Datum domain_event);

extern void domev_mapping_check_rights(const char *event_type, const char *topic, Oid owner);
extern char *domev_mapping_check_function(const char *function, Oid registrant,
										  Oid *owner);
extern void domev_mapping_examine(DomevMapping *mapping);
extern void domev_mapping_advise(const char *function);

#endif							/* DOMEV_MAPPING_H */
