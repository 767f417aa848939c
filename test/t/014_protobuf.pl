# The CloudEvents protobuf format says what the JSON format says: every event is read in both, from databases of several encodings,
# and taken apart here, by a reader that knows nothing of how the plugin writes.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use JSON::PP ();
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::Local qw(timegm_modern);

my $node = new_server('protobuf', '--encoding=UTF8', '--locale=C');

# Encoded bytes as a list of [ field, wire type, value ].
sub fields
{
	my ($bytes) = @_;
	my ($position, @fields) = (0);
	my $varint = sub
	{
		my ($value, $shift, $byte) = (0, 0);
		do
		{
			$position < length($bytes) or die 'varint beyond the end';
			$byte = ord(substr($bytes, $position++, 1));
			$value |= ($byte & 0x7f) << $shift;
			$shift += 7;
		} while ($byte & 0x80);
		return $value;
	};
	while ($position < length($bytes))
	{
		my $tag = $varint->();
		my ($field, $type) = ($tag >> 3, $tag & 7);
		my $value = $varint->();
		if ($type == 2)
		{
			$position + $value <= length($bytes) or die 'bytes beyond the end';
			($value, $position) = (substr($bytes, $position, $value), $position + $value);
		}
		elsif ($type != 0) { die "wire type $type"; }
		push @fields, [ $field, $type, $value ];
	}
	return @fields;
}

sub text
{
	my ($bytes) = @_;
	utf8::decode($bytes) or die 'a string that is not UTF-8';
	return $bytes;
}

# io.cloudevents.v1.CloudEvent as a hash of attributes, each "type:value", and the data.
sub read_protobuf
{
	my %names = (1 => 'id', 2 => 'source', 3 => 'specversion', 4 => 'type');
	my %event;
	foreach my $field (fields($_[0]))
	{
		my ($number, $type, $value) = @$field;
		if ($names{$number}) { $event{ $names{$number} } = 'string:' . text($value); }
		elsif ($number == 5)
		{
			my %entry = map { $_->[0] => $_->[2] } fields($value);
			my ($kind, $wire, $content) = @{ (fields($entry{2}))[0] };
			my $name = text($entry{1});
			die "attribute $name twice" if exists $event{$name};
			$event{$name} =
				$kind == 1 ? 'boolean:' . $content
				: $kind == 2 ? 'integer:' . unpack('q', pack('Q', $content))
				: $kind == 3 ? 'string:' . text($content)
				: $kind == 5 ? 'uri:' . text($content)
				: $kind == 7 ? join(':', 'time', map { unpack('q', pack('Q', $_->[2])) } fields($content))
				: die "value of kind $kind";
		}
		elsif ($number == 6) { $event{binary_data} = $value; }
		else { die "field $number"; }
	}
	return \%event;
}

# The same from JSON.
sub read_json
{
	my ($json) = @_;
	my $event = JSON::PP->new->utf8->decode($json);
	my %event;
	while (my ($name, $value) = each %$event)
	{
		if ($name eq 'data_base64') { $event{binary_data} = decode_base64($value); }
		elsif ($name eq 'data') { ($event{binary_data}) = $json =~ /,"data":(.*),"sequence":/s; }
		elsif ($name eq 'time')
		{
			my ($y, $mo, $d, $h, $mi, $s, $us) = $value =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d{6})Z$/;
			$event{time} = join(':', 'time', timegm_modern($s, $mi, $h, $d, $mo - 1, $y), $us * 1000);
		}
		elsif (JSON::PP::is_bool($value)) { $event{$name} = 'boolean:' . ($value ? 1 : 0); }
		elsif ($name eq 'dataschema') { $event{$name} = "uri:$value"; }
		elsif ($json =~ /"\Q$name\E": ?-?\d/) { $event{$name} = "integer:$value"; }
		else { $event{$name} = "string:$value"; }
	}
	return \%event;
}

# All events of a slot, in both formats.
sub compare
{
	my ($database, $slot, $expected) = @_;
	my $json = receive($node, $database, $slot, topics => 't*');
	my $hex = $node->safe_psql($database,
		qq{SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('${slot}_p', NULL, NULL, 'format', 'protobuf', 'topics', 't*')});
	my @json = map { read_json($_) } split("\n", $json);
	my @protobuf = map { read_protobuf(pack('H*', $_)) } split("\n", $hex);

	is(scalar(@protobuf), $expected, "$database: as many events as were emitted");
	is_deeply(\@protobuf, \@json, "$database: the same in both formats");
	return @protobuf;
}

