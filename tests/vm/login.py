# SPDX-License-Identifier: GPL-2.0-only
"""Logins by every way, for every kind of user; overlapping sessions; thirty cycles.

Proves point 2 of the first milestone: whoever may log in gets a shell, an encrypted home is
open exactly while its user has a session, and afterwards nothing of it is left.
"""
import os
import re
import secrets
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (HELD, PASSWORDS, WAYS, Denied, daemon_figures, daemon_pid, find_in_process,
                   home_open, inodes_of_ecfs, keyring_keys, legacy_keys, legacy_manifest,
                   leftovers, login_ssh, login_su, logout, make_world, mount_of, mount_states,
                   run_by_cron, same_files, sh, uid_of, unreclaimable_slab_kib, wait_until)
from report import attempt, check, finish, skip

CYCLES = int(os.environ.get("CYCLES", "30"))
# The older guest shows that its own PAM stacks, systemd and kernel work with it; what takes long is
# for the default one.
OLD = os.environ.get("KERNEL") != "6.12"


CLOSED_SECONDS, PATIENCE_SECONDS = 10, 40
closing_seconds = []
AGAIN_AT_MOST = 2
again = 0


def seconds_to_close(user):
    took = wait_until(lambda: not leftovers(user), PATIENCE_SECONDS)
    if took is not None:
        closing_seconds.append(took)
    return took


def closed_in_time(user):
    """Seconds until nothing was left, as words, and whether they were few enough. A machine that
    is busy with other guests may once be slower than the limit: then the same is done again."""
    global again
    took = [seconds_to_close(user)]
    while took[-1] is not None and took[-1] > CLOSED_SECONDS and len(took) <= AGAIN_AT_MOST:
        again += 1
        logout(login_ssh(user, PASSWORDS[user]))
        took.append(seconds_to_close(user))
    if took[-1] is None:
        return False, "; ".join(leftovers(user))
    return took[-1] <= CLOSED_SECONDS, ", ".join(f"{seconds:.1f}" for seconds in took) + " s"


def clean_after(user, name):
    good, words = closed_in_time(user)
    check(f"{name}: {CLOSED_SECONDS} s after the last session nothing is left", good, words)


def rarely_again():
    n = len(closing_seconds)
    check(f"closed within {CLOSED_SECONDS} s at once, nine times of ten", again * 10 <= n,
          f"{n - again} of {n}, median {statistics.median(closing_seconds):.1f} s, "
          f"longest {max(closing_seconds):.1f} s")


def with_vault(way, user, check_files):
    name = f"{way}, {user}"
    start = time.monotonic()
    term = WAYS[way](user, PASSWORDS[user])
    took = time.monotonic() - start
    check(f"{name}: shell in the open home", home_open(user), f"{took:.1f} s, {mount_of('/home/' + user)}")
    options = (mount_of(f"/home/{user}") or ("", "", ""))[2]
    check(f"{name}: mounted nosuid,nodev", "nosuid" in options and "nodev" in options, options)
    status, text = term.run("pwd")
    check(f"{name}: working directory is the home", text.strip() == f"/home/{user}", text.strip())
    check_files(term, name)
    logout(term)
    clean_after(user, name)


def vera_files(term, name):
    status, text = term.run(f"echo '{HELD}vera' > held-$$ && cat held-$$ && rm held-$$")
    check(f"{name}: writes and reads a file", text.strip() == HELD + "vera", text.strip())


def alice_files(term, name):
    manifest = legacy_manifest()
    good = same_files("/home/alice", manifest)
    check(f"{name}: every file of ecryptfs-utils' home, byte for byte",
          good == len(manifest) > 0, f"{good} of {len(manifest)}")


def without_vault(way):
    term = WAYS[way]("nora", PASSWORDS["nora"])
    status, text = term.run("echo $HOME; pwd")
    check(f"{way}, nora: shell as ever", text.split() == ["/home/nora", "/home/nora"], text.split())
    check(f"{way}, nora: nothing mounted", not home_open("nora") and not mount_states())
    logout(term)


