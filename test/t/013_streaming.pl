# Large transactions, which PostgreSQL decodes in pieces before they commit: what is no event is dropped as it comes, events are
# kept until the commit, in little memory, and nothing of what is rolled back gets out.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = $ENV{DOMEV_EVENTS} // 1_000_000;
my $node = new_server('streaming');

$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', 'internal', 'wal');
	SELECT domev.create_event_type('row', 'a', 't'), domev.create_event_type('message', 'a', 'w', journal => false);
	CREATE TABLE foreign_rows (n int, t text);
	SELECT pg_create_logical_replication_slot('foreign', 'domev'), pg_create_logical_replication_slot('small', 'domev');
});

# What the server says of a slot's decoding; it tells when a client has left.
sub statistics
{
	my ($slot, $what) = @_;

	return $node->safe_psql('postgres', "SELECT $what FROM pg_stat_replication_slots WHERE slot_name = '$slot'");
}

# All of the slot with so little memory that everything is large.
sub receive_streamed
{
	local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=64kB';
	return subjects(receive($node, 'postgres', $_[0], @_[ 1 .. $#_ ]));
}

# Temporary files of the server.
sub temporary_files
{
	return grep { -f $_ } glob($node->data_dir . '/base/pgsql_tmp/*');
}

# 300,000 rows that are no events between two that are: more than PostgreSQL's memory, but nothing is written to disk for them.
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT domev.emit('row', 'before');
	INSERT INTO foreign_rows SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 300000) AS i;
	SELECT domev.emit('message', 'behind');
	COMMIT;
	SELECT pg_replication_slot_advance('small', pg_current_wal_lsn());
});
is(subjects(receive($node, 'postgres', 'foreign')), 'before behind', 'events among many foreign rows');
$node->poll_query_until('postgres', q{SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'foreign'})
	or die 'nothing was streamed';
is(statistics('foreign', 'spill_txns + spill_bytes'), '0', 'nothing was spilled');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('foreign')});

# Savepoints that are rolled back while the transaction is streamed: with messages, with rows, with both.
my $foreign = 'INSERT INTO foreign_rows SELECT i, md5(i::text) FROM generate_series(1, 2000) AS i;';
my ($row, $message) = map { my $type = $_; sub { "SELECT domev.emit('$type', '$_[0]');" } } qw(row message);
my (@sql, @expected);
foreach my $what ([ 'messages', $message ], [ 'rows', $row ], [ 'both', sub { $row->(@_) . $message->(@_) } ])
{
	my ($name, $emit) = @$what;

	push @sql, "BEGIN; $foreign " . $row->("$name-1") . "SAVEPOINT s; $foreign " . $emit->('gone') . " $foreign " . $emit->('gone')
		. " ROLLBACK TO s; $foreign " . $message->("$name-2") . " SAVEPOINT t; $foreign " . $emit->("$name-3") . " RELEASE t; $foreign COMMIT;",
		"BEGIN; $foreign SAVEPOINT s; " . $emit->('gone') . " $foreign RELEASE s; " . $emit->('gone') . " $foreign ROLLBACK;";
	push @expected, "$name-1", "$name-2", ("$name-3") x ($name eq 'both' ? 2 : 1);
}

# A subtransaction of which PostgreSQL spills a part, since it cannot stream in the middle of a large value; when that is rolled back
# later, PostgreSQL may not say so to the plugin.
my $large_value = q{(SELECT to_jsonb(string_agg(md5(random()::text), '')) FROM generate_series(1, 100000))};
push @sql, "BEGIN; " . $row->('spilled-1') . " SAVEPOINT s; SELECT count(domev.emit('message', 'gone')) FROM generate_series(1, 5000);"
	. " SELECT domev.emit('row', 'gone', $large_value); ROLLBACK TO s; " . $row->('spilled-2') . ' COMMIT;';
push @expected, 'spilled-1', 'spilled-2';

# Prepared, large: published when it is committed, or never.
push @sql, "BEGIN; $foreign " . $row->('prepared-1') . " $foreign " . $message->('prepared-2') . " PREPARE TRANSACTION 'kept';",
	"BEGIN; $foreign " . $row->('gone') . " $foreign " . $message->('gone') . " PREPARE TRANSACTION 'dropped';",
	$row->('between'), "COMMIT PREPARED 'kept';", "ROLLBACK PREPARED 'dropped';";
push @expected, 'between', 'prepared-1', 'prepared-2';

$node->safe_psql('postgres', join("\n", @sql));
{
	# as much as the subtransaction that is to be spilled takes, but for the value
	local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=4MB';
	is($node->safe_psql('postgres', q{SELECT string_agg(data::json->>'subject', ' ') FROM pg_logical_slot_peek_changes('small', NULL, NULL)}),
		"@expected", 'savepoints that were rolled back, with 4 MB');
}
# Since 18, PostgreSQL looks whether what it is to spill or stream was rolled back already.
if ($node->pg_version < 18)
{
	$node->poll_query_until('postgres', q{SELECT spill_txns > 0 AND stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'small'})
		or die 'nothing was spilled and streamed';
}
is(receive_streamed('small'), "@expected", 'savepoints that were rolled back, with 64 kB');

