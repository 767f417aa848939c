#!/usr/bin/env bash
# Does an event still take as many processor instructions as it did?  Counts them under callgrind, which hardly varies from run to run,
# per event: of domev.emit, of a mapping, of a capture, of decoding.  Compared loosely with the record beside this file (instructions.tsv):
# more than 1.3 times what it says is a failure; much less is a reason to renew it.  Where the record has nothing for this release of
# PostgreSQL and this architecture, nothing is compared.
# Options: --record writes the record; --installed takes the domev that the PostgreSQL has, and builds none; --against FILE compares with
# another record; --keep FOLDER leaves there what callgrind wrote, for "callgrind_annotate --threshold=100" to tell which functions it was.
# Installs what is missing.  The last line is "N passed, N failed"; the exit status is 0 only if nothing failed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

count_results
record=$source_tree/test/bench/instructions.tsv
keep=''

# One-time costs are no event's: each statement runs for a few events, for some, for many, and many minus some is what counts.
warm_up=10
some=200
many=1200

# --- What is measured -----------------------------------------------------------------------------------------------------------

# All SQL goes to one backend without a server (postgres --single -j), where an empty line ends a statement.

payload() { # prints 330 bytes of JSON
	local order='"order": "4711", "total": 63.10, "customer": {"id": 17, "name": "Zoe Sorensen", "country": "DK"}'
	local lines='"lines": [{"sku": "A-100", "price": 19.95, "quantity": 2}, {"sku": "B-200", "price": 23.20, "quantity": 1}]'
	local rest="$order, $lines, \"currency\": \"EUR\", \"placedat\": \"2026-11-24T00:57:49Z\""
	printf '{%s, "note": "%s"}' "$rest" "$(printf '%*s' $((330 - ${#rest} - 13)) '' | tr ' ' x)"
}

