#!/usr/bin/env bash
# run.sh from release to release: 15 to 19, 17 to 18, 18 to 19, or the pairs given as OLD:NEW.  As root, in namespaces of its own.
# Several releases are put in one place: an overlay of the newest one's chroot, with the trees of the others and the libraries that it lacks.
# 17, 18 and 19 are those that ../shared/pg-versions has installed, 15 is this machine's; all stay as they are.
# The last line is "N passed, N failed"; the exit status is 0 only if nothing failed.
set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pg-versions
newest=19

# Mounts end with the namespace; what is written goes with the folder.
if [ "${1:-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || { echo "${0##*/}: this needs root" >&2 && exit 2; }
	work=$(mktemp -d /var/tmp/domev-move.XXXXXX)
	trap 'rm -rf --one-file-system "$work"' EXIT
	unshare --mount --pid --ipc --fork --kill-child bash "${BASH_SOURCE[0]}" --inside "$work" "$@"
	exit
fi
work=$2
shift 2

root_of() { # VERSION
	if [ -d "$cache/$1/usr" ]; then echo "$cache/$1"; else echo /; fi
}

# A release's own folders, and those of its libraries that the newest's root lacks.
add_release() { # VERSION
	local version=$1 from to=$work/up library
	from=$(root_of "$version")
	[ -x "$from/usr/lib/postgresql/$version/bin/postgres" ] || { echo "${0##*/}: PostgreSQL $version is not here" >&2 && exit 2; }
	for folder in lib share include; do
		mkdir -p "$to/usr/$folder/postgresql"
		cp -a "$from/usr/$folder/postgresql/$version" "$to/usr/$folder/postgresql/"
	done
	rm -rf "$to/usr/lib/postgresql/$version/lib/bitcode"
	sed -i 's/^with_llvm.*/with_llvm = no/' "$to/usr/lib/postgresql/$version/lib/pgxs/src/Makefile.global"
	mkdir -p "$to/usr/lib/x86_64-linux-gnu"
	chroot "$from" ldd "/usr/lib/postgresql/$version/bin/postgres" "/usr/lib/postgresql/$version/bin/psql" | awk '/=> \// { print $3 }' | sort -u |
		while read -r library; do
			[ -e "$cache/$newest/usr/lib/x86_64-linux-gnu/${library##*/}" ] || cp -L "$from/$library" "$to/usr/lib/x86_64-linux-gnu/"
		done
}

pairs=("$@")
[ "$#" -gt 0 ] || pairs=(15:19 17:18 18:19)
mkdir -p "$work"/{up,work,root}
for version in $(printf '%s\n' "${pairs[@]}" | tr : '\n' | sort -u); do
	[ "$version" = "$newest" ] || add_release "$version"
done
root=$work/root
mount -t overlay overlay -o "lowerdir=$cache/$newest,upperdir=$work/up,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mkdir -p "$root/domev"
tar -C "$tree" -c --exclude=./.git --exclude=node_modules . | tar -C "$root/domev" -x

passed=0 failed=0
for pair in "${pairs[@]}"; do
	printf '\n=== PostgreSQL %s to %s\n' "${pair%:*}" "${pair#*:}"
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 bash /domev/test/move/run.sh \
		"/usr/lib/postgresql/${pair%:*}/bin/pg_config" "/usr/lib/postgresql/${pair#*:}/bin/pg_config" </dev/null 2>&1 | tee "$work/log" || true
	read -r p f < <(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$work/log") || { p=0 f=1; }
	passed=$((passed + p)) failed=$((failed + f))
done
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
