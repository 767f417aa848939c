/*-------------------------------------------------------------------------
 *
 * consumer.h
 *	  Who consumes events, and who may in that name?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_CONSUMER_H
#define DOMEV_CONSUMER_H

extern void domev_consumer_use(const char *consumer);
extern void domev_consumer_lock_reader(const char *consumer);

#endif							/* DOMEV_CONSUMER_H */
