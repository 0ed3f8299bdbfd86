# SPDX-License-Identifier: GPL-2.0-only
"""Bad input below the interface (point 6): each gets a named error, is logged once, loses
nothing, and the login goes on."""
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
ALICE = "/home/.ecryptfs/alice/.ecryptfs"
LOGIN_SECONDS = 30


def journal_lines(since, pattern):
    return sh(f"journalctl -u ecryptfsd.service -o cat --since '@{since}' | grep -c -E '{pattern}'",
              check=False).strip()


def login_survives(name, user, expect_open=False):
    """The login gives a shell soon, says one clear line, and the broker still lives."""
    since = int(time.time())
    start = time.monotonic()
    term = login_su(user, PASSWORDS[user], timeout=90)
    took = time.monotonic() - start
    lines = [line for line in term.log.replace("\r", "").split("\n")
             if "encrypted" in line.lower() or "ecryptfs" in line.lower()]
    # A home that opens takes the time of its key derivation; a refusal has no such excuse.
    check(f"{name}: shell", expect_open or took < LOGIN_SECONDS, f"{took:.1f} s")
    check(f"{name}: home {'open' if expect_open else 'closed'}", home_open(user) == expect_open)
    if not expect_open:
        check(f"{name}: one clear line", len(lines) == 1, repr(lines))
        logged = journal_lines(since, user)
        check(f"{name}: logged once", logged == "1", f"{logged} lines")
    logout(term)
    wait_until(lambda: not leftovers(user), 40)


class Planted:
    """Something else in the place of a file, and the file back afterwards."""

    def __init__(self, path, plant):
        self.path, self.plant = path, plant

    def __enter__(self):
        os.rename(self.path, self.path + ".kept-by-test")
        self.plant(self.path)

    def __exit__(self, *_):
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            shutil.rmtree(self.path)
        elif os.path.lexists(self.path):
            os.unlink(self.path)
        os.rename(self.path + ".kept-by-test", self.path)


def foreign(path):
    shutil.copy(path + ".kept-by-test", path)
    os.chown(path, 12345, 12345)


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


PLANTS = {
    "FIFO": os.mkfifo,
    "symlink": lambda path: os.symlink("/etc/shadow", path),
    "symlink to the real file": lambda path: os.symlink(path + ".kept-by-test", path),
    "directory": os.mkdir,
    "foreign owner": foreign,
    "1 TiB of nothing": huge,
    "half of it": truncated,
    "device": lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5)),
}

SHORT_LIST = ("FIFO", "symlink", "foreign owner", "1 TiB of nothing")


def planted():
    places = {"vera": [VERA, os.path.dirname(VERA)],
              "alice": [f"{ALICE}/wrapped-passphrase", f"{ALICE}/Private.sig",
                        f"{ALICE}/Private.mnt", ALICE]}
    for user, paths in places.items():
        for path in paths:
            isdir = os.path.isdir(path)
            for what, plant in PLANTS.items():
                if isdir and what in ("foreign owner", "1 TiB of nothing", "half of it"):
                    continue
                if path.endswith(("Private.mnt", "Private.sig")) and what not in SHORT_LIST:
                    continue	# the same reader as for wrapped-passphrase
                with Planted(path, plant):
                    attempt(f"{what} at {path}", login_survives, f"{what} at {path}", user)
    for user in places:
        attempt(f"{user} afterwards", login_survives, f"{user}, traps removed", user, True)


