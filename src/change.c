/*-------------------------------------------------------------------------
 *
 * change.c
 *	  Which event is in a change?
 *
 * A row that was inserted into the outbox, or a WAL message, becomes the body
 * of an event.  Nothing here may raise an error because of data: what a row
 * says that cannot be sent becomes an event that says so.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "change.h"
#include "cloudevent.h"
#include "member.h"
#include "utils/rel.h"
#include "utils/xid8.h"

#include "compat.h"

static bool split_prefix(const char *prefix, DomevText *publisher, DomevText *topic);
static bool read_row(Relation relation, HeapTuple tuple, const AttrNumber *columns,
					 TransactionId xid, DomevEvent *event, bool *complete);
static bool bring_in_line(TupleDesc tupdesc, const AttrNumber *columns,
						  Datum *values, bool *nulls);
static DomevText key_of_row(const DomevEvent *event);
static DomevText member_of_message(const char *message, Size size, const char *name);

bool
domev_change_read_row(DomevFilter *filter, TransactionId xid, XLogRecPtr lsn, Relation relation,
					  HeapTuple tuple, DomevText *body)
{
	const AttrNumber *columns = domev_filter_columns(filter, relation);
	DomevEvent	event;
	DomevText	key = {NULL, 0};
	bool		complete;

	if (columns == NULL || !read_row(relation, tuple, columns, xid, &event, &complete))
		return false;
	*body = domev_text(NULL);
	if (domev_filter_is_sharded(filter))
		key = key_of_row(&event);
	if (domev_filter_wants(filter, lsn, event.topic, event.event_type, key))
	{
		const char *source = domev_filter_source(filter);
		StringInfoData buffer;

		initStringInfo(&buffer);
		if (!complete || !domev_cloudevent_append(&buffer, &event, source, true))
			domev_cloudevent_append_unpublishable(&buffer, &event, source);
		body->data = buffer.data;
		body->size = buffer.len;
	}
	return true;
}

/* By its prefix, which anybody may write. */
bool
domev_change_is_message(const char *prefix)
{
	return strncmp(prefix, DOMEV_MESSAGE_PREFIX, strlen(DOMEV_MESSAGE_PREFIX)) == 0 ||
		strncmp(prefix, DOMEV_REPLAY_PREFIX, strlen(DOMEV_REPLAY_PREFIX)) == 0;
}

/* False: the message is forged or damaged. */
bool
domev_change_read_message(DomevFilter *filter, TransactionId xid, XLogRecPtr lsn, const char *prefix,
						  Size size, const char *message, DomevText *body)
{
	const uint8 *mac_key = domev_filter_message_key(filter);
	DomevText	publisher;
	DomevText	topic;
	DomevText	type = {NULL, 0};
	DomevText	key = {NULL, 0};
	Size		body_size;

	if (mac_key == NULL || !split_prefix(prefix, &publisher, &topic) ||
		!domev_cloudevent_unseal(message, size, mac_key, xid, prefix, &body_size))
		return false;
	*body = domev_text(NULL);
	if (publisher.data != NULL && !domev_filter_wants_replay(filter, publisher))
		return true;
	if (domev_filter_has_types(filter))
	{
		/*
		 * That of one that cannot be sent is found by the type that it had,
		 * as that of a row.
		 */
		type = member_of_message(message, body_size, "originaltype");
		if (type.data == NULL)
			type = member_of_message(message, body_size, "type");
		type = domev_text(pg_any_to_server(type.data, type.size, PG_UTF8));
	}
	if (domev_filter_is_sharded(filter))
		key = member_of_message(message, body_size, "partitionkey");
	if (domev_filter_wants(filter, lsn, topic, type, key))
	{
		body->data = message;
		body->size = body_size;
	}
	return true;
}

