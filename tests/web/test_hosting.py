"""The routes that ask a connection's Git host: pages over its listings, its webhooks, and what is said when it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from web_server import json_of

from headgate import api
from headgate.storage import deliveries
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id
from headgate.web.listings import KEPT, KEPT_FOR, Listings
from headgate.web.ports import Connection
from headgate.web.problems import Refusal

SHA = "a1" * 20
URL = "https://ci.example.org/webhooks/host"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Remembers:
    """A provider that knows what its hooks sent, and sends nothing again."""

    at = datetime(2026, 1, 5, tzinfo=UTC)
    more = ()

    def authenticate(self, delivery):
        raise api.Unauthenticated("no")

    def parse(self, delivery):
        raise api.Unreadable("no")

    async def hook_deliveries(self, repository, hook):
        for number in ("9", *self.more):
            key = "k" if number == "9" else f"k{number}"
            yield api.HookDelivery(id=number, key=key, event="push", at=self.at, status=503)


class Host(Remembers):
    """A provider that can do all of it, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.begun = 0
        self.kept = {}
        self.error = None

    async def test_connection(self):
        if self.error:
            raise self.error
        return api.ConnectionReport(user="ada", scopes=("repo",), missing=("admin:repo_hook",))

    async def discover(self, query):
        self.asked.append(query)
        self.begun += 1
        for number in range(5):
            repository = api.Repository(host="git.example.org", path=f"acme/web-{number}")
            yield api.HostedRepository(repository=repository, visibility="private")

    async def repository(self, repository):
        raise NotImplementedError

    async def branches(self, repository):
        yield api.Branch(name="main", sha=SHA)

    async def tags(self, repository):
        yield api.HostedTag(name="v1", sha=SHA)

    async def ref(self, repository, ref):
        raise NotImplementedError

    async def commits(self, repository, ref):
        raise NotImplementedError
        yield

    async def compare(self, repository, base, head):
        raise NotImplementedError

    async def changes(self, repository, state="open"):
        self.asked.append(state)
        yield api.HostedChange(
            repository=api.Repository(host="git.example.org", path=repository),
            number=7,
            title="Better",
            state="open",
            source=api.ChangeSource(repository=None, branch="b", sha=SHA),
            target=api.ChangeTarget(branch="main"),
            author="ada",
        )

    async def change(self, repository, number):
        raise NotImplementedError

    async def changed_files(self, repository, number):
        raise NotImplementedError
        yield

    def hook_events(self):
        return ("push", "pull_request")

    async def hooks(self, repository):
        for hook in self.kept.values():
            yield hook

    async def create_hook(self, repository, wanted):
        assert wanted.secret is None
        hook = api.Hook(id=str(len(self.kept) + 1), url=wanted.url, events=self.hook_events(), has_secret=True)
        self.kept[hook.id] = hook
        return hook

    async def update_hook(self, repository, hook, wanted):
        self.kept[hook] = api.Hook(id=hook, url=wanted.url, events=self.hook_events(), has_secret=True)
        return self.kept[hook]

    async def delete_hook(self, repository, hook):
        self.kept.pop(hook, None)

    async def redeliver(self, repository, hook, delivery):
        self.asked.append((repository, hook, delivery))


@pytest.fixture
def host(server):
    host = Host()
    guard = server.parts.guards.of("provider", "host")
    server.parts.connections["host"] = Connection(name="host", kind="host", provider=host, guard=guard)
    return host


BELOW = "/api/v1/connections/host"


async def test_a_credential_is_tested(server, host):
    report = await json_of(server.get(f"{BELOW}/test"))
    assert (report["user"], report["missing"]) == ("ada", ["admin:repo_hook"])
    host.error = api.CredentialError("the environment variable HEADGATE_SECRET_X is not set")
    assert "HEADGATE_SECRET_X is not set" in (await json_of(server.get(f"{BELOW}/test"), 502))["detail"]
    host.error = api.Refused("the token is no longer valid")
    assert "no longer valid" in (await json_of(server.get(f"{BELOW}/test"), 502))["detail"]


async def test_repositories_are_discovered_with_filters_page_after_page_in_one_listing(server, host):
    path = f"{BELOW}/repositories?limit=2&owner=acme&archived=false&visibility=private"
    first = await json_of(server.get(path))
    assert host.asked == [api.RepositoryQuery(owner="acme", archived=False, visibility="private")]
    second = await json_of(server.get(f"{path}&cursor={first['next']}"))
    third = await json_of(server.get(f"{path}&cursor={second['next']}"))
    names = [one["repository"]["path"] for page in (first, second, third) for one in page["items"]]
    assert names == [f"acme/web-{number}" for number in range(5)]
    assert third["next"] is None
    assert host.begun == 1, "the host was asked for one listing"
    again = await json_of(server.get(f"{path}&cursor={first['next']}"))
    assert (again["items"], host.begun) == (second["items"], 2), "a cursor is good for ever: the listing begins again"


