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
$node->safe_psql('shop', q{
	CREATE EXTENSION domev;
	SELECT domev.create_topic('shop.orders', 'internal'), domev.create_event_type('order.placed', 'order', 'shop.orders');
	SELECT domev.create_consumer('warehouse', poll_since => now(), owner => 'warehouse_app');
	GRANT SELECT ON domev_topic."shop.orders" TO warehouse_app;
});
$node->safe_psql('warehouse', q{
	CREATE EXTENSION domev;
	CREATE TABLE shipments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id text NOT NULL, city text NOT NULL);
	SELECT domev.create_topic('warehouse', 'internal'), domev.create_event_type('shipment.planned', 'shipment', 'warehouse');
	SELECT domev.create_consumer('warehouse', owner => 'warehouse_app');
	GRANT INSERT, SELECT ON shipments, domev_event."shipment.planned" TO warehouse_app;
});

my ($out, $err) = ('', '');

sub start_consumer
{
	local $ENV{SHOP} = $node->connstr('shop') . ' user=warehouse_app';
	local $ENV{WAREHOUSE} = $node->connstr('warehouse') . ' user=warehouse_app';

	return IPC::Run::start([ $python, '-B', 'examples/inbox/consume.py' ], '>', \$out, '2>', \$err);
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
is($err, '', 'the consumer has met no error');

is($node->safe_psql('warehouse', 'SELECT count(*), count(DISTINCT order_id) FROM shipments'), "$orders|$orders", 'each order once');
is($node->safe_psql('warehouse', q{SELECT count(*), count(DISTINCT causation_id) FROM domev.outbox}), "$orders|$orders", 'and each event, with its cause');
is($node->safe_psql('warehouse', q{SELECT count(DISTINCT source) || ' ' || min(source) FROM domev.inbox}), '1 /shop', 'received from the shop');
is( $node->safe_psql('warehouse', q{SELECT bool_and(order_id::int = n) FROM (SELECT order_id, row_number() OVER (ORDER BY id) AS n FROM shipments) AS s}),
	't', 'in their order');

$node->stop;
done_testing();
