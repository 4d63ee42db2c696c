# SPDX-License-Identifier: Apache-2.0
"""What a command can tell of its job: a line of JSON each on descriptor 3, a document on standard input (docs/jobs.md).

Outside of a job nothing listens on descriptor 3, and nothing is told.
"""
import json
import os
import sys


def _open():
    if "TIDINGS_EXAMPLES" not in os.environ:
        return None
    try:
        return os.fdopen(3, "w", encoding="utf-8")
    except OSError:
        return None


_out = _open()


def tell(**members):
    if _out:
        _out.write(json.dumps(members, ensure_ascii=False) + "\n")
        _out.flush()


def progress(percent, message):
    tell(progress=round(percent, 1), message=message)


def log(message, level="info"):
    tell(log=message, level=level)


def result(value):
    tell(result=value)


def error(code, message, details="", suggested_actions=()):
    tell(error={"code": code, "message": message, "details": details, "suggested_actions": list(suggested_actions)})


def document():
    """{"job_id", "params", "results": {STEP: its result}}."""
    return json.load(sys.stdin)


def work_dir(*parts):
    """A directory below the data of the server, made when absent."""
    path = os.path.join(os.environ["TIDINGS_WORK"], *parts)
    os.makedirs(path, exist_ok=True)
    return path
