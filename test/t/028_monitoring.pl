# examples/monitoring: each query for postgres_exporter runs, by the role that doc/monitoring.md makes, and has the columns that it says;
# the dashboard, and the page's alerts, ask for metrics that there are.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevStandby;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $queries = slurp_file('examples/monitoring/queries.yaml');
my $dashboard = slurp_file('examples/monitoring/grafana.json');
my $page = slurp_file('doc/monitoring.md');
my ($grants) = $page =~ /^```sql\n(CREATE ROLE exporter .*?)^```$/ms;
my $node = new_server('monitored');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'domev'\n");
$node->restart;

# Something for each query to tell.
$node->safe_psql('postgres', "CREATE EXTENSION domev; $grants");
$node->safe_psql('postgres', q{
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', jsonb_build_object('inverse', 1 / (e.payload->>'n')::int))).*; END;
	SELECT domev.create_topic('t'), domev.create_event_type('e', 'a'), domev.create_mapping('m', 'e', 'public.m', 't', on_error => 'record');
	SELECT pg_create_logical_replication_slot('s', 'domev');
	SELECT count(domev.emit('e', '1', jsonb_build_object('n', i % 2))) FROM generate_series(1, 10) AS i;
	SELECT count(*) FROM pg_logical_slot_get_changes('s', NULL, NULL);
});

# The file has one layout, which is all of YAML that is read here.
my %metrics;    # usage by name
my $queries_found = 0;
like($queries, qr/^(?:#.*\n)+(?:\ndomev_\w+:\n  query: \|\n(?:    \S.*\n|      +\S.*\n)+  metrics:\n(?:    - \w+:\n        usage: (?:LABEL|GAUGE|COUNTER)\n        description: \S[^:#]*\n)+)+\z/,
	'the layout of queries.yaml');
while ($queries =~ /^(domev_\w+):\n  query: \|\n((?: {4}.*\n)+?)  metrics:\n((?: {4,}.*\n)+)/mg)
{
	my ($name, $query, $columns) = ($1, $2, $3);
	my @columns = $columns =~ /^    - (\w+):$/mg;
	my @usages = $columns =~ /^        usage: (\w+)$/mg;

	$queries_found++;
	my $rows = $node->safe_psql('postgres', "SET ROLE exporter; SELECT to_json(q) FROM ($query) AS q");
	my ($first) = split("\n", $rows);
	is(join(' ', ($first // '') =~ /"(\w+)":/g), join(' ', @columns), "$name: has these columns, and a row");

	# numbers, but for labels; no label twice
	foreach my $i (0 .. $#columns)
	{
		is($node->safe_psql('postgres', "SET ROLE exporter; SELECT bool_and($columns[$i] IS NULL OR $columns[$i]::float8 >= 0) FROM ($query) AS q"), 't',
			"$name: $columns[$i] is a number") if $usages[$i] ne 'LABEL';
		$metrics{"$name" . "_$columns[$i]"} = $usages[$i];
	}
	my ($label) = map { $columns[$_] } grep { $usages[$_] eq 'LABEL' } (0 .. $#columns);
	is($node->safe_psql('postgres', "SELECT count(*) = count(DISTINCT $label) FROM ($query) AS q"), 't', "$name: $label tells the rows apart");
}
is($queries_found, scalar(() = $queries =~ /^\w+:$/mg), 'all queries');
is($node->safe_psql('postgres', q{SET ROLE exporter; SELECT calls, failures FROM domev.mapping_stats}), '10|5', 'the values are there');

# All metrics are used; those that are used are there, and of the right kind.
sub uses
{
	my ($text) = @_;

	return $text =~ /\b(domev_(?:publisher|slot|mapping|failed_mapping|outbox|doctor)_\w+)/g;
}

is($node->safe_psql('postgres', "SELECT json_typeof(\$json\$$dashboard\$json\$::json)"), 'object', 'the dashboard is JSON');
my @expressions = split("\n", $node->safe_psql('postgres',
	"SELECT t->>'expr' FROM jsonb_path_query(\$json\$$dashboard\$json\$, '\$.panels[*].targets[*]') AS t"));
cmp_ok(scalar(@expressions), '>=', 15, 'expressions');
my %used = map { $_ => 1 } map { uses($_) } @expressions;
is(join(' ', grep { !$metrics{$_} || $metrics{$_} eq 'LABEL' } sort keys %used), '', 'the dashboard shows metrics that there are');
is(join(' ', grep { !$used{$_} && $metrics{$_} ne 'LABEL' } sort keys %metrics), '', 'and all of them');
foreach my $expression (@expressions)
{
	foreach my $metric (uses($expression))
	{
		my $is_rate = $expression =~ /rate\(\Q$metric\E\{/ ? 1 : 0;

		is($is_rate, $metrics{$metric} eq 'COUNTER' ? 1 : 0, "rates of counters only: $metric");
	}
	foreach my $label ($expression =~ /by \((\w+)\)/)
	{
		like($label, qr/^instance$|^check_name$/, 'a label');
	}
}
foreach my $legend ($dashboard =~ /"legendFormat": "[^"]*\{\{(\w+)\}\}/g)
{
	ok((grep { /_\Q$legend\E$/ && $metrics{$_} eq 'LABEL' } keys %metrics), "legend $legend is a label");
}
is(join(' ', grep { !$metrics{$_} } uses($page)), '', 'the page names metrics that there are');

$node->stop;
done_testing();
