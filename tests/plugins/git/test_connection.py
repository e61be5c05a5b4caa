"""A plain git server's seal and places: the contract every provider keeps, and this one's own rules."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api.testing import NOW, ContractHost, ProviderContract
from headgate_plugins import git
from headgate_plugins.git.connection import ACCEPT_UNSIGNED

KIND = next(iter(git.headgate_providers()))
A, B = "a1" * 20, "b2" * 20
BODY = json.dumps(
    {
        "repository": "team/App",
        "actor": "ada",
        "default_branch": "main",
        "refs": [
            {"ref": "refs/heads/main", "before": A, "after": B},
            {"ref": "refs/tags/v1", "before": "0" * 40, "after": B},
            {"ref": "refs/notes/commits", "before": None, "after": B},
        ],
    }
).encode()


class TestContract(ProviderContract):
    kind = KIND
    body = BODY
    signature_headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    options = {"base_url": "https://git.example.org/srv", **ProviderContract.options}  # noqa: RUF012
    repository = "team/App.git"
    polled = {"refs/heads/main": B, "refs/tags/v1": B}  # noqa: RUF012
    goldens = Path(__file__).with_name("goldens")
    no_such = dict.fromkeys(("from_branch", "from_fork"), "git itself has no change requests")
    closed_options = {"base_url": "https://git.example.org/srv"}  # noqa: RUF012
    no_repository = (*ProviderContract.no_repository[:1], *ProviderContract.no_repository[2:], "https://a/b", "a//b")

    def headers(self, body, secret, at, message_id="msg_1"):
        timestamp = int(at.timestamp())
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": api.standard_webhooks_signature(message_id, timestamp, body, api.Secret(secret)),
        }

    def another(self):
        return BODY, self.headers(BODY, next(iter(self.secrets.values())), NOW, "msg_2")

    def unknown(self):
        return b'{"repository": "team/App", "refs": [{"ref": "refs/notes/x", "after": "%s"}]}' % A.encode(), {}

    def test_letter_case_counts(self):
        """A plain server tells it apart."""
        assert self.kind.normalise("team/App") != self.kind.normalise("team/app")

    def test_the_webhook_id_is_the_key(self):
        """The hook's later tries carry the same."""
        assert self.open().authenticate(self.deliver()).key == "msg_1"

    @pytest.mark.parametrize(("seconds", "fresh"), [(299, True), (-299, True), (301, False), (-301, False)])
    def test_an_old_delivery_is_refused(self, seconds, fresh):
        """Replayed later, a captured request is worth nothing."""
        good = self.deliver()
        late = msgspec.structs.replace(good, received_at=NOW.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo))
        if fresh:
            self.open().authenticate(late)
        else:
            self.refuses(self.open(), late)

    def test_without_the_check_everything_would_come_in(self):
        """The negative control: with the door opened in plain words, the same unsigned request is accepted."""
        unsigned = self.deliver(headers=[])
        self.refuses(self.open(), unsigned)
        provider = self.open({"root": "/srv", "accept_unsigned": ACCEPT_UNSIGNED})
        assert provider.authenticate(unsigned) == api.Seal()

    def test_other_hooks_are_refused(self):
        """Also behind an open door there are only the two."""
        provider = self.open({"root": "/srv", "accept_unsigned": ACCEPT_UNSIGNED})
        self.refuses(provider, msgspec.structs.replace(self.deliver(), hook="admin"))

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"base_url": "https://a", "root": "/srv"},
            {"base_url": "file:///srv"},
            {"base_url": "ext::sh"},
            {"base_url": "https://user:pw@host"},
            {"base_url": "ssh://-oProxyCommand=x/"},
            {"root": "/srv", "accept_unsigned": "yes"},
            {"root": "/srv", "accept_unsigned": ACCEPT_UNSIGNED, "webhook_secrets": ["secret://a/b"]},
        ],
    )
    def test_options_that_are_refused(self, options):
        """One place, of a known scheme, and a door that is either locked or said to be open."""
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(options, self.kind.schema)


