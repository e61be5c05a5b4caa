"""Which paths a push changed: asked of its host where that knows, and found in the mirror where it does not."""

from __future__ import annotations

import aiohttp
import pytest
from git_server import GitServer, commit_to, git

from headgate import api
from headgate.app.sources import Sources
from headgate.config.host import load_settings
from headgate.plugins.loading import Kinds
from headgate.telemetry.metrics import Metrics
from headgate.web.ports import Connection


class KnowsPaths:
    """A provider that clones from the test's server and tells paths, or why it cannot."""

    def __init__(self, url, told):
        self.url, self.told, self.asked = url, told, 0

    def authenticate(self, delivery):
        raise api.Unauthenticated("nothing is sent here")

    def parse(self, delivery):
        raise api.Unreadable("nothing is sent here")

    async def clone_source(self, repository):
        return api.CloneSource(url=self.url)

    async def changed_paths(self, push):
        self.asked += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@pytest.fixture
async def completed(tmp_path):
    """`completed(told)`: the paths of a push of two commits, and the provider that was asked first."""
    config = tmp_path / "config.yaml"
    config.write_text("data: data\n")
    settings = load_settings(config, Kinds())

    async with GitServer(tmp_path / "hosted") as server, aiohttp.ClientSession() as http:
        bare = server.create("acme/web")
        before = commit_to(bare, {"README": "hi\n"}, "First")
        after = commit_to(bare, {"README": "hi\n", "src/a.py": "a = 1\n"}, "Second")

        async def complete(told):
            provider = KnowsPaths(server.url("acme/web"), told)
            connections = {"acme": Connection(name="acme", kind="played", provider=provider)}
            sources = Sources(connections, settings=settings, metrics=Metrics(), http=http)
            push = api.Push(
                repository=api.Repository(host="127.0.0.1", path="acme/web"),
                ref="refs/heads/main",
                before=before,
                after=after,
                commits=(api.Commit(id=after),),
            )
            _, paths = await sources.complete("acme", "acme/web", push)
            return paths, provider

        yield complete


async def test_what_the_host_tells_is_believed(completed):
    paths, provider = await completed(("docs/b.md",))
    assert (paths, provider.asked) == (("docs/b.md",), 1)


@pytest.mark.parametrize(
    "why", [api.ProviderError("too many"), api.Unavailable("down"), api.Refused("no"), api.NotFound("gone")]
)
async def test_what_it_cannot_tell_is_found_in_the_mirror(completed, why):
    paths, provider = await completed(why)
    assert (paths, provider.asked) == (("src/a.py",), 1)


async def test_a_tag_is_followed_to_its_commit_in_the_mirror(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("data: data\n")
    async with GitServer(tmp_path / "hosted") as server, aiohttp.ClientSession() as http:
        bare = server.create("acme/web")
        sha = commit_to(bare, {"README": "hi\n"}, "First [skip ci]")
        git(bare, "tag", "-a", "v1", "-m", "The first", sha)
        provider = KnowsPaths(server.url("acme/web"), ())
        connections = {"acme": Connection(name="acme", kind="played", provider=provider)}
        sources = Sources(connections, settings=load_settings(config, Kinds()), metrics=Metrics(), http=http)
        repository = api.Repository(host="127.0.0.1", path="acme/web")
        for after in (git(bare, "rev-parse", "v1"), sha):
            tag = api.Tag(repository=repository, ref="refs/tags/v1", tag="v1", before=None, after=after)
            found = await sources.follow("acme", "acme/web", tag)
            assert [one.message for one in found.commits] == ["First [skip ci]"]
            assert (found.after, found.commit or found.after) == (after, sha)
        assert await sources.resolve("acme", "acme/web", "refs/tags/v1") == ("refs/tags/v1", sha)
        with pytest.raises(api.NotFound, match="has no refs/heads/v1; a tag is written in full: refs/tags/v1"):
            await sources.resolve("acme", "acme/web", "refs/heads/v1")
