#!/usr/bin/env bash
# Does any input make domev fail in a way that it does not document?  Random calls of everything that takes input, judged (fuzz.py).
# Installs what is missing, builds domev in a copy, installs it, and runs fuzz.py as an unprivileged user.
# Arguments:
#   --installed    the domev that the PostgreSQL has is used, and none is built
#   --calls N      so many (default: 10,000, half a minute; 1,000,000 take a quarter of an hour on an idle machine)
#   --seed S       another series of calls (default: 1)
#   --episode E    only the Eth part of the series that --seed names: to play a failure again
# Each failure is printed with its seed, episode, call and SQLSTATE.  The last line but one is "N calls, M failures"; the exit
# status is 0 if there was none, and if those were found that are made on purpose.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../job.sh
source "$source_tree/test/job.sh"

arguments=() # for fuzz.py

parse_arguments() { # ARGUMENT...
	while [ "$#" -gt 0 ]; do
		case $1 in
			--installed) installed=yes ;;
			--calls | --seed | --episode)
				[[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 needs a number"
				arguments+=("$1" "$2")
				shift
				;;
			*) die "unknown argument $1; its first lines say which there are: $source_tree/test/fuzz/run.sh" ;;
		esac
		shift
	done
}

main() {
	local packages
	parse_arguments "$@"
	readarray -t packages < <(missing_python psycopg2)
	prepare_domev ${packages[@]+"${packages[@]}"}
	say
	run_job as_user "$python" "$copy/test/fuzz/fuzz.py" ${arguments[@]+"${arguments[@]}"} --bindir "$bindir" --folder "$home/fuzz"
}

main "$@"
