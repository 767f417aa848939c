# What examples/quickstart.sh and test/run.sh have in common: packages, the PostgreSQL to use, a copy to build in, the install.
# To be sourced by bash under "set -euo pipefail", with clean_up in the exit trap.  After "prepare" there are:
#   PG_CONFIG bindir   the PostgreSQL in use
#   user               who runs servers and tests
#   work               a temporary folder, for logs; clean_up removes it
#   home copy          what of it belongs to that user, and in there the sources: the source tree itself stays as it is
#   make               the command make, for that PostgreSQL
# shellcheck shell=bash

oldest=15 # the first major release of PostgreSQL that domev supports
source_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work='' home='' copy='' bindir='' make=()

# What the caller's environment says about servers, builds and languages must not reach ours.
given_pg_config=${PG_CONFIG:-}
export LANG=C.UTF-8 LC_ALL=C.UTF-8 # both: test drivers drop the second, and take what they find then
unset "${!PG@}" LANGUAGE LC_COLLATE LC_CTYPE LC_MESSAGES LC_MONETARY LC_NUMERIC LC_TIME MAKEFLAGS MFLAGS MAKELEVEL COPT
umask 022

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2 && exit 1; }

# The end of a log is where the reason is.
show_log() { # FILE [LINES]
	printf '\n--- %s (last %s lines) ---\n' "${1#"$work"/}" "${2:-60}"
	tail -n "${2:-60}" "$1"
	printf -- '---\n\n'
} >&2

# Runs a command quietly, unless it fails: then its log is the message.
step() { # SENTENCE LOG COMMAND...
	local sentence=$1 log=$work/$2
	say "$sentence"
	"${@:3}" >"$log" 2>&1 </dev/null || {
		show_log "$log"
		die "this failed: $sentence"
	}
}

is_root() { [ "$(id -u)" = 0 ]; }

as_root() { # COMMAND...
	if is_root; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root or sudo: $*"
	fi
}

# Servers refuse to run as root.  HOME and TMPDIR may be closed to another user, HOME may hold a .proverc, and what a test that
# died leaves in its TMPDIR has to go.
as_user() { # COMMAND...
	local clean=(env "HOME=$home" "TMPDIR=$home/tmp" "PATH=$bindir:$PATH")
	if is_root; then runuser -u "$user" -- "${clean[@]}" "$@"; else "${clean[@]}" "$@"; fi
}

# Directly where we may write, so that a PostgreSQL of one's own needs no root.
as_installer() { # COMMAND...
	local folder
	for folder in --pkglibdir --sharedir --includedir-server; do
		if [ ! -w "$("$PG_CONFIG" "$folder")" ]; then
			as_root "$@"
			return
		fi
	done
	"$@"
}

major_of() { # PG_CONFIG; prints nothing if it is none
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'
}

# Has this PostgreSQL all that building and running an extension takes?
is_usable() { # PG_CONFIG
	local major
	major=$(major_of "$1")
	[ "${major:-0}" -ge "$oldest" ] && [ -x "$("$1" --bindir)/postgres" ] && [ -e "$("$1" --includedir-server)/postgres.h" ] &&
		[ -e "$("$1" --pgxs)" ]
}

