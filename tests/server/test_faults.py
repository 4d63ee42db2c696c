# SPDX-License-Identifier: Apache-2.0
"""Nothing that was acknowledged is lost, and nobody gets anything twice, whatever moment the server is killed at."""
import json
import pathlib
import subprocess
import sys

KILL_TEST = pathlib.Path(__file__).with_name("kill_test.py")


def test_thirty_kills_lose_nothing_and_double_nothing():
    run = subprocess.run([sys.executable, str(KILL_TEST), "--rounds", "30", "--publishers", "4",
                          "--in-flight", "16", "--readers", "60"],
                         capture_output=True, text=True, timeout=240)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr[-6000:]
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["wrong"] == {}
    # It has tested what it was to test:
    assert result["acked"] > 1000 and result["delivered"] == result["readers_saw_each"] * 60
    assert result["in_flight_at_kills"] > 30, "kills met publishes on their way"
    assert all(n > 60 for n in result["resumes"].values()), "all transports have resumed"
