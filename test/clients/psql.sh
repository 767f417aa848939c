# Which client is psql with PostgreSQL's functions on slots?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
loses=(get)

what() { "$bindir/psql" --version; }

prepare() { :; }

publisher() { echo "exec bash $folder/publish.sh"; }

# What pg_logical_slot_get_changes returns is acknowledged before anybody has published it.
publisher_get() {
	sed 's/pg_logical_slot_peek_changes/pg_logical_slot_get_changes/' "$folder/publish.sh" >"$folder/get.sh"
	echo "exec bash $folder/get.sh"
}
