# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For the scripts test-fs-*.sh, after guest.sh: a lower filesystem on the scratch disk, and mounts
# of ecfs or, to compare with, of the in-tree ecryptfs.
#
#	fs_init [MKFS_ARGUMENT...]	ext4 on /dev/vdb ($fs_size of it, or all), at /lower; vectors at
#				/vectors; no noise
#	fs_case NAME		sets options ($case_options) and keys ($case_key_arguments) of an option set;
#				the keys are in the session keyring, too
#	fs_home_case		the same for the vectors' home-alice
#	fs_key PASSPHRASE FILE [-n]	a key for mount-ecfs -B in FILE, and in the session keyring; prints
#				its signature. -n: with the salt of the names of encrypted homes
#	fs_mount TYPE LOWER UPPER [MOUNT_ECFS_ARGUMENT...]	with the set of fs_case
#	fs_umount UPPER
#	fs_ready TYPE		true if the kernel has that filesystem
#	finds COMMAND...	true if fsx reports a difference
#	said			what the command of the last check said
#	fs_flaky		a filesystem without a journal at /small, on a disk that can fail, with a directory
#				/small/cipher
#	fs_flaky_set error|linear	the disk fails from now on, or works again
#	fs_flaky_end		the end of that disk; /small is unmounted already
#	fs_log			kernel messages since the last fs_log
#
# TYPE is ecfs (keys given with the mount), ecfs-keyring (found in the caller's session keyring),
# or ecryptfs.

bin=${BIN:-/share}
keys=/run/fs-test-keys made_keys=/run/fs-made-keys
engine=${1:-ecfs}
# The vectors' sets first, then a cipher of each kind that they lack.
all_cases="aes128 aes128-names-fn16 aes128-xattr aes192-names2 aes256-names des3"
more_cases="blowfish32-names cast5 twofish32-xattr cast6"

fs_init() {
	mkdir -p /lower /upper /plain "$keys" "$made_keys" /vectors
	! mountpoint -q /lower || umount /lower || return 1
	mkfs.ext4 -q -F "$@" /dev/vdb ${fs_size:+"$fs_size"} || return 1
	mount -o noatime /dev/vdb /lower || return 1
	tar --xattrs --xattrs-include='user.*' -xJf "$VECTORS" -C /vectors || return 1
	keyctl link @u @s >/dev/null 2>&1
	dmesg -n 1
	fs_log >/dev/null
}

# Making a key takes a second, so each is made once and kept.
fs_key() {
	_kept=$made_keys/$(printf %s "$1" | cksum | tr ' ' -)${3-}
	if [ ! -s "$_kept" ]; then
		printf %s "$1" >"$2.passphrase"
		"$bin/mount-ecfs" -w "$2.new" "${3:--k}" "$2.passphrase" && mv "$2.new" "$_kept" || return 1
	fi
	cp "$_kept" "$2" && "$bin/mount-ecfs" -a -B "$2"
}

# case.json of the vectors, or a row of our own
fs_case() {
	case_options='' case_passphrase='correct horse battery' case_names=''
	case $1 in
	blowfish32-names)
		case_options=ecryptfs_cipher=blowfish,ecryptfs_key_bytes=32
		case_names=$case_passphrase
		;;
	cast5) case_options=ecryptfs_cipher=cast5,ecryptfs_key_bytes=16 ;;
	cast6) case_options=ecryptfs_cipher=cast6,ecryptfs_key_bytes=32 ;;
	twofish32-xattr)
		case_options=ecryptfs_cipher=twofish,ecryptfs_key_bytes=32,ecryptfs_xattr_metadata
		;;
	*)
		eval "$(python3 - "/vectors/$1/case.json" <<-'END'
			import json, shlex, sys
			case = json.load(open(sys.argv[1]))
			print("case_options=%s case_passphrase=%s case_names=%s" % tuple(
			    shlex.quote(case[k]) for k in ("options", "passphrase", "fnek_passphrase")))
		END
		)" || return 1
		;;
	esac
	case_sig=$(fs_key "$case_passphrase" "$keys/content") || return 1
	case_options=$case_options,ecryptfs_sig=$case_sig
	case_key_arguments="-B $keys/content"
	link_max=4095 name_max=255
	if [ -n "$case_names" ]; then
		_sig=$(fs_key "$case_names" "$keys/names") || return 1
		case_options=$case_options,ecryptfs_fnek_sig=$_sig
		[ "$case_names" = "$case_passphrase" ] ||
			case_key_arguments="$case_key_arguments -B $keys/names"
		link_max=3007 name_max=143
	fi
	case $1 in *xattr*) name_max=255 ;; esac
}

# The names key of a home has another salt, and its passphrase is behind the login's.
fs_home_case() {
	_content=$(fs_key 00112233445566778899aabbccddeeff "$keys/content") || return 1
	_names=$(fs_key 00112233445566778899aabbccddeeff "$keys/names" -n) || return 1
	case_key_arguments="-B $keys/content -B $keys/names"
	case_options=ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=$_content,ecryptfs_fnek_sig=$_names
}

fs_mount() {
	_type=$1 _lower=$2 _upper=$3
	shift 3
	case $_type in
	ecfs)
		# shellcheck disable=SC2086 # a list
		"$bin/mount-ecfs" -t ecfs $case_key_arguments "$@" -o "$case_options" "$_lower" "$_upper"
		;;
	ecfs-keyring) "$bin/mount-ecfs" -t ecfs "$@" -o "$case_options" "$_lower" "$_upper" ;;
	*) "$bin/mount-ecfs" -t "$_type" "$@" -o "$case_options" "$_lower" "$_upper" ;;
	esac
}

# A busy mount is a finding, not something to be lazy about.
fs_umount() {
	umount "$1"
}

fs_ready() {
	modprobe "$1" 2>/dev/null
	grep -qw "$1" /proc/filesystems
}

# 1 is a difference; 2 would be a tester that could not run.
finds() {
	"$@"
	[ $? -eq 1 ]
}

# The last line that the last check's command printed.
said() {
	tail -n 1 "$check_out" | sed 's/^/    /'
}

fs_log() {
	dmesg -c
}

flaky_sectors=65536

fs_flaky() {
	umount /upper /small 2>/dev/null
	mkdir -p /small
	rm -f /lower/small.img
	truncate -s $((flaky_sectors * 512)) /lower/small.img
	flaky_loop=$(losetup -f --show /lower/small.img) || return 1
	dmsetup create flaky --table "0 $flaky_sectors linear $flaky_loop 0" || return 1
	mkfs.ext4 -q -F -O ^has_journal /dev/mapper/flaky &&
		mount -o errors=continue /dev/mapper/flaky /small && mkdir /small/cipher
}

fs_flaky_set() {
	_table="0 $flaky_sectors $1"
	[ "$1" != linear ] || _table="$_table $flaky_loop 0"
	dmsetup suspend --noflush flaky && dmsetup load flaky --table "$_table" && dmsetup resume flaky
}

fs_flaky_end() {
	dmsetup remove flaky
	losetup -d "$flaky_loop"
}
