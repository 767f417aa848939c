# Failover slots: the consumer moves to the promoted standby, and has what is in its tables: nothing lost, and nothing more as long
# as synchronized_standby_slots holds the slot back.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

needs_version(17, 'slots that survive a failover');

# consumer is what the client reads; witness is never read, so it tells at the end what there was
my @slots = ('consumer', 'witness');
my $first = new_server('first');
my $lists_plugins = $first->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'});

set($first, 'autovacuum = off');
$first->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE TABLE ledger (event_id uuid);
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'a', 'rows'),
		domev.create_mapping('m', 'e', 'public.m', 'wal');
});
$first->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$_', 'domev', failover => true)") foreach @slots;

# A standby with the slots on it.  They stay only once the primary's are not behind what the standby still has.
sub new_standby_with_slots
{
	my ($primary, $name, @conf) = @_;
	my $standby = new_standby($primary, $name, join("\n", 'sync_replication_slots = on', @conf));

	set($primary, "synchronized_standby_slots = '$name'");
	wait_until("slots are synchronized to $name", sub {
		$primary->safe_psql('postgres', q{SELECT pg_log_standby_snapshot()});
		$primary->safe_psql('postgres', "SELECT pg_replication_slot_advance('$_', pg_current_wal_lsn())") foreach @slots;
		return $standby->safe_psql('postgres', q{SELECT count(*) FROM pg_replication_slots WHERE failover AND synced AND NOT temporary}) == @slots;
	});
	return $standby;
}

# One transaction per event.
sub emitting
{
	my ($subject, $count) = @_;

	return qq{DO \$\$ BEGIN FOR i IN 1..$count LOOP INSERT INTO ledger SELECT domev.emit('e', '$subject-' || i); COMMIT; END LOOP; END \$\$};
}

sub emit
{
	my ($node, $subject) = @_;

	$node->safe_psql('postgres', emitting($subject, 1));
	return;
}

sub has
{
	my ($client, $subject) = @_;

	return received($client) =~ /"subject":"\Q$subject\E-1"[^\n]*"endoftransaction":true/;
}

sub wait_for
{
	my ($client, $subject) = @_;

	wait_until("the client has $subject", sub { has($client, $subject) });
	return;
}

# Which of the ledger's events were not received, and which were received but are not in it; of each storage.
sub differences
{
	my ($node, $text) = @_;
	my %ledger = map { $_ => 1 } split("\n", $node->safe_psql('postgres', 'SELECT event_id FROM ledger'));
	my %rows = map { $_ => 1 } $text =~ /"id":"([^"]*)"[^\n]*"topic":"rows"/g;
	my %wal = map { $_ => 1 } $text =~ /"topic":"wal"[^\n]*"causationid":"([^"]*)"/g;

	return {
		lost => scalar(grep { !$rows{$_} || !$wal{$_} } keys %ledger),
		phantom => scalar(grep { !$ledger{$_} } keys %{ { %rows, %wal } })
	};
}

sub transactions
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT count(*) FROM ledger');
}

# What the slot that nobody reads has to say.
sub witness
{
	my ($node) = @_;

	return $node->safe_psql('postgres', q{SELECT data FROM pg_logical_slot_peek_changes('witness', NULL, NULL)}) . "\n";
}

# Sessions of logical decoding that wait for a standby.
sub waiting
{
	my ($node) = @_;

	return $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'WaitForStandbyConfirmation'});
}

# ---------------------------------------------------------------------------------------------------------------------
# What the standby does not have, the consumer does not get.
# ---------------------------------------------------------------------------------------------------------------------

# It will be told only later that domev may be loaded, and holds its slots back for a standby that it does not have.
my $second = new_standby_with_slots($first, 'second', $lists_plugins ? 'output_plugin_libraries = pgoutput' : (), q{synchronized_standby_slots = 'second'});
my $client = start_client($first, 'consumer', 'consumer', '--no-loop');

emit($first, 'before');
wait_for($client, 'before');
$second->stop;
emit($first, 'held');
my $position = $first->lsn('flush');
my $sql = start_psql($first, q{SELECT data FROM pg_logical_slot_peek_changes('witness', NULL, NULL)}, \my $peeked);
wait_until('both wait for the standby', sub { $sql->pump_nb; return waiting($first) == 2 || has($client, 'held') || $peeked =~ /held/ });
is($first->safe_psql('postgres',
		"SELECT sent_lsn < '$position' FROM pg_stat_replication JOIN pg_replication_slots ON pid = active_pid WHERE slot_name = 'consumer'"), 't',
	'a walsender does not send what the standby has not confirmed');
ok(!has($client, 'held'), 'so the consumer does not have it');
is($peeked, '', 'and SQL functions do not return it');
$second->start;
wait_for($client, 'held');
$sql->finish;
like($peeked, qr/"subject":"held-1"/, 'all get it once the standby has it');

