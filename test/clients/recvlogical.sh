# Which client is pg_recvlogical?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
loses=(loop:position pipe)
scenarios=(kills restarts position idle) # the others are about the broker

what() { "$bindir/pg_recvlogical" --version; }

prepare() { :; }

publisher() { echo "exec sh $folder/publish.sh"; }

# The default. When the server that it finds again is another one, it acknowledges the positions of the old one.
publisher_loop() {
	sed 's/ --no-loop//' "$folder/publish.sh" >"$folder/loop.sh"
	echo "exec sh $folder/loop.sh"
}

# What pg_recvlogical has written to a pipe it acknowledges, though the reader has not read it.
publisher_pipe() {
	cat >"$folder/pipe.sh" <<-'SCRIPT'
		pg_recvlogical -d "$DOMEV_CONNECTION" --slot "$DOMEV_SLOT" --start --no-loop -f - --fsync-interval 1 --status-interval 1 |
			while read -r event; do
				answer=''
				until [ "$answer" = ok ]; do
					{ printf '%s\n' "$event" >&3 && read -r answer <&3; } 2>/dev/null ||
						exec 3<>"/dev/tcp/${DOMEV_BROKER%:*}/${DOMEV_BROKER##*:}"
				done
			done
	SCRIPT
	echo "exec bash $folder/pipe.sh"
}
