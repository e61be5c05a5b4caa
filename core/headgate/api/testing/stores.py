"""What every credential store keeps; not how it protects what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar

import pytest

from headgate import api


class CredentialStoreContract:
    """What every credential store keeps. A subclass opens one that is empty or holds what `known` names."""

    known: ClassVar[str | None] = None
    """The name of a credential the store holds from the start, for stores that cannot be written."""

    def open_store(self, folder: Path) -> AbstractAsyncContextManager[api.CredentialStore]:
        """A store that keeps its files, if it has any, in `folder`."""
        raise NotImplementedError

    def run(self, folder: Path, story: Callable[[api.CredentialStore], Awaitable[None]]) -> None:
        """A story told to an open store."""

        async def told() -> None:
            async with self.open_store(folder) as store:
                await story(store)

        asyncio.run(told())

    def test_says_what_is_missing(self, tmp_path: Path) -> None:
        """`CredentialError` that names it."""

        async def story(store: api.CredentialStore) -> None:
            assert isinstance(store, api.CredentialStore)
            with pytest.raises(api.CredentialError, match="no-such-thing"):
                await store.get("no-such-thing")

        self.run(tmp_path, story)

    def test_gives_what_it_has(self, tmp_path: Path) -> None:
        """A checked credential that never prints itself."""

        async def story(store: api.CredentialStore) -> None:
            if self.known is None:
                pytest.skip("this store holds nothing from the start")
            credential = (await store.get(self.known)).check()
            assert all(secret.reveal() not in repr(credential) for secret in credential.secrets())

        self.run(tmp_path, story)

    def test_keeps_replaces_and_forgets(self, tmp_path: Path) -> None:
        """Durably: a second opening sees the same. Versions grow, listings are sorted and hold no secret."""

        def token(text: str) -> api.Credential:
            return api.Credential(type="token", fields={"token": api.Secret(text)}, hosts=("git.example.org",))

        async def write(store: api.CredentialStore) -> None:
            if not isinstance(store, api.WritableCredentialStore):
                pytest.skip("this store cannot be written")
            first = await store.put("b/deploy", token("one-secret"))
            second = await store.put("b/deploy", token("two-secret"))
            await store.put("a", token("three-secret"))
            assert second.version > first.version

        async def read(store: api.CredentialStore) -> None:
            assert isinstance(store, api.WritableCredentialStore)
            credential = await store.get("b/deploy")
            assert (credential.text().reveal(), credential.hosts) == ("two-secret", ("git.example.org",))
            listed = await store.list()
            assert [summary.name for summary in listed] == ["a", "b/deploy"]
            assert "secret" not in repr(listed)
            await store.remove("b/deploy")
            for call in (store.get, store.remove):
                with pytest.raises(api.CredentialError):
                    await call("b/deploy")

        self.run(tmp_path, write)
        self.run(tmp_path, read)
