"""What is asked of Bitbucket Data Center and what its answers mean, against a host that answers as documented."""

from __future__ import annotations

import asyncio
import email
import email.policy

import msgspec
import pytest
from aiohttp import web

from headgate import api
from headgate.api.testing.calls import Answer, CallsContract, GitHost, calling
from headgate_plugins import bitbucket_server
from headgate_plugins.bitbucket_server import reading, writing

KIND = next(iter(bitbucket_server.headgate_providers()))
BASE = "/rest/api/1.0/projects/acme/repos/web"
OLD, NEW, SIDE = "a1" * 20, "b2" * 20, "c3" * 20
ADA = {"name": "Ada.L", "slug": "ada.l", "displayName": "Ada L", "emailAddress": "ada@acme.example"}
REPO = {
    "slug": "web",
    "id": 7,
    "name": "Web shop",
    "description": "The shop",
    "public": False,
    "archived": False,
    "project": {"key": "ACME", "public": False, "type": "NORMAL"},
    "links": {"self": [{"href": "https://git.acme.example/projects/ACME/repos/web/browse"}]},
}
HERE = api.Repository(host="git.acme.example", path="ACME/web")
PAGE = "https://git.acme.example/projects/ACME/repos/web"


def options(url):
    return {"base_url": url, "webhook_secrets": ["secret://contract/hook"], "credential": "secret://contract/api"}


def connected(host=None, *, context=""):
    return calling(KIND, lambda url: options(url + context), host=host)


def paged(*pages):
    """A listing of several pages, whose starts are not simply counted on."""

    def answer(asked):
        start = int(asked.query.get("start", 0))
        at = start // 50
        last = at == len(pages) - 1
        following = {} if last else {"nextPageStart": (at + 1) * 50}
        return Answer(body={"values": pages[at], "size": len(pages[at]), "isLastPage": last, **following})

    return answer


async def listed(iterator):
    return [one async for one in iterator]


class TestCalls(CallsContract):
    kind = KIND


class TestFiles(CallsContract):
    """The bytes of a file are no JSON, and yet the way to them keeps the same."""

    kind = KIND

    async def ask(self, provider):
        return await provider.read_file("acme/web", "README", "main")


class TestHooks(CallsContract):
    """A listing, the other way to ask."""

    kind = KIND

    async def ask(self, provider):
        return await listed(provider.hooks("acme/web"))


@pytest.mark.parametrize(
    ("method", "path", "exception", "status", "missing"),
    [
        ("GET", f"{BASE}/webhooks", "AuthorisationException", 401, ("REPO_ADMIN",)),
        ("GET", f"{BASE}/permissions/users", "AuthorisationException", 403, ("REPO_ADMIN",)),
        ("GET", BASE, "AuthorisationException", 401, ("REPO_READ",)),
        ("POST", f"{BASE}/commits/{NEW}/builds", "AuthorisationException", 401, ("REPO_READ",)),
        ("POST", f"{BASE}/branches", "AuthorisationException", 401, ("REPO_WRITE",)),
        ("GET", BASE, "auth.IncorrectPasswordAuthenticationException", 401, ()),
        ("GET", "/rest/api/1.0/application-properties", "AuthorisationException", 401, ()),
    ],
)
async def test_a_refused_call_names_the_permission_it_needs(method, path, exception, status, missing):
    """Bitbucket says only that one is not permitted; 401 may mean the password, too."""
    faults = {"errors": [{"message": "No.", "exceptionName": f"com.atlassian.bitbucket.{exception}"}]}
    async with connected() as (provider, host):
        host.otherwise(Answer(status, faults))
        with pytest.raises(api.Refused) as caught:
            await provider._client.call(method, path)
    assert caught.value.missing == missing


async def test_an_error_page_in_front_names_no_permission_it_could_not_know():
    async with connected() as (provider, host):
        host.otherwise(Answer(401, b"<html>Sign in</html>"))
        with pytest.raises(api.Refused) as caught:
            await provider.repository("acme/web")
    assert caught.value.missing == ()


async def test_a_limit_is_waited_for_and_asked_again():
    async with connected() as (provider, host):
        limit = Answer(429, {"errors": []}, {"Retry-After": "0"})
        host.on("GET", BASE, limit, {**REPO, "defaultBranch": "main"})
        assert (await provider.repository("acme/web")).default_branch == "main"
    assert len(host.asked) == 2


