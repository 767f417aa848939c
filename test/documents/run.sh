#!/usr/bin/env bash
# Do Mermaid and the official parser of AsyncAPI read what domev.flow and domev.asyncapi return, whatever the names, and does the
# document say how the events really are?  Also the diagrams in doc/.
# Argument: --installed takes the domev that the PostgreSQL has, and builds none.  Without node and npm, or their packages, all is skipped.
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../verdicts.sh
source "$source_tree/test/verdicts.sh"

check() { # KIND FILE...
	as_user node "$copy/test/documents/check.mjs" "$@"
}

verdict() { # SENTENCE STATUS LOG
	if [ "$2" = 0 ]; then pass "$1"; else fail "$1" "$3"; fi
}

reads() { # SENTENCE KIND FILE...
	local sentence=$1 rc=0
	shift
	check "$@" >"$work/read" 2>&1 || rc=$?
	verdict "$sentence" "$rc" "$work/read"
}

# What is wrong must be seen: the file, changed by a command of sed, is refused.
refuses() { # SENTENCE COMMAND KIND FILE...
	local sentence=$1 command=$2 rc=0
	shift 2
	sed -E "$command" "${@: -1}" >"$work/wrong"
	if cmp -s "$work/wrong" "${@: -1}"; then
		say "  nothing was changed" >"$work/read"
		rc=0
	else
		check "${@:1:$#-1}" "$work/wrong" >"$work/read" 2>&1 || rc=$?
	fi
	verdict "$sentence" "$((rc != 1))" "$work/read"
}

same() { # SENTENCE FILE; what was read is what is on standard input, each line somewhere
	local line rc=0
	while read -r line; do
		grep -qxF -e "$line" "$work/read" || { echo "missing: $line" && rc=1; }
	done >"$work/missing"
	cat "$work/read" >>"$work/missing"
	verdict "$1" "$rc" "$work/missing"
}

test_flow() {
	sql world -c 'SELECT domev.flow()' >"$work/world.mmd"
	sql postgres -c 'CREATE EXTENSION domev' -c 'SELECT domev.flow()' >"$work/empty.mmd"
	reads 'Mermaid reads the flow of an empty registry' mermaid "$work/empty.mmd"
	reads 'Mermaid reads the flow of one with hostile names' mermaid "$work/world.mmd"
	# Each name is what it was, in its place, and there is nothing else.
	same 'and finds in it what is registered' <<'END'
node tables ["public.orders"]
node tables ["public.ta\"b]l\ne #1 end"]
node event types ["\"]--> #quot; <script>alert(1)</script> %%{init: {}}%%","of `md`"]
node event types ["日本 \"🙂\" 'q' \\ ; | {} [] ()","of 1. x"]
node event types ["_em_ **b** a_b","of subgraph"]
node event types ["end","of x"]
node event types ["named by column kind"]
node mappings ["] \"x\" end","public.\"m \"\" ]end\"","deferred, failures recorded"]
node mappings ["off","public.m","disabled"] off
node topics ["-","external, table"]
node topics ["1.2_3","internal, wal"]
node topics ["named by results"]
node publishers ["documents","plugin domev"]
arrow ["public.orders"] normal "c: insert" ["order.placed","of order"]
arrow ["public.orders"] normal "d \"x\" ] |: delete" ["end","of x"]
arrow ["public.ta\"b]l\ne #1 end"] normal "events: insert" ["named by column kind"]
arrow ["end","of x"] dotted "" ["] \"x\" end","public.\"m \"\" ]end\"","deferred, failures recorded"]
arrow ["order.placed","of order"] normal "" ["orders","internal, table"]
arrow ["placed-v1","public.m"] normal "shop.order-placed.v1<br>shop.order-audited.v1" ["shop.orders","external, table"]
arrow ["off","public.m","disabled"] dotted "not told" ["-","external, table"]
arrow ["WAL"] dotted "" ["documents_pgoutput","plugin pgoutput"]
END
	verdict 'in 21 nodes' "$(($(grep -c '^node' "$work/read") != 21))" "$work/read"
	refuses 'a quote that is not escaped is noticed' 's/#34;/"/' mermaid "$work/world.mmd"
}

test_asyncapi() {
	local scope
	for scope in "'external'" "'internal'" NULL; do
		sql world -c "SELECT domev.asyncapi($scope, version => '2.1.0')" >"$work/world.json"
		reads "the AsyncAPI parser objects to nothing, scope $scope" asyncapi "$work/world.json"
	done
	same 'and finds in it what is declared' <<'END'
channel - []
channel 1.2_3 []
channel orders ["order.placed"]
channel shop.orders ["shop.order-audited.v1","shop.order-placed.v1"]
operation send shop.orders
END
	sql postgres -c 'SELECT domev.asyncapi()' >"$work/empty.json"
	reads 'it reads the document of an empty registry' asyncapi "$work/empty.json"
	refuses 'a document without a version is noticed' 's/"version": "2.1.0",? ?//' asyncapi "$work/world.json"
	refuses 'a reference to nothing is noticed' 's,"#/components/schemas/data.end","#/components/schemas/data.none",' asyncapi "$work/world.json"

	sql world -c "SELECT data FROM pg_logical_slot_peek_changes('documents', NULL, NULL)" >"$work/events"
	verdict 'ten events are sent' "$(($(wc -l <"$work/events") != 10))" "$work/events"
	reads 'each is what the document says' events "$work/world.json" "$work/events"
	refuses 'a data that is not as its schema is noticed' 's/"n": 2/"n": "two"/' events "$work/world.json" "$work/events"
	refuses 'so is an attribute of another type' 's/"endoftransaction":true/"endoftransaction":1/' events "$work/world.json" "$work/events"
	refuses 'and a type that the topic does not have' 's/"type":"end"/"type":"order.placed"/' events "$work/world.json" "$work/events"
}

test_pages() {
	local page number
	for page in "$copy"/README.md "$copy"/doc/*.md "$copy"/doc/*/*.md; do
		number=$(grep -c '^```mermaid$' "$page" || true)
		while [ "$number" -gt 0 ]; do
			awk -v number="$number" '/^```mermaid$/ { shown = ++n == number; next } /^```$/ { shown = 0 } shown' "$page" >"$work/page.mmd"
			reads "Mermaid reads diagram $number of ${page#"$copy/"}" mermaid "$work/page.mmd"
			number=$((number - 1))
		done
	done
}

main() {
	prepare
	if [ "${1:-}" != --installed ]; then
		build
		install_domev
	fi
	if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
		skip 'there is no node, or no npm'
		finished=yes
		return
	fi
	say "Getting the parsers"
	if ! as_user npm ci --prefix "$copy/test/documents" --ignore-scripts --no-audit --no-fund >"$work/npm.log" 2>&1 </dev/null; then
		show_log "$work/npm.log" 20
		if grep -q EUSAGE "$work/npm.log"; then die 'package.json and package-lock.json do not agree'; fi
		skip 'npm cannot get the packages of package-lock.json'
		finished=yes
		return
	fi
	start_server
	sql postgres -c 'CREATE DATABASE world' >/dev/null
	sql world -f "$copy/test/documents/world.sql" >"$work/world.log" 2>&1 || { show_log "$work/world.log" && die 'world.sql failed'; }
	chmod 755 "$work"
	test_flow
	test_asyncapi
	test_pages
	finished=yes
}

main "$@"
