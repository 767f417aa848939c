# Can services in Go raise events, with pgx?
# shellcheck shell=bash disable=SC2034,SC2154

about='Go: pgx'
needed=1.25 # go.mod says it, and an older one stumbles over that
module=$copy/examples/languages/go-pgx
PATH=$PATH:/usr/local/go/bin
# shellcheck source-path=SCRIPTDIR source=languages/shop.bash
source "$copy/test/interop/languages/shop.bash"

prepare() {
	local have
	command -v go >/dev/null || skip "needs Go $needed or later"
	have=$(cd / && go env GOVERSION)
	have=${have#go}
	[ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n 1)" = "$needed" ] || skip "needs Go $needed or later, and here is $have"
	cd "$module" || return
	as_go mod download || skip 'go cannot get the modules of go.mod'
	as_user mkdir types
	as_user cp "$copy/test/interop/languages/types-go-pgx.go" types/types.go
	as_go vet ./...
	as_user mkdir bin
	as_go build -o bin ./...
}

# What is in the cache has to be removable, and nothing here is in C.
as_go() { as_user env CGO_ENABLED=0 "GOFLAGS=${GOFLAGS:-} -modcacherw" go "$@"; } # ARGUMENT...

check() {
	start_server
	check_story go-pgx "$module/bin/go-pgx"
	check_types go-pgx "$module/README.md" "$module/bin/types"
}
