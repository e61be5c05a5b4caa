"""What every provider's calls keep when its host fails, refuses, delays or lies; not what their answers mean.

`GitHost` is a server on loopback that answers what a test tells it and remembers what it was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple, TypeAlias

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headgate import api
from headgate.api.testing.kit import NOW, ContractHost

TOKEN = api.Credential(type="token", fields={"token": api.Secret("t0ken-of-the-contract")}, hosts=("127.0.0.1",))
"""A token bound to loopback."""


class Asked(NamedTuple):
    """One request as the host got it. `path` is as sent, with its percent signs and without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Answer(NamedTuple):
    """What to answer: JSON unless `body` is bytes. `cut` sends fewer bytes than it announces."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}
    cut: bool = False


Answering: TypeAlias = Answer | Callable[[Asked], Answer]


class GitHost:
    """A Git host on loopback: `on(…)` says what it answers, `asked` what came. What it was not told of is a 404."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._answers: dict[tuple[str, str], list[Answering]] = {}
        self._otherwise: Answer = Answer(404, {"message": "Not Found"})

    def on(self, method: str, path: str, *answers: Answering | Any) -> None:
        """`path`: as in `Asked`. Several answers are given in turn, the last for ever; what is no answer is JSON."""
        self._answers[method, path] = [
            one if isinstance(one, Answer) or callable(one) else Answer(body=one) for one in answers
        ]

    def otherwise(self, answer: Answer) -> None:
        """To whatever `on` does not name."""
        self._otherwise = answer

    def paths(self) -> list[str]:
        """What was asked, as `GET /path`."""
        return [f"{one.method} {one.path}" for one in self.asked]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """For aiohttp."""
        raw = request.raw_path.partition("?")[0]
        asked = Asked(request.method, raw, dict(request.query), dict(request.headers), await request.read())
        self.asked.append(asked)
        waiting = self._answers.get((asked.method, asked.path))
        one = self._otherwise if waiting is None else waiting.pop(0) if len(waiting) > 1 else waiting[0]
        answer = one if isinstance(one, Answer) else one(asked)
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json", **answer.headers}
        if not answer.cut:
            return web.Response(status=answer.status, body=body, headers=headers)
        response = web.StreamResponse(status=answer.status, headers={**headers, "Content-Length": str(len(body) + 64)})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response


class CallingHost(ContractHost):
    """A contract's host that has HTTP."""

    http: aiohttp.ClientSession = None  # type: ignore[assignment]  # set once there is one; the other refuses to have any


@contextlib.asynccontextmanager
async def calling(
    kind: api.ProviderKind,
    options: Callable[[str], Mapping[str, Any]],
    *,
    credential: api.Credential = TOKEN,
    host: GitHost | None = None,
    secrets: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Any, GitHost]]:
    """An open connection and the host it speaks to.

    `options(url)`: the connection's block; `secret://contract/api` is the `credential`, and `secrets` are texts by their
    reference beside it (`secret://contract/hook` is always there).
    """
    host = GitHost() if host is None else host
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.handle)
    texts = {"secret://contract/hook": "hook secret", **(secrets or {})}
    credentials = {name: api.Credential(type="text", fields={"text": api.Secret(text)}) for name, text in texts.items()}
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        host.url = f"http://127.0.0.1:{server.port}"
        ours = CallingHost({**credentials, "secret://contract/api": credential})
        ours.http = session
        async with kind.open(options(host.url), ours) as provider:
            yield provider, host


class CallsContract:
    """What the calls of every provider keep. A subclass says how a connection is configured and names one call."""

    kind: ClassVar[api.ProviderKind]
    credential: ClassVar[api.Credential] = TOKEN

    def options(self, url: str) -> Mapping[str, Any]:
        """The connection's block with `url` as its base URL and `secret://contract/api` as its credential."""
        return {
            "base_url": url,
            "webhook_secrets": ["secret://contract/hook"],
            "credential": "secret://contract/api",
        }

    async def ask(self, provider: Any) -> object:
        """One call that reads."""
        return await provider.repository("acme/web")

    # -- the tools the tests use, and a subclass may

    def after(
        self, answer: Answer, *, credential: api.Credential | None = None
    ) -> tuple[BaseException | None, GitHost]:
        """What the call raises when the host always gives `answer`, and what it was asked."""

        async def asked() -> tuple[BaseException | None, GitHost]:
            async with calling(self.kind, self.options, credential=credential or self.credential) as (provider, host):
                host.otherwise(answer)
                try:
                    await self.ask(provider)
                except Exception as error:  # noqa: BLE001 - the tests say which
                    return error, host
                return None, host

        return asyncio.run(asked())

    # -- what is shown

    @pytest.mark.parametrize(
        ("status", "expected"), [(401, api.Refused), (403, api.Refused), (404, api.NotFound), (409, api.Conflict)]
    )
    def test_errors_say_who_must_act(self, status: int, expected: type[Exception]) -> None:
        """The credential, the name, or what changed meanwhile."""
        error, host = self.after(Answer(status, {"message": "no"}))
        assert type(error) is expected
        assert host.asked

    def test_a_limit_says_when_to_come_back(self) -> None:
        """And nobody asks before."""
        error, host = self.after(Answer(429, {"message": "slow down"}, {"Retry-After": "3600"}))
        assert isinstance(error, api.RateLimited)
        assert error.retry_at - NOW >= timedelta(minutes=50)
        assert len(host.asked) == 1

    @pytest.mark.parametrize("answer", [Answer(503, {"message": "later"}), Answer(200, {"id": 1}, cut=True)])
    def test_a_failing_host_is_asked_again_and_then_unavailable(self, answer: Answer) -> None:
        """Down, or broken off in the middle."""
        error, host = self.after(answer)
        assert isinstance(error, api.Unavailable)
        assert 1 < len(host.asked) <= 4  # noqa: PLR2004 - the default of `Bounds.attempts`

    @pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"null", b'{"id":', b"[1, 2]", b"\xff"])
    def test_another_form_is_a_provider_error(self, body: bytes) -> None:
        """A sign-in page in front of it, for one."""
        error, _ = self.after(Answer(200, body))
        assert isinstance(error, api.ProviderError)

    def test_redirects_are_not_followed(self) -> None:
        """The credential would travel along."""
        error, host = self.after(Answer(302, b"", {"Location": "/elsewhere"}))
        assert isinstance(error, api.ProviderError)
        assert not [one for one in host.asked if one.path == "/elsewhere"]

    def test_a_credential_bound_elsewhere_does_not_travel(self) -> None:
        """Nothing at all is asked."""
        bound = api.Credential(type=self.credential.type, fields=self.credential.fields, hosts=("git.example.org",))
        error, host = self.after(Answer(200, {}), credential=bound)
        assert isinstance(error, api.CredentialError)
        assert not host.asked

    def test_what_the_host_repeats_of_a_secret_is_masked(self) -> None:
        """Errors end up in logs and pages."""
        secrets = [secret.reveal() for secret in self.credential.secrets()]
        error, _ = self.after(Answer(403, {"message": " ".join(secrets), "error": {"message": secrets[0]}}))
        assert error is not None
        assert not [secret for secret in secrets if secret in str(error)]
