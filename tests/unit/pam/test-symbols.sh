#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The module exports the PAM hooks and nothing else, and brings neither thread nor process.
# usage: test-symbols.sh MODULE
set -eu
have=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort)
want='pam_sm_authenticate
pam_sm_chauthtok
pam_sm_close_session
pam_sm_open_session
pam_sm_setcred'
[ "$have" = "$want" ] || {
	printf 'exported:\n%s\nwant:\n%s\n' "$have" "$want"
	exit 1
}
imported=$(nm -D --undefined-only "$1" | awk '{ print $2 }' | sed 's/@.*//')
for symbol in atexit fork vfork posix_spawn execve pthread_create sigaction signal sigprocmask \
	pthread_sigmask system popen setuid seteuid setresuid getenv; do
	! printf '%s\n' "$imported" | grep -qx "$symbol" || {
		echo "the module uses $symbol"
		exit 1
	}
done
echo "# 5 symbols exported, 15 imports absent"