class SlowHost(GitHost):
    """Begins its answer and never ends it, until the test lets it go."""

    def __init__(self):
        super().__init__()
        self.over = asyncio.Event()

    async def handle(self, request):
        answer = await super().handle(request)
        response = web.StreamResponse(headers={"Content-Length": str(len(answer.body))})
        await response.prepare(request)
        await response.write(answer.body[:10])
        await self.over.wait()
        return response


async def test_a_server_that_is_too_slow_is_asked_again_and_then_unavailable():
    host = SlowHost()
    host.otherwise(Answer(200, REPO))
    async with connected(host) as (provider, _):
        attempts = provider._client._attempts
        attempts._bounds = msgspec.structs.replace(attempts._bounds, whole=0.05, attempts=2, backoff=0.0)
        try:
            with pytest.raises(api.Unavailable, match="in time"):
                await provider.repository("acme/web")
        finally:
            host.over.set()
    assert len(host.asked) == 2


# -- repositories


async def test_a_repository_below_a_context_path():
    host = GitHost()
    host.on("GET", f"/bitbucket{BASE}", REPO)
    host.on("GET", f"/bitbucket{BASE}/default-branch", {"id": "refs/heads/main", "displayId": "main"})
    async with connected(host, context="/bitbucket") as (provider, _):
        found = await provider.repository("ACME/web")
    assert found == api.HostedRepository(
        repository=HERE,
        id="7",
        default_branch="main",
        description="The shop",
        visibility="private",
        archived=False,
        fork=False,
        url=PAGE,
    )


@pytest.mark.parametrize(
    ("answers", "branch"),
    [
        ({"default-branch": Answer(404), "branches/default": {"id": "refs/heads/old", "displayId": "old"}}, "old"),
        ({"default-branch": Answer(204, b"")}, None),
        ({}, None),
    ],
)
async def test_where_the_default_branch_is(answers, branch):
    """Older versions have it elsewhere; an empty repository has none."""
    async with connected() as (provider, host):
        host.on("GET", BASE, REPO)
        for place, answer in answers.items():
            host.on("GET", f"{BASE}/{place}", answer)
        assert (await provider.repository("acme/web")).default_branch == branch


@pytest.mark.parametrize(
    ("repo", "project", "visibility"),
    [(True, False, "public"), (False, True, "public"), (False, False, "private"), (None, None, None)],
)
async def test_a_public_project_shows_its_repositories(repo, project, visibility):
    async with connected() as (provider, host):
        changed = {**REPO, "public": repo, "project": {"key": "ACME", "public": project}, "defaultBranch": "main"}
        host.on("GET", BASE, changed)
        assert (await provider.repository("acme/web")).visibility == visibility


async def test_a_personal_fork_without_links():
    place = "/rest/api/1.0/projects/~ada.l/repos/x"
    async with connected() as (provider, host):
        host.on("GET", place, {"slug": "x", "project": {"key": "~ADA.L"}, "origin": REPO, "defaultBranch": "main"})
        found = await provider.repository("https://git.acme.example/users/ada.l/repos/x/browse")
        assert found.fork
        assert found.repository == api.Repository(host=host.url.removeprefix("http://"), path="~ADA.L/x")
        assert found.url == f"{host.url}/projects/~ADA.L/repos/x"


def ref(kind, name, sha):
    return {"id": f"refs/{kind}/{name}", "displayId": name, "latestCommit": sha, "isDefault": False}


async def test_branches_and_tags_over_two_pages():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/branches", paged([ref("heads", "main", OLD)], [ref("heads", "a/b", NEW)]))
        host.on("GET", f"{BASE}/tags", paged([{**ref("tags", "v1", OLD), "hash": SIDE}], []))
        assert await listed(provider.branches("acme/web")) == [
            api.Branch(name="main", sha=OLD),
            api.Branch(name="a/b", sha=NEW),
        ]
        assert await listed(provider.tags("acme/web")) == [api.HostedTag(name="v1", sha=OLD)]
    assert [one.query for one in host.asked[:2]] == [{"limit": "1000"}, {"limit": "1000", "start": "50"}]


async def test_a_branch_without_a_commit_is_no_answer():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/branches", paged([{**ref("heads", "main", None)}]))
        with pytest.raises(api.ProviderError, match="cannot be meant"):
            await listed(provider.branches("acme/web"))


