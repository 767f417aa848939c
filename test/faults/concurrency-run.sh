# What concurrency.sh and serializable.sh have in common: they install what is missing, build domev in a copy, install it, and run a Python
# script there as an unprivileged user, on a server of its own.  To be sourced by bash under "set -euo pipefail".
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../job.sh
source "$source_tree/test/job.sh"

# With --installed as the first argument, the domev that the PostgreSQL has is tested, and none is built.
run_python() { # SCRIPT [--installed] ARGUMENT...
	local script=$1 packages rc=0
	shift
	if [ "${1:-}" = --installed ]; then
		installed=yes
		shift
	fi
	readarray -t packages < <(missing_python psycopg2)
	prepare_domev ${packages[@]+"${packages[@]}"}
	as_user mkdir "$home/server"
	run_job as_user "$python" -B "$copy/test/faults/$script" --bindir "$bindir" --folder "$home/server" "$@" || rc=$?
	if [ "$rc" != 0 ] && [ -e "$home/server/server.log" ]; then
		cp "$home/server/server.log" "/tmp/domev-${script%.py}.log"
		say "The server's log: /tmp/domev-${script%.py}.log"
	fi
	return "$rc"
}
