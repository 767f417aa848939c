/*-------------------------------------------------------------------------
 *
 * mapping.c
 *	  How is a mapping function found fit, and run?
 *
 * A mapping is somebody's code, run in the transaction of somebody else who
 * emits.  So it runs as its owner, in a security-restricted operation, with a
 * safe search_path and a level of settings of its own, in a transaction that is
 * read-only meanwhile: it computes and reads, and can do nothing to the one
 * who emits.  It sees all that the transaction has written so far.
 *
 * SQL and PL functions run through one kept plan each, so that the planner
 * can inline an SQL function; C functions are called directly.
 *
 * A function is registered by name and looked up again whenever PostgreSQL
 * says that functions have changed.  One that is gone, or that is somebody
 * else's by now, is an error: never a silently missing event.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "mapping.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "nodes/primnodes.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"

/* What is known of a function that was found fit. */
typedef struct Function
{
	Oid			oid;
	Oid			owner;
	char	   *name;			/* qualified and quoted, palloc'd */
	Oid			event_type_oid; /* of type domev.domain_event */
	bool		in_c;
	bool		in_sql;
	bool		returns_set;
	bool		sets_search_path;
} Function;

/* Lives in the registry's memory context. */
struct DomevMappingCall
{
	Function	function;
	uint64		checked;		/* functions_changed when it was looked up */
	SPIPlanPtr	plan;			/* of SQL and PL functions; NULL until first
								 * run */
	FmgrInfo	flinfo;			/* of C functions */
	MemoryContextCallback cleanup;	/* frees the plan */
};

/* What is put back when a mapping has ended. */
typedef struct Caller
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;
	bool		read_only;
} Caller;

/* Counts the times that PostgreSQL said that a function or a schema changed. */
static uint64 functions_changed = 0;

/* True while a mapping runs. */
static bool running = false;

static void prepare_call(DomevMapping *mapping);
static void make_call(DomevMapping *mapping);
static void look_up_call(DomevMapping *mapping);
static void find_function(const char *name, Function *function);
static HeapTuple search_function(const char *name, Oid argtype);
static void check_signature(const char *name, Form_pg_proc proc);
static void check_security(const char *name, HeapTuple tuple, Function *function);
static char *get_search_path(HeapTuple tuple);
static bool is_safe_search_path(const char *path);
static void check_owner(DomevMapping *mapping, Function *function);
static void enter(const Function *function, Caller *caller);
static void leave(const Caller *caller);
static SPIPlanPtr make_plan(const Function *function);
static List *run_plan(DomevMappingCall *call, Datum event, MemoryContext result_context);
static void check_plan(DomevMappingCall *call);
static void free_plan(void *arg);
static List *run_c(DomevMappingCall *call, Datum event, MemoryContext result_context);
static List *drain_c_set(FunctionCallInfo fcinfo, Datum first, MemoryContext result_context);
static List *add_composite(List *results, Datum composite, MemoryContext result_context);
static List *add_result(List *results, HeapTuple tuple, TupleDesc tupdesc,
						MemoryContext result_context);
static bool is_inlined(const Function *function);
static bool scans_function(Plan *plan, Oid function);
static void count_change(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue);

/* ----------------------------------------------------------------
 *		Running
 * ----------------------------------------------------------------
 */

bool
domev_mapping_running(void)
{
	return running;
}

/*
 * What the mapping makes of the event, a datum of type domev.domain_event: a
 * list of DomevIntegrationEvent *, palloc'd in the current memory context.
 * Raises what the function raises; all that was changed for it is put back
 * by the end of the (sub)transaction then, and "running" here.
 */
