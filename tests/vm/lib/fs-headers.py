# SPDX-License-Identifier: GPL-2.0-only
"""Damaged headers through a mounted filesystem.

    fs-headers.py make KIND SOURCE DIRECTORY COUNT	COUNT damaged copies of the lower file SOURCE;
							KIND: header (in the file) or xattr
    fs-headers.py read KIND SOURCE DIRECTORY CONTENT	what the mount shows of each at DIRECTORY,
							against the right bytes in the file CONTENT

The bytes of format 3 are not authenticated, so not every damage can be seen. What must hold for a
flipped bit at offset o, or a file cut to n bytes:

    size, 0..7	    the right bytes up to the new size, zeros behind them within the last extent,
		    and EIO for what is not there
    geometry, 20..25	    noise (every extent is looked for elsewhere), or an error
    EFEK	    noise (another key), or an error: nothing in the format tells
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
EFEK = PACKET + 15      # within it: tag, length, version, cipher, S2K, hash, salt, count
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
    header = bytearray(header_of(kind, source))
    if what == "bit":
        header[number // 8] ^= 1 << number % 8
    elif kind == "xattr":
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


def make(kind, source, directory, count):
    os.makedirs(directory)
    rows = damages(kind, source, int(count))
    for what, number in rows:
        damage(kind, source, os.path.join(directory, f"{what}-{number}"), what, number)
    shutil.copyfile(source, os.path.join(directory, "good"))
    if kind == "xattr":
        os.setxattr(os.path.join(directory, "good"), XATTR, header_of(kind, source))
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
    if what == "bit" and EFEK <= number // 8 < EFEK + efek and have != want:
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
    return f"WRONG: {len(have)} bytes, errno {err}"


def read_all(kind, source, directory, content):
    with open(content, "rb") as file:
        want = file.read()
    efek = header_of(kind, source)[PACKET + 1] - 13
    counts, bad = {}, 0
    if read(os.path.join(directory, "good")) != (want, 0):
        print("the undamaged copy is not right")
        return False
    for name in sorted(os.listdir(directory)):
        if name == "good":
            continue
        what, number = name.split("-")
        path = os.path.join(directory, name)
        have, err = read(path)
        word = verdict(what, int(number), want, have, err, efek)
        counts[word] = counts.get(word, 0) + 1
        if word.startswith("WRONG") or word.startswith("error E"):
            print(f"{name}: {word}")
            bad += 1
        os.lstat(path)
    print(", ".join(f"{n} {word}" for word, n in sorted(counts.items())))
    return bad == 0 and sum(counts.values()) > 0


if __name__ == "__main__":
    command, *args = sys.argv[1:]
    sys.exit(0 if {"make": make, "read": read_all}[command](*args) else 1)
