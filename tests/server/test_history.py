# SPDX-License-Identifier: Apache-2.0
"""Pages of history: what a GET shows, where it ends, and that it never hides what is gone."""
import pytest

from clients import EVENTS, Http, Raw, problem, request
from conftest import until


def fill(http, n, topic="a/1"):
    """Publishes n events with data 0 … n-1; returns their ids."""
    ids = []
    for at in range(0, n, 1000):
        answer = http.post([{"topic": topic, "type": "t", "data": d} for d in range(at, min(n, at + 1000))])
        assert answer.status_code == 201
        ids += answer.json()["ids"]
    return ids


def data(page):
    return [e["data"] for e in page["events"]]


def walk(http, topic, **query):
    """Page by page to the end; returns the pages."""
    pages = [http.page(topic, since="earliest", **query)]
    while pages[-1]["more"]:
        assert len(pages) < 10000
        pages.append(http.page(topic, since=pages[-1]["position"], **query))
    return pages


def test_the_empty_log(http):
    page = http.page("**")
    assert page["events"] == [] and page["more"] is False and "gap" not in page
    assert http.page("**", since="earliest") == page
    assert http.page("**", since=page["position"]) == page


def test_without_since_the_newest_come_ascending(http):
    ids = fill(http, 50)
    page = http.page("a/**", limit=10)
    assert data(page) == list(range(40, 50))
    assert page["position"] == ids[-1] and page["more"] is False


def test_the_newest_of_a_topic_that_is_long_ago(http):
    fill(http, 5, "old")
    fill(http, 3000, "new")
    assert data(http.page("old", limit=3)) == [2, 3, 4]


def test_the_default_and_the_largest_page(http):
    fill(http, 1500)
    assert len(http.page("**", since="earliest")["events"]) == 100
    page = http.page("**", since="earliest", limit=1000)
    assert len(page["events"]) == 1000 and page["more"] is True
    for limit in ("0", "1001", "-1", "x", "1e2", ""):
        assert problem(http.call("GET", params={"topic": "**", "limit": limit})) == (400, "bad_request")


def test_pages_join_without_a_seam(http):
    ids = fill(http, 250)
    pages = walk(http, "**", limit=7)
    assert [e["id"] for p in pages for e in p["events"]] == ids
    assert all(len(p["events"]) == 7 for p in pages[:-1])


def test_pages_join_also_where_little_matches(http):
    for n in range(30):
        fill(http, 100, "noise")
        http.publish("rare", n)
    pages = walk(http, "rare", limit=4)
    assert [d for p in pages for d in data(p)] == list(range(30))


def test_pages_of_large_events_join_too(http):
    for n in range(12):
        assert http.post({"topic": "big", "type": "t", "data": [n, "x" * 400000]}).status_code == 201
    pages = walk(http, "big", limit=1000)
    assert len(pages) > 1, "a page is bounded in bytes"
    assert [d[0] for p in pages for d in data(p)] == list(range(12))


def test_since_a_position(http):
    ids = fill(http, 10)
    assert data(http.page("**", since=ids[3])) == list(range(4, 10))
    assert data(http.page("**", since=ids[9])) == []
    assert data(http.page("**", since="now")) == []
    assert http.page("**", since="now")["position"] == ids[-1]


@pytest.mark.parametrize("since", ["", "x", "0", "1.1", "latest", "12345678", "12345678.",
                                   "12345678.01", "12345678.-1", "1234567g.1", "12345678.1 ",
                                   "12345678.99999999999999999999", "ABCDEF00.1"])
def test_what_is_not_a_position_is_refused(http, since):
    assert problem(http.call("GET", params={"topic": "**", "since": since})) == (400, "bad_request")


def test_a_position_of_another_log_is_a_gap(http):
    ids = fill(http, 3)
    epoch = "00000001" if not ids[0].startswith("00000001") else "00000002"
    page = http.page("**", since=f"{epoch}.2")
    assert page["gap"]["reason"] == "epoch" and page["gap"]["from"] == f"{epoch}.2"
    assert data(page) == [0, 1, 2], "all that there is"
    assert page["position"] == ids[-1]


