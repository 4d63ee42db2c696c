# SPDX-License-Identifier: Apache-2.0
"""The man pages: made from --help, one for each verb, without a word that roff takes for its own."""
import re
import shutil
import subprocess
import sys

import pytest

from conftest import BINARY, DEADLINE_S, ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, ROOT / "tools" / "make_man.py", BINARY, "1.2.3", directory], check=True,
                   timeout=DEADLINE_S)
    return {path.name: path for path in directory.iterdir()}


def help_of(*verb):
    return subprocess.run([BINARY, *verb, "--help"], check=True, capture_output=True, encoding="utf-8",
                          timeout=DEADLINE_S).stdout


def test_each_verb_has_one_and_it_is_installed(pages):
    verbs = re.findall(r"^  ([a-z]+)  ", help_of(), re.M)
    assert sorted(pages) == sorted(["tidings.1", *(f"tidings-{verb}.1" for verb in verbs)])
    installed = re.search(r"foreach verb : \[(.*?)\]", (ROOT / "meson.build").read_text(), re.S)[1]
    assert sorted(re.findall(r"'(\w+)'", installed)) == sorted(verbs)


def plain(roff):
    """The words of a page as they are read."""
    for code, text in (("\\-", "-"), ("\\(aq", "'"), ("\\(ga", "`"), ("\\&", ""), ("\\e", "\\")):
        roff = roff.replace(code, text)
    return re.sub(r"^\.[A-Z]+ ?|^\.(nf|fi)$", "", roff, flags=re.M)


def test_every_word_of_the_help_is_there(pages):
    for name, path in pages.items():
        verb = name.removeprefix("tidings").removeprefix("-").removesuffix(".1")
        said = help_of(*([verb] if verb else [])).replace("…", "...").split()
        shown = plain(path.read_text()).split()
        missing = [word for word in said if word not in shown and word != "Usage:"]
        assert missing == [], name


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_roff_has_nothing_to_say_against_them(pages):
    for path in pages.values():
        shown = subprocess.run(["man", "--warnings", "-l", str(path)], capture_output=True, text=True, check=True,
                               timeout=DEADLINE_S, env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        assert shown.stderr == "" and "SYNOPSIS" in shown.stdout
