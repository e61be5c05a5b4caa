"""The service hooks of a repository, and what they sent; not what they say.

A subscription of Azure DevOps is for one event. What others call a webhook is all subscriptions that send to one URL:
they are listed as one hook, with an id made of the URL, and set and removed together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import msgspec

from headgate import api
from headgate.api.client import segment
from headgate_plugins.azure_devops.reading import Reading

SUBSCRIPTIONS = "/_apis/hooks/subscriptions"

# The newest versions: 1.0 of a comment has no pull request.
# https://learn.microsoft.com/en-us/azure/devops/service-hooks/events
VERSIONS: Mapping[str, str] = {
    "git.push": "1.0",
    "git.pullrequest.created": "1.0",
    "git.pullrequest.updated": "1.0",
    "git.pullrequest.merged": "1.0",
    "ms.vss-code.git-pullrequest-comment-event": "2.0",
    "build.complete": "2.0",
}

OF_PROJECTS = frozenset({"build.complete"})
"""Events that cannot be narrowed to a repository: one subscription brings those of the whole project."""

_ACTIVE = frozenset({"enabled", "onProbation"})
_NOTIFICATIONS = 500
_STATUS = re.compile(r"(?:Status Code:|HTTP/[0-9.]+)\s*([1-5][0-9]{2})\b")


class Subscription(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/subscriptions/list; passwords come as asterisks."""

    id: str
    event_type: str
    publisher_inputs: dict[str, str | None] = {}
    consumer_inputs: dict[str, str | None] = {}
    status: str = "enabled"

    def url(self) -> str:
        """Where it sends to."""
        return self.consumer_inputs.get("url") or ""


class _Subscriptions(msgspec.Struct):
    value: list[Subscription]


class _Details(msgspec.Struct, rename="camel"):
    event_type: str = ""
    response: str | None = None


class _Notification(msgspec.Struct, rename="camel"):
    id: int
    subscription_id: str
    created_date: datetime
    event_id: str | None = None
    result: str = ""
    details: _Details | None = None


class _Notifications(msgspec.Struct):
    results: list[_Notification] = []