schema() {
	cat <<-SQL
		CREATE EXTENSION domev;

		CREATE FUNCTION expect(actual bigint, wanted bigint) RETURNS void LANGUAGE plpgsql AS
			\$\$ BEGIN IF actual IS DISTINCT FROM wanted THEN RAISE '% where % are expected', actual, wanted; END IF; END \$\$;

		CREATE FUNCTION sql_mapping(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
		BEGIN ATOMIC
			SELECT (domev.make_integration_event('shop.order-placed.v1',
				jsonb_build_object('customer', (e).payload->'customer', 'total', (e).payload->'total'))).*;
		END;

		CREATE FUNCTION plpgsql_mapping(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE LANGUAGE plpgsql
			SET search_path = pg_catalog, pg_temp AS
			\$\$ BEGIN
				RETURN NEXT domev.make_integration_event('shop.order-placed.v1',
					jsonb_build_object('customer', e.payload->'customer', 'total', e.payload->'total'));
			END \$\$;

		CREATE FUNCTION c_mapping(domev.domain_event) RETURNS domev.integration_event
			AS '$copy/examples/c-mapping/domev_c_mapping', 'c_mapping_announce_order' LANGUAGE C IMMUTABLE STRICT;

		SELECT domev.create_topic('rows', 'internal'), domev.create_topic('messages', 'internal', 'wal'), domev.create_topic('shop');

		SELECT domev.create_event_type('row', 'order', 'rows'), domev.create_event_type('message', 'order', 'messages'),
			domev.create_event_type('order.paid', 'order', 'rows');

		SELECT domev.create_event_type(f, 'order', 'rows'), domev.create_mapping(f, f, 'public.' || f, 'shop')
			FROM unnest('{sql_mapping, plpgsql_mapping, c_mapping}'::text[]) AS f;

		SELECT domev.create_event_type('deferred_mapping', 'order', 'rows'),
			domev.create_mapping('deferred_mapping', 'deferred_mapping', 'public.sql_mapping', 'shop', 'deferred');

		CREATE TABLE orders (id int PRIMARY KEY, customer int, status text, note text);

		INSERT INTO orders SELECT i, i, 'placed', repeat('x', 100) FROM generate_series(1, $many) AS i;

		CREATE TABLE plain_orders (LIKE orders INCLUDING ALL);

		INSERT INTO plain_orders SELECT * FROM orders;

		SELECT domev.create_capture('order-paid', 'orders', 'update', aggregate_id => 'id', event_type => 'order.paid',
			condition => 'OLD.status <> NEW.status', columns => '{customer, status}');

		CREATE TABLE foreign_rows (id int PRIMARY KEY, note text);

	SQL
}

# What may be counted is between calls of these two functions, which nothing else calls.
begin_mark=pg_conf_load_time
end_mark=pg_postmaster_start_time
counted=() # the names of what is counted, in the order of callgrind's files

count() { # NAME STATEMENT
	counted+=("$1")
	printf 'SELECT %s();\n\n%s;\n\nSELECT %s();\n\n' "$begin_mark" "$2" "$end_mark"
}

emit() { # EVENT-TYPE EVENTS
	count "$1 $2" "SELECT expect(count(domev.emit('$1', (100000 + i)::text, '$(payload)'::jsonb)), $2) FROM generate_series(1, $2) AS i"
}

update() { # TABLE EVENTS
	count "$1 $2" "DO \$\$ BEGIN FOR i IN 1..$2 LOOP UPDATE $1 SET status = status || '.' WHERE id = i; END LOOP; END \$\$"
}

# A slot of its own for each count: it reads no WAL that others have read.
create_slot() { printf "SELECT pg_create_logical_replication_slot('bench', 'domev');\n\n"; }
drop_slot() { printf "SELECT pg_drop_replication_slot('bench');\n\n"; }

decode() { # NAME EVENTS [MESSAGES]
	count "$1 $2" "SELECT expect(count(*), ${3:-$2}) FROM pg_logical_slot_get_binary_changes('bench', NULL, NULL)"
}

decode_foreign() { # NAME ROWS MEMORY STREAMED
	create_slot
	printf "SET logical_decoding_work_mem = '%s';\n\n" "$3"
	printf "TRUNCATE foreign_rows;\n\nINSERT INTO foreign_rows SELECT i, repeat('x', 300) FROM generate_series(1, %s) AS i;\n\n" "$2"
	decode "$1" "$2" 0
	# The rows of the warm-up fit into any memory.
	[ "$2" = "$warm_up" ] || printf 'SELECT expect(least(stream_count, 1), %s) FROM pg_stat_replication_slots;\n\n' "$4"
	drop_slot
}

workload() {
	local n type
	for n in "$warm_up" "$some" "$many"; do
		for type in row message; do
			create_slot
			emit "$type" "$n"
			decode "decode_$type" "$n"
			drop_slot
		done
		for type in sql_mapping plpgsql_mapping c_mapping deferred_mapping; do emit "$type" "$n"; done
		update plain_orders "$n"
		update orders "$n"
		decode_foreign decode_foreign_row "$n" 64MB 0
		decode_foreign decode_foreign_row_streamed "$n" 64kB 1
	done
	# Has all of it been kept?
	printf 'SELECT expect(count(*), %s) FROM domev.outbox;\n\n' $((10 * (warm_up + some + many)))
}

# --- Counting -------------------------------------------------------------------------------------------------------------------

backend=() # the command of a backend without a server

make_cluster() {
	as_user "$bindir/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C -D "$home/data" || return
	{
		sh "$copy/test/make-conf.sh" "$bindir"
		printf '%s\n' 'jit = off' 'shared_buffers = 128MB' 'max_wal_size = 4GB'
	} | as_user tee -a "$home/data/postgresql.conf" || return
	backend=("$bindir/postgres" --single -j -D "$home/data" -c exit_on_error=on postgres)
}

run_sql() { # FILE [PREFIX...]
	as_user "${@:2}" "${backend[@]}" <"$1"
}

# Prints what a file of callgrind's counted: all, and what of it is in the code of domev itself.
# A line "calls=" is followed by one with what the callee took, which the callee's own lines have, too.
instructions_of() { # FILE
	awk '
		/^c?ob=/ { split($0, part, /[=() ]+/); if (match($0, /\) /)) own[part[2]] = /\/domev\.so$/ }
		/^ob=/ { in_domev = own[part[2]] }
		/^calls=/ { getline; next }
		/^[-+*0-9]+ [0-9]+$/ { all += $2; if (in_domev) domev += $2 }
		END { print all + 0, domev + 0 }' "$1"
}

# Runs the workload; then there is a file with a line "COUNTED EVENTS ALL DOMEV" for all that was counted.
run_counted() {
	local index=0 file name
	run_sql "$work/workload.sql" valgrind --tool=callgrind "--callgrind-out-file=$home/callgrind.out" \
		"--zero-before=$begin_mark" "--dump-before=$end_mark" || return
	for name in "${counted[@]}"; do
		index=$((index + 1))
		file=$home/callgrind.out.$index
		[ -e "$file" ] || die "callgrind has not seen the functions $begin_mark and $end_mark in $bindir/postgres"
		printf '%s %s\n' "$name" "$(instructions_of "$file")"
		[ -z "$keep" ] || cp "$file" "$keep/callgrind.${name/ /.}" || return
	done >"$work/counts"
}

# --- The record -----------------------------------------------------------------------------------------------------------------

# Lines "MEASURE, instructions per event": the slope between some events and many, of ALL and of what is DOMEV's own.  The emit is
# subtracted from a mapping, which so has the cost of keeping its result; and the UPDATE from a capture, which has that of keeping its event.
measures() {
	awk -v some="$some" -v many="$many" -v OFS='\t' '
		$2 == some { all[$1] -= $3; own[$1] -= $4 }
		$2 == many { all[$1] += $3; own[$1] += $4 }
		function measure(name, counted, besides) {
			printf "%s\t%.0f\n", name, (all[counted] - all[besides]) / (many - some)
			printf "%s, in domev.so\t%.0f\n", name, (own[counted] - own[besides]) / (many - some)
		}
		END {
			measure("emit, a row", "row")
			measure("emit, a message", "message")
			measure("mapping in SQL, inlined", "sql_mapping", "row")
			measure("mapping in PL/pgSQL", "plpgsql_mapping", "row")
			measure("mapping in C", "c_mapping", "row")
			measure("mapping in SQL, deferred", "deferred_mapping", "row")
			measure("capture of an UPDATE", "orders", "plain_orders")
			measure("decode, a row", "decode_row")
			measure("decode, a message", "decode_message")
			measure("decode, a foreign row", "decode_foreign_row")
			measure("decode, a foreign row, streamed", "decode_foreign_row_streamed")
		}' "$work/counts"
}

# Work that moved into domev.so from PostgreSQL's functions, because it takes less there, is no failure.
verdict_on() { # RATIO WHOLE: that of the measure, and that of the whole of which it is part
	awk -v ratio="$1" -v whole="$2" 'BEGIN {
		if (ratio > 1.3) print (whole < 1 ? "more, of a whole that is less: renew the record" : "FAILED")
		else print (ratio < 1 / 1.3 ? "much less: renew the record" : "ok") }'
}

