# SPDX-License-Identifier: GPL-2.0-only
"""The mount worker against plans that this test makes, in the broker's place at worker.socket.

 1 a good plan: the mount, its flags, its state file; start and stop are idempotent
 2 bad plans and hostile paths: a named error each, nothing mounted
 3 a mount in use: named, refused, or detached with its key wiped; no second mount beside one that
   was detached with its key
 4 a broker that is absent, hung or says garbage: a stop is bounded
 5 imports: every kind of file, time, flag and attribute; an empty home; none; those that must fail
   leave the home as it was
 6 somebody who uses or changes the home while it is copied or swapped; a mount that fails after
   the swap; a filesystem without RENAME_EXCHANGE; a disk that fills up meanwhile
 7 a hostile owner who renames in the vault and in the home meanwhile; a creation that was cut off;
   a power cut; a disk slower than the unit; filesystems on which something is forbidden
 8 the worker killed at 12 points of an import: the old home in place, or kept beside the closed one
"""
import array
import contextlib
import glob
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mounts                           # noqa: E402
import report                           # noqa: E402
from report import check                # noqa: E402

WORKER = "/usr/libexec/ecryptfsd/ecryptfs-mount"
SOCKET = "/run/ecryptfsd/worker.socket"
UID = 4242
ID = f"home-{UID}"
UUID = "11111111-2222-3333-4444-555555555555"
KEY, SIG = mounts.mount_key(b"worker test")
BASE = "/home/.ecryptfs/dora"
HOME = "/home/dora"
KEPT = BASE + "/home-before-encryption"
REPORT = "/not-copied-exactly.txt"


