# SPDX-License-Identifier: GPL-2.0-only
"""Mount keys, mount tables and the choice of the engine, for tests that mount by themselves."""
import hashlib
import os
import struct
import subprocess

hidden = []		# where the file of ecfs belongs, while it is out of the way


def s2k(passphrase, salt=bytes.fromhex("0011223344556677")):
    """(key of 64 bytes, signature of 8): 65,536 times SHA-512."""
    digest = hashlib.sha512(salt + passphrase).digest()
    for _ in range(65535):
        digest = hashlib.sha512(digest).digest()
    return digest, hashlib.sha512(digest).digest()[:8]


def mount_key(passphrase, salt=bytes.fromhex("0011223344556677")):
    """struct ecfs_mount_key, 88 bytes, and the signature in hex."""
    key, sig = s2k(passphrase, salt)
    return struct.pack("<II8s8s64s", 1, 0, sig, salt, key), sig.hex()


def auth_tok(passphrase, salt=bytes.fromhex("0011223344556677")):
    """The payload of a keyring key, 740 bytes, and the signature in hex."""
    key, sig = s2k(passphrase, salt)
    head = struct.pack("=HHIIII", 4, 0, 0, 0, 0, 0) + bytes(512 + 64 + 32)
    tail = struct.pack("=IiIII", 0, 10, 0, 64, 2) + key + sig.hex().encode() + b"\0" + salt
    return (head + tail).ljust(740, b"\0"), sig.hex()


def entry(target):
    """(type, source, mount options, superblock options) of the topmost mount there, or None."""
    found = None
    with open("/proc/self/mountinfo") as table:
        for line in table:
            head, tail = line.rstrip("\n").split(" - ", 1)
            fields = head.split(" ")
            if fields[4] == target:
                kind, source, options = tail.split(" ", 2)
                found = (kind, source, fields[5], options)
    return found


def engines():
    """What can be tried here: names of filesystem types."""
    names = []
    for name in ("ecfs", "ecryptfs"):
        if subprocess.run(["modprobe", name], stderr=subprocess.DEVNULL).returncode == 0:
            names.append(name)
    return names


def choose(engine):
    """Lets fsopen() find only this engine first: for the in-tree module the file of ecfs is put
    out of the way of the autoloader."""
    if engine == "ecfs":
        if hidden:
            os.rename(hidden[0] + ".hidden", hidden[0])
            hidden.clear()
        subprocess.run(["modprobe", "ecfs"], check=True)
        return
    module = subprocess.run(["modinfo", "-n", "ecfs"], capture_output=True, text=True)
    path = module.stdout.strip()
    if not hidden and module.returncode == 0 and os.path.exists(path):
        os.rename(path, path + ".hidden")
        hidden.append(path)
    subprocess.run(["modprobe", "-r", "ecfs"], stderr=subprocess.DEVNULL)
    with open("/proc/filesystems") as known:
        if "\tecfs\n" in known.read():
            subprocess.run(["rmmod", "ecfs"], check=True)


def user_keys():
    """Descriptions of the keys in the user keyring."""
    listing = subprocess.run(["keyctl", "list", "@u"], capture_output=True, text=True).stdout
    return [line.rsplit(" ", 1)[-1] for line in listing.splitlines() if "user:" in line]
