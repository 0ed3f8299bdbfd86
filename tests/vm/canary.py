# SPDX-License-Identifier: GPL-2.0-only
"""The secret canary (point 7): passphrases and keys of a whole day of use are searched for in
the journal, a capture of the bus, every command line and environment, core files, swap, and the
memory of the processes that are left after a login.

A search that finds nothing must be able to find something: each haystack is also searched for
words that must be there, each needle is found where it is planted, and each key was computed from
what stands on disk and has the signature that the disk names.
"""
import base64
import ctypes
import glob
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import homes
import vaultkeys
from homes import (PASSWORDS, WAYS, daemon_pid, home_open, leftovers, legacy_keys, login_ssh, logout,
                   make_world, serial_prompt, sh, status_of, unit_active, wait_until)
from passwd import change
from report import attempt, check, finish
from terminal import Terminal

MOUNT_PASSPHRASE = "00112233445566778899aabbccddeeff"
VAULT = "/home/.ecryptfs/{}/vault/ecryptfs-vault.json"
WRAPPED = "/home/.ecryptfs/alice/.ecryptfs/wrapped-passphrase"
MODULE = "pam_ecryptfs.so"
HELPER = "ecryptfs-key-he"	# as the kernel cuts the name
SWAP, SWAP_KIB = "/dev/vdb", 160 << 10
CORES = "/var/cores"
WINDOW = 16	# bytes of a key that are enough to know it by