async def test_a_ref_is_its_newest_commit():
    async with connected() as (provider, host):
        host.on(
            "GET", f"{BASE}/commits", {"values": [commit(NEW)], "isLastPage": False, "nextPageStart": 1}, {"values": []}
        )
        assert await provider.ref("acme/web", "refs/tags/v1") == NEW
        with pytest.raises(api.NotFound):
            await provider.ref("acme/web", "refs/tags/v2")
    assert host.asked[0].query == {"until": "refs/tags/v1", "limit": "1"}


def commit(sha, **more):
    return {"id": sha, "displayId": sha[:11], "message": "m", "author": ADA, "parents": [], **more}


async def test_commits_newest_first():
    async with connected() as (provider, host):
        host.on(
            "GET", f"{BASE}/commits", paged([commit(NEW)], [commit(OLD, author={"name": "Bob", "emailAddress": "b@x"})])
        )
        found = await listed(provider.commits("acme/web", "main"))
        page = f"{host.url}/projects/acme/repos/web/commits"
    assert found == [
        api.Commit(id=NEW, message="m", author=api.Person(name="Ada L", email="ada@acme.example"), url=f"{page}/{NEW}"),
        api.Commit(id=OLD, message="m", author=api.Person(name="Bob", email="b@x"), url=f"{page}/{OLD}"),
    ]
    assert host.asked[0].query == {"until": "main", "limit": "100"}


def change(path, kind="MODIFY", before=None):
    made = {"path": {"components": path.split("/"), "toString": path}, "type": kind, "nodeType": "FILE"}
    return {**made, "srcPath": {"toString": before}} if before else made


CHANGES = [
    change("src/a.py"),
    change("src/b.py", "ADD"),
    change("src/c.py", "DELETE"),
    change("src/d.py", "MOVE", "src/e.py"),
    change("src/f.py", "COPY", "src/a.py"),
    change("vendor", "UNKNOWN"),
]
FILES = (
    api.ChangedFile(path="src/a.py", status="modified"),
    api.ChangedFile(path="src/b.py", status="added"),
    api.ChangedFile(path="src/c.py", status="removed"),
    api.ChangedFile(path="src/d.py", status="renamed", previous_path="src/e.py"),
    api.ChangedFile(path="src/f.py", status="copied", previous_path="src/a.py"),
    api.ChangedFile(path="vendor", status="modified"),
)


def changes(*, limit=1000, last=True):
    return {"values": CHANGES, "size": len(CHANGES), "limit": limit, "isLastPage": last, "nextPageStart": None}


async def test_compare_counts_from_the_head():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/compare/commits", paged([commit(NEW)], [commit(SIDE)]))
        host.on("GET", f"{BASE}/compare/changes", changes())
        found = await provider.compare("acme/web", "main", "feature/x")
    assert [one.id for one in found.commits] == [NEW, SIDE]
    assert found.files == FILES
    assert found.complete
    assert {(one.query["from"], one.query["to"]) for one in host.asked} == {("feature/x", "main")}


@pytest.mark.parametrize("answer", [changes(limit=len(CHANGES)), changes(last=False)])
async def test_changes_that_the_host_cuts_are_not_taken_for_all(answer):
    """There is no second page of changed files."""
    push = api.Push(repository=HERE, ref="refs/heads/main", before=OLD, after=NEW)
    async with connected() as (provider, host):
        host.otherwise(Answer(body=answer))
        host.on("GET", f"{BASE}/compare/commits", paged([]))
        assert not (await provider.compare("acme/web", OLD, NEW)).complete
        with pytest.raises(api.ProviderError, match=r"page\.max\.changes"):
            await provider.changed_paths(push)
        with pytest.raises(api.ProviderError, match=r"page\.max\.changes"):
            await listed(provider.changed_files("acme/web", 7))


@pytest.mark.parametrize(("before", "since"), [(OLD, {"since": OLD}), (None, {})])
async def test_changed_paths_are_between_the_two_commits(before, since):
    """As git's tree comparison has them: of a renamed file both; a new branch's are its last commit's."""
    push = api.Push(repository=HERE, ref="refs/heads/main", before=before, after=NEW)
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/changes", changes())
        found = await provider.changed_paths(push)
    assert found == ("src/a.py", "src/b.py", "src/c.py", "src/d.py", "src/e.py", "src/f.py", "vendor")
    assert host.asked[0].query == {"until": NEW, "limit": "1000", **since}


async def test_a_deleted_branch_has_no_changed_paths():
    push = api.Push(repository=HERE, ref="refs/heads/main", before=OLD, after=None)
    async with connected() as (provider, host):
        with pytest.raises(api.NotFound):
            await provider.changed_paths(push)
        assert not host.asked


