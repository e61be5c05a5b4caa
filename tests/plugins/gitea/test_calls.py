"""What is asked of Gitea, Forgejo and Gogs and what is made of the answers; each answer written after the documentation."""

from __future__ import annotations

import base64
import contextlib
import inspect
import itertools
import re

import pytest

from headgate import api
from headgate.api.testing import Answer, CallsContract, calling
from headgate_plugins import gitea

KINDS = {kind.name: kind for kind in gitea.headgate_providers()}
A, B, C = "a1" * 20, "b2" * 20, "c3" * 20
SITE = "https://git.acme.example:3000/tea"
HERE = api.Repository(host="git.acme.example:3000", path="Acme/Web")
AT = "/tea/api/v1/repos/Acme/Web"
ADA = {"id": 1, "login": "ada", "full_name": "Ada L."}


def repo(name="Acme/Web", **changes):
    return {
        "id": 42,
        "full_name": name,
        "html_url": f"{SITE}/{name}",
        "description": "the shop",
        "default_branch": "main",
        "private": False,
        "internal": False,
        "archived": False,
        "fork": False,
        "owner": ADA,
    } | changes


def pull(number=7, **changes):
    side = {"repo_id": 42, "repo": repo()}
    return {
        "number": number,
        "title": "Add a thing",
        "state": "open",
        "body": "please",
        "head": {"ref": "thing", "sha": B, **side},
        "base": {"ref": "main", "sha": A, **side},
        "user": ADA,
        "labels": [{"name": "bug"}],
        "draft": False,
        "merged": False,
        "mergeable": True,
        "merge_commit_sha": None,
        "html_url": f"{SITE}/Acme/Web/pulls/{number}",
    } | changes


def commit(sha, files=(), *, message="m", account=None, email="ada@acme.example"):
    author = {"name": "Ada", "email": email, "date": "2026-01-05T12:00:00Z"}
    return {
        "sha": sha,
        "html_url": f"{SITE}/c/{sha}",
        "commit": {"message": message, "author": author},
        "author": account,
        "files": [{"filename": name, "status": status} for name, status in files],
    }


def options(url):
    return {
        "base_url": f"{url}/tea",
        "webhook_secrets": ["secret://contract/hook"],
        "credential": "secret://contract/api",
    }


ASKED = []
"""Every request of the tests below that came through `asking`, for the one that reads Gitea's own description."""


@contextlib.asynccontextmanager
async def asking(name="gitea"):
    async with calling(KINDS[name], options) as (provider, host):
        try:
            yield provider, host
        finally:
            ASKED.extend(host.asked)


async def collected(listing):
    return [item async for item in listing]


def two_pages(first, second):
    """A listing with links, whose host is what the server takes for its own."""
    last = '<https://git.internal/api/v1/x?page=1>; rel="first"'
    return Answer(body=first, headers={"Link": '<https://git.internal/api/v1/x?limit=50&page=2>; rel="next"'}), Answer(
        body=second, headers={"Link": last}
    )


class TestGiteaContract(CallsContract):
    kind = KINDS["gitea"]


class TestForgejoContract(CallsContract):
    kind = KINDS["forgejo"]


class TestGogsContract(CallsContract):
    kind = KINDS["gogs"]

    async def ask(self, provider):
        return await provider.read_file("acme/web", "a.txt", "main")


# -- repositories


async def test_a_repository():
    async with asking() as (provider, host):
        host.on("GET", AT, repo())
        assert await provider.repository("Acme/Web") == api.HostedRepository(
            repository=HERE,
            id="42",
            default_branch="main",
            description="the shop",
            visibility="public",
            archived=False,
            fork=False,
            url=f"{SITE}/Acme/Web",
        )
        with pytest.raises(api.NotFound):
            await provider.repository("acme")
        assert host.paths() == [f"GET {AT}"]


async def test_branches_over_two_pages_on_our_own_address():
    async with asking() as (provider, host):
        branches = [
            {"name": name, "commit": {"id": sha}, "protected": name == "main"}
            for name, sha in (("main", A), ("x/y", B))
        ]
        host.on("GET", f"{AT}/branches", *two_pages(branches[:1], branches[1:]))
        assert await collected(provider.branches("Acme/Web")) == [
            api.Branch(name="main", sha=A, protected=True),
            api.Branch(name="x/y", sha=B, protected=False),
        ]
        assert [one.query for one in host.asked] == [{"limit": "50"}, {"limit": "50", "page": "2"}]