# ---------------------------------------------------------------------------------------------------------------------
# Under load, the standby is cut off in the midst of receiving; then the primary dies, and with it what only it had.
# ---------------------------------------------------------------------------------------------------------------------

my @load = map { start_psql($first, emitting($_, 1_000_000)) } ('load-a', 'load-b');
my $got = sub { return scalar(() = received($client) =~ /"subject":"load-/g) };
wait_until('the consumer has some of it', sub { $got->() > 2000 });
$second->stop('immediate');
my $had = $got->();
my $common = transactions($first);    # at most
my $alone;
wait_until('the primary goes on alone', sub {
	$alone = transactions($first);
	return $alone > $common + 200 && (waiting($first) == 1 || $got->() > $had + 2000);
});
$first->stop('immediate');
$_->finish foreach ($client->{run}, @load);
$second->start;
$second->promote;
cmp_ok(transactions($second), '<=', $common, 'transactions are lost');

SKIP:
{
	skip 'this server allows every output plugin', 1 unless $lists_plugins;
	$second->command_fails_like([ 'pg_recvlogical', '-d', $second->connstr('postgres'), '-S', 'consumer', '--start', '-f', '-', '--no-loop' ],
		qr/output_plugin_libraries|domev/, 'the promoted server must allow the plugin too');
	set($second, q{output_plugin_libraries = 'pgoutput, domev'});
}

# The slot would wait for ever for a standby that is not one any more.
$client = start_client($second, 'consumer', 'consumer', '--no-loop');
emit($second, 'after');
wait_until('the consumer waits', sub { waiting($second) == 1 || has($client, 'after') });
ok(!has($client, 'after'), 'synchronized_standby_slots on the promoted server is in force');
set($second, q{synchronized_standby_slots = ''});
wait_for($client, 'after');
stop_client($client);

my $text = received($client);
my $events = first_ones($text);
my @positions = map { "$_->{transaction}.$_->{index}" } events($events);
is_deeply(differences($second, $events), { lost => 0, phantom => 0 }, 'of what the promoted server has nothing is lost, and nothing else was received');
ok($events eq witness($second), 'in commit order, byte-equal');
is(broken_repeats($text), '', 'repeats are whole transactions');
ok("@positions" eq join(' ', sort @positions), 'sequence goes on rising');
note(sprintf('%d events, %d repeated; %d transactions lost', scalar(@positions), scalar(events($text)) - @positions, $alone - transactions($second)));

# ---------------------------------------------------------------------------------------------------------------------
# The same without synchronized_standby_slots: what only the old primary had was received all the same.
# ---------------------------------------------------------------------------------------------------------------------

my $third = new_standby_with_slots($second, 'third', q{synchronized_standby_slots = ''});
my $consumed = start_client($second, 'consumer', 'phantom', '--no-loop');

emit($second, 'common');
wait_for($consumed, 'common');
$third->stop;
$second->safe_psql('postgres', q{SELECT pg_logical_emit_message(false, 'not of domev', repeat('x', 1000000))});
emit($second, 'phantom');
wait_until('the consumer waits', sub { waiting($second) == 1 || has($consumed, 'phantom') });
ok(!has($consumed, 'phantom'), 'held, while the setting is there');
set($second, q{synchronized_standby_slots = ''});
wait_for($consumed, 'phantom');
my $far = $second->lsn('flush');
$second->stop('immediate');
$consumed->{run}->finish;
$third->start;
$third->promote;
$third->safe_psql('postgres', q{SELECT pg_copy_logical_replication_slot('consumer', 'far')});
emit($third, 'next');
$consumed = start_client($third, 'consumer', 'phantom', '--no-loop');
wait_for($consumed, 'next');
stop_client($consumed);

# The ledger is of all three servers, the client was there for the last two.
$events = $events . first_ones(received($consumed));
is_deeply(differences($third, $events), { lost => 0, phantom => 1 }, 'without synchronized_standby_slots there is a phantom');
is($third->safe_psql('postgres', q{SELECT count(*) FROM domev.outbox WHERE aggregate_id = 'phantom-1'}), '0', 'which no table knows');
my %sequence = $events =~ /"subject":"(phantom|next)-1"[^\n]*"sequence":"([^"]*)"/g;
cmp_ok($sequence{next}, 'lt', $sequence{phantom}, 'and sequence goes back');

# A client that brings a position from the old primary: all below it is skipped, without a word.
$third->safe_psql('postgres', q{SELECT pg_logical_emit_message(false, 'not of domev', repeat('x', 2000000))});
emit($third, 'beyond');
my ($skipping) = run_command([ 'pg_recvlogical', '-d', $third->connstr('postgres'), '-S', 'far', '--start', '-f', '-', '--no-loop',
		'--startpos', $far, '--endpos', $third->lsn('flush') ]);
is(subjects($skipping), 'beyond-1 beyond-1', 'who starts at a position of the old primary loses events');

$third->stop;
done_testing();
