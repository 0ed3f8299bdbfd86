# SPDX-License-Identifier: GPL-2.0-only
"""The secret canary (point 7): passphrases and keys of a whole day of use are searched for in
the journal, a capture of the bus, every command line and environment, core files and swap.

A search that finds nothing must be able to find something: each haystack is also searched for
words that must be there, or gets a planted canary first.
"""
import ctypes
import glob
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (PASSWORDS, WAYS, daemon_pid, leftovers, legacy_keys, login_ssh, logout,
                   make_world, sh, wait_until)
from passwd import change, opens
from report import attempt, check, finish

MOUNT_PASSPHRASE = "00112233445566778899aabbccddeeff"
SWAP = "/dev/zram0"
SWAPPED_KIB = 24576


class Watcher(threading.Thread):
    """Reads every process's command line and environment, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.looks = 0
        self.seen = set()
        self.stop = False

    def run(self):
        while not self.stop:
            for name in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
                try:
                    with open(name, "rb") as file:
                        self.seen.add(file.read())
                except OSError:
                    continue
                self.looks += 1
            time.sleep(0.02)


def in_file(path, needles):
    """Which needles are in a file or device; read in steps that overlap."""
    found, tail, size = set(), b"", 0
    longest = max(len(needle) for needle in needles)
    with open(path, "rb", 0) as file:
        while True:
            block = file.read(1 << 20)
            if not block:
                return found, size
            size += len(block)
            window = tail + block
            found |= {needle for needle in needles if needle in window}
            tail = window[-longest:]


def look(name, path, needles, control):
    found, size = in_file(path, needles + [control])
    check(f"{name}: the search works", control in found, f"{size} bytes, control {control!r}")
    found.discard(control)
    check(f"{name}: 0 secrets", not found, f"{len(needles)} searched in {size} bytes, "
          f"{len(found)} hits {[n[:6] for n in found]}")


def stay_out_of_swap():
    """This very process knows all secrets, and is not what is tested."""
    mcl_current, mcl_future = 1, 2
    if ctypes.CDLL(None, use_errno=True).mlockall(mcl_current | mcl_future):
        raise OSError(ctypes.get_errno(), "mlockall")


def swapped_kib():
    return int(sh("awk '/zram0/ { print $4 }' /proc/swaps").split()[0])


def python(code):
    return subprocess.Popen([sys.executable, "-c", f"import time; {code}; time.sleep(3000)"])


def look_at_swap(needles):
    """While memory is short: what a process had in swap is gone from there when it ends."""
    hog = python("fill = [bytes([i % 251]) * (1 << 20) for i in range(820)]")
    wait_until(lambda: swapped_kib() > SWAPPED_KIB, 240, 1)
    check("swap: in use while it is searched", swapped_kib() > SWAPPED_KIB,
          f"{swapped_kib()} KiB")
    look("swap", SWAP, needles, b"swap-control-words")
    hog.kill()
    hog.wait()


def day_of_use():
    for way in WAYS:
        for user in ("vera", "alice"):
            term = WAYS[way](user, PASSWORDS[user])
            term.run("echo x > f; rm f")
            logout(term)
    wait_until(lambda: not leftovers("vera") and not leftovers("alice"), 20)
    change("vera", PASSWORDS["vera"], "changed-canary-7")
    opens("vera", "wrong-canary-8")
    opens("vera", "changed-canary-7")
    PASSWORDS["vera"] = "changed-canary-7"


def crash_everything():
    """Signals that dump core, at the broker and at helpers caught at work."""
    sh("mkdir -p /run/cores && chmod 1777 /run/cores && ulimit -c unlimited && "
       "echo '/run/cores/%e.%p' > /proc/sys/kernel/core_pattern")
    plain = subprocess.Popen(["sh", "-c", "ulimit -c unlimited; exec sleep 60"],
                             env={"CANARY": "core-control-words"})
    time.sleep(1)
    plain.send_signal(signal.SIGSEGV)
    plain.wait()
    term = login_ssh("vera", PASSWORDS["vera"])
    os.kill(daemon_pid(), signal.SIGSEGV)
    logout(term)
    time.sleep(2)
    thread = threading.Thread(target=opens, args=("vera", PASSWORDS["vera"]))
    thread.start()
    end = time.monotonic() + 20
    hits = 0
    while time.monotonic() < end and not hits:
        for pid in sh("pgrep -x ecryptfs-key-he", check=False).split():
            try:
                os.kill(int(pid), signal.SIGSEGV)
                hits += 1
            except ProcessLookupError:
                continue
    thread.join()
    return hits


def main():
    stay_out_of_swap()
    recovery = make_world()
    groups = [word for word in recovery.split() if "-" in word and len(word) > 60]
    secrets = [p.encode() for p in PASSWORDS.values()]
    secrets += [b"changed-canary-7", b"wrong-canary-8", MOUNT_PASSPHRASE.encode()]
    secrets += legacy_keys(MOUNT_PASSPHRASE) + [group.encode() for group in groups]
    texts = [secret.hex().encode() for secret in secrets[-8:]]
    needles = secrets + texts
    check("the recovery key was shown, and is among what is searched for", len(groups) >= 1,
          f"{len(groups)} keys")

    sh("modprobe zram && echo 300M > /sys/block/zram0/disksize && mkswap -q /dev/zram0 && "
       "swapon /dev/zram0", check=False)
    bus = subprocess.Popen(["sh", "-c", "exec busctl monitor --system > /run/bus.capture"])
    raw = subprocess.Popen(["sh", "-c", "exec busctl capture --system > /run/bus.pcap"])
    watcher = Watcher()
    watcher.start()
    time.sleep(2)
    idle = python("control = b'swap-control-words ' * (2 << 20)")
    attempt("a day of use", day_of_use)
    attempt("swap", look_at_swap, needles)
    idle.kill()
    idle.wait()
    hits = crash_everything()
    watcher.stop = True
    watcher.join()
    bus.terminate()
    raw.terminate()

    seen = b"\n".join(watcher.seen)
    check("command lines and environments: 0 secrets",
          not [n for n in needles if n in seen] and b"ecryptfsctl" in seen,
          f"{len(needles)} searched in {watcher.looks} looks")
    sh("journalctl -o export > /run/journal.export; journalctl --flush || true")
    look("journal", "/run/journal.export", needles, b"ecryptfsd")
    look("bus, as text", "/run/bus.capture", needles, b"OpenSession")
    look("bus, as bytes", "/run/bus.pcap", needles, b"OpenSession")
    cores = glob.glob("/run/cores/*") + glob.glob("/var/lib/systemd/coredump/*")
    ours = [core for core in cores if "ecryptfs" in core]
    check("core files: the control process left one", any("sleep" in core for core in cores), cores)
    check("core files: broker and helper left none", not ours, f"{hits} helpers hit, {ours}")
    for core in ours:
        found, size = in_file(core, needles)
        check(f"{core}: 0 secrets", not found, f"{size} bytes")
    finish()


if __name__ == "__main__":
    main()
