# Does the publisher for NATS JetStream lose nothing when servers and the publisher are killed?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
about='examples/publishers/nats with three servers'
folder=$copy/examples/publishers/nats

# shellcheck source-path=SCRIPTDIR source=publishers/story.sh
source "$copy/test/interop/publishers/story.sh"

prepare() {
	need_packages nats-server
	need_venv "$folder/venv" "$folder/requirements.txt"
}

check() {
	local killed
	start_cluster
	publisher=("$folder/venv/bin/python" "$folder/publish.py")
	start_story
	killed=$(stream leader)
	kill_job "$killed" KILL
	makes_progress "though $killed, the stream's leader, was killed"
	restart_publisher
	makes_progress 'after it was killed'
	start_node "$killed"
	wait_until 30 "$killed is up to date" stream whole
	killed=$(other_than "$(stream leader)")
	kill_job "$killed" KILL
	makes_progress "though $killed was killed"
	restart_publisher
	makes_progress 'after it was killed again'
	start_node "$killed"
	end_story
	wait_until 30 "$killed is up to date" stream whole
	stream read >"$logs/events"
	judge_story 'the stream, after its leader, another server and twice the publisher were killed'
	judge_repeats
	check_too_large
}

# Within the window for duplicates, which is longer than all of this, there are none; but there was something to leave out.
judge_repeats() {
	local again
	again=$(grep -c 'sent again' "$logs/publisher.log" || true)
	if [ "$again" -gt 0 ] && [ "$(cut -c 1-80 "$logs/events" | sort | uniq -d | wc -l)" = 0 ]; then
		passed "no repeat in the stream, though $again batches were sent again"
	else
		failed "repeats in the stream within its window for duplicates, or no batch was sent again ($again)" "$logs/publisher.log"
	fi
}

# The server closes the connection for an event that is too large only with its headers, and the client makes no other.
check_too_large() {
	sql -c "SELECT domev.emit('order.placed', 2, jsonb_build_object('note', repeat('x', 1048576 - 380)))" >/dev/null
	if wait_until 30 'the publisher has ended' grep -q 'connection to NATS was closed.*maximum payload' "$logs/publisher.log"; then
		passed 'a publisher whose connection was closed for good ends, and says why'
	else
		failed 'a publisher whose connection was closed for good goes on' "$logs/publisher.log"
	fi
}

# --- Three servers ----------------------------------------------------------------------------------------------------------------

nodes=(n1 n2 n3)
declare -A port_of=() route_of=()
brokers='' # addresses of all

start_cluster() {
	local node
	for node in "${nodes[@]}"; do
		port_of[$node]=$(free_port)
		route_of[$node]=$(free_port)
	done
	brokers=$(printf '127.0.0.1:%s\n' "${port_of[@]}" | paste -sd ,)
	for node in "${nodes[@]}"; do start_node "$node"; done
	wait_until 30 'the servers make a stream' stream make
}

start_node() { # NAME
	start_job "$1" nats-server --name "$1" --addr 127.0.0.1 --port "${port_of[$1]}" --jetstream --store_dir "$logs/$1" \
		--cluster_name domev --cluster "nats-route://127.0.0.1:${route_of[$1]}" \
		--routes "$(printf 'nats-route://127.0.0.1:%s\n' "${route_of[@]}" | paste -sd ,)"
}

other_than() { # NODE
	printf '%s\n' "${nodes[@]}" | grep -vx "$1" | head -n 1
}

stream() { # COMMAND
	as_user "$folder/venv/bin/python" "$copy/test/interop/nats/stream.py" "$brokers" "$1"
}