async def test_the_other_listings(server, host):
    (branch,) = (await json_of(server.get(f"{BELOW}/branches?repository=acme/web")))["items"]
    assert branch == {"name": "main", "sha": SHA, "protected": None}
    (tag,) = (await json_of(server.get(f"{BELOW}/tags?repository=acme/web")))["items"]
    assert tag["name"] == "v1"
    (change,) = (await json_of(server.get(f"{BELOW}/changes?repository=acme/web&state=all")))["items"]
    assert (change["number"], host.asked) == (7, [None])
    assert "repository" in (await json_of(server.get(f"{BELOW}/tags"), 400))["detail"]


async def test_a_webhook_is_missing_made_broken_and_put_right(server, host):
    path = f"{BELOW}/hooks?repository=acme/web"
    assert await json_of(server.get(path)) == {"items": [], "next": None, "wanted": URL}
    made = await json_of(server.post(f"{BELOW}/hooks", json={"repository": "acme/web"}))
    assert (made["did"], made["hook"]["url"]) == ("created", URL)
    host.kept["1"] = api.Hook(id="1", url=URL, events=("push",), active=False, has_secret=False, verifies_tls=False)
    host.kept["2"] = api.Hook(id="2", url="https://elsewhere.example", active=False)
    ours, other = (await json_of(server.get(path)))["items"]
    assert ours["faults"] == [
        "it is switched off",
        "it has no secret",
        "it does not check our certificate",
        "it does not send pull_request",
    ]
    assert (other["ours"], other["faults"]) == (False, [])
    right = await json_of(server.post(f"{BELOW}/hooks", json={"repository": "acme/web"}))
    assert (right["did"], right["hook"]["active"]) == ("updated", True)
    assert (await json_of(server.get(path)))["items"][0]["faults"] == []
    async with server.post(f"{BELOW}/hooks/remove", json={"repository": "acme/web", "hook": "1"}) as answer:
        assert answer.status == 204
    assert list(host.kept) == ["2"]


async def test_what_a_hook_sent_is_listed_and_sent_again(server, host):
    (sent,) = (await json_of(server.get(f"{BELOW}/hook-deliveries?repository=acme/web&hook=1")))["items"]
    assert (sent["id"], sent["status"]) == ("9", 503)
    asked = {"repository": "acme/web", "hook": "1", "delivery": "9"}
    async with server.post(f"{BELOW}/hook-deliveries", json=asked) as answer:
        assert answer.status == 204
    assert host.asked == [("acme/web", "1", "9")]


async def test_what_was_missed_is_listed_and_sent_again(server, host, monkeypatch):
    path, asked = f"{BELOW}/missed?repository=acme/web&days=35", {"repository": "acme/web", "days": 35}
    assert "no webhook that leads to" in (await json_of(server.get(path), 404))["detail"]
    host.kept["1"] = api.Hook(id="1", url=URL)
    monkeypatch.setattr(Remembers, "at", datetime.now(UTC))
    found = await json_of(server.get(path))
    assert ([one["id"] for one in found["items"]], found["unknown"]) == (["9"], "")
    assert host.asked == []
    recovered = await json_of(server.post(f"{BELOW}/missed", json=asked))
    assert ([one["id"] for one in recovered["asked"]], recovered["left"], recovered["refused"]) == (["9"], 0, [])
    await json_of(server.post(f"{BELOW}/missed", json=asked))
    assert host.asked == [("acme/web", "1", "9")] * 2, "who asks by hand may ask again"
    delivery = api.Delivery(
        id=new_id("d", NOW), connection="host", received_at=NOW, headers=(), body=b"{}", remote="127.0.0.1"
    )
    await server.parts.database.writer.add(deliveries.record, NewDelivery(delivery=delivery, key="k"))
    assert (await json_of(server.get(path)))["items"] == []
    await json_of(server.get(f"{BELOW}/missed?repository=acme/web&days=36"), 400)


