/*-------------------------------------------------------------------------
 *
 * argument.h
 *	  What did the caller of an SQL function give?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_ARGUMENT_H
#define DOMEV_ARGUMENT_H

#include "fmgr.h"
#include "nodes/pg_list.h"

/* Strings and lists are palloc'd. */
extern char *domev_argument_required(FunctionCallInfo fcinfo, int arg, const char *name);
extern char *domev_argument_optional(FunctionCallInfo fcinfo, int arg);
extern bool domev_argument_flag(FunctionCallInfo fcinfo, int arg);
extern List *domev_argument_names(FunctionCallInfo fcinfo, int arg, const char *name);
extern bool domev_argument_in_reset(FunctionCallInfo fcinfo, int arg, const char *attribute);
extern void domev_argument_check_reset(FunctionCallInfo fcinfo, int arg,
									   const char *const *allowed);
extern void domev_argument_check_choice(const char *what, const char *value,
										const char *one, const char *other);

#endif							/* DOMEV_ARGUMENT_H */
