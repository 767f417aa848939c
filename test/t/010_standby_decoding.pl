# Decoding on a standby: the same bytes as on the primary, and clients that stay connected while it is promoted.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

needs_version(16, 'decoding on a standby');

my @on_primary = ('stream', 'filtered', 'text');
my $primary = new_server('primary');
$primary->append_conf('postgresql.conf', "autovacuum = off\nlogical_decoding_work_mem = 64kB\n");
$primary->reload;

my $registry = q{
	CREATE EXTENSION domev;
	CREATE TABLE ledger (event_id uuid);
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal');
	SELECT domev.create_event_type('e', 'a', 'in'), domev.create_mapping('out', 'e', 'public.m', 'out'),
		domev.create_mapping('wal', 'e', 'public.m', 'wal', timing => 'deferred');
};
$primary->safe_psql('postgres', $registry);
$primary->safe_psql('postgres', 'CREATE DATABASE other');
$primary->safe_psql('other', $registry);
my $standby = new_standby($primary, 'standby', q{wal_receiver_status_interval = '1s'});

# All that the primary has written is on the standby.
sub caught_up
{
	$primary->wait_for_replay_catchup($standby);
	return $primary->lsn('flush');
}

# Slots are made while the primary has nothing to do: each waits for a record that says which transactions run.
sub make_slots_on_standby
{
	my ($database, @names) = @_;
	my ($out, $err) = ('', '');

	# or the server has written the record by itself, as it does now and then when it was not idle; in SQL functions the wait has no name
	my $waiting = sprintf(q{SELECT count(*) = %d FROM pg_replication_slots AS s LEFT JOIN pg_stat_activity AS a ON a.pid = s.active_pid
		WHERE slot_name IN (%s) AND restart_lsn IS NOT NULL
			AND (confirmed_flush_lsn IS NOT NULL OR wait_event ILIKE 'WalSenderWaitForWal' OR backend_type = 'client backend')},
		scalar(@names), join(', ', map { "'$_'" } @names));
	my @made;

	foreach my $name (@names)
	{
		my @command = $name eq 'text'
			? ('psql', '-XAtd', $standby->connstr($database), '-c', "SELECT 'made' FROM pg_create_logical_replication_slot('$name', 'domev')")
			: ('pg_recvlogical', '-d', $standby->connstr($database), '-S', $name, '-P', 'domev', '--create-slot');

		push @made, IPC::Run::start(\@command, '<', \undef, '>', \$out, '2>', \$err);
	}
	$standby->poll_query_until('postgres', $waiting) or BAIL_OUT('slots do not wait');
	$primary->safe_psql('postgres', 'SELECT pg_log_standby_snapshot()');
	$_->finish foreach @made;
	is($err, '', "made on the standby in $database: @names");
	return;
}

caught_up();
make_slots_on_standby('postgres', @on_primary, 'kept');
$primary->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$_', 'domev')") foreach @on_primary;

# A bit of everything.  What the registry says changes on the way, also under an open transaction.
$primary->safe_psql('postgres', q{
	SELECT domev.emit('e', 'first', '{"text": "caf\u00e9", "n": 63.10}', headers => '{"user": "ann", "n": 7}', aggregate_version => 3);
	BEGIN;
	SELECT domev.emit('e', 'kept');
	SAVEPOINT s;
	SELECT domev.emit('e', 'rolled-back');
	ROLLBACK TO s;
	SAVEPOINT s;
	SELECT domev.emit('e', 'in-a-savepoint');
	COMMIT;
	SELECT count(domev.emit('e', 'many', jsonb_build_object('i', i, 'text', repeat('x', 1000)))) FROM generate_series(1, 300) AS i;
	SELECT domev.emit('e', 'large', to_jsonb(string_agg(md5(i::text), ''))) FROM generate_series(1, 10000) AS i;
	SELECT pg_logical_emit_message(true, 'domev/out', '{"specversion":"1.0","type":"forged"}');
	BEGIN;
	SELECT domev.emit('e', 'prepared');
	PREPARE TRANSACTION 'p';
	SELECT domev.emit('e', 'between');
	COMMIT PREPARED 'p';
});
my $open = $primary->background_psql('postgres');
$open->query_safe(q{BEGIN});
$open->query_safe(q{SELECT domev.emit('e', 'open')});
$primary->safe_psql('postgres', q{
	SELECT domev.alter_topic('out', scope => 'internal');
	SELECT domev.emit('e', 'out-is-internal');
	SELECT domev.set_source('/elsewhere');
	SELECT domev.emit('e', 'elsewhere');
	SELECT domev.create_topic('late'), domev.create_mapping('late', 'e', 'public.m', 'late');
	SELECT domev.emit('e', 'late');
});
$open->query_safe(q{COMMIT});
$open->quit;
$primary->safe_psql('postgres', 'VACUUM FULL domev.topics');
$primary->safe_psql('postgres', 'VACUUM FULL domev.source');
$primary->safe_psql('postgres', q{SELECT domev.emit('e', 'rewritten')});
my $end = caught_up();

