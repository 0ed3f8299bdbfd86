#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What is written about the programs is what they do: usage: documented.py ECRYPTFSCTL

The help comes of the tables that the program itself works with; manual pages, completion, catalog
and the table of errors are compared with it and with each other, both ways.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CTL = os.path.abspath(sys.argv[1])
failures = []


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def same(what, have, want):
    """Both are collections; prints what is only in one of them."""
    have, want = set(have), set(want)
    if have != want or not want:
        failures.append(what)
        print(f"FAILED {what}: missing {sorted(want - have)}, too many {sorted(have - want)}")
    else:
        print(f"# {len(want)} {what}")


def page(name):
    """The text of a manual page without its commands, and its lines."""
    text = read("docs/man/" + name)
    text = re.sub(r"\\f[A-Z]|\\fP", "", text.replace(r"\-", "-"))
    return text


def section(text, name):
    return re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH )", text, re.M | re.S).group(1)


def help_of(*verb):
    return subprocess.run([CTL, *verb, "--help"], check=True, capture_output=True, text=True,
                          timeout=60).stdout


def options_in(text):
    """{name: takes a value} of those that a help lists."""
    return {name: bool(value) for name, value in re.findall(r"^  (?:-[a-z], )?(--[a-z-]+)(=?)", text, re.M)}


def complete(*words):
    """What bash offers for the last of the words."""
    script = ('source "$0"; COMP_WORDS=(ecryptfsctl "$@"); COMP_CWORD=$#; _ecryptfsctl 2>/dev/null; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run(["bash", "--norc", "-c", script, TOP + "/ctl/completion/ecryptfsctl",
                           *words], check=True, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                          timeout=60).stdout.split()


def takes_value(option):
    script = 'source "$0"; _ecryptfsctl_takes_value "$1"'
    return subprocess.run(["bash", "--norc", "-c", script, TOP + "/ctl/completion/ecryptfsctl",
                           option], timeout=60).returncode == 0


def check_command_line():
    overview = help_of()
    verbs = re.findall(r"^  ([a-z][a-z-]*) ", overview, re.M)
    options = options_in(overview)
    for verb in verbs:
        mine = options_in(help_of(verb))
        options.update(mine)
        offered = {word.partition("=")[0] for word in complete(verb, "--")}
        same(f"options of {verb} in the completion", offered, mine)
    manual = page("ecryptfsctl.1")
    heads = re.findall(r"^\.TP\n\.BR? ([a-z-]+)", section(manual, "VERBS"), re.M)
    same("verbs in ecryptfsctl(1)", heads, verbs)
    same("verbs in its synopsis", set(verbs) & set(re.findall(r"[a-z-]+",
                                                              section(manual, "SYNOPSIS"))), verbs)
    same("verbs in the completion", complete(""), verbs)
    same("options in ecryptfsctl(1)", re.findall(r"--[a-z]+(?:-[a-z]+)*",
                                                 section(manual, "OPTIONS")), options)
    same("options with a value in the completion", filter(takes_value, options),
         [name for name, value in options.items() if value])


def check_errors():
    rows = re.findall(r'NAME\("(\w+)"\), (\d+),', read("lib/error.c"))
    status = section(page("ecryptfsctl.1"), "EXIT STATUS")
    same("exit codes in ecryptfsctl(1)", re.findall(r"^ ?(\d+)  ", status, re.M),
         {code for _, code in rows} | {"0"})
    text = section(page("org.ecryptfs.Manager1.5"), "ERRORS")
    heads = re.findall(r"^\.TP\n\.B (.*)$", text, re.M) + re.findall(r"^\.PP\n\.B (\w+)$", text, re.M)
    same("errors in org.ecryptfs.Manager1(5)", ", ".join(heads).split(", "),
         {name for name, _ in rows})


def check_interfaces():
    text = page("org.ecryptfs.Manager1.5")
    for name in ("Manager1", "Vault1"):
        members = re.findall(r'<(?:method|signal|property) name="(\w+)"',
                             read(f"dbus/org.ecryptfs.{name}.xml"))
        same(f"members of {name} in org.ecryptfs.Manager1(5)",
             set(members) & set(re.findall(r"\w+", text)), members)


def check_catalog():
    header = read("lib/log-ids.h")
    ids = dict(re.findall(r'^#define (EC_LOG_ID_\w+) "([0-9a-f]{32})"$', header, re.M))
    entries = re.split(r"^-- ", read("catalog/ecryptfsd.catalog"), flags=re.M)[1:]
    same("message ids in the catalog", [entry.split("\n")[0] for entry in entries], ids.values())
    same("message ids of 32 digits", re.findall(r"^#define (EC_LOG_ID_\w+)", header, re.M), ids)
    if not len(entries) == len(ids) == len(set(ids.values())):
        failures.append("two messages have one id")
    fields = re.findall(r'"(ECRYPTFSD_\w+)[="]', read("lib/log.c"))
    pages = {re.sub(r"(.*)\.(\d)$", r"\1(\2)", name) for name in os.listdir(TOP + "/docs/man")}
    for entry in entries:
        name = entry.split("\n")[0]
        if not re.match(r"[0-9a-f]{32}\nSubject: .+\nDefined-By: ecryptfsd\nDocumentation: man:.*\n\n\S",
                        entry):
            failures.append(f"head of {name}")
        unknown = set(re.findall(r"@(\w+)@", entry)) - set(fields)
        unknown |= set(re.findall(r"^Documentation: man:(.*)$", entry, re.M)) - pages
        if unknown:
            failures.append(f"{name} names {unknown}")
    sources = "".join(read(os.path.join(place, name))
                      for place in ("daemon", "mount", "pam", "store", "helper", "lib")
                      for name in os.listdir(os.path.join(TOP, place)) if name.endswith(".c"))
    same("message ids that some program logs", re.findall(r"EC_LOG_ID_\w+", sources), ids)
    if not shutil.which("journalctl"):
        return
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(root + "/usr/lib/systemd/catalog")
        os.makedirs(root + "/var/lib/systemd/catalog")
        shutil.copy(TOP + "/catalog/ecryptfsd.catalog", root + "/usr/lib/systemd/catalog")
        subprocess.run(["journalctl", "--root=" + root, "--update-catalog"], check=True, timeout=60)
        listed = subprocess.run(["journalctl", "--root=" + root, "--list-catalog"], check=True,
                                capture_output=True, text=True, timeout=60).stdout
    same("message ids that journalctl finds", re.findall(r"^[0-9a-f]{32}", listed, re.M),
         ids.values())


def main():
    for check in (check_command_line, check_errors, check_interfaces, check_catalog):
        check()
    for failure in failures:
        print(f"FAILED {failure}")
    sys.exit(1 if failures else 0)


main()
