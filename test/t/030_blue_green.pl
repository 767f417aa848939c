# Blue-green by logical replication, as doc/moving.md has it: the application's tables, the outbox and the claimed ids are replicated to the new
# server, which publishes none of it; after the switch it publishes its own.  Each event is published once, by one of them, under load.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $blue = new_server('blue');
my $green = new_server('green');
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/blue';

# Both storages, captures and calls of emit, a mapping at once and one at commit.
$blue->safe_psql('postgres', 'CREATE DATABASE shop');
$blue->safe_psql('shop', q{
	CREATE EXTENSION domev;
	CREATE TABLE orders (id int PRIMARY KEY, status text);
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('mapped')).*; END;
	SELECT domev.create_topic('d', 'internal'), domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'order', 'd');
	SELECT domev.create_mapping('now', 'e', 'public.m', 't'), domev.create_mapping('then', 'e', 'public.m', 'w', timing => 'deferred');
	SELECT domev.create_capture('inserted', 'orders', 'insert', 'id', 'e');
	SELECT domev.set_source('urn:shop'); -- or they would differ
	SELECT pg_create_logical_replication_slot('publisher', 'domev');
});

sub place
{
	my ($node, $from, $to) = @_;

	$node->safe_psql('shop', "INSERT INTO orders VALUES ($_, 'placed'); SELECT domev.emit('e', 'command $_', event_id => '00000000-0000-0000-0000-" . sprintf('%012d', $_) . "')")
		foreach ($from .. $to);
	return;
}

# Ids, with the topic: how often each was published, by whom.
my (%published, %by);

sub publish
{
	my ($name, $node) = @_;
	my $sent = receive($node, 'shop', 'publisher');

	while ($sent =~ /"id":"([^"]+)".*?"topic":"([^"]+)"/g)
	{
		$published{"$2 $1"}++;
		$by{$name}++;
	}
	return;
}

place($blue, 1, 10);
publish('blue', $blue);
place($blue, 11, 20);    # not yet published when the copy begins

# Green: all but rows, which replication copies; registry, rights and captures come with the dump, ids and outbox do not.
$green->safe_psql('postgres', 'CREATE DATABASE shop');
$green->safe_psql('shop', q{SELECT pg_create_logical_replication_slot('publisher', 'domev')});
$blue->command_ok([ 'pg_dump', '-d', $blue->connstr('shop'), '--exclude-table-data=public.*', '--exclude-table-data=domev.idempotency', '-f', $dump ], 'dumped without rows');
$green->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $green->connstr('shop'), '-f', $dump ], 'restored in the new server');
is($green->safe_psql('shop', 'SELECT count(*) FROM domev.mappings'), '2', 'with the registry');
is($green->safe_psql('shop', 'SELECT count(*) FROM domev.idempotency'), '0', 'without ids');
$blue->safe_psql('shop', q{CREATE PUBLICATION green FOR TABLE orders;
	CREATE PUBLICATION green_domev FOR TABLE domev.outbox, domev.idempotency WITH (publish = 'insert')});
$green->safe_psql('shop', sprintf(q{CREATE SUBSCRIPTION green CONNECTION '%s' PUBLICATION green, green_domev}, $blue->connstr('shop') =~ s/'/''/gr));
place($blue, 21, 30);
$green->wait_for_subscription_sync($blue, 'green', 'shop');
place($blue, 31, 40);
publish('blue', $blue);
$blue->safe_psql('shop', 'DELETE FROM domev.outbox WHERE recorded_at < now()');    # retention is each server's own
place($blue, 41, 50);
$blue->wait_for_catchup('green');
is($green->safe_psql('shop', 'SELECT count(*) FROM orders'), '50', 'the rows are there');
is($green->safe_psql('shop', 'SELECT count(*) FROM domev.idempotency'), '50', 'and the claimed ids');
is($green->safe_psql('shop', q{SELECT count(DISTINCT event_id) FROM domev.outbox WHERE topic = 't'}), '100', 'and the outbox');
publish('green', $green);
is($by{green}, undef, 'of which green publishes nothing');

# The switch: nobody writes to blue any more, what it has emitted is published and replicated, then green is written to.
$blue->safe_psql('postgres', 'ALTER DATABASE shop SET default_transaction_read_only = on');
$blue->wait_for_catchup('green');
publish('blue', $blue);
is($blue->safe_psql('shop', q{SET default_transaction_read_only = off; SELECT count(*) FROM pg_logical_slot_peek_changes('publisher', NULL, NULL)}), '0', 'blue is drained');
$green->safe_psql('shop', 'DROP SUBSCRIPTION green');
is($by{blue}, 300, 'it has published all that was raised there');
# a command that is sent again, as its answer was lost in the switch
is($green->safe_psql('shop', q{SELECT domev.emit('e', 'command 50', event_id => '00000000-0000-0000-0000-000000000050')}), '00000000-0000-0000-0000-000000000050', 'a repeated command');
place($green, 51, 60);
publish('green', $green);
is($by{green}, 60, 'green has published all that was raised there, and the repeated command not again');
is(scalar(grep { $_ != 1 } values %published), 0, 'nothing was published twice');
is(scalar(keys %published), 360, 'each event once');

# Nor does what a session writes as a replica would.
is(scalar(() = $green->safe_psql('shop', q{SELECT pg_create_logical_replication_slot('late', 'domev'); BEGIN;
	SET LOCAL session_replication_role = replica; INSERT INTO orders VALUES (99, 'silent'); COMMIT;
	SELECT data FROM pg_logical_slot_get_changes('late', NULL, NULL)}) =~ /specversion/g), 0, 'session_replication_role = replica silences captures');

$green->stop;
$blue->stop;
done_testing();
