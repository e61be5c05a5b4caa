"""What GitHub is asked and what its answers mean, against a host on loopback that answers as GitHub documents it.

The stories take no argument, so that the last test can tell them all again and compare each request with GitHub's own
description of its API.
"""

from __future__ import annotations

import base64
import contextlib
import inspect
from datetime import UTC, datetime

import pytest

from headgate import api
from headgate.api.testing import Answer, CallsContract, calling
from headgate_plugins import github

KIND = next(iter(github.headgate_providers()))
ROOT = "/api/v3"
REPO = f"{ROOT}/repos/acme/web"
SHA, NEXT, THIRD = "a1" * 20, "b2" * 20, "c3" * 20
TREE, BLOB, OTHER_BLOB = "d4" * 20, "e5" * 20, "f6" * 20
TOLD = []
"""Every request of every story."""


class TestContract(CallsContract):
    kind = KIND


def options(url):
    return TestContract().options(url)


@contextlib.asynccontextmanager
async def asked(**settings):
    """An open connection and its host; what was asked is remembered for the description."""
    async with calling(KIND, settings.pop("options", options), **settings) as (provider, host):
        yield provider, host
        TOLD.extend(host.asked)


def paged(host, path, *pages, **answer):
    """A listing on several pages, linked as GitHub does it."""

    def give(request):
        number = int(request.query.get("page", "1"))
        link = f'<{host.url}{path}?per_page=100&page={number + 1}>; rel="next"'
        return Answer(200, pages[number - 1], {"Link": link} if number < len(pages) else {}, **answer)

    host.on("GET", path, give)


async def all_of(iterator):
    return [one async for one in iterator]


def repo(name="acme/web", **changes):
    url = f"https://github.example/{name}"
    return {"id": 7, "full_name": name, "html_url": url, "default_branch": "main", "private": False, **changes}


def pull(number=7, **changes):
    return {
        "number": number,
        "title": "Add a thing",
        "state": "open",
        "user": {"login": "ada"},
        "body": None,
        "draft": False,
        "labels": [{"name": "big"}],
        "head": {"ref": "thing", "sha": SHA, "repo": repo("bob/web")},
        "base": {"ref": "main", "sha": NEXT, "repo": repo()},
        "html_url": f"https://github.example/acme/web/pull/{number}",
        **changes,
    }


WEB = api.Repository(host="github.example", path="acme/web")

# -- repositories


async def test_a_repository():
    async with asked() as (provider, host):
        host.on("GET", REPO, repo(visibility="internal", archived=True, fork=False, description="All of it"))
        found = await provider.repository("https://github.example/acme/web.git")
    assert found == api.HostedRepository(
        repository=WEB,
        id="7",
        default_branch="main",
        description="All of it",
        visibility="internal",
        archived=True,
        fork=False,
        url="https://github.example/acme/web",
    )


async def test_of_an_older_server_only_private_or_public():
    async with asked() as (provider, host):
        host.on("GET", REPO, repo(private=True), repo(private=False), {"full_name": "acme/web"})
        found = [await provider.repository("acme/web") for _ in range(3)]
    assert [one.visibility for one in found] == ["private", "public", None]
    assert found[2].repository.host == "127.0.0.1"


async def test_branches_on_two_pages():
    async with asked() as (provider, host):
        first = {"name": "main", "commit": {"sha": SHA}, "protected": True}
        paged(host, f"{REPO}/branches", [first], [{"name": "a/b", "commit": {"sha": NEXT}}])
        found = await all_of(provider.branches("acme/web"))
    assert found == [api.Branch(name="main", sha=SHA, protected=True), api.Branch(name="a/b", sha=NEXT)]
    assert host.asked[0].query == {"per_page": "100"}
    assert len(host.asked) == 2


async def test_tags():
    async with asked() as (provider, host):
        paged(host, f"{REPO}/tags", [{"name": "v1", "commit": {"sha": SHA}}], [{"name": "v0", "commit": {"sha": NEXT}}])
        assert await all_of(provider.tags("acme/web")) == [
            api.HostedTag(name="v1", sha=SHA),
            api.HostedTag(name="v0", sha=NEXT),
        ]


async def test_a_ref_is_followed_through_annotated_tags_to_its_commit():
    async with asked() as (provider, host):
        host.on("GET", f"{REPO}/git/ref/heads/a/b", {"object": {"type": "commit", "sha": SHA}})
        host.on("GET", f"{REPO}/git/ref/tags/v1", {"object": {"type": "tag", "sha": NEXT}})
        host.on("GET", f"{REPO}/git/tags/{NEXT}", {"object": {"type": "tag", "sha": THIRD}})
        host.on("GET", f"{REPO}/git/tags/{THIRD}", {"object": {"type": "commit", "sha": SHA}})
        assert await provider.ref("acme/web", "refs/heads/a/b") == SHA
        assert await provider.ref("acme/web", "refs/tags/v1") == SHA


