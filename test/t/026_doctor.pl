# What domev.doctor says of servers in wrong states, to a plain role, and on a standby. What is wrong in a database is in sql/doctor.sql.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('ill', '--wal-segsize=1');
my $bound = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'});

# Status and text of a check's findings.
sub diagnosis
{
	my ($check, $before, $on) = @_;

	return ($on // $node)->safe_psql('postgres',
		($before // '') . "SELECT status, what FROM domev.doctor() WHERE check_name = '$check'");
}

sub unknown
{
	my ($on, $before) = @_;

	return $on->safe_psql('postgres', ($before // '') . "SELECT count(*), count(*) FILTER (WHERE status = 'unknown') FROM domev.doctor()");
}

# Settings that need a restart.
sub restart_with
{
	$node->append_conf('postgresql.conf', "$_[0]\n");
	$node->restart;
	return;
}

$node->safe_psql('postgres', q{CREATE EXTENSION domev; CREATE ROLE plain; CREATE ROLE sender REPLICATION LOGIN;
	SELECT domev.create_topic('t', 'internal'), domev.create_event_type('e', 'a', 't')});

# ---------------------------------------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------------------------------------

is(diagnosis('autovacuum'), 'ok|autovacuum is on', 'autovacuum on');
set($node, 'autovacuum = off');
is(diagnosis('autovacuum'), 'warning|autovacuum is off', 'autovacuum off');

is(diagnosis('temp_file_limit'), 'ok|publishers may have temporary files of any size', 'temp_file_limit unlimited');
set($node, "temp_file_limit = '1GB'");
like(diagnosis('temp_file_limit'), qr/^warning\|it is 1048576 for role "sender", /, 'temp_file_limit for all');
set($node, 'temp_file_limit = -1');

SKIP:
{
	skip 'a server without output_plugin_libraries', 8 unless $bound;
	is(diagnosis('output_plugin_libraries'), 'ok|slots may have the plugin domev', 'domev is listed');
	is(diagnosis('output_plugin_libraries', 'SET ROLE plain; '), 'ok|slots may have the plugin domev', 'which a plain role is told');
	foreach my $good (q{'domev'}, q{'pgoutput,domev,x'}, q{'"domev"'}, q{'"x,y", "domev"'})
	{
		set($node, "output_plugin_libraries = $good");
		like(diagnosis('output_plugin_libraries'), qr/^ok/, "$good lists it");
	}
	foreach my $bad (q{'pgoutput'}, q{'domev2, my_domev'})
	{
		set($node, "output_plugin_libraries = $bad");
		is(diagnosis('output_plugin_libraries'), 'error|it does not list domev', "$bad does not");
	}

	# as one writes it in SQL, and should not
	$node->safe_psql('postgres', q{ALTER SYSTEM SET output_plugin_libraries = 'pgoutput, test_decoding, domev'});
	$node->reload;
	wait_until('the trap is set', sub { $node->safe_psql('postgres', 'SHOW output_plugin_libraries') =~ /test_decoding/ });
	is(diagnosis('output_plugin_libraries'), 'error|it has one element "pgoutput, test_decoding, domev", which is the name of no library', 'the trap');
	$node->safe_psql('postgres', q{ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, domev});
	$node->reload;
	wait_until('it is mended', sub { diagnosis('output_plugin_libraries') =~ /^ok/ });

	is(diagnosis('replication_roles'), 'warning|role "sender" has REPLICATION, and may load any plugin', 'a role that is not bound');
	$node->safe_psql('postgres', 'ALTER ROLE sender SET output_plugin_libraries = domev');
	like(diagnosis('replication_roles'), qr/^ok/, 'bound');
}

# no slots, and no WAL for them
restart_with("wal_level = minimal\nmax_wal_senders = 0");
is(diagnosis('wal_level'), 'warning|wal_level is minimal', 'wal_level, with table topics');
$node->safe_psql('postgres', q{SELECT domev.create_topic('w', 'internal', 'wal')});
is(diagnosis('wal_level'), 'error|wal_level is minimal', 'wal_level, with a WAL topic');
is(unknown($node) =~ s/^\d+//r, '|0', 'all can be looked at');
restart_with("wal_level = replica\nmax_wal_senders = 10");
# a release candidate of 19 is less than 19
like(diagnosis('wal_level'), $node->safe_psql('postgres', 'SHOW server_version_num') < 190000 ? qr/^error\|wal_level is replica$/ : qr/^ok/, 'replica is enough from 19 on');
restart_with('wal_level = logical');
like(diagnosis('wal_level'), qr/^ok/, 'logical');
$node->safe_psql('postgres', q{SELECT domev.drop_topic('w')});

# ---------------------------------------------------------------------------------------------------------------------
# Slots
# ---------------------------------------------------------------------------------------------------------------------

restart_with("max_replication_slots = 2\nmax_wal_senders = 2");
like(diagnosis($_), qr/^ok/, "$_, none in use") foreach ('free_slots', 'free_walsenders');
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('one', 'domev'), pg_create_logical_replication_slot('two', 'pgoutput')});
is(diagnosis('free_slots'), 'warning|2 of max_replication_slots = 2 are in use', 'slots in use');
like(diagnosis('slot_inactive'), qr/^warning\|nobody reads slot "one".*\nwarning\|nobody reads slot "two"/, 'nobody reads them');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('two')});

my $client = start_client($node, 'one', 'one', '--no-loop');
wait_until('the client is connected', sub { diagnosis('slot_inactive') eq 'ok|all slots are being read' });
pass('it is read');
my $client_columns = "SELECT active, active_pid IS NOT NULL, application_name <> '' AND usename = current_setting('session_authorization'), lag_bytes >= 0 FROM domev.publishers";
is($node->safe_psql('postgres', $client_columns), 't|t|t|t', 'by whom');
is($node->safe_psql('postgres', "SET ROLE plain; $client_columns"), 't|t|t|t', 'a plain role may know that');
$node->safe_psql('postgres', q{SELECT domev.emit('e', '1')});
wait_until('it has confirmed', sub { $node->safe_psql('postgres', q{SELECT lag_bytes = 0 OR confirmed_age < '1 min' FROM domev.publishers}) eq 't' });
restart_with('max_wal_senders = 1');
stop_client($client);
$client = start_client($node, 'one', 'one', '--no-loop');
wait_until('the client is connected', sub { diagnosis('free_walsenders') eq 'warning|1 of max_wal_senders = 1 are in use' });
pass('walsenders in use');
stop_client($client);
wait_until('it is gone', sub { diagnosis('free_walsenders') =~ /^ok/ });
restart_with("max_replication_slots = 10\nmax_wal_senders = 10");

# Lost, by WAL.
is(diagnosis('slot_limit'), 'warning|max_slot_wal_keep_size is unlimited', 'unlimited');
set($node, "checkpoint_timeout = 1h\nmin_wal_size = 2MB\nmax_wal_size = 2MB");
like(diagnosis('slot_lost'), qr/^ok/, 'not lost');
foreach (1 .. 8)
{
	$node->safe_psql('postgres', q{SELECT pg_logical_emit_message(false, 'not of domev', 'WAL')});
	$node->safe_psql('postgres', q{SELECT pg_switch_wal()});
}
$node->safe_psql('postgres', 'CHECKPOINT');    # or one that so much WAL has asked for could come later, and take the slot
set($node, 'max_slot_wal_keep_size = 4MB');
like(diagnosis('slot_limit'), qr/^ok/, 'limited');
is(diagnosis('slot_lost'), 'warning|slot "one" keeps more than max_slot_wal_keep_size', 'it may be lost');
like($node->safe_psql('postgres', 'SELECT retained_bytes > 4000000, lag_bytes > 4000000, safe_wal_size <= 0, wal_status, invalidation_reason FROM domev.publishers'),
	qr/^t\|t\|t?\|unreserved\|$/, 'as its numbers say');
wait_until('it is lost', sub { $node->safe_psql('postgres', 'CHECKPOINT'); diagnosis('slot_lost') =~ /^error/ });
my $reason = $node->pg_version < 17 ? 'lost' : 'wal_removed';
is(diagnosis('slot_lost'), qq{error|slot "one" is lost ($reason)}, 'lost');
is(diagnosis('slot_lost', 'SET ROLE plain; '), qq{error|slot "one" is lost ($reason)}, 'which a plain role is told');
is($node->safe_psql('postgres', 'SELECT wal_status, invalidation_reason, restart_lsn IS NULL, retained_bytes FROM domev.publishers'), "lost|$reason|t|", 'as the view says')
	if $node->pg_version < 17;
is($node->safe_psql('postgres', 'SELECT wal_status, invalidation_reason FROM domev.publishers'), "lost|$reason", 'and why');
like(diagnosis('slot_inactive'), qr/^ok/, 'that nobody reads it does not count any more');
$node->safe_psql('postgres', q{SELECT domev.create_topic('w', 'internal', 'wal')});
like(diagnosis('wal_topics'), qr/^error\|topic "w" /, 'a lost slot reads no WAL topic');
$node->safe_psql('postgres', q{SELECT domev.drop_topic('w'), pg_drop_replication_slot('one')});
set($node, "max_slot_wal_keep_size = -1\nmax_wal_size = 1GB");

# Lost, by time.
like(diagnosis('idle_timeout'), qr/^ok/, 'no timeout');
if ($node->pg_version >= 18)
{
	set($node, "idle_replication_slot_timeout = '1h'");
	is(diagnosis('idle_timeout'), 'warning|idle_replication_slot_timeout is 01:00:00', 'a short one');
	set($node, "idle_replication_slot_timeout = '2d'");
	like(diagnosis('idle_timeout'), qr/^ok/, 'a long one');
}

# ---------------------------------------------------------------------------------------------------------------------
# Retention: no partition for what will be emitted soon
# ---------------------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', q{SELECT domev.set_retention('1 day', '7 days')});
like(diagnosis('partitions', 'SET ROLE plain; '), qr/^warning\|there is no partition of domev.outbox for the events of /, 'no partition for tomorrow');
$node->safe_psql('postgres', q{SELECT domev.maintain()});
like(diagnosis('partitions'), qr/^ok/, 'there is one');

# ---------------------------------------------------------------------------------------------------------------------
# A standby, a plain role, a read-only transaction, a lock
# ---------------------------------------------------------------------------------------------------------------------

set($node, "autovacuum = on");
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('publisher', 'domev')});
like(diagnosis('slot_failover'), qr/^ok/, 'without a standby');
my $standby = new_standby($node, 'standby');
if ($node->pg_version >= 17)
{
	is(diagnosis('slot_failover'), 'warning|slot "publisher" is no failover slot', 'a slot that does not follow');
	$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('publisher'), pg_create_logical_replication_slot('publisher', 'domev', failover => true)});
	is(diagnosis('slot_failover'), 'warning|slot "publisher" is a failover slot, and synchronized_standby_slots is empty', 'one that may be ahead');
	set($node, "synchronized_standby_slots = 'standby'");
	like(diagnosis('slot_failover'), qr/^ok/, 'one that is not');
	$standby->stop;
	wait_until_free($node, 'postgres', 'standby');
	is(diagnosis('slot_failover', 'SET ROLE plain; '), 'warning|publishers of failover slots wait for the standby of slot "standby"', 'one that waits for a standby that is down');
	$standby->start;
	wait_until('the standby is back', sub { $node->safe_psql('postgres', q{SELECT active FROM pg_replication_slots WHERE slot_name = 'standby'}) eq 't' });

	# As after a promotion: the setting came with the base backup, the slot did not.
	set($node, "synchronized_standby_slots = 'Standby, gone'");
	is(diagnosis('slot_failover', 'SET ROLE plain; '), 'error|synchronized_standby_slots names "gone", and there is no such physical slot', 'one that waits for ever');
	set($node, "synchronized_standby_slots = 'standby'");
	like(diagnosis('slot_failover'), qr/^ok/, 'one that does not wait');
}
else
{
	like(diagnosis('slot_failover'), qr/^ok/, 'a server without failover slots');
}
$node->wait_for_catchup('standby', 'replay', $node->lsn('insert')) if $node->pg_version < 17;
$node->wait_for_replay_catchup($standby) if $node->pg_version >= 17;
my $all = unknown($node);
is(unknown($standby), $all, 'on a standby everything can be looked at') or diag($standby->safe_psql('postgres', 'SELECT * FROM domev.doctor()'));
is(unknown($standby, 'SET ROLE plain; '), $all, 'by a plain role, too');
is(unknown($node, 'SET ROLE plain; '), $all, 'on the primary, too');
is(unknown($node, 'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE; '), $all, 'in a read-only transaction, too');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM domev.publishers'), '0', 'no publishers there');
if ($node->pg_version >= 16)
{
	my $making = start_psql($standby, q{SELECT pg_create_logical_replication_slot('there', 'domev')});

	wait_until('the standby has a slot', sub {
		$node->safe_psql('postgres', 'SELECT pg_log_standby_snapshot()');
		return $standby->safe_psql('postgres', q{SELECT count(*) FROM domev.publishers WHERE lag_bytes >= 0 AND retained_bytes >= 0}) eq '1';
	});
	$making->finish;
	like(diagnosis('slot_inactive', '', $standby), qr/^warning\|nobody reads slot "there"/, 'a slot of the standby');
}

# What is locked is unknown to who does not want to wait, and the rest is known.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK domev.failed_mapping');
is($node->safe_psql('postgres', q{SET lock_timeout = '100ms'; SELECT string_agg(check_name, ' ') FROM domev.doctor() WHERE status = 'unknown'}),
	'dead_end view_missing mapping_disabled failed_mappings source', 'a table is locked');
my ($status, undef, $err) = $node->psql('postgres', q{SET statement_timeout = '300ms'; SELECT count(*) FROM domev.doctor()});
like($err, qr/canceling statement due to statement timeout/, 'whoever cancels is obeyed');
$holder->quit;

$standby->stop;
$node->stop;
done_testing();
