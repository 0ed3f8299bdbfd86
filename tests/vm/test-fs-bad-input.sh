#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=1200 host-before=tests/fs/build
# Bad input through a mounted filesystem: over 500 damaged headers, a hostile lower directory,
# every wrong mount option, lower filesystems that can not work or that fail while in use. Each
# gets a clear answer, nothing is lost, and the kernel says it once and never warns. On the old
# kernel, the parts in which kernels differ.
# Arguments: the filesystem (ecfs), parts (headers log lower options refused failing).
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
[ "$KERNEL" = 6.12 ] || [ $# -gt 0 ] || set -- log lower options refused
parts=${*:-headers log lower options refused failing}
type=$engine
[ "$type" != ecfs ] || type=ecfs-keyring

in_place() {
	rm -rf /lower/cipher
	mkdir -p /lower/cipher
}

mounted() {
	mountpoint -q /upper
}

# --- damaged headers

# What reading, and trying to write, must not change: names, sizes, times but for that of access,
# attributes and every byte.
below_state() {
	python3 "$GUEST/fs-compare.py" state /lower/cipher no-atime && find /lower/cipher -type f -exec sha256sum {} + | sort
}

# attack KIND SET COUNT [DIRECTORY]: damaged copies of that set's file of 8191 bytes, or of the
# largest file of a home
attack() {
	_kind=$1 _count=$3 _tree=/vectors/$2/lower${4-}
	in_place
	fs_mount "$type" "$_tree" /upper -r || return 1
	_file=/upper/size-8191
	[ -e $_file ] || _file=$(find /upper -type f -size +1k -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
	_source=$(find "$_tree" -inum "$(stat -c %i "$_file")")
	cat "$_file" >/run/content && umount /upper && [ -s /run/content ] || return 1
	fs_mount "$type" /lower/cipher /upper || return 1
	python3 "$GUEST/fs-headers.py" name /upper/damaged "$_count" "$_kind" "$_source" &&
		python3 "$GUEST/fs-headers.py" where /upper/damaged /lower/cipher >/run/where || return 1
	umount /upper && python3 "$GUEST/fs-headers.py" make /run/where "$_count" "$_kind" "$_source" || return 1
	below_state >/run/before
	fs_mount "$type" /lower/cipher /upper || return 1
	python3 "$GUEST/fs-headers.py" read /upper/damaged "$_kind" "$_source" /run/content
	_status=$?
	umount /upper && below_state >/run/after || return 1
	diff /run/before /run/after | head -n 20
	cmp /run/before /run/after || _status=1
	# what can not be read can be renamed and removed: nobody is stuck with it
	fs_mount "$type" /lower/cipher /upper || return 1
	mv /upper/damaged /upper/moved && rm -rf /upper/moved || _status=1
	[ "$(find /lower/cipher -type f | wc -l)" = 0 ] || _status=1
	umount /upper && return $_status
}

# Every set, so that each kind of header is among them: sizes of keys, two keys, names, the xattr.
part_headers() {
	for _row in "aes128 200" "aes128-names-fn16 60" "aes128-xattr 100" "aes192-names2 60" \
		"aes256-names 60" "des3 60" "home-alice 60"; do
		set=${_row% *} _n=${_row#* } _kind=header _in=''
		case $set in
		home-alice) fs_home_case && _in=/.Private ;;
		*) fs_case "$set" ;;
		esac
		case $set in *xattr) _kind=xattr ;; esac
		check "headers: $_n damaged, $set" attack $_kind "$set" "$_n" "$_in" && said
	done
}

# --- one line in the log, not a flood

said_once() {
	in_place
	fs_case aes128
	cp /vectors/aes128/lower/size-8191 /lower/cipher/broken
	printf '\377' | dd of=/lower/cipher/broken bs=1 seek=26 conv=notrunc status=none
	sleep 6		# what came before must not have used up the rate
	fs_log >/dev/null
	fs_mount "$type" /lower/cipher /upper || return 1
	for _i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		cat /upper/broken >/dev/null 2>&1 && echo "it opened" && return 1
	done
	_messages=$(fs_log | grep -ci 'ec[ry]*p*t*fs')
	umount /upper
	echo "$_messages messages for 20 opens"
	[ "$_messages" -ge 1 ] && [ "$_messages" -le 2 ]
}

