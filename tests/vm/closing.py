# SPDX-License-Identifier: GPL-2.0-only
"""Between the end of the last session and the end of the mount, with the real systemd: its jobs
wait for each other, and what is left of them must not take the home from the next session.

tests/bus has the same cases, and more of them, with a systemd that a test leads by the hand."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (PASSWORDS, add_user, create_home, daemon_pid, home_open, leftovers, login_ssh,
                   logout, managers_end_at_once, sh, status_of, uid_of, unit_active, wait_until)
from report import attempt, check, finish

USER = "vera"
STUBBORN_SECONDS = 20
CLOSED_SECONDS = 20     # 10 are promised; a guest without KVM on a busy machine gets twice that
SLOW_IMAGE = "/var/tmp/slow.img"
UNIT = ""


def jobs():
    """Of the mount unit, as systemd has them queued."""
    return [line.split()[2:] for line in sh("systemctl list-jobs --no-legend").splitlines()
            if UNIT in line]


def logind_waits(seconds):
    """How long it keeps a user's manager after the last session."""
    with open("/run/systemd/logind.conf.d/zz-test.conf", "w") as conf:
        conf.write(f"[Login]\nUserStopDelaySec={seconds}\n")
    sh("systemctl kill -s HUP systemd-logind.service")
    time.sleep(1)


def session():
    term = login_ssh(USER, PASSWORDS[USER])
    term.run = lambda text: (term.send(text), term.expect(r"[$#] \Z", timeout=60))
    return term


def leave_a_stubborn_service():
    """The user's manager takes its time to stop, and so long systemd holds back the mount's stop."""
    term = session()
    term.run(f"systemd-run --user -q --unit=stubborn -p TimeoutStopSec={STUBBORN_SECONDS} "
             "sh -c 'trap : TERM; while :; do sleep 1; done'")
    logout(term)
    return wait_until(lambda: ["stop", "waiting"] in jobs(), 30) is not None


def stays_open(name, term):
    """For as long as the old session's manager could still be stopping, and a bit."""
    time.sleep(6)
    jobs_left = jobs()
    term.run("cat note && echo 'it is' all there")
    check(f"{name}: the new session keeps its home", home_open(USER) and unit_active(UNIT) and
          "it is all there" in term.log and not jobs_left, f"jobs of the mount: {jobs_left}")
    check(f"{name}: nothing was detached", not os.listdir("/run/ecryptfsd/detached")
          if os.path.isdir("/run/ecryptfsd/detached") else True)


def close(name, term):
    logout(term)
    took = wait_until(lambda: not leftovers(USER), CLOSED_SECONDS)
    check(f"{name}: closed after it", took is not None,
          f"{took:.1f} s" if took is not None else str(leftovers(USER)))


def login_meanwhile():
    name = "login while the old manager stops"
    check(f"{name}: the stop waits", leave_a_stubborn_service())
    start = time.monotonic()
    term = session()
    check(f"{name}: a shell", True, f"{time.monotonic() - start:.1f} s, of which the stubborn "
          f"service has up to {STUBBORN_SECONDS} s")
    stays_open(name, term)
    close(name, term)


def broker_dies_meanwhile():
    name = "broker killed while the stop waits"
    check(f"{name}: the stop waits", leave_a_stubborn_service())
    sh(f"kill -9 {daemon_pid()}")
    wait_until(daemon_pid, 30)
    term = session()
    stays_open(name, term)
    close(name, term)


def login_soon_after():
    """logind still holds the user then, and knows nothing of a manager that was stopped."""
    name = "login soon after the home was closed"
    logind_waits(10)
    close(name, session())
    start = time.monotonic()
    term = session()
    took = wait_until(lambda: unit_active(f"user@{uid_of(USER)}.service"), 15)
    check(f"{name}: the user has a manager again", took is not None,
          f"{time.monotonic() - start:.1f} s after the login began")
    logind_waits(0)
    close(name, term)


def stopped_by_hand():
    name = "systemctl stop during a session"
    term = session()
    status = status_of(f"systemctl stop {UNIT}")
    wait_until(lambda: unit_active(UNIT) and not jobs(), 20)
    check(f"{name}: refused", status != 0 and home_open(USER), f"exit status {status}")
    stays_open(name, term)
    close(name, term)