# @ stands for a character outside of ASCII
my $setup = <<'SQL' =~ s/@/\xc3\xa9/gr;
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
		SELECT (domev.make_integration_event('shop.json', (e).payload, content_type => 'application/vnd.e+json', data_schema => 'urn:e:1',
			headers => '{"flag": true, "no": false, "n": 7, "negative": -2147483648, "zero": 0, "most": 2147483647, "empty": "", "esc": "\" \\ / @"}')).*
		UNION ALL SELECT (domev.make_integration_event('shop.avro', data => '\x00ff0a1080', content_type => 'application/avro', data_schema => 'urn:avro:2')).*
		UNION ALL SELECT (domev.make_integration_event('shop.empty-bytes', data => '')).*
		UNION ALL SELECT (domev.make_integration_event('shop.bare')).*;
	END;
	SELECT domev.create_topic('t', 'internal'), domev.create_topic('tw', storage => 'wal'), domev.create_topic('tt'), domev.create_event_type('e', 'a', 't'),
		domev.create_mapping('m', 'e', 'public.m', topic => 'tw'), domev.create_mapping('n', 'e', 'public.m', topic => 'tt');
SQL
my $emit = <<'SQL' =~ s/@/\xc3\xa9/gr;
	SELECT domev.emit('e', '@ "1" \', '{"@": [1, {"]": "}"}, "\" \\"], "n": 1.50}', '{"user": "Jos@"}', 9007199254740993, occurred_at => '2026-01-02 03:04:05.678901+00');
	SELECT domev.emit('e', 'early', '[]', occurred_at => '0001-01-01 00:00:00+00'), domev.emit('e', 'late', '"x"', occurred_at => '9999-12-31 23:59:59.999999+00');
	SELECT domev.emit('e', 'before 1970', 'null', occurred_at => '1969-12-31 23:59:59.5+00');
	SELECT domev.emit('e', repeat('k', 1000), to_jsonb(repeat('large ', 100000)));
SQL
$ENV{PGCLIENTENCODING} = 'UTF8';
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
foreach my $database (qw(postgres latin))
{
	$node->safe_psql($database, $setup);
	$node->safe_psql($database, "SELECT pg_create_logical_replication_slot('${database}$_', 'domev')") foreach ('', '_p');
	$node->safe_psql($database, $emit);
}
my @events = compare('postgres', 'postgres', 45);
my ($avro) = grep { $_->{type} eq 'string:shop.avro' } @events;
is($avro->{binary_data}, "\x00\xff\x0a\x10\x80", 'bytes as they were given');
is("$avro->{datacontenttype} $avro->{dataschema}", 'string:application/avro uri:urn:avro:2', 'with their type and schema');
my ($json) = grep { $_->{type} eq 'string:shop.json' } @events;
is($json->{negative} . ' ' . $json->{flag}, 'integer:-2147483648 boolean:1', 'headers of every type');
compare('latin', 'latin', 45);

# What a superuser writes by hand must not break the message: all escapes, half a surrogate pair, space where there need be none; and
# headers that are no attributes.
$node->safe_psql('postgres', <<'SQL');
	SELECT pg_replication_slot_advance('postgres_p', pg_current_wal_lsn());
	INSERT INTO domev.outbox (event_id, recorded_at, xact_id, topic, event_type, aggregate_type, aggregate_id, payload, headers, occurred_at)
	SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, now(), pg_current_xact_id(), 't', 'by hand', 'a', 'x', ' [1 , 2] ', headers::json, 'infinity'
	FROM unnest(ARRAY['{"pair": "\ud83d\ude00" , "half":"a\ud83dz", "ctl": "\u0007\b\f\n\r\t\/" }',
		'[]', '{"deep": {"a": [1, "}"]}}', '{"none": null}', '{"real": 1.5}', '{"large": 12345678901}', '{"id": "x"}', '{"A": 1}', '{"a": 1, "": 2}']) WITH ORDINALITY AS h (headers, n);
SQL
my ($hand, @poison) = map { read_protobuf(pack('H*', $_)) } split("\n",
	$node->safe_psql('postgres', q{SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('postgres_p', NULL, NULL, 'format', 'protobuf')}));
is_deeply($hand, {
		id => 'string:00000000-0000-0000-0000-000000000001', specversion => 'string:1.0', type => 'string:by hand', source => 'string:/postgres', subject => 'string:x',
		datacontenttype => 'string:application/json', topic => 'string:t', partitionkey => 'string:x', aggregatetype => 'string:a',
		pair => "string:\x{1f600}", half => "string:a\x{fffd}z",
		ctl => "string:\x07\x08\x0c\n\r\t/", binary_data => '[1 , 2]', sequence => $hand->{sequence}, endoftransaction => 'boolean:0' }, 'a row by hand');
is(join(', ', map { "$_->{type} $_->{originaltype}" } @poison), join(', ', ('string:domev.unpublishable string:by hand') x 8), 'what cannot be an event is said, in this format, too');

# To a replication client it is the same bytes.
$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('postgres_p', pg_current_wal_lsn()); SELECT domev.emit('e', 'stream', '{"a": 1}')});
my $peeked = $node->safe_psql('postgres', q{SELECT string_agg(encode(data || '\x0a', 'hex'), '') FROM pg_logical_slot_peek_binary_changes('postgres_p', NULL, NULL, 'format', 'protobuf')});
is(unpack('H*', receive($node, 'postgres', 'postgres_p', format => 'protobuf')), $peeked, 'byte-equal on a replication connection');

$node->stop;
done_testing();
