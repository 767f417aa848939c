#!/usr/bin/env bash
# Does domev reach its users as said in doc/installing.md: as a Debian package, from PGXN's zip, by a container, and from release to release?
# Arguments: names of parts (debian pgxn release container); none: all.  As root, on Debian, with a PostgreSQL of Debian's packages.
# What a part needs and cannot be had makes it skipped, and the reason is said.
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
# shellcheck disable=SC2119,SC2034
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../verdicts.sh
source "$source_tree/test/verdicts.sh"

here=$source_tree/test/packages
parts=("$@")
[ "$#" -gt 0 ] || parts=(debian pgxn release container)

# Runs a command, whose success is a test; its status 77 means that it cannot be had, and the last line of its output is why.
# Tells by $good, not by its status: it must not be called where "set -e" does not hold, as the command would inherit that.
try() { # SENTENCE LOG COMMAND...
	local sentence=$1 log=$work/$2 rc=0
	good=''
	# In the background, because "set -e" does not hold on the left of ||.
	"${@:3}" >"$log" 2>&1 </dev/null &
	wait "$!" || rc=$?
	case $rc in
		0) pass "$sentence" && good=yes ;;
		77) skip "$sentence: $(tail -n 1 "$log")" ;;
		*) show_log "$log" 40 && fail "$sentence" ;;
	esac
}

# Installs packages of the distribution that are not there.
need() { # PACKAGE...
	local missing
	readarray -t missing < <(missing_packages "$@")
	[ "${#missing[@]}" = 0 ] || apt_get install -y --no-install-recommends --no-remove "${missing[@]}"
}

# The sources as a repository of one commit, for what works on commits; prints nothing.
make_repository() { # FOLDER
	mkdir -p "$1"
	tar -C "$copy" -c . | tar -C "$1" -x --no-same-owner
	(
		cd "$1"
		git init -q
		git config user.name test
		git config user.email test@domev.invalid
		git config commit.gpgsign false
		git config tag.gpgsign false
		git add -A
		git commit -q -m sources
	)
}

# A PostgreSQL of our own, to install into: Debian's is relocatable.
own_postgresql() { # FOLDER; prints its pg_config
	local major part
	major=$(major_of "$PG_CONFIG")
	for part in lib/postgresql share/postgresql include/postgresql; do
		mkdir -p "$1/usr/$part"
		[ "$part" = include/postgresql ] || cp -a "/usr/$part/$major" "$1/usr/$part/"
	done
	cp -a "/usr/include/postgresql" "$1/usr/include/"
	rm -rf "$1/usr/share/postgresql/$major/extension"/domev* "$1/usr/lib/postgresql/$major/lib"/{domev.so,bitcode/domev*} \
		"$1/usr/include/postgresql/$major/server/extension/domev"
	# bitcode for JIT takes longer to make than everything else
	sed -i 's/^with_llvm.*/with_llvm = no/' "$1/usr/lib/postgresql/$major/lib/pgxs/src/Makefile.global"
	echo "$1/usr/lib/postgresql/$major/bin/pg_config"
}

main() {
	local name
	is_root || die 'this needs root: it makes chroots'
	prepare
	case $PG_CONFIG in /usr/lib/postgresql/*/bin/pg_config) ;; *) die "PG_CONFIG=$PG_CONFIG is not of Debian's packages" ;; esac
	version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$copy/domev.control")
	for name in "${parts[@]}"; do
		say "=== $name"
		# shellcheck source=/dev/null
		source "$here/$name.sh"
		"test_$name"
	done
	finished=yes
}

main
