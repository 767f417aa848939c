# Clients of PostgreSQL's own output plugin get the events as well: rows through a publication of the outbox, WAL messages; what
# doc/pgoutput.md says of both, and of what they lack beside domev's plugin, holds.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use DomevTest;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

my $outbox_columns = 'event_id recorded_at xact_id topic event_type mapping causation_id aggregate_type aggregate_id aggregate_version'
	. ' key payload data content_type data_schema headers occurred_at';
my $all = q{FOR TABLE domev.outbox WHERE (topic IS NOT NULL) WITH (publish = 'insert', publish_via_partition_root)};
my $node = new_server('pgoutput', '--encoding=UTF8', '--locale=C');

# ----------------------------------------------------------------
# The protocol, as far as it is met here.  Each message of a stream is followed by a newline, as pg_recvlogical writes it.
# ----------------------------------------------------------------

# One row: column kinds are n (NULL), u, t (text), b (binary).
sub parse_row
{
	my ($rest) = @_;
	my ($number, @values);

	($number, $rest) = unpack('n a*', $rest);
	foreach (1 .. $number)
	{
		my ($kind, $value);

		($kind, $rest) = unpack('a a*', $rest);
		($value, $rest) = unpack('N/a a*', $rest) if $kind ne 'n';
		push @values, $value;
	}
	return (\@values, $rest);
}

sub parse_relation
{
	my ($rest) = @_;
	my ($oid, $schema, $table, $identity, $number, @columns);

	($oid, $schema, $table, $identity, $number, $rest) = unpack('N Z* Z* a n a*', $rest);
	foreach (1 .. $number)
	{
		my ($flags, $column, $type, $modifier);

		($flags, $column, $type, $modifier, $rest) = unpack('C Z* N N a*', $rest);
		push @columns, $column;
	}
	return ({ oid => $oid, name => "$schema.$table", columns => \@columns }, $rest);
}

# All messages of a stream; an insert has its values by the names of the columns.
sub parse
{
	my ($rest) = @_;
	my ($type, %relations, $streamed, @messages);

	while ($rest ne '')
	{
		my %m;

		($type, $rest) = unpack('a a*', $rest);
		($m{xid}, $rest) = unpack('N a*', $rest) if $streamed && $type =~ /[RIM]/;
		if ($type eq 'B') { @m{qw(lsn xid)} = unpack('H16 x8 N', $rest); $rest = substr($rest, 20); }
		elsif ($type eq 'C') { $rest = substr($rest, 25); }
		elsif ($type eq 'R')
		{
			($m{relation}, $rest) = parse_relation($rest);
			$relations{ $m{relation}{oid} } = $m{relation};
		}
		elsif ($type eq 'I')
		{
			my ($oid, $values);

			($oid, $rest) = unpack('N x a*', $rest);
			($values, $rest) = parse_row($rest);
			$m{relation} = $relations{$oid};
			@{ $m{row} }{ @{ $m{relation}{columns} } } = @$values;
		}
		elsif ($type eq 'M') { (@m{qw(transactional prefix content)}, $rest) = unpack('C x8 Z* N/a a*', $rest); }
		elsif ($type eq 'S') { $streamed = 1; $rest = substr($rest, 5); }
		elsif ($type eq 'E') { $streamed = 0; }
		elsif ($type eq 'A') { @m{qw(top xid)} = unpack('N N', $rest); $rest = substr($rest, 8); }
		elsif ($type eq 'c') { $rest = substr($rest, 29); }
		else { die "unexpected message of type $type"; }
		$rest =~ s/^\n// or die "no end of the message of type $type";
		push @messages, { type => $type, %m };
	}
	return @messages;
}

# ----------------------------------------------------------------
# Reading
# ----------------------------------------------------------------

# What a slot has, by the SQL function, read for good.
sub read_sql
{
	my ($dbname, $slot, %options) = @_;
	my $arguments = join(', ', map { "'$_', '$options{$_}'" } sort keys %options);
	my $hex = $node->safe_psql($dbname, "SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('$slot', NULL, NULL, $arguments)");

	return parse(join('', map { pack('H*', $_) . "\n" } split("\n", $hex)));
}

