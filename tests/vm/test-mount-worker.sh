#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=1200
# The mount worker against a broker that this test plays: plans good and bad, imports, busy
# mounts, no broker at all: see mount_worker.py.
exec python3 "$(dirname "$0")/mount_worker.py" "$@"
