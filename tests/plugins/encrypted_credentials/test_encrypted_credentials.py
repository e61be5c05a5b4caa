"""The sealed file: what it keeps, who may read it, what an attacker who can write it achieves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.api import Credential, CredentialError, RewrapsSecrets, Secret, WritableCredentialStore
from headgate_plugins.encrypted_credentials import EncryptedCredentials, headgate_credential_stores, open_store, vault

TOKEN = Credential(type="token", fields={"token": Secret("t0ken-value")}, hosts=("github.com",))
TEXT = Credential(type="text", fields={"text": Secret("some text")})


async def blocking(call: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(call)


@asynccontextmanager
async def opened(folder: Path, name: str = "encrypted", **more: Any) -> AsyncIterator[EncryptedCredentials]:
    config = {"file": str(folder / "credentials.json"), "key_file": str(folder / "credentials.key"), **more}
    async with open_store(config, SimpleNamespace(name=name, blocking=blocking)) as store:
        yield store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EncryptedCredentials]:
    async with opened(tmp_path) as store:
        yield store


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    return json.loads((folder / "credentials.json").read_text())["credentials"]


def rewrite(folder: Path, change: Callable[[dict[str, dict[str, Any]]], None]) -> None:
    """What somebody does who can write the file and has no key."""
    found = entries(folder)
    change(found)
    (folder / "credentials.json").write_text(json.dumps({"format": 1, "credentials": found}))


def test_it_is_a_writable_store_whose_key_can_change() -> None:
    assert issubclass(EncryptedCredentials, WritableCredentialStore)
    assert issubclass(EncryptedCredentials, RewrapsSecrets)
    assert [kind.name for kind in headgate_credential_stores()] == ["encrypted"]


async def test_what_is_put_is_got_also_after_a_restart(store: EncryptedCredentials, tmp_path: Path) -> None:
    summary = await store.put("deploy", TOKEN)
    assert (summary.name, summary.type, summary.hosts, summary.version) == ("deploy", "token", ("github.com",), 1)
    assert await store.get("deploy") == TOKEN
    async with opened(tmp_path) as again:
        assert await again.get("deploy") == TOKEN
        assert [found.name for found in await again.list()] == ["deploy"]


async def test_a_new_value_has_the_next_version(store: EncryptedCredentials) -> None:
    await store.put("deploy", TOKEN)
    assert (await store.put("deploy", TEXT)).version == 2
    assert (await store.get("deploy")).version == 2


async def test_what_is_removed_is_gone(store: EncryptedCredentials) -> None:
    await store.put("deploy", TOKEN)
    await store.remove("deploy")
    with pytest.raises(CredentialError, match="headgate credentials set encrypted/deploy"):
        await store.get("deploy")
    with pytest.raises(CredentialError):
        await store.remove("deploy")


async def test_a_misspelt_name_gets_the_nearest(store: EncryptedCredentials) -> None:
    await store.put("deploy-key", TOKEN)
    with pytest.raises(CredentialError, match="did you mean deploy-key"):
        await store.get("deploy-kye")


async def test_nothing_secret_is_readable_and_both_files_are_for_the_owner(
    store: EncryptedCredentials, tmp_path: Path
) -> None:
    await store.put("deploy", TOKEN)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert b"t0ken" not in path.read_bytes()


async def test_reading_makes_no_key_and_no_file(store: EncryptedCredentials, tmp_path: Path) -> None:
    with pytest.raises(CredentialError):
        await store.get("deploy")
    assert list(tmp_path.iterdir()) == []


async def test_without_create_key_a_missing_key_is_an_error(tmp_path: Path) -> None:
    async with opened(tmp_path, create_key=False) as store:
        with pytest.raises(CredentialError, match="cannot be read"):
            await store.put("deploy", TOKEN)


async def test_a_lost_key_is_not_replaced_by_a_new_one(store: EncryptedCredentials, tmp_path: Path) -> None:
    await store.put("deploy", TOKEN)
    (tmp_path / "credentials.key").unlink()
    with pytest.raises(CredentialError, match="restore it"):
        await store.put("other", TEXT)
    with pytest.raises(CredentialError, match="cannot be opened"):
        await store.get("deploy")


async def test_another_key_seals_nothing_beside_what_it_cannot_open(
    store: EncryptedCredentials, tmp_path: Path
) -> None:
    await store.put("deploy", TOKEN)
    (tmp_path / "credentials.key").write_text("ab" * 32)
    with pytest.raises(CredentialError, match="opens nothing"):
        await store.put("other", TEXT)


@pytest.mark.parametrize("which", ["credentials.json", "credentials.key"])
async def test_a_file_open_to_others_is_refused_at_start_and_while_running(
    store: EncryptedCredentials, tmp_path: Path, which: str
) -> None:
    await store.put("deploy", TOKEN)
    await store.get("deploy")
    path = tmp_path / which
    path.chmod(0o640)
    os.utime(path)  # any change makes the server look again
    with pytest.raises(CredentialError, match="chmod 600"):
        await store.get("deploy")
    with pytest.raises(CredentialError, match="chmod 600"):
        async with opened(tmp_path):
            pass


@pytest.mark.parametrize(
    "text", ["", "{}x", '{"format": 2}', '{"credentials": {"a": {"type": "token"}}}', "[]", "\xff"]
)
async def test_a_file_of_another_form_is_a_credential_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(CredentialError, match="no file of sealed credentials"):
        async with opened(tmp_path):
            pass


def swap(found: dict[str, dict[str, Any]]) -> None:
    found["deploy"], found["other"] = found["other"], found["deploy"]


def move(found: dict[str, dict[str, Any]]) -> None:
    found["deploy"] = found["other"]


def widen(found: dict[str, dict[str, Any]]) -> None:
    found["deploy"]["hosts"] = ["evil.org"]


def retype(found: dict[str, dict[str, Any]]) -> None:
    found["deploy"]["type"] = "text"


def reversion(found: dict[str, dict[str, Any]]) -> None:
    found["deploy"]["version"] = 7


ATTACKS = [swap, move, widen, retype, reversion]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_entry_that_was_changed_or_moved_does_not_open(
    store: EncryptedCredentials, tmp_path: Path, attack: Callable[[dict[str, dict[str, Any]]], None]
) -> None:
    await store.put("deploy", TOKEN)
    await store.put("other", Credential(type="token", fields={"token": Secret("other-value")}, hosts=("github.com",)))
    rewrite(tmp_path, attack)
    with pytest.raises(CredentialError, match="was changed or moved"):
        await store.get("deploy")


@pytest.mark.parametrize("attack", ATTACKS)
async def test_control_bound_to_nothing_the_attack_succeeds(
    store: EncryptedCredentials,
    tmp_path: Path,
    attack: Callable[[dict[str, dict[str, Any]]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Negative control: with an empty binding the swapped, moved, widened or retyped entry opens."""
    monkeypatch.setattr(vault, "binding", lambda *_: "")
    await store.put("deploy", TOKEN)
    await store.put("other", Credential(type="token", fields={"token": Secret("other-value")}, hosts=("github.com",)))
    rewrite(tmp_path, attack)
    got = await store.get("deploy")
    assert got != TOKEN


