#!/bin/sh
# run.sh - fuzzes: each target for FUZZ_SECONDS, one after the other; what it finds that is new goes into a corpus beside the tree's.
# Runs in: the shell of who tests. Trusts: the checkout.
#
# Arguments: targets (all). Environment: BUILD (build/fuzzing), FUZZ_SECONDS (3600), FUZZ_DIR (BUILD/found: new inputs, failures, the log).
# The log FUZZ_DIR/hours.log has a line a run: date, commit, target, executions, edges, inputs, CPU seconds, messages (of targets
# that judge single messages), result. It is appended to, so the sum over it is what has been spent; it is told at the end.
set -u
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-build/fuzzing} FUZZ_SECONDS=${FUZZ_SECONDS:-3600}
FUZZ_DIR=${FUZZ_DIR:-$BUILD/found} bad=0
log=$FUZZ_DIR/hours.log
mkdir -p "$FUZZ_DIR" || exit 2
# What a target that failed, or was ended by its time, leaves behind.
FUZZ_SCRATCH=$(mktemp -d /dev/shm/postern-fuzz.XXXXXX || mktemp -d) || exit 2
export FUZZ_SCRATCH
trap 'rm -rf "$FUZZ_SCRATCH"' EXIT
if [ $# -eq 0 ]; then
	for file in tests/fuzz/fuzz_*.c; do
		name=${file##*/fuzz_}
		set -- "$@" "${name%.c}"
	done
fi

# CPU seconds in a file with the output of times(1), whose second line is about children: "1m2.345s 0m3.000s".
seconds_in() {
	awk 'NR == 2 { gsub("s", ""); split($1, u, "m"); split($2, s, "m"); printf "%.1f", 60 * u[1] + u[2] + 60 * s[1] + s[2] }' "$1"
}

for target; do
	found=$FUZZ_DIR/$target
	mkdir -p "$found/corpus" "$found/failures" || exit 2
	dict=
	[ -f "tests/fuzz/$target.dict" ] && dict=-dict=tests/fuzz/$target.dict
	times >"$found/before"
	"$BUILD/fuzz/$target" -max_total_time="$FUZZ_SECONDS" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 $dict \
		-artifact_prefix="$found/failures/" "$found/corpus" "tests/fuzz/corpus/$target" >"$found/log" 2>&1
	status=$?
	times >"$found/after"
	cpu=$(echo "$(seconds_in "$found/before") $(seconds_in "$found/after")" | awk '{ printf "%.1f", $2 - $1 }')
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log")
	edges=$(grep -a -o 'cov: [0-9]*' "$found/log" | tail -n 1)
	messages=$(sed -n 's/^judged: messages=\([0-9]*\).*/\1/p' "$found/log")
	inputs=$(grep -a -o 'corp: [0-9]*' "$found/log" | tail -n 1)
	result=clean
	[ $status -eq 0 ] || { result="FAILED, see $found/log"; bad=1; }
	printf '%s %s %s executions=%s edges=%s inputs=%s cpu=%s messages=%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(git rev-parse --short HEAD 2>/dev/null || echo -)" \
		"$target" "${runs:-0}" "${edges#cov: }" "${inputs#corp: }" "$cpu" "${messages:--}" "$result" | tee -a "$log"
done
awk '{ target = $3; for (i = 1; i <= NF; i++) if (sub("^cpu=", "", $i)) cpu += $i; else if (sub("^executions=", "", $i)) n += $i
		else if (sub("^messages=", "", $i) && $i != "-") messages[target] += $i }
	END { printf "in all: %d executions, %.2f CPU hours\n", n, cpu / 3600; for (t in messages) printf "%s: %.0f messages\n", t, messages[t] }' "$log"
exit $bad
