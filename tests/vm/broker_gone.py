# SPDX-License-Identifier: GPL-2.0-only
"""Logins while the broker is absent, killed, stopped or answers garbage (point 3), and open
homes while it is killed and comes back (point 5)."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (PASSWORDS, WAYS, daemon_pid, home_open, leftovers, login_ssh, login_su, logout,
                   make_world, manager_runs, managers_end_at_once, serial_prompt, sh,
                   status_of, unit_active, wait_until)
from report import attempt, check, finish

SHELL_SECONDS = 5.0
EXTRA_SECONDS = 0.3
ROUNDS, ROUNDS_AT_MOST = 5, 15
TRIES_AT_MOST = 5
# "forever" is the one that may take longer: it says every second that it works.
GARBAGE = ("wrong-type", "empty", "closed-descriptor", "noise", "silence")


def seconds_to_shell(way, user):
    """From the first word typed; the user's manager of an earlier login is gone by then."""
    wait_until(lambda: not manager_runs(user), 20)
    start = time.monotonic()
    term = WAYS[way](user, PASSWORDS[user], timeout=90)
    took = time.monotonic() - start
    logout(term)
    return took


def without_the_module(way, user):
    """The same login with the module out of every stack."""
    sh("pam-auth-update --package --remove ecryptfs")
    try:
        return seconds_to_shell(way, user)
    finally:
        sh("pam-auth-update --package")


def shell_in_time(name, way, user):
    """A busy emulated machine may need longer than the limit for any login: then the limit is for
    what the module adds, measured against the same login without it, in turn. Whatever else the
    machine does only ever makes a login slower, so the fastest of each kind are compared."""
    tries, bare, good = [], [], False
    while not good and len(tries) < TRIES_AT_MOST:
        tries.append(seconds_to_shell(way, user))
        good = min(tries) <= SHELL_SECONDS
        if not good:
            bare.append(without_the_module(way, user))
            good = min(tries) - min(bare) <= SHELL_SECONDS
    detail = ", ".join(f"{seconds:.2f}" for seconds in tries) + " s"
    if bare:
        detail += "; without the module " + ", ".join(f"{seconds:.2f}" for seconds in bare) + " s"
    check(f"{name}: shell within {SHELL_SECONDS:.0f} s", good, detail)


def everyone_gets_in(state):
    for way in ("ssh", "su -l", "login on a serial line"):
        for user in ("vera", "alice", "nora"):
            shell_in_time(f"broker {state}, {way}, {user}", way, user)


def on_the_bus():
    return "true" in sh("busctl call org.freedesktop.DBus /org/freedesktop/DBus "
                        "org.freedesktop.DBus NameHasOwner s org.ecryptfs.Manager1", check=False)


def restart_broker():
    sh("systemctl unmask --runtime ecryptfsd.service; systemctl reset-failed ecryptfsd.service; "
       "systemctl restart ecryptfsd.service", check=False)
    assert wait_until(lambda: unit_active("ecryptfsd.service"), 30) is not None, "broker is back"
    assert wait_until(on_the_bus, 30) is not None, "broker has its name"


def absent():
    sh("systemctl stop ecryptfsd.service; systemctl mask --runtime ecryptfsd.service")
    everyone_gets_in("absent")
    restart_broker()


def killed():
    def one(way, user):
        os.kill(daemon_pid(), signal.SIGKILL)
        return seconds_to_shell(way, user)

    for way in ("ssh", "su -l"):
        for user in ("vera", "nora"):
            took = one(way, user)
            check(f"broker killed a moment ago, {way}, {user}: gets a shell", True, f"{took:.2f} s")
            wait_until(lambda: unit_active("ecryptfsd.service"), 20)
    restart_broker()
    assert wait_until(lambda: not leftovers("vera"), 40) is not None, leftovers("vera")


def stopped():
    """Stopped for good: without the watchdog, which would replace it within the minute."""
    dropin = "/run/systemd/system/ecryptfsd.service.d"
    os.makedirs(dropin, exist_ok=True)
    with open(f"{dropin}/no-watchdog.conf", "w") as conf:
        conf.write("[Service]\nWatchdogSec=0\n")
    sh("systemctl daemon-reload")
    restart_broker()
    pid = daemon_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        everyone_gets_in("stopped")
        check("broker stopped: it was stopped all the time", daemon_pid() == pid)
    finally:
        os.unlink(f"{dropin}/no-watchdog.conf")
        sh("systemctl daemon-reload")
        os.kill(pid, signal.SIGCONT)
    restart_broker()


