/*-------------------------------------------------------------------------
 *
 * spool.c
 *	  How are events kept whose transaction has not committed yet?
 *
 * PostgreSQL streams a transaction that is too large for its memory while it
 * is in progress, so that what is no event never has to be kept.  The events
 * among it are kept here, in the order of the WAL, to be sent at the commit:
 * in memory, and when all spools of the session have too much of that, in a
 * temporary file.  Each is marked by its subtransaction, since that may be
 * rolled back yet.
 *
 * The file is PostgreSQL's own kind of temporary file that outlives a
 * transaction: decoding starts and aborts one for each piece of a stream.
 * BufFile and tuplestore, which have such files as well, look up
 * temp_tablespaces, for which there is no looking while decoding.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "spool.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "compat.h"

/* What the spools of a session may have in memory together, in bytes. */
#define SPOOLS_MEMORY	(1024 * 1024)

/* What is written to a file at once, when there is one, and read from it. */
#define PIECE_SIZE		(64 * 1024)

struct DomevSpools
{
	MemoryContext context;		/* of the session; the spools are in it */
	dlist_head	spools;
	Size		used;			/* by the buffers of all spools */
};

/* What precedes an event's body. */
typedef struct EntryHeader
{
	XLogRecPtr	lsn;
	TransactionId xid;
	int32		size;			/* of the body; -1: there is none */
} EntryHeader;

/*
 * The file has the beginning, the buffer the rest; while reading, the buffer
 * is a window of the file if there is one.
 */
struct DomevSpool
{
	dlist_node	node;			/* in spools->spools */
	MemoryContext context;		/* ends with the spool */
	MemoryContextCallback on_end;	/* closes the file */
	DomevSpools *spools;
	StringInfoData buffer;
	File		file;			/* 0: none */
	off_t		file_size;
	off_t		file_position;	/* read so far */
};

static void spool_end(void *arg);
static DomevSpool *find_largest(DomevSpools *spools);
static void write_out(DomevSpool *spool);
static void free_buffer(DomevSpool *spool);
static void make_room(DomevSpool *spool, int size);
static void make_buffer(DomevSpool *spool);
static bool read_bytes(DomevSpool *spool, void *bytes, Size size);
static bool read_more(DomevSpool *spool);

/* Lives in the current memory context, and closes all files when that ends. */
DomevSpools *
domev_spools_create(void)
{
	DomevSpools *spools = palloc0(sizeof(DomevSpools));

	spools->context = CurrentMemoryContext;
	dlist_init(&spools->spools);
	return spools;
}

DomevSpool *
domev_spool_open(DomevSpools *spools)
{
	MemoryContext context = AllocSetContextCreate(spools->context, "domev spool",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	DomevSpool *spool = palloc0(sizeof(DomevSpool));

	spool->context = context;
	spool->spools = spools;
	make_buffer(spool);
	spool->on_end.func = spool_end;
	spool->on_end.arg = spool;
	MemoryContextRegisterResetCallback(context, &spool->on_end);
	dlist_push_head(&spools->spools, &spool->node);
	MemoryContextSwitchTo(old);
	return spool;
}

void
domev_spool_close(DomevSpool *spool)
{
	MemoryContextDelete(spool->context);
}

/* Also called when the whole session's memory goes, after an error. */
static void
spool_end(void *arg)
{
	DomevSpool *spool = arg;

	dlist_delete(&spool->node);
	spool->spools->used -= spool->buffer.maxlen;
	if (spool->file > 0)
		FileClose(spool->file);
}

/* Keeps an event; without a body it is one that the client does not get, but that counts. */
void
domev_spool_put(DomevSpool *spool, TransactionId xid, XLogRecPtr lsn,
				DomevText body)
{
	EntryHeader header = {.lsn = lsn,.xid = xid,.size = body.data ? body.size : -1};
	int			size = sizeof(header) + body.size;

	if (spool->file > 0 && spool->buffer.len + size > PIECE_SIZE)
		write_out(spool);
	if (spool->buffer.len + size >= spool->buffer.maxlen && spool->spools->used + size > SPOOLS_MEMORY)
	{
		DomevSpool *largest = find_largest(spool->spools);

		write_out(largest);
		free_buffer(largest);
	}
	make_room(spool, size);
	appendBinaryStringInfo(&spool->buffer, (char *) &header, sizeof(header));
	if (body.data != NULL)
		appendBinaryStringInfo(&spool->buffer, body.data, body.size);
}

/* From now on the spool is read, from its start, once. */
void
domev_spool_rewind(DomevSpool *spool)
{
	if (spool->file > 0)
	{
		write_out(spool);
		spool->file_position = 0;
	}
	spool->buffer.cursor = 0;
}

/*
 * The next event; false: there is none.  Its body is in the buffer, if the
 * client is to get it.
 */
bool
domev_spool_get(DomevSpool *spool, TransactionId *xid, XLogRecPtr *lsn,
				StringInfo buffer, DomevText *body)
{
	EntryHeader header;

	if (!read_bytes(spool, &header, sizeof(header)))
		return false;
	*xid = header.xid;
	*lsn = header.lsn;
	*body = domev_text(NULL);
	if (header.size >= 0)
	{
		resetStringInfo(buffer);
		enlargeStringInfo(buffer, header.size);
		if (!read_bytes(spool, buffer->data, header.size))
			elog(ERROR, "spool of events ends in an event");
		body->data = buffer->data;
		body->size = header.size;
	}
	return true;
}

/* ----------------------------------------------------------------
 *		The file
 * ----------------------------------------------------------------
 */

/* Which one has most in memory?  There is one at least. */
static DomevSpool *
find_largest(DomevSpools *spools)
{
	DomevSpool *largest = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &spools->spools)
	{
		DomevSpool *spool = dlist_container(DomevSpool, node, iter.cur);

		if (largest == NULL || spool->buffer.maxlen > largest->buffer.maxlen)
			largest = spool;
	}
	return largest;
}