@pytest.mark.parametrize(("total", "asked"), [("3", 2), ("1", 1), (None, 1), ("many", 1)])
async def test_a_listing_without_links_goes_on_until_there_are_as_many_as_said(total, asked):
    async with asking() as (provider, host):
        headers = {"X-Total-Count": total} if total else {}
        host.on(
            "GET", f"{AT}/tags", Answer(body=[{"name": "v1", "commit": {"sha": A}}], headers=headers), Answer(body=[])
        )
        tags = await collected(provider.tags("Acme/Web"))
        assert tags == [api.HostedTag(name="v1", sha=A)]
        assert len(host.asked) == asked


async def test_a_ref_is_the_one_of_all_that_begin_so():
    def ref(name, sha, kind="commit"):
        return {"ref": name, "object": {"type": kind, "sha": sha}}

    async with asking() as (provider, host):
        host.on("GET", f"{AT}/git/refs/heads/topic", [ref("refs/heads/topic-2", B), ref("refs/heads/topic", A)])
        host.on("GET", f"{AT}/git/refs/pull/7/head", ref("refs/pull/7/head", C))
        host.on("GET", f"{AT}/git/refs/heads/gone", [ref("refs/heads/gone-too", B)])
        host.on("GET", f"{AT}/git/refs/tags/v1", [ref("refs/tags/v1", B, "tag")])
        host.on("GET", f"{AT}/git/tags/{B}", {"object": {"type": "tag", "sha": C}})
        host.on("GET", f"{AT}/git/tags/{C}", {"object": {"type": "commit", "sha": A}})
        assert await provider.ref("Acme/Web", "refs/heads/topic") == A
        assert await provider.ref("Acme/Web", "refs/pull/7/head") == C
        assert await provider.ref("Acme/Web", "refs/tags/v1") == A
        with pytest.raises(api.NotFound):
            await provider.ref("Acme/Web", "refs/heads/gone")
        host.on("GET", f"{AT}/git/tags/{C}", {"object": {"type": "tag", "sha": C}})
        with pytest.raises(api.ProviderError, match="from tag to tag"):
            await provider.ref("Acme/Web", "refs/tags/v1")


async def test_commits_newest_first_without_what_takes_long():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/commits", *two_pages([commit(B, message="two\n")], [commit(A)]))
        author = api.Person(name="Ada", email="ada@acme.example")
        assert await collected(provider.commits("Acme/Web", "release/1")) == [
            api.Commit(id=B, message="two\n", author=author, url=f"{SITE}/c/{B}"),
            api.Commit(id=A, message="m", author=author, url=f"{SITE}/c/{A}"),
        ]
        quiet = {"stat": "false", "verification": "false", "files": "false"}
        assert host.asked[0].query == {"limit": "50", "sha": "release/1", **quiet}


COMPARED = [
    commit(C, [("both", "removed"), ("gone", "removed"), ("again", "added")]),
    commit(B, [("both", "added"), ("old", "modified"), ("again", "removed")]),
]


async def test_a_comparison_tells_what_all_commits_did_together():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/compare/release/1...{C}", {"total_commits": 2, "commits": COMPARED})
        found = await provider.compare("Acme/Web", "release/1", C)
        assert [one.id for one in found.commits] == [C, B]
        assert {file.path: file.status for file in found.files} == {
            "again": "modified",
            "gone": "removed",
            "old": "modified",
        }
        assert found.complete
        host.on("GET", f"{AT}/compare/release/1...{C}", {"total_commits": 3, "commits": COMPARED})
        assert not (await provider.compare("Acme/Web", "release/1", C)).complete
        listed = {"total_commits": 2, "commits": COMPARED, "files": [{"filename": "x", "status": "added"}]}
        host.on("GET", f"{AT}/compare/release/1...{C}", listed)  # Forgejo
        assert (await provider.compare("Acme/Web", "release/1", C)).files == (
            api.ChangedFile(path="x", status="added"),
        )


def push(before, after):
    return api.Push(repository=HERE, ref="refs/heads/main", before=before, after=after)


async def test_changed_paths_are_those_of_all_commits_that_came():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/compare/{A}...{C}", {"total_commits": 2, "commits": COMPARED})
        host.on("GET", f"{AT}/compare/{C}...{A}", {"total_commits": 0, "commits": []})
        assert await provider.changed_paths(push(A, C)) == ("again", "both", "gone", "old")


async def test_of_a_forced_push_also_those_of_the_commits_that_went():
    """The control of asking both ways: without it the path that was taken back would be missed."""
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/compare/{A}...{B}", {"total_commits": 1, "commits": [commit(B, [("new", "added")])]})
        host.on("GET", f"{AT}/compare/{B}...{A}", {"total_commits": 1, "commits": [commit(A, [("lost", "added")])]})
        assert await provider.changed_paths(push(A, B)) == ("lost", "new")


