# SPDX-License-Identifier: GPL-2.0-only
"""Trees against manifests, and against each other.

    fs-compare.py manifest MANIFEST.json DIRECTORY	the vectors' form; prints how many agree
    fs-compare.py state DIRECTORY [no-atime]		a line for each path below: all that reading
							must not change
    fs-compare.py make SEED DIRECTORY			a tree to write; prints its manifest
    fs-compare.py turn SEED FIRST COUNT DIRECTORY PLAIN	operations FIRST .. FIRST+COUNT-1 of a
							sequence that depends only on SEED, on both
							directories, which must then be the same
    fs-compare.py serve IN OUT STATUS		commands from the FIFO IN, a line each, until it says
						"end": what each prints is in the file OUT when the
						FIFO STATUS has its exit status. An emulated machine takes a
						second to start this program.
"""
import contextlib
import hashlib
import json
import os
import random
import stat
import sys
import traceback

# The in-tree module knows the size of a file with its metadata in the xattr only once it is open. What
# it answers where an operation fails is not ours to judge either.
# "late" as the first word of a command says that it is that module.
late = False


def look(path):
    st = os.lstat(path)
    if stat.S_ISDIR(st.st_mode):
        return {"type": "dir"}
    if stat.S_ISLNK(st.st_mode):
        return {"type": "symlink", "target": os.readlink(path), "link_size": st.st_size}
    with open(path, "rb") as file:
        data = file.read()
    if late:
        st = os.lstat(path)
    return {"type": "file", "size": st.st_size, "sha256": hashlib.sha256(data).hexdigest(),
            "read": len(data)}


def walk(root):
    for here, dirs, files in os.walk(root):
        dirs.sort()
        for name in sorted(dirs + files):
            path = os.path.join(here, name)
            yield os.path.relpath(path, root), path


def agrees(want, have):
    if have["type"] == "symlink" and have["link_size"] != len(os.fsencode(have["target"])):
        return False
    if have["type"] == "file" and have["size"] != have["read"]:
        return False
    return all(have.get(key) == value for key, value in want.items())


def manifest(name, root):
    with open(name) as file:
        want = json.load(file)
    have = {rel: look(path) for rel, path in walk(root)}
    for rel in list(want):      # the directory of a file need not be listed
        parent = os.path.dirname(rel)
        if parent:
            want.setdefault(parent, {"type": "dir"})
    bad = 0
    for rel in sorted(set(want) | set(have)):
        if rel not in have or rel not in want or not agrees(want[rel], have[rel]):
            print(f"differs: {rel}: {have.get(rel)} instead of {want.get(rel)}")
            bad += 1
    print(f"{len(want) - bad} of {len(want)} entries, "
          f"{sum(entry.get('size', 0) for entry in want.values())} bytes")
    return bad == 0 and len(want) > 0


def state(root, *options):
    for rel, path in [(".", root), *walk(root)]:
        st = os.lstat(path)
        line = [rel, oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, st.st_size,
                0 if "no-atime" in options else st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns,
                sorted((name, os.getxattr(path, name, follow_symlinks=False).hex())
                       for name in os.listxattr(path, follow_symlinks=False))]
        print(*line)
    return True


def make(seed, root):
    rng = random.Random(seed)
    os.makedirs(os.path.join(root, "sub", "deeper"))
    os.mkdir(os.path.join(root, "empty"))
    names = [f"plain-{i}" for i in range(6)] + ["sub/" + "L" * 143, "sub/deeper/\u00fc\u6f22.txt",
                                               "sub/space in it", ".dot", "sub/deeper/x"]
    sizes = [0, 1, 15, 16, 4095, 4096, 4097, 8192, 12288, 70001, 33333]
    for name, size in zip(names, sizes):
        with open(os.path.join(root, name), "wb") as file:
            file.write(rng.randbytes(size))
    with open(os.path.join(root, "sparse"), "wb") as file:
        file.write(b"start")
        file.seek(50000)
        file.write(b"end")
        file.truncate(90000)
    with open(os.path.join(root, "shrunk"), "wb") as file:
        file.write(rng.randbytes(30000))
        file.truncate(5000)
        file.truncate(9000)
    os.symlink("sub/deeper/x", os.path.join(root, "link"))
    os.symlink("/" + "t" * 1500, os.path.join(root, "sub", "long-link"))
    os.link(os.path.join(root, "plain-5"), os.path.join(root, "sub", "hard"))
    have = {rel: look(path) for rel, path in walk(root)}
    for entry in have.values():
        entry.pop("read", None)
        entry.pop("link_size", None)
    json.dump(have, sys.stdout, indent=1, sort_keys=True)
    return True


def one_operation(rng, root):
    """The errno, or 0."""
    name = lambda: os.path.join(root, rng.choice(["", "d1/", "d2/"]) + f"f{rng.randrange(12)}")
    kind, a, b = rng.randrange(10), name(), name()
    offset, data = rng.randrange(30000), rng.randbytes(rng.randrange(6000))
    for directory in ("d1", "d2"):
        os.makedirs(os.path.join(root, directory), exist_ok=True)
    try:
        if kind < 4:
            fd = os.open(a, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(fd, data, offset)
            os.close(fd)
        elif kind == 4:
            os.truncate(a, offset)
        elif kind == 5:
            os.rename(a, b)
        elif kind == 6:
            os.unlink(a)
        elif kind == 7:
            os.link(a, b)
        elif kind == 8:     # writing through it makes a file of that name, which must fit
            os.symlink("target-" + "y" * (offset % 100), a)
        else:
            with open(a, "ab") as file:
                file.write(data[:100])
    except OSError as e:
        return e.errno
    return 0


def turn(seed, first, count, root, plain):
    numbers = range(int(first), int(first) + int(count))
    did, should = ([one_operation(random.Random(f"{seed}-{number}"), where) for number in numbers]
                   for where in (root, plain))
    for number, a, b in zip(numbers, did, should):
        if a != b:
            print(f"operation {number}: errno {a} instead of {b}")
    have, want = ({rel: look(path) for rel, path in walk(where)} for where in (root, plain))
    for rel in sorted(set(have) | set(want)):
        if have.get(rel) != want.get(rel):
            print(f"differs: {rel}: {have.get(rel)} instead of {want.get(rel)}")
    print(f"{len(want)} entries, {should.count(0)} of {count} operations succeeded")
    return have == want and (late or did == should) and should.count(0) > len(numbers) // 2


def run(command="", *args):
    global late
    late = command == "late"
    if late:
        return COMMANDS[args[0]](*args[1:])
    return COMMANDS[command](*args)


def serve(commands, out, status):
    while True:
        with open(commands) as fifo:
            words = fifo.read().split()
        if words == ["end"]:
            return True
        with open(out, "w") as file, contextlib.redirect_stdout(file):
            try:
                good = run(*words)
            except Exception:		# noqa: BLE001 - a difference of a kind that nobody foresaw
                traceback.print_exc(file=file)
                good = False
        with open(status, "w") as fifo:
            fifo.write("0\n" if good else "1\n")


COMMANDS = {"manifest": manifest, "state": state, "make": make, "turn": turn, "serve": serve}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in {*COMMANDS, "late"}:
        sys.exit(__doc__)
    sys.exit(0 if run(*sys.argv[1:]) else 1)
