#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.1,6.12 cpus=1 timeout=2100
# Who gets in, by which way, and what is left afterwards: see login.py.
exec python3 "$(dirname "$0")/login.py" "$@"
