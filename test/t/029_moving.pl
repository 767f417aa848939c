# Dumped and restored in every form, the database goes on as it was, and publishes nothing that was published; so does a template copy; and of a
# dropped extension nothing is left.  test/move/run.sh does it from release to release.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('moving');
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/moving';
my $state = slurp_file('test/move/state.sql');
my $use = slurp_file('test/move/use.sql');

$node->safe_psql('postgres', slurp_file('test/move/roles.sql'));
$node->safe_psql('postgres', q{CREATE DATABASE shop TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
$node->safe_psql('shop', slurp_file('test/move/world.sql'));
my $old = $node->safe_psql('shop', $state);
my $sent = subjects(receive($node, 'shop', 'publisher'));

like($old, qr/^$_/m, "the state has $_")
	foreach ('domev\.topics .*\(fast,', 'domev\.failed_mapping .*22012', 'domev\.schemas .*order-placed', 'domev\.idempotency .*0001', 'capture \(documents,', 'view domev_topic\.orders: .*move_publisher SELECT t',
	'trigger domev_off on app\.orders: D');
is(scalar(split(' ', $sent)), 10, 'events were sent');

# Into a database that exists: empty; with what was restored before, which goes first.
sub restored
{
	my ($database, $what) = @_;

	is($node->safe_psql($database, $state), $old, "$what: all is there");
	is($node->safe_psql($database, 'SELECT count(*) FROM domev.outbox'), '0', "$what: but for events that were published");
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_logical_slot_get_changes('} . $database . q{', NULL, NULL)}), '0', "$what: nothing of it is an event");
	return;
}

sub goes_on
{
	my ($database, $what) = @_;

	$node->safe_psql($database, $use);
	is(subjects(receive($node, $database, $database)), '7 7 7000000 7000000 7 7000000', "$what: it goes on");
	return;
}

$node->command_ok([ 'pg_dump', '-d', $node->connstr('shop'), '-Fc', '-f', "$dump.custom" ], 'dumped in the custom format');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('shop'), '-Fd', '-f', "$dump.directory" ], 'as a directory');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('shop'), '--clean', '--if-exists', '-f', "$dump.clean" ], 'as SQL that drops first');
foreach my $database (qw(restored_custom restored_directory restored_clean))
{
	$node->safe_psql('postgres', qq{CREATE DATABASE $database TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
	$node->safe_psql($database, qq{SELECT pg_create_logical_replication_slot('$database', 'domev')});
}
my @psql = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored_custom'), "$dump.custom" ], 'restored from it');
restored('restored_custom', 'custom');
# In one step, pg_restore may make the trigger of a partitioned table before the rows of its last partition are there.
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', "--section=$_", '-d', $node->connstr('restored_directory'), "$dump.directory" ], "restored in parallel: $_")
	foreach (qw(pre-data data post-data));
restored('restored_directory', 'directory, in parallel');
$node->command_ok([ @psql, '-d', $node->connstr('restored_clean'), '-f', "$dump.clean" ], 'restored by psql');
restored('restored_clean', 'SQL');
$node->command_ok([ @psql, '-d', $node->connstr('restored_clean'), '-f', "$dump.clean" ], 'and once more over itself');
restored('restored_clean', 'SQL over itself');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--clean', '--if-exists', '-d', $node->connstr('restored_directory'), "$dump.directory" ], 'and the directory over itself');
restored('restored_directory', 'directory over itself');
goes_on($_, $_) foreach (qw(restored_custom restored_directory restored_clean));

# The application's tables alone do not restore without the extension; with it, captures come with them.
$node->command_ok([ 'pg_dump', '-d', $node->connstr('shop'), '-n', 'app', '-f', "$dump.app" ], 'one schema dumped');
$node->safe_psql('postgres', q{CREATE DATABASE app TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
my ($code, undef, $stderr) = $node->psql('app', slurp_file("$dump.app"), on_error_stop => 0);
like($stderr, qr/schema "domev" does not exist/, 'without the extension there are no captures');
is($node->safe_psql('app', q{SELECT count(*) FROM app.orders}), '2', 'but the rows');

# A copy of the files: source and key are as they were, its slots are its own, and nothing in it is an event.
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE shop');
is($node->safe_psql('copied', $state), $old, 'a template copy has all');
is($node->safe_psql('copied', 'TABLE domev.outbox ORDER BY event_id'), $node->safe_psql('shop', 'TABLE domev.outbox ORDER BY event_id'), 'also the outbox');
$node->safe_psql('copied', q{SELECT pg_create_logical_replication_slot('copied', 'domev')});
goes_on('copied', 'a template copy');
is(subjects(receive($node, 'shop', 'publisher')), '', 'what it emits, the old database does not send');

$node->safe_psql('postgres', q{CREATE DATABASE template_of_all TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
$node->safe_psql('template_of_all', 'CREATE EXTENSION domev');
$node->safe_psql('postgres', 'CREATE DATABASE made_of_it TEMPLATE template_of_all');
is($node->safe_psql('made_of_it', 'SELECT source FROM domev.source'), '/template_of_all', 'the first source is that of the template');

# DROP EXTENSION: nothing is left, of a restored one neither, and it can be made again.
my $left = q{
	SELECT 'schema', nspname FROM pg_namespace WHERE nspname ~ '^domev'
	UNION ALL SELECT 'trigger', tgname FROM pg_trigger WHERE tgname ~ '^domev_' OR tgfoid NOT IN (SELECT oid FROM pg_proc)
	UNION ALL SELECT 'function', proname FROM pg_proc WHERE probin ~ 'domev' OR proname ~ 'domev'
	UNION ALL SELECT 'dependency', pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend AS d
		WHERE d.refclassid = 'pg_class'::regclass AND NOT EXISTS (SELECT FROM pg_class WHERE oid = d.refobjid)
			OR d.refclassid = 'pg_proc'::regclass AND NOT EXISTS (SELECT FROM pg_proc WHERE oid = d.refobjid)
			OR d.refclassid = 'pg_namespace'::regclass AND NOT EXISTS (SELECT FROM pg_namespace WHERE oid = d.refobjid)
			OR d.refclassid = 'pg_extension'::regclass AND NOT EXISTS (SELECT FROM pg_extension WHERE oid = d.refobjid)};
isnt($node->safe_psql('shop', $left), '', 'while it is there, something is');
foreach my $database (qw(shop restored_clean copied))
{
	$node->safe_psql($database, q{CREATE VIEW app.reads AS SELECT aggregate_id FROM domev_topic.orders;
		SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots WHERE database = current_database();
		SET client_min_messages = warning; DROP EXTENSION domev CASCADE});
	is($node->safe_psql($database, $left), '', "$database: nothing is left");
	$node->safe_psql($database, q{INSERT INTO app.orders VALUES (8, 'without'); CREATE EXTENSION domev; DROP SCHEMA app, mapper CASCADE});
}
$node->safe_psql('shop', slurp_file('test/move/world.sql') =~ s/^(CREATE EXTENSION|SELECT pg_create_logical).*$//mgr);
# ids, times and attempts apart
my $mask = sub { return $_[0] =~ s/[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\d[T ][0-9:.+-]+//gr };
is($mask->($node->safe_psql('shop', $state)), $mask->($old), 'made again, it is as it was');
is(scalar(split(' ', subjects(receive($node, 'shop', 'publisher')))), 10, 'and sends as before');

$node->stop;
done_testing();
