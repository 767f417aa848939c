# A replay that is ended in its midst, by a cancel and by kill -9 of its backend, goes on where it was: each event is written
# once, in order, and only for the publisher that asks.  One session at a time works at it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = 25_000;
my $id = '00000000-0000-0000-0000-000000000001';
my $node = new_server('replay');

set($node, 'restart_after_crash = on');
$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't');
	SELECT pg_create_logical_replication_slot('asks', 'domev'), pg_create_logical_replication_slot('asks_not', 'domev'),
		pg_create_logical_replication_slot('asks_for_another', 'domev');
});
$node->safe_psql('postgres', "SELECT count(domev.emit('e', i)) FROM generate_series(1, $events / 5) AS i") foreach (1 .. 5);
is(scalar(events(receive($node, 'postgres', $_))), $events, "$_: as they were raised") foreach ('asks', 'asks_not', 'asks_for_another');

# A gate through which no replay gets that has published so many: its transaction waits.  A prepared transaction keeps it closed.
$node->safe_psql('postgres', q{
	CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF new.events > 10000 THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER pass AFTER UPDATE ON domev.replays FOR EACH ROW EXECUTE FUNCTION pass();
	BEGIN; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION 'closed';
});

sub replay
{
	return $node->safe_psql('postgres', "SELECT $_[0] FROM domev.replays WHERE replay_id = '$id'");
}

# Runs until it waits at the gate; its process.
sub start_until_gate
{
	my ($call) = @_;
	my $run = start_psql($node, $call);

	wait_until('the replay is at the gate', sub {
		return $node->safe_psql('postgres', q{SELECT count(*) FROM domev.replays JOIN pg_stat_activity USING (pid) WHERE wait_event = 'advisory'}) eq '1';
	});
	return ($run, replay('pid'));
}

sub fails
{
	my ($call, $error, $what) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$call");

	like($err, qr/^psql:<stdin>:2: ERROR:  $error/m, $what);
	return;
}

# What others see of it, and that they keep off.
my ($run, $pid) = start_until_gate("CALL domev.replay('p', replay_id => '$id')");
my $before = replay('events');
cmp_ok($before, '>', 0, 'others see how far it is');
cmp_ok($before, '<=', 10_000, 'and what is committed only');
is(replay('expected'), $events, 'and how much there is');
is(replay('finished_at IS NULL'), 't', 'and that it is not finished');
fails("CALL domev.resume_replay('$id')", '55P03: .* is being worked at', 'a second session is refused');
fails("CALL domev.replay('p', replay_id => '$id')", '55P03: .* is being worked at', 'also one that would start it');
my $other = $node->safe_psql('postgres', q{SET client_min_messages = warning; CALL domev.replay('another', event_types => '{none}')});
like($other, qr/^[0-9a-f-]{36}$/, 'another replay is none of its business');

# Cancelled.
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$run->finish;
isnt($run->full_result, 0, 'cancelled');
is(replay('events, finished_at IS NULL'), "$before|t", 'what was committed stays');

$node->safe_psql('postgres', "ROLLBACK PREPARED 'closed'");
$node->safe_psql('postgres', "SET client_min_messages = warning; CALL domev.resume_replay('$id')");
is(replay('events, finished_at IS NOT NULL'), "$events|t", 'the rest of it');

# Killed, with the whole server.
my $first_id = $id;
$id = '00000000-0000-0000-0000-000000000002';
$node->safe_psql('postgres', q{BEGIN; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION 'closed'});
($run, $pid) = start_until_gate("CALL domev.replay('p', replay_id => '$id')");
$before = replay('events');
cmp_ok($before, '>', 0, 'killed in its midst');
kill('KILL', $pid);
$run->finish;
# By an argument: a psql that cannot connect breaks the pipe of who writes to it.
my @is_back = ('psql', '-X', '-A', '-t', '-d', $node->connstr('postgres'), '-c', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'advisory'});
wait_until('the server is back', sub { my $answer = ''; IPC::Run::run(\@is_back, '>', \$answer, '2>', \my $error); return $answer eq "t\n"; });
is(replay('events, finished_at IS NULL'), "$before|t", 'killed: what was committed stays');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'closed'");
$node->safe_psql('postgres', "SET client_min_messages = warning; CALL domev.resume_replay('$id')");
is(replay('events, finished_at IS NOT NULL'), "$events|t", 'killed: the rest of it');

# Each once, in order, and for who asks.
my $sent = receive($node, 'postgres', 'asks', replay => 'p');
my $ids = $node->safe_psql('postgres', 'SELECT event_id FROM domev.outbox ORDER BY recorded_at, event_id');
foreach my $replay ($first_id, $id)
{
	my @of_it = grep { $_->{line} =~ /"replayid":"$replay"/ } events($sent);

	is(scalar(@of_it), $events, "$replay: each event once");
	ok(join("\n", map { $_->{id} } @of_it) eq $ids, "$replay: with its id, in the order of recording");
	cmp_ok(scalar(grep { $_->{last} } @of_it), '>', 1, "$replay: in several transactions");
}
unlike(receive($node, 'postgres', 'asks_not'), qr/"replayid"/, 'nothing for who does not ask');
unlike(receive($node, 'postgres', 'asks_for_another', replay => 'another'), qr/"replayid"/, 'nor for who asks for another');

$node->stop;
done_testing();
