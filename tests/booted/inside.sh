#!/bin/bash
# inside.sh - what is tested in the booted system; started by its inside.service (run.sh).
# Runs in: the container, as root. Trusts: nothing of postern.
set -u
passed=0 failed=0

# name, pattern (extended), text: the text has a line like that.
has() {
	if grep -Eq -- "$2" <<<"$3"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED  %s: no "%s" in\n%.2000s\n' "$1" "$2" "$3"
	fi
}
# name, command: it succeeds.
works() {
	local text
	if text=$("${@:2}" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED  %s: %s\n%s\n' "$1" "${*:2}" "$text"
	fi
}
# Commands in; the session's lines. Each waits for its answer; the last one ends the session.
pop3() {
	exec 3<>/dev/tcp/127.0.0.1/110 || return
	local line command
	for command in "" "$@"; do
		[ -z "$command" ] || printf '%s\r\n' "$command" >&3
		read -r -t 30 line <&3 && echo "$line"
		[[ $command == RETR* && $line == +OK* ]] || continue
		while read -r -t 30 line <&3 && [ "$line" != $'.\r' ]; do echo "$line"; done
	done
	exec 3>&-
}

for user in anna maud empty gone; do
	id -u "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
done
echo anna:secret | chpasswd
echo maud:secret | chpasswd
echo gone:secret | chpasswd
passwd -qd empty
chage -E 1 gone
install -m 600 -o anna -g mail /dev/null /var/mail/anna
for n in 1 2 3; do
	printf 'From bob@example.org Thu Jan  1 00:00:0%s 2026\nSubject: %s\n\nbody %s\n\n' "$n" "$n" "$n"
done >/var/mail/anna
install -d -m 700 -o maud -g maud /home/maud/Maildir /home/maud/Maildir/new /home/maud/Maildir/cur /home/maud/Maildir/tmp
chmod 700 /home/maud
printf 'Subject: m\n\nbody of maud\n' >/home/maud/Maildir/new/1700000000.M1.booted
chown maud: /home/maud/Maildir/new/1700000000.M1.booted

# As the README installs it.
works "the user postern" systemd-sysusers /usr/local/lib/sysusers.d/postern.conf
works "its directories" systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/postern.conf
has "posternd -t" ": no findings$" "$(posternd -t 2>&1)"
systemctl daemon-reload
works "the unit starts" systemctl enable --now postern.service
has "it is told to be ready" "^active$" "$(systemctl is-active postern)"

has "a login and a message" "^body 2" "$(pop3 "USER anna" "PASS secret" "RETR 2" QUIT)"
has "a login of one who has a Maildir" "^body of maud" "$(pop3 "USER maud" "PASS secret" "RETR 1" QUIT)"
has "an invalid password" "^-ERR \[AUTH\] invalid password" "$(pop3 "USER anna" "PASS wrong" QUIT)"
has "a password that is empty" "^-ERR \[AUTH\]" "$(pop3 "USER empty" "PASS " QUIT)"
has "an account that has expired" "^-ERR \[AUTH\] .*expired" "$(pop3 "USER gone" "PASS secret" QUIT)"
has "a deletion" "^\+OK" "$(pop3 "USER anna" "PASS secret" "DELE 1" QUIT | tail -n 1)"
has "it is gone" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
has "and in the file" "^2$" "$(grep -c '^From ' /var/mail/anna)"
has "TLS" "^\+OK 2 " "$( (for line in "USER anna" "PASS secret" STAT QUIT; do sleep 1; printf '%s\r\n' "$line"; done) |
	timeout 60 openssl s_client -quiet -no_ign_eof -CAfile /etc/postern/fullchain.pem -verify_return_error -connect 127.0.0.1:995 2>/dev/null)"

