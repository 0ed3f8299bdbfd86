#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the scripts t_*.sh and compares what they print with t_*.out.

usage: run.py [--update] ECRYPTFSCTL [SCRIPT...]

With --update the .out files are written; the diff is then the review of what people will see.
Each script gets a scratch directory, $VECTORS, $COMPLETION, and no bus.
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
VECTORS = TOP + "/tests/vectors/legacy-ecryptfs.tar.xz"


def unpack(directory):
    """Skips, with the reason, where user attributes cannot be kept."""
    os.mkdir(directory)
    subprocess.run(["tar", "--xattrs", "--xattrs-include=user.*", "-xJf", VECTORS, "-C", directory],
                   check=True, stderr=subprocess.DEVNULL)
    if not os.listxattr(directory + "/aes128-xattr/lower/size-1"):
        print("SKIP: the scratch filesystem keeps no user attributes (TMPDIR)")
        sys.exit(77)


def clean(text, replacements):
    for old, new in replacements:
        text = re.sub(old, new, text)
    return text


def run_script(name, environment, replacements):
    with tempfile.TemporaryDirectory() as scratch:
        script = f". {HERE}/lib.sh; . {HERE}/{name}.sh"
        result = subprocess.run(["sh", "-c", script], cwd=scratch, stdin=subprocess.DEVNULL,
                                env=dict(environment, SCRATCH=scratch), timeout=120,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = result.stdout.decode(errors="replace")
        return clean(text, replacements + [(re.escape(scratch), "SCRATCH")])


def compare(name, text, update):
    """True if it is as expected."""
    golden = f"{HERE}/{name}.out"
    if update:
        with open(golden, "w") as file:
            file.write(text)
    want = open(golden).read() if os.path.exists(golden) else ""
    if text == want:
        return True
    sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), text.splitlines(True),
                                               golden, "now"))
    return False


def main():
    arguments = sys.argv[1:]
    update = arguments[0] == "--update"
    if update:
        arguments.pop(0)
    program = os.path.abspath(arguments.pop(0))
    names = arguments or sorted(name[:-3] for name in os.listdir(HERE)
                                if name.startswith("t_") and name.endswith(".sh"))
    base = tempfile.mkdtemp(prefix="ecryptfs-cli-")
    try:
        unpack(base + "/vectors")
        os.mkdir(base + "/bin")
        os.symlink(program, base + "/bin/ecryptfsctl")
        environment = {
            "PATH": base + "/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "VECTORS": base + "/vectors",
            "COMPLETION": TOP + "/ctl/completion/ecryptfsctl",
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent",
            "HOME": "/nonexistent",
        }
        # a sanitizer's options must reach the program
        environment.update({key: value for key, value in os.environ.items()
                            if key.endswith("SAN_OPTIONS")})
        replacements = [(re.escape(base), "BASE"), (r"ecryptfsctl \d+\.\d+\.\d+", "ecryptfsctl VERSION")]
        failed = [name for name in names
                  if not compare(name, run_script(name, environment, replacements), update)]
    finally:
        shutil.rmtree(base)
    print(f"# {len(names) - len(failed)} of {len(names)} scripts print what they should")
    sys.exit(1 if failed else 0)


main()
