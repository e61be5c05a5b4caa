"""The API: every route's answer, and what is said to requests that do not fit."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import msgspec
import pytest
import sqlalchemy as sa
from web_server import JOB, SHA, github_headers, json_of, push_body

from headgate import api
from headgate.storage import decisions, events, notifications
from headgate.storage.decisions import Decision
from headgate.storage.events import EventRecord
from headgate.storage.ids import new_id
from headgate.storage.notifications import NewNotification


async def deliver(server, number=1, *, event="push", body=None, **headers):
    body = push_body() if body is None else body
    headers = github_headers(body, event=event, delivery=f"delivery-{number}", **headers)
    async with server.deliver(body, headers) as answer:
        return (await answer.json())["delivery"]


async def test_jobs_are_listed_by_name_in_pages_with_the_problems_of_files(server):
    server.parts.jobs = {name: msgspec.structs.replace(JOB, name=name) for name in ("c", "a", "b")}
    server.parts.problems = (api.Problem(file="jobs.d/x.yaml", line=3, column=1, message="bad", hint="good"),)
    first = await json_of(server.get("/api/v1/jobs?limit=2"))
    assert [job["name"] for job in first["items"]] == ["a", "b"]
    assert first["problems"][0]["line"] == 3
    second = await json_of(server.get(f"/api/v1/jobs?limit=2&cursor={first['next']}"))
    assert ([job["name"] for job in second["items"]], second["next"]) == (["c"], None)
    assert (await json_of(server.get("/api/v1/jobs?connection=other")))["items"] == []


async def test_a_job_in_the_list_says_how_its_last_build_stands(server):
    (job,) = (await json_of(server.get("/api/v1/jobs")))["items"]
    assert job["last_build"] is None
    build = await server.parts.plan()
    (job,) = (await json_of(server.get("/api/v1/jobs")))["items"]
    assert (job["last_build"]["id"], job["last_build"]["state"]) == (build.id, "queued")
    assert job["triggers"] == [{"kind": "push"}]
    whole = await json_of(server.get("/api/v1/jobs/web"))
    assert msgspec.convert(whole, api.Job) == JOB
    assert "no job" in (await json_of(server.get("/api/v1/jobs/gone"), 404))["detail"]


async def test_a_page_of_jobs_is_one_question_to_the_database(server):
    names = [f"job-{number:03}" for number in range(120)]
    server.parts.jobs = {name: msgspec.structs.replace(JOB, name=name) for name in names}
    for name in names[::2]:
        await server.parts.plan(job=name)
    asked = []

    def remember(_conn, _cursor, statement, *_):
        if "FROM builds" in statement:
            asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", remember)
    try:
        page = await json_of(server.get("/api/v1/jobs?limit=200"))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", remember)
    assert [job["name"] for job in page["items"] if job["last_build"]] == names[::2]
    assert len(asked) == 1


async def test_running_a_job_gives_its_build_and_the_same_one_for_the_same_key(server):
    asked = {"ref": "main", "parameters": {"TARGET": "staging"}, "reason": "to try"}
    key = {"Idempotency-Key": "abc-1"}
    async with server.post("/api/v1/jobs/web/builds", json=asked, headers=key) as answer:
        assert answer.status == 201
        build = await answer.json()
        assert answer.headers["Location"] == f"/api/v1/builds/{build['id']}"
    assert build["reason"] == "admin: to try"
    assert build["parameters"] == {"TARGET": "staging"}
    again = await json_of(server.post("/api/v1/jobs/web/builds", json=asked, headers=key), 201)
    assert again["id"] == build["id"]
    other = await json_of(server.post("/api/v1/jobs/web/builds", json=asked), 201)
    assert other["number"] == 2


BAD_RUNS = {
    "unknown field": (b'{"reff": "main"}', {}, 400, "reff"),
    "wrong type": (b'{"parameters": {"A": 1}}', {}, 400, "$.parameters"),
    "a doubled key": (b'{"ref": "a", "ref": "b"}', {}, 400, "twice"),
    "not JSON": (b"{", {}, 400, "JSON"),
    "not UTF-8": (b'{"ref": "\xff"}', {}, 400, "UTF-8"),
    "too deep": (b'{"parameters": ' + b"[" * 100 + b"]" * 100 + b"}", {}, 400, "deeper"),
    "half a sha": (b'{"sha": "abc"}', {}, 400, "$.sha"),
    "a form": (b"ref=main", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
    "compressed": (b"{}", {"Content-Encoding": "gzip"}, 415, "Compressed"),
    "too large": (b'{"reason": "' + b"x" * 1_100_000 + b'"}', {}, 413, "larger"),
    "an empty key": (b"{}", {"Idempotency-Key": ""}, 400, "Idempotency-Key"),
    "a strange key": (b"{}", {"Idempotency-Key": "a b"}, 400, "Idempotency-Key"),
    "a parameter nobody declared": (b'{"parameters": {"BAD": "1"}}', {}, 422, "did you mean BED?"),
}


@pytest.mark.parametrize("case", BAD_RUNS)
async def test_a_run_that_does_not_fit_is_told_where(server, case):
    body, headers, status, words = BAD_RUNS[case]
    headers = {"Content-Type": "application/json", **headers}
    problem = await json_of(server.post("/api/v1/jobs/web/builds", data=io.BytesIO(body), headers=headers), status)
    assert words in problem["detail"]
    assert problem["instance"] == "/api/v1/jobs/web/builds"
    assert (await json_of(server.get("/api/v1/builds")))["items"] == []


async def test_builds_are_listed_newest_first_filtered_and_in_pages(server):
    made = [await server.parts.plan(job=job) for job in ("web", "lib", "web")]
    assert [build["id"] for build in (await json_of(server.get("/api/v1/builds")))["items"]] == [
        build.id for build in reversed(made)
    ]
    first = await json_of(server.get("/api/v1/builds?job=web&limit=1"))
    second = await json_of(server.get(f"/api/v1/builds?job=web&limit=1&cursor={first['next']}"))
    assert [page["items"][0]["id"] for page in (first, second)] == [made[2].id, made[0].id]
    assert second["next"] is None
    assert (await json_of(server.get("/api/v1/builds?state=finished")))["items"] == []
    (one,) = (await json_of(server.get("/api/v1/builds?job=web&number=2&limit=1")))["items"]
    assert one["id"] == made[2].id
    assert (await json_of(server.get("/api/v1/builds?job=web&number=9")))["items"] == []
    assert msgspec.convert(await json_of(server.get(f"/api/v1/builds/{made[0].id}")), api.Build) == made[0]


async def test_a_build_is_cancelled_with_or_without_a_body_and_twice(server):
    build = await server.parts.plan()
    path = f"/api/v1/builds/{build.id}/cancel"
    after = await json_of(server.post(path, json={"reason": "a mistake"}))
    assert (after["state"], after["outcome"], after["reason"]) == ("finished", "cancelled", "admin: a mistake")
    assert (await json_of(server.post(path)))["reason"] == "admin: a mistake"
    await json_of(server.post(path, json={"why": "x"}), 400)
    await json_of(server.post(f"/api/v1/builds/b_{'0' * 26}/cancel"), 404)


async def test_deliveries_are_listed_and_shown_without_what_would_forge_another(server):
    server.parts.redactor.add("hunter2hunter2")
    first = await deliver(server, 1, **{"X-Forwarded-For": "192.0.2.1"})
    second = await deliver(server, 2, event="star", body=b'{"x": "hunter2hunter2"}')
    third = await deliver(server, 3, event="star", body=b"\xff\xfe")
    items = (await json_of(server.get("/api/v1/deliveries")))["items"]
    assert [(item["id"], item["state"], item["event"]) for item in items] == [
        (third, "ignored", "star"),
        (second, "ignored", "star"),
        (first, "recorded", "push"),
    ]
    assert [item["id"] for item in (await json_of(server.get("/api/v1/deliveries?state=recorded")))["items"]] == [first]
    assert (await json_of(server.get("/api/v1/deliveries?connection=other")))["items"] == []
    page = await json_of(server.get("/api/v1/deliveries?limit=1"))
    assert page["next"] == third

    shown = await json_of(server.get(f"/api/v1/deliveries/{first}"))
    headers = {one["name"]: one["value"] for one in shown["headers"]}
    assert headers["x-hub-signature-256"] == "***"
    assert headers["x-forwarded-for"] == "192.0.2.1"
    assert shown["body"] == push_body().decode()
    assert shown["body_base64"] is None
    assert "hunter2" not in (await json_of(server.get(f"/api/v1/deliveries/{second}")))["body"]
    raw = await json_of(server.get(f"/api/v1/deliveries/{third}"))
    assert (raw["body"], raw["body_base64"]) == (None, "//4=")
    await json_of(server.get(f"/api/v1/deliveries/d_{'0' * 26}"), 404)


async def decide(server, delivery_id, event=None):
    """What the flow would have written about a delivery."""
    moment = datetime.now(UTC)
    repository = api.Repository(host="github.com", path="acme/web")
    build = await server.parts.plan(delivery_id=delivery_id)
    record = EventRecord(
        id=build.event_id,
        event=event or api.Push(repository=repository, ref="refs/heads/main", before=None, after=SHA),
        connection="acme",
        repository="acme/web",
        observer="webhook",
        delivery_id=delivery_id,
        created_at=moment,
    )
    verdict = api.Verdict(passed=True, rule="triggers.push.branches", reason="it fits", compared={"branch": "main"})
    decision = Decision(
        id=new_id("x", moment),
        event_id=record.id,
        job="web",
        definition="f" * 64,
        build=True,
        reason="it fits",
        rule="triggers.push",
        verdicts=(verdict,),
        build_id=build.id,
        created_at=moment,
    )

    async def unit(connection):
        await events.add(connection, [record])
        await decisions.add(connection, [decision])

    await server.parts.database.writer.write(unit)
    return build


async def test_explain_says_the_same_from_the_delivery_the_build_and_the_commit(server):
    delivery_id = await deliver(server)
    build = await decide(server, delivery_id)
    of_delivery = await json_of(server.get(f"/api/v1/deliveries/{delivery_id}/explain"))
    of_build = await json_of(server.get(f"/api/v1/builds/{build.id}/explain"))
    of_commit = await json_of(server.get(f"/api/v1/explain?job=web&sha={SHA}"))
    for explanation in (of_delivery, of_build, of_commit):
        (explained,) = explanation["events"]
        assert explained["event"]["event"]["type"] == "push"
        (decision,) = explained["decisions"]
        assert decision["verdicts"][0]["compared"] == {"branch": "main"}
        assert [one["id"] for one in explanation["builds"]] == [build.id]
    assert of_delivery["delivery"]["id"] == of_build["delivery"]["id"] == delivery_id
    assert (of_build["build"]["id"], of_delivery["build"]) == (build.id, None)
    assert (await json_of(server.get(f"/api/v1/explain?job=web&sha={'0' * 40}")))["events"] == []
    await json_of(server.get(f"/api/v1/deliveries/d_{'0' * 26}/explain"), 404)
    await json_of(server.get(f"/api/v1/builds/b_{'0' * 26}/explain"), 404)


async def test_values_asked_for_by_hand_are_not_shown_by_explain(server):
    manual = api.Manual(job="web", actor="ada", parameters={"PASSWORD": "hunter2"})
    build = await decide(server, await deliver(server), manual)
    async with server.get(f"/api/v1/builds/{build.id}/explain") as answer:
        text = await answer.text()
    assert '"PASSWORD":"***"' in text
    assert "hunter2" not in text


async def test_a_replay_is_a_new_delivery_and_the_same_one_for_the_same_key(server):
    first = await deliver(server)
    path = f"/api/v1/deliveries/{first}/replay"
    explanation = await json_of(server.post(path, headers={"Idempotency-Key": "k"}), 201)
    assert explanation["delivery"]["replay_of"] == first
    again = await json_of(server.post(path, headers={"Idempotency-Key": "k"}), 201)
    assert again["delivery"]["id"] == explanation["delivery"]["id"] != first
    await json_of(server.post(f"/api/v1/deliveries/d_{'0' * 26}/replay"), 404)


async def test_plugins_providers_and_connections_say_what_is_there_and_what_is_not(server):
    (plugin,) = (await json_of(server.get("/api/v1/plugins")))["items"]
    assert (plugin["name"], plugin["status"], plugin["reason"]) == ("gone", "broken", "no")
    (provider,) = (await json_of(server.get("/api/v1/providers")))["items"]
    assert (provider["type"], provider["name"], provider["status"]) == ("github", "GitHub", "stable")
    assert provider["description"]
    assert "token" in provider["credential_types"]
    assert {"clone", "status"} <= set(provider["features"])
    acme, mad, shut = (await json_of(server.get("/api/v1/connections")))["items"]
    assert acme["webhook_url"] == "https://ci.example.org/webhooks/acme"
    assert "clone" in acme["capabilities"]
    assert (mad["name"], mad["capabilities"]) == ("mad", [])
    assert (shut["open"], shut["problem"]) == (False, "secret://env/X is missing")
    page = await json_of(server.get("/api/v1/connections?limit=1&cursor=acme"))
    assert ([one["name"] for one in page["items"]], page["next"]) == (["mad"], "mad")


async def test_news_that_was_given_up_is_told_again(server):
    build = await server.parts.plan()
    moment = datetime.now(UTC)
    new = NewNotification(
        id=new_id("n", moment),
        build_id=build.id,
        notifier="webhook",
        options={"url": "https://hooks.example.org/T0P-SECRET"},
        phase="queued",
        order_key="x",
        sequence=1,
        build=build,
        created_at=moment,
    )

    async def give_up(connection):
        await notifications.add(connection, [new])
        await notifications.failed(connection, new.id, "no route", None)

    await server.parts.database.writer.write(give_up)
    async with server.get("/api/v1/notifications?state=dead") as answer:
        assert "T0P-SECRET" not in await answer.text()
        (item,) = (await answer.json())["items"]
    assert (item["job"], item["number"], item["last_error"]) == ("web", 1, "no route")
    path = f"/api/v1/notifications/{new.id}/retry"
    assert (await json_of(server.post(path)))["state"] == "waiting"
    assert (await json_of(server.post(path)))["state"] == "waiting"
    assert server.parts.retried == [True]

    async def tell(connection):
        await notifications.told(connection, new.id)

    await server.parts.database.writer.write(tell)
    assert "told" in (await json_of(server.post(path), 409))["detail"]
    await json_of(server.post(f"/api/v1/notifications/n_{'0' * 26}/retry"), 404)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/builds?stat=queued", "did you mean state?"),
        ("/api/v1/builds?state=queue", "$.state"),
        ("/api/v1/builds?state=queued&state=queued", "twice"),
        ("/api/v1/builds?limit=0", "$.limit"),
        ("/api/v1/builds?limit=201", "$.limit"),
        ("/api/v1/builds?limit=x", "$.limit"),
        ("/api/v1/builds?limit=1e1", "$.limit"),
        ("/api/v1/builds?cursor=../x", "$.cursor"),
        ("/api/v1/builds?state=null", "$.state"),
        ("/api/v1/plugins?x=1", "known are none"),
        ("/api/v1/explain?job=web", "sha"),
        ("/api/v1/explain?job=web&sha=abc", "$.sha"),
    ],
)
async def test_query_arguments_that_do_not_fit_are_400_and_named(server, path, words):
    assert words in (await json_of(server.get(path), 400))["detail"]


async def test_unknown_paths_and_methods_are_problems_too(server):
    problem = await json_of(server.get("/api/v1/bilds"), 404)
    assert problem == {
        "type": "urn:headgate:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here; /api/v1/openapi.json lists what there is.",
        "instance": "/api/v1/bilds",
    }
    async with server.client.delete(server.url + "/api/v1/builds") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
        assert answer.headers["Content-Type"] == "application/problem+json"
    for path in ("/", "/api", "/api/v1/", "/api/v1/builds/", "/plugins/x", "/api/v1/builds/a/b/c"):
        await json_of(server.get(path), 404)


async def test_our_own_fault_is_a_500_that_says_nothing_of_the_inside(server, monkeypatch):
    async def broken(*_, **__):
        raise KeyError("/srv/secret")

    monkeypatch.setattr(type(server.parts), "run_job", broken)
    server.rewire()
    problem = await json_of(server.post("/api/v1/jobs/web/builds", json={}), 500)
    assert "secret" not in problem["detail"]


async def test_health_ready_and_metrics(server):
    server.parts.health.set("database", "ok")
    assert await json_of(server.client.get(server.url + "/ready")) == {
        "ready": True,
        "status": "ok",
        "components": [{"name": "database", "status": "ok"}],
    }
    server.parts.health.set("database", "down", "disk /srv/x is full")
    async with server.client.get(server.url + "/ready") as answer:
        assert answer.status == 503
        assert "/srv" not in await answer.text()
    (component,) = (await json_of(server.get("/api/v1/health")))["components"]
    assert component["reason"] == "disk /srv/x is full"
    assert (await json_of(server.client.get(server.url + "/health")))["version"] == "0.0.1"
    await deliver(server)
    async with server.get("/metrics") as answer:
        text = await answer.text()
    assert 'headgate_deliveries_total{connection="acme",event="push",provider="github",result="recorded"} 1.0' in text
    assert 'route="/webhooks/{connection}"' in text


async def test_answers_are_not_kept_by_others_and_tell_no_versions(server):
    for path in ("/health", "/api/v1/builds", "/nothing", "/metrics"):
        async with server.get(path) as answer:
            assert answer.headers["Server"] == "headgate"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
