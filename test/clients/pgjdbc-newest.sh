# Which client is the newest pgjdbc, and how is it brought here?  Sourced by run.sh.  The publisher is pgjdbc's.
# shellcheck shell=bash disable=SC2034,SC2154

version=42.7.14
folder=$copy/examples/publishers/pgjdbc
jar=$folder/newest/postgresql-$version.jar
also=(automatic_flush)

what() { echo "$(java -cp "$jar" org.postgresql.util.PGJDBCMain | sed -n "/^PostgreSQL/p"), $(java -version 2>&1 | head -n 1)"; }

prepare() {
	command -v mvn >/dev/null || skip 'needs Maven (mvn)'
	command -v javac >/dev/null || need_packages default-jdk-headless
	# Java takes the home of the user's account, not HOME.
	as_user mvn -B -q "-Dmaven.repo.local=$home/.m2" dependency:copy "-Dartifact=org.postgresql:postgresql:$version" \
		"-DoutputDirectory=$folder/newest" || skip "Maven cannot get org.postgresql:postgresql:$version"
	as_user javac -Xlint:all -Werror -d "$folder/newest" -cp "$jar" "$folder/Publish.java"
	as_user mkdir -p "$folder/automatic"
	sed 's/stream\.readPending()/stream.read()/' "$folder/Publish.java" | as_user tee "$folder/automatic/Publish.java" >/dev/null
	grep -q 'stream\.read()' "$folder/automatic/Publish.java"
	as_user javac -d "$folder/automatic" -cp "$jar" "$folder/automatic/Publish.java"
}

# The small young generation lets the collector run often: what the publisher should have held on to is missed here, not in production.
publisher() { echo "exec java -Xmn1m -cp $folder/newest:$jar Publish"; }

# read() returns events only: it is the driver's automatic flush alone that answers keepalives, and moves an idle slot on.
publisher_automatic_flush() { echo "exec java -Xmn1m -cp $folder/automatic:$jar Publish"; }
