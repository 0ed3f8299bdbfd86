#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=900 host-before=tests/fs/build
# What lies below need not be ext4: OPS random file calls of fsx on ecfs over each other kind of lower
# filesystem, with the same kind as the oracle, unmounted and mounted again in between.
# Arguments: the filesystem (ecfs), kinds (all). OPS and SEED come from the environment.
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
kinds=${*:-xfs btrfs tmpfs overlay ext4-1k fuse}
ops=${OPS:-4000}
seed=${SEED:-20261121}

make_lower() {
	umount /lower /run/layers 2>/dev/null
	case $1 in
	xfs) mkfs.xfs -q -f /dev/vdb && mount /dev/vdb /lower ;;
	btrfs) mkfs.btrfs -q -f /dev/vdb && mount /dev/vdb /lower ;;
	ext4-1k) mkfs.ext4 -q -F -b 1024 /dev/vdb && mount /dev/vdb /lower ;;
	tmpfs) mount -t tmpfs tmpfs /lower ;;
	overlay)
		mkdir -p /run/layers && mkfs.ext4 -q -F /dev/vdb && mount /dev/vdb /run/layers &&
			mkdir -p /run/layers/below /run/layers/above /run/layers/work &&
			mount -t overlay -o lowerdir=/run/layers/below,upperdir=/run/layers/above,workdir=/run/layers/work overlay /lower
		;;
	esac || return 1
	mkdir -p /lower/cipher /lower/plain
}

# What differs with reason: clones are refused by an encrypting filesystem, where holes begin and which
# modes of fallocate there are is the lower one's affair, overlayfs has no handles without an index,
# and its own attributes need room in a list that does not show them.
left_out() {
	case $1 in
	btrfs) echo clone,lseek ;;
	tmpfs) echo clone,fallocate ;;
	overlay) echo clone,handle,listxattr ;;
	*) echo clone ;;
	esac
}

# Encrypted, the target of a symlink is longer by half, and these hold a kilobyte.
link_max_over() {
	case $1 in
	xfs|ext4-1k) echo 600 ;;
	*) echo "$link_max" ;;
	esac
}

over() {
	make_lower "$1" && fs_mount "$engine" /lower/cipher /upper || return 1
	cat >/run/remount <<-END
		umount /upper && echo 2 >/proc/sys/vm/drop_caches &&
		exec $bin/mount-ecfs -t $engine -o $case_options /lower/cipher /upper
	END
	"$bin/fsx" -s "$seed" -n "$ops" -c "sh /run/remount" -e $((ops / 4 + 1)) -f 40000 -i 5000 -x "$(left_out "$1")" \
		-L "$(link_max_over "$1")" -N "$name_max" /upper /lower/plain
	_status=$?
	fs_umount /upper && return $_status
}

# What the last mount wrote, the next one finds.
over_fuse() {
	rm -rf /run/plain
	make_lower ext4-1k && mkdir -p /lower/served /lower/behind /run/plain && modprobe fuse
	python3 "$GUEST/fs-fuse.py" /lower/behind /lower/served && mkdir /lower/served/cipher || return 1
	for _round in 0 1 2; do
		fs_mount "$engine" /lower/served/cipher /upper || return 1
		python3 "$GUEST/fs-compare.py" turn fuse $((_round * 100)) 100 /upper /run/plain
		_status=$?
		umount /upper || return 1
		echo 3 >/proc/sys/vm/drop_caches
		[ $_status -eq 0 ] || break
	done
	umount /lower/served && return $_status
}

fs_ready "$engine" || { check "$engine is in this kernel" false; finish; }
fs_init || exit 1
for kind in $kinds; do
	fs_case aes256-names
	if [ "$kind" = fuse ]; then
		check "over fuse: 300 operations" over_fuse && said
	else
		check "over $kind: $ops operations, seed $seed" over "$kind" && said
	fi
	umount /upper 2>/dev/null
done
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
