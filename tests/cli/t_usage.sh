# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
title help and version
t ecryptfsctl --help
t ecryptfsctl create --help
t ecryptfsctl lock -h
t ecryptfsctl --version

title wrong usage is exit code 2, and says where to read on
t ecryptfsctl frobnicate
t ecryptfsctl --frobnicate
t ecryptfsctl unlock --force
t ecryptfsctl list --user alice
t ecryptfsctl list extra
t ecryptfsctl unlock one two
t ecryptfsctl inspect
t ecryptfsctl --json=xml list
t ecryptfsctl create --key-bytes=many
t ecryptfsctl create --key-bytes=-1
t ecryptfsctl unlock --key-fd=x
t ecryptfsctl unlock --key-fd=3 --key-file=k
t ecryptfsctl create --user alice dir
t ecryptfsctl lock --plain

title a passphrase cannot be given on the command line
t ecryptfsctl unlock --key=secret
t ecryptfsctl unlock --passphrase=secret
