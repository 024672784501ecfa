#!/bin/sh
# demo.sh - builds postern and runs it in the foreground with one user, a few messages and a certificate of its own.
# Runs in: the shell of who tries it; posternd then runs as whoever that is, root or not.
# Trusts: the checkout.
#
# usage: tools/demo.sh            listens on 127.0.0.1, ports $PORT (1110) and $TLS_PORT (1995); Ctrl-C ends it
#        tools/demo.sh prepare    makes everything and stops short of running it
set -eu

cd "$(dirname "$0")/.."
BUILD=${BUILD:-build} PORT=${PORT:-1110} TLS_PORT=${TLS_PORT:-1995}
case "${1-}" in
'' | prepare) ;;
*) sed -n 's/^# usage: /usage: /p; s/^#        tools/       tools/p' "$0" >&2; exit 64 ;;
esac

# inih, which reads the configuration, takes lines of at most 197 octets; the longest path here adds 40.
PATH_LIMIT=150
NOBODYS_ID=64999 # the demo's mail under root: no account, so that the gate, as nobody, does not own it
bin=$PWD/$BUILD
case $BUILD in /*) bin=$BUILD ;; esac

say() {
	printf '%s\n' "$*" >&2
}

build() {
	tools/packages.sh build
	# The jobs of a make that called this are not ours to share.
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -j"$(nproc)" BUILD="$BUILD" all
}

# Whose rights the demo user's session gets, and the gate.
choose_users() {
	owner=$(id -u) group=$(id -g)
	gate_user=nobody
	if [ "$owner" -eq 0 ]; then
		owner=${SUDO_UID:-0} group=${SUDO_GID:-0}
		if [ "$owner" -eq 0 ]; then
			owner=$NOBODYS_ID group=$NOBODYS_ID
		fi
		if getent passwd postern >/dev/null; then
			gate_user=postern
		fi
	fi
	minimum_uid=1000
	if [ "$owner" -lt "$minimum_uid" ]; then
		minimum_uid=$owner
	fi
}

# Can the owner of the mail reach $1? As root another user is asked for; otherwise it is us.
owner_reaches() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid="$owner" --regid="$group" --clear-groups test -x "$1"
	else
		test -x "$1"
	fi
}

# The demo lies in the build directory, unless the mail's owner cannot get there or the path is too long.
choose_directory() {
	dir=$bin/demo
	mkdir -p "$dir"
	chmod 0755 "$dir"
	if owner_reaches "$dir" && [ "${#dir}" -le "$PATH_LIMIT" ]; then
		return
	fi
	where=$dir/where
	dir=$(cat "$where" 2>/dev/null || :)
	# One that an earlier run made is used again if it still is ours.
	if [ -z "$dir" ] || [ -L "$dir" ] || [ ! -d "$dir" ] || [ ! -O "$dir" ]; then
		dir=$(mktemp -d /tmp/postern-demo-XXXXXX)
		printf '%s\n' "$dir" >"$where"
	fi
	chmod 0755 "$dir"
	say "demo: the mail's owner (uid $owner) cannot get to $bin/demo, or its path is too long: using $dir"
}

# head_of NUMBER SUBJECT: the head of a message; the type and the body come from the caller.
head_of() {
	printf 'From: %s\nTo: demo@localhost\nSubject: %s\n' "Ann Example <ann@example.org>" "$2"
	printf 'Date: Mon, 02 Mar 2026 09:0%d:00 +0000\nMessage-ID: <demo.%d@example.org>\nMIME-Version: 1.0\n' "$1" "$1"
}

message_1() {
	head_of 1 'Welcome to postern'
	printf 'Content-Type: text/plain; charset=us-ascii\n\n'
	printf 'This is the first of five messages. LIST shows their sizes, RETR 1 fetches this one,\n'
	printf 'DELE 1 marks it, and only QUIT deletes what is marked.\n'
}

message_2() {
	head_of 2 '=?utf-8?q?Gr=C3=BC=C3=9Fe?='
	printf 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n'
	printf 'Zw\303\266lf Boxk\303\244mpfer. \316\225\316\273\316\273\316\267\316\275\316\271\316\272\316\254. \346\227\245\346\234\254\350\252\236.\n'
}

message_3() {
	head_of 3 'Lines that begin with dots'
	printf 'Content-Type: text/plain; charset=us-ascii\n\n'
	printf '.\n..\n.one dot before this\n...\nRETR sends one dot more on each of these lines; a mail program takes it off.\n'
}

message_4() {
	head_of 4 'One line of 5000 characters'
	printf 'Content-Type: text/plain; charset=us-ascii\n\n'
	head -c 5000 /dev/zero | tr '\0' 'x'
	printf '\n'
}

message_5() {
	head_of 5 'With an attachment'
	printf 'Content-Type: multipart/mixed; boundary="=_demo"\n\n--=_demo\n'
	printf 'Content-Type: text/plain; charset=us-ascii\n\nThe file is 3 KiB of zeros.\n\n--=_demo\n'
	printf 'Content-Type: application/octet-stream; name="zeros.bin"\nContent-Transfer-Encoding: base64\n'
	printf 'Content-Disposition: attachment; filename="zeros.bin"\n\n'
	head -c 3072 /dev/zero | base64
	printf '%s\n' '--=_demo--'
}

# An empty maildrop is filled again, so that each run has something to read.
make_mail() {
	mail=$dir/home/Maildir
	mkdir -p "$mail/cur" "$mail/new" "$mail/tmp"
	if [ -z "$(find "$mail/new" "$mail/cur" -type f)" ]; then
		for n in 1 2 3 4 5; do
			"message_$n" >"$mail/new/177244560$n.M$n.demo"
		done
	fi
	chmod -R u=rwX,go= "$dir/home"
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$owner:$group" "$dir/home"
	fi
}

make_user() {
	if [ -f "$dir/passwd" ] && grep -q "^demo:[^:]*:$owner:$group:" "$dir/passwd"; then
		return
	fi
	rm -f "$dir/passwd"
	(umask 077 && printf 'demo\n' | "$bin/postern" passwd -f "$dir/passwd" add \
		--uid "$owner" --gid "$group" --home "$dir/home" demo 2>/dev/null) || {
		say "demo: postern passwd could not make $dir/passwd"
		exit 1
	}
}

make_certificate() {
	if openssl x509 -in "$dir/cert.pem" -noout -checkend 86400 >/dev/null 2>&1 && [ -f "$dir/key.pem" ]; then
		return
	fi
	(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
		-keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null)
	chmod 0644 "$dir/cert.pem"
}

make_configuration() {
	mkdir -p "$dir/lock"
	chmod 0700 "$dir/lock"
	cat >"$dir/postern.conf" <<-END
		# Made by tools/demo.sh; every setting with its default stands in systemd/postern.conf.
		[listen]
		pop3 = 127.0.0.1:$PORT
		pop3s = 127.0.0.1:$TLS_PORT
		[tls]
		certificate = $dir/cert.pem
		key = $dir/key.pem
		[auth]
		backends = passwd-file
		passwd_file = $dir/passwd
		minimum_uid = $minimum_uid
		[maildrop]
		location = maildir:~/Maildir
		lock_directory = $dir/lock
		journal_directory = $dir/journal
		index_directory = $dir/index
		[log]
		target = stderr
		history_directory = $dir/history
		history_socket = $dir/history.socket
		history = 1000
		[system]
		gate_user = $gate_user
	END
	chmod 0644 "$dir/postern.conf"
	if [ "$dir" != "$bin/demo" ]; then
		cp "$dir/postern.conf" "$bin/demo/postern.conf"
	fi
}

explain() {
	cat <<-END

		postern listens on 127.0.0.1, port $PORT (plain text, STLS) and port $TLS_PORT (TLS).
		User: demo    Password: demo    Mail: $dir/home/Maildir

		By hand:       telnet 127.0.0.1 $PORT        (or: nc -C 127.0.0.1 $PORT)
		               then USER demo, PASS demo, STAT, LIST, RETR 1, QUIT; try a wrong password, too
		With TLS:      openssl s_client -quiet -crlf -CAfile $dir/cert.pem -connect localhost:$TLS_PORT
		With STLS:     openssl s_client -quiet -crlf -CAfile $dir/cert.pem -starttls pop3 -connect localhost:$PORT
		With curl:     curl --user demo:demo pop3://127.0.0.1:$PORT/1
		               curl --user demo:demo --cacert $dir/cert.pem pop3s://localhost:$TLS_PORT/
		Mail program:  server localhost, port $TLS_PORT, SSL/TLS (it will ask about the certificate, which
		               signs itself), or port $PORT with STARTTLS; user demo, normal password
		What was it:   $bin/postern explain -c $bin/demo/postern.conf REF        (the word behind "ref" in an answer)

		The log follows. Ctrl-C ends it.

	END
}

build
choose_users
choose_directory
make_mail
make_user
make_certificate
make_configuration
if [ "${1-}" = prepare ]; then
	printf '%s\n' "$bin/demo/postern.conf"
	exit
fi
explain
exec "$bin/posternd" -F -c "$bin/demo/postern.conf"
