# What the tests of standbys share: making one, clients that stay connected, and judging what they received.
package DomevStandby;

use strict;
use warnings;

use DomevTest;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(needs_version set new_standby start_psql start_client stop_client received events first_ones broken_repeats);

# Skips the whole test on servers that cannot do what it tests.
sub needs_version
{
	my ($version, $what) = @_;

	plan skip_all => "$what needs PostgreSQL $version" if PostgreSQL::Test::Cluster->new('none')->pg_version < $version;
	return;
}

# Changes settings of a running server; sessions that start from now on have them.
sub set
{
	my ($node, $lines) = @_;
	my $loaded = sub { return $node->safe_psql('postgres', 'SELECT pg_conf_load_time()') };
	my $before = $loaded->();

	$node->append_conf('postgresql.conf', "$lines\n");
	$node->reload;
	wait_until('the configuration is loaded', sub { $loaded->() ne $before });
	return;
}

# A running standby, streaming through a physical slot of its own name.
sub new_standby
{
	my ($primary, $name, $conf) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('$name', true)");
	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);

	# the worker that synchronizes slots wants to know a database
	$standby->append_conf('postgresql.conf',
		sprintf("primary_conninfo = '%s'\nprimary_slot_name = '%s'\nhot_standby_feedback = on\n%s\n",
			$primary->connstr('postgres') =~ s/'/''/gr, $name, $conf // ''));
	$standby->start;
	return $standby;
}

# A session that goes on for long, perhaps until its server goes away; its output is for whoever gives a reference.
sub start_psql
{
	my ($node, $sql, $out) = @_;

	$out //= \my $nothing;
	$$out = '';
	return IPC::Run::start([ 'psql', '-XAtqd', $node->connstr('postgres'), '-c', $sql ], '<', \undef, '>', $out, '2>', \my $err);
}

# A pg_recvlogical that writes to a file, appending to what is there, until it is stopped.
sub start_client
{
	my ($node, $slot, $name, @more) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.events";

	wait_until_free($node, 'postgres', $slot);
	return {
		file => $file,
		run => IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', $slot, '--start', '-f', $file,
				'-F', '1', '-s', '1', @more ], '<', \undef, '>', \my $nothing, '2>', "$file.log")
	};
}

# It acknowledges what it has, and leaves.
sub stop_client
{
	my ($client) = @_;

	$client->{run}->signal('INT');
	$client->{run}->finish;
	return;
}

# The lines that the client has whole.
sub received
{
	my ($client) = @_;

	return '' unless -e $client->{file};
	return slurp_file($client->{file}) =~ s/[^\n]*\z//r;
}

# Events as hashes of what they are told apart by.
sub events
{
	my ($text) = @_;
	my @events;

	foreach my $line (split("\n", $text))
	{
		my %event = (line => $line);

		@event{qw(id)} = $line =~ /"id":"([^"]*)"/;
		@event{qw(transaction index)} = $line =~ /"sequence":"([0-9A-F]{16})\.([0-9A-F]{8})"/;
		$event{last} = $line =~ /"endoftransaction":true\}$/ ? 1 : 0;
		die "not an event: $line" unless defined $event{id} && defined $event{transaction};
		push @events, \%event;
	}
	return @events;
}

# The events without their repetitions, as a consumer that dedupes by id has them.
sub first_ones
{
	my ($text) = @_;
	my %seen;

	return join('', map { "$_->{line}\n" } grep { !$seen{ $_->{id} }++ } events($text));
}

# What is wrong with how events repeat: each time that a transaction is sent it must be whole and of the same bytes.  One that
# the connection's end cut off may be a beginning, and must come again.
sub broken_repeats
{
	my ($text) = @_;
	my (@sendings, %whole, @wrong);
	my $before;

	foreach my $event (events($text))
	{
		if (!defined $before || $before->{last} || $event->{transaction} ne $before->{transaction} || $event->{index} le $before->{index})
		{
			push @sendings, { transaction => $event->{transaction}, text => '' };
		}
		$sendings[-1]{text} .= "$event->{line}\n";
		$sendings[-1]{whole} = $event->{last};
		$before = $event;
	}
	foreach my $sending (grep { $_->{whole} } @sendings)
	{
		my $first = $whole{ $sending->{transaction} } //= $sending->{text};

		push @wrong, "transaction $sending->{transaction} differs when repeated" if $first ne $sending->{text};
	}
	foreach my $sending (grep { !$_->{whole} } @sendings)
	{
		my $all = $whole{ $sending->{transaction} } // '';

		push @wrong, "transaction $sending->{transaction} was cut" if index($all, $sending->{text}) != 0;
	}
	return join("\n", @wrong);
}

1;
