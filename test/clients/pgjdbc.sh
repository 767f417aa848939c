# Which client is Debian's pgjdbc, and how is it brought here?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154

jar=/usr/share/java/postgresql.jar

what() { echo "$(java -cp "$jar" org.postgresql.util.PGJDBCMain | sed -n "/^PostgreSQL/p"), $(java -version 2>&1 | head -n 1)"; }

prepare() {
	command -v javac >/dev/null || need_packages default-jdk-headless
	need_packages libpostgresql-jdbc-java
	as_user javac -Xlint:all -Werror -d "$folder/debian" -cp "$jar" "$folder/Publish.java"
}

# The small young generation lets the collector run often: what the publisher should have held on to is missed here, not in production.
publisher() { echo "exec java -Xmn1m -cp $folder/debian:$jar Publish"; }
