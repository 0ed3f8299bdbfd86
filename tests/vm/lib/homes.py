# SPDX-License-Identifier: GPL-2.0-only
"""Users with and without encrypted homes, the ways to log in, and what is left after logout.

The same small world for each test of sessions:
  vera	an encrypted home made by ecryptfsctl create
  alice	a home made by ecryptfs-utils, from the shared vectors, unchanged
  nora	no encrypted home
  lars	an encrypted home, and an account that is locked
"""
import glob
import hashlib
import json
import os
import pwd
import re
import subprocess
import time

from terminal import Terminal, Timeout

PASSWORDS = {"vera": "vera-login-Gx7", "alice": "alice-login", "nora": "nora-login-Kd2",
             "lars": "lars-login-Pq9"}
HELD = "the quick brown plaintext of "
VECTORS = os.environ.get("VECTORS", "/share/legacy-ecryptfs.tar.xz")


def sh(command, check=True, timeout=120, stdin=None):
    """A shell command as root: its output, both streams."""
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, input=stdin)
    if check and done.returncode:
        raise RuntimeError(f"{command!r} exited {done.returncode}: {done.stdout[-600:]}")
    return done.stdout


def status_of(command, timeout=120):
    return subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=timeout).returncode


def wait_until(what, seconds, interval=0.2):
    """Seconds it took until what() was true, or None."""
    start = time.monotonic()
    while True:
        if what():
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            return None
        time.sleep(interval)


def uid_of(user):
    return pwd.getpwnam(user).pw_uid


def mount_of(path):
    """(type, source, options) of the mount whose root is path, or None."""
    found = None
    with open("/proc/self/mountinfo") as table:
        for line in table:
            left, right = line.rstrip("\n").split(" - ", 1)
            if left.split(" ")[4] == path:
                kind, source, _ = right.split(" ", 2)
                found = (kind, source, left.split(" ")[5])
    return found


def home_open(user):
    return mount_of(f"/home/{user}") is not None


def unit_active(unit):
    return status_of(f"systemctl is-active --quiet {unit}") == 0


def manager_runs(user):
    """user@ has processes. Asked many times a second, so systemctl is not asked."""
    uid = uid_of(user)
    return os.path.isdir(f"/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service")


def daemon_pid():
    return int(sh("systemctl show -P MainPID ecryptfsd.service").strip() or 0)


def add_user(user, uid=None):
    sh(f"useradd -m -s /bin/bash {'-u %d' % uid if uid else ''} {user}")
    set_password(user, PASSWORDS[user])


def set_password(user, password):
    """As root does in /etc/shadow, without any PAM stack: nobody is told the old one."""
    sh("chpasswd --crypt-method SHA512", stdin=f"{user}:{password}\n")


def create_home(user, password=None):
    """ecryptfsctl create, as an administrator would script it; the recovery key."""
    path = f"/run/{user}.secret"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(password or PASSWORDS[user])
    try:
        out = sh(f"ecryptfsctl create --user {user} --key-file {path}", timeout=300)
    finally:
        os.unlink(path)
    return out


def place_legacy_home(user="alice"):
    """What ecryptfs-setup-private left, put where it was made, as restored from a backup."""
    sh("mkdir -p /var/lib/test-vectors && tar --xattrs --xattrs-include='user.*' -xJf "
       f"{VECTORS} -C /var/lib/test-vectors ./home-alice")
    sh(f"mkdir -p /home/.ecryptfs && cp -a /var/lib/test-vectors/home-alice/lower /home/.ecryptfs/{user} && "
       f"chown -R {user}: /home/.ecryptfs/{user}")
    sh(f"find /home/{user} -mindepth 1 -delete; "
       f"ln -s /home/.ecryptfs/{user}/.ecryptfs /home/{user}/.ecryptfs; "
       f"ln -s /home/.ecryptfs/{user}/.Private /home/{user}/.Private; "
       f"chown -h {user}: /home/{user}/.ecryptfs /home/{user}/.Private; chmod 0500 /home/{user}")


