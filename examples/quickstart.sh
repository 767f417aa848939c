#!/usr/bin/env bash
# Shows domev at work, from nothing to events in a replication client, in one command:
# installs what is missing, builds and installs domev, starts a throw-away server, plays a small order story and streams its events.
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../test/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../test/setup.sh"

server_log='' # set once there may be a server
slot=quickstart

finish() {
	local rc=$?
	trap - EXIT
	if [ -n "$server_log" ]; then
		if [ "$rc" != 0 ] && [ -s "$server_log" ]; then show_log "$server_log"; fi
		as_user pg_ctl -D "$home/data" -m immediate stop >/dev/null 2>&1 || true
	fi
	clean_up
	exit "$rc"
}
trap finish EXIT
trap_signals

start_server() {
	step "Making a throw-away database cluster" initdb.log make_cluster "$home/data"
	server_log=$home/server.log
	step "Starting it" start.log as_user pg_ctl -D "$home/data" -l "$server_log" start
	step "Making a database" createdb.log as_user createdb -h "$home" -U postgres shop
}

sql() { # [PSQL ARGUMENT...]
	as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$home" -U postgres -d shop "$@"
}

# Shows the SQL on standard input, and runs it.
play() { # SENTENCE
	local script
	script=$(cat)
	printf '\n%s\n\n' "$1"
	printf '%s\n' "$script" | sed 's/^/    /'
	sql -o /dev/null -f - <<<"$script" || die "this failed: $1"
}

receive() { # ARGUMENT...
	as_user timeout 60 pg_recvlogical -h "$home" -U postgres -d shop --slot "$slot" "$@"
}

tell_story() {
	play 'The registry: two topics, and a domain event that goes to the internal one.' <<-'SQL'
		CREATE EXTENSION domev;
		SELECT domev.create_topic('orders.internal', scope => 'internal');
		SELECT domev.create_topic('orders', scope => 'external');
		SELECT domev.create_event_type('order.placed', aggregate_type => 'order', topic => 'orders.internal');
	SQL

	play 'The application: its tables.' <<-'SQL'
		CREATE TABLE customers (id bigint PRIMARY KEY, name text, country text, notes text);
		CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, total numeric);
		INSERT INTO customers VALUES (7, 'Zoë Sørensen', 'DK', 'pays late');
	SQL

	play 'The mapping: what other systems shall see of "order.placed", with what they need to know of the customer.' <<-'SQL'
		CREATE FUNCTION order_placed_for_others(placed domev.domain_event)
		    RETURNS SETOF domev.integration_event
		    LANGUAGE sql STABLE
		BEGIN ATOMIC
		    SELECT (domev.make_integration_event(
		        'shop.order-placed.v1',
		        jsonb_build_object(
		            'order', placed.aggregate_id,
		            'total', placed.payload -> 'total',
		            'customer', jsonb_build_object('name', c.name, 'country', c.country)))).*
		    FROM customers c
		    WHERE c.id = (placed.payload ->> 'customer_id')::bigint;
		END;

		SELECT domev.create_mapping('order-placed-for-others', 'order.placed', 'public.order_placed_for_others', topic => 'orders');
	SQL

	printf '\n%s\n\n' 'A replication slot: from here on the server keeps what a publisher has not yet confirmed.'
	say "    pg_recvlogical -d shop --slot $slot --create-slot --plugin domev"
	receive --create-slot --plugin domev

	play 'An order that does not come about: rolled back.' <<-'SQL'
		BEGIN;
		INSERT INTO orders VALUES (41, 7, 12.00);
		SELECT domev.emit('order.placed', 41, '{"customer_id": 7, "total": 12.00}');
		ROLLBACK;
	SQL

	play 'An order that does: committed.' <<-'SQL'
		BEGIN;
		INSERT INTO orders VALUES (42, 7, 63.10);
		SELECT domev.emit('order.placed', 42, '{"customer_id": 7, "total": 63.10}');
		COMMIT;
	SQL
}

