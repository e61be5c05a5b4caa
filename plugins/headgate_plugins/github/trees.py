"""Files, and what stands at some paths of a commit, read folder by folder; not the whole tree, which GitHub cuts short.

https://docs.github.com/en/rest/git/trees#get-a-tree
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from headgate import api
from headgate.api.client import Client
from headgate_plugins.github.answers import Sha


class Content(msgspec.Struct):
    """A file, a link or a submodule; a folder is a list. https://docs.github.com/en/rest/repos/contents"""

    sha: Sha
    type: str = "file"
    content: str | None = None
    encoding: str | None = None


def decoded(text: str) -> bytes:
    """Base64 with line breaks, as GitHub sends files."""
    try:
        return base64.b64decode(text.encode(), validate=False)
    except (binascii.Error, ValueError):
        raise api.ProviderError("GitHub sent a file that is not base64") from None


class Entry(msgspec.Struct):
    """A file (`blob`), a folder (`tree`) or a submodule (`commit`). `mode` is git's."""

    path: str
    mode: str
    type: str
    sha: Sha


class Tree(msgspec.Struct):
    """One folder, or a tree that was just made."""

    sha: Sha
    tree: list[Entry] = []
    truncated: bool = False


async def read_entries(client: Client, repository: str, root: str, paths: Sequence[str]) -> dict[str, Entry | None]:
    """What is at each of `paths` below the tree `root`; `None`: nothing. `repository`: its place in the API.

    Raises `Conflict` for what can be no file's path, one that stands there twice, and one below a file.
    """
    if not paths:
        raise api.Conflict("a commit without changes")
    if len(set(paths)) != len(paths):
        raise api.Conflict("a path is changed twice in one commit")
    for path in paths:
        if {"", ".", "..", ".git"} & set(path.lower().split("/")):
            raise api.Conflict(f"{path!r} is no path of a file")
    folders = _Folders(client, repository)
    return {path: await folders.find(root, path) for path in paths}


class _Folders:
    """The folders of one commit, each read once."""

    def __init__(self, client: Client, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._read: dict[str, dict[str, Entry]] = {}

    async def find(self, root: str, path: str) -> Entry | None:
        *above, name = path.split("/")
        sha = root
        for part in above:
            entry = (await self._entries(sha)).get(part)
            if entry is None:
                return None
            if entry.type != "tree":
                raise api.Conflict(f"{path} would be below {part}, which is no folder")
            sha = entry.sha
        return (await self._entries(sha)).get(name)

    async def _entries(self, sha: str) -> dict[str, Entry]:
        if sha not in self._read:
            found = await self._client.get(f"{self._repository}/git/trees/{sha}", type=Tree)
            if found.truncated:
                raise api.ProviderError("a folder of it has more files than GitHub lists")
            self._read[sha] = {entry.path: entry for entry in found.tree}
        return self._read[sha]
