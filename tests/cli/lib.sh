# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the scripts here.

# Shows a command, what it says (errors marked), and its exit code.
t() {
	printf '$'
	printf ' %s' "$@"
	printf '\n'
	"$@" >.out 2>.err
	code=$?
	cat .out
	sed 's/^/! /' .err
	rm -f .out .err
	[ $code = 0 ] || echo "(exit $code)"
	echo
}

title() {
	printf '== %s\n' "$*"
}
