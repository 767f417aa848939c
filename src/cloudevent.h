/*-------------------------------------------------------------------------
 *
 * cloudevent.h
 *	  How does an event look on the wire?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_CLOUDEVENT_H
#define DOMEV_CLOUDEVENT_H

#include "access/xlogdefs.h"
#include "event.h"
#include "lib/stringinfo.h"

/* A WAL message's prefix is this and its topic. */
#define DOMEV_MESSAGE_PREFIX	"domev/"

/* Of an event that is replayed it is this, the publisher that asked, a slash and its topic. */
#define DOMEV_REPLAY_PREFIX		"domev.replay/"
#define DOMEV_MAX_PREFIX		(sizeof(DOMEV_REPLAY_PREFIX) + DOMEV_MAX_NAME + DOMEV_MAX_NAME)

/* Of the attribute "sequence", with its terminator. */
#define DOMEV_SEQUENCE_SIZE		26

/*
 * The body of a CloudEvent: its JSON in UTF-8 without what is known only when
 * it is sent, and without the closing brace.
 */
extern Size domev_cloudevent_size_limit(const DomevEvent *event, const char *source);
extern bool domev_cloudevent_append(StringInfo body, const DomevEvent *event,
									const char *source, bool noerror);
extern void domev_cloudevent_append_unpublishable(StringInfo body,
												  const DomevEvent *event,
												  const char *source);
extern void domev_cloudevent_append_replay(StringInfo body, const pg_uuid_t *replay_id);
extern void domev_cloudevent_finish(StringInfo body, XLogRecPtr commit_lsn,
									uint32 index, bool last);
extern void domev_cloudevent_sequence(char *sequence, XLogRecPtr commit_lsn,
									  uint32 index);
extern bool domev_cloudevent_to_utf8(StringInfo out, DomevText string);
extern void domev_cloudevent_to_ascii(StringInfo out, const char *utf8, int size);

/* The MAC of a WAL message. */
extern void domev_cloudevent_seal(StringInfo body, const uint8 *key,
								  TransactionId xid, const char *prefix);
extern bool domev_cloudevent_unseal(const char *message, Size size,
									const uint8 *key, TransactionId xid,
									const char *prefix, Size *body_size);

#endif							/* DOMEV_CLOUDEVENT_H */