async def test_an_entry_of_another_store_does_not_open(store: EncryptedCredentials, tmp_path: Path) -> None:
    await store.put("deploy", TOKEN)
    async with opened(tmp_path, name="production") as other:
        with pytest.raises(CredentialError, match="cannot be opened"):
            await other.get("deploy")


async def test_what_another_process_writes_is_seen_without_a_restart(
    store: EncryptedCredentials, tmp_path: Path
) -> None:
    await store.put("deploy", TOKEN)
    assert await store.get("deploy") == TOKEN
    async with opened(tmp_path) as command:
        for number in range(20):
            await command.put("deploy", Credential(type="text", fields={"text": Secret(f"value {number}")}))
            assert (await store.get("deploy")).text().reveal() == f"value {number}"


WRITER = """
import asyncio, sys
from pathlib import Path
from headgate.api import Credential, Secret
from headgate_plugins.encrypted_credentials import EncryptedCredentials

async def put(folder, worker):
    store = EncryptedCredentials("encrypted", file=folder / "credentials.json", key_file=folder / "credentials.key",
                                 create_key=True, blocking=asyncio.to_thread)
    for number in range(8):
        for name in (f"{worker}-{number}", "shared"):
            await store.put(name, Credential(type="text", fields={"text": Secret("some text")}))

asyncio.run(put(Path(sys.argv[1]), sys.argv[2]))
"""


