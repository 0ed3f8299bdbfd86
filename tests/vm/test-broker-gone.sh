#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 cpus=1 timeout=1800 host-before=tests/vm/lib/bring-fake-broker
# The broker absent, killed, stopped, talking nonsense: nobody is locked out. See broker_gone.py.
exec python3 "$(dirname "$0")/broker_gone.py" "$@"
