# Which client is nats-py, for JetStream, and how is it brought here?  Sourced by run.sh.
# The kit's broker speaks NATS to it; the real servers are in test/interop/nats.sh.
# shellcheck shell=bash disable=SC2034,SC2154
broker=nats
loses=(core batch:partial-batch)

what() { "$folder/venv/bin/pip" freeze | paste -sd ' '; }

prepare() { need_venv "$folder/venv" "$folder/requirements.txt"; }

publisher() { echo "exec $folder/venv/bin/python $folder/publish.py"; }

# NATS by itself, without JetStream, answers nothing: what was sent is taken for published.
publisher_core() { variant core 's/yield jetstream\.publish/yield jetstream._nc.publish/'; }

# Of a batch the last event that was accepted counts, whatever became of those before it.
publisher_batch() {
	variant batch 's/while self\.queue and self\.queue\[0\]\.accepted:/while any(event.accepted for event in self.queue):/'
}
