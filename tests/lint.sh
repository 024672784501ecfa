#!/bin/sh
# lint.sh - clang-tidy, cppcheck and shellcheck over the tree. `make lint` calls it after both compilers.
# Runs in: the build. Trusts: the sources.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0
flags='-std=c11 -D_GNU_SOURCE -DPOSTERN_VERSION="0" -DDEFAULT_CONFIG="/etc/postern/postern.conf" -I.'
# Left out, each for a reason:
#   bugprone-easily-swappable-parameters, bugprone-narrowing-conversions: style; the compiler's -Wconversion holds the second
#   bugprone-reserved-identifier, cert-dcl37-c, cert-dcl51-cpp: _end and __data_start are the linker's
#   cert-err33-c: a call whose result does not matter says (void), which this check does not take everywhere
#   clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling: wants memcpy_s, which glibc does not have
#   bugprone-suspicious-include, bugprone-assignment-in-if-condition: style
tidy='-*,bugprone-*,cert-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions'
tidy="$tidy,-bugprone-reserved-identifier,-cert-dcl37-c,-cert-dcl51-cpp,-cert-err33-c,-bugprone-assignment-in-if-condition"
tidy="$tidy,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling"
# shellcheck disable=SC2086
clang-tidy --quiet --warnings-as-errors='*' --checks="$tidy" base/*.c daemon/*.c auth/*.c storage/*.c cli/*.c -- $flags || bad=1
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability,performance --inline-suppr -D_GNU_SOURCE \
	-DPOSTERN_VERSION='"0"' -DDEFAULT_CONFIG='"/etc"' -I. --suppress=missingIncludeSystem base daemon auth storage cli || bad=1
shellcheck -x tools/*.sh tests/*.sh bench/run.sh .ci/run || bad=1
exit $bad