async def test_changed_paths_that_cannot_be_learned_raise():
    async with asking() as (provider, host):
        for before, after in ((None, A), (A, None)):
            with pytest.raises(api.NotFound):
                await provider.changed_paths(push(before, after))
        assert host.asked == []
        host.on("GET", f"{AT}/compare/{B}...{A}", {"total_commits": 0, "commits": []})
        for cut in ({"total_commits": 9, "commits": COMPARED}, {"total_commits": 1, "commits": [{"sha": B}]}):
            host.on("GET", f"{AT}/compare/{A}...{B}", cut)
            with pytest.raises(api.ProviderError, match="did not tell"):
                await provider.changed_paths(push(A, B))


# -- changes


async def test_changes_and_their_states():
    merged = pull(5, state="closed", merged=True, merge_commit_sha=C)
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls", *two_pages([pull()], [pull(6, state="closed"), merged]))
        found = await collected(provider.changes("Acme/Web", None))
        assert [(one.number, one.state, one.merge_sha) for one in found] == [
            (7, "open", None),
            (6, "closed", None),
            (5, "merged", C),
        ]
        assert host.asked[0].query == {"limit": "50", "state": "all"}
        for state, asked, numbers in (("open", "open", []), ("closed", "closed", [6]), ("merged", "closed", [5])):
            host.on("GET", f"{AT}/pulls", [pull(6, state="closed"), merged])
            assert [one.number async for one in provider.changes("Acme/Web", state)] == numbers
            assert host.asked[-1].query["state"] == asked


async def test_a_change_with_its_reviews():
    def review(state, **changes):
        return {"state": state, "user": {"login": "grace"}, "body": "", "commit_id": B, "dismissed": False} | changes

    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls/7", pull())
        first = [review("REQUEST_REVIEW", commit_id=""), review("COMMENT", body="why?")]
        second = [review("APPROVED"), review("REQUEST_CHANGES", dismissed=True), review("PENDING", user=None)]
        host.on("GET", f"{AT}/pulls/7/reviews", *two_pages(first, second))
        change = await provider.change("Acme/Web", 7)
        assert change.reviews == (
            api.Review(author="grace", state="commented", sha=B, body="why?"),
            api.Review(author="grace", state="approved", sha=B),
            api.Review(author="grace", state="dismissed", sha=B),
            api.Review(author="ghost", state="pending", sha=B),
        )
        assert change == api.HostedChange(
            repository=HERE,
            number=7,
            title="Add a thing",
            state="open",
            source=api.ChangeSource(repository=HERE, branch="thing", sha=B),
            target=api.ChangeTarget(branch="main", sha=A),
            author="ada",
            body="please",
            labels=("bug",),
            reviews=change.reviews,
            mergeable=True,
            head_ref="refs/pull/7/head",
            revision=B,
            url=f"{SITE}/Acme/Web/pulls/7",
        )


async def test_a_change_whose_answer_leaves_repositories_out():
    bare = {"head": {"ref": "thing", "sha": B, "repo_id": 1}, "base": {"ref": "main", "sha": A, "repo_id": 1}}
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls", [pull(**bare), pull(**bare, title="WIP: x", draft=None)])
        found, draft = await collected(provider.changes("Acme/Web"))
        assert found.repository.path == "Acme/Web"
        assert found.source.repository == found.repository
        assert (found.draft, draft.draft) == (False, True)
        host.on("GET", f"{AT}/pulls", [pull(head={"ref": "x", "sha": "", "repo_id": 1})])
        with pytest.raises(api.ProviderError, match="full commit id"):
            await collected(provider.changes("Acme/Web"))


async def test_the_files_of_a_change():
    files = [
        {"filename": "a", "status": "added"},
        {"filename": "b", "status": "changed"},
        {"filename": "c", "status": "deleted"},
        {"filename": "d", "status": "renamed", "previous_filename": "e"},
        {"filename": "f", "status": "unchanged", "previous_filename": ""},
    ]
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls/7/files", *two_pages(files[:2], files[2:]))
        assert await collected(provider.changed_files("Acme/Web", 7)) == [
            api.ChangedFile(path="a", status="added"),
            api.ChangedFile(path="b", status="modified"),
            api.ChangedFile(path="c", status="removed"),
            api.ChangedFile(path="d", status="renamed", previous_path="e"),
            api.ChangedFile(path="f", status="modified"),
        ]


# -- people, issues, runs


async def test_members_of_a_persons_repository():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/collaborators", *two_pages([{"login": "grace"}], [{"login": "eve", "full_name": "Eve"}]))
        host.on("GET", f"{AT}/collaborators/grace/permission", {"permission": "write"})
        host.on("GET", f"{AT}/collaborators/eve/permission", Answer(403, {"message": "no"}))
        host.on("GET", f"{AT}/teams", Answer(405, {"message": "repo is not owned by an organization"}))
        host.on("GET", AT, repo())
        assert await collected(provider.members("Acme/Web")) == [
            api.Member(account="grace", role="write"),
            api.Member(account="eve", role=None, name="Eve"),
            api.Member(account="ada", role="admin", name="Ada L."),
        ]


