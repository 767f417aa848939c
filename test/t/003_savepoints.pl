# Trees of savepoints, with rows and WAL messages, against a model: what was rolled back is not published, the rest is, in
# order.  Decoded at the commit, and streamed before it.  The seed is printed, and DOMEV_SEED replays it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use Test::More;

my $seed = $ENV{DOMEV_SEED} // time;
srand($seed);
note("DOMEV_SEED=$seed");

my $node = new_server('savepoints');

$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', 'internal', 'wal');
	SELECT domev.create_event_type('row', 'a', 't'), domev.create_event_type('message', 'a', 'w', journal => false);
	CREATE TABLE foreign_rows (n int);
	SELECT pg_create_logical_replication_slot('memory', 'domev'), pg_create_logical_replication_slot('streamed', 'domev');
	SELECT pg_create_logical_replication_slot('immediate', 'domev');
});

# A random transaction: its SQL, and the subjects that must come out of it.
sub transaction
{
	my ($number, $steps) = @_;
	my @sql = ('BEGIN;');
	my @savepoints;    # names, and how many subjects there were
	my @subjects;

	for my $step (1 .. $steps)
	{
		my $dice = int(rand(100));

		if ($dice < 50)
		{
			my $subject = "$number-$step";
			my $type = int(rand(2)) ? 'row' : 'message';

			push @sql, "SELECT domev.emit('$type', '$subject', jsonb_build_object('pad', repeat('x', @{[ int(rand(300)) ]})));";
			push @subjects, $subject;
		}
		elsif ($dice < 55)
		{
			push @sql, 'INSERT INTO foreign_rows SELECT generate_series(1, 20);';
		}
		elsif ($dice < 75 && @savepoints < 20)
		{
			push @savepoints, [ "s$step", scalar @subjects ];
			push @sql, "SAVEPOINT s$step;";
		}
		elsif (@savepoints)
		{
			my $which = int(rand(@savepoints));
			my ($name, $count) = @{ $savepoints[$which] };

			# ROLLBACK TO leaves the savepoint itself, RELEASE does not.
			if (int(rand(2)))
			{
				$#savepoints = $which;
				$#subjects = $count - 1;
				push @sql, "ROLLBACK TO $name;";
			}
			else
			{
				$#savepoints = $which - 1;
				push @sql, "RELEASE $name;";
			}
		}
	}
	my $commits = int(rand(100)) < 80;
	push @sql, $commits ? 'COMMIT;' : 'ROLLBACK;';
	return (join("\n", @sql), $commits ? @subjects : ());
}

my (@sql, @expected);
for my $number (1 .. 12)
{
	my ($sql, @subjects) = transaction($number, $number <= 10 ? 100 : 3000);

	push @sql, $sql;
	push @expected, @subjects;
}

# More than 64 open subtransactions, which overflow what a backend tells others of.
push @sql, "BEGIN;\n" . join("\n", map { "SAVEPOINT a$_; SELECT domev.emit('row', 'deep-$_');" } 1 .. 150) . "\nROLLBACK TO a101;\nCOMMIT;";
push @expected, map { "deep-$_" } 1 .. 100;

# A transaction that is large for certain.
push @sql, "BEGIN; SELECT domev.emit('row', 'large-' || i, to_jsonb(repeat('x', 200))) FROM generate_series(1, 2000) AS i; SAVEPOINT s;"
	. " SELECT domev.emit('message', 'gone-' || i) FROM generate_series(1, 2000) AS i; ROLLBACK TO s; COMMIT;";
push @expected, map { "large-$_" } 1 .. 2000;

# Large ones that are rolled back, with changes in subtransactions: from 18 on, PostgreSQL notices while it spills.
# The largest is the transaction itself then, which is what it looks at.
push @sql, map { "BEGIN; SELECT domev.emit('row', 'aborted', jsonb_agg(md5(i::text))) FROM generate_series(1, 1000) AS i;\n"
	. join("\n", map { "SAVEPOINT b$_; SELECT domev.emit('row', 'aborted'), domev.emit('message', 'aborted');" } 1 .. 200)
	. "\nROLLBACK; SELECT domev.emit('row', 'after-$_');" } 1 .. 3;
push @expected, map { "after-$_" } 1 .. 3;

$node->safe_psql('postgres', join("\n", @sql));
my $memory;
{
	# enough for all of them
	local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=1GB';
	$memory = receive($node, 'postgres', 'memory');
}
my $streamed;
{
	local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=64kB';
	$streamed = receive($node, 'postgres', 'streamed');
}
cmp_ok(scalar(@expected), '>', 2000, 'the model expects ' . @expected . ' events');
my @got = split(' ', subjects($memory));
my ($different) = grep { ($got[$_] // '') ne ($expected[$_] // '') } 0 .. ($#got > $#expected ? $#got : $#expected);
ok(!defined $different, 'as the model says, from memory')
	or diag("event $different is " . ($got[$different] // 'none') . ', the model says ' . ($expected[$different] // 'none'));
ok($streamed eq $memory, 'the same bytes when it was streamed');
SKIP:
{
	skip('debug_logical_replication_streaming is there since 17', 1) if $node->pg_version < 17;
	local $ENV{PGOPTIONS} = '-c debug_logical_replication_streaming=immediate';
	ok(receive($node, 'postgres', 'immediate') eq $memory, 'the same bytes when every change was streamed');
}

# Which they were, or were not.
$node->poll_query_until('postgres', q{SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'streamed'})
	or die 'nothing was streamed';
$node->poll_query_until('postgres', q{SELECT stream_txns + spill_txns = 0 AND total_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'memory'})
	or die 'not all was in memory';

# Each transaction is marked at its end, and its index rises by one.
my ($next, $faults) = (0, 0);
foreach my $event (split("\n", $memory))
{
	my ($index, $last) = $event =~ /"sequence":"[0-9A-F]{16}\.([0-9A-F]{8})","endoftransaction":(true|false)}$/;

	$faults++ if !defined $index || hex($index) != $next;
	$next = $last eq 'true' ? 0 : $next + 1;
}
is($faults, 0, 'sequence and end of every transaction are right');
is($next, 0, 'the last event ends its transaction');

$node->stop;
done_testing();
