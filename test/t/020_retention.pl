# Retention while events are written and streamed: partitions come, and go when they are read, and nothing is lost, nor comes twice.  A slot that
# nobody reads, one that the server has given up, and a database that was restored.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $partitions = $ENV{DOMEV_PARTITIONS} // 6;    # so many are dropped
my $node = new_server('retention', '--wal-segsize=1');
my $file = $PostgreSQL::Test::Utils::tmp_check . '/retention.out';

$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
	SELECT pg_create_logical_replication_slot('s', 'domev');
	CREATE TABLE ledger (event_id uuid);
	CREATE TABLE enough ();
	CREATE PROCEDURE write_until_enough(writer int) LANGUAGE plpgsql AS $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM enough) LOOP
			INSERT INTO ledger SELECT domev.emit('e', writer::text, json_build_object('i', i)::jsonb) FROM generate_series(1, 1 + (random() * 3)::int) AS i;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
			PERFORM pg_sleep(0.001);
		END LOOP;
	END $$;
	-- as maintain makes them, but of a second each, so that they become old; and one for the rest of the day, or the default partition would
	-- have new rows again on a machine that is so slow that the seconds end before all has happened
	CREATE FUNCTION make_seconds(n int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		start timestamptz;
		tomorrow timestamptz;
		bound timestamptz;
		name text;
	BEGIN
		LOCK TABLE domev.outbox; -- before the time is looked at: no row of the first second is to be in the default partition by then
		start := date_trunc('second', clock_timestamp()) + interval '1 second';
		tomorrow := date_trunc('day', start) + interval '1 day';
		FOR i IN 0 .. n LOOP
			name := format('domev.second_%s', extract(epoch FROM start)::bigint + i);
			bound := CASE WHEN i < n THEN start + (i + 1) * interval '1 second' ELSE tomorrow END;
			EXECUTE format('CREATE TABLE %s (LIKE domev.outbox)', name);
			EXECUTE format('ALTER TABLE domev.outbox ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', name, start + i * interval '1 second', bound);
			EXECUTE format('ALTER EXTENSION domev ADD TABLE %s', name);
		END LOOP;
	END $$;
	SELECT domev.set_retention(keep => '1 second');
});

# What maintain did, a line "action|object|detail" each, and what it warned of.
sub maintain
{
	my ($out, $err);

	# so that slots that are read move on
	$node->psql('postgres', q{CHECKPOINT; SELECT * FROM domev.maintain()}, stdout => \$out, stderr => \$err, on_error_stop => 1);
	return "$out\n$err";
}

sub count
{
	my ($what) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) FROM $what");
}

# ---------------------------------------------------------------------------------------------------------------------
# Streaming
# ---------------------------------------------------------------------------------------------------------------------

my ($out, $err) = ('', '');
my $client = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 's', '--start', '--no-loop', '-f', $file, '-F', '1', '-s', '1' ], '>', \$out, '2>', \$err);
my @writers = map { IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "CALL write_until_enough($_)" ], '>', \$out, '2>', \$err) } (1 .. 3);
wait_until('there are events', sub { count('ledger') > 100 });

# The seconds must not run into tomorrow, which will have its partition.
wait_until('midnight is far or over', sub { $node->safe_psql('postgres', 'SELECT extract(day FROM now()) = extract(day FROM now() + ' . (10 * $partitions + 60) . " * interval '1 second')") eq 't' });

# The first ones are in the default partition; which is made empty when others have come, and these are old.  A writer that does not
# get on for a moment keeps its lock from maintain.
my $made = '';
wait_until('partitions are made', sub { $made .= maintain(); return $made =~ /^made\|/m; });
is(() = $made =~ /^made\|/mg, 3, 'partitions for days to come') or diag($made);
$node->safe_psql('postgres', 'SELECT make_seconds(' . (10 * $partitions) . ')');
my $done = '';
wait_until('partitions were dropped', sub { $done .= maintain(); return (() = $done =~ /^dropped\|/mg) >= $partitions && $done =~ /^pruned\|domev\.outbox_default\|all rows$/m; });
$node->safe_psql('postgres', 'INSERT INTO enough DEFAULT VALUES');
$_->finish foreach @writers;
unlike($err, qr/ERROR|FATAL/, 'no writer had an error');
my $events = count('ledger');
wait_until('all was received', sub { my @lines = split("\n", slurp_file($file)); return @lines >= $events; });
wait_until('most rows are gone', sub { $done .= maintain(); return count('domev.outbox') < $events / 2; });
$client->signal('INT');
$client->finish;

