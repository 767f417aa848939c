#!/usr/bin/env bash
# Who publishes which shard?  Keeps COUNT publishers running, each with a slot and a shard of its own, and starts anew the one that ends.
#   shards.sh COUNT COMMAND [ARGUMENT...]
# COMMAND finds in its environment DOMEV_SLOT (publisher_0_of_4 for the first of four) and DOMEV_SHARD (0/4), and all that is there already.
set -euo pipefail

count=${1:?how many shards}
command=("${@:2}")
declare -A shard_of=() # by process

start() { # SHARD [SECONDS]
	local shard=$1 pause=${2:-0}
	(
		trap - TERM INT EXIT
		sleep "$pause"
		export DOMEV_SLOT=publisher_${shard}_of_$count DOMEV_SHARD=$shard/$count
		exec "${command[@]}"
	) &
	shard_of[$!]=$shard
	echo "shard $shard of $count: process $!"
}

finish() {
	trap - EXIT
	kill "${!shard_of[@]}" 2>/dev/null || true
	wait
	exit
}

trap finish TERM INT EXIT
for ((shard = 0; shard < count; shard++)); do start "$shard"; done
while true; do
	status=0
	wait -n -p ended || status=$?
	echo "shard ${shard_of[$ended]} of $count: ended with status $status" >&2
	start "${shard_of[$ended]}" 1
	unset "shard_of[$ended]"
done
