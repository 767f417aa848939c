# How is a Kafka broker (KRaft mode) made from Maven's packages, run, killed and run again?  Sourced by parts of the interop run.
# After start_kafka, KAFKA_BOOTSTRAP is where clients find it; it keeps its port and what it stores when it is started again.
# shellcheck shell=bash disable=SC2154

# shellcheck source-path=SCRIPTDIR source=../java/maven.bash
source "$copy/test/interop/java/maven.bash"

kafka=$home/kafka # the libraries, for all parts of the run
KAFKA_BOOTSTRAP=''
# Small heaps, compiled for a short life; a log that tells the time.
kafka_java=(java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.showDateTime=true
	"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")

# For prepare: the folder $kafka/PROFILE, or another one in $kafka, with the libraries of that profile of pom.xml.
kafka_libraries() { # PROFILE [FOLDER]
	local java folder=$kafka/${2:-$1}
	need_java
	java=$(java -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')
	[ "${java:-0}" -ge 17 ] || skip "Kafka needs Java 17; this is Java ${java:-of an unknown version}"
	as_user mkdir -p "$kafka"
	# Parts of the run may want the same at the same time.
	exec 8>>"$kafka.lock"
	flock 8
	if [ ! -e "$kafka/$1.complete" ]; then
		maven_libraries "$copy/test/interop/kafka" "$folder" -P "$1" || { echo && skip "the packages of the profile $1 in pom.xml cannot be had from Maven"; }
		as_user touch "$kafka/$1.complete"
	fi
	exec 8>&-
}

prepare_kafka() {
	kafka_libraries kafka
}

kafka_conf() { # PORT CONTROLLER-PORT
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$2
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
		log.dirs=$logs/kafka-data
		num.partitions=3
		offsets.topic.num.partitions=1
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		group.initial.rebalance.delay.ms=0
		# One that is killed and comes back is not to wait until the one before it is thought dead.
		broker.session.timeout.ms=3000
		broker.heartbeat.interval.ms=500
	END
}

format_kafka() { # PORT CONTROLLER-PORT
	kafka_conf "$@" | as_user tee "$logs/kafka.properties" >/dev/null
	as_user "${kafka_java[@]}" -cp "$kafka/kafka/*" kafka.tools.StorageTool format -t domev-interop-kafka--A \
		-c "$logs/kafka.properties" >"$logs/kafka-format.log" 2>&1
}

kafka_listens() {
	(: <"/dev/tcp/127.0.0.1/${KAFKA_BOOTSTRAP#*:}") 2>/dev/null
}

# Two steps for who has something else to do meanwhile.
start_kafka() {
	launch_kafka
	await_kafka
}

launch_kafka() {
	local port
	if [ -z "$KAFKA_BOOTSTRAP" ]; then
		port=$(free_port)
		format_kafka "$port" "$(free_port)"
		KAFKA_BOOTSTRAP=127.0.0.1:$port
	fi
	start_job kafka "${kafka_java[@]}" -cp "$kafka/kafka/*" kafka.Kafka "$logs/kafka.properties"
}

await_kafka() {
	wait_until 60 'Kafka listens' kafka_listens
}

kill_kafka() {
	kill_job kafka KILL
}
