#!/bin/bash
# run.sh - every figure that docs/speed.md quotes, in one run: logins, throughput and memory beside Dovecot and beside
# the machine's own limit. Prints ratios; absolute times mean nothing on a shared machine.
# Runs in: the shell, as root (users p0..p63 are made; Dovecot is installed and started on loopback).
#
# usage: bench/run.sh [logins] [burst] [logins-shared] [throughput] [bare] [small] [spool] [memory-before-login] [memory] [among] [mbox]     all of them without an argument
# Environment: BUILD (build), BENCH_DIR (/var/tmp/postern-bench), ROUNDS (5), SECONDS_EACH (4), HELD (1000), PORT_BASE (2110). Two runs
# with a BENCH_DIR and a PORT_BASE of their own, forty ports apart, go side by side.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build} dir=${BENCH_DIR:-/var/tmp/postern-bench} rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-4}
held=${HELD:-1000}
export PORT_BASE=${PORT_BASE:-2110}
# The peers' are the first (bench/peers.sh), ours stand behind them.
peer=$PORT_BASE port=$((PORT_BASE + 20)) tls=$((PORT_BASE + 21)) limit=$((PORT_BASE + 22)) shared=$((PORT_BASE + 23)) shared_tls=$((PORT_BASE + 24)) ours_mbox=$((PORT_BASE + 25))
remembering=$((PORT_BASE + 26)) remembering_tls=$((PORT_BASE + 27)) small_limit=$((PORT_BASE + 28)) bare=$((PORT_BASE + 29))
[ "$(id -u)" -eq 0 ] || { echo "bench: needs root, for system users and the peers" >&2; exit 1; }
pids=
end() {
	local pid
	for pid in $pids; do
		kill "$pid" 2>/dev/null || :
	done
	bench/peers.sh stop "$dir"
}
trap end EXIT

mkdir -p "$dir" "$BUILD/bench"
cc -O2 -w -o "$BUILD/bench/popload" bench/popload*.c -lssl -lcrypto
cc -O2 -w -o "$BUILD/bench/poplimit" bench/poplimit.c
cc -O2 -w -I. -o "$BUILD/bench/messagelimit" bench/messagelimit.c base/wire.c base/wire_encode.c -lssl -lcrypto
export POPLOAD=$BUILD/bench/popload
id postern >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin postern
bench/peers.sh start "$dir" >/dev/null 2>&1

# Users p40..p43: forty messages of 1 MB, for throughput.
for i in 40 41 42 43; do
	box=$dir/home/p$i/Maildir
	if [ "$(find "$box/cur" -type f | wc -l)" != 40 ]; then
		rm -rf "$box"
		python3 bench/mkmail.py maildir "p$i" "$box" 40 1000000 "$i"
		python3 bench/mkmail.py mbox "p$i" "$dir/mail/p$i" 40 1000000 "$i"
	fi
done
# Users p44..p47: a thousand messages of 4 KB, for small; also where Dovecot's shared mode has them.
for i in 44 45 46 47; do
	box=$dir/home/p$i/Maildir
	if [ "$(find "$box/cur" -type f | wc -l)" != 1000 ]; then
		rm -rf "$box" "$dir/vmail/p$i"
		python3 bench/mkmail.py maildir "p$i" "$box" 1000 4000 "$i"
		cp -r "$dir/home/p$i" "$dir/vmail/p$i"
		chown -R vmail:vmail "$dir/vmail/p$i"
	fi
done
# A message of the user's as it goes over the wire, for the machine's limit.
write_wire() { # user file
	python3 - "$(find "$dir/home/$1/Maildir/cur" -type f | head -n 1)" "$2" <<'PY'
import sys
text = open(sys.argv[1], "rb").read().replace(b"\n", b"\r\n")
open(sys.argv[2], "wb").write(text.replace(b"\r\n.", b"\r\n.."))
PY
}
wire=$dir/message.wire
write_wire p40 "$wire"
write_wire p44 "$dir/small.wire"

# Users q0, q1 ... for the sessions that are held: of the passwd file only.
mkdir -p "$dir/held"
hash=$(head -n 1 "$dir/dovecot/users" | cut -d: -f2)
install -m 600 "$dir/dovecot/users" "$dir/users"
for i in $(seq 0 $((held - 1))); do
	uid=$((40000 + i))
	echo "q$i:$hash:$uid:$uid::$dir/held/q$i" >>"$dir/users"
	[ -d "$dir/held/q$i" ] && continue
	cp -r "$dir/home/p0" "$dir/held/q$i"
	chown -R "$uid:$uid" "$dir/held/q$i"
