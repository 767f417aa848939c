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
# shellcheck source-path=SCRIPTDIR source=../parts.sh
source "$source_tree/test/parts.sh"

# --- One client -----------------------------------------------------------------------------------------------------------------

run_part() { # NAME
	folder=$copy/examples/publishers/$name
	plugin=domev
	broker=lines
	scenarios=()
	also=()
	loses=()
	# shellcheck source=/dev/null
	source "$source_tree/test/clients/$name.sh"
	prepare_part
	run_configurations
}

# For a client's file: the command of its publisher in Python, changed by sed; fails when nothing is changed.
variant() { # NAME SED-PROGRAM
	sed "$2" "$folder/publish.py" >"$folder/$1.py"
	if cmp -s "$folder/publish.py" "$folder/$1.py"; then return 1; fi
	echo "exec $folder/venv/bin/python $folder/$1.py"
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
	local scenario arguments=(--quick --plugin "$plugin" --broker "$broker" --pg-config "$PG_CONFIG")
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

run_parts 4 "$source_tree/test/clients" "$@" # most of the time they wait
