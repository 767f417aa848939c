# The wire is UTF-8 whatever the database's encoding; what cannot be made UTF-8 is refused by emit, never met by the plugin.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use Test::More;

my $node = new_server('encodings', '--encoding=LATIN1', '--locale=C');

my $setup = q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC SELECT (domev.make_integration_event((e).aggregate_type, (e).payload, headers => '{"plain": true}')).*; END;
	SELECT domev.create_topic('t', 'internal'), domev.create_topic('w', storage => 'wal'), domev.create_event_type('e', 'a', 't'),
		domev.create_mapping('m', 'e', 'public.m', topic => 'w');
};
$ENV{PGCLIENTENCODING} = 'UTF8';
$node->safe_psql('postgres', 'CREATE DATABASE "100% Shop/1"');
$node->safe_psql('postgres', q{CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0});
$node->safe_psql('postgres', q{CREATE DATABASE japan ENCODING 'EUC_JP' TEMPLATE template0});
# three slots with the same content in each database, as they are read in three ways
foreach my $database (qw(postgres ascii japan))
{
	$node->safe_psql($database, $setup);
	$node->safe_psql($database, "SELECT pg_create_logical_replication_slot('${database}_$_', 'domev')") foreach (qw(stream text binary));
}

# LATIN1: one byte there, two on the wire; names of mappings and types as well
$node->safe_psql('postgres', qq{
	SELECT domev.create_event_type('gr\xc3\xb6\xc3\x9fe', 'a\xc3\xa4', 't'), domev.create_mapping('\xc3\xbcbersetzt', 'gr\xc3\xb6\xc3\x9fe', 'public.m', topic => 'w');
	SELECT domev.emit('gr\xc3\xb6\xc3\x9fe', 'caf\xc3\xa9', '{"n\xc3\xa4me": "\xc3\xbc\\u00ff \\u0041"}', '{"user": "Jos\xc3\xa9"}', event_id => '01234567-89ab-7000-8000-000000000001');
});
my $stream = receive($node, 'postgres', 'postgres_stream');
is(scalar(() = $stream =~ /"specversion"/g), 2, 'two events');
is(scalar(() = $stream =~ /"subject":"caf\xc3\xa9"/g), 2, 'UTF-8 on the wire, from a row and from a message');
like($stream, qr/"type":"gr\xc3\xb6\xc3\x9fe"/, 'in names');
like($stream, qr/"data":\{"n\xc3\xa4me": "\xc3\xbc\xc3\xbf A"\}/, 'in payloads');
like($stream, qr/"user": "Jos\xc3\xa9"/, 'in headers');
is(subjects(receive($node, 'postgres', 'postgres_stream')), '', 'acknowledged');

# an id depends on the name of the mapping, not on the encoding that it is kept in
$node->safe_psql('postgres', q{CREATE DATABASE utf8 ENCODING 'UTF8' TEMPLATE template0});
$node->safe_psql('utf8', $setup . qq{
	SELECT domev.alter_topic('w', storage => 'table'), domev.create_mapping('\xc3\xbcbersetzt', 'e', 'public.m', topic => 'w');
	SELECT domev.emit('e', 'x', event_id => '01234567-89ab-7000-8000-000000000001');
});
my ($id) = $stream =~ /"id":"([^"]*)","type":"a\xc3\xa4"/;
is($node->safe_psql('utf8', qq{SELECT event_id FROM domev.outbox WHERE mapping = '\xc3\xbcbersetzt'}), $id, 'the same id in another encoding');

# the functions of such a database return its own text: escapes, the same JSON; globs are matched in its encoding
foreach my $function (qw(text binary))
{
	my $data = $function eq 'text' ? 'data' : q{convert_from(data, 'SQL_ASCII')};
	my $get = $function eq 'text' ? 'pg_logical_slot_peek_changes' : 'pg_logical_slot_peek_binary_changes';
	my $result = $node->safe_psql('postgres', "SELECT $data FROM $get('postgres_$function', NULL, NULL)");

	like($result, qr/"subject":"caf\\u00e9"/, "$function: escapes");
	unlike($result, qr/[^\x00-\x7f]/, "$function: nothing but ASCII");
	is($node->safe_psql('postgres', "SELECT count(*) FROM $get('postgres_$function', NULL, NULL, 'event_types', 'gr\xc3\xb6?e')"), '1', "$function: globs");
	is($node->safe_psql('postgres', "SELECT ($data)::jsonb->>'subject' FROM $get('postgres_$function', NULL, NULL) LIMIT 1"), "caf\xc3\xa9", "$function: the same JSON");
}

# EUC_JP: Japanese both ways
$node->safe_psql('japan', qq{SELECT domev.emit('e', '\xe6\x97\xa5\xe6\x9c\xac', '["\xe8\xaa\x9e"]')});
$stream = receive($node, 'japan', 'japan_stream');
is(scalar(() = $stream =~ /"subject":"\xe6\x97\xa5\xe6\x9c\xac".*"data":\["\xe8\xaa\x9e"\]/g), 2, 'EUC_JP: UTF-8 on the wire');

# SQL_ASCII: bytes of no known encoding, kept and sent if they are UTF-8, refused by emit if not
$node->safe_psql('ascii', qq{SELECT domev.emit('e', 'caf\xc3\xa9', '["\xe8\xaa\x9e"]')});
foreach my $sql ("SELECT domev.emit('e', E'caf\\xe9')", "SELECT domev.emit('e', 'x', E'[\"\\xe9\"]')")
{
	my ($ret, $out, $err) = $node->psql('ascii', $sql);

	isnt($ret, 0, 'SQL_ASCII: bytes that are no UTF-8 are refused');
	like($err, qr/invalid byte sequence for encoding "UTF8"/, 'and the error says so');
}
# a superuser can put them there by hand: then it is said what could not be sent
$node->safe_psql('ascii', q{
	INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, occurred_at)
	VALUES ('00000000-0000-0000-0000-000000000001', now(), pg_current_xact_id(), 't', E'bad \xe9', 'a', 'x', now()),
		('00000000-0000-0000-0000-000000000002', now(), pg_current_xact_id(), 't', 'readable type', 'a', E'bad \xe9', now())});
$stream = receive($node, 'ascii', 'ascii_stream');
is(subjects($stream), "caf\xc3\xa9 caf\xc3\xa9", 'SQL_ASCII: UTF-8 is sent as it is');
like($stream, qr/"id":"00000000-0000-0000-0000-000000000001","type":"domev.unpublishable","source":"\/ascii","topic":"t","sequence"/, 'unpublishable');
like($stream, qr/"id":"00000000-0000-0000-0000-000000000002","type":"domev.unpublishable","source":"\/ascii","originaltype":"readable type","topic":"t"/, 'with its type, if that can be read');

# the name of a database becomes a URI
$node->safe_psql('100% Shop/1', 'CREATE EXTENSION domev');
is($node->safe_psql('100% Shop/1', 'SELECT source FROM domev.source'), '/100%25%20Shop%2F1', 'source, percent-encoded');

$node->stop;
done_testing();
