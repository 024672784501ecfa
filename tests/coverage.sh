#!/bin/sh
# coverage.sh - lines that the tests reach: by the unit tests alone, then by all tests. `make coverage` calls it.
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
ONLY=unit tests/run.sh
table 'reached by the unit tests' unit
ONLY=e2e tests/run.sh
table 'reached by all tests' all