done
mkdir -p /run/postern/lock
cat >"$dir/postern.conf" <<CONF
[listen]
pop3 = 127.0.0.1:$port
pop3s = 127.0.0.1:$tls
[tls]
certificate = $dir/tls/cert.pem
key = $dir/tls/key.pem
[auth]
backends = passwd-file
passwd_file = $dir/users
# As for clients of the network. By default those of the loopback are told more, which takes more work.
explain_failures = never
# Every password is hashed; what the default makes of it has rows of its own.
login_cache = 0
[maildrop]
location = maildir:~/Maildir
[limits]
per_source = 1000
[workers]
spare_min = 8
spare_max = 16
max = $((held + 200))
[log]
target = stderr
level = info
CONF
"$BUILD/posternd" -F -c "$dir/postern.conf" 2>"$dir/postern.log" &
pids="$pids $!"
server=$!
# Until a server answers at that port.
await_port() {
	for _ in $(seq 100); do
		"$POPLOAD" -p "$1" -n 1 -d 1 >/dev/null 2>&1 && break
		sleep 0.1
	done
}
# The same with login_cache as it is by default.
start_remembering() {
	sed -e "s|:$port\$|:$remembering|; s|:$tls\$|:$remembering_tls|; /^login_cache = /d" \
		-e "s|^location = .*|&\nlock_directory = $dir/locks.remembering\njournal_directory = $dir/journals.remembering\nindex_directory = $dir/index.remembering|" \
		-e "s|^level = .*|&\nhistory_directory = $dir/history.remembering\nhistory_socket = $dir/ask.remembering|" "$dir/postern.conf" >"$dir/postern-remembering.conf"
	mkdir -p "$dir/index.remembering"
	"$BUILD/posternd" -F -c "$dir/postern-remembering.conf" 2>"$dir/postern-remembering.log" &
	remembering_server=$!
	pids="$pids $!"
	await_port "$remembering"
}
# The shared mode, with Dovecot's copies of the mail, which are all one user's; both remember logins.
start_shared() {
	cut -d: -f1,2 "$dir/dovecot/users" >"$dir/users.shared"
	chgrp vmail "$dir/users.shared"
	chmod 640 "$dir/users.shared"
	sed -e "s|:$port\$|:$shared|; s|:$tls\$|:$shared_tls|; s|^passwd_file = .*|passwd_file = $dir/users.shared|" \
		-e "s|^location = .*|location = maildir:$dir/vmail/%u/Maildir\nlock_directory = $dir/locks.shared\njournal_directory = $dir/journals.shared\nindex_directory = $dir/index.shared|" \
		-e 's|^backends = .*|&\nvirtual_user = vmail\nminimum_uid = 100|; s|^login_cache = .*|login_cache = 3600|' \
		-e 's|^spare_max = .*|&\nsessions = 100|' \
		-e "s|^level = .*|&\nhistory_directory = $dir/history.shared\nhistory_socket = $dir/ask.shared|" "$dir/postern.conf" >"$dir/postern-shared.conf"
	"$BUILD/posternd" -F -c "$dir/postern-shared.conf" 2>"$dir/postern-shared.log" &
	shared_server=$!
	pids="$pids $!"
	await_port "$shared"
}
# The same on the mbox files, in /var/mail as for the peers, with all that a second server needs of its own.
start_mbox() {
	sed -e "s|:$port\$|:$ours_mbox|; /^pop3s = /d; s|^location = .*|location = mbox:/var/mail/%u\nlock_directory = $dir/locks.mbox\njournal_directory = $dir/journals.mbox|" \
		-e "s|^level = .*|&\nhistory_directory = $dir/history.mbox\nhistory_socket = $dir/ask.mbox|" "$dir/postern.conf" >"$dir/postern-mbox.conf"
	bench/peers.sh within "$dir" "$(realpath "$BUILD/posternd")" -F -c "$dir/postern-mbox.conf" 2>"$dir/postern-mbox.log" &
	mbox_server=$!
	pids="$pids $!"
	await_port "$ours_mbox"
}
"$BUILD/bench/poplimit" "$limit" 40 "$wire" &
pids="$pids $!"
await_port "$port"

