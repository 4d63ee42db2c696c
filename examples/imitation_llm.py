#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a language model, for development and tests.

It speaks the wire format of OpenAI's chat completions and knows nothing: what it answers is made of the words of the
prompt by fixed rules, and every answer says so.

    imitation_llm.py [--port 0] [--delay 0.02] [--key KEY]

The first line of its output is the URL to name as the upstream, `http://127.0.0.1:PORT/v1`.  It ends when its standard
input does, so that nothing outlives the program that started it (--stay: it goes on).

    POST /v1/chat/completions   with "stream" true or false
    GET  /v1/models
    GET  /stats                 requests so far; `closed_early`: connections that the client closed in the middle

What it answers depends on the last message of the user:

    files in it, each as a line `File: NAME` and a fenced block (or the JSON {"files":[{"path","content"}]})
                                -> a fenced block of JSON, {"summary","files":[{"path","content"}]}, with changed files
    "enhance", "improve", "rewrite", "clearer" or the like
                                -> the prompt in a structured form
    anything else               -> an outline of what was asked

The model's name chooses how it behaves; `imitation@0.5` is `imitation` with half a second between tokens:

    imitation          answers
    imitation-busy     503, with Retry-After
    imitation-silent   takes the request and says nothing until the client closes
    imitation-cut      ends its answer in the middle, without a word
    imitation-fails    reports an error in the middle of the stream