sub types { return join(' ', map { $_->{type} } @_); }
sub rows { return map { $_->{row} } grep { $_->{type} eq 'I' } @_; }
sub ids { return join(' ', map { $_->{event_id} } @_); }

# What domev's own plugin makes of the same.
sub read_domev
{
	my ($dbname, $slot) = @_;

	return split("\n", $node->safe_psql($dbname, "SELECT data FROM pg_logical_slot_get_changes('$slot', NULL, NULL, 'origin', 'any')"));
}

# ----------------------------------------------------------------
# One transaction with everything
# ----------------------------------------------------------------

my $setup = q{
	CREATE EXTENSION domev;
	CREATE FUNCTION m(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
		SELECT (domev.make_integration_event('i', (e).payload, key => (e).payload->>'key', data_schema => 'urn:s', content_type => 'text/json')).*; END;
	CREATE FUNCTION b(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE BEGIN ATOMIC
		SELECT (domev.make_integration_event('b', data => '\x00ff', content_type => CASE (e).aggregate_id WHEN 'a' THEN 'application/avro' END)).*; END;
	SELECT domev.create_topic('in', 'internal'), domev.create_topic('out'), domev.create_topic('wal', storage => 'wal');
	SELECT domev.create_event_type('journal', 'order'), domev.create_event_type('e', 'order', 'in');
	SELECT domev.create_mapping('m', 'e', 'public.m', 'out'), domev.create_mapping('n', 'e', 'public.m', 'wal'), domev.create_mapping('o', 'e', 'public.b', 'out');
} . "CREATE PUBLICATION events $all;";
my %events = (proto_version => 1, publication_names => 'events', messages => 'true');

$node->safe_psql('postgres', $setup . q{
	SELECT pg_create_logical_replication_slot('rows', 'pgoutput'), pg_create_logical_replication_slot('streamed', 'pgoutput'),
		pg_create_logical_replication_slot('plugin', 'domev');
});
$node->safe_psql('postgres', q{
	SELECT domev.emit('journal', 'alone');
	BEGIN;
	SELECT domev.emit('e', 'a', '{"total": 63.10, "f\u00fcr": null, "key": "own"}', '{"user": "x"}', aggregate_version => 7, occurred_at => '2026-01-02 03:04:05+00');
	SAVEPOINT s;
	SELECT domev.emit('e', 'rolled back');
	ROLLBACK TO s;
	SELECT domev.emit('journal', 'j');
	SELECT domev.emit('e', 'b');
	COMMIT;
});
my @stream = read_sql('postgres', 'rows', %events);
my @rows = rows(@stream);
my @messages = grep { $_->{type} eq 'M' } @stream;
is(types(@stream), 'B R R I I M I I I M I C', 'a transaction: rows and messages in their order, nothing of what was rolled back or is in the journal alone');
is(join(' ', map { $_->{relation}{name} } @stream[ 1 .. 3 ]), 'domev.outbox domev.outbox_default domev.outbox',
	'the partition is described as well, but its rows are those of the outbox');
is(join(' ', @{ $stream[1]{relation}{columns} }), $outbox_columns, 'its columns');

# Column by column as the table has them.
my $expected = $node->safe_psql('postgres', 'SELECT ' . join(', ', map { "$_\::text" } split(' ', $outbox_columns))
		. ' FROM domev.outbox WHERE topic IS NOT NULL ORDER BY outbox.recorded_at', extra_params => [ '-P', 'null=(null)' ]);
is(join("\n", map { my $row = $_; join('|', map { $row->{$_} // '(null)' } split(' ', $outbox_columns)) } @rows), $expected, 'every column of every row');
is($node->safe_psql('postgres', 'SELECT count(*) FROM domev.outbox WHERE topic IS NULL'), '2', 'the rows in the journal are not among them');
is(join(' ', map { "$_->{transactional} $_->{prefix}" } @messages), '1 domev/wal 1 domev/wal', 'messages of the topic with WAL storage');

# And as domev's plugin has them: the table of columns in doc/pgoutput.md.
sub attributes
{
	my ($row) = @_;
	my ($date, $time, $fraction) = $row->{occurred_at} =~ /^(\S+) ([0-9:]+)\.?(\d*)\+00$/;
	my %event = (
		%{ decode_json($row->{headers} // '{}') },
		specversion => '1.0', source => '/postgres', id => $row->{event_id}, type => $row->{event_type}, topic => $row->{topic},
		subject => $row->{aggregate_id}, partitionkey => $row->{key} // $row->{aggregate_id}, causationid => $row->{causation_id},
		aggregatetype => $row->{aggregate_type}, aggregateversion => $row->{aggregate_version}, dataschema => $row->{data_schema},
		datacontenttype => $row->{content_type} // (defined $row->{payload} ? 'application/json' : 'application/octet-stream'),
		time => "${date}T$time." . substr("${fraction}000000", 0, 6) . 'Z');

	$event{data} = decode_json($row->{payload}) if defined $row->{payload};
	$event{data_base64} = encode_base64(pack('H*', substr($row->{data}, 2)), '') if defined $row->{data};
	delete @event{ grep { !defined $event{$_} } keys %event };
	return \%event;
}

my @lines = read_domev('postgres', 'plugin');
my $index = 0;
foreach my $m (grep { $_->{type} =~ /[IM]/ } @stream)
{
	my $line = shift @lines;
	my $position = sprintf('%s.%08X', uc($stream[0]{lsn}), $index++);

	$line =~ s/,"sequence":"([^"]*)","endoftransaction":(true|false)\}$//;
	is($1, $position, 'sequence can be counted: the LSN is in Begin');
	if ($m->{type} eq 'M')
	{
		is($m->{content} =~ s/,"mac":"[0-9a-f]{32}"\}$//r, $line, 'a message is what the plugin sends, but for its end');
	}
	else
	{
		is_deeply(attributes($m->{row}), decode_json("$line}"), 'a row has the attributes');
	}
}
is(scalar(@lines), 0, 'nothing else');

# ----------------------------------------------------------------
# Restored and moved rows are sent again; they are known by their transaction
# ----------------------------------------------------------------

# Rows whose xact_id is not the transaction's in Begin, in its low 32 bits.
sub foreign_rows
{
	my @stream = @_;
	my ($xid, @foreign);

	foreach my $m (@stream)
	{
		$xid = $m->{xid} if $m->{type} eq 'B';
		push @foreign, $m->{row} if $m->{type} eq 'I' && ($m->{row}{xact_id} & 0xffffffff) != $xid;
	}
	return @foreign;
}

is(ids(foreign_rows(@stream)), '', 'none so far');
$node->safe_psql('postgres', 'CREATE TABLE backup AS TABLE domev.outbox; TRUNCATE domev.outbox');
$node->safe_psql('postgres', q{BEGIN; INSERT INTO domev.outbox TABLE backup; SELECT domev.emit('e', 'genuine'); COMMIT});
@stream = read_sql('postgres', 'rows', %events);
is(ids(grep { $_->{aggregate_id} ne 'genuine' } rows(@stream)), ids(@rows), 'restored rows repeat');
is(ids(foreign_rows(@stream)), ids(@rows), 'and are known by their xact_id');
is(subjects(join('', read_domev('postgres', 'plugin'))), 'genuine genuine genuine genuine', 'the plugin does not send them');

# Moved into a partition of another order of columns, before that is attached: PostgreSQL does not send what was no row of the outbox.
$node->safe_psql('postgres', q{
	BEGIN;
	CREATE TABLE moved (LIKE domev.outbox);
	ALTER TABLE moved DROP topic, ADD topic text COLLATE "C";
	WITH old AS (DELETE FROM domev.outbox_default RETURNING *)
		INSERT INTO moved SELECT (old).event_id, recorded_at, xact_id, event_type, mapping, causation_id, aggregate_type, aggregate_id, aggregate_version,
			key, payload, data, content_type, data_schema, headers, occurred_at, topic FROM old;
	DO $$ BEGIN EXECUTE format('ALTER TABLE domev.outbox ATTACH PARTITION moved FOR VALUES FROM (%L) TO (%L)', now() - interval '1 day', now() + interval '1 day'); END $$;
	COMMIT;
});
is(types(read_sql('postgres', 'rows', %events)), '', 'what an attached partition brings with it is not sent');
$node->safe_psql('postgres', q{UPDATE domev.outbox SET recorded_at = recorded_at + interval '3 days' WHERE aggregate_id = 'a'});
@stream = read_sql('postgres', 'rows', %events);
is(ids(rows(@stream)), ids(grep { $_->{aggregate_id} eq 'a' } @rows), 'what an UPDATE moves to another partition repeats');
is(ids(foreign_rows(@stream)), ids(rows(@stream)), 'and is known by its xact_id, too');
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'attached')});
@stream = read_sql('postgres', 'rows', %events);
is(join(' ', map { "$_->{relation}{name} $_->{row}{topic}" } grep { $_->{type} eq 'I' } @stream), 'domev.outbox in domev.outbox out domev.outbox out',
	'rows of an attached partition are those of the outbox');
is($node->safe_psql('postgres', q{SELECT DISTINCT tableoid::regclass FROM domev.outbox WHERE aggregate_id = 'attached'}), 'moved', 'it has them');

# ----------------------------------------------------------------
# Publications that do not do
# ----------------------------------------------------------------

sub refused
{
	my ($sql, $error, $name) = @_;
	my $stderr;

	$node->psql('postgres', $sql, stderr => \$stderr, on_error_stop => 1);
	like($stderr, $error, $name);
}
refused(q{CREATE PUBLICATION p FOR TABLE domev.outbox WHERE (topic IS NOT NULL) WITH (publish = 'insert')},
	qr/cannot be used for a partitioned table when publish_via_partition_root is false/, 'a row filter needs publish_via_partition_root');
refused(q{CREATE PUBLICATION p FOR TABLE domev.outbox WHERE (xact_id = pg_current_xact_id()) WITH (publish = 'insert', publish_via_partition_root)}, qr/mutable functions are not allowed/,
	'a row filter cannot know restored rows');
foreach my $publication ('FOR ALL TABLES', q{FOR TABLE domev.outbox WHERE (topic IS NOT NULL) WITH (publish_via_partition_root)})
{
	refused("BEGIN; CREATE PUBLICATION p $publication; DELETE FROM domev.outbox", qr/cannot delete from table/, "$publication: nothing can be deleted");
}
$node->safe_psql('postgres', q{CREATE PUBLICATION part FOR TABLE domev.outbox (event_id, topic) WHERE (topic LIKE 'ou%') WITH (publish = 'insert', publish_via_partition_root)});
$node->safe_psql('postgres', q{DELETE FROM domev.outbox; SELECT domev.emit('e', 'some')});
@stream = read_sql('postgres', 'rows', %events, publication_names => 'part', messages => 'false');
is(types(@stream), 'B R R I I C', 'nothing of deletions; some rows');
is(join(' ', map { join(',', sort keys %$_) . "=$_->{topic}" } rows(@stream)), 'event_id,topic=out event_id,topic=out', 'some columns');
$node->safe_psql('postgres', q{CREATE PUBLICATION nothing; SELECT domev.emit('e', 'message')});
is(types(read_sql('postgres', 'rows', %events, publication_names => 'nothing')), 'B M C', 'messages need no table');

# What a dump keeps of it: before 18, a restored publication lacks the table.
my $dump = $PostgreSQL::Test::Utils::tmp_check . '/pgoutput.sql';
$node->command_ok([ 'pg_dump', '-s', '-d', $node->connstr('postgres'), '-f', $dump ], 'dumped');
like(slurp_file($dump), qr/^CREATE PUBLICATION events /m, 'with the publication');
my ($with_table) = slurp_file($dump) =~ /^(ALTER PUBLICATION events ADD TABLE ONLY domev.outbox WHERE .*;)$/m;
is(defined $with_table ? 'in' : 'not in', $node->pg_version < 18 ? 'not in' : 'in', 'the table is in it from 18 on');

# ----------------------------------------------------------------
# Streaming large transactions: messages that were rolled back get out
# ----------------------------------------------------------------

$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('streamed', pg_current_wal_lsn()), pg_replication_slot_advance('rows', pg_current_wal_lsn())});
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT domev.emit('e', 'kept');
	SAVEPOINT s;
	SELECT count(domev.emit('e', 'rolled back', jsonb_build_object('pad', repeat('x', 1000)))) FROM generate_series(1, 100);
	ROLLBACK TO s;
	COMMIT;
});
is(types(read_sql('postgres', 'rows', %events)), 'B R R I I M I C', 'without streaming nothing of a savepoint that was rolled back');
{
	local $ENV{PGOPTIONS} = '-c logical_decoding_work_mem=64kB';
	@stream = read_sql('postgres', 'streamed', %events, proto_version => 2, streaming => 'on');
}
my ($top) = map { $_->{xid} } grep { $_->{type} eq 'I' && $_->{row}{aggregate_id} eq 'kept' } @stream;
my %aborted = map { $_->{xid} => 1 } grep { $_->{type} eq 'A' } @stream;
my @false = grep { $_->{type} eq 'M' && $_->{content} =~ /rolled back/ } @stream;
is(scalar(grep { $_->{row}{aggregate_id} eq 'rolled back' && !$aborted{ $_->{xid} } } grep { $_->{type} eq 'I' } @stream), 0,
	'streamed rows that were rolled back are known by Stream Abort');
