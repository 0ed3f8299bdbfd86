#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The broker and the jobs of a real systemd: test-systemd.py BROKER KEY-HELPER STORE BUS-POLICY

What waits for what, what takes the place of what, and what is left of a unit that failed, is
systemd's to say and not a stand-in's. It is the systemd of this machine, as the manager of a user,
whose name on the bus is the same; the units are of this test, the order between them is the shipped
drop-in's, and the worker is systemd-worker.py, which mounts nothing.
"""
import os
import shutil
import sys
import time
import unittest

sys.dont_write_bytecode = True
from harness import HERE, Environment, Remote, dbus, enter_namespace, sealed, session_end, skip  # noqa: E402

SYSTEMD = "/lib/systemd/systemd"
DROP_IN = HERE + "/../../units/10-ecryptfs.conf"
SYSTEMD_NAME = "org.freedesktop.systemd1"
SYSTEMD_IFACE = SYSTEMD_NAME + ".Manager"
SYSTEMD_PATH = "/org/freedesktop/systemd1"
HOME_UNIT, USER_UNIT = "ecryptfs-mount@home-61000.service", "user@61000.service"
STUBBORN_SECONDS = 4    # user@.service ignores SIGTERM, as a service in it may do for 90
env = None

UNITS = {
    "ecryptfs-mount@.service": """[Unit]
CollectMode=inactive-or-failed
StartLimitIntervalSec=0
[Service]
Type=oneshot
RemainAfterExit=yes
StandardError=append:{run}/worker.out
ExecStart={here}/systemd-worker.py {run} start %i
ExecReload={here}/systemd-worker.py {run} stop %i
ExecStop={here}/systemd-worker.py {run} stop %i
""",
    "user@.service": """[Service]