List *
domev_mapping_run(DomevMapping *mapping, Datum domain_event)
{
	MemoryContext result_context = CurrentMemoryContext;
	List	   *volatile results = NIL;
	DomevMappingCall *call;
	Caller		caller;

	if (running)
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED),
				 errmsg("cannot run a mapping inside a mapping")));
	prepare_call(mapping);
	call = mapping->call;
	if (!domev_right_is_known(&mapping->may_map, DOMEV_EMIT, mapping->event_type, mapping->owner))
		domev_right_raise_denied(DOMEV_EMIT, mapping->event_type, mapping->owner);

	running = true;
	PG_TRY();
	{
		enter(&call->function, &caller);
		if (call->function.in_c)
			results = run_c(call, domain_event, result_context);
		else
			results = run_plan(call, domain_event, result_context);
		leave(&caller);
	}
	PG_FINALLY();
	{
		running = false;
	}
	PG_END_TRY();
	return results;
}

/*
 * Locks the function until the transaction ends; the subtransaction in which
 * it runs locks it only as long as that lasts.
 */
void
domev_mapping_lock(DomevMapping *mapping)
{
	if (mapping->call != NULL && OidIsValid(mapping->call->function.oid))
		LockDatabaseObject(ProcedureRelationId, mapping->call->function.oid, 0, AccessShareLock);
}

/* Becomes the function's owner, with nothing of the caller's to spoil. */
static void
enter(const Function *function, Caller *caller)
{
	GetUserIdAndSecContext(&caller->userid, &caller->sec_context);
	caller->nestlevel = NewGUCNestLevel();
	caller->read_only = XactReadOnly;

	SetUserIdAndSecContext(function->owner, caller->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	if (!function->sets_search_path)
		RestrictSearchPath();
	XactReadOnly = true;

	/*
	 * To see what the transaction has written, the statement included that
	 * fires this.  Never GetLatestSnapshot(): in REPEATABLE READ the mapping
	 * must see what the transaction sees.
	 */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
leave(const Caller *caller)
{
	PopActiveSnapshot();
	AtEOXact_GUC(false, caller->nestlevel); /* undo what the function SET */
	XactReadOnly = caller->read_only;	/* which it may have, so not before */
	SetUserIdAndSecContext(caller->userid, caller->sec_context);
}

/* Through a plan that is kept as long as the registry's cache is. */
static List *
run_plan(DomevMappingCall *call, Datum event, MemoryContext result_context)
{
	List	   *results = NIL;

	SPI_connect();
	if (call->plan == NULL)
	{
		SPIPlanPtr	plan = make_plan(&call->function);

		SPI_keepplan(plan);
		call->plan = plan;
	}
	check_plan(call);
	if (SPI_execute_plan(call->plan, &event, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run a mapping function");
	for (uint64 i = 0; i < SPI_processed; i++)
		results = add_result(results, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, result_context);
	SPI_finish();
	return results;
}

static SPIPlanPtr
make_plan(const Function *function)
{
	Oid			argtypes[] = {function->event_type_oid};
	SPIPlanPtr	plan = SPI_prepare(psprintf("SELECT * FROM %s($1)", function->name), 1, argtypes);

	if (plan == NULL)
		elog(ERROR, "could not plan a mapping function: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * PostgreSQL makes a plan anew, by the function's name, when it has become
 * invalid; that it may notice only while it waits for a lock on a table that
 * the function reads.  So take the plan's locks now, and see to it that the
 * name still means the function that was found fit: its schema may have been
 * renamed, and another one with a function of that name put in its place.
 */
static void
check_plan(DomevMappingCall *call)
{
	CachedPlan *cached = SPI_plan_get_cached_plan(call->plan);
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(call->plan));
	RangeTblEntry *rte = linitial(linitial_node(Query, source->query_list)->rtable);
	RangeTblFunction *called = linitial(rte->functions);

	if (cached != NULL)
		ReleaseCachedPlan(cached, CurrentResourceOwner);
	if (!IsA(called->funcexpr, FuncExpr) ||
		((FuncExpr *) called->funcexpr)->funcid != call->function.oid)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("function %s has changed while it was about to run", call->function.name),
				 errhint("Retry the transaction.")));
}

static void
free_plan(void *arg)
{
	DomevMappingCall *call = arg;

	if (call->plan != NULL)
		SPI_freeplan(call->plan);
	call->plan = NULL;
}

static List *
run_c(DomevMappingCall *call, Datum event, MemoryContext result_context)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo	flinfo;
	ReturnSetInfo rsinfo;
	List	   *results;
	Datum		result;

	/*
	 * A set keeps its state in fn_extra until it is exhausted, which an error
	 * may prevent: each run has its own, or the next would go on with it.
	 */
	fmgr_info_copy(&flinfo, &call->flinfo, CurrentMemoryContext);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = event;
	fcinfo->args[0].isnull = false;
	if (!call->function.returns_set)
	{
		result = FunctionCallInvoke(fcinfo);
		return fcinfo->isnull ? NIL : add_composite(NIL, result, result_context);
	}

	memset(&rsinfo, 0, sizeof(rsinfo));
	rsinfo.type = T_ReturnSetInfo;
	rsinfo.econtext = CreateStandaloneExprContext();
	rsinfo.expectedDesc = lookup_rowtype_tupdesc_copy(domev_catalog_type("integration_event"), -1);
	rsinfo.allowedModes = SFRM_ValuePerCall | SFRM_Materialize;
	rsinfo.returnMode = SFRM_ValuePerCall;
	fcinfo->resultinfo = (Node *) &rsinfo;
	result = FunctionCallInvoke(fcinfo);
	results = drain_c_set(fcinfo, result, result_context);
	FreeExprContext(rsinfo.econtext, true);
	return results;
}

/* A set comes either in a tuplestore or one by one. */
static List *
drain_c_set(FunctionCallInfo fcinfo, Datum first, MemoryContext result_context)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *results = NIL;
	TupleTableSlot *slot;

	if (rsinfo->returnMode == SFRM_ValuePerCall)
	{
		while (rsinfo->isDone != ExprEndResult)
		{
			if (!fcinfo->isnull)
				results = add_composite(results, first, result_context);
			if (rsinfo->isDone == ExprSingleResult)
				break;
			fcinfo->isnull = false;
			first = FunctionCallInvoke(fcinfo);
		}
		return results;
	}
	if (rsinfo->setResult == NULL)
		return NIL;
	slot = MakeSingleTupleTableSlot(rsinfo->setDesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(rsinfo->setResult, true, false, slot))
	{
		bool		shouldFree;
		HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, true, &shouldFree);

		results = add_result(results, tuple, rsinfo->setDesc, result_context);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(rsinfo->setResult);
	return results;
}

/* ----------------------------------------------------------------
 *		Results
 * ----------------------------------------------------------------
 */

static List *
add_composite(List *results, Datum composite, MemoryContext result_context)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(composite);
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
												 HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	results = add_result(results, &tuple, tupdesc, result_context);
	ReleaseTupleDesc(tupdesc);
	return results;
}

