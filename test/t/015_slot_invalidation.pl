# A slot that the server gave up: its publisher is told so, and by the SQL of doc/high-availability.md what it did not deliver is
# caught up from the outbox, and what was in WAL topics is known by its range of positions.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file('doc/high-availability.md');
my $node = new_server('lost', '--wal-segsize=1');

set($node, join("\n", 'autovacuum = off', 'checkpoint_timeout = 1h', 'min_wal_size = 2MB', 'max_wal_size = 1GB'));
$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE TABLE ledger (event_id uuid, topic text, at pg_lsn DEFAULT pg_current_wal_insert_lsn());
	CREATE TABLE enough ();
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	SELECT domev.create_topic('rows', 'internal'), domev.create_topic('messages', 'internal', 'wal'), domev.create_topic('mapped', storage => 'wal'),
		domev.create_event_type('row', 'a', 'rows'), domev.create_event_type('message', 'a', 'messages', journal => false),
		domev.create_mapping('m', 'row', 'public.m', 'mapped');
	CREATE FUNCTION happen(subject text) RETURNS void BEGIN ATOMIC
		INSERT INTO ledger SELECT domev.emit('row', subject), 'rows';
		INSERT INTO ledger SELECT domev.emit('message', subject), 'messages';
	END;
	CREATE PROCEDURE happen_until_enough(subject text) LANGUAGE plpgsql AS $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM enough) LOOP PERFORM happen(subject); COMMIT; PERFORM pg_sleep(0.005); END LOOP;
	END $$;
});

# Statements of the page, as they stand there, for slots of these names.
sub of_page
{
	my ($what, $lost, $new) = @_;
	my ($sql) = $page =~ /^```sql\n-- \Q$what\E\n(.*?)^```$/ms or die "the page does not tell $what";

	return $sql =~ s/'shop_publisher'/'$lost'/gr =~ s/'shop_publisher_2'/'$new'/gr;
}

sub slot
{
	my ($slot, $what) = @_;

	return $node->safe_psql('postgres', "SELECT $what FROM pg_replication_slots WHERE slot_name = '$slot'");
}

sub why_lost
{
	return $node->pg_version < 17 ? '' : slot($_[0], 'invalidation_reason');
}

# What walsenders and SQL functions say to whoever wants to read it.
sub is_refused
{
	my ($slot) = @_;
	my $refused = qr/(?:can no longer get changes from|cannot read from logical|can no longer access) replication slot "$slot"/;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM pg_logical_slot_peek_changes('$slot', NULL, NULL)");

	like($err, qr/ERROR:  55000: $refused/, "$slot: SQL functions refuse it");
	$node->command_fails_like([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', $slot, '--start', '-f', '-', '--no-loop' ],
		$refused, "$slot: so does a walsender");
	return;
}

# Ids of the events of a topic; of what was mapped those of the causes.
sub ids
{
	my ($topic, $text) = @_;
	my $id = $topic eq 'mapped' ? 'causationid' : 'id';

	return map { /"$id":"([^"]*)"/ } grep { /"topic":"$topic"/ } split("\n", $text);
}

# Those of the ledger that are not among these, with where they are in the WAL.
sub missing
{
	my ($topic, @ids) = @_;
	my %has = map { $_ => 1 } @ids;

	return grep { !$has{ $_->[0] } } map { [ split(/\|/, $_) ] }
		split("\n", $node->safe_psql('postgres', "SELECT event_id, at - '0/0' FROM ledger WHERE topic = '$topic'"));
}

sub position
{
	my ($high, $low) = split('/', $_[0]);

	return hex($high) * 2**32 + hex($low);
}

# Where the transactions of events were committed, the lowest and the highest.
sub commits
{
	my @positions = sort { $a <=> $b } map { hex($_) } $_[0] =~ /"sequence":"([0-9A-F]{16})/g;

	return @positions[ 0, -1 ];
}