async def test_a_limit_while_missed_ones_are_sent_again_says_how_far_it_came(server, host, monkeypatch):
    host.kept["1"] = api.Hook(id="1", url=URL)
    monkeypatch.setattr(Remembers, "at", datetime.now(UTC))
    error = {"9": api.RateLimited("slow down", retry_at=NOW)}

    async def redeliver(repository, hook, delivery):
        if delivery in error:
            raise error[delivery]

    monkeypatch.setattr(host, "redeliver", redeliver)
    asked = {"repository": "acme/web"}
    await json_of(server.post(f"{BELOW}/missed", json=asked), 503)
    monkeypatch.setattr(Remembers, "more", ("8",))
    recovered = await json_of(server.post(f"{BELOW}/missed", json=asked))
    assert ([one["id"] for one in recovered["asked"]], recovered["left"]) == (["8"], 1)
    assert recovered["stopped"] == "slow down"
    error["9"] = api.ProviderError("it is too old")
    recovered = await json_of(server.post(f"{BELOW}/missed", json=asked))
    assert [(one["delivery"]["id"], one["reason"]) for one in recovered["refused"]] == [("9", "it is too old")]


@pytest.mark.parametrize(("seconds", "header"), [(30, "30"), (None, "5")])
async def test_who_asks_a_host_that_is_left_alone_is_told_for_how_long(server, host, monkeypatch, seconds, header):
    async def shut():
        raise api.Unavailable("GitHub is left alone for 30 s", seconds=seconds)

    monkeypatch.setattr(host, "test_connection", shut)
    async with server.get(f"{BELOW}/test") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, header)


async def test_a_host_that_only_remembers_is_not_asked_to_send_again(server, host):
    server.parts.connections["host"] = replace(server.parts.connections["host"], provider=Remembers())
    await json_of(server.get(f"{BELOW}/hook-deliveries?repository=acme/web&hook=1"))
    asked = {"repository": "acme/web", "hook": "1", "delivery": "9"}
    assert "`redeliver`" in (await json_of(server.post(f"{BELOW}/hook-deliveries", json=asked), 409))["detail"]
    missed = await json_of(server.post(f"{BELOW}/missed", json={"repository": "acme/web"}), 409)
    assert "does not have the feature" in missed["detail"]


async def test_what_cannot_be_asked_says_why(server):
    assert "no such" in (await json_of(server.get("/api/v1/connections/none/test"), 404))["detail"]
    assert "secret://env/X" in (await json_of(server.get("/api/v1/connections/shut/test"), 409))["detail"]
    assert "`test`" in (await json_of(server.get("/api/v1/connections/mad/test"), 409))["detail"]


async def test_writing_needs_a_permission_of_its_own(server, host):
    token = await server.parts.token("connections:read")
    await json_of(server.get(f"{BELOW}/hooks?repository=acme/web", token=token))
    await json_of(server.post(f"{BELOW}/hooks", json={"repository": "acme/web"}, token=token), 403)
    await json_of(server.post(f"{BELOW}/missed", json={"repository": "acme/web"}, token=token), 403)
    assert host.kept == {}
    token = await server.parts.token("connections:write")
    await json_of(server.post(f"{BELOW}/hooks", json={"repository": "acme/web"}, token=token))


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(3)])
async def test_a_provider_that_breaks_is_a_502_and_harms_nobody(server, host, error):
    host.error = error
    await json_of(server.get(f"{BELOW}/test"), 502)
    server.parts.connections["host"] = replace(server.parts.connections["host"], provider=Host())
    assert (await json_of(server.get(f"{BELOW}/branches?repository=acme/web")))["items"]


class Listing:
    """Counts from 0 to 9, and knows whether it was closed."""

    def __init__(self):
        self.number = -1
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.number += 1
        if self.number > 9:
            raise StopAsyncIteration
        return self.number

    async def aclose(self):
        self.closed = True


async def test_a_listing_nobody_goes_on_with_is_closed_and_so_is_the_oldest_of_too_many():
    moment = [0.0]
    listings = Listings(monotonic=lambda: moment[0])
    first = Listing()
    assert await listings.page("a", lambda: first, cursor=None, limit=4) == ((0, 1, 2, 3), "4")
    moment[0] = KEPT_FOR + 1
    await listings.page("b", Listing, cursor=None, limit=4)
    assert first.closed
    second = Listing()
    await listings.page("c", lambda: second, cursor=None, limit=1)
    for number in range(KEPT):
        await listings.page(("d", number), Listing, cursor=None, limit=1)
    assert second.closed


@pytest.mark.parametrize("cursor", ["", "-1", "x", "1" * 10, "١"])
async def test_a_cursor_of_somebody_else_is_refused(cursor):
    with pytest.raises(Refusal):
        await Listings().page("a", Listing, cursor=cursor, limit=1)


async def test_a_cursor_beyond_the_end_is_an_empty_page():
    assert await Listings().page("a", Listing, cursor="50", limit=5) == ((), None)
