#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# pam-auth-update puts the profile into its places: auth and password behind pam_unix, session in
# front of pam_systemd, in both session stacks; and takes all of it away again.
# Runs inside ./in-namespace, where /etc is the test's.
# usage: test-profile.sh PROFILE
set -eu
profile=$(realpath "$1")

skip() {
	echo "SKIP: $1"
	exit 77
}

command -v pam-auth-update >/dev/null || skip "no pam-auth-update here: not a Debian"
[ -e /usr/share/pam-configs/unix ] || skip "no profile of pam_unix here"

scratch=$(mktemp -d /run/profile.XXXXXX)
mkdir "$scratch/configs" "$scratch/pam"
cp /usr/share/pam-configs/unix "$scratch/configs/"
cp "$profile" "$scratch/configs/ecryptfs"
cat >"$scratch/configs/systemd" <<'END'
Name: Register user sessions in the systemd control group hierarchy
Default: yes
Priority: 0
Session-Interactive-Only: yes
Session-Type: Additional
Session:
	optional	pam_systemd.so
END
mount --bind "$scratch/configs" /usr/share/pam-configs
mount --bind "$scratch/pam" /var/lib/pam
cp -a /var/cache/debconf "$scratch/debconf"
mount --bind "$scratch/debconf" /var/cache/debconf
rm -f /etc/pam.d/*
touch /etc/debconf.conf 2>/dev/null || true
cp /usr/share/debconf/debconf.conf /etc/debconf.conf

modules() {
	awk -v type="$2" '$1 == type { for (i = 2; i <= NF; i++) if ($i ~ /^pam_.*\.so$/) print $i }' \
		"/etc/pam.d/$1"
}

# in_order FILE TYPE MODULE...: these modules are there, in this order
in_order() {
	file=$1 type=$2
	shift 2
	have=$(modules "$file" "$type" | grep -xF "$(printf '%s\n' "$@")")
	want=$(printf '%s\n' "$@")
	[ "$have" = "$want" ] || {
		printf '%s, %s: want\n%s\nhave\n%s\n' "$file" "$type" "$want" "$have"
		exit 1
	}
}

export DEBIAN_FRONTEND=noninteractive
pam-auth-update --force --package
in_order common-auth auth pam_unix.so pam_permit.so pam_ecryptfs.so
in_order common-session session pam_unix.so pam_ecryptfs.so pam_systemd.so
in_order common-session-noninteractive session pam_unix.so pam_ecryptfs.so
in_order common-password password pam_unix.so pam_permit.so pam_ecryptfs.so
[ -z "$(modules common-account account | grep ecryptfs)" ]
for file in common-auth common-session common-session-noninteractive common-password; do
	[ "$(grep -c 'optional.*pam_ecryptfs\.so' "/etc/pam.d/$file")" = 1 ]
done

pam-auth-update --package --remove ecryptfs
if grep -l pam_ecryptfs /etc/pam.d/*; then
	echo "left behind"
	exit 1
fi
echo "# 4 stacks have the module in its place, and lose it again"
