# SPDX-License-Identifier: GPL-2.0-only
"""Our packages and ecryptfs-utils, which the guest gets from Debian, in a system with open homes.

 1 removal while a home is open: refused, and the home stays open
 2 purge: everybody logs in, lower directories are as they were
 3 ecryptfs-utils in their place opens alice's home: so the rest is about a real one
 4 ours over it by apt, while alice is logged in: her session goes on, her home opens at the next
   login, and so does vera's, which was made before the purge

Which files and PAM lines are there at each step: tests/packages.
"""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from homes import (PASSWORDS, Denied, add_user, create_home, home_open, legacy_manifest,  # noqa: E402
                   login_serial, login_su, logout, mount_of, place_legacy_home, same_files, sh,
                   status_of, wait_until)
from report import attempt, check, finish       # noqa: E402

OURS = ("ecryptfsd", "libpam-ecryptfs")
THEIRS = "/peers/debs/*.deb"
DEBS = "/share/debs"
APT = "apt-get -q -y --no-install-recommends "


def pam_lines():
    """Lines that name pam_ecryptfs.so in any stack."""
    return sh("grep -hE '^[^#]*pam_ecryptfs' /etc/pam.d/*", check=False).split("\n")[:-1]


def installed(*names):
    return [sh(f"dpkg-query -W -f '${{db:Status-Abbrev}}' {name}", check=False)[:2] == "ii"
            for name in names]


def lower_trees():
    """One line for each file below /home/.ecryptfs: mode, owner, path and hash."""
    return sh("cd /home/.ecryptfs && find . -printf '%M %u:%g %p %l\\n' | sort -k3 && "
              "find . -type f -print0 | sort -z | xargs -0 sha256sum")


def gets_in(what, user, way=login_su):
    """Logs in and leaves."""
    term = way(user, PASSWORDS[user])
    try:
        status, text = term.run("id -un; pwd")
        check(f"{what}: {user} logs in", status == 0 and text.split()[:1] == [user],
              " ".join(text.split()))
    finally:
        logout(term)


def stays_out(what, user):
    try:
        logout(login_su(user, "not the password"))
        check(f"{what}: {user} with a wrong password stays out", False)
    except Denied as refusal:
        check(f"{what}: {user} with a wrong password stays out", True, refusal)


def home_opens(what, user, kind):
    """Whose files are known, or just the mount."""
    manifest = legacy_manifest() if user == "alice" else {}
    term = login_su(user, PASSWORDS[user])
    mount = mount_of(f"/home/{user}")
    good = same_files(f"/home/{user}", manifest) if mount else 0
    check(f"{what}: {user}'s home opens", mount and mount[0] == kind and good == len(manifest),
          f"{mount and mount[0]}, {good} of {len(manifest)} files as they were")
    return term


def home_closes(what, user, term):
    logout(term)
    took = wait_until(lambda: not home_open(user), 30)
    check(f"{what}: and closes", took is not None, f"{took or 30:.1f} s")


def refused_while_open():
    term = home_opens("ours", "vera", "ecfs")
    out = sh(APT + "remove ecryptfsd", check=False)
    check("removal while a home is open is refused and says what to do",
          installed("ecryptfsd") == [True] and "ecryptfsctl lock-all" in out,
          next((line for line in out.splitlines() if "open" in line), out[-200:]))
    status, _ = term.run("echo still > note && rm note")
    check("and the home stays open", status == 0 and home_open("vera"))
    home_closes("ours, its removal refused", "vera", term)


def purge(before):
    sh(APT + "purge " + " ".join(OURS))
    check("purged: no line of ours in a PAM stack", pam_lines() == [], pam_lines())
    check("purged: no process and no socket of ours", status_of("pgrep -x ecryptfsd") == 1 and
          not glob.glob("/run/ecryptfsd/*.socket"), glob.glob("/run/ecryptfsd/*"))
    gets_in("purged", "nora", login_serial)
    stays_out("purged", "nora")
    gets_in("purged", "alice")
    gets_in("purged", "vera")
    after = lower_trees()
    check("purged: every file below /home/.ecryptfs is as it was", after == before,
          f"{len(after.splitlines())} lines")


def replace_while_logged_in():
    """As somebody does whose own home is one of ecryptfs-utils."""
    sh(f"dpkg -i {THEIRS}")
    term = home_opens("ecryptfs-utils", "alice", "ecryptfs")
    sh(APT + f"install {DEBS}/ecryptfsd_*.deb {DEBS}/libpam-ecryptfs_*.deb")
    check("replaced: ours are installed, ecryptfs-utils is not",
          installed(*OURS, "ecryptfs-utils") == [True, True, False])
    check("replaced: each stack has our line and no other", len(pam_lines()) == 4 and
          all(re.fullmatch(r"\w+\s+optional\s+pam_ecryptfs\.so *", line) for line in pam_lines()),
          pam_lines())
    status, text = term.run("echo still > note && cat note && rm note")
    check("replaced: her session goes on", status == 0 and text.split() == ["still"], text)
    logout(term)
    # The module that opened it is gone and closes it no more; whoever logs in next finds it open.
    manifest = legacy_manifest()
    term = login_su("alice", PASSWORDS["alice"])
    check("replaced: her next login finds her files", same_files("/home/alice", manifest) ==
          len(manifest), mount_of("/home/alice"))
    logout(term)
    if home_open("alice"):
        sh("umount -l /home/alice")
    for user in ("alice", "vera"):
        home_closes("replaced", user, home_opens("replaced", user, "ecfs"))
    gets_in("replaced", "nora", login_serial)


def main():
    with open("/etc/profile.d/no-history.sh", "w") as profile:
        profile.write("unset HISTFILE\n")      # nothing but the test changes files
    add_user("alice", 1000)
    for user in ("nora", "vera"):
        add_user(user)
    place_legacy_home()
    create_home("vera")
    before = lower_trees()
    attempt("removal while open", refused_while_open)
    if not all(installed(*OURS)):       # what apt took away before it was refused
        sh(APT + f"install {DEBS}/ecryptfsd_*.deb {DEBS}/libpam-ecryptfs_*.deb")
    attempt("purge", purge, before)
    attempt("replacement", replace_while_logged_in)
    finish()


main()