section() { printf '\n== %s\n' "$*"; }
# name, our port, peer's port, popload options
beside() {
	section "$1"
	bench/compare.sh "$2" "$3" -n "$rounds" -d "$seconds" "${@:4}"
}
# The same, and the processor time of it. name, our port, our master, peer's port, peer's master, popload options
costs_beside() {
	beside "$1" "$2" "$4" "${@:6}"
	section "$1"
	bench/cpu.sh "${@:2:4}" -n "$rounds" -d "$seconds" "${@:6}"
}
what=${*:-logins burst logins-shared throughput bare small spool memory-before-login memory among mbox}
uname -srm
grep -m 1 'model name' /proc/cpuinfo || :
nproc
case " $what " in *' logins '*)
	start_remembering
	# Dovecot as packaged remembers no logins, nor does its high-performance mode.
	for ours in "$port $server every-password-hashed" "$remembering $remembering_server login_cache-as-by-default"; do
		for theirs in "$peer default" "$((peer + 1)) fast"; do
			# shellcheck disable=SC2086 # a port, a process and a name; a port and the name of a set-up
			set -- $ours $theirs
			name="logins: STAT, 8 connections, ten messages; ours: $3; Dovecot: $5"
			their_server=$(cat "$dir/dovecot/run-$5/master.pid")
			costs_beside "$name" "$1" "$2" "$4" "$their_server" -c 8 -m -s STAT
			section "$name; servers on one processor, clients on another"
			bench/apart.sh "$2" "$their_server" "$1" "$4" -n "$rounds" -d "$seconds" -c 8 -m -s STAT
		done
	done
	kill "$remembering_server"
esac
case " $what " in *' burst '*)
	start_remembering
	for ours in "$port every-password-hashed" "$remembering login_cache-as-by-default"; do
		# shellcheck disable=SC2086 # a port and a name
		set -- $ours
		beside "one login after the other on an idle server; ours: $2; Dovecot: fast" "$1" $((peer + 1)) -c 1 -m -s STAT
		beside "50 connections at once on an idle server; ours: $2; Dovecot: fast" "$1" $((peer + 1)) -c 50 -n 50 -m -s STAT
	done
	kill "$remembering_server"
esac
case " $what " in *' logins-shared '*)
	start_shared
	beside "logins: STAT, 8 connections, ten messages, one uid, 100 sessions a worker; Dovecot's shared mode" "$shared" $((peer + 3)) -c 8 -m -s STAT
	beside "logins: STAT, 8 connections, ten messages, one uid, 100 sessions a worker, TLS; Dovecot's shared mode" "$shared_tls" $((peer + 13)) -c 8 -m -t -s STAT
	kill "$shared_server"
esac
case " $what " in *' throughput '*)
	beside "RETR of 40 x 1 MB, plain; Dovecot's high-performance mode" "$port" $((peer + 1)) -c 4 -m -O 40 -s 'STAT,RETR*'
	beside "RETR of 40 x 1 MB, plain; the machine's limit" "$port" "$limit" -c 4 -m -O 40 -s 'STAT,RETR*'
	beside "RETR of 40 x 1 MB, TLS; Dovecot's high-performance mode" "$tls" $((peer + 11)) -c 4 -m -O 40 -t -s 'STAT,RETR*'
esac
# What a bare program has that does the same with messages and nothing else. name, our port, whose messages it reads (none: octets
# in memory), popload options
beside_bare() {
	local limit_server from=() certificate=()
	[ -z "$3" ] || from=(-r "$dir/home/$3/Maildir/cur")
	[ "$2" = "$port" ] || certificate=("$dir/tls/cert.pem" "$dir/tls/key.pem")
	"$BUILD/bench/messagelimit" "${from[@]}" "$bare" 40 "$wire" "${certificate[@]}" &
	limit_server=$!
	pids="$pids $!"
	costs_beside "$1" "$2" "$server" "$bare" "$limit_server" -c 4 -m "${@:4}" -s 'STAT,RETR*'
	kill "$limit_server"
}
case " $what " in *' bare '*)
	beside_bare "RETR of 1 MB, plain; a bare program that reads, encodes and sends" "$port" p40 -O 40
	beside_bare "RETR of 1 MB, TLS; a bare loop of SSL_write over octets in memory" "$tls" "" -O 40 -t
	beside_bare "RETR of 1 MB, TLS; a bare program that reads, encodes and sends" "$tls" p40 -O 40 -t
	beside_bare "RETR of 4 KB, 1 at a time; a bare program that opens, reads, encodes and sends" "$port" p44 -O 44 -B 1
	beside_bare "RETR of 4 KB, 20 at a time; a bare program that opens, reads, encodes and sends" "$port" p44 -O 44 -B 20
	section "RETR of 1 MB, plain; a bare program that reads, encodes and sends; the machine's limit"
	"$BUILD/bench/messagelimit" -r "$dir/home/p40/Maildir/cur" "$bare" 40 "$wire" &
	bare_server=$!
	pids="$pids $!"
	bench/compare.sh "$bare" "$limit" -n "$rounds" -d "$seconds" -c 4 -m -O 40 -s 'STAT,RETR*'
	kill "$bare_server"
