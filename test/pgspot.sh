#!/usr/bin/env bash
# What does pgspot find in the scripts that CREATE and ALTER EXTENSION run?  Nothing, or this fails.
# pgspot comes from PyPI, into a temporary folder; where it cannot be had that is skipped, and test/sql/catalog_audit.sql and
# attack_search_path.sql hold alone.  The last line is "N passed, N failed, N skipped"; the exit status is 0 only if nothing failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.9.4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# pgspot knows no function whose body is SQL of its own, not a string ("list index out of range"): it is told that such a body is fixed
# when the function is made, and needs no search_path; what the body says is looked at like all else.
cat >"$work/spot.py" <<'PYTHON'
import sys

from pgspot import cli, visitors

visit_function = visitors.SQLVisitor.visit_CreateFunctionStmt


def visit(self, ancestors, node):
    if node.sql_body is None:
        visit_function(self, ancestors, node)


visitors.SQLVisitor.visit_CreateFunctionStmt = visit
sys.exit(cli.run())
PYTHON

spot() { # FILE; prints what it finds
	PYTHONPATH=$work/python PYTHONDONTWRITEBYTECODE=1 python3 "$work/spot.py" "$1" 2>&1
}

# Nothing found, and read to its end: pgspot's last words are its counts, and an error of its own comes after them.
test_script() { # FILE
	local found
	if found=$(spot "$1") && [ "$(awk 'NF { line = $0 } END { print line }' <<<"$found")" = ' Errors: 0 Warnings: 0 Unknown: 0 ' ]; then
		echo "passed   $1: nothing found"
		passed=$((passed + 1))
	else
		printf 'failed   %s\n%s\n' "$1" "$found"
		failed=$((failed + 1))
	fi
}

# It must find what is wrong: unsafe operators, in a string, in a body of SQL's own and in DO, and a SECURITY DEFINER function.
test_control() { # NAME SQL
	printf 'CREATE SCHEMA control;\n%s\n' "$2" >"$work/control.sql"
	if spot "$work/control.sql" >"$work/control.log"; then
		printf 'failed   it finds %s\n' "$1"
		cat "$work/control.log"
		failed=$((failed + 1))
	else
		echo "passed   it finds $1"
		passed=$((passed + 1))
	fi
}

test_all() {
	local script
	test_control 'an operator' 'SELECT 1 = 2;'
	test_control 'an operator in a body' 'CREATE FUNCTION control.f() RETURNS boolean LANGUAGE sql RETURN 1 = 2;'
	test_control 'an operator in DO' "DO \$\$ BEGIN PERFORM 1 = 2; END \$\$;"
	test_control 'SECURITY DEFINER' "CREATE FUNCTION control.f() RETURNS int LANGUAGE c SECURITY DEFINER AS 'x';"
	for script in sql/*.sql; do
		# a copy that "make" has made
		[ "$script" = "sql/domev--$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" domev.control).sql" ] || test_script "$script"
	done
}

if python3 -m pip install -q --disable-pip-version-check --no-compile --target "$work/python" "pgspot==$version" >"$work/pip.log" 2>&1; then
	test_all
else
	echo "skipped  pgspot $version cannot be had here: $(tail -n 1 "$work/pip.log")"
	skipped=1
fi
printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
