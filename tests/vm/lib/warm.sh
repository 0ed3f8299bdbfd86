# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Guests that have booted already. Under emulation a boot is most of what a short script costs, so
# the state of a machine that waits for its script is kept beside its image: memory, devices and
# disk. Sourced by tests/vm/run, which sets up the machine; nothing is mounted in such a guest yet,
# and it takes time and script from the one that it wakes up in.

warm_key() {	# what the state depends on, besides the image
	{
		"${qemu[@]}" --version
		printf '%s\n' "${accel[@]}" "$memory" "$cpus"
		hash_files tests/vm/run tests/vm/lib/warm.sh
	} | sha256sum | cut -c1-16
}

# Commands for qemu's monitor, each when the one before has ended.
monitor() {	# SOCKET COMMAND...
	python3 - "$@" <<-'END' 2>/dev/null
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(120)
	s.connect(sys.argv[1])
	def prompt():
	    seen = b""
	    while not seen.endswith(b"(qemu) "):
	        got = s.recv(4096)
	        if not got:
	            break
	        seen += got
	    return seen.decode(errors="replace")
	prompt()
	for line in sys.argv[2:]:
	    s.sendall(line.encode() + b"\n")
	    print(prompt())
	END
}

# keep_warm IMAGE DIR: boots a guest up to where it waits, and leaves its disk and state in DIR.
keep_warm() {
	local image=$1 dir=$2 work end go
	rm -rf "${dir%-*}"-*
	work=$(mktemp -d "$build/vm/warm.XXXXXX")
	mkdir -p "$work/job" "$work/share" "$dir.new"
	cp --sparse=always --reflink=auto "$image/disk" "$dir.new/disk"
	# A line that never comes, but no end either: a port that has ended takes no answer.
	mkfifo "$work/go"
	exec {go}<>"$work/go"
	machine "$work" "$dir.new/disk,snapshot=off" "$work/go" "$work/console" "$work/share"
	setpriv --pdeathsig KILL "${command[@]}" >"$work/qemu.log" 2>&1 </dev/null 8>&- &
	end=$((SECONDS + 240))
	until [ -s "$work/ready" ] || [ $SECONDS -ge $end ] || ! kill -0 $! 2>/dev/null; do
		sleep 0.3
	done
	if [ -s "$work/ready" ]; then
		sleep 3		# what still starts beside it
		monitor "$work/monitor" 'migrate_set_parameter max-bandwidth 8G' \
			"migrate file:$dir.new/state" 'info migrate' quit >"$work/said" || :
	fi
	exec {go}>&-
	kill -9 $! 2>/dev/null || :
	wait $! 2>/dev/null || :
	if ! grep -q 'completed' "$work/said" 2>/dev/null; then
		cat "$work/qemu.log" "$work/said" "$work/console" || :
		rm -rf "$dir.new" "$work"
		return 1
	fi
	rm -rf "$work"
	mv "$dir.new" "$dir"
}

# find_warm IMAGE: sets warm to the directory of a state for this machine, made if need be; to
# nothing where it cannot be made, and then the guest boots.
find_warm() {
	local image=$1 log=$logs/vm-warm-$kernel.log start=$SECONDS
	warm=$image/warm-$cpus-$(warm_key)
	exec 8>"$image.warm.lock"
	flock 8
	if [ ! -d "$warm" ]; then
		note "  ... a $kernel guest that has booted"
		if keep_warm "$image" "$warm" >"$log" 2>&1; then
			note "      $((SECONDS - start)) s"
		else
			note "      no state of it was kept, see ${log#"$top"/}: each guest boots"
			warm=''
		fi
	fi
	exec 8>&-
}
