# How do the services of examples/languages tell their story, and what is to be seen of it?  For parts of the interop run, to be sourced.
# shellcheck shell=bash disable=SC2154

# A database of that name with the shop, a slot of that name (which may have no hyphens), and what makes the first tries fail.
make_shop() { # SHOP
	sql -c "CREATE DATABASE \"$1\""
	sql -d "$1" -f "$copy/examples/languages/shop.sql" >/dev/null
	sql -d "$1" -f "$copy/test/interop/languages/hinder.sql"
	sql -d "$1" -c "SELECT FROM pg_create_logical_replication_slot('${1//-/_}', 'domev')"
}

shop_url() { echo "postgresql://shop_app@127.0.0.1:$PGPORT/$1"; } # SHOP

# Runs a service as shop_app: it says the right thing, and a slot has its events, and no others.
check_story() { # SHOP COMMAND...
	local shop=$1 order log=$logs/$1.log command=0199a3c4-7d11-7abc-8def-000000000042
	shift
	make_shop "$shop"
	as_user env "SHOP_URL=$(shop_url "$shop")" "$@" >"$log" 2>&1 || true
	order=$(sed -n '1s/^placed \([0-9]*\)$/\1/p' "$log")
	if ! diff - "$log" >"$log.diff" <<-END
		placed ${order:-NUMBER}
		cancelled by $command
		cancelled by $command
		not placed: payment was declined
	END
	then
		failed "$shop tells another story" "$log.diff"
		return
	fi
	sql -d "$shop" -v "order=$order" -f "$copy/test/interop/languages/story.sql" >"$log.wrong" 2>&1
	if [ -s "$log.wrong" ]; then
		failed "$shop left something else behind" "$log.wrong"
	else
		passed "$shop: three events, none of what was rolled back, 63.10 is 63.10, whose they are, and three tries that were lost"
	fi
}

# Runs a program that tries values of its language, and prints a row for each: the table of the README begins its rows so.
check_types() { # SHOP README COMMAND...
	local shop=$1 readme=$2 log=$logs/$1-types.log columns
	shift 2
	sql -d "$shop" -c 'GRANT SELECT ON domev_event."order.placed" TO shop_app' # the program reads what is kept
	as_user env "SHOP_URL=$(shop_url "$shop")" "$@" >"$log" 2>&1 || {
		failed "$shop: the program that tries types broke down" "$log"
		return
	}
	columns=$(awk -F'|' 'NR == 1 { print NF - 1 }' "$log")
	sed -n '/^## Types$/,/^## /s/^| /&/p' "$readme" | tail -n +2 | cut -d'|' -f"1-$columns" | sed 's/$/|/' >"$log.readme"
	if [ -s "$log" ] && diff "$log.readme" "$log" >"$log.diff"; then
		passed "$shop: its README is right about $(wc -l <"$log") types"
	else
		failed "$shop: its README is not right about types" "$log.diff"
	fi
}
