# Which client is psycopg2, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2154

what() { /usr/bin/python3 -c 'import psycopg2 as p; print("psycopg2", p.__version__.split()[0], "with libpq", p.__libpq_version__)'; }

prepare() { need_packages python3 python3-psycopg2; }

publisher() { echo "exec /usr/bin/python3 $folder/publish.py"; }
