/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  Which topics may the role read that streams?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_READER_H
#define DOMEV_READER_H

#include "access/xlogdefs.h"
#include "options.h"

typedef struct DomevReader DomevReader;

/* Lives in the current memory context. */
extern DomevReader *domev_reader_create(const DomevOptions *options);
extern bool domev_reader_reads_all(const DomevReader *reader);
extern bool domev_reader_was_asked(const DomevReader *reader, const char *topic, XLogRecPtr lsn,
								   bool *readable);
extern bool domev_reader_may_now(const DomevReader *reader, const char *topic);

#endif							/* DOMEV_READER_H */