flood_limited() {
	in_place
	fs_case aes128
	for _i in $(seq 300); do
		head -c 20 /dev/urandom >/lower/cipher/noise-"$_i"
	done
	fs_log >/dev/null
	fs_mount "$type" /lower/cipher /upper || return 1
	for _i in $(seq 300); do
		cat /upper/noise-"$_i" >/dev/null 2>&1 && return 1
	done
	_messages=$(fs_log | grep -ci 'ec[ry]*p*t*fs')
	umount /upper
	echo "$_messages messages for 300 files"
	[ "$_messages" -ge 1 ] && [ "$_messages" -le 60 ]
}

part_log() {
	check "log: a broken file is reported once" said_once && said
	check "log: 300 broken files do not flood it" flood_limited && said
}

# --- what may lie in the lower directory

hostile_lower() {
	in_place
	mkfifo /lower/cipher/fifo
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/lower/cipher/socket")'
	mknod /lower/cipher/null c 1 3
	mknod /lower/cipher/whiteout c 0 0
	ln -s loop /lower/cipher/loop
	ln -s /nonexistent /lower/cipher/dangling
	mkdir /lower/cipher/closed && chmod 0 /lower/cipher/closed
	head -c 70000 /dev/urandom >/lower/cipher/noise
	head -c 100 /dev/zero >/lower/cipher/zeros
	truncate -s 1T /lower/cipher/huge
	: >"/lower/cipher/ECRYPTFS_FNEK_ENCRYPTED."
	: >"/lower/cipher/ECRYPTFS_FNEK_ENCRYPTED.short"
	: >"/lower/cipher/ECRYPTFS_FNEK_ENCRYPTED.$(printf '%0200d' 0)"
	: >"/lower/cipher/ECRYPTFS_FNEK_ENCRYPTED.FWaPD4Rj-Elsr-RHmYFRZ7laa1kkIAdJS69Z#dpJDOWU8tz0L6Tb79v7oU--"
	ln -s ECRYPTFS_FNEK_ENCRYPTED.bad /lower/cipher/bad-target
	fs_mount "$type" /lower/cipher /upper || return 1
	timeout 60 sh -c '
		find /upper -ls
		for f in /upper/* /upper/.*; do
			timeout 5 cat "$f" <&- >/dev/null 2>&1
			[ $? -ne 124 ] || case $f in */fifo) ;; *) echo "$f hangs"; exit 1 ;; esac
			readlink "$f"; stat "$f"; getfattr -d -m - "$f"; head -c 1 "$f/x"
			touch "$f/new" 2>/dev/null
		done; true' </dev/null >/run/hostile.out 2>&1
	_status=$?
	[ $_status -eq 0 ] || tail -5 /run/hostile.out
	rm -rf /upper/* 2>/dev/null
	umount /upper && [ $_status -eq 0 ]
}

zero_length() {
	in_place
	: >/lower/cipher/empty
	chmod 644 /lower/cipher/empty
	fs_mount "$type" /lower/cipher /upper -r || return 1
	[ "$(stat -c %s /upper/empty)" = 0 ] && [ -z "$(cat /upper/empty)" ] ||
		{ echo "read-only mount: not an empty file"; umount /upper; return 1; }
	umount /upper
	fs_mount "$type" /lower/cipher /upper || return 1
	cat /upper/empty >/run/empty || { umount /upper; return 1; }
	if [ -s /lower/cipher/empty ]; then
		echo "reading wrote a header"
		umount /upper
		return 1
	fi
	chmod 600 /upper/empty && echo written >/upper/empty && umount /upper || return 1
	echo 3 >/proc/sys/vm/drop_caches
	fs_mount "$type" /lower/cipher /upper || return 1
	_have=$(cat /upper/empty)
	umount /upper
	[ "$_have" = written ]
}

# The end of the lower file is missing: an error for what is not there, not noise.
short_lower() {
	in_place
	cp /vectors/aes128/lower/size-65537 /lower/cipher/short
	cp /lower/cipher/short /lower/cipher/whole
	_size=$(stat -c %s /lower/cipher/short)
	fs_mount "$type" /lower/cipher /upper || return 1
	for _less in 1 16 4095 5000; do
		umount /upper
		cp /vectors/aes128/lower/size-65537 /lower/cipher/short
		truncate -s $((_size - _less)) /lower/cipher/short
		fs_mount "$type" /lower/cipher /upper || return 1
		if cat /upper/short >/run/short 2>/run/short.err; then
			echo "$_less bytes short: read without an error"
			umount /upper
			return 1
		fi
		grep -q 'Input/output error' /run/short.err || { cat /run/short.err; umount /upper; return 1; }
		cmp -n "$(stat -c %s /run/short)" /run/short /upper/whole || { umount /upper; return 1; }
	done
	# it can be written again, but not from behind the gap: that would leave a hole below
	_status=0
	if head -c 4096 /dev/zero | dd of=/upper/short bs=4096 seek=16 conv=notrunc status=none; then
		echo "written behind the gap"
		_status=1
	fi
	head -c 8192 /dev/zero | dd of=/upper/short bs=8k seek=61440 oflag=seek_bytes iflag=fullblock conv=notrunc status=none &&
		cat /upper/short >/dev/null || _status=1
	umount /upper && return $_status
}

# Whole extents are missing: that is what a crash leaves, and what is there is the file.
crashed_lower() {
	in_place
	cp /vectors/aes128/lower/size-65537 /lower/cipher/whole
	for _less in 4096 8192 69632; do
		cp /vectors/aes128/lower/size-65537 /lower/cipher/short
		truncate -s -$_less /lower/cipher/short
		_want=$((69632 - _less))
		fs_log >/dev/null
		fs_mount "$type" /lower/cipher /upper || return 1
		[ "$(stat -c %s /upper/short)" = $_want ] && cat /upper/short >/run/short &&
			[ "$(stat -c %s /run/short)" = $_want ] && cmp -n $_want /run/short /upper/whole &&
			[ "$(fs_log | grep -c "promises 65537 bytes, and $_want are there")" = 1 ] &&
			echo more >>/upper/short && [ "$(tail -c 5 /upper/short)" = more ]
		_status=$?
		umount /upper && [ $_status -eq 0 ] || { echo "$_less bytes short"; return 1; }
	done
}

# Only what is no encrypted file passes through; one whose key is missing is not for writing over.
passthrough() {
	in_place
	# no key of the other set may be left in the keyring: it would be found there, rightly
	keyctl clear @s
	keyctl link @u @s
	fs_case aes128
	cp /vectors/aes128/lower/size-4097 /lower/cipher/mine
	cp /vectors/des3/lower/size-4097 /lower/cipher/other
	echo "plain text below" >/lower/cipher/plain
	_options=$case_options
	case_options=$case_options,ecryptfs_passthrough
	fs_mount "$type" /lower/cipher /upper || { case_options=$_options; return 1; }
	case_options=$_options
	_sum=$(sha256sum </lower/cipher/other)
	_fault=''
	[ "$(cat /upper/plain)" = "plain text below" ] || _fault="the plain file is not shown"
	[ "$(stat -c %s /upper/mine)" = 4097 ] && cat /upper/mine >/dev/null || _fault="the encrypted file is not shown"
	if echo damage 2>/dev/null >>/upper/other; then _fault="ciphertext without its key can be written"; fi
	echo more >>/upper/plain || _fault="the plain file can not be written"
	umount /upper
	[ "$(tail -n 1 /lower/cipher/plain)" = more ] || _fault="the plain file was not written plain"
	[ "$_sum" = "$(sha256sum </lower/cipher/other)" ] || _fault="ciphertext without its key was written over"
	echo "$_fault"
	[ -z "$_fault" ]
}

encrypted_view() {
	_options=$case_options
	case_options=$case_options,ecryptfs_encrypted_view
	fs_mount "$type" "/vectors/$1/lower" /upper
	_status=$?
	case_options=$_options
	[ $_status -eq 0 ] || return 1
	if touch /upper/new 2>/run/err; then echo "it can be written"; umount /upper; return 1; fi
	if [ "$1" = aes128 ]; then
		(cd /vectors/aes128/lower && find . -type f -exec sha256sum {} +) >/run/sums
	else
		# what the view shows is a file with its header in place: the other set's kind
		cp -a /upper /run/view
		umount /upper
		fs_mount "$type" "/vectors/$1/lower" /upper && (cd /upper && find . -type f -exec sha256sum {} +) >/run/sums
		umount /upper
		rm -rf /lower/view && cp -r /run/view /lower/view && rm -rf /run/view
		fs_case aes128
		fs_mount "$type" /lower/view /upper
		fs_case "$1"
	fi
	(cd /upper && sha256sum --quiet -c /run/sums)
	_status=$?
	umount /upper && return $_status
}

part_lower() {
	fs_case aes256-names
	check "lower: hostile names and kinds, names encrypted" hostile_lower
	fs_case aes128
	check "lower: hostile names and kinds, names plain" hostile_lower
	check "lower: zero-length file" zero_length
	check "lower: short by 1, 16, 4095, 5000 bytes" short_lower
	check "lower: short by 1, 2, 17 extents" crashed_lower
	check "lower: passthrough" passthrough
	check "encrypted view, headers" encrypted_view aes128
	fs_case aes128-xattr
	check "encrypted view, xattr" encrypted_view aes128-xattr
}

# --- mount options

# refused NAME ERRNO SOURCE OPTIONS [ARGUMENT...]: that errno, and words from the kernel. $within: a
# command to run it in, or nothing
within=''
refused() {
	_row=$1 _want=$2 _source=$3 _options=$4
	shift 4
	# shellcheck disable=SC2086 # a command with its arguments
	if $within "$bin/mount-ecfs" -t "$engine" "$@" -o "$_options" "$_source" /upper 2>/run/refused; then
		umount /upper
		check "refused: $_row" false
		return
	fi
	_have=$(sed -n 's/^mount-ecfs: .*: \(E[A-Z0-9]*\): .*/\1/p' /run/refused)
	_words=$(sed -n 's/^mount-ecfs: kernel: //p' /run/refused | tr '\n' ' ')
	echo "    $_row: ${_have:-?}: $_words"
	if [ "$_have" = "$_want" ]; then
		check "refused: $_row with $_want" true
	else
		check "refused: $_row with ${_have:-no error} instead of $_want" false
	fi
	if [ "$engine" = ecfs ] && [ "${silent-no}" = no ]; then
		check "refused: $_row, and says why" test -n "$_words"
	fi
}