isnt(scalar(@false), 0, 'streamed messages that were rolled back');
is(join(' ', keys %{ { map { $_->{xid} => 1 } @false } }), $top, 'are not: they have the xid of the transaction');

# ----------------------------------------------------------------
# Over a replication connection, by a role with nothing but REPLICATION: encodings, and a slot that is older than its publication
# ----------------------------------------------------------------

$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0; CREATE ROLE reader LOGIN REPLICATION});
$node->safe_psql('latin1', "$setup SELECT pg_create_logical_replication_slot('utf8', 'pgoutput'), pg_create_logical_replication_slot('latin1', 'pgoutput')");
$node->safe_psql('latin1', "SELECT domev.emit('e', E'caf\\u00e9')");
foreach my $encoding (qw(utf8 latin1))
{
	local $ENV{PGUSER} = 'reader';
	local $ENV{PGCLIENTENCODING} = $encoding;
	my @stream = parse(receive($node, 'latin1', $encoding, %events));
	my ($message) = grep { $_->{type} eq 'M' } @stream;

	is(join(' ', map { $_->{aggregate_id} } rows(@stream)), join(' ', ($encoding eq 'utf8' ? "caf\xc3\xa9" : "caf\xe9") x 3), "$encoding: rows in the client's encoding");
	like($message->{content}, qr/"subject":"caf\xc3\xa9"/, "$encoding: messages in UTF-8");
}

