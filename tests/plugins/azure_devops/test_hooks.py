"""Service hooks: subscriptions of one URL are one webhook; on answers of our own."""

from __future__ import annotations

import json

import pytest
from azure_devops_payloads import EVENT_ID, delivery
from azure_devops_server import HOOKS, KIND, REPO, WEB, ask, changed_options, listed, on, repository

from headgate import api
from headgate.api.client import basic
from headgate.api.testing.calls import Answer, GitHost
from headgate_plugins.azure_devops.connection import AzureDevOps

REPOSITORY_ID, PROJECT_ID = "77aa0000-0000-4000-8000-000000000001", "66aa0000-0000-4000-8000-000000000001"
URL = "https://ci.example.org/webhooks/acme"
EVENTS = (
    "git.push",
    "git.pullrequest.created",
    "git.pullrequest.updated",
    "git.pullrequest.merged",
    "ms.vss-code.git-pullrequest-comment-event",
)


def subscription(number=1, event="git.push", *, url=URL, status="enabled", publisher=None, **consumer):
    inputs = {"projectId": PROJECT_ID, "repository": REPOSITORY_ID, "branch": "", "tfsSubscriptionId": "x"}
    return {
        "id": f"aaaa0000-0000-4000-8000-{number:012}",
        "eventType": event,
        "status": status,
        "publisherInputs": inputs | (publisher or {}),
        "consumerInputs": {"url": url, "basicAuthUsername": "headgate", "basicAuthPassword": "********"} | consumer,
    }


def having(*subscriptions, **more):
    return on({f"GET {REPO}": repository(), f"GET {HOOKS}": listed(*subscriptions)} | more)


def hooks(*subscriptions):
    return ask(lambda provider, _: provider.hooks(WEB), having(*subscriptions))


def test_subscriptions_of_one_url_are_one_hook():
    all_of_it = [subscription(number, event) for number, event in enumerate(EVENTS)]
    other = subscription(9, url="https://chat.example.org/x")
    mine, theirs = hooks(*all_of_it, other)
    assert (mine.url, mine.events) == (URL, tuple(sorted(EVENTS)))
    assert (mine.active, mine.has_secret, mine.verifies_tls, mine.healthy) == (True, True, True, True)
    assert (theirs.url, theirs.events) == ("https://chat.example.org/x", ("git.push",))
    assert mine.id != theirs.id
    assert api.hook_differences(mine, api.WantedHook(url=URL), EVENTS) == ()
    assert hooks(all_of_it[0])[0].id == mine.id


def test_what_is_of_other_repositories_is_none_of_this_one():
    elsewhere = [
        subscription(publisher={"repository": "77aa0000-0000-4000-8000-000000000002"}),
        subscription(publisher={"projectId": "66aa0000-0000-4000-8000-000000000002"}),
    ]
    assert hooks(*elsewhere) == []


def test_one_of_the_whole_project_is_another_hook():
    of_this, of_all = hooks(subscription(), subscription(2, publisher={"repository": ""}))
    assert of_this.url == of_all.url
    assert of_this.id != of_all.id


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"status": "disabledByUser"}, "switched off"),
        ({"status": "disabledBySystem"}, "gave it up"),
        ({"status": "onProbation"}, "gave it up"),
        ({"basicAuthPassword": ""}, "no secret"),
        ({"acceptUntrustedCerts": "true"}, "certificate"),
        ({"publisher": {"branch": "main"}}, "does not send"),
        ({"publisher": {"pushedBy": "ada"}}, "does not send"),
        ({"resourceDetailsToSend": "minimal"}, "does not send"),
    ],
)
def test_what_is_wrong_with_a_hook_is_seen(changes, fault):
    (found,) = hooks(subscription(**changes))
    assert fault in " ".join(api.hook_differences(found, api.WantedHook(url=URL), ("git.push",)))


def test_a_secret_in_a_header_is_one_too():
    (found,) = hooks(subscription(basicAuthPassword=None, httpHeaders="X-Headgate-Token: ********"))
    assert found.has_secret


def echo(asked):
    """As the service answers: what was set, with asterisks for secrets."""
    body = json.loads(asked.body)
    body.setdefault("id", f"bbbb0000-0000-4000-8000-{len(asked.body):012}")
    body["consumerInputs"]["basicAuthPassword"] = "********"
    return Answer(200, {"status": "enabled"} | body)