part_options() {
	in_place
	fs_case aes128
	sig=$case_sig
	ok=ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=$sig
	refused "no signature" EINVAL /lower/cipher ecryptfs_cipher=aes,ecryptfs_key_bytes=16
	refused "no key_bytes" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_sig=$sig"
	refused "unknown option" EINVAL /lower/cipher "$ok,ecryptfs_no_such_option"
	refused "unknown cipher" EINVAL /lower/cipher "ecryptfs_cipher=rot13,ecryptfs_key_bytes=16,ecryptfs_sig=$sig"
	refused "name of a cipher too long" EINVAL /lower/cipher "ecryptfs_cipher=$(printf '%050d' 0),ecryptfs_key_bytes=16,ecryptfs_sig=$sig"
	refused "aes with 17 bytes" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=17,ecryptfs_sig=$sig"
	refused "key_bytes of 4294967295" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=4294967295,ecryptfs_sig=$sig"
	refused "key_bytes of -1" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=-1,ecryptfs_sig=$sig"
	refused "key_bytes without a number" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=many,ecryptfs_sig=$sig"
	refused "signature too short" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=0123"
	refused "signature too long" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=${sig}00"
	refused "signature of other characters" EINVAL /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=zzzzzzzzzzzzzzzz"
	refused "key that is nowhere" ENOKEY /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=0123456789abcdef"
	refused "names key that is nowhere" ENOKEY /lower/cipher "$ok,ecryptfs_fnek_sig=0123456789abcdef"
	refused "unknown names cipher" EINVAL /lower/cipher "$ok,ecryptfs_fnek_sig=$sig,ecryptfs_fn_cipher=rot13"
	refused "names key length" EINVAL /lower/cipher "$ok,ecryptfs_fnek_sig=$sig,ecryptfs_fn_key_bytes=5"
	head -c 87 /dev/zero >/run/blob
	refused "key blob too short" EINVAL /lower/cipher "$ok" -K /run/blob
	head -c 89 /dev/zero >/run/blob
	refused "key blob too long" EINVAL /lower/cipher "$ok" -K /run/blob
	printf '\002' >/run/blob; head -c 87 /dev/zero >>/run/blob
	refused "key blob of version 2" EINVAL /lower/cipher "$ok" -K /run/blob
	keyctl add user aaaaaaaaaaaaaaaa short @s >/dev/null
	refused "key in the keyring that is too short" EBADMSG /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=aaaaaaaaaaaaaaaa"
	head -c 740 /dev/zero | keyctl padd user bbbbbbbbbbbbbbbb @s >/dev/null
	refused "key in the keyring that is all zeros" EOPNOTSUPP /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=bbbbbbbbbbbbbbbb"
	keyctl pipe "$(keyctl search @s user "$sig")" | keyctl padd user cccccccccccccccc @s >/dev/null
	refused "key in the keyring under another's name" EBADMSG /lower/cipher "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=cccccccccccccccc"
	chown 12345 /lower/cipher
	refused "another's directory with check_dev_ruid" EPERM /lower/cipher "$ok,ecryptfs_check_dev_ruid"
	chown 0 /lower/cipher
	silent=yes
	refused "no such source" ENOENT /lower/nothing "$ok"
	touch /lower/file
	refused "a file as source" ENOTDIR /lower/file "$ok"
	refused "an empty source" EINVAL "" "$ok"
	silent=no
	# and what is accepted: both spellings of each
	for good in "$ok" "cipher=aes,ecryptfs_key_bytes=16,sig=$sig" \
		"$ok,ecryptfs_unlink_sigs,ecryptfs_mount_auth_tok_only,ecryptfs_check_dev_ruid" \
		"$ok,ecryptfs_fnek_sig=$sig,ecryptfs_fn_cipher=twofish,ecryptfs_fn_key_bytes=32"; do
		check "accepted: $good" "$bin/mount-ecfs" -t "$engine" -o "$good" /lower/cipher /upper
		echo "    $(sed -n 's|^[^ ]* /upper [^ ]* \([^ ]*\).*|\1|p' /proc/mounts)"
		umount /upper
	done
	# and what mount(8) says: the way that people type it
	check "accepted: mount -t $engine" mount -i -t "$engine" -o "$ok" /lower/cipher /upper
	umount /upper
}

