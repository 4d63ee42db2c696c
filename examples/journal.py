#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The steps of the example kind `journal`, an argument each: collect, write, bind.

A journal is made of texts: the files of a directory of the sample project.  `collect` reads them, `write` writes pages about them, as many as
are asked for, and `bind` adds the contents and puts all of it into one file below the data of the server.
"""
import collections
import hashlib
import pathlib
import re
import sys

import reports

SAMPLE = pathlib.Path(__file__).resolve().parent / "demo"


def fail(code, message, details, *actions):
    reports.error(code, message, details, actions)
    sys.exit(1)


def words_of(text):
    return re.findall(r"[^\W\d_]{3,}", text.lower())


def collect(document):
    """What there is to write about."""
    source = document["params"].get("source") or "."
    root = (SAMPLE / source).resolve()
    if root != SAMPLE and SAMPLE not in root.parents or not root.is_dir():
        names = sorted(path.name for path in SAMPLE.iterdir() if path.is_dir())
        fail("no_such_source", f"There is no directory {source} to write about.", f"Looked in the sample project: {', '.join(names)}",
             f"Take one of these as `source`: {', '.join(names)}.", "Leave `source` out to write about all of it.")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = []
    for done, path in enumerate(files, 1):
        text = path.read_text(encoding="utf-8")
        texts.append({"name": str(path.relative_to(SAMPLE)), "lines": text.count("\n"), "words": len(words_of(text)),
                      "often": [word for word, _ in collections.Counter(words_of(text)).most_common(5)],
                      "digest": hashlib.sha256(text.encode()).hexdigest()[:12]})
        reports.progress(100 * done / len(files), f"read {texts[-1]['name']}")
    reports.result({"texts": texts})


def page(number, text, all_words):
    """A page about a text, and how much of its words the others have too."""
    shared = [word for word in text["often"] if all_words[word] > 1]
    return (f"## {number}. {text['name']}\n\n{text['lines']} lines, {text['words']} words, digest {text['digest']}. It speaks most of "
            f"{', '.join(text['often'][:3]) or 'nothing'}"
            f"{'; others speak of ' + ', '.join(shared) + ' too' if shared else ''}.\n")


def draft_of(document):
    return pathlib.Path(reports.work_dir("journals", document["job_id"]))


def write(document):
    texts = document["results"]["journal-collect"]["texts"]
    pages = int(document["params"].get("pages") or len(texts))
    all_words = collections.Counter(word for text in texts for word in text["often"])
    with open(draft_of(document) / "pages.md", "w", encoding="utf-8") as out:
        for number in range(1, pages + 1):
            text = texts[(number - 1) % len(texts)]
            out.write(page(number, text, all_words) + "\n")
            out.flush()
            reports.progress(100 * number / pages, f"wrote page {number} of {pages}: {text['name']}")
    reports.result({"pages": pages})


def bind(document):
    directory = draft_of(document)
    pages = (directory / "pages.md").read_text(encoding="utf-8")
    reports.progress(30, "listing the contents")
    contents = re.findall(r"^## (.*)$", pages, re.MULTILINE)
    title = document["params"].get("title") or "Journal"
    whole = f"# {title}\n\n" + "".join(f"- {line}\n" for line in contents) + "\n" + pages
    reports.progress(60, "binding")
    (directory / "journal.md").write_text(whole, encoding="utf-8")
    (directory / "pages.md").unlink()
    reports.result({"title": title, "pages": len(contents), "words": len(words_of(whole)), "bytes": len(whole.encode()),
                    "file": str(directory / "journal.md")})


if __name__ == "__main__":
    {"collect": collect, "write": write, "bind": bind}[sys.argv[1]](reports.document())
