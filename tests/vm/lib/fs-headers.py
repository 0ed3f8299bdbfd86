# SPDX-License-Identifier: GPL-2.0-only
"""Damaged headers through a mounted filesystem.

    fs-headers.py name UPPER COUNT KIND SOURCE	empty files UPPER/{bit,cut}-N and UPPER/good: one for
						each damage, and one for none
    fs-headers.py where UPPER LOWER		prints which lower file each of them is
    fs-headers.py make MAP COUNT KIND SOURCE	with UPPER unmounted: copies of the lower file SOURCE
						in their place, damaged. KIND: header (in the file) or xattr
    fs-headers.py read UPPER KIND SOURCE CONTENT	what the mount shows of each, against the right
						bytes in the file CONTENT; what does not open for reading
						must not open for writing either

The bytes of format 3 are not authenticated, so not every damage can be seen. What must hold for a
flipped bit at offset o, or a file cut to n bytes:

    size, 0..7	    the right bytes up to the new size, zeros behind them within the last extent,
		    and EIO for what is not there
    geometry, 20..25	    noise (every extent is looked for elsewhere), or an error
    cipher, EFEK	    noise (another key), or an error: nothing in the format tells
    anything else   the right bytes, or an error
    cut		    the right bytes as far as whole extents go, or an error; no bytes if cut to 0
"""
import errno
import os
import random
import shutil
import sys

XATTR = "user.ecryptfs"
PACKET = 26             # offset of the first packet, format version 3
CIPHER = PACKET + 3     # within it: tag, length, version, cipher, S2K, hash, salt, count
EFEK = PACKET + 15
HEADER = 8192           # bytes in front of the data, in the file
ERRORS = {errno.EIO, errno.ENOKEY, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADMSG, errno.EUCLEAN,
          errno.EFBIG}


def header_of(kind, path):
    if kind == "xattr":
        return os.getxattr(path, XATTR)
    with open(path, "rb") as file:
        return file.read(8192)


def used(header):
    """Bytes of header that mean something: the fixed part, tag 3, tag 11, and the end mark."""
    return min(PACKET + 2 + header[PACKET + 1] + 24 + 1, len(header))


def damages(kind, source, count):
    """Every one a (name, function of header or None, lower length or None)."""
    header = header_of(kind, source)
    bits = list(range(used(header) * 8))
    cuts = list(range(0, used(header) + 1, 3)) + [4095, 4096, 8191]
    if kind == "header":
        cuts += list(range(8192, os.path.getsize(source), 1021))
    rng = random.Random(f"{kind} {count}")
    rng.shuffle(cuts)
    rng.shuffle(bits)
    cuts = cuts[:count // 5]
    bits = bits[:count - len(cuts)]
    return [("bit", bit) for bit in bits] + [("cut", n) for n in cuts]


def damage(kind, source, target, what, number):
    shutil.copyfile(source, target)
    if kind == "xattr" and XATTR in os.listxattr(target):
        os.removexattr(target, XATTR)
    header = bytearray(header_of(kind, source))
    if what == "bit":
        header[number // 8] ^= 1 << number % 8
    elif kind == "xattr":
        if what == "cut":
            del header[number:]
    else:
        os.truncate(target, number)
        return
    if kind == "xattr":
        if header:
            os.setxattr(target, XATTR, bytes(header))
        return
    with open(target, "r+b") as file:
        file.write(header)


def name(upper, count, kind, source):
    os.mkdir(upper)
    for what, number in [*damages(kind, source, int(count)), ("good", 0)]:
        os.mknod(os.path.join(upper, f"{what}-{number}"), 0o644)
    return True


def where(upper, lower):
    """By inode, because the name below may be encrypted."""
    below = {os.lstat(os.path.join(here, file)).st_ino: os.path.join(here, file)
             for here, _, files in os.walk(lower) for file in files}
    for entry in os.scandir(upper):
        print(entry.name, below[entry.stat().st_ino])
    return True


def make(places, count, kind, source):
    with open(places) as file:
        below = dict(line.split() for line in file)
    rows = damages(kind, source, int(count))
    for what, number in rows:
        damage(kind, source, below[f"{what}-{number}"], what, number)
    damage(kind, source, below["good-0"], "cut" if kind == "header" else "none",
           os.path.getsize(source))
    print(f"{len(rows)} damaged")
    return len(rows) > 0


def read(path):
    """(bytes, errno): as far as reading goes, by extents."""
    data = b""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        return None, e.errno
    try:
        while len(data) < 1 << 22:
            part = os.read(fd, 4096)
            if not part:
                return data, 0
            data += part
        return data, 0
    except OSError as e:
        return data, e.errno
    finally:
        os.close(fd)


def extent_end(size):
    return (size + 4095) // 4096 * 4096


def verdict(what, number, want, have, err, efek):
    if err and err not in ERRORS:
        return f"error {errno.errorcode.get(err, err)}"
    if have is None or (have == b"" and err):
        return "error"
    if what == "bit" and 20 <= number // 8 < 26 and have != want:
        return "noise (another place)"
    if what == "bit" and (number // 8 == CIPHER or EFEK <= number // 8 < EFEK + efek) and have != want:
        return "noise (another key)"
    padded = want + bytes(extent_end(len(want)) - len(want))
    if have == want and not err:
        return "right"
    if what == "bit" and number // 8 < 8 and have == padded[:len(have)]:
        return "right up to another size"
    if what == "cut" and err and have == want[:len(have)]:
        return "right, then an error"
    if what == "cut" and number == 0 and have == b"":
        return "empty"
    if what == "cut" and number and number % 4096 == 0 and not err and \
            have == want[:max(number - HEADER, 0)]:
        return "as short as after a crash"
    return f"WRONG: {len(have)} bytes, errno {err}"


def try_writing(path):
    """What is wrong, or nothing: no way of writing opens what can not be read."""
    calls = {
        "O_RDWR": lambda: os.close(os.open(path, os.O_RDWR)),
        "O_WRONLY|O_APPEND": lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)),
        "O_RDWR|O_TRUNC": lambda: os.close(os.open(path, os.O_RDWR | os.O_TRUNC)),
        "truncate": lambda: os.truncate(path, 100),
    }
    for word, call in calls.items():
        try:
            call()
            return f"WRONG: {word} succeeds"
        except OSError as e:
            if e.errno not in ERRORS:
                return f"WRONG: {word}: {errno.errorcode.get(e.errno, e.errno)}"
    return None


def read_all(upper, kind, source, content):
    with open(content, "rb") as file:
        want = file.read()
    efek = header_of(kind, source)[PACKET + 1] - 13
    counts, bad, refused = {}, 0, 0
    if read(os.path.join(upper, "good-0")) != (want, 0):
        print("the undamaged copy is not right")
        return False
    for entry in sorted(os.listdir(upper)):
        what, number = entry.split("-")
        if what == "good":
            continue
        path = os.path.join(upper, entry)
        have, err = read(path)
        word = verdict(what, int(number), want, have, err, efek)
        if have is None:
            word = try_writing(path) or word
            refused += 1
        counts[word] = counts.get(word, 0) + 1
        if word.startswith("WRONG") or word.startswith("error E"):
            print(f"{entry}: {word}")
            bad += 1
        os.lstat(path)
    print(", ".join(f"{n} {word}" for word, n in sorted(counts.items())),
          f"; writing refused for {refused}", sep="")
    return bad == 0 and refused > 0


if __name__ == "__main__":
    command, *args = sys.argv[1:]
    sys.exit(0 if {"name": name, "where": where, "make": make, "read": read_all}[command](*args) else 1)
