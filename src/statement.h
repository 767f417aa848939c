/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  How does domev run SQL on its own tables?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_STATEMENT_H
#define DOMEV_STATEMENT_H

#include "utils/jsonb.h"

/* The parameters of a statement, in the order in which they are added; start from {0}. */
#define DOMEV_MAX_PARAMS	16
typedef struct DomevParams
{
	int			count;
	Oid			types[DOMEV_MAX_PARAMS];
	Datum		values[DOMEV_MAX_PARAMS];
	char		nulls[DOMEV_MAX_PARAMS];
} DomevParams;

extern void domev_params_add(DomevParams *params, Oid type, Datum value, bool isnull);
extern void domev_params_add_string(DomevParams *params, const char *string);
extern void domev_params_add_bool(DomevParams *params, bool value);

/* Who the caller was before statements are run as the owner of domev's tables. */
typedef struct DomevCaller
{
	Oid			userid;
	int			sec_context;
} DomevCaller;

extern void domev_statement_enter(DomevCaller *caller);
extern void domev_statement_leave(const DomevCaller *caller);
extern uint64 domev_statement_execute(const char *sql, DomevParams *params);

#endif							/* DOMEV_STATEMENT_H */
