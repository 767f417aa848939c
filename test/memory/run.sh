#!/usr/bin/env bash
# Do domev's tests find a memory error?  Builds domev for a server that looks for them, runs the tests on it, and counts what the
# servers reported.  Arguments: KIND [SUITE...]
#   KIND    assert | asan | valgrind: the server that build.sh KIND makes; discard: the one with assertions, where each
#           access to a catalog's cache is a miss (debug_discard_caches = 1), which takes hours
#   SUITE   regress, isolation, tap; by default those that make sense with KIND.  regress:a,b runs the files a and b only.
#           control, alone: makes mistakes of the kinds that KIND is for; each must be reported
# The last line is "N passed, N failed"; a report counts as a failure.  Logs with reports stay in /tmp/domev-memory/reports.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kind=${1:-}
suites=("${@:2}")
build=$kind
case $kind in
	assert | asan) [ "${#suites[@]}" -gt 0 ] || suites=(regress isolation tap) ;;
	# The others are too slow for servers that are started many times, and for a million events.
	valgrind) [ "${#suites[@]}" -gt 0 ] || suites=(regress isolation tap:001_stream,002_two_phase,003_savepoints,014_protobuf) ;;
	discard) build=assert && { [ "${#suites[@]}" -gt 0 ] || suites=(regress); } ;;
	*) echo "usage: ${0##*/} assert|asan|valgrind|discard [SUITE...]" >&2 && exit 2 ;;
esac
[ -e "/opt/pg-${build}15/READY" ] || { echo "there is no /opt/pg-${build}15: run $here/build.sh $build" >&2 && exit 2; }
PG_CONFIG=/opt/pg-${build}15/bin/pg_config
# Programs leak at their end by design; PostgreSQL measures its stack by the addresses of variables.
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$here/../setup.sh"

reports=/tmp/domev-memory/reports/$kind
sanitizer_logs='' # where the sanitizers and valgrind write to, each process a file of its own

# Tests that a server with assertions cannot run: bad_options catches errors of the functions that read slots in the midst of a transaction,
# and PostgreSQL gives a slot back only at its end.
unfit='bad_options'

# What a server says when it finds something, or dies of it, or has not given back what it took.
signs='TRAP:|problem in alloc set|detected write past chunk|bogus aset link|terminated by signal|PANIC:|runtime error:|AddressSanitizer'
signs+='|(reference|refcount|file|buffer pin|snapshot|lock) leak|still referenced|leaked'

prepare_kind() {
	sanitizer_logs=$home/sanitizer
	mkdir "$sanitizer_logs"
	chown -R "$user:" "$home"
	export PG_TEST_TIMEOUT_DEFAULT=900 PGCTLTIMEOUT=900 PGISOLATIONTIMEOUT=900
	case $kind in
		asan)
			ASAN_OPTIONS+=":abort_on_error=1:log_path=$sanitizer_logs/asan"
			UBSAN_OPTIONS+=":log_path=$sanitizer_logs/ubsan"
			;;
		valgrind) export DOMEV_VALGRIND=$sanitizer_logs DOMEV_EVENTS=10000 ;;
		discard) echo 'debug_discard_caches = 1' | as_user tee "$copy/test/memory/discard.conf" >/dev/null ;;
	esac
}

# The tests of one kind.  "name ... ok" counts as passed; of prove, its files.
suite() { # SUITE
	local name=${1%%:*} files='' log=$work/suite.log rc=0 arguments=(REGRESS= ISOLATION= TAP_TESTS=)
	case $1 in *:*) files=$(tr , ' ' <<<"${1#*:}") ;; esac
	if [ "$1" = regress ]; then
		files=$(cd "$copy/test/sql" && basename -s .sql -- *.sql | grep -vxF "$unfit" | tr '\n' ' ')
	fi
	case $name in
		regress) arguments=(ISOLATION= TAP_TESTS= ${files:+"REGRESS=$files"}) ;;
		isolation) arguments=(REGRESS= TAP_TESTS= ${files:+"ISOLATION=$files"}) ;;
		tap) arguments=(REGRESS= ISOLATION= ${files:+"PROVE_TESTS=$(printf 'test/t/%s.pl ' $files)"}) ;;
	esac
	[ "$kind" != discard ] || arguments+=("EXTRA_REGRESS_OPTS=--temp-config=test/memory/discard.conf")
	say "=== $name"
	as_user "${make[@]}" -C "$copy" installcheck "${arguments[@]}" </dev/null 2>&1 | tee "$log" || rc=$?
	count "$name" "$log" "$rc"
}

