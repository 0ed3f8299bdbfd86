#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The broker over its bus: test-bus.py BROKER KEY-HELPER STORE BUS-POLICY [unittest arguments]

What is real and what is not: see harness.py and standins.py.
"""
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
from harness import (ALICE, BOB, MANAGER, NAME, VAULT, Environment, Remote,  # noqa: E402
                     as_user, dbus, enter_namespace, handle, read_memfd, sealed, secret, session_end)

ERROR = "org.ecryptfs.Error."
env = None


def array_of_secrets(*texts):
    return dbus.Array([sealed(text) for text in texts], signature="h")


def create_home(user="alice", text="right", **options):
    options["user"] = user
    path, recovery, info = env.call("CreateVault", "sa{sv}h", "home",
                                    dbus.Dictionary(options, signature="sv"), sealed(text))
    return str(path), read_memfd(recovery).decode(), info


def open_session(*secrets, user="alice", service="login"):
    reply = env.call("OpenSession", "sa{sv}ah", user,
                     dbus.Dictionary({"service": service, "tty": "tty1"}, signature="sv"),
                     array_of_secrets(*secrets))
    return reply.take()


def log_in(*secrets, user="alice"):
    message, beats, sock = session_end(open_session(*secrets, user=user))
    return message, sock


def vault_call(path, member, signature, *args, **options):
    return env.call(member, signature, *args, path=path, interface=VAULT, **options)


def no_options():
    return dbus.Dictionary({}, signature="sv")


class Case(unittest.TestCase):
    """Each test begins with users that have empty homes, and with a fresh broker."""

    def setUp(self):
        self.sockets = []
        env.wait_until(lambda: env.broker.poll() is None, "the broker")
        env.control("systemd1", "Reset")
        env.control("PolicyKit1", "SetAnswer", "s", "no")
        env.control("PolicyKit1", "TakeAsked")
        self.mark = len(env.jobs())

    def tearDown(self):
        for sock in self.sockets:
            sock.close()
        self.assertIsNone(env.broker.poll(), "the broker died")
        env.kill_broker()
        for name in os.listdir(env.run + "/mounts"):
            os.unlink(env.run + "/mounts/" + name)
        subprocess.run(f"umount -q /home/bob; rm -rf {env.run}/keep {env.run}/state/* {env.run}/linger/* /home/* "
                       "/home/.ecryptfs; for u in alice:61000 bob:61001 carol:61002; do "
                       "install -d -m 700 -o ${u#*:} -g ${u#*:} /home/${u%:*}; done",
                       shell=True, check=False)
        env.plans()
        env.start_broker()

    def log_in(self, *secrets, user="alice"):
        message, sock = log_in(*secrets, user=user)
        self.sockets.append(sock)
        return message

    def refused(self, name, function, *args, **options):
        with self.assertRaises(Remote) as caught:
            function(*args, **options)
        self.assertEqual(caught.exception.name.removeprefix(ERROR), name,
                         caught.exception.text)
        return caught.exception.text

    def state(self, path):
        return str(env.get(path, "State"))

    def wait_state(self, path, *states):
        env.wait_until(lambda: self.state(path) in states, f"{path} {' or '.join(states)}")

    def new_jobs(self):
        return env.jobs()[self.mark:]


class Homes(Case):
    def test_create_login_logout(self):
        path, recovery, _ = create_home()
        self.assertRegex(recovery, r"[0-9a-z-]{40,}")
        plan = env.plans()[0]
        self.assertEqual(plan["plan"]["import"], "/home/alice")
        self.assertEqual((plan["n_keys"], plan["rest"]), (2, 0))
        self.assertEqual(self.state(path), "locked")
        self.assertFalse(os.path.exists("/home/.ecryptfs/alice/creating"))
        self.assertEqual(os.stat("/home/.ecryptfs/alice/vault").st_uid, ALICE)

        self.assertEqual(self.log_in("right"), "M")
        self.assertEqual(self.state(path), "mounted")
        self.assertNotIn("import", env.plans()[0]["plan"])
        self.assertEqual(self.log_in("whatever, it is open"), "M")
        self.assertEqual(int(env.get(path, "Sessions")), 2)
        self.sockets.pop().close()
        time.sleep(2)
        self.assertEqual(self.state(path), "mounted", "one of two sessions ended")
        self.sockets.pop().close()
        self.wait_state(path, "locked")
        stops = [line for line in self.new_jobs() if line.startswith("StopUnit")]
        self.assertEqual(stops[-2:], ["StopUnit user@61000.service",
                                      "StopUnit ecryptfs-mount@home-61000.service"])

    def test_no_vault(self):
        self.assertEqual(self.log_in("x", user="bob"), "N")
        self.assertEqual(self.log_in("x", user="nobody-of-that-name"), "N")
        self.assertEqual(self.log_in("x", user="root"), "N")

    def test_wrong_secret(self):
        path, _, _ = create_home()
        message = self.log_in("wrong")
        self.assertTrue(message.startswith("E WrongSecret "), message)
        self.assertIn("ecryptfsctl", message)
        self.assertNotIn("\n", message)
        self.assertEqual(self.state(path), "locked")
        self.assertEqual(self.log_in("wrong", "right"), "M", "the second secret is tried")

    def test_no_secret_and_stash(self):
        create_home()
        message = self.log_in()
        self.assertTrue(message.startswith("E Locked "), message)
        env.call("StashSecret", "sh", "alice", sealed("right"))
        self.assertEqual(self.log_in(), "M")

    def test_stash_by_others(self):
        create_home()
        create_home("bob", "bobs")
        as_user(ALICE, lambda: env.call("StashSecret", "sh", "alice", sealed("right")))
        self.refused("NotAuthorized", as_user, ALICE,
                     lambda: env.call("StashSecret", "sh", "bob", sealed("bobs")))
        self.assertTrue(self.log_in(user="bob").startswith("E Locked"))
        self.assertEqual(self.log_in(), "M")

    def test_concurrent_logins_unlock_once(self):
        create_home()
        env.plans()
        fds = [open_session("right") for _ in range(20)]
        ends = [session_end(fd) for fd in fds]
        self.sockets += [sock for _, _, sock in ends]
        self.assertEqual({message for message, _, _ in ends}, {"M"})
        self.assertEqual(len(env.plans()), 1)

    def test_concurrent_logins_second_secret_right(self):
        create_home()
        fds = [open_session("wrong"), open_session("right")]
        ends = [session_end(fd) for fd in fds]
        self.sockets += [sock for _, _, sock in ends]
        self.assertEqual([message for message, _, _ in ends], ["M", "M"])

    def test_heartbeat(self):
        create_home()
        env.control("systemd1", "SetMode", "s", "hold")
        fd = open_session("right")
        time.sleep(3.5)
        env.control("systemd1", "SetMode", "s", "work")
        message, beats, sock = session_end(fd)
        self.sockets.append(sock)
        self.assertEqual(message, "M")
        self.assertGreaterEqual(beats, 4)

    def test_login_while_closing(self):
        path, _, _ = create_home()
        self.assertEqual(self.log_in("right"), "M")
        env.control("systemd1", "SetMode", "s", "hold")
        self.sockets.pop().close()
        self.wait_state(path, "locking")
        fd = open_session("right")
        time.sleep(0.5)
        env.control("systemd1", "SetMode", "s", "work")
        message, _, sock = session_end(fd)
        self.sockets.append(sock)
        self.assertEqual(message, "M")
        self.assertEqual(self.state(path), "mounted")
        time.sleep(3)
        self.assertEqual(self.state(path), "mounted")

    def test_logind_sessions_count(self):
        path, _, _ = create_home()
        env.control("login1", "Add", "suss", "1", ALICE, "user", "active")
        env.control("login1", "Add", "suss", "2", ALICE, "manager", "active")
        try:
            self.assertEqual(self.log_in("right"), "M")
            self.sockets.pop().close()
            time.sleep(4)
            self.assertEqual(self.state(path), "mounted", "a session of logind is left")
            env.control("login1", "SetState", "ss", "1", "closing")
            self.wait_state(path, "locked")
        finally:
            env.control("login1", "Remove", "s", "1")
            env.control("login1", "Remove", "s", "2")

    def test_nothing_spurious_at_logout(self):
        """A home that is closed by hand, or by its creation, is not closed again."""
        before = env.output().count("could not be locked")
        path, _, _ = create_home()
        time.sleep(2)
        self.assertEqual(self.log_in("right"), "M")
        vault_call(path, "Lock", "a{sv}", no_options())
        self.sockets.pop().close()
        time.sleep(3)
        self.assertEqual(env.output().count("could not be locked"), before)

    def test_lingering_keeps_the_manager(self):
        path, _, _ = create_home()
        open(env.run + "/linger/alice", "w").close()
        self.assertEqual(self.log_in("right"), "M")
        self.sockets.pop().close()
        self.wait_state(path, "locked")
        self.assertNotIn("StopUnit user@61000.service", self.new_jobs())

    def test_failed_mount(self):
        path, _, _ = create_home()
        env.control("systemd1", "SetMode", "s", "fail")
        before = env.messages()
        message = self.log_in("right")
        self.assertTrue(message.startswith("E NoSpace "), message)
        lines = list((env.messages() - before).elements())
        self.assertFalse([line for line in lines if "it to fail" in line],
                         "the worker has written it to the journal already")
        env.control("systemd1", "SetMode", "s", "work")
        self.assertEqual(self.log_in("right"), "M")

    def test_failed_import_leaves_the_home(self):
        with open("/home/alice/file", "w") as file:
            file.write("precious")
        env.control("systemd1", "SetMode", "s", "fail")
        self.refused("NoSpace", create_home)
        self.assertFalse(os.path.exists("/home/.ecryptfs"))
        self.assertEqual(open("/home/alice/file").read(), "precious")
        self.assertEqual(self.log_in("right"), "N")
        env.control("systemd1", "SetMode", "s", "work")
        create_home()

    def test_who_waits_for_a_creation_that_fails(self):
        env.control("systemd1", "SetMode", "s", "hold")
        bus = dbus.bus.BusConnection(env.address)
        bus.call_async(NAME, MANAGER, NAME, "CreateVault", "sa{sv}h",
                       ("home", dbus.Dictionary({"user": "alice"}, signature="sv"),
                        sealed("right")), None, None, require_main_loop=False)
        bus.flush()
        env.wait_until(lambda: any("StartUnit" in line for line in self.new_jobs()), "the start")
        path = str(env.call("ListVaults", "")[0])
        errors = []

        def unlock():
            try:
                vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"), timeout=10)
            except Remote as error:
                errors.append(error.name.removeprefix(ERROR))
        waiting = threading.Thread(target=unlock)
        waiting.start()
        time.sleep(0.5)
        env.control("systemd1", "SetMode", "s", "fail")
        env.control("systemd1", "Release")
        waiting.join()
        bus.close()
        self.assertEqual(errors, ["NoSuchVault"], "it was never given its turn")
        env.control("systemd1", "SetMode", "s", "work")
        create_home()
        self.assertEqual(self.log_in("right"), "M")

    def test_interrupted_creation(self):
        """The broker dies between the directories and the import: the old home is the home."""
        with open("/home/alice/file", "w") as file:
            file.write("precious")
        env.control("systemd1", "SetMode", "s", "hold")
        bus = dbus.bus.BusConnection(env.address)
        bus.call_async(NAME, MANAGER, NAME, "CreateVault", "sa{sv}h",
                       ("home", dbus.Dictionary({"user": "alice"}, signature="sv"),
                        sealed("lost")), None, None, require_main_loop=False)
        bus.flush()
        env.wait_until(lambda: any("StartUnit" in line for line in self.new_jobs()), "the start")
        env.kill_broker()
        bus.close()
        # What a worker had copied, and the closed home that it had prepared.
        subprocess.run("touch /home/.ecryptfs/alice/vault/copied; cd /home/.ecryptfs/alice; "
                       "install -d -m 500 home-before-encryption; "
                       "touch home-before-encryption/README.txt; "
                       "mkdir -p vault/mod/sub vault/roots; touch vault/mod/sub/f vault/roots/f; "
                       "chown -R 61000:61000 .; chown 0:0 vault/roots; "
                       "chmod 555 vault/mod/sub vault/mod; chmod 700 vault/roots",
                       shell=True, check=True)
        env.start_broker()
        env.control("systemd1", "SetMode", "s", "work")
        self.assertEqual(self.log_in("lost"), "N")
        create_home()
        self.assertEqual(sorted(os.listdir("/home/.ecryptfs/alice/vault")),
                         ["ecryptfs-vault.json", "ecryptfs-vault.json.bak"])
        # What was root's is left to the worker.
        self.assertTrue(os.path.exists("/home/.ecryptfs/alice/unfinished-vault/roots/f"))
        self.assertEqual(self.log_in("right"), "M")

    def test_finished_but_for_the_marker(self):
        path, _, _ = create_home()
        self.assertTrue(path)
        subprocess.run("touch /home/.ecryptfs/alice/creating; touch /home/alice/README.txt; "
                       "chown -R 61000:61000 /home/alice; chmod 500 /home/alice", shell=True,
                       check=True)
        self.assertEqual(self.log_in("right"), "M", "the home is closed, so it was swapped")
        self.sockets.pop().close()
        self.wait_state(path, "locked")
        # What a login with a key of ssh may do in the closed home must not make the vault scrap.
        subprocess.run("touch /home/.ecryptfs/alice/vault/data; chmod 700 /home/alice; "
                       "touch /home/alice/note; chown -R 61000:61000 /home/alice /home/.ecryptfs/alice",
                       shell=True, check=True)
        self.assertNotEqual(self.log_in("right"), "N", "the vault is forgotten")
        self.refused("AlreadyExists", create_home)
        self.assertTrue(os.path.exists("/home/.ecryptfs/alice/vault/data"))

    def test_create_twice(self):
        create_home()
        self.refused("AlreadyExists", create_home)

    def test_create_for_who_is_logged_in(self):
        open("/home/alice/file", "w").close()
        env.control("login1", "Add", "suss", "7", ALICE, "user", "active")
        try:
            text = self.refused("Busy", create_home)
            self.assertIn("alice", text)
            self.assertFalse(os.path.exists("/home/.ecryptfs"))
        finally:
            env.control("login1", "Remove", "s", "7")

    def test_create_for_nobody(self):
        self.refused("NoSuchVault", create_home, "nobody-of-that-name")
        self.refused("NotSupported", create_home, "root")

    def test_create_for_the_system(self):
        """No login opens the home of such a user, so none is encrypted."""
        os.mkdir("/home/git", 0o700)
        os.chown("/home/git", 998, 998)
        text = self.refused("NotSupported", create_home, "git")
        self.assertIn("git (uid 998)", text)
        self.assertFalse(os.path.exists("/home/.ecryptfs"))

    def test_spelling_of_a_home(self):
        """What is in /etc/passwd need not be the shortest name of the directory."""
        path, _, _ = create_home()
        try:
            for home in ("/home/alice/", "/home//alice", "//home/./alice//"):
                env.set_homes(alice=home)
                with self.subTest(home):
                    self.assertEqual(self.log_in("right"), "M")
                    self.assertEqual(env.plans()[-1]["plan"]["target"], "/home/alice")
                    self.sockets.pop().close()
                    self.wait_state(path, "locked")
                    env.kill_broker()
                    env.start_broker()
                    self.assertEqual([str(p) for p in env.call("ListVaults", "")], [path])
            for home, answer in (("/home/../home/alice", "E UnsafePath "), ("alice", "E UnsafePath "),
                                 ("/", "N"), ("//", "N")):
                env.set_homes(alice=home)
                with self.subTest(home):
                    message = self.log_in("right")
                    self.assertTrue(message.startswith(answer), message)
                    self.assertEqual(message == "N", answer == "N")
        finally:
            env.set_homes()

    def test_unlock_by_hand_stays(self):
        path, _, _ = create_home()
        slot = vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        self.assertEqual(int(slot), 0)
        time.sleep(3)
        self.assertEqual(self.state(path), "mounted")
        self.assertTrue(os.path.exists(env.run + "/keep/home-61000"))
        self.refused("AlreadyUnlocked", vault_call, path, "Unlock", "a{sv}h", no_options(),
                     sealed("right"))
        vault_call(path, "Lock", "a{sv}", no_options())
        self.assertEqual(self.state(path), "locked")
        self.refused("Locked", vault_call, path, "Lock", "a{sv}", no_options())

    def test_recovery_key(self):
        path, recovery, _ = create_home()
        slot = vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(recovery))
        self.assertEqual(int(slot), 1)

    def test_busy_and_force(self):
        path, _, _ = create_home()
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        env.control("systemd1", "SetBusy", "b", True)
        text = self.refused("Busy", vault_call, path, "Lock", "a{sv}", no_options())
        self.assertIn("sleep (pid 42)", text)
        self.assertEqual(self.state(path), "mounted")
        self.refused("Busy", env.call, "LockAll", "")
        vault_call(path, "Lock", "a{sv}", dbus.Dictionary({"force": True}, signature="sv"))
        self.assertEqual(self.state(path), "locked")

    def test_lock_all(self):
        paths = [create_home()[0], create_home("bob", "right")[0]]
        for path in paths:
            vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        as_user(BOB, lambda: env.call("LockAll", ""))
        self.assertEqual([self.state(path) for path in paths], ["mounted", "locked"])
        env.call("LockAll", "")
        self.assertEqual([self.state(path) for path in paths], ["locked", "locked"])

    def test_lock_all_of_many(self):
        """More than one user may have under way at once."""
        env.kill_broker()
        os.makedirs(env.run + "/state/vaults", exist_ok=True)
        names = [f"00000000-0000-4000-8000-{i:012x}" for i in range(10)]
        for i, name in enumerate(names):
            lower, target = f"/home/bob/l{i}", f"/home/bob/m{i}"
            with open(f"{env.run}/state/vaults/{name}.json", "w") as file:
                json.dump({"lower": lower, "mount_point": target, "name": name, "owner_uid": BOB}, file)
            with open(f"{env.run}/mounts/{name}.json", "w") as file:
                json.dump({"id": name, "source": lower, "target": target, "engine": "ecfs",
                           "owner": BOB}, file)
        env.start_broker()
        paths = [str(path) for path in env.call("ListVaults", "")]
        self.assertEqual([self.state(path) for path in paths], ["mounted"] * 10)
        as_user(BOB, lambda: env.call("LockAll", ""))
        self.assertEqual([self.state(path) for path in paths], ["locked"] * 10)

    def test_messages(self):
        """The next command is one that works, and that helps."""
        make = dbus.Dictionary({"lower": "/home/bob/lower", "mount_point": "/home/bob/open"},
                               signature="sv")
        home, _, _ = create_home()

        def of_bob():
            text = {}
            text["none"] = self.refused("NoSuchVault", env.call, "ResolveVault", "s", "")
            path = str(env.call("CreateVault", "sa{sv}h", "directory", make, sealed("x"))[0])
            text["again"] = self.refused("AlreadyExists", env.call, "CreateVault", "sa{sv}h",
                                         "directory", make, sealed("x"))
            text["wrong"] = self.refused("WrongSecret", vault_call, path, "Unlock", "a{sv}h",
                                         no_options(), sealed("y"))
            text["locked"] = self.refused("Locked", vault_call, path, "Lock", "a{sv}", no_options())
            vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("x"))
            text["open"] = self.refused("AlreadyUnlocked", vault_call, path, "Unlock", "a{sv}h",
                                        no_options(), sealed("x"))
            text["forget"] = self.refused("AlreadyUnlocked", vault_call, path, "Forget", "")
            os.mkdir("/home/bob/full")
            open("/home/bob/full/file", "w").close()
            full = dbus.Dictionary({"lower": "/home/bob/full", "mount_point": "/home/bob/m"},
                                   signature="sv")
            text["full"] = self.refused("AlreadyExists", env.call, "CreateVault", "sa{sv}h",
                                        "directory", full, sealed("x"))
            return text
        text = as_user(BOB, of_bob)
        self.assertEqual(text["none"], "Your home is not encrypted; an administrator encrypts it with: "
                         "ecryptfsctl create --user bob.")
        self.assertRegex(text["again"], "vault open .* has that directory already[.]$")
        self.assertRegex(text["wrong"], "recovery key: ecryptfsctl unlock open[.]$")
        self.assertRegex(text["locked"], "it is locked already[.]$")
        for key in ("open", "forget"):
            self.assertRegex(text[key], "close it: ecryptfsctl lock open[.]$")
        self.assertRegex(text["full"], "a vault begins in an empty directory[.]$")
        text = self.refused("NoSuchVault", env.call, "ResolveVault", "s", "nothing")
        self.assertRegex(text, '^No vault has .* "nothing"[.] See which there are: ecryptfsctl list[.]$')
        self.assertRegex(self.refused("NoSuchVault", env.call, "ResolveVault", "s", ""), "^The home of root")
        text = self.refused("WrongSecret", vault_call, home, "Unlock", "a{sv}h", no_options(), sealed("x"))
        self.assertRegex(text, "ecryptfsctl unlock alice[.]$")
        self.assertTrue(self.log_in("right"), "M")
        env.control("systemd1", "SetBusy", "b", True)
        text = self.refused("Busy", vault_call, home, "Lock", "a{sv}", no_options())
        self.assertRegex(text, "ecryptfsctl lock --force alice[.]$")
        text = self.refused("Busy", env.call, "LockAll", "")
        self.assertNotIn("--force", text)

    def test_plan_needs_a_secret(self):
        path, _, _ = create_home()
        env.systemd("StartUnit", "ecryptfs-mount@home-61000.service")
        env.wait_until(lambda: any("plan refused" in line and "Locked" in line
                                   for line in self.new_jobs()), "the refusal")
        self.assertEqual(self.state(path), "locked")


class Closing(Case):
    """What comes between the end of the last session and the end of the mount."""
    UNIT = "ecryptfs-mount@home-61000.service"
    # As long as a service of the user's own manager ignores SIGTERM, 90 s: systemd holds back the
    # stop of the mount, which is ordered behind user@.service.

    def close_slowly(self, *options):
        """A home whose last session is over, and whose unit waits for the user's manager."""
        path, _, _ = create_home()
        if options:
            env.kill_broker()
            env.start_broker(*options)
        self.assertEqual(self.log_in("right"), "M")
        env.control("systemd1", "SetMode", "s", "hold")
        self.sockets.pop().close()
        env.wait_until(lambda: f"StopUnit {self.UNIT}" in self.new_jobs()[-1:], "the stop")
        return path

    def release(self):
        """systemd does what it was still asked for: as it would when user@.service starts again."""
        n = len(env.jobs())
        env.control("systemd1", "SetMode", "s", "work")
        time.sleep(1.5)
        return env.jobs()[n:]

    def cancelled(self):
        return f"cancelled {self.UNIT}" in self.new_jobs()

    def test_login_overtakes_the_stop(self):
        path = self.close_slowly()
        start = time.monotonic()
        self.assertEqual(self.log_in("right"), "M")
        seconds = time.monotonic() - start
        self.assertTrue(self.cancelled(), "the stop is still pending")
        self.release()
        self.assertEqual(self.state(path), "mounted", "the new session lost its home")
        print(f"logged in {seconds:.1f} s after the old session, whose manager still stops")

    def test_login_that_is_over_again(self):
        path = self.close_slowly()
        self.assertEqual(self.log_in("right"), "M")
        self.sockets.pop().close()
        self.release()
        self.wait_state(path, "locked")

    def test_stop_that_comes_too_late(self):
        """The broker gives up: then so does systemd."""
        path = self.close_slowly("--stop-timeout=2")
        env.wait_until(self.cancelled, "the end of the job")
        self.wait_state(path, "mounted")
        self.assertEqual(self.log_in("right"), "M")
        self.release()
        self.assertEqual(self.state(path), "mounted", "the new session lost its home")

    def test_stop_from_before_a_restart(self):
        path = self.close_slowly()
        env.kill_broker()
        env.start_broker("--stop-timeout=300")
        fd = open_session("right")
        env.wait_until(lambda: env.call("ListVaults", "") and int(env.get(path, "Sessions")) == 1,
                       "the session")
        self.release()
        message, _, sock = session_end(fd)
        self.sockets.append(sock)
        self.assertEqual((message, self.state(path)), ("M", "mounted"),
                         "the new session lost its home")
        self.sockets.pop().close()
        self.wait_state(path, "locked")

    def test_stop_that_nobody_asked_the_broker_for(self):
        """Refused as long as a session uses the home, unless the system goes down."""
        path, _, _ = create_home()
        self.assertEqual(self.log_in("right"), "M")
        mark = len(env.jobs())
        env.systemd("StopUnit", self.UNIT)
        env.wait_until(lambda: any("'keep': True" in line for line in env.jobs()[mark:]), "the no")
        env.wait_until(lambda: f"StartUnit {self.UNIT}" in env.jobs()[mark:], "the start")
        self.assertEqual(self.state(path), "mounted")
        for state in ("stopping", "maintenance"):
            env.control("systemd1", "SetSystemState", "s", state)
            env.systemd("StopUnit", self.UNIT)
            self.wait_state(path, "locked")
            env.control("systemd1", "SetSystemState", "s", "running")
            self.assertEqual(self.log_in("right"), "M")
        while self.sockets:
            self.sockets.pop().close()
        self.wait_state(path, "locked")
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        env.systemd("StopUnit", self.UNIT)
        self.wait_state(path, "locked")

    def test_failed_stop(self):
        """A unit that failed is not active, and its mount stands: it is closed all the same."""
        path, _, _ = create_home()
        self.assertEqual(self.log_in("right"), "M")
        env.control("systemd1", "SetStopFailures", "u", 1)
        mark = len(env.jobs())
        self.sockets.pop().close()
        env.wait_until(lambda: self.state(path) == "locked", "the second try")
        self.assertEqual([line for line in env.jobs()[mark:] if line.endswith(self.UNIT)],
                         [f"StopUnit {self.UNIT}", f"StartUnit {self.UNIT}", f"StopUnit {self.UNIT}"])

    def test_unit_that_failed_before(self):
        for force in (False, True):
            with self.subTest(force=force):
                path = create_home()[0] if not force else path
                vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
                env.control("systemd1", "SetStopFailures", "u", 1)
                mark = len(env.jobs())
                env.systemd("StopUnit", self.UNIT)
                env.wait_until(lambda: "stop failed: timeout" in env.jobs()[mark:], "the failure")
                self.assertEqual(self.state(path), "mounted")
                vault_call(path, "Lock", "a{sv}", dbus.Dictionary({"force": force}, signature="sv"))
                self.assertEqual(self.state(path), "locked")


