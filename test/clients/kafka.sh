# Which client is confluent-kafka, on librdkafka, and how is it brought here?  Sourced by run.sh.
# The kit's broker speaks Kafka's protocol to it; a real one is in test/interop/librdkafka.sh.
# shellcheck shell=bash disable=SC2034,SC2154
broker=kafka
loses=(sent highest:partial-batch)

what() { "$folder/venv/bin/pip" freeze | paste -sd ' '; }

prepare() { need_venv "$folder/venv" "$folder/requirements.txt"; }

publisher() { echo "exec $folder/venv/bin/python $folder/publish.py"; }

# What is in the producer's queue is taken for stored.
publisher_sent() { variant sent 's/^        self\.stored = False/        self.stored = True/'; }

# The highest event that is stored counts, whatever becomes of those before it, which are in other partitions.
publisher_highest() {
	variant highest 's/while self\.queue and self\.queue\[0\]\.stored:/while any(event.stored for event in self.queue):/'
}
