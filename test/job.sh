# What the scripts have in common that test or measure with one long program of theirs: domev is installed, the program runs as an
# unprivileged user, and however the script ends, the program and its server end before it.
# To be sourced by bash under "set -euo pipefail", after setup.sh.
# shellcheck shell=bash disable=SC2154

job=''                  # the process group of the program while it runs
installed=''            # not empty: the domev that the PostgreSQL has is used, and none is built
python=/usr/bin/python3 # the one that Debian's packages are for

end_job() {
	local pidfile
	# Not only the shell in between has to be gone, but all of it.
	if [ -n "$job" ] && kill -- "-$job" 2>/dev/null; then
		while kill -0 -- "-$job" 2>/dev/null; do sleep 0.1; done
	fi
	[ -n "$home" ] || return 0
	for pidfile in "$home"/*/data/postmaster.pid; do
		[ ! -e "$pidfile" ] || as_user "$bindir/pg_ctl" -D "${pidfile%/*}" -m immediate -w stop >/dev/null 2>&1 || true
	done
}

# A script with more to undo defines its own after it has sourced this.
finish() {
	trap - EXIT
	end_job
	clean_up
}
trap finish EXIT
trap_signals

# The packages that are missing for a Python program that imports these modules.
missing_python() { # MODULE...
	local module
	[ -x "$python" ] || echo python3
	for module; do "$python" -c "import $module" 2>/dev/null || echo "python3-$module"; done
}

# Packages, the copy of the sources, and a domev to test.
prepare_domev() { # [PACKAGE...]
	prepare "$@"
	if [ -z "$installed" ]; then
		build
		install_domev
	fi
}

# In the background, where a signal ends it at once.
run_job() { # COMMAND...
	local rc=0
	set -m
	"$@" </dev/null &
	job=$!
	set +m
	wait "$job" || rc=$?
	job=''
	return "$rc"
}
