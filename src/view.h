/*-------------------------------------------------------------------------
 *
 * view.h
 *	  Which view does an event type have, or a topic?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_VIEW_H
#define DOMEV_VIEW_H

#include "right.h"

extern void domev_view_create_topic(const char *topic);
extern void domev_view_create_event_type(const char *event_type);
extern void domev_view_mend_topic(const char *topic);
extern void domev_view_mend_event_type(const char *event_type);
extern void domev_view_lock(DomevRight right, const char *name);
extern void domev_view_drop_topic(const char *topic);
extern void domev_view_drop_event_type(const char *event_type);

#endif							/* DOMEV_VIEW_H */
