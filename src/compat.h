/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15 and 19?
 *
 * The code is written to the newest version's interface; what an older one
 * lacks is filled in here, each difference once.  The last include of a .c
 * file, never included by a header.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_COMPAT_H
#define DOMEV_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "domev needs PostgreSQL 15 or later"
#endif

#include "access/genam.h"
#include "access/xlog.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "common/base64.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "replication/logical.h"
#include "replication/message.h"
#include "replication/output_plugin.h"
#include "replication/reorderbuffer.h"
#include "replication/snapbuild.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/regproc.h"

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "parser/parse_relation.h"
#include "varatt.h"				/* d952373a98: split from postgres.h */
#endif

#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#endif

/* 16 (f2b73c8d75) declares the entry points of a library and exports nothing else. */
#if PG_VERSION_NUM < 160000
extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);
#endif

/* 18: a module says its name and version. */
#if PG_VERSION_NUM < 180000
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

/* 19: replication origins were renamed. */
#if PG_VERSION_NUM < 190000
typedef RepOriginId ReplOriginId;
#define InvalidReplOriginId InvalidRepOriginId
#endif

/* 16: the snapshot that new transactions are decoded with is asked for without a transaction. */
static inline Snapshot
domev_current_snapshot_compat(SnapBuild *builder)
{
#if PG_VERSION_NUM >= 160000
	return SnapBuildGetOrBuildSnapshot(builder);
#else
	return SnapBuildGetOrBuildSnapshot(builder, InvalidTransactionId);
#endif
}

/* 16 (072ee847ad): a macro that tells a top-level transaction. */
#if PG_VERSION_NUM < 160000
#define rbtxn_is_toptxn(txn)	((txn)->toptxn == NULL)
#endif

/* 19: syscaches are identified by a type of their own. */
#if PG_VERSION_NUM < 190000
typedef int SysCacheIdentifier;
#endif

/* 18 plans the body of an SQL function once in a session, even when it is not inlined. */
#define DOMEV_SQL_FUNCTIONS_KEEP_PLANS	(PG_VERSION_NUM >= 180000)

/* 16 (afbfc02983): one function for the ownership of all kinds of objects, one for the rights on them. */
#if PG_VERSION_NUM < 160000
static inline bool
object_ownercheck(Oid classid, Oid objectid, Oid roleid)
{
	if (classid == RelationRelationId)
		return pg_class_ownercheck(objectid, roleid);
	Assert(classid == ProcedureRelationId);
	return pg_proc_ownercheck(objectid, roleid);
}

static inline AclResult
object_aclcheck(Oid classid, Oid objectid, Oid roleid, AclMode mode)
{
	Assert(classid == ProcedureRelationId);
	return pg_proc_aclcheck(objectid, roleid, mode);
}
#endif

/* 19: a tuple descriptor is finished when all its attributes are there. */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(tupdesc)	((void) 0)
#endif

/* 18 (83ea6c5402): generated columns that are not stored, but computed when they are read. */
static inline bool
domev_is_virtual_compat(Form_pg_attribute att)
{
#if PG_VERSION_NUM >= 180000
	return att->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	return false;
#endif
}

static inline Node *
domev_generation_expression_compat(Relation relation, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 180000
	return build_generation_expression(relation, attnum);
#else
	return NULL;
#endif
}