def garbage():
    fake = os.environ.get("FAKE_BROKER", "/share/bin/fake-broker")
    sh("systemctl stop ecryptfsd.service; systemctl mask --runtime ecryptfsd.service")
    for kind in GARBAGE:
        with subprocess.Popen([fake, "--system", kind]) as process:
            wait_until(lambda: status_of("busctl status org.ecryptfs.Manager1") == 0, 10)
            for user in ("vera", "nora"):
                shell_in_time(f"broker answers garbage ({kind}), su -l, {user}", "su -l", user)
            process.kill()
    restart_broker()


def cost_for_others():
    """nora has no vault: what the module adds to her login, in pairs of one round each. Whatever
    else the machine does only ever makes a login slower, so the fastest of each kind say what a
    login takes; more pairs are taken while noise is larger than the limit."""
    with_module, without = [], []
    for i in range(ROUNDS_AT_MOST):
        with_module.append(seconds_to_shell("su -l", "nora"))
        without.append(without_the_module("su -l", "nora"))
        extra = min(with_module) - min(without)
        if i + 1 >= ROUNDS and extra <= EXTRA_SECONDS:
            break
    check(f"user without a vault: at most {EXTRA_SECONDS} s more than without the module",
          extra <= EXTRA_SECONDS, f"fastest of {len(without)}: {min(with_module):.2f} s with, "
          f"{min(without):.2f} s without")


def killed_while_open():
    """The broker dies with -9 under a writer: no error, no unmount, and logout still closes."""
    term = login_ssh("vera", PASSWORDS["vera"])
    other = login_su("alice", PASSWORDS["alice"])
    writer = """python3 -c '
import os, time
end = time.time() + 25
n = 0
while time.time() < end:
    block = os.urandom(5000)
    with open(\"w%d\" % (n % 7), \"wb\") as f:
        f.write(block); f.flush(); os.fsync(f.fileno())
    assert open(\"w%d\" % (n % 7), \"rb\").read() == block
    n += 1
print(\"rounds\", n)' && echo writer-fine"""
    term.seen = ""
    term.send(writer.replace("\n", "\n"))
    kills = 0
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pid = daemon_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
            kills += 1
        time.sleep(2.5)
    i, match = term.expect(r"rounds (\d+)", timeout=60)
    term.expect(r"writer-fine", timeout=10)
    check("broker killed -9 under a writer: no error", int(match.group(1)) > 0,
          f"{match.group(1)} rounds, {kills} kills")
    check("broker killed -9: both homes stay mounted", home_open("vera") and home_open("alice"))
    wait_until(lambda: unit_active("ecryptfsd.service"), 20)
    term.prompt()
    logout(term)
    took = wait_until(lambda: not home_open("vera"), 40)
    check("after the kills, logout closes the home", took is not None, took and f"{took:.1f} s")
    check("after the kills, the other's home is still open", home_open("alice"))
    logout(other)
    took = wait_until(lambda: not leftovers("alice"), 40)
    check("after the kills, the other's logout closes it too", took is not None,
          f"{took:.1f} s" if took is not None else leftovers("alice"))


def killed_while_gone():
    """The last session ends while there is no broker: it closes the home when it is back."""
    term = login_su("vera", PASSWORDS["vera"])
    sh("systemctl stop ecryptfsd.service; systemctl mask --runtime ecryptfsd.service")
    logout(term)
    check("no broker at logout: the home stays as it is", home_open("vera"))
    restart_broker()
    took = wait_until(lambda: not leftovers("vera"), 40)
    check("no broker at logout: it closes the home when it is back", took is not None,
          f"{took:.1f} s" if took is not None else leftovers("vera"))


def main():
    make_world()
    managers_end_at_once()
    serial_prompt()		# to find it is no part of a login's time
    for name, part in (("absent", absent), ("killed", killed), ("stopped", stopped),
                       ("garbage", garbage), ("cost for others", cost_for_others),
                       ("killed while open", killed_while_open),
                       ("killed while gone", killed_while_gone)):
        attempt(name, part)
        restart_broker()
    finish()


if __name__ == "__main__":
    main()
