# Do events reach Kafka through an unmodified Debezium, with examples/debezium as it is?  The judge takes what the plugin domev sends
# for what is right.
# shellcheck shell=bash disable=SC2034,SC2154
# shellcheck source-path=SCRIPTDIR source=kafka/broker.sh
source "$copy/test/interop/kafka/broker.sh"

about='rows and messages through Debezium and Kafka Connect'
part=$copy/test/interop/kafka
example=$copy/examples/debezium
read=("${kafka_java[@]}" -cp "$part:$kafka/kafka/*:$kafka/cloudevents/*" Read)

prepare() {
	prepare_kafka
	kafka_libraries cloudevents
	kafka_libraries debezium plugins/debezium
	as_user javac -Xlint:all -Werror -d "$part" -cp "$kafka/kafka/*:$kafka/cloudevents/*" "$part/Read.java"
}

check() {
	launch_kafka
	make_shop
	await_kafka
	start_job records "${read[@]}" "$KAFKA_BOOTSTRAP"
	write_connect_files
	start_debezium
	check_kills
	check_what_is_no_event
	check_idle_slots
	judge
	check_older_copy
}

make_shop() {
	start_server
	sql -c 'CREATE DATABASE shop' >/dev/null
	export PGDATABASE=shop
	sql -f "$part/world.sql" -f "$example/setup.sql" >/dev/null
	block_of_page sql | sql >/dev/null
	sql -c "SELECT pg_create_logical_replication_slot('reference', 'domev'), pg_create_logical_replication_slot('domev_unparsed', 'pgoutput')" >/dev/null
	# The slots have what comes before Debezium.
	sql -f "$part/values.sql" >"$logs/values.log" 2>&1
}

# The example's files, and what suits a test: no fixed folder and port, heartbeats that can be waited for;
# and, as README.md says, replays.
write_connect_files() {
	write_properties worker worker "plugin.path=$kafka/plugins" "listeners=http://127.0.0.1:$(free_port)"
	write_properties rows rows heartbeat.interval.ms=500
	write_properties binary rows heartbeat.interval.ms=500 "$(block_of_page properties)"
	write_properties messages messages heartbeat.interval.ms=500 'message.prefix.include.list=domev/shop\\.audit,domev\\.replay/kafka/.*'
	# Takes the same messages, and so needs a slot of its own, and other topics.
	write_properties unparsed messages-unparsed heartbeat.interval.ms=500 slot.name=domev_unparsed "transforms.topic.replacement=unparsed.\$1" \
		'message.prefix.include.list=domev/.*,domev\\.replay/kafka/.*' 'transforms.topic.regex=domev(?:\\.replay/kafka)?/(.*)'
}

write_properties() { # NAME FILE LINE...
	{
		cat "$example/$2.properties"
		printf '%s\n' "${@:3}"
	} | as_user tee "$logs/$1.properties" >/dev/null
}

# What README.md shows in this language.
block_of_page() { # LANGUAGE
	sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p;}" "$example/README.md"
}

start_debezium() {
	start_job debezium env KAFKA_BOOTSTRAP="$KAFKA_BOOTSTRAP" CONNECT_OFFSETS="$logs/offsets" PGUSER=debezium PGPASSWORD=none \
		"${kafka_java[@]}" -cp "$kafka/kafka/*" org.apache.kafka.connect.cli.ConnectStandalone \
		"$logs"/{worker,rows,binary,messages,unparsed}.properties
}

records() { # TOPIC [PATTERN]
	grep -c "^{\"topic\":\"$1\".*${2:-}" "$logs/records.log" || true
}

has_records() { # TOPIC NUMBER [PATTERN]
	[ "$(records "$1" "${3:-}")" -ge "$2" ]
}

# From all connectors, after what there is by now.
await_records() { # SENTENCE
	local topic
	for topic in shop.orders shop.audit unparsed.shop.audit; do
		wait_until 60 "there are more records in $topic $1" has_records "$topic" "$(($(records "$topic") + 50))"
	done
}

