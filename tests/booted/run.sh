#!/bin/bash
# run.sh - postern as a host has it: installed into a bare Debian 12, booted by systemd, with PAM, /var/mail, TLS and the journal.
# Runs in: the shell, as root. Trusts: the checkout, Debian's packages.
#
# Environment: BUILD (build), BOOTED_DIR (/var/tmp/postern-booted: the root is made there once and used again), MIRROR (Debian's).
# What is tested stands in inside.sh, which runs in there. Ends with "N passed, N failed".
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build} dir=${BOOTED_DIR:-/var/tmp/postern-booted} seconds=300
root=$dir/root
[ "$(id -u)" -eq 0 ] || { echo "booted: needs root, to boot a system" >&2; exit 1; }

# minbase: whatever postern needs and does not name is missing there. openssl is the test's client; three libraries are what the package
# asks for, and there is no network in there to fetch them.
include=systemd,systemd-sysv,dbus,libpam-systemd,libaudit1,openssl,procps,libinih1,libsodium23,libxxhash0
mkdir -p "$dir"
if [ "$(cat "$dir/made" 2>/dev/null)" != $include ]; then
	rm -rf "$root" "$dir/made"
	debootstrap --variant=minbase --include=$include bookworm "$root" \
		"${MIRROR:-http://deb.debian.org/debian}" >"$dir/debootstrap.log" 2>&1 || { tail -n 5 "$dir/debootstrap.log" >&2; exit 1; }
	echo $include >"$dir/made"
fi
[ ! -e "$root/var/lib/dpkg/info/postern.list" ] || chroot "$root" dpkg --purge postern >/dev/null 2>&1
(cd "$root" && rm -rf usr/local etc/postern etc/pam.d/postern var/lib/postern etc/systemd/system/*.wants/postern* var/log/journal result && mkdir -p usr/local var/log/journal)
make --no-print-directory BUILD="$BUILD" DESTDIR="$root" install >"$dir/install.log"
make --no-print-directory BUILD="$BUILD" deb >"$dir/deb.log" 2>&1 || { tail -n 5 "$dir/deb.log" >&2; exit 1; }
cp "$BUILD"/postern_*.deb "$root/postern.deb"

# As the README says it: users of the host, their mail in /var/mail or their home, a certificate.
install -m 755 tests/booted/inside.sh "$root/inside.sh"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
	-keyout "$root/etc/postern/privkey.pem" -out "$root/etc/postern/fullchain.pem" 2>/dev/null
chmod 600 "$root/etc/postern/privkey.pem"
cat >"$root/etc/postern/postern.conf" <<CONF
[tls]
certificate = /etc/postern/fullchain.pem
key = /etc/postern/privkey.pem
[auth]
backends = pam
[maildrop]
location = maildir:~/Maildir mbox:/var/mail/%u
mbox_locks = fcntl dotlock
CONF
cat >"$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c "/inside.sh >/result 2>&1; systemctl --no-block poweroff"
TimeoutStartSec=240
UNIT
ln -sf /etc/systemd/system/inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
echo booted >"$root/etc/hostname"

# A network of its own, with a loopback alone. nspawn of Debian 12 refuses Landlock, if not told otherwise.
landlock='landlock_create_ruleset landlock_add_rule landlock_restrict_self'
timeout --kill-after=10 "$seconds" systemd-nspawn --quiet --system-call-filter="$landlock" --register=no --keep-unit --private-network -b -D "$root" >"$dir/boot.log" 2>&1 </dev/null || :
[ -s "$root/result" ] || { tail -n 20 "$dir/boot.log" >&2; echo "0 passed, 1 failed"; exit 1; }
cat "$root/result"
tail -n 1 "$root/result" | grep -q ' passed, 0 failed$'