ExecStart=sh -c 'trap : TERM; while :; do sleep 0.5; done'
TimeoutStopSec={stubborn}
""",
    # A manager of a user goes to the bus when these two run.
    "dbus.socket": "[Socket]\nListenStream=%t/nobody\n",
    "dbus.service": "[Unit]\nRequires=dbus.socket\n[Service]\nExecStart=sleep infinity\n",
}

# In mount and process namespaces of its own; systemd must not be the first process there.
START = """mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/0 || exit
export XDG_RUNTIME_DIR=/run/user/0 HOME={run}/units DBUS_SESSION_BUS_ADDRESS=unix:path={run}/bus
chmod 0700 /run/user/0
{systemd} --user &
until systemctl --user start dbus.socket; do sleep 0.2; done
python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/user/0/nobody")'
wait
"""


def systemd(member, signature="", *args):
    return env.call(member, signature, *args, path=SYSTEMD_PATH, interface=SYSTEMD_IFACE,
                    destination=SYSTEMD_NAME)


def answers():
    try:
        systemd("ListJobs")
        return True
    except Remote:
        return False


def start_systemd():
    units = env.run + "/units/.config/systemd/user"
    os.makedirs(units + "/user@.service.d")
    shutil.copy(DROP_IN, units + "/user@.service.d")
    for name, text in UNITS.items():
        with open(f"{units}/{name}", "w") as file:
            file.write(text.format(here=HERE, run=env.run, stubborn=STUBBORN_SECONDS))
    env.spawn(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
               START.format(run=env.run, systemd=SYSTEMD)])
    end = time.monotonic() + 30
    while not answers():
        if time.monotonic() > end:
            output = env.output()
            env.close()
            skip(f"no manager of a user can be started here: {output[-600:]}")
        time.sleep(0.1)


def jobs():
    return {str(job[1]): (str(job[2]), str(job[3])) for job in systemd("ListJobs")}


def is_active(unit):
    return any(str(row[0]) == unit and str(row[3]) == "active" for row in systemd("ListUnits"))


def worker_log():
    with open(env.run + "/worker.log") as file:
        return file.read().split()


class Systemd(unittest.TestCase):
    def setUp(self):
        if not os.path.exists("/home/.ecryptfs"):
            env.call("CreateVault", "sa{sv}h", "home",
                     dbus.Dictionary({"user": "alice"}, signature="sv"), sealed("right"))
        self.wait_locked()
        self.session = None
        self.mark = len(worker_log())

    def tearDown(self):
        if self.session:
            self.session.close()
        env.kill_broker()
        env.start_broker()
        self.wait_locked()

    @staticmethod
    def state():
        return str(env.get(env.call("ResolveVault", "s", "alice"), "State"))

    def wait_locked(self):
        env.wait_until(lambda: self.state() == "locked" and not jobs(), "the end of the home", 30)

    def log_in(self):
        reply = env.call("OpenSession", "sa{sv}ah", "alice",
                         dbus.Dictionary({"service": "login"}, signature="sv"),
                         dbus.Array([sealed("right")], signature="h"))
        message, _, self.session = session_end(reply.take())
        self.assertEqual(message, "M")
        systemd("StartUnit", "ss", USER_UNIT, "replace")    # what pam_systemd does next

    def close_slowly(self):
        self.log_in()
        env.wait_until(lambda: is_active(USER_UNIT), "the user's manager")
        self.session.close()
        env.wait_until(lambda: jobs().get(HOME_UNIT) == ("stop", "waiting"), "the stop", 20)

    def keeps_its_home(self):
        """Once the old manager of the user is gone, and the new one runs."""
        env.wait_until(lambda: not jobs(), "the end of all jobs", 30)
        time.sleep(1)
        self.assertEqual((self.state(), is_active(HOME_UNIT), is_active(USER_UNIT)),
                         ("mounted", True, True))
        self.assertNotIn("unmounted", worker_log()[self.mark:])

    def test_login_overtakes_the_stop(self):
        self.close_slowly()
        start = time.monotonic()
        self.log_in()
        seconds = time.monotonic() - start
        self.assertNotIn(HOME_UNIT, jobs())
        self.keeps_its_home()
        print(f"logged in after {seconds:.1f} s, while the old manager stops")

    def test_broker_killed_while_it_waits(self):
        self.close_slowly()
        env.kill_broker()
        env.start_broker("--stop-timeout=300")
        self.log_in()
        self.keeps_its_home()

    def test_stop_that_comes_too_late(self):
        env.kill_broker()
        env.start_broker("--stop-timeout=1")
        self.close_slowly()
        env.wait_until(lambda: HOME_UNIT not in jobs(), "the end of the job", STUBBORN_SECONDS)
        self.assertEqual((self.state(), is_active(HOME_UNIT)), ("mounted", True))
        self.log_in()
        self.keeps_its_home()

    def test_stopped_by_hand(self):
        self.log_in()
        systemd("StopUnit", "ss", HOME_UNIT, "replace")
        env.wait_until(lambda: worker_log()[self.mark:] == ["mounted", "kept", "adopted"], "the no", 20)
        self.keeps_its_home()

    def test_failed_stop(self):
        self.log_in()
        systemd("StopUnit", "ss", USER_UNIT, "replace")
        env.wait_until(lambda: not jobs(), "the end of all jobs", 30)
        with open(env.run + "/stop-fails-once", "w"):
            pass
        self.session.close()
        self.wait_locked()
        self.assertEqual(worker_log()[self.mark:], ["mounted", "failed", "adopted", "unmounted"])


def main():
    global env
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    if not os.access(SYSTEMD, os.X_OK):
        skip(f"needs {SYSTEMD}")
    enter_namespace()
    env = Environment(*[os.path.abspath(path) for path in sys.argv[1:5]],
                      without=("org.freedesktop.systemd1",))
    result = None
    try:
        start_systemd()
        result = unittest.main(argv=sys.argv[:1] + sys.argv[5:], exit=False, verbosity=2,
                               warnings="ignore").result
    finally:
        if not result or not result.wasSuccessful():
            print(env.output()[-8000:])
        env.close()
    sys.exit(0 if result.wasSuccessful() else 1)


main()