def test_a_position_that_the_log_has_not_reached_is_told(http):
    """As after a crash in durability fast: the client saw more than the log still has."""
    ids = fill(http, 3)
    epoch, _, number = ids[-1].partition(".")
    page = http.page("**", since=f"{epoch}.{int(number) + 1000}")
    assert page["gap"]["reason"] == "unsynced"
    assert page["position"] == ids[-1]


def test_patterns(http):
    topics = ["a", "a/b", "a/b/c", "a/x", "a/x/c", "b/b", "b/b/c"]
    for topic in topics:
        http.publish(topic, topic)
    for pattern, matches in {
            "**": topics, "*": ["a"], "a": ["a"], "a/**": ["a", "a/b", "a/b/c", "a/x", "a/x/c"],
            "a/*": ["a/b", "a/x"], "*/b": ["a/b", "b/b"], "*/b/**": ["a/b", "a/b/c", "b/b", "b/b/c"],
            "*/*/c": ["a/b/c", "a/x/c", "b/b/c"], "a/*/**": ["a/b", "a/b/c", "a/x", "a/x/c"],
            "c": [], "a/b/c/d": [], "*/*/*/*": []}.items():
        assert data(http.page(pattern, since="earliest")) == matches, pattern
    assert data(http.page(["a", "b/**", "*"], since="earliest")) == ["a", "b/b", "b/b/c"], "each once"


@pytest.mark.parametrize("topic", ["", "/", "a/", "/a", "a//b", "**/a", "a/**/b", "a*", "***", "a b",
                                   "x" * 65, "/".join("a" * 17), "a\0", "a\n", "é"])
def test_what_is_not_a_pattern_is_refused(http, topic):
    assert problem(http.call("GET", params={"topic": topic})) == (400, "bad_request")


def test_no_topic_is_refused(http):
    assert problem(http.call("GET")) == (400, "bad_request")


def test_types(http):
    for n, type in enumerate(("a", "b", "c", "a")):
        http.publish("x", n, type=type)
    assert data(http.page("**", since="earliest", type="a")) == [0, 3]
    assert data(http.page("**", since="earliest", type=["a", "c"])) == [0, 2, 3]
    page = http.page("**", since="earliest", type="none")
    assert data(page) == [] and page["more"] is False
    assert data(http.page("**", type="a", limit=1)) == [3], "the newest of that type"


def test_format_flat(http):
    id_ = http.publish("a", {"line": "x", "stream": "stdout", "type": "mine", "event_id": "forged"},
                       type="output")
    http.publish("a", [1, 2], type="list")
    first, second = http.page("**", since="earliest", format="flat")["events"]
    assert first == {"type": "output", "line": "x", "stream": "stdout", "event_id": id_,
                     "topic": "a", "timestamp": first["timestamp"]}
    assert second["data"] == [1, 2] and second["type"] == "list"
    raw = http.call("GET", params={"topic": "a", "since": "earliest", "format": "flat"}).text
    assert raw.count('"type"') == 2, "no name stands twice"


def test_format_entity(http):
    http.publish("entities/applications/app123", {"name": "x"}, type="ENTITY_UPDATED")
    [event] = http.page("entities/**", since="earliest", format="entity")["events"]
    expected = {"type": "EVENT_NOTIFICATION", "event_type": "ENTITY_UPDATED",
                "entity_type": "applications", "entity_id": "app123", "action": "updated",
                "payload": {"name": "x"}, "actor": "ann"}
    assert {k: event.get(k) for k in expected} == expected
    assert event["event_id"] and event["timestamp"]


def test_other_formats_are_refused(http):
    assert problem(http.call("GET", params={"topic": "**", "format": "xml"})) == (400, "bad_request")


def test_percent_encoded_patterns(http):
    http.publish("a/b:c@d~e", 1)
    assert data(http.call("GET", f"{EVENTS}?topic=a%2Fb%3ac%40d~e&since=earliest").json()) == [1]
    assert data(http.call("GET", f"{EVENTS}?topic=%2a%2A&since=earliest").json()) == [1]


