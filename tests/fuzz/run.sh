#!/bin/sh
# run.sh - fuzzes: each target for FUZZ_SECONDS, FUZZ_JOBS at a time; what it finds that is new goes into a corpus beside the tree's.
# Runs in: the shell of who tests. Trusts: the checkout.
#
# Arguments: targets (all). Environment: BUILD (build/fuzzing), FUZZ_SECONDS (3600), FUZZ_JOBS (1), FUZZ_SEED (0: by chance),
# FUZZ_DIR (BUILD/found: new inputs, failures, the log).
# The log FUZZ_DIR/hours.log has a line a run: date, commit, target, executions, edges, inputs, CPU seconds, messages (of targets
# that judge single messages), result. It is appended to, so the sum over it is what has been spent; it is told at the end.
# The last line is "N passed, N failed", of targets.
set -u
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-build/fuzzing} FUZZ_SECONDS=${FUZZ_SECONDS:-3600}
FUZZ_DIR=${FUZZ_DIR:-$BUILD/found}
export BUILD FUZZ_SECONDS FUZZ_DIR
log=$FUZZ_DIR/hours.log
# Beyond its time: the corpus is read first, and a last input may take its 25 s. Then it hangs.
most=$((FUZZ_SECONDS + 180))

# CPU seconds of this shell's children, by times(1), whose second line is about them: "1m2.345s 0m3.000s".
seconds_in() {
	awk 'NR == 2 { gsub("s", ""); split($1, u, "m"); split($2, s, "m"); printf "%.1f", 60 * u[1] + u[2] + 60 * s[1] + s[2] }' "$1"
}

# One target, in a process of its own.
fuzz() {
	target=$1 found=$FUZZ_DIR/$1
	mkdir -p "$found/corpus" "$found/failures" || exit 2
	# What a target that failed, or was ended by its time, leaves behind.
	FUZZ_SCRATCH=$(mktemp -d /dev/shm/postern-fuzz.XXXXXX || mktemp -d) || exit 2
	export FUZZ_SCRATCH
	trap 'rm -rf "$FUZZ_SCRATCH"' EXIT
	dict=
	[ -f "tests/fuzz/$target.dict" ] && dict=-dict=tests/fuzz/$target.dict
	timeout --kill-after=10 "$most" "$BUILD/fuzz/$target" -max_total_time="$FUZZ_SECONDS" -seed="${FUZZ_SEED:-0}" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 ${dict:+"$dict"} \
		-artifact_prefix="$found/failures/" "$found/corpus" "tests/fuzz/corpus/$target" >"$found/log" 2>&1
	status=$?
	times >"$found/times"
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log")
	edges=$(grep -a -o 'cov: [0-9]*' "$found/log" | tail -n 1)
	messages=$(sed -n 's/^judged: messages=\([0-9]*\).*/\1/p' "$found/log")
	inputs=$(grep -a -o 'corp: [0-9]*' "$found/log" | tail -n 1)
	result=clean
	[ $status -eq 0 ] || result="FAILED, see $found/log"
	[ $status -ne 124 ] || result="FAILED, has not ended in $most s, see $found/log"
	printf '%s %s %s executions=%s edges=%s inputs=%s cpu=%s messages=%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(git rev-parse --short HEAD 2>/dev/null || echo -)" \
		"$target" "${runs:-0}" "${edges#cov: }" "${inputs#corp: }" "$(seconds_in "$found/times")" "${messages:--}" "$result" | tee -a "$log"
	[ $status -ne 0 ] || exit 0
	# Who reads this elsewhere has no log; the last line has the input.
	tail -n 40 "$found/log" | grep -a -v -e '^#' -e '^stat::' | cut -c 1-300 >&2
	# Not xargs's own end of everything (255).
	exit 1
}

if [ "${1-}" = --one ]; then
	fuzz "$2"
fi
mkdir -p "$FUZZ_DIR" || exit 2
if [ $# -eq 0 ]; then
	for file in tests/fuzz/fuzz_*.c; do
		name=${file##*/fuzz_}
		set -- "$@" "${name%.c}"
	done
fi
this_run=$(mktemp) || exit 2
trap 'rm -f "$this_run"' EXIT
printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-1}" -n 1 tests/fuzz/run.sh --one | tee "$this_run"
passed=$(grep -c ' clean$' "$this_run")
awk '{ target = $3; for (i = 1; i <= NF; i++) if (sub("^cpu=", "", $i)) cpu += $i; else if (sub("^executions=", "", $i)) n += $i
		else if (sub("^messages=", "", $i) && $i != "-") messages[target] += $i }
	END { printf "in all: %d executions, %.2f CPU hours\n", n, cpu / 3600; for (t in messages) printf "%s: %.0f messages\n", t, messages[t] }' "$log"
echo "$passed passed, $(($# - passed)) failed"
[ "$passed" -eq $# ]
