# SPDX-License-Identifier: Apache-2.0
"""Publishing: once, whatever happens on the way."""
import asyncio
import threading

import pytest

import tidings
from tidings import Tidings


def said(server, pattern):
    return [(event["topic"], event["type"], event["data"]) for event in server.events(pattern)]


def test_one_and_many(server, client):
    one = client.publish("rooms/1", "said", {"text": "zwölf €"})
    assert one.durable and one.id == one.position
    both = client.publish(["rooms/1", "rooms/2"], "closed")
    many = client.publish_many([{"topic": "rooms/3", "type": "a"}, {"topic": "rooms/3", "type": "b", "data": [1]}])
    assert len(both.ids) == 2 and many.position == many.ids[1]
    assert said(server, "rooms/**") == [
        ("rooms/1", "said", {"text": "zwölf €"}),
        ("rooms/1", "closed", None),
        ("rooms/2", "closed", None),
        ("rooms/3", "a", None),
        ("rooms/3", "b", [1]),
    ]


def test_classes_and_keys(server, client):
    client.publish("t", "progress", {"percent": 1}, key="p", event_class="latest")
    assert client.publish("t", "typing", event_class="ephemeral").id is None
    [event] = server.events("t")
    assert event["key"] == "p"


def test_a_repeat_does_not_double(server, client):
    first = client.publish("t", "a", idempotency_key="k")
    assert client.publish("t", "a", idempotency_key="k") == first
    with pytest.raises(tidings.IdempotencyMismatch) as raised:
        client.publish("t", "b", idempotency_key="k")
    assert raised.value.code == "idempotency_mismatch" and raised.value.status == 422 and raised.value.what_to_do
    assert len(server.events("t")) == 1
    for _ in range(2):
        client.publish_many([{"topic": "u", "type": "a", "dedup": "d"}])
    assert len(server.events("u")) == 1


@pytest.mark.parametrize(
    "topic, error, code",
    [("a b", tidings.BadRequest, "bad_request"), ("jobs/1", tidings.Forbidden, "reserved_topic")],
)
def test_errors_say_what_to_do(client, topic, error, code):
    with pytest.raises(error) as raised:
        client.publish(topic, "t")
    assert raised.value.code == code and raised.value.detail and raised.value.what_to_do
    assert isinstance(raised.value, tidings.TidingsError)


def test_grants(server):
    with Tidings(server.url, server.token("bob", publish=["rooms/1"])) as bob:
        bob.publish("rooms/1", "t")
        with pytest.raises(tidings.Forbidden):
            bob.publish("rooms/2", "t")


def test_a_killed_server_is_waited_for_and_nothing_doubles(server, client):
    """The server is killed while requests are under way; each is answered in the end, and each event there once."""
    failed = []

    def publish(n):
        try:
            for i in range(100):
                client.publish("t", "t", {"n": n, "i": i})
        except tidings.TidingsError as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        server.restart()
    for thread in threads:
        thread.join()
    assert not failed
    events = [event["data"] for event in server.events("t")]
    for n in range(4):
        assert [event["i"] for event in events if event["n"] == n] == list(range(100))


def test_no_server_is_told_in_the_end(server, client):
    server.kill9()
    client = Tidings(server.url, "x", retries=tidings.Profile(0.01, 1, 0.01, attempts=2))
    with pytest.raises(tidings.ConnectionFailed) as raised:
        client.publish("t", "t")
    assert raised.value.code == "connection_failed" and "server runs" in raised.value.what_to_do


@pytest.mark.options("--limits.publishes_per_second", "20")
def test_a_rate_limit_is_waited_for(server, client):
    for i in range(60):
        client.publish("t", "t", i)
    assert [event["data"] for event in server.events("t")] == list(range(60))


def test_a_token_is_renewed_once(server):
    tokens, asked = [server.token(ttl="1s"), server.token()], []

    def token(why):
        asked.append(why)
        return tokens[len(asked) - 1] if len(asked) <= len(tokens) else None

    with Tidings(server.url, token) as client:
        published = 0
        while len(asked) < 2:
            client.publish("t", "t")
            published += 1
    assert asked == ["first", "rejected"] and len(server.events("t")) == published


def test_a_refused_token_is_not_sent_again(server):
    asked = []
    with Tidings(server.url, lambda why: asked.append(why) or "bad") as client:
        with pytest.raises(tidings.Unauthorized) as raised:
            client.publish("t", "t")
    assert asked == ["first", "rejected"] and raised.value.status == 401


def test_what_is_said_in_a_project(server, client):
    client.broadcast_to_project("42", "chat_message", {"from": "ann", "text": "hi"})
    client.broadcast_status_update("42", "running", 40, job_id="j")
    client.broadcast_agent_update("42", "build", "started", agent_name="Builder")
    client.broadcast_agent_update("42", "build", "completed", agent_name="Builder", duration=2.04)
    client.broadcast_log("42", "careful", "warn", agent="build")
    client.broadcast_completion("42", job_id="j", duration=3, result={"files": 2})
    agent = {"project_id": "42", "agent": "build", "agent_name": "Builder"}
    assert [(type, data) for _, type, data in said(server, "projects/42")] == [
        ("chat_message", {"from": "ann", "text": "hi"}),
        ("status_update", {"project_id": "42", "job_id": "j", "status": "running", "progress": 40}),
        ("agent_update", {**agent, "status": "started", "message": "Starting Builder agent"}),
        (
            "agent_update",
            {**agent, "status": "completed", "duration": 2.04, "message": "Completed Builder agent in 2.0s"},
        ),
        ("log", {"project_id": "42", "message": "careful", "level": "warn", "agent": "build"}),
        (
            "completion",
            {"project_id": "42", "job_id": "j", "status": "completed", "duration": 3, "result": {"files": 2}},
        ),
    ]


def test_the_same_with_asyncio(server, aclient):
    async def main():
        async with aclient() as client:
            await asyncio.gather(*(client.publish("t", "t", i) for i in range(20)))
            await client.broadcast_log("42", "hello")
            with pytest.raises(tidings.Forbidden):
                await client.publish("audit/x", "t")

    asyncio.run(main())
    assert sorted(event["data"] for event in server.events("t")) == list(range(20))
    assert len(server.events("projects/42")) == 1