def test_one_push_gives_an_event_for_each_branch_and_tag():
    reading = TestContract().open().parse(TestContract().deliver())
    repository = api.Repository(host="git.example.org", path="team/App")
    assert reading.events == (
        api.Push(repository=repository, ref="refs/heads/main", before=A, after=B, actor="ada", default_branch="main"),
        api.Tag(repository=repository, ref="refs/tags/v1", tag="v1", before=None, after=B, actor="ada"),
    )


def test_commits_are_complete_when_the_sender_says_so_and_can():
    def read(**update):
        commits = [{"id": B, "message": "m", "paths": ["b", "a"]}]
        update = {
            "ref": "refs/heads/main",
            "before": A,
            "after": B,
            "commits": commits,
            "commits_complete": True,
        } | update
        body = json.dumps({"repository": "app", "refs": [update]}).encode()
        return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body)).events[0]

    assert read().commits_complete
    assert read().commits[0].paths == ("a", "b")
    assert not read(before=None).commits_complete
    assert not read(forced=True).commits_complete
    assert not read(commits=[]).commits_complete


@pytest.mark.parametrize(
    "update",
    [
        {"ref": "main"},
        {"ref": "refs/heads/a..b"},
        {"ref": "refs/heads/a\nb"},
        {"ref": "refs/heads/.a"},
        {"ref": "refs/heads/a.lock"},
        {"ref": "refs/heads/a b"},
        {"ref": "refs/heads/"},
        {"ref": "refs/heads/a@{1}"},
        {"before": "a1"},
        {"after": "--upload-pack=x"},
        {"before": None, "after": None},
        {"commits": [{"id": ""}]},
    ],
)
def test_a_ref_that_cannot_be_meant_is_unreadable(update):
    body = json.dumps({"repository": "app", "refs": [{"ref": "refs/heads/m", "before": A, "after": B} | update]})
    with pytest.raises(api.Unreadable):
        KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body.encode()))


# -- notifyCommit


def notify(url="https://git.example.org/srv/team/app.git", *, headers=(), method="GET", query=None, body=b""):
    return api.Delivery(
        id="d",
        connection="c",
        received_at=NOW,
        headers=tuple(headers),
        body=body,
        method=method,
        hook="notifyCommit",
        query=query if query is not None else (("url", url), ("branches", "main")),
    )


class NotifyHost(ContractHost):
    def __init__(self):
        super().__init__({"secret://s/token": api.Credential(type="text", fields={"text": api.Secret("t0ken")})})


async def opened(**options):
    async with KIND.open(options, NotifyHost()) as provider:
        return provider


BASE = {"base_url": "https://git.example.org/srv", "notify_token": "secret://s/token"}


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ([("x-headgate-token", "t0ken")], True),
        ([("authorization", "Bearer t0ken")], True),
        ([("authorization", "bearer t0ken")], True),
        ([], False),
        ([("x-headgate-token", "")], False),
        ([("x-headgate-token", "t0ke")], False),
        ([("x-headgate-token", "t0ken"), ("x-headgate-token", "t0ken")], False),
        ([("authorization", "Basic t0ken")], False),
        ([("authorization", "t0ken")], False),
        ([("x-headgate-token", "wrong"), ("authorization", "Bearer t0ken")], False),
    ],
)
async def test_notify_commit_needs_its_token_in_a_header(headers, accepted):
    provider = await opened(**BASE)
    if accepted:
        assert provider.authenticate(notify(headers=headers)) == api.Seal()
        return
    with pytest.raises(api.Unauthenticated):
        provider.authenticate(notify(headers=headers))


async def test_notify_commit_is_closed_without_a_token_and_ignores_one_in_the_url():
    with pytest.raises(api.Unauthenticated):
        (await opened(base_url="https://git.example.org")).authenticate(notify(headers=[("x-headgate-token", "t0ken")]))
    with pytest.raises(api.Unauthenticated):
        (await opened(**BASE)).authenticate(notify(query=(("url", "x"), ("token", "t0ken"))))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://git.example.org/srv/team/app.git", "team/app"),
        ("https://someone:pw@GIT.example.org:443/srv/team/app/", "team/app"),
        ("ssh://git@git.example.org/srv/team/app.git", "team/app"),
        ("git@git.example.org:/srv/team/app.git", "team/app"),
        ("git@git.example.org:srv/team/app.git", "team/app"),
        ("https://git.example.org/team/app.git", None),
        ("https://git.example.org/srvteam/app.git", None),
        ("https://other.example.org/srv/team/app.git", None),
        ("https://git.example.org/srv/../etc", None),
        ("https://[git.example.org/srv/app", None),
        ("/srv/team/app", None),
        ("--upload-pack=x", None),
    ],
)
async def test_notify_commit_asks_only_our_own_repositories(url, path):
    reading = (await opened(**BASE)).parse(notify(url))
    if path is None:
        assert isinstance(reading, api.Ignored)
        return
    assert reading.events == (api.PollRequested(repository=api.Repository(host="git.example.org", path=path)),)


