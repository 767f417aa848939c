#!/usr/bin/env bash
# Do emitters, those who change the registry, and those who keep house get into each other's way?
# Runs all of them at once, and checks: no deadlock, no unexpected error, no lock that is too strong, nothing lost.
# Arguments (concurrency.py has more about them):
#   --installed       the domev that the PostgreSQL has is tested, and none is built; has to come first
#   --minutes N       default: 10
#   --writers N       that emit; default: 16
#   --seed TEXT       of what each of them does; how that meets is the machine's choice
# The exit status is 0 if nothing was wrong.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=concurrency-run.sh
source "$(dirname "${BASH_SOURCE[0]}")/concurrency-run.sh"
run_python concurrency.py "$@"
