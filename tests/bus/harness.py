# SPDX-License-Identifier: GPL-2.0-only
"""A private bus with the real broker, key helper and store on it, in a mount namespace that has
homes and a user database of its own."""
import collections
import contextlib
import fcntl
import json
import os
import pickle
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

try:
    import dbus
    import gi  # noqa: F401  (of the stand-ins)
except ImportError as error:
    print(f"SKIP: needs python3-dbus and python3-gi: {error}")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "org.ecryptfs.Manager1"
MANAGER = "/org/ecryptfs/Manager1"
VAULT = "org.ecryptfs.Vault1"
F_ADD_SEALS = 1033
SEALS = 0x2 | 0x4 | 0x8     # shrink, grow, write
# Hundreds of passphrases: the floor is enough of Argon2id.
ARGUMENTS = {"key-helper": ["--kdf-target-ms=0"]}
ALICE, BOB, CAROL = 61000, 61001, 61002
USERS = {"alice": ALICE, "bob": BOB, "carol": CAROL}

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={run}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <policy user="root">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_type="method_call"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""


def skip(reason):
    print("SKIP: " + reason)
    sys.exit(77)


def enter_namespace():
    """The store reads the real user database and real paths, so give it ones of ours."""
    if "EC_BUS_INSIDE" in os.environ:
        return
    if os.geteuid() != 0:
        skip("needs root, for a mount namespace and for callers of several uids")
    probe = subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.PIPE, text=True)
    if probe.returncode:
        skip("needs a mount namespace: " + probe.stderr.strip())
    os.environ["EC_BUS_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable]
              + sys.argv)


def passwd_text(homes=None):
    """The user database, with other homes for some."""
    text = "root:x:0:0:root:/root:/bin/sh\ngit:x:998:998::/home/git:/bin/sh\n"
    for name, uid in USERS.items():
        text += f"{name}:x:{uid}:{uid}::{(homes or {}).get(name, '/home/' + name)}:/bin/sh\n"
    return text


def set_up_users(directory):
    group = "root:x:0:\ngit:x:998:\n" + "".join(f"{name}:x:{uid}:\n" for name, uid in USERS.items())
    for path, text in (("/etc/passwd", passwd_text()), ("/etc/group", group)):
        copy = os.path.join(directory, os.path.basename(path))
        with open(copy, "w") as file:
            file.write(text)
        os.chmod(copy, 0o644)
        subprocess.run(["mount", "--bind", copy, path], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "tmpfs", "/home"],
                   check=True)
    for name, uid in USERS.items():
        os.mkdir("/home/" + name, 0o700)
        os.chown("/home/" + name, uid, uid)
    # Where there is a journal, messages would go there, and are none of the host's.
    if os.path.isdir("/run/systemd/journal"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/systemd/journal"], check=True)


def secret(text, seals=SEALS):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, text if isinstance(text, bytes) else text.encode())
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def handle(fd, close=True):
    """A D-Bus h; the library duplicates the descriptor."""
    value = dbus.types.UnixFd(fd)
    if close:
        os.close(fd)
    return value


def sealed(text):
    return handle(secret(text))


def read_memfd(value):
    fd = value.take()
    try:
        return os.pread(fd, 65536, 0)
    finally:
        os.close(fd)


