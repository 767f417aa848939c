/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  How does domev run SQL on its own tables?
 *
 * As the owner of the tables, on which nobody else has any right but to
 * read.  The statements name everything with its schema, so the caller's
 * search_path has no say.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "compat.h"

void
domev_params_add(DomevParams *params, Oid type, Datum value, bool isnull)
{
	Assert(params->count < DOMEV_MAX_PARAMS);
	params->types[params->count] = type;
	params->values[params->count] = value;
	params->nulls[params->count] = isnull ? 'n' : ' ';
	params->count++;
}

/* NULL: the parameter is NULL. */
void
domev_params_add_string(DomevParams *params, const char *string)
{
	domev_params_add(params, TEXTOID, string ? CStringGetTextDatum(string) : (Datum) 0,
					 string == NULL);
}

void
domev_params_add_bool(DomevParams *params, bool value)
{
	domev_params_add(params, BOOLOID, BoolGetDatum(value), false);
}

/* Becomes the tables' owner.  An error puts the caller back with its (sub)transaction. */
void
domev_statement_enter(DomevCaller *caller)
{
	Relation	table = domev_catalog_open("topics", AccessShareLock);

	GetUserIdAndSecContext(&caller->userid, &caller->sec_context);
	SetUserIdAndSecContext(table->rd_rel->relowner,
						   caller->sec_context | SECURITY_LOCAL_USERID_CHANGE);
	table_close(table, AccessShareLock);
}

void
domev_statement_leave(const DomevCaller *caller)
{
	SetUserIdAndSecContext(caller->userid, caller->sec_context);
}

/* Executes a statement and returns how many rows it wrote. */
uint64
domev_statement_execute(const char *sql, DomevParams *params)
{
	DomevCaller caller;
	int			result;
	uint64		rows;

	domev_statement_enter(&caller);
	SPI_connect();
	result = SPI_execute_with_args(sql, params->count, params->types, params->values,
								   params->nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not write a table of domev: %s", SPI_result_code_string(result));
	rows = SPI_processed;
	SPI_finish();
	domev_statement_leave(&caller);
	return rows;
}