class Creation(Case):
    """Callers that leave, and workers that fail, at every step of the creation of a home."""

    def start(self, mode, **options):
        """The bus connection of a caller that waits for its new home, with the import under way."""
        with open("/home/alice/file", "w") as file:
            file.write("precious")
        env.control("systemd1", "SetMode", "s", mode)
        bus = dbus.bus.BusConnection(env.address)
        bus.call_async(NAME, MANAGER, NAME, "CreateVault", "sa{sv}h",
                       ("home", dbus.Dictionary({"user": "alice", **options}, signature="sv"),
                        sealed("right")), None, None, require_main_loop=False)
        bus.flush()
        sign = "StartUnit" if mode == "hold" else "planned"
        env.wait_until(lambda: any(sign in line for line in self.new_jobs()), "the start")
        return bus

    @staticmethod
    def slots_on_disk(name="ecryptfs-vault.json"):
        with open("/home/.ecryptfs/alice/vault/" + name) as file:
            return [slot["type"] for slot in json.load(file)["slots"]]

    def test_caller_leaves_during_import(self):
        """Nothing is changed; and nothing is undone as long as the worker has not ended."""
        bus = self.start("import")
        self.assertEqual(self.slots_on_disk(), ["passphrase"], "nobody has the recovery key yet")
        bus.close()
        env.wait_until(lambda: any("StopUnit" in line for line in self.new_jobs()), "the stop")
        for _ in range(20):
            env.call("ListVaults", "")
        self.assertTrue(os.path.exists("/home/.ecryptfs/alice/vault"), "its worker is still there")
        env.control("systemd1", "Release")
        env.wait_until(lambda: not os.path.exists("/home/.ecryptfs"), "the undoing")
        self.assertEqual(open("/home/alice/file").read(), "precious")
        self.assertEqual(self.log_in("right"), "N")
        env.control("systemd1", "SetMode", "s", "work")
        create_home()

    def test_caller_leaves_after_the_swap(self):
        """The vault stays, without a recovery slot: nobody has its key."""
        bus = self.start("late")
        bus.close()
        env.wait_until(lambda: "has no recovery key" in env.output(), "the end of the creation")
        self.assertEqual(self.slots_on_disk(), ["passphrase"])
        self.assertFalse(os.path.exists("/home/.ecryptfs/alice/creating"))
        path = str(env.call("ResolveVault", "s", "alice"))
        self.assertEqual(self.state(path), "locked", "also a mount that came late is closed")
        self.assertEqual(self.log_in("right"), "M")

    def test_slots_of_a_finished_one(self):
        path, recovery, info = create_home()
        for name in ("ecryptfs-vault.json", "ecryptfs-vault.json.bak"):
            self.assertEqual(self.slots_on_disk(name), ["passphrase", "recovery"])
        self.assertEqual([str(slot["type"]) for slot in env.get(path, "Slots")],
                         ["passphrase", "recovery"])
        self.assertNotIn("problem", info)

    def test_mount_fails_after_the_swap(self):
        """The home is encrypted: the caller gets the recovery key, and hears what is wrong."""
        with open("/home/alice/file", "w") as file:
            file.write("precious")
        env.control("systemd1", "SetMode", "s", "fail-late")
        path, recovery, info = create_home()
        self.assertRegex(recovery, "[0-9a-z-]{40,}")
        self.assertIn("the test wants it to fail", str(info["problem"]))
        self.assertEqual(str(info["problem_error"]), "NoSpace")
        self.assertEqual(str(info["kept"]), "/home/.ecryptfs/alice/home-before-encryption")
        self.assertFalse(os.path.exists("/home/.ecryptfs/alice/creating"))
        self.assertEqual(self.state(path), "locked")
        env.control("systemd1", "SetMode", "s", "work")
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(recovery))
        vault_call(path, "Lock", "a{sv}", no_options())
        self.assertEqual(self.log_in("right"), "M")

    def test_half_filled_placeholder(self):
        """What a worker had begun when the machine went down does not stand in the way."""
        for i, command in enumerate((
                "install -d -m 700 $K", "install -d -m 700 $K; echo 'This home' > $K/README.txt",
                "install -d -m 500 -o 61000 $K; echo 'This home' > $K/README.txt",
                "install -d -m 700 -o 61000 $K")):
            with self.subTest(command):
                bus = self.start("hold")
                env.kill_broker()
                bus.close()
                subprocess.run("K=/home/.ecryptfs/alice/home-before-encryption; " + command,
                               shell=True, check=True)
                env.start_broker()
                env.control("systemd1", "SetMode", "s", "work")
                path, _, _ = create_home()
                self.assertFalse(os.path.exists("/home/.ecryptfs/alice/home-before-encryption"))
                self.assertEqual(open("/home/alice/file").read(), "precious")
                env.kill_broker()
                subprocess.run("rm -rf /home/.ecryptfs", shell=True, check=True)
                env.start_broker()
                self.mark = len(env.jobs())

    def test_kept_files_are_no_placeholder(self):
        for mode, owner in (("700", ALICE), ("500", ALICE), ("700", 0)):
            bus = self.start("hold")
            env.kill_broker()
            bus.close()
            subprocess.run(f"cd /home/.ecryptfs/alice; install -d -m {mode} -o {owner} "
                           "home-before-encryption; touch home-before-encryption/README.txt "
                           "home-before-encryption/thesis", shell=True, check=True)
            env.start_broker()
            env.control("systemd1", "SetMode", "s", "work")
            with self.subTest(f"{mode} {owner}"):
                self.assertIn("home-before-encryption", self.refused("AlreadyExists", create_home))
                self.assertTrue(os.path.exists(
                    "/home/.ecryptfs/alice/home-before-encryption/thesis"))
            env.kill_broker()
            subprocess.run("rm -rf /home/.ecryptfs", shell=True, check=True)
            env.start_broker()
            self.mark = len(env.jobs())


