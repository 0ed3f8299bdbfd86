#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=1200 host-before=tests/fs/build
# The format, both ways. Every tree of the vectors is read byte for byte, with keys given at mount
# and with keys found in the keyring, read-write and read-only, and reading changes nothing below,
# not even an access time. What one module writes the other reads; names made by one are found by
# the other; and a tree that both work on in turn, 1000 random operations, ends as a plain one (on
# the old kernel two of the six sets). Keys of the type "encrypted" work for both, too, and
# ecryptfs_mount_auth_tok_only keeps other keys of the keyring out.
# Arguments: the filesystem (ecfs), parts (read exchange turn keyring), option sets (all).
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
parts=${1:-read exchange turn keyring}
shift $(($# > 0))
sets=$*
late=''

compare() {
	echo "$late $*" >/run/compare.in
	read -r _status </run/compare.status
	cat /run/compare.out
	return "$_status"
}

start_compare() {
	mkfifo /run/compare.in /run/compare.status || return 1
	python3 "$GUEST/fs-compare.py" serve /run/compare.in /run/compare.out /run/compare.status &
}

same_as_manifest() {
	case $1 in
	home-alice)
		(cd /upper && sha256sum --quiet -c /vectors/home-alice/manifest.sha256) || return 1
		echo "$(wc -l </vectors/home-alice/manifest.sha256) files"
		;;
	*) compare manifest "/vectors/$1/manifest.json" /upper ;;
	esac
}

# Looking must not count itself: hence noatime around it.
lower_state() {
	mount -o remount,noatime /lower
	compare state "$lower_dir" "$@"
	mount -o remount,strictatime /lower
}

