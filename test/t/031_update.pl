# An extension that was updated from an earlier version is the same as one that was made anew, as the catalogs have it, and what was emitted before and
# not yet read is published by the new one.  The versions are those that the server has; as long as there is one only, that the
# comparison finds what differs.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('update');
my $catalogs = slurp_file('test/move/catalogs.sql');

$node->safe_psql('postgres', 'CREATE EXTENSION domev');
my $fresh = $node->safe_psql('postgres', $catalogs);
my ($lines) = scalar(() = $fresh =~ /^\w/mg);
cmp_ok($lines, '>=', 200, 'things of a fresh extension');

my @earlier = split("\n", $node->safe_psql('postgres', q{SELECT source FROM pg_extension_update_paths('domev')
	WHERE target = (SELECT default_version FROM pg_available_extensions WHERE name = 'domev') AND path IS NOT NULL
		AND source IN (SELECT version FROM pg_available_extension_versions WHERE name = 'domev') ORDER BY 1}));
diag('there is no earlier version of domev to update from') if !@earlier;
foreach my $version (@earlier)
{
	my $database = 'from_' . ($version =~ tr/a-zA-Z0-9/_/cr);

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, qq{CREATE EXTENSION domev VERSION '$version'});
	$node->safe_psql($database, qq{SELECT pg_create_logical_replication_slot('$database', 'domev')});
	$node->safe_psql($database, q{SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', 'internal', 'wal'), domev.create_event_type('e', 'a', 't'),
		domev.create_event_type('f', 'a', 'w')});
	$node->safe_psql($database, q{SELECT domev.emit('e', 'row'); SELECT domev.emit('f', 'message')});
	$node->safe_psql($database, 'ALTER EXTENSION domev UPDATE');
	$node->safe_psql($database, q{SELECT domev.emit('e', 'new row'); SELECT domev.emit('f', 'new message')});
	is(subjects(receive($node, $database, $database)), 'row message new row new message', "$version: what was unread is published, and what came then");
	is($node->safe_psql($database, $catalogs), $fresh, "$version: updated, it is as a fresh one");
}

# The comparison itself: the same twice, and each thing that is changed is seen.
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->safe_psql('again', 'CREATE EXTENSION domev');
is($node->safe_psql('again', $catalogs), $fresh, 'two fresh ones are the same');
$node->safe_psql('postgres', 'CREATE ROLE regress_update');
foreach my $change (
	'ALTER TABLE domev.topics ADD more text', 'ALTER TABLE domev.topics ALTER description SET NOT NULL', q{ALTER TABLE domev.mappings ALTER enabled SET DEFAULT false},
	'ALTER TABLE domev.source ALTER source SET STORAGE EXTENDED', 'ALTER TABLE domev.topics RESET (user_catalog_table)', 'DROP INDEX domev.mappings_topic',
	'ALTER TABLE domev.topics DISABLE TRIGGER invalidate_registry', 'DROP TRIGGER map_deferred ON domev.deferred', 'ALTER TABLE domev.message_key DISABLE ROW LEVEL SECURITY',
	'ALTER FUNCTION domev.emit(text, text, jsonb, jsonb, bigint, uuid, timestamptz) STABLE', 'REVOKE EXECUTE ON FUNCTION domev.trace FROM PUBLIC', 'GRANT SELECT ON domev.outbox TO PUBLIC',
	'GRANT SELECT (topic) ON domev.topics TO regress_update', 'COMMENT ON FUNCTION domev.heartbeat() IS NULL', q{COMMENT ON COLUMN domev.outbox.topic IS 'x'}, 'ALTER TABLE domev.idempotency OWNER TO regress_update',
	'ALTER EXTENSION domev DROP FUNCTION domev.heartbeat()', 'CREATE TABLE domev.stray ()', q{UPDATE pg_extension SET extconfig = extconfig[2:], extcondition = extcondition[2:] WHERE extname = 'domev'},
	q{DELETE FROM pg_init_privs WHERE objoid = 'domev.topics'::regclass}, 'ALTER TABLE domev.topics DROP CONSTRAINT topics_scope_check',
	'ALTER VIEW domev.captures SET (security_barrier)', 'ALTER TYPE domev.remapped_event ADD ATTRIBUTE more text',
)
{
	isnt($node->safe_psql('again', "SET client_min_messages = warning; BEGIN; $change; $catalogs; ROLLBACK"), $fresh, "seen: " . substr($change, 0, 80));
}

$node->stop;
done_testing();
