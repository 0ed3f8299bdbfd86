#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=1600
# A home that is being closed: slow services, logins meanwhile, a stop that fails. See closing.py.
exec python3 "$(dirname "$0")/closing.py" "$@"
