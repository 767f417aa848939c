#!/usr/bin/env bash
# Does domev work with what its users have: brokers, and applications in their languages?  Runs the parts in this folder, each with
# the real programs, on a server of its own.  Arguments: names of parts (default: all that have a file in this folder); before them
# --installed takes the domev that the PostgreSQL has, and builds none.  README.md tells how a part gets in.
# Installs what is missing; what cannot be had here is skipped, and the reason is said.
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../parts.sh
source "$source_tree/test/parts.sh"

data='' # the part's cluster, once it has one
declare -A job_of=() # process groups of programs in the background, by their names

run_part() { # NAME
	folder=$copy/examples/$name
	logs=$home/parts/$name # servers and programs write there, too
	as_user mkdir -p "$logs"
	trap end_part EXIT
	# shellcheck source=/dev/null
	source "$source_tree/test/interop/$name.sh"
	prepare_part
	# shellcheck disable=SC2154
	say "--- $name: $about"
	check
}

end_part() {
	local rc=$? name
	trap - EXIT
	[ "$rc" = 0 ] || show_all_logs
	for name in "${!job_of[@]}"; do kill_job "$name" || true; done
	if [ -n "$data" ]; then crash_server || true; fi
	exit "$rc"
}

show_all_logs() {
	local log
	for log in "$logs"/*.log; do
		if [ -s "$log" ]; then show_log "$log" 40; fi
	done
}

# --- What a part's check may use --------------------------------------------------------------------------------------------------

passed() { # SENTENCE
	result passed "$1"
}

failed() { # SENTENCE [LOG]
	[ -z "${2:-}" ] || show_log "$2"
	result failed "$1"
}

# None that the kernel gives to connections: one that tries in vain to reach a server that was killed would get its port sooner or later.
# Nor one that the conformance kit takes, or that this run has given out: who has it may not listen at the moment.
free_port() {
	mkdir -p "$work/ports"
	python3 - "$work/ports" <<-'END'
		import os, random, socket, sys

		while True:
		    port = random.randrange(10000, 20000)
		    with socket.socket() as listener:
		        try:
		            listener.bind(("127.0.0.1", port))
		            os.mkdir(os.path.join(sys.argv[1], str(port)))
		        except OSError:
		            continue
		        print(port)
		        break
	END
}

# Polls a condition; that it never came is an error.
wait_until() { # SECONDS SENTENCE COMMAND...
	local end=$((SECONDS + $1)) sentence=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			say "waited in vain until $sentence"
			return 1
		fi
		sleep 0.1
	done
}

# A cluster that the loopback interface reaches, as drivers of Java know no other; the lines are added to its configuration.
start_server() { # [CONFIGURATION-LINE...]
	data=$logs/data
	export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres PGPORT
	PGPORT=$(free_port)
	make_cluster "$data" "listen_addresses = '127.0.0.1'" "port = $PGPORT" "$@" >"$logs/initdb.log" 2>&1
	control_server -l "$logs/server.log" start
}

control_server() { # PG_CTL ARGUMENT...
	as_user pg_ctl -D "$data" -w "$@" >>"$logs/pg_ctl.log" 2>&1
}

crash_server() { control_server -m immediate stop; }

# Whether it runs or has crashed.
restart_server() {
	if control_server status; then control_server -m fast stop; fi
	control_server -l "$logs/server.log" start
}

stop_server() {
	control_server -m fast stop
	data=''
}

sql() { # [PSQL ARGUMENT...]
	as_user psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

# A program in the background, in a process group of its own; what it prints is in $logs/NAME.log.
start_job() { # NAME COMMAND...
	local name=$1
	shift
	set -m
	as_user "$@" >>"$logs/$name.log" 2>&1 </dev/null &
	job_of[$name]=$!
	set +m
}

# Returns when all of it is gone.
kill_job() { # NAME [SIGNAL]
	local group=${job_of[$1]:-}
	unset "job_of[$1]"
	[ -n "$group" ] || return 0
	kill "-${2:-KILL}" -- "-$group" 2>/dev/null || true
	wait "$group" 2>/dev/null || true
	wait_until 20 "$1 has ended" is_gone "$group"
}

# What only waits for its parent's attention, in vain where the first process of a container pays none, is gone, too: but not as long as it
# has threads, for then its sockets are open.
is_gone() { # PROCESS-GROUP
	! { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
		awk -v "group=$1" '{ sub(/.*\) /, "") } $3 == group && ($1 != "Z" || $18 > 1) { found = 1 } END { exit !found }'
}

is_running() { # NAME
	[ -n "${job_of[$1]:-}" ] && kill -0 -- "-${job_of[$1]}" 2>/dev/null
}

run_parts 2 "$source_tree/test/interop" "$@"