# How it is confined, as systemd and the kernel see it.
score=$(systemd-analyze security --no-pager postern.service | sed -n 's/.*Overall exposure level for postern.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
echo "systemd-analyze security: $score tenths"
works "its score is 4.0 or better" [ "${score:-99}" -le 40 ]
for name in posternd-gate posternd-sign posternd-record; do
	pid=$(pgrep -x "$name" | tail -n 1)
	status=$(cat "/proc/$pid/status")
	has "$name: a filter" "^Seccomp:[[:space:]]2$" "$status"
	has "$name: no new privileges" "^NoNewPrivs:[[:space:]]1$" "$status"
	has "$name: no capabilities" "^CapEff:[[:space:]]0000000000000000$" "$status"
	works "$name: not root" [ "$(awk '/^Uid:/ {print $2 + 0}' "/proc/$pid/status")" -ne 0 ]
done

journal=$(journalctl --no-pager -o json -u postern)
has "the journal's fields" '"POSTERN_USER":"anna"' "$journal"
has "why a login was refused" 'invalid password|wrong password' "$(journalctl --no-pager -u postern)"

# Reload, a crash, a restart, an end.
before=$(systemctl show -p MainPID --value postern)
works "reload" systemctl reload postern
has "the same master" "^$before$" "$(systemctl show -p MainPID --value postern)"
has "a login after it" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
sed -i 's/^backends = .*/backends = nothing/' /etc/postern/postern.conf
has "a reload with a bad configuration fails" "^Job for postern.service failed" "$(systemctl reload postern 2>&1)"
status=$(systemctl status --no-pager postern)
has "its status says which command failed" "ExecReload=/usr/local/sbin/posternd -t -q .*status=1/FAILURE" "$status"
has "and what is wrong" '/etc/postern/postern.conf:[0-9]+: \[auth\] backends = "nothing": .*passwd-file' "$status"
has "the old one serves" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
has "and is active" "^active$" "$(systemctl is-active postern)"
sed -i 's/^backends = .*/backends = pam/' /etc/postern/postern.conf
cp -p /etc/postern/privkey.pem /root/privkey.pem
openssl ecparam -name prime256v1 -genkey -noout -out /etc/postern/privkey.pem
has "a reload with a key of another certificate fails" "^Job for postern.service failed" "$(systemctl reload postern 2>&1)"
has "and says so" "key /etc/postern/privkey.pem does not belong to certificate /etc/postern/fullchain.pem" "$(systemctl status --no-pager postern)"
cp -p /root/privkey.pem /etc/postern/privkey.pem
# What the command cannot see, the server says.
sed -i 's/^\[maildrop\]/[listen]\npop3 = 127.0.0.1:3110\n&/' /etc/postern/postern.conf
systemd-socket-activate -l 127.0.0.1:3110 /bin/true >/dev/null 2>&1 &
other=$!
for _ in $(seq 100); do grep -q '^ *[0-9]*: 0100007F:0C26 00000000:0000 0A ' /proc/net/tcp && break; sleep 0.1; done
systemctl reload postern
for _ in $(seq 100); do systemctl show -p StatusText postern | grep -q FAILED && break; sleep 0.1; done
has "a port that is taken is in the status" "Status: \"Reload FAILED at .*another program has that port.*Serving with the configuration of" "$(systemctl status --no-pager postern)"
kill "$other"
sed -i '/^\[listen\]/d; /^pop3 = /d' /etc/postern/postern.conf
works "a good reload again" systemctl reload postern
for _ in $(seq 100); do systemctl show -p StatusText postern | grep -q FAILED || break; sleep 0.1; done
has "and the status says so" "^StatusText=Serving with the configuration of" "$(systemctl show -p StatusText postern)"
[ "$before" -gt 1 ] && kill -9 "$before"
for _ in $(seq 100); do
	now=$(systemctl show -p MainPID --value postern)
	[ "$now" -ne 0 ] && [ "$now" -ne "$before" ] && [ "$(systemctl is-active postern)" = active ] && break
	sleep 0.1
done
works "another master after kill -9" [ "$now" -ne "$before" ]
has "a login after that" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
works "stop" systemctl stop postern
has "nothing is left" "^$" "$(pgrep -a postern)"
has "a stop is no failure" "^inactive$" "$(systemctl is-active postern)"

# The ports held by systemd.
works "socket units" systemctl enable --now postern-pop3.socket postern-pop3s.socket
has "the first connection starts it" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
has "it is active" "^active$" "$(systemctl is-active postern)"

# The same as a package, in place of what make installed.
configuration=$(cat /etc/postern/postern.conf)
systemctl disable --now --quiet postern-pop3.socket postern-pop3s.socket postern.service
find /usr/local -mindepth 1 -delete
rm -r /etc/pam.d/postern /etc/postern/postern.conf /var/lib/postern
userdel postern
systemctl daemon-reload
works "the package" dpkg -i /postern.deb
has "its user" "^postern:" "$(getent passwd postern)"
has "its directories" "^700 root$" "$(stat -c '%a %U' /run/postern/lock)"
has "it waits for its configuration" "^disabled$" "$(systemctl is-enabled postern)"
has "and does not run" "^inactive$" "$(systemctl is-active postern)"
echo "$configuration" >/etc/postern/postern.conf
has "posternd -t of the package" ": no findings$" "$(posternd -t 2>&1)"
works "it starts" systemctl enable --now postern.service
has "a login" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
works "its manual" [ -e /usr/share/man/man8/posternd.8.gz ]
before=$(systemctl show -p MainPID --value postern)
works "an upgrade" dpkg -i /postern.deb
works "which starts it anew" [ "$(systemctl show -p MainPID --value postern)" -ne "$before" ]
has "with its configuration" "^\+OK 2 " "$(pop3 "USER anna" "PASS secret" STAT QUIT)"
works "its removal" dpkg --remove postern
has "ends it" "^$" "$(pgrep -a postern)"
works "and leaves its configuration" [ -e /etc/postern/postern.conf ]
echo mail >/var/lib/postern/journal/unfinished
has "a purge names a journal that may hold mail" "unfinished updates" "$(dpkg --purge postern 2>&1)"
works "and leaves it" [ -e /var/lib/postern/journal/unfinished ]
rm /var/lib/postern/journal/unfinished
works "the package once more" dpkg -i /postern.deb
works "a purge with nothing unfinished" dpkg --purge postern
works "leaves no state" [ ! -e /var/lib/postern ]
works "and no configuration" [ ! -e /etc/postern/postern.conf ]
has "and all mail" "^2$" "$(grep -c '^From ' /var/mail/anna)"

[ "$failed" -eq 0 ] || journalctl --no-pager -u postern | tail -n 40
echo "$passed passed, $failed failed"
