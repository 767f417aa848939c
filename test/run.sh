#!/usr/bin/env bash
# Runs all tests of domev against one PostgreSQL: the one PG_CONFIG names, else the newest found, else the distribution's.
# Installs what is missing, builds in a copy, installs, and tests as an unprivileged user on servers of the tests' own.
# The last line is "N passed, N failed"; the exit status is 0 only if nothing failed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

count_results
# A machine that does much else takes its time, and that is no failure: for what the TAP tests wait for, and for servers to start and stop.
export PG_TEST_TIMEOUT_DEFAULT=600 PGCTLTIMEOUT=300
stamp='' # as old as the start of the present suite: logs that are newer are its own

# Each of the next two prints how many tests of a log passed and how many failed.

# pg_regress and pg_isolation_regress: "test name ... ok" up to PostgreSQL 15, "ok 1 - name" from 16 on.
count_regress() { # LOG
	awk '
		/^ok [0-9]+ +[-+] / || /^(test | ) +?[^ ]+ +\.\.\. ok/ { ok++ }
		/^not ok [0-9]+ +[-+] / || /^(test | ) +?[^ ]+ +\.\.\. (FAILED|failed)/ { bad++ }
		END { print ok + 0, bad + 0 }' "$1"
}

# prove: all tests in its last lines, the failed ones of each file in the report above them.  A file that died without a
# failed test counts as one.
count_tap() { # LOG
	awk '
		/^Files=[0-9]+, Tests=/ { split($2, t, /[=,]/); all = t[2] }
		/^[^ ]+ +\(Wstat: .* Tests: [0-9]+ Failed: [0-9]+\)$/ { f = $NF + 0; failed += f; bad += f ? f : 1 }
		END { print all - failed, bad + 0 }' "$1"
}

# Logs that the present suite wrote.
show_newest() { # PATTERN LINES
	local log
	find "$copy" -path "$1" -newer "$stamp" -size +0 | sort | while read -r log; do show_log "$log" "$2"; done
}

show_regress() { # LOG
	show_newest '*/regression.diffs' 400
	local server_log='*/log/postmaster.log'
	[ -n "$(find "$copy" -path "$server_log" -newer "$stamp")" ] || server_log='*/log/initdb.log'
	show_newest "$server_log" 40
}

show_tap() { # LOG
	local test
	sed -n 's/^\([^ ]*\)\.pl  *(Wstat: .*/\1/p' "$1" | while read -r test; do
		show_newest "*/tmp_check/log/regress_log_${test##*/}" 80
		show_newest "*/tmp_check/log/${test##*/}_*.log" 40
	done
}

# Runs "make installcheck" for tests of one kind, and counts them.
suite() { # NAME KIND FOLDER MAKE-ARGUMENT...
	local log=$work/suite.log rc=0 good bad
	printf '\n=== %s\n' "$1"
	stamp=$work/stamp
	touch "$stamp"
	as_user "${make[@]}" -C "$3" installcheck "${@:4}" </dev/null 2>&1 | tee "$log" || rc=$?
	read -r good bad < <("count_$2" "$log")
	# What ends in an error, or without having run a test, did not pass.
	if [ "$bad" = 0 ] && { [ "$rc" != 0 ] || [ "$good" = 0 ]; }; then bad=1; fi
	if [ "$bad" != 0 ]; then "show_$2" "$log"; fi
	tally "$1" "$good" "$bad"
}

tally() { # NAME PASSED FAILED
	passed=$((passed + $2))
	failed=$((failed + $3))
	say "=== $1: $2 passed, $3 failed"
}

# What reads slots, again on a server that streams every change to the plugin; servers before 17 have no setting for that.
test_streamed() {
	local config=$copy/test/streamed.conf tests
	[ "$(major_of "$PG_CONFIG")" -ge 17 ] || return 0
	as_user tee "$config" >/dev/null <<<'debug_logical_replication_streaming = immediate'
	tests=$(cd "$copy/test/sql" && grep -l pg_logical_slot_ ./*.sql | sed 's,^\./,,; s,\.sql$,,' | tr '\n' ' ')
	suite "regression tests, streamed" regress "$copy" ISOLATION= TAP_TESTS= "REGRESS=$tests" "EXTRA_REGRESS_OPTS=--temp-config=$config"
}

# One extension of somebody else's, as far as domev is concerned: a mapping in C, built against the installed header.
test_c_mapping() {
	local folder=$copy/examples/c-mapping
	[ -e "$folder/Makefile" ] || return 0
	printf '\n'
	step "Building the example c-mapping" c-mapping.log as_user "${make[@]}" -C "$folder" clean all COPT=-Werror
	step "Installing it" c-mapping-install.log as_installer "${make[@]}" -C "$folder" install
	suite "example c-mapping" regress "$folder"
	step "Uninstalling it" c-mapping-uninstall.log as_installer "${make[@]}" -C "$folder" uninstall
}

# All extensions share one name space at run time.
test_symbols() {
	local name='exported symbols' all strange
	printf '\n=== %s\n' "$name"
	all=$(nm -D --defined-only "$copy/domev.so" | awk '{ print $NF }')
	strange=$(grep -Ev '^(domev_.*|pg_finfo_domev_.*|Pg_magic_func|_PG_init|_PG_output_plugin_init)$' <<<"$all" || true)
	if [ -z "$strange" ] && grep -qx _PG_init <<<"$all"; then
		tally "$name" 1 0
	else
		say "domev.so exports what lacks the prefix domev_: ${strange:-nothing, but no _PG_init either}"
		tally "$name" 0 1
	fi
}

# One example shows tests in pgTAP; where there is none, that is skipped.
install_pgtap() {
	[ ! -e "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ] || return 0
	if command -v apt-get >/dev/null && { is_root || command -v sudo >/dev/null; }; then
		apt_get install -y --no-install-recommends --no-remove "postgresql-$(major_of "$PG_CONFIG")-pgtap" \
			>"$work/pgtap.log" 2>&1 </dev/null || true
	fi
	[ -e "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ] || say "There is no pgTAP for this PostgreSQL: one example is skipped"
}

main() {
	local packages=()
	command -v prove >/dev/null || packages+=(perl)
	perl -MIPC::Run -e 1 2>/dev/null || packages+=(libipc-run-perl)
	prepare ${packages[@]+"${packages[@]}"}
	install_pgtap
	build COPT=-Werror
	install_domev
	# One kind at a time: in one "make installcheck" the first kind that fails keeps the others from running.
	suite "regression tests" regress "$copy" ISOLATION= TAP_TESTS=
	test_streamed
	suite "isolation tests" regress "$copy" REGRESS= TAP_TESTS=
	suite "TAP tests" tap "$copy" REGRESS= ISOLATION= PROVE_FLAGS=-j2 # they wait more than they work
	test_c_mapping
	test_symbols
	finished=yes
}

main
