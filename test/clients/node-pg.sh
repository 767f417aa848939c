# Which client is node's pg, by hand, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154

what() { echo "pg $(as_user node -p "require('$folder/node_modules/pg/package.json').version"), node $(node --version)"; }

prepare() {
	command -v node >/dev/null || need_packages nodejs
	command -v npm >/dev/null || need_packages npm
	# A lock file that does not fit is our fault, the rest is the registry's.
	as_user npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund >"$logs/npm.log" 2>&1 || {
		cat "$logs/npm.log"
		if grep -q EUSAGE "$logs/npm.log"; then return 1; fi
		skip 'npm cannot get the packages of package-lock.json'
	}
}

publisher() { echo "exec node $folder/publish.mjs"; }
