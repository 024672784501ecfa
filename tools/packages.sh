#!/bin/sh
# packages.sh - the Debian packages that postern needs, and what installs those that are missing.
# Runs in: the shell of who builds, with sudo for apt-get where needed. Trusts: the host's package sources.
#
# usage: tools/packages.sh build|deb|check|fault|peers|bench|coverage|fuzz|booted|lint    install what is missing
#        tools/packages.sh list build|check|...           print the names
set -eu

# To build and run: what the package names, and what every Debian package is built with.
build="build-essential openssl $(sed -n '/^Build-Depends:/,/^[^ ]*:/ s/^ \([a-z0-9-]*\),$/\1/p' "$(dirname "$0")/../debian/control")"
# To make the package.
deb="$build debhelper"
# To run the tests: the unit tests' frame, then clients and tools that the end-to-end tests drive.
check="$build libcunit1-dev
	btrfs-progs curl dovecot-pop3d fail2ban fetchmail haproxy iproute2 libpam-wrapper mailutils-pop3d mpop netcat-openbsd procmail procps
	python3 strace telnet util-linux valgrind xfsprogs"
# What the tests start as well, but must not be installed, as it takes the other POP3 servers away: unpacked into build/peers.
unpacked="popa3d courier-pop courier-authlib libcourier-unicode4 libidn12"
# For the fault tests in full: agents that bring services along.
fault="$check maildrop postfix"
# To compare with, to measure what the tests reach, and to analyse.
peers=$check
bench="$check gnuplot-nox"
coverage="$check gcovr"
# To fuzz: clang with libFuzzer and the sanitizers.
fuzz="$build clang libclang-rt-dev"
# To boot a bare system.
booted="$build debootstrap systemd-container"
lint="$check clang clang-tidy cppcheck shellcheck"

list=
if [ "${1-}" = list ]; then
	list=yes
	shift
fi
case "${1-}" in
build) wanted=$build ;;
deb) wanted=$deb ;;
check) wanted=$check ;;
fault) wanted=$fault ;;
peers) wanted=$peers ;;
bench) wanted=$bench ;;
coverage) wanted=$coverage ;;
fuzz) wanted=$fuzz ;;
booted) wanted=$booted ;;
lint) wanted=$lint ;;
*) sed -n 's/^# usage: /usage: /p; s/^#        tools/       tools/p' "$0" >&2; exit 64 ;;
esac
if [ -n "$list" ]; then
	printf '%s\n' $wanted
	exit
fi
if ! command -v dpkg-query >/dev/null; then
	echo "packages.sh: this is no Debian; what goes by these names there is needed:" $wanted >&2
	exit 0
fi

missing=
for name in $wanted; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || :)" = installed ] || missing="$missing $name"
done

# The tests that need it say so when it is not there.
unpack() {
	place=$(dirname "$0")/../build/peers/$1
	[ ! -e "$place" ] || return 0
	echo "packages.sh: unpacking $1 into build/peers" >&2
	fetched=$(mktemp -d)
	if (cd "$fetched" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; }) >/dev/null 2>&1; then
		mkdir -p "$place"
		dpkg-deb -x "$fetched"/*.deb "$place"
	else
		echo "packages.sh: cannot fetch $1; its tests will be skipped" >&2
	fi
	rm -rf "$fetched"
}
finish() {
	if [ "$wanted" != "$build" ]; then
		for name in $unpacked; do unpack "$name"; done
	fi
	exit 0
}
[ -n "$missing" ] || finish

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "packages.sh: packages are missing; as root, run: apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi
echo "packages.sh: installing$missing" >&2

# A package that comes with a service (fetchmail) must not start it here. If the host has a policy of its own, it stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap '$as_root rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 0755 "$policy"
fi
install_missing() {
	$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=120 install -qq -y --no-remove --no-install-recommends $missing </dev/null >&2
}
# The host's lists may be absent or too old; an update is not worth its time when they are not.
install_missing || { $as_root apt-get update -qq >&2 && install_missing; }
finish