def edited_document():
    """Any edit of the document is refused, and says so; the file stays as it is."""
    with open(VERA) as file:
        original = file.read()
    edits = {
        "another cipher": lambda d: d["options"].update(cipher="twofish"),
        "smaller key": lambda d: d["options"].update(key_bytes=16),
        "plain names": lambda d: d["options"].update(names=False),
        "another mount key": lambda d: d["keys"].update(sig="0123456789abcdef"),
        "a slot less": lambda d: d["slots"].pop(),
        "a label": lambda d: d["slots"][0].update(label="edited"),
        "4 TiB of KDF memory": lambda d: d["slots"][0]["kdf"].update(memory_kib=1 << 32),
        "a later version": lambda d: d.update(document_version=99),
    }
    secret = "/run/vera.secret"
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(PASSWORDS["vera"])
    for name, edit in edits.items():
        document = json.loads(original)
        edit(document)
        with open(VERA, "w") as file:
            json.dump(document, file)
        out = sh(f"ecryptfsctl unlock vera --key-file {secret}; echo exit $?", check=False)
        check(f"document edited ({name}): refused by name",
              out.split()[-1] not in ("0", "1") and not home_open("vera"), out.strip()[-160:])
        with open(VERA) as file:
            check(f"document edited ({name}): left as it is", json.load(file) == document)
    with open(VERA, "w") as file:
        file.write(original)
    check("document restored: opens", status_of(f"ecryptfsctl unlock vera --key-file {secret}") == 0)
    sh("ecryptfsctl lock vera")
    os.unlink(secret)


def backup_opens():
    """The document before it, which a new vault has, opens in the place of a damaged one."""
    secret = "/run/vera.secret"
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(PASSWORDS["vera"])
    since = int(time.time())
    with Planted(VERA, truncated):
        check("half a document: its backup opens",
              status_of(f"ecryptfsctl unlock vera --key-file {secret}") == 0)
        sh("ecryptfsctl lock vera")
    logged = journal_lines(since, "has opened the vault")
    check("half a document: logged once", logged == "1", f"{logged} lines")
    os.unlink(secret)
    # From here on it is alone, or everything that is done to it would be made good.
    os.unlink(VERA + ".bak")


def full_disk():
    """A vault on a full filesystem: nothing half-made, nothing lost, and the words say it."""
    sh("mkdir -p /mnt/small && truncate -s 24M /run/small.img && mkfs.ext4 -q /run/small.img && "
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
    out = sh("dd if=/dev/urandom of=/mnt/small/plain/big bs=64k count=64 conv=fsync 2>&1; "
             "echo exit $?", check=False)
    check("write into a full vault: No space left", "No space left" in out, out[-120:])
    before = open("/mnt/small/lower/ecryptfs-vault.json").read()
    out = sh(f"ecryptfsctl passwd /mnt/small/plain --key-file {secret} --new-key-file {other}; "
             "echo exit $?", check=False)
    after = open("/mnt/small/lower/ecryptfs-vault.json").read()
    changed = before != after
    check("passwd on a full disk: done, or NoSpace and nothing changed",
          (changed and out.split()[-1] == "0") or (not changed and out.split()[-1] == "12"),
          out.strip()[-160:])
    out = sh(f"ecryptfsctl create /mnt/small/second /mnt/small/second.plain --key-file {secret}; "
             "echo exit $?", check=False)
    check("create on a full disk: refused by name, nothing left behind",
          out.split()[-1] in ("0", "12") and (out.split()[-1] == "0" or
                                              not os.path.exists("/mnt/small/second") or
                                              not os.listdir("/mnt/small/second")),
          out.strip()[-160:])
    sh("rm -f /mnt/small/fill /mnt/small/fill2 /mnt/small/plain/big; ecryptfsctl lock /mnt/small/plain")
    use = other if changed else secret
    sh(f"ecryptfsctl unlock /mnt/small/plain --key-file {use}")
    check("space again: opens, what was there is there",
          open("/mnt/small/plain/kept").read() == "kept\n")
    sh("ecryptfsctl lock /mnt/small/plain; umount /mnt/small")


def main():
    make_world()
    managers_end_at_once()
    attempt("backup", backup_opens)
    attempt("edited document", edited_document)
    attempt("full disk", full_disk)
    planted()
    finish()


if __name__ == "__main__":
    main()
