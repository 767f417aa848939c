#!/bin/sh
# Prints the configuration that domev's test servers need.  Argument: the folder of the server's programs.
# output_plugin_libraries is set only where the server knows it: others refuse to start with it.
set -eu
cat <<'CONF'
wal_level = logical
max_replication_slots = 10
max_wal_senders = 10
max_prepared_transactions = 10
fsync = off
timezone = 'UTC'
CONF
# The server refuses to describe its settings to root.
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
settings=$(cd / && as "$1/postgres" --describe-config)
case $settings in
	*output_plugin_libraries*) echo "output_plugin_libraries = 'pgoutput, test_decoding, domev'" ;;
esac
