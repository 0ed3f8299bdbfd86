# SPDX-License-Identifier: GPL-2.0-only
"""Bad input below the interface (point 6): each gets a named error, is logged once, loses
nothing, and the login goes on.

What can stand in the place of each path that the store opens is tried by tests/bus, class
HostilePaths. Here are real logins into some of it, and the paths that the mount worker opens.
"""
import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (PASSWORDS, home_open, leftovers, login_su, logout, make_world,
                   managers_end_at_once, sh, status_of,
                   wait_until)
from report import attempt, check, finish

VERA = "/home/.ecryptfs/vera/vault/ecryptfs-vault.json"
ALICE = "/home/.ecryptfs/alice"
NORA = "/home/nora"
# Exit codes of ecryptfsctl, lib/error.c
WRONG_SECRET, NOT_AUTHORIZED, NOT_SUPPORTED, DAMAGED, NO_SPACE, UNSAFE, NO_DIRECTORY = \
    4, 6, 9, 10, 12, 14, 21
NOTICE = 5


class Journal:
    """What the journal and the kernel say from here on."""

    def __init__(self):
        self.since = time.time()

    def entries(self):
        out = sh(f"journalctl --sync; journalctl -o json --since '@{self.since:.6f}'")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def reports(self):
        """(lines of ours, lines that systemd adds about a unit of ours that failed): whoever of
        broker, store, key helper, worker, PAM module and kernel module speaks of something that
        is more than an event of every day."""
        ours, systemd = [], []
        for entry in self.entries():
            text, by = str(entry.get("MESSAGE")), entry.get("SYSLOG_IDENTIFIER", "")
            if int(entry.get("PRIORITY", 6)) > NOTICE:
                continue
            if by == "systemd" and "ecryptfs" in text:
                systemd.append(text)
            elif by.startswith("ecryptfs") or "ecryptfs" in text or "ecfs" in text:
                ours.append(f"{by}: {text}")
        return ours, systemd


def logged_once(name, journal):
    ours, systemd = journal.reports()
    check(f"{name}: logged once", len(ours) == 1, f"{len(ours)} lines, {len(systemd)} by systemd"
          f" on the worker's unit: {ours[0] if len(ours) == 1 else ours}")


def one_line(out):
    return out.strip().replace("\n", "; ")[-160:]


def unlock(user, password=None):
    """(exit status, output) of ecryptfsctl."""
    out = sh(f"ecryptfsctl unlock {user} --key-file -; echo exit $?", check=False,
             stdin=password or PASSWORDS[user])
    return int(out.split()[-1]), one_line(out)


def opens_again(user):
    status, out = unlock(user)
    check(f"{user} afterwards: opens", status == 0 and home_open(user), out)
    sh(f"ecryptfsctl lock {user}", check=False)


def unlock_refused(name, user, expected, password=None):
    journal = Journal()
    start = time.monotonic()
    status, out = unlock(user, password)
    check(f"{name}: refused by name", status in expected and not home_open(user),
          f"{time.monotonic() - start:.1f} s, {out}")
    logged_once(name, journal)


def login_seconds(user):
    start = time.monotonic()
    term = login_su(user, PASSWORDS[user], timeout=90)
    return time.monotonic() - start, term


def login_refused(name, user):
    """The login gives a shell, says one clear line, and the broker still lives. Seconds."""
    journal = Journal()
    took, term = login_seconds(user)
    lines = [line for line in term.log.replace("\r", "").split("\n")
             if "encrypted" in line.lower() or "ecryptfs" in line.lower()]
    check(f"{name}: shell, and the home is closed", not home_open(user), f"{took:.1f} s")
    check(f"{name}: one clear line", len(lines) == 1, repr(lines))
    logged_once(name, journal)
    logout(term)
    wait_until(lambda: not leftovers(user), 40)
    return took


class Planted:
    """Something else in the place of a file, and the file back afterwards."""

    def __init__(self, path, plant):
        self.path, self.plant, self.kept = path, plant, path + ".kept-by-test"

    def __enter__(self):
        os.rename(self.path, self.kept)
        self.plant(self.path)

    def __exit__(self, *_):
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            shutil.rmtree(self.path)
        elif os.path.lexists(self.path):
            os.unlink(self.path)
        os.rename(self.kept, self.path)


def symlink(path):
    """To what it should be: followed, it would open."""
    os.symlink(path + ".kept-by-test", path)


def foreign(path):
    sh(f"cp -a {path}.kept-by-test {path} && chown 12345:12345 {path}")


def huge(path):
    with open(path, "w") as file:
        file.truncate(1 << 40)
    stat = os.stat(path + ".kept-by-test")
    os.chown(path, stat.st_uid, stat.st_gid)


