#!/usr/bin/env bash
# Do the official SDKs of CloudEvents read every event of the suite, in both formats, and the same in both?  README.md tells how.
# Argument: --installed takes the domev that the PostgreSQL has, and builds none.
# An SDK that cannot be had here is skipped, and the reason is said.
# The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../verdicts.sh
source "$source_tree/test/verdicts.sh"

least_events=5000 # fewer are not the suite
slot=sdk
corpus='' # what these files begin with: events in each format, one a line, and where they come from

# --- The events of the suite ---------------------------------------------------------------------------------------------------

# A database of its own with a slot, in which the SQL on standard input runs; its events go to the corpus.
collect() { # NAME [DATABASE [ENCODING]]
	local name=$1 database=${2:-suite$((databases += 1))} encoding=${3:-UTF8} end json protobuf
	sql postgres -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots" \
		-c "CREATE DATABASE \"$database\" ENCODING '$encoding' TEMPLATE template0" >/dev/null
	# Errors are part of the suite.
	{
		echo "SELECT pg_create_logical_replication_slot('$slot', 'domev');"
		cat
	} | as_user psql -X -q -h "$home" -U postgres -d "$database" >"$work/psql.log" 2>&1 || true

	# Binary, and so in hexadecimal; nothing is consumed.
	end=$(sql "$database" -o "$home/protobuf" \
		-c "SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('$slot', NULL, NULL, 'format', 'protobuf')" \
		-c '\o' -c 'SELECT pg_current_wal_lsn()')
	# As a client of replication gets it: UTF-8, whatever the database's encoding.
	as_user timeout 60 pg_recvlogical -h "$home" -U postgres -d "$database" --slot "$slot" --start --no-loop --endpos "$end" \
		-o format=cloudevents -f - >"$work/json"

	cat "$home/protobuf" >>"$corpus.protobuf"
	cat "$work/json" >>"$corpus.json"
	awk -v name="$name" '{ print name }' "$work/json" >>"$corpus.names"
	json=$(wc -l <"$work/json")
	protobuf=$(wc -l <"$home/protobuf")
	say "  $name: $json"
	[ "$json" = "$protobuf" ] || say "$name: $json in JSON, $protobuf in protobuf" >>"$work/uneven"
}

# A slot cannot decode what happened to an extension that is dropped meanwhile; and it is not to go with a page's own.
without_drops() { # FILE
	sed "/^DROP EXTENSION/d; /pg_drop_replication_slot(slot_name) .* plugin = 'domev'/d" "$1"
}

sql_of_page() { # FILE
	awk '/^```sql$/ { shown = 1; next } /^```$/ { shown = 0 } shown' "$1" | without_drops /dev/stdin
}

