#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1 cpus=1 timeout=1200 host-before=tests/vm/lib/bring-packages
# Our packages over ecryptfs-utils while its homes are open, and purged: see packages.py.
exec python3 "$(dirname "$0")/packages.py" "$@"
