#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 timeout=1200 host-before=tests/fs/build
# Other people's testers: fio with checksums in every block, by each way of doing I/O and each kind of
# checksum, read back after the caches are dropped and the filesystem is mounted again; and the
# filesystem stressors of stress-ng, of which each must have done something and found nothing wrong:
# its counts are read, because its exit status alone says little.
# Arguments: the filesystem (ecfs), parts (fio stressors), then names (all).
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
parts=${1:-fio stressors}
shift $(($# > 0))
names=$*
seconds=${SECONDS_EACH:-1}
# Some write at offsets of gigabytes, or until the disk is full: it is full soon.
fs_size=256M

remount() {
	umount /upper && echo 3 >/proc/sys/vm/drop_caches && fs_mount "$engine" /lower/cipher /upper
}

fio_job() {
	_how=$1
	shift
	fio --name=job --directory=/upper --size=6m --verify=crc32c --verify_fatal=1 --randrepeat=0 \
		--output-format=json --output=/run/fio.json --rw=randrw --bsrange=512-24k --bs_unaligned \
		--verify_backlog=200 --fallocate=none "$@" >/run/fio.out 2>&1 ||
		{ cat /run/fio.out; grep -v '^[{} ]' /run/fio.json | head; return 1; }
	python3 - "$_how" <<-'END'
		import json, sys
		text = open("/run/fio.json").read()
		job = json.loads(text[text.index("{"):])["jobs"][0]
		print("%s: %d reads, %d writes, %d KiB, error %d" % (sys.argv[1], job["read"]["total_ios"],
		      job["write"]["total_ios"], job["read"]["io_kbytes"] + job["write"]["io_kbytes"], job["error"]))
		sys.exit(job["error"] != 0 or job["write"]["total_ios"] == 0 or job["read"]["total_ios"] == 0)
	END
}

# Each kind of block that fio can verify, and its verifying threads. Not trimwrite: fio trims by
# BLKDISCARD, which no file has (ENOTTY, on the plain filesystem as well).
verify_modes="md5 crc16 crc32 crc32c crc64 crc7 xxhash sha1 sha256 sha512 sha3-256 meta pattern"

# verify_run ARGUMENT...: a job for each of $modes; one fio, because its start takes the longest
verify_run() {
	for _mode in $modes; do
		set -- "$@" --name="$_mode" --stonewall
		case $_mode in
		pattern) set -- "$@" --verify=pattern --verify_pattern=0x5ec2e7%o ;;
		async) set -- "$@" --verify=crc32c --verify_async=2 ;;
		*) set -- "$@" --verify="$_mode" ;;
		esac
	done
	fio --directory=/upper --size=1m --bs=4k --rw=randwrite --ioengine=psync --fallocate=none --thread \
		--verify_fatal=1 --output-format=json --output=/run/verify.json "$@" >/run/fio.out 2>&1
}

# verify_job MODE ERRNO: that job ended with it, and if that is 0, has read all of its 256 blocks
verify_job() {
	python3 - "$@" <<-'END'
		import json, sys
		text = open("/run/verify.json").read()
		for job in json.loads(text[text.index("{"):])["jobs"]:
		    if job["jobname"] == sys.argv[1]:
		        print("%s: %d blocks read, error %d" % (sys.argv[1], job["read"]["total_ios"], job["error"]))
		        sys.exit(job["error"] != int(sys.argv[2]) or not job["error"] and job["read"]["total_ios"] != 256)
		sys.exit("no such job")
	END
}

