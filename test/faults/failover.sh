#!/usr/bin/env bash
# Is anything lost or invented in many failovers under load?  Builds domev in a copy, installs it, and runs failover.pl, which says what it
# plays.  It needs PostgreSQL 17 or later.  Arguments:
#   --installed              the domev that the PostgreSQL has is tested, and none is built
#   --rounds N               so many failovers (default: 50)
#   --seed S                 makes the random choices of the run that printed it again. What runs at the same time is not timed by it
#   --without-synchronized   the negative control: without synchronized_standby_slots, and there must be phantoms
# The exit status is 0 only if all was as it has to be.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../job.sh
source "$source_tree/test/job.sh"

rounds=50
seed=''
synchronized=1

parse_arguments() { # ARGUMENT...
	while [ "$#" -gt 0 ]; do
		case $1 in
			--installed) installed=yes ;;
			--rounds)
				[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--rounds needs a number"
				rounds=$2
				shift
				;;
			--seed)
				[[ ${2:-} =~ ^[0-9]{1,9}$ ]] || die "--seed needs a number"
				seed=$2
				shift
				;;
			--without-synchronized) synchronized=0 ;;
			*) die "unknown argument $1; its first lines say which there are: test/faults/failover.sh" ;;
		esac
		shift
	done
}

main() {
	local packages=()
	parse_arguments "$@"
	command -v prove >/dev/null || packages+=(perl)
	perl -MIPC::Run -e 1 2>/dev/null || packages+=(libipc-run-perl)
	prepare_domev ${packages[@]+"${packages[@]}"}
	[ "$(major_of "$PG_CONFIG")" -ge 17 ] || die "failover slots need PostgreSQL 17"
	run_job as_user env "DOMEV_ROUNDS=$rounds" "DOMEV_SEED=${seed:-$RANDOM}" "DOMEV_SYNCHRONIZED=$synchronized" \
		"${make[@]}" -C "$copy" installcheck REGRESS= ISOLATION= PROVE_TESTS=test/faults/failover.pl PROVE_FLAGS=--verbose
}

main "$@"