class Needles:
    """All ways in which the secrets may be written: {bytes: name}. No NUL and no newline is in
    them, because grep takes those for ends of lines and of patterns."""

    def __init__(self):
        self.names = {}
        self.secrets = {}

    def add(self, name, secret):
        if name in self.secrets:
            raise ValueError(f"{name} twice")
        self.secrets[name] = secret
        raw = secret if len(secret) <= 2 * WINDOW and not set(secret) & {0, 10} else self.window(secret)
        forms = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
        for offset in range(3):
            # The letters that no neighbour has a part in.
            text = base64.b64encode(bytes(offset) + raw)
            first, last = -(-8 * offset // 6), 8 * (offset + len(raw)) // 6
            forms[f"base64 at {offset}"] = text[first:last]
        for form, needle in forms.items():
            self.names[needle] = f"{name}, {form}"

    @staticmethod
    def window(secret):
        for size in range(WINDOW, 7, -1):
            for start in range(len(secret) - size + 1):
                if not set(secret[start:start + size]) & {0, 10}:
                    return secret[start:start + size]
        raise ValueError("no part of the key can be searched for")

    def found_in(self, path, *controls):
        """Names of what is in a file or device. The patterns go by a pipe: no argument, no file."""
        grep = subprocess.run(["grep", "-zaoF", "-f", "-", path], stdout=subprocess.PIPE,
                              input=b"\n".join([*self.names, *controls]),
                              env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, timeout=400)
        if grep.returncode > 1:
            raise RuntimeError(f"grep {path} exited {grep.returncode}")
        hits = set(grep.stdout.split(b"\0"))
        return {self.names[hit] for hit in hits if hit in self.names}, \
            {control for control in controls if control in hits}


needles = Needles()


def size_of(path):
    with open(path, "rb") as file:
        return file.seek(0, os.SEEK_END)


def look(name, path, control):
    found, controls = needles.found_in(path, control)
    check(f"{name}: the search works", bool(controls), f"{size_of(path)} bytes, control {control!r}")
    check(f"{name}: 0 secrets", not found,
          f"{len(needles.secrets)} secrets in {len(needles.names)} spellings, {len(found)} hits "
          f"{sorted(found)}")


def search_proves_itself():
    """Each spelling, planted in the middle of nothing in particular."""
    path, missed = "/var/planted", []
    for start in range(0, len(needles.names), 40):
        some = list(needles.names)[start:start + 40]
        with open(path, "wb") as file:
            for needle in some:
                file.write(b"\1\n" + os.urandom(50) + b"\0" + needle + b"\0" + bytes(5000))
        found, _ = needles.found_in(path)
        missed += [needles.names[needle] for needle in some if needles.names[needle] not in found]
    os.unlink(path)
    check("every spelling of every secret is found where it stands", not missed,
          f"{len(needles.names) - len(missed)} of {len(needles.names)} {missed}")


class Watcher:
    """Command line and environment of every program that is started: see watch-exec.py."""

    def __init__(self, path):
        self.child = subprocess.Popen([sys.executable, f"{os.environ['GUEST']}/watch-exec.py", path],
                                      stdout=subprocess.PIPE, text=True)

    def end(self):
        """How many times it looked, how many programs there were, and how many ended before it could."""
        self.child.terminate()
        return [int(word) for word in self.child.communicate(timeout=60)[0].split()]


def stay_out_of_swap():
    """This very process knows all secrets, and is not what is tested."""
    mcl_current, mcl_future = 1, 2
    if ctypes.CDLL(None, use_errno=True).mlockall(mcl_current | mcl_future):
        raise OSError(ctypes.get_errno(), "mlockall")


# The memory of processes.

def hosts():
    """{pid: name} of the processes that have the PAM module in their memory."""
    found = {}
    for maps in glob.glob("/proc/[0-9]*/maps"):
        pid = int(maps.split("/")[2])
        try:
            with open(maps) as file:
                if MODULE in file.read():
                    found[pid] = open(f"/proc/{pid}/comm").read().strip()
        except OSError:
            continue
    return found


def hits_in(pid, secret):
    """(in memory that is locked and kept out of core files, elsewhere): how often it is there."""
    guarded = elsewhere = 0
    with open(f"/proc/{pid}/smaps") as smaps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        span = None
        for line in smaps:
            place = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if place:
                span = [int(number, 16) for number in place.groups()]
            elif re.match("[0-9a-f]+-", line):
                span = None
            elif line.startswith("VmFlags:") and span:
                try:
                    memory.seek(span[0])
                    hits = memory.read(span[1] - span[0]).count(secret)
                except (OSError, ValueError, OverflowError):
                    continue
                if {"lo", "dd"} <= set(line.split()):
                    guarded += hits
                else:
                    elsewhere += hits
    return guarded, elsewhere


def memory_of(pids, secret):
    """{program: [guarded, elsewhere]} over all of them."""
    sums = {}
    for pid, name in pids.items():
        try:
            sums.setdefault(name, []).append(hits_in(pid, secret))
        except OSError:
            continue
    return {name: [sum(column) for column in zip(*rows)] for name, rows in sums.items()}


# Swap.

def pages_out():
    return int(re.search(r"pswpout (\d+)", open("/proc/vmstat").read()).group(1))


def push_out():
    """Everything in memory that can be swapped goes to swap, of services and of sessions. Pages
    written."""
    before = pages_out()
    for group in ("system.slice", "user.slice"):
        sh(f"echo 2G > /sys/fs/cgroup/{group}/memory.reclaim", check=False)
    return pages_out() - before


def swap_on():
    sh(f"mkswap -q {SWAP} {SWAP_KIB} && swapon {SWAP}")


# The key helper at work is held there: all who wait for it hold what they hold.

def helpers():
    return [int(pid) for pid in sh(f"pgrep -x {HELPER}", check=False).split()]


def held_helper():
    """The pid of a helper that has read its request, stopped; nobody else's work is needed."""
    if wait_until(helpers, 40, 0.01) is None:
        raise RuntimeError("no key helper came")
    pid = helpers()[0]
    time.sleep(0.3)
    os.kill(pid, signal.SIGSTOP)
    return pid


class Entering(threading.Thread):
    """A login that somebody else holds up."""

    def __init__(self, way, user, timeout=120):
        super().__init__()
        self.way, self.user, self.timeout = way, user, timeout
        self.term = self.error = None
        self.start()

    def run(self):
        try:
            self.term = WAYS[self.way](self.user, PASSWORDS[self.user], timeout=self.timeout)
        except Exception as error:	# noqa: BLE001 - told by who waits
            self.error = error

    def end(self):
        self.join()
        if self.error:
            raise self.error
        return self.term


def own_copies(way):
    """How often a login program keeps a password by itself: of nora, who has no encrypted home."""
    term = WAYS[way]("nora", PASSWORDS["nora"])
    kept = memory_of(hosts(), PASSWORDS["nora"].encode())
    logout(term)
    return kept


def pressed_login(way):
    """Memory is short while the login waits for its home, and again while the home is open."""
    own = own_copies(way)
    secret = PASSWORDS["vera"].encode()
    entering = Entering(way, "vera")
    helper = held_helper()
    try:
        waiting = memory_of(hosts(), secret)
        broker = hits_in(daemon_pid(), secret)
        out = push_out()
    finally:
        os.kill(helper, signal.SIGCONT)
    term = entering.end()
    check(f"{way}: memory was short during the unlock", out > 10, f"{out} pages written to swap")
    check(f"{way}: while it waits, PAM module and broker hold the password in locked memory that no "
          "core has", sum(guarded for guarded, _ in waiting.values()) >= 1 and broker[0] >= 1 and
          not broker[1], f"[locked, elsewhere]: {waiting}, broker {list(broker)}; nora's: {own}")
    after = memory_of(hosts(), secret)
    check(f"{way}: after the login the module holds it no more",
          after and not any(guarded for guarded, _ in after.values()), f"{after}")
    check(f"{way}: nor does the login program hold more than for who has no encrypted home",
          all(elsewhere <= own.get(name, [0, 0])[1] for name, (_, elsewhere) in after.items()),
          f"{after}, nora's: {own}")
    check(f"{way}: nor does the broker", hits_in(daemon_pid(), secret) == (0, 0))
    check(f"{way}: no key helper and no worker is left",
          wait_until(lambda: not helpers() and status_of("pgrep -x ecryptfs-mount"), 20) is not None)
    out = push_out()
    check(f"{way}: memory was short while the home was open", out > 10 and home_open("vera"),
          f"{out} pages")
    logout(term)
    wait_until(lambda: not leftovers("vera"), 40)


def pressed_unlock():
    """The secret is under way from ecryptfsctl to broker to key helper, which does not come on."""
    ctl = subprocess.Popen(["ecryptfsctl", "unlock", "vera", "--key-file", "-"],
                           stdin=subprocess.PIPE)
    ctl.stdin.write(PASSWORDS["vera"].encode())
    ctl.stdin.close()
    helper = held_helper()
    try:
        out = push_out()
    finally:
        os.kill(helper, signal.SIGCONT)
    check("ecryptfsctl: memory was short during the unlock", ctl.wait(120) == 0 and out > 10,
          f"{out} pages")
    sh("ecryptfsctl lock vera")


def reset_by_root(user, new):
    """The module has two seconds to tell the broker, who was pushed out a moment ago."""
    mark = f"/var/lib/ecryptfsd/stale/{homes.uid_of(user)}"
    for _ in range(3):
        sh("ecryptfsctl list")
        term = Terminal.spawn(["passwd", user])
        for words in ("[Nn]ew password: ?", "[Rr]etype.*: ?"):
            term.expect(words)
            term.send(new)
        term.wait_end(60)
        if os.path.exists(mark):
            return
    raise RuntimeError(f"{mark} is not there: {term.log[-200:]!r}")


def conversation():
    """PAM asks for the old password, and its module holds the new one until it is answered."""
    old, new = PASSWORDS["vera"], "reset-canary-9"
    needles.add("password set by root", new.encode())
    reset_by_root("vera", new)
    term = serial_prompt()
    term.send("\x15vera")
    term.expect("Password: ", timeout=60)
    term.send(new)
    term.expect(r"(?i)old password.*: ?\Z", timeout=90)
    held, out = memory_of(hosts(), new.encode()), push_out()
    check("the module asks: memory was short", out > 10, f"{out} pages")
    check("the module asks: it holds the password, locked, and nobody else does",
          sum(guarded for guarded, _ in held.values()) >= 1 and
          not any(elsewhere for _, elsewhere in held.values()), f"[locked, elsewhere]: {held}")
    term.send(old)
    term.expect(r"[$#] \Z", timeout=120)
    check("the module asks: with the old password the home opens", home_open("vera"))
    after = memory_of(hosts(), old.encode()), memory_of(hosts(), new.encode())
    check("the module asks: afterwards it holds neither",
          not any(hits for kept in after for pair in kept.values() for hits in pair), f"{after}")
    logout(term)
    wait_until(lambda: not leftovers("vera"), 40)
    PASSWORDS["vera"] = new


# Core files.

def unlock(user, password):
    """Exit status. The password goes by a pipe: a file in /run could be swapped."""
    return subprocess.run(["ecryptfsctl", "unlock", user, "--key-file", "-"], timeout=180,
                          input=password.encode(), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode


def want_cores():
    """By a program, as systemd-coredump is one: it gets cores whatever the limit of a service."""
    sh(f"mkdir -p {CORES} && chmod 0700 {CORES} && "
       f"echo '|/usr/bin/dd of={CORES}/%e.%p status=none' > /proc/sys/kernel/core_pattern")


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return "zombie" in status.read()
    except (FileNotFoundError, ProcessLookupError):
        return True


def crash(pid):
    """Whether it is gone by this."""
    try:
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return False
    return wait_until(lambda: is_gone(pid), 20, 0.05) is not None


crashed = {}


def crash_named(name, pids):
    crashed[name] = crashed.get(name, 0) + sum(crash(pid) for pid in pids)


def crash_at_work(way):
    """Login program, key helper, broker, and ecryptfsctl that waits, too, while all hold a secret."""
    ctl = subprocess.Popen(["ecryptfsctl", "unlock", "alice", "--key-file", "-"],
                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    entering = Entering(way, "vera", 30)	# a serial line does not say that its login died
    helper = held_helper()
    ctl.stdin.write(PASSWORDS["alice"].encode())	# read, and kept until the end of it comes
    ctl.stdin.flush()
    time.sleep(1)
    for pid, name in hosts().items():
        crash_named(name, [pid])
    crash_named("ecryptfsctl", [ctl.pid])
    crash_named("ecryptfsd", [daemon_pid()])
    crash_named(HELPER, [helper])
    ctl.wait()
    entering.join()
    if entering.term and entering.term.pid:
        entering.term.close()
    homes.serial_line = None
    wait_until(lambda: unit_active("ecryptfsd.service"), 30)
    wait_until(lambda: not leftovers("vera"), 40)


def crash_traced(unit, command, call):
    """A process that is too quick to be caught: it dies in a system call that it makes when it
    holds what it ever holds; the call itself is still made. The filter of system calls of its unit
    would forbid the tracer."""
    drop_in = f"/run/systemd/system/{unit}@.service.d"
    sh(f"mkdir -p {drop_in} && cat > {drop_in}/trace.conf && systemctl daemon-reload", stdin=(
        "[Service]\nExecStart=\nSystemCallFilter=\n"
        f"ExecStart=/usr/bin/strace -D -qq -o /dev/null -e trace={call} "
        f"-e inject={call}:signal=SIGSEGV:when=1 {command}\n"))
    name = os.path.basename(command.split()[0])[:15]
    since = time.time()
    status = unlock("vera", PASSWORDS["vera"])
    died = int(sh(f"journalctl -o cat --since '@{int(since)}' | grep -c 'status=11/SEGV\\|code=dumped'",
                  check=False))
    check(f"{name}: killed at {call}", died, f"{died} died, ecryptfsctl exit {status}")
    crashed[name] = crashed.get(name, 0) + (1 if died else 0)
    sh(f"rm -r {drop_in} && systemctl daemon-reload")
    sh("ecryptfsctl lock vera", check=False)


def crash_everything():
    want_cores()
    plain = subprocess.Popen(["sleep", "60"], env={"CANARY": "core-control-words"})
    time.sleep(1)
    plain.send_signal(signal.SIGSEGV)
    plain.wait()
    for way in WAYS:
        attempt(f"crash, {way}", crash_at_work, way)
    libexec = os.path.dirname(sh("systemctl show -P ExecStart ecryptfsd.service | "
                                 "sed 's/.*path=\\([^ ;]*\\).*/\\1/'").strip())
    attempt("crash, worker", crash_traced, "ecryptfs-mount", f"{libexec}/ecryptfs-mount start %i",
            "fsmount")
    attempt("crash, store", crash_traced, "ecryptfs-store", f"{libexec}/ecryptfs-store", "sendmsg")
    time.sleep(3)


def look_at_cores():
    cores = glob.glob(CORES + "/*") + glob.glob("/var/lib/systemd/coredump/*")
    control = [core for core in cores if "/sleep." in core]
    found, controls = needles.found_in(control[0], b"core-control-words") if control else ((), ())
    check("core files: that of the control process has its words", len(controls) == 1,
          f"{[(os.path.basename(core), size_of(core)) for core in control]}")
    names = {HELPER, "ecryptfsd", "ecryptfsctl", "ecryptfs-mount", "ecryptfs-store"}
    check("core files: each of our programs, and each way's login program, was crashed at work",
          all(crashed.get(name) for name in names) and len(set(crashed) - names) >= 3, f"{crashed}")
    for name in sorted(crashed):
        ours = [core for core in cores if os.path.basename(core).startswith(name + ".")]
        found = set().union(*(needles.found_in(core)[0] for core in ours))
        check(f"core files of {name}: " + ("0 secrets" if ours else "there is none"), not found,
              f"{crashed[name]} crashed, {len(ours)} cores of {[size_of(core) for core in ours]} "
              f"bytes, {sorted(found)}")
    for name in (HELPER, "ecryptfsd", "ecryptfsctl", "ecryptfs-mount"):
        ours = [core for core in cores if os.path.basename(core).startswith(name + ".")]
        check(f"core files: {name}, which holds secrets, leaves none", not ours, ours)


def day_of_use():
    term = login_ssh("alice", PASSWORDS["alice"])
    term.run("echo x > f; rm f")
    logout(term)
    wait_until(lambda: not leftovers("alice"), 40)
    new = "changed-canary-7"
    needles.add("changed password", new.encode())
    needles.add("wrong password", b"wrong-canary-8")
    change("vera", PASSWORDS["vera"], new)
    PASSWORDS["vera"] = new
    check("a wrong password does not open it", unlock("vera", "wrong-canary-8") == 4)
    check("the changed one does", unlock("vera", new) == 0)
    sh("ecryptfsctl lock vera")
    add_vault("vera, changed", "vera", recovery["vera"])


recovery = {}


def note_recovery_keys():
    """What each creation of the small world prints."""
    create = homes.create_home

    def noting(user, password=None):
        out = create(user, password)
        recovery[user] = re.search(r"\b[a-z]{10}(?:-[a-z]{10}){7}\b", out).group(0)
        return out
    homes.create_home = noting


def add_vault(name, user, recovery_text):
    with open(VAULT.format(user)) as file:
        keys = vaultkeys.of_vault(json.load(file), PASSWORDS[user].encode(), recovery_text)
    known = set(needles.secrets.values())
    for key, value in keys.items():
        if value not in known:
            needles.add(f"{key} of {name}", value)


def add_world():
    for user, password in PASSWORDS.items():
        needles.add(f"password of {user}", password.encode())
    for user, text in recovery.items():
        needles.add(f"recovery key of {user} as text", text.encode())
        add_vault(user, user, text)
    needles.add("mount passphrase of alice", MOUNT_PASSPHRASE.encode())
    for name, key in zip(("content", "names"), legacy_keys(MOUNT_PASSPHRASE)):
        needles.add(f"{name} key of alice", key)
    with open(WRAPPED, "rb") as file:
        key = vaultkeys.of_legacy(file.read(), PASSWORDS["alice"].encode())
    needles.add("wrapping key of alice", key[:16])
    check("keys were computed, and have the signatures that stand on disk", len(recovery) == 2,
          f"{len(needles.secrets)} secrets: {', '.join(needles.secrets)}")


def main():
    stay_out_of_swap()
    note_recovery_keys()
    captures = [subprocess.Popen(["sh", "-c", f"exec busctl {what} --system > /var/bus.{what}"])
                for what in ("monitor", "capture")]
    watcher = Watcher("/var/seen")
    make_world()
    add_world()
    attempt("a day of use", day_of_use)
    swap_on()
    idle = subprocess.Popen([sys.executable, "-c", "import os, time; control = [b'swap-control-words '"
                             " + os.urandom(4000) for _ in range(1000)]; time.sleep(3000)"])
    for way in WAYS:
        attempt(f"short of memory, {way}", pressed_login, way)
    attempt("short of memory, ecryptfsctl", pressed_unlock)
    attempt("short of memory, conversation", conversation)
    attempt("vera's keys", add_vault, "vera, mended", "vera", recovery["vera"])
    attempt("core files", crash_everything)
    # What was written there stays there when it is given up, and the searches write nothing more.
    sh(f"swapoff {SWAP}")
    idle.kill()
    idle.wait()
    looks, programs, missed = watcher.end()
    for capture in captures:
        capture.terminate()
        capture.wait()

    attempt("the search", search_proves_itself)
    check("command lines and environments: nearly all that started were seen in time",
          missed * 20 < programs, f"{programs} programs, {missed} missed, {looks} looks")
    attempt("command lines", look, "command lines and environments", "/var/seen", b"ecryptfsctl")
    sh("journalctl -o export > /var/journal.export")
    attempt("journal", look, "journal", "/var/journal.export", b"ecryptfsd")
    attempt("bus", look, "bus, as text", "/var/bus.monitor", b"OpenSession")
    attempt("bus", look, "bus, as bytes", "/var/bus.capture", b"OpenSession")
    attempt("core files", look_at_cores)
    sh(f"head -c {SWAP_KIB << 10} {SWAP} > /var/swap")
    attempt("swap", look, f"swap, to which {pages_out()} pages were written", "/var/swap",
            b"swap-control-words")
    finish()


if __name__ == "__main__":
    main()