async def test_a_ref_that_is_none_or_leads_to_no_commit_is_not_found():
    async with asked() as (provider, host):
        host.on("GET", f"{REPO}/git/ref/tags/tree", {"object": {"type": "tree", "sha": TREE}})
        for ref in ("refs/tags/tree", "main", "refs/heads/none", "refs/heads/../../../user"):
            with pytest.raises(api.NotFound):
                await provider.ref("acme/web", ref)
        assert host.paths() == [f"GET {REPO}/git/ref/tags/tree", f"GET {REPO}/git/ref/heads/none"]


def commit(sha, message="Well"):
    author = {"name": "Ada", "email": "ada@example.org", "date": "2026-01-05T12:00:00Z"}
    return {"sha": sha, "commit": {"message": message, "author": author}, "html_url": "https://github.example/c"}


ADA = api.Person(name="Ada", email="ada@example.org")


async def test_commits_of_a_branch():
    async with asked() as (provider, host):
        paged(host, f"{REPO}/commits", [commit(SHA)], [{"sha": NEXT, "commit": {"message": "m", "author": None}}])
        found = await all_of(provider.commits("acme/web", "a/b"))
    assert found[0] == api.Commit(id=SHA, message="Well", author=ADA, url="https://github.example/c")
    assert (found[1].author, found[1].paths) == (api.Person(), None)
    assert host.asked[0].query == {"sha": "a/b", "per_page": "100"}


async def test_a_comparison_has_all_pages_of_commits_and_says_what_is_cut():
    async with asked() as (provider, host):
        files = [
            {"filename": "a", "status": "modified"},
            {"filename": "new", "status": "renamed", "previous_filename": "old"},
            {"filename": "mode", "status": "changed"},
        ]
        whole = {"commits": [commit(SHA)], "total_commits": 2, "files": files}
        host.on(
            "GET",
            f"{REPO}/compare/main...a%2Fb",
            lambda request: Answer(
                body=whole if request.query["page"] == "1" else {**whole, "commits": [commit(NEXT)]}
            ),
        )
        found = await provider.compare("acme/web", "main", "a/b")
        assert [one.id for one in found.commits] == [SHA, NEXT]
        assert found.complete
        assert found.files[1] == api.ChangedFile(path="new", status="renamed", previous_path="old")
        assert found.files[2].status == "modified"
        host.on("GET", f"{REPO}/compare/main...a%2Fb", {**whole, "total_commits": 1, "files": files[:1] * 300})
        assert not (await provider.compare("acme/web", "main", "a/b")).complete
        host.on("GET", f"{REPO}/compare/main...a%2Fb", {**whole, "total_commits": 9_999})
        assert not (await provider.compare("acme/web", "main", "a/b")).complete
    assert len(host.asked) == 2 + 1 + 20


def push(**changes):
    return api.Push(**{"repository": WEB, "ref": "refs/heads/main", "before": SHA, "after": NEXT, **changes})


async def test_changed_paths_are_those_of_a_branch_that_moved_forward():
    async with asked() as (provider, host):
        files = [
            {"filename": "new", "status": "renamed", "previous_filename": "old"},
            {"filename": "b", "status": "removed"},
            {"filename": "copy", "status": "copied", "previous_filename": "origin"},
        ]
        place = f"{REPO}/compare/{SHA}...{NEXT}"
        host.on("GET", place, {"merge_base_commit": {"sha": SHA}, "files": files, "commits": [], "total_commits": 3})
        assert await provider.changed_paths(push()) == ("b", "copy", "new", "old")
        host.on("GET", place, {"merge_base_commit": {"sha": THIRD}, "files": files})
        with pytest.raises(api.ProviderError, match="no ancestor"):
            await provider.changed_paths(push())
        host.on("GET", place, {"merge_base_commit": {"sha": SHA}, "files": files[:1] * 300})
        with pytest.raises(api.ProviderError, match="300"):
            await provider.changed_paths(push())


@pytest.mark.parametrize("changes", [{"before": None}, {"after": None}, {"forced": True}])
async def test_other_pushes_are_not_compared_at_all(changes):
    async with asked() as (provider, host):
        with pytest.raises(api.ProviderError, match="moved forward"):
            await provider.changed_paths(push(**changes))
        assert not host.asked


# -- changes


