#!/usr/bin/env bash
# Do the clients that people use lose nothing?  Runs the publishers of examples/publishers, each with its real client, through
# scenarios of test/conformance.  Arguments: names of clients (default: all that have a file in this folder); before them --installed
# takes the domev that the PostgreSQL has, and builds none.  README.md tells how a client gets in.
# Installs what is missing; a client that cannot be had here is skipped, and the reason is said.
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

exec 3>&1 # for the last line: a signal may come while standard output goes elsewhere
at_a_time=4 # most of the time they wait
jobs=()     # process groups of clients that run
finished='' # set when all clients came to their end

finish() {
	local job passed failed skipped
	trap - EXIT
	for job in ${jobs[@]+"${jobs[@]}"}; do kill -- "-$job" 2>/dev/null || true; done
	wait
	passed=$(count passed)
	failed=$(count failed)
	skipped=$(count skipped)
	# Whatever ended the run early is a failure of its own.
	[ -n "$finished" ] || failed=$((failed + 1))
	clean_up
	printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped" >&3
	exit $((failed > 0))
}
trap finish EXIT
trap_signals

count() { # RESULT
	cat /dev/null "$work"/clients/*/results 2>/dev/null | grep -c "^$1" || true
}

# One line of what the client's part of the run prints, and of what is counted.
result() { # passed|failed|skipped SENTENCE
	printf '%-8s %s\n' "$1" "$name${2:+: $2}" | tee -a "$logs/results"
}

# --- What a client's file may use -----------------------------------------------------------------------------------------------

# For prepare: the client cannot be had here.
skip() { # REASON
	say "$*"
	exit 77
}

# For prepare: Debian's packages, installed if they are not.
need_packages() { # PACKAGE...
	local package missing=()
	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || ! { is_root || command -v sudo >/dev/null; }; then
		skip "needs the packages ${missing[*]}, and there is no apt-get, or neither root nor sudo, to install them"
	fi
	# One client at a time, and the lists once a run: they may still do when they cannot be brought up to date.
	exec 9>"$work/apt.lock"
	flock 9
	if [ ! -e "$work/apt.updated" ]; then
		apt_get update || true
		touch "$work/apt.updated"
	fi
	apt_get install -y --no-install-recommends --no-remove "${missing[@]}" || skip "apt-get cannot install ${missing[*]}"
	exec 9>&-
}

# --- One client -----------------------------------------------------------------------------------------------------------------

# Sourced here, in a process of its own, so that clients cannot disturb each other.
run_client() { # NAME
	local rc=0
	name=$1
	folder=$copy/examples/publishers/$name
	logs=$work/clients/$name
	plugin=domev
	scenarios=()
	also=()
	loses=()
	# shellcheck source=/dev/null
	source "$source_tree/test/clients/$name.sh"
	# In the background, because "set -e" does not hold on the left of ||.
	prepare >"$logs/prepare.log" 2>&1 </dev/null &
	wait "$!" || rc=$?
	if [ "$rc" = 77 ]; then
		result skipped "$(tail -n 1 "$logs/prepare.log")"
	elif [ "$rc" != 0 ]; then
		show_log "$logs/prepare.log"
		result failed 'could not be prepared'
	else
		run_configurations
	fi
}

# The configurations of the client that lose nothing, then those that must be seen to.
run_configurations() {
	local configuration command
	command=$(what)
	say "--- $name: $command"
	command=$(publisher)
	run_right '' "$command"
	for configuration in ${also[@]+"${also[@]}"}; do
		command=$("publisher_$configuration")
		run_right "$configuration" "$command"
	done
	for configuration in ${loses[@]+"${loses[@]}"}; do
		command=$("publisher_${configuration%:*}")
		run_wrong "${configuration%:*}" "$(sed -n 's/.*://p' <<<"$configuration")" "$command"
	done
}

# Runs the kit; its exit status says nothing that its lines do not.
run_kit() { # LOG COMMAND [SCENARIO...]
	local scenario arguments=(--quick --plugin "$plugin" --pg-config "$PG_CONFIG")
	for scenario in "${@:3}"; do arguments+=(--scenario "$scenario"); done
	# It leaves root by itself; runuser in between would not give it the time to clean up when it is told to end.
	env "PATH=$bindir:$PATH" python3 "$copy/test/conformance/run" "${arguments[@]}" -- "$2" >"$1" 2>&1 </dev/null || true
}

run_right() { # CONFIGURATION COMMAND
	local log=$logs/kit${1:+-$1}.log scenario outcome about
	run_kit "$log" "$2" ${scenarios[@]+"${scenarios[@]}"}
	while IFS=$'\t' read -r scenario outcome about; do
		result "$outcome" "${1:+$1, }$scenario${about:+ ($about)}"
	done < <(outcomes "$log")
	if ! grep -q '^[0-9]* passed, 0 failed$' "$log"; then
		show_log "$log" 120
		# A kit that broke down has not said what failed.
		grep -q '^FAILED: ' "$log" || result failed "${1:+$1, }the conformance kit broke down"
	fi
}

# Lines "scenario, outcome, remark" of what the kit printed.
outcomes() { # LOG
	awk -v OFS='\t' '
		/^=== / { scenario = $2; about = "" }
		/^(lost|phantom|out of order|split|differing repeats) [1-9]/ { about = about (about ? ", " : "") $0 }
		/^duplicates / { about = about (about ? ", " : "") $2 " repeated" }
		/^note: keepalives alone move/ { about = about ", moves on without heartbeat()"; next }
		/^note: keepalives alone do not/ { about = about ", moves on with heartbeat() only"; next }
		/^(wrong|note): / { sub(/^[a-z]*: /, ""); about = about "; " $0 }
		/^passed: / { print scenario, "passed", about }
		/^FAILED: / { print scenario, "failed", (/broke down/ ? "the kit broke down" : about) }
		/^skipped: / { print scenario, "skipped", substr($0, 10) }' "$1"
}

# A suite that cannot find these would not have found others.  What is merely stuck has lost nothing: it acknowledges nothing.
run_wrong() { # CONFIGURATION SCENARIO COMMAND
	local log=$logs/kit-$1.log scenario=${2:-worst-moment} lost
	run_kit "$log" "$3" "$scenario"
	lost=$(sed -n 's/^lost //p' "$log")
	if [ "${lost:-0}" -gt 0 ] && ! grep -Eq '^wrong: (the publisher published nothing|not all is acknowledged)' "$log"; then
		result passed "$1, which is wrong, lost $lost events in $scenario, as it must"
	else
		show_log "$log" 120
		result failed "$1, which is wrong, did not lose events that it had acknowledged, in $scenario"
	fi
}

# What a client prints stays together.
start_client() { # NAME
	mkdir -p "$work/clients/$1"
	set -m # a process group for each
	(
		run_client "$1" >"$work/clients/$1/output" 2>&1 </dev/null &
		wait "$!" || echo "failed   $1: ended with status $?" | tee -a "$work/clients/$1/results" >>"$work/clients/$1/output"
		flock "$work/output.lock" cat "$work/clients/$1/output"
	) &
	set +m
	jobs+=("$!")
}

# --- All of them ----------------------------------------------------------------------------------------------------------------

known_clients() {
	local file
	for file in "$source_tree"/test/clients/*.sh; do
		file=${file##*/}
		[ "$file" = run.sh ] || echo "${file%.sh}"
	done
}

main() {
	local installed='' names name packages=()
	if [ "${1:-}" = --installed ]; then
		installed=yes
		shift
	fi
	readarray -t names < <(known_clients)
	if [ "$#" -gt 0 ]; then names=("$@"); fi
	for name in "${names[@]}"; do
		[ -e "$source_tree/test/clients/$name.sh" ] || die "there is no client $name; there are: $(known_clients | paste -sd ' ')"
	done
	command -v python3 >/dev/null || packages+=(python3) # for the kit
	prepare ${packages[@]+"${packages[@]}"}
	if [ -z "$installed" ]; then
		build
		install_domev
	fi
	for name in "${names[@]}"; do
		while [ "$(jobs -pr | wc -l)" -ge "$at_a_time" ]; do wait -n || true; done
		start_client "$name"
	done
	wait
	finished=yes
}

main "$@"
