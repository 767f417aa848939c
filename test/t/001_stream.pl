# Events reach pg_recvlogical, once each and in order, through restarts of the server; forged messages are said in the log.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('stream');

# A slot can be made before the extension is; nothing is sent then.
$node->command_ok([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 's', '-P', 'domev', '--create-slot' ], 'slot created');
$node->safe_psql('postgres', "SELECT pg_logical_emit_message(true, 'domev/t', 'forged before there was a domev')");
is(receive($node, 'postgres', 's'), '', 'nothing before the extension');

my ($out, $err) = ('', '');
$node->psql('postgres', q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	CREATE FUNCTION not_inlined(e domev.domain_event) RETURNS SETOF domev.integration_event VOLATILE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', (e).payload)).*; END;
	CREATE FUNCTION items(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event('i', item)).* FROM jsonb_array_elements((e).payload) AS item; END;
	SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal');
	SELECT domev.create_event_type('e', 'a', 'in'), domev.create_event_type('unused', 'a');
	SELECT domev.create_mapping('m', 'e', 'public.m', topic => 'out'), domev.create_mapping('w', 'e', 'public.m', topic => 'wal'),
		domev.create_mapping('items', 'unused', 'public.items', topic => 'out');
}, stderr => \$err, on_error_stop => 1);
is($err, '', 'no notice for functions that are inlined, one of them over another function');

# Before 18, an SQL function that is not inlined is worth a notice.
$node->psql('postgres', q{SELECT domev.create_mapping('slow', 'unused', 'public.not_inlined', topic => 'out')}, stderr => \$err);
if ($node->pg_version < 18)
{
	like($err, qr/NOTICE:  function public.not_inlined will not be inlined.*HINT: .*BEGIN ATOMIC/s, 'notice for one that is not');
}
else
{
	is($err, '', 'no notice where PostgreSQL keeps the plan');
}

$node->safe_psql('postgres', q{SELECT domev.emit('e', i) FROM generate_series(1, 3) AS i});
is(subjects(receive($node, 'postgres', 's')), '1 1 1 2 2 2 3 3 3', 'received');
is(receive($node, 'postgres', 's'), '', 'acknowledged, so not received again');
is(subjects(receive($node, 'postgres', 's', topics => 'wal')), '', 'options are taken');
$node->safe_psql('postgres', q{SELECT domev.emit('e', i) FROM generate_series(4, 5) AS i});
is(subjects(receive($node, 'postgres', 's', topics => 'wal', scope => 'external')), '4 5', 'and filter');

# An unknown option is an error, and the slot is not spoilt.
$node->command_fails_like([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 's', '--start', '-f', '-', '--no-loop', '-o', 'colour=red' ],
	qr/unknown option "colour"/, 'unknown option refused');

# A client that stays connected while the server restarts, cleanly and after a crash.
my $file = $PostgreSQL::Test::Utils::tmp_check . '/stream.out';
my $client = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 's', '--start', '-f', $file, '-F', '1', '-s', '1', '-o', 'topics=out' ],
	'>', \$out, '2>', \$err);
sub received { return -e $file ? subjects(slurp_file($file)) : ''; }
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'a' || i) FROM generate_series(1, 3) AS i});
wait_until('the first events are there', sub { received() =~ /a3/ });
$node->restart;
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'b' || i) FROM generate_series(1, 3) AS i});
my $open = $node->background_psql('postgres') if $node->can('background_psql') && $node->pg_version >= 16;
if (defined $open)
{
	$open->query_safe(q{BEGIN; SELECT domev.emit('e', 'lost in the crash') IS NOT NULL});
}
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'c' || i) FROM generate_series(1, 3) AS i});
wait_until('the last events are there', sub { received() =~ /c3/ });
$client->signal('INT');
$client->finish;

# After a crash the slot may be where it was at the last checkpoint: what repeats, repeats whole and in order.
my @events = split(' ', received());
my (%seen, @first);
foreach my $event (@events)
{
	push @first, $event unless $seen{$event}++;
}
is("@first", 'a1 a2 a3 b1 b2 b3 c1 c2 c3', 'all of them, in order, and none that was not committed');
my %bytes;
my $differing = 0;
foreach my $line (split("\n", slurp_file($file)))
{
	my ($id) = $line =~ /"id":"([^"]*)"/;
	$differing++ if exists $bytes{$id} && $bytes{$id} ne $line;
	$bytes{$id} = $line;
}
is($differing, 0, 'repeated events are byte-equal');

# Forged messages: dropped, counted and logged.
receive($node, 'postgres', 's');    # what the crash made it repeat
my $logged = -s $node->logfile;
$node->safe_psql('postgres', q{
	SELECT pg_logical_emit_message(false, 'domev/out', 'forged');
	SELECT pg_logical_emit_message(true, 'domev/out', '{"specversion":"1.0","type":"forged"}') FROM generate_series(1, 7);
	SELECT domev.emit('e', 'genuine');
});
is(subjects(receive($node, 'postgres', 's')), 'genuine genuine genuine', 'only the genuine ones');
my $log = substr(slurp_file($node->logfile), $logged);
like($log, qr/domev dropped WAL messages that it did not write: 1\b.*The last one is at [0-9A-F]+\/[0-9A-F]+/s, 'the first is logged at once');
like($log, qr/domev dropped WAL messages that it did not write: 7\b/, 'the rest, counted, when the session ends');

# The walsender's own settings do not change the bytes, and a client with its own positions gets the same ones.
$node->safe_psql('postgres', q{
	SELECT pg_create_logical_replication_slot('s1', 'domev'), pg_create_logical_replication_slot('s2', 'domev');
	SELECT domev.emit('e', 'same', '{"t": 1.50}', occurred_at => '2026-01-02 03:04:05+00');
});
my $one = receive($node, 'postgres', 's1');
{
	local $ENV{PGOPTIONS} = '-c datestyle=German -c timezone=Asia/Kolkata -c bytea_output=escape -c client_encoding=LATIN1';
	is(receive($node, 'postgres', 's2'), $one, 'byte-equal from two slots, whatever the settings');
}
like($one, qr/"time":"2026-01-02T03:04:05.000000Z"/, 'time in UTC');

$node->stop;
done_testing();
