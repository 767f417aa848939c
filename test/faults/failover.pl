# Many failovers under load: what does the consumer have, beside what the tables of the new primary say?
#
# Writers emit, with a row of a ledger in each transaction; a consumer reads a failover slot.  At a random moment the primary dies, in two
# of three rounds a while after the standby has ceased to receive.  The standby is promoted, the dead server becomes its standby by a base
# backup, the consumer moves, and has to have what is in the ledger, and nothing else.  Then the next round.  Run it by failover.sh, whose
# arguments come as DOMEV_ROUNDS, DOMEV_SEED and DOMEV_SYNCHRONIZED (0: the negative control, which has to find phantoms).
use strict;
use warnings;

use File::Path qw(rmtree);
use FindBin;
use lib "$FindBin::RealBin/../t";
use DomevStandby;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{DOMEV_ROUNDS} // 2;
my $seed = $ENV{DOMEV_SEED} // 1;
my $synchronized = $ENV{DOMEV_SYNCHRONIZED} // 1;
my $aggregates = 20;
my ($primary, $standby) = (new_server('a'), PostgreSQL::Test::Cluster->new('b'));

# By id: what the consumer has received, and what was found wrong in an earlier round.
my (%received, %known);
my %version;         # of each aggregate, the last that was received
my $sequence = '';   # the last that was received
my $text_before = '';

srand($seed);
note("seed $seed, $rounds rounds, synchronized_standby_slots " . ($synchronized ? 'set' : 'not set'));

# ---------------------------------------------------------------------------------------------------------------------
# Servers
# ---------------------------------------------------------------------------------------------------------------------

