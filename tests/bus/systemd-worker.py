#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The worker's side of worker.socket (docs/architecture.md) without any mount, for test-systemd.py:
systemd-worker.py RUN-DIRECTORY start|stop ID"""
import json
import os
import socket
import sys

RUN, HOW, ID = sys.argv[1:4]
STATE = f"{RUN}/mounts/{ID}.json"
broker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def ask(**message):
    """The keys that come with a plan are closed with this process."""
    broker.send(json.dumps(dict(message, id=ID)).encode())
    return json.loads(broker.recv(131072))


def log(text):
    with open(RUN + "/worker.log", "a") as file:
        file.write(text + "\n")


def close_home(plan):
    """What mount/placeholder.c does: the closed home in the place of the present one."""
    os.rename(plan["import"], os.path.dirname(plan["source"]) + "/home-before-encryption")
    os.mkdir(plan["import"])
    with open(plan["import"] + "/README.txt", "w"):
        pass
    os.chmod(plan["import"], 0o500)
    os.chown(plan["import"], plan["owner"], plan["owner"])


def start():
    if os.path.exists(STATE):
        log("adopted")
    else:
        plan = ask(op="plan")
        if "error" in plan:
            return 1
        if "import" in plan:
            close_home(plan)
        with open(STATE + ".new", "w") as file:
            json.dump({"id": ID, "source": plan["source"], "target": plan["target"],
                       "engine": "ecfs", "owner": plan["owner"]}, file)
        os.rename(STATE + ".new", STATE)
        log("mounted")
    ask(op="mounted", engine="ecfs")
    return 0


def stop():
    if os.path.exists(RUN + "/stop-fails-once"):
        os.unlink(RUN + "/stop-fails-once")
        log("failed")
        return 1
    if not os.path.exists(STATE):
        return 0
    answer = ask(op="unmounting")
    if answer.get("keep"):
        log("kept")
        ask(op="failed", error="Busy", text="a session uses it")
        return 1
    log("unmounted")        # first: the broker sees at once that the file is gone
    os.unlink(STATE)
    ask(op="unmounted", blockers=[], detached=False)
    return 0


broker.connect(RUN + "/worker.socket")
sys.exit(start() if HOW == "start" else stop())
