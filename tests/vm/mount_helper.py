# SPDX-License-Identifier: GPL-2.0-only
"""mount.ecryptfs and umount.ecryptfs with each engine.

 1 first use at a terminal: passphrase twice, unseen; the questions; signature remembered
 2 second use: passphrase once, same data; through the other engine, too
 3 the second typing differs; end of input; an interrupt: nothing is mounted, the echo is back
 4 every option, without a terminal, and what the mount table shows of it; nothing is asked at a
   terminal where an option forbids it
 5 options that are wrong or missing: one line that names them, and the exit code of mount(8)
 6 a passphrase in the option string: a warning, and gone from /proc/PID/cmdline
 7 keys: of a keyring by signature; taken from the user keyring by umount
 8 a second mount of one lower directory
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mounts                           # noqa: E402
import report                           # noqa: E402
from report import check                # noqa: E402
from terminal import Terminal           # noqa: E402

SECRET = "/secret"
PASSPHRASE = "squeamish ossifrage 17"
CACHE = "/root/.ecryptfs/sig-cache.txt"
SIG = mounts.mount_key(PASSPHRASE.encode())[1]
KEYFILE = "/root/keyfile"
FULL = f"key=passphrase:passphrase_passwd_file={KEYFILE},no_sig_cache,ecryptfs_cipher=aes," \
       "ecryptfs_key_bytes=16,ecryptfs_passthrough=n,ecryptfs_enable_filename_crypto=n"


def run(options, source=SECRET, target=SECRET, **kwargs):
    """mount -t ecryptfs without a terminal: (exit status, stderr)."""
    done = subprocess.run(["mount", "-t", "ecryptfs", "-o", options, source, target],
                          stdin=kwargs.pop("stdin", subprocess.DEVNULL), capture_output=True,
                          text=True, timeout=60, **kwargs)
    return done.returncode, done.stderr


def umount(target=SECRET):
    return subprocess.run(["umount", target], capture_output=True, text=True)


def reset():
    while mounts.entry(SECRET):
        if umount().returncode:
            raise RuntimeError("cannot unmount " + SECRET)
    for path in ("/root/.ecryptfs", SECRET):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.exists("/root/.ecryptfsrc"):
        os.unlink("/root/.ecryptfsrc")
    os.mkdir(SECRET, 0o700)
    subprocess.run(["keyctl", "clear", "@u"])


def at_terminal(options=None):
    argv = ["mount", "-t", "ecryptfs"] + (["-o", options] if options else []) + [SECRET, SECRET]
    return Terminal.spawn(argv, name="mount")


def answer(term, question, text):
    term.expect(question, timeout=30)
    term.send(text)


def first_use(engine):
    reset()
    term = at_terminal()
    answer(term, r"Passphrase: ", PASSPHRASE)
    answer(term, r"Passphrase again: ", PASSPHRASE)
    answer(term, r"Selection \[aes\]: ", "")
    answer(term, r"Selection \[16\]: ", "2")
    answer(term, r"passthrough \(y/n\) \[n\]: ", "")
    answer(term, r"filename encryption \(y/n\) \[n\]: ", "y")
    answer(term, rf"Signature \[{SIG}\]: ", "")
    status = term.wait_end()
    check(f"{engine}: first use at a terminal mounts", status == 0 and
          "Mounted eCryptfs" in term.log, f"exit {status}")
    check(f"{engine}: the passphrase was never on the screen", PASSPHRASE not in term.log)
    kind, source, _, options = mounts.entry(SECRET)
    wanted = {f"ecryptfs_sig={SIG}", f"ecryptfs_fnek_sig={SIG}", "ecryptfs_cipher=aes",
              "ecryptfs_key_bytes=32", "ecryptfs_unlink_sigs"}
    check(f"{engine}: type and options in the mount table",
          kind == engine and wanted <= set(options.split(",")), f"{kind} {source} {options}")
    check(f"{engine}: the mount table shows the source by its path", source == SECRET, source)
    with open(CACHE) as cache:
        text = cache.read()
    check(f"{engine}: the signature is remembered", text == SIG + "\n" and
          os.stat(CACHE).st_mode & 0o777 == 0o600, repr(text))
    with open(SECRET + "/letter", "w") as letter:
        letter.write("dear diary\n" * 1000)
    done = umount()
    check(f"{engine}: umount", done.returncode == 0 and not mounts.entry(SECRET), done.stderr)
    names = os.listdir(SECRET)
    with open(SECRET + "/" + names[0], "rb") as lower:
        check(f"{engine}: name and content below are ciphertext", len(names) == 1 and
              names[0].startswith("ECRYPTFS_FNEK_ENCRYPTED.") and b"diary" not in lower.read(),
              names[0][:40])


def second_use(engine, engines):
    for other in engines:
        mounts.choose(other)
        term = at_terminal("ecryptfs_cipher=aes,ecryptfs_key_bytes=32,ecryptfs_passthrough=n,"
                           f"ecryptfs_fnek_sig={SIG}")
        answer(term, r"Passphrase: ", PASSPHRASE)
        status = term.wait_end()
        check(f"{engine}, read by {other}: known signature, typed once", status == 0 and
              "again" not in term.log and mounts.entry(SECRET)[0] == other, f"exit {status} {term.log[-200:] if status else ''}")
        with open(SECRET + "/letter") as letter:
            check(f"{engine}, read by {other}: the same bytes", letter.read() ==
                  "dear diary\n" * 1000)
        umount()
    mounts.choose(engine)


def given_up(engine):
    reset()
    term = at_terminal(FULL.replace("no_sig_cache,", "").replace(
        f"key=passphrase:passphrase_passwd_file={KEYFILE},", ""))
    answer(term, r"Passphrase: ", PASSPHRASE)
    answer(term, r"Passphrase again: ", PASSPHRASE + "x")
    status = term.wait_end()
    check(f"{engine}: two passphrases that differ", status == 32 and
          "the two passphrases differ" in term.log and not mounts.entry(SECRET), f"exit {status}")
    check(f"{engine}: that signature is not remembered", not os.path.exists(CACHE))

    term = at_terminal()
    term.expect(r"Passphrase: ")
    os.write(term.fd, b"\x04")
    status = term.wait_end()
    check(f"{engine}: end of input at the passphrase", status == 8 and
          "no passphrase was given" in term.log, f"exit {status}")

    term = Terminal.spawn(["sh", "-c", f"mount.ecryptfs {SECRET} {SECRET}; echo code:$?; stty -a; "
                           "sleep 0.5"], name="sh")
    term.expect(r"Passphrase: ")
    subprocess.run(["pkill", "-INT", "-x", "mount.ecryptfs"])
    term.expect(r"code:8\b", timeout=20)
    status = term.wait_end()
    check(f"{engine}: an interrupt at the passphrase gives the echo back",
          re.search(r"[^-]echo\b", term.log) is not None and not mounts.entry(SECRET))


def every_option(engine):
    reset()
    with open(KEYFILE, "w") as keyfile:
        keyfile.write(f"passphrase_passwd={PASSPHRASE}\n")
    os.chmod(KEYFILE, 0o600)
    rows = (
        (FULL, set(), {"ecryptfs_passthrough", "ecryptfs_xattr_metadata"}),
        (FULL + ",nosuid,nodev,noexec,noatime", {"nosuid", "nodev", "noexec", "noatime"}, set()),
        (FULL + ",ro", {"ro"}, set()),
        (FULL.replace("passthrough=n", "passthrough"), {"ecryptfs_passthrough"}, set()),
        (FULL + ",ecryptfs_xattr=y", {"ecryptfs_xattr_metadata"}, set()),
        (FULL + ",ecryptfs_xattr_metadata", {"ecryptfs_xattr_metadata"}, set()),
        (FULL + ",ecryptfs_encrypted_view=y", {"ecryptfs_encrypted_view"}, set()),
        (FULL.replace("crypto=n", "crypto=y"), {f"ecryptfs_fnek_sig={SIG}"}, set()),
        (FULL.replace("aes", "twofish").replace("bytes=16", "bytes=32"),
         {"ecryptfs_cipher=twofish", "ecryptfs_key_bytes=32"}, set()),
        (FULL + ",verbosity=0,nofail,x-systemd.automount,_netdev", set(), set()),
    )
    for options, wanted, unwanted in rows:
        status, err = run(options)
        shown = mounts.entry(SECRET)
        words = set(f"{shown[2]},{shown[3]}".split(",")) if shown else set()
        label = options[len(FULL) - 20:] if options.startswith(FULL) else options[-70:]
        check(f"{engine}: ...{label}", status == 0 and wanted <= words and
              not unwanted & words and shown[0] == engine,
              err.strip() if status else f"{shown[2]} {shown[3]}")
        if status == 0:
            umount()

    fd = os.open(KEYFILE, os.O_RDONLY)
    status, err = run(FULL.replace(f"passwd_file={KEYFILE}", f"passwd_fd={fd}"), pass_fds=(fd,))
    os.close(fd)
    check(f"{engine}: passphrase_passwd_fd=", status == 0, err.strip())
    umount()
    with open("/root/.ecryptfsrc", "w") as rc:
        rc.write(FULL.replace(",", "\n") + "\n")
    status, err = run("ecryptfs_key_bytes=24")
    shown = mounts.entry(SECRET)
    check(f"{engine}: ~/.ecryptfsrc, overridden by the command line", status == 0 and
          "ecryptfs_key_bytes=24" in shown[3], err.strip() or shown[3])
    umount()
    os.unlink("/root/.ecryptfsrc")
    status, err = run(FULL.replace(
        "no_sig_cache", "no_sig_cache,passphrase_salt=0123456789abcdef"))
    sig = mounts.mount_key(PASSPHRASE.encode(), bytes.fromhex("0123456789abcdef"))[1]
    check(f"{engine}: passphrase_salt=", status == 0 and
          f"ecryptfs_sig={sig}" in mounts.entry(SECRET)[3], err.strip())
    umount()
    term = at_terminal(FULL.replace("no_sig_cache", "wild_ass_guess"))
    status = term.wait_end()
    check(f"{engine}: wild_ass_guess: nothing is asked at a terminal, nothing remembered",
          status == 0 and mounts.entry(SECRET) and not os.path.exists(CACHE),
          f"exit {status} {term.log[-200:] if status else ''}")
    umount()


def wrong_options(engine):
    reset()
    file_key = f"key=passphrase:passphrase_passwd_file={KEYFILE}"
    rows = (
        # options, exit status, words on stderr
        ("ecryptfs_cipher=aes", 32, "there is no key"),
        (FULL.replace("ecryptfs_cipher=aes,", ""), 1, "option ecryptfs_cipher= is missing"),
        (FULL.replace("ecryptfs_key_bytes=16,", ""), 1, "option ecryptfs_key_bytes= is missing"),
        (FULL.replace("aes", "rot13"), 1, "ecryptfs_cipher: there is no such cipher"),
        (FULL.replace("=16", "=17"), 1, "aes has no keys of 17 bytes"),
        (FULL.replace("=16", "=many"), 1, "ecryptfs_key_bytes: the value must be a number"),
        (FULL.replace("=16", "=0"), 1, "must not be 0"),
        (FULL.replace("through=n", "through=maybe"), 1, "must be y or n"),
        (FULL + ",ecryptfs_sig=xyz", 1, "16 hexadecimal digits"),
        (FULL + ",ecryptfs_fnek_sig=12", 1, "16 hexadecimal digits"),
        (FULL + ",ecryptfs_frobnicate", 1, "unknown option ecryptfs_frobnicate"),
        (FULL + ",ecryptfs_sig=0123456789abcdef", 32, "no key with the signature 0123456789abcdef"),
        ("ecryptfs_sig=0123456789abcdef,ecryptfs_cipher=aes,ecryptfs_key_bytes=16", 32,
         "no key with the signature"),
        (FULL.replace(KEYFILE, "/root/none"), 32, "/root/none: No such file"),
        (FULL.replace(KEYFILE, "/dev/null"), 1, "/dev/null has no line passphrase_passwd="),
        (FULL.replace("no_sig_cache,", ""), 8, "is not in /root/.ecryptfs/sig-cache.txt"),
        (FULL.replace("key=passphrase", "key=openssl"), 1, "only kind of key"),
        (FULL + ",passphrase_passwd_fd=9", 1, "given more than once"),
        (FULL + ",key=passphrase:salt=12", 1, "a salt has 16 hexadecimal digits"),
        ("remount," + file_key, 1, "mount -i -o remount"),
    )
    for options, want, words in rows:
        status, err = run(options)
        lines = [line for line in err.strip().splitlines() if line.startswith("mount.ecryptfs")]
        check(f"{engine}: refused: {words}", status == want and len(lines) == 1 and
              words in lines[0] and not mounts.entry(SECRET), f"exit {status}: {err.strip()}")
        if mounts.entry(SECRET):
            umount()
    for source, target, words in ((SECRET, "/none", "/none"), ("/none", SECRET, "/none"),
                                  ("/etc/passwd", SECRET, "/etc/passwd")):
        status, err = run(FULL, source, target)
        check(f"{engine}: refused: {source} on {target}", status in (1, 32) and words in err,
              err.strip())
    run(FULL)
    status, err = run(FULL)
    check(f"{engine}: refused: mounted already", status == 1 and "encrypted mount already" in err,
          err.strip())
    umount()


def on_command_line(engine):
    reset()
    term = at_terminal(f"key=passphrase:passphrase_passwd={PASSPHRASE.split()[0]},no_sig_cache")
    term.expect(r"warning: a passphrase on the command line", timeout=30)
    term.expect(r"Selection \[aes\]: ", timeout=30)
    pids = subprocess.run(["pgrep", "-x", "mount.ecryptfs"], capture_output=True, text=True)
    with open(f"/proc/{pids.stdout.split()[0]}/cmdline") as cmdline:
        text = cmdline.read()
    check(f"{engine}: the helper's own command line shows it no more",
          PASSPHRASE.split()[0] not in text and "*****" in text, text.replace("\0", " "))
    term.close()
    status, err = run("key=passphrase:passphrase_passwd=horse:battery,no_sig_cache")
    check(f"{engine}: a colon in such a passphrase is refused, its rest not shown", status == 1 and
          "can have no comma and no colon" in err and "battery" not in err, err.strip())


def keyrings(engine):
    reset()
    payload, sig = mounts.auth_tok(b"from the keyring")
    subprocess.run(["keyctl", "padd", "user", sig, "@u"], input=payload, check=True,
                   capture_output=True)
    options = f"ecryptfs_sig={sig},no_sig_cache,ecryptfs_cipher=aes,ecryptfs_key_bytes=16"
    status, err = run(options)
    check(f"{engine}: a key of the user keyring by its signature", status == 0, err.strip())
    done = umount()
    check(f"{engine}: umount.{mounts.entry(SECRET) or 'ecryptfs'}", done.returncode == 0,
          done.stderr)
    if engine == "ecryptfs":
        check("ecryptfs: ecryptfs_unlink_sigs takes the key from the user keyring",
              sig not in mounts.user_keys())
        status, err = run(FULL)
        check("ecryptfs: the key stays in the user keyring while mounted",
              status == 0 and SIG in mounts.user_keys(), err.strip())
        done = subprocess.run(["umount.ecryptfs", SECRET], capture_output=True, text=True)
        check("ecryptfs: umount.ecryptfs by itself", done.returncode == 0 and
              SIG not in mounts.user_keys(), done.stderr)
    else:
        subprocess.run(["keyctl", "clear", "@u"])
        run(FULL)
        check("ecfs: no key in any keyring", SIG not in mounts.user_keys())
        umount()
    run(FULL)
    with open(SECRET + "/held", "w"):
        done = subprocess.run(["umount.ecryptfs", SECRET], capture_output=True, text=True)
        check(f"{engine}: umount.ecryptfs of a mount in use", done.returncode == 32 and
              "it is in use" in done.stderr and mounts.entry(SECRET), done.stderr.strip())
    umount()
    done = subprocess.run(["umount.ecryptfs", "/tmp"], capture_output=True, text=True)
    check(f"{engine}: umount.ecryptfs of another filesystem", done.returncode == 32 and
          "is not the mount point of an encrypted directory" in done.stderr)


def second_mount(engine):
    """Two mounts of one lower directory write over each other."""
    reset()
    os.makedirs("/mnt/second", exist_ok=True)
    first = run(FULL, target="/mnt/second")
    for source in (SECRET, "/mnt/../secret"):
        status, words = run(FULL, source=source)
        check(f"{engine}: a second mount of {source}: refused", first[0] == 0 and status == 32 and
              f"{SECRET} is mounted at /mnt/second already" in words and not mounts.entry(SECRET),
              words.strip())
    status, words = run(FULL + ",ecryptfs_encrypted_view")
    check(f"{engine}: a second mount for the encrypted view", status == 0 and
          mounts.entry(SECRET), words.strip())
    umount()
    umount("/mnt/second")
    status, words = run(FULL)
    check(f"{engine}: mounted again after the first has gone", status == 0, words.strip())
    reset()


def main():
    found = mounts.engines()
    check("both modules can be loaded", found == ["ecfs", "ecryptfs"], ", ".join(found))
    for engine in found:
        mounts.choose(engine)
        for part in (first_use, second_use, given_up, every_option, wrong_options,
                     on_command_line, keyrings, second_mount):
            arguments = (engine, found) if part is second_use else (engine,)
            report.attempt(f"{engine}: {part.__name__}", part, *arguments)
        reset()
    mounts.choose(found[0])		# leaves the module where it was
    report.finish()


main()