# --- lower filesystems that can not work

# special TYPE: a filesystem of the kernel's own. None of its files is stored bytes.
special() {
	mkdir -p /run/special
	modprobe "$1" 2>/dev/null
	if mount -t "$1" "$1" /run/special 2>/run/err; then
		refused "$1 as lower" EINVAL /run/special "$ok"
		umount /run/special
	else
		skip "$1 as lower" "$(tail -n 1 /run/err)"
	fi
}

# An encrypting filesystem on another is nothing that anybody wants, and deep.
stacked() {
	mkdir -p /run/first
	"$bin/mount-ecfs" -t "$1" -o "$ok" /lower/cipher /run/first || { check "$1 mounts" false; return; }
	mkdir -p /run/first/cipher
	refused "$1 on ext4 as lower" EINVAL /run/first/cipher "$ok"
	umount /run/first
}

# Of 30 pairs of mounts at the same moment, each has one that comes up.
pairs_of_mounts() {
	for _i in $(seq 30); do
		for _at in /run/first /run/second; do
			"$bin/mount-ecfs" -t ecfs -o "$ok" /lower/cipher $_at 2>/dev/null &
		done
		wait
		_up=$(grep -cE ' /run/(first|second) ecfs ' /proc/mounts)
		umount -q /run/first /run/second
		[ "$_up" = 1 ] || { echo "$_i: $_up of 2 came up"; return 1; }
	done
	echo "$_i pairs"
}

