# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the base of a guest has besides its packages. Called by mmdebstrap with the tree, through
# tools/vm-image; a change here makes the base anew.

# What goes into the base besides the packages.
customize_base() {
	local root=$1
	echo vm >"$root/etc/hostname"
	printf '127.0.0.1 localhost vm\n::1 localhost\n' >"$root/etc/hosts"
	printf '/dev/vda / ext4 rw,noatime 0 1\n' >"$root/etc/fstab"
	install -d "$root/job" "$root/share" "$root/tests" "$root/peers"
	install -m 0644 "$top/tests/vm/lib/guest-job.service" "$root/etc/systemd/system/"
	chroot "$root" systemctl -q enable guest-job.service serial-getty@ttyS1.service
	# No escape sequences between a test and the prompt it waits for.
	install -d "$root/etc/systemd/system/serial-getty@ttyS1.service.d"
	printf '[Service]\nEnvironment=TERM=dumb\n' >"$root/etc/systemd/system/serial-getty@ttyS1.service.d/vm.conf"
	# Time-driven work would only blur what a test measures.
	chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-tmpfiles-clean.timer \
		man-db.timer logrotate.timer getty@tty1.service \
		serial-getty@ttyS0.service
	install -d "$root/etc/ssh/sshd_config.d" "$root/var/log/journal"
	# A password takes 0.3 s of an emulated processor to hash; this is the least that yescrypt has, a quarter.
	sed -i 's/\byescrypt$/yescrypt rounds=3/' "$root/usr/share/pam-configs/unix"
	grep -q 'rounds=3' "$root/usr/share/pam-configs/unix"
	# Of the exchanges of keys the one that is quickest where every instruction is emulated.
	printf '%s\n' 'PasswordAuthentication yes' 'PermitRootLogin no' 'UseDNS no' \
		'KexAlgorithms curve25519-sha256' >"$root/etc/ssh/sshd_config.d/vm.conf"
	rm -f "$root"/etc/ssh/ssh_host_{rsa,ecdsa}_key*
	rm -f "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
	: >"$root/etc/machine-id"
	rm -rf "$root"/var/cache/apt/*.bin "$root"/usr/share/doc/*/changelog*
}

# The initrd: only what a disk, the console and 9p need, because unpacking it is half of a boot.
initrd_settings() {
	local root=$1
	install -d "$root/etc/initramfs-tools/conf.d" "$root/etc/initramfs-tools/hooks"
	printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' >"$root/etc/initramfs-tools/conf.d/vm"
	cat >"$root/etc/initramfs-tools/hooks/vm" <<-'END'
		#!/bin/sh
		[ "$1" = prereqs ] && exit 0
		. /usr/share/initramfs-tools/hook-functions
		manual_add_modules virtio_pci virtio_blk virtio_console ext4 crc32c_generic 9p 9pnet_virtio
		printf '%s\n' virtio_pci virtio_blk ext4 >>"$DESTDIR/conf/modules"
	END
	chmod 0755 "$root/etc/initramfs-tools/hooks/vm"
}
