#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages from what `tidings VERB --help` says, so that the two can't differ.

    make_man.py BINARY VERSION DIRECTORY
"""
import pathlib
import re
import subprocess
import sys

STATUS = ".SH EXIT STATUS\n0 done, 1 the thing failed, 2 wrong usage.\n"


def help_of(binary, *verb):
    return subprocess.run([binary, *verb, "--help"], check=True, capture_output=True, encoding="utf-8").stdout


def escape(text):
    """Text as roff reads it back: no request at the start of a line, dashes that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("…", "...")
    return "\\&" + text if text.startswith(".") else text


def body(lines):
    """The help without its first line: paragraphs, options with their texts, and what is shown as it stands."""
    out, in_options, verbatim = [], False, False

    def end_verbatim():
        nonlocal verbatim
        if verbatim:
            out.append(".fi\n.RE")
        verbatim = False

    for line in lines:
        option = re.match(r"  (--?[a-z][^ ].*)", line)
        if not line.strip():
            end_verbatim()
            out.append(".PP")
        elif option:
            end_verbatim()
            if not in_options:
                out.append(".SH OPTIONS")
            in_options = True
            name, _, text = option[1].partition("   ")
            out.append(f".TP\n.B {escape(name.strip())}")
            out += [escape(text.strip())] if text.strip() else []
        elif in_options and line.startswith("        "):
            out.append(escape(line.strip()))
        elif line.startswith("  "):
            if not verbatim:
                out.append(".RS\n.nf")
            verbatim = True
            out.append(escape(line.strip()))
        else:
            end_verbatim()
            if in_options:
                out.append(".PP")
            out.append(escape(line))
    end_verbatim()
    while out and out[-1] == ".PP":
        out.pop()
    kept = []
    for at, entry in enumerate(out):  # a paragraph begins before text only
        following = out[at + 1] if at + 1 < len(out) else ""
        if entry == ".PP" and (not kept or kept[-1].startswith((".SH", ".PP")) or following.startswith((".SH", ".TP", ".PP"))):
            continue
        kept.append(entry)
    return "\n".join(kept) + "\n"


def page(name, summary, text, version, others):
    usage, *lines = text.strip("\n").split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    synopsis = usage.removeprefix("Usage: ")
    see = ", ".join(f"{escape(other)}(1)" for other in others if other != name)
    return (f'.TH "{escape(name.upper())}" 1 "" "tidings {version}" "Tidings"\n.SH NAME\n{escape(name)} \\- {escape(summary)}\n'
            f".SH SYNOPSIS\n.B {escape(synopsis)}\n.SH DESCRIPTION\n{body(lines)}"
            f"{'' if 'status' in text else STATUS}.SH SEE ALSO\n{see}\n")


def main():
    binary, version, directory = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    overview = help_of(binary)
    verbs = dict(re.findall(r"^  ([a-z]+)  +(.*)$", overview, re.MULTILINE))
    names = ["tidings", *(f"tidings-{verb}" for verb in verbs)]
    directory.mkdir(parents=True, exist_ok=True)
    pages = {"tidings": page("tidings", "a real-time updates server", overview, version, names)}
    for verb, summary in verbs.items():
        pages[f"tidings-{verb}"] = page(f"tidings-{verb}", summary, help_of(binary, verb), version, names)
    for name, text in pages.items():
        (directory / f"{name}.1").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