count() { # NAME LOG EXIT-STATUS
	local good bad
	good=$(grep -Ec '^test [^ ]+ +\.\.\. ok|^test/t/.*\.pl \.+ ok' "$2" || true)
	bad=$(grep -Ec '^test [^ ]+ +\.\.\. FAILED|^test/t/.*\(Wstat:' "$2" || true)
	if [ "$bad" = 0 ] && { [ "$3" != 0 ] || [ "$good" = 0 ]; }; then bad=1; fi
	passed=$((passed + good))
	failed=$((failed + bad))
	say "=== $1: $good passed, $bad failed"
	[ "$bad" = 0 ] || keep "$2"
}

# One server, one mistake, one report at the least.  A server that dies of it is what some kinds want.
control() { # MISTAKE
	local data=$copy/control before
	before=$found
	as_user "$bindir/initdb" -D "$data" -U postgres -A trust --no-sync >"$work/control.log" 2>&1
	as_user mkdir -p "$copy/control.logs/log"
	as_user "$bindir/pg_ctl" -D "$data" -o "-k $data -c listen_addresses=" -l "$copy/control.logs/log/$1.log" -w -t 300 start >>"$work/control.log"
	as_user "$bindir/psql" -X -h "$data" -U postgres -c "CREATE FUNCTION misuse(text) RETURNS int LANGUAGE C AS 'domev_misuse', 'domev_misuse'" \
		-c "SELECT misuse('$1')" >>"$work/control.log" 2>&1 || true
	as_user "$bindir/pg_ctl" -D "$data" -m fast -w -t 300 stop >>"$work/control.log" 2>&1 || true
	count_reports
	if [ "$found" -gt "$before" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	say "=== control, $1: $((found - before)) reports, which is $([ "$found" -gt "$before" ] && echo right || echo wrong)"
	rm -rf "$data"
}

control_all() {
	local mistakes=("$kind")
	[ "$kind" != asan ] || mistakes=(assert asan ubsan)
	[ "$kind" != valgrind ] || mistakes=(assert valgrind)
	step "Building the mistakes" misuse.log as_user "${make[@]}" -C "$copy/test/memory/fail"
	step "Installing them" misuse-install.log as_installer "${make[@]}" -C "$copy/test/memory/fail" install
	for one in "${mistakes[@]}"; do control "$one"; done
	found=0
}

# Keeps a file for whoever looks for the reason.
keep() { # FILE
	mkdir -p "$reports"
	cp "$1" "$reports/$(tr / _ <<<"${1#"$work"/}")"
}

# Counts what the servers' logs say, and the files of sanitizers and valgrind that say anything.
count_reports() {
	local log lines
	found=0
	while read -r log; do
		lines=$(grep -aEc "$signs" "$log" || true)
		[ "$lines" = 0 ] || { keep "$log" && say "$lines in $log" && grep -aE "$signs" "$log" | head -n 5; }
		found=$((found + lines))
	done < <(find "$copy" -path '*/log/*.log' -o -path '*/tmp_check/log/*' -type f | sort -u)
	while read -r log; do
		keep "$log"
		say "--- $log" && head -n 40 "$log"
		found=$((found + 1))
	done < <(find "$sanitizer_logs" -type f -size +0)
}

main() {
	count_results
	rm -rf "$reports"
	prepare
	prepare_kind
	build "COPT=-Werror -g"
	install_domev
	found=0
	if [ "${suites[*]}" = control ]; then
		control_all
	else
		for one in "${suites[@]}"; do suite "$one"; done
		count_reports
		say "=== memory, $kind: $found reports"
	fi
	failed=$((failed + found))
	[ "$failed" = 0 ] || find "$copy" \( -name regression.diffs -o -name 'regress_log_*' \) -newer "$copy/domev.so" -size +0 |
		while read -r file; do keep "$file"; done
	finished=yes
}

main
