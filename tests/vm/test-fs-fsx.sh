#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=3600 host-before=tests/fs/build
# fsx: random file calls (OPS of them) on each option set of the vectors, fewer on the other ciphers
# and on the old kernel, compared with a plain ext4, with caches dropped and the filesystem unmounted
# and mounted again in between. Several processes on one file: test-fs-races.sh.
# Arguments: the filesystem (ecfs), option sets (all). OPS and SEED come from the environment.
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
[ $# -lt 2 ] || { shift; sets=$*; }
ops=${OPS:-100000} first_ops=${OPS:-100000} more_ops=$((${OPS:-20000} / 10))
# enough in one of them that each kind of call must have succeeded
[ "$KERNEL" = 6.12 ] || ops=${OPS:-3000} first_ops=${OPS:-10000} more_ops=$((${OPS:-5000} / 10))
seed=${SEED:-20261121}

# What the in-tree module can not do is left out when the tester itself is tried on it.
left_out=''
[ "$engine" = ecfs ] ||
	left_out='-x direct,tmpfile,renameat2,whiteout,sendfile,splice,copy_file_range,timestamps,statx,handle,fallocate,acl,utimensat,clone,preadv2,lease,symlink,getflags,listxattr,lseek'

# run_set SET OPS MOUNTS ARGUMENTS, with so many mounts in between, in a shell of its own: everything
# it uses is named after the set.
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
	"$bin/fsx" -s "$seed" -n "$2" -c "sh $keys/remount" -e $(($2 / $3 + 1)) -L $link_max -N $name_max \
		$left_out $4 "$upper/tree" "$lower/plain/tree"
	_status=$?
	fs_umount "$upper" && rm -rf "$lower" && return $_status
}

# One after the other: an emulated processor that changes between two spends more than it waits.
run_and_report() {
	_start=$(date +%s)
	if (run_set "$@") >/run/fsx.out 2>&1; then
		cat /run/fsx.out
		check "$1: $2 operations, seed $seed, $(($(date +%s) - _start)) s" true
	else
		sed 's/^/    | /' /run/fsx.out
		umount -l /upper/"$1" 2>/dev/null
		check "$1: $2 operations, seed $seed" false
	fi
}

fs_ready "$engine" || { echo "no $engine in this kernel"; exit 1; }
# Half of the time goes to what lies below: on the new kernel, where it is long, without a journal.
[ "$KERNEL" = 6.1 ] || no_journal='-O ^has_journal,^metadata_csum'
# shellcheck disable=SC2086 # words or none
fs_init ${no_journal-} || exit 1

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

for set in ${sets:-$all_cases $more_cases}; do
	n=$ops
	[ "$set" != aes128 ] || n=$first_ops
	case $set in
	# slow ciphers in smaller pieces, so that the count stays
	des3) run_and_report "$set" "$n" 12 "-f 14000 -i 1000" ;;
	blowfish*|cast*|twofish*) run_and_report "$set" "$more_ops" 4 "-f 30000 -i 3000" ;;
	*) run_and_report "$set" "$n" 12 "-f 40000 -i 5000" ;;
	esac
done
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
