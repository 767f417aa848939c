# Captures in a logical apply worker: silent like other triggers, unless they are enabled for it; then they emit and map there.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_server('publisher');
my $subscriber = new_server('subscriber');
my $table = q{CREATE TABLE orders (id int PRIMARY KEY, status text); CREATE TABLE silent (id int PRIMARY KEY, status text);};

$publisher->safe_psql('postgres', "$table CREATE PUBLICATION orders FOR TABLE orders, silent");
$subscriber->safe_psql('postgres', "$table" . q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('mapped', to_jsonb(o.status))).* FROM orders AS o WHERE o.id = (e).aggregate_id::int; END;
	SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'order');
	SELECT domev.create_mapping('now', 'e', 'public.m', 't'), domev.create_mapping('then', 'e', 'public.m', 'w', timing => 'deferred');
	SELECT domev.create_capture('inserted', 'orders', 'insert', 'id', 'e'), domev.create_capture('updated', 'orders', 'update', 'id', 'e'),
		domev.create_capture('silent', 'silent', 'insert', 'id', 'e');
	ALTER TABLE orders ENABLE ALWAYS TRIGGER "domev_inserted", ENABLE REPLICA TRIGGER "domev_updated";
});
$subscriber->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$_', 'domev')") foreach (qw(none any));
$subscriber->safe_psql('postgres',
	sprintf(q{CREATE SUBSCRIPTION orders CONNECTION '%s' PUBLICATION orders}, $publisher->connstr('postgres') =~ s/'/''/gr));
$subscriber->wait_for_subscription_sync($publisher, 'orders');

$publisher->safe_psql('postgres', q{BEGIN; INSERT INTO orders VALUES (1, 'new'); INSERT INTO silent VALUES (1, 'new');
	UPDATE orders SET status = 'paid'; COMMIT;});
$publisher->wait_for_catchup('orders');

is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM silent'), '1', 'the row that nobody captures is there');
is($subscriber->safe_psql('postgres', q{SELECT aggregate_id, coalesce(mapping, '-'), payload FROM domev.outbox ORDER BY recorded_at}),
	join("\n", '1|-|{"after": {"id": 1, "status": "new"}}', '1|now|"new"',
		'1|-|{"after": {"id": 1, "status": "paid"}, "before": {"id": 1, "status": "new"}, "changed": ["status"]}', '1|now|"paid"'),
	'captures that are enabled for it emit, and mappings see the state of the time');

# What comes of a replicated change is of the other server: only who asks for it gets it.
is(subjects(receive($subscriber, 'postgres', 'none')), '', 'not sent by default');
my @types = receive($subscriber, 'postgres', 'any', origin => 'any') =~ /"data":("[a-z]*")/g;
is("@types", '"new" "paid" "paid" "paid"', 'sent with origin any, deferred mappings at the end of the transaction');

# A user's own writes on the subscriber fire what is not for the replica only.
$subscriber->safe_psql('postgres', q{TRUNCATE domev.outbox; INSERT INTO orders VALUES (2, 'own'); UPDATE orders SET status = 'x' WHERE id = 2;
	INSERT INTO silent VALUES (2, 'own')});
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM domev.outbox WHERE mapping IS NULL'), '2', 'own writes fire the others');

$subscriber->stop;
$publisher->stop;
done_testing();