# Lines "MEASURE, now, RECORDED"; "-" if nothing is.
compared() { # VERSION ARCHITECTURE
	awk -F '\t' -v OFS='\t' -v version="$1" -v machine="$2" '
		FILENAME == ARGV[1] { if ($1 == version && $2 == machine) recorded[$3] = $4; next }
		{ print $0, ($1 in recorded ? recorded[$1] : "-") }' "$work/record" "$work/measures"
}

# A measure without a record passes; so does all that is being recorded.
report() { # VERSION ARCHITECTURE RECORDING
	local measure now recorded ratio whole=- verdict any=''
	printf '\nInstructions per event, PostgreSQL %s, %s\n\n%-44s %8s %8s %6s\n' "$1" "$2" measure now record ratio
	while IFS=$'\t' read -r measure now recorded; do
		ratio=-
		verdict='not compared'
		if [ "$recorded" != - ]; then
			any=yes
			ratio=$(awk -v now="$now" -v recorded="$recorded" 'BEGIN { printf "%.3f", now / recorded }')
			case $measure in *', in domev.so') ;; *) whole=$ratio ;; esac
			verdict=$(verdict_on "$ratio" "$whole")
		fi
		[ -z "$3" ] || verdict=recorded
		if [ "$verdict" = FAILED ]; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
		printf '%-44s %8s %8s %6s  %s\n' "$measure" "$now" "$recorded" "$ratio" "$verdict"
	done < <(compared "$1" "$2")
	[ -n "$any$3" ] || say 'The record has nothing for this PostgreSQL and architecture: nothing was compared; --record writes it'
}

# Writes the lines of this PostgreSQL and architecture anew; all others stay.
write_record() { # VERSION ARCHITECTURE
	{
		printf 'version\tarchitecture\tmeasure\tinstructions per event\n'
		{
			awk -F '\t' -v version="$1" -v machine="$2" 'NR > 1 && !($1 == version && $2 == machine)' "$work/record"
			awk -v OFS='\t' -v version="$1" -v machine="$2" '{ print version, machine, $0 }' "$work/measures"
		} | sort -s -t $'\t' -k 1,1n -k 1,1 -k 2,2
	} >"$record"
	say "Written: $record"
}

# --- All of it ------------------------------------------------------------------------------------------------------------------

# A server with assertions has its own record: it takes several times as much.
version_of() { # PG_CONFIG
	local version
	version=$(major_of "$1")
	case $("$1" --configure) in *--enable-cassert*) version+='+assertions' ;; esac
	echo "$version"
}

main() {
	local installed='' recording='' packages=() identity
	while [ "$#" -gt 0 ]; do
		case $1 in
			--installed) installed=yes ;;
			--record) recording=yes ;;
			--keep) keep=$(realpath "${2:?}") && mkdir -p "$keep" && shift ;;
			--against) record=$(realpath "${2:?}") && shift ;;
			*) die "unknown option $1; there are --record, --installed, --against FILE and --keep FOLDER" ;;
		esac
		shift
	done
	command -v valgrind >/dev/null || packages+=(valgrind)
	prepare ${packages[@]+"${packages[@]}"}
	if [ -z "$installed" ]; then
		build COPT=-Werror
		install_domev
	fi
	step 'Building the example c-mapping' c-mapping.log as_user "${make[@]}" -C "$copy/examples/c-mapping" COPT=-Werror
	schema >"$work/schema.sql"
	workload >"$work/workload.sql"
	step 'Making a cluster' cluster.log make_cluster
	step 'Making what is measured' schema.log run_sql "$work/schema.sql"
	step 'Running it under callgrind' workload.log run_counted
	measures >"$work/measures"
	identity=("$(version_of "$PG_CONFIG")" "$(uname -m)")
	{ [ ! -e "$record" ] || cat "$record"; } >"$work/record"
	report "${identity[@]}" "$recording"
	if [ -n "$recording" ]; then write_record "${identity[@]}"; fi
	finished=yes
}

main "$@"