async def test_members_of_an_organisations_repository_come_from_its_teams():
    """Who is in several has the rights of the strongest."""
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/collaborators", [])
        host.on("GET", f"{AT}/teams", [{"id": 3, "permission": "read"}, {"id": 4, "permission": "owner"}])
        host.on("GET", "/tea/api/v1/teams/3/members", [ADA, {"login": "eve"}])
        host.on("GET", "/tea/api/v1/teams/4/members", [ADA])
        assert await collected(provider.members("Acme/Web")) == [
            api.Member(account="ada", role="admin", name="Ada L."),
            api.Member(account="eve", role="read"),
        ]


async def test_contributors_are_counted_in_commits():
    async with asking() as (provider, host):
        first = [commit(A, account=ADA), commit(B, email="Eve@x.example")]
        host.on("GET", f"{AT}/commits", *two_pages(first, [commit(C, account=ADA, email="other@x.example")]))
        assert await collected(provider.contributors("Acme/Web")) == [
            api.Contributor(account="ada", name="Ada", commits=2),
            api.Contributor(account=None, name="Ada", email="eve@x.example", commits=1),
        ]


@pytest.mark.parametrize("name", KINDS)
async def test_issues_are_no_pull_requests(name):
    issue = {
        "number": 1,
        "title": "t",
        "state": "open",
        "user": ADA,
        "labels": [{"name": "bug"}],
        "html_url": "https://x/1",
    }
    async with asking(name) as (provider, host):
        change = issue | {"number": 2, "pull_request": {"merged": False}}
        host.on("GET", f"{AT}/issues", *two_pages([issue | {"pull_request": None}], [change]))
        assert await collected(provider.issues("Acme/Web")) == [
            api.Issue(number=1, title="t", state="open", author="ada", labels=("bug",), url="https://x/1")
        ]
        assert host.asked[0].query == {"limit": "50", "state": "open", "type": "issues"}
        await collected(provider.issues("Acme/Web", None))
        assert host.asked[-1].query["state"] == "all"


async def test_runs_and_jobs_of_gitea():
    run = {
        "id": 5,
        "display_title": "m",
        "path": "ci.yml@refs/heads/main",
        "head_sha": A,
        "head_branch": "main",
        "status": "completed",
        "conclusion": "failure",
        "started_at": "2026-01-05T13:00:00+01:00",
        "html_url": "https://x/5",
    }
    waiting = {
        "id": 6,
        "path": "ci.yml",
        "head_sha": A,
        "head_branch": "main",
        "status": "queued",
        "started_at": "1970-01-01T00:00:00Z",
    }
    async with asking() as (provider, host):
        path = f"{AT}/actions/runs"
        host.on("GET", path, {"workflow_runs": [run], "total_count": 2}, {"workflow_runs": [waiting], "total_count": 2})
        found = await collected(provider.ci_runs("Acme/Web", sha=A, branch="main"))
        assert [(one.id, one.name, one.state, one.url) for one in found] == [
            ("5", "ci.yml", "failed", "https://x/5"),
            ("6", "ci.yml", "queued", None),
        ]
        assert found[0].started_at.isoformat() == "2026-01-05T12:00:00+00:00"
        assert found[1].started_at is None
        asked = {"limit": "50", "head_sha": A, "branch": "main"}
        assert [one.query for one in host.asked] == [asked, {**asked, "page": "2"}]
        host.on(
            "GET", f"{path}/5/jobs", {"jobs": [{"id": 9, "name": "unit", "status": "in_progress"}], "total_count": 1}
        )
        assert await collected(provider.ci_jobs("Acme/Web", "5")) == [api.CiJob(id="9", name="unit", state="running")]


async def test_runs_and_jobs_of_forgejo_which_filters_less():
    def run(number, branch):
        return {
            "id": number,
            "workflow_id": "ci.yml",
            "title": "m",
            "commit_sha": A,
            "prettyref": branch,
            "status": "success",
            "started": "2026-01-05T12:00:00Z",
        }

    async with asking("forgejo") as (provider, host):
        path = f"{AT}/actions/runs"
        host.on("GET", path, {"workflow_runs": [run(1, "main"), run(2, "other")], "total_count": 2})
        (found,) = await collected(provider.ci_runs("Acme/Web", branch="main"))
        assert (found.id, found.name, found.state, found.sha, found.branch) == ("1", "ci.yml", "succeeded", A, "main")
        host.on("GET", f"{path}/1/jobs", [{"id": 9, "name": "unit", "status": "exploded"}])
        assert await collected(provider.ci_jobs("Acme/Web", "1")) == [api.CiJob(id="9", name="unit", state="unknown")]


