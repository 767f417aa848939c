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
	CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN EXECUTE statement; RETURN 'accepted'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
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

# what are control characters in UTF-8 may be printable in LATIN1
$node->safe_psql('postgres', q{SELECT domev.emit('e', E'\x85', to_jsonb(E'\x80\x9f'::text))});
$stream = receive($node, 'postgres', 'postgres_stream');
is(scalar(() = $stream =~ /"subject":"\xc2\x85".*"data":"\xc2\x80\xc2\x9f"/g), 2, 'LATIN1: bytes from 80 to 9f');
# the protobuf format has UTF-8 as well, on the stream and in the functions
$node->safe_psql('postgres', qq{SELECT domev.emit('gr\xc3\xb6\xc3\x9fe', 'caf\xc3\xa9', '"\xc3\xbc"', '{"user": "Jos\xc3\xa9"}')});
$stream = receive($node, 'postgres', 'postgres_stream', format => 'protobuf');
is(scalar(() = $stream =~ /caf\xc3\xa9/g), 4, 'protobuf: subject and partition key of two events');
is(scalar(() = $stream =~ /Jos\xc3\xa9/g), 2, 'protobuf: headers');
like($stream, qr/\x32\x04"\xc3\xbc"/, 'protobuf: data');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_logical_slot_peek_binary_changes('postgres_binary', NULL, NULL, 'format', 'protobuf') WHERE position('\\x4a6f73c3a9'::bytea IN data) > 0}),
	'4', 'protobuf: the functions return the same');

# EUC_JP: Japanese both ways
$node->safe_psql('japan', qq{SELECT domev.emit('e', '\xe6\x97\xa5\xe6\x9c\xac', '["\xe8\xaa\x9e"]')});
$stream = receive($node, 'japan', 'japan_stream');
is(scalar(() = $stream =~ /"subject":"\xe6\x97\xa5\xe6\x9c\xac".*"data":\["\xe8\xaa\x9e"\]/g), 2, 'EUC_JP: UTF-8 on the wire');

# what has no place in Unicode is refused by emit, wherever it stands, and by what emits
$node->safe_psql('japan', q{CREATE TABLE captured (id text, name text); SELECT domev.create_capture('c', 'captured', 'insert', 'id', 'e')});
is($node->safe_psql('japan', q{SELECT string_agg(try(statement), ' ') FROM unnest(ARRAY[
		$$SELECT domev.emit('e', E'\xa9\xa1')$$, $$SELECT domev.emit('e', 'x', to_jsonb(E'\xa9\xa1'::text))$$, $$SELECT domev.emit('e', 'x', E'"\xa9\xa1"'::json)$$,
		$$SELECT domev.emit('e', 'x', headers => jsonb_build_object('h', E'\xa9\xa1'))$$, $$INSERT INTO captured VALUES ('x', E'\xa9\xa1')$$,
		$$INSERT INTO domev_event.e (aggregate_id) VALUES (E'\xa9\xa1')$$]) AS statement}),
	'22P05 22P05 22P05 22P05 22P05 22P05', 'EUC_JP: refused by emit');
is($node->safe_psql('japan', q{SELECT domev.create_event_type(E'\xa9\xa1', 'a', 't'); SELECT try(format('SELECT domev.emit(%L, 1)', E'\xa9\xa1'))}),
	"\n22P05", 'EUC_JP: a type with such a name cannot be emitted');
is(receive($node, 'japan', 'japan_stream'), '', 'EUC_JP: nothing of that is in the stream');

# SQL_ASCII: bytes of no known encoding, kept and sent if they are UTF-8, refused by emit if not
$node->safe_psql('ascii', qq{SELECT domev.emit('e', 'caf\xc3\xa9', '["\xe8\xaa\x9e"]')});
$node->safe_psql('ascii', q{CREATE TABLE captured (id text, name text); SELECT domev.create_capture('c', 'captured', 'insert', 'id', 'e')});
foreach my $sql ("SELECT domev.emit('e', E'caf\\xe9')", "SELECT domev.emit('e', 'x', E'[\"\\xe9\"]')", "SELECT domev.emit('e', 'x', headers => E'{\"h\": \"\\xc0\\x80\"}')",
	"INSERT INTO captured VALUES ('x', E'\\xed\\xa0\\x80')", "INSERT INTO domev_event.e (aggregate_id) VALUES (E'\\xf4\\x90\\x80\\x80')")
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

# what a mapping returns as well; its failure can be recorded, and no more than that
$node->safe_psql('ascii', q{
	CREATE FUNCTION bad(e domev.domain_event) RETURNS domev.integration_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
	BEGIN RETURN domev.make_integration_event('bad', to_jsonb(E'\xe9'::text)); END $$;
	SELECT domev.create_event_type('bad', 'a', 't'), domev.create_mapping('bad', 'bad', 'public.bad', topic => 'w', on_error => 'record'),
		domev.create_mapping('good', 'bad', 'public.m', topic => 'w');
	SELECT domev.emit('bad', 'beside a failure')});
is($node->safe_psql('ascii', 'SELECT mapping, sqlstate FROM domev.failed_mapping'), 'bad|22021', 'SQL_ASCII: a result that is no UTF-8 is a failure of its mapping');
is(subjects(receive($node, 'ascii', 'ascii_stream')), 'beside a failure beside a failure', 'SQL_ASCII: the rest is sent');

# clients of other encodings: what they emit is UTF-8 on the wire, and so is what they stream
foreach my $client (['SJIS', "\x93\xfa\x96\x7b"], ['GB18030', "\xc8\xd5\xb1\xbe"], ['EUC_JP', "\xc6\xfc\xcb\xdc"])
{
	my ($encoding, $japan) = @$client;
	my $slot = lc("utf8_$encoding");
	local $ENV{PGCLIENTENCODING} = $encoding;

	$node->safe_psql('utf8', "SELECT pg_create_logical_replication_slot('$slot', 'domev')");
	$node->safe_psql('utf8', "SELECT domev.emit('e', '$japan', '\"$japan\"')");
	is(scalar(() = receive($node, 'utf8', $slot) =~ /"subject":"\xe6\x97\xa5\xe6\x9c\xac".*"data":"\xe6\x97\xa5\xe6\x9c\xac"/g), 3, "$encoding: UTF-8 on the wire");
	$node->safe_psql('utf8', "SELECT pg_drop_replication_slot('$slot')");
}

# the name of a database becomes a URI
$node->safe_psql('100% Shop/1', 'CREATE EXTENSION domev');
is($node->safe_psql('100% Shop/1', 'SELECT source FROM domev.source'), '/100%25%20Shop%2F1', 'source, percent-encoded');

$node->stop;
done_testing();