# Up to the end of what was written so far, so that this ends by itself and nothing later can be meant.
stream() {
	local end
	end=$(sql -c 'SELECT pg_current_wal_lsn()')
	printf '\n%s\n\n' 'A publisher: any client of logical replication. It receives CloudEvents, one JSON object each.'
	say "    pg_recvlogical -d shop --slot $slot --start --no-loop --endpos $end -f -"
	receive --start --no-loop --endpos "$end" -f - >"$work/events" || die "pg_recvlogical ended with status $?"
	# CSV, with quotes and delimiters that JSON cannot hold: the bytes reach the table as they are.
	sql -c 'CREATE TABLE received (n int GENERATED ALWAYS AS IDENTITY, event jsonb)'
	sql -c "COPY received (event) FROM STDIN (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')" <"$work/events" || {
		cat "$work/events"
		die "what was received, above, is not JSON"
	}
}

# Prints a sentence about what was received only if it is so.
tell() { # SENTENCE CONDITION
	local truth
	truth=$(sql -c "SELECT coalesce(($2), false)")
	if [ "$truth" != t ]; then
		printf 'received:\n%s\n' "$(<"$work/events")" >&2
		die "this should be so, and is not: $1 [$2]"
	fi
	say "=> $1"
}

event() { # NUMBER
	printf '\n'
	sed -n "$1p" "$work/events"
	printf '\n'
}

show_received() {
	sql -P format=aligned -P tuples_only=off -P footer=off \
		-c "SELECT event->>'type' AS type, event->>'topic' AS topic, event->'data' AS data FROM received ORDER BY n"
}

explain() {
	event 1
	tell 'The domain event, as it was emitted, on the internal topic: for other parts of the same system.' \
		"SELECT event @> '{\"specversion\": \"1.0\", \"type\": \"order.placed\", \"topic\": \"orders.internal\", \"subject\": \"42\"}'
			AND event->'data' = '{\"customer_id\": 7, \"total\": 63.10}' FROM received WHERE n = 1"
	event 2
	tell 'The integration event that the mapping made of it, on the external topic: for other systems.
   Name and country come from the table customers, as the transaction saw it; the notes stay at home.' \
		"SELECT event @> '{\"type\": \"shop.order-placed.v1\", \"topic\": \"orders\", \"subject\": \"42\"}' AND event->'data' =
			'{\"order\": \"42\", \"total\": 63.10, \"customer\": {\"name\": \"Zoë Sørensen\", \"country\": \"DK\"}}' FROM received WHERE n = 2"
	tell 'Its "causationid" is the id of the domain event, and "endoftransaction" says that no more comes of its transaction.' \
		"SELECT b.event->'causationid' = a.event->'id' AND (b.event->'endoftransaction')::bool AND NOT a.event @> '{\"endoftransaction\": true}'
			FROM received a, received b WHERE a.n = 1 AND b.n = 2"
	printf '\n%s\n\n' 'What was received, as a table:'
	show_received
	tell 'Nothing else was received. Order 41 was rolled back, so for the world outside it never happened.' \
		"SELECT count(*) = 2 AND bool_and(event->>'subject' = '42') FROM received"
}

say_next() {
	printf '\n%s\n\n' "It works. The server and its folder are being removed; domev stays installed in $("$PG_CONFIG" --version)."
	say 'What next:'
	say '  - in the configuration of your own server: wal_level = logical (takes a restart)'
	if grep -q '^output_plugin_libraries' "$home/data/postgresql.conf"; then
		say "    and output_plugin_libraries = 'pgoutput, test_decoding, domev' (takes a reload)"
	fi
	if command -v pg_lsclusters >/dev/null && [ -z "$(pg_lsclusters -h)" ]; then
		say "    (this machine has no server yet; as root: pg_createcluster $(major_of "$PG_CONFIG") main --start)"
	fi
	say '  - in your own database: CREATE EXTENSION domev'
	say "  - to run the tests: $source_tree/test/run.sh"
	say "  - to read on: $source_tree/README.md"
}

prepare
build
install_domev
start_server
tell_story
stream
explain
say_next
