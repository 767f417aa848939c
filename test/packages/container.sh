# Do the steps of the Containerfile work?  Needs buildah.  Where the image it begins from cannot be had, a chroot of ../shared/pg-versions
# stands in: Debian with PostgreSQL 18, PG_MAJOR set, as that image has them.  What differs then: the image's own entry point is not run.
# To be sourced by run.sh.
# shellcheck shell=bash disable=SC2154

stand_in=${XDG_CACHE_HOME:-$HOME/.cache}/pg-versions/18
buildah=(buildah --storage-driver vfs --root "$work/images" --runroot "$work/images-run")

# The stand-in's headers came without the package's record, so the step that installs them is what is tested, too.
make_base() {
	local container
	need buildah || cannot 'buildah cannot be had' || return
	[ -d "$stand_in/usr" ] || cannot 'there is no PostgreSQL 18 of ../shared/pg-versions' || return
	container=$("${buildah[@]}" from scratch)
	tar -C "$stand_in" -c --exclude=./proc/* --exclude=./dev/* --exclude=./src/* . >"$work/base.tar"
	"${buildah[@]}" add -q "$container" "$work/base.tar" /
	rm "$work/base.tar"
	"${buildah[@]}" config --env PG_MAJOR=18 --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/18/bin "$container"
	"${buildah[@]}" run --isolation chroot "$container" -- ln -sf 18/postgresql.conf.sample /usr/share/postgresql/postgresql.conf.sample
	"${buildah[@]}" commit -q "$container" localhost/postgres:18
}

build_image() {
	"${buildah[@]}" bud -q --isolation chroot --pull-never -t domev -f "$copy/Containerfile" "$copy"
}

# What initdb makes of it, without a line of configuration added: a slot, an event, received.
use_image() {
	local container
	container=$("${buildah[@]}" from --pull-never domev)
	# shellcheck disable=SC2016
	"${buildah[@]}" run --isolation chroot --user postgres "$container" -- bash -euc '
		initdb -D /tmp/data -U postgres -A trust --no-sync
		pg_ctl -D /tmp/data -o "-c listen_addresses= -c unix_socket_directories=/tmp" -l /tmp/log -w start
		trap "pg_ctl -D /tmp/data -m immediate stop" EXIT
		psql -h /tmp -U postgres -XAtv ON_ERROR_STOP=1 -c "CREATE EXTENSION domev" \
			-c "SELECT domev.create_topic(\$\$t\$\$, \$\$internal\$\$), domev.create_event_type(\$\$e\$\$, \$\$a\$\$, \$\$t\$\$)" \
			-c "SELECT pg_create_logical_replication_slot(\$\$s\$\$, \$\$domev\$\$)" -c "SELECT domev.emit(\$\$e\$\$, 42)" \
			-c "SELECT data FROM pg_logical_slot_get_changes(\$\$s\$\$, NULL, NULL)" >/tmp/events
		cat /tmp/events
		grep -q "\"subject\":\"42\"" /tmp/events
		[ ! -e /usr/src/domev ]'
}

test_container() {
	try 'an image to begin from is made (a stand-in for postgres:18)' base.log make_base
	[ -n "$good" ] || return 0
	try 'buildah builds the Containerfile' image.log build_image
	[ -n "$good" ] || return 0
	try 'the image has domev, and publishes as it is' use-image.log use_image
}
