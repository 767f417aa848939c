# A prepared transaction is published when it is committed, once and in its place, from slots with two_phase on and off.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use Test::More;

my $node = new_server('two_phase');

$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i')).*; END;
	SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'a', 't'),
		domev.create_mapping('m', 'e', 'public.m', topic => 'w');
	SELECT pg_create_logical_replication_slot('off', 'domev', false, false), pg_create_logical_replication_slot('on', 'domev', false, true);
});

# The same from both slots.
sub received
{
	my ($off, $on) = map { receive($node, 'postgres', $_) } ('off', 'on');

	is($on, $off, 'byte-equal with two_phase on and off');
	return subjects($off);
}

$node->safe_psql('postgres', q{
	BEGIN;
	SELECT domev.emit('e', 'prepared');
	SAVEPOINT s;
	SELECT domev.emit('e', 'rolled-back-in-it');
	ROLLBACK TO s;
	PREPARE TRANSACTION 'kept';
	BEGIN;
	SELECT domev.emit('e', 'never');
	PREPARE TRANSACTION 'dropped';
	SELECT domev.emit('e', 'between');
});
is(received(), 'between between', 'nothing at PREPARE');

$node->restart;
unlike(received(), qr/prepared|never/, 'nor after a restart');    # which may repeat others, before 17
$node->safe_psql('postgres', q{
	SELECT domev.emit('e', 'before');
	COMMIT PREPARED 'kept';
	ROLLBACK PREPARED 'dropped';
	SELECT domev.emit('e', 'after');
});
like(received(), qr/(?:^| )before before prepared prepared after after$/, 'in its place at COMMIT PREPARED, nothing at ROLLBACK PREPARED');

# A crash in between.
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT domev.emit('e', 'through-a-crash', event_id => '00000000-0000-0000-0000-000000000001');
	PREPARE TRANSACTION 'crash';
});
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{COMMIT PREPARED 'crash'});
like(received(), qr/through-a-crash through-a-crash$/, 'after a crash as well');
is($node->safe_psql('postgres', q{SELECT count(*) FROM domev.idempotency}), '1', 'its claim is kept');

$node->stop;
done_testing();
