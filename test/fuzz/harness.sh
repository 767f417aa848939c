#!/usr/bin/env bash
# Can bytes break what domev writes and reads while it decodes?  libFuzzer with the files of src/ that know no catalog (harness.c).
# Installs what is missing (clang), builds the harness in a copy of the sources with the address and undefined behaviour sanitizers,
# plays corpus/, and then inputs made of it.
# Arguments:
#   --seconds N     so long (default: 20)
#   --input FILE    only this input: to play a finding again
# A finding is printed, its input kept in a folder in /tmp.  The last line says how many inputs there were, how many of the
# code's branches they reached, and how many findings; the exit status is 0 if there were none, and if those were found that
# are made on purpose.
# shellcheck disable=SC2119
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"

seconds=20
input=''
files=(cloudevent json member protobuf event siphash change options)

trap clean_up EXIT
trap_signals

parse_arguments() { # ARGUMENT...
	while [ "$#" -gt 0 ]; do
		case $1 in
			--seconds)
				[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number"
				seconds=$2
				;;
			--input)
				[ -r "${2:-}" ] || die "--input needs a file"
				input=$(realpath "$2")
				;;
			*) die "unknown argument $1; its first lines say which there are: $source_tree/test/fuzz/harness.sh" ;;
		esac
		shift 2
	done
}

has_libfuzzer() {
	command -v clang >/dev/null &&
		echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' |
		clang -x c -fsanitize=fuzzer,address,undefined -o /dev/null - 2>/dev/null
}

# Debian has the sanitizers' libraries in a package that bears the compiler's version.
needed() {
	local version
	has_libfuzzer && return
	echo clang
	version=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
	[ -z "$version" ] || echo "libclang-rt-$version-dev"
}

build_harness() {
	local sources=("$copy"/test/fuzz/harness*.c) file
	for file in "${files[@]}"; do sources+=("$copy/src/$file.c"); done
	# shellcheck disable=SC2046
	step "Building the harness" harness.log as_user clang -w -g -O2 -std=gnu11 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-I"$copy/src" -I"$("$PG_CONFIG" --includedir-server)" $("$PG_CONFIG" --cppflags) -DDOMEV_VERSION='"fuzzed"' \
		-o "$home/harness" "${sources[@]}" -L"$("$PG_CONFIG" --libdir)" -L"$("$PG_CONFIG" --pkglibdir)" -lpgcommon -lpgport
}

run_harness() { # ARGUMENT...
	as_user env ASAN_OPTIONS=quarantine_size_mb=64 "HARNESS_CONTROL=${control:-}" "$home/harness" -dict="$copy/test/fuzz/harness.dict" "$@" </dev/null
}

# It must end with an error for each: else it would find nothing.
check_controls() {
	local control log=$work/control.log
	for control in byte:message-1:heap-buffer-overflow property:row-1:'not so'; do
		IFS=: read -r control file sign <<<"$control"
		if control=$control run_harness "$copy/test/fuzz/corpus/$file" >"$log" 2>&1 || ! grep -q "$sign" "$log"; then
			show_log "$log"
			die "the harness does not find what is made on purpose ($control)"
		fi
	done
	say "What is made on purpose is found"
}

main() {
	local packages log rc=0 findings
	parse_arguments "$@"
	readarray -t packages < <(needed)
	prepare ${packages[@]+"${packages[@]}"}
	build_harness
	if [ -n "$input" ]; then
		cp "$input" "$home/input"
		chmod 644 "$home/input"
		run_harness "$home/input"
		return
	fi
	check_controls
	log=$work/fuzz.log
	findings=$(mktemp -d /tmp/domev-harness.XXXXXX)
	if is_root; then chown "$user:" "$findings"; fi
	as_user mkdir "$home/corpus"
	say "Playing inputs for $seconds s"
	run_harness -max_total_time="$seconds" -max_len=2048 -print_final_stats=1 -artifact_prefix="$findings/" "$home/corpus" "$copy/test/fuzz/corpus" \
		>"$log" 2>&1 || rc=$?
	[ "$rc" = 0 ] || grep -v -e NEW -e REDUCE "$log" | tail -n 60
	printf '\n%s inputs, %s branches reached, %s findings%s\n' "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
		"$(sed -n 's/^#.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)" "$(find "$findings" -type f | wc -l)" "$([ "$rc" = 0 ] || echo " in $findings")"
	rmdir "$findings" 2>/dev/null || true
	return "$rc"
}

main "$@"