def test_a_broken_escape_is_refused(server):
    with Raw(server) as raw:
        for broken in ("%", "%2", "%zz", "a%00"):
            raw.send(request("GET", f"{EVENTS}?topic={broken}", token=server.token()))
            assert raw.answer().status == 400


def test_head_is_get_without_a_body(server, http):
    fill(http, 3)
    get = http.call("GET", params={"topic": "**"})
    head = http.call("HEAD", params={"topic": "**"})
    assert head.status_code == 200 and head.content == b""
    same = ("Content-Length", "Content-Type", "Tidings-Position", "Cache-Control")
    assert [head.headers[n] for n in same] == [get.headers[n] for n in same]
    assert get.headers["Cache-Control"] == "no-store"
    with Raw(server) as raw:  # nothing of a body stands between the answers
        raw.send(request("HEAD", f"{EVENTS}?topic=**", token=server.token()) * 2)
        assert [raw.answer(head_only=True).status for _ in range(2)] == [200, 200]


def test_a_page_carries_its_position(http):
    ids = fill(http, 20)
    answer = http.call("GET", params={"topic": "**", "since": "earliest", "limit": 5})
    assert answer.headers["Tidings-Position"] == answer.json()["position"] == ids[4]


def test_history_outlives_a_restart_page_by_page(server, http):
    """A segment that is not in memory yet must not look like the end."""
    ids = fill(http, 20000)
    for restart in (server.restart, lambda: (server.stop(), server.start())):
        restart()
        pages = walk(Http(server), "**", limit=1000)
        assert [e["id"] for p in pages for e in p["events"]] == ids


# --- what is gone ---

SMALL = pytest.mark.options("--segment_bytes", "1MiB", "--retention.bytes", "2MiB",
                            "--limits.body_bytes", "512KiB", "--limits.message_bytes", "64KiB")


def overfill(http):
    """Publishes until the beginning has been dropped; returns all ids."""
    ids = []

    def dropped():
        for topic in ("a/1", "b/1"):
            answer = http.post([{"topic": topic, "type": "t", "data": "x" * 9000}] * 40)
            ids.extend(answer.json()["ids"])
        return http.page("**", since=ids[0], limit=1).get("gap")

    until(dropped, "retention has dropped the beginning")
    return ids


@SMALL
def test_what_retention_has_dropped_is_a_gap(server, http):
    ids = overfill(http)
    pages = [http.page("a/**", since=ids[0], limit=1000)]
    gap = pages[0]["gap"]
    assert gap["reason"] == "retention" and gap["from"] == ids[0]
    while pages[-1]["more"]:
        pages.append(http.page("a/**", since=pages[-1]["position"], limit=1000))
    assert not any("gap" in p for p in pages[1:]), "it is told once"
    got = [e["id"] for p in pages for e in p["events"]]

    def number(id_):
        return int(id_.split(".")[1])

    # What is told of and what is shown is all that there was; nothing behind the gap is missing.  What is about to be dropped is told of
    # already and may still be shown.
    later = [e["id"] for e in server.events("a/**")]
    assert got and set(later) <= set(got)
    assert number(got[0]) > number(ids[0])
    assert got == sorted(set(got), key=number)
    behind = [i for at in range(0, len(ids), 80) for i in ids[at:at + 40]  # those of a/1, by overfill
              if number(i) > number(gap["to"])]
    assert [i for i in got if number(i) > number(gap["to"])] == behind


@SMALL
def test_from_the_earliest_there_is_no_gap(http):
    overfill(http)
    assert "gap" not in http.page("**", since="earliest")


@SMALL
def test_a_topic_that_lost_nothing_has_no_gap(http):
    """For a pattern without a wildcard before its end the answer is exact."""
    before = http.page("**")["position"]
    overfill(http)
    http.publish("c/1", "kept")
    for pattern in ("c/1", "c/**"):
        page = http.page(pattern, since=before)
        assert "gap" not in page and data(page) == ["kept"], page