my @received = slurp_file($file) =~ /"id":"([^"]*)"/g;
my %times;
$times{$_}++ foreach @received;
my @ledger = split("\n", $node->safe_psql('postgres', 'SELECT event_id FROM ledger'));
is(scalar(grep { !$times{$_} } @ledger), 0, 'nothing was lost');
is(scalar(grep { $_ > 1 } values %times), 0, 'nothing came twice');
is(scalar(@received), scalar(@ledger), 'nor anything else');
my @sequence = slurp_file($file) =~ /"sequence":"([^"]*)"/g;
is(join("\n", @sequence), join("\n", sort @sequence), 'in order');
note("$events events, " . (() = $done =~ /^dropped\|/mg) . ' partitions dropped, ' . (() = $done =~ /^postponed\|/mg) . ' times postponed, ' . (() = $done =~ /^kept\|/mg) . ' times kept');

# ---------------------------------------------------------------------------------------------------------------------
# Slots that hold
# ---------------------------------------------------------------------------------------------------------------------

# Of days long ago: 100 events each.
sub put
{
	my ($name, $day) = @_;

	$node->safe_psql('postgres', qq{
		CREATE TABLE domev.$name PARTITION OF domev.outbox FOR VALUES FROM ('$day') TO ('$day'::date + 1);
		ALTER EXTENSION domev ADD TABLE domev.$name;
		INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, occurred_at)
		SELECT gen_random_uuid(), '$day', pg_current_xact_id(), 't', 'e', 'a', '$name', now() FROM generate_series(1, 100);
	});
	return;
}

# The partition is kept, for whom?
sub kept
{
	my ($name) = @_;

	return maintain() =~ /^kept\|domev\.$name\|not confirmed by (.*)$/m ? $1 : '';
}

put('first', '2001-01-01');
is(kept('first'), 'slot "s"', 'kept for the slot');
wait_until('it has confirmed', sub { receive($node, 'postgres', 's'); return kept('first') eq ''; });
is($node->safe_psql('postgres', q{SELECT to_regclass('domev.first')}), '', 'what it has read is gone');
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('dead', 'domev')});
put('second', '2002-01-01');
is(kept('second'), 'slot "dead", slot "s"', 'kept for both');
wait_until('the one that is read has confirmed', sub { receive($node, 'postgres', 's'); return kept('second') eq 'slot "dead"'; });

# max_keep wins; the slot has the WAL.
$node->safe_psql('postgres', q{SELECT domev.set_retention(max_keep => now() - '2002-06-01')});
like(maintain(), qr/^dropped\|domev\.second\|.*WARNING:  events in domev\.second were older than max_keep and are gone.*Not confirmed by slot "dead"\./ms, 'dropped, with a warning that names the slot');
is(subjects(receive($node, 'postgres', 'dead')), join(' ', ('second') x 100), 'which still gets what it has not read, once');

# One that the server gives up: nobody else but the outbox has what it did not deliver.
put('third', '2003-01-01');
$node->append_conf('postgresql.conf', 'max_slot_wal_keep_size = 1MB');
$node->reload;
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('s')});
wait_until('the slot is lost', sub {
	$node->safe_psql('postgres', 'SELECT pg_switch_wal(); CREATE TABLE x (); DROP TABLE x');
	$node->safe_psql('postgres', 'CHECKPOINT');
	return $node->safe_psql('postgres', q{SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'dead'}) eq 'lost';
});
is(kept('third'), 'slot "dead" (lost)', 'kept for a lost slot');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('dead')});
like(maintain(), qr/^dropped\|domev\.third\|/m, 'without it, it goes');

# ---------------------------------------------------------------------------------------------------------------------
# The default partition is not read under its lock
# ---------------------------------------------------------------------------------------------------------------------

my $logged = -s $node->logfile;
$node->safe_psql('postgres', q{SELECT domev.set_retention(ahead => 4)});
$node->safe_psql('postgres', q{SET log_min_messages = debug1; SELECT * FROM domev.maintain()});
my $log = substr(slurp_file($node->logfile), $logged);
like($log, qr/updated partition constraint for default partition "outbox_default" is implied by existing constraints/, 'PostgreSQL believes what the index says');
unlike($log, qr/verifying table "outbox_default"|updated partition constraint for default partition "outbox_default" would be violated/, 'and does not read the default partition');

# ---------------------------------------------------------------------------------------------------------------------
# Dump and restore
# ---------------------------------------------------------------------------------------------------------------------

my $dump = $PostgreSQL::Test::Utils::tmp_check . '/retention.dump';
my $settings = 'SELECT * FROM domev.retention';
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'dumped');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restored');
is($node->safe_psql('restored', $settings), $node->safe_psql('postgres', $settings), 'retention is as it was');
is($node->safe_psql('restored', q{SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'domev.outbox'::regclass}), 'domev.outbox_default', 'partitions are not');
is(() = $node->safe_psql('restored', 'SELECT * FROM domev.maintain()') =~ /^made\|/mg, 4, 'they are made');
$node->safe_psql('restored', 'DROP EXTENSION domev CASCADE');
is($node->safe_psql('restored', q{SELECT count(*) FROM pg_class WHERE relname ~ '^outbox'}), '0', 'and dropped with the extension');

$node->stop;
done_testing();