"""
import argparse
import json
import re
import select
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOTICE = "This is an imitation of a language model: it only rearranges what it was given."
MODELS = ("imitation", "imitation-busy", "imitation-silent", "imitation-cut", "imitation-fails")
BODY_MAX = 32 * 1024 * 1024

# --- what it answers -----------------------------------------------------------------------------------------------

FENCED_FILE = re.compile(r"^(?:#+ *)?(?:File|Path): *`?([^\s`]+)`?[ \t]*\n+(`{3,}|~{3,})[^\n]*\n(.*?)^\2[ \t]*$",
                         re.MULTILINE | re.DOTALL)
QUOTED = r"[`'\"]([^`'\"\n]+)[`'\"]"
REPLACE = re.compile(rf"(?:rename|replace|change) +{QUOTED} +(?:to|by|with|into) +{QUOTED}", re.IGNORECASE)
ENHANCE = re.compile(r"\b(enhanc|improv|rewrit|refin|rephras|clearer|optimi[sz]e (?:the|this|my) prompt)", re.IGNORECASE)
PROMPT_MARK = re.compile(r"\b(?:prompt|text|request|idea)\s*:\s*", re.IGNORECASE)
STOP_WORDS = frozenset("""a about an and are as at be by can do for from has have how i if in into is it its me my no not of on or our
    please should so that the their them then there these they this to us was we what when which will with write you
    your""".split())


def words_of(text):
    """The words that carry the meaning, most frequent first."""
    counts = {}
    for word in re.findall(r"[^\W\d_][\w-]{2,}", text):
        if word.lower() not in STOP_WORDS:
            counts[word.lower()] = counts.get(word.lower(), 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], text.lower().find(word)))


def sentences_of(text):
    parts = re.split(r"(?<=[.!?])\s+|\n+", text.strip())
    return [part.strip(" \t-*") for part in parts if part.strip(" \t-*")]


def subject_of(text):
    """What is to be rewritten: a fenced block, what stands below a first line with a colon or behind `Prompt:`, or all of it."""
    fenced = re.search(r"```[^\n]*\n(.*?)```", text, re.DOTALL)
    if fenced:
        return fenced.group(1).strip()
    first, _, rest = text.strip().partition("\n")
    if first.rstrip().endswith(":") and rest.strip():
        return rest.strip()
    marks = list(PROMPT_MARK.finditer(text))
    if marks and text[marks[0].end():].strip():
        return text[marks[0].end():].strip()
    return text.strip()


def enhance(text):
    subject = subject_of(text)
    sentences = sentences_of(subject) or ["(nothing was given)"]
    topics = words_of(subject)[:6] or ["the task"]
    lines = [f"> {NOTICE}", "", "## Goal", "", sentences[0], "", "## Context", ""]
    lines += [f"- {sentence}" for sentence in sentences[1:]] or ["- (none was given; say who it is for, and why)"]
    lines += ["", "## Requirements", ""]
    lines += [f"{i}. Be specific about **{topic}**." for i, topic in enumerate(topics, 1)]
    lines += ["", "## Form of the answer", "", "- Begin with the result, then explain it.",
              "- Name what you assume.", f"- Say how one can tell that {topics[0]} is done well.", ""]
    return "\n".join(lines)


def outline(text):
    sentences = sentences_of(text) or ["(nothing was asked)"]
    lines = [f"> {NOTICE}", "", f"You asked: {sentences[0]}", "", "An outline of it:", ""]
    for i, topic in enumerate(words_of(text)[:5] or ["it"], 1):
        about = next((s for s in sentences if topic in s.lower()), sentences[0])
        lines.append(f"{i}. **{topic.capitalize()}**: {about}")
    return "\n".join(lines + [""])


COMMENTS = {"py": "# ", "sh": "# ", "yaml": "# ", "yml": "# ", "toml": "# ", "rb": "# ", "c": "// ", "h": "// ",
            "js": "// ", "ts": "// ", "go": "// ", "rs": "// ", "java": "// ", "css": "/* ", "html": "<!-- ",
            "md": "<!-- ", "sql": "-- "}
ENDS = {"/* ": " */", "<!-- ": " -->"}
REVISION = "Revision "


def with_revision(name, content, request):
    """A comment that counts the revisions; where there are no comments, another indentation."""
    if name.endswith(".json"):
        try:
            value = json.loads(content)
        except ValueError:
            return content
        indent = 4 if content.startswith("{\n  \"") or content.startswith("[\n  ") else 2
        return json.dumps(value, indent=indent, ensure_ascii=False) + "\n"
    begin = COMMENTS.get(name.rpartition(".")[2].lower(), "")
    end = ENDS.get(begin, "")
    about = re.sub(r"[^ -~]|--|\*/", " ", request)[:60].strip()
    lines = content.split("\n")
    at = 1 if lines[0].startswith("#!") else 0
    found = re.match(re.escape(begin + REVISION) + r"(\d+): ", lines[at]) if at < len(lines) else None
    line = f"{begin}{REVISION}{int(found.group(1)) + 1 if found else 1}: {about}{end}"
    return "\n".join(lines[:at] + [line] + lines[at + (1 if found else 0):])


def changed(name, content, request):
    """What it makes of a file: the replacements that the request names, no blanks at the ends of lines, one newline at the
    end; and a line that says which revision this is, when none of that changed anything."""
    new = content
    for old, by in REPLACE.findall(request):
        edge = r"\b" if re.fullmatch(r"\w+", old) else ""
        new = re.sub(edge + re.escape(old) + edge, lambda _, by=by: by, new)
    new = "\n".join(line.rstrip() for line in new.split("\n")).rstrip("\n") + "\n"
    return new if new != content else with_revision(name, content, request)


def files_in(text):
    """The files of a prompt, as (name, content), and what is left of it."""
    found = FENCED_FILE.findall(text)
    if found:
        return [(name, content) for name, _, content in found], FENCED_FILE.sub("", text)
    for start in (m.start() for m in re.finditer(r"\{", text)):
        try:
            value, end = json.JSONDecoder().raw_decode(text[start:])
        except ValueError:
            continue
        files = value.get("files") if isinstance(value, dict) else None
        if isinstance(files, list) and files and all(
                isinstance(f, dict) and isinstance(f.get("path"), str) and isinstance(f.get("content"), str) for f in files):
            return [(f["path"], f["content"]) for f in files], text[:start] + text[start + end:]
    return [], text


def iterate(files, request):
    about = (sentences_of(request) or ["no instruction"])[0]
    answer = {"summary": f"Revised {len(files)} file(s) as asked: {about}",
              "files": [{"path": name, "content": changed(name, content, about if not REPLACE.search(request) else request)}
                        for name, content in files]}
    return f"> {NOTICE}\n\n```json\n{json.dumps(answer, indent=1, ensure_ascii=False)}\n```\n"


def text_of(content):
    """The content of a message: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def answer_to(request):
    users = [text_of(m.get("content")) for m in request["messages"] if isinstance(m, dict) and m.get("role") == "user"]
    prompt = users[-1] if users else ""
    system = " ".join(text_of(m.get("content")) for m in request["messages"]
                      if isinstance(m, dict) and m.get("role") == "system")
    files, rest = files_in(prompt)
    if files:
        text = iterate(files, rest)
    elif ENHANCE.search(prompt) or ENHANCE.search(system):
        text = enhance(prompt)
    else:
        text = outline(prompt)
    if isinstance(request.get("response_format"), dict) and request["response_format"].get("type") == "json_object":
        block = re.search(r"```json\n(.*)\n```", text, re.DOTALL)
        value = json.loads(block.group(1)) if block else {"answer": text}
        text = json.dumps({"note": NOTICE, **value}, ensure_ascii=False)
    return text


def tokens_of(text):
    return re.findall(r"\s*\S{1,6}|\s+", text)


# --- how it says it ------------------------------------------------------------------------------------------------


