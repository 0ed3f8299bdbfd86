#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the broker meets on a system bus, for a bus that is not the system's.

Stand-ins, because a test cannot start units or log people in on the host:
  systemd   StartUnit and StopUnit of ecryptfs-mount@ID play the worker's part of worker.socket
            as docs/architecture.md has it, and mount nothing
  logind    has the sessions that the test says
  polkit    answers what the test says
Everything else in these tests is the real program: bus, bus policy, broker, key helper, store.
"""
import array
import json
import os
import socket
import sys
import threading

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

RUN = sys.argv[1]
CONTROL = "org.ecryptfs.Test"


def log(text):
    with open(RUN + "/standins.log", "a") as file:
        file.write(text + "\n")


class Worker:
    """One conversation of ecryptfs-mount@ID with the broker."""

    def __init__(self, vault_id):
        self.id = vault_id
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(RUN + "/worker.socket")

    def ask(self, **message):
        message["id"] = self.id
        self.socket.send(json.dumps(message).encode())
        data, ancillary, _, _ = self.socket.recvmsg(131072, socket.CMSG_SPACE(16))
        fds = array.array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(content[:len(content) - len(content) % 4])
        return json.loads(data), list(fds)


class Systemd(dbus.service.Object):
    IFACE = "org.freedesktop.systemd1.Manager"

    def __init__(self, bus):
        super().__init__(bus, "/org/freedesktop/systemd1")
        self.n_jobs = 0
        self.mode = "work"
        self.plans = []
        self.busy = False
        self.held = {}                      # number of the job: unit, method, what it does
        self.stop_failures = 0
        self.collected = set()              # units that failed: not active, whatever is mounted
        self.ending = set()                 # units that deactivate: a start waits
        self.system_state = "running"
        self.stopping = threading.Event()   # the worker has got its SIGTERM
        self.released = threading.Event()   # and may end

    @dbus.service.signal(IFACE, signature="uoss")
    def JobRemoved(self, number, job, unit, result):
        pass

    def state_file(self, vault_id):
        return f"{RUN}/mounts/{vault_id}.json"

    def start(self, vault_id):
        while vault_id in self.ending:
            threading.Event().wait(0.02)
        self.collected.discard(vault_id)
        if os.path.exists(self.state_file(vault_id)):
            Worker(vault_id).ask(op="mounted", engine="ecfs")
            return "done"
        worker = Worker(vault_id)
        plan, fds = worker.ask(op="plan")
        if "error" in plan:
            log(f"plan refused: {plan}")
            return "failed"
        keys = b"".join(os.pread(fd, 4096, 0) for fd in fds)
        for fd in fds:
            os.close(fd)
        log(f"planned {vault_id}")
        self.plans.append({"plan": plan, "n_keys": len(keys) // 88, "rest": len(keys) % 88})
        if self.mode == "import":           # stopped while it copies, it tidies up first
            self.stopping.wait()
            self.released.wait()
            worker.ask(op="failed", error="Cancelled", text="the worker was stopped")
            return "canceled"
        if self.mode == "late":             # stopped when the home has been swapped
            self.stopping.wait()
        if self.mode in ("late", "fail-late"):
            self.swap(plan)
        if self.mode in ("fail", "fail-late"):
            worker.ask(op="failed", error="NoSpace", text="the test wants it to fail")
            return "failed"
        state = {"id": vault_id, "source": plan["source"], "target": plan["target"],
                 "engine": "ecfs", "owner": plan["owner"], "options": plan["options"],
                 "mount_id": 1, "device": "0:1"}
        with open(self.state_file(vault_id) + ".new", "w") as file:
            json.dump(state, file)
        os.rename(self.state_file(vault_id) + ".new", self.state_file(vault_id))
        worker.ask(op="mounted", engine="ecfs")
        return "done"

    @staticmethod
    def swap(plan):
        """What mount/placeholder.c does: the closed home in the place of the present one."""
        os.rename(plan["import"], os.path.dirname(plan["source"]) + "/home-before-encryption")
        os.mkdir(plan["import"])
        with open(plan["import"] + "/README.txt", "w"):
            pass
        os.chmod(plan["import"], 0o500)
        os.chown(plan["import"], plan["owner"], plan["owner"])

    def stop(self, vault_id):
        if vault_id in self.collected:      # what is not active has stopped already
            return "done"
        self.ending.add(vault_id)
        result = self.exec_stop(vault_id)
        if result != "done":
            self.collected.add(vault_id)
            log(f"stop failed: {result}")
        self.ending.discard(vault_id)
        return result

    def exec_stop(self, vault_id):
        self.stopping.set()
        if self.mode == "import":
            self.released.wait()
        if self.mode == "late":
            while not os.path.exists(self.state_file(vault_id)):
                threading.Event().wait(0.02)
            self.mode = "work"              # a worker that was activating runs no ExecStop=
            return "done"
        if not os.path.exists(self.state_file(vault_id)):
            return "done"
        if self.stop_failures:              # it hangs, and is killed without a word
            self.stop_failures -= 1
            return "timeout"
        worker = Worker(vault_id)
        answer, _ = worker.ask(op="unmounting")
        log(f"unmounting {vault_id}: {answer}")
        if answer.get("keep"):
            worker.ask(op="failed", error="Busy", text="a session uses it")
            return "failed"
        if self.busy and not answer["detach"]:
            worker.ask(op="failed", error="Busy", text="in use by sleep (pid 42)",
                       blockers=[{"pid": 42, "command": "sleep", "unit": ""}])
            return "failed"
        os.unlink(self.state_file(vault_id))
        worker.ask(op="unmounted", blockers=[], detached=self.busy)
        return "done"

    @staticmethod
    def path(number):
        return f"/org/freedesktop/systemd1/job/{number}"

    def cancel(self, number):
        unit, _, _ = self.held.pop(number)
        log(f"cancelled {unit}")
        GLib.idle_add(lambda: self.JobRemoved(number, self.path(number), unit, "canceled"))

    def job(self, method, unit):
        for number, (other, its_method, _) in list(self.held.items()):
            if other == unit and its_method != method:
                self.cancel(number)
        self.n_jobs += 1
        number, path = self.n_jobs, self.path(self.n_jobs)
        log(f"{method} {unit}")

        def work():
            # The broker must be able to answer us, so this runs beside the bus.
            def run():
                result = "done"
                prefix, suffix = "ecryptfs-mount@", ".service"
                if unit.startswith(prefix):
                    vault_id = unit[len(prefix):-len(suffix)]
                    try:
                        result = self.methods[method](self, vault_id)
                    except OSError as error:
                        log(f"worker: {error}")
                        result = "failed"
                GLib.idle_add(lambda: self.JobRemoved(number, path, unit, result))
            threading.Thread(target=run, daemon=True).start()
            return False

        if self.mode == "hold":
            self.held[number] = (unit, method, work)
        else:
            GLib.idle_add(work)
        return dbus.ObjectPath(path)

    methods = {"StartUnit": start, "RestartUnit": start, "StopUnit": stop, "ReloadUnit": exec_stop}

    @dbus.service.method(IFACE, in_signature="ss", out_signature="o")
    def StartUnit(self, unit, mode):
        return self.job("StartUnit", unit)

    @dbus.service.method(IFACE, in_signature="ss", out_signature="o")
    def RestartUnit(self, unit, mode):
        return self.job("RestartUnit", unit)

    @dbus.service.method(IFACE, in_signature="ss", out_signature="o")
    def StopUnit(self, unit, mode):
        return self.job("StopUnit", unit)

    @dbus.service.method(IFACE, in_signature="ss", out_signature="o")
    def ReloadUnit(self, unit, mode):
        if unit.removeprefix("ecryptfs-mount@").removesuffix(".service") in self.collected:
            raise dbus.DBusException("it is not active", name="org.freedesktop.systemd1."
                                     "JobTypeNotApplicable")
        return self.job("ReloadUnit", unit)

    @dbus.service.method(IFACE, in_signature="u")
    def CancelJob(self, number):
        if int(number) in self.held:
            self.cancel(int(number))

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return {"SystemState": self.system_state}[name]

    @dbus.service.method(CONTROL, in_signature="s")
    def SetSystemState(self, state):
        self.system_state = str(state)

    @dbus.service.method(CONTROL, in_signature="u")
    def SetStopFailures(self, n):
        self.stop_failures = int(n)

    @dbus.service.method(CONTROL)
    def Reset(self):
        self.system_state, self.stop_failures, self.busy = "running", 0, False
        self.collected.clear()
        self.ending.clear()
        self.SetMode("work")

    @dbus.service.method(CONTROL, in_signature="s")
    def SetMode(self, mode):
        self.mode = str(mode)
        self.stopping.clear()
        self.released.clear()
        if mode == "work":
            self.Release()

    @dbus.service.method(CONTROL)
    def Release(self):
        self.released.set()
        for _, _, work in self.held.values():
            GLib.idle_add(work)
        self.held = {}

    @dbus.service.method(CONTROL, in_signature="b")
    def SetBusy(self, busy):
        self.busy = bool(busy)

    @dbus.service.method(CONTROL, out_signature="s")
    def TakePlans(self):
        plans, self.plans = self.plans, []
        return json.dumps(plans)


class LogindSession(dbus.service.Object):
    def __init__(self, bus, path, uid, kind, state):
        super().__init__(bus, path)
        self.path, self.uid, self.kind, self.state = path, uid, kind, state

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="s",
                         out_signature="a{sv}")
    def GetAll(self, interface):
        return {"Class": self.kind, "State": self.state, "Name": "x",
                "User": dbus.Struct((dbus.UInt32(self.uid), dbus.ObjectPath("/user")),
                                    signature="uo")}


class Logind(dbus.service.Object):
    IFACE = "org.freedesktop.login1.Manager"

    def __init__(self, bus):
        super().__init__(bus, "/org/freedesktop/login1")
        self.bus = bus
        self.sessions = {}

    @dbus.service.method(IFACE, out_signature="a(susso)")
    def ListSessions(self):
        return [(name, dbus.UInt32(session.uid), "x", "", dbus.ObjectPath(session.path))
                for name, session in self.sessions.items()]

    @dbus.service.signal(IFACE, signature="so")
    def SessionNew(self, name, path):
        pass

    @dbus.service.signal(IFACE, signature="so")
    def SessionRemoved(self, name, path):
        pass

    @dbus.service.method(CONTROL, in_signature="suss")
    def Add(self, name, uid, kind, state):
        path = "/org/freedesktop/login1/session/" + name
        self.sessions[str(name)] = LogindSession(self.bus, path, int(uid), str(kind), str(state))
        self.SessionNew(name, dbus.ObjectPath(path))

    @dbus.service.method(CONTROL, in_signature="ss")
    def SetState(self, name, state):
        self.sessions[str(name)].state = str(state)

    @dbus.service.method(CONTROL, in_signature="s")
    def Remove(self, name):
        session = self.sessions.pop(str(name))
        session.remove_from_connection()
        self.SessionRemoved(name, dbus.ObjectPath(session.path))


class Polkit(dbus.service.Object):
    IFACE = "org.freedesktop.PolicyKit1.Authority"

    def __init__(self, bus):
        super().__init__(bus, "/org/freedesktop/PolicyKit1/Authority")
        self.answer = "no"
        self.asked = []
        self.cancelled = 0
        self.pending = []

    @dbus.service.method(IFACE, in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})",
                         async_callbacks=("reply", "fail"))
    def CheckAuthorization(self, subject, action, details, flags, cancellation, reply, fail):
        self.asked.append([str(subject[0]), str(subject[1].get("name", "")), str(action),
                           int(flags)])
        if self.answer == "wait":
            self.pending.append(reply)
            return
        reply((self.answer == "yes", False, dbus.Dictionary({}, signature="ss")))

    @dbus.service.method(IFACE, in_signature="s")
    def CancelCheckAuthorization(self, cancellation):
        self.cancelled += 1

    @dbus.service.method(CONTROL, in_signature="s")
    def SetAnswer(self, answer):
        self.answer = str(answer)
        if answer != "wait":
            for reply in self.pending:
                reply((answer == "yes", False, dbus.Dictionary({}, signature="ss")))
            self.pending = []

    @dbus.service.method(CONTROL, out_signature="s")
    def TakeAsked(self):
        asked, self.asked = self.asked, []
        return json.dumps({"asked": asked, "cancelled": self.cancelled})


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    address = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    keep = []
    for name, kind in (("org.freedesktop.systemd1", Systemd),
                       ("org.freedesktop.login1", Logind),
                       ("org.freedesktop.PolicyKit1", Polkit)):
        if name in sys.argv[2:]:            # the test has the real one
            continue
        bus = dbus.bus.BusConnection(address)
        keep += [dbus.service.BusName(name, bus), kind(bus)]
    log("ready")
    GLib.MainLoop().run()


main()
