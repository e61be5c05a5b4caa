"""A GitHub App: a key that signs, installations that it is looked up in, and their tokens; not what they are used for.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import msgspec

from headgate import api
from headgate.api.client import BaseUrl, Client, Issued, RenewedToken, StoredCredential
from headgate_plugins.github.answers import Account, Moment
from headgate_plugins.github.client import PAGE, open_client

SIGNED_BEFORE = timedelta(seconds=60)
"""A clock of ours that is fast must not make a signature of the future."""

SIGNED_FOR = timedelta(minutes=9)
"""GitHub takes ten minutes at most."""

NEEDED: Mapping[str, str] = {
    "checks": "write",
    "contents": "read",
    "metadata": "read",
    "pull_requests": "read",
    "statuses": "write",
}
"""What building and reporting need of an App. https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps"""

_LEVELS = ("", "read", "write", "admin")


class Login(NamedTuple):
    """As whom the API is asked, and what git is given."""

    client: Client
    git: StoredCredential


class Installation(msgspec.Struct):
    """Where an App is installed. https://docs.github.com/en/rest/apps/apps#list-installations-for-the-authenticated-app"""

    id: int
    account: Account | None = None
    suspended_at: str | None = None


class _Token(msgspec.Struct):
    token: str
    expires_at: Moment


class _Described(msgspec.Struct):
    slug: str = ""
    name: str = ""
    permissions: dict[str, str] = {}


class App:
    """An App by its credential (`github_app`). Each installation has a login of its own, and so its own limits."""

    def __init__(self, host: api.Host, *, site: BaseUrl, base: BaseUrl, reference: str) -> None:
        """`site`: where git goes; `base`: of the API."""
        self._host = host
        self._site = site
        self._base = base
        self._reference = reference
        signing: dict[api.CredentialType, RenewedToken] = {"github_app": RenewedToken(host, self._sign)}
        self._client = open_client(host, base, StoredCredential(host, reference, base, renewed=signing))
        self._installed: dict[str, int] = {}
        self._logins: dict[int, Login] = {}

    async def login(self, path: str) -> Login:
        """That of the installation which has the repository `owner/name`; looked up once for each owner.

        Raises `NotFound` when the App is installed for neither, else as a call does.
        """
        owner = path.partition("/")[0].lower()
        if owner not in self._installed:
            try:
                found = await self._client.get(f"/repos/{path}/installation", type=Installation)
            except api.NotFound:
                raise api.NotFound(f"the GitHub App is not installed for {path}") from None
            self._installed[owner] = found.id
        return self._of(self._installed[owner])

    async def logins(self) -> AsyncIterator[tuple[Installation, Login]]:
        """Every installation that is not suspended."""
        async for found in self._installations():
            if found.suspended_at is None:
                yield found, self._of(found.id)

    async def report(self) -> api.ConnectionReport:
        """https://docs.github.com/en/rest/apps/apps#get-the-authenticated-app"""
        app = await self._client.get("/app", type=_Described)
        found = [one async for one in self._installations()]
        owners = sorted(one.account.login for one in found if one.account and one.suspended_at is None)
        missing = [f"{name}:{level}" for name, level in NEEDED.items() if not _covers(app.permissions, name, level)]
        return api.ConnectionReport(
            user=f"{app.slug}[bot]" if app.slug else app.name,
            permissions=tuple(sorted(f"{name}:{level}" for name, level in app.permissions.items())),
            missing=(*missing, *([] if owners else ["installation"])),
            message=f"an App, installed for {', '.join(owners)}" if owners else "an App that is installed nowhere",
        )

    def _installations(self) -> AsyncIterator[Installation]:
        return self._client.pages("/app/installations", type=Installation, params={"per_page": PAGE})

    def _of(self, installation: int) -> Login:
        if installation not in self._logins:
            issue = partial(self._issue, installation)
            renewed: dict[api.CredentialType, RenewedToken] = {"github_app": RenewedToken(self._host, issue)}
            stored = partial(StoredCredential, self._host, self._reference, renewed=renewed)
            self._logins[installation] = Login(
                client=open_client(self._host, self._base, stored(self._base)), git=stored(self._site)
            )
        return self._logins[installation]

    async def _issue(self, installation: int, credential: api.Credential) -> Issued:  # noqa: ARG002 - the signature is made of it
        """https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app; ends in an hour."""
        path = f"/app/installations/{installation}/access_tokens"
        try:
            given = await self._client.post(path, {}, type=_Token, idempotent=True)
        except api.NotFound:
            # Removed, and perhaps installed again under another id: the next call looks it up.
            self._logins.pop(installation, None)
            self._installed = {owner: one for owner, one in self._installed.items() if one != installation}
            raise
        return Issued(token=api.Secret(given.token), expires_at=given.expires_at)

    async def _sign(self, credential: api.Credential) -> Issued:
        """A token that the App made itself.

        https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
        """
        import jwt  # late: it loads half of `cryptography`, for Apps alone

        now = self._host.now()
        claims = {
            "iat": int((now - SIGNED_BEFORE).timestamp()),
            "exp": int((now + SIGNED_FOR).timestamp()),
            "iss": credential.fields["app_id"].reveal().strip(),
        }
        try:
            token = jwt.encode(claims, credential.fields["private_key"].reveal(), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):  # what it says could repeat of the key
            raise api.CredentialError(f"the private_key of {self._reference} is no RSA key in PEM") from None
        return Issued(token=api.Secret(token), expires_at=now + SIGNED_FOR)


def _covers(granted: Mapping[str, str], name: str, level: str) -> bool:
    has = granted.get(name, "")
    return has in _LEVELS and _LEVELS.index(has) >= _LEVELS.index(level)