def legacy_manifest():
    """{path: sha256} of what the legacy home must show."""
    with open("/var/lib/test-vectors/home-alice/manifest.sha256") as file:
        rows = [line.rstrip("\n").split("  ", 1) for line in file if line.strip()]
    return {re.sub(r"^\./", "", path): digest for digest, path in rows}


def same_files(root, manifest):
    """How many of the files in manifest are there, byte for byte."""
    good = 0
    for path, digest in manifest.items():
        with open(os.path.join(root, path), "rb") as file:
            good += hashlib.sha256(file.read()).hexdigest() == digest
    return good


# Ways in. Each returns a Terminal with a shell at its prompt, or raises Denied.

class Denied(Exception):
    pass


SHELL = r"[$#] \Z"


def wait_shell(term, *refusals, timeout=120):
    i, match = term.expect(SHELL, *refusals, timeout=timeout)
    if i:
        raise Denied(match.group(0).strip())
    return term


SERIAL = os.environ.get("SERIAL_TYPE", "/dev/ttyS2")
LOGIN_PROMPT = r"login: \Z"
serial_line = None


def serial_prompt():
    """The serial line, at its login prompt. One person sits there for the whole test."""
    global serial_line
    if serial_line is None:
        serial_line = Terminal.serial(SERIAL)
        # The getty spoke before anybody listened, and the idle line may have echoed some of it
        # back to it as a name: an empty answer brings the next prompt in either case. It is the
        # last one if nothing follows: login(1) takes 3 s to say that a password is wrong.
        serial_line.send("")
        quiet = False
        while not quiet:
            if serial_line.expect(LOGIN_PROMPT, r"Password: \Z", timeout=60)[0]:
                serial_line.send("")
            else:
                quiet = not serial_line.seen and not serial_line.read_some(5)
    return serial_line


def login_serial(user, password, timeout=120):
    """At a getty on a serial line."""
    term = serial_prompt()
    term.send("\x15" + user)	# ^U: nothing else stands on the line
    term.expect(r"Password: ", timeout=60)
    term.seen = ""
    term.send(password)
    try:
        return wait_shell(term, r"Login incorrect|account.*expired|Permission denied|Account locked",
                          timeout=timeout)
    except Denied:
        term.expect(LOGIN_PROMPT, timeout=90)
        raise


def login_ssh(user, password, timeout=120):
    term = Terminal.spawn(["ssh", "-tt", "-o", "StrictHostKeyChecking=no",
                           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                           "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1",
                           f"{user}@127.0.0.1"], name=f"ssh {user}")
    term.expect(r"password: ", timeout=30)
    term.send(password)
    return wait_shell(term, r"Permission denied|expired|Connection (closed|reset)",
                      timeout=timeout)


def login_su(user, password, timeout=120):
    """su -l typed by another user, who is asked for the password."""
    term = Terminal.spawn(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           "su", "-l", user], name=f"su {user}")
    term.expect(r"Password: ", timeout=30)
    term.send(password)
    return wait_shell(term, r"Authentication failure|expired|Permission denied|su: .*",
                      timeout=timeout)


WAYS = {"login on a serial line": login_serial, "ssh": login_ssh, "su -l": login_su}


def logout(term):
    term.send("exit")
    if term.pid:
        try:
            term.wait_end(30)
        except Timeout:
            pass
        term.close()
    else:
        term.expect(LOGIN_PROMPT, timeout=60)


def run_by_cron(user, command, name, timeout=130):
    """A line in /etc/cron.d: the output it made within its minute, or None."""
    out = f"/run/cron-{name}.out"
    sh(f"rm -f {out}; install -o {user} -m 0600 /dev/null {out}.tmp")
    with open(f"/etc/cron.d/{name}", "w") as tab:
        tab.write(f"SHELL=/bin/bash\n* * * * * {user} ({command}) > {out}.tmp 2>&1; "
                  f"echo done >> {out}.tmp\n")
    os.chmod(f"/etc/cron.d/{name}", 0o644)
    done = wait_until(lambda: "done" in open(f"{out}.tmp").read(), timeout, 1)
    os.unlink(f"/etc/cron.d/{name}")
    with open(f"{out}.tmp") as file:
        return file.read() if done is not None else None