# -- change requests


def pull_request(**more):
    return {
        "id": 7,
        "version": 3,
        "title": "Add a thing",
        "description": "It is new.",
        "state": "OPEN",
        "fromRef": {"id": "refs/heads/feature/x", "displayId": "feature/x", "latestCommit": NEW, "repository": REPO},
        "toRef": {"id": "refs/heads/main", "displayId": "main", "latestCommit": OLD, "repository": REPO},
        "author": {"user": ADA, "role": "AUTHOR", "status": "UNAPPROVED"},
        "reviewers": [
            {"user": {"slug": "bob"}, "role": "REVIEWER", "status": "APPROVED", "lastReviewedCommit": NEW},
            {"user": {"slug": "eve"}, "role": "REVIEWER", "status": "NEEDS_WORK", "lastReviewedCommit": OLD},
            {"user": {"slug": "joe"}, "role": "REVIEWER", "status": "UNAPPROVED"},
        ],
        **more,
    }


HOSTED = api.HostedChange(
    repository=HERE,
    number=7,
    title="Add a thing",
    state="open",
    source=api.ChangeSource(repository=HERE, branch="feature/x", sha=NEW),
    target=api.ChangeTarget(branch="main", sha=OLD),
    author="ada.l",
    body="It is new.",
    head_ref="refs/pull-requests/7/from",
    revision="3",
    url=f"{PAGE}/pull-requests/7",
)


@pytest.mark.parametrize(
    ("state", "word"), [("open", "OPEN"), ("merged", "MERGED"), ("closed", "DECLINED"), (None, "ALL")]
)
async def test_changes_by_state(state, word):
    async with connected() as (provider, host):
        host.on(
            "GET", f"{BASE}/pull-requests", paged([pull_request()], [pull_request(id=6, state="DECLINED", draft=True)])
        )
        first, second = await listed(provider.changes("acme/web", state))
    assert first == HOSTED
    assert (second.number, second.state, second.draft, second.reviews) == (6, "closed", True, None)
    assert host.asked[0].query == {"state": word, "order": "NEWEST", "limit": "100"}


async def test_a_change_with_its_reviews():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", pull_request())
        host.on("GET", f"{BASE}/pull-requests/7/merge", {"canMerge": False, "conflicted": True, "vetoes": []})
        found = await provider.change("acme/web", 7)
    assert found.mergeable is False
    assert found.reviews == (
        api.Review(author="bob", state="approved", sha=NEW),
        api.Review(author="eve", state="rejected", sha=OLD),
        api.Review(author="joe", state="pending"),
    )


async def test_a_merged_change_says_its_commit_and_is_asked_no_more():
    merged = pull_request(state="MERGED", properties={"mergeCommit": {"id": SIDE, "displayId": SIDE[:11]}})
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", merged)
        found = await provider.change("acme/web", 7)
    assert (found.state, found.merge_sha, found.mergeable) == ("merged", SIDE, None)
    assert len(host.asked) == 1


async def test_a_change_that_closes_meanwhile_is_neither_mergeable_nor_not():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", pull_request())
        host.on("GET", f"{BASE}/pull-requests/7/merge", Answer(409, {"errors": [{"message": "declined"}]}))
        assert (await provider.change("acme/web", 7)).mergeable is None


async def test_a_change_whose_fork_is_gone():
    gone = pull_request(state="DECLINED")
    gone["fromRef"] = {"id": "refs/heads/feature/x", "latestCommit": NEW}
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", gone)
        assert (await provider.change("acme/web", 7)).source.repository is None


@pytest.mark.parametrize("more", [{"state": "SUPERSEDED"}, {"fromRef": {"id": "refs/heads/x"}}, {"toRef": {"id": "x"}}])
async def test_a_change_that_cannot_be_meant(more):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", pull_request(**{"state": "MERGED", **more}))
        with pytest.raises(api.ProviderError):
            await provider.change("acme/web", 7)


async def test_changed_files():
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7/changes", changes())
        assert tuple(await listed(provider.changed_files("acme/web", 7))) == FILES


# -- people


def granted(name, permission):
    return {"user": {"name": name, "slug": name, "displayName": name.title()}, "permission": permission}


