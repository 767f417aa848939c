# doc/getting-started.md, played as a reader would: its shell and SQL blocks in their order, on the server that they make, show what the
# page shows.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file('doc/getting-started.md');

# What the page leaves behind when it fails in the middle: a server.
my $home = PostgreSQL::Test::Utils::tempdir_short();
END
{
	local $?;
	run([ 'pg_ctl', '-D', "$home/domev-shop/data", '-m', 'immediate', 'stop' ], '>', '/dev/null', '2>&1')
		if defined $home && -e "$home/domev-shop/data/postmaster.pid";
}

my $script = "set -euo pipefail\nexport HOME='$home'\n";
while ($page =~ /^```(\w*)\n(.*?)^```$/msg)
{
	my ($language, $block) = ($1, $2);
	my ($first) = split("\n", $block);

	ok($language eq 'sh' || $language eq 'sql', "a block that is run: $first");
	$script .= $language eq 'sql' ? "psql -XqAt -v ON_ERROR_STOP=1 <<'END OF BLOCK'\n${block}END OF BLOCK\n" : $block;
}

# Nothing of the environment of "make installcheck" but where the programs are.
my ($output, $code) = ('');
{
	delete local @ENV{ grep { /^PG/ } keys %ENV };
	run([ 'bash', '-c', $script ], '<', \undef, '>&', \$output, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	$code = $?;
}
is($code, 0, 'the page runs') or diag($output);
ok(!-e "$home/domev-shop", 'and leaves nothing');

foreach my $line ($page =~ /^ {5}(\S.*)$/mg)
{
	next if $line =~ /^"/; # the event, below
	my $pattern = join('\\|', map { quotemeta(s/^\s+|\s+$//gr) } split(/\|/, $line));

	ok($output =~ /^$pattern$/m, "it shows $line") or diag($output);
}

# The event: the same but for ids, time and position.
my ($shown) = $page =~ /^    (\{"specversion".*?"endoftransaction":true\})$/ms;
my @events = $output =~ /^(\{"specversion".*)$/mg;
my $mask = sub { return $_[0] =~ s/\n\s*//gr =~ s/[0-9a-f-]{36}|[0-9T:.-]{26}Z|[0-9A-F]{16}\./…/gr };
is(scalar(@events), 1, 'one event is received');
is($mask->($events[0] // ''), $mask->($shown), 'as it is shown');

done_testing();
