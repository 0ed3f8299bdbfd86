#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=600 host-before=tests/fs/build
# The power goes while files are written: ext4 is shut down below, and mounted again. ROUNDS times
# (16) for metadata in a header and in the xattr. And the crash that left files that nobody could
# append to: the size is on the disk, the data that it counts is not. Then who hears of what is lost
# below, and whose keys open a file.
# Arguments: the filesystem (ecfs), parts (promised crashes syncfs flush keys). ROUNDS and SEED come
# from the environment.
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
parts=${*:-promised crashes syncfs flush keys}
rounds=${ROUNDS:-16}
seed=${SEED:-20261121}

again() {
	umount /upper && umount /lower && mount -o noatime,commit="$1" /dev/vdb /lower &&
		"$bin/mount-ecfs" -t "$engine" -o "$case_options" /lower/cipher /upper
}

begin() {
	umount /upper 2>/dev/null
	fs_case "$1" && rm -rf /lower/cipher && mkdir /lower/cipher &&
		fs_mount "$engine" /lower/cipher /upper && again "$2"
}

# --- the size is stored in place at once, the end of the lower file with the next commit

# die FILE WHAT: of the lower FILE either the data reaches the disk and the journal does not, or the
# other way round: it has the attribute.
die() {
	python3 - "$@" <<-'END'
		import ctypes, fcntl, os, struct, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		data = sys.argv[2] == "data"
		if data and ctypes.CDLL(None).sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), 7):
		    sys.exit("sync_file_range")
		fcntl.ioctl(fd, 0x8004587d, struct.pack("I", 2 if data else 1))
	END
}

promised() {
	begin "$1" 60 || return 1
	head -c 4096 /dev/zero >/upper/log && sync && head -c 5000 /dev/zero >>/upper/log || return 1
	die /lower/cipher/log "$2" && fs_log >/dev/null && again 60 || return 1
	if [ "$2" = data ]; then
		_promised=$(od -An -t u8 --endian=big -N 8 /lower/cipher/log)
	else
		_promised=$(getfattr --only-values -n user.ecryptfs /lower/cipher/log | od -An -t u8 --endian=big -N 8)
	fi
	_below=$(stat -c %s /lower/cipher/log)
	_size=$(stat -c %s /upper/log)
	cat /upper/log >/run/read && [ "$(stat -c %s /run/read)" = "$_size" ] || return 1
	cmp -n "$_size" /run/read /dev/zero && [ "$_size" -ge 4096 ] || return 1
	cat /upper/log >/dev/null
	_lines=$(fs_log | grep -c 'promises')
	printf appended >>/upper/log || return 1
	umount /upper && fs_mount "$engine" /lower/cipher /upper || return 1
	[ "$(tail -c 8 /upper/log)" = appended ] && [ "$(stat -c %s /upper/log)" = $((_size + 8)) ] || return 1
	[ "$(fs_log | grep -c promises)" = 0 ] || { echo "the size was not stored"; return 1; }
	echo "below $_below bytes, header$_promised: $_size bytes, $_lines lines in the log"
	[ "$_promised" -eq 9096 ] && [ "$_size" = 4096 ] && [ "$_lines" = 1 ]
}

# replaced WAY: new content under the old name, not synced, and the journal commits then. A program
# that saves so finds the old content or the new one, where the filesystem below does so much: ext4.
replaced() {
	begin aes128 60 || return 1
	head -c 9000 /dev/zero | tr '\0' o >/upper/text && : >/lower/other && sync || return 1
	python3 - "$1" <<-'END'
		import fcntl, os, struct, sys, time
		new = b"n" * 7000
		if sys.argv[1] == "truncated":
		    with open("/upper/text", "wb") as file:
		        file.write(new)
		else:
		    file = open("/upper/text.new", "wb")
		    file.write(new)
		    file.flush()
		    if sys.argv[1] == "renamed-closed":
		        file.close()
		    os.rename("/upper/text.new", "/upper/text")
		time.sleep(1)
		other = os.open("/lower/other", os.O_RDWR)
		os.write(other, b"x")
		os.fsync(other)
		fcntl.ioctl(other, 0x8004587d, struct.pack("I", 2))
	END
	again 5 && cat /upper/text >/run/read || return 1
	_n=$(stat -c %s /run/read)
	echo "$1: $_n bytes, $(tr -d n </run/read | wc -c) of them not new"
	[ "$_n" = 7000 ] && [ -z "$(tr -d n </run/read)" ] || [ "$(tr -d o </run/read | wc -c) $_n" = "0 9000" ]
}