async def test_changes_by_state():
    async with asked() as (provider, host):
        closed, merged = (
            pull(8, state="closed", merged_at=None),
            pull(9, state="closed", merged_at="2026-01-05T12:00:00Z"),
        )
        host.on(
            "GET",
            f"{REPO}/pulls",
            lambda request: Answer(body={"open": [pull()], "closed": [closed, merged], "all": [pull(), closed, merged]}[
                request.query["state"]
            ]),
        )  # fmt: skip
        found = {
            state: [(one.number, one.state) for one in await all_of(provider.changes("acme/web", state))]
            for state in ("open", "closed", "merged", None)
        }
    assert found == {
        "open": [(7, "open")],
        "closed": [(8, "closed")],
        "merged": [(9, "merged")],
        None: [(7, "open"), (8, "closed"), (9, "merged")],
    }


async def test_a_change_with_its_reviews():
    async with asked() as (provider, host):
        host.on("GET", f"{REPO}/pulls/7", pull(mergeable=True, merged=False, merge_commit_sha=THIRD))
        approved = {"state": "APPROVED", "user": {"login": "bob"}, "body": "", "commit_id": SHA}
        other = {"state": "CHANGES_REQUESTED", "user": None, "body": "no", "commit_id": None}
        paged(host, f"{REPO}/pulls/7/reviews", [approved], [other])
        found = await provider.change("acme/web", 7)
    assert found == api.HostedChange(
        repository=WEB,
        number=7,
        title="Add a thing",
        state="open",
        source=api.ChangeSource(
            repository=api.Repository(host="github.example", path="bob/web"), branch="thing", sha=SHA
        ),
        target=api.ChangeTarget(branch="main", sha=NEXT),
        author="ada",
        labels=("big",),
        reviews=(
            api.Review(author="bob", state="approved", sha=SHA),
            api.Review(author="ghost", state="rejected", body="no"),
        ),
        mergeable=True,
        head_ref="refs/pull/7/head",
        revision=SHA,
        url="https://github.example/acme/web/pull/7",
    )


async def test_a_merged_change_of_a_deleted_fork():
    async with asked() as (provider, host):
        head = {"ref": "thing", "sha": SHA, "repo": None}
        merged = pull(state="closed", merged=True, merge_commit_sha=THIRD, head=head, user=None)
        host.on("GET", f"{REPO}/pulls/7", merged)
        host.on("GET", f"{REPO}/pulls/7/reviews", [])
        found = await provider.change("acme/web", 7)
    assert (found.state, found.merge_sha, found.source.repository, found.author) == ("merged", THIRD, None, "ghost")


async def test_changed_files_on_two_pages():
    async with asked() as (provider, host):
        paged(
            host, f"{REPO}/pulls/7/files", [{"filename": "a", "status": "added"}], [{"filename": "b", "status": "odd"}]
        )
        found = await all_of(provider.changed_files("acme/web", 7))
    assert [(one.path, one.status) for one in found] == [("a", "added"), ("b", "modified")]


async def test_a_list_of_files_that_ends_at_githubs_limit_is_not_taken_for_all():
    async with asked() as (provider, host):
        page = [{"filename": "a", "status": "added"}] * 1000
        paged(host, f"{REPO}/pulls/7/files", page, page, page)
        with pytest.raises(api.ProviderError, match="3000"):
            await all_of(provider.changed_files("acme/web", 7))
        paged(host, f"{REPO}/pulls/7/files", page, page, page[1:])
        assert len(await all_of(provider.changed_files("acme/web", 7))) == 2999


# -- people and issues


async def test_members_have_one_of_three_roles():
    async with asked() as (provider, host):
        rights = ("pull", "triage", "push", "maintain", "admin")
        people = [
            {"login": top, "permissions": {right: rights.index(right) <= rights.index(top) for right in rights}}
            for top in rights
        ]
        paged(host, f"{REPO}/collaborators", people[:3], [*people[3:], {"login": "unknown"}])
        found = await all_of(provider.members("acme/web"))
    assert [(one.account, one.role) for one in found] == [
        ("pull", "read"),
        ("triage", "read"),
        ("push", "write"),
        ("maintain", "write"),
        ("admin", "admin"),
        ("unknown", None),
    ]


async def test_contributors_with_and_without_an_account_and_of_an_empty_repository():
    async with asked() as (provider, host):
        anonymous = {"type": "Anonymous", "name": "Bob", "email": "bob@example.org", "contributions": 2}
        place = f"{REPO}/contributors"
        paged(host, place, [{"login": "ada", "contributions": 9, "type": "User"}], [anonymous])
        assert await all_of(provider.contributors("acme/web")) == [
            api.Contributor(account="ada", commits=9),
            api.Contributor(name="Bob", email="bob@example.org", commits=2),
        ]
        host.on("GET", place, Answer(204, b""))
        assert await all_of(provider.contributors("acme/web")) == []


