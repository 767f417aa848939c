-- SE-3: each member of the extension, what it is and who may do what with it, against a list: the expected output.  Whoever adds a member,
-- a right or a property has to add it there, and so has seen it.  The same on all releases of PostgreSQL.
CREATE EXTENSION domev;
-- Members.  From 16 on, the row and array types that PostgreSQL makes by itself are members, too.
CREATE VIEW members AS
SELECT d.classid, d.objid, obj_description(d.objid, d.classid::regclass::name) AS comment FROM pg_depend AS d
WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'domev') AND d.deptype = 'e'
	AND NOT (d.classid = 'pg_type'::regclass AND d.objid NOT IN (SELECT reltype FROM pg_class WHERE relkind = 'c'));
-- the rights of others than the owner, the defaults written out; "public" is everybody
CREATE FUNCTION rights(acl aclitem[], kind "char", owner oid) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(grantee || ': ' || privileges, '; ' ORDER BY grantee) FROM (
		SELECT CASE grantee WHEN 0::oid THEN 'public' ELSE pg_get_userbyid(grantee) END AS grantee, string_agg(lower(privilege_type), ', ' ORDER BY privilege_type) AS privileges
		FROM aclexplode(coalesce(acl, acldefault(kind, owner))) WHERE grantee <> owner GROUP BY 1) AS g
$$;
\pset format unaligned
SELECT classid::regclass::text COLLATE "C" AS catalog, count(*) FROM members GROUP BY 1 ORDER BY 1;

-- functions: kind, volatility, parallel safety; s: strict, d: security definer, l: leakproof, r: returns a set
SELECT (p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')') COLLATE "C" AS function, l.lanname AS language, p.prokind::text || ' ' || p.provolatile::text || ' ' || p.proparallel::text || ' ' ||
	concat(CASE WHEN p.proisstrict THEN 's' END, CASE WHEN p.prosecdef THEN 'd' END, CASE WHEN p.proleakproof THEN 'l' END, CASE WHEN p.proretset THEN 'r' END) AS is,
	p.proconfig AS settings, rights(p.proacl, 'f', p.proowner) AS rights
FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass JOIN pg_language AS l ON l.oid = p.prolang ORDER BY 1;
-- relations: kind, persistence; s: row security, f: forced; options (of views, and whether changes count as catalog changes)
SELECT c.relname AS relation, c.relkind::text || ' ' || c.relpersistence::text || ' ' || concat(CASE WHEN c.relrowsecurity THEN 's' END, CASE WHEN c.relforcerowsecurity THEN 'f' END) AS is,
	array_to_string(ARRAY(SELECT o FROM unnest(c.reloptions) AS o WHERE o !~ '^(toast\.)?autovacuum_' ORDER BY 1), ', ') AS options, rights(c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner) AS rights
FROM members AS m JOIN pg_class AS c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass ORDER BY 1;
-- the rest
SELECT n.nspname AS schema, rights(n.nspacl, 'n', n.nspowner) AS rights FROM members AS m JOIN pg_namespace AS n ON n.oid = m.objid AND m.classid = 'pg_namespace'::regclass ORDER BY 1;
SELECT t.typname AS type, t.typtype, rights(t.typacl, 'T', t.typowner) AS rights FROM members AS m JOIN pg_type AS t ON t.oid = m.objid AND m.classid = 'pg_type'::regclass ORDER BY 1;
SELECT pg_describe_object(classid, objid, 0) COLLATE "C" AS other FROM members
WHERE classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass) ORDER BY 1;
-- triggers are parts of their tables: on what they fire, as whom they are enabled, what they call
SELECT t.tgrelid::regclass::text COLLATE "C" AS relation, t.tgname AS trigger, t.tgtype AS type, t.tgenabled AS enabled, t.tgfoid::regproc AS function, t.tgdeferrable AND t.tginitdeferred AS deferred
FROM members AS m JOIN pg_trigger AS t ON t.tgrelid = m.objid AND m.classid = 'pg_class'::regclass WHERE NOT t.tgisinternal ORDER BY 1, 2;
-- columns, with their types
SELECT c.relname AS relation, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN '!' ELSE '' END, ', ' ORDER BY a.attnum) AS columns
FROM members AS m JOIN pg_class AS c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind <> 'S' GROUP BY 1 ORDER BY 1;
-- what pg_dump takes of the tables
SELECT c::regclass::text COLLATE "C" AS relation, condition FROM pg_extension, unnest(extconfig, extcondition) AS u (c, condition) WHERE extname = 'domev' ORDER BY 1;

\pset format aligned

-- and none of these, in however many members there will be
-- owned by another than the extension's owner
SELECT pg_describe_object(m.classid, m.objid, 0) FROM members AS m,
	LATERAL (SELECT proowner FROM pg_proc WHERE oid = m.objid AND m.classid = 'pg_proc'::regclass UNION ALL SELECT relowner FROM pg_class WHERE oid = m.objid AND m.classid = 'pg_class'::regclass
		UNION ALL SELECT nspowner FROM pg_namespace WHERE oid = m.objid AND m.classid = 'pg_namespace'::regclass UNION ALL SELECT typowner FROM pg_type WHERE oid = m.objid AND m.classid = 'pg_type'::regclass
		UNION ALL SELECT opcowner FROM pg_opclass WHERE oid = m.objid AND m.classid = 'pg_opclass'::regclass UNION ALL SELECT opfowner FROM pg_opfamily WHERE oid = m.objid AND m.classid = 'pg_opfamily'::regclass) AS o (owner)