# A publisher reads a slot, which is lost then; what follows is what the page says.
sub play
{
	my ($lost, $new, $lose) = @_;

	$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$lost', 'domev')");
	$node->safe_psql('postgres', "TRUNCATE ledger; BEGIN; SELECT happen('emitted before, committed in the gap'); PREPARE TRANSACTION 'late'");
	$node->safe_psql('postgres', "SELECT happen('before')") foreach (1 .. 3);
	my $before = receive($node, 'postgres', $lost);
	is(scalar(events($before)), 9, "$lost: a client has received and acknowledged");
	$node->safe_psql('postgres', "COMMIT PREPARED 'late'");
	$node->safe_psql('postgres', "SELECT happen('gap')") foreach (1 .. 3);

	my $remembered = slot($lost, 'confirmed_flush_lsn, catalog_xmin');
	$lose->();
	is(slot($lost, 'wal_status'), 'lost', "$lost: lost");
	is(slot($lost, 'confirmed_flush_lsn, catalog_xmin'), $remembered, "$lost: but it remembers where it was");
	is_refused($lost);

	# A new one, while the application goes on.
	my $load = start_psql($node, "CALL happen_until_enough('load')");
	my $happened = sub { return $node->safe_psql('postgres', 'SELECT count(*) FROM ledger') };
	wait_until('there is load', sub { $happened->() > 50 });
	$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$new', 'domev')");
	my ($after, $up_to, $lost_in) = split(/\|/, $node->safe_psql('postgres', of_page('the gap', $lost, $new)));
	my $so_far = $happened->();
	wait_until('the load goes on', sub { $happened->() > $so_far + 50 });
	$node->safe_psql('postgres', 'INSERT INTO enough DEFAULT VALUES');
	$load->finish;
	$node->safe_psql('postgres', 'TRUNCATE enough');

	# The page's query, with the ids, and its statement for what was mapped.
	my ($remap) = $page =~ /^```text\n(SELECT [^`]*domev\.remap.*?;)\n```$/ms or die 'the page does not remap';
	$remap =~ s/'order-placed-v1'/'m'/;
	$remap =~ s/'order\.placed'/'row'/;
	my @caught_up = split("\n", $node->safe_psql('postgres', of_page('the rows', $lost, $new) =~ s/SELECT \Ktopic, (?=event_type)/event_id, topic, /r));
	my @remapped = split("\n", $node->safe_psql('postgres', of_page('the rows', $lost, $new) =~ s/^SELECT topic.*//msr . $remap));
	is(scalar(grep { /\|failed\|/ } @remapped), 0, "$lost: what was mapped is mapped again");
	my $from_new = receive($node, 'postgres', $new);

	# Rows: all are there, and without the catching up they would not be.
	my @received = ids('rows', $before . $from_new);
	my %in_rows = map { split(/\|/, $_, 2) } @caught_up;
	my @gap = missing('rows', @received);
	cmp_ok(scalar(@gap), '>=', 4, "$lost: neither slot brings the gap");
	is(scalar(missing('rows', @received, keys %in_rows)), 0, "$lost: the rows and the new slot bring all");
	is(scalar(grep { !/^rows\|row\|/ } values %in_rows), 0, "$lost: of topics, nothing of the journal only");
	is(scalar(grep { /emitted before/ } values %in_rows), 1, "$lost: also what was emitted before the client's last event");
	is(scalar(missing('rows', ids('mapped', $before . $from_new))), 0, "$lost: all that was mapped");

	# Messages: what is lost lies in the range, and all that was received outside of it.
	my @lost = missing('messages', ids('messages', $before . $from_new));
	my ($low, $high) = (position($after), position($up_to));
	is($lost_in, 'mapped, messages', "$lost: these topics lose");
	cmp_ok(scalar(@lost), '>=', 4, "$lost: messages are lost");
	is(scalar(grep { $_->[1] >= $high } @lost), 0, "$lost: none that is behind the range");
	is(scalar(grep { $_->[1] < $low } @lost), 1, "$lost: before it only what was emitted before and committed in it");
	cmp_ok((commits($before))[1], '<', $low, "$lost: what the lost slot brought was committed before the range");
	cmp_ok((commits($from_new))[0], '>=', $high, "$lost: what the new one brings behind it");
	note(sprintf('%s: lost from %s to %s, %d messages; %d rows caught up, of which %d were received', $lost, $after, $up_to, scalar(@lost),
		scalar(@caught_up), @caught_up - @gap));
	return;
}

# ---------------------------------------------------------------------------------------------------------------------
# More WAL than max_slot_wal_keep_size.
# ---------------------------------------------------------------------------------------------------------------------

# One that is connected, but sleeps.
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('connected', 'domev')});
my $client = start_client($node, 'connected', 'connected', '--no-loop');
wait_until('the client is connected', sub { slot('connected', 'active') eq 't' });

play('wal_removed', 'new', sub {
	$client->{run}->signal('STOP');
	is(slot('wal_removed', 'wal_status'), 'reserved', 'reserved');
	foreach (1 .. 8)
	{
		$node->safe_psql('postgres', q{SELECT pg_logical_emit_message(false, 'not of domev', 'WAL')});
		$node->safe_psql('postgres', q{SELECT pg_switch_wal()});
	}
	set($node, 'max_wal_size = 2MB');
	is(slot('wal_removed', 'wal_status'), 'extended', 'extended');
	set($node, 'max_slot_wal_keep_size = 4MB');
	is(slot('wal_removed', 'wal_status'), 'unreserved', 'unreserved');
	$node->safe_psql('postgres', 'CHECKPOINT');
	wait_until('the slots are lost', sub { slot($_, 'wal_status') eq 'lost' }) foreach ('wal_removed', 'connected');
	is(why_lost('wal_removed'), $node->pg_version < 17 ? '' : 'wal_removed', 'it says why');

	$client->{run}->signal('CONT');
	$client->{run}->finish;
	like(slurp_file("$client->{file}.log"), qr/terminating connection/, 'who was connected is sent away');
	is_refused('connected');
	set($node, "max_slot_wal_keep_size = -1\nmax_wal_size = 1GB");
	$node->restart;
});

# ---------------------------------------------------------------------------------------------------------------------
# Nobody has used it for idle_replication_slot_timeout.
# ---------------------------------------------------------------------------------------------------------------------

if ($node->pg_version >= 18)
{
	play('idle_timeout', 'newer', sub {
		set($node, 'idle_replication_slot_timeout = 1s');
		wait_until('the slot is lost', sub {
			$node->safe_psql('postgres', 'CHECKPOINT');
			return slot('idle_timeout', 'wal_status') eq 'lost';
		});
		is(why_lost('idle_timeout'), 'idle_timeout', 'it says why');
		set($node, 'idle_replication_slot_timeout = 0');
	});
}

$node->stop;
done_testing();