class Broker(threading.Thread):
    """Answers like the broker does, notes what it hears."""

    def __init__(self, plan=None, stop=None, fd="sealed", mute=False, garbage=False,
                 progress=None):
        super().__init__(daemon=True)
        self.progress = progress or (lambda broker, text: None)
        self.pid = None				# of the worker that spoke last
        self.plan, self.stop, self.fd = plan, stop or {"detach": True, "grace_ms": 500}, fd
        self.mute, self.garbage = mute, garbage
        self.heard = []
        os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
        if os.path.exists(SOCKET):
            os.unlink(SOCKET)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(SOCKET)
        self.listener.listen()
        self.start()

    def close(self):
        # The thread has to be out of accept() before the number of the descriptor is free again:
        # it would take the next broker's connections.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(10)
        self.listener.close()
        os.unlink(SOCKET)

    def steps(self):
        return [message["text"] for message in self.heard if message["op"] == "progress"]

    def said(self, op):
        found = [message for message in self.heard if message.get("op") == op]
        return found[-1] if found else {}

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def keys(self):
        fd = os.memfd_create("keys", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(fd, KEY if self.fd != "short" else KEY[:-1])
        if self.fd != "unsealed":
            import fcntl
            fcntl.fcntl(fd, 1033, 0xf)		# F_ADD_SEALS: all
        return fd

    def serve(self, peer):
        creds = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid = struct.unpack("3i", creds)[0]
        while True:
            try:
                data = peer.recv(131072)
            except OSError:
                return
            if not data:
                return
            message = json.loads(data)
            self.heard.append(message)
            if message["op"] == "progress":
                self.progress(self, message["text"])
            if self.mute or message["op"] == "progress":
                continue
            if self.garbage:
                peer.send(b"\xff\xfe not json")
                continue
            answer, ancillary = {}, []
            if message["op"] == "plan":
                answer = self.plan
                if self.fd != "none" and "error" not in answer:
                    fd = self.keys()
                    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
            elif message["op"] == "unmounting":
                answer = self.stop
            peer.sendmsg([json.dumps(answer).encode()], ancillary)


def worker(verb, vault=ID, timeout=120):
    return subprocess.run([WORKER, verb, vault], capture_output=True, text=True,
                          timeout=timeout)


def unit(verb, vault=ID):
    """The same in the sandbox of the real unit."""
    return subprocess.run(["systemctl", verb, f"ecryptfs-mount@{vault}.service"],
                          capture_output=True, text=True, timeout=120)


def with_broker(verb, vault=ID, run=worker, **kwargs):
    broker = Broker(**kwargs)
    begun = time.monotonic()
    done = run(verb, vault)
    broker.seconds = time.monotonic() - begun
    broker.status = done.returncode
    broker.close()
    return broker


def plan(**changes):
    result = {"source": BASE + "/vault", "target": HOME, "owner": UID, "format": 3,
              "options": {"ecryptfs_sig": SIG, "ecryptfs_fnek_sig": SIG,
                          "ecryptfs_cipher": "aes", "ecryptfs_key_bytes": "32"},
              "force_detach": False}
    result.update(changes)
    return result


def own(path, mode):
    os.chown(path, UID, UID)
    os.chmod(path, mode)


def workshop():
    """Where the worker fills a new vault."""
    return f"{os.path.dirname(BASE)}/.import-{ID}"


def fresh(home="closed"):
    """A vault without files, and a home: closed, empty, absent or full."""
    while mounts.entry(HOME):
        subprocess.run(["umount", "-l", HOME], check=True)
    subprocess.run(["umount", "-l", f"/run/ecryptfsd/staging/{ID}"], stderr=subprocess.DEVNULL)
    for path in (BASE, HOME):
        subprocess.run(["chattr", "-R", "-f", "-ia", path], stderr=subprocess.DEVNULL)
        shutil.rmtree(path, ignore_errors=True)
    subprocess.run(["chattr", "-R", "-f", "-ia", workshop()], stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", workshop(), "/run/ecryptfsd/mounts", "/run/ecryptfsd/detached"],
                   check=True)
    os.makedirs(BASE + "/vault", 0o755)
    os.chmod("/home/.ecryptfs", 0o755)
    own(BASE, 0o700)
    own(BASE + "/vault", 0o700)
    with open(BASE + "/vault/ecryptfs-vault.json", "w") as document:
        document.write("{}")
    own(BASE + "/vault/ecryptfs-vault.json", 0o600)
    if home == "absent":
        return
    os.mkdir(HOME)
    if home == "full":
        fill(HOME)
    own(HOME, 0o500 if home == "closed" else 0o755)


def fill(home):
    """One of each kind, and names that are not nice."""
    os.makedirs(home + "/deep/er/est")
    os.makedirs(home + "/empty directory")
    names = ["plain", "sp ace", "-dash", "new\nline", "ümläut", "x" * 140, ".hidden"]
    for number, name in enumerate(names):
        with open(f"{home}/{name}", "wb") as file:
            file.write(os.urandom(1 + number * 4097))
        os.chmod(f"{home}/{name}", (0o600, 0o644, 0o755, 0o4711, 0o2755, 0o000, 0o444)[number])
    with open(home + "/sparse", "wb") as file:
        file.truncate(300000)
        file.seek(200000)
        file.write(b"island")
    open(home + "/zero", "w").close()
    os.link(home + "/plain", home + "/deep/hard link")
    os.symlink("../plain", home + "/deep/symlink")
    os.symlink("/nowhere/" + "y" * 900, home + "/dangling")
    os.mkfifo(home + "/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(home + "/socket")
    os.mknod(home + "/node", stat.S_IFCHR | 0o640, os.makedev(1, 3))
    os.mknod(home + "/whiteout", stat.S_IFCHR, 0)
    os.setxattr(home + "/plain", "user.note", b"kept?")
    subprocess.run(["setfacl", "-m", "u:root:r", home + "/plain"], check=True)
    for folder, folders, files in os.walk(home, topdown=False):
        for name in folders + files:
            path = f"{folder}/{name}"
            mode = os.lstat(path).st_mode
            os.chown(path, UID, 0 if name == ".hidden" else UID, follow_symlinks=False)
            if stat.S_ISREG(mode):
                os.chmod(path, stat.S_IMODE(mode))
            os.utime(path, ns=(10**18 + 7, 10**18 - 5), follow_symlinks=False)
    os.setxattr(home + "/deep", "trusted.note", b"by root")
    os.setxattr(home + "/empty directory", "user.note", b"of a directory")
    subprocess.run(["setfacl", "-d", "-m", "u:root:rwx", home + "/deep/er"], check=True)
    # CAP_NET_BIND_SERVICE, permitted: struct vfs_cap_data
    os.setxattr(home + "/x" + "x" * 139, "security.capability",
                struct.pack("<5I", 0x02000000, 1 << 10, 0, 0, 0))


def snapshot(root):
    """All that makes up a tree, by this test's own eyes."""
    result, links = {}, {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = f"{folder}/{name}"
            info = os.lstat(path)
            content = ""
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            elif stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            attributes = sorted((a, os.getxattr(path, a, follow_symlinks=False))
                                for a in os.listxattr(path, follow_symlinks=False))
            first = links.setdefault(info.st_ino, path[len(root):])
            size = None if stat.S_ISDIR(info.st_mode) else info.st_size
            result[path[len(root):]] = (info.st_mode, info.st_uid, info.st_gid, size, content,
                                        attributes, first, info.st_mtime_ns, info.st_rdev)
    return result


def good_plan(engine):
    fresh()
    os.chmod(BASE + "/vault", 0o700)
    broker = with_broker("start", plan=plan())
    kind, source, flags, options = mounts.entry(HOME) or ("", "", "", "")
    check(f"{engine}: a good plan is mounted", broker.status == 0 and kind == engine and
          broker.said("mounted").get("engine") == engine, broker.heard)
    # The user could swap the path, so both engines get a descriptor; ecfs shows where it led to.
    check(f"{engine}: nosuid, nodev, source", {"nosuid", "nodev"} <= set(flags.split(",")) and
          (source == BASE + "/vault" if engine == "ecfs" else source.startswith("/proc/self/fd/")),
          f"{source} {flags}")
    with open(f"/run/ecryptfsd/mounts/{ID}.json") as file:
        state = json.load(file)
    check(f"{engine}: state file", state["source"] == BASE + "/vault" and state["target"] == HOME
          and state["engine"] == engine and state["owner"] == UID, state)
    text = json.dumps(state)
    check(f"{engine}: no key in the state file, nor in the user keyring",
          KEY[24:32].hex() not in text and SIG not in mounts.user_keys())
    with open(HOME + "/hello", "w") as file:
        file.write("hello")
    broker = with_broker("start", plan=plan())
    check(f"{engine}: started again: the same mount", broker.status == 0 and
          broker.said("mounted") and subprocess.run(
              ["grep", "-c", f" {HOME} ", "/proc/self/mountinfo"],
              capture_output=True, text=True).stdout.strip() == "1")
    os.makedirs("/home/.ecryptfs/mnt", exist_ok=True)
    own("/home/.ecryptfs/mnt", 0o700)
    broker = with_broker("start", UUID, plan=plan(target="/home/.ecryptfs/mnt"))
    check(f"{engine}: the same lower directory at another place, as another vault: refused",
          broker.status == 5 and not mounts.entry("/home/.ecryptfs/mnt") and
          f"mounted at {HOME} already" in broker.said("failed").get("text", ""),
          broker.said("failed"))
    os.rmdir("/home/.ecryptfs/mnt")
    broker = with_broker("stop")
    said = broker.said("unmounted")
    check(f"{engine}: stopped", broker.status == 0 and not mounts.entry(HOME) and
          said.get("blockers") == [] and said.get("detached") is False and
          not os.path.exists(f"/run/ecryptfsd/mounts/{ID}.json"), broker.heard)
    broker = with_broker("stop")
    check(f"{engine}: stopped again", broker.status == 0)
    broker = with_broker("start", plan=plan())
    with open(HOME + "/hello") as file:
        check(f"{engine}: the file is there again", file.read() == "hello")
    with_broker("stop")
    names = [name for name in os.listdir(BASE + "/vault") if name != "ecryptfs-vault.json"]
    check(f"{engine}: its name below is ciphertext",
          len(names) == 1 and names[0].startswith("ECRYPTFS_FNEK_"), names)


def forbidden(engine):
    """What the administrator forbids on a filesystem is forbidden in a vault on it."""
    os.makedirs("/mnt/strict", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,nosymfollow", "tmpfs", "/mnt/strict"],
                   check=True)
    try:
        fresh()
        for name in ("lower", "open"):
            os.mkdir("/mnt/strict/" + name)
            own("/mnt/strict/" + name, 0o700)
        there = plan(source="/mnt/strict/lower", target="/mnt/strict/open")
        broker = with_broker("start", UUID, plan=there)
        flags = (mounts.entry("/mnt/strict/open") or [""] * 3)[2]
        with open("/mnt/strict/open/script", "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod("/mnt/strict/open/script", 0o755)
        os.symlink("script", "/mnt/strict/open/link")
        said = []
        for act in (lambda: subprocess.run(["/mnt/strict/open/script"]),
                    lambda: open("/mnt/strict/open/link").close()):
            try:
                act()
                said.append("done")
            except OSError as error:
                said.append(os.strerror(error.errno))
        check(f"{engine}: on noexec and nosymfollow: so is the mount", broker.status == 0 and
              {"noexec", "nosymfollow", "nosuid", "nodev"} <= set(flags.split(",")) and
              said == ["Permission denied", "Too many levels of symbolic links"],
              f"{flags} {said} {broker.said('failed')}")
        with_broker("stop", UUID)
        broker = with_broker("start", UUID, plan=dict(there, target=HOME))
        flags = (mounts.entry(HOME) or [""] * 3)[2]
        check(f"{engine}: on noexec, mounted elsewhere: noexec", "noexec" in flags.split(","), flags)
        with_broker("stop", UUID)
        subprocess.run(["mount", "-o", "remount,ro", "/mnt/strict"], check=True)
        broker = with_broker("start", UUID, plan=there)
        flags = (mounts.entry("/mnt/strict/open") or [""] * 3)[2]
        check(f"{engine}: on a filesystem that is read-only: read-only", broker.status == 0 and
              "ro" in flags.split(","), f"{flags} {broker.said('failed')}")
        with_broker("stop", UUID)
    finally:
        subprocess.run(["umount", "-R", "-l", "/mnt/strict"])


def no_engine(engine):
    """Neither module, as on a machine where the kernel's headers are missing."""
    fresh()
    files = [subprocess.run(["modinfo", "-n", name], capture_output=True, text=True).stdout.strip()
             for name in ("ecfs", "ecryptfs")]
    files = [path for path in files if os.path.exists(path)]
    for path in files:
        os.rename(path, path + ".hidden")
    for name in ("ecfs", "ecryptfs"):
        subprocess.run(["rmmod", name], stderr=subprocess.DEVNULL)
    try:
        still = [name for name in ("ecfs", "ecryptfs") if os.path.exists(f"/sys/module/{name}")]
        check("no engine at all: no module is left", not still, still)
        broker = with_broker("start", plan=plan())
    finally:
        for path in files:
            os.rename(path + ".hidden", path)
        subprocess.run(["modprobe", engine], check=True)
    failed = broker.said("failed")
    check("no engine at all: named", broker.status == 15 and
          failed.get("error") == "MissingComponent" and "module ecfs" in failed.get("text", ""),
          f"exit {broker.status} {failed}")


def bad_plans(engine):
    fresh()
    os.symlink(BASE, "/home/.ecryptfs/link")
    os.makedirs("/home/.ecryptfs/foreign", exist_ok=True)
    options = plan()["options"]
    rows = (
        ("source of another owner", {"source": "/home/.ecryptfs/foreign"}, "sealed",
         "NotAuthorized"),
        ("target of another owner", {"target": "/home/.ecryptfs/foreign"}, "sealed",
         "NotAuthorized"),
        ("symbolic link in the source", {"source": "/home/.ecryptfs/link/vault"}, "sealed",
         "UnsafePath"),
        ("source that is not there", {"source": "/home/.ecryptfs/none"}, "sealed", "NoSuchVault"),
        ("target in procfs", {"target": "/proc/self", "owner": 0,
                              "source": "/home/.ecryptfs/foreign"}, "sealed", None),
        ("target in procfs, a directory", {"target": "/proc/sys/fs", "owner": 0,
                                           "source": "/home/.ecryptfs/foreign"}, "sealed",
         "NotSupported"),
        ("source in sysfs", {"source": "/sys/kernel", "owner": 0, "target": "/home"}, "sealed",
         "NotSupported"),
        ("relative path", {"source": "home"}, "sealed", "ProtocolViolation"),
        ("path with ..", {"source": "/home/../home/.ecryptfs/dora/vault"}, "sealed",
         "ProtocolViolation"),
        ("no owner", {"owner": None}, "sealed", "ProtocolViolation"),
        ("format 4", {"format": 4}, "sealed", "NotSupported"),
        ("options that are no object", {"options": []}, "sealed", "ProtocolViolation"),
        ("option with a comma", {"options": dict(options, ecryptfs_cipher="aes,ro")}, "sealed",
         "ProtocolViolation"),
        ("option source", {"options": dict(options, source="/etc")}, "sealed",
         "ProtocolViolation"),
        ("no signature", {"options": {"ecryptfs_cipher": "aes"}}, "sealed", "ProtocolViolation"),
        ("a cipher that is none", {"options": dict(options, ecryptfs_cipher="rot13")}, "sealed",
         None),
        ("a key that was not sent", {"options": dict(options, ecryptfs_sig="0123456789abcdef")},
         "sealed", None),
        ("import from elsewhere", {"import": "/home/other"}, "sealed", "ProtocolViolation"),
        ("no descriptor", {}, "none", "ProtocolViolation"),
        ("descriptor without seals", {}, "unsealed", None),
        ("keys of a wrong length", {}, "short", "ProtocolViolation"),
    )
    before = open("/proc/self/mountinfo").read().count("\n")
    for name, changes, fd, error in rows:
        broker = with_broker("start", plan=plan(**changes), fd=fd)
        failed = broker.said("failed")
        after = open("/proc/self/mountinfo").read().count("\n")
        check(f"{engine}: refused: {name}", broker.status != 0 and failed.get("text") and
              (error is None or failed.get("error") == error) and before == after and
              not os.path.exists(f"/run/ecryptfsd/mounts/{ID}.json"),
              f"{failed.get('error')}: {failed.get('text')}")
    broker = Broker(plan=plan())
    done = subprocess.run(["unshare", "-m", WORKER, "start", ID], capture_output=True, timeout=60)
    broker.close()
    check(f"{engine}: a worker in a mount namespace of its own", done.returncode != 0 and
          "namespace of its own" in broker.said("failed").get("text", ""), broker.heard)
    broker = with_broker("start", plan={"error": "RateLimited", "text": "later"})
    check(f"{engine}: a refused plan", broker.status == 20, broker.status)
    fresh("full")
    broker = with_broker("start", plan=plan())
    check(f"{engine}: a home with files that were never imported is not covered",
          broker.status == 8 and not mounts.entry(HOME) and
          "would hide them" in broker.said("failed").get("text", ""), broker.heard[-1])
    for bad in ("", "home-", "home-x", "home-01", "../home-1", "home-12345678901", UUID[:-1],
                UUID.upper().replace("1", "A")):
        done = worker("start", bad)
        check(f"{engine}: no id: {bad!r}", done.returncode == 2 and "no vault's id" in done.stderr)
    os.unlink("/home/.ecryptfs/link")


def busy(engine):
    fresh()
    with_broker("start", plan=plan())
    with open(HOME + "/open file", "w") as file:
        file.write("x" * 10000)
    holder = subprocess.Popen(["tail", "-f", HOME + "/open file"], stdout=subprocess.DEVNULL)
    sitter = subprocess.Popen(["sleep", "1000"], cwd=HOME)
    time.sleep(0.5)
    broker = with_broker("stop", stop={"detach": False, "grace_ms": 700})
    failed = broker.said("failed")
    pids = {blocker["pid"] for blocker in failed.get("blockers", [])}
    check(f"{engine}: in use, detach off: named and left", broker.status == 5 and
          failed.get("error") == "Busy" and pids == {holder.pid, sitter.pid} and
          mounts.entry(HOME), failed)
    check(f"{engine}: it waited for the grace", 0.7 <= broker.seconds < 6,
          f"{broker.seconds:.1f} s")
    check(f"{engine}: said so while waiting", "in use by" in broker.said("progress").get("text", ""),
          broker.said("progress"))
    threading.Timer(1.0, lambda: (holder.kill(), sitter.kill(), holder.wait(),
                                  sitter.wait())).start()
    broker = with_broker("stop", stop={"detach": False, "grace_ms": 8000})
    check(f"{engine}: in use for a while: unmounted then", broker.status == 0 and
          not mounts.entry(HOME) and broker.said("unmounted").get("detached") is False,
          f"{broker.seconds:.1f} s")

    with_broker("start", plan=plan())
    reader = open(HOME + "/open file", "rb")
    broker = with_broker("stop", stop={"detach": True, "grace_ms": 300})
    said = broker.said("unmounted")
    check(f"{engine}: in use, detach on: detached", broker.status == 0 and
          not mounts.entry(HOME) and said.get("detached") is True and
          [b["pid"] for b in said["blockers"]] == [os.getpid()], said)
    journal = subprocess.run(["journalctl", "-b", "-o", "cat", f"ECRYPTFSD_VAULT={ID}"],
                             capture_output=True, text=True).stdout
    told = [line for line in journal.splitlines() if "it was detached" in line]
    check(f"{engine}: the journal does not say that a key is gone that is not",
          told and ("its key is gone" in told[-1]) == (engine == "ecfs"), told[-1:])
    if engine == "ecfs":
        try:
            detail = f"read {len(reader.read(100))} bytes"
        except OSError as error:
            detail = os.strerror(error.errno)
        check("ecfs: whoever still reads gets no plaintext",
              "key" in detail.lower(), detail)
        broker = with_broker("start", plan=plan())
        check("ecfs: a second mount, while somebody keeps the detached one",
              broker.status == 0 and open(HOME + "/open file").read(3) == "xxx", broker.heard[-1:])
        with_broker("stop")
        reader.close()
        return
    broker = with_broker("start", plan=plan())
    failed = broker.said("failed")
    check("ecryptfs: a second mount, while somebody keeps the detached one: refused, named",
          broker.status == 5 and failed.get("error") == "Busy" and not mounts.entry(HOME) and
          f"(pid {os.getpid()}" in failed.get("text", ""), failed)
    reader.close()
    broker = with_broker("start", plan=plan())
    check("ecryptfs: once he has let it go: mounted, with the file", broker.status == 0 and
          open(HOME + "/open file").read(3) == "xxx" and
          not os.listdir("/run/ecryptfsd/detached"), broker.heard[-1:])
    sitter = subprocess.Popen(["sleep", "1000"], cwd=HOME)
    time.sleep(0.3)
    subprocess.run(["umount", "-l", HOME], check=True)
    broker = with_broker("start", plan=plan())
    check("ecryptfs: the same after an administrator's umount --lazy", broker.status == 5 and
          f"sleep (pid {sitter.pid}" in broker.said("failed").get("text", ""),
          broker.said("failed"))
    sitter.kill()
    sitter.wait()
    broker = with_broker("start", plan=plan())
    check("ecryptfs: and then mounted again", broker.status == 0 and mounts.entry(HOME),
          broker.heard[-1:])
    with_broker("stop")


def sandbox(engine):
    """A mount namespace of somebody's own keeps a copy of the mount, which makes nothing busy."""
    fresh()
    with_broker("start", plan=plan())
    with open(HOME + "/file", "w") as file:
        file.write("plaintext")
    inside = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c",
         f"cat '{HOME}/file' && echo ready && read go && cat '{HOME}/file' 2>&1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen = inside.stdout.readline()
    check(f"{engine}: a sandbox sees the mount", seen == "plaintextready\n", seen)
    broker = with_broker("stop")
    check(f"{engine}: a sandbox does not make it busy", broker.status == 0 and not mounts.entry(HOME) and
          broker.said("unmounted").get("detached") is False, broker.heard[-1:])
    broker = with_broker("start", plan=plan())
    check(f"{engine}: mounted again while the sandbox has the old one", broker.status == 0 and
          open(HOME + "/file").read() == "plaintext", broker.heard[-1:])
    left = inside.communicate("go\n")[0]
    if engine == "ecfs":
        check("ecfs: the sandbox gets no plaintext any more", "key" in left.lower(), left)
    with_broker("stop")


def bad_broker(engine):
    for name, kwargs in (("hung", {"mute": True}), ("talking garbage", {"garbage": True})):
        fresh()
        with_broker("start", plan=plan())
        broker = with_broker("stop", **kwargs)
        check(f"{engine}: a broker that is {name}: stopped in bounded time", broker.status == 0 and
              not mounts.entry(HOME) and broker.seconds < 6, f"{broker.seconds:.1f} s")
    fresh()
    with_broker("start", plan=plan())
    sitter = subprocess.Popen(["sleep", "1000"], cwd=HOME)
    begun = time.monotonic()
    done = worker("stop")
    took = time.monotonic() - begun
    check(f"{engine}: no broker, in use: detached in bounded time", done.returncode == 0 and
          not mounts.entry(HOME) and took < 8, f"{took:.1f} s")
    sitter.kill()
    sitter.wait()
    done = worker("start")
    check(f"{engine}: no broker: no start", done.returncode == 7, done.returncode)
    fresh()
    with_broker("start", plan=plan())
    state = f"/run/ecryptfsd/mounts/{ID}.json"
    subprocess.run(["umount", HOME], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", HOME], check=True)
    broker = with_broker("stop")
    check(f"{engine}: another mount in its place is left alone", broker.status == 0 and
          (mounts.entry(HOME) or [""])[0] == "tmpfs" and not os.path.exists(state))
    subprocess.run(["umount", HOME], check=True)


def kept(engine, before):
    """A snapshot as it may be after the import: the in-tree module has whole seconds only."""
    grain = 1 if engine == "ecfs" else 10**9
    return {path: row[:7] + (row[7] // grain * grain, row[8]) for path, row in before.items()
            if path != REPORT}


def imported(engine, name, before):
    """The home is mounted with the same files."""
    before = kept(engine, before)
    after = kept(engine, snapshot(HOME))
    differing = [path for path in set(before) | set(after) if before.get(path) != after.get(path)]
    check(f"{engine}: {name}: {len(before)} entries, all the same", not differing,
          [(path, before.get(path), after.get(path)) for path in differing[:2]])


def access_times(root):
    found = {}
    for folder, folders, files in os.walk(root):
        for name in files:
            info = os.lstat(f"{folder}/{name}")
            if stat.S_ISREG(info.st_mode):
                found[f"{folder}/{name}"[len(root):]] = info.st_atime_ns
    return found


def flags(root, *names):
    """What lsattr shows, without the letters that are the filesystem's own."""
    shown = {}
    for name in names:
        line = subprocess.run(["lsattr", "-d", root + name], capture_output=True, text=True).stdout
        shown[name] = "".join(letter for letter in line.split(" ")[0] if letter not in "-eI")
    return shown


def imports(engine):
    fresh("full")
    os.chmod(HOME, 0o2751)
    os.setxattr(HOME, "user.note", b"of the home")
    subprocess.run(["chattr", "+d", HOME], check=True)
    flagged = {"/plain": "+i", "/-dash": "+a", "/.hidden": "+dA", "/deep/er": "+i",
               "/empty directory": "+a", "/zero": "+S", "/sparse": "+j"}
    times = access_times(HOME)
    before = snapshot(HOME)
    for name, change in flagged.items():
        subprocess.run(["chattr", change, HOME + name], check=True)
    wanted = flags(HOME, "", *flagged)
    broker = with_broker("start", run=unit, plan=plan(**{"import": HOME}))
    check(f"{engine}: import of a full home, in the sandbox of the unit", broker.status == 0 and
          (mounts.entry(HOME) or [""])[0] == engine,
          [m.get("text", m["op"]) for m in broker.heard])
    after = access_times(HOME)
    after.pop(REPORT, None)		# the one file that was not in the old home
    atime = 10**18 + 7 if engine == "ecfs" else 10**18
    check(f"{engine}: import: access times of {len(times)} files, in nanoseconds",
          set(after) == set(times) and all(value == atime for value in after.values()),
          [(path, value) for path, value in after.items() if value != atime][:2])
    imported(engine, "import", before)
    got = flags(HOME, "", *flagged)
    with open(HOME + REPORT) as file:
        named = file.read().splitlines()
    lost = {path for path in wanted if set(wanted[path]) - set(got[path])}
    check(f"{engine}: import: flags of chattr, kept or named", lost <= {"/sparse"} and
          all(any(line.startswith(f"{path}: ") and "chattr" in line for line in named)
              for path in lost), f"{got} {named}")
    coarse = [line for line in named if "fractions of a second" in line]
    check(f"{engine}: import: whole seconds are named, where there is no more",
          len(coarse) == (engine == "ecryptfs"), coarse)
    check(f"{engine}: import: holes that were filled are named",
          any(line.startswith("/sparse: ") and "holes" in line for line in named), named)
    info = os.stat(HOME + REPORT)
    check(f"{engine}: import: the list is the owner's alone",
          (info.st_uid, info.st_gid, info.st_mode & 0o777) == (UID, UID, 0o600), oct(info.st_mode))
    said = [text for text in broker.steps() if "could not be copied" in text]
    journal = subprocess.run(["journalctl", "-b", "-o", "cat", f"ECRYPTFSD_VAULT={ID}"],
                             capture_output=True, text=True).stdout
    check(f"{engine}: import: the journal has the number and the place, and no name of a file",
          len(said) == 1 and REPORT[1:] in said[0] and said[0] in journal and
          not [name for name in ("sparse", "deep/", ".hidden", "zero") if name in journal], said)
    check(f"{engine}: the old home is kept as it was", snapshot(KEPT) == before)
    info = os.stat(HOME)
    check(f"{engine}: the open home has mode, owner and attributes of the old one",
          (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (UID, UID, 0o2751) and
          os.getxattr(HOME, "user.note") == b"of the home", oct(info.st_mode))
    with_broker("stop", run=unit)
    info = os.stat(HOME)
    check(f"{engine}: the closed home", os.listdir(HOME) == ["README.txt"] and
          (info.st_uid, info.st_gid, info.st_mode & 0o777) == (UID, UID, 0o500), os.listdir(HOME))
    check(f"{engine}: nothing is left of the staging", not os.path.exists(
        f"/run/ecryptfsd/staging/{ID}") and not os.path.exists(workshop()) and
        sorted(os.listdir(BASE)) == ["home-before-encryption", "vault"], os.listdir(BASE))
    broker = with_broker("start", plan=plan())
    imported(engine, "at the next login", before)
    with_broker("stop")

    for kind in ("empty", "absent"):
        fresh(kind)
        if kind == "empty":
            os.chmod(HOME, 0o711)
        broker = with_broker("start", plan=plan(**{"import": HOME}))
        mode = os.stat(HOME).st_mode & 0o7777
        check(f"{engine}: import, home {kind}: open", broker.status == 0 and
              (mounts.entry(HOME) or [""])[0] == engine and not os.path.exists(KEPT) and
              mode == (0o711 if kind == "empty" else 0o700),
              f"{oct(mode)} {broker.said('failed')}")
        with_broker("stop")
        check(f"{engine}: import, home {kind}: closed", os.listdir(HOME) == ["README.txt"])


def refused_untouched(name, broker, before, error, words):
    """A refusal with its reason; the home in its place, all of the copy gone again."""
    failed = broker.said("failed")
    check(f"{name}: refused", broker.status != 0 and error in (failed.get("error"), None) and
          words in failed.get("text", ""), f"{failed.get('error')}: {failed.get('text')}")
    lower = [n for n in os.listdir(BASE + "/vault") if n != "ecryptfs-vault.json"]
    after = snapshot(HOME)
    check(f"{name}: the home is as it was, with its {len(before)} entries", after == before and
          not mounts.entry(HOME) and not os.path.exists(KEPT) and not lower and
          not os.path.exists(f"/run/ecryptfsd/staging/{ID}") and
          not os.path.exists(workshop()) and
          os.path.exists(BASE + "/vault/ecryptfs-vault.json") and
          not os.path.exists(f"/run/ecryptfsd/mounts/{ID}.json"),
          [lower] + [path for path in set(before) | set(after)
                     if before.get(path) != after.get(path)][:3])


def links_of(pid):
    """What the descriptors of a process lead to."""
    try:
        fds = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for fd in fds:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            pass


def has_open(pid, name):
    """Is the worker at that file?"""
    return any(link.endswith(name) for link in links_of(pid))


def once(word, act, at=None):
    """For progress=: at the first report that begins with word, and if wanted once the worker is
    at that file, it is held, act() done, and let go on, however slow this machine is."""
    done = []

    def progress(broker, text):
        if done or not text.startswith(word):
            return
        done.append(text)
        end = time.monotonic() + 30
        while at and not has_open(broker.pid, at) and time.monotonic() < end:
            time.sleep(0.002)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            if at and not has_open(broker.pid, at):
                report.check(f"the worker was held at {at}", False, text)
            act()
        finally:
            os.kill(broker.pid, signal.SIGCONT)
    return progress


def used_meanwhile(engine):
    """Whoever writes into the home while it is copied finds his words in the home, whatever
    becomes of the import."""
    def start(progress):
        return with_broker("start", plan=plan(**{"import": HOME}), progress=progress)

    def large():
        fresh("full")
        with open(HOME + "/zz-large", "wb") as file:	# compared after all others
            file.write(os.urandom(10 << 20))
        own(HOME + "/zz-large", 0o600)

    sitters = []

    def sit():
        sitters.append(subprocess.Popen(["sleep", "1000"], cwd=HOME))

    def leave():
        for sitter in sitters:
            sitter.kill()
            sitter.wait()
        sitters.clear()

    def append():
        with open(HOME + "/-dash", "ab") as file:
            file.write(b"written meanwhile")

    # While it is copied; and when it was compared already, and the worker is at the last file.
    for word, at in (("copying", None), ("comparing", "/zz-large")):
        large()
        broker = start(once(word, append, at))
        with open(HOME + "/-dash", "rb") as file:
            content = file.read()
        check(f"{engine}: a file written while {word}: the words are in the home",
              content.endswith(b"written meanwhile"), broker.said("failed").get("text"))
        refused_untouched(f"{engine}: a file written while {word}", broker, snapshot(HOME), "Busy",
                          "/-dash")
    large()
    broker = start(once("comparing", lambda: os.unlink(HOME + "/-dash"), "/zz-large"))
    refused_untouched(f"{engine}: a file removed meanwhile", broker, snapshot(HOME), "Busy",
                      "was changed")

    fresh("full")
    before = snapshot(HOME)
    if engine == "ecfs":
        sit()
        broker = start(None)
        refused_untouched(f"{engine}: in use from the start", broker, before, "Busy",
                          f"sleep (pid {sitters[0].pid}")
        check(f"{engine}: in use from the start: waited, not a byte was copied",
              broker.seconds > 15 and not any(text.startswith("copying")
                                              for text in broker.steps()),
              f"{broker.seconds:.1f} s {broker.steps()}")
        leave()
    sit()
    threading.Timer(2, leave).start()
    broker = start(None)
    check(f"{engine}: in use for 2 s more, as by the services of a user who logs out: imported",
          broker.status == 0 and kept(engine, snapshot(HOME)) == kept(engine, before) and
          any("sleep (pid" in text for text in broker.steps()), broker.steps())
    with_broker("stop")
    fresh("full")
    before = snapshot(HOME)
    broker = start(once("copying", sit))
    refused_untouched(f"{engine}: in use since the copy began", broker, before, "Busy",
                      f"sleep (pid {sitters[0].pid}")
    leave()

    # Somebody whom no look at processes finds, because his descriptor is on its way through a
    # socket, comes and writes after the last look before the swap. He may be too late for this:
    # then the import has succeeded, and it is tried again.
    for tries in range(1, 6):
        fresh("full")
        ends = socket.socketpair()
        fd = os.open(HOME, os.O_RDONLY)
        socket.send_fds(ends[0], [b"x"], [fd])
        os.close(fd)
        came = []

        def come(broker, text):
            if text.startswith("putting"):
                came.extend(socket.recv_fds(ends[1], 1, 1)[1])
                os.close(os.open("late", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=came[0]))

        broker = start(come)
        for fd in came + [end.detach() for end in ends]:
            os.close(fd)
        if broker.status:
            break
        with_broker("stop")
    check(f"{engine}: a file made while the home was swapped is in the home, try {tries}",
          os.path.exists(HOME + "/late"), broker.said("failed").get("text"))
    refused_untouched(f"{engine}: a file made while the home was swapped", broker, snapshot(HOME),
                      "Busy", "/home/dora")


# Watches the vault, from outside of every home, and puts a link in the place of a directory that
# is being filled. argv: the vault.
MOVES_LOWER = r"""
import os, stat, sys
held = os.open(sys.argv[1], os.O_RDONLY)
kind = lambda fd, name: stat.S_IFMT(os.lstat(name, dir_fd=fd).st_mode)
print("ready", flush=True)
while True:
    fds = [held]
    try:
        fds.append(os.open(sys.argv[1], os.O_RDONLY))
        for fd in fds[:]:
            names = [name for name in os.listdir(fd) if name.startswith("ECRYPTFS")]
            links = [name for name in names if kind(fd, name) == stat.S_IFLNK]
            for name in names:
                if not links or kind(fd, name) != stat.S_IFDIR:
                    continue
                fds.append(os.open(name, os.O_RDONLY, dir_fd=fd))
                filled = len(os.listdir(fds[-1]))
                if filled:
                    os.rename(name, ".away", src_dir_fd=fd, dst_dir_fd=fd)
                    os.rename(links[0], name, src_dir_fd=fd, dst_dir_fd=fd)
                    print(f"struck after {filled} files", flush=True)
                    sys.exit()
    except OSError:
        pass
    for fd in fds[1:]:
        os.close(fd)
"""
# Exchanges a directory of the home with a link, again and again. argv: the home.
MOVES_HOME = r"""
import ctypes, sys
paths = [f"{sys.argv[1]}/{name}".encode() for name in ("directory", "link00")]
rename = ctypes.CDLL(None).renameat2
print("ready", flush=True)
while True:
    rename(-100, paths[0], -100, paths[1], 2)
"""


def hold_cp(broker, part):
    """Stops the worker's cp while it has a file open whose path contains part."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with open(f"/proc/{broker.pid}/task/{broker.pid}/children") as file:
            for pid in map(int, file.read().split()):
                if any(part in link for link in links_of(pid)):
                    os.kill(pid, signal.SIGSTOP)
                    return pid
    return None


def hostile_owner(engine):
    """The owner of the home, with one process somewhere else, renames in the vault and in the
    home while root works in both."""
    outside = "/root/ecfs-outside"		# only root comes here
    count = 400
    for name, attack in (("in the vault", MOVES_LOWER), ("in the home", MOVES_HOME)):
        fresh("empty")
        shutil.rmtree(outside, ignore_errors=True)
        os.mkdir(outside, 0o700)
        for number in range(10):
            os.symlink(outside, f"{HOME}/link{number:02}")
        os.mkdir(HOME + "/directory")
        for number in range(count):
            for folder in (HOME + "/directory", outside):
                if folder == outside and attack is MOVES_LOWER:
                    continue
                with open(f"{folder}/f{number:03}", "w") as file:
                    file.write("mine" if folder != outside else "root's")
                # So that the first to read it sets the time of access: relatime.
                os.utime(file.name, (1, 2))
        subprocess.run(["chown", "-hR", f"{UID}:{UID}", HOME], check=True)
        entries = len(os.listdir(outside))
        argument = BASE + "/vault" if attack is MOVES_LOWER else HOME
        villain = subprocess.Popen([sys.executable, "-c", attack, argument], cwd="/", user=UID,
                                   group=UID, extra_groups=[], stdout=subprocess.PIPE, text=True)
        villain.stdout.readline()
        seen = {}

        def look(villain=villain, seen=seen):
            villain.send_signal(signal.SIGSTOP)
            seen["flags"] = (mounts.entry(f"/run/ecryptfsd/staging/{ID}") or [""] * 3)[2]
            info = os.stat(workshop())
            seen["workshop"] = (info.st_uid, info.st_mode & 0o777)
            seen["vault"] = [n for n in os.listdir(BASE + "/vault") if "ecryptfs-vault" not in n]
            villain.send_signal(signal.SIGCONT)

        def progress(broker, text, look=look, villain=villain, seen=seen):
            if text.startswith("copying") and "cp" not in seen:
                # In the middle of the directory, for as long as he wants.
                seen["cp"] = hold_cp(broker, "/directory/f")
                select.select([villain.stdout], [], [], 2)
                if seen["cp"]:
                    os.kill(seen["cp"], signal.SIGCONT)
            once("comparing", look)(broker, text)

        broker = with_broker("start", plan=plan(**{"import": HOME}),
                             progress=progress if attack is MOVES_LOWER else None)
        villain.kill()
        words = villain.communicate()[0].strip()
        read = [n for n in os.listdir(outside) if os.stat(f"{outside}/{n}").st_atime != 1]
        check(f"{engine}: the owner renames {name}: root was led nowhere else",
              len(os.listdir(outside)) == entries and not read,
              f"{len(os.listdir(outside)) - entries} files made there, {len(read)} read; "
              f"{words} {broker.said('failed').get('text', 'imported')}")
        if attack is MOVES_LOWER:
            check(f"{engine}: the owner renames {name}: he saw nothing of the copy",
                  seen.get("cp") and seen.get("workshop") == (0, 0o700) and
                  seen.get("vault") == [] and
                  {"nosymfollow", "noexec", "nosuid", "nodev"} <= set(seen["flags"].split(",")),
                  seen)
        else:
            check(f"{engine}: the owner renames {name}: refused, nothing left",
                  broker.said("failed").get("error") in ("Busy", "NoSuchDirectory") and
                  broker.status and not mounts.entry(HOME) and
                  not os.path.exists(workshop()), broker.said("failed"))
    shutil.rmtree(outside)


def killed_unnoted(engine):
    """SIGKILL when the mount stands and its state file does not: the unit takes it away when it has
    failed, and a start that comes first begins anew. Nobody else would know whose mount it is."""
    state, trace = f"/run/ecryptfsd/mounts/{ID}.json", ["strace", "-qq", "-o", "/dev/null", "-e",
        "trace=/^rename", "-e", "inject=/^rename:signal=KILL:when=1", WORKER, "start"]
    fresh()
    broker = Broker(plan=plan())
    subprocess.run([*trace, ID], check=False)
    broker.close()
    left = bool(mounts.entry(HOME)), os.path.exists(state), bool(broker.said("mounted"))
    check(f"{engine}: killed between mount and state file", left == (True, False, False), left)
    broker = with_broker("start", plan=plan())
    check(f"{engine}: the next start mounts afresh, and notes it", broker.status == 0 and
          mounts.entry(HOME) and os.listdir("/run/ecryptfsd/mounts") == [f"{ID}.json"],
          f"exit {broker.status}, {broker.said('failed')} {os.listdir('/run/ecryptfsd/mounts')}")
    with_broker("stop")
    check(f"{engine}: and it is closed as ever", not mounts.entry(HOME))

    drop_in = "/run/systemd/system/ecryptfs-mount@.service.d"
    os.makedirs(drop_in)
    with open(drop_in + "/trace.conf", "w") as file:
        file.write("[Service]\nExecStart=\nSystemCallFilter=\n"
                   f"ExecStart={' '.join(['/usr/bin/strace', '-D', *trace[1:]])} %i\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    begun = time.time()
    broker = with_broker("start", run=unit, plan=plan())
    log = subprocess.run(["journalctl", "-q", "-o", "cat", f"--since=@{int(begun)}", "-u",
                          f"ecryptfs-mount@{ID}.service"], capture_output=True, text=True).stdout
    check(f"{engine}: killed there as a unit: it unmounts when it has failed", broker.status != 0 and
          "a start that was killed: unmounted" in log and not mounts.entry(HOME) and
          os.listdir("/run/ecryptfsd/mounts") == [], f"exit {broker.status}: {log}")
    shutil.rmtree(drop_in)
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def interrupted(engine):
    """A creation that was cut off is begun anew, whatever it left, in the sandbox of the unit."""
    fresh("full")
    broker = Broker(plan=plan(**{"import": HOME}))
    process = subprocess.Popen([WORKER, "start", ID], stderr=subprocess.DEVNULL,
                               start_new_session=True)
    end = time.monotonic() + 30
    while time.monotonic() < end and not glob.glob(workshop() + "/vault/ECRYPTFS*"):
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    broker.close()
    left = sum(len(files) + len(folders) for _, folders, files in os.walk(workshop()))
    # And what the store could not remove of another one.
    scrap = BASE + "/unfinished-vault"
    subprocess.run(f"mkdir -p {scrap}/mod/sub {scrap}/roots; touch {scrap}/mod/sub/file "
                   f"{scrap}/roots/fixed; chown -R {UID}:{UID} {scrap}; chown 0:0 {scrap}/roots; "
                   f"chmod 700 {scrap}/roots; chmod 555 {scrap}/mod {scrap}/mod/sub; "
                   f"chattr +i {scrap}/roots/fixed", shell=True, check=True)
    before = snapshot(HOME)
    broker = with_broker("start", run=unit, plan=plan(**{"import": HOME}))
    check(f"{engine}: after an interrupted import: done, and nothing left of it", left > 1 and
          broker.status == 0 and kept(engine, snapshot(HOME)) == kept(engine, before) and
          sorted(os.listdir(BASE)) == ["home-before-encryption", "vault"] and
          not os.path.exists(workshop()), f"{left} entries were left; {os.listdir(BASE)} "
          f"{broker.said('failed')}")
    with_broker("stop", run=unit)


def cannot_open(engine):
    """The swap was done, the mount or its state file fails: all goes back."""
    for kind in ("full", "absent"):
        fresh(kind)
        before = snapshot(HOME) if kind == "full" else {}
        open("/run/ecryptfsd/mounts", "w").close()	# no directory: no state file
        broker = with_broker("start", plan=plan(**{"import": HOME}))
        os.unlink("/run/ecryptfsd/mounts")
        check(f"{engine}: not opened after the swap, home {kind}: the swap was tried",
              "putting the closed home in place" in broker.steps(), broker.steps())
        if kind == "full":
            refused_untouched(f"{engine}: not opened after the swap", broker, before, None,
                              "/run/ecryptfsd/mounts")
        else:
            check(f"{engine}: not opened after the move: there is no home, as before",
                  broker.status != 0 and not os.path.exists(HOME) and not os.path.exists(KEPT) and
                  not mounts.entry(HOME), broker.said("failed"))


def on_plain_ecryptfs(engine):
    """A filesystem that cannot exchange two directories: the in-tree ecryptfs is one."""
    global BASE, HOME, KEPT
    if subprocess.run(["modprobe", "ecryptfs"], stderr=subprocess.DEVNULL).returncode:
        report.skip(f"{engine}: a filesystem without RENAME_EXCHANGE", "no module ecryptfs here")
        return
    saved = BASE, HOME, KEPT
    payload, sig = mounts.auth_tok(b"a filesystem for homes")
    subprocess.run(["keyctl", "padd", "user", sig, "@u"], input=payload, check=True,
                   capture_output=True)
    os.makedirs("/mnt/homes", exist_ok=True)
    os.makedirs("/root/lower", exist_ok=True)
    subprocess.run(["mount", "-i", "-t", "ecryptfs", "-o", f"ecryptfs_sig={sig},ecryptfs_cipher=aes,"
                    "ecryptfs_key_bytes=16", "/root/lower", "/mnt/homes"], check=True)
    BASE, HOME, KEPT = (path.replace("/home", "/mnt/homes", 1) for path in saved)
    os.makedirs("/mnt/homes/.ecryptfs", exist_ok=True)
    try:
        fresh("empty")
        with open(HOME + "/letter", "w") as file:
            file.write("dear diary")
        own(HOME + "/letter", 0o600)
        before = snapshot(HOME)
        broker = with_broker("start", plan=plan(**{"import": HOME}))
        refused_untouched(f"{engine}: a filesystem without RENAME_EXCHANGE", broker, before,
                          "NotSupported", "RENAME_EXCHANGE")
        check(f"{engine}: a filesystem without RENAME_EXCHANGE: said before anything was done",
              not broker.steps(), broker.steps())
    finally:
        BASE, HOME, KEPT = saved
        subprocess.run(["umount", "/mnt/homes"], check=True)
        subprocess.run(["keyctl", "clear", "@u"])


def failing_imports(engine):
    def long_name():
        path = HOME + "/" + "n" * 200
        open(path, "w").close()
        os.chown(path, UID, UID)

    def mount_inside():
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", HOME + "/empty directory"], check=True)

    def kept_files():
        os.mkdir(KEPT)
        open(KEPT + "/old", "w").close()

    def vault_files():
        with_broker("start", "home-1", plan=plan(target="/home/.ecryptfs/mnt"))
        open("/home/.ecryptfs/mnt/there", "w").close()
        with_broker("stop", "home-1")

    def foreign():
        os.chown(HOME, 0, 0)

    def immutable():
        subprocess.run(["chattr", "+i", HOME], check=True)

    os.makedirs("/home/.ecryptfs/mnt", exist_ok=True)
    own("/home/.ecryptfs/mnt", 0o500)
    rows = (("a name too long to encrypt", long_name, "File name too long"),
            ("something mounted in the home", mount_inside, "unmount it first"),
            ("an old home kept already", kept_files, "move them away first"),
            ("a vault with files", vault_files, "files already"),
            ("a home of another owner", foreign, "belongs to uid 0"),
            ("an immutable home", immutable, "chattr -ia"))
    for name, prepare, words in rows:
        fresh("full")
        prepare()
        before = snapshot(HOME)
        kept = sorted(os.listdir(KEPT)) if os.path.exists(KEPT) else None
        broker = with_broker("start", plan=plan(**{"import": HOME}))
        failed = broker.said("failed")
        check(f"{engine}: import with {name}: refused", broker.status != 0 and
              words in failed.get("text", ""), f"{failed.get('error')}: {failed.get('text')}")
        after = sorted(os.listdir(KEPT)) if os.path.exists(KEPT) else None
        check(f"{engine}: import with {name}: the home is as it was", snapshot(HOME) == before and
              not mounts.entry(HOME) and kept == after and
              not os.path.exists(f"/run/ecryptfsd/staging/{ID}"), after)
        lower = [n for n in os.listdir(BASE + "/vault") if n.startswith("ECRYPTFS")]
        check(f"{engine}: import with {name}: nothing left in the vault",
              len(lower) == (1 if prepare is vault_files else 0), lower)
        subprocess.run(["umount", HOME + "/empty directory"], stderr=subprocess.DEVNULL)
    shutil.rmtree("/home/.ecryptfs/mnt")


@contextlib.contextmanager
def own_disk():
    """A disk of its own for homes."""
    global BASE, HOME, KEPT
    saved = BASE, HOME, KEPT
    subprocess.run(["sh", "-c", "truncate -s 64M /root/disk && mkfs.ext4 -q -b 4096 -m 0 /root/disk && "
                    "mkdir -p /mnt/homes && mount -o loop /root/disk /mnt/homes"], check=True)
    BASE, HOME, KEPT = (path.replace("/home", "/mnt/homes", 1) for path in saved)
    os.makedirs("/mnt/homes/.ecryptfs")
    try:
        yield
    finally:
        BASE, HOME, KEPT = saved
        subprocess.run(["umount", "-l", "/mnt/homes"])
        os.unlink("/root/disk")


def full_disk(engine):
    """Copying must not fit."""
    with own_disk():
        for size, name in ((40 << 20, "seen before the copy"),):
            fresh("full")
            with open(HOME + "/large", "wb") as file:
                file.write(os.urandom(size))
            os.chown(HOME + "/large", UID, UID)
            before = snapshot(HOME)
            broker = with_broker("start", plan=plan(**{"import": HOME}))
            failed = broker.said("failed")
            check(f"{engine}: import, disk full, {name}", failed.get("error") == "NoSpace" and
                  snapshot(HOME) == before and not os.path.exists(KEPT), failed)
        fresh("full")
        with open(HOME + "/large", "wb") as file:
            file.write(os.urandom(16 << 20))
        own(HOME + "/large", 0o600)
        subprocess.run(["chattr", "+i", HOME + "/plain"], check=True)
        before = snapshot(HOME)
        broker = with_broker("start", plan=plan(**{"import": HOME}),
                             progress=once("copying", fill_up))
        filled = os.stat("/mnt/homes/filler").st_size >> 20
        refused_untouched(f"{engine}: import, disk full while copying", broker, before, "NoSpace",
                          "No space left")
        check(f"{engine}: import, disk full while copying: it was the disk", filled > 8,
              f"{filled} MiB taken away from 64")
        subprocess.run(["chattr", "-i", HOME + "/plain"], check=True)
        os.unlink("/mnt/homes/filler")


def power_cut(engine):
    """What the disk itself holds when the home has been exchanged: the kernel is told to write
    nothing back by itself, and the disk is looked at as after a power cut."""
    clocks = {"dirty_writeback_centisecs": "0", "dirty_expire_centisecs": "360000"}
    before = {}
    for name, value in clocks.items():
        with open(f"/proc/sys/vm/{name}", "r+") as file:
            before[name] = file.read()
            file.write(value)
    try:
        with own_disk():
            fresh("full")
            subprocess.run(["sync"], check=True)
            broker = with_broker("start", plan=plan(**{"import": HOME}))
            subprocess.run("cp /root/disk /root/disk-cut && mkdir -p /mnt/cut && "
                           "mount -o loop /root/disk-cut /mnt/cut", shell=True, check=True)
            live = snapshot(BASE + "/vault")
            cut = snapshot(BASE.replace("/mnt/homes", "/mnt/cut") + "/vault")
            subprocess.run(["umount", "/mnt/cut"], check=True)
            os.unlink("/root/disk-cut")
            # What was written since is the list of the losses at most, and no loss of a home's.
            lost = [path for path in live if cut.get(path, [None] * 5)[3:5] != live[path][3:5]]
            check(f"{engine}: the power fails after the exchange: the vault is on the disk, "
                  f"{len(live)} entries", broker.status == 0 and len(live) > 20 and not lost,
                  f"{len(lost)} not whole {broker.said('failed')}")
            with_broker("stop")
    finally:
        for name, value in before.items():
            with open(f"/proc/sys/vm/{name}", "w") as file:
                file.write(value)


def fill_up():
    """All but 4 MiB, at once: the 16 MiB that are about to be copied have no place any more."""
    space = os.statvfs("/mnt/homes")
    fd = os.open("/mnt/homes/filler", os.O_WRONLY | os.O_CREAT, 0o600)
    os.posix_fallocate(fd, 0, space.f_bavail * space.f_frsize - (4 << 20))
    os.close(fd)


def killed(engine):
    """SIGKILL at growing delays: one of two states, and no third."""
    states = {"old home in place": 0, "closed home and kept": 0}
    points = range(12) if engine == "ecfs" else range(1, 12, 2)
    for step in points:
        fresh("full")
        before = snapshot(HOME)
        broker = Broker(plan=plan(**{"import": HOME}))
        process = subprocess.Popen([WORKER, "start", ID], stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        time.sleep(0.05 * (step + 1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        broker.close()
        # A mount that was made already is no part of the question.
        while mounts.entry(HOME):
            subprocess.run(["umount", "-l", HOME], check=True)
        if snapshot(HOME) == before:
            states["old home in place"] += 1
            again = with_broker("start", plan=plan())
            if mounts.entry(HOME) or again.status == 0:
                check(f"{engine}: killed at {step}: a login then must not hide the files", False)
        elif os.listdir(HOME) == ["README.txt"] and snapshot(KEPT) == before:
            states["closed home and kept"] += 1
            again = with_broker("start", plan=plan())
            check(f"{engine}: killed at {step}, after the swap: the next login has all files",
                  again.status == 0 and kept(engine, snapshot(HOME)) == kept(engine, before))
            with_broker("stop")
        else:
            check(f"{engine}: killed at {step}: a third state", False, os.listdir(HOME))
    check(f"{engine}: killed {len(points)} times during an import: every file in its place",
          sum(states.values()) == len(points) and states["old home in place"] > 0, states)

    fresh("full")
    before = snapshot(HOME)
    broker = Broker(plan=plan(**{"import": HOME}))
    process = subprocess.Popen([WORKER, "start", ID], stderr=subprocess.DEVNULL)
    while not broker.said("progress"):
        time.sleep(0.01)
    process.terminate()
    status = process.wait(timeout=60)
    broker.close()
    check(f"{engine}: an import that is cancelled", status == 19 and snapshot(HOME) == before and
          broker.said("failed").get("error") == "Cancelled" and not os.path.exists(KEPT) and
          not [n for n in os.listdir(BASE + "/vault") if n.startswith("ECRYPTFS")],
          f"exit {status} {broker.said('failed')}")


def main():
    subprocess.run(["systemctl", "stop", "ecryptfsd.socket", "ecryptfsd.service"],
                   stderr=subprocess.DEVNULL)
    # Its unit wants the broker: this test is the broker.
    subprocess.run(["systemctl", "mask", "--runtime", "ecryptfsd.socket", "ecryptfsd.service"],
                   check=True, stderr=subprocess.DEVNULL)
    found = mounts.engines()
    if "ecfs" not in found:
        report.skip("ecfs", "the module cannot be loaded here")
    subprocess.run(["groupadd", "-g", str(UID), "dora"], check=True)
    subprocess.run(["useradd", "-M", "-u", str(UID), "-g", str(UID), "-d", HOME, "dora"],
                   check=True)
    # What differs with engine and kernel; and refusals before any engine is asked, which are tried once.
    everywhere = (good_plan, busy, killed_unnoted, imports, sandbox, full_disk)
    deeper = (forbidden, bad_broker, hostile_owner, interrupted, used_meanwhile, cannot_open,
              power_cut, killed)
    refusals = (bad_plans, on_plain_ecryptfs, failing_imports, no_engine)
    old = os.environ.get("KERNEL") != "6.12"
    for engine in found:
        mounts.choose(engine)
        first = engine == found[0]
        for part in (*everywhere, *(() if old else deeper), *(refusals if first else ())):
            if len(sys.argv) > 1 and part.__name__ not in sys.argv[1:]:
                continue
            report.attempt(f"{engine}: {part.__name__}", part, engine)
        fresh()
    mounts.choose(found[0])		# leaves the module where it was
    report.finish()


main()
