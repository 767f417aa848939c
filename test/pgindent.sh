#!/bin/sh
# Lays the C code out as PostgreSQL does, or with --check --diff says where it is not.  Needs a server package of 17 or later,
# whose pgindent and typedefs.list it uses: PG_CONFIG names it.
set -eu
cd "$(dirname "$0")/.."
PG_CONFIG=${PG_CONFIG:-pg_config}
bin=$($PG_CONFIG --bindir)
own=$(sed -n -e 's/^} *\([A-Za-z]*\);$/\1/p' -e 's/^typedef struct [A-Za-z]* \([A-Za-z]*\);$/\1/p' -e 's/^typedef [A-Za-z]* \([A-Za-z]*\);$/\1/p' \
	src/*.[ch] examples/c-mapping/*.c test/bench/floor/*.c | sort -u | tr '\n' ' ')
PATH=$bin:$PATH exec "$bin/pgindent" --typedefs="$($PG_CONFIG --sharedir)/typedefs.list" --list-of-typedefs="$own" "$@" \
	src/*.[ch] examples/c-mapping/*.c test/bench/floor/*.c