class Stats:
    """Counts, from all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {"requests": 0, "streams": 0, "finished": 0, "closed_early": 0, "active": 0, "tokens": 0}

    def add(self, name, n=1):
        with self.lock:
            self.counts[name] += n

    def read(self):
        with self.lock:
            return dict(self.counts)


class ClosedEarly(Exception):
    """The client has closed its connection before the answer was whole."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "imitation"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def send_json(self, status, value, headers=()):
        body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, message, code, headers=()):
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.send_json(status, {"error": {"message": message, "type": kind, "param": None, "code": code}}, headers)

    def authorized(self):
        if self.server.key is None or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return True
        self.refuse(401, "Incorrect API key provided.", "invalid_api_key")
        return False

    def do_GET(self):
        if self.path == "/stats":
            self.send_json(200, self.server.stats.read())
        elif self.path == "/v1/models":
            if self.authorized():
                self.send_json(200, {"object": "list", "data": [
                    {"id": name, "object": "model", "created": 0, "owned_by": "imitation"} for name in MODELS]})
        else:
            self.refuse(404, f"There is no {self.path} here.", "not_found")

    def do_POST(self):
        self.close_connection = True
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return self.refuse(411, "Send a Content-Length.", "length_required")
        if not 0 <= length <= BODY_MAX:
            return self.refuse(413, "The request is too long.", "too_long")
        body = self.rfile.read(length)
        if self.path.partition("?")[0] != "/v1/chat/completions":
            return self.refuse(404, f"There is no {self.path} here.", "not_found")
        if not self.authorized():
            return None
        try:
            request = json.loads(body)
            if not isinstance(request["messages"], list) or not isinstance(request["model"], str):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return self.refuse(400, "Send a JSON object with a model and messages.", "bad_request")
        return self.complete(request)

    def complete(self, request):
        name, _, delay = request["model"].partition("@")
        if name not in MODELS:
            return self.refuse(404, f"The model {name} does not exist.", "model_not_found")
        try:
            delay = float(delay) if delay else self.server.delay
        except ValueError:
            return self.refuse(404, f"The model {request['model']} does not exist.", "model_not_found")
        stats = self.server.stats
        stats.add("requests")
        if name == "imitation-busy":
            return self.refuse(503, "The model is overloaded.", "overloaded", [("Retry-After", "1")])
        stats.add("active")
        try:
            self.answer(request, name, delay)
            stats.add("finished")
        except (ClosedEarly, BrokenPipeError, ConnectionResetError):
            stats.add("closed_early")
        finally:
            stats.add("active", -1)
        return None

    def answer(self, request, name, delay):
        if name == "imitation-silent":
            while True:
                self.wait(3600)
        tokens = tokens_of(answer_to(request))
        limit = request.get("max_completion_tokens") or request.get("max_tokens")
        reason = "stop"
        if isinstance(limit, int) and 0 < limit < len(tokens):
            tokens, reason = tokens[:limit], "length"
        asked = sum(len(tokens_of(text_of(m.get("content")))) for m in request["messages"] if isinstance(m, dict))
        usage = {"prompt_tokens": asked, "completion_tokens": len(tokens), "total_tokens": asked + len(tokens)}
        if request.get("stream"):
            self.stream(request, name, delay, tokens, reason, usage)
        else:
            for _ in tokens:
                self.wait(delay)
            self.server.stats.add("tokens", len(tokens))
            self.send_json(200, {**self.frame("chat.completion", request), "usage": usage, "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "".join(tokens)}, "finish_reason": reason}]})

    def frame(self, kind, request):
        return {"id": f"chatcmpl-{id(self):x}", "object": kind, "created": int(time.time()), "model": request["model"]}

    def wait(self, seconds):
        """Waits; raises ClosedEarly when the client closes meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ClosedEarly

    def send_event(self, data):
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        bytes_ = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(bytes_), bytes_))
        self.wfile.flush()

    def stream(self, request, name, delay, tokens, reason, usage):
        self.server.stats.add("streams")
        frame = self.frame("chat.completion.chunk", request)
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))

        def chunk(delta, finish=None):
            more = {"usage": None} if with_usage else {}
            self.send_event({**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk({"role": "assistant", "content": ""})
        for i, token in enumerate(tokens):
            self.wait(delay)
            if i == len(tokens) // 2 and name == "imitation-cut":
                break
            if i == len(tokens) // 2 and name == "imitation-fails":
                self.send_event({"error": {"message": "The model has run out of imitation.", "type": "server_error",
                                           "param": None, "code": None}})
                break
            chunk({"content": token})
            self.server.stats.add("tokens")
        else:
            chunk({}, reason)
            if with_usage:
                self.send_event({**frame, "choices": [], "usage": usage})
            self.send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address, delay, key):
        super().__init__(address, Handler)
        self.delay = delay
        self.key = key
        self.stats = Stats()

    def handle_error(self, request, client_address):
        """A client that went away is no event."""


def main():
    parser = argparse.ArgumentParser(description="A stand-in for a language model, for development and tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds between tokens")
    parser.add_argument("--key", help="the API key that requests must have")
    parser.add_argument("--stay", action="store_true", help="go on when the standard input ends")
    options = parser.parse_args()
    server = Server((options.host, options.port), options.delay, options.key)
    print(f"http://{options.host}:{server.server_port}/v1", flush=True)
    if options.stay:
        server.serve_forever()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
