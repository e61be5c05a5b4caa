"""From a reference to a credential."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from headgate.api import Credential, CredentialError, CredentialSummary, Secret
from headgate.credentials import references
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets

TOKEN = Credential(type="token", fields={"token": Secret("t0ken-value")}, hosts=("github.com", "*.example.org"))
LOGIN = Credential(
    type="user_password", fields={"username": Secret("robot"), "password": Secret("pa55word")}, hosts=("*",)
)


class Drawer:
    """A store over a dictionary."""

    def __init__(self, **credentials: Credential) -> None:
        self.credentials = credentials

    async def get(self, name: str) -> Credential:
        if name not in self.credentials:
            raise CredentialError(f"{name} is not set")
        return self.credentials[name]

    async def list(self) -> Sequence[CredentialSummary]:
        return ()


class WritableDrawer(Drawer):
    """One that keeps what it is given, counting versions."""

    async def put(self, name: str, credential: Credential) -> CredentialSummary:
        self.credentials[name] = replace(credential, version=credential.version + 1)
        return CredentialSummary(name=name, type=credential.type)

    async def remove(self, name: str) -> None:
        del self.credentials[name]


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def secrets(redactor: Redactor) -> Secrets:
    broken = Credential(type="user_password", fields={"password": Secret("pa55word")})
    return Secrets({"drawer": Drawer(token=TOKEN, login=LOGIN, broken=broken)}, redactor)


async def test_a_reference_gives_its_credential(secrets: Secrets) -> None:
    assert await secrets.resolve("secret://drawer/token") is TOKEN
    assert await secrets.resolve("secret://drawer/token", for_host="github.com") is TOKEN
    assert await secrets.resolve("secret://drawer/token", for_host="git.example.org") is TOKEN
    assert await secrets.resolve("secret://drawer/login", for_host="anywhere.example") is LOGIN


async def test_a_credential_does_not_travel_to_a_host_it_is_not_bound_to(secrets: Secrets) -> None:
    with pytest.raises(CredentialError, match=r"may not travel to 'evil\.org'.*github\.com") as caught:
        await secrets.resolve("secret://drawer/token", for_host="evil.org")
    assert "t0ken" not in str(caught.value)


async def test_control_without_the_binding_it_would_travel(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(references, "allows", lambda rules, host: True)
    assert (await secrets.resolve("secret://drawer/token", for_host="evil.org")).text().reveal() == "t0ken-value"


async def test_what_was_revealed_is_masked_from_then_on_but_user_names_are_not(
    secrets: Secrets, redactor: Redactor
) -> None:
    assert redactor.redact("robot pa55word") == "robot pa55word"
    await secrets.resolve("secret://drawer/login")
    assert redactor.redact("robot pa55word") == "robot ***"


async def test_a_secret_is_masked_even_when_it_may_not_travel(secrets: Secrets, redactor: Redactor) -> None:
    with pytest.raises(CredentialError):
        await secrets.resolve("secret://drawer/token", for_host="evil.org")
    assert redactor.redact("t0ken-value") == "***"


@pytest.mark.parametrize(
    "text", ["hunter2", "secret://drawer", "secret://drawer/", "SECRET://drawer/x", "secret://d/x\n"]
)
async def test_what_is_no_reference_is_refused_and_not_repeated(secrets: Secrets, text: str) -> None:
    with pytest.raises(CredentialError, match="has the form") as caught:
        await secrets.resolve(text)
    assert text not in str(caught.value)


async def test_an_unknown_store_is_named_with_the_nearest(secrets: Secrets) -> None:
    with pytest.raises(CredentialError, match="did you mean drawer"):
        await secrets.resolve("secret://drawr/token")
    with pytest.raises(CredentialError, match="there are: none"):
        await Secrets({}, Redactor()).resolve("secret://drawer/token")


async def test_a_credential_without_its_fields_never_leaves(secrets: Secrets) -> None:
    with pytest.raises(CredentialError, match="needs username"):
        await secrets.resolve("secret://drawer/broken")


RENEWED = replace(TOKEN, fields={"token": Secret("t0ken-of-today")})


async def test_a_renewed_credential_takes_the_place_of_the_one_it_was_made_of(redactor: Redactor) -> None:
    drawer = WritableDrawer(token=TOKEN)
    await Secrets({"drawer": drawer}, redactor).keep("secret://drawer/token", RENEWED)
    assert drawer.credentials["token"] == replace(RENEWED, version=2)
    assert redactor.redact("t0ken-of-today") == "***"


@pytest.mark.parametrize(
    "changed",
    [
        replace(RENEWED, version=2),
        replace(RENEWED, hosts=("*",)),
        Credential(type="text", fields={"text": Secret("t0ken-of-today")}, hosts=TOKEN.hosts),
    ],
    ids=["of another version", "for more hosts", "of another type"],
)
async def test_it_is_kept_for_nothing_else(redactor: Redactor, changed: Credential) -> None:
    drawer = WritableDrawer(token=TOKEN)
    with pytest.raises(CredentialError, match="was changed"):
        await Secrets({"drawer": drawer}, redactor).keep("secret://drawer/token", changed)
    assert drawer.credentials["token"] is TOKEN


async def test_a_store_that_can_only_be_read_says_so(secrets: Secrets) -> None:
    with pytest.raises(CredentialError, match="can only be read"):
        await secrets.keep("secret://drawer/token", RENEWED)
