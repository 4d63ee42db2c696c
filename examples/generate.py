#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agents of the example kind `generate`, an argument each.  Together they make a small program of a description: a store for the things
that the description speaks of, with tests, that really runs.  It lies below the data of the server, a directory for each project.
"""
import ast
import collections
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import zipfile

import check
import reports

STOP_WORDS = frozenset("""a an and are as at be by can for from has have i in into is it its of on or should so that the their they this to we who
    which with will app application build create make me my need please program small website want web each all their every""".split())
FIELDS_OF_ALL = ("id", "name")


def fail(code, message, details, *actions):
    reports.error(code, message, details, actions)
    sys.exit(1)


def root_of(document):
    return pathlib.Path(reports.work_dir("projects", document["params"]["project_id"], "generated", document["job_id"]))


def put(document, name, text):
    path = root_of(document) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {name}, {len(text.splitlines())} lines")


def singular(word):
    for end, by in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if word.endswith(end) and len(word) > len(end) + 2 and not word.endswith("ss"):
            return word[:-len(end)] + by
    return word


# --- the agents ----------------------------------------------------------------------------------------------------


def analyse(document):
    """Which things the description speaks of."""
    description = document["params"].get("description") or "A shop with products, customers and orders."
    words = [singular(word) for word in re.findall(r"[a-z]{3,}", description.lower()) if word not in STOP_WORDS]
    counts = collections.Counter(words)
    things = sorted(counts, key=lambda word: (-counts[word], words.index(word)))[:5]
    if not things:
        fail("nothing_to_make", "The description names nothing that a program could be made of.", description[:500],
             "Describe what it is about, such as: a shop with products, customers and orders.")
    print(f"{len(words)} words that matter; things: {', '.join(things)}")
    reports.result({"description": description, "things": things, "words": len(words)})


def design(document):
    """Which members each thing has, and which thing belongs to which."""
    things = document["results"]["generate-analyse"]["things"]
    models = {}
    for before, thing in zip([None, *things], things):
        models[thing] = [*FIELDS_OF_ALL, *([f"{before}_id"] if before else [])]
        print(f"{thing}: {', '.join(models[thing])}")
    put(document, "design.json", json.dumps(models, indent=2) + "\n")
    reports.result({"models": models})


def plan(document):
    """Which files there will be."""
    models = document["results"]["generate-design"]["models"]
    files = ["store.py", *(f"models/{thing}.py" for thing in models), "models/__init__.py", "tests.py", "README.md"]
    put(document, "plan.txt", "".join(f"{name}\n" for name in files))
    reports.result({"files": files})


def scaffold(document):
    """The directories and the files that hold things together."""
    things = document["results"]["generate-analyse"]["things"]
    put(document, "models/__init__.py", "".join(f"from models.{thing} import {thing.capitalize()}\n" for thing in things) +
        f"\n__all__ = {json.dumps([thing.capitalize() for thing in things])}\n")
    reports.result({"directories": ["models"]})


def model(document):
    """A class for each thing."""
    models = document["results"]["generate-design"]["models"]
    for done, (thing, fields) in enumerate(models.items(), 1):
        members = "".join(f"    {field}: {'int' if field.endswith('id') else 'str'}\n" for field in fields)
        put(document, f"models/{thing}.py",
            f'"""A {thing}."""\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass {thing.capitalize()}:\n{members}')
        reports.progress(100 * done / len(models), f"{thing} has a class")
    reports.result({"classes": len(models)})


def store(document):
    """Where the things are kept."""
    put(document, "store.py", '''"""Keeps things by their id."""


class Store:
    def __init__(self):
        self._things = {}

    def add(self, thing):
        if thing.id in self._things:
            raise KeyError(f"{thing.id} is there already")
        self._things[thing.id] = thing

    def get(self, id):
        return self._things[id]

    def find(self, **wanted):
        return [thing for thing in self._things.values()
                if all(getattr(thing, name) == value for name, value in wanted.items())]
''')
    reports.result({"file": "store.py"})


def tests(document):
    """Tests of each class with the store."""
    models = document["results"]["generate-design"]["models"]
    cases = []
    for thing, fields in models.items():
        name = thing.capitalize()
        values = ", ".join("1" if field.endswith("id") else f'"{thing}"' for field in fields)
        cases.append(f"    def test_{thing}_is_kept(self):\n        store = Store()\n        store.add(models.{name}({values}))\n"
                     f'        self.assertEqual(store.find(name="{thing}"), [store.get(1)])\n'
                     f"        with self.assertRaises(KeyError):\n            store.add(models.{name}({values}))\n")
    put(document, "tests.py", '"""Tests."""\nimport unittest\n\nimport models\nfrom store import Store\n\n\nclass Tests(unittest.TestCase):\n' +
        "\n".join(cases) + '\n\nif __name__ == "__main__":\n    unittest.main()\n')
    reports.result({"cases": len(cases)})


def readme(document):
    """What the model has written, below a title."""
    params, written = document["params"], document["results"]["generate-describe"]["text"]
    text = "\n".join(line.rstrip() for line in written.strip().split("\n"))
    put(document, "README.md", f"# {params.get('name') or params['project_id']}\n\n{text}\n")
    reports.result({"file": "README.md"})


def review(document):
    """The checker of `validate`, over everything."""
    root = root_of(document)
    files = check.files_below(root, [])
    count = check.check(root, files, 400)
    if count:
        fail("review", "What was generated does not pass the checker.", check.summary_of(files, count), "Read the log of this step.")
    classes = sum(isinstance(node, ast.ClassDef) for path in files if path.suffix == ".py"
                  for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    reports.result({"files": len(files), "classes": classes})


def run_tests(document):
    """The generated tests, run."""
    run = subprocess.run([sys.executable, "-B", "tests.py", "-v"], cwd=root_of(document), capture_output=True, text=True, check=False)
    for line in run.stderr.splitlines():
        print(line, flush=True)
    if run.returncode != 0:
        fail("tests_failed", "The generated tests fail.", run.stderr[-1000:], "Read the log of this step.")
    reports.result({"tests": int(re.search(r"Ran (\d+) test", run.stderr).group(1))})


def index(document):
    """What there is: each file with its size and digest."""
    root = root_of(document)
    files = {str(path.relative_to(root)): {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
             for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".zip"}
    put(document, "index.json", json.dumps(files, indent=2) + "\n")
    reports.result({"files": len(files), "bytes": sum(file["bytes"] for file in files.values())})


def package(document):
    """All of it in one file, which is read back and compared with the index."""
    root, results = root_of(document), document["results"]
    name = f"{document['params']['project_id']}.zip"
    with zipfile.ZipFile(root / name, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".zip":
                out.write(path, path.relative_to(root))
    with zipfile.ZipFile(root / name) as made:
        for file, entry in json.loads(made.read("index.json")).items():
            if hashlib.sha256(made.read(file)).hexdigest() != entry["sha256"]:
                fail("package", "The package does not hold what the index says.", file, "Generate it again.")
        count = len(made.namelist())
    print(f"packed {count} files into {name}, {(root / name).stat().st_size} bytes")
    reports.result({"directory": str(root), "package": str(root / name), "files": count,
                    "things": results["generate-analyse"]["things"], "tests": results["generate-test"]["tests"]})


if __name__ == "__main__":
    {"analyse": analyse, "design": design, "plan": plan, "scaffold": scaffold, "model": model, "store": store, "tests": tests,
     "readme": readme, "review": review, "test": run_tests, "index": index, "package": package}[sys.argv[1]](reports.document())
