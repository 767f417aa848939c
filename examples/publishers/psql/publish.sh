#!/usr/bin/env bash
# Publishes the events of a slot with psql and PostgreSQL's functions on slots; README.md has the reasons.
set -euo pipefail
trap '' PIPE # writing to a broker that has gone shall fail, no more
batch=1000   # events; a transaction that has more comes whole all the same

sql() { # STATEMENT [PSQL ARGUMENT...]
	psql -d "$DOMEV_CONNECTION" -XqAt -F ' ' -v ON_ERROR_STOP=1 -v slot="$DOMEV_SLOT" "${@:2}" <<<"$1"
}

connect() {
	exec 3<>"/dev/tcp/${DOMEV_BROKER%:*}/${DOMEV_BROKER##*:}"
}

# Returns when the broker has the event.
publish() { # EVENT
	local answer=''
	until [ "$answer" = ok ]; do
		if ! { printf '%s\n' "$1" >&3 && read -r answer <&3; } 2>/dev/null; then
			connect
		fi
	done
}

connect
while true; do
	# Taken first: all that was committed before it is in the answer to the next statement.
	end=$(sql 'SELECT pg_current_wal_flush_lsn()')
	# Not in a pipe: a statement that failed must not pass for one without events.
	rows=$(sql "SELECT lsn, data FROM pg_logical_slot_peek_changes(:'slot', :'end', :batch)" -v end="$end" -v batch="$batch")
	count=0
	while read -r lsn event && [ -n "$lsn" ]; do
		publish "$event"
		count=$((count + 1))
		last=$lsn
	done <<<"$rows"
	if [ "$count" -ge "$batch" ]; then end=$last; fi # there may be more before the other
	sql "SELECT pg_replication_slot_advance(:'slot', :'end')" -v end="$end" >/dev/null
	if [ "$count" -lt "$batch" ]; then sleep 1; fi
done
