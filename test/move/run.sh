#!/usr/bin/env bash
# Does a database with domev move from one major release of PostgreSQL to another: dumped and restored, and by pg_upgrade with slots that
# are drained and that are not?  Arguments: [--installed] OLD_PG_CONFIG NEW_PG_CONFIG; --installed takes the domev that both have.
# chroot.sh makes a place in which several releases are.
# The last line is "N passed, N failed"; the exit status is 0 only if nothing failed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

installed=''
if [ "${1:-}" = --installed ]; then
	installed=yes
	shift
fi
[ "$#" = 2 ] || { echo "usage: ${0##*/} [--installed] OLD_PG_CONFIG NEW_PG_CONFIG" >&2 && exit 2; }
old_config=$1 new_config=$2
old_bin=$("$old_config" --bindir) new_bin=$("$new_config" --bindir)
old=$(major_of "$old_config") new=$(major_of "$new_config")
given_pg_config=$new_config

count_results
running=() # data directories whose servers run

stop_all() {
	local data
	for data in ${running[@]+"${running[@]}"}; do as_user "$(bin_of "$data")/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true; done
}

finish_moving() {
	stop_all
	finish_counting
}
trap finish_moving EXIT

bin_of() { # DATA
	case $1 in */old*) echo "$old_bin" ;; *) echo "$new_bin" ;; esac
}

# A cluster; both have what the other can be upgraded to.
make_release_cluster() { # DATA
	local bin arguments=(-U postgres -E UTF8 --locale=C -A trust --no-sync)
	bin=$(bin_of "$1")
	[[ $("$bin/initdb" --help) != *--no-data-checksums* ]] || arguments+=(--no-data-checksums) # the default differs
	step "Making the cluster ${1##*/}" "initdb.${1##*/}.log" as_user "$bin/initdb" -D "$1" "${arguments[@]}"
	{
		sh "$copy/test/make-conf.sh" "$bin"
		printf "listen_addresses = ''\nunix_socket_directories = '%s'\nport = 5432\n" "$home"
	} >>"$1/postgresql.conf"
}

start() { # DATA
	step "Starting ${1##*/}" "start.${1##*/}.log" as_user "$(bin_of "$1")/pg_ctl" -D "$1" -l "$home/${1##*/}.log" -w start
	running=("$1")
}

stop() { # DATA
	step "Stopping ${1##*/}" "stop.${1##*/}.log" as_user "$(bin_of "$1")/pg_ctl" -D "$1" -m fast -w stop
	running=()
}

sql() { # DATABASE [PSQL ARGUMENT...]
	as_user "$new_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$home" -U postgres -d "$@"
}

# All that the slot has up to now, read and confirmed by a client; prints the subjects, and keeps the events.
receive() { # DATA
	local end
	end=$(sql shop -c 'SELECT pg_current_wal_lsn()')
	as_user timeout 60 "$(bin_of "$1")/pg_recvlogical" -h "$home" -U postgres -d shop --slot publisher --start --no-loop --endpos "$end" -f - >"$work/events"
	sed -n 's/.*"subject":"\([^"]*\)".*/\1/p' "$work/events" | tr '\n' ' '
}

verdict() { # SENTENCE STATUS [LOG]
	if [ "$2" = 0 ]; then
		say "passed   $1"
		passed=$((passed + 1))
	else
		say "failed   $1"
		[ -z "${3:-}" ] || head -n 40 "$3" | cut -c 1-1000
		failed=$((failed + 1))
	fi
}

is() { # SENTENCE GOT EXPECTED
	diff <(echo "$3") <(echo "$2") >"$work/diff" || true
	verdict "$1" "$(($(wc -l <"$work/diff") > 0))" "$work/diff"
}

state() {
	sql shop -f "$copy/test/move/state.sql"
}

use_again() { # SENTENCE DATA; what goes on in the new database, and what its slot gives
	sql shop -f "$copy/test/move/use.sql" >"$work/use.log" 2>&1 || verdict "$1: its roles can go on" 1 "$work/use.log"
	is "$1: what is emitted now is published, each once, and nothing else" "$(receive "$2")" '7 7 7000000 7000000 7 7000000 '
}

