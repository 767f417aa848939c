/*-------------------------------------------------------------------------
 *
 * domev_c_mapping.c
 *	  What does a mapping look like in C?
 *
 * Three mappings of one domain event, one for each way in which a C function
 * can return results: a single row, a set in a tuplestore, and a set one row
 * per call.  The event is an order that was placed, its payload
 *
 *	  {"customer": "c7", "total": 63.10, "margin": 0.21,
 *	   "lines": [{"sku": "tea", "quantity": 2}]}
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

/* PGXS has the server's include folder in the search path already. */
#include "extension/domev/domev.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"

PG_MODULE_MAGIC;

static JsonbContainer *get_lines(Jsonb *payload);
static JsonbContainer *get_line(JsonbContainer *lines, uint32 index);
static Jsonb *pick_members(JsonbContainer *object, const char *const *names, int count);
static JsonbValue *get_member(JsonbContainer *object, const char *name);

/* ----------------------------------------------------------------
 *		The mappings
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(c_mapping_announce_order);

/* One result or none: RETURNS domev.integration_event. */
Datum
c_mapping_announce_order(PG_FUNCTION_ARGS)
{
	static const char *const members[] = {"customer", "total"};
	DomevDomainEvent in;
	DomevIntegrationEvent out = {0};
	JsonbValue *test;

	domev_get_domain_event(PG_GETARG_HEAPTUPLEHEADER(0), &in);

	/* The shop's own test orders concern nobody else. */
	test = get_member(&in.payload->root, "test");
	if (test != NULL && test->type == jbvBool && test->val.boolean)
		PG_RETURN_NULL();

	out.event_type = "shop.order-placed.v1";
	out.payload = pick_members(&in.payload->root, members, lengthof(members));
	out.data_schema = "https://shop.example/schemas/order-placed.v1.json";
	PG_RETURN_DATUM(domev_integration_event_datum(fcinfo, &out));
}

PG_FUNCTION_INFO_V1(c_mapping_reserve_items);

/* Any number of results, all at once: RETURNS SETOF domev.integration_event. */
Datum
c_mapping_reserve_items(PG_FUNCTION_ARGS)
{
	static const char *const members[] = {"sku", "quantity"};
	DomevDomainEvent in;
	JsonbContainer *lines;

	domev_get_domain_event(PG_GETARG_HEAPTUPLEHEADER(0), &in);
	lines = get_lines(in.payload);
	InitMaterializedSRF(fcinfo, 0);
	for (uint32 i = 0; i < JsonContainerSize(lines); i++)
	{
		JsonbContainer *line = get_line(lines, i);
		JsonbValue *sku = get_member(line, "sku");
		DomevIntegrationEvent out = {0};

		out.event_type = "shop.item-reserved.v1";

		/*
		 * Who counts the stock wants the events of one item in order, not
		 * those of one order.
		 */
		out.key = pnstrdup(sku->val.string.val, sku->val.string.len);
		out.payload = pick_members(line, members, lengthof(members));
		domev_put_integration_event(fcinfo, &out);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(c_mapping_print_labels);

/* The same as value-per-call, and with bytes that are not JSON, on a topic of its own. */
Datum
c_mapping_print_labels(PG_FUNCTION_ARGS)
{
	FuncCallContext *calls;
	DomevIntegrationEvent out = {0};
	JsonbContainer *line;
	JsonbValue *sku;
	char	   *quantity;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		DomevDomainEvent in;

		calls = SRF_FIRSTCALL_INIT();
		/* The lines are read in later calls: they point into this copy. */
		old = MemoryContextSwitchTo(calls->multi_call_memory_ctx);
		domev_get_domain_event(PG_GETARG_HEAPTUPLEHEADER_COPY(0), &in);
		calls->user_fctx = get_lines(in.payload);
		calls->max_calls = JsonContainerSize((JsonbContainer *) calls->user_fctx);
		MemoryContextSwitchTo(old);
	}
	calls = SRF_PERCALL_SETUP();
	if (calls->call_cntr >= calls->max_calls)
		SRF_RETURN_DONE(calls);

	line = get_line(calls->user_fctx, calls->call_cntr);
	sku = get_member(line, "sku");
	quantity = JsonbToCString(NULL, &JsonbValueToJsonb(get_member(line, "quantity"))->root, -1);
	out.topic = "warehouse";
	out.event_type = "warehouse.label.v1";
	out.content_type = "text/plain";
	out.data = (bytea *) cstring_to_text(psprintf("%s x %.*s", quantity, sku->val.string.len,
												  sku->val.string.val));
	SRF_RETURN_NEXT(calls, domev_integration_event_datum(fcinfo, &out));
}

/* ----------------------------------------------------------------
 *		The payload
 * ----------------------------------------------------------------
 */

/* The array of lines.  The payload is whatever the emitting code gave, so look before reading. */
static JsonbContainer *
get_lines(Jsonb *payload)
{
	JsonbValue *lines = get_member(&payload->root, "lines");

	if (lines == NULL || lines->type != jbvBinary || !JsonContainerIsArray(lines->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("order has no array \"lines\"")));
	return lines->val.binary.data;
}

/* One line, an object that has a string "sku" and a number "quantity". */
static JsonbContainer *
get_line(JsonbContainer *lines, uint32 index)
{
	JsonbValue *line = getIthJsonbValueFromContainer(lines, index);
	JsonbValue *sku = NULL;
	JsonbValue *quantity = NULL;

	if (line->type == jbvBinary)
	{
		sku = get_member(line->val.binary.data, "sku");
		quantity = get_member(line->val.binary.data, "quantity");
	}
	if (sku == NULL || sku->type != jbvString || quantity == NULL || quantity->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("line %u of the order is incomplete", index + 1),
				 errdetail("A line has a string \"sku\" and a number \"quantity\".")));
	return line->val.binary.data;
}

/*
 * An object of the members that other systems may rely on, named one by one:
 * what is added to the domain event later does not leak.  Made from text, as
 * the functions that build jsonb piece by piece changed in PostgreSQL 19.
 */
static Jsonb *
pick_members(JsonbContainer *object, const char *const *names, int count)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < count; i++)
	{
		JsonbValue *value = get_member(object, names[i]);

		if (value == NULL)
			continue;
		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		escape_json(&json, names[i]);
		appendStringInfoChar(&json, ':');
		JsonbToCString(&json, &JsonbValueToJsonb(value)->root, -1);
	}
	appendStringInfoChar(&json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* NULL when there is no such member, or no object. */
static JsonbValue *
get_member(JsonbContainer *object, const char *name)
{
	if (!JsonContainerIsObject(object))
		return NULL;
	return getKeyJsonValueFromContainer(object, name, strlen(name), NULL);
}
