#!/bin/sh
# Stands for "postgres" in the build for valgrind: runs a server under valgrind if DOMEV_VALGRIND names a folder for its logs.
# What initdb and pg_ctl ask of the program is asked of the bare one: it would take minutes, and is not what is tested.
real=$0.real
if [ -z "${DOMEV_VALGRIND:-}" ]; then exec "$real" "$@"; fi
case " $* " in
	*' --boot '* | *' --single '* | *' --check '* | *' -C '* | *' -V '* | *' --version '* | *' --describe-config '*) exec "$real" "$@" ;;
esac
exec valgrind --quiet --trace-children=yes --leak-check=no --error-limit=no --num-callers=30 --gen-suppressions=all \
	--suppressions="$(dirname "$0")/../valgrind.supp" --log-file="$DOMEV_VALGRIND/valgrind.%p.log" "$real" "$@"
