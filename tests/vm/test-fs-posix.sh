#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=900 host-before=tests/fs/build
# One named check for each thing that the in-tree ecryptfs falls short of, and for what stacked
# filesystems get wrong besides: all must pass on ecfs, in three option sets. The same checks run
# on the in-tree module; their results are printed and count for nothing.
# Arguments: the filesystem (ecfs), words of the checks' names (all).
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))

fs_init || exit 1
# Every read shows in the lower files' atime here, so that those of headers would.
mount -o remount,strictatime /lower

# Prints the lines of posix for TYPE and SET, and lines of the same form for the read-only mount.
run_checks() {
	_type=$1 _set=$2
	shift 2
	rm -rf /lower/cipher
	mkdir -p /lower/cipher
	fs_case "$_set" && fs_mount "$_type" /lower/cipher /upper || {
		echo "fail mount: $_type with $_set"
		return
	}
	_x=''
	case $_set in *xattr*) _x=-x ;; esac
	# shellcheck disable=SC2086 # perhaps no word
	"$bin/posix" -l $link_max -n $name_max $_x /upper /lower/cipher "$@" >/run/posix.one
	_status=$?
	cat /run/posix.one
	# a tester that dies half-way has found nothing, and that is no success
	_passed=$(grep -c '^pass ' /run/posix.one)
	case "$_status $(grep '^ran ' /run/posix.one)" in
	"0 ran $_passed, $_passed passed"|"1 ran "*", $_passed passed") ;;
	*) echo "fail posix itself: status $_status, $_passed passed, $(tail -n 1 /run/posix.one)" ;;
	esac
	if [ $# -eq 0 ]; then
		read_only_atime "$_type"
	fi
	umount /upper || { echo "fail unmounts"; umount -l /upper; }
}

# A read-only mount changes nothing below: not even the time of the last access.
read_only_atime() {
	echo content >/upper/a
	mkdir /upper/d
	ln -s target /upper/s
	umount /upper
	mount -o remount,noatime /lower
	find /lower/cipher -exec touch -h -d '2001-02-03 04:05:06.7' {} +
	_before=$(lower_times)
	mount -o remount,strictatime /lower
	fs_mount "$1" /lower/cipher /upper -r || { echo "fail read-only mount"; return; }
	cat /upper/a >/dev/null
	ls -lR /upper >/dev/null
	readlink /upper/s >/dev/null
	umount /upper
	mount -o remount,noatime /lower
	if [ "$_before" = "$(lower_times)" ]; then
		echo "pass read-only mount leaves lower times"
	else
		echo "fail read-only mount leaves lower times: $(lower_times | tr '\n' ' ')"
	fi
	mount -o remount,strictatime /lower
	fs_mount "$1" /lower/cipher /upper
}

# Looking must not count itself: hence noatime around it.
lower_times() {
	find /lower/cipher -printf '%y %A@ %T@ %C@\n' | sort
}

if fs_ready "$engine"; then
	for set in aes128 aes128-xattr aes256-names; do
		run_checks "$engine" $set "$@" >/run/posix.out 2>&1
		while read -r verdict text; do
			case $verdict in
			pass) check "$set: $text" true ;;
			fail) check "$set: $text" false ;;
			ran) echo "$set: ran $text" ;;
			*) check "$set: $verdict $text" false ;;
			esac
		done </run/posix.out
	done
else
	check "$engine is in this kernel" false
fi

if [ "$engine" = ecfs ] && fs_ready ecryptfs; then
	echo "--- the same on the in-tree module of $KERNEL, for the record"
	run_checks ecryptfs aes128 "$@" >/run/posix.out 2>&1
	sed -n 's/^pass \(.*\)/in-tree: passes: \1/p; s/^fail \(.*\)/in-tree: FAILS: \1/p' /run/posix.out
	echo "in-tree: $(grep -c ^pass /run/posix.out) pass, $(grep -c ^fail /run/posix.out) fail"
fi
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