def test_a_hook_is_made_of_a_subscription_an_event():
    host = having(**{f"POST {HOOKS}": echo})
    wanted = api.WantedHook(url=URL, secret=api.Secret("new secret"))
    found = ask(lambda provider, _: provider.create_hook(WEB, wanted), host)
    posts = [one for one in host.asked if one.method == "POST"]
    assert [one.json()["eventType"] for one in posts] == list(EVENTS)
    assert posts[0].json() == {
        "publisherId": "tfs",
        "eventType": "git.push",
        "resourceVersion": "1.0",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": {"projectId": PROJECT_ID, "repository": REPOSITORY_ID},
        "consumerInputs": {
            "url": URL,
            "basicAuthUsername": "headgate",
            "basicAuthPassword": "new secret",
            "resourceDetailsToSend": "all",
            "messagesToSend": "text",
            "detailedMessagesToSend": "none",
            "acceptUntrustedCerts": "false",
        },
    }
    assert posts[-1].json()["resourceVersion"] == "2.0"
    assert {one.query["api-version"] for one in posts} == {"7.1-preview"}
    assert api.hook_differences(found, wanted, EVENTS) == ()
    assert found.id == hooks(subscription())[0].id


def test_the_secret_goes_where_the_connection_looks_for_it():
    host = having(**{f"POST {HOOKS}": echo})
    wanted = api.WantedHook(url=URL, events=("git.push",))
    ask(
        lambda provider, _: provider.create_hook(WEB, wanted),
        host,
        settings=changed_options(secret_header="X-Headgate-Token"),
    )
    sent = host.asked[-1].json()["consumerInputs"]
    assert sent["httpHeaders"] == "X-Headgate-Token: hook secret"
    assert "basicAuthPassword" not in sent


def test_what_is_sent_by_a_hook_we_made_is_accepted():
    """The round: what `create_hook` sets is what `authenticate` takes."""
    host = having(**{f"POST {HOOKS}": echo})

    async def round_trip(provider, _):
        await provider.create_hook(WEB, api.WantedHook(url=URL, events=("git.push",)))
        sent = host.asked[-1].json()["consumerInputs"]
        login = basic(sent["basicAuthUsername"], api.Secret(sent["basicAuthPassword"])).headers["Authorization"]
        return provider.authenticate(delivery(b"{}", [("authorization", login.reveal())]))

    assert ask(round_trip, host) == api.Seal(secret=0)


def test_without_a_secret_there_is_nothing_to_send():
    host = having()
    opened = changed_options(webhook_secrets=None, accept_unsigned=api.ACCEPT_UNSIGNED)
    with pytest.raises(api.CredentialError):
        ask(lambda provider, _: provider.create_hook(WEB, api.WantedHook(url=URL)), host, settings=opened)
    for text in ("a\r\nX: b", "é"):
        wanted = api.WantedHook(url=URL, secret=api.Secret(text))
        with pytest.raises(api.CredentialError):
            ask(lambda provider, _, wanted=wanted: provider.create_hook(WEB, wanted), host)
    assert not [one for one in host.asked if one.method == "POST"]


def test_an_event_that_could_not_be_read_is_not_asked_for():
    wanted = api.WantedHook(url=URL, events=("git.push", "workitem.created"))
    host = having()
    with pytest.raises(api.ProviderError, match=r"workitem\.created"):
        ask(lambda provider, _: provider.create_hook(WEB, wanted), host)
    assert not [one for one in host.asked if one.method == "POST"]


def test_builds_are_of_the_whole_project():
    host = having(**{f"POST {HOOKS}": echo})
    wanted = api.WantedHook(url=URL, events=("build.complete",))
    ask(lambda provider, _: provider.create_hook(WEB, wanted), host)
    assert host.asked[-1].json()["publisherInputs"] == {"projectId": PROJECT_ID}
    assert "build.complete" not in KIND.provides.hook_events(None)