class Hooks(Reading):
    """What a connection can do with service hooks. They need the right to edit subscriptions of the project."""

    _secrets: Sequence[api.Secret]
    _webhook_user: str
    _secret_header: str | None

    def hook_events(self) -> tuple[str, ...]:
        """Those of one repository; `build.complete`, which is of a whole project, only where it is asked for."""
        return tuple(event for event in VERSIONS if event not in OF_PROJECTS)

    async def hooks(self, repository: str) -> AsyncIterator[api.Hook]:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/subscriptions/list"""
        for subscriptions in (await self._grouped(repository)).values():
            yield _hook(subscriptions)

    async def create_hook(self, repository: str, wanted: api.WantedHook) -> api.Hook:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/subscriptions/create"""
        return await self._make(repository, wanted, existing=())

    async def update_hook(self, repository: str, hook: str, wanted: api.WantedHook) -> api.Hook:
        """What is wanted is set or made, whatever else was sent there is removed, in this order.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/subscriptions/replace-subscription
        """
        return await self._make(repository, wanted, existing=await self._of(repository, hook))

    async def delete_hook(self, repository: str, hook: str) -> None:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/subscriptions/delete"""
        for subscription in (await self._grouped(repository)).get(hook, ()):
            await self._remove(subscription)

    async def hook_deliveries(self, repository: str, hook: str) -> AsyncIterator[api.HookDelivery]:
        """The newest, as far as one query gives them; older ones cannot be asked for, and nothing sends one again.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/hooks/notifications/query
        """
        subscriptions = await self._of(repository, hook)
        body = {
            "subscriptionIds": [one.id for one in subscriptions],
            "maxResults": _NOTIFICATIONS,
            "includeDetails": True,
        }
        answer = await self._rest.call(
            "POST", "/_apis/hooks/notificationsquery", body=body, preview=True, idempotent=True
        )
        events = {one.id: one.event_type for one in subscriptions}
        for one in sorted(answer.read(_Notifications).results, key=lambda one: one.created_date, reverse=True):
            if one.result not in {"succeeded", "failed"}:
                continue  # it is on its way, or was never to be sent
            yield api.HookDelivery(
                id=f"{one.subscription_id}:{one.id}",
                key=one.event_id.lower() if one.event_id else None,
                event=events.get(one.subscription_id) or (one.details.event_type if one.details else ""),
                at=one.created_date,
                status=_answered(one),
            )

    async def _make(self, repository: str, wanted: api.WantedHook, *, existing: Sequence[Subscription]) -> api.Hook:
        found = await self._repository(repository)
        events = wanted.events or self.hook_events()
        if unknown := [event for event in events if event not in VERSIONS]:
            raise api.ProviderError(f"these events cannot be read here: {', '.join(unknown)}")
        kept: dict[str, Subscription] = {}
        for one in existing:
            if one.event_type in events and not _narrowed(one):
                kept.setdefault(one.event_type, one)
        made = []
        for event in events:
            inputs = {"projectId": found.project.id or ""}
            if event not in OF_PROJECTS:
                inputs["repository"] = found.id
            old = kept.get(event)
            if old is not None:
                inputs = {name: value for name, value in old.publisher_inputs.items() if value and name in _SCOPE}
            made.append(await self._set(event, inputs, wanted, old))
        for one in existing:
            if one is not kept.get(one.event_type):
                await self._remove(one)
        return _hook(made)

    async def _set(
        self, event: str, inputs: Mapping[str, str], wanted: api.WantedHook, old: Subscription | None
    ) -> Subscription:
        body = {
            "publisherId": "tfs",
            "eventType": event,
            "resourceVersion": VERSIONS[event],
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "publisherInputs": inputs,
            "consumerInputs": {"url": wanted.url, **self._seal(wanted), **_PAYLOAD},
        }
        if old is None:
            answer = await self._rest.call("POST", SUBSCRIPTIONS, body=body, preview=True)
        else:
            body |= {"id": old.id, "status": "enabled"}
            answer = await self._rest.call("PUT", f"{SUBSCRIPTIONS}/{segment(old.id)}", body=body, preview=True)
        return answer.read(Subscription)

    def _seal(self, wanted: api.WantedHook) -> Mapping[str, str]:
        """What `authenticate` will look for."""
        secret = wanted.secret if wanted.secret is not None else next(iter(self._secrets), None)
        if secret is None:
            raise api.CredentialError("the connection has no webhook secret that a service hook could send")
        text = secret.reveal()
        if not (text.isascii() and text.isprintable()):
            raise api.CredentialError("the webhook secret holds a character that no header can carry")
        if self._secret_header is not None:
            return {"httpHeaders": f"{self._secret_header}: {text}"}
        return {"basicAuthUsername": self._webhook_user, "basicAuthPassword": text}

    async def _remove(self, subscription: Subscription) -> None:
        try:
            path = f"{SUBSCRIPTIONS}/{segment(subscription.id)}"
            await self._rest.call("DELETE", path, preview=True)
        except api.NotFound:
            return

    async def _of(self, repository: str, hook: str) -> Sequence[Subscription]:
        found = (await self._grouped(repository)).get(hook)
        if found is None:
            raise api.NotFound(f"{repository} has no webhook {hook}")
        return found

    async def _grouped(self, repository: str) -> Mapping[str, Sequence[Subscription]]:
        """All that send what happens in this repository, by where they send it and whether to it alone."""
        found = await self._repository(repository)
        params = {"publisherId": "tfs", "consumerId": "webHooks"}
        listed = await self._rest.get(SUBSCRIPTIONS, type=_Subscriptions, params=params, preview=True)
        groups: dict[str, list[Subscription]] = {}
        for one in listed.value:
            project, of = one.publisher_inputs.get("projectId"), one.publisher_inputs.get("repository")
            if project not in {None, "", found.project.id} or of not in {None, "", found.id}:
                continue
            groups.setdefault(_hook_id(one), []).append(one)
        return groups


_SCOPE = frozenset({"projectId", "repository"})

# Of the messages the text, which says what an update was; of the resource all, which minimal payloads leave out.
_PAYLOAD = {
    "resourceDetailsToSend": "all",
    "messagesToSend": "text",
    "detailedMessagesToSend": "none",
    "acceptUntrustedCerts": "false",
}


def _hook_id(subscription: Subscription) -> str:
    """The same as long as it sends to that URL. One of the whole project is another hook: others depend on it."""
    scope = "repository" if subscription.publisher_inputs.get("repository") else "project"
    return hashlib.sha256(f"{scope} {subscription.url()}".encode()).hexdigest()[:16]


def _hook(subscriptions: Sequence[Subscription]) -> api.Hook:
    """Several as one: what holds for all of them."""
    first = subscriptions[0]
    active = all(one.status in _ACTIVE for one in subscriptions)
    return api.Hook(
        id=_hook_id(first),
        url=first.url(),
        events=tuple(sorted({one.event_type for one in subscriptions if not _narrowed(one)})),
        active=active,
        has_secret=all(_sealed(one.consumer_inputs) for one in subscriptions),
        verifies_tls=all(
            (one.consumer_inputs.get("acceptUntrustedCerts") or "").lower() != "true" for one in subscriptions
        ),
        healthy=all(one.status in {"enabled", "disabledByUser"} for one in subscriptions),
    )


def _sealed(inputs: Mapping[str, str | None]) -> bool:
    return bool(inputs.get("basicAuthPassword") or inputs.get("httpHeaders"))


def _narrowed(subscription: Subscription) -> bool:
    """Whether it leaves some of its events out: of a branch, of a person, of a kind; or sends too little of them."""
    inputs, sends = subscription.publisher_inputs, subscription.consumer_inputs
    filters = any(value for name, value in inputs.items() if name not in _SCOPE and name != "tfsSubscriptionId")
    details = (sends.get("resourceDetailsToSend") or "all").lower()
    return filters or details != "all"


def _answered(notification: _Notification) -> int | None:
    """The status that the kept response begins with; a success without one was some 2xx."""
    said = _STATUS.search((notification.details.response if notification.details else None) or "")
    if said is not None:
        return int(said[1])
    return 200 if notification.result == "succeeded" else None
