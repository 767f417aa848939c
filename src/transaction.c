/*-------------------------------------------------------------------------
 *
 * transaction.c
 *	  What has this transaction emitted so far?
 *
 * Remembered only when a setting asks for it: domev.aggregate_guard, for
 * which aggregates; domev.keep_emitted, so that an application's tests can look
 * at the events before they roll back.  Each entry knows the subtransaction it
 * is of: it goes away with it, or is the parent's when that commits.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "right.h"
#include "transaction.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"

typedef enum Guard
{
	GUARD_OFF,
	GUARD_WARNING,
	GUARD_ERROR
} Guard;

static const struct config_enum_entry guard_options[] = {
	{"off", GUARD_OFF, false},
	{"warning", GUARD_WARNING, false},
	{"error", GUARD_ERROR, false},
	{NULL, 0, false}
};

/* An aggregate that the transaction has emitted for; a second one is marked when it was warned of. */
typedef struct Aggregate
{
	SubTransactionId subxact;
	bool		warned;
	char	   *type;
	char	   *id;
} Aggregate;

typedef struct Emitted
{
	SubTransactionId subxact;
	DomevEvent	event;
} Emitted;

static int	aggregate_guard = GUARD_OFF;
static bool keep_emitted = false;

/* Both, with all they point to, live in TopTransactionContext. */
static List *aggregates = NIL;	/* of Aggregate *, different ones, two at most
								 * of a subtransaction */
static List *emitted = NIL;		/* of Emitted * */

static void watch_transactions(void);
static void forget_all(XactEvent event, void *arg);
static void end_subtransaction(SubXactEvent event, SubTransactionId subxact,
							   SubTransactionId parent, void *arg);
static int	keep_two(int n, SubTransactionId parent);
static void report_second(const Aggregate *first, const char *type, const char *id);
static DomevText copy_text(DomevText text);
static void put_emitted(ReturnSetInfo *rsinfo, const DomevEvent *event);