/* Empties the buffer into the file, and keeps it if it is small: to make it grow anew takes longer than to write. */
static void
write_out(DomevSpool *spool)
{
	StringInfo	buffer = &spool->buffer;

	if (buffer->len == 0)
		return;
	if (spool->file <= 0)
		spool->file = OpenTemporaryFile(true);
	if (FileWrite(spool->file, buffer->data, buffer->len, spool->file_size,
				  WAIT_EVENT_BUFFILE_WRITE) != buffer->len)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write to file \"%s\": %m", FilePathName(spool->file))));
	spool->file_size += buffer->len;
	resetStringInfo(buffer);
	if (buffer->maxlen > 2 * PIECE_SIZE)
		free_buffer(spool);
}

/* What is in it must not be needed any more. */
static void
free_buffer(DomevSpool *spool)
{
	spool->spools->used -= spool->buffer.maxlen;
	pfree(spool->buffer.data);
	make_buffer(spool);
}

static void
make_room(DomevSpool *spool, int size)
{
	int			before = spool->buffer.maxlen;

	enlargeStringInfo(&spool->buffer, size);
	spool->spools->used += spool->buffer.maxlen - before;
}

static void
make_buffer(DomevSpool *spool)
{
	MemoryContext old = MemoryContextSwitchTo(spool->context);

	initStringInfo(&spool->buffer);
	MemoryContextSwitchTo(old);
	spool->spools->used += spool->buffer.maxlen;
}

/* False: nothing is left. */
static bool
read_bytes(DomevSpool *spool, void *bytes, Size size)
{
	StringInfo	buffer = &spool->buffer;
	char	   *to = bytes;

	while (size > 0)
	{
		Size		part = Min(size, (Size) (buffer->len - buffer->cursor));

		if (part == 0)
		{
			if (!read_more(spool))
				return false;
			continue;
		}
		memcpy(to, buffer->data + buffer->cursor, part);
		buffer->cursor += part;
		to += part;
		size -= part;
	}
	return true;
}

/* Refills the buffer from the file. */
static bool
read_more(DomevSpool *spool)
{
	StringInfo	buffer = &spool->buffer;
	int			size;

	if (spool->file <= 0 || spool->file_position >= spool->file_size)
		return false;
	resetStringInfo(buffer);
	make_room(spool, PIECE_SIZE);
	size = FileRead(spool->file, buffer->data, PIECE_SIZE, spool->file_position,
					WAIT_EVENT_BUFFILE_READ);
	if (size < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", FilePathName(spool->file))));
	if (size == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" is shorter than what was written", FilePathName(spool->file))));
	buffer->len = size;
	spool->file_position += size;
	return true;
}
