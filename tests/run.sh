#!/bin/sh
# run.sh - all tests of a build: the unit test programs, the fuzz targets' corpora, then the end-to-end tests. Ends with "N passed, N failed".
# Runs in: the shell of who tests; as root it tests more. Trusts: the checkout.
#
# Argument: fault, for the fault tests alone.
# Environment: POSTERN_FAULT=full (the fault tests in full), BUILD (build), VALGRIND=yes (unit programs and server under valgrind), ONLY=unit|replay|e2e
set -u
cd "$(dirname "$0")/.." || exit 2
BUILD=${BUILD:-build} passed=0 failed=0 skipped=0
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT

# Add up the last "N passed, N failed[, N skipped]" of $log; a program without one has failed.
count() {
	line=$(grep -Eo '[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?' "$log" | tail -n 1)
	if [ -z "$line" ]; then
		echo "$1: ended without a result"
		failed=$((failed + 1))
		return
	fi
	passed=$((passed + ${line%% passed*}))
	rest=${line#*passed, }
	failed=$((failed + ${rest%% failed*}))
	case $rest in *skipped*)
		rest=${rest#*failed, }
		skipped=$((skipped + ${rest%% skipped*}))
	esac
}

under=
if [ "${VALGRIND-}" = yes ]; then
	under='valgrind -q --vgdb=no --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=no'
	POSTERN_RUN_PREFIX="$under --trace-children=yes"
	export POSTERN_RUN_PREFIX
fi
# Nothing here reads what somebody types, and the tests behave alike whoever runs them.
exec </dev/null
# Run one test program and add up its result. One that hangs is ended: it has failed, and is named.
seconds=$((${under:+20 * }600))
run_program() {
	POSTERN_BUILD=$BUILD timeout --kill-after=10 "$seconds" $under "$@" >"$log" 2>&1
	status=$?
	[ $status -eq 124 ] && echo "$1: has not ended in $seconds s" >>"$log"
	if [ $status -ne 0 ] || ! grep -q ' passed, 0 failed' "$log"; then
		cat "$log"
		echo "$1: exit status $status"
		grep -q ' passed, 0 failed' "$log" && failed=$((failed + 1))
	else
		tail -n 1 "$log"
	fi
	count "$1"
}
if [ "${ONLY:-unit}" = unit ] && [ "${1-}" != fault ]; then
	for program in "$BUILD"/unit/*/test_*; do
		[ -x "$program" ] || continue
		case $program in *.d | *.o) continue ;; esac
		run_program "$program"
	done
fi
if [ "${ONLY:-replay}" = replay ] && [ "${1-}" != fault ]; then
	for program in "$BUILD"/replay/*; do
		[ -x "$program" ] || continue
		run_program "$program" "tests/fuzz/corpus/${program##*/}"
	done
fi
if [ "${ONLY:-e2e}" = e2e ]; then
	# Without names it runs all; "fault" is all of that folder.
	names=
	[ "${1-}" = fault ] && names=$(cd tests/fault && ls test_*.py)
	POSTERN_BUILD=$BUILD python3 tests/e2e/run.py $names 2>&1 | tee "$log"
	count end-to-end
fi
if [ "$skipped" -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
