# Four publishers, each with a shard and a slot of its own, feed one topic: nothing is lost, each key comes from one of them and in the
# order of its commits; when one is killed, when decoding moves to a standby, and when there are six.  As in examples/sharded-publishers,
# whose SQL it is, too.
use strict;
use warnings;

use Compress::Zlib qw(crc32);
use Cwd qw(getcwd);
use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use IO::Select;
use IO::Socket::INET;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $example = 'examples/sharded-publishers';
my $sources = getcwd() . '/examples/publishers/libpq';
my $publisher = "$PostgreSQL::Test::Utils::tmp_check/publish";
my $page = slurp_file("$example/README.md");
my $keys = 60;
my $sessions = 4;

run_log([ 'make', '-s', '-C', $PostgreSQL::Test::Utils::tmp_check, '-f', "$sources/Makefile", "VPATH=$sources", 'publish' ]) or
	BAIL_OUT('the publisher cannot be built');

my $primary = new_server('primary');
$primary->append_conf('postgresql.conf', "max_replication_slots = 20\nmax_wal_senders = 20\nautovacuum = off\n");
$primary->restart;
$primary->safe_psql('postgres', qq{
	CREATE EXTENSION domev;
	CREATE FUNCTION changed(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('shop.order-changed', '{}')).*; END;
	SELECT domev.create_topic('shop.orders'), domev.create_event_type('order.changed', 'order', journal => false);
	SELECT domev.create_mapping('order-changed', 'order.changed', 'public.changed', 'shop.orders', produces => '{shop.order-changed}');
	CREATE TABLE orders (id int PRIMARY KEY, version int NOT NULL);
	INSERT INTO orders SELECT i, 0 FROM generate_series(0, $keys - 1) AS i;
	CREATE TABLE ledger (event_id text, order_id text, version int);
	CREATE TABLE stopped AS SELECT false AS stop;
});

# ---------------------------------------------------------------------------------------------------------------------
# The load, the broker, the publishers.
# ---------------------------------------------------------------------------------------------------------------------

# Each transaction changes some orders, which it locks in the order of their keys, and every seventh is rolled back.
my $load_sql = qq{
	DO \$\$
	DECLARE
		o int;
	BEGIN
		FOR i IN 1..1000000 LOOP
			EXIT WHEN (SELECT stop FROM stopped);
			FOR o IN SELECT DISTINCT floor(random() * $keys)::int AS o FROM generate_series(0, i % 4) ORDER BY o LOOP
				WITH changed AS (UPDATE orders SET version = version + 1 WHERE id = o RETURNING version)
				INSERT INTO ledger SELECT domev.emit('order.changed', o, aggregate_version => version), o, version FROM changed;
			END LOOP;
			IF i % 7 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
			PERFORM pg_sleep(0.004);
		END LOOP;
	END \$\$};

sub start_load
{
	$primary->safe_psql('postgres', 'UPDATE stopped SET stop = false');
	return [ map { start_psql($primary, $load_sql) } 1 .. $sessions ];
}

sub stop_load
{
	my ($load) = @_;

	$primary->safe_psql('postgres', 'UPDATE stopped SET stop = true');
	$_->finish or BAIL_OUT('the load failed') foreach @$load;
	return;
}

my $arrived = "$PostgreSQL::Test::Utils::tmp_check/arrived";