async def test_pull_requests_are_no_issues():
    async with asked() as (provider, host):
        issue = {
            "number": 1,
            "title": "It broke",
            "state": "open",
            "user": {"login": "ada"},
            "labels": [{"name": "bug"}],
        }
        mixed = [issue, {**issue, "number": 2, "pull_request": {"url": "…"}}]
        paged(host, f"{REPO}/issues", mixed, [{**issue, "number": 3, "state": "closed", "labels": ["old"]}])
        found = await all_of(provider.issues("acme/web", None))
        assert await all_of(provider.issues("acme/web"))
    assert [(one.number, one.state, one.labels) for one in found] == [(1, "open", ("bug",)), (3, "closed", ("old",))]
    assert [one.query["state"] for one in host.asked[::2]] == ["all", "open"]


# -- discovery


async def found_by(provider, **query):
    return [one.repository.path for one in await all_of(provider.discover(api.RepositoryQuery(**query)))]


async def test_an_organisations_repositories_narrowed():
    async with asked() as (provider, host):
        listed = [repo("acme/web"), repo("acme/Web-Old", archived=True), repo("acme/api", private=True), None]
        paged(host, f"{ROOT}/orgs/acme/repos", listed, [repo("acme/docs")])
        assert await found_by(provider, owner="acme") == ["acme/web", "acme/Web-Old", "acme/api", "acme/docs"]
        assert await found_by(provider, owner="acme", search="WEB") == ["acme/web", "acme/Web-Old"]
        assert await found_by(provider, owner="acme", archived=False, visibility="public") == ["acme/web", "acme/docs"]
        assert await found_by(provider, owner="acme", visibility="private") == ["acme/api"]


async def test_a_users_repositories_with_the_private_ones_that_only_the_own_listing_has():
    async with asked() as (provider, host):
        paged(host, f"{ROOT}/user/repos", [repo("ada/secret", private=True), repo("acme/web")], [repo("ada/web")])
        host.on("GET", f"{ROOT}/users/ada/repos", [repo("ada/web"), repo("Ada/lib")])
        assert await found_by(provider, owner="ada") == ["ada/secret", "ada/web", "Ada/lib"]
        assert await found_by(provider) == ["ada/secret", "acme/web", "ada/web"]


async def test_without_a_credential_only_an_owners_public_ones_are_listed():
    def without(url):
        return {key: value for key, value in options(url).items() if key != "credential"}

    async with asked(options=without) as (provider, host):
        host.on("GET", f"{ROOT}/users/ada/repos", [repo("ada/web")])
        assert await found_by(provider, owner="ada") == ["ada/web"]
        with pytest.raises(api.Refused, match="name an owner"):
            await found_by(provider)
        with pytest.raises(api.NotFound):
            await found_by(provider, owner="../user")
        assert [one.path for one in host.asked] == [f"{ROOT}/orgs/ada/repos", f"{ROOT}/users/ada/repos"]


# -- CI runs and files


async def test_workflow_runs_and_their_jobs():
    async with asked() as (provider, host):
        run = {
            "id": 5, "name": "Build", "status": "completed", "conclusion": "success", "head_sha": SHA,
            "head_branch": "main", "run_started_at": "2026-01-05T12:00:00Z", "html_url": "https://github.example/r/5",
        }  # fmt: skip
        listed = [{"total_count": 2, "workflow_runs": [one]} for one in (run, {"id": 6, "status": "in_progress"})]
        paged(host, f"{REPO}/actions/runs", *listed)
        found = await all_of(provider.ci_runs("acme/web", sha=SHA, branch="main"))
        job = {"id": 50, "name": "test", "status": "completed", "conclusion": "timed_out"}
        host.on("GET", f"{REPO}/actions/runs/5/jobs", {"total_count": 2, "jobs": [job, {**job, "conclusion": "new"}]})
        jobs = await all_of(provider.ci_jobs("acme/web", "5"))
        with pytest.raises(api.NotFound, match="workflow run"):
            await all_of(provider.ci_jobs("acme/web", "5/../6"))
    assert found[0] == api.CiRun(
        id="5", name="Build", state="succeeded", sha=SHA, branch="main",
        started_at=datetime(2026, 1, 5, 12, tzinfo=UTC), url="https://github.example/r/5",
    )  # fmt: skip
    assert (found[1].state, host.asked[0].query["head_sha"], host.asked[0].query["branch"]) == ("running", SHA, "main")
    assert [(one.id, one.state) for one in jobs] == [("50", "failed"), ("50", "unknown")]


