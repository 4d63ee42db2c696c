# SPDX-License-Identifier: Apache-2.0
"""What the documents say is run, or compared with the program.

Fenced blocks of docs/protocol.md and README.md that begin with one of these words are examples:

```console
$ command
expected output
```
    Each command is run by bash, with `tidings` in PATH; a line that ends with a backslash, or that leaves a quote open, goes
    on in the next one.  What follows, up to the next `$ `, must be all that it prints on both outputs.

```console stays
    The block's one command goes on while the blocks after it are run; it has begun when the first expected line has come, and
    at the end of the section (a curl: when the server is killed) it must have printed all of them and nothing else.

```json websocket
GET /path [without a token]
> sent
< received
< close CODE REASON
    A conversation.  At its end nothing more may have come than what is written.

In what is expected, `…` stands for any text within a line, and a line of `…` for any lines.  A position such as
`9f3c21aa.17` stands for whichever the server gives at its place; from then on, in the whole section, it is that one, in what
is sent too.  Each section (`## `) has a server of its own, which stands for http://127.0.0.1:8000.
"""
import asyncio
import pathlib
import re
import subprocess

import pytest
import requests
import websockets

from conftest import BINARY, DEADLINE_S, ROOT, Process, until

DOCS = ["docs/protocol.md", "README.md"]
URL = "http://127.0.0.1:8000"
POSITION = re.compile(r"\b[0-9a-f]{8}\.[0-9]+\b")
# What the reader does to the server, and the test to its own.
START, KILL = "./dev up", "pkill -9 -f 'tidings dev'"


# --- reading documents ---

class Block:
    def __init__(self, info, line):
        self.info, self.line, self.lines = info, line, []

    def __repr__(self):
        return f"the block at line {self.line}"


def sections(path):
    """The examples of a document: a list of blocks for each heading that has some."""
    found, blocks, block = {}, [], None
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        if block is not None:
            if line == "```":
                block = None
            else:
                block.lines.append(line)
        elif line.startswith("```"):
            block = Block(line[3:].strip(), number)
            if block.info.startswith("console") or block.info == "json websocket":
                blocks.append(block)
        elif line.startswith(("# ", "## ")):
            blocks = found.setdefault(line.lstrip("# "), [])
    assert block is None, f"{path}: a fence is not closed"
    return {title: blocks for title, blocks in found.items() if blocks}


def table(path, header):
    """The rows of the table whose header line begins with `header`, each a list of cells."""
    lines = (ROOT / path).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def commands(block):
    """(command, expected lines) for each command of a console block."""
    steps, unfinished = [], False
    for line in block.lines:
        if unfinished:
            steps[-1][0] += "\n" + line
        elif line.startswith("$ "):
            steps.append([line[2:], []])
        else:
            assert steps, f"{block} begins without a command"
            steps[-1][1].append(line)
            continue
        unfinished = steps[-1][0].endswith("\\") or steps[-1][0].count("'") % 2 == 1
    return steps


# --- comparing ---

class Bindings:
    """Which real position each written one stands for."""

    def __init__(self, url):
        self.url, self.real = url, {}

    def fill(self, text):
        """What is sent."""
        return POSITION.sub(lambda written: self.real[written.group()], text).replace(URL, self.url)

    def match(self, expected, text):
        """Whether `text` is as the lines say; positions seen for the first time are bound then."""
        new, parts = [], []
        for line in expected:
            if line == "…":
                parts.append(r"(?:.*\n)*?")
                continue
            parts.append("".join(self.pattern(piece, new)
                                 for piece in re.split(r"(…|\b[0-9a-f]{8}\.[0-9]+\b)",
                                                       line.replace(URL, self.url))) + r"\n")
        found = re.fullmatch("".join(parts), text if text.endswith("\n") or not text else text + "\n")
        if found:
            self.real.update({written: found[f"p{i}"] for i, written in enumerate(new)})
            self.check_order()
        return found is not None

    def pattern(self, piece, new):
        if piece == "…":
            return ".*"
        if not POSITION.fullmatch(piece):
            return re.escape(piece)
        if piece in self.real:
            return re.escape(self.real[piece])
        if piece in new:
            return f"(?P=p{new.index(piece)})"
        new.append(piece)
        return f"(?P<p{len(new) - 1}>[0-9a-f]{{8}}\\.[0-9]+)"

    def check_order(self):
        """Positions are written in the order that they really have."""
        written = sorted(self.real, key=lambda text: int(text.split(".")[1]))
        real = [int(self.real[text].split(".")[1]) for text in written]
        assert real == sorted(set(real)), f"{self.real}: not in order"


# --- running ---

