#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=1200 host-before=tests/vm/lib/bring-utils-tests
# The kernel tests that the source package of ecryptfs-utils carries: all 31 must pass on ecfs. They
# are unpacked from the source package into the guest's memory here, with three changes: the type
# that they mount, the helper that makes keys (ours, as theirs needs their library built), and a
# script for 'xattr', a program that their list names and for which the package lacks the script.
# To compare: "ecryptfs" as argument, the in-tree module.
# Arguments: the filesystem (ecfs), tests (all).
. "$GUEST/guest.sh"
. "$GUEST/fs.sh"
shift $(($# > 0))
image_kib=49152
tests=/run/utils/tests

unpack() {
	mkdir -p /run/utils
	mount -t tmpfs -o size=300m,exec tmpfs /run/utils
	tar -xzf /peers/source/ecryptfs-utils_*.orig.tar.gz -C /run/utils --strip-components=1
	sed -i 's/mount -it ecryptfs/mount -it "$ETL_TYPE"/' $tests/lib/etl_funcs.sh
	grep -q 'mount -it "$ETL_TYPE"' $tests/lib/etl_funcs.sh || return 1
	cat >$tests/lib/etl-add-passphrase-key-to-keyring <<-END
		#!/bin/sh
		printf %s "\$1" >/run/utils/passphrase
		exec $bin/mount-ecfs -a -S "\$2" -k /run/utils/passphrase
	END
	[ -f $tests/kernel/xattr.sh ] ||
		sed 's|^\(.*\)/mmap-dir/test.*|touch $test_dir/file; \1/xattr/test $test_dir/file|' \
			$tests/kernel/mmap-dir.sh >$tests/kernel/xattr.sh
	# compiled where that is quick: bring-utils-tests
	for _test in $tests/kernel/*/test.c; do
		_test=${_test%/test.c}
		cp "$bin/utils/${_test##*/}" "$_test/test" || return 1
	done
	chmod +x $tests/lib/etl-add-passphrase-key-to-keyring $tests/kernel/*.sh $tests/*.sh
}

# Prints "pass NAME" with its seconds, or "fail NAME", for each. Each gets a lower filesystem of its
# own: lp-872905 fills the one it has, with a file that no mount with encrypted names can remove again.
run_tests() {
	ETL_TYPE=$1
	export ETL_TYPE
	shift
	: >/run/utils.log
	# shellcheck disable=SC2046 # a list of names
	[ $# -gt 0 ] || set -- $(. $tests/kernel/tests.rc && echo "$destructive $safe")
	for _test; do
		_test=${_test%.sh}
		_begun=$(date +%s)
		if (cd $tests && timeout 100 ./run_tests.sh -K -t "$_test.sh" -b $image_kib -D /run/utils) \
			>/run/utils.one 2>&1 && grep -q '^1 passed$' /run/utils.one; then
			echo "pass $_test: $(($(date +%s) - _begun)) s"
		else
			echo "fail $_test"
			sed "s/^/$_test: /" /run/utils.one >>/run/utils.log
		fi
		umount -l /tmp/etl-upper-* /tmp/etl-lower-* 2>/dev/null
	done
}

check "the tests unpack" unpack || finish
if fs_ready "$engine"; then
	start=$(date +%s)
	run_tests "$engine" "$@" >/run/utils.out
	n_pass=0 n_all=0
	while read -r verdict name; do
		check "ecryptfs-utils: $name" test "$verdict" = pass && n_pass=$((n_pass + 1))
		n_all=$((n_all + 1))
	done </run/utils.out
	grep -q ^fail /run/utils.out && sed 's/^/    | /' /run/utils.log
	echo "$engine $KERNEL: $n_pass of $n_all, $(($(date +%s) - start)) s (lp-994247 and miscdev-bad-count look only at /dev/ecryptfs, which the in-tree module makes)"
	[ $# -gt 0 ] || check "all 31 of them ran" test "$n_all" -eq 31
else
	check "$engine is in this kernel" false
fi
check "no kernel warning" sh -c '! dmesg | grep -E "WARNING|BUG|Oops"'
finish
