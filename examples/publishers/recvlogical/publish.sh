#!/bin/sh
# Keeps the events of a slot in a file with pg_recvlogical; README.md has the reasons.
set -eu
file=$DOMEV_PUBLISHED

# What was killed while it wrote leaves a piece of a line. It was not acknowledged, so the whole event comes again.
if [ -s "$file" ] && [ "$(tail -c 1 "$file" | wc -l)" = 0 ]; then
	truncate -s "-$(tail -n 1 "$file" | wc -c)" "$file"
fi

exec pg_recvlogical -d "$DOMEV_CONNECTION" --slot "$DOMEV_SLOT" --start --no-loop -f "$file" --fsync-interval 1 --status-interval 1