/* Appends a copy of one result; a NULL result, which is a row of NULLs, is no event. */
static List *
add_result(List *results, HeapTuple tuple, TupleDesc tupdesc, MemoryContext result_context)
{
	Datum	   *values = palloc(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = palloc(tupdesc->natts * sizeof(bool));
	bool		all_null = true;
	DomevIntegrationEvent *event;
	MemoryContext old;

	if (tupdesc->natts < DOMEV_INTEGRATION_EVENT_ATTRIBUTES)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("mapping function did not return domev.integration_event")));
	heap_deform_tuple(tuple, tupdesc, values, nulls);
	for (int i = 0; i < DOMEV_INTEGRATION_EVENT_ATTRIBUTES; i++)
		all_null = all_null && nulls[i];
	if (all_null)
		return results;

	old = MemoryContextSwitchTo(result_context);
	event = palloc0(sizeof(DomevIntegrationEvent));
#define STRING(attribute) \
	(nulls[DOMEV_INTEGRATION_EVENT_##attribute] ? NULL : \
	 TextDatumGetCString(values[DOMEV_INTEGRATION_EVENT_##attribute]))
	event->topic = STRING(TOPIC);
	event->event_type = STRING(EVENT_TYPE);
	event->key = STRING(KEY);
	event->content_type = STRING(CONTENT_TYPE);
	event->data_schema = STRING(DATA_SCHEMA);
#undef STRING
	if (!nulls[DOMEV_INTEGRATION_EVENT_PAYLOAD])
		event->payload = DatumGetJsonbPCopy(values[DOMEV_INTEGRATION_EVENT_PAYLOAD]);
	if (!nulls[DOMEV_INTEGRATION_EVENT_DATA])
		event->data = DatumGetByteaPCopy(values[DOMEV_INTEGRATION_EVENT_DATA]);
	if (!nulls[DOMEV_INTEGRATION_EVENT_HEADERS])
		event->headers = DatumGetJsonbPCopy(values[DOMEV_INTEGRATION_EVENT_HEADERS]);
	results = lappend(results, event);
	MemoryContextSwitchTo(old);
	pfree(values);
	pfree(nulls);
	return results;
}

/* ----------------------------------------------------------------
 *		Functions
 * ----------------------------------------------------------------
 */

/*
 * Makes sure that mapping->call is the function that the registry names, and
 * that it stays so until the subtransaction ends: it is locked first, so that
 * nobody can drop it, rename it or give it away, and looked up again if
 * anything has changed until the lock was there.
 */
static void
prepare_call(DomevMapping *mapping)
{
	static bool watching = false;

	if (!watching)
	{
		CacheRegisterSyscacheCallback(PROCOID, count_change, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, count_change, (Datum) 0);
		watching = true;
	}
	if (mapping->call == NULL)
		make_call(mapping);
	for (;;)
	{
		DomevMappingCall *call = mapping->call;
		Oid			locked = InvalidOid;
		uint64		messages;

		if (OidIsValid(call->function.oid))
		{
			locked = call->function.oid;
			LockDatabaseObject(ProcedureRelationId, locked, 0, AccessShareLock);
		}
		if (call->checked == functions_changed)
			return;

		/*
		 * What comes from other sessions counts, not that caches are
		 * discarded: a server may be set to do that all the time.
		 */
		messages = SharedInvalidMessageCounter;
		look_up_call(mapping);
		if (call->function.oid == locked && messages == SharedInvalidMessageCounter)
			return;
	}
}

static void
make_call(DomevMapping *mapping)
{
	MemoryContext context = domev_registry_context();
	DomevMappingCall *call = MemoryContextAllocZero(context, sizeof(DomevMappingCall));

	call->checked = functions_changed - 1;
	call->cleanup.func = free_plan;
	call->cleanup.arg = call;
	MemoryContextRegisterResetCallback(context, &call->cleanup);
	mapping->call = call;
}

/* When this fails, the next emit tries again. */
static void
look_up_call(DomevMapping *mapping)
{
	DomevMappingCall *call = mapping->call;
	MemoryContext context = GetMemoryChunkContext(call);
	uint64		now = functions_changed;
	Function	function;

	call->checked = now - 1;
	find_function(mapping->function, &function);
	check_owner(mapping, &function);
	if (function.oid != call->function.oid)
		free_plan(call);
	if (call->function.name != NULL && strcmp(call->function.name, function.name) == 0)
		function.name = call->function.name;
	else
		function.name = MemoryContextStrdup(context, function.name);
	call->function = function;
	if (function.in_c)
		fmgr_info_cxt(function.oid, &call->flinfo, context);
	call->checked = now;
}

static void
count_change(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue)
{
	functions_changed++;
}

/* Finds a function by its qualified name and makes sure that it is fit. */
static void
find_function(const char *name, Function *function)
{
	HeapTuple	tuple;
	Form_pg_proc proc;

	memset(function, 0, sizeof(Function));
	function->event_type_oid = domev_catalog_type("domain_event");
	tuple = search_function(name, function->event_type_oid);
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("mapping function %s(domev.domain_event) does not exist", name),
				 errhint("A mapping function takes one argument of type domev.domain_event. If it was dropped or renamed, create it again, or register another one with domev.alter_mapping.")));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	check_signature(name, proc);
	function->oid = proc->oid;
	function->name = pstrdup(name);
	function->owner = proc->proowner;
	function->in_c = proc->prolang == ClanguageId;
	function->in_sql = proc->prolang == SQLlanguageId;
	function->returns_set = proc->proretset;
	check_security(name, tuple, function);
	ReleaseSysCache(tuple);
}

/*
 * In the syscache itself: the parser's functions would demand of whoever
 * emits the right to use the function's schema.
 */
static HeapTuple
search_function(const char *name, Oid argtype)
{
	List	   *names = domev_qualified_name_list_compat(name);
	Oid			schema;

	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("function \"%s\" is not named with its schema", name),
				 errhint("Give a name such as \"shop.map_order_placed\".")));
	schema = get_namespace_oid(strVal(linitial(names)), true);
	if (!OidIsValid(schema))
		return NULL;
	return SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(strVal(lsecond(names))),
						   PointerGetDatum(buildoidvector(&argtype, 1)),
						   ObjectIdGetDatum(schema));
}

