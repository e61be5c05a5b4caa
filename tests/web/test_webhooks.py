"""Webhooks: what is recorded before the answer, what is refused, and with which words."""

from __future__ import annotations

import json

import pytest
from web_server import SECRET, github_headers, push_body, running_server, sign

from headgate import api
from headgate.storage import deliveries
from headgate.storage.errors import Busy, StorageFailed, StorageFull
from headgate.web import webhooks
from headgate.web.webhooks import READ_FIRST


async def stored(server, delivery_id):
    async with server.parts.database.reading() as connection:
        return await deliveries.get(connection, delivery_id)


async def count(server):
    async with server.parts.database.reading() as connection:
        return len((await deliveries.page(connection, limit=200)).items)


async def test_a_signed_push_is_on_disk_before_the_202_and_then_handed_on_already_read(server):
    body = push_body()
    async with server.deliver(body) as answer:
        assert answer.status == 202
        accepted = await answer.json()
    record = await stored(server, accepted["delivery"])
    assert record.state == "recorded"
    assert record.delivery.body == body
    assert record.delivery.header("x-github-event") == "push"
    assert record.delivery.remote == "127.0.0.1"
    assert (record.event, record.key) == ("push", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
    ((new, reading),) = server.parts.received
    assert new.delivery.id == accepted["delivery"]
    assert isinstance(reading.events[0], api.Push)


async def test_a_duplicate_answers_200_with_the_first_id_and_does_nothing(server):
    body = push_body()
    async with server.deliver(body) as answer:
        first = (await answer.json())["delivery"]
    async with server.deliver(body) as answer:
        assert answer.status == 200
        assert await answer.json() == {"delivery": first, "duplicate": True}
    assert len(server.parts.received) == 1
    assert await count(server) == 1


async def test_an_event_of_no_interest_is_200_with_its_reason_and_settled_at_once(server):
    body = b'{"action": "created"}'
    async with server.deliver(body, github_headers(body, event="star")) as answer:
        assert answer.status == 200
        accepted = await answer.json()
    assert "star" in accepted["ignored"]
    record = await stored(server, accepted["delivery"])
    assert (record.state, record.reason) == ("ignored", accepted["ignored"])
    assert record.settled_at is not None
    assert server.parts.received == []


async def test_a_sealed_body_that_makes_no_sense_is_202_and_kept_as_unreadable(server):
    body = b'{"a": 1, "a": 2}'
    async with server.deliver(body) as answer:
        assert answer.status == 202
        record = await stored(server, (await answer.json())["delivery"])
    assert record.state == "unreadable"
    assert "twice" in record.reason


async def test_a_large_body_is_read_after_the_answer(server):
    body = push_body(padding="x" * READ_FIRST)
    async with server.deliver(body) as answer:
        assert answer.status == 202
    ((_, reading),) = server.parts.received
    assert reading is None


async def test_a_recorded_delivery_is_202_even_when_nobody_could_be_woken(server):
    class Asleep(list):
        def append(self, _):
            raise RuntimeError("the flow is gone")

    server.parts.received = Asleep()
    async with server.deliver(push_body()) as answer:
        assert answer.status == 202
    assert await count(server) == 1


async def test_a_form_is_accepted_and_the_old_secret_too(server):
    body = b"payload=%7B%22zen%22%3A%22x%22%7D"
    headers = github_headers(body, event="ping") | {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "X-Hub-Signature-256": sign(body, "the old one"),
    }
    async with server.deliver(body, headers) as answer:
        assert answer.status == 202


REFUSED = {
    "no signature": ({"X-Hub-Signature-256": None}, 401),
    "another's secret": ({"X-Hub-Signature-256": sign(push_body(), "guess")}, 401),
    "another body's signature": ({"X-Hub-Signature-256": sign(b"{}")}, 401),
    "upper case": ({"X-Hub-Signature-256": sign(push_body()).upper()}, 401),
    "SHA-1 only": ({"X-Hub-Signature-256": None, "X-Hub-Signature": "sha1=" + "0" * 40}, 401),
    "not ASCII": ({"X-Hub-Signature-256": "sha256=é"}, 401),
    "gzip": ({"Content-Encoding": "gzip"}, 415),
    "XML": ({"Content-Type": "application/xml"}, 415),
    "no type": ({"Content-Type": None}, 415),
    "an expectation": ({"Expect": "200-ok"}, 417),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_leaves_nothing_behind(server, case):
    changes, status = REFUSED[case]
    body = push_body()
    headers = {name: value for name, value in {**github_headers(body), **changes}.items() if value is not None}
    skip = {"Content-Type"} if changes.get("Content-Type", "") is None else set()
    async with server.deliver(body, headers, skip_auto_headers=skip) as answer:
        assert answer.status == status
        problem = await answer.json(content_type="application/problem+json")
    assert problem["status"] == status
    assert problem["instance"] == "/webhooks/acme"
    if status == 401:
        assert problem["detail"] == "The request is not authenticated."
        assert (
            server.parts.metrics.value(
                "headgate_deliveries_total",
                provider="github",
                connection="acme",
                event="none",
                result="unauthenticated",
            )
            == 1
        )
    assert await count(server) == 0
    assert server.parts.received == []


async def test_a_doubled_signature_header_is_no_signature(server):
    body = push_body()
    headers = [*github_headers(body).items(), ("X-Hub-Signature-256", sign(body))]
    async with server.client.post(f"{server.url}/webhooks/acme", data=body, headers=headers) as answer:
        assert answer.status == 401


async def test_an_unknown_connection_is_404_and_one_that_is_not_open_503_without_its_secrets(server):
    body = push_body()
    async with server.deliver(body, connection="nobody") as answer:
        assert answer.status == 404
    async with server.deliver(body, connection="shut") as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "secret" not in await answer.text()


async def test_a_provider_that_raises_in_authenticate_opens_no_door(server):
    async with server.deliver(b"authenticate", {"Content-Type": "application/json"}, connection="mad") as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert server.parts.metrics.value("headgate_plugin_failures_total", plugin="mad") == 1
    assert await count(server) == 0


async def test_a_seal_that_cannot_be_checked_yet_is_asked_for_again_and_nothing_is_kept(server):
    async with server.deliver(b"certificate", {"Content-Type": "application/json"}, connection="mad") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "9"
        assert "certificate 7" not in await answer.text()
    value = server.parts.metrics.value
    assert value("headgate_plugin_failures_total", plugin="mad") == 0
    refused = {"provider": "mad", "connection": "mad", "event": "none", "result": "refused"}
    assert value("headgate_deliveries_total", **refused) == 1
    assert await count(server) == 0


async def test_json_that_its_sender_calls_plain_text_is_read(server):
    body = push_body()
    headers = github_headers(body) | {"Content-Type": "text/plain; charset=UTF-8"}
    async with server.deliver(body, headers) as answer:
        assert answer.status == 202


async def test_a_provider_that_raises_in_parse_loses_no_delivery(server):
    async with server.deliver(b"{}", {"Content-Type": "application/json"}, connection="mad") as answer:
        assert answer.status == 202
        record = await stored(server, (await answer.json())["delivery"])
    assert record.state == "recorded"
    assert [reading for _, reading in server.parts.received] == [None]
    assert server.parts.metrics.value("headgate_plugin_failures_total", plugin="mad") == 1


async def test_a_full_queue_or_disk_is_503_with_retry_after_and_a_broken_database_tells_nothing(server, monkeypatch):
    for error in (Busy("4096 writes wait"), StorageFull("/srv/secret/place is full"), StorageFailed("disk I/O error")):

        async def fail(*_, error=error):
            raise error

        monkeypatch.setattr(server.parts.database.writer, "add", fail)
        async with server.deliver(push_body()) as answer:
            assert answer.status == 503
            assert "secret" not in await answer.text()
            assert ("Retry-After" in answer.headers) == (not isinstance(error, StorageFailed))
    assert server.parts.received == []


async def test_tokens_are_masked_before_they_are_stored_but_checked_first(server):
    seen = []

    class Watching:
        def authenticate(self, delivery):
            seen.append(delivery.header("x-gitlab-token"))
            return api.Seal()

        def parse(self, delivery):
            return api.Ignored(reason="no")

    server.parts.connections["mad"] = type(server.parts.connections["mad"])(name="mad", kind="x", provider=Watching())
    headers = {"X-Gitlab-Token": "hunter2", "Authorization": "Basic hunter2", "Content-Type": "application/json"}
    async with server.deliver(b"{}", headers, connection="mad/notifyCommit?token=hunter2&url=x") as answer:
        record = await stored(server, (await answer.json())["delivery"])
    assert seen == ["hunter2"]
    assert "hunter2" not in repr(record)
    assert record.delivery.hook == "notifyCommit"
    assert record.delivery.query == (("token", "***"), ("url", "x"))


async def test_the_token_would_be_stored_without_the_mask(server, monkeypatch):
    """The negative control of the test above."""
    monkeypatch.setattr(webhooks, "without_tokens", lambda delivery: delivery)
    headers = {"X-Gitlab-Token": "hunter2", "Content-Type": "application/json"}
    async with server.deliver(b"{}", headers, connection="mad") as answer:
        record = await stored(server, (await answer.json())["delivery"])
    assert "hunter2" in repr(record)


async def test_a_hook_may_be_asked_with_get_and_without_a_body(server):
    seen = []

    class Watching:
        def authenticate(self, delivery):
            seen.append((delivery.method, delivery.hook, delivery.argument("url"), delivery.body))
            return api.Seal()

        def parse(self, delivery):
            return api.Ignored(reason="no")

    server.parts.connections["mad"] = type(server.parts.connections["mad"])(name="mad", kind="x", provider=Watching())
    async with server.client.get(f"{server.url}/webhooks/mad/notifyCommit?url=a%20b") as answer:
        assert answer.status == 200
    async with server.client.get(f"{server.url}/webhooks/mad") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert seen == [("GET", "notifyCommit", "a b", b"")]


async def test_the_same_url_in_a_proxys_form_and_names_that_only_look_like_ours(server):
    for path in ("/webhooks/ac%6De%2Fx", "/webhooks/", "/webhooks", "/webhooks/acme/", "/webhooks/acme/x/y"):
        async with server.client.post(server.url + path, data=b"{}", headers={"Content-Type": "text/x"}) as answer:
            assert answer.status in {404, 415}, path
    assert await count(server) == 0


async def test_every_secret_of_the_connection_is_needed_for_nothing_else(server):
    """What the answers say never contains the secret."""
    async with server.deliver(push_body(), {"Content-Type": "application/json"}) as answer:
        assert SECRET not in json.dumps([await answer.text(), dict(answer.headers)])


async def test_bodies_up_to_the_limit_are_taken_and_one_byte_more_is_413(tmp_path):
    async with running_server(tmp_path, max_body=2_000) as server:
        body = b'{"padding": "' + b"x" * (2_000 - 15) + b'"}'
        assert len(body) == 2_000
        async with server.deliver(body) as answer:
            assert answer.status == 202
        async with server.deliver(body + b" ") as answer:
            assert answer.status == 413
        async with server.deliver(None, github_headers(body), connection="acme") as answer:
            assert answer.status == 401
