"""The webhooks of a GitLab project, and what they sent; not what they mean here.

Source: https://docs.gitlab.com/api/project_webhooks/
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitlab.client import PER_PAGE, Asks

EVENTS = (
    "push_events",
    "tag_push_events",
    "merge_requests_events",
    "note_events",
    "confidential_note_events",
    "releases_events",
    "pipeline_events",
    "job_events",
)
"""The switches of a webhook for what `parse` reads."""

OTHER_EVENTS = (
    "issues_events",
    "confidential_issues_events",
    "wiki_page_events",
    "deployment_events",
    "feature_flag_events",
    "resource_access_token_events",
)
"""The rest of them."""

_FEW = 20
"""On a page of deliveries: each has both bodies."""


class Listed(msgspec.Struct):
    """A webhook as GitLab lists it, but for its switches."""

    id: int
    url: str
    enable_ssl_verification: bool | None = None
    alert_status: str | None = None
    push_events_branch_filter: str | None = None
    branch_filter_strategy: str | None = None
    token_present: bool | None = None
    signing_token_present: bool | None = None


class Delivered(msgspec.Struct):
    """https://docs.gitlab.com/api/project_webhooks/#list-all-events-for-a-project-webhook"""

    id: int
    trigger: str = ""
    request_headers: dict[str, str] = {}
    response_headers: dict[str, str] = {}
    response_status: str | int | None = None
    created_at: datetime | None = None


class Hooks(Asks):
    """The calls about webhooks. They are signed when the connection has signing tokens, else carry a secret token."""

    _host: api.Host
    _secrets: Sequence[api.Secret]
    _signed: bool

    def hook_events(self) -> tuple[str, ...]:
        """As the switches of a webhook are called."""
        return EVENTS

    async def hooks(self, repository: str) -> AsyncIterator[api.Hook]:
        """https://docs.gitlab.com/api/project_webhooks/#list-all-webhooks-for-a-project, not those of its groups."""
        path = f"{self._project(repository)}/hooks"
        async for raw in self._client.pages(path, type=msgspec.Raw, params={"per_page": PER_PAGE}):
            yield self._hook(raw)

    async def create_hook(self, repository: str, wanted: api.WantedHook) -> api.Hook:
        """https://docs.gitlab.com/api/project_webhooks/#create-a-project-webhook

        Before GitLab 19 a signing token is passed over in silence: such a hook is removed again, and refused.
        """
        path = f"{self._project(repository)}/hooks"
        hook = self._hook(await self._client.post(path, self._body(wanted), type=msgspec.Raw))
        if self._signed and not hook.has_secret:
            await self.delete_hook(repository, hook.id)
            raise _no_signing()
        return hook

    async def update_hook(self, repository: str, hook: str, wanted: api.WantedHook) -> api.Hook:
        """https://docs.gitlab.com/api/project_webhooks/#update-a-project-webhook

        One that GitLab gave up after failures stays so until its "Test" button is used.
        """
        path = f"{self._project(repository)}/hooks/{segment(hook)}"
        updated = self._hook(await self._client.put(path, self._body(wanted), type=msgspec.Raw))
        if self._signed and not updated.has_secret:
            raise _no_signing()
        return updated

    async def delete_hook(self, repository: str, hook: str) -> None:
        """https://docs.gitlab.com/api/project_webhooks/#delete-a-project-webhook"""
        try:
            await self._client.delete(f"{self._project(repository)}/hooks/{segment(hook)}")
        except api.NotFound:
            return

    async def hook_deliveries(self, repository: str, hook: str) -> AsyncIterator[api.HookDelivery]:
        """Of the last seven days, since GitLab 17.3.

        When it was is the moment of our answer, else of the signature, else (GitLab does not say) that of the next
        younger one.
        """
        path, at = f"{self._project(repository)}/hooks/{segment(hook)}/events", self._host.now()
        async for event in self._client.pages(path, type=Delivered, params={"per_page": _FEW}):
            sent = {name.lower(): value for name, value in event.request_headers.items()}
            at = event.created_at or _moment(event, sent) or at
            status = str(event.response_status or "")
            yield api.HookDelivery(
                id=str(event.id),
                key=sent.get("webhook-id") or sent.get("idempotency-key"),
                event=sent.get("x-gitlab-event") or event.trigger,
                at=at.astimezone(UTC),
                status=int(status) if status.isascii() and status.isdecimal() else None,
            )

    async def redeliver(self, repository: str, hook: str, delivery: str) -> None:
        """Since GitLab 17.4, five times a minute; the delivery's key stays the same."""
        path = f"{self._project(repository)}/hooks/{segment(hook)}/events/{segment(delivery)}/resend"
        await self._client.call("POST", path)

    def _hook(self, raw: msgspec.Raw) -> api.Hook:
        try:
            listed, switches = msgspec.json.decode(raw, type=Listed), msgspec.json.decode(raw, type=dict[str, object])
        except msgspec.MsgspecError:
            raise api.ProviderError("GitLab's answer about a webhook is not of the form expected") from None
        on = {name for name, value in switches.items() if value is True}
        if listed.push_events_branch_filter and listed.branch_filter_strategy != "all_branches":
            on.discard("push_events")  # it keeps pushes back
        return api.Hook(
            id=str(listed.id),
            url=listed.url,
            events=tuple(name for name in (*EVENTS, *OTHER_EVENTS) if name in on),
            has_secret=listed.signing_token_present if self._signed else listed.token_present,
            verifies_tls=listed.enable_ssl_verification,
            healthy=listed.alert_status == "executable" if listed.alert_status else None,
        )

    def _body(self, wanted: api.WantedHook) -> Mapping[str, str | bool]:
        """Every switch is named: left out, GitLab switches pushes on."""
        events = wanted.events or EVENTS
        if unknown := [event for event in events if event not in {*EVENTS, *OTHER_EVENTS}]:
            raise api.ProviderError(f"GitLab's webhooks have no {', '.join(unknown)}")
        secret = wanted.secret or next(iter(self._secrets), None)
        if secret is None:
            raise api.CredentialError("the connection has no webhook secret; a webhook without one would be refused")
        return {
            "url": wanted.url,
            "enable_ssl_verification": wanted.url.startswith("https:"),
            "push_events_branch_filter": "",
            "branch_filter_strategy": "all_branches",
            **{name: name in events for name in (*EVENTS, *OTHER_EVENTS)},
            **({"signing_token": _signing_token(secret)} if self._signed else {"token": secret.reveal()}),
        }


def _signing_token(secret: api.Secret) -> str:
    """As GitLab wants it: `whsec_` and base64 of the key, of 32 bytes."""
    text = secret.reveal()
    return text if text.startswith("whsec_") else "whsec_" + base64.b64encode(text.encode()).decode()


def _moment(event: Delivered, sent: Mapping[str, str]) -> datetime | None:
    answered = {name.lower(): value for name, value in event.response_headers.items()}.get("date", "")
    try:
        moment = parsedate_to_datetime(answered)
    except ValueError:
        signed = sent.get("webhook-timestamp", "")
        try:
            return datetime.fromtimestamp(int(signed), UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _no_signing() -> api.ProviderError:
    return api.ProviderError(
        "GitLab took the webhook without its signing token, which it knows since version 19; "
        "configure webhook_secrets instead of signing_tokens"
    )