def test_an_update_sets_what_is_there_makes_what_lacks_and_removes_what_is_too_much():
    right = subscription(1)
    narrowed = subscription(2, "git.pullrequest.created", publisher={"branch": "main"})
    doubled = subscription(3)
    unwanted = subscription(4, "git.pullrequest.merged")
    paths = {f"PUT {HOOKS}/{right['id']}": echo, f"POST {HOOKS}": echo}
    paths |= {f"DELETE {HOOKS}/{one['id']}": Answer(204, b"") for one in (narrowed, doubled, unwanted)}
    host = having(right, narrowed, doubled, unwanted, **paths)
    hook = hooks(right)[0].id
    wanted = api.WantedHook(url=URL + "/2", secret=api.Secret("s2"), events=("git.push", "git.pullrequest.created"))
    found = ask(lambda provider, _: provider.update_hook(WEB, hook, wanted), host)
    assert [(one.method, one.path.rpartition("/")[2]) for one in host.asked if one.method != "GET"] == [
        ("PUT", right["id"]),
        ("POST", "subscriptions"),
        ("DELETE", narrowed["id"]),
        ("DELETE", doubled["id"]),
        ("DELETE", unwanted["id"]),
    ]
    put = next(one for one in host.asked if one.method == "PUT").json()
    assert (put["id"], put["status"], put["consumerInputs"]["basicAuthPassword"]) == (right["id"], "enabled", "s2")
    assert (found.url, found.events) == (URL + "/2", ("git.pullrequest.created", "git.push"))


def test_a_hook_is_removed_with_all_that_belongs_to_it_and_nothing_else():
    mine = [subscription(1), subscription(2, "git.pullrequest.created")]
    theirs = subscription(3, url="https://chat.example.org/x")
    gone, there = f"DELETE {HOOKS}/{mine[0]['id']}", f"DELETE {HOOKS}/{mine[1]['id']}"
    host = having(*mine, theirs, **{gone: Answer(404, {"message": "no"}), there: Answer(204, b"")})
    hook = hooks(mine[0])[0].id
    ask(lambda provider, _: provider.delete_hook(WEB, hook), host)
    assert [one for one in host.paths() if one.startswith("DELETE")] == [gone, there]
    ask(lambda provider, _: provider.delete_hook(WEB, "0123456789abcdef"), host)
    with pytest.raises(api.NotFound):
        ask(lambda provider, _: provider.update_hook(WEB, "0123456789abcdef", api.WantedHook(url=URL)), host)


def notification(number, result, *, response=None, event=EVENT_ID, sub=1):
    return {
        "id": number,
        "subscriptionId": f"aaaa0000-0000-4000-8000-{sub:012}",
        "eventId": event,
        "createdDate": f"2026-01-05T11:00:{number:02}.12Z",
        "result": result,
        "status": "completed",
        "details": {"eventType": "git.push", "response": response},
    }


def test_what_a_hook_sent_newest_first_under_the_key_it_has_here():
    results = [
        notification(1, "succeeded", response="Status Code: 202\r\nReason Phrase: Accepted"),
        notification(2, "failed", response="HTTP/1.1 503 Service Unavailable", event=EVENT_ID.upper()),
        notification(3, "failed"),
        notification(4, "succeeded", sub=2),
        notification(5, "pending"),
        notification(6, "filtered"),
        notification(7, "succeeded", event=None) | {"details": None},
    ]
    query = "POST /acme/_apis/hooks/notificationsquery"
    subscriptions = [subscription(1), subscription(2, "git.pullrequest.created")]
    host = having(*subscriptions, **{query: {"results": results}})
    hook = hooks(subscriptions[0])[0].id
    found = ask(lambda provider, _: provider.hook_deliveries(WEB, hook), host)
    assert [(one.id.rpartition(":")[2], one.key, one.event, one.status) for one in found] == [
        ("7", None, "git.push", 200),
        ("4", EVENT_ID, "git.pullrequest.created", 200),
        ("3", EVENT_ID, "git.push", None),
        ("2", EVENT_ID, "git.push", 503),
        ("1", EVENT_ID, "git.push", 202),
    ]
    asked = host.asked[-1].json()
    assert asked["includeDetails"] is True
    assert asked["subscriptionIds"] == [one["id"] for one in subscriptions]


def test_what_was_sent_is_known_and_not_sent_again():
    assert issubclass(AzureDevOps, api.KnowsHookDeliveries)
    assert not issubclass(AzureDevOps, api.RedeliversHooks)


def test_hooks_that_may_not_be_seen_are_refused():
    host = on({f"GET {REPO}": repository(), f"GET {HOOKS}": Answer(403, {"message": "TF401027: you need permission"})})
    with pytest.raises(api.Refused, match="TF401027"):
        ask(lambda provider, _: provider.hooks(WEB), host)
    with pytest.raises(api.NotFound):
        ask(lambda provider, _: provider.hooks(WEB), GitHost())