async def test_members_have_the_best_of_both_rights():
    async with connected() as (provider, host):
        host.on(
            "GET", f"{BASE}/permissions/users", paged([granted("ada", "REPO_READ")], [granted("bob", "REPO_WRITE")])
        )
        project = [granted("ada", "PROJECT_ADMIN"), granted("bob", "PROJECT_READ"), granted("eve", "PROJECT_CREATE")]
        host.on("GET", "/rest/api/1.0/projects/acme/permissions/users", paged(project))
        found = await listed(provider.members("acme/web"))
    assert found == [
        api.Member(account="ada", role="admin", name="Ada"),
        api.Member(account="bob", role="write", name="Bob"),
        api.Member(account="eve", role=None, name="Eve"),
    ]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_repositorys_own_members_do_not_need_the_project(status):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/permissions/users", paged([granted("ada", "REPO_ADMIN")]))
        host.on("GET", "/rest/api/1.0/projects/acme/permissions/users", Answer(status, {"errors": []}))
        assert [one.account for one in await listed(provider.members("acme/web"))] == ["ada"]


async def test_members_that_may_not_be_seen_are_refused():
    """The negative control: it is only the project's that may be missing."""
    async with connected() as (provider, host):
        host.otherwise(Answer(403, {"errors": []}))
        with pytest.raises(api.Refused):
            await listed(provider.members("acme/web"))


async def test_contributors_are_who_wrote_the_commits(monkeypatch):
    bob = {"name": "Bob", "emailAddress": "bob@x"}
    pages = paged([commit(NEW), commit(SIDE, author=bob)], [commit(OLD)])
    expected = [("ada.l", "Ada L", "ada@acme.example"), (None, "Bob", "bob@x")]
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", pages)
        found = await listed(provider.contributors("acme/web"))
        assert [(one.account, one.name, one.email) for one in found] == expected
        assert [one.commits for one in found] == [2, 1]
        monkeypatch.setattr(reading, "CONTRIBUTORS_IN", 2)
        found = await listed(provider.contributors("acme/web"))
        assert [(one.account, one.name, one.email) for one in found] == expected
        assert [one.commits for one in found] == [None, None], "not all were counted"


# -- discovery


def some(slug, key="ACME", **more):
    return {
        "slug": slug,
        "name": slug.title(),
        "id": 1,
        "public": False,
        "project": {"key": key, "public": False},
        **more,
    }


EVERYTHING = [
    some("web"),
    some("web-old", archived=True),
    some("docs", public=True),
    some("web", "LIB"),
    some("x", "~ADA"),
]


@pytest.mark.parametrize(
    ("query", "asked", "found"),
    [
        ({}, {"archived": "ALL"}, ["ACME/web", "ACME/web-old", "ACME/docs", "LIB/web", "~ADA/x"]),
        ({"owner": "acme"}, {"archived": "ALL", "projectkey": "acme"}, ["ACME/web", "ACME/web-old", "ACME/docs"]),
        ({"owner": "~ada"}, {"archived": "ALL", "projectkey": "~ada"}, ["~ADA/x"]),
        ({"project": "LIB"}, {"archived": "ALL", "projectkey": "LIB"}, ["LIB/web"]),
        ({"owner": "ACME", "project": "LIB"}, {"archived": "ALL", "projectkey": "ACME"}, []),
        ({"search": "WEB"}, {"archived": "ALL"}, ["ACME/web", "ACME/web-old", "LIB/web"]),
        ({"visibility": "public"}, {"archived": "ALL"}, ["ACME/docs"]),
        ({"visibility": "internal"}, {"archived": "ALL"}, []),
        ({"archived": True}, {"archived": "ARCHIVED"}, ["ACME/web-old"]),
        ({"archived": False, "search": "web"}, {"archived": "ACTIVE"}, ["ACME/web", "LIB/web"]),
    ],
)
async def test_discovery_narrows_what_an_old_server_does_not(query, asked, found):
    """A server before 8.0 passes over what it does not know: here it always gives everything."""
    async with connected() as (provider, host):
        host.on("GET", "/rest/api/1.0/repos", paged(EVERYTHING[:2], EVERYTHING[2:]))
        repositories = await listed(provider.discover(api.RepositoryQuery(**query)))
    assert [one.repository.path for one in repositories] == found
    assert host.asked[0].query == {"limit": "100", **asked}
    assert len(host.asked) == 2


# -- files


