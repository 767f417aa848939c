/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  What would an event become?
 *
 * Goes the way of emit as far as nothing is written: so it works where
 * nothing can be, in read-only transactions and on standbys.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "emit.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "translation.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "compat.h"

/* The attributes of domev.previewed_event, in the order of sql/domev.sql. */
enum
{
	PREVIEWED_MAPPING, PREVIEWED_TOPIC, PREVIEWED_EVENT_TYPE, PREVIEWED_EVENT_ID,
	PREVIEWED_KEY, PREVIEWED_PAYLOAD, PREVIEWED_DATA, PREVIEWED_CONTENT_TYPE,
	PREVIEWED_DATA_SCHEMA, PREVIEWED_HEADERS, PREVIEWED_ERROR, PREVIEWED_MILLISECONDS,
	PREVIEWED_ATTRIBUTES
};

static void preview_mapping(ReturnSetInfo *rsinfo, DomevMapping *mapping,
							const DomevDomainEvent *domain, Datum datum);
static char *describe(const ErrorData *error, const DomevDomainEvent *domain);
static void put_row(ReturnSetInfo *rsinfo, const char *mapping, const DomevEvent *event,
					const char *error, double milliseconds);
static Datum text_jsonb(DomevText text);

PG_FUNCTION_INFO_V1(domev_preview);

/* All forms of domev.preview. */
Datum
domev_preview(PG_FUNCTION_ARGS)
{
	DomevRaised raised = {0};
	DomevDomainEvent domain;
	DomevEvent	event;

	domev_emit_check_trial();
	domev_emit_get_arguments(fcinfo, &raised);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	domev_registry_refresh();
	domev_registry_pin();
	PG_TRY();
	{
		ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
		const DomevEventType *type = domev_emit_build(&raised, &domain, &event);
		Datum		datum = domev_translation_datum(&domain);
		ListCell   *lc;

		put_row(rsinfo, NULL, &event, NULL, 0);
		foreach(lc, type->mappings)
			preview_mapping(rsinfo, lfirst(lc), &domain, datum);
	}
	PG_FINALLY();
	{
		domev_registry_unpin();
	}
	PG_END_TRY();
	return (Datum) 0;
}

/* A row for each result; one without event type when there are none, or an error. */
static void
preview_mapping(ReturnSetInfo *rsinfo, DomevMapping *mapping, const DomevDomainEvent *domain, Datum datum)
{
	List	   *translations = NIL;
	ErrorData  *error = NULL;
	instr_time	start;
	instr_time	end;
	double		milliseconds;
	ListCell   *lc;

	INSTR_TIME_SET_CURRENT(start);
	(void) domev_translation_try(mapping, domain, datum, &translations, &error);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	milliseconds = INSTR_TIME_GET_MILLISEC(end);

	foreach(lc, translations)
	{
		DomevTranslation *translation = lfirst(lc);

		put_row(rsinfo, mapping->name, &translation->event, NULL, milliseconds);
	}
	if (translations == NIL)
		put_row(rsinfo, mapping->name, NULL, error ? describe(error, domain) : NULL, milliseconds);
}

/* An error's message may show what the mapping has read: only to whoever may read the event type. */
static char *
describe(const ErrorData *error, const DomevDomainEvent *domain)
{
	const char *sqlstate = unpack_sql_state(error->sqlerrcode);

	if (!domev_right_is_had(DOMEV_READ_EVENT_TYPE, domain->event_type, GetUserId()))
		return psprintf("%s: message hidden, as the right to read event type \"%s\" is missing", sqlstate, domain->event_type);
	return psprintf("%s: %s", sqlstate, error->message ? error->message : "");
}

/*
 * The content of an integration event is shown to whoever may read its topic;
 * the domain event is the caller's own.
 */
static void
put_row(ReturnSetInfo *rsinfo, const char *mapping, const DomevEvent *event,
		const char *error, double milliseconds)
{
	Datum		values[PREVIEWED_ATTRIBUTES] = {0};
	bool		nulls[PREVIEWED_ATTRIBUTES];

	memset(nulls, true, sizeof(nulls));
#define PUT(attribute, value, isnull) \
	do { \
		nulls[PREVIEWED_##attribute] = (isnull); \
		if (!nulls[PREVIEWED_##attribute]) \
			values[PREVIEWED_##attribute] = (value); \
	} while (0)
#define PUT_TEXT(attribute, text) \
	PUT(attribute, PointerGetDatum(cstring_to_text_with_len((text).data, (text).size)), (text).data == NULL)

	PUT(MAPPING, CStringGetTextDatum(mapping), mapping == NULL);
	PUT(ERROR, CStringGetTextDatum(error), error == NULL);
	PUT(MILLISECONDS, Float8GetDatum(milliseconds), mapping == NULL);
	if (event != NULL)
	{
		PUT_TEXT(TOPIC, event->topic);
		PUT_TEXT(EVENT_TYPE, event->event_type);
		PUT(EVENT_ID, UUIDPGetDatum(&event->event_id), false);
	}
	if (event != NULL && (mapping == NULL || domev_right_reads_event(event, GetUserId())))
	{
		PUT_TEXT(KEY, event->key.data ? event->key : event->aggregate_id);
		PUT(PAYLOAD, text_jsonb(event->payload), event->payload.data == NULL);
		PUT_TEXT(DATA, event->data);	/* bytes in a varlena, as bytea is */
		PUT_TEXT(CONTENT_TYPE, event->content_type);
		PUT_TEXT(DATA_SCHEMA, event->data_schema);
		PUT(HEADERS, text_jsonb(event->headers), event->headers.data == NULL);
	}
#undef PUT_TEXT
#undef PUT
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Datum
text_jsonb(DomevText text)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(text.data, text.size)));
}