async def test_a_file_is_read_with_its_revision():
    async with asked() as (provider, host):
        text = base64.encodebytes(b"x" * 100).decode()
        host.on(
            "GET",
            f"{REPO}/contents/docs/a%20b.md",
            {"type": "file", "sha": BLOB, "encoding": "base64", "content": text},
        )
        found = await provider.read_file("acme/web", "docs/a b.md", "a/b")
    assert found == api.FileContent(path="docs/a b.md", content=b"x" * 100, revision=BLOB)
    assert host.asked[0].query == {"ref": "a/b"}


async def test_a_large_file_is_read_from_its_blob():
    async with asked() as (provider, host):
        host.on("GET", f"{REPO}/contents/big", {"type": "file", "sha": BLOB, "encoding": "none", "content": ""})
        host.on("GET", f"{REPO}/git/blobs/{BLOB}", Answer(200, b"\0\xff" * 9))
        assert (await provider.read_file("acme/web", "big", "main")).content == b"\0\xff" * 9
    assert host.asked[1].headers["Accept"] == "application/vnd.github.raw+json"


async def test_what_is_no_file_is_a_conflict():
    async with asked() as (provider, host):
        host.on("GET", f"{REPO}/contents/docs", [{"type": "file", "sha": BLOB}])
        host.on("GET", f"{REPO}/contents/lib", {"type": "submodule", "sha": SHA})
        with pytest.raises(api.Conflict, match="a folder"):
            await provider.read_file("acme/web", "docs", "main")
        with pytest.raises(api.Conflict, match="a submodule"):
            await provider.read_file("acme/web", "lib", "main")
        with pytest.raises(api.NotFound):
            await provider.read_file("acme/web", "../../../user", "main")


# -- writing files and branches


def writable(host):
    """A repository with `README` and an executable `bin/run`, whose branch `main` is at `SHA`."""
    host.on("GET", f"{REPO}/git/ref/heads/main", {"object": {"type": "commit", "sha": SHA}})
    host.on("GET", f"{REPO}/git/commits/{SHA}", {"sha": SHA, "tree": {"sha": TREE}})
    readme = {"path": "README", "mode": "100644", "type": "blob", "sha": BLOB}
    link = {"path": "link", "mode": "120000", "type": "blob", "sha": BLOB}
    folder = {"path": "bin", "mode": "040000", "type": "tree", "sha": THIRD}
    host.on("GET", f"{REPO}/git/trees/{TREE}", {"sha": TREE, "tree": [readme, folder, link], "truncated": False})
    script = {"path": "run", "mode": "100755", "type": "blob", "sha": OTHER_BLOB}
    host.on("GET", f"{REPO}/git/trees/{THIRD}", {"sha": THIRD, "tree": [script], "truncated": False})
    host.on("POST", f"{REPO}/git/blobs", Answer(201, {"sha": "0a" * 20}), Answer(201, {"sha": "0b" * 20}))
    host.on("POST", f"{REPO}/git/trees", Answer(201, {"sha": "0c" * 20, "tree": []}))
    host.on("POST", f"{REPO}/git/commits", Answer(201, {"sha": NEXT, "tree": {"sha": "0c" * 20}}))
    host.on("PATCH", f"{REPO}/git/refs/heads/main", {"ref": "refs/heads/main", "object": {"sha": NEXT}})


def changing(*changes, head=None):
    return api.FileCommit(branch="main", message="Change it", changes=changes, head=head)


