#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs inside the tree of ./run: which files and which PAM stacks are there after each way to put our
# packages in the place of ecryptfs-utils and to take them away again, and that people can log in.
. "$GUEST/guest.sh"
ours='ecryptfsd libpam-ecryptfs'
module=$(dirname "$(ls /usr/lib/*/security/pam_unix.so)")/pam_ecryptfs.so

quiet() {	# what it says stands in /tmp/said; apt talks to a terminal
	_rc=0
	"$@" >/tmp/said 2>&1 || _rc=$?
	sed -i 's/\r$//' /tmp/said
	[ $_rc -eq 0 ] || tail -n 20 /tmp/said
	return $_rc
}
apt() { quiet apt-get -q -y --no-install-recommends "$@"; }
theirs() { quiet dpkg -i /peers/debs/*.deb; }

pam_lines() {
	sed -n 's/[[:space:]]*$//; s/^\([a-z]*\)[[:space:]].*\(pam_ecryptfs\.so.*\)/\1 \2/p' /etc/pam.d/* | sort
}

# Man pages and translations are not in such a tree.
all_files() {
	_missing=$(dpkg --verify "$@" | grep -vE ' /usr/share/(man|locale)')
	[ -z "$_missing" ] || { echo "$_missing"; return 1; }
}

no_trace() {
	[ -z "$(pam_lines)" ] && [ -z "$(dpkg-divert --list '*ecryptfs*')" ] && [ ! -e "$module" ] &&
		[ ! -e /usr/sbin/mount.ecryptfs ] && [ ! -e /usr/sbin/umount.ecryptfs ] &&
		[ -z "$(find /usr/share/pam-configs -name '*ecryptfs*')" ] && return
	pam_lines
	dpkg-divert --list '*ecryptfs*'
	ls -l "$module" /usr/sbin/*mount.ecryptfs /usr/share/pam-configs
	return 1
}

stacks_are() {
	[ "$(pam_lines | tr '\n' ',')" = "$1" ] || { pam_lines; return 1; }
}

# Typed at the prompt of su, by somebody who is not root.
logs_in() {	# USER [PASSWORD]
	python3 - "$@" <<-'END'
		import sys
		sys.path.insert(0, "/tests/vm/lib")
		import homes
		user = sys.argv[1]
		term = homes.login_su(user, sys.argv[2] if sys.argv[2:] else homes.PASSWORDS[user])
		status, text = term.run("id -un")
		homes.logout(term)
		sys.exit(0 if text.split() == [user] else text)
	END
}

home_is_untouched() { (cd /home/.ecryptfs && find . -type f -exec sha256sum {} + | cmp - /tmp/before); }

people() {	# WHAT
	check "$1: nora logs in" logs_in nora
	check "$1: alice logs in" logs_in alice
	check_fails "$1: nora does not with another password" logs_in nora 'not the password'
	check "$1: every file of alice's lower directory is as it was" home_is_untouched
}

ours_only() {	# WHAT
	check "$1: all our files are there" all_files $ours
	check "$1: our module is in each stack once" \
		stacks_are 'auth pam_ecryptfs.so,password pam_ecryptfs.so,session pam_ecryptfs.so,session pam_ecryptfs.so,'
	check "$1: no diversion is left" test -z "$(dpkg-divert --list '*ecryptfs*')"
	check_fails "$1: ecryptfs-utils is not installed" grep -q '^i' <<-END
		$(dpkg-query -W -f '${db:Status-Status}' ecryptfs-utils | sed 's/^installed/i/')
	END
	people "$1"
}

theirs_only() {	# WHAT
	check "$1: all files of ecryptfs-utils are there" all_files ecryptfs-utils
	check "$1: its module is in each stack once" \
		stacks_are 'auth pam_ecryptfs.so unwrap,password pam_ecryptfs.so,session pam_ecryptfs.so unwrap,session pam_ecryptfs.so unwrap,'
}

check "a home of ecryptfs-utils, two people" python3 -c '
import sys
sys.path.insert(0, "/tests/vm/lib")
import homes
homes.VECTORS = "/tests/vectors/legacy-ecryptfs.tar.xz"
homes.add_user("alice", 1000)
homes.add_user("nora")
homes.place_legacy_home()'
(cd /home/.ecryptfs && find . -type f -exec sha256sum {} +) >/tmp/before

check "ecryptfs-utils installs" theirs
theirs_only "ecryptfs-utils"
check "ours over it, by dpkg" quiet dpkg -i /debs/ecryptfsd_*.deb /debs/libpam-ecryptfs_*.deb
ours_only "by dpkg"

check "ecryptfs-utils over ours, by apt" apt install /peers/debs/*.deb
theirs_only "ecryptfs-utils over ours"
check "ours over it, by apt" apt install /debs/ecryptfsd_*.deb /debs/libpam-ecryptfs_*.deb
ours_only "by apt"
check "ours once more, as an upgrade" quiet dpkg -i /debs/ecryptfsd_*.deb /debs/libpam-ecryptfs_*.deb
ours_only "upgrade"

mkdir -p /run/ecryptfsd/mounts
touch /run/ecryptfsd/mounts/home-1000.json
check_fails "ours are not removed while a home is open" apt remove $ours
check "what to do then is said" grep -q '^ecryptfsctl lock-all$' /tmp/said
ours_only "refused"
rm /run/ecryptfsd/mounts/home-1000.json
check "ours are removed" apt remove $ours
check "removed: whose home stays closed is said" grep -q 'from now on: alice$' /tmp/said
check "removed: nothing of ours is in use" no_trace
people "removed"

check "ecryptfs-utils once more" theirs
check_fails "our module alone wants ecryptfsd" quiet dpkg -i /debs/libpam-ecryptfs_*.deb
people "half an installation"
check "ours by apt, which mends that" apt --fix-broken install /debs/ecryptfsd_*.deb /debs/libpam-ecryptfs_*.deb
ours_only "mended"

mkdir -p /var/lib/ecryptfsd/vaults
check "ours and what was ecryptfs-utils are purged" quiet dpkg --purge $ours ecryptfs-utils
check "purged: nothing of ours is in use" no_trace
check "purged: no state is left" test ! -e /var/lib/ecryptfsd
people "purged"
finish