# --- The old server ---------------------------------------------------------------------------------------------------------------

make_old() {
	make_release_cluster "$home/old"
	start "$home/old"
	sql postgres -f "$copy/test/move/roles.sql" -c 'CREATE DATABASE shop'
	sql shop -f "$copy/test/move/world.sql" >"$work/world.log" 2>&1 || { show_log "$work/world.log" && die 'world.sql failed'; }
	forget_attver
	state >"$work/state.old"
	outbox=$(sql shop -c 'SELECT o::text FROM domev.outbox AS o ORDER BY o::text COLLATE "C"')
}

# The minor releases of November 2026 (15.20, 17.12) keep an attribute's version in its options.  Those before (18.6, 19rc1) dump it like any option,
# and do not know it when they restore it: no table moves to them, whether domev is there or not.  Then it is taken away here.
forget_attver() {
	local database
	if grep -q pg_attver "$new_bin/pg_dump" || ! grep -q pg_attver "$old_bin/postgres"; then return; fi
	say "  PostgreSQL $old is newer than $new here: without what it says of attributes' versions"
	for database in shop postgres template1; do
		sql "$database" -c "UPDATE pg_attribute AS a SET attoptions = NULL FROM pg_class AS c
			WHERE c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND c.oid >= 16384 AND a.attoptions::text ~ 'pg_attver'"
	done
}

# --- Dump and restore, by the new server's programs ----------------------------------------------------------------------------------

test_dump() {
	step "Dumping the roles" dump-roles.log as_user "$new_bin/pg_dumpall" -h "$home" -U postgres --roles-only -f "$home/roles.dump"
	step "Dumping the database" dump.log as_user "$new_bin/pg_dump" -h "$home" -U postgres -d shop -Fd -f "$home/dump"
	step "Dumping it as SQL" dump-sql.log as_user "$new_bin/pg_dump" -h "$home" -U postgres -d shop -f "$home/dump.sql"
	stop "$home/old"
	as_user cp -a "$home/old" "$home/old.undrained"

	make_release_cluster "$home/new.restored"
	start "$home/new.restored"
	as_user "$new_bin/psql" -X -q -h "$home" -U postgres -d postgres -f "$home/roles.dump" >"$work/roles.log" 2>&1 # "postgres" exists
	local form section
	for form in parallel SQL; do
		sql postgres -c 'CREATE DATABASE shop'
		sql shop -c "SELECT pg_create_logical_replication_slot('publisher', 'domev')" >/dev/null
		if [ "$form" = SQL ]; then
			step "Restoring it, as SQL" restore-sql.log sql shop -f "$home/dump.sql"
		else
			for section in pre-data data post-data; do # apart, as doc/moving.md says
				step "Restoring it, two tables at a time: $section" restore.log as_user "$new_bin/pg_restore" --exit-on-error -j 2 \
					"--section=$section" -h "$home" -U postgres -d shop "$home/dump"
			done
		fi
		is "restored, $form: all is there" "$(state)" "$(cat "$work/state.old")"
		is "restored, $form: the outbox is empty" "$(sql shop -c 'SELECT count(*) FROM domev.outbox')" 0
		is "restored, $form: nothing of it is an event to a slot that was there before" "$(receive "$home/new.restored")" ''
		use_again "restored, $form" "$home/new.restored"
		sql shop -c "SELECT pg_drop_replication_slot('publisher')" >/dev/null
		sql postgres -c 'DROP DATABASE shop'
	done
	stop "$home/new.restored"
}

# --- pg_upgrade ------------------------------------------------------------------------------------------------------------------------

upgrade() { # OLD-DATA NEW-DATA [ARGUMENT...]; its output goes to upgrade.log
	local from=$1 to=$2
	shift 2
	(cd "$home" && as_user "$new_bin/pg_upgrade" -b "$old_bin" -B "$new_bin" -d "$from" -D "$to" -s "$home" -U postgres "$@") >"$work/upgrade.log" 2>&1 </dev/null
}