# Two that write to one lower directory would undo what the other does.
second_writer() {
	in_place
	mkdir -p /run/first /run/second /run/bound
	"$bin/mount-ecfs" -t ecfs -o "$ok" /lower/cipher /run/first || { check "ecfs mounts" false; return; }
	refused "a second mount that writes" EBUSY /lower/cipher "$ok"
	mount --bind /lower/cipher /run/bound
	refused "a second mount that writes, by another path" EBUSY /run/bound "$ok"
	umount /run/bound
	check "a second mount that only reads" "$bin/mount-ecfs" -t ecfs -r -o "$ok" /lower/cipher /run/second
	check_fails "which does not turn into one that writes" mount -o remount,rw /run/second
	echo x >/run/first/file
	check_fails "it reads only" sh -c ': >/run/second/file'
	umount /run/first
	check "it may write when the first has gone" sh -c 'mount -o remount,rw /run/second && echo x >/run/second/file'
	refused "a second mount after a remount" EBUSY /lower/cipher "$ok"
	check "an encrypted view beside it" "$bin/mount-ecfs" -t ecfs -o "$ok,ecryptfs_encrypted_view" /lower/cipher /run/first
	umount /run/first /run/second
	check "two mounts at the same moment" pairs_of_mounts && said
}

foreign() {
	# in a user namespace: root there, nobody here
	silent=yes within='unshare -Urm'
	refused "mounting in a user namespace" EPERM /lower/cipher "$ok" -B "$keys/content"
	silent=no within=''

	rm -f /run/ready
	unshare -Urm sh -c 'mount -t tmpfs tmpfs /mnt && mkdir /mnt/cipher && echo >/run/ready && exec sleep 60' &
	_there=$!
	if wait_for 20 test -e /run/ready; then
		refused "what was mounted in a user namespace as lower" EINVAL /proc/$_there/root/mnt/cipher "$ok"
	else
		skip "what was mounted in a user namespace as lower" "no tmpfs could be mounted in one"
	fi
	kill $_there
	wait $_there 2>/dev/null

	mkdir -p /run/mapped
	mount --bind -o X-mount.idmap=b:0:1000:1 /lower/cipher /run/mapped
	if grep -q ' /run/mapped .*idmapped' /proc/self/mountinfo; then
		refused "an idmapped mount as lower" EINVAL /run/mapped "$ok"
	else
		skip "an idmapped mount as lower" "this mount(8) makes none: $(mount --version)"
	fi
	umount /run/mapped
}