async def test_a_file_is_read_at_the_commit_that_is_its_revision():
    content = bytes(range(256))
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", {"values": [commit(NEW)]})
        host.on("GET", f"{BASE}/browse/src/a%20%23b.bin", {"type": "FILE"})
        host.on("GET", f"{BASE}/raw/src/a%20%23b.bin", Answer(body=content, headers={"Content-Type": "application/x"}))
        found = await provider.read_file("acme/web", "src/a #b.bin", "main")
    assert found == api.FileContent(path="src/a #b.bin", content=content, revision=NEW)
    assert [one.query for one in host.asked] == [
        {"until": "main", "limit": "1"},
        {"at": NEW, "type": "true"},
        {"at": NEW},
    ]
    assert host.asked[2].headers["Accept"] == "*/*"


@pytest.mark.parametrize("kind", ["DIRECTORY", "SUBMODULE"])
async def test_what_is_no_file_is_a_conflict(kind):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", {"values": [commit(NEW)]})
        host.on("GET", f"{BASE}/browse/src", {"type": kind})
        with pytest.raises(api.Conflict, match=kind.lower()):
            await provider.read_file("acme/web", "src", "main")


@pytest.mark.parametrize("path", ["../../x", "a//b", "a/./b"])
async def test_a_path_that_climbs_out_is_not_asked_for(path):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", {"values": [commit(NEW)]})
        with pytest.raises(api.NotFound):
            await provider.read_file("acme/web", path, "main")
        assert len(host.asked) == 1


def form(asked):
    """The parts of a multipart body, as any server reads them."""
    head = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    return {name: part.get_payload(decode=True) for name, part in parts.items()}


def file_commit(*changed, head=None):
    return api.FileCommit(branch="main", message="Change it: ä", changes=changed, head=head)


@pytest.mark.parametrize("revision", [OLD, None])
async def test_one_file_is_committed_with_its_revision_as_guard(revision):
    content = b"\r\n--x\r\n\x00\xff" + "ä".encode()
    async with connected() as (provider, host):
        host.on("PUT", f"{BASE}/browse/src/a%20b.txt", commit(NEW))
        made = await provider.commit_files(
            "acme/web", file_commit(api.FileChange(path="src/a b.txt", content=content, revision=revision))
        )
    assert made == NEW
    guard = {"sourceCommitId": OLD.encode()} if revision else {}
    assert form(host.asked[0]) == {
        "branch": b"main", "message": "Change it: ä".encode(), "content": content, **guard,
    }  # fmt: skip
    assert host.asked[0].headers["X-Atlassian-Token"] == "no-check"


async def test_a_file_that_changed_meanwhile_is_a_conflict():
    async with connected() as (provider, host):
        host.on("PUT", f"{BASE}/browse/a", Answer(409, {"errors": [{"message": "The file has changed since"}]}))
        with pytest.raises(api.Conflict, match="has changed"):
            await provider.commit_files("acme/web", file_commit(api.FileChange(path="a", content=b"", revision=OLD)))


async def test_a_commit_is_not_made_twice():
    """The second would meet the first, and say that somebody else was faster."""
    async with connected() as (provider, host):
        host.on("PUT", f"{BASE}/browse/a", Answer(503, {}))
        with pytest.raises(api.Unavailable):
            await provider.commit_files("acme/web", file_commit(api.FileChange(path="a", content=b"x")))
    assert len(host.asked) == 1


async def test_a_branch_that_moved_on_is_a_conflict():
    changed = api.FileChange(path="a", content=b"x")
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/commits", {"values": [commit(NEW)]})
        host.on("PUT", f"{BASE}/browse/a", commit(SIDE))
        with pytest.raises(api.Conflict, match="no longer"):
            await provider.commit_files("acme/web", file_commit(changed, head=OLD))
        assert host.paths() == [f"GET {BASE}/commits"]
        assert host.asked[0].query["until"] == "refs/heads/main"
        assert await provider.commit_files("acme/web", file_commit(changed, head=NEW)) == SIDE


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ((api.FileChange(path="a", content=b"x"), api.FileChange(path="b", content=b"x")), "of one file, not of 2"),
        ((), "of one file, not of 0"),
        ((api.FileChange(path="a", content=None, revision=OLD),), "deletes no files"),
    ],
)
async def test_what_the_api_cannot_do_is_said_before_anything_is_done(changed, words):
    async with connected() as (provider, host):
        with pytest.raises(api.ProviderError, match=words):
            await provider.commit_files("acme/web", file_commit(*changed))
        assert not host.asked


