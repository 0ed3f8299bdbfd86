#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=1500
# Damaged documents, full disks, and traps planted where the store reads: see hostile_home.py.
exec python3 "$(dirname "$0")/hostile_home.py" "$@"
