# What domev's TAP tests share: a server with the right settings, and reading a slot with pg_recvlogical.
package DomevTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_server receive subjects wait_until wait_until_free);

# A running server; options are initdb's.
sub new_server
{
	my ($name, @initdb) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 'logical', extra => [@initdb]);
	$node->append_conf('postgresql.conf', slurp_file('test/domev.conf'));
	$node->start;
	return $node;
}

# All that the slot has up to now, an event a line, as pg_recvlogical gets it and acknowledges it.
sub receive
{
	my ($node, $dbname, $slot, %options) = @_;
	my $end = $node->safe_psql($dbname, 'SELECT pg_current_wal_lsn()');

	wait_until_free($node, $dbname, $slot);

	# in a list it would return more, and not die when the client fails
	return scalar $node->pg_recvlogical_upto($dbname, $slot, $end,
		$PostgreSQL::Test::Utils::timeout_default, %options);
}

# The subjects of events, in their order.
sub subjects
{
	return join(' ', $_[0] =~ /"subject":"([^"]*)"/g);
}

# Waits for a condition; fails the test when it does not come true in time.
sub wait_until
{
	my ($what, $condition) = @_;

	for (my $i = 0; $i < 10 * $PostgreSQL::Test::Utils::timeout_default; $i++)
	{
		return if $condition->();
		usleep(100_000);
	}
	BAIL_OUT("timed out waiting until $what");
}

# Waits until nobody reads a slot: a client that was interrupted is gone before the server has noticed.
sub wait_until_free
{
	my ($node, $dbname, $slot) = @_;

	wait_until("slot $slot is free",
		sub { $node->safe_psql($dbname, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot' AND active") eq '0' });
	return;
}

1;