$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('early', 'pgoutput')});
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'early')});
$node->safe_psql('postgres', "CREATE PUBLICATION late $all; SELECT domev.emit('e', E'\\u20ac')");
my $read = q{SELECT * FROM pg_logical_slot_peek_binary_changes('early', NULL, NULL, 'proto_version', '1', 'publication_names', 'late')};
if ($node->pg_version < 18)
{
	refused($read, qr/publication "late" does not exist/, 'before 18, a slot must not be older than its publication');
}
else
{
	is(join(' ', map { $_->{aggregate_id} } rows(read_sql('postgres', 'early', %events, publication_names => 'late'))), "\xe2\x82\xac \xe2\x82\xac \xe2\x82\xac",
		'from 18 on, what was emitted before the publication is left out');
}
{
	local $ENV{PGCLIENTENCODING} = 'LATIN1';
	refused(q{SELECT * FROM pg_logical_slot_peek_binary_changes('streamed', NULL, NULL, 'proto_version', '1', 'publication_names', 'events')},
		qr/has no equivalent in encoding "LATIN1"/, 'an encoding without the character is stuck');
}

# ----------------------------------------------------------------
# What examples/debezium sets up: the trigger writes defaults out, which changes nothing that the plugin sends
# ----------------------------------------------------------------

$node->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
$node->safe_psql('postgres', q{CREATE DATABASE debezium TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
$node->safe_psql('debezium', $setup . slurp_file('examples/debezium/setup.sql') . q{
	SELECT pg_create_logical_replication_slot('plugin', 'domev'), domev.alter_mapping('n', enabled => false);
});
foreach my $trigger (qw(ENABLE DISABLE))
{
	$node->safe_psql('debezium', "ALTER TABLE domev.outbox $trigger TRIGGER write_out_defaults; " . q{SELECT domev.emit('e', 'default'), domev.emit('e', 'own', '{"key": "k"}'), domev.emit('journal', 'j')});
	@rows = rows(read_sql('debezium', 'domev_rows', %events, publication_names => 'domev_rows'));
	is(join(' ', map { join('/', map { $_ // '' } @$_{qw(key content_type)}) } @rows),
		$trigger eq 'ENABLE' ? 'default/application/json default/text/json own/application/json k/text/json' : '/ /text/json / k/text/json',
		"trigger ${trigger}D: rows without binary data, not the journal's");
	@lines = grep { !defined $_->{data_base64} } map { decode_json($_) } read_domev('debezium', 'plugin');
	foreach my $line (@lines)
	{
		delete @$line{qw(sequence endoftransaction)};
		is_deeply({ %{ attributes(shift @rows) }, source => $line->{source} }, $line, "trigger ${trigger}D: the event is the same");
	}
	is(scalar(@lines), 4, 'as many events');
}
is(types(read_sql('debezium', 'domev_messages', %events, publication_names => 'domev_messages')), '', 'no messages so far');
is($node->safe_psql('debezium', q{SET ROLE debezium; SELECT domev.heartbeat() IS NOT NULL}), 't', 'the role may keep the slots moving');

# ----------------------------------------------------------------
# Subscriptions: to a table that handles events, as in doc/pgoutput.md, and to another outbox
# ----------------------------------------------------------------

# The slot is made beforehand, as both ends are on one server.
sub subscribe
{
	my ($dbname, $name, $publication) = @_;

	$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$name', 'pgoutput')");
	$node->safe_psql($dbname, sprintf(q{CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION %s WITH (create_slot = false)},
		$name, ($node->connstr('postgres') . ' user=reader') =~ s/'/''/gr, $publication));
	$node->wait_for_subscription_sync($node, $name, $dbname);
}

my $page = slurp_file('doc/pgoutput.md');
my ($publication) = $page =~ /^(CREATE PUBLICATION billing .*?;)$/ms;
my ($consumer) = $page =~ /^```sql consumer\n(.*?)^```$/ms;
$node->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach (qw(consumer other));
$node->safe_psql('postgres', $publication =~ s/'shop\.orders'/'out'/r . ' GRANT SELECT (event_id, event_type, aggregate_id, payload, topic) ON domev.outbox TO reader');
$node->safe_psql('postgres', q{DELETE FROM domev.outbox; SELECT domev.emit('e', 'before'), domev.emit('journal', 'j')});
$node->safe_psql('consumer', $consumer);
$node->safe_psql('other', $setup . q{SELECT pg_create_logical_replication_slot('others', 'domev')});
subscribe('consumer', 'billing', 'billing');
$node->safe_psql('postgres', 'GRANT SELECT ON domev.outbox TO reader');
subscribe('other', 'other', 'events');

my $handled = 'SELECT event_type, aggregate_id FROM billing.handled ORDER BY aggregate_id DESC, event_type';
my $copied = 'SELECT topic, aggregate_id, count(*) FROM domev.outbox GROUP BY 1, 2 ORDER BY 2, 1';
is($node->safe_psql('consumer', $handled), "b|before\ni|before", 'a subscription starts with what the outbox has');
is($node->safe_psql('other', $copied), "in|before|1\nout|before|2", 'to another outbox as well');
$node->safe_psql('postgres', q{SELECT domev.emit('e', 'after'), domev.emit('journal', 'j')});
$node->safe_psql('postgres', q{CREATE TABLE again AS TABLE domev.outbox; TRUNCATE domev.outbox; INSERT INTO domev.outbox TABLE again});
$node->wait_for_catchup($_) foreach (qw(billing other));
is($node->safe_psql('consumer', $handled), "b|before\ni|before\nb|after\ni|after", 'each event is handled once, though rows were restored');
is($node->safe_psql('consumer', 'SELECT count(*) FROM domev.outbox'), '0', 'and not kept');
is($node->safe_psql('other', $copied), "in|after|2\nout|after|4\nin|before|2\nout|before|4", 'another outbox has restored rows twice');
$node->safe_psql('other', q{SELECT domev.emit('e', 'own')});
is(subjects(join('', read_domev('other', 'others'))), 'own own own own', 'its slots publish its own events alone, with origin any as well');

$node->stop;
done_testing();