async def test_several_files_are_one_commit_on_the_head_that_was_read():
    async with asked() as (provider, host):
        writable(host)
        made = await provider.commit_files(
            "acme/web",
            changing(
                api.FileChange(path="bin/run", content=b"#!/bin/sh\n", revision=OTHER_BLOB),
                api.FileChange(path="docs/new.md", content=b"\xff"),
                api.FileChange(path="README", content=None, revision=BLOB),
                head=SHA,
            ),
        )
    assert made == NEXT
    sent = {(one.method, one.path.removeprefix(REPO)): one.json() for one in host.asked if one.method != "GET"}
    assert [one.json()["content"] for one in host.asked if one.path == f"{REPO}/git/blobs"] == [
        "IyEvYmluL3NoCg==",
        "/w==",
    ]
    assert sent["POST", "/git/trees"] == {
        "base_tree": TREE,
        "tree": [
            {"path": "bin/run", "mode": "100755", "type": "blob", "sha": "0a" * 20},
            {"path": "docs/new.md", "mode": "100644", "type": "blob", "sha": "0b" * 20},
            {"path": "README", "mode": "100644", "type": "blob", "sha": None},
        ],
    }
    assert sent["POST", "/git/commits"] == {"message": "Change it", "tree": "0c" * 20, "parents": [SHA]}
    assert sent["PATCH", "/git/refs/heads/main"] == {"sha": NEXT, "force": False}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([api.FileChange(path="README", content=b"x")], "is there already"),
        ([api.FileChange(path="README", content=b"x", revision=OTHER_BLOB)], "is e5e5e5e5e5 by now, and not f6f6"),
        ([api.FileChange(path="gone", content=b"x", revision=BLOB)], "not there any more"),
        ([api.FileChange(path="gone", content=None)], "not there any more"),
        ([api.FileChange(path="no/such/folder", content=None, revision=BLOB)], "not there any more"),
        ([api.FileChange(path="bin", content=b"x", revision=THIRD)], "a folder"),
        ([api.FileChange(path="README/below", content=b"x")], "below README"),
        ([api.FileChange(path="link", content=b"x", revision=BLOB)], "symbolic link"),
        ([api.FileChange(path="../etc/passwd", content=b"x")], "no path"),
        ([api.FileChange(path=".GIT/config", content=b"x")], "no path"),
        ([api.FileChange(path="a", content=b"x"), api.FileChange(path="a", content=b"y")], "twice"),
        ([], "without changes"),
    ],
)
async def test_a_guard_that_does_not_hold_writes_nothing(changes, why):
    async with asked() as (provider, host):
        writable(host)
        with pytest.raises(api.Conflict, match=why):
            await provider.commit_files("acme/web", changing(*changes))
    assert not [one for one in host.asked if one.method != "GET"]


async def test_a_branch_that_moved_is_a_conflict_before_and_at_the_end():
    async with asked() as (provider, host):
        writable(host)
        change = api.FileChange(path="new", content=b"x")
        with pytest.raises(api.Conflict, match="by now"):
            await provider.commit_files("acme/web", changing(change, head=NEXT))
        assert not [one for one in host.asked if one.method != "GET"]
        host.on("PATCH", f"{REPO}/git/refs/heads/main", Answer(422, {"message": "Update is not a fast forward"}))
        with pytest.raises(api.Conflict, match="fast forward"):
            await provider.commit_files("acme/web", changing(change))


async def test_a_folder_that_github_cuts_short_is_not_believed():
    async with asked() as (provider, host):
        writable(host)
        host.on("GET", f"{REPO}/git/trees/{TREE}", {"sha": TREE, "tree": [], "truncated": True})
        with pytest.raises(api.ProviderError, match="more files"):
            await provider.commit_files("acme/web", changing(api.FileChange(path="new", content=b"x")))


async def test_moving_the_branch_is_not_tried_twice():
    async with asked() as (provider, host):
        writable(host)
        host.on("PATCH", f"{REPO}/git/refs/heads/main", Answer(503, {}))
        with pytest.raises(api.Unavailable):
            await provider.commit_files("acme/web", changing(api.FileChange(path="new", content=b"x")))
    assert len([one for one in host.asked if one.method == "PATCH"]) == 1


async def test_a_branch_is_made_once():
    async with asked() as (provider, host):
        host.on("POST", f"{REPO}/git/refs", Answer(201, {}), Answer(422, {"message": "Reference already exists"}))
        await provider.create_branch("acme/web", "a/b", SHA)
        with pytest.raises(api.Conflict, match="already exists"):
            await provider.create_branch("acme/web", "a/b", SHA)
    assert host.asked[0].json() == {"ref": "refs/heads/a/b", "sha": SHA}


# -- writing changes


async def test_a_change_is_opened_and_merged_at_the_sha_that_was_seen():
    async with asked() as (provider, host):
        host.on("POST", f"{REPO}/pulls", Answer(201, pull()))
        new = api.NewChange(title="Add a thing", source="thing", target="main", body="why", draft=True)
        opened = await provider.open_change("acme/web", new)
        host.on("PUT", f"{REPO}/pulls/7/merge", {"sha": THIRD, "merged": True, "message": "done"})
        assert await provider.merge_change("acme/web", opened.number, sha=opened.revision, method="squash") == THIRD
    assert [one.json() for one in host.asked] == [
        {"title": "Add a thing", "head": "thing", "base": "main", "body": "why", "draft": True},
        {"sha": SHA, "merge_method": "squash"},
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(409, {"message": "Head branch was modified"}),
        Answer(405, {"message": "Pull Request is not mergeable"}),
        Answer(422, {"message": "Validation Failed"}),
        Answer(200, {"merged": False, "message": "not now"}),
    ],
)
async def test_what_cannot_be_merged_is_a_conflict(answer):
    async with asked() as (provider, host):
        host.on("PUT", f"{REPO}/pulls/7/merge", answer)
        with pytest.raises(api.Conflict):
            await provider.merge_change("acme/web", 7, sha=SHA)


