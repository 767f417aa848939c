# Does the Debian package build, is it clean, and does it work where nothing else is: installed by apt, used, removed, purged?
# To be sourced by run.sh.
# shellcheck shell=bash disable=SC2154

debs=$home/debian # where packages are built
root=$work/root

build_package() {
	need dpkg-dev debhelper postgresql-server-dev-all lintian || cannot 'what builds packages cannot be had' || return
	mkdir "$debs"
	tar -C "$copy" -c --exclude=./debian . | tar -C "$debs" -x --no-same-owner --one-top-level="domev-$version"
	tar -C "$debs" -czf "$debs/domev_$version.orig.tar.gz" "domev-$version"
	cp -r "$copy/debian" "$debs/domev-$version/"
	chown -R "$user:" "$debs"
	# shellcheck disable=SC2016
	as_user bash -euc 'cd "$1" && pg_buildext updatecontrol && dpkg-buildpackage -us -uc' build "$debs/domev-$version"
}

# One PostgreSQL: that of this machine's Debian.
find_package() {
	local found=("$debs/postgresql-$major-domev_"*.deb)
	[ "${#found[@]}" = 1 ] && [ -e "${found[0]}" ]
	package=${found[0]}
}

# Debug symbols apart, each file has its place.
contains() {
	local strange
	dpkg-deb -c "$package" | awk '$1 !~ /^d/ { print $6 }' >"$work/files"
	for file in "usr/lib/postgresql/$major/lib/domev.so" "usr/share/postgresql/$major/extension/domev.control" \
		"usr/share/postgresql/$major/extension/domev--$version.sql" "usr/include/postgresql/$major/server/extension/domev/domev.h"; do
		grep -qx "./$file" "$work/files" || { say "it lacks $file" && return 1; }
	done
	strange=$(grep -vE "^\./usr/(lib/postgresql/$major/lib/(domev\.so|bitcode/domev)|share/postgresql/$major/extension/domev[.-]|include/postgresql/$major/server/extension/domev/|share/doc/postgresql-$major-domev/)" "$work/files" || true)
	[ -z "$strange" ] || { say "$strange" && return 1; }
	ls "$debs/postgresql-$major-domev-dbgsym_"*.deb
}

# Not meant for Debian's own archive, and so without a bug of its that it closes.
lint() {
	local said
	said=$(as_user lintian --suppress-tags initial-upload-closes-no-bugs "$debs/domev_$version"-*.changes)
	say "$said"
	[ -z "$said" ]
}

# --- A clean place ------------------------------------------------------------------------------------------------------------------

make_root() {
	local suite uri
	need debootstrap || cannot 'debootstrap cannot be had' || return
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	uri=$(apt-get --print-uris update | sed -n "s,^'\(.*\)/dists/$suite/InRelease'.*,\1,p" | sed -n 1p)
	[ -n "$uri" ] || cannot "apt's sources have no $suite" || return
	debootstrap --variant=minbase "$suite" "$root" "$uri" || cannot "a minimal $suite cannot be had" || return
	# the sources of this machine, security included; not those of others
	apt-get --print-uris update | sed -n "s,^'\(.*\)/dists/\(${suite}[^/]*\)/InRelease'.*,deb \1 \2 main,p" | sort -u >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(https?|Check|Allow|Retries|Languages|ForceIP)' >"$root/etc/apt/apt.conf.d/00host" || true
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
		cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/apt/host-ca.crt"
		echo 'Acquire::https::CAInfo "/etc/apt/host-ca.crt";' >>"$root/etc/apt/apt.conf.d/00host"
	fi
	mkdir "$root/domev"
	cp "$package" "$here/inside.sh" "$work/story.sql" "$root/domev/"
}

# The README's first event, as somebody would who has only read that far.
story() {
	awk '/^## First event$/ { on = 1 } /^## Without/ { on = 0 } on && /^```$/ { sql = 0 } sql && on; on && /^```sql$/ { sql = 1 }' "$copy/README.md"
}

# In namespaces of its own: the servers that it starts end with it, and so do its mounts.
enter() { # COMMAND...
	# shellcheck disable=SC2016
	unshare --mount --pid --ipc --fork --kill-child bash -euc '
		mount -t proc proc "$0/proc"
		mount --rbind /dev "$0/dev"
		mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
		chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash "$@"' "$root" "$@"
}

test_debian() {
	local major package='' file step
	major=$(major_of "$PG_CONFIG")
	try 'dpkg-buildpackage builds it' build-package.log build_package
	[ -n "$good" ] || return 0
	find_package || { fail 'there is one package' && return 0; }
	try 'its files are where they belong' contains.log contains
	try 'lintian finds nothing' lintian.log lint
	story >"$work/story.sql"
	try 'a minimal Debian is made' debootstrap.log make_root
	[ -n "$good" ] || return 0
	for step in 'install: apt installs it and what it needs' 'use: a cluster, CREATE EXTENSION, the first event, received by pg_recvlogical' \
		'remove: removed by apt, it leaves nothing' 'purge: purged by apt, it leaves nothing'; do
		try "${step#*: }" "${step%%:*}.log" enter "/domev/inside.sh" "${step%%:*}" "$major"
		[ -n "$good" ] || return 0
	done
}