part_refused() {
	fs_case aes128
	sig=$case_sig
	ok=ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=$sig
	for lower in proc sysfs debugfs tracefs securityfs cgroup2 devpts configfs hugetlbfs mqueue \
		bpf pstore binfmt_misc fusectl; do
		special $lower
	done
	for lower in /proc/self/fd /sys/kernel; do
		refused "$lower as lower" EINVAL $lower "$ok"
	done
	in_place
	mkdir -p /run/a /run/b /run/c /run/o1 /run/o2 /run/w1 /run/w2
	mount -t tmpfs tmpfs /run/c && mkdir /run/c/u1 /run/c/w1 /run/c/u2 /run/c/w2
	mount -t overlay overlay -o lowerdir=/run/a,upperdir=/run/c/u1,workdir=/run/c/w1 /run/o1 &&
		mount -t overlay overlay -o lowerdir=/run/o1:/run/b /run/o2
	check "an overlay on an overlay" mountpoint -q /run/o2 &&
		refused "an overlay on an overlay as lower" EINVAL /run/o2 "$ok"
	umount /run/o2 /run/o1 /run/c
	for lower in ecfs ecryptfs; do
		fs_ready $lower && stacked $lower
	done
	foreign
	[ "$engine" != ecfs ] || second_writer
	umount /lower
	if fs_init -O casefold -E encoding=utf8 2>/run/err; then
		mkdir -p /lower/fold /lower/cipher/inner /lower/cipher/late
		check "directories that fold case" chattr +F /lower/fold /lower/cipher/inner
		refused "a case-folding directory as lower" EINVAL /lower/fold "$ok"
		fs_case aes128
		if fs_mount "$type" /lower/cipher /upper; then
			check_fails "refused: a case-folding directory further down" ls /upper/inner
			check_fails "refused: case folding through the mount" chattr +F /upper/late
			ls -d /upper/late && chattr +F /lower/cipher/late && : >/lower/cipher/late/x
			check_fails "refused: case folding that begins below" stat /upper/late/X
			check "the rest of it works" sh -c 'echo x >/upper/x && cat /upper/x'
			umount /upper
		fi
		umount /lower
		fs_init
	else
		skip "case folding" "$(head -n 1 /run/err)"
		fs_init
	fi
}

