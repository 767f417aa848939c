# The drill after a slot was lost, as doc/replay.md has it: a new slot, a new publisher that asks for replays, and catch_up.  What
# the old and the new publisher got together is all that there is; of topics with storage wal it is said what is lost.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('catch_up', '--wal-segsize=1');

set($node, join("\n", 'autovacuum = off', 'checkpoint_timeout = 1h', 'min_wal_size = 2MB', 'max_wal_size = 1GB'));
$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE TABLE ledger (event_id uuid, at pg_lsn DEFAULT pg_current_wal_insert_lsn());
	CREATE TABLE enough ();
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	SELECT domev.create_topic('rows', 'internal'), domev.create_topic('messages', 'internal', 'wal'), domev.create_topic('mapped'),
		domev.create_event_type('row', 'a', 'rows'), domev.create_event_type('message', 'a', 'messages', journal => false),
		domev.create_event_type('kept', 'a'), domev.create_mapping('m', 'row', 'public.m', 'mapped');
	CREATE FUNCTION happen(subject text) RETURNS void BEGIN ATOMIC
		SELECT domev.emit('row', subject), domev.emit('kept', subject);
		INSERT INTO ledger SELECT domev.emit('message', subject);
	END;
	CREATE PROCEDURE happen_until_enough(subject text) LANGUAGE plpgsql AS $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM enough) LOOP PERFORM happen(subject); COMMIT; PERFORM pg_sleep(0.005); END LOOP;
	END $$;
});

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sub slot
{
	my ($slot, $what) = @_;

	return sql("SELECT $what FROM pg_replication_slots WHERE slot_name = '$slot'");
}

# What is in topics with rows and not among these ids.
sub missing
{
	my %has = map { $_->{id} => 1 } map { events($_) } @_;

	return grep { !$has{$_} } split("\n", sql('SELECT event_id FROM domev.outbox WHERE topic IS NOT NULL'));
}

sub position
{
	my ($high, $low) = split('/', $_[0]);

	return hex($high) * 2**32 + hex($low);
}

# Calls it, and returns what it said.
sub catch_up
{
	my ($status, $out, $err) = $node->psql('postgres', "CALL domev.catch_up($_[0])");

	is($status, 0, "catch_up($_[0])");
	return $err;
}

# ---------------------------------------------------------------------------------------------------------------------
# What is there before, and what the old publisher never gets.
# ---------------------------------------------------------------------------------------------------------------------

sql(q{SELECT pg_create_logical_replication_slot('old', 'domev')});
sql(q{BEGIN; SELECT happen('emitted before, committed in the gap'); PREPARE TRANSACTION 'late'});
sql("SELECT happen('before')") foreach (1 .. 3);
my $before = receive($node, 'postgres', 'old');
is(scalar(events($before)), 9, 'the old publisher has received and acknowledged');
sql(q{COMMIT PREPARED 'late'});
sql("SELECT happen('gap')") foreach (1 .. 3);

foreach (1 .. 8)
{
	sql(q{SELECT pg_logical_emit_message(false, 'not of domev', 'WAL')});
	sql(q{SELECT pg_switch_wal()});
}
my $load = start_psql($node, "CALL happen_until_enough('load')");
wait_until('there is load', sub { sql('SELECT count(*) FROM ledger') > 30 });
set($node, "max_wal_size = 2MB\nmax_slot_wal_keep_size = 4MB");
sql('CHECKPOINT');
wait_until('the slot is lost', sub { slot('old', 'wal_status') eq 'lost' });
set($node, "max_slot_wal_keep_size = -1\nmax_wal_size = 1GB");

# ---------------------------------------------------------------------------------------------------------------------
# The drill, while the application goes on.
# ---------------------------------------------------------------------------------------------------------------------