# The same in the middle of being streamed: a client that is connected while it happens.
my $file = $PostgreSQL::Test::Utils::tmp_check . '/streaming.out';
my $log = '';
sub connect_client
{
	my ($slot, @options) = @_;

	return IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', $slot, '--start', '-f', $file, '-F', '1', '-s', '1', @options ],
		'>', \$log, '2>', \$log);
}
sub streamed_beyond
{
	my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

	# a commit, which flushes the WAL of those that are open, too
	$node->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'not of domev', '')});
	$node->poll_query_until('postgres', "SELECT sent_lsn >= '$lsn' FROM pg_stat_replication") or die 'the client does not keep up';
}
SKIP:
{
	skip('background_psql is there since 16', 3) if $node->pg_version < 16;
	{
		local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=64kB';
		my $client = connect_client('small');
		my $session = $node->background_psql('postgres');

		$session->query_safe("BEGIN; $foreign SELECT count(domev.emit('row', 'kept-' || i)) FROM generate_series(1, 20000) AS i; $foreign");
		streamed_beyond();
		my @files = temporary_files();
		is(scalar(@files), 1, 'events of a large open transaction are in a temporary file');
		$session->query_safe("SAVEPOINT s; SELECT count(domev.emit('message', 'gone')) FROM generate_series(1, 1000); $foreign");
		streamed_beyond();
		$session->query_safe("ROLLBACK TO s; SELECT domev.emit('row', 'kept-last'); $foreign");
		streamed_beyond();
		$node->safe_psql('postgres', $row->('other'));
		wait_until('another transaction is received', sub { slurp_file($file) =~ /"subject":"other"/ });

		# The walsender dies, and with it its file; the next one starts anew.  PostgreSQL streams nothing to it before there is more WAL
		# than the client has acknowledged, which it does once a second.
		my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
		$node->poll_query_until('postgres', qq{SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = 'small'}) or die 'the client does not acknowledge';
		my $pid = $node->safe_psql('postgres', 'SELECT pid, pg_terminate_backend(pid) FROM pg_stat_replication') =~ s/\|.*//r;
		$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_replication WHERE pid = $pid)") or die 'the walsender does not die';
		$session->query_safe($foreign);
		wait_until('the next one has a file of its own, and no other is left', sub { my @now = temporary_files(); @now == 1 && $now[0] ne $files[0] });
		$session->query_safe('COMMIT');
		wait_until('all are received', sub { slurp_file($file) =~ /"kept-last"/ });
		wait_until('the file is gone', sub { !temporary_files() });
		my %seen;
		is(join(' ', grep { !$seen{$_}++ } split(' ', subjects(slurp_file($file)))), join(' ', 'other', (map { "kept-$_" } 1 .. 20000), 'kept-last'),
			'all of it, in order, and nothing else');
		$session->quit;
		$client->signal('INT');
		$client->finish;
		unlink $file;
	}
	# temp_tablespaces is of no concern: looking them up is impossible while decoding
	$node->safe_psql('postgres', q{SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''});
	$node->safe_psql('postgres', "BEGIN; SELECT count(domev.emit('row', 'elsewhere')) FROM generate_series(1, 20000); COMMIT");
	local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=64kB -c temp_tablespaces=elsewhere';
	is(scalar(() = receive($node, 'postgres', 'small') =~ /"subject":"elsewhere"/g), 20000, 'with temp_tablespaces');
}

# A million of ours in one transaction, half rows and half messages: whole, in order, in little memory.
SKIP:
{
	skip('memory is read from /proc', 3) unless -r '/proc/self/status';
	$node->safe_psql('postgres', qq{
		SELECT pg_create_logical_replication_slot('large', 'domev');
		BEGIN;
		SELECT count(domev.emit(CASE i % 2 WHEN 0 THEN 'row' ELSE 'message' END, i)) FROM generate_series(1, $events) AS i;
		COMMIT});
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	my $client = connect_client('large');
	$node->poll_query_until('postgres', "SELECT confirmed_flush_lsn >= '$end' FROM pg_replication_slots WHERE slot_name = 'large'")
		or die 'not all is received';

	my ($pid, $limit) = split(/\|/, $node->safe_psql('postgres', q{SELECT pid, pg_size_bytes(current_setting('logical_decoding_work_mem')) / 1024 FROM pg_stat_replication}));
	my %status = slurp_file("/proc/$pid/status") =~ /^(VmHWM|RssFile|RssShmem):\s*(\d+) kB/mg;
	my $peak = $status{VmHWM} - $status{RssFile} - $status{RssShmem};
	note("walsender: $status{VmHWM} kB at most, $peak without the program and shared memory, logical_decoding_work_mem $limit kB");
	SKIP:
	{
		skip('AddressSanitizer keeps what was freed', 1) if exists($ENV{ASAN_OPTIONS});
		cmp_ok($peak, '<=', $limit + 50 * 1024, 'memory of the walsender within logical_decoding_work_mem and 50 MB');
	}
	$client->signal('INT');
	$client->finish;

	my ($count, $faults, $ends) = (0, 0, 0);
	open(my $lines, '<', $file) or die "cannot open $file: $!";
	while (my $line = <$lines>)
	{
		$count++;
		$faults++ unless $line =~ /"subject":"$count".*"sequence":"[0-9A-F]{16}\.([0-9A-F]{8})"/ && hex($1) == $count - 1;
		$ends++ if $line =~ /"endoftransaction":true/;
	}
	close $lines;
	is("$count events, $faults out of order, $ends ends", "$events events, 0 out of order, 1 ends", 'a large transaction of events');
	$node->poll_query_until('postgres', q{SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'large'})
		or die 'it was not streamed';
	is(statistics('large', 'spill_bytes'), '0', 'and nothing of it was spilled by PostgreSQL');
	unlink $file;
}

$node->stop;
done_testing();
