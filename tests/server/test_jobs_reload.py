# SPDX-License-Identifier: Apache-2.0
"""Other kinds of jobs by SIGHUP: new jobs are of them, those under way stay what they began as."""
from clients import Http, Ws, problem
from test_jobs import cancel, ended, get, start
from test_reload import SECRETS, configured  # noqa: F401 (a fixture)

AUTH = f"auth:\n  secret: {SECRETS[0]}\n  default_grants:\n    subscribe: ['**']\n    publish: ['**']\n"
HOLD = """    - name: hold
      params: ["p=[a-z]+"]
      topic: projects/{p}
      shared: true
      events: [start=%(start)s, cancelled=%(cancelled)s, complete=held]
      argv: [%(argv)s]
      concurrency: %(concurrency)d
"""


def kinds(*kinds, more=""):
    return AUTH + more + "jobs:\n  kinds:\n" + "".join(kinds)


def hold(start, cancelled, argv="sleep, '300'", concurrency=1):
    return HOLD % {"start": start, "cancelled": cancelled, "argv": argv, "concurrency": concurrency}


def test_jobs_under_way_keep_their_kind_and_new_ones_have_the_new(configured):  # noqa: F811
    configured.write(kinds(hold("began", "stopped")))
    configured.start()
    ann = Http(configured, configured.token_of(AUTH))
    before = start(ann, "hold", {"p": "a"})
    waits = start(ann, "hold", {"p": "a"})
    assert (before["state"], waits["state"]) == ("running", "queued")
    assert start(ann, "extra", status=400)[0] == 400
    lines = configured.reload(kinds(hold("go", "halt", concurrency=3), "    - {name: extra, who: any, argv: [echo, hi]}\n"))
    assert not [line for line in lines if "restart" in line["message"]], lines
    assert ended(ann, start(ann, "extra")["job_id"])["state"] == "done"
    with Ws(configured, "/ws/projects/a", configured.token_of(AUTH)) as ws:
        ws.until("caught_up")
        after = start(ann, "hold", {"p": "a"})
        assert after["state"] == "running", "there are three places now"
        for job in (before, after):
            assert cancel(ann, job["job_id"]).status_code == 202
        seen = {event["job_id"]: event["type"] for event in ws.receive_events(3) if event["type"] != "go"}
    assert seen == {before["job_id"]: "stopped", after["job_id"]: "halt"}
    assert get(ann, waits["job_id"])["state"] == "running"
    metrics = ann.call("GET", "/metrics").text
    assert 'tidings_jobs_started_total{kind="hold"} 3' in metrics and 'tidings_jobs_started_total{kind="extra"} 1' in metrics


def test_kinds_can_go_and_come_and_bad_ones_change_nothing(configured):  # noqa: F811
    configured.write(AUTH)
    configured.start()
    ann = Http(configured, configured.token_of(AUTH))
    assert start(ann, "extra", status=400)[0] == 400
    configured.reload(kinds("    - {name: extra, who: any, argv: [echo, hi]}\n"))
    assert ended(ann, start(ann, "extra")["job_id"])["state"] == "done"
    lines = configured.reload(kinds("    - {name: extra, who: any, argv: ['{no}']}\n"))
    assert any("{no} is no parameter" in line["message"] for line in lines)
    assert ended(ann, start(ann, "extra")["job_id"])["state"] == "done"
    configured.reload(AUTH)
    assert start(ann, "extra", status=400)[0] == 400


def test_how_many_jobs_one_may_have_is_reloaded_too(configured):  # noqa: F811
    many = hold("began", "stopped", concurrency=10)
    configured.write(kinds(many))
    configured.start()
    ann = Http(configured, configured.token_of(AUTH))
    start(ann, "hold", {"p": "a"})
    configured.reload(kinds(many + "  owner_unfinished: 1\n"))
    answer = ann.call("POST", "/api/v1/jobs", json={"kind": "hold", "params": {"p": "a"}})
    assert problem(answer) == (429, "rate_limited") and answer.headers["Retry-After"]
    configured.reload(kinds(many))
    start(ann, "hold", {"p": "a"})
