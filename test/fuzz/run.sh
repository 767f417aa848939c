#!/usr/bin/env bash
# Does any input make domev fail in a way that it does not document?  Random calls of everything that takes input, judged (fuzz.py).
# Installs what is missing, builds domev in a copy, installs it, and runs fuzz.py as an unprivileged user.
# Arguments:
#   --installed    the domev that the PostgreSQL has is used, and none is built; has to come first
#   --calls N      so many (default: 10,000, half a minute; 1,000,000 take a quarter of an hour on an idle machine)
#   --seed S       another series of calls (default: 1)
#   --episode E    only the Eth part of the series that --seed names: to play a failure again
# Each failure is printed with its seed, episode, call and SQLSTATE.  The last line but one is "N calls, M failures"; the exit
# status is 0 if there was none, and if those were found that are made on purpose.
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

installed=''
arguments=()            # for fuzz.py
job=''                  # the process group of fuzz.py while it runs
python=/usr/bin/python3 # the one that Debian's packages are for

finish() {
	trap - EXIT
	# Not only the shell in between has to be gone, but all of it.
	if [ -n "$job" ] && kill -- "-$job" 2>/dev/null; then
		while kill -0 -- "-$job" 2>/dev/null; do sleep 0.1; done
	fi
	if [ -n "$home" ] && [ -e "$home/fuzz/data/postmaster.pid" ]; then
		as_user "$bindir/pg_ctl" -D "$home/fuzz/data" -m immediate -w stop >/dev/null 2>&1 || true
	fi
	clean_up
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

parse_arguments() { # ARGUMENT...
	if [ "${1:-}" = --installed ]; then
		installed=yes
		shift
	fi
	while [ "$#" -gt 0 ]; do
		case $1 in
			--calls | --seed | --episode)
				[[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 needs a number"
				arguments+=("$1" "$2")
				shift
				;;
			*) die "unknown argument $1; its first lines say which there are: $source_tree/test/fuzz/run.sh" ;;
		esac
		shift
	done
}

# Packages that fuzz.py needs.
needed() {
	[ -x "$python" ] || echo python3
	"$python" -c 'import psycopg2' 2>/dev/null || echo python3-psycopg2
}

main() {
	local packages rc=0
	parse_arguments "$@"
	readarray -t packages < <(needed)
	prepare ${packages[@]+"${packages[@]}"}
	if [ -z "$installed" ]; then
		build
		install_domev
	fi
	say
	# In the background, where a signal ends it at once.
	set -m
	as_user "$python" "$copy/test/fuzz/fuzz.py" ${arguments[@]+"${arguments[@]}"} --bindir "$bindir" --folder "$home/fuzz" </dev/null &
	job=$!
	set +m
	wait "$job" || rc=$?
	job=''
	return "$rc"
}

main "$@"
