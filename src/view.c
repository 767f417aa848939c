/*-------------------------------------------------------------------------
 *
 * view.c
 *	  Which view does an event type have, or a topic?
 *
 * It shows their events and bears the rights (right.c).  It is an ordinary
 * view, not a member of the extension: so pg_dump keeps it, and what was
 * GRANTed on it.  It belongs to the owner of domev's tables, and is dropped
 * with the extension; after a restore, which knows no such dependency of a
 * view, that takes CASCADE.
 *
 * A row that is inserted into an event type's view is emitted; the WITH keeps
 * PostgreSQL from making the views updatable by itself, which would let
 * whoever has INSERT on one write the outbox.  security_barrier: a function
 * in the reader's query must not see the rows that the view leaves out.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "statement.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "view.h"

#include "compat.h"

static void execute(const char *sql);
static void bind_to_extension(Oid view);
static void drop(const char *schema, const char *name);

void
domev_view_create_topic(const char *topic)
{
	const char *view = quote_qualified_identifier(DOMEV_TOPIC_SCHEMA, topic);

	execute(psprintf("CREATE VIEW %s WITH (security_barrier) AS"
					 " WITH o AS NOT MATERIALIZED (SELECT * FROM domev.outbox WHERE topic OPERATOR(pg_catalog.=) %s)"
					 " SELECT * FROM o", view, quote_literal_cstr(topic)));
	execute(psprintf("COMMENT ON VIEW %s IS %s", view,
					 quote_literal_cstr(psprintf("the events of topic \"%s\" that are rows of domev.outbox; who has INSERT may let mappings publish to the topic, who has SELECT may read and stream it", topic))));
	bind_to_extension(domev_right_view(DOMEV_READ_TOPIC, topic));
}

void
domev_view_create_event_type(const char *event_type)
{
	const char *view = quote_qualified_identifier(DOMEV_EVENT_SCHEMA, event_type);

	execute(psprintf("CREATE VIEW %s WITH (security_barrier) AS"
					 " WITH o AS NOT MATERIALIZED (SELECT * FROM domev.outbox"
					 " WHERE event_type OPERATOR(pg_catalog.=) %s AND mapping IS NULL)"
					 " SELECT event_id, aggregate_id, aggregate_version, payload::pg_catalog.jsonb AS payload,"
					 " headers::pg_catalog.jsonb AS headers, occurred_at, recorded_at FROM o",
					 view, quote_literal_cstr(event_type)));
	execute(psprintf("CREATE TRIGGER emit_inserted INSTEAD OF INSERT ON %s"
					 " FOR EACH ROW EXECUTE FUNCTION domev.emit_inserted()", view));
	execute(psprintf("COMMENT ON VIEW %s IS %s", view,
					 quote_literal_cstr(psprintf("the domain events of type \"%s\" that are rows of domev.outbox; who has INSERT may emit it, a row that is inserted here is emitted, who has SELECT may read it", event_type))));
	execute(psprintf("COMMENT ON TRIGGER emit_inserted ON %s IS %s", view,
					 quote_literal_cstr("emits the domain event that is inserted")));
	bind_to_extension(domev_right_view(DOMEV_READ_EVENT_TYPE, event_type));
}

/*
 * DROP EXTENSION drops the view as well.  If the script of another extension
 * registers, the view is that one's no more than the registry's row is.
 */
static void
bind_to_extension(Oid view)
{
	ObjectAddress dependent;
	ObjectAddress extension;

	ObjectAddressSet(dependent, RelationRelationId, view);
	ObjectAddressSet(extension, ExtensionRelationId, get_extension_oid(DOMEV_SCHEMA, false));
	deleteDependencyRecordsForClass(RelationRelationId, view, ExtensionRelationId, DEPENDENCY_EXTENSION);
	recordDependencyOn(&dependent, &extension, DEPENDENCY_AUTO_EXTENSION);
	CommandCounterIncrement();
}

/* Makes the view anew if somebody has dropped it. */
void
domev_view_mend_topic(const char *topic)
{
	if (!OidIsValid(domev_right_view(DOMEV_READ_TOPIC, topic)))
		domev_view_create_topic(topic);
}

void
domev_view_mend_event_type(const char *event_type)
{
	if (!OidIsValid(domev_right_view(DOMEV_READ_EVENT_TYPE, event_type)))
		domev_view_create_event_type(event_type);
}

/*
 * What drops a view must wait for whoever has used it: before it makes others
 * wait.
 */
void
domev_view_lock(DomevRight right, const char *name)
{
	Oid			view = domev_right_view(right, name);

	if (OidIsValid(view))
		LockRelationOid(view, AccessExclusiveLock);
}

/* Refused, by PostgreSQL, when somebody's view depends on it. */
void
domev_view_drop_topic(const char *topic)
{
	drop(DOMEV_TOPIC_SCHEMA, topic);
}

void
domev_view_drop_event_type(const char *event_type)
{
	drop(DOMEV_EVENT_SCHEMA, event_type);
}

static void
drop(const char *schema, const char *name)
{
	execute(psprintf("DROP VIEW IF EXISTS %s", quote_qualified_identifier(schema, name)));
}

static void
execute(const char *sql)
{
	DomevParams params = {0};

	domev_statement_execute(sql, &params);
}
