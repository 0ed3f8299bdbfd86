#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 timeout=900 host-before=tests/fs/build
# Several at once, on two processors: four processes of fsx in stripes of one file, and what threads
# that set times, change owners and open handles do to each other.
# Arguments: the filesystem (ecfs), option sets (aes128 aes128-xattr). SEED comes from the environment.
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
sets=${*:-aes128 aes128-xattr}
seed=${SEED:-20261121}

# mounts SET WHAT_FOR: over an empty directory
mounts() {
	rm -rf /lower/cipher
	mkdir -p /lower/cipher
	fs_case "$1" && check "$1: mounts for $2" fs_mount "$engine" /lower/cipher /upper
}

fs_ready "$engine" || { check "$engine is in this kernel" false; finish; }
fs_init || exit 1
mkdir -p /lower/a /lower/b
check "two processors are there" test "$(nproc)" -ge 2
check "sabotage of stripes is found" finds "$bin/fsx" -s "$seed" -p 3 -n 200 -B stripe /lower/a /lower/b
for set in $sets; do
	mounts "$set" contention || continue
	"$bin/fsx" -s "$seed" -p 4 -n 1500 /upper /upper >/run/fsx.out 2>&1
	status=$?
	cat /run/fsx.out
	check "$set: 4 processes, 1500 rounds each, in stripes of one file" test $status -eq 0
	check "$set: unmounts after contention" fs_umount /upper
done
mounts aes128 races || finish
for race in times owners handles; do
	check "race: $race" "$bin/races" /upper $race && said
done
check "unmounts after the races" fs_umount /upper
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
