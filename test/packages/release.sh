# Does release.sh make releases from which ALTER EXTENSION leads to the next, and does it refuse one whose delta was forgotten?
# To be sourced by run.sh.
# shellcheck shell=bash disable=SC2154

released=$work/released # a repository in which versions are released

release() { # ARGUMENT...
	(cd "$released" && env "PG_CONFIG=$own_config" ./release.sh "$@")
}

# Is refused, for this reason.
refused() { # PATTERN COMMAND...
	local rc=0
	"${@:2}" >"$work/refused.log" 2>&1 || rc=$?
	cat "$work/refused.log"
	[ "$rc" != 0 ] && grep -q -e "$1" "$work/refused.log"
}

commit() { # SENTENCE
	git -C "$released" commit -qam "$1"
}

change_script() {
	# shellcheck disable=SC2016
	local change='CREATE FUNCTION domev.answer() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 42 $$;'
	printf '\n%s\n' "$change" >>"$released/$1"
	commit "Change $1"
}

forget_number() { # FILE
	sed -i "s/$next/9.9.9/" "$released/$1"
	commit "Forget $1"
	refused "$1" release check
	git -C "$released" reset -q --hard HEAD~
}

frozen() {
	cmp "$released/sql/domev--$version.sql" "$copy/sql/domev.sql"
	git -C "$released" rev-parse "v$version"
	! git -C "$released" status --porcelain | grep .
}

# As a user would: the extension of the first release, and what the second makes of it.
updated() {
	local sharedir
	sharedir=$("$own_config" --sharedir)
	ls "$sharedir"/extension/domev--*
	grep -q 'domev.answer' "$sharedir/extension/domev--$next.sql" "$sharedir/extension/domev--$version--$next.sql"
	! grep -q 'domev.answer' "$sharedir/extension/domev--$version.sql"
}

test_release() {
	local own_config next=${version%%.*}.999.0 file
	own_config=$(own_postgresql "$work/own")
	make_repository "$released"
	touch "$released/stray"
	try 'a tree that is not clean is not released' dirty.log refused stray release freeze
	rm "$released/stray"
	try "release.sh freeze: $version is released" freeze.log release freeze
	[ -n "$good" ] || return 0
	try 'its install script is frozen' frozen.log frozen
	try 'it is not released a second time' twice.log refused 'is released' release freeze
	try "release.sh next: $next is open" next.log release next "$next"
	[ -n "$good" ] || return 0
	for file in META.json CHANGELOG.md debian/changelog; do
		try "a version that was forgotten in $file is refused" forgotten.log forget_number "$file"
	done
	change_script sql/domev.sql
	try 'a change of the script without its delta is refused' without.log refused 'comparing' release freeze
	change_script "sql/domev--$version--$next.sql"
	try "release.sh freeze: $next is released, with $version and its delta it is the same as a fresh one" second.log release freeze
	[ -n "$good" ] || return 0
	try 'both scripts and the delta are installed' updated.log updated
}
