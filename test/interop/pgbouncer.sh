# Do the headers of a transaction stay in it when PgBouncer gives each transaction another session?
# shellcheck shell=bash disable=SC2034,SC2154

about='PgBouncer, one session of the server for all transactions'

prepare() { need_packages pgbouncer; }

check() {
	local port
	start_server
	sql -c 'CREATE DATABASE shop'
	sql -d shop -f "$copy/examples/languages/shop.sql" >/dev/null
	port=$(free_port)
	configure "$port"
	start_job pgbouncer pgbouncer "$logs/pgbouncer.ini"
	wait_until 20 'PgBouncer answers' pooled -c 'SELECT 1'

	# Each of these is a client of its own; the server has one session for all.
	pooled -c 'BEGIN' -c "SET LOCAL domev.context = '{\"user\": \"ann\"}'" -c "SELECT domev.emit('order.placed', 1)" -c 'COMMIT' >>"$logs/clients.log"
	pooled -c "SELECT domev.emit('order.placed', 2)" >>"$logs/clients.log"
	pooled -c "SET domev.context = '{\"user\": \"ann\"}'"
	pooled -c "SELECT domev.emit('order.placed', 3)" >>"$logs/clients.log"

	check_users 'the headers of SET LOCAL are of its transaction only' '1 ann 2 nobody' 1 2
	check_users 'those of SET without LOCAL reach other clients, as the page says' '3 ann' 3
}

configure() { # PORT
	echo '"shop_app" ""' | as_user tee "$logs/users" >/dev/null
	as_user tee "$logs/pgbouncer.ini" >/dev/null <<-END
		[databases]
		shop = host=127.0.0.1 port=$PGPORT
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $1
		unix_socket_dir =
		auth_type = trust
		auth_file = $logs/users
		pool_mode = transaction
		default_pool_size = 1
	END
	pooled_port=$1
}

pooled() { sql -p "$pooled_port" -d shop -U shop_app "$@"; }

# By right of a superuser, from the outbox.
check_users() { # SENTENCE EXPECTED ORDER...
	local orders found
	orders=$(IFS=, && echo "${*:3}")
	found=$(sql -d shop -c "SELECT string_agg(aggregate_id || ' ' || coalesce(headers->>'user', 'nobody'), ' ' ORDER BY aggregate_id)
		FROM domev.outbox WHERE mapping IS NULL AND aggregate_id::int IN ($orders)")
	if [ "$found" = "$2" ]; then
		passed "$1"
	else
		echo "$found, not $2" >"$logs/found"
		failed "$1" "$logs/found"
	fi
}