class Passwords(Case):
    def change(self, old, new, user="alice", uid=0):
        def call():
            reply = env.call("ChangeLoginSecret", "shh", user, sealed(old), sealed(new))
            return session_end(reply.take())[0]
        return as_user(uid, call) if uid else call()

    def test_change(self):
        path, _, _ = create_home()
        self.assertEqual(self.change("right", "next"), "M")
        self.assertTrue(self.log_in("right").startswith("E WrongSecret"))
        self.assertEqual(self.log_in("next"), "M")
        self.assertEqual(self.change("next", "third", uid=ALICE), "M", "by the user, while open")

    def test_change_wrong_or_not_there(self):
        create_home()
        self.assertTrue(self.change("wrong", "next").startswith("E WrongSecret"))
        self.assertEqual(self.log_in("right"), "M")
        self.assertEqual(self.change("a", "b", user="bob"), "N")

    def test_change_of_others(self):
        create_home()
        self.assertTrue(self.change("right", "mine", uid=BOB).startswith("E NotAuthorized"))
        self.assertEqual(self.log_in("right"), "M")

    def test_change_by_method(self):
        path, _, _ = create_home()
        vault_call(path, "ChangeSecret", "a{sv}hh", no_options(), sealed("right"), sealed("next"))
        self.assertEqual(self.log_in("next"), "M")
        self.refused("WrongSecret", vault_call, path, "ChangeSecret", "a{sv}hh", no_options(),
                     sealed("right"), sealed("x"))
        self.refused("InvalidArgument", vault_call, path, "ChangeSecret", "a{sv}hh", no_options(),
                     sealed("next"), sealed(""))

    def test_stale(self):
        path, _, _ = create_home()
        self.refused("org.freedesktop.DBus.Error.AccessDenied", as_user, ALICE,
                     lambda: env.call("MarkLoginSecretStale", "s", "alice"))
        env.call("MarkLoginSecretStale", "s", "alice")
        self.assertTrue(env.get(path, "SecretStale"))
        self.assertTrue(os.path.exists(env.run + "/state/stale/61000"))
        message = self.log_in("set by root")
        self.assertTrue(message.startswith("E WrongSecret"), message)
        self.assertIn("administrator", message)
        self.assertEqual(self.change("right", "set by root"), "M")
        self.assertFalse(env.get(path, "SecretStale"))
        self.assertEqual(self.log_in("set by root"), "M")

    def test_stale_until_it_is_mended(self):
        """What PAM does at the first login after a reset; and its last step fails."""
        path, _, _ = create_home()
        env.call("MarkLoginSecretStale", "s", "alice")
        self.assertTrue(self.log_in("set by root").startswith("E WrongSecret"))
        self.assertEqual(self.log_in("right"), "M", "the old one, which PAM has asked for")
        self.assertTrue(env.get(path, "SecretStale"), "nobody will be asked again")
        self.assertTrue(self.change("not right", "set by root").startswith("E WrongSecret"))
        self.assertTrue(env.get(path, "SecretStale"))
        while self.sockets:
            self.sockets.pop().close()
        self.wait_state(path, "locked")
        message = self.log_in("set by root")
        self.assertIn("administrator", message, "the next login asks again")
        self.assertEqual(self.change("right", "set by root"), "M")
        self.assertFalse(env.get(path, "SecretStale"))

    def test_stale_by_mistake(self):
        """Set to what it was: a login that opens the home says so."""
        path, _, _ = create_home()
        env.call("MarkLoginSecretStale", "s", "alice")
        self.assertEqual(self.log_in("right"), "M")
        self.assertFalse(env.get(path, "SecretStale"))

    def test_rate_limit(self):
        path, _, _ = create_home()
        other, _, _ = create_home("bob", "bobs")

        def guess():
            names = []
            for i in range(32):
                try:
                    vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(f"guess {i}"))
                except Remote as error:
                    names.append(error.name.removeprefix(ERROR))
            return names
        names = as_user(ALICE, guess)
        self.assertEqual(names[:30], ["WrongSecret"] * 30)
        self.assertEqual(names[30:], ["RateLimited"] * 2)
        as_user(BOB, lambda: vault_call(other, "Unlock", "a{sv}h", no_options(), sealed("bobs")))
        self.assertEqual(self.log_in("right"), "M", "a login is not held up by guesses")
        self.assertTrue(self.change("guess", "x", uid=ALICE).startswith("E RateLimited"),
                        "the method for PAM is no way around")
        self.assertEqual(self.change("right", "next"), "M", "passwd(1) is not held up")

    def test_flood_of_changes(self):
        """A user who asks for hundreds of changes at once takes nothing from the others."""
        create_home()
        create_home("bob", "bobs")

        def flood():
            names, keep = [], []
            bus = dbus.bus.BusConnection(env.address)
            for _ in range(200):
                try:
                    keep.append(env.call("ChangeLoginSecret", "shh", "bob", sealed("a"),
                                         sealed("b"), bus=bus))
                except Remote as error:
                    names.append(error.name.removeprefix(ERROR))
            for reply in keep:
                os.close(reply.take())
            return names
        names = as_user(BOB, flood)
        self.assertGreater(names.count("RateLimited"), 150)
        self.assertEqual(set(names), {"RateLimited"})
        self.assertEqual(self.log_in("right"), "M")


