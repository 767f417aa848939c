/*-------------------------------------------------------------------------
 *
 * json.h
 *	  How does jsonb become text, and a string JSON?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_JSON_H
#define DOMEV_JSON_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

extern void domev_json_append(StringInfo out, Jsonb *jsonb);
extern void domev_json_append_string(StringInfo out, const char *string, int size);

#endif							/* DOMEV_JSON_H */
