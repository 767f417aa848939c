#!/usr/bin/env bash
# How does a version become a release, and the next one begin?  It commits and tags here; nothing leaves this repository.
#   release.sh check        is the last commit fit to be released?  Builds and installs it, for the PostgreSQL that PG_CONFIG names or the newest.
#   release.sh freeze       checks, freezes the first release's install script, dates the changelogs, commits and tags
#   release.sh next X.Y.Z   opens the next version: its number everywhere, a section for its changes, an empty delta to it; commits
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=test/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/test/setup.sh"
cd "$source_tree"

trap clean_up EXIT
trap_signals

number='^[0-9]+\.[0-9]+\.[0-9]+$'
version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" domev.control)
base=$(sed -n 's/^BASE *= *\([^ ]*\) *$/\1/p' Makefile)

check_clean() {
	[ -z "$(git status --porcelain)" ] || die "there are changes that are not committed: $(git status --porcelain | head -n 3)"
	! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || die "version $version is released, there is a tag v$version; first: $0 next X.Y.Z"
}

# A version is written in four files; PGXN wants three numbers.
check_versions() {
	local name found
	[[ $version =~ $number ]] || die "domev.control has the version '$version', which is not of the form X.Y.Z"
	while read -r name found; do
		[ "$found" = "$version" ] || die "domev.control has the version $version, $name has '$found'"
	done <<-END
		META.json $(perl -MJSON::PP -0ne 'print decode_json($_)->{version}' META.json)
		META.json/provides $(perl -MJSON::PP -0ne 'print decode_json($_)->{provides}{domev}{version}' META.json)
		CHANGELOG.md $(sed -n '/^## /{s/^## \(.*\) (unreleased)$/\1/p;q;}' CHANGELOG.md)
		debian/changelog $(sed -n '1s/^domev (\(.*\)-[^-]*) UNRELEASED;.*/\1/p' debian/changelog)
	END
}

# The way from the base to this version, one delta for each.
check_delta() {
	local deltas=(sql/domev--*--"$version.sql")
	if [ -z "$base" ]; then
		[ ! -e "${deltas[0]}" ] || die "there is ${deltas[0]}, but the Makefile names no BASE for it to begin at"
	else
		[ -e "sql/domev--$base.sql" ] || die "the Makefile names the BASE $base, but there is no sql/domev--$base.sql"
		[ "${#deltas[@]}" = 1 ] && [ -e "${deltas[0]}" ] || die "there should be one delta to $version: ${deltas[*]}"
	fi
}

# Base and deltas make what the living script makes.  t/031_update.pl compares the catalogs for all earlier versions that the server has.
check_update() {
	prepare
	build COPT=-Werror
	install_domev
	cmp -s "$copy/sql/domev.sql" "$("$PG_CONFIG" --sharedir)/extension/domev--$version.sql" || die "installed is another script than sql/domev.sql"
	step 'Updating from all earlier versions, and comparing' update.log \
		as_user "${make[@]}" -C "$copy" installcheck REGRESS= ISOLATION= PROVE_TESTS=test/t/031_update.pl
	cd "$source_tree"
}

check() {
	check_clean
	check_versions
	check_delta
	check_update
	say "Version $version is fit to be released"
}

freeze() {
	check
	if [ -z "$base" ]; then
		cp sql/domev.sql "sql/domev--$version.sql"
		sed -i "s/^BASE *=.*/BASE = $version/" Makefile
		git add -f "sql/domev--$version.sql"
	fi
	sed -i "s/^## $version (unreleased)\$/## $version ($(date -u +%F))/" CHANGELOG.md
	sed -i -e '1s/UNRELEASED/unstable/' -e "0,/^ -- /s/^\( -- .*>\)  .*/\1  $(date -uR)/" debian/changelog
	git commit -qam "Release $version"
	git tag -a -m "domev $version" "v$version"
	say "Version $version is the commit $(git rev-parse --short HEAD), with the tag v$version; next: make dist, and $0 next X.Y.Z"
}

begin_delta() { # VERSION
	cat >"sql/domev--$version--$1.sql" <<-END
		/* what ALTER EXTENSION domev UPDATE does to $version to make it $1: each change of domev.sql, once more */

		-- complain if the script is sourced in psql, rather than by ALTER EXTENSION
		\\echo Use "ALTER EXTENSION domev UPDATE TO '$1'" to load this file. \\quit

		SET LOCAL search_path TO pg_catalog, pg_temp;
	END
}

open_next() { # VERSION
	local last
	[[ $1 =~ $number ]] || die "'$1' is not of the form X.Y.Z"
	[ "$1" != "$version" ] && [ "$(printf '%s\n' "$version" "$1" | sort -V | tail -n 1)" = "$1" ] || die "$1 does not follow $version"
	git rev-parse -q --verify "refs/tags/v$version" >/dev/null || die "version $version is not released; first: $0 freeze"
	[ -z "$(git status --porcelain)" ] || die 'there are changes that are not committed'
	sed -i "s/^\(default_version *= *\)'.*'/\1'$1'/" domev.control
	# the specification's own version is in there, too
	OLD=$version NEW=$1 perl -0pi -e 's/("meta-spec":\s*\{.*?\})|("version":\s*)"\Q$ENV{OLD}\E"/$1 \/\/ qq{$2"$ENV{NEW}"}/gse' META.json
	sed -i "0,/^## /s/^## .*/## $1 (unreleased)\n\n&/" CHANGELOG.md
	last=$(<debian/changelog)
	printf 'domev (%s-1) UNRELEASED; urgency=medium\n\n  * New release.\n\n%s\n\n%s\n' "$1" \
		"$(sed -n '/^ -- /{s/>  .*/>/p;q;}' debian/changelog)  $(date -uR)" "$last" >debian/changelog
	begin_delta "$1"
	git add sql
	git commit -qam "Begin version $1"
	say "Version $1 is open; what changes sql/domev.sql also goes into sql/domev--$version--$1.sql"
}

case ${1:-}:$# in
	check:1) check ;;
	freeze:1) freeze ;;
	next:2) open_next "$2" ;;
	*) sed -n 's/^#   //p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac
