# Do services in Java place orders with their events, does domev take what pgjdbc and Hibernate send, and does Flyway migrate its registry?
# shellcheck shell=bash disable=SC2034,SC2154

about='Java: JDBC, JPA through event views, and migrations by Flyway'
languages=$copy/examples/languages
java=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC)
reader=shop_reader # as shop_app, and may read what it emits

# shellcheck source-path=SCRIPTDIR source=languages/shop.bash
source "$copy/test/interop/languages/shop.bash"
# shellcheck source-path=SCRIPTDIR source=java/maven.bash
source "$copy/test/interop/java/maven.bash"

prepare() {
	local example
	need_java
	for example in java-jdbc java-jpa migrations/flyway; do
		maven_libraries "$languages/$example" "$logs/$example" || skip "Maven cannot get the libraries of examples/languages/$example"
	done
	compile java-jdbc "$languages/java-jdbc/Shop.java" "$copy/test/interop/java/Driver.java"
	compile java-jpa "$languages/java-jpa/Shop.java" "$copy/test/interop/java/Views.java"
	compile migrations/flyway "$languages/migrations/flyway/Migrate.java"
}

compile() { # EXAMPLE FILE...
	as_user javac -Xlint:all -Werror -cp "$logs/$1/*" -d "$logs/classes/$1" "${@:2}"
}

run_java() { # EXAMPLE CLASS [ARGUMENT...]
	as_user "${java[@]}" "-Djava.util.logging.config.file=$languages/java-jpa/logging.properties" -cp "$logs/$1/*:$logs/classes/$1" "${@:2}"
}

jdbc_url() { echo "jdbc:postgresql://127.0.0.1:$PGPORT/$1?user=$2"; } # DATABASE ROLE

check() {
	start_server
	check_service java-jdbc
	check_service java-jpa
	sql -c "CREATE ROLE $reader LOGIN IN ROLE shop_app"
	let_read jdbc
	check_answers 'what pgjdbc sends is taken, in each of its modes' java-jdbc Driver "$(jdbc_url jdbc $reader)"
	let_read jpa
	check_answers 'Hibernate emits through event views' java-jpa Views "$(jdbc_url jpa shop_app)" "$(jdbc_url jpa $reader)"
	check_flyway
}

