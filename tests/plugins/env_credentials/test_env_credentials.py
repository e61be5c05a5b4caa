"""Secrets in environment variables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from headgate.api import CredentialError, CredentialStore, WritableCredentialStore
from headgate_plugins.env_credentials import EnvironmentCredentials, headgate_credential_stores, open_store


class Log:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, Any]] = []

    def warning(self, event: str, **values: Any) -> None:
        self.warnings.append({"event": event, **values})


def store(log: Log | None = None, **variables: str) -> EnvironmentCredentials:
    named = {f"HEADGATE_SECRET_{name}": value for name, value in variables.items()}
    return EnvironmentCredentials("HEADGATE_SECRET_", {"PATH": "/bin", **named}, log or Log())


def test_it_can_be_read_and_not_written() -> None:
    assert issubclass(EnvironmentCredentials, CredentialStore)
    assert not issubclass(EnvironmentCredentials, WritableCredentialStore)
    assert [kind.name for kind in headgate_credential_stores()] == ["env"]


@pytest.mark.parametrize(
    "name", ["github-webhook", "github_webhook", "GitHub-Webhook", "github.webhook", "github/webhook"]
)
async def test_a_plain_value_is_a_text_that_stays_here(name: str) -> None:
    credential = await store(GITHUB_WEBHOOK="s3cret").get(name)
    assert (credential.type, credential.text().reveal(), credential.hosts) == ("text", "s3cret", ())


async def test_with_hosts_beside_it_a_plain_value_is_a_token_that_may_travel_there() -> None:
    credential = await store(GITHUB="ghp_1", GITHUB_HOSTS="GitHub.com, api.github.com").get("github")
    assert (credential.type, credential.hosts) == ("token", ("github.com", "api.github.com"))
    assert credential.text().reveal() == "ghp_1"


async def test_a_typed_value_is_json_with_a_type() -> None:
    value = '{"type": "user_password", "username": "ci", "password": "pw", "hosts": ["git.example.org"]}'
    credential = await store(GIT=value).get("git")
    assert (credential.type, credential.hosts) == ("user_password", ("git.example.org",))
    assert {name: field.reveal() for name, field in credential.fields.items()} == {"username": "ci", "password": "pw"}


@pytest.mark.parametrize("value", ['{"a": 1}', "{", "{not json", '["type"]', "{}"])
async def test_other_json_and_braces_are_text(value: str) -> None:
    assert (await store(X=value).get("x")).text().reveal() == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"type": "service_account", "key": "s3cret"}', "none of text, token"),
        ('{"type": ["token"], "token": "s3cret"}', "none of text, token"),
        ('{"type": "token", "token": "s3cret",}', "not valid JSON"),
        ("{'type': 'token', 'token': 's3cret'}", "not valid JSON"),
        ('{"type": "token"}', "needs token"),
        ('{"type": "token", "token": "s3cret", "user": "x"}', "has no user"),
        ('{"type": "token", "token": 17}', "must be a string"),
        ('{"type": "token", "token": "s3cret", "hosts": "github.com"}', "list of host names"),
        ("", "is empty"),
    ],
)
async def test_what_cannot_be_meant_is_an_error_without_the_secret(value: str, reason: str) -> None:
    with pytest.raises(CredentialError, match=f"HEADGATE_SECRET_X.*{reason}") as caught:
        await store(X=value).get("x")
    assert "s3cret" not in str(caught.value)


async def test_a_missing_variable_is_named() -> None:
    with pytest.raises(CredentialError, match="HEADGATE_SECRET_NO_SUCH is not set"):
        await store().get("no-such")


async def test_only_variables_with_the_prefix_can_be_reached() -> None:
    with pytest.raises(CredentialError):
        await store().get("path")
    with pytest.raises(CredentialError, match="choose another name"):
        await store(GITHUB_HOSTS="github.com").get("github-hosts")


async def test_the_list_tells_all_but_the_secrets_and_logs_what_it_cannot_read() -> None:
    log = Log()
    found = await store(log, B="b-value", A_ONE="ghp_1", A_ONE_HOSTS="github.com", BAD='{"type": "x"}').list()
    assert [(one.name, one.type, one.hosts) for one in found] == [
        ("a-one", "token", ("github.com",)),
        ("b", "text", ()),
    ]
    assert [one["variable"] for one in log.warnings] == ["HEADGATE_SECRET_BAD"]


async def test_it_opens_over_the_servers_environment_with_any_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_SECRET_ONE", "first")
    monkeypatch.setenv("CI_ONE", "second")
    host: Any = SimpleNamespace(log=Log())
    async with open_store({}, host) as usual, open_store({"prefix": "CI_"}, host) as other:
        assert (await usual.get("one")).text().reveal() == "first"
        assert (await other.get("one")).text().reveal() == "second"
