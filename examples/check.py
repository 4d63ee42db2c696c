#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks files: the syntax of Python, JSON and YAML, the length of lines, blanks at their ends, the last newline.

    check.py [--max-line 120] [--root DIR] [PATH…]

PATHs are files or directories below the root (default: demo, beside this file; without one: all of it but its drafts).  It says what
it does on standard output, what is wrong on standard error, a line each; 0 when nothing is, 1 when something is, 2 when it can't check.

As a job of Tidings it also reports on descriptor 3: progress, and what is worth a try where it can't check.
"""
import argparse
import io
import json
import pathlib
import sys
import tokenize

import reports

try:
    import yaml
except ImportError:
    yaml = None

HERE = pathlib.Path(__file__).resolve().parent


def syntax_of_python(text):
    try:
        compile(text, "file", "exec")
        for _ in tokenize.generate_tokens(io.StringIO(text).readline):
            pass
    except (SyntaxError, tokenize.TokenError, ValueError) as error:
        yield getattr(error, "lineno", None) or 1, f"not valid Python: {getattr(error, 'msg', error)}"


def syntax_of_json(text):
    try:
        json.loads(text)
    except ValueError as error:
        yield getattr(error, "lineno", 1), f"not valid JSON: {getattr(error, 'msg', error)}"


def syntax_of_yaml(text):
    """With python3-yaml all of it; without, what goes wrong most: tabs."""
    for number, line in enumerate(text.split("\n"), 1):
        if line[:len(line) - len(line.lstrip())].count("\t"):
            yield number, "a tab in the indentation"
    if yaml is None:
        return
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        yield mark.line + 1 if mark else 1, f"not valid YAML: {getattr(error, 'problem', error)}"


SYNTAX = {".py": syntax_of_python, ".json": syntax_of_json, ".yaml": syntax_of_yaml, ".yml": syntax_of_yaml}


def faults_of(path, max_line):
    """(line, what is wrong), in the order of the lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return [(1, f"not UTF-8: byte {error.start}")]
    faults = list(SYNTAX.get(path.suffix, lambda _: ())(text))
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > max_line:
            faults.append((number, f"{len(line)} characters, {max_line} are allowed"))
        if line != line.rstrip():
            faults.append((number, "blanks at its end"))
    if text and not text.endswith("\n"):
        faults.append((text.count("\n") + 1, "no newline at the end of the file"))
    return sorted(faults)


def files_below(root, paths):
    """The files that are meant, in order; raises ValueError for a path that is not below the root or not there."""
    if not paths:
        return sorted(path for path in root.rglob("*") if path.is_file() and "drafts" not in path.relative_to(root).parts)
    found = []
    for name in paths:
        path = (root / name).resolve()
        if path != root and root not in path.parents:
            raise ValueError(f"{name} is not below {root.name}")
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise ValueError(f"{name}: there is no such file")
    return found


def check(root, files, max_line):
    """Checks them aloud; returns how many faults there are."""
    count = 0
    for done, path in enumerate(files):
        faults = faults_of(path, max_line)
        name = path.relative_to(root)
        print(f"{name}: {'ok' if not faults else f'{len(faults)} found'}", flush=True)
        for line, what in faults:
            print(f"{name}:{line}: {what}", file=sys.stderr, flush=True)
        count += len(faults)
        reports.progress(100 * (done + 1) / len(files), f"checked {name}")
    return count


def summary_of(files, count):
    return f"{len(files)} file{'s' * (len(files) != 1)} checked, " + (
        "nothing found" if count == 0 else f"{count} fault{'s' * (count != 1)} found")


def main():
    parser = argparse.ArgumentParser(description="Checks files.")
    parser.add_argument("--root", type=pathlib.Path, default=HERE / "demo")
    parser.add_argument("--max-line", type=int, default=120)
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    root = options.root.resolve()
    try:
        files = files_below(root, options.paths)
    except ValueError as error:
        print(f"check: {error}", file=sys.stderr)
        reports.error("no_such_file", f"It can't check that: {error}.", suggested_actions=[
            "Name a file or a directory of the sample project, such as src/till.py or drafts."])
        return 2
    count = check(root, files, options.max_line)
    print(summary_of(files, count))
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