static void
check_signature(const char *name, Form_pg_proc proc)
{
	if (proc->prokind != PROKIND_FUNCTION || OidIsValid(proc->provariadic) ||
		proc->prorettype != domev_catalog_type("integration_event"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a mapping", name),
				 errdetail("It must return domev.integration_event or SETOF domev.integration_event.")));
}

static void
check_security(const char *name, HeapTuple tuple, Function *function)
{
	char	   *path = get_search_path(tuple);

	function->sets_search_path = path != NULL;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prosecdef)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a mapping", name),
				 errdetail("It is SECURITY DEFINER."),
				 errhint("A mapping runs as its owner anyway: ALTER FUNCTION ... SECURITY INVOKER.")));
	if (!function->in_c && !function->sets_search_path &&
		heap_attisnull(tuple, Anum_pg_proc_prosqlbody, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a mapping", name),
				 errdetail("What it refers to depends on the search_path of whoever calls it."),
				 errhint("Give it an SQL-standard body (BEGIN ATOMIC), or a fixed path: ALTER FUNCTION ... SET search_path = ..., pg_temp")));
	if (path != NULL && !is_safe_search_path(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a mapping", name),
				 errdetail("Its search_path, %s, does not fix what it refers to: temporary objects of whoever emits must come last, and \"$user\" not at all.", path),
				 errhint("Put pg_temp at its end: ALTER FUNCTION ... SET search_path = ..., pg_temp")));
}

