/*-------------------------------------------------------------------------
 *
 * bench_floor.c
 *	  What does one part of domev cost, without the rest?
 *
 * Functions for SQL that do one thing many times, so that the bench can time
 * it.  What they call is the installed domev's own code, found in its
 * library; where the library exports nothing but its entry points (from
 * PostgreSQL 16 on) they raise undefined_function.
 *
 *	  CREATE FUNCTION bench_seal(body text, times int) RETURNS void
 *	  AS 'bench_floor' LANGUAGE C STRICT;
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

#define KEY_SIZE	16

/* As in domev's cloudevent.h, which is not installed. */
typedef void (*SealFunction) (StringInfo body, const uint8 *key, TransactionId xid,
							  const char *prefix);

PG_FUNCTION_INFO_V1(bench_seal);

/* Makes a body a WAL message, so many times: what the MAC costs. */
Datum
bench_seal(PG_FUNCTION_ARGS)
{
	char	   *given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int32		times = PG_GETARG_INT32(1);
	int			size = strlen(given);
	uint8		key[KEY_SIZE] = {1, 2, 3};
	StringInfoData body;
	SealFunction seal;

	seal = (SealFunction) load_external_function("$libdir/domev", "domev_cloudevent_seal",
												 true, NULL);
	initStringInfo(&body);
	appendBinaryStringInfo(&body, given, size);
	for (int32 i = 0; i < times; i++)
	{
		CHECK_FOR_INTERRUPTS();
		body.len = size;
		seal(&body, key, FirstNormalTransactionId, "domev/bench");
	}
	pfree(body.data);
	PG_RETURN_VOID();
}