WRAPPED_V2 = "3a020102030405060708306633666435316135386566323064350ceec6c611d890d48a7b2df8fd572a37"
WRAPPED_V1 = "37326330303738633065616137656563b888e4a76d0433c9dc87c889efea24be"


def legacy_sigs():
    """Signatures of the passphrase "foo" under both salts: the S2K of eCryptfs."""
    lines = ""
    for salt in (bytes.fromhex("0011223344556677"), b"99887766"):
        key = hashlib.sha512(salt + b"foo").digest()
        for _ in range(65535):
            key = hashlib.sha512(key).digest()
        lines += hashlib.sha512(key).hexdigest()[:16] + "\n"
    return lines


def make_legacy(*flags, base="/home/.ecryptfs/alice", mount_point="/home/alice", wrapped=WRAPPED_V2):
    """What ecryptfs-utils left: "foo" wrapped by "bar", both files of docs/format.md."""
    os.makedirs(base + "/.ecryptfs")
    os.mkdir(base + "/.Private")
    with open(base + "/.ecryptfs/wrapped-passphrase", "wb") as file:
        file.write(bytes.fromhex(wrapped))
    with open(base + "/.ecryptfs/Private.sig", "w") as file:
        file.write(legacy_sigs())
    with open(base + "/.ecryptfs/Private.mnt", "w") as file:
        file.write(mount_point + "\n")
    for flag in flags:
        open(f"{base}/.ecryptfs/{flag}", "w").close()
    subprocess.run(["chown", "-R", "61000:61000", base], check=True)


class Legacy(Case):
    def test_login_and_passwd(self):
        make_legacy("auto-mount", "auto-umount")
        self.assertEqual(self.log_in("bar"), "M")
        plan = env.plans()[0]["plan"]
        self.assertEqual(plan["source"], "/home/.ecryptfs/alice/.Private")
        self.assertEqual(plan["options"]["ecryptfs_key_bytes"], "16")
        path = str(env.call("ResolveVault", "s", "alice"))
        self.assertEqual(str(env.get(path, "Kind")), "legacy")
        self.sockets.pop().close()
        self.wait_state(path, "locked")
        reply = env.call("ChangeLoginSecret", "shh", "alice", sealed("bar"), sealed("baz"))
        self.assertEqual(session_end(reply.take())[0], "M")
        self.assertTrue(os.path.exists("/home/.ecryptfs/alice/.ecryptfs/wrapped-passphrase.bak"))
        self.assertTrue(self.log_in("bar").startswith("E WrongSecret"))
        self.assertEqual(self.log_in("baz"), "M")

    def test_flags(self):
        make_legacy()
        self.assertEqual(self.log_in("bar"), "N", "no auto-mount")
        self.tearDown()
        make_legacy("auto-mount")
        self.assertEqual(self.log_in("bar"), "M")
        path = str(env.call("ResolveVault", "s", "alice"))
        self.sockets.pop().close()
        time.sleep(4)
        self.assertEqual(self.state(path), "mounted", "no auto-umount")

    def test_wrapping_independent(self):
        make_legacy("auto-mount", "auto-umount", "wrapping-independent")
        message = self.log_in("login password")
        self.assertTrue(message.startswith("E Locked "), message)
        self.assertIn("ecryptfsctl unlock", message)
        path = str(env.call("ResolveVault", "s", "alice"))
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("bar"))
        reply = env.call("ChangeLoginSecret", "shh", "alice", sealed("bar"), sealed("x"))
        self.assertEqual(session_end(reply.take())[0], "N")


class Hostile(Case):
    """What a user can put in the way of the own login: it is named, and nobody waits for it."""

    def expect(self, *names):
        message = self.log_in("right")
        self.assertIn(message.split(" ")[1], names, message)

    def test_document(self):
        create_home()
        document = "/home/.ecryptfs/alice/vault/ecryptfs-vault.json"
        good = open(document).read()
        os.unlink(document + ".bak")
        for command, names in (
                (f"mkfifo {document}", ["UnsafePath"]),
                (f"ln -s /etc/shadow {document}", ["UnsafePath"]),
                (f"mkdir {document}", ["UnsafePath"]),
                (f"touch {document}; chown 61001 {document}", ["UnsafePath"]),
                (f"truncate -s 1T {document} || truncate -s 10M {document}", ["DamagedDocument"]),
                (f"touch {document}", ["DamagedDocument"]),
                (f"echo '{{}}' > {document}", ["DamagedDocument"]),
                ("true", ["DamagedDocument"])):
            subprocess.run(f"rm -rf {document}; {command}; chown -h 61000 {document} 2>/dev/null",
                           shell=True, check=False)
            if "61001" in command:
                os.chown(document, BOB, BOB)
            with self.subTest(command):
                self.expect(*names)
        subprocess.run(["rm", "-rf", document], check=True)
        with open(document, "w") as file:
            file.write(good.replace('"name":"alice"', '"name":"mallory"'))
        os.chown(document, ALICE, ALICE)
        self.expect("DamagedDocument")
        with open(document, "w") as file:
            file.write(good)
        self.assertEqual(self.log_in("right"), "M")

    def test_backup_opens(self):
        create_home()
        document = "/home/.ecryptfs/alice/vault/ecryptfs-vault.json"
        reply = env.call("ChangeLoginSecret", "shh", "alice", sealed("right"), sealed("next"))
        self.assertEqual(session_end(reply.take())[0], "M")
        with open(document, "w") as file:
            file.write("cut")
        self.assertEqual(self.log_in("right"), "M", "the document before has the old secret")

    def test_backup_outlives_the_damage(self):
        """A change writes over the damaged document, and never the damage over the backup."""
        create_home()
        document = "/home/.ecryptfs/alice/vault/ecryptfs-vault.json"
        for old, new in (("right", "next"), ("right", "third")):
            reply = env.call("ChangeLoginSecret", "shh", "alice", sealed(old), sealed(new))
            self.assertEqual(session_end(reply.take())[0], "M")
            with open(document, "w") as file:
                file.write("cut")
        self.assertEqual(self.log_in("right"), "M", "the backup that was good stays")

    def test_directories(self):
        create_home()
        base = "/home/.ecryptfs/alice"
        for command, undo in (
                (f"mv {base}/vault {base}/v; ln -s v {base}/vault", f"rm {base}/vault; mv {base}/v {base}/vault"),
                (f"chown 61001 {base}/vault", f"chown 61000 {base}/vault"),
                (f"chmod o+w {base}/vault", f"chmod o-w {base}/vault"),
                (f"mv {base} {base}x; ln -s alicex {base}", f"rm {base}; mv {base}x {base}"),
                (f"mv {base}/vault {base}/v; mkfifo {base}/vault; chown 61000 {base}/vault",
                 f"rm {base}/vault; mv {base}/v {base}/vault")):
            subprocess.run(command, shell=True, check=True)
            with self.subTest(command):
                self.expect("UnsafePath")
            subprocess.run(undo, shell=True, check=True)
        self.assertEqual(self.log_in("right"), "M")

    def test_full_disk(self):
        """bob's home is alone on a tiny disk: a change that does not fit leaves the old."""
        subprocess.run("mount -t tmpfs -o size=256k,mode=0755 tmpfs /home/bob && "
                       "chown 61001:61001 /home/bob", shell=True, check=True)
        os.mkdir("/home/bob/lower", 0o700)
        os.chown("/home/bob/lower", BOB, BOB)

        def make():
            reply = env.call("CreateVault", "sa{sv}h", "directory",
                             dbus.Dictionary({"lower": "/home/bob/lower",
                                              "mount_point": "/home/bob/open"}, signature="sv"),
                             sealed("right"))
            return str(reply[0])
        path = as_user(BOB, make)
        fd = os.open("/home/bob/fill", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fd, b"x" * 4096)
        except OSError:
            os.close(fd)
        self.refused("NoSpace", vault_call, path, "ChangeSecret", "a{sv}hh", no_options(),
                     sealed("right"), sealed("next"))
        self.assertEqual([name for name in os.listdir("/home/bob/lower") if "new" in name], [])
        os.unlink("/home/bob/fill")
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))


class Planted:
    """Something else in the place of a path, and what was there back afterwards. All of it is
    alice's, as she could have made it, but for what is somebody else's."""

    def __init__(self, path, what):
        self.path, self.what, self.kept = path, what, path + ".kept-by-test"

    def __enter__(self):
        os.rename(self.path, self.kept)
        getattr(self, self.what.replace(" ", "_"))()
        if self.what != "foreign owner":
            os.chown(self.path, ALICE, ALICE, follow_symlinks=False)

    def __exit__(self, *_):
        subprocess.run(["rm", "-rf", self.path], check=True)
        os.rename(self.kept, self.path)

    def fifo(self):
        os.mkfifo(self.path)

    def symlink(self):
        """To what it should be: followed, it would open."""
        os.symlink(os.path.basename(self.kept), self.path)

    def foreign_owner(self):
        """Of a thing that is whole, and can be read."""
        subprocess.run(["cp", "-a", self.kept, self.path], check=True)
        os.chown(self.path, BOB, BOB)
        os.chmod(self.path, os.stat(self.path).st_mode | 0o055)

    def file_or_directory(self):
        """Whichever it is not."""
        if os.path.isdir(self.kept):
            open(self.path, "w").close()
        else:
            os.mkdir(self.path)

    def device(self):
        os.mknod(self.path, 0o020600, os.makedev(1, 5))

    def socket(self):
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(self.path)


PLANTS = ("fifo", "symlink", "foreign owner", "file or directory", "device", "socket")


