"""As whom a connection speaks to GitHub: with a token, or as the App installed where the repository is; not what it says."""

from __future__ import annotations

from headgate import api
from headgate.api.client import BaseUrl, Client, RefreshedToken, RenewedToken, StoredCredential, TokenEndpoint
from headgate_plugins.github.app import App, Login
from headgate_plugins.github.client import DIALECT, api_url, open_client
from headgate_plugins.github.names import repository_path

# https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps and, for tokens that end,
# https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens
OAUTH = api.OAuthEndpoints(
    site="https://github.com",
    authorize="/login/oauth/authorize",
    token="/login/oauth/access_token",  # noqa: S106 - a path
    scopes=("repo",),
    hosts=("api.github.com",),
)


class Access:
    """The clients of one connection. Whatever type the credential is of now decides, so a new one works at once."""

    def __init__(self, host: api.Host, *, site: BaseUrl, reference: str | None) -> None:
        """`site`: as people open it; `reference`: of the credential, `None` to go without."""
        base = BaseUrl.read(api_url(site.url), configured=site.configured)
        self.has_credential = reference is not None
        self._host = host
        self._reference = reference
        self._oauth: RenewedToken | None = None
        renewed: dict[api.CredentialType, RenewedToken] = {}
        if reference is not None:
            endpoint = TokenEndpoint(host, site, OAUTH, name=DIALECT.name)
            self._oauth = RenewedToken(host, RefreshedToken(host, reference, endpoint))
            renewed["oauth"] = self._oauth
        self._plain = Login(
            client=open_client(host, base, StoredCredential(host, reference, base, renewed=renewed)),
            git=StoredCredential(host, reference, site, renewed=renewed),
        )
        self._nobody = open_client(host, base, StoredCredential(host, None, base))
        self._app = App(host, site=site, base=base, reference=reference) if reference is not None else None

    async def app(self) -> App | None:
        """The App, if the credential is one's. Raises `CredentialError` when there is no such credential."""
        if self._reference is None or (await self._host.secret(self._reference)).type != "github_app":
            return None
        return self._app

    async def of(self, repository: str) -> Client:
        """The client for a repository, named by `owner/name`. Raises `CredentialError` or `ProviderError`."""
        return (await self._login(repository)).client

    async def git(self, repository: str) -> api.Credential | None:
        """What git is given for it. Raises as `of`."""
        return await (await self._login(repository)).git.credential()

    async def anybody(self) -> Client:
        """The client for what is no repository's: an App asks that without its key. Raises `CredentialError`."""
        return self._plain.client if await self.app() is None else self._nobody

    async def settled(self) -> None:
        """Wait until no refresh token is under way."""
        if self._oauth is not None:
            await self._oauth.settled()

    async def _login(self, repository: str) -> Login:
        app = await self.app()
        return self._plain if app is None else await app.login(repository_path(repository))
