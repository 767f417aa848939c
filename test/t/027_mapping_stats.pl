# domev.mapping_stats counts each run of a mapping once, whatever becomes of its transaction, in each database by itself.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('counted');
my $needs_preload = $node->pg_version < 17;
my $setup = q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', jsonb_build_object('inverse', 1 / (e.payload->>'n')::int))).*; END;
	CREATE FUNCTION slow(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
		AS $$ BEGIN PERFORM pg_sleep(0.05); END $$;
	SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_mapping('m', 'e', 'public.m', 't', on_error => 'record'),
		domev.create_event_type('waits', 'a'), domev.create_mapping('slow', 'waits', 'public.slow', 't'),
		domev.create_event_type('late', 'a'), domev.create_mapping('deferred', 'late', 'public.m', 't', 'deferred'),
		domev.create_event_type('strict', 'a'), domev.create_mapping('strict', 'strict', 'public.m', 't');
};

sub stats
{
	my ($where, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		"SELECT mapping, calls, failures FROM domev.mapping_stats WHERE " . ($where // 'true') . ' ORDER BY mapping') =~ s/\n/ /gr;
}

sub diagnosis
{
	return $node->safe_psql('postgres', q{SELECT status, what FROM domev.doctor() WHERE check_name = 'mapping_stats'});
}

$node->safe_psql('postgres', $setup);
if ($needs_preload)
{
	$node->safe_psql('postgres', q{SELECT domev.emit('e', '1', '{"n": 1}')});
	is(stats(), '', 'not counted when the library is not loaded with the server');
	is(diagnosis(), 'ok|runs of mappings are not counted', 'and the doctor says so');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'domev'\n");
	$node->restart;
}
is(diagnosis(), 'ok|runs of mappings are counted', 'counted');
is(stats(), '', 'nothing yet');

# What counts.
$node->safe_psql('postgres', q{SELECT count(domev.emit('e', i::text, jsonb_build_object('n', i % 5))) FROM generate_series(1, 10) AS i});
is(stats(), 'm|10|2', 'calls and failures, in one statement');
$node->safe_psql('postgres', q{BEGIN; SELECT domev.emit('e', '1', '{"n": 1}'); ROLLBACK});
is(stats(), 'm|11|2', 'a rolled back transaction counts');
$node->psql('postgres', q{SELECT domev.emit('strict', '1', '{"n": 0}')});
is(stats("mapping = 'strict'"), 'strict|1|1', 'an error that is raised counts');
$node->psql('postgres', q{BEGIN; SELECT domev.emit('late', '1', '{"n": 0}'); COMMIT});
$node->safe_psql('postgres', q{SELECT domev.emit('late', '1', '{"n": 1}')});
is(stats("mapping = 'deferred'"), 'deferred|2|1', 'a deferred one, at COMMIT, in sessions that had run none');
$node->safe_psql('postgres', q{SELECT domev.remap('m')});
is(stats("mapping = 'm'"), 'm|13|4', 'remap counts');
$node->safe_psql('postgres', q{SELECT domev.preview('e', '1', '{"n": 1}')});
is(stats("mapping = 'm'"), 'm|14|4', 'preview counts');

# Time.
$node->safe_psql('postgres', q{SELECT domev.emit('waits', '1') FROM generate_series(1, 3)});
is($node->safe_psql('postgres', q{SELECT calls, total_time >= 150, max_time BETWEEN 50 AND total_time, mean_time = total_time / calls,
	since <= last_call + interval '1 min', last_call <= now() FROM domev.mapping_stats WHERE mapping = 'slow'}), '3|t|t|t|t|t', 'times');

# Each database by itself; only superusers start anew, and sessions that have counted notice.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', $setup);
$node->safe_psql('other', q{SELECT domev.emit('e', '1', '{"n": 1}')});
is(stats(undef, 'other'), 'm|1|0', 'another database');
my $session = $node->background_psql('postgres');
$session->query_safe(q{SELECT domev.emit('e', '1', '{"n": 1}')});
is(stats("mapping = 'm'"), 'm|15|4', 'another session');
$node->safe_psql('postgres', 'SELECT domev.reset_mapping_stats()');
is(stats(), '', 'reset');
is(stats(undef, 'other'), 'm|1|0', 'not the other database');
$session->query_safe(q{SELECT domev.emit('e', '1', '{"n": 1}')});
is(stats(), 'm|1|0', 'the session counts on');
$session->query_safe(q{SET domev.track_mappings = off});
$session->query_safe(q{SELECT domev.emit('e', '1', '{"n": 1}')});
is(stats(), 'm|1|0', 'not with domev.track_mappings off');
$session->quit;
$node->safe_psql('postgres', q{SELECT domev.drop_mapping('m')});
is(stats(), '', 'a mapping that is dropped is not shown');
is($node->safe_psql('postgres', 'SELECT count(*) FROM domev.read_mapping_stats()'), '1', 'though it is remembered');
$node->safe_psql('postgres', q{SELECT domev.create_mapping('m', 'e', 'public.m', 't', on_error => 'record')});

# For all to read.
$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN');
is($node->safe_psql('postgres', 'SET ROLE plain; SELECT mapping, calls FROM domev.mapping_stats'), 'm|1', 'a plain role reads');
foreach my $forbidden ('SELECT domev.reset_mapping_stats()', 'SET domev.track_mappings = off')
{
	my ($status) = $node->psql('postgres', "SET ROLE plain; SELECT count(*) FROM domev.doctor(); $forbidden");
	isnt($status, 0, "but may not: $forbidden");
}

# Sessions at once: none is lost.
$node->safe_psql('postgres', 'SELECT domev.reset_mapping_stats()');
my @sessions = map { start_psql($node, q{SELECT count(domev.emit('e', i::text, jsonb_build_object('n', i % 2))) FROM generate_series(1, 1000) AS i}) } (1 .. 6);
$_->finish foreach @sessions;
is(stats(), 'm|6000|3000', 'six sessions at once');

# A crash: counted anew.
$node->stop('immediate');
$node->start;
is(stats(), '', 'after a crash nothing');
$node->safe_psql('postgres', q{SELECT domev.emit('e', '1', '{"n": 1}')});
is(stats(), 'm|1|0', 'and counted again');

$node->stop;
done_testing();