# Writes all, mounts afresh, and lets fio look at what is there. Then the other way round: one byte
# of each file changed below, which it must find.
fio_across_mounts() {
	modes=$1
	check "$set: fio writes: $modes" verify_run --do_verify=0 && check "$set: mounted again" remount || return
	verify_run --verify_only
	for mode in $modes; do
		check "$set: fio verify=$mode, across mounts" verify_job "$mode" 0 && said
	done
	umount /upper
	for _lower in /lower/cipher/*; do
		_at=$(($(stat -c %s "$_lower") / 8192 * 4096 + 16))
		_byte=$(od -An -tu1 -j $_at -N 1 "$_lower")
		# shellcheck disable=SC2059 # an octal escape
		printf "\\$(printf %03o $((_byte ^ 1)))" | dd of="$_lower" bs=1 seek=$_at conv=notrunc status=none
	done
	fs_mount "$engine" /lower/cipher /upper
	verify_run --verify_only
	_found=0
	for mode in $modes; do
		verify_job "$mode" 84 >/dev/null && _found=$((_found + 1))		# EILSEQ
	done
	check "$set: fio finds damage below in $_found of $(echo $modes | wc -w) files" test $_found -eq "$(echo $modes | wc -w)"
}

part_fio() {
	for set in aes128 aes256-names aes128-xattr; do
		rm -rf /lower/cipher
		mkdir /lower/cipher
		fs_case $set
		check "$set: mounts" fs_mount "$engine" /lower/cipher /upper || continue
		for io in sync psync vsync pvsync2 mmap posixaio libaio io_uring; do
			if ! fio --enghelp 2>/dev/null | grep -qw $io; then
				skip "$set: fio $io" "this fio has no such engine"
				continue
			fi
			if [ $io = io_uring ] && [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)" = 2 ]; then
				skip "$set: fio $io" "the kernel has it turned off"
				continue
			fi
			check "$set: fio $io" fio_job $io --ioengine=$io --iodepth=4 && said
			[ $set = aes128 ] || [ $io != psync ] || break
		done
		if [ "$engine" = ecfs ]; then
			check "$set: fio libaio, O_DIRECT" fio_job libaio --ioengine=libaio --iodepth=8 --direct=1 --bsrange=4k-16k --bs_unaligned=0 && said
		fi
		check "$set: fio psync, fsync every 16 writes" fio_job psync --ioengine=psync --fsync=16 && said
		rm -rf /upper/*
		if [ $set = aes128 ]; then
			fio_across_mounts "$verify_modes async"
		else
			fio_across_mounts sha256
		fi
		check "$set: unmounts after fio" umount /upper
	done
}

# The class "filesystem" of stress-ng 0.19.02, and then what does I/O on files but is of other classes.
stressors="access acl chattr chdir chmod chown dentry dir dirdeep dirmany dnotify dup
	fallocate fanotify fcntl fd-fork file-ioctl filename filerace flock fpunch fsize fstat
	getdent handle hdd inode-flags inotify io iomix lease link locka lockf lockmix lockofd metamix
	mknod open pseek rename symlink touch umask unlink utime verity xattr
	aio aiol mmapmany readahead revio seek sendfile splice"
# With metadata in the xattr and plain names: those that work the metadata hardest.
xattr_stressors="acl dentry fsize hdd link metamix rename xattr"

# What of that class is no test of the filesystem that it is pointed at.
left_out() {
	case $1 in
	sync-file) echo "begins with 512 MiB of zeros, whatever size it is told; fsx has sync_file_range" ;;
	copy-file) echo "takes no less than 128 MiB of holes, which this format writes: no copy ends in time" ;;
	binderfs) echo "mounts binderfs and works on that" ;;
	bind-mount) echo "mounts /dev/pts and the root again and again; no file is touched" ;;
	fiemap) echo "ecfs refuses the call, because extents of ciphertext are not its own: see fsx" ;;
	eventfd) echo "works on anonymous descriptors" ;;
	ioprio) echo "sets priorities of processes" ;;
	procfs) echo "reads /proc" ;;
	statmount) echo "asks for the mount table" ;;
	*) return 1 ;;
	esac
}

# stress NAME DIRECTORY SECONDS [OPERATIONS]: 0 if both instances passed; 1 if stress-ng skipped them,
# 2 otherwise. The words of stress-ng are in /run/stress.out, $_why says what is wrong.
stress() {
	rm -rf "$2/stress"
	mkdir "$2/stress"
	# what they write by default, a gigabyte each, is no second's work here
	case $1 in
	fallocate|hdd|iomix|readahead|revio) _size="--$1-bytes 16m" ;;
	seek) _size="--seek-size 16m" ;;
	*) _size='' ;;
	esac
	rm -f /run/stress.yaml
	# shellcheck disable=SC2086 # two words or none
	timeout $(($3 + 120)) stress-ng --"$1" 2 --timeout "$3" --temp-path "$2/stress" --verify \
		$_size ${4:+--"$1"-ops "$4"} --metrics --yaml /run/stress.yaml >/run/stress.out 2>&1
	_status=$? _why=''
	_ops=$(sed -n 's/^ *bogo-ops: //p' /run/stress.yaml 2>/dev/null | head -n 1)
	# 3: no resources, 4: not implemented; but when it has skipped all it was asked for, it says 0
	if [ $_status -eq 3 ] || [ $_status -eq 4 ] || { [ $_status -eq 0 ] && grep -q ' skipped: [1-9]' /run/stress.out; }; then
		_why=$(grep -E "$1: .*(skip|not (supported|implemented))" /run/stress.out | head -n 1 |
			sed 's/^stress-ng: [a-z]*: *\[[0-9]*\] //')
		_why=${_why:-$(tail -n 1 /run/stress.out)}
		return 1
	fi
	[ $_status -eq 0 ] || _why="status $_status"
	[ "${_ops:-0}" -gt 0 ] || _why="$_why, no operation"
	grep -qE " passed: 2: $1 " /run/stress.out || _why="$_why, not both passed"
	! grep -qE 'fail:|error:' /run/stress.out || _why="$_why, it found something"
	[ -z "$_why" ] || return 2
}

run_stressors() {
	_set=$1
	shift
	rm -rf /lower/cipher /lower/plain
	mkdir /lower/cipher /lower/plain
	fs_case "$_set"
	check "$_set: mounts for stress-ng" fs_mount "$engine" /lower/cipher /upper || return
	for name; do
		stress "$name" /upper "$seconds"
		_verdict=$?
		# an operation of some is a round of large writes, or a sync of the whole system
		if [ $_verdict -eq 2 ] && [ "$_why" = ", no operation" ]; then
			stress "$name" /upper 60 2
			_verdict=$?
		fi
		case $_verdict in
		0) check "$_set: stress-ng $name: $_ops operations" true ;;
		1)
			_here=$_why
			stress "$name" /lower/plain "$seconds"
			if [ $? -eq 1 ]; then
				skip "stress-ng $name" "on plain ext4 as well: $_here"
			else
				echo "    | $_here"
				check "$_set: stress-ng $name skips here and not on plain ext4" false
			fi
			;;
		*)
			sed 's/^/    | /' /run/stress.out | tail -n 12
			check "$_set: stress-ng $name: $_why" false
			;;
		esac
	done
	rm -rf /upper/stress
	check "$_set: unmounts after stress-ng" umount /upper
}

# Each stressor of the class is run, or there is a reason why not.
all_placed() {
	_n=0
	for _name in $(stress-ng --class 'filesystem?' | sed -n 's/^class .* stressors: *//p'); do
		_n=$((_n + 1))
		for _run in $stressors; do
			[ "$_run" != "$_name" ] || continue 2
		done
		left_out "$_name" || { echo "$_name: neither run nor left out"; return 1; }
	done
	echo "$_n in the class"
	[ $_n -gt 0 ]
}

part_stressors() {
	check "each filesystem stressor of $(stress-ng --version | cut -d' ' -f1-3) is run or has its reason" all_placed && said
	if [ -n "$names" ]; then
		# shellcheck disable=SC2086 # a list
		run_stressors aes128-names-fn16 $names
		return
	fi
	for name in binderfs bind-mount copy-file eventfd fiemap ioprio procfs statmount sync-file; do
		echo "    left out: $name: $(left_out $name)"
	done
	# shellcheck disable=SC2086 # lists
	run_stressors aes128-names-fn16 $stressors
	# shellcheck disable=SC2086
	run_stressors aes128-xattr $xattr_stressors
}

fs_ready "$engine" || { check "$engine is in this kernel" false; finish; }
fs_init || exit 1
for part in $parts; do
	part_"$part"
done
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
