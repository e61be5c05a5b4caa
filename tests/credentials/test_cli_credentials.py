"""What `headgate credentials` does, without the command line around it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from headgate.api import Credential, CredentialError, CredentialSummary, Secret
from headgate.cli.credentials import (
    list_credentials,
    read_fields,
    remove_credential,
    rewrap_credentials,
    set_credential,
    split_reference,
    writable,
)
from headgate_plugins.encrypted_credentials import EncryptedCredentials


class Terminal(io.StringIO):
    """Stdin with a person behind it."""

    def isatty(self) -> bool:
        return True


class ReadOnly:
    """A store that nobody can write."""

    async def get(self, name: str) -> Credential:
        raise CredentialError(name)

    async def list(self) -> Sequence[CredentialSummary]:
        return [CredentialSummary(name="a", type="text")]


@pytest.fixture
def store(tmp_path: Path) -> EncryptedCredentials:
    return EncryptedCredentials(
        "encrypted", file=tmp_path / "c.json", key_file=tmp_path / "c.key", create_key=True, blocking=asyncio.to_thread
    )


def test_secrets_are_asked_for_without_echo_and_user_names_with() -> None:
    seen: list[tuple[str, str]] = []
    fields = read_fields(
        "user_password",
        stdin=Terminal(),
        ask=lambda prompt: seen.append(("shown", prompt)) or "robot",
        ask_hidden=lambda prompt: seen.append(("hidden", prompt)) or "pa55word",
    )
    assert seen == [("shown", "username: "), ("hidden", "password: ")]
    assert fields == {"username": Secret("robot"), "password": Secret("pa55word")}


@pytest.mark.parametrize("text", ["pa55 word", "pa55 word\n", "pa55 word\r\n"])
def test_one_field_is_all_of_stdin_but_its_last_line_end(text: str) -> None:
    assert read_fields("token", stdin=io.StringIO(text)) == {"token": Secret("pa55 word")}


def test_several_fields_are_a_json_object() -> None:
    fields = read_fields("user_password", stdin=io.StringIO('{"username": "robot", "password": "pa55word"}'))
    assert fields == {"username": Secret("robot"), "password": Secret("pa55word")}


@pytest.mark.parametrize("text", ["", "pa55word", '{"username": "x"}', '{"username": "x", "password": 5}', "[]"])
def test_stdin_of_another_form_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(CredentialError, match="stdin must hold") as caught:
        read_fields("user_password", stdin=io.StringIO(text))
    assert "pa55word" not in str(caught.value)


def test_a_key_is_read_from_a_file_and_keeps_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("-----BEGIN\nkey\n-----END")
    fields = read_fields(
        "ssh_key", files={"private_key": tmp_path / "id"}, stdin=io.StringIO("github.com ssh-ed25519 AAAA")
    )
    assert fields["private_key"].reveal() == "-----BEGIN\nkey\n-----END\n"
    assert fields["known_hosts"].reveal() == "github.com ssh-ed25519 AAAA\n"
    with pytest.raises(CredentialError, match="many lines"):
        read_fields("ssh_key", stdin=Terminal())
    with pytest.raises(CredentialError, match="cannot be read"):
        read_fields("token", files={"token": tmp_path / "missing"})
    with pytest.raises(CredentialError, match="has no key"):
        read_fields("token", files={"key": tmp_path / "id"})


def test_stdin_has_an_end() -> None:
    with pytest.raises(CredentialError, match="megabyte"):
        read_fields("token", stdin=io.StringIO("x" * 2_000_000))


async def test_set_list_rewrap_remove(store: EncryptedCredentials) -> None:
    summary = await set_credential(
        store, name="deploy", type="token", hosts=["GitHub.com", "github.com."], fields={"token": Secret("t0ken")}
    )
    assert (summary.version, summary.hosts) == (1, ("github.com",))
    listed = await list_credentials({"encrypted": store, "env": ReadOnly()})
    assert [(one.reference, one.type) for one in listed] == [
        ("secret://encrypted/deploy", "token"),
        ("secret://env/a", "text"),
    ]
    assert await rewrap_credentials(store) == 1
    await remove_credential(store, name="deploy")
    assert await list_credentials({"encrypted": store}) == ()


@pytest.mark.parametrize(
    ("fields", "hosts", "reason"),
    [
        ({"token": Secret("abc")}, [], "shorter than 4"),
        ({"token": Secret("  \n ")}, [], "is empty"),
        ({}, [], "needs token"),
        ({"token": Secret("t0ken"), "user": Secret("x")}, [], "has no user"),
        ({"token": Secret("t0ken")}, ["https://github.com"], "is no host"),
    ],
)
async def test_what_could_not_be_used_or_masked_is_not_kept(
    store: EncryptedCredentials, fields: dict[str, Secret], hosts: list[str], reason: str
) -> None:
    with pytest.raises(CredentialError, match=reason):
        await set_credential(store, name="deploy", type="token", hosts=hosts, fields=fields)
    assert await store.list() == []


async def test_a_store_that_cannot_do_it_says_so() -> None:
    stores = {"env": ReadOnly()}
    with pytest.raises(CredentialError, match="only be read"):
        writable(stores, "env")
    with pytest.raises(CredentialError, match="there are: env"):
        writable(stores, "encrypted")
    with pytest.raises(CredentialError, match="no key"):
        await rewrap_credentials(stores["env"])


def test_a_reference_may_be_written_short() -> None:
    assert split_reference("encrypted/a/b") == split_reference("secret://encrypted/a/b") == ("encrypted", "a/b")
    with pytest.raises(CredentialError, match="store/name"):
        split_reference("deploy")