part_promised() {
	check "a size without its data, header" promised aes128 data && said
	check "a size without its data, xattr" promised aes128-xattr journal && said
	for way in renamed-closed renamed-open truncated; do
		check "replaced without a sync: $way" replaced $way && said
	done
}

# --- crashes at any moment

crashes() {
	begin "$1" 1 || return 1
	export case_options engine bin
	"$bin/crash" -n "$rounds" -s "$seed" -c "umount /upper && umount /lower &&
		mount -o noatime,commit=1 /dev/vdb /lower &&
		$bin/mount-ecfs -t $engine -o $case_options /lower/cipher /upper" /upper /lower/cipher
}

part_crashes() {
	check "$rounds crashes, header, seed $seed" crashes aes128 && said
	check "$rounds crashes, xattr, seed $seed" crashes aes128-xattr && said
}

# --- syncfs() hears of what the lower filesystem lost, also when that met it on its own

lost_below() {
	fs_flaky || return 1
	fs_case aes128
	fs_mount "$engine" /small/cipher /upper || return 1
	head -c 300000 /dev/urandom >/upper/file
	sync
	python3 - "$GUEST/fs.sh" "$flaky_loop" <<-'END'
		import ctypes, os, subprocess, sys
		libc = ctypes.CDLL(None, use_errno=True)
		def disk(state):
		    subprocess.run(["sh", "-c", '. "$0"; flaky_loop=$1; fs_flaky_set "$2"', *sys.argv[1:], state],
		                   check=True)
		def flush(fd):
		    return libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), 7)
		fd = os.open("/upper/file", os.O_RDWR)
		below = os.open("/small/cipher/file", os.O_RDONLY)
		if libc.syncfs(fd):
		    sys.exit("syncfs before anything happened")
		os.pwrite(fd, b"x" * 100000, 0)
		if flush(fd):
		    sys.exit("not even the lower page cache took it")
		disk("error")
		if not flush(below):
		    sys.exit("the lower filesystem lost nothing")
		disk("linear")
		first, err = libc.syncfs(fd), ctypes.get_errno()
		second = libc.syncfs(fd)
		print(f"syncfs: {first} ({os.strerror(err) if first else 'all is well'}), then {second}")
		sys.exit(not (first and not second))
	END
	_status=$?
	umount /upper && umount /small || _status=1
	fs_flaky_end
	return $_status
}

# Data is below, the size is not yet, and cannot be stored any more.
size_not_stored() {
	begin aes128 60 || return 1
	python3 - <<-'END'
		import ctypes, fcntl, os, struct, sys
		libc = ctypes.CDLL(None, use_errno=True)
		fd = os.open("/upper/file", os.O_RDWR | os.O_CREAT)
		os.write(fd, b"x" * 5000)
		lower = os.open("/lower", os.O_RDONLY)
		fcntl.ioctl(lower, 0x8004587d, struct.pack("I", 2))
		first, err = libc.syncfs(fd), ctypes.get_errno()
		print(f"syncfs: {first} ({os.strerror(err) if first else 'all is well'})")
		sys.exit(not first)
	END
	_status=$?
	again 5 && return $_status
}

part_syncfs() {
	check "syncfs tells what was lost below" lost_below && said
	check "syncfs tells of a size that was not stored" size_not_stored && said
}

# --- a filesystem below that gives its verdict at close()

