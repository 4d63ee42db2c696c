# SPDX-License-Identifier: Apache-2.0
"""The verbs that talk to a server: publish, tail, run."""
import json
import signal
import subprocess

import pytest

from conftest import BINARY, until


def connected(tail, times=1):
    until(lambda: tail.err().count("connected") >= times, "tail is connected")


def output_lines(events, stream="stdout"):
    return [e["data"]["line"] for e in events
            if e["type"] == "output" and e["data"]["stream"] == stream]


# --- publish ---


def test_publish_prints_the_position_of_what_is_in_the_log(server):
    result = server.run("publish", "rooms/1", "message", '{"text": "hello"}', "--key", "last")
    assert result.returncode == 0, result.stderr
    [event] = server.events("rooms/1")
    assert result.stdout == event["id"] + "\n"
    assert (event["type"], event["key"], event["data"]) == ("message", "last", {"text": "hello"})


def test_publish_takes_a_line_of_json_each_from_stdin(server):
    lines = "".join(f'{{"n": {n}}}\n' for n in range(250)) + '"no newline"'
    result = server.run("publish", "rooms/1", "n", "-", stdin=lines)
    assert result.returncode == 0, result.stderr
    events = server.events("rooms/1")
    assert [e["data"] for e in events] == [{"n": n} for n in range(250)] + ["no newline"]
    assert result.stdout.split() == [e["id"] for e in events]


def test_publish_sends_a_line_before_it_waits_for_the_next(server):
    publish = server.spawn("publish", "rooms/1", "n", name="publish", stdin=subprocess.PIPE)
    for n in range(3):
        publish.process.stdin.write(f"{n}\n".encode())
        publish.process.stdin.flush()
        until(lambda: len(publish.lines()) == n + 1, "its position is printed")
    publish.process.stdin.close()
    assert publish.wait() == 0


def test_publish_with_a_dedup_key_publishes_once(server):
    results = [server.run("publish", "rooms/1", "message", "1", "--dedup", "k") for _ in range(2)]
    assert [r.returncode for r in results] == [0, 0]
    assert results[0].stdout == results[1].stdout
    assert len(server.events("rooms/1")) == 1


def test_publish_says_why_it_failed(server):
    result = server.run("publish", "rooms/1", "message", "1",
                        token=server.token(publish=["other/**"], subscribe=["other/**"]))
    assert result.returncode == 1
    assert "403 forbidden" in result.stderr
    result = server.run("publish", "rooms/1", "message", "{not json")
    assert (result.returncode, "not JSON" in result.stderr) == (1, True)
    assert server.run("publish", "rooms/1").returncode == 2
    server.kill9()
    result = server.run("publish", "rooms/1", "message", "1", token="any")
    assert (result.returncode, "connect" in result.stderr) == (1, True)


def test_publish_with_retry_waits_for_the_server(server):
    env_token = server.token()
    server.kill9()
    publish = server.spawn("publish", "--retry", "rooms/1", "message", "1", name="publish",
                           token=env_token)
    until(lambda: "trying again" in publish.err(), "publish has met the absence")
    server.start()
    assert publish.wait() == 0, publish.err()
    assert len(server.events("rooms/1")) == 1


# --- tail ---


def test_tail_begins_now_or_where_it_is_told(server):
    server.run("publish", "rooms/1", "message", '"old"')
    tail = server.spawn("tail", "rooms/**", "--format", "json", "--count", "1", name="now")
    connected(tail)
    server.run("publish", "rooms/1", "message", '"new"')
    assert tail.wait() == 0
    assert [json.loads(line)["data"] for line in tail.lines()] == ["new"]
    result = server.run("tail", "rooms/**", "--format", "json", "--since", "earliest",
                        "--count", "2")
    assert [json.loads(line) for line in result.stdout.splitlines()] == server.events("rooms/**")
    first = json.loads(result.stdout.splitlines()[0])["id"]
    result = server.run("tail", "rooms/**", "--format", "json", "--since", first, "--count", "1")
    assert json.loads(result.stdout)["data"] == "new"


def test_tail_pretty_lets_no_escape_through(server):
    server.run("publish", "rooms/1", "m", '"\\u001b[31m \u009b \x7f é"')
    result = server.run("tail", "rooms/1", "--since", "earliest", "--count", "1")
    assert result.stdout.endswith(' rooms/1 m "\\u001b[31m \\xc2\\x9b \\x7f é"\n'), result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tail_ends_cleanly_on_signals(server, number):
    tail = server.spawn("tail", "**", name="tail")
    connected(tail)
    tail.signal(number)
    assert tail.wait() == 0


def test_tail_ends_when_nobody_reads(server):
    server.run("publish", "rooms/1", "n", "-", stdin="1\n" * 1000)
    script = '"$0" tail --quiet "rooms/**" --since earliest | head -1; echo "${PIPESTATUS[0]}"'
    result = subprocess.run(["bash", "-c", script, BINARY], env=server.env(), capture_output=True,
                            text=True, timeout=20)
    assert result.stdout.splitlines()[-1] == "0"


def test_tail_says_why_it_is_refused(server):
    result = server.run("tail", "**", token="not.a.token")
    assert result.returncode == 1 and "401 unauthorized" in result.stderr
    result = server.run("tail", "bad pattern!")
    assert result.returncode == 1 and "400" in result.stderr
    assert server.run("tail").returncode == 2