/* publisher is absent in that of an event that is not replayed.  False: domev writes no such prefix. */
static bool
split_prefix(const char *prefix, DomevText *publisher, DomevText *topic)
{
	const char *slash;

	*publisher = domev_text(NULL);
	*topic = domev_text(prefix + strlen(DOMEV_MESSAGE_PREFIX));
	if (strncmp(prefix, DOMEV_MESSAGE_PREFIX, strlen(DOMEV_MESSAGE_PREFIX)) == 0)
		return true;
	publisher->data = prefix + strlen(DOMEV_REPLAY_PREFIX);
	slash = strchr(publisher->data, '/');
	if (slash == NULL)
		return false;
	publisher->size = slash - publisher->data;
	*topic = domev_text(slash + 1);
	return true;
}

/*
 * False: the row is not to be published.  That is so for the journal, and for
 * rows that another transaction than their own wrote: restored, moved between
 * partitions, or applied from another server.
 */
static bool
read_row(Relation relation, HeapTuple tuple, const AttrNumber *columns,
		 TransactionId xid, DomevEvent *event, bool *complete)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);
	Datum	   *all_values = palloc(tupdesc->natts * sizeof(Datum));
	bool	   *all_nulls = palloc(tupdesc->natts * sizeof(bool));
	Datum		values[DOMEV_OUTBOX_COLUMNS] = {0};
	bool		nulls[DOMEV_OUTBOX_COLUMNS];

	/* A column that a superuser has removed or changed is taken as NULL. */
	heap_deform_tuple(tuple, tupdesc, all_values, all_nulls);
	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
	{
		nulls[i] = columns[i] == InvalidAttrNumber || all_nulls[columns[i] - 1];
		if (!nulls[i])
			values[i] = all_values[columns[i] - 1];
	}
	if (nulls[DOMEV_OUTBOX_TOPIC] || nulls[DOMEV_OUTBOX_XACT_ID] ||
		XidFromFullTransactionId(DatumGetFullTransactionId(values[DOMEV_OUTBOX_XACT_ID])) != xid)
		return false;

	*complete = bring_in_line(tupdesc, columns, values, nulls);
	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
		*complete = *complete && columns[i] != InvalidAttrNumber;
	*complete = domev_event_from_row(event, values, nulls) && *complete &&
		domev_member_are_attributes(event->headers);
	return true;
}

/*
 * Makes values in line and not compressed.  What is too large to be, or is
 * still in the TOAST table, which may be another by now, becomes NULL; then
 * this is false.
 */
static bool
bring_in_line(TupleDesc tupdesc, const AttrNumber *columns, Datum *values, bool *nulls)
{
	Size		room = (Size) DOMEV_MAX_EVENT_KB * 1024;
	bool		complete = true;

	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
	{
		Size		size;

		if (nulls[i] || TupleDescAttr(tupdesc, columns[i] - 1)->attlen != -1)
			continue;
		size = toast_raw_datum_size(values[i]);
		if (size > room || VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(values[i])))
		{
			nulls[i] = true;
			complete = false;
			continue;
		}
		room -= size;
		values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(values[i]));
	}
	return complete;
}

/* The ordering key in UTF-8, as the event has it; bytes that cannot be UTF-8 as they are. */
static DomevText
key_of_row(const DomevEvent *event)
{
	DomevText	key = event->key.data ? event->key : event->aggregate_id;
	StringInfoData utf8;

	initStringInfo(&utf8);
	if (key.data != NULL && domev_cloudevent_to_utf8(&utf8, key))
	{
		key.data = utf8.data;
		key.size = utf8.len;
	}
	return key;
}

/* A string of a genuine message, in UTF-8; absent: it has none. */
static DomevText
member_of_message(const char *message, Size size, const char *name)
{
	DomevText	result = {NULL, 0};
	DomevMember member;
	StringInfoData string;

	if (domev_member_find(message, size, name, &member) && domev_member_is_string(&member))
	{
		initStringInfo(&string);
		domev_member_append_string(&string, &member);
		result.data = string.data;
		result.size = string.len;
	}
	return result;
}