my ($status, $out, $err) = $node->psql('postgres', q{CALL domev.catch_up('p', lost_slot => 'old')});
like($err, qr/ERROR:  there is no replication slot that could deliver a replay/, 'not before there is a new slot');
sql(q{SELECT pg_create_logical_replication_slot('new', 'domev')});
my ($after, $up_to) = (slot('old', 'confirmed_flush_lsn'), slot('new', 'confirmed_flush_lsn'));
sql(q{BEGIN; SELECT happen('emitted before, committed behind'); PREPARE TRANSACTION 'open'});
my $preview = catch_up(q{'p', lost_slot => 'old', dry_run => true});
my $said = catch_up(q{'p', lost_slot => 'old'});
sql(q{COMMIT PREPARED 'open'});
sql('INSERT INTO enough DEFAULT VALUES');
$load->finish;
my $new = receive($node, 'postgres', 'new', replay => 'p');

# All is there, by the replay and only by it.
my @replayed = grep { $_->{line} =~ /"replayid"/ } events($new);
my @others = grep { $_->{line} !~ /"replayid"/ } events($new);
is(scalar(missing($before, $new)), 0, 'the old and the new publisher have got all');
cmp_ok(scalar(missing($before, map { "$_->{line}\n" } @others)), '>=', 8, 'without the replay they would not');
cmp_ok(scalar(grep { $_->{line} =~ /committed in the gap/ } @replayed), '==', 2, 'a long transaction that was open when the old one was lost');
cmp_ok(scalar(grep { $_->{line} =~ /committed behind/ } @others), '==', 3, 'one that was open still comes from the new slot');
is(scalar(grep { $_->{line} =~ /"topic":"messages"|"type":"kept"/ } @replayed), 0, 'nothing that has no row, and nothing of the journal only');
is(scalar(grep { $_->{line} =~ /committed behind/ } @replayed), 0, 'nor what was not committed');
my %times;
$times{ $_->{id} }++ foreach @replayed;
is(scalar(grep { $_ > 1 } values %times), 0, 'each once');
like($preview, qr/NOTICE:  would replay events of type "row" to topic "rows": [1-9]/, 'a dry run told so');
is(sql(q{SELECT lost_slot, events = expected, finished_at IS NOT NULL FROM domev.replays}), 'old|t|t', 'and it is kept what was done');

# What is lost, by its range.
like($said, qr/WARNING:  events of topics with storage "wal" cannot be caught up with\nDETAIL:  Lost is at most what was committed between \Q$after and $up_to\E in: messages\./, 'the range that was lost');
my %has = map { $_->{id} => 1 } events($before . $new);
my @lost = grep { !$has{ $_->[0] } } map { [ split(/\|/, $_) ] } split("\n", sql(q{SELECT event_id, at - '0/0' FROM ledger}));
cmp_ok(scalar(@lost), '>=', 4, 'messages are lost');
is(scalar(grep { $_->[1] >= position($up_to) } @lost), 0, 'none behind the range');
is(scalar(grep { $_->[1] < position($after) } @lost), 1, 'before it only what was committed in it');
note(sprintf('%d replayed, of which %d were missing; %d messages lost between %s and %s', scalar(@replayed),
	scalar(missing($before, map { "$_->{line}\n" } @others)), scalar(@lost), $after, $up_to));

# ---------------------------------------------------------------------------------------------------------------------
# The slot is gone, and nobody knows what it had delivered: by time.
# ---------------------------------------------------------------------------------------------------------------------

my $since = sql('SELECT clock_timestamp()');
sql("SELECT happen('delivered')");
my $delivered = receive($node, 'postgres', 'new', replay => 'p');
sql("SELECT happen('second gap')") foreach (1 .. 3);
sql(q{SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots});
sql(q{SELECT pg_create_logical_replication_slot('newer', 'domev')});
$said = catch_up(qq{'p', since => '$since'});
like($said, qr/DETAIL:  There are: messages\./, 'which topics lose, but not where');
my $newer = receive($node, 'postgres', 'newer', replay => 'p');
is(scalar(missing($before, $new, $delivered, $newer)), 0, 'all is there');
is(scalar(missing($before, $new, $delivered)), 6, 'without the replay it would not');

$node->stop;
done_testing();
