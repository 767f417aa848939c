# Can services in Go raise events, with pgx?
# shellcheck shell=bash disable=SC2034,SC2154

about='Go: pgx'
module=$copy/examples/languages/go-pgx
# shellcheck source-path=SCRIPTDIR source=languages/shop.bash
source "$copy/test/interop/languages/shop.bash"

prepare() {
	need_go 1.25
	cd "$module" || return
	export CGO_ENABLED=0 # nothing here is in C
	as_go mod download || skip 'go cannot get the modules of go.mod'
	as_user mkdir types
	as_user cp "$copy/test/interop/languages/types-go-pgx.go" types/types.go
	as_go vet ./...
	as_user mkdir bin
	as_go build -o bin ./...
}

check() {
	start_server
	check_story go-pgx "$module/bin/go-pgx"
	check_types go-pgx "$module/README.md" "$module/bin/types"
}