# --- lower filesystems that fail while in use

# small_lower SIZE [PERCENT_FOR_ROOT]
small_lower() {
	umount /small 2>/dev/null
	mkdir -p /small
	rm -f /lower/small.img
	truncate -s "$1" /lower/small.img
	mkfs.ext4 -q -F -m "${2-0}" -O ^has_journal /lower/small.img && mount -o loop /lower/small.img /small && mkdir /small/cipher
}

# What fsync() said was written is there afterwards, whatever came after it.
full() {
	small_lower 12M || return 1
	fs_case "$1"
	fs_mount "$type" /small/cipher /upper || return 1
	python3 - <<-'END' || { umount /upper /small; return 1; }
		import errno, hashlib, os, sys
		done, failed = {}, 0
		for i in range(400):
		    data = bytes([i % 251]) * 50000
		    path = f"/upper/file-{i}"
		    try:
		        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
		    except OSError as e:
		        failed += 1
		        if e.errno != errno.ENOSPC:
		            sys.exit(f"{path}: {e}")
		        if os.path.exists(path):
		            sys.exit(f"{path} is there though it was not created")
		        continue
		    try:
		        n = os.write(fd, data)
		        os.fsync(fd)
		        done[path] = data[:n]
		    except OSError as e:
		        failed += 1
		        if e.errno not in (errno.ENOSPC, errno.EIO):
		            sys.exit(f"{path}: {e}")
		    finally:
		        try:
		            os.close(fd)
		        except OSError:
		            pass
		if not done or not failed:
		    sys.exit(f"{len(done)} written, {failed} refused: not what a full disk gives")
		open("/run/full.list", "w").write("\n".join(f"{p} {len(d)} {d[0]}" for p, d in done.items()))
		print(f"{len(done)} files written, {failed} refused")
	END
	umount /upper || return 1
	echo 3 >/proc/sys/vm/drop_caches
	fs_mount "$type" /small/cipher /upper || return 1
	python3 - <<-'END'
		import os, sys
		for line in open("/run/full.list"):
		    path, size, byte = line.split()
		    data = open(path, "rb").read()
		    if data != bytes([int(byte)]) * int(size):
		        sys.exit(f"{path}: not what was written and synced")
		# what failed reads as nothing, or as a prefix: never as noise
		for name in os.listdir("/upper"):
		    if name == "lost+found":
		        continue
		    data = open(f"/upper/{name}", "rb").read()
		    byte = int(name.split("-")[1]) % 251
		    if any(b not in (byte, 0) for b in data):
		        sys.exit(f"{name}: noise")
		# room again: it goes on
		for name in list(os.listdir("/upper"))[:20]:
		    os.unlink(f"/upper/{name}")
		with open("/upper/after", "wb") as file:
		    file.write(b"after" * 20000)
		    file.flush()
		    os.fsync(file.fileno())
	END
	_status=$?
	umount /upper && umount /small && return $_status
}