# Position, transaction and event, one a line.
sub peek
{
	my ($node, $slot, %options) = @_;

	return $node->safe_psql('postgres', sprintf('SELECT lsn, xid, data FROM pg_logical_slot_peek_changes(%s)',
		join(', ', "'$slot'", 'NULL', 'NULL', map { "'$_'" } %options))) . "\n";
}

# The events alone, as pg_recvlogical writes them.
sub without_positions
{
	return $_[0] =~ s/^[^{]*//gmr;
}

my %sent;
foreach my $options ([], [ topics => 'wal' ], [ topics => 'in' ], [ topics => 'o*,late' ], [ event_types => 'i' ], [ scope => 'external' ], [ scope => 'internal' ],
	[ origin => 'any' ])
{
	my $name = "@$options" || 'no options';

	$sent{$name} = peek($standby, 'text', @$options);
	ok(length($sent{$name}) > 1 && $sent{$name} eq peek($primary, 'text', @$options), "SQL functions, $name: the same positions and bytes");
}

# What was emitted, in the order of commits, and how many events each in all and to topics of scope external.
my @story = ([ 'first', 3, 2 ], [ 'kept', 3, 2 ], [ 'in-a-savepoint', 3, 2 ], ([ 'many', 3, 2 ]) x 300, [ 'large', 3, 2 ], [ 'between', 3, 2 ],
	[ 'prepared', 3, 2 ], [ 'out-is-internal', 3, 1 ], [ 'elsewhere', 3, 1 ], [ 'late', 4, 2 ], [ 'open', 3, 2 ], [ 'rewritten', 4, 2 ]);
is(subjects($sent{'topics wal'}), join(' ', map { $_->[0] } @story), 'all of them, in commit order');
foreach my $sent ([ 'no options', 1 ], [ 'scope external', 2 ])
{
	my %got;

	$got{$_}++ foreach split(' ', subjects($sent{ $sent->[0] }));
	my %expected;
	$expected{ $_->[0] } += $_->[ $sent->[1] ] foreach @story;
	is_deeply(\%got, \%expected, "$sent->[0]: as the registry was at the event");
}
my @sources = map { join(' ', without_positions($sent{'topics in'}) =~ /"source":"([^"]*)","subject":"\Q$_\E"/g) } ('between', 'elsewhere', 'open', 'rewritten');
is("@sources", '/postgres /elsewhere /postgres /elsewhere', 'and so is the source');
like(slurp_file($standby->logfile), qr/domev dropped WAL messages that it did not write: 1\b/, 'the standby knows forged messages');

# What pg_recvlogical gets.
my $stream = $standby->pg_recvlogical_upto('postgres', 'stream', $end, $PostgreSQL::Test::Utils::timeout_default);
ok($stream eq without_positions($sent{'no options'}), 'pg_recvlogical on the standby: the same bytes');
ok($stream eq receive($primary, 'postgres', 'stream'), 'as on the primary');
my @filter = (scope => 'external', topics => 'wal,late');
my $filtered = $standby->pg_recvlogical_upto('postgres', 'filtered', $end, $PostgreSQL::Test::Utils::timeout_default, @filter);
ok($filtered ne '' && $filtered ne $stream && $filtered eq receive($primary, 'postgres', 'filtered', @filter), 'with options as well');

# A slot on the standby that follows one of the primary, for the day of promotion.
my $confirmed = $primary->safe_psql('postgres', q{SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'stream'});
caught_up();
$standby->safe_psql('postgres', "SELECT pg_replication_slot_advance('kept', '$confirmed')");

# What a standby cannot do.
my %refused = (emit => q{SELECT domev.emit('e', 'refused')});
$refused{heartbeat} = 'SELECT domev.heartbeat()' if $standby->safe_psql('postgres', q{SELECT to_regprocedure('domev.heartbeat()') IS NOT NULL}) eq 't';
foreach my $name (sort keys %refused)
{
	my ($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\n$refused{$name}");

	like($err, qr/ERROR:  25006$/, "no $name on a standby");
}

# Without hot_standby_feedback the primary removes what the standby's slot needs: dead rows of the registry are enough.  The
# slot is lost then, and says so.
make_slots_on_standby('other', 'doomed');
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('$_')") foreach @on_primary;    # they would protect it
my $protected = q{SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'standby' AND catalog_xmin IS NOT NULL};
$primary->poll_query_until('postgres', $protected, '1') or BAIL_OUT('feedback does not come');
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = off');
$standby->reload;
$primary->poll_query_until('postgres', $protected, '0') or BAIL_OUT('feedback goes on');
$primary->safe_psql('other', q{SELECT domev.alter_topic('out', scope => 'internal')});
$primary->safe_psql('other', q{VACUUM domev.topics});
caught_up();
my ($status, $out, $err) = $standby->psql('other', q{SELECT * FROM pg_logical_slot_peek_changes('doomed', NULL, NULL)});
like($err, qr/replication slot "doomed"/, 'a slot without hot_standby_feedback is lost');
is($standby->safe_psql('postgres', q{SELECT slot_name FROM pg_replication_slots WHERE conflicting}), 'doomed', 'it alone');
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->reload;
$primary->poll_query_until('postgres', $protected, '1') or BAIL_OUT('feedback does not come back');

# Promotion, while one client has all there is, and another is stopped in the middle of much.
my %clients = (fast => start_client($standby, 'stream', 'fast'), slow => start_client($standby, 'filtered', 'slow'));
my $emit = q{
	DO $$ BEGIN
		FOR i IN 1..%d LOOP
			INSERT INTO ledger SELECT domev.emit('e', '%s-' || i, to_jsonb(repeat('x', 2000)));
			COMMIT;
		END LOOP;
	END $$};
sub wait_for_event_of
{
	my ($client, $subject) = @_;
	wait_until("client $client has $subject", sub { received($clients{$client}) =~ /"subject":"\Q$subject\E"/ });
}
$primary->safe_psql('postgres', sprintf($emit, 3, 'before'));
wait_for_event_of($_, 'before-3') foreach ('fast', 'slow');
$primary->safe_psql('postgres', q{BEGIN; INSERT INTO ledger SELECT domev.emit('e', 'after-it-was-prepared'); PREPARE TRANSACTION 'prepared'});
my $walsenders = q{SELECT string_agg(active_pid::text, ' ' ORDER BY slot_name) FROM pg_replication_slots WHERE slot_name IN ('stream', 'filtered')};
my $before = $standby->safe_psql('postgres', $walsenders);
$clients{slow}{run}->signal('STOP');
my $load = start_psql($primary, sprintf($emit, 1_000_000, 'load'));
wait_for_event_of('fast', 'load-600');
$primary->stop('fast');
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 'f', 'promoted');
unlike(received($clients{slow}), qr/"subject":"load-600"/, 'one client was behind');
$clients{slow}{run}->signal('CONT');
$standby->safe_psql('postgres', q{COMMIT PREPARED 'prepared'});
$standby->safe_psql('postgres', sprintf($emit, 20, 'after'));
wait_for_event_of($_, 'after-20') foreach ('fast', 'slow');
my $now = $standby->safe_psql('postgres', $walsenders);
wait_until("the last event of client $_ is whole", sub { received($clients{$_}) =~ /"subject":"after-20"[^\n]*"endoftransaction":true/ }) foreach ('fast', 'slow');
stop_client($clients{$_}) foreach ('fast', 'slow');
$load->finish;

# The slot that was never read repeats it all, from both timelines; the ledger is the application's.
my $all = without_positions(peek($standby, 'text'));
my $ledger = $standby->safe_psql('postgres', 'SELECT event_id FROM ledger ORDER BY event_id::text COLLATE "C"');
foreach my $topic ('in', 'out', 'wal', 'late')
{
	my $id = $topic eq 'in' ? 'id' : 'causationid';
	my @ids = map { /"$id":"([^"]*)"/ } grep { /"subject":"(?:before|load|after)-/ && /"topic":"$topic"/ } split("\n", $all);

	ok(join("\n", sort @ids) eq $ledger, "each event committed before, during and after the promotion, and no other, in topic $topic");
}
cmp_ok(scalar(split("\n", $ledger)), '>=', 3 + 600 + 20, 'there was load');
like($all, qr/"subject":"load-600".*"subject":"after-it-was-prepared".*"subject":"after-1"/s, 'what was prepared on the primary was committed after the promotion');
ok(without_positions(peek($standby, 'kept')) eq substr($all, length($stream)), 'the slot that followed has all that is after it');
foreach my $client ('fast', 'slow')
{
	my $text = received($clients{$client});
	my $log = slurp_file("$clients{$client}{file}.log");
	my $reconnected = () = $log =~ /disconnected/g;

	note("client $client reconnected $reconnected times: $log");
	cmp_ok($reconnected, '<=', 1, "client $client: at most one new connection");
	ok(first_ones($text) eq substr($all, length($stream)), "client $client: nothing lost, all in order, byte-equal");
	is(broken_repeats($text), '', "client $client: repeats are whole transactions");
}
note("walsenders before: $before, after: $now");

$standby->stop;
done_testing();
