# SPDX-License-Identifier: GPL-2.0-only
"""passwd: the new password opens the home, the old one does not (point 4); the broker is killed
at steps of it, and one of the two always opens it; a reset by root is mended. tests/bus kills
broker and store at each and every step, where that does not take half an hour."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from homes import (PASSWORDS, daemon_pid, home_open, leftovers, login_ssh, logout, make_world,
                   managers_end_at_once, serial_prompt, set_password, sh, status_of, unit_active, wait_until)
from report import attempt, check, finish
from terminal import Terminal

WRONG_SECRET = 4	# exit code of ecryptfsctl
BROKER_CALLS = "sendmsg"
KILLS = 4


def opens(user, password):
    """Exit status of an unlock with this password; a home that opened is closed again."""
    path = f"/run/{user}.try"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(password)
    status = status_of(f"ecryptfsctl unlock {user} --key-file {path}", timeout=180)
    os.unlink(path)
    if status == 0:
        sh(f"ecryptfsctl lock {user}")
    return status


def change(user, old, new, expect_done=True):
    """The user types passwd at a terminal."""
    term = Terminal.spawn(["su", "-s", "/bin/sh", user, "-c", "exec passwd"], name="passwd")
    term.expect(r"[Cc]urrent.*: ?", timeout=60)
    term.send(old)
    term.expect(r"[Nn]ew password: ?", timeout=60)
    term.send(new)
    term.expect(r"[Rr]etype.*: ?", timeout=60)
    term.send(new)
    status = term.wait_end(120)
    if expect_done and status:
        raise RuntimeError(f"passwd exited {status}: {term.log[-300:]!r}")
    return term.log


def new_opens_old_does_not(user, old, new):
    words = change(user, old, new)
    check(f"passwd of {user}: new password opens the home", opens(user, new) == 0, words[-80:])
    status = opens(user, old)
    check(f"passwd of {user}: old password does not", status == WRONG_SECRET, f"exit {status}")
    PASSWORDS[user] = new
    term = login_ssh(user, new)
    check(f"passwd of {user}: login with the new password opens the home", home_open(user))
    logout(term)
    wait_until(lambda: not leftovers(user), 40)


def settle(user, first, second):
    """After a crash: which of the two opens the home, then both vault and login agree again."""
    assert wait_until(lambda: unit_active("ecryptfsd.service") or
                      status_of("systemctl start ecryptfsd.service") == 0, 30) is not None
    for password in (first, second):
        if opens(user, password) == 0:
            set_password(user, password)
            return password
    return None


def traced_calls(user, old, new):
    """How many steps (messages sent) the broker takes for one change."""
    log = "/run/steps"
    tracer = subprocess.Popen(["strace", "-qq", "-f", "-p", str(daemon_pid()), "-o", log,
                               "-e", f"trace={BROKER_CALLS}"])
    time.sleep(2)
    change(user, old, new)
    tracer.terminate()
    tracer.wait()
    with open(log) as lines:
        return len(re.findall(rf"(?:{BROKER_CALLS.replace(',', '|')})\(", lines.read()))


def broker_killed(user):
    old, new = PASSWORDS[user], "second-Secret-4"
    steps = traced_calls(user, old, new)
    old, new = new, old
    good = 0
    tried = list(range(1, steps + 1, max(1, steps // KILLS)))
    for n in tried:
        tracer = subprocess.Popen(["strace", "-qq", "-f", "-p", str(daemon_pid()),
                                   "-o", "/dev/null", "-e", f"trace={BROKER_CALLS}",
                                   "-e", f"inject={BROKER_CALLS}:signal=SIGKILL:when={n}"])
        time.sleep(1)
        change(user, old, new, expect_done=False)
        tracer.terminate()
        tracer.wait()
        works = settle(user, new, old)
        good += works is not None
        if works is None:
            check(f"broker killed at message {n} of {steps}: one password works", False)
            return
        old, new = works, (new if works == old else old)
    PASSWORDS[user] = old
    check("broker killed at messages it sends during passwd: one password works each time",
          good == len(tried) > 3, f"{good} of {len(tried)}, of {steps} messages: {tried}")


def reset_by_root(user):
    """Root sets a password without knowing the old one: login goes on, and the home is mended."""
    old, new = PASSWORDS[user], "reset-by-root-6"
    term = Terminal.spawn(["passwd", user])
    term.expect(r"[Nn]ew password: ?")
    term.send(new)
    term.expect(r"[Rr]etype.*: ?")
    term.send(new)
    term.wait_end(60)
    check("reset by root: the old password still opens the home", opens(user, old) == 0)
    term = login_ssh(user, new)
    check("reset by root: a login by ssh gets its shell, and says what to do",
          not home_open(user) and "ecryptfsctl unlock" in term.log, repr(term.log[-300:]))
    logout(term)
    term = serial_prompt()
    term.send("\x15" + user)
    term.expect(r"Password: ", timeout=60)
    term.send(new)
    i, _ = term.expect(r"(?i)old password.*: ?\Z", r"[$#] \Z", timeout=90)
    check("reset by root: a login at a terminal asks for the old password", i == 0)
    if i == 0:
        term.send(old)
        term.expect(r"[$#] \Z", timeout=90)
        check("reset by root: with it the home opens", home_open(user))
    logout(term)
    wait_until(lambda: not leftovers(user), 40)
    check("reset by root: from then on the new password opens it", opens(user, new) == 0)
    PASSWORDS[user] = new


def main():
    make_world()
    managers_end_at_once()
    attempt("vera", new_opens_old_does_not, "vera", PASSWORDS["vera"], "vera-second-Hy3")
    attempt("alice", new_opens_old_does_not, "alice", PASSWORDS["alice"], "alice-second-Jk8")
    attempt("reset by root", reset_by_root, "vera")
    attempt("broker killed", broker_killed, "vera")
    finish()


if __name__ == "__main__":
    main()
