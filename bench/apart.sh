#!/bin/bash
# apart.sh OUR-MASTER PEER-MASTER OUR-PORT PEER-PORT [options of compare.sh]
# compare.sh with both servers on the first processor and the clients on the second: the load generator's own work, which is the same
# for both and flatters the slower one, does not stand in the ratio. Both servers may use all processors again afterwards.
# The masters are process ids. Needs two processors, and taskset(1).
set -eu
our_master=$1 peer_master=$2
shift 2
[ "$(nproc)" -ge 2 ] || { echo "apart: one processor; needs two" >&2; exit 1; }
load=${POPLOAD:-$(dirname "$0")/popload}
tmp=$(mktemp -d)
# A process that is forked has its parent's processors.
bind() { # processors
	local pids=("$our_master" "$peer_master") next pid
	while [ ${#pids[@]} -gt 0 ]; do
		next=()
		for pid in "${pids[@]}"; do
			taskset -a -c -p "$1" "$pid" >/dev/null 2>&1 || continue # has ended since
			mapfile -t -O ${#next[@]} next < <(pgrep -P "$pid")
		done
		pids=("${next[@]}")
	done
}
end() {
	bind "0-$(($(nproc) - 1))"
	rm -rf "$tmp"
}
trap end EXIT
bind 0
printf '#!/bin/sh\nexec taskset -c 1 "%s" "$@"\n' "$(realpath "$load")" >"$tmp/popload"
chmod +x "$tmp/popload"
POPLOAD=$tmp/popload "$(dirname "$0")/compare.sh" "$@"
