# What the runs have in common that say of each thing whether it passed, failed or could not be had, and may need a server for it.
# To be sourced by bash under "set -euo pipefail", after setup.sh; a run sets finished at its end.
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
# shellcheck shell=bash disable=SC2154

exec 3>&1     # for the last line: a signal may come while standard output goes elsewhere
server_log='' # set once there may be a server
passed=0 failed=0 skipped=0
finished='' # set when all tests came to their end

finish() {
	trap - EXIT
	if [ -n "$server_log" ]; then
		[ -n "$finished" ] || show_log "$server_log" 20
		as_user pg_ctl -D "$home/data" -m immediate stop >/dev/null 2>&1 || true
	fi
	clean_up
	# Whatever ended the run early is a failure of its own.
	[ -n "$finished" ] || failed=$((failed + 1))
	printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped" >&3
	exit $((failed > 0))
}
trap finish EXIT
trap_signals

pass() { # SENTENCE
	say "passed   $1"
	passed=$((passed + 1))
}

fail() { # SENTENCE [FILE]; the first lines of the file say why
	say "failed   $1"
	[ -z "${2:-}" ] || head -n 20 "$2" | cut -c 1-1500
	failed=$((failed + 1))
}

skip() { # SENTENCE
	say "skipped  $1"
	skipped=$((skipped + 1))
}

# For a command that is run by itself: its status 77 means that something cannot be had, and the last line of its output is why.
cannot() { # REASON
	say "$*"
	return 77
}

start_server() {
	step "Making a throw-away database cluster" initdb.log make_cluster "$home/data"
	server_log=$home/server.log
	step "Starting it" start.log as_user pg_ctl -D "$home/data" -l "$server_log" start
}

sql() { # DATABASE [PSQL ARGUMENT...]
	as_user psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$home" -U postgres -d "$@"
}
