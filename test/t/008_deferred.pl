# Deferred mappings run at PREPARE TRANSACTION; what waits for a commit does not survive a crash; a standby can preview.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_server('deferred');

$node->safe_psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE TABLE t (v text);
	INSERT INTO t VALUES ('at first');
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', to_jsonb(t.v), key => t.v)).* FROM t; END;
	CREATE FUNCTION fails(e domev.domain_event) RETURNS SETOF domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
		$$ BEGIN RAISE 'of the mapping'; END $$;
	SELECT domev.create_topic('t'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'a'), domev.create_event_type('fails', 'a'),
		domev.create_mapping('row', 'e', 'public.m', 't', timing => 'deferred'), domev.create_mapping('wal', 'e', 'public.m', 'w', timing => 'deferred'),
		domev.create_mapping('fails', 'fails', 'public.fails', 't', timing => 'deferred');
	SELECT pg_create_logical_replication_slot('s', 'domev');
});

sub published
{
	return $node->safe_psql('postgres', q{SELECT string_agg(payload #>> '{}', ' ' ORDER BY recorded_at) FROM domev.outbox WHERE mapping IS NOT NULL});
}

sub deferred
{
	return $node->safe_psql('postgres', q{SELECT count(*) FROM domev.deferred});
}

# The keys of what the slot gives.
sub keys_received
{
	return join(' ', receive($node, 'postgres', 's') =~ /"partitionkey":"([^"]*)"/g);
}

# Mapped at PREPARE, on the state of then; published with COMMIT PREPARED.
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT domev.emit('e', 'x');
	UPDATE t SET v = 'at prepare';
	SAVEPOINT s;
	SELECT domev.emit('e', 'lost');
	ROLLBACK TO s;
	PREPARE TRANSACTION 'p';
});
is(published(), '', 'nothing is published by PREPARE');
is(keys_received(), '', 'nor sent');
$node->restart;
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'; UPDATE t SET v = 'later'});
is(published(), 'at prepare', 'mapped on the state at PREPARE');
is(keys_received(), 'at prepare at prepare', 'both storages are sent with COMMIT PREPARED');
is(deferred(), 0, 'nothing waits');

$node->safe_psql('postgres', q{
	TRUNCATE domev.outbox;
	BEGIN;
	SELECT domev.emit('e', 'x');
	PREPARE TRANSACTION 'p';
	ROLLBACK PREPARED 'p';
});
is(published(), '', 'nothing after ROLLBACK PREPARED');
is(deferred(), 0, 'nothing waits after ROLLBACK PREPARED');

# An error at PREPARE aborts; unless it is recorded.
my ($status, $stdout, $stderr) = $node->psql('postgres', q{
	BEGIN;
	SELECT domev.emit('fails', 'x');
	INSERT INTO t VALUES ('never');
	PREPARE TRANSACTION 'p';
});
like($stderr, qr/of the mapping/, 'an error at PREPARE');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_prepared_xacts}), '0', 'prepares nothing');
is($node->safe_psql('postgres', q{SELECT count(*) FROM t WHERE v = 'never'}), '0', 'and aborts all');
$node->safe_psql('postgres', q{
	SELECT domev.alter_mapping('fails', on_error => 'record');
	BEGIN;
	SELECT domev.emit('fails', 'x');
	PREPARE TRANSACTION 'p';
});
is($node->safe_psql('postgres', q{SELECT count(*) FROM domev.failed_mapping}), '0', 'a recorded failure is of the prepared transaction');
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
is($node->safe_psql('postgres', q{SELECT string_agg(message, ' ') FROM domev.failed_mapping}), 'of the mapping', 'and there with it');

# What a session remembers of its transaction is not of the next after PREPARE.
is( $node->safe_psql('postgres', q{
		SET domev.keep_emitted = on;
		SET domev.aggregate_guard = error;
		BEGIN;
		SELECT 'n' FROM domev.emit('e', 'one');
		PREPARE TRANSACTION 'p';
		SELECT 'n' FROM domev.emit('e', 'two');
		SELECT count(*) FROM domev.emitted_in_transaction();
		ROLLBACK PREPARED 'p';
	}), "n\nn\n0", 'a prepared transaction is forgotten');

# A crash while an event waits.
$node->safe_psql('postgres', q{TRUNCATE domev.outbox; CHECKPOINT});
keys_received();
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN});
$session->query_safe(q{SELECT domev.emit('e', 'crashed')});
$node->safe_psql('postgres', q{CHECKPOINT});
$node->stop('immediate');
eval { $session->quit };
$node->start;
is(deferred(), 0, 'nothing waits after a crash');
is(published(), '', 'nothing was published');
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'x')});
is(published(), 'later', 'and it goes on');
is(keys_received(), 'later later', 'as for the slot');

# A standby previews and traces; it does not emit or remap, but for trying.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT string_agg(coalesce(mapping || ' ', '') || event_type, ', ') FROM domev.preview('e', 'x')}),
	'e, row i, wal i', 'preview on a standby');
is($standby->safe_psql('postgres', q{SELECT mapping, error FROM domev.preview('fails', 'x') WHERE mapping IS NOT NULL}),
	'fails|P0001: of the mapping', 'and of a mapping that fails');
is($standby->safe_psql('postgres', q{SELECT outcome, error FROM domev.remap('fails', dry_run => true)}),
	'failed|P0001: of the mapping', 'a dry run on a standby');
is($standby->safe_psql('postgres', q{SELECT string_agg(t.kind, ', ') FROM domev.outbox AS o, domev.trace(o.event_id) AS t WHERE o.event_type = 'e'}),
	'domain event, integration event', 'trace on a standby');
($status, $stdout, $stderr) = $standby->psql('postgres', q{SELECT domev.remap('fails')});
like($stderr, qr/during recovery/, 'no remap on a standby');

$standby->stop;
$node->stop;
done_testing();
