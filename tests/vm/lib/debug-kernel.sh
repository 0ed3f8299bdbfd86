# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For lib/guest-job in a guest with the kernel of tools/debug-kernel: its module, and what its checkers
# have found when the script has ended. Lockdep and kmemleak only write it down.

install -D -m 0644 /job/ecfs.ko "/lib/modules/$(uname -r)/ecfs.ko"
depmod 2>/dev/null	# it asks for lists of what is built in
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug

# From the journal: scripts empty the kernel's own buffer (fs_log). What is in no list any more is only
# found when it is older than 5 s, and on the second look.
debug_kernel_found_nothing() {
	journalctl --sync
	journalctl -k -b --no-pager -o cat >/run/debug-kernel
	if grep -qE 'WARNING: |BUG: |KASAN|UBSAN|INFO: (task|trying|rcu)|=====' /run/debug-kernel; then
		tail -n 200 /run/debug-kernel
		return 1
	fi
	for _ in 1 2; do
		sleep 6
		echo scan >/sys/kernel/debug/kmemleak
	done
	if grep -qE 'ecfs|unreferenced' /sys/kernel/debug/kmemleak; then
		cat /sys/kernel/debug/kmemleak
		return 1
	fi
	echo "# $(uname -r): nothing found by KASAN, lockdep, UBSAN and kmemleak"
}
