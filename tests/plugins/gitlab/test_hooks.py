"""A GitLab project's webhooks and what they sent, against documented answers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hosted_gitlab import KIND, WEB, asked_of, every, options, paged

from headgate import api
from headgate.api.testing import NOW
from headgate.api.testing.calls import Answer, calling
from headgate_plugins.gitlab.hooks import EVENTS, OTHER_EVENTS

URL = "https://ci.example.org/webhooks/acme"
WANTED = api.WantedHook(url=URL, secret=api.Secret("t0ken"))
HOOKS, HOOK = f"{WEB}/hooks", f"{WEB}/hooks/5"
LISTED = {
    "id": 5,
    "url": URL,
    "project_id": 7,
    "enable_ssl_verification": True,
    "alert_status": "executable",
    "disabled_until": None,
    "url_variables": [],
    "push_events_branch_filter": "",
    **dict.fromkeys(EVENTS, True),
    **dict.fromkeys(OTHER_EVENTS, False),
}
SIGNING = "whsec_" + base64.b64encode(b"k" * 32).decode()


def signed():
    def configured(url):
        rest = {key: value for key, value in options(url).items() if key != "webhook_secrets"}
        return {**rest, "signing_tokens": ["secret://contract/new", "secret://contract/old"]}

    return calling(KIND, configured, secrets={"secret://contract/new": SIGNING, "secret://contract/old": "whsec_AAAA"})


async def test_hooks_and_what_is_wrong_with_them():
    async with asked_of() as (provider, host):
        poor = {
            **LISTED,
            "id": 6,
            "note_events": False,
            "issues_events": True,
            "enable_ssl_verification": False,
            "alert_status": "disabled",
            "token_present": False,
        }
        paged(host, HOOKS, [{**LISTED, "token_present": True}], [poor])
        good, bad = await every(provider.hooks("acme/web"))
        assert good == api.Hook(id="5", url=URL, events=EVENTS, has_secret=True, verifies_tls=True, healthy=True)
        assert (bad.has_secret, bad.verifies_tls, bad.healthy) == (False, False, False)
        assert "issues_events" in bad.events
        assert api.hook_differences(good, WANTED, provider.hook_events()) == ()
        faults = api.hook_differences(bad, WANTED, provider.hook_events())
        assert any("note_events" in fault for fault in faults)
        assert len(faults) == 4


async def test_what_an_older_server_does_not_say_is_not_known():
    async with asked_of() as (provider, host):
        host.on("GET", HOOKS, [{"id": 5, "url": URL, "push_events": True}])
        (hook,) = await every(provider.hooks("acme/web"))
        assert hook == api.Hook(id="5", url=URL, events=("push_events",))


async def test_a_hook_that_keeps_branches_back_does_not_bring_pushes():
    async with asked_of() as (provider, host):
        kept = {**LISTED, "push_events_branch_filter": "main", "branch_filter_strategy": "wildcard"}
        host.on("GET", HOOKS, [kept, {**kept, "branch_filter_strategy": "all_branches"}])
        some, everything = await every(provider.hooks("acme/web"))
        assert "push_events" not in some.events
        assert "push_events" in everything.events


async def test_a_hook_is_made_with_a_secret_token_and_every_switch():
    async with asked_of() as (provider, host):
        host.on("POST", HOOKS, Answer(201, LISTED))
        host.on("PUT", HOOK, LISTED)
        hook = await provider.create_hook("acme/web", WANTED)
        assert hook.id == "5"
        wanted = api.WantedHook(url="http://127.0.0.1:8080/hooks", events=("push_events",))
        await provider.update_hook("acme/web", "5", wanted)
        made, updated = (one.json() for one in host.asked)
        assert made == {
            "url": URL,
            "enable_ssl_verification": True,
            "push_events_branch_filter": "",
            "branch_filter_strategy": "all_branches",
            "token": "t0ken",
            **dict.fromkeys(EVENTS, True),
            **dict.fromkeys(OTHER_EVENTS, False),
        }
        assert (updated["token"], updated["enable_ssl_verification"]) == ("hook secret", False)
        assert [name for name in EVENTS if updated[name]] == ["push_events"]


async def test_where_signing_tokens_are_configured_a_hook_signs():
    async with signed() as (provider, host):
        host.on("POST", HOOKS, Answer(201, {**LISTED, "signing_token_present": True, "token_present": False}))
        host.on("PUT", HOOK, {**LISTED, "signing_token_present": True})
        hook = await provider.create_hook("acme/web", api.WantedHook(url=URL))
        assert hook.has_secret
        await provider.update_hook("acme/web", "5", api.WantedHook(url=URL, secret=api.Secret("k" * 32)))
        assert [one.json()["signing_token"] for one in host.asked] == [SIGNING, SIGNING]
        assert not [one for one in host.asked if "token" in one.json()]


async def test_a_server_that_cannot_sign_keeps_no_unsigned_hook():
    async with signed() as (provider, host):
        host.on("POST", HOOKS, Answer(201, LISTED))
        host.on("PUT", HOOK, LISTED)
        host.on("DELETE", HOOK, Answer(204, b""))
        with pytest.raises(api.ProviderError, match="version 19"):
            await provider.create_hook("acme/web", api.WantedHook(url=URL))
        assert host.paths() == [f"POST {HOOKS}", f"DELETE {HOOK}"]
        with pytest.raises(api.ProviderError, match="version 19"):
            await provider.update_hook("acme/web", "5", api.WantedHook(url=URL))


async def test_unknown_events_and_no_secret_at_all_make_no_hook():
    def open_door(url):
        rest = {key: value for key, value in options(url).items() if key != "webhook_secrets"}
        return {**rest, "accept_unsigned": api.ACCEPT_UNSIGNED}

    async with calling(KIND, open_door) as (provider, host):
        with pytest.raises(api.ProviderError, match="teleport_events"):
            await provider.create_hook("acme/web", api.WantedHook(url=URL, events=("teleport_events",)))
        with pytest.raises(api.CredentialError, match="no webhook secret"):
            await provider.create_hook("acme/web", api.WantedHook(url=URL))
        assert host.asked == []


async def test_a_hook_is_removed_and_one_that_is_gone_is_no_error():
    async with asked_of() as (provider, host):
        host.on("DELETE", HOOK, Answer(204, b""))
        await provider.delete_hook("acme/web", "5")
        await provider.delete_hook("acme/web", "6")
        assert host.paths() == [f"DELETE {HOOK}", f"DELETE {HOOKS}/6"]


SENT = {
    "Idempotency-Key": "3a427872-00df-429c-9bc9-a9475de2efe4",
    "X-Gitlab-Event": "Push Hook",
    "X-Gitlab-Event-UUID": "9cebe914-4827-408f-b014-cfa23a47a35f",
    "X-Gitlab-Token": "[REDACTED]",
}


async def test_deliveries_newest_first_with_the_key_we_know_them_by():
    date = "Mon, 05 Jan 2026 11:00:00 GMT"
    first = {
        "id": 4,
        "trigger": "push_hooks",
        "request_headers": SENT,
        "request_data": {},
        "response_headers": {"Date": date},
        "response_status": "200",
    }
    unanswered = {"id": 3, "trigger": "tag_push_hooks", "request_headers": {}, "response_status": "internal error"}
    at = {**unanswered, "id": 2, "created_at": "2026-01-05T10:00:00.000+01:00", "response_status": 503}
    signature = {**unanswered, "id": 1, "request_headers": {"Webhook-Id": "m", "Webhook-Timestamp": "1767600000"}}
    async with asked_of() as (provider, host):
        paged(host, f"{HOOK}/events", [unanswered, first], [unanswered, at, signature])
        unknown, newest, *rest = await every(provider.hook_deliveries("acme/web", "5"))
        assert unknown.at == NOW
        eleven = datetime(2026, 1, 5, 11, tzinfo=UTC)
        assert newest == api.HookDelivery(id="4", key=SENT["Idempotency-Key"], event="Push Hook", at=eleven, status=200)
        assert rest == [
            api.HookDelivery(id="3", key=None, event="tag_push_hooks", at=eleven),
            api.HookDelivery(
                id="2", key=None, event="tag_push_hooks", at=datetime(2026, 1, 5, 9, tzinfo=UTC), status=503
            ),
            api.HookDelivery(id="1", key="m", event="tag_push_hooks", at=datetime.fromtimestamp(1767600000, UTC)),
        ]
        assert host.asked[0].query == {"per_page": "20"}


async def test_a_delivery_is_sent_again_once():
    path = f"{HOOK}/events/4/resend"
    async with asked_of() as (provider, host):
        host.on("POST", path, Answer(201, {"response_status": 200}), Answer(503, {}))
        await provider.redeliver("acme/web", "5", "4")
        with pytest.raises(api.Unavailable):
            await provider.redeliver("acme/web", "5", "4")
        assert host.paths() == [f"POST {path}"] * 2
