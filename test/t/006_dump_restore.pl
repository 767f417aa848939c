# pg_dump keeps the registry, captures, failures and the claimed ids; the restored database goes on, and publishes nothing that was published.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('dump');
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/dump';

$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach (qw(new1 new2));
$node->safe_psql('old', q{
	CREATE EXTENSION domev;
	CREATE ROLE regress_mapper;
	CREATE SCHEMA mapper AUTHORIZATION regress_mapper;
	CREATE FUNCTION mapper.m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i')).*; END;
	ALTER FUNCTION mapper.m OWNER TO regress_mapper;
	SELECT domev.create_topic('t', 'internal'), domev.create_topic('o', storage => 'wal', description => 'others'),
		domev.create_event_type('e', 'a', 't'), domev.set_source('urn:x');
	GRANT INSERT ON domev_event.e, domev_topic.o TO regress_mapper;
	GRANT SELECT ON domev_topic.t TO regress_mapper WITH GRANT OPTION;
	SELECT domev.create_mapping('m', 'e', 'mapper.m', 'o', produces => '{i}');
	CREATE FUNCTION mapper.fails(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', to_jsonb(1 / (length((e).event_type) - 8)))).*; END;
	CREATE TABLE captured (id int PRIMARY KEY, v text, secret text);
	SELECT domev.create_event_type('captured', 'c', 't');
	SELECT domev.create_mapping('fails', 'captured', 'mapper.fails', 'o', on_error => 'record', timing => 'deferred');
	SELECT domev.create_capture('c', 'captured', 'insert', 'id', 'captured', $$NEW.v <> 'it''s \\ "none"'$$, ignore => '{secret}');
	SELECT domev.create_capture('off', 'captured', 'delete', 'id', 'captured', description => 'disabled');
	SELECT domev.alter_capture('off', enabled => false);
	INSERT INTO captured VALUES (1, 'x', 'y');
	SELECT domev.emit('e', 'old', event_id => '00000000-0000-0000-0000-000000000001');
});

# A slot in the new database, with the old server's plugin, before anything is restored into it.
$node->safe_psql('new1', q{SELECT pg_create_logical_replication_slot('new1', 'domev')});
$node->command_ok([ 'pg_dump', '-d', $node->connstr('old'), '-Fp', '-f', "$dump.1" ], 'dumped');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('new1'), '-f', "$dump.1" ], 'restored');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('new1'), '-Fc', '-f', "$dump.c" ], 'dumped again');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('new2'), "$dump.c" ], 'restored from the custom format');

my $registry = q{
	SELECT * FROM domev.topics; SELECT * FROM domev.event_types; SELECT * FROM domev.mappings;
	SELECT * FROM domev.source WHERE NOT initial; SELECT event_id FROM domev.idempotency; SELECT * FROM domev.captures ORDER BY capture;
	SELECT event_id, mapping, event, sqlstate, message, context, failed_at, attempts FROM domev.failed_mapping;
	SELECT relname, relkind, relacl, reloptions, pg_get_viewdef(oid), obj_description(oid) FROM pg_class
		WHERE relnamespace IN ('domev_event'::regnamespace, 'domev_topic'::regnamespace) ORDER BY 1;
	SELECT tgrelid::regclass, tgfoid::regproc, tgtype FROM pg_trigger WHERE tgname = 'emit_inserted' ORDER BY tgrelid::regclass::text};
foreach my $new (qw(new1 new2))
{
	is($node->safe_psql($new, $registry), $node->safe_psql('old', $registry), "$new: the same registry");
	is($node->safe_psql($new, 'SELECT source FROM domev.source WHERE initial'), "/$new", "$new: its own first source");
	isnt($node->safe_psql($new, 'SELECT key FROM domev.message_key'), $node->safe_psql('old', 'SELECT key FROM domev.message_key'), "$new: a key of its own");
	is($node->safe_psql($new, 'SELECT count(*) FROM domev.outbox'), '0', "$new: published events are not restored");
	$node->safe_psql($new, q{
		SELECT domev.emit('e', 'repeated', event_id => '00000000-0000-0000-0000-000000000001');
		INSERT INTO domev_event.e (aggregate_id) VALUES ('new');
		SET ROLE regress_mapper;
		SELECT domev.emit('e', 'by grant')});
	is($node->safe_psql($new, q{INSERT INTO captured VALUES (2, 'x', 'y'), (3, 'it''s \\ "none"', 'y'); DELETE FROM captured;
		SELECT aggregate_id, payload FROM domev.outbox WHERE event_type = 'captured';
		SELECT outcome, error FROM domev.remap('fails') LIMIT 1}),
		qq(2|{"after": {"v": "x", "id": 2}}\nfailed|22012: division by zero), "$new: captures capture, what failed can be tried again");
}
is(subjects(receive($node, 'new1', 'new1')), 'new new by grant by grant 2', 'what is emitted there is published, the command that was done is not repeated');

$node->stop;
done_testing();