async def test_a_change_that_exists_is_a_conflict_and_a_merge_is_not_tried_twice():
    async with asked() as (provider, host):
        errors = [{"message": "A pull request already exists for acme:thing."}]
        host.on("POST", f"{REPO}/pulls", Answer(422, {"message": "Validation Failed", "errors": errors}))
        with pytest.raises(api.Conflict, match="already exists"):
            await provider.open_change("acme/web", api.NewChange(title="t", source="thing", target="main"))
        host.on("PUT", f"{REPO}/pulls/7/merge", Answer(503, {}))
        with pytest.raises(api.Unavailable):
            await provider.merge_change("acme/web", 7, sha=SHA)
    assert len(host.asked) == 2


# -- webhooks


def hook(**changes):
    config = {
        "url": "https://ci.example/webhooks/acme",
        "content_type": "json",
        "secret": "********",
        "insecure_ssl": "0",
    }
    answered = {"code": 202, "status": "active", "message": "OK"}
    return {
        "id": 3, "name": "web", "active": True, "events": ["push"], "config": config, "last_response": answered, **changes
    }  # fmt: skip


async def test_hooks_are_listed_with_what_their_host_tells():
    async with asked() as (provider, host):
        quiet = {"code": None, "status": "unused", "message": None}
        bare = hook(id=4, config={"url": "https://ci.example/x", "insecure_ssl": 1}, last_response=quiet)
        failed = hook(id=5, active=False, last_response={"code": 502, "status": "x", "message": "y"})
        paged(host, f"{REPO}/hooks", [hook(), bare], [failed, hook(id=6, name="email")])
        found = await all_of(provider.hooks("acme/web"))
    assert found[0] == api.Hook(
        id="3",
        url="https://ci.example/webhooks/acme",
        events=("push",),
        has_secret=True,
        verifies_tls=True,
        healthy=True,
    )
    assert [(one.id, one.has_secret, one.verifies_tls, one.healthy, one.active) for one in found[1:]] == [
        ("4", False, False, None, True),
        ("5", True, True, False, False),
    ]


async def test_a_hook_is_made_and_put_right_with_its_secret():
    async with asked() as (provider, host):
        host.on("POST", f"{REPO}/hooks", Answer(201, hook()))
        host.on("PATCH", f"{REPO}/hooks/3", hook())
        url = "https://ci.example/webhooks/acme"
        await provider.create_hook("acme/web", api.WantedHook(url=url, secret=api.Secret("s3same")))
        await provider.update_hook("acme/web", "3", api.WantedHook(url=url, events=("push",)))
    config = {"url": url, "content_type": "json", "insecure_ssl": "0"}
    assert host.asked[0].json() == {
        "name": "web", "active": True, "events": list(provider.hook_events()), "config": {**config, "secret": "s3same"}
    }  # fmt: skip
    assert host.asked[1].json() == {"active": True, "events": ["push"], "config": {**config, "secret": "hook secret"}}


def test_every_event_that_is_read_can_be_ordered_but_ping():
    events = github.connection.GitHub.hook_events(None)
    assert "push" in events
    assert "ping" not in events
    assert set(events) == set(github.webhooks.EVENTS) - {"ping"}


async def test_without_a_secret_no_hook_is_made():
    def unsealed(url):
        return {
            **{k: v for k, v in options(url).items() if k != "webhook_secrets"},
            "accept_unsigned": api.ACCEPT_UNSIGNED,
        }

    async with asked(options=unsealed) as (provider, host):
        with pytest.raises(api.CredentialError, match="needs a secret"):
            await provider.create_hook("acme/web", api.WantedHook(url="https://ci.example/x"))
        assert not host.asked


async def test_a_hook_that_is_gone_already_is_gone_but_not_in_a_repository_that_is_not_there():
    async with asked() as (provider, host):
        host.on("DELETE", f"{REPO}/hooks/3", Answer(204, b""))
        await provider.delete_hook("acme/web", "3")
        host.on("GET", REPO, repo())
        await provider.delete_hook("acme/web", "4")
        with pytest.raises(api.NotFound):
            await provider.delete_hook("acme/none", "4")


