#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The steps of the example kind `iterate` that are no question to the model, an argument each:

    files   copies the proposal's files, on the first iteration, and puts those that are meant into a prompt
    apply   takes the files out of the model's answer and writes them into the copy
    check   checks what was written

The copy lies below the data of the server (TIDINGS_WORK), a directory for each proposal, and the next iteration goes on with it.
"""
import io
import json
import os
import pathlib
import re
import shutil
import sys

import check
import reports

PROMPT_MAX = 60_000
SAMPLE = pathlib.Path(__file__).resolve().parent / "demo"


def fail(code, message, details="", *actions):
    reports.error(code, message, details, actions)
    sys.exit(1)


def copy_of(params):
    copy = pathlib.Path(reports.work_dir("projects", params["project_id"], "proposals", params["proposal_id"])) / "files"
    if not copy.exists():
        shutil.copytree(SAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy.resolve()


def files(document):
    """The model is asked for whole files, so it is shown whole files."""
    params = document["params"]
    root = copy_of(params)
    try:
        paths = check.files_below(root, [params.get("path") or "src/till.py"])
    except ValueError as error:
        fail("no_such_file", f"There is nothing to change: {error}.", "",
             "Name a file or a directory of the sample project, such as src/till.py or drafts.")
    names = [str(path.relative_to(root)) for path in paths]
    prompt = "\n".join(f"File: {name}\n````\n{path.read_text(encoding='utf-8')}````\n" for name, path in zip(names, paths))
    if len(prompt) > PROMPT_MAX:
        fail("too_much", "These files are too much for one question.", f"{len(prompt)} characters", "Name fewer files.")
    print(f"asking about {', '.join(names)}")
    reports.result({"files": names, "prompt": prompt})


def answer_in(text):
    """The JSON object with `files` in an answer: fenced, as asked for, or bare."""
    candidates = [found.group(1) for found in re.finditer(r"```(?:json)?[ \t]*\n(.*?)\n```[ \t]*(?:\n|$)", text, re.DOTALL)]
    candidates += re.findall(r"\{.*\}", text, re.DOTALL)
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("files"), list):
            return value
    return None


def target_in(root, name):
    """Where a file that the model names is to be written; None where that is not below the root."""
    path = (root / name).resolve()
    return path if root in path.parents and not path.is_dir() else None


def apply(document):
    root = copy_of(document["params"])
    text = document["results"]["iterate-ask"]["text"]
    answer = answer_in(text)
    if answer is None:
        fail("no_files", "The model's answer holds no files.", text[-500:], "Ask again, and say what is to be changed.")
    modified = []
    for file in answer["files"]:
        if not (isinstance(file, dict) and isinstance(file.get("path"), str) and isinstance(file.get("content"), str)):
            fail("no_files", "The model's answer names a file in a form that nobody asked for.", json.dumps(file)[:500],
                 "Ask again.")
        path = target_in(root, file["path"])
        if path is None:
            fail("outside", "The model wants to write outside of the proposal.", file["path"], "Ask again.")
        if path.exists() and path.read_text(encoding="utf-8") == file["content"]:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(file["content"], encoding="utf-8")
        os.replace(part, path)
        modified.append(str(path.relative_to(root)))
        print(f"wrote {modified[-1]}")
    reports.result({"files_modified": modified, "summary": str(answer.get("summary", ""))[:500]})


def check_copy(document):
    root = copy_of(document["params"])
    done = document["results"]["iterate-apply"]
    paths = [root / name for name in done["files_modified"]]
    said = io.StringIO()
    stderr, sys.stderr = sys.stderr, said
    count = check.check(root, paths, 120)
    sys.stderr = stderr
    sys.stderr.write(said.getvalue())
    reports.result({
        "files_modified": done["files_modified"],
        "validation": {"status": "failed" if count else "passed", "summary": check.summary_of(paths, count),
                       "faults": said.getvalue().splitlines()[:20]},
        "summary": done["summary"],
        "directory": str(root),
    })


if __name__ == "__main__":
    {"files": files, "apply": apply, "check": check_copy}[sys.argv[1]](reports.document())