/* Defines domev.aggregate_guard and domev.keep_emitted. */
void
domev_transaction_init(void)
{
	DefineCustomEnumVariable("domev.aggregate_guard",
							 "What happens when a transaction emits for a second aggregate.",
							 NULL,
							 &aggregate_guard,
							 GUARD_OFF, guard_options,
							 PGC_USERSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("domev.keep_emitted",
							 "Keeps the transaction's events for domev.emitted_in_transaction().",
							 "For tests: it costs memory for each event.",
							 &keep_emitted,
							 false,
							 PGC_USERSET,
							 0,
							 NULL, NULL, NULL);
}

/* Once in a backend: callbacks cannot be taken back. */
static void
watch_transactions(void)
{
	static bool watching = false;

	if (watching)
		return;
	RegisterXactCallback(forget_all, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
	watching = true;
}

/* The memory goes with the transaction. */
static void
forget_all(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		aggregates = emitted = NIL;
}

/* What is of a subtransaction is at the end of the lists. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	bool		commit = event == SUBXACT_EVENT_COMMIT_SUB;
	int			n;

	if (!commit && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (n = list_length(emitted); n > 0; n--)
	{
		Emitted    *entry = list_nth(emitted, n - 1);

		if (entry->subxact != subxact)
			break;
		entry->subxact = parent;
	}
	if (!commit)
		emitted = list_truncate(emitted, n);
	for (n = list_length(aggregates); n > 0; n--)
	{
		Aggregate  *entry = list_nth(aggregates, n - 1);

		if (entry->subxact != subxact)
			break;
		entry->subxact = parent;
	}
	if (commit)
		n = keep_two(n, parent);
	aggregates = list_truncate(aggregates, n);
}

/*
 * n: where the entries begin that the parent has just been given.  It needs
 * two at most: any further aggregate differs from one of them.  Returns the
 * number of entries to keep.
 */
static int
keep_two(int n, SubTransactionId parent)
{
	while (n > 0 && ((Aggregate *) list_nth(aggregates, n - 1))->subxact == parent)
		n--;
	for (int i = n + 2; i < list_length(aggregates); i++)
	{
		if (((Aggregate *) list_nth(aggregates, i))->warned)
			((Aggregate *) list_nth(aggregates, n + 1))->warned = true;
	}
	return Min(n + 2, list_length(aggregates));
}

/* ----------------------------------------------------------------
 *		One transaction, one aggregate
 * ----------------------------------------------------------------
 */

/*
 * Is the aggregate the only one that the transaction emits for?  If not:
 * an error, or a warning, one in a transaction.
 */
void
domev_transaction_check_aggregate(const char *aggregate_type, const char *aggregate_id)
{
	Aggregate  *other = NULL;
	Aggregate  *aggregate;
	bool		warned = false;
	MemoryContext old;
	ListCell   *lc;

	if (aggregate_guard == GUARD_OFF)
		return;
	watch_transactions();
	foreach(lc, aggregates)
	{
		Aggregate  *known = lfirst(lc);

		if (strcmp(known->id, aggregate_id) == 0 && strcmp(known->type, aggregate_type) == 0)
			return;
		other = other ? other : known;
		warned = warned || (known->warned && aggregate_guard == GUARD_WARNING);
	}
	if (other != NULL && !warned)
		report_second(other, aggregate_type, aggregate_id);

	/*
	 * Each subtransaction may be all that is left: one of it, and another if
	 * it has one.
	 */
	if (list_length(aggregates) >= 2 &&
		((Aggregate *) list_nth(aggregates, list_length(aggregates) - 2))->subxact == GetCurrentSubTransactionId())
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	aggregate = palloc(sizeof(Aggregate));
	aggregate->subxact = GetCurrentSubTransactionId();
	aggregate->warned = other != NULL;
	aggregate->type = pstrdup(aggregate_type);
	aggregate->id = pstrdup(aggregate_id);
	aggregates = lappend(aggregates, aggregate);
	MemoryContextSwitchTo(old);
}

static void
report_second(const Aggregate *first, const char *type, const char *id)
{
	ereport(aggregate_guard == GUARD_ERROR ? ERROR : WARNING,
			(errcode(aggregate_guard == GUARD_ERROR ? ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION : ERRCODE_WARNING),
			 errmsg("transaction emits for a second aggregate"),
			 errdetail("After %s \"%s\" it emits for %s \"%s\".", first->type, first->id, type, id),
			 errhint("Change one aggregate in a transaction and let a consumer of its event change the other; or SET LOCAL domev.aggregate_guard = off.")));
}

/* ----------------------------------------------------------------
 *		The transaction's events
 * ----------------------------------------------------------------
 */

/* Keeps a copy of an event that is about to be kept, if the setting asks for it. */
void
domev_transaction_note(const DomevEvent *event)
{
	MemoryContext old;
	Emitted    *entry;

	if (!keep_emitted)
		return;
	watch_transactions();
	old = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc(sizeof(Emitted));
	entry->subxact = GetCurrentSubTransactionId();
	entry->event = *event;
#define COPY(field)	entry->event.field = copy_text(event->field)
	COPY(topic);
	COPY(event_type);
	COPY(mapping);
	COPY(aggregate_type);
	COPY(aggregate_id);
	COPY(key);
	COPY(payload);
	COPY(data);
	COPY(content_type);
	COPY(data_schema);
	COPY(headers);
#undef COPY
	emitted = lappend(emitted, entry);
	MemoryContextSwitchTo(old);
}

static DomevText
copy_text(DomevText text)
{
	char	   *copy;

	if (text.data == NULL)
		return text;

	copy = palloc(text.size + 1);	/* bytes may contain zeros */
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	text.		data = copy;
	return text;
}

PG_FUNCTION_INFO_V1(domev_emitted_in_transaction);

/* SQL: the events that the transaction has emitted. */
Datum
domev_emitted_in_transaction(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	if (!keep_emitted)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("events of the transaction are not kept"),
				 errhint("SET LOCAL domev.keep_emitted = on before they are emitted.")));
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, emitted)
		put_emitted((ReturnSetInfo *) fcinfo->resultinfo, &((Emitted *) lfirst(lc))->event);
	return (Datum) 0;
}

/* In the order of the function's OUT parameters; the content only for whoever may read it. */
static void
put_emitted(ReturnSetInfo *rsinfo, const DomevEvent *event)
{
	Datum		values[15];
	bool		nulls[15] = {false};
	int			n = 0;
	bool		readable = domev_right_reads_event(event, GetUserId());
	DomevText	hidden = {NULL, 0};

#define PUT(value, isnull) \
	do { nulls[n] = (isnull); values[n] = nulls[n] ? (Datum) 0 : (value); n++; } while (0)
#define PUT_TEXT(text) \
	PUT(PointerGetDatum(cstring_to_text_with_len((text).data, (text).size)), (text).data == NULL)
#define PUT_JSONB(text) \
	PUT(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup((text).data, (text).size))), (text).data == NULL)
	PUT(UUIDPGetDatum(&event->event_id), false);
	PUT_TEXT(event->topic);
	PUT_TEXT(event->event_type);
	PUT_TEXT(event->mapping);
	PUT(UUIDPGetDatum(&event->causation_id), !event->has_causation_id);
	PUT_TEXT(event->aggregate_type);
	PUT_TEXT(event->aggregate_id);
	PUT(Int64GetDatum(event->aggregate_version), !event->has_aggregate_version);
	PUT_TEXT(!readable ? hidden : event->key.data ? event->key : event->aggregate_id);
	PUT_JSONB(readable ? event->payload : hidden);
	PUT_TEXT(readable ? event->data : hidden);	/* bytes in a varlena, as
												 * bytea is */
	PUT_TEXT(event->content_type);
	PUT_TEXT(event->data_schema);
	PUT_JSONB(readable ? event->headers : hidden);
	PUT(TimestampTzGetDatum(event->occurred_at), false);
#undef PUT_JSONB
#undef PUT_TEXT
#undef PUT
	Assert(n == lengthof(values));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