class HostilePaths(Case):
    """Everything that could stand in the place of each path of a user which the store opens:
    st_open_owned_dir(), st_pin_owned_dir(), st_open_dir(), st_read_file(), the flags that
    has_flag() looks for, and the names that st_replace_file() goes by.

    Each is refused by name in one line of the log, or does no harm; nobody waits for it."""

    BASE = "/home/.ecryptfs"
    OWN = BASE + "/alice"
    VAULT = OWN + "/vault"
    DOCUMENT = VAULT + "/ecryptfs-vault.json"
    LEGACY = OWN + "/.ecryptfs"
    SECONDS = 5		# a store that hangs is given up after 10

    def setUp(self):
        super().setUp()
        self.tried, self.longest = 0, 0.0

    def tearDown(self):
        print(f"# {self.id().split('.')[-1]}: {self.tried} tried, {self.longest:.2f} s at most")
        super().tearDown()

    def timed(self, function, *args, seconds=SECONDS):
        """The result, and what the programs wrote meanwhile but the comings and goings of sessions."""
        before = env.messages()
        start = time.monotonic()
        result = function(*args)
        took = time.monotonic() - start
        self.tried += 1
        self.longest = max(self.longest, took)
        self.assertLess(took, seconds)
        time.sleep(0.05)	# a reply is sent before its line is written
        return result, [line for line in (env.messages() - before).elements()
                        if not re.search("session of uid|is open at|is locked|has a new secret", line)]

    def login_refused(self, secret, name):
        message, lines = self.timed(self.log_in, secret)
        self.sockets.pop().close()
        self.assertEqual(message.split(" ")[:2], ["E", name], message)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("alice", lines[0])

    def login_opens(self, secret, warnings=0):
        message, lines = self.timed(self.log_in, secret)
        self.assertEqual(message, "M")
        self.assertEqual(len(lines), warnings, lines)
        vault_call(str(env.call("ResolveVault", "s", "alice")), "Lock", "a{sv}", no_options())
        self.sockets.pop().close()

    def each(self, paths, function, *args, **options):
        for path in paths:
            for what in PLANTS:
                with self.subTest(f"{what} at {path}"), Planted(path, what):
                    function(*args, **options)
                    self.assertTrue(os.path.lexists(path), "it is gone")

    def test_vault(self):
        create_home()
        self.each([self.BASE, self.OWN, self.VAULT], self.login_refused, "right", "UnsafePath")
        self.each([self.DOCUMENT], self.login_opens, "right", warnings=1)
        self.each([self.DOCUMENT + ".bak"], self.login_opens, "right")
        os.unlink(self.DOCUMENT + ".bak")
        self.each([self.DOCUMENT], self.login_refused, "right", "UnsafePath")
        self.login_opens("right")

    def test_backup_alone(self):
        create_home()
        os.unlink(self.DOCUMENT)
        self.each([self.DOCUMENT + ".bak"], self.login_refused, "right", "DamagedDocument")
        self.login_opens("right", warnings=1)

    def test_marker(self):
        """The file "creating" beside a home that is closed."""
        create_home()
        open("/home/alice/README.txt", "w").close()
        subprocess.run("chown 61000:61000 /home/alice/README.txt; chmod 500 /home/alice", shell=True,
                       check=True)
        marker = self.OWN + "/creating"
        for what in PLANTS:
            open(marker, "w").close()
            with self.subTest(what), Planted(marker, what):
                self.login_opens("right")
            os.unlink(marker)

    def test_legacy_home(self):
        make_legacy("auto-mount", "auto-umount", "wrapping-independent")
        flags = [f"{self.LEGACY}/{name}" for name in ("auto-mount", "auto-umount")]
        independent = self.LEGACY + "/wrapping-independent"
        self.each([independent], self.login_refused, "bar", "Locked")
        os.unlink(independent)
        self.each([self.BASE, self.OWN, self.LEGACY, self.LEGACY + "/wrapped-passphrase",
                   self.LEGACY + "/Private.sig", self.LEGACY + "/Private.mnt"],
                  self.login_refused, "bar", "UnsafePath")
        self.each(flags, self.login_opens, "bar")

    def test_salt_of_version_1(self):
        """~/.ecryptfsrc has the salt of old files, and is believed only if it is the user's."""
        make_legacy("auto-mount", "auto-umount", wrapped=WRAPPED_V1)
        config = "/home/alice/.ecryptfsrc"
        with open(config, "w") as file:
            file.write("salt=ffeeddccbbaa9988\n")
        os.chown(config, ALICE, ALICE)
        self.login_refused("bar", "WrongSecret")
        self.each([config], self.login_opens, "bar")

    def test_private_directory(self):
        make_legacy("auto-mount", "auto-umount", base="/home/alice", mount_point="/home/alice/Private")
        config = "/home/alice/.ecryptfs"
        self.each(["/home/alice", config, config + "/wrapped-passphrase", config + "/Private.sig",
                   config + "/Private.mnt"], self.login_refused, "bar", "UnsafePath")
        self.each([config + "/auto-mount", config + "/auto-umount"], self.login_opens, "bar")

    def test_directory_vault(self):
        options = {"lower": "/home/alice/lower", "mount_point": "/home/alice/open"}
        path = as_user(ALICE, lambda: str(env.call(
            "CreateVault", "sa{sv}h", "directory", dbus.Dictionary(options, signature="sv"),
            sealed("right"))[0]))
        document = "/home/alice/lower/ecryptfs-vault.json"
        os.unlink(document + ".bak")

        def unlock_refused():
            _, lines = self.timed(self.refused, "UnsafePath", vault_call, path, "Unlock", "a{sv}h",
                                  no_options(), sealed("right"))
            self.assertEqual(len(lines), 1, lines)
        self.each(["/home/alice/lower", document], unlock_refused)

    def change_or_not(self, path, old, new):
        """The secret after a change that something stands in the way of; one must be right."""
        message, lines = self.timed(lambda: session_end(env.call(
            "ChangeLoginSecret", "shh", "alice", sealed(old), sealed(new)).take())[0],
            seconds=30)	# three derivations of a key, each of a second or so
        right, wrong = (new, old) if message == "M" else (old, new)
        if message != "M":
            self.assertEqual(message.split(" ")[:2], ["E", "UnsafePath"], message)
        self.assertEqual(len(lines), message != "M", lines)
        self.refused("WrongSecret", vault_call, path, "Unlock", "a{sv}h", no_options(), sealed(wrong))
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(right))
        vault_call(path, "Lock", "a{sv}", no_options())
        return right

    def names_of_a_change(self, path, now, name, plants=PLANTS):
        """How often the new secret was taken: always, but for a directory in the way."""
        changed = 0
        for suffix in (".new", ".bak", ".bak.new"):
            for what in plants:
                subprocess.run(f"rm -rf {name}{suffix}; install -o 61000 /dev/null {name}{suffix}",
                               shell=True, check=True)
                new = f"{suffix}-{what}"
                with self.subTest(f"{what} at {name}{suffix}"):
                    plant = Planted(name + suffix, what)
                    plant.__enter__()
                    os.unlink(plant.kept)
                    after = self.change_or_not(path, now, new)
                    changed += after == new
                    now = after
                subprocess.run(f"rm -rf {name}{suffix}", shell=True, check=True)
        return changed

    def test_names_of_a_change(self):
        """Of each kind one, because each takes seconds; the writer is the same as below."""
        path, _, _ = create_home()
        self.assertEqual(self.names_of_a_change(path, "right", self.DOCUMENT,
                                                ("symlink", "file or directory")), 3)

    def test_names_of_a_change_legacy(self):
        make_legacy("auto-mount", "auto-umount")
        path = str(env.call("ResolveVault", "s", "alice"))
        changed = self.names_of_a_change(path, "bar", self.LEGACY + "/wrapped-passphrase")
        self.assertEqual(changed, 15)

    def creation_refused(self):
        with self.assertRaises(Remote) as caught:
            self.timed(create_home)
        self.assertIn(caught.exception.name.removeprefix(ERROR), ("UnsafePath", "AlreadyExists"))

    def test_creation(self):
        """The names that a creation needs are taken: it is refused, and nothing goes."""
        with open("/home/alice/file", "w") as file:
            file.write("precious")
        # What is no directory could as well hide a Private directory of ecryptfs-utils.
        with Planted("/home/alice", "foreign owner"):
            self.timed(self.refused, "UnsafePath", create_home)
        self.each(["/home/alice"], self.creation_refused)
        subprocess.run(f"install -d -m 755 {self.BASE}; install -d -m 700 -o 61000 {self.OWN} "
                       f"{self.VAULT} {self.OWN}/home-before-encryption; "
                       f"touch {self.VAULT}/data {self.OWN}/home-before-encryption/thesis",
                       shell=True, check=True)
        self.each([self.BASE, self.OWN, self.VAULT, self.OWN + "/home-before-encryption"],
                  self.timed, self.refused, "AlreadyExists", create_home)
        self.assertEqual(open("/home/alice/file").read(), "precious")


