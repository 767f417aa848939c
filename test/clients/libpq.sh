# Which client is libpq, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2154

what() {
	local library
	library=$(as_user ldd "$folder/publish" | awk '$1 ~ /^libpq\.so/ { print $3 }')
	echo "libpq, $(basename "$(realpath "$library")")"
}

prepare() { as_user make -C "$folder" "PG_CONFIG=$PG_CONFIG" CFLAGS='-O2 -Wall -Wextra -Werror'; }

publisher() { echo "exec $folder/publish"; }
