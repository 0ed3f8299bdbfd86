# SPDX-License-Identifier: GPL-2.0-only
"""A person at a terminal: types, reads the screen, waits for words.

A Terminal is a serial line or the master side of a pty on which a real program runs (login,
ssh, su, passwd). Nothing here knows about encrypted homes.
"""
import os
import pty
import re
import select
import signal
import termios
import time


class Timeout(Exception):
    """The awaited words did not come; carries what did."""


def default_signals():
    """In a child: what a terminal window starts has nothing ignored, whatever started us."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE,
                   signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    def __init__(self, fd, name, pid=None):
        self.fd = fd
        self.name = name
        self.pid = pid
        self.seen = ""		# not yet matched by expect()
        self.log = ""		# all that came
        self.marks = 0

    @classmethod
    def spawn(cls, argv, name=None, env=None):
        """argv on a pty of its own, with a fresh session: what a terminal window does."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                default_signals()
                os.execvpe(argv[0], argv, env if env is not None else dict(os.environ, TERM="dumb"))
            finally:
                os._exit(127)
        return cls(fd, name or argv[0], pid)

    @classmethod
    def serial(cls, path):
        """The other end of a serial line on which a getty waits."""
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        attr = termios.tcgetattr(fd)
        attr[0] = attr[1] = attr[3] = 0
        attr[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(fd, termios.TCSANOW, attr)
        return cls(fd, path)

    def read_some(self, timeout):
        ready, _, _ = select.select([self.fd], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:		# the pty's other end is gone
            return None
        if not data:
            return None
        text = data.decode("utf-8", "replace")
        self.seen += text
        self.log += text
        return True

    def expect(self, *patterns, timeout=60):
        """Waits for the first of the regular expressions; returns (index, match)."""
        end = time.monotonic() + timeout
        while True:
            hits = [(m.start(), i, m) for i, p in enumerate(patterns)
                    for m in [re.search(p, self.seen, re.M)] if m]
            if hits:
                _, i, match = min(hits, key=lambda hit: (hit[0], hit[1]))
                self.seen = self.seen[match.end():]
                return i, match
            left = end - time.monotonic()
            if left <= 0:
                raise Timeout(f"{self.name}: waited {timeout} s for {patterns}, saw "
                              f"{self.seen[-400:]!r}")
            if self.read_some(min(left, 1)) is None:
                raise Timeout(f"{self.name}: ended while waiting for {patterns}, saw "
                              f"{self.seen[-400:]!r}")

    def send(self, text):
        """Types a line."""
        os.write(self.fd, (text + "\n").encode())

    def prompt(self, timeout=60):
        """Waits for a shell and gives it a prompt that nothing else prints."""
        self.expect(r"[$#] \Z", timeout=timeout)

    def run(self, command, timeout=60):
        """A command line in the shell at the other end: (exit status, output)."""
        self.marks += 1
        mark = f"mark{self.marks}"
        self.seen = ""
        # The quotes keep the echo of this line, which a narrow terminal shows in pieces, from looking
        # like the answer.
        self.send(f"echo \"{mark}\"\"begin:\"; {command}; echo \"{mark}\"\"end:$?:\"")
        _, match = self.expect(rf"{mark}end:(\d+):", timeout=timeout)
        body = self.log[:self.log.rindex(match.group(0))]
        output = body[body.rindex(f"{mark}begin:"):].split("\n", 1)[-1]
        return int(match.group(1)), output.replace("\r", "").strip("\n")

    def close(self):
        """Hangs up."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self.pid:
            for _ in range(50):
                done, _ = os.waitpid(self.pid, os.WNOHANG)
                if done:
                    self.pid = None
                    return
                time.sleep(0.1)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None

    def wait_end(self, timeout=60):
        """Waits until the program on the pty has ended; its exit status."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.read_some(0.2)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.pid = None
                while self.read_some(0):
                    pass
                return os.waitstatus_to_exitcode(status)
        raise Timeout(f"{self.name}: still running after {timeout} s, saw {self.seen[-400:]!r}")
