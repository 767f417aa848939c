# What happens to every publisher that is tested with a real broker?  Sourced by its part, which sets "publisher" (its command).
# shellcheck shell=bash disable=SC2154

start_story() {
	start_server
	sql -f "$copy/test/interop/publishers/ledger.sql" >"$logs/ledger.log"
	start_publisher
	start_job sessions pgbench -n -c 4 -R 150 -T 600 -f "$copy/test/interop/publishers/session.pgbench"
	makes_progress 'as nothing is the matter yet'
}

# Started again whenever it ends, as a supervisor would.
start_publisher() {
	# shellcheck disable=SC2016
	start_job publisher env "DOMEV_CONNECTION=postgresql://postgres@127.0.0.1:$PGPORT/postgres" DOMEV_SLOT=publisher \
		"DOMEV_BROKER=$brokers" sh -c 'while :; do "$@"; sleep 0.2; done' publisher "${publisher[@]}"
}

# Killed with SIGKILL, and started again.
restart_publisher() {
	kill_job publisher KILL
	start_publisher
}

is_past() { # LSN
	[ "$(sql -c "SELECT confirmed_flush_lsn > '$1' FROM pg_replication_slots WHERE slot_name = 'publisher'")" = t ]
}

slot_position() { sql -c "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'publisher'"; }

# The publisher gets on, whatever is the matter.
makes_progress() { # SENTENCE
	wait_until 30 "the publisher acknowledges more, $1" is_past "$(slot_position)"
}

end_story() {
	kill_job sessions
	wait_until 30 'the sessions have ended' sessions_have_ended
	wait_until 60 'all is acknowledged' is_past "$(sql -c 'SELECT pg_current_wal_flush_lsn() - 1')"
	sql -c 'SELECT id, aggregate, version FROM ledger' >"$logs/ledger"
}

sessions_have_ended() {
	[ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'")" = 0 ]
}

# Compares what was read from the broker, $logs/events, with the ledger.
judge_story() { # SENTENCE
	local found rc=0
	found=$(python3 "$copy/test/interop/publishers/judge.py" "$logs/ledger" "$logs/events") || rc=$?
	if [ "$rc" = 0 ]; then passed "$1: $found"; else failed "$1: $found" "$logs/publisher.log"; fi
}