async def test_a_branch_is_created():
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/branches", ref("heads", "a/b", NEW), Answer(409, {"errors": [{"message": "exists"}]}))
        await provider.create_branch("acme/web", "a/b", NEW)
        assert host.asked[0].json() == {"name": "a/b", "startPoint": NEW}
        with pytest.raises(api.Conflict, match="exists"):
            await provider.create_branch("acme/web", "a/b", NEW)


# -- opening and merging


@pytest.mark.parametrize("draft", [False, True])
async def test_a_change_is_opened(draft):
    new = api.NewChange(title="Add a thing", source="feature/x", target="main", body="It is new.", draft=draft)
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/pull-requests", Answer(201, pull_request(draft=draft)))
        made = await provider.open_change("acme/web", new)
    assert (made.number, made.draft) == (7, draft)
    place = {"slug": "web", "project": {"key": "acme"}}
    expected = {
        "title": "Add a thing",
        "description": "It is new.",
        "fromRef": {"id": "refs/heads/feature/x", "repository": place},
        "toRef": {"id": "refs/heads/main", "repository": place},
    }
    assert host.asked[0].json() == expected | ({"draft": True} if draft else {})


async def test_a_change_that_is_there_already_is_a_conflict_and_not_opened_twice():
    new = api.NewChange(title="t", source="x", target="main")
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/pull-requests", Answer(409, {"errors": [{"message": "Only one"}]}), Answer(503, {}))
        with pytest.raises(api.Conflict, match="Only one"):
            await provider.open_change("acme/web", new)
        with pytest.raises(api.Unavailable):
            await provider.open_change("acme/web", new)
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    ("method", "strategy"), [("merge", "no-ff"), ("squash", "squash"), ("rebase", "rebase-ff-only")]
)
async def test_a_change_is_merged_with_its_version(method, strategy):
    merged = pull_request(state="MERGED", properties={"mergeCommit": {"id": SIDE}})
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", pull_request())
        host.on("POST", f"{BASE}/pull-requests/7/merge", merged)
        assert await provider.merge_change("acme/web", 7, sha=NEW.upper(), method=method) == SIDE
    asked = host.asked[-1]
    assert asked.query == {"version": "3"}
    assert asked.json() == {"version": 3, "strategyId": strategy}


@pytest.mark.parametrize(
    ("found", "words"), [(pull_request(), "no longer"), (pull_request(state="DECLINED"), "not open")]
)
async def test_a_change_that_moved_on_is_not_merged(found, words):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", found)
        with pytest.raises(api.Conflict, match=words):
            await provider.merge_change("acme/web", 7, sha=SIDE if words == "no longer" else NEW)
        assert [one.method for one in host.asked] == ["GET"]


@pytest.mark.parametrize(("status", "error"), [(409, api.Conflict), (503, api.Unavailable)])
async def test_a_merge_that_fails_is_not_tried_again(status, error):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/pull-requests/7", pull_request())
        host.on("POST", f"{BASE}/pull-requests/7/merge", Answer(status, {"errors": [{"message": "out of date"}]}))
        with pytest.raises(error):
            await provider.merge_change("acme/web", 7, sha=NEW)
    assert [one.method for one in host.asked] == ["GET", "POST"]


# -- webhooks

WEBHOOK = {
    "id": 10,
    "name": "Headgate",
    "url": "https://ci.acme.example/webhooks/acme",
    "events": ["repo:refs_changed", "pr:opened"],
    "active": True,
    "configuration": {"secret": "very secret"},
    "sslVerificationRequired": True,
}
HOOK = api.Hook(
    id="10",
    url="https://ci.acme.example/webhooks/acme",
    events=("repo:refs_changed", "pr:opened"),
    has_secret=True,
    verifies_tls=True,
)


async def test_webhooks_over_two_pages():
    old = {"id": 11, "url": "http://ci", "events": [], "active": False, "configuration": {}}
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/webhooks", paged([WEBHOOK], [old]))
        assert await listed(provider.hooks("acme/web")) == [
            HOOK,
            api.Hook(id="11", url="http://ci", active=False, has_secret=False),
        ]
    assert host.asked[0].query == {"statistics": "true", "limit": "100"}


@pytest.mark.parametrize(
    ("counts", "healthy"),
    [
        ({"successes": 3, "failures": 2, "errors": 1}, True),
        ({"successes": 0, "failures": 0, "errors": 1}, False),
        ({"successes": 0, "failures": 0, "errors": 0}, None),
    ],
)
async def test_a_webhook_of_which_nothing_arrives_is_not_healthy(counts, healthy):
    async with connected() as (provider, host):
        host.on("GET", f"{BASE}/webhooks", paged([{**WEBHOOK, "statistics": {"counts": counts}}]))
        ((hook,)) = await listed(provider.hooks("acme/web"))
    assert hook.healthy is healthy


