# Which client reads domev's messages through PostgreSQL's own plugin, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
plugin=pgoutput

what() { /usr/bin/python3 -c 'import psycopg2 as p; print("plugin pgoutput with messages, by psycopg2", p.__version__.split()[0])'; }

prepare() { need_packages python3 python3-psycopg2; }

publisher() { echo "exec /usr/bin/python3 $folder/publish.py"; }
