#!/usr/bin/env bash
# Does the stream of events agree with the ledger, whatever breaks?  Builds domev in a copy, installs it, and runs ledger.py as an
# unprivileged user.
# Arguments (README.md has more about them):
#   --installed     the domev that the PostgreSQL has is tested, and none is installed
#   --cycles N      so many (default: 20); each takes two or three seconds
#   --seed S        the seed of an earlier run; --first N plays it from that cycle on
#   --fault NAME    this fault in every cycle, instead of any or none; may be repeated
#   --seconds N     of load in each cycle (default: 1)
#   --negative      the negative controls instead: a consumer that acknowledges early, and a plugin that drops an event in ten thousand
# As root, with leave to mount, pg_wal and what decoding spills to are small file systems, which are filled up; else these faults are skipped.
# The exit status is 0 only if no cycle was wrong; of the negative controls, only if each of them was.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../job.sh
source "$source_tree/test/job.sh"

faults=$source_tree/test/faults
negative=''
arguments=() # for ledger.py
disks=()     # where the small disks are, for ledger.py

parse_arguments() { # ARGUMENT...
	while [ "$#" -gt 0 ]; do
		case $1 in
			--installed) installed=yes ;;
			--negative) negative=yes ;;
			--cycles | --first)
				[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a number"
				arguments+=("$1" "$2")
				shift
				;;
			--seed | --fault | --seconds)
				arguments+=("$1" "${2:?"$1 needs a value"}")
				shift
				;;
			*) die "unknown argument $1; its first lines say which there are: $faults/run.sh" ;;
		esac
		shift
	done
}

# Packages that are missing.
needed() {
	missing_python
	[ -z "$negative" ] || command -v patch >/dev/null || echo patch
}

# Two small file systems that exist for what runs in it only, and end with it: wal and spill in $home/disks.
can_mount() { is_root && unshare --mount mount -t tmpfs -o size=1m domev "$home/disks/wal" 2>/dev/null; }

# Runs a command as the user who runs servers, with small disks if that is possible.
with_disks() { # COMMAND...
	local small_disks=() uid
	uid=$(id -u "$user")
	if [ "${#disks[@]}" -gt 0 ]; then
		# shellcheck disable=SC2016
		small_disks=(unshare --mount sh -c '
			mount -t tmpfs -o "size=256m,mode=700,uid=$1" domev "$2/wal" && mount -t tmpfs -o "size=32m,mode=700,uid=$1" domev "$2/spill" || exit
			shift 2
			exec "$@"' sh "$uid" "$home/disks")
	fi
	if is_root; then
		${small_disks[@]+"${small_disks[@]}"} runuser -u "$user" -- env "HOME=$home" "TMPDIR=$home/tmp" "PATH=$bindir:$PATH" "$@"
	else
		as_user "$@"
	fi
}

run_ledger() { # ARGUMENT...
	local rc=0
	run_job with_disks "$python" "$copy/test/faults/ledger.py" --bindir "$bindir" --folder "$home/ledger" ${disks[@]+"${disks[@]}"} "$@" || rc=$?
	rm -rf "$home/ledger"
	return "$rc"
}

# The same plugin, but for what the patch says; only test servers that are told so load it.
build_dropping_plugin() {
	local folder=$home/dropping
	# shellcheck disable=SC2016
	step 'Patching a copy of the sources' patch.log as_user sh -c '
		mkdir "$1" && tar -C "$2" -c . | tar -C "$1" -x && patch --batch --forward --fuzz=0 -p1 -d "$1" -i "$1/test/faults/drop-one.patch"' \
		sh "$folder" "$copy"
	step 'Building a plugin that drops an event in ten thousand' dropping.log as_user "${make[@]}" -C "$folder" "-j$(nproc)" domev.so
}

# A run whose figures must be wrong.
must_be_wrong() { # SENTENCE ARGUMENT...
	local rc=0
	printf '\n--- %s\n' "$1"
	run_ledger --until-wrong "${@:2}" >"$work/control.log" || rc=$?
	cat "$work/control.log"
	# Not because it broke down: it has to have come to figures.
	if [ "$rc" = 1 ] && grep -q '^lost [1-9]' "$work/control.log"; then
		printf 'found, as it must be: %s\n' "$1"
	else
		printf 'NOT FOUND: %s\n' "$1"
		return 1
	fi
}

run_controls() {
	local rc=0
	as_user "$python" "$copy/test/faults/judge_test.py" || rc=1
	build_dropping_plugin
	must_be_wrong 'a consumer that acknowledges early' --fault consumer --early "$@" || rc=1
	must_be_wrong 'a plugin that drops one event in ten thousand' --plugin-folder "$home/dropping" "$@" || rc=1
	return "$rc"
}

main() {
	local packages
	parse_arguments "$@"
	readarray -t packages < <(needed)
	prepare_domev ${packages[@]+"${packages[@]}"}
	mkdir -p "$home"/disks/{wal,spill}
	if can_mount; then disks=(--disks "$home/disks"); fi
	say
	if [ -n "$negative" ]; then
		run_controls ${arguments[@]+"${arguments[@]}"}
	else
		run_ledger ${arguments[@]+"${arguments[@]}"}
	fi
}

main "$@"