# -- discovery


async def test_discovery_lets_the_server_filter_what_it_can():
    async with asking() as (provider, host):
        host.on("GET", "/tea/api/v1/users/Acme", {"id": 3, "login": "Acme"})
        there = repo(), repo("Acme/Other"), repo("else/web"), repo(archived=True)
        pages = two_pages({"ok": True, "data": [there[0], there[1]]}, {"ok": True, "data": [there[2], there[3]]})
        host.on("GET", "/tea/api/v1/repos/search", *pages)
        query = api.RepositoryQuery(owner="Acme", search="we", archived=False, visibility="public")
        assert [one.repository.path async for one in provider.discover(query)] == ["Acme/Web"]
        assert host.asked[1].query == {
            "limit": "50",
            "sort": "id",
            "uid": "3",
            "exclusive": "true",
            "q": "we",
            "archived": "false",
            "is_private": "false",
        }


async def test_discovery_without_filters_and_by_visibility():
    data = {"data": [repo("a/a", private=True), repo("b/b", internal=True), repo("c/c"), repo("d/d", private=None)]}
    async with asking() as (provider, host):
        host.on("GET", "/tea/api/v1/repos/search", data)
        found = {one.repository.path: one.visibility async for one in provider.discover(api.RepositoryQuery())}
        assert found == {"a/a": "private", "b/b": "internal", "c/c": "public", "d/d": None}
        assert host.asked[0].query == {"limit": "50", "sort": "id"}
        for word, paths in (("internal", ["b/b"]), ("private", ["a/a"])):
            query = api.RepositoryQuery(visibility=word)
            assert [one.repository.path async for one in provider.discover(query)] == paths


async def test_gogs_lists_an_owners_repositories_or_ones_own():
    async with asking("gogs") as (provider, host):
        host.on("GET", "/tea/api/v1/user/repos", [repo(), repo("acme/private", private=True)])
        host.on("GET", "/tea/api/v1/users/acme/repos", [repo("acme/x")])
        assert len(await collected(provider.discover(api.RepositoryQuery()))) == 2
        owned = await collected(provider.discover(api.RepositoryQuery(owner="acme")))
        assert [one.repository.path for one in owned] == ["acme/x"]
        private = await collected(provider.discover(api.RepositoryQuery(visibility="private")))
        assert [one.repository.path for one in private] == ["acme/private"]


# -- files


def content(text, **changes):
    encoded = base64.b64encode(text).decode()
    return {"type": "file", "sha": C, "encoding": "base64", "content": encoded} | changes


@pytest.mark.parametrize("name", KINDS)
async def test_a_file_is_read_with_its_revision(name):
    async with asking(name) as (provider, host):
        host.on("GET", f"{AT}/contents/src/a%20b%23.txt", content(b"\x00hi"))
        found = await provider.read_file("Acme/Web", "src/a b#.txt", "release/1")
        assert found == api.FileContent(path="src/a b#.txt", content=b"\x00hi", revision=C)
        assert host.asked[0].query == {"ref": "release/1"}


@pytest.mark.parametrize("name", KINDS)
async def test_a_large_file_is_read_as_it_is(name):
    async with asking(name) as (provider, host):
        host.on("GET", f"{AT}/contents/big", content(b"", content=None, encoding=None))
        host.on("GET", f"{AT}/raw/big", Answer(body=b"\xff\x00"))
        assert (await provider.read_file("Acme/Web", "big", A)).content == b"\xff\x00"
        assert host.asked[1].query == {"ref": A}


async def test_what_is_no_file_is_a_conflict_or_not_found():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/contents/src", [])
        host.on("GET", f"{AT}/contents/link", {"type": "symlink", "sha": C, "target": "x"})
        for path in ("src", "link"):
            with pytest.raises(api.Conflict):
                await provider.read_file("Acme/Web", path, "main")
        asked = len(host.asked)
        for path in ("", "/", "../../user", "a/../../x", "src/", "\ud800"):
            with pytest.raises(api.NotFound):
                await provider.read_file("Acme/Web", path, "main")
        assert len(host.asked) == asked
        host.on("GET", f"{AT}/contents/odd", content(b"", content="%%%%%"))
        with pytest.raises(api.ProviderError, match="base64"):
            await provider.read_file("Acme/Web", "odd", "main")


CHANGES = (
    api.FileChange(path="new", content=b"n"),
    api.FileChange(path="old", content=b"", revision=A),
    api.FileChange(path="gone", content=None, revision=B),
)


def branch(name="main", sha=A):
    return {"name": name, "commit": {"id": sha}}


