"""A real repository from a real server in a real, isolated workspace: git works in it as a developer expects."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from build_desk import Desk
from git_server import GitServer, commit_to, git

from headgate import api
from headgate.builds.workspace import CheckedOut
from headgate.git import history
from headgate.git.command import Git
from headgate.git.mirrors import Mirrors
from headgate.git.refs import list_refs
from headgate.git.workspaces import make_workspace


class OneRepository:
    """What `headgate.app` does over connections, for one repository."""

    def __init__(self, source, folder):
        self._source = source
        self._git = Git(home=folder / "git-home", timeout=60, max_repository_size=10**9)
        self._mirrors = Mirrors(self._git, folder / "mirrors")

    async def resolve(self, connection, repository, ref):
        found = await list_refs(self._git, self._source, (ref or "refs/heads/",))
        wanted = ref or f"refs/heads/{found.default_branch}"
        if wanted not in found.heads:
            raise api.NotFound(f"{repository} has no {wanted}")
        return wanted, found.heads[wanted]

    async def full_sha(self, connection, repository, sha):
        return await self._mirrors.expand(await self._mirrors.fetch(self._source), sha)

    async def check_out(self, connection, repository, path, *, sha, ref, checkout):
        mirror = await self._mirrors.fetch(self._source, sha=sha)
        await make_workspace(self._mirrors, mirror, path, sha=sha, ref=ref, checkout=checkout, source=self._source)
        return CheckedOut(url=self._source.url, commit=await history.commit(mirror, sha))


@pytest.fixture
async def hosted(tmp_path):
    async with GitServer(tmp_path / "hosted") as server:
        bare = server.create("acme/web")
        sha = commit_to(bare, {"README": "hi\n", "src/a.py": "a = 1\n"}, "First")
        yield server, bare, sha


@pytest.fixture
def desk(database, tmp_path, hosted):
    server, _, _ = hosted
    desk = Desk(database, tmp_path, isolation="auto")
    desk.sources = OneRepository(api.CloneSource(url=server.url("acme/web")), tmp_path / "data")
    return desk


SEEN = """
    cat README; git status --porcelain; git rev-parse HEAD; git log -1 --format=%s; git symbolic-ref --short HEAD
    echo "$GIT_COMMIT $GIT_COMMIT_MESSAGE $GIT_AUTHOR_NAME $BRANCH_NAME $GIT_URL"
    git config --get remote.origin.url
"""


@pytest.mark.parametrize("isolation", ["auto", "none"])
@pytest.mark.parametrize("known", [True, False])
async def test_a_workspace_is_a_checkout_of_the_commit(desk, hosted, isolation, known):
    """Also for a manual build of the default branch, whose commit nobody knew before."""
    if isolation == "auto" and shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap here")
    server, _, sha = hosted
    sources, desk = desk.sources, Desk(desk.database, desk.folder, isolation=isolation)
    desk.sources = sources
    build_id = await desk.plan(
        SEEN,
        checkout=api.Checkout(),
        sha=sha if known else None,
        ref="refs/heads/main" if known else None,
    )
    async with desk.at_work():
        build = await desk.until(build_id)
    assert build.outcome is api.Outcome.SUCCEEDED, desk.log(build_id)
    url = server.url("acme/web")
    assert desk.said(build_id) == ["hi", sha, "First", "main", f"{sha} First Ada main {url}", url]
    assert build.sha == sha


async def test_what_git_cannot_do_is_errored_with_a_sentence_and_tried_again(desk):
    build_id = await desk.plan("echo never", checkout=api.Checkout(), sha="f" * 40, retries=1)
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.attempt) == (api.Outcome.ERRORED, 2)
    assert "f" * 40 in build.reason
    assert desk.said(build_id) == []


async def test_a_build_of_an_abbreviated_commit_finds_the_whole_one(desk, hosted):
    """Some hosts abbreviate the heads of change requests; what the build says and remembers is full."""
    _, bare, sha = hosted
    commit_to(bare, {"README": "newer\n"}, "Second")
    build_id = await desk.plan('cat README; echo "$GIT_COMMIT"', checkout=api.Checkout(), sha=sha[:12])
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.sha) == (api.Outcome.SUCCEEDED, sha)
    assert desk.said(build_id) == ["hi", sha]


async def test_a_build_of_a_change_without_a_commit_takes_what_its_ref_leads_to(desk, hosted):
    """Gogs names none. It is never the default branch."""
    _, bare, sha = hosted
    proposed = commit_to(bare, {"README": "proposed\n"}, "Second", branch="feature", parents=[sha])
    head = "refs/pull/7/head"
    subprocess.run(["git", f"--git-dir={bare}", "update-ref", head, proposed], check=True)
    build_id = await desk.plan('cat README; echo "$GIT_COMMIT"', checkout=api.Checkout(), sha=None, ref=head)
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.ref, build.sha) == (api.Outcome.SUCCEEDED, head, proposed)
    assert desk.said(build_id) == ["proposed", proposed]


async def test_a_build_of_an_annotated_tag_is_of_the_commit_it_leads_to(desk, hosted):
    """Where nobody said what that is; states beside the tag's own object would be refused."""
    _, bare, sha = hosted
    git(bare, "tag", "-a", "v1", "-m", "v1", sha)
    tag = git(bare, "rev-parse", "v1")
    build_id = await desk.plan(
        'echo "$GIT_COMMIT $TAG_NAME"; git rev-parse HEAD', checkout=api.Checkout(), sha=tag, ref="refs/tags/v1"
    )
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.ref, build.sha) == (api.Outcome.SUCCEEDED, "refs/tags/v1", sha)
    assert desk.said(build_id) == [f"{sha} v1", sha]


async def test_an_abbreviated_commit_that_is_not_there_errs_with_the_reason(desk, hosted):
    """The head of a fork, say, which the target's branches do not have."""
    build_id = await desk.plan("true", checkout=api.Checkout(), sha="0123456789ab")
    async with desk.at_work():
        build = await desk.until(build_id)
    assert build.outcome == api.Outcome.ERRORED
    assert "0123456789ab" in build.reason
