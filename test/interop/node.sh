# Can services in JavaScript raise events, with pg and with TypeORM?
# shellcheck shell=bash disable=SC2034,SC2154

about='node: pg, TypeORM'
languages=$copy/examples/languages
# shellcheck source-path=SCRIPTDIR source=languages/shop.bash
source "$copy/test/interop/languages/shop.bash"

prepare() {
	local name
	command -v node >/dev/null || need_packages nodejs
	command -v npm >/dev/null || need_packages npm
	for name in node-pg node-typeorm; do
		# A lock file that does not fit is our fault, the rest is the registry's.
		as_user npm ci --prefix "$languages/$name" --ignore-scripts --no-audit --no-fund >"$logs/npm.log" 2>&1 || {
			cat "$logs/npm.log"
			if grep -q EUSAGE "$logs/npm.log"; then return 1; fi
			skip 'npm cannot get the packages of package-lock.json'
		}
		# Where its packages are found.
		as_user cp "$copy/test/interop/languages/types-$name.mjs" "$languages/$name/types.mjs"
	done
}

check() {
	start_server
	check_story node-pg node "$languages/node-pg/shop.mjs"
	check_types node-pg "$languages/node-pg/README.md" node "$languages/node-pg/types.mjs"
	check_story node-typeorm node "$languages/node-typeorm/shop.mjs"
	# shellcheck disable=SC2016
	sed -n '/^```sql$/,/^```$/{/^```/!p}' "$languages/node-typeorm/README.md" | sql -d node-typeorm
	check_types node-typeorm "$languages/node-typeorm/README.md" node "$languages/node-typeorm/types.mjs"
}