# A stand-in for a broker: it appends what arrives to a file, behind the number of the connection, and then answers.  Between SIGUSR1
# and SIGUSR2 it answers nobody.  It says when nobody is connected any more.
sub serve
{
	my ($listener) = @_;
	my $select = IO::Select->new($listener);
	my (%number, %rest, $connections, @held);
	my $holding = 0;
	my $answer = sub { syswrite($_[0], "ok\n") if defined fileno($_[0]) };

	open(my $file, '>', $arrived) or die "no $arrived: $!";
	$file->autoflush(1);
	local $SIG{PIPE} = 'IGNORE';
	local $SIG{USR1} = sub { $holding = 1; print $file "hold\n" };
	local $SIG{USR2} = sub { $holding = 0 };
	while (1)
	{
		$answer->($_) foreach $holding ? () : splice(@held);
		foreach my $socket ($select->can_read(0.1))
		{
			if ($socket == $listener)
			{
				my $connection = $listener->accept or next;
				$number{$connection} = ++$connections;
				$rest{$connection} = '';
				$select->add($connection);
			}
			elsif (!sysread($socket, $rest{$socket}, 65536, length($rest{$socket})))
			{
				$select->remove($socket);
				$socket->close;
				print $file "idle\n" if $select->count == 1;
			}
			else
			{
				while ($rest{$socket} =~ s/^([^\n]*)\n//)
				{
					print $file "$number{$socket} $1\n";
					if ($holding) { push @held, $socket; }
					else { $answer->($socket); }
				}
			}
		}
	}
	return;
}

my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp') or BAIL_OUT("no broker: $!");
my $broker = fork() // BAIL_OUT("no broker: $!");
if ($broker == 0)
{
	serve($listener);
	POSIX::_exit(0);
}

my @running;

# Nothing goes on when the test has ended, however it did.
END
{
	my $status = $?;

	$_->signal('TERM') foreach @running;
	kill('KILL', $broker) if $broker;
	waitpid($broker, 0) if $broker;
	$? = $status;
}

sub start_publishers
{
	my ($node, $shards) = @_;
	my %run = (log => "$PostgreSQL::Test::Utils::tmp_check/shards-" . $node->name . "-$shards.log");

	local $ENV{DOMEV_CONNECTION} = $node->connstr('postgres');
	local $ENV{DOMEV_BROKER} = '127.0.0.1:' . $listener->sockport;
	$run{run} = IPC::Run::start([ "$example/shards.sh", $shards, $publisher ], '<', \undef, '>', $run{log}, '2>&1');
	push @running, $run{run};
	return \%run;
}

# The process that a shard has had last.
sub process_of
{
	my ($publishers, $shard) = @_;
	my @processes = slurp_file($publishers->{log}) =~ /^shard $shard of \d+: process (\d+)$/mg;

	return $processes[-1] // BAIL_OUT("shard $shard has no process");
}

sub stop_publishers
{
	my ($publishers) = @_;

	$publishers->{run}->signal('TERM');
	$publishers->{run}->finish;
	@running = ();
	wait_until('the broker has read all', sub { slurp_file($arrived) =~ /^idle\n\z/m });
	return;
}

# ---------------------------------------------------------------------------------------------------------------------
# What arrived, from a position in the file on.
# ---------------------------------------------------------------------------------------------------------------------

sub arrivals
{
	my ($from) = @_;
	my $text = substr(slurp_file($arrived), $from // 0) =~ s/[^\n]*\z//r;
	my @arrivals;

	foreach my $line (grep { $_ ne 'hold' && $_ ne 'idle' } split("\n", $text))
	{
		my ($connection, $event) = split(/ /, $line, 2);
		my ($id, $key, $cause, $version) = map { $event =~ /"$_":"?([^",]*)/ ? $1 : die "no $_: $event" } qw(id partitionkey causationid aggregateversion);

		push @arrivals, { connection => $connection, event => $event, id => $id, key => $key, cause => $cause, version => $version };
	}
	return @arrivals;
}