# On both alike: each has a slot "standby" for the other one when it is the primary.
sub make_primary
{
	$primary->append_conf('postgresql.conf', join("\n", 'autovacuum = off', 'sync_replication_slots = on', 'hot_standby_feedback = on',
		"primary_slot_name = 'standby'", $synchronized ? "synchronized_standby_slots = 'standby'" : '', ''));
	$primary->reload;
	$primary->safe_psql('postgres', qq{
		CREATE EXTENSION domev;
		SELECT domev.create_topic('rows', 'internal'), domev.create_topic('messages', 'internal', 'wal'),
			domev.create_event_type('row', 'a', 'rows'), domev.create_event_type('message', 'a', 'messages');
		CREATE TABLE aggregates (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
		INSERT INTO aggregates SELECT generate_series(0, $aggregates);
		CREATE TABLE ledger (event_id uuid);
		CREATE FUNCTION happen(type text, aggregate int, size int) RETURNS uuid LANGUAGE plpgsql AS \$\$
		DECLARE
			v bigint;
			event uuid;
		BEGIN
			UPDATE aggregates SET version = version + 1 WHERE id = aggregate RETURNING version INTO v;
			event := domev.emit(type, aggregate, to_jsonb(repeat('x', size)), aggregate_version => v);
			INSERT INTO ledger VALUES (event);
			RETURN event;
		END \$\$;
		SELECT pg_create_logical_replication_slot('consumer', 'domev', failover => true);
	});
	return;
}

# The other server becomes a standby of the present primary.
sub rebuild_standby
{
	rmtree($standby->data_dir);
	run_log([ 'pg_basebackup', '-d', $primary->connstr('postgres'), '-D', $standby->data_dir, '--checkpoint=fast', '--no-sync',
			'--create-slot', '--slot=standby' ]) or BAIL_OUT('no base backup');
	$standby->append_conf('postgresql.conf',
		sprintf("port = %d\nprimary_conninfo = '%s'\n", $standby->port, $primary->connstr('postgres') =~ s/'/''/gr));
	$standby->set_standby_mode;
	$standby->start;
	return;
}

# It would come by itself, but PostgreSQL takes its time: for the record that the slot needs to move on, and to look at it again.
sub wait_for_slot_on_standby
{
	wait_until('the slot is synchronized', sub {
		$primary->safe_psql('postgres', 'SELECT pg_log_standby_snapshot()');
		return $standby->safe_psql('postgres',
			q{SELECT pg_reload_conf(), count(*) FROM pg_replication_slots WHERE failover AND synced AND NOT temporary}) eq 't|1';
	});
	return;
}

# The server and all its processes, at once.
sub kill_all
{
	my ($node) = @_;
	my $postmaster = (split("\n", slurp_file($node->data_dir . '/postmaster.pid')))[0];

	kill('STOP', $postmaster);    # it starts no others
	my @children = grep { (slurp_stat($_)->[1] // 0) == $postmaster } map { m{^/proc/(\d+)$} } glob('/proc/[0-9]*');
	kill('KILL', @children);
	$node->kill9;
	wait_until('all of its processes are gone', sub { !grep { slurp_stat($_)->[0] ne 'Z' } ($postmaster, @children) });
	return;
}

# State and parent of a process.
sub slurp_stat
{
	my ($pid) = @_;

	open(my $stat, '<', "/proc/$pid/stat") or return [ 'Z' ];
	return [ (<$stat> // '') =~ /\) (\S) (\d+) / ];
}

# ---------------------------------------------------------------------------------------------------------------------
# Load and consumer
# ---------------------------------------------------------------------------------------------------------------------

# Transactions of an aggregate each, by weight; ONE and OTHER are the event types.
my %transactions = (
	'SELECT happen(ONE, :a, :size);' => 50,
	'BEGIN; SELECT happen(ONE, :a, 10); SELECT happen(OTHER, :a, 10); SELECT happen(ONE, :a, :size); COMMIT;' => 20,
	'BEGIN; SELECT happen(ONE, :a, 10); SAVEPOINT s; SELECT happen(OTHER, :a, 10); ROLLBACK TO s; SELECT happen(ONE, :a, 10); COMMIT;' => 15,
	'BEGIN; SELECT happen(ONE, :a, :size); ROLLBACK;' => 10,
	'SELECT count(happen(ONE, :a, 10)) FROM generate_series(1, 50);' => 1);

sub start_load
{
	my ($node) = @_;
	my @files;

	foreach my $sql (sort keys %transactions)
	{
		my $file = sprintf('%s/load%d.sql', $PostgreSQL::Test::Utils::tmp_check, scalar(@files));
		my $text = $sql =~ s/ONE/(ARRAY['row', 'message'])[:n]/gr =~ s/OTHER/(ARRAY['message', 'row'])[:n]/gr =~ s/; /;\n/gr;

		open(my $script, '>', $file) or die "cannot write $file: $!";
		print $script "\\set a random(1, $aggregates)\n\\set size random_exponential(1, 20000, 5)\n\\set n random(1, 2)\n$text\n";
		close($script);
		push @files, '-f', "$file\@$transactions{$sql}";
	}
	return IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-R', 500, '-T', 600, '--random-seed=' . int(rand(2**31)), @files,
			$node->connstr('postgres') ], '<', \undef, '>', \my $out, '2>', \my $err);
}

# Its file is its own.
sub connect_consumer
{
	return { taken => 0, %{ start_client($primary, 'consumer', "after-$_[0]", '--no-loop') } };
}

# What has arrived since this was asked the last time.
sub fresh
{
	my ($client) = @_;
	my $text = substr(received($client), $client->{taken});

	$client->{taken} += length($text);
	return $text;
}

sub size
{
	my ($client) = @_;

	return -s $client->{file} // 0;
}

# ---------------------------------------------------------------------------------------------------------------------
# One round
# ---------------------------------------------------------------------------------------------------------------------

# The standby does not receive any more, in two of three rounds; returns what makes it go on, and what it was.
sub cut_off
{
	my ($round) = @_;

	if ($round % 3 == 1)
	{
		$standby->stop('immediate');
		return (sub { $standby->start }, 'the standby was down');
	}
	elsif ($round % 3 == 2)
	{
		my $receiver = $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');

		kill('STOP', $receiver) if $receiver ne '';
		return (sub { kill('CONT', $receiver) if $receiver ne '' }, 'the standby did not read');
	}
	return (sub { }, 'the standby was well');
}

# Under load, until the primary is dead and the standby promoted; returns what happened.
sub fail_over
{
	my ($round, $client) = @_;
	my $load = start_load($primary);

	wait_for_slot_on_standby();
	my $size = size($client);
	wait_until('the consumer receives', sub { size($client) > $size + 100_000 });
	sleep(rand(0.3));    # any moment is as good as another
	my ($go_on, $how) = cut_off($round);
	sleep(0.2 + rand(1));
	my $committed = $primary->safe_psql('postgres', 'SELECT count(*) FROM ledger');
	my $death = rand() < 0.7 ? 'kill -9' : 'immediate stop';
	$death eq 'kill -9' ? kill_all($primary) : $primary->stop('immediate');
	$_->finish foreach ($load, $client->{run});
	$go_on->();
	$standby->promote;
	($primary, $standby) = ($standby, $primary);
	my $lost = $committed - $primary->safe_psql('postgres', 'SELECT count(*) FROM ledger');
	return ("$death, $how", $lost > 0 ? $lost : 0);
}

# All that is on the primary is with the consumer.
sub drain
{
	my ($client) = @_;
	my $marker = $primary->safe_psql('postgres', q{SELECT happen('row', 0, 0)});

	wait_until('the consumer has all', sub { received($client) =~ /"id":"$marker"[^\n]*"endoftransaction":true/ });
	return;
}

# What arrived is taken up; returns how many events there were, and how many of the first ones were out of order.
sub take
{
	my ($text) = @_;
	my ($all, $disorder) = (0, 0);

	foreach my $event (events($text))
	{
		my ($aggregate, $version) = $event->{line} =~ /"subject":"(\d+)".*"aggregateversion":"(\d+)"/ or die "not of the load: $event->{line}";
		my $place = "$event->{transaction}.$event->{index}";

		$all++;
		next if $received{ $event->{id} }++;
		$disorder++ if $version <= ($version{$aggregate} // 0) || $place le $sequence;
		($version{$aggregate}, $sequence) = ($version, $place);
	}
	return ($all, $disorder);
}

# Compares with the ledger; what was wrong before is not counted again.
sub compare
{
	my %ledger = map { $_ => 1 } split("\n", $primary->safe_psql('postgres', 'SELECT event_id FROM ledger'));
	my @lost = grep { !$received{$_} && !$known{$_}++ } keys %ledger;
	my @phantom = grep { !$ledger{$_} && !$known{$_}++ } keys %received;

	return (scalar(keys %ledger), scalar(@lost), scalar(@phantom));
}

# A failover, and whether the consumer has what it must have; returns the consumer of now, and figures.
sub play
{
	my ($round, $client) = @_;
	my ($how, $gone) = fail_over($round, $client);

	rebuild_standby();
	my $next = connect_consumer($round);
	drain($next);
	my $text = fresh($client) . fresh($next);
	my ($arrived, $order) = take($text);
	my ($events, $lost, $phantom) = compare();
	my $broken = broken_repeats($text_before . $text);
	$text_before = $text;

	note("round $round: $how; $gone events lost with the primary; $events in the ledger; $arrived arrived;"
		. " lost $lost, phantom $phantom, order $order");
	note($broken) if $synchronized && $broken ne '';
	return ($next, { gone => $gone, events => $events, arrived => $arrived, lost => $lost, phantom => $phantom, order => $order,
			broken => $broken ne '' });
}

# ---------------------------------------------------------------------------------------------------------------------
# All of them
# ---------------------------------------------------------------------------------------------------------------------

make_primary();
rebuild_standby();
my $client = connect_consumer(0);
my %sum;
foreach my $round (1 .. $rounds)
{
	($client, my $found) = play($round, $client);
	$sum{$_} += $found->{$_} foreach (qw(gone arrived lost phantom order));
	$sum{events} = $found->{events};
	ok(!grep({ $found->{$_} } qw(lost phantom order broken)), "round $round") if $synchronized;
}
stop_client($client);
note("seed $seed: $rounds failovers; $sum{gone} events lost with the primary; $sum{events} in the ledger; $sum{arrived} arrived;"
	. " lost $sum{lost}, phantom $sum{phantom}, order $sum{order}");
cmp_ok($sum{gone}, '>', 0, 'the standby was behind at times');
if ($synchronized)
{
	is("lost $sum{lost}, phantom $sum{phantom}, order $sum{order}", 'lost 0, phantom 0, order 0', 'in sum');
}
else
{
	cmp_ok($sum{phantom}, '>', 0, 'without synchronized_standby_slots there are phantoms');
}
$_->stop foreach ($standby, $primary);
done_testing();
