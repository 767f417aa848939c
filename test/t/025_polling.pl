# Nothing is passed over by poll, whatever order transactions commit in: writers at work, readers beside them, each reader's
# rows compared with what the writers wrote down.  A reader by time, as one would write it by hand, is caught losing events.
# Events that a crash takes back are never polled.  On a standby there is no polling.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('polling');

$node->append_conf('postgresql.conf', "max_connections = 30\nlog_statement = none\n");
$node->restart;
$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
	SELECT domev.create_consumer('one', now()), domev.create_consumer('two', now());
	CREATE TABLE ledger (id uuid);
	CREATE TABLE received (n bigint GENERATED ALWAYS AS IDENTITY, reader text, id uuid, subject text, position text);
	CREATE TABLE over (xact_id xid8 DEFAULT pg_current_xact_id());

	-- until the writers are done and there is no more; while anybody who was there before the last of them is at work, there may be
	CREATE FUNCTION is_over() RETURNS boolean LANGUAGE sql AS
		$$ SELECT EXISTS (SELECT FROM over WHERE xact_id < pg_snapshot_xmin(pg_current_snapshot())) $$;
	CREATE PROCEDURE read_polled(consumer text, max int) LANGUAGE plpgsql AS $$
	DECLARE
		was_over boolean;
		last text;
	BEGIN
		LOOP
			was_over := is_over();
			WITH polled AS (
				INSERT INTO received (reader, id, subject, position)
				SELECT consumer, event_id, event->>'subject', position FROM domev.poll(consumer, max) RETURNING received.position
			) SELECT max(polled.position) FROM polled INTO last;
			PERFORM domev.ack(consumer, last);
			COMMIT;
			EXIT WHEN was_over AND last IS NULL;
		END LOOP;
	END $$;
	-- what is tempting, and wrong: later than the last one that was seen
	CREATE PROCEDURE read_by_time() LANGUAGE plpgsql AS $$
	DECLARE
		was_over boolean;
		last timestamptz := '-infinity';
		found_until timestamptz;
	BEGIN
		LOOP
			was_over := is_over();
			SELECT max(recorded_at) FROM domev.outbox WHERE recorded_at > last INTO found_until;
			EXIT WHEN was_over AND found_until IS NULL;
			INSERT INTO received (reader, id) SELECT 'time', event_id FROM domev.outbox WHERE recorded_at > last AND recorded_at <= found_until;
			last := coalesce(found_until, last);
			COMMIT;
		END LOOP;
	END $$;
});

# A transaction has 1 to 9 events, some before something that takes a while, some in a savepoint, some rolled back.
my $script = $PostgreSQL::Test::Utils::tmp_check . '/polling.sql';
append_to_file($script, q{
\set n random(1, 3)
\set slow random(1, 20000)
\set way random(1, 10)
BEGIN;
INSERT INTO ledger SELECT domev.emit('e', :client_id || '-' || i) FROM generate_series(1, :n) AS i;
SELECT count(*) FROM generate_series(1, :slow);
SAVEPOINT s;
INSERT INTO ledger SELECT domev.emit('e', :client_id || '-s' || i) FROM generate_series(1, :n) AS i;
\if :way < 4
ROLLBACK TO s;
\else
RELEASE s;
\endif
INSERT INTO ledger SELECT domev.emit('e', :client_id || '-l' || i) FROM generate_series(1, :n) AS i;
\if :way = 10
ROLLBACK;
\else
COMMIT;
\endif
});

sub start_reader
{
	my ($call) = @_;
	my ($out, $err) = ('', '');

	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $call ], '>', \$out, '2>', \$err);
}

sub write_events
{
	my ($transactions) = @_;

	$node->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', $transactions, '-f', $script, $node->connstr('postgres') ], 'the writers are done');
	return;
}

# What a reader lost, made up, and got twice.
sub verdict
{
	my ($reader) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT (SELECT count(*) FROM ledger WHERE id NOT IN (SELECT id FROM received WHERE reader = '$reader')) || ' lost, ' ||
			(SELECT count(*) FROM received WHERE reader = '$reader' AND id NOT IN (SELECT id FROM ledger)) || ' made up, ' ||
			(SELECT count(*) - count(DISTINCT id) FROM received WHERE reader = '$reader') || ' twice'});
}

# One that writes first and commits last.
my ($late_in, $late_out, $late_err) = ("BEGIN; INSERT INTO ledger SELECT domev.emit('e', 'late'); SELECT 'written';\n", '', '');
my $late = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ], '<', \$late_in, '>', \$late_out, '2>', \$late_err);
$late->pump until $late_out =~ /written/;

my @readers = map { start_reader($_) } "CALL read_polled('one', 50);", "CALL read_polled('two', 1000);", 'CALL read_by_time();';
write_events(100);
wait_until('the reader by time is at work', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM received WHERE reader = 'time'}) > 0 });
is($node->safe_psql('postgres', q{SELECT count(*) FROM received WHERE reader <> 'time'}), '0', 'poll waits for the one that is late');
$late_in .= "COMMIT;\n\\q\n";
$late->finish or die $late_err;
write_events(400);
$node->safe_psql('postgres', 'INSERT INTO over DEFAULT VALUES');
ok($_->finish, 'a reader ends without an error') foreach @readers;

my $events = $node->safe_psql('postgres', 'SELECT count(*) FROM ledger');
cmp_ok($events, '>', 15000, "events: $events");
is(verdict('one'), '0 lost, 0 made up, 0 twice', 'fifty at a time');
is(verdict('two'), '0 lost, 0 made up, 0 twice', 'a thousand at a time');
unlike(verdict('time'), qr/^0 lost/, 'by time: ' . verdict('time'));
foreach my $reader ('one', 'two')
{
	is( $node->safe_psql('postgres', qq{SELECT count(*) FROM (SELECT position, lag(position) OVER (ORDER BY n) AS before FROM received WHERE reader = '$reader') AS r
		WHERE position <= before}), '0', "$reader: positions rise");
	is( $node->safe_psql('postgres', qq{SELECT count(*) FROM received AS r JOIN domev.outbox AS o ON o.event_id = r.id
		WHERE reader = '$reader' AND r.position <> upper(lpad(to_hex(o.xact_id::text::bigint), 16, '0')) || right(r.position, 17)}), '0', "$reader: by transactions");
}

# A transaction that does not wait for its WAL is over before that is safe: what was polled of it survives a crash all the same.
# The WAL writer, which would make it safe at once, is stopped.
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->restart;
$node->safe_psql('postgres', 'CHECKPOINT');
kill 'STOP', $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
$node->safe_psql('postgres', q{SET synchronous_commit = off; SELECT domev.emit('e', 'not waited for')});
my $polled = $node->safe_psql('postgres', q{SELECT event_id FROM domev.poll('one')});
$node->stop('immediate');
$node->start;
isnt($polled, '', 'polled');
is($node->safe_psql('postgres', q{SELECT event_id FROM domev.poll('one')}), $polled, 'still there after a crash');

# A standby, and its promotion.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('polling_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
foreach my $call ("poll('one')", "ack('one', NULL)", "receive('one', 'x')")
{
	my ($code, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSELECT domev.$call");

	like($err, qr/25006: .*domev\.\w+\(\) during recovery/, "$call is refused on a standby");
}
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'before the failover')});
$node->wait_for_catchup($standby);
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', q{SELECT domev.emit('e', 'after it')});
is( $standby->safe_psql('postgres', q{SELECT string_agg(event->>'subject', ', ') FROM domev.poll('one')}), 'not waited for, before the failover, after it', 'and goes on after a failover');

$standby->stop;
done_testing();
