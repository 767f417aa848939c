# What the runs have in common that consist of parts, each of which needs other people's software: clients, brokers, languages.
# A part is sourced and run in a process of its own, so that parts cannot disturb each other; what it prints stays together; one that
# cannot be had on this machine is skipped, and the reason is said.
# To be sourced by bash under "set -euo pipefail", after setup.sh.  The run defines run_part NAME, in which $logs is the part's folder.
# shellcheck shell=bash disable=SC2154

exec 3>&1 # for the last line: a signal may come while standard output goes elsewhere
parts=()    # process groups of parts that run
finished='' # set when all parts came to their end
PATH=$PATH:/usr/local/go/bin # where Go is, if it was not packaged

finish_parts() {
	local part passed failed skipped
	trap - EXIT
	for part in ${parts[@]+"${parts[@]}"}; do kill -- "-$part" 2>/dev/null || true; done
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
trap finish_parts EXIT
trap_signals

count() { # RESULT
	cat /dev/null "$work"/parts/*/results 2>/dev/null | grep -c "^$1" || true
}

# One line of what the part prints, and of what is counted.
result() { # passed|failed|skipped SENTENCE
	printf '%-8s %s\n' "$1" "$name${2:+: $2}" | tee -a "$work/parts/$name/results"
}

# --- What a part's prepare may use ------------------------------------------------------------------------------------------------

# It cannot be had here.
skip() { # REASON
	say "$*"
	exit 77
}

# Debian's packages, installed if they are not.
need_packages() { # PACKAGE...
	local missing
	readarray -t missing < <(missing_packages "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || ! { is_root || command -v sudo >/dev/null; }; then
		skip "needs the packages ${missing[*]}, and there is no apt-get, or neither root nor sudo, to install them"
	fi
	# One part at a time, and the lists once a run: they may still do when they cannot be brought up to date.
	exec 9>"$work/apt.lock"
	flock 9
	if [ ! -e "$work/apt.updated" ]; then
		apt_get update || true
		touch "$work/apt.updated"
	fi
	apt_get install -y --no-install-recommends --no-remove "${missing[@]}" 9>&- || skip "apt-get cannot install ${missing[*]}"
	exec 9>&-
}

# A Python of the part's own, with the packages that these files pin.
need_venv() { # FOLDER REQUIREMENTS...
	local file arguments=()
	for file in "${@:2}"; do arguments+=(-r "$file"); done
	need_packages python3 python3-venv
	as_user /usr/bin/python3 -m venv "$1"
	as_user "$1/bin/python" -m pip install -q --disable-pip-version-check --no-compile --only-binary :all: "${arguments[@]}" ||
		skip 'pip cannot get the packages of requirements.txt'
}

# Go, of a version that go.mod takes: an older one stumbles over the file.
need_go() { # VERSION
	local have
	command -v go >/dev/null || skip "needs Go $1 or later"
	have=$(cd / && go env GOVERSION)
	have=${have#go}
	[ "$(printf '%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ] || skip "needs Go $1 or later, and here is $have"
}

# What is in the cache has to be removable.
as_go() { as_user env "GOFLAGS=${GOFLAGS:-} -modcacherw" go "$@"; } # ARGUMENT...

# Runs the part's prepare; ends the part when there is nothing to go on with, and has said why.
prepare_part() {
	local rc=0
	# In the background, because "set -e" does not hold on the left of ||; nor would it if this function were called in a condition.
	prepare >"$logs/prepare.log" 2>&1 </dev/null &
	wait "$!" || rc=$?
	[ "$rc" != 0 ] || return 0
	if [ "$rc" = 77 ]; then
		result skipped "$(tail -n 1 "$logs/prepare.log")"
	else
		show_log "$logs/prepare.log"
		result failed 'could not be prepared'
	fi
	exit 0
}

# --- All of them ------------------------------------------------------------------------------------------------------------------

# What a part prints stays together.
start_part() { # NAME
	name=$1
	logs=$work/parts/$name
	mkdir -p "$logs"
	set -m # a process group for each
	(
		run_part "$name" >"$logs/output" 2>&1 </dev/null &
		wait "$!" || result failed "ended with status $?" >>"$logs/output"
		flock "$work/output.lock" cat "$logs/output"
	) &
	set +m
	parts+=("$!")
}

# The names of the parts that have a file in the folder of the run.
known_parts() {
	local file
	for file in "$folder_of_parts"/*.sh; do
		file=${file##*/}
		[ "$file" = run.sh ] || echo "${file%.sh}"
	done
}

# Arguments: names of parts (default: all); before them --installed takes the domev that the PostgreSQL has, and builds none.
run_parts() { # AT-A-TIME FOLDER [ARGUMENT...]
	local at_a_time=$1 installed='' names name packages=()
	folder_of_parts=$2
	shift 2
	if [ "${1:-}" = --installed ]; then
		installed=yes
		shift
	fi
	readarray -t names < <(known_parts)
	if [ "$#" -gt 0 ]; then names=("$@"); fi
	for name in "${names[@]}"; do
		[ -e "$folder_of_parts/$name.sh" ] || die "there is no $name; there are: $(known_parts | paste -sd ' ')"
	done
	command -v python3 >/dev/null || packages+=(python3)
	prepare ${packages[@]+"${packages[@]}"}
	if [ -z "$installed" ]; then
		build
		install_domev
	fi
	for name in "${names[@]}"; do
		while [ "$(jobs -pr | wc -l)" -ge "$at_a_time" ]; do wait -n || true; done
		start_part "$name"
	done
	wait
	finished=yes
}
