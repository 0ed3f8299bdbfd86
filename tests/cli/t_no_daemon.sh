# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
title every verb that needs the daemon says that it is not there
for verb in list status create unlock lock lock-all passwd; do
	t ecryptfsctl "$verb"
done
t ecryptfsctl --json=short list

title an error of a verb and the exit code survive a closed output
sh -c 'ecryptfsctl list >&-' 2>&1
echo "exit $?"
