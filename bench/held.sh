#!/bin/bash
# held.sh - connections that are held by popload while something is measured; for the scripts beside it (". held.sh").
# Runs in: the shell. POPLOAD says where popload is.

# hold PORT CONNECTIONS [popload options]: returns when all are held. -H: before the login, else logged in.
hold() {
	local words="" port=$1 n=$2
	shift 2
	held_dir=$(mktemp -d)
	mkfifo "$held_dir/words"
	"${POPLOAD:-popload}" -p "$port" -c "$n" -d 600 -s STAT,HOLD -m "$@" >"$held_dir/result" 2>"$held_dir/words" &
	holder=$!
	read -r -t 120 words <"$held_dir/words" || :
	[ "$words" = held ] && return
	release
	echo "held.sh: $n connections to port $port could not be held" >&2
	return 1
}

release() {
	kill "$holder" 2>/dev/null || :
	wait "$holder" 2>/dev/null || :
	rm -rf "$held_dir"
}