class Remote(Exception):
    """A D-Bus error, by its name."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text


class Environment:
    def __init__(self, broker, key_helper, store, policy, without=()):
        self.programs = {"broker": broker, "key-helper": key_helper, "store": store}
        self.run = tempfile.mkdtemp(prefix="ecryptfsd-bus-")
        os.chmod(self.run, 0o755)
        for name in ("state", "linger", "mounts"):
            os.mkdir(f"{self.run}/{name}")
        set_up_users(self.run)
        self.children = []
        self.address = f"unix:path={self.run}/bus"
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = self.address
        with open(self.run + "/bus.conf", "w") as file:
            file.write(BUS_CONFIG.format(run=self.run, policy=policy))
        self.spawn(["dbus-daemon", "--nofork", "--nopidfile", "--config-file", self.run + "/bus.conf"])
        self.wait_for(self.run + "/bus")
        self.activators = {}
        for name in ("key-helper", "store"):
            self.start_activator(name)
        self.spawn([sys.executable, HERE + "/standins.py", self.run, *without])
        self.wait_until(lambda: os.path.exists(self.run + "/standins.log"), "the stand-ins")
        self.broker = None
        self.fd_store = []      # (name, descriptor), as systemd would keep them
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.run + "/notify")
        threading.Thread(target=self.keep_descriptors, daemon=True).start()
        self.start_broker()

    def keep_descriptors(self):
        """systemd's side of FDSTORE=1: sd_pid_notify_with_fds(3)."""
        while True:
            data, fds, _, _ = socket.recv_fds(self.notify, 4096, 8)
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            for fd in fds:
                if fields.get("FDSTORE") == "1":
                    self.fd_store.append((fields.get("FDNAME", "stored"), fd))
                else:
                    os.close(fd)

    def stored_descriptors(self):
        """Those whose other end is still held, as systemd lets go of the others."""
        poll = select.poll()
        for _, fd in self.fd_store:
            poll.register(fd, 0)
        gone = {fd for fd, events in poll.poll(0) if events & (select.POLLHUP | select.POLLERR)}
        for fd in gone:
            os.close(fd)
        self.fd_store = [(name, fd) for name, fd in self.fd_store if fd not in gone]
        return self.fd_store

    def spawn(self, argv, **options):
        output = open(self.run + "/" + os.path.basename(argv[0]) + ".out", "ab")
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=output, **options)
        output.close()
        self.children.append(child)
        return child

    def wait_until(self, condition, what, seconds=60.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s for {what}")

    def wait_for(self, path):
        self.wait_until(lambda: self.listens(path), path)

    def start_broker(self, *options):
        stored = self.stored_descriptors()
        # Descriptors go to 3 and up only in the new process, which also has to know its pid.
        pass_on = ("import os, sys; n = int(sys.argv[1]); fds = [os.dup2(int(fd), 200 + i) for i, fd"
                   " in enumerate(sys.argv[3:3 + n])]; [os.dup2(fd, 3 + i) for i, fd in"
                   " enumerate(fds)]; os.environ.update(LISTEN_PID=str(os.getpid()),"
                   " LISTEN_FDS=str(n), LISTEN_FDNAMES=sys.argv[2]); os.closerange(3 + n, 400);"
                   " os.execv(sys.argv[3 + n], sys.argv[3 + n:])")
        self.broker = self.spawn([sys.executable, "-c", pass_on, str(len(stored)),
                                  ":".join(name for name, _ in stored),
                                  *[str(fd) for _, fd in stored],
                                  self.programs["broker"], "--run-directory=" + self.run,
                                  "--state-directory=" + self.run + "/state",
                                  "--linger-directory=" + self.run + "/linger", *options],
                                 pass_fds=[fd for _, fd in stored],
                                 env=dict(os.environ, NOTIFY_SOCKET=self.run + "/notify"))

        def is_up():
            bus = dbus.bus.BusConnection(self.address)
            try:
                return bus.name_has_owner(NAME)
            finally:
                bus.close()
        self.wait_until(is_up, "the broker's name")

    def start_activator(self, name, *wrapper):
        """What starts a process for each connection to a socket, in place of the one before."""
        path = f"{self.run}/{name}.socket"
        if name in self.activators:
            self.activators[name].kill()
            self.activators[name].wait()
            os.unlink(path)
        self.activators[name] = self.spawn(
            ["systemd-socket-activate", "--seqpacket", "--accept", "-l", path, *wrapper,
             self.programs[name], *ARGUMENTS.get(name, ())], env=dict(os.environ, SYSTEMD_LOG_LEVEL="warning"))
        self.wait_for(path)

    @staticmethod
    def listens(path):
        """Its file is there before that: who connects too early is refused."""
        accepting = "00010000"
        with open("/proc/net/unix") as sockets:
            return any(line.split()[3] == accepting and line.split()[-1] == path for line in sockets)

    @contextlib.contextmanager
    def in_place_of_store(self, serve):
        """serve(connection), in a thread, for each that the broker makes to its store. The real one is
        at store.away meanwhile."""
        path, away = f"{self.run}/store.socket", f"{self.run}/store.away"
        os.rename(path, away)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        door.bind(path)
        door.listen(64)

        def accept():
            while True:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                serve(connection)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()
            door.close()
            os.unlink(path)
            os.rename(away, path)

    def kill_broker(self):
        self.broker.send_signal(signal.SIGKILL)
        self.broker.wait()

    def close(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()
        shutil.rmtree(self.run, ignore_errors=True)

    def output(self):
        text = ""
        for name in sorted(os.listdir(self.run)):
            if name.endswith((".out", ".log")):
                with open(f"{self.run}/{name}", errors="replace") as file:
                    text += f"--- {name}\n" + file.read()
        return text

    def messages(self):
        """What broker, key helper and store have written: how often each line."""
        lines = collections.Counter()
        for name in ("python3.out", "systemd-socket-activate.out"):
            with open(f"{self.run}/{name}", errors="replace") as file:
                lines.update(file.read().splitlines())
        return lines

    # Calls

    def call(self, member, signature, *args, path=MANAGER, interface=NAME, destination=NAME,
             timeout=60, bus=None):
        own = bus or dbus.bus.BusConnection(self.address)
        try:
            return own.call_blocking(destination, path, interface, member, signature, args,
                                     timeout=timeout)
        except dbus.exceptions.DBusException as error:
            raise Remote(error.get_dbus_name(), error.get_dbus_message()) from None
        finally:
            if not bus:
                own.close()

    def control(self, who, member, signature="", *args):
        path = {"systemd1": "/org/freedesktop/systemd1", "login1": "/org/freedesktop/login1",
                "PolicyKit1": "/org/freedesktop/PolicyKit1/Authority"}[who]
        return self.call(member, signature, *args, path=path, interface="org.ecryptfs.Test",
                         destination="org.freedesktop." + who)

    def set_homes(self, **homes):
        """Where the user database says that somebody lives; without arguments, as before."""
        with open(self.run + "/passwd", "w") as file:       # the mount is of this file
            file.write(passwd_text(homes))

    def systemd(self, method, unit):
        """As an administrator, or anybody else than the broker, asks for it."""
        return self.call(method, "ss", unit, "replace", path="/org/freedesktop/systemd1",
                         interface="org.freedesktop.systemd1.Manager",
                         destination="org.freedesktop.systemd1")

    def get(self, path, name):
        return self.call("Get", "ss", VAULT, name, path=path,
                         interface="org.freedesktop.DBus.Properties")

    def jobs(self):
        with open(self.run + "/standins.log") as file:
            return file.read().splitlines()

    def plans(self):
        return json.loads(self.control("systemd1", "TakePlans"))


def as_user(uid, function):
    """Runs function in a process of that uid; its result or exception comes back."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            try:
                result = (True, function())
            except Remote as error:
                result = (False, (error.name, error.text))
            os.write(writer, pickle.dumps(result))
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(writer)
    data = b""
    while chunk := os.read(reader, 65536):
        data += chunk
    os.close(reader)
    os.waitpid(pid, 0)
    if not data:
        raise AssertionError("the process of the other user broke")
    ok, value = pickle.loads(data)
    if not ok:
        raise Remote(*value)
    return value


def session_end(fd, seconds=60.0):
    """All messages of a session descriptor up to the one that ends the wait."""
    sock = socket.socket(fileno=fd)
    sock.settimeout(seconds)
    beats = 0
    try:
        while True:
            message = sock.recv(4096).decode()
            if message != "W":
                return message, beats, sock
            beats += 1
    except (socket.timeout, TimeoutError):
        raise AssertionError("the session heard nothing final") from None
