# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Which qemu, and which accelerator. Sourced after tools/lib.sh.

# The oldest qemu whose emulated AES is quick; older ones take about 3 times as long.
qemu_wanted=10

# find_qemu: sets the array qemu. A host with an older qemu gets that of Debian 13, unpacked under
# build/ and started with the loader and libraries that came with it: no chroot, no mounts.
find_qemu() {
	local version tree=$build/vm/qemu lib
	version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
	qemu=(qemu-system-x86_64)
	[ "${version:-0}" -lt $qemu_wanted ] || return 0
	if [ ! -x "$tree/usr/bin/qemu-system-x86_64" ]; then
		mkdir -p "$build/vm"
		step qemu "qemu of Debian 13, quicker than the host's ${version:-(none)}" \
			bootstrap trixie "$tree" --variant=extract --include=qemu-system-x86 || {
			[ -n "$version" ] || die "no qemu"
			return 0
		}
	fi
	lib=$tree/usr/lib/x86_64-linux-gnu
	qemu=(env "QEMU_MODULE_DIR=$lib/qemu" "$tree/usr/lib64/ld-linux-x86-64.so.2"
		--library-path "$lib:$tree/usr/lib" "$tree/usr/bin/qemu-system-x86_64"
		-L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
	"${qemu[@]}" --version >/dev/null 2>&1 || qemu=(qemu-system-x86_64)
}

# emulated_cpu: all that qemu can emulate, but for two things. Five levels of page tables cost at each
# miss. And without the "fast string" flags a kernel copies and clears with ordinary instructions,
# which are translated; qemu does `rep movsb` and `rep stosb` a byte at a time: pages are cleared nine
# times as fast then, and copied four.
emulated_cpu() {
	local flags flag cpu=max,la57=off
	flags=$("${qemu[@]}" -cpu help)
	for flag in erms fsrm fsrs fzrm; do
		! grep -qw "$flag" <<<"$flags" || cpu+=,$flag=off
	done
	echo "$cpu"
}

# find_accel IMAGE: sets the array accel. A /dev/kvm may be there and yet hang every kernel, so the
# answer comes from a boot, once for each boot of this machine.
find_accel() {
	local cache=$build/vm/accel boot log=$logs/kvm-probe.log
	boot=$(cat /proc/sys/kernel/random/boot_id)
	accel=(-accel "tcg,thread=multi,tb-size=512" -cpu "$(emulated_cpu)")
	if [ "$(cut -d' ' -f1 "$cache" 2>/dev/null)" != "$boot" ]; then
		rm -f "$log"
		if [ -w /dev/kvm ]; then
			note "  ... does KVM boot a kernel here?"
			timeout -k 1 15 "${qemu[@]}" -accel kvm -cpu host -smp 2 -m 512 -nodefaults -display none \
				-no-reboot -serial "file:$log" -kernel "$1/vmlinuz" -initrd "$1/initrd" \
				-append 'console=ttyS0 panic=-1 root=none rdinit=/bin/true' >/dev/null 2>&1 || :
		fi
		# /bin/true as the first process ends: the kernel got that far, and says so.
		if grep -aq 'Attempted to kill init' "$log" 2>/dev/null; then
			echo "$boot kvm" >"$cache"
		else
			echo "$boot tcg" >"$cache"
		fi
		note "      $(cut -d' ' -f2 "$cache")"
	fi
	if grep -q kvm "$cache"; then
		accel=(-accel kvm -cpu host)
	fi
}