collect_all() {
	local file
	for file in "$copy"/test/sql/*.sql; do
		collect "${file#"$copy/"}" < <(without_drops "$file")
	done
	for file in "$copy"/README.md "$copy"/doc/*.md "$copy"/doc/*/*.md "$copy"/examples/*/README.md; do
		collect "${file#"$copy/"}" < <(sql_of_page "$file")
	done
	collect 'test/sdk/events.sql' '100% Ship & Co/1' <"$copy/test/sdk/events.sql"
	for file in LATIN1 EUC_JP SQL_ASCII; do
		collect "test/sdk/encodings.sql in $file" "$file" "$file" <"$copy/test/sdk/encodings.sql"
	done
}

test_corpus() {
	local events files
	events=$(wc -l <"$corpus.json")
	files=$(uniq "$corpus.names" | wc -l)
	if [ -s "$work/uneven" ]; then
		fail 'every file of the suite sends as many events in each format' "$work/uneven"
	elif [ "$events" -lt "$least_events" ]; then
		fail "the suite sends only $events events, fewer than $least_events"
	else
		pass "the suite sends $events events from $files files, as many in each format"
	fi
}

# --- The SDKs -----------------------------------------------------------------------------------------------------------------------
#
# prepare_NAME fetches and builds, as who called us; its status 77: it cannot be had, and the last line of its output is why.
# read_NAME FORMAT FILE prints what the SDK makes of each event.

prepare_go() {
	command -v go >/dev/null || cannot 'there is no go' || return
	cd "$copy/test/sdk/go" || return
	GOTOOLCHAIN=local go mod download || cannot 'its modules cannot be had' || return
	GOTOOLCHAIN=local go build -o "$home/read-go" .
}

read_go() { # FORMAT FILE
	as_user "$home/read-go" "$@"
}

prepare_java() {
	command -v javac >/dev/null && command -v mvn >/dev/null || cannot 'there is no javac, or no mvn' || return
	mvn -B -q -Dstyle.color=never -f "$copy/test/sdk/java" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$home/java" ||
		cannot 'its libraries cannot be had' || return
	javac -cp "$home/java/*" -d "$home/java" "$copy/test/sdk/java/Read.java"
}

read_java() { # FORMAT FILE
	as_user java -Dfile.encoding=UTF-8 -cp "$home/java:$home/java/*" Read "$@"
}

# Of pure Python, and so any pip does for the system's Python.
prepare_python() {
	[ -x /usr/bin/python3 ] && python3 -m pip --version || cannot 'there is no /usr/bin/python3, or no pip' || return
	python3 -m pip install -q --disable-pip-version-check --no-compile --target "$home/python" -r "$copy/test/sdk/python/requirements.txt" ||
		cannot 'its packages cannot be had'
}

read_python() { # FORMAT FILE
	as_user env "PYTHONPATH=$home/python" PYTHONDONTWRITEBYTECODE=1 PYTHONIOENCODING=UTF-8 \
		/usr/bin/python3 "$copy/test/sdk/python/read.py" "$@"
}

# --- The tests ----------------------------------------------------------------------------------------------------------------------

test_sdk() { # NAME TITLE FORMAT...
	local name=$1 title=$2 format rc=0
	shift 2
	# In the background, because "set -e" does not hold on the left of ||.
	"prepare_$name" >"$work/$name.log" 2>&1 </dev/null &
	wait "$!" || rc=$?
	if [ "$rc" = 77 ]; then
		skip "$title: $(tail -n 1 "$work/$name.log")"
		return
	elif [ "$rc" != 0 ]; then
		fail "$title: it can be built" "$work/$name.log"
		return
	fi
	sdks+=("$name")
	for format; do test_format "$name" "$title" "$format"; done
	if [ "$#" -gt 1 ]; then test_same "$name" same "$title: every event is the same in both formats" "$work/$name.json" "$work/$name.protobuf"; fi
	for format; do test_notices "$name" "$title" "$format"; done
}

test_format() { # SDK TITLE FORMAT
	local read=$work/$1.$3
	"read_$1" "$3" "$corpus.$3" >"$read" || say "ERROR ended with status $?" >>"$read"
	if [ "$(wc -l <"$read")" != "$(wc -l <"$corpus.json")" ]; then
		fail "$2, $3: there are $(wc -l <"$corpus.json") events, and $(wc -l <"$read") results" <(tail -n 1 "$read")
		return
	fi
	paste -d '\n' "$corpus.names" "$corpus.json" "$read" | awk '
		NR % 3 == 1 { name = $0 } NR % 3 == 2 { event = $0 }
		NR % 3 == 0 && /^ERROR/ { print name "\t" event "\t" $0 }' >"$work/bad"
	judge "$1" "$3" "$2, $3: every event is read, and valid"
}

# Events that one of them cannot read are not counted here again.
test_same() { # SDK TEST SENTENCE FILE FILE
	paste -d '\n' "$corpus.names" "$corpus.json" "$4" "$5" | awk '
		NR % 4 == 1 { name = $0 } NR % 4 == 2 { event = $0 } NR % 4 == 3 { one = $0 }
		NR % 4 == 0 && one != $0 && one !~ /^ERROR/ && !/^ERROR/ { print name "\t" event "\t" one "\t" $0 }' >"$work/bad"
	judge "$1" "$2" "$3"
}

# The events in $work/bad are no surprise if all of them are in known.tsv, and each of its lines has one of them.
judge() { # SDK TEST SENTENCE
	local sdk test pattern reason bad known=0
	: >"$work/surprises"
	while IFS=$'\t' read -r sdk test pattern reason; do
		[ "$sdk $test" = "$1 $2" ] || continue
		bad=$(wc -l <"$work/bad")
		PATTERN=$pattern awk -F '\t' '$2 !~ ENVIRON["PATTERN"]' "$work/bad" >"$work/others"
		mv "$work/others" "$work/bad"
		bad=$((bad - $(wc -l <"$work/bad")))
		known=$((known + bad))
		if [ "$bad" = 0 ]; then
			say "no event shows any more what known.tsv says: $reason" >>"$work/surprises"
		else
			say "  $bad events as known.tsv says: $reason"
		fi
	done <"$copy/test/sdk/known.tsv"
	tr '\t' '\n' <"$work/bad" >>"$work/surprises"
	bad=$(wc -l <"$work/bad")
	if [ -s "$work/surprises" ]; then
		fail "$3, but $bad of $(wc -l <"$corpus.json")" "$work/surprises"
	else
		pass "$3 ($(wc -l <"$corpus.json")$([ "$known" = 0 ] || echo ", but the $known above"))"
	fi
}

# What is wrong must be an error, or not read as what is right: sed's commands, for an event that ends its transaction.
# shellcheck disable=SC2034 # read by test_notices, by name
wrong_json=(
	's/"id":"[^"]*",//'
	's/"specversion":"1.0",//'
	's/"source":"[^"]*",/"source":"x",/'
	's/"endoftransaction":true/"endoftransaction":"true"/'
	's/}$//'
)
# shellcheck disable=SC2034
wrong_protobuf=(
	's/0a24.{72}//'           # without an id
	's/0a24/0824/'            # the id's wire type is another
	's/1a03312e30//'          # without a specversion
	's/12020801$/12021001/'   # an attribute's type is another: endoftransaction as an integer
	's/..$//'                 # cut off
)

test_notices() { # SDK TITLE FORMAT
	local sentence="$2, $3: what is wrong is noticed" line right command commands="wrong_$3[@]"
	line=$(grep -n -m 1 '12020801$' "$corpus.protobuf" | cut -d : -f 1)
	right=$(sed -n "${line}p" "$work/$1.$3")
	for command in "${!commands}"; do sed -n -E "${line}{${command};p;}" "$corpus.$3"; done >"$work/wrong"
	"read_$1" "$3" "$work/wrong" >"$work/wrong.read"
	if [ "$(wc -l <"$work/wrong.read")" = "$(wc -l <"$work/wrong")" ] && ! grep -qxF -e "$right" "$work/wrong.read"; then
		pass "$sentence"
	else
		fail "$sentence" "$work/wrong.read"
	fi
}

# Data apart, of which each SDK has its own picture.
test_agreement() {
	local sdk first=${sdks[0]:-}
	for sdk in ${sdks[@]+"${sdks[@]:1}"}; do
		test_same "$sdk" attributes "$sdk and $first read the same attributes" <(cut -f 1 "$work/$first.json") <(cut -f 1 "$work/$sdk.json")
	done
}

main() {
	prepare
	if [ "${1:-}" != --installed ]; then
		build
		install_domev
	fi
	corpus=$work/corpus
	start_server
	say 'Collecting the events of the suite'
	collect_all
	printf '\n'
	test_corpus
	test_sdk go 'Go SDK' json protobuf
	test_sdk java 'Java SDK' json protobuf
	test_sdk python 'Python SDK' json
	skip 'Python SDK, protobuf: it has no such format'
	test_agreement
	finished=yes
}

sdks=() # those that could be had
databases=0
main "$@"
