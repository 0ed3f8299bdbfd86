#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=600
# systemd-analyze security: the broker at 2.0 or better, the worker at 4.0 or better.
passed=0
failed=0

check() # UNIT LIMIT
{
	exposure=$(systemd-analyze security --no-pager "$1" |
		sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
	if [ -n "$exposure" ] && awk "BEGIN { exit !($exposure <= $2) }"; then
		echo "ok - exposure of $1 at most $2: $exposure"
		passed=$((passed + 1))
	else
		echo "FAILED - exposure of $1 at most $2: ${exposure:-none}"
		failed=$((failed + 1))
	fi
}

# What is not running can only be judged from its file.
systemctl start ecryptfsd.service
check ecryptfsd.service 2.0
check ecryptfs-mount@home-1000.service 4.0
check ecryptfs-key-helper@x.service 2.0
check ecryptfs-store@x.service 4.0
out=$(systemd-analyze verify --man=no /usr/lib/systemd/system/ecryptfs*.service \
	/usr/lib/systemd/system/ecryptfs*.socket 2>&1 | grep -i ecryptfs)
if [ -z "$out" ]; then
	echo "ok - systemd-analyze verify has nothing to say of our units"
	passed=$((passed + 1))
else
	echo "FAILED - systemd-analyze verify: $out"
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