turned_read_only() {
	small_lower 32M || return 1
	fs_case aes128
	fs_mount "$type" /small/cipher /upper || return 1
	echo before >/upper/file
	sync
	# dirty data of ours may hold the lower file open for writing: that is what fsync is for
	echo 3 >/proc/sys/vm/drop_caches
	mount -o remount,ro /small || { umount /upper; mount -o remount,ro /small && fs_mount "$type" /small/cipher /upper; } || return 1
	_fault=''
	[ "$(cat /upper/file)" = before ] || _fault="not readable"
	if echo x 2>/run/err >/upper/new; then _fault="created"; fi
	grep -qE 'Read-only|Operation not permitted' /run/err || _fault="create: $(cat /run/err)"
	if echo x 2>/run/err >>/upper/file; then _fault="written"; fi
	if rm /upper/file 2>/run/err; then _fault="removed"; fi
	umount /upper || _fault="busy"
	umount /small
	echo "$_fault"
	[ -z "$_fault" ]
}

# room CHECK [PERCENT_FOR_ROOT [MORE_OPTIONS]]: one check of the program, on a small filesystem
room() {
	small_lower 40M "${2-0}" || return 1
	chmod 777 /small/cipher
	fs_case aes128
	case_options=$case_options${3-}
	fs_mount "$type" /small/cipher /upper || return 1
	timeout 120 "$bin/room" "$1" /upper /small/cipher
	_status=$?
	umount /upper && umount /small && return $_status
}

# The disk goes away under dirty data: fsync says so, once told, and unmounting works.
disk_gone() {
	fs_flaky || return 1
	fs_case aes128
	fs_mount "$type" /small/cipher /upper || return 1
	head -c 300000 /dev/urandom >/upper/file
	sync
	fs_flaky_set error
	python3 - <<-'END'
		import os, sys
		fd = os.open("/upper/file", os.O_RDWR)
		try:
		    os.pwrite(fd, b"x" * 100000, 0)
		    os.fsync(fd)
		except OSError as e:
		    print(f"fsync: {e}")
		    sys.exit(0)
		sys.exit("fsync said that all is well")
	END
	_status=$?
	fs_flaky_set linear
	timeout 30 umount /upper || _status=1
	umount /small
	fs_flaky_end
	return $_status
}

part_failing() {
	check "lower full: nothing synced is lost, header" full aes128 && said
	check "lower full: nothing synced is lost, xattr" full aes128-xattr && said
	check "lower full: what write() counts is below" room growth-under-flusher && said
	check "lower full: a gap that cannot fit is refused at once" room long-gap && said
	check "lower full: root's reserve is kept" room reserve-kept 25 && said
	check "lower full: truncation keeps dirty data" room truncation-keeps-dirty 0 ,ecryptfs_passthrough
	check "lower full: an error that was cured" room cured-error 0 ,ecryptfs_passthrough
	check "lower turned read-only" turned_read_only
	check "lower disk gone: fsync says so" disk_gone && said
}

fs_ready "$engine" || { check "$engine is in this kernel" false; finish; }
fs_init || exit 1
for part in $parts; do
	part_"$part"
	! mounted || { check "$part: left mounted" false; umount -l /upper; }
done
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
