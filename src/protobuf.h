/*-------------------------------------------------------------------------
 *
 * protobuf.h
 *	  How does an event look in the CloudEvents protobuf format?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_PROTOBUF_H
#define DOMEV_PROTOBUF_H

#include "access/xlogdefs.h"
#include "lib/stringinfo.h"

extern void domev_protobuf_append(StringInfo out, const char *body, Size size,
								  XLogRecPtr commit_lsn, uint32 index, bool last);

#endif							/* DOMEV_PROTOBUF_H */