/* 17 (2af07e2f74): a search_path for code that runs in a restricted operation. */
#if PG_VERSION_NUM < 170000
static inline void
RestrictSearchPath(void)
{
	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
					  PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
#endif

/* 18: strings that are not terminated can be escaped in place. */
#if PG_VERSION_NUM < 180000
static inline void
escape_json_with_len(StringInfo buf, const char *str, int len)
{
	char	   *copy = pnstrdup(str, len);

	escape_json(buf, copy);
	pfree(copy);
}
#endif

/* 18: base64 is made from uint8 *. */
static inline int
domev_b64_encode_compat(const char *src, int len, char *dst, int dstlen)
{
#if PG_VERSION_NUM >= 180000
	return pg_b64_encode((const uint8 *) src, len, dst, dstlen);
#else
	return pg_b64_encode(src, len, dst, dstlen);
#endif
}

static inline int
domev_b64_decode_compat(const char *src, int len, char *dst, int dstlen)
{
#if PG_VERSION_NUM >= 180000
	return pg_b64_decode(src, len, (uint8 *) dst, dstlen);
#else
	return pg_b64_decode(src, len, dst, dstlen);
#endif
}

/* 17 (173b56f1ef): a message may be flushed at once. */
static inline XLogRecPtr
domev_log_logical_message_compat(const char *prefix, const char *message,
								 size_t size, bool transactional, bool flush)
{
#if PG_VERSION_NUM >= 170000
	return LogLogicalMessage(prefix, message, size, transactional, flush);
#else
	XLogRecPtr	lsn = LogLogicalMessage(prefix, message, size, transactional);

	if (flush)
		XLogFlush(lsn);
	return lsn;
#endif
}

/* 17 (08e6344fd6): changes carry plain heap tuples. */
static inline HeapTuple
domev_new_tuple_compat(ReorderBufferChange *change)
{
#if PG_VERSION_NUM >= 170000
	return change->data.tp.newtuple;
#else
	return change->data.tp.newtuple ? &change->data.tp.newtuple->tuple : NULL;
#endif
}

/*
 * 16 (8c58624df4) keeps the connection alive by itself while a plugin skips
 * the changes of a long transaction; before, the plugin has to, and it is
 * enough to do so for every hundredth change.
 */
static inline void
domev_keep_alive_compat(LogicalDecodingContext *ctx, int *skipped)
{
#if PG_VERSION_NUM < 160000
	if (++*skipped >= 100)
	{
		OutputPluginUpdateProgress(ctx, false);
		*skipped = 0;
	}
#endif
}

/* 16 (a61b1f7482) moved permissions out of the range table; 18 wants the unpruned relations as well. */
static inline void
domev_init_range_table_compat(EState *estate, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	List	   *perminfos = NIL;

	addRTEPermissionInfo(&perminfos, rte);
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(rte), perminfos, bms_make_singleton(1));
#else
	ExecInitRangeTable(estate, list_make1(rte), perminfos);
#endif
#else
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

/* 17 (c1ec02be1d): an index may keep something between the rows of a statement, and has to be told of its end. */
static inline void
domev_index_insert_cleanup_compat(Relation index, IndexInfo *info)
{
#if PG_VERSION_NUM >= 170000
	index_insert_cleanup(index, info);
#endif
}

/* 16 (d9f7f5d32f): names can be split without raising errors, by another signature. */
static inline List *
domev_qualified_name_list_compat(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return stringToQualifiedNameList(name, NULL);
#else
	return stringToQualifiedNameList(name);
#endif
}

/* 19: what a jsonb value is built in keeps the result. */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState DomevJsonbState;
#else
typedef struct DomevJsonbState
{
	JsonbParseState *parseState;
	JsonbValue *result;
} DomevJsonbState;
#endif

static inline void
domev_push_jsonb_compat(DomevJsonbState *state, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(state, token, value);
#else
	state->result = pushJsonbValue(&state->parseState, token, value);
#endif
}

/*
 * 16 (ccff2d20ed): input functions can report errors instead of raising them.
 * Returns NULL and a palloc'd message when the string is not JSON.
 */
static inline Jsonb *
domev_jsonb_in_compat(char *string, char **problem)
{
#if PG_VERSION_NUM >= 160000
	ErrorSaveContext escontext = {.type = T_ErrorSaveContext,.details_wanted = true};
	Datum		result;

	if (DirectInputFunctionCallSafe(jsonb_in, string, InvalidOid, -1,
									(Node *) &escontext, &result))
		return DatumGetJsonbP(result);
	*problem = escontext.error_data->message;
	return NULL;
#else
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile result = NULL;

	/* jsonb_in takes nothing but memory, so no subtransaction is needed. */
	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(string)));
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		*problem = edata->message;
	}
	PG_END_TRY();
	return result;
#endif
}

/*
 * 17 (8b2bcf3f28): named shared memory that is made when it is first asked
 * for.  Before, it must be requested by a library that is loaded with the
 * server; there is none otherwise.  19 gives the function that fills it an
 * argument.
 */
#define DOMEV_MEMORY_ON_DEMAND	(PG_VERSION_NUM >= 170000)

#if PG_VERSION_NUM >= 190000
#define DOMEV_MEMORY_INIT_ARGS	void *memory_ptr, void *arg
#else
#define DOMEV_MEMORY_INIT_ARGS	void *memory_ptr
#endif

static inline bool *
domev_memory_requested_compat(void)
{
	static bool requested = false;

	return &requested;
}

/* In a shmem_request_hook; of the same file as what follows. */
static inline void
domev_request_memory_compat(Size size)
{
	RequestAddinShmemSpace(size);
	*domev_memory_requested_compat() = true;
}

/* NULL: it was not requested.  Raises an error when there is no memory. */
static inline void *
domev_named_memory_compat(const char *name, Size size, void (*init) (DOMEV_MEMORY_INIT_ARGS))
{
	bool		found;
#if PG_VERSION_NUM >= 190000
	return GetNamedDSMSegment(name, size, init, &found, NULL);
#elif PG_VERSION_NUM >= 170000
	return GetNamedDSMSegment(name, size, init, &found);
#else
	void	   *result;

	if (!*domev_memory_requested_compat())
		return NULL;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	result = ShmemInitStruct(name, size, &found);
	if (!found)
		init(result);
	LWLockRelease(AddinShmemInitLock);
	return result;
#endif
}

/* 19: a tranche of locks has its name when it is made; before, each process has to give it. */
static inline int
domev_new_tranche_compat(const char *name)
{
#if PG_VERSION_NUM >= 190000
	return LWLockNewTrancheId(name);
#else
	return LWLockNewTrancheId();
#endif
}

static inline void
domev_register_tranche_compat(int tranche, const char *name)
{
#if PG_VERSION_NUM < 190000
	LWLockRegisterTranche(tranche, name);
#endif
}

#endif							/* DOMEV_COMPAT_H */
