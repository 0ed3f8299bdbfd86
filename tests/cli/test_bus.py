#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""ecryptfsctl against the real broker, key helper and store on a private bus.

usage: test_bus.py ECRYPTFSCTL BROKER KEY_HELPER STORE POLICY
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
import traceback
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../bus")
sys.path.insert(0, HERE + "/../vm/lib")

try:
    from harness import (ALICE, BOB, MANAGER, NAME, VAULT, Environment,
                         enter_namespace, skip)
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)
from terminal import Terminal, Timeout, default_signals

CTL = os.path.abspath(sys.argv[1])
RECOVERY = r"(?:[cbdefghijklnrtuv]{10}-){7}[cbdefghijklnrtuv]{10}"
SECRET = "correct horse battery"


def ctl(*arguments, uid=None, stdin=b"", pass_fds=(), env=None, session=False, cwd="/"):
    """(exit code, stdout, stderr)"""
    def become():
        if session:
            os.setsid()
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
    result = subprocess.run([CTL, *arguments], input=stdin, capture_output=True, timeout=120,
                            pass_fds=pass_fds, preexec_fn=become, cwd=cwd,
                            env=dict(os.environ, **(env or {})))
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def good(*arguments, **options):
    code, out, err = ctl(*arguments, **options)
    assert code == 0, (arguments, code, out, err)
    return out


def as_json(*arguments, **options):
    result = json.loads(good("--json=short", *arguments, **options))
    assert result["version"] == 1, result
    return result


def want(code, pattern, *arguments, **options):
    """A failure with that exit code, whose one error line says pattern."""
    have, out, err = ctl(*arguments, **options)
    assert have == code, (arguments, have, out, err)
    assert re.search(pattern, err), (arguments, err)
    assert err.count("\n") == 1 and err.startswith("ecryptfsctl: "), err
    return err


def key(text, name="key"):
    path = f"{ENV.run}/{name}"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w") as file:
        file.write(text)
    return "--key-file=" + path


def terminal(*arguments):
    return Terminal.spawn([CTL, *arguments])


def echoes(term):
    return bool(termios.tcgetattr(term.fd)[3] & termios.ECHO)


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# Tests, in this order: each leaves what the next one needs.

def test_nothing_there():
    assert good("list") == "There are no vaults. `ecryptfsctl create` makes one.\n"
    assert as_json("list") == {"version": 1, "vaults": []}
    want(3, '"nobody"', "status", "nobody")
    want(3, '"nobody"', "unlock", "nobody", key(SECRET))