esac
case " $what " in *' small '*)
	"$BUILD/bench/poplimit" "$small_limit" 1000 "$dir/small.wire" &
	small_limit_server=$!
	pids="$pids $!"
	for together in 1 20; do
		retr=(-c 4 -m -O 44 -B "$together" -s 'STAT,RETR*')
		for theirs in "$((peer + 1)) fast" "$((peer + 3)) shared"; do
			# shellcheck disable=SC2086 # a port and the name of a set-up
			set -- $theirs
			master=$(cat "$dir/dovecot/run-$2/master.pid")
			series="RETR of 1000 x 4 KB, $together at a time, plain"
			costs_beside "$series; Dovecot: $2" "$port" "$server" "$1" "$master" "${retr[@]}"
			# With this client no server has more.
			costs_beside "$series, the machine's limit in our place; Dovecot: $2" "$small_limit" "$small_limit_server" "$1" "$master" "${retr[@]}"
		done
	done
	kill "$small_limit_server"
esac
case " $what " in *' spool '*)
	start_mbox
	retr=(-c 4 -m -O 40 -s 'STAT,RETR*')
	beside "mbox, logins: STAT, 8 connections, ten messages; popa3d" "$ours_mbox" $((peer + 4)) -c 8 -m -s STAT
	beside "mbox, logins: STAT, 8 connections, ten messages; mailutils" "$ours_mbox" $((peer + 5)) -c 8 -m -s STAT
	beside "mbox, logins: STAT, 8 connections, ten messages; Dovecot as packaged" "$ours_mbox" $((peer + 2)) -c 8 -m -s STAT
	beside "Maildir, logins: STAT, 8 connections, ten messages; mailutils" "$port" $((peer + 6)) -c 8 -m -s STAT
	beside "mbox, RETR of 40 x 1 MB, plain; popa3d" "$ours_mbox" $((peer + 4)) "${retr[@]}"
	beside "mbox, RETR of 40 x 1 MB, plain; mailutils" "$ours_mbox" $((peer + 5)) "${retr[@]}"
	beside "mbox, RETR of 40 x 1 MB, plain; Dovecot as packaged" "$ours_mbox" $((peer + 2)) "${retr[@]}"
	kill "$mbox_server"
esac
ours="$PWD/$BUILD/posternd|^$BUILD/posternd"
case " $what " in *' memory-before-login '*)
	section "memory (PSS) of a connection before its login, $held held: plain, then TLS"
	bench/memory-held.sh "$port" "$held" "$ours" -H
	bench/memory-held.sh "$tls" "$held" "$ours" -H -t
esac
case " $what " in *' memory '*)
	section "memory (PSS) of a logged-in idle session, $held held: plain, then TLS"
	bench/memory-held.sh "$port" "$held" "$ours" -u q%d
	bench/memory-held.sh "$tls" "$held" "$ours" -u q%d -t
	section "Dovecot as packaged, 40 held: plain, then TLS"
	bench/memory-held.sh "$peer" 40 dovecot
	bench/memory-held.sh $((peer + 10)) 40 dovecot -t
esac
case " $what " in *' among '*)
	section "a login while $held sessions are held"
	bench/among-held.sh "$port" "$held" -n "$rounds" -u q%d
esac
kill "$server"
case " $what " in *' mbox '*)
	section "large mboxes: UPDATE beside cp and sync, memory for each message"
	POSTERN_BUILD=$BUILD python3 bench/mbox.py
esac