sub count_arrived { return -e $arrived ? slurp_file($arrived) =~ tr/\n// : 0; }

# Stops the load and waits until all publishers have acknowledged what was written by then.
sub finish_load
{
	my ($load, $node, $shards) = @_;

	stop_load($load);
	my $end = $primary->lsn('flush');
	wait_until('all publishers have caught up', sub {
		$node->safe_psql('postgres', "SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'logical' AND confirmed_flush_lsn >= '$end'") == $shards;
	});
	return;
}

# What must hold at any time when the load has ended.
sub check_all
{
	my ($when) = @_;
	my (%latest, %seen, $overtaken);
	my %ledger = map { $_ => 1 } split("\n", $primary->safe_psql('postgres', q{SELECT order_id || ' ' || version || ' ' || event_id FROM ledger}));

	foreach my $arrival (grep { !$seen{"$_->{key} $_->{version} $_->{cause}"}++ } arrivals())
	{
		$overtaken++ if $arrival->{version} < ($latest{ $arrival->{key} } // 0);
		$latest{ $arrival->{key} } = $arrival->{version};
	}
	is(scalar(grep { !$seen{$_} } keys %ledger), 0, "$when: each committed event is published");
	is(scalar(grep { !$ledger{$_} } keys %seen), 0, "$when: and no other");
	is($overtaken // 0, 0, "$when: those of a key in the order of their commits");
	return;
}

# The arrivals of each shard since then, by the hash that is documented; each connection brought those of one.
sub check_shards
{
	my ($when, $from, $shards) = @_;
	my (@texts, %shards_of);

	foreach my $arrival (arrivals($from))
	{
		my $shard = crc32($arrival->{key}) % $shards;

		$shards_of{ $arrival->{connection} }{$shard} = 1;
		$texts[$shard] .= "$arrival->{event}\n";
	}
	is(scalar(grep { keys %$_ > 1 } values %shards_of), 0, "$when: each publisher has brought the keys of one shard");
	is(join("\n", grep { $_ ne '' } map { broken_repeats($_) } grep { defined } @texts), '', "$when: transactions are whole, also when they are repeated");
	is(scalar(grep { defined } @texts), $shards, "$when: from all $shards shards");
	return map { $_ // '' } @texts;
}

sub repeated { my ($text) = @_; return scalar(events($text)) - scalar(events(first_ones($text))); }

sub wait_for_more
{
	my ($count) = @_;
	my $had = count_arrived();

	wait_until("$count more events", sub { count_arrived() >= $had + $count });
	return;
}

# SQL of the page, by the comment that it begins with.
sub page_sql
{
	my ($comment) = @_;

	$page =~ /^```sql\n(-- \Q$comment\E\n.*?)^```$/ms or BAIL_OUT("the page has no \"$comment\"");
	return $1;
}

# ---------------------------------------------------------------------------------------------------------------------
# One of four is killed.
# ---------------------------------------------------------------------------------------------------------------------

$primary->safe_psql('postgres', page_sql('four slots'));
my $publishers = start_publishers($primary, 4);
my $load = start_load();
wait_for_more(800);
my $victim = process_of($publishers, 2);
kill('USR1', $broker);
wait_until('the broker has an event of shard 2 that it has not answered', sub {
	my $held = index(slurp_file($arrived), "hold\n");
	return $held >= 0 && grep { crc32($_->{key}) % 4 == 2 } arrivals($held);
});
kill('KILL', $victim);
wait_until('it is started anew', sub { process_of($publishers, 2) != $victim });
kill('USR2', $broker);
wait_for_more(800);
finish_load($load, $primary, 4);
check_all('one killed');
my @texts = check_shards('one killed', 0, 4);
is(join(' ', map { repeated($texts[$_]) } (0, 1, 3)), '0 0 0', 'one killed: the others repeat nothing');
cmp_ok(repeated($texts[2]), '>=', 1, 'one killed: it repeats what was not answered');

# ---------------------------------------------------------------------------------------------------------------------
# Under load, decoding moves to a standby.
# ---------------------------------------------------------------------------------------------------------------------

my $node = $primary;

if ($primary->pg_version >= 16)
{
	my $standby = new_standby($primary, 'standby');

	$load = start_load();
	# the first slot waits until it knows which transactions run
	my $making = start_psql($standby, page_sql('four slots'));
	wait_until('the slots are made on the standby', sub {
		$primary->safe_psql('postgres', 'SELECT pg_log_standby_snapshot()');
		return $standby->safe_psql('postgres', 'SELECT count(confirmed_flush_lsn) FROM pg_replication_slots') == 4;
	});
	$making->finish;
	my $from = $standby->safe_psql('postgres', 'SELECT max(confirmed_flush_lsn) FROM pg_replication_slots');
	wait_until('the publishers are past that', sub {
		$primary->safe_psql('postgres', "SELECT min(confirmed_flush_lsn) >= '$from' FROM pg_replication_slots WHERE slot_type = 'logical'") eq 't';
	});
	stop_publishers($publishers);
	my $position = -s $arrived;
	wait_until('nobody reads the slots', sub { $primary->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots WHERE active AND slot_type = \'logical\'') == 0 });
	$primary->safe_psql('postgres', q{SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_type = 'logical'});
	$publishers = start_publishers($standby, 4);
	wait_for_more(800);
	wait_until('there are four walsenders of the standby', sub { $standby->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots WHERE active') == 4 });
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication'), '1', 'one of the primary, that of the standby');
	finish_load($load, $standby, 4);
	check_all('on a standby');
	check_shards('on a standby', $position, 4);
	$node = $standby;
}
else
{
	note('Decoding on a standby needs PostgreSQL 16; what follows is on the primary.');
}

# ---------------------------------------------------------------------------------------------------------------------
# Under load, four become six, while one of the four is far behind.
# ---------------------------------------------------------------------------------------------------------------------

$load = start_load();
wait_for_more(200);
my $slow = process_of($publishers, 1);
kill('STOP', $slow);
wait_for_more(500);
kill('KILL', $slow);
stop_publishers($publishers);
my $position = -s $arrived;
wait_until('nobody reads the slots', sub { $node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots WHERE active AND slot_type = \'logical\'') == 0 });
$node->safe_psql('postgres', page_sql('from four to six'));
$publishers = start_publishers($node, 6);
wait_for_more(800);
finish_load($load, $node, 6);
check_all('six');
check_shards('six', $position, 6);

stop_publishers($publishers);
$node->stop unless $node == $primary;
$primary->stop;
done_testing();