def test_several_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, f"w{n}"]) for n in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    found = entries(tmp_path)
    assert len(found) == 3 * 8 + 1
    assert found["shared"]["version"] == 3 * 8
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".credentials.json.lock",
        "credentials.json",
        "credentials.key",
    ]


async def test_killed_in_the_middle_of_writing_the_file_is_whole_and_writable(
    store: EncryptedCredentials, tmp_path: Path
) -> None:
    """Each time another writer is killed -9 a little later; what was answered before is always there."""
    await store.put("kept", TOKEN)
    endless = WRITER.replace("range(8)", "range(10**6)")
    for number in range(8):
        writer = subprocess.Popen([sys.executable, "-c", endless, tmp_path, f"w{number}"])
        async with asyncio.timeout(30):
            while f"w{number}-{number}" not in entries(tmp_path):
                await asyncio.sleep(0.003)
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        assert await store.get("kept") == TOKEN
        assert await store.get(f"w{number}-{number}")
        await store.put(f"after-{number}", TEXT)
    assert len(list(tmp_path.iterdir())) <= 4


async def test_control_without_the_lock_writes_are_lost(
    store: EncryptedCredentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a second writer between a first one's read and write is overwritten."""
    await store.put("first", TEXT)
    write = vault.write
    raced: list[bool] = []

    def race(file: Path, contents: vault.Contents) -> None:
        if not raced:
            raced.append(True)
            store._put("second", TEXT)
        write(file, contents)

    monkeypatch.setattr(vault, "write", race)
    locked = vault.locked
    monkeypatch.setattr(vault, "locked", lambda file: locked(file, patience=0.1))
    with pytest.raises(CredentialError, match="another process"):
        await store.put("third", TEXT)
    raced.clear()
    monkeypatch.setattr(vault, "locked", lambda file: contextlib.nullcontext())
    await store.put("third", TEXT)
    assert sorted(entries(tmp_path)) == ["first", "third"]


async def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    store: EncryptedCredentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put("deploy", TOKEN)
    before = (tmp_path / "credentials.json").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CredentialError, match="cannot be written: No space"):
        await store.put("deploy", TEXT)
    assert (tmp_path / "credentials.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".credentials.json.lock",
        "credentials.json",
        "credentials.key",
    ]


async def test_rewrap_changes_the_key_while_a_server_reads(store: EncryptedCredentials, tmp_path: Path) -> None:
    await store.put("deploy", TOKEN)
    await store.put("other", TEXT)
    old_key = (tmp_path / "credentials.key").read_text()
    old_file = (tmp_path / "credentials.json").read_bytes()
    async with opened(tmp_path) as command:
        assert await command.rewrap() == 2
    assert await store.get("deploy") == TOKEN
    assert (tmp_path / "credentials.key").read_text() != old_key
    assert not (tmp_path / "credentials.key.next").exists()
    (tmp_path / "credentials.json").write_bytes(old_file)
    with pytest.raises(CredentialError, match="cannot be opened"):
        await store.get("deploy")


@pytest.mark.parametrize("moment", ["before the file", "after the file"])
async def test_a_rotation_cut_short_loses_nothing_and_can_go_on(
    store: EncryptedCredentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    await store.put("deploy", TOKEN)
    write = vault.write

    def die(*values: Any) -> None:
        if moment == "after the file":
            write(*values)
        raise KeyboardInterrupt

    monkeypatch.setattr(vault, "write", die)
    with pytest.raises(KeyboardInterrupt):
        store._rewrap()
    monkeypatch.setattr(vault, "write", write)
    assert (tmp_path / "credentials.key.next").exists()
    async with opened(tmp_path) as after:
        assert await after.get("deploy") == TOKEN
        await after.put("other", TEXT)
        assert await after.get("other") == TEXT
        assert await after.rewrap() == 2
        assert await after.get("deploy") == TOKEN
    assert not (tmp_path / "credentials.key.next").exists()


async def test_rewrap_changes_nothing_when_one_entry_does_not_open(store: EncryptedCredentials, tmp_path: Path) -> None:
    await store.put("deploy", TOKEN)
    await store.put("other", TEXT)
    rewrite(tmp_path, retype)
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    with pytest.raises(CredentialError, match=r"nothing was changed.*deploy"):
        await store.rewrap()
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before