async def test_several_files_in_one_commit_each_with_its_guard():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/branches/release%2F1", branch())
        host.on("POST", f"{AT}/contents", Answer(201, {"commit": {"sha": C}, "files": []}))
        commit = api.FileCommit(branch="release/1", message="m", changes=CHANGES, head=A)
        assert await provider.commit_files("Acme/Web", commit) == C
        assert host.asked[-1].json() == {
            "branch": "release/1",
            "message": "m",
            "files": [
                {"path": "new", "operation": "create", "content": "bg=="},
                {"path": "old", "operation": "update", "content": "", "sha": A},
                {"path": "gone", "operation": "delete", "sha": B},
            ],
        }


async def test_a_branch_that_moved_is_a_conflict_before_anything_is_written():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/branches/main", branch(sha=B))
        host.on("POST", f"{AT}/contents", Answer(201, {"commit": {"sha": C}}))
        with pytest.raises(api.Conflict, match="no longer"):
            await provider.commit_files("Acme/Web", api.FileCommit(branch="main", message="m", changes=CHANGES, head=A))
        assert host.paths() == [f"GET {AT}/branches/main"]
        # The control: without the guard it is written, and the branch is not looked at.
        await provider.commit_files("Acme/Web", api.FileCommit(branch="main", message="m", changes=CHANGES))
        assert host.paths()[1:] == [f"POST {AT}/contents"]


@pytest.mark.parametrize(
    ("status", "there", "error"),
    [
        (422, True, api.Conflict),
        (404, True, api.Conflict),
        (404, False, api.NotFound),
        (403, True, api.Refused),
        (423, True, api.Refused),
    ],
)
async def test_why_a_commit_of_files_was_not_made(status, there, error):
    """404: a file to change is not there, or else the branch or the repository."""
    async with asking() as (provider, host):
        host.on("POST", f"{AT}/contents", Answer(status, {"message": "sha does not match"}))
        if there:
            host.on("GET", f"{AT}/branches/main", branch())
        with pytest.raises(api.ProviderError) as caught:
            await provider.commit_files("Acme/Web", api.FileCommit(branch="main", message="m", changes=CHANGES))
        assert type(caught.value) is error
        assert len([one for one in host.asked if one.method == "POST"]) == 1


async def test_a_write_is_not_made_twice():
    async with asking() as (provider, host):
        host.otherwise(Answer(503, {}))
        for write in (
            provider.commit_files("Acme/Web", api.FileCommit(branch="main", message="m", changes=CHANGES)),
            provider.create_branch("Acme/Web", "x", A),
            provider.open_change("Acme/Web", api.NewChange(title="t", source="x", target="main")),
        ):
            asked = len(host.asked)
            with pytest.raises(api.Unavailable):
                await write
            assert len(host.asked) == asked + 1


async def test_a_branch_is_made_at_a_commit():
    async with asking() as (provider, host):
        host.on("POST", f"{AT}/branches", Answer(201, branch("x/y", A)))
        await provider.create_branch("Acme/Web", "x/y", A)
        assert host.asked[0].json() == {"new_branch_name": "x/y", "old_ref_name": A}
        host.on("POST", f"{AT}/branches", Answer(409, {"message": "The branch already exists."}))
        with pytest.raises(api.Conflict, match="already exists"):
            await provider.create_branch("Acme/Web", "x/y", A)


async def test_a_branch_that_an_old_server_makes_elsewhere_is_removed():
    async with asking() as (provider, host):
        host.on("POST", f"{AT}/branches", Answer(201, branch("x/y", B)))
        host.on("DELETE", f"{AT}/branches/x%2Fy", Answer(204, b""))
        with pytest.raises(api.ProviderError, match="too old"):
            await provider.create_branch("Acme/Web", "x/y", A)
        assert host.paths()[-1] == f"DELETE {AT}/branches/x%2Fy"


# -- changes that are made


async def test_a_change_is_opened_a_draft_by_its_title():
    async with asking() as (provider, host):
        host.on("POST", f"{AT}/pulls", Answer(201, pull(title="WIP: Add", draft=True)))
        new = api.NewChange(title="Add", source="thing", target="main", body="b", draft=True)
        change = await provider.open_change("Acme/Web", new)
        assert (change.number, change.draft, change.reviews) == (7, True, None)
        assert host.asked[0].json() == {"title": "WIP: Add", "body": "b", "head": "thing", "base": "main"}
        for status in (409, 422):
            host.on("POST", f"{AT}/pulls", Answer(status, {"message": "there is one"}))
            with pytest.raises(api.Conflict, match="there is one"):
                await provider.open_change("Acme/Web", new)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_a_merge_is_guarded_by_the_head(method):
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls/7", pull(), pull(merged=True, state="closed", merge_commit_sha=C))
        host.on("POST", f"{AT}/pulls/7/merge", Answer(200, b""))
        assert await provider.merge_change("Acme/Web", 7, sha=B, method=method) == C
        assert host.asked[1].json() == {"Do": method, "head_commit_id": B}


