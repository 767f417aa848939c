#!/usr/bin/env bash
# Builds a PostgreSQL 15 that looks for memory errors, and domev for it.  Arguments: KIND [domev]
#   assert    assertions, checked memory contexts, freed memory overwritten, new memory filled with rubbish
#   asan      the same, compiled with AddressSanitizer and UndefinedBehaviorSanitizer
#   valgrind  assertions, and memory contexts that tell valgrind what is allocated
# It goes to /opt/pg-KIND15; the file READY is there when it can be used.  With "domev" only domev is built and installed anew.
# For root on Debian 12: the sources are those of the distribution's package, from the archive that apt has already.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
kind=${1:-}
prefix=/opt/pg-${kind}15
work=/tmp/domev-memory
umask 022

# gcc, as its libasan resolves names of functions without another program.
# What is switched off in PostgreSQL and domev alike: nothing but what README.md gives a reason for.
sanitizers='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
# Programs leak at their end by design; PostgreSQL measures its stack by the addresses of variables.
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0

case $kind in
	assert) cflags='-O1 -fno-omit-frame-pointer -DRANDOMIZE_ALLOCATED_MEMORY' ldflags='' ;;
	asan) cflags="-O1 -fno-omit-frame-pointer $sanitizers" ldflags=$sanitizers ;;
	valgrind) cflags='-O1 -fno-omit-frame-pointer -DUSE_VALGRIND' ldflags='' ;;
	*) echo "usage: ${0##*/} assert|asan|valgrind [domev]" >&2 && exit 2 ;;
esac

# The sources of the newest package of the main archive, unpacked once, with the patch for assertions.
get_sources() {
	if [ -e "$work/source/configure" ]; then return; fi
	rm -rf "$work/package"
	mkdir -p "$work/package"
	sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/domev-memory-src.sources
	apt-get -q update
	(cd "$work/package" && apt-get -q source --download-only "postgresql-15/$(. /etc/os-release && echo "$VERSION_CODENAME")")
	mkdir "$work/package/new"
	tar -C "$work/package/new" --strip-components 1 -xf "$work"/package/postgresql-15_*.orig.tar.bz2
	patch -d "$work/package/new" -p1 <"$here/deferred-rollback.patch"
	mv "$work/package/new" "$work/source"
}

# Without what the tests have no use for.
build_postgres() {
	local build=$work/build-$kind
	rm -rf "$build" "$prefix"
	mkdir -p "$build"
	cd "$build"
	"$work/source/configure" --quiet --prefix="$prefix" --enable-cassert --enable-debug --enable-tap-tests --without-readline \
		--with-extra-version=" ($kind)" CC=gcc "CFLAGS=$cflags" "LDFLAGS=$ldflags"
	make -s "-j$(nproc)" -C src all
	make -s "-j$(nproc)" -C contrib/test_decoding all
	make -s -C src install
	make -s -C contrib/test_decoding install
	cp "$work/source/src/tools/valgrind.supp" "$prefix/valgrind.supp"
	if [ "$kind" = valgrind ]; then put_under_valgrind; fi
	touch "$prefix/READY"
}

# "postgres" becomes a script that runs the server under valgrind where DOMEV_VALGRIND says so; initdb and the like run it bare.
put_under_valgrind() {
	mv "$prefix/bin/postgres" "$prefix/bin/postgres.real"
	install -m 755 "$here/postgres-under-valgrind.sh" "$prefix/bin/postgres"
}

build_domev() {
	local copy=$work/domev-$kind
	rm -rf "$copy"
	mkdir -p "$copy"
	tar -C "$project" -c --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='tmp_*' . | tar -C "$copy" -x
	make -s -C "$copy" "PG_CONFIG=$prefix/bin/pg_config" clean
	make -s -C "$copy" "PG_CONFIG=$prefix/bin/pg_config" "-j$(nproc)" COPT='-Werror -g'
	make -s -C "$copy" "PG_CONFIG=$prefix/bin/pg_config" install
}

if [ "${2:-}" != domev ]; then
	get_sources
	build_postgres
fi
build_domev
