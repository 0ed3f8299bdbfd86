#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 timeout=3600 host-before=tests/fs/build
# fsx: random file calls (OPS of them) on each option set of the vectors, fewer on the other ciphers
# and on the old kernel, compared with a plain ext4, with caches dropped and the filesystem unmounted
# and mounted again in between; then several processes on one file.
# Arguments: the filesystem (ecfs), option sets (all). OPS and SEED come from the environment.
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
[ $# -lt 2 ] || { shift; sets=$*; }
ops=${OPS:-100000} first_ops=${OPS:-100000} more_ops=$((${OPS:-50000} / 10))
# enough in one of them that each kind of call must have succeeded
[ "$KERNEL" = 6.12 ] || ops=${OPS:-3000} first_ops=${OPS:-10000} more_ops=$((${OPS:-5000} / 10))
seed=${SEED:-20261121}

# What the in-tree module can not do is left out when the tester itself is tried on it.
left_out=''
[ "$engine" = ecfs ] ||
	left_out='-x direct,tmpfile,renameat2,whiteout,sendfile,splice,copy_file_range,timestamps,statx,handle,fallocate,acl,utimensat,clone,preadv2,lease,symlink,getflags,listxattr,lseek'

# run_set SET OPS ARGUMENTS, in a shell of its own: everything it uses is named after the set.
run_set() {
	keys=$keys/$1 upper=/upper/$1 lower=/lower/$1
	mkdir -p "$keys" "$upper" "$lower/cipher" "$lower/plain/tree"
	fs_case "$1" && fs_mount "$engine" "$lower/cipher" "$upper" || return 1
	# mounted again with the keys from the keyring: making them takes a second each time
	cat >"$keys/remount" <<-END
		umount $upper && echo 2 >/proc/sys/vm/drop_caches &&
		exec $bin/mount-ecfs -t $engine -o $case_options $lower/cipher $upper
	END
	mkdir "$upper/tree"
	# shellcheck disable=SC2086 # lists
	"$bin/fsx" -s "$seed" -n "$2" -c "sh $keys/remount" -e $(($2 / 12 + 1)) -L $link_max -N $name_max \
		$left_out $3 "$upper/tree" "$lower/plain/tree"
	_status=$?
	fs_umount "$upper" && rm -rf "$lower" && return $_status
}

launch() {
	_start=$(date +%s)
	(run_set "$@") >/run/fsx-"$1".out 2>&1
	_status=$?
	echo "$2 $(($(date +%s) - _start)) $_status" >/run/fsx-"$1".result
}

report() {
	read -r _ops _took _status </run/fsx-"$1".result
	if [ "$_status" -eq 0 ]; then
		cat /run/fsx-"$1".out
		check "$1: $_ops operations, seed $seed, $_took s" true
	else
		sed 's/^/    | /' /run/fsx-"$1".out
		umount -l /upper/"$1" 2>/dev/null
		check "$1: $_ops operations, seed $seed" false
	fi
}

fs_ready "$engine" || { echo "no $engine in this kernel"; exit 1; }
# Half of the time goes to what lies below: on the new kernel, where it is long, without a journal.
[ "$KERNEL" = 6.1 ] || no_journal='-O ^has_journal,^metadata_csum'
# shellcheck disable=SC2086 # words or none
fs_init ${no_journal-} || exit 1

# 1 is a difference; 2 would be a tester that could not run.
finds() {
	"$@"
	[ $? -eq 1 ]
}

# The tester first: silent on plain against plain, loud on each kind of sabotage.
mkdir -p /lower/a /lower/b
check "plain ext4 against itself: silent" \
	"$bin/fsx" -s "$seed" -n 5000 -x direct -N 255 /lower/a /lower/b
for kind in data size attr name time; do
	rm -rf /lower/a /lower/b
	mkdir -p /lower/a /lower/b
	check "sabotage of $kind is found" \
		finds "$bin/fsx" -s "$seed" -n 10000 -x direct -N 255 -B $kind /lower/a /lower/b
done
check "sabotage of stripes is found" finds "$bin/fsx" -s "$seed" -p 3 -n 200 -B stripe /lower/a /lower/b

# Two at a time, one for each processor.
batch=''
for set in ${sets:-$all_cases $more_cases}; do
	n=$ops
	[ "$set" != aes128 ] || n=$first_ops
	case $set in
	# slow ciphers in smaller pieces, so that the count stays
	des3) launch "$set" "$n" "-f 14000 -i 1000" & ;;
	blowfish*|cast*|twofish*) launch "$set" "$more_ops" "-f 30000 -i 3000" & ;;
	*) launch "$set" "$n" "-f 40000 -i 5000" & ;;
	esac
	batch="$batch $set"
	case $batch in
	\ *\ *)
		wait
		for done in $batch; do report "$done"; done
		batch=''
		;;
	esac
done
wait
for done in $batch; do report "$done"; done

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