/* The search_path that the function sets, palloc'd; NULL: it sets none. */
static char *
get_search_path(HeapTuple tuple)
{
	static const char prefix[] = "search_path=";
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	Datum	   *settings;
	int			count;

	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT,
					  &settings, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *setting = TextDatumGetCString(settings[i]);

		if (pg_strncasecmp(setting, prefix, strlen(prefix)) == 0)
			return setting + strlen(prefix);
	}
	return NULL;
}

/*
 * Unless it is named, the temporary schema comes first, and whoever emits
 * could put a view of his own in the place of a table that the function
 * reads; "$user" is always the owner, but nothing that the registrant wrote
 * down.
 */
static bool
is_safe_search_path(const char *path)
{
	List	   *schemas;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(path), ',', &schemas) || schemas == NIL)
		return false;
	foreach(lc, schemas)
	{
		if (strcmp(lfirst(lc), "$user") == 0)
			return false;
	}
	return strcmp(llast(schemas), "pg_temp") == 0;
}

/* Whoever owns the function now did not register it; its code is not to be trusted with the mapping. */
static void
check_owner(DomevMapping *mapping, Function *function)
{
	if (function->owner != mapping->owner)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s has another owner than when it was registered", mapping->function),
				 errdetail("It was registered for role \"%s\" and belongs to role \"%s\" now.",
						   GetUserNameFromId(mapping->owner, true) ? GetUserNameFromId(mapping->owner, true) : "(dropped)",
						   GetUserNameFromId(function->owner, false)),
				 errhint("A superuser, or a role with the privileges of both, can register it anew with domev.alter_mapping(..., function => ...).")));
}

