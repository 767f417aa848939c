/*-------------------------------------------------------------------------
 *
 * domev_misuse.c
 *	  Would a mistake be reported?
 *
 * A function for tests that misuses memory, each kind in a way that one of
 * the builds is for.  run.sh KIND control calls it, and wants a report.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

static int	numbers[4] = {1, 2, 3, 4};

PG_FUNCTION_INFO_V1(domev_misuse);

Datum
domev_misuse(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	volatile int index = 4;
	int			result = 0;

	if (strcmp(kind, "assert") == 0)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev_misuse", ALLOCSET_SMALL_SIZES);
		volatile char *chunk = MemoryContextAlloc(context, 13);

		chunk[13] = 'x';		/* behind its end */
		MemoryContextDelete(context);
	}
	else if (strcmp(kind, "asan") == 0)
	{
		int		   *volatile hidden = numbers;	/* else UBSAN knows its size, and is first */

		result = hidden[index]; /* behind its end */
	}
	else if (strcmp(kind, "ubsan") == 0)
		result = 1 << (index + 60); /* undefined */
	else
	{
		volatile int *chunk = palloc(sizeof(int));

		if (*chunk == 42)		/* has no value */
			result = 1;
	}
	PG_RETURN_INT32(result);
}
