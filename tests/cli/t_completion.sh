# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
title names from outside are completed as text and never run
mkdir bin
cat >bin/ecryptfsctl <<'END'
#!/bin/sh
printf '%s\n' 'alice' 'al pha' '$(touch pwned)' '`touch pwned`' "it's; touch pwned" '"q"' \
	'*' '$HOME' 'back\slash' '; touch pwned' '&& touch pwned' '-x'
END
chmod +x bin/ecryptfsctl
cat >try.bash <<'END'
PATH=$PWD/bin:$PATH
source "$COMPLETION"
try() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_ecryptfsctl
	printf '> %s\n' "$*"
	printf '%s\n' "${COMPREPLY[@]}"
}
try ecryptfsctl un
try ecryptfsctl ''
try ecryptfsctl unlock ''
try ecryptfsctl unlock al
try ecryptfsctl unlock '$('
try ecryptfsctl unlock '\$\(to'
try ecryptfsctl lock --
try ecryptfsctl passwd --new
try ecryptfsctl --json=short status a
try ecryptfsctl frob x
# bash hands --json=short over as three words.
try ecryptfsctl --json = short status a
try ecryptfsctl --json = s
try ecryptfsctl create --cipher = c
try ecryptfsctl unlock --key-file /etc/hostname al
# The completed word, put into a command line, is one word and runs nothing.
COMP_WORDS=(ecryptfsctl unlock '') COMP_CWORD=2
_ecryptfsctl
for word in "${COMPREPLY[@]}"; do
	eval "set -- $word"
	printf '%d <%s>\n' $# "$1"
done
# The words are compared as they are, with globs and $ in them.
touch '$(touch pwned-by-file)'
try ecryptfsctl inspect '$('
END
COMPLETION="$COMPLETION" bash --norc try.bash 2>&1
for made in *pwned*; do
	echo "$made"
done