# What pg_upgrade finds wrong is in a file that its output names.
reasons() {
	cat "$work/upgrade.log"
	find "$home" -path '*pg_upgrade_output.d*' -name '*slots*.txt' -exec cat {} + 2>/dev/null || true
}

test_undrained() {
	local rc=0
	make_release_cluster "$home/new.undrained"
	if [ "$old" -ge 17 ]; then
		upgrade "$home/old.undrained" "$home/new.undrained" --check || rc=$?
		verdict 'pg_upgrade refuses a slot that is not drained' "$((rc == 0))" "$work/upgrade.log"
		reasons >"$work/reasons"
		verdict 'and says so' "$(grep -qi 'slot "publisher" has not consumed' "$work/reasons" && echo 0 || echo 1)" "$work/reasons"
		grep -hi 'has not consumed' "$work/reasons" | sed 's/^/  /'
		return
	fi
	# Before 17 pg_upgrade does not know logical slots.
	upgrade "$home/old.undrained" "$home/new.undrained" || rc=$?
	verdict 'pg_upgrade from a release that it migrates no slots of' "$rc" "$work/upgrade.log"
	start "$home/new.undrained"
	is 'the slot is gone' "$(sql postgres -c 'SELECT count(*) FROM pg_replication_slots')" 0
	is 'but all events of table topics are in the outbox' "$(sql shop -c 'SELECT o::text FROM domev.outbox AS o ORDER BY o::text COLLATE "C"')" "$outbox"
	stop "$home/new.undrained"
}

test_drained() {
	local rc=0 last
	start "$home/old"
	is 'the old server publishes what there is' "$(receive "$home/old" | wc -w | tr -d ' ')" 10
	last=$(sed -n 's/.*"sequence":"\([^"]*\)".*/\1/p' "$work/events" | tail -n 1)
	stop "$home/old"
	make_release_cluster "$home/new.drained"
	upgrade "$home/old" "$home/new.drained" || rc=$?
	verdict 'pg_upgrade with a drained slot' "$rc" "$work/upgrade.log"
	start "$home/new.drained"
	is 'upgraded: all is there' "$(state)" "$(cat "$work/state.old")"
	is 'upgraded: the outbox as well' "$(sql shop -c 'SELECT o::text FROM domev.outbox AS o ORDER BY o::text COLLATE "C"')" "$outbox"
	if [ "$old" -ge 17 ]; then
		is 'upgraded: the slot is there' "$(sql shop -c "SELECT slot_name, plugin, database FROM pg_replication_slots")" 'publisher|domev|shop'
	else
		sql shop -c "SELECT pg_create_logical_replication_slot('publisher', 'domev')" >/dev/null
	fi
	use_again 'upgraded' "$home/new.drained"
	verdict "upgraded: sequence rises from $last to $(sed -n '1s/.*"sequence":"\([^"]*\)".*/\1/p' "$work/events")" \
		"$([[ "$(sed -n '1s/.*"sequence":"\([^"]*\)".*/\1/p' "$work/events")" > $last ]] && echo 0 || echo 1)"
	sql shop -c 'SET client_min_messages = warning' -c 'DROP EXTENSION domev CASCADE' -c 'CREATE EXTENSION domev'
	is 'upgraded: dropped and made again' "$(sql shop -c 'SELECT count(*) FROM domev.topics')" 0
	stop "$home/new.drained"
}

main() {
	prepare
	say "Moving from PostgreSQL $old to $new"
	if [ -z "$installed" ]; then
		for PG_CONFIG in "$old_config" "$new_config"; do
			make=(make --no-print-directory "PG_CONFIG=$PG_CONFIG")
			step "Cleaning the copy" clean.log as_user "${make[@]}" -C "$copy" clean
			build
			install_domev
		done
	fi
	make_old
	test_dump
	test_undrained
	test_drained
	finished=yes
}

outbox=''
main
