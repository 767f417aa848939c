# The README's SQL and that of each page of doc/ does what it says, and the reference names every function and setting.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my $node = new_server('readme');
my $sql = join("\n", $readme =~ /^```sql\n(.*?)^```$/msg);

$node->safe_psql('postgres', 'CREATE DATABASE shop');
my $output = $node->safe_psql('shop', $sql);
my @events = grep { /^\{"specversion"/ } split("\n", $output);
is(scalar(@events), 2, 'two events');
like($output, qr/^\Q{"after": {"status": "paid", "customer": 7}, "before": {"status": "placed", "customer": 7}, "changed": ["status"]}\E$/m, 'what a capture made');
like($output, qr/^order-paid-v1\|22012\|division by zero$/m, 'a failure was recorded');
like($output, qr/^published\|1$/m, 'and remapped');

# The event it shows: the same but for ids, time and position.
my ($shown) = $readme =~ /^    (\{"specversion".*?"endoftransaction":true\})$/ms;
my $mask = sub { return $_[0] =~ s/\n\s*//gr =~ s/[0-9a-f-]{36}|[0-9T:.-]{26}Z|[0-9A-F]{16}\./…/gr };
is($mask->($events[1]), $mask->($shown), 'the second is as shown');
is($node->safe_psql('shop', "SET ROLE shop_app; SELECT domev.emit('order.placed', 43) IS NOT NULL"), 't', 'the role may emit');

# Complete: every function that a user calls, and every setting.
my $reference = slurp_file('doc/reference.md');
foreach my $name (split("\n", $node->safe_psql('shop',
	q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'domev'::regnamespace AND prorettype <> 'trigger'::regtype})))
{
	like($reference, qr/^\| .*`$name\(/m, "function $name");
}
foreach my $name (split("\n", $node->safe_psql('shop', q{LOAD 'domev'; SELECT name FROM pg_settings WHERE name LIKE 'domev.%'})))
{
	like($reference, qr/^\| `\Q$name\E` /m, "setting $name");
}

# Every page of doc/ is a story of its own, whose decisive lines it shows.  (033_pages.pl plays the one that makes a server.)
foreach my $page (grep { $_ ne 'doc/getting-started.md' } glob('doc/*.md doc/ways/*.md'))
{
	my $text = slurp_file($page);
	my ($name) = $page =~ m{^doc/(.*)\.md$};
	my $blocks = join("\n", $text =~ /^```sql\n(.*?)^```$/msg);

  SKIP:
	{
		my ($missing) = grep { $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$_'") == 0 }
			grep { $_ ne 'domev' } $blocks =~ /^CREATE EXTENSION (\w+);/mg;
		skip("$page: this server has no extension \"$missing\"", 1) if defined $missing;

		$name =~ s/\W/_/g;
		$node->safe_psql('postgres', "CREATE DATABASE $name");
		$output = $node->safe_psql($name, $blocks);
		foreach my $line ($text =~ /^ {5}(\S.*)$/mg)
		{
			my $pattern = join('\\|', map { quotemeta(s/^\s+|\s+$//gr) } split(/\|/, $line));

			like($output, qr/^$pattern$/m, "$page: " . substr($line, 0, 60));
		}
	}
}

$node->stop;
done_testing();