class Directories(Case):
    def make(self, uid=ALICE, lower="/home/alice/lower", mount_point="/home/alice/open", **more):
        def call():
            options = {"lower": lower, "mount_point": mount_point, **more}
            return str(env.call("CreateVault", "sa{sv}h", "directory",
                                dbus.Dictionary(options, signature="sv"), sealed("right"))[0])
        return as_user(uid, call) if uid else call()

    def test_own(self):
        path = self.make(names=False, recovery=False)
        self.assertEqual(str(env.get(path, "Kind")), "directory")
        self.assertEqual(int(env.get(path, "OwnerUid")), ALICE)
        self.assertEqual(len(env.get(path, "Slots")), 1)
        as_user(ALICE, lambda: vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right")))
        plan = env.plans()[0]
        self.assertEqual(plan["n_keys"], 1)
        self.assertEqual(plan["plan"]["target"], "/home/alice/open")
        env.kill_broker()
        env.start_broker()
        self.assertEqual(self.state(path), "mounted", "known after a restart")
        for name in ("open", "/home/alice/open", "/home/alice/lower", path.split("/")[-1]):
            name = name.replace("_2d", "-")
            name = re.sub("^_3([0-9])", r"\1", name)
            found = as_user(ALICE, lambda: str(env.call("ResolveVault", "s", name)))
            self.assertEqual(found, path)

    def test_name_of_another(self):
        """A vault that bears a user's name does not stand in for that user's home."""
        mine = self.make(BOB, "/home/bob/l", "/home/bob/m", name="alice")
        home, _, _ = create_home()
        self.assertEqual(str(env.call("ResolveVault", "s", "alice")), home)
        self.assertEqual(as_user(BOB, lambda: str(env.call("ResolveVault", "s", "alice"))), mine)

    def test_of_others(self):
        self.refused("NotAuthorized", self.make, lower="/home/bob/lower")
        self.refused("UnsafePath", self.make, BOB, lower="/home", mount_point="/home/bob/m")
        self.refused("NotAuthorized", self.make, BOB, lower="/home/bob/l", mount_point="/home/x")
        self.assertFalse(os.path.exists("/home/bob/lower"))

    def test_not_empty(self):
        os.mkdir("/home/alice/lower", 0o700)
        os.chown("/home/alice/lower", ALICE, ALICE)
        open("/home/alice/lower/file", "w").close()
        self.refused("AlreadyExists", self.make)
        self.make(lower="/home/alice/lower2")
        self.refused("AlreadyExists", self.make, lower="/home/alice/lower2")

    def test_no_end_of_them(self):
        """The register is in the memory of everybody's broker."""
        env.kill_broker()
        os.makedirs(env.run + "/state/vaults", exist_ok=True)
        for i in range(256):
            with open(f"{env.run}/state/vaults/00000000-0000-4000-8000-{i:012x}.json", "w") as file:
                file.write('{"lower":"/home/bob/l%d","mount_point":"/home/bob/m%d","name":"%d",'
                           '"owner_uid":%d}' % (i, i, i, BOB))
        env.start_broker()
        self.refused("NotAuthorized", self.make, BOB, "/home/bob/lower", "/home/bob/open")
        self.make()

    def test_gone_and_forgotten(self):
        path = self.make()
        subprocess.run("mv /home/alice/lower /home/alice/away", shell=True, check=True)
        self.assertEqual([str(p) for p in as_user(ALICE, lambda: env.call("ListVaults", ""))], [path])
        self.assertEqual(self.state(path), "damaged")
        self.assertIn("/home/alice/lower is not there", str(env.get(path, "Problem")))
        self.refused("NotAuthorized", as_user, BOB, lambda: vault_call(path, "Forget", ""))
        as_user(ALICE, lambda: vault_call(path, "Forget", ""))
        self.assertEqual(env.call("ListVaults", ""), [])
        self.refused("org.freedesktop.DBus.Error.UnknownObject", vault_call, path, "Forget", "")
        env.kill_broker()
        env.start_broker()
        self.assertEqual(env.call("ListVaults", ""), [], "nor after a restart")
        self.assertEqual(sorted(os.listdir("/home/alice/away")),
                         ["ecryptfs-vault.json", "ecryptfs-vault.json.bak"])
        self.make()

    def test_forget_what_is_there(self):
        path = self.make()
        as_user(ALICE, lambda: vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right")))
        self.refused("AlreadyUnlocked", vault_call, path, "Forget", "")
        self.assertEqual(self.state(path), "mounted")
        vault_call(path, "Lock", "a{sv}", no_options())
        files = os.listdir("/home/alice/lower")
        vault_call(path, "Forget", "")
        self.assertEqual(os.listdir("/home/alice/lower"), files)
        self.assertIn("its files were in /home/alice/lower", env.output())
        home, _, _ = create_home()
        self.refused("NotSupported", vault_call, home, "Forget", "")

    def test_another_mount_point_is_for_once(self):
        path = self.make()
        for restart in (False, True):
            env.plans()
            vault_call(path, "Unlock", "a{sv}h", dbus.Dictionary(
                {"mount_point": "/home/alice/elsewhere"}, signature="sv"), sealed("right"))
            self.assertEqual(env.plans()[0]["plan"]["target"], "/home/alice/elsewhere")
            if restart:
                env.kill_broker()
                env.start_broker()
            self.assertEqual(str(env.get(path, "MountPoint")), "/home/alice/elsewhere")
            self.assertEqual(str(env.call("ResolveVault", "s", "/home/alice/elsewhere")), path)
            vault_call(path, "Lock", "a{sv}", no_options())
            self.assertEqual(str(env.get(path, "MountPoint")), "/home/alice/open")
            vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
            self.assertEqual(env.plans()[0]["plan"]["target"], "/home/alice/open")
            vault_call(path, "Lock", "a{sv}", no_options())

    def test_symlink_on_the_way(self):
        as_user(ALICE, lambda: os.symlink("/home/bob", "/home/alice/link"))
        self.refused("UnsafePath", self.make, lower="/home/alice/link/lower")


class Limits(Case):
    """What one user can take from the others."""

    def test_sessions_of_one_user(self):
        create_home()
        fds = []
        try:
            with self.assertRaises(Remote) as caught:
                for _ in range(600):
                    fds.append(open_session(user="bob"))
            self.assertEqual(caught.exception.name, ERROR + "RateLimited")
            self.assertIn("bob", caught.exception.text)
            self.assertEqual(len(fds), 512)
            self.assertEqual(self.log_in("right"), "M", "alice has sessions left")
            os.close(fds.pop())
            env.wait_until(self.bob_logs_in, "a place for bob")
        finally:
            for fd in fds:
                os.close(fd)

    def bob_logs_in(self):
        try:
            return self.log_in("x", user="bob") == "N"
        except Remote:
            return False

    def test_left_to_the_store(self):
        """Whoever comes and goes leaves the store with no more work than who waits."""
        create_home()
        accepted = []

        def take_request(connection):
            connection.recv(131072)
            accepted.append(connection)

        def come_and_go():
            bus = dbus.bus.BusConnection(env.address)
            bus.call_async(NAME, MANAGER, NAME, "ListVaults", "", (), None, None,
                           require_main_loop=False)
            bus.flush()
            time.sleep(0.3)
            bus.close()
        with env.in_place_of_store(take_request):
            for _ in range(12):
                as_user(BOB, come_and_go)
            self.refused("RateLimited", as_user, BOB, lambda: env.call("ListVaults", ""))
            self.refused("RateLimited", as_user, BOB, lambda: env.call(
                "ChangeLoginSecret", "shh", "bob", sealed("a"), sealed("b")))
            self.assertEqual(len(accepted), 8)
        self.assertEqual(self.log_in("right"), "M")
        for connection in accepted:
            connection.close()
        env.wait_until(self.bob_lists, "the end of what bob left")

    def test_disk_that_hangs(self):
        """bob's vault is on one. What is asked about alice, or about all, is answered."""
        home, _, _ = create_home()
        options = {"lower": "/home/bob/lower", "mount_point": "/home/bob/open"}
        path = as_user(BOB, lambda: str(env.call("CreateVault", "sa{sv}h", "directory", dbus.Dictionary(
            options, signature="sv"), sealed("x"))[0]))
        create_home("carol")
        hung = []

        def pass_on(connection):
            store = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            store.connect(f"{env.run}/store.away")
            while request := connection.recv(131072):
                if b"/home/bob/lower" in request:
                    hung.append(connection)
                    return
                store.send(request)
                connection.send(store.recv(131072))
            connection.close()
            store.close()

        def serve(connection):
            threading.Thread(target=pass_on, args=(connection,), daemon=True).start()

        def seconds(function, *args, **options):
            start = time.monotonic()
            self.found = function(*args, **options)
            return time.monotonic() - start
        with env.in_place_of_store(serve):
            # PAM waits 2 s for the first.
            mark = seconds(env.call, "MarkLoginSecretStale", "s", "alice")
            found = seconds(env.call, "ResolveVault", "s", "alice")
            self.assertEqual(str(self.found), home)
            first = seconds(env.call, "ListVaults", "")
            self.assertEqual(len(self.found), 3)
            again = seconds(env.call, "ListVaults", "")
            self.assertEqual(len(self.found), 3)
            self.assertIn("in time", str(env.get(path, "Problem")))
            bobs = as_user(BOB, lambda: str(env.call("ResolveVault", "s", "open")))
            self.assertEqual(bobs, path)
            self.assertEqual(len(hung), 1)
        for connection in hung:
            connection.close()
        print(f"mark {mark:.1f} s, alice {found:.1f} s, list {first:.1f} s, and again {again:.1f} s")
        self.assertLess(mark, 1)
        self.assertLess(found, 1)
        self.assertLess(first, 5)
        self.assertLess(again, 1)

    def test_caller_leaves_during_unlock(self):
        """The mount is awaited all the same, and the broker serves the others meanwhile."""
        path, _, _ = create_home()
        self.mark = len(env.jobs())
        env.control("systemd1", "SetMode", "s", "hold")
        bus = dbus.bus.BusConnection(env.address)
        bus.call_async(NAME, path, VAULT, "Unlock", "a{sv}h", (no_options(), sealed("right")), None,
                       None, require_main_loop=False)
        bus.flush()
        env.wait_until(lambda: any("StartUnit" in line for line in self.new_jobs()), "the start")
        bus.close()
        for _ in range(5):
            self.assertEqual([str(p) for p in env.call("ListVaults", "")], [path])
        env.control("systemd1", "SetMode", "s", "work")
        self.wait_state(path, "mounted")

    @staticmethod
    def bob_lists():
        try:
            return as_user(BOB, lambda: len(env.call("ListVaults", ""))) == 0
        except Remote:
            return False


class Damage(Case):
    """A document that is not what was written, with the one before it beside it."""
    DOCUMENT = "/home/.ecryptfs/alice/vault/ecryptfs-vault.json"
    WARNING = "has opened the vault"

    def alter(self):
        """Well-formed, and its MAC is wrong."""
        with open(self.DOCUMENT) as file:
            text = file.read()
        with open(self.DOCUMENT, "w") as file:
            file.write(text.replace('"name":"alice"', '"name":"mallory"'))

    def damages(self):
        subprocess.run(["cp", "-p", self.DOCUMENT, env.run + "/good"], check=True)
        for command in ("true", f"rm {self.DOCUMENT}", f"chmod 0 {self.DOCUMENT}",
                        f"echo cut > {self.DOCUMENT}", f"ln -sf /etc/passwd {self.DOCUMENT}"):
            if command == "true":
                self.alter()
            subprocess.run(command, shell=True, check=True)
            with self.subTest(command):
                yield
            subprocess.run(f"rm -f {self.DOCUMENT}; cp -p {env.run}/good {self.DOCUMENT}",
                           shell=True, check=True)

    def test_new_vault(self):
        """It has a backup from the start, which opens for the same secrets."""
        path, recovery, _ = create_home()
        for _ in self.damages():
            before = env.output().count(self.WARNING)
            self.refused("WrongSecret", vault_call, path, "Unlock", "a{sv}h", no_options(),
                         sealed("wrong"))
            self.assertEqual(env.output().count(self.WARNING), before)
            for text in ("right", recovery):
                vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(text))
                self.assertEqual(str(env.get(path, "Name")), "alice")
                vault_call(path, "Lock", "a{sv}", no_options())
            self.assertEqual(env.output().count(self.WARNING), before + 2)
            self.assertEqual(self.log_in("right"), "M")
            self.sockets.pop().close()
            self.wait_state(path, "locked")

    def test_older_secret(self):
        """A wrong MAC brings back nobody whose secret was changed."""
        path, recovery, _ = create_home()
        vault_call(path, "ChangeSecret", "a{sv}hh", no_options(), sealed("right"), sealed("next"))
        self.alter()
        for text, name in (("right", "WrongSecret"), ("next", "DamagedDocument")):
            self.refused(name, vault_call, path, "Unlock", "a{sv}h", no_options(), sealed(text))
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(recovery))

    def test_both(self):
        path, _, _ = create_home()
        self.alter()
        subprocess.run(["cp", self.DOCUMENT, self.DOCUMENT + ".bak"], check=True)
        self.refused("DamagedDocument", vault_call, path, "Unlock", "a{sv}h", no_options(),
                     sealed("right"))
        self.assertEqual(self.state(path), "damaged")

    def test_change(self):
        """What opens the backup can be changed, too, and mends the document."""
        path, recovery, _ = create_home()
        self.alter()
        before = env.output().count(self.WARNING)
        vault_call(path, "ChangeSecret", "a{sv}hh", no_options(), sealed("right"), sealed("next"))
        self.assertEqual(env.output().count(self.WARNING), before + 1)
        self.assertEqual(self.log_in("next"), "M")
        self.sockets.pop().close()
        self.wait_state(path, "locked")
        self.assertEqual(env.output().count(self.WARNING), before + 1, "it is whole again")
        with open(self.DOCUMENT, "w") as file:
            file.write("cut")
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        vault_call(path, "Lock", "a{sv}", no_options())
        subprocess.run(["cp", self.DOCUMENT + ".bak", self.DOCUMENT], check=True)
        self.alter()
        subprocess.run(["cp", self.DOCUMENT, self.DOCUMENT + ".bak"], check=True)
        self.refused("DamagedDocument", vault_call, path, "ChangeSecret", "a{sv}hh", no_options(),
                     sealed("right"), sealed("x"))

    def test_plan_of_the_backup(self):
        """What the worker mounts is what was proven, not what stands in the altered one."""
        path, _, _ = create_home()
        env.plans()
        with open(self.DOCUMENT) as file:
            text = file.read()
        with open(self.DOCUMENT, "w") as file:
            file.write(text.replace('"cipher":"aes"', '"cipher":"twofish"', 1))
        env.call("ListVaults", "")
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        self.assertEqual(env.plans()[0]["plan"]["options"]["ecryptfs_cipher"], "aes")

    def test_directory(self):
        options = {"lower": "/home/alice/lower", "mount_point": "/home/alice/open"}
        path = as_user(ALICE, lambda: str(env.call(
            "CreateVault", "sa{sv}h", "directory", dbus.Dictionary(options, signature="sv"),
            sealed("right"))[0]))
        document = "/home/alice/lower/ecryptfs-vault.json"
        with open(document) as file:
            text = file.read()
        with open(document, "w") as file:
            file.write(text.replace('"name":"open"', '"name":"mallory"'))
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        self.assertEqual(str(env.get(path, "Name")), "open")