@pytest.mark.parametrize(
    ("url", "path"),
    [("/srv/git/team/app.git", "team/app"), ("file:///srv/git/app", "app"), ("/srv/git", "."), ("/etc", None)],
)
async def test_notify_commit_below_a_root(url, path):
    reading = (await opened(root="/srv/git")).parse(notify(url))
    assert (reading.events[0].repository.path if isinstance(reading, api.Parsed) else None) == path


async def test_notify_commit_as_a_form_and_without_its_argument():
    form = notify(
        method="POST",
        query=(),
        headers=[("content-type", "application/x-www-form-urlencoded")],
        body=b"url=https%3A%2F%2Fgit.example.org%2Fsrv%2Fapp&branches=main",
    )
    provider = await opened(**BASE)
    assert provider.parse(form).events[0].repository.path == "app"
    for query in ((), (("url", ""),), (("url", "a"), ("url", "b"))):
        with pytest.raises(api.Unreadable):
            provider.parse(notify(query=query))


# -- where git fetches


@pytest.mark.parametrize(
    ("base", "repository", "url"),
    [
        ("https://git.example.org/srv/", "team/app", "https://git.example.org/srv/team/app"),
        ("https://git.example.org", "team/App.git", "https://git.example.org/team/App.git"),
        ("ssh://git@git.example.org/srv", "/app/", "ssh://git@git.example.org/srv/app"),
        ("https://git.example.org/one.git", ".", "https://git.example.org/one.git"),
    ],
)
async def test_a_clone_source_is_the_base_url_and_the_path_as_written(base, repository, url):
    assert await (await opened(base_url=base)).clone_source(repository) == api.CloneSource(url=url)


@pytest.mark.parametrize("repository", ["", "../x", "-x", "a/../../x", "https://evil/x", "a\nb"])
async def test_a_repository_out_of_place_is_not_found(repository):
    with pytest.raises(api.NotFound):
        await (await opened(base_url="https://git.example.org")).clone_source(repository)


async def test_a_root_gives_folders_and_never_those_outside(tmp_path):
    root = tmp_path / "git"
    (root / "team" / "app.git").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    provider = await opened(root=str(root))
    assert (await provider.clone_source("team/app")).url == str(root / "team" / "app.git")
    assert (await provider.clone_source("team/app.git")).url == str(root / "team" / "app.git")
    assert (await provider.clone_source(".")).url == str(root)
    with pytest.raises(api.NotFound, match="leads out"):
        await provider.clone_source("out")


@pytest.mark.parametrize(
    ("base", "kind", "fits"),
    [
        ("https://git.example.org", "token", True),
        ("https://git.example.org", "user_password", True),
        ("https://git.example.org", "ssh_key", False),
        ("ssh://git@git.example.org", "ssh_key", True),
        ("ssh://git@git.example.org", "token", False),
        ("https://other.example.org", "token", False),
    ],
)
async def test_a_credential_fits_the_scheme_and_is_bound_to_the_host(base, kind, fits):
    credential = api.Credential(
        type=kind, fields={name: api.Secret("x") for name in api.FIELDS[kind]}, hosts=("git.example.org",)
    )
    host = ContractHost({"secret://s/c": credential})
    async with KIND.open({"base_url": base, "credential": "secret://s/c"}, host) as provider:
        if fits:
            assert (await provider.clone_source("app")).credential == credential
            return
        with pytest.raises(api.CredentialError):
            await provider.clone_source("app")
