#!/usr/bin/env bash
# Does retention lose events, or repeat them, or hold up writers, while many are written and streamed?
# Arguments (retention.py has more about them):
#   --installed   the domev that the PostgreSQL has is tested, and none is built; has to come first
#   --events N    in all (default: 10000000)
#   --writers N   (default: 2)
# The exit status is 0 if nothing was lost, nothing came twice, and partitions were dropped.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=concurrency-run.sh
source "$(dirname "${BASH_SOURCE[0]}")/concurrency-run.sh"
run_python retention.py "$@"