def failed_stop():
    """ExecStop= that fails once: the unit is not active any more, and its mount stands."""
    name = "a stop that fails"
    conf = f"/run/systemd/system/{UNIT}.d"
    program = sh("systemctl show -P ExecStop ecryptfs-mount@x.service").split("path=")[1].split()[0]
    os.makedirs(conf)
    with open(f"{conf}/fails-once.conf", "w") as file:
        file.write("[Service]\nExecStop=\nExecStop=sh -c 'test -e /run/failed || { touch /run/failed; "
                   f"exit 1; }}'\nExecStop={program} stop %i\n")
    sh("systemctl daemon-reload")
    close(name, session())
    check(f"{name}: it did", os.path.exists("/run/failed"))
    os.unlink(f"{conf}/fails-once.conf")
    sh("systemctl daemon-reload")


def slow_table(write_ms):
    """The disk below /slow: it reads at once, and takes so long for each write."""
    sectors = os.stat(SLOW_IMAGE).st_size // 512
    loop = sh(f"losetup -n -O NAME -j {SLOW_IMAGE}").strip()
    return f"0 {sectors} delay {loop} 0 0 {loop} 0 {write_ms}"


def disk_takes(write_ms):
    sh(f"dmsetup suspend slow && dmsetup load slow --table '{slow_table(write_ms)}' && dmsetup resume slow")


def slow_disk():
    """What memory holds is written before the key goes, also if that takes longer than a stop may."""
    name = "a disk slower than the unit's time"
    unit_seconds, write_ms, length = 5, 9000, 4 << 20
    drop_in = "/run/systemd/system/ecryptfs-mount@.service.d"
    secret = "/run/slow.secret"
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write("slow-disk-secret")
    sh(f"truncate -s 64M {SLOW_IMAGE} && losetup -f {SLOW_IMAGE} && modprobe dm-delay")
    sh(f"dmsetup create slow --table '{slow_table(0)}' && mkfs.ext4 -q -m 0 /dev/mapper/slow && "
       "mkdir -p /slow && mount /dev/mapper/slow /slow")
    sh(f"ecryptfsctl create /slow/lower /slow/plain --key-file {secret} && "
       f"ecryptfsctl unlock /slow/plain --key-file {secret}")
    os.makedirs(drop_in)
    with open(f"{drop_in}/short.conf", "w") as file:
        file.write(f"[Service]\nTimeoutStopSec={unit_seconds}\n")
    sh("systemctl daemon-reload && sync -f /slow/plain")
    disk_takes(write_ms)
    content = os.urandom(length)
    with open("/slow/plain/file", "wb") as file:
        file.write(content)
    start = time.monotonic()
    out = sh("ecryptfsctl lock --force /slow/plain; echo exit $?", timeout=400)
    took = time.monotonic() - start
    check(f"{name}: it is", took > unit_seconds * 1.5, f"{took:.1f} s of the unit's {unit_seconds}")
    check(f"{name}: closed all the same", out.split()[-1] == "0" and not os.path.ismount("/slow/plain"), out)
    disk_takes(0)
    os.unlink(f"{drop_in}/short.conf")
    sh("systemctl daemon-reload")
    sh("umount /slow && mount /dev/mapper/slow /slow", timeout=400)
    sh(f"ecryptfsctl unlock /slow/plain --key-file {secret}")
    with open("/slow/plain/file", "rb") as file:
        found = file.read()
    check(f"{name}: all is there", found == content, f"{len(found)} of {length} bytes")
    sh("ecryptfsctl lock /slow/plain && umount /slow && dmsetup remove slow")


def main():
    global UNIT
    sh("systemctl start ssh")
    managers_end_at_once()
    add_user(USER)
    UNIT = f"ecryptfs-mount@home-{uid_of(USER)}.service"
    create_home(USER)
    term = session()
    term.run("echo here > note")
    close("a plain session", term)
    for part in (failed_stop, stopped_by_hand, login_soon_after, broker_dies_meanwhile, login_meanwhile,
                 slow_disk):
        attempt(part.__name__, part)
    finish()


main()
