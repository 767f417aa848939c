# How is a Kafka broker (KRaft mode) made from Maven's packages, run, killed and run again?  Sourced by parts of the interop run.
# After start_kafka, KAFKA_BOOTSTRAP is where clients find it; it keeps its port and what it stores when it is started again.
# shellcheck shell=bash disable=SC2154

kafka=$home/kafka # the libraries, for all parts of the run
KAFKA_BOOTSTRAP=''

# For prepare: the folder $kafka/PROFILE with the libraries of a profile of pom.xml.
kafka_libraries() { # PROFILE
	local java
	command -v java >/dev/null && command -v mvn >/dev/null || need_packages default-jdk-headless maven
	java=$(java -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')
	[ "${java:-0}" -ge 17 ] || skip "Kafka needs Java 17; this is Java ${java:-of an unknown version}"
	as_user mkdir -p "$kafka"
	# Parts of the run may want the same at the same time.
	exec 8>>"$kafka.lock"
	flock 8
	if [ ! -e "$kafka/$1.complete" ]; then
		as_user mvn -B -q -Dstyle.color=never "-Dmaven.repo.local=$home/.m2/repository" -f "$copy/test/interop/kafka" -P "$1" \
			dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$kafka/$1" || skip "Maven cannot fetch what the profile $1 names"
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
	as_user java -Xmx128m -cp "$kafka/kafka/*" kafka.tools.StorageTool format -t domev-interop-kafka--A \
		-c "$logs/kafka.properties" >"$logs/kafka-format.log" 2>&1
}

kafka_listens() {
	(: <"/dev/tcp/127.0.0.1/${KAFKA_BOOTSTRAP#*:}") 2>/dev/null
}

kafka_is_gone() {
	! kafka_listens
}

start_kafka() {
	local port
	if [ -z "$KAFKA_BOOTSTRAP" ]; then
		port=$(free_port)
		format_kafka "$port" "$(free_port)"
		KAFKA_BOOTSTRAP=127.0.0.1:$port
	fi
	start_job kafka java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$kafka/kafka/*" kafka.Kafka "$logs/kafka.properties"
	wait_until 30 'Kafka listens' kafka_listens
}

kill_kafka() {
	kill_job kafka KILL
	wait_until 10 'the killed Kafka is gone' kafka_is_gone
}
