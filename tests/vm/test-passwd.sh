#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=1500
# A changed login password opens the home, and a crash at any step leaves one that works.
exec python3 "$(dirname "$0")/passwd.py" "$@"
