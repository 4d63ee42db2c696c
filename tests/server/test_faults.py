# SPDX-License-Identifier: Apache-2.0
"""Nothing that was acknowledged is lost, and nobody gets anything twice, whatever moment the server is killed at."""
import json
import pathlib
import subprocess
import sys

KILL_TEST = pathlib.Path(__file__).with_name("kill_test.py")


def run_kill_test(*arguments, readers=60):
    run = subprocess.run([sys.executable, str(KILL_TEST), "--publishers", "4", "--in-flight", "16",
                          "--readers", str(readers), *arguments], capture_output=True, text=True, timeout=240)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr[-6000:]
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["wrong"] == {}
    assert result["delivered"] == result["readers_saw_each"] * readers
    return result


def test_thirty_kills_lose_nothing_and_double_nothing():
    result = run_kill_test("--rounds", "30")
    # It has tested what it was to test:
    assert result["acked"] > 1000
    assert result["in_flight_at_kills"] > 30, "kills met publishes on their way"
    assert all(n > 60 for n in result["resumes"].values()), "all transports have resumed"


def test_with_two_workers_segments_that_roll_and_answers_before_the_sync():
    """durability fast: what was answered survives a kill, though not a power cut."""
    result = run_kill_test("--rounds", "8", "--", "--workers", "2", "--durability", "fast",
                           "--segment_bytes", "1MiB", "--limits.body_bytes", "512KiB",
                           "--limits.message_bytes", "64KiB", readers=30)
    assert result["acked"] > 300 and all(n > 0 for n in result["resumes"].values())
