#!/bin/sh
# layers.sh - holds the folders to their order: base knows nobody, auth and storage know base only, the gate's program
# neither of them, and the daemon and the commands everything below them. And the documents to the files that there are.
# Runs in: the build. Trusts: the sources' #include lines.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0

# folder, then the folders whose headers it must not include
forbid() {
	folder=$1
	shift
	for other in "$@"; do
		if grep -nE "#include \"$other/" "$folder"/*.[ch]; then
			echo "layers: $folder must not include $other"
			bad=1
		fi
	done
}
forbid base auth storage daemon cli
forbid auth storage daemon cli
forbid storage auth daemon cli
forbid daemon cli

# postern check talks to strangers, often as root: it has nothing of what opens mail, reads passwd files or runs the server.
if grep -nE '#include "(auth|storage|daemon)/' cli/check*.[ch]; then
	echo "layers: postern check must include base and cli only"
	bad=1
fi

# What holds no rights must not be able to open mail or ask PAM: the gate's program has none of their code.
build=${BUILD:-build}
if [ -x "$build/posternd-gate" ] && nm -D --undefined-only "$build/posternd-gate" | grep -E ' (pam_|execv|execl|system@|popen)'; then
	echo "layers: posternd-gate uses what a gate must not"
	bad=1
fi
# What holds the key signs, and speaks to nobody.
if [ -x "$build/posternd-sign" ] && nm -D --undefined-only "$build/posternd-sign" |
	grep -E ' (SSL_|pam_|execv|execl|system@|popen|EVP_PKEY_decrypt|RSA_private)'; then
	echo "layers: posternd-sign uses what the holder of the key must not"
	bad=1
fi
if [ -x "$build/posternd-gate" ] && nm -D --undefined-only "$build/posternd-gate" | grep -E ' (PEM_read_bio_PrivateKey|PEM_read_PrivateKey|SSL_CTX_use_PrivateKey_file)'; then
	echo "layers: posternd-gate reads a key"
	bad=1
fi
if [ -x "$build/posternd" ] && nm "$build/posternd" | grep -E ' (SSL_|pam_(start|authenticate))'; then
	echo "layers: posternd must not be linked with TLS or PAM"
	bad=1
fi
for program in posternd posternd-gate; do
	if [ -x "$build/$program" ] && nm "$build/$program" | grep -E ' (reply_advice|advice_typed)$'; then
		echo "layers: $program has the advice, which is for the postern command"
		bad=1
	fi
done
if [ -x "$build/postern" ] && nm "$build/postern" | grep -E ' (SSL_accept|TLS_server_method|pam_start|pam_authenticate)'; then
	echo "layers: postern is a client: it must not serve TLS or ask PAM"
	bad=1
fi

# A row of the reply table that nobody says is a promise that nobody keeps.
for row in $(sed -n 's/^	\(OK\|ERR\|REF\)(\([A-Z0-9_]*\),.*/\2/p' daemon/replies_table.c); do
	if ! grep -qE "REPLY_$row\\b|REASON\\(.*\\b$row\\b" daemon/*.c; then
		echo "layers: nobody says REPLY_$row"
		bad=1
	fi
done

# A document that names a file which is not there has been left behind.
for document in README.md SECURITY.md docs/*.md; do
	for file in $(grep -oE '\b(base|auth|storage|daemon|cli|tools|tests|bench|docs|systemd)/[A-Za-z0-9_./-]+\.(c|h|sh|py|md|service|conf|conf\.5|[1578])\b' "$document"); do
		[ -e "$file" ] || { echo "layers: $document names $file, which is not there"; bad=1; }
	done
done
exit $bad