async def test_deliveries_by_cursor_and_one_of_them_again():
    async with asked() as (provider, host):
        place = f"{REPO}/hooks/3/deliveries"
        sent = {
            "id": 12, "guid": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "delivered_at": "2026-01-05T12:00:00Z",
            "redelivery": False, "status_code": 202, "event": "push", "action": None,
        }  # fmt: skip

        def give(request):
            if "cursor" in request.query:
                return Answer(body=[{**sent, "id": 11, "status_code": 0, "redelivery": True}])
            return Answer(200, [sent], {"Link": f'<{host.url}{place}?per_page=100&cursor=v1_11>; rel="next"'})

        host.on("GET", place, give)
        found = await all_of(provider.hook_deliveries("acme/web", "3"))
        host.on("POST", f"{place}/11/attempts", Answer(202, {}))
        await provider.redeliver("acme/web", "3", "11")
        with pytest.raises(api.NotFound):
            await provider.redeliver("acme/web", "3", "../11")
    assert found[0] == api.HookDelivery(
        id="12",
        key="72d3162e-cc78-11e3-81ab-4c9367dc0958",
        event="push",
        at=datetime(2026, 1, 5, 12, tzinfo=UTC),
        status=202,
    )
    assert (found[1].id, found[1].status, found[1].redelivery) == ("11", None, True)


# -- the host


async def test_addresses_of_senders():
    async with asked() as (provider, host):
        host.on("GET", f"{ROOT}/meta", {"hooks": ["203.0.113.0/24", "2001:db8::/32"], "web": ["198.51.100.0/24"]}, {})
        assert await provider.sender_addresses() == ("2001:db8::/32", "203.0.113.0/24")
        with pytest.raises(api.ProviderError, match="does not say"):
            await provider.sender_addresses()


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("2026-02-01 09:30:00 UTC", datetime(2026, 2, 1, 9, 30, tzinfo=UTC)),
        ("2026-02-01 09:30:00 +0100", datetime(2026, 2, 1, 8, 30, tzinfo=UTC)),
        ("soon", None),
    ],
)
async def test_the_test_says_when_the_token_ends(text, ends):
    async with asked() as (provider, host):
        header = {"github-authentication-token-expiration": text}
        host.on("GET", f"{ROOT}/user", Answer(200, {"login": "ada"}, header))
        found = await provider.test_connection()
    assert (found.user, found.expires_at) == ("ada", ends)
    assert ("soon" in found.message) is (ends is None)


async def test_a_status():
    async with asked() as (provider, host):
        host.on("POST", f"{REPO}/statuses/{SHA}", Answer(201, {}))
        status = api.CommitStatus(
            context="headgate/web", state="running", description="it runs", url="https://ci.example/1"
        )
        await provider.report_status(WEB, SHA, status)
    assert host.asked[0].json()["state"] == "pending"


async def test_only_an_app_reports_checks():
    async with asked() as (provider, host):
        with pytest.raises(api.Refused, match="only a GitHub App") as caught:
            await provider.report_check(WEB, SHA, api.CheckReport(name="web", state="queued", external_id="b_1"))
        assert caught.value.missing == ("checks:write",)
        assert not host.asked


STORIES = [
    story
    for name, story in list(globals().items())
    if name.startswith("test_") and inspect.iscoroutinefunction(story) and not inspect.signature(story).parameters
]


@pytest.mark.corpus
async def test_every_request_is_one_that_github_describes():
    from description import description

    known = description("github-api.github.com.json.gz", base=ROOT)
    TOLD.clear()
    for story in STORIES:
        await story()
    problems, operations = set(), set()
    for one in TOLD:
        body = one.json() if one.body else None
        problems |= set(known.problems(one.method, one.path, one.query, body))
        operations.add((one.method, (known.operation(one.method, one.path) or ("",))[0]))
    assert not problems, "\n".join(sorted(problems))
    assert len(operations) > 35


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/repos/acme/web/branchez", {}, None),
        ("DELETE", "/repos/acme/web/branches", {}, None),
        ("GET", "/repos/acme/web/branches", {"limit": "3"}, None),
        ("POST", "/repos/acme/web/git/refs", {}, {"ref": "refs/heads/a"}),
        ("PATCH", "/repos/acme/web/git/refs/heads/a", {}, {"sha": SHA, "force": "false"}),
        ("POST", "/repos/acme/web/statuses/x", {}, {"state": "running"}),
    ],
)
def test_control_a_request_that_github_does_not_describe_is_noticed(method, path, query, body):
    from description import description

    assert description("github-api.github.com.json.gz", base=ROOT).problems(method, ROOT + path, query, body)