def truncated(path):
    with open(path + ".kept-by-test", "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(data[:len(data) // 2])
    stat = os.stat(path + ".kept-by-test")
    os.chown(path, stat.st_uid, stat.st_gid)


def with_a_file(path):
    """A home that is not the closed one: mounting over it would hide the file."""
    owner = os.stat(path + ".kept-by-test").st_uid
    os.mkdir(path, 0o700)
    open(path + "/thesis", "w").close()
    for name in (path, path + "/thesis"):
        os.chown(name, owner, owner)


def regular(path):
    open(path, "w").close()


def seconds_without():
    """Of who has no encrypted home."""
    took, term = login_seconds("nora")
    logout(term)
    return took


def logins():
    took, plain = {}, [seconds_without()]
    for user, path, what, plant in (
            ("vera", VERA, "FIFO", os.mkfifo),
            ("vera", VERA, "1 TiB of nothing", huge),
            ("vera", os.path.dirname(VERA), "foreign owner", foreign),
            ("vera", "/home/vera", "home with a file in it", with_a_file),
            ("alice", f"{ALICE}/.ecryptfs/wrapped-passphrase", "symlink", symlink),
            ("alice", f"{ALICE}/.Private", "foreign owner", foreign)):
        name = f"login, {what} at {path}"
        with Planted(path, plant):
            took[name] = login_refused(name, user)
    plain.append(seconds_without())
    longest = max(took, key=took.get)
    # The matrix of tests/bus has each attempt in seconds; here a machine that is busy with other
    # guests is told from a login that hangs until somebody gives up.
    check("logins with a home that stays closed: nobody waits for the trap",
          took[longest] < 2 * max(plain) + 5,
          f"{len(took)} logins, {took[longest]:.1f} s at most ({longest}); nora "
          + " and ".join(f"{seconds:.1f}" for seconds in plain) + " s")
    seconds, term = login_seconds("vera")
    check("login, traps removed: home open", home_open("vera"), f"{seconds:.1f} s")
    logout(term)
    wait_until(lambda: not leftovers("vera"), 40)


def private_directory():
    """nora gets what ecryptfs-setup-private makes of a directory ~/Private, with alice's key."""
    sh(f"mkdir {NORA}/.ecryptfs {NORA}/.Private {NORA}/Private && "
       f"cp {ALICE}/.ecryptfs/wrapped-passphrase {ALICE}/.ecryptfs/Private.sig {NORA}/.ecryptfs/ && "
       f"echo {NORA}/Private > {NORA}/.ecryptfs/Private.mnt && chown -R nora: {NORA}")
    password = PASSWORDS["alice"]
    status, out = unlock("nora", password)
    check("~/Private of nora: opens", status == 0, out)
    sh("ecryptfsctl lock nora")
    for path in (f"{NORA}/Private", f"{NORA}/.Private"):
        for what, plant, expected in (("FIFO", os.mkfifo, (UNSAFE, NO_DIRECTORY)),
                                      ("symlink", symlink, (UNSAFE, NO_DIRECTORY)),
                                      ("foreign owner", foreign, (UNSAFE, NOT_AUTHORIZED))):
            with Planted(path, plant):
                name = f"{what} at {path}"
                attempt(name, unlock_refused, name, "nora", expected, password)
    sh(f"rm -rf {NORA}/.ecryptfs {NORA}/.Private {NORA}/Private")


def workers_paths():
    """The lower directory and the mount point, which the worker holds before it mounts."""
    for user, path in (("vera", "/home/vera"), ("alice", f"{ALICE}/.Private"),
                       ("alice", "/home/alice")):
        for what, plant, expected in (("FIFO", os.mkfifo, (UNSAFE, NO_DIRECTORY)),
                                      ("symlink", symlink, (UNSAFE, NO_DIRECTORY)),
                                      ("foreign owner", foreign, (UNSAFE, NOT_AUTHORIZED)),
                                      ("regular file", regular, (UNSAFE, NO_DIRECTORY))):
            with Planted(path, plant):
                name = f"{what} at {path}"
                attempt(name, unlock_refused, name, user, expected)
        opens_again(user)
    # What stands in a closed home in the place of its only file is hidden as that file is.
    readme = "/home/vera/README.txt"
    for plant in (os.mkfifo, symlink, foreign):
        with Planted(readme, plant):
            opens_again("vera")


def edited_document():
    """Any edit of the document is refused, and says so; the file stays as it is."""
    with open(VERA) as file:
        original = file.read()
    edits = {
        "another cipher": (lambda d: d["options"].update(cipher="twofish"), DAMAGED),
        "smaller key": (lambda d: d["options"].update(key_bytes=16), DAMAGED),
        "plain names": (lambda d: d["options"].update(names=False), DAMAGED),
        "another mount key": (lambda d: d["keys"].update(sig="0123456789abcdef"), DAMAGED),
        "a slot less": (lambda d: d["slots"].pop(), DAMAGED),
        "a label": (lambda d: d["slots"][0].update(label="edited"), DAMAGED),
        "4 TiB of KDF memory": (lambda d: d["slots"][0]["kdf"].update(memory_kib=1 << 32),
                                NOT_SUPPORTED),
        "a later version": (lambda d: d.update(document_version=99), NOT_SUPPORTED),
    }
    for name, (edit, expected) in edits.items():
        document = json.loads(original)
        edit(document)
        with open(VERA, "w") as file:
            json.dump(document, file)
        unlock_refused(f"document edited ({name})", "vera", (expected,))
        with open(VERA) as file:
            check(f"document edited ({name}): left as it is", json.load(file) == document)
    with open(VERA, "w") as file:
        file.write(original)
    opens_again("vera")


def backup_opens():
    """The document before it, which a new vault has, opens in the place of a damaged one."""
    journal = Journal()
    with Planted(VERA, truncated):
        opens_again("vera")
    logged_once("half a document: its backup opens", journal)
    # From here on it is alone, or everything that is done to it would be made good.
    os.unlink(VERA + ".bak")


def read(path):
    with open(path) as file:
        return file.read()


def full_disk():
    """A vault on a full filesystem: nothing half-made, nothing lost, and the words say it."""
    sh("mkdir -p /mnt/small && truncate -s 24M /run/small.img && mkfs.ext4 -q -m 0 /run/small.img && "
       "mount -o loop /run/small.img /mnt/small")
    secret, other = "/run/full.secret", "/run/full.other"
    for path, text in ((secret, "full-disk-secret"), (other, "another-secret")):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)
    sh(f"ecryptfsctl create /mnt/small/lower /mnt/small/plain --key-file {secret}")
    sh(f"ecryptfsctl unlock /mnt/small/plain --key-file {secret} || true")
    sh("echo kept > /mnt/small/plain/kept; sync")
    sh("dd if=/dev/zero of=/mnt/small/fill bs=64k 2>/dev/null; sync; "
       "dd if=/dev/zero of=/mnt/small/fill2 bs=512 2>/dev/null; sync", check=False)
    journal = Journal()
    out = sh("dd if=/dev/urandom of=/mnt/small/plain/big bs=64k count=64 conv=fsync 2>&1; "
             "echo exit $?", check=False)
    check("write into a full vault: No space left", "No space left" in out, one_line(out))
    lines, _ = journal.reports()
    check("write into a full vault: the writer was told, nobody else", not lines, lines)
    before = read("/mnt/small/lower/ecryptfs-vault.json")
    journal = Journal()
    out = sh(f"ecryptfsctl passwd /mnt/small/plain --key-file {secret} --new-key-file {other}; "
             "echo exit $?", check=False)
    check("passwd on a full disk: NoSpace, and nothing changed", out.split()[-1] == str(NO_SPACE) and
          before == read("/mnt/small/lower/ecryptfs-vault.json"), one_line(out))
    logged_once("passwd on a full disk", journal)
    journal = Journal()
    out = sh(f"ecryptfsctl create /mnt/small/second /mnt/small/second.plain --key-file {secret}; "
             "echo exit $?", check=False)
    left = [os.path.join(where, name) for place in ("second", "second.plain")
            for where, _, names in os.walk("/mnt/small/" + place) for name in names]
    check("create on a full disk: NoSpace, and no file left behind",
          out.split()[-1] == str(NO_SPACE) and not left, f"{left} {one_line(out)}")
    logged_once("create on a full disk", journal)
    sh("rm -f /mnt/small/fill /mnt/small/fill2 /mnt/small/plain/big; ecryptfsctl lock /mnt/small/plain")
    check("space again: the other secret does not open it",
          status_of(f"ecryptfsctl unlock /mnt/small/plain --key-file {other}") == WRONG_SECRET)
    sh(f"ecryptfsctl unlock /mnt/small/plain --key-file {secret}")
    check("space again: opens, what was there is there", read("/mnt/small/plain/kept") == "kept\n")
    sh("ecryptfsctl lock /mnt/small/plain; umount /mnt/small")


