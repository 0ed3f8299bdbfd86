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

# 1 is a difference; 2 would be a tester that could not run.
finds() {
	"$@"
	[ $? -eq 1 ]
}

fs_ready "$engine" || { check "$engine is in this kernel" false; finish; }
fs_init || exit 1
mkdir -p /lower/a /lower/b
check "two processors are there" test "$(nproc)" -ge 2
check "sabotage of stripes is found" finds "$bin/fsx" -s "$seed" -p 3 -n 200 -B stripe /lower/a /lower/b
for set in $sets; do
	rm -rf /lower/cipher
	mkdir -p /lower/cipher
	fs_case "$set" && check "$set: mounts for contention" fs_mount "$engine" /lower/cipher /upper || continue
	"$bin/fsx" -s "$seed" -p 4 -n 1500 /upper /upper >/run/fsx.out 2>&1
	status=$?
	cat /run/fsx.out
	check "$set: 4 processes, 1500 rounds each, in stripes of one file" test $status -eq 0
	check "$set: unmounts after contention" fs_umount /upper
done
rm -rf /lower/cipher
mkdir -p /lower/cipher
fs_case aes128 && check "aes128: mounts for races" fs_mount "$engine" /lower/cipher /upper || finish
for race in times owners handles; do
	check "race: $race" "$bin/races" /upper $race && said
done
check "unmounts after the races" fs_umount /upper
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
