#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 timeout=900 memory=1536 host-before=tests/fs/build
# fsx: OPS random file calls on each option set, compared with a plain ext4, with caches dropped
# and the filesystem unmounted and mounted again in between; then several processes on one file.
# Arguments: the filesystem (ecfs), option sets (all). OPS and SEED come from the environment.
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
[ $# -lt 2 ] || { shift; sets=$*; }
ops=${OPS:-100000}
[ "$KERNEL" = 6.12 ] || ops=${OPS:-20000}
seed=${SEED:-$(date +%s)}

# What the in-tree module can not do is left out when the tester itself is tried on it.
left_out=''
[ "$engine" = ecfs ] ||
	left_out='-x direct,tmpfile,renameat2,whiteout,sendfile,splice,copy_file_range,timestamps,statx,handle,fallocate,acl,utimensat,clone,preadv2,lease,symlink,getflags,listxattr,lseek'

cat >/run/remount <<'END'
#!/bin/sh
umount /upper && echo 2 >/proc/sys/vm/drop_caches && . /run/mount-again
END


run_set() {
	rm -rf /lower/cipher /lower/plain
	mkdir -p /lower/cipher /lower/plain
	fs_case "$1" && fs_mount "$engine" /lower/cipher /upper || return 1
	echo "exec $bin/mount-ecfs -t $engine $case_key_arguments -o $case_options /lower/cipher /upper" >/run/mount-again
	[ "$engine" = ecfs ] || sed -i "s|$case_key_arguments||" /run/mount-again
	mkdir /upper/tree /lower/plain/tree
	# shellcheck disable=SC2086 # lists
	"$bin/fsx" -s "$seed" -n "$2" -c "sh /run/remount" -e $(($2 / 8 + 1)) -L $link_max -N $name_max \
		$left_out $3 /upper/tree /lower/plain/tree
	_status=$?
	fs_umount /upper && return $_status
}

report() {
	_start=$(date +%s)
	if run_set "$@" >/run/fsx.out 2>&1; then
		cat /run/fsx.out
		check "$1: $2 operations, seed $seed, $(($(date +%s) - _start)) s" true
	else
		sed 's/^/    | /' /run/fsx.out
		umount -l /upper 2>/dev/null
		check "$1: $2 operations, seed $seed" false
	fi
}

fs_ready "$engine" || { echo "no $engine in this kernel"; exit 1; }
fs_init || exit 1

# The tester first: silent on plain against plain, loud on each kind of sabotage.
mkdir -p /lower/a /lower/b
check "plain ext4 against itself: silent" \
	"$bin/fsx" -s "$seed" -n 10000 -x direct -N 255 /lower/a /lower/b
for kind in data size attr name time; do
	rm -rf /lower/a /lower/b
	mkdir -p /lower/a /lower/b
	check_fails "sabotage of $kind is found" \
		"$bin/fsx" -s "$seed" -n 10000 -x direct -N 255 -B $kind /lower/a /lower/b
done
check_fails "sabotage of stripes is found" "$bin/fsx" -s "$seed" -p 3 -n 200 -B stripe /lower/a /lower/b

for set in ${sets:-$all_cases $more_cases}; do
	case $set in
	# slow ciphers in smaller pieces, so that the count stays
	des3) report "$set" "$ops" "-f 20000 -i 1500" ;;
	blowfish*|cast*|twofish*) report "$set" $((ops / 10)) "-f 30000 -i 3000" ;;
	*) report "$set" "$ops" "-f 40000 -i 5000" ;;
	esac
done

for set in aes128 aes128-xattr; do
	rm -rf /lower/cipher
	mkdir -p /lower/cipher
	fs_case $set && check "$set: mounts for contention" fs_mount "$engine" /lower/cipher /upper || continue
	"$bin/fsx" -s "$seed" -p 4 -n 1500 /upper /upper >/run/fsx.out 2>&1
	status=$?
	cat /run/fsx.out
	check "$set: 4 processes, 1500 rounds each, in stripes of one file" test $status -eq 0
	check "$set: unmounts after contention" fs_umount /upper
done
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
