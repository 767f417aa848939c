# A session that ends within a transaction, terminated, by a timeout, or because its client is gone, while it is idle or in the middle of an
# emit, leaves nothing: no event, no claimed id, no lock.  A commit whose wait for a synchronous standby is cancelled leaves all.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('ended_sessions');
my $id = '00000000-0000-0000-0000-000000000001';

# The lock of "holder" is what the mapping waits for.
$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE FUNCTION wait(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
	BEGIN
		IF (e).payload ? 'wait' THEN
			PERFORM pg_advisory_xact_lock(1);
		END IF;
		RETURN domev.make_integration_event('mapped');
	END $$;
	SELECT domev.create_topic('rows', 'internal'), domev.create_topic('wal', storage => 'wal'), domev.create_event_type('e', 'a', 'rows');
	SELECT domev.create_mapping('1', 'e', 'public.wait', 'wal'), domev.create_mapping('2', 'e', 'public.wait', 'wal', on_error => 'record'),
		domev.create_mapping('3', 'e', 'public.wait', 'wal', timing => 'deferred');
	SELECT pg_create_logical_replication_slot('s', 'domev');
});

# A psql that stays, with an input that does not end.
sub session
{
	my ($name, $sql) = @_;
	my $in = $sql;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=$name" ],
		'<', \$in, '>', \$out, '2>', \$err);

	$run->pump_nb;
	return { name => $name, run => $run };
}

sub is_in
{
	my ($name, $condition) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = '$name' AND $condition") eq '1';
}

sub wait_for
{
	my ($session, $what, $condition) = @_;

	wait_until("$session->{name} is $what", sub { $session->{run}->pump_nb; return is_in($session->{name}, $condition) });
}

sub signal_backend
{
	my ($session, $function) = @_;

	$node->safe_psql('postgres', "SELECT $function(pid) FROM pg_stat_activity WHERE application_name = '$session->{name}'");
}

# What is left of it, when it is gone; then its id is free, and its client is not needed any more.
sub check_gone
{
	my ($session) = @_;
	my $name = $session->{name};

	wait_until("$name is gone", sub { return $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = '$name'") eq '0' });

	# a session leaves the view a moment before its locks are free, and others are in it only when they have locks already
	wait_until("$name has no locks", sub { return $node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks
		WHERE pid NOT IN (SELECT pid FROM pg_stat_activity WHERE backend_type <> 'client backend' OR application_name = 'holder') AND pid <> pg_backend_pid()}) eq '0' });
	is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM domev.deferred), (SELECT count(*) FROM domev.idempotency), (SELECT count(*) FROM domev.failed_mapping),
		(SELECT count(*) FROM domev.outbox)}), '0|0|0|0', "$name: no row, id, or failure");
	$node->safe_psql('postgres', "BEGIN; SET LOCAL lock_timeout = '10s'; SELECT domev.emit('e', 'next', event_id => '$id'); COMMIT; DELETE FROM domev.outbox; DELETE FROM domev.idempotency");
	is(subjects(receive($node, 'postgres', 's')), 'next next next next', "$name: no event, and the next transaction has all of its own");
	$session->{run}->kill_kill;
}

# A session that is not to be seen may as well be one that has not come yet: the log tells the two apart.
sub check_timeout
{
	my ($name, $timeout, $sql) = @_;
	my $before = -s $node->logfile;
	my $session = session($name, $sql);

	wait_until("$name is ended", sub { $session->{run}->pump_nb; return slurp_file($node->logfile, $before) =~ /FATAL: +terminating connection due to $timeout timeout/ });
	check_gone($session);
}

my $emit = "SELECT domev.emit('e', 'lost', event_id => '$id'); SAVEPOINT s; SELECT domev.emit('e', 'lost')";
my $emit_and_wait = "$emit; SELECT domev.emit('e', 'lost', '{\"wait\": 1}')";
my $is_idle = "state = 'idle in transaction' AND query LIKE '%''lost'');'";    # the last one, not BEGIN
my $is_waiting = "wait_event_type = 'Lock' AND wait_event = 'advisory'";
my $holder = session('holder', "SELECT pg_advisory_lock(1);\n");

wait_for($holder, 'holding its lock', "state = 'idle' AND EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = pg_stat_activity.pid AND l.locktype = 'advisory')");

# Terminated
my $session = session('terminated_idle', "BEGIN; $emit;\n");
wait_for($session, 'idle', $is_idle);
signal_backend($session, 'pg_terminate_backend');
check_gone($session);
$session = session('terminated_emitting', "BEGIN; $emit_and_wait;\n");
wait_for($session, 'emitting', $is_waiting);
signal_backend($session, 'pg_terminate_backend');
check_gone($session);
$session = session('terminated_committing', "BEGIN; SELECT domev.alter_mapping('1', enabled => false), domev.alter_mapping('2', enabled => false); SELECT domev.emit('e', 'lost', '{\"wait\": 1}', event_id => '$id'); COMMIT;\n");
wait_for($session, 'committing', $is_waiting);
signal_backend($session, 'pg_terminate_backend');
check_gone($session);

# Timeouts that end the session
check_timeout('idle_timeout', 'idle-in-transaction', "SET idle_in_transaction_session_timeout = '100ms'; BEGIN; $emit;\n");
SKIP:
{
	skip('transaction_timeout is there since 17', 4) if $node->pg_version < 17;
	check_timeout('transaction_timeout', 'transaction', "SET transaction_timeout = '1s'; BEGIN; $emit;\n");
	check_timeout('transaction_timeout_emitting', 'transaction', "SET transaction_timeout = '1s'; BEGIN; $emit_and_wait;\n");
}

# The client is gone
$session = session('vanished_idle', "BEGIN; $emit;\n");
wait_for($session, 'idle', $is_idle);
$session->{run}->signal('KILL');
check_gone($session);
$session = session('vanished_emitting', "SET client_connection_check_interval = '100ms'; BEGIN; $emit_and_wait;\n");
wait_for($session, 'emitting', $is_waiting);
$session->{run}->signal('KILL');
check_gone($session);
$holder->{run}->kill_kill;

# A commit that waits for a standby that is not there: the event can be read before the transaction is visible, and when the wait is
# cancelled both are there.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
$node->safe_psql('postgres', 'CHECKPOINT');    # by the process that tells the others to wait, when it has read the configuration
$node->safe_psql('postgres', q{SET synchronous_commit = local; CREATE TABLE t (v int)});
$session = session('waiting', "BEGIN; INSERT INTO t VALUES (1); SELECT domev.emit('e', 'committed'); COMMIT;\n");
wait_for($session, 'waiting for the standby', "wait_event = 'SyncRep'");
is(subjects(receive($node, 'postgres', 's')), 'committed committed committed committed', 'an event is read while its transaction waits for a standby');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), 0, 'which is not visible then');
signal_backend($session, 'pg_cancel_backend');
wait_for($session, 'done', "state = 'idle'");
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM domev.outbox)'), '1|1', 'row and event are there when the wait was cancelled');
$session->{run}->kill_kill;

$node->stop;
done_testing();
