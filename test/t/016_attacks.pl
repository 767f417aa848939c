# Attacks that take a server of their own (SE-2, SE-8, SE-10, SE-11, SE-12, SE-14; the others are in test/sql/attack_*.sql): what is
# planted before the extension is made, replication roles, rights taken away from a session that runs, what the log says, cancelling.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use File::Copy;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('attacks');
my $knows_libraries = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'});
my $tmp = $PostgreSQL::Test::Utils::tmp_check;

# Runs statements as somebody; returns what they return, or the error.
sub as
{
	my ($user, $dbname, $sql, @options) = @_;
	my ($out, $err);

	$node->psql($dbname, $sql, stdout => \$out, stderr => \$err, on_error_stop => 1, extra_params => [ '-U', $user, @options ]);
	return $err =~ /(ERROR|FATAL): +(.*)/ ? $2 : $out;
}

# A session that goes on: a function to be given statements, which returns what they returned or raised.
sub session
{
	my ($user, $dbname) = @_;
	my ($in, $out) = ('', '');
	my $timer = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-U', $user, '-d', $node->connstr($dbname) ], '<', \$in, '>&', \$out, $timer);

	return sub {
		my ($sql) = @_;
		return $psql->finish unless defined $sql;
		$out = '';
		$in .= "$sql;\n\\echo the end\n";
		$psql->pump until $out =~ /^the end$/m;
		$out =~ s/^the end\n//m;
		return $out =~ /(?:ERROR|FATAL): +(.*)/ ? $1 : $out =~ s/\n\z//r;
	};
}

sub logged_since
{
	my ($position) = @_;
	return substr(slurp_file($node->logfile), $position);
}

# ---- SE-2: what a database's owner, who is nobody else, has planted there before a superuser makes the extension.
$node->safe_psql('postgres', 'CREATE ROLE low LOGIN; CREATE ROLE reporting');
# A table that says who ran the attacker's code, and an operator that PostgreSQL would prefer to its own, for all pairs of types.
my $plant = q{
	CREATE SCHEMA planted;
	CREATE TABLE planted.canary (who name);
	GRANT USAGE ON SCHEMA planted TO PUBLIC;
	GRANT INSERT ON planted.canary TO PUBLIC;
	CREATE FUNCTION planted.bite() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO planted.canary VALUES (current_user); RETURN true; END $$;
	DO $$
	DECLARE
		s text; l regtype; r regtype; o text;
		types regtype[] := '{text,name,uuid,jsonb,bytea,boolean,smallint,integer,bigint,oid,xid8,timestamptz,interval,"\"char\"",aclitem}';
	BEGIN
		FOREACH s IN ARRAY '{public,planted}'::text[] LOOP
			FOREACH l IN ARRAY types LOOP
				FOREACH r IN ARRAY types LOOP
					EXECUTE format('CREATE FUNCTION %I.op(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L', s, l, r, 'BEGIN RETURN planted.bite(); END');
					FOREACH o IN ARRAY '{=,<>,<,>=,||,~,->>}'::text[] LOOP
						EXECUTE format('CREATE OPERATOR %I.%s (FUNCTION = %I.op, LEFTARG = %s, RIGHTARG = %s)', s, o, s, l, r);
					END LOOP;
				END LOOP;
			END LOOP;
			EXECUTE format('CREATE FUNCTION %I.current_database() RETURNS name LANGUAGE plpgsql AS %L', s, 'BEGIN PERFORM planted.bite(); RETURN ''x''; END');
			EXECUTE format('CREATE FUNCTION %I.quote_ident(text) RETURNS text LANGUAGE plpgsql AS %L', s, 'BEGIN PERFORM planted.bite(); RETURN ''x''; END');
			EXECUTE format('CREATE DOMAIN %I.text AS pg_catalog.text CHECK (planted.bite())', s);
			EXECUTE format('CREATE DOMAIN %I.uuid AS pg_catalog.uuid CHECK (planted.bite())', s);
			EXECUTE format('CREATE DOMAIN %I.domain_event AS pg_catalog.int4 CHECK (planted.bite())', s);
			EXECUTE format('CREATE TABLE %I.outbox (planted int); CREATE TABLE %I.topics (planted int)', s, s);
			EXECUTE format('CREATE FUNCTION %I.emit(pg_catalog.text) RETURNS int LANGUAGE plpgsql AS %L', s, 'BEGIN PERFORM planted.bite(); RETURN 1; END');
		END LOOP;
	END $$;
};

