#!/bin/sh
# reproducible.sh - builds the tree twice, in two places, with another umask, locale, zone, number of jobs and age of the files: are the
# programs the same to the octet, and what is generated? Where they are not, it says which section of which file.
# Runs in: the build; `make harden-check` and `make lint` call it. Trusts: the sources.
#
# usage: tests/reproducible.sh [make's arguments]     Takes as long as two builds. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
compared='posternd posternd-gate posternd-sign posternd-pam postern gen/languages_texts.c gen/sandbox_filters.c'
passed=0 failed=0

# place, date of the files, umask, then the environment
build() (
	place=$1 date=$2
	umask "$3"
	shift 3
	mkdir -p "$place"
	tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$place" --no-same-permissions
	find "$place" -type f -exec touch -d "$date" {} +
	cd "$place" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS "$@" >make.log 2>&1 && exit
	echo "reproducible: the build in $place failed:" >&2
	tail -n 20 make.log >&2
	exit 1
)
build "$work/a" '2001-02-03 04:05:06' 022 LC_ALL=C TZ=UTC make -j1 all "$@" || exit 1
build "$work/another/place, with a longer name" '2024-02-29 12:00:00' 077 \
	LC_ALL=C.UTF-8 LANGUAGE=de:fr TZ=Asia/Kathmandu USER=somebody HOME=/nonexistent make -j2 all "$@" || exit 1

# The sections of a program whose octets differ, and where; of a text the lines.
differences() {
	case $1 in
	*.c) diff "$1" "$2" | head -n 6 ;;
	*)
		readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] \(\.[^ ]*\) .*/\1/p' | while read -r section; do
			objcopy -O binary --only-section="$section" --set-section-flags "$section=alloc" "$1" "$work/one" 2>/dev/null
			objcopy -O binary --only-section="$section" --set-section-flags "$section=alloc" "$2" "$work/two" 2>/dev/null
			cmp -s "$work/one" "$work/two" || echo "    section $section: $(cmp "$work/one" "$work/two" 2>&1 | sed 's/.*differ: //')"
		done
		;;
	esac
}
for file in $compared; do
	one=$work/a/build/$file
	two="$work/another/place, with a longer name/build/$file"
	if cmp -s "$one" "$two"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$file: got two that differ, want the same"
		differences "$one" "$two"
	fi
done
echo "two builds: $passed passed, $failed failed"
[ $failed -eq 0 ]
