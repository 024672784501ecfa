#!/bin/bash
# cpu.sh OUR-PORT OUR-MASTER PEER-PORT PEER-MASTER [-n ROUNDS] [popload options]
# Processor time that a session costs each server: what its master (a process id), its descendants and those of them that have
# ended used, by /proc/PID/stat, divided by the sessions; in turn, medians, and the ratio. Other load on the machine disturbs
# this less than it disturbs sessions a second.
set -eu
ours=$1 our_master=$2 peer=$3 peer_master=$4 rounds=5
shift 4
if [ "${1:-}" = -n ]; then rounds=$2; shift 2; fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# All processes are looked at once: on a busy host to ask for each one's children takes longer than what is measured.
# The name of a program, in brackets, may have blanks in it: it is cut away.
ticks() {
	cat /proc/[0-9]*/stat 2>/dev/null | sed 's/ (.*) / /' | awk -v master="$1" '
		{parent[$1] = $3; used[$1] = $13 + $14 + $15 + $16}
		END {
			for (p in parent) {
				up = p
				for (n = 0; up != master && up > 1 && n < 8; n++) up = parent[up]
				if (up == master) sum += used[p]
			}
			print sum + 0
		}'
}
measure() { # port master result
	local before
	before=$(ticks "$2")
	"${POPLOAD:-popload}" -p "$1" "${@:4}" >"$tmp/run"
	sleep 0.3 # the last processes end
	echo "$(($(ticks "$2") - before)) $(sed 's/.*"sessions": \([0-9]*\).*/\1/' "$tmp/run")" >>"$tmp/$3"
}
for _ in $(seq "$rounds"); do
	measure "$ours" "$our_master" ours "$@"
	measure "$peer" "$peer_master" peer "$@"
done
python3 - "$tmp/ours" "$tmp/peer" "$(getconf CLK_TCK)" <<'PY'
import statistics, sys
hz = int(sys.argv[3])
ours, peer = (statistics.median(int(t) / int(n) * 1e6 / hz for t, n in map(str.split, open(f))) for f in sys.argv[1:3])
print(f"CPU us a session ours {ours:8.0f}   peer {peer:8.0f}   ours is {peer / ours:.2f} times as good")
PY