class Authorization(Case):
    def test_others_vault_is_not_there(self):
        path, _, _ = create_home()
        listed = as_user(BOB, lambda: [str(p) for p in env.call("ListVaults", "")])
        self.assertEqual(listed, [])
        self.assertEqual([str(p) for p in env.call("ListVaults", "")], [path])
        self.refused("org.freedesktop.DBus.Error.UnknownObject", as_user, BOB,
                     lambda: env.get(path, "State"))
        objects = as_user(BOB, lambda: [str(p) for p in env.call(
            "GetManagedObjects", "", interface="org.freedesktop.DBus.ObjectManager")])
        self.assertEqual(objects, [])
        self.refused("NotAuthorized", as_user, BOB,
                     lambda: env.call("ResolveVault", "s", "alice"))
        for member, signature, args in (("Unlock", "a{sv}h", ["right"]), ("Lock", "a{sv}", []),
                                        ("ChangeSecret", "a{sv}hh", ["right", "x"])):
            self.refused("NotAuthorized", as_user, BOB, lambda: vault_call(
                path, member, signature, no_options(), *[sealed(text) for text in args]))

    def test_polkit_yes(self):
        path, _, _ = create_home()
        env.control("PolicyKit1", "SetAnswer", "s", "yes")
        as_user(BOB, lambda: vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right")))
        self.assertEqual(self.state(path), "mounted")
        asked = env.control("PolicyKit1", "TakeAsked")
        self.assertIn("org.ecryptfs.manage-others", asked)
        self.assertIn("system-bus-name", asked)
        self.assertNotIn("right", asked)

    def test_create_home_asks(self):
        def make():
            return create_home("bob")[0]
        self.refused("NotAuthorized", as_user, ALICE, make)
        self.refused("NotAuthorized", as_user, BOB, make)
        self.assertIn("org.ecryptfs.create-home", env.control("PolicyKit1", "TakeAsked"))
        self.assertFalse(os.path.exists("/home/.ecryptfs"))
        env.control("PolicyKit1", "SetAnswer", "s", "yes")
        as_user(ALICE, make)

    def test_caller_vanishes_while_asked(self):
        path, _, _ = create_home()
        env.control("PolicyKit1", "SetAnswer", "s", "wait")

        def call_and_go():
            bus = dbus.bus.BusConnection(env.address)
            bus.call_async(NAME, path, VAULT, "Unlock", "a{sv}h",
                           (no_options(), sealed("right")), None, None, require_main_loop=False)
            bus.flush()
            time.sleep(0.5)
            bus.close()
        as_user(BOB, call_and_go)
        time.sleep(0.5)
        env.control("PolicyKit1", "SetAnswer", "s", "yes")
        time.sleep(2)
        self.assertEqual(self.state(path), "locked")
        self.assertIn('"cancelled": ', env.control("PolicyKit1", "TakeAsked"))

    def test_root_only(self):
        for member, signature, args in (
                ("OpenSession", "sa{sv}ah", ("alice", no_options(), dbus.Array([], "h"))),
                ("MarkLoginSecretStale", "s", ("alice",))):
            self.refused("org.freedesktop.DBus.Error.AccessDenied", as_user, ALICE,
                         lambda: env.call(member, signature, *args))

    def test_in_flight(self):
        path, _, _ = create_home()
        env.control("PolicyKit1", "SetAnswer", "s", "wait")

        def crowd():
            bus = dbus.bus.BusConnection(env.address)
            for _ in range(8):
                bus.call_async(NAME, path, VAULT, "Lock", "a{sv}", (no_options(),), None, None,
                               require_main_loop=False)
            bus.flush()
            time.sleep(0.3)
            try:
                vault_call(path, "Lock", "a{sv}", no_options(), bus=bus)
                return "no error"
            except Remote as error:
                return error.name.removeprefix(ERROR)
        self.assertEqual(as_user(BOB, crowd), "RateLimited")
        env.control("PolicyKit1", "SetAnswer", "s", "no")
        # Another user is not held up.
        as_user(ALICE, lambda: env.call("ListVaults", ""))


class BadInput(Case):
    def fds(self):
        """Everything that is no sealed memfd."""
        reader, writer = os.pipe()
        big = os.memfd_create("big", os.MFD_ALLOW_SEALING)
        os.ftruncate(big, 1 << 30)
        import fcntl
        fcntl.fcntl(big, 1033, 0xe)
        left, right = socket.socketpair()
        files = {
            "unsealed": secret("right", 0),
            "partly sealed": secret("right", 0x2 | 0x4),
            "1 GiB": big,
            "pipe never written": reader,
            "directory": os.open("/", os.O_RDONLY),
            "file": os.open("/etc/passwd", os.O_RDONLY),
            "O_PATH": os.open("/etc/passwd", os.O_PATH),
            "null": os.open("/dev/null", os.O_RDWR),
            "zero": os.open("/dev/zero", os.O_RDWR),
            "socket": left.detach(),
        }
        self.sockets.append(right)
        try:
            master, slave = os.openpty()
            os.close(master)
            files["tty without its master"] = slave
        except OSError:
            pass
        self.writer = writer
        return files

    def test_descriptors(self):
        path, _, _ = create_home()
        for what, fd in self.fds().items():
            calls = {
                "Unlock": lambda: vault_call(path, "Unlock", "a{sv}h", no_options(),
                                             handle(fd, close=False)),
                "ChangeSecret": lambda: vault_call(path, "ChangeSecret", "a{sv}hh", no_options(),
                                                   sealed("right"), handle(fd, close=False)),
                "StashSecret": lambda: env.call("StashSecret", "sh", "alice",
                                                handle(fd, close=False)),
                "CreateVault": lambda: env.call("CreateVault", "sa{sv}h", "home",
                                                dbus.Dictionary({"user": "bob"}, signature="sv"),
                                                handle(fd, close=False)),
                "ChangeLoginSecret": lambda: env.call("ChangeLoginSecret", "shh", "alice",
                                                      handle(fd, close=False), sealed("x")),
                "OpenSession": lambda: env.call("OpenSession", "sa{sv}ah", "alice", no_options(),
                                                dbus.Array([handle(fd, close=False)],
                                                           signature="h")),
            }
            for member, call in calls.items():
                with self.subTest(f"{member} with {what}"):
                    self.refused("InvalidArgument", call)
            os.close(fd)
        os.close(self.writer)
        self.assertEqual(self.log_in("right"), "M")

    def test_types(self):
        path, _, _ = create_home()
        invalid = "org.freedesktop.DBus.Error.InvalidArgs"
        for target, interface, members in (
                (MANAGER, NAME, ("ListVaults", "ResolveVault", "CreateVault", "OpenSession",
                                 "StashSecret", "ChangeLoginSecret", "MarkLoginSecretStale",
                                 "LockAll")),
                (path, VAULT, ("Unlock", "Lock", "ChangeSecret"))):
            for member in members:
                for signature, args in (("t", (5,)), ("a{ss}", (dbus.Dictionary({"a": "b"}, "ss"),)),
                                        ("ssss", ("a", "b", "c", "d")),
                                        ("v", (dbus.Int32(1, variant_level=1),)),
                                        ("ah", (dbus.Array([], "h"),))):
                    with self.subTest(f"{member}({signature})"):
                        self.refused(invalid, env.call, member, signature, *args, path=target,
                                     interface=interface)
                self.refused("org.freedesktop.DBus.Error.UnknownMethod", env.call, member + "X", "",
                             path=target, interface=interface)

    def test_options(self):
        path, _, _ = create_home()

        def options(**values):
            return dbus.Dictionary(values, signature="sv")
        for values in ({"slot": "1"}, {"nonsense": True}, {"mount_point": 5}, {"force": True},
                       {"mount_point": "/x"}, {"slot": dbus.Int64(0)}):
            with self.subTest(str(values)):
                self.refused("InvalidArgument", vault_call, path, "Unlock", "a{sv}h",
                             options(**values), sealed("right"))
        self.refused("InvalidArgument", vault_call, path, "Unlock", "a{sv}h",
                     options(**{f"o{i}": i for i in range(40)}), sealed("right"))
        for kind, values in (
                ("house", {}), ("home", {}), ("home", {"user": ""}), ("home", {"user": ".."}),
                ("home", {"user": "a/b"}), ("home", {"user": "bob", "lower": "/x"}),
                ("home", {"user": "bob", "name": "a\nb"}), ("home", {"user": "bob", "key_bytes": 16}),
                ("home", {"user": "bob", "key_bytes": dbus.UInt32(65)}),
                ("home", {"user": "bob", "cipher": "a,b"}),
                ("home", {"user": "bob", "label": "x" * 300}),
                ("directory", {"lower": "/home/bob/l"}),
                ("directory", {"lower": "l", "mount_point": "/home/bob/m"}),
                ("directory", {"lower": "/home/bob/../l", "mount_point": "/home/bob/m"}),
                ("directory", {"lower": "/home//bob/l", "mount_point": "/home/bob/m"}),
                ("directory", {"lower": "/home/bob/l/", "mount_point": "/home/bob/m"}),
                ("directory", {"lower": "/" + "x" * 5000, "mount_point": "/home/bob/m"}),
                ("directory", {"lower": "/", "mount_point": "/home/bob/m"})):
            with self.subTest(f"{kind} {values}"):
                self.refused("InvalidArgument", env.call, "CreateVault", "sa{sv}h", kind,
                             dbus.Dictionary(values, signature="sv"), sealed("right"))
        self.refused("InvalidArgument", env.call, "CreateVault", "sa{sv}h", "home",
                     options(user="bob"), sealed(""))
        self.assertFalse(os.path.exists("/home/.ecryptfs/bob"))

    def test_unknown(self):
        create_home()
        for name in ("nothing", "/home/nothing", "/", "x" * 5000, "home-4294967295", "bob"):
            with self.subTest(name[:20]):
                with self.assertRaises(Remote) as caught:
                    env.call("ResolveVault", "s", name)
                self.assertIn(caught.exception.name.removeprefix(ERROR),
                              ("NoSuchVault", "InvalidArgument"))
        self.refused("org.freedesktop.DBus.Error.UnknownObject", vault_call,
                     MANAGER + "/vault/home_2d9", "Lock", "a{sv}", no_options())
        for user in ("", "..", "a/b", "a\nb", "x" * 300):
            self.refused("InvalidArgument", env.call, "MarkLoginSecretStale", "s", user)
            self.refused("InvalidArgument", env.call, "StashSecret", "sh", user, sealed("x"))
        self.refused("InvalidArgument", env.call, "OpenSession", "sa{sv}ah", "alice", no_options(),
                     array_of_secrets("1", "2", "3"))

    def test_disconnect_during_operations(self):
        path, _, _ = create_home()
        for delay in (0.0, 0.05, 0.2, 0.5, 1.0, 1.5):
            bus = dbus.bus.BusConnection(env.address)
            bus.call_async(NAME, path, VAULT, "Unlock", "a{sv}h",
                           (no_options(), sealed("right")), None, None, require_main_loop=False)
            bus.call_async(NAME, MANAGER, NAME, "CreateVault", "sa{sv}h",
                           ("home", dbus.Dictionary({"user": "bob"}, signature="sv"),
                            sealed("right")), None, None, require_main_loop=False)
            bus.flush()
            time.sleep(delay)
            bus.close()
            time.sleep(2.5)
            self.wait_state(path, "locked", "mounted")
            if self.state(path) == "mounted":
                vault_call(path, "Lock", "a{sv}", no_options())
            # bob has a home that works, or none
            message = self.log_in("right", user="bob")
            self.assertIn(message, ("M", "N"))
            if message == "M":
                break

    def test_come_and_go(self):
        """A user whose document is expensive, and who never waits: one helper works for that."""
        create_home()
        make_directory = dbus.Dictionary({"lower": "/home/bob/lower", "mount_point": "/home/bob/open"},
                                         signature="sv")
        path = as_user(BOB, lambda: str(env.call("CreateVault", "sa{sv}h", "directory",
                                                 make_directory, sealed("x"))[0]))
        with open("/home/bob/lower/ecryptfs-vault.json") as file:
            text = file.read()
        text = re.sub('"memory_kib":[0-9]+', '"memory_kib":65536', text)
        with open("/home/bob/lower/ecryptfs-vault.json", "w") as file:
            file.write(re.sub('"passes":[0-9]+', '"passes":64', text))

        def helpers():
            """Ours: tests that run beside this one have helpers, too."""
            pgrep = subprocess.run(["pgrep", "-c", "-P", str(env.activators["key-helper"].pid)],
                                   stdout=subprocess.PIPE, text=True)
            return int(pgrep.stdout)

        def come_and_go():
            bus = dbus.bus.BusConnection(env.address)
            bus.call_async(NAME, path, VAULT, "Unlock", "a{sv}h", (no_options(), sealed("guess")),
                           None, None, require_main_loop=False)
            bus.flush()
            env.wait_until(lambda: helpers() > 0, "a key helper")
            time.sleep(0.4)
            bus.close()
            return helpers()
        self.assertEqual([as_user(BOB, come_and_go) for _ in range(5)], [1] * 5)
        self.assertEqual(self.log_in("right"), "M", "there is a helper left for the login")

    def test_garbage_on_worker_socket(self):
        path, _, _ = create_home()
        for message in (b"", b"x", b"[]", b"{}", b'{"op":"plan"}', b'{"op":"plan","id":5}',
                        b'{"op":"plan","id":"home-61000"}', b'{"op":"mounted","id":"home-61000"}',
                        b'{"op":"mounted","id":"nothing","engine":"ecfs"}',
                        b'{"op":"x","id":"home-61000"}', b'{"op":"failed","id":"home-61000"}',
                        b'{"op":"unmounted","id":"home-61000"}', b"\0" * 100000):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.connect(env.run + "/worker.socket")
            sock.send(message)
            sock.close()
        self.assertEqual(self.state(path), "locked")
        self.assertEqual(self.log_in("right"), "M")


class Killed(Case):
    """A change of the secret is cut short at each of its steps: one of the two always opens."""

    STORE_CALLS = ("write", "fsync", "linkat", "renameat", "unlinkat", "sendmsg")

    @staticmethod
    def trace(*options):
        return ["strace", "-f", "-qq", "-o", env.run + "/trace", *options]

    def inject(self, call, n):
        return self.trace("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={n}")

    def change_cut_short(self, now, new):
        """Ends with the change, or when the broker is gone."""
        session = None
        try:
            reply = env.call("ChangeLoginSecret", "shh", "alice", sealed(now), sealed(new))
            session = socket.socket(fileno=reply.take())
            session.settimeout(0.1)
        except Remote:
            pass

        def over():
            if env.broker.poll() is not None:
                return True
            try:
                return session is not None and session.recv(4096) != b"W"
            except TimeoutError:
                return False
        env.wait_until(over, "the change, or its end")
        if session:
            session.close()

    def opens(self, path, text):
        try:
            vault_call(path, "Unlock", "a{sv}h", no_options(), sealed(text))
        except Remote as error:
            self.assertEqual(error.name, ERROR + "WrongSecret", error.text)
            return False
        vault_call(path, "Lock", "a{sv}", no_options())
        return True

    def one_of(self, path, new, now, what):
        if self.opens(path, new):
            return new
        self.assertTrue(self.opens(path, now), f"neither opens it: {what}")
        return now

    @staticmethod
    def vault():
        return create_home()[0], "right"

    @staticmethod
    def legacy():
        make_legacy("auto-mount", "auto-umount")
        return str(env.call("ResolveVault", "s", "alice")), "bar"

    def broker_at_each_message(self, kind):
        (path, now), kills, changed = getattr(self, kind)(), 0, 0
        for n in range(1, 200):
            new = f"new-{n}"
            with subprocess.Popen(self.inject("sendmsg", n) + ["-p", str(env.broker.pid)]) as tracer:
                env.wait_until(lambda: "TracerPid:\t0" not in
                               open(f"/proc/{env.broker.pid}/status").read(), "strace")
                self.change_cut_short(now, new)
                time.sleep(0.3)		# it speaks on after its answer
                tracer.terminate()
            killed = env.broker.poll() is not None
            if killed:
                kills += 1
                env.start_broker()
                env.call("ResolveVault", "s", "alice")
            after = self.one_of(path, new, now, f"broker killed at message {n}")
            changed += after == new
            now = after
            if not killed:
                break
        self.assertFalse(killed)
        self.assertEqual(after, new, "the change that was not cut short")
        self.assertGreater(kills, 3)
        print(f"# {kind}: broker killed at each of the {kills} messages of a change: "
              f"the new secret opened {changed - 1} times, the old one the others")

    def store_at_each_step(self, kind):
        (path, now), kills, changed = getattr(self, kind)(), {}, 0
        for call in self.STORE_CALLS:
            kills[call] = 0
            for n in range(1, 50):
                new = f"{call}-{n}"
                # -D: the store is the process that the socket was meant for
                env.start_activator("store", *self.inject(call, n)[:1], "-D",
                                    *self.inject(call, n)[1:])
                open(env.run + "/trace", "w").close()
                self.change_cut_short(now, new)
                env.start_activator("store")
                with open(env.run + "/trace") as file:
                    killed = "killed by SIGKILL" in file.read()
                kills[call] += killed
                after = self.one_of(path, new, now, f"store killed at {call} {n}")
                changed += after == new
                now = after
                if not killed:
                    break
            self.assertFalse(killed, call)
        for call in ("write", "fsync", "linkat", "renameat", "unlinkat"):
            self.assertGreater(kills[call], 0, call)
        print(f"# {kind}: store killed at each step: {kills}; the new secret opened {changed} times, "
              f"the old one the others")

    def test_broker_at_each_message(self):
        self.broker_at_each_message("vault")

    def test_store_at_each_step(self):
        self.store_at_each_step("vault")

    def test_broker_at_each_message_legacy(self):
        """wrapped-passphrase, too, is old or new after each crash, and opens."""
        self.broker_at_each_message("legacy")

    def test_store_at_each_step_legacy(self):
        self.store_at_each_step("legacy")


class Restart(Case):
    def test_mounts_and_registrations(self):
        path, _, _ = create_home()
        vault_call(path, "Unlock", "a{sv}h", no_options(), sealed("right"))
        env.kill_broker()
        env.start_broker()
        env.call("ListVaults", "")
        self.assertEqual(self.state(path), "mounted")
        self.assertEqual(str(env.get(path, "Engine")), "ecfs")
        time.sleep(3)
        self.assertEqual(self.state(path), "mounted", "opened by hand: it stays open")

    def test_sessions_live_on(self):
        """kill -9, twice: the home stays open as long as the session, and closes after it."""
        path, _, _ = create_home()
        self.assertEqual(self.log_in("right"), "M")
        for _ in range(2):
            env.kill_broker()
            env.start_broker()
            env.call("ListVaults", "")
            self.assertEqual(int(env.get(path, "Sessions")), 1)
            time.sleep(3)
            self.assertEqual(self.state(path), "mounted")
        self.sockets.pop().close()
        self.wait_state(path, "locked")

    def test_login_that_waits(self):
        """The answer of a login whose broker died comes from the next one."""
        path, _, _ = create_home()
        env.control("systemd1", "SetMode", "s", "hold")
        fd = open_session("right")
        env.wait_until(lambda: self.state(path) == "unlocking", "the unlock")
        time.sleep(1.5)
        env.kill_broker()
        env.start_broker()
        message, _, sock = session_end(fd)
        self.sockets.append(sock)
        self.assertTrue(message.startswith("E Cancelled "), message)
        env.control("systemd1", "SetMode", "s", "work")

    def test_session_that_ended_meanwhile(self):
        path, _, _ = create_home()
        self.assertEqual(self.log_in("right"), "M")
        env.kill_broker()
        self.sockets.pop().close()
        env.start_broker()
        self.wait_state(path, "locked")

    def test_helpers_gone(self):
        path, _, _ = create_home()
        for name in ("key-helper", "store"):
            os.rename(f"{env.run}/{name}.socket", f"{env.run}/{name}.away")
            try:
                message = self.log_in("right")
                self.assertTrue(message.startswith("E DaemonUnavailable "), message)
            finally:
                os.rename(f"{env.run}/{name}.away", f"{env.run}/{name}.socket")
        self.assertEqual(self.log_in("right"), "M")

    def test_helper_hangs_or_lies(self):
        """A store that does not answer costs its 10 s; one that answers nonsense, nothing."""
        path, _, _ = create_home()
        answers, unanswered = [], []

        def lie(connection):
            connection.recv(131072)
            if not answers:
                unanswered.append(connection)
                return
            connection.send(answers.pop())
            connection.close()
        with env.in_place_of_store(lie):
            for answer in (b"nonsense", b"{}", b'{"found":"vault","uid":-5}', b"[]",
                           b'{"error":5}', b'{"uid":61000,"found":"vault"}'):
                answers.append(answer)
                message = self.log_in("right")
                with self.subTest(answer):
                    self.assertTrue(message.startswith("E ") and not answers, message)
            message = self.log_in("right")
            self.assertTrue(message.startswith("E TimedOut ") and unanswered, message)
        for connection in unanswered:
            connection.close()
        self.assertEqual(self.log_in("right"), "M")


class Secrets(Case):
    def test_canary(self):
        """No secret on the bus, in what the broker prints, or in its memory afterwards."""
        canary = "canary-7f3a9c55e1-passphrase"
        monitor = subprocess.Popen(["dbus-monitor", "--address", env.address, "--pcap"],
                                   stdout=subprocess.PIPE)
        time.sleep(0.5)
        path, _, _ = create_home(text=canary)
        self.assertEqual(self.log_in(canary), "M")
        reply = env.call("ChangeLoginSecret", "shh", "alice", sealed(canary), sealed(canary + "2"))
        self.assertEqual(session_end(reply.take())[0], "M")
        self.assertTrue(self.log_in("x", user="bob") == "N")
        monitor.terminate()
        captured = monitor.communicate()[0]
        self.assertGreater(len(captured), 1000, "the monitor saw nothing")
        needle = canary.encode()
        self.assertEqual(captured.count(needle), 0)
        self.assertNotIn(canary, env.output())
        hits = 0
        pid = env.broker.pid
        with open(f"/proc/{pid}/maps") as maps:
            if "libasan" in maps.read():
                self.skipTest("AddressSanitizer keeps freed memory, which is not searched then")
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
            for line in maps:
                area, flags = line.split()[:2]
                if not flags.startswith("r") or "[v" in line:
                    continue
                begin, end = (int(number, 16) for number in area.split("-"))
                try:
                    memory.seek(begin)
                    hits += memory.read(end - begin).count(needle)
                except OSError:
                    pass
        self.assertEqual(hits, 0, "the secret is still in the broker's memory")

    def test_no_leaks(self):
        """Ten logins later, the broker has as many descriptors as before."""
        path, _, _ = create_home()

        def count():
            return len(os.listdir(f"/proc/{env.broker.pid}/fd"))

        def at_rest():
            """What belongs to a process that ends is closed a moment after its last word."""
            lowest = count()
            for _ in range(20):
                time.sleep(0.1)
                lowest = min(lowest, count())
            return lowest

        def cycle():
            self.assertEqual(self.log_in("right"), "M")
            self.sockets.pop().close()
            self.wait_state(path, "locked")
        cycle()
        before = at_rest()
        for _ in range(10):
            cycle()
        self.assertEqual(at_rest(), before)


def main():
    global env
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    enter_namespace()
    programs = [os.path.abspath(path) for path in sys.argv[1:5]]
    env = Environment(*programs)
    result = None
    try:
        program = unittest.main(argv=sys.argv[:1] + sys.argv[5:], exit=False, verbosity=2,
                                warnings="ignore")
        result = program.result
    finally:
        if not result or not result.wasSuccessful():
            print(env.output()[-8000:])
        env.close()
    # What failed comes last, where the end of a long log is looked at.
    for case, trace in result.failures + result.errors:
        print(f"FAILED {case}: {trace}", flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)


main()
