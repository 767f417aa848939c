/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  Which topics may the role read that streams?
 *
 * Asked when a client starts, as PostgreSQL checks the rights of a
 * replication connection: what was in the WAL by then, the role gets if it
 * may read the topic now, also when the right was given after the event.
 * Beyond, as of each event: so a topic that is made or granted while the
 * client is connected is sent from there on, and one that is revoked no more.
 * A topic that had been dropped by the start counts as of its events, too.
 *
 * Superusers and members of pg_read_all_data, when they start, get all.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog.h"
#include "miscadmin.h"
#include "reader.h"
#include "right.h"
#include "utils/hsearch.h"

#include "compat.h"

/* A topic that there was at the start. */
typedef struct Topic
{
	char		name[DOMEV_MAX_NAME + 1];	/* the key */
	bool		readable;
} Topic;

struct DomevReader
{
	Oid			role;
	bool		reads_all;
	XLogRecPtr	start;			/* what is before was there at the start */
	HTAB	   *topics;			/* of Topic; NULL: not needed */
};

static void ask(DomevReader *reader, const DomevOptions *options);
static HTAB *read_topics(Oid role, MemoryContext context);
static void check_named(HTAB *topics, List *names, Oid role);
static void check_any(HTAB *topics, const DomevOptions *options, Oid role);

/* A walsender is in no transaction when a client starts, SQL functions are. */
DomevReader *
domev_reader_create(const DomevOptions *options)
{
	DomevReader *reader = palloc0(sizeof(DomevReader));
	MemoryContext context = CurrentMemoryContext;
	bool		transaction = !IsTransactionState();

	domev_right_watch();
	reader->role = GetUserId();
	reader->start = RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetXLogInsertRecPtr();
	if (transaction)
		StartTransactionCommand();
	MemoryContextSwitchTo(context);
	ask(reader, options);
	if (transaction)
		CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return reader;
}

static void
ask(DomevReader *reader, const DomevOptions *options)
{
	reader->reads_all = domev_right_reads_all(reader->role);
	if (reader->reads_all || !OidIsValid(domev_catalog_table("topics")))
		return;
	reader->topics = read_topics(reader->role, CurrentMemoryContext);
	check_named(reader->topics, options->named_topics, reader->role);
	check_any(reader->topics, options, reader->role);
}

static HTAB *
read_topics(Oid role, MemoryContext context)
{
	HASHCTL		ctl;
	HTAB	   *topics;
	ListCell   *lc;

	ctl.keysize = DOMEV_MAX_NAME + 1;
	ctl.entrysize = sizeof(Topic);
	ctl.hcxt = context;
	topics = hash_create("domev topics at start", 64, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	foreach(lc, domev_catalog_topic_names())
	{
		Topic	   *topic = hash_search(topics, lfirst(lc), HASH_ENTER, NULL);

		topic->readable = domev_right_is_had(DOMEV_READ_TOPIC, lfirst(lc), role);
	}
	return topics;
}

/* Whoever asks for a topic by its name must not wait for ever for events that he does not get. */
static void
check_named(HTAB *topics, List *names, Oid role)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		const char *name = lfirst(lc);
		Topic	   *topic = strlen(name) <= DOMEV_MAX_NAME ? hash_search(topics, name, HASH_FIND, NULL) : NULL;

		if (topic != NULL && !topic->readable)
			domev_right_raise_denied(DOMEV_READ_TOPIC, name, role);
	}
}

/*
 * Whoever may read none of the topics that there are would be sent nothing,
 * and its slot moved on all the same: what it has passed is not sent again
 * when rights are given.  A topic that is not there yet may come, with rights.
 */
static void
check_any(HTAB *topics, const DomevOptions *options, Oid role)
{
	HASH_SEQ_STATUS status;
	Topic	   *topic;
	bool		any = false;
	bool		any_readable = false;

	hash_seq_init(&status, topics);
	while ((topic = hash_seq_search(&status)) != NULL)
	{
		bool		asked = domev_options_match(options->topics, domev_text(topic->name));

		any = any || asked;
		any_readable = any_readable || (asked && topic->readable);
	}
	if (any && !any_readable)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may read none of the topics that it asks for", GetUserNameFromId(role, false)),
				 errdetail("It would be sent no event, and what it has passed is not sent again."),
				 errhint("Grant it SELECT on views in schema \"%s\".", DOMEV_TOPIC_SCHEMA)));
	if (!any)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("there is no topic that role \"%s\" asks for", GetUserNameFromId(role, false)),
				 errdetail("No event is sent to it until there is one that it may read.")));
}

bool
domev_reader_reads_all(const DomevReader *reader)
{
	return reader->reads_all;
}

/* Is the answer for an event at this position that of the start? */
bool
domev_reader_was_asked(const DomevReader *reader, const char *topic, XLogRecPtr lsn, bool *readable)
{
	Topic	   *entry;

	if (reader->topics == NULL || lsn > reader->start)
		return false;
	entry = hash_search(reader->topics, topic, HASH_FIND, NULL);
	if (entry != NULL)
		*readable = entry->readable;
	return entry != NULL;
}

/* May the role read the topic as the catalogs are?  While an event is decoded: as they were then. */
bool
domev_reader_may_now(const DomevReader *reader, const char *topic)
{
	return domev_right_is_had(DOMEV_READ_TOPIC, topic, reader->role);
}
