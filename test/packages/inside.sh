#!/usr/bin/env bash
# What debian.sh does in a clean chroot, a step at a time: install, use, remove, purge.  Arguments: the step, PostgreSQL's major release.
set -euo pipefail

major=$2
bin=/usr/lib/postgresql/$major/bin
package=postgresql-$major-domev
state=/domev # what steps leave for later ones
cd /

# Files of the system, but those that apt and dpkg themselves write, and what clusters are.
list_files() {
	find / -xdev \( -path /proc -o -path /dev -o -path /domev -o -path /tmp -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log \
		-o -path /var/lib/postgresql -o -path /etc/postgresql -o -path /run \) -prune -o -print | sort
}

postgres() { # COMMAND...
	runuser -u postgres -- env "PATH=$bin:/usr/bin:/bin" "$@"
}

sql() { # PSQL ARGUMENT...
	postgres psql -XqAt -v ON_ERROR_STOP=1 -d shop "$@"
}

install_package() {
	apt-get -q update
	mkdir -p /etc/postgresql-common
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	apt-get -qy install --no-install-recommends -o Dpkg::Options::=--force-confold "postgresql-$major"
	list_files >"$state/before"
	apt-get -qy install --no-install-recommends "$state/$package"_*.deb
	dpkg -s "$package" | grep -x 'Status: install ok installed'
	list_files >"$state/installed"
	comm -13 "$state/before" "$state/installed" | grep '/domev.so$'
}

use_package() {
	local end
	pg_createcluster "$major" main
	pg_conftool "$major" main set wal_level logical
	if [[ $(postgres "$bin/postgres" --describe-config) == *output_plugin_libraries* ]]; then
		pg_conftool "$major" main set output_plugin_libraries 'pgoutput, test_decoding, domev'
	fi
	PGPORT=$(sed -n 's/^port *= *\([0-9]*\).*/\1/p' "/etc/postgresql/$major/main/postgresql.conf") # the first that is free
	export PGPORT
	pg_ctlcluster "$major" main start
	postgres createdb shop
	sql -c 'CREATE EXTENSION domev'
	sql <"$state/story.sql"
	end=$(sql -c 'SELECT pg_current_wal_lsn()')
	postgres pg_recvlogical -d shop -S publisher --start --no-loop --endpos "$end" -f - >"$state/events"
	cat "$state/events"
	[ "$(wc -l <"$state/events")" = 2 ]
	grep -q '"type":"shop.order-placed.v1".*"city": "Lisbon"' "$state/events"
	pg_dropcluster --stop "$major" main
}

remove_package() {
	apt-get -qy remove "$package"
	list_files >"$state/removed"
	diff "$state/before" "$state/removed"
}

# It has no configuration of its own, so once removed it is unknown: what is purged is installed again.
purge_package() {
	apt-get -qy install --no-install-recommends "$state/$package"_*.deb
	apt-get -qy purge "$package"
	if dpkg -s "$package"; then return 1; fi
	list_files >"$state/purged"
	diff "$state/before" "$state/purged"
	[ -z "$(find / -xdev \( -path /proc -o -path /dev -o -path /domev -o -path /var/log -o -path /var/cache/apt \) -prune -o -name '*domev*' -print)" ]
}

"${1}_package"