/* ----------------------------------------------------------------
 *		Registration
 * ----------------------------------------------------------------
 */

/*
 * May the function's owner have a mapping of this event type, to this topic
 * (NULL: none)?  It takes events and publishes by right of its function's owner,
 * whoever emits.
 */
void
domev_mapping_check_rights(const char *event_type, const char *topic, Oid owner)
{
	if (!domev_right_is_had(DOMEV_EMIT, event_type, owner))
		domev_right_raise_denied(DOMEV_EMIT, event_type, owner);
	if (topic != NULL && !domev_right_is_had(DOMEV_PUBLISH, topic, owner))
		domev_right_raise_denied(DOMEV_PUBLISH, topic, owner);
}

/*
 * May the registrant register this function?  Returns its name as the
 * registry keeps it, palloc'd, and its owner.
 */
char *
domev_mapping_check_function(const char *function, Oid registrant, Oid *owner)
{
	Function	found;
	List	   *names;

	find_function(function, &found);
	if (!object_ownercheck(ProcedureRelationId, found.oid, registrant))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of function %s", function),
				 errdetail("A mapping runs with the rights of its function's owner.")));
	*owner = found.owner;
	names = domev_qualified_name_list_compat(function);
	return quote_qualified_identifier(strVal(linitial(names)), strVal(lsecond(names)));
}

/* Raises what an emit would, because of the mapping's function, or of its owner's rights. */
void
domev_mapping_examine(DomevMapping *mapping)
{
	Function	function;

	find_function(mapping->function, &function);
	check_owner(mapping, &function);
	domev_mapping_check_rights(mapping->event_type, mapping->topic, mapping->owner);
}

/* Is this the plan of a call that was not inlined?  What was may scan other functions. */
static bool
scans_function(Plan *plan, Oid function)
{
	RangeTblFunction *scanned;

	if (!IsA(plan, FunctionScan) || list_length(((FunctionScan *) plan)->functions) != 1)
		return false;
	scanned = linitial(((FunctionScan *) plan)->functions);
	return IsA(scanned->funcexpr, FuncExpr) &&
		((FuncExpr *) scanned->funcexpr)->funcid == function;
}

/*
 * Says so when an SQL function will not be inlined: before 18 it is planned
 * at each call then, which costs several times what the mapping does.  Found
 * out by planning the call, as there are many reasons.
 */
void
domev_mapping_advise(const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Function	function;
	bool		inlined = true;

	find_function(name, &function);
	if (DOMEV_SQL_FUNCTIONS_KEEP_PLANS || !function.in_sql)
		return;

	/*
	 * Planning runs immutable functions, of which nothing must be left,
	 * either: see translation.c.
	 */
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		inlined = is_inlined(&function);
	}
	PG_FINALLY();
	{
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	if (!inlined)
		ereport(NOTICE,
				(errmsg("function %s will not be inlined", name),
				 errdetail("PostgreSQL plans it again at every call."),
				 errhint("Write it RETURNS SETOF domev.integration_event, STABLE, without STRICT or SET, with a body BEGIN ATOMIC SELECT (domev.make_integration_event(...)).* FROM ...; END.")));
}

static bool
is_inlined(const Function *function)
{
	Caller		caller;
	SPIPlanPtr	plan;
	CachedPlan *cached;
	bool		inlined = true;

	enter(function, &caller);
	SPI_connect();
	plan = make_plan(function);
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL)
	{
		inlined = !scans_function(linitial_node(PlannedStmt, cached->stmt_list)->planTree,
								  function->oid);
		ReleaseCachedPlan(cached, NULL);
	}
	SPI_finish();
	leave(&caller);
	return inlined;
}
