# SPDX-License-Identifier: GPL-2.0-only
"""watch-exec.py FILE: reads the command line and the environment of every process until SIGTERM:
of each when it has become another program, which the kernel's process connector tells, and of all
once a second, because both can be changed later. What was read is in FILE then, and standard
output says how often it looked, how many programs were started, and of how many it was too late."""
import errno
import glob
import os
import signal
import socket
import struct
import sys
import time

NETLINK_CONNECTOR, CN_IDX_PROC, CN_VAL_PROC = 11, 1, 1
PROC_CN_MCAST_LISTEN, PROC_EVENT_EXEC, NLMSG_DONE = 1, 2, 3
SO_RCVBUFFORCE = 33
EVENT = struct.Struct("=16x20xIIQII")	# nlmsghdr, cn_msg; what, cpu, time stamp, thread, process
EVERY_SECONDS = 1.0

seen = set()
looks = programs = missed = 0
stopped = False


def read(pid):
    """Whether there was a command line: who has ended has none."""
    global looks
    there = False
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                text = file.read()
        except OSError:
            continue
        looks += 1
        seen.add(text)
        there = there or text != b""
    return there


def stop(*_):
    global stopped
    stopped = True


def listen():
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.bind((os.getpid(), CN_IDX_PROC))
    wish = struct.pack("=IIIIHHI", CN_IDX_PROC, CN_VAL_PROC, 0, 0, 4, 0, PROC_CN_MCAST_LISTEN)
    sock.send(struct.pack("=IHHII", 16 + len(wish), NLMSG_DONE, 0, 0, os.getpid()) + wish)
    sock.settimeout(EVERY_SECONDS)
    return sock


def main():
    global programs, missed
    # Before whoever has just been started goes on.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    signal.signal(signal.SIGTERM, stop)
    sock = listen()
    due = 0
    while not stopped:
        if time.monotonic() >= due:
            for path in glob.glob("/proc/[0-9]*"):
                read(path[6:])
            due = time.monotonic() + EVERY_SECONDS
        try:
            message = sock.recv(4096)
        except TimeoutError:
            continue
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            missed += 1		# at least
            continue
        if len(message) < EVENT.size:
            continue
        what, _, _, _, pid = EVENT.unpack_from(message)
        if what == PROC_EVENT_EXEC:
            programs += 1
            missed += not read(pid)
    with open(sys.argv[1], "wb") as file:
        file.write(b"\n".join(seen))
    print(looks, programs, missed)


main()
