#!/bin/sh
# lint.sh - clang-tidy, cppcheck and shellcheck over the tree. `make lint` calls it after both compilers.
# Runs in: the build. Trusts: the sources.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0
# Checks of clang-tidy that are left out, each for a reason:
#   bugprone-easily-swappable-parameters, bugprone-narrowing-conversions: style; the compiler's -Wconversion holds the second
#   bugprone-reserved-identifier, cert-dcl37-c, cert-dcl51-cpp: _edata and __data_start are the linker's
#   bugprone-not-null-terminated-result: messages are octets, not strings
#   bugprone-suspicious-memory-comparison, cert-exp42-c, cert-flp37-c: addresses are compared that were zeroed before they were filled
#   cert-err33-c: a call whose result does not matter says (void), which this check does not take everywhere
#   bugprone-assignment-in-if-condition: style
#   clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling: wants memcpy_s, which glibc does not have
#   clang-analyzer-valist.Uninitialized: version 14 does not see va_start() in one function's path after another's (LLVM 43417)
#   clang-analyzer-core.uninitialized.Branch, clang-analyzer-core.NonNullParamChecker: version 14 takes a failed
#     call's out-parameter for read; gcc's -fanalyzer and valgrind hold both
#   clang-analyzer-optin.performance.Padding: one struct on a stack
tidy='-*,bugprone-*,cert-*,clang-analyzer-*'
for check in bugprone-easily-swappable-parameters bugprone-narrowing-conversions bugprone-reserved-identifier cert-dcl37-c \
	cert-dcl51-cpp bugprone-not-null-terminated-result bugprone-suspicious-memory-comparison cert-exp42-c cert-flp37-c \
	cert-err33-c bugprone-assignment-in-if-condition clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling \
	clang-analyzer-valist.Uninitialized clang-analyzer-core.uninitialized.Branch clang-analyzer-core.NonNullParamChecker \
	clang-analyzer-optin.performance.Padding; do
	tidy="$tidy,-$check"
done
set -- -D_GNU_SOURCE '-DPOSTERN_VERSION="0"' '-DDEFAULT_CONFIG="/etc/postern/postern.conf"' -I.
clang-tidy --quiet --warnings-as-errors='*' --checks="$tidy" base/*.c daemon/*.c auth/*.c storage/*.c cli/*.c tools/*.c -- -std=c11 "$@" || bad=1
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability,performance --inline-suppr \
	--suppress=missingIncludeSystem "$@" base daemon auth storage cli tools || bad=1
shellcheck -x --severity=warning tools/*.sh tests/*.sh tests/booted/*.sh tests/fuzz/*.sh bench/*.sh debian/postern.p* .ci/run || bad=1
exit $bad
