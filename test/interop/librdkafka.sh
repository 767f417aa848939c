# Does the publisher on librdkafka lose nothing when Kafka and the publisher are killed?  Sourced by run.sh.
# shellcheck shell=bash disable=SC2034,SC2154
about='examples/publishers/kafka with a broker'
folder=$copy/examples/publishers/kafka

# shellcheck source-path=SCRIPTDIR source=publishers/story.sh
source "$copy/test/interop/publishers/story.sh"
# shellcheck source-path=SCRIPTDIR source=kafka/broker.sh
source "$copy/test/interop/kafka/broker.sh"

prepare() {
	need_venv "$folder/venv" "$folder/requirements.txt"
	prepare_kafka
}

check() {
	start_kafka
	brokers=$KAFKA_BOOTSTRAP
	publisher=("$folder/venv/bin/python" "$folder/publish.py")
	topics make
	start_story
	kill_kafka
	start_kafka
	makes_progress 'after Kafka was killed'
	restart_publisher
	makes_progress 'after it was killed'
	kill_kafka
	restart_publisher
	check_full
	start_kafka
	makes_progress 'after Kafka and it were killed'
	end_story
	topics read >"$logs/events"
	judge_story 'the topics, after Kafka and the publisher were killed, twice each'
}

# A transaction of 40 MB, more than sockets hold: the publisher does not take it while Kafka is away.
check_full() {
	sql -f "$copy/test/interop/publishers/many.sql"
	if wait_until 30 'the walsender waits' waits_to_send; then
		passed 'a publisher with a full queue reads no more'
	else
		failed 'a publisher with a full queue reads on' "$logs/publisher.log"
	fi
}

# Whenever one looks.
waits_to_send() {
	local look
	for look in {1..20}; do
		[ "$(sql -c "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'walsender'")" = WalSenderWriteData ] || return 1
	done
}

topics() { # COMMAND
	as_user "$folder/venv/bin/python" "$copy/test/interop/librdkafka/topics.py" "$brokers" "$1"
}