# The schemas: made beforehand they are not adopted, and nothing is left in them.
foreach my $schema (qw(domev domev_event domev_topic))
{
	$node->safe_psql('postgres', "CREATE DATABASE pre_$schema OWNER low");
	as('low', "pre_$schema", "CREATE SCHEMA $schema; CREATE TABLE $schema.topics (planted int); CREATE FUNCTION $schema.emit(text) RETURNS int LANGUAGE sql AS 'SELECT 1'");
	is(as($node->safe_psql('postgres', 'SELECT current_user'), "pre_$schema", 'CREATE EXTENSION domev'), qq{schema "$schema" already exists}, "schema $schema that somebody else has made is refused");
	is($node->safe_psql("pre_$schema", q{SELECT string_agg(relname, ' ') FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname ~ '^domev' AND relkind IN ('r', 'p', 'v')}), 'topics', 'nothing was added to it');
	is(as('low', "pre_$schema", "DROP SCHEMA $schema CASCADE; SELECT 'dropped'"), 'dropped', 'it is still its owner\'s');
	$node->safe_psql("pre_$schema", 'CREATE EXTENSION domev');
}

# Objects where the script might look, by every way that leads there.
foreach my $way ([ 'public is the creation target', '' ], [ 'the path of the database', 'ALTER DATABASE planted SET search_path = planted, pg_catalog, public' ],
	[ 'the path of the session', '' , 'SET search_path = planted, pg_catalog;' ], [ 'the schema that is given', '', '', 'SCHEMA planted' ])
{
	my ($name, $owner, $session, $options) = @$way;

	$node->safe_psql('postgres', 'CREATE DATABASE planted OWNER low');
	is(as('low', 'planted', "$plant; $owner; SELECT 'planted'"), 'planted', "planted for: $name");
	# default privileges for others are what the script has to take back, one by one
	$node->safe_psql('planted', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO reporting, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO reporting; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO reporting');
	$node->safe_psql('planted', ($session // '') . 'CREATE EXTENSION domev ' . ($options // ''));
	is($node->safe_psql('planted', 'SELECT pg_catalog.count(*) FROM planted.canary'), 0, "the attacker's code does not run: $name");
	is($node->safe_psql('planted', q{SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(classid, objid, 0), ' ') FROM pg_catalog.pg_depend
			WHERE deptype OPERATOR(pg_catalog.=) 'e' AND pg_catalog.pg_describe_object(classid, objid, 0) OPERATOR(pg_catalog.~) '(public|planted)\.'}), '', 'nothing planted is adopted');
	is($node->safe_psql('planted', q{SET search_path = pg_catalog; SELECT count(*) FROM pg_class WHERE relnamespace IN ('domev'::regnamespace, 'domev_event'::regnamespace, 'domev_topic'::regnamespace)
			AND relkind IN ('r', 'p', 'v') AND (has_table_privilege('reporting', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_table_privilege('public', oid, 'INSERT, UPDATE, DELETE'))}), 0,
		'default privileges are taken back');
	$node->safe_psql('postgres', 'DROP DATABASE planted');
}
# names of schemas that are code
$node->safe_psql('postgres', 'CREATE DATABASE quoted OWNER low');
foreach my $schema (q{"a'; SELECT 1/0; --"}, q{"$$; SELECT 1/0; $$"}, q{"\\'; SELECT 1/0; --"}, q{"@extschema@"})
{
	as('low', 'quoted', "CREATE SCHEMA $schema");
	$node->safe_psql('quoted', "CREATE EXTENSION domev SCHEMA $schema; DROP EXTENSION domev");
	pass("schema $schema");
}
# who may not
like(as('low', 'quoted', 'CREATE EXTENSION domev'), qr/permission denied to create extension/, 'a database\'s owner cannot make it');
like(as('low', 'quoted', 'CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.e()'),
	qr/permission denied to create event trigger/, 'nor an event trigger that its script would fire');

# An update, from this version to one that nobody has made yet: with its script empty, all is as in an extension newly made.
SKIP:
{
	skip 'extension_control_path came with 18', 4 if $node->pg_version < 18;
	my $share = $node->config_data('--sharedir') . '/extension';
	my ($version) = slurp_file("$share/domev.control") =~ /default_version = '(.*)'/;

	mkdir "$tmp/share";
	mkdir "$tmp/share/extension";
	copy("$share/$_", "$tmp/share/extension/$_") foreach ('domev.control', "domev--$version.sql");
	append_to_file("$tmp/share/extension/domev--$version--99.sql", "SET LOCAL search_path TO pg_catalog, pg_temp;\n");
	$node->append_conf('postgresql.conf', "extension_control_path = '$tmp/share:\$system'");
	$node->reload;
	$node->safe_psql('postgres', 'CREATE DATABASE planted OWNER low');
	is(as('low', 'planted', "$plant; SELECT 'planted'"), 'planted', 'planted for: an update');
	$node->safe_psql('planted', 'CREATE EXTENSION domev');
	like(as('low', 'planted', q{ALTER EXTENSION domev UPDATE TO '99'}), qr/must be owner of extension domev/, 'who does not own it cannot update it');
	$node->safe_psql('planted', q{SET search_path = planted, pg_catalog; ALTER EXTENSION domev UPDATE TO '99'});
	is($node->safe_psql('planted', q{SELECT extversion FROM pg_extension WHERE extname = 'domev'}), '99', 'updated');
	is($node->safe_psql('planted', 'SELECT pg_catalog.count(*) FROM planted.canary'), 0, 'the attacker\'s code does not run');
}

# ---- The shop, for all that follows.
$node->safe_psql('postgres', 'CREATE DATABASE shop; CREATE DATABASE other');
my $setup = q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	SELECT domev.create_topic('in', 'internal'), domev.create_topic('open'), domev.create_topic('closed', storage => 'wal');
	SELECT domev.create_event_type('e', 'a', 'in');
	SELECT domev.create_mapping('open', 'e', 'public.m', 'open'), domev.create_mapping('closed', 'e', 'public.m', 'closed');
};
$node->safe_psql($_, $setup) foreach (qw(shop other));
$node->safe_psql('shop', 'CREATE ROLE app LOGIN; CREATE ROLE grp; GRANT INSERT ON domev_event.e TO app');

# ---- SE-8: a message of one database in another; nobody's payload in the log, whatever goes wrong.
$node->safe_psql('shop', "SELECT pg_create_logical_replication_slot('raw', 'test_decoding'), pg_create_logical_replication_slot('shop', 'domev')");
$node->safe_psql('other', "SELECT pg_create_logical_replication_slot('other', 'domev')");
as('app', 'shop', q{SELECT domev.emit('e', 'genuine', '{"card": "4111-1111"}')});
my ($content) = $node->safe_psql('shop', q{SELECT data FROM pg_logical_slot_get_changes('raw', NULL, NULL) WHERE data ~ '^message'}) =~ /content:(.*)$/m;
like($content, qr/"mac":"[0-9a-f]{32}"/, 'a genuine message was seen');
my $position = -s $node->logfile;
as('low', 'other', "SELECT pg_logical_emit_message(true, 'domev/closed', \$c\$$content\$c\$); SELECT pg_logical_emit_message(true, 'domev/closed', '4111-1111')");
$node->safe_psql('other', q{SELECT domev.emit('e', 'own')});
is(subjects(receive($node, 'other', 'other')), 'own own own', 'a message of another database is dropped, its neighbours are sent');
like(logged_since($position), qr/domev dropped WAL messages that it did not write: 1\b/, 'that is in the log');

# ---- SE-12: whatever fails, neither error nor log has the payload.  (Statements that fail are logged as the server is told to.)
$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_error_statement = panic\nlog_min_messages = debug1\nlog_error_verbosity = verbose\n");
$node->reload;
$position = -s $node->logfile;
$node->safe_psql('shop', q{
	CREATE FUNCTION fails(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
	BEGIN
		IF (e).aggregate_id = 'size' THEN
			RETURN domev.make_integration_event('x', jsonb_build_object('a', repeat('4111-1111', 10000)));
		END IF;
		RETURN domev.make_integration_event('x', (e).payload, data => '4111-1111', headers => '{"h": "4111-1111"}');
	END $$;
	SELECT domev.create_event_type('abort', 'a'), domev.create_event_type('record', 'a'), domev.create_event_type('defer', 'a'),
		domev.create_mapping('abort', 'abort', 'public.fails', 'open'), domev.create_mapping('record', 'record', 'public.fails', 'open', on_error => 'record'),
		domev.create_mapping('defer', 'defer', 'public.fails', 'open', timing => 'deferred');
});
foreach my $sql (q{SELECT domev.emit('abort', 'x', $1)}, q{SELECT domev.emit('abort', 'size', $1)}, q{SELECT domev.emit('record', 'x', $1)}, q{SELECT domev.emit('record', 'size', $1)},
	q{SELECT domev.emit('defer', 'x', $1)}, q{SELECT domev.emit('none', 'x', $1)}, q{SELECT domev.emit('e', '', $1)}, q{SELECT domev.preview('abort', 'x', $1)}, q{SELECT domev.emit('e', 'x', $1, headers => $1)})
{
	$node->psql('shop', "PREPARE p AS $sql; SET domev.max_event_size = '10kB'; EXECUTE p ('{\"card\": \"4111-1111\"}')");
}
$node->psql('shop', q{SELECT domev.remap('record')});
receive($node, 'shop', 'shop');
my $log = logged_since($position);
like($log, qr/integration event has both a payload and data/, 'the failures are in the log');
ok($log !~ /4111/, 'the payload is not') or diag(grep { /4111/ } split(/^/, $log));
$node->append_conf('postgresql.conf', "log_min_error_statement = error\nlog_min_messages = warning\nlog_error_verbosity = default\n");
$node->reload;

# ---- SE-10: rights that are taken away from a session that has used them, at its next statement, in an open transaction, too.
my $app = session('app', 'shop');
is($app->(q{SELECT domev.emit('e', 1) IS NOT NULL}), 't', 'a session emits');
$node->safe_psql('shop', 'REVOKE INSERT ON domev_event.e FROM app');
is($app->(q{SELECT domev.emit('e', 2)}), 'permission denied for event type "e"', 'and may not any more');
is($app->(q{INSERT INTO domev_event.e (aggregate_id) VALUES ('2')}), 'permission denied for view e', 'nor by the view');
$node->safe_psql('shop', 'GRANT INSERT ON domev_event.e TO app');
foreach my $isolation ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	$app->("BEGIN ISOLATION LEVEL $isolation");
	is($app->(q{SELECT domev.emit('e', 3) IS NOT NULL}), 't', "a transaction emits, $isolation");
	$node->safe_psql('shop', 'REVOKE INSERT ON domev_event.e FROM app');
	is($app->(q{SELECT domev.emit('e', 4)}), 'permission denied for event type "e"', 'and may not any more');
	$app->('ROLLBACK');
	$node->safe_psql('shop', 'GRANT INSERT ON domev_event.e TO app');
}
$app->(q{PREPARE emit AS SELECT domev.emit('e', $1::text) IS NOT NULL});
is($app->(q{EXECUTE emit (5)}), 't', 'a prepared statement emits');
$node->safe_psql('shop', 'REVOKE INSERT ON domev_event.e FROM app; GRANT INSERT ON domev_event.e TO grp; GRANT grp TO app');
is($app->(q{EXECUTE emit (6)}), 't', 'by a membership');
$node->safe_psql('shop', 'REVOKE grp FROM app');
is($app->(q{EXECUTE emit (7)}), 'permission denied for event type "e"', 'which was revoked');
$node->safe_psql('shop', 'ALTER ROLE app SUPERUSER');
is($app->(q{EXECUTE emit (8)}), 't', 'as superuser');
$node->safe_psql('shop', 'ALTER ROLE app NOSUPERUSER');
is($app->(q{EXECUTE emit (9)}), 'permission denied for event type "e"', 'that it is no more');
# a pooled session: what one client did as one role is not the next one's right
$node->safe_psql('shop', 'CREATE ROLE pool LOGIN; GRANT app, grp TO pool');
$node->safe_psql('shop', $node->pg_version < 16 ? 'ALTER ROLE pool NOINHERIT' : 'GRANT app, grp TO pool WITH INHERIT FALSE, SET TRUE');
my $pool = session('pool', 'shop');
is($pool->(q{SET ROLE grp; SELECT domev.emit('e', 'a') IS NOT NULL}), 't', 'one client of a pool emits');
is($pool->(q{RESET ROLE; SELECT domev.emit('e', 'b')}), 'permission denied for event type "e"', 'the next does not, after RESET ROLE');
is($pool->(q{SET ROLE grp; SELECT domev.emit('e', 'a') IS NOT NULL}), 't', 'one client of a pool emits');
is($pool->(q{DISCARD ALL}) . $pool->(q{SELECT domev.emit('e', 'b')}), 'permission denied for event type "e"', 'the next does not, after DISCARD ALL');
is($pool->(q{BEGIN; SET LOCAL ROLE grp; SELECT domev.emit('e', 'a') IS NOT NULL}), 't', 'one client of a pool emits');
is($pool->(q{COMMIT; SELECT domev.emit('e', 'b')}), 'permission denied for event type "e"', 'the next does not, after SET LOCAL ROLE');
is($pool->(q{SET ROLE app; SELECT domev.emit('e', 'b')}), 'permission denied for event type "e"', 'nor as another role');
# a mapping's owner loses the topic, between emit and commit
$node->safe_psql('shop', q{
	CREATE ROLE mapper;
	CREATE FUNCTION late(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	ALTER FUNCTION late OWNER TO mapper;
	SELECT domev.create_event_type('late', 'a');
	GRANT INSERT ON domev_event.late, domev_topic.open TO mapper;
	GRANT INSERT ON domev_event.late TO app;
	SELECT domev.create_mapping('late', 'late', 'public.late', 'open', timing => 'deferred');
});
$app->(q{BEGIN});
is($app->(q{SELECT domev.emit('late', 1) IS NOT NULL}), 't', 'an event waits for the commit');
$node->safe_psql('shop', 'REVOKE INSERT ON domev_topic.open FROM mapper');
is($app->('COMMIT'), 'permission denied for topic "open"', 'when its mapping may not publish any more');
$app->(); $pool->();

# ---- SE-11: who may stream what.
$node->safe_psql('shop', q{CREATE ROLE publisher LOGIN REPLICATION; CREATE ROLE free LOGIN REPLICATION; GRANT SELECT ON domev_topic.open TO publisher;
	SELECT pg_create_logical_replication_slot('p', 'domev'), pg_create_logical_replication_slot('foreign', 'domev')});
$node->safe_psql('shop', q{SELECT domev.emit('e', 'for the stream', '{"card": "4111-1111"}')});
# Streams as the role up to now; returns the topics of what came, or the error.
sub streamed
{
	my ($user, $slot, %options) = @_;
	my @pgoptions = defined $options{PGOPTIONS} ? (delete $options{PGOPTIONS}) : ();
	my $end = $node->safe_psql('shop', 'SELECT pg_current_wal_lsn()');
	my ($out, $err);
	local $ENV{PGOPTIONS} = $pgoptions[0] if @pgoptions;

	# at its end it acknowledges what it has read, even with -s 0
	IPC::Run::run([ 'pg_recvlogical', '-d', $node->connstr('shop') . " user=$user", '-S', $slot, '--start', '--no-loop', '--endpos', $end, '-f', '-', '-s', '0', map { ('-o', "$_=$options{$_}") } keys %options ],
		'>', \$out, '2>', \$err, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return $err =~ /(?:ERROR|FATAL): +(.*)/ ? $1 : join(' ', $out =~ /"topic":"([^"]*)"/g);
}
# By SQL, which takes what it is asked for.
sub peeked
{
	my ($user, $options) = @_;
	return as($user, 'shop', "SELECT string_agg(data::jsonb->>'topic', ' ') FROM pg_logical_slot_peek_changes('p', NULL, NULL$options)");
}
my $superuser = $node->safe_psql('shop', 'SELECT current_user');
is(peeked($superuser, ''), 'in closed open', 'a superuser gets all');
is(peeked('publisher', ''), 'open', 'a role what it may read');
is(peeked('publisher', q{, 'topics', 'open'}), 'open', 'and may ask for it');
is(peeked('publisher', q{, 'topics', 'closed'}), 'permission denied for topic "closed"', 'for another it is refused, in WAL storage');
is(peeked('publisher', q{, 'topics', 'open,in'}), 'permission denied for topic "in"', 'and in rows, beside what it may');
foreach my $options (q{'topics', '*'}, q{'topics', 'c*,i?,[a-z]*'}, q{'topics', 'close?'}, q{'scope', 'internal'}, q{'scope', 'external'}, q{'event_types', '*'}, q{'shard', '0/1'}, q{'origin', 'any'})
{
	unlike(peeked('publisher', ", $options"), qr/closed|in/, "no option gives more: $options");
}
is(peeked('low', ''), $node->pg_version < 16 ? 'must be superuser or replication role to use replication slots' : 'permission denied to use replication slots', 'who has no REPLICATION gets nothing');
is(streamed('publisher', 'p', topics => 'closed'), 'permission denied for topic "closed"', 'a walsender refuses it as well');
like(streamed('publisher', 'p', PGOPTIONS => "-c role=$superuser"), qr/permission denied to set role/, 'a role is not to be had by options of the connection');
is(streamed('publisher', 'p', PGOPTIONS => '-c search_path=pg_temp -c row_security=off -c session_preload_libraries='), 'permission denied to set parameter "session_preload_libraries"', 'nor a setting that is a superuser\'s');
is(streamed('publisher', 'p', PGOPTIONS => '-c search_path=pg_temp -c row_security=off -c domev.context={} -c domev.aggregate_guard=error'), 'open', 'other settings change nothing');
$node->safe_psql('shop', q{SELECT domev.emit('e', 'again')});
is(streamed('publisher', 'p'), 'open', 'only the readable ones');
# taken away and given: what was in the WAL at the start goes by the rights of the start
$node->safe_psql('shop', q{SELECT domev.emit('e', 'before'); REVOKE SELECT ON domev_topic.open FROM publisher; GRANT SELECT ON domev_topic.closed TO publisher});
is(peeked('publisher', ''), 'closed', 'revoked and granted');
$node->safe_psql('shop', q{REVOKE SELECT ON domev_topic.closed FROM publisher; GRANT SELECT ON domev_topic.closed TO grp; GRANT grp TO publisher});
is(peeked('publisher', ''), 'closed', 'by a membership');
$node->safe_psql('shop', q{REVOKE grp FROM publisher; GRANT pg_read_all_data TO publisher});
is(peeked('publisher', ''), 'in closed open', 'who may read all data may read all events');
$node->safe_psql('shop', q{REVOKE pg_read_all_data FROM publisher});
is(peeked('publisher', ''), 'role "publisher" may read none of the topics that it asks for', 'and without any right it is refused');
$node->safe_psql('shop', 'GRANT SELECT ON domev_topic.open TO publisher');
# while it streams
my $file = "$tmp/publisher.out";
my $errors = '';
my $client = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('shop') . ' user=publisher', '-S', 'p', '--start', '-f', $file, '-F', '1', '-s', '1' ], '>', \my $ignored, '2>', \$errors);
my $received = sub { return -e $file ? join(' ', map { "$$_[0]/$$_[1]" } map { [ /"subject":"([^"]*)"/, /"topic":"([^"]*)"/ ] } grep { /"subject":"live/ } split("\n", slurp_file($file))) : ''; };
$node->safe_psql('shop', q{SELECT domev.emit('e', 'live 1')});
wait_until('the stream runs', sub { $received->() =~ /live 1/ });
$node->safe_psql('shop', q{REVOKE SELECT ON domev_topic.open FROM publisher});
$node->safe_psql('shop', q{SELECT domev.emit('e', 'live 2')});
$node->safe_psql('shop', q{GRANT SELECT ON domev_topic.closed TO publisher});
$node->safe_psql('shop', q{SELECT domev.emit('e', 'live 3')});
wait_until('the stream goes on', sub { $received->() =~ /live 3/ });
is($received->(), 'live 1/open live 3/closed', 'rights that change while a client streams count from there on');
$client->signal('INT');
$client->finish;

# A role that is bound to the plugin; one that is not reads all, by another.
SKIP:
{
	skip 'this server has no output_plugin_libraries', 8 unless $knows_libraries;
	$node->safe_psql('shop', q{ALTER ROLE publisher SET output_plugin_libraries = domev; SELECT pg_create_logical_replication_slot('t', 'test_decoding');
		SELECT domev.emit('e', 'x', '{"card": "4111-1111"}')});
	my $refused = qr/may not be used as an output plugin/;
	like(as('publisher', 'shop', "SELECT pg_create_logical_replication_slot('x', 'pgoutput')"), $refused, 'a bound role makes no slot of another plugin');
	like(as('publisher', 'shop', "SELECT count(*) FROM pg_logical_slot_peek_changes('t', NULL, NULL)"), $refused, 'nor reads one');
	like(streamed('publisher', 't'), $refused, 'nor by a walsender');
	like(as('publisher', 'shop', 'SET output_plugin_libraries = test_decoding'), qr/permission denied to set parameter/, 'it cannot set that');
	like(as('publisher', 'shop', 'ALTER ROLE publisher RESET output_plugin_libraries'), qr/permission denied/, 'nor take it back');
	like(streamed('publisher', 't', PGOPTIONS => '-c output_plugin_libraries=test_decoding'), qr/permission denied to set parameter/, 'nor by options of the connection');
	like(peeked('publisher', ''), qr/^closed( closed)*$/, 'its own slot it reads');
	like(as('free', 'shop', "SELECT string_agg(data, '') FROM pg_logical_slot_peek_changes('t', NULL, NULL)"), qr/4111-1111/, 'one that is not bound reads all by another plugin: SECURITY.md says so');
	$node->safe_psql('shop', "SELECT pg_drop_replication_slot('t')");
}
# The library comes into the session of whoever names it, where there is no domev as well: it defines its settings, and nothing else.
my $loads = session('free', 'postgres');
$loads->('CREATE TEMP TABLE before AS SELECT name, setting FROM pg_settings');
$loads->('CREATE TEMP TABLE objects AS SELECT classid, objid FROM pg_depend');
is($loads->(q{SELECT count(*) FROM pg_settings WHERE name LIKE 'domev.%'}), 0, 'before the library is loaded');
is($loads->(q{SELECT slot_name FROM pg_create_logical_replication_slot('loads', 'domev', true)}), 'loads', 'a role with REPLICATION loads it');
is($loads->(q{SELECT count(*) > 0 FROM pg_settings WHERE name LIKE 'domev.%'}), 't', 'it has settings');
is($loads->(q{SELECT name FROM (SELECT name, setting FROM pg_settings EXCEPT SELECT * FROM before) AS s WHERE name NOT LIKE 'domev.%'}), '', 'and changes none');
is($loads->(q{SELECT count(*) FROM (SELECT classid, objid FROM pg_depend EXCEPT SELECT * FROM objects) AS d WHERE objid::regclass::text <> 'objects' AND classid <> 'pg_type'::regclass}), 0, 'makes nothing');
$loads->();
# What REPLICATION gives, whatever we do: others' slots, and a copy of the whole cluster, unless pg_hba.conf rejects that.
is(as('publisher', 'shop', "SELECT count(*) FROM pg_replication_slot_advance('foreign', pg_current_wal_lsn())"), 1, 'it moves others\' slots: SECURITY.md says so');
is(as('publisher', 'shop', "SELECT pg_drop_replication_slot('foreign')"), '', 'and drops them');
my @physical = ([ 'psql', '-XAtd', $node->connstr('postgres') . ' user=publisher replication=true', '-c', 'IDENTIFY_SYSTEM' ]);
$node->command_ok($physical[0], 'it connects for physical replication');
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');
open(my $handle, '>', $node->data_dir . '/pg_hba.conf');
print $handle "local shop publisher trust\nlocal all publisher reject\nlocal replication publisher reject\nhost all publisher all reject\nhost replication publisher all reject\n$hba";
close $handle;
$node->reload;
SKIP:
{
	skip 'this needs sockets of the local kind', 3 unless $PostgreSQL::Test::Utils::use_unix_sockets;
	wait_until('the rules count', sub { return as('publisher', 'other', 'SELECT 1') ne '1' });
	$node->command_fails_like($physical[0], qr/pg_hba.conf rejects replication connection/, 'unless pg_hba.conf rejects it');
	like(as('publisher', 'other', 'SELECT 1'), qr/pg_hba.conf rejects connection/, 'and other databases');
	unlike(streamed('publisher', 'p'), qr/denied|rejects/, 'with which it streams as ever');
}

# ---- SE-14: an endless mapping is cancelled, at COMMIT, too, where PostgreSQL has switched statement_timeout off (SECURITY.md says so).
$node->safe_psql('shop', q{
	CREATE FUNCTION endless(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
	BEGIN
		PERFORM set_config(name, '0', false) FROM pg_settings WHERE name ~ '^(statement|transaction)_timeout$';
		LOOP PERFORM pg_sleep(0.01); END LOOP;
	END $$;
	SELECT domev.create_event_type('endless', 'a'), domev.create_mapping('endless', 'endless', 'public.endless', 'open', timing => 'deferred', on_error => 'record');
	GRANT INSERT ON domev_event.endless TO app;
});
my $at_commit = q{FROM pg_stat_activity WHERE usename = 'app' AND state = 'active' AND query ~ '^COMMIT' AND wait_event = 'PgSleep'};
foreach my $way ('pg_cancel_backend', 'pg_terminate_backend')
{
	# from 17 on there is transaction_timeout, which a mapping can put off (it does)
	my $put_off = $way =~ /cancel/ && $node->pg_version >= 17;
	my @timeout = $put_off ? ('-c', q{SET transaction_timeout = '3 s'}) : ();    # from there on: a slow machine may take that long to get there
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-U', 'app', '-d', $node->connstr('shop'), '-c', 'BEGIN', '-c', q{SELECT domev.emit('endless', 1)}, @timeout, '-c', 'COMMIT' ],
		'>', \my $out, '2>', \my $err);

	wait_until('it is at its COMMIT', sub { return $node->safe_psql('shop', "SELECT count(*) $at_commit AND clock_timestamp() - query_start > '" . ($put_off ? 4 : 0) . " s'") });
	$node->safe_psql('shop', "SELECT $way(pid) FROM pg_stat_activity WHERE usename = 'app'");
	$psql->finish;
	like($err, $way =~ /cancel/ ? qr/canceling statement due to user request/ : qr/terminating connection due to administrator command/, "$way ends it");
}
is($node->safe_psql('shop', q{SELECT count(*) FROM domev.failed_mapping WHERE mapping = 'endless'}), 0, 'it is not recorded as a failure');
is($node->safe_psql('shop', q{SELECT count(*) FROM domev.outbox WHERE event_type = 'endless'}), 0, 'and its event is not there');

# ---- SE-4: connections that the session has open by dblink can be used by whatever runs in it, mappings included.
SKIP:
{
	skip 'there is no dblink here', 1 unless $node->safe_psql('shop', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'});
	$node->safe_psql('shop', q{
		GRANT INSERT ON domev_topic."in" TO mapper;
		CREATE EXTENSION dblink;
		CREATE TABLE canary (who name);
		CREATE FUNCTION by_dblink(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
			BEGIN PERFORM public.dblink_exec('mine', 'INSERT INTO public.canary VALUES (current_user)'); END $$;
		ALTER FUNCTION by_dblink OWNER TO mapper;
		SELECT domev.create_event_type('dblink', 'a');
		GRANT INSERT ON domev_event.dblink TO mapper;
		SELECT domev.create_mapping('dblink', 'dblink', 'public.by_dblink', 'in');
	});
	$node->psql('shop', sprintf(q{SELECT dblink_connect('mine', '%s'); SELECT domev.emit('dblink', 1)}, $node->connstr('shop') =~ s/'/''/gr));
	is($node->safe_psql('shop', 'SELECT who = session_user FROM canary'), 't', 'a connection that dblink has open is open to mappings: SECURITY.md says so');
}

$node->stop;
done_testing();