# In a database named as the example, without the language.
check_service() { # EXAMPLE
	check_story "${1#*-}" env "SHOP_URL=$(jdbc_url "${1#*-}" shop_app)" "${java[@]}" \
		"-Djava.util.logging.config.file=$languages/java-jpa/logging.properties" -cp "$logs/$1/*:$logs/classes/$1" Shop
}

let_read() { # DATABASE
	sql -d "$1" -c "GRANT SELECT ON domev_event.\"order.placed\", domev_event.\"order.cancelled\" TO $reader"
}

# A program that prints "ok" or "not ok" for each question.
check_answers() { # SENTENCE EXAMPLE CLASS ARGUMENT...
	local log=$logs/$3.log
	if run_java "${@:2}" >"$log" 2>&1; then
		passed "$1: $(grep -c '^ok' "$log") questions"
	else
		grep -v '^ok' "$log" >"$log.wrong" || true
		failed "$1" "$log.wrong"
	fi
}

# --- Flyway -----------------------------------------------------------------------------------------------------------------------

migrate() { # FOLDER; prints how many files it ran, or fails
	as_user env "SHOP_URL=$(jdbc_url flyway shop_migrator)" "${java[@]}" -cp "$logs/migrations/flyway/*:$logs/classes/migrations/flyway" \
		Migrate "$1" 2>>"$logs/flyway.log"
}

check_equal() { # SENTENCE EXPECTED ACTUAL
	if [ "$2" = "$3" ]; then
		passed "$1"
	else
		printf 'expected:\n%s\nbut:\n%s\n' "$2" "$3" >"$logs/unequal"
		failed "$1" "$logs/unequal"
	fi
}

check_flyway() {
	local files=$logs/flyway
	as_user cp -R "$languages/migrations/flyway/sql" "$files"
	sql -c 'CREATE DATABASE flyway'
	sql -d flyway -f "$languages/migrations/flyway/before.sql" >/dev/null
	check_equal 'Flyway: a role that is no superuser registers everything' '4 migrations' "$(migrate "$files")"
	check_equal 'Flyway: the second time nothing is to be done' '0 migrations' "$(migrate "$files")"
	sql -d flyway -c "INSERT INTO customers VALUES (7, 'Ann', 'Lisbon')"
	check_equal 'Flyway: both versions are published' \
		'[{"city": "Lisbon", "order": "1", "total": 63.10, "customer": "Ann"}, {"order": "1", "total": 63.10, "customer": {"city": "Lisbon", "name": "Ann"}}]' \
		"$(published_of 1)"
	check_replaced "$files"
	check_unfit "$files"
	check_undone "$files"
}

# As shop_app emits it: the data of the integration events.
published_of() { # ORDER
	sql -d flyway -U shop_app -c "SELECT domev.emit('order.placed', $1, '{\"customer\": 7, \"total\": 63.10}')" >/dev/null
	sql -d flyway -c "SELECT jsonb_agg(payload::jsonb ORDER BY event_type) FROM domev.outbox WHERE aggregate_id = '$1' AND mapping IS NOT NULL"
}

# A repeatable migration that changed replaces the mapping's function: the next emit takes the new body, in sessions that have emitted before, too.
check_replaced() { # FOLDER
	local open log=$logs/open.log
	mkfifo "$logs/open"
	sql -d flyway -U shop_app <"$logs/open" >"$log" 2>&1 &
	open=$!
	exec 8>"$logs/open"
	echo "SELECT domev.emit('order.placed', 2, '{\"customer\": 7}');" >&8
	wait_until 20 'the session has emitted' test -s "$log"
	as_user sed -i "s/'city', c.city/'city', upper(c.city)/" "$1/R__order_placed_v1.sql"
	check_equal 'Flyway: a repeatable file that changed is run again' '1 migrations' "$(migrate "$1")"
	echo "SELECT domev.emit('order.placed', 3, '{\"customer\": 7}');" >&8
	exec 8>&-
	wait "$open"
	check_equal 'a mapping whose function is replaced maps by the new body from the next emit on, in open sessions too' '2|Lisbon 3|LISBON' \
		"$(sql -d flyway -c "SELECT string_agg(aggregate_id || '|' || (payload->>'city'), ' ' ORDER BY aggregate_id) FROM domev.outbox
			WHERE mapping = 'order-placed-v1' AND aggregate_id IN ('2', '3')")"
}

# create_mapping looks at the function, though the mapping exists.
check_unfit() { # FOLDER
	local file=$1/R__order_placed_v2.sql
	as_user cp "$file" "$file.good"
	as_user sed -i 's/STABLE$/STABLE SECURITY DEFINER/' "$file"
	if migrate "$1" >/dev/null || ! grep -q 'order_placed_v2 cannot be a mapping' "$logs/flyway.log"; then
		failed 'Flyway: a function that can no longer be a mapping is refused' "$logs/flyway.log"
	else
		passed "Flyway: a function that can no longer be a mapping is refused"
		check_equal 'Flyway: and events are mapped as before' '2' "$(published_of 4 | grep -o '"order": "4"' | wc -l)"
	fi
	as_user mv "$file.good" "$file"
}

# A migration that fails leaves nothing in the registry; what was not granted is refused.
check_undone() { # FOLDER
	as_user tee "$1/V3__wrong.sql" >/dev/null <<-'END'
		SELECT domev.create_topic('billing.orders');
		SELECT domev.set_source('/elsewhere');
	END
	if migrate "$1" >/dev/null || ! grep -q 'permission denied for function set_source' "$logs/flyway.log"; then
		failed 'Flyway: a function that was not granted is refused' "$logs/flyway.log"
		return
	fi
	passed 'Flyway: a function that was not granted is refused'
	check_equal 'Flyway: a migration that fails leaves nothing in the registry' '0|' \
		"$(sql -d flyway -c "SELECT count(*), to_regclass('domev_topic.\"billing.orders\"') FROM domev.topics WHERE topic = 'billing.orders'")"
}