def mount_options():
    """Wrong or missing ones, told to the kernel without any program of ours between."""
    sh("mkdir -p /run/lower /run/upper; modprobe ecfs")
    good = {"ecryptfs_sig": "0123456789abcdef", "ecryptfs_cipher": "aes", "ecryptfs_key_bytes": "32"}
    for name, options in (("no options", {}), ("no signature", dict(good, ecryptfs_sig=None)),
                          ("signature of 3 digits", dict(good, ecryptfs_sig="012")),
                          ("unknown cipher", dict(good, ecryptfs_cipher="rot13")),
                          ("key of 77 bytes", dict(good, ecryptfs_key_bytes="77")),
                          ("unknown option", dict(good, nonsense="1")),
                          ("key that is in no keyring", good)):
        text = ",".join(f"{key}={value}" for key, value in options.items() if value)
        journal = Journal()
        out = sh(f"mount -i -t ecfs {'-o ' + text if text else ''} /run/lower /run/upper; echo exit $?",
                 check=False)
        lines, _ = journal.reports()
        said = out.strip().split("\n")[0]
        check(f"mount, {name}: refused with a reason", out.split()[-1] == "32" and
              ("ecfs" in said or lines), said)
        check(f"mount, {name}: logged at most once", len(lines) <= 1, f"{len(lines)} lines: {lines}")


def main(*names):
    """All parts, or those that are named."""
    make_world()
    managers_end_at_once()
    for part in (backup_opens, edited_document, full_disk, mount_options, private_directory,
                 workers_paths, logins):
        if not names or part.__name__ in names:
            attempt(part.__name__, part)
    finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