def refused(way, user, password, why):
    try:
        term = WAYS[way](user, password, timeout=40)
    except Denied as words:
        check(f"{way}, {user}, {why}: refused", True, str(words)[:60])
    else:
        check(f"{way}, {user}, {why}: refused", False, "got a shell")
        logout(term)
    check(f"{way}, {user}, {why}: home stays closed", not home_open(user))


def by_cron():
    """Cron knows no password: its jobs find the home as it is, and are never held up."""
    results = {}

    def job(user, name, command):
        results[name] = run_by_cron(user, command, name)

    term = login_ssh("alice", PASSWORDS["alice"])
    jobs = [threading.Thread(target=job, args=row) for row in (
        ("alice", "open", "sha256sum ~/* 2>/dev/null | wc -l; grep -c ' /home/alice ' /proc/mounts"),
        ("vera", "closed", "pwd; grep -c ' /home/vera ' /proc/mounts"),
        ("nora", "none", "pwd"),
        ("lars", "locked", "pwd"))]
    for thread in jobs:
        thread.start()
    for thread in jobs:
        thread.join()
    check("cron, alice with her home open: the job sees it",
          results["open"] is not None and results["open"].split()[-2:] == ["1", "done"],
          repr(results["open"]))
    check("cron, vera with her home closed: the job runs, the home stays closed",
          results["closed"] is not None and results["closed"].split()[-2:] == ["0", "done"],
          repr(results["closed"]))
    check("cron, nora: the job runs", results["none"] is not None, repr(results["none"]))
    check("cron, lars, locked account: no job", results["locked"] is None, repr(results["locked"]))
    skip("cron, wrong password", "cron asks for no password")
    check("cron: the job's end does not close a home that is in use", home_open("alice"))
    logout(term)
    clean_after("alice", "cron")


def overlapping():
    first = login_ssh("vera", PASSWORDS["vera"])
    second = WAYS["su -l"]("vera", PASSWORDS["vera"])
    logout(first)
    time.sleep(12)
    check("two sessions, first ended: home open 12 s later", home_open("vera"))
    status, text = second.run("echo still > here && cat here && rm here")
    check("two sessions, first ended: the second writes", text.strip() == "still", text.strip())
    logout(second)
    clean_after("vera", "two sessions, both ended")


