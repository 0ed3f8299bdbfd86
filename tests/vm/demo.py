#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# vm: kernels=6.12 timeout=300
"""The story that tools/demo shows: alice and her encrypted home, at a real login prompt.

Plain sentences, each followed by what the machine really answered. What does not come out as the
sentence says ends the demo with a failure.
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (PASSWORDS, add_user, home_open, keyring_keys, leftovers, legacy_manifest,
                   login_serial, logout, place_legacy_home, same_files, sh, unit_active, uid_of,
                   wait_until)
from terminal import Terminal

USER = "alice"
PASSWORD = PASSWORDS[USER]
DIARY = "Dear diary, nobody but me reads this."
START = time.monotonic()


def tell(text):
    print(f"\n{text}", flush=True)


def show(text):
    for line in text.replace("\r", "").rstrip("\n").split("\n"):
        print(f"    {line}".rstrip(), flush=True)


def run(command):
    """A root command, shown with its output."""
    show(f"# {command}")
    output = sh(command)
    if output:
        show(output)
    return output


def must(truth, sentence):
    if not truth:
        print(f"\nThis did NOT come out as told: {sentence}", flush=True)
        print(sh("journalctl -b --no-pager -n 40", check=False), flush=True)
        sys.exit(1)


def screen(term, since):
    """What stands on the terminal, from the last line with the words since."""
    log = term.log[max(term.log.rfind("\n", 0, max(term.log.rfind(since), 0)), 0):]
    return re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b\[[?!0-9;]*[a-zA-Z]", "", log).strip("\r\n")


def login():
    term = login_serial(USER, PASSWORD)
    must(home_open(USER), "after the login the home is open")
    show(screen(term, "login: "))
    return term


def type_at(term, command):
    """What alice types, and what she sees."""
    show(f"{USER}$ {command}")
    status, output = term.run(command)
    if output:
        show(output)
    must(status == 0, f"{command} works")
    return output


def log_out(term):
    show(f"{USER}$ exit")
    logout(term)
    took = wait_until(lambda: not leftovers(USER) and
                      not unit_active(f"ecryptfs-mount@home-{uid_of(USER)}.service"), 10)
    must(took is not None, "ten seconds after the logout all is closed: " + str(leftovers(USER)))
    return took


def create():
    """ecryptfsctl create at a terminal: asks, and shows the recovery key once."""
    show(f"# ecryptfsctl create --user {USER}")
    term = Terminal.spawn(["ecryptfsctl", "create", "--user", USER])
    which = 0
    while which == 0:
        which, _ = term.expect(r"[Pp]ass(word|phrase)[^\n]*: ?\Z", r'"yes"[^\n]*: ?\Z', timeout=120)
        term.send(PASSWORD if which == 0 else "yes")
    status = term.wait_end(120)
    show(term.log.strip("\r\n"))
    must(status == 0, "ecryptfsctl create works")


LOWER_SUMS = "/run/demo-lower.sha256"


def note_lower_files():
    """The digest of each file below alice's legacy home, for sha256sum -c."""
    sh(f"cd /home/.ecryptfs/{USER} && find . -type f -print0 | xargs -0 sha256sum > {LOWER_SUMS}")


def new_home():
    tell("1. A Debian machine with the three packages; DKMS built the module for its kernel.")
    run("uname -sr")
    run("dpkg-query -W ecryptfsd libpam-ecryptfs ecfs-dkms")
    run("dkms status")

    sh(": > /etc/motd; chmod -x /etc/update-motd.d/* 2>/dev/null || :")
    tell("2. alice has an ordinary home with a file in it.")
    add_user(USER, 1000)
    sh(f"su - {USER} -c 'echo buy milk > todo.txt'")
    run(f"ls -l /home/{USER}")

    tell("3. Her home becomes an encrypted one. Her password opens it; so does the recovery key.")
    create()
    run("ecryptfsctl list")

    tell("4. She logs in on a serial line, as at any login prompt, and writes a file.")
    term = login()
    type_at(term, "cat todo.txt")
    type_at(term, f"echo '{DIARY}' > diary.txt")
    type_at(term, "ls -l")
    must(DIARY in type_at(term, "cat diary.txt"), "she reads what she wrote")
    run(f"findmnt -o TARGET,SOURCE,FSTYPE,OPTIONS /home/{USER} | cut -c1-150")

    tell("5. Below, on the disk, stands only ciphertext: names and contents.")
    sh("sync")
    vault = f"/home/.ecryptfs/{USER}/vault"
    run(f"ls -l {vault} | cut -c1-150")
    encrypted = sh(f"ls -t {vault}/ECRYPTFS_FNEK_ENCRYPTED.* | head -n 1").strip()
    run(f"od -A d -t x1z -N 64 {encrypted}")
    run(f"ecryptfsctl inspect {encrypted}")
    found = sh(f"grep -rlF 'Dear diary' {vault} | wc -l").strip()
    show(f"# grep -rlF 'Dear diary' {vault} | wc -l")
    show(found)
    must(found == "0", "the plaintext is nowhere below")

    tell("6. She logs out. The home closes, and the key is gone.")
    took = log_out(term)
    show(f"(closed after {took:.1f} s)")
    run(f"ls -A /home/{USER}; cat /home/{USER}/README.txt")
    run(f"findmnt /home/{USER} || echo 'nothing is mounted'")
    run("grep -cE 'ecfs|ecryptfs' /proc/mounts || :")
    keys = keyring_keys()
    show("keys of an encrypted filesystem in any keyring: " + str(len(keys)))
    must(not keys, "no keyring holds a key")
    run("ecryptfsctl list")


def legacy_home():
    tell("7. Another home: made years ago by ecryptfs-utils, restored from a backup, unchanged.")
    sh(f"mv /home/.ecryptfs/{USER} /home/.ecryptfs/{USER}.first")
    place_legacy_home(USER)
    run(f"ls -A /home/.ecryptfs/{USER}/.ecryptfs")
    manifest = legacy_manifest()
    note_lower_files()

    tell("8. She logs in, with the password of then. Nothing was converted or imported.")
    term = login()
    type_at(term, "ls -A")
    run(f"findmnt -o TARGET,SOURCE,FSTYPE /home/{USER}")
    good = same_files(f"/home/{USER}", manifest)
    show(f"{good} of {len(manifest)} files are byte for byte what ecryptfs-utils held")
    must(good == len(manifest) > 0, "every file is as it was")
    took = log_out(term)
    show(f"(closed after {took:.1f} s)")
    run(f"cd /home/.ecryptfs/{USER} && sha256sum -c --quiet {LOWER_SUMS} && "
        f"echo every one of $(wc -l < {LOWER_SUMS}) files below is as it was restored")


def main():
    new_home()
    legacy_home()
    tell(f"That was the main job, {time.monotonic() - START:.0f} s in the machine. "
         "Nothing of it is left: the machine is thrown away.")
    if os.environ.get("DEMO_SHELL"):
        tell(f"A shell as root follows. alice's password is {PASSWORD}; her login prompt is on "
             "the other end of /dev/ttyS2.")


main()