# Mounts in one way, reads everything, unmounts, and looks for changes below.
read_vector() {
	_set=$1 _engine=$2 _how=$3
	late "$_engine"
	# A read may move an access time where the mount is writable; nothing else, ever.
	_without=''
	[ "$_how" = -r ] || _without=no-atime
	lower_state $_without >/run/before
	# shellcheck disable=SC2086 # -r or nothing
	fs_mount "$_engine" "$lower_dir" /upper ${_how#rw} || return 1
	same_as_manifest "$_set" || { ls -la /upper; umount /upper; return 1; }
	umount /upper || return 1
	lower_state $_without >/run/after
	diff /run/before /run/after && [ -s /run/after ]
}

tree_hash() {
	find "$1" -type f -exec sha256sum {} + | sort | sha256sum
}

# An access time as relatime would set it must not be due: the files are as old as a real archive.
put_in_place() {
	rm -rf /lower/vector
	cp -a "/vectors/$1/lower" /lower/vector
	lower_dir=/lower/vector
	[ "$1" != home-alice ] || lower_dir=/lower/vector/.Private
}

read_vectors() {
	for set in ${sets:-$all_cases home-alice}; do
		if [ "$set" = home-alice ]; then fs_home_case; else fs_case "$set"; fi
		put_in_place "$set"
		before=$(tree_hash "$lower_dir")
		for type in "$@"; do
			for how in rw -r; do
				way=$([ $how = rw ] && echo read-write || echo read-only)
				check "$set: $type, $way: every byte, and nothing changes below" \
					read_vector "$set" "$type" $how && said
			done
		done
		check "$set: lower bytes as before" test "$before" = "$(tree_hash "$lower_dir")"
	done
}

late() {
	late=''
	[ "$1" != ecryptfs ] || late=late
}

# One writes, the other reads and finds.
write_and_read() {
	_writer=$1 _reader=$2 _set=$3
	rm -rf /lower/made
	mkdir /lower/made
	late "$_writer"
	fs_mount "$_writer" /lower/made /upper || return 1
	compare make "$_set-$_writer" /upper >/run/made.json || { umount /upper; return 1; }
	umount /upper || return 1
	# written plain, the same seed gives the same tree: what was read back while writing was right
	rm -rf /plain/made
	late=''
	compare make "$_set-$_writer" /plain/made >/run/plain.json || return 1
	cmp /run/made.json /run/plain.json || return 1
	echo 3 >/proc/sys/vm/drop_caches
	fs_mount "$_reader" /lower/made /upper || return 1
	late "$_reader"
	compare manifest /run/plain.json /upper || { umount /upper; return 1; }
	umount /upper
}

in_turn() {
	_set=$1
	rm -rf /lower/turn /plain/turn
	mkdir -p /lower/turn /plain/turn
	_round=0
	for _type in ecfs ecryptfs ecfs-keyring ecryptfs ecfs ecryptfs ecfs ecryptfs ecfs ecryptfs; do
		fs_mount $_type /lower/turn /upper || return 1
		late $_type
		compare turn "$_set" $((_round * 100)) 100 /upper /plain/turn ||
			{ echo "differs after round $_round, by $_type"; umount /upper; return 1; }
		umount /upper || return 1
		_round=$((_round + 1))
	done
	echo "$((_round * 100)) operations, $(find /plain/turn | wc -l) entries at the end"
}

# --- keys that only the kernel knows

# Random bytes under a random signature, sealed with the user key "kek". Prints the signature.
encrypted_key() {
	keyctl add user kek "key that seals keys" @s >/dev/null || return 1
	_sig=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
	keyctl add encrypted "$_sig" "new ecryptfs user:kek 64" @s >/dev/null || return 1
	echo "$_sig"
}

# One for content and another for names; a key of type "user" has nothing to do with it.
encrypted_keys() {
	_content=$(encrypted_key) && _names=$(encrypted_key) || return 1
	case_options=ecryptfs_cipher=aes,ecryptfs_key_bytes=32,ecryptfs_sig=$_content,ecryptfs_fnek_sig=$_names
	for _sig in "$_content" "$_names"; do
		keyctl search @s encrypted "$_sig" && ! keyctl search @s user "$_sig" || return 1
	done
}

# Without its key, the same tree does not mount.
encrypted_key_gone() {
	keyctl unlink "%encrypted:$_content" @s || return 1
	if fs_mount ecfs-keyring /lower/made /upper 2>/run/err; then
		umount /upper
		return 1
	fi
	cat /run/err
	grep -q ENOKEY /run/err
}

# --- keys of the mount only

# opens MORE_OPTIONS: what becomes of a file whose key the mount does not name
opens() {
	_options=$case_options
	case_options=$case_options$1
	fs_mount ecfs-keyring /lower/two /upper || return 1
	case_options=$_options
	cat /upper/mine >/dev/null || { echo "its own file does not open"; umount /upper; return 1; }
	if _have=$(cat /upper/other 2>/run/err); then
		[ "$_have" = "of another key" ] && _verdict=opens || _verdict=noise
	elif grep -q 'Required key not available' /run/err; then
		_verdict=ENOKEY
	else
		_verdict=$(cat /run/err)
	fi
	umount /upper
	echo "${1:-without the option}: $_verdict"
	[ "$_verdict" = "$2" ]
}

part_keyring() {
	check "encrypted keys: one for content, one for names" encrypted_keys || return
	for _pair in "ecfs-keyring ecfs-keyring" "ecfs-keyring ecryptfs" "ecryptfs ecfs-keyring"; do
		check "encrypted keys: written by ${_pair% *}, read by ${_pair#* }" \
			write_and_read "${_pair% *}" "${_pair#* }" encrypted && said
	done
	check "encrypted keys: ENOKEY without the key" encrypted_key_gone

	rm -rf /lower/two
	mkdir /lower/two
	fs_case des3
	check "another key's file" fs_mount ecfs-keyring /lower/two /upper && echo "of another key" >/upper/other && umount /upper
	_other=$case_sig
	case_options=ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=$(fs_key "another passphrase" "$keys/content")
	check "a file of its own" fs_mount ecfs-keyring /lower/two /upper && echo mine >/upper/mine && umount /upper
	check "another key in the keyring opens its file" opens "" opens && said
	check "ecryptfs_mount_auth_tok_only: it does not" opens ,ecryptfs_mount_auth_tok_only ENOKEY && said
	keyctl unlink "%user:$_other" @s
	check "no key in the keyring: it does not either" opens "" ENOKEY && said
}

fs_init && start_compare || exit 1
mount -o remount,strictatime /lower
mount -t tmpfs tmpfs /plain
if [ "$engine" = ecryptfs ]; then
	fs_ready ecryptfs || exit 1
	read_vectors ecryptfs
	for set in ${sets:-$all_cases $more_cases}; do
		fs_case "$set"
		check "$set: written and read by ecryptfs" write_and_read ecryptfs ecryptfs "$set"
	done
	finish
fi

part_read() {
	read_vectors ecfs ecfs-keyring
}

part_exchange() {
	for set in ${sets:-$exchanged}; do
		[ "$set" != home-alice ] || continue
		fs_case "$set"
		check "$set: written by ecfs, read by the in-tree module" \
			write_and_read ecfs ecryptfs "$set" && said
		check "$set: written by the in-tree module, read by ecfs" \
			write_and_read ecryptfs ecfs "$set" && said
	done
}

part_turn() {
	for set in ${sets:-$taken_in_turn}; do
		[ "$set" != home-alice ] || continue
		fs_case "$set"
		check "$set: both in turn, as a plain tree" in_turn "$set" && said
	done
}

check "ecfs is in this kernel" fs_ready ecfs || finish
check "the in-tree module to compare with is in this kernel" fs_ready ecryptfs || finish
exchanged="$all_cases $more_cases" taken_in_turn=$all_cases
[ "$KERNEL" = 6.12 ] || exchanged=$all_cases taken_in_turn="aes256-names aes128-xattr"
for part in $parts; do
	part_"$part"
done
echo end >/run/compare.in
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
