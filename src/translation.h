/*-------------------------------------------------------------------------
 *
 * translation.h
 *	  What does a mapping make of a domain event?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_TRANSLATION_H
#define DOMEV_TRANSLATION_H

#include "domev.h"
#include "outbox.h"
#include "registry.h"

/* An integration event, ready to be published. */
typedef struct DomevTranslation
{
	const DomevTopic *topic;
	DomevEvent	event;
} DomevTranslation;

extern Datum domev_translation_datum(const DomevDomainEvent *domain);
extern bool domev_translation_try(DomevMapping *mapping, const DomevDomainEvent *domain,
								  Datum datum, List **translations, ErrorData **error);
extern void domev_translation_publish(DomevOutbox *outbox, DomevMapping *mapping,
									  const DomevDomainEvent *domain, Datum datum);
extern void domev_translation_put(DomevOutbox *outbox, List *translations);

extern DomevText domev_translation_jsonb_text(Jsonb *jsonb);

#endif							/* DOMEV_TRANSLATION_H */
