#!/bin/sh
# coverage.sh - what the tests reach: lines, by the unit tests alone and by all tests; and each branch of the code that removes
# mail, by the unit tests. Fails when one of these branches is not taken. `make coverage` calls it.
# Runs in: the shell of who tests. Trusts: the checkout.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/coverage}

table() {
	echo "== $1"
	# Only the folders' own objects: gcovr 5.2 trips over what test programs define alike.
	gcovr --root . --object-directory "$BUILD" "$BUILD/base" "$BUILD/daemon" "$BUILD/auth" "$BUILD/storage" "$BUILD/cli" >"$BUILD/$2.txt"
	sed -n '6,$p' "$BUILD/$2.txt"
	for folder in base daemon auth storage cli; do
		awk -v folder="$folder/" 'index($1, folder) == 1 && $2 > 0 {lines += $2; run += $3}
			END {if (lines) printf "%-9s %5d of %5d lines, %.1f%%\n", folder, run, lines, 100 * run / lines}' "$BUILD/$2.txt"
	done
}

# UPDATE and recovery: where a mistake loses mail.
branches() {
	echo "== branches of UPDATE and recovery, taken by the unit tests"
	gcovr --root . --object-directory "$BUILD" --branches --fail-under-branch 100 \
		-f 'storage/journal.*' -f 'storage/mbox_(update|rewrite).c' -f 'storage/maildir_update.c' -f 'storage/restore.c' \
		"$BUILD/storage" >"$BUILD/branches.txt" || all_taken=no
	sed -n '6,$p' "$BUILD/branches.txt"
}
all_taken=yes all_passed=yes
ONLY=unit tests/run.sh || all_passed=no
branches
table 'reached by the unit tests' unit
ONLY=e2e tests/run.sh || all_passed=no
table 'reached by all tests' all
[ $all_taken$all_passed = yesyes ]
