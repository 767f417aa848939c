/*-------------------------------------------------------------------------
 *
 * bench_mapping.c
 *	  What does a mapping cost that is written in C?
 *
 * The same as bench_map_sql and bench_map_plpgsql of goals/mapping.py: two
 * members of the payload are picked, one is added.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "extension/domev/domev.h"
#include "fmgr.h"
#include "utils/jsonb.h"

#include "../../../src/compat.h"

PG_MODULE_MAGIC;

static Jsonb *make_payload(JsonbContainer *order);

PG_FUNCTION_INFO_V1(bench_map);

/* RETURNS domev.integration_event */
Datum
bench_map(PG_FUNCTION_ARGS)
{
	DomevDomainEvent in;
	DomevIntegrationEvent out = {0};

	domev_get_domain_event(PG_GETARG_HEAPTUPLEHEADER(0), &in);
	out.event_type = "bench.order-placed.v1";
	out.payload = make_payload(&in.payload->root);
	PG_RETURN_DATUM(domev_integration_event_datum(fcinfo, &out));
}

static void
push_member(DomevJsonbState *state, const char *name, JsonbValue *value)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	domev_push_jsonb_compat(state, WJB_KEY, &key);
	domev_push_jsonb_compat(state, WJB_VALUE, value);
}

/* {"order": ..., "total": ..., "state": "placed"}; a member that the order has not is null, as in SQL. */
static Jsonb *
make_payload(JsonbContainer *order)
{
	static const char *const picked[] = {"order", "total"};
	DomevJsonbState state = {0};
	JsonbValue	placed;

	domev_push_jsonb_compat(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < lengthof(picked); i++)
	{
		JsonbValue	none = {.type = jbvNull};
		JsonbValue *value = getKeyJsonValueFromContainer(order, picked[i], strlen(picked[i]), NULL);

		push_member(&state, picked[i], value ? value : &none);
	}
	placed.type = jbvString;
	placed.val.string.val = "placed";
	placed.val.string.len = strlen("placed");
	push_member(&state, "state", &placed);
	domev_push_jsonb_compat(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}
