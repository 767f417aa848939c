# Which client is node's pg-logical-replication, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
loses=(defaults clock one_more)

what() {
	echo "pg-logical-replication $(as_user node -p "require('$folder/node_modules/pg-logical-replication/package.json').version")," \
		"pg $(as_user node -p "require('$folder/node_modules/pg/package.json').version"), node $(node --version)"
}

prepare() {
	command -v node >/dev/null || need_packages nodejs
	[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || skip "needs node 20 or later, and here is $(node --version)"
	command -v npm >/dev/null || need_packages npm
	# A lock file that does not fit is our fault, the rest is the registry's.
	as_user npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund >"$logs/npm.log" 2>&1 || {
		cat "$logs/npm.log"
		if grep -q EUSAGE "$logs/npm.log"; then return 1; fi
		skip 'npm cannot get the packages of package-lock.json'
	}
}

publisher() { echo "exec node $folder/publish.mjs"; }

# Flow control off, acknowledgement by the client.
publisher_defaults() { echo "exec node $folder/defaults.mjs"; }

# A copy of the publisher with one change.
changed() { # NAME SCRIPT-FOR-SED
	sed "$2" "$folder/publish.mjs" >"$folder/$1.mjs"
	if cmp -s "$folder/publish.mjs" "$folder/$1.mjs"; then die "publish.mjs has nothing that $2 would change"; fi
	echo "exec node $folder/$1.mjs"
}

# Own acknowledgement, and the client's clock to keep the connection alive: it acknowledges what came last, though auto is off.
publisher_clock() { changed clock 's/timeoutSeconds: 0/timeoutSeconds: 1/; /^setInterval/d'; }

# The client acknowledges one byte more than it is told, at which the next commit may begin.
publisher_one_more() { changed one_more 's/safe - 1n/safe/'; }