flush_refused() {
	umount /upper 2>/dev/null
	rm -rf /run/behind && mkdir -p /run/behind /run/served && modprobe fuse &&
		python3 "$GUEST/fs-fuse.py" /run/behind /run/served && fs_case aes128 &&
		fs_mount "$engine" /run/served /upper || return 1
	python3 - <<-'END'
		import errno, os, sys
		def close():
		    fd = os.open("/upper/file", os.O_RDWR | os.O_CREAT)
		    os.write(fd, b"content")
		    try:
		        os.close(fd)
		    except OSError as e:
		        return e.errno
		    return 0
		before = close()
		open("/run/behind.flush-errno", "w").write(str(errno.EDQUOT))
		refused = close()
		os.unlink("/run/behind.flush-errno")
		after = close()
		print(f"close: {before}, {refused} ({os.strerror(refused)}), {after}")
		sys.exit((before, refused, after) != (0, errno.EDQUOT, 0))
	END
	_status=$?
	umount /upper && umount /run/served && return $_status
}

part_flush() {
	check "close() hears what the filesystem below says" flush_refused && said
}

# --- a key from a keyring: only the right one, and only from who owns the file

# as UID TOKEN COMMAND...: with that token alone in a session keyring of its own
as() {
	_uid=$1 _token=$2
	shift 2
	setpriv --reuid "$_uid" --regid "$_uid" --clear-groups keyctl session - sh -c \
		'[ "$1" = none ] || keyctl padd user "$2" @s <"$1" >/dev/null || exit 9; shift 2; exec "$@"' \
		sh "$_token" "$sig" "$@" 2>/run/as.err
}

foreign_keys() {
	begin aes128 5 && umount /upper || return 1
	sig=$(fs_key "the other one" "$keys/other") || return 1
	_id=$(keyctl search @s user "$sig") && keyctl pipe "$_id" >/run/token || return 1
	"$bin/mount-ecfs" -t "$engine" -B "$keys/other" -o "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=$sig" \
		/lower/cipher /upper && echo "the content" >/upper/file && chown 1000:1000 /upper/file && umount /upper || return 1
	python3 - "$keys/other" <<-'END' || return 1
		import sys
		key = open(sys.argv[1], "rb").read()[24:88]
		token = open("/run/token", "rb").read()
		assert token.count(key) == 1
		open("/run/forged", "wb").write(token.replace(key, bytes(b ^ 0x5a for b in key)))
	END
	chmod 644 /run/token /run/forged
	fs_case aes128
	_fault=''
	fs_mount "$engine" /lower/cipher /upper || return 1
	! as 1001 /run/token cat /upper/file >/run/read || _fault="$_fault; another user gave the key"
	! as 1000 none cat /upper/file >/run/read || _fault="$_fault; it was kept for the owner"
	umount /upper && fs_mount "$engine" /lower/cipher /upper || return 1
	! as 1000 /run/forged cat /upper/file >/run/read || _fault="$_fault; a forged key opens it"
	[ "$(as 1000 /run/token cat /upper/file)" = "the content" ] || _fault="$_fault; the owner's key does not: $(as 1000 /run/token cat /upper/file | od -c | head -n 2)"
	[ "$(cat /upper/file)" = "the content" ] || _fault="$_fault; it is not kept for others"
	umount /upper
	echo "${_fault:-5 ways tried}"
	[ -z "$_fault" ]
}

# Nor does a mount take a forged one.
forged_at_mount() {
	keyctl session - sh -c 'keyctl padd user "$1" @s </run/forged >/dev/null &&
		! "$2/mount-ecfs" -t "$3" -o "ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=$1" /lower/cipher /upper' \
		sh "$sig" "$bin" "$engine" || { umount /upper; return 1; }
}

part_keys() {
	check "keys of others" foreign_keys && said
	check "a forged key at the mount" forged_at_mount && said
}

fs_ready "$engine" || { check "$engine is in this kernel" false; finish; }
fs_init || exit 1
for part in $parts; do
	part_"$part"
done
umount /upper
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
