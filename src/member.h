/*-------------------------------------------------------------------------
 *
 * member.h
 *	  What are the members of an event's JSON?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_MEMBER_H
#define DOMEV_MEMBER_H

#include "event.h"
#include "lib/stringinfo.h"

/* A member of a JSON object; both point into it. */
typedef struct DomevMember
{
	DomevText	name;			/* as it stands between the quotes */
	DomevText	value;			/* the whole value, a string with its quotes */
} DomevMember;

/* Reading an object from its start, member by member. */
typedef struct DomevMemberScan
{
	const char *position;
	const char *end;
} DomevMemberScan;

extern void domev_member_begin(DomevMemberScan *scan, const char *json, Size size);
extern bool domev_member_next(DomevMemberScan *scan, DomevMember *member);
extern bool domev_member_find(const char *json, Size size, const char *name,
							  DomevMember *member);
extern bool domev_member_is(const DomevMember *member, const char *name);
extern bool domev_member_is_string(const DomevMember *member);
extern bool domev_member_is_boolean(const DomevMember *member, bool *value);
extern bool domev_member_is_int32(const DomevMember *member, int32 *value);
extern bool domev_member_are_attributes(DomevText headers);
extern void domev_member_append_string(StringInfo out, const DomevMember *member);

#endif							/* DOMEV_MEMBER_H */
