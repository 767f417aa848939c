-- All that a move has to keep, as text: what is registered, all that the extension has pg_dump keep, rights, captures.
-- The same in the old database and in the new, whatever the releases.
SELECT format('%s %s', c.conf::regclass, regexp_replace(query_to_xml(
	format('SELECT t::text AS row FROM %s AS t %s ORDER BY t::text COLLATE "C"', c.conf::regclass, c.condition), false, true, '')::text, E'\n|xmlns[^>]*', '', 'g'))
FROM pg_extension AS e, unnest(e.extconfig, e.extcondition) AS c (conf, condition) WHERE e.extname = 'domev' ORDER BY c.conf::regclass::text COLLATE "C";
SELECT format('capture %s', c) FROM domev.captures AS c ORDER BY capture COLLATE "C";
SELECT format('view %s: %s, %s', c.oid::regclass, (SELECT string_agg(format('%s %s %s', a.grantee::regrole, a.privilege_type, a.is_grantable), ', ' ORDER BY a.grantee::regrole::text COLLATE "C", a.privilege_type COLLATE "C")
		FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a WHERE a.privilege_type <> 'MAINTAIN'), -- which 17 brought
	obj_description(c.oid, 'pg_class'))
FROM pg_class AS c WHERE c.relnamespace = ANY ('{domev_event, domev_topic}'::regnamespace[]) AND c.relkind = 'v' ORDER BY c.oid::regclass::text COLLATE "C";
SELECT format('trigger %s on %s: %s', tgname, tgrelid::regclass, tgenabled) FROM pg_trigger
WHERE tgfoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'domev'::regnamespace) AND tgrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'domev'::regnamespace)
ORDER BY tgrelid::regclass::text COLLATE "C", tgname COLLATE "C";
SELECT format('function %s: %s', p.oid::regprocedure, (SELECT string_agg(CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END, ', ' ORDER BY a.grantee::regrole::text COLLATE "C") FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a))
FROM pg_proc AS p WHERE p.pronamespace = 'domev'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C";