async def test_a_merge_of_another_head_is_a_conflict():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls/7", pull())
        with pytest.raises(api.Conflict, match="no longer"):
            await provider.merge_change("Acme/Web", 7, sha=A)
        assert host.paths() == [f"GET {AT}/pulls/7"]
        for status in (405, 409):
            host.on("POST", f"{AT}/pulls/7/merge", Answer(status, {"message": "head out of date"}))
            with pytest.raises(api.Conflict, match="out of date"):
                await provider.merge_change("Acme/Web", 7, sha=B)


async def test_a_merge_stands_whatever_becomes_of_the_question_for_its_commit():
    async with asking() as (provider, host):
        host.on("GET", f"{AT}/pulls/7", pull(), Answer(404, {}))
        host.on("POST", f"{AT}/pulls/7/merge", Answer(200, b""))
        assert await provider.merge_change("Acme/Web", 7, sha=B) is None


# -- statuses


async def test_every_state_of_a_build_has_a_word():
    words = {}
    async with asking() as (provider, host):
        host.on("POST", f"{AT}/statuses/{A}", Answer(201, {}))
        for state in ("queued", "running", "succeeded", "failed", "errored", "cancelled"):
            status = api.CommitStatus(
                context="headgate/web", state=state, description="ok", url="https://ci.example/b/1"
            )
            await provider.report_status(HERE, A, status)
            words[state] = host.asked[-1].json().pop("state")
        assert host.asked[-1].json() | {"state": ""} == {
            "state": "",
            "context": "headgate/web",
            "description": "ok",
            "target_url": "https://ci.example/b/1",
        }
    assert list(words.values()) == ["pending", "pending", "success", "failure", "error", "error"]


async def test_a_status_is_not_waited_for():
    async with asking() as (provider, host):
        host.otherwise(Answer(429, {}, {"Retry-After": "7"}))
        with pytest.raises(api.RateLimited):
            await provider.report_status(HERE, A, api.CommitStatus(context="c", state="failed", description="d"))
        assert len(host.asked) == 1


# -- webhooks

HOOK = {
    "id": 5,
    "type": "gitea",
    "config": {"url": "https://ci.example/webhooks/acme", "content_type": "json"},
    "events": ["push", "delete"],
    "active": True,
}
OURS = api.Hook(id="5", url="https://ci.example/webhooks/acme", events=("push", "delete"), active=True)
WANTED = api.WantedHook(url="https://ci.example/webhooks/acme", secret=api.Secret("s3cret"))


@pytest.mark.parametrize("name", KINDS)
async def test_webhooks_are_listed_made_and_removed(name):
    async with asking(name) as (provider, host):
        other = {"id": 6, "type": "slack", "config": {}, "events": None, "active": False}
        host.on("GET", f"{AT}/hooks", *two_pages([HOOK], [other]))
        listed = await collected(provider.hooks("Acme/Web"))
        assert listed == [OURS, api.Hook(id="6", url="", active=False)]
        host.on("POST", f"{AT}/hooks", Answer(201, HOOK))
        assert await provider.create_hook("Acme/Web", WANTED) == OURS
        body = host.asked[-1].json()
        assert (body["type"], body["active"]) == (name, True)
        assert body["config"] == {"url": WANTED.url, "content_type": "json", "secret": "s3cret"}
        assert set(provider.hook_events()) <= set(body["events"])
        host.on("DELETE", f"{AT}/hooks/5", Answer(204, b""), Answer(404, {}))
        await provider.delete_hook("Acme/Web", "5")
        await provider.delete_hook("Acme/Web", "5")


@pytest.mark.parametrize("name", ["gitea", "forgejo"])
async def test_a_webhook_is_put_right_with_the_connections_own_secret(name):
    async with asking(name) as (provider, host):
        host.on("PATCH", f"{AT}/hooks/5", HOOK)
        wanted = api.WantedHook(url=WANTED.url, events=("push",))
        assert await provider.update_hook("Acme/Web", "5", wanted) == OURS
        config = {"url": WANTED.url, "content_type": "json", "secret": "hook secret"}
        assert host.asked[-1].json() == {"config": config, "events": ["push"], "active": True}


async def test_gogs_gets_a_new_webhook_because_it_keeps_the_old_secret():
    async with asking("gogs") as (provider, host):
        host.on("POST", f"{AT}/hooks", Answer(201, HOOK | {"id": 8}))
        host.on("DELETE", f"{AT}/hooks/5", Answer(204, b""))
        assert (await provider.update_hook("Acme/Web", "5", WANTED)).id == "8"
        assert host.paths() == [f"POST {AT}/hooks", f"DELETE {AT}/hooks/5"]


