# What concurrency.sh and serializable.sh have in common: they install what is missing, build domev in a copy, install it, and run a Python
# script there as an unprivileged user, on a server of its own.  To be sourced by bash under "set -euo pipefail".
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

job=''                  # the process group of the script while it runs
python=/usr/bin/python3 # the one that Debian's packages are for

finish() {
	trap - EXIT
	# Not only the shell in between has to be gone, but all of it.
	if [ -n "$job" ] && kill -- "-$job" 2>/dev/null; then
		while kill -0 -- "-$job" 2>/dev/null; do sleep 0.1; done
	fi
	if [ -n "$home" ] && [ -e "$home/server/data/postmaster.pid" ]; then
		as_user "$bindir/pg_ctl" -D "$home/server/data" -m immediate -w stop >/dev/null 2>&1 || true
	fi
	clean_up
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Packages that the scripts need.
needed() {
	[ -x "$python" ] || echo python3
	"$python" -c 'import psycopg2' 2>/dev/null || echo python3-psycopg2
}

# With --installed as the first argument, the domev that the PostgreSQL has is tested, and none is built.
run_python() { # SCRIPT [--installed] ARGUMENT...
	local script=$1 installed='' packages rc=0
	shift
	if [ "${1:-}" = --installed ]; then
		installed=yes
		shift
	fi
	readarray -t packages < <(needed)
	prepare ${packages[@]+"${packages[@]}"}
	if [ -z "$installed" ]; then
		build
		install_domev
	fi
	as_user mkdir "$home/server"
	# In the background, where a signal ends it at once.
	set -m
	as_user "$python" -B "$copy/test/faults/$script" --bindir "$bindir" --folder "$home/server" "$@" </dev/null &
	job=$!
	set +m
	wait "$job" || rc=$?
	job=''
	if [ "$rc" != 0 ] && [ -e "$home/server/server.log" ]; then
		cp "$home/server/server.log" "/tmp/domev-${script%.py}.log"
		say "The server's log: /tmp/domev-${script%.py}.log"
	fi
	return "$rc"
}
