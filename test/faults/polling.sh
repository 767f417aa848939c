#!/usr/bin/env bash
# Is nothing passed over by domev.poll, whatever order transactions commit in?
# Many writers with random delays, readers beside them, and a ledger; a reader by time must be caught losing events.
# Arguments (polling.py has more about them):
#   --installed       the domev that the PostgreSQL has is tested, and none is built; has to come first
#   --events N        about how many; default: 1,000,000
#   --writers N       default: 64
#   --seed TEXT       of what each of them does; how that meets is the machine's choice
# The exit status is 0 if nothing was lost, made up, or returned twice, and the reader by time has lost some.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=concurrency-run.sh
source "$(dirname "${BASH_SOURCE[0]}")/concurrency-run.sh"
run_python polling.py "$@"
