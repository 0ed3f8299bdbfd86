# SPDX-License-Identifier: GPL-2.0-only
"""A filesystem that a process serves: DIRECTORY once more, at TARGET, through FUSE.

    fs-fuse.py DIRECTORY TARGET

Ends when it is unmounted. close() gets the errno that stands in the file DIRECTORY.flush-errno.
Only what a test of ecfs over FUSE needs: files, directories, symlinks, links and renames, no
extended attributes; by the protocol itself (linux/fuse.h), because no library for it is in the
guests.
"""
import ctypes
import errno
import os
import stat
import struct
import sys
import time

ROOT = 1
SIZE, MODE, UID, GID = 1 << 3, 1 << 0, 1 << 1, 1 << 2       # FATTR_*
TIMES = 1 << 4 | 1 << 5
FH = 1 << 6


class Server:
    def __init__(self, directory):
        self.flush = directory + ".flush-errno"
        self.paths = {ROOT: [os.fsencode(directory)]}   # of a node, all that are known
        self.nodes = {}                                 # by inode: links are one file to the kernel
        self.next = ROOT + 1

    def path(self, node, name=b""):
        if not self.paths[node]:
            raise OSError(errno.ENOENT, "")
        base = self.paths[node][0]
        return os.path.join(base, name.rstrip(b"\0")) if name else base

    def attr(self, st):
        ns = [st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns]
        return struct.pack("<6Q10I", st.st_ino, st.st_size, st.st_blocks,
                           *(t // 10**9 for t in ns), *(t % 10**9 for t in ns), st.st_mode,
                           st.st_nlink, st.st_uid, st.st_gid, st.st_rdev, 4096, 0)

    def entry(self, path):
        st = os.lstat(path)
        node = self.nodes.get(st.st_ino)
        if node is None:
            node = self.nodes[st.st_ino] = self.next
            self.paths[node] = []
            self.next += 1
        if path not in self.paths[node]:
            self.paths[node].append(path)
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self.attr(st)

    def gone(self, path):
        for node, paths in self.paths.items():
            if path in paths:
                paths.remove(path)
                if not paths:       # its number may be another's soon
                    self.nodes = {ino: known for ino, known in self.nodes.items() if known != node}

    def attr_out(self, st):
        return struct.pack("<QII", 0, 0, 0) + self.attr(st)

    def moved(self, old, new):
        for node, paths in self.paths.items():
            self.paths[node] = [new + path[len(old):] if path == old or path.startswith(old + b"/")
                                else path for path in paths]

    # Each takes node and body, and returns the reply.

    def op_1(self, node, body):     # LOOKUP
        return self.entry(self.path(node, body))

    def op_3(self, node, body):     # GETATTR
        flags, _, fh = struct.unpack_from("<IIQ", body)
        return self.attr_out(os.fstat(fh) if flags & 1 else os.lstat(self.path(node)))

    def op_4(self, node, body):     # SETATTR
        valid, _, fh, size, _, atime, mtime, _, ans, mns, _, mode, _, uid, gid, _ = \
            struct.unpack_from("<IIQQQQQQIIIIIIII", body)
        where = fh if valid & FH else self.path(node)
        if valid & SIZE:
            os.truncate(where, size)
        if valid & MODE:
            os.chmod(where, stat.S_IMODE(mode))
        if valid & (UID | GID):
            os.chown(where, uid if valid & UID else -1, gid if valid & GID else -1)
        if valid & TIMES:
            st = os.stat(where)
            now = time.time_ns()
            os.utime(where, ns=(
                st.st_atime_ns if not valid & 1 << 4 else now if valid & 1 << 7 else atime * 10**9 + ans,
                st.st_mtime_ns if not valid & 1 << 5 else now if valid & 1 << 8 else mtime * 10**9 + mns))
        return self.attr_out(os.stat(where))

    def op_5(self, node, body):     # READLINK
        return os.readlink(self.path(node))

    def op_6(self, node, body):     # SYMLINK
        name, target = body.split(b"\0")[:2]
        os.symlink(target, self.path(node, name))
        return self.entry(self.path(node, name))

    def op_8(self, node, body):     # MKNOD
        mode, rdev = struct.unpack_from("<II", body)
        os.mknod(self.path(node, body[16:]), mode, rdev)
        return self.entry(self.path(node, body[16:]))

    def op_9(self, node, body):     # MKDIR
        os.mkdir(self.path(node, body[8:]), struct.unpack_from("<I", body)[0] & 0o7777)
        return self.entry(self.path(node, body[8:]))

    def op_10(self, node, body):    # UNLINK
        os.unlink(self.path(node, body))
        self.gone(self.path(node, body))
        return b""

    def op_11(self, node, body):    # RMDIR
        os.rmdir(self.path(node, body))
        self.gone(self.path(node, body))
        return b""

    def op_12(self, node, body, at=8):      # RENAME
        old, new = body[at:].split(b"\0")[:2]
        old, new = self.path(node, old), self.path(struct.unpack_from("<Q", body)[0], new)
        same = os.path.lexists(new) and os.path.samestat(os.lstat(old), os.lstat(new))
        os.rename(old, new)
        if not same:                # two names of one file: rename() does nothing
            self.gone(new)
            self.moved(old, new)
        return b""

    def op_45(self, node, body):    # RENAME2
        if struct.unpack_from("<QI", body)[1]:
            raise OSError(errno.EINVAL, "flags")
        return self.op_12(node, body, 16)

    def op_13(self, node, body):    # LINK
        os.link(self.path(struct.unpack_from("<Q", body)[0]), self.path(node, body[8:]))
        return self.entry(self.path(node, body[8:]))

    def op_14(self, node, body):    # OPEN: a reader may become a writer of whole pages
        flags = struct.unpack_from("<I", body)[0] & ~(os.O_CREAT | os.O_EXCL | os.O_NOATIME)
        return struct.pack("<QII", os.open(self.path(node), flags), 0, 0)

    def op_35(self, node, body):    # CREATE
        flags, mode = struct.unpack_from("<II", body)
        fh = os.open(self.path(node, body[16:]), flags | os.O_CREAT, mode & 0o7777)
        return self.entry(self.path(node, body[16:])) + struct.pack("<QII", fh, 0, 0)

    def op_15(self, node, body):    # READ
        fh, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(fh, size, offset)

    def op_16(self, node, body):    # WRITE
        fh, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(fh, body[40:40 + size], offset), 0)

    def op_17(self, node, body):    # STATFS
        st = os.statvfs(self.path(ROOT))
        return struct.pack("<5Q10I", st.f_blocks, st.f_bfree, st.f_bavail, st.f_files, st.f_ffree,
                           st.f_bsize, st.f_namemax, st.f_frsize, 0, *[0] * 6)

    def op_18(self, node, body):    # RELEASE
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def op_20(self, node, body):    # FSYNC
        os.fsync(struct.unpack_from("<Q", body)[0])
        return b""

    def op_25(self, node, body):    # FLUSH
        if os.path.exists(self.flush):
            with open(self.flush, encoding="ascii") as file:
                raise OSError(int(file.read()), "")
        return b""

    def op_26(self, node, body):    # INIT
        return struct.pack("<4I2H2I2HI7I", 7, 31, 65536, 0, 0, 0, 65536, 1, 0, 0, 0, *[0] * 7)

    def op_27(self, node, body):    # OPENDIR
        return struct.pack("<QII", 0, 0, 0)

    def op_28(self, node, body):    # READDIR
        _, offset, size = struct.unpack_from("<QQI", body)
        names = [b".", b"..", *sorted(os.listdir(self.path(node)))]
        out = b""
        for i, name in enumerate(names[offset:], offset):
            st = os.lstat(os.path.join(self.path(node), name))
            one = struct.pack("<QQII", st.st_ino, i + 1, len(name), st.st_mode >> 12) + name
            one += bytes(-len(one) % 8)
            if len(out) + len(one) > size:
                break
            out += one
        return out

    def op_29(self, node, body):    # RELEASEDIR
        return b""

    op_30 = op_29                   # FSYNCDIR


def main(directory, target):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if libc.mount(b"fs-fuse", target.encode(), b"fuse", 0, options.encode()):
        sys.exit(f"{target}: {os.strerror(ctypes.get_errno())}")
    os.umask(0)
    server = Server(directory)
    if os.fork():
        return
    while True:
        try:
            request = os.read(fuse, 1 << 18)
        except OSError as e:
            if e.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                continue
            sys.exit(0)             # ENODEV: unmounted
        length, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        if opcode in (2, 42, 36):   # FORGET, BATCH_FORGET, INTERRUPT: without an answer
            continue
        try:
            call = getattr(server, f"op_{opcode}", None)
            if not call:
                raise OSError(errno.ENOSYS, "")
            error, reply = 0, call(node, request[40:length])
        except OSError as e:
            error, reply = -e.errno, b""
        try:
            os.write(fuse, struct.pack("<IiQ", 16 + len(reply), error, unique) + reply)
        except OSError:
            pass                    # whoever asked is gone


if __name__ == "__main__":
    main(*sys.argv[1:])