def parallel_logins():
    """The race of LP 1052038: many at once lead to one mount, with its names."""
    terms = [None] * 6

    def enter(i):
        terms[i] = login_ssh("alice", PASSWORDS["alice"], timeout=120)

    threads = [threading.Thread(target=enter, args=(i,)) for i in range(len(terms))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = [term for term in terms if term]
    manifest = legacy_manifest()
    check("six logins of one user at once: all get their shell", len(there) == len(terms),
          f"{len(there)} of {len(terms)}")
    check("six logins at once: one mount", sh("grep -c ' /home/alice ' /proc/mounts").strip() == "1")
    check("six logins at once: names and files are right",
          same_files("/home/alice", manifest) == len(manifest))
    for term in there:
        logout(term)
    clean_after("alice", "six logins at once")


def keys_are_found():
    """That the keyrings are searched where a key could be: one of each person is put there."""
    for user in ("vera", "alice"):
        as_owner = f"setpriv --reuid={user} --regid={user} --clear-groups keyctl"
        name = secrets.token_hex(8)
        key = sh(f"{as_owner} add user {name} x @u").strip()
        found = [key for key in keyring_keys() if key.startswith(name)]
        sh(f"{as_owner} unlink {key} @u")
        check(f"a key in the keyring of {user} would be found", len(found) == 1, found)
    # What no keyring holds any more is thrown away a moment later.
    check("there is no other", wait_until(lambda: not keyring_keys(), 5) is not None, keyring_keys())


def no_key_left():
    term = login_ssh("alice", PASSWORDS["alice"])
    needles = legacy_keys("00112233445566778899aabbccddeeff")
    needles += [PASSWORDS["alice"].encode(), b"00112233445566778899aabbccddeeff"]
    pid = daemon_pid()
    control = b"org.ecryptfs.Manager1"
    check("home open: neither key nor password in the broker's memory",
          find_in_process(pid, needles + [control]) == {control},
          f"{len(needles)} byte strings and one that is there, pid {pid}")
    after = sh(f"systemctl show -P After user@{uid_of('alice')}.service").split()
    unit = f"ecryptfs-mount@home-{uid_of('alice')}.service"
    check("home open: it is there for longer than the user's manager", unit in after, unit)
    logout(term)
    clean_after("alice", "no key left")
    check("home closed: neither key nor password in the broker's memory",
          find_in_process(pid, needles + [control]) == {control},
          f"{len(needles)} byte strings and one that is there")


def figures():
    """Once all is closed: mounts, the broker's descriptors and memory, the module's inodes, slab."""
    sh("sync; echo 3 > /proc/sys/vm/drop_caches")
    with open("/proc/self/mountinfo") as table:
        mounts = len(table.readlines())
    return (mounts, *daemon_figures(), inodes_of_ecfs(), unreclaimable_slab_kib())


def cycles():
    """Mounts, descriptors, slab and memory are after all cycles where they were after five. Each
    opens a hundred files, so that anything kept of each would make megabytes. One in five comes by
    ssh, whose keys take most of such a cycle where the processor is emulated."""
    before = None
    for i in range(CYCLES):
        term = (login_su if i % 5 else login_ssh)("vera", PASSWORDS["vera"])
        if i == 0:
            term.run("mkdir many && for n in $(seq 100); do echo $n > many/$n; done")
        status, text = term.run("cat many/* | wc -l; echo x > cycle && sync cycle && rm cycle")
        if text.split() != ["100"]:
            check(f"cycle {i + 1}: a hundred files", False, text)
        if i == 0:
            check("cycle 1: the module's inodes are counted", inodes_of_ecfs() >= 100,
                  inodes_of_ecfs())
        logout(term)
        good, words = closed_in_time("vera")
        if not good:
            check(f"cycle {i + 1}: closed", False, words)
            return
        if i == 4:
            before = figures()
    after = figures()
    for what, n, slack in (("mounts", 0, 0), ("the broker's descriptors", 1, 0),
                           ("the broker's memory, KiB", 2, 512),
                           ("inodes of the module", 3, 0), ("unreclaimable slab, KiB", 4, 1024)):
        check(f"{CYCLES} cycles: {what}", after[n] <= before[n] + slack,
              f"after 5: {before[n]}, after {CYCLES}: {after[n]}")
    check(f"{CYCLES} cycles: no inode of the module is left", after[3] == 0, after[3])


def doctor(what, *wanted):
    """What the doctor says of this guest, and how it exits."""
    done = subprocess.run(["ecryptfsctl", "doctor"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    good = all(re.search(words, done.stdout) for words in wanted)
    good = good and (done.returncode != 0) == bool(wanted)
    check(f"doctor, {what}", good, f"exit {done.returncode}" + ("" if good else ": " + done.stdout))


def doctor_sees():
    doctor("fresh packages: nothing to complain of")
    sh("pam-auth-update --package --remove ecryptfs")
    doctor("module out of the PAM stack: named", r"pam-auth-update")
    sh("pam-auth-update --package")
    doctor("put back: nothing to complain of")


def main():
    attempt("doctor", doctor_sees)
    make_world()
    for way in WAYS:
        attempt(f"{way}, vera", with_vault, way, "vera", vera_files)
        attempt(f"{way}, alice", with_vault, way, "alice", alice_files)
        attempt(f"{way}, nora", without_vault, way)
        attempt(f"{way}, wrong password", refused, way, "vera", "not-her-password", "wrong password")
        attempt(f"{way}, locked", refused, way, "lars", PASSWORDS["lars"], "locked account")
    attempt("cron", by_cron)
    attempt("overlapping", overlapping)
    attempt("keyrings", keys_are_found)
    attempt("keys", no_key_left)
    if not OLD:
        attempt("parallel", parallel_logins)
        attempt("cycles", cycles)
    attempt("closing times", rarely_again)
    finish()


if __name__ == "__main__":
    main()
