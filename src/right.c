/*-------------------------------------------------------------------------
 *
 * right.c
 *	  What may a role do with an event type, or a topic?
 *
 * PostgreSQL's own privileges say: each event type and each topic has a view
 * (view.c makes it), and INSERT on it is the right to emit or to publish,
 * SELECT the right to read and to stream.  Views are looked up by their names
 * each time, so that one that was made anew, by a restore perhaps, counts.
 *
 * A backend that emits asks as the catalogs are now, a walsender as they were
 * at the event that is decoded.  No question raises an error when a view or a
 * role is not there: nobody but a superuser has a right then.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "right.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"

/* Counts what may change an answer; from 1, so that no mark of zeros is up to date. */
static uint64 rights_changed = 1;

static void count_change(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue);

static const struct
{
	const char *schema;
	AclMode		mode;
	const char *privilege;
	const char *verb;
}			rights[] = {
	[DOMEV_EMIT] = {DOMEV_EVENT_SCHEMA, ACL_INSERT, "INSERT", "emit"},
	[DOMEV_READ_EVENT_TYPE] = {DOMEV_EVENT_SCHEMA, ACL_SELECT, "SELECT", "read"},
	[DOMEV_PUBLISH] = {DOMEV_TOPIC_SCHEMA, ACL_INSERT, "INSERT", "publish to"},
	[DOMEV_READ_TOPIC] = {DOMEV_TOPIC_SCHEMA, ACL_SELECT, "SELECT", "read"},
};

/* Begins to count changes, once in a process: the callbacks cannot be taken back. */
void
domev_right_watch(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterSyscacheCallback(RELOID, count_change, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, count_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, count_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, count_change, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, count_change, (Datum) 0);
	watching = true;
}

static void
count_change(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue)
{
	rights_changed++;
}

/* Another number than before: what was found then may be out of date. */
uint64
domev_right_changes(void)
{
	return rights_changed;
}

/* The view that bears the right; InvalidOid: it is not there. */
Oid
domev_right_view(DomevRight right, const char *name)
{
	Oid			schema = get_namespace_oid(rights[right].schema, true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

bool
domev_right_is_had(DomevRight right, const char *name, Oid role)
{
	Oid			view = domev_right_view(right, name);
	bool		missing = false;

	if (OidIsValid(view) && pg_class_aclcheck_ext(view, role, rights[right].mode, &missing) == ACLCHECK_OK)
		return true;
	return (!OidIsValid(view) || missing) && superuser_arg(role);
}

/* The same with what was found before.  The caller has seen to invalidations. */
bool
domev_right_is_known(DomevRightMark *mark, DomevRight right, const char *name, Oid role)
{
	uint64		now;

	domev_right_watch();
	now = rights_changed;
	if (mark->role == role && mark->as_of == now)
		return true;
	if (!domev_right_is_had(right, name, role))
		return false;
	mark->role = role;
	mark->as_of = now;
	return true;
}

/* Does the role read whatever topics there are, or were? */
bool
domev_right_reads_all(Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, ROLE_PG_READ_ALL_DATA);
}

/*
 * May the role read what the event says?  By its topic; a domain event by its
 * type as well.
 */
bool
domev_right_reads_event(const DomevEvent *event, Oid role)
{
	if (event->topic.data != NULL &&
		domev_right_is_had(DOMEV_READ_TOPIC, pnstrdup(event->topic.data, event->topic.size), role))
		return true;
	return event->mapping.data == NULL &&
		domev_right_is_had(DOMEV_READ_EVENT_TYPE, pnstrdup(event->event_type.data, event->event_type.size), role);
}

/* Says what the role lacks, and how it can be given. */
void
domev_right_raise_denied(DomevRight right, const char *name, Oid role)
{
	bool		of_topic = right == DOMEV_PUBLISH || right == DOMEV_READ_TOPIC;
	char	   *role_name = GetUserNameFromId(role, false);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for %s \"%s\"", of_topic ? "topic" : "event type", name),
			 errdetail("Role \"%s\" may not %s it.", role_name, rights[right].verb),
			 OidIsValid(domev_right_view(right, name)) ?
			 errhint("It may after GRANT %s ON %s TO %s.", rights[right].privilege,
					 quote_qualified_identifier(rights[right].schema, name), quote_identifier(role_name)) :
			 errhint("The view that bears the right is missing; domev.%s makes it anew.",
					 of_topic ? "alter_topic" : "alter_event_type")));
}
