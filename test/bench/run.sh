#!/usr/bin/env bash
# What does domev cost, beside what a user would do otherwise?  Measures both on one server, in turns, and writes a report.
# Installs what is missing, builds domev in a copy, installs it, and runs bench.py as an unprivileged user.
# Arguments (README.md has more about them):
#   --installed       the domev that the PostgreSQL has is measured, and none is built
#   --short, --long   under ten minutes (the default); more rounds of more events
#   --trial           one round of few events: does it run? Its figures mean nothing
#   --only NAME       one file of goals/; may be repeated
#   --rounds N        so many, instead of those of the form
#   --output FOLDER   for report.md, report.json and *.svg (default: results/ beside this file, with --only a new folder in /tmp)
# The exit status is 0 if all was measured, whether goals are met or not.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
# shellcheck source-path=SCRIPTDIR source=../job.sh
source "$source_tree/test/job.sh"

bench=$source_tree/test/bench
output=''
only=''
arguments=() # for bench.py
floor=''     # the folder of the bench's own libraries, once they are to be uninstalled

finish() {
	trap - EXIT
	end_job
	[ -z "$floor" ] || as_installer "${make[@]}" -C "$floor" uninstall >/dev/null 2>&1 || true
	clean_up
}

parse_arguments() { # ARGUMENT...
	while [ "$#" -gt 0 ]; do
		case $1 in
			--installed) installed=yes ;;
			--short | --long | --trial) arguments+=("$1") ;;
			--only)
				only=yes
				[ -e "$bench/goals/${2:-}.py" ] || die "there is no ${2:-} in goals/; there are: $(known_goals)"
				arguments+=(--only "$2")
				shift
				;;
			--rounds)
				[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--rounds needs a number"
				arguments+=(--rounds "$2")
				shift
				;;
			--output)
				output=$(realpath -m "${2:?--output needs a folder}")
				shift
				;;
			*) die "unknown argument $1; its first lines say which there are: $bench/run.sh" ;;
		esac
		shift
	done
	if [ -z "$output" ]; then
		output=$bench/results
		[ -z "$only" ] || output=$(mktemp -d /tmp/domev-bench.XXXXXX) # one part must not replace the report of the whole
	fi
}

known_goals() {
	local file
	for file in "$bench"/goals/[!_]*.py; do basename "$file" .py; done | paste -sd ' '
}

# What domev is measured against, as far as there are packages of it for this PostgreSQL; without them the report says so.
install_peers() {
	local package updated='' major
	major=$(major_of "$PG_CONFIG")
	if [ "$bindir" != "/usr/lib/postgresql/$major/bin" ] || ! command -v apt-get >/dev/null || ! { is_root || command -v sudo >/dev/null; }; then
		say "No packages can be installed for this PostgreSQL: of PgQ, wal2json and decoderbufs, those that it lacks are left out"
		return 0
	fi
	for package in "postgresql-$major-pgq3" "postgresql-$major-wal2json" "postgresql-$major-decoderbufs"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ] || continue
		[ -n "$updated" ] || apt_get update >"$work/apt-update.log" 2>&1 </dev/null || show_log "$work/apt-update.log" 10
		updated=yes
		say "Installing $package"
		apt_get install -y --no-install-recommends --no-remove "$package" >"$work/$package.log" 2>&1 </dev/null ||
			say "$package cannot be installed: its rows are left out"
	done
}

# What was there before stays there after: somebody else may be using it.
install_floor() {
	local folder=$copy/test/bench/floor present
	present=$(find "$("$PG_CONFIG" --pkglibdir)" -maxdepth 1 -name 'bench_*.so')
	step "Building the bench's own libraries" floor.log as_user "${make[@]}" -C "$folder" clean all
	[ -n "$present" ] || floor=$folder
	step "Installing them${floor:+, until the end}" floor-install.log as_installer "${make[@]}" -C "$folder" install
}

main() {
	local packages rc=0
	parse_arguments "$@"
	readarray -t packages < <(missing_python psycopg2 matplotlib)
	prepare_domev ${packages[@]+"${packages[@]}"}
	install_peers
	install_floor
	as_user mkdir "$home/results"
	say
	run_job as_user "$python" "$copy/test/bench/bench.py" ${arguments[@]+"${arguments[@]}"} \
		--bindir "$bindir" --folder "$home/bench" --output "$home/results" || rc=$?
	[ -e "$home/results/report.md" ] || die "bench.py came to no report"
	mkdir -p "$output"
	rm -f "$output"/{emit,tps,decode,mappings}.svg
	cp "$home"/results/* "$output"
	printf '\n%s goals met, %s missed, in %s minutes; the report: %s\n' "$(grep -c '| met |$' "$output/report.md" || true)" \
		"$(grep -cF '**missed** |' "$output/report.md" || true)" "$(((SECONDS + 59) / 60))" "$output/report.md"
	return "$rc"
}

main "$@"