# While orders are placed; what is lost, or out of order, is for the judge to find.
check_kills() {
	start_job orders psql -X -q -c 'CALL place_orders()'
	await_records 'when Debezium runs'
	kill_job debezium KILL
	start_debezium
	await_records 'after Debezium was killed and started'
	kill_kafka
	start_kafka
	await_records 'after Kafka was killed and started'
	sql -c 'INSERT INTO enough DEFAULT VALUES'
	wait_until 10 'no more orders are placed' is_idle
}

is_idle() {
	! is_running orders
}

# A row that somebody restores or moves comes again; one that is deleted, or dropped with its partition, does not disturb.
check_what_is_no_event() {
	local before key='"key":"\(headers\|after a savepoint\|numbers\)"'
	before=$(records shop.orders "$key")
	sql -f "$part/no-events.sql" -c "SELECT domev.emit('order.placed', 'the last', '{\"picture\": \"00ff\"}')" >"$logs/no-events.log" 2>&1
	wait_until 30 'the last row is in Kafka' has_records shop.orders 1 '"key":"the last"'
	wait_until 30 'the last row with binary data is in Kafka' has_records shop.pictures 1 '"key":"the last"'
	wait_until 30 'the last message is in Kafka' has_records shop.audit 1 '"key":"the last"'
	wait_until 30 'the last message is in Kafka, unparsed' has_records unparsed.shop.audit 1 '\\"subject\\":\\"the last\\"'
	if [ "$(records shop.orders "$key")" = $((before + 2)) ]; then
		passed 'rows that are restored or moved come again, those that are changed, deleted, truncated or dropped do not'
	else
		failed "of rows that were restored, moved, changed, deleted, truncated or dropped came $(($(records shop.orders "$key") - before)), not 2"
	fi
}

check_idle_slots() {
	local end
	end=$(sql -d postgres -c 'CREATE TABLE elsewhere ()' -c 'SELECT pg_current_wal_lsn()')
	wait_until 30 'all slots have moved on although there are no events' have_slots_passed "$end"
	passed 'the slots of a database without events move on'
}

have_slots_passed() { # LSN
	[ "$(sql -c "SELECT bool_and(confirmed_flush_lsn >= '$1') FROM pg_replication_slots WHERE plugin = 'pgoutput'")" = t ]
}

# The slots have moved past the last event, so all of them are in Kafka.
judge() {
	local outcome sentence
	sql -c "SELECT data FROM pg_logical_slot_get_changes('reference', NULL, NULL, 'replay', 'kafka')" >"$logs/reference"
	as_user "${read[@]}" "$KAFKA_BOOTSTRAP" end >"$logs/all-records" 2>"$logs/all-records.log"
	python3 "$part/judge.py" "$logs/reference" "$logs/all-records" >"$logs/judgement" || failed 'the judge can judge' "$logs/judgement"
	while IFS=: read -r outcome sentence; do
		"$outcome" "${sentence# }"
	done <"$logs/judgement"
}

# The server is replaced by an older copy of itself, as by a failover or a restore.  The offsets say more than it has: README.md has them removed.
check_older_copy() {
	local end topic
	kill_job debezium KILL
	control_server -m fast stop
	as_user cp -a "$data" "$logs/older-copy"
	control_server -l "$logs/server.log" start
	start_debezium
	sql -c "SELECT domev.emit('order.placed', 'before ' || n, '{\"picture\": \"00ff\"}') FROM generate_series(1, 100) AS n" >/dev/null
	end=$(sql -c 'SELECT pg_current_wal_lsn()')
	wait_until 60 'all slots have passed what the older copy does not have' have_slots_passed "$end"
	kill_job debezium KILL
	crash_server
	as_user rm -r "$data"
	as_user mv "$logs/older-copy" "$data"
	control_server -l "$logs/server.log" start
	sql -c "SELECT domev.emit('order.placed', 'on the older copy', '{\"picture\": \"00ff\"}')" >/dev/null
	as_user rm "$logs/offsets"
	start_debezium
	for topic in shop.orders shop.pictures shop.audit unparsed.shop.audit; do
		wait_until 60 "what was emitted on the older copy is in $topic" has_records "$topic" 1 'on the older copy'
	done
	passed 'what was emitted on an older copy of the server is there, without the offsets'
}
