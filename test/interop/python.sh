# Can services in Python raise events, with psycopg and with SQLAlchemy, and can Alembic migrate what is registered?
# shellcheck shell=bash disable=SC2034,SC2154

about='Python: psycopg, SQLAlchemy, Alembic'
languages=$copy/examples/languages
python=$home/python/bin/python
# shellcheck source-path=SCRIPTDIR source=languages/shop.bash
source "$copy/test/interop/languages/shop.bash"

prepare() {
	need_venv "$home/python" "$languages"/{python-psycopg,python-sqlalchemy,migrations/alembic}/requirements.txt
}

check() {
	start_server
	check_story python-psycopg "$python" "$languages/python-psycopg/shop.py"
	check_types python-psycopg "$languages/python-psycopg/README.md" "$python" "$copy/test/interop/languages/types_psycopg.py"
	check_story python-sqlalchemy "$python" "$languages/python-sqlalchemy/shop.py"
	check_types python-sqlalchemy "$languages/python-sqlalchemy/README.md" env "PYTHONPATH=$languages/python-sqlalchemy" \
		"$python" -W ignore "$copy/test/interop/languages/types_sqlalchemy.py"
	check_alembic
}

alembic() { # ARGUMENT...
	as_user env "SHOP_URL=postgresql://shop_migrator@127.0.0.1:$PGPORT/alembic" "$python" -m alembic \
		-c "$languages/migrations/alembic/alembic.ini" "$@"
}

# Up, down and up again, with an event raised each time that it is up.
check_alembic() {
	local seen both='order.placed,shop.order-placed.v1,shop.order-placed.v2'
	sql -c 'CREATE DATABASE alembic'
	sql -d alembic -f "$languages/migrations/alembic/superuser.sql"
	alembic upgrade 0001
	seen=$(place)
	alembic upgrade head
	seen+=" $(place)"
	alembic downgrade 0001
	seen+=" $(place)"
	alembic downgrade base
	seen+=" $(sql -d alembic -c "SELECT count(*) FROM (SELECT topic FROM domev.topics UNION ALL SELECT event_type FROM domev.event_types
		UNION ALL SELECT mapping FROM domev.mappings UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '^order_placed') AS s")"
	alembic upgrade head
	seen+=" $(place)"
	if [ "$seen" = "${both%,*} $both ${both%,*} 0 $both" ]; then
		passed 'Alembic migrates up, to version 2 beside version 1, down and up again, by a role that is no superuser'
	else
		failed "after Alembic's migrations there was: $seen"
	fi
}

# What comes of an order now.
place() {
	sql -d alembic <<-'SQL'
		INSERT INTO customers VALUES (7, 'Ann', 'Lisbon') ON CONFLICT DO NOTHING;
		BEGIN;
		SET LOCAL ROLE shop_app;
		SET LOCAL domev.keep_emitted = on;
		SELECT FROM domev.emit('order.placed', 42, '{"customer": 7, "total": 63.10}');
		SELECT string_agg(event_type, ',') FROM domev.emitted_in_transaction();
		COMMIT;
	SQL
}
