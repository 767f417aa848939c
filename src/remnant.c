/*-------------------------------------------------------------------------
 *
 * remnant.c
 *	  Has a mapping left something behind?
 *
 * If so its subtransaction is rolled back, although it succeeded.  Not always,
 * as to roll back takes PostgreSQL a look at each deferred trigger that is
 * pending: with one for each event the work would grow with the square of
 * the events.  What there can be is told by:
 *
 * - a transaction id: it wrote something, such as a temporary table;
 * - a utility statement: SET CONSTRAINTS, NOTIFY, DECLARE, LOCK, ANALYZE;
 * - a cursor, which PL/pgSQL opens without one.  It is the worst: under the
 *	 name of one of the emitter's, its functions would run as the emitter at
 *	 his next FETCH;
 * - an open large object, which its descriptor lets everybody read.  One of
 *	 the emitter's counts as well, as they have no list, either.
 *
 * Not told are pg_notify() and locks that functions take.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/memnodes.h"
#include "remnant.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#include "compat.h"

static ProcessUtility_hook_type previous_hook = NULL;
static bool utility_used = false;

static void watch_utility(void);
static void note_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc);
static bool large_object_is_open(void);
static MemoryContext find_portals(void);

void
domev_remnant_watch(DomevRemnant *remnant)
{
	watch_utility();
	utility_used = false;
	remnant->marker = AllocSetContextCreate(find_portals(), "domev mapping", ALLOCSET_SMALL_SIZES);
}

/*
 * False, too, when nothing was watched.  Each portal has a memory context that is put at the head of its siblings:
 * those that were made since, and are still there, are before the marker.
 */
bool
domev_remnant_is_left(DomevRemnant *remnant)
{
	bool		portal_left;

	if (remnant->marker == NULL)
		return false;
	portal_left = MemoryContextGetParent(remnant->marker)->firstchild != remnant->marker;
	MemoryContextDelete(remnant->marker);
	remnant->marker = NULL;
	return portal_left || utility_used || large_object_is_open() || TransactionIdIsValid(GetCurrentTransactionIdIfAny());
}

/* From the first mapping of a session on; it cannot be taken back. */
static void
watch_utility(void)
{
	static bool watching = false;

	if (watching)
		return;
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = note_utility;
	watching = true;
}

static void
note_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			 ProcessUtilityContext context, ParamListInfo params,
			 QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	utility_used = true;
	if (previous_hook != NULL)
		previous_hook(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
}

/* The context of large objects is made with the first and deleted with the transaction. */
static bool
large_object_is_open(void)
{
	MemoryContext context = TopMemoryContext->firstchild;

	while (context != NULL && strcmp(context->name, "Filesystem") != 0)
		context = context->nextchild;
	return context != NULL;
}

/* Where PostgreSQL keeps its portals, of which it has no list for others; it is there as long as the process. */
static MemoryContext
find_portals(void)
{
	static MemoryContext portals = NULL;

	if (portals == NULL)
		portals = TopMemoryContext->firstchild;
	while (portals != NULL && strcmp(portals->name, "TopPortalContext") != 0)
		portals = portals->nextchild;
	if (portals == NULL)
		elog(ERROR, "could not find the memory context of portals");
	return portals;
}