async def test_a_webhook_is_made_and_changed_with_its_secret():
    wanted = api.WantedHook(url=WEBHOOK["url"], secret=api.Secret("given"), events=("pr:opened",))
    own = api.WantedHook(url=WEBHOOK["url"])
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/webhooks", Answer(201, WEBHOOK))
        host.on("PUT", f"{BASE}/webhooks/10", WEBHOOK)
        assert await provider.create_hook("acme/web", wanted) == HOOK
        assert await provider.update_hook("acme/web", "10", own) == HOOK
        made, changed = (one.json() for one in host.asked)
        assert made == {
            "name": "Headgate",
            "url": WEBHOOK["url"],
            "events": ["pr:opened"],
            "active": True,
            "configuration": {"secret": "given"},
            "sslVerificationRequired": True,
        }
        assert changed["configuration"] == {"secret": "hook secret"}, "the connection's own"
        assert changed["events"] == list(provider.hook_events())
        assert not api.hook_differences(
            api.Hook(id="1", url=own.url, events=provider.hook_events()), own, provider.hook_events()
        )


async def test_a_webhook_is_deleted_once_and_for_all():
    async with connected() as (provider, host):
        host.on("DELETE", f"{BASE}/webhooks/10", Answer(204, b""), Answer(404, {"errors": []}), Answer(403, {}))
        await provider.delete_hook("acme/web", "10")
        await provider.delete_hook("acme/web", "10")
        with pytest.raises(api.Refused):
            await provider.delete_hook("acme/web", "10")


# -- statuses


def status(**more):
    return api.CommitStatus(
        **{"context": "headgate/web", "state": "succeeded", "description": "ok", "url": "https://ci/b/1", **more}
    )


async def report(provider, **more):
    await provider.report_status(HERE, NEW, status(**more))


async def test_a_status_is_a_build_of_the_commit():
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commits/{NEW}/builds", Answer(204, b""))
        await report(provider, description="x" * 300)
        await report(provider, context="y" * 300, url=None)
        first, second = (one.json() for one in host.asked)
        assert first == {
            "key": "headgate/web",
            "name": "headgate/web",
            "state": "SUCCESSFUL",
            "description": "x" * 254 + "…",
            "url": "https://ci/b/1",
        }
        assert len(second["key"]) == 64
        assert second["name"] == "y" * 254 + "…"
        assert second["url"] == f"{host.url}/projects/acme/repos/web/commits/{NEW}"


async def test_every_state_of_a_build_has_a_word():
    words = {}
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commits/{NEW}/builds", Answer(204, b""))
        for state in writing.STATUS_STATES:
            await report(provider, state=state)
            words[state] = host.asked[-1].json()["state"]
    assert words == {
        "queued": "INPROGRESS",
        "running": "INPROGRESS",
        "succeeded": "SUCCESSFUL",
        "failed": "FAILED",
        "errored": "FAILED",
        "cancelled": "CANCELLED",
    }


async def test_a_server_before_7_4_has_statuses_elsewhere():
    """And knows no build that was cancelled."""
    async with connected() as (provider, host):
        host.on("GET", "/rest/api/1.0/application-properties", {"version": "6.10.17"})
        host.on("POST", f"/rest/build-status/1.0/commits/{NEW}", Answer(204, b""))
        await report(provider, state="cancelled")
        assert host.asked[-1].json()["state"] == "FAILED"


async def test_a_commit_that_is_not_there_is_not_found():
    """The older resource would take it in silence, so a newer server is not asked there."""
    async with connected() as (provider, host):
        host.on("GET", "/rest/api/1.0/application-properties", {"version": "8.19.2"})
        host.on("POST", f"/rest/build-status/1.0/commits/{NEW}", Answer(204, b""))
        with pytest.raises(api.NotFound):
            await report(provider)
        assert host.paths()[-1] == "GET /rest/api/1.0/application-properties"


async def test_a_limited_status_is_not_waited_for():
    async with connected() as (provider, host):
        host.on("POST", f"{BASE}/commits/{NEW}/builds", Answer(429, {}, {"Retry-After": "1"}))
        with pytest.raises(api.RateLimited):
            await report(provider)
    assert len(host.asked) == 1
