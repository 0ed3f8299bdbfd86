# SPDX-License-Identifier: GPL-2.0-only
"""Counts what a test script proves, prints each check, and ends with the line all tools read."""
import sys
import time
import traceback

passed = failed = skipped = 0


def check(name, ok, detail=""):
    """One promise: printed with its numbers, counted, and remembered as a failure if it broke."""
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
    tail = f": {detail}" if detail != "" else ""
    print(f"{'ok' if ok else 'FAILED'} - {name}{tail}", flush=True)
    return bool(ok)


def skip(name, why):
    global skipped
    skipped += 1
    print(f"skipped - {name}: {why}", flush=True)


def attempt(name, function, *args):
    """Runs a check that may raise: an exception is a failure with its reason, not the end."""
    start = time.monotonic()
    try:
        function(*args)
    except Exception as error:		# noqa: BLE001 - whatever it is, it is a failed check
        check(name, False, f"{type(error).__name__}: {error}")
        traceback.print_exc(limit=3, file=sys.stdout)
    print(f"# {name}: {time.monotonic() - start:.0f} s", flush=True)


def finish():
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed or not passed else 0)
