# The ways of use in examples/: each page's SQL runs as it stands there, shows what it says, and does what its test.sql checks;
# and a publisher is tried by hand, as examples/publishers says.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('examples');
my @running;    # what is to be ended with the test, however that ends

END
{
	my $status = $?;

	$_->kill_kill foreach @running;
	$? = $status;
}

# Lines as psql prints them to a person, but for widths and what differs from run to run.
my $mask = sub
{
	return map { s/^psql:.*?:\d+: //r =~ s/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/ID/gr =~ s/-{2,}/--/gr =~ s/\s+//gr }
		split("\n", $_[0]);
};

foreach my $test (sort glob('examples/*/test.sql'))
{
	my ($name) = $test =~ m{^examples/(.*)/};
	my $page = slurp_file("examples/$name/README.md");
	my $sql = join("\n", $page =~ /^```sql\n(.*?)^```$/msg);
	my @shown = $page =~ s/^```sql\n.*?^```$//msgr =~ /^((?: {4}.*\n)+)/mg;

  SKIP:
	{
		my ($missing) = grep { $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$_'") == 0 }
			grep { $_ ne 'domev' } $sql =~ /^CREATE EXTENSION (\w+);/mg;
		skip("$name: this server has no extension \"$missing\"", 1) if defined $missing;

		$node->safe_psql('postgres', qq{CREATE DATABASE "$name" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
		my ($code, $output, $messages) = $node->psql($name, "\\pset format aligned\n\\pset tuples_only off\n$sql");
		is($code, 0, "$name: the page runs") or diag($messages);
		unlike($output, qr/^ *not ok /m, "$name: no test in the page fails");
		foreach my $text (@shown)
		{
			my $first = (split("\n", $text))[0] =~ s/ +/ /gr;
			my @left = $mask->($text);

			foreach my $line ($mask->("$output\n$messages"))
			{
				shift @left if @left && $line eq $left[0];
			}
			is(join("\n", @left), '', "$name: it shows$first") or diag("$output\n$messages");
		}

		($code, $output, $messages) = $node->psql($name, slurp_file($test));
		is($code, 0, "$name: the test runs") or diag($messages);
		isnt($output, '', "$name: it tests");
		foreach my $line (split("\n", $output))
		{
			my ($ok, $sentence) = $line =~ /^(not ok|ok) - (.+)$/;
			ok(($ok // '') eq 'ok', "$name: " . ($sentence // "unexpected output: $line"));
		}

		# The name of a slot is the server's, and every page has its "publisher".
		$node->safe_psql($name,
			'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()');
	}
}

# A publisher tried by hand, as examples/publishers/README.md says: README's first event, that page's SQL, the broker that shows what
# it is sent, and psql's publisher.
SKIP:
{
	my $python = '/usr/bin/python3';
	my $publishers = 'examples/publishers';
	my ($first_event) = slurp_file('README.md') =~ /^```sql\n(CREATE TABLE customers .*?)^```$/ms;
	my ($grants) = slurp_file("$publishers/README.md") =~ /^( {4}CREATE ROLE publisher .*?)^$/ms;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my ($shown, $said, $end) = ('', '');

	skip('no python3', 1) unless -x $python;
	$node->safe_psql('postgres', q{CREATE DATABASE shop TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
	$node->safe_psql('shop', "CREATE EXTENSION domev;\n$first_event\n$grants");
	$end = $node->safe_psql('shop', 'SELECT pg_current_wal_flush_lsn()');

	local $ENV{DOMEV_CONNECTION} = $node->connstr('shop') . ' user=publisher';
	local $ENV{DOMEV_SLOT} = 'publisher';
	local $ENV{DOMEV_BROKER} = "127.0.0.1:$port";
	push @running, IPC::Run::start([ $python, '-B', "$publishers/broker.py", $port ], '>', \$shown, '2>', \$said);
	wait_until('the broker listens', sub { IO::Socket::INET->new($ENV{DOMEV_BROKER}) });
	push @running, IPC::Run::start([ "$publishers/psql/publish.sh" ], '>', \$said, '2>&1');
	wait_until('the broker shows an event', sub { $running[0]->pump_nb; $shown =~ /\n/ });
	wait_until('the slot has moved on', sub { $node->safe_psql('shop',
		"SELECT confirmed_flush_lsn >= '$end' FROM pg_replication_slots WHERE slot_name = 'publisher'") eq 't' });
	$_->kill_kill foreach splice(@running);
	like($shown, qr/^\{"specversion".*"type":"shop\.order-placed\.v1".*\}\n\z/, 'publishers: the broker shows the event that the role may read')
		or diag($said);
}

$node->stop;
done_testing();