WHERE owner <> (SELECT extowner FROM pg_extension WHERE extname = 'domev');
-- in no schema of the extension's; and in its schemas, but no member
SELECT p.oid::regprocedure FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
WHERE p.pronamespace NOT IN (SELECT objid FROM members WHERE classid = 'pg_namespace'::regclass);
SELECT c.oid::regclass FROM members AS m JOIN pg_class AS c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
WHERE c.relnamespace NOT IN (SELECT objid FROM members WHERE classid = 'pg_namespace'::regclass);
SELECT pg_describe_object(classid, oid, 0) FROM (SELECT 'pg_proc'::regclass AS classid, oid, pronamespace AS n FROM pg_proc UNION ALL
	SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator) AS o
WHERE n IN (SELECT objid FROM members WHERE classid = 'pg_namespace'::regclass) AND NOT EXISTS (SELECT FROM members AS m WHERE m.classid = o.classid AND m.objid = o.oid);
-- a SECURITY DEFINER function whose path is not fixed, or does not end with pg_temp; a function in a language with a body as a string without one
SELECT p.oid::regprocedure FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
WHERE p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~ '^search_path=(.*, *)?pg_temp$');
SELECT p.oid::regprocedure FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass JOIN pg_language AS l ON l.oid = p.prolang
WHERE l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~ '^search_path=(.*, *)?pg_temp$');
-- a C function of another library, or whose symbol is not ours
SELECT p.oid::regprocedure FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass JOIN pg_language AS l ON l.oid = p.prolang
WHERE l.lanname = 'c' AND (p.probin <> '$libdir/domev' OR p.prosrc !~ '^domev_') OR l.lanname = 'internal';
-- a function that takes or returns "internal", which could be called with a forged pointer; one that is leakproof
SELECT p.oid::regprocedure FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
WHERE p.proleakproof OR 'internal'::regtype = ANY (p.proargtypes::oid[]) OR p.prorettype = 'internal'::regtype;
-- a function that writes, but is not volatile, or may run in a parallel worker
SELECT p.oid::regprocedure FROM members AS m JOIN pg_proc AS p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
WHERE p.proname ~ '^(emit|create_|alter_|drop_|set_|remap|purge_|receive|poll|ack|maintain|replay|resume_|catch_up|reset_|heartbeat|capture_change|map_deferred|guard_|invalidate_)' AND (p.provolatile <> 'v' OR p.proparallel <> 'u');
-- a right of PUBLIC to write or to create, a right that may be passed on, a right of somebody else
SELECT pg_describe_object(m.classid, m.objid, 0), a.privilege_type FROM members AS m,
	LATERAL (SELECT coalesce(proacl, acldefault('f', proowner)), proowner FROM pg_proc WHERE oid = m.objid AND m.classid = 'pg_proc'::regclass
		UNION ALL SELECT coalesce(relacl, acldefault('r', relowner)), relowner FROM pg_class WHERE oid = m.objid AND m.classid = 'pg_class'::regclass
		UNION ALL SELECT coalesce(nspacl, acldefault('n', nspowner)), nspowner FROM pg_namespace WHERE oid = m.objid AND m.classid = 'pg_namespace'::regclass) AS o (acl, owner), aclexplode(o.acl) AS a
WHERE a.grantee <> o.owner AND (a.grantee <> 0 OR a.is_grantable OR a.privilege_type NOT IN ('EXECUTE', 'SELECT', 'USAGE'));
SELECT a.attrelid::regclass, a.attname FROM members AS m JOIN pg_attribute AS a ON a.attrelid = m.objid AND m.classid = 'pg_class'::regclass WHERE a.attacl IS NOT NULL;
-- a view that can be written through, a rule, a policy, a table that inherits, a column of a type that pg_upgrade refuses or that is an ACL
SELECT c.oid::regclass FROM members AS m JOIN pg_class AS c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
WHERE c.relkind = 'v' AND pg_relation_is_updatable(c.oid, false) <> 0;
SELECT r.ev_class::regclass, r.rulename FROM members AS m JOIN pg_rewrite AS r ON r.ev_class = m.objid AND m.classid = 'pg_class'::regclass WHERE r.rulename <> '_RETURN';
SELECT p.polname FROM members AS m JOIN pg_policy AS p ON p.polrelid = m.objid AND m.classid = 'pg_class'::regclass;
SELECT i.inhrelid::regclass FROM members AS m JOIN pg_inherits AS i ON i.inhrelid = m.objid AND m.classid = 'pg_class'::regclass WHERE i.inhparent <> 'domev.outbox'::regclass;
SELECT a.attrelid::regclass, a.attname, a.atttypid::regtype FROM members AS m JOIN pg_attribute AS a ON a.attrelid = m.objid AND m.classid = 'pg_class'::regclass
WHERE a.atttypid IN (SELECT oid FROM pg_type WHERE typname ~ '^_?(reg.*|aclitem)$' AND typname NOT IN ('regclass', 'regrole', 'regtype')) AND a.attnum > 0;
-- one without a comment
SELECT pg_describe_object(classid, objid, 0) FROM members WHERE comment IS NULL;
-- an event trigger, a language, a cast, a transform, a background of any kind
SELECT pg_describe_object(classid, objid, 0) FROM members WHERE classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass);

DROP VIEW members;
DROP FUNCTION rights;
DROP EXTENSION domev;
