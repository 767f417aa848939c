-- The extension as the catalogs have it, a line for each thing, without oids: an updated one must be the same as a fresh one.
CREATE TEMPORARY VIEW members AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name FROM pg_depend AS d
WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'domev') AND d.deptype = 'e';
CREATE TEMPORARY VIEW rights AS -- in the order of who has them
SELECT o.*, (SELECT string_agg(format('%s %s %s', CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END, a.privilege_type, a.is_grantable), ', ' ORDER BY a.grantee, a.privilege_type COLLATE "C") FROM aclexplode(o.acl) AS a) AS rights
FROM (SELECT 'pg_class'::regclass AS classid, oid, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl, relowner AS owner FROM pg_class
	UNION ALL SELECT 'pg_proc'::regclass, oid, coalesce(proacl, acldefault('f', proowner)), proowner FROM pg_proc
	UNION ALL SELECT 'pg_namespace'::regclass, oid, coalesce(nspacl, acldefault('n', nspowner)), nspowner FROM pg_namespace
	UNION ALL SELECT 'pg_type'::regclass, oid, coalesce(typacl, acldefault('T', typowner)), typowner FROM pg_type) AS o;
SELECT line FROM (
	SELECT format('member %s, "%s", %s, %s', m.name, obj_description(m.objid, m.classid::regclass::name), r.owner::regrole, r.rights) FROM members AS m LEFT JOIN rights AS r ON r.classid = m.classid AND r.oid = m.objid
	UNION ALL SELECT format('function %s: %s', m.name, pg_get_functiondef(m.objid)) FROM members AS m WHERE m.classid = 'pg_proc'::regclass
	UNION ALL SELECT format('relation %s: %s %s %s %s %s %s %s, replica %s', m.name, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
		(SELECT string_agg(o, ' ' ORDER BY o COLLATE "C") FROM unnest(c.reloptions) AS o), pg_get_expr(c.relpartbound, c.oid), CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'p' THEN pg_get_partkeydef(c.oid) END, c.relreplident)
		FROM members AS m JOIN pg_class AS c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('column %s %s: %s %s %s %s %s %s %s %s "%s"', m.name, a.attname, format_type(a.atttypid, a.atttypmod), (SELECT collname FROM pg_collation WHERE oid = a.attcollation), a.attnotnull,
		pg_get_expr(d.adbin, d.adrelid), a.attstorage, a.attcompression, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attacl, col_description(a.attrelid, a.attnum))
		FROM members AS m JOIN pg_attribute AS a ON a.attrelid = m.objid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('attribute %s %s: %s %s', m.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnum) FROM members AS m JOIN pg_type AS t ON t.oid = m.objid JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0
		WHERE m.classid = 'pg_type'::regclass
	UNION ALL SELECT format('constraint %s %s: %s', m.name, c.conname, pg_get_constraintdef(c.oid)) FROM members AS m JOIN pg_constraint AS c ON c.conrelid = m.objid WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('index %s: %s', m.name, pg_get_indexdef(i.indexrelid)) FROM members AS m JOIN pg_index AS i ON i.indrelid = m.objid WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('trigger %s: %s, %s', m.name, pg_get_triggerdef(t.oid), t.tgenabled) FROM members AS m JOIN pg_trigger AS t ON t.tgrelid = m.objid AND NOT t.tgisinternal WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('policy %s: %s', m.name, p.polname) FROM members AS m JOIN pg_policy AS p ON p.polrelid = m.objid WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('rule %s: %s', m.name, pg_get_ruledef(r.oid)) FROM members AS m JOIN pg_rewrite AS r ON r.ev_class = m.objid WHERE m.classid = 'pg_class'::regclass
	UNION ALL SELECT format('operator of %s: %s %s', m.name, amopstrategy, amopopr::regoperator) FROM members AS m JOIN pg_amop ON amopfamily = m.objid WHERE m.classid = 'pg_opfamily'::regclass
	UNION ALL SELECT format('support of %s: %s %s', m.name, amprocnum, amproc) FROM members AS m JOIN pg_amproc ON amprocfamily = m.objid WHERE m.classid = 'pg_opfamily'::regclass
	UNION ALL SELECT format('class of %s: %s %s', m.name, opcdefault, opcintype::regtype) FROM members AS m JOIN pg_opclass ON oid = m.objid WHERE m.classid = 'pg_opclass'::regclass
	UNION ALL SELECT format('dumped %s %s', c::regclass, condition) FROM pg_extension, unnest(extconfig, extcondition) AS u (c, condition) WHERE extname = 'domev'
	-- what pg_dump takes for the rights of a fresh one
	UNION ALL SELECT format('first rights of %s: %s', m.name, (SELECT string_agg(format('%s %s %s', CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END, a.privilege_type, a.is_grantable), ', ' ORDER BY a.grantee, a.privilege_type COLLATE "C")
		FROM aclexplode(i.initprivs) AS a)) FROM members AS m JOIN pg_init_privs AS i ON i.classoid = m.classid AND i.objoid = m.objid
	UNION ALL SELECT format('in the schema of another: %s', pg_describe_object('pg_class'::regclass, c.oid, 0)) FROM pg_class AS c WHERE c.relnamespace = 'domev'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c', 't')
		AND NOT EXISTS (SELECT FROM members AS m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
) AS l (line) ORDER BY line COLLATE "C";
DROP VIEW members, rights;
