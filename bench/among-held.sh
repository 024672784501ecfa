#!/bin/bash
# among-held.sh PORT CONNECTIONS [-n ROUNDS] [popload options for the held ones]
# How much longer a login takes while so many sessions are held: one login after the other, without and with them, in turn.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=$1 n=$2 rounds=3
shift 2
if [ "${1:-}" = -n ]; then rounds=$2; shift 2; fi
# shellcheck source=bench/held.sh
. "$here/held.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
logins() { "${POPLOAD:-popload}" -p "$port" -c 1 -d 4 -m -s STAT; }
for _ in $(seq "$rounds"); do
	logins >>"$tmp/alone"
	hold "$port" "$n" "$@"
	logins >>"$tmp/among"
	release
	sleep 2 # until their processes are gone
done
python3 - "$tmp/alone" "$tmp/among" "$n" <<'PY'
import json, statistics, sys
alone, among = (statistics.median(json.loads(line)["login_ms"]["p50"] for line in open(f)) for f in sys.argv[1:3])
print(f"login p50 ms: alone {alone:.3f}, among {sys.argv[3]} sessions {among:.3f}: {among / alone:.2f} times as long")
PY