# The newest usable PostgreSQL, or the one that PG_CONFIG names; prints nothing if there is none.
find_pg_config() {
	local candidate candidates=(pg_config /usr/lib/postgresql/*/bin/pg_config /usr/local/pgsql/bin/pg_config)
	[ -z "$given_pg_config" ] || candidates=("$given_pg_config")
	for candidate in "${candidates[@]}"; do
		candidate=$(command -v "$candidate") || continue
		candidate=$(realpath -s "$candidate")
		if is_usable "$candidate"; then echo "$(major_of "$candidate") $candidate"; fi
	done | sort -n | sed -n '$s/^[0-9]* //p'
}

# The newest server that the distribution's packages brought; prints nothing if there is none.
newest_packaged() {
	local folder
	for folder in /usr/lib/postgresql/*; do
		if [ -x "$folder/bin/postgres" ]; then basename "$folder"; fi
	done | sort -n | tail -n 1
}

# The major release whose packages are to be completed: what PG_CONFIG names, else the newest server here, else the distribution's.
major_to_complete() {
	local major
	if [ -n "$given_pg_config" ]; then
		major=$(basename "${given_pg_config%/bin/pg_config}")
	else
		major=$(newest_packaged)
		[ "${major:-0}" -ge "$oldest" ] ||
			major=$(apt-cache depends postgresql | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p')
	fi
	[ "${major:-0}" -ge "$oldest" ] || die "found no PostgreSQL $oldest or later, here or in apt's packages"
	echo "$major"
}

apt_get() { # ARGUMENT...
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "$@"
}

# Installing a server's package makes and starts a cluster, unless this file says otherwise; nobody asked for one here.
cluster_conf=/etc/postgresql-common/createcluster.conf
cluster_conf_kept='' # the file as it was, while it is changed

# Those of Debian's packages that are not installed.
missing_packages() { # PACKAGE...
	local package
	for package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
}

install_without_cluster() { # PACKAGE...
	local rc=0
	apt_get install -y --no-install-recommends --no-remove postgresql-common || return
	cluster_conf_kept=$cluster_conf.domev
	as_root cp -p "$cluster_conf" "$cluster_conf_kept" || return
	echo 'create_main_cluster = false' | as_root tee -a "$cluster_conf" || return
	apt_get install -y --no-install-recommends --no-remove "$@" || rc=$?
	restore_cluster_conf || return
	return "$rc"
}

restore_cluster_conf() {
	if [ -n "$cluster_conf_kept" ] && [ -e "$cluster_conf_kept" ]; then as_root mv "$cluster_conf_kept" "$cluster_conf"; fi
	cluster_conf_kept=''
}

# Installs what is missing, and says what.  The arguments are packages that the caller misses besides.
install_missing() { # [PACKAGE...]
	local missing=("$@") major='' install=(apt_get install -y --no-install-recommends --no-remove)
	command -v make >/dev/null || missing+=(make)
	command -v gcc >/dev/null || missing+=(gcc)
	[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
	PG_CONFIG=$(find_pg_config)
	[ -z "$PG_CONFIG" ] || [ "${#missing[@]}" -gt 0 ] || return 0
	case $PG_CONFIG:$given_pg_config in
		/*:* | : | :/usr/lib/postgresql/[1-9]*/bin/pg_config) ;; # usable; to be found; one that packages may complete
		*) die "PG_CONFIG=$given_pg_config is not PostgreSQL $oldest or later, or it lacks its server, headers or pgxs.mk" ;;
	esac
	command -v apt-get >/dev/null ||
		die "there is no apt-get here; please install PostgreSQL $oldest or later with its headers (if it is not there), ${missing[*]}"
	# A list of packages that cannot be brought up to date may still do: installing tells.
	say "Bringing apt's lists up to date"
	apt_get update >"$work/apt-update.log" 2>&1 </dev/null || show_log "$work/apt-update.log" 10
	if [ -z "$PG_CONFIG" ]; then
		major=$(major_to_complete)
		missing+=("postgresql-server-dev-$major")
		if [ ! -x "/usr/lib/postgresql/$major/bin/postgres" ]; then
			missing+=("postgresql-$major")
			install=(install_without_cluster)
		fi
	fi
	step "Installing what is missing here, with apt-get: ${missing[*]}" apt-install.log "${install[@]}" "${missing[@]}"
	PG_CONFIG=$(find_pg_config)
	[ -n "$PG_CONFIG" ] || die "there is no PostgreSQL $oldest or later with headers, although the packages are installed"
}

# Sources only: what other compilers and servers left would be taken for up to date.
copy_sources() {
	copy=$home/src
	mkdir "$copy"
	say "Copying the sources to $copy"
	tar -C "$source_tree" -c --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='tmp_*' . | tar -C "$copy" -x
	if is_root; then chown -R "$user:" "$home"; fi
	step "Cleaning that copy" clean.log as_user "${make[@]}" -C "$copy" clean
}

# So that the exit trap runs when a signal ends the script.
trap_signals() {
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# For the caller's exit trap.
clean_up() {
	cd /
	restore_cluster_conf
	[ -z "$work" ] || rm -rf "$work"
}

# Everything up to a copy of the sources, ready to be built.
prepare() { # [PACKAGE...]
	# Not in TMPDIR: it may be root's alone, or too long for the path of a socket.
	work=$(mktemp -d /tmp/domev.XXXXXX)
	chmod 711 "$work"
	home=$work/user
	mkdir "$home" "$home/tmp"
	cd "$work" || die "there is no $work" # the folder we were called in may be closed to $user
	install_missing "$@"
	bindir=$("$PG_CONFIG" --bindir)
	make=(make --no-print-directory "PG_CONFIG=$PG_CONFIG")
	user=$(id -un)
	if is_root; then
		user=postgres
		id "$user" >/dev/null 2>&1 || die "there is no user postgres to run servers as; run this as an ordinary user"
	fi
	say "Using $("$PG_CONFIG" --version) in $bindir; servers run as user $user"
	copy_sources
}

# A cluster with the settings that domev needs, and these.  Only a socket in our own folder, unless they say otherwise: nothing to collide
# with, nobody else gets in.
make_cluster() { # DATA [CONFIGURATION-LINE...]
	as_user initdb -D "$1" -U postgres -E UTF8 --locale=C -A trust --no-sync || return
	{
		sh "$copy/test/make-conf.sh" "$bindir"
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$home'" "${@:2}"
	} >>"$1/postgresql.conf"
}

build() { # [MAKE ARGUMENT...]
	step "Building domev${*:+ ($*)}" build.log as_user "${make[@]}" -C "$copy" "-j$(nproc)" "$@"
}

install_domev() {
	step "Installing domev into that PostgreSQL (make install)" install.log as_installer "${make[@]}" -C "$copy" install
}

# For scripts that add to passed and failed, and set finished at their end: cleans up, and says as the last line how many there were.
# The exit status is 0 only if nothing failed.
count_results() {
	exec 3>&1 # for the last line: a signal may come while standard output goes elsewhere
	passed=0
	failed=0
	finished=''
	trap finish_counting EXIT
	trap_signals
}

finish_counting() {
	trap - EXIT
	clean_up
	# Whatever ended the run early is a failure of its own.
	[ -n "$finished" ] || failed=$((failed + 1))
	printf '\n%s passed, %s failed\n' "$passed" "$failed" >&3
	exit $((failed > 0))
}
