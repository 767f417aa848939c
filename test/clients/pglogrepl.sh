# Which client is Go's pglogrepl, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
loses=(no_flush)

what() {
	local modules
	modules=$(cd "$folder" && as_go list -m -f '{{.Path}} {{.Version}}' github.com/jackc/pglogrepl github.com/jackc/pgx/v5 | paste -sd ' ')
	echo "$modules, $(go version)"
}

prepare() {
	need_go 1.25
	cd "$folder" || return
	as_go mod download || skip 'go cannot get the modules of go.mod'
	build_publisher .
	as_user mkdir no_flush
	as_user cp go.mod go.sum no_flush
	sed -e 's/^\tsafe .*/&\n\treceived pglogrepl.LSN/' -e 's/^\t\tpublish(.*/\t\treceived = event.WALStart\n&/' \
		-e 's/WALWritePosition: .*}/WALWritePosition: max(received, safe)}/' publish.go | as_user tee no_flush/publish.go >/dev/null
	build_publisher no_flush
}

build_publisher() { (cd "$1" && as_go vet . && as_go build -o publish .); } # FOLDER

publisher() { echo "exec $folder/publish"; }

# The position of what came is given as written, none as flushed: pglogrepl takes it for that, too.
publisher_no_flush() { echo "exec $folder/no_flush/publish"; }