async def test_a_webhook_without_any_secret_is_not_made():
    def unsigned(url):
        return {"base_url": url, "accept_unsigned": api.ACCEPT_UNSIGNED}

    async with calling(KINDS["gitea"], unsigned) as (provider, host):
        with pytest.raises(api.CredentialError, match="needs a secret"):
            await provider.create_hook("acme/web", api.WantedHook(url=WANTED.url))
        assert host.asked == []


def test_every_event_of_a_webhook_is_one_that_is_read():
    """`Hook.events` has other words than the header of a delivery; what they come as is read, or it is not asked for."""
    header = {
        "pull_request_review_approved": "pull_request_approved",
        "pull_request_review_rejected": "pull_request_rejected",
        "pull_request_review_comment": "pull_request_comment",
    }
    for flavour in (gitea.GITEA, gitea.FORGEJO, gitea.GOGS):
        for event in (*flavour.hook_events, *flavour.newer_events):
            name = header.get(event, event)
            assert name in {*gitea.webhooks.EVENTS, "create", "delete"}


# -- against Gitea's own description

BASE = "/tea/api/v1"

# what the description of 1.15 lacks (a part of the matcher's words) -> why it is asked all the same
NEWER = {
    r"^GET /repos/\{owner\}/\{repo\}/commits: no parameter (stat|verification|files)$": "saves newer servers work; "
    "1.15 passes it over",
    r"^GET \S+/actions/runs(/\d+/jobs)? is not described$": "1.15 has no Actions",
    r"^GET \S+/collaborators/\w+/permission is not described$": "1.15 does not tell rights, and the role stays unknown",
    r"^GET \S+/compare/\S+ is not described$": "since 1.22; before it the mirror compares",
    r"^GET \S+/pulls/7/files is not described$": "1.15 does not list them",
    r"^POST \S+/contents is not described$": "since 1.20; before it no request makes one commit of several files",
    r"branches: body: no key old_ref_name$": "1.15 knows names of branches only; what it makes elsewhere is removed again",
    r"merge: body: no key head_commit_id$": "a guard of newer servers; for 1.15 the head is compared before",
    r"hooks: body.type: '(forgejo)' is none of": "Forgejo's webhooks have a type of their own",
}


def stories():
    """The tests of this file that ask, each with every set of its parameters."""
    for name, story in list(globals().items()):
        if not name.startswith("test_") or not inspect.iscoroutinefunction(story) or name.endswith("_describes"):
            continue
        choices = []
        for mark in (one for one in getattr(story, "pytestmark", ()) if one.name == "parametrize"):
            names, values = mark.args
            names = names.split(",") if isinstance(names, str) else names
            several = [value if len(names) > 1 else (value,) for value in values]
            choices.append([dict(zip((one.strip() for one in names), value, strict=True)) for value in several])
        for chosen in itertools.product(*choices):
            yield story, {key: value for one in chosen for key, value in one.items()}


@pytest.mark.corpus
async def test_every_request_is_one_that_gitea_describes():
    from description import description

    known = description("gitea-1.15.11.swagger.json", base=BASE, several=frozenset({"filepath", "ref"}))
    ASKED.clear()
    for story, parameters in stories():
        await story(**parameters)
    unexplained, used, operations = set(), set(), set()
    for one in ASKED:
        found = known.operation(one.method, one.path)
        operations.add((one.method, found[0] if found else one.path))
        for problem in known.problems(one.method, one.path, one.query, one.json() if one.body else None):
            rows = {row for row in NEWER if re.search(row, problem)}
            used |= rows
            unexplained |= set() if rows else {problem}
    assert not unexplained, "\n".join(sorted(unexplained))
    assert used == set(NEWER), f"described by now: {set(NEWER) - used}"
    assert len(operations) > 30


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/repos/acme/web/twigs", {}, None),
        ("PUT", "/repos/acme/web/branches", {}, None),
        ("GET", "/repos/acme/web/branches", {"per_page": "3"}, None),
        ("POST", "/repos/acme/web/pulls/7/merge", {}, {"do": "merge"}),
        ("POST", "/repos/acme/web/pulls/7/merge", {}, {"Do": "smash"}),
        ("POST", "/repos/acme/web/hooks", {}, {"type": "gitea", "config": {}, "active": "yes"}),
    ],
)
def test_control_a_request_that_gitea_does_not_describe_is_noticed(method, path, query, body):
    from description import description

    assert description("gitea-1.15.11.swagger.json", base=BASE).problems(method, BASE + path, query, body)