# What is left after the last logout.

KEY_LINE = re.compile(r" (?:user|encrypted|logon) +([0-9a-f]{16})[:\n]")


def as_user(uid, look):
    """look(), a string, with the credentials of uid: some of what the kernel shows is different."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with os.fdopen(writer, "w") as out:
                out.write(look())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"uid {uid} could not look")
    return text


def keyring_keys():
    """Keys of eCryptfs kind that any keyring of root or of a person holds: 16 hex digits as name.
    /proc/keys shows each reader the keys that this reader may view, to root as well, so each of
    them looks."""
    uids = {0} | {entry.pw_uid for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000}
    return sorted({f"{key} of uid {uid}" for uid in uids
                   for key in KEY_LINE.findall(as_user(uid, lambda: open("/proc/keys").read()))})


def leftovers(user):
    """What still speaks of an open home of user: an empty list after a clean logout."""
    left = []
    if home_open(user):
        left.append("home mounted")
    if manager_runs(user):
        left.append("user@ runs")
    if os.path.exists(f"/run/ecryptfsd/mounts/home-{uid_of(user)}.json"):
        left.append("state file")
    refs = "/sys/module/ecfs/refcnt"
    if os.path.exists(refs) and not any("ecfs" in line.split(" - ")[1].split()[0]
                                        for line in open("/proc/self/mountinfo")):
        with open(refs) as file:
            if int(file.read()):
                left.append("ecfs superblock alive")
    # Last, because each person's view is asked for.
    return left or [f"key {key} in a keyring" for key in keyring_keys()]


def daemon_figures():
    """Open descriptors and resident KiB of the broker."""
    pid = daemon_pid()
    if not pid:
        return 0, 0
    with open(f"/proc/{pid}/status") as file:
        rss = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    return len(os.listdir(f"/proc/{pid}/fd")), rss


def find_in_process(pid, needles):
    """Which of the byte strings stand in the memory of a process."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, perms = line.split()[:2]
            if "r" not in perms or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            found |= {needle for needle in needles if needle in data}
    return found


def legacy_keys(passphrase):
    """The content and names keys of ecryptfs-utils for a mount passphrase (format.md, keys)."""
    keys = []
    for salt in (bytes.fromhex("0011223344556677"), b"99887766"):
        key = salt + passphrase.encode()
        for _ in range(65536):
            key = hashlib.sha512(key).digest()
        keys.append(key)
    return keys


def make_world():
    """Users, homes and services; the recovery text of vera's home."""
    sh("systemctl start ssh cron || systemctl start ssh")
    add_user("alice", 1000)
    for user in ("vera", "nora", "lars"):
        add_user(user)
    place_legacy_home()
    recovery = create_home("vera")
    create_home("lars")
    sh("usermod -L -e 1 lars")
    return recovery


def managers_end_at_once():
    """For tests that are not about how long logind keeps a user's manager: each login waits for it."""
    os.makedirs("/run/systemd/logind.conf.d", exist_ok=True)
    with open("/run/systemd/logind.conf.d/at-once.conf", "w") as conf:
        conf.write("[Login]\nUserStopDelaySec=0\n")
    sh("systemctl kill -s HUP systemd-logind.service")


def inodes_of_ecfs():
    """Inodes that the module has in memory, without those that are free but not given back yet."""
    cache = "/sys/kernel/slab/ecfs_inode"
    with open(f"{cache}/shrink", "w") as shrink:
        shrink.write("1")
    with open(f"{cache}/objects") as objects:
        return int(objects.read().split()[0])


def unreclaimable_slab_kib():
    """What the kernel holds in caches that no pressure empties: keys and ciphers would be there."""
    with open("/proc/meminfo") as table:
        return int(re.search(r"SUnreclaim:\s+(\d+)", table.read()).group(1))


def json_status(*args):
    return json.loads(sh("ecryptfsctl --json=short " + " ".join(args)))


def mount_states():
    return sorted(glob.glob("/run/ecryptfsd/mounts/*.json"))
