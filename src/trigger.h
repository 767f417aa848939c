/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  How is a capture made, found, changed and dropped?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_TRIGGER_H
#define DOMEV_TRIGGER_H

extern char *domev_trigger_emitting(const char *event_type);
extern Oid	domev_trigger_table(Oid trigger);

#endif							/* DOMEV_TRIGGER_H */