def test_tail_resumes_over_kills(server):
    tail = server.spawn("tail", "rooms/**", "--format", "json", name="tail")
    connected(tail)
    for round_ in range(3):
        server.run("publish", "rooms/1", "n", "-",
                   stdin="".join(f"{round_ * 100 + n}\n" for n in range(50)))
        server.restart()
        server.run("publish", "rooms/1", "n", "-",
                   stdin="".join(f"{round_ * 100 + n}\n" for n in range(50, 100)))
    until(lambda: len(tail.lines()) >= 300, "all events are printed")
    tail.signal(signal.SIGINT)
    assert tail.wait() == 0
    assert [json.loads(line)["data"] for line in tail.lines()] == list(range(300))


# --- run ---


def test_run_tells_start_lines_and_end(server):
    result = server.run("run", "--id", "r1", "--kind", "check", "--", "sh", "-c",
                        'echo one; printf "\\377\\n"; printf last; exit 3')
    assert result.returncode == 3
    assert result.stdout.startswith("one\n") and result.stdout.endswith("last")
    events = server.events("runs/ann/r1")
    assert [e["type"] for e in events] == ["started"] + ["output"] * 3 + ["exited"]
    assert events[0]["data"]["kind"] == "check"
    assert events[0]["data"]["command"][:2] == ["sh", "-c"]
    assert output_lines(events) == ["one", "\ufffd", "last"]
    assert [e["data"]["n"] for e in events[1:4]] == [1, 2, 3]
    assert (events[4]["data"]["status"], events[4]["data"]["lines"]) == (3, 3)


def test_run_keeps_streams_apart(server):
    result = server.run("run", "--quiet", "--topic", "builds/7", "--", "sh", "-c",
                        "echo out; echo err >&2")
    assert (result.returncode, result.stdout, result.stderr) == (0, "out\n", "err\n")
    events = server.events("builds/7")
    assert output_lines(events) == ["out"]
    assert output_lines(events, "stderr") == ["err"]


def test_run_cuts_long_lines(server):
    result = server.run("run", "--topic", "t", "--", "sh", "-c",
                        "head -c 40000 /dev/zero | tr '\\0' x; echo")
    assert result.stdout == "x" * 40000 + "\n"
    pieces = [e["data"] for e in server.events("t") if e["type"] == "output"]
    assert [len(p["line"]) for p in pieces] == [16384, 16384, 7232]
    assert [p.get("partial") for p in pieces] == [True, True, None]


def test_run_passes_stdin_signals_and_status(server):
    assert server.run("run", "--", "cat", stdin="through\n").stdout == "through\n"
    assert server.run("run", "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert server.run("run", "--", "/nonexistent").returncode == 127
    run = server.spawn("run", "--", "sh", "-c",
                       'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.05; done',
                       name="run")
    until(lambda: "ready" in run.out(), "the command runs")
    run.signal(signal.SIGINT)
    assert run.wait() == 9
    assert run.lines() == ["ready", "caught"]


def test_run_goes_on_when_it_may_not_publish(server):
    result = server.run("run", "--", "sh", "-c", "seq 1 20000",
                        token=server.token(publish=["other/**"], subscribe=["**"]))
    assert result.returncode == 75
    assert result.stdout.split() == [str(n) for n in range(1, 20001)]
    assert result.stderr.count("403") == 1


def test_run_with_a_dead_server_gives_up_after_wait(server):
    token = server.token()
    server.kill9()
    result = server.run("run", "--wait", "0", "--", "echo", "hello", token=token)
    assert (result.returncode, result.stdout) == (75, "hello\n")
    result = server.run("run", "--wait", "0", "--", "sh", "-c", "exit 4", token=token)
    assert result.returncode == 4


def test_run_buffers_on_disk_and_holds_the_command_when_that_is_full(server):
    token = server.token()
    server.kill9()
    run = server.spawn("run", "--topic", "t", "--buffer", "2M", "--", "seq", "1", "60000",
                       name="run", token=token)
    until(lambda: "the buffer is full" in run.err(), "the command is made to wait")
    assert len(run.lines()) < 60000
    assert not list(server.directory.glob("tidings-run-*")), "its file has no name"
    server.start()
    assert run.wait(60) == 0, run.err()
    assert run.lines() == [str(n) for n in range(1, 60001)]
    assert output_lines(server.events("t")) == run.lines()


def test_help_is_there_and_wrong_usage_is_2(server):
    for verb in ("publish", "tail", "run"):
        result = server.run(verb, "--help")
        assert (result.returncode, f"tidings {verb}" in result.stdout) == (0, True)
        assert server.run(verb, "--no-such-option").returncode == 2


def test_publish_says_the_class(server):
    assert server.run("publish", "a/1", "typing", "1", "--class", "ephemeral").stdout == "-\n"
    position = server.run("publish", "a/1", "progress", "2", "--class", "latest", "--key", "p").stdout
    assert [(e["id"], e["key"]) for e in server.events("a/**")] == [(position.strip(), "p")]
    wrong = server.run("publish", "a/1", "t", "3", "--class", "newest")
    assert wrong.returncode == 1 and "class" in wrong.stderr
