#!/usr/bin/env bash
# Do serializable transactions fail more often (40001) when they emit?  At most one percentage point is the goal.
# Arguments (serializable.py has more about them):
#   --installed       the domev that the PostgreSQL has is measured, and none is built; has to come first
#   --rounds N        each has its own seed (default: 3)
#   --transactions N  of each way of emitting in a round (default: 2000)
#   --seed N          of the first round (default: 1)
#   --only NAME       one of the two instruments, stepped or loaded
# The exit status is 0 if all goals were met.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=concurrency-run.sh
source "$(dirname "${BASH_SOURCE[0]}")/concurrency-run.sh"
run_python serializable.py "$@"
