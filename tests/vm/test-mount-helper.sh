#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=1200
# mount -t ecryptfs at a terminal and from scripts, through ecfs and the in-tree module: see
# mount_helper.py.
exec python3 "$(dirname "$0")/mount_helper.py" "$@"