class Run:
    """The examples of one section."""

    def __init__(self, server):
        self.server = server
        self.bindings = Bindings(server.url)
        self.token = server.token(ttl="1h")
        self.staying = []  # (block, how to read the output, expected)
        self.env = server.env(self.token)
        self.env["AUTH"] = f"Authorization: Bearer {self.token}"
        self.env["PATH"] = f"{pathlib.Path(BINARY).parent}:{self.env['PATH']}"

    def section(self, blocks):
        for block in blocks:
            if block.info == "json websocket":
                asyncio.run(self.conversation(block))
            elif block.info == "console stays":
                self.stay(block)
            else:
                assert block.info == "console", f"{block}: unknown kind '{block.info}'"
                for command, expected in commands(block):
                    self.command(block, command, expected)
        for block, output, expected in self.staying:
            self.compare(block, output, expected)

    def command(self, block, command, expected):
        if command == KILL:
            assert not expected
            self.end_curls()
            self.server.kill9()
            return
        done = subprocess.run(["bash", "-c", self.bindings.fill(command)], env=self.env,
                              cwd=self.server.directory, stdin=subprocess.DEVNULL, timeout=DEADLINE_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.bindings.match(expected, done.stdout), \
            f"{block}: {command}\nprinted\n{done.stdout}\nnot\n" + "\n".join(expected)

    def end_curls(self):
        """A curl ends with its server: what it should have got has to be there before the kill."""
        curls = [staying for staying in self.staying if staying[0].lines[0].startswith("$ curl")]
        for staying in curls:
            self.compare(*staying)
            self.staying.remove(staying)

    def stay(self, block):
        [(command, expected)] = commands(block)
        if command == START:
            skip = len(self.server.log()) if self.server.process.poll() is not None else 0
            if skip:
                self.server.start()
            output = lambda: self.server.log()[skip:]
        else:
            script = f"cd '{self.server.directory}'; exec 2>&1; exec {self.bindings.fill(command)}"
            process = Process(["bash", "-c", script], self.server.directory, f"line-{block.line}",
                              env=self.env)
            self.server.started.append(process)
            output = process.out
        until(lambda: self.begun(expected, output()), f"{block} begins; it printed {output()!r}")
        self.staying.append((block, output, expected))

    def begun(self, expected, text):
        first = [line for line in expected if line not in ("…", "")][:1]
        return any(Bindings(self.server.url).match(first, line) for line in text.split("\n")[:-1])

    def compare(self, block, output, expected):
        try:
            until(lambda: self.bindings.match(expected, output()), f"{block} is as written")
        except AssertionError as error:
            raise AssertionError(f"{error}\nprinted\n{output()}\nnot\n" + "\n".join(expected))

    async def conversation(self, block):
        request = re.fullmatch(r"GET (\S+)( without a token)?", block.lines[0])
        assert request, f"{block} begins without a request"
        url = self.bindings.fill(URL + request[1]).replace("http", "ws", 1)
        headers = {} if request[2] else {"Authorization": f"Bearer {self.token}"}
        async with websockets.connect(url, extra_headers=headers) as socket:
            for line in block.lines[1:]:
                if line.startswith("> "):
                    await socket.send(self.bindings.fill(line[2:]).replace("$TIDINGS_TOKEN", self.token))
                else:
                    said = await self.receive(socket)
                    assert line.startswith("< ") and self.bindings.match([line[2:]], said), \
                        f"{block}: received\n{said}\nnot\n{line}"
            if socket.open:
                await socket.send("ping")
                assert await self.receive(socket) == "pong", f"{block}: more was received"

    @staticmethod
    async def receive(socket):
        try:
            return await asyncio.wait_for(socket.recv(), DEADLINE_S)
        except websockets.ConnectionClosed as closed:
            return f"close {closed.rcvd.code} {closed.rcvd.reason}"


EXAMPLES = [(path, title) for path in DOCS for title in sections(path)]


@pytest.mark.parametrize("path, title", EXAMPLES, ids=[f"{p}: {t}" for p, t in EXAMPLES])
def test_examples(server, path, title):
    Run(server).section(sections(path)[title])


def test_examples_are_found():
    assert {path for path, _ in EXAMPLES} == set(DOCS)


# --- comparing with the program ---

def test_errors_are_all_documented():
    source = (ROOT / "src/base/err.def").read_text()
    defined = re.findall(r'^TD_ERR\(\w+,\s*\d+,\s*"(\w+)",\s*(\d+),\s*(\d+),\s*"([^"]*)"\)', source, re.M)
    assert len(defined) == len(re.findall(r"^TD_ERR\(", source, re.M)) > 0
    documented = [(code.strip("`"), http, close, hint)
                  for code, http, close, hint in table("docs/protocol.md", "| code | HTTP |")]
    assert documented == defined


def test_metrics_are_all_documented(server):
    shown = re.findall(r"^# HELP (\S+) (.*)$", requests.get(f"{server.url}/metrics", timeout=DEADLINE_S).text, re.M)
    documented = [(name.strip("`"), text) for name, text in table("docs/protocol.md", "| metric |")]
    assert documented == shown and len(shown) > 0
    named = {name for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
             for name in re.findall(r"`(tidings_[a-z_]+)`", path.read_text())}
    assert named <= {name for name, _ in shown}


def test_limits_are_as_configured():
    options = dict(re.findall(r"^\| `([a-z_.]+)` \|[^|]*\| `([^`]*)` \|", (ROOT / "docs/configuration.md").read_text(), re.M))
    rows = table("docs/protocol.md", "| what | option |")
    assert {row[1].strip("`"): row[2].strip("`") for row in rows}.items() <= options.items()
    assert {name for name in options if name.startswith(("limits.", "heartbeat."))} <= {row[1].strip("`") for row in rows}


def tidings(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=DEADLINE_S,
                          stdin=subprocess.DEVNULL)


def verbs():
    return re.findall(r"^  ([a-z]+)  ", tidings("--help").stdout, re.M)


def test_each_verb_is_documented():
    rows = table("README.md", "| verb |")
    assert sorted(re.match(r"`tidings (\w+)", row[0])[1] for row in rows) == sorted(verbs())


@pytest.mark.parametrize("verb", verbs())
def test_verb_helps(verb):
    helped = tidings(verb, "--help")
    assert helped.returncode == 0 and helped.stdout.startswith(f"Usage: tidings {verb}") and not helped.stderr


def test_verbs_that_documents_name_exist():
    known = set(verbs())
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        named = set(re.findall(r"`tidings ([a-z]+)", path.read_text()))
        assert named <= known, f"{path.name} names {named - known}"


def test_links_lead_somewhere():
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text()
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
            other = path.parent / target if target else path
            assert other.exists(), f"{path.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
                slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
                assert anchor in slugs, f"{path.name}: #{anchor}"
