#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 timeout=1200
# vm-waits: one row, an import onto a full disk, failed once with the packages: to be looked into
# The mount worker against a broker that this test plays: plans good and bad, imports, busy
# mounts, no broker at all: see mount_worker.py.
exec python3 "$(dirname "$0")/mount_worker.py" "$@"