def test_create_waits_without_limit():
    """A home may take hours to be copied in, and only the reply has the recovery key."""
    ENV.control("systemd1", "SetMode", "s", "hold")
    n_jobs = len(ENV.jobs())
    child = subprocess.Popen([CTL, "create", "--user=carol", key(SECRET)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        ENV.wait_until(lambda: len(ENV.jobs()) > n_jobs, "the start of the unit", 30)
        with open(f"/proc/{child.pid}/syscall") as file:
            call = file.read().split()
        # ppoll(fds, n, timeout, ...) of one descriptor; a limit would be a pointer
        assert call[2:4] == ["0x1", "0x0"], call
    finally:
        ENV.control("systemd1", "SetMode", "s", "fail")
        ENV.control("systemd1", "Release")
        out = child.communicate(timeout=30)[0]
        ENV.control("systemd1", "SetMode", "s", "work")
    assert child.returncode == 12 and not out, (child.returncode, out)


def test_create_home_at_a_terminal():
    term = terminal("create", "--user", "alice")
    term.expect(r"Login password of alice[^\n]*: \Z", timeout=20)
    wait_for(lambda: not echoes(term))
    term.send(SECRET)
    term.expect(r"again: \Z", timeout=20)
    term.send(SECRET)
    term.expect(r'"yes" when you have written it down: \Z', timeout=60)
    assert echoes(term)
    term.send("no")
    term.expect(r'"yes" when you have written it down: \Z', timeout=10)
    term.send("yes")
    assert term.wait_end(30) == 0, term.log
    assert SECRET not in term.log
    keys = re.findall(RECOVERY, term.log)
    assert len(keys) == 1, term.log
    assert "RECOVERY KEY of alice" in term.log
    assert "The next login opens it" in term.log
    return keys[0]


def test_differing_answers():
    term = terminal("create", "--user", "bob")
    term.expect(r": \Z", timeout=20)
    term.send("one")
    term.expect(r"again: \Z", timeout=20)
    term.send("two")
    assert term.wait_end(30) == 2, term.log
    assert "the two answers differ" in term.log
    assert [v["name"] for v in as_json("list")["vaults"]] == ["alice"]


def test_list_and_status():
    out = good("list")
    assert re.fullmatch(r"NAME +STATE +KIND +OWNER +MOUNT POINT\n"
                        r"alice +locked +home +alice +/home/alice\n", out), out
    assert good() == out
    assert "\033" not in out
    assert good("list", "--plain") == "alice\n"
    vault = as_json("status", "alice")["vault"]
    assert vault["kind"] == "home" and vault["state"] == "locked" and vault["owner_uid"] == ALICE
    assert [slot["type"] for slot in vault["slots"]] == ["passphrase", "recovery"], vault
    assert vault == as_json("list")["vaults"][0]
    assert as_json("status", uid=ALICE)["vault"]["uuid"] == vault["uuid"]
    for designator in (vault["uuid"], vault["mount_point"], vault["lower_directory"],
                       vault["mount_point"] + "/", "/home/../home/alice"):
        assert as_json("status", designator)["vault"]["uuid"] == vault["uuid"], designator
    out = good("status", uid=ALICE)
    assert re.search(r"^Slots +0: passphrase", out, re.M), out
    assert good("list", uid=BOB).startswith("There are no vaults")


def members(node, interface):
    """What an interface in introspection data has: (kind, name, types in, types out or access)."""
    found = node.find(f"interface[@name='{interface}']")
    result = set()
    for member in found if found is not None else ():
        types = {"in": "", "out": ""}
        for argument in member.iter("arg"):
            default = "out" if member.tag == "signal" else "in"
            types[argument.get("direction", default)] += argument.get("type")
        if member.tag == "property":
            types = {"in": member.get("type"), "out": member.get("access")}
        if member.tag in ("method", "signal", "property"):
            result.add((member.tag, member.get("name"), types["in"], types["out"]))
    return result


def test_introspection():
    """The interfaces on the bus are those of the XML files, which others build from."""
    vault = str(ENV.call("ResolveVault", "s", "alice"))
    for path, interface in ((MANAGER, NAME), (vault, VAULT)):
        there = ENV.call("Introspect", "", path=path,
                         interface="org.freedesktop.DBus.Introspectable")
        have = members(ElementTree.fromstring(str(there)), interface)
        with open(f"{HERE}/../../dbus/{interface}.xml") as file:
            wanted = members(ElementTree.fromstring(file.read()), interface)
        assert have == wanted and wanted, (interface, have ^ wanted)
        print(f"# {len(wanted)} members of {interface} are on the bus as its XML file has them")


def test_unlock(recovery):
    want(4, r"alice cannot be unlocked: .*secret.*\. .*ecryptfsctl", "unlock", "alice", key("wrong"))
    want(2, "cannot unlock alice: the secret is empty", "unlock", "alice", key(""))
    want(1, "cannot unlock alice: there is no terminal", "unlock", "alice", session=True)
    want(2, "No such file", "unlock", "alice", "--key-file=/nonexistent")
    want(2, "directory", "unlock", "alice", "--key-file=/")
    want(2, "Bad file descriptor", "unlock", "alice", "--key-fd=77")
    assert "Open at /home/alice." in good("unlock", "alice", key(SECRET + "\n"))
    want(16, "unlocked already", "unlock", "alice", key(SECRET))
    good("lock", "alice")
    assert 'type `cd "$PWD"`' in good("unlock", "alice", key(SECRET), cwd="/home/alice")
    assert "mounted" in good("list")
    assert good("lock", "alice") == "Closed.\n"
    result = as_json("unlock", key(recovery), uid=ALICE)
    assert result["slot"] == 1 and result["vault"]["state"] == "mounted", result
    assert as_json("lock", uid=ALICE) == {"version": 1}
    # typed with mistakes that do not matter
    good("unlock", "alice", key(" ".join(recovery.upper().split("-"))))
    good("lock-all")
    assert as_json("status", "alice")["vault"]["state"] == "locked"


def test_secret_sources():
    reader, writer = os.pipe()
    os.write(writer, SECRET.encode())
    os.close(writer)
    good("unlock", "alice", f"--key-fd={reader}", pass_fds=(reader,))
    os.close(reader)
    good("lock", "alice")
    good("unlock", "alice", "--key-file=-", stdin=SECRET.encode() + b"\n")
    good("lock", "alice")
    os.mkdir(ENV.run + "/credentials")
    with open(ENV.run + "/credentials/ecryptfsctl.secret", "w") as file:
        file.write(SECRET)
    good("unlock", "alice", env={"CREDENTIALS_DIRECTORY": ENV.run + "/credentials"})
    good("lock", "alice")
    want(1, "too long", "unlock", "alice", key("x" * 65537))


def test_three_attempts():
    term = terminal("unlock", "alice")
    for _ in range(2):
        term.expect(r"recovery key of alice: \Z", timeout=20)
        term.send("wrong")
        term.expect("That is not it", timeout=30)
    term.expect(r"recovery key of alice: \Z", timeout=20)
    term.send(SECRET)
    assert term.wait_end(30) == 0, term.log
    assert SECRET not in term.log and "wrong" not in term.log.replace("wrong.", "")
    good("lock", "alice")


def test_others():
    """bob may not touch what is alice's, and does not learn that it is there."""
    ENV.control("PolicyKit1", "SetAnswer", "s", "no")
    for verb in ("status", "lock"):
        code, _, err = ctl(verb, "alice", uid=BOB)
        assert code in (3, 6), err
    code, _, err = ctl("unlock", "alice", key(SECRET), uid=BOB)
    assert code in (3, 6), err
    good("lock-all", uid=BOB)


def test_passwd(recovery):
    new = "a new passphrase"
    want(4, "alice keeps its old secret: ", "passwd", "alice", key("wrong"),
         "--new-" + key(new, "new")[2:])
    out = good("passwd", "alice", key(SECRET), "--new-" + key(new, "new")[2:])
    assert out == "Changed. The former passphrase opens it no more.\n", out
    want(4, "cannot be unlocked", "unlock", "alice", key(SECRET))
    good("unlock", "alice", key(new))
    good("lock", "alice")
    # lost: the recovery key gives the passphrase slot a new one, and stays what it is
    good("passwd", "alice", key(recovery), "--new-" + key(SECRET, "new")[2:])
    for secret in (SECRET, recovery):
        good("unlock", "alice", key(secret))
        good("lock", "alice")
    term = terminal("passwd", "alice")
    for answer in (SECRET, new, new):
        term.expect(r": \Z", timeout=20)
        wait_for(lambda: not echoes(term))
        term.send(answer)
    assert term.wait_end(30) == 0, term.log
    good("unlock", "alice", key(new))
    good("lock", "alice")


def test_signals_restore_the_terminal():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        term = terminal("unlock", "alice")
        term.expect(r"recovery key of alice: \Z", timeout=20)
        wait_for(lambda: not echoes(term))
        os.kill(term.pid, number)
        _, status = os.waitpid(term.pid, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, (number, status)
        try:
            assert echoes(term), number
        except termios.error:
            pass			# the terminal went with its session: nothing left to restore
        os.close(term.fd)


def test_stop_and_continue():
    """A stopped program gives the terminal back, and asks again when it goes on."""
    pid, fd = os.forkpty()
    if pid == 0:
        # a shell of our own, so that the stopped program is not an orphan
        default_signals()
        os.execv("/bin/sh", ["sh", "-mc", f"{CTL} unlock alice; echo stopped; fg; echo end $?"])
    term = Terminal(fd, "sh", pid)
    term.expect(r"recovery key of alice: \Z", timeout=20)
    wait_for(lambda: not echoes(term))
    os.write(fd, b"\x1a")
    term.expect("stopped", timeout=20)
    term.expect(r"recovery key of alice: \Z", timeout=20)
    wait_for(lambda: not echoes(term))
    os.write(fd, b"\x03")
    term.wait_end(20)
    assert "recovery key" in term.log


def test_directory():
    out = good("--json=short", "create", "/home/lower", "/home/plain", "--name", "papers", key(SECRET))
    result = json.loads(out)
    assert re.fullmatch(RECOVERY, result["recovery_key"]), out
    assert result["vault"]["kind"] == "directory" and result["vault"]["name"] == "papers"
    want(8, "cannot be created: ", "create", "/home/lower", "/home/plain", key(SECRET))
    for arguments in (("/home/none/lower", "/home/plain2"), ("/home/lower9", "/home/none/plain"),
                      ("none/lower",)):
        want(21, "(no directory /home/none|the directory that it would be in does not exist).*"
             "Make that directory first", "create", *arguments, key(SECRET))
    good("unlock", "papers", key(SECRET))
    assert "mounted" in good("status", "/home/plain")
    good("lock", "/home/plain")
    good("unlock", "/home/plain", key(result["recovery_key"]))
    good("lock", "papers")
    assert good("list", "--plain").split() == ["alice", "papers"]


def test_no_recovery():
    out = good("create", "/home/lower2", "/home/plain2", "--no-recovery", key(SECRET))
    assert not re.search(RECOVERY, out) and "RECOVERY" not in out, out
    assert [s["type"] for s in as_json("status", "plain2")["vault"]["slots"]] == ["passphrase"]


def test_not_a_terminal_shows_the_key():
    out = good("create", "/home/lower3", "/home/plain3", "--plain-names", "--key-bytes=16",
               key(SECRET))
    assert len(re.findall(RECOVERY, out)) == 1, out
    vault = as_json("status", "plain3")["vault"]
    assert vault["names_encrypted"] is False and vault["key_bytes"] == 16, vault


def test_hostile_names():
    """Names from outside reach terminal and completion as text."""
    name = "$(touch /tmp/pwned) `x` 'q' \"d\""
    good("create", "/home/lower4", "/home/plain4", "--name", name, "--no-recovery", key(SECRET))
    assert name in good("list", "--plain").splitlines()
    assert as_json("status", name)["vault"]["name"] == name
    code, _, err = ctl("create", "/home/lower5", "/home/plain5", "--name", "a\033[2Jb\nc", key(SECRET))
    assert code == 2 and "\033" not in err, err


def test_busy():
    good("unlock", "papers", key(SECRET))
    ENV.control("systemd1", "SetBusy", "b", True)
    err = want(5, "papers cannot be locked: ", "lock", "papers")
    assert "sleep" in err and "--force" in err, err
    good("lock", "papers", "--force")
    ENV.control("systemd1", "SetBusy", "b", False)


def test_damaged():
    path = as_json("status", "papers")["vault"]["lower_directory"] + "/ecryptfs-vault.json"
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace('"papers"', '"rapers"'))
    good("unlock", "/home/plain", key(SECRET))		# the one before it, which is the same
    good("lock", "/home/plain")
    os.unlink(path + ".bak")
    want(10, "(papers|rapers|plain) cannot be unlocked: ", "unlock", "/home/plain", key(SECRET))
    with open(path, "w") as file:
        file.write("{")
    want(10, "(papers|rapers|plain) cannot be unlocked: ", "unlock", "/home/plain", key(SECRET))
    assert "damaged" in good("list")
    with open(path, "w") as file:
        file.write(text)
    good("unlock", "/home/plain", key(SECRET))
    good("lock", "/home/plain")


def test_forget():
    good("unlock", "papers", key(SECRET))
    want(16, "papers cannot be forgotten: it is open", "forget", "papers")
    good("lock", "papers")
    want(9, "cannot be forgotten: a home", "forget", "alice")
    want(3, '"nothing"', "forget", "nothing")
    want(2, "forget needs VAULT", "forget")
    uuid = as_json("status", "papers")["vault"]["uuid"]
    os.rename("/home/lower", "/home/aside")
    os.mkdir("/home/lower")
    out = good("list")
    assert re.search(r"^papers +damaged", out, re.M), out
    assert "ecryptfsctl forget" not in out, "its files are there: " + out
    os.rmdir("/home/lower")
    os.rename("/home/aside", "/home/lower")
    os.rename("/home/lower", "/home/away")
    out = good("list")
    assert re.search(r"^papers +damaged", out, re.M), out
    assert "/home/lower is not there" in out and f"ecryptfsctl forget {uuid}\n" in out, out
    assert good("forget", uuid) == "Forgotten. Nothing on the disk was touched.\n"
    assert "papers" not in good("list", "--plain")
    assert os.path.exists("/home/away/ecryptfs-vault.json")
    assert as_json("forget", "plain3") == {"version": 1}


def test_create_that_cannot_be_opened():
    """The home is encrypted by then: not a failure, and the recovery key is shown."""
    ENV.control("systemd1", "SetMode", "s", "fail-late")
    code, out, err = ctl("--json=short", "create", "--user=carol", key(SECRET))
    ENV.control("systemd1", "SetMode", "s", "work")
    assert code == 0, (code, out, err)
    result = json.loads(out)
    assert re.fullmatch(RECOVERY, result["recovery_key"]), out
    assert result["problem"]["name"] == "NoSpace", out
    assert "the test wants it to fail" in result["problem"]["text"], out
    assert re.search("was made, but it could not be opened: .*unlock carol", err), err
    assert "Do not make it again" in err, err
    good("unlock", "carol", key(result["recovery_key"]))
    good("lock", "carol")


def test_doctor():
    code, out, _ = ctl("--json=short", "doctor")
    checks = json.loads(out)["checks"]
    assert code in (0, 1)
    by_name = {check["name"]: check for check in checks}
    assert by_name["daemon"]["status"] == "ok", checks
    assert by_name["logind"]["status"] == "ok", checks
    assert by_name["home"]["status"] == "ok", checks
    assert {"module", "pam", "order", "swap", "hibernation", "keyrings"} <= set(by_name), checks
    assert all(check["next"] for check in checks if check["status"] == "fail"), checks
    assert (code == 1) == any(check["status"] == "fail" for check in checks)


def test_daemon_gone():
    ENV.kill_broker()
    want(7, "cannot reach|cannot list", "list")
    code, out, _ = ctl("--json=short", "doctor")
    assert code == 1
    assert any(c["name"] == "daemon" and c["status"] == "fail" for c in json.loads(out)["checks"])


def main():
    global ENV, CTL
    enter_namespace()
    ENV = Environment(*map(os.path.abspath, sys.argv[2:6]))
    # Users run it, and they may not look into root's home, where the tree may lie.
    CTL = shutil.copy(CTL, ENV.run)
    n = failed = 0
    try:
        recovery = None
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            n += 1
            try:
                result = test(recovery) if test.__code__.co_argcount else test()
                recovery = result or recovery
                print(f"ok   {name}", flush=True)
            except (AssertionError, Timeout, OSError, ValueError, KeyError, IndexError,
                    subprocess.TimeoutExpired):
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f"FAIL {name}", flush=True)
        if failed:
            print(ENV.output()[-4000:])
    finally:
        ENV.close()
    print(f"# {n - failed} of {n} cases pass")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
