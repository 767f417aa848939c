# examples/inbox: a consumer that polls one database and handles in another, killed while it works, handles each event once.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';
plan skip_all => 'no python3 with psycopg2' if system("$python -c 'import psycopg2' 2>/dev/null") != 0;

my $node = new_server('consuming');

$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('postgres', 'CREATE DATABASE warehouse');
$node->safe_psql('postgres', 'CREATE ROLE warehouse_app LOGIN');
my ($shop, $warehouse) = slurp_file('examples/inbox/README.md') =~ /^```sql\n(.*?)^```$/msg;
$node->safe_psql('shop', $shop);
$node->safe_psql('warehouse', $warehouse);

my $log = "$PostgreSQL::Test::Utils::tmp_check/consumer.log";

sub start_consumer
{
	local $ENV{SHOP} = $node->connstr('shop') . ' user=warehouse_app';
	local $ENV{WAREHOUSE} = $node->connstr('warehouse') . ' user=warehouse_app';

	return IPC::Run::start([ $python, '-B', 'examples/inbox/consume.py' ], '>', '/dev/null', '2>>', $log);
}

sub shipments { return $node->safe_psql('warehouse', 'SELECT count(*) FROM shipments'); }

# Killed in the midst of a batch, each time somewhere else: what was handled and not acknowledged comes again.
my $orders = 0;
foreach my $cycle (1 .. 5)
{
	my $consumer = start_consumer();

	$node->safe_psql('shop', "SELECT domev.emit('order.placed', $orders + i, '{\"city\": \"Porto\"}') FROM generate_series(1, 100) AS i");
	$orders += 100;
	wait_until("killed after some of batch $cycle", sub { shipments() > $orders - 99 + 10 * $cycle });
	$consumer->kill_kill(grace => 0);
}
my $consumer = start_consumer();
wait_until('all are handled', sub { shipments() >= $orders });
wait_until('all are acknowledged', sub { $node->safe_psql('shop', q{SELECT count(*) FROM domev.poll('warehouse')}) == 0 });
$consumer->kill_kill(grace => 0);
is(slurp_file($log), '', 'the consumer has met no error');

is($node->safe_psql('warehouse', 'SELECT count(*), count(DISTINCT order_id) FROM shipments'), "$orders|$orders", 'each order once');
is($node->safe_psql('warehouse', q{SELECT count(*), count(DISTINCT causation_id) FROM domev.outbox}), "$orders|$orders", 'and each event, with its cause');
is($node->safe_psql('warehouse', q{SELECT count(DISTINCT source) || ' ' || min(source) FROM domev.inbox}), '1 /shop', 'received from the shop');
is( $node->safe_psql('warehouse', q{SELECT bool_and(order_id::int = n) FROM (SELECT order_id, row_number() OVER (ORDER BY id) AS n FROM shipments) AS s}),
	't', 'in their order');

$node->stop;
done_testing();
